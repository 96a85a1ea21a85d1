/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/stamp.h"

uint64_t sl_hlc_take(uint64_t *last, uint64_t wall_ms, uint64_t n)
{
    uint64_t first = *last + 1;
    uint64_t wall = sl_wall_ms_clip(wall_ms) << SL_HLC_COUNTER_BITS;
    if (wall > first) {
        first = wall;
    }
    *last = first + (n - 1);
    return first;
}

int sl_stamp_compare(const struct sl_stamp *a, const struct sl_stamp *b)
{
    if (a->hlc != b->hlc) {
        return a->hlc < b->hlc ? -1 : 1;
    }
    int order = sl_uuid_compare(&a->origin.device, &b->origin.device);
    if (order != 0) {
        return order;
    }
    if (a->origin.epoch != b->origin.epoch) {
        return a->origin.epoch < b->origin.epoch ? -1 : 1;
    }
    return 0;
}
