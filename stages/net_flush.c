/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/net_flush.h"

void sl_net_flush_init(struct sl_net_flush *flush, struct sl_core *core)
{
    flush->core = core;
    flush->next = 0;
}

/* Sends one segment to a member that lacks it and has room. */
static bool flush_member(struct sl_core *core, struct sl_member_state *member)
{
    struct sl_log_head self = sl_core_head(core, core->origins[0]);
    if (member->session == NULL || !member->vector_known || member->sent_seq >= self.held_seq ||
        sl_session_queued(member->session) >= SL_LINK_QUEUE_SIZE_MAX) {
        return false;
    }
    struct sl_error err;
    bool found = false;
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status = sl_peer_log_segment(
        &core->net_log, self.number, member->sent_seq + 1, &found, &data, &size, &err);
    struct sl_segment segment;
    if (status == SYNCLINE_OK && !found) {
        status = sl_fail(&err, SYNCLINE_ECORRUPT, "the log lacks seq %llu",
                         (unsigned long long)member->sent_seq + 1);
    }
    if (status == SYNCLINE_OK) {
        status = sl_segment_parse(&segment, data, size, &err);
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "net_flush", status, &err);
        sl_peer_log_done(&core->net_log);
        return false;
    }
    status = sl_session_send_segment(member->session, data, size);
    sl_peer_log_done(&core->net_log);
    if (status != SYNCLINE_OK) {
        sl_session_close(member->session, status, "the segment could not be queued");
        return true;
    }
    member->sent_seq = sl_segment_last_seq(&segment);
    sl_count_work(&core->counts[SL_STAGE_NET_FLUSH], 1, segment.len, size);
    sl_core_progress_sent(core, member);
    return true;
}

bool sl_net_flush_run(void *stage)
{
    struct sl_net_flush *flush = stage;
    bool worked = false;
    for (size_t i = 0; i < flush->core->member_count && !sl_core_is_paused(flush->core); i++) {
        flush->next = (flush->next + 1) % flush->core->member_count;
        worked = flush_member(flush->core, &flush->core->members[flush->next]) || worked;
    }
    return worked;
}
