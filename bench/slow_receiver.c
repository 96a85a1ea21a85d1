/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Does a receiver on a slow line slow the sender? The time of inserting and capturing on A with a
 * receiver at 10 KB/s, against the same without any receiver. */

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "bench/receiver.h"
#include "bench/slow_link.h"

#define BYTES_PER_S 10000u
#define IDLE_US 100000 /* before the first row, for the engine to come to rest */

static enum syncline_status insert(struct bench_device *a, struct bench_rows *rows, double *ns,
                                   struct indexer_error *err)
{
    struct bench_span span = {0};
    bench_nap_us(IDLE_US);
    enum syncline_status status = bench_insert(a->db, a->lib, rows, &span, err);
    *ns = (double)(span.last_ns - span.first_ns);
    return status;
}

/* It must have been there, and slow, all the time. */
static enum syncline_status check_slow(struct bench_device *a, const struct bench_rows *rows,
                                       struct indexer_error *err)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    enum syncline_status status = bench_device_info(a, &info, err);
    if (status == SYNCLINE_OK && (info.links == 0 || info.acked_seq >= rows->len)) {
        status = indexer_fail(err, SYNCLINE_ECORRUPT,
                              "the slow receiver was not there or not slow (%u links, %llu of %zu "
                              "acknowledged)",
                              info.links, (unsigned long long)info.acked_seq, rows->len);
    }
    return status;
}

static enum syncline_status insert_with_receiver(struct bench_run *run, struct bench_device *a,
                                                 double *ns, struct indexer_error *err)
{
    struct bench_slow_link link;
    struct bench_receiver b;
    char dir[BENCH_PATH_SIZE];
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = bench_slow_link_start(&link, a->listen, BYTES_PER_S, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_receiver_start(&b, dir, link.address, err);
    if (status == SYNCLINE_OK) {
        status = insert(a, &run->rows, ns, err);
        if (status == SYNCLINE_OK) {
            status = check_slow(a, &run->rows, err);
        }
        bench_receiver_stop(&b);
    }
    bench_slow_link_stop(&link);
    return status;
}

static enum syncline_status measure(struct bench_run *run, bool with_receiver, double *ns,
                                    struct indexer_error *err)
{
    struct bench_device a;
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_device_serve(&a, &run->folder, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status =
        with_receiver ? insert_with_receiver(run, &a, ns, err) : insert(&a, &run->rows, ns, err);
    bench_device_close(&a);
    return status;
}

enum syncline_status bench_measure_slow_receiver(struct bench_run *run,
                                                 double values[BENCH_FIGURES_MAX],
                                                 struct indexer_error *err)
{
    return measure(run, true, &values[0], err);
}

enum syncline_status bench_measure_no_receiver(struct bench_run *run,
                                               double values[BENCH_FIGURES_MAX],
                                               struct indexer_error *err)
{
    return measure(run, false, &values[0], err);
}
