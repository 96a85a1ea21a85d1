/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/range_parts.h"

void sl_range_parts_init(struct sl_range_parts *parts)
{
    parts->count = 0;
    parts->shift = 0;
    parts->len = 0;
}

/* Makes one part of every two. */
static void halve(struct sl_range_parts *parts)
{
    for (size_t i = 0; i < SL_RANGE_PARTS_MAX / 2; i++) {
        const struct sl_range_part *pair = &parts->parts[2 * i];
        parts->parts[i] =
            (struct sl_range_part){.first = pair[0].first, .sum = pair[0].sum + pair[1].sum};
    }
    parts->len = SL_RANGE_PARTS_MAX / 2;
    parts->shift++;
}

void sl_range_parts_add(struct sl_range_parts *parts, const struct syncline_uuid *uuid,
                        uint64_t hash)
{
    if (parts->count == (uint64_t)SL_RANGE_PARTS_MAX << parts->shift) {
        halve(parts);
    }
    if ((parts->count & (((uint64_t)1 << parts->shift) - 1)) == 0) {
        parts->parts[parts->len++] = (struct sl_range_part){.first = *uuid, .sum = hash};
    } else {
        parts->parts[parts->len - 1].sum += hash;
    }
    parts->count++;
}

uint32_t sl_range_parts_shift(uint64_t count)
{
    uint32_t shift = 0;
    while (count > 0 && (count - 1) >> shift >= SL_RANGE_PARTS_MAX) {
        shift++;
    }
    return shift;
}

uint32_t sl_range_parts_len(uint64_t count)
{
    return count == 0 ? 0 : (uint32_t)((count - 1) >> sl_range_parts_shift(count)) + 1;
}

uint64_t sl_range_part_count(const struct sl_range_parts *parts, size_t index)
{
    return index + 1 < parts->len ? (uint64_t)1 << parts->shift
                                  : parts->count - ((uint64_t)index << parts->shift);
}
