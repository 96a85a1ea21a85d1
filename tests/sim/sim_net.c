/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A link is two ends, one at each transport; what one end sends lies in the other end's queue of
 * items until its time has come:
 *
 *     dial -> both ends are made, each with an OPENED item in its queue
 *     send -> DATA items in the peer's queue, never due before the item in front of them
 *     close -> this end is gone; the peer's queue gets CLOSED, and may lose DATA that was under way
 *
 * A dial to an address where nobody listens is an item of the transport itself. */

#include "tests/sim/sim_net.h"

#include <stdlib.h>
#include <string.h>

enum item_kind { ITEM_OPENED, ITEM_DATA, ITEM_CLOSED };

struct item {
    struct item *next;
    enum item_kind kind;
    uint64_t due_ns;
    size_t len;     /* bytes of DATA */
    uint8_t data[]; /* of DATA */
};

struct end {
    struct sl_link base;         /* must be first */
    struct transport *transport; /* whose it is */
    struct end *next;            /* in the transport's list */
    struct end *peer;            /* NULL: gone */
    struct item *first;          /* due next */
    struct item *last;
    size_t incoming;   /* bytes of DATA items */
    uint64_t id;       /* of the link; both ends have the same */
    uint64_t dial_tag; /* 0: accepted */
    uint64_t delay_ns; /* smallest, of this link */
    int from;          /* device at the other end */
    bool is_broken;    /* the network gave it up: CLOSED is on its way, whoever is blocked */
    bool delivering;   /* an event of it is being delivered; then close() only marks it */
    bool is_closed;    /* by its owner, while delivering */
};

struct failed_dial {
    struct failed_dial *next;
    uint64_t due_ns;
    uint64_t tag;
    char address[SL_ADDRESS_SIZE_MAX + 1];
};

struct transport {
    struct sl_transport base; /* must be first */
    struct sl_sim_net *net;
    struct transport *next; /* in the net's list */
    int device;
    char address[SL_ADDRESS_SIZE_MAX + 1]; /* "" while it does not listen */
    const struct sl_transport_events *events;
    void *events_ctx;
    struct end *ends;
    struct failed_dial *failed;
    bool is_woken;
    bool is_dead; /* its process is: nothing leaves any more */
};

struct sl_sim_net {
    struct sl_sim_net_world world; /* copied */
    struct sl_sim_random random;
    struct transport *transports;
    uint64_t links;       /* made so far */
    uint64_t chunks;      /* delivered so far */
    uint64_t delay_ns;    /* smallest delay of the nearest link */
    uint64_t delay_range; /* what a far link has more, as a factor */
    uint64_t jitter_ns;   /* most that a chunk is later than its link's delay */
    size_t chunk_max;     /* bytes; chunks are cut between 1 and this */
    size_t window;        /* bytes under way that count as taken by the system */
    uint64_t slow_ns;     /* most that a chunk is later than that, for now */
    bool blocked[SL_SIM_NET_DEVICES_MAX][SL_SIM_NET_DEVICES_MAX]; /* from, to */
};

static struct transport *as_transport(struct sl_transport *transport)
{
    return (struct transport *)(void *)transport;
}

static struct end *as_end(struct sl_link *link)
{
    /* net_free closes the first end until there is none: closing takes it out of the list, which
     * the analyzer does not see. */
    return (struct end *)(void *)link; /* NOLINT(clang-analyzer-unix.Malloc) */
}

static uint64_t now(struct sl_sim_net *net)
{
    return net->world.now_ns(net->world.ctx);
}

static void observe(struct transport *transport, const char *what, uint64_t link, const void *data,
                    size_t size)
{
    struct sl_sim_net *net = transport->net;
    if (net->world.observe != NULL) {
        net->world.observe(net->world.ctx, transport->device, what, link, data, size);
    }
}

/* ---- Items -------------------------------------------------------------------------------- */

static struct item *item_new(enum item_kind kind, const void *data, size_t len)
{
    struct item *item = malloc(sizeof(*item) + len);
    if (item != NULL) {
        item->next = NULL;
        item->kind = kind;
        item->due_ns = 0;
        item->len = len;
        if (len > 0) {
            memcpy(item->data, data, len);
        }
    }
    return item;
}

