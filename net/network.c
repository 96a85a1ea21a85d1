/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The set of links of one library: who is dialled when, who is connected, and who is told.
 *
 * A peer is dialled at once, then again after every failure or loss. The pause is SL_REDIAL_MS_MIN
 * after a session that was merely lost; it doubles, up to SL_REDIAL_MS_MAX, with every dial that
 * fails and every refusal by either side. While a session with the device that answered there last
 * is up, or another dial to that device is under way, there is nothing to dial for.
 *
 * Two links to one device: both sides must keep the same one, without asking. If different sides
 * dialled them, both keep the one that the device with the lower id dialled. If one side dialled
 * both, the old one is what a crash or a lost network left behind: the newer stays. A lost network
 * can leave a preferred link behind that is dead; then it takes the transport's keepalive to find
 * out.
 *
 * Connections are freed by `reap` only, at the beginning and the end of poll, when nothing of ours
 * is on the stack; so an upcall can do what it likes with any session. */

#include "net/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t now_ns(const struct sl_network *net)
{
    return net->env->mono_ns(net->env->ctx);
}

/* ---- Telling ------------------------------------------------------------------------------ */

void sl_network_notice(struct sl_network *net, struct sl_peer *peer, const char *name,
                       enum syncline_status status, const char *format, ...)
{
    struct sl_error what;
    struct sl_error line;
    char text[SL_ERROR_SIZE];
    char *noticed = peer != NULL ? peer->noticed : net->noticed;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)sl_fail(&what, status, "%s", text); /* one line, whatever the peer put into it */
    if (peer != NULL)
        (void)sl_fail(&line, status, "%s: %.400s", peer->address, what.text);
    else if (name != NULL && name[0] != '\0')
        (void)sl_fail(&line, status, "\"%s\": %.350s", name, what.text);
    else
        (void)sl_fail(&line, status, "a device that connected: %.400s", what.text);
    if (strcmp(line.text, noticed) == 0)
        return; /* it comes again with every dial */
    memcpy(noticed, line.text, sizeof(line.text));
    net->events->notice(net->ctx, status, line.text);
}

static void tell_closed(struct sl_connection *connection)
{
    struct sl_network *net = connection->session.net;

    if (!connection->was_ready || connection->was_told || connection->state == SL_CONNECTION_READY)
        return;
    connection->was_told = true;
    net->events->closed(net->ctx, &connection->session);
}

/* Makes good on the `closed` that are owed, and frees who is CLOSED. */
static void reap(struct sl_network *net)
{
    for (struct sl_connection *at = net->connections; at != NULL; at = at->next)
        tell_closed(at);
    for (struct sl_connection **at = &net->connections; *at != NULL;) {
        struct sl_connection *connection = *at;
        /* An upcall above may have closed one that we had passed already. */
        if (connection->state != SL_CONNECTION_CLOSED ||
            (connection->was_ready && !connection->was_told)) {
            at = &connection->next;
            continue;
        }
        *at = connection->next;
        sl_connection_free(connection);
    }
}

/* ---- Sessions ----------------------------------------------------------------------------- */

/* Does `connection` stay, and `other`, to the same device, go? Both devices come to the same
 * answer. */
static bool is_preferred(const struct sl_network *net, const struct sl_connection *connection,
                         const struct sl_connection *other)
{
    if (connection->session.dialled == other->session.dialled)
        return true;
    bool we_are_lower =
        sl_uuid_compare(&net->self.device_id, &connection->session.peer.device_id) < 0;
    return connection->session.dialled == we_are_lower;
}

bool sl_network_settle(struct sl_network *net, struct sl_connection *connection)
{
    const struct syncline_uuid *device_id = &connection->session.peer.device_id;

    if (connection->peer != NULL) {
        connection->peer->is_known = true;
        connection->peer->device_id = *device_id;
    }
    for (struct sl_connection *at = net->connections; at != NULL; at = at->next) {
        if (at == connection || !sl_uuid_equal(&at->session.peer.device_id, device_id))
            continue;
        if (at->state == SL_CONNECTION_READY) {
            if (!is_preferred(net, connection, at))
                return false;
            sl_connection_end(at);
        }
        /* One session of a device ends before the next begins. */
        tell_closed(at);
    }
    return true;
}

