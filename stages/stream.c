/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/stream.h"

#include <assert.h>
#include <string.h>

/* The arrows of the drawing. */
static const bool arrows[SL_STREAM_STATE_END][SL_STREAM_STATE_END] = {
    [SL_STREAM_FLOWS] =
        {[SL_STREAM_ASKED] = true, [SL_STREAM_STOPPED] = true, [SL_STREAM_BELOW] = true},
    [SL_STREAM_ASKED] =
        {[SL_STREAM_FLOWS] = true, [SL_STREAM_STOPPED] = true, [SL_STREAM_BELOW] = true},
    [SL_STREAM_BELOW] = {[SL_STREAM_FLOWS] = true, [SL_STREAM_STOPPED] = true},
};

void sl_stream_enter(struct sl_stream *stream, enum sl_stream_state state)
{
    bool is_drawn = arrows[stream->state][state];
    assert(is_drawn);
    (void)is_drawn; /* a release build asserts nothing */
    stream->state = state;
}

struct sl_stream *sl_stream_of(struct sl_core *core, struct sl_member_state *member,
                               const struct sl_origin_state *origin)
{
    if (origin->index >= member->stream_count) {
        size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
        struct sl_stream *grown =
            sl_resize(core->env->alloc, member->streams, count, sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        memset(grown + member->stream_count, 0,
               (count - member->stream_count) * sizeof(*grown)); /* FLOWS, and nothing sent */
        member->streams = grown;
        member->stream_count = count;
    }
    return &member->streams[origin->index];
}

void sl_stream_has(struct sl_stream *stream, uint64_t seq)
{
    stream->sent_seq = seq > stream->sent_seq ? seq : stream->sent_seq;
}

void sl_streams_forget(struct sl_core *core, struct sl_member_state *member)
{
    sl_free(core->env->alloc, member->streams);
    member->streams = NULL;
    member->stream_count = 0;
    member->next_stream = 0;
    member->flushed = false;
}

enum syncline_status sl_stream_stop(struct sl_core *core, struct sl_member_state *member,
                                    const struct sl_origin_state *origin, struct sl_stream *stream,
                                    uint64_t seq, struct sl_error *err)
{
    if (stream->state == SL_STREAM_STOPPED) {
        return SYNCLINE_OK; /* it has been told */
    }
    sl_stream_enter(stream, SL_STREAM_STOPPED);
    struct sl_log_head head = sl_core_head(core, origin);
    bool found = false;
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status =
        sl_peer_log_segment(&core->net_log, head.number, seq, &found, &data, &size, err);
    if (status == SYNCLINE_EPRUNED) {
        return SYNCLINE_OK; /* there is nothing left to show */
    }
    if (status == SYNCLINE_OK && found) {
        status = sl_session_send_segment(member->session, data, size);
        if (status != SYNCLINE_OK) {
            (void)sl_fail(err, status, "the segment could not be queued");
        }
    }
    sl_peer_log_done(&core->net_log);
    return status;
}

void sl_stream_asked(struct sl_core *core, struct sl_member_state *member,
                     const struct sl_vector_entry *entry)
{
    const struct sl_origin_state *origin = sl_core_origin(core, &entry->origin);
    struct sl_stream *stream = origin != NULL ? sl_stream_of(core, member, origin) : NULL;
    if (stream != NULL && entry->held_seq < stream->sent_seq) {
        stream->sent_seq = entry->held_seq;
        member->flushed = false;
        if (stream->state == SL_STREAM_BELOW) {
            sl_stream_enter(stream, SL_STREAM_FLOWS); /* it is told again, if it still is */
        }
    }
}
