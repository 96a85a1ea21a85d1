/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/attached.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

static const struct syncline_uuid library_id = {{0x11}};
static struct sl_core core; /* without models: only what is attached counts here */
static struct sl_attached_list list;
static struct sl_library_db ldb;
static const char *path;

static sqlite3 *connect_to(const char *file)
{
    sqlite3 *handle = NULL;
    cr_assert_eq(sqlite3_open(file, &handle), SQLITE_OK);
    return handle;
}

static enum syncline_status attach(sqlite3 *handle)
{
    return sl_attached_add(&list, &core, path, handle, &err);
}

static enum syncline_status detach(sqlite3 *handle)
{
    return sl_attached_remove(&list, &core, handle, &err);
}

static void begin(void)
{
    set_up();
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
    path = sqlite3_db_filename(ldb.db.handle, "main");
    core.env = sl_env_posix();
    OK(sl_attached_init(&list));
}

static void end(void)
{
    sl_attached_fini(&list, &core);
    sl_library_db_fini(&ldb);
    tear_down();
}

TestSuite(attached, .init = begin, .fini = end);

/* As many as the limit says are attached, each is found as itself, and one more is refused until
 * another one is gone. */
Test(attached, up_to_the_limit)
{
    static sqlite3 *handles[SL_ATTACHED_COUNT_MAX + 1];
    struct sl_attached *found = NULL;
    for (size_t i = 0; i <= SL_ATTACHED_COUNT_MAX; i++) {
        handles[i] = connect_to(path);
    }
    for (size_t i = 0; i < SL_ATTACHED_COUNT_MAX; i++) {
        OK(attach(handles[i]));
    }
    sqlite3 *more = handles[SL_ATTACHED_COUNT_MAX];
    FAILS(attach(more), SYNCLINE_EREFUSED, "64 connections are attached, which is the limit");
    FAILS(attach(handles[7]), SYNCLINE_EEXIST, "attached already");
    cr_assert_null(sqlite3_next_stmt(more, NULL));
    for (size_t i = 0; i < SL_ATTACHED_COUNT_MAX; i++) {
        OK(sl_attached_find(&list, path, handles[i], &found, &err));
        cr_assert_eq(found->handle, handles[i]);
    }
    OK(detach(handles[3]));
    OK(attach(more));
    OK(sl_attached_find(&list, path, handles[3], &found, &err));
    cr_assert_null(found);
    for (size_t i = 0; i <= SL_ATTACHED_COUNT_MAX; i++) {
        if (i != 3) {
            OK(detach(handles[i]));
        }
        cr_assert_eq(sqlite3_close(handles[i]), SQLITE_OK);
    }
    cr_assert_eq(list.count, 0);
}

/* What SQLite has against the statement is passed on, and nothing is kept. */
Test(attached, failures_are_passed_on)
{
    sqlite3 *handle = connect_to(path);
    sql_on(path, "DROP TABLE _syncline_outbox");
    FAILS(attach(handle), SYNCLINE_EDB, "no such table: _syncline_outbox");
    FAILS(detach(handle), SYNCLINE_ENOTFOUND, "not attached");
    cr_assert_eq(list.count, 0);
    cr_assert_eq(sqlite3_close(handle), SQLITE_OK);
}

/* Without memory, wherever it runs out, nothing is attached and no statement is left. */
Test(attached, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    bool failed = true;
    int refused = 0;
    for (long n = 1; failed; n++) {
        sqlite3 *handle = connect_to(path);
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = attach(handle);
        failed = sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "%s", err.text);
        cr_assert_eq(list.count, status == SYNCLINE_OK ? 1 : 0);
        if (status == SYNCLINE_OK) {
            OK(detach(handle));
        }
        refused += status == SYNCLINE_ENOMEM;
        cr_assert_eq(sqlite3_close(handle), SQLITE_OK);
    }
    cr_assert_geq(refused, 5);
}
