/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/net_flush.h"

#include "base/crashpoint.h"
#include "stages/members.h"
#include "stages/stream.h"
#include "storage/log_floor.h"

void sl_net_flush_init(struct sl_net_flush *flush, struct sl_core *core)
{
    flush->core = core;
    flush->next = 0;
}

/* The next origin of which the member lacks something that it can judge; NULL: none. */
static struct sl_origin_state *find_lack(struct sl_core *core, struct sl_member_state *member,
                                         struct sl_stream **stream, bool *waits)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    *waits = false;
    for (size_t k = 0; k < count; k++) {
        struct sl_origin_state *origin = core->origins[(member->next_stream + k) % count];
        uint64_t held_seq = sl_members_sendable(core, origin, sl_core_held(core, origin));
        *stream = held_seq > 0 ? sl_stream_of(core, member, origin) : NULL;
        if (*stream == NULL || (*stream)->sent_seq >= held_seq ||
            (*stream)->state == SL_STREAM_STOPPED || (*stream)->state == SL_STREAM_BELOW ||
            origin->forked) {
            *waits = *waits || (held_seq > 0 && *stream == NULL); /* for memory */
            continue;
        }
        if (sl_members_all_told(core, member)) {
            member->next_stream = (origin->index + 1) % count;
            return origin;
        }
        *waits = true;
    }
    return NULL;
}

/* What the member lacks was pruned: it is told so, and nothing of what comes after it. */
static enum syncline_status refuse(struct sl_core *core, struct sl_member_state *member,
                                   const struct sl_origin_state *origin, int64_t number,
                                   struct sl_stream *stream, struct sl_error *err)
{
    struct sl_log_floor floor;
    struct sl_error text;
    char name[SL_NAME_SIZE_MAX + 3];
    enum syncline_status status = sl_log_floor_get(&core->net_log, number, &floor, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_stream_enter(stream, SL_STREAM_BELOW);
    status = sl_session_send_floor(member->session, floor.end);
    if (status != SYNCLINE_OK) {
        sl_session_close(member->session, status, "the floor of a log could not be queued");
        return SYNCLINE_OK;
    }
    sl_core_device_name(core, &origin->name.device, name, sizeof(name));
    (void)sl_fail(&text, SYNCLINE_EPRUNED,
                  "\"%s\" has the changes of %s up to %llu, and those up to %llu were pruned here: "
                  "it needs a snapshot",
                  member->known.name, name, (unsigned long long)stream->sent_seq,
                  (unsigned long long)floor.seq);
    sl_core_trouble(core, SYNCLINE_CODE_SNAPSHOT_NEEDED, SYNCLINE_EPRUNED, &member->known.device,
                    text.text);
    return SYNCLINE_OK;
}

/* Queues the segment after the stream's place. */
static enum syncline_status send_next(struct sl_core *core, struct sl_member_state *member,
                                      const struct sl_origin_state *origin,
                                      struct sl_stream *stream, struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(core, origin);
    struct sl_segment segment;
    bool found = false;
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status = sl_peer_log_segment(
        &core->net_log, head.number, stream->sent_seq + 1, &found, &data, &size, err);
    if (status == SYNCLINE_EPRUNED) {
        return refuse(core, member, origin, head.number, stream, err);
    }
    if (status == SYNCLINE_OK && !found) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "the log lacks seq %llu",
                         (unsigned long long)stream->sent_seq + 1);
    }
    if (status == SYNCLINE_OK) {
        status = sl_segment_parse(&segment, data, size, err);
    }
    if (status == SYNCLINE_OK) {
        SL_CRASHPOINT(S10, BEFORE);
        enum syncline_status sent = sl_session_send_segment(member->session, data, size);
        SL_CRASHPOINT(S10, AFTER);
        if (sent != SYNCLINE_OK) {
            sl_session_close(member->session, sent, "the segment could not be queued");
        } else {
            stream->sent_seq = sl_segment_last_seq(&segment);
            sl_count_work(&core->counts[SL_STAGE_NET_FLUSH], 1, segment.len, size);
            sl_core_progress_sent(core, member, origin->index == 0 ? stream->sent_seq : 0);
        }
    }
    sl_peer_log_done(&core->net_log);
    return status;
}

/* Sends one segment to a member that lacks it and has room. */
static bool flush_member(struct sl_core *core, struct sl_member_state *member)
{
    /* Read before the heads: one that moves while they are looked at is looked at again. */
    uint64_t moves = atomic_load_explicit(&core->log_moves, memory_order_acquire);
    if (member->meeting != SL_MEETING_KNOWN || (member->flushed && member->flushed_at == moves) ||
        sl_session_queued(member->session) >= SL_LINK_QUEUE_SIZE_MAX) {
        return false;
    }
    struct sl_stream *stream = NULL;
    bool waits = false;
    const struct sl_origin_state *origin = find_lack(core, member, &stream, &waits);
    if (origin == NULL) {
        member->flushed = !waits;
        member->flushed_at = moves;
        return false;
    }
    struct sl_error err;
    enum syncline_status status = send_next(core, member, origin, stream, &err);
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "net_flush", status, &err);
        return false;
    }
    return true;
}

bool sl_net_flush_run(void *stage)
{
    struct sl_net_flush *flush = stage;
    struct sl_core *core = flush->core;
    const struct sl_stage_counts *counts = &core->counts[SL_STAGE_NET_FLUSH];
    uint64_t errors = sl_counted(&counts->errors);
    bool worked = false;
    for (size_t i = 0; i < core->member_count && !sl_core_is_paused(core); i++) {
        flush->next = (flush->next + 1) % core->member_count;
        worked = flush_member(core, &core->members[flush->next]) || worked;
    }
    if (errors == sl_counted(&counts->errors)) {
        sl_core_works(core, SL_STAGE_NET_FLUSH); /* also if who lacked something has gone */
    }
    return worked;
}
