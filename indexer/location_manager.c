/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A run: lock the library for indexing, walk, and merge each folder of the disk with the rows that
 * the database has of it. A folder that this run has inserted has no rows yet, so nothing is asked
 * for it; in a fresh location the merge costs nothing. Rows go out through an entry batch.
 *
 * A name that the database does not have in the folder may be an entry that was moved: then its row
 * goes there, and what is below it with it (moved_files.c). A rescan lists the rows that it did not
 * meet, and removes them when the walk has come to its end and every move is written: a folder that
 * could not be read in full loses nothing.
 *
 * What a killed run leaves is a location with a part of its entries, parents before children:
 * the next run finds them by folder and name and goes on. */

#include "indexer/location_manager.h"

#include "indexer/entry_batch.h"
#include "indexer/folder_rows.h"
#include "indexer/library_lock.h"
#include "indexer/location_store.h"
#include "indexer/moved_files.h"
#include "indexer/removal.h"
#include "indexer/schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_SIZE_MAX 65536u

/* A folder's tag in the walk: its number in the batch, and whether this run inserts it. */
#define TAG(folder, is_fresh) ((folder) << 1 | ((is_fresh) ? 1u : 0u))
#define TAG_FOLDER(tag) ((tag) >> 1)
#define TAG_IS_FRESH(tag) (((tag)&1u) != 0)

/* A row that the walk did not meet. */
struct gone {
    int64_t id;
    bool below_only; /* it is there, as something that has nothing below it */
};

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
    struct indexer_moved_files moved;               /* what was moved, and where it is */
    bool is_rescan;                                 /* remove what is gone */
    bool is_other_root;                             /* another folder than was indexed */
    struct gone *gone;                              /* rows not met, ours */
    size_t gone_count;                              /* there */
    size_t gone_capacity;                           /* there is room for */
    size_t gone_before;                             /* of them in the folders before this one */
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
    size_t moves = run->batch.moves_count;
    size_t updates = run->batch.updates_count - moves;
    if (indexer_entry_batch_len(&run->batch) == 0)
        return SYNCLINE_OK;
    enum syncline_status status = indexer_entry_batch_flush(&run->batch, run->err);
    if (status != SYNCLINE_OK)
        return status;
    run->stats->inserted += inserts;
    run->stats->updated += updates;
    run->stats->moved += moves;
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
                              .modified_at = entry->modified_at,
                              .file_key = entry->file_key};
}

/* Puts what is on the disk into a row that was there before. False: they are the same, but for the
 * key perhaps. A folder that the walk does not enter keeps its time: it is not this location's to
 * watch. */
static bool take_changes(struct entry_row *row, const struct indexer_walk_entry *entry)
{
    int64_t modified_at = entry->is_skipped ? row->modified_at : entry->modified_at;
    row->file_key = entry->file_key;
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

/* A row that the walk has met at its own place. */
static enum syncline_status take_known(struct run *run, const struct entry_row *known,
                                       const struct indexer_walk_entry *entry)
{
    struct entry_row row = *known;
    bool is_other = known->file_key != entry->file_key;
    bool is_added = !is_other || indexer_moved_files_place(&run->moved, known->id);
    if (is_added && take_changes(&row, entry))
        is_added = indexer_entry_batch_update(&run->batch, &row);
    else if (is_added && is_other)
        indexer_entry_batch_note(&run->batch, row.id, row.file_key);
    return is_added ? SYNCLINE_OK : no_memory(run);
}

/* Finds the location or makes it; commits before anything else is written. */
static enum syncline_status open_location(struct run *run, const struct indexer_walk_entry *root,
                                          uint64_t *tag)
{
    struct indexer_location_stats *stats = run->stats;
    struct entry_row row = row_of(root);
    enum syncline_status status =
        indexer_location_open(&run->batch, &run->options->device, run->path, !run->is_rescan, &row,
                              &stats->location, &stats->existed, run->err);
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
    run->is_other_root = row.file_key != root->file_key;
    return take_known(run, &row, root);
}

static enum syncline_status add_gone(struct run *run, int64_t id, bool below_only)
{
    if (!run->is_rescan)
        return SYNCLINE_OK;
    if (run->gone_count == run->gone_capacity) {
        size_t capacity = run->gone_capacity == 0 ? 64 : run->gone_capacity * 2;
        void *memory = reallocarray(run->gone, capacity, sizeof(*run->gone));
        if (memory == NULL)
            return no_memory(run);
        run->gone = memory;
        run->gone_capacity = capacity;
    }
    run->gone[run->gone_count++] = (struct gone){.id = id, .below_only = below_only};
    return SYNCLINE_OK;
}

/* The rows before `name` were not met in this folder; without a name, the rest. */
static enum syncline_status pass_rows(struct run *run, struct syncline_bytes name)
{
    const struct entry_row *row = NULL;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && (row = indexer_folder_rows_before(&run->known, name)) != NULL)
        status = add_gone(run, row->id, false);
    return status;
}

