/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/removal.h"

#include "indexer/schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define CALL_SIZE 1000u /* rows that one call to Syncline names, at most */

static const char count_sql[] =
    "WITH RECURSIVE tree(id) AS (SELECT id FROM main.entries WHERE id = ?1 UNION ALL"
    " SELECT e.id FROM tree JOIN main.entries e ON e.parent_id = tree.id)"
    " SELECT count(*) FROM tree";
static const char find_sql[] = "SELECT id, uuid FROM main.entries WHERE id = ?1";
static const char child_sql[] = "SELECT id, uuid FROM main.entries WHERE parent_id = ?1 LIMIT 1";
static const char remove_sql[] = "DELETE FROM main.entries WHERE id = ?1";
static const char give_up_sql[] = "DELETE FROM main.locations WHERE id = ?1";

static enum syncline_status no_memory(struct indexer_error *err)
{
    return indexer_fail(err, SYNCLINE_ENOMEM,
                        "out of memory: use a smaller batch size or end other programs");
}

enum syncline_status indexer_removal_init(struct indexer_removal *removal, struct syncline *lib,
                                          struct sqlite3 *db, uint64_t size,
                                          struct indexer_error *err)
{
    *removal = (struct indexer_removal){
        .lib = lib, .db = db, .size = size != 0 ? size : INDEXER_REMOVAL_SIZE};
    removal->rows = calloc(CALL_SIZE, sizeof(*removal->rows));
    if (removal->rows == NULL)
        return no_memory(err);
    int rc = sqlite3_prepare_v2(db, count_sql, -1, &removal->count, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, find_sql, -1, &removal->find, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, child_sql, -1, &removal->child, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, remove_sql, -1, &removal->remove, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, give_up_sql, -1, &removal->give_up, NULL);
    if (rc == SQLITE_OK)
        return SYNCLINE_OK;
    enum syncline_status status =
        indexer_fail_db(err, db, rc, "entries cannot be removed from library.db");
    indexer_removal_fini(removal);
    return status;
}

void indexer_removal_fini(struct indexer_removal *removal)
{
    sqlite3_finalize(removal->count);
    sqlite3_finalize(removal->find);
    sqlite3_finalize(removal->child);
    sqlite3_finalize(removal->remove);
    sqlite3_finalize(removal->give_up);
    free(removal->trees);
    free(removal->steps);
    free(removal->tops);
    free(removal->rows);
    *removal = (struct indexer_removal){0};
}

/* Room for one more; NULL: there is none, and the old array is as it was. */
static void *grow(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    size_t more = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = reallocarray(items, more, item_size);
    if (grown != NULL)
        *capacity = more;
    return grown;
}

enum syncline_status indexer_removal_add(struct indexer_removal *removal,
                                         const struct indexer_removal_tree *tree,
                                         struct indexer_error *err)
{
    struct indexer_removal_tree *trees =
        grow(removal->trees, removal->trees_count, &removal->trees_capacity, sizeof(*trees));
    if (trees == NULL)
        return no_memory(err);
    removal->trees = trees;
    sqlite3_bind_int64(removal->count, 1, tree->id);
    int rc = sqlite3_step(removal->count);
    uint64_t rows = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(removal->count, 0) : 0;
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_ROW)
        status =
            indexer_fail_db(err, removal->db, rc, "what is to be removed could not be counted");
    sqlite3_reset(removal->count);
    if (status != SYNCLINE_OK)
        return status;
    removal->left += tree->below_only && rows > 0 ? rows - 1 : rows;
    removal->trees[removal->trees_count++] = *tree;
    return SYNCLINE_OK;
}

/* Goes down to the row that the statement finds for this id, if there is one. */
static enum syncline_status step_down(struct indexer_removal *removal, struct sqlite3_stmt *stmt,
                                      int64_t id, bool *found, struct indexer_error *err)
{
    struct indexer_removal_step_down *steps =
        grow(removal->steps, removal->steps_count, &removal->steps_capacity, sizeof(*steps));
    if (steps == NULL)
        return no_memory(err);
    removal->steps = steps;
    sqlite3_bind_int64(stmt, 1, id);
    int rc = sqlite3_step(stmt);
    *found = rc == SQLITE_ROW;
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW) {
        struct indexer_removal_step_down *step = &steps[removal->steps_count++];
        step->id = sqlite3_column_int64(stmt, 0);
        memcpy(step->uuid.bytes, sqlite3_column_blob(stmt, 1), sizeof(step->uuid.bytes));
    } else if (rc != SQLITE_DONE) {
        status = indexer_fail_db(err, removal->db, rc, "what is to be removed could not be read");
    }
    sqlite3_reset(stmt);
    return status;
}

static enum syncline_status remove_row(struct indexer_removal *removal, struct sqlite3_stmt *stmt,
                                       int64_t id, const char *what, struct indexer_error *err)
{
    sqlite3_bind_int64(stmt, 1, id);
    int rc = sqlite3_step(stmt);
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, removal->db, rc, "%s could not be removed", what);
    sqlite3_reset(stmt);
    return status;
}

