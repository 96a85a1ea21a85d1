/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_batch.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_values.h"

#define POOL_MAX 8u /* parents considered for the keys of one batch */

struct pool {
    struct sl_sim_found parents[POOL_MAX];
    uint32_t len;
};

static struct sl_sim_random *random_of(const struct sl_sim_session *session)
{
    return &session->device->world->workload;
}

/* ---- Looking at the tables ---------------------------------------------------------------- */

static int64_t count_rows(struct sl_sim_session *session, const struct sl_sim_model *model,
                          int64_t *id_max)
{
    sqlite3_stmt *stmt = sl_sim_session_statement(session, &session->statements[model->index].count,
                                                  model->count_sql);
    int64_t count = 0;
    *id_max = 0;
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        count = sqlite3_column_int64(stmt, 0);
        *id_max = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_reset(stmt);
    return count;
}

/* Up to `max` rows, by id, from a place drawn at random. A row the ledger does not know is a
 * failure, and is left out. */
uint32_t sl_sim_batch_find(struct sl_sim_workload *work, struct sl_sim_session *session,
                           const struct sl_sim_model *model, struct sl_sim_found *out, uint32_t max)
{
    int64_t id_max;
    int64_t count = count_rows(session, model, &id_max);
    if (count == 0) {
        return 0;
    }
    sqlite3_stmt *stmt =
        sl_sim_session_statement(session, &session->statements[model->index].page, model->page_sql);
    /* Some rows are worked on more than others: else devices would hardly ever meet. */
    uint64_t slack = (uint64_t)count > max && sl_sim_random_percent(random_of(session), 60)
                         ? (uint64_t)count - max
                         : 0;
    sqlite3_bind_int64(stmt, 1, max);
    sqlite3_bind_int64(stmt, 2, (int64_t)sl_sim_random_below(random_of(session), slack + 1));
    uint32_t len = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct sl_sim_record *record = NULL;
        if (sqlite3_column_bytes(stmt, 1) == (int)sizeof(struct syncline_uuid)) {
            record = sl_sim_record_find(&work->ledger, sqlite3_column_blob(stmt, 1));
        }
        struct sl_sim_found row = {.id = sqlite3_column_int64(stmt, 0)};
        int64_t rev = sqlite3_column_int64(stmt, 2);
        if (record != NULL) {
            row.record = sl_sim_record_number(&work->ledger, record);
        }
        if (record == NULL || sl_sim_version_find(&work->ledger, rev, row.record) == NULL) {
            sl_sim_fail(work->world, SL_SIM_LOST,
                        "device %d: table %s, id %lld: a row that nobody wrote (rev %lld)",
                        session->device->index, model->table, (long long)row.id, (long long)rev);
            continue;
        }
        row.rev = (uint32_t)rev;
        out[len++] = row;
    }
    sqlite3_reset(stmt);
    return len;
}

/* The local id of a record; 0: it is not there. */
static int64_t find_id(struct sl_sim_workload *work, struct sl_sim_session *session,
                       uint32_t record)
{
    const struct sl_sim_record *r = &work->ledger.records[record];
    sqlite3_stmt *stmt = sl_sim_session_statement(session, &session->statements[r->model].find,
                                                  work->world->schema.models[r->model].find_sql);
    sqlite3_bind_blob(stmt, 1, &r->uuid, sizeof(r->uuid), SQLITE_STATIC);
    int64_t id = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_reset(stmt);
    return id;
}

static void fill_pool(struct sl_sim_workload *work, struct sl_sim_session *session,
                      const struct sl_sim_column *column, struct pool *pool)
{
    struct sl_sim_found all[POOL_MAX];
    uint32_t len = sl_sim_batch_find(work, session, &work->world->schema.models[column->parent],
                                     all, POOL_MAX);
    pool->len = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (work->switches.orphans || !work->ledger.records[all[i].record].retired) {
            pool->parents[pool->len++] = all[i];
        }
    }
}

static const struct sl_sim_found *draw_parent(const struct pool *pool, struct sl_sim_random *random)
{
    return pool->len > 0 ? &pool->parents[sl_sim_random_below(random, pool->len)] : NULL;
}

