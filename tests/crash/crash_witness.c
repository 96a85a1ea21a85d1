/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/crash/crash_witness.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crashpoint.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/segment.h"
#include "net/frame.h"
#include "tests/crash/crash_ledger.h"

struct crash_link {
    struct sl_link link;   /* must be first */
    struct sl_link *inner; /* below it; its user is this */
    struct sl_frame_decoder decoder;
    struct sl_buf held_back; /* what is to follow the half that leaves first (S9) */
    struct crash_link *next;
};

struct crash_transport {
    struct sl_transport transport; /* must be first */
    struct sl_transport *inner;
    const struct sl_transport_events *events;
    void *ctx; /* of the events */
    struct crash_memory *memory;
    struct sl_hasher *hasher;
    struct sl_buf entries; /* of the vector that is read */
    struct crash_link *links;
    bool dead;
};

static struct crash_transport *as_crash(struct sl_transport *transport)
{
    return (struct crash_transport *)(void *)transport;
}

static struct crash_link *as_link(struct sl_link *link)
{
    return (struct crash_link *)(void *)link;
}

/* ---- What is said ------------------------------------------------------------------------- */

const struct sl_vector_entry *crash_word_valid(const struct crash_word *word)
{
    uint32_t valid = atomic_load(&word->valid);
    return valid > 0 ? &word->said[valid - 1] : NULL;
}

/* Each part of it is remembered at its highest: whatever was said once must stay true. */
static void remember(struct crash_word words[CRASH_ORIGINS_MAX],
                     const struct sl_vector_entry *entry)
{
    struct crash_word *word = NULL;
    const struct sl_vector_entry *before = NULL;
    for (size_t i = 0; i < CRASH_ORIGINS_MAX && word == NULL; i++) {
        before = crash_word_valid(&words[i]);
        if (before == NULL || sl_origin_equal(&before->origin, &entry->origin)) {
            word = &words[i];
        }
    }
    if (word == NULL) {
        crash_give_up("more origins than the witness can remember");
    }
    uint32_t slot = before == &word->said[0] ? 1 : 0;
    struct sl_vector_entry *said = &word->said[slot];
    *said = *entry;
    if (before != NULL && before->held_seq > said->held_seq) {
        said->held_seq = before->held_seq;
        memcpy(said->held_hash, before->held_hash, SL_HASH_SIZE);
    }
    if (before != NULL && before->applied_seq > said->applied_seq) {
        said->applied_seq = before->applied_seq;
    }
    atomic_store(&word->valid, 1 + slot);
}

static void remember_vector(struct crash_transport *crash, const struct sl_frame *frame)
{
    struct sl_error err;
    const struct sl_vector_entry *entries = NULL;
    size_t len = 0;
    if (sl_frame_get_vector(frame, &crash->entries, &entries, &len, &err) != SYNCLINE_OK) {
        crash_give_up("a vector that was sent cannot be read: %s", err.text);
    }
    for (size_t i = 0; i < len; i++) {
        remember(crash->memory->vectors, &entries[i]);
    }
    (void)atomic_fetch_add(&crash->memory->vectors_sent, 1);
}

static void remember_segment(struct crash_transport *crash, const struct sl_frame *frame)
{
    struct sl_error err;
    const uint8_t *data = NULL;
    size_t size = 0;
    struct sl_segment segment;
    enum syncline_status status = sl_frame_get_segment(frame, &data, &size, &err);
    if (status == SYNCLINE_OK) {
        status = sl_segment_parse(&segment, data, size, &err);
    }
    struct sl_vector_entry entry = {.applied_seq = 0};
    if (status == SYNCLINE_OK) {
        entry.origin = segment.origin;
        entry.held_seq = sl_segment_last_seq(&segment);
        status =
            sl_segment_hash(crash->hasher, data, segment.body, segment.body_size, entry.held_hash);
    }
    if (status != SYNCLINE_OK) {
        crash_give_up("a segment that was sent cannot be read: %s", err.text);
    }
    remember(crash->memory->segments, &entry);
    (void)atomic_fetch_add(&crash->memory->segments_sent, 1);
}

