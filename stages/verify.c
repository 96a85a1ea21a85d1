/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "stages/members.h"
#include "stages/stream.h"

void sl_verify_init(struct sl_verify *verify, struct sl_core *core)
{
    verify->core = core;
    verify->first = NULL;
    verify->last = &verify->first;
    verify->size = 0;
}

void sl_verify_fini(struct sl_verify *verify)
{
    while (verify->first != NULL) {
        struct sl_incoming *next = verify->first->next;
        sl_free(verify->core->env->alloc, verify->first);
        verify->first = next;
    }
    verify->last = &verify->first;
    verify->size = 0;
}

/* Where the origin's log will end when all that waits is held. */
static enum syncline_status expected_head(struct sl_verify *verify, const struct sl_origin *name,
                                          struct sl_log_head *head, struct sl_error *err)
{
    struct sl_core *core = verify->core;
    const struct sl_origin_state *origin = sl_core_origin(core, name);
    if (origin == NULL) {
        memset(head, 0, sizeof(*head));
        head->origin = *name;
        if (sl_origin_hash(core->net_hasher, &core->who.library_id, name, head->held_hash) !=
            SYNCLINE_OK) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to verify a segment");
        }
        return SYNCLINE_OK;
    }
    *head = sl_core_head(core, origin);
    for (const struct sl_incoming *it = verify->first; it != NULL; it = it->next) {
        if (sl_origin_equal(&it->head.origin, name)) {
            *head = it->head;
        }
    }
    return SYNCLINE_OK;
}

static enum syncline_status check_seal(struct sl_core *core, struct sl_member_state *author,
                                       const struct sl_segment *segment,
                                       const uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    if (author->verifier == NULL && sl_verifier_new(core->env->alloc, author->known.public_key,
                                                    &author->verifier) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to verify a segment");
    }
    if (!sl_verify(author->verifier, hash, SL_HASH_SIZE, segment->signature)) {
        return sl_fail(err, SYNCLINE_EPROTO, "the signature of segment %llu is not its origin's",
                       (unsigned long long)segment->first_seq);
    }
    return SYNCLINE_OK;
}

static enum syncline_status queue(struct sl_verify *verify, const struct sl_log_head *head,
                                  const uint8_t *data, size_t size, struct sl_error *err)
{
    struct sl_incoming *incoming = sl_alloc(verify->core->env->alloc, sizeof(*incoming) + size);
    if (incoming == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
    }
    incoming->next = NULL;
    incoming->head = *head;
    incoming->size = size;
    memcpy(incoming->data, data, size);
    *verify->last = incoming;
    verify->last = &incoming->next;
    verify->size += size;
    return SYNCLINE_OK;
}

/* What a segment is to what is held, and waits to be. */
enum place {
    PLACE_NEXT,  /* it continues it */
    PLACE_KNOWN, /* it is there */
    PLACE_GAP,   /* something is missing between */
    PLACE_SPLIT  /* it contradicts it */
};

/* The hash that the origin's log has at the end of change `seq`, whether it waits or is held. */
static enum syncline_status hash_at(struct sl_verify *verify, const struct sl_log_head *head,
                                    uint64_t seq, bool *found, uint8_t hash[SL_HASH_SIZE],
                                    struct sl_error *err)
{
    for (const struct sl_incoming *it = verify->first; it != NULL; it = it->next) {
        if (sl_origin_equal(&it->head.origin, &head->origin) && it->head.held_seq == seq) {
            memcpy(hash, it->head.held_hash, SL_HASH_SIZE);
            *found = true;
            return SYNCLINE_OK;
        }
    }
    return sl_peer_log_hash_at(&verify->core->net_log, head->number, seq, found, hash, err);
}

static enum syncline_status find_place(struct sl_verify *verify, const struct sl_log_head *head,
                                       const struct sl_segment *segment,
                                       const uint8_t own_hash[SL_HASH_SIZE], enum place *place,
                                       struct sl_error *err)
{
    uint64_t last_seq = sl_segment_last_seq(segment);
    if (last_seq <= head->held_seq) {
        bool found = false;
        uint8_t hash[SL_HASH_SIZE];
        enum syncline_status status = hash_at(verify, head, last_seq, &found, hash, err);
        if (status == SYNCLINE_EPRUNED) {
            *place = PLACE_KNOWN; /* it was here, and nothing is left to compare it with */
            return SYNCLINE_OK;
        }
        bool same = found && memcmp(hash, own_hash, SL_HASH_SIZE) == 0;
        *place = same ? PLACE_KNOWN : PLACE_SPLIT;
        return status;
    }
    if (segment->first_seq > head->held_seq + 1) {
        *place = PLACE_GAP;
        return SYNCLINE_OK;
    }
    *place = segment->first_seq == head->held_seq + 1 &&
                     memcmp(segment->prev_hash, head->held_hash, SL_HASH_SIZE) == 0
                 ? PLACE_NEXT
                 : PLACE_SPLIT;
    return SYNCLINE_OK;
}

