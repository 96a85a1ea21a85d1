/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* roster: who belongs to the library, told along every link.
 *
 * A device becomes a member by coming itself (HELLO or JOIN), or because a member introduces it
 * (MEMBER): its key certifies its device id, so an introducer can neither exchange the key of a
 * device nor speak for it; but it can name any device a member. Who trusts a member trusts those
 * whom it lets in. Each is kept with who introduced it.
 *
 * Every link tells of every member but the two at its ends, before any segment that one of those
 * made: whoever gets segments of a third device can check its signature. */

#ifndef SL_ROSTER_H
#define SL_ROSTER_H

#include "stages/shared.h"

/* Makes the device a member, durably, unless it is one; `by`: the member that introduced it, NULL:
 * it came itself. Errors: EREFUSED (the library is full), EDB, EIO, ENOSPC. */
enum syncline_status sl_roster_admit(struct sl_core *core, const struct sl_hello *device,
                                     const struct sl_member_state *by, struct sl_error *err);
/* MEMBER came along the link to `from`. What cannot be admitted is a notice, and not that member's
 * fault. Errors: EPROTO (it introduces this device, or itself). */
enum syncline_status sl_roster_member(struct sl_core *core, struct sl_member_state *from,
                                      const struct sl_hello *device, struct sl_error *err);
/* Has the link's other end been told of this device, or need not be? */
bool sl_roster_is_told(struct sl_core *core, const struct sl_member_state *member,
                       const struct syncline_uuid *device);
/* Tells the member of all those whom it may not know. */
bool sl_roster_tell(struct sl_core *core, struct sl_member_state *member);

#endif
