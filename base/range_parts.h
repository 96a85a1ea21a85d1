/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The records of a range of UUIDs, summed up in at most SL_RANGE_PARTS_MAX parts of equal count,
 * so that two devices find what differs without sending what does not.
 *
 * Parts are cut by count and not by prefix: UUIDs of version 7 begin alike. Records come one by one
 * in the order of their UUIDs, and nobody counts them first: each is a part of its own until there
 * are no more parts; then every two become one, and parts are twice as large from there on. So one
 * that holds a single record names it, and who gets parts of several asks again for those that
 * differ.
 *
 * A part's sum is that of its records' hashes, modulo 2^64: it does not depend on how records were
 * put together before. A value; any thread. */

#ifndef SL_RANGE_PARTS_H
#define SL_RANGE_PARTS_H

#include <stddef.h>

#include "base/limits.h"
#include "include/syncline.h"

struct sl_range_part {
    struct syncline_uuid first; /* of its first record; it reaches to before the next part's */
    uint64_t sum;               /* of its records' hashes */
};

struct sl_range_parts {
    uint64_t count; /* records */
    uint32_t shift; /* each part has 1 << shift of them, the last what is left */
    uint32_t len;   /* parts */
    struct sl_range_part parts[SL_RANGE_PARTS_MAX];
};

void sl_range_parts_init(struct sl_range_parts *parts);
/* The next record, whose UUID is greater than all before; `hash` is of its content. */
void sl_range_parts_add(struct sl_range_parts *parts, const struct syncline_uuid *uuid,
                        uint64_t hash);
/* The shift and the number of parts that so many records are put into. */
uint32_t sl_range_parts_shift(uint64_t count);
uint32_t sl_range_parts_len(uint64_t count);
/* Records of one part. */
uint64_t sl_range_part_count(const struct sl_range_parts *parts, size_t index);

#endif
