/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/log_hold.h"

#include <stdlib.h>

#define RETRY_NS (100u * 1000u * 1000u)

void sl_log_hold_init(struct sl_log_hold *hold, struct sl_core *core, struct sl_verify *verify)
{
    hold->core = core;
    hold->verify = verify;
    hold->retry_ns = 0;
}

static enum syncline_status hold_all(struct sl_core *core, struct sl_incoming *first,
                                     struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (struct sl_incoming *it = first; it != NULL && status == SYNCLINE_OK; it = it->next) {
        struct sl_origin_state *origin = sl_core_origin(core, &it->head.origin);
        if (origin->head.number == 0) {
            status = sl_peer_log_add_origin(&core->log, &origin->head, err);
        }
        it->head.number = origin->head.number;
        if (status == SYNCLINE_OK) {
            status = sl_peer_log_append(&core->log, &it->head, it->data, it->size, err);
        }
    }
    return status;
}

/* Origins that a rolled-back transaction had added are not there. */
static void forget_new_origins(struct sl_core *core)
{
    for (size_t i = 0; i < core->origin_count; i++) {
        if (core->origins[i].head.held_seq == 0 && i > 0) {
            core->origins[i].head.number = 0;
        }
    }
}

bool sl_log_hold_run(void *stage)
{
    struct sl_log_hold *hold = stage;
    struct sl_core *core = hold->core;
    struct sl_verify *verify = hold->verify;
    if (verify->first == NULL || core->env->mono_ns(core->env->ctx) < hold->retry_ns) {
        return false;
    }
    struct sl_error err;
    enum syncline_status status = sl_peer_log_begin(&core->log, &err);
    if (status == SYNCLINE_OK) {
        status = hold_all(core, verify->first, &err);
        if (status == SYNCLINE_OK) {
            status = sl_peer_log_commit(&core->log, &err);
        }
        sl_peer_log_rollback(&core->log);
    }
    if (status != SYNCLINE_OK) {
        forget_new_origins(core);
        hold->retry_ns = core->env->mono_ns(core->env->ctx) + RETRY_NS;
        sl_core_failed(core, "log_hold", status, &err);
        return false;
    }
    for (struct sl_incoming *it = verify->first; it != NULL; it = it->next) {
        sl_core_origin(core, &it->head.origin)->head = it->head;
    }
    sl_verify_fini(verify);
    sl_core_vector_moved(core);
    sl_core_progress(core);
    return true;
}
