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
#include "indexer/location_run.h"
#include "indexer/location_store.h"
#include "indexer/moved_files.h"
#include "indexer/removal.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

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
    struct indexer_location_run *frame; /* the run as such */
    enum syncline_status status;        /* why the walk was ended */
    struct indexer_entry_batch batch;   /* rows on their way out */
    struct indexer_folder_rows known;   /* of the folder that is walked */
    struct indexer_moved_files moved;   /* what was moved, and where it is */
    bool is_rescan;                     /* remove what is gone */
    bool is_other_root;                 /* another folder than was indexed */
    struct gone *gone;                  /* rows not met, ours */
    size_t gone_count;                  /* there */
    size_t gone_capacity;               /* there is room for */
    size_t gone_before;                 /* of them in the folders before this one */
};

static enum syncline_status flush(struct run *run)
{
    size_t inserts = run->batch.inserts_count;
    size_t moves = run->batch.moves_count;
    size_t updates = run->batch.updates_count - moves;
    if (indexer_entry_batch_len(&run->batch) == 0)
        return SYNCLINE_OK;
    enum syncline_status status = indexer_entry_batch_flush(&run->batch, run->frame->err);
    if (status != SYNCLINE_OK)
        return status;
    run->frame->stats->inserted += inserts;
    run->frame->stats->updated += updates;
    run->frame->stats->moved += moves;
    indexer_location_run_committed(run->frame);
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
    return indexer_fail(run->frame->err, SYNCLINE_ENOMEM,
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
    struct indexer_location_stats *stats = run->frame->stats;
    struct entry_row row = row_of(root);
    enum syncline_status status = indexer_location_open(
        &run->batch, &run->frame->options->device, run->frame->path, !run->is_rescan, &row,
        &stats->location, &stats->existed, run->frame->err);
    if (status != SYNCLINE_OK)
        return status;
    uint64_t folder = indexer_entry_batch_folder(&run->batch, row.id);
    if (folder == 0)
        return no_memory(run);
    *tag = TAG(folder, !stats->existed);
    if (!stats->existed) {
        stats->inserted++;
        indexer_location_run_committed(run->frame);
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
    if (!run->frame->stats->existed || entry->is_skipped)
        return SYNCLINE_OK;
    enum syncline_status status =
        indexer_moved_files_find(&run->moved, entry, &row, is_moved, run->frame->err);
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
        return next_after(run, indexer_fail(run->frame->err, SYNCLINE_EINVAL,
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
    return next_after(run, indexer_folder_rows_load(&run->known, id, run->frame->err));
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
    if (run->frame->options->unreadable != NULL)
        run->frame->options->unreadable(run->frame->options->ctx, path, error_number);
}

/* An empty folder that is not the one that was indexed: the place of a disk that is not there. */
static enum syncline_status check_root(struct run *run)
{
    const struct indexer_walk_stats *walk = &run->frame->stats->walk;
    uint64_t seen = walk->files + walk->folders + walk->links + walk->others;
    if (!run->is_other_root || seen > 1 || run->gone_count == 0)
        return SYNCLINE_OK;
    return indexer_fail(run->frame->err, SYNCLINE_EREFUSED,
                        "it is empty and another folder than the one that was indexed: mount its "
                        "disk, or give the location up with `syncline location remove`");
}

/* Lists what is gone, but not what was found elsewhere after it had been missed. */
static enum syncline_status list_gone(struct run *run, struct indexer_removal *removal)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < run->gone_count && status == SYNCLINE_OK; i++) {
        const struct gone *gone = &run->gone[i];
        const struct indexer_removal_tree tree = {.id = gone->id, .below_only = gone->below_only};
        if (gone->below_only || !indexer_moved_files_is_placed(&run->moved, gone->id))
            status = indexer_removal_add(removal, &tree, run->frame->err);
    }
    return status;
}

/* Removes the rows of what is gone, when everything else is written. */
static enum syncline_status remove_gone(struct run *run)
{
    struct indexer_location_run *frame = run->frame;
    struct indexer_removal removal;
    enum syncline_status status = check_root(run);
    if (status != SYNCLINE_OK || run->gone_count == 0)
        return status;
    status = indexer_removal_init(&removal, frame->lib, frame->db, frame->options->batch_size,
                                  frame->err);
    if (status != SYNCLINE_OK)
        return status;
    status = list_gone(run, &removal);
    if (status == SYNCLINE_OK)
        status = indexer_location_run_remove(frame, &removal);
    indexer_removal_fini(&removal);
    return status;
}

static enum syncline_status walk_and_write(struct indexer_location_run *frame, bool is_rescan)
{
    struct run run = {.frame = frame, .is_rescan = is_rescan};
    const struct indexer_location_options *options = frame->options;
    size_t batch_size = options->batch_size == 0 ? INDEXER_BATCH_SIZE : options->batch_size;
    enum syncline_status status =
        indexer_entry_batch_init(&run.batch, frame->lib, frame->db, batch_size, frame->err);
    if (status != SYNCLINE_OK)
        return status;
    indexer_folder_rows_init(&run.known, frame->db);
    indexer_moved_files_init(&run.moved, frame->db, &options->device);
    const char *skip[] = {frame->dir};
    struct indexer_walk_options walk = {.ctx = &run,
                                        .entry = on_entry,
                                        .enter = on_enter,
                                        .leave = on_leave,
                                        .unreadable = on_unreadable,
                                        .skip = skip,
                                        .skip_count = frame->dir != NULL ? 1 : 0,
                                        .stop = options->stop};
    struct indexer_error walk_error = {0};
    status = indexer_walk(frame->path, &walk, &frame->stats->walk, &walk_error);
    if (status != SYNCLINE_OK)
        indexer_fail(frame->err, status, "%s", walk_error.text);
    if (status == SYNCLINE_OK)
        status = run.status;
    if (status == SYNCLINE_OK)
        status = flush(&run);
    if (status == SYNCLINE_OK && !frame->stats->walk.stopped)
        status = remove_gone(&run);
    free(run.gone);
    indexer_moved_files_fini(&run.moved);
    indexer_folder_rows_fini(&run.known);
    indexer_entry_batch_fini(&run.batch);
    return status;
}

static enum syncline_status add_entries(struct indexer_location_run *run)
{
    return walk_and_write(run, false);
}

static enum syncline_status scan_again(struct indexer_location_run *run)
{
    return walk_and_write(run, true);
}

enum syncline_status indexer_location_add(struct syncline *lib, struct sqlite3 *db,
                                          const char *path,
                                          const struct indexer_location_options *options,
                                          struct indexer_location_stats *stats,
                                          struct indexer_error *err)
{
    static const struct indexer_location_work adding = {"indexed", indexer_walk_resolve,
                                                        add_entries};
    return indexer_location_run(&adding, lib, db, path, options, stats, err);
}

enum syncline_status indexer_location_rescan(struct syncline *lib, struct sqlite3 *db,
                                             const char *path,
                                             const struct indexer_location_options *options,
                                             struct indexer_location_stats *stats,
                                             struct indexer_error *err)
{
    static const struct indexer_location_work rescanning = {"indexed", indexer_walk_resolve,
                                                            scan_again};
    return indexer_location_run(&rescanning, lib, db, path, options, stats, err);
}
