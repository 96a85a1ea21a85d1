/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* members: the membership log (base/membership.h) in use: who may connect, whose changes are taken,
 * and how far.
 *
 * Who comes for the first time is let in by an ADMIT, durable before anything is said to it; whom
 * this device came in by, or dialled, is a JOINED. From there on entries go along every link, in
 * the order in which they came here, before anything else: so whoever gets segments or entries of
 * a third device knows it. Each is checked by its author's signature, and kept if its author is
 * known; else it is not kept, and a notice.
 *
 * A device that was revoked or has left is told so, by the entries that say it, and the link is
 * closed. Of its log no more is taken than up to its cut, whoever brings it, and no more is sent.
 * Who learns that a device was revoked says in the same transaction what it had of it, as far as
 * nobody has said that yet (WITNESS): held, not applied, for what is held was acknowledged and
 * passed on, and will be applied. So the cut is never below what a member has; it rises while
 * members learn, and what was not taken before is asked for then.
 *
 * A device that learns that it was revoked itself connects to nobody and takes nothing. What is
 * written on it is captured and kept. */

#ifndef SL_MEMBERS_H
#define SL_MEMBERS_H

#include "stages/shared.h"

/* Reads the log. Errors: ECORRUPT, EDB, ENOMEM. */
enum syncline_status sl_members_load(struct sl_core *core, struct sl_error *err);
void sl_members_fini(struct sl_core *core);

/* A device has come: makes it a member, durably, unless it is one. One that is out is not refused
 * here but by sl_members_part, so that it learns why. Errors: EREFUSED (the library is full, or
 * this device is out of it), EDB, EIO, ENOSPC, ENOMEM. */
enum syncline_status sl_members_admit(struct sl_core *core, const struct sl_hello *device,
                                      enum sl_arrival arrival, struct sl_error *err);
/* Is the device of that link out? Then it was told, and the link is closed. */
bool sl_members_part(struct sl_core *core, struct sl_session *session);
/* MEMBERS came along the link to `from`. Errors close the session: EPROTO, ENOMEM, EDB. */
enum syncline_status sl_members_take(struct sl_core *core, struct sl_member_state *from,
                                     const uint8_t *data, size_t size, struct sl_error *err);
/* Tells the member the entries that it lacks. Errors: of sl_session_send_members. */
enum syncline_status sl_members_tell(struct sl_core *core, struct sl_member_state *member);
/* Was the member told of everybody? */
bool sl_members_all_told(const struct sl_core *core, const struct sl_member_state *member);

/* This device leaves: its log ends as it is now. Errors: EREFUSED (it is out already, or alone),
 * EDB, EIO, ENOSPC, ENOMEM. */
enum syncline_status sl_members_leave(struct sl_core *core, struct sl_error *err);
/* Puts a device out; what is here of its log is the least that stays. Errors: ENOTFOUND, EREFUSED
 * (it is out, or this device is, or is it), EDB, EIO, ENOSPC, ENOMEM. */
enum syncline_status sl_members_revoke(struct sl_core *core, const struct syncline_uuid *device,
                                       struct sl_error *err);

/* How much of the origin's log, of which `held` is here, may be sent. */
uint64_t sl_members_sendable(const struct sl_core *core, const struct sl_origin_state *origin,
                             uint64_t held);
/* Does it stay out of the log for good, or until its cut rises? */
bool sl_members_refuses(const struct sl_core *core, const struct sl_origin *origin, uint64_t seq,
                        const uint8_t hash[SL_HASH_SIZE]);

/* Whom a device that has just joined knows at first: who let it in. Into an empty log; starts a
 * transaction. Errors: EDB, EIO, ENOSPC, ENOMEM. */
enum syncline_status sl_members_begin(struct sl_peer_log *log, const struct sl_env *env,
                                      const struct sl_identity *self, const struct sl_hello *member,
                                      struct sl_error *err);

#endif
