/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What is sent is gathered in `pending` and written when poll begins and when it ends, so that a
 * frame sent in two pieces leaves in one packet. What the system does not take at once becomes the
 * link's one write request: `pending` and `writing` change places, and what is sent meanwhile is
 * gathered until the request is done. So a link needs two buffers, which it keeps, and nothing else
 * is allocated for sending. A link that breaks says `closed`, or `dial_failed` if it never stood,
 * and is closed; libuv frees nothing before its loop has run once more, so neither do we. */

#include "net/tcp_link.h"

#include "net/address.h"

#include <string.h>

#define KEEPALIVE_S 30 /* silence after which the system asks whether the peer lives */
/* A buffer has so many bytes from the beginning, if there is memory. */
#define CAPACITY_MIN ((size_t)65536)
/* It gives back more memory than this: a full queue and the segment that came on top fit. */
#define KEPT_CAPACITY_MAX (2 * SL_LINK_QUEUE_SIZE_MAX)

static struct sl_tcp_transport *transport_of(const struct sl_tcp_link *link)
{
    return (struct sl_tcp_transport *)link->link.transport;
}

/* ---- The end of a link -------------------------------------------------------------------- */

static void on_link_closed(uv_handle_t *handle)
{
    struct sl_tcp_link *link = handle->data;

    *link->at = link->next;
    if (link->next != NULL)
        link->next->at = link->at;
    sl_buf_fini(&link->pending);
    sl_buf_fini(&link->writing);
    sl_free(transport_of(link)->alloc, link);
}

void sl_tcp_link_close(struct sl_tcp_link *link)
{
    if (link->is_closing)
        return;
    link->is_closing = true;
    if (!link->is_own_end || uv_tcp_close_reset(&link->tcp, on_link_closed) != 0)
        uv_close((uv_handle_t *)&link->tcp, on_link_closed);
}

