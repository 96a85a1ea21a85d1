/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/pair.h"

#include <stdlib.h>

#include "bench/clock.h"
#include "bench/stop.h"

#define MIB (1024.0 * 1024.0)

/* Raw values of all runs. */
struct samples {
    double plain[BENCH_PAIRS_MAX + 1][BENCH_FIGURES_MAX];
    double synced[BENCH_PAIRS_MAX][BENCH_FIGURES_MAX];
};

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_quantile(double *values, size_t n, double share)
{
    qsort(values, n, sizeof(*values), compare);
    if (share == 0.5 && n % 2 == 0) {
        return (values[n / 2 - 1] + values[n / 2]) / 2;
    }
    size_t at = (size_t)((double)n * share);
    return values[at < n ? at : n - 1];
}

/* The figure of one pair. */
static double figure_of(enum bench_kind kind, double synced, double plain, size_t rows)
{
    switch (kind) {
    case BENCH_RATIO:
        return synced / plain;
    case BENCH_PERCENT:
        return (synced / plain - 1) * 100;
    case BENCH_NS:
        return synced / (double)rows;
    case BENCH_US:
        return synced / BENCH_NS_PER_US;
    case BENCH_MS:
        return synced / BENCH_NS_PER_MS;
    case BENCH_PER_S:
        return (double)rows / (synced / BENCH_NS_PER_S);
    case BENCH_BYTES:
        return synced;
    case BENCH_MIB:
        return synced / MIB;
    case BENCH_MIB_MORE:
        return (synced - plain) / MIB;
    }
    return 0;
}

static void reduce(const struct samples *samples, unsigned pairs, size_t at, enum bench_kind kind,
                   size_t rows, struct bench_result *result)
{
    double values[BENCH_PAIRS_MAX];
    double ratios[BENCH_PAIRS_MAX];
    for (unsigned i = 0; i < pairs; i++) {
        double around = (samples->plain[i][at] + samples->plain[i + 1][at]) / 2;
        double synced = samples->synced[i][at];
        bool alone = kind == BENCH_BYTES || kind == BENCH_MIB;
        ratios[i] = around > 0 && !alone ? synced / around : 0;
        values[i] = figure_of(kind, synced, around, rows);
    }
    result->value = bench_quantile(values, pairs, 0.5); /* and sorted from here on */
    result->spread = values[pairs - 1] - values[0];
    result->ratio = bench_quantile(ratios, pairs, 0.5);
    result->ratio_spread = ratios[pairs - 1] - ratios[0];
}

static enum syncline_status measure(struct bench_run *run, bench_measure_fn fn,
                                    double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    if (bench_stop_asked()) {
        return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
    }
    return fn(run, values, err);
}

enum syncline_status bench_pairs_run(struct bench_run *run, unsigned pairs, bench_measure_fn plain,
                                     bench_measure_fn synced, const enum bench_kind *kinds,
                                     size_t count, struct bench_result *results,
                                     struct indexer_error *err)
{
    struct samples *samples = calloc(1, sizeof(*samples));
    if (samples == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for measured values");
    }
    /* One of each unmeasured: caches, the page cache, and the processor's clock. */
    enum syncline_status status = measure(run, synced, samples->synced[0], err);
    for (unsigned i = 0; i < pairs && status == SYNCLINE_OK; i++) {
        status = measure(run, plain, samples->plain[i], err);
        if (status == SYNCLINE_OK) {
            status = measure(run, synced, samples->synced[i], err);
        }
    }
    if (status == SYNCLINE_OK) {
        status = measure(run, plain, samples->plain[pairs], err);
    }
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        reduce(samples, pairs, i, kinds[i], run->rows.len, &results[i]);
    }
    free(samples);
    return status;
}