/* Puts it at the end of the queue, due after a delay drawn for it. */
static void end_queue(struct end *end, struct item *item)
{
    struct sl_sim_net *net = end->transport->net;
    uint64_t jitter = sl_sim_random_below(&net->random, net->jitter_ns + 1);
    item->due_ns = now(net) + end->delay_ns + jitter;
    if (net->slow_ns > 0) {
        item->due_ns += sl_sim_random_below(&net->random, net->slow_ns);
    }
    if (end->last != NULL && item->due_ns < end->last->due_ns) {
        item->due_ns = end->last->due_ns;
    }
    if (end->last != NULL) {
        end->last->next = item;
    } else {
        end->first = item;
    }
    end->last = item;
    end->incoming += item->len;
}

static struct item *end_take(struct end *end)
{
    struct item *item = end->first;
    if (item == NULL) {
        abort(); /* the caller looked */
    }
    end->first = item->next;
    if (end->first == NULL) {
        end->last = NULL;
    }
    end->incoming -= item->len;
    return item;
}

/* ---- Ends --------------------------------------------------------------------------------- */

static struct end *end_new(struct transport *transport, uint64_t id, uint64_t dial_tag,
                           uint64_t delay_ns)
{
    struct end *end = calloc(1, sizeof(*end));
    struct item *opened = item_new(ITEM_OPENED, NULL, 0);
    if (end == NULL || opened == NULL) {
        free(end);
        free(opened);
        return NULL;
    }
    end->base.transport = &transport->base;
    end->transport = transport;
    end->id = id;
    end->dial_tag = dial_tag;
    end->delay_ns = delay_ns;
    end_queue(end, opened);
    return end;
}

static void end_free(struct end *end)
{
    while (end->first != NULL) {
        free(end_take(end));
    }
    free(end);
}

static void end_unlink(struct end *end)
{
    struct end **at = &end->transport->ends;
    while (*at != end) {
        at = &(*at)->next;
    }
    *at = end->next;
}

/* Of what is on its way to this end no more than so many bytes arrive. */
static void end_lose_tail(struct end *end, size_t keep)
{
    struct item **at = &end->first;
    struct item *last = NULL;
    while (*at != NULL && ((*at)->kind == ITEM_OPENED || (*at)->len <= keep)) {
        keep -= (*at)->len;
        last = *at;
        at = &(*at)->next;
    }
    struct item *lost = *at;
    *at = NULL;
    end->last = last;
    while (lost != NULL) {
        struct item *next = lost->next;
        end->incoming -= lost->len;
        free(lost);
        lost = next;
    }
}

/* Nobody is at the other end any more: this one learns of it in time. */
static void end_orphan(struct end *end)
{
    struct sl_sim_net *net = end->transport->net;
    if (end->first != NULL && sl_sim_random_percent(&net->random, 50)) {
        end_lose_tail(end, sl_sim_random_below(&net->random, end->incoming + 1));
    }
    struct item *closed = item_new(ITEM_CLOSED, NULL, 0);
    if (closed == NULL) {
        abort(); /* the simulator is out of memory: there is no run to save */
    }
    end->peer = NULL;
    end_queue(end, closed);
}

/* The peer learns of it in time; what was on its way to the peer arrives, or a tail of it does not.
 */
static void end_hang_up(struct end *end)
{
    struct end *peer = end->peer;
    if (peer != NULL) {
        end->peer = NULL;
        end_orphan(peer);
    }
}

/* ---- Operations --------------------------------------------------------------------------- */

static void net_set_events(struct sl_transport *base, const struct sl_transport_events *events,
                           void *ctx)
{
    as_transport(base)->events = events;
    as_transport(base)->events_ctx = ctx;
}

static struct transport *find_listener(struct sl_sim_net *net, const char *address)
{
    for (struct transport *t = net->transports; t != NULL; t = t->next) {
        if (t->address[0] != '\0' && strcmp(t->address, address) == 0) {
            return t;
        }
    }
    return NULL;
}

static bool is_blocked(const struct sl_sim_net *net, int from, int to)
{
    return net->blocked[from][to];
}

static bool address_ok(const char *address)
{
    return address != NULL && address[0] != '\0' && strlen(address) <= SL_ADDRESS_SIZE_MAX;
}

