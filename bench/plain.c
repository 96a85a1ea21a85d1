/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/plain.h"

#include <inttypes.h>
#include <sqlite3.h>

#include "bench/clock.h"
#include "bench/stop.h"
#include "indexer/entry_batch.h"
#include "indexer/schema.h"

static enum syncline_status insert_transaction(const struct bench_writer *writer,
                                               struct indexer_entry_batch *batch,
                                               struct bench_rows *rows, size_t first, size_t n,
                                               struct indexer_error *err)
{
    enum syncline_status status = indexer_db_begin(writer->db, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    for (size_t i = first; i < first + n && status == SYNCLINE_OK; i++) {
        struct entry_row *row = &rows->entries[i];
        row->parent_id.value = rows->entries[rows->parents[i]].id;
        status = indexer_entry_batch_write(batch, row, err);
    }
    if (status == SYNCLINE_OK && writer->then != NULL) {
        status = writer->then(writer->ctx, writer->db, &rows->entries[first], n, err);
    }
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(writer->db);
        return status;
    }
    return indexer_db_commit(writer->db, err);
}

enum syncline_status bench_insert_some(const struct bench_writer *writer, struct bench_rows *rows,
                                       size_t first, size_t n, struct bench_span *span,
                                       struct indexer_error *err)
{
    struct indexer_entry_batch batch;
    enum syncline_status status = indexer_entry_batch_init(&batch, NULL, writer->db, 1, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    size_t end = first + n;
    uint64_t thread_ns = bench_thread_ns();
    span->first_ns = bench_now_ns();
    while (first < end && status == SYNCLINE_OK) {
        size_t len = end - first < writer->transaction_len ? end - first : writer->transaction_len;
        status = insert_transaction(writer, &batch, rows, first, len, err);
        first += len;
        if (status == SYNCLINE_OK && bench_stop_asked()) {
            status = indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
        }
    }
    span->last_ns = bench_now_ns();
    span->thread_ns = bench_thread_ns() - thread_ns;
    indexer_entry_batch_fini(&batch);
    return status;
}

static enum syncline_status sync_batch(void *ctx, struct sqlite3 *db, const struct entry_row *rows,
                                       size_t n, struct indexer_error *err)
{
    struct syncline *lib = ctx;
    enum syncline_status status =
        syncline_sync_models_batch(lib, &indexer_entry_model, rows, n, SYNCLINE_INSERT, db, NULL);
    return status == SYNCLINE_OK
               ? status
               : indexer_fail_sync(err, lib, status, "%zu rows were not captured", n);
}

enum syncline_status bench_insert(struct sqlite3 *db, struct syncline *lib, struct bench_rows *rows,
                                  struct bench_span *span, struct indexer_error *err)
{
    const struct bench_writer writer = {.db = db,
                                        .transaction_len = BENCH_TRANSACTION_LEN,
                                        .then = lib != NULL ? sync_batch : NULL,
                                        .ctx = lib};
    return bench_insert_some(&writer, rows, 0, rows->len, span, err);
}

enum syncline_status bench_plain(struct bench_folder *folder, struct bench_rows *rows,
                                 struct bench_span *span, struct indexer_error *err)
{
    char path[BENCH_PATH_SIZE];
    struct sqlite3 *db = NULL;
    enum syncline_status status = bench_rows_renew(rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_folder_next(folder, path, err);
    }
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(path, INDEXER_DB_CREATE, &db, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_insert(db, NULL, rows, span, err);
    indexer_db_close(db);
    return status;
}

enum syncline_status bench_content_read(struct sqlite3 *db, struct bench_content *content,
                                        struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "SELECT count(*), sum(size), sum(length(name)),"
                                " sum(parent_id IS NULL) FROM entries",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        content->count = sqlite3_column_int64(stmt, 0);
        content->sizes = sqlite3_column_int64(stmt, 1);
        content->names = sqlite3_column_int64(stmt, 2);
        content->roots = sqlite3_column_int64(stmt, 3);
        rc = SQLITE_OK;
    }
    enum syncline_status status =
        rc == SQLITE_OK ? SYNCLINE_OK : indexer_fail_db(err, db, rc, "entries cannot be counted");
    sqlite3_finalize(stmt);
    return status;
}

enum syncline_status bench_content_check(const struct bench_content *a,
                                         const struct bench_content *b, struct indexer_error *err)
{
    if (a->count == b->count && a->sizes == b->sizes && a->names == b->names &&
        a->roots == b->roots) {
        return SYNCLINE_OK;
    }
    return indexer_fail(
        err, SYNCLINE_ECORRUPT,
        "A and B differ: %" PRId64 " and %" PRId64 " entries, sizes %" PRId64 " and %" PRId64
        ", names %" PRId64 " and %" PRId64 ", roots %" PRId64 " and %" PRId64,
        a->count, b->count, a->sizes, b->sizes, a->names, b->names, a->roots, b->roots);
}