void sl_network_enlist(struct sl_network *net, struct sl_connection *connection)
{
    assert(net->ready_len < SL_LINK_COUNT_MAX);
    connection->was_ready = true;
    connection->session.serial = ++net->serial;
    net->ready[net->ready_len++] = &connection->session;
    net->noticed[0] = '\0';
    if (connection->peer != NULL)
        connection->peer->noticed[0] = '\0';
    net->events->ready(net->ctx, &connection->session);
}

void sl_network_withdraw(struct sl_network *net, struct sl_connection *connection)
{
    size_t i = 0;

    while (net->ready[i] != &connection->session)
        i++;
    net->ready_len--;
    memmove(&net->ready[i], &net->ready[i + 1], (net->ready_len - i) * sizeof(net->ready[0]));
}

struct sl_session *sl_network_session(struct sl_network *net, size_t index)
{
    return index < net->ready_len ? net->ready[index] : NULL;
}

/* ---- Dialling ----------------------------------------------------------------------------- */

static void schedule(struct sl_network *net, struct sl_peer *peer, bool was_lost)
{
    uint32_t pause_ms = SL_REDIAL_MS_MIN;

    if (!was_lost && peer->pause_ms > 0)
        pause_ms =
            peer->pause_ms < net->redial_ms_max / 2 ? peer->pause_ms * 2 : net->redial_ms_max;
    peer->pause_ms = pause_ms;
    peer->due_ns = now_ns(net) + (uint64_t)pause_ms * SL_NS_PER_MS;
}

void sl_network_unlink(struct sl_network *net, struct sl_connection *connection)
{
    struct sl_peer *peer = connection->peer;

    net->links_len--;
    if (peer == NULL)
        return;
    connection->peer = NULL;
    peer->connection = NULL;
    schedule(net, peer, connection->was_ready && !connection->was_refused);
}

static void dial_failed(struct sl_network *net, struct sl_peer *peer, const char *reason)
{
    peer->is_dialling = false;
    sl_network_notice(net, peer, NULL, SYNCLINE_ENET, "cannot be reached: %s; trying again",
                      reason);
    schedule(net, peer, false);
}

/* Is a link to the device that answered at this address there or on its way? */
static bool is_served(const struct sl_network *net, const struct sl_peer *peer)
{
    if (!peer->is_known)
        return false;
    for (size_t i = 0; i < net->ready_len; i++)
        if (sl_uuid_equal(&net->ready[i]->peer.device_id, &peer->device_id))
            return true;
    for (const struct sl_peer *at = net->peers; at != NULL; at = at->next)
        if (at != peer && (at->is_dialling || at->connection != NULL) && at->is_known &&
            sl_uuid_equal(&at->device_id, &peer->device_id))
            return true;
    return false;
}

static bool is_idle(const struct sl_network *net, const struct sl_peer *peer)
{
    return !peer->is_dialling && peer->connection == NULL && !is_served(net, peer);
}

static void dial_due(struct sl_network *net)
{
    uint64_t now = now_ns(net);

    for (struct sl_peer *peer = net->peers; peer != NULL; peer = peer->next) {
        struct sl_error err = {0};
        if (net->dials_nobody || now < peer->due_ns || !is_idle(net, peer))
            continue;
        peer->is_dialling = true;
        enum syncline_status status =
            net->transport->ops->dial(net->transport, peer->address, peer->tag, &err);
        if (status != SYNCLINE_OK)
            dial_failed(net, peer, err.text);
    }
}

