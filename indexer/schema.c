/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/schema.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UUID_COLUMN "uuid BLOB NOT NULL UNIQUE CHECK (typeof(uuid) = 'blob' AND length(uuid) = 16)"

static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS devices("
    " id INTEGER PRIMARY KEY, " UUID_COLUMN ","
    " name TEXT NOT NULL, created_at INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS entries("
    " id INTEGER PRIMARY KEY, " UUID_COLUMN ","
    " parent_id INTEGER REFERENCES entries(id),"
    " name BLOB NOT NULL, kind INTEGER NOT NULL, size INTEGER NOT NULL, link_target BLOB,"
    " created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL,"
    " file_key INTEGER);" /* stays on this device: no field of the model names it */
    "CREATE TABLE IF NOT EXISTS locations("
    " id INTEGER PRIMARY KEY, " UUID_COLUMN ","
    " device_id INTEGER NOT NULL REFERENCES devices(id),"
    " entry_id INTEGER NOT NULL REFERENCES entries(id),"
    " path BLOB NOT NULL, name TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS tags("
    " id INTEGER PRIMARY KEY, " UUID_COLUMN ", name TEXT NOT NULL, color TEXT);"
    "CREATE INDEX IF NOT EXISTS entries_by_parent ON entries(parent_id, name);"
    "CREATE INDEX IF NOT EXISTS locations_by_device ON locations(device_id);"
    "CREATE INDEX IF NOT EXISTS locations_by_entry ON locations(entry_id);";

/* From version 1, which had no file_key. */
static const char upgrade_sql[] = "ALTER TABLE entries ADD COLUMN file_key INTEGER;";

static const char *const column_checks[] = {
    "SELECT id, uuid, name, created_at FROM main.devices",
    "SELECT id, uuid, parent_id, name, kind, size, link_target, created_at, modified_at, file_key"
    " FROM main.entries",
    "SELECT id, uuid, device_id, entry_id, path, name FROM main.locations",
    "SELECT id, uuid, name, color FROM main.tags",
};

enum syncline_status indexer_db_begin(struct sqlite3 *db, struct indexer_error *err)
{
    bool is_outside = sqlite3_get_autocommit(db) != 0;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return SYNCLINE_OK;
    enum syncline_status status =
        indexer_fail_db(err, db, rc, "no transaction could be begun in library.db");
    if (is_outside) /* out of memory, SQLite may fail with the transaction begun */
        indexer_db_rollback(db);
    return status;
}

enum syncline_status indexer_db_commit(struct sqlite3 *db, struct indexer_error *err)
{
    int rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return SYNCLINE_OK;
    enum syncline_status status =
        indexer_fail_db(err, db, rc, "a transaction could not be committed in library.db");
    indexer_db_rollback(db);
    return status;
}

void indexer_db_rollback(struct sqlite3 *db)
{
    /* SQLite has rolled back by itself after some errors; then there is nothing to do. Short of
     * memory it may not understand the word at first. */
    for (int i = 0; i < 3 && !sqlite3_get_autocommit(db); i++)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

/* First column of the first row as an integer; -1 when there is no row. */
static int query_int(struct sqlite3 *db, const char *sql, int64_t *value)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    *value = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    return sqlite3_finalize(stmt);
}

static enum syncline_status check_version(struct sqlite3 *db, int64_t *version,
                                          struct indexer_error *err)
{
    int rc = query_int(db, "PRAGMA main.user_version", version);
    if (rc != SQLITE_OK)
        return indexer_fail_db(err, db, rc, "library.db cannot be read");
    if (*version > INDEXER_SCHEMA_VERSION)
        return indexer_fail(err, SYNCLINE_EFORMAT,
                            "library.db was made by a newer version (schema %lld, this program "
                            "knows %d): update this program",
                            (long long)*version, INDEXER_SCHEMA_VERSION);
    return SYNCLINE_OK;
}

/* Only prepares: that is enough to know that the columns are there. */
static enum syncline_status check_columns(struct sqlite3 *db, struct indexer_error *err)
{
    for (size_t i = 0; i < sizeof(column_checks) / sizeof(column_checks[0]); i++) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(db, column_checks[i], -1, &stmt, NULL);
        sqlite3_finalize(stmt);
        if (rc == SQLITE_ERROR)
            return indexer_fail(err, SYNCLINE_EFORMAT,
                                "library.db has other tables than this application's (%s): use "
                                "the folder of a library made by it",
                                sqlite3_errmsg(db));
        if (rc != SQLITE_OK)
            return indexer_fail_db(err, db, rc, "library.db cannot be read");
    }
    return SYNCLINE_OK;
}

