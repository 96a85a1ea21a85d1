/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/worker.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "base/limits.h"
#include "pipeline/library_view.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define SLEEP_NS_MIN (NS_PER_MS / 5)
#define SLEEP_NS_MAX (SL_POLL_MS_MAX * NS_PER_MS)
#define NAP_NS_MAX NS_PER_MS /* a capture wakes nobody who looks again so soon */
#define BACKLOG_SLEEP_NS (2 * NS_PER_MS)
#define APPLIER_SLEEP_NS_MAX (1000 * NS_PER_MS) /* it is woken for all but the clock */
#define PROCESSORS_GROUPED 2
#define PROCESSORS_PER_STAGE 8

#define BIT(stage) (1u << (stage))
#define SENDER                                                                                     \
    (BIT(SL_STAGE_INTAKE) | BIT(SL_STAGE_FK_RESOLVE) | BIT(SL_STAGE_SERIALIZE) |                   \
     BIT(SL_STAGE_LOG_APPEND))
#define NETWORK                                                                                    \
    (BIT(SL_STAGE_NET_FLUSH) | BIT(SL_STAGE_LOG_HOLD) | BIT(SL_STAGE_ACKNOWLEDGE) |                \
     BIT(SL_STAGE_COMPARE) | BIT(SL_STAGE_PRUNE) | BIT(SL_STAGE_SNAPSHOT))
#define APPLIER                                                                                    \
    (BIT(SL_STAGE_APPLY) | BIT(SL_STAGE_SETTLE) | BIT(SL_STAGE_SCAN) | BIT(SL_STAGE_EVENT_LOG))

/* Whom a slice of a stage gives something to do. */
static const unsigned wakes[SL_STAGE_COUNT] = {
    [SL_STAGE_INTAKE] = BIT(SL_STAGE_FK_RESOLVE),
    [SL_STAGE_FK_RESOLVE] = BIT(SL_STAGE_SERIALIZE) | BIT(SL_STAGE_INTAKE),
    [SL_STAGE_SERIALIZE] = BIT(SL_STAGE_LOG_APPEND) | BIT(SL_STAGE_FK_RESOLVE),
    /* It also gives batches back, and what it appended can be settled, and makes room for the scan.
     */
    [SL_STAGE_LOG_APPEND] = BIT(SL_STAGE_SERIALIZE) | BIT(SL_STAGE_INTAKE) |
                            BIT(SL_STAGE_NET_FLUSH) | BIT(SL_STAGE_SETTLE),
    [SL_STAGE_SCAN] = BIT(SL_STAGE_INTAKE),
    [SL_STAGE_LOG_HOLD] = BIT(SL_STAGE_APPLY),
    [SL_STAGE_APPLY] = BIT(SL_STAGE_ACKNOWLEDGE) | BIT(SL_STAGE_SNAPSHOT),
    [SL_STAGE_SNAPSHOT] = BIT(SL_STAGE_APPLY),
};

static bool is_stopping(struct sl_worker *worker)
{
    return atomic_load_explicit(&worker->stop, memory_order_acquire);
}

static void wake(struct sl_worker_thread *thread)
{
    if (!thread->polls) {
        sl_park_wake(&thread->park);
    } else if (!atomic_exchange_explicit(&thread->nudged, true, memory_order_acq_rel)) {
        sl_library_wake(thread->worker->library);
    }
}

static void wake_stages(struct sl_worker *worker, const struct sl_worker_thread *self,
                        unsigned stages)
{
    for (size_t i = 0; i < worker->count; i++) {
        if (&worker->threads[i] != self && (worker->threads[i].stages & stages) != 0) {
            wake(&worker->threads[i]);
        }
    }
}

static uint64_t now_ns(void)
{
    return sl_env_posix()->mono_ns(NULL);
}

static bool step_all(struct sl_worker_thread *thread)
{
    struct sl_library *library = thread->worker->library;
    bool worked = false;
    uint64_t before_ns = now_ns();
    for (unsigned stage = 0; stage < SL_STAGE_COUNT; stage++) {
        if ((thread->stages & BIT(stage)) == 0) {
            continue;
        }
        bool did = sl_library_step(library, stage);
        uint64_t after_ns = now_ns();
        if (did) {
            sl_library_spent(library, stage, after_ns - before_ns);
            wake_stages(thread->worker, thread, wakes[stage]);
        }
        before_ns = after_ns;
        worked = worked || did;
    }
    return worked;
}

/* The longest that this thread may sleep now. */
static uint64_t sleep_limit(const struct sl_worker_thread *thread)
{
    struct sl_library *library = thread->worker->library;
    bool sends = (thread->stages & BIT(SL_STAGE_LOG_APPEND)) != 0;
    bool applies = (thread->stages & BIT(SL_STAGE_APPLY)) != 0;
    if ((sends && sl_library_lingers(library)) || (applies && sl_library_has_backlog(library))) {
        return BACKLOG_SLEEP_NS;
    }
    return thread->stages == APPLIER ? APPLIER_SLEEP_NS_MAX : SLEEP_NS_MAX;
}

static void sleep_for(struct sl_worker_thread *thread, uint32_t ticket, uint64_t ns)
{
    if (thread->polls) {
        sl_library_poll(thread->worker->library, (uint32_t)((ns + NS_PER_MS - 1) / NS_PER_MS));
    } else {
        sl_park_wait(&thread->park, ticket, ns);
    }
}

