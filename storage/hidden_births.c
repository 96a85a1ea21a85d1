/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/hidden_births.h"

#include <string.h>

enum { ANY, LIST, RANGE, PUT, DROP, SET_LACK, LACKING, ANY_LACKING };

#define LACK_COLUMNS "model,uuid,lacks_model,lacks_uuid,origin,seq,birth_hlc,class,hlc,hlc_origin"

static const char *const sql_texts[] = {
    [ANY] = "SELECT 1 FROM _syncline_hidden_birth WHERE model=?1 LIMIT 1",
    [LIST] = "SELECT origin,seq,birth_hlc,class,hlc,hlc_origin,body FROM _syncline_hidden_birth"
             " WHERE model=?1 AND uuid=?2 ORDER BY origin,seq",
    [RANGE] = "SELECT origin,seq,birth_hlc,class,hlc,hlc_origin,body,uuid"
              " FROM _syncline_hidden_birth WHERE model=?1 AND uuid BETWEEN ?2 AND ?3"
              " ORDER BY uuid,origin,seq LIMIT ?4",
    [PUT] = "INSERT OR REPLACE INTO _syncline_hidden_birth(model,uuid,origin,seq,birth_hlc,class,"
            "hlc,hlc_origin,body) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    [DROP] = "DELETE FROM _syncline_hidden_birth WHERE model=?1 AND uuid=?2 AND origin=?3"
             " AND seq=?4",
    [SET_LACK] = "UPDATE _syncline_hidden_birth SET lacks_model=?5,lacks_uuid=?6"
                 " WHERE model=?1 AND uuid=?2 AND origin=?3 AND seq=?4",
    [LACKING] = "SELECT " LACK_COLUMNS " FROM _syncline_hidden_birth"
                " INDEXED BY _syncline_hidden_lacks WHERE lacks_model=?1 AND lacks_uuid=?2"
                " LIMIT 1",
    [ANY_LACKING] = "SELECT " LACK_COLUMNS " FROM _syncline_hidden_birth"
                    " WHERE lacks_model NOT NULL ORDER BY lacks_model,lacks_uuid"
                    " LIMIT 1 OFFSET ?1",
};

void sl_hidden_births_init(struct sl_hidden_births *hidden, struct sl_library_db *ldb)
{
    struct sl_hidden_births made = {.ldb = ldb, .statements = {.sql = sql_texts}};
    *hidden = made;
}

void sl_hidden_births_fini(struct sl_hidden_births *hidden)
{
    sl_statements_fini(&hidden->statements);
}

static enum syncline_status get(struct sl_hidden_births *hidden, unsigned number,
                                sqlite3_stmt **stmt, struct sl_error *err)
{
    return sl_statement(&hidden->ldb->db, &hidden->statements, number, stmt, err);
}

