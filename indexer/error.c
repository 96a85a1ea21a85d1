/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/error.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum syncline_status indexer_fail(struct indexer_error *err, enum syncline_status status,
                                  const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return status;
}

static void append(struct indexer_error *err, const char *separator, const char *more)
{
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, "%s%s", separator, more);
}

static enum syncline_status status_of_sqlite(int rc, const char **cure)
{
    *cure = NULL;
    if (rc == SQLITE_IOERR_NOMEM)
        return SYNCLINE_ENOMEM;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        *cure = "the disk is full: make room and run it again";
        return SYNCLINE_ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        *cure = "another program holds the write lock: let it finish and run it again";
        return SYNCLINE_EBUSY;
    case SQLITE_NOMEM:
        return SYNCLINE_ENOMEM;
    case SQLITE_IOERR:
        *cure = "the file could not be read or written: check the disk and run it again";
        return SYNCLINE_EIO;
    case SQLITE_CANTOPEN:
        *cure = "check that the file and its folder are there and may be written";
        return SYNCLINE_EIO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        *cure = "give this user the right to write the file and its folder";
        return SYNCLINE_EDB;
    case SQLITE_NOTADB:
        *cure = "give a library's folder";
        return SYNCLINE_EFORMAT;
    case SQLITE_CORRUPT:
        *cure = "the file is damaged: take it from a backup, or join the library anew";
        return SYNCLINE_ECORRUPT;
    default:
        return SYNCLINE_EDB;
    }
}

enum syncline_status indexer_fail_db(struct indexer_error *err, struct sqlite3 *db, int rc,
                                     const char *format, ...)
{
    const char *cure = NULL;
    enum syncline_status status = status_of_sqlite(rc, &cure);
    if (err == NULL)
        return status;
    bool kept = db != NULL && (sqlite3_errcode(db) & 0xff) == (rc & 0xff);
    const char *reason = kept ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    append(err, ": ", reason);
    if (cure != NULL)
        append(err, "; ", cure);
    return status;
}

enum syncline_status indexer_fail_sync(struct indexer_error *err, struct syncline *lib,
                                       enum syncline_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    char reason[512] = "";
    if (lib != NULL)
        syncline_error(lib, reason, sizeof(reason));
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    append(err, ": ", reason[0] != '\0' ? reason : syncline_status_text(status));
    return status;
}

enum syncline_status indexer_fail_errno(struct indexer_error *err, int error_number,
                                        const char *format, ...)
{
    if (err != NULL) {
        char reason[128];
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        append(err, ": ", strerror_r(error_number, reason, sizeof(reason)));
    }
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return SYNCLINE_ENOSPC;
    case ENOENT:
        return SYNCLINE_ENOTFOUND;
    case ENOMEM:
        return SYNCLINE_ENOMEM;
    default:
        return SYNCLINE_EIO;
    }
}
