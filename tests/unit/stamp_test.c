/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/stamp.h"

#include <criterion/criterion.h>

/* The wall leads while it is ahead; the counter leads when it stands still or goes back. */
Test(stamp, the_clock_never_goes_back)
{
    uint64_t last = 0;
    cr_assert_eq(sl_hlc_take(&last, 1000, 1), 1000u << 16);
    cr_assert_eq(last, 1000u << 16);
    cr_assert_eq(sl_hlc_take(&last, 1000, 1), (1000u << 16) + 1);
    cr_assert_eq(sl_hlc_take(&last, 5, 1), (1000u << 16) + 2);
    cr_assert_eq(sl_hlc_take(&last, 1001, 1), 1001u << 16);
}

/* n values are taken at once: the next take begins after the last of them. */
Test(stamp, takes_n_at_once)
{
    uint64_t last = 0;
    cr_assert_eq(sl_hlc_take(&last, 10, 1000), 10u << 16);
    cr_assert_eq(last, (10u << 16) + 999);
    cr_assert_eq(sl_hlc_take(&last, 10, 3), (10u << 16) + 1000);
    cr_assert_eq(last, (10u << 16) + 1002);
}

/* A full counter carries into the milliseconds; the wall catches up from there. */
Test(stamp, the_counter_carries)
{
    uint64_t last = 0;
    (void)sl_hlc_take(&last, 10, 65536);
    cr_assert_eq(last, (10u << 16) + 65535);
    uint64_t first = sl_hlc_take(&last, 10, 2);
    cr_assert_eq(first, 11u << 16);
    cr_assert_eq(sl_hlc_ms(first), 11);
    cr_assert_eq(sl_hlc_take(&last, 11, 1), (11u << 16) + 2);
    cr_assert_eq(sl_hlc_take(&last, 12, 1), 12u << 16);
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

/* Stamps are in one total order: clock, then device, then epoch. */
Test(stamp, total_order)
{
    const struct sl_stamp stamps[] = {
        {.hlc = 1, .origin = {.device = {{9}}, .epoch = 9}},
        {.hlc = 2, .origin = {.device = {{1}}, .epoch = 9}},
        {.hlc = 2, .origin = {.device = {{2}}, .epoch = 1}},
        {.hlc = 2, .origin = {.device = {{2}}, .epoch = 2}},
        {.hlc = 2, .origin = {.device = {{0x80}}, .epoch = 0}},
        {.hlc = UINT64_MAX, .origin = {.device = {{0}}, .epoch = 0}},
    };
    const int count = (int)(sizeof(stamps) / sizeof(stamps[0]));
    for (int a = 0; a < count; a++) {
        for (int b = 0; b < count; b++) {
            cr_assert_eq(sign(sl_stamp_compare(&stamps[a], &stamps[b])), sign(a - b), "%d %d", a,
                         b);
        }
    }
}

/* 10,000,000 values, taken one by one and many at once under a wall that jumps, falls, stands still
 * and in the end shows nonsense, and merged with values of others: each is above the one before,
 * and at least the wall. */
Test(stamp, rises_whatever_the_wall_does)
{
    uint64_t seed = 20260117;
    uint64_t wall_ms = 1767225600000u;
    uint64_t last = 0;
    uint64_t taken = 0;
    while (taken < 10000000) {
        seed ^= seed << 13; /* xorshift64 */
        seed ^= seed >> 7;
        seed ^= seed << 17;
        uint64_t step = (seed >> 8) & 0xffff;
        switch (seed & 15) {
        case 0:
            wall_ms += step;
            break;
        case 1:
            wall_ms = wall_ms > step ? wall_ms - step : 0;
            break;
        case 2:
            wall_ms = step * step * 3000; /* from 1970 to 2378 */
            break;
        case 3:
            wall_ms = taken > 9000000 ? seed : wall_ms; /* nonsense, for the rest of it */
            break;
        case 4:
            last = (seed & 0x100) != 0 && last < UINT64_MAX / 4 ? last + step : last; /* merged */
            break;
        default:
            break; /* it stands still */
        }
        uint64_t n = (seed & 0x30) == 0 ? 1 + (step << 2) : 1; /* up to four carries at once */
        uint64_t before = last;
        uint64_t first = sl_hlc_take(&last, wall_ms, n);
        cr_assert(first > before && last == first + (n - 1), "after %llu values",
                  (unsigned long long)taken);
        cr_assert_geq(sl_hlc_ms(first), sl_wall_ms_clip(wall_ms));
        taken += n < 10 ? n : 10; /* the long ones do not count for more */
    }
    cr_assert_lt(last, UINT64_C(1) << 63);
}

/* 1,000,000 changes in one ms are 16 ms of clock values, and the wall takes over again. */
Test(stamp, a_frozen_wall)
{
    uint64_t last = 0;
    for (int i = 0; i < 1000000; i++) {
        (void)sl_hlc_take(&last, 1000, 1);
    }
    cr_expect_eq(last, (1000u << 16) + 999999);
    cr_expect_eq(sl_hlc_ms(last), 1015);
    cr_expect_eq(sl_hlc_take(&last, 1015, 1), (1000u << 16) + 1000000);
    cr_expect_eq(sl_hlc_take(&last, 1016, 1), 1016u << 16);
}

/* A wall beyond the year 4199 counts as that, up to which it counts as it is. */
Test(stamp, a_wall_that_shows_nonsense)
{
    uint64_t last = 0;
    cr_expect_eq(sl_hlc_take(&last, SL_WALL_MS_MAX - 1, 1), (SL_WALL_MS_MAX - 1) << 16);
    cr_expect_eq(sl_hlc_take(&last, SL_WALL_MS_MAX, 1), SL_WALL_MS_MAX << 16);
    cr_expect_eq(sl_hlc_take(&last, SL_WALL_MS_MAX + 1, 1), (SL_WALL_MS_MAX << 16) + 1);
    cr_expect_eq(sl_hlc_take(&last, UINT64_MAX, 1), (SL_WALL_MS_MAX << 16) + 2);
}
