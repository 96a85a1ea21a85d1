/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/acknowledge.h"

#include <string.h>

#include "base/crashpoint.h"
#include "stages/absence.h"
#include "stages/meet.h"
#include "stages/members_ask.h"
#include "stages/reopen.h"
#include "stages/roster.h"
#include "stages/stream.h"

#define WRITE_WAIT_NS (20u * 1000u * 1000u)

void sl_acknowledge_init(struct sl_acknowledge *acknowledge, struct sl_core *core)
{
    acknowledge->core = core;
    acknowledge->write_due_ns = 0;
}

/* ---- Telling ---- */

static enum syncline_status send_vector(struct sl_core *core, struct sl_member_state *member)
{
    struct sl_vector_entry *entries = NULL;
    size_t count = 0;
    if (!sl_core_vector(core, &entries, &count)) {
        return SYNCLINE_ENOMEM;
    }
    return sl_session_send_vector(member->session, entries, count);
}

/* ---- Keeping ---- */

static bool any_dirty(const struct sl_core *core)
{
    for (size_t i = 0; i < core->member_count; i++) {
        if (core->members[i].dirty || core->members[i].statement_dirty) {
            return true;
        }
    }
    return core->holders->dirty;
}

static enum syncline_status write_members(struct sl_core *core, struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    for (size_t i = 0; i < core->member_count && status == SYNCLINE_OK; i++) {
        const struct sl_member_state *member = &core->members[i];
        if (member->dirty) {
            status = sl_member_put(&core->log, &member->known, err);
        }
        if (status == SYNCLINE_OK && member->statement_dirty) {
            status = sl_member_put_statement(&core->log, &member->known.device, member->statement,
                                             member->statement_size, err);
        }
    }
    if (status == SYNCLINE_OK) {
        status = sl_holders_write(core, err);
    }
    SL_CRASHPOINT(S12, BEFORE);
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    SL_CRASHPOINT(S12, AFTER);
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    for (size_t i = 0; i < core->member_count && status == SYNCLINE_OK; i++) {
        core->members[i].dirty = false;
        core->members[i].statement_dirty = false;
    }
    if (status == SYNCLINE_OK) {
        sl_holders_written(core);
    }
    return status;
}

bool sl_acknowledge_run(void *stage)
{
    struct sl_acknowledge *acknowledge = stage;
    struct sl_core *core = acknowledge->core;
    bool worked = false;
    bool moved = atomic_exchange_explicit(&core->vector_moved, false, memory_order_acq_rel);
    worked = sl_members_run(core);
    worked = sl_roster_state(core, moved) || worked;
    for (size_t i = 0; i < core->member_count; i++) {
        struct sl_member_state *member = &core->members[i];
        worked = sl_roster_tell(core, member) || worked;
        member->vector_due = member->vector_due || moved;
        if (!member->vector_due || member->meeting < SL_MEETING_DIFFERS) {
            continue;
        }
        member->vector_due = false;
        worked = true;
        sl_count_work(&core->counts[SL_STAGE_ACKNOWLEDGE], 1, 0, 0);
        SL_CRASHPOINT(R7, BEFORE);
        if (send_vector(core, member) != SYNCLINE_OK) {
            sl_session_close(member->session, SYNCLINE_ENET, "the vector could not be queued");
        }
        SL_CRASHPOINT(R7, AFTER);
    }
    if (!any_dirty(core)) {
        acknowledge->write_due_ns = 0;
        return worked;
    }
    uint64_t now = core->env->mono_ns(core->env->ctx);
    if (acknowledge->write_due_ns == 0) {
        acknowledge->write_due_ns = now + WRITE_WAIT_NS;
    }
    if (now < acknowledge->write_due_ns) {
        return worked;
    }
    struct sl_error err;
    enum syncline_status status = write_members(core, &err);
    acknowledge->write_due_ns = now + WRITE_WAIT_NS;
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "acknowledge", status, &err);
        return worked;
    }
    return true;
}