/* ---- Batches ------------------------------------------------------------------------------ */

void sl_sim_batch_init(struct sl_sim_batch *batch, const struct sl_sim_model *model,
                       uint32_t capacity)
{
    batch->model = model;
    batch->rows = sl_sim_alloc((size_t)capacity * model->row_size);
    batch->ops = sl_sim_alloc(capacity * sizeof(*batch->ops));
    batch->len = 0;
    batch->capacity = capacity;
}

void sl_sim_batch_fini(struct sl_sim_batch *batch)
{
    free(batch->rows);
    free(batch->ops);
}

uint8_t *sl_sim_batch_row(const struct sl_sim_batch *batch, size_t index)
{
    return batch->rows + index * batch->model->row_size;
}

/* Ids count from 1; id 0 in a reference to a parent that is not there breaks the foreign key, which
 * the step reports. */
static bool step_values(struct sl_sim_workload *work, struct sl_sim_session *session,
                        struct sl_sim_batch *batch, sqlite3_stmt *stmt, int64_t id, uint32_t record,
                        const struct sl_sim_value *values)
{
    const struct sl_sim_model *model = batch->model;
    uint8_t *row = sl_sim_batch_row(batch, batch->len);
    for (uint32_t i = 0; i < model->columns_len; i++) {
        const struct sl_sim_column *column = &model->columns[i];
        int64_t key_id = 0;
        const struct syncline_uuid *key_uuid = NULL;
        if (values[i].kind == SL_SIM_REF) {
            uint32_t parent = (uint32_t)values[i].integer;
            key_id = parent == record && id != 0 ? id : find_id(work, session, parent);
            key_uuid = &work->ledger.records[parent].uuid;
        }
        sl_sim_value_bind(stmt, (int)i + 3, column, &values[i], key_id, key_uuid);
        sl_sim_value_store(row, column, &values[i], key_id, key_uuid);
    }
    const struct syncline_uuid *uuid = &work->ledger.records[record].uuid;
    memcpy(row + model->uuid_offset, uuid, sizeof(*uuid));
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    if (rc != SQLITE_DONE) {
        sl_sim_session_failed(session, "write");
        return false;
    }
    return true;
}

/* ---- Inserts ------------------------------------------------------------------------------ */

/* A deleted record that this device may bring back: it does not have it, and nobody does for good.
 */
static bool draw_reborn(struct sl_sim_workload *work, struct sl_sim_session *session,
                        const struct sl_sim_model *model, uint32_t *out)
{
    struct sl_sim_ledger *ledger = &work->ledger;
    struct sl_sim_random *random = random_of(session);
    if (!work->switches.reinserts || ledger->records_len == 0 ||
        !sl_sim_random_percent(random, 60)) {
        return false;
    }
    uint32_t start = (uint32_t)sl_sim_random_below(random, ledger->records_len);
    for (uint32_t i = 0; i < 50 && i < ledger->records_len; i++) {
        uint32_t number = (start + i) % ledger->records_len;
        const struct sl_sim_record *record = &ledger->records[number];
        bool is_free = sl_sim_record_buried(record, session->device->index) ||
                       (work->switches.twins && model->shared);
        if (record->model == model->index && is_free &&
            (model->shared || record->owner == session->device->index) &&
            find_id(work, session, number) == 0) {
            *out = number;
            return true;
        }
    }
    return false;
}

/* Without cycles a record points only at those of its table that have a lower rank. Ranks have
 * nothing to do with the order of inserts: a record may well point at one that came after it. */
static bool may_point_at(const struct sl_sim_workload *work, const struct sl_sim_column *column,
                         uint32_t record, uint32_t parent)
{
    if (work->switches.cycles || column->parent != work->ledger.records[record].model) {
        return true;
    }
    return record * 0x9e3779b1u > parent * 0x9e3779b1u;
}

