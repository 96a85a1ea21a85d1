/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One call for one row, in its transaction or in autocommit, back to back. Only the call is timed;
 * plainly, only the INSERT. */

#include <assert.h>
#include <stdlib.h>

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/measure.h"
#include "indexer/entry_batch.h"
#include "indexer/schema.h"

/* A row and its call. */
struct single {
    struct sqlite3 *db;
    struct syncline *lib; /* NULL: plainly */
    bool in_transaction;
    struct indexer_entry_batch batch; /* for its INSERT statement */
};

static enum syncline_status work(struct single *single, struct entry_row *row, double *ns,
                                 struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    enum syncline_status status = indexer_entry_batch_write(&single->batch, row, err);
    *ns = (double)(bench_now_ns() - start_ns);
    if (status != SYNCLINE_OK || single->lib == NULL) {
        return status;
    }
    start_ns = bench_now_ns();
    status = syncline_sync_model_with_db(single->lib, &indexer_entry_model, row, SYNCLINE_INSERT,
                                         single->db);
    *ns = (double)(bench_now_ns() - start_ns);
    return status == SYNCLINE_OK
               ? status
               : indexer_fail_sync(err, single->lib, status, "a row was not captured");
}

static enum syncline_status one(struct single *single, struct bench_rows *rows, size_t at,
                                double *ns, struct indexer_error *err)
{
    struct entry_row *row = &rows->entries[at];
    row->parent_id.value = rows->entries[rows->parents[at]].id;
    if (!single->in_transaction) {
        return work(single, row, ns, err);
    }
    enum syncline_status status = indexer_db_begin(single->db, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = work(single, row, ns, err);
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(single->db);
        return status;
    }
    return indexer_db_commit(single->db, err);
}

static enum syncline_status all(struct single *single, struct bench_run *run,
                                double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    assert(run->calls > 0 && run->calls <= run->rows.len);
    double *times = calloc(run->calls, sizeof(*times));
    if (times == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for measured values");
    }
    enum syncline_status status =
        indexer_entry_batch_init(&single->batch, single->lib, single->db, 1, err);
    if (status != SYNCLINE_OK) {
        free(times);
        return status;
    }
    for (size_t i = 0; i < run->calls && status == SYNCLINE_OK; i++) {
        status = one(single, &run->rows, i, &times[i], err);
    }
    values[0] = bench_quantile(times, run->calls, 0.5);
    values[1] = bench_quantile(times, run->calls, 0.99);
    indexer_entry_batch_fini(&single->batch);
    free(times);
    return status;
}

static enum syncline_status synced(struct bench_run *run, bool in_transaction,
                                   double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    struct bench_device device;
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_device_serve(&device, &run->folder, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct single single = {.db = device.db, .lib = device.lib, .in_transaction = in_transaction};
    status = syncline_attach(device.lib, device.db); /* until it is closed */
    status = status == SYNCLINE_OK
                 ? all(&single, run, values, err)
                 : indexer_fail_sync(err, device.lib, status, "the connection is not attached");
    bench_device_close(&device);
    return status;
}

static enum syncline_status plain(struct bench_run *run, bool in_transaction,
                                  double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct single single = {.in_transaction = in_transaction};
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_folder_next(&run->folder, dir, err);
    }
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &single.db, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = all(&single, run, values, err);
    indexer_db_close(single.db);
    return status;
}

enum syncline_status bench_measure_call_in_tx(struct bench_run *run,
                                              double values[BENCH_FIGURES_MAX],
                                              struct indexer_error *err)
{
    return synced(run, true, values, err);
}

enum syncline_status bench_measure_plain_in_tx(struct bench_run *run,
                                               double values[BENCH_FIGURES_MAX],
                                               struct indexer_error *err)
{
    return plain(run, true, values, err);
}

enum syncline_status bench_measure_call(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                        struct indexer_error *err)
{
    return synced(run, false, values, err);
}

enum syncline_status bench_measure_plain_single(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err)
{
    return plain(run, false, values, err);
}
