/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/location_manager.h"

#include "indexer/moved_files.h"
#include "tests/unit/indexer_fixture.h"

#include <errno.h>

TestSuite(location_rescan, .init = set_up, .fini = tear_down);

static struct indexer_location_stats rescan(struct sqlite3 *db, uint32_t batch_size)
{
    struct indexer_location_options options = {.device = device_a, .batch_size = batch_size};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_location_rescan(NULL, db, tree, &options, &stats, &err), SYNCLINE_OK, "%s",
                 err.text);
    expect_equal(db);
    return stats;
}

static enum syncline_status rescan_fails(struct sqlite3 *db, const char *word)
{
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    enum syncline_status status = indexer_location_rescan(NULL, db, tree, &options, &stats, &err);
    cr_expect_not_null(strstr(err.text, word), "%s", err.text);
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    return status;
}

/* Renames a thing in the tree and leaves the times of the folders as they were. */
static void move(const char *from, const char *to)
{
    cr_assert_eq(rename(in_tree(from), in_tree(to)), 0, "%s", strerror(errno));
}

/* id of the entry with this name, 0 if there is none. */
static int64_t id_of(struct sqlite3 *db, const char *name)
{
    char sql[256];
    snprintf(sql, sizeof(sql), "SELECT total(id) FROM entries WHERE name = CAST('%s' AS BLOB)",
             name);
    return query(db, sql);
}

/* Nothing happened: nothing is written. */
Test(location_rescan, of_the_same_does_nothing)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 10);
    struct indexer_location_stats stats = rescan(db, 10);
    cr_expect(stats.existed);
    cr_expect_eq(stats.inserted + stats.updated + stats.moved + stats.removed + stats.batches, 0);
    indexer_db_close(db);
}

/* A rescan makes no location. */
Test(location_rescan, needs_a_location)
{
    struct sqlite3 *db = open_library(library);
    cr_expect_eq(rescan_fails(db, "no such location"), SYNCLINE_ENOTFOUND);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 0);
    indexer_db_close(db);
}

/* Files and whole folders that are gone are removed, so many rows a transaction. */
Test(location_rescan, removes_what_is_gone)
{
    make_small_tree();
    make_file("a", 1);
    make_file("z", 1);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    cr_assert_eq(unlink(in_tree("a")), 0);
    cr_assert_eq(unlink(in_tree("z")), 0);
    cr_assert_eq(unlink(in_tree("folder3/file4")), 0);
    char command[256];
    snprintf(command, sizeof(command), "rm -r '%s' '%s'", in_tree("folder1"), in_tree("folder4"));
    cr_assert_eq(system(command), 0);
    struct indexer_location_stats stats = rescan(db, 5);
    cr_expect_eq(stats.removed, 3 + 2 * 9);
    cr_expect_eq(stats.removing, 0);
    cr_expect_eq(stats.inserted + stats.moved, 0);
    cr_expect_eq(stats.batches, 1 + 5); /* the folders' times; 21 rows by 5 */
    indexer_db_close(db);
}

/* A file that was moved keeps its record: to another name, folder, new folder; changed or not. */
Test(location_rescan, finds_moved_files)
{
    make_small_tree();
    make_file("one", 1001);
    make_file("two", 1002);
    make_file("three", 1003);
    make_link("link", "there");
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    int64_t one = id_of(db, "one");
    int64_t two = id_of(db, "two");
    int64_t three = id_of(db, "three");
    int64_t link = id_of(db, "link");
    move("one", "another");
    move("two", "folder0/inner/two");
    make_folder("fresh");
    make_folder("fresh/deep");
    move("three", "fresh/deep/drei");
    move("link", "fresh/link");
    struct indexer_location_stats stats = rescan(db, 0);
    cr_expect_eq(stats.moved, 4);
    cr_expect_eq(stats.inserted, 2);
    cr_expect_eq(stats.removed, 0);
    cr_expect_eq(id_of(db, "another"), one);
    cr_expect_eq(id_of(db, "two"), two);
    cr_expect_eq(id_of(db, "drei"), three);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE link_target = x'7468657265'"), 1);
    cr_expect_eq(id_of(db, "link"), link);
    indexer_db_close(db);
}

/* A folder that was moved keeps its record and those of all that is in it, with one change; what
 * was done in it meanwhile is found, too. */
