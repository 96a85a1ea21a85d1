/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/db.h"

#include "tests/unit/failing_malloc.h"
#include <sys/stat.h>

#include "tests/unit/storage_fixture.h"

TestSuite(db, .init = set_up, .fini = tear_down);

static struct sl_db db;

static enum syncline_status open_as(const char *name, enum sl_db_mode mode)
{
    return sl_db_open(&db, sl_env_posix(), in_folder(name), "test.db", mode, 0, &err);
}

/* What is not there is not made, unless asked for; the text names the path. */
Test(db, opens_what_is_there)
{
    FAILS(open_as("a.db", SL_DB_READ), SYNCLINE_ENOTFOUND, "/a.db: is it there?");
    FAILS(open_as("a.db", SL_DB_WRITE), SYNCLINE_ENOTFOUND, "/a.db: is it there?");
    FAILS(open_as("none/a.db", SL_DB_CREATE), SYNCLINE_EIO, "test.db: open");
    cr_assert_null(db.handle); /* untouched by failures */
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_db_exec(&db, "CREATE TABLE t(x)", &err));
    sl_db_close(&db);
    cr_assert_null(db.handle);
    sl_db_close(&db);
    OK(open_as("a.db", SL_DB_READ));
    FAILS(sl_db_exec(&db, "INSERT INTO t VALUES(1)", &err), SYNCLINE_EIO, "readonly");
    sl_db_close(&db);
}

/* What is there and cannot be opened is another matter: nobody should make it anew. */
Test(db, what_cannot_be_opened_is_not_missing)
{
    FAILS(open_as(".", SL_DB_WRITE), SYNCLINE_EIO, "test.db: open");
}

/* A file that is no database is told at open, by its path. */
Test(db, refuses_what_is_no_database)
{
    char text[4096];
    memset(text, 'x', sizeof(text));
    write_file(in_folder("text"), text, sizeof(text));
    FAILS(open_as("text", SL_DB_WRITE), SYNCLINE_EFORMAT, "/text is not an SQLite database");
    FAILS(open_as("text", SL_DB_READ), SYNCLINE_EFORMAT, "is not an SQLite database");
}

/* Keys are deferred until the transaction ends, and no longer; a statement that is kept is not
 * prepared anew for that. */
Test(db, defers_keys)
{
    sqlite3_stmt *stmt = NULL;
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_db_exec(&db,
                  "CREATE TABLE p(id INTEGER PRIMARY KEY);"
                  "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p)",
                  &err));
    for (int i = 1; i <= 3; i++) {
        OK(sl_db_exec(&db, "BEGIN IMMEDIATE", &err));
        OK(sl_db_defer_keys(&db, &err));
        if (stmt == NULL) {
            OK(sl_db_prepare(&db, "INSERT INTO c(p) VALUES(?1)", true, &stmt, &err));
        }
        (void)sqlite3_bind_int(stmt, 1, i);
        OK(sl_db_run(&db, stmt, &err));
        FAILS(sl_db_exec(&db, "COMMIT", &err), SYNCLINE_EDB, "FOREIGN KEY");
        OK(sl_db_exec(&db, i == 3 ? "ROLLBACK" : "INSERT INTO p DEFAULT VALUES; COMMIT", &err));
    }
    cr_assert_eq(sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 0), 0);
    (void)sqlite3_finalize(stmt);
    FAILS(sl_db_exec(&db, "INSERT INTO c(p) VALUES(9)", &err), SYNCLINE_EDB, "FOREIGN KEY");
    sl_db_close(&db);
}

/* Our connections enforce foreign keys and report extended codes. */
Test(db, connection_settings)
{
    OK(open_as("a.db", SL_DB_CREATE));
    cr_assert_eq(query_int(db.handle, "PRAGMA foreign_keys"), 1);
    OK(sl_db_exec(&db,
                  "CREATE TABLE p(id INTEGER PRIMARY KEY);"
                  "CREATE TABLE c(p REFERENCES p); CREATE TABLE u(x UNIQUE)",
                  &err));
    FAILS(sl_db_exec(&db, "INSERT INTO c VALUES(1)", &err), SYNCLINE_EDB, "FOREIGN KEY");
    cr_assert_eq(sqlite3_errcode(db.handle), SQLITE_CONSTRAINT_FOREIGNKEY);
    sl_db_close(&db);
}

/* A borrowed connection keeps the settings of its owner, and errors name the file. */
Test(db, borrowed_connection)
{
    sqlite3 *handle = NULL;
    cr_assert_eq(sqlite3_open(":memory:", &handle), SQLITE_OK);
    struct sl_db borrowed = sl_db_borrow(handle, "library.db");
    FAILS(sl_db_exec(&borrowed, "SELECT * FROM nowhere", &err), SYNCLINE_EDB,
          "library.db: SELECT * FROM nowhere: no such table: nowhere");
    cr_assert_eq(sqlite3_close(handle), SQLITE_OK);
}

