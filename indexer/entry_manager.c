/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/entry_manager.h"

#include "indexer/folder_rows.h"
#include "indexer/walker.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What read_entry reads, of an entry e, its folder p, its location l and device d. */
#define COLUMNS                                                                                    \
    "e.id, e.uuid, e.parent_id, e.name, e.kind, e.size, e.link_target, e.created_at,"              \
    " e.modified_at, e.file_key, p.uuid, l.uuid, d.uuid, d.name"
#define COLUMNS_COUNT 14 /* then the path */

/* A folder's path and a name in it, as one path. */
#define JOIN_PATH(folder, name)                                                                    \
    "CASE " folder " WHEN '/' THEN '/' ELSE " folder " || '/' END || " name

/* Bytes are joined as text, which changes none of them. Deepest first makes it a tree's order,
 * which a join with anything else would not keep. */
static const char tree_sql[] =
    "WITH RECURSIVE tree(id, depth, name, path) AS ("
    " SELECT ?1, 0, NULL, CAST(?2 AS TEXT) UNION ALL"
    " SELECT c.id, tree.depth + 1, c.name, " JOIN_PATH(
        "tree.path", "CAST(c.name AS TEXT)") " FROM tree JOIN entries c ON c.parent_id = tree.id "
                                             "ORDER BY 2 DESC, 3)"
                                             " SELECT id, path FROM tree LIMIT ?3";

static const char entry_sql[] =
    "SELECT " COLUMNS " FROM entries e"
    " LEFT JOIN entries p ON p.id = e.parent_id"
    " JOIN locations l ON l.id = ?2 JOIN devices d ON d.id = l.device_id"
    " WHERE e.id = ?1";

static const char locations_sql[] =
    "SELECT l.id, l.entry_id, l.path FROM locations l JOIN devices d ON d.id = l.device_id"
    " WHERE ?1 IS NULL OR l.path = ?1 ORDER BY d.name, l.path, l.id";

/* The way up from an entry; `rest` is what has been passed. The last row is the root. */
static const char one_sql[] =
    "WITH RECURSIVE up(id, parent_id, name, rest) AS ("
    " SELECT id, parent_id, name, '' FROM entries WHERE id = ?1 UNION ALL"
    " SELECT c.id, c.parent_id, c.name, '/' || CAST(up.name AS TEXT) || up.rest"
    " FROM up JOIN entries c ON c.id = up.parent_id)"
    " SELECT " COLUMNS ", CASE WHEN l.path = x'2f' AND up.rest <> '' THEN up.rest"
    " ELSE CAST(l.path AS TEXT) || up.rest END"
    " FROM up CROSS JOIN entries e ON e.id = ?1 LEFT JOIN entries p ON p.id = e.parent_id"
    " LEFT JOIN locations l ON l.entry_id = up.id LEFT JOIN devices d ON d.id = l.device_id"
    " WHERE up.parent_id IS NULL ORDER BY l.id LIMIT 1";

static void read_uuid(sqlite3_stmt *stmt, int column, struct syncline_uuid *uuid)
{
    if (sqlite3_column_bytes(stmt, column) == (int)sizeof(uuid->bytes))
        memcpy(uuid->bytes, sqlite3_column_blob(stmt, column), sizeof(uuid->bytes));
}

/* All but the path. */
static void read_entry(sqlite3_stmt *stmt, struct indexer_entry *entry)
{
    *entry = (struct indexer_entry){0};
    indexer_entry_read(stmt, &entry->row);
    read_uuid(stmt, 10, &entry->parent);
    read_uuid(stmt, 11, &entry->location);
    read_uuid(stmt, 12, &entry->device);
    const char *name = (const char *)sqlite3_column_text(stmt, 13);
    entry->device_name = name != NULL ? name : "";
}

static struct syncline_bytes read_path(sqlite3_stmt *stmt, int column)
{
    const void *path = sqlite3_column_text(stmt, column);
    return (struct syncline_bytes){.data = path, .len = (size_t)sqlite3_column_bytes(stmt, column)};
}

/* What lists a location's entries. */
struct list {
    sqlite3_stmt *locations;
    sqlite3_stmt *tree;
    sqlite3_stmt *entry;
};

