/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One uv_loop, run only inside poll; a link is tcp_link.c. No call here uses libuv's thread pool,
 * which the whole process shares, and none lets a SIGPIPE through to the host. */

#include "net/transport_tcp.h"

#include "net/address.h"
#include "net/sigpipe.h"
#include "net/tcp_link.h"

#define BACKLOG 64 /* connections that wait to be accepted */

/* An address served. */
struct sl_tcp_listener {
    uv_tcp_t tcp;                   /* ours */
    bool is_waiting;                /* a connection could not be accepted yet, for want of memory */
    struct sl_tcp_transport *owner; /* whose it is */
    struct sl_tcp_listener *next;   /* in the transport's list */
    struct sl_tcp_listener **at;    /* who points to us there */
};

/* ---- Listening ---------------------------------------------------------------------------- */

static void listener_accept(struct sl_tcp_listener *listener)
{
    struct sl_tcp_link *link = sl_tcp_link_new(listener->owner, 0);

    /* libuv keeps the connection, and asks for no other, until it is accepted; poll tries again. */
    listener->is_waiting = link == NULL;
    if (link == NULL)
        return;
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&link->tcp) != 0) {
        sl_tcp_link_close(link);
        return;
    }
    sl_tcp_link_up(link);
}

static void on_connection(uv_stream_t *stream, int status)
{
    /* An error is one connection that came to nothing; its dialler will try again. */
    if (status == 0)
        listener_accept(stream->data);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct sl_tcp_listener *listener = handle->data;

    *listener->at = listener->next;
    if (listener->next != NULL)
        listener->next->at = listener->at;
    sl_free(listener->owner->alloc, listener);
}

/* ---- The calls ---------------------------------------------------------------------------- */

static void tcp_set_events(struct sl_transport *base, const struct sl_transport_events *events,
                           void *ctx)
{
    struct sl_tcp_transport *transport = (struct sl_tcp_transport *)base;

    transport->events = events;
    transport->ctx = ctx;
}

