/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every allocation of every call of the indexer fails once. */

#include "indexer/compare.h"
#include "indexer/entry_manager.h"
#include "indexer/tag_manager.h"
#include "tests/unit/failing_malloc.h"
#include "tests/unit/indexer_fixture.h"

TestSuite(indexer_memory, .init = set_up, .fini = tear_down);

static char other[128]; /* a second library.db */
static struct sqlite3 *db;

static enum syncline_status try_open(struct indexer_error *err)
{
    struct sqlite3 *opened = NULL;
    enum syncline_status status = indexer_db_open(library, 0, &opened, err);
    indexer_db_close(opened);
    return status;
}

static enum indexer_walk_next ignore_entry(void *ctx, const struct indexer_walk_entry *entry,
                                           uint64_t *tag)
{
    (void)ctx, (void)entry, (void)tag;
    return INDEXER_WALK_ON;
}

static void ignore_path(void *ctx, struct syncline_bytes path, int error_number)
{
    (void)ctx, (void)path, (void)error_number;
}

/* A folder that could not be read for want of memory counts as a failure, too. */
static enum syncline_status try_walk(struct indexer_error *err)
{
    const char *const skip[] = {library};
    struct indexer_walk_options options = {
        .entry = ignore_entry, .unreadable = ignore_path, .skip = skip, .skip_count = 1};
    struct indexer_walk_stats stats;
    enum syncline_status status = indexer_walk(tree, &options, &stats, err);
    if (status == SYNCLINE_OK && stats.unreadable > 0)
        return indexer_fail(err, SYNCLINE_ENOMEM, "unreadable");
    return status;
}

static enum syncline_status try_add(struct indexer_error *err)
{
    struct indexer_location_options options = {.device = device_a, .batch_size = 20};
    struct indexer_location_stats stats;
    enum syncline_status status = indexer_location_add(NULL, db, tree, &options, &stats, err);
    if (status == SYNCLINE_OK && stats.walk.unreadable > 0)
        return indexer_fail(err, SYNCLINE_ENOMEM, "unreadable");
    return status;
}

/* Something has been moved, and something is gone, each time anew. */
static void prepare_rescan(void)
{
    static bool is_moved;
    is_moved = !is_moved;
    cr_assert_eq(rename(in_tree(is_moved ? "folder1/inner" : "moved"),
                        in_tree(is_moved ? "moved" : "folder1/inner")),
                 0);
    execute(db, "INSERT INTO entries(uuid, parent_id, name, kind, size, created_at, modified_at)"
                " SELECT randomblob(16), id, x'01', 1, 0, 0, 0 FROM entries"
                " WHERE parent_id IS NULL;"
                "INSERT INTO entries(uuid, parent_id, name, kind, size, created_at, modified_at)"
                " SELECT randomblob(16), last_insert_rowid(), x'02', 0, 0, 0, 0");
}

static enum syncline_status try_rescan(struct indexer_error *err)
{
    struct indexer_location_options options = {.device = device_a, .batch_size = 20};
    struct indexer_location_stats stats;
    enum syncline_status status = indexer_location_rescan(NULL, db, tree, &options, &stats, err);
    if (status == SYNCLINE_OK && stats.walk.unreadable > 0)
        return indexer_fail(err, SYNCLINE_ENOMEM, "unreadable");
    return status;
}

static void prepare_remove(void)
{
    index_tree(db, 0);
}

static enum syncline_status try_remove(struct indexer_error *err)
{
    struct indexer_location_options options = {.device = device_a, .batch_size = 20};
    struct indexer_location_stats stats;
    return indexer_location_remove(NULL, db, tree, &options, &stats, err);
}

static void ignore_one(void *ctx, const struct indexer_entry *entry)
{
    (void)ctx, (void)entry;
}

static enum syncline_status try_entries(struct indexer_error *err)
{
    enum syncline_status status = indexer_entry_list(db, tree, 50, ignore_one, NULL, err);
    if (status == SYNCLINE_OK)
        status = indexer_entry_by_path(db, in_tree("folder1/../folder1/file1"), &device_a,
                                       ignore_one, NULL, err);
    return status;
}

