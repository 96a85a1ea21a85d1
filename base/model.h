/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Model descriptors, checked and copied into a form the core works with, whatever version of the
 * header the application was compiled with. Read-only once made; any thread. */

#ifndef SL_MODEL_H
#define SL_MODEL_H

#include "base/status.h"

struct sl_field {
    const char *name;              /* of the column */
    const struct sl_model *parent; /* for keys; NULL for other fields */
    uint32_t offset;               /* in the row struct, bytes */
    enum syncline_type type;
    enum syncline_form form;
    bool not_null;   /* the column takes no NULL; set by storage/record_check, as it is at open */
    bool is_checked; /* a UUID_KEY on which its table has a foreign key: see sl_field_binds; set by
                        storage/record_check */
};

struct sl_model {
    const struct syncline_model *described; /* by the application: how calls name the model */
    const char *name;                       /* on the wire */
    const char *table;                      /* in library.db */
    enum syncline_ownership ownership;
    uint32_t row_size;       /* bytes of the row struct */
    struct sl_field id;      /* the INTEGER PRIMARY KEY */
    struct sl_field uuid;    /* the record's name */
    struct sl_field *fields; /* the others, in the order given */
    uint32_t field_count;    /* of fields; keys are among them */
    uint32_t key_count;      /* of them that are KEY or UUID_KEY */
    uint32_t plain_size;   /* most bytes that sl_field_get counts of values inside the row struct */
    uint32_t string_count; /* fields whose values lie elsewhere: forms CSTR and COUNTED */
    uint8_t strings[SL_FIELD_COUNT_MAX]; /* their places in `fields` */
    uint32_t required_count; /* fields that the struct can hold NULL in and the table cannot */
    uint8_t required[SL_FIELD_COUNT_MAX]; /* their places; set with `not_null` */
    uint32_t index;                       /* in the set */
    int64_t id_in_db;                     /* in _syncline_model; set by storage/library_db */
};

struct sl_model_set {
    struct sl_model *models; /* ours */
    size_t count;
    const struct sl_allocator *alloc; /* borrowed for life */
};

/* Errors: EMODEL (the text names model and field), ENOMEM. On failure nothing is left. */
enum syncline_status sl_model_set_init(struct sl_model_set *set, const struct sl_allocator *alloc,
                                       const struct syncline_model *const *described, size_t count,
                                       struct sl_error *err);
void sl_model_set_fini(struct sl_model_set *set);

/* NULL when it is not in the set. */
struct sl_model *sl_model_find(const struct sl_model_set *set,
                               const struct syncline_model *described);
struct sl_model *sl_model_find_name(const struct sl_model_set *set, const char *name, size_t len);

/* ---- Values of a row struct ---- */

enum sl_value_type { SL_NULL = 0, SL_INT64, SL_DOUBLE, SL_BOOL, SL_TEXT, SL_BLOB };

struct sl_value {
    enum sl_value_type type;
    uint32_t size; /* bytes at data, for TEXT and BLOB */
    union {
        int64_t int64; /* also BOOL: 0 or 1 */
        double real;
        const void *data; /* borrowed from the row or the segment */
    } as;
};

/* Must the field's parent be here for the record to be? Of a UUID_KEY that its table does not check
 * only the order matters. */
static inline bool sl_field_binds(const struct sl_field *field)
{
    return field->type == SYNCLINE_TYPE_KEY || field->is_checked;
}

/* The value of a field in a row struct. A size over 2^32 - 1 is cut to that, which every limit
 * refuses. */
struct sl_value sl_field_get(const struct sl_field *field, const void *row);
/* The same as asking for its type, but without measuring strings. */
bool sl_field_is_null(const struct sl_field *field, const void *row);
/* Sets the model's required fields, by what `not_null` says of each. */
void sl_model_set_required(struct sl_model *model);
/* May a value of this type stand in such a field? NULL may: whether the column takes it is the
 * table's to say. Keys hold UUIDs. */
bool sl_value_fits(enum syncline_type field, const struct sl_value *value);
/* id and uuid of a row struct. */
int64_t sl_row_id(const struct sl_model *model, const void *row);
struct syncline_uuid sl_row_uuid(const struct sl_model *model, const void *row);

#endif
