/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Locations: folders of this device that are indexed into library.db.
 *
 * The calls take a connection from indexer_db_open that is in no transaction, and the library's
 * handle, or NULL to index without syncing. Any thread; they block on the disk. */

#ifndef INDEXER_LOCATION_MANAGER_H
#define INDEXER_LOCATION_MANAGER_H

#include "indexer/error.h"
#include "indexer/models.h"
#include "indexer/walker.h"

struct sqlite3;

#define INDEXER_BATCH_SIZE 1000u /* rows per transaction, by default */

struct indexer_location_stats {
    struct indexer_walk_stats walk; /* what was seen, so far */
    struct syncline_uuid location;  /* UUID of the location */
    bool existed;                   /* it was in the database before */
    uint64_t inserted;              /* entries; includes the root */
    uint64_t updated;               /* entries whose kind, size, time or link target changed */
    uint64_t moved;                 /* entries with another name or folder, changed or not; what is
                                       in a folder that was moved does not count */
    uint64_t removed;               /* entries that are gone from the disk, or from the library */
    uint64_t removing;              /* entries that are to be removed yet */
    uint64_t batches;               /* transactions committed */
    uint64_t first_commit_ns;       /* CLOCK_MONOTONIC after the first COMMIT; 0: none yet */
    uint64_t last_commit_ns;        /* the same after the last */
    uint64_t total_ms;              /* from the call to its return, or to this progress */
};

struct indexer_location_options {
    struct syncline_uuid device; /* this device: syncline_info.device_id; registered before */
    uint32_t batch_size;         /* rows per transaction; 0: INDEXER_BATCH_SIZE, and where entries
                                    are removed INDEXER_REMOVAL_SIZE (removal.h) */
    const atomic_int *stop;      /* not 0: commit what is collected and return; may be NULL */
    void *ctx;                   /* first argument of the callbacks */
    /* After every COMMIT; may be NULL. */
    void (*progress)(void *ctx, const struct indexer_location_stats *stats);
    /* What cannot be read: a path of any bytes and length, without NUL; may be NULL. */
    void (*unreadable)(void *ctx, struct syncline_bytes path, int error_number);
};

/* Indexes the folder `path`: makes its location if it is new, walks it, inserts the entries that
 * are missing and updates those that changed or were moved, batch_size rows a transaction. Entries
 * that are gone from the disk stay. An entry that was moved keeps its record, and so does what is
 * in it: the file system knows it by device, inode and time of birth (moved_files.h). Run again
 * after any interruption it goes on where it was. The folder of library.db itself is recorded but
 * not entered. Fills *stats, also on failure; stopped by `stop` it returns OK with
 * stats->walk.stopped. Errors: ENOTFOUND (no such folder; or the device is not
 * registered), EINVAL (not a folder, or the library's own), EREFUSED (new, and inside another
 * location of this device or around one, on one file system; the text names it), EBUSY (another
 * process indexes into this library, or holds the write lock), ENOSPC, EIO, EDB, ENOMEM, and what
 * Syncline's calls return. */
SYNCLINE_MUST_USE enum syncline_status
indexer_location_add(struct syncline *lib, struct sqlite3 *db, const char *path,
                     const struct indexer_location_options *options,
                     struct indexer_location_stats *stats, struct indexer_error *err);

/* The same of a location that is there, and then removes the entries that are gone from the disk,
 * with what is below them: a folder is one change, if it has no more rows than a transaction
 * (removal.h). What could not be read stays. Errors: the same, and
 * ENOTFOUND (no such location), EREFUSED (the folder is empty and not the one that was indexed, as
 * when its disk is not mounted). */
SYNCLINE_MUST_USE enum syncline_status
indexer_location_rescan(struct syncline *lib, struct sqlite3 *db, const char *path,
                        const struct indexer_location_options *options,
                        struct indexer_location_stats *stats, struct indexer_error *err);

/* Removes the location `path` of this device and its entries from the library; the disk is not
 * touched, and the folder need not be there. It is one transaction and one change, if it has no
 * more rows than a transaction; else several, and the location goes with the last of them: run
 * again after any interruption it goes on where it was. Of the options `unreadable` is not used; of
 * *stats `location`, `existed`, `removed`, `removing`, the commits and the time are filled in, and
 * walk.stopped. Errors: ENOTFOUND (no such location), EINVAL, EBUSY, ENOSPC, EIO, EDB, ENOMEM, and
 * what Syncline's calls return. */
SYNCLINE_MUST_USE enum syncline_status
indexer_location_remove(struct syncline *lib, struct sqlite3 *db, const char *path,
                        const struct indexer_location_options *options,
                        struct indexer_location_stats *stats, struct indexer_error *err);

/* A location as listed. The pointers die when the callback returns. */
struct indexer_location {
    struct location_row row;
    struct syncline_uuid device; /* whose it is */
    const char *device_name;
    uint64_t entries; /* in its tree, with the root; 0 unless asked for */
};

/* Tells every location of every device, in the order of their UUIDs. Counting reads every entry.
 * The callback must not write to `db`. Errors: EDB, EIO, EBUSY. */
SYNCLINE_MUST_USE enum syncline_status
indexer_location_list(struct sqlite3 *db, bool count_entries,
                      void (*each)(void *ctx, const struct indexer_location *location), void *ctx,
                      struct indexer_error *err);

#endif
