/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Which record is this? Asked about an entry whose name the library does not have in its folder: it
 * may have been moved there from elsewhere, and then its record goes with it.
 *
 * A record was moved here if the file system knows the entry by the record's file_key, both are of
 * one kind, and there is nothing any more where the record says it is: so a second hard link is
 * new, and of two things that changed places each keeps its name. Where the file system keeps no
 * times of birth, an inode may have been given to something new; there size, time and target must
 * be the record's too.
 *
 * The keys are read once, into a temporary table, when they are first asked about; what this run
 * does meanwhile is remembered by the ids of the records that it has placed. One thread; blocks on
 * the disk. */

#ifndef INDEXER_MOVED_FILES_H
#define INDEXER_MOVED_FILES_H

#include "indexer/arena.h"
#include "indexer/error.h"
#include "indexer/walker.h"

struct sqlite3;
struct sqlite3_stmt;

struct indexer_moved_files {
    struct sqlite3 *db;                 /* the caller's */
    const struct syncline_uuid *device; /* whose records; the caller's */
    struct sqlite3_stmt *find;          /* ids by key, ours; NULL before the first question */
    struct sqlite3_stmt *read;          /* an entry by id, ours */
    struct sqlite3_stmt *above;         /* parent and name of an entry, ours */
    struct sqlite3_stmt *location;      /* path of the location of a root, ours */
    int64_t *placed;                    /* open hash of ids, ours; 0: free */
    size_t placed_count;                /* there */
    size_t placed_capacity;             /* a power of two, or 0 */
    struct indexer_arena arena;         /* bytes of the row found last */
};

void indexer_moved_files_init(struct indexer_moved_files *moved, struct sqlite3 *db,
                              const struct syncline_uuid *device);
void indexer_moved_files_fini(struct indexer_moved_files *moved);

/* *found, and *row with what the database has of it, until the next question. The caller places it.
 * Errors: EDB, EIO, EBUSY, ENOSPC (of the temporary table), ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status
indexer_moved_files_find(struct indexer_moved_files *moved, const struct indexer_walk_entry *entry,
                         struct entry_row *row, bool *found, struct indexer_error *err);

/* The record's place is where this run met it, whatever the database still says. False: no memory.
 */
SYNCLINE_MUST_USE bool indexer_moved_files_place(struct indexer_moved_files *moved, int64_t id);
bool indexer_moved_files_is_placed(const struct indexer_moved_files *moved, int64_t id);

#endif
