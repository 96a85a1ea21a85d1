/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/location_manager.h"

#include "indexer/library_lock.h"
#include "tests/unit/indexer_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

TestSuite(location_manager, .init = set_up, .fini = tear_down);

/* A fresh folder: every entry once, parents before children, UUIDs in order, one root. */
Test(location_manager, indexes_a_folder)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    struct indexer_location_stats stats = index_tree(db, 10);
    cr_expect_eq(stats.inserted, SMALL_TREE_COUNT);
    cr_expect_eq(stats.updated, 0);
    cr_expect_eq(stats.batches, 6); /* the location, 4 full ones, and the 5 entries left */
    cr_expect_not(stats.existed);
    cr_expect_gt(stats.first_commit_ns, 0);
    cr_expect_gt(stats.last_commit_ns, stats.first_commit_ns);
    cr_expect_eq(stats.walk.files, 30);
    cr_expect_eq(stats.walk.folders, 11);
    cr_expect_eq(stats.walk.links, 5);
    expect_equal(db);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE parent_id >= id"), 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE parent_id IS NULL"), 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries e JOIN locations l ON l.entry_id = e.id"
                           " WHERE e.name = CAST('tree' AS BLOB) AND l.name = 'tree'"),
                 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE typeof(name) <> 'blob'"), 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE (kind = 2) <> "
                           "(link_target IS NOT NULL)"),
                 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE substr(hex(uuid), 13, 1) <> '7'"),
                 0);
    indexer_db_close(db);
}

/* Names and targets of any bytes come into the database byte for byte. */
Test(location_manager, names_byte_for_byte)
{
    make_file("a\nb\xff\xfe", 3);
    make_link("link", "\xff\n target");
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE name = x'610a62fffe' AND size = 3"),
                 1);
    cr_expect_eq(
        query(db, "SELECT count(*) FROM entries WHERE link_target = x'ff0a20746172676574'"), 1);
    indexer_db_close(db);
}

/* A location whose folder has a name that is no text gets a name that is. */
Test(location_manager, name_of_a_location_is_text)
{
    struct sqlite3 *db = open_library(library);
    strcat(tree, "/\xff\xfe");
    cr_assert_eq(mkdir(tree, 0755), 0);
    index_tree(db, 0);
    cr_expect_eq(query(db, "SELECT name = '\\xff\\xfe' FROM locations"), 1);
    cr_expect_eq(query(db, "SELECT name = x'fffe' FROM entries"), 1);
    *strrchr(tree, '/') = '\0';
    indexer_db_close(db);
}

/* Run again, nothing changes: no row and no transaction. */
Test(location_manager, again_does_nothing)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    struct indexer_location_stats first = index_tree(db, 10);
    int64_t before = query(db, "SELECT total(id) + count(*) FROM entries");
    struct indexer_location_stats stats = index_tree(db, 10);
    cr_expect(stats.existed);
    cr_expect_eq(stats.inserted + stats.updated + stats.batches, 0);
    cr_expect_eq(stats.first_commit_ns, 0);
    cr_expect_eq(memcmp(&stats.location, &first.location, sizeof(first.location)), 0);
    cr_expect_eq(query(db, "SELECT total(id) + count(*) FROM entries"), before);
    indexer_db_close(db);
}

/* The same folder by another way to write its path is the same location. */
Test(location_manager, a_path_is_known_without_links)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 10);
    char path[128];
    snprintf(path, sizeof(path), "%s/way", base);
    cr_assert_eq(symlink(tree, path), 0);
    snprintf(path, sizeof(path), "%s/./way/", base);
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    cr_assert_eq(indexer_location_add(NULL, db, path, &options, &stats, NULL), SYNCLINE_OK);
    cr_expect(stats.existed);
    expect_equal(db);
    indexer_db_close(db);
}

