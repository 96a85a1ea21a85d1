/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What was measured, as a table for people and as one JSON object a line for programs. */

#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "bench/figures.h"

struct bench_report {
    FILE *json; /* NULL: none */
    bool small;
    bool check;      /* figures are held against their limits */
    unsigned pairs;  /* asked for; a long group is measured in fewer */
    unsigned beyond; /* figures beyond their limit so far */
};

/* What is measured on. */
void bench_report_begin(struct bench_report *report, const struct bench_run *run);
/* The head of the table. */
void bench_report_head(void);
/* One figure, of so many rows or, if it is about single ones, calls. */
void bench_report_add(struct bench_report *report, const struct bench_figure *figure, size_t rows,
                      unsigned pairs, const struct bench_result *result);
/* A figure that is not measured, and why. */
void bench_report_skip(struct bench_report *report, const struct bench_figure *figure,
                       const char *reason);
/* What --check allows of a figure with a goal, which a machine with other work must be able to
 * keep: twice the goal; three times for a time; half of it where more is better. */
double bench_report_limit(const struct bench_figure *figure);

/* Says what the columns are. Returns false if anything could not be written. */
bool bench_report_end(struct bench_report *report);

#endif
