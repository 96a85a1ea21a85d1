/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/entry_manager.h"

#include "tests/unit/indexer_fixture.h"

TestSuite(entry_manager, .init = set_up, .fini = tear_down);

struct seen {
    int count;
    char text[4096];           /* paths below `base`, one a line */
    struct indexer_entry last; /* without what its pointers pointed at */
    char device_name[64];      /* of the last */
};

static void keep(void *ctx, const struct indexer_entry *entry)
{
    struct seen *seen = ctx;
    char path[512];
    size_t used = strlen(seen->text);
    seen->count++;
    seen->last = *entry;
    snprintf(seen->device_name, sizeof(seen->device_name), "%s", entry->device_name);
    indexer_escape(path, sizeof(path), entry->path.data, entry->path.len);
    size_t skip = strncmp(path, base, strlen(base)) == 0 ? strlen(base) + 1 : 0;
    snprintf(seen->text + used, sizeof(seen->text) - used, "%s\n", path + skip);
}

static void expect_list(struct sqlite3 *db, const char *path, uint64_t limit, const char *text)
{
    struct seen seen = {0};
    struct indexer_error err = {0};
    cr_assert_eq(indexer_entry_list(db, path, limit, keep, &seen, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_expect_str_eq(seen.text, text, "%s", seen.text);
}

static void make_tree(void)
{
    make_folder("b");
    make_folder("b/deep");
    make_file("b/deep/x", 3);
    make_file("b/a", 2);
    make_file("a.txt", 1);
    make_file("c\xff", 4);
    make_link("d", "b");
}

/* Entries come as a tree, in the order of their names, and no more than asked for. */
Test(entry_manager, lists_a_tree)
{
    make_tree();
    struct sqlite3 *db = open_library(library);
    expect_list(db, NULL, 100, "");
    index_tree(db, 0);
    expect_list(db, NULL, 100,
                "tree\ntree/a.txt\ntree/b\ntree/b/a\ntree/b/deep\ntree/b/deep/x\ntree/c\\xff\n"
                "tree/d\n");
    expect_list(db, NULL, 3, "tree\ntree/a.txt\ntree/b\n");
    expect_list(db, NULL, 0, "");
    indexer_db_close(db);
}

/* One location's entries are told by its path, also when the folder is gone; unknown ones are not
 * an empty list. */
Test(entry_manager, lists_a_location)
{
    make_tree();
    struct sqlite3 *db = open_library(library);
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    char other[128];
    char away[128];
    snprintf(other, sizeof(other), "%s/z", base);
    snprintf(away, sizeof(away), "%s/away", base);
    cr_assert_eq(rename(in_tree("b"), other), 0);
    index_tree(db, 0);
    cr_assert_eq(indexer_location_add(NULL, db, other, &options, &stats, NULL), SYNCLINE_OK);
    expect_list(db, in_tree("../z/"), 100, "z\nz/a\nz/deep\nz/deep/x\n");
    expect_list(db, NULL, 10, "tree\ntree/a.txt\ntree/c\\xff\ntree/d\nz\nz/a\nz/deep\nz/deep/x\n");
    cr_assert_eq(rename(other, away), 0);
    expect_list(db, other, 2, "z\nz/a\n");
    cr_expect_eq(indexer_entry_list(db, "/nowhere", 1, keep, NULL, &err), SYNCLINE_ENOTFOUND);
    cr_expect_not_null(strstr(err.text, "location list"), "%s", err.text);
    indexer_db_close(db);
}

/* An entry is found by its UUID and by its path, with all there is to say of it. */
Test(entry_manager, finds_one)
{
    make_tree();
    struct sqlite3 *db = open_library(library);
    struct seen seen = {0};
    struct seen again = {0};
    struct indexer_error err = {0};
    index_tree(db, 0);
    cr_assert_eq(indexer_entry_by_path(db, in_tree("b/deep/x"), &device_a, keep, &seen, &err),
                 SYNCLINE_OK, "%s", err.text);
    cr_expect_str_eq(seen.text, "tree/b/deep/x\n");
    cr_expect_eq(seen.last.row.size, 3);
    cr_expect_eq(memcmp(&seen.last.device, &device_a, sizeof(device_a)), 0);
    cr_assert_eq(indexer_entry_by_uuid(db, &seen.last.row.uuid, keep, &again, &err), SYNCLINE_OK,
                 "%s", err.text);
    cr_expect_str_eq(again.text, "tree/b/deep/x\n");
    cr_assert_eq(indexer_entry_by_uuid(db, &seen.last.parent, keep, &again, &err), SYNCLINE_OK);
    cr_expect_str_eq(again.text, "tree/b/deep/x\ntree/b/deep\n");
    /* By another way to write the path: links on the way, but not the last part. */
    char path[256];
    snprintf(path, sizeof(path), "%s/../tree/d/a", tree);
    cr_assert_eq(indexer_entry_by_path(db, path, &device_a, keep, &again, &err), SYNCLINE_OK);
    cr_expect_not_null(strstr(again.text, "tree/b/a\n"));
    snprintf(path, sizeof(path), "%s/b/../d", tree);
    cr_assert_eq(indexer_entry_by_path(db, path, &device_a, keep, &again, &err), SYNCLINE_OK);
    cr_expect_eq(again.last.row.kind, INDEXER_LINK);
    snprintf(path, sizeof(path), "%s/", tree);
    cr_assert_eq(indexer_entry_by_path(db, path, &device_a, keep, &again, &err), SYNCLINE_OK);
    cr_expect_not(again.last.row.parent_id.is_set);
    cr_expect_eq(again.last.parent.bytes[0], 0);
    indexer_db_close(db);
}

/* What is not there is said, with what to look at. */
Test(entry_manager, says_what_is_not_there)
{
    make_tree();
    struct sqlite3 *db = open_library(library);
    struct seen seen = {0};
    struct indexer_error err = {0};
    const struct syncline_uuid none = {{7}};
    char path[256];
    index_tree(db, 0);
    cr_expect_eq(indexer_entry_by_uuid(db, &none, keep, &seen, &err), SYNCLINE_ENOTFOUND);
    cr_expect_not_null(strstr(err.text, "entry list"), "%s", err.text);
    static const char *const paths[] = {"/a.txt/x", "/b/none", "x", "/b//a", "/none/x"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", tree, paths[i]);
        bool is_there = strcmp(paths[i], "/b//a") == 0; /* as the system sees it */
        cr_expect_eq(indexer_entry_by_path(db, path, &device_a, keep, &seen, &err),
                     is_there ? SYNCLINE_OK : SYNCLINE_ENOTFOUND, "%s", path);
    }
    cr_expect_eq(seen.count, 1);
    cr_expect_eq(indexer_entry_by_path(db, "", &device_a, keep, &seen, &err), SYNCLINE_ENOTFOUND);
    indexer_db_close(db);
}

/* Of several devices with the same path this one's is meant; else it must be said which. */
Test(entry_manager, tells_devices_apart)
{
    static const struct syncline_uuid device_c = {{0xc0}};
    make_tree();
    struct sqlite3 *db = open_library(library);
    struct indexer_location_options options = {.device = device_b};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    struct seen seen = {0};
    index_tree(db, 0);
    cr_assert_eq(indexer_device_register(NULL, db, &device_b, "beta", NULL, NULL), SYNCLINE_OK);
    cr_assert_eq(indexer_entry_by_path(db, tree, &device_b, keep, &seen, &err), SYNCLINE_OK);
    cr_expect_str_eq(seen.device_name, "alpha");
    cr_assert_eq(indexer_location_add(NULL, db, tree, &options, &stats, NULL), SYNCLINE_OK);
    cr_assert_eq(indexer_entry_by_path(db, tree, &device_b, keep, &seen, &err), SYNCLINE_OK);
    cr_expect_eq(memcmp(&seen.last.device, &device_b, sizeof(device_b)), 0);
    cr_assert_eq(indexer_entry_by_path(db, tree, &device_a, keep, &seen, &err), SYNCLINE_OK);
    cr_expect_eq(memcmp(&seen.last.device, &device_a, sizeof(device_a)), 0);
    cr_expect_eq(indexer_entry_by_path(db, tree, &device_c, keep, &seen, &err), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "UUID"), "%s", err.text);
    indexer_db_close(db);
}

/* The root of the file system is a location like any other; an entry whose location did not come
 * yet has no path. */
Test(entry_manager, roots_and_orphans)
{
    struct sqlite3 *db = open_library(library);
    struct seen seen = {0};
    const struct syncline_uuid orphan = {{9}};
    execute(db, "INSERT INTO entries(uuid, parent_id, name, kind, size, created_at, modified_at)"
                " VALUES (x'01000000000000000000000000000000', NULL, x'2f', 1, 0, 0, 0),"
                " (x'02000000000000000000000000000000', 1, x'757372', 1, 0, 0, 0),"
                " (x'03000000000000000000000000000000', 2, x'62696e', 1, 0, 0, 0),"
                " (x'09000000000000000000000000000000', NULL, x'61', 1, 0, 0, 0);"
                "INSERT INTO locations(uuid, device_id, entry_id, path, name)"
                " VALUES (x'04000000000000000000000000000000', 1, 1, x'2f', '/')");
    expect_list(db, NULL, 9, "/\n/usr\n/usr/bin\n");
    cr_assert_eq(indexer_entry_by_path(db, "/usr/bin", &device_a, keep, &seen, NULL), SYNCLINE_OK);
    cr_assert_eq(indexer_entry_by_path(db, "/", &device_a, keep, &seen, NULL), SYNCLINE_OK);
    cr_expect_str_eq(seen.text, "/usr/bin\n/\n");
    cr_assert_eq(indexer_entry_by_uuid(db, &orphan, keep, &seen, NULL), SYNCLINE_OK);
    cr_expect_null(seen.last.path.data);
    cr_expect_str_eq(seen.device_name, "");
    indexer_db_close(db);
}

/* A table that is not there is said. */
Test(entry_manager, reports_what_sqlite_refuses)
{
    struct sqlite3 *db = open_library(library);
    struct indexer_error err = {0};
    struct seen seen = {0};
    execute(db, "DROP TABLE locations; DROP TABLE entries");
    cr_expect_eq(indexer_entry_list(db, NULL, 1, keep, &seen, &err), SYNCLINE_EDB);
    cr_expect_eq(indexer_entry_by_uuid(db, &device_a, keep, &seen, &err), SYNCLINE_EDB);
    cr_expect_eq(indexer_entry_by_path(db, tree, &device_a, keep, &seen, &err), SYNCLINE_EDB);
    cr_expect_not_null(strstr(err.text, "could not be read"), "%s", err.text);
    indexer_db_close(db);
}
