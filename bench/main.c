/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* sl-bench: what syncing costs, as figures set against plain inserts. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/arguments.h"
#include "bench/clock.h"
#include "bench/figures.h"
#include "bench/memory.h"
#include "bench/receiver.h"
#include "bench/reopen.h"
#include "bench/report.h"
#include "bench/scale.h"
#include "bench/soak.h"
#include "bench/stop.h"

#define EXIT_WRONG_USE 2

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

static enum syncline_status run_groups(struct bench_run *run,
                                       const struct bench_arguments *arguments,
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

static enum syncline_status run_asked(struct bench_run *run,
                                      const struct bench_arguments *arguments,
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

static int run_all(const struct bench_arguments *arguments, struct bench_report *report)
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
    struct bench_arguments arguments;
    if (argc == 4 && strcmp(argv[1], BENCH_RECEIVER_OPTION) == 0) {
        return bench_receiver_main(argv[2], argv[3]);
    }
    if (argc == 6 && strcmp(argv[1], BENCH_SOAK_RUN_OPTION) == 0) {
        return bench_soak_main(argv[2], argv[3], argv[4], argv[5]);
    }
    if (argc == 5 && strcmp(argv[1], BENCH_MEMORY_OPTION) == 0) {
        return bench_memory_main(argv[2], argv[3], argv[4]);
    }
    if (argc == 5 && strcmp(argv[1], BENCH_REOPEN_OPTION) == 0) {
        return bench_reopen_main(argv[2], argv[3], argv[4]);
    }
    if (!bench_arguments_parse(&arguments, argc, argv)) {
        return EXIT_WRONG_USE;
    }
    if (arguments.help) {
        bench_arguments_usage(stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    struct bench_report report = {
        .small = arguments.small, .check = arguments.check, .pairs = (unsigned)arguments.pairs};
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
