/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every operation has the same shape: rows are written to the table by SQL on the session's
 * connection, row structs say the same, and one call captures them, all inside one transaction or
 * right after an autocommit. The ledger hears of it as one op per row, which counts when the
 * transaction commits.
 *
 * Only one session of a device writes at a time, and nothing runs between a commit in autocommit
 * and its capture: both as an application would have it that follows the rules of the public
 * header. */

#include "tests/sim/sim_workload.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_values.h"

#define POOL_MAX 8u /* parents considered for the keys of one batch */

/* A row of a table as one of the operations finds it. */
struct found {
    int64_t id;
    uint32_t record;
    uint32_t rev;
};

/* The rows of one operation, growing side by side. */
struct batch {
    const struct sl_sim_model *model;
    uint8_t *rows; /* row structs */
    struct sl_sim_op *ops;
    size_t len;
    size_t capacity;
};

struct pool {
    struct found parents[POOL_MAX];
    uint32_t len;
};

static struct sl_sim_random *random_of(const struct sl_sim_session *session)
{
    return &session->device->world->workload;
}

/* Prepared when first needed: most runs use few of them. */
static sqlite3_stmt *statement(struct sl_sim_session *session, sqlite3_stmt **slot, const char *sql)
{
    if (*slot == NULL) {
        *slot = sl_sim_prepare(session->db, sql);
    }
    return *slot;
}

static void sql_failed(struct sl_sim_session *session, const char *what)
{
    sl_sim_fail(session->device->world, SL_SIM_INVARIANT, "device %d: application: %s: %s",
                session->device->index, what, sqlite3_errmsg(session->db));
}

/* ---- Looking at the tables ---------------------------------------------------------------- */

static int64_t count_rows(struct sl_sim_session *session, const struct sl_sim_model *model,
                          int64_t *id_max)
{
    sqlite3_stmt *stmt =
        statement(session, &session->statements[model->index].count, model->count_sql);
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
static uint32_t find_rows(struct sl_sim_workload *work, struct sl_sim_session *session,
                          const struct sl_sim_model *model, struct found *out, uint32_t max)
{
    int64_t id_max;
    int64_t count = count_rows(session, model, &id_max);
    if (count == 0) {
        return 0;
    }
    sqlite3_stmt *stmt =
        statement(session, &session->statements[model->index].page, model->page_sql);
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
        struct found row = {.id = sqlite3_column_int64(stmt, 0)};
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
    sqlite3_stmt *stmt = statement(session, &session->statements[r->model].find,
                                   work->world->schema.models[r->model].find_sql);
    sqlite3_bind_blob(stmt, 1, &r->uuid, sizeof(r->uuid), SQLITE_STATIC);
    int64_t id = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_reset(stmt);
    return id;
}

static void fill_pool(struct sl_sim_workload *work, struct sl_sim_session *session,
                      const struct sl_sim_column *column, struct pool *pool)
{
    struct found all[POOL_MAX];
    uint32_t len =
        find_rows(work, session, &work->world->schema.models[column->parent], all, POOL_MAX);
    pool->len = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (!work->ledger.records[all[i].record].retired) {
            pool->parents[pool->len++] = all[i];
        }
    }
}

static const struct found *draw_parent(const struct pool *pool, struct sl_sim_random *random)
{
    return pool->len > 0 ? &pool->parents[sl_sim_random_below(random, pool->len)] : NULL;
}

/* ---- Batches ------------------------------------------------------------------------------ */

static void batch_init(struct batch *batch, const struct sl_sim_model *model, uint32_t capacity)
{
    batch->model = model;
    batch->rows = sl_sim_alloc((size_t)capacity * model->row_size);
    batch->ops = sl_sim_alloc(capacity * sizeof(*batch->ops));
    batch->len = 0;
    batch->capacity = capacity;
}

static void batch_fini(struct batch *batch)
{
    free(batch->rows);
    free(batch->ops);
}

static uint8_t *batch_row(const struct batch *batch, size_t index)
{
    return batch->rows + index * batch->model->row_size;
}

/* Ids count from 1; id 0 in a reference to a parent that is not there breaks the foreign key, which
 * the step reports. */
static bool step_values(struct sl_sim_workload *work, struct sl_sim_session *session,
                        struct batch *batch, sqlite3_stmt *stmt, int64_t id, uint32_t record,
                        const struct sl_sim_value *values)
{
    const struct sl_sim_model *model = batch->model;
    uint8_t *row = batch_row(batch, batch->len);
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
        sql_failed(session, "write");
        return false;
    }
    return true;
}

