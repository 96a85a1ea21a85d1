/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A run: lock the library for indexing, walk, and merge each folder of the disk with the rows that
 * the database has of it. A folder that this run has inserted has no rows yet, so nothing is asked
 * for it; in a fresh location the merge costs nothing. Rows go out through an entry batch.
 *
 * What a killed run leaves is a location with a part of its entries, parents before children:
 * the next run finds them by folder and name and goes on. */

#include "indexer/location_manager.h"

#include "indexer/entry_batch.h"
#include "indexer/folder_rows.h"
#include "indexer/location_store.h"
#include "indexer/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define BATCH_SIZE_MAX 65536u

/* A folder's tag in the walk: its number in the batch, and whether this run inserts it. */
#define TAG(folder, is_fresh) ((folder) << 1 | ((is_fresh) ? 1u : 0u))
#define TAG_FOLDER(tag) ((tag) >> 1)
#define TAG_IS_FRESH(tag) (((tag)&1u) != 0)

struct run {
    struct syncline *lib;                           /* NULL: no syncing */
    struct sqlite3 *db;                             /* the caller's */
    const char *path;                               /* absolute, without links */
    const struct indexer_location_options *options; /* the caller's */
    struct indexer_location_stats *stats;           /* the caller's */
    struct indexer_error *err;                      /* the caller's */
    enum syncline_status status;                    /* why the walk was ended */
    uint64_t started_ns;                            /* CLOCK_MONOTONIC */
    struct indexer_entry_batch batch;               /* rows on their way out */
    struct indexer_folder_rows known;               /* of the folder that is walked */
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void count_commit(struct run *run)
{
    struct indexer_location_stats *stats = run->stats;
    stats->last_commit_ns = now_ns();
    if (stats->batches++ == 0)
        stats->first_commit_ns = stats->last_commit_ns;
    stats->total_ms = (stats->last_commit_ns - run->started_ns) / 1000000u;
    if (run->options->progress != NULL)
        run->options->progress(run->options->ctx, stats);
}

static enum syncline_status flush(struct run *run)
{
    size_t inserts = run->batch.inserts_count;
    size_t updates = run->batch.updates_count;
    if (inserts + updates == 0)
        return SYNCLINE_OK;
    enum syncline_status status = indexer_entry_batch_flush(&run->batch, run->err);
    if (status != SYNCLINE_OK)
        return status;
    run->stats->inserted += inserts;
    run->stats->updated += updates;
    count_commit(run);
    return SYNCLINE_OK;
}

/* Ends the walk when the run has failed. */
static enum indexer_walk_next next_after(struct run *run, enum syncline_status status)
{
    run->status = status;
    return status == SYNCLINE_OK ? INDEXER_WALK_ON : INDEXER_WALK_STOP;
}

static enum syncline_status no_memory(struct run *run)
{
    return indexer_fail(run->err, SYNCLINE_ENOMEM,
                        "out of memory: use a smaller batch size or end other programs");
}

static struct entry_row row_of(const struct indexer_walk_entry *entry)
{
    return (struct entry_row){.name = entry->name,
                              .kind = entry->kind,
                              .size = entry->size,
                              .link_target = entry->link_target,
                              .modified_at = entry->modified_at};
}

/* Puts what is on the disk into a row that was there before. False: they are the same. A folder
 * that the walk does not enter keeps its time: it is not this location's to watch. */
static bool take_changes(struct entry_row *row, const struct indexer_walk_entry *entry)
{
    int64_t modified_at = entry->is_skipped ? row->modified_at : entry->modified_at;
    if (row->kind == (int64_t)entry->kind && row->size == entry->size &&
        row->modified_at == modified_at &&
        indexer_bytes_equal(row->link_target, entry->link_target))
        return false;
    row->kind = entry->kind;
    row->size = entry->size;
    row->modified_at = modified_at;
    row->link_target = entry->link_target;
    return true;
}

/* Finds the location or makes it; commits before anything else is written. */
static enum syncline_status open_location(struct run *run, const struct indexer_walk_entry *root,
                                          uint64_t *tag)
{
    struct indexer_location_stats *stats = run->stats;
    struct entry_row row = row_of(root);
    enum syncline_status status =
        indexer_location_open(&run->batch, &run->options->device, run->path, &row, &stats->location,
                              &stats->existed, run->err);
    if (status != SYNCLINE_OK)
        return status;
    uint64_t folder = indexer_entry_batch_folder(&run->batch, row.id);
    if (folder == 0)
        return no_memory(run);
    *tag = TAG(folder, !stats->existed);
    if (!stats->existed) {
        stats->inserted++;
        count_commit(run);
        return SYNCLINE_OK;
    }
    row.name = root->name;
    if (take_changes(&row, root) && !indexer_entry_batch_update(&run->batch, &row))
        return no_memory(run);
    return SYNCLINE_OK;
}

static enum syncline_status take_entry(struct run *run, const struct indexer_walk_entry *entry,
                                       uint64_t *tag)
{
    struct indexer_entry_batch *batch = &run->batch;
    bool is_folder = entry->kind == INDEXER_FOLDER;
    uint64_t folder = 0;
    bool is_added = true;
    const struct entry_row *known = indexer_folder_rows_find(&run->known, entry->name);
    if (is_folder) {
        folder = indexer_entry_batch_folder(batch, known != NULL ? known->id : 0);
        *tag = TAG(folder, known == NULL);
        is_added = folder != 0;
    }
    if (is_added && known == NULL) {
        struct entry_row row = row_of(entry);
        is_added = indexer_entry_batch_insert(batch, &row, TAG_FOLDER(entry->folder_tag), folder);
    }
    if (is_added && known != NULL) {
        struct entry_row row = *known;
        if (take_changes(&row, entry))
            is_added = indexer_entry_batch_update(batch, &row);
    }
    if (!is_added)
        return no_memory(run);
    return indexer_entry_batch_len(batch) == batch->size ? flush(run) : SYNCLINE_OK;
}

static enum indexer_walk_next on_entry(void *ctx, const struct indexer_walk_entry *entry,
                                       uint64_t *tag)
{
    struct run *run = ctx;
    if (!entry->is_root)
        return next_after(run, take_entry(run, entry, tag));
    if (entry->is_skipped)
        return next_after(run, indexer_fail(run->err, SYNCLINE_EINVAL,
                                            "this is the library's own folder: give another one"));
    return next_after(run, open_location(run, entry, tag));
}

static enum indexer_walk_next on_enter(void *ctx, uint64_t folder_tag)
{
    struct run *run = ctx;
    indexer_folder_rows_clear(&run->known);
    if (TAG_IS_FRESH(folder_tag))
        return INDEXER_WALK_ON;
    int64_t id = indexer_entry_batch_folder_id(&run->batch, TAG_FOLDER(folder_tag));
    return next_after(run, indexer_folder_rows_load(&run->known, id, run->err));
}

static void on_unreadable(void *ctx, struct syncline_bytes path, int error_number)
{
    const struct run *run = ctx;
    if (run->options->unreadable != NULL)
        run->options->unreadable(run->options->ctx, path, error_number);
}

/* One run at a time: two would insert the same names. The lock dies with its process. */
static enum syncline_status lock_library(const char *dir, int *fd, struct indexer_error *err)
{
    int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *fd = folder < 0 ? -1 : openat(folder, INDEXER_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int error_number = errno;
    if (folder >= 0)
        close(folder);
    if (*fd < 0)
        return indexer_fail_errno(err, error_number, "%s/" INDEXER_LOCK_NAME " cannot be opened",
                                  dir);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return SYNCLINE_OK;
    error_number = errno;
    close(*fd);
    *fd = -1;
    if (error_number == EWOULDBLOCK)
        return indexer_fail(err, SYNCLINE_EBUSY,
                            "another process indexes into the library %s: wait until it has ended",
                            dir);
    return indexer_fail_errno(err, error_number, "%s/" INDEXER_LOCK_NAME " cannot be locked", dir);
}

/* Everything between the lock and its release. */
static enum syncline_status walk_and_write(struct run *run, const char *dir, size_t batch_size)
{
    enum syncline_status status =
        indexer_entry_batch_init(&run->batch, run->lib, run->db, batch_size, run->err);
    if (status != SYNCLINE_OK)
        return status;
    indexer_folder_rows_init(&run->known, run->db);
    const char *skip[] = {dir};
    struct indexer_walk_options walk = {.ctx = run,
                                        .entry = on_entry,
                                        .enter = on_enter,
                                        .unreadable = on_unreadable,
                                        .skip = skip,
                                        .skip_count = dir != NULL ? 1 : 0,
                                        .stop = run->options->stop};
    struct indexer_error walk_error = {0};
    status = indexer_walk(run->path, &walk, &run->stats->walk, &walk_error);
    if (status != SYNCLINE_OK)
        indexer_fail(run->err, status, "%s", walk_error.text);
    if (status == SYNCLINE_OK)
        status = run->status;
    if (status == SYNCLINE_OK)
        status = flush(run);
    indexer_folder_rows_fini(&run->known);
    indexer_entry_batch_fini(&run->batch);
    return status;
}

enum syncline_status indexer_location_add(struct syncline *lib, struct sqlite3 *db,
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
    struct run run = {.lib = lib,
                      .db = db,
                      .options = options,
                      .stats = stats,
                      .err = &reason,
                      .started_ns = now_ns()};
    char *resolved = NULL;
    enum syncline_status status = indexer_walk_resolve(path, &resolved, err);
    if (status != SYNCLINE_OK)
        return status;
    run.path = resolved;
    char *dir = indexer_db_dir(db);
    int lock = -1;
    if (dir != NULL)
        status = lock_library(dir, &lock, &reason);
    if (status == SYNCLINE_OK)
        status = walk_and_write(&run, dir, batch_size);
    if (lock >= 0)
        close(lock);
    stats->total_ms = (now_ns() - run.started_ns) / 1000000u;
    if (status != SYNCLINE_OK) {
        char name[512];
        indexer_fail(err, status, "%s was not indexed: %s",
                     indexer_escape(name, sizeof(name), resolved, strlen(resolved)), reason.text);
    }
    free(dir);
    free(resolved);
    return status;
}

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
