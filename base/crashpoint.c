/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/crashpoint.h"

#ifdef SL_CRASHPOINTS

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* What is armed, in one word that any thread may read: what follows the moment counts down. */
static atomic_uint armed;   /* 1 + point * sides + side; 0: nothing */
static atomic_uint to_pass; /* passings until it is hit */
static atomic_ullong passed[SL_CRASHPOINT_COUNT][SL_CRASH_SIDE_COUNT];
static void (*on_hit)(void *ctx);
static void *on_hit_ctx;

void sl_crashpoint_pass(enum sl_crashpoint point, enum sl_crash_side side)
{
    unsigned here = 1 + (unsigned)point * SL_CRASH_SIDE_COUNT + (unsigned)side;
    (void)atomic_fetch_add(&passed[point][side], 1);
    if (atomic_load(&armed) != here || atomic_fetch_sub(&to_pass, 1) != 1) {
        return;
    }
    if (on_hit != NULL) {
        atomic_store(&armed, 0);
        on_hit(on_hit_ctx);
        return;
    }
    (void)raise(SIGKILL);
}

void sl_crashpoint_arm(enum sl_crashpoint point, enum sl_crash_side side, uint32_t nth)
{
    atomic_store(&armed, 0);
    atomic_store(&to_pass, nth);
    if (nth > 0) {
        atomic_store(&armed, 1 + (unsigned)point * SL_CRASH_SIDE_COUNT + (unsigned)side);
    }
}

bool sl_crashpoint_is_armed(enum sl_crashpoint point)
{
    unsigned now = atomic_load(&armed);
    return now > 0 && (now - 1) / SL_CRASH_SIDE_COUNT == (unsigned)point;
}

uint64_t sl_crashpoint_passed(enum sl_crashpoint point, enum sl_crash_side side)
{
    return atomic_load(&passed[point][side]);
}

void sl_crashpoint_on_hit(void (*hit)(void *ctx), void *ctx)
{
    on_hit = hit;
    on_hit_ctx = ctx;
}

const char *sl_crashpoint_name(enum sl_crashpoint point)
{
    static const char *const names[] = {
#define X(name, text) #name,
        SL_CRASHPOINT_LIST(X)
#undef X
    };
    return names[point];
}

const char *sl_crashpoint_text(enum sl_crashpoint point)
{
    static const char *const texts[] = {
#define X(name, text) text,
        SL_CRASHPOINT_LIST(X)
#undef X
    };
    return texts[point];
}

#endif