static enum syncline_status tcp_listen(struct sl_transport *base, const char *address,
                                       char bound[SL_ADDRESS_SIZE_MAX + 1], struct sl_error *err)
{
    struct sl_tcp_transport *transport = (struct sl_tcp_transport *)base;
    union sl_address where;
    enum syncline_status parsed = sl_address_parse(address, &where, err);

    if (parsed != SYNCLINE_OK)
        return parsed;
    struct sl_tcp_listener *listener = sl_calloc(transport->alloc, 1, sizeof(*listener));
    int status = listener == NULL ? UV_ENOMEM : uv_tcp_init(&transport->loop, &listener->tcp);
    if (status != 0) {
        sl_free(transport->alloc, listener);
        return sl_fail(err, status == UV_ENOMEM ? SYNCLINE_ENOMEM : SYNCLINE_ENET,
                       "cannot listen on %s: %s", address, uv_strerror(status));
    }
    listener->tcp.data = listener;
    listener->owner = transport;
    listener->next = transport->listeners;
    listener->at = &transport->listeners;
    if (listener->next != NULL)
        listener->next->at = &listener->next;
    transport->listeners = listener;

    int size = sizeof(where);
    status = uv_tcp_bind(&listener->tcp, &where.any, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (status == 0)
        status = uv_tcp_getsockname(&listener->tcp, &where.any, &size);
    if (status != 0) {
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        return sl_fail(
            err, SYNCLINE_ENET, "cannot listen on %s: %s%s", address, uv_strerror(status),
            status == UV_EADDRINUSE ? "; choose another port, or 0 for any free one" : "");
    }
    return sl_address_format(&where, bound);
}

static enum syncline_status tcp_dial(struct sl_transport *base, const char *address,
                                     uint64_t dial_tag, struct sl_error *err)
{
    struct sl_tcp_transport *transport = (struct sl_tcp_transport *)base;
    union sl_address where;
    enum syncline_status parsed = sl_address_parse(address, &where, err);

    if (parsed != SYNCLINE_OK)
        return parsed;
    /* The port stands at the same place in both families. */
    if (where.ipv4.sin_port == 0)
        return sl_fail(err, SYNCLINE_EINVAL, "cannot dial %s: port 0 is no port to dial", address);
    struct sl_tcp_link *link = sl_tcp_link_new(transport, dial_tag);
    if (link == NULL)
        return sl_fail(err, SYNCLINE_ENET, "cannot dial %s: out of memory", address);
    link->connect.data = link;
    int status = uv_tcp_connect(&link->connect, &link->tcp, &where.any, sl_tcp_link_connected);
    if (status != 0) {
        sl_tcp_link_close(link);
        return sl_fail(err, SYNCLINE_ENET, "cannot dial %s: %s", address, uv_strerror(status));
    }
    return SYNCLINE_OK;
}

static enum syncline_status tcp_send(struct sl_link *base, const void *data, size_t len)
{
    struct sl_tcp_link *link = (struct sl_tcp_link *)base;

    if (link->is_closing)
        return SYNCLINE_ENET;
    sl_buf_bytes(&link->pending, data, len);
    return link->pending.failed ? SYNCLINE_ENOMEM : SYNCLINE_OK;
}

static size_t tcp_queued(const struct sl_link *base)
{
    const struct sl_tcp_link *link = (const struct sl_tcp_link *)base;

    return link->pending.len + uv_stream_get_write_queue_size((const uv_stream_t *)&link->tcp);
}

static void tcp_close(struct sl_link *base)
{
    sl_tcp_link_close((struct sl_tcp_link *)base);
}

/* libuv looks at timers before it waits, too: a wait without a timer would be one without an end.
 */
static void on_timeout(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void on_wake(uv_async_t *async)
{
    (void)async; /* likewise */
}

static void flush_all(const struct sl_tcp_transport *transport)
{
    /* A link leaves the list only when the loop runs, never while we walk. */
    for (struct sl_tcp_link *link = transport->links; link != NULL; link = link->next)
        sl_tcp_link_flush(link);
}

static void tcp_poll(struct sl_transport *base, uint32_t timeout_ms)
{
    struct sl_tcp_transport *transport = (struct sl_tcp_transport *)base;
    struct sl_sigpipe hold;
    uv_run_mode mode = UV_RUN_NOWAIT;

    sl_sigpipe_hold(&hold);
    for (struct sl_tcp_listener *at = transport->listeners; at != NULL; at = at->next)
        if (at->is_waiting && !uv_is_closing((uv_handle_t *)&at->tcp))
            listener_accept(at);
    flush_all(transport);
    if (timeout_ms > 0) {
        uv_update_time(&transport->loop); /* it stood still since the last poll */
        if (uv_timer_start(&transport->timer, on_timeout, timeout_ms, 0) == 0)
            mode = UV_RUN_ONCE;
    }
    (void)uv_run(&transport->loop, mode);
    (void)uv_timer_stop(&transport->timer);
    flush_all(transport);
    sl_sigpipe_release(&hold);
}

static void tcp_wake(struct sl_transport *base)
{
    struct sl_tcp_transport *transport = (struct sl_tcp_transport *)base;

    (void)uv_async_send(&transport->async);
}

/* Closes every handle and waits until libuv has let go of all. */
static void close_all(struct sl_tcp_transport *transport)
{
    for (struct sl_tcp_link *link = transport->links; link != NULL; link = link->next)
        sl_tcp_link_close(link);
    for (struct sl_tcp_listener *at = transport->listeners; at != NULL; at = at->next)
        if (!uv_is_closing((uv_handle_t *)&at->tcp))
            uv_close((uv_handle_t *)&at->tcp, on_listener_closed);
    uv_close((uv_handle_t *)&transport->timer, NULL);
    uv_close((uv_handle_t *)&transport->async, NULL);
    while (uv_run(&transport->loop, UV_RUN_DEFAULT) != 0)
        continue;
}

static void tcp_free(struct sl_transport *base)
{
    struct sl_tcp_transport *transport = (struct sl_tcp_transport *)base;

    transport->events = NULL;
    close_all(transport);
    (void)uv_loop_close(&transport->loop);
    sl_free(transport->alloc, transport);
}

static const struct sl_transport_ops tcp_ops = {
    .set_events = tcp_set_events,
    .listen = tcp_listen,
    .dial = tcp_dial,
    .send = tcp_send,
    .queued = tcp_queued,
    .close = tcp_close,
    .poll = tcp_poll,
    .wake = tcp_wake,
    .free = tcp_free,
};

enum syncline_status sl_transport_tcp_new(const struct sl_allocator *alloc,
                                          struct sl_transport **out, struct sl_error *err)
{
    struct sl_tcp_transport *transport = sl_calloc(alloc, 1, sizeof(*transport));

    if (transport == NULL)
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the network");
    transport->alloc = alloc;
    int status = uv_loop_init(&transport->loop);
    if (status != 0)
        goto err_free_transport;
    status = uv_async_init(&transport->loop, &transport->async, on_wake);
    if (status != 0)
        goto err_close_loop;
    /* Of all inits this one cannot fail. */
    (void)uv_timer_init(&transport->loop, &transport->timer);
    transport->transport.ops = &tcp_ops;
    *out = &transport->transport;
    return SYNCLINE_OK;

err_close_loop:
    (void)uv_loop_close(&transport->loop);
err_free_transport:
    sl_free(alloc, transport);
    return sl_fail(err, status == UV_ENOMEM ? SYNCLINE_ENOMEM : SYNCLINE_ENET,
                   "cannot start the network: %s", uv_strerror(status));
}
