/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/commit_record.h"

#include <string.h>

#include "stages/json_record.h"

/* A call on its way. */
struct record {
    struct sl_core *core;
    struct sl_json_record said;
    int64_t id; /* of the row */
};

static bool is_same(const struct sl_value *a, const struct sl_value *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case SL_NULL:
        return true;
    case SL_INT64:
    case SL_BOOL:
        return a->as.int64 == b->as.int64;
    case SL_DOUBLE:
        return a->as.real == b->as.real;
    case SL_TEXT:
    case SL_BLOB:
        return a->size == b->size && (a->size == 0 || memcmp(a->as.data, b->as.data, a->size) == 0);
    }
    return false;
}

/* ---- The row ---- */

/* Does the row hold what the JSON says? */
static enum syncline_status compare(struct record *record, const struct sl_value *values,
                                    struct sl_error *err)
{
    const struct sl_model *model = record->said.model;
    size_t size = model->plain_size;
    for (uint32_t i = 0; i < model->field_count; i++) {
        struct sl_value said;
        bool has = false;
        bool has_bytes = values[i].type == SL_TEXT || values[i].type == SL_BLOB;
        size += has_bytes ? values[i].size : 0;
        enum syncline_status status =
            sl_json_record_field(&record->said, &model->fields[i], &has, &said, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (has && !is_same(&said, &values[i])) {
            char column[SL_NAME_SIZE_MAX + 6];
            sl_group_column_name(&model->fields[i], column);
            return sl_fail(err, SYNCLINE_EREFUSED,
                           "record %s of model '%s': the row holds another value than member '%s': "
                           "the row is what is sent, so write it first",
                           record->said.name, model->name, column);
        }
    }
    if (size > SL_RECORD_SIZE_MAX) {
        return sl_fail(err, SYNCLINE_ETOOBIG,
                       "record %s of model '%s' has %zu bytes, %u are allowed", record->said.name,
                       model->name, size, SL_RECORD_SIZE_MAX);
    }
    return SYNCLINE_OK;
}

static enum syncline_status compare_with_row(struct record *record, struct sl_record_table *table,
                                             struct sl_error *err)
{
    const struct sl_model *model = record->said.model;
    const struct sl_field *orphan = NULL;
    struct syncline_uuid uuid;
    bool found = false;
    struct sl_value *values =
        sl_arena_alloc(&record->said.arena, (model->field_count + 1) * sizeof(*values));
    if (values == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a record");
    }
    enum syncline_status status =
        sl_record_read(table, record->id, &record->said.arena, &found, &uuid, values, &orphan, err);
    if (status == SYNCLINE_OK && orphan != NULL) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "record %s of model '%s': what its column '%s' points at is not in table "
                       "'%s'",
                       record->said.name, model->name, orphan->name, orphan->parent->table);
    }
    return status == SYNCLINE_OK ? compare(record, values, err) : status;
}

/* The id of a record whose row is deleted already. */
static enum syncline_status read_gone_id(struct record *record, struct sl_record_table *table,
                                         struct sl_error *err)
{
    const struct sl_model *model = record->said.model;
    if (!sl_json_record_id(&record->said, &record->id)) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "record %s is not in table '%s' any more: give the id that it had there as "
                       "member '%s', or say that it is deleted before its row is",
                       record->said.name, model->table, model->id.name);
    }
    bool has = false;
    enum syncline_status status = sl_record_has_id(table, record->id, &has, err);
    if (status == SYNCLINE_OK && has) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "record %s of model '%s': id %lld is another record's in table '%s'",
                       record->said.name, model->name, (long long)record->id, model->table);
    }
    return status;
}

static enum syncline_status check_row(struct record *record, struct sl_record_table *table,
                                      struct sl_error *err)
{
    const struct sl_model *model = record->said.model;
    bool found = false;
    enum syncline_status status = sl_record_id(table, &record->said.uuid, &found, &record->id, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (record->said.change == SYNCLINE_DELETE) {
        int64_t id = 0;
        if (found && sl_json_record_id(&record->said, &id) && id != record->id) {
            return sl_fail(err, SYNCLINE_EREFUSED,
                           "record %s of model '%s': the row has another id than member '%s'",
                           record->said.name, model->name, model->id.name);
        }
        return found ? SYNCLINE_OK : read_gone_id(record, table, err);
    }
    if (!found) {
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "record %s is not in table '%s': write the row first, on this connection",
                       record->said.name, model->table);
    }
    return compare_with_row(record, table, err);
}

/* Over the caller's connection, on which nothing of ours is left afterwards. */
static enum syncline_status check_on(struct record *record, struct sqlite3 *db,
                                     struct sl_error *err)
{
    struct sl_rows rows = {.tables = NULL};
    sl_rows_borrow(&rows, record->core, db);
    enum syncline_status status =
        sl_rows_make_tables(&rows, record->core)
            ? check_row(record, &rows.tables[record->said.model->index], err)
            : sl_fail(err, SYNCLINE_ENOMEM, "no memory for the tables");
    sl_rows_fini(&rows, record->core->models.count);
    return status;
}

/* ---- The call ---- */

static enum syncline_status check_call(const struct sl_model *model, const struct sl_commit *commit,
                                       const struct sqlite3 *db, struct sl_error *err)
{
    if (model == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL, "the model was not given when the library was opened");
    }
    if (model->ownership != commit->class) {
        bool shared = model->ownership == SYNCLINE_SHARED;
        return sl_fail(err, SYNCLINE_EREFUSED, "model '%s' is %s: use %s", model->name,
                       shared ? "shared" : "device-owned",
                       shared ? "syncline_commit_shared" : "syncline_commit_device_owned");
    }
    if (commit->change < SYNCLINE_INSERT || commit->change > SYNCLINE_DELETE) {
        return sl_fail(err, SYNCLINE_EINVAL, "change %d is none of insert, update and delete",
                       (int)commit->change);
    }
    if (commit->json == NULL || db == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL, "%s is NULL", db == NULL ? "db" : "json");
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_commit_record(struct sl_capture *capture, const struct sl_commit *commit,
                                      struct sqlite3 *db, struct sl_error *err)
{
    struct sl_core *core = capture->core;
    const struct sl_model *model = sl_model_find(&core->models, commit->model);
    struct sl_attached *attached = NULL;
    enum syncline_status status = check_call(model, commit, db, err);
    if (status ==
        SYNCLINE_OK) { /* before it is touched: is it this thread's, and this library's? */
        status = sl_attached_find(&capture->attached, capture->path, db, &attached, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct record record = {.core = core};
    sl_json_record_init(&record.said, core->env->alloc, model, commit->change);
    status = sl_json_record_read(&record.said, commit->json, commit->len, err);
    if (status == SYNCLINE_OK) {
        status = check_on(&record, db, err);
    }
    if (status == SYNCLINE_OK) {
        status =
            sl_capture_named(capture, model, record.id, &record.said.uuid, commit->change, db, err);
    }
    sl_json_record_fini(&record.said);
    return status;
}
