/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Resident memory of a process, from /proc. */

#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

#define BENCH_MEMORY_OPTION "--memory" /* DIR plain|synced ROWS; not for people */

/* Bytes, now and at most so far; 0: there is no such process any more. */
uint64_t bench_memory_now(pid_t pid);
uint64_t bench_memory_peak(pid_t pid);

/* The main function of the process whose memory is measured; returns its exit code. */
int bench_memory_main(const char *dir, const char *how, const char *rows);

#endif
