/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/membership_table.h"

enum syncline_status sl_membership_table_add(struct sl_peer_log *log, const void *data, size_t size,
                                             struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        sl_db_prepare(&log->db, "INSERT INTO membership(bytes) VALUES(?1)", false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_blob64(stmt, 1, data, size, SQLITE_STATIC);
    status = sl_db_run(&log->db, stmt, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum syncline_status take_row(sqlite3_stmt *stmt, struct sl_membership *set,
                                     struct sl_error *err)
{
    bool added = false;
    struct sl_error why = {.text = ""};
    const void *bytes = sqlite3_column_blob(stmt, 1);
    size_t size = (size_t)sqlite3_column_bytes(stmt, 1);
    enum syncline_status status = sl_membership_add(set, bytes, size, &added, &why);
    if (status == SYNCLINE_OK || status == SYNCLINE_ENOMEM) {
        *err = why;
        return status;
    }
    return sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: membership entry %lld is damaged",
                   (long long)sqlite3_column_int64(stmt, 0));
}

enum syncline_status sl_membership_table_load(struct sl_peer_log *log, struct sl_membership *set,
                                              struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(
        &log->db, "SELECT number,bytes FROM membership ORDER BY number", false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool row = true;
    while (status == SYNCLINE_OK && row) {
        status = sl_db_row(&log->db, stmt, &row, err);
        if (status == SYNCLINE_OK && row) {
            status = take_row(stmt, set, err);
        }
    }
    (void)sqlite3_finalize(stmt);
    return status == SYNCLINE_OK ? sl_membership_derive(set, err) : status;
}
