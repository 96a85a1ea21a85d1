/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/entry_batch.h"

#include "indexer/schema.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t indexer_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum syncline_status indexer_entry_batch_init(struct indexer_entry_batch *batch,
                                              struct syncline *lib, struct sqlite3 *db, size_t size,
                                              struct indexer_error *err)
{
    *batch = (struct indexer_entry_batch){.lib = lib, .db = db, .size = size};
    batch->inserts = calloc(size, sizeof(*batch->inserts));
    batch->parents = calloc(size, sizeof(*batch->parents));
    batch->folders = calloc(size, sizeof(*batch->folders));
    batch->updates = calloc(size, sizeof(*batch->updates));
    batch->places = calloc(size, sizeof(*batch->places));
    batch->noted_ids = calloc(size, sizeof(*batch->noted_ids));
    batch->noted_keys = calloc(size, sizeof(*batch->noted_keys));
    batch->uuids = calloc(size, sizeof(*batch->uuids));
    if (batch->inserts == NULL || batch->parents == NULL || batch->folders == NULL ||
        batch->updates == NULL || batch->places == NULL || batch->noted_ids == NULL ||
        batch->noted_keys == NULL || batch->uuids == NULL) {
        indexer_entry_batch_fini(batch);
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for a batch of %zu rows: use less",
                            size);
    }
    int rc = sqlite3_prepare_v3(db,
                                "INSERT INTO entries(uuid, parent_id, name, kind, size, "
                                "link_target, created_at, modified_at, file_key)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                                -1, SQLITE_PREPARE_PERSISTENT, &batch->insert, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(db,
                                "UPDATE entries SET kind = ?2, size = ?3, link_target = ?4,"
                                " modified_at = ?5, file_key = ?6 WHERE id = ?1",
                                -1, SQLITE_PREPARE_PERSISTENT, &batch->update, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(db,
                                "UPDATE entries SET kind = ?2, size = ?3, link_target = ?4,"
                                " modified_at = ?5, file_key = ?6, parent_id = ?7, name = ?8"
                                " WHERE id = ?1",
                                -1, SQLITE_PREPARE_PERSISTENT, &batch->move, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(db, "UPDATE entries SET file_key = ?2 WHERE id = ?1", -1,
                                SQLITE_PREPARE_PERSISTENT, &batch->note, NULL);
    if (rc == SQLITE_OK)
        return SYNCLINE_OK;
    enum syncline_status status =
        indexer_fail_db(err, db, rc, "the entries table cannot be written");
    indexer_entry_batch_fini(batch);
    return status;
}

void indexer_entry_batch_fini(struct indexer_entry_batch *batch)
{
    sqlite3_finalize(batch->insert);
    sqlite3_finalize(batch->update);
    sqlite3_finalize(batch->move);
    sqlite3_finalize(batch->note);
    free(batch->inserts);
    free(batch->parents);
    free(batch->folders);
    free(batch->updates);
    free(batch->places);
    free(batch->noted_ids);
    free(batch->noted_keys);
    free(batch->uuids);
    free(batch->folder_ids);
    indexer_arena_fini(&batch->arena);
    *batch = (struct indexer_entry_batch){0};
}

uint64_t indexer_entry_batch_folder(struct indexer_entry_batch *batch, int64_t id)
{
    if (batch->folder_ids_count + 1 >= batch->folder_ids_capacity) {
        size_t capacity = batch->folder_ids_capacity == 0 ? 1024 : batch->folder_ids_capacity * 2;
        void *memory = reallocarray(batch->folder_ids, capacity, sizeof(*batch->folder_ids));
        if (memory == NULL)
            return 0;
        batch->folder_ids = memory;
        batch->folder_ids_capacity = capacity;
    }
    batch->folder_ids[++batch->folder_ids_count] = id;
    return batch->folder_ids_count;
}

int64_t indexer_entry_batch_folder_id(const struct indexer_entry_batch *batch, uint64_t folder)
{
    assert(folder > 0 && folder <= batch->folder_ids_count);
    return batch->folder_ids[folder];
}

static bool copy_row(struct indexer_entry_batch *batch, const struct entry_row *row,
                     struct entry_row *out)
{
    *out = *row;
    return indexer_arena_copy(&batch->arena, row->name, &out->name) &&
           indexer_arena_copy(&batch->arena, row->link_target, &out->link_target);
}

bool indexer_entry_batch_insert(struct indexer_entry_batch *batch, const struct entry_row *row,
                                uint64_t parent, uint64_t folder)
{
    assert(indexer_entry_batch_len(batch) < batch->size);
    if (!copy_row(batch, row, &batch->inserts[batch->inserts_count]))
        return false;
    batch->parents[batch->inserts_count] = parent;
    batch->folders[batch->inserts_count] = folder;
    batch->inserts_count++;
    return true;
}

bool indexer_entry_batch_update(struct indexer_entry_batch *batch, const struct entry_row *row)
{
    assert(indexer_entry_batch_len(batch) < batch->size);
    if (!copy_row(batch, row, &batch->updates[batch->updates_count]))
        return false;
    batch->places[batch->updates_count] = 0;
    batch->updates_count++;
    return true;
}

bool indexer_entry_batch_move(struct indexer_entry_batch *batch, const struct entry_row *row,
                              uint64_t parent)
{
    if (!indexer_entry_batch_update(batch, row))
        return false;
    batch->places[batch->updates_count - 1] = parent;
    batch->moves_count++;
    return true;
}

void indexer_entry_batch_note(struct indexer_entry_batch *batch, int64_t id, int64_t file_key)
{
    assert(indexer_entry_batch_len(batch) < batch->size);
    batch->noted_ids[batch->notes_count] = id;
    batch->noted_keys[batch->notes_count] = file_key;
    batch->notes_count++;
}

size_t indexer_entry_batch_len(const struct indexer_entry_batch *batch)
{
    return batch->inserts_count + batch->updates_count + batch->notes_count;
}

static void bind_bytes(sqlite3_stmt *stmt, int index, struct syncline_bytes bytes)
{
    if (bytes.data == NULL)
        sqlite3_bind_null(stmt, index);
    else
        sqlite3_bind_blob64(stmt, index, bytes.data, bytes.len, SQLITE_STATIC);
}

static void bind_file_key(sqlite3_stmt *stmt, int index, int64_t file_key)
{
    if (file_key == 0)
        sqlite3_bind_null(stmt, index);
    else
        sqlite3_bind_int64(stmt, index, file_key);
}

/* Runs a bound statement once; the name is for the error's text. */
static enum syncline_status run(struct indexer_entry_batch *batch, sqlite3_stmt *stmt,
                                struct syncline_bytes entry, struct indexer_error *err)
{
    int rc = sqlite3_step(stmt);
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE) {
        char name[128];
        status = indexer_fail_db(err, batch->db, rc, "the entry %s could not be written",
                                 indexer_escape(name, sizeof(name), entry.data, entry.len));
    }
    sqlite3_reset(stmt);
    return status;
}

