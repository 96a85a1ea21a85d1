/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Error texts of the reference application: one line in a buffer of the caller's, which names the
 * thing and the cure. */

#ifndef INDEXER_ERROR_H
#define INDEXER_ERROR_H

#include "include/syncline.h"
#include "indexer/text.h"

struct sqlite3;

#define INDEXER_ERROR_SIZE 1024u

struct indexer_error {
    char text[INDEXER_ERROR_SIZE]; /* one line of UTF-8, NUL-terminated; "" when nothing failed */
};

/* Writes the text and returns `status`, so that a failing path is one line. err may be NULL. */
enum syncline_status indexer_fail(struct indexer_error *err, enum syncline_status status,
                                  const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a call to SQLite that returned `rc` on `db` (may be NULL): "<text>: <what SQLite
 * says>; <cure>". Returns the status that fits rc: ENOSPC, EBUSY, ENOMEM, EIO, EFORMAT, ECORRUPT or
 * EDB. Call it before anything else is done with `db`. err may be NULL. */
enum syncline_status indexer_fail_db(struct indexer_error *err, struct sqlite3 *db, int rc,
                                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same for a Syncline call that returned `status`: "<text>: <what the library says>". */
enum syncline_status indexer_fail_sync(struct indexer_error *err, struct syncline *lib,
                                       enum syncline_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a system call that failed with `error_number`: "<text>: <strerror>". Returns ENOSPC
 * for a full disk or quota, ENOTFOUND for ENOENT, ENOMEM, else EIO. */
enum syncline_status indexer_fail_errno(struct indexer_error *err, int error_number,
                                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
