/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/device_manager.h"

#include "indexer/entry_batch.h"
#include "indexer/schema.h"

#include <sqlite3.h>
#include <string.h>

/* In the caller's transaction: *id of the device, 0 when it has no row. */
static enum syncline_status find_device(struct sqlite3 *db, const struct syncline_uuid *uuid,
                                        int64_t *id, struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT id FROM devices WHERE uuid = ?1", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob(stmt, 1, uuid->bytes, sizeof(uuid->bytes), SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW)
        *id = sqlite3_column_int64(stmt, 0);
    else if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the devices could not be read");
    sqlite3_finalize(stmt);
    return status;
}

static enum syncline_status insert_device(struct syncline *lib, struct sqlite3 *db,
                                          struct device_row *row, struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(
        db, "INSERT INTO devices(uuid, name, created_at) VALUES (?1, ?2, ?3)", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob(stmt, 1, row->uuid.bytes, sizeof(row->uuid.bytes), SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, row->name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 3, row->created_at);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the device %s could not be written", row->name);
    sqlite3_finalize(stmt);
    row->id = sqlite3_last_insert_rowid(db);
    if (status != SYNCLINE_OK || lib == NULL)
        return status;
    status = syncline_sync_model_with_db(lib, &indexer_device_model, row, SYNCLINE_INSERT, db);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, lib, status, "the device %s could not be synced", row->name);
    return SYNCLINE_OK;
}

enum syncline_status indexer_device_register(struct syncline *lib, struct sqlite3 *db,
                                             const struct syncline_uuid *uuid, const char *name,
                                             int64_t *id, struct indexer_error *err)
{
    if (!indexer_is_name(name))
        return indexer_fail(err, SYNCLINE_EINVAL,
                            "a device's name must be printable UTF-8: give another one");
    struct device_row row = {.uuid = *uuid, .name = name, .created_at = indexer_now_ms()};
    enum syncline_status status = indexer_db_begin(db, err);
    if (status != SYNCLINE_OK)
        return status;
    status = find_device(db, uuid, &row.id, err);
    if (status == SYNCLINE_OK && row.id == 0)
        status = insert_device(lib, db, &row, err);
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(db);
        return status;
    }
    status = indexer_db_commit(db, err);
    if (status == SYNCLINE_OK && id != NULL)
        *id = row.id;
    return status;
}

enum syncline_status indexer_device_list(struct sqlite3 *db,
                                         void (*each)(void *ctx, const struct device_row *row),
                                         void *ctx, struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT id, uuid, name, created_at FROM devices ORDER BY id",
                                -1, &stmt, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct device_row row = {.id = sqlite3_column_int64(stmt, 0),
                                 .name = (const char *)sqlite3_column_text(stmt, 2),
                                 .created_at = sqlite3_column_int64(stmt, 3)};
        memcpy(row.uuid.bytes, sqlite3_column_blob(stmt, 1), sizeof(row.uuid.bytes));
        each(ctx, &row);
        rc = SQLITE_OK;
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the devices could not be read");
    sqlite3_finalize(stmt);
    return status;
}
