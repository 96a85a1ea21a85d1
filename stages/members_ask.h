/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* members_ask: a call of any thread that has a word to say for the membership log. The network's
 * thread says it, between two of its slices: it alone reads and changes what follows from the log.
 * One at a time; a second one waits. */

#ifndef SL_MEMBERS_ASK_H
#define SL_MEMBERS_ASK_H

#include "stages/shared.h"

/* LEAVE, or REVOKE of `device`: returns when that is durable. Any thread but the network's; blocks,
 * at most SL_MEMBERS_ASK_MS until the engine begins with it. Errors: EBUSY (it does not), of
 * sl_members_leave and sl_members_revoke, and those with which the engine has stopped. */
enum syncline_status sl_members_ask(struct sl_core *core, enum sl_membership_kind kind,
                                    const struct syncline_uuid *device, struct sl_error *err);
/* Says what was asked for. The network's. */
bool sl_members_run(struct sl_core *core);

#endif
