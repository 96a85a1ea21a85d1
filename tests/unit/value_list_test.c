/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/value_list.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

static struct sl_db db;

static void start(void)
{
    OK(sl_db_open(&db, sl_env_posix(), ":memory:", "library.db", SL_DB_CREATE, 0, &err));
}

static void stop(void)
{
    cr_assert_eq(sqlite3_close(db.handle), SQLITE_OK);
}

TestSuite(value_list, .init = start, .fini = stop);

#define LIST_SQL "SELECT value,place,rowid,typeof(value) FROM " SL_VALUE_LIST_TABLE "(?1)"

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    OK(sl_db_prepare(&db, sql, false, &stmt, &err));
    return stmt;
}

/* Every place in order, ids as integers, without those to be skipped at the front, within and at
 * the end. */
Test(value_list, ids)
{
    const int64_t ids[] = {7, -1, INT64_MAX, 7, 0, 9};
    const bool skip[] = {true, false, false, true, false, true};
    const int64_t places[] = {1, 2, 4};
    const struct sl_value_list list = {.ids = ids, .skip = skip, .n = 6};
    OK(sl_value_list_register(&db, &err));
    sqlite3_stmt *stmt = prepare(LIST_SQL);
    for (int round = 0; round < 2; round++) {
        sl_value_list_bind(stmt, 1, &list);
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
            cr_assert_eq(sqlite3_column_int64(stmt, 0), ids[places[i]]);
            cr_assert_eq(sqlite3_column_int64(stmt, 1), places[i]);
            cr_assert_eq(sqlite3_column_int64(stmt, 2), places[i]);
            cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 3), "integer");
        }
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        sl_db_reset(stmt);
    }
    (void)sqlite3_finalize(stmt);
}

/* UUIDs are blobs of 16 bytes. */
Test(value_list, uuids)
{
    const struct syncline_uuid uuids[2] = {{{1}}, {{[15] = 2}}};
    const struct sl_value_list list = {.uuids = uuids, .n = 2};
    OK(sl_value_list_register(&db, &err));
    sqlite3_stmt *stmt = prepare(LIST_SQL);
    sl_value_list_bind(stmt, 1, &list);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
        cr_assert_eq(sqlite3_column_bytes(stmt, 0), 16);
        cr_assert_eq(memcmp(sqlite3_column_blob(stmt, 0), &uuids[i], 16), 0);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
}

/* With nothing bound, or a value that is no list, it is empty; without its argument it cannot be
 * asked; and nobody else can bind a pointer there under another name. */
Test(value_list, wrong_arguments)
{
    OK(sl_value_list_register(&db, &err));
    sqlite3_stmt *stmt = prepare(LIST_SQL);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
    sl_db_reset(stmt);
    (void)sqlite3_bind_int64(stmt, 1, 4711);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
    sl_db_reset(stmt);
    (void)sqlite3_bind_pointer(stmt, 1, stmt, "other", NULL);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
    FAILS(sl_db_prepare(&db, "SELECT * FROM " SL_VALUE_LIST_TABLE, false, &stmt, &err),
          SYNCLINE_EDB, "no query solution");
}

/* A connection without it does not know the name. */
Test(value_list, only_where_registered)
{
    sqlite3_stmt *stmt = NULL;
    FAILS(sl_db_prepare(&db, LIST_SQL, false, &stmt, &err), SYNCLINE_EDB, "no such table");
}

/* Whichever allocation fails: it is ENOMEM, and nothing leaks or stays open. */
Test(value_list, no_memory)
{
    const int64_t ids[] = {1, 2};
    const struct sl_value_list list = {.ids = ids, .n = 2};
    bool failed = SL_MALLOC_CAN_FAIL != 0;
    for (long n = 1; failed; n++) {
        sqlite3_stmt *stmt = NULL;
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = sl_value_list_register(&db, &err);
        if (status == SYNCLINE_OK) {
            status = sl_db_prepare(&db, LIST_SQL, false, &stmt, &err);
        }
        int rows = 0;
        bool row = true;
        if (status == SYNCLINE_OK) {
            sl_value_list_bind(stmt, 1, &list);
        }
        while (status == SYNCLINE_OK && row) {
            status = sl_db_row(&db, stmt, &row, &err);
            rows += status == SYNCLINE_OK && row ? 1 : 0;
        }
        failed = sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_ENOMEM || (status == SYNCLINE_OK && rows == 2), "%ld: %s", n,
                  err.text);
        (void)sqlite3_finalize(stmt);
        stop();
        start();
    }
}
