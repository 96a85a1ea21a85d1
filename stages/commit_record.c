/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/commit_record.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/base64.h"

/* A call on its way. */
struct record {
    struct sl_core *core;
    const struct sl_model *model;
    enum syncline_change change;
    json_t *json;
    struct syncline_uuid uuid;
    char name[SYNCLINE_UUID_TEXT_SIZE]; /* of the record: its UUID */
    int64_t id;
    struct sl_arena arena;
};

/* ---- Values ---- */

/* {"base64": "..."} */
static bool read_base64(const json_t *json, struct sl_arena *arena, struct sl_value *out)
{
    const json_t *text = json_object_get(json, "base64");
    size_t len = json_string_length(text);
    if (!json_is_string(text) || json_object_size(json) != 1) {
        return false;
    }
    uint8_t *data = sl_arena_alloc_raw(arena, len + 1);
    size_t size = 0;
    if (data == NULL || !sl_base64_decode(json_string_value(text), len, data, &size)) {
        return false;
    }
    out->as.data = data;
    out->size = (uint32_t)size;
    return true;
}

static bool read_bytes(const json_t *json, enum sl_value_type type, struct sl_arena *arena,
                       struct sl_value *out)
{
    out->type = type;
    if (!json_is_string(json)) {
        return read_base64(json, arena, out);
    }
    out->as.data = json_string_value(json);
    out->size = (uint32_t)json_string_length(json);
    return true;
}

static bool read_uuid(const json_t *json, struct sl_arena *arena, struct sl_value *out)
{
    struct syncline_uuid uuid;
    if (!json_is_string(json) || json_string_length(json) != SYNCLINE_UUID_TEXT_SIZE - 1 ||
        syncline_uuid_parse(json_string_value(json), &uuid) != SYNCLINE_OK) {
        return false;
    }
    out->type = SL_BLOB;
    out->size = sizeof(uuid);
    out->as.data = sl_arena_copy(arena, &uuid, sizeof(uuid));
    return out->as.data != NULL;
}

static bool read_double(const json_t *json, struct sl_value *out)
{
    const char *text = json_is_string(json) ? json_string_value(json) : "";
    out->type = SL_DOUBLE;
    if (strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0) {
        out->as.real = text[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    out->as.real = json_number_value(json);
    return json_is_number(json);
}

/* The value of a field of that type; its bytes live as long as the JSON and the arena. false: it is
 * none. */
static bool read_value(enum syncline_type type, const json_t *json, struct sl_arena *arena,
                       struct sl_value *out)
{
    *out = (struct sl_value){.type = SL_NULL};
    if (json_is_null(json)) {
        return true;
    }
    switch (type) {
    case SYNCLINE_TYPE_ID:
    case SYNCLINE_TYPE_INT64:
    case SYNCLINE_TYPE_TIME:
        out->type = SL_INT64;
        out->as.int64 = json_integer_value(json);
        return json_is_integer(json);
    case SYNCLINE_TYPE_BOOL:
        out->type = SL_BOOL;
        out->as.int64 = json_is_true(json) ? 1 : 0;
        return json_is_boolean(json);
    case SYNCLINE_TYPE_DOUBLE:
        return read_double(json, out);
    case SYNCLINE_TYPE_TEXT:
        return read_bytes(json, SL_TEXT, arena, out);
    case SYNCLINE_TYPE_BLOB:
        return read_bytes(json, SL_BLOB, arena, out);
    case SYNCLINE_TYPE_UUID:
    case SYNCLINE_TYPE_KEY:
    case SYNCLINE_TYPE_UUID_KEY:
        return read_uuid(json, arena, out);
    }
    return false;
}

static const char *type_name(enum syncline_type type)
{
    switch (type) {
    case SYNCLINE_TYPE_ID:
    case SYNCLINE_TYPE_INT64:
        return "an integer";
    case SYNCLINE_TYPE_TIME:
        return "a time, as an integer of ms since 1970 UTC";
    case SYNCLINE_TYPE_BOOL:
        return "true or false";
    case SYNCLINE_TYPE_DOUBLE:
        return "a number";
    case SYNCLINE_TYPE_TEXT:
    case SYNCLINE_TYPE_BLOB:
        return "a string or {\"base64\": ...}";
    case SYNCLINE_TYPE_UUID:
    case SYNCLINE_TYPE_KEY:
    case SYNCLINE_TYPE_UUID_KEY:
        return "a UUID, as a string";
    }
    return "known";
}

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

/* ---- The document ---- */

static enum syncline_status wrong_type(const struct record *record, const char *name,
                                       enum syncline_type type, struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_EINVAL, "model '%s': member '%s' must be %s", record->model->name,
                   name, type_name(type));
}

/* The type of the field that travels under this name; false: there is none. */
static bool find_type(const struct sl_model *model, const char *name, enum syncline_type *type)
{
    for (uint32_t i = 0; i < model->field_count; i++) {
        char column[SL_NAME_SIZE_MAX + 6];
        sl_group_column_name(&model->fields[i], column);
        if (strcmp(column, name) == 0) {
            *type = model->fields[i].type;
            return true;
        }
    }
    return false;
}

static enum syncline_status unknown_member(const struct record *record, const char *name,
                                           struct sl_error *err)
{
    const struct sl_model *model = record->model;
    if (strcmp(name, model->id.name) == 0) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "model '%s': member '%s' is another one on every device: leave it out",
                       model->name, name);
    }
    for (uint32_t i = 0; i < model->field_count; i++) {
        if (strcmp(name, model->fields[i].name) == 0) {
            char column[SL_NAME_SIZE_MAX + 6];
            sl_group_column_name(&model->fields[i], column);
            return sl_fail(err, SYNCLINE_EINVAL,
                           "model '%s': instead of member '%s' give '%s', the UUID of that record",
                           model->name, name, column);
        }
    }
    return sl_fail(err, SYNCLINE_EINVAL, "model '%s' has no field '%s'", model->name, name);
}

