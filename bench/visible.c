/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How soon one change is visible on the other device when nothing else happens. */

#include <stdlib.h>

#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "bench/two_devices.h"
#include "indexer/schema.h"

#define IDLE_US 100000 /* between two changes: both engines are at rest by then */

static void take_quantiles(double *times, size_t n, double values[BENCH_FIGURES_MAX])
{
    values[0] = bench_quantile(times, n, 0.5);
    values[1] = bench_quantile(times, n, 0.99);
}

/* The next row, alone in its transaction. */
static struct bench_rows row_at(struct bench_rows *rows, size_t at)
{
    return (struct bench_rows){
        .entries = &rows->entries[at], .parents = &rows->parents[0], .len = 1};
}

static enum syncline_status one(struct bench_two *two, struct bench_rows *row, double *ns,
                                struct indexer_error *err)
{
    struct bench_span span = {0};
    struct bench_content content;
    uint64_t seen_ns = 0;
    row->entries[0].parent_id.is_set = false;
    enum syncline_status status =
        bench_receiver_await(&two->b, BENCH_ENTRIES, &row->entries[0].uuid, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bench_nap_us(IDLE_US);
    status = bench_insert(two->a.db, two->a.lib, row, &span, err);
    if (status == SYNCLINE_OK) {
        status = bench_receiver_seen(&two->b, &seen_ns, &content, err);
    }
    *ns = seen_ns > span.last_ns ? (double)(seen_ns - span.last_ns) : 0;
    return status;
}

static enum syncline_status all(struct bench_two *two, struct bench_run *run, double *times,
                                struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < run->calls && status == SYNCLINE_OK; i++) {
        struct bench_rows row = row_at(&run->rows, i);
        status = one(two, &row, &times[i], err);
    }
    return status;
}

enum syncline_status bench_measure_visible(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err)
{
    struct bench_two two;
    double *times = calloc(run->calls, sizeof(*times));
    if (times == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for measured values");
    }
    enum syncline_status status = bench_two_open(&two, run, err);
    if (status == SYNCLINE_OK) {
        status = all(&two, run, times, err);
        bench_two_close(&two);
        take_quantiles(times, run->calls, values);
    }
    free(times);
    return status;
}

enum syncline_status bench_measure_plain_transaction(struct bench_run *run,
                                                     double values[BENCH_FIGURES_MAX],
                                                     struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct sqlite3 *db = NULL;
    double *times = calloc(run->calls, sizeof(*times));
    if (times == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for measured values");
    }
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_folder_next(&run->folder, dir, err);
    }
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &db, err);
    }
    for (size_t i = 0; i < run->calls && status == SYNCLINE_OK; i++) {
        struct bench_rows row = row_at(&run->rows, i);
        struct bench_span span = {0};
        row.entries[0].parent_id.is_set = false;
        status = bench_insert(db, NULL, &row, &span, err);
        times[i] = (double)(span.last_ns - span.first_ns);
    }
    indexer_db_close(db);
    take_quantiles(times, run->calls, values);
    free(times);
    return status;
}
