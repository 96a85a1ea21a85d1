/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#define BLOCK_SIZE_MIN ((size_t)64 * 1024)
#define ALIGNMENT ((size_t)16)

struct sl_arena_block {
    struct sl_arena_block *next; /* older */
    size_t size;                 /* bytes of data */
    size_t used;                 /* of them */
    alignas(16) unsigned char data[];
};

void sl_arena_init(struct sl_arena *arena, const struct sl_allocator *alloc)
{
    arena->blocks = NULL;
    arena->used = 0;
    arena->alloc = alloc;
}

void sl_arena_fini(struct sl_arena *arena)
{
    struct sl_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct sl_arena_block *next = block->next;
        sl_free(arena->alloc, block);
        block = next;
    }
    sl_arena_init(arena, arena->alloc);
}

void sl_arena_reset(struct sl_arena *arena)
{
    struct sl_arena_block *keep = NULL;
    struct sl_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct sl_arena_block *next = block->next;
        if (keep == NULL || block->size > keep->size) {
            sl_free(arena->alloc, keep);
            keep = block;
        } else {
            sl_free(arena->alloc, block);
        }
        block = next;
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->blocks = keep;
    arena->used = 0;
}

static struct sl_arena_block *block_new(struct sl_arena *arena, size_t size)
{
    size_t want = size;
    if (arena->blocks != NULL && want < 2 * arena->blocks->size) {
        want = 2 * arena->blocks->size;
    }
    if (want > 16 * BLOCK_SIZE_MIN && want > size) {
        want = size > 16 * BLOCK_SIZE_MIN ? size : 16 * BLOCK_SIZE_MIN;
    }
    if (want < BLOCK_SIZE_MIN) {
        want = BLOCK_SIZE_MIN;
    }
    if (want > SIZE_MAX - sizeof(struct sl_arena_block)) {
        return NULL;
    }
    struct sl_arena_block *block = sl_alloc(arena->alloc, sizeof(*block) + want);
    if (block == NULL) {
        return NULL;
    }
    block->size = want;
    block->used = 0;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

/* As it is handed out: never nothing, and in whole units of the alignment. */
static size_t rounded_up(size_t size)
{
    return size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

void *sl_arena_alloc_raw(struct sl_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t rounded = rounded_up(size);
    struct sl_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        block = block_new(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    void *result = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    return result;
}

void *sl_arena_alloc(struct sl_arena *arena, size_t size)
{
    void *result = sl_arena_alloc_raw(arena, size);
    if (result != NULL) {
        memset(result, 0, rounded_up(size));
    }
    return result;
}

void *sl_arena_copy(struct sl_arena *arena, const void *data, size_t size)
{
    void *result = sl_arena_alloc(arena, size);
    if (result != NULL && size > 0) {
        memcpy(result, data, size);
    }
    return result;
}