static enum syncline_status net_listen(struct sl_transport *base, const char *address,
                                       char bound[SL_ADDRESS_SIZE_MAX + 1], struct sl_error *err)
{
    struct transport *transport = as_transport(base);
    if (!address_ok(address)) {
        return sl_fail(err, SYNCLINE_EINVAL, "an address has 1 to %u bytes", SL_ADDRESS_SIZE_MAX);
    }
    if (find_listener(transport->net, address) != NULL) {
        return sl_fail(err, SYNCLINE_ENET, "%s: somebody listens there already", address);
    }
    memcpy(transport->address, address, strlen(address) + 1);
    memcpy(bound, address, strlen(address) + 1);
    return SYNCLINE_OK;
}

static enum syncline_status net_dial(struct sl_transport *base, const char *address,
                                     uint64_t dial_tag, struct sl_error *err)
{
    struct transport *transport = as_transport(base);
    struct sl_sim_net *net = transport->net;
    if (!address_ok(address) || dial_tag == 0) {
        return sl_fail(err, SYNCLINE_EINVAL, "an address has 1 to %u bytes, a dial tag is not 0",
                       SL_ADDRESS_SIZE_MAX);
    }
    uint64_t delay = net->delay_ns * sl_sim_random_range(&net->random, 1, net->delay_range);
    struct transport *listener = find_listener(net, address);
    if (listener == NULL || is_blocked(net, transport->device, listener->device) ||
        is_blocked(net, listener->device, transport->device)) {
        struct failed_dial *failed = calloc(1, sizeof(*failed));
        if (failed == NULL) {
            return sl_fail(err, SYNCLINE_ENET, "no memory for a dial");
        }
        failed->due_ns = now(net) + delay;
        failed->tag = dial_tag;
        memcpy(failed->address, address, strlen(address) + 1);
        struct failed_dial **at = &transport->failed;
        while (*at != NULL) {
            at = &(*at)->next;
        }
        *at = failed;
        return SYNCLINE_OK;
    }
    net->links++;
    struct end *ours = end_new(transport, net->links, dial_tag, delay);
    struct end *theirs = end_new(listener, net->links, 0, delay);
    if (ours == NULL || theirs == NULL) {
        if (ours != NULL) {
            end_free(ours);
        }
        if (theirs != NULL) {
            end_free(theirs);
        }
        return sl_fail(err, SYNCLINE_ENET, "no memory for a link");
    }
    ours->peer = theirs;
    ours->from = listener->device;
    theirs->peer = ours;
    theirs->from = transport->device;
    ours->next = transport->ends;
    transport->ends = ours;
    theirs->next = listener->ends;
    listener->ends = theirs;
    return SYNCLINE_OK;
}

static enum syncline_status net_send(struct sl_link *link, const void *data, size_t len)
{
    struct end *end = as_end(link);
    struct sl_sim_net *net = end->transport->net;
    const uint8_t *at = data;
    while (len > 0 && end->peer != NULL &&
           !end->transport->is_dead) { /* to nobody: lost, and CLOSED is on its way to us */
        size_t some = sl_sim_random_scale(&net->random, 1, net->chunk_max);
        if (some > len) {
            some = len;
        }
        struct item *item = item_new(ITEM_DATA, at, some);
        if (item == NULL) {
            return SYNCLINE_ENOMEM;
        }
        end_queue(end->peer, item);
        at += some;
        len -= some;
    }
    return SYNCLINE_OK;
}

static size_t net_queued(const struct sl_link *link)
{
    const struct end *end = (const struct end *)(const void *)link;
    size_t window = end->transport->net->window;
    size_t under_way = end->peer != NULL ? end->peer->incoming : 0;
    return under_way > window ? under_way - window : 0;
}

static void net_close(struct sl_link *link)
{
    struct end *end = as_end(link);
    observe(end->transport, "net close", end->id, NULL, 0);
    end_hang_up(end);
    end_unlink(end);
    if (end->delivering) {
        end->is_closed = true;
        return;
    }
    end_free(end);
}