/* A segment of this device comes back when a member has not heard yet that it need not be sent. */
static enum syncline_status check_own(const struct sl_log_head *head,
                                      const struct sl_segment *segment, enum place place,
                                      struct sl_error *err)
{
    if (place == PLACE_KNOWN) {
        return SYNCLINE_OK;
    }
    return sl_fail(err, SYNCLINE_ERESTORED,
                   "change %llu of this device came, which its own log, up to %llu, has not: this "
                   "library was restored from an older copy, or copied, which this version cannot "
                   "mend",
                   (unsigned long long)sl_segment_last_seq(segment),
                   (unsigned long long)head->held_seq);
}

/* Asks for what is missing, once: until that comes, what follows it may be on its way. */
static enum syncline_status ask(struct sl_core *core, struct sl_member_state *member,
                                const struct sl_member_state *author, struct sl_stream *stream,
                                const struct sl_log_head *head, const struct sl_segment *segment,
                                struct sl_error *err)
{
    if (stream->state != SL_STREAM_FLOWS) {
        return SYNCLINE_OK;
    }
    struct sl_vector_entry entry = {.origin = head->origin, .held_seq = head->held_seq};
    struct sl_error text;
    (void)sl_fail(
        &text, SYNCLINE_EPROTO,
        "\"%s\" sent change %llu of \"%s\" after %llu: there is a gap; what is missing was "
        "asked for",
        member->known.name, (unsigned long long)segment->first_seq, author->known.name,
        (unsigned long long)head->held_seq);
    sl_core_trouble(core, SYNCLINE_CODE_LOG_GAP, SYNCLINE_EPROTO, &author->known.device, text.text);
    sl_stream_enter(stream, SL_STREAM_ASKED);
    enum syncline_status status = sl_session_send_ask(member->session, &entry);
    return status == SYNCLINE_OK ? SYNCLINE_OK
                                 : sl_fail(err, status, "what is missing could not be asked for");
}

/* The segment, which its origin signed, contradicts what is held: evidence is kept, and that origin
 * ends here. */
