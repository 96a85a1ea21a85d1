/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the core knows of the world: clocks, randomness, files, memory. Production has one of these
 * (env_posix.c); the simulator has one per device. Nothing in the core asks the system by itself.
 */

#ifndef SL_ENV_H
#define SL_ENV_H

#include "base/alloc.h"
#include "include/syncline.h"

struct sl_env {
    uint64_t (*wall_ms)(void *ctx); /* ms since 1970 UTC; may jump either way */
    uint64_t (*mono_ns)(void *ctx); /* never goes back; unrelated to the wall */
    /* Fills out[0..size) or fails with EIO. */
    enum syncline_status (*random)(void *ctx, void *out, size_t size);
    const char *vfs;                  /* SQLite VFS for every file; NULL: the default */
    void *ctx;                        /* first argument of the functions */
    const struct sl_allocator *alloc; /* borrowed; all memory of who works in this world */
};

/* The real world. Static; never freed. */
const struct sl_env *sl_env_posix(void);

#endif
