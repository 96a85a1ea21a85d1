/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/app_writer.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "bench/clock.h"
#include "bench/pair.h"
#include "indexer/schema.h"

#define TIMES_MAX 200000u /* more than fit into any run */
#define TABLE_SQL                                                                                  \
    "CREATE TABLE IF NOT EXISTS app_notes(id INTEGER PRIMARY KEY, at INTEGER NOT NULL)"

static enum syncline_status write_one(struct bench_app_writer *writer, sqlite3_stmt *insert,
                                      double *ns)
{
    uint64_t start_ns = bench_now_ns();
    enum syncline_status status = indexer_db_begin(writer->db, &writer->err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sqlite3_bind_int64(insert, 1, (int64_t)start_ns);
    int rc = sqlite3_step(insert);
    sqlite3_reset(insert);
    if (rc != SQLITE_DONE) {
        status = indexer_fail_db(&writer->err, writer->db, rc, "a note cannot be written");
        indexer_db_rollback(writer->db);
        return status;
    }
    status = indexer_db_commit(writer->db, &writer->err);
    *ns = (double)(bench_now_ns() - start_ns);
    return status;
}

static void *run(void *ctx)
{
    struct bench_app_writer *writer = ctx;
    sqlite3_stmt *insert = NULL;
    int rc =
        sqlite3_prepare_v2(writer->db, "INSERT INTO app_notes(at) VALUES(?1)", -1, &insert, NULL);
    if (rc != SQLITE_OK) {
        writer->status = indexer_fail_db(&writer->err, writer->db, rc, "notes cannot be written");
        return NULL;
    }
    while (!atomic_load_explicit(&writer->stop, memory_order_acquire) &&
           writer->status == SYNCLINE_OK && writer->len < TIMES_MAX) {
        writer->status = write_one(writer, insert, &writer->times[writer->len]);
        writer->len += writer->status == SYNCLINE_OK ? 1 : 0;
        bench_nap_us(BENCH_APP_WRITER_PAUSE_US);
    }
    sqlite3_finalize(insert);
    return NULL;
}

enum syncline_status bench_app_writer_start(struct bench_app_writer *writer, const char *dir,
                                            struct indexer_error *err)
{
    memset(writer, 0, sizeof(*writer));
    atomic_init(&writer->stop, false);
    writer->times = calloc(TIMES_MAX, sizeof(*writer->times));
    if (writer->times == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for measured values");
    }
    enum syncline_status status = indexer_db_open(dir, INDEXER_DB_CREATE, &writer->db, err);
    if (status != SYNCLINE_OK) {
        goto err_free_times;
    }
    int rc = sqlite3_exec(writer->db, TABLE_SQL, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, writer->db, rc, "the table of notes cannot be made");
        goto err_close_db;
    }
    if (pthread_create(&writer->thread, NULL, run, writer) != 0) {
        status = indexer_fail(err, SYNCLINE_ENOMEM, "no thread could be made to write");
        goto err_close_db;
    }
    return SYNCLINE_OK;

err_close_db:
    indexer_db_close(writer->db);
err_free_times:
    free(writer->times);
    return status;
}

enum syncline_status bench_app_writer_stop(struct bench_app_writer *writer,
                                           struct bench_app_times *times, struct indexer_error *err)
{
    atomic_store_explicit(&writer->stop, true, memory_order_release);
    (void)pthread_join(writer->thread, NULL);
    enum syncline_status status = writer->status;
    if (status != SYNCLINE_OK) {
        (void)indexer_fail(err, status, "%s", writer->err.text);
    } else if (writer->len == 0) {
        status = indexer_fail(err, SYNCLINE_ENOTFOUND, "there was no time for a transaction");
    } else {
        times->p50 = bench_quantile(writer->times, writer->len, 0.5);
        times->p99 = bench_quantile(writer->times, writer->len, 0.99);
        times->max = writer->times[writer->len - 1]; /* sorted now */
    }
    indexer_db_close(writer->db);
    free(writer->times);
    return status;
}