enum syncline_status indexer_entry_batch_write(struct indexer_entry_batch *batch,
                                               struct entry_row *row, struct indexer_error *err)
{
    sqlite3_stmt *stmt = batch->insert;
    sqlite3_bind_blob(stmt, 1, row->uuid.bytes, sizeof(row->uuid.bytes), SQLITE_STATIC);
    if (row->parent_id.is_set)
        sqlite3_bind_int64(stmt, 2, row->parent_id.value);
    else
        sqlite3_bind_null(stmt, 2);
    bind_bytes(stmt, 3, row->name);
    sqlite3_bind_int64(stmt, 4, row->kind);
    sqlite3_bind_int64(stmt, 5, row->size);
    bind_bytes(stmt, 6, row->link_target);
    sqlite3_bind_int64(stmt, 7, row->created_at);
    sqlite3_bind_int64(stmt, 8, row->modified_at);
    bind_file_key(stmt, 9, row->file_key);
    enum syncline_status status = run(batch, stmt, row->name, err);
    if (status == SYNCLINE_OK)
        row->id = sqlite3_last_insert_rowid(batch->db);
    return status;
}

static enum syncline_status write_inserts(struct indexer_entry_batch *batch,
                                          struct indexer_error *err)
{
    int64_t now_ms = indexer_now_ms();
    for (size_t i = 0; i < batch->inserts_count; i++) {
        struct entry_row *row = &batch->inserts[i];
        row->uuid = batch->uuids[i];
        row->created_at = now_ms;
        row->parent_id = (struct syncline_opt_int64){
            .value = indexer_entry_batch_folder_id(batch, batch->parents[i]), .is_set = true};
        enum syncline_status status = indexer_entry_batch_write(batch, row, err);
        if (status != SYNCLINE_OK)
            return status;
        if (batch->folders[i] != 0)
            batch->folder_ids[batch->folders[i]] = row->id;
    }
    return SYNCLINE_OK;
}

