/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Two connected devices at rest: A in this process, B in one of its own. */

#ifndef BENCH_TWO_DEVICES_H
#define BENCH_TWO_DEVICES_H

#include "bench/device.h"
#include "bench/pair.h"
#include "bench/receiver.h"

struct bench_two {
    struct bench_device a;
    struct bench_receiver b;
    char b_dir[BENCH_PATH_SIZE];
};

/* Renews the rows of the run, makes A and B in new folders, and connects them. On failure there is
 * nothing to close. */
SYNCLINE_MUST_USE enum syncline_status bench_two_open(struct bench_two *two, struct bench_run *run,
                                                      struct indexer_error *err);
void bench_two_close(struct bench_two *two);

#endif