/* The entries of the location that list->locations stands on; *limit is what is left of it. */
static int list_location(struct list *list, uint64_t *limit, indexer_entry_fn each, void *ctx)
{
    sqlite3_bind_int64(list->tree, 1, sqlite3_column_int64(list->locations, 1));
    sqlite3_bind_value(list->tree, 2, sqlite3_column_value(list->locations, 2));
    sqlite3_bind_int64(list->tree, 3, *limit > INT64_MAX ? INT64_MAX : (int64_t)*limit);
    sqlite3_bind_int64(list->entry, 2, sqlite3_column_int64(list->locations, 0));
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && (rc = sqlite3_step(list->tree)) == SQLITE_ROW) {
        sqlite3_bind_int64(list->entry, 1, sqlite3_column_int64(list->tree, 0));
        rc = sqlite3_step(list->entry);
        if (rc == SQLITE_ROW) {
            struct indexer_entry entry;
            read_entry(list->entry, &entry);
            entry.path = read_path(list->tree, 1);
            each(ctx, &entry);
            (*limit)--;
        }
        sqlite3_reset(list->entry);
        rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
    }
    sqlite3_reset(list->tree);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int prepare_list(struct sqlite3 *db, struct list *list)
{
    int rc = sqlite3_prepare_v2(db, locations_sql, -1, &list->locations, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, tree_sql, -1, &list->tree, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, entry_sql, -1, &list->entry, NULL);
    return rc;
}

enum syncline_status indexer_entry_list(struct sqlite3 *db, const char *location_path,
                                        uint64_t limit, indexer_entry_fn each, void *ctx,
                                        struct indexer_error *err)
{
    struct list list = {0};
    char *resolved = NULL;
    bool is_any = false;
    enum syncline_status status =
        location_path != NULL ? indexer_walk_resolve(location_path, &resolved, NULL) : SYNCLINE_OK;
    if (status == SYNCLINE_ENOMEM)
        return indexer_fail(err, status, "out of memory");
    if (resolved != NULL) /* else as it is given: the folder may be another device's */
        location_path = resolved;
    status = SYNCLINE_OK;
    int rc = prepare_list(db, &list);
    if (rc == SQLITE_OK && location_path != NULL)
        rc = sqlite3_bind_blob64(list.locations, 1, location_path, strlen(location_path),
                                 SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(list.locations)) == SQLITE_ROW) {
        is_any = true;
        rc = limit > 0 ? list_location(&list, &limit, each, ctx) : SQLITE_OK;
    }
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the entries could not be read");
    else if (!is_any && location_path != NULL)
        status = indexer_fail(err, SYNCLINE_ENOTFOUND,
                              "there is no location with this path: `syncline location list` names "
                              "them");
    sqlite3_finalize(list.locations);
    sqlite3_finalize(list.tree);
    sqlite3_finalize(list.entry);
    free(resolved);
    return status;
}

/* Tells the entry with this id, which is there. */
static int tell_one(struct sqlite3 *db, int64_t id, indexer_entry_fn each, void *ctx)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, one_sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 1, id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        struct indexer_entry entry;
        read_entry(stmt, &entry);
        entry.path = read_path(stmt, COLUMNS_COUNT);
        each(ctx, &entry);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

enum syncline_status indexer_entry_by_uuid(struct sqlite3 *db, const struct syncline_uuid *uuid,
                                           indexer_entry_fn each, void *ctx,
                                           struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT id FROM entries WHERE uuid = ?1", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob(stmt, 1, uuid->bytes, sizeof(uuid->bytes), SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        rc = tell_one(db, sqlite3_column_int64(stmt, 0), each, ctx);
    sqlite3_finalize(stmt);
    if (rc == SQLITE_DONE)
        return indexer_fail(err, SYNCLINE_ENOTFOUND,
                            "there is no entry with this UUID: `syncline entry list` names them");
    return rc == SQLITE_OK ? SYNCLINE_OK
                           : indexer_fail_db(err, db, rc, "the entries could not be read");
}

/* What of `path` is below `folder`, without the slash; NULL: it is not. */
static const char *below(const char *path, const void *folder, size_t len)
{
    if (len == 1) /* "/" */
        return path[0] == '/' ? path + 1 : NULL;
    if (strlen(path) < len || memcmp(path, folder, len) != 0)
        return NULL;
    if (path[len] == '\0')
        return path + len;
    return path[len] == '/' ? path + len + 1 : NULL;
}

