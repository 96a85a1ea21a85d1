/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* hlc_stamp: clock values for the changes of a batch, at the moment the log takes them.
 *
 * n values at once, from max(last + 1, captured ms << 16): a clock that was set back, and counters
 * that overflow, need no code of their own. The clock moves for good only when the log has
 * committed; whoever moves it holds clock_lock. What it is after a restart, and what becomes of it
 * when clocks are wrong: stages/clock.h. */

#ifndef SL_HLC_STAMP_H
#define SL_HLC_STAMP_H

#include "pipeline/batch.h"

/* The first clock value of the batch; *last is moved to its last one. live_n > 0. */
uint64_t sl_hlc_stamp(const struct sl_batch *batch, uint64_t *last);

#endif
