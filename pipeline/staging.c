/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/staging.h"

#include "base/limits.h"

_Static_assert(SL_STAGED_LEN_MAX < SL_RING_SLOTS, "every batch of the pool fits into the ring");

enum syncline_status sl_staging_init(struct sl_staging *staging, const struct sl_allocator *alloc,
                                     const struct sl_budget *budget)
{
    sl_ring_init(&staging->ring);
    atomic_init(&staging->large, 0);
    staging->large_max = budget->large;
    return sl_batch_pool_init(&staging->pool, alloc, budget->staged, budget->staged_kept);
}

void sl_staging_fini(struct sl_staging *staging)
{
    sl_batch_pool_fini(&staging->pool);
}

static void give_list(struct sl_staging *staging, struct sl_batch *list)
{
    while (list != NULL) {
        struct sl_batch *next = list->next;
        (void)atomic_fetch_sub_explicit(&staging->large, list->large, memory_order_relaxed);
        (void)sl_batch_give(&staging->pool, list);
        list = next;
    }
}

static bool take_large(struct sl_staging *staging, size_t large)
{
    if (large == 0) {
        return true;
    }
    size_t before = atomic_fetch_add_explicit(&staging->large, large, memory_order_relaxed);
    if (before + large <= staging->large_max) {
        return true;
    }
    (void)atomic_fetch_sub_explicit(&staging->large, large, memory_order_relaxed);
    return false;
}

struct sl_batch *sl_staging_take(struct sl_staging *staging, size_t count, size_t large)
{
    struct sl_batch *list = NULL;
    if (count == 0 || count > staging->pool.len || !take_large(staging, large)) {
        return NULL;
    }
    for (size_t taken = 0; taken < count; taken++) {
        struct sl_batch *batch = sl_batch_take(&staging->pool);
        if (batch == NULL) {
            give_list(staging, list);
            (void)atomic_fetch_sub_explicit(&staging->large, large, memory_order_relaxed);
            return NULL;
        }
        batch->next = list;
        list = batch;
    }
    list->large = large; /* given back with it */
    return list;
}

void sl_staging_push(struct sl_staging *staging, struct sl_batch *list)
{
    while (list != NULL) {
        struct sl_batch *next = list->next;
        list->next = NULL;
        /* The ring has room for every batch of the pool. */
        if (!sl_ring_push(&staging->ring, list)) {
            (void)sl_batch_give(&staging->pool, list);
        }
        list = next;
    }
}

struct sl_batch *sl_staging_pop(struct sl_staging *staging)
{
    return sl_ring_pop(&staging->ring);
}

bool sl_staging_give(struct sl_staging *staging, struct sl_batch *list)
{
    if (list < staging->pool.batches || list >= staging->pool.batches + staging->pool.len) {
        return false;
    }
    give_list(staging, list);
    return true;
}
