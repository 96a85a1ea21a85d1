/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_schema.h"

#include "tests/sim/sim_world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Names a C struct may have and SQL must quote, among plain ones. */
static const char *const column_names[] = {"order", "size",  "group", "title", "values", "body",
                                           "flag",  "score", "index", "made",  "note",   "who"};
static const char *const table_names[] = {"alpha", "select", "my table", "we\"ird"};

_Static_assert(sizeof(column_names) / sizeof(column_names[0]) >= SL_SIM_COLUMNS_MAX, "names");
_Static_assert(sizeof(table_names) / sizeof(table_names[0]) == SL_SIM_MODELS_MAX, "names");

struct text {
    char *data;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int more = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text->data = sl_sim_realloc(text->data, text->len + (size_t)more + 1);
    va_start(args, format);
    vsnprintf(text->data + text->len, (size_t)more + 1, format, args);
    va_end(args);
    text->len += (size_t)more;
}

static void append_name(struct text *text, const char *name)
{
    append(text, "\"");
    for (; *name != '\0'; name++) {
        append(text, "%s%c", *name == '"' ? "\"" : "", *name);
    }
    append(text, "\"");
}

/* ---- Columns ------------------------------------------------------------------------------ */

static uint32_t member_size(const struct sl_sim_column *column)
{
    switch (column->form) {
    case SYNCLINE_FORM_OPT:
        return column->type == SYNCLINE_TYPE_BOOL       ? sizeof(struct syncline_opt_bool)
               : column->type == SYNCLINE_TYPE_UUID_KEY ? sizeof(struct syncline_opt_uuid)
                                                        : sizeof(struct syncline_opt_int64);
    case SYNCLINE_FORM_CSTR:
        return sizeof(const char *);
    case SYNCLINE_FORM_COUNTED:
        return sizeof(struct syncline_bytes);
    case SYNCLINE_FORM_PLAIN:
        break;
    }
    switch (column->type) {
    case SYNCLINE_TYPE_BOOL:
        return sizeof(bool);
    case SYNCLINE_TYPE_UUID_KEY:
        return sizeof(struct syncline_uuid);
    default:
        return sizeof(int64_t);
    }
}

static uint32_t place(uint32_t *end, uint32_t size)
{
    uint32_t align = size % 8 == 0 ? 8 : 1; /* only bool is smaller than a pointer */
    *end = (*end + align - 1) / align * align;
    uint32_t offset = *end;
    *end += size;
    return offset;
}

static void draw_value_column(struct sl_sim_column *column, struct sl_sim_random *random)
{
    static const enum syncline_type types[] = {
        SYNCLINE_TYPE_INT64, SYNCLINE_TYPE_DOUBLE, SYNCLINE_TYPE_BOOL, SYNCLINE_TYPE_TIME,
        SYNCLINE_TYPE_TEXT,  SYNCLINE_TYPE_TEXT,   SYNCLINE_TYPE_BLOB};
    column->type = types[sl_sim_random_below(random, sizeof(types) / sizeof(types[0]))];
    bool coin = sl_sim_random_percent(random, 50);
    switch (column->type) {
    case SYNCLINE_TYPE_TEXT:
        column->form = coin ? SYNCLINE_FORM_CSTR : SYNCLINE_FORM_COUNTED;
        break;
    case SYNCLINE_TYPE_BLOB:
        column->form = SYNCLINE_FORM_COUNTED;
        break;
    default:
        column->form = coin ? SYNCLINE_FORM_OPT : SYNCLINE_FORM_PLAIN;
        break;
    }
    column->nullable = column->form != SYNCLINE_FORM_PLAIN && sl_sim_random_percent(random, 70);
    column->parent = SL_SIM_NO_MODEL;
}

/* A key points at an earlier table or, if it may be NULL, at its own. */
static void draw_key_column(struct sl_sim_column *column, uint32_t model,
                            struct sl_sim_random *random)
{
    column->type = SYNCLINE_TYPE_KEY;
    column->parent = (uint32_t)sl_sim_random_below(random, model + 1u);
    column->nullable = column->parent == model || sl_sim_random_percent(random, 50);
    column->form = column->nullable ? SYNCLINE_FORM_OPT : SYNCLINE_FORM_PLAIN;
    if (column->parent != model && sl_sim_random_percent(random, 15)) {
        column->type = SYNCLINE_TYPE_UUID_KEY;
    }
}

