/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The same rows as a log with a row per change, as many sync engines keep it: each change is one
 * JSON text in a table, 1000 a transaction, WAL and FULL. Only the log is written, by one prepared
 * statement: no trigger reads the row again, and nothing is sent. */

#include <sqlite3.h>
#include <stdio.h>

#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "indexer/schema.h"

#define JSON_SIZE 512u
#define LOG_SQL "CREATE TABLE change_log(seq INTEGER PRIMARY KEY, hlc INTEGER NOT NULL, json TEXT)"

/* Names of these rows need no escapes. */
static int make_json(const struct entry_row *row, const struct entry_row *parent,
                     char text[JSON_SIZE])
{
    char uuid[BENCH_UUID_HEX_SIZE];
    char above[BENCH_UUID_HEX_SIZE];
    return snprintf(text, JSON_SIZE,
                    "{\"model\":\"entry\",\"change\":\"insert\",\"uuid\":\"%s\",\"parent\":\"%s\","
                    "\"name\":\"%.*s\",\"kind\":%lld,\"size\":%lld,\"created_at\":%lld,"
                    "\"modified_at\":%lld}",
                    bench_uuid_hex(&row->uuid, uuid), bench_uuid_hex(&parent->uuid, above),
                    (int)row->name.len, (const char *)row->name.data, (long long)row->kind,
                    (long long)row->size, (long long)row->created_at, (long long)row->modified_at);
}

static int write_transaction(struct sqlite3 *db, sqlite3_stmt *insert,
                             const struct bench_rows *rows, size_t first, size_t n)
{
    char text[JSON_SIZE];
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (size_t i = first; i < first + n && rc == SQLITE_OK; i++) {
        const struct entry_row *row = &rows->entries[i];
        int len = make_json(row, &rows->entries[rows->parents[i]], text);
        sqlite3_bind_int64(insert, 1, row->created_at << 16 | (int64_t)(i & 0xffff));
        sqlite3_bind_text(insert, 2, text, len, SQLITE_STATIC);
        rc = sqlite3_step(insert) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
        sqlite3_reset(insert);
    }
    return rc == SQLITE_OK ? sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) : rc;
}

enum syncline_status bench_measure_row_log(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    struct bench_rows *rows = &run->rows;
    enum syncline_status status = bench_rows_renew(rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_folder_next(&run->folder, dir, err);
    }
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &db, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    int rc = sqlite3_exec(db, LOG_SQL, NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_prepare_v2(db, "INSERT INTO change_log(hlc,json) VALUES(?1,?2)", -1, &insert,
                                NULL);
    }
    uint64_t start_ns = bench_now_ns();
    for (size_t first = 0; first < rows->len && rc == SQLITE_OK; first += BENCH_TRANSACTION_LEN) {
        size_t left = rows->len - first;
        rc = write_transaction(db, insert, rows, first,
                               left < BENCH_TRANSACTION_LEN ? left : BENCH_TRANSACTION_LEN);
    }
    values[0] = (double)(bench_now_ns() - start_ns);
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, db, rc, "the log table cannot be written");
    }
    sqlite3_finalize(insert);
    indexer_db_close(db);
    return status;
}
