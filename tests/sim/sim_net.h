/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The simulated network: transports whose links are queues of chunks, each with the virtual time at
 * which it arrives. Bytes of a link keep their order; chunks are cut at random points and each has
 * a delay of its own. Everything is delivered from inside the transport's poll. Addresses are any
 * non-empty text. One thread. */

#ifndef SL_SIM_NET_H
#define SL_SIM_NET_H

#include "net/transport.h"
#include "tests/sim/sim_random.h"

#define SL_SIM_NET_DEVICES_MAX 8

struct sl_sim_net;

struct sl_sim_net_world {
    uint64_t (*now_ns)(void *ctx);
    void (*sleep_ns)(void *ctx, uint64_t ns); /* moves the clock; returns at once */
    /* Told of every chunk delivered and every link opened ("open") or closed ("close"). May be
     * NULL. */
    void (*observe)(void *ctx, int device, const char *what, uint64_t link, const void *data,
                    size_t size);
    void *ctx; /* first argument of the functions */
};

/* Draws the character of the network (delays, chunk sizes) from `seed`. NULL: no memory. */
struct sl_sim_net *sl_sim_net_new(const struct sl_sim_net_world *world, uint64_t seed);
/* Only after all its transports were freed. NULL is allowed. */
void sl_sim_net_free(struct sl_sim_net *net);

/* The transport of one process of device `device`; free it with its ops->free, which closes its
 * links and gives back its address. NULL: no memory. */
struct sl_transport *sl_sim_transport_new(struct sl_sim_net *net, int device);

/* What `from` sends to `to` waits where it is until this is called with false, and nobody can dial
 * across in either direction. Devices are 0 to SL_SIM_NET_DEVICES_MAX - 1. */
void sl_sim_net_block(struct sl_sim_net *net, int from, int to, bool is_blocked);
/* Breaks one of the links, drawn: one end hears of it now, the other one when the network lets it,
 * and each may lose a tail of what was on its way to it. Mid-frame, that is. With `a` and `b` not
 * negative only links between these two. False: there is none. */
bool sl_sim_net_break(struct sl_sim_net *net, int a, int b);
/* From now on each chunk takes up to so much longer; bytes of a link keep their order, those of
 * different links do not. */
void sl_sim_net_slow(struct sl_sim_net *net, uint64_t more_ns);
/* The process behind it died: it sends nothing any more. It is still to be freed. */
void sl_sim_transport_kill(struct sl_transport *transport);

/* Bytes and closings under way anywhere: 0 means that no poll would deliver anything, ever. */
size_t sl_sim_net_pending(const struct sl_sim_net *net);
uint64_t sl_sim_net_chunks_delivered(const struct sl_sim_net *net);

#endif
