/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The library's clock: the highest clock value given here or seen of others (core->hlc_last).
 *
 * It only rises, over restarts too, whatever the wall clock does meanwhile. What stands on disk is
 * at least every clock value that anything durable rests on:
 *
 *     given here      the end of the own log in sync.db, committed with the changes that got them;
 *                     and the own row of _syncline_origin, once they are settled
 *     seen of others  the origin's row of _syncline_origin, committed with the rows that were
 *                     written for them, or wait, or were set aside
 *
 * So opening takes the highest of all these and asks no wall clock: one that was set back gives no
 * value that was given before, and none that is below a change that was seen before.
 *
 * Failure modes:
 * - A change from a clock more than max_drift_ms ahead of the wall is not believed: its origin
 *   stops there, and is looked at again when its time has come. It moves no clock meanwhile.
 * - A slice of apply that is rolled back moves no clock either, unless the clock has gone on from
 *   there: what was given is never given again.
 * - This device's own clock ran ahead and was set right. Its values stay where they are, and only
 *   count up, until the wall is there: other devices hold its changes as long. Seen by the distance
 *   to the wall; from half of max_drift_ms on it is told. */

#ifndef SL_CLOCK_H
#define SL_CLOCK_H

#include "stages/shared.h"

/* Fills core->hlc_last at open: heads and applied vector are loaded. */
enum syncline_status sl_clock_load(struct sl_core *core, struct sl_error *err);
/* Merges a value that was seen and is believed. The caller holds clock_lock. Returns what the clock
 * was before, for the call below. */
uint64_t sl_clock_merge(struct sl_core *core, uint64_t hlc);
/* What rested on that merge was rolled back. Takes clock_lock. */
void sl_clock_unmerge(struct sl_core *core, uint64_t before, uint64_t hlc);
/* How far a value is ahead of the wall beyond what is believed; 0: it is believed. */
uint64_t sl_clock_beyond_ms(const struct sl_core *core, uint64_t hlc);
/* Tells when the library's clock comes to be too far ahead of the wall, and when it is not any
 * more. The applier's. */
void sl_clock_watch(struct sl_core *core);

#endif
