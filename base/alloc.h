/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Where memory comes from: the C library, or what the host gave (struct syncline_allocator). It is
 * part of the environment (base/env.h); whatever keeps memory keeps its allocator beside it, for
 * growing and freeing. Any thread; blocks as the allocator does. */

#ifndef SL_ALLOC_H
#define SL_ALLOC_H

#include <stddef.h>

struct sl_allocator {
    /* As syncline.h says of struct syncline_allocator. */
    void *(*resize)(void *ctx, void *block, size_t size);
    void *ctx; /* its first argument */
};

/* The C library's. */
extern const struct sl_allocator sl_allocator_libc;

/* Each returns NULL when there is no memory, and never for a size of 0. */
void *sl_alloc(const struct sl_allocator *alloc, size_t size);
/* `count` times `size` bytes, zero-filled; NULL too when that is more than a size_t holds. */
void *sl_calloc(const struct sl_allocator *alloc, size_t count, size_t size);
/* The block (or NULL) with room for `count` times `size` bytes; what it held stays, what is new is
 * not zeroed. On NULL the block is as it was. */
void *sl_resize(const struct sl_allocator *alloc, void *block, size_t count, size_t size);
/* Room for one item more than the `len` that are in the block, which has room for *capacity: the
 * block, or one of twice the room in its place. On NULL the block and *capacity are as they were.
 */
void *sl_grow(const struct sl_allocator *alloc, void *block, size_t len, size_t *capacity,
              size_t size);
/* Frees what one of the calls above made with the same allocator. NULL is allowed. */
void sl_free(const struct sl_allocator *alloc, void *block);

#endif
