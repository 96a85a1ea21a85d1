/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* floor: a member says that its log of an origin begins later than this device's ends (FLOOR): what
 * is missing between was pruned there, as every member had it that counted. It sends nothing of
 * what comes after it.
 *
 *     these tables have applied it all     only the log was lost, as a new sync.db has: it begins
 *                                          at that floor here, too, and what comes after it flows
 *     they have not                        this device needs a snapshot: told, once for each link,
 *                                          and asked for (stages/snapshot_take)
 *     it came meanwhile, by another way    nothing
 *
 * What FLOOR says is believed by the origin's signature, as its segments are. */

#ifndef SL_FLOOR_H
#define SL_FLOOR_H

#include "stages/shared.h"

/* FLOOR came along the link to `from`; `end` is what `segment` was read from. What waits for the
 * log is in it. The network's. Errors: EPROTO (its signature is not its origin's, another library),
 * EDB, EIO, ENOMEM, ... */
enum syncline_status sl_floor_came(struct sl_core *core, struct sl_member_state *from,
                                   const struct sl_segment *segment,
                                   const uint8_t end[SL_SEGMENT_END_SIZE], struct sl_error *err);

/* The log of the origin, which ends before that, begins at the end of this segment from now on, of
 * which the origin has signed it. Nothing that waits for the log is of it. The network's. Errors:
 * EDB, EIO, ENOMEM, ... */
enum syncline_status sl_floor_begin(struct sl_core *core, struct sl_origin_state *origin,
                                    const struct sl_segment *segment,
                                    const uint8_t end[SL_SEGMENT_END_SIZE], struct sl_error *err);

#endif
