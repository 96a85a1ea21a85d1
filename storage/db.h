/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One SQLite connection: opening, statements, and SQLite's errors in our words. A connection
 * belongs to one thread at a time. Statements are made once and kept (sl_db_stmt) or used once. */

#ifndef SL_DB_H
#define SL_DB_H

#include <sqlite3.h>

#include "base/env.h"
#include "base/status.h"

enum sl_db_mode { SL_DB_READ, SL_DB_WRITE, SL_DB_CREATE };

struct sl_db {
    sqlite3 *handle;   /* NULL: closed */
    const char *name;  /* for error texts: "library.db", "sync.db"; borrowed, static */
    bool *sync_failed; /* set when a sync fails: what was to be on the disk may not be, and the
                          handle is finished. NULL: nobody wants to know */
};

/* Opens `path` on the environment's VFS with extended error codes and foreign keys on; sets no
 * journal mode. Errors: ENOTFOUND, EDB, EFORMAT (not a database), EIO, ENOMEM. */
enum syncline_status sl_db_open(struct sl_db *db, const struct sl_env *env, const char *path,
                                const char *name, enum sl_db_mode mode, uint32_t busy_timeout_ms,
                                struct sl_error *err);
/* A connection of the application, borrowed. */
struct sl_db sl_db_borrow(sqlite3 *handle, const char *name);
/* Idempotent. All statements must be finalized. */
void sl_db_close(struct sl_db *db);

/* Our status for an SQLite result code; the text names file, what was tried, and SQLite's message.
 * EBUSY, ENOSPC, EIO, ENOMEM, ECORRUPT, EFORMAT or EDB. */
enum syncline_status sl_db_fail(const struct sl_db *db, int code, const char *tried,
                                struct sl_error *err);

enum syncline_status sl_db_exec(const struct sl_db *db, const char *sql, struct sl_error *err);
/* Foreign keys are checked at the end of the transaction under way, all of them. Statements that
 * are kept stay as they are. */
enum syncline_status sl_db_defer_keys(const struct sl_db *db, struct sl_error *err);
/* Prepares into *stmt, to be finalized by the caller. `keep`: it will live long. */
enum syncline_status sl_db_prepare(const struct sl_db *db, const char *sql, bool keep,
                                   sqlite3_stmt **stmt, struct sl_error *err);
/* Steps a statement that returns no row, and resets it and its bindings. */
enum syncline_status sl_db_run(const struct sl_db *db, sqlite3_stmt *stmt, struct sl_error *err);
/* Steps a statement for its next row: *row says whether there is one. Resets it when there is not,
 * and on failure. */
enum syncline_status sl_db_row(const struct sl_db *db, sqlite3_stmt *stmt, bool *row,
                               struct sl_error *err);
/* Resets a statement and its bindings, whatever its state. NULL is allowed. */
void sl_db_reset(sqlite3_stmt *stmt);
/* Checks the whole database (quick_check): ECORRUPT. Reads all of it; what cannot be read is EIO,
 * and says nothing of damage. */
enum syncline_status sl_db_check(const struct sl_db *db, struct sl_error *err);
/* Moves the WAL into the database file, all of it, and empties it. EBUSY: somebody reads or writes.
 */
enum syncline_status sl_db_empty_wal(const struct sl_db *db, struct sl_error *err);
/* The integer of a one-row query, or `missing` when there is no row. */
enum syncline_status sl_db_int64(const struct sl_db *db, const char *sql, int64_t missing,
                                 int64_t *value, struct sl_error *err);

/* A UUID column or parameter: a 16-byte blob. */
bool sl_column_uuid(sqlite3_stmt *stmt, int column, struct syncline_uuid *uuid);
void sl_bind_uuid(sqlite3_stmt *stmt, int parameter, const struct syncline_uuid *uuid);

/* ---- A table of statements, prepared when first used ---- */

#define SL_STATEMENT_COUNT_MAX 40

struct sl_statements {
    const char *const *sql; /* borrowed, static: one text per number */
    sqlite3_stmt *stmt[SL_STATEMENT_COUNT_MAX];
};

/* Is the statement there, and of this connection? One of a connection that was replaced since
 * (stages/reopen) is finalized, and NULL then, as it is before it is first prepared. */
bool sl_db_is_prepared(const struct sl_db *db, sqlite3_stmt **stmt);
/* The statement of that number, ready to bind; owned by the table. */
enum syncline_status sl_statement(const struct sl_db *db, struct sl_statements *statements,
                                  unsigned number, sqlite3_stmt **stmt, struct sl_error *err);
void sl_statements_fini(struct sl_statements *statements);

#endif
