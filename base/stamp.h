/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Stamps: which of two changes is later. A hybrid logical clock in one u64, ms << 16 | counter; the
 * counter's carry is the addition's. */

#ifndef SL_STAMP_H
#define SL_STAMP_H

#include "base/vector.h"

#define SL_HLC_COUNTER_BITS 16

struct sl_stamp {
    uint64_t hlc;            /* compared first */
    struct sl_origin origin; /* then device, then epoch */
};

/* The latest time that a wall clock is taken to show, the year 4199: clock values stay below 2^63
 * however long they count up from there. */
#define SL_WALL_MS_MAX (UINT64_C(1) << 46)

static inline uint64_t sl_wall_ms_clip(uint64_t wall_ms)
{
    return wall_ms < SL_WALL_MS_MAX ? wall_ms : SL_WALL_MS_MAX;
}

/* The first of n consecutive clock values for changes captured at wall_ms: max(last + 1, wall_ms <<
 * 16). *last becomes the last of the n. n > 0. A wall beyond SL_WALL_MS_MAX counts as that. */
uint64_t sl_hlc_take(uint64_t *last, uint64_t wall_ms, uint64_t n);

static inline uint64_t sl_hlc_ms(uint64_t hlc)
{
    return hlc >> SL_HLC_COUNTER_BITS;
}

/* < 0, 0, > 0 as a is earlier than, the same as, or later than b. */
int sl_stamp_compare(const struct sl_stamp *a, const struct sl_stamp *b);

#endif
