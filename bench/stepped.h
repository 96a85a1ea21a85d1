/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A library without threads, on real files: its stages run when they are told to, and the time of
 * each is taken. The one part of the benchmark that uses internal headers. */

#ifndef BENCH_STEPPED_H
#define BENCH_STEPPED_H

#include "bench/folder.h"
#include "net/transport_local.h"
#include "pipeline/library.h"

struct sqlite3;

#define BENCH_STAGES_MAX 24u

struct bench_stepped {
    struct sl_library *library;
    struct sl_transport *transport;
    struct sqlite3 *db;                  /* the application's connection */
    struct sqlite3_stmt *stands;         /* how far library.db says it is */
    uint64_t stage_ns[BENCH_STAGES_MAX]; /* spent in slices that did something */
    uint64_t poll_ns;                    /* spent in polling the network */
};

/* Makes and opens the library in a new folder, under the address `name` of the hub. peer: the name
 * that it dials, or NULL. On failure there is nothing to close. */
SYNCLINE_MUST_USE enum syncline_status
bench_stepped_open(struct bench_stepped *stepped, struct bench_folder *folder,
                   struct sl_local_hub *hub, const struct syncline_uuid *library_id,
                   const char *name, const char *peer, struct indexer_error *err);
void bench_stepped_close(struct bench_stepped *stepped);

/* The stage of this name. Errors: ENOTFOUND. */
SYNCLINE_MUST_USE enum syncline_status bench_stepped_stage(const struct bench_stepped *stepped,
                                                           const char *name, size_t *stage,
                                                           struct indexer_error *err);
/* One slice of each of the first `count` stages. Returns true if any did something. */
bool bench_stepped_run(struct bench_stepped *stepped, size_t count);
/* One slice of every stage, and the network. */
bool bench_stepped_run_all(struct bench_stepped *stepped);

/* The highest seq of any origin that library.db has applied; of its own origin: settled. */
SYNCLINE_MUST_USE enum syncline_status
bench_stepped_stands(struct bench_stepped *stepped, uint64_t *seq, struct indexer_error *err);

#endif
