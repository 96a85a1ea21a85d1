/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A second walk, merged folder by folder with the rows. Nothing is taken from the indexing's own
 * merge but the reading of rows; at the end the rows met must be all that the location's tree has,
 * so that nothing hides below an entry that the walk did not enter. */

#include "indexer/compare.h"

#include "indexer/folder_rows.h"
#include "indexer/schema.h"
#include "indexer/walker.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A folder's tag in the walk is its entries.id; NOT_THERE for one that the library has not. */
#define NOT_THERE 0u

#define PATH_SIZE 240u /* bytes of a description's path */
#define NAME_SIZE 160u /* bytes of its last part */

struct comparison {
    struct sqlite3 *db;                 /* the caller's */
    const char *path;                   /* absolute, without links */
    const struct syncline_uuid *device; /* whose location; NULL: any */
    struct indexer_comparison *result;  /* of the caller */
    struct indexer_error *err;          /* the caller's */
    enum syncline_status status;        /* why the walk was ended */
    int64_t root_id;                    /* entries.id of the location's folder */
    int64_t folder_id;                  /* of the folder being merged */
    uint64_t met;                       /* rows met, or counted below one that is gone */
    struct indexer_folder_rows rows;    /* of that folder */
    sqlite3_stmt *count;                /* entries in a tree, ours */
    sqlite3_stmt *above;                /* parent and name of an entry, ours */
};

/* Puts "folder/" in front of the text, up to the walked folder, as far as there is room. */
static void prefix_folders(struct comparison *run, int64_t folder_id, char text[PATH_SIZE])
{
    for (int64_t id = folder_id; id != NOT_THERE && id != run->root_id;) {
        sqlite3_bind_int64(run->above, 1, id);
        char name[PATH_SIZE] = "?";
        id = NOT_THERE;
        if (sqlite3_step(run->above) == SQLITE_ROW) {
            id = sqlite3_column_int64(run->above, 0);
            indexer_escape(name, sizeof(name), sqlite3_column_blob(run->above, 1),
                           (size_t)sqlite3_column_bytes(run->above, 1));
        }
        sqlite3_reset(run->above);
        size_t len = strlen(name);
        bool is_cut = len + 1 + strlen(text) + strlen(".../") >= PATH_SIZE;
        if (is_cut)
            len = strlen(strcpy(name, "..."));
        memmove(text + len + 1, text, strlen(text) + 1);
        *(char *)mempcpy(text, name, len) = '/';
        if (is_cut)
            return;
    }
}

/* Counts a difference; describes it while there is room. */
static void differ(struct comparison *run, struct syncline_bytes name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void differ(struct comparison *run, struct syncline_bytes name, const char *format, ...)
{
    struct indexer_comparison *result = run->result;
    result->differences++;
    if (result->named == INDEXER_DIFFERENCES_NAMED)
        return;
    char path[PATH_SIZE];
    char what[128];
    indexer_escape(path, NAME_SIZE, name.data, name.len);
    prefix_folders(run, run->folder_id, path);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    snprintf(result->text[result->named++], INDEXER_DIFFERENCE_SIZE, "%s: %s", path, what);
}

/* Entries in the tree below and with `id`. */
static enum syncline_status count_tree(struct comparison *run, int64_t id, uint64_t *count)
{
    int rc = sqlite3_bind_int64(run->count, 1, id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(run->count);
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW)
        *count = (uint64_t)sqlite3_column_int64(run->count, 0);
    else
        status = indexer_fail_db(run->err, run->db, rc, "the entries could not be counted");
    sqlite3_reset(run->count);
    return status;
}

/* A row whose name is not on the disk: it counts with everything below it. */
static enum syncline_status only_in_library(struct comparison *run, const struct entry_row *row)
{
    uint64_t count = 0;
    enum syncline_status status = count_tree(run, row->id, &count);
    if (status != SYNCLINE_OK)
        return status;
    if (count == 1)
        differ(run, row->name, "only in the library");
    else
        differ(run, row->name, "only in the library, with %llu entries below it",
               (unsigned long long)(count - 1));
    run->result->differences += count - 1;
    run->met += count;
    return SYNCLINE_OK;
}

/* All rows before `name` are not on the disk; without a name, the rest. */
static enum syncline_status pass_rows(struct comparison *run, struct syncline_bytes name)
{
    const struct entry_row *row = NULL;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && (row = indexer_folder_rows_before(&run->rows, name)) != NULL)
        status = only_in_library(run, row);
    return status;
}

