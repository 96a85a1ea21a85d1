/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/json_record.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/base64.h"

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

/* Is it that text? Strings of JSON may hold NUL bytes. */
static bool is_text(const json_t *json, const char *text)
{
    return json_is_string(json) && json_string_length(json) == strlen(text) &&
           memcmp(json_string_value(json), text, strlen(text)) == 0;
}

static bool read_double(const json_t *json, struct sl_value *out)
{
    out->type = SL_DOUBLE;
    if (is_text(json, "Infinity") || is_text(json, "-Infinity")) {
        out->as.real = json_string_value(json)[0] == '-' ? -INFINITY : INFINITY;
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

/* ---- The document ---- */

static enum syncline_status wrong_type(const struct sl_json_record *record, const char *name,
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

static enum syncline_status unknown_member(const struct sl_json_record *record, const char *name,
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
static enum syncline_status check_members(struct sl_json_record *record, struct sl_error *err)
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

static enum syncline_status read_name(struct sl_json_record *record, struct sl_error *err)
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

enum syncline_status sl_json_record_read(struct sl_json_record *record, const char *json,
                                         size_t len, struct sl_error *err)
{
    json_error_t error;
    record->json = json_loadb(json, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
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

enum syncline_status sl_json_record_field(struct sl_json_record *record,
                                          const struct sl_field *field, bool *has,
                                          struct sl_value *value, struct sl_error *err)
{
    char column[SL_NAME_SIZE_MAX + 6];
    sl_group_column_name(field, column);
    const json_t *member = json_object_get(record->json, column);
    *has = member != NULL;
    if (member != NULL && !read_value(field->type, member, &record->arena, value)) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to read JSON"); /* it was read before */
    }
    return SYNCLINE_OK;
}

bool sl_json_record_id(const struct sl_json_record *record, int64_t *id)
{
    const json_t *member = json_object_get(record->json, record->model->id.name);
    if (!json_is_integer(member)) {
        return false;
    }
    *id = json_integer_value(member);
    return true;
}

void sl_json_record_init(struct sl_json_record *record, const struct sl_allocator *alloc,
                         const struct sl_model *model, enum syncline_change change)
{
    *record = (struct sl_json_record){.model = model, .change = change};
    sl_arena_init(&record->arena, alloc);
}

void sl_json_record_fini(struct sl_json_record *record)
{
    json_decref(record->json);
    sl_arena_fini(&record->arena);
}
