/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/moved_files.h"

#include "indexer/folder_rows.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char load_sql[] =
    "CREATE TEMP TABLE IF NOT EXISTS indexer_file_keys("
    " file_key INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(file_key, id)) WITHOUT ROWID;"
    "DELETE FROM temp.indexer_file_keys;"
    "INSERT INTO temp.indexer_file_keys SELECT file_key, id FROM main.entries"
    " WHERE file_key IS NOT NULL ORDER BY file_key, id;";

void indexer_moved_files_init(struct indexer_moved_files *moved, struct sqlite3 *db,
                              const struct syncline_uuid *device)
{
    *moved = (struct indexer_moved_files){.db = db, .device = device};
}

void indexer_moved_files_fini(struct indexer_moved_files *moved)
{
    sqlite3_finalize(moved->find);
    sqlite3_finalize(moved->read);
    sqlite3_finalize(moved->above);
    sqlite3_finalize(moved->location);
    /* A table that stays, for want of memory, is emptied before it is used again. */
    if (moved->find != NULL)
        sqlite3_exec(moved->db, "DROP TABLE IF EXISTS temp.indexer_file_keys", NULL, NULL, NULL);
    free(moved->placed);
    indexer_arena_fini(&moved->arena);
    *moved = (struct indexer_moved_files){0};
}

static size_t slot_of(const struct indexer_moved_files *moved, int64_t id)
{
    size_t mask = moved->placed_capacity - 1;
    size_t slot = (size_t)((uint64_t)id * 0x9e3779b97f4a7c15u >> 20) & mask;
    while (moved->placed[slot] != 0 && moved->placed[slot] != id)
        slot = (slot + 1) & mask;
    return slot;
}

bool indexer_moved_files_is_placed(const struct indexer_moved_files *moved, int64_t id)
{
    return moved->placed_count > 0 && moved->placed[slot_of(moved, id)] == id;
}

static bool grow(struct indexer_moved_files *moved)
{
    size_t capacity = moved->placed_capacity == 0 ? 256 : moved->placed_capacity * 2;
    int64_t *placed = calloc(capacity, sizeof(*placed));
    if (placed == NULL)
        return false;
    int64_t *old = moved->placed;
    size_t old_capacity = moved->placed_capacity;
    moved->placed = placed;
    moved->placed_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i] != 0)
            moved->placed[slot_of(moved, old[i])] = old[i];
    free(old);
    return true;
}

bool indexer_moved_files_place(struct indexer_moved_files *moved, int64_t id)
{
    if (moved->placed_count * 2 >= moved->placed_capacity && !grow(moved))
        return false;
    size_t slot = slot_of(moved, id);
    moved->placed_count += moved->placed[slot] == 0;
    moved->placed[slot] = id;
    return true;
}

