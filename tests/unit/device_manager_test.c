/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/device_manager.h"

#include "tests/unit/indexer_fixture.h"

TestSuite(device_manager, .init = set_up, .fini = tear_down);

struct listed {
    int count;
    char text[512];
};

static void keep_device(void *ctx, const struct device_row *row)
{
    struct listed *listed = ctx;
    size_t used = strlen(listed->text);
    listed->count++;
    snprintf(listed->text + used, sizeof(listed->text) - used, "%d %s %02x;", (int)row->id,
             row->name, row->uuid.bytes[0]);
    cr_expect_gt(row->created_at, 1500000000000);
}

/* A device is registered once; registering again changes nothing and gives the same id. */
Test(device_manager, registers_once)
{
    struct sqlite3 *db = open_library(library);
    int64_t id = 0;
    cr_assert_eq(indexer_device_register(NULL, db, &device_b, "beta", &id, NULL), SYNCLINE_OK);
    cr_expect_eq(id, 2);
    id = 0;
    cr_assert_eq(indexer_device_register(NULL, db, &device_b, "other", &id, NULL), SYNCLINE_OK);
    cr_expect_eq(id, 2);
    struct listed listed = {0};
    cr_assert_eq(indexer_device_list(db, keep_device, &listed, NULL), SYNCLINE_OK);
    cr_expect_str_eq(listed.text, "1 alpha a0;2 beta b0;");
    indexer_db_close(db);
}

Test(device_manager, reports_what_is_wrong)
{
    struct sqlite3 *db = open_library(library);
    struct sqlite3 *raw = open_library(library);
    struct indexer_error err = {0};
    struct listed listed = {0};
    int64_t id = 77;
    cr_expect_eq(indexer_device_register(NULL, db, &device_b, "", &id, &err), SYNCLINE_EINVAL);
    cr_expect_eq(indexer_device_register(NULL, db, &device_b, "\xff", &id, &err), SYNCLINE_EINVAL);
    sqlite3_busy_timeout(db, 0);
    execute(raw, "BEGIN IMMEDIATE");
    cr_expect_eq(indexer_device_register(NULL, db, &device_b, "x", &id, &err), SYNCLINE_EBUSY);
    execute(raw, "ROLLBACK; CREATE TRIGGER spoil BEFORE INSERT ON devices"
                 " BEGIN SELECT raise(ABORT, 'no'); END");
    cr_expect_eq(indexer_device_register(NULL, db, &device_b, "x", &id, &err), SYNCLINE_EDB);
    cr_expect_not_null(strstr(err.text, "the device x could not be written: no"), "%s", err.text);
    execute(raw, "PRAGMA foreign_keys = OFF; DROP TABLE devices");
    cr_expect_eq(indexer_device_register(NULL, db, &device_b, "x", &id, &err), SYNCLINE_EDB);
    cr_expect_eq(indexer_device_list(db, keep_device, &listed, &err), SYNCLINE_EDB);
    cr_expect_eq(id, 77);
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    indexer_db_close(raw);
    indexer_db_close(db);
}
