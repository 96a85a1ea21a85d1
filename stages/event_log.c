/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/event_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stages/reopen.h"

#define WAIT_NS (20u * 1000u * 1000u) /* for others to come along */
#define RETRY_NS (UINT64_C(1000) * 1000u * 1000u)

void sl_event_log_init(struct sl_event_log *log, struct sl_core *core)
{
    log->core = core;
    log->due_ns = 0;
}

/* Copies what is pending. It stays there until it is written. */
static size_t take(struct sl_event_log *log, uint64_t *lost)
{
    struct sl_event_queue *queue = &log->core->events;
    (void)pthread_mutex_lock(&queue->lock);
    size_t len = queue->len;
    memcpy(log->writing, queue->rows, len * sizeof(*queue->rows));
    *lost = queue->lost;
    (void)pthread_mutex_unlock(&queue->lock);
    return len;
}

static void written(struct sl_event_queue *queue, size_t len, uint64_t lost)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->len -= len;
    memmove(queue->rows, queue->rows + len, queue->len * sizeof(*queue->rows));
    queue->lost -= lost;
    (void)pthread_mutex_unlock(&queue->lock);
}

static enum syncline_status put_lost(struct sl_core *core, uint64_t lost, struct sl_error *err)
{
    struct sl_event event = {.at_ms = core->env->wall_ms(core->env->ctx),
                             .code = SYNCLINE_CODE_EVENTS_LOST};
    (void)snprintf(event.text, sizeof(event.text),
                   "%" PRIu64 " more events were not kept: they came faster than they could be "
                   "written",
                   lost);
    return sl_event_put(&core->log, &event, err);
}

static enum syncline_status write_all(struct sl_event_log *log, size_t len, uint64_t lost,
                                      struct sl_error *err)
{
    struct sl_core *core = log->core;
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
        status = sl_event_put(&core->log, &log->writing[i], err);
    }
    if (status == SYNCLINE_OK && lost > 0) {
        status = put_lost(core, lost, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_event_prune(&core->log, SL_EVENTS_KEPT, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

/* true: something was written. */
static bool write_pending(struct sl_event_log *log)
{
    struct sl_error ignored; /* its own failure is no event: it would be one more to write */
    uint64_t lost = 0;
    size_t len = take(log, &lost);
    if (len == 0 || write_all(log, len, lost, &ignored) != SYNCLINE_OK) {
        return false;
    }
    written(&log->core->events, len, lost);
    sl_count_work(&log->core->counts[SL_STAGE_EVENT_LOG], 1, len, 0);
    return true;
}

bool sl_event_log_run(void *stage)
{
    struct sl_event_log *log = stage;
    struct sl_core *core = log->core;
    if (!atomic_load_explicit(&core->events.pending, memory_order_acquire)) {
        return false;
    }
    uint64_t now = core->env->mono_ns(core->env->ctx);
    if (log->due_ns == 0) {
        log->due_ns = now + WAIT_NS;
    }
    if (now < log->due_ns) {
        return false;
    }
    /* Cleared before it is looked what is there: what comes meanwhile sets it again. */
    atomic_store_explicit(&core->events.pending, false, memory_order_release);
    bool done = write_pending(log);
    log->due_ns = done ? 0 : now + RETRY_NS;
    if (!done) {
        atomic_store_explicit(&core->events.pending, true, memory_order_release);
    }
    return done;
}

void sl_event_log_flush(struct sl_event_log *log)
{
    (void)write_pending(log);
}
