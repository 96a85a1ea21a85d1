/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/alloc.h"

#include "tests/unit/counting_allocator.h"

#include <criterion/criterion.h>
#include <string.h>

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};

/* Blocks are made, grow with what they hold, and go back where they came from; the memory of calloc
 * is zero whatever it was before. */
Test(alloc, blocks)
{
    const struct sl_allocator *both[] = {&sl_allocator_libc, &counted};
    for (size_t i = 0; i < 2; i++) {
        char *block = sl_alloc(both[i], 100);
        cr_assert_not_null(block);
        cr_expect_eq((uintptr_t)block % alignof(max_align_t), 0);
        memset(block, 'x', 100);
        block = sl_resize(both[i], block, 1000, 100);
        cr_assert_not_null(block);
        for (size_t at = 0; at < 100; at++) {
            cr_assert_eq(block[at], 'x');
        }
        sl_free(both[i], block);
        for (int round = 0; round < 4; round++) {
            char *zero = sl_calloc(both[i], 10, 10);
            cr_assert_not_null(zero);
            for (size_t at = 0; at < 100; at++) {
                cr_assert_eq(zero[at], 0);
            }
            memset(zero, 'x', 100);
            sl_free(both[i], zero);
        }
    }
    cr_expect_eq(counting.blocks, 0);
}

/* No memory is NULL and leaves the block as it was; so is more than there are addresses for, which
 * the allocator is not even asked. Nothing at all is a block too, and no block is freed quietly. */
Test(alloc, edges)
{
    char *block = sl_alloc(&counted, 4);
    cr_assert_not_null(block);
    memcpy(block, "abc", 4);
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_expect_null(sl_resize(&counted, block, 100, 1));
    cr_assert(counting_has_failed(&counting));
    cr_expect_str_eq(block, "abc");
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_expect_null(sl_alloc(&counted, 1));
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_expect_null(sl_calloc(&counted, 1, 1));
    cr_assert(counting_has_failed(&counting));

    long calls = counting.calls;
    cr_expect_null(sl_calloc(&counted, SIZE_MAX / 2, 3));
    cr_expect_null(sl_resize(&counted, block, 3, SIZE_MAX / 2));
    sl_free(&counted, NULL);
    cr_expect_eq(counting.calls, calls);

    void *nothing[] = {sl_alloc(&counted, 0), sl_calloc(&counted, 0, 8), sl_calloc(&counted, 8, 0)};
    for (size_t i = 0; i < 3; i++) {
        cr_expect_not_null(nothing[i]);
        sl_free(&counted, nothing[i]);
    }
    block = sl_resize(&counted, block, 0, 8);
    cr_expect_not_null(block);
    cr_expect_eq(counting.blocks, 1);
    sl_free(&counted, block);
    cr_expect_eq(counting.blocks, 0);
}

/* An array that grows by one item at a time keeps what is in it and asks for memory seldom. Without
 * memory, and with more than there are addresses for, it stays as it was. */
Test(alloc, arrays_grow)
{
    uint32_t *items = NULL;
    size_t capacity = 0;
    for (uint32_t len = 0; len < 1000; len++) {
        uint32_t *grown = sl_grow(&counted, items, len, &capacity, sizeof(*items));
        cr_assert_not_null(grown);
        cr_assert_gt(capacity, len);
        items = grown;
        items[len] = len;
    }
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(items[i], i);
    }
    cr_expect_leq(counting.calls, 10);
    size_t before = capacity;
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_expect_null(sl_grow(&counted, items, capacity, &capacity, sizeof(*items)));
    cr_assert(counting_has_failed(&counting));
    cr_expect_eq(capacity, before);
    cr_expect_eq(items[999], 999);
    cr_expect_eq(sl_grow(&counted, items, capacity - 1, &capacity, sizeof(*items)), items);
    size_t endless = SIZE_MAX / 2 + 1;
    cr_expect_null(sl_grow(&counted, items, endless, &endless, 1));
    cr_expect_eq(endless, SIZE_MAX / 2 + 1);
    sl_free(&counted, items);
    cr_expect_eq(counting.blocks, 0);
}