static void compare_entry(struct comparison *run, const struct indexer_walk_entry *entry,
                          const struct entry_row *row)
{
    run->met++;
    if (row->kind != (int64_t)entry->kind)
        differ(run, entry->name, "kind %d on disk, %lld in the library", (int)entry->kind,
               (long long)row->kind);
    else if (row->size != entry->size)
        differ(run, entry->name, "size %lld on disk, %lld in the library", (long long)entry->size,
               (long long)row->size);
    else if (!indexer_bytes_equal(row->link_target, entry->link_target))
        differ(run, entry->name, "another link target on disk than in the library");
    else if (row->modified_at != entry->modified_at && !entry->is_skipped)
        differ(run, entry->name, "modified at %lld on disk, %lld in the library (ms)",
               (long long)entry->modified_at, (long long)row->modified_at);
}

/* Finds the location of the path, and compares the walked folder itself. */
static enum syncline_status compare_root(struct comparison *run,
                                         const struct indexer_walk_entry *entry, uint64_t *tag)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(run->db,
                                "SELECT e.id, e.uuid, e.parent_id, e.name, e.kind, e.size,"
                                " e.link_target, e.created_at, e.modified_at, e.file_key"
                                " FROM locations l JOIN devices d ON d.id = l.device_id"
                                " JOIN entries e ON e.id = l.entry_id"
                                " WHERE l.path = ?1 AND (?2 IS NULL OR d.uuid = ?2)",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob64(stmt, 1, run->path, strlen(run->path), SQLITE_STATIC);
        if (run->device != NULL)
            sqlite3_bind_blob(stmt, 2, run->device->bytes, 16, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    struct entry_row row = {0};
    if (rc == SQLITE_ROW) {
        indexer_entry_read(stmt, &row);
        run->root_id = row.id;
        run->folder_id = row.id;
        *tag = (uint64_t)row.id;
        compare_entry(run, entry, &row);
        if (!indexer_bytes_equal(row.name, entry->name))
            differ(run, entry->name, "another name in the library");
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW)
        status = indexer_fail(run->err, SYNCLINE_EINVAL,
                              "several locations have this path: name the device that is meant");
    else if (rc != SQLITE_DONE)
        status = indexer_fail_db(run->err, run->db, rc, "the locations could not be read");
    else if (run->root_id == 0)
        status = indexer_fail(run->err, SYNCLINE_ENOTFOUND,
                              "the library has no location with this path: add it first");
    sqlite3_finalize(stmt);
    return status;
}

static enum indexer_walk_next next_after(struct comparison *run, enum syncline_status status)
{
    run->status = status;
    return status == SYNCLINE_OK ? INDEXER_WALK_ON : INDEXER_WALK_STOP;
}

static enum indexer_walk_next on_entry(void *ctx, const struct indexer_walk_entry *entry,
                                       uint64_t *tag)
{
    struct comparison *run = ctx;
    run->result->compared++;
    if (entry->is_root)
        return next_after(run, compare_root(run, entry, tag));
    if (entry->folder_tag == NOT_THERE) { /* the folder was described */
        run->result->differences++;
        return INDEXER_WALK_ON;
    }
    enum syncline_status status = pass_rows(run, entry->name);
    if (status != SYNCLINE_OK)
        return next_after(run, status);
    const struct entry_row *row = indexer_folder_rows_find(&run->rows, entry->name);
    if (row == NULL) {
        differ(run, entry->name, "only on disk");
        return INDEXER_WALK_ON;
    }
    compare_entry(run, entry, row);
    *tag = (uint64_t)row->id;
    return INDEXER_WALK_ON;
}

static enum indexer_walk_next on_enter(void *ctx, uint64_t folder_tag)
{
    struct comparison *run = ctx;
    run->folder_id = (int64_t)folder_tag;
    indexer_folder_rows_clear(&run->rows);
    if (folder_tag == NOT_THERE)
        return INDEXER_WALK_ON;
    return next_after(run, indexer_folder_rows_load(&run->rows, run->folder_id, run->err));
}

static enum indexer_walk_next on_leave(void *ctx, uint64_t folder_tag, bool is_whole)
{
    struct comparison *run = ctx;
    (void)folder_tag, (void)is_whole;
    return next_after(run, pass_rows(run, (struct syncline_bytes){0}));
}

/* What the location has and the walk did not come by. */
static enum syncline_status compare_totals(struct comparison *run)
{
    uint64_t count = 0;
    enum syncline_status status = count_tree(run, run->root_id, &count);
    if (status != SYNCLINE_OK || count == run->met)
        return status;
    uint64_t more = count > run->met ? count - run->met : run->met - count;
    struct syncline_bytes name = {.data = run->path, .len = strlen(run->path)};
    run->folder_id = NOT_THERE;
    differ(run, name, "%llu more entries in the library, below what cannot be entered",
           (unsigned long long)more);
    run->result->differences += more - 1;
    return SYNCLINE_OK;
}

static enum syncline_status prepare(struct comparison *run)
{
    indexer_folder_rows_init(&run->rows, run->db);
    int rc = sqlite3_prepare_v2(run->db,
                                "WITH RECURSIVE tree(id) AS (SELECT ?1 UNION"
                                " SELECT e.id FROM entries e JOIN tree ON e.parent_id = tree.id)"
                                " SELECT count(*) FROM tree",
                                -1, &run->count, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(run->db, "SELECT parent_id, name FROM entries WHERE id = ?1", -1,
                                &run->above, NULL);
    if (rc != SQLITE_OK)
        return indexer_fail_db(run->err, run->db, rc, "the entries cannot be read");
    return SYNCLINE_OK;
}

/* The walk and the comparison, in the caller's read transaction. */
static enum syncline_status compare(struct comparison *run, struct indexer_walk_options *walk)
{
    enum syncline_status status = prepare(run);
    struct indexer_walk_stats stats = {0};
    struct indexer_error walk_error = {0};
    if (status == SYNCLINE_OK) {
        status = indexer_walk(run->path, walk, &stats, &walk_error);
        if (status != SYNCLINE_OK)
            indexer_fail(run->err, status, "%s", walk_error.text);
    }
    if (status == SYNCLINE_OK)
        status = run->status;
    if (status == SYNCLINE_OK && stats.stopped)
        status = indexer_fail(run->err, SYNCLINE_AGAIN, "the comparison was stopped");
    if (status == SYNCLINE_OK)
        status = compare_totals(run);
    run->result->unreadable = stats.unreadable;
    sqlite3_finalize(run->count);
    sqlite3_finalize(run->above);
    indexer_folder_rows_fini(&run->rows);
    return status;
}

enum syncline_status indexer_compare_with_folder(struct sqlite3 *db, const char *path,
                                                 const struct indexer_compare_options *options,
                                                 struct indexer_comparison *out,
                                                 struct indexer_error *err)
{
    static const struct indexer_compare_options defaults = {0};
    const struct indexer_compare_options *given = options != NULL ? options : &defaults;
    struct indexer_comparison result = {0};
    char *resolved = NULL;
    enum syncline_status status = indexer_walk_resolve(path, &resolved, err);
    if (status != SYNCLINE_OK)
        return status;
    char *dir = indexer_db_dir(db);
    const char **skip = calloc(given->skip_count + 1, sizeof(*skip));
    if (skip == NULL) {
        status = indexer_fail(err, SYNCLINE_ENOMEM, "out of memory");
        goto err_free;
    }
    for (size_t i = 0; i < given->skip_count; i++)
        skip[i] = given->skip[i];
    if (dir != NULL)
        skip[given->skip_count] = dir;
    struct comparison run = {
        .db = db, .path = resolved, .device = given->device, .result = &result, .err = err};
    struct indexer_walk_options walk = {.ctx = &run,
                                        .entry = on_entry,
                                        .enter = on_enter,
                                        .leave = on_leave,
                                        .skip = skip,
                                        .skip_count = given->skip_count + (dir != NULL ? 1 : 0),
                                        .stop = given->stop};
    bool is_ours = sqlite3_get_autocommit(db) != 0; /* one snapshot for the whole comparison */
    int rc = is_ours ? sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) : SQLITE_OK;
    if (rc != SQLITE_OK) {
        status = indexer_fail_db(err, db, rc, "library.db cannot be read");
        indexer_db_rollback(db);
        goto err_free;
    }
    status = compare(&run, &walk);
    if (is_ours)
        indexer_db_rollback(db);
    if (status == SYNCLINE_OK)
        *out = result;

err_free:
    free(skip);
    free(dir);
    free(resolved);
    return status;
}
