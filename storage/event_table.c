/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/event_table.h"

#include <string.h>

static bool is_set(const struct syncline_uuid *uuid)
{
    static const struct syncline_uuid none;
    return !sl_uuid_equal(uuid, &none);
}

static void bind_uuid(sqlite3_stmt *stmt, int parameter, const struct syncline_uuid *uuid)
{
    if (is_set(uuid)) {
        sl_bind_uuid(stmt, parameter, uuid);
    }
}

static void copy_text(char *out, size_t size, sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    (void)sqlite3_snprintf((int)size, out, "%s", text != NULL ? (const char *)text : "");
}

enum syncline_status sl_event_put(struct sl_peer_log *log, const struct sl_event *event,
                                  struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        sl_db_prepare(&log->db,
                      "INSERT INTO event(at_ms,code,status,device,model,uuid,text)"
                      " VALUES(?1,?2,?3,?4,?5,?6,?7)",
                      false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)event->at_ms);
    (void)sqlite3_bind_int(stmt, 2, (int)event->code);
    (void)sqlite3_bind_int(stmt, 3, (int)event->status);
    bind_uuid(stmt, 4, &event->device);
    if (event->model[0] != '\0') {
        (void)sqlite3_bind_text(stmt, 5, event->model, -1, SQLITE_STATIC);
    }
    bind_uuid(stmt, 6, &event->uuid);
    (void)sqlite3_bind_text(stmt, 7, event->text, -1, SQLITE_STATIC);
    status = sl_db_run(&log->db, stmt, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_event_prune(struct sl_peer_log *log, uint32_t keep, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(
        &log->db, "DELETE FROM event WHERE number<=(SELECT max(number) FROM event)-?1", false,
        &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, keep);
    status = sl_db_run(&log->db, stmt, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

static void read_row(sqlite3_stmt *stmt, struct sl_event *event)
{
    memset(event, 0, sizeof(*event));
    event->number = sqlite3_column_int64(stmt, 0);
    event->at_ms = (uint64_t)sqlite3_column_int64(stmt, 1);
    event->code = (enum syncline_event_code)sqlite3_column_int(stmt, 2);
    event->status = (enum syncline_status)sqlite3_column_int(stmt, 3);
    (void)sl_column_uuid(stmt, 4, &event->device); /* NULL: it stays all zero */
    copy_text(event->model, sizeof(event->model), stmt, 5);
    (void)sl_column_uuid(stmt, 6, &event->uuid);
    copy_text(event->text, sizeof(event->text), stmt, 7);
}

enum syncline_status sl_event_after(struct sl_peer_log *log, int64_t number,
                                    struct sl_event *events, size_t max, size_t *len,
                                    struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(
        &log->db,
        "SELECT number,at_ms,code,status,device,model,uuid,text FROM event WHERE number>?1"
        " ORDER BY number LIMIT ?2",
        false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, number);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)max);
    size_t count = 0;
    bool row = true;
    while (status == SYNCLINE_OK && row && count < max) {
        status = sl_db_row(&log->db, stmt, &row, err);
        if (status == SYNCLINE_OK && row) {
            read_row(stmt, &events[count++]);
        }
    }
    (void)sqlite3_finalize(stmt);
    if (status == SYNCLINE_OK) {
        *len = count;
    }
    return status;
}
