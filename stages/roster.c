/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/acknowledge.h"
#include "stages/members.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)

static size_t index_of(const struct sl_core *core, const struct sl_member_state *member)
{
    return (size_t)(member - core->members);
}

/* ---- Statements ---- */

/* A copy of the statement's bytes, in place of the one before. false: no memory. */
static bool keep(struct sl_core *core, struct sl_member_state *member,
                 const struct sl_statement *statement, const uint8_t *data, size_t size)
{
    uint8_t *copy = sl_alloc(core->env->alloc, size);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, data, size);
    sl_free(core->env->alloc, member->statement);
    member->statement = copy;
    member->statement_size = size;
    member->stated = statement->stated;
    return true;
}

static enum syncline_status load_statement(struct sl_core *core, struct sl_member_state *member,
                                           struct sl_error *err)
{
    struct sl_buf buf;
    struct sl_statement statement;
    sl_buf_init(&buf, core->env->alloc);
    enum syncline_status status = sl_member_statement(&core->log, &member->known.device, &buf, err);
    if (status == SYNCLINE_OK && buf.len > 0) {
        status = sl_statement_parse(&statement, buf.data, buf.len, err);
        if (status == SYNCLINE_EPROTO) {
            status = sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: the statement of \"%s\" is damaged",
                             member->known.name);
        }
        if (status == SYNCLINE_OK && !keep(core, member, &statement, buf.data, buf.len)) {
            status = sl_fail(err, SYNCLINE_ENOMEM, "no memory for a statement");
        }
    }
    sl_buf_fini(&buf);
    return status;
}

enum syncline_status sl_roster_load(struct sl_core *core, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && core->member_count < SL_MEMBER_COUNT_MAX) {
        struct sl_member_state *member = &core->members[core->member_count];
        bool found = false;
        status = sl_member_get_any(&core->log, core->member_count, &found, &member->known, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        core->member_count++;
        status = load_statement(core, member, err);
    }
    return status;
}

void sl_roster_fini(struct sl_core *core)
{
    for (size_t i = 0; i < core->member_count; i++) {
        sl_verifier_free(core->members[i].verifier);
        sl_free(core->env->alloc, core->members[i].streams);
        sl_free(core->env->alloc, core->members[i].statement);
    }
    sl_verifier_free(core->ourselves.verifier);
    sl_buf_fini(&core->own_statement);
    sl_free(core->env->alloc, core->vector);
}

