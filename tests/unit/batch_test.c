/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/batch.h"

#include "base/limits.h"
#include "tests/unit/counting_allocator.h"
#include "tests/unit/failing_malloc.h"

#include <criterion/criterion.h>
#include <string.h>

#define KEPT_MAX (512u * 1024u)

/* A pool gives each of its batches once; with none left it gives none. */
Test(batch, pool_gives_each_batch_once)
{
    struct sl_batch_pool pool;
    struct sl_batch *taken[4];
    cr_assert_eq(sl_batch_pool_init(&pool, &sl_allocator_libc, 4, KEPT_MAX), SYNCLINE_OK);
    for (int i = 0; i < 4; i++) {
        taken[i] = sl_batch_take(&pool);
        cr_assert_not_null(taken[i]);
        cr_assert_null(taken[i]->next);
        for (int k = 0; k < i; k++) {
            cr_assert_neq(taken[i], taken[k]);
        }
    }
    cr_assert_null(sl_batch_take(&pool));
    cr_assert(sl_batch_pool_is_empty(&pool));
    cr_assert(sl_batch_give(&pool, taken[2]));
    cr_assert(!sl_batch_pool_is_empty(&pool));
    cr_assert_eq(sl_batch_take(&pool), taken[2]);
    cr_assert_null(sl_batch_take(&pool));
    sl_batch_pool_fini(&pool); /* batches under way go with it */
}

/* A batch that comes back is empty again, and keeps its memory for the next use. */
Test(batch, given_back_is_empty)
{
    struct sl_batch_pool pool;
    cr_assert_eq(sl_batch_pool_init(&pool, &sl_allocator_libc, 1, KEPT_MAX), SYNCLINE_OK);
    struct sl_batch *batch = sl_batch_take(&pool);
    batch->n = 5;
    batch->token = 6;
    batch->ids = sl_arena_alloc(&batch->arena, 5 * sizeof(*batch->ids));
    cr_assert_not_null(batch->ids);
    sl_buf_u64(&batch->body, 7);
    cr_assert(sl_batch_give(&pool, batch));
    cr_assert_eq(sl_batch_take(&pool), batch);
    cr_assert_eq(batch->n, 0);
    cr_assert_eq(batch->token, 0);
    cr_assert_null(batch->ids);
    cr_assert_null(batch->unsettled);
    cr_assert_eq(batch->arena.used, 0);
    cr_assert_eq(batch->body.len, 0);
    cr_assert_not_null(batch->body.data);
    cr_assert_not_null(batch->arena.blocks);
    sl_batch_pool_fini(&pool);
}

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};

/* What a load does with a batch. */
static void use(struct sl_batch *batch, size_t size)
{
    uint8_t byte = 1;
    cr_assert_not_null(sl_arena_alloc(&batch->arena, size / 2));
    cr_assert_not_null(sl_arena_alloc(&batch->arena, size - size / 2));
    for (size_t i = 0; i < size / 4; i++) {
        sl_buf_bytes(&batch->body, &byte, 1);
    }
    cr_assert(!batch->body.failed);
}

static void use_all(struct sl_batch_pool *pool, size_t size)
{
    struct sl_batch *taken[SL_BATCH_POOL_LEN_MAX];
    for (size_t i = 0; i < pool->len; i++) {
        taken[i] = sl_batch_take(pool);
        cr_assert_not_null(taken[i]);
        use(taken[i], size);
    }
    for (size_t i = 0; i < pool->len; i++) {
        cr_assert(sl_batch_give(pool, taken[i]));
    }
}

/* Once one batch has come back, no batch allocates, however many are under way and a little larger
 * though they are - the batches that were under way at that time, too, once they have come back. */
Test(batch, one_load_is_enough_for_all)
{
    struct sl_batch_pool pool;
    cr_assert_eq(sl_batch_pool_init(&pool, &counted, SL_BATCH_POOL_LEN_MAX, KEPT_MAX), SYNCLINE_OK);
    struct sl_batch *under_way = sl_batch_take(&pool);
    struct sl_batch *first = sl_batch_take(&pool);
    use(under_way, 1000);
    use(first, 100000);
    cr_assert(sl_batch_give(&pool, first));
    cr_assert(sl_batch_give(&pool, under_way));
    long calls = counting.calls;
    use_all(&pool, 100000);
    use_all(&pool, 110000);
    cr_expect_eq(counting.calls, calls, "%ld calls", counting.calls - calls);
    sl_batch_pool_fini(&pool);
    cr_expect_eq(counting.blocks, 0);
}