static void listen_in(struct crash_transport *crash, struct crash_link *link, const uint8_t *data,
                      size_t len)
{
    struct sl_error err;
    struct sl_frame frame;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        status = sl_frame_decoder_next(&link->decoder, &data, &len, &frame, &err);
        if (status == SYNCLINE_OK && frame.type == SL_FRAME_VECTOR) {
            remember_vector(crash, &frame);
        }
        if (status == SYNCLINE_OK && frame.type == SL_FRAME_SEGMENT) {
            remember_segment(crash, &frame);
        }
    }
    if (status != SYNCLINE_AGAIN) {
        crash_give_up("what is sent are no frames: %s", err.text);
    }
}

/* ---- Links -------------------------------------------------------------------------------- */

static void link_free(struct crash_transport *crash, struct crash_link *link)
{
    struct crash_link **at = &crash->links;
    while (*at != link) {
        at = &(*at)->next;
    }
    *at = link->next;
    sl_frame_decoder_fini(&link->decoder);
    sl_buf_fini(&link->held_back);
    free(link);
}

static enum syncline_status send_now(struct crash_link *link, const void *data, size_t len)
{
    return len > 0 ? link->inner->transport->ops->send(link->inner, data, len) : SYNCLINE_OK;
}

static enum syncline_status crash_send(struct sl_link *base, const void *data, size_t len)
{
    struct crash_link *link = as_link(base);
    struct crash_transport *crash = as_crash(base->transport);
    if (crash->dead) {
        return SYNCLINE_OK;
    }
    listen_in(crash, link, data, len);
    if (link->held_back.len > 0) {
        sl_buf_bytes(&link->held_back, data, len);
        return link->held_back.failed ? SYNCLINE_ENOMEM : SYNCLINE_OK;
    }
    if (!sl_crashpoint_is_armed(SL_CRASHPOINT_S9)) {
        SL_CRASHPOINT(S9, BEFORE);
        SL_CRASHPOINT(S9, AFTER);
        return send_now(link, data, len);
    }
    SL_CRASHPOINT(S9, BEFORE);
    if (crash->dead) {
        return SYNCLINE_OK;
    }
    size_t half = len / 2;
    sl_buf_bytes(&link->held_back, (const uint8_t *)data + half, len - half);
    return send_now(link, data, half);
}

static size_t crash_queued(const struct sl_link *base)
{
    const struct crash_link *link = (const struct crash_link *)(const void *)base;
    return link->inner->transport->ops->queued(link->inner) + link->held_back.len;
}

static void crash_close(struct sl_link *base)
{
    struct crash_link *link = as_link(base);
    link->inner->transport->ops->close(link->inner);
    link_free(as_crash(base->transport), link);
}

/* ---- Events ------------------------------------------------------------------------------- */

static void on_opened(void *ctx, struct sl_link *inner, uint64_t dial_tag)
{
    struct crash_transport *crash = ctx;
    struct crash_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        crash_give_up("no memory");
    }
    link->link.transport = &crash->transport;
    link->inner = inner;
    inner->user = link;
    sl_frame_decoder_init(&link->decoder, &sl_allocator_libc, SL_FRAME_SIZE_MAX);
    sl_buf_init(&link->held_back, &sl_allocator_libc);
    link->next = crash->links;
    crash->links = link;
    crash->events->opened(crash->ctx, &link->link, dial_tag);
}

static void on_received(void *ctx, struct sl_link *inner, const uint8_t *data, size_t len)
{
    struct crash_transport *crash = ctx;
    struct crash_link *link = inner->user;
    if (!crash->dead) {
        crash->events->received(crash->ctx, &link->link, data, len);
    }
}

