/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Everything between a transport and the engine: links, frames, the handshake, redialling, two
 * links to one device. It carries vectors, segments and what is said of members, and does not know
 * what they mean.
 *
 *             dial or accept
 *                   |
 *               CONNECTED   we send HELLO at once
 *                   |       HELLO came: library, device id = hash of its key, `admit` said OK
 *                 READY     `ready` upcall; vectors, segments and so on flow both ways
 *                   |       closed by either side, a bad frame, or a refusal
 *                CLOSED     `closed` upcall if it was READY; a dialled peer is dialled again
 *
 * A joining device sends JOIN instead of HELLO, gets WELCOME and the link is closed. Between two
 * devices there is at most one session: of two links dialled by different sides the one stays that
 * the device with the lower id dialled, of two dialled by the same side the newer.
 *
 * Thread: the engine's alone. Nothing here blocks except sl_network_poll, for at most its timeout.
 * Upcalls come from inside sl_network_poll only; an upcall may send and may close its own session.
 */

#ifndef SL_NETWORK_H
#define SL_NETWORK_H

#include "base/env.h"
#include "base/segment.h"
#include "base/statement.h"
#include "net/hello.h"
#include "net/transport.h"

struct sl_network;
struct sl_session; /* one READY link to one other device */

/* How a device has come. */
enum sl_arrival {
    SL_ARRIVAL_JOINS,  /* with JOIN: to become a member */
    SL_ARRIVAL_CAME,   /* with HELLO, and it dialled */
    SL_ARRIVAL_DIALLED /* with HELLO, and was dialled */
};

struct sl_network_events {
    /* May this device connect? Not OK: it is told the text and the link is closed. Called for HELLO
     * (the library is checked already) and for JOIN. */
    enum syncline_status (*admit)(void *ctx, const struct sl_hello *hello, enum sl_arrival arrival,
                                  struct sl_error *err);
    /* A session is up; session->user is free for the callee. */
    void (*ready)(void *ctx, struct sl_session *session);
    /* The peer's vector. entries are borrowed. Not OK closes the session and tells the peer. */
    enum syncline_status (*vector)(void *ctx, struct sl_session *session,
                                   const struct sl_vector_entry *entries, size_t len,
                                   struct sl_error *err);
    /* A segment's bytes, borrowed. Not OK closes the session and tells the peer. */
    enum syncline_status (*segment)(void *ctx, struct sl_session *session, const uint8_t *data,
                                    size_t len, struct sl_error *err);
    /* Entries of the membership log, packed; borrowed. Not OK likewise. */
    enum syncline_status (*members)(void *ctx, struct sl_session *session, const uint8_t *entries,
                                    size_t size, struct sl_error *err);
    /* SUMMARY, ROSTER and STATEMENT; all borrowed, the statement with its `size` bytes at `data`,
     * its signature not checked. Not OK likewise. */
    enum syncline_status (*summary)(void *ctx, struct sl_session *session,
                                    const uint8_t hash[SL_HASH_SIZE], struct sl_error *err);
    enum syncline_status (*roster)(void *ctx, struct sl_session *session,
                                   const uint8_t members[SL_HASH_SIZE],
                                   const struct sl_roster_entry *entries, size_t len,
                                   struct sl_error *err);
    enum syncline_status (*statement)(void *ctx, struct sl_session *session,
                                      const struct sl_statement *statement, const uint8_t *data,
                                      size_t size, struct sl_error *err);
    /* ASK: of entry->origin, what comes after entry->held_seq. Not OK likewise. */
    enum syncline_status (*ask)(void *ctx, struct sl_session *session,
                                const struct sl_vector_entry *entry, struct sl_error *err);
    /* FLOOR: the peer's log of segment->origin begins after the segment that `end`, borrowed, is
     * the end of; its signature is not checked. Not OK likewise. */
    enum syncline_status (*floor)(void *ctx, struct sl_session *session,
                                  const struct sl_segment *segment,
                                  const uint8_t end[SL_SEGMENT_END_SIZE], struct sl_error *err);
    /* A question about ranges of records, and the answer to ours; the bytes are borrowed. Not OK
     * likewise. */
    enum syncline_status (*query)(void *ctx, struct sl_session *session, const uint8_t *data,
                                  size_t len, struct sl_error *err);
    enum syncline_status (*answer)(void *ctx, struct sl_session *session, const uint8_t *data,
                                   size_t len, struct sl_error *err);
    /* What the taker of a snapshot asks, its cut, and a page of it; the bytes are borrowed. Not OK
     * likewise. */
    enum syncline_status (*snapshot_ask)(void *ctx, struct sl_session *session, const uint8_t *data,
                                         size_t len, struct sl_error *err);
    enum syncline_status (*snapshot_cut)(void *ctx, struct sl_session *session, const uint8_t *data,
                                         size_t len, struct sl_error *err);
    enum syncline_status (*snapshot_page)(void *ctx, struct sl_session *session,
                                          const uint8_t *data, size_t len, struct sl_error *err);
    /* The session is gone; it must not be used any more. */
    void (*closed)(void *ctx, struct sl_session *session);
    /* Something worth telling a person: a peer refused us or was refused, cannot be reached, sent
     * rubbish. One line. */
    void (*notice)(void *ctx, enum syncline_status status, const char *text);
};