/* ---- Hearing ---- */

/* What a member says of this device's own log must be true of it. */
static enum syncline_status check_own(struct sl_core *core, const struct sl_vector_entry *entry,
                                      struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(core, core->origins[0]);
    if (entry->held_seq > head.held_seq) {
        return sl_fail(err, SYNCLINE_ERESTORED,
                       "it holds %llu changes of this device, whose own log ends at %llu: this "
                       "library was restored from an older copy, which this version cannot mend",
                       (unsigned long long)entry->held_seq, (unsigned long long)head.held_seq);
    }
    if (entry->applied_seq > entry->held_seq) {
        return sl_fail(err, SYNCLINE_EPROTO, "its vector has applied more than it holds");
    }
    if (entry->held_seq == 0) {
        return SYNCLINE_OK;
    }
    bool found = false;
    uint8_t hash[SL_HASH_SIZE];
    enum syncline_status status =
        sl_peer_log_hash_at(&core->net_log, head.number, entry->held_seq, &found, hash, err);
    if (status == SYNCLINE_EPRUNED) {
        return SYNCLINE_OK; /* nothing is left to compare it with; it needs a snapshot */
    }
    if (status == SYNCLINE_OK && (!found || memcmp(hash, entry->held_hash, SL_HASH_SIZE) != 0)) {
        status =
            sl_fail(err, SYNCLINE_ERESTORED,
                    "its copy of this device's log is another one: this library or that one was "
                    "restored or copied, which this version cannot mend");
    }
    return status;
}

static void note(uint64_t *field, uint64_t value, bool *dirty)
{
    if (*field != value) {
        *field = value;
        *dirty = true;
    }
}

/* Is what the member holds of an origin what is held here, as far as both go? If not, its log has
 * split; the one can prove it to the other. What is said of this device's own is judged before. */
