/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Temporary PostgreSQL clusters for comparison: each a server of its own in a folder of the run, on
 * a Unix socket there, with the settings of a new cluster but for wal_level=logical. Run by root,
 * the servers belong to the user postgres, because they refuse to be root's. A server ends with
 * this process, whatever that dies of. */

#ifndef BENCH_POSTGRES_H
#define BENCH_POSTGRES_H

#include "bench/child.h"
#include "bench/folder.h"

struct bench_postgres {
    char bin[BENCH_PATH_SIZE]; /* where the programs are */
    char dir[BENCH_PATH_SIZE]; /* the cluster's folder, and its socket's */
    struct bench_child server;
    struct bench_child psql;      /* connected */
    char answer[BENCH_LINE_SIZE]; /* the last line that the last query said, or "" */
};

/* Makes a cluster, starts it and connects. Errors: ENOTFOUND (the text says what is missing), EIO,
 * ENET, TIMEOUT. On failure there is nothing to stop. */
SYNCLINE_MUST_USE enum syncline_status bench_postgres_start(struct bench_postgres *postgres,
                                                            struct bench_folder *folder,
                                                            struct indexer_error *err);
void bench_postgres_stop(struct bench_postgres *postgres);

/* Runs SQL; `text` ends with a newline. ->answer is the last line of what it says. Errors: EDB (the
 * text says what the server says), TIMEOUT, ECLOSED. */
SYNCLINE_MUST_USE enum syncline_status bench_postgres_run(struct bench_postgres *postgres,
                                                          const char *text, size_t len,
                                                          struct indexer_error *err);
/* Runs a query again and again until its answer is `value`. Errors: the same. */
SYNCLINE_MUST_USE enum syncline_status bench_postgres_until(struct bench_postgres *postgres,
                                                            const char *query, const char *value,
                                                            struct indexer_error *err);

#endif