static void on_closed(void *ctx, struct sl_link *inner)
{
    struct crash_transport *crash = ctx;
    struct crash_link *link = inner->user;
    crash->events->closed(crash->ctx, &link->link);
    link_free(crash, link);
}

static void on_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    struct crash_transport *crash = ctx;
    crash->events->dial_failed(crash->ctx, dial_tag, reason);
}

/* ---- The transport ------------------------------------------------------------------------ */

static void crash_set_events(struct sl_transport *transport,
                             const struct sl_transport_events *events, void *ctx)
{
    static const struct sl_transport_events ours = {.opened = on_opened,
                                                    .received = on_received,
                                                    .closed = on_closed,
                                                    .dial_failed = on_dial_failed};
    struct crash_transport *crash = as_crash(transport);
    crash->events = events;
    crash->ctx = ctx;
    crash->inner->ops->set_events(crash->inner, &ours, crash);
}

static enum syncline_status crash_listen(struct sl_transport *transport, const char *address,
                                         char bound[SL_ADDRESS_SIZE_MAX + 1], struct sl_error *err)
{
    struct sl_transport *inner = as_crash(transport)->inner;
    return inner->ops->listen(inner, address, bound, err);
}

static enum syncline_status crash_dial(struct sl_transport *transport, const char *address,
                                       uint64_t dial_tag, struct sl_error *err)
{
    struct sl_transport *inner = as_crash(transport)->inner;
    return inner->ops->dial(inner, address, dial_tag, err);
}

/* The halves that were held back follow, unless this is where the device dies. */
static void send_rest(struct crash_transport *crash)
{
    bool any = false;
    for (struct crash_link *link = crash->links; link != NULL; link = link->next) {
        any = any || link->held_back.len > 0;
    }
    if (!any) {
        return;
    }
    crash->inner->ops->poll(crash->inner, 0); /* the first half leaves */
    SL_CRASHPOINT(S9, AFTER);
    for (struct crash_link *link = crash->links; link != NULL && !crash->dead; link = link->next) {
        /* A link that is lost says so by itself. */
        (void)send_now(link, link->held_back.data, link->held_back.len);
        sl_buf_clear(&link->held_back);
    }
}

static void crash_poll(struct sl_transport *transport, uint32_t timeout_ms)
{
    struct crash_transport *crash = as_crash(transport);
    if (crash->dead) {
        return;
    }
    send_rest(crash);
    if (!crash->dead) {
        crash->inner->ops->poll(crash->inner, timeout_ms);
    }
}

static void crash_wake(struct sl_transport *transport)
{
    struct sl_transport *inner = as_crash(transport)->inner;
    inner->ops->wake(inner);
}

static void crash_free(struct sl_transport *transport)
{
    struct crash_transport *crash = as_crash(transport);
    crash->inner->ops->free(crash->inner);
    while (crash->links != NULL) {
        link_free(crash, crash->links);
    }
    sl_buf_fini(&crash->entries);
    sl_hasher_free(crash->hasher);
    free(crash);
}

struct sl_transport *crash_witness_new(struct sl_transport *inner, struct crash_memory *memory)
{
    static const struct sl_transport_ops ops = {.set_events = crash_set_events,
                                                .listen = crash_listen,
                                                .dial = crash_dial,
                                                .send = crash_send,
                                                .queued = crash_queued,
                                                .close = crash_close,
                                                .poll = crash_poll,
                                                .wake = crash_wake,
                                                .free = crash_free};
    struct crash_transport *crash = calloc(1, sizeof(*crash));
    if (crash == NULL) {
        crash_give_up("no memory");
    }
    crash->transport.ops = &ops;
    crash->inner = inner;
    crash->memory = memory;
    crash->hasher = sl_hasher_new(&sl_allocator_libc);
    sl_buf_init(&crash->entries, &sl_allocator_libc);
    if (crash->hasher == NULL) {
        crash_give_up("no memory");
    }
    return &crash->transport;
}

void crash_witness_die(struct sl_transport *transport)
{
    as_crash(transport)->dead = true;
}
