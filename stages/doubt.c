/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/doubt.h"

#include <inttypes.h>
#include <stdio.h>

#include "stages/reopen.h"

/* The newest outbox row of library.db that the log has drained, by id and token. Rows from before
 * those that the log remembers are drained. */
static enum syncline_status newest_here(struct sl_core *core, struct sl_drained *drained,
                                        struct sl_error *err)
{
    struct sl_outbox_row row = {.id = 0};
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    *drained = (struct sl_drained){.complete = true};
    while (status == SYNCLINE_OK) {
        struct sl_drained_look look = {0};
        status = sl_outbox_next(&core->writer.ldb, row.id, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        status = sl_drained_find(&core->log, row.id, &look, err);
        if (status == SYNCLINE_OK && look.found && look.row.token == row.token) {
            *drained = look.row;
        } else if (status == SYNCLINE_OK && row.id < look.kept_from) {
            *drained = (struct sl_drained){.id = row.id, .token = row.token, .complete = true};
        }
    }
    sl_outbox_done(&core->writer.ldb);
    return status;
}

enum syncline_status sl_doubt_look(struct sl_core *core, bool *doubt, struct sl_error *err)
{
    struct sl_drained newest = {.complete = true};
    bool found = false;
    *doubt = false;
    core->drained = newest;
    enum syncline_status status = sl_drained_newest(&core->log, &found, &newest, err);
    if (status != SYNCLINE_OK || !found) {
        return status;
    }
    uint64_t token = 0;
    status = sl_outbox_token(&core->writer.ldb, newest.id, &found, &token, err);
    if (status != SYNCLINE_OK || (found && token == newest.token)) {
        core->drained = newest;
        return status;
    }
    *doubt = true;
    return newest_here(core, &core->drained, err);
}

/* The drained rows that library.db does not have. */
static enum syncline_status forget_drained(struct sl_core *core, struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK) {
        status = sl_drained_remove_above(&core->log, core->drained.id, err);
    }
    if (status == SYNCLINE_OK && core->drained.id > 0) {
        status = sl_drained_put(&core->log, &core->drained, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

enum syncline_status sl_doubt_resolve(struct sl_apply *apply, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    const struct sl_origin_state *self = core->origins[0];
    uint64_t before = self->applied_seq;
    enum syncline_status status = sl_apply_own(apply, err);
    if (status == SYNCLINE_EPRUNED) {
        return sl_fail(err, SYNCLINE_ERESTORED,
                       "library.db is a copy from before change %llu of this device, and the log "
                       "does not go back that far any more: put back a newer copy, or the library "
                       "as a whole",
                       (unsigned long long)(self->applied_seq + 1));
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_sync_wal(&core->writer.ldb, err);
    }
    if (status == SYNCLINE_OK) {
        status = forget_drained(core, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    char text[SL_ERROR_SIZE];
    (void)snprintf(text, sizeof(text),
                   "library.db was older than sync.db: %" PRIu64
                   " changes of this device were applied again",
                   self->applied_seq - before);
    sl_core_trouble(core, SYNCLINE_CODE_COMMITS_LOST, SYNCLINE_ERESTORED, NULL, text);
    return SYNCLINE_OK;
}
