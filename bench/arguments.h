/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What sl-bench is asked to do. */

#ifndef BENCH_ARGUMENTS_H
#define BENCH_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct bench_arguments {
    const char *json; /* NULL: none */
    const char *only; /* names of figures, separated by commas; NULL: all */
    uint64_t pairs;
    uint64_t scale; /* records; 0: not asked for */
    uint64_t soak;  /* changes; 0: not asked for */
    uint64_t seed;  /* of the soak */
    bool has_seed;
    bool small;
    bool check;
    bool help;
};

/* Borrows the texts. False: they are wrong; standard error says how. */
bool bench_arguments_parse(struct bench_arguments *arguments, int argc, char *argv[]);
void bench_arguments_usage(FILE *out);

#endif
