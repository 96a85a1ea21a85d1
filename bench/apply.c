/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A device that catches up: everything is in A's log before B connects. */

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "bench/stop.h"
#include "bench/watch.h"

#define IDLE_US 100000 /* for A to settle and come to rest */

static bool interrupted(void *ctx)
{
    (void)ctx;
    return bench_stop_asked();
}

static enum syncline_status fill(struct bench_device *a, struct bench_run *run,
                                 struct indexer_error *err)
{
    struct bench_span span;
    enum syncline_status status = bench_insert(a->db, a->lib, &run->rows, &span, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = syncline_flush(a->lib, SYNCLINE_LEVEL_DURABLE, BENCH_DEADLINE_MS, NULL);
    if (status != SYNCLINE_OK) {
        return indexer_fail_sync(err, a->lib, status, "the rows do not reach the log");
    }
    bench_nap_us(IDLE_US);
    return SYNCLINE_OK;
}

/* B catches up; *ns is how long it took. */
static enum syncline_status catch_up(struct bench_device *a, struct bench_device *b,
                                     const struct bench_rows *rows, double *ns,
                                     struct indexer_error *err)
{
    struct bench_watch watch;
    struct bench_content here = {0};
    struct bench_content there = {0};
    uint64_t seen_ns = 0;
    enum syncline_status status = bench_watch_init(&watch, b->dir, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t start_ns = bench_now_ns();
    status = bench_device_open(b, a->listen, err);
    if (status == SYNCLINE_OK) {
        status = bench_watch_wait(&watch, BENCH_ENTRIES, &rows->entries[rows->len - 1].uuid,
                                  interrupted, NULL, &seen_ns, err);
    }
    *ns = (double)(seen_ns - start_ns);
    if (status == SYNCLINE_OK) {
        status = bench_content_read(a->db, &here, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_read(watch.db, &there, err);
    }
    bench_watch_fini(&watch);
    return status == SYNCLINE_OK ? bench_content_check(&here, &there, err) : status;
}

enum syncline_status bench_measure_apply(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                         struct indexer_error *err)
{
    struct bench_device a;
    struct bench_device b;
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
    status = bench_device_make(&b, dir, a.listen, err);
    if (status != SYNCLINE_OK) {
        goto close_a;
    }
    status = fill(&a, run, err);
    if (status == SYNCLINE_OK) {
        status = catch_up(&a, &b, &run->rows, &values[0], err);
    }
    bench_device_close(&b);
close_a:
    bench_device_close(&a);
    return status;
}
