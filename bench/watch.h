/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Waiting for a row to be visible in a database, from a connection that only reads. */

#ifndef BENCH_WATCH_H
#define BENCH_WATCH_H

#include <stdbool.h>

#include "indexer/error.h"

struct sqlite3;
struct sqlite3_stmt;

/* Where a row may be waited for. */
enum bench_table { BENCH_ENTRIES = 0, BENCH_LOCATIONS, BENCH_TAGS, BENCH_TABLES };

#define BENCH_LOOK_US 200 /* between two looks: what the times seen here are exact to */

struct bench_watch {
    struct sqlite3 *db;
    struct sqlite3_stmt *version;
    struct sqlite3_stmt *rows[BENCH_TABLES]; /* by UUID */
};

/* On a connection of its own to `dir`/library.db. */
SYNCLINE_MUST_USE enum syncline_status bench_watch_init(struct bench_watch *watch, const char *dir,
                                                        struct indexer_error *err);
void bench_watch_fini(struct bench_watch *watch);

/* Waits for the row with this UUID. *seen_ns is when it was seen first. stop(ctx), asked at every
 * look, ends the wait. Errors: TIMEOUT, ECLOSED (stopped), those of the database. */
SYNCLINE_MUST_USE enum syncline_status
bench_watch_wait(struct bench_watch *watch, enum bench_table table,
                 const struct syncline_uuid *uuid, bool (*stop)(void *ctx), void *ctx,
                 uint64_t *seen_ns, struct indexer_error *err);

#endif
