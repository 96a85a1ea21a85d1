/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/location_store.h"

#include "indexer/folder_rows.h"
#include "indexer/schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Selects one id of a row by a blob (and a number); 0: there is none. */
static enum syncline_status find_id(struct indexer_entry_batch *batch, const char *sql,
                                    const void *blob, size_t size, int64_t number, int64_t *id,
                                    struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(batch->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(stmt, 1, blob, size, SQLITE_STATIC);
    if (rc == SQLITE_OK && sqlite3_bind_parameter_count(stmt) > 1)
        rc = sqlite3_bind_int64(stmt, 2, number);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *id = sqlite3_column_int64(stmt, 0);
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        status = indexer_fail_db(err, batch->db, rc, "the locations could not be read");
    sqlite3_finalize(stmt);
    return status;
}

/* Reads the location and its root entry. The entry's name is the walk's, so it is not read. */
static enum syncline_status read_location(struct indexer_entry_batch *batch, int64_t location_id,
                                          struct entry_row *root, struct syncline_uuid *uuid,
                                          struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(batch->db,
                                "SELECT e.id, e.uuid, NULL, NULL, e.kind, e.size, NULL,"
                                " e.created_at, e.modified_at, e.file_key, l.uuid"
                                " FROM locations l JOIN entries e ON e.id = l.entry_id"
                                " WHERE l.id = ?1",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 1, location_id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW) {
        indexer_entry_read(stmt, root);
        memcpy(uuid->bytes, sqlite3_column_blob(stmt, 10), 16);
    } else {
        status = indexer_fail_db(err, batch->db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc,
                                 "the location has no folder entry");
    }
    sqlite3_finalize(stmt);
    return status;
}

static bool is_inside(const char *path, const char *folder)
{
    size_t len = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* Whether the walk of the one reaches the other: it does not enter other file systems. What is not
 * there now may come back. */
static bool is_reached(const char *path, const char *other)
{
    struct stat a;
    struct stat b;
    return stat(path, &a) != 0 || stat(other, &b) != 0 || a.st_dev == b.st_dev;
}

/* Refuses `path` if an indexed folder is `known`, and the one has the other in it. */
static enum syncline_status check_apart(const char *path, const char *known,
                                        struct indexer_error *err)
{
    char name[512];
    bool is_in_it = is_inside(path, known);
    if ((!is_in_it && !is_inside(known, path)) || !is_reached(path, known))
        return SYNCLINE_OK;
    indexer_escape(name, sizeof(name), known, strlen(known));
    return is_in_it ? indexer_fail(err, SYNCLINE_EREFUSED,
                                   "it is in the location %s, which has all that is in it", name)
                    : indexer_fail(err, SYNCLINE_EREFUSED,
                                   "the location %s is in it, and would be there twice: `syncline "
                                   "location remove` takes that one out first",
                                   name);
}

/* No two locations of a device may have the same entries. */
static enum syncline_status check_nesting(struct indexer_entry_batch *batch, int64_t device_id,
                                          const char *path, struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = SYNCLINE_OK;
    int rc = sqlite3_prepare_v2(batch->db, "SELECT path FROM locations WHERE device_id = ?1", -1,
                                &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 1, device_id);
    while (rc == SQLITE_OK && status == SYNCLINE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *blob = sqlite3_column_blob(stmt, 0); /* NULL for an empty one */
        char *known = strndup(blob != NULL ? blob : "", (size_t)sqlite3_column_bytes(stmt, 0));
        status = known != NULL ? check_apart(path, known, err)
                               : indexer_fail(err, SYNCLINE_ENOMEM, "out of memory");
        free(known);
        rc = SQLITE_OK;
    }
    if (status == SYNCLINE_OK && rc != SQLITE_DONE)
        status = indexer_fail_db(err, batch->db, rc, "the locations could not be read");
    sqlite3_finalize(stmt);
    return status;
}

/* Inserts the location's own row, in the caller's transaction. */
static enum syncline_status write_location(struct indexer_entry_batch *batch,
                                           struct location_row *row, struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(batch->db,
                                "INSERT INTO locations(uuid, device_id, entry_id, path, name)"
                                " VALUES (?1, ?2, ?3, ?4, ?5)",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob(stmt, 1, row->uuid.bytes, 16, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 2, row->device_id);
        sqlite3_bind_int64(stmt, 3, row->entry_id);
        sqlite3_bind_blob64(stmt, 4, row->path.data, row->path.len, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 5, row->name, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, batch->db, rc, "the location could not be written");
    sqlite3_finalize(stmt);
    row->id = sqlite3_last_insert_rowid(batch->db);
    return status;
}

/* Inserts the root entry and the location that points at it, and says so to Syncline. */
static enum syncline_status make_location(struct indexer_entry_batch *batch, int64_t device_id,
                                          const char *path, struct entry_row *root,
                                          struct syncline_uuid *uuid, struct indexer_error *err)
{
    struct syncline_uuid uuids[2];
    enum syncline_status status = syncline_uuid_new(uuids, 2);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, NULL, status, "no UUIDs could be made");
    root->uuid = uuids[0];
    root->created_at = indexer_now_ms();
    status = indexer_entry_batch_write(batch, root, err);
    if (status != SYNCLINE_OK)
        return status;
    char name[512];
    struct location_row location = {
        .uuid = uuids[1],
        .device_id = device_id,
        .entry_id = root->id,
        .path = {.data = path, .len = strlen(path)},
        .name = indexer_escape(name, sizeof(name), root->name.data, root->name.len)};
    status = write_location(batch, &location, err);
    if (status != SYNCLINE_OK)
        return status;
    if (batch->lib != NULL)
        status = syncline_sync_models_batch(batch->lib, &indexer_entry_model, root, 1,
                                            SYNCLINE_INSERT, batch->db, NULL);
    if (batch->lib != NULL && status == SYNCLINE_OK)
        status = syncline_sync_models_batch(batch->lib, &indexer_location_model, &location, 1,
                                            SYNCLINE_INSERT, batch->db, NULL);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, batch->lib, status, "the location could not be synced");
    *uuid = location.uuid;
    return SYNCLINE_OK;
}

enum syncline_status indexer_location_open(struct indexer_entry_batch *batch,
                                           const struct syncline_uuid *device, const char *path,
                                           bool may_make, struct entry_row *root,
                                           struct syncline_uuid *uuid, bool *existed,
                                           struct indexer_error *err)
{
    int64_t device_id = 0;
    int64_t location_id = 0;
    enum syncline_status status = indexer_db_begin(batch->db, err);
    if (status != SYNCLINE_OK)
        return status;
    status = find_id(batch, "SELECT id FROM devices WHERE uuid = ?1", device->bytes, 16, 0,
                     &device_id, err);
    if (status == SYNCLINE_OK && device_id == 0)
        status = indexer_fail(err, SYNCLINE_ENOTFOUND,
                              "this device is not in the devices table: register it first");
    if (status == SYNCLINE_OK)
        status = find_id(batch,
                         "SELECT id FROM locations WHERE path = ?1 AND device_id = ?2"
                         " ORDER BY id LIMIT 1",
                         path, strlen(path), device_id, &location_id, err);
    if (status == SYNCLINE_OK && location_id != 0)
        status = read_location(batch, location_id, root, uuid, err);
    if (status == SYNCLINE_OK && location_id == 0 && !may_make)
        status = indexer_fail(err, SYNCLINE_ENOTFOUND,
                              "this device has no such location: `syncline location list` names "
                              "them, and `syncline location add` makes one");
    if (status == SYNCLINE_OK && location_id == 0)
        status = check_nesting(batch, device_id, path, err);
    if (status == SYNCLINE_OK && location_id == 0)
        status = make_location(batch, device_id, path, root, uuid, err);
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(batch->db);
        return status;
    }
    *existed = location_id != 0;
    return indexer_db_commit(batch->db, err);
}