struct sl_session {
    struct sl_hello peer;   /* who is there */
    void *user;             /* the engine's; NULL at `ready` */
    struct sl_network *net; /* its network */
    struct sl_link *link;   /* below it */
    bool dialled;           /* by us */
    uint64_t serial;        /* 1, 2, 3, ... in order of becoming READY */
};

/* Bytes through all links of this network since it was made. */
struct sl_network_counts {
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t frames_sent;
    uint64_t frames_received;
};

/* `self`, `library_name` are copied; env, transport (ours to use, not to free), events, ctx are
 * borrowed for life. Errors: ENOMEM, EINVAL (a name is not UTF-8 or is longer than its limit). */
enum syncline_status sl_network_new(const struct sl_env *env, struct sl_transport *transport,
                                    const struct sl_hello *self, const char *library_name,
                                    const struct sl_network_events *events, void *ctx,
                                    struct sl_network **out);
/* Closes all links without upcalls. NULL is allowed. */
void sl_network_free(struct sl_network *net);

/* Errors: ENET, EINVAL. `bound` receives the address in use. */
enum syncline_status sl_network_listen(struct sl_network *net, const char *address,
                                       char bound[SL_ADDRESS_SIZE_MAX + 1], struct sl_error *err);
/* Dials `address` now and again after every loss or failure, with pauses growing from
 * SL_REDIAL_MS_MIN to SL_REDIAL_MS_MAX; not while another link to the device that answered there
 * is up. Errors: EINVAL (too long, or SL_LINK_COUNT_MAX peers are there), ENOMEM. */
enum syncline_status sl_network_add_peer(struct sl_network *net, const char *address,
                                         struct sl_error *err);

/* Dials nobody any more. */
void sl_network_stop_dialling(struct sl_network *net);

/* The longest of those pauses, at least SL_REDIAL_MS_MIN, if not SL_REDIAL_MS_MAX. */
void sl_network_set_redial_max(struct sl_network *net, uint32_t ms);

/* Redials what is due, enforces handshake deadlines, and lets the transport deliver; waits at most
 * timeout_ms (less if a redial is due sooner). */
void sl_network_poll(struct sl_network *net, uint32_t timeout_ms);
void sl_network_wake(struct sl_network *net); /* any thread */

/* Queue one frame. Errors: ETOOBIG, EINVAL (nothing to send), ENOMEM, ENET (the session is
 * closing, the link is lost, or SL_LINK_BACKLOG_MAX bytes are queued); after an error close the
 * session. */
enum syncline_status sl_session_send_vector(struct sl_session *session,
                                            const struct sl_vector_entry *entries, size_t len);
enum syncline_status sl_session_send_segment(struct sl_session *session, const uint8_t *data,
                                             size_t len);
enum syncline_status sl_session_send_members(struct sl_session *session, const void *entries,
                                             size_t size);
enum syncline_status sl_session_send_summary(struct sl_session *session,
                                             const uint8_t hash[SL_HASH_SIZE]);
enum syncline_status sl_session_send_roster(struct sl_session *session,
                                            const uint8_t members[SL_HASH_SIZE],
                                            const struct sl_roster_entry *entries, size_t len);
enum syncline_status sl_session_send_statement(struct sl_session *session, const uint8_t *data,
                                               size_t len);
enum syncline_status sl_session_send_ask(struct sl_session *session,
                                         const struct sl_vector_entry *entry);
enum syncline_status sl_session_send_floor(struct sl_session *session,
                                           const uint8_t end[SL_SEGMENT_END_SIZE]);
/* The bytes are those of base/range_ask.h. */
enum syncline_status sl_session_send_query(struct sl_session *session, const void *data,
                                           size_t len);
enum syncline_status sl_session_send_answer(struct sl_session *session, const void *data,
                                            size_t len);
/* The bytes are those of base/snapshot_ask.h, and of base/page.h. */
enum syncline_status sl_session_send_snapshot_ask(struct sl_session *session, const void *data,
                                                  size_t len);
enum syncline_status sl_session_send_snapshot_cut(struct sl_session *session, const void *data,
                                                  size_t len);
enum syncline_status sl_session_send_snapshot_page(struct sl_session *session, const void *data,
                                                   size_t len);
size_t sl_session_queued(const struct sl_session *session); /* bytes not yet taken by the system */
/* Tells the peer why and closes; `closed` follows, from the next poll. */
void sl_session_close(struct sl_session *session, enum syncline_status status, const char *text);

/* The READY sessions; index 0.. in order of becoming so. NULL past the end. */
struct sl_session *sl_network_session(struct sl_network *net, size_t index);
struct sl_network_counts sl_network_counts(const struct sl_network *net);

/* Asks the member at `address` to let `self` join and waits for the answer, up to SL_JOIN_MS_MAX by
 * env's monotonic clock. Uses the transport by itself: nobody else may use it meanwhile.
 * Errors: ENET, EREFUSED (the text is the member's), EPROTO, ENOMEM, EINVAL (address or name). */
enum syncline_status sl_network_join(const struct sl_env *env, struct sl_transport *transport,
                                     const struct sl_hello *self, const char *address,
                                     struct sl_welcome *welcome, struct sl_error *err);

#endif
