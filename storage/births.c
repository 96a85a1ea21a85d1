/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/births.h"

enum {
    BELOW,
    ABOVE,
    INSERT,
    REMOVE,
    STAMP_GET,
    STAMP_PUT,
    STAMP_REMOVE,
    STAMPS_REMOVE,
    HIGHEST,
    LATE_PUT,
    LATE_GET,
    LATE_REMOVE,
    LATE_SOME
};

static const char *const sql_texts[] = {
    [BELOW] = "SELECT id,n,origin,seq,hlc,class FROM _syncline_birth WHERE model=?1 AND id<=?2"
              " ORDER BY id DESC LIMIT 1",
    [ABOVE] = "SELECT id,n,origin,seq,hlc,class FROM _syncline_birth WHERE model=?1 AND id>?2"
              " ORDER BY id LIMIT 1",
    [INSERT] = "INSERT INTO _syncline_birth(model,id,n,origin,seq,hlc,class)"
               " VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [REMOVE] = "DELETE FROM _syncline_birth WHERE model=?1 AND id=?2",
    [STAMP_GET] = "SELECT hlc,origin FROM _syncline_stamp WHERE model=?1 AND id=?2",
    [STAMP_PUT] = "INSERT OR REPLACE INTO _syncline_stamp(model,id,hlc,origin) VALUES(?1,?2,?3,?4)",
    [HIGHEST] = "SELECT id+n-1 FROM _syncline_birth WHERE model=?1 ORDER BY id DESC LIMIT 1",
    [LATE_PUT] = "INSERT OR REPLACE INTO _syncline_late_birth(model,uuid,seq,until)"
                 " VALUES(?1,?2,?3,?4)",
    [LATE_GET] = "SELECT seq FROM _syncline_late_birth WHERE model=?1 AND uuid=?2",
    [LATE_SOME] = "SELECT 1 FROM _syncline_late_birth LIMIT 1",
    [LATE_REMOVE] = "DELETE FROM _syncline_late_birth WHERE until<=?1",
    [STAMPS_REMOVE] = "DELETE FROM _syncline_stamp WHERE model=?1 AND id BETWEEN ?2 AND ?3",
    [STAMP_REMOVE] = "DELETE FROM _syncline_stamp WHERE model=?1 AND id=?2",
};

void sl_births_init(struct sl_births *births, struct sl_library_db *ldb)
{
    struct sl_births made = {.ldb = ldb, .statements = {.sql = sql_texts}};
    *births = made;
}

void sl_births_fini(struct sl_births *births)
{
    sl_statements_fini(&births->statements);
}

void sl_births_forget(struct sl_births *births)
{
    births->cached_model = 0;
}

static enum syncline_status get(struct sl_births *births, unsigned number, sqlite3_stmt **stmt,
                                struct sl_error *err)
{
    return sl_statement(&births->ldb->db, &births->statements, number, stmt, err);
}

