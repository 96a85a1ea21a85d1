/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/model.h"

#include "base/group.h"
#include "base/struct_take.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static size_t opt_size(enum syncline_type type)
{
    switch (type) {
    case SYNCLINE_TYPE_DOUBLE:
        return sizeof(struct syncline_opt_double);
    case SYNCLINE_TYPE_BOOL:
        return sizeof(struct syncline_opt_bool);
    case SYNCLINE_TYPE_UUID_KEY:
        return sizeof(struct syncline_opt_uuid);
    default:
        return sizeof(struct syncline_opt_int64);
    }
}

static size_t member_size(enum syncline_type type, enum syncline_form form)
{
    switch (form) {
    case SYNCLINE_FORM_OPT:
        return opt_size(type);
    case SYNCLINE_FORM_CSTR:
        return sizeof(const char *);
    case SYNCLINE_FORM_COUNTED:
        return sizeof(struct syncline_bytes);
    case SYNCLINE_FORM_PLAIN:
        break;
    }
    switch (type) {
    case SYNCLINE_TYPE_UUID:
    case SYNCLINE_TYPE_UUID_KEY:
        return sizeof(struct syncline_uuid);
    case SYNCLINE_TYPE_DOUBLE:
        return sizeof(double);
    case SYNCLINE_TYPE_BOOL:
        return sizeof(bool);
    default:
        return sizeof(int64_t);
    }
}

/* Which forms a type may have: what the macros of the public header can produce. */
static bool form_fits(enum syncline_type type, enum syncline_form form)
{
    switch (type) {
    case SYNCLINE_TYPE_ID:
    case SYNCLINE_TYPE_UUID:
        return form == SYNCLINE_FORM_PLAIN;
    case SYNCLINE_TYPE_INT64:
    case SYNCLINE_TYPE_TIME:
    case SYNCLINE_TYPE_KEY:
    case SYNCLINE_TYPE_DOUBLE:
    case SYNCLINE_TYPE_BOOL:
    case SYNCLINE_TYPE_UUID_KEY:
        return form == SYNCLINE_FORM_PLAIN || form == SYNCLINE_FORM_OPT;
    case SYNCLINE_TYPE_TEXT:
        return form == SYNCLINE_FORM_CSTR || form == SYNCLINE_FORM_COUNTED;
    case SYNCLINE_TYPE_BLOB:
        return form == SYNCLINE_FORM_COUNTED;
    }
    return false;
}

_Static_assert(SL_FIELD_COUNT_MAX <= UINT8_MAX + 1, "sl_model.strings holds places of fields");

static bool name_ok(const char *name)
{
    return name != NULL && name[0] != '\0' && strlen(name) <= SL_NAME_SIZE_MAX;
}

static bool is_key(const struct sl_field *field)
{
    return field->type == SYNCLINE_TYPE_KEY || field->type == SYNCLINE_TYPE_UUID_KEY;
}

/* The i-th field, which the application's compiler laid out in its own way. */
static enum syncline_status take_field(const struct syncline_model *model, uint32_t i,
                                       struct syncline_field *field, struct sl_error *err)
{
    return sl_struct_take(
        field, sizeof(*field), (const char *)model->fields + (size_t)i * model->field_size,
        model->field_size, SL_SIZE_UP_TO(struct syncline_field, form), "the SYNCLINE_ macros", err);
}

/* The same once it is known that it can be taken. */
static struct syncline_field described_field(const struct syncline_model *model, uint32_t i)
{
    struct syncline_field field = {0};
    (void)take_field(model, i, &field, NULL);
    return field;
}

