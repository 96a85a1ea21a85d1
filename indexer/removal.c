/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/removal.h"

#include "indexer/schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* In the order of its key the deepest come first. */
static const char list_sql[] =
    "CREATE TEMP TABLE IF NOT EXISTS indexer_removal("
    " height INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(height, id)) WITHOUT ROWID;"
    "DELETE FROM temp.indexer_removal;";
static const char add_sql[] =
    "INSERT INTO temp.indexer_removal"
    " WITH RECURSIVE tree(height, id) AS (SELECT 0, ?1 UNION ALL"
    " SELECT tree.height - 1, e.id FROM tree JOIN main.entries e ON e.parent_id = tree.id)"
    " SELECT height, id FROM tree WHERE height < ?2";
static const char next_sql[] =
    "SELECT r.height, r.id, e.uuid FROM temp.indexer_removal r"
    " CROSS JOIN main.entries e ON e.id = r.id ORDER BY r.height, r.id LIMIT ?1";
static const char drop_sql[] =
    "DELETE FROM temp.indexer_removal WHERE height < ?1 OR (height = ?1 AND id <= ?2)";

enum syncline_status indexer_removal_init(struct indexer_removal *removal, struct syncline *lib,
                                          struct sqlite3 *db, size_t size,
                                          struct indexer_error *err)
{
    *removal = (struct indexer_removal){.lib = lib, .db = db, .size = size};
    removal->rows = calloc(size, sizeof(*removal->rows));
    if (removal->rows == NULL)
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for a batch of %zu rows: use less",
                            size);
    int rc = sqlite3_exec(db, list_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, add_sql, -1, &removal->add, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, next_sql, -1, &removal->next, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "DELETE FROM main.entries WHERE id = ?1", -1, &removal->remove,
                                NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, drop_sql, -1, &removal->drop, NULL);
    if (rc == SQLITE_OK)
        return SYNCLINE_OK;
    enum syncline_status status =
        indexer_fail_db(err, db, rc, "entries cannot be removed from library.db");
    indexer_removal_fini(removal);
    return status;
}

void indexer_removal_fini(struct indexer_removal *removal)
{
    sqlite3_finalize(removal->add);
    sqlite3_finalize(removal->next);
    sqlite3_finalize(removal->remove);
    sqlite3_finalize(removal->drop);
    /* A table that stays, for want of memory, is emptied before it is used again. */
    if (removal->db != NULL)
        sqlite3_exec(removal->db, "DROP TABLE IF EXISTS temp.indexer_removal", NULL, NULL, NULL);
    free(removal->rows);
    *removal = (struct indexer_removal){0};
}

enum syncline_status indexer_removal_add(struct indexer_removal *removal, int64_t id,
                                         bool below_only, struct indexer_error *err)
{
    sqlite3_stmt *stmt = removal->add;
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_int64(stmt, 2, below_only ? 0 : 1);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_DONE)
        removal->left += (uint64_t)sqlite3_changes64(removal->db);
    sqlite3_reset(stmt);
    if (rc == SQLITE_DONE)
        return SYNCLINE_OK;
    return indexer_fail_db(err, removal->db, rc, "what is to be removed could not be listed");
}

/* Reads the next rows; *height and *id are those of the last. */
static enum syncline_status read_rows(struct indexer_removal *removal, size_t *count,
                                      int64_t *height, struct indexer_error *err)
{
    sqlite3_stmt *stmt = removal->next;
    size_t rows = 0;
    int rc = sqlite3_bind_int64(stmt, 1, (int64_t)removal->size);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct entry_row *row = &removal->rows[rows++];
        *row = (struct entry_row){.id = sqlite3_column_int64(stmt, 1)};
        *height = sqlite3_column_int64(stmt, 0);
        memcpy(row->uuid.bytes, sqlite3_column_blob(stmt, 2), sizeof(row->uuid.bytes));
        rc = SQLITE_OK;
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, removal->db, rc, "what is to be removed could not be read");
    sqlite3_reset(stmt);
    *count = rows;
    return status;
}

static enum syncline_status remove_rows(struct indexer_removal *removal, size_t count,
                                        struct indexer_error *err)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64(removal->remove, 1, removal->rows[i].id);
        int rc = sqlite3_step(removal->remove);
        enum syncline_status status = SYNCLINE_OK;
        if (rc != SQLITE_DONE)
            status = indexer_fail_db(err, removal->db, rc, "an entry could not be removed");
        sqlite3_reset(removal->remove);
        if (status != SYNCLINE_OK)
            return status;
    }
    if (removal->lib == NULL)
        return SYNCLINE_OK;
    enum syncline_status status =
        syncline_sync_models_batch(removal->lib, &indexer_entry_model, removal->rows, count,
                                   SYNCLINE_DELETE, removal->db, NULL);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, removal->lib, status,
                                 "the removal of %zu entries could not be synced", count);
    return SYNCLINE_OK;
}

/* Drops from the list what is gone, up to the last row that was read. */
static enum syncline_status drop_rows(struct indexer_removal *removal, int64_t height, int64_t id,
                                      struct indexer_error *err)
{
    sqlite3_bind_int64(removal->drop, 1, height);
    sqlite3_bind_int64(removal->drop, 2, id);
    int rc = sqlite3_step(removal->drop);
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, removal->db, rc, "the list of entries could not be written");
    sqlite3_reset(removal->drop);
    return status;
}

enum syncline_status indexer_removal_step(struct indexer_removal *removal, uint64_t *count,
                                          struct indexer_error *err)
{
    size_t rows = 0;
    int64_t height = 0;
    *count = 0;
    enum syncline_status status = read_rows(removal, &rows, &height, err);
    if (status != SYNCLINE_OK || rows == 0)
        return status;
    status = indexer_db_begin(removal->db, err);
    if (status != SYNCLINE_OK)
        return status;
    status = remove_rows(removal, rows, err);
    if (status == SYNCLINE_OK)
        status = drop_rows(removal, height, removal->rows[rows - 1].id, err);
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(removal->db);
        return status;
    }
    status = indexer_db_commit(removal->db, err);
    if (status != SYNCLINE_OK)
        return status;
    removal->left -= rows < removal->left ? rows : removal->left;
    *count = rows;
    return SYNCLINE_OK;
}
