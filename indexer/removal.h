/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Removes entries with everything below them: leaves first, so that no row ever points at one that
 * is not there, here or on another device; so many rows a transaction, so that the write lock is
 * held shortly; the list of them is a temporary table, so that memory does not grow with it.
 *
 * What is removed when it is stopped or killed is gone whole, and the rest is a tree as before. One
 * thread; blocks on the disk. */

#ifndef INDEXER_REMOVAL_H
#define INDEXER_REMOVAL_H

#include "indexer/error.h"
#include "indexer/models.h"

struct sqlite3;
struct sqlite3_stmt;

struct indexer_removal {
    struct syncline *lib;        /* NULL: no syncing */
    struct sqlite3 *db;          /* the caller's, in no transaction */
    size_t size;                 /* rows per transaction */
    struct entry_row *rows;      /* of one transaction, ours */
    uint64_t left;               /* rows in the list */
    struct sqlite3_stmt *add;    /* puts a tree into the list, ours */
    struct sqlite3_stmt *next;   /* the next rows of the list, ours */
    struct sqlite3_stmt *remove; /* a row of entries, ours */
    struct sqlite3_stmt *drop;   /* the first rows of the list, ours */
};

/* On failure there is nothing to be undone. Errors: EDB, EIO, EBUSY, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_removal_init(struct indexer_removal *removal,
                                                            struct syncline *lib,
                                                            struct sqlite3 *db, size_t size,
                                                            struct indexer_error *err);
void indexer_removal_fini(struct indexer_removal *removal);

/* Puts an entry with everything below it into the list, or only what is below it. No tree may be in
 * another one of the list. Errors: EDB, EIO, EBUSY, ENOSPC, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_removal_add(struct indexer_removal *removal,
                                                           int64_t id, bool below_only,
                                                           struct indexer_error *err);

/* Removes the next rows of the list in one transaction, with one call to Syncline; *count: how many
 * they were, 0 at the end. Errors: EBUSY, ENOSPC, EIO, EDB, and those of Syncline. */
SYNCLINE_MUST_USE enum syncline_status
indexer_removal_step(struct indexer_removal *removal, uint64_t *count, struct indexer_error *err);

#endif