/* Keys of row `batch->len`: from the pools, from this batch, to itself, or NULL. */
static bool draw_key(struct sl_sim_workload *work, const struct sl_sim_batch *batch,
                     const struct sl_sim_column *column, const struct pool *pool, uint32_t record,
                     struct sl_sim_value *out)
{
    struct sl_sim_random *random = &work->world->workload;
    *out = (struct sl_sim_value){.kind = SL_SIM_NULL};
    if (column->nullable && sl_sim_random_percent(random, 20)) {
        return true;
    }
    bool to_own_table = column->parent == batch->model->index;
    if (to_own_table && work->switches.self_loops && sl_sim_random_percent(random, 2) &&
        column->type == SYNCLINE_TYPE_KEY) {
        *out = (struct sl_sim_value){.kind = SL_SIM_REF, .integer = record};
        return true;
    }
    if (to_own_table && batch->len > 0 && batch->ops[0].kind == SL_SIM_OP_INSERT &&
        sl_sim_random_percent(random, 60)) {
        size_t earlier = sl_sim_random_below(random, batch->len);
        uint32_t parent = work->ledger.versions[batch->ops[earlier].rev - 1].record;
        bool is_kept = work->switches.orphans || !work->ledger.records[parent].retired;
        if (is_kept && may_point_at(work, column, record, parent)) {
            *out = (struct sl_sim_value){.kind = SL_SIM_REF, .integer = parent};
            return true;
        }
    }
    const struct sl_sim_found *parent = draw_parent(pool, random);
    if (parent == NULL || !may_point_at(work, column, record, parent->record)) {
        return column->nullable;
    }
    *out = (struct sl_sim_value){.kind = SL_SIM_REF, .integer = parent->record};
    return true;
}

static bool insert_one(struct sl_sim_workload *work, struct sl_sim_session *session,
                       struct sl_sim_batch *batch, const struct pool *pools, int64_t wanted_id)
{
    const struct sl_sim_model *model = batch->model;
    struct sl_sim_ledger *ledger = &work->ledger;
    int device = session->device->index;
    uint32_t record;
    bool is_reborn = draw_reborn(work, session, model, &record);
    if (!is_reborn) {
        record = sl_sim_record_new(ledger, model->index, device);
    }
    struct sl_sim_value *values = sl_sim_ledger_alloc(ledger, model->columns_len * sizeof(*values));
    for (uint32_t i = 1; i < model->columns_len; i++) {
        const struct sl_sim_column *column = &model->columns[i];
        if (column->parent == SL_SIM_NO_MODEL) {
            values[i] = sl_sim_value_draw(ledger, random_of(session), column);
        } else if (!draw_key(work, batch, column, &pools[i], record, &values[i])) {
            return true; /* no parent to be had; the record stays unborn */
        } else if (values[i].kind == SL_SIM_REF && values[i].integer == record && wanted_id == 0) {
            int64_t id_max; /* a record that points at itself must know its id */
            (void)count_rows(session, model, &id_max);
            wanted_id = id_max + 1;
        }
    }
    uint32_t rev = sl_sim_version_born(ledger, record, device, values);
    sqlite3_stmt *stmt = sl_sim_session_statement(
        session, &session->statements[model->index].insert, model->insert_sql);
    if (wanted_id != 0) {
        sqlite3_bind_int64(stmt, 1, wanted_id);
    } else {
        sqlite3_bind_null(stmt, 1);
    }
    sqlite3_bind_blob(stmt, 2, &ledger->records[record].uuid, sizeof(struct syncline_uuid),
                      SQLITE_TRANSIENT);
    if (model->has_local) {
        sqlite3_bind_int64(stmt, (int)model->columns_len + 3, SL_SIM_LOCAL_NOTE + device);
    }
    if (!step_values(work, session, batch, stmt, wanted_id, record, values)) {
        return false;
    }
    int64_t id = sqlite3_last_insert_rowid(session->db);
    int64_t *id_high = &work->id_high[device][model->index];
    work->counts.ids_used_again += wanted_id == 0 && id <= *id_high ? 1 : 0;
    *id_high = id > *id_high ? id : *id_high;
    memcpy(sl_sim_batch_row(batch, batch->len) + model->id_offset, &id, sizeof(id));
    batch->ops[batch->len++] = (struct sl_sim_op){.kind = SL_SIM_OP_INSERT, .rev = rev};
    work->counts.inserts++;
    work->counts.reinserts += is_reborn ? 1 : 0;
    return true;
}

