/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How long an application on B waits for its own small transactions while rows arrive there.
 * Plainly: the same transactions in a database where nothing else happens. */

#include "bench/app_writer.h"
#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/two_devices.h"

#define ALONE_US 1000000 /* how long it writes where nothing else happens */

static void take_values(const struct bench_app_times *times, double values[BENCH_FIGURES_MAX])
{
    values[0] = times->p50;
    values[1] = times->p99;
    values[2] = times->max;
}

static enum syncline_status run_once(struct bench_two *two, struct bench_rows *rows,
                                     struct bench_app_times *times, struct indexer_error *err)
{
    struct bench_span span;
    struct bench_content here = {0};
    struct bench_content there = {0};
    uint64_t seen_ns = 0;
    enum syncline_status status = bench_receiver_write(&two->b, err);
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
    if (status == SYNCLINE_OK) {
        status = bench_receiver_written(&two->b, times, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_read(two->a.db, &here, err);
    }
    return status == SYNCLINE_OK ? bench_content_check(&here, &there, err) : status;
}

enum syncline_status bench_measure_writer(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err)
{
    struct bench_two two;
    struct bench_app_times times = {0};
    enum syncline_status status = bench_two_open(&two, run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = run_once(&two, &run->rows, &times, err);
    take_values(&times, values);
    bench_two_close(&two);
    return status;
}

enum syncline_status bench_measure_plain_writer(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct bench_app_writer writer;
    struct bench_app_times times = {0};
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = bench_app_writer_start(&writer, dir, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    bench_nap_us(ALONE_US);
    status = bench_app_writer_stop(&writer, &times, err);
    take_values(&times, values);
    return status;
}
