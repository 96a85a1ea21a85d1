/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/worker.h"

#include <signal.h>

#include "pipeline/library_view.h"

static bool step_all(struct sl_library *library)
{
    bool worked = false;
    for (size_t i = 0; i < sl_library_stage_count(library); i++) {
        worked = sl_library_step(library, i) || worked;
    }
    return worked;
}

static void *run(void *ctx)
{
    struct sl_worker *worker = ctx;
    uint32_t sleep_ms = 1;
    while (!atomic_load_explicit(&worker->stop, memory_order_acquire)) {
        bool worked = step_all(worker->library);
        if (worked || atomic_exchange_explicit(&worker->nudged, false, memory_order_acq_rel)) {
            sleep_ms = 1;
        }
        if (worked) {
            sl_library_poll(worker->library, 0);
            continue;
        }
        uint32_t limit_ms = sl_library_has_backlog(worker->library) ? 2 : SL_POLL_MS_MAX;
        sl_library_poll(worker->library, sleep_ms < limit_ms ? sleep_ms : limit_ms);
        sleep_ms = sleep_ms < SL_POLL_MS_MAX ? 2 * sleep_ms : SL_POLL_MS_MAX;
    }
    return NULL;
}

enum syncline_status sl_worker_start(struct sl_worker *worker, struct sl_library *library,
                                     struct sl_error *err)
{
    worker->library = library;
    atomic_init(&worker->stop, false);
    atomic_init(&worker->nudged, false);
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&worker->thread, NULL, run, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no thread could be made for the engine");
    }
    return SYNCLINE_OK;
}

void sl_worker_nudge(struct sl_worker *worker)
{
    if (!atomic_exchange_explicit(&worker->nudged, true, memory_order_acq_rel)) {
        sl_library_wake(worker->library);
    }
}

void sl_worker_stop(struct sl_worker *worker)
{
    atomic_store_explicit(&worker->stop, true, memory_order_release);
    sl_library_wake(worker->library);
    (void)pthread_join(worker->thread, NULL);
}