/* What changed is updated in place, what is new is inserted, what is gone stays. */
Test(location_manager, finds_changes)
{
    make_small_tree();
    make_link("link", "one");
    make_file("was file", 1);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 7);
    make_file("folder1/file1", 4711);         /* another size */
    set_time("folder1/file2", 1234567890123); /* another time */
    cr_assert_eq(unlink(in_tree("link")), 0);
    make_link("link", "two"); /* another target */
    cr_assert_eq(unlink(in_tree("was file")), 0);
    make_folder("was file"); /* another kind, and something in it */
    make_file("was file/new", 1);
    make_folder("folder3/inner/new");
    make_file("folder3/inner/new/file", 1);
    make_file("folder0/file00", 1); /* between two that were there */
    cr_assert_eq(unlink(in_tree("folder4/file5")), 0);
    struct indexer_location_stats stats = index_tree(db, 7);
    cr_expect_eq(stats.inserted, 4);
    cr_expect_geq(stats.updated, 4);
    cr_expect_eq(query(db, "SELECT size FROM entries WHERE name = CAST('file1' AS BLOB)"
                           " AND size > 1000"),
                 4711);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE link_target = CAST('two' AS BLOB)"),
                 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), SMALL_TREE_COUNT + 2 + 4);
    make_file("folder4/file5", 405);
    index_tree(db, 7);
    expect_equal(db);
    indexer_db_close(db);
}

/* Each of size, time, kind and link target is looked at by itself: the others are the same. */
Test(location_manager, finds_each_change_alone)
{
    make_file("thing", 5);
    make_link("link", "one");
    set_time("thing", 1000);
    set_time("link", 1000);
    set_time("", 1000);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    make_file("thing", 6);
    set_time("thing", 1000);
    cr_expect_eq(index_tree(db, 0).updated, 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE size = 6"), 1);
    set_time("thing", 1001);
    cr_expect_eq(index_tree(db, 0).updated, 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE modified_at = 1001"), 1);
    cr_assert_eq(unlink(in_tree("link")), 0);
    make_link("link", "two");
    set_time("link", 1000);
    set_time("", 1000);
    cr_expect_eq(index_tree(db, 0).updated, 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE link_target = x'74776f'"), 1);
    make_file("thing", 0);
    set_time("thing", 1001);
    cr_expect_eq(index_tree(db, 0).updated, 1);
    cr_assert_eq(unlink(in_tree("thing")), 0);
    make_folder("thing");
    set_time("thing", 1001);
    set_time("", 1000);
    cr_expect_eq(index_tree(db, 0).updated, 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE kind = 1"), 2);
    set_time("", 1001);
    cr_expect_eq(index_tree(db, 0).updated, 1);
    cr_expect_eq(index_tree(db, 0).updated, 0);
    expect_equal(db);
    indexer_db_close(db);
}

/* Stopped after each batch in turn, it goes on where it was and inserts nothing twice. */
Test(location_manager, goes_on_after_a_stop)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    bool is_done = false;
    for (uint64_t after = 1; !is_done; after++) {
        execute(db, "DELETE FROM locations; UPDATE entries SET parent_id = NULL;"
                    "DELETE FROM entries");
        struct stopper stopper = {.after = after};
        struct indexer_location_options options = {.device = device_a,
                                                   .batch_size = 4,
                                                   .stop = &stopper.stop,
                                                   .ctx = &stopper,
                                                   .progress = stop_later};
        struct indexer_location_stats stats;
        cr_assert_eq(indexer_location_add(NULL, db, tree, &options, &stats, NULL), SYNCLINE_OK);
        is_done = !stats.walk.stopped;
        cr_expect_eq(query(db, "SELECT count(*) FROM entries"), (int64_t)stats.inserted);
        struct indexer_location_stats rest = index_tree(db, 4);
        cr_expect(rest.existed);
        cr_expect_eq(stats.inserted + rest.inserted, SMALL_TREE_COUNT);
        expect_equal(db);
    }
    indexer_db_close(db);
}

static int changes_left;

static void die_at_change(void *ctx, int operation, const char *name, const char *table,
                          sqlite3_int64 id)
{
    (void)ctx, (void)operation, (void)name, (void)table, (void)id;
    if (--changes_left == 0)
        raise(SIGKILL);
}

static int die_at_commit(void *ctx)
{
    die_at_change(ctx, 0, "", "", 0);
    return 0;
}

/* Killed at any row and at any commit, the next run goes on; nothing is missing or there twice. */
Test(location_manager, goes_on_after_a_kill)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    indexer_db_close(db);
    bool is_done = false;
    for (int at = 1; !is_done; at++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            struct sqlite3 *own = NULL;
            if (indexer_db_open(library, 0, &own, NULL) != SYNCLINE_OK)
                _exit(2);
            changes_left = at;
            sqlite3_update_hook(own, die_at_change, NULL);
            sqlite3_commit_hook(own, die_at_commit, NULL);
            struct indexer_location_options options = {.device = device_a, .batch_size = 9};
            struct indexer_location_stats stats;
            _exit(indexer_location_add(NULL, own, tree, &options, &stats, NULL) != SYNCLINE_OK);
        }
        int status = 0;
        cr_assert_eq(waitpid(child, &status, 0), child);
        is_done = WIFEXITED(status);
        cr_assert_eq(status, is_done ? 0 : SIGKILL);
        db = open_library(library);
        if (at % 2 == 0 || is_done) { /* else killed again, on what the first kill left */
            index_tree(db, 9);
            expect_equal(db);
            if (!is_done)
                execute(db, "DELETE FROM locations; UPDATE entries SET parent_id = NULL;"
                            "DELETE FROM entries");
        }
        indexer_db_close(db);
    }
}

/* The folder of library.db is recorded, but its files are not: they change all the time. */
Test(location_manager, does_not_enter_its_own_library)
{
    make_file("file", 1);
    snprintf(library, sizeof(library), "%s/library", tree);
    make_folder("library");
    struct sqlite3 *db = open_library(library);
    struct indexer_location_stats stats = index_tree(db, 0);
    cr_expect_eq(stats.inserted, 3);
    cr_expect_eq(stats.walk.skipped, 1);
    make_file("library/another", 1);
    expect_equal(db);
    struct indexer_location_options options = {.device = device_a};
    struct indexer_error err = {0};
    cr_expect_eq(indexer_location_add(NULL, db, library, &options, &stats, &err), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "library's own folder"), "%s", err.text);
    expect_equal(db);
    indexer_db_close(db);
}