/* For people who read traces: which records and versions a capture names. */
static void print_ops(const struct sl_sim_workload *work, const struct batch *batch)
{
    FILE *out = work->world->trace.out;
    static const char *const names[] = {"", "insert", "update", "delete"};
    for (size_t i = 0; i < batch->len && out != NULL; i++) {
        const struct sl_sim_op *op = &batch->ops[i];
        uint32_t rev = op->rev != 0 ? op->rev : op->seen;
        const struct sl_sim_version *version = &work->ledger.versions[rev - 1];
        fprintf(out, "    %s record %08x rev %u seen %u:", names[op->kind], version->record,
                op->rev, op->seen);
        for (uint32_t k = 0; k < batch->model->columns_len && op->rev != 0; k++) {
            if (version->values[k].kind == SL_SIM_REF) {
                fprintf(out, " %s -> %08x", batch->model->columns[k].name,
                        (unsigned)version->values[k].integer);
            }
        }
        fprintf(out, "\n");
    }
}

static struct sl_library *library_of(const struct sl_sim_session *session)
{
    return session->is_engine ? session->device->engine : session->device->capture;
}

/* Attaches the session's connection, or detaches it. */
static void change_attachment(struct sl_sim_session *session)
{
    struct sl_sim_device *device = session->device;
    struct sl_error err = {0};
    enum syncline_status status = session->is_attached
                                      ? sl_library_detach(library_of(session), session->db, &err)
                                      : sl_library_attach(library_of(session), session->db, &err);
    session->is_attached = !session->is_attached;
    sl_sim_trace_event(&device->world->trace, device->world->now_ns, device->index,
                       session->is_attached ? "attach" : "detach", status, 0, NULL, 0);
    if (status != SYNCLINE_OK) {
        sl_sim_fail(device->world, SL_SIM_INVARIANT, "device %d: attach or detach: %s: %s",
                    device->index, syncline_status_name(status), err.text);
    }
}

/* The changes exist: tell Syncline, and the ledger at the commit. */
static bool capture(struct sl_sim_workload *work, struct sl_sim_session *session,
                    struct batch *batch, enum syncline_change change, bool with_db)
{
    struct sl_sim_device *device = session->device;
    struct sl_sim_random *random = random_of(session);
    if (work->switches.shuffled_batches && sl_sim_random_percent(random, 20)) {
        uint8_t *swap = sl_sim_alloc(batch->model->row_size);
        for (size_t i = batch->len - 1; i > 0; i--) {
            size_t k = sl_sim_random_below(random, i + 1);
            memcpy(swap, batch_row(batch, i), batch->model->row_size);
            memmove(batch_row(batch, i), batch_row(batch, k), batch->model->row_size);
            memcpy(batch_row(batch, k), swap, batch->model->row_size);
        }
        free(swap);
    }
    uint32_t batch_len =
        sl_sim_random_percent(random, 30) ? (uint32_t)sl_sim_random_scale(random, 1, 100) : 0;
    if (device->engine == NULL) {
        work->counts.captured_without_engine++;
    }
    if (work->switches.attached && sl_sim_random_percent(random, session->is_attached ? 5 : 20)) {
        change_attachment(session);
    }
    work->counts.captured_attached += session->is_attached && with_db ? 1 : 0;
    struct sl_error err = {0};
    enum syncline_status status =
        sl_library_capture(library_of(session), &batch->model->described, batch->rows, batch->len,
                           change, with_db ? session->db : NULL, batch_len, &err);
    sl_sim_trace_event(&work->world->trace, work->world->now_ns, device->index, "capture",
                       (uint64_t)change << 32 | batch->model->index, batch->len, NULL, 0);
    print_ops(work, batch);
    if (status != SYNCLINE_OK) {
        sl_sim_fail(work->world, SL_SIM_INVARIANT, "device %d: capture of %zu rows of %s: %s: %s",
                    device->index, batch->len, batch->model->name, syncline_status_name(status),
                    err.text);
        return false;
    }
    size_t len = session->ops_len + batch->len;
    session->ops = sl_sim_realloc(session->ops, (len > 0 ? len : 1) * sizeof(*session->ops));
    memcpy(session->ops + session->ops_len, batch->ops, batch->len * sizeof(*batch->ops));
    session->ops_len = len;
    return true;
}

