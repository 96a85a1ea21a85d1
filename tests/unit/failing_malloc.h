/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Lets one allocation of this program fail: the n-th after sl_malloc_fail_at(n). Include in one
 * file of a test program. Under a sanitizer, which has an allocator of its own, SL_MALLOC_CAN_FAIL
 * is 0 and nothing fails. */

#ifndef SL_FAILING_MALLOC_H
#define SL_FAILING_MALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SL_MALLOC_CAN_FAIL 0
#else
#define SL_MALLOC_CAN_FAIL 1
#endif

static long sl_malloc_left; /* allocations until the one that fails; 0: none does */

/* 0: none fails. Returns true if the last one asked for has failed. */
static inline bool sl_malloc_fail_at(long n)
{
    bool has_failed = sl_malloc_left == 0;

    sl_malloc_left = n;
    return has_failed;
}

#if SL_MALLOC_CAN_FAIL
/* glibc's own, under their second names. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static bool sl_malloc_fails(void)
{
    if (sl_malloc_left == 0 || --sl_malloc_left > 0)
        return false;
    errno = ENOMEM;
    return true;
}

#define SL_OVERRIDES __attribute__((visibility("default")))

SL_OVERRIDES void *malloc(size_t size)
{
    return sl_malloc_fails() ? NULL : __libc_malloc(size);
}

SL_OVERRIDES void *calloc(size_t count, size_t size)
{
    return sl_malloc_fails() ? NULL : __libc_calloc(count, size);
}

SL_OVERRIDES void *realloc(void *memory, size_t size)
{
    return sl_malloc_fails() ? NULL : __libc_realloc(memory, size);
}
#endif

#endif