/* Every class of SQLite's errors has the status that says what to do about it. */
Test(db, codes_become_statuses)
{
    static const struct {
        int code;
        enum syncline_status status;
    } codes[] = {
        {SQLITE_OK, SYNCLINE_OK},
        {SQLITE_ROW, SYNCLINE_OK},
        {SQLITE_DONE, SYNCLINE_OK},
        {SQLITE_BUSY, SYNCLINE_EBUSY},
        {SQLITE_BUSY_SNAPSHOT, SYNCLINE_EBUSY},
        {SQLITE_LOCKED, SYNCLINE_EBUSY},
        {SQLITE_FULL, SYNCLINE_ENOSPC},
        {SQLITE_IOERR, SYNCLINE_EIO},
        {SQLITE_IOERR_FSYNC, SYNCLINE_EIO},
        {SQLITE_IOERR_NOMEM, SYNCLINE_ENOMEM},
        {SQLITE_CANTOPEN, SYNCLINE_EIO},
        {SQLITE_READONLY, SYNCLINE_EIO},
        {SQLITE_PERM, SYNCLINE_EIO},
        {SQLITE_NOMEM, SYNCLINE_ENOMEM},
        {SQLITE_CORRUPT, SYNCLINE_ECORRUPT},
        {SQLITE_NOTADB, SYNCLINE_EFORMAT},
        {SQLITE_CONSTRAINT_UNIQUE, SYNCLINE_EDB},
        {SQLITE_ERROR, SYNCLINE_EDB},
        {SQLITE_INTERRUPT, SYNCLINE_EDB},
    };
    struct sl_db closed = {.name = "sync.db"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        cr_assert_eq(sl_db_fail(&closed, codes[i].code, "try", &err), codes[i].status, "code %d",
                     codes[i].code);
        cr_assert_eq(strncmp(err.text, "sync.db: try: ", 14), 0, "%s", err.text);
    }
    cr_assert_eq(sl_db_fail(&closed, SQLITE_BUSY, "try", NULL), SYNCLINE_EBUSY);
}

/* The text is the connection's own where it is about that error, else the code's. */
Test(db, messages_belong_to_their_error)
{
    OK(open_as("a.db", SL_DB_CREATE));
    FAILS(sl_db_exec(&db, "nonsense", &err), SYNCLINE_EDB, "near \"nonsense\"");
    FAILS(sl_db_fail(&db, SQLITE_FULL, "try", &err), SYNCLINE_ENOSPC, "full");
    cr_assert_null(strstr(err.text, "nonsense"));
    sl_db_close(&db);
}

/* A full disk, a lock held elsewhere, a damaged page: each is told from the others. */
Test(db, real_failures)
{
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_db_exec(&db, "CREATE TABLE t(x); PRAGMA max_page_count=4", &err));
    FAILS(sl_db_exec(&db, "INSERT INTO t VALUES(zeroblob(100000))", &err), SYNCLINE_ENOSPC, "full");
    OK(sl_db_exec(&db, "PRAGMA max_page_count=1000; INSERT INTO t VALUES(zeroblob(100000))", &err));

    struct sl_db other = db;
    OK(open_as("a.db", SL_DB_WRITE));
    OK(sl_db_exec(&other, "BEGIN IMMEDIATE", &err));
    FAILS(sl_db_exec(&db, "BEGIN IMMEDIATE", &err), SYNCLINE_EBUSY, "locked");
    sl_db_close(&other);
    sl_db_close(&db);

    FILE *file = fopen(in_folder("a.db"), "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 4096, SEEK_SET), 0);
    cr_assert_eq(fwrite("damaged, clearly", 1, 16, file), 16);
    cr_assert_eq(fclose(file), 0);
    OK(open_as("a.db", SL_DB_WRITE));
    FAILS(sl_db_exec(&db, "SELECT * FROM t", &err), SYNCLINE_ECORRUPT, "malformed");
    sl_db_close(&db);
}

