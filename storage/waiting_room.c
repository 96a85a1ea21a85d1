/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/waiting_room.h"

#include <string.h>

#include "base/limits.h"

#define COLUMNS                                                                                    \
    "id,model,uuid,change,class,birth_origin,birth_seq,birth_hlc,origin,seq,hlc,lacks_model,"      \
    "lacks_uuid,since_ms,body"

enum {
    COUNT,
    OLDEST,
    INSERT,
    UPDATE,
    SET_LACK,
    REMOVE,
    KEYS_REMOVE,
    KEY_ADD,
    GET,
    OF_BIRTH,
    NEXT,
    NEXT_CHILD,
    UNBORN,
    RECORD,
    NEXT_OF,
    EARLIER,
    KEYS,
    RANGE
};

static const char *const sql_texts[] = {
    [COUNT] = "SELECT count(*),coalesce(sum(lacks_model=0),0),coalesce(sum(length(body)),0)"
              " FROM _syncline_waiting",
    [OLDEST] = "SELECT coalesce(min(since_ms),0) FROM _syncline_waiting",
    [INSERT] = "INSERT INTO _syncline_waiting(" COLUMNS ")"
               " VALUES(NULL,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
    [UPDATE] = "UPDATE _syncline_waiting SET model=?2,uuid=?3,change=?4,class=?5,birth_origin=?6,"
               "birth_seq=?7,birth_hlc=?8,origin=?9,seq=?10,hlc=?11,lacks_model=?12,lacks_uuid=?13,"
               "since_ms=?14,body=?15 WHERE id=?1",
    [SET_LACK] = "UPDATE _syncline_waiting SET lacks_model=?2,lacks_uuid=?3 WHERE id=?1",
    [REMOVE] = "DELETE FROM _syncline_waiting WHERE id=?1",
    [KEYS_REMOVE] = "DELETE FROM _syncline_waiting_key WHERE entry=?1",
    [KEY_ADD] = "INSERT OR IGNORE INTO _syncline_waiting_key(entry,model,uuid) VALUES(?1,?2,?3)",
    [GET] = "SELECT " COLUMNS " FROM _syncline_waiting WHERE id=?1",
    [OF_BIRTH] = "SELECT " COLUMNS " FROM _syncline_waiting WHERE birth_origin=?1 AND birth_seq=?2",
    [NEXT] = "SELECT id FROM _syncline_waiting WHERE id>?1 ORDER BY id LIMIT 1",
    [NEXT_CHILD] = "SELECT entry FROM _syncline_waiting_key WHERE model=?2 AND uuid=?3 AND entry>?1"
                   " ORDER BY entry LIMIT 1",
    [UNBORN] = "SELECT id FROM _syncline_waiting INDEXED BY _syncline_waiting_unborn"
               " WHERE lacks_model=0 AND birth_origin=?1 AND birth_seq<=?2 AND birth_seq>?3"
               " LIMIT 1",
    [RECORD] = "SELECT id FROM _syncline_waiting WHERE model=?1 AND uuid=?2 AND change=1"
               " ORDER BY birth_hlc DESC LIMIT 1",
    [NEXT_OF] = "SELECT id FROM _syncline_waiting WHERE model=?2 AND uuid=?3 AND id>?1"
                " ORDER BY id LIMIT 1",
    /* Without the hint it goes through all that waits of that origin. */
    [EARLIER] = "SELECT id FROM _syncline_waiting INDEXED BY _syncline_waiting_record"
                " WHERE model=?1 AND uuid=?2 AND class=1"
                " AND birth_origin=?3 AND birth_seq<?4 LIMIT 1",
    [KEYS] = "SELECT model,uuid FROM _syncline_waiting_key WHERE entry=?1",
    [RANGE] = "SELECT " COLUMNS " FROM _syncline_waiting WHERE model=?1 AND uuid BETWEEN ?2 AND ?3"
              " ORDER BY uuid,id LIMIT ?4",
};

void sl_waiting_room_init(struct sl_waiting_room *room, struct sl_library_db *ldb)
{
    struct sl_waiting_room made = {
        .ldb = ldb, .statements = {.sql = sql_texts}, .records_max = SL_WAITING_LEN_MAX};
    *room = made;
}

void sl_waiting_room_fini(struct sl_waiting_room *room)
{
    sl_statements_fini(&room->statements);
}

