/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/env.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static uint64_t wall_ms(void *ctx)
{
    (void)ctx;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now); /* fails for an unknown clock only */
    if (now.tv_sec < 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static uint64_t mono_ns(void *ctx)
{
    (void)ctx;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum syncline_status random_bytes(void *ctx, void *out, size_t size)
{
    (void)ctx;
    uint8_t *next = out;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return SYNCLINE_EIO;
        next += got;
        size -= (size_t)got;
    }
    return SYNCLINE_OK;
}

const struct sl_env *sl_env_posix(void)
{
    static const struct sl_env env = {
        .wall_ms = wall_ms,
        .mono_ns = mono_ns,
        .random = random_bytes,
        .alloc = &sl_allocator_libc,
    };
    return &env;
}
