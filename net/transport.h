/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A way to carry bytes between devices. Three exist: TCP on libuv (transport_tcp), in one process
 * (transport_local), and the simulator's (tests/sim). A transport knows nothing of frames.
 *
 * Thread: everything here except `wake` is called by one thread, the engine's; events are delivered
 * from inside `poll` only, never from inside another call. */

#ifndef SL_TRANSPORT_H
#define SL_TRANSPORT_H

#include "base/status.h"

struct sl_transport; /* begins every implementation's struct */
struct sl_link;      /* one connection, owned by the transport */

/* What happened. `ctx` is the one given to set_events. */
struct sl_transport_events {
    /* A connection is up. `dial_tag` is the one given to dial, or 0 for an accepted one. The link
     * is valid until `closed` has been delivered for it. */
    void (*opened)(void *ctx, struct sl_link *link, uint64_t dial_tag);
    /* Bytes came; they are borrowed until the event returns. Chunks say nothing about frames. */
    void (*received)(void *ctx, struct sl_link *link, const uint8_t *data, size_t len);
    /* The link is gone, by whichever side; not delivered for a link we closed with close(). The
     * link must not be used any more. */
    void (*closed)(void *ctx, struct sl_link *link);
    /* A dial came to nothing. */
    void (*dial_failed)(void *ctx, uint64_t dial_tag, const char *reason);
};

struct sl_transport_ops {
    void (*set_events)(struct sl_transport *transport, const struct sl_transport_events *events,
                       void *ctx);
    /* Accepts connections at `address` ("host:port"; port 0: any free one). `bound` receives the
     * address in use. Errors: ENET (the text names address and reason), EINVAL, ENOMEM. */
    enum syncline_status (*listen)(struct sl_transport *transport, const char *address,
                                   char bound[SL_ADDRESS_SIZE_MAX + 1], struct sl_error *err);
    /* Starts to connect; the outcome is an event with `dial_tag` (not 0). Errors: EINVAL, ENET. */
    enum syncline_status (*dial)(struct sl_transport *transport, const char *address,
                                 uint64_t dial_tag, struct sl_error *err);
    /* Queues a copy of the bytes. ENOMEM or ENET: the link is no good any more; close it. */
    enum syncline_status (*send)(struct sl_link *link, const void *data, size_t len);
    /* Bytes queued and not yet taken by the system. */
    size_t (*queued)(const struct sl_link *link);
    /* Closes at once; what is queued may be lost. Do not use the link afterwards; no event follows.
     */
    void (*close)(struct sl_link *link);
    /* Delivers what is there; waits up to timeout_ms for something or for a wake. */
    void (*poll)(struct sl_transport *transport, uint32_t timeout_ms);
    /* Makes a waiting poll return. Any thread; never blocks. */
    void (*wake)(struct sl_transport *transport);
    /* Closes everything and frees the transport. No event follows. */
    void (*free)(struct sl_transport *transport);
};

struct sl_transport {
    const struct sl_transport_ops *ops;
};

struct sl_link {
    struct sl_transport *transport; /* set by the implementation; find the ops by it */
    void *user;                     /* for the owner of the events; starts NULL */
};

/* Takes a transport away from the owner of its events: whatever opens from now on is closed. */
void sl_transport_detach(struct sl_transport *transport);

/* Checks "host:port" of a loopback address ("127.0.0.0/8", "[::1]", "localhost"): the only ones
 * that may be used while nobody is authenticated. Errors: EINVAL (not an address), EREFUSED (not
 * loopback). */
enum syncline_status sl_address_check_loopback(const char *address, struct sl_error *err);

#endif