Test(location_rescan, finds_moved_folders)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    int64_t folder = id_of(db, "folder3");
    int64_t before = query(db, "SELECT total(id) FROM entries WHERE kind = 0 AND size > 300");
    move("folder3", "folder0/inner/moved");
    struct indexer_location_stats stats = rescan(db, 0);
    cr_expect_eq(stats.moved, 1);
    cr_expect_eq(stats.inserted + stats.removed, 0);
    cr_expect_eq(id_of(db, "moved"), folder);
    cr_expect_eq(query(db, "SELECT total(id) FROM entries WHERE kind = 0 AND size > 300"), before);
    move("folder0/inner/moved", "back");
    move("back/file5", "back/file9"); /* in the moved folder */
    move("back/file4", "file4");      /* out of it */
    make_file("back/new", 7);         /* into it */
    cr_assert_eq(unlink(in_tree("back/file1")), 0);
    stats = rescan(db, 3);
    cr_expect_eq(stats.moved, 3);
    cr_expect_eq(stats.inserted, 1);
    cr_expect_eq(stats.removed, 1);
    cr_expect_eq(id_of(db, "back"), folder);
    indexer_db_close(db);
}

/* A folder and the one below it change places: no record ends up below itself. */
Test(location_rescan, finds_folders_turned_inside_out)
{
    make_folder("outer");
    make_folder("outer/inner");
    make_file("outer/file", 1);
    make_file("outer/inner/file", 2);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    int64_t outer = id_of(db, "outer");
    int64_t inner = id_of(db, "inner");
    move("outer/inner", "inner");
    move("outer", "inner/outer");
    struct indexer_location_stats stats = rescan(db, 0);
    cr_expect_eq(stats.moved, 2);
    cr_expect_eq(stats.inserted + stats.removed, 0);
    cr_expect_eq(id_of(db, "outer"), outer);
    cr_expect_eq(id_of(db, "inner"), inner);
    indexer_db_close(db);
}

/* A name that is there stays the record of that name, whatever is behind it: an editor that writes
 * a new file and renames it over the old one, a log that is rotated. */
Test(location_rescan, a_name_comes_before_an_inode)
{
    make_file("text", 10);
    make_file("log", 20);
    make_folder("folder");
    make_file("folder/file", 30);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    int64_t text = id_of(db, "text");
    int64_t log = id_of(db, "log");
    int64_t folder = id_of(db, "folder");
    make_file("text~", 11);
    move("text~", "text");
    move("log", "a.log");
    make_file("log", 21);
    move("folder", "temporary");
    make_folder("folder");
    move("temporary", "folder/folder");
    struct indexer_location_stats stats = rescan(db, 0);
    cr_expect_eq(id_of(db, "text"), text);
    cr_expect_eq(id_of(db, "log"), log);
    cr_expect_eq(query(db, "SELECT size FROM entries WHERE name = x'6c6f67'"), 21);
    cr_expect_eq(query(db, "SELECT min(id) FROM entries WHERE name = CAST('folder' AS BLOB)"),
                 folder);
    cr_expect_eq(stats.inserted, 2); /* a.log, and the folder in the folder */
    cr_expect_eq(stats.moved, 1);    /* the file in that */
    cr_expect_eq(stats.removed, 0);
    indexer_db_close(db);
}

/* A second hard link is another entry; when the first is removed, each keeps its own record. */
Test(location_rescan, hard_links_are_two_entries)
{
    make_file("first", 10);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    int64_t first = id_of(db, "first");
    cr_assert_eq(link(in_tree("first"), in_tree("another")), 0);
    cr_expect_eq(rescan(db, 0).inserted, 1);
    cr_expect_eq(id_of(db, "first"), first);
    int64_t another = id_of(db, "another");
    cr_assert_eq(link(in_tree("first"), in_tree("third")), 0);
    move("first", "zeroth");
    struct indexer_location_stats stats = rescan(db, 0);
    cr_expect_eq(stats.moved, 1); /* one of the two new names takes the record */
    cr_expect_eq(stats.inserted, 1);
    cr_expect_eq(stats.removed, 0);
    cr_expect_eq(id_of(db, "another"), another);
    indexer_db_close(db);
}

/* A folder that has taken another's name, in a folder that was moved: no record goes below itself,
 * though the moved folder is not written yet when that is asked. */