static enum syncline_status split(struct sl_core *core, struct sl_member_state *member,
                                  const struct sl_member_state *author,
                                  struct sl_origin_state *origin, struct sl_stream *stream,
                                  const struct sl_segment *segment, const uint8_t *data,
                                  size_t size, struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(core, origin);
    struct sl_error text;
    if (head.number == 0) {
        return SYNCLINE_OK; /* the other still waits for the log: this one comes again */
    }
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_peer_log_begin(&core->log, err);
    if (status == SYNCLINE_OK) {
        status =
            sl_fork_put(&core->log, &head, data, size, core->env->wall_ms(core->env->ctx), err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_commit(&core->log, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    if (status != SYNCLINE_OK) {
        return status;
    }
    origin->forked = true;
    (void)sl_fail(&text, SYNCLINE_ERESTORED,
                  "the log of \"%s\" has split: there are two of its change %llu, one of them from "
                  "\"%s\"; was that device restored or copied? Nothing more is taken of it",
                  author->known.name, (unsigned long long)segment->first_seq, member->known.name);
    sl_core_trouble(core, SYNCLINE_CODE_LOG_SPLIT, SYNCLINE_ERESTORED, &author->known.device,
                    text.text);
    uint64_t last_seq = sl_segment_last_seq(segment);
    return sl_stream_stop(core, member, origin, stream,
                          last_seq < head.held_seq ? last_seq : head.held_seq, err);
}

/* The origin's state, made if this is its first segment: only what its device signed makes one.
 * NULL: there are too many, or no memory, which is told. */
static struct sl_origin_state *origin_of(struct sl_core *core, const struct sl_origin *name)
{
    struct sl_origin_state *origin = sl_core_origin(core, name);
    if (origin == NULL) {
        origin = sl_core_add_origin(core, name, core->net_hasher);
    }
    if (origin == NULL) {
        sl_core_notice(core, SYNCLINE_EREFUSED, "there is no room for another device's log");
    }
    return origin;
}

/* What has been signed by its origin. */
static enum syncline_status take(struct sl_verify *verify, struct sl_member_state *member,
                                 const struct sl_member_state *author,
                                 const struct sl_segment *segment, enum place place,
                                 struct sl_log_head *head, const uint8_t hash[SL_HASH_SIZE],
                                 const uint8_t *data, size_t size, struct sl_error *err)
{
    struct sl_core *core = verify->core;
    struct sl_origin_state *origin = origin_of(core, &segment->origin);
    struct sl_stream *stream = origin != NULL ? sl_stream_of(core, member, origin) : NULL;
    if (origin == NULL || origin->forked) {
        return SYNCLINE_OK;
    }
    if (stream == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
    }
    if (place == PLACE_SPLIT) {
        return split(core, member, author, origin, stream, segment, data, size, err);
    }
    if (stream->state == SL_STREAM_STOPPED) {
        return SYNCLINE_OK;
    }
    if (place == PLACE_GAP) {
        return ask(core, member, author, stream, head, segment, err);
    }
    if (verify->size > core->budget.incoming) {
        return sl_fail(err, SYNCLINE_EBUSY, "the log takes nothing at the moment; try again");
    }
    head->held_seq = sl_segment_last_seq(segment);
    memcpy(head->held_hash, hash, SL_HASH_SIZE);
    head->last_hlc = segment->last_hlc > head->last_hlc ? segment->last_hlc : head->last_hlc;
    if (stream->state == SL_STREAM_ASKED) {
        sl_stream_enter(stream, SL_STREAM_FLOWS);
    }
    sl_stream_has(stream, head->held_seq); /* it need not get it back */
    SL_CRASHPOINT(R1, BEFORE);
    enum syncline_status status = queue(verify, head, data, size, err);
    SL_CRASHPOINT(R1, AFTER);
    return status;
}

/* The origin's device is out, and its log ends before. */
static void tell_refused(struct sl_core *core, const struct sl_member_state *from,
                         const struct sl_member_state *author, const struct sl_segment *segment)
{
    struct sl_cut cut = {.seq = 0};
    struct sl_error text;
    (void)sl_membership_cut(&core->membership, &segment->origin, &cut);
    (void)sl_fail(&text, SYNCLINE_EREFUSED,
                  "changes of \"%s\" came from \"%s\" that it made after change %llu, where its "
                  "log ends since it %s: they are not taken",
                  author->known.name, from->known.name, (unsigned long long)cut.seq,
                  author->known.standing == SL_STANDING_LEFT ? "left" : "was revoked");
    sl_core_trouble(core, SYNCLINE_CODE_CHANGES_REFUSED, SYNCLINE_EREFUSED, &author->known.device,
                    text.text);
}

void sl_verify_recheck(struct sl_verify *verify)
{
    struct sl_incoming **at = &verify->first;
    while (*at != NULL) {
        struct sl_incoming *incoming = *at;
        if (!sl_members_refuses(verify->core, &incoming->head.origin, incoming->head.held_seq,
                                incoming->head.held_hash)) {
            at = &incoming->next;
            continue;
        }
        *at = incoming->next;
        verify->size -= incoming->size;
        sl_free(verify->core->env->alloc, incoming);
    }
    verify->last = at;
}

enum syncline_status sl_verify_segment(struct sl_verify *verify, struct sl_member_state *member,
                                       const uint8_t *data, size_t size, struct sl_error *err)
{
    struct sl_core *core = verify->core;
    struct sl_segment segment;
    struct sl_log_head head;
    uint8_t hash[SL_HASH_SIZE];
    enum place place = PLACE_NEXT;
    enum syncline_status status = sl_segment_parse(&segment, data, size, err);
    if (status == SYNCLINE_OK && !sl_uuid_equal(&segment.library_id, &core->who.library_id)) {
        status = sl_fail(err, SYNCLINE_EPROTO, "a segment of another library");
    }
    if (status == SYNCLINE_OK) {
        status = expected_head(verify, &segment.origin, &head, err);
    }
    if (status == SYNCLINE_OK && sl_segment_hash(core->net_hasher, data, segment.body,
                                                 segment.body_size, hash) != SYNCLINE_OK) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to verify a segment");
    }
    if (status == SYNCLINE_OK) {
        status = find_place(verify, &head, &segment, hash, &place, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (sl_origin_equal(&segment.origin, &core->self)) {
        status = check_own(&head, &segment, place, err);
        place = PLACE_KNOWN;
    }
    if (place == PLACE_KNOWN) {
        member->vector_due = true; /* it came again: say what we have */
        struct sl_stream *stream =
            sl_stream_of(core, member, sl_core_origin(core, &segment.origin));
        if (stream != NULL) {
            sl_stream_has(stream, sl_segment_last_seq(&segment));
        }
        return status;
    }
    /* What is missing here of an epoch before this one comes back from the others. */
    struct sl_member_state *author = sl_uuid_equal(&segment.origin.device, &core->self.device)
                                         ? &core->ourselves
                                         : sl_core_member(core, &segment.origin.device);
    if (author == NULL || author->known.standing == SL_STANDING_STRANGER) {
        sl_core_notice(core, SYNCLINE_EREFUSED,
                       "changes of a device that is no member here came, and are not taken");
        return SYNCLINE_OK;
    }
    status = check_seal(core, author, &segment, hash, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (sl_members_refuses(core, &segment.origin, sl_segment_last_seq(&segment), hash)) {
        tell_refused(core, member, author, &segment);
        return SYNCLINE_OK;
    }
    return take(verify, member, author, &segment, place, &head, hash, data, size, err);
}
