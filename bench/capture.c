/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Capture and the way into the log, with nobody to send to. */

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/measure.h"
#include "bench/plain.h"

enum syncline_status bench_measure_plain(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                         struct indexer_error *err)
{
    struct bench_span span = {0};
    enum syncline_status status = bench_plain(&run->folder, &run->rows, &span, err);
    for (size_t i = 0; i < BENCH_FIGURES_MAX; i++) {
        values[i] = (double)(span.last_ns - span.first_ns);
    }
    return status;
}

enum syncline_status bench_measure_plain_capture(struct bench_run *run,
                                                 double values[BENCH_FIGURES_MAX],
                                                 struct indexer_error *err)
{
    struct bench_span span = {0};
    enum syncline_status status = bench_plain(&run->folder, &run->rows, &span, err);
    values[0] = (double)(span.last_ns - span.first_ns);
    values[1] = (double)span.thread_ns;
    values[2] = values[0];
    return status;
}

static enum syncline_status check_log(struct bench_device *device, size_t rows,
                                      struct indexer_error *err)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    enum syncline_status status = bench_device_info(device, &info, err);
    if (status == SYNCLINE_OK && info.own_seq != rows) {
        status = indexer_fail(err, SYNCLINE_ECORRUPT,
                              "%zu rows were inserted and %llu are in the "
                              "log",
                              rows, (unsigned long long)info.own_seq);
    }
    return status;
}

enum syncline_status bench_measure_capture(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err)
{
    struct bench_device device;
    struct bench_span span = {0};
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_device_serve(&device, &run->folder, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = syncline_attach(device.lib, device.db); /* until it is closed */
    status = status == SYNCLINE_OK
                 ? bench_insert(device.db, device.lib, &run->rows, &span, err)
                 : indexer_fail_sync(err, device.lib, status, "the connection is not attached");
    if (status == SYNCLINE_OK) {
        status = syncline_flush(device.lib, SYNCLINE_LEVEL_DURABLE, BENCH_DEADLINE_MS, NULL);
        values[2] = (double)(bench_now_ns() - span.first_ns);
        if (status != SYNCLINE_OK) {
            status = indexer_fail_sync(err, device.lib, status, "the rows do not reach the log");
        }
    }
    if (status == SYNCLINE_OK) {
        status = check_log(&device, run->rows.len, err);
    }
    values[0] = (double)(span.last_ns - span.first_ns);
    values[1] = (double)span.thread_ns;
    bench_device_close(&device);
    return status;
}
