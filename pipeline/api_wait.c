/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that wait for the engine. */

#include <time.h>

#include "base/limits.h"
#include "pipeline/handle.h"

#define NS_PER_MS 1000000L

static int64_t now_ms(void)
{
    return (int64_t)(sl_env_posix()->mono_ns(NULL) / (uint64_t)NS_PER_MS);
}

void sl_handle_wait_a_little(struct syncline *lib)
{
    struct sl_progress *progress = &sl_library_core(lib->library)->progress;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 10 * NS_PER_MS;
    if (until.tv_nsec >= 1000 * NS_PER_MS) {
        until.tv_nsec -= 1000 * NS_PER_MS;
        until.tv_sec++;
    }
    (void)pthread_mutex_lock(&progress->lock);
    (void)pthread_cond_timedwait(&progress->moved, &progress->lock, &until);
    (void)pthread_mutex_unlock(&progress->lock);
}

/* The text of a timeout also says what stands in the way, if the engine knows. */
static enum syncline_status timed_out(struct syncline *lib, struct sl_error *err)
{
    struct sl_error notice;
    if (sl_core_is_paused(sl_library_core(lib->library))) {
        struct sl_error left = *err;
        (void)sl_fail(err, SYNCLINE_TIMEOUT, "%s; the library is paused", left.text);
    }
    (void)sl_library_health(lib->library, &notice);
    if (notice.text[0] != '\0') {
        struct sl_error left = *err;
        (void)sl_fail(err, SYNCLINE_TIMEOUT, "%s; last notice: %s", left.text, notice.text);
    }
    return SYNCLINE_TIMEOUT;
}

enum syncline_status sl_handle_wait(struct syncline *lib, sl_reached_fn reached, void *ctx,
                                    int64_t timeout_ms, bool closer, struct sl_error *err)
{
    int64_t start_ms = now_ms();
    for (;;) {
        bool done = false;
        enum syncline_status status = reached(lib, ctx, &done, err);
        if (status != SYNCLINE_OK || done) {
            return status;
        }
        struct sl_error dead;
        status = sl_library_health(lib->library, &dead);
        if (status != SYNCLINE_OK) {
            *err = dead;
            return status;
        }
        if (timeout_ms >= 0 && now_ms() - start_ms >= timeout_ms) {
            return timed_out(lib, err);
        }
        if (!closer && atomic_load(&lib->closing)) {
            return sl_fail(err, SYNCLINE_ECLOSED, "the handle is being closed");
        }
        if (lib->has_worker) {
            sl_worker_nudge(&lib->worker);
        }
        sl_handle_wait_a_little(lib);
    }
}

bool sl_handle_enter(struct syncline *lib, struct sl_error *err)
{
    atomic_fetch_add(&lib->running, 1);
    if (!atomic_load(&lib->closing)) {
        return true;
    }
    sl_handle_leave(lib);
    (void)sl_fail(err, SYNCLINE_ECLOSED, "the handle is being closed");
    return false;
}

void sl_handle_leave(struct syncline *lib)
{
    atomic_fetch_sub(&lib->running, 1);
}

void sl_handle_shut(struct syncline *lib)
{
    atomic_store(&lib->closing, true);
    while (atomic_load(&lib->running) > 0) {
        sl_handle_wait_a_little(lib);
    }
}

/* ---- Flush ---- */

struct flush {
    enum syncline_level level;
    struct sl_target target;
};

static enum syncline_status flush_reached(struct syncline *lib, void *ctx, bool *reached,
                                          struct sl_error *err)
{
    struct flush *flush = ctx;
    return sl_library_reached(lib->library, &flush->target, flush->level, NULL, reached, err);
}

/* The figures of what is left, once it is over; a failure to read them leaves *left as it was. */
static void tell_left(struct syncline *lib, const struct flush *flush, struct syncline_left *left)
{
    struct syncline_left found;
    struct sl_error ignored;
    if (left != NULL &&
        sl_library_left(lib->library, &flush->target, &found, &ignored) == SYNCLINE_OK) {
        sl_handle_give(left, left->size, &found, sizeof(found));
    }
}

enum syncline_status sl_handle_flush(struct syncline *lib, enum syncline_level level,
                                     int64_t timeout_ms, bool closer, struct syncline_left *left,
                                     struct sl_error *err)
{
    struct flush flush = {.level = level};
    enum syncline_status status = sl_library_target(lib->library, &flush.target, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_handle_wait(lib, flush_reached, &flush, timeout_ms, closer, err);
    if (closer && lib->has_worker) {
        sl_worker_stop(&lib->worker); /* what is left now stays so */
    }
    if (status == SYNCLINE_OK || status == SYNCLINE_TIMEOUT || status == SYNCLINE_EREFUSED) {
        tell_left(lib, &flush, left);
    }
    return status;
}

enum syncline_status syncline_flush(struct syncline *lib, enum syncline_level level,
                                    int64_t timeout_ms, struct syncline_left *left)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = sl_handle_check_level(level, &err);
    if (status == SYNCLINE_OK && left != NULL) {
        status = sl_handle_check_out(&left->size, &err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_handle_flush(lib, level, timeout_ms, false, left, &err);
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}

/* ---- Holding back ---- */

/* Outbox rows between the newest captured outside a transaction and the log. */
static int64_t behind(struct syncline *lib)
{
    struct sl_core *core = sl_library_core(lib->library);
    (void)pthread_mutex_lock(&core->progress.lock);
    int64_t drained = sl_drained_to(&core->progress.drained);
    (void)pthread_mutex_unlock(&core->progress.lock);
    return atomic_load_explicit(&core->own_captured, memory_order_relaxed) - drained;
}

enum syncline_status sl_handle_hold_back(struct syncline *lib, struct sl_error *err)
{
    struct sl_error dead;
    int64_t block_ms = sl_settings_number(&lib->settings, SL_SETTING_BLOCK_MS);
    if (!lib->has_worker || block_ms == 0 || behind(lib) <= SL_BEHIND_CALLS_MAX) {
        return SYNCLINE_OK;
    }
    int64_t start_ms = now_ms();
    while (now_ms() - start_ms < block_ms && !atomic_load(&lib->closing) &&
           sl_library_health(lib->library, &dead) == SYNCLINE_OK) {
        sl_handle_wait_a_little(lib);
        if (behind(lib) <= SL_BEHIND_CALLS_MAX) {
            return SYNCLINE_OK;
        }
    }
    return sl_fail(
        err, SYNCLINE_AGAIN,
        "the change is captured; the engine is %lld calls behind: make the next one later",
        (long long)behind(lib));
}