static void close_overdue(struct sl_network *net)
{
    uint64_t now = now_ns(net);

    for (struct sl_connection *at = net->connections; at != NULL; at = at->next) {
        if (at->state == SL_CONNECTION_READY || at->state == SL_CONNECTION_CLOSED ||
            now < at->deadline_ns)
            continue;
        if (at->state == SL_CONNECTION_CONNECTED)
            sl_network_notice(net, at->peer, NULL, SYNCLINE_ENET,
                              "said no hello within %u ms; is it a Syncline device?",
                              SL_HANDSHAKE_MS_MAX);
        sl_connection_end(at);
    }
}

enum syncline_status sl_network_add_peer(struct sl_network *net, const char *address,
                                         struct sl_error *err)
{
    size_t len = strlen(address);
    struct sl_peer **at = &net->peers;

    if (len == 0 || len > SL_ADDRESS_SIZE_MAX)
        return sl_fail(err, SYNCLINE_EINVAL,
                       "\"%.80s\" is not an address; it must have 1 to %u bytes", address,
                       SL_ADDRESS_SIZE_MAX);
    if (net->peers_len >= SL_LINK_COUNT_MAX)
        return sl_fail(err, SYNCLINE_EINVAL, "cannot dial %s too: %u peers are the limit", address,
                       SL_LINK_COUNT_MAX);
    struct sl_peer *peer = sl_calloc(net->env->alloc, 1, sizeof(*peer));
    if (peer == NULL)
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the peer %s", address);
    memcpy(peer->address, address, len + 1);
    peer->tag = ++net->peers_len;
    while (*at != NULL)
        at = &(*at)->next;
    *at = peer;
    return SYNCLINE_OK;
}

/* ---- The transport's events --------------------------------------------------------------- */

static struct sl_peer *find_peer(const struct sl_network *net, uint64_t tag)
{
    struct sl_peer *peer = net->peers;

    while (peer != NULL && peer->tag != tag)
        peer = peer->next;
    return peer;
}

/* Room for one more link, if need be by ending the oldest one that has not said hello. */
static bool make_room(struct sl_network *net)
{
    struct sl_connection *oldest = NULL;

    if (net->links_len < SL_LINK_COUNT_MAX)
        return true;
    for (struct sl_connection *at = net->connections; at != NULL; at = at->next)
        if (at->session.link != NULL && at->state != SL_CONNECTION_READY && at->peer == NULL)
            oldest = at;
    if (oldest == NULL)
        return false;
    sl_connection_end(oldest);
    return true;
}

static void on_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    struct sl_network *net = ctx;
    struct sl_peer *peer = dial_tag == 0 ? NULL : find_peer(net, dial_tag);
    struct sl_connection *connection = NULL;
    const char *problem = "too many connections";

    if (peer != NULL)
        peer->is_dialling = false;
    if (make_room(net)) {
        problem = "out of memory";
        if (sl_connection_open(net, link, peer, &connection) == SYNCLINE_OK)
            problem = NULL;
    }
    if (problem != NULL) {
        net->transport->ops->close(link);
        sl_network_notice(net, peer, NULL, SYNCLINE_ENET, "the connection was given up: %s",
                          problem);
        if (peer != NULL)
            schedule(net, peer, false);
        return;
    }
    link->user = connection;
    if (peer != NULL)
        peer->connection = connection;
    connection->next = net->connections;
    net->connections = connection;
    net->links_len++;
}

static void on_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    (void)ctx;
    sl_connection_received(link->user, data, len);
}

static void on_closed(void *ctx, struct sl_link *link)
{
    struct sl_connection *connection = link->user;

    (void)ctx;
    sl_connection_lost(connection);
    tell_closed(connection);
}

static void on_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    struct sl_network *net = ctx;
    struct sl_peer *peer = find_peer(net, dial_tag);

    if (peer != NULL)
        dial_failed(net, peer, reason);
}

static const struct sl_transport_events network_events = {
    .opened = on_opened,
    .received = on_received,
    .closed = on_closed,
    .dial_failed = on_dial_failed,
};

