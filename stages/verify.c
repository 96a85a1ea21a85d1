/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
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

/* Who made it: *author is NULL for a segment of this device, which comes back when a member has not
 * heard yet that it need not be sent. */
static enum syncline_status check_origin(struct sl_core *core, const struct sl_segment *segment,
                                         struct sl_member_state **author, struct sl_error *err)
{
    if (!sl_uuid_equal(&segment->library_id, &core->who.library_id)) {
        return sl_fail(err, SYNCLINE_EPROTO, "a segment of another library");
    }
    *author = sl_core_member(core, &segment->origin.device);
    if (sl_origin_equal(&segment->origin, &core->self)) {
        uint64_t held_seq = sl_core_held(core, core->origins[0]);
        if (sl_segment_last_seq(segment) <= held_seq) {
            return SYNCLINE_OK;
        }
        return sl_fail(err, SYNCLINE_ERESTORED,
                       "change %llu of this device came, whose own log ends at %llu: this library "
                       "was restored from an older copy, which this version cannot mend",
                       (unsigned long long)sl_segment_last_seq(segment),
                       (unsigned long long)held_seq);
    }
    if (*author == NULL) {
        return sl_fail(err, SYNCLINE_EPROTO, "a segment of a device that nobody has introduced");
    }
    return SYNCLINE_OK;
}

static enum syncline_status check_seal(struct sl_core *core, struct sl_member_state *author,
                                       const struct sl_segment *segment, const uint8_t *data,
                                       uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    enum syncline_status status =
        sl_segment_hash(core->net_hasher, data, segment->body, segment->body_size, hash);
    if (status == SYNCLINE_OK && author->verifier == NULL) {
        status = sl_verifier_new(core->env->alloc, author->known.public_key, &author->verifier);
    }
    if (status != SYNCLINE_OK) {
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

/* What a member has sent it has: it need not get it back. */
static enum syncline_status note_sender(struct sl_core *core, struct sl_member_state *member,
                                        const struct sl_segment *segment, struct sl_error *err)
{
    struct sl_stream *stream = sl_stream_of(core, member, sl_core_origin(core, &segment->origin));
    if (stream == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
    }
    sl_stream_has(stream, sl_segment_last_seq(segment));
    return SYNCLINE_OK;
}

enum syncline_status sl_verify_segment(struct sl_verify *verify, struct sl_member_state *member,
                                       const uint8_t *data, size_t size, struct sl_error *err)
{
    struct sl_core *core = verify->core;
    struct sl_segment segment;
    struct sl_member_state *author = NULL;
    enum syncline_status status = sl_segment_parse(&segment, data, size, err);
    if (status == SYNCLINE_OK) {
        status = check_origin(core, &segment, &author, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_log_head head;
    status = expected_head(verify, &segment.origin, &head, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t last_seq = sl_segment_last_seq(&segment);
    if (last_seq <= head.held_seq) {
        member->vector_due = true; /* it came again: say what we have */
        return note_sender(core, member, &segment, err);
    }
    if (segment.first_seq != head.held_seq + 1) {
        return sl_fail(err, SYNCLINE_EPROTO, "segment %llu after %llu: there is a gap",
                       (unsigned long long)segment.first_seq, (unsigned long long)head.held_seq);
    }
    if (memcmp(segment.prev_hash, head.held_hash, SL_HASH_SIZE) != 0) {
        return sl_fail(err, SYNCLINE_EPROTO,
                       "segment %llu does not continue the log that is held here: was its device "
                       "restored or copied?",
                       (unsigned long long)segment.first_seq);
    }
    uint8_t hash[SL_HASH_SIZE];
    status = check_seal(core, author, &segment, data, hash, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (verify->size > core->budget.incoming) {
        return sl_fail(err, SYNCLINE_EBUSY, "the log takes nothing at the moment; try again");
    }
    /* Only what its device signed makes an origin. */
    if (sl_core_origin(core, &segment.origin) == NULL &&
        sl_core_add_origin(core, &segment.origin, core->net_hasher) == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no room for another origin");
    }
    head.held_seq = last_seq;
    memcpy(head.held_hash, hash, SL_HASH_SIZE);
    head.last_hlc = segment.last_hlc > head.last_hlc ? segment.last_hlc : head.last_hlc;
    SL_CRASHPOINT(R1, BEFORE);
    status = queue(verify, &head, data, size, err);
    SL_CRASHPOINT(R1, AFTER);
    return status == SYNCLINE_OK ? note_sender(core, member, &segment, err) : status;
}
