/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One TCP connection on libuv: reading, writing, its end. Used by transport_tcp.c alone; the
 * network's thread; nothing blocks. */

#ifndef SL_TCP_LINK_H
#define SL_TCP_LINK_H

#include "base/bytes.h"
#include "net/transport.h"

#include <uv.h>

#define SL_TCP_CHUNK_SIZE 65536u /* bytes read at once */

struct sl_tcp_transport {
    struct sl_transport transport;            /* what the user sees */
    const struct sl_transport_events *events; /* NULL: nobody listens */
    void *ctx;                                /* their first argument */
    const struct sl_allocator *alloc;         /* borrowed for life */
    uv_loop_t loop;                           /* ours */
    uv_timer_t timer;                         /* ends a poll */
    uv_async_t async;                  /* wakes a poll; the only handle other threads touch */
    struct sl_tcp_link *links;         /* all whose handle libuv still has */
    struct sl_tcp_listener *listeners; /* likewise */
    char chunk[SL_TCP_CHUNK_SIZE];     /* what was just read */
};

struct sl_tcp_link {
    struct sl_link link;      /* what the user sees */
    uv_tcp_t tcp;             /* ours */
    uv_connect_t connect;     /* of a dial */
    uint64_t dial_tag;        /* 0: accepted */
    struct sl_buf pending;    /* sent, and not given to libuv yet */
    struct sl_buf writing;    /* given to libuv */
    uv_write_t write;         /* of `writing` */
    bool is_writing;          /* it is under way; else `writing` is empty */
    bool is_up;               /* `opened` was delivered */
    bool is_closing;          /* no event follows */
    bool is_own_end;          /* connected to itself; closed so that the port is free at once */
    struct sl_tcp_link *next; /* in the transport's list */
    struct sl_tcp_link **at;  /* who points to us there */
};

/* NULL: no memory. It has a handle on the transport's loop and is in its list. */
struct sl_tcp_link *sl_tcp_link_new(struct sl_tcp_transport *transport, uint64_t dial_tag);
/* The connection stands: `opened`. Only from inside poll. */
void sl_tcp_link_up(struct sl_tcp_link *link);
/* Ends a dial: for uv_tcp_connect, with link->connect.data = link. */
void sl_tcp_link_connected(uv_connect_t *connect, int status);
/* Writes what is pending. Only from inside poll. */
void sl_tcp_link_flush(struct sl_tcp_link *link);
/* No event follows; the memory goes when the loop has run. */
void sl_tcp_link_close(struct sl_tcp_link *link);

#endif
