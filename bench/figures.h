/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What is measured: every figure with its goal and what others reach, in groups that one run
 * measures together. */

#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdbool.h>

#include "bench/pair.h"

struct bench_figure {
    const char *name;
    const char *unit;
    const char *peer; /* what the best other system reaches; NULL: not known */
    const char *what; /* what is measured, exactly */
    double plan;      /* what the plan promises, in `unit`; 0: nothing */
    double goal;      /* what is aimed at, in `unit`; 0: nothing */
    size_t rows;      /* that it is about; 0: all of the group's */
    enum bench_kind kind;
    bool more; /* more is better */
};

struct bench_group {
    const struct bench_figure *figures;
    size_t count;
    size_t rows;        /* inserted per run */
    size_t rows_small;  /* the same with --small; 0: not measured then */
    size_t calls;       /* single calls per run */
    size_t calls_small; /* the same with --small */
    unsigned pairs_max; /* 0: as many as asked for */
    /* Around all pairs; NULL: nothing. begin fails with ENOTFOUND, and says what is not there, if
     * the group cannot be measured here; on failure there is nothing to end. */
    enum syncline_status (*begin)(struct bench_run *run, struct indexer_error *err);
    void (*end)(struct bench_run *run);
    bench_measure_fn plain;
    bench_measure_fn synced;
};

extern const struct bench_group bench_groups[];
extern const size_t bench_groups_count;

/* NULL: there is no such figure. */
const struct bench_figure *bench_figure_find(const char *name, size_t name_len);

#endif