/* Statements: rows until there are none, and after each end the same from the beginning. */
Test(db, statements_run_and_reset)
{
    sqlite3_stmt *stmt = NULL;
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_db_exec(&db, "CREATE TABLE t(x UNIQUE)", &err));
    FAILS(sl_db_prepare(&db, "SELECT", false, &stmt, &err), SYNCLINE_EDB, "SELECT");
    cr_assert_null(stmt);
    OK(sl_db_prepare(&db, "INSERT INTO t VALUES(?1)", true, &stmt, &err));
    (void)sqlite3_bind_int(stmt, 1, 5);
    OK(sl_db_run(&db, stmt, &err));
    OK(sl_db_run(&db, stmt, &err)); /* the binding is gone: NULL */
    (void)sqlite3_bind_int(stmt, 1, 5);
    FAILS(sl_db_run(&db, stmt, &err), SYNCLINE_EDB, "INSERT INTO t VALUES(?1): UNIQUE");
    (void)sqlite3_bind_int(stmt, 1, 6);
    OK(sl_db_run(&db, stmt, &err));
    (void)sqlite3_finalize(stmt);

    OK(sl_db_prepare(&db, "SELECT x FROM t WHERE x=?1", false, &stmt, &err));
    bool row = false;
    for (int i = 0; i < 2; i++) {
        (void)sqlite3_bind_int(stmt, 1, 6);
        OK(sl_db_row(&db, stmt, &row, &err));
        cr_assert(row);
        cr_assert_eq(sqlite3_column_int(stmt, 0), 6);
        OK(sl_db_row(&db, stmt, &row, &err));
        cr_assert(!row);
    }
    (void)sqlite3_finalize(stmt);
    OK(sl_db_prepare(&db, "SELECT abs(-9223372036854775807-1)", false, &stmt, &err));
    row = true;
    FAILS(sl_db_row(&db, stmt, &row, &err), SYNCLINE_EDB, "integer overflow");
    cr_assert(row); /* untouched */
    (void)sqlite3_finalize(stmt);
    sl_db_reset(NULL);
    sl_db_close(&db);
}

/* One integer, or what is given for no row and for NULL. */
Test(db, one_integer)
{
    int64_t value = 0;
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_db_int64(&db, "SELECT 5", 7, &value, &err));
    cr_assert_eq(value, 5);
    OK(sl_db_int64(&db, "SELECT 5 WHERE 0", 7, &value, &err));
    cr_assert_eq(value, 7);
    OK(sl_db_int64(&db, "SELECT NULL", 8, &value, &err));
    cr_assert_eq(value, 8);
    FAILS(sl_db_int64(&db, "SELECT x", 9, &value, &err), SYNCLINE_EDB, "no such column");
    FAILS(sl_db_int64(&db, "SELECT abs(-9223372036854775807-1)", 9, &value, &err), SYNCLINE_EDB,
          "overflow");
    cr_assert_eq(value, 8);
    sl_db_close(&db);
}

/* A UUID is a blob of 16 bytes and nothing else. */
Test(db, uuid_columns)
{
    sqlite3_stmt *stmt = NULL;
    struct syncline_uuid uuid = {{1, 2, 3}};
    struct syncline_uuid read = {{0}};
    bool row = false;
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_db_prepare(&db, "SELECT ?1, x'01', NULL, zeroblob(17), 5", false, &stmt, &err));
    sl_bind_uuid(stmt, 1, &uuid);
    OK(sl_db_row(&db, stmt, &row, &err));
    cr_assert(sl_column_uuid(stmt, 0, &read));
    cr_assert_eq(memcmp(&uuid, &read, 16), 0);
    for (int i = 1; i < 5; i++) {
        cr_assert(!sl_column_uuid(stmt, i, &read), "column %d", i);
    }
    (void)sqlite3_finalize(stmt);
    sl_db_close(&db);
}

/* A table's statement is prepared once, and again after it could not be. */
Test(db, table_of_statements)
{
    static const char *const sql[] = {"SELECT 1", "SELECT x FROM later"};
    struct sl_statements statements = {.sql = sql};
    sqlite3_stmt *first = NULL;
    sqlite3_stmt *again = NULL;
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_statement(&db, &statements, 0, &first, &err));
    OK(sl_statement(&db, &statements, 0, &again, &err));
    cr_assert_eq(first, again);
    FAILS(sl_statement(&db, &statements, 1, &again, &err), SYNCLINE_EDB, "no such table: later");
    cr_assert_eq(first, again);
    OK(sl_db_exec(&db, "CREATE TABLE later(x)", &err));
    OK(sl_statement(&db, &statements, 1, &again, &err));
    sl_statements_fini(&statements);
    cr_assert_null(statements.stmt[0]);
    sl_statements_fini(&statements);
    cr_assert_eq(sqlite3_close(db.handle), SQLITE_OK); /* no statement is left */
}

/* Without memory an open fails as that and leaves nothing open. */
Test(db, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    OK(open_as("a.db", SL_DB_CREATE));
    sl_db_close(&db);
    const char *path = in_folder("a.db");
    int refused = 0;
    bool has_failed = true;
    for (long n = 1; has_failed; n++) {
        (void)sl_malloc_fail_at(n);
        enum syncline_status status =
            sl_db_open(&db, sl_env_posix(), path, "a.db", SL_DB_WRITE, 0, &err);
        has_failed = sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "allocation %ld: %s", n,
                  err.text);
        refused += status == SYNCLINE_ENOMEM;
        sl_db_close(&db);
    }
    cr_assert_geq(refused, 3);
}

