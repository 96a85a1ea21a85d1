/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/env.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* The wall clock is the system's, in ms since 1970. */
Test(env_posix, wall_is_the_systems_clock)
{
    const struct sl_env *env = sl_env_posix();
    uint64_t before = (uint64_t)time(NULL);
    uint64_t now_ms = env->wall_ms(env->ctx);
    cr_assert_geq(now_ms / 1000 + 1, before); /* time() may lag behind by a tick */
    cr_assert_gt(now_ms, UINT64_C(1600000000000));
    cr_assert_lt(now_ms, UINT64_C(1) << 47);
}

/* The monotonic clock never goes back. */
Test(env_posix, mono_never_goes_back)
{
    const struct sl_env *env = sl_env_posix();
    uint64_t last = env->mono_ns(env->ctx);
    for (int i = 0; i < 10000; i++) {
        uint64_t now = env->mono_ns(env->ctx);
        cr_assert_geq(now, last);
        last = now;
    }
}

/* All bytes asked for are filled, also more than the kernel gives in one go. */
Test(env_posix, random_fills_everything)
{
    static uint8_t first[100000], second[100000];
    const struct sl_env *env = sl_env_posix();
    cr_assert_eq(env->random(env->ctx, first, sizeof(first)), SYNCLINE_OK);
    cr_assert_eq(env->random(env->ctx, second, sizeof(second)), SYNCLINE_OK);
    for (size_t i = 0; i + 32 <= sizeof(first); i += 32)
        cr_assert_neq(memcmp(first + i, second + i, 32), 0);
}

/* When the system gives none, the call fails and does not return what was there. */
Test(env_posix, random_that_fails_is_an_error)
{
    const struct sl_env *env = sl_env_posix();
    void *sealed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(sealed, MAP_FAILED);
    cr_assert_eq(env->random(env->ctx, sealed, 16), SYNCLINE_EIO);
    cr_assert_eq(munmap(sealed, 4096), 0);
}

/* Files are those of SQLite's default VFS. */
Test(env_posix, files_are_the_default)
{
    cr_assert_null(sl_env_posix()->vfs);
}
