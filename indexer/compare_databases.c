/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Both files are attached read-only to an empty database in memory, and each table is compared as a
 * set of rows without local ids: EXCEPT in both directions. A key is compared as the UUID it points
 * at, and as being set at all, so that a key that points nowhere differs from NULL. Values are
 * compared with their types, as EXCEPT does: a text is not a blob. */

#include "indexer/compare.h"

#include "indexer/schema.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is compared of each table in the attached database `db`. */
#define DEVICES(db) "SELECT uuid, name, created_at FROM " db ".devices"
#define ENTRIES(db)                                                                                \
    "SELECT e.uuid AS uuid, e.name AS name, e.parent_id IS NULL AS is_root,"                       \
    " p.uuid AS parent_id, e.kind AS kind, e.size AS size, e.link_target AS link_target,"          \
    " e.created_at AS created_at, e.modified_at AS modified_at"                                    \
    " FROM " db ".entries e LEFT JOIN " db ".entries p ON p.id = e.parent_id"
#define LOCATIONS(db)                                                                              \
    "SELECT l.uuid AS uuid, l.name AS name, d.uuid AS device_id, e.uuid AS entry_id,"              \
    " l.path AS path FROM " db ".locations l"                                                      \
    " LEFT JOIN " db ".devices d ON d.id = l.device_id"                                            \
    " LEFT JOIN " db ".entries e ON e.id = l.entry_id"
#define TAGS(db) "SELECT uuid, name, color FROM " db ".tags"

/* The rows of one table on both sides. The first columns are the UUID and the name. */
struct table {
    const char *name;
    const char *rows_a;
    const char *rows_b;
};

static const struct table tables[] = {
    {"devices", DEVICES("a"), DEVICES("b")},
    {"entries", ENTRIES("a"), ENTRIES("b")},
    {"locations", LOCATIONS("a"), LOCATIONS("b")},
    {"tags", TAGS("a"), TAGS("b")},
};