static uint32_t draw_rows(struct sl_sim_workload *work)
{
    struct sl_sim_random *random = &work->world->workload;
    uint64_t most = sl_sim_random_percent(random, 60) ? 3 : work->rows_max;
    return (uint32_t)sl_sim_random_scale(random, 1, most < work->rows_max ? most : work->rows_max);
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
        !sl_sim_random_percent(random, 10)) {
        return false;
    }
    uint32_t start = (uint32_t)sl_sim_random_below(random, ledger->records_len);
    for (uint32_t i = 0; i < 50 && i < ledger->records_len; i++) {
        uint32_t number = (start + i) % ledger->records_len;
        const struct sl_sim_record *record = &ledger->records[number];
        if (record->model == model->index && sl_sim_record_buried(record, session->device->index) &&
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
static bool draw_key(struct sl_sim_workload *work, const struct batch *batch,
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
        if (!work->ledger.records[parent].retired && may_point_at(work, column, record, parent)) {
            *out = (struct sl_sim_value){.kind = SL_SIM_REF, .integer = parent};
            return true;
        }
    }
    const struct found *parent = draw_parent(pool, random);
    if (parent == NULL || !may_point_at(work, column, record, parent->record)) {
        return column->nullable;
    }
    *out = (struct sl_sim_value){.kind = SL_SIM_REF, .integer = parent->record};
    return true;
}

static bool insert_one(struct sl_sim_workload *work, struct sl_sim_session *session,
                       struct batch *batch, const struct pool *pools, int64_t wanted_id)
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
    sqlite3_stmt *stmt =
        statement(session, &session->statements[model->index].insert, model->insert_sql);
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
    memcpy(batch_row(batch, batch->len) + model->id_offset, &id, sizeof(id));
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

static bool insert_rows(struct sl_sim_workload *work, struct sl_sim_session *session,
                        struct batch *batch)
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
                       const struct sl_sim_model *model, const struct found *row)
{
    return model->shared || work->ledger.records[row->record].owner == session->device->index;
}

static void count_update(struct sl_sim_workload *work, const struct found *row, int device)
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
                       struct batch *batch, const struct pool *pools, const struct found *row)
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
    }
    uint32_t rev = sl_sim_version_next(ledger, row->rev, device, values);
    sqlite3_stmt *stmt =
        statement(session, &session->statements[model->index].update, model->update_sql);
    sqlite3_bind_int64(stmt, 1, row->id);
    if (!step_values(work, session, batch, stmt, row->id, row->record, values)) {
        return false;
    }
    memcpy(batch_row(batch, batch->len) + model->id_offset, &row->id, sizeof(row->id));
    batch->ops[batch->len++] =
        (struct sl_sim_op){.kind = SL_SIM_OP_UPDATE, .rev = rev, .seen = row->rev};
    count_update(work, row, device);
    return true;
}

static bool update_rows(struct sl_sim_workload *work, struct sl_sim_session *session,
                        struct batch *batch, const struct found *rows, uint32_t len)
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
    return !older->some;
}

/* From the highest id down, so that children mostly go before their parents; what something in the
 * tables still points at stays: the foreign key says so. */
static bool delete_rows(struct sl_sim_workload *work, struct sl_sim_session *session,
                        struct batch *batch, const struct found *rows, uint32_t len)
{
    const struct sl_sim_model *model = batch->model;
    struct sl_sim_ledger *ledger = &work->ledger;
    sqlite3_stmt *stmt =
        statement(session, &session->statements[model->index].delete, model->delete_sql);
    if (!is_taken_in(work, session)) {
        return true;
    }
    for (uint32_t i = len; i-- > 0;) {
        const struct found *row = &rows[i];
        if (!may_change(work, session, model, row) ||
            !sl_sim_record_deletable(ledger, row->record, session->device->index)) {
            continue;
        }
        sqlite3_bind_int64(stmt, 1, row->id);
        int rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        if (rc == SQLITE_CONSTRAINT) {
            continue;
        }
        if (rc != SQLITE_DONE) {
            sql_failed(session, "delete");
            return false;
        }
        sl_sim_ledger_begin_delete(ledger, session->device->index, row->rev);
        uint8_t *out = batch_row(batch, batch->len);
        memset(out, 0xaa, model->row_size); /* only id and uuid count */
        memcpy(out + model->id_offset, &row->id, sizeof(row->id));
        memcpy(out + model->uuid_offset, &ledger->records[row->record].uuid,
               sizeof(struct syncline_uuid));
        batch->ops[batch->len++] = (struct sl_sim_op){.kind = SL_SIM_OP_DELETE, .seen = row->rev};
        work->counts.deletes++;
    }
    return true;
}