enum syncline_status sl_hidden_birth_any(struct sl_hidden_births *hidden, int64_t model, bool *any,
                                         struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(hidden, ANY, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    status = sl_db_row(&hidden->ldb->db, stmt, any, err);
    sl_db_reset(stmt);
    return status;
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for hidden births");
}

/* Room for one more in a list in an arena. */
static struct sl_hidden_birth *grow(struct sl_arena *arena, struct sl_hidden_birth **list,
                                    size_t len, size_t *capacity)
{
    if (len == *capacity) {
        size_t more = *capacity == 0 ? 4 : 2 * *capacity;
        struct sl_hidden_birth *grown = sl_arena_alloc(arena, more * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        if (len > 0) {
            memcpy(grown, *list, len * sizeof(*grown));
        }
        *list = grown;
        *capacity = more;
    }
    return &(*list)[len];
}

static enum syncline_status read_row(sqlite3_stmt *stmt, bool with_body, struct sl_arena *arena,
                                     struct sl_hidden_birth *birth, struct sl_error *err)
{
    *birth = (struct sl_hidden_birth){.origin = sqlite3_column_int64(stmt, 0),
                                      .seq = (uint64_t)sqlite3_column_int64(stmt, 1),
                                      .birth_hlc = (uint64_t)sqlite3_column_int64(stmt, 2),
                                      .class = (enum syncline_ownership)sqlite3_column_int(stmt, 3),
                                      .hlc = (uint64_t)sqlite3_column_int64(stmt, 4),
                                      .hlc_origin = sqlite3_column_int64(stmt, 5)};
    if (with_body) {
        const void *body = sqlite3_column_blob(stmt, 6);
        birth->body_size = (size_t)sqlite3_column_bytes(stmt, 6);
        birth->body = body != NULL ? sl_arena_copy(arena, body, birth->body_size) : NULL;
        return birth->body != NULL ? SYNCLINE_OK : no_memory(err);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_hidden_birth_list(struct sl_hidden_births *hidden, int64_t model,
                                          const struct syncline_uuid *uuid, bool with_body,
                                          struct sl_arena *arena, struct sl_hidden_birth **list,
                                          size_t *len, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    size_t capacity = 0;
    bool row = false;
    *list = NULL;
    *len = 0;
    enum syncline_status status = get(hidden, LIST, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    status = sl_db_row(&hidden->ldb->db, stmt, &row, err);
    while (status == SYNCLINE_OK && row) {
        struct sl_hidden_birth *birth = grow(arena, list, *len, &capacity);
        status = birth == NULL ? no_memory(err) : read_row(stmt, with_body, arena, birth, err);
        if (status != SYNCLINE_OK) {
            sl_db_reset(stmt);
            return status;
        }
        (*len)++;
        status = sl_db_row(&hidden->ldb->db, stmt, &row, err);
    }
    return status;
}

enum syncline_status sl_hidden_birth_range(struct sl_hidden_births *hidden, int64_t model,
                                           const struct syncline_uuid *lo,
                                           const struct syncline_uuid *hi, struct sl_arena *arena,
                                           struct sl_hidden_named *list, size_t len_max,
                                           size_t *len, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    *len = 0;
    enum syncline_status status = get(hidden, RANGE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, lo);
    sl_bind_uuid(stmt, 3, hi);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)len_max);
    while (status == SYNCLINE_OK && *len < len_max) {
        status = sl_db_row(&hidden->ldb->db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            return status;
        }
        struct sl_hidden_named *named = &list[*len];
        status = read_row(stmt, true, arena, &named->birth, err);
        if (status == SYNCLINE_OK && !sl_column_uuid(stmt, 7, &named->uuid)) {
            status = sl_fail(err, SYNCLINE_ECORRUPT, "library.db: a hidden birth has no UUID");
        }
        *len += status == SYNCLINE_OK ? 1 : 0;
    }
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_hidden_birth_put(struct sl_hidden_births *hidden, int64_t model,
                                         const struct syncline_uuid *uuid,
                                         const struct sl_hidden_birth *birth, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(hidden, PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    (void)sqlite3_bind_int64(stmt, 3, birth->origin);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)birth->seq);
    (void)sqlite3_bind_int64(stmt, 5, (int64_t)birth->birth_hlc);
    (void)sqlite3_bind_int64(stmt, 6, birth->class);
    (void)sqlite3_bind_int64(stmt, 7, (int64_t)birth->hlc);
    (void)sqlite3_bind_int64(stmt, 8, birth->hlc_origin);
    (void)sqlite3_bind_blob64(stmt, 9, birth->body, birth->body_size, SQLITE_STATIC);
    return sl_db_run(&hidden->ldb->db, stmt, err);
}

enum syncline_status sl_hidden_birth_drop(struct sl_hidden_births *hidden, int64_t model,
                                          const struct syncline_uuid *uuid, int64_t origin,
                                          uint64_t seq, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(hidden, DROP, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    (void)sqlite3_bind_int64(stmt, 3, origin);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)seq);
    return sl_db_run(&hidden->ldb->db, stmt, err);
}

enum syncline_status sl_hidden_birth_set_lack(struct sl_hidden_births *hidden, int64_t model,
                                              const struct syncline_uuid *uuid,
                                              const struct sl_hidden_birth *birth,
                                              int64_t parent_model,
                                              const struct syncline_uuid *parent,
                                              struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(hidden, SET_LACK, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    (void)sqlite3_bind_int64(stmt, 3, birth->origin);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)birth->seq);
    if (parent_model != 0) {
        (void)sqlite3_bind_int64(stmt, 5, parent_model);
        sl_bind_uuid(stmt, 6, parent);
    }
    return sl_db_run(&hidden->ldb->db, stmt, err);
}

enum syncline_status sl_hidden_birth_lacking(struct sl_hidden_births *hidden, int64_t parent_model,
                                             const struct syncline_uuid *parent, uint64_t after,
                                             bool *found, struct sl_hidden_lack *lack,
                                             struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        get(hidden, parent_model != 0 ? LACKING : ANY_LACKING, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (parent_model != 0) {
        (void)sqlite3_bind_int64(stmt, 1, parent_model);
        sl_bind_uuid(stmt, 2, parent);
    } else {
        (void)sqlite3_bind_int64(stmt, 1, (int64_t)after);
    }
    status = sl_db_row(&hidden->ldb->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    *lack = (struct sl_hidden_lack){
        .model = sqlite3_column_int64(stmt, 0),
        .lacks_model = sqlite3_column_int64(stmt, 2),
        .birth = {.origin = sqlite3_column_int64(stmt, 4),
                  .seq = (uint64_t)sqlite3_column_int64(stmt, 5),
                  .birth_hlc = (uint64_t)sqlite3_column_int64(stmt, 6),
                  .class = (enum syncline_ownership)sqlite3_column_int(stmt, 7),
                  .hlc = (uint64_t)sqlite3_column_int64(stmt, 8),
                  .hlc_origin = sqlite3_column_int64(stmt, 9)}};
    bool named = sl_column_uuid(stmt, 1, &lack->uuid) && sl_column_uuid(stmt, 3, &lack->lacks_uuid);
    sl_db_reset(stmt);
    return named ? SYNCLINE_OK
                 : sl_fail(err, SYNCLINE_ECORRUPT, "library.db: a hidden birth has no UUID");
}
