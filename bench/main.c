/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* sl-bench: what syncing costs, as figures set against plain inserts. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench/clock.h"
#include "bench/figures.h"
#include "bench/memory.h"
#include "bench/receiver.h"
#include "bench/report.h"
#include "bench/scale.h"
#include "bench/soak.h"
#include "bench/stop.h"

#define EXIT_WRONG_USE 2
#define PAIRS_DEFAULT 7u
#define PAIRS_DEFAULT_SMALL BENCH_PAIRS_MIN

struct arguments {
    const char *json; /* NULL: none */
    const char *only; /* names, separated by commas; NULL: all */
    uint64_t pairs;   /* 0: not given */
    uint64_t scale;   /* 0: not asked for */
    uint64_t soak;    /* the same */
    uint64_t seed;    /* of the soak */
    bool has_seed;
    bool small;
    bool check;
    bool help;
};

static void usage(FILE *out)
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
        "  --check          fail if a figure is beyond its limit: twice its goal, three times for "
        "a\n"
        "                   time, half where more is better\n"
        "  --scale [MAX]    only the cost of a record as the library grows from 10,000 to MAX\n"
        "                   records (10,000,000); a run of everything does it up to 1,000,000\n"
        "  --soak [CHANGES] only this: eight threads on A make so many changes (1,000,000), with "
        "all\n"
        "                   three calls, savepoints and rollbacks; fails unless B ends equal\n"
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

static bool is_wanted(const char *only, const char *name)
{
    size_t name_len = strlen(name);
    for (const char *at = only; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ",");
        if (len == name_len && memcmp(at, name, len) == 0) {
            return true;
        }
        at += len + (at[len] == ',' ? 1 : 0);
    }
    return only == NULL;
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
static bool parse_valued(int argc, char *argv[], int *at, struct arguments *arguments)
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

static bool parse(int argc, char *argv[], struct arguments *arguments)
{
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
    return true;
}

static bool any_wanted(const struct bench_group *group, const char *only)
{
    for (size_t i = 0; i < group->count; i++) {
        if (is_wanted(only, group->figures[i].name)) {
            return true;
        }
    }
    return false;
}

static void skip_group(const struct bench_group *group, struct bench_report *report,
                       const char *only, const char *reason)
{
    for (size_t i = 0; i < group->count; i++) {
        if (is_wanted(only, group->figures[i].name)) {
            bench_report_skip(report, &group->figures[i], reason);
        }
    }
}

/* What the figure is about: its own rows, single calls, or all rows of a run. */
static size_t rows_of(const struct bench_figure *figure, const struct bench_run *run)
{
    if (figure->rows > 0) {
        return figure->rows;
    }
    return run->calls > 0 ? run->calls : run->rows.len;
}

static enum syncline_status measure_group(struct bench_run *run, const struct bench_group *group,
                                          struct bench_report *report, const char *only,
                                          struct indexer_error *err)
{
    enum bench_kind kinds[BENCH_FIGURES_MAX];
    struct bench_result results[BENCH_FIGURES_MAX];
    unsigned pairs = group->pairs_max > 0 ? group->pairs_max : report->pairs;
    for (size_t i = 0; i < group->count; i++) {
        kinds[i] = group->figures[i].kind;
    }
    enum syncline_status status =
        bench_pairs_run(run, pairs, group->plain, group->synced, kinds, group->count, results, err);
    for (size_t i = 0; i < group->count && status == SYNCLINE_OK; i++) {
        if (is_wanted(only, group->figures[i].name)) {
            bench_report_add(report, &group->figures[i], rows_of(&group->figures[i], run), pairs,
                             &results[i]);
        }
    }
    return status;
}

