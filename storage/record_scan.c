/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/record_scan.h"

/* ---- How far it is ---- */

/* One statement with the model's number as ?1 and `value` as ?2, if it has that. */
static enum syncline_status prepare(struct sl_library_db *ldb, const char *sql,
                                    const struct sl_model *model, int64_t value,
                                    sqlite3_stmt **stmt, struct sl_error *err)
{
    enum syncline_status status = sl_db_prepare(&ldb->db, sql, false, stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(*stmt, 1, model->id_in_db);
        (void)sqlite3_bind_int64(*stmt, 2, value);
    }
    return status;
}

static enum syncline_status change(struct sl_library_db *ldb, const char *sql,
                                   const struct sl_model *model, int64_t value,
                                   struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = prepare(ldb, sql, model, value, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_run(&ldb->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_scan_mark_get(struct sl_library_db *ldb, const struct sl_model *model,
                                      bool *found, struct sl_scan_mark *mark, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status =
        prepare(ldb, "SELECT after,up_to FROM _syncline_scan WHERE model=?1", model, 0, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&ldb->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK && row) {
        mark->after = sqlite3_column_int64(stmt, 0);
        mark->up_to = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_finalize(stmt);
    *found = row;
    return status;
}

enum syncline_status sl_scan_mark_put(struct sl_library_db *ldb, const struct sl_model *model,
                                      int64_t after, struct sl_error *err)
{
    return change(ldb, "UPDATE _syncline_scan SET after=?2 WHERE model=?1", model, after, err);
}

enum syncline_status sl_scan_mark_open(struct sl_library_db *ldb, const struct sl_model *model,
                                       const struct sl_scan_mark *mark, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb, "INSERT OR REPLACE INTO _syncline_scan(model,after,up_to) VALUES(?1,?2,?3)",
                model, mark->after, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 3, mark->up_to);
        status = sl_db_run(&ldb->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_scan_mark_remove(struct sl_library_db *ldb, const struct sl_model *model,
                                         struct sl_error *err)
{
    return change(ldb, "DELETE FROM _syncline_scan WHERE model=?1", model, 0, err);
}

enum syncline_status sl_scan_is_done(struct sl_library_db *ldb, const struct sl_model_set *set,
                                     bool *done, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    bool any = false;
    for (size_t i = 0; i < set->count && status == SYNCLINE_OK && !any; i++) {
        struct sl_scan_mark mark;
        status = sl_scan_mark_get(ldb, &set->models[i], &any, &mark, err);
    }
    if (status == SYNCLINE_OK) {
        *done = !any;
    }
    return status;
}

static enum syncline_status count_model(struct sl_library_db *ldb, const struct sl_model *model,
                                        uint64_t *rows, struct sl_error *err)
{
    struct sl_scan_mark mark;
    bool found = false;
    enum syncline_status status = sl_scan_mark_get(ldb, model, &found, &mark, err);
    if (status != SYNCLINE_OK || !found) {
        return status;
    }
    int64_t count = 0;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\" WHERE \"%w\">%lld AND \"%w\"<=%lld",
                                model->table, model->id.name, (long long)mark.after, model->id.name,
                                (long long)mark.up_to);
    status = sql == NULL ? sl_fail(err, SYNCLINE_ENOMEM, "no memory to count rows")
                         : sl_db_int64(&ldb->db, sql, 0, &count, err);
    sqlite3_free(sql);
    *rows += (uint64_t)count;
    return status;
}

enum syncline_status sl_scan_count(struct sl_library_db *ldb, const struct sl_model_set *set,
                                   uint64_t *rows, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    uint64_t sum = 0;
    for (size_t i = 0; i < set->count && status == SYNCLINE_OK; i++) {
        status = count_model(ldb, &set->models[i], &sum, err);
    }
    if (status == SYNCLINE_OK) {
        *rows = sum;
    }
    return status;
}

/* ---- Rows ---- */

void sl_record_scan_init(struct sl_record_scan *scan, const struct sl_db *db,
                         const struct sl_model *model)
{
    *scan = (struct sl_record_scan){.db = db, .model = model};
}

void sl_record_scan_fini(struct sl_record_scan *scan)
{
    (void)sqlite3_finalize(scan->range);
    (void)sqlite3_finalize(scan->one);
    scan->range = NULL;
    scan->one = NULL;
}

/* "SELECT t.id, t.uuid, t.key, (SELECT p.id FROM parent p WHERE p.uuid = t.uuid_key), ... FROM t"
 */
static void write_select(sqlite3_str *sql, const struct sl_model *model)
{
    sqlite3_str_appendf(sql, "SELECT t.\"%w\",t.\"%w\"", model->id.name, model->uuid.name);
    for (uint32_t i = 0; i < model->field_count; i++) {
        const struct sl_field *field = &model->fields[i];
        if (field->type == SYNCLINE_TYPE_KEY) {
            sqlite3_str_appendf(sql, ",t.\"%w\"", field->name);
        } else if (field->type == SYNCLINE_TYPE_UUID_KEY) {
            sqlite3_str_appendf(sql, ",(SELECT p.\"%w\" FROM \"%w\" p WHERE p.\"%w\"=t.\"%w\")",
                                field->parent->id.name, field->parent->table,
                                field->parent->uuid.name, field->name);
        }
    }
    sqlite3_str_appendf(sql, " FROM \"%w\" t WHERE ", model->table);
}

static enum syncline_status get(struct sl_record_scan *scan, bool is_range, sqlite3_stmt **stmt,
                                struct sl_error *err)
{
    const struct sl_model *model = scan->model;
    sqlite3_stmt **kept = is_range ? &scan->range : &scan->one;
    if (!sl_db_is_prepared(scan->db, kept)) {
        sqlite3_str *sql = sqlite3_str_new(scan->db->handle);
        write_select(sql, model);
        if (is_range) {
            sqlite3_str_appendf(sql, "t.\"%w\">?1 AND t.\"%w\"<=?2 ORDER BY t.\"%w\"",
                                model->id.name, model->id.name, model->id.name);
        } else {
            sqlite3_str_appendf(sql, "t.\"%w\"=?1", model->id.name);
        }
        char *text = sqlite3_str_finish(sql);
        enum syncline_status status =
            text == NULL ? sl_fail(err, SYNCLINE_ENOMEM, "no memory for a statement")
                         : sl_db_prepare(scan->db, text, true, kept, err);
        sqlite3_free(text);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    sl_db_reset(*kept);
    *stmt = *kept;
    return SYNCLINE_OK;
}

static enum syncline_status read_row(struct sl_record_scan *scan, sqlite3_stmt *stmt, bool *found,
                                     struct sl_scan_row *row, int64_t *parents,
                                     struct sl_error *err)
{
    enum syncline_status status = sl_db_row(scan->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    row->id = sqlite3_column_int64(stmt, 0);
    row->has_uuid = sl_column_uuid(stmt, 1, &row->uuid);
    for (uint32_t k = 0; k < scan->model->key_count; k++) {
        int column = (int)k + 2;
        parents[k] = sqlite3_column_type(stmt, column) == SQLITE_NULL
                         ? SL_SCAN_NO_PARENT
                         : sqlite3_column_int64(stmt, column);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_record_scan_begin(struct sl_record_scan *scan,
                                          const struct sl_scan_mark *mark, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(scan, true, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, mark->after);
        (void)sqlite3_bind_int64(stmt, 2, mark->up_to);
    }
    return status;
}

enum syncline_status sl_record_scan_next(struct sl_record_scan *scan, bool *found,
                                         struct sl_scan_row *row, int64_t *parents,
                                         struct sl_error *err)
{
    return read_row(scan, scan->range, found, row, parents, err);
}

void sl_record_scan_done(struct sl_record_scan *scan)
{
    sl_db_reset(scan->range);
}

enum syncline_status sl_record_scan_one(struct sl_record_scan *scan, int64_t id, bool *found,
                                        struct sl_scan_row *row, int64_t *parents,
                                        struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(scan, false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    status = read_row(scan, stmt, found, row, parents, err);
    sl_db_reset(stmt);
    return status;
}
