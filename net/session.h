/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The inside of net/network.h: what session.c, one connection's state machine, and network.c, the
 * set of connections, know of each other. Nobody else includes this. The network's thread; nothing
 * blocks. */

#ifndef SL_SESSION_H
#define SL_SESSION_H

#include "net/frame.h"
#include "net/network.h"

#define SL_NS_PER_MS 1000000u

/* The drawing is at the top of session.c. */
enum sl_connection_state {
    SL_CONNECTION_CONNECTED,
    SL_CONNECTION_READY,
    SL_CONNECTION_DRAINING,
    SL_CONNECTION_CLOSED,
    SL_CONNECTION_STATE_END
};

/* An address to dial, for ever. */
struct sl_peer {
    char address[SL_ADDRESS_SIZE_MAX + 1]; /* as given */
    uint64_t tag;                          /* of its dials; not 0 */
    uint64_t due_ns;                       /* when to dial next, if neither of the two below */
    bool is_dialling;                      /* the transport owes us an outcome */
    struct sl_connection *connection;      /* from its last dial; NULL: none */
    uint32_t pause_ms;                     /* the last one; 0: none yet */
    bool is_known;                         /* device_id is set */
    struct syncline_uuid device_id;        /* who answered there last */
    char noticed[SL_ERROR_SIZE];           /* last notice about it: none is given twice */
    struct sl_peer *next;                  /* in the network's list */
};

struct sl_connection {
    struct sl_session session;       /* first, so that a session leads to its connection */
    enum sl_connection_state state;  /* where it stands */
    struct sl_frame_decoder decoder; /* of what comes in */
    uint64_t deadline_ns;            /* CONNECTED, DRAINING: closed then */
    struct sl_peer *peer;            /* that we dialled; NULL: accepted */
    bool was_ready;                  /* `ready` was called */
    bool was_told;                   /* `closed` was called */
    bool was_refused;                /* by either side: no reason to dial again at once */
    struct sl_connection *next;      /* in the network's list, newest first */
};

struct sl_network {
    const struct sl_env *env;                /* borrowed */
    struct sl_transport *transport;          /* borrowed */
    struct sl_hello self;                    /* who we are */
    char library_name[SL_NAME_SIZE_MAX + 1]; /* for WELCOME */
    const struct sl_network_events *events;  /* borrowed */
    void *ctx;                               /* their first argument */
    struct sl_buf out;                       /* a frame on its way out; keeps its memory */
    struct sl_buf entries;                   /* of one that came; likewise */
    struct sl_peer *peers;                   /* oldest first */
    size_t peers_len;                        /* at most SL_LINK_COUNT_MAX */
    struct sl_connection *connections;       /* with a link, or not yet told */
    size_t links_len;                        /* of them with a link; at most SL_LINK_COUNT_MAX */
    struct sl_session *ready[SL_LINK_COUNT_MAX]; /* in order of becoming so */
    size_t ready_len;                            /* of them */
    uint64_t serial;                             /* the last one given */
    bool dials_nobody;                           /* nobody is dialled any more */
    uint32_t redial_ms_max;                      /* longest pause before dialling again */
    struct sl_network_counts counts;             /* since the beginning */
    char noticed[SL_ERROR_SIZE];                 /* last notice about a link that we accepted */
};

/* ---- session.c ---- */

/* Takes a link that just opened and says HELLO; peer NULL: accepted. On failure the link is the
 * caller's to close. Errors: ENOMEM (also when the first frame cannot be sent). */
enum syncline_status sl_connection_open(struct sl_network *net, struct sl_link *link,
                                        struct sl_peer *peer, struct sl_connection **out);
/* Bytes came. */
void sl_connection_received(struct sl_connection *connection, const uint8_t *data, size_t len);
/* Closes without a word; CLOSED afterwards. */
void sl_connection_end(struct sl_connection *connection);
/* The link is gone by itself; CLOSED afterwards. */
void sl_connection_lost(struct sl_connection *connection);
/* Frees one that is CLOSED. */
void sl_connection_free(struct sl_connection *connection);

/* ---- network.c ---- */

/* A handshake went well. Ends other connections to that device that must give way and returns true,
 * or returns false: this one must. */
bool sl_network_settle(struct sl_network *net, struct sl_connection *connection);
/* The connection is READY: calls `ready`. */
void sl_network_enlist(struct sl_network *net, struct sl_connection *connection);
/* The connection is READY no more. */
void sl_network_withdraw(struct sl_network *net, struct sl_connection *connection);
/* The connection has no link any more: its peer is to be dialled again. */
void sl_network_unlink(struct sl_network *net, struct sl_connection *connection);
/* One line for a person, said once: about the peer, or else about a link that we accepted, from the
 * device of that name (NULL or "": not known yet). */
void sl_network_notice(struct sl_network *net, struct sl_peer *peer, const char *name,
                       enum syncline_status status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
