/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The JSON of one record, read: an object that names the record by its UUID, whose other members
 * are fields of the model under the names by which they travel, and have their types. The form is
 * that of events (stages/json_form.h). Belongs to one thread. */

#ifndef SL_JSON_RECORD_H
#define SL_JSON_RECORD_H

#include "base/arena.h"
#include "base/group.h"

struct json_t; /* jansson's */

struct sl_json_record {
    const struct sl_model *model; /* borrowed */
    enum syncline_change change;
    struct json_t *json;                /* ours */
    struct syncline_uuid uuid;          /* of the record */
    char name[SYNCLINE_UUID_TEXT_SIZE]; /* the same as text */
    struct sl_arena arena;              /* bytes of values */
};

void sl_json_record_init(struct sl_json_record *record, const struct sl_allocator *alloc,
                         const struct sl_model *model, enum syncline_change change);
void sl_json_record_fini(struct sl_json_record *record);

/* Once. Errors: EINVAL (no JSON, no object, no UUID, a member that is no field or not of its type:
 * by name; the id is a member for deletes only), ENOMEM. */
enum syncline_status sl_json_record_read(struct sl_json_record *record, const char *json,
                                         size_t len, struct sl_error *err);
/* What it says of a field; its bytes live as long as the record. *has = false: nothing, and *value
 * is left as it was. Errors: ENOMEM. */
enum syncline_status sl_json_record_field(struct sl_json_record *record,
                                          const struct sl_field *field, bool *has,
                                          struct sl_value *value, struct sl_error *err);
/* The local id, if it says one. */
bool sl_json_record_id(const struct sl_json_record *record, int64_t *id);

#endif
