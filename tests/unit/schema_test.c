/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/unit/indexer_fixture.h"

TestSuite(schema, .init = set_up, .fini = tear_down);

static char path_buffer[128];

static const char *db_path(void)
{
    snprintf(path_buffer, sizeof(path_buffer), "%s/library.db", library);
    return path_buffer;
}

static struct sqlite3 *open_raw(void)
{
    struct sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open(db_path(), &db), SQLITE_OK);
    return db;
}

/* Opening fails with this status and a text that holds `word`; nothing is given out. */
static void expect_open(unsigned flags, enum syncline_status status, const char *word)
{
    struct indexer_error err = {0};
    struct sqlite3 *db = NULL;
    cr_expect_eq(indexer_db_open(library, flags, &db, &err), status, "%s", err.text);
    cr_expect_null(db);
    cr_expect_not_null(strstr(err.text, word), "%s", err.text);
    cr_expect_null(strchr(err.text, '\n'));
    cr_expect_eq(indexer_db_open(library, flags, &db, NULL), status);
}

/* A new database is in WAL mode, has the tables, and follows the rules for hosts. */
Test(schema, makes_a_library)
{
    struct sqlite3 *db = open_library(library);
    cr_expect_eq(query(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 4);
    cr_expect_eq(query(db, "PRAGMA foreign_keys"), 1);
    cr_expect_eq(query(db, "PRAGMA synchronous"), 2);
    cr_expect_eq(query(db, "PRAGMA busy_timeout"), 5000);
    cr_expect_eq(query(db, "PRAGMA user_version"), 2);
    cr_expect_eq(query(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    char *dir = indexer_db_dir(db);
    cr_expect_str_eq(dir, library);
    free(dir);
    indexer_db_close(db);
}

/* Opening again changes nothing, with and without CREATE, and read-only. */
Test(schema, opens_again)
{
    indexer_db_close(open_library(library));
    for (unsigned flags = 0; flags <= INDEXER_DB_READ_ONLY; flags++) {
        struct sqlite3 *db = NULL;
        struct indexer_error err = {0};
        cr_assert_eq(indexer_db_open(library, flags, &db, &err), SYNCLINE_OK, "%s", err.text);
        cr_expect_eq(query(db, "SELECT count(*) FROM devices"), 1);
        int rc = sqlite3_exec(db, "DELETE FROM devices WHERE id = 99", NULL, NULL, NULL);
        cr_expect_eq(rc == SQLITE_OK, flags != INDEXER_DB_READ_ONLY);
        indexer_db_close(db);
    }
}

/* A library.db that holds only somebody else's tables gets ours beside them. */
Test(schema, adds_its_tables_to_a_database_in_wal_mode)
{
    struct sqlite3 *raw = open_raw();
    execute(raw,
            "PRAGMA journal_mode = WAL; CREATE TABLE _syncline_outbox(id INTEGER PRIMARY KEY)");
    sqlite3_close(raw);
    struct sqlite3 *db = NULL;
    cr_assert_eq(indexer_db_open(library, 0, &db, NULL), SYNCLINE_OK);
    cr_expect_eq(query(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 5);
    indexer_db_close(db);
}

/* An empty file is what a crash leaves of a new database: CREATE finishes it. */
Test(schema, finishes_an_empty_file)
{
    close(open(db_path(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    expect_open(0, SYNCLINE_EFORMAT, "PRAGMA journal_mode=WAL");
    indexer_db_close(open_library(library));
}

/* Wrong input is refused by name and with a cure. */
Test(schema, refuses_what_is_missing)
{
    expect_open(0, SYNCLINE_ENOTFOUND, "library create");
    expect_open(INDEXER_DB_READ_ONLY | INDEXER_DB_CREATE, SYNCLINE_ENOTFOUND, "library create");
    snprintf(library, sizeof(library), "%s/none", base);
    expect_open(INDEXER_DB_CREATE, SYNCLINE_ENOTFOUND, "there is no folder");
}

Test(schema, refuses_what_is_not_a_library)
{
    cr_assert_eq(mkdir(db_path(), 0700), 0);
    expect_open(INDEXER_DB_CREATE, SYNCLINE_EFORMAT, "is not a file");
    cr_assert_eq(rmdir(db_path()), 0);
    FILE *file = fopen(db_path(), "w");
    for (int i = 0; i < 1000; i++)
        fputs("no database at all ", file);
    cr_assert_eq(fclose(file), 0);
    expect_open(INDEXER_DB_CREATE, SYNCLINE_EFORMAT, "library.db");
    expect_open(INDEXER_DB_READ_ONLY, SYNCLINE_EFORMAT, "library.db");
    strcat(library, "/library.db");
    expect_open(INDEXER_DB_CREATE, SYNCLINE_EFORMAT, "is a file");
}

/* A database in another journal mode is not switched: the host decides that. */
Test(schema, refuses_another_journal_mode)
{
    indexer_db_close(open_library(library));
    struct sqlite3 *raw = open_raw();
    execute(raw, "PRAGMA journal_mode = DELETE");
    expect_open(INDEXER_DB_CREATE, SYNCLINE_EFORMAT, "PRAGMA journal_mode=WAL");
    cr_expect_eq(query(raw, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
    sqlite3_close(raw);
}

Test(schema, refuses_a_newer_schema)
{
    struct sqlite3 *db = open_library(library);
    execute(db, "PRAGMA user_version = 3");
    indexer_db_close(db);
    expect_open(0, SYNCLINE_EFORMAT, "newer version");
    expect_open(INDEXER_DB_READ_ONLY, SYNCLINE_EFORMAT, "newer version");
}

/* Tables of the same name with other columns are somebody else's; nothing is added to them. */
Test(schema, refuses_other_tables)
{
    struct sqlite3 *raw = open_raw();
    execute(raw, "PRAGMA journal_mode = WAL; CREATE TABLE tags(id INTEGER PRIMARY KEY, word)");
    expect_open(0, SYNCLINE_EFORMAT, "uuid");
    expect_open(INDEXER_DB_READ_ONLY, SYNCLINE_EFORMAT, "devices");
    cr_expect_eq(query(raw, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 1);
    execute(raw, "DROP TABLE tags; CREATE TABLE entries(id INTEGER PRIMARY KEY)");
    expect_open(0, SYNCLINE_EFORMAT, "parent_id");
    cr_expect_eq(query(raw, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 1);
    sqlite3_close(raw);
}

/* UUIDs are 16-byte blobs, and a key points at something. */
Test(schema, constraints_hold)
{
    struct sqlite3 *db = open_library(library);
    static const char *const bad[] = {
        "INSERT INTO tags(uuid, name) VALUES (x'00', 'short')",
        "INSERT INTO tags(uuid, name) VALUES ('0123456789abcdef', 'text')",
        "INSERT INTO entries(uuid, parent_id, name, kind, size, created_at, modified_at)"
        " VALUES (randomblob(16), 77, x'61', 0, 0, 0, 0)",
        "INSERT INTO locations(uuid, device_id, entry_id, path, name)"
        " VALUES (randomblob(16), 1, 77, x'61', 'a')",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(sqlite3_exec(db, bad[i], NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT, "%s",
                     bad[i]);
    indexer_db_close(db);
}

/* A lock held elsewhere is named, and the transaction's three calls report it. */
Test(schema, transactions_report_a_lock)
{
    struct sqlite3 *db = open_library(library);
    struct sqlite3 *other = open_raw();
    struct indexer_error err = {0};
    sqlite3_busy_timeout(db, 0);
    execute(other, "BEGIN IMMEDIATE");
    cr_expect_eq(indexer_db_begin(db, &err), SYNCLINE_EBUSY);
    cr_expect_not_null(strstr(err.text, "write lock"), "%s", err.text);
    execute(other, "ROLLBACK");
    cr_expect_eq(indexer_db_begin(db, &err), SYNCLINE_OK);
    cr_expect_eq(indexer_db_begin(db, &err), SYNCLINE_EDB);
    indexer_db_rollback(db);
    indexer_db_rollback(db);
    cr_expect_eq(indexer_db_commit(db, &err), SYNCLINE_EDB);
    sqlite3_close(other);
    indexer_db_close(db);
}

/* A full disk while the tables are made leaves none, and is named. */
Test(schema, full_disk_leaves_nothing)
{
    struct sqlite3 *raw = open_raw();
    struct indexer_error err = {0};
    execute(raw, "PRAGMA journal_mode = WAL; PRAGMA page_size; CREATE TABLE x(a);"
                 "PRAGMA max_page_count = 3");
    cr_expect_eq(indexer_schema_create(raw, &err), SYNCLINE_ENOSPC);
    cr_expect_not_null(strstr(err.text, "disk is full"), "%s", err.text);
    cr_expect_eq(query(raw, "SELECT count(*) FROM sqlite_schema"), 1);
    cr_expect_neq(sqlite3_get_autocommit(raw), 0);
    sqlite3_close(raw);
}
