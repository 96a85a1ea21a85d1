/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/log_hold.h"

#include <stdlib.h>

#include "base/crashpoint.h"
#include "stages/reopen.h"

#define RETRY_NS (100u * 1000u * 1000u)

void sl_log_hold_init(struct sl_log_hold *hold, struct sl_core *core, struct sl_verify *verify)
{
    hold->core = core;
    hold->verify = verify;
    hold->retry_ns = 0;
    hold->checked_at = 0;
}

/* The number of the origin in the log; 0: it has none yet. One that this transaction has given is
 * known from an earlier segment. */
static int64_t number_of(struct sl_core *core, const struct sl_incoming *first,
                         const struct sl_incoming *it)
{
    for (const struct sl_incoming *earlier = first; earlier != it; earlier = earlier->next) {
        if (sl_origin_equal(&earlier->head.origin, &it->head.origin)) {
            return earlier->head.number;
        }
    }
    struct sl_log_head head = sl_core_head(core, sl_core_origin(core, &it->head.origin));
    return head.number;
}

static enum syncline_status hold_all(struct sl_core *core, struct sl_incoming *first,
                                     struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (struct sl_incoming *it = first; it != NULL && status == SYNCLINE_OK; it = it->next) {
        it->head.number = number_of(core, first, it);
        if (it->head.number == 0) {
            struct sl_log_head added = sl_core_head(core, sl_core_origin(core, &it->head.origin));
            status = sl_peer_log_add_origin(&core->log, &added, err);
            it->head.number = added.number;
        }
        if (status == SYNCLINE_OK) {
            status = sl_peer_log_append(&core->log, &it->head, it->data, it->size, err);
        }
    }
    return status;
}

static enum syncline_status commit_all(struct sl_core *core, struct sl_incoming *first,
                                       struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK) {
        status = hold_all(core, first, err);
        SL_CRASHPOINT(R16, BEFORE);
        if (status == SYNCLINE_OK) {
            status = sl_core_log_commit(core, err);
        }
        SL_CRASHPOINT(R16, AFTER);
        sl_peer_log_rollback(&core->log);
    }
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

bool sl_log_hold_run(void *stage)
{
    struct sl_log_hold *hold = stage;
    struct sl_core *core = hold->core;
    struct sl_verify *verify = hold->verify;
    if (hold->checked_at != core->membership_moves) {
        hold->checked_at = core->membership_moves;
        sl_verify_recheck(verify);
    }
    if (verify->first == NULL || core->env->mono_ns(core->env->ctx) < hold->retry_ns) {
        return false;
    }
    struct sl_error err;
    enum syncline_status status = commit_all(core, verify->first, &err);
    if (status != SYNCLINE_OK) {
        hold->retry_ns = core->env->mono_ns(core->env->ctx) + RETRY_NS;
        sl_core_failed(core, "log_hold", status, &err);
        return false;
    }
    for (struct sl_incoming *it = verify->first; it != NULL; it = it->next) {
        struct sl_origin_state *origin = sl_core_origin(core, &it->head.origin);
        uint64_t changes = it->head.held_seq - sl_core_held(core, origin);
        sl_core_set_head(core, origin, &it->head);
        sl_count_work(&core->counts[SL_STAGE_LOG_HOLD], 1, changes, it->size);
    }
    sl_verify_fini(verify);
    sl_core_vector_moved(core);
    sl_core_progress_members(core);
    return true;
}
