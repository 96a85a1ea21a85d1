/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/member_held.h"

static enum syncline_status prepare(struct sl_peer_log *log, const char *sql,
                                    const struct syncline_uuid *device, int64_t second,
                                    int64_t third, sqlite3_stmt **stmt, struct sl_error *err)
{
    enum syncline_status status = sl_db_prepare(&log->db, sql, false, stmt, err);
    if (status == SYNCLINE_OK) {
        sl_bind_uuid(*stmt, 1, device);
        (void)sqlite3_bind_int64(*stmt, 2, second);
        (void)sqlite3_bind_int64(*stmt, 3, third); /* a statement without it does not mind */
    }
    return status;
}

enum syncline_status sl_held_put(struct sl_peer_log *log, const struct syncline_uuid *device,
                                 int64_t origin, uint64_t seq, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(log, "INSERT OR REPLACE INTO held(device,origin,seq) VALUES(?1,?2,?3)", device,
                origin, (int64_t)seq, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_held_get(struct sl_peer_log *log, const struct syncline_uuid *device,
                                 int64_t origin, uint64_t *seq, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status = prepare(log, "SELECT seq FROM held WHERE device=?1 AND origin=?2",
                                          device, origin, 0, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&log->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK) {
        *seq = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_absence_put(struct sl_peer_log *log, const struct syncline_uuid *device,
                                    const struct sl_absence *absence, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare(log, "INSERT OR REPLACE INTO absence(device,heard,marked_ms) VALUES(?1,?2,?3)",
                device, (int64_t)absence->heard, (int64_t)absence->marked_ms, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_absence_get(struct sl_peer_log *log, const struct syncline_uuid *device,
                                    bool *found, struct sl_absence *absence, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status = prepare(
        log, "SELECT heard,marked_ms FROM absence WHERE device=?1", device, 0, 0, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&log->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK) {
        *found = row;
    }
    if (status == SYNCLINE_OK && row) {
        *absence = (struct sl_absence){.heard = (uint64_t)sqlite3_column_int64(stmt, 0),
                                       .marked_ms = (uint64_t)sqlite3_column_int64(stmt, 1)};
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_contact_put(struct sl_peer_log *log, const struct sl_contact *contact,
                                    struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(
        &log->db,
        "INSERT OR REPLACE INTO meta(key,value) VALUES('contact_days',?1),('contact_day',?2)",
        false, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, (int64_t)contact->days);
        (void)sqlite3_bind_int64(stmt, 2, (int64_t)contact->day);
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_contact_get(struct sl_peer_log *log, struct sl_contact *contact,
                                    struct sl_error *err)
{
    int64_t days = 0;
    int64_t day = 0;
    enum syncline_status status =
        sl_db_int64(&log->db, "SELECT value FROM meta WHERE key='contact_days'", 0, &days, err);
    if (status == SYNCLINE_OK) {
        status =
            sl_db_int64(&log->db, "SELECT value FROM meta WHERE key='contact_day'", 0, &day, err);
    }
    if (status == SYNCLINE_OK) {
        *contact = (struct sl_contact){.days = (uint64_t)days, .day = (uint64_t)day};
    }
    return status;
}
