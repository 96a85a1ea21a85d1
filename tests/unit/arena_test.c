/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/arena.h"

#include "base/limits.h"
#include "tests/unit/counting_allocator.h"

#include <criterion/criterion.h>
#include <string.h>

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static struct sl_arena arena;

static void start(void)
{
    sl_arena_init(&arena, &counted);
}

static void stop(void)
{
    sl_arena_fini(&arena);
    cr_expect_eq(counting.blocks, 0);
}

TestSuite(arena, .init = start, .fini = stop);

/* Allocates `count` pieces and fills them; what one held stays when others are made. */
static void fill(size_t count, size_t size)
{
    uint8_t *pieces[200];
    cr_assert_leq(count, 200);
    for (size_t i = 0; i < count; i++) {
        pieces[i] = sl_arena_alloc(&arena, size);
        cr_assert_not_null(pieces[i]);
        cr_assert_eq((uintptr_t)pieces[i] % 16, 0);
        for (size_t at = 0; at < size; at++) {
            cr_assert_eq(pieces[i][at], 0, "not zero");
        }
        memset(pieces[i], (int)i + 1, size);
    }
    for (size_t i = 0; i < count && size > 0; i++) {
        cr_assert_eq(pieces[i][0], (uint8_t)(i + 1));
        cr_assert_eq(pieces[i][size - 1], (uint8_t)(i + 1));
    }
}

/* After one round, however many blocks it took, a round like it - and one that is a fifth larger -
 * takes no block more. */
Test(arena, rounds)
{
    static const struct {
        size_t count;
        size_t size;
    } rounds[] = {{1, 1}, {200, 0}, {200, 1000}, {30, 100000}, {1, 3000000}, {7, 65536}};
    for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        sl_arena_fini(&arena);
        fill(rounds[i].count, rounds[i].size);
        sl_arena_reset(&arena);
        cr_assert_eq(arena.used, 0);
        cr_expect_eq(counting.blocks, 1);
        long calls = counting.calls;
        for (int round = 0; round < 3; round++) {
            fill(rounds[i].count, rounds[i].size + (round == 0 ? rounds[i].size / 5 : 0));
            sl_arena_reset(&arena);
        }
        cr_expect_eq(counting.calls, calls, "round %zu: %ld calls", i, counting.calls - calls);
    }
}

/* What is kept has a limit; up to it, rounds that come near it allocate no more. What goes beyond
 * it is given back, but not what stays within. */
Test(arena, limit)
{
    static const size_t limits[] = {1000, 20000, 100000, SL_ARENA_KEPT_MAX};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t piece = limits[i] / 10 / 16 * 16;
        fill(9, piece); /* with half as much again it would be too much */
        sl_arena_reset_to(&arena, limits[i]);
        cr_expect_eq(counting.blocks, 1);
        cr_expect_leq(sl_arena_size(&arena), limits[i]);
        long calls = counting.calls;
        for (int round = 0; round < 3; round++) {
            fill(10, piece);
            sl_arena_reset_to(&arena, limits[i]);
        }
        cr_expect_eq(counting.calls, calls, "%zu: %ld calls", limits[i], counting.calls - calls);
        fill(20, piece);
        sl_arena_reset_to(&arena, limits[i]);
        cr_expect_leq(counting.blocks, 1);
        cr_expect_leq(sl_arena_size(&arena), limits[i]);
        sl_arena_reset_to(&arena, limits[i]);
        fill(1, 10);
        sl_arena_fini(&arena);
        sl_arena_reset(&arena);
        cr_expect_eq(counting.blocks, 0);
    }
}

/* Room that was reserved is used, and what is there already is not asked for again. */
Test(arena, reserve)
{
    cr_assert(sl_arena_reserve(&arena, 0));
    cr_expect_eq(counting.calls, 0);
    cr_assert(sl_arena_reserve(&arena, 300000));
    cr_assert(sl_arena_reserve(&arena, 300000));
    cr_assert(sl_arena_reserve(&arena, 1));
    cr_expect_eq(counting.calls, 1);
    cr_expect_eq(sl_arena_size(&arena), 300000);
    fill(3, 100000);
    cr_expect_eq(counting.calls, 1);
    sl_arena_reset(&arena);
    cr_assert(sl_arena_reserve(&arena, 1000000));
    cr_expect_eq(counting.blocks, 1);
    fill(10, 100000);
    cr_expect_eq(counting.blocks, 1);
}

/* Without memory nothing is handed out and nothing lost: what is there can be used. */
Test(arena, no_memory)
{
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_assert_null(sl_arena_alloc(&arena, 1));
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_assert_null(sl_arena_copy(&arena, "abc", 4));
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_assert(!sl_arena_reserve(&arena, 100));
    cr_assert_null(sl_arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(sl_arena_alloc(&arena, SIZE_MAX / 2));
    cr_assert(counting_has_failed(&counting));

    fill(100, 10000);
    counting_fail_at(&counting, 1, COUNTING_ANY);
    sl_arena_reset(&arena); /* no memory for one block instead of several */
    cr_assert(counting_has_failed(&counting));
    cr_expect_eq(counting.blocks, 1);
    const char *copy = sl_arena_copy(&arena, "abc", 4);
    cr_assert_not_null(copy);
    cr_assert_str_eq(copy, "abc");
    fill(100, 10000);
}