static enum syncline_status read_run(struct sl_births *births, unsigned number, int64_t model,
                                     int64_t id, bool *found, struct sl_birth_run *run,
                                     struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, number, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    (void)sqlite3_bind_int64(stmt, 2, id);
    status = sl_db_row(&births->ldb->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    run->id = sqlite3_column_int64(stmt, 0);
    run->n = (uint32_t)sqlite3_column_int64(stmt, 1);
    run->origin = sqlite3_column_int64(stmt, 2);
    run->seq = (uint64_t)sqlite3_column_int64(stmt, 3);
    run->hlc = (uint64_t)sqlite3_column_int64(stmt, 4);
    run->class = (enum syncline_ownership)sqlite3_column_int(stmt, 5);
    sl_db_reset(stmt);
    return SYNCLINE_OK;
}

/* The last run that begins at `id` or before. */
static enum syncline_status run_below(struct sl_births *births, int64_t model, int64_t id,
                                      bool *found, struct sl_birth_run *run, struct sl_error *err)
{
    return read_run(births, BELOW, model, id, found, run, err);
}

static enum syncline_status insert_run(struct sl_births *births, int64_t model,
                                       const struct sl_birth_run *run, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, INSERT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    (void)sqlite3_bind_int64(stmt, 2, run->id);
    (void)sqlite3_bind_int64(stmt, 3, run->n);
    (void)sqlite3_bind_int64(stmt, 4, run->origin);
    (void)sqlite3_bind_int64(stmt, 5, (int64_t)run->seq);
    (void)sqlite3_bind_int64(stmt, 6, (int64_t)run->hlc);
    (void)sqlite3_bind_int64(stmt, 7, run->class);
    return sl_db_run(&births->ldb->db, stmt, err);
}

static enum syncline_status remove_row(struct sl_births *births, unsigned number, int64_t model,
                                       int64_t id, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, number, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    (void)sqlite3_bind_int64(stmt, 2, id);
    return sl_db_run(&births->ldb->db, stmt, err);
}

/* The part of a run that begins `skip` records later and has n. */
static struct sl_birth_run part_of(const struct sl_birth_run *run, uint32_t skip, uint32_t n)
{
    struct sl_birth_run part = *run;
    part.id += skip;
    part.seq += skip;
    part.hlc += skip;
    part.n = n;
    return part;
}

/* The id of a run's last record: ids go up to INT64_MAX, so nothing here counts past it. */
static int64_t last_id(const struct sl_birth_run *run)
{
    return run->id + (int64_t)(run->n - 1);
}

static bool continues(const struct sl_birth_run *before, const struct sl_birth_run *run)
{
    return last_id(before) != INT64_MAX && last_id(before) + 1 == run->id &&
           before->seq + before->n == run->seq && before->hlc + before->n == run->hlc &&
           before->origin == run->origin && before->class == run->class &&
           before->n < UINT32_MAX / 2;
}

/* Cuts [id, id + n) out of all runs. *before is the run that then ends nearest below, if any. */
static enum syncline_status carve(struct sl_births *births, int64_t model, int64_t id, uint32_t n,
                                  bool *has_before, struct sl_birth_run *before,
                                  struct sl_error *err)
{
    sl_births_forget(births);
    int64_t last = id + (int64_t)(n - 1);
    for (;;) {
        struct sl_birth_run run;
        bool found = false;
        enum syncline_status status = run_below(births, model, last, &found, &run, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (!found || last_id(&run) < id) {
            *has_before = found;
            *before = run;
            return SYNCLINE_OK;
        }
        status = remove_row(births, REMOVE, model, run.id, err);
        if (status == SYNCLINE_OK && last_id(&run) > last) {
            uint32_t skip = (uint32_t)(last - run.id) + 1;
            struct sl_birth_run right = part_of(&run, skip, run.n - skip);
            status = insert_run(births, model, &right, err);
        }
        if (status == SYNCLINE_OK && run.id < id) {
            struct sl_birth_run left = part_of(&run, 0, (uint32_t)(id - run.id));
            status = insert_run(births, model, &left, err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
}

enum syncline_status sl_birth_get(struct sl_births *births, int64_t model, int64_t id, bool *found,
                                  struct sl_birth_run *run, struct sl_error *err)
{
    const struct sl_birth_run *cached = &births->cached;
    if (births->cached_model != model || id < cached->id || id > last_id(cached)) {
        struct sl_birth_run below = {0};
        bool any = false;
        enum syncline_status status = run_below(births, model, id, &any, &below, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (!any || id > last_id(&below)) {
            *found = false;
            return SYNCLINE_OK;
        }
        births->cached_model = model;
        births->cached = below;
    }
    *found = true;
    *run = part_of(cached, (uint32_t)(id - cached->id), 1);
    return SYNCLINE_OK;
}

enum syncline_status sl_birth_next(struct sl_births *births, int64_t model, int64_t after,
                                   bool *found, struct sl_birth_run *run, struct sl_error *err)
{
    struct sl_birth_run below = {0};
    enum syncline_status status = run_below(births, model, after, found, &below, err);
    if (status == SYNCLINE_OK && *found && last_id(&below) > after) {
        uint32_t skip = (uint32_t)(after - below.id) + 1;
        *run = part_of(&below, skip, below.n - skip);
        return SYNCLINE_OK;
    }
    return status != SYNCLINE_OK ? status : read_run(births, ABOVE, model, after, found, run, err);
}

enum syncline_status sl_birth_any(struct sl_births *births, int64_t model, int64_t id, uint32_t n,
                                  bool *any, struct sl_error *err)
{
    struct sl_birth_run below = {0};
    bool found = false;
    enum syncline_status status =
        run_below(births, model, id + (int64_t)(n - 1), &found, &below, err);
    *any = status == SYNCLINE_OK && found && last_id(&below) >= id;
    return status;
}

enum syncline_status sl_birth_is_shared(struct sl_births *births, int64_t model, int64_t id,
                                        bool *is_shared, struct sl_error *err)
{
    struct sl_birth_run run;
    bool found = false;
    enum syncline_status status = sl_birth_get(births, model, id, &found, &run, err);
    if (status == SYNCLINE_OK) {
        *is_shared = !found || run.class == SYNCLINE_SHARED;
    }
    return status;
}

enum syncline_status sl_birth_highest(struct sl_births *births, int64_t model, int64_t *id,
                                      struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, HIGHEST, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    bool row = false;
    status = sl_db_row(&births->ldb->db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        *id = row ? sqlite3_column_int64(stmt, 0) : INT64_MIN;
        sl_db_reset(stmt);
    }
    return status;
}

static enum syncline_status remove_stamps(struct sl_births *births, int64_t model,
                                          const struct sl_birth_run *run, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, STAMPS_REMOVE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    (void)sqlite3_bind_int64(stmt, 2, run->id);
    (void)sqlite3_bind_int64(stmt, 3, last_id(run));
    return sl_db_run(&births->ldb->db, stmt, err);
}

enum syncline_status sl_birth_put(struct sl_births *births, int64_t model,
                                  const struct sl_birth_run *run, struct sl_error *err)
{
    bool has_before = false;
    struct sl_birth_run before;
    enum syncline_status status = carve(births, model, run->id, run->n, &has_before, &before, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    /* A stamp that stands there is of a record that had the id before. */
    status = remove_stamps(births, model, run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_birth_run put = *run;
    if (has_before && continues(&before, run)) {
        status = remove_row(births, REMOVE, model, before.id, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        put = before;
        put.n += run->n;
    }
    return insert_run(births, model, &put, err);
}

/* Below this id no table has rows of its own accord. */
#define PARK_END (INT64_MIN / 2)

enum syncline_status sl_birth_park(struct sl_births *births, int64_t model,
                                   const struct sl_birth_run *run, struct sl_error *err)
{
    struct sl_birth_run parked = *run;
    struct sl_birth_run last = {0};
    bool found = false;
    enum syncline_status status = run_below(births, model, PARK_END, &found, &last, err);
    parked.id = found ? last_id(&last) + 1 : INT64_MIN + 1;
    return status == SYNCLINE_OK ? insert_run(births, model, &parked, err) : status;
}

enum syncline_status sl_birth_put_new(struct sl_births *births, int64_t model,
                                      const struct sl_birth_run *run, struct sl_error *err)
{
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    for (int64_t end = last_id(run); status == SYNCLINE_OK && found && end >= run->id;) {
        struct sl_birth_run there = {0};
        status = run_below(births, model, end, &found, &there, err);
        if (status != SYNCLINE_OK || !found || last_id(&there) < run->id) {
            break;
        }
        int64_t first = there.id > run->id ? there.id : run->id;
        int64_t last = last_id(&there) < end ? last_id(&there) : end;
        struct sl_birth_run part =
            part_of(&there, (uint32_t)(first - there.id), (uint32_t)(last - first) + 1);
        bool is_same =
            part.origin == run->origin && part.seq == run->seq + (uint64_t)(part.id - run->id);
        if (!is_same) {
            status = sl_birth_park(births, model, &part, err);
        }
        if (first == run->id) {
            break;
        }
        end = first - 1;
    }
    return status == SYNCLINE_OK ? sl_birth_put(births, model, run, err) : status;
}

enum syncline_status sl_birth_drop(struct sl_births *births, int64_t model, int64_t id,
                                   struct sl_error *err)
{
    bool has_before = false;
    struct sl_birth_run before;
    enum syncline_status status = carve(births, model, id, 1, &has_before, &before, err);
    return status != SYNCLINE_OK ? status : remove_row(births, STAMP_REMOVE, model, id, err);
}

enum syncline_status sl_stamp_get(struct sl_births *births, int64_t model, int64_t id, bool *found,
                                  uint64_t *hlc, int64_t *origin, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, STAMP_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    (void)sqlite3_bind_int64(stmt, 2, id);
    status = sl_db_row(&births->ldb->db, stmt, found, err);
    if (status == SYNCLINE_OK && *found) {
        *hlc = (uint64_t)sqlite3_column_int64(stmt, 0);
        *origin = sqlite3_column_int64(stmt, 1);
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_stamp_put(struct sl_births *births, int64_t model, int64_t id, uint64_t hlc,
                                  int64_t origin, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, STAMP_PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    (void)sqlite3_bind_int64(stmt, 2, id);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)hlc);
    (void)sqlite3_bind_int64(stmt, 4, origin);
    return sl_db_run(&births->ldb->db, stmt, err);
}

enum syncline_status sl_late_birth_put(struct sl_births *births, int64_t model,
                                       const struct syncline_uuid *uuid, uint64_t seq,
                                       int64_t until, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, LATE_PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)seq);
    (void)sqlite3_bind_int64(stmt, 4, until);
    return sl_db_run(&births->ldb->db, stmt, err);
}

enum syncline_status sl_late_birth_get(struct sl_births *births, int64_t model,
                                       const struct syncline_uuid *uuid, uint64_t *seq,
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, LATE_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    sl_bind_uuid(stmt, 2, uuid);
    bool row = false;
    status = sl_db_row(&births->ldb->db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        *seq = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_late_birth_some(struct sl_births *births, bool *some, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, LATE_SOME, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&births->ldb->db, stmt, some, err);
    }
    if (status == SYNCLINE_OK && *some) {
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_late_birth_remove(struct sl_births *births, int64_t outbox_id,
                                          struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(births, LATE_REMOVE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, outbox_id);
    return sl_db_run(&births->ldb->db, stmt, err);
}