static enum syncline_status get(struct sl_waiting_room *room, unsigned number, sqlite3_stmt **stmt,
                                struct sl_error *err)
{
    return sl_statement(&room->ldb->db, &room->statements, number, stmt, err);
}

/* ---- Counts ---- */

enum syncline_status sl_waiting_room_load(struct sl_waiting_room *room, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status = get(room, COUNT, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&room->ldb->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK && row) {
        room->count.records = (uint64_t)sqlite3_column_int64(stmt, 0);
        room->count.unborn = (uint64_t)sqlite3_column_int64(stmt, 1);
        room->count.bytes = (uint64_t)sqlite3_column_int64(stmt, 2);
        sl_db_reset(stmt);
    }
    return status;
}

/* Runs a prepared query for one integer; `missing` when there is no row. */
static enum syncline_status one_int64(struct sl_waiting_room *room, sqlite3_stmt *stmt,
                                      int64_t missing, int64_t *value, struct sl_error *err)
{
    bool row = false;
    enum syncline_status status = sl_db_row(&room->ldb->db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        *value = row ? sqlite3_column_int64(stmt, 0) : missing;
    }
    if (status == SYNCLINE_OK && row) {
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_waiting_oldest(struct sl_waiting_room *room, uint64_t *since_ms,
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = 0;
    enum syncline_status status = get(room, OLDEST, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = one_int64(room, stmt, 0, &value, err);
    }
    if (status == SYNCLINE_OK) {
        *since_ms = (uint64_t)value;
    }
    return status;
}

/* ---- In ---- */

static enum syncline_status run_with_id(struct sl_waiting_room *room, unsigned number, int64_t id,
                                        struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, number, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    return sl_db_run(&room->ldb->db, stmt, err);
}

static enum syncline_status put_keys(struct sl_waiting_room *room, int64_t id,
                                     const struct sl_waiting_key *keys, size_t count,
                                     struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        sqlite3_stmt *stmt = NULL;
        status = get(room, KEY_ADD, &stmt, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        (void)sqlite3_bind_int64(stmt, 1, id);
        (void)sqlite3_bind_int64(stmt, 2, keys[i].model);
        sl_bind_uuid(stmt, 3, &keys[i].uuid);
        status = sl_db_run(&room->ldb->db, stmt, err);
    }
    return status;
}

static enum syncline_status put_row(struct sl_waiting_room *room, const struct sl_waiting *waiting,
                                    struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, waiting->id == 0 ? INSERT : UPDATE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (waiting->id != 0) {
        (void)sqlite3_bind_int64(stmt, 1, waiting->id);
    }
    (void)sqlite3_bind_int64(stmt, 2, waiting->model);
    sl_bind_uuid(stmt, 3, &waiting->uuid);
    (void)sqlite3_bind_int64(stmt, 4, waiting->change);
    (void)sqlite3_bind_int64(stmt, 5, waiting->class);
    (void)sqlite3_bind_int64(stmt, 6, waiting->birth_origin);
    (void)sqlite3_bind_int64(stmt, 7, (int64_t)waiting->birth_seq);
    (void)sqlite3_bind_int64(stmt, 8, (int64_t)waiting->birth_hlc);
    (void)sqlite3_bind_int64(stmt, 9, waiting->origin);
    (void)sqlite3_bind_int64(stmt, 10, (int64_t)waiting->seq);
    (void)sqlite3_bind_int64(stmt, 11, (int64_t)waiting->hlc);
    (void)sqlite3_bind_int64(stmt, 12, waiting->lacks_model);
    if (waiting->lacks_model != 0) {
        sl_bind_uuid(stmt, 13, &waiting->lacks_uuid);
    }
    (void)sqlite3_bind_int64(stmt, 14, (int64_t)waiting->since_ms);
    (void)sqlite3_bind_blob64(stmt, 15, waiting->body_size > 0 ? (const void *)waiting->body : "",
                              waiting->body_size, SQLITE_STATIC);
    return sl_db_run(&room->ldb->db, stmt, err);
}

/* What an entry with this id counts for now, and no longer after this. */
static enum syncline_status uncount(struct sl_waiting_room *room, int64_t id, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status = get(room, GET, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, id);
        status = sl_db_row(&room->ldb->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK && row) {
        room->count.records--;
        room->count.unborn -= sqlite3_column_int64(stmt, 11) == 0 ? 1 : 0;
        room->count.bytes -= (uint64_t)sqlite3_column_bytes(stmt, 14);
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_waiting_put(struct sl_waiting_room *room, struct sl_waiting *waiting,
                                    const struct sl_waiting_key *keys, size_t key_count,
                                    struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (waiting->id == 0 && room->count.records >= room->records_max) {
        room->was_full = true;
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "%llu records wait for others, and no more can: what they wait for must "
                       "come first",
                       (unsigned long long)room->count.records);
    }
    if (waiting->id != 0) {
        status = uncount(room, waiting->id, err);
        if (status == SYNCLINE_OK) {
            status = run_with_id(room, KEYS_REMOVE, waiting->id, err);
        }
    }
    if (status == SYNCLINE_OK) {
        status = put_row(room, waiting, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (waiting->id == 0) {
        waiting->id = sqlite3_last_insert_rowid(room->ldb->db.handle);
    }
    room->count.records++;
    room->count.unborn += waiting->lacks_model == 0 ? 1 : 0;
    room->count.bytes += waiting->body_size;
    return put_keys(room, waiting->id, keys, key_count, err);
}

enum syncline_status sl_waiting_set_lack(struct sl_waiting_room *room, struct sl_waiting *waiting,
                                         int64_t model, const struct syncline_uuid *uuid,
                                         struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, SET_LACK, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, waiting->id);
    (void)sqlite3_bind_int64(stmt, 2, model);
    sl_bind_uuid(stmt, 3, uuid);
    room->count.unborn -= waiting->lacks_model == 0 ? 1 : 0;
    waiting->lacks_model = model;
    waiting->lacks_uuid = *uuid;
    return sl_db_run(&room->ldb->db, stmt, err);
}

enum syncline_status sl_waiting_remove(struct sl_waiting_room *room,
                                       const struct sl_waiting *waiting, struct sl_error *err)
{
    enum syncline_status status = uncount(room, waiting->id, err);
    if (status == SYNCLINE_OK) {
        status = run_with_id(room, KEYS_REMOVE, waiting->id, err);
    }
    return status == SYNCLINE_OK ? run_with_id(room, REMOVE, waiting->id, err) : status;
}

/* ---- Out ---- */

static enum syncline_status next_row(struct sl_waiting_room *room, sqlite3_stmt *stmt,
                                     struct sl_arena *arena, bool *found,
                                     struct sl_waiting *waiting, struct sl_error *err)
{
    enum syncline_status status = sl_db_row(&room->ldb->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    struct sl_waiting read = {.id = sqlite3_column_int64(stmt, 0),
                              .model = sqlite3_column_int64(stmt, 1),
                              .change = (enum syncline_change)sqlite3_column_int(stmt, 3),
                              .class = (enum syncline_ownership)sqlite3_column_int(stmt, 4),
                              .birth_origin = sqlite3_column_int64(stmt, 5),
                              .birth_seq = (uint64_t)sqlite3_column_int64(stmt, 6),
                              .birth_hlc = (uint64_t)sqlite3_column_int64(stmt, 7),
                              .origin = sqlite3_column_int64(stmt, 8),
                              .seq = (uint64_t)sqlite3_column_int64(stmt, 9),
                              .hlc = (uint64_t)sqlite3_column_int64(stmt, 10),
                              .lacks_model = sqlite3_column_int64(stmt, 11),
                              .since_ms = (uint64_t)sqlite3_column_int64(stmt, 13),
                              .body_size = (size_t)sqlite3_column_bytes(stmt, 14)};
    bool named = sl_column_uuid(stmt, 2, &read.uuid) &&
                 (read.lacks_model == 0 || sl_column_uuid(stmt, 12, &read.lacks_uuid));
    read.body = sl_arena_copy(arena, sqlite3_column_blob(stmt, 14), read.body_size);
    if (!named) {
        return sl_fail(err, SYNCLINE_ECORRUPT, "library.db: a record that waits has no UUID");
    }
    if (read.body == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a record that waits");
    }
    *waiting = read;
    return SYNCLINE_OK;
}

static enum syncline_status read_row(struct sl_waiting_room *room, sqlite3_stmt *stmt,
                                     struct sl_arena *arena, bool *found,
                                     struct sl_waiting *waiting, struct sl_error *err)
{
    enum syncline_status status = next_row(room, stmt, arena, found, waiting, err);
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_waiting_range(struct sl_waiting_room *room, int64_t model,
                                      const struct syncline_uuid *lo,
                                      const struct syncline_uuid *hi, struct sl_arena *arena,
                                      struct sl_waiting *list, size_t len_max, size_t *len,
                                      struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool found = true;
    *len = 0;
    enum syncline_status status = get(room, RANGE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, lo);
    sl_bind_uuid(stmt, 3, hi);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)len_max);
    while (status == SYNCLINE_OK && found && *len < len_max) {
        status = next_row(room, stmt, arena, &found, &list[*len], err);
        *len += status == SYNCLINE_OK && found ? 1 : 0;
    }
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_waiting_get(struct sl_waiting_room *room, int64_t id,
                                    struct sl_arena *arena, bool *found, struct sl_waiting *waiting,
                                    struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    return read_row(room, stmt, arena, found, waiting, err);
}

enum syncline_status sl_waiting_of_birth(struct sl_waiting_room *room, int64_t origin, uint64_t seq,
                                         struct sl_arena *arena, bool *found,
                                         struct sl_waiting *waiting, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, OF_BIRTH, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    return read_row(room, stmt, arena, found, waiting, err);
}

enum syncline_status sl_waiting_next(struct sl_waiting_room *room, int64_t *id,
                                     struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, NEXT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, *id);
    return one_int64(room, stmt, 0, id, err);
}

/* The next after *id that has to do with the record. */
static enum syncline_status next_by_record(struct sl_waiting_room *room, unsigned number,
                                           int64_t model, const struct syncline_uuid *uuid,
                                           int64_t *id, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, number, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, *id);
    (void)sqlite3_bind_int64(stmt, 2, model);
    sl_bind_uuid(stmt, 3, uuid);
    return one_int64(room, stmt, 0, id, err);
}

enum syncline_status sl_waiting_next_child(struct sl_waiting_room *room, int64_t model,
                                           const struct syncline_uuid *uuid, int64_t *id,
                                           struct sl_error *err)
{
    return next_by_record(room, NEXT_CHILD, model, uuid, id, err);
}

enum syncline_status sl_waiting_next_of(struct sl_waiting_room *room, int64_t model,
                                        const struct syncline_uuid *uuid, int64_t *id,
                                        struct sl_error *err)
{
    return next_by_record(room, NEXT_OF, model, uuid, id, err);
}

enum syncline_status sl_waiting_unborn(struct sl_waiting_room *room, int64_t origin, uint64_t after,
                                       uint64_t seq, int64_t *id, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, UNBORN, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)after);
    return one_int64(room, stmt, 0, id, err);
}

enum syncline_status sl_waiting_record(struct sl_waiting_room *room, int64_t model,
                                       const struct syncline_uuid *uuid, int64_t *id,
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, RECORD, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    return one_int64(room, stmt, 0, id, err);
}

enum syncline_status sl_waiting_earlier(struct sl_waiting_room *room, int64_t model,
                                        const struct syncline_uuid *uuid, int64_t origin,
                                        uint64_t seq, int64_t *id, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(room, EARLIER, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    (void)sqlite3_bind_int64(stmt, 3, origin);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)seq);
    return one_int64(room, stmt, 0, id, err);
}

enum syncline_status sl_waiting_keys(struct sl_waiting_room *room, int64_t id,
                                     struct sl_arena *arena, struct sl_waiting_key **keys,
                                     size_t *count, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct sl_waiting_key *list = sl_arena_alloc(arena, SL_FIELD_COUNT_MAX * sizeof(*list));
    size_t n = 0;
    bool row = true;
    if (list == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the keys of a record that waits");
    }
    enum syncline_status status = get(room, KEYS, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, id);
        status = sl_db_row(&room->ldb->db, stmt, &row, err);
    }
    while (status == SYNCLINE_OK && row && n < SL_FIELD_COUNT_MAX) {
        list[n].model = sqlite3_column_int64(stmt, 0);
        n += sl_column_uuid(stmt, 1, &list[n].uuid) ? 1 : 0;
        status = sl_db_row(&room->ldb->db, stmt, &row, err);
    }
    sl_db_reset(stmt);
    *keys = list;
    *count = n;
    return status;
}
