/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/batch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

_Static_assert(SL_STAGED_LEN_MAX <= SL_BATCH_POOL_LEN_MAX, "a bit for every staged batch");

enum syncline_status sl_batch_pool_init(struct sl_batch_pool *pool,
                                        const struct sl_allocator *alloc, size_t len,
                                        size_t kept_max)
{
    assert(len <= SL_BATCH_POOL_LEN_MAX);
    struct sl_batch *batches = sl_calloc(alloc, len, sizeof(*batches));
    if (batches == NULL) {
        return SYNCLINE_ENOMEM;
    }
    for (size_t i = 0; i < len; i++) {
        sl_arena_init(&batches[i].arena, alloc);
        sl_buf_init(&batches[i].body, alloc);
    }
    pool->batches = batches;
    pool->len = len;
    pool->alloc = alloc;
    atomic_init(&pool->free, 0);
    for (size_t i = 0; i < len; i++) {
        atomic_fetch_or(&pool->free, (uint64_t)1 << i);
    }
    atomic_init(&pool->arena_size, 0);
    atomic_init(&pool->body_size, 0);
    /* A body's memory is a power of two. */
    pool->body_kept_max = 1;
    while (pool->body_kept_max * 2 <= kept_max / 3) {
        pool->body_kept_max *= 2;
    }
    pool->arena_kept_max = kept_max - pool->body_kept_max;
    return SYNCLINE_OK;
}

void sl_batch_pool_fini(struct sl_batch_pool *pool)
{
    for (size_t i = 0; i < pool->len; i++) {
        sl_arena_fini(&pool->batches[i].arena);
        sl_buf_fini(&pool->batches[i].body);
    }
    sl_free(pool->alloc, pool->batches);
    pool->batches = NULL;
    pool->len = 0;
}

/* Takes the batches of these bits that are here; returns which those were. */
static uint64_t claim(struct sl_batch_pool *pool, uint64_t bits)
{
    return atomic_fetch_and_explicit(&pool->free, ~bits, memory_order_acquire) & bits;
}

static void release(struct sl_batch_pool *pool, uint64_t bits)
{
    (void)atomic_fetch_or_explicit(&pool->free, bits, memory_order_release);
}

struct sl_batch *sl_batch_take(struct sl_batch_pool *pool)
{
    uint64_t free = atomic_load_explicit(&pool->free, memory_order_relaxed);
    while (free != 0) {
        unsigned first = (unsigned)__builtin_ctzll(free);
        if (claim(pool, (uint64_t)1 << first) != 0) {
            return &pool->batches[first];
        }
        free = atomic_load_explicit(&pool->free, memory_order_relaxed);
    }
    return NULL;
}

/* Gives an empty batch as much memory as all have. What there is no memory for comes later. */
static void level(struct sl_batch_pool *pool, struct sl_batch *batch)
{
    (void)sl_arena_reserve(&batch->arena,
                           atomic_load_explicit(&pool->arena_size, memory_order_relaxed));
    (void)sl_buf_reserve(&batch->body,
                         atomic_load_explicit(&pool->body_size, memory_order_relaxed));
    sl_buf_clear(&batch->body);
}

/* Notes what a batch has needed; true: it is more than all have, and not too much for all. As
 * little as SL_BATCH_MEMORY_MIN all may as well have at once. */
static bool raise_to(atomic_size_t *all, size_t size, size_t size_max)
{
    size_t least = size_max < SL_BATCH_MEMORY_MIN ? size_max : SL_BATCH_MEMORY_MIN;
    size = size > 0 && size < least ? least : size;
    size_t before = atomic_load_explicit(all, memory_order_relaxed);
    while (size > before && size <= size_max) {
        if (atomic_compare_exchange_weak_explicit(all, &before, size, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* Empties a batch; its memory stays, but for what is beyond the limits. */
static void empty(const struct sl_batch_pool *pool, struct sl_batch *batch)
{
    struct sl_arena arena = batch->arena;
    struct sl_buf body = batch->body;
    size_t len = body.len;
    sl_arena_reset_to(&arena, pool->arena_kept_max);
    sl_buf_clear(&body);
    if (body.capacity > pool->body_kept_max) {
        sl_buf_fini(&body);
    } else if (len > body.capacity / 16 * 15 && len + len / 2 <= pool->body_kept_max) {
        /* as an arena does it */
        (void)sl_buf_reserve(&body, len + len / 2);
        sl_buf_clear(&body);
    }
    memset(batch, 0, sizeof(*batch));
    batch->arena = arena;
    batch->body = body;
}

bool sl_batch_give(struct sl_batch_pool *pool, struct sl_batch *batch)
{
    if (batch < pool->batches || batch >= pool->batches + pool->len) {
        return false;
    }
    empty(pool, batch);
    bool arenas = raise_to(&pool->arena_size, sl_arena_size(&batch->arena), pool->arena_kept_max);
    bool bodies = raise_to(&pool->body_size, batch->body.capacity, pool->body_kept_max);
    level(pool, batch);
    release(pool, (uint64_t)1 << (batch - pool->batches));
    for (size_t i = 0; i < pool->len && (arenas || bodies); i++) {
        if (claim(pool, (uint64_t)1 << i) != 0) {
            level(pool, &pool->batches[i]);
            release(pool, (uint64_t)1 << i);
        }
    }
    return true;
}

bool sl_batch_pool_is_empty(struct sl_batch_pool *pool)
{
    return atomic_load_explicit(&pool->free, memory_order_relaxed) == 0;
}

struct sl_value sl_batch_value(const struct sl_batch *batch, uint32_t i, uint32_t field)
{
    const struct sl_model *model = batch->model;
    if (batch->rows != NULL) {
        return sl_field_get(&model->fields[field], batch->rows + (size_t)i * model->row_size);
    }
    return batch->values[(size_t)i * model->field_count + field];
}

bool sl_batch_add_aside(struct sl_batch *batch, const struct syncline_uuid *uuid,
                        const char *reason)
{
    struct sl_batch_aside *aside = sl_arena_alloc(&batch->arena, sizeof(*aside));
    if (aside == NULL) {
        return false;
    }
    aside->uuid = *uuid;
    (void)snprintf(aside->reason, sizeof(aside->reason), "not sent: %s", reason);
    aside->next = batch->asides;
    batch->asides = aside;
    return true;
}