/* The row of an entry at its own place, or NULL. What this run has placed elsewhere is not here,
 * whatever was read before that was written. */
static enum syncline_status find_known(struct run *run, struct syncline_bytes name,
                                       const struct entry_row **known)
{
    enum syncline_status status = pass_rows(run, name);
    if (status != SYNCLINE_OK)
        return status;
    *known = indexer_folder_rows_find(&run->known, name);
    while (*known != NULL && indexer_moved_files_is_placed(&run->moved, (*known)->id))
        *known = indexer_folder_rows_find(&run->known, name);
    return SYNCLINE_OK;
}

/* Takes an entry whose row is elsewhere in the database, if there is one. */
static enum syncline_status take_moved(struct run *run, const struct indexer_walk_entry *entry,
                                       uint64_t *tag, bool *is_moved)
{
    struct entry_row row;
    *is_moved = false;
    if (!run->stats->existed || entry->is_skipped)
        return SYNCLINE_OK;
    enum syncline_status status =
        indexer_moved_files_find(&run->moved, entry, &row, is_moved, run->err);
    if (status != SYNCLINE_OK || !*is_moved)
        return status;
    if (entry->kind == INDEXER_FOLDER) {
        uint64_t folder = indexer_entry_batch_folder(&run->batch, row.id);
        if (folder == 0)
            return no_memory(run);
        *tag = TAG(folder, false);
    }
    (void)take_changes(&row, entry);
    row.name = entry->name;
    if (!indexer_moved_files_place(&run->moved, row.id) ||
        !indexer_entry_batch_move(&run->batch, &row, TAG_FOLDER(entry->folder_tag)))
        return no_memory(run);
    return SYNCLINE_OK;
}

static enum syncline_status take_new(struct run *run, const struct indexer_walk_entry *entry,
                                     uint64_t *tag)
{
    uint64_t folder = 0;
    if (entry->kind == INDEXER_FOLDER) {
        folder = indexer_entry_batch_folder(&run->batch, 0);
        if (folder == 0)
            return no_memory(run);
        *tag = TAG(folder, true);
    }
    struct entry_row row = row_of(entry);
    if (!indexer_entry_batch_insert(&run->batch, &row, TAG_FOLDER(entry->folder_tag), folder))
        return no_memory(run);
    return SYNCLINE_OK;
}

/* Takes an entry that has its row here. */
static enum syncline_status take_here(struct run *run, const struct entry_row *known,
                                      const struct indexer_walk_entry *entry, uint64_t *tag)
{
    enum syncline_status status = SYNCLINE_OK;
    if (entry->kind == INDEXER_FOLDER) {
        uint64_t folder = indexer_entry_batch_folder(&run->batch, known->id);
        if (folder == 0)
            return no_memory(run);
        *tag = TAG(folder, false);
    } else if (known->kind == INDEXER_FOLDER) {
        status = add_gone(run, known->id, true);
    }
    return status == SYNCLINE_OK ? take_known(run, known, entry) : status;
}

static enum syncline_status take_entry(struct run *run, const struct indexer_walk_entry *entry,
                                       uint64_t *tag)
{
    const struct entry_row *known = NULL;
    bool is_moved = false;
    enum syncline_status status = find_known(run, entry->name, &known);
    if (status == SYNCLINE_OK && known != NULL)
        status = take_here(run, known, entry, tag);
    if (status == SYNCLINE_OK && known == NULL)
        status = take_moved(run, entry, tag, &is_moved);
    if (status == SYNCLINE_OK && known == NULL && !is_moved)
        status = take_new(run, entry, tag);
    if (status != SYNCLINE_OK)
        return status;
    return indexer_entry_batch_len(&run->batch) == run->batch.size ? flush(run) : SYNCLINE_OK;
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
    run->gone_before = run->gone_count;
    if (TAG_IS_FRESH(folder_tag))
        return INDEXER_WALK_ON;
    int64_t id = indexer_entry_batch_folder_id(&run->batch, TAG_FOLDER(folder_tag));
    return next_after(run, indexer_folder_rows_load(&run->known, id, run->err));
}

/* What is left of a folder's rows is gone, if all of it was read. */
static enum indexer_walk_next on_leave(void *ctx, uint64_t folder_tag, bool is_whole)
{
    struct run *run = ctx;
    (void)folder_tag;
    if (is_whole)
        return next_after(run, pass_rows(run, (struct syncline_bytes){0}));
    run->gone_count = run->gone_before;
    return INDEXER_WALK_ON;
}

