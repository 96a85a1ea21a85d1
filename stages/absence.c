/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/absence.h"

#include <inttypes.h>
#include <stdio.h>

#include "stages/reopen.h"

#define MS_PER_DAY UINT64_C(86400000)

static bool is_connected(const struct sl_member_state *member)
{
    return member->session != NULL && member->meeting == SL_MEETING_KNOWN;
}

static void note_heard(struct sl_core *core, size_t index)
{
    struct sl_holders *holders = core->holders;
    struct sl_holder *holder = &holders->of[index];
    if (!holder->is_known || holder->absence.heard != holders->contact.days) {
        holder->is_known = true;
        holder->absence.heard = holders->contact.days;
        holder->absence_dirty = true;
        holders->dirty = true;
    }
}

void sl_absence_heard(struct sl_core *core, const struct sl_member_state *member)
{
    note_heard(core, (size_t)(member - core->members));
}

void sl_absence_count(struct sl_core *core)
{
    struct sl_contact *contact = &core->holders->contact;
    uint64_t day = core->env->wall_ms(core->env->ctx) / MS_PER_DAY;
    bool any = false;
    for (size_t i = 0; i < core->member_count; i++) {
        any = any || is_connected(&core->members[i]);
    }
    bool counts = any && (contact->days == 0 || day > contact->day);
    bool was_ahead = any && contact->day > day && contact->day - day > SL_CONTACT_BACK_DAYS;
    if (counts || was_ahead) {
        contact->days += counts ? 1 : 0;
        contact->day = day;
        core->holders->contact_dirty = true;
        core->holders->dirty = true;
    }
    for (size_t i = 0; i < core->member_count; i++) {
        if (is_connected(&core->members[i]) || !core->holders->of[i].is_known) {
            note_heard(core, i); /* one that is new is heard of for the first time */
        }
    }
}

/* In its own transaction, at once: nothing is pruned before. */
static enum syncline_status mark(struct sl_core *core, size_t index, struct sl_error *err)
{
    struct sl_holder *holder = &core->holders->of[index];
    struct sl_absence absence = holder->absence;
    uint64_t wall_ms = core->env->wall_ms(core->env->ctx);
    absence.marked_ms = wall_ms > 0 ? wall_ms : 1;
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK) {
        status = sl_absence_put(&core->log, &core->members[index].known.device, &absence, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    if (status == SYNCLINE_OK) {
        holder->absence = absence;
        holder->has_spoken = false;
        core->holders->moves++;
    }
    return status;
}

enum syncline_status sl_absence_mark_stale(struct sl_core *core, bool *marked, struct sl_error *err)
{
    const struct sl_holders *holders = core->holders;
    uint64_t limit = (uint64_t)sl_settings_number(&core->settings, SL_SETTING_MEMBER_STALE_DAYS);
    *marked = false;
    for (size_t i = 0; i < core->member_count; i++) {
        const struct sl_member_state *member = &core->members[i];
        const struct sl_absence *absence = &holders->of[i].absence;
        uint64_t days = holders->contact.days - absence->heard;
        if (!holders->of[i].is_known || !sl_holders_counts(core, i) || days <= limit ||
            is_connected(member)) {
            continue;
        }
        enum syncline_status status = mark(core, i, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        *marked = true;
        char text[SL_ERROR_SIZE];
        (void)snprintf(text, sizeof(text),
                       "device \"%s\" was not heard of on %" PRIu64
                       " days on which others were: nothing is kept for it any more, it may need a "
                       "snapshot when it comes back",
                       member->known.name, days);
        sl_core_news(core, SYNCLINE_CODE_MEMBER_AWAY, &member->known.device, text);
    }
    return SYNCLINE_OK;
}

/* How many changes of all logs here the member lacks. */
static enum syncline_status count_lack(struct sl_core *core, const struct sl_member_state *member,
                                       uint64_t *lack, struct sl_error *err)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    enum syncline_status status = SYNCLINE_OK;
    *lack = 0;
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        uint64_t seq = 0;
        uint64_t held_seq = sl_core_held(core, core->origins[i]);
        status = sl_holders_seq(core, member, core->origins[i], &seq, err);
        *lack += status == SYNCLINE_OK && held_seq > seq ? held_seq - seq : 0;
    }
    return status;
}

enum syncline_status sl_absence_mark_behind(struct sl_core *core, bool all, bool *marked,
                                            struct sl_error *err)
{
    size_t worst = 0;
    uint64_t most = 0;
    *marked = false;
    for (size_t i = 0; i < core->member_count; i++) {
        uint64_t lack = 0;
        if (!sl_holders_counts(core, i) || (!all && is_connected(&core->members[i]))) {
            continue;
        }
        enum syncline_status status = count_lack(core, &core->members[i], &lack, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        worst = lack > most ? i : worst;
        most = lack > most ? lack : most;
    }
    if (most == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = mark(core, worst, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    *marked = true;
    char text[SL_ERROR_SIZE];
    (void)snprintf(
        text, sizeof(text),
        "sync.db has passed its limit: nothing is kept any more for device \"%s\", which "
        "lacks %" PRIu64 " changes, the most; it may need a snapshot when it comes back",
        core->members[worst].known.name, most);
    sl_core_news(core, SYNCLINE_CODE_MEMBER_AWAY, &core->members[worst].known.device, text);
    return SYNCLINE_OK;
}

/* Does the member hold all that is not in the logs here any more? */
static enum syncline_status holds_pruned(struct sl_core *core, const struct sl_member_state *member,
                                         bool *holds, struct sl_error *err)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    enum syncline_status status = SYNCLINE_OK;
    *holds = true;
    for (size_t i = 0; i < count && status == SYNCLINE_OK && *holds; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        uint64_t seq = 0;
        if (origin->floor_seq == 0 || origin->forked) {
            continue;
        }
        status = sl_holders_seq(core, member, origin, &seq, err);
        *holds = status == SYNCLINE_OK && seq >= origin->floor_seq;
    }
    return status;
}

enum syncline_status sl_absence_end(struct sl_core *core, struct sl_error *err)
{
    for (size_t i = 0; i < core->member_count; i++) {
        const struct sl_member_state *member = &core->members[i];
        struct sl_holder *holder = &core->holders->of[i];
        bool holds = false;
        if (holder->absence.marked_ms == 0 || !holder->has_spoken) {
            continue;
        }
        enum syncline_status status = holds_pruned(core, member, &holds, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (!holds) {
            continue;
        }
        holder->absence.marked_ms = 0; /* now; in sync.db a little later, with what it said */
        holder->absence_dirty = true;
        core->holders->dirty = true;
        char text[SL_ERROR_SIZE];
        (void)snprintf(
            text, sizeof(text),
            "device \"%s\" is back, and has all that was pruned: what it lacks is kept for "
            "it again",
            member->known.name);
        sl_core_news(core, SYNCLINE_CODE_MEMBER_BACK, &member->known.device, text);
    }
    return SYNCLINE_OK;
}
