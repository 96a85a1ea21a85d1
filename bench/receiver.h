/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Device B as a process of its own: this program again, told by lines on its standard input.
 *
 *     B says   "ready"                    joined, open, and linked with A
 *     A says   "await TABLE UUID"         a number (enum bench_table), 32 hexadecimal digits
 *     B says   "armed"                    it looks
 *     B says   "seen NS COUNT SIZES NAMES ROOTS"   when the row was visible, and the entries there
 *     A says   "write"                    B's application begins to write (app_writer.h)
 *     B says   "writing"
 *     A says   "stop"                     it ends
 *     B says   "wrote P50 P99 MAX"        ns that its transactions took
 *     B says   "error TEXT"               and ends
 *
 * The end of its input ends B. */

#ifndef BENCH_RECEIVER_H
#define BENCH_RECEIVER_H

#include "bench/app_writer.h"
#include "bench/child.h"
#include "bench/plain.h"
#include "bench/watch.h"

#define BENCH_RECEIVER_OPTION "--receiver" /* DIR ADDRESS; not for people */

/* The main function of B; returns its exit code. */
int bench_receiver_main(const char *dir, const char *address);

/* A's side of it. */
struct bench_receiver {
    struct bench_child child;
};

/* Starts B in the new folder `dir` as a further device of the library served at `address`, and
 * waits until it is linked. On failure there is nothing to stop. Errors: ENOMEM (no process), ENET,
 * TIMEOUT, ECLOSED (interrupted). */
SYNCLINE_MUST_USE enum syncline_status bench_receiver_start(struct bench_receiver *receiver,
                                                            const char *dir, const char *address,
                                                            struct indexer_error *err);
/* B begins to look for the row. */
SYNCLINE_MUST_USE enum syncline_status bench_receiver_await(struct bench_receiver *receiver,
                                                            enum bench_table table,
                                                            const struct syncline_uuid *uuid,
                                                            struct indexer_error *err);
/* Waits until it was seen. */
SYNCLINE_MUST_USE enum syncline_status bench_receiver_seen(struct bench_receiver *receiver,
                                                           uint64_t *seen_ns,
                                                           struct bench_content *content,
                                                           struct indexer_error *err);
/* B's application writes from now until written, which says how long its transactions took. */
SYNCLINE_MUST_USE enum syncline_status bench_receiver_write(struct bench_receiver *receiver,
                                                            struct indexer_error *err);
SYNCLINE_MUST_USE enum syncline_status bench_receiver_written(struct bench_receiver *receiver,
                                                              struct bench_app_times *times,
                                                              struct indexer_error *err);
void bench_receiver_stop(struct bench_receiver *receiver);

#endif
