/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/record_scan.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent_id;
    int64_t size;
    struct syncline_opt_uuid twin;
};

static const struct syncline_field fields[] = {
    SYNCLINE_ID(struct row, id), SYNCLINE_UUID(struct row, uuid),
    SYNCLINE_KEY(struct row, parent_id, "node"), SYNCLINE_INT64(struct row, size),
    SYNCLINE_UUID_KEY(struct row, twin, "node")};
static const struct syncline_model node =
    SYNCLINE_MODEL("node", "the \"nodes\"", SYNCLINE_SHARED, struct row, fields);

static struct sl_library_db ldb;
static struct sl_model_set set;
static struct sl_record_scan scan;

static void start(void)
{
    const struct syncline_model *models[] = {&node};
    struct syncline_uuid library_id = {{1}};
    set_up();
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
    OK(sl_model_set_init(&set, &sl_allocator_libc, models, 1, &err));
    OK(sl_db_exec(
        &ldb.db,
        "CREATE TABLE \"the \"\"nodes\"\"\"(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE,"
        " parent_id INTEGER, size INTEGER, twin BLOB);"
        "INSERT INTO \"the \"\"nodes\"\"\" VALUES"
        "(-5,x'0000000000000000000000000000000a',NULL,1,NULL),"
        "(3,x'0000000000000000000000000000000b',-5,1,x'0000000000000000000000000000000a'),"
        "(4,x'0b',3,1,x'ff'),(5,NULL,99,1,NULL),(6,'0123456789abcdef',NULL,1,NULL)",
        &err));
    OK(sl_library_db_number_models(&ldb, &set, &err));
    sl_record_scan_init(&scan, &ldb.db, &set.models[0]);
}

static void stop(void)
{
    sl_record_scan_fini(&scan);
    sl_model_set_fini(&set);
    sl_library_db_fini(&ldb);
    tear_down();
}

TestSuite(record_scan, .init = start, .fini = stop);

/* The mark is there from the model's number on, moves, and goes; what is left is counted. */
Test(record_scan, marks)
{
    struct sl_scan_mark mark;
    uint64_t rows = 9;
    bool found = false;
    bool done = true;
    OK(sl_scan_mark_get(&ldb, &set.models[0], &found, &mark, &err));
    cr_assert(found && mark.after == INT64_MIN && mark.up_to == 6);
    OK(sl_scan_is_done(&ldb, &set, &done, &err));
    cr_assert_not(done);
    OK(sl_scan_count(&ldb, &set, &rows, &err));
    cr_assert_eq(rows, 5);
    OK(sl_scan_mark_put(&ldb, &set.models[0], 3, &err));
    OK(sl_scan_mark_get(&ldb, &set.models[0], &found, &mark, &err));
    cr_assert(found && mark.after == 3 && mark.up_to == 6);
    OK(sl_scan_count(&ldb, &set, &rows, &err));
    cr_assert_eq(rows, 3);
    OK(sl_scan_mark_remove(&ldb, &set.models[0], &err));
    OK(sl_scan_mark_get(&ldb, &set.models[0], &found, &mark, &err));
    cr_assert_not(found);
    OK(sl_scan_is_done(&ldb, &set, &done, &err));
    cr_assert(done);
    OK(sl_scan_count(&ldb, &set, &rows, &err));
    cr_assert_eq(rows, 0);
    OK(sl_db_exec(&ldb.db, "DROP TABLE _syncline_scan", &err));
    FAILS(sl_scan_mark_get(&ldb, &set.models[0], &found, &mark, &err), SYNCLINE_EDB, "scan");
    FAILS(sl_scan_mark_put(&ldb, &set.models[0], 3, &err), SYNCLINE_EDB, "scan");
    FAILS(sl_scan_mark_remove(&ldb, &set.models[0], &err), SYNCLINE_EDB, "scan");
    FAILS(sl_scan_is_done(&ldb, &set, &done, &err), SYNCLINE_EDB, "scan");
    FAILS(sl_scan_count(&ldb, &set, &rows, &err), SYNCLINE_EDB, "scan");
}

/* Rows come by id, with the local ids of their parents, whatever kind of key leads there; what is
 * no UUID is said to be none. One row can be read in between. */
Test(record_scan, rows)
{
    struct sl_scan_mark mark = {.after = INT64_MIN, .up_to = 5};
    struct sl_scan_row row;
    struct sl_scan_row other;
    int64_t parents[2];
    bool found = false;
    OK(sl_record_scan_begin(&scan, &mark, &err));
    OK(sl_record_scan_next(&scan, &found, &row, parents, &err));
    cr_assert(found && row.id == -5 && row.has_uuid && row.uuid.bytes[15] == 10);
    cr_assert(parents[0] == SL_SCAN_NO_PARENT && parents[1] == SL_SCAN_NO_PARENT);
    OK(sl_record_scan_one(&scan, 6, &found, &other, parents, &err));
    cr_assert(found && other.id == 6 && !other.has_uuid); /* text */
    OK(sl_record_scan_one(&scan, 7, &found, &other, parents, &err));
    cr_assert_not(found);
    OK(sl_record_scan_next(&scan, &found, &row, parents, &err));
    cr_assert(found && row.id == 3 && parents[0] == -5 && parents[1] == -5);
    OK(sl_record_scan_next(&scan, &found, &row, parents, &err));
    cr_assert(found && row.id == 4 && !row.has_uuid && parents[0] == 3 &&
              parents[1] == SL_SCAN_NO_PARENT);
    OK(sl_record_scan_next(&scan, &found, &row, parents, &err));
    cr_assert(found && row.id == 5 && !row.has_uuid && parents[0] == 99);
    OK(sl_record_scan_next(&scan, &found, &row, parents, &err));
    cr_assert_not(found); /* 6 is above */

    mark.after = 3;
    OK(sl_record_scan_begin(&scan, &mark, &err));
    OK(sl_record_scan_next(&scan, &found, &row, parents, &err));
    cr_assert(found && row.id == 4);
    sl_record_scan_done(&scan);
    sl_record_scan_done(&scan);
    OK(sl_db_exec(&ldb.db, "DROP TABLE \"the \"\"nodes\"\"\"", &err));
    FAILS(sl_record_scan_one(&scan, 3, &found, &row, parents, &err), SYNCLINE_EDB, "no such table");
}

/* Without memory each call says so, and works once there is some. */
Test(record_scan, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    struct sl_scan_mark mark = {.after = 0, .up_to = 9};
    struct sl_scan_row row;
    int64_t parents[2];
    uint64_t rows = 0;
    bool found = false;
    int refused = 0;
    enum syncline_status status = SYNCLINE_ENOMEM;
    for (long n = 1; status != SYNCLINE_OK; n++) {
        struct sl_record_scan fresh;
        sl_record_scan_init(&fresh, &ldb.db, &set.models[0]);
        (void)sl_malloc_fail_at(n);
        status = sl_record_scan_begin(&fresh, &mark, &err);
        if (status == SYNCLINE_OK) {
            status = sl_record_scan_next(&fresh, &found, &row, parents, &err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_record_scan_one(&fresh, 3, &found, &row, parents, &err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_scan_count(&ldb, &set, &rows, &err);
        }
        (void)sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "%s", err.text);
        refused += status == SYNCLINE_ENOMEM;
        sl_record_scan_fini(&fresh);
    }
    cr_assert_gt(refused, 3);
}