static enum syncline_status compare_held(struct sl_core *core, struct sl_member_state *member,
                                         const struct sl_origin_state *origin,
                                         struct sl_stream *stream,
                                         const struct sl_vector_entry *entry, struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(core, origin);
    uint8_t hash[SL_HASH_SIZE];
    bool found = true;
    if (origin->index == 0 || entry->held_seq == 0 || entry->held_seq > head.held_seq ||
        entry->held_seq <= stream->same_seq || stream->state == SL_STREAM_STOPPED ||
        origin->forked) {
        return SYNCLINE_OK;
    }
    memcpy(hash, head.held_hash, SL_HASH_SIZE);
    if (entry->held_seq < head.held_seq) {
        enum syncline_status status =
            sl_peer_log_hash_at(&core->net_log, head.number, entry->held_seq, &found, hash, err);
        if (status == SYNCLINE_EPRUNED) {
            return SYNCLINE_OK;
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    if (found && memcmp(hash, entry->held_hash, SL_HASH_SIZE) == 0) {
        stream->same_seq = entry->held_seq;
        return SYNCLINE_OK;
    }
    return sl_stream_stop(core, member, origin, stream, entry->held_seq, err);
}

/* What the member has need not be sent to it. */
static enum syncline_status note_held(struct sl_core *core, struct sl_member_state *member,
                                      const struct sl_vector_entry *entries, size_t len,
                                      struct sl_error *err)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    size_t at = 0; /* both lists are mostly in the same order */
    for (size_t i = 0; i < len; i++) {
        size_t looked = 0;
        while (looked < count && !sl_origin_equal(&core->origins[at]->name, &entries[i].origin)) {
            at = (at + 1) % count;
            looked++;
        }
        if (looked == count) {
            continue; /* nothing of it is here */
        }
        struct sl_stream *stream = sl_stream_of(core, member, core->origins[at]);
        if (stream == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a vector");
        }
        sl_stream_has(stream, entries[i].held_seq);
        if (stream->state == SL_STREAM_BELOW &&
            entries[i].held_seq >= core->origins[at]->floor_seq) {
            sl_stream_enter(stream, SL_STREAM_FLOWS);
            member->flushed = false;
        }
        enum syncline_status status =
            compare_held(core, member, core->origins[at], stream, &entries[i], err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    return SYNCLINE_OK;
}

/* What a vector says of this device's own log and of the changes of who made it. */
struct claim {
    struct sl_vector_entry own; /* held_seq 0: nothing */
    uint64_t announced;         /* changes of its own, of all its epochs */
};

static void look_at(const struct sl_core *core, const struct sl_member_state *member,
                    const struct sl_vector_entry *entry, struct claim *claim)
{
    if (sl_origin_equal(&entry->origin, &core->self)) {
        claim->own = *entry;
    }
    if (sl_uuid_equal(&entry->origin.device, &member->known.device)) {
        claim->announced += entry->held_seq;
    }
}

enum syncline_status sl_acknowledge_vector(struct sl_core *core, struct sl_member_state *member,
                                           const struct sl_vector_entry *entries, size_t len,
                                           struct sl_error *err)
{
    struct claim claim = {.own = {.origin = core->self}};
    for (size_t i = 0; i < len; i++) {
        look_at(core, member, &entries[i], &claim);
    }
    enum syncline_status status = check_own(core, &claim.own, err);
    if (status == SYNCLINE_OK) {
        status = note_held(core, member, entries, len, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_holders_vector(core, member, entries, len);
    SL_CRASHPOINT(S11, BEFORE);
    note(&member->known.acked_seq, claim.own.held_seq, &member->dirty);
    note(&member->known.applied_seq, claim.own.applied_seq, &member->dirty);
    note(&member->known.announced_seq, claim.announced, &member->dirty);
    SL_CRASHPOINT(S11, AFTER);
    if (member->meeting == SL_MEETING_LISTED) {
        sl_meet_enter(member, SL_MEETING_KNOWN); /* from here on it gets what it lacks */
    }
    sl_core_progress_members(core);
    return SYNCLINE_OK;
}

void sl_acknowledge_same(struct sl_core *core, struct sl_member_state *member)
{
    uint64_t announced = 0;
    for (size_t i = 0; i < member->stream_count; i++) {
        if (sl_uuid_equal(&core->origins[i]->name.device, &member->known.device)) {
            announced += member->streams[i].sent_seq;
        }
    }
    sl_holders_same(core, member);
    uint64_t own_seq = member->stream_count > 0 ? member->streams[0].sent_seq : 0;
    note(&member->known.acked_seq, own_seq, &member->dirty);
    note(&member->known.applied_seq, own_seq, &member->dirty);
    note(&member->known.announced_seq, announced, &member->dirty);
    sl_core_progress_members(core);
}

/* Of a device that is met, its own word may have come before this one. */
static void raise(uint64_t *field, uint64_t value, bool *dirty)
{
    if (*field < value) {
        *field = value;
        *dirty = true;
    }
}

enum syncline_status sl_acknowledge_statement(struct sl_core *core, struct sl_member_state *member,
                                              const struct sl_statement *statement,
                                              struct sl_error *err)
{
    struct claim claim = {.own = {.origin = core->self}};
    for (uint32_t i = 0; i < statement->len; i++) {
        struct sl_vector_entry entry = sl_statement_entry(statement, i);
        look_at(core, member, &entry, &claim);
    }
    enum syncline_status status = check_own(core, &claim.own, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    raise(&member->known.acked_seq, claim.own.held_seq, &member->dirty);
    raise(&member->known.applied_seq, claim.own.applied_seq, &member->dirty);
    raise(&member->known.announced_seq, claim.announced, &member->dirty);
    sl_holders_statement(core, member, statement);
    sl_absence_heard(core, member);
    sl_core_progress_members(core);
    return SYNCLINE_OK;
}
