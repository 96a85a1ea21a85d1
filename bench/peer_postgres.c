/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The same rows by PostgreSQL's logical replication between two servers: a publication of the table
 * and a subscription to it. Rows come by COPY from a text made before, 1000 a transaction, over one
 * connection: its fastest way in. The settings are those of a new cluster, so a commit of the
 * publisher is on its disk, and the subscriber's are not waited for. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/postgres.h"

#define LINE_SIZE_MAX 320u /* of the text, per row */

static const char table_sql[] =
    "CREATE TABLE entries(id bigint PRIMARY KEY, uuid uuid NOT NULL UNIQUE,"
    " parent_id bigint REFERENCES entries(id), name text NOT NULL, kind bigint NOT NULL,"
    " size bigint NOT NULL, link_target text, created_at bigint NOT NULL,"
    " modified_at bigint NOT NULL);"
    " CREATE INDEX entries_by_parent ON entries(parent_id, name);\n";
static const char publish_sql[] = "CREATE PUBLICATION p FOR TABLE entries;\n";
static const char is_synced_sql[] =
    "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r';\n";
static const char count_sql[] = "SELECT count(*) FROM entries;\n";

struct servers {
    struct bench_postgres a;
    struct bench_postgres b;
};

static enum syncline_status run(struct bench_postgres *postgres, const char *sql,
                                struct indexer_error *err)
{
    return bench_postgres_run(postgres, sql, strlen(sql), err);
}

static enum syncline_status replicate(struct servers *servers, struct indexer_error *err)
{
    char subscribe[BENCH_PATH_SIZE + 160];
    (void)snprintf(subscribe, sizeof(subscribe),
                   "SET client_min_messages = warning; CREATE SUBSCRIPTION s CONNECTION"
                   " 'host=%s user=bench dbname=postgres' PUBLICATION p;\n",
                   servers->a.dir);
    enum syncline_status status = run(&servers->a, table_sql, err);
    if (status == SYNCLINE_OK) {
        status = run(&servers->b, table_sql, err);
    }
    if (status == SYNCLINE_OK) {
        status = run(&servers->a, publish_sql, err);
    }
    if (status == SYNCLINE_OK) {
        status = run(&servers->b, subscribe, err);
    }
    return status == SYNCLINE_OK ? bench_postgres_until(&servers->b, is_synced_sql, "1", err)
                                 : status;
}

enum syncline_status bench_postgres_begin(struct bench_run *run, struct indexer_error *err)
{
    struct servers *servers = calloc(1, sizeof(*servers));
    if (servers == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for two servers");
    }
    enum syncline_status status = bench_postgres_start(&servers->a, &run->folder, err);
    if (status != SYNCLINE_OK) {
        goto err_free;
    }
    status = bench_postgres_start(&servers->b, &run->folder, err);
    if (status != SYNCLINE_OK) {
        goto err_stop_a;
    }
    status = replicate(servers, err);
    if (status != SYNCLINE_OK) {
        goto err_stop_b;
    }
    run->group = servers;
    return SYNCLINE_OK;

err_stop_b:
    bench_postgres_stop(&servers->b);
err_stop_a:
    bench_postgres_stop(&servers->a);
err_free:
    free(servers);
    return status;
}

void bench_postgres_end(struct bench_run *run)
{
    struct servers *servers = run->group;
    bench_postgres_stop(&servers->b); /* first, or the other waits for its subscriber */
    bench_postgres_stop(&servers->a);
    free(servers);
    run->group = NULL;
}

/* One row as COPY takes it; ids count from 1 as SQLite's do. */
static size_t print_row(char *at, const struct bench_rows *rows, size_t i)
{
    const struct entry_row *row = &rows->entries[i];
    char uuid[BENCH_UUID_HEX_SIZE];
    char parent[24] = "\\N";
    (void)bench_uuid_hex(&row->uuid, uuid);
    if (row->parent_id.is_set) {
        (void)snprintf(parent, sizeof(parent), "%u", rows->parents[i] + 1);
    }
    bool link = row->link_target.data != NULL;
    return (size_t)snprintf(at, LINE_SIZE_MAX, "%zu\t%s\t%s\t%.*s\t%lld\t%lld\t%.*s\t%lld\t%lld\n",
                            i + 1, uuid, parent, (int)row->name.len, (const char *)row->name.data,
                            (long long)row->kind, (long long)row->size,
                            link ? (int)row->link_target.len : 2,
                            link ? (const char *)row->link_target.data : "\\N",
                            (long long)row->created_at, (long long)row->modified_at);
}

/* The whole script: for each transaction its COPY. The caller frees it. */
static char *print_script(const struct bench_rows *rows, size_t *len)
{
    char *text = malloc((rows->len + 2) * LINE_SIZE_MAX);
    size_t at = 0;
    for (size_t i = 0; i < rows->len && text != NULL; i++) {
        if (i % BENCH_TRANSACTION_LEN == 0) {
            at += (size_t)snprintf(text + at, LINE_SIZE_MAX, "%sCOPY entries FROM STDIN;\n",
                                   i > 0 ? "\\.\n" : "");
        }
        at += print_row(text + at, rows, i);
    }
    if (text != NULL) {
        at += (size_t)snprintf(text + at, LINE_SIZE_MAX, "\\.\n");
    }
    *len = at;
    return text;
}

static enum syncline_status check_count(struct bench_postgres *postgres, size_t len,
                                        struct indexer_error *err)
{
    char expected[24];
    (void)snprintf(expected, sizeof(expected), "%zu", len);
    enum syncline_status status = run(postgres, count_sql, err);
    if (status == SYNCLINE_OK && strcmp(postgres->answer, expected) != 0) {
        status = indexer_fail(err, SYNCLINE_ECORRUPT, "%s of %s rows are at the subscriber",
                              postgres->answer, expected);
    }
    return status;
}

enum syncline_status bench_measure_postgres(struct bench_run *bench,
                                            double values[BENCH_FIGURES_MAX],
                                            struct indexer_error *err)
{
    struct servers *servers = bench->group;
    struct bench_rows *rows = &bench->rows;
    char uuid[BENCH_UUID_HEX_SIZE];
    char seen_sql[96];
    size_t len = 0;
    enum syncline_status status = bench_rows_renew(rows, err);
    if (status == SYNCLINE_OK) {
        status = run(&servers->a, "TRUNCATE entries;\n", err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_postgres_until(&servers->b, count_sql, "0", err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)bench_uuid_hex(&rows->entries[rows->len - 1].uuid, uuid);
    (void)snprintf(seen_sql, sizeof(seen_sql), "SELECT count(*) FROM entries WHERE uuid = '%s';\n",
                   uuid);
    char *script = print_script(rows, &len);
    if (script == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for %zu rows", rows->len);
    }
    uint64_t first_ns = bench_now_ns();
    status = bench_postgres_run(&servers->a, script, len, err);
    uint64_t last_ns = bench_now_ns();
    free(script);
    if (status == SYNCLINE_OK) {
        status = bench_postgres_until(&servers->b, seen_sql, "1", err);
    }
    uint64_t seen_ns = bench_now_ns();
    values[0] = (double)(seen_ns - first_ns);
    values[1] = (double)(seen_ns - last_ns);
    return status == SYNCLINE_OK ? check_count(&servers->b, rows->len, err) : status;
}
