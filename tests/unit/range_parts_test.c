/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/range_parts.h"

#include <criterion/criterion.h>

static struct syncline_uuid uuid_of(uint64_t n)
{
    struct syncline_uuid uuid = {{0x01, 0x9a}};
    for (size_t i = 0; i < 8; i++) {
        uuid.bytes[15 - i] = (uint8_t)(n >> 8 * i);
    }
    return uuid;
}

static uint64_t hash_of(uint64_t n)
{
    return (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Checks that the parts are those of the records 0 to n - 1. */
static void check(const struct sl_range_parts *parts, uint64_t n)
{
    cr_assert_eq(parts->count, n);
    cr_assert_eq(parts->shift, sl_range_parts_shift(n), "%llu", (unsigned long long)n);
    cr_assert_eq(parts->len, sl_range_parts_len(n), "%llu", (unsigned long long)n);
    uint64_t at = 0;
    for (size_t i = 0; i < parts->len; i++) {
        struct syncline_uuid first = uuid_of(at);
        uint64_t sum = 0;
        uint64_t count = sl_range_part_count(parts, i);
        cr_assert_arr_eq(parts->parts[i].first.bytes, first.bytes, 16);
        cr_assert(i + 1 == parts->len ? count >= 1 && count <= (uint64_t)1 << parts->shift
                                      : count == (uint64_t)1 << parts->shift);
        for (uint64_t k = 0; k < count; k++) {
            sum += hash_of(at++);
        }
        cr_assert_eq(parts->parts[i].sum, sum, "part %zu of %llu", i, (unsigned long long)n);
    }
    cr_assert_eq(at, n);
}

/* After each record the parts are those of all so far: single ones up to the limit, then more than
 * half as many as the limit, of equal count but for the last. */
Test(range_parts, every_count_is_split_into_equal_parts)
{
    struct sl_range_parts parts;
    sl_range_parts_init(&parts);
    check(&parts, 0);
    for (uint64_t n = 0; n < 2100; n++) {
        struct syncline_uuid uuid = uuid_of(n);
        sl_range_parts_add(&parts, &uuid, hash_of(n));
        check(&parts, n + 1);
        cr_assert_eq(parts.shift == 0, n + 1 <= SL_RANGE_PARTS_MAX);
        cr_assert(parts.shift == 0 || parts.len > SL_RANGE_PARTS_MAX / 2);
    }
}

/* The figures at both sides of each limit, and of as many as a wire can say. */
Test(range_parts, counts_and_shifts)
{
    cr_expect_eq(sl_range_parts_len(0), 0);
    cr_expect_eq(sl_range_parts_shift(0), 0);
    cr_expect_eq(sl_range_parts_len(64), 64);
    cr_expect_eq(sl_range_parts_shift(64), 0);
    cr_expect_eq(sl_range_parts_len(65), 33);
    cr_expect_eq(sl_range_parts_shift(65), 1);
    cr_expect_eq(sl_range_parts_len(128), 64);
    cr_expect_eq(sl_range_parts_len(129), 33);
    cr_expect_eq(sl_range_parts_len(1000000), 62);
    cr_expect_eq(sl_range_parts_shift(1000000), 14);
    cr_expect_eq(sl_range_parts_len(UINT64_MAX >> 8), 64);
    cr_expect_eq(sl_range_parts_shift(UINT64_MAX >> 8), 50);
}
