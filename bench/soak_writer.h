/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One application thread of the soak: transactions of random inserts, updates and deletes of its
 * own rows, with all three calls, savepoints and rollbacks, on a connection of its own, until all
 * threads together have committed enough. What it does follows from its seed alone. */

#ifndef BENCH_SOAK_WRITER_H
#define BENCH_SOAK_WRITER_H

#include <stdatomic.h>

#include "bench/soak_records.h"
#include "indexer/models.h"

struct sqlite3;
struct sqlite3_stmt;

#define BENCH_SOAK_BATCH_MAX 2000u /* rows of one operation */

/* What all threads share. */
struct bench_soak {
    struct syncline *lib;       /* NULL: plainly */
    const char *dir;            /* the library's */
    uint64_t target;            /* changes to commit */
    atomic_ullong committed;    /* so far, by all threads */
    atomic_ullong rolled_back;  /* changes made and rolled back */
    atomic_ullong transactions; /* committed */
    atomic_bool failed;         /* set by a thread that failed: the others end too */
};

enum bench_soak_sql {
    BENCH_SOAK_ADD_ENTRY,
    BENCH_SOAK_CHANGE_ENTRY,
    BENCH_SOAK_REMOVE_ENTRY,
    BENCH_SOAK_ADD_TAG,
    BENCH_SOAK_CHANGE_TAG,
    BENCH_SOAK_REMOVE_TAG,
    BENCH_SOAK_STATEMENTS
};

struct bench_soak_writer {
    struct bench_soak *soak;
    uint64_t state; /* of its random numbers: the seed at first */
    struct sqlite3 *db;
    struct sqlite3_stmt *stmts[BENCH_SOAK_STATEMENTS];
    struct bench_soak_records records;
    struct entry_row *entries;   /* rows of one operation */
    struct tag_row *tags;        /* the same */
    char (*names)[48];           /* theirs */
    uint64_t changes;            /* in the open transaction */
    enum syncline_status status; /* how it ended */
    struct indexer_error err;
};

/* The thread's function. ctx: the writer, with soak and state set and all else zero. */
void *bench_soak_writer_run(void *ctx);

#endif
