/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The clocks of the benchmark, and naps between two looks at something. */

#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>

#define BENCH_NS_PER_US 1e3
#define BENCH_NS_PER_MS 1e6
#define BENCH_NS_PER_S 1e9

/* Nanoseconds of the monotonic clock, the same for all processes of the machine. */
uint64_t bench_now_ns(void);
/* Processor time of the calling thread, nanoseconds. */
uint64_t bench_thread_ns(void);
/* Sleeps; a signal ends it early. */
void bench_nap_us(uint32_t us);

#endif
