/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/prune.h"

#include <stdio.h>
#include <string.h>

#include "base/crashpoint.h"
#include "stages/absence.h"
#include "stages/reopen.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define RETRY_NS (100 * NS_PER_MS)
#define SYNC_ASK_NS (1000 * NS_PER_MS) /* between two syncs of library.db for this alone */

void sl_prune_init(struct sl_prune *prune, struct sl_core *core)
{
    memset(prune, 0, sizeof(*prune));
    prune->core = core;
    prune->is_on = sl_settings_number(&core->settings, SL_SETTING_LOG_PRUNE) != 0;
    prune->size_limit = (uint64_t)sl_settings_number(&core->settings, SL_SETTING_LOG_SIZE_LIMIT);
    prune->shrinks = true; /* what went before the last close */
}

static uint64_t now_ns(const struct sl_core *core)
{
    return core->env->mono_ns(core->env->ctx);
}

/* Rises whenever more may be pruned than before. */
static uint64_t count_moves(struct sl_core *core)
{
    return atomic_load_explicit(&core->log_moves, memory_order_acquire) +
           atomic_load_explicit(&core->syncs, memory_order_acquire) +
           atomic_load_explicit(&core->told, memory_order_acquire) + core->holders->moves +
           core->membership_moves;
}

/* ---- How far ---- */

/* What these tables have for good. */
static uint64_t applied_seq(struct sl_core *core, const struct sl_origin_state *origin)
{
    (void)pthread_mutex_lock(&core->head_lock);
    uint64_t seq =
        origin->synced_seq < origin->head.held_seq ? origin->synced_seq : origin->head.held_seq;
    (void)pthread_mutex_unlock(&core->head_lock);
    return seq;
}

/* Is nobody else a member, whether away or not? */
static bool is_alone(const struct sl_core *core)
{
    bool any = false;
    for (size_t i = 0; i < core->member_count; i++) {
        any = any || core->members[i].known.standing == SL_STANDING_MEMBER;
    }
    return !any;
}

/* Up to where nobody needs the origin's segments. */
static enum syncline_status find_upto(struct sl_prune *prune, struct sl_origin_state *origin,
                                      bool is_over, uint64_t *upto, struct sl_error *err)
{
    struct sl_core *core = prune->core;
    const struct sl_member_state *who = NULL;
    uint64_t least = 0;
    *upto = origin->floor_seq;
    if (origin->forked) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_holders_least(core, origin, &least, &who, err);
    if (status != SYNCLINE_OK || (is_alone(core) && !is_over)) {
        return status;
    }
    uint64_t seq = applied_seq(core, origin);
    if (origin->index == 0) {
        prune->own_waits = is_over || who == NULL || least > seq;
    }
    seq = who != NULL && least < seq ? least : seq;
    if (!is_over && atomic_load_explicit(&core->followers, memory_order_acquire) > 0) {
        uint64_t told = atomic_load_explicit(&origin->told_seq, memory_order_acquire);
        seq = told < seq ? told : seq;
    }
    *upto = seq > origin->floor_seq ? seq : origin->floor_seq;
    return SYNCLINE_OK;
}

/* Own changes that everybody holds and that are settled may wait for the sync of library.db alone:
 * settling comes last, and does not sync. */
static void want_sync(struct sl_prune *prune)
{
    struct sl_core *core = prune->core;
    struct sl_origin_state *self = core->origins[0];
    (void)pthread_mutex_lock(&core->head_lock);
    bool wants = self->applied_seq > self->synced_seq;
    (void)pthread_mutex_unlock(&core->head_lock);
    uint64_t now = now_ns(core);
    if (wants && prune->own_waits &&
        (prune->sync_asked_ns == 0 || now - prune->sync_asked_ns >= SYNC_ASK_NS)) {
        prune->sync_asked_ns = now;
        atomic_store_explicit(&core->sync_wanted, true, memory_order_release);
    }
}

/* ---- One slice ---- */

