/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The engine's thread: steps every stage of a library, and sleeps in the network's poll when none
 * has anything to do. It sleeps 1 ms at first and longer each time, up to SL_POLL_MS_MAX: a capture
 * is seen by its wake, a commit by looking at the database. Signals are the host's: all are blocked
 * here. */

#ifndef SL_WORKER_H
#define SL_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/library.h"

struct sl_worker {
    struct sl_library *library; /* borrowed */
    pthread_t thread;
    atomic_bool stop;   /* set by stop; read by the thread each round */
    atomic_bool nudged; /* set by nudge before the wake; cleared by the thread */
};

/* Errors: EAGAIN's kin (no more threads) as ENOMEM. */
enum syncline_status sl_worker_start(struct sl_worker *worker, struct sl_library *library,
                                     struct sl_error *err);
/* Something was captured. Any thread; never blocks. */
void sl_worker_nudge(struct sl_worker *worker);
/* Returns when the thread has ended its round. */
void sl_worker_stop(struct sl_worker *worker);

#endif