Test(location_rescan, a_folder_replaced_in_a_moved_one)
{
    make_folder("outer");
    make_folder("outer/inner");
    make_file("outer/inner/file", 1);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    int64_t inner = id_of(db, "inner");
    move("outer/inner", "aside");
    make_folder("outer/inner");
    move("aside", "outer/inner/old");
    move("outer", "another");
    struct indexer_location_stats stats = rescan(db, 0);
    cr_expect_eq(id_of(db, "inner"), inner);
    cr_expect_eq(stats.inserted, 1); /* old */
    cr_expect_eq(stats.moved, 2);    /* the outer folder; the file into old */
    indexer_db_close(db);
}

/* An inode may be given to something new: where there is no time of birth, size and time tell. */
Test(location_rescan, a_reused_inode_is_another_file)
{
    make_file("old", 10);
    set_time("old", 1000);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    cr_assert_eq(unlink(in_tree("old")), 0);
    struct indexer_moved_files moved;
    struct entry_row row;
    bool found = true;
    struct indexer_walk_entry entry = {
        .name = {"new", 3},
        .size = 11,
        .modified_at = 1000,
        .file_key = query(db, "SELECT file_key FROM entries WHERE size = 10")};
    indexer_moved_files_init(&moved, db, &device_a);
    cr_assert_eq(indexer_moved_files_find(&moved, &entry, &row, &found, NULL), SYNCLINE_OK);
    cr_expect_not(found);
    entry.is_key_certain = true;
    cr_assert_eq(indexer_moved_files_find(&moved, &entry, &row, &found, NULL), SYNCLINE_OK);
    cr_expect(found);
    cr_expect_eq(row.size, 10);
    entry.is_key_certain = false;
    entry.size = 10;
    cr_assert_eq(indexer_moved_files_find(&moved, &entry, &row, &found, NULL), SYNCLINE_OK);
    cr_expect(found);
    entry.modified_at = 1001;
    cr_assert_eq(indexer_moved_files_find(&moved, &entry, &row, &found, NULL), SYNCLINE_OK);
    cr_expect_not(found);
    indexer_moved_files_fini(&moved);
    indexer_db_close(db);
}

/* A file for a folder, and a folder for a file: what was below the folder is removed. */
Test(location_rescan, kinds_change)
{
    make_small_tree();
    make_file("file", 1);
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    move("folder2", "elsewhere");
    make_file("folder2", 7);
    cr_assert_eq(unlink(in_tree("elsewhere/file3")), 0);
    cr_assert_eq(unlink(in_tree("file")), 0);
    make_folder("file");
    make_file("file/inside", 2);
    struct indexer_location_stats stats = rescan(db, 4);
    cr_expect_eq(stats.removed, 1);
    cr_expect_eq(query(db, "SELECT kind FROM entries WHERE name = CAST('folder2' AS BLOB)"), 0);
    indexer_db_close(db);
}

/* What cannot be read is not gone. */
Test(location_rescan, what_cannot_be_read_stays)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    int64_t before = query(db, "SELECT count(*) FROM entries");
    cr_assert_eq(chmod(in_tree("folder1"), 0), 0);
    bool is_root = become_nobody();
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    enum syncline_status status = indexer_location_rescan(NULL, db, tree, &options, &stats, &err);
    /* Names can be listed and not looked at. */
    cr_expect_eq(chmod(in_tree("folder2"), 0444), 0);
    enum syncline_status second = indexer_location_rescan(NULL, db, tree, &options, &stats, &err);
    if (is_root)
        cr_assert_eq(seteuid(0), 0);
    cr_expect_eq(status, SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(second, SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(stats.walk.unreadable, 1 + 8);
    cr_expect_eq(stats.removed, 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), before);
    cr_assert_eq(chmod(in_tree("folder1"), 0755), 0);
    cr_assert_eq(chmod(in_tree("folder2"), 0755), 0);
    indexer_db_close(db);
}

