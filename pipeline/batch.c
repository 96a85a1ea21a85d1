/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/batch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum syncline_status sl_batch_pool_init(struct sl_batch_pool *pool,
                                        const struct sl_allocator *alloc, size_t len)
{
    assert(len < SL_RING_SLOTS);
    struct sl_batch *batches = sl_calloc(alloc, len, sizeof(*batches));
    if (batches == NULL) {
        return SYNCLINE_ENOMEM;
    }
    pool->batches = batches;
    pool->len = len;
    pool->alloc = alloc;
    sl_ring_init(&pool->free);
    for (size_t i = 0; i < len; i++) {
        sl_arena_init(&batches[i].arena, alloc);
        sl_buf_init(&batches[i].body, alloc);
        bool ok = sl_ring_push_shared(&pool->free, &batches[i]);
        assert(ok);
        (void)ok;
    }
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

struct sl_batch *sl_batch_take(struct sl_batch_pool *pool)
{
    return sl_ring_pop_shared(&pool->free);
}

bool sl_batch_give(struct sl_batch_pool *pool, struct sl_batch *batch)
{
    if (batch < pool->batches || batch >= pool->batches + pool->len) {
        return false;
    }
    struct sl_arena arena = batch->arena;
    struct sl_buf body = batch->body;
    sl_arena_reset(&arena);
    sl_buf_clear(&body);
    memset(batch, 0, sizeof(*batch));
    batch->arena = arena;
    batch->body = body;
    bool ok = sl_ring_push_shared(&pool->free, batch);
    assert(ok); /* the ring has room for every batch of the pool */
    (void)ok;
    return true;
}

bool sl_batch_pool_is_empty(struct sl_batch_pool *pool)
{
    return sl_ring_room(&pool->free) == SL_RING_SLOTS - 1;
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
