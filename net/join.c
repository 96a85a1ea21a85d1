/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One question, one answer: dial, send JOIN, wait for WELCOME or ERROR. The member says HELLO as it
 * does to everybody; that is checked and put aside. */

#include "net/session.h"

#include <string.h>

struct join {
    struct sl_buf question;          /* the JOIN frame */
    struct sl_frame_decoder decoder; /* of what the member says */
    struct sl_link *link;            /* NULL: none, or none any more */
    const char *address;             /* of the member */
    bool is_done;                    /* status is the outcome */
    enum syncline_status status;     /* of the whole */
    struct sl_welcome welcome;       /* if it is OK */
    struct sl_error err;             /* if it is not */
};

static void on_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    struct join *join = ctx;

    if (dial_tag == 0) {
        link->transport->ops->close(link);
        return;
    }
    join->link = link;
    enum syncline_status status =
        link->transport->ops->send(link, join->question.data, join->question.len);
    if (status == SYNCLINE_OK)
        return;
    join->is_done = true;
    join->status = sl_fail(&join->err, status, "cannot ask %s: %s", join->address,
                           syncline_status_text(status));
}

static enum syncline_status take_answer(struct join *join, const struct sl_frame *frame)
{
    struct sl_hello hello;
    struct sl_error text;
    enum syncline_status told;
    enum syncline_status status;

    switch (frame->type) {
    case SL_FRAME_HELLO:
        return sl_frame_get_hello(frame, &hello, &join->err);
    case SL_FRAME_WELCOME:
        status = sl_frame_get_welcome(frame, &join->welcome, &join->err);
        join->is_done = true;
        return status;
    case SL_FRAME_ERROR:
        status = sl_frame_get_error(frame, &told, &text, &join->err);
        if (status != SYNCLINE_OK)
            return status;
        return sl_fail(&join->err, SYNCLINE_EREFUSED, "%s", text.text);
    default:
        return sl_fail(&join->err, SYNCLINE_EPROTO, "a %s frame came as the answer to JOIN",
                       sl_frame_type_name(frame->type));
    }
}

static void on_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    struct join *join = ctx;

    (void)link;
    while (!join->is_done) {
        struct sl_frame frame;
        enum syncline_status status =
            sl_frame_decoder_next(&join->decoder, &data, &len, &frame, &join->err);
        if (status == SYNCLINE_AGAIN)
            return;
        if (status == SYNCLINE_OK)
            status = take_answer(join, &frame);
        join->status = status;
        if (status == SYNCLINE_OK)
            continue;
        join->is_done = true;
        if (status != SYNCLINE_EREFUSED)
            (void)sl_fail_prefix(&join->err, status, "%s", join->address);
    }
}

static void on_closed(void *ctx, struct sl_link *link)
{
    struct join *join = ctx;

    (void)link;
    join->link = NULL;
    if (join->is_done)
        return;
    join->is_done = true;
    join->status = sl_fail(&join->err, SYNCLINE_ENET,
                           "%s closed the connection without an answer; is it a Syncline device?",
                           join->address);
}

static void on_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    struct join *join = ctx;

    (void)dial_tag;
    join->is_done = true;
    join->status =
        sl_fail(&join->err, SYNCLINE_ENET, "cannot reach %s: %s; is a member serving there?",
                join->address, reason);
}

static const struct sl_transport_events join_events = {
    .opened = on_opened,
    .received = on_received,
    .closed = on_closed,
    .dial_failed = on_dial_failed,
};

/* Polls until there is an outcome. */
static void wait_for_answer(const struct sl_env *env, struct sl_transport *transport,
                            struct join *join)
{
    uint64_t end_ns = env->mono_ns(env->ctx) + (uint64_t)SL_JOIN_MS_MAX * SL_NS_PER_MS;

    while (!join->is_done) {
        uint64_t now = env->mono_ns(env->ctx);
        if (now >= end_ns) {
            join->is_done = true;
            join->status = sl_fail(&join->err, SYNCLINE_ENET,
                                   "%s gave no answer within %u ms; is it a Syncline device?",
                                   join->address, SL_JOIN_MS_MAX);
            return;
        }
        transport->ops->poll(transport,
                             (uint32_t)((end_ns - now + SL_NS_PER_MS - 1) / SL_NS_PER_MS));
    }
}

enum syncline_status sl_network_join(const struct sl_env *env, struct sl_transport *transport,
                                     const struct sl_hello *self, const char *address,
                                     struct sl_welcome *welcome, struct sl_error *err)
{
    struct join join;

    memset(&join, 0, sizeof(join));
    join.address = address;
    sl_buf_init(&join.question, env->alloc);
    sl_frame_decoder_init(&join.decoder, env->alloc, SL_FRAME_HANDSHAKE_MAX);
    enum syncline_status status = sl_frame_put_join(&join.question, self);
    if (status != SYNCLINE_OK)
        (void)sl_fail(&join.err, status, "cannot ask to join: %s",
                      status == SYNCLINE_EINVAL ? "the device's name is not UTF-8"
                                                : syncline_status_text(status));
    transport->ops->set_events(transport, &join_events, &join);
    if (status == SYNCLINE_OK)
        status = transport->ops->dial(transport, address, 1, &join.err);
    if (status == SYNCLINE_OK) {
        wait_for_answer(env, transport, &join);
        status = join.status;
    }
    sl_transport_detach(transport);
    if (join.link != NULL)
        transport->ops->close(join.link);
    sl_frame_decoder_fini(&join.decoder);
    sl_buf_fini(&join.question);
    if (status != SYNCLINE_OK)
        return sl_fail(err, status, "%s", join.err.text);
    *welcome = join.welcome;
    return SYNCLINE_OK;
}
