/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/report.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double bench_report_limit(const struct bench_figure *figure)
{
    bool time = strcmp(figure->unit, "ms") == 0 || strcmp(figure->unit, "us") == 0 ||
                strcmp(figure->unit, "ns") == 0;
    if (figure->more) {
        return figure->goal / 2;
    }
    return figure->goal * (time ? 3 : 2);
}

static bool is_beyond(const struct bench_figure *figure, double value)
{
    double limit = bench_report_limit(figure);
    return figure->goal != 0 && (figure->more ? value < limit : value > limit);
}

/* A number with as many decimals as it deserves. */
static const char *number(char text[32], double value)
{
    double size = value < 0 ? -value : value;
    (void)snprintf(text, 32, "%.*f", size >= 1000 ? 0 : size >= 100 ? 1 : 2, value);
    return text;
}

static const char *goal_of(char text[48], const struct bench_figure *figure)
{
    char value[32];
    if (figure->goal == 0) {
        return "-";
    }
    (void)snprintf(text, 48, "%s %s", figure->more ? ">=" : "<=", number(value, figure->goal));
    return text;
}

static const char *others_of(char text[160], const struct bench_figure *figure)
{
    char value[32];
    char plan[48] = "";
    if (figure->plan != 0) {
        (void)snprintf(plan, sizeof(plan), "plan %s%s", number(value, figure->plan),
                       figure->peer != NULL ? "; " : "");
    }
    (void)snprintf(text, 160, "%s%s", plan, figure->peer != NULL ? figure->peer : "");
    return text;
}

void bench_report_begin(struct bench_report *report, const struct bench_run *run)
{
    double load[1] = {0};
    (void)getloadavg(load, 1);
    printf("%ld processors, load %.2f, SQLite %s, WAL and FULL, %u rows a transaction, in %s, "
           "%u pairs%s\n\n",
           sysconf(_SC_NPROCESSORS_ONLN), load[0], sqlite3_libversion(), BENCH_TRANSACTION_LEN,
           run->folder.path, report->pairs, report->small ? ", small" : "");
    (void)fflush(stdout);
}

void bench_report_head(void)
{
    printf("%-24s %9s %-6s %9s %9s %9s %8s %5s  %-12s %s\n", "figure", "value", "unit", "spread",
           "x plain", "spread", "rows", "pairs", "goal", "plan; best other");
    (void)fflush(stdout);
}

static void add_json(FILE *file, struct bench_report *report, const struct bench_figure *figure,
                     size_t rows, unsigned pairs, const struct bench_result *result)
{
    (void)fprintf(file, "{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"spread\": %.6g",
                  figure->name, result->value, figure->unit, result->spread);
    if (result->ratio > 0) {
        (void)fprintf(file, ", \"ratio\": %.6g, \"ratio_spread\": %.6g", result->ratio,
                      result->ratio_spread);
    }
    if (figure->plan != 0) {
        (void)fprintf(file, ", \"plan\": %g", figure->plan);
    }
    if (figure->peer != NULL) {
        (void)fprintf(file, ", \"peer\": \"%s\"", figure->peer);
    }
    if (figure->goal != 0) {
        (void)fprintf(file, ", \"goal\": %.10g", figure->goal);
    }
    (void)fprintf(file, ", \"rows\": %zu, \"pairs\": %u, \"small\": %s}\n", rows, pairs,
                  report->small ? "true" : "false");
    (void)fflush(file);
}

void bench_report_add(struct bench_report *report, const struct bench_figure *figure, size_t rows,
                      unsigned pairs, const struct bench_result *result)
{
    char value[32];
    char spread[32];
    char ratio[32] = "-";
    char ratio_spread[32] = "-";
    char goal[48];
    char others[160];
    if (result->ratio > 0) {
        (void)number(ratio, result->ratio);
        (void)number(ratio_spread, result->ratio_spread);
    }
    printf("%-24s %9s %-6s %9s %9s %9s %8zu %5u  %-12s %s\n", figure->name,
           number(value, result->value), figure->unit, number(spread, result->spread), ratio,
           ratio_spread, rows, pairs, goal_of(goal, figure), others_of(others, figure));
    if (report->check && is_beyond(figure, result->value)) {
        report->beyond++;
        printf("%-24s   BEYOND ITS LIMIT, which is %s %s\n", figure->name,
               number(value, bench_report_limit(figure)), figure->unit);
    }
    (void)fflush(stdout);
    if (report->json != NULL) {
        add_json(report->json, report, figure, rows, pairs, result);
    }
}

void bench_report_skip(struct bench_report *report, const struct bench_figure *figure,
                       const char *reason)
{
    printf("%-24s   skipped: %s\n", figure->name, reason);
    (void)fflush(stdout);
    if (report->json != NULL) {
        (void)fprintf(report->json, "{\"name\": \"%s\", \"skipped\": \"%s\"}\n", figure->name,
                      reason);
        (void)fflush(report->json);
    }
}

bool bench_report_end(struct bench_report *report)
{
    printf("\nEach value is the median of its pairs, its spread the largest minus the smallest, in "
           "its unit. \"x plain\" is the same\nset against plain inserts of the same rows measured "
           "before and after each, without Syncline, and has a spread of\nits own. Goals are aims "
           "and plan and others are quoted; only the first eight columns were measured here.\n");
    if (report->check) {
        printf("\n%u figures are beyond their limits: twice the goal, three times for a time, half "
               "where more is better.\n",
               report->beyond);
    }
    bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
    return written && (report->json == NULL || ferror(report->json) == 0);
}
