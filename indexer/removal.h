/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Removes entries with everything below them: the rows by plain SQL, leaves first, and one captured
 * delete for each tree, since the other devices remove what is below a deleted entry by themselves
 * (stages/subtree.h).
 *
 * A tree of up to INDEXER_REMOVAL_SIZE rows goes in one transaction and is one change. A larger one
 * goes in pieces of so many, each a transaction, so that the write lock is held for a bounded time:
 *
 *     the rows in post-order    a b C d e F g H I J     (capitals are folders; J is the root)
 *     pieces of four            a b C d|e F g H|I J
 *     captured                  C d     F H     J       rows whose folder is not in their piece
 *
 * What is below a captured row is in its piece or in an earlier one, so at the end of each piece
 * the other devices are told of exactly what is gone. What is removed when a run is stopped or
 * killed is gone whole, and the rest is a tree as before: the next run goes on with it.
 *
 * Each piece looks at what is there at its time: what was put below a folder meanwhile goes with
 * it, and what was moved out of it stays. One thread; blocks on the disk. */

#ifndef INDEXER_REMOVAL_H
#define INDEXER_REMOVAL_H

#include "indexer/error.h"
#include "indexer/models.h"

struct sqlite3;
struct sqlite3_stmt;

/* Rows per transaction, by default: the write lock is held for about half a second here, and for
 * one on the other devices, which remove a tree in one transaction, too. */
#define INDEXER_REMOVAL_SIZE 100000u

/* What is to be removed: an entry with everything below it. */
struct indexer_removal_tree {
    int64_t id;       /* of the entry */
    bool below_only;  /* it stays, and what is below it goes */
    int64_t location; /* of which it is the root, and which goes with it; 0: of none */
};

/* A row that has left, as long as that of its folder has not. */
struct indexer_removal_top {
    int64_t id;
    struct syncline_uuid uuid;
    size_t depth; /* below its root */
};

/* A row on the way down to the next one that goes. */
struct indexer_removal_step_down {
    int64_t id;
    struct syncline_uuid uuid;
};

struct indexer_removal {
    struct syncline *lib;               /* NULL: no syncing */
    struct sqlite3 *db;                 /* the caller's, in no transaction */
    uint64_t size;                      /* rows per transaction */
    uint64_t left;                      /* rows that are still there, as they were counted */
    struct indexer_removal_tree *trees; /* the list, ours */
    size_t trees_count;
    size_t trees_capacity;
    size_t next;                             /* those before it are gone */
    struct indexer_removal_step_down *steps; /* from the root down, ours */
    size_t steps_count;
    size_t steps_capacity;
    struct indexer_removal_top *tops; /* of this piece, ours */
    size_t tops_count;
    size_t tops_capacity;
    struct entry_row *rows;       /* of one call to Syncline, ours */
    struct sqlite3_stmt *count;   /* rows of a tree, ours */
    struct sqlite3_stmt *find;    /* a row by its id, ours */
    struct sqlite3_stmt *child;   /* a row that is in a folder, ours */
    struct sqlite3_stmt *remove;  /* a row of entries, ours */
    struct sqlite3_stmt *give_up; /* a row of locations, ours */
};

/* `size`: rows per transaction, 0: INDEXER_REMOVAL_SIZE. On failure there is nothing to be undone.
 * Errors: EDB, EIO, EBUSY, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_removal_init(struct indexer_removal *removal,
                                                            struct syncline *lib,
                                                            struct sqlite3 *db, uint64_t size,
                                                            struct indexer_error *err);
void indexer_removal_fini(struct indexer_removal *removal);

/* Puts a tree into the list, and counts its rows. It may not be in another one of the list.
 * Errors: EDB, EIO, EBUSY, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_removal_add(struct indexer_removal *removal,
                                                           const struct indexer_removal_tree *tree,
                                                           struct indexer_error *err);

/* Removes the next piece of the list in one transaction; *count: how many rows it was, 0 at the
 * end. What is not there any more counts for nothing. On failure nothing of the piece was done.
 * Errors: EBUSY, ENOSPC, EIO, EDB, ENOMEM, and those of Syncline. */
SYNCLINE_MUST_USE enum syncline_status
indexer_removal_step(struct indexer_removal *removal, uint64_t *count, struct indexer_error *err);

#endif