/* Notes a row that is gone, in the place of those below it. */
static enum syncline_status add_top(struct indexer_removal *removal, size_t first_top,
                                    struct indexer_error *err)
{
    size_t depth = removal->steps_count - 1;
    while (removal->tops_count > first_top && removal->tops[removal->tops_count - 1].depth > depth)
        removal->tops_count--;
    struct indexer_removal_top *tops =
        grow(removal->tops, removal->tops_count, &removal->tops_capacity, sizeof(*tops));
    if (tops == NULL)
        return no_memory(err);
    removal->tops = tops;
    const struct indexer_removal_step_down *step = &removal->steps[depth];
    tops[removal->tops_count++] =
        (struct indexer_removal_top){.id = step->id, .uuid = step->uuid, .depth = depth};
    return SYNCLINE_OK;
}

/* Removes the row that the way down has ended at: it has nothing below it. *is_root: it was the
 * last one of its tree. */
static enum syncline_status remove_last(struct indexer_removal *removal, size_t first_top,
                                        uint64_t *rows, bool *is_root, struct indexer_error *err)
{
    const struct indexer_removal_tree *tree = &removal->trees[removal->next];
    enum syncline_status status = SYNCLINE_OK;
    *is_root = removal->steps_count == 1;
    if (*is_root && tree->below_only)
        return SYNCLINE_OK;
    if (*is_root && tree->location != 0)
        status = remove_row(removal, removal->give_up, tree->location, "the location", err);
    if (status == SYNCLINE_OK)
        status = remove_row(removal, removal->remove, removal->steps[removal->steps_count - 1].id,
                            "an entry", err);
    if (status == SYNCLINE_OK)
        status = add_top(removal, first_top, err);
    removal->steps_count--;
    *rows += status == SYNCLINE_OK ? 1 : 0;
    return status;
}

/* Removes rows of the next tree until it is gone or the piece is full. */
static enum syncline_status remove_tree(struct indexer_removal *removal, uint64_t *rows,
                                        struct indexer_error *err)
{
    size_t first_top = removal->tops_count;
    bool is_gone = false;
    bool found = false;
    removal->steps_count = 0;
    enum syncline_status status =
        step_down(removal, removal->find, removal->trees[removal->next].id, &found, err);
    is_gone = !found;
    while (status == SYNCLINE_OK && !is_gone && *rows < removal->size) {
        const struct indexer_removal_step_down *at = &removal->steps[removal->steps_count - 1];
        status = step_down(removal, removal->child, at->id, &found, err);
        if (status == SYNCLINE_OK && !found)
            status = remove_last(removal, first_top, rows, &is_gone, err);
    }
    removal->next += status == SYNCLINE_OK && is_gone ? 1 : 0;
    return status;
}

/* Tells Syncline of the rows whose folder is not in this piece. */
static enum syncline_status capture_tops(struct indexer_removal *removal, struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (removal->lib == NULL)
        return SYNCLINE_OK;
    for (size_t first = 0; first < removal->tops_count && status == SYNCLINE_OK;
         first += CALL_SIZE) {
        size_t count = 0;
        for (; count < CALL_SIZE && first + count < removal->tops_count; count++) {
            const struct indexer_removal_top *top = &removal->tops[first + count];
            removal->rows[count].id = top->id;
            removal->rows[count].uuid = top->uuid;
        }
        status = syncline_sync_models_batch(removal->lib, &indexer_entry_model, removal->rows,
                                            count, SYNCLINE_DELETE, removal->db, NULL);
        if (status != SYNCLINE_OK)
            indexer_fail_sync(err, removal->lib, status,
                              "the removal of %zu entries could not be synced", count);
    }
    return status;
}

/* One transaction, without its beginning and end. */
static enum syncline_status remove_piece(struct indexer_removal *removal, uint64_t *rows,
                                         struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    removal->tops_count = 0;
    while (status == SYNCLINE_OK && *rows < removal->size && removal->next < removal->trees_count)
        status = remove_tree(removal, rows, err);
    return status == SYNCLINE_OK ? capture_tops(removal, err) : status;
}

enum syncline_status indexer_removal_step(struct indexer_removal *removal, uint64_t *count,
                                          struct indexer_error *err)
{
    size_t next = removal->next;
    uint64_t rows = 0;
    *count = 0;
    if (next == removal->trees_count)
        return SYNCLINE_OK;
    enum syncline_status status = indexer_db_begin(removal->db, err);
    if (status != SYNCLINE_OK)
        return status;
    status = remove_piece(removal, &rows, err);
    if (status != SYNCLINE_OK)
        indexer_db_rollback(removal->db);
    else
        status = indexer_db_commit(removal->db, err);
    if (status != SYNCLINE_OK) {
        removal->next = next;
        return status;
    }
    /* What came or went since it was counted shows at the end only. */
    removal->left -= rows < removal->left ? rows : removal->left;
    if (removal->next == removal->trees_count)
        removal->left = 0;
    else if (removal->left == 0)
        removal->left = 1;
    *count = rows;
    return SYNCLINE_OK;
}
