/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Kill mode: two devices in processes of their own. One of them is told at which crash point to
 * die by SIGKILL, and is started again when it has; the other one goes on all along. Now and then
 * both applications are silent after a kill, and both devices must come to hold what was committed
 * without another capture. */

#ifndef CRASH_KILL_H
#define CRASH_KILL_H

#include "base/crashpoint.h"
#include "tests/crash/crash_device.h"

struct crash_run {
    bool points[SL_CRASHPOINT_COUNT]; /* to be hit */
    uint64_t seed;
    uint64_t first; /* of the iterations */
    uint64_t count; /* of them */
    bool verbose;   /* a line for each */
};

struct crash_result {
    uint64_t hit[SL_CRASHPOINT_COUNT][SL_CRASH_SIDE_COUNT]; /* how often it died there */
    uint64_t deaths;                                        /* altogether */
    struct crash_verdict verdict;
};

void crash_kill(const struct crash_run *run, struct crash_result *result);

#endif
