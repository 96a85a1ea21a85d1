/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/mentions.h"

#include "base/limits.h"
#include "tests/unit/counting_allocator.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static struct sl_mentions mentions;

static void start(void)
{
    sl_mentions_init(&mentions, &counted);
}

static void stop(void)
{
    sl_mentions_fini(&mentions);
    cr_expect_eq(counting.blocks, 0);
}

TestSuite(mentions, .init = start, .fini = stop);

static struct syncline_uuid uuid_of(uint32_t number)
{
    struct syncline_uuid uuid = {{0}};
    for (size_t i = 0; i < 4; i++) {
        uuid.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    }
    return uuid;
}

static bool add(int64_t model, uint32_t number, uint32_t n, int64_t row, uint32_t at)
{
    struct syncline_uuid first = uuid_of(number);
    struct sl_mention_place place = {.row = row, .at = at};
    return sl_mentions_add(&mentions, model, &first, n, place);
}

static struct sl_mention_place last(int64_t model, uint32_t number)
{
    struct syncline_uuid uuid = uuid_of(number);
    return sl_mentions_last(&mentions, model, &uuid);
}

/* The last row that names a record counts, wherever runs overlap, and each model has its own. */
Test(mentions, last_of_runs)
{
    cr_assert(add(7, 100, 50, 1, 3));
    cr_assert(add(7, 120, 10, 2, 0));
    cr_assert(add(7, 125, 1, 3, 9));
    cr_assert(add(8, 100, 1, 4, 0));
    cr_expect_eq(last(7, 99).row, 0);
    cr_expect_eq(last(7, 100).row, 1);
    cr_expect_eq(last(7, 100).at, 3);
    cr_expect_eq(last(7, 119).at, 22);
    cr_expect_eq(last(7, 129).row, 2);
    cr_expect_eq(last(7, 129).at, 9);
    cr_expect_eq(last(7, 125).row, 3);
    cr_expect_eq(last(7, 149).row, 1);
    cr_expect_eq(last(7, 150).row, 0);
    cr_expect_eq(last(8, 100).row, 4);
    cr_expect_eq(last(8, 101).row, 0);
    sl_mentions_clear(&mentions);
    cr_expect_eq(last(7, 100).row, 0);
}

/* Against the plainest way to answer, while much is added and some forgotten. */
Test(mentions, as_looked_through)
{
    enum { RECORDS = 600, ADDS = 5000, MODELS = 2 };
    static struct sl_mention_place expected[MODELS][RECORDS];
    memset(expected, 0, sizeof(expected));
    uint64_t random = 12345;
    int64_t forgotten = 0;
    for (int64_t row = 1; row <= ADDS; row++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t number = (uint32_t)(random >> 33) % RECORDS;
        uint32_t n = (random >> 20) % 4 != 0 ? 1 : 1 + (uint32_t)(random >> 24) % 40;
        uint32_t model = (uint32_t)(random >> 61) % MODELS;
        n = number + n > RECORDS ? RECORDS - number : n;
        cr_assert(add(model, number, n, row, 5));
        for (uint32_t i = 0; i < n; i++) {
            expected[model][number + i] = (struct sl_mention_place){.row = row, .at = 5 + i};
        }
        if (row % 700 == 0) {
            forgotten = row - 300;
            sl_mentions_forget(&mentions, forgotten);
        }
        for (uint32_t i = 0; i < (row % 50 == 0 ? RECORDS : 1u); i++) {
            struct sl_mention_place place = last(model, i);
            bool is_forgotten = expected[model][i].row < forgotten && place.row == 0;
            cr_assert(is_forgotten || (place.row == expected[model][i].row &&
                                       place.at == expected[model][i].at),
                      "row %lld, record %u", (long long)row, i);
        }
    }
    cr_expect_lt(mentions.len, ADDS / 2, "what is forgotten, or named again, takes no room");
    sl_mentions_forget(&mentions, ADDS + 1);
    cr_expect_eq(mentions.len, 0);
}

/* Nobody asks: what is forgotten takes no room for ever, either. */
Test(mentions, forgotten_without_being_asked)
{
    for (uint32_t i = 0; i < 200000; i++) {
        sl_mentions_forget(&mentions, (int64_t)i - 10);
        cr_assert(add(1, i % 5000, 1, 1 + i, 0));
    }
    cr_expect_lt(mentions.len, 1000);
    cr_expect_lt(mentions.capacity, 4000);
    cr_expect_eq(last(1, 199999 % 5000).row, 200000);
}

/* Many records that are named again one by one, after a call that named them all. */
Test(mentions, within_a_long_run)
{
    enum { RECORDS = 100000 };
    cr_assert(add(1, 0, RECORDS + 1, 1, 0));
    for (uint32_t i = 0; i < RECORDS; i++) {
        cr_assert(add(1, i, 1, 2 + i, 0));
    }
    clock_t start = clock();
    for (uint32_t i = 0; i < RECORDS; i++) {
        cr_assert_eq(last(1, i).row, 2 + i);
    }
    cr_expect_eq(last(1, RECORDS).row, 1);
    cr_expect_lt((clock() - start) / CLOCKS_PER_SEC, 5, "each is looked for among all");
}

/* Sorted at once or bit by bit: the same. */
Test(mentions, many_at_once)
{
    for (uint32_t i = 0; i < 20000; i++) {
        cr_assert(add(1, (i * 7919) % 20011, 1, 1 + i, 0));
    }
    for (uint32_t i = 0; i < 20000; i++) {
        cr_assert_eq(last(1, (i * 7919) % 20011).row, 1 + i);
    }
    cr_expect_eq(last(1, 20011).row, 0);
}

/* What was cleared is filled again without an allocation - up to a limit, beyond which it goes. */
Test(mentions, memory)
{
    sl_mentions_prepare(&mentions, 1000);
    long calls = counting.calls;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            cr_assert(add(1, i * 2, 1, 1, i));
        }
        sl_mentions_clear(&mentions);
    }
    cr_expect_eq(counting.calls, calls);
    for (uint32_t i = 0; i < SL_ARENA_KEPT_MAX / 16; i++) {
        cr_assert(add(1, i, 1, 1, i));
    }
    cr_expect_eq(counting.blocks, 1);
    sl_mentions_clear(&mentions);
    cr_expect_eq(counting.blocks, 0);
}

/* No memory to sort beside: it is sorted in its place. No memory to add: it is said. */
Test(mentions, no_memory)
{
    sl_mentions_prepare(&mentions, 200);
    for (uint32_t i = 0; i < 200; i++) {
        cr_assert(add(1, 400 - 2 * i, 1, 1 + i, 0));
    }
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_expect_eq(last(1, 400).row, 1);
    cr_assert(counting_has_failed(&counting));
    for (uint32_t i = 0; i < 200; i++) {
        cr_expect_eq(last(1, 400 - 2 * i).row, 1 + i);
        cr_expect_eq(last(1, 401 - 2 * i).row, 0);
    }
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_expect(!add(1, 1000, 1, 500, 0));
    cr_assert(counting_has_failed(&counting));
    cr_expect_eq(last(1, 1000).row, 0);
    cr_expect(add(1, 1000, 1, 500, 0));
    cr_expect_eq(last(1, 1000).row, 500);
}