/* ---- Operations --------------------------------------------------------------------------- */

static bool begin(struct sl_sim_session *session)
{
    return sl_sim_exec(session->device, session->db, "BEGIN IMMEDIATE");
}

static void commit_ops(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    sl_sim_ledger_commit(&work->ledger, session->device->index, session->ops, session->ops_len);
    session->ops_len = 0;
    session->savepoints_len = 0;
}

static void undo_ops(struct sl_sim_workload *work, struct sl_sim_session *session, size_t from)
{
    sl_sim_ledger_undo(&work->ledger, session->device->index, session->ops + from,
                       session->ops_len - from);
    session->ops_len = from;
}

/* One change of some rows of one table, inside the open transaction or in autocommit. */
static void change_rows(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_random *random = random_of(session);
    bool is_auto = session->state == SL_SIM_IDLE;
    uint32_t which = (uint32_t)sl_sim_random_below(random, work->world->schema.models_len);
    const struct sl_sim_model *model = &work->world->schema.models[which];
    uint64_t kind = sl_sim_random_below(random, 100);
    uint32_t len = draw_rows(work);
    bool with_db = !is_auto || model->has_keys || sl_sim_random_percent(random, 50);
    bool in_transaction = is_auto && len > 1;
    if (in_transaction && !begin(session)) {
        return;
    }
    struct batch batch;
    batch_init(&batch, model, len);
    enum syncline_change change = SYNCLINE_INSERT;
    bool ok;
    if (kind < 40) {
        ok = insert_rows(work, session, &batch);
    } else {
        struct found *rows = sl_sim_alloc(len * sizeof(*rows));
        uint32_t found = find_rows(work, session, model, rows, len);
        change = kind < 80 || !work->switches.deletes ? SYNCLINE_UPDATE : SYNCLINE_DELETE;
        ok = change == SYNCLINE_UPDATE ? update_rows(work, session, &batch, rows, found)
                                       : delete_rows(work, session, &batch, rows, found);
        free(rows);
    }
    ok = ok && (!in_transaction || sl_sim_exec(session->device, session->db, "COMMIT"));
    if (ok && batch.len > 0 && capture(work, session, &batch, change, with_db) && is_auto) {
        commit_ops(work, session);
        work->counts.autocommit_with_db += with_db ? 1 : 0;
        work->counts.autocommit_without_db += with_db ? 0 : 1;
    }
    batch_fini(&batch);
}

static void end_transaction(struct sl_sim_workload *work, struct sl_sim_session *session,
                            bool commit)
{
    struct sl_sim_world *world = work->world;
    if (!sl_sim_exec(session->device, session->db, commit ? "COMMIT" : "ROLLBACK")) {
        return;
    }
    sl_sim_trace_event(&world->trace, world->now_ns, session->device->index,
                       commit ? "commit" : "rollback", session->ops_len, 0, NULL, 0);
    session->state = SL_SIM_IDLE;
    work->counts.transactions++;
    if (commit) {
        commit_ops(work, session);
        return;
    }
    undo_ops(work, session, 0);
    session->savepoints_len = 0;
    work->counts.rollbacks++;
}

static void savepoint(struct sl_sim_workload *work, struct sl_sim_session *session, uint64_t what)
{
    char sql[32];
    if (what == 0) {
        if (session->savepoints_len == SL_SIM_SAVEPOINTS_MAX) {
            return;
        }
        snprintf(sql, sizeof(sql), "SAVEPOINT s%u", session->savepoints_len);
        if (sl_sim_exec(session->device, session->db, sql)) {
            session->savepoints[session->savepoints_len++] = session->ops_len;
        }
        return;
    }
    if (session->savepoints_len == 0) {
        return;
    }
    unsigned at = (unsigned)sl_sim_random_below(random_of(session), session->savepoints_len);
    snprintf(sql, sizeof(sql), "%s s%u", what == 1 ? "ROLLBACK TO" : "RELEASE", at);
    if (!sl_sim_exec(session->device, session->db, sql)) {
        return;
    }
    if (what == 1) {
        undo_ops(work, session, session->savepoints[at]);
        session->savepoints_len = at + 1;
        work->counts.rollbacks_to++;
        return;
    }
    session->savepoints_len = at;
}

