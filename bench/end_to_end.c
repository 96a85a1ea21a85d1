/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* From the first insert on A to the last row on B, each a process of its own, connected before; and
 * what that leaves on both disks. */

#include "bench/measure.h"
#include "bench/plain.h"
#include "bench/rest.h"
#include "bench/two_devices.h"

static enum syncline_status run_once(struct bench_two *two, struct bench_rows *rows,
                                     double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    struct syncline_info before = SYNCLINE_INFO_INIT;
    struct syncline_info after = SYNCLINE_INFO_INIT;
    struct bench_span span;
    struct bench_content here = {0};
    struct bench_content there = {0};
    uint64_t seen_ns = 0;
    enum syncline_status status = bench_device_info(&two->a, &before, err);
    if (status == SYNCLINE_OK) {
        status =
            bench_receiver_await(&two->b, BENCH_ENTRIES, &rows->entries[rows->len - 1].uuid, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_insert(two->a.db, two->a.lib, rows, &span, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_receiver_seen(&two->b, &seen_ns, &there, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_device_info(&two->a, &after, err);
    if (status == SYNCLINE_OK) {
        status = bench_content_read(two->a.db, &here, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_check(&here, &there, err);
    }
    values[0] = (double)(seen_ns - span.first_ns);
    values[1] = seen_ns > span.last_ns ? (double)(seen_ns - span.last_ns) : 0;
    values[2] = (double)(after.wire_bytes_sent - before.wire_bytes_sent) / (double)rows->len;
    return status;
}

/* On A, then on B, when all is applied, acknowledged and settled. */
static enum syncline_status rest(struct bench_two *two, size_t len, double values[2],
                                 struct indexer_error *err)
{
    enum syncline_status status =
        syncline_flush(two->a.lib, SYNCLINE_LEVEL_APPLIED, BENCH_DEADLINE_MS, NULL);
    if (status != SYNCLINE_OK) {
        return indexer_fail_sync(err, two->a.lib, status, "B does not say that all is applied");
    }
    status = bench_rest_read(two->a.dir, len, &values[0], err);
    if (status == SYNCLINE_OK) {
        status = bench_rest_read(two->b_dir, len, &values[1], err);
    }
    values[0] /= (double)len;
    values[1] /= (double)len;
    return status;
}

static enum syncline_status measure(struct bench_run *run, bool with_rest,
                                    double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    struct bench_two two;
    enum syncline_status status = bench_two_open(&two, run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = run_once(&two, &run->rows, values, err);
    if (status == SYNCLINE_OK && with_rest) {
        status = rest(&two, run->rows.len, &values[3], err);
    }
    bench_two_close(&two);
    return status;
}

enum syncline_status bench_measure_e2e(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                       struct indexer_error *err)
{
    return measure(run, false, values, err);
}

enum syncline_status bench_measure_e2e_and_rest(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err)
{
    return measure(run, true, values, err);
}