/* The empty place of a disk that is not mounted removes nothing; an emptied folder does. */
Test(location_rescan, a_disk_that_is_not_there_removes_nothing)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    char aside[128];
    snprintf(aside, sizeof(aside), "%s/aside", base);
    cr_assert_eq(rename(tree, aside), 0);
    cr_assert_eq(mkdir(tree, 0755), 0);
    cr_expect_eq(rescan_fails(db, "mount its disk"), SYNCLINE_EREFUSED);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), SMALL_TREE_COUNT);
    cr_assert_eq(rmdir(tree), 0);
    cr_assert_eq(rename(aside, tree), 0);
    rescan(db, 0);
    char command[256];
    snprintf(command, sizeof(command), "rm -r '%s'/*", tree);
    cr_assert_eq(system(command), 0);
    cr_expect_eq(rescan(db, 0).removed, SMALL_TREE_COUNT - 1);
    indexer_db_close(db);
}

/* A file that went from one location into another keeps its record. */
Test(location_rescan, finds_what_came_from_another_location)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    char other[128];
    char path[192];
    snprintf(other, sizeof(other), "%s/other", base);
    cr_assert_eq(mkdir(other, 0755), 0);
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    cr_assert_eq(indexer_location_add(NULL, db, other, &options, &stats, NULL), SYNCLINE_OK);
    int64_t folder = id_of(db, "folder2");
    snprintf(path, sizeof(path), "%s/here", other);
    cr_assert_eq(rename(in_tree("folder2"), path), 0);
    cr_assert_eq(indexer_location_rescan(NULL, db, other, &options, &stats, NULL), SYNCLINE_OK);
    cr_expect_eq(stats.moved, 1);
    cr_expect_eq(stats.inserted, 0);
    cr_expect_eq(id_of(db, "here"), folder);
    cr_assert_eq(indexer_location_rescan(NULL, db, tree, &options, &stats, NULL), SYNCLINE_OK);
    cr_expect_eq(stats.removed, 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), SMALL_TREE_COUNT + 1);
    indexer_db_close(db);
}

/* A library of the version before knows no keys; the first run learns them and changes nothing. */
Test(location_rescan, learns_keys)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    execute(db, "UPDATE entries SET file_key = NULL");
    struct indexer_location_stats stats = rescan(db, 10);
    cr_expect_eq(stats.updated + stats.inserted + stats.moved + stats.removed, 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries WHERE file_key IS NULL"), 0);
    move("folder0/file0", "folder1/moved");
    cr_expect_eq(rescan(db, 10).moved, 1);
    indexer_db_close(db);
}

