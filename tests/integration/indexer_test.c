/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The reference application on a real library: what it writes is captured, and what cannot be
 * captured is not written. */

#include "indexer/compare.h"
#include "indexer/tag_manager.h"
#include "tests/unit/indexer_fixture.h"

TestSuite(indexer, .init = set_up, .fini = tear_down);

/* A library with its tables, opened with the first `count` of the application's models. */
static struct syncline *open_synced(struct sqlite3 **db, size_t count)
{
    char error[256] = "";
    struct syncline_options options = SYNCLINE_OPTIONS_INIT;
    struct syncline *lib = NULL;
    options.error = error;
    options.error_size = sizeof(error);
    options.device_name = "alpha";
    cr_assert_eq(syncline_create(library, "test", &options), SYNCLINE_OK, "%s", error);
    *db = open_library(library);
    options.models = indexer_models;
    options.models_count = count;
    cr_assert_eq(syncline_open(library, &options, &lib), SYNCLINE_OK, "%s", error);
    return lib;
}

static struct indexer_location_stats add(struct syncline *lib, struct sqlite3 *db)
{
    struct indexer_location_options options = {.device = device_a, .batch_size = 10};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_location_add(lib, db, tree, &options, &stats, &err), SYNCLINE_OK, "%s",
                 err.text);
    return stats;
}

static uint64_t own_changes(struct syncline *lib)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, 10000, NULL), SYNCLINE_OK);
    cr_assert_eq(syncline_info(lib, &info), SYNCLINE_OK);
    cr_expect_eq(info.set_aside, 0);
    return info.own_seq;
}

/* Every row that is inserted, updated or deleted is one change of this device, and no other is. */
Test(indexer, captures_what_it_writes)
{
    make_small_tree();
    struct sqlite3 *db = NULL;
    struct syncline *lib = open_synced(&db, INDEXER_MODELS_COUNT);
    uint64_t before = own_changes(lib);
    struct indexer_error err = {0};
    cr_assert_eq(indexer_device_register(lib, db, &device_b, "beta", NULL, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_expect_eq(own_changes(lib), before + 1);
    struct indexer_location_stats stats = add(lib, db);
    cr_expect_eq(stats.inserted, SMALL_TREE_COUNT);
    cr_expect_eq(own_changes(lib), before + 1 + SMALL_TREE_COUNT + 1);
    make_file("folder0/file0", 999);
    stats = add(lib, db);
    cr_expect_geq(stats.updated, 1);
    before += 1 + SMALL_TREE_COUNT + 1 + stats.updated;
    cr_expect_eq(own_changes(lib), before);
    struct syncline_uuid tag;
    cr_assert_eq(indexer_tag_create(lib, db, "red", NULL, &tag, &err), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(own_changes(lib), before + 1);
    cr_assert_eq(indexer_tag_rename(lib, db, &tag, "blue", &err), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(own_changes(lib), before + 2); /* before the delete, which may supersede it */
    cr_assert_eq(indexer_tag_delete(lib, db, &tag, &err), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(own_changes(lib), before + 3);
    struct indexer_comparison result;
    cr_assert_eq(indexer_compare_with_folder(db, tree, NULL, &result, NULL), SYNCLINE_OK);
    cr_expect_eq(result.differences, 0, "%s", result.text[0]);
    indexer_db_close(db);
    syncline_close(lib);
}

/* When the capture is refused, the transaction is rolled back and the text says by what. */
Test(indexer, writes_nothing_that_is_not_captured)
{
    make_small_tree();
    struct sqlite3 *db = NULL;
    struct syncline *lib = open_synced(&db, 0);
    struct indexer_location_options options = {.device = device_a};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    cr_expect_eq(indexer_location_add(lib, db, tree, &options, &stats, &err), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(err.text, "the location could not be synced"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "model"), "%s", err.text);
    cr_expect_eq(query(db, "SELECT count(*) FROM locations"), 0);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), 0);
    cr_expect_eq(indexer_device_register(lib, db, &device_b, "beta", NULL, &err), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(err.text, "beta could not be synced"), "%s", err.text);
    cr_expect_eq(query(db, "SELECT count(*) FROM devices"), 1);
    cr_expect_eq(indexer_tag_create(lib, db, "red", NULL, NULL, &err), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(err.text, "the tag could not be synced"), "%s", err.text);
    cr_expect_eq(query(db, "SELECT count(*) FROM tags"), 0);
    /* The batches after the first: the location is there, its entries cannot be captured. */
    cr_assert_eq(indexer_location_add(NULL, db, tree, &options, &stats, &err), SYNCLINE_OK, "%s",
                 err.text);
    int64_t before = query(db, "SELECT count(*) FROM entries");
    make_file("folder0/new", 1);
    cr_expect_eq(indexer_location_add(lib, db, tree, &options, &stats, &err), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(err.text, "entries could not be synced"), "%s", err.text);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), before);
    cr_expect_eq(indexer_location_remove(lib, db, tree, &options, &stats, &err), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(err.text, "the removal of 1 entries could not be synced"), "%s",
                       err.text);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), before);
    cr_expect_eq(query(db, "SELECT count(*) FROM locations"), 1);
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    indexer_db_close(db);
    syncline_close(lib);
}
