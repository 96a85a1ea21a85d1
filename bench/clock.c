/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t bench_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_nap_us(uint32_t us)
{
    struct timespec span = {.tv_sec = us / 1000000u, .tv_nsec = (long)(us % 1000000u) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
}
