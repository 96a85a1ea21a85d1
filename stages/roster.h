/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* roster: who belongs to the library, and what each has stated to have, told along every link.
 *
 * A device becomes a member by coming itself (HELLO or JOIN), or because a member introduces it
 * (MEMBER): its key certifies its device id, so an introducer can neither exchange the key of a
 * device nor speak for it; but it can name any device a member. Who trusts a member trusts those
 * whom it lets in. Each is kept with who introduced it. Every link tells of every member but the
 * two at its ends, before any segment that one of those made: whoever gets segments of a third
 * device can check its signature.
 *
 * What a member has it says itself, in VECTOR, to those that it meets. For the others it signs its
 * vector, at most once in SL_STATEMENT_MS: a statement (base/statement.h). The latest of each
 * member is kept, durably, and goes along every link whose other end has an earlier one or none. So
 * an acknowledgement comes to devices that its member never meets, and nobody can make one for
 * another. A library of two devices needs no statements and makes none. */

#ifndef SL_ROSTER_H
#define SL_ROSTER_H

#include "net/frame.h"
#include "stages/shared.h"

/* Makes the device a member, durably, unless it is one; `by`: the member that introduced it, NULL:
 * it came itself. Errors: EREFUSED (the library is full), EDB, EIO, ENOSPC. */
enum syncline_status sl_roster_admit(struct sl_core *core, const struct sl_hello *device,
                                     const struct sl_member_state *by, struct sl_error *err);
/* Reads the members and their statements. Errors: ECORRUPT, EDB, ENOMEM. */
enum syncline_status sl_roster_load(struct sl_core *core, struct sl_error *err);
void sl_roster_fini(struct sl_core *core);

/* MEMBER came along the link to `from`. One that the library refuses is a notice, and not that
 * member's fault. Errors: EPROTO (it introduces this device, or itself); of sl_roster_admit but
 * EREFUSED: it is introduced anew along the next link, segments of its would be dropped on this. */
enum syncline_status sl_roster_member(struct sl_core *core, struct sl_member_state *from,
                                      const struct sl_hello *device, struct sl_error *err);
/* STATEMENT came along it. One of a device that is not known here, and one that claims what cannot
 * be, is not kept, and a notice. Errors: EPROTO (its signature is not its author's), ENOMEM, EDB.
 */
enum syncline_status sl_roster_statement(struct sl_core *core, struct sl_member_state *from,
                                         const struct sl_statement *statement, const uint8_t *data,
                                         size_t size, struct sl_error *err);
/* ROSTER came: the member knows these devices and statements. */
void sl_roster_heard(struct sl_core *core, struct sl_member_state *member,
                     const struct sl_roster_entry *entries, size_t len);
/* Nothing is known of what the member knows. */
void sl_roster_forget(struct sl_member_state *member);
/* The member knows exactly what is known here now. */
void sl_roster_is_same(struct sl_core *core, struct sl_member_state *member);

/* This device and the members, with the latest statement of each; for itself what it would state
 * with this vector. With one member only there are no statements. Returns how many. */
size_t sl_roster_list(const struct sl_core *core, const struct sl_vector_entry *entries, size_t len,
                      struct sl_roster_entry devices[SL_ROSTER_LEN_MAX]);
/* Has the link's other end been told of this device, or need not be? */
bool sl_roster_is_told(struct sl_core *core, const struct sl_member_state *member,
                       const struct syncline_uuid *device);
/* States anew what this device has, if that is due. */
bool sl_roster_state(struct sl_core *core, bool moved);
/* Tells the member what it may not know, as far as its link takes it. */
bool sl_roster_tell(struct sl_core *core, struct sl_member_state *member);

#endif
