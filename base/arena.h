/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* An arena: many small allocations, freed together. Not for use by two threads at once. */

#ifndef SL_ARENA_H
#define SL_ARENA_H

#include <stdbool.h>

#include "base/alloc.h"

struct sl_arena_block;

struct sl_arena {
    struct sl_arena_block *blocks;    /* newest first */
    size_t used;                      /* bytes handed out since init or reset */
    const struct sl_allocator *alloc; /* borrowed for life */
};

void sl_arena_init(struct sl_arena *arena, const struct sl_allocator *alloc);
/* Gives all memory back; the arena is as after init. */
void sl_arena_fini(struct sl_arena *arena);
/* Forgets all allocations, and keeps one block of up to kept_max bytes: with room for as many again
 * and some more, so that a round like the last ones allocates nothing. */
void sl_arena_reset_to(struct sl_arena *arena, size_t kept_max);
/* The same with SL_ARENA_KEPT_MAX. */
void sl_arena_reset(struct sl_arena *arena);
/* Room for `size` bytes in one block, in an arena with no allocations. false: no memory. */
bool sl_arena_reserve(struct sl_arena *arena, size_t size);
/* Bytes of its blocks. */
size_t sl_arena_size(const struct sl_arena *arena);
/* Zero-filled, aligned to 16 bytes; NULL when there is no memory. Dies with reset or fini. */
void *sl_arena_alloc(struct sl_arena *arena, size_t size);
/* The same, but not zero-filled: for what is written over at once. */
void *sl_arena_alloc_raw(struct sl_arena *arena, size_t size);
/* A copy of size bytes (of one byte when size is 0, so that it is never NULL but for no memory). */
void *sl_arena_copy(struct sl_arena *arena, const void *data, size_t size);

#endif