static enum syncline_status write_updates(struct indexer_entry_batch *batch,
                                          struct indexer_error *err)
{
    for (size_t i = 0; i < batch->updates_count; i++) {
        struct entry_row *row = &batch->updates[i];
        bool is_moved = batch->places[i] != 0;
        sqlite3_stmt *stmt = is_moved ? batch->move : batch->update;
        sqlite3_bind_int64(stmt, 1, row->id);
        sqlite3_bind_int64(stmt, 2, row->kind);
        sqlite3_bind_int64(stmt, 3, row->size);
        bind_bytes(stmt, 4, row->link_target);
        sqlite3_bind_int64(stmt, 5, row->modified_at);
        bind_file_key(stmt, 6, row->file_key);
        if (is_moved) {
            row->parent_id = (struct syncline_opt_int64){
                .value = indexer_entry_batch_folder_id(batch, batch->places[i]), .is_set = true};
            sqlite3_bind_int64(stmt, 7, row->parent_id.value);
            bind_bytes(stmt, 8, row->name);
        }
        enum syncline_status status = run(batch, stmt, row->name, err);
        if (status != SYNCLINE_OK)
            return status;
    }
    return SYNCLINE_OK;
}

static enum syncline_status write_notes(struct indexer_entry_batch *batch,
                                        struct indexer_error *err)
{
    for (size_t i = 0; i < batch->notes_count; i++) {
        sqlite3_bind_int64(batch->note, 1, batch->noted_ids[i]);
        bind_file_key(batch->note, 2, batch->noted_keys[i]);
        enum syncline_status status = run(batch, batch->note, (struct syncline_bytes){"", 0}, err);
        if (status != SYNCLINE_OK)
            return status;
    }
    return SYNCLINE_OK;
}

/* The one line per write. */
static enum syncline_status sync_rows(struct indexer_entry_batch *batch,
                                      const struct entry_row *rows, size_t count,
                                      enum syncline_change change, struct indexer_error *err)
{
    if (batch->lib == NULL || count == 0)
        return SYNCLINE_OK;
    enum syncline_status status = syncline_sync_models_batch(batch->lib, &indexer_entry_model, rows,
                                                             count, change, batch->db, NULL);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, batch->lib, status, "%zu entries could not be synced", count);
    return SYNCLINE_OK;
}

enum syncline_status indexer_entry_batch_flush(struct indexer_entry_batch *batch,
                                               struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (batch->inserts_count > 0)
        status = syncline_uuid_new(batch->uuids, batch->inserts_count);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, NULL, status, "no UUIDs could be made");
    status = indexer_db_begin(batch->db, err);
    if (status != SYNCLINE_OK)
        return status;
    status = write_inserts(batch, err);
    if (status == SYNCLINE_OK)
        status = write_updates(batch, err);
    if (status == SYNCLINE_OK)
        status = write_notes(batch, err);
    if (status == SYNCLINE_OK)
        status = sync_rows(batch, batch->inserts, batch->inserts_count, SYNCLINE_INSERT, err);
    if (status == SYNCLINE_OK)
        status = sync_rows(batch, batch->updates, batch->updates_count, SYNCLINE_UPDATE, err);
    if (status != SYNCLINE_OK) {
        indexer_db_rollback(batch->db);
        return status;
    }
    status = indexer_db_commit(batch->db, err);
    if (status != SYNCLINE_OK)
        return status;
    batch->inserts_count = 0;
    batch->updates_count = 0;
    batch->moves_count = 0;
    batch->notes_count = 0;
    indexer_arena_clear(&batch->arena);
    return SYNCLINE_OK;
}
