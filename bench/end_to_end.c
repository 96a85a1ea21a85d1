/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* From the first insert on A to the last row on B, each a process of its own, connected before. */

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "bench/receiver.h"

#define IDLE_US 100000 /* after the handshake, for both engines to come to rest */

static enum syncline_status run_once(struct bench_device *a, struct bench_receiver *b,
                                     struct bench_rows *rows, double values[BENCH_FIGURES_MAX],
                                     struct indexer_error *err)
{
    struct syncline_info before = SYNCLINE_INFO_INIT;
    struct syncline_info after = SYNCLINE_INFO_INIT;
    struct bench_span span;
    struct bench_content here = {0};
    struct bench_content there = {0};
    uint64_t seen_ns = 0;
    bench_nap_us(IDLE_US);
    enum syncline_status status = bench_device_info(a, &before, err);
    if (status == SYNCLINE_OK) {
        status = bench_receiver_await(b, &rows->entries[rows->len - 1].uuid, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_insert(a->db, a->lib, rows, &span, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_receiver_seen(b, &seen_ns, &there, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_device_info(a, &after, err);
    if (status == SYNCLINE_OK) {
        status = bench_content_read(a->db, &here, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_check(&here, &there, err);
    }
    values[0] = (double)(seen_ns - span.first_ns);
    values[1] = seen_ns > span.last_ns ? (double)(seen_ns - span.last_ns) : 0;
    values[2] = (double)(after.wire_bytes_sent - before.wire_bytes_sent) / (double)rows->len;
    return status;
}

enum syncline_status bench_measure_e2e(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                       struct indexer_error *err)
{
    struct bench_device a;
    struct bench_receiver b;
    char dir[BENCH_PATH_SIZE];
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_folder_next(&run->folder, dir, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_device_serve(&a, &run->folder, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_receiver_start(&b, dir, a.listen, err);
    if (status == SYNCLINE_OK) {
        status = run_once(&a, &b, &run->rows, values, err);
        bench_receiver_stop(&b);
    }
    bench_device_close(&a);
    return status;
}
