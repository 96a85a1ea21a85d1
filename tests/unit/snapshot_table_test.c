/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/snapshot_table.h"

#include "tests/unit/storage_fixture.h"

static struct sl_library_db ldb;

static void start(void)
{
    set_up();
    struct syncline_uuid library_id = {{3}};
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
}

static void stop(void)
{
    sl_library_db_fini(&ldb);
    tear_down();
}

TestSuite(snapshot_table, .init = start, .fini = stop);

static void begin(void)
{
    const struct sl_snapshot_row row = {.records = 2, .total = 1000, .began_ms = 77};
    struct sl_snapshot_origin origin = {.number = 4, .cut_seq = 10, .live_seq = 12, .last_hlc = 99};
    memset(origin.end, 0xee, sizeof(origin.end));
    OK(sl_snapshot_begin(&ldb, &row, &err));
    OK(sl_snapshot_origin_put(&ldb, &origin, &err));
    origin.number = 9;
    origin.cut_seq = 20;
    OK(sl_snapshot_origin_put(&ldb, &origin, &err));
    OK(sl_snapshot_model_put(&ldb, 5, &err));
}

/* Nothing is there before one begins, and nothing after it has ended. */
Test(snapshot_table, none)
{
    struct sl_snapshot_row row;
    struct sl_snapshot_origin origin;
    struct syncline_uuid lo;
    for (int i = 0; i < 2; i++) {
        bool found = true;
        bool done = false;
        OK(sl_snapshot_get(&ldb, &found, &row, &err));
        cr_assert_not(found);
        OK(sl_snapshot_origin_next(&ldb, 0, &found, &origin, &err));
        cr_assert_not(found);
        OK(sl_snapshot_model_get(&ldb, 5, &found, &done, &lo, &err));
        cr_assert_not(found);
        begin();
        OK(sl_snapshot_end(&ldb, &err));
    }
}

/* What was put is there, and moves. */
Test(snapshot_table, moves)
{
    struct sl_snapshot_row row;
    struct sl_snapshot_origin origin;
    struct syncline_uuid lo;
    struct syncline_uuid next = {{0x12, 0x34}};
    static const struct syncline_uuid least;
    bool found = false;
    bool done = true;
    begin();
    OK(sl_snapshot_get(&ldb, &found, &row, &err));
    cr_assert(found && row.records == 2 && row.total == 1000 && row.began_ms == 77);
    OK(sl_snapshot_origin_next(&ldb, 0, &found, &origin, &err));
    cr_assert(found && origin.number == 4 && origin.cut_seq == 10 && origin.live_seq == 12 &&
              origin.last_hlc == 99 && origin.end[SL_SEGMENT_END_SIZE - 1] == 0xee);
    OK(sl_snapshot_set_live(&ldb, 4, 15, &err));
    OK(sl_snapshot_origin_next(&ldb, 0, &found, &origin, &err));
    cr_assert_eq(origin.live_seq, 15);
    OK(sl_snapshot_origin_next(&ldb, 4, &found, &origin, &err));
    cr_assert(found && origin.number == 9 && origin.live_seq == 12);
    OK(sl_snapshot_origin_next(&ldb, 9, &found, &origin, &err));
    cr_assert_not(found);
    OK(sl_snapshot_model_get(&ldb, 5, &found, &done, &lo, &err));
    cr_assert(found && !done && sl_uuid_equal(&lo, &least));
    OK(sl_snapshot_advance(&ldb, 5, &next, 30, &err));
    OK(sl_snapshot_model_get(&ldb, 5, &found, &done, &lo, &err));
    cr_assert(found && !done && sl_uuid_equal(&lo, &next));
    OK(sl_snapshot_advance(&ldb, 5, NULL, 8, &err));
    OK(sl_snapshot_model_get(&ldb, 5, &found, &done, &lo, &err));
    cr_assert(found && done);
    OK(sl_snapshot_get(&ldb, &found, &row, &err));
    cr_assert_eq(row.records, 40);
}

/* What cannot be is damage. */
Test(snapshot_table, damaged)
{
    struct sl_snapshot_origin origin;
    struct syncline_uuid lo;
    bool found = false;
    bool done = false;
    begin();
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_snapshot_origin SET cut_end=x'01'", &err));
    FAILS(sl_snapshot_origin_next(&ldb, 0, &found, &origin, &err), SYNCLINE_ECORRUPT, "damaged");
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_snapshot_model SET lo=x'01'", &err));
    FAILS(sl_snapshot_model_get(&ldb, 5, &found, &done, &lo, &err), SYNCLINE_ECORRUPT, "no UUID");
}

/* Tables that are not there are an error of every call. */
Test(snapshot_table, no_tables)
{
    struct sl_snapshot_row row = {.records = 0};
    struct sl_snapshot_origin origin = {.number = 1};
    struct syncline_uuid lo;
    bool found = false;
    bool done = false;
    OK(sl_db_exec(&ldb.db,
                  "DROP TABLE _syncline_snapshot; DROP TABLE _syncline_snapshot_origin;"
                  "DROP TABLE _syncline_snapshot_model",
                  &err));
    FAILS(sl_snapshot_get(&ldb, &found, &row, &err), SYNCLINE_EDB, "_syncline_snapshot");
    FAILS(sl_snapshot_origin_next(&ldb, 0, &found, &origin, &err), SYNCLINE_EDB, "_origin");
    FAILS(sl_snapshot_model_get(&ldb, 1, &found, &done, &lo, &err), SYNCLINE_EDB, "_model");
    FAILS(sl_snapshot_begin(&ldb, &row, &err), SYNCLINE_EDB, "_syncline_snapshot");
    FAILS(sl_snapshot_origin_put(&ldb, &origin, &err), SYNCLINE_EDB, "_origin");
    FAILS(sl_snapshot_model_put(&ldb, 1, &err), SYNCLINE_EDB, "_model");
    FAILS(sl_snapshot_set_live(&ldb, 1, 1, &err), SYNCLINE_EDB, "_origin");
    FAILS(sl_snapshot_advance(&ldb, 1, NULL, 1, &err), SYNCLINE_EDB, "_model");
    FAILS(sl_snapshot_end(&ldb, &err), SYNCLINE_EDB, "_model");
}