static void act_writing(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    uint64_t what = sl_sim_random_below(random_of(session), 100);
    if (what < 60) {
        change_rows(work, session);
    } else if (what < 68) {
        savepoint(work, session, 0);
    } else if (what < 74 && work->switches.rollbacks) {
        savepoint(work, session, 1);
    } else if (what < 78) {
        savepoint(work, session, 2);
    } else {
        end_transaction(work, session, what < 94 || !work->switches.rollbacks);
    }
}

/* ---- Handles opened and closed ------------------------------------------------------------ */

/* A second process is started anew, or the one with the engine is stopped for a while. */
static void reopen_something(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_device *device = session->device;
    if (!session->is_engine && work->sessions[device->index][0].state == SL_SIM_WRITING) {
        return; /* it would wait for the write lock */
    }
    if (session->is_attached && sl_sim_random_percent(random_of(session), 50)) {
        change_attachment(session);
    }
    session->is_attached = false; /* closing the handle detaches it, at the latest */
    if (!session->is_engine) {
        sl_sim_capture_close(device);
        (void)sl_sim_capture_open(device);
        return;
    }
    sl_sim_engine_close(device);
    work->down_for[device->index] = (unsigned)sl_sim_random_scale(random_of(session), 1, 512);
    work->counts.engine_reopens++;
}

/* An engine that opens waits for the write lock, in vain while nothing else can run: so it opens
 * when nobody holds it. */
void sl_sim_workload_tick(struct sl_sim_workload *work, unsigned device)
{
    struct sl_sim_session *sessions = work->sessions[device];
    if (work->world->devices[device].engine != NULL) {
        return;
    }
    if (work->down_for[device] > 0) {
        work->down_for[device]--;
        return;
    }
    if (sessions[0].state != SL_SIM_WRITING && sessions[1].state != SL_SIM_WRITING) {
        (void)sl_sim_engine_open(&work->world->devices[device]);
    }
}

static void act_idle(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_session *other = work->sessions[session->device->index];
    other += session->is_engine ? 1 : 0;
    uint64_t what = sl_sim_random_below(random_of(session), 100);
    if (what < 5) {
        if (sl_sim_exec(session->device, session->db,
                        "BEGIN; SELECT count(*) FROM sqlite_schema")) {
            session->state = SL_SIM_READING;
        }
    } else if (what < 9 && work->switches.reopens) {
        reopen_something(work, session);
    } else if (other->state == SL_SIM_WRITING) {
        return;
    } else if (what < 55) {
        if (begin(session)) {
            session->state = SL_SIM_WRITING;
        }
    } else {
        change_rows(work, session);
    }
}

void sl_sim_workload_act(struct sl_sim_workload *work, unsigned device)
{
    struct sl_sim_world *world = work->world;
    bool is_engine = sl_sim_random_percent(&world->workload, 70) || !work->switches.second_process;
    if (world->devices[device].engine == NULL) { /* its process is not running */
        if (!work->switches.second_process) {
            return;
        }
        is_engine = false;
    }
    struct sl_sim_session *session = &work->sessions[device][is_engine ? 0 : 1];
    work->actions_left[device]--;
    switch (session->state) {
    case SL_SIM_IDLE:
        act_idle(work, session);
        break;
    case SL_SIM_WRITING:
        act_writing(work, session);
        break;
    case SL_SIM_READING:
        if (sl_sim_random_percent(&world->workload, 50) &&
            sl_sim_exec(session->device, session->db, "COMMIT")) {
            session->state = SL_SIM_IDLE;
        }
        break;
    }
}

void sl_sim_workload_finish(struct sl_sim_workload *work)
{
    for (unsigned i = 0; i < work->world->devices_len; i++) {
        for (unsigned k = 0; k < 2; k++) {
            struct sl_sim_session *session = &work->sessions[i][k];
            if (session->state == SL_SIM_READING) {
                (void)sl_sim_exec(session->device, session->db, "COMMIT");
                session->state = SL_SIM_IDLE;
            } else if (session->state == SL_SIM_WRITING) {
                end_transaction(work, session, sl_sim_random_percent(random_of(session), 70));
            }
        }
        if (work->world->devices[i].engine == NULL) {
            (void)sl_sim_engine_open(&work->world->devices[i]);
        }
    }
}

