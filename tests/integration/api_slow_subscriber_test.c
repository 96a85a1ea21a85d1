/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A subscriber that does not keep up: nothing is kept for it, and nobody waits for it. */

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/integration/api.h"

#define ROWS 100000
#define ROWS_BEFORE 20000 /* by then all that is kept for work is there */
#define ROWS_OF_A_CALL 1000
#define MEMORY_BUDGET (4LL << 20)

TestSuite(api_slow_subscriber, .init = api_setup, .fini = api_cleanup, .timeout = 300);

/* ---- Memory that is out now, and the most that was ---- */

static atomic_llong out;
static atomic_llong most;

static void *measure(void *ctx, void *block, size_t size)
{
    (void)ctx;
    long long before = block != NULL ? (long long)malloc_usable_size(block) : 0;
    if (size == 0) {
        free(block);
        atomic_fetch_sub(&out, before);
        return NULL;
    }
    void *made = realloc(block, size);
    if (made == NULL) {
        return NULL;
    }
    long long more = (long long)malloc_usable_size(made) - before;
    long long now = atomic_fetch_add(&out, more) + more;
    long long highest = atomic_load(&most);
    while (highest < now && !atomic_compare_exchange_weak(&most, &highest, now)) {
    }
    return made;
}

/* ---- The subscriber ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool goes_on;
static unsigned inside;
static uint64_t told; /* changes */
static bool in_order = true;

static void stand_still(void *ctx, const struct syncline_event *event)
{
    (void)ctx;
    (void)pthread_mutex_lock(&lock);
    inside++;
    (void)pthread_cond_broadcast(&moved);
    while (!goes_on) {
        (void)pthread_cond_wait(&moved, &lock);
    }
    in_order = in_order && event->kind == SYNCLINE_EVENT_SHARED_CHANGE && event->seq == told + 1;
    told += event->record_count;
    (void)pthread_mutex_unlock(&lock);
}

static uint64_t changes_told(void)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t changes = told;
    (void)pthread_mutex_unlock(&lock);
    return changes;
}

static void save_tags(struct api_device *device, int rows)
{
    for (int saved = 0; saved < rows; saved += ROWS_OF_A_CALL) {
        api_save_tags(device, ROWS_OF_A_CALL, ROWS_OF_A_CALL);
    }
}

/* 100,000 rows while the function of a subscriber stands still: captures, the log and waiting for
 * it go on to the end, and no memory is taken for what it has not been told. Then it is told all of
 * it, each once and in order. */
Test(api_slow_subscriber, hundred_thousand_rows)
{
    static const struct syncline_allocator measured = {.resize = measure};
    struct syncline_options options = api_options();
    struct syncline_subscribe_options with_json = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    struct api_device a;
    uint64_t id = 0;
    api_create(&a, "a");
    options.allocator = &measured;
    options.memory_budget = MEMORY_BUDGET;
    options.role = SYNCLINE_ROLE_ENGINE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    with_json.json = true;
    API_OK(a.lib, syncline_subscribe(a.lib, stand_still, NULL, &with_json, &id));
    save_tags(&a, ROWS_BEFORE);
    (void)pthread_mutex_lock(&lock);
    while (inside == 0) {
        (void)pthread_cond_wait(&moved, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    long long before = atomic_load(&most);
    save_tags(&a, ROWS - ROWS_BEFORE);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(changes_told(), 0);
    cr_expect_eq(api_info(&a).own_seq, ROWS);
    /* A note of 16 bytes for each row would be more than this. */
    cr_expect_lt(atomic_load(&most), before + MEMORY_BUDGET / 4, "%lld bytes, %lld before",
                 atomic_load(&most), before);
    (void)pthread_mutex_lock(&lock);
    goes_on = true;
    (void)pthread_cond_broadcast(&moved);
    (void)pthread_mutex_unlock(&lock);
    API_WAIT(changes_told() == ROWS);
    cr_expect(in_order);
    api_close(&a);
    cr_expect_eq(atomic_load(&out), 0);
}