static enum syncline_status check_signature(struct sl_core *core, struct sl_member_state *author,
                                            const struct sl_statement *statement,
                                            const uint8_t *data, size_t size, struct sl_error *err)
{
    uint8_t hash[SL_HASH_SIZE];
    enum syncline_status status =
        sl_statement_hash(core->net_hasher, &core->who.library_id, data, size, hash);
    if (status == SYNCLINE_OK && author->verifier == NULL) {
        status = sl_verifier_new(core->env->alloc, author->known.public_key, &author->verifier);
    }
    if (status != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to verify a statement");
    }
    if (!sl_verify(author->verifier, hash, SL_HASH_SIZE, statement->signature)) {
        return sl_fail(err, SYNCLINE_EPROTO,
                       "the signature of a statement of \"%s\" is not its own", author->known.name);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_roster_statement(struct sl_core *core, struct sl_member_state *from,
                                         const struct sl_statement *statement, const uint8_t *data,
                                         size_t size, struct sl_error *err)
{
    struct sl_member_state *author = sl_core_member(core, &statement->device);
    if (author == NULL || author->known.standing != SL_STANDING_MEMBER) {
        return SYNCLINE_OK; /* of this device itself, or of one that is no member */
    }
    struct sl_stated *told = &from->told[index_of(core, author)];
    *told = sl_stated_is_later(statement->stated, *told) ? statement->stated : *told;
    if (!sl_stated_is_later(statement->stated, author->stated)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = check_signature(core, author, statement, data, size, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error why = {.text = ""};
    status = sl_acknowledge_statement(core, author, statement, &why);
    if (status == SYNCLINE_ERESTORED) {
        (void)sl_fail_prefix(&why, status, "\"%s\", whom this device does not meet",
                             author->known.name);
        sl_core_notice(core, status, why.text);
        return SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK) {
        *err = why;
        return status;
    }
    if (!keep(core, author, statement, data, size)) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a statement");
    }
    author->statement_dirty = true;
    core->roster_moves++;
    return SYNCLINE_OK;
}

bool sl_roster_state(struct sl_core *core, bool moved)
{
    core->statement_due = core->statement_due || moved || core->own_statement.len == 0;
    if (!core->statement_due || core->member_count < 2) {
        return false;
    }
    uint64_t now = core->env->mono_ns(core->env->ctx);
    if (now < core->statement_after_ns) {
        return false;
    }
    struct sl_vector_entry *entries = NULL;
    size_t count = 0;
    struct sl_buf *buf = &core->own_statement;
    uint8_t hash[SL_HASH_SIZE];
    core->statement_after_ns = now + SL_STATEMENT_MS * NS_PER_MS;
    if (!sl_core_vector(core, &entries, &count)) {
        return false; /* it stays due */
    }
    struct sl_stated stated = {core->self.epoch, sl_statement_version(entries, count)};
    if (buf->len > 0 && !sl_stated_is_later(stated, core->own_stated)) {
        core->statement_due = false;
        return false;
    }
    sl_buf_clear(buf);
    if (sl_statement_put(buf, &core->self, entries, count) != SYNCLINE_OK ||
        sl_statement_hash(core->net_hasher, &core->who.library_id, buf->data, buf->len, hash) !=
            SYNCLINE_OK ||
        sl_sign(core->net_signer, hash, SL_HASH_SIZE,
                buf->data + SL_STATEMENT_HEADER_SIZE - 4u - SL_STATEMENT_SIGNATURE_SIZE) !=
            SYNCLINE_OK) {
        sl_buf_clear(buf);
        return false;
    }
    core->own_stated = stated;
    core->statement_due = false;
    core->roster_moves++;
    return true;
}

/* ---- What the other end knows ---- */

static struct sl_stated stated_of(const struct sl_core *core, struct sl_stated stated)
{
    return core->member_count < 2 ? (struct sl_stated){0} : stated;
}

size_t sl_roster_list(const struct sl_core *core, const struct sl_vector_entry *entries, size_t len,
                      struct sl_roster_entry devices[SL_ROSTER_LEN_MAX])
{
    struct sl_stated own = {core->self.epoch, sl_statement_version(entries, len)};
    devices[0] =
        (struct sl_roster_entry){.device = core->who.device_id, .stated = stated_of(core, own)};
    size_t count = 1;
    for (size_t i = 0; i < core->member_count; i++) {
        if (core->members[i].known.standing == SL_STANDING_MEMBER) {
            devices[count++] =
                (struct sl_roster_entry){.device = core->members[i].known.device,
                                         .stated = stated_of(core, core->members[i].stated)};
        }
    }
    return count;
}

void sl_roster_heard(struct sl_core *core, struct sl_member_state *member,
                     const uint8_t members[SL_HASH_SIZE], const struct sl_roster_entry *entries,
                     size_t len)
{
    if (memcmp(members, core->membership.hash, SL_HASH_SIZE) == 0) {
        member->members_told = core->membership.len;
    }
    for (size_t i = 0; i < len; i++) {
        const struct sl_member_state *known = sl_core_member(core, &entries[i].device);
        if (known != NULL) {
            member->told[index_of(core, known)] = entries[i].stated;
        } else if (sl_uuid_equal(&entries[i].device, &core->who.device_id)) {
            member->told_own = entries[i].stated;
        }
    }
}

void sl_roster_forget(struct sl_member_state *member)
{
    member->members_told = 0;
    member->roster_told = 0;
    memset(member->told, 0, sizeof(member->told));
    member->told_own = (struct sl_stated){0};
}

void sl_roster_is_same(struct sl_core *core, struct sl_member_state *member)
{
    member->members_told = core->membership.len;
    for (size_t i = 0; i < core->member_count; i++) {
        member->told[i] = core->members[i].stated;
    }
    member->told_own = (struct sl_stated){core->self.epoch, member->summary_version};
}

/* Sends a statement that the member has not. */
static enum syncline_status pass_on(struct sl_member_state *member, const uint8_t *data,
                                    size_t size, struct sl_stated stated, struct sl_stated *told)
{
    if (size == 0 || !sl_stated_is_later(stated, *told)) {
        return SYNCLINE_OK;
    }
    *told = stated;
    return sl_session_send_statement(member->session, data, size);
}

bool sl_roster_tell(struct sl_core *core, struct sl_member_state *member)
{
    if (member->meeting != SL_MEETING_KNOWN || member->roster_told == core->roster_moves) {
        return false;
    }
    enum syncline_status status = sl_members_tell(core, member);
    for (size_t i = 0; i < core->member_count && status == SYNCLINE_OK; i++) {
        const struct sl_member_state *other = &core->members[i];
        if (sl_session_queued(member->session) >= SL_LINK_QUEUE_SIZE_MAX) {
            return true; /* the rest when that has drained */
        }
        if (other != member && other->known.standing == SL_STANDING_MEMBER) {
            status = pass_on(member, other->statement, other->statement_size, other->stated,
                             &member->told[i]);
        }
    }
    if (status == SYNCLINE_OK && core->member_count >= 2) {
        status = pass_on(member, core->own_statement.data, core->own_statement.len,
                         core->own_stated, &member->told_own);
    }
    if (status != SYNCLINE_OK) {
        sl_session_close(member->session, status, "what is known of members could not be queued");
    }
    member->roster_told = core->roster_moves;
    return true;
}