static enum syncline_status field_init(struct sl_model *model, const struct syncline_model *from,
                                       uint32_t i, struct sl_error *err)
{
    struct syncline_field given = {0};
    enum syncline_status status = take_field(from, i, &given, err);
    if (status != SYNCLINE_OK) {
        return sl_fail_prefix(err, SYNCLINE_EMODEL, "model '%s': field %u", model->name, i);
    }
    if (!name_ok(given.name)) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s': field %u has no name, or one over %u bytes", model->name, i,
                       SL_NAME_SIZE_MAX);
    }
    struct sl_field field = {.name = given.name,
                             .offset = given.offset,
                             .type = (enum syncline_type)given.type,
                             .form = (enum syncline_form)given.form};
    if (!form_fits(field.type, field.form)) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': type %u in form %u does not exist; describe fields "
                       "by the SYNCLINE_ macros",
                       model->name, field.name, given.type, given.form);
    }
    size_t size = member_size(field.type, field.form);
    if (field.offset > model->row_size || size > model->row_size - field.offset) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': lies outside the row struct; are the fields of "
                       "another struct?",
                       model->name, field.name);
    }
    for (uint32_t k = 0; k < i; k++) {
        if (strcmp(described_field(from, k).name, field.name) == 0) {
            return sl_fail(err, SYNCLINE_EMODEL, "model '%s', field '%s': described twice",
                           model->name, field.name);
        }
    }
    if (is_key(&field) != (given.parent != NULL)) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': a key needs the name of its parent model, other "
                       "fields have none",
                       model->name, field.name);
    }
    if (field.type == SYNCLINE_TYPE_ID || field.type == SYNCLINE_TYPE_UUID) {
        struct sl_field *only = field.type == SYNCLINE_TYPE_ID ? &model->id : &model->uuid;
        if (only->name != NULL) {
            return sl_fail(err, SYNCLINE_EMODEL,
                           "model '%s', field '%s': a second %s; one is right", model->name,
                           field.name,
                           field.type == SYNCLINE_TYPE_ID ? "SYNCLINE_ID" : "SYNCLINE_UUID");
        }
        *only = field;
        return SYNCLINE_OK;
    }
    model->key_count += is_key(&field) ? 1u : 0u;
    if (field.form == SYNCLINE_FORM_CSTR || field.form == SYNCLINE_FORM_COUNTED) {
        model->strings[model->string_count++] = (uint8_t)model->field_count;
    }
    if (field.type == SYNCLINE_TYPE_UUID_KEY) {
        model->plain_size += (uint32_t)sizeof(struct syncline_uuid);
    }
    model->fields[model->field_count++] = field;
    return SYNCLINE_OK;
}

static enum syncline_status check_two_names(const struct sl_model *model,
                                            const struct sl_field *field,
                                            const struct sl_field *other, struct sl_error *err)
{
    char name[SL_NAME_SIZE_MAX + 6];
    char other_name[SL_NAME_SIZE_MAX + 6];
    sl_group_column_name(field, name);
    sl_group_column_name(other, other_name);
    if (strcmp(name, other_name) != 0) {
        return SYNCLINE_OK;
    }
    return sl_fail(err, SYNCLINE_EMODEL,
                   "model '%s', field '%s': it would travel as '%s', as field '%s' does: rename "
                   "one of them",
                   model->name, field->name, name, other->name);
}

/* A key travels under a name of its own (base/group.h), which may be that of another field. Records
 * as JSON have the UUID beside the fields, and deletes the id. */
static enum syncline_status check_column_names(const struct sl_model *model, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t i = 0; i < model->field_count && status == SYNCLINE_OK; i++) {
        const struct sl_field *field = &model->fields[i];
        status = check_two_names(model, field, &model->uuid, err);
        if (status == SYNCLINE_OK) {
            status = check_two_names(model, field, &model->id, err);
        }
        for (uint32_t k = 0; k < i && status == SYNCLINE_OK; k++) {
            status = check_two_names(model, field, &model->fields[k], err);
        }
    }
    return status;
}

static enum syncline_status model_init(struct sl_model *model, const struct sl_allocator *alloc,
                                       const struct syncline_model *described, struct sl_error *err)
{
    struct syncline_model taken = {0};
    const struct syncline_model *from = &taken;
    if (described == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL, "model %u is NULL: make it by SYNCLINE_MODEL",
                       model->index);
    }
    enum syncline_status status =
        sl_struct_take(&taken, sizeof(taken), described, described->struct_size,
                       SL_SIZE_UP_TO(struct syncline_model, flags), "SYNCLINE_MODEL", err);
    if (status != SYNCLINE_OK) {
        return sl_fail_prefix(err, SYNCLINE_EMODEL, "model %u", model->index);
    }
    if (!name_ok(from->name) || !name_ok(from->table)) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model %u: name and table must have 1 to %u bytes each", model->index,
                       SL_NAME_SIZE_MAX);
    }
    model->described = described;
    model->name = from->name;
    model->table = from->table;
    model->row_size = from->row_size;
    if (from->ownership != SYNCLINE_SHARED && from->ownership != SYNCLINE_DEVICE_OWNED) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s': ownership %u does not exist; give SYNCLINE_SHARED or "
                       "SYNCLINE_DEVICE_OWNED",
                       from->name, from->ownership);
    }
    model->ownership = (enum syncline_ownership)from->ownership;
    if (from->flags != 0) {
        return sl_fail(err, SYNCLINE_EMODEL, "model '%s': flags %u are not known to this version",
                       from->name, from->flags);
    }
    if (from->fields == NULL || from->field_count == 0 || from->field_count > SL_FIELD_COUNT_MAX) {
        return sl_fail(err, SYNCLINE_EMODEL, "model '%s': 1 to %u fields are allowed, not %u",
                       from->name, SL_FIELD_COUNT_MAX, from->field_count);
    }
    model->fields = sl_calloc(alloc, from->field_count, sizeof(*model->fields));
    if (model->fields == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the models");
    }
    for (uint32_t i = 0; i < from->field_count; i++) {
        status = field_init(model, from, i, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    if (model->id.name == NULL || model->uuid.name == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL, "model '%s': no field is a %s; every record has one",
                       model->name, model->id.name == NULL ? "SYNCLINE_ID" : "SYNCLINE_UUID");
    }
    return check_column_names(model, err);
}