/* Every member is one that a record of the model can have, and of its type. */
static enum syncline_status check_members(struct record *record, struct sl_error *err)
{
    const struct sl_model *model = record->model;
    const char *name;
    json_t *member;
    json_object_foreach(record->json, name, member)
    {
        struct sl_value value;
        enum syncline_type type = SYNCLINE_TYPE_ID;
        bool is_id = strcmp(name, model->id.name) == 0;
        if (strcmp(name, model->uuid.name) == 0) {
            continue; /* it was read already */
        }
        if (!find_type(model, name, &type) && !(is_id && record->change == SYNCLINE_DELETE)) {
            return unknown_member(record, name, err);
        }
        if (!read_value(type, member, &record->arena, &value)) {
            return wrong_type(record, name, type, err);
        }
    }
    return SYNCLINE_OK;
}

static enum syncline_status read_name(struct record *record, struct sl_error *err)
{
    const char *member = record->model->uuid.name;
    const json_t *json = json_object_get(record->json, member);
    struct sl_value uuid = {.type = SL_NULL};
    if (json == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "model '%s': member '%s', the record's UUID, is missing",
                       record->model->name, member);
    }
    if (!read_value(SYNCLINE_TYPE_UUID, json, &record->arena, &uuid) || uuid.type == SL_NULL) {
        return wrong_type(record, member, SYNCLINE_TYPE_UUID, err);
    }
    memcpy(&record->uuid, uuid.as.data, sizeof(record->uuid));
    syncline_uuid_text(&record->uuid, record->name);
    return SYNCLINE_OK;
}

static enum syncline_status read_document(struct record *record, const struct sl_commit *commit,
                                          struct sl_error *err)
{
    json_error_t error;
    record->json =
        json_loadb(commit->json, commit->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (record->json == NULL) {
        return json_error_code(&error) == json_error_out_of_memory
                   ? sl_fail(err, SYNCLINE_ENOMEM, "no memory to read JSON")
                   : sl_fail(err, SYNCLINE_EINVAL,
                             "the JSON cannot be read: line %d, column %d: %s", error.line,
                             error.column, error.text);
    }
    if (!json_is_object(record->json)) {
        return sl_fail(err, SYNCLINE_EINVAL, "the JSON of a record is an object");
    }
    enum syncline_status status = read_name(record, err);
    return status == SYNCLINE_OK ? check_members(record, err) : status;
}

/* ---- The row ---- */

/* Does the row hold what the JSON says? */
static enum syncline_status compare(struct record *record, const struct sl_value *values,
                                    struct sl_error *err)
{
    const struct sl_model *model = record->model;
    size_t size = model->plain_size;
    for (uint32_t i = 0; i < model->field_count; i++) {
        char column[SL_NAME_SIZE_MAX + 6];
        struct sl_value said;
        sl_group_column_name(&model->fields[i], column);
        const json_t *member = json_object_get(record->json, column);
        bool has_bytes = values[i].type == SL_TEXT || values[i].type == SL_BLOB;
        size += has_bytes ? values[i].size : 0;
        if (member == NULL) {
            continue;
        }
        if (!read_value(model->fields[i].type, member, &record->arena, &said)) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to read JSON");
        }
        if (!is_same(&said, &values[i])) {
            return sl_fail(err, SYNCLINE_EREFUSED,
                           "record %s of model '%s': the row holds another value than member '%s': "
                           "the row is what is sent, so write it first",
                           record->name, model->name, column);
        }
    }
    if (size > SL_RECORD_SIZE_MAX) {
        return sl_fail(err, SYNCLINE_ETOOBIG,
                       "record %s of model '%s' has %zu bytes, %u are allowed", record->name,
                       model->name, size, SL_RECORD_SIZE_MAX);
    }
    return SYNCLINE_OK;
}

