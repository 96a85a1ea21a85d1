/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every transport on the hub has one queue of events, first in, first out; what one side does is an
 * event in the other side's queue. poll hands out as many events as were there when it began, so
 * that two ends on one transport cannot keep it busy for ever.
 *
 * A link is freed once it is closed here and none of its events is queued any more; its two ends
 * know each other until one of them is closed. The events `opened` and `closed` lie in the link, so
 * that closing needs no memory. */

#include "net/transport_local.h"

#include <stdio.h>
#include <string.h>

struct local_link;

enum event_kind { EVENT_OPENED, EVENT_RECEIVED, EVENT_CLOSED, EVENT_DIAL_FAILED };

struct event {
    struct event *next;      /* in the transport's queue */
    enum event_kind kind;    /* what happened */
    struct local_link *link; /* to which link of this transport; NULL for a dial that failed */
    uint64_t dial_tag;       /* of a dial */
    size_t len;              /* bytes in data */
    uint8_t data[];          /* received bytes, or the reason with its NUL */
};

struct local_link {
    struct sl_link link;      /* what the user sees */
    struct local_link *other; /* the far end; NULL once either end is closed */
    struct event *opened;     /* ours until queued, then NULL */
    struct event *closed;     /* ours until queued, then NULL */
    size_t sent;              /* bytes in the far end's queue */
    size_t events;            /* of this link in its transport's queue */
    bool gone;                /* closed here, or `closed` was delivered */
    struct local_link *next;  /* in the transport's list */
};

struct listener {
    struct listener *next;                 /* in the transport's list */
    char address[SL_ADDRESS_SIZE_MAX + 1]; /* any text */
};

struct local_transport {
    struct sl_transport transport;            /* what the user sees */
    struct sl_local_hub *hub;                 /* where the others are */
    struct local_transport *next;             /* on the hub */
    const struct sl_transport_events *events; /* NULL: nobody listens */
    void *ctx;                                /* their first argument */
    struct event *first;                      /* of the queue */
    struct event **last;                      /* where the next event goes */
    struct local_link *links;                 /* all that are not freed */
    struct listener *listeners;               /* addresses served */
};

struct sl_local_hub {
    struct local_transport *transports; /* all that are not freed */
    const struct sl_allocator *alloc;   /* borrowed for life */
};

static struct local_transport *transport_of(const struct local_link *link)
{
    return (struct local_transport *)link->link.transport;
}

/* ---- Events ------------------------------------------------------------------------------- */

static struct event *event_new(const struct sl_local_hub *hub, enum event_kind kind,
                               struct local_link *link, uint64_t dial_tag, const void *data,
                               size_t len)
{
    struct event *event = sl_alloc(hub->alloc, sizeof(*event) + len);

    if (event == NULL)
        return NULL;
    event->next = NULL;
    event->kind = kind;
    event->link = link;
    event->dial_tag = dial_tag;
    event->len = len;
    if (len > 0)
        memcpy(event->data, data, len);
    return event;
}

static void push(struct local_transport *transport, struct event *event)
{
    *transport->last = event;
    transport->last = &event->next;
    if (event->link != NULL)
        event->link->events++;
}

static struct event *pop(struct local_transport *transport)
{
    struct event *event = transport->first;

    transport->first = event->next;
    if (transport->first == NULL)
        transport->last = &transport->first;
    if (event->link != NULL) {
        event->link->events--;
        if (event->kind == EVENT_RECEIVED && event->link->other != NULL)
            event->link->other->sent -= event->len;
    }
    return event;
}

/* ---- Links -------------------------------------------------------------------------------- */

static void link_free(struct local_link *link)
{
    const struct sl_allocator *alloc = transport_of(link)->hub->alloc;

    sl_free(alloc, link->opened);
    sl_free(alloc, link->closed);
    sl_free(alloc, link);
}

static struct local_link *link_new(struct local_transport *transport, uint64_t dial_tag)
{
    struct local_link *link = sl_calloc(transport->hub->alloc, 1, sizeof(*link));

    if (link == NULL)
        return NULL;
    link->link.transport = &transport->transport;
    link->opened = event_new(transport->hub, EVENT_OPENED, link, dial_tag, NULL, 0);
    link->closed = event_new(transport->hub, EVENT_CLOSED, link, 0, NULL, 0);
    if (link->opened == NULL || link->closed == NULL) {
        link_free(link);
        return NULL;
    }
    return link;
}