/* The end of the segment that ends at `seq`. */
static enum syncline_status read_end(struct sl_core *core, int64_t number, uint64_t seq,
                                     struct sl_log_floor *floor, struct sl_error *err)
{
    bool found = false;
    const uint8_t *data = NULL;
    size_t size = 0;
    struct sl_segment segment;
    enum syncline_status status =
        sl_peer_log_segment(&core->net_log, number, seq, &found, &data, &size, err);
    if (status == SYNCLINE_OK && !found) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: the segment with seq %llu is not there",
                         (unsigned long long)seq);
    }
    if (status == SYNCLINE_OK) {
        status = sl_segment_parse(&segment, data, size, err);
    }
    if (status == SYNCLINE_EPROTO || status == SYNCLINE_EFORMAT) {
        status = sl_fail_prefix(err, SYNCLINE_ECORRUPT, "sync.db");
    }
    if (status == SYNCLINE_OK &&
        (sl_segment_end(core->net_hasher, data, size, floor->end) != SYNCLINE_OK ||
         sl_segment_end_hash(core->net_hasher, floor->end, floor->hash) != SYNCLINE_OK)) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to prune the log");
    }
    sl_peer_log_done(&core->net_log);
    floor->seq = seq;
    return status;
}

static enum syncline_status raise_floor(struct sl_core *core, struct sl_origin_state *origin,
                                        int64_t number, const struct sl_log_floor *floor,
                                        struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK) {
        status = sl_log_floor_raise(&core->log, number, floor, err);
        SL_CRASHPOINT(S13, BEFORE);
        if (status == SYNCLINE_OK) {
            status = sl_core_log_commit(core, err);
        }
        SL_CRASHPOINT(S13, AFTER);
        sl_peer_log_rollback(&core->log);
    }
    (void)pthread_mutex_unlock(&core->log_lock);
    if (status == SYNCLINE_OK) {
        origin->floor_seq = floor->seq;
    }
    return status;
}

/* The oldest segments of the next origin that has some to spare: a full slice of them, or with
 * `any` what there is. *bytes 0: there is none. */
static enum syncline_status prune_some(struct sl_prune *prune, bool is_over, bool any,
                                       uint64_t *bytes, struct sl_error *err)
{
    struct sl_core *core = prune->core;
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    enum syncline_status status = SYNCLINE_OK;
    *bytes = 0;
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        struct sl_origin_state *origin = core->origins[(prune->next + i) % count];
        int64_t number = sl_core_head(core, origin).number;
        struct sl_log_floor floor;
        uint64_t upto = 0;
        struct sl_log_oldest oldest = {.last_seq = 0};
        status = find_upto(prune, origin, is_over, &upto, err);
        if (status != SYNCLINE_OK || upto == origin->floor_seq) {
            continue;
        }
        status =
            sl_log_oldest(&core->net_log, number, upto, SL_PRUNE_LEN, SL_PRUNE_SIZE, &oldest, err);
        if (status != SYNCLINE_OK || oldest.last_seq == 0 || (!any && !oldest.is_full)) {
            continue;
        }
        status = read_end(core, number, oldest.last_seq, &floor, err);
        if (status == SYNCLINE_OK) {
            status = raise_floor(core, origin, number, &floor, err);
        }
        if (status == SYNCLINE_OK) {
            prune->next = origin->index + 1;
            *bytes = oldest.bytes;
            break;
        }
    }
    return status;
}

/* ---- Space ---- */

/* What is kept for births has a limit, too. */
static enum syncline_status forget_births(struct sl_prune *prune, bool *forgot,
                                          struct sl_error *err)
{
    struct sl_core *core = prune->core;
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK) {
        status = sl_log_births_limit(&core->log, prune->size_limit / 4, forgot, err);
    }
    if (status == SYNCLINE_OK && *forgot) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

