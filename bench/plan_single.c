/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The plan's table of single operations: a tag by syncline_sync_model in autocommit, a location and
 * an entry by syncline_sync_model_with_db in their transaction, each from its beginning on A until
 * it is visible on B, with both at rest before. Plainly: until the row is committed. */

#include <sqlite3.h>
#include <stdlib.h>

#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/two_devices.h"
#include "indexer/schema.h"

#define IDLE_US 60000 /* between two operations: longer than the longest nap of an idle engine */

/* Of one device, on its connection. */
struct single {
    struct sqlite3 *db;
    struct syncline *lib; /* NULL: plainly */
    int64_t device_id;    /* of the row that locations name */
    int64_t entry_id;     /* of the row that locations and entries name */
};

/* Parameters: 1 uuid, 2 device_id, 3 entry_id. */
static enum syncline_status insert(struct single *single, const char *sql,
                                   const struct syncline_uuid *uuid, int64_t *id,
                                   struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    const int64_t keys[] = {single->device_id, single->entry_id};
    int rc = sqlite3_prepare_v2(single->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob(stmt, 1, uuid->bytes, sizeof(uuid->bytes), SQLITE_STATIC);
        for (int i = 0; i < 2 && i + 2 <= sqlite3_bind_parameter_count(stmt); i++) {
            sqlite3_bind_int64(stmt, i + 2, keys[i]);
        }
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status =
        rc == SQLITE_DONE ? SYNCLINE_OK
                          : indexer_fail_db(err, single->db, rc, "a row cannot be inserted");
    *id = sqlite3_last_insert_rowid(single->db);
    sqlite3_finalize(stmt);
    return status;
}

/* The call with `db`, unless measured plainly. */
static enum syncline_status sync(struct single *single, const struct syncline_model *model,
                                 const void *row, struct indexer_error *err)
{
    if (single->lib == NULL) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        syncline_sync_model_with_db(single->lib, model, row, SYNCLINE_INSERT, single->db);
    return status == SYNCLINE_OK
               ? status
               : indexer_fail_sync(err, single->lib, status, "a row was not captured");
}

static enum syncline_status add_device(struct single *single, const struct syncline_uuid *uuid,
                                       struct indexer_error *err)
{
    struct device_row row = {.uuid = *uuid, .name = "laptop"};
    enum syncline_status status =
        insert(single, "INSERT INTO devices(uuid,name,created_at) VALUES(?1,'laptop',0)", uuid,
               &row.id, err);
    single->device_id = row.id;
    return status == SYNCLINE_OK ? sync(single, &indexer_device_model, &row, err) : status;
}

static enum syncline_status add_root(struct single *single, const struct syncline_uuid *uuid,
                                     struct indexer_error *err)
{
    struct entry_row row = {
        .uuid = *uuid, .name = {.data = "home", .len = 4}, .kind = INDEXER_FOLDER};
    enum syncline_status status =
        insert(single,
               "INSERT INTO entries(uuid,name,kind,size,created_at,modified_at)"
               " VALUES(?1,CAST('home' AS BLOB),1,0,0,0)",
               uuid, &row.id, err);
    single->entry_id = row.id;
    return status == SYNCLINE_OK ? sync(single, &indexer_entry_model, &row, err) : status;
}

static enum syncline_status add_location(struct single *single, const struct syncline_uuid *uuid,
                                         struct indexer_error *err)
{
    struct location_row row = {.uuid = *uuid,
                               .device_id = single->device_id,
                               .entry_id = single->entry_id,
                               .path = {.data = "/home", .len = 5},
                               .name = "home"};
    enum syncline_status status = insert(single,
                                         "INSERT INTO locations(uuid,device_id,entry_id,path,name)"
                                         " VALUES(?1,?2,?3,CAST('/home' AS BLOB),'home')",
                                         uuid, &row.id, err);
    return status == SYNCLINE_OK ? sync(single, &indexer_location_model, &row, err) : status;
}

static enum syncline_status add_entry(struct single *single, const struct syncline_uuid *uuid,
                                      struct indexer_error *err)
{
    struct entry_row row = {.uuid = *uuid,
                            .parent_id = {.is_set = true, .value = single->entry_id},
                            .name = {.data = "photos", .len = 6},
                            .kind = INDEXER_FOLDER};
    enum syncline_status status =
        insert(single,
               "INSERT INTO entries(uuid,parent_id,name,kind,size,created_at,modified_at)"
               " VALUES(?1,?3,CAST('photos' AS BLOB),1,0,0,0)",
               uuid, &row.id, err);
    return status == SYNCLINE_OK ? sync(single, &indexer_entry_model, &row, err) : status;
}

typedef enum syncline_status (*add_fn)(struct single *single, const struct syncline_uuid *uuid,
                                       struct indexer_error *err);

static enum syncline_status in_transaction(struct single *single, add_fn add,
                                           const struct syncline_uuid *uuid,
                                           struct indexer_error *err)
{
    enum syncline_status status = indexer_db_begin(single->db, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = add(single, uuid, err);
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(single->db);
        return status;
    }
    return indexer_db_commit(single->db, err);
}

static enum syncline_status make_location(struct single *single, const struct syncline_uuid *uuid,
                                          struct indexer_error *err)
{
    return in_transaction(single, add_location, uuid, err);
}

static enum syncline_status make_entry(struct single *single, const struct syncline_uuid *uuid,
                                       struct indexer_error *err)
{
    return in_transaction(single, add_entry, uuid, err);
}

/* Of the three calls, the one for a model without keys, after the row. */
static enum syncline_status make_tag(struct single *single, const struct syncline_uuid *uuid,
                                     struct indexer_error *err)
{
    struct tag_row row = {.uuid = *uuid, .name = "holiday"};
    enum syncline_status status =
        insert(single, "INSERT INTO tags(uuid,name) VALUES(?1,'holiday')", uuid, &row.id, err);
    if (status != SYNCLINE_OK || single->lib == NULL) {
        return status;
    }
    status = syncline_sync_model(single->lib, &indexer_tag_model, &row, SYNCLINE_INSERT);
    return status == SYNCLINE_OK
               ? status
               : indexer_fail_sync(err, single->lib, status, "a tag was not captured");
}

/* In the order of the figures: p50 and p99 of each. */
static const struct {
    enum bench_table table;
    add_fn make;
} kinds[] = {{BENCH_TAGS, make_tag}, {BENCH_LOCATIONS, make_location}, {BENCH_ENTRIES, make_entry}};
#define KINDS_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* One operation. b NULL: until it is committed, plainly. */
static enum syncline_status one(struct single *single, struct bench_receiver *b, size_t kind,
                                double *ns, struct indexer_error *err)
{
    struct syncline_uuid uuid;
    struct bench_content content;
    enum syncline_status status = syncline_uuid_new(&uuid, 1);
    if (status != SYNCLINE_OK) {
        return indexer_fail(err, status, "no UUID could be made: %s", syncline_status_text(status));
    }
    if (b != NULL) {
        status = bench_receiver_await(b, kinds[kind].table, &uuid, err);
        bench_nap_us(IDLE_US);
    }
    uint64_t start_ns = bench_now_ns();
    if (status == SYNCLINE_OK) {
        status = kinds[kind].make(single, &uuid, err);
    }
    uint64_t end_ns = bench_now_ns();
    if (status == SYNCLINE_OK && b != NULL) {
        status = bench_receiver_seen(b, &end_ns, &content, err);
    }
    *ns = (double)(end_ns - start_ns);
    return status;
}

static enum syncline_status all(struct single *single, struct bench_receiver *b, size_t calls,
                                double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    struct syncline_uuid uuids[2];
    double *times = calloc(calls, sizeof(*times));
    if (times == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for measured values");
    }
    enum syncline_status status = syncline_uuid_new(uuids, 2);
    if (status == SYNCLINE_OK) {
        status = in_transaction(single, add_device, &uuids[0], err);
    }
    if (status == SYNCLINE_OK) {
        status = in_transaction(single, add_root, &uuids[1], err);
    }
    for (size_t kind = 0; kind < KINDS_COUNT && status == SYNCLINE_OK; kind++) {
        for (size_t i = 0; i < calls && status == SYNCLINE_OK; i++) {
            status = one(single, b, kind, &times[i], err);
        }
        values[2 * kind] = bench_quantile(times, calls, 0.5);
        values[2 * kind + 1] = bench_quantile(times, calls, 0.99);
    }
    free(times);
    return status;
}

enum syncline_status bench_measure_plan_single(struct bench_run *run,
                                               double values[BENCH_FIGURES_MAX],
                                               struct indexer_error *err)
{
    struct bench_two two;
    enum syncline_status status = bench_two_open(&two, run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct single single = {.db = two.a.db, .lib = two.a.lib};
    status = all(&single, &two.b, run->calls, values, err);
    bench_two_close(&two);
    return status;
}

enum syncline_status bench_measure_plain_plan_single(struct bench_run *run,
                                                     double values[BENCH_FIGURES_MAX],
                                                     struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct single single = {.lib = NULL};
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &single.db, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = all(&single, NULL, run->calls, values, err);
    indexer_db_close(single.db);
    return status;
}
