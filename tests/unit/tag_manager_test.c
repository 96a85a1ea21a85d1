/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/tag_manager.h"

#include "tests/unit/indexer_fixture.h"

TestSuite(tag_manager, .init = set_up, .fini = tear_down);

struct listed {
    int count;
    char text[512];
};

static void keep_tag(void *ctx, const struct tag_row *row)
{
    struct listed *listed = ctx;
    size_t used = strlen(listed->text);
    listed->count++;
    snprintf(listed->text + used, sizeof(listed->text) - used, "%s=%s ", row->name,
             row->color != NULL ? row->color : "none");
}

static void expect_tags(struct sqlite3 *db, const char *text)
{
    struct listed listed = {0};
    cr_assert_eq(indexer_tag_list(db, keep_tag, &listed, NULL), SYNCLINE_OK);
    cr_expect_str_eq(listed.text, text, "%s", listed.text);
}

/* Tags are made, renamed, deleted and listed; a rename keeps the color. */
Test(tag_manager, life_of_a_tag)
{
    struct sqlite3 *db = open_library(library);
    struct syncline_uuid red;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_tag_create(NULL, db, "red", "#fF0009", &red, &err), SYNCLINE_OK, "%s",
                 err.text);
    expect_tags(db, "red=#fF0009 ");
    cr_assert_eq(indexer_tag_create(NULL, db, "plain", NULL, NULL, &err), SYNCLINE_OK);
    cr_expect_eq(query(db, "SELECT count(*) FROM tags WHERE color IS NULL"), 1);
    cr_assert_eq(indexer_tag_rename(NULL, db, &red, "r\xc3\xb6t", &err), SYNCLINE_OK);
    cr_expect_eq(query(db, "SELECT count(*) FROM tags WHERE name = 'r\xc3\xb6t'"
                           " AND color = '#fF0009'"),
                 1);
    cr_assert_eq(indexer_tag_delete(NULL, db, &red, &err), SYNCLINE_OK);
    expect_tags(db, "plain=none ");
    indexer_db_close(db);
}

/* A tag is found by its name, as long as it is the only one. */
Test(tag_manager, finds_by_name)
{
    struct sqlite3 *db = open_library(library);
    struct syncline_uuid red;
    struct syncline_uuid found = {{0}};
    struct indexer_error err = {0};
    cr_expect_eq(indexer_tag_find(db, "r\xff", &found, &err), SYNCLINE_ENOTFOUND);
    cr_expect_not_null(strstr(err.text, "r\\xff"), "%s", err.text);
    cr_assert_eq(indexer_tag_create(NULL, db, "red", NULL, &red, NULL), SYNCLINE_OK);
    cr_assert_eq(indexer_tag_find(db, "red", &found, &err), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(memcmp(&found, &red, sizeof(red)), 0);
    cr_assert_eq(indexer_tag_create(NULL, db, "red", NULL, NULL, NULL), SYNCLINE_OK);
    cr_expect_eq(indexer_tag_find(db, "red", &found, &err), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "UUID"), "%s", err.text);
    execute(db, "DROP TABLE tags");
    cr_expect_eq(indexer_tag_find(db, "red", &found, &err), SYNCLINE_EDB);
    indexer_db_close(db);
}

/* Wrong input is named and changes nothing. */
Test(tag_manager, refuses_wrong_input)
{
    static const char *const colors[] = {"", "red", "#12345", "#1234567", "#12345g", "x123456"};
    struct sqlite3 *db = open_library(library);
    struct syncline_uuid none = {{1}};
    struct indexer_error err = {0};
    for (size_t i = 0; i < sizeof(colors) / sizeof(colors[0]); i++) {
        cr_expect_eq(indexer_tag_create(NULL, db, "x", colors[i], &none, &err), SYNCLINE_EINVAL);
        cr_expect_not_null(strstr(err.text, "#rrggbb"), "%s", err.text);
    }
    cr_expect_eq(indexer_tag_create(NULL, db, "", NULL, &none, &err), SYNCLINE_EINVAL);
    cr_expect_eq(indexer_tag_create(NULL, db, "\xff", NULL, &none, NULL), SYNCLINE_EINVAL);
    cr_expect_eq(indexer_tag_rename(NULL, db, &none, "\n", &err), SYNCLINE_EINVAL);
    cr_expect_eq(indexer_tag_rename(NULL, db, &none, "x", &err), SYNCLINE_ENOTFOUND);
    cr_expect_not_null(strstr(err.text, "list the tags"), "%s", err.text);
    cr_expect_eq(indexer_tag_delete(NULL, db, &none, &err), SYNCLINE_ENOTFOUND);
    cr_expect_eq(none.bytes[0], 1);
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    expect_tags(db, "");
    indexer_db_close(db);
}

/* What SQLite refuses is passed on; the transaction is ended. */
Test(tag_manager, reports_what_sqlite_refuses)
{
    struct sqlite3 *db = open_library(library);
    struct sqlite3 *raw = open_library(library);
    struct syncline_uuid tag;
    struct indexer_error err = {0};
    struct listed listed = {0};
    cr_assert_eq(indexer_tag_create(NULL, db, "tag", NULL, &tag, NULL), SYNCLINE_OK);
    execute(raw, "BEGIN IMMEDIATE");
    sqlite3_busy_timeout(db, 0);
    cr_expect_eq(indexer_tag_delete(NULL, db, &tag, &err), SYNCLINE_EBUSY);
    execute(raw, "ROLLBACK");
    execute(raw, "CREATE TRIGGER spoil BEFORE UPDATE ON tags BEGIN SELECT raise(ABORT, 'no'); END");
    cr_expect_eq(indexer_tag_rename(NULL, db, &tag, "x", &err), SYNCLINE_EDB);
    cr_expect_not_null(strstr(err.text, "could not be written: no"), "%s", err.text);
    execute(raw, "DROP TRIGGER spoil; DROP TABLE tags");
    cr_expect_eq(indexer_tag_create(NULL, db, "x", NULL, NULL, &err), SYNCLINE_EDB);
    cr_expect_eq(indexer_tag_rename(NULL, db, &tag, "x", &err), SYNCLINE_EDB);
    cr_expect_eq(indexer_tag_list(db, keep_tag, &listed, &err), SYNCLINE_EDB);
    cr_expect_neq(sqlite3_get_autocommit(db), 0);
    indexer_db_close(raw);
    indexer_db_close(db);
}
