/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/rest.h"

#include <sqlite3.h>
#include <stdio.h>

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/stop.h"
#include "indexer/schema.h"

#define LOOK_US 10000

static enum syncline_status number(struct sqlite3 *db, const char *sql, int64_t *value,
                                   struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        *value = sqlite3_column_int64(stmt, 0);
    }
    enum syncline_status status =
        rc == SQLITE_ROW ? SYNCLINE_OK : indexer_fail_db(err, db, rc, "'%s' cannot be read", sql);
    sqlite3_finalize(stmt);
    return status;
}

static enum syncline_status wait_at_rest(struct sqlite3 *db, size_t len, struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    for (;;) {
        int64_t applied = 0;
        int64_t outbox = 0;
        enum syncline_status status =
            number(db, "SELECT max(applied_seq) FROM _syncline_origin", &applied, err);
        if (status == SYNCLINE_OK) {
            status = number(db, "SELECT count(*) FROM _syncline_outbox", &outbox, err);
        }
        if (status != SYNCLINE_OK || (applied >= (int64_t)len && outbox <= 1)) {
            return status;
        }
        if (bench_stop_asked()) {
            return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
        }
        if ((double)(bench_now_ns() - start_ns) > BENCH_DEADLINE_MS * BENCH_NS_PER_MS) {
            return indexer_fail(err, SYNCLINE_TIMEOUT,
                                "the library does not come to rest: %lld of %zu changes, %lld rows "
                                "in the outbox",
                                (long long)applied, len, (long long)outbox);
        }
        bench_nap_us(LOOK_US);
    }
}

static enum syncline_status sync_db_size(const char *dir, int64_t *bytes, struct indexer_error *err)
{
    char path[BENCH_PATH_SIZE + 16];
    struct sqlite3 *db = NULL;
    int64_t page_size = 0;
    int64_t pages = 0;
    (void)snprintf(path, sizeof(path), "%s/sync.db", dir);
    enum syncline_status status = SYNCLINE_OK;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, db, rc, "%s cannot be opened", path);
    }
    if (status == SYNCLINE_OK) {
        status = number(db, "PRAGMA page_size", &page_size, err);
    }
    if (status == SYNCLINE_OK) {
        status = number(db, "PRAGMA page_count", &pages, err);
    }
    sqlite3_close(db);
    *bytes = pages * page_size;
    return status;
}

enum syncline_status bench_rest_read(const char *dir, size_t len, double *bytes,
                                     struct indexer_error *err)
{
    struct sqlite3 *db = NULL;
    int64_t tables = 0;
    int64_t log = 0;
    enum syncline_status status = indexer_db_open(dir, INDEXER_DB_READ_ONLY, &db, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = wait_at_rest(db, len, err);
    if (status == SYNCLINE_OK) {
        status = number(db,
                        "SELECT sum(pgsize) FROM dbstat WHERE aggregate=TRUE"
                        " AND name GLOB '*_syncline_*'",
                        &tables, err);
    }
    if (status == SYNCLINE_OK) {
        status = sync_db_size(dir, &log, err);
    }
    indexer_db_close(db);
    *bytes = (double)(tables + log);
    return status;
}