static void deliver_data(struct end *end, struct item *item)
{
    struct transport *transport = end->transport;
    struct sl_sim_net *net = transport->net;
    uint8_t *joined = NULL;
    const uint8_t *data = item->data;
    size_t len = item->len;
    size_t more = 0;
    if (sl_sim_random_percent(&net->random, 50)) { /* the system hands over what it has as one */
        for (struct item *i = end->first;
             i != NULL && i->kind == ITEM_DATA && i->due_ns <= now(net); i = i->next) {
            more += i->len;
        }
    }
    if (more > 0) {
        joined = malloc(len + more);
        if (joined == NULL) {
            abort();
        }
        memcpy(joined, data, len);
        while (more > 0) {
            struct item *next = end_take(end);
            memcpy(joined + len, next->data, next->len);
            len += next->len;
            more -= next->len;
            free(next);
        }
        data = joined;
    }
    net->chunks++;
    observe(transport, "net data", end->id, data, len);
    transport->events->received(transport->events_ctx, &end->base, data, len);
    free(joined);
}

/* Delivers the first item of an end; the end may be gone afterwards. */
static void deliver(struct end *end)
{
    struct transport *transport = end->transport;
    struct item *item = end_take(end);
    end->delivering = true;
    switch (item->kind) {
    case ITEM_OPENED:
        observe(transport, "net open", end->id, NULL, 0);
        transport->events->opened(transport->events_ctx, &end->base, end->dial_tag);
        break;
    case ITEM_DATA:
        deliver_data(end, item);
        break;
    case ITEM_CLOSED:
        observe(transport, "net closed", end->id, NULL, 0);
        end_unlink(end);
        end->is_closed = true;
        transport->events->closed(transport->events_ctx, &end->base);
        break;
    }
    free(item);
    end->delivering = false;
    if (end->is_closed) {
        end_free(end);
    }
}

/* The end whose next item is due first, of all that are due; NULL: none is. */
static struct end *due_end(const struct transport *transport, uint64_t until_ns)
{
    struct end *best = NULL;
    for (struct end *end = transport->ends; end != NULL; end = end->next) {
        bool waits = !end->is_broken && is_blocked(transport->net, end->from, transport->device);
        if (end->first == NULL || end->first->due_ns > until_ns || waits) {
            continue;
        }
        if (best == NULL || end->first->due_ns < best->first->due_ns) {
            best = end;
        }
    }
    return best;
}

static bool deliver_failed_dial(struct transport *transport)
{
    struct sl_sim_net *net = transport->net;
    for (struct failed_dial **at = &transport->failed; *at != NULL; at = &(*at)->next) {
        struct failed_dial *failed = *at;
        if (failed->due_ns <= now(net)) {
            *at = failed->next;
            observe(transport, "net dial failed", failed->tag, NULL, 0);
            transport->events->dial_failed(transport->events_ctx, failed->tag,
                                           "nobody listens there");
            free(failed);
            return true;
        }
    }
    return false;
}

static bool deliver_some(struct transport *transport)
{
    struct sl_sim_net *net = transport->net;
    uint64_t budget = sl_sim_random_scale(&net->random, 1, 64);
    bool did = false;
    while (budget > 0 && deliver_failed_dial(transport)) {
        budget--;
        did = true;
    }
    while (budget > 0) {
        struct end *end = due_end(transport, now(net));
        if (end == NULL) {
            break;
        }
        deliver(end);
        budget--;
        did = true;
    }
    return did;
}

static uint64_t next_due(const struct transport *transport)
{
    uint64_t due = UINT64_MAX;
    struct end *end = due_end(transport, UINT64_MAX);
    if (end != NULL) {
        due = end->first->due_ns;
    }
    for (struct failed_dial *failed = transport->failed; failed != NULL; failed = failed->next) {
        due = failed->due_ns < due ? failed->due_ns : due;
    }
    return due;
}

static void net_poll(struct sl_transport *base, uint32_t timeout_ms)
{
    struct transport *transport = as_transport(base);
    struct sl_sim_net *net = transport->net;
    if (transport->events == NULL) {
        return;
    }
    bool did = deliver_some(transport);
    if (!did && timeout_ms > 0 && !transport->is_woken) {
        uint64_t wait_ns = (uint64_t)timeout_ms * 1000000u;
        uint64_t due = next_due(transport);
        if (due != UINT64_MAX && due > now(net) && due - now(net) < wait_ns) {
            wait_ns = due - now(net);
        }
        net->world.sleep_ns(net->world.ctx, wait_ns);
        (void)deliver_some(transport);
    }
    transport->is_woken = false;
}

static void net_wake(struct sl_transport *base)
{
    as_transport(base)->is_woken = true;
}