/* Stopped after each transaction in turn, a rescan and a removal go on where they were. */
Test(location_rescan, goes_on_after_a_stop)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    bool is_done = false;
    for (uint64_t after = 1; !is_done; after++) {
        index_tree(db, 0);
        move("folder2", "moved");
        move("moved/file1", "file1");
        char command[256];
        snprintf(command, sizeof(command), "rm -r '%s'", in_tree("folder1"));
        cr_assert_eq(system(command), 0);
        struct stopper stopper = {.after = after};
        struct indexer_location_options options = {.device = device_a,
                                                   .batch_size = 2,
                                                   .stop = &stopper.stop,
                                                   .ctx = &stopper,
                                                   .progress = stop_later};
        struct indexer_location_stats stats;
        cr_assert_eq(indexer_location_rescan(NULL, db, tree, &options, &stats, NULL), SYNCLINE_OK);
        is_done = !stats.walk.stopped;
        cr_expect_eq(query(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        struct indexer_location_stats rest = rescan(db, 2);
        cr_expect_eq(stats.moved + rest.moved, 2, "%d", (int)after);
        cr_expect_eq(stats.removed + rest.removed, 9);
        cr_expect_eq(stats.inserted + rest.inserted, 0);
        move("moved", "folder2");
        snprintf(command, sizeof(command), "cp -r '%s' '%s'", in_tree("folder0"),
                 in_tree("folder1"));
        cr_assert_eq(system(command), 0);
        move("file1", "folder2/file1");
    }
    index_tree(db, 0);
    is_done = false;
    for (uint64_t after = 1; !is_done; after++) {
        index_tree(db, 0);
        struct stopper stopper = {.after = after};
        struct indexer_location_options options = {.device = device_a,
                                                   .batch_size = 9,
                                                   .stop = &stopper.stop,
                                                   .ctx = &stopper,
                                                   .progress = stop_later};
        struct indexer_location_stats stats;
        cr_assert_eq(indexer_location_remove(NULL, db, tree, &options, &stats, NULL), SYNCLINE_OK);
        is_done = !stats.walk.stopped;
        cr_expect_eq(query(db, "SELECT count(*) FROM locations"), is_done ? 0 : 1);
        cr_expect_eq(query(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        if (is_done)
            break;
        if (after % 2 == 0) {
            index_tree(db, 0);
            expect_equal(db);
        }
        options.stop = NULL;
        struct indexer_location_stats rest;
        cr_assert_eq(indexer_location_remove(NULL, db, tree, &options, &rest, NULL), SYNCLINE_OK);
    }
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 0);
    indexer_db_close(db);
}

/* A location is removed with all its entries, and nothing else; the folder need not be there. */
Test(location_rescan, removes_a_location)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    execute(db, "INSERT INTO entries(uuid, name, kind, size, created_at, modified_at)"
                " VALUES (randomblob(16), x'61', 1, 0, 0, 0)");
    struct indexer_location_options options = {.device = device_a, .batch_size = 7};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/", tree);
    char aside[128];
    snprintf(aside, sizeof(aside), "%s/aside", base);
    cr_assert_eq(rename(tree, aside), 0);
    cr_assert_eq(indexer_location_remove(NULL, db, path, &options, &stats, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_expect_eq(stats.removed, SMALL_TREE_COUNT);
    cr_expect_eq(stats.batches, 7); /* of 7 rows, and of 4 */
    cr_expect_eq(stats.removing, 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM locations"), 0);
    cr_expect_eq(indexer_location_remove(NULL, db, path, &options, &stats, &err),
                 SYNCLINE_ENOTFOUND);
    cr_expect_not_null(strstr(err.text, "no such location"), "%s", err.text);
    cr_expect_eq(indexer_location_remove(NULL, db, "not/there", &options, &stats, &err),
                 SYNCLINE_ENOTFOUND);
    cr_assert_eq(rename(aside, tree), 0);
    options.batch_size = 65537;
    cr_expect_eq(indexer_location_remove(NULL, db, path, &options, &stats, &err), SYNCLINE_EINVAL);
    indexer_db_close(db);
}

/* Only its own device removes a location. */
Test(location_rescan, leaves_locations_of_others)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    cr_assert_eq(indexer_device_register(NULL, db, &device_b, "beta", NULL, NULL), SYNCLINE_OK);
    struct indexer_location_options options = {.device = device_b};
    struct indexer_location_stats stats;
    cr_expect_eq(indexer_location_remove(NULL, db, tree, &options, &stats, NULL),
                 SYNCLINE_ENOTFOUND);
    cr_expect_eq(indexer_location_rescan(NULL, db, tree, &options, &stats, NULL),
                 SYNCLINE_ENOTFOUND);
    expect_equal(db);
    indexer_db_close(db);
}

/* Every statement can fail, and leaves what is there as it was. */
Test(location_rescan, reports_what_sqlite_refuses)
{
    make_small_tree();
    struct sqlite3 *db = open_library(library);
    index_tree(db, 0);
    cr_assert_eq(unlink(in_tree("folder1/file1")), 0);
    move("folder2/file2", "moved");
    execute(db, "CREATE TRIGGER spoil BEFORE DELETE ON entries"
                " BEGIN SELECT raise(ABORT, 'kept'); END");
    cr_expect_eq(rescan_fails(db, "kept"), SYNCLINE_EDB);
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    cr_expect_eq(indexer_location_remove(NULL, db, tree, &options, &stats, &err), SYNCLINE_EDB);
    cr_expect_not_null(strstr(err.text, "kept"), "%s", err.text);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), SMALL_TREE_COUNT);
    execute(db, "DROP TRIGGER spoil; CREATE TRIGGER spoil BEFORE DELETE ON locations"
                " BEGIN SELECT raise(ABORT, 'kept'); END");
    cr_expect_eq(indexer_location_remove(NULL, db, tree, &options, &stats, &err), SYNCLINE_EDB);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), SMALL_TREE_COUNT);
    execute(db, "DROP TRIGGER spoil; CREATE TEMP TABLE indexer_file_keys(other)");
    make_file("new", 1);
    cr_expect_eq(rescan_fails(db, "could not be looked for"), SYNCLINE_EDB);
    execute(db, "DROP TABLE temp.indexer_file_keys");
    rescan(db, 0);
    indexer_db_close(db);
}
