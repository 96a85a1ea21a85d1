/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/compare.h"

#include "tests/unit/indexer_fixture.h"

TestSuite(compare, .init = set_up, .fini = tear_down);

static char other[128]; /* folder of the second library */

/* A library with a tree, tags and two devices, and a copy of it with other ids. */
static struct sqlite3 *make_pair(void)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    execute(db, "INSERT INTO tags(uuid, name, color) VALUES (zeroblob(16), 'red', '#ff0000')");
    cr_assert_eq(indexer_device_register(NULL, db, &device_b, "beta", NULL, NULL), SYNCLINE_OK);
    indexer_db_close(db);
    snprintf(other, sizeof(other), "%s/other #1%%20?", base);
    cr_assert_eq(mkdir(other, 0700), 0);
    struct sqlite3 *copy = NULL;
    cr_assert_eq(indexer_db_open(other, INDEXER_DB_CREATE, &copy, NULL), SYNCLINE_OK);
    char sql[1024];
    snprintf(sql, sizeof(sql),
             "ATTACH '%s/library.db' AS a; PRAGMA foreign_keys = OFF;"
             "INSERT INTO main.devices SELECT 100 + id, uuid, name, created_at FROM a.devices;"
             "INSERT INTO main.entries SELECT 1000 - id, uuid, 1000 - parent_id, name, kind, size,"
             " link_target, created_at, modified_at, NULL FROM a.entries;"
             "INSERT INTO main.locations SELECT 7 + id, uuid, 100 + device_id, 1000 - entry_id,"
             " path, name FROM a.locations;"
             "INSERT INTO main.tags SELECT 5 + id, uuid, name, color FROM a.tags;"
             "DETACH a; PRAGMA foreign_keys = ON",
             library);
    execute(copy, sql);
    cr_expect_eq(query(copy, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    return copy;
}

static struct indexer_comparison compare_pair(void)
{
    char a[160];
    char b[160];
    snprintf(a, sizeof(a), "%s/library.db", library);
    snprintf(b, sizeof(b), "%s/library.db", other);
    struct indexer_comparison result;
    struct indexer_comparison reverse;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_compare_databases(a, b, &result, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(indexer_compare_databases(b, a, &reverse, &err), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(result.differences, reverse.differences);
    cr_expect_eq(result.named, reverse.named);
    return result;
}

/* Equal content under other ids is equal; paths with signs that mean something in a URI work. */
Test(compare, equal_databases)
{
    indexer_db_close(make_pair());
    struct indexer_comparison result = compare_pair();
    cr_expect_eq(result.differences, 0, "%s", result.text[0]);
    cr_expect_eq(result.compared, SMALL_TREE_COUNT + 2 + 1 + 1);
    cr_expect_eq(result.named, 0);
}

/* Each planted difference in each table and column is found once, and named. */
Test(compare, planted_differences)
{
    static const struct {
        const char *sql;
        uint64_t differences;
        const char *text;
    } cases[] = {
        {"UPDATE devices SET name = 'gamma' WHERE name = 'beta'", 1, "(beta): differs in name"},
        {"UPDATE devices SET created_at = created_at + 1 WHERE name = 'beta'", 1, " created_at"},
        {"DELETE FROM devices WHERE name = 'beta'", 1, "devices b0010203-0405-0607-0809-00"},
        {"INSERT INTO devices(uuid, name, created_at) VALUES (randomblob(16), 'x', 0)", 1,
         "(x): only in B"},
        {"UPDATE entries SET size = size + 1 WHERE size = 203", 1, "(file3): differs in size"},
        {"UPDATE entries SET kind = 3 WHERE size = 203", 1, "(file3): differs in kind"},
        {"UPDATE entries SET name = x'0a' WHERE size = 203", 1, "(file3): differs in name"},
        {"UPDATE entries SET name = CAST(name AS TEXT) WHERE size = 203", 1, "differs in name"},
        {"UPDATE entries SET link_target = x'' WHERE size = 203", 1, "differs in link_target"},
        {"UPDATE entries SET created_at = 1 WHERE size = 203", 1, "differs in created_at"},
        {"UPDATE entries SET modified_at = 1, size = 1 WHERE size = 203", 1,
         "differs in size modified_at"},
        {"UPDATE entries SET parent_id = (SELECT entry_id FROM locations) WHERE size = 203", 1,
         "differs in parent_id"},
        {"UPDATE entries SET parent_id = NULL WHERE size = 203", 1, "differs in is_root parent_id"},
        {"PRAGMA foreign_keys = OFF; UPDATE entries SET parent_id = 5555 WHERE size = 203", 1,
         "differs in parent_id"},
        {"UPDATE entries SET uuid = randomblob(16) WHERE size = 203", 2, "(file3): only in A"},
        {"DELETE FROM entries WHERE size = 203", 1, "(file3): only in A"},
        {"DELETE FROM entries WHERE kind = 0", 30, ": only in A"},
        {"UPDATE locations SET path = x'2f'", 1, "(tree): differs in path"},
        {"UPDATE locations SET name = 'x'", 1, "(tree): differs in name"},
        {"UPDATE locations SET device_id = (SELECT max(id) FROM devices)", 1, "device_id"},
        {"UPDATE locations SET entry_id = (SELECT min(id) FROM entries)", 1, "entry_id"},
        {"DELETE FROM locations", 1, "(tree): only in A"},
        {"UPDATE tags SET color = NULL", 1, "(red): differs in color"},
        {"UPDATE tags SET name = 'Red'", 1, "(red): differs in name"},
        {"INSERT INTO tags(uuid, name) VALUES (randomblob(16), 'new')", 1, "(new): only in B"},
        {"DROP TABLE tags; CREATE TABLE tags(id INTEGER PRIMARY KEY, uuid, name, color);"
         "INSERT INTO tags(uuid, name, color) VALUES (zeroblob(16), 'red', '#ff0000'),"
         " (zeroblob(16), 'red', '#ff0000')",
         1, "tags: 1 rows in A, 2 in B"},
    };
    struct sqlite3 *copy = make_pair();
    char snapshot[160];
    snprintf(snapshot, sizeof(snapshot), "VACUUM INTO '%s/saved.db'", base);
    execute(copy, snapshot);
    indexer_db_close(copy);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char command[512];
        snprintf(command, sizeof(command), "rm -f '%s'/*; cp '%s/saved.db' '%s/library.db'", other,
                 base, other);
        cr_assert_eq(system(command), 0);
        char path[160];
        snprintf(path, sizeof(path), "%s/library.db", other);
        cr_assert_eq(sqlite3_open(path, &copy), SQLITE_OK);
        execute(copy, cases[i].sql);
        sqlite3_close(copy);
        struct indexer_comparison result = compare_pair();
        cr_expect_eq(result.differences, cases[i].differences, "%s: %llu", cases[i].sql,
                     (unsigned long long)result.differences);
        cr_expect_gt(result.named, 0);
        cr_expect_not_null(strstr(result.text[0], cases[i].text), "%s: %s", cases[i].sql,
                           result.text[0]);
    }
}

/* The files are compared while others have them open, and nothing is written to them. */
Test(compare, databases_in_use)
{
    struct sqlite3 *copy = make_pair();
    execute(copy, "BEGIN IMMEDIATE; DELETE FROM tags");
    cr_expect_eq(compare_pair().differences, 0);
    execute(copy, "COMMIT");
    cr_expect_eq(compare_pair().differences, 1);
    indexer_db_close(copy);
}

static void expect_refused(const char *a, const char *b, enum syncline_status status,
                           const char *word)
{
    struct indexer_comparison result = {.compared = 77};
    struct indexer_error err = {0};
    cr_expect_eq(indexer_compare_databases(a, b, &result, &err), status, "%s", err.text);
    cr_expect_not_null(strstr(err.text, word), "%s", err.text);
    cr_expect_eq(result.compared, 77);
    cr_expect_eq(indexer_compare_databases(a, b, &result, NULL), status);
}

/* Wrong files are named, on either side. */
Test(compare, refuses_wrong_files)
{
    char good[160];
    char bad[160];
    snprintf(good, sizeof(good), "%s/library.db", library);
    snprintf(bad, sizeof(bad), "%s/bad", base);
    indexer_db_close(open_library(library));
    expect_refused(good, bad, SYNCLINE_ENOTFOUND, "bad");
    expect_refused(bad, good, SYNCLINE_ENOTFOUND, "bad");
    FILE *file = fopen(bad, "w");
    for (int i = 0; i < 1000; i++)
        fputs("no database at all ", file);
    cr_assert_eq(fclose(file), 0);
    expect_refused(good, bad, SYNCLINE_EFORMAT, "bad");
    cr_assert_not_null(file = fopen(bad, "w"));
    cr_assert_eq(fclose(file), 0);
    expect_refused(good, bad, SYNCLINE_EFORMAT, "indexer's tables");
    expect_refused(good, base, SYNCLINE_EIO, base);
}

static struct indexer_comparison compare_tree(struct sqlite3 *db)
{
    struct indexer_comparison result;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_compare_with_folder(db, tree, NULL, &result, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    return result;
}

/* The folder equals what was just indexed, in the library itself, in a copy opened read-only, and
 * inside a transaction of the caller. */
Test(compare, equal_folder)
{
    indexer_db_close(make_pair());
    struct sqlite3 *db = NULL;
    cr_assert_eq(indexer_db_open(other, INDEXER_DB_READ_ONLY, &db, NULL), SYNCLINE_OK);
    struct indexer_comparison result = compare_tree(db);
    cr_expect_eq(result.differences, 0, "%s", result.text[0]);
    cr_expect_eq(result.compared, SMALL_TREE_COUNT);
    execute(db, "BEGIN");
    cr_assert_eq(indexer_compare_with_folder(db, tree, NULL, &result, NULL), SYNCLINE_OK);
    cr_expect_eq(sqlite3_get_autocommit(db), 0);
    execute(db, "COMMIT");
    indexer_db_close(db);
}

/* Differences planted in the rows: each column that the disk knows, in both directions. */
Test(compare, planted_in_the_library)
{
    static const struct {
        const char *sql;
        uint64_t differences;
        const char *text;
    } cases[] = {
        {"UPDATE entries SET size = 1 WHERE size = 203", 1,
         "folder2/file3: size 203 on disk, 1 in the library"},
        {"UPDATE entries SET kind = 3 WHERE size = 203", 1, "folder2/file3: kind 0 on disk, 3"},
        {"UPDATE entries SET modified_at = modified_at + 1 WHERE size = 203", 1,
         "folder2/file3: modified at"},
        {"UPDATE entries SET link_target = x'ff' WHERE kind = 2", 5,
         "folder0/link: another link target"},
        {"UPDATE entries SET link_target = x'' WHERE size = 203", 1, "another link target"},
        {"UPDATE entries SET name = CAST('file30' AS BLOB) WHERE size = 203", 2,
         "folder2/file3: only on disk"},
        {"UPDATE entries SET name = x'01' WHERE size = 203", 2,
         "folder2/\\x01: only in the library"},
        {"DELETE FROM entries WHERE size = 203", 1, "folder2/file3: only on disk"},
        {"DELETE FROM entries WHERE kind = 0", 30, "folder0/file0: only on disk"},
        {"UPDATE entries SET name = x'7f' WHERE name = CAST('folder2' AS BLOB)", 18,
         "folder2: only on disk"},
        {"UPDATE entries SET name = x'01' WHERE name = CAST('folder2' AS BLOB)", 18,
         "\\x01: only in the library, with 8 entries below it"},
        {"UPDATE entries SET parent_id = (SELECT entry_id FROM locations) WHERE size = 203", 2,
         "file3: only in the library"},
        {"UPDATE entries SET name = x'78' WHERE parent_id IS NULL", 1,
         "tree: another name in the library"},
        {"UPDATE entries SET modified_at = 1 WHERE parent_id IS NULL", 1, "tree: modified at"},
        {"INSERT INTO entries(uuid, parent_id, name, kind, size, created_at, modified_at)"
         " SELECT randomblob(16), parent_id, name, kind, size, created_at, modified_at"
         " FROM entries WHERE size = 203",
         1, "folder2/file3: only in the library"},
        {"INSERT INTO entries(uuid, parent_id, name, kind, size, created_at, modified_at)"
         " SELECT randomblob(16), id, name, kind, size, created_at, modified_at"
         " FROM entries WHERE size = 203",
         1, "1 more entries in the library, below what cannot be entered"},
    };
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        execute(db, "SAVEPOINT planted");
        execute(db, cases[i].sql);
        struct indexer_comparison result;
        cr_assert_eq(indexer_compare_with_folder(db, tree, NULL, &result, NULL), SYNCLINE_OK);
        cr_expect_eq(result.differences, cases[i].differences, "%s: %llu", cases[i].sql,
                     (unsigned long long)result.differences);
        cr_expect_gt(result.named, 0);
        cr_expect_not_null(strstr(result.text[0], cases[i].text), "%s: %s", cases[i].sql,
                           result.text[0]);
        execute(db, "ROLLBACK TO planted; RELEASE planted");
    }
    cr_expect_eq(compare_tree(db).differences, 0);
    indexer_db_close(db);
}

/* Differences planted on the disk. */
Test(compare, planted_on_the_disk)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    set_time("folder2/file3", 7);
    cr_expect_eq(compare_tree(db).differences, 1);
    index_tree(db, 0);
    cr_assert_eq(rmdir(in_tree("folder2/inner")), 0);
    make_file("folder2/inner", 1);
    struct indexer_comparison result = compare_tree(db);
    cr_expect_not_null(strstr(result.text[1], "folder2/inner: kind 0 on disk, 1 in the library"),
                       "%s", result.text[1]);
    cr_expect_eq(result.differences, 2); /* and the time of the folder it is in */
    index_tree(db, 0);
    cr_expect_eq(compare_tree(db).differences, 0);
    make_folder("new");
    make_folder("new/inner");
    make_file("new/inner/file", 1);
    cr_expect_eq(compare_tree(db).differences, 3 + 1);
    indexer_db_close(db);
}

/* A long way down is named by its end. */
Test(compare, long_paths_are_cut)
{
    char name[600] = "";
    for (int i = 0; i < 40; i++) {
        snprintf(name + strlen(name), sizeof(name) - strlen(name), "%sfolder%04d",
                 i == 0 ? "" : "/", i);
        make_folder(name);
    }
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    set_time(name, 1);
    struct indexer_comparison result = compare_tree(db);
    cr_expect_eq(result.differences, 1);
    cr_expect_eq(strncmp(result.text[0], ".../", 4), 0, "%s", result.text[0]);
    cr_expect_not_null(strstr(result.text[0], "/folder0038/folder0039: modified"), "%s",
                       result.text[0]);
    indexer_db_close(db);
}

static enum syncline_status compare_fails(struct sqlite3 *db, const char *path,
                                          const struct indexer_compare_options *options,
                                          const char *word)
{
    struct indexer_comparison result = {.compared = 77};
    struct indexer_error err = {0};
    enum syncline_status status = indexer_compare_with_folder(db, path, options, &result, &err);
    cr_expect_not_null(strstr(err.text, word), "%s", err.text);
    cr_expect_eq(result.compared, 77);
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    cr_expect_eq(indexer_compare_with_folder(db, path, options, &result, NULL), status);
    return status;
}

/* Wrong input is named; two devices with the same path are told apart by their UUID. */
Test(compare, refuses_wrong_input)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    cr_expect_eq(compare_fails(db, tree, NULL, "no location with this path"), SYNCLINE_ENOTFOUND);
    cr_expect_eq(compare_fails(db, in_tree("none"), NULL, "check the path"), SYNCLINE_ENOTFOUND);
    index_tree(db, 0);
    int64_t id = 0;
    cr_assert_eq(indexer_device_register(NULL, db, &device_b, "beta", &id, NULL), SYNCLINE_OK);
    struct indexer_location_options options = {.device = device_b};
    struct indexer_location_stats stats;
    cr_assert_eq(indexer_location_add(NULL, db, tree, &options, &stats, NULL), SYNCLINE_OK);
    cr_expect_eq(compare_fails(db, tree, NULL, "name the device"), SYNCLINE_EINVAL);
    struct indexer_comparison result;
    struct indexer_compare_options of_b = {.device = &device_b};
    cr_assert_eq(indexer_compare_with_folder(db, tree, &of_b, &result, NULL), SYNCLINE_OK);
    cr_expect_eq(result.differences, 0);
    atomic_int stop = 1;
    of_b.stop = &stop;
    cr_expect_eq(compare_fails(db, tree, &of_b, "stopped"), SYNCLINE_AGAIN);
    execute(db, "PRAGMA foreign_keys = OFF; DROP TABLE locations");
    cr_expect_eq(compare_fails(db, tree, NULL, "locations"), SYNCLINE_EDB);
    execute(db, "DROP TABLE entries");
    cr_expect_eq(compare_fails(db, tree, NULL, "entries"), SYNCLINE_EDB);
    indexer_db_close(db);
}

/* A folder that the indexing did not enter is not entered here either. */
Test(compare, skips)
{
    make_folder("skip");
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    make_file("skip/file", 1);
    cr_expect_eq(compare_tree(db).differences, 2);
    const char *const skip[] = {in_tree("skip")};
    struct indexer_compare_options options = {.skip = skip, .skip_count = 1};
    struct indexer_comparison result;
    cr_assert_eq(indexer_compare_with_folder(db, tree, &options, &result, NULL), SYNCLINE_OK);
    cr_expect_eq(result.differences, 0);
    indexer_db_close(db);
}