/* ---- The network -------------------------------------------------------------------------- */

enum syncline_status sl_network_new(const struct sl_env *env, struct sl_transport *transport,
                                    const struct sl_hello *self, const char *library_name,
                                    const struct sl_network_events *events, void *ctx,
                                    struct sl_network **out)
{
    struct sl_welcome welcome = {.library_id = self->library_id, .member = *self};
    struct sl_buf buf;

    if (strlen(library_name) > SL_NAME_SIZE_MAX)
        return SYNCLINE_EINVAL;
    memcpy(welcome.library_name, library_name, strlen(library_name) + 1);
    /* What we shall have to say must be sayable. */
    sl_buf_init(&buf, env->alloc);
    enum syncline_status status = sl_frame_put_welcome(&buf, &welcome);
    sl_buf_fini(&buf);
    if (status != SYNCLINE_OK)
        return status;
    struct sl_network *net = sl_calloc(env->alloc, 1, sizeof(*net));
    if (net == NULL)
        return SYNCLINE_ENOMEM;
    net->env = env;
    net->redial_ms_max = SL_REDIAL_MS_MAX;
    sl_buf_init(&net->out, env->alloc);
    sl_buf_init(&net->entries, env->alloc);
    net->transport = transport;
    net->self = *self;
    memcpy(net->library_name, welcome.library_name, sizeof(net->library_name));
    net->events = events;
    net->ctx = ctx;
    transport->ops->set_events(transport, &network_events, net);
    *out = net;
    return SYNCLINE_OK;
}

void sl_network_stop_dialling(struct sl_network *net)
{
    net->dials_nobody = true;
}

void sl_network_set_redial_max(struct sl_network *net, uint32_t ms)
{
    net->redial_ms_max = ms;
}

void sl_network_free(struct sl_network *net)
{
    if (net == NULL)
        return;
    sl_transport_detach(net->transport);
    while (net->connections != NULL) {
        struct sl_connection *connection = net->connections;
        net->connections = connection->next;
        sl_connection_end(connection);
        sl_connection_free(connection);
    }
    while (net->peers != NULL) {
        struct sl_peer *peer = net->peers;
        net->peers = peer->next;
        sl_free(net->env->alloc, peer);
    }
    sl_buf_fini(&net->out);
    sl_buf_fini(&net->entries);
    sl_free(net->env->alloc, net);
}

enum syncline_status sl_network_listen(struct sl_network *net, const char *address,
                                       char bound[SL_ADDRESS_SIZE_MAX + 1], struct sl_error *err)
{
    return net->transport->ops->listen(net->transport, address, bound, err);
}

/* timeout_ms, or less if something is due before. */
static uint32_t time_to_wait_ms(const struct sl_network *net, uint32_t timeout_ms)
{
    uint64_t now = now_ns(net);
    uint64_t until = now + (uint64_t)timeout_ms * SL_NS_PER_MS;

    for (const struct sl_peer *peer = net->peers; peer != NULL; peer = peer->next)
        if (peer->due_ns < until && is_idle(net, peer))
            until = peer->due_ns;
    for (const struct sl_connection *at = net->connections; at != NULL; at = at->next)
        if (at->state != SL_CONNECTION_READY && at->deadline_ns < until)
            until = at->deadline_ns;
    if (until <= now)
        return 0;
    return (uint32_t)((until - now + SL_NS_PER_MS - 1) / SL_NS_PER_MS);
}

void sl_network_poll(struct sl_network *net, uint32_t timeout_ms)
{
    reap(net);
    close_overdue(net);
    dial_due(net);
    net->transport->ops->poll(net->transport, time_to_wait_ms(net, timeout_ms));
    reap(net);
}

void sl_network_wake(struct sl_network *net)
{
    net->transport->ops->wake(net->transport);
}

struct sl_network_counts sl_network_counts(const struct sl_network *net)
{
    return net->counts;
}
