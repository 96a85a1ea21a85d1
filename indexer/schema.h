/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The reference application's database: library.db, its tables, and the rules for a connection. */

#ifndef INDEXER_SCHEMA_H
#define INDEXER_SCHEMA_H

#include "indexer/error.h"

struct sqlite3;

#define INDEXER_SCHEMA_VERSION 2 /* PRAGMA user_version of library.db */
#define INDEXER_DB_NAME "library.db"
#define INDEXER_BUSY_TIMEOUT_MS 5000

enum indexer_db_flags {
    INDEXER_DB_CREATE = 1,   /* make library.db, in WAL mode, if it is missing or empty */
    INDEXER_DB_READ_ONLY = 2 /* change nothing, make no tables */
};

/* Opens `dir`/library.db by the rules for hosts: foreign keys on, busy timeout 5 s, synchronous
 * FULL, and a journal mode that must be WAL already. Makes the tables that are missing, in one
 * transaction (not with READ_ONLY), and checks that those there have the columns of the models.
 * On success *out is to be given to indexer_db_close. Blocks on the disk, and up to 5 s on the
 * write lock when tables are to be made.
 * Errors: ENOTFOUND (no such folder or no library.db there), EFORMAT (not a database, not in WAL
 * mode, tables of somebody else, a newer schema, or with READ_ONLY an older one), EBUSY, EIO,
 * ENOSPC, EDB. */
SYNCLINE_MUST_USE enum syncline_status
indexer_db_open(const char *dir, unsigned flags, struct sqlite3 **out, struct indexer_error *err);

/* Closes the connection; all its statements must be finalized. NULL is allowed. */
void indexer_db_close(struct sqlite3 *db);

/* Makes the tables on any connection, or brings those of an older version up to this one, in one
 * transaction of its own, and sets user_version. What is there stays. Errors: EFORMAT, EBUSY,
 * ENOSPC, EIO, EDB. */
SYNCLINE_MUST_USE enum syncline_status indexer_schema_create(struct sqlite3 *db,
                                                             struct indexer_error *err);

/* BEGIN IMMEDIATE, COMMIT and ROLLBACK with error texts. A COMMIT that fails is rolled back. */
SYNCLINE_MUST_USE enum syncline_status indexer_db_begin(struct sqlite3 *db,
                                                        struct indexer_error *err);
SYNCLINE_MUST_USE enum syncline_status indexer_db_commit(struct sqlite3 *db,
                                                         struct indexer_error *err);
void indexer_db_rollback(struct sqlite3 *db);

/* The folder that the connection's file is in; NULL if it has none (or no memory). The caller frees
 * it. */
char *indexer_db_dir(struct sqlite3 *db);

#endif