static void link_open(struct local_link *link)
{
    struct local_transport *transport = transport_of(link);

    link->next = transport->links;
    transport->links = link;
    push(transport, link->opened);
    link->opened = NULL;
}

/* Ends the link on this side; the far side hears of it after everything that was sent. */
static void link_close(struct local_link *link)
{
    struct local_link *other = link->other;

    link->gone = true;
    if (other == NULL)
        return;
    link->other = NULL;
    other->other = NULL;
    push(transport_of(other), other->closed);
    other->closed = NULL;
}

/* Frees the links that nobody can name any more. */
static void reap(struct local_transport *transport)
{
    for (struct local_link **at = &transport->links; *at != NULL;) {
        struct local_link *link = *at;
        if (!link->gone || link->events > 0) {
            at = &link->next;
            continue;
        }
        *at = link->next;
        link_free(link);
    }
}

static enum syncline_status local_send(struct sl_link *base, const void *data, size_t len)
{
    struct local_link *link = (struct local_link *)base;

    if (link->other == NULL)
        return SYNCLINE_ENET;
    if (len == 0)
        return SYNCLINE_OK;
    struct event *event =
        event_new(transport_of(link)->hub, EVENT_RECEIVED, link->other, 0, data, len);
    if (event == NULL)
        return SYNCLINE_ENOMEM;
    push(transport_of(link->other), event);
    link->sent += len;
    return SYNCLINE_OK;
}

static size_t local_queued(const struct sl_link *base)
{
    const struct local_link *link = (const struct local_link *)base;

    return link->other == NULL ? 0 : link->sent;
}

static void local_close(struct sl_link *base)
{
    link_close((struct local_link *)base);
}

/* ---- Addresses ---------------------------------------------------------------------------- */

static struct local_transport *find_listener(const struct sl_local_hub *hub, const char *address)
{
    for (struct local_transport *at = hub->transports; at != NULL; at = at->next)
        for (const struct listener *listener = at->listeners; listener != NULL;
             listener = listener->next)
            if (strcmp(listener->address, address) == 0)
                return at;
    return NULL;
}

static enum syncline_status check_address(const char *address, struct sl_error *err)
{
    size_t len = strlen(address);

    if (len == 0 || len > SL_ADDRESS_SIZE_MAX)
        return sl_fail(err, SYNCLINE_EINVAL,
                       "\"%.80s\" is not an address; it must have 1 to %u bytes", address,
                       SL_ADDRESS_SIZE_MAX);
    return SYNCLINE_OK;
}

static enum syncline_status local_listen(struct sl_transport *base, const char *address,
                                         char bound[SL_ADDRESS_SIZE_MAX + 1], struct sl_error *err)
{
    struct local_transport *transport = (struct local_transport *)base;
    enum syncline_status status = check_address(address, err);

    if (status != SYNCLINE_OK)
        return status;
    if (find_listener(transport->hub, address) != NULL)
        return sl_fail(err, SYNCLINE_ENET,
                       "cannot listen on %s: address already in use; choose another", address);
    struct listener *listener = sl_calloc(transport->hub->alloc, 1, sizeof(*listener));
    if (listener == NULL)
        return sl_fail(err, SYNCLINE_ENOMEM, "cannot listen on %s: out of memory", address);
    (void)snprintf(listener->address, sizeof(listener->address), "%s", address);
    listener->next = transport->listeners;
    transport->listeners = listener;
    memcpy(bound, listener->address, sizeof(listener->address));
    return SYNCLINE_OK;
}

static enum syncline_status local_dial(struct sl_transport *base, const char *address,
                                       uint64_t dial_tag, struct sl_error *err)
{
    struct local_transport *transport = (struct local_transport *)base;
    enum syncline_status status = check_address(address, err);

    if (status != SYNCLINE_OK)
        return status;
    struct local_transport *there = find_listener(transport->hub, address);
    if (there == NULL) {
        static const char reason[] = "connection refused";
        struct event *event =
            event_new(transport->hub, EVENT_DIAL_FAILED, NULL, dial_tag, reason, sizeof(reason));
        if (event == NULL)
            return sl_fail(err, SYNCLINE_ENET, "cannot dial %s: out of memory", address);
        push(transport, event);
        return SYNCLINE_OK;
    }
    struct local_link *ours = link_new(transport, dial_tag);
    struct local_link *theirs = link_new(there, 0);
    if (ours == NULL || theirs == NULL) {
        if (ours != NULL)
            link_free(ours);
        if (theirs != NULL)
            link_free(theirs);
        return sl_fail(err, SYNCLINE_ENET, "cannot dial %s: out of memory", address);
    }
    ours->other = theirs;
    theirs->other = ours;
    link_open(ours);
    link_open(theirs);
    return SYNCLINE_OK;
}