/* The link is lost. Only from inside poll. */
static void link_lost(struct sl_tcp_link *link, const char *reason)
{
    const struct sl_tcp_transport *transport = transport_of(link);

    if (link->is_closing)
        return;
    if (transport->events != NULL && link->is_up)
        transport->events->closed(transport->ctx, &link->link);
    if (transport->events != NULL && !link->is_up && link->dial_tag != 0)
        transport->events->dial_failed(transport->ctx, link->dial_tag, reason);
    sl_tcp_link_close(link);
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* Empties a buffer, which keeps its memory within reason. */
static void recycle(struct sl_buf *buf)
{
    sl_buf_clear(buf);
    if (buf->capacity > KEPT_CAPACITY_MAX)
        sl_buf_fini(buf);
}

static void on_written(uv_write_t *request, int status)
{
    struct sl_tcp_link *link = request->data;

    link->is_writing = false;
    recycle(&link->writing);
    if (status < 0)
        link_lost(link, uv_strerror(status));
}

/* Gives what is pending, from `done` on, to libuv. Returns 0 or libuv's error. */
static int write_rest(struct sl_tcp_link *link, size_t done)
{
    struct sl_buf empty = link->writing;

    link->writing = link->pending;
    link->pending = empty;
    link->write.data = link;
    uv_buf_t rest =
        uv_buf_init((char *)link->writing.data + done, (unsigned)(link->writing.len - done));
    int status = uv_write(&link->write, (uv_stream_t *)&link->tcp, &rest, 1, on_written);
    link->is_writing = status == 0;
    return status;
}

void sl_tcp_link_flush(struct sl_tcp_link *link)
{
    if (link->is_closing || !link->is_up)
        return;
    if (link->pending.failed) {
        link_lost(link, "out of memory");
        return;
    }
    if (link->is_writing || link->pending.len == 0)
        return;
    uv_buf_t all = uv_buf_init((char *)link->pending.data, (unsigned)link->pending.len);
    int status = uv_try_write((uv_stream_t *)&link->tcp, &all, 1);
    if (status == UV_EAGAIN)
        status = 0;
    if (status >= 0 && (size_t)status == link->pending.len) {
        recycle(&link->pending);
        return;
    }
    if (status >= 0)
        status = write_rest(link, (size_t)status);
    if (status < 0)
        link_lost(link, uv_strerror(status));
}

/* ---- Reading ------------------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    const struct sl_tcp_link *link = handle->data;
    struct sl_tcp_transport *transport = transport_of(link);

    (void)suggested;
    /* One for all links: libuv reads into it and calls on_read before it asks again. */
    *buf = uv_buf_init(transport->chunk, sizeof(transport->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct sl_tcp_link *link = stream->data;
    const struct sl_tcp_transport *transport = transport_of(link);

    if (link->is_closing || size == 0)
        return;
    if (size < 0) {
        link_lost(link, uv_strerror((int)size));
        return;
    }
    if (transport->events != NULL)
        transport->events->received(transport->ctx, &link->link, (const uint8_t *)buf->base,
                                    (size_t)size);
}

/* ---- The beginning of a link -------------------------------------------------------------- */

struct sl_tcp_link *sl_tcp_link_new(struct sl_tcp_transport *transport, uint64_t dial_tag)
{
    struct sl_tcp_link *link = sl_calloc(transport->alloc, 1, sizeof(*link));

    if (link == NULL)
        return NULL;
    if (uv_tcp_init(&transport->loop, &link->tcp) != 0) {
        sl_free(transport->alloc, link);
        return NULL;
    }
    link->link.transport = &transport->transport;
    link->tcp.data = link;
    link->dial_tag = dial_tag;
    sl_buf_init(&link->pending, transport->alloc);
    sl_buf_init(&link->writing, transport->alloc);
    (void)sl_buf_reserve(&link->pending, CAPACITY_MIN);
    (void)sl_buf_reserve(&link->writing, CAPACITY_MIN);
    sl_buf_clear(&link->pending);
    sl_buf_clear(&link->writing);
    link->next = transport->links;
    link->at = &transport->links;
    if (link->next != NULL)
        link->next->at = &link->next;
    transport->links = link;
    return link;
}

void sl_tcp_link_up(struct sl_tcp_link *link)
{
    const struct sl_tcp_transport *transport = transport_of(link);

    if (transport->events == NULL) {
        sl_tcp_link_close(link);
        return;
    }
    /* Both only make it better; a system that refuses them still carries the bytes. */
    (void)uv_tcp_nodelay(&link->tcp, 1);
    (void)uv_tcp_keepalive(&link->tcp, 1, KEEPALIVE_S);
    int status = uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read);
    if (status < 0) {
        link_lost(link, uv_strerror(status));
        return;
    }
    link->is_up = true;
    transport->events->opened(transport->ctx, &link->link, link->dial_tag);
}

/* A dial to a free port of this host may be given that very port as its own, and TCP then connects
 * the socket to itself. */
static bool is_connected_to_itself(const struct sl_tcp_link *link)
{
    union sl_address ends[2];
    char texts[2][SL_ADDRESS_SIZE_MAX + 1];
    int size[2] = {sizeof(ends[0]), sizeof(ends[1])};

    return uv_tcp_getsockname(&link->tcp, &ends[0].any, &size[0]) == 0 &&
           uv_tcp_getpeername(&link->tcp, &ends[1].any, &size[1]) == 0 &&
           sl_address_format(&ends[0], texts[0]) == SYNCLINE_OK &&
           sl_address_format(&ends[1], texts[1]) == SYNCLINE_OK && strcmp(texts[0], texts[1]) == 0;
}

void sl_tcp_link_connected(uv_connect_t *connect, int status)
{
    struct sl_tcp_link *link = connect->data;

    if (link->is_closing)
        return;
    link->is_own_end = status == 0 && is_connected_to_itself(link);
    if (link->is_own_end)
        status = UV_ECONNREFUSED;
    if (status < 0) {
        link_lost(link, uv_strerror(status));
        return;
    }
    sl_tcp_link_up(link);
}