static void format_uuid(sqlite3_stmt *stmt, char text[37])
{
    const uint8_t *bytes = sqlite3_column_blob(stmt, 0);
    int len = sqlite3_column_bytes(stmt, 0);
    char *end = text;
    for (int i = 0; i < len && i < 16; i++)
        end += snprintf(end, 4, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
    *end = '\0';
}

/* "entries 0190...-... (name): <what>" into the next free description. */
static void describe(struct indexer_comparison *result, const struct table *table,
                     sqlite3_stmt *row, const char *what)
{
    char uuid[40];
    char name[160];
    format_uuid(row, uuid);
    const void *bytes = sqlite3_column_blob(row, 1);
    indexer_escape(name, sizeof(name), bytes, (size_t)sqlite3_column_bytes(row, 1));
    snprintf(result->text[result->named++], INDEXER_DIFFERENCE_SIZE, "%s %s (%s): %s", table->name,
             uuid, name, what);
}

static bool same_value(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
    int type = sqlite3_column_type(a, column);
    if (type != sqlite3_column_type(b, column))
        return false;
    if (type == SQLITE_INTEGER)
        return sqlite3_column_int64(a, column) == sqlite3_column_int64(b, column);
    int len = sqlite3_column_bytes(a, column);
    if (len != sqlite3_column_bytes(b, column))
        return false;
    return len == 0 ||
           memcmp(sqlite3_column_blob(a, column), sqlite3_column_blob(b, column), (size_t)len) == 0;
}

/* Describes a row of A that is not in B as it is: B has no such record, or it differs. */
static int describe_missing(struct sqlite3 *db, struct indexer_comparison *result,
                            const struct table *table, sqlite3_stmt *row_a)
{
    sqlite3_stmt *row_b = NULL;
    char *sql = sqlite3_mprintf("SELECT * FROM (%s) WHERE uuid = ?1", table->rows_b);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &row_b, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_value(row_b, 1, sqlite3_column_value(row_a, 0));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(row_b);
    if (rc == SQLITE_DONE)
        describe(result, table, row_a, "only in A");
    if (rc == SQLITE_ROW) {
        char what[128] = "differs in";
        size_t used = strlen(what);
        for (int i = 0; i < sqlite3_column_count(row_a) && used < sizeof(what); i++)
            if (!same_value(row_a, row_b, i))
                used += (size_t)snprintf(what + used, sizeof(what) - used, " %s",
                                         sqlite3_column_name(row_a, i));
        describe(result, table, row_a, what);
    }
    sqlite3_finalize(row_b);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Counts the rows of `sql` as differences and describes them while there is room. */
static int count_rows(struct sqlite3 *db, struct indexer_comparison *result,
                      const struct table *table, char *sql, bool is_missing_in_a)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        result->differences++;
        rc = SQLITE_OK;
        if (result->named == INDEXER_DIFFERENCES_NAMED)
            continue;
        if (is_missing_in_a)
            describe(result, table, stmt, "only in B");
        else
            rc = describe_missing(db, result, table, stmt);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int query_count(struct sqlite3 *db, const char *rows, uint64_t *count)
{
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM (%s)", rows);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        *count = (uint64_t)sqlite3_column_int64(stmt, 0);
    int finalized = sqlite3_finalize(stmt);
    return rc != SQLITE_OK ? rc : finalized;
}

static int compare_table(struct sqlite3 *db, struct indexer_comparison *result,
                         const struct table *table)
{
    uint64_t count_a = 0;
    uint64_t count_b = 0;
    uint64_t before = result->differences;
    int rc = query_count(db, table->rows_a, &count_a);
    if (rc == SQLITE_OK)
        rc = query_count(db, table->rows_b, &count_b);
    /* A record that differs is found from A; from B only those that A has not at all. */
    if (rc == SQLITE_OK)
        rc = count_rows(db, result, table,
                        sqlite3_mprintf("%s EXCEPT %s", table->rows_a, table->rows_b), false);
    if (rc == SQLITE_OK)
        rc = count_rows(db, result, table,
                        sqlite3_mprintf("SELECT * FROM (%s EXCEPT %s) WHERE uuid NOT IN"
                                        " (SELECT uuid FROM a.%s)",
                                        table->rows_b, table->rows_a, table->name),
                        true);
    if (rc != SQLITE_OK)
        return rc;
    result->compared += count_a;
    if (count_a == count_b || result->differences != before)
        return SQLITE_OK;
    /* Sets do not see a record that is there twice: a table without its UNIQUE. */
    result->differences++;
    if (result->named < INDEXER_DIFFERENCES_NAMED)
        snprintf(result->text[result->named++], INDEXER_DIFFERENCE_SIZE,
                 "%s: %llu rows in A, %llu in B", table->name, (unsigned long long)count_a,
                 (unsigned long long)count_b);
    return SQLITE_OK;
}

/* "file://..." with every byte escaped that means something in a URI. sqlite3_free it. */
static char *make_uri(const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, path[0] == '/' ? "file://" : "file:");
    for (const char *at = path; *at != '\0'; at++) {
        if (strchr(plain, *at) != NULL)
            sqlite3_str_appendchar(text, 1, *at);
        else
            sqlite3_str_appendf(text, "%%%02X", (unsigned)(unsigned char)*at);
    }
    sqlite3_str_appendall(text, "?mode=ro");
    return sqlite3_str_finish(text);
}

static enum syncline_status attach(struct sqlite3 *db, const char *path, const char *sql,
                                   struct indexer_error *err)
{
    char name[512];
    struct stat st;
    indexer_escape(name, sizeof(name), path, strlen(path));
    if (stat(path, &st) != 0 && errno == ENOENT)
        return indexer_fail(err, SYNCLINE_ENOTFOUND, "there is no file %s: give a library.db",
                            name);
    sqlite3_stmt *stmt = NULL;
    char *uri = make_uri(path);
    int rc = uri == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, uri, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "%s cannot be read", name);
    sqlite3_finalize(stmt);
    sqlite3_free(uri);
    return status;
}

static enum syncline_status compare_attached(struct sqlite3 *db, struct indexer_comparison *result,
                                             struct indexer_error *err)
{
    int rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    size_t i = 0;
    for (; rc == SQLITE_OK && i < sizeof(tables) / sizeof(tables[0]); i++)
        rc = compare_table(db, result, &tables[i]);
    if (rc == SQLITE_ERROR)
        return indexer_fail(err, SYNCLINE_EFORMAT,
                            "not both files have the indexer's tables (%s): give two library.db",
                            sqlite3_errmsg(db));
    if (rc != SQLITE_OK)
        return indexer_fail_db(err, db, rc, "the databases could not be compared");
    return SYNCLINE_OK;
}

enum syncline_status indexer_compare_databases(const char *path_a, const char *path_b,
                                               struct indexer_comparison *out,
                                               struct indexer_error *err)
{
    struct sqlite3 *db = NULL;
    struct indexer_comparison result = {0};
    enum syncline_status status = SYNCLINE_OK;
    int rc = sqlite3_open_v2(":memory:", &db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL);
    if (rc != SQLITE_OK)
        status = indexer_fail_db(err, db, rc, "a database in memory could not be opened");
    if (status == SYNCLINE_OK) {
        sqlite3_busy_timeout(db, INDEXER_BUSY_TIMEOUT_MS);
        status = attach(db, path_a, "ATTACH ?1 AS a", err);
    }
    if (status == SYNCLINE_OK)
        status = attach(db, path_b, "ATTACH ?1 AS b", err);
    if (status == SYNCLINE_OK)
        status = compare_attached(db, &result, err);
    sqlite3_close(db);
    if (status == SYNCLINE_OK)
        *out = result;
    return status;
}
