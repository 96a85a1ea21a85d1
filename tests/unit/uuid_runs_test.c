/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/uuid_runs.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "base/stamp.h"
#include "tests/unit/counting_allocator.h"

#include <criterion/criterion.h>

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static struct sl_uuid_runs runs;
static struct sl_buf bytes;

static void start(void)
{
    sl_uuid_runs_init(&runs, &counted);
    sl_buf_init(&bytes, &sl_allocator_libc);
}

static void stop(void)
{
    sl_uuid_runs_fini(&runs);
    sl_buf_fini(&bytes);
    cr_expect_eq(counting.blocks, 0);
}

TestSuite(uuid_runs, .init = start, .fini = stop);

static struct syncline_uuid uuid_of(uint32_t number)
{
    struct syncline_uuid uuid = {{0}};
    for (size_t i = 0; i < 4; i++) {
        uuid.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    }
    return uuid;
}

/* The outbox row of `count` runs of `n` UUIDs each, with a gap of one after each. */
static struct sl_outbox_row row_of(int64_t model, uint32_t count, uint32_t n)
{
    sl_buf_clear(&bytes);
    for (uint32_t i = 0; i < count; i++) {
        struct syncline_uuid first = uuid_of(i * (n + 1));
        sl_buf_bytes(&bytes, first.bytes, sizeof(first.bytes));
        sl_buf_u32(&bytes, n);
    }
    cr_assert(!bytes.failed);
    return (struct sl_outbox_row){.model = model, .uuids = bytes.data, .uuids_size = bytes.len};
}

static bool have(int64_t model, uint32_t number)
{
    struct syncline_uuid uuid = uuid_of(number);
    return sl_uuid_runs_have(&runs, model, &uuid);
}

/* The records of a row are those of its runs, of its model, without the first ones to skip. */
Test(uuid_runs, add_and_have)
{
    struct sl_outbox_row row = row_of(7, 3, 4); /* 0-3, 5-8, 10-13 */
    cr_assert(sl_uuid_runs_add(&runs, &row, 6));
    for (uint32_t number = 0; number < 20; number++) {
        bool wanted = number == 7 || number == 8 || (number >= 10 && number <= 13);
        cr_expect_eq(have(7, number), wanted, "%u", number);
        cr_expect(!have(8, number));
    }
    sl_uuid_runs_clear(&runs);
    cr_expect(!have(7, 7));
}

/* What was cleared is filled again without an allocation - up to a limit, beyond which it goes. */
Test(uuid_runs, memory)
{
    uint32_t most = (uint32_t)(SL_ARENA_KEPT_MAX / sizeof(struct sl_uuid_run));
    struct sl_outbox_row row = row_of(1, most, 1);
    cr_assert(sl_uuid_runs_add(&runs, &row, 0));
    sl_uuid_runs_clear(&runs);
    long calls = counting.calls;
    cr_assert(sl_uuid_runs_add(&runs, &row, 0));
    cr_expect(have(1, 2 * (most - 1)));
    cr_expect_eq(counting.calls, calls);
    row = row_of(1, most + 1, 1);
    sl_uuid_runs_clear(&runs);
    cr_assert(sl_uuid_runs_add(&runs, &row, 0));
    cr_expect_eq(counting.blocks, 1);
    sl_uuid_runs_clear(&runs);
    cr_expect_eq(counting.blocks, 0);
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_expect(!sl_uuid_runs_add(&runs, &row, 0));
    cr_assert(counting_has_failed(&counting));
    cr_expect(sl_uuid_runs_add(&runs, &row, 0));
}