/* ---- Before the library ------------------------------------------------------------------- */

/* Rows that nobody captures: each is one change later, however often it is written now. */
static bool write_older(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_random *random = random_of(session);
    const struct sl_sim_schema *schema = &work->world->schema;
    const struct sl_sim_model *model =
        &schema->models[sl_sim_random_below(random, schema->models_len)];
    uint32_t capacity = draw_rows(work);
    bool inserts = sl_sim_random_percent(random, 70);
    int device = session->device->index;
    struct batch batch;
    batch_init(&batch, model, capacity);
    bool ok = sl_sim_exec(session->device, session->db, "BEGIN IMMEDIATE");
    if (ok && inserts) {
        ok = insert_rows(work, session, &batch);
    } else if (ok) {
        struct found *rows = sl_sim_alloc(capacity * sizeof(*rows));
        uint32_t len = find_rows(work, session, model, rows, capacity);
        ok = update_rows(work, session, &batch, rows, len);
        free(rows);
    }
    ok = ok && sl_sim_exec(session->device, session->db, "COMMIT");
    if (ok) {
        sl_sim_ledger_commit(&work->ledger, device, batch.ops, batch.len);
        work->ledger.changes[device] -= inserts ? 0 : batch.len;
        work->counts.older_rows += inserts ? batch.len : 0;
        work->older[device].some = work->older[device].some || batch.len > 0;
    }
    batch_fini(&batch);
    return ok;
}

static void add_older_rows(struct sl_sim_workload *work)
{
    struct sl_sim_random *random = &work->world->workload;
    for (unsigned i = 0; i < work->world->devices_len; i++) {
        uint64_t rounds =
            sl_sim_random_percent(random, 60) ? sl_sim_random_scale(random, 1, 12) : 0;
        for (uint64_t n = 0; n < rounds && write_older(work, &work->sessions[i][0]); n++) {
        }
    }
}

/* ---- Beginning and end -------------------------------------------------------------------- */

static void session_open(struct sl_sim_session *session, struct sl_sim_device *device,
                         bool is_engine)
{
    session->device = device;
    session->is_engine = is_engine;
    session->db = sl_sim_db_open(device);
}

static void session_close(struct sl_sim_session *session)
{
    for (uint32_t i = 0; i < SL_SIM_MODELS_MAX; i++) {
        const struct sl_sim_statements *statements = &session->statements[i];
        sqlite3_finalize(statements->insert);
        sqlite3_finalize(statements->update);
        sqlite3_finalize(statements->delete);
        sqlite3_finalize(statements->count);
        sqlite3_finalize(statements->page);
        sqlite3_finalize(statements->find);
    }
    if (session->is_attached) {
        change_attachment(session);
    }
    if (sqlite3_close(session->db) != SQLITE_OK) {
        sql_failed(session, "close");
    }
    free(session->ops);
}

void sl_sim_workload_init(struct sl_sim_workload *work, struct sl_sim_world *world,
                          const struct sl_sim_switches *allowed)
{
    memset(work, 0, sizeof(*work));
    work->world = world;
    struct sl_sim_random *random = &world->workload;
    sl_sim_ledger_init(&work->ledger, world);
    /* Drawn whether allowed or not: a schedule is the same but for what is left out. */
#define X(name, default_) work->switches.name = sl_sim_random_percent(random, 60) && allowed->name;
    SL_SIM_SWITCHES_MAP(X)
#undef X
    static const uint32_t sizes[] = {3, 30, 300};
    work->rows_max = sizes[sl_sim_random_below(random, 3)];
    for (unsigned i = 0; i < world->devices_len; i++) {
        work->actions_left[i] = (unsigned)sl_sim_random_scale(random, 8, 64);
        session_open(&work->sessions[i][0], &world->devices[i], true);
        session_open(&work->sessions[i][1], &world->devices[i], false);
    }
    if (work->switches.older_rows) {
        add_older_rows(work);
    }
}

void sl_sim_workload_fini(struct sl_sim_workload *work)
{
    for (unsigned i = 0; i < work->world->devices_len; i++) {
        session_close(&work->sessions[i][0]);
        session_close(&work->sessions[i][1]);
    }
    sl_sim_ledger_fini(&work->ledger);
}
