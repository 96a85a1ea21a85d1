/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What a record costs as the library grows. */

#ifndef BENCH_SCALE_H
#define BENCH_SCALE_H

#include "bench/report.h"

#define BENCH_SCALE_OPTION "--scale"
#define BENCH_SCALE_MIN 10000u
#define BENCH_SCALE_DEFAULT 1000000u /* in a run of everything */
#define BENCH_SCALE_MAX 10000000u

/* Reports the cost when the library holds 10,000 records, 100,000, ... up to `max`. */
SYNCLINE_MUST_USE enum syncline_status bench_scale_run(struct bench_run *run, size_t max,
                                                       struct bench_report *report,
                                                       struct indexer_error *err);
/* How the figures are made, for --help. */
void bench_scale_usage(FILE *out);

#endif