/* A database that is damaged is found so, and one that is not is not. */
Test(db, check)
{
    OK(sl_db_open(&db, sl_env_posix(), in_folder("a.db"), "sync.db", SL_DB_CREATE, 0, &err));
    OK(sl_db_exec(&db,
                  "CREATE TABLE t(a, b); CREATE INDEX i ON t(a);"
                  "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<2000)"
                  " INSERT INTO t SELECT x, 'text' FROM n",
                  &err));
    OK(sl_db_check(&db, &err));
    sl_db_close(&db);
    FILE *file = fopen(in_folder("a.db"), "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 4 * 4096, SEEK_SET), 0);
    for (int i = 0; i < 4096; i++) {
        cr_assert_eq(fputc(0xa5, file), 0xa5);
    }
    cr_assert_eq(fclose(file), 0);
    OK(sl_db_open(&db, sl_env_posix(), in_folder("a.db"), "sync.db", SL_DB_WRITE, 0, &err));
    FAILS(sl_db_check(&db, &err), SYNCLINE_ECORRUPT, "sync.db");
    sl_db_close(&db);
}

/* A WAL that nobody uses is moved into the database and emptied; one that is read is not. */
Test(db, empty_wal)
{
    struct sl_db reader;
    OK(sl_db_open(&db, sl_env_posix(), in_folder("a.db"), "sync.db", SL_DB_CREATE, 0, &err));
    OK(sl_db_exec(&db, "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)",
                  &err));
    OK(sl_db_open(&reader, sl_env_posix(), in_folder("a.db"), "sync.db", SL_DB_READ, 0, &err));
    OK(sl_db_exec(&reader, "BEGIN; SELECT * FROM t", &err));
    OK(sl_db_exec(&db, "INSERT INTO t VALUES(2)", &err));
    FAILS(sl_db_empty_wal(&db, &err), SYNCLINE_EBUSY, "checkpoint");
    OK(sl_db_exec(&reader, "COMMIT", &err));
    OK(sl_db_empty_wal(&db, &err));
    struct stat wal;
    cr_assert_eq(stat(in_folder("a.db-wal"), &wal), 0);
    cr_expect_eq(wal.st_size, 0);
    sl_db_close(&reader);
    sl_db_close(&db);
}

/* A failed sync is noted, and nothing else that fails is. */
Test(db, sync_failed)
{
    bool failed = false;
    db = (struct sl_db){.name = "sync.db", .sync_failed = &failed};
    FAILS(sl_db_fail(&db, SQLITE_FULL, "write", &err), SYNCLINE_ENOSPC, "sync.db");
    FAILS(sl_db_fail(&db, SQLITE_IOERR_WRITE, "write", &err), SYNCLINE_EIO, "sync.db");
    cr_expect(!failed);
    FAILS(sl_db_fail(&db, SQLITE_IOERR_FSYNC, "sync", &err), SYNCLINE_EIO, "sync.db");
    cr_expect(failed);
    failed = false;
    FAILS(sl_db_fail(&db, SQLITE_IOERR_DIR_FSYNC, "sync", &err), SYNCLINE_EIO, "sync.db");
    cr_expect(failed);
}

/* A statement that was prepared on a connection that has been replaced since is not run: it is
 * prepared anew, on the one that is there. */
Test(db, statement_of_a_replaced_connection)
{
    static const char *const texts[] = {"SELECT count(*) FROM t"};
    struct sl_statements statements = {.sql = texts};
    sqlite3_stmt *before = NULL;
    sqlite3_stmt *after = NULL;
    OK(open_as("a.db", SL_DB_CREATE));
    OK(sl_db_exec(&db, "CREATE TABLE t(x)", &err));
    OK(sl_statement(&db, &statements, 0, &before, &err));
    cr_assert(sl_db_is_prepared(&db, &before));
    sl_db_close(&db);
    OK(open_as("a.db", SL_DB_WRITE));
    OK(sl_db_exec(&db, "INSERT INTO t VALUES(1)", &err));
    OK(sl_statement(&db, &statements, 0, &after, &err));
    cr_assert_eq(sqlite3_db_handle(after), db.handle);
    cr_assert_eq(sqlite3_step(after), SQLITE_ROW);
    cr_assert_eq(sqlite3_column_int64(after, 0), 1);
    sl_statements_fini(&statements);
    cr_assert_not(sl_db_is_prepared(&db, &statements.stmt[0]));
    sl_db_close(&db);
}
