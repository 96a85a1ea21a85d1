/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/call_memory.h"

#include "tests/unit/counting_allocator.h"

#include <criterion/criterion.h>

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static struct sl_env env;
static struct sl_model models[3];
static struct sl_core core;
static struct sl_call_stock stock;
static sqlite3 *handle;

static void begin(void)
{
    env = *sl_env_posix();
    env.alloc = &counted;
    core.env = &env;
    core.models = (struct sl_model_set){.models = models, .count = 3, .alloc = &counted};
    cr_assert_eq(sqlite3_open(":memory:", &handle), SQLITE_OK);
    cr_assert_eq(sl_call_stock_init(&stock, &core), SYNCLINE_OK);
}

static void end(void)
{
    sl_call_stock_fini(&stock, &core);
    cr_expect_eq(counting.blocks, 0);
    cr_expect_eq(sqlite3_close(handle), SQLITE_OK);
}

TestSuite(call_memory, .init = begin, .fini = end);

/* What a call does with its memory. */
static void use(struct sl_call_memory *memory, size_t size)
{
    struct sl_error err;
    sl_rows_borrow(&memory->rows, &core, handle);
    cr_assert(sl_rows_make_tables(&memory->rows, &core));
    cr_assert(sl_rows_make_tables(&memory->rows, &core));
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(memory->rows.tables[i].model, &models[i]);
        cr_assert_null(memory->rows.tables[i].stmt[0]);
    }
    cr_assert_eq(sl_db_prepare(&memory->rows.ldb.db, "SELECT 1", true,
                               &memory->rows.tables[1].stmt[0], &err),
                 SYNCLINE_OK);
    cr_assert(sl_buf_reserve(&memory->survey.ids, size));
    cr_assert(sl_buf_reserve(&memory->survey.uuids, size));
    cr_assert(sl_buf_reserve(&memory->births, size));
    sl_rows_give_back(&memory->rows, core.models.count);
    cr_assert_null(sqlite3_next_stmt(handle, NULL), "a statement is left on the connection");
}

/* One call after another works in the same memory and allocates nothing; it leaves no statement on
 * the connection. */
Test(call_memory, one_after_another)
{
    struct sl_call_memory *first = sl_call_stock_take(&stock, &core);
    cr_assert_not_null(first);
    use(first, SL_SURVEY_KEPT_SIZE_MAX);
    sl_call_stock_give(&stock, &core, first);
    long calls = counting.calls;
    for (int round = 0; round < 5; round++) {
        struct sl_call_memory *memory = sl_call_stock_take(&stock, &core);
        cr_assert_eq(memory, first);
        use(memory, SL_SURVEY_KEPT_SIZE_MAX);
        sl_call_stock_give(&stock, &core, memory);
    }
    cr_expect_eq(counting.calls, calls);
}

/* A large call's buffers are given back, each by itself. */
Test(call_memory, large_calls)
{
    struct sl_call_memory *memory = sl_call_stock_take(&stock, &core);
    cr_assert_not_null(memory);
    use(memory, SL_SURVEY_KEPT_SIZE_MAX);
    cr_assert(sl_buf_reserve(&memory->survey.uuids, SL_SURVEY_KEPT_SIZE_MAX + 1));
    sl_call_memory_trim(memory);
    cr_expect_not_null(memory->survey.ids.data);
    cr_expect_null(memory->survey.uuids.data);
    cr_expect_not_null(memory->births.data);
    cr_assert(sl_buf_reserve(&memory->births, SL_SURVEY_KEPT_SIZE_MAX + 1));
    sl_call_stock_give(&stock, &core, memory);
    memory = sl_call_stock_take(&stock, &core);
    cr_expect_null(memory->births.data);
    cr_expect_not_null(memory->survey.ids.data);
    sl_call_stock_give(&stock, &core, memory);
}

/* As many calls at once as there are; the memory of some is kept. */
Test(call_memory, up_to_the_limit)
{
    struct sl_call_memory *taken[SL_CALLS_KEPT_MAX + 2];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < SL_CALLS_KEPT_MAX + 2; i++) {
            taken[i] = sl_call_stock_take(&stock, &core);
            cr_assert_not_null(taken[i]);
            for (size_t k = 0; k < i; k++) {
                cr_assert_neq(taken[i], taken[k]);
            }
            use(taken[i], 100);
        }
        for (size_t i = 0; i < SL_CALLS_KEPT_MAX + 2; i++) {
            sl_call_stock_give(&stock, &core, taken[i]);
        }
        cr_expect_eq(stock.count, SL_CALLS_KEPT_MAX);
        cr_expect_eq(counting.blocks, 5 * SL_CALLS_KEPT_MAX); /* itself, tables, three buffers */
    }
}

/* As many calls at once as there is memory made for allocate nothing, if they are small. */
Test(call_memory, some_are_made)
{
    struct sl_call_memory *taken[SL_CALLS_MADE];
    long calls = counting.calls;
    for (size_t i = 0; i < SL_CALLS_MADE; i++) {
        taken[i] = sl_call_stock_take(&stock, &core);
        use(taken[i], 4096);
    }
    for (size_t i = 0; i < SL_CALLS_MADE; i++) {
        sl_call_stock_give(&stock, &core, taken[i]);
    }
    cr_expect_eq(counting.calls, calls);
}

/* Without memory at the beginning there is a stock all the same; it comes when it is needed. */
Test(call_memory, no_memory_at_the_beginning)
{
    bool failed = true;
    for (long n = 1; failed; n++) {
        sl_call_stock_fini(&stock, &core);
        counting_fail_at(&counting, n, COUNTING_ANY);
        cr_assert_eq(sl_call_stock_init(&stock, &core), SYNCLINE_OK);
        failed = counting_has_failed(&counting);
        struct sl_call_memory *memory = sl_call_stock_take(&stock, &core);
        cr_assert_not_null(memory);
        use(memory, 4096);
        sl_call_stock_give(&stock, &core, memory);
    }
}

/* Without memory there is none; what was kept is still there. */
Test(call_memory, no_memory)
{
    struct sl_call_memory *taken[SL_CALLS_MADE];
    for (size_t i = 0; i < SL_CALLS_MADE; i++) {
        taken[i] = sl_call_stock_take(&stock, &core);
    }
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_assert_null(sl_call_stock_take(&stock, &core));
    cr_assert(counting_has_failed(&counting));
    counting_fail_at(&counting, 2, COUNTING_ANY);
    struct sl_call_memory *memory = sl_call_stock_take(&stock, &core); /* but for its tables */
    cr_assert(counting_has_failed(&counting));
    cr_assert_not_null(memory);
    sl_rows_borrow(&memory->rows, &core, handle);
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_assert(!sl_rows_make_tables(&memory->rows, &core));
    cr_assert(counting_has_failed(&counting));
    sl_rows_give_back(&memory->rows, core.models.count);
    use(memory, 100);
    sl_call_stock_give(&stock, &core, memory);
    for (size_t i = 0; i < SL_CALLS_MADE; i++) {
        sl_call_stock_give(&stock, &core, taken[i]);
    }
}