/* What a batch has beyond the limit goes back at once, and no other batch gets as much. */
Test(batch, large_batches_keep_nothing)
{
    struct sl_batch_pool pool;
    cr_assert_eq(sl_batch_pool_init(&pool, &counted, 8, KEPT_MAX), SYNCLINE_OK);
    for (int round = 0; round < 2; round++) {
        struct sl_batch *batch = sl_batch_take(&pool);
        long calls = counting.calls;
        use(batch, 2 * KEPT_MAX);
        cr_assert(sl_batch_give(&pool, batch));
        cr_expect_gt(counting.calls, calls, "%d", round);
        for (size_t i = 0; i < pool.len; i++) {
            cr_expect_eq(sl_arena_size(&pool.batches[i].arena), 0);
            cr_expect_leq(pool.batches[i].body.capacity, KEPT_MAX / 4);
        }
    }
    sl_batch_pool_fini(&pool);
    cr_expect_eq(counting.blocks, 0);
}

/* Where there is no memory to keep, there is none kept, and the batches work all the same. */
Test(batch, no_memory_to_keep)
{
    bool failed = true;
    for (long n = 1; failed; n++) {
        struct sl_batch_pool pool;
        cr_assert_eq(sl_batch_pool_init(&pool, &counted, 4, KEPT_MAX), SYNCLINE_OK);
        struct sl_batch *batch = sl_batch_take(&pool);
        use(batch, 200000);
        counting_fail_at(&counting, n, COUNTING_ANY);
        cr_assert(sl_batch_give(&pool, batch));
        failed = counting_has_failed(&counting);
        use_all(&pool, 200000);
        sl_batch_pool_fini(&pool);
    }
    cr_expect_eq(counting.blocks, 0);
}

/* A batch of another pool is refused and not touched. */
Test(batch, foreign_batches_are_refused)
{
    struct sl_batch_pool pool;
    struct sl_batch_pool other;
    cr_assert_eq(sl_batch_pool_init(&pool, &sl_allocator_libc, 2, KEPT_MAX), SYNCLINE_OK);
    cr_assert_eq(sl_batch_pool_init(&other, &sl_allocator_libc, 2, KEPT_MAX), SYNCLINE_OK);
    struct sl_batch *batch = sl_batch_take(&other);
    batch->n = 5;
    cr_assert(!sl_batch_give(&pool, batch));
    cr_assert_eq(batch->n, 5);
    cr_assert(!sl_batch_give(&pool, pool.batches + 2));
    cr_assert(sl_batch_give(&other, batch));
    sl_batch_pool_fini(&pool);
    sl_batch_pool_fini(&other);
}

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t size;
    const char *name;
};

/* Values come from the rows that were captured, or from what was read again. */
Test(batch, values_of_either_source)
{
    static const struct syncline_field fields[] = {
        SYNCLINE_ID(struct row, id), SYNCLINE_UUID(struct row, uuid),
        SYNCLINE_INT64(struct row, size), SYNCLINE_TEXT(struct row, name)};
    static const struct syncline_model described =
        SYNCLINE_MODEL("m", "t", SYNCLINE_SHARED, struct row, fields);
    const struct syncline_model *models[] = {&described};
    struct sl_model_set set;
    struct sl_error err;
    cr_assert_eq(sl_model_set_init(&set, &sl_allocator_libc, models, 1, &err), SYNCLINE_OK);
    struct row rows[2] = {{.id = 1, .size = 10, .name = "a"}, {.id = 2, .size = 20}};
    struct sl_value values[4] = {{.type = SL_INT64, .as = {.int64 = 30}},
                                 {.type = SL_NULL},
                                 {.type = SL_INT64, .as = {.int64 = 40}},
                                 {.type = SL_TEXT, .size = 1, .as = {.data = "b"}}};
    struct sl_batch batch = {.model = &set.models[0], .n = 2, .rows = (uint8_t *)rows};
    cr_assert_eq(sl_batch_value(&batch, 1, 0).as.int64, 20);
    cr_assert_eq(sl_batch_value(&batch, 0, 1).type, SL_TEXT);
    cr_assert_eq(sl_batch_value(&batch, 1, 1).type, SL_NULL);
    batch.rows = NULL;
    batch.values = values;
    cr_assert_eq(sl_batch_value(&batch, 1, 0).as.int64, 40);
    cr_assert_eq(sl_batch_value(&batch, 0, 1).type, SL_NULL);
    cr_assert_eq(sl_batch_value(&batch, 1, 1).as.data, values[3].as.data);
    sl_model_set_fini(&set);
}

/* Without memory there is no pool. */
Test(batch, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    struct sl_batch_pool pool;
    (void)sl_malloc_fail_at(1);
    enum syncline_status status = sl_batch_pool_init(&pool, &sl_allocator_libc, 4, KEPT_MAX);
    cr_assert(sl_malloc_fail_at(0));
    cr_assert_eq(status, SYNCLINE_ENOMEM);
}