static void on_unreadable(void *ctx, struct syncline_bytes path, int error_number)
{
    const struct run *run = ctx;
    if (run->options->unreadable != NULL)
        run->options->unreadable(run->options->ctx, path, error_number);
}

/* An empty folder that is not the one that was indexed: the place of a disk that is not there. */
static enum syncline_status check_root(struct run *run)
{
    const struct indexer_walk_stats *walk = &run->stats->walk;
    uint64_t seen = walk->files + walk->folders + walk->links + walk->others;
    if (!run->is_other_root || seen > 1 || run->gone_count == 0)
        return SYNCLINE_OK;
    return indexer_fail(run->err, SYNCLINE_EREFUSED,
                        "it is empty and another folder than the one that was indexed: mount its "
                        "disk, or give the location up with `syncline location remove`");
}

static bool is_stopped(const struct run *run)
{
    const atomic_int *stop = run->options->stop;
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed) != 0;
}

/* Lists what is gone, but not what was found elsewhere after it had been missed. */
static enum syncline_status list_gone(struct run *run, struct indexer_removal *removal)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < run->gone_count && status == SYNCLINE_OK; i++) {
        const struct gone *gone = &run->gone[i];
        if (gone->below_only || !indexer_moved_files_is_placed(&run->moved, gone->id))
            status = indexer_removal_add(removal, gone->id, gone->below_only, run->err);
    }
    return status;
}

/* Removes the rows of what is gone, when everything else is written. */
static enum syncline_status remove_gone(struct run *run, size_t batch_size)
{
    struct indexer_removal removal;
    enum syncline_status status = check_root(run);
    if (status != SYNCLINE_OK || run->gone_count == 0)
        return status;
    status = indexer_removal_init(&removal, run->lib, run->db, batch_size, run->err);
    if (status != SYNCLINE_OK)
        return status;
    status = list_gone(run, &removal);
    uint64_t count = 1;
    while (status == SYNCLINE_OK && count > 0 && !run->stats->walk.stopped) {
        status = indexer_removal_step(&removal, &count, run->err);
        run->stats->removed += count;
        run->stats->removing = removal.left;
        if (status == SYNCLINE_OK && count > 0)
            count_commit(run);
        run->stats->walk.stopped = is_stopped(run) && removal.left > 0;
    }
    indexer_removal_fini(&removal);
    return status;
}

/* Everything between the lock and its release. */
static enum syncline_status walk_and_write(struct run *run, const char *dir, size_t batch_size)
{
    enum syncline_status status =
        indexer_entry_batch_init(&run->batch, run->lib, run->db, batch_size, run->err);
    if (status != SYNCLINE_OK)
        return status;
    indexer_folder_rows_init(&run->known, run->db);
    indexer_moved_files_init(&run->moved, run->db, &run->options->device);
    const char *skip[] = {dir};
    struct indexer_walk_options walk = {.ctx = run,
                                        .entry = on_entry,
                                        .enter = on_enter,
                                        .leave = on_leave,
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
    if (status == SYNCLINE_OK && !run->stats->walk.stopped)
        status = remove_gone(run, batch_size);
    free(run->gone);
    indexer_moved_files_fini(&run->moved);
    indexer_folder_rows_fini(&run->known);
    indexer_entry_batch_fini(&run->batch);
    return status;
}

static enum syncline_status run_location(struct syncline *lib, struct sqlite3 *db, const char *path,
                                         bool is_rescan,
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
                      .is_rescan = is_rescan,
                      .started_ns = now_ns()};
    char *resolved = NULL;
    enum syncline_status status = indexer_walk_resolve(path, &resolved, err);
    if (status != SYNCLINE_OK)
        return status;
    run.path = resolved;
    char *dir = indexer_db_dir(db);
    int lock = -1;
    if (dir != NULL)
        status = indexer_library_lock(dir, &lock, &reason);
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

enum syncline_status indexer_location_add(struct syncline *lib, struct sqlite3 *db,
                                          const char *path,
                                          const struct indexer_location_options *options,
                                          struct indexer_location_stats *stats,
                                          struct indexer_error *err)
{
    return run_location(lib, db, path, false, options, stats, err);
}

enum syncline_status indexer_location_rescan(struct syncline *lib, struct sqlite3 *db,
                                             const char *path,
                                             const struct indexer_location_options *options,
                                             struct indexer_location_stats *stats,
                                             struct indexer_error *err)
{
    return run_location(lib, db, path, true, options, stats, err);
}
