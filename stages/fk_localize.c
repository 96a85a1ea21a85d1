/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/fk_localize.h"

#include <string.h>

static struct sl_column *find_column(const struct sl_group *group, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < group->column_count; i++) {
        struct sl_column *column = &group->columns[i];
        if (column->name_len == len && memcmp(column->name, name, len) == 0) {
            return column;
        }
    }
    return NULL;
}

static enum syncline_status check_column(const struct sl_model *model, const struct sl_field *field,
                                         const struct sl_column *column, uint32_t n,
                                         struct sl_error *err)
{
    bool ok = column->is_key == (field->parent != NULL);
    for (uint32_t i = 0; i < n && ok && !column->is_key; i++) {
        ok = sl_value_fits(field->type, &column->values[i]);
    }
    if (!ok) {
        return sl_fail(err, SYNCLINE_EUNSUPPORTED,
                       "model '%s', field '%s': the other device describes it by another type",
                       model->name, field->name);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_localize_group(struct sl_localized *localized, const struct sl_model *model,
                                       const struct sl_group *group, struct sl_arena *arena,
                                       struct sl_error *err)
{
    size_t fields = model->field_count;
    localized->model = model;
    localized->group = group;
    localized->columns = sl_arena_alloc(arena, fields * sizeof(struct sl_column *));
    localized->ids = sl_arena_alloc(arena, fields * sizeof(int64_t *));
    localized->values = sl_arena_alloc(arena, fields * sizeof(*localized->values));
    localized->asked = sl_arena_alloc(arena, fields * sizeof(bool));
    localized->points_at_itself = sl_arena_alloc(arena, fields * sizeof(bool));
    if (localized->columns == NULL || localized->ids == NULL || localized->values == NULL ||
        localized->asked == NULL || localized->points_at_itself == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a group");
    }
    if (group->further_len > 0) {
        return sl_fail(err, SYNCLINE_EUNSUPPORTED,
                       "model '%s': a record with several births, which this version cannot merge; "
                       "upgrade it",
                       model->name);
    }
    if (group->change == SYNCLINE_DELETE) {
        return SYNCLINE_OK;
    }
    if (group->column_count != fields) {
        return sl_fail(err, SYNCLINE_EUNSUPPORTED,
                       "model '%s': the other device describes %u columns, this application %zu: "
                       "use the same version of it on both",
                       model->name, group->column_count, fields);
    }
    for (size_t f = 0; f < fields; f++) {
        const struct sl_field *field = &model->fields[f];
        char name[SL_NAME_SIZE_MAX + 6];
        sl_group_column_name(field, name);
        struct sl_column *column = find_column(group, name);
        if (column == NULL) {
            return sl_fail(err, SYNCLINE_EUNSUPPORTED,
                           "model '%s', field '%s': the other device does not describe it: use the "
                           "same version of the application on both",
                           model->name, field->name);
        }
        enum syncline_status status = check_column(model, field, column, group->n, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        localized->columns[f] = column;
        if (field->type == SYNCLINE_TYPE_KEY) {
            localized->ids[f] = sl_arena_alloc(arena, (size_t)column->dict_len * sizeof(int64_t));
            if (localized->ids[f] == NULL) {
                return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a group");
            }
        }
    }
    return SYNCLINE_OK;
}

/* The local id of one dictionary entry: with all others of its column at first, else by itself. 0
 * stays: it is not here yet (or has the id 0, and is looked up every time). */
static enum syncline_status look_up(struct sl_localized *localized, struct sl_rows *rows,
                                    uint32_t f, uint32_t at, bool *found, struct sl_error *err)
{
    const struct sl_column *column = localized->columns[f];
    struct sl_record_table *table = &rows->tables[localized->model->fields[f].parent->index];
    int64_t *ids = localized->ids[f];
    enum syncline_status status = SYNCLINE_OK;
    if (!localized->asked[f]) {
        status = sl_record_ids(table, column->dict, column->dict_len, ids, err);
        localized->asked[f] = status == SYNCLINE_OK;
    }
    *found = ids[at] != 0;
    if (status != SYNCLINE_OK || *found) {
        return status;
    }
    return sl_record_id(table, &column->dict[at], found, &ids[at], err);
}

/* Is the parent that a UUID_KEY names here, or promised, or the record itself? */
static enum syncline_status has_parent(struct sl_rows *rows, const struct sl_promises *promises,
                                       const struct sl_model *parent,
                                       const struct syncline_uuid *uuid, bool *has,
                                       struct sl_error *err)
{
    int64_t id = 0;
    *has = sl_promise_find(promises, parent, uuid, &id);
    return *has ? SYNCLINE_OK : sl_record_id(&rows->tables[parent->index], uuid, has, &id, err);
}

enum syncline_status sl_localize_record(struct sl_localized *localized, struct sl_rows *rows,
                                        const struct sl_promises *promises, bool uuid_keys,
                                        uint32_t i, const struct sl_field **missing,
                                        struct sl_error *err)
{
    const struct sl_model *model = localized->model;
    *missing = NULL;
    localized->any_itself = false;
    for (uint32_t f = 0; f < model->field_count; f++) {
        const struct sl_field *field = &model->fields[f];
        const struct sl_column *column = localized->columns[f];
        struct sl_value *value = &localized->values[f];
        localized->points_at_itself[f] = false;
        if (!column->is_key) {
            *value = column->values[i];
            continue;
        }
        value->type = SL_NULL;
        if (column->index[i] == 0) {
            continue;
        }
        uint32_t at = column->index[i] - 1;
        bool found = true;
        enum syncline_status status = SYNCLINE_OK;
        if (field->type == SYNCLINE_TYPE_UUID_KEY) {
            if (uuid_keys) {
                status = has_parent(rows, promises, field->parent, &column->dict[at], &found, err);
            }
            if (status != SYNCLINE_OK || !found) {
                *missing = field;
                return status;
            }
            value->type = SL_BLOB;
            value->size = sizeof(struct syncline_uuid);
            value->as.data = &column->dict[at];
            continue;
        }
        status = look_up(localized, rows, f, at, &found, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        value->type = SL_INT64;
        value->as.int64 = localized->ids[f][at];
        if (!found &&
            sl_promise_find(promises, field->parent, &column->dict[at], &value->as.int64)) {
            continue; /* not kept in `ids`: it may be withdrawn */
        }
        bool itself = !found && field->parent == model &&
                      sl_uuid_equal(&column->dict[at], &localized->group->uuids[i]);
        localized->points_at_itself[f] = itself;
        localized->any_itself = localized->any_itself || itself;
        if (!found && !itself) {
            *missing = field;
            return SYNCLINE_OK;
        }
    }
    return SYNCLINE_OK;
}
