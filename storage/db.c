/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/db.h"

#include <stdlib.h>
#include <string.h>

struct sl_db sl_db_borrow(sqlite3 *handle, const char *name)
{
    struct sl_db db = {.handle = handle, .name = name};
    return db;
}

void sl_db_close(struct sl_db *db)
{
    if (db->handle != NULL) {
        (void)sqlite3_close_v2(db->handle);
        db->handle = NULL;
    }
}

static enum syncline_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return SYNCLINE_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SYNCLINE_EBUSY;
    case SQLITE_FULL:
        return SYNCLINE_ENOSPC;
    case SQLITE_IOERR:
        return code == SQLITE_IOERR_NOMEM ? SYNCLINE_ENOMEM : SYNCLINE_EIO;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return SYNCLINE_EIO;
    case SQLITE_NOMEM:
        return SYNCLINE_ENOMEM;
    case SQLITE_CORRUPT:
        return SYNCLINE_ECORRUPT;
    case SQLITE_NOTADB:
        return SYNCLINE_EFORMAT;
    default:
        return SYNCLINE_EDB;
    }
}

enum syncline_status sl_db_fail(const struct sl_db *db, int code, const char *tried,
                                struct sl_error *err)
{
    const char *message = sqlite3_errstr(code);
    if (db->sync_failed != NULL && (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)) {
        *db->sync_failed = true;
    }
    if (db->handle != NULL && (sqlite3_extended_errcode(db->handle) & 0xff) == (code & 0xff)) {
        message = sqlite3_errmsg(db->handle);
    }
    /* A long statement may not push SQLite's reason out of the text. */
    return sl_fail(err, status_of(code), "%s: %.200s: %s", db->name, tried, message);
}

/* Is there no such file? One that is there and cannot be opened - a failing disk, no descriptors,
 * no permission - is not to be taken for one that is to be made. */
static bool is_missing(const struct sl_env *env, const char *path)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(env->vfs);
    int there = 0;
    return vfs != NULL && vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &there) == SQLITE_OK &&
           there == 0;
}

enum syncline_status sl_db_open(struct sl_db *db, const struct sl_env *env, const char *path,
                                const char *name, enum sl_db_mode mode, uint32_t busy_timeout_ms,
                                struct sl_error *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    flags |= mode == SL_DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    flags |= mode == SL_DB_CREATE ? SQLITE_OPEN_CREATE : 0;
    struct sl_db opened = {.name = name};
    int code = sqlite3_open_v2(path, &opened.handle, flags, env->vfs);
    if (code != SQLITE_OK) {
        bool missing =
            (code & 0xff) == SQLITE_CANTOPEN && mode != SL_DB_CREATE && is_missing(env, path);
        enum syncline_status status = sl_db_fail(&opened, code, "open", err);
        sl_db_close(&opened);
        if (missing) {
            return sl_fail(err, SYNCLINE_ENOTFOUND, "%s cannot be opened at %s: is it there?", name,
                           path);
        }
        return status;
    }
    (void)sqlite3_busy_timeout(opened.handle, (int)busy_timeout_ms);
    (void)sqlite3_db_config(opened.handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, (int *)NULL);
    /* The file is read for the first time here: what is no database says so now. */
    enum syncline_status status = sl_db_exec(&opened, "SELECT 1 FROM sqlite_schema LIMIT 1", err);
    if (status == SYNCLINE_OK) {
        /* There are many connections, and each would take 2 MB. */
        status = sl_db_exec(&opened, "PRAGMA cache_size=-512", err);
    }
    if (status != SYNCLINE_OK) {
        sl_db_close(&opened);
        if (status == SYNCLINE_EFORMAT) {
            return sl_fail(err, status, "%s at %s is not an SQLite database", name, path);
        }
        return status;
    }
    *db = opened;
    return SYNCLINE_OK;
}

enum syncline_status sl_db_exec(const struct sl_db *db, const char *sql, struct sl_error *err)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        return sl_db_fail(db, code, sql, err);
    }
    return SYNCLINE_OK;
}

/* A pragma that sets a flag does so when it is prepared; run, it would have every statement of the
 * connection prepared anew, which takes longer than all that a small transaction does. So it is not
 * run, unless it turns out that this SQLite needs that. */
