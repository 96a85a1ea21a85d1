/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* absence: for whom nothing is kept any more.
 *
 * Days in contact: a day on which this device is connected to another member counts once, by its
 * wall clock. Each member has the number of the day in contact on which it was heard of last, by
 * itself or by a statement that others brought. So a device that is off for a year, or alone,
 * counts nothing and marks nobody.
 *
 *     day before the last that counted       does not count; if by more than SL_CONTACT_BACK_DAYS,
 * the clock was far ahead then: from now on it is this day more than member_stale_days since marked
 *     sync.db beyond log_size_limit          who is not connected and lacks most is marked, one at
 * a time; beyond twice the limit, also who is connected marked, and holds all that was         not
 * marked any more: by its next word, be it after a pruned                                 snapshot
 * or because nothing it lacks was pruned
 *
 * A mark is durable before anything is pruned that its member lacks; it is this device's own, and
 * told by an event. Whoever is marked stays a member: it is met, and gets what it can.
 *
 * The network's. */

#ifndef SL_ABSENCE_H
#define SL_ABSENCE_H

#include "stages/holders.h"

/* Counts the day, and notes who is heard of. */
void sl_absence_count(struct sl_core *core);
/* A word of the member came, by itself or through others. */
void sl_absence_heard(struct sl_core *core, const struct sl_member_state *member);
/* Marks who is away too long; *marked: somebody was. Errors: EDB, EIO, ENOSPC, ...: nobody was. */
enum syncline_status sl_absence_mark_stale(struct sl_core *core, bool *marked,
                                           struct sl_error *err);
/* Marks who lacks most of the log, among those that are not connected, or with `all` among all.
 * *marked: there was one. Errors: likewise. */
enum syncline_status sl_absence_mark_behind(struct sl_core *core, bool all, bool *marked,
                                            struct sl_error *err);
/* Ends the marks of those that hold all that was pruned. Errors: EDB, ... */
enum syncline_status sl_absence_end(struct sl_core *core, struct sl_error *err);

#endif