struct named {
    char path[256];
    int error_number;
};

static void keep_unreadable(void *ctx, struct syncline_bytes path, int error_number)
{
    struct named *named = ctx;
    snprintf(named->path, sizeof(named->path), "%.*s", (int)path.len, (const char *)path.data);
    named->error_number = error_number;
}

/* What cannot be read is handed on by name. */
Test(location_manager, names_what_cannot_be_read)
{
    make_folder("closed");
    struct sqlite3 *db = open_library(library);
    struct named named = {0};
    struct indexer_location_options options = {
        .device = device_a, .ctx = &named, .unreadable = keep_unreadable};
    struct indexer_location_stats stats;
    cr_assert_eq(chmod(in_tree("closed"), 0), 0);
    bool is_root = become_nobody();
    struct indexer_error err = {0};
    enum syncline_status status = indexer_location_add(NULL, db, tree, &options, &stats, &err);
    if (is_root)
        cr_assert_eq(seteuid(0), 0);
    cr_expect_eq(status, SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(stats.walk.unreadable, 1);
    cr_expect_eq(stats.inserted, 2);
    cr_expect_str_eq(named.path, in_tree("closed"));
    cr_expect_eq(named.error_number, EACCES);
    indexer_db_close(db);
}

static enum syncline_status add_fails(struct sqlite3 *db, const char *path, uint32_t batch_size,
                                      const char *word)
{
    struct indexer_location_options options = {.device = device_a, .batch_size = batch_size};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    enum syncline_status status = indexer_location_add(NULL, db, path, &options, &stats, &err);
    cr_expect_not_null(strstr(err.text, word), "%s", err.text);
    cr_expect_null(strchr(err.text, '\n'));
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    cr_expect_eq(indexer_location_add(NULL, db, path, &options, &stats, NULL), status);
    return status;
}

/* Wrong input is named with a cure and leaves nothing. */
Test(location_manager, refuses_wrong_input)
{
    make_file("file", 1);
    struct sqlite3 *db = open_library(library);
    cr_expect_eq(add_fails(db, in_tree("none"), 0, "check the path"), SYNCLINE_ENOTFOUND);
    cr_expect_eq(add_fails(db, in_tree("file"), 0, "is not a folder"), SYNCLINE_EINVAL);
    cr_expect_eq(add_fails(db, tree, 65537, "65536"), SYNCLINE_EINVAL);
    execute(db, "DELETE FROM devices");
    cr_expect_eq(add_fails(db, tree, 0, "register it first"), SYNCLINE_ENOTFOUND);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 0);
    indexer_db_close(db);
}

static void adds(struct sqlite3 *db, const char *path)
{
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    cr_expect_eq(indexer_location_add(NULL, db, path, &options, &stats, &err), SYNCLINE_OK, "%s",
                 err.text);
}

/* A folder inside a location, or around one, is refused by name, however it is written, and nothing
 * is written; its neighbours are not. */
