/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/holders.h"

#include <string.h>

static size_t index_of(const struct sl_core *core, const struct sl_member_state *member)
{
    return (size_t)(member - core->members);
}

/* ---- Claims ---- */

static void set_seq(struct sl_core *core, struct sl_claim *claim, uint64_t seq)
{
    if (claim->seq != seq) {
        claim->seq = seq;
        claim->dirty = true;
        core->holders->dirty = true;
    }
}

/* Its latest word. One that is lower than what counted, or another one at the same place, may be of
 * another log: it counts for nothing until it was compared. */
static void say(struct sl_core *core, struct sl_claim *claim, uint64_t seq,
                const uint8_t hash[SL_HASH_SIZE])
{
    claim->named = true;
    if (claim->said_seq == seq && (seq == 0 || memcmp(claim->said_hash, hash, SL_HASH_SIZE) == 0)) {
        return;
    }
    claim->said_seq = seq;
    memcpy(claim->said_hash, hash, SL_HASH_SIZE);
    claim->judged = seq == 0;
    if (seq <= claim->seq) {
        set_seq(core, claim, 0);
    }
    core->holders->moves++;
}

/* Origins have come of which the member has spoken before. */
static void take_unknown(struct sl_core *core, struct sl_holder *holder, size_t from)
{
    size_t kept = 0;
    for (size_t i = 0; i < holder->unknown_len; i++) {
        const struct sl_vector_entry entry = holder->unknown[i];
        bool taken = false;
        for (size_t k = from; k < holder->len && !taken; k++) {
            taken = sl_origin_equal(&core->origins[k]->name, &entry.origin);
            if (taken) {
                say(core, &holder->claims[k], entry.held_seq, entry.held_hash);
            }
        }
        if (!taken) {
            holder->unknown[kept++] = entry;
        }
    }
    holder->unknown_len = kept;
}

/* The member's claims, one for each origin there is; NULL: no memory. */
static struct sl_claim *claims_of(struct sl_core *core, const struct sl_member_state *member,
                                  size_t *len)
{
    struct sl_holder *holder = &core->holders->of[index_of(core, member)];
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    if (holder->len < count) {
        struct sl_claim *grown = sl_resize(core->env->alloc, holder->claims, count, sizeof(*grown));
        if (grown == NULL) {
            *len = 0;
            return NULL;
        }
        memset(grown + holder->len, 0, (count - holder->len) * sizeof(*grown));
        size_t from = holder->len;
        holder->claims = grown;
        holder->len = count;
        take_unknown(core, holder, from);
    }
    *len = holder->len;
    return holder->claims;
}

/* Of an origin of which nothing is here yet. Without memory it is as if it had not been said. */
static void keep_unknown(struct sl_core *core, struct sl_holder *holder,
                         const struct sl_vector_entry *entry)
{
    for (size_t i = 0; i < holder->unknown_len; i++) {
        if (sl_origin_equal(&holder->unknown[i].origin, &entry->origin)) {
            holder->unknown[i] = *entry;
            return;
        }
    }
    struct sl_vector_entry *grown =
        holder->unknown_len < SL_VECTOR_LEN_MAX
            ? sl_grow(core->env->alloc, holder->unknown, holder->unknown_len,
                      &holder->unknown_capacity, sizeof(*grown))
            : NULL;
    if (grown != NULL) {
        holder->unknown = grown;
        holder->unknown[holder->unknown_len++] = *entry;
    }
}

/* The place of an origin among the claims, searched from *at on: both lists are mostly in the same
 * order. false: nothing of it is here. */
static bool find(const struct sl_core *core, const struct sl_origin *name, size_t len, size_t *at)
{
    for (size_t looked = 0; looked < len; looked++) {
        *at = *at < len ? *at : 0;
        if (sl_origin_equal(&core->origins[*at]->name, name)) {
            return true;
        }
        (*at)++;
    }
    return false;
}

