/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/staging.h"

#include "tests/unit/failing_malloc.h"

#include <criterion/criterion.h>

static struct sl_staging staging;
static const struct sl_budget budget = {
    .staged = SL_STAGED_LEN_MAX, .staged_kept = 4096, .large = 1000};

static void start(void)
{
    cr_assert_eq(sl_staging_init(&staging, &sl_allocator_libc, &budget), SYNCLINE_OK);
}

static void stop(void)
{
    sl_staging_fini(&staging);
}

TestSuite(staging, .init = start, .fini = stop);

static size_t len_of(const struct sl_batch *list)
{
    size_t len = 0;
    for (; list != NULL; list = list->next) {
        len++;
    }
    return len;
}

/* As many as asked for, or none: a capture that cannot have all takes nothing from others. */
Test(staging, all_or_none)
{
    cr_assert_null(sl_staging_take(&staging, SL_STAGED_LEN_MAX + 1, 0));
    struct sl_batch *most = sl_staging_take(&staging, SL_STAGED_LEN_MAX - 1, 0);
    cr_assert_eq(len_of(most), SL_STAGED_LEN_MAX - 1);
    cr_assert_null(sl_staging_take(&staging, 2, 0));
    struct sl_batch *last = sl_staging_take(&staging, 1, 0);
    cr_assert_eq(len_of(last), 1);
    cr_assert_null(sl_staging_take(&staging, 1, 0));
    cr_assert(sl_staging_give(&staging, last));
    cr_assert(sl_staging_give(&staging, most));
    most = sl_staging_take(&staging, SL_STAGED_LEN_MAX, 0);
    cr_assert_eq(len_of(most), SL_STAGED_LEN_MAX);
    cr_assert(sl_staging_give(&staging, most));
}

/* Batches come out in the order they were pushed, list after list; the ring takes all of them. */
Test(staging, order)
{
    uint64_t token = 0;
    for (size_t left = SL_STAGED_LEN_MAX; left > 0;) {
        size_t count = left < 5 ? left : 5;
        struct sl_batch *list = sl_staging_take(&staging, count, 0);
        cr_assert_not_null(list);
        for (struct sl_batch *batch = list; batch != NULL; batch = batch->next) {
            batch->token = ++token;
        }
        sl_staging_push(&staging, list);
        left -= count;
    }
    for (uint64_t wanted = 1; wanted <= SL_STAGED_LEN_MAX; wanted++) {
        struct sl_batch *batch = sl_staging_pop(&staging);
        cr_assert_not_null(batch);
        cr_assert_eq(batch->token, wanted);
        cr_assert_null(batch->next);
        cr_assert(sl_staging_give(&staging, batch));
        cr_assert_eq(batch->token, 0);
    }
    cr_assert_null(sl_staging_pop(&staging));
}

/* The ring goes round: many times its slots pass through, in order. */
Test(staging, many_rounds)
{
    for (uint64_t token = 1; token < 1000; token++) {
        struct sl_batch *batch = sl_staging_take(&staging, 1, 0);
        cr_assert_not_null(batch);
        batch->token = token;
        sl_staging_push(&staging, batch);
        batch = sl_staging_pop(&staging);
        cr_assert(batch != NULL && batch->token == token);
        cr_assert(sl_staging_give(&staging, batch));
    }
}

/* What is of another pool is refused, so that its owner can try the next one. */
Test(staging, foreign_batches_are_refused)
{
    struct sl_batch_pool pool;
    cr_assert_eq(sl_batch_pool_init(&pool, &sl_allocator_libc, 1, 1000), SYNCLINE_OK);
    struct sl_batch *batch = sl_batch_take(&pool);
    batch->n = 5;
    cr_assert(!sl_staging_give(&staging, batch));
    cr_assert_eq(batch->n, 5);
    cr_assert(!sl_staging_give(&staging, NULL));
    sl_batch_pool_fini(&pool);
    struct sl_batch *all = sl_staging_take(&staging, SL_STAGED_LEN_MAX, 0);
    cr_assert_eq(len_of(all), SL_STAGED_LEN_MAX);
    cr_assert(sl_staging_give(&staging, all));
}

/* What is too large for batches is let in up to a limit; it counts until its batch comes back. */
Test(staging, large_batches)
{
    struct sl_batch *large = sl_staging_take(&staging, 2, 600);
    cr_assert_not_null(large);
    cr_assert_null(sl_staging_take(&staging, 1, 401));
    struct sl_batch *fits = sl_staging_take(&staging, 1, 400);
    cr_assert_not_null(fits);
    cr_assert_null(sl_staging_take(&staging, 1, 1));
    sl_staging_push(&staging, large);
    for (int i = 0; i < 2; i++) {
        cr_assert(sl_staging_give(&staging, sl_staging_pop(&staging)));
    }
    large = sl_staging_take(&staging, 1, 600);
    cr_assert_not_null(large);
    cr_assert(sl_staging_give(&staging, large));
    cr_assert(sl_staging_give(&staging, fits));
    /* What could not have its batches counts for nothing. */
    struct sl_batch *all = sl_staging_take(&staging, SL_STAGED_LEN_MAX, 0);
    cr_assert_null(sl_staging_take(&staging, 1, 1000));
    cr_assert(sl_staging_give(&staging, all));
    all = sl_staging_take(&staging, 1, 1000);
    cr_assert_not_null(all);
    cr_assert(sl_staging_give(&staging, all));
}

/* Without memory there is no staging, and nothing to undo. */
Test(staging, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    struct sl_staging made;
    (void)sl_malloc_fail_at(1);
    enum syncline_status status = sl_staging_init(&made, &sl_allocator_libc, &budget);
    cr_assert(sl_malloc_fail_at(0));
    cr_assert_eq(status, SYNCLINE_ENOMEM);
}