static void ignore_location(void *ctx, const struct indexer_location *location)
{
    (void)ctx, (void)location;
}

static enum syncline_status try_list(struct indexer_error *err)
{
    return indexer_location_list(db, true, ignore_location, NULL, err);
}

static enum syncline_status try_tag(struct indexer_error *err)
{
    struct syncline_uuid uuid;
    enum syncline_status status = indexer_tag_create(NULL, db, "tag", "#123456", &uuid, err);
    if (status == SYNCLINE_OK)
        status = indexer_tag_rename(NULL, db, &uuid, "other", err);
    if (status == SYNCLINE_OK)
        status = indexer_tag_delete(NULL, db, &uuid, err);
    return status;
}

static enum syncline_status try_register(struct indexer_error *err)
{
    return indexer_device_register(NULL, db, &device_b, "beta", NULL, err);
}

static enum syncline_status try_compare_folder(struct indexer_error *err)
{
    struct indexer_comparison result = {0};
    enum syncline_status status = indexer_compare_with_folder(db, tree, NULL, &result, err);
    if (status == SYNCLINE_OK && result.unreadable > 0)
        return indexer_fail(err, SYNCLINE_ENOMEM, "unreadable");
    return status;
}

static enum syncline_status try_compare_databases(struct indexer_error *err)
{
    struct indexer_comparison result = {0};
    return indexer_compare_databases(other, other, &result, err);
}

/* Fails the n-th allocation of the call for every n there is: each time it says that memory is
 * short or does without, and leaves no transaction; then it succeeds. */
static void sweep_prepared(enum syncline_status (*call)(struct indexer_error *err),
                           void (*prepare)(void))
{
    bool has_failed = true;
    uint64_t failures = 0;
    for (long n = 1; has_failed; n++) {
        struct indexer_error err = {0};
        if (prepare != NULL)
            prepare();
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = call(&err);
        has_failed = sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "%d at %ld: %s", (int)status,
                  n, err.text);
        cr_assert_eq(status == SYNCLINE_OK, err.text[0] == '\0', "%s", err.text);
        cr_assert(db == NULL || sqlite3_get_autocommit(db) != 0);
        failures += status != SYNCLINE_OK;
    }
    cr_expect_gt(failures, 0);
}

static void sweep(enum syncline_status (*call)(struct indexer_error *err))
{
    sweep_prepared(call, NULL);
}

Test(indexer_memory, each_allocation_fails_once)
{
    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer has an allocator of its own");
    make_small_tree();
    for (int i = 0; i < 300; i++) { /* enough for every list to grow */
        char name[64];
        snprintf(name, sizeof(name), "wide%05d", i);
        make_folder(name);
    }
    make_link("link", "far");
    db = open_library(library);
    sweep(try_open);
    sweep(try_walk);
    sweep(try_register);
    sweep(try_tag);
    sweep(try_add);
    struct indexer_comparison result;
    cr_assert_eq(indexer_compare_with_folder(db, tree, NULL, &result, NULL), SYNCLINE_OK);
    cr_expect_eq(result.differences, 0, "%s", result.text[0]);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), (int64_t)result.compared);
    execute(db, "UPDATE entries SET size = 1 WHERE size = 203");
    sweep(try_add);
    sweep(try_list);
    sweep(try_compare_folder);
    snprintf(other, sizeof(other), "%s/library.db", library);
    sweep(try_compare_databases);
    indexer_db_close(db);
}

/* The same of what moves and removes rows. */
Test(indexer_memory, each_allocation_of_a_rescan_fails_once)
{
    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer has an allocator of its own");
    make_small_tree();
    db = open_library(library);
    index_tree(db, 0);
    sweep(try_entries);
    sweep_prepared(try_rescan, prepare_rescan);
    struct indexer_comparison result;
    cr_assert_eq(indexer_compare_with_folder(db, tree, NULL, &result, NULL), SYNCLINE_OK);
    cr_expect_eq(result.differences, 0, "%s", result.text[0]);
    sweep_prepared(try_remove, prepare_remove);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 0);
    indexer_db_close(db);
}
