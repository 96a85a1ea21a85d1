/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/log_floor.h"

#include <stdio.h>
#include <string.h>

static enum syncline_status prepare(struct sl_peer_log *log, const char *sql, int64_t origin,
                                    sqlite3_stmt **stmt, struct sl_error *err)
{
    enum syncline_status status = sl_db_prepare(&log->db, sql, false, stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(*stmt, 1, origin);
    }
    return status;
}

static bool read_blob(sqlite3_stmt *stmt, int column, void *out, size_t size)
{
    const void *data = sqlite3_column_blob(stmt, column);
    if (data == NULL || (size_t)sqlite3_column_bytes(stmt, column) != size) {
        return false;
    }
    memcpy(out, data, size);
    return true;
}

enum syncline_status sl_log_floor_get(struct sl_peer_log *log, int64_t origin,
                                      struct sl_log_floor *floor, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    struct sl_log_floor read = {.seq = 0};
    enum syncline_status status =
        prepare(log, "SELECT floor_seq,floor_hash,floor_end FROM origin WHERE number=?1", origin,
                &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&log->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK && row) {
        read.seq = (uint64_t)sqlite3_column_int64(stmt, 0);
        if (read.seq > 0 && (!read_blob(stmt, 1, read.hash, sizeof(read.hash)) ||
                             !read_blob(stmt, 2, read.end, sizeof(read.end)))) {
            status = sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: the floor of origin %lld is damaged",
                             (long long)origin);
        }
    }
    (void)sqlite3_finalize(stmt);
    if (status == SYNCLINE_OK) {
        *floor = read;
    }
    return status;
}

enum syncline_status sl_log_floor_raise(struct sl_peer_log *log, int64_t origin,
                                        const struct sl_log_floor *floor, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(log,
                "UPDATE origin SET floor_seq=?2,floor_hash=?3,floor_end=?4"
                " WHERE number=?1 AND floor_seq<?2",
                origin, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)floor->seq);
        (void)sqlite3_bind_blob(stmt, 3, floor->hash, sizeof(floor->hash), SQLITE_STATIC);
        (void)sqlite3_bind_blob(stmt, 4, floor->end, sizeof(floor->end), SQLITE_STATIC);
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    stmt = NULL;
    if (status == SYNCLINE_OK && sqlite3_changes(log->db.handle) != 1) {
        status = sl_fail(err, SYNCLINE_EINVAL, "sync.db: the floor of origin %lld does not rise",
                         (long long)origin);
    }
    if (status == SYNCLINE_OK) { /* byte 6 is that of the flags */
        status = prepare(log,
                         "INSERT OR REPLACE INTO birth_segment(origin,last_seq,bytes)"
                         " SELECT origin,last_seq,bytes FROM segment WHERE origin=?1 AND"
                         " last_seq<=?2 AND instr(x'04050607',substr(bytes,7,1))>0",
                         origin, &stmt, err);
    }
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)floor->seq);
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    stmt = NULL;
    if (status == SYNCLINE_OK) {
        status = prepare(log, "DELETE FROM segment WHERE origin=?1 AND last_seq<=?2", origin, &stmt,
                         err);
    }
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)floor->seq);
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_log_floor_begin(struct sl_peer_log *log, const struct sl_log_head *head,
                                        const struct sl_log_floor *floor, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_log_floor_raise(log, head->number, floor, err);
    if (status == SYNCLINE_OK) {
        status =
            prepare(log, "UPDATE origin SET held_seq=?2,held_hash=?3,last_hlc=?4 WHERE number=?1",
                    head->number, &stmt, err);
    }
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)head->held_seq);
        (void)sqlite3_bind_blob(stmt, 3, head->held_hash, SL_HASH_SIZE, SQLITE_STATIC);
        (void)sqlite3_bind_int64(stmt, 4, (int64_t)head->last_hlc);
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_log_births_limit(struct sl_peer_log *log, uint64_t size, bool *forgot,
                                         struct sl_error *err)
{
    int64_t bytes = 0;
    enum syncline_status status = sl_db_int64(
        &log->db, "SELECT coalesce(sum(length(bytes)),0) FROM birth_segment", 0, &bytes, err);
    *forgot = status == SYNCLINE_OK && (uint64_t)bytes > size;
    if (*forgot) {
        status = sl_db_exec(&log->db,
                            "DELETE FROM birth_segment WHERE rowid IN"
                            " (SELECT rowid FROM birth_segment ORDER BY rowid LIMIT 32)",
                            err);
    }
    return status;
}

enum syncline_status sl_log_oldest(struct sl_peer_log *log, int64_t origin, uint64_t upto,
                                   uint32_t len, uint64_t size, struct sl_log_oldest *oldest,
                                   struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    uint32_t count = 0;
    struct sl_log_oldest read = {.last_seq = 0};
    enum syncline_status status = prepare(log,
                                          "SELECT last_seq,length(bytes) FROM segment"
                                          " WHERE origin=?1 AND last_seq<=?2"
                                          " ORDER BY last_seq LIMIT ?3",
                                          origin, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)upto);
        (void)sqlite3_bind_int64(stmt, 3, len);
    }
    while (status == SYNCLINE_OK && row) {
        status = sl_db_row(&log->db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            break;
        }
        uint64_t more = (uint64_t)sqlite3_column_int64(stmt, 1);
        if (count > 0 && read.bytes + more > size) {
            read.is_full = true;
            break;
        }
        read.last_seq = (uint64_t)sqlite3_column_int64(stmt, 0);
        read.bytes += more;
        count++;
    }
    read.is_full = read.is_full || count == len;
    (void)sqlite3_finalize(stmt);
    if (status == SYNCLINE_OK) {
        *oldest = read;
    }
    return status;
}

enum syncline_status sl_log_kept(struct sl_peer_log *log, int64_t origin, struct sl_log_kept *kept,
                                 struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status = prepare(
        log,
        "SELECT (SELECT floor_seq FROM origin WHERE number=?1),count(*),total(length(bytes))"
        " FROM segment WHERE origin=?1",
        origin, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&log->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK) {
        *kept = (struct sl_log_kept){.floor_seq = (uint64_t)sqlite3_column_int64(stmt, 0),
                                     .segments = (uint64_t)sqlite3_column_int64(stmt, 1),
                                     .bytes = (uint64_t)sqlite3_column_double(stmt, 2)};
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_log_space(struct sl_peer_log *log, struct sl_log_space *space,
                                  struct sl_error *err)
{
    static const char *const pragmas[] = {"PRAGMA page_size", "PRAGMA page_count",
                                          "PRAGMA freelist_count"};
    int64_t read[3] = {0};
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]) && status == SYNCLINE_OK; i++) {
        status = sl_db_int64(&log->db, pragmas[i], 0, &read[i], err);
    }
    if (status == SYNCLINE_OK) {
        *space = (struct sl_log_space){.page_size = (uint64_t)read[0],
                                       .pages = (uint64_t)read[1],
                                       .free_pages = (uint64_t)read[2]};
    }
    return status;
}

enum syncline_status sl_log_shrink(struct sl_peer_log *log, uint32_t pages, struct sl_error *err)
{
    char sql[48];
    (void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%u)", pages);
    return sl_db_exec(&log->db, sql, err);
}
