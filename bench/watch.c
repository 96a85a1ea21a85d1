/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/watch.h"

#include <sqlite3.h>

#include "bench/clock.h"
#include "bench/device.h"
#include "indexer/schema.h"

static const char *const row_sql[] = {[BENCH_ENTRIES] = "SELECT 1 FROM entries WHERE uuid = ?1",
                                      [BENCH_LOCATIONS] = "SELECT 1 FROM locations WHERE uuid = ?1",
                                      [BENCH_TAGS] = "SELECT 1 FROM tags WHERE uuid = ?1"};

enum syncline_status bench_watch_init(struct bench_watch *watch, const char *dir,
                                      struct indexer_error *err)
{
    *watch = (struct bench_watch){0};
    enum syncline_status status = indexer_db_open(dir, INDEXER_DB_READ_ONLY, &watch->db, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    int rc = sqlite3_prepare_v2(watch->db, "PRAGMA data_version", -1, &watch->version, NULL);
    for (size_t i = 0; i < BENCH_TABLES && rc == SQLITE_OK; i++) {
        rc = sqlite3_prepare_v2(watch->db, row_sql[i], -1, &watch->rows[i], NULL);
    }
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, watch->db, rc, "the tables cannot be read");
        bench_watch_fini(watch);
    }
    return status;
}

void bench_watch_fini(struct bench_watch *watch)
{
    sqlite3_finalize(watch->version);
    for (size_t i = 0; i < BENCH_TABLES; i++) {
        sqlite3_finalize(watch->rows[i]);
    }
    indexer_db_close(watch->db);
    *watch = (struct bench_watch){0};
}

/* Is the row there? Reads only if anything was committed since *version. */
static int look(struct bench_watch *watch, enum bench_table table, int64_t *version, bool *found)
{
    int rc = sqlite3_step(watch->version);
    int64_t now = rc == SQLITE_ROW ? sqlite3_column_int64(watch->version, 0) : *version;
    sqlite3_reset(watch->version);
    if (rc != SQLITE_ROW || now == *version) {
        return rc;
    }
    *version = now;
    rc = sqlite3_step(watch->rows[table]);
    *found = rc == SQLITE_ROW;
    sqlite3_reset(watch->rows[table]);
    return rc == SQLITE_DONE ? SQLITE_ROW : rc;
}

enum syncline_status bench_watch_wait(struct bench_watch *watch, enum bench_table table,
                                      const struct syncline_uuid *uuid, bool (*stop)(void *ctx),
                                      void *ctx, uint64_t *seen_ns, struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    int64_t version = -1;
    sqlite3_bind_blob(watch->rows[table], 1, uuid->bytes, sizeof(uuid->bytes), SQLITE_STATIC);
    for (;;) {
        bool found = false;
        int rc = look(watch, table, &version, &found);
        uint64_t now_ns = bench_now_ns();
        if (rc != SQLITE_ROW) {
            return indexer_fail_db(err, watch->db, rc, "the tables cannot be read");
        }
        if (found) {
            *seen_ns = now_ns;
            return SYNCLINE_OK;
        }
        if (stop(ctx)) {
            return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
        }
        if ((double)(now_ns - start_ns) > BENCH_DEADLINE_MS * BENCH_NS_PER_MS) {
            return indexer_fail(err, SYNCLINE_TIMEOUT, "the rows did not arrive in %d s",
                                BENCH_DEADLINE_MS / 1000);
        }
        bench_nap_us(BENCH_LOOK_US);
    }
}
