/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* An application's thread that writes small transactions all the time, on a connection of its own
 * to library.db, and takes the time of each: BEGIN IMMEDIATE, one INSERT into a table of its own,
 * COMMIT with FULL, every 5 ms. */

#ifndef BENCH_APP_WRITER_H
#define BENCH_APP_WRITER_H

#include <pthread.h>
#include <stdatomic.h>

#include "indexer/error.h"

struct sqlite3;

#define BENCH_APP_WRITER_PAUSE_US 5000

/* What its transactions took, ns. */
struct bench_app_times {
    double p50;
    double p99;
    double max;
};

struct bench_app_writer {
    struct sqlite3 *db;
    pthread_t thread;
    atomic_bool stop;            /* set by stop; read by the thread between transactions */
    double *times;               /* ns of each */
    size_t len;                  /* so far */
    enum syncline_status status; /* of the thread; read after it has ended */
    struct indexer_error err;
};

/* In the library's folder `dir`. On failure there is nothing to stop. */
SYNCLINE_MUST_USE enum syncline_status
bench_app_writer_start(struct bench_app_writer *writer, const char *dir, struct indexer_error *err);
/* Ends it. Errors: those that a transaction met, and ENOTFOUND if there was none. */
SYNCLINE_MUST_USE enum syncline_status bench_app_writer_stop(struct bench_app_writer *writer,
                                                             struct bench_app_times *times,
                                                             struct indexer_error *err);

#endif