static const char *sql_type(const struct sl_sim_column *column)
{
    switch (column->type) {
    case SYNCLINE_TYPE_DOUBLE:
        return "REAL";
    case SYNCLINE_TYPE_TEXT:
        return "TEXT";
    case SYNCLINE_TYPE_BLOB:
    case SYNCLINE_TYPE_UUID_KEY:
        return "BLOB";
    default:
        return "INTEGER";
    }
}

/* ---- Models ------------------------------------------------------------------------------- */

static void shuffle_fields(struct sl_sim_model *model, uint32_t count, struct sl_sim_random *random)
{
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t k = (uint32_t)sl_sim_random_below(random, i + 1u);
        struct syncline_field swap = model->fields[i];
        model->fields[i] = model->fields[k];
        model->fields[k] = swap;
    }
}

static void describe(struct sl_sim_schema *schema, struct sl_sim_model *model,
                     struct sl_sim_random *random)
{
    uint32_t end = 0;
    model->id_offset = place(&end, sizeof(int64_t));
    for (uint32_t i = 0; i < model->columns_len; i++) {
        model->columns[i].offset = place(&end, member_size(&model->columns[i]));
    }
    model->uuid_offset = place(&end, sizeof(struct syncline_uuid));
    model->row_size = (end + 7) / 8 * 8;
    uint32_t count = 0;
    model->fields[count++] =
        (struct syncline_field){.name = "id", .offset = model->id_offset, .type = SYNCLINE_TYPE_ID};
    model->fields[count++] = (struct syncline_field){
        .name = "uuid", .offset = model->uuid_offset, .type = SYNCLINE_TYPE_UUID};
    for (uint32_t i = 0; i < model->columns_len; i++) {
        const struct sl_sim_column *column = &model->columns[i];
        model->fields[count++] = (struct syncline_field){
            .name = column->name,
            .parent =
                column->parent != SL_SIM_NO_MODEL ? schema->models[column->parent].name : NULL,
            .offset = column->offset,
            .type = (uint16_t)column->type,
            .form = (uint16_t)column->form,
        };
    }
    shuffle_fields(model, count, random);
    model->described = (struct syncline_model){
        .struct_size = sizeof(struct syncline_model),
        .field_size = sizeof(struct syncline_field),
        .name = model->name,
        .table = model->table,
        .fields = model->fields,
        .field_count = count,
        .row_size = model->row_size,
        .ownership = model->shared ? SYNCLINE_SHARED : SYNCLINE_DEVICE_OWNED,
    };
}

static void write_sql(const struct sl_sim_schema *schema, struct sl_sim_model *model, bool strict)
{
    struct text table = {0};
    append_name(&table, model->table);
    struct text create = {0};
    append(&create, "CREATE TABLE %s(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE",
           table.data);
    struct text insert = {0};
    append(&insert, "INSERT INTO %s(id,uuid", table.data);
    struct text update = {0};
    append(&update, "UPDATE %s SET ", table.data);
    for (uint32_t i = 0; i < model->columns_len; i++) {
        const struct sl_sim_column *column = &model->columns[i];
        append(&create, ",");
        append_name(&create, column->name);
        append(&create, " %s%s", sql_type(column), column->nullable ? "" : " NOT NULL");
        if (column->parent != SL_SIM_NO_MODEL) {
            append(&create, " REFERENCES ");
            append_name(&create, schema->models[column->parent].table);
            append(&create, "(%s)", column->type == SYNCLINE_TYPE_KEY ? "id" : "uuid");
        }
        append(&insert, ",");
        append_name(&insert, column->name);
        append(&update, "%s", i > 0 ? "," : "");
        append_name(&update, column->name);
        append(&update, "=?%u", i + 3);
    }
    if (model->has_local) {
        append(&create, ",local_note INTEGER DEFAULT 7");
        append(&insert, ",local_note");
    }
    append(&create, ")%s", strict ? " STRICT" : "");
    for (uint32_t i = 0; i < model->columns_len; i++) {
        if (model->columns[i].parent != SL_SIM_NO_MODEL) {
            append(&create, ";CREATE INDEX key_%u_%u ON %s(", model->index, i, table.data);
            append_name(&create, model->columns[i].name);
            append(&create, ")");
        }
    }
    append(&insert, ") VALUES(?1,?2");
    for (uint32_t i = 0; i < model->columns_len + (model->has_local ? 1u : 0u); i++) {
        append(&insert, ",?%u", i + 3);
    }
    append(&insert, ")");
    append(&update, " WHERE id=?1");
    struct text delete = {0};
    append(&delete, "DELETE FROM %s WHERE id=?1", table.data);
    struct text count = {0};
    append(&count, "SELECT count(*),coalesce(max(id),0) FROM %s", table.data);
    struct text page = {0};
    append(&page, "SELECT id,uuid,rev FROM %s ORDER BY id LIMIT ?1 OFFSET ?2", table.data);
    struct text find = {0};
    append(&find, "SELECT id FROM %s WHERE uuid=?1", table.data);
    model->create_sql = create.data;
    model->insert_sql = insert.data;
    model->update_sql = update.data;
    model->delete_sql = delete.data;
    model->count_sql = count.data;
    model->page_sql = page.data;
    model->find_sql = find.data;
    free(table.data);
}