enum syncline_status sl_db_defer_keys(const struct sl_db *db, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    bool set = false;
    enum syncline_status status =
        sl_db_prepare(db, "PRAGMA defer_foreign_keys=ON", false, &stmt, err);
    (void)sqlite3_finalize(stmt);
    stmt = NULL;
    if (status == SYNCLINE_OK) {
        status = sl_db_prepare(db, "PRAGMA defer_foreign_keys", false, &stmt, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_row(db, stmt, &row, err);
        set = row && sqlite3_column_int(stmt, 0) != 0;
    }
    (void)sqlite3_finalize(stmt);
    return status != SYNCLINE_OK || set ? status
                                        : sl_db_exec(db, "PRAGMA defer_foreign_keys=ON", err);
}

enum syncline_status sl_db_prepare(const struct sl_db *db, const char *sql, bool keep,
                                   sqlite3_stmt **stmt, struct sl_error *err)
{
    sqlite3_stmt *made = NULL;
    int code =
        sqlite3_prepare_v3(db->handle, sql, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &made, NULL);
    if (code != SQLITE_OK) {
        return sl_db_fail(db, code, sql, err);
    }
    *stmt = made;
    return SYNCLINE_OK;
}

enum syncline_status sl_db_run(const struct sl_db *db, sqlite3_stmt *stmt, struct sl_error *err)
{
    int code = sqlite3_step(stmt);
    enum syncline_status status = SYNCLINE_OK;
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        status = sl_db_fail(db, code, sqlite3_sql(stmt), err);
    }
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_db_row(const struct sl_db *db, sqlite3_stmt *stmt, bool *row,
                               struct sl_error *err)
{
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *row = true;
        return SYNCLINE_OK;
    }
    enum syncline_status status = SYNCLINE_OK;
    if (code != SQLITE_DONE) {
        status = sl_db_fail(db, code, sqlite3_sql(stmt), err);
    } else {
        *row = false;
    }
    sl_db_reset(stmt);
    return status;
}

void sl_db_reset(sqlite3_stmt *stmt)
{
    if (stmt != NULL) {
        (void)sqlite3_reset(stmt);
        (void)sqlite3_clear_bindings(stmt);
    }
}

/* What quick_check says of a page that could not be read is no statement about the page: the code
 * of that failure; SQLITE_OK if it speaks of damage. Of pages in chains it does not say the code,
 * but it has looked before whether there is such a page. Nor does it of pages of the pointer map:
 * of what stands there wrong it mostly says what that is, and whoever uses it is told. */
static int unread_code(const char *said)
{
    static const char mark[] = "error code=";
    static const char chain_mark[] = "failed to get page";
    static const char map_mark[] = "Failed to read ptrmap";
    const char *at = strstr(said, mark);
    if (at == NULL && (strstr(said, chain_mark) != NULL || strstr(said, map_mark) != NULL)) {
        return SQLITE_IOERR_READ;
    }
    int code = at != NULL ? (int)strtol(at + sizeof(mark) - 1, NULL, 10) : SQLITE_OK;
    return (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_NOMEM ? code : SQLITE_OK;
}

enum syncline_status sl_db_check(const struct sl_db *db, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(db, "PRAGMA quick_check(1)", false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool row = false;
    status = sl_db_row(db, stmt, &row, err);
    const char *said = row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    int unread = said != NULL ? unread_code(said) : SQLITE_OK;
    if (status == SYNCLINE_OK && unread != SQLITE_OK) {
        status = sl_db_fail(db, unread, "quick_check", err);
    } else if (status == SYNCLINE_OK && (said == NULL || strcmp(said, "ok") != 0)) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "%s is damaged: %.300s", db->name,
                         said != NULL ? said : "it cannot be checked");
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_db_empty_wal(const struct sl_db *db, struct sl_error *err)
{
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK ? SYNCLINE_OK : sl_db_fail(db, code, "checkpoint", err);
}

enum syncline_status sl_db_int64(const struct sl_db *db, const char *sql, int64_t missing,
                                 int64_t *value, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(db, sql, false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool row = false;
    status = sl_db_row(db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        *value = row && sqlite3_column_type(stmt, 0) != SQLITE_NULL ? sqlite3_column_int64(stmt, 0)
                                                                    : missing;
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

bool sl_column_uuid(sqlite3_stmt *stmt, int column, struct syncline_uuid *uuid)
{
    if (sqlite3_column_type(stmt, column) != SQLITE_BLOB) {
        return false; /* text of 16 bytes is another value: no index finds it by the UUID */
    }
    const void *data = sqlite3_column_blob(stmt, column);
    if (data == NULL || sqlite3_column_bytes(stmt, column) != (int)sizeof(*uuid)) {
        return false;
    }
    memcpy(uuid, data, sizeof(*uuid));
    return true;
}

void sl_bind_uuid(sqlite3_stmt *stmt, int parameter, const struct syncline_uuid *uuid)
{
    (void)sqlite3_bind_blob(stmt, parameter, uuid, (int)sizeof(*uuid), SQLITE_STATIC);
}

bool sl_db_is_prepared(const struct sl_db *db, sqlite3_stmt **stmt)
{
    if (*stmt != NULL && sqlite3_db_handle(*stmt) != db->handle) {
        (void)sqlite3_finalize(*stmt);
        *stmt = NULL;
    }
    return *stmt != NULL;
}

enum syncline_status sl_statement(const struct sl_db *db, struct sl_statements *statements,
                                  unsigned number, sqlite3_stmt **stmt, struct sl_error *err)
{
    if (!sl_db_is_prepared(db, &statements->stmt[number])) {
        enum syncline_status status =
            sl_db_prepare(db, statements->sql[number], true, &statements->stmt[number], err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    *stmt = statements->stmt[number];
    return SYNCLINE_OK;
}

void sl_statements_fini(struct sl_statements *statements)
{
    for (unsigned i = 0; i < SL_STATEMENT_COUNT_MAX; i++) {
        (void)sqlite3_finalize(statements->stmt[i]);
        statements->stmt[i] = NULL;
    }
}
