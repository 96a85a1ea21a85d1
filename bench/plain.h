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

/* What is done with the rows of a transaction before its COMMIT. */
typedef enum syncline_status (*bench_then_fn)(void *ctx, struct sqlite3 *db,
                                              const struct entry_row *rows, size_t n,
                                              struct indexer_error *err);

/* How rows are inserted. */
struct bench_writer {
    struct sqlite3 *db;
    size_t transaction_len; /* rows in each */
    bench_then_fn then;     /* NULL: nothing, plainly */
    void *ctx;              /* for it */
};

/* Inserts rows [first, first + n) and fills their ids; a row's parent is among them or was inserted
 * before. Errors: those of the database and of `then`. */
SYNCLINE_MUST_USE enum syncline_status bench_insert_some(const struct bench_writer *writer,
                                                         struct bench_rows *rows, size_t first,
                                                         size_t n, struct bench_span *span,
                                                         struct indexer_error *err);

/* All rows, 1000 a transaction, with one call a transaction to `lib`. lib NULL: plainly.
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
