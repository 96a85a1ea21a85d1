/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench/figures.h"
#include "bench/scale.h"
#include "bench/soak.h"

#define PAIRS_DEFAULT 7u
#define PAIRS_DEFAULT_SMALL BENCH_PAIRS_MIN

void bench_arguments_usage(FILE *out)
{
    (void)fprintf(
        out,
        "usage: sl-bench [--json FILE] [--only NAME,...] [--pairs N] [--small] [--check]\n"
        "       sl-bench [--json FILE] --scale [MAX]\n"
        "       sl-bench [--json FILE] --soak [CHANGES] [--seed N]\n\n"
        "  --json FILE      also write one JSON object a line\n"
        "  --only NAME,...  these figures only\n"
        "  --pairs N        measure in so many pairs, %u to %u (%u; small: %u)\n"
        "  --small          fewer rows, for a look in a minute\n"
        "  --check          fail if a figure is beyond its limit: twice its goal, three times for\n"
        "                   a time, half where more is better\n"
        "  --scale [MAX]    only the cost of a record as the library grows from 10,000 to MAX\n"
        "                   records (10,000,000); a run of everything does it up to 1,000,000\n"
        "  --soak [CHANGES] only this: eight threads on A make so many changes (1,000,000), with\n"
        "                   all three calls, savepoints and rollbacks; fails unless B ends equal\n"
        "  --seed N         for --soak: what the threads do\n\n"
        "Figures, each set against plain inserts of the same rows around it:\n",
        BENCH_PAIRS_MIN, BENCH_PAIRS_MAX, PAIRS_DEFAULT, PAIRS_DEFAULT_SMALL);
    for (size_t g = 0; g < bench_groups_count; g++) {
        for (size_t i = 0; i < bench_groups[g].count; i++) {
            const struct bench_figure *figure = &bench_groups[g].figures[i];
            (void)fprintf(out, "  %s (%s)\n      %s\n", figure->name, figure->unit, figure->what);
        }
    }
    (void)fprintf(out, "\nAs the library grows:\n");
    bench_scale_usage(out);
}

static bool fail(const char *what, const char *name, const char *cure)
{
    (void)fprintf(stderr, "sl-bench: %s '%s'; %s\n", what, name, cure);
    return false;
}

static bool check_names(const char *only)
{
    for (const char *at = only;;) {
        size_t len = strcspn(at, ",");
        if (bench_figure_find(at, len) == NULL) {
            char name[64];
            (void)snprintf(name, sizeof(name), "%.*s", (int)(len < 60 ? len : 60), at);
            return fail("there is no figure", name, "sl-bench --help lists them");
        }
        if (at[len] == '\0') {
            return true;
        }
        at += len + 1;
    }
}

static bool parse_number(const char *option, const char *text, uint64_t min, uint64_t max,
                         uint64_t *value)
{
    char *end = NULL;
    char cure[64];
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number < min ||
        number > max) {
        char what[32];
        (void)snprintf(what, sizeof(what), "%s cannot be", option);
        (void)snprintf(cure, sizeof(cure), "give a number from %" PRIu64 " to %" PRIu64, min, max);
        return fail(what, text, cure);
    }
    *value = number;
    return true;
}

/* An option with a value; *at moves to the value. */
static bool parse_valued(int argc, char *argv[], int *at, struct bench_arguments *arguments)
{
    const char *option = argv[*at];
    bool is_json = strcmp(option, "--json") == 0;
    bool is_only = strcmp(option, "--only") == 0;
    bool is_seed = strcmp(option, "--seed") == 0;
    if (!is_json && !is_only && !is_seed && strcmp(option, "--pairs") != 0) {
        return fail("there is no option", option, "sl-bench --help lists them");
    }
    if (*at + 1 >= argc || argv[*at + 1][0] == '\0') {
        return fail("a value is missing after", option, "sl-bench --help says which");
    }
    const char *value = argv[++*at];
    if (is_json) {
        arguments->json = value;
        return true;
    }
    if (is_only) {
        arguments->only = value;
        return check_names(value);
    }
    if (is_seed) {
        arguments->has_seed = true;
        return parse_number(option, value, 0, UINT64_MAX, &arguments->seed);
    }
    return parse_number(option, value, BENCH_PAIRS_MIN, BENCH_PAIRS_MAX, &arguments->pairs);
}

/* An option whose value may be left out; *at moves to it if it is there. *value is set before. */
static bool parse_optional(int argc, char *argv[], int *at, uint64_t min, uint64_t max,
                           uint64_t *value)
{
    const char *option = argv[*at];
    if (*at + 1 >= argc || argv[*at + 1][0] == '-') {
        return true;
    }
    return parse_number(option, argv[++*at], min, max, value);
}

bool bench_arguments_parse(struct bench_arguments *arguments, int argc, char *argv[])
{
    *arguments = (struct bench_arguments){.json = NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            arguments->help = true;
        } else if (strcmp(argv[i], "--small") == 0) {
            arguments->small = true;
        } else if (strcmp(argv[i], "--check") == 0) {
            arguments->check = true;
        } else if (strcmp(argv[i], BENCH_SCALE_OPTION) == 0) {
            arguments->scale = BENCH_SCALE_MAX;
            if (!parse_optional(argc, argv, &i, BENCH_SCALE_MIN, BENCH_SCALE_MAX,
                                &arguments->scale)) {
                return false;
            }
        } else if (strcmp(argv[i], BENCH_SOAK_OPTION) == 0) {
            arguments->soak = BENCH_SOAK_DEFAULT;
            if (!parse_optional(argc, argv, &i, BENCH_SOAK_MIN, BENCH_SOAK_MAX, &arguments->soak)) {
                return false;
            }
        } else if (!parse_valued(argc, argv, &i, arguments)) {
            return false;
        }
    }
    if (arguments->pairs == 0) {
        arguments->pairs = arguments->small ? PAIRS_DEFAULT_SMALL : PAIRS_DEFAULT;
    }
    return true;
}