Test(location_manager, refuses_nested_locations)
{
    struct indexer_error err = {0};
    char name[1100];
    int64_t id = 0;
    struct sqlite3 *db = open_library(library);
    make_folder("one");
    make_folder("one/inner");
    make_folder("one-more");
    make_link("link", "one/inner");
    adds(db, in_tree("one"));
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 2);
    snprintf(name, sizeof(name), "it is in the location %s, which", in_tree("one"));
    cr_expect_eq(add_fails(db, in_tree("one/inner"), 0, name), SYNCLINE_EREFUSED);
    cr_expect_eq(add_fails(db, in_tree("one-more/../one/inner/."), 0, name), SYNCLINE_EREFUSED);
    cr_expect_eq(add_fails(db, in_tree("link"), 0, name), SYNCLINE_EREFUSED);
    snprintf(name, sizeof(name), "the location %s is in it", in_tree("one"));
    cr_expect_eq(add_fails(db, tree, 0, name), SYNCLINE_EREFUSED);
    cr_expect_eq(add_fails(db, "/", 0, name), SYNCLINE_EREFUSED);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 2);
    cr_expect_eq(query(db, "SELECT count(*) FROM locations"), 1);
    adds(db, in_tree("one"));
    adds(db, in_tree("one-more"));
    /* Another device has folders of its own. */
    cr_assert_eq(indexer_device_register(NULL, db, &device_b, "beta", &id, &err), SYNCLINE_OK);
    cr_assert_eq(id, 2);
    execute(db, "UPDATE locations SET device_id = 2");
    adds(db, tree);
    indexer_db_close(db);
}

/* What is mounted in a location is not entered from there, and may be one itself. */
Test(location_manager, takes_other_file_systems)
{
    char inner[] = "/dev/shm/indexer-XXXXXX";
    struct stat of_outer;
    struct stat of_inner;
    struct sqlite3 *db = open_library(library);
    if (stat("/dev", &of_outer) != 0 || stat("/dev/shm", &of_inner) != 0 ||
        of_inner.st_dev == of_outer.st_dev || mkdtemp(inner) == NULL) {
        indexer_db_close(db);
        cr_skip_test("/dev/shm is no file system of its own");
    }
    adds(db, tree);
    execute(db, "UPDATE locations SET path = CAST('/dev' AS BLOB)");
    adds(db, inner);
    cr_expect_eq(rmdir(inner), 0);
    indexer_db_close(db);
}

/* One run at a time: the second is told who is in the way, and not that it is the database. */
Test(location_manager, one_run_at_a_time)
{
    struct sqlite3 *db = open_library(library);
    char path[160];
    snprintf(path, sizeof(path), "%s/" INDEXER_LOCK_NAME, library);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    cr_expect_eq(add_fails(db, tree, 0, "another process indexes"), SYNCLINE_EBUSY);
    close(fd);
    index_tree(db, 0);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_eq(add_fails(db, tree, 0, INDEXER_LOCK_NAME), SYNCLINE_EIO);
    indexer_db_close(db);
}

/* A write lock that another connection holds is named. */
Test(location_manager, reports_a_write_lock)
{
    struct sqlite3 *db = open_library(library);
    struct sqlite3 *other = open_library(library);
    sqlite3_busy_timeout(db, 0);
    execute(other, "BEGIN IMMEDIATE");
    cr_expect_eq(add_fails(db, tree, 0, "write lock"), SYNCLINE_EBUSY);
    execute(other, "ROLLBACK");
    index_tree(db, 0);
    indexer_db_close(other);
    indexer_db_close(db);
}

/* A full disk: the batch is rolled back whole, the text says so, and the next run goes on. */
Test(location_manager, full_disk)
{
    for (int i = 0; i < 400; i++) {
        char name[200];
        snprintf(name, sizeof(name), "%0150d", i);
        make_file(name, 1);
    }
    struct sqlite3 *db = open_library(library);
    int64_t pages = query(db, "PRAGMA page_count");
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld", (long long)pages + 8);
    query(db, sql);
    cr_expect_eq(add_fails(db, tree, 50, "disk is full"), SYNCLINE_ENOSPC);
    int64_t count = query(db, "SELECT count(*) FROM entries");
    cr_expect_eq(count % 50, 1);
    cr_expect_lt(count, 401);
    query(db, "PRAGMA max_page_count = 100000");
    index_tree(db, 50);
    expect_equal(db);
    indexer_db_close(db);
}

