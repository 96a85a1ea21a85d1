/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"

#define BLOCK_SIZE_MIN ((size_t)64 * 1024)
#define PAGE_SIZE ((size_t)4096)
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

/* A new block of exactly that size, in no arena. */
static struct sl_arena_block *block_alloc(const struct sl_arena *arena, size_t size)
{
    if (size > SIZE_MAX - sizeof(struct sl_arena_block)) {
        return NULL;
    }
    struct sl_arena_block *block = sl_alloc(arena->alloc, sizeof(*block) + size);
    if (block != NULL) {
        block->size = size;
        block->used = 0;
        block->next = NULL;
    }
    return block;
}

static void free_blocks(struct sl_arena *arena, struct sl_arena_block *block)
{
    while (block != NULL) {
        struct sl_arena_block *next = block->next;
        sl_free(arena->alloc, block);
        block = next;
    }
}

void sl_arena_fini(struct sl_arena *arena)
{
    free_blocks(arena, arena->blocks);
    sl_arena_init(arena, arena->alloc);
}

size_t sl_arena_size(const struct sl_arena *arena)
{
    size_t size = 0;
    for (const struct sl_arena_block *block = arena->blocks; block != NULL; block = block->next) {
        size += block->size;
    }
    return size;
}

bool sl_arena_reserve(struct sl_arena *arena, size_t size)
{
    assert(arena->used == 0);
    if (sl_arena_size(arena) >= size) {
        return true;
    }
    struct sl_arena_block *block = block_alloc(arena, size);
    if (block == NULL) {
        return false;
    }
    free_blocks(arena, arena->blocks);
    arena->blocks = block;
    return true;
}

/* Frees all blocks but the largest of up to kept_max bytes. */
static void keep_one(struct sl_arena *arena, size_t kept_max)
{
    struct sl_arena_block *keep = NULL;
    struct sl_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct sl_arena_block *next = block->next;
        bool better = block->size <= kept_max && (keep == NULL || block->size > keep->size);
        sl_free(arena->alloc, better ? keep : block);
        keep = better ? block : keep;
        block = next;
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->blocks = keep;
}

void sl_arena_reset_to(struct sl_arena *arena, size_t kept_max)
{
    size_t used = arena->used;
    bool was_one = arena->blocks != NULL && arena->blocks->next == NULL;
    keep_one(arena, kept_max);
    arena->used = 0;
    size_t kept = sl_arena_size(arena);
    if (used == 0 || used > kept_max || (was_one && used <= kept / 16 * 15)) {
        return;
    }
    size_t wanted = used + used / 2; /* the next round may be a little larger */
    wanted = (wanted + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    (void)sl_arena_reserve(arena, wanted < kept_max ? wanted : kept_max); /* or it comes later */
}

void sl_arena_reset(struct sl_arena *arena)
{
    sl_arena_reset_to(arena, SL_ARENA_KEPT_MAX);
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
    struct sl_arena_block *block = block_alloc(arena, want);
    if (block == NULL) {
        return NULL;
    }
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
