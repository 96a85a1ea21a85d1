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