static void fill_pools(struct sl_sim_workload *work, struct sl_sim_session *session,
                       const struct sl_sim_model *model, struct pool *pools)
{
    for (uint32_t i = 0; i < model->columns_len; i++) {
        pools[i].len = 0;
        if (model->columns[i].parent != SL_SIM_NO_MODEL) {
            fill_pool(work, session, &model->columns[i], &pools[i]);
        }
    }
}

bool sl_sim_batch_insert(struct sl_sim_workload *work, struct sl_sim_session *session,
                         struct sl_sim_batch *batch)
{
    struct sl_sim_random *random = random_of(session);
    struct pool pools[SL_SIM_COLUMNS_MAX];
    fill_pools(work, session, batch->model, pools);
    int64_t next_id = 0; /* SQLite's choice: one more than the largest */
    if (sl_sim_random_percent(random, 10)) {
        next_id = (int64_t)sl_sim_random_range(random, 1u << 20, (uint64_t)1 << 40);
    }
    for (size_t i = 0; i < batch->capacity; i++) {
        if (!insert_one(work, session, batch, pools, next_id)) {
            return false;
        }
        next_id += next_id != 0 ? 1 : 0;
    }
    return true;
}

/* ---- Updates and deletes ------------------------------------------------------------------ */

static bool may_change(const struct sl_sim_workload *work, const struct sl_sim_session *session,
                       const struct sl_sim_model *model, const struct sl_sim_found *row)
{
    return model->shared || work->ledger.records[row->record].owner == session->device->index;
}

static void count_update(struct sl_sim_workload *work, const struct sl_sim_found *row, int device)
{
    const struct sl_sim_ledger *ledger = &work->ledger;
    const struct sl_sim_record *record = &ledger->records[row->record];
    work->counts.updates++;
    uint32_t birth = ledger->versions[row->rev - 1].birth;
    work->counts.updates_of_deleted += record->births[birth].state == SL_SIM_DEAD ? 1 : 0;
    for (int other = 0; other < (int)work->world->devices_len; other++) {
        uint32_t last = record->last_rev[other];
        if (other != device && last != 0 && last != row->rev &&
            !ledger->versions[last - 1].overwritten) {
            work->counts.concurrent_updates++;
            return;
        }
    }
}

static bool update_one(struct sl_sim_workload *work, struct sl_sim_session *session,
                       struct sl_sim_batch *batch, const struct pool *pools,
                       const struct sl_sim_found *row)
{
    const struct sl_sim_model *model = batch->model;
    struct sl_sim_ledger *ledger = &work->ledger;
    struct sl_sim_random *random = random_of(session);
    int device = session->device->index;
    struct sl_sim_value *values = sl_sim_ledger_alloc(ledger, model->columns_len * sizeof(*values));
    memcpy(values, ledger->versions[row->rev - 1].values, model->columns_len * sizeof(*values));
    for (uint32_t i = 1; i < model->columns_len; i++) {
        const struct sl_sim_column *column = &model->columns[i];
        if (column->parent == SL_SIM_NO_MODEL) {
            if (sl_sim_random_percent(random, 40)) {
                values[i] = sl_sim_value_draw(ledger, random, column);
            }
            continue;
        }
        struct sl_sim_value key;
        if (sl_sim_random_percent(random, 20) &&
            draw_key(work, batch, column, &pools[i], row->record, &key)) {
            values[i] = key;
        }
        /* A row that was read again while it was on its way has the keys of a later version. */
        bool is_here = values[i].kind != SL_SIM_REF || values[i].integer == (int64_t)row->record ||
                       find_id(work, session, (uint32_t)values[i].integer) != 0;
        if (!is_here && !draw_key(work, batch, column, &pools[i], row->record, &values[i])) {
            return true;
        }
    }
    uint32_t rev = sl_sim_version_next(ledger, row->rev, device, values);
    sqlite3_stmt *stmt = sl_sim_session_statement(
        session, &session->statements[model->index].update, model->update_sql);
    sqlite3_bind_int64(stmt, 1, row->id);
    if (!step_values(work, session, batch, stmt, row->id, row->record, values)) {
        return false;
    }
    memcpy(sl_sim_batch_row(batch, batch->len) + model->id_offset, &row->id, sizeof(row->id));
    batch->ops[batch->len++] =
        (struct sl_sim_op){.kind = SL_SIM_OP_UPDATE, .rev = rev, .seen = row->rev};
    count_update(work, row, device);
    return true;
}

