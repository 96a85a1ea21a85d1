/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/content_state.h"

#include "storage/record_scan.h"
#include "storage/waiting_room.h"

/* The end of the own log. */
static enum syncline_status own_held(struct sl_peer_log *log, const struct sl_origin *self,
                                     uint64_t *seq, struct sl_error *err)
{
    struct sl_log_head head = {.number = 0};
    for (;;) {
        bool found = false;
        enum syncline_status status = sl_peer_log_head(log, head.number, &found, &head, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        if (sl_origin_equal(&head.origin, self)) {
            *seq = head.held_seq;
            return SYNCLINE_OK;
        }
    }
}

/* Is something captured and not in the log, or in the log and not settled? The log is read in this
 * order: what it says is drained is below the end that is read after it. */
static enum syncline_status read_pending(struct sl_library_db *ldb, struct sl_peer_log *log,
                                         const struct sl_core *core, bool *pending,
                                         struct sl_error *err)
{
    int64_t outbox_id = 0;
    uint64_t settled_seq = 0;
    uint64_t own_seq = 0;
    bool found = false;
    bool scanned = false;
    struct sl_drained drained = {.complete = true};
    enum syncline_status status = sl_outbox_max(ldb, &outbox_id, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_applied_of(ldb, &core->self, &settled_seq, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_scan_is_done(ldb, &core->models, &scanned, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_drained_newest(log, &found, &drained, err);
    }
    if (status == SYNCLINE_OK) {
        status = own_held(log, &core->self, &own_seq, err);
    }
    *pending = !scanned || outbox_id > sl_drained_to(&drained) || settled_seq != own_seq;
    return status;
}

static enum syncline_status read_waiting(struct sl_library_db *ldb, bool *waiting,
                                         struct sl_error *err)
{
    struct sl_waiting_room room;
    uint64_t since_ms = 0;
    sl_waiting_room_init(&room, ldb);
    enum syncline_status status = sl_waiting_oldest(&room, &since_ms, err);
    sl_waiting_room_fini(&room);
    *waiting = since_ms != 0;
    return status;
}

enum syncline_status sl_content_state_read(struct sl_library_db *ldb, struct sl_peer_log *log,
                                           const struct sl_core *core, struct sl_hasher *hasher,
                                           struct sl_content_state *out, struct sl_error *err)
{
    struct sl_content_state state = {.pending = false};
    uint64_t aside = 0;
    enum syncline_status status = read_pending(ldb, log, core, &state.pending, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_applied_hash(ldb, hasher, state.hash, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_set_aside_count(log, &aside, err);
    }
    if (status == SYNCLINE_OK) {
        status = read_waiting(ldb, &state.waiting, err);
    }
    if (status == SYNCLINE_OK) {
        state.aside = aside > 0;
        *out = state;
    }
    return status;
}
