/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Two libraries without threads, connected in this process: A, where rows are inserted, and B. They
 * grow in rounds: rows are inserted and captured at A while nothing steps; then A's stages up to
 * the log run until all is durable; then all stages of both run until B has applied, A knows, and A
 * has settled. The times of the stages are those of slices that did something, so not the pauses in
 * which the log lingers and settling waits for a capture to take it along. */

#ifndef BENCH_STEPPED_PAIR_H
#define BENCH_STEPPED_PAIR_H

#include "bench/plain.h"
#include "bench/stepped.h"

#define BENCH_ROUND_LEN (20u * BENCH_TRANSACTION_LEN) /* rows of a round at most: fit the pool */

struct bench_stepped_pair {
    struct sl_local_hub *hub;
    struct bench_stepped a;
    struct bench_stepped b;
    size_t to_log; /* A's stages from intake to the one that makes changes durable */
    size_t len;    /* rows so far */
};

/* On failure there is nothing to close. */
SYNCLINE_MUST_USE enum syncline_status bench_stepped_pair_open(struct bench_stepped_pair *pair,
                                                               struct bench_folder *folder,
                                                               struct indexer_error *err);
void bench_stepped_pair_close(struct bench_stepped_pair *pair);

/* One round with rows [first, first + n); *span is of inserting and capturing them. */
SYNCLINE_MUST_USE enum syncline_status
bench_stepped_pair_round(struct bench_stepped_pair *pair, struct bench_rows *rows, size_t first,
                         size_t n, struct bench_span *span, struct indexer_error *err);
/* So far in A's stages up to the log. */
uint64_t bench_stepped_pair_send_ns(const struct bench_stepped_pair *pair);
/* ECORRUPT unless both tables hold the same. */
SYNCLINE_MUST_USE enum syncline_status bench_stepped_pair_check(struct bench_stepped_pair *pair,
                                                                struct indexer_error *err);

#endif
