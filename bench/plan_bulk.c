/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The plan's table of bulk operations: so many entries in one transaction, with one call for all of
 * them or one call for each, from BEGIN on A until the last is visible on B. */

#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "bench/two_devices.h"
#include "indexer/schema.h"

#define IDLE_US 100000 /* between two transactions: both engines are at rest by then */

/* In the order of the figures. */
static const struct {
    size_t len;
    bool batched;
} parts[] = {{100, true}, {100, false}, {1000, true}, {1000, false}, {10000, true}, {10000, false}};
#define PARTS_COUNT (sizeof(parts) / sizeof(parts[0]))

static enum syncline_status one_call(void *ctx, struct sqlite3 *db, const struct entry_row *rows,
                                     size_t n, struct indexer_error *err)
{
    enum syncline_status status =
        syncline_sync_models_batch(ctx, &indexer_entry_model, rows, n, SYNCLINE_INSERT, db, NULL);
    return status == SYNCLINE_OK
               ? status
               : indexer_fail_sync(err, ctx, status, "%zu rows were not captured", n);
}

static enum syncline_status call_each(void *ctx, struct sqlite3 *db, const struct entry_row *rows,
                                      size_t n, struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < n && status == SYNCLINE_OK; i++) {
        status =
            syncline_sync_model_with_db(ctx, &indexer_entry_model, &rows[i], SYNCLINE_INSERT, db);
    }
    return status == SYNCLINE_OK ? status
                                 : indexer_fail_sync(err, ctx, status, "a row was not captured");
}

/* One transaction of the rows at `first`. two NULL: plainly into `db`. */
static enum syncline_status one(struct bench_two *two, struct sqlite3 *db, struct bench_rows *rows,
                                size_t first, size_t part, double *ns, struct indexer_error *err)
{
    struct bench_span span;
    struct bench_content content;
    size_t len = parts[part].len;
    enum syncline_status status = SYNCLINE_OK;
    struct bench_writer writer = {.db = db, .transaction_len = len};
    if (two != NULL) {
        writer.then = parts[part].batched ? one_call : call_each;
        writer.ctx = two->a.lib;
        status =
            bench_receiver_await(&two->b, BENCH_ENTRIES, &rows->entries[first + len - 1].uuid, err);
        bench_nap_us(IDLE_US);
    }
    if (status == SYNCLINE_OK) {
        status = bench_insert_some(&writer, rows, first, len, &span, err);
    }
    if (status == SYNCLINE_OK && two != NULL) {
        status = bench_receiver_seen(&two->b, &span.last_ns, &content, err);
    }
    *ns = (double)(span.last_ns - span.first_ns);
    return status;
}

static enum syncline_status all(struct bench_two *two, struct sqlite3 *db, struct bench_rows *rows,
                                double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    size_t first = 0;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < PARTS_COUNT && status == SYNCLINE_OK; i++) {
        status = one(two, db, rows, first, i, &values[i], err);
        first += parts[i].len;
    }
    return status;
}

enum syncline_status bench_measure_plan_bulk(struct bench_run *run,
                                             double values[BENCH_FIGURES_MAX],
                                             struct indexer_error *err)
{
    struct bench_two two;
    enum syncline_status status = bench_two_open(&two, run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = all(&two, two.a.db, &run->rows, values, err);
    bench_two_close(&two);
    return status;
}

enum syncline_status bench_measure_plain_plan_bulk(struct bench_run *run,
                                                   double values[BENCH_FIGURES_MAX],
                                                   struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct sqlite3 *db = NULL;
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_folder_next(&run->folder, dir, err);
    }
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &db, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = all(NULL, db, &run->rows, values, err);
    indexer_db_close(db);
    return status;
}