/* Sleeps, and says when it is for long: whoever captures wakes it then, or has left word before. */
static void sleep_or_nap(struct sl_worker_thread *thread, uint32_t ticket, uint64_t ns)
{
    if (ns <= NAP_NS_MAX) {
        sleep_for(thread, ticket, ns);
        return;
    }
    atomic_store(&thread->sleeps_long, true);
    if (!atomic_load(&thread->captured)) {
        sleep_for(thread, ticket, ns);
    }
    atomic_store(&thread->sleeps_long, false);
}

static void *run(void *ctx)
{
    struct sl_worker_thread *thread = ctx;
    uint64_t sleep_ns = SLEEP_NS_MIN;
    while (!is_stopping(thread->worker)) {
        uint32_t ticket = sl_park_ticket(&thread->park);
        bool nudged =
            thread->polls && atomic_exchange_explicit(&thread->nudged, false, memory_order_acq_rel);
        bool captured = atomic_exchange(&thread->captured, false);
        if (step_all(thread)) {
            sleep_ns = SLEEP_NS_MIN;
            if (thread->polls) {
                sl_library_poll(thread->worker->library, 0);
            }
            continue;
        }
        uint64_t limit = sleep_limit(thread);
        sleep_ns = nudged || captured ? SLEEP_NS_MIN : sleep_ns;
        sleep_or_nap(thread, ticket, sleep_ns < limit ? sleep_ns : limit);
        /* Woken: whatever comes next is likely to come soon. */
        bool woken = !thread->polls && sl_park_ticket(&thread->park) != ticket;
        sleep_ns = woken ? SLEEP_NS_MIN : sleep_ns < limit ? 2 * sleep_ns : limit;
    }
    return NULL;
}

/* ---- Who steps what ---- */

static void add_thread(struct sl_worker *worker, const char *name, unsigned stages)
{
    struct sl_worker_thread *thread = &worker->threads[worker->count++];
    thread->worker = worker;
    thread->name = name;
    thread->stages = stages;
    thread->polls = (stages & BIT(SL_STAGE_NET_FLUSH)) != 0;
    atomic_init(&thread->nudged, false);
    atomic_init(&thread->captured, false);
    atomic_init(&thread->sleeps_long, false);
}

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void share_out(struct sl_worker *worker, enum syncline_threads threads)
{
    int count = processors();
    if (threads == SYNCLINE_THREADS_AUTO) {
        threads = count < PROCESSORS_GROUPED     ? SYNCLINE_THREADS_FUSED
                  : count < PROCESSORS_PER_STAGE ? SYNCLINE_THREADS_GROUPED
                                                 : SYNCLINE_THREADS_PER_STAGE;
    }
    worker->count = 0;
    if (threads == SYNCLINE_THREADS_FUSED) {
        add_thread(worker, "syncline", SENDER | NETWORK | APPLIER);
    } else {
        add_thread(worker, "sl-network", NETWORK);
        add_thread(worker, "sl-applier", APPLIER);
    }
    if (threads == SYNCLINE_THREADS_GROUPED) {
        add_thread(worker, "sl-sender", SENDER);
    } else if (threads == SYNCLINE_THREADS_PER_STAGE) {
        add_thread(worker, "sl-intake", BIT(SL_STAGE_INTAKE));
        add_thread(worker, "sl-fk-resolve", BIT(SL_STAGE_FK_RESOLVE));
        add_thread(worker, "sl-serialize", BIT(SL_STAGE_SERIALIZE));
        add_thread(worker, "sl-log-append", BIT(SL_STAGE_LOG_APPEND));
    }
    for (size_t i = 0; i < worker->count; i++) {
        sl_park_init(&worker->threads[i].park, count > (int)worker->count);
    }
}

enum syncline_status sl_worker_start(struct sl_worker *worker, struct sl_library *library,
                                     enum syncline_threads threads, struct sl_error *err)
{
    worker->library = library;
    atomic_init(&worker->stop, false);
    share_out(worker, threads);
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = 0;
    worker->started = 0;
    while (worker->started < worker->count && code == 0) {
        struct sl_worker_thread *thread = &worker->threads[worker->started];
        code = pthread_create(&thread->thread, NULL, run, thread);
        if (code == 0) {
            (void)pthread_setname_np(thread->thread, thread->name);
            worker->started++;
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) {
        return SYNCLINE_OK;
    }
    sl_worker_stop(worker);
    return sl_fail(err, SYNCLINE_ENOMEM, "no thread could be made for the engine");
}

/* Waking a thread costs the application's more than the rest of a call in a transaction. */
void sl_worker_nudge(struct sl_worker *worker)
{
    for (size_t i = 0; i < worker->count; i++) {
        struct sl_worker_thread *thread = &worker->threads[i];
        if ((thread->stages & BIT(SL_STAGE_INTAKE)) == 0) {
            continue;
        }
        atomic_store(&thread->captured, true);
        if (atomic_load(&thread->sleeps_long)) {
            wake(thread);
        }
    }
}

void sl_worker_wake(struct sl_worker *worker)
{
    for (size_t i = 0; i < worker->count; i++) {
        wake(&worker->threads[i]);
    }
}

void sl_worker_stop(struct sl_worker *worker)
{
    atomic_store_explicit(&worker->stop, true, memory_order_release);
    for (size_t i = 0; i < worker->started; i++) {
        wake(&worker->threads[i]);
        (void)pthread_join(worker->threads[i].thread, NULL);
    }
    worker->started = 0;
}