static enum syncline_status link_parents(struct sl_model_set *set, struct sl_model *model,
                                         struct sl_error *err)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < model->described->field_count; i++) {
        struct syncline_field given = described_field(model->described, i);
        if (given.type == SYNCLINE_TYPE_ID || given.type == SYNCLINE_TYPE_UUID) {
            continue;
        }
        struct sl_field *field = &model->fields[at++];
        if (given.parent == NULL) {
            continue;
        }
        field->parent = sl_model_find_name(set, given.parent, strlen(given.parent));
        if (field->parent == NULL) {
            return sl_fail(err, SYNCLINE_EMODEL,
                           "model '%s', field '%s': its parent model '%s' is not among the models "
                           "given",
                           model->name, field->name, given.parent);
        }
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_model_set_init(struct sl_model_set *set, const struct sl_allocator *alloc,
                                       const struct syncline_model *const *described, size_t count,
                                       struct sl_error *err)
{
    struct sl_model_set made = {.alloc = alloc};
    if (count > SL_MODEL_COUNT_MAX || (count > 0 && described == NULL)) {
        return sl_fail(err, SYNCLINE_EMODEL, "at most %u models are allowed, not %zu",
                       SL_MODEL_COUNT_MAX, count);
    }
    made.models = sl_calloc(alloc, count > 0 ? count : 1, sizeof(*made.models));
    if (made.models == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the models");
    }
    made.count = count;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        made.models[i].index = (uint32_t)i;
        status = model_init(&made.models[i], alloc, described[i], err);
        for (size_t k = 0; k < i && status == SYNCLINE_OK; k++) {
            if (strcmp(made.models[k].name, made.models[i].name) == 0 ||
                strcasecmp(made.models[k].table, made.models[i].table) == 0) {
                status = sl_fail(err, SYNCLINE_EMODEL,
                                 "model '%s' of table '%s': its name or its table is already used "
                                 "by model '%s'",
                                 made.models[i].name, made.models[i].table, made.models[k].name);
            }
        }
    }
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        status = link_parents(&made, &made.models[i], err);
    }
    if (status != SYNCLINE_OK) {
        sl_model_set_fini(&made);
        return status;
    }
    *set = made;
    return SYNCLINE_OK;
}

void sl_model_set_fini(struct sl_model_set *set)
{
    for (size_t i = 0; i < set->count && set->models != NULL; i++) {
        sl_free(set->alloc, set->models[i].fields);
    }
    sl_free(set->alloc, set->models);
    set->models = NULL;
    set->count = 0;
}

struct sl_model *sl_model_find(const struct sl_model_set *set,
                               const struct syncline_model *described)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->models[i].described == described) {
            return &set->models[i];
        }
    }
    return NULL;
}

struct sl_model *sl_model_find_name(const struct sl_model_set *set, const char *name, size_t len)
{
    for (size_t i = 0; i < set->count; i++) {
        const char *known = set->models[i].name;
        if (known != NULL && strlen(known) == len && memcmp(known, name, len) == 0) {
            return &set->models[i];
        }
    }
    return NULL;
}

static struct sl_value counted_value(enum sl_value_type type, const void *data, size_t size)
{
    struct sl_value value = {.type = SL_NULL};
    if (data != NULL) {
        value.type = type;
        value.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
        value.as.data = data;
    }
    return value;
}