static void net_free(struct sl_transport *base)
{
    struct transport *transport = as_transport(base);
    while (transport->ends != NULL) {
        net_close(&transport->ends->base);
    }
    while (transport->failed != NULL) {
        struct failed_dial *failed = transport->failed;
        transport->failed = failed->next;
        free(failed);
    }
    struct transport **at = &transport->net->transports;
    while (*at != transport) {
        at = &(*at)->next;
    }
    *at = transport->next;
    free(transport);
}

static const struct sl_transport_ops net_ops = {
    .set_events = net_set_events,
    .listen = net_listen,
    .dial = net_dial,
    .send = net_send,
    .queued = net_queued,
    .close = net_close,
    .poll = net_poll,
    .wake = net_wake,
    .free = net_free,
};

/* ---- The network -------------------------------------------------------------------------- */

struct sl_sim_net *sl_sim_net_new(const struct sl_sim_net_world *world, uint64_t seed)
{
    struct sl_sim_net *net = calloc(1, sizeof(*net));
    if (net == NULL) {
        return NULL;
    }
    net->world = *world;
    sl_sim_random_init(&net->random, seed, 0);
    net->delay_ns = sl_sim_random_scale(&net->random, 20u * 1000, 20u * 1000 * 1000);
    net->delay_range = sl_sim_random_range(&net->random, 1, 4);
    net->jitter_ns = sl_sim_random_scale(&net->random, 1, 8u * net->delay_ns);
    net->chunk_max = (size_t)sl_sim_random_scale(&net->random, 64, 65536);
    net->window = (size_t)sl_sim_random_scale(&net->random, 1024, 1024u * 1024);
    return net;
}

void sl_sim_net_free(struct sl_sim_net *net)
{
    free(net);
}

struct sl_transport *sl_sim_transport_new(struct sl_sim_net *net, int device)
{
    struct transport *transport = calloc(1, sizeof(*transport));
    if (transport == NULL) {
        return NULL;
    }
    transport->base.ops = &net_ops;
    transport->net = net;
    transport->device = device;
    transport->next = net->transports;
    net->transports = transport;
    return &transport->base;
}

void sl_sim_net_block(struct sl_sim_net *net, int from, int to, bool is_blocked_)
{
    net->blocked[from][to] = is_blocked_;
}

void sl_sim_net_slow(struct sl_sim_net *net, uint64_t more_ns)
{
    net->slow_ns = more_ns;
}

void sl_sim_transport_kill(struct sl_transport *transport)
{
    as_transport(transport)->is_dead = true;
}

/* The k-th end of a link between a and b, or any; NULL: there are not so many. */
static struct end *find_end(const struct sl_sim_net *net, int a, int b, size_t k)
{
    for (const struct transport *t = net->transports; t != NULL; t = t->next) {
        for (struct end *end = t->ends; end != NULL; end = end->next) {
            bool is_theirs =
                a < 0 || (t->device == a && end->from == b) || (t->device == b && end->from == a);
            if (is_theirs && end->peer != NULL && k-- == 0) {
                return end;
            }
        }
    }
    return NULL;
}

bool sl_sim_net_break(struct sl_sim_net *net, int a, int b)
{
    size_t ends = 0;
    while (find_end(net, a, b, ends) != NULL) {
        ends++;
    }
    if (ends == 0) {
        return false;
    }
    struct end *end = find_end(net, a, b, (size_t)sl_sim_random_below(&net->random, ends));
    if (end == NULL) {
        abort(); /* they were counted */
    }
    struct end *peer = end->peer;
    end->is_broken = true;
    if (is_blocked(net, end->from, end->transport->device)) {
        end_lose_tail(end, 0);
    }
    observe(end->transport, "net break", end->id, NULL, 0);
    end_orphan(end);
    end_orphan(peer);
    return true;
}

size_t sl_sim_net_pending(const struct sl_sim_net *net)
{
    size_t pending = 0;
    for (const struct transport *t = net->transports; t != NULL; t = t->next) {
        for (const struct end *end = t->ends; end != NULL; end = end->next) {
            for (const struct item *item = end->first; item != NULL; item = item->next) {
                pending += item->len > 0 ? item->len : 1;
            }
        }
        for (const struct failed_dial *failed = t->failed; failed != NULL; failed = failed->next) {
            pending++;
        }
    }
    return pending;
}

uint64_t sl_sim_net_chunks_delivered(const struct sl_sim_net *net)
{
    return net->chunks;
}
