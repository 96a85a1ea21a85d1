/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A slow line between two devices on this machine: a thread that takes connections on the loopback,
 * makes one to the real address for each, and passes on so many bytes a second in each direction
 * and no more; what it has not passed on, it has not read. */

#ifndef BENCH_SLOW_LINK_H
#define BENCH_SLOW_LINK_H

#include <pthread.h>
#include <stdatomic.h>

#include "bench/device.h"

struct bench_slow_link {
    char address[BENCH_ADDRESS_SIZE]; /* where it listens */
    char target[BENCH_ADDRESS_SIZE];  /* where it leads */
    size_t bytes_per_s;
    int listener;
    pthread_t thread;
    atomic_bool stop; /* set by stop; read by the thread ten times a second */
};

/* On failure there is nothing to stop. Errors: ENET, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status bench_slow_link_start(struct bench_slow_link *link,
                                                             const char *target, size_t bytes_per_s,
                                                             struct indexer_error *err);
void bench_slow_link_stop(struct bench_slow_link *link);

#endif