/* Every statement can fail: here because its table, or a column of it, is gone or refuses. */
Test(location_manager, reports_what_sqlite_refuses)
{
    static const struct {
        const char *spoil;
        const char *mend;
        const char *word;
    } cases[] = {
        {"CREATE TRIGGER spoil BEFORE INSERT ON entries WHEN NEW.parent_id IS NULL"
         " BEGIN SELECT raise(ABORT, 'no root'); END",
         "DROP TRIGGER spoil", "no root"},
        {"CREATE TRIGGER spoil BEFORE INSERT ON locations"
         " BEGIN SELECT raise(ABORT, 'no location'); END",
         "DROP TRIGGER spoil", "the location could not be written"},
        {"CREATE TRIGGER spoil BEFORE INSERT ON entries WHEN NEW.name = CAST('file3' AS BLOB)"
         " BEGIN SELECT raise(ABORT, 'not this'); END",
         "DROP TRIGGER spoil", "the entry file3 could not be written: not this"},
        {"CREATE TRIGGER spoil BEFORE UPDATE ON entries"
         " BEGIN SELECT raise(ABORT, 'no change'); END",
         "DROP TRIGGER spoil", "no change"},
        {"ALTER TABLE entries RENAME COLUMN link_target TO elsewhere",
         "ALTER TABLE entries RENAME COLUMN elsewhere TO link_target", "cannot be written"},
        {"ALTER TABLE locations RENAME COLUMN path TO elsewhere",
         "ALTER TABLE locations RENAME COLUMN elsewhere TO path", "could not be read"},
        {"PRAGMA foreign_keys = OFF; UPDATE locations SET entry_id = 999",
         "UPDATE locations SET entry_id = (SELECT min(id) FROM entries);"
         "PRAGMA foreign_keys = ON",
         "no folder entry"},
    };
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i == 3 || i == 6)
            index_tree(db, 8);
        if (i == 3)
            make_file("folder0/file0", 999);
        execute(db, cases[i].spoil);
        cr_expect_neq(add_fails(db, tree, 8, cases[i].word), SYNCLINE_OK);
        execute(db, cases[i].mend);
    }
    index_tree(db, 8);
    expect_equal(db);
    indexer_db_close(db);
}

struct listed {
    int count;
    uint64_t entries;
    char text[256];
};

static void keep_location(void *ctx, const struct indexer_location *location)
{
    struct listed *listed = ctx;
    listed->count++;
    listed->entries += location->entries;
    snprintf(listed->text, sizeof(listed->text), "%s %s %.*s %02x", location->device_name,
             location->row.name, (int)location->row.path.len, (const char *)location->row.path.data,
             location->device.bytes[0]);
}

/* Locations are listed with their device and, if asked for, the size of their trees. */
Test(location_manager, lists)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    struct listed listed = {0};
    struct indexer_error err = {0};
    cr_assert_eq(indexer_location_list(db, true, keep_location, &listed, NULL), SYNCLINE_OK);
    cr_expect_eq(listed.count, 0);
    index_tree(db, 0);
    cr_assert_eq(indexer_location_list(db, true, keep_location, &listed, NULL), SYNCLINE_OK);
    char text[256];
    snprintf(text, sizeof(text), "alpha tree %s a0", tree);
    cr_expect_str_eq(listed.text, text);
    cr_expect_eq(listed.entries, SMALL_TREE_COUNT);
    listed = (struct listed){0};
    cr_assert_eq(indexer_location_list(db, false, keep_location, &listed, NULL), SYNCLINE_OK);
    cr_expect_eq(listed.count, 1);
    cr_expect_eq(listed.entries, 0);
    execute(db, "DROP TABLE locations");
    cr_expect_eq(indexer_location_list(db, false, keep_location, &listed, &err), SYNCLINE_EDB);
    cr_expect_not_null(strstr(err.text, "locations"), "%s", err.text);
    indexer_db_close(db);
}

/* A database without a file has no lock and no folder to skip; indexing works all the same. */
Test(location_manager, works_in_memory)
{
    struct sqlite3 *db = NULL;
    make_small_tree();
    cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    cr_assert_eq(indexer_schema_create(db, NULL), SYNCLINE_OK);
    cr_assert_eq(indexer_device_register(NULL, db, &device_a, "alpha", NULL, NULL), SYNCLINE_OK);
    index_tree(db, 0);
    expect_equal(db);
    indexer_db_close(db);
}
