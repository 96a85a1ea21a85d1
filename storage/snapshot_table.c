/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/snapshot_table.h"

#include <string.h>

static enum syncline_status prepare(struct sl_library_db *ldb, const char *sql, int64_t first,
                                    sqlite3_stmt **stmt, struct sl_error *err)
{
    enum syncline_status status = sl_db_prepare(&ldb->db, sql, false, stmt, err);
    if (status == SYNCLINE_OK && sqlite3_bind_parameter_count(*stmt) > 0) {
        (void)sqlite3_bind_int64(*stmt, 1, first);
    }
    return status;
}

/* Runs what was prepared, if it was, and finalizes it. */
static enum syncline_status run(struct sl_library_db *ldb, enum syncline_status status,
                                sqlite3_stmt *stmt, struct sl_error *err)
{
    if (status == SYNCLINE_OK) {
        status = sl_db_run(&ldb->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* ---- Reading ---- */

enum syncline_status sl_snapshot_get(struct sl_library_db *ldb, bool *found,
                                     struct sl_snapshot_row *row, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = prepare(
        ldb, "SELECT records,total,began_ms FROM _syncline_snapshot LIMIT 1", 0, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&ldb->db, stmt, found, err);
    }
    if (status == SYNCLINE_OK && *found) {
        *row = (struct sl_snapshot_row){.records = (uint64_t)sqlite3_column_int64(stmt, 0),
                                        .total = (uint64_t)sqlite3_column_int64(stmt, 1),
                                        .began_ms = (uint64_t)sqlite3_column_int64(stmt, 2)};
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_snapshot_origin_next(struct sl_library_db *ldb, int64_t after, bool *found,
                                             struct sl_snapshot_origin *origin,
                                             struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb,
                "SELECT origin,cut_seq,live_seq,last_hlc,cut_end FROM _syncline_snapshot_origin"
                " WHERE origin>?1 ORDER BY origin LIMIT 1",
                after, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&ldb->db, stmt, found, err);
    }
    if (status == SYNCLINE_OK && *found) {
        struct sl_snapshot_origin read = {.number = sqlite3_column_int64(stmt, 0),
                                          .cut_seq = (uint64_t)sqlite3_column_int64(stmt, 1),
                                          .live_seq = (uint64_t)sqlite3_column_int64(stmt, 2),
                                          .last_hlc = (uint64_t)sqlite3_column_int64(stmt, 3)};
        const void *end = sqlite3_column_blob(stmt, 4);
        if (end == NULL || sqlite3_column_bytes(stmt, 4) != (int)sizeof(read.end)) {
            status =
                sl_fail(err, SYNCLINE_ECORRUPT, "library.db: the cut of a snapshot is damaged");
        } else {
            memcpy(read.end, end, sizeof(read.end));
            *origin = read;
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_snapshot_model_get(struct sl_library_db *ldb, int64_t model, bool *found,
                                           bool *done, struct syncline_uuid *lo,
                                           struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb, "SELECT lo FROM _syncline_snapshot_model WHERE model=?1", model, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&ldb->db, stmt, found, err);
    }
    if (status == SYNCLINE_OK && *found) {
        *done = sqlite3_column_type(stmt, 0) == SQLITE_NULL;
        if (!*done && !sl_column_uuid(stmt, 0, lo)) {
            status =
                sl_fail(err, SYNCLINE_ECORRUPT, "library.db: the place of a snapshot is no UUID");
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* ---- Writing ---- */

enum syncline_status sl_snapshot_begin(struct sl_library_db *ldb, const struct sl_snapshot_row *row,
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb, "INSERT INTO _syncline_snapshot(records,total,began_ms) VALUES(?1,?2,?3)",
                (int64_t)row->records, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)row->total);
        (void)sqlite3_bind_int64(stmt, 3, (int64_t)row->began_ms);
    }
    return run(ldb, status, stmt, err);
}

enum syncline_status sl_snapshot_origin_put(struct sl_library_db *ldb,
                                            const struct sl_snapshot_origin *origin,
                                            struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb,
                "INSERT INTO _syncline_snapshot_origin(origin,cut_seq,live_seq,last_hlc,cut_end)"
                " VALUES(?1,?2,?3,?4,?5)",
                origin->number, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)origin->cut_seq);
        (void)sqlite3_bind_int64(stmt, 3, (int64_t)origin->live_seq);
        (void)sqlite3_bind_int64(stmt, 4, (int64_t)origin->last_hlc);
        (void)sqlite3_bind_blob(stmt, 5, origin->end, (int)sizeof(origin->end), SQLITE_STATIC);
    }
    return run(ldb, status, stmt, err);
}

enum syncline_status sl_snapshot_model_put(struct sl_library_db *ldb, int64_t model,
                                           struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb, "INSERT INTO _syncline_snapshot_model(model,lo) VALUES(?1,zeroblob(16))",
                model, &stmt, err);
    return run(ldb, status, stmt, err);
}

enum syncline_status sl_snapshot_set_live(struct sl_library_db *ldb, int64_t origin, uint64_t seq,
                                          struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb, "UPDATE _syncline_snapshot_origin SET live_seq=?2 WHERE origin=?1", origin,
                &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    }
    return run(ldb, status, stmt, err);
}

enum syncline_status sl_snapshot_advance(struct sl_library_db *ldb, int64_t model,
                                         const struct syncline_uuid *lo, uint64_t records,
                                         struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(ldb, "UPDATE _syncline_snapshot_model SET lo=?2 WHERE model=?1", model, &stmt, err);
    if (status == SYNCLINE_OK && lo != NULL) {
        sl_bind_uuid(stmt, 2, lo);
    }
    status = run(ldb, status, stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = prepare(ldb, "UPDATE _syncline_snapshot SET records=records+?1", (int64_t)records,
                     &stmt, err);
    return run(ldb, status, stmt, err);
}

enum syncline_status sl_snapshot_end(struct sl_library_db *ldb, struct sl_error *err)
{
    return sl_db_exec(&ldb->db,
                      "DELETE FROM _syncline_snapshot_model;"
                      "DELETE FROM _syncline_snapshot_origin; DELETE FROM _syncline_snapshot",
                      err);
}
