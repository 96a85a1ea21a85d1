/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/capture_check.h"

#include "base/vector.h"

/* "SELECT uuid IS ?2, a IS ?3, ... FROM t WHERE id=?1": 1 where row and struct agree. COLLATE,
 * since a column may call texts equal that differ in case. */
static char *make_sql(const struct sl_db *db, const struct sl_model *model)
{
    sqlite3_str *sql = sqlite3_str_new(db->handle);
    sqlite3_str_appendf(sql, "SELECT \"%w\" IS ?2", model->uuid.name);
    for (uint32_t i = 0; i < model->field_count; i++) {
        sqlite3_str_appendf(sql, ",\"%w\" COLLATE BINARY IS ?%u", model->fields[i].name, i + 3);
    }
    sqlite3_str_appendf(sql, " FROM \"%w\" WHERE \"%w\"=?1", model->table, model->id.name);
    return sqlite3_str_finish(sql);
}

/* Nothing is copied, so that it cannot fail for memory; what is over SQLite's size is NULL here,
 * and the row cannot hold it. */
static void bind(sqlite3_stmt *stmt, int at, const struct sl_value *value)
{
    switch (value->type) {
    case SL_NULL:
        (void)sqlite3_bind_null(stmt, at);
        return;
    case SL_INT64:
    case SL_BOOL:
        (void)sqlite3_bind_int64(stmt, at, value->as.int64);
        return;
    case SL_DOUBLE:
        (void)sqlite3_bind_double(stmt, at, value->as.real);
        return;
    case SL_TEXT:
        (void)sqlite3_bind_text64(stmt, at, value->as.data, value->size, SQLITE_STATIC,
                                  SQLITE_UTF8);
        return;
    case SL_BLOB:
        (void)sqlite3_bind_blob64(stmt, at, value->as.data, value->size, SQLITE_STATIC);
        return;
    }
}

/* The first column that differs, or NULL. */
static const char *find_difference(sqlite3_stmt *stmt, const struct sl_model *model)
{
    if (sqlite3_column_int(stmt, 0) != 1) {
        return model->uuid.name;
    }
    for (uint32_t i = 0; i < model->field_count; i++) {
        if (sqlite3_column_int(stmt, (int)i + 1) != 1) {
            return model->fields[i].name;
        }
    }
    return NULL;
}

static enum syncline_status check_row(const struct sl_db *db, sqlite3_stmt *stmt,
                                      const struct sl_model *model, const void *row,
                                      struct sl_error *err)
{
    struct syncline_uuid uuid = sl_row_uuid(model, row);
    int64_t id = sl_row_id(model, row);
    (void)sqlite3_bind_int64(stmt, 1, id);
    sl_bind_uuid(stmt, 2, &uuid);
    for (uint32_t i = 0; i < model->field_count; i++) {
        struct sl_value value = sl_field_get(&model->fields[i], row);
        bind(stmt, (int)i + 3, &value);
    }
    bool found = false;
    enum syncline_status status = sl_db_row(db, stmt, &found, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    const char *wrong = found ? find_difference(stmt, model) : model->id.name;
    sl_db_reset(stmt);
    if (wrong == NULL) {
        return SYNCLINE_OK;
    }
    char name[37];
    sl_uuid_format(&uuid, name);
    if (!found) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "record %s of model '%s': table '%s' has no row with '%s' %lld, which the "
                       "struct says (check_captures)",
                       name, model->name, model->table, wrong, (long long)id);
    }
    return sl_fail(err, SYNCLINE_EINVAL,
                   "record %s of model '%s': field '%s' of the struct is not what row %lld of "
                   "table '%s' holds (check_captures)",
                   name, model->name, wrong, (long long)id, model->table);
}

enum syncline_status sl_capture_check(const struct sl_db *db, const struct sl_model *model,
                                      const void *rows, uint32_t n, struct sl_error *err)
{
    char *sql = make_sql(db, model);
    if (sql == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a statement");
    }
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(db, sql, false, &stmt, err);
    sqlite3_free(sql);
    const uint8_t *row = rows;
    for (uint32_t i = 0; i < n && status == SYNCLINE_OK; i++, row += model->row_size) {
        status = check_row(db, stmt, model, row, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}
