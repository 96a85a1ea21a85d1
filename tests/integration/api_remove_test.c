/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Removing a library: what goes, what stays, and what is refused. */

#include "tests/integration/api.h"

TestSuite(api_remove, .init = api_setup, .fini = api_cleanup);

static const char ours[] = "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_syncline%' "
                           "ESCAPE '\\'";

static void remove_refused(const char *dir, enum syncline_status wanted, const char *part)
{
    struct syncline_options options = api_options();
    enum syncline_status status = syncline_remove(dir, &options);
    cr_expect_eq(status, wanted, "%s: %s", syncline_status_name(status), api_text);
    cr_expect_not_null(strstr(api_text, part), "\"%s\" is not in: %s", part, api_text);
}

static void remove_it(const struct api_device *device)
{
    struct syncline_options options = api_options();
    enum syncline_status status = syncline_remove(device->dir, &options);
    cr_assert_eq(status, SYNCLINE_OK, "%s: %s", syncline_status_name(status), api_text);
}

static bool has_file(const struct api_device *device, const char *name)
{
    char path[2 * API_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/%s", device->dir, name);
    return api_exists(path);
}

/* Nothing of ours but the application's database. */
static void check_gone(const struct api_device *device)
{
    static const char *const names[] = {"sync.db",           "sync.db-wal", "sync.db-shm",
                                        "uuid-map",          "device.key",  "syncline.conf",
                                        "syncline.conf.new", "engine.lock"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_expect_not(has_file(device, names[i]), "%s is left", names[i]);
    }
    cr_expect_eq(api_int(device->db, ours), 0);
}

/* Everything of Syncline goes; the application's tables, rows, indexes and WAL mode stay, and a new
 * library can be made of them. */
Test(api_remove, all)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag tag = api_tag("kept");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    (void)api_save_folder(&a, "kept", NULL);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_stop(&a);
    api_write_file(api_path("a/syncline.conf"), "", 0);
    api_write_file(api_path("a/syncline.conf.new"), "", 0); /* as a crash leaves it */
    api_write_file(api_path("a/other"), "mine", 4);
    api_sql(a.db, "CREATE TABLE _syncliner(x); CREATE TABLE a_syncline_b(x)");
    int64_t objects = api_int(a.db, "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE "
                                    "'\\_syncline\\_%' ESCAPE '\\' AND tbl_name NOT LIKE "
                                    "'\\_syncline\\_%' ESCAPE '\\'");
    cr_assert(has_file(&a, "uuid-map"));

    remove_it(&a);
    api_sql(a.db, "DROP TABLE _syncliner"); /* not one of ours */
    check_gone(&a);
    cr_expect(has_file(&a, "other"));
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM sqlite_schema"), objects - 1);
    cr_expect(api_tag_is(a.db, &tag.uuid, "kept"));
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM folders"), 1);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode='wal'"),
                 1);
    remove_refused(a.dir, SYNCLINE_ENOTFOUND, "no library");
    cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);

    api_create(&a, "a");
    api_open_alone(&a);
    api_close(&a);
}

/* While an engine runs nothing is removed, by whatever process; the pid is named. */
Test(api_remove, while_an_engine_runs)
{
    struct api_device a;
    char pid[32];
    api_create(&a, "a");
    api_open_alone(&a);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    remove_refused(a.dir, SYNCLINE_EBUSY, pid);
    remove_refused(a.dir, SYNCLINE_EBUSY, ": end it first (Ctrl-C");
    struct tag tag = api_tag("tag");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_close(&a);
}

/* A handle that only captures is not noticed; its next call fails, and its transaction goes on. */
Test(api_remove, while_another_captures)
{
    struct api_device a;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    remove_it(&a);
    struct tag tag = api_tag("tag");
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &tag);
    API_REFUSED(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &tag, SYNCLINE_INSERT, a.db),
                SYNCLINE_EDB, "_syncline_outbox");
    api_sql(a.db, "COMMIT");
    cr_expect(api_has(a.db, "tags", &tag.uuid));
    api_close(&a);
}

