/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/meet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stages/acknowledge.h"
#include "stages/roster.h"
#include "stages/stream.h"

/* The arrows of the drawing. */
static const bool arrows[SL_MEETING_END][SL_MEETING_END] = {
    [SL_MEETING_APART] = {[SL_MEETING_GREETED] = true},
    [SL_MEETING_GREETED] =
        {[SL_MEETING_DIFFERS] = true, [SL_MEETING_KNOWN] = true, [SL_MEETING_APART] = true},
    [SL_MEETING_DIFFERS] = {[SL_MEETING_LISTED] = true, [SL_MEETING_APART] = true},
    [SL_MEETING_LISTED] = {[SL_MEETING_KNOWN] = true, [SL_MEETING_APART] = true},
    [SL_MEETING_KNOWN] = {[SL_MEETING_APART] = true},
};

/* What may come in which state. */
static const bool expected[SL_MEETING_END][SL_FRAME_TYPE_END] = {
    [SL_MEETING_GREETED] = {[SL_FRAME_SUMMARY] = true, [SL_FRAME_MEMBERS] = true},
    [SL_MEETING_DIFFERS] = {[SL_FRAME_ROSTER] = true, [SL_FRAME_MEMBERS] = true},
    [SL_MEETING_LISTED] = {[SL_FRAME_VECTOR] = true, [SL_FRAME_MEMBERS] = true},
    [SL_MEETING_KNOWN] = {[SL_FRAME_VECTOR] = true,
                          [SL_FRAME_MEMBERS] = true,
                          [SL_FRAME_STATEMENT] = true,
                          [SL_FRAME_SEGMENT] = true,
                          [SL_FRAME_ASK] = true,
                          [SL_FRAME_FLOOR] = true,
                          [SL_FRAME_SNAPSHOT_ASK] = true,
                          [SL_FRAME_SNAPSHOT_CUT] = true,
                          [SL_FRAME_SNAPSHOT_PAGE] = true,
                          [SL_FRAME_QUERY] = true,
                          [SL_FRAME_ANSWER] = true},
};

void sl_meet_enter(struct sl_member_state *member, enum sl_meeting state)
{
    bool is_drawn = arrows[member->meeting][state];
    assert(is_drawn);
    (void)is_drawn; /* a release build asserts nothing */
    member->meeting = state;
}

enum syncline_status sl_meet_check(const struct sl_member_state *member, enum sl_frame_type type,
                                   struct sl_error *err)
{
    if (expected[member->meeting][type]) {
        return SYNCLINE_OK;
    }
    return sl_fail(err, SYNCLINE_EPROTO, "a %s frame came out of order", sl_frame_type_name(type));
}

/* ---- The summary ---- */

static int compare_entries(const void *a, const void *b)
{
    const struct sl_vector_entry *left = a;
    const struct sl_vector_entry *right = b;
    int order = sl_uuid_compare(&left->origin.device, &right->origin.device);
    if (order != 0) {
        return order;
    }
    return left->origin.epoch < right->origin.epoch   ? -1
           : left->origin.epoch > right->origin.epoch ? 1
                                                      : 0;
}

static int compare_devices(const void *a, const void *b)
{
    return sl_uuid_compare(&((const struct sl_roster_entry *)a)->device,
                           &((const struct sl_roster_entry *)b)->device);
}

/* Over the membership log, devices and origins in the order of their ids; an origin with nothing
 * held says nothing. Sorts both. */
static bool hash_all(struct sl_core *core, struct sl_roster_entry *devices, size_t devices_len,
                     struct sl_vector_entry *entries, size_t len, uint8_t hash[SL_HASH_SIZE])
{
    static const char domain[] = "syncline summary"; /* with its NUL */
    struct sl_hasher *hasher = core->net_hasher;
    uint8_t bytes[SL_VECTOR_ENTRY_SIZE];
    qsort(devices, devices_len, sizeof(*devices), compare_devices);
    qsort(entries, len, sizeof(*entries), compare_entries);
    sl_hasher_update(hasher, domain, sizeof(domain));
    sl_hasher_update(hasher, core->membership.hash, SL_HASH_SIZE);
    sl_put_u64(bytes, devices_len);
    sl_hasher_update(hasher, bytes, 8);
    for (size_t i = 0; i < devices_len; i++) {
        sl_hasher_update(hasher, devices[i].device.bytes, sizeof(devices[i].device.bytes));
        sl_put_u64(bytes, devices[i].stated.epoch);
        sl_put_u64(bytes + 8, devices[i].stated.version);
        sl_hasher_update(hasher, bytes, 16);
    }
    for (size_t i = 0; i < len; i++) {
        if (entries[i].held_seq > 0) {
            sl_vector_entry_encode(&entries[i], bytes);
            sl_hasher_update(hasher, bytes, sizeof(bytes));
        }
    }
    return sl_hasher_finish(hasher, hash);
}

