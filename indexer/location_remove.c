/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The location is a child of its root entry: it goes with that, in the last transaction, and on
 * the other devices by the delete of that. So what an interrupted run leaves is a location with
 * fewer entries. */

#include "indexer/location_manager.h"

#include "indexer/location_run.h"
#include "indexer/removal.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static enum syncline_status find_location(struct indexer_location_run *run,
                                          struct indexer_removal_tree *tree)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(run->db,
                                "SELECT l.id, l.uuid, l.entry_id FROM locations l"
                                " JOIN devices d ON d.id = l.device_id"
                                " JOIN entries e ON e.id = l.entry_id"
                                " WHERE l.path = ?1 AND d.uuid = ?2 ORDER BY l.id LIMIT 1",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob64(stmt, 1, run->path, strlen(run->path), SQLITE_STATIC);
        sqlite3_bind_blob(stmt, 2, run->options->device.bytes, 16, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW) {
        tree->location = sqlite3_column_int64(stmt, 0);
        tree->id = sqlite3_column_int64(stmt, 2);
        memcpy(run->stats->location.bytes, sqlite3_column_blob(stmt, 1), 16);
        run->stats->existed = true;
    } else if (rc == SQLITE_DONE) {
        status = indexer_fail(run->err, SYNCLINE_ENOTFOUND,
                              "this device has no such location: `syncline location list` names "
                              "them");
    } else {
        status = indexer_fail_db(run->err, run->db, rc, "the locations could not be read");
    }
    sqlite3_finalize(stmt);
    return status;
}

static enum syncline_status remove_location(struct indexer_location_run *run)
{
    struct indexer_removal_tree tree = {0};
    struct indexer_removal removal;
    enum syncline_status status = find_location(run, &tree);
    if (status == SYNCLINE_OK)
        status =
            indexer_removal_init(&removal, run->lib, run->db, run->options->batch_size, run->err);
    if (status != SYNCLINE_OK)
        return status;
    status = indexer_removal_add(&removal, &tree, run->err);
    if (status == SYNCLINE_OK)
        status = indexer_location_run_remove(run, &removal);
    indexer_removal_fini(&removal);
    return status;
}

/* The path by which the location is known: that of the folder, or if it is gone, as it is given. */
static enum syncline_status find_path(const char *path, char **found, struct indexer_error *err)
{
    enum syncline_status status = indexer_walk_resolve(path, found, NULL);
    if (status == SYNCLINE_OK || status == SYNCLINE_ENOMEM)
        return status == SYNCLINE_OK ? status : indexer_fail(err, status, "out of memory");
    if (path[0] != '/')
        return indexer_walk_resolve(path, found, err);
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    *found = strndup(path, len);
    return *found != NULL ? SYNCLINE_OK : indexer_fail(err, SYNCLINE_ENOMEM, "out of memory");
}

enum syncline_status indexer_location_remove(struct syncline *lib, struct sqlite3 *db,
                                             const char *path,
                                             const struct indexer_location_options *options,
                                             struct indexer_location_stats *stats,
                                             struct indexer_error *err)
{
    static const struct indexer_location_work removing = {"removed", find_path, remove_location};
    return indexer_location_run(&removing, lib, db, path, options, stats, err);
}
