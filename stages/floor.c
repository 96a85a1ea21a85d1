/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/floor.h"

#include <string.h>

#include "stages/reopen.h"
#include "storage/log_floor.h"

/* Its hash, if its origin has signed it. */
static enum syncline_status check_end(struct sl_core *core, struct sl_member_state *author,
                                      const struct sl_segment *segment,
                                      const uint8_t end[SL_SEGMENT_END_SIZE],
                                      uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    enum syncline_status status = sl_segment_end_hash(core->net_hasher, end, hash);
    if (status == SYNCLINE_OK && author->verifier == NULL) {
        status = sl_verifier_new(core->env->alloc, author->known.public_key, &author->verifier);
    }
    if (status != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to verify where a log begins");
    }
    if (!sl_verify(author->verifier, hash, SL_HASH_SIZE, segment->signature)) {
        return sl_fail(err, SYNCLINE_EPROTO, "the signature of a floor at %llu is not its origin's",
                       (unsigned long long)sl_segment_last_seq(segment));
    }
    return SYNCLINE_OK;
}

/* The log of the origin begins there from now on. */
static enum syncline_status adopt(struct sl_core *core, struct sl_log_head *head,
                                  const struct sl_log_floor *floor, struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK && head->number == 0) {
        status = sl_peer_log_add_origin(&core->log, head, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_log_floor_begin(&core->log, head, floor, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

enum syncline_status sl_floor_begin(struct sl_core *core, struct sl_origin_state *origin,
                                    const struct sl_segment *segment,
                                    const uint8_t end[SL_SEGMENT_END_SIZE], struct sl_error *err)
{
    struct sl_log_floor floor = {.seq = sl_segment_last_seq(segment)};
    memcpy(floor.end, end, sizeof(floor.end));
    if (sl_segment_end_hash(core->net_hasher, end, floor.hash) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to begin a log");
    }
    struct sl_log_head head = sl_core_head(core, origin);
    head.held_seq = floor.seq;
    memcpy(head.held_hash, floor.hash, SL_HASH_SIZE);
    head.last_hlc = segment->last_hlc > head.last_hlc ? segment->last_hlc : head.last_hlc;
    enum syncline_status status = adopt(core, &head, &floor, err);
    if (status == SYNCLINE_OK) {
        sl_core_set_head(core, origin, &head);
        origin->floor_seq = floor.seq;
        sl_core_vector_moved(core);
    }
    return status;
}

static uint64_t synced_seq(struct sl_core *core, const struct sl_origin_state *origin)
{
    (void)pthread_mutex_lock(&core->head_lock);
    uint64_t seq = origin->synced_seq;
    (void)pthread_mutex_unlock(&core->head_lock);
    return seq;
}

static void tell_needed(struct sl_core *core, const struct sl_member_state *from,
                        const struct sl_member_state *author, uint64_t held_seq, uint64_t floor_seq)
{
    struct sl_error text;
    (void)sl_fail(
        &text, SYNCLINE_EPRUNED,
        "this device has the changes of \"%s\" up to %llu, and \"%s\" has pruned those up "
        "to %llu: a snapshot is needed",
        author->known.name, (unsigned long long)held_seq, from->known.name,
        (unsigned long long)floor_seq);
    sl_core_trouble(core, SYNCLINE_CODE_SNAPSHOT_NEEDED, SYNCLINE_EPRUNED, &author->known.device,
                    text.text);
}

enum syncline_status sl_floor_came(struct sl_core *core, struct sl_member_state *from,
                                   const struct sl_segment *segment,
                                   const uint8_t end[SL_SEGMENT_END_SIZE], struct sl_error *err)
{
    struct sl_log_floor floor = {.seq = sl_segment_last_seq(segment)};
    struct sl_member_state *author = sl_uuid_equal(&segment->origin.device, &core->self.device)
                                         ? &core->ourselves
                                         : sl_core_member(core, &segment->origin.device);
    if (!sl_uuid_equal(&segment->library_id, &core->who.library_id)) {
        return sl_fail(err, SYNCLINE_EPROTO, "a floor of another library");
    }
    if (author == NULL || sl_origin_equal(&segment->origin, &core->self)) {
        return SYNCLINE_OK; /* of no member here; or of what this device makes itself */
    }
    enum syncline_status status = check_end(core, author, segment, end, floor.hash, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_origin_state *origin = sl_core_origin(core, &segment->origin);
    uint64_t held_seq = origin != NULL ? sl_core_held(core, origin) : 0;
    if (held_seq >= floor.seq || (origin != NULL && origin->forked)) {
        return SYNCLINE_OK;
    }
    if (origin == NULL || synced_seq(core, origin) < floor.seq) {
        origin =
            origin != NULL ? origin : sl_core_add_origin(core, &segment->origin, core->net_hasher);
        if (origin != NULL && origin->needed_seq < floor.seq) {
            origin->needed_seq = floor.seq;
        }
        tell_needed(core, from, author, held_seq, floor.seq);
        return SYNCLINE_OK;
    }
    return sl_floor_begin(core, origin, segment, end, err);
}