/* Goes down by the parts of `rest` from the entry *id; 0: it does not lead anywhere. */
static int go_down(sqlite3_stmt *step, const char *rest, int64_t *id)
{
    int rc = SQLITE_ROW;
    while (*rest != '\0' && rc == SQLITE_ROW) {
        size_t len = strcspn(rest, "/");
        sqlite3_bind_int64(step, 1, *id);
        sqlite3_bind_blob64(step, 2, rest, len, SQLITE_STATIC);
        rc = len == 0 ? SQLITE_DONE : sqlite3_step(step);
        if (rc == SQLITE_ROW)
            *id = sqlite3_column_int64(step, 0);
        sqlite3_reset(step);
        rest += len + (rest[len] == '/' ? 1 : 0);
    }
    if (rc == SQLITE_DONE)
        *id = 0;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Entries at a path: this device's, and how many others and one of them. */
struct found {
    int64_t own;
    int64_t other;
    unsigned others;
};

static int find_path(struct sqlite3 *db, const char *path, const struct syncline_uuid *device,
                     struct found *found)
{
    sqlite3_stmt *locations = NULL;
    sqlite3_stmt *step = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "SELECT l.entry_id, l.path, d.uuid = ?1 FROM locations l"
                                " JOIN devices d ON d.id = l.device_id ORDER BY l.id",
                                -1, &locations, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(
            db, "SELECT id FROM entries WHERE parent_id = ?1 AND name = ?2 ORDER BY id", -1, &step,
            NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob(locations, 1, device->bytes, sizeof(device->bytes), SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(locations)) == SQLITE_ROW) {
        const void *folder = sqlite3_column_blob(locations, 1);
        const char *rest = below(path, folder, (size_t)sqlite3_column_bytes(locations, 1));
        int64_t id = sqlite3_column_int64(locations, 0);
        rc = rest != NULL ? go_down(step, rest, &id) : SQLITE_OK;
        if (rest == NULL || id == 0)
            continue;
        if (sqlite3_column_int(locations, 2) != 0) {
            found->own = found->own == 0 ? id : found->own;
        } else {
            found->other = id;
            found->others++;
        }
    }
    sqlite3_finalize(locations);
    sqlite3_finalize(step);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The path without links but for its last part, which may be one; NULL and errno: its folder is not
 * there, or there is no memory. The caller frees it. */
static char *resolve_folder(const char *path)
{
    char *copy = strdup(path);
    char *folder = NULL;
    char *joined = NULL;
    if (copy == NULL)
        return NULL;
    char *slash = strrchr(copy, '/');
    const char *last = slash != NULL ? slash + 1 : copy;
    bool is_folder = last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
    if (is_folder) {
        joined = realpath(copy, NULL);
    } else {
        if (slash != NULL)
            *slash = '\0';
        folder = realpath(slash == NULL ? "." : slash == copy ? "/" : copy, NULL);
        if (folder != NULL &&
            asprintf(&joined, "%s%s%s", folder, folder[1] == '\0' ? "" : "/", last) < 0) {
            joined = NULL;
            errno = ENOMEM;
        }
    }
    int error_number = errno;
    free(folder);
    free(copy);
    errno = error_number;
    return joined;
}

enum syncline_status indexer_entry_by_path(struct sqlite3 *db, const char *path,
                                           const struct syncline_uuid *device,
                                           indexer_entry_fn each, void *ctx,
                                           struct indexer_error *err)
{
    struct found found = {0};
    int rc = find_path(db, path, device, &found);
    if (rc == SQLITE_OK && found.own == 0 && found.others == 0) {
        char *resolved = resolve_folder(path);
        if (resolved != NULL)
            rc = find_path(db, resolved, device, &found);
        else if (errno == ENOMEM)
            rc = SQLITE_NOMEM;
        free(resolved);
    }
    if (rc == SQLITE_OK && found.own == 0 && found.others > 1)
        return indexer_fail(err, SYNCLINE_EINVAL,
                            "%u other locations have an entry at this path: give its UUID",
                            found.others);
    if (rc == SQLITE_OK && found.own == 0 && found.others == 0)
        return indexer_fail(
            err, SYNCLINE_ENOTFOUND,
            "no location has an entry at this path: `syncline location rescan` looks "
            "what is new in one, `syncline location add` makes one");
    if (rc == SQLITE_OK)
        rc = tell_one(db, found.own != 0 ? found.own : found.other, each, ctx);
    return rc == SQLITE_OK ? SYNCLINE_OK
                           : indexer_fail_db(err, db, rc, "the entries could not be read");
}
