/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Everything below the root first, by removal.c; then, in one transaction, the location and the
 * root. So what an interrupted run leaves is a location with fewer entries. */

#include "indexer/location_manager.h"

#include "indexer/library_lock.h"
#include "indexer/removal.h"
#include "indexer/schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_SIZE_MAX 65536u

struct remove {
    struct syncline *lib;                           /* NULL: no syncing */
    struct sqlite3 *db;                             /* the caller's */
    const struct indexer_location_options *options; /* the caller's */
    struct indexer_location_stats *stats;           /* the caller's */
    struct indexer_error *err;                      /* the caller's */
    uint64_t started_ns;                            /* CLOCK_MONOTONIC */
    struct location_row location;                   /* what is removed; without its texts */
    struct entry_row root;                          /* its folder: id and UUID */
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void count_commit(struct remove *run, uint64_t removed)
{
    struct indexer_location_stats *stats = run->stats;
    stats->removed += removed;
    stats->last_commit_ns = now_ns();
    if (stats->batches++ == 0)
        stats->first_commit_ns = stats->last_commit_ns;
    stats->total_ms = (stats->last_commit_ns - run->started_ns) / 1000000u;
    if (run->options->progress != NULL)
        run->options->progress(run->options->ctx, stats);
}

static enum syncline_status find_location(struct remove *run, const char *path)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(run->db,
                                "SELECT l.id, l.uuid, e.id, e.uuid FROM locations l"
                                " JOIN devices d ON d.id = l.device_id"
                                " JOIN entries e ON e.id = l.entry_id"
                                " WHERE l.path = ?1 AND d.uuid = ?2 ORDER BY l.id LIMIT 1",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob64(stmt, 1, path, strlen(path), SQLITE_STATIC);
        sqlite3_bind_blob(stmt, 2, run->options->device.bytes, 16, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW) {
        run->location.id = sqlite3_column_int64(stmt, 0);
        memcpy(run->location.uuid.bytes, sqlite3_column_blob(stmt, 1), 16);
        run->root.id = sqlite3_column_int64(stmt, 2);
        memcpy(run->root.uuid.bytes, sqlite3_column_blob(stmt, 3), 16);
        run->stats->location = run->location.uuid;
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

static bool is_stopped(const struct remove *run)
{
    const atomic_int *stop = run->options->stop;
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed) != 0;
}

static enum syncline_status remove_entries(struct remove *run, size_t batch_size)
{
    struct indexer_removal removal;
    enum syncline_status status =
        indexer_removal_init(&removal, run->lib, run->db, batch_size, run->err);
    if (status != SYNCLINE_OK)
        return status;
    status = indexer_removal_add(&removal, run->root.id, true, run->err);
    uint64_t count = 1;
    while (status == SYNCLINE_OK && count > 0 && !run->stats->walk.stopped) {
        status = indexer_removal_step(&removal, &count, run->err);
        run->stats->removing = removal.left + 1; /* and the root */
        if (status == SYNCLINE_OK && count > 0)
            count_commit(run, count);
        run->stats->walk.stopped = is_stopped(run);
    }
    indexer_removal_fini(&removal);
    return status;
}

/* One row, in the caller's transaction, and the call that says so to Syncline. */
static enum syncline_status remove_row(struct remove *run, const char *sql, int64_t id,
                                       const struct syncline_model *model, const void *row)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(run->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 1, id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(run->err, run->db, rc, "the location could not be removed");
    sqlite3_finalize(stmt);
    if (status != SYNCLINE_OK || run->lib == NULL)
        return status;
    status = syncline_sync_models_batch(run->lib, model, row, 1, SYNCLINE_DELETE, run->db, NULL);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(run->err, run->lib, status,
                                 "the removal of the location could not be synced");
    return SYNCLINE_OK;
}

static enum syncline_status remove_location(struct remove *run)
{
    enum syncline_status status = indexer_db_begin(run->db, run->err);
    if (status != SYNCLINE_OK)
        return status;
    status = remove_row(run, "DELETE FROM locations WHERE id = ?1", run->location.id,
                        &indexer_location_model, &run->location);
    if (status == SYNCLINE_OK)
        status = remove_row(run, "DELETE FROM entries WHERE id = ?1", run->root.id,
                            &indexer_entry_model, &run->root);
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(run->db);
        return status;
    }
    status = indexer_db_commit(run->db, run->err);
    if (status != SYNCLINE_OK)
        return status;
    run->stats->removing = 0;
    count_commit(run, 1);
    return SYNCLINE_OK;
}

/* Everything between the lock and its release. */
static enum syncline_status remove_all(struct remove *run, const char *path, size_t batch_size)
{
    enum syncline_status status = find_location(run, path);
    if (status == SYNCLINE_OK)
        status = remove_entries(run, batch_size);
    if (status == SYNCLINE_OK && !run->stats->walk.stopped)
        status = remove_location(run);
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
    *stats = (struct indexer_location_stats){0};
    size_t batch_size = options->batch_size == 0 ? INDEXER_BATCH_SIZE : options->batch_size;
    if (batch_size > BATCH_SIZE_MAX)
        return indexer_fail(err, SYNCLINE_EINVAL,
                            "a batch of %zu rows is too large: use at most %u", batch_size,
                            BATCH_SIZE_MAX);
    struct indexer_error reason = {0};
    struct remove run = {.lib = lib,
                         .db = db,
                         .options = options,
                         .stats = stats,
                         .err = &reason,
                         .started_ns = now_ns()};
    char *found = NULL;
    enum syncline_status status = find_path(path, &found, err);
    if (status != SYNCLINE_OK)
        return status;
    char *dir = indexer_db_dir(db);
    int lock = -1;
    if (dir != NULL)
        status = indexer_library_lock(dir, &lock, &reason);
    if (status == SYNCLINE_OK)
        status = remove_all(&run, found, batch_size);
    if (lock >= 0)
        close(lock);
    stats->total_ms = (now_ns() - run.started_ns) / 1000000u;
    if (status != SYNCLINE_OK) {
        char name[512];
        indexer_fail(err, status, "%s was not removed: %s",
                     indexer_escape(name, sizeof(name), found, strlen(found)), reason.text);
    }
    free(dir);
    free(found);
    return status;
}