/* Reads all keys, and prepares what asks about them. */
static int load(struct indexer_moved_files *moved)
{
    static const char location_sql[] = "SELECT l.path FROM locations l"
                                       " JOIN devices d ON d.id = l.device_id"
                                       " WHERE l.entry_id = ?1 AND d.uuid = ?2 ORDER BY l.id";
    int rc = sqlite3_exec(moved->db, load_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK && moved->read == NULL)
        rc = sqlite3_prepare_v2(moved->db,
                                "SELECT " INDEXER_ENTRY_COLUMNS " FROM entries WHERE id = ?1", -1,
                                &moved->read, NULL);
    if (rc == SQLITE_OK && moved->above == NULL)
        rc = sqlite3_prepare_v2(moved->db, "SELECT parent_id, name FROM entries WHERE id = ?1", -1,
                                &moved->above, NULL);
    if (rc == SQLITE_OK && moved->location == NULL)
        rc = sqlite3_prepare_v2(moved->db, location_sql, -1, &moved->location, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(moved->db,
                                "SELECT id FROM temp.indexer_file_keys WHERE file_key = ?1", -1,
                                &moved->find, NULL);
    return rc;
}

/* Puts "/part" in front of what is in path[*start..). False: it is too long for the system. */
static bool prefix(char path[PATH_MAX], size_t *start, const void *part, size_t len)
{
    if (*start < len + 1)
        return false;
    *start -= len;
    memcpy(path + *start, part, len);
    path[--*start] = '/';
    return true;
}

/* The path of an entry as the database has it, in path[*start..). *is_known: it leads to a location
 * of this device, and the system can be asked about it. */
static int read_place(struct indexer_moved_files *moved, const struct entry_row *row,
                      char path[PATH_MAX], size_t *start, bool *is_known)
{
    *start = PATH_MAX - 1;
    path[*start] = '\0';
    *is_known = prefix(path, start, row->name.data, row->name.len);
    int64_t id = row->parent_id.value;
    int rc = SQLITE_ROW;
    for (bool is_root = false; !is_root && *is_known && rc == SQLITE_ROW;) {
        sqlite3_stmt *stmt = moved->above;
        sqlite3_bind_int64(stmt, 1, id);
        rc = sqlite3_step(stmt);
        is_root = rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_NULL;
        if (rc == SQLITE_ROW && !is_root) {
            id = sqlite3_column_int64(stmt, 0);
            const void *name = sqlite3_column_blob(stmt, 1);
            *is_known =
                name != NULL && prefix(path, start, name, (size_t)sqlite3_column_bytes(stmt, 1));
        }
        sqlite3_reset(stmt);
    }
    if (rc != SQLITE_ROW || !*is_known)
        return rc;
    sqlite3_bind_int64(moved->location, 1, id);
    sqlite3_bind_blob(moved->location, 2, moved->device->bytes, 16, SQLITE_STATIC);
    rc = sqlite3_step(moved->location);
    *is_known = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        size_t len = (size_t)sqlite3_column_bytes(moved->location, 0);
        const char *folder = sqlite3_column_blob(moved->location, 0);
        *is_known =
            len > 0 && folder[0] == '/' && (len == 1 || prefix(path, start, folder + 1, len - 1));
    }
    sqlite3_reset(moved->location);
    return rc;
}

/* Is there nothing any more where the database has the record? In doubt there is something. */
static int look_whether_gone(struct indexer_moved_files *moved, const struct entry_row *row,
                             bool *is_gone)
{
    char path[PATH_MAX];
    size_t start = 0;
    bool is_known = false;
    struct stat st;
    int rc = read_place(moved, row, path, &start, &is_known);
    *is_gone = is_known && lstat(path + start, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static bool may_be(const struct entry_row *row, const struct indexer_walk_entry *entry)
{
    if (!row->parent_id.is_set || row->kind != (int64_t)entry->kind)
        return false;
    return entry->is_key_certain || entry->kind == INDEXER_FOLDER ||
           (row->size == entry->size && row->modified_at == entry->modified_at &&
            indexer_bytes_equal(row->link_target, entry->link_target));
}

/* Is this record the entry? *row is it then. */
static int look_at(struct indexer_moved_files *moved, int64_t id,
                   const struct indexer_walk_entry *entry, struct entry_row *row, bool *found)
{
    sqlite3_bind_int64(moved->read, 1, id);
    int rc = sqlite3_step(moved->read);
    struct entry_row candidate;
    bool is_gone = false;
    if (rc == SQLITE_ROW) {
        indexer_entry_read(moved->read, &candidate);
        rc = may_be(&candidate, entry) ? look_whether_gone(moved, &candidate, &is_gone) : SQLITE_OK;
    }
    if (is_gone) {
        indexer_arena_clear(&moved->arena);
        *row = candidate;
        if (indexer_arena_copy(&moved->arena, candidate.name, &row->name) &&
            indexer_arena_copy(&moved->arena, candidate.link_target, &row->link_target))
            *found = true;
        else
            rc = SQLITE_NOMEM;
    }
    sqlite3_reset(moved->read);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum syncline_status indexer_moved_files_find(struct indexer_moved_files *moved,
                                              const struct indexer_walk_entry *entry,
                                              struct entry_row *row, bool *found,
                                              struct indexer_error *err)
{
    *found = false;
    int rc = moved->find == NULL ? load(moved) : SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(moved->find, 1, entry->file_key);
    while (rc == SQLITE_OK && !*found) {
        rc = sqlite3_step(moved->find);
        if (rc != SQLITE_ROW)
            break;
        int64_t id = sqlite3_column_int64(moved->find, 0);
        rc = indexer_moved_files_is_placed(moved, id) ? SQLITE_OK
                                                      : look_at(moved, id, entry, row, found);
    }
    sqlite3_reset(moved->find);
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        return SYNCLINE_OK;
    return indexer_fail_db(err, moved->db, rc, "moved entries could not be looked for");
}