static enum syncline_status run_group(struct bench_run *run, const struct bench_group *group,
                                      struct bench_report *report, const char *only,
                                      struct indexer_error *err)
{
    size_t rows = report->small ? group->rows_small : group->rows;
    if (rows == 0) {
        skip_group(group, report, only, "takes too long for --small");
        return SYNCLINE_OK;
    }
    run->calls = report->small ? group->calls_small : group->calls;
    enum syncline_status status = bench_rows_init(&run->rows, rows, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = group->begin != NULL ? group->begin(run, err) : SYNCLINE_OK;
    if (status == SYNCLINE_ENOTFOUND) {
        skip_group(group, report, only, err->text);
        status = SYNCLINE_OK;
    } else if (status == SYNCLINE_OK) {
        status = measure_group(run, group, report, only, err);
        if (group->end != NULL) {
            group->end(run);
        }
    }
    bench_folder_empty(&run->folder);
    bench_rows_fini(&run->rows);
    return status;
}

static enum syncline_status run_groups(struct bench_run *run, const struct arguments *arguments,
                                       struct bench_report *report, struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t g = 0; g < bench_groups_count && status == SYNCLINE_OK; g++) {
        if (any_wanted(&bench_groups[g], arguments->only)) {
            status = run_group(run, &bench_groups[g], report, arguments->only, err);
        }
    }
    if (status == SYNCLINE_OK && arguments->only == NULL && !arguments->small) {
        status = bench_scale_run(run, BENCH_SCALE_DEFAULT, report, err);
    }
    return status;
}

static enum syncline_status run_asked(struct bench_run *run, const struct arguments *arguments,
                                      struct bench_report *report, struct indexer_error *err)
{
    if (arguments->soak > 0) {
        return bench_soak_report(run, arguments->soak,
                                 arguments->has_seed ? arguments->seed : bench_now_ns(), report,
                                 err);
    }
    bench_report_head();
    return arguments->scale > 0 ? bench_scale_run(run, arguments->scale, report, err)
                                : run_groups(run, arguments, report, err);
}

static int run_all(const struct arguments *arguments, struct bench_report *report)
{
    struct bench_run run = {.calls = 0};
    struct indexer_error err = {.text = ""};
    bench_stop_watch();
    enum syncline_status status = bench_folder_init(&run.folder, &err);
    if (status == SYNCLINE_OK) {
        bench_report_begin(report, &run);
        status = run_asked(&run, arguments, report, &err);
    }
    bench_folder_fini(&run.folder);
    if (status != SYNCLINE_OK) {
        (void)fprintf(stderr, "sl-bench: %s\n", err.text);
        return EXIT_FAILURE;
    }
    if (!bench_report_end(report)) {
        (void)fprintf(stderr, "sl-bench: the figures could not be written; is the disk full?\n");
        return EXIT_FAILURE;
    }
    return report->beyond == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    struct arguments arguments = {.json = NULL};
    if (argc == 4 && strcmp(argv[1], BENCH_RECEIVER_OPTION) == 0) {
        return bench_receiver_main(argv[2], argv[3]);
    }
    if (argc == 6 && strcmp(argv[1], BENCH_SOAK_RUN_OPTION) == 0) {
        return bench_soak_main(argv[2], argv[3], argv[4], argv[5]);
    }
    if (argc == 5 && strcmp(argv[1], BENCH_MEMORY_OPTION) == 0) {
        return bench_memory_main(argv[2], argv[3], argv[4]);
    }
    if (!parse(argc, argv, &arguments)) {
        return EXIT_WRONG_USE;
    }
    if (arguments.help) {
        usage(stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    struct bench_report report = {
        .small = arguments.small, .check = arguments.check, .pairs = (unsigned)arguments.pairs};
    if (report.pairs == 0) {
        report.pairs = arguments.small ? PAIRS_DEFAULT_SMALL : PAIRS_DEFAULT;
    }
    if (arguments.json != NULL) {
        report.json = fopen(arguments.json, "we");
        if (report.json == NULL) {
            (void)fprintf(stderr, "sl-bench: %s cannot be written (%s); give another --json FILE\n",
                          arguments.json, strerror(errno));
            return EXIT_FAILURE;
        }
    }
    int code = run_all(&arguments, &report);
    if (report.json != NULL && fclose(report.json) != 0) {
        (void)fprintf(stderr, "sl-bench: %s could not be written (%s)\n", arguments.json,
                      strerror(errno));
        code = EXIT_FAILURE;
    }
    return code;
}
