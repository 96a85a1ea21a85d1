/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The entries that the database has in one folder, in the order of their names: what a walk is
 * merged with. One thread; `load` blocks on the disk. */

#ifndef INDEXER_FOLDER_ROWS_H
#define INDEXER_FOLDER_ROWS_H

#include "indexer/arena.h"
#include "indexer/error.h"
#include "indexer/models.h"

struct sqlite3;
struct sqlite3_stmt;

struct indexer_folder_rows {
    struct sqlite3 *db;          /* the caller's */
    struct sqlite3_stmt *select; /* ours; NULL before the first load */
    struct entry_row *rows;      /* by name, ours */
    size_t count;                /* there */
    size_t capacity;             /* there is room for */
    size_t next;                 /* the first that was not looked for or passed */
    struct indexer_arena arena;  /* the rows' bytes */
};

void indexer_folder_rows_init(struct indexer_folder_rows *rows, struct sqlite3 *db);
void indexer_folder_rows_fini(struct indexer_folder_rows *rows);

/* Reads what is in the folder with this id. Errors: EDB, EIO, EBUSY, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_folder_rows_load(struct indexer_folder_rows *rows,
                                                                int64_t folder_id,
                                                                struct indexer_error *err);

/* Makes it a folder of which nothing is known; costs nothing. */
void indexer_folder_rows_clear(struct indexer_folder_rows *rows);

/* The next row whose name is before `name` (any rest if name.data is NULL); NULL: no more. */
const struct entry_row *indexer_folder_rows_before(struct indexer_folder_rows *rows,
                                                   struct syncline_bytes name);

/* The row with this name, or NULL. Names must be asked for in their order; dies at the next load.
 */
const struct entry_row *indexer_folder_rows_find(struct indexer_folder_rows *rows,
                                                 struct syncline_bytes name);

/* What every statement that reads whole entries selects, and how a row of it is read: the bytes
 * live until the statement is stepped. */
#define INDEXER_ENTRY_COLUMNS                                                                      \
    "id, uuid, parent_id, name, kind, size, link_target, created_at, modified_at, file_key"
void indexer_entry_read(struct sqlite3_stmt *stmt, struct entry_row *row);

bool indexer_bytes_equal(struct syncline_bytes a, struct syncline_bytes b);

#endif
