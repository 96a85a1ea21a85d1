/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GROW_FROM 16u /* items */

static void *libc_resize(void *ctx, void *block, size_t size)
{
    (void)ctx;
    if (size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, size);
}

const struct sl_allocator sl_allocator_libc = {.resize = libc_resize};

void *sl_alloc(const struct sl_allocator *alloc, size_t size)
{
    return alloc->resize(alloc->ctx, NULL, size > 0 ? size : 1);
}

void *sl_calloc(const struct sl_allocator *alloc, size_t count, size_t size)
{
    void *block = sl_resize(alloc, NULL, count, size);
    if (block != NULL) {
        memset(block, 0, count * size);
    }
    return block;
}

void *sl_resize(const struct sl_allocator *alloc, void *block, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    size_t total = count * size;
    return alloc->resize(alloc->ctx, block, total > 0 ? total : 1);
}

void *sl_grow(const struct sl_allocator *alloc, void *block, size_t len, size_t *capacity,
              size_t size)
{
    if (len < *capacity) {
        return block;
    }
    size_t more = *capacity == 0 ? GROW_FROM : 2 * *capacity;
    void *grown = *capacity > SIZE_MAX / 2 ? NULL : sl_resize(alloc, block, more, size);
    if (grown != NULL) {
        *capacity = more;
    }
    return grown;
}

void sl_free(const struct sl_allocator *alloc, void *block)
{
    if (block != NULL) {
        (void)alloc->resize(alloc->ctx, block, 0);
    }
}