enum syncline_status indexer_schema_create(struct sqlite3 *db, struct indexer_error *err)
{
    int64_t version = 0;
    enum syncline_status status = check_version(db, &version, err);
    if (status != SYNCLINE_OK)
        return status;
    if (version == INDEXER_SCHEMA_VERSION)
        return check_columns(db, err);
    status = indexer_db_begin(db, err);
    if (status != SYNCLINE_OK)
        return status;
    status = check_version(db, &version, err); /* another process may have been here meanwhile */
    if (status != SYNCLINE_OK)
        goto err_rollback;
    int rc = SQLITE_OK;
    if (version == 1)
        rc = sqlite3_exec(db, upgrade_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, schema_sql, NULL, NULL, NULL);
    if (rc == SQLITE_ERROR) { /* an index on a column that a table of this name does not have */
        status = indexer_fail(err, SYNCLINE_EFORMAT,
                              "library.db has other tables than this application's (%s): use the "
                              "folder of a library made by it",
                              sqlite3_errmsg(db));
        goto err_rollback;
    }
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, db, rc, "the tables could not be made in library.db");
        goto err_rollback;
    }
    status = check_columns(db, err);
    if (status != SYNCLINE_OK)
        goto err_rollback;
    char pragma[64];
    snprintf(pragma, sizeof(pragma), "PRAGMA main.user_version = %d", INDEXER_SCHEMA_VERSION);
    rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, db, rc, "the tables could not be made in library.db");
        goto err_rollback;
    }
    return indexer_db_commit(db, err);

err_rollback:
    indexer_db_rollback(db);
    return status;
}

/* WAL mode is asked for on a new file only; an existing file is never switched silently. */
static enum syncline_status check_journal_mode(struct sqlite3 *db, bool is_new, const char *path,
                                               struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    const char *sql = is_new ? "PRAGMA main.journal_mode = WAL" : "PRAGMA main.journal_mode";
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    char mode[16] = "";
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        rc = text != NULL ? SQLITE_OK : SQLITE_NOMEM;
        snprintf(mode, sizeof(mode), "%s", text != NULL ? text : "");
    }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_OK)
        return indexer_fail_db(err, db, rc, "%s cannot be read", path);
    if (strcmp(mode, "wal") == 0)
        return SYNCLINE_OK;
    if (is_new)
        return indexer_fail(err, SYNCLINE_EIO,
                            "%s could not be put into WAL mode (it is in mode %s): use a folder on "
                            "a local disk",
                            path, mode);
    return indexer_fail(err, SYNCLINE_EFORMAT,
                        "%s is in journal mode %s, not WAL: run sqlite3 '%s' "
                        "'PRAGMA journal_mode=WAL' once",
                        path, mode, path);
}

static enum syncline_status set_pragmas(struct sqlite3 *db, const char *path,
                                        struct indexer_error *err)
{
    sqlite3_busy_timeout(db, INDEXER_BUSY_TIMEOUT_MS);
    int rc =
        sqlite3_exec(db, "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return indexer_fail_db(err, db, rc, "%s cannot be opened", path);
    int64_t is_on = 0;
    rc = query_int(db, "PRAGMA foreign_keys", &is_on);
    if (rc != SQLITE_OK)
        return indexer_fail_db(err, db, rc, "%s cannot be opened", path);
    if (is_on != 1)
        return indexer_fail(err, SYNCLINE_EUNSUPPORTED,
                            "this SQLite (%s) was built without foreign keys: use the system's",
                            sqlite3_libversion());
    return SYNCLINE_OK;
}

/* Are Syncline's own files there? */
static bool has_rest(const char *dir)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/sync.db", dir);
    return len > 0 && (size_t)len < sizeof(path) && access(path, F_OK) == 0;
}

