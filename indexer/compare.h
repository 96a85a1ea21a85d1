/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Proofs of equality that use nothing of Syncline: plain SQL over two databases, and a database
 * against the folder it describes. */

#ifndef INDEXER_COMPARE_H
#define INDEXER_COMPARE_H

#include "indexer/error.h"
#include "indexer/models.h"

#include <stdatomic.h>

struct sqlite3;

#define INDEXER_DIFFERENCES_NAMED 8u /* at most so many are described */
#define INDEXER_DIFFERENCE_SIZE 384u /* bytes of a description */

struct indexer_comparison {
    uint64_t compared;    /* rows of A, or entries on disk */
    uint64_t differences; /* 0: equal */
    uint64_t unreadable;  /* compare_with_folder: parts of the disk that could not be looked at */
    size_t named;         /* descriptions below */
    char text[INDEXER_DIFFERENCES_NAMED][INDEXER_DIFFERENCE_SIZE]; /* one line of UTF-8 each */
};

/* Compares two library.db files (their paths): devices, locations, entries and tags, joined over
 * UUIDs, keys as the UUIDs they point at, every column but the ids, in both directions. Opens them
 * read-only on a connection of its own, one snapshot of each. `out` is filled on success only.
 * Errors: ENOTFOUND (no such file), EFORMAT (not a database, or without the tables), EBUSY, EIO,
 * EDB. */
SYNCLINE_MUST_USE enum syncline_status indexer_compare_databases(const char *path_a,
                                                                 const char *path_b,
                                                                 struct indexer_comparison *out,
                                                                 struct indexer_error *err);

struct indexer_compare_options {
    const struct syncline_uuid *device; /* whose location; NULL: there must be only one */
    const char *const *skip;            /* folders that the indexing did not enter: its library */
    size_t skip_count;
    const atomic_int *stop; /* not 0: give up with AGAIN; may be NULL */
};

/* Walks the folder again and compares it with the location of that path in `db` (which may be the
 * library.db of any member): name, kind, size, time, link target, in both directions; an entry that
 * is only in one counts with everything below it. The folder must be at rest. options may be NULL.
 * `out` is filled on success only. The folder that holds `db` is skipped by itself.
 * Errors: ENOTFOUND (no such folder, or no location with this path), EINVAL (several devices have
 * it), AGAIN (stopped), EIO, EDB, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status
indexer_compare_with_folder(struct sqlite3 *db, const char *path,
                            const struct indexer_compare_options *options,
                            struct indexer_comparison *out, struct indexer_error *err);

#endif
