/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The engine's threads: each steps some stages of a library until none of them has anything to do,
 * and sleeps then.
 *
 *     fused       one thread: all stages and the network's poll
 *     grouped     sender (intake, fk_resolve, serialize, log_append),
 *                 network (net_flush, log_hold, acknowledge, prune, and the poll),
 *                 applier (apply, settle)
 *     per stage   like grouped, with a thread for each stage of the sender
 *
 * A stage that did something wakes the threads of those that wait for it: the next one on the way,
 * and the one before it, which may have waited for room. A thread without work sleeps on its park,
 * the network's in the transport's poll; 0.2 ms at first and longer each time, because a commit of
 * the application is only seen by looking (data_version). A capture wakes intake's thread only from
 * a sleep of more than 1 ms; in a shorter one it looks soon enough by itself. Signals are the
 * host's: all are blocked here. */

#ifndef SL_WORKER_H
#define SL_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/library.h"
#include "pipeline/park.h"

#define SL_WORKER_THREADS_MAX 6u

struct sl_worker;

struct sl_worker_thread {
    struct sl_worker *worker;
    const char *name;
    unsigned stages; /* bit set by enum sl_stage */
    bool polls;      /* sleeps in the network's poll, else on its park */
    struct sl_park park;
    atomic_bool nudged; /* a poll is to return; the park counts for itself */
    /* Either the thread sees `captured` before it sleeps for long, or who captures sees
     * `sleeps_long` and wakes it: each side stores its own and then loads the other's. */
    atomic_bool captured;    /* set by nudge, taken by the thread each round */
    atomic_bool sleeps_long; /* set by the thread */
    pthread_t thread;
};

struct sl_worker {
    struct sl_library *library; /* borrowed */
    struct sl_worker_thread threads[SL_WORKER_THREADS_MAX];
    size_t count;     /* constant while they run */
    size_t started;   /* of them; start and stop alone use it */
    atomic_bool stop; /* set by stop; read by the threads each round */
};

/* AUTO: by the number of processors this process may use. Errors: ENOMEM (no thread could be made;
 * none is left). */
enum syncline_status sl_worker_start(struct sl_worker *worker, struct sl_library *library,
                                     enum syncline_threads threads, struct sl_error *err);
/* Something was captured. Any thread; never blocks. */
void sl_worker_nudge(struct sl_worker *worker);
/* There may be something to do for anybody. Any thread; never blocks. */
void sl_worker_wake(struct sl_worker *worker);
/* Returns when every thread has ended its round. A second time it does nothing. */
void sl_worker_stop(struct sl_worker *worker);

#endif
