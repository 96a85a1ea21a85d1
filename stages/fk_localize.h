/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* fk_localize: UUIDs of parents become local ids, by one query for all distinct parents of a column
 * of a group. It is made when the first record that needs it is written, so parents that came in
 * groups before this one in the same slice are among them; those that come in this group are looked
 * up one by one, each when it is needed first. A key is never set to NULL because its parent is not
 * here: that record cannot be written yet, and its caller is told which parent is missing. */

#ifndef SL_FK_LOCALIZE_H
#define SL_FK_LOCALIZE_H

#include "stages/promises.h"
#include "stages/shared.h"

/* The columns of one group, matched to the fields of its model. */
struct sl_localized {
    const struct sl_model *model;
    const struct sl_group *group;
    struct sl_column **columns; /* by field; in the arena */
    int64_t **ids;              /* by field: of each dictionary entry; 0 is not known yet */
    bool *asked;                /* by field: the one query for all of them was made */
    struct sl_value *values;    /* field_count, of the record bound last */
    bool *points_at_itself;     /* by field, of that record: its own id is the value */
    bool any_itself;            /* one of them */
};

/* Matches columns to fields and checks their types. Errors: EUNSUPPORTED (names the column: a
 * model, a column or a type that this application does not have), ENOMEM. */
enum syncline_status sl_localize_group(struct sl_localized *localized, const struct sl_model *model,
                                       const struct sl_group *group, struct sl_arena *arena,
                                       struct sl_error *err);
/* A parent that is not here; field NULL: none is missing. */
struct sl_missing {
    const struct sl_field *field;
    struct syncline_uuid uuid;
};

/* The i-th record's values, keys as local ids, in localized->values. *missing is the first parent
 * that is not here, and has no promised id either. A record that is not here yet and points at
 * itself has a placeholder there. Parents that are named by UUID are looked for with `uuid_keys`
 * alone: else that is left to the table, which checks them for nothing. */
enum syncline_status sl_localize_record(struct sl_localized *localized, struct sl_rows *rows,
                                        const struct sl_promises *promises, bool uuid_keys,
                                        uint32_t i, struct sl_missing *missing,
                                        struct sl_error *err);
/* The same as the segment has it: keys as UUIDs. */
void sl_localize_content(const struct sl_localized *localized, uint32_t i, struct sl_value *values);

#endif
