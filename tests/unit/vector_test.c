/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/vector.h"

#include <criterion/criterion.h>
#include <string.h>

/* Order is that of the bytes, as SQLite orders blobs: unsigned, first byte first. */
Test(vector, uuids_compare_as_bytes)
{
    struct syncline_uuid low = {{0x7f, 0xff}};
    struct syncline_uuid high = {{0x80, 0x00}};
    struct syncline_uuid last = {{0x7f, 0xff, [15] = 1}};
    cr_assert_lt(sl_uuid_compare(&low, &high), 0);
    cr_assert_gt(sl_uuid_compare(&high, &low), 0);
    cr_assert_lt(sl_uuid_compare(&low, &last), 0);
    cr_assert_eq(sl_uuid_compare(&low, &low), 0);
    cr_assert(sl_uuid_equal(&low, &low));
    cr_assert(!sl_uuid_equal(&low, &last));
}

/* An origin is a device and an epoch; either makes it another one. */
Test(vector, origins_differ_by_device_or_epoch)
{
    struct sl_origin origin = {.device = {{1}}, .epoch = 7};
    struct sl_origin other_device = {.device = {{2}}, .epoch = 7};
    struct sl_origin other_epoch = {.device = {{1}}, .epoch = 8};
    cr_assert(sl_origin_equal(&origin, &origin));
    cr_assert(!sl_origin_equal(&origin, &other_device));
    cr_assert(!sl_origin_equal(&origin, &other_epoch));
}

/* The text form of RFC 9562, lower case. */
Test(vector, formats_as_the_standard_does)
{
    struct syncline_uuid uuid = {{0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7c, 0xc3, 0x98, 0xc4, 0xdc,
                                  0x0c, 0x0c, 0x07, 0x39, 0x8f}};
    char text[37];
    memset(text, 'x', sizeof(text));
    sl_uuid_format(&uuid, text);
    cr_assert_str_eq(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

/* Adding carries through all bytes, up to the first. */
Test(vector, add_carries)
{
    struct syncline_uuid uuid = {{[14] = 0xff, [15] = 0xff}};
    struct syncline_uuid sum = sl_uuid_add(&uuid, 1);
    cr_assert(sl_uuid_equal(&sum, &(struct syncline_uuid){{[13] = 1}}));

    memset(uuid.bytes, 0xff, sizeof(uuid.bytes));
    uuid.bytes[0] = 0;
    sum = sl_uuid_add(&uuid, 1);
    cr_assert(sl_uuid_equal(&sum, &(struct syncline_uuid){{1}}));
}

/* A large step is one addition, beyond 64 bits too. */
Test(vector, add_of_a_large_number)
{
    struct syncline_uuid uuid = {{[15] = 2}};
    struct syncline_uuid sum = sl_uuid_add(&uuid, UINT64_MAX);
    cr_assert(sl_uuid_equal(&sum, &(struct syncline_uuid){{[7] = 1, [15] = 1}}));
    sum = sl_uuid_add(&uuid, 0);
    cr_assert(sl_uuid_equal(&sum, &uuid));
}

/* Past the last UUID comes the first. */
Test(vector, add_wraps)
{
    struct syncline_uuid uuid;
    memset(uuid.bytes, 0xff, sizeof(uuid.bytes));
    struct syncline_uuid sum = sl_uuid_add(&uuid, 2);
    cr_assert(sl_uuid_equal(&sum, &(struct syncline_uuid){{[15] = 1}}));
}

/* The UUID before one is one less, over all bytes; before the least is the greatest. */
Test(vector, before)
{
    struct syncline_uuid uuid = {{1}};
    uuid = sl_uuid_before(&uuid);
    cr_assert_eq(uuid.bytes[0], 0);
    for (size_t i = 1; i < sizeof(uuid.bytes); i++) {
        cr_assert_eq(uuid.bytes[i], 0xff);
    }
    uuid = sl_uuid_before(&uuid);
    cr_assert_eq(uuid.bytes[15], 0xfe);
    cr_assert_eq(uuid.bytes[14], 0xff);
    uuid = (struct syncline_uuid){{0}};
    uuid = sl_uuid_before(&uuid);
    cr_assert_eq(uuid.bytes[0], 0xff);
    cr_assert_eq(uuid.bytes[15], 0xff);
}

/* UUIDs that count up, as a batch of new records has them, spread over a table's slots as well as
 * any others. */
Test(vector, hashes_of_neighbours_spread)
{
    enum { UUIDS = 4096, SLOTS = 8192 };
    static bool taken[SLOTS];
    unsigned distinct = 0;
    for (unsigned i = 0; i < UUIDS; i++) {
        struct syncline_uuid uuid = {{0x01, 0x9a, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i}};
        bool *slot = &taken[sl_uuid_hash(&uuid) % SLOTS];
        distinct += *slot ? 0 : 1;
        *slot = true;
    }
    cr_expect_gt(distinct, UUIDS * 3 / 5, "%u slots", distinct); /* by chance it is 0.79 of them */
}