/* What the summary says of each origin is what the member has of it, should its own be equal. */
static bool note_as_said(struct sl_core *core, struct sl_member_state *member,
                         const struct sl_vector_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_stream *stream =
            entries[i].held_seq > 0 ? sl_stream_of(core, member, core->origins[i]) : NULL;
        if (entries[i].held_seq > 0 && stream == NULL) {
            return false;
        }
        if (stream != NULL) {
            sl_stream_has(stream, entries[i].held_seq);
        }
    }
    return true;
}

void sl_meet_begin(struct sl_core *core, struct sl_member_state *member)
{
    struct sl_roster_entry devices[SL_ROSTER_LEN_MAX];
    struct sl_vector_entry *entries = NULL;
    size_t count = 0;
    sl_meet_enter(member, SL_MEETING_GREETED);
    member->vector_due = false;
    sl_roster_forget(member);
    sl_streams_forget(core, member);
    enum syncline_status status = SYNCLINE_ENOMEM;
    if (sl_core_vector(core, &entries, &count) && note_as_said(core, member, entries, count)) {
        size_t devices_len = sl_roster_list(core, entries, count, devices);
        member->summary_version = devices[0].stated.version;
        sl_roster_is_same(core, member); /* as of now: what comes later is news to it */
        if (hash_all(core, devices, devices_len, entries, count, member->summary)) {
            status = sl_session_send_summary(member->session, member->summary);
        }
    }
    if (status != SYNCLINE_OK) {
        sl_session_close(member->session, status, "the summary could not be queued");
    }
}

void sl_meet_end(struct sl_core *core, struct sl_member_state *member)
{
    sl_meet_enter(member, SL_MEETING_APART);
    sl_streams_forget(core, member);
}

/* ---- Theirs ---- */

static enum syncline_status tell_all(struct sl_core *core, struct sl_member_state *member)
{
    struct sl_roster_entry devices[SL_ROSTER_LEN_MAX];
    struct sl_vector_entry *entries = NULL;
    size_t count = 0;
    if (!sl_core_vector(core, &entries, &count)) {
        return SYNCLINE_ENOMEM;
    }
    size_t devices_len = sl_roster_list(core, entries, count, devices);
    enum syncline_status status =
        sl_session_send_roster(member->session, core->membership.hash, devices, devices_len);
    return status == SYNCLINE_OK ? sl_session_send_vector(member->session, entries, count) : status;
}

enum syncline_status sl_meet_summary(struct sl_core *core, struct sl_member_state *member,
                                     const uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    if (memcmp(hash, member->summary, SL_HASH_SIZE) == 0) {
        sl_acknowledge_same(core, member);
        sl_meet_enter(member, SL_MEETING_KNOWN);
        return SYNCLINE_OK;
    }
    sl_streams_forget(core, member);
    sl_roster_forget(member);
    sl_meet_enter(member, SL_MEETING_DIFFERS);
    enum syncline_status status = tell_all(core, member);
    return status == SYNCLINE_OK ? SYNCLINE_OK
                                 : sl_fail(err, status, "the vector could not be queued");
}

enum syncline_status sl_meet_roster(struct sl_core *core, struct sl_member_state *member,
                                    const uint8_t members[SL_HASH_SIZE],
                                    const struct sl_roster_entry *entries, size_t len,
                                    struct sl_error *err)
{
    (void)err;
    sl_roster_heard(core, member, members, entries, len);
    sl_meet_enter(member, SL_MEETING_LISTED);
    return SYNCLINE_OK;
}