bool sl_sim_batch_update(struct sl_sim_workload *work, struct sl_sim_session *session,
                         struct sl_sim_batch *batch, const struct sl_sim_found *rows, uint32_t len)
{
    struct pool pools[SL_SIM_COLUMNS_MAX];
    fill_pools(work, session, batch->model, pools);
    for (uint32_t i = 0; i < len; i++) {
        if (may_change(work, session, batch->model, &rows[i]) &&
            !update_one(work, session, batch, pools, &rows[i])) {
            return false;
        }
    }
    return true;
}

static int64_t ask(struct sl_sim_session *session, const char *sql, int64_t bound)
{
    sqlite3_stmt *stmt = NULL;
    int64_t answer = 0;
    if (sqlite3_prepare_v2(session->db, sql, -1, &stmt, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, bound);
        answer = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    }
    sqlite3_finalize(stmt);
    return answer;
}

/* Are all rows older than the library settled? Once they are, they stay. */
static bool is_taken_in(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_older *older = &work->older[session->device->index];
    if (older->some && older->scanned_to == 0 &&
        ask(session, "SELECT NOT EXISTS(SELECT 1 FROM _syncline_scan)", 0) != 0) {
        older->scanned_to = ask(session, "SELECT max(id) FROM _syncline_outbox", 0);
    }
    if (older->some && older->scanned_to != 0 &&
        ask(session, "SELECT count(*) FROM _syncline_outbox WHERE id<?1", older->scanned_to) == 0) {
        older->some = false;
    }
    return !older->some || work->switches.orphans;
}

/* From the highest id down, so that children mostly go before their parents; what something in the
 * tables still points at stays: the foreign key says so. */
bool sl_sim_batch_delete(struct sl_sim_workload *work, struct sl_sim_session *session,
                         struct sl_sim_batch *batch, const struct sl_sim_found *rows, uint32_t len)
{
    const struct sl_sim_model *model = batch->model;
    struct sl_sim_ledger *ledger = &work->ledger;
    sqlite3_stmt *stmt = sl_sim_session_statement(
        session, &session->statements[model->index].delete, model->delete_sql);
    if (!is_taken_in(work, session)) {
        return true;
    }
    for (uint32_t i = len; i-- > 0;) {
        const struct sl_sim_found *row = &rows[i];
        bool is_free = work->switches.orphans ||
                       sl_sim_record_deletable(ledger, row->record, session->device->index);
        if (!may_change(work, session, model, row) || !is_free) {
            continue;
        }
        sqlite3_bind_int64(stmt, 1, row->id);
        int rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        if (rc == SQLITE_CONSTRAINT) {
            continue;
        }
        if (rc != SQLITE_DONE) {
            sl_sim_session_failed(session, "delete");
            return false;
        }
        sl_sim_ledger_begin_delete(ledger, session->device->index, row->rev);
        uint8_t *out = sl_sim_batch_row(batch, batch->len);
        memset(out, 0xaa, model->row_size); /* only id and uuid count */
        memcpy(out + model->id_offset, &row->id, sizeof(row->id));
        memcpy(out + model->uuid_offset, &ledger->records[row->record].uuid,
               sizeof(struct syncline_uuid));
        batch->ops[batch->len++] = (struct sl_sim_op){.kind = SL_SIM_OP_DELETE, .seen = row->rev};
        work->counts.deletes++;
    }
    return true;
}
