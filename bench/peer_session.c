/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The same rows by SQLite's session extension: a session for each transaction records them, its
 * changeset is taken before COMMIT and kept in memory, and afterwards all are applied to a second
 * database, each in a transaction. Both databases are in WAL mode with FULL. There is no log, no
 * network, no clock and no order between devices: this is the floor of what triggers or hooks of
 * SQLite itself cost. */

#include <sqlite3.h>
#include <stdlib.h>

#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "indexer/schema.h"

#ifndef SQLITE_ENABLE_SESSION

enum syncline_status bench_session_begin(struct bench_run *run, struct indexer_error *err)
{
    (void)run;
    return indexer_fail(err, SYNCLINE_ENOTFOUND,
                        "this SQLite was built without its session extension");
}

enum syncline_status bench_measure_session(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err)
{
    (void)values;
    return bench_session_begin(run, err);
}

#else

struct changeset {
    void *data; /* SQLite's memory */
    int size;
};

struct recorder {
    sqlite3_session *session; /* of the transaction under way */
    struct changeset *sets;   /* one per transaction */
    size_t len;
};

enum syncline_status bench_session_begin(struct bench_run *run, struct indexer_error *err)
{
    (void)run;
    (void)err;
    return SYNCLINE_OK;
}

static enum syncline_status start_session(struct recorder *recorder, struct sqlite3 *db,
                                          struct indexer_error *err)
{
    int rc = sqlite3session_create(db, "main", &recorder->session);
    if (rc == SQLITE_OK) {
        rc = sqlite3session_attach(recorder->session, "entries");
    }
    return rc == SQLITE_OK ? SYNCLINE_OK : indexer_fail_db(err, db, rc, "no session can be begun");
}

static enum syncline_status take_changeset(void *ctx, struct sqlite3 *db,
                                           const struct entry_row *rows, size_t n,
                                           struct indexer_error *err)
{
    struct recorder *recorder = ctx;
    struct changeset *set = &recorder->sets[recorder->len];
    (void)rows;
    (void)n;
    int rc = sqlite3session_changeset(recorder->session, &set->size, &set->data);
    if (rc != SQLITE_OK) {
        return indexer_fail_db(err, db, rc, "no changeset can be taken");
    }
    recorder->len++;
    sqlite3session_delete(recorder->session);
    recorder->session = NULL;
    return start_session(recorder, db, err);
}

static int on_conflict(void *ctx, int kind, sqlite3_changeset_iter *iter)
{
    (void)ctx;
    (void)kind;
    (void)iter;
    return SQLITE_CHANGESET_ABORT;
}

static enum syncline_status apply_all(struct sqlite3 *db, const struct recorder *recorder,
                                      struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < recorder->len && status == SYNCLINE_OK; i++) {
        status = indexer_db_begin(db, err);
        if (status != SYNCLINE_OK) {
            break;
        }
        int rc = sqlite3changeset_apply(db, recorder->sets[i].size, recorder->sets[i].data, NULL,
                                        on_conflict, NULL);
        if (rc != SQLITE_OK) {
            status = indexer_fail_db(err, db, rc, "a changeset cannot be applied");
            indexer_db_rollback(db);
            break;
        }
        status = indexer_db_commit(db, err);
    }
    return status;
}

static enum syncline_status run_once(struct sqlite3 *a, struct sqlite3 *b,
                                     struct recorder *recorder, struct bench_rows *rows,
                                     double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    const struct bench_writer writer = {
        .db = a, .transaction_len = BENCH_TRANSACTION_LEN, .then = take_changeset, .ctx = recorder};
    struct bench_span span;
    struct bench_content here = {0};
    struct bench_content there = {0};
    double size = 0;
    enum syncline_status status = start_session(recorder, a, err);
    if (status == SYNCLINE_OK) {
        status = bench_insert_some(&writer, rows, 0, rows->len, &span, err);
    }
    sqlite3session_delete(recorder->session);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t start_ns = bench_now_ns();
    status = apply_all(b, recorder, err);
    double apply_ns = (double)(bench_now_ns() - start_ns);
    for (size_t i = 0; i < recorder->len; i++) {
        size += recorder->sets[i].size;
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_read(a, &here, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_read(b, &there, err);
    }
    values[0] = (double)(span.last_ns - span.first_ns);
    values[1] = size / (double)rows->len;
    values[2] = apply_ns;
    values[3] = values[0] + values[2];
    return status == SYNCLINE_OK ? bench_content_check(&here, &there, err) : status;
}

static enum syncline_status open_new(struct bench_run *run, struct sqlite3 **db,
                                     struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    return status == SYNCLINE_OK ? indexer_db_open(dir, INDEXER_DB_CREATE, db, err) : status;
}

enum syncline_status bench_measure_session(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err)
{
    struct sqlite3 *a = NULL;
    struct sqlite3 *b = NULL;
    struct recorder recorder = {
        .sets = calloc(run->rows.len / BENCH_TRANSACTION_LEN + 1, sizeof(struct changeset))};
    if (recorder.sets == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for changesets");
    }
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = open_new(run, &a, err);
    }
    if (status == SYNCLINE_OK) {
        status = open_new(run, &b, err);
    }
    if (status == SYNCLINE_OK) {
        status = run_once(a, b, &recorder, &run->rows, values, err);
    }
    for (size_t i = 0; i < recorder.len; i++) {
        sqlite3_free(recorder.sets[i].data);
    }
    free(recorder.sets);
    indexer_db_close(a);
    indexer_db_close(b);
    return status;
}

#endif