/* Gives some pages back; *done: there are not more of them than are to stay. */
static enum syncline_status shrink(struct sl_core *core, bool *done, struct sl_error *err)
{
    struct sl_log_space space;
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_log_space(&core->log, &space, err);
    *done = status == SYNCLINE_OK && space.free_pages <= SL_PRUNE_SLACK_PAGES;
    if (status == SYNCLINE_OK && !*done) {
        uint64_t spare = space.free_pages - SL_PRUNE_SLACK_PAGES;
        status = sl_core_log_begin(core, err);
        if (status == SYNCLINE_OK) {
            status = sl_log_shrink(
                &core->log, (uint32_t)(spare < SL_PRUNE_PAGES ? spare : SL_PRUNE_PAGES), err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_core_log_commit(core, err);
        }
        sl_peer_log_rollback(&core->log);
    }
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

/* ---- Running ---- */

static enum syncline_status is_over_limit(struct sl_prune *prune, struct sl_log_space *space,
                                          bool *is_over, struct sl_error *err)
{
    enum syncline_status status = sl_log_space(&prune->core->net_log, space, err);
    *is_over = status == SYNCLINE_OK &&
               (space->pages - space->free_pages) * space->page_size > prune->size_limit;
    return status;
}

/* Nothing can be pruned, and sync.db is over its limit. */
static enum syncline_status make_room(struct sl_prune *prune, const struct sl_log_space *space,
                                      bool *worked, struct sl_error *err)
{
    struct sl_core *core = prune->core;
    uint64_t used = (space->pages - space->free_pages) * space->page_size;
    bool all = used / 2 > prune->size_limit;
    *worked = false;
    if (applied_seq(core, core->origins[0]) < sl_core_held(core, core->origins[0])) {
        return SYNCLINE_OK; /* more can go as soon as that is settled */
    }
    enum syncline_status status = sl_absence_mark_behind(core, all, worked, err);
    if (status == SYNCLINE_OK && !*worked && !prune->told_limit) {
        char text[SL_ERROR_SIZE];
        prune->told_limit = true;
        (void)snprintf(text, sizeof(text),
                       "sync.db has passed its limit of %llu MiB, and nothing in it can be pruned: "
                       "connected devices still lack it, or this one cannot apply it",
                       (unsigned long long)(prune->size_limit >> 20));
        sl_core_trouble(core, SYNCLINE_CODE_LOG_LIMIT, SYNCLINE_EREFUSED, NULL, text);
    }
    return status;
}

/* true: something was done. */
static enum syncline_status work(struct sl_prune *prune, bool in_use, bool *worked,
                                 struct sl_error *err)
{
    struct sl_core *core = prune->core;
    uint64_t bytes = 0;
    struct sl_log_space space = {.pages = 0};
    bool is_over = false;
    bool done = false;
    enum syncline_status status = is_over_limit(prune, &space, &is_over, err);
    prune->told_limit = prune->told_limit && is_over;
    if (status == SYNCLINE_OK) {
        status = sl_absence_end(core, err);
    }
    if (status == SYNCLINE_OK) {
        bool any = !in_use || is_over || now_ns(core) >= prune->part_ns;
        status = prune_some(prune, is_over, any, &bytes, err);
    }
    *worked = status == SYNCLINE_OK && bytes > 0;
    if (*worked) {
        prune->shrinks = true;
        prune->part_ns = now_ns(core) + SL_PRUNE_PART_MS * NS_PER_MS;
        sl_count_work(&core->counts[SL_STAGE_PRUNE], 1, 0, bytes);
    }
    if (status == SYNCLINE_OK && !*worked) {
        status = is_over ? make_room(prune, &space, worked, err) : SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK || *worked || in_use || !prune->shrinks) {
        return status;
    }
    status = forget_births(prune, worked, err);
    if (status == SYNCLINE_OK && !*worked) {
        status = shrink(core, &done, err);
        *worked = status == SYNCLINE_OK && !done;
        prune->shrinks = !done;
    }
    return status;
}

bool sl_prune_run(void *stage)
{
    struct sl_prune *prune = stage;
    struct sl_core *core = prune->core;
    uint64_t now = now_ns(core);
    if (!prune->is_on || now < prune->not_before_ns) {
        return false;
    }
    uint64_t moves = atomic_load_explicit(&core->log_moves, memory_order_acquire);
    if (moves != prune->moves) {
        prune->moves = moves;
        prune->moved_ns = now;
    }
    sl_absence_count(core);
    want_sync(prune);
    bool in_use = prune->moved_ns != 0 && now - prune->moved_ns < SL_PRUNE_IDLE_MS * NS_PER_MS;
    uint64_t seen = count_moves(core);
    bool worked = false;
    bool marked = false;
    struct sl_error err;
    enum syncline_status status = sl_absence_mark_stale(core, &marked, &err);
    if (status == SYNCLINE_OK && !marked && prune->seen_all && prune->seen == seen) {
        return false;
    }
    if (status == SYNCLINE_OK) {
        status = work(prune, in_use, &worked, &err);
    }
    if (status != SYNCLINE_OK) {
        prune->not_before_ns = now + RETRY_NS;
        sl_core_failed(core, "prune", status, &err);
        return false;
    }
    prune->not_before_ns = now + (in_use ? SL_PRUNE_PAUSE_MS : SL_PRUNE_WAIT_MS) * NS_PER_MS;
    prune->seen = seen;
    prune->seen_all = !worked && !in_use;
    return worked;
}