/* A removal that was interrupted, after the tables or among the files, is ended by another one. */
Test(api_remove, interrupted)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    api_stop(&a);
    cr_assert_eq(sqlite3_exec(a.db,
                              "BEGIN; DROP TABLE _syncline_meta; DROP TABLE _syncline_model;"
                              "DROP TABLE _syncline_outbox; DROP TABLE _syncline_origin;"
                              "DROP TABLE _syncline_birth; DROP TABLE _syncline_stamp;"
                              "DROP TABLE _syncline_late_birth; COMMIT",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    struct syncline_options options = api_options();
    cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_ENOTFOUND, "%s", api_text);
    cr_assert_eq(remove(api_path("a/device.key")), 0);
    remove_it(&a);
    check_gone(&a);
    cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);

    api_create(&a, "b");
    api_open_alone(&a);
    api_close(&a);
    cr_assert_eq(remove(api_path("b/library.db")), 0);
    remove_it(&a);
    cr_expect_not(has_file(&a, "sync.db"));
}

/* What is no library, and files of others with the same names, are left alone. */
Test(api_remove, not_a_library)
{
    char longer[5000];
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    remove_refused(NULL, SYNCLINE_EINVAL, "directory");
    remove_refused("", SYNCLINE_EINVAL, "directory");
    remove_refused(longer, SYNCLINE_ETOOBIG, "longer");
    remove_refused(api_path("nowhere"), SYNCLINE_ENOTFOUND, "nowhere");
    cr_assert_eq(mkdir(api_path("dir"), 0700), 0);
    api_write_file(api_path("dir/device.key"), "mine", 4);
    api_write_file(api_path("dir/engine.lock"), "mine", 4);
    remove_refused(api_path("dir"), SYNCLINE_ENOTFOUND, "no library");
    api_sql_at(api_path("dir/library.db"), "CREATE TABLE t(x)");
    remove_refused(api_path("dir"), SYNCLINE_ENOTFOUND, "no library");
    api_sql_at(api_path("dir/sync.db"), "CREATE TABLE t(x)");
    remove_refused(api_path("dir"), SYNCLINE_EFORMAT, "sync.db");
    api_write_file(api_path("dir/library.db"), "this is not a database, whatever its name is", 44);
    remove_refused(api_path("dir"), SYNCLINE_EFORMAT, "library.db");
    cr_expect(api_exists(api_path("dir/device.key")) && api_exists(api_path("dir/sync.db")) &&
              api_exists(api_path("dir/engine.lock")));
    struct syncline_options options = api_options();
    options.size = 1;
    cr_expect_eq(syncline_remove(api_path("dir"), &options), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_remove(api_path("dir"), NULL), SYNCLINE_EFORMAT);
}

/* A file that cannot be removed is named, the rest of the library is gone for good, and once the
 * obstacle is out of the way the next call ends it. */
Test(api_remove, obstacle)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    api_stop(&a);
    cr_assert_eq(mkdir(api_path("a/engine.sock"), 0700), 0);
    remove_refused(a.dir, SYNCLINE_EIO, "engine.sock");
    cr_expect_eq(api_int(a.db, ours), 0);
    cr_assert_eq(rmdir(api_path("a/engine.sock")), 0);
    api_write_file(api_path("outside"), "mine", 4);
    cr_assert_eq(symlink(api_path("outside"), api_path("a/uuid-map")), 0); /* itself, not it */
    remove_it(&a);
    check_gone(&a);
    cr_expect(api_exists(api_path("outside")));
    cr_expect_eq(sqlite3_close(a.db), SQLITE_OK);
}

/* While the application is inside a transaction the tables cannot be dropped: nothing has changed.
 */
Test(api_remove, in_a_transaction)
{
    struct api_device a;
    api_create(&a, "a");
    api_sql(a.db, "BEGIN IMMEDIATE");
    remove_refused(a.dir, SYNCLINE_EBUSY, "library.db");
    api_sql(a.db, "ROLLBACK");
    api_open_alone(&a);
    api_close(&a);
}