/* Of the forms syncline_opt_*. */
static struct sl_value opt_value(enum syncline_type type, const void *at)
{
    struct sl_value value = {.type = SL_NULL};
    switch (type) {
    case SYNCLINE_TYPE_DOUBLE: {
        const struct syncline_opt_double *opt = at;
        value.type = opt->is_set ? SL_DOUBLE : SL_NULL;
        value.as.real = opt->value;
        return value;
    }
    case SYNCLINE_TYPE_BOOL: {
        const struct syncline_opt_bool *opt = at;
        value.type = opt->is_set ? SL_BOOL : SL_NULL;
        value.as.int64 = opt->is_set && opt->value ? 1 : 0;
        return value;
    }
    case SYNCLINE_TYPE_UUID_KEY: {
        const struct syncline_opt_uuid *opt = at;
        return opt->is_set ? counted_value(SL_BLOB, &opt->value, sizeof(opt->value)) : value;
    }
    default: {
        const struct syncline_opt_int64 *opt = at;
        value.type = opt->is_set ? SL_INT64 : SL_NULL;
        value.as.int64 = opt->value;
        return value;
    }
    }
}

struct sl_value sl_field_get(const struct sl_field *field, const void *row)
{
    const void *at = (const char *)row + field->offset;
    struct sl_value value = {.type = SL_NULL};
    switch (field->form) {
    case SYNCLINE_FORM_OPT:
        return opt_value(field->type, at);
    case SYNCLINE_FORM_CSTR: {
        const char *text = *(const char *const *)at;
        return counted_value(SL_TEXT, text, text != NULL ? strlen(text) : 0);
    }
    case SYNCLINE_FORM_COUNTED: {
        const struct syncline_bytes *bytes = at; /* syncline_text has the same layout */
        return counted_value(field->type == SYNCLINE_TYPE_TEXT ? SL_TEXT : SL_BLOB, bytes->data,
                             bytes->len);
    }
    case SYNCLINE_FORM_PLAIN:
        break;
    }
    switch (field->type) {
    case SYNCLINE_TYPE_UUID:
    case SYNCLINE_TYPE_UUID_KEY:
        return counted_value(SL_BLOB, at, sizeof(struct syncline_uuid));
    case SYNCLINE_TYPE_DOUBLE:
        value.type = SL_DOUBLE;
        value.as.real = *(const double *)at;
        return value;
    case SYNCLINE_TYPE_BOOL:
        value.type = SL_BOOL;
        value.as.int64 = *(const bool *)at ? 1 : 0;
        return value;
    default:
        value.type = SL_INT64;
        value.as.int64 = *(const int64_t *)at;
        return value;
    }
}

_Static_assert(sizeof(struct syncline_text) == sizeof(struct syncline_bytes),
               "read through one another");

bool sl_field_is_null(const struct sl_field *field, const void *row)
{
    const void *at = (const char *)row + field->offset;
    switch (field->form) {
    case SYNCLINE_FORM_OPT:
        return opt_value(field->type, at).type == SL_NULL;
    case SYNCLINE_FORM_CSTR:
    case SYNCLINE_FORM_COUNTED: /* whose pointer comes first */
        return *(const void *const *)at == NULL;
    case SYNCLINE_FORM_PLAIN:
        break;
    }
    return false;
}

void sl_model_set_required(struct sl_model *model)
{
    model->required_count = 0;
    for (uint32_t i = 0; i < model->field_count; i++) {
        if (model->fields[i].not_null && model->fields[i].form != SYNCLINE_FORM_PLAIN) {
            model->required[model->required_count++] = (uint8_t)i;
        }
    }
}

bool sl_value_fits(enum syncline_type field, const struct sl_value *value)
{
    switch (value->type) {
    case SL_NULL:
        return true;
    case SL_INT64:
        return field == SYNCLINE_TYPE_INT64 || field == SYNCLINE_TYPE_TIME;
    case SL_DOUBLE:
        return field == SYNCLINE_TYPE_DOUBLE;
    case SL_BOOL:
        return field == SYNCLINE_TYPE_BOOL;
    case SL_TEXT:
        return field == SYNCLINE_TYPE_TEXT;
    case SL_BLOB:
        if (field == SYNCLINE_TYPE_KEY || field == SYNCLINE_TYPE_UUID_KEY) {
            return value->size == sizeof(struct syncline_uuid);
        }
        return field == SYNCLINE_TYPE_BLOB;
    }
    return false;
}

int64_t sl_row_id(const struct sl_model *model, const void *row)
{
    return *(const int64_t *)(const void *)((const char *)row + model->id.offset);
}

struct syncline_uuid sl_row_uuid(const struct sl_model *model, const void *row)
{
    struct syncline_uuid uuid;
    memcpy(&uuid, (const char *)row + model->uuid.offset, sizeof(uuid));
    return uuid;
}
