/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Measuring in pairs: plain, synced, plain, synced, ... plain. Each synced run is set against the
 * mean of the plain runs before and after it, so that what the machine does meanwhile touches both.
 */

#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include "bench/folder.h"
#include "bench/rows.h"

#define BENCH_PAIRS_MIN 5u
#define BENCH_PAIRS_MAX 99u
#define BENCH_FIGURES_MAX 12u /* measured by one run */

/* What a figure says of its two raw values, the synced run's and the plain run's. */
enum bench_kind {
    BENCH_RATIO = 0, /* in plain runs */
    BENCH_PERCENT,   /* more than the plain run */
    BENCH_NS,        /* a row; raw values in ns, of all rows */
    BENCH_US,        /* raw values in ns */
    BENCH_MS,
    BENCH_PER_S,   /* rows per second; raw values in ns */
    BENCH_BYTES,   /* raw value is it; the plain run has none */
    BENCH_MIB,     /* the same; raw value in bytes */
    BENCH_MIB_MORE /* than the plain run; raw values in bytes */
};

/* What the measuring functions work with. */
struct bench_run {
    struct bench_folder folder;
    struct bench_rows rows; /* renewed by each function */
    size_t calls;           /* single calls per run, for groups that make them */
    void *group;            /* what the group's begin made */
};

/* Fills `values`, one per figure of the group, in nanoseconds (or bytes). */
typedef enum syncline_status (*bench_measure_fn)(struct bench_run *run,
                                                 double values[BENCH_FIGURES_MAX],
                                                 struct indexer_error *err);

/* One figure. */
struct bench_result {
    double value;        /* median over the pairs */
    double spread;       /* largest minus smallest, in the value's unit */
    double ratio;        /* to the plain run, median; 0: has none */
    double ratio_spread; /* largest minus smallest of the pairs' ratios */
};

/* Runs `pairs` pairs. results[i] is the figure of kinds[i], i < count. */
SYNCLINE_MUST_USE enum syncline_status
bench_pairs_run(struct bench_run *run, unsigned pairs, bench_measure_fn plain,
                bench_measure_fn synced, const enum bench_kind *kinds, size_t count,
                struct bench_result *results, struct indexer_error *err);

/* The value below which `share` (0 to 1) of them lie; sorts them. n > 0. */
double bench_quantile(double *values, size_t n, double share);

#endif
