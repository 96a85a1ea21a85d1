/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Inserting rows into library.db as the reference application does it: plainly, which is what
 * everything is measured against, or with the one call a transaction that syncs them. */

#ifndef BENCH_PLAIN_H
#define BENCH_PLAIN_H

#include "bench/folder.h"
#include "bench/rows.h"

struct sqlite3;

/* When rows were inserted. */
struct bench_span {
    uint64_t first_ns;  /* before the first BEGIN */
    uint64_t last_ns;   /* after the last COMMIT */
    uint64_t thread_ns; /* processor time of this thread in between */
};

/* Inserts all rows, 1000 a transaction, and fills their ids. lib NULL: plainly.
 * Errors: those of the database and of syncline_sync_models_batch. */
SYNCLINE_MUST_USE enum syncline_status bench_insert(struct sqlite3 *db, struct syncline *lib,
                                                    struct bench_rows *rows,
                                                    struct bench_span *span,
                                                    struct indexer_error *err);

/* The same plainly into a new database in a new folder; WAL, FULL, foreign keys on. */
SYNCLINE_MUST_USE enum syncline_status bench_plain(struct bench_folder *folder,
                                                   struct bench_rows *rows, struct bench_span *span,
                                                   struct indexer_error *err);

/* What a table of entries holds, to compare two. */
struct bench_content {
    int64_t count;
    int64_t sizes; /* sum of size */
    int64_t names; /* sum of the lengths of the names */
    int64_t roots; /* entries without a parent */
};

SYNCLINE_MUST_USE enum syncline_status
bench_content_read(struct sqlite3 *db, struct bench_content *content, struct indexer_error *err);
/* ECORRUPT, with both in the text, unless they are equal. */
SYNCLINE_MUST_USE enum syncline_status bench_content_check(const struct bench_content *a,
                                                           const struct bench_content *b,
                                                           struct indexer_error *err);

#endif