static void model_init(struct sl_sim_schema *schema, uint32_t index, struct sl_sim_random *random)
{
    struct sl_sim_model *model = &schema->models[index];
    model->index = index;
    snprintf(model->name, sizeof(model->name), "model %u", index);
    snprintf(model->table, sizeof(model->table), "%s", table_names[index]);
    model->shared = sl_sim_random_percent(random, 60);
    model->has_local = sl_sim_random_percent(random, 30);
    uint32_t keys =
        sl_sim_random_percent(random, 30) ? 0 : (uint32_t)sl_sim_random_range(random, 1, 2);
    uint32_t values = (uint32_t)sl_sim_random_range(random, 0, 8);
    model->columns[0] =
        (struct sl_sim_column){.type = SYNCLINE_TYPE_INT64, .parent = SL_SIM_NO_MODEL};
    model->columns_len = 1;
    uint32_t taken = (uint32_t)sl_sim_random_below(random, SL_SIM_COLUMNS_MAX);
    for (uint32_t i = 0; i < keys + values; i++) {
        struct sl_sim_column *column = &model->columns[model->columns_len++];
        if (i < keys) {
            draw_key_column(column, index, random);
            model->has_keys = true;
        } else {
            draw_value_column(column, random);
        }
        snprintf(column->name, sizeof(column->name), "%s",
                 column_names[(taken + i) % SL_SIM_COLUMNS_MAX]);
    }
    /* Keys and values in any order, rev at its place in front. */
    for (uint32_t i = model->columns_len - 1; i > 1; i--) {
        uint32_t k = 1 + (uint32_t)sl_sim_random_below(random, i);
        struct sl_sim_column swap = model->columns[i];
        model->columns[i] = model->columns[k];
        model->columns[k] = swap;
    }
    snprintf(model->columns[0].name, sizeof(model->columns[0].name), "rev");
    describe(schema, model, random);
    write_sql(schema, model, sl_sim_random_percent(random, 20));
    schema->list[index] = &model->described;
}

void sl_sim_schema_init(struct sl_sim_schema *schema, struct sl_sim_random *random)
{
    memset(schema, 0, sizeof(*schema));
    schema->models_len = (uint32_t)sl_sim_random_range(random, 1, SL_SIM_MODELS_MAX);
    for (uint32_t i = 0; i < schema->models_len; i++) {
        model_init(schema, i, random);
    }
}

void sl_sim_schema_fini(struct sl_sim_schema *schema)
{
    for (uint32_t i = 0; i < schema->models_len; i++) {
        struct sl_sim_model *model = &schema->models[i];
        free(model->create_sql);
        free(model->insert_sql);
        free(model->update_sql);
        free(model->delete_sql);
        free(model->count_sql);
        free(model->page_sql);
        free(model->find_sql);
    }
}

char *sl_sim_synced_sql(const struct sl_sim_schema *schema, const struct sl_sim_model *model,
                        const char *database, bool typed)
{
    struct text sql = {0};
    append(&sql, "SELECT r.uuid");
    for (uint32_t i = 0; i < model->columns_len; i++) {
        const struct sl_sim_column *column = &model->columns[i];
        if (column->type == SYNCLINE_TYPE_KEY) {
            append(&sql, ",(SELECT p.uuid FROM %s.", database);
            append_name(&sql, schema->models[column->parent].table);
            append(&sql, " AS p WHERE p.id=r.");
            append_name(&sql, column->name);
            append(&sql, ")");
        } else {
            append(&sql, ",r.");
            append_name(&sql, column->name);
        }
        if (typed) {
            append(&sql, ",typeof(r.");
            append_name(&sql, column->name);
            append(&sql, ")");
        }
    }
    append(&sql, " FROM %s.", database);
    append_name(&sql, model->table);
    append(&sql, " AS r");
    return sql.data;
}
