/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/acknowledge.h"

#include <string.h>

#include "base/crashpoint.h"
#include "stages/reopen.h"
#include "stages/roster.h"
#include "stages/stream.h"

#define WRITE_WAIT_NS (20u * 1000u * 1000u)

void sl_acknowledge_init(struct sl_acknowledge *acknowledge, struct sl_core *core)
{
    acknowledge->core = core;
    acknowledge->entries = NULL;
    acknowledge->entry_count = 0;
    acknowledge->write_due_ns = 0;
}

void sl_acknowledge_fini(struct sl_acknowledge *acknowledge)
{
    sl_free(acknowledge->core->env->alloc, acknowledge->entries);
    acknowledge->entries = NULL;
    acknowledge->entry_count = 0;
}

/* ---- Telling ---- */

/* Room for that many entries. */
static bool reserve(struct sl_acknowledge *acknowledge, size_t count)
{
    if (count <= acknowledge->entry_count) {
        return true;
    }
    struct sl_vector_entry *grown =
        sl_resize(acknowledge->core->env->alloc, acknowledge->entries, count, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    acknowledge->entries = grown;
    acknowledge->entry_count = count;
    return true;
}

static enum syncline_status send_vector(struct sl_acknowledge *acknowledge,
                                        struct sl_member_state *member)
{
    struct sl_core *core = acknowledge->core;
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    if (!reserve(acknowledge, count)) {
        return SYNCLINE_ENOMEM;
    }
    struct sl_vector_entry *entries = acknowledge->entries;
    (void)pthread_mutex_lock(&core->head_lock);
    for (size_t i = 0; i < count; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        entries[i].origin = origin->name;
        entries[i].held_seq = origin->head.held_seq;
        memcpy(entries[i].held_hash, origin->head.held_hash, SL_HASH_SIZE);
        /* Own changes came from the tables: they are there, whether settled or not. */
        entries[i].applied_seq = i == 0 ? origin->head.held_seq : origin->applied_seq;
    }
    (void)pthread_mutex_unlock(&core->head_lock);
    return sl_session_send_vector(member->session, entries, count);
}

/* ---- Keeping ---- */

static bool any_dirty(const struct sl_core *core)
{
    for (size_t i = 0; i < core->member_count; i++) {
        if (core->members[i].dirty) {
            return true;
        }
    }
    return false;
}

static enum syncline_status write_members(struct sl_core *core, struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    for (size_t i = 0; i < core->member_count && status == SYNCLINE_OK; i++) {
        if (core->members[i].dirty) {
            status = sl_member_put(&core->log, &core->members[i].known, err);
        }
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
    }
    return status;
}

bool sl_acknowledge_run(void *stage)
{
    struct sl_acknowledge *acknowledge = stage;
    struct sl_core *core = acknowledge->core;
    bool worked = false;
    bool moved = atomic_exchange_explicit(&core->vector_moved, false, memory_order_acq_rel);
    for (size_t i = 0; i < core->member_count; i++) {
        struct sl_member_state *member = &core->members[i];
        worked = sl_roster_tell(core, member) || worked;
        member->vector_due = member->vector_due || moved;
        if (!member->vector_due || member->session == NULL) {
            continue;
        }
        member->vector_due = false;
        worked = true;
        sl_count_work(&core->counts[SL_STAGE_ACKNOWLEDGE], 1, 0, 0);
        SL_CRASHPOINT(R7, BEFORE);
        if (send_vector(acknowledge, member) != SYNCLINE_OK) {
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
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_acknowledge_vector(struct sl_core *core, struct sl_member_state *member,
                                           const struct sl_vector_entry *entries, size_t len,
                                           struct sl_error *err)
{
    struct sl_vector_entry own = {.origin = core->self};
    uint64_t announced = member->known.announced_seq;
    for (size_t i = 0; i < len; i++) {
        if (sl_origin_equal(&entries[i].origin, &core->self)) {
            own = entries[i];
        }
        if (sl_uuid_equal(&entries[i].origin.device, &member->known.device)) {
            announced = entries[i].held_seq;
        }
    }
    enum syncline_status status = check_own(core, &own, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    SL_CRASHPOINT(S11, BEFORE);
    note(&member->known.acked_seq, own.held_seq, &member->dirty);
    note(&member->known.applied_seq, own.applied_seq, &member->dirty);
    note(&member->known.announced_seq, announced, &member->dirty);
    status = note_held(core, member, entries, len, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    SL_CRASHPOINT(S11, AFTER);
    member->vector_known = true; /* from here on it gets what it lacks */
    sl_core_progress_members(core);
    return SYNCLINE_OK;
}