static enum syncline_status compare_with_row(struct record *record, struct sl_record_table *table,
                                             struct sl_error *err)
{
    const struct sl_model *model = record->model;
    const struct sl_field *orphan = NULL;
    struct syncline_uuid uuid;
    bool found = false;
    struct sl_value *values =
        sl_arena_alloc(&record->arena, (model->field_count + 1) * sizeof(*values));
    if (values == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a record");
    }
    enum syncline_status status =
        sl_record_read(table, record->id, &record->arena, &found, &uuid, values, &orphan, err);
    if (status == SYNCLINE_OK && orphan != NULL) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "record %s of model '%s': what its column '%s' points at is not in table "
                       "'%s'",
                       record->name, model->name, orphan->name, orphan->parent->table);
    }
    return status == SYNCLINE_OK ? compare(record, values, err) : status;
}

/* The id of a record whose row is deleted already. */
static enum syncline_status read_gone_id(struct record *record, struct sl_record_table *table,
                                         struct sl_error *err)
{
    const struct sl_model *model = record->model;
    const json_t *member = json_object_get(record->json, model->id.name);
    if (!json_is_integer(member)) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "record %s is not in table '%s' any more: give the id that it had there as "
                       "member '%s', or say that it is deleted before its row is",
                       record->name, model->table, model->id.name);
    }
    record->id = json_integer_value(member);
    bool has = false;
    enum syncline_status status = sl_record_has_id(table, record->id, &has, err);
    if (status == SYNCLINE_OK && has) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "record %s of model '%s': id %lld is another record's in table '%s'",
                       record->name, model->name, (long long)record->id, model->table);
    }
    return status;
}

static enum syncline_status check_row(struct record *record, struct sl_record_table *table,
                                      struct sl_error *err)
{
    const struct sl_model *model = record->model;
    bool found = false;
    enum syncline_status status = sl_record_id(table, &record->uuid, &found, &record->id, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (record->change == SYNCLINE_DELETE) {
        const json_t *id = json_object_get(record->json, model->id.name);
        if (found && json_is_integer(id) && json_integer_value(id) != record->id) {
            return sl_fail(err, SYNCLINE_EREFUSED,
                           "record %s of model '%s': the row has another id than member '%s'",
                           record->name, model->name, model->id.name);
        }
        return found ? SYNCLINE_OK : read_gone_id(record, table, err);
    }
    if (!found) {
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "record %s is not in table '%s': write the row first, on this connection",
                       record->name, model->table);
    }
    return compare_with_row(record, table, err);
}

/* Over the caller's connection, on which nothing of ours is left afterwards. */
static enum syncline_status check_on(struct record *record, struct sqlite3 *db,
                                     struct sl_error *err)
{
    struct sl_rows rows = {.tables = NULL};
    sl_rows_borrow(&rows, record->core, db);
    enum syncline_status status = sl_rows_make_tables(&rows, record->core)
                                      ? check_row(record, &rows.tables[record->model->index], err)
                                      : sl_fail(err, SYNCLINE_ENOMEM, "no memory for the tables");
    sl_rows_fini(&rows, record->core->models.count);
    return status;
}

/* ---- The call ---- */

static enum syncline_status check_call(const struct record *record, const struct sl_commit *commit,
                                       const struct sqlite3 *db, struct sl_error *err)
{
    const struct sl_model *model = record->model;
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
    struct record record = {.core = core,
                            .model = sl_model_find(&core->models, commit->model),
                            .change = commit->change};
    struct sl_attached *attached = NULL;
    enum syncline_status status = check_call(&record, commit, db, err);
    if (status == SYNCLINE_OK) { /* before it is touched: is it this thread's? */
        status = sl_attached_find(&capture->attached, capture->path, db, &attached, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_arena_init(&record.arena, core->env->alloc);
    status = read_document(&record, commit, err);
    if (status == SYNCLINE_OK) {
        status = check_on(&record, db, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_capture_named(capture, record.model, record.id, &record.uuid, commit->change,
                                  db, err);
    }
    json_decref(record.json);
    sl_arena_fini(&record.arena);
    return status;
}
