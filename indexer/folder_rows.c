/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/folder_rows.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

void indexer_folder_rows_init(struct indexer_folder_rows *rows, struct sqlite3 *db)
{
    *rows = (struct indexer_folder_rows){.db = db};
}

void indexer_folder_rows_fini(struct indexer_folder_rows *rows)
{
    sqlite3_finalize(rows->select);
    free(rows->rows);
    indexer_arena_fini(&rows->arena);
    *rows = (struct indexer_folder_rows){0};
}

void indexer_folder_rows_clear(struct indexer_folder_rows *rows)
{
    rows->count = 0;
    rows->next = 0;
    indexer_arena_clear(&rows->arena);
}

static struct syncline_bytes column_bytes(sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return (struct syncline_bytes){0};
    const void *data = sqlite3_column_blob(stmt, column); /* NULL for an empty value */
    return (struct syncline_bytes){.data = data != NULL ? data : "",
                                   .len = (size_t)sqlite3_column_bytes(stmt, column)};
}

void indexer_entry_read(struct sqlite3_stmt *stmt, struct entry_row *row)
{
    *row = (struct entry_row){
        .id = sqlite3_column_int64(stmt, 0),
        .parent_id = {.value = sqlite3_column_int64(stmt, 2),
                      .is_set = sqlite3_column_type(stmt, 2) != SQLITE_NULL},
        .name = column_bytes(stmt, 3),
        .kind = sqlite3_column_int64(stmt, 4),
        .size = sqlite3_column_int64(stmt, 5),
        .link_target = column_bytes(stmt, 6),
        .created_at = sqlite3_column_int64(stmt, 7),
        .modified_at = sqlite3_column_int64(stmt, 8),
        .file_key = sqlite3_column_int64(stmt, 9), /* NULL: 0 */
    };
    struct syncline_bytes uuid = column_bytes(stmt, 1);
    if (uuid.len == sizeof(row->uuid.bytes))
        memcpy(row->uuid.bytes, uuid.data, uuid.len);
}

/* Keeps a row beyond its statement. */
static bool add_row(struct indexer_folder_rows *rows, const struct entry_row *row)
{
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity == 0 ? 256 : rows->capacity * 2;
        void *memory = reallocarray(rows->rows, capacity, sizeof(*rows->rows));
        if (memory == NULL)
            return false;
        rows->rows = memory;
        rows->capacity = capacity;
    }
    struct entry_row *kept = &rows->rows[rows->count];
    *kept = *row;
    if (!indexer_arena_copy(&rows->arena, row->name, &kept->name) ||
        !indexer_arena_copy(&rows->arena, row->link_target, &kept->link_target))
        return false;
    rows->count++;
    return true;
}

enum syncline_status indexer_folder_rows_load(struct indexer_folder_rows *rows, int64_t folder_id,
                                              struct indexer_error *err)
{
    indexer_folder_rows_clear(rows);
    int rc = SQLITE_OK;
    if (rows->select == NULL)
        rc = sqlite3_prepare_v3(rows->db,
                                "SELECT " INDEXER_ENTRY_COLUMNS " FROM entries"
                                " WHERE parent_id = ?1 ORDER BY name, id",
                                -1, SQLITE_PREPARE_PERSISTENT, &rows->select, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(rows->select, 1, folder_id);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(rows->select);
        struct entry_row row;
        if (rc != SQLITE_ROW)
            break;
        indexer_entry_read(rows->select, &row);
        if (!add_row(rows, &row))
            rc = SQLITE_NOMEM;
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, rows->db, rc, "the entries of a folder could not be read");
    sqlite3_reset(rows->select);
    return status;
}

static int compare_bytes(struct syncline_bytes a, struct syncline_bytes b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

const struct entry_row *indexer_folder_rows_before(struct indexer_folder_rows *rows,
                                                   struct syncline_bytes name)
{
    if (rows->next == rows->count)
        return NULL;
    const struct entry_row *row = &rows->rows[rows->next];
    if (name.data != NULL && compare_bytes(row->name, name) >= 0)
        return NULL;
    rows->next++;
    return row;
}

const struct entry_row *indexer_folder_rows_find(struct indexer_folder_rows *rows,
                                                 struct syncline_bytes name)
{
    while (indexer_folder_rows_before(rows, name) != NULL)
        continue;
    if (rows->rows == NULL || rows->next == rows->count)
        return NULL;
    if (compare_bytes(rows->rows[rows->next].name, name) != 0)
        return NULL;
    return &rows->rows[rows->next++];
}

bool indexer_bytes_equal(struct syncline_bytes a, struct syncline_bytes b)
{
    if (a.data == NULL || b.data == NULL)
        return a.data == b.data;
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}
