/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/uuid_new.h"

#include "base/vector.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* An environment where time stands still and randomness is one byte over and over, or fails. */
struct still {
    uint64_t ms;
    uint8_t byte;
    enum syncline_status status;
};

static uint64_t still_ms(void *ctx)
{
    return ((struct still *)ctx)->ms;
}

static enum syncline_status still_random(void *ctx, void *out, size_t size)
{
    const struct still *still = ctx;
    if (still->status == SYNCLINE_OK)
        memset(out, still->byte, size);
    return still->status;
}

static struct sl_env still_env(struct still *still)
{
    return (struct sl_env){.wall_ms = still_ms, .random = still_random, .ctx = still};
}

/* The bits of the standard, with all random bits set: the largest start there is. */
Test(uuid_new, layout_with_all_bits_set)
{
    struct still still = {.ms = 0x0123456789ab, .byte = 0xff};
    struct sl_env env = still_env(&still);
    struct syncline_uuid uuid;
    cr_assert_eq(sl_uuid_new(&env, &uuid, 1), SYNCLINE_OK);
    char text[37];
    sl_uuid_format(&uuid, text);
    cr_assert_str_eq(text, "01234567-89ab-7fff-9fff-ffffffffffff");
}

/* Even from the largest start the counter carries into a spare bit: version and variant stay. */
Test(uuid_new, counting_keeps_version_and_variant)
{
    struct still still = {.ms = 1, .byte = 0xff};
    struct sl_env env = still_env(&still);
    struct syncline_uuid uuids[3];
    cr_assert_eq(sl_uuid_new(&env, uuids, 3), SYNCLINE_OK);
    char text[37];
    sl_uuid_format(&uuids[1], text);
    cr_assert_str_eq(text, "00000000-0001-7fff-a000-000000000000");
    sl_uuid_format(&uuids[2], text);
    cr_assert_str_eq(text, "00000000-0001-7fff-a000-000000000001");
}

/* With no random bit set there is still a version and a variant. */
Test(uuid_new, layout_with_no_bits_set)
{
    struct still still = {.ms = 0, .byte = 0};
    struct sl_env env = still_env(&still);
    struct syncline_uuid uuid;
    cr_assert_eq(sl_uuid_new(&env, &uuid, 1), SYNCLINE_OK);
    char text[37];
    sl_uuid_format(&uuid, text);
    cr_assert_str_eq(text, "00000000-0000-7000-8000-000000000000");
}

/* The UUIDs of one call are one run: start plus index, in rising order. */
Test(uuid_new, a_call_is_a_run)
{
    size_t n = 70000;
    struct syncline_uuid *uuids = calloc(n, sizeof(*uuids));
    cr_assert_not_null(uuids);
    cr_assert_eq(syncline_uuid_new(uuids, n), SYNCLINE_OK);
    for (size_t i = 0; i < n; i++) {
        struct syncline_uuid expected = sl_uuid_add(&uuids[0], i);
        cr_assert(sl_uuid_equal(&uuids[i], &expected));
        cr_assert_eq(uuids[i].bytes[6] >> 4, 7);
        cr_assert_eq(uuids[i].bytes[8] >> 6, 2);
        if (i > 0)
            cr_assert_lt(sl_uuid_compare(&uuids[i - 1], &uuids[i]), 0);
    }
    free(uuids);
}

/* Two calls, in the same millisecond too, start at different places. */
Test(uuid_new, calls_do_not_meet)
{
    struct syncline_uuid first, second;
    cr_assert_eq(syncline_uuid_new(&first, 1), SYNCLINE_OK);
    cr_assert_eq(syncline_uuid_new(&second, 1), SYNCLINE_OK);
    cr_assert_neq(memcmp(first.bytes + 9, second.bytes + 9, 7), 0);
}

/* Nothing to fill is refused. */
Test(uuid_new, nothing_to_fill_is_refused)
{
    struct syncline_uuid uuid;
    cr_assert_eq(syncline_uuid_new(NULL, 1), SYNCLINE_EINVAL);
    cr_assert_eq(syncline_uuid_new(&uuid, 0), SYNCLINE_EINVAL);
}

/* Without randomness there is no UUID: the failure is handed on and nothing is written. */
Test(uuid_new, no_randomness_is_an_error)
{
    struct still still = {.ms = 1, .status = SYNCLINE_EIO};
    struct sl_env env = still_env(&still);
    struct syncline_uuid uuid = {{42}};
    cr_assert_eq(sl_uuid_new(&env, &uuid, 1), SYNCLINE_EIO);
    cr_assert(sl_uuid_equal(&uuid, &(struct syncline_uuid){{42}}));
}