void sl_holders_vector(struct sl_core *core, const struct sl_member_state *member,
                       const struct sl_vector_entry *entries, size_t len)
{
    static const uint8_t nothing[SL_HASH_SIZE] = {0};
    struct sl_holder *holder = &core->holders->of[index_of(core, member)];
    size_t count = 0;
    size_t at = 0;
    struct sl_claim *claims = claims_of(core, member, &count);
    for (size_t i = 0; i < count; i++) {
        claims[i].named = false;
    }
    holder->unknown_len = 0;
    holder->has_spoken = true;
    for (size_t i = 0; i < len && count > 0; i++) {
        if (find(core, &entries[i].origin, count, &at)) {
            say(core, &claims[at], entries[i].held_seq, entries[i].held_hash);
        } else if (entries[i].held_seq > 0) {
            keep_unknown(core, holder, &entries[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!claims[i].named) {
            say(core, &claims[i], 0, nothing);
        }
    }
}

void sl_holders_statement(struct sl_core *core, const struct sl_member_state *member,
                          const struct sl_statement *statement)
{
    bool is_anew = statement->stated.epoch > member->stated.epoch;
    struct sl_holder *holder = &core->holders->of[index_of(core, member)];
    size_t count = 0;
    size_t at = 0;
    struct sl_claim *claims = claims_of(core, member, &count);
    for (size_t i = 0; i < count && is_anew; i++) {
        claims[i].said_seq = 0;
        set_seq(core, &claims[i], 0);
    }
    holder->unknown_len = is_anew ? 0 : holder->unknown_len;
    holder->has_spoken = true;
    for (uint32_t i = 0; i < statement->len && count > 0; i++) {
        struct sl_vector_entry entry = sl_statement_entry(statement, i);
        bool is_known = find(core, &entry.origin, count, &at);
        if (is_known && entry.held_seq > claims[at].said_seq) {
            say(core, &claims[at], entry.held_seq, entry.held_hash);
        } else if (!is_known && entry.held_seq > 0) {
            keep_unknown(core, holder, &entry);
        }
    }
}

void sl_holders_same(struct sl_core *core, const struct sl_member_state *member)
{
    size_t count = 0;
    struct sl_claim *claims = claims_of(core, member, &count);
    core->holders->of[index_of(core, member)].has_spoken = true;
    for (size_t i = 0; i < count; i++) {
        uint64_t seq = i < member->stream_count ? member->streams[i].sent_seq : 0;
        struct sl_claim *claim = &claims[i];
        set_seq(core, claim, seq);
        claim->said_seq = seq; /* its hash is not at hand; the next word of the member has it */
        memset(claim->said_hash, 0, sizeof(claim->said_hash));
        claim->judged = true;
    }
    core->holders->moves++;
}

/* Compares its word with the log here, when that has come so far. */
static enum syncline_status judge(struct sl_core *core, const struct sl_origin_state *origin,
                                  struct sl_claim *claim, struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(core, origin);
    uint8_t hash[SL_HASH_SIZE];
    bool found = true;
    if (claim->judged || claim->said_seq > head.held_seq) {
        return SYNCLINE_OK;
    }
    memcpy(hash, head.held_hash, SL_HASH_SIZE);
    enum syncline_status status = SYNCLINE_OK;
    if (claim->said_seq < head.held_seq) {
        status =
            sl_peer_log_hash_at(&core->net_log, head.number, claim->said_seq, &found, hash, err);
    }
    if (status != SYNCLINE_OK && status != SYNCLINE_EPRUNED) {
        return status;
    }
    claim->judged = true;
    bool same = status == SYNCLINE_OK && found && memcmp(hash, claim->said_hash, SL_HASH_SIZE) == 0;
    set_seq(core, claim, same ? claim->said_seq : 0);
    return SYNCLINE_OK;
}

enum syncline_status sl_holders_seq(struct sl_core *core, const struct sl_member_state *member,
                                    const struct sl_origin_state *origin, uint64_t *seq,
                                    struct sl_error *err)
{
    size_t count = 0;
    struct sl_claim *claims = claims_of(core, member, &count);
    *seq = 0;
    if (origin->index >= count) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = judge(core, origin, &claims[origin->index], err);
    *seq = status == SYNCLINE_OK ? claims[origin->index].seq : 0;
    return status;
}

bool sl_holders_counts(const struct sl_core *core, size_t index)
{
    return core->members[index].known.standing == SL_STANDING_MEMBER &&
           core->holders->of[index].absence.marked_ms == 0;
}

enum syncline_status sl_holders_least(struct sl_core *core, const struct sl_origin_state *origin,
                                      uint64_t *seq, const struct sl_member_state **who,
                                      struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    *who = NULL;
    for (size_t i = 0; i < core->member_count && status == SYNCLINE_OK; i++) {
        uint64_t holds = 0;
        if (!sl_holders_counts(core, i)) {
            continue;
        }
        status = sl_holders_seq(core, &core->members[i], origin, &holds, err);
        if (status == SYNCLINE_OK && (*who == NULL || holds < *seq)) {
            *who = &core->members[i];
            *seq = holds;
        }
    }
    return status;
}

/* ---- sync.db ---- */

static enum syncline_status load_member(struct sl_core *core, size_t index, struct sl_error *err)
{
    const struct sl_member_state *member = &core->members[index];
    struct sl_holder *holder = &core->holders->of[index];
    size_t count = 0;
    bool found = false;
    struct sl_claim *claims = claims_of(core, member, &count);
    if (claims == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for what members hold");
    }
    enum syncline_status status =
        sl_absence_get(&core->log, &member->known.device, &found, &holder->absence, err);
    holder->is_known = found;
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        uint64_t seq = 0;
        if (core->origins[i]->head.number != 0) {
            status = sl_held_get(&core->log, &member->known.device, core->origins[i]->head.number,
                                 &seq, err);
        }
        claims[i] = (struct sl_claim){.seq = seq, .said_seq = seq, .judged = true};
    }
    return status;
}

enum syncline_status sl_holders_load(struct sl_core *core, struct sl_error *err)
{
    core->holders = sl_calloc(core->env->alloc, 1, sizeof(*core->holders));
    if (core->holders == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for what members hold");
    }
    enum syncline_status status = sl_contact_get(&core->log, &core->holders->contact, err);
    for (size_t i = 0; i < core->member_count && status == SYNCLINE_OK; i++) {
        status = load_member(core, i, err);
    }
    return status;
}

void sl_holders_fini(struct sl_core *core)
{
    for (size_t i = 0; core->holders != NULL && i < SL_MEMBER_COUNT_MAX; i++) {
        sl_free(core->env->alloc, core->holders->of[i].claims);
        sl_free(core->env->alloc, core->holders->of[i].unknown);
    }
    sl_free(core->env->alloc, core->holders);
    core->holders = NULL;
}

enum syncline_status sl_holders_write(struct sl_core *core, struct sl_error *err)
{
    struct sl_holders *holders = core->holders;
    enum syncline_status status = SYNCLINE_OK;
    if (holders->contact_dirty) {
        status = sl_contact_put(&core->log, &holders->contact, err);
    }
    for (size_t i = 0; i < core->member_count && status == SYNCLINE_OK; i++) {
        const struct syncline_uuid *device = &core->members[i].known.device;
        const struct sl_holder *holder = &holders->of[i];
        if (holder->absence_dirty) {
            status = sl_absence_put(&core->log, device, &holder->absence, err);
        }
        for (size_t k = 0; k < holder->len && status == SYNCLINE_OK; k++) {
            int64_t number = sl_core_head(core, core->origins[k]).number;
            if (holder->claims[k].dirty && number != 0) {
                status = sl_held_put(&core->log, device, number, holder->claims[k].seq, err);
            }
        }
    }
    return status;
}

void sl_holders_written(struct sl_core *core)
{
    struct sl_holders *holders = core->holders;
    holders->contact_dirty = false;
    holders->dirty = false;
    for (size_t i = 0; i < core->member_count; i++) {
        holders->of[i].absence_dirty = false;
        for (size_t k = 0; k < holders->of[i].len; k++) {
            holders->of[i].claims[k].dirty = false;
        }
    }
}
