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
        if (field->parent != NULL && sl_field_binds(field)) {
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

/* The value of a key that names a parent; false through *found: that is not here. */
static enum syncline_status localize_key(struct sl_localized *localized, struct sl_rows *rows,
                                         const struct sl_promises *promises, bool uuid_keys,
                                         uint32_t i, uint32_t f, bool *found, struct sl_error *err)
{
    const struct sl_field *field = &localized->model->fields[f];
    const struct sl_column *column = localized->columns[f];
    struct sl_value *value = &localized->values[f];
    uint32_t at = column->index[i] - 1;
    const struct syncline_uuid *uuid = &column->dict[at];
    bool by_uuid = field->type == SYNCLINE_TYPE_UUID_KEY;
    enum syncline_status status = SYNCLINE_OK;
    int64_t id = 0;
    *found = true;
    if (sl_field_binds(field) && (!by_uuid || uuid_keys)) {
        status = look_up(localized, rows, f, at, found, err);
        id = localized->ids[f][at];
    }
    if (!*found) {
        *found = sl_promise_find(promises, field->parent, uuid, &id); /* may be withdrawn: is not
                                                                         kept in `ids` */
    }
    if (!*found && field->parent == localized->model &&
        sl_uuid_equal(uuid, &localized->group->uuids[i])) {
        *found = true;
        localized->points_at_itself[f] = !by_uuid;
        localized->any_itself = localized->any_itself || !by_uuid;
    }
    *value = by_uuid ? (struct sl_value){.type = SL_BLOB, .size = sizeof(*uuid), .as.data = uuid}
                     : (struct sl_value){.type = SL_INT64, .as.int64 = id};
    return status;
}

enum syncline_status sl_localize_record(struct sl_localized *localized, struct sl_rows *rows,
                                        const struct sl_promises *promises, bool uuid_keys,
                                        uint32_t i, struct sl_missing *missing,
                                        struct sl_error *err)
{
    const struct sl_model *model = localized->model;
    missing->field = NULL;
    localized->any_itself = false;
    for (uint32_t f = 0; f < model->field_count; f++) {
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
        bool found = true;
        enum syncline_status status =
            localize_key(localized, rows, promises, uuid_keys, i, f, &found, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (!found) {
            missing->field = &model->fields[f];
            missing->uuid = column->dict[column->index[i] - 1];
            return SYNCLINE_OK;
        }
    }
    return SYNCLINE_OK;
}

void sl_localize_content(const struct sl_localized *localized, uint32_t i, struct sl_value *values)
{
    for (uint32_t f = 0; f < localized->model->field_count; f++) {
        const struct sl_column *column = localized->columns[f];
        values[f].type = SL_NULL;
        if (!column->is_key) {
            values[f] = column->values[i];
        } else if (column->index[i] != 0) {
            values[f] = (struct sl_value){.type = SL_BLOB,
                                          .size = sizeof(struct syncline_uuid),
                                          .as.data = &column->dict[column->index[i] - 1]};
        }
    }
}