/* ---- The transport ------------------------------------------------------------------------ */

static void local_set_events(struct sl_transport *base, const struct sl_transport_events *events,
                             void *ctx)
{
    struct local_transport *transport = (struct local_transport *)base;

    transport->events = events;
    transport->ctx = ctx;
}

static void deliver(struct local_transport *transport, const struct event *event)
{
    const struct sl_transport_events *events = transport->events;
    struct local_link *link = event->link;

    if (link == NULL) {
        if (events != NULL)
            events->dial_failed(transport->ctx, event->dial_tag, (const char *)event->data);
        return;
    }
    if (link->gone)
        return;
    if (events == NULL) {
        link_close(link);
        return;
    }
    if (event->kind == EVENT_OPENED)
        events->opened(transport->ctx, &link->link, event->dial_tag);
    if (event->kind == EVENT_RECEIVED)
        events->received(transport->ctx, &link->link, event->data, event->len);
    if (event->kind == EVENT_CLOSED) {
        events->closed(transport->ctx, &link->link);
        link->gone = true;
    }
}

static void local_poll(struct sl_transport *base, uint32_t timeout_ms)
{
    struct local_transport *transport = (struct local_transport *)base;
    size_t count = 0;

    (void)timeout_ms; /* nothing can come while we wait: everybody is on this thread */
    for (const struct event *event = transport->first; event != NULL; event = event->next)
        count++;
    for (; count > 0; count--) {
        struct event *event = pop(transport);
        deliver(transport, event);
        sl_free(transport->hub->alloc, event);
    }
    reap(transport);
}

static void local_wake(struct sl_transport *base)
{
    (void)base; /* poll never waits */
}

static void local_free(struct sl_transport *base)
{
    struct local_transport *transport = (struct local_transport *)base;
    struct local_transport **at = &transport->hub->transports;

    for (struct local_link *link = transport->links; link != NULL; link = link->next)
        link_close(link);
    while (transport->first != NULL)
        sl_free(transport->hub->alloc, pop(transport));
    reap(transport);
    while (transport->listeners != NULL) {
        struct listener *listener = transport->listeners;
        transport->listeners = listener->next;
        sl_free(transport->hub->alloc, listener);
    }
    while (*at != transport)
        at = &(*at)->next;
    *at = transport->next;
    sl_free(transport->hub->alloc, transport);
}

static const struct sl_transport_ops local_ops = {
    .set_events = local_set_events,
    .listen = local_listen,
    .dial = local_dial,
    .send = local_send,
    .queued = local_queued,
    .close = local_close,
    .poll = local_poll,
    .wake = local_wake,
    .free = local_free,
};

enum syncline_status sl_transport_local_new(struct sl_local_hub *hub, struct sl_transport **out)
{
    struct local_transport *transport = sl_calloc(hub->alloc, 1, sizeof(*transport));

    if (transport == NULL)
        return SYNCLINE_ENOMEM;
    transport->transport.ops = &local_ops;
    transport->hub = hub;
    transport->last = &transport->first;
    transport->next = hub->transports;
    hub->transports = transport;
    *out = &transport->transport;
    return SYNCLINE_OK;
}

enum syncline_status sl_local_hub_new(const struct sl_allocator *alloc, struct sl_local_hub **out)
{
    struct sl_local_hub *hub = sl_calloc(alloc, 1, sizeof(*hub));

    if (hub == NULL)
        return SYNCLINE_ENOMEM;
    hub->alloc = alloc;
    *out = hub;
    return SYNCLINE_OK;
}

void sl_local_hub_free(struct sl_local_hub *hub)
{
    if (hub != NULL)
        sl_free(hub->alloc, hub);
}