/* A file of no bytes is what a crash leaves between making the file and its first page. */
static enum syncline_status look_for_file(const char *dir, const char *path, unsigned flags,
                                          bool *is_new, struct indexer_error *err)
{
    struct stat st;
    if (stat(dir, &st) != 0 && errno == ENOENT)
        return indexer_fail(err, SYNCLINE_ENOTFOUND,
                            "there is no folder %s: make a library with `syncline -L %s library "
                            "create NAME`",
                            dir, dir);
    if (stat(dir, &st) != 0)
        return indexer_fail_errno(err, errno, "no library at %s", dir);
    if (!S_ISDIR(st.st_mode))
        return indexer_fail(err, SYNCLINE_EFORMAT, "%s is a file: give a library's folder", dir);
    bool is_there = stat(path, &st) == 0;
    if (is_there && !S_ISREG(st.st_mode))
        return indexer_fail(err, SYNCLINE_EFORMAT, "%s is not a file: give a library's folder",
                            path);
    *is_new = (flags & INDEXER_DB_CREATE) != 0 && (!is_there || st.st_size == 0);
    if (!is_there && !*is_new && has_rest(dir))
        return indexer_fail(err, SYNCLINE_ENOTFOUND,
                            "%s holds the rest of a library, but no " INDEXER_DB_NAME
                            ": put it back from a backup, or join anew in another folder with "
                            "`syncline -L FOLDER library join ADDR`",
                            dir);
    if (!is_there && !*is_new)
        return indexer_fail(err, SYNCLINE_ENOTFOUND,
                            "%s holds no " INDEXER_DB_NAME ": give a library's folder, or make one "
                            "with `syncline -L %s library create NAME`",
                            dir, dir);
    return SYNCLINE_OK;
}

enum syncline_status indexer_db_open(const char *dir, unsigned flags, struct sqlite3 **out,
                                     struct indexer_error *err)
{
    char *path = NULL;
    if (asprintf(&path, "%s/" INDEXER_DB_NAME, dir) < 0)
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory");
    struct sqlite3 *db = NULL;
    bool is_new = false;
    bool is_read_only = (flags & INDEXER_DB_READ_ONLY) != 0;
    enum syncline_status status = look_for_file(dir, path, is_read_only ? 0 : flags, &is_new, err);
    if (status != SYNCLINE_OK)
        goto err_free_path;
    int mode = is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int rc = sqlite3_open_v2(path, &db, mode | (is_new ? SQLITE_OPEN_CREATE : 0), NULL);
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, db, rc, "%s cannot be opened", path);
        goto err_close;
    }
    sqlite3_extended_result_codes(db, 1);
    status = set_pragmas(db, path, err);
    if (status == SYNCLINE_OK)
        status = check_journal_mode(db, is_new, path, err);
    if (status == SYNCLINE_OK && !is_read_only)
        status = indexer_schema_create(db, err);
    if (status == SYNCLINE_OK && is_read_only) {
        int64_t version = 0;
        status = check_version(db, &version, err);
        if (status == SYNCLINE_OK && version > 0 && version < INDEXER_SCHEMA_VERSION)
            status = indexer_fail(err, SYNCLINE_EFORMAT,
                                  "%s was made by an older version: run `syncline -L %s library "
                                  "info` once, which brings it up to this one",
                                  path, dir);
        if (status == SYNCLINE_OK)
            status = check_columns(db, err);
    }
    if (status != SYNCLINE_OK)
        goto err_close;
    free(path);
    *out = db;
    return SYNCLINE_OK;

err_close:
    sqlite3_close(db);
err_free_path:
    free(path);
    return status;
}

void indexer_db_close(struct sqlite3 *db)
{
    sqlite3_close(db);
}

char *indexer_db_dir(struct sqlite3 *db)
{
    const char *file = sqlite3_db_filename(db, "main");
    const char *slash = file != NULL ? strrchr(file, '/') : NULL;
    return slash != NULL ? strndup(file, slash == file ? 1 : (size_t)(slash - file)) : NULL;
}
