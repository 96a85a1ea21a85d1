/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Eight threads of an application on A at once, and B must end with exactly what they committed. */

#ifndef BENCH_SOAK_H
#define BENCH_SOAK_H

#include "bench/report.h"

#define BENCH_SOAK_OPTION "--soak"
#define BENCH_SOAK_DEFAULT 1000000u /* changes committed */
#define BENCH_SOAK_MIN 1000u
#define BENCH_SOAK_MAX 100000000u
#define BENCH_SOAK_RUN_OPTION "--soak-run" /* DIR plain|synced COUNT SEED; not for people */

/* Runs the program once plainly and once synced and reports memory and time. Errors: ECORRUPT (A
 * and B differ, or a record was set aside; the text names the first), and those of the runs. */
SYNCLINE_MUST_USE enum syncline_status bench_soak_report(struct bench_run *run, uint64_t count,
                                                         uint64_t seed, struct bench_report *report,
                                                         struct indexer_error *err);

/* The main function of one of the two; returns its exit code. */
int bench_soak_main(const char *dir, const char *how, const char *count, const char *seed);

#endif
