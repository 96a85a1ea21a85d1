/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/location_manager.h"

#include <sqlite3.h>
#include <string.h>

/* Entries in the tree of a root. */
static int count_entries(sqlite3_stmt *stmt, int64_t root_id, uint64_t *count)
{
    int rc = sqlite3_bind_int64(stmt, 1, root_id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *count = (uint64_t)sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static void read_listed(sqlite3_stmt *stmt, struct indexer_location *location)
{
    const void *path = sqlite3_column_blob(stmt, 4); /* NULL for an empty one */
    *location =
        (struct indexer_location){.row = {.id = sqlite3_column_int64(stmt, 0),
                                          .device_id = sqlite3_column_int64(stmt, 2),
                                          .entry_id = sqlite3_column_int64(stmt, 3),
                                          .path = {.data = path != NULL ? path : "",
                                                   .len = (size_t)sqlite3_column_bytes(stmt, 4)},
                                          .name = (const char *)sqlite3_column_text(stmt, 5)},
                                  .device_name = (const char *)sqlite3_column_text(stmt, 7)};
    memcpy(location->row.uuid.bytes, sqlite3_column_blob(stmt, 1), 16);
    memcpy(location->device.bytes, sqlite3_column_blob(stmt, 6), 16);
}

enum syncline_status indexer_location_list(struct sqlite3 *db, bool count_them,
                                           void (*each)(void *ctx,
                                                        const struct indexer_location *location),
                                           void *ctx, struct indexer_error *err)
{
    sqlite3_stmt *list = NULL;
    sqlite3_stmt *count = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "SELECT l.id, l.uuid, l.device_id, l.entry_id, l.path, l.name,"
                                " d.uuid, d.name FROM locations l"
                                " JOIN devices d ON d.id = l.device_id ORDER BY l.uuid",
                                -1, &list, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db,
                                "WITH RECURSIVE tree(id) AS (SELECT ?1 UNION"
                                " SELECT e.id FROM entries e JOIN tree ON e.parent_id = tree.id)"
                                " SELECT count(*) FROM tree",
                                -1, &count, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(list)) == SQLITE_ROW) {
        struct indexer_location location;
        read_listed(list, &location);
        rc =
            count_them ? count_entries(count, location.row.entry_id, &location.entries) : SQLITE_OK;
        if (rc == SQLITE_OK)
            each(ctx, &location);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the locations could not be read");
    sqlite3_finalize(list);
    sqlite3_finalize(count);
    return status;
}
