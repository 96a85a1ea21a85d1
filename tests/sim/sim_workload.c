/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every operation has the same shape: rows are written to the table by SQL on the session's
 * connection (sim_batch.h), row structs say the same, and one call captures them, all inside one
 * transaction or right after it. The ledger hears of it as one op per row, which counts when the
 * transaction commits.
 *
 * Only one session of a device writes at a time, and nothing runs between a commit in autocommit
 * and its capture: both as an application would have it that follows the rules of the public
 * header. */

#include "tests/sim/sim_workload.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_tree.h"

static struct sl_sim_random *random_of(const struct sl_sim_session *session)
{
    return &session->device->world->workload;
}

static void count(struct sl_sim_workload *work, const struct sl_sim_session *session,
                  enum sl_sim_operation operation)
{
    sl_sim_coverage_operation(&work->coverage, session->device->index, operation);
    work->counts.operations++;
}

/* ---- Captures ----------------------------------------------------------------------------- */

/* For people who read traces: which records and versions a capture names. */
static void print_ops(const struct sl_sim_workload *work, const struct sl_sim_batch *batch)
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
    uint64_t hits = sl_sim_expose(device);
    enum syncline_status status = session->is_attached
                                      ? sl_library_detach(library_of(session), session->db, &err)
                                      : sl_library_attach(library_of(session), session->db, &err);
    sl_sim_cover(device);
    session->is_attached = status == SYNCLINE_OK ? !session->is_attached : session->is_attached;
    sl_sim_trace_event(&device->world->trace, device->world->now_ns, device->index,
                       session->is_attached ? "attach" : "detach", status, 0, NULL, 0);
    if (status != SYNCLINE_OK && !sl_sim_may_fail(device, hits, status)) {
        sl_sim_fail(device->world, SL_SIM_INVARIANT, "device %d: attach or detach: %s: %s",
                    device->index, syncline_status_name(status), err.text);
    }
}

static void shuffle(const struct sl_sim_batch *batch, struct sl_sim_random *random)
{
    uint8_t *swap = sl_sim_alloc(batch->model->row_size);
    for (size_t i = batch->len - 1; i > 0; i--) {
        size_t k = sl_sim_random_below(random, i + 1);
        memcpy(swap, sl_sim_batch_row(batch, i), batch->model->row_size);
        memmove(sl_sim_batch_row(batch, i), sl_sim_batch_row(batch, k), batch->model->row_size);
        memcpy(sl_sim_batch_row(batch, k), swap, batch->model->row_size);
    }
    free(swap);
}

/* The changes exist: tell Syncline. False: it failed, as it may when it was hit; or a failure was
 * noted. */
static bool capture(struct sl_sim_workload *work, struct sl_sim_session *session,
                    struct sl_sim_batch *batch, enum syncline_change change, bool with_db)
{
    struct sl_sim_device *device = session->device;
    struct sl_sim_random *random = random_of(session);
    if (work->switches.shuffled_batches && sl_sim_random_percent(random, 20)) {
        shuffle(batch, random);
    }
    uint32_t batch_len =
        sl_sim_random_percent(random, 30) ? (uint32_t)sl_sim_random_scale(random, 1, 100) : 0;
    work->counts.captured_without_engine += device->engine == NULL ? 1 : 0;
    if (work->switches.attached && sl_sim_random_percent(random, session->is_attached ? 5 : 20)) {
        change_attachment(session);
    }
    if (session->is_attached && with_db) {
        work->counts.captured_attached++;
        count(work, session, SL_SIM_OPERATION_attached);
    }
    if (!session->is_engine) {
        count(work, session, SL_SIM_OPERATION_second_process);
    }
    if (device->has_died) {
        return false;
    }
    struct sl_error err = {0};
    uint64_t hits = sl_sim_expose(device);
    enum syncline_status status =
        sl_library_capture(library_of(session), &batch->model->described, batch->rows, batch->len,
                           change, with_db ? session->db : NULL, batch_len, &err);
    sl_sim_cover(device);
    sl_sim_trace_event(&work->world->trace, work->world->now_ns, device->index, "capture",
                       (uint64_t)change << 32 | batch->model->index, batch->len << 8 | status, NULL,
                       0);
    print_ops(work, batch);
    bool is_sick = device->engine != NULL && session->is_engine && device->hits_at_open != hits &&
                   !sl_sim_engine_is_well(device);
    if (status != SYNCLINE_OK && !is_sick && !sl_sim_may_fail(device, hits, status)) {
        sl_sim_fail(work->world, SL_SIM_INVARIANT, "device %d: capture of %zu rows of %s: %s: %s",
                    device->index, batch->len, batch->model->name, syncline_status_name(status),
                    err.text);
    }
    return status == SYNCLINE_OK;
}

/* ---- Operations --------------------------------------------------------------------------- */

uint32_t sl_sim_workload_rows(struct sl_sim_workload *work)
{
    struct sl_sim_random *random = &work->world->workload;
    uint64_t most = sl_sim_random_percent(random, 60) ? 3 : work->rows_max;
    return (uint32_t)sl_sim_random_scale(random, 1, most < work->rows_max ? most : work->rows_max);
}

static void count_ops(struct sl_sim_workload *work, const struct sl_sim_session *session,
                      const struct sl_sim_batch *batch)
{
    static const enum sl_sim_operation operations[] = {
        SL_SIM_OPERATION_insert, SL_SIM_OPERATION_insert, SL_SIM_OPERATION_update,
        SL_SIM_OPERATION_delete};
    for (size_t i = 0; i < batch->len; i++) {
        const struct sl_sim_op *op = &batch->ops[i];
        count(work, session, operations[op->kind]);
        if (op->kind == SL_SIM_OP_INSERT && work->ledger.versions[op->rev - 1].birth > 0) {
            sl_sim_coverage_operation(&work->coverage, session->device->index,
                                      SL_SIM_OPERATION_reinsert);
        }
    }
}

static bool write_rows(struct sl_sim_workload *work, struct sl_sim_session *session,
                       struct sl_sim_batch *batch, bool updates, enum syncline_change *change)
{
    uint64_t kind = sl_sim_random_below(random_of(session), 100);
    if (!updates && kind >= 40) {
        kind = work->switches.deletes && !work->switches.reinserts ? 80 : 0;
    }
    *change = SYNCLINE_INSERT;
    if (kind < 40) {
        return sl_sim_batch_insert(work, session, batch);
    }
    struct sl_sim_found *rows = sl_sim_alloc(batch->capacity * sizeof(*rows));
    uint32_t found =
        sl_sim_batch_find(work, session, batch->model, rows, (uint32_t)batch->capacity);
    *change = kind < 80 || !work->switches.deletes ? SYNCLINE_UPDATE : SYNCLINE_DELETE;
    bool ok = *change == SYNCLINE_UPDATE ? sl_sim_batch_update(work, session, batch, rows, found)
                                         : sl_sim_batch_delete(work, session, batch, rows, found);
    free(rows);
    return ok;
}

/* One change of some rows of one table inside the open transaction, which is undone if it cannot be
 * captured. */
static void change_rows(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_batch batch;
    uint32_t which =
        (uint32_t)sl_sim_random_below(random_of(session), work->world->schema.models_len);
    sl_sim_batch_init(&batch, &work->world->schema.models[which], sl_sim_workload_rows(work));
    enum syncline_change change;
    bool ok = write_rows(work, session, &batch, true, &change);
    sl_sim_session_add(session, batch.ops, batch.len);
    if (ok && batch.len > 0) {
        count_ops(work, session, &batch);
        if (!capture(work, session, &batch, change, true) && !session->device->has_died) {
            sl_sim_session_rollback(session, &work->ledger);
        }
    }
    sl_sim_batch_fini(&batch);
}

/* A record and all that points at it, in the open transaction. */
static void delete_tree(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    uint32_t which =
        (uint32_t)sl_sim_random_below(random_of(session), work->world->schema.models_len);
    const struct sl_sim_model *model = &work->world->schema.models[which];
    struct sl_sim_found root;
    struct sl_sim_tree tree;
    if (sl_sim_batch_find(work, session, model, &root, 1) == 0 ||
        !sl_sim_tree_delete(&tree, work, session, model, &root)) {
        return;
    }
    bool ok = true;
    sl_sim_session_add(session, tree.silent, tree.silent_len);
    for (size_t i = 0; i < tree.batches_len && ok; i++) {
        sl_sim_session_add(session, tree.batches[i].ops, tree.batches[i].len);
        count_ops(work, session, &tree.batches[i]);
        ok = capture(work, session, &tree.batches[i], SYNCLINE_DELETE, true);
    }
    if (!ok && !session->device->has_died) {
        sl_sim_session_rollback(session, &work->ledger);
    }
    sl_sim_tree_fini(&tree);
}

static void end_transaction(struct sl_sim_workload *work, struct sl_sim_session *session,
                            bool commit)
{
    work->counts.transactions++;
    if (commit) {
        count(work, session, SL_SIM_OPERATION_commit);
        (void)sl_sim_session_commit(session, &work->ledger);
        return;
    }
    sl_sim_session_rollback(session, &work->ledger);
    work->counts.rollbacks++;
    count(work, session, SL_SIM_OPERATION_rollback);
}

/* The rows are committed, and captured by a call of its own. */
static void change_rows_bare(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_batch batch;
    struct sl_sim_random *random = random_of(session);
    uint32_t which = (uint32_t)sl_sim_random_below(random, work->world->schema.models_len);
    const struct sl_sim_model *model = &work->world->schema.models[which];
    bool with_db = model->has_keys || sl_sim_random_percent(random, 50);
    sl_sim_batch_init(&batch, model, sl_sim_workload_rows(work));
    enum syncline_change change;
    bool ok = sl_sim_session_begin(session, &work->ledger) &&
              write_rows(work, session, &batch, work->bare_updates, &change);
    if (ok) {
        sl_sim_session_add(session, batch.ops, batch.len);
        count_ops(work, session, &batch);
        ok = sl_sim_session_commit(session, &work->ledger);
    }
    if (ok && batch.len > 0 && capture(work, session, &batch, change, with_db)) {
        work->counts.autocommit_with_db += with_db ? 1 : 0;
        work->counts.autocommit_without_db += with_db ? 0 : 1;
    }
    sl_sim_batch_fini(&batch);
}

static void act_writing(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    uint64_t what = sl_sim_random_below(random_of(session), 100);
    if (what < 60) {
        bool is_tree = work->switches.orphans && work->switches.deletes &&
                       sl_sim_random_percent(random_of(session), 15);
        if (is_tree) {
            delete_tree(work, session);
        } else {
            change_rows(work, session);
        }
    } else if (what < 68) {
        (void)sl_sim_session_savepoint(session);
    } else if (what < 74 && work->switches.rollbacks) {
        if (sl_sim_session_rollback_to(session, &work->ledger)) {
            work->counts.rollbacks_to++;
            count(work, session, SL_SIM_OPERATION_rollback_to);
        }
    } else if (what < 78) {
        (void)sl_sim_session_release(session);
    } else {
        end_transaction(work, session, what < 94 || !work->switches.rollbacks);
    }
}

/* ---- Handles opened and closed ------------------------------------------------------------ */

/* The applications of a device have connections again, and know what is there. `is_last`: no fault
 * can happen any more. */
static void come_up(struct sl_sim_workload *work, unsigned d, bool is_last)
{
    struct sl_sim_device *device = &work->world->devices[d];
    for (unsigned k = 0; k < 2; k++) {
        if (work->sessions[d][k].db == NULL) {
            sl_sim_session_open(&work->sessions[d][k], device, k == 0);
        }
    }
    if (work->was_cut[d] || is_last || work->settled_hits[d] != device->hits) {
        enum sl_sim_look look = work->was_cut[d] ? SL_SIM_LOOK_AFTER_CRASH
                                : is_last        ? SL_SIM_LOOK_LAST
                                                 : SL_SIM_LOOK_RUNNING;
        sl_sim_session_settle(&work->sessions[d][0], &work->ledger, look);
        work->was_cut[d] = false;
        work->settled_hits[d] = device->hits;
    }
}

static void close_engine(struct sl_sim_workload *work, unsigned d, unsigned steps)
{
    struct sl_sim_session *session = &work->sessions[d][0];
    if (session->is_attached && sl_sim_random_percent(random_of(session), 50)) {
        change_attachment(session);
    }
    session->is_attached = false; /* closing the handle detaches it, at the latest */
    sl_sim_engine_close(&work->world->devices[d]);
    work->down_for[d] = steps;
}

/* Its processes died: what is left of them goes, and it stays down for a while. */
static void bury(struct sl_sim_workload *work, unsigned d)
{
    struct sl_sim_device *device = &work->world->devices[d];
    sl_sim_capture_close(device); /* and detaches */
    sl_sim_engine_close(device);
    for (unsigned k = 0; k < 2; k++) {
        sl_sim_session_close(&work->sessions[d][k], &work->ledger);
        work->sessions[d][k].is_attached = false;
        work->sessions[d][k].state = SL_SIM_IDLE;
    }
    device->has_died = false;
    work->counts.crashes++;
    work->was_cut[d] = true; /* a kill loses nothing that was committed: that is looked at, too */
    work->down_for[d] = (unsigned)sl_sim_random_scale(&work->world->workload, 1, 512);
}

/* A second process is started anew, or the one with the engine is stopped for a while. */
static void reopen_something(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_device *device = session->device;
    if (!session->is_engine && work->sessions[device->index][0].state == SL_SIM_WRITING) {
        return; /* it would wait for the write lock */
    }
    count(work, session, SL_SIM_OPERATION_reopen);
    if (session->is_engine) {
        close_engine(work, (unsigned)device->index,
                     (unsigned)sl_sim_random_scale(random_of(session), 1, 512));
        work->counts.engine_reopens++;
        return;
    }
    if (session->is_attached && sl_sim_random_percent(random_of(session), 50)) {
        change_attachment(session);
    }
    session->is_attached = false;
    sl_sim_capture_close(device);
    if (!device->has_died) {
        (void)sl_sim_capture_open(device);
    }
}

void sl_sim_workload_tick(struct sl_sim_workload *work, unsigned d)
{
    struct sl_sim_device *device = &work->world->devices[d];
    if (device->has_died) {
        bury(work, d);
        return;
    }
    if (device->engine != NULL) {
        if (device->hits != device->hits_at_open && !sl_sim_engine_is_well(device)) {
            close_engine(work, d, (unsigned)sl_sim_random_scale(&work->world->workload, 1, 64));
        }
        return;
    }
    if (work->down_for[d] > 0) {
        work->down_for[d]--;
        return;
    }
    /* An engine that opens waits for the write lock, in vain while nothing else can run: so it
     * opens when nobody holds it. */
    if (work->sessions[d][0].state == SL_SIM_WRITING ||
        work->sessions[d][1].state == SL_SIM_WRITING) {
        return;
    }
    bool was_cut = work->was_cut[d];
    come_up(work, d, false);
    if (work->world->failures == 0 && sl_sim_engine_open(device)) {
        if (was_cut) {
            sl_sim_check_always(work); /* of what it has said, before it does anything */
        }
        if (device->capture == NULL) {
            (void)sl_sim_capture_open(device);
        }
    }
    if (device->engine == NULL && !device->has_died) {
        work->down_for[d] = (unsigned)sl_sim_random_scale(&work->world->workload, 1, 64);
    }
}

static void act_idle(struct sl_sim_workload *work, struct sl_sim_session *session)
{
    struct sl_sim_session *other = work->sessions[session->device->index];
    other += session->is_engine ? 1 : 0;
    uint64_t what = sl_sim_random_below(random_of(session), 100);
    if (what < 5) {
        sl_sim_session_read(session);
    } else if (what < 9 && work->switches.reopens) {
        reopen_something(work, session);
    } else if (other->state == SL_SIM_WRITING) {
        return;
    } else if (what < 55 || !work->switches.bare_captures) {
        (void)sl_sim_session_begin(session, &work->ledger);
    } else {
        change_rows_bare(work, session);
    }
}

/* The session that acts next; NULL: none can. */
static struct sl_sim_session *draw_session(struct sl_sim_workload *work, unsigned d)
{
    struct sl_sim_device *device = &work->world->devices[d];
    struct sl_sim_session *sessions = work->sessions[d];
    bool is_engine =
        sl_sim_random_percent(&work->world->workload, 70) || !work->switches.second_process;
    if (device->engine == NULL) { /* its process is not running */
        is_engine = false;
    }
    struct sl_sim_session *session = &sessions[is_engine ? 0 : 1];
    bool is_there = session->db != NULL && (is_engine || device->capture != NULL) &&
                    (is_engine || work->switches.second_process);
    return is_there ? session : NULL;
}

void sl_sim_workload_act(struct sl_sim_workload *work, unsigned d)
{
    struct sl_sim_world *world = work->world;
    struct sl_sim_session *session = draw_session(work, d);
    if (session == NULL || world->devices[d].has_died) {
        return;
    }
    if (work->settled_hits[d] != world->devices[d].hits &&
        work->sessions[d][0].state != SL_SIM_WRITING &&
        work->sessions[d][1].state != SL_SIM_WRITING) {
        come_up(work, d, false);
    }
    work->actions_left[d]--;
    switch (session->state) {
    case SL_SIM_IDLE:
        act_idle(work, session);
        break;
    case SL_SIM_WRITING:
        act_writing(work, session);
        break;
    case SL_SIM_READING:
        if (sl_sim_random_percent(&world->workload, 50)) {
            sl_sim_session_read_end(session);
        }
        break;
    }
}

void sl_sim_workload_finish(struct sl_sim_workload *work)
{
    for (unsigned i = 0; i < work->world->devices_len; i++) {
        struct sl_sim_device *device = &work->world->devices[i];
        if (device->has_died) {
            bury(work, i);
        }
        for (unsigned k = 0; k < 2; k++) {
            struct sl_sim_session *session = &work->sessions[i][k];
            if (session->state == SL_SIM_READING) {
                sl_sim_session_read_end(session);
            } else if (session->state == SL_SIM_WRITING) {
                end_transaction(work, session, sl_sim_random_percent(random_of(session), 70));
            }
        }
        if (device->engine != NULL && !sl_sim_engine_is_well(device)) {
            close_engine(work, i, 0);
        }
        come_up(work, i, true);
        if (device->engine == NULL) {
            (void)sl_sim_engine_open(device);
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
    uint32_t capacity = sl_sim_workload_rows(work);
    bool inserts = sl_sim_random_percent(random, 70);
    int device = session->device->index;
    struct sl_sim_batch batch;
    sl_sim_batch_init(&batch, model, capacity);
    bool ok = sl_sim_session_begin(session, &work->ledger);
    if (ok && inserts) {
        ok = sl_sim_batch_insert(work, session, &batch);
    } else if (ok) {
        struct sl_sim_found *rows = sl_sim_alloc(capacity * sizeof(*rows));
        uint32_t len = sl_sim_batch_find(work, session, model, rows, capacity);
        ok = sl_sim_batch_update(work, session, &batch, rows, len);
        free(rows);
    }
    sl_sim_session_add(session, batch.ops, batch.len);
    ok = ok && sl_sim_session_commit(session, &work->ledger);
    if (ok) {
        work->ledger.changes[device] -= inserts ? 0 : batch.len;
        work->counts.older_rows += inserts ? batch.len : 0;
        work->older[device].some = work->older[device].some || batch.len > 0;
    }
    sl_sim_batch_fini(&batch);
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

void sl_sim_workload_init(struct sl_sim_workload *work, struct sl_sim_world *world,
                          const struct sl_sim_switches *allowed, bool has_crashes)
{
    memset(work, 0, sizeof(*work));
    work->world = world;
    struct sl_sim_random *random = &world->workload;
    sl_sim_ledger_init(&work->ledger, world);
    sl_sim_coverage_init(&work->coverage, world->devices_len);
    /* Drawn whether allowed or not: a schedule is the same but for what is left out. */
#define X(name, default_) work->switches.name = sl_sim_random_percent(random, 60) && allowed->name;
    SL_SIM_SWITCHES_MAP(X)
#undef X
    world->relayed_acks = allowed->relayed_acks;
    work->switches.applied_acks = allowed->applied_acks;
    work->switches.failures_end = allowed->failures_end;
    bool has_twins = sl_sim_random_percent(random, 50);
    if (work->switches.orphans && work->switches.twins && !work->switches.orphaned_twins) {
        work->switches.orphans = !has_twins;
        work->switches.twins = has_twins;
    }
    work->switches.bare_captures = !has_crashes || allowed->bare_captures;
    work->bare_updates = !has_crashes;
    static const uint32_t sizes[] = {3, 12, 100};
    work->rows_max = sizes[sl_sim_random_below(random, 3)];
    for (unsigned i = 0; i < world->devices_len; i++) {
        work->actions_left[i] = (unsigned)sl_sim_random_scale(random, 20, 159);
        sl_sim_session_open(&work->sessions[i][0], &world->devices[i], true);
        sl_sim_session_open(&work->sessions[i][1], &world->devices[i], false);
    }
    if (work->switches.older_rows) {
        add_older_rows(work);
    }
}

void sl_sim_workload_fini(struct sl_sim_workload *work)
{
    for (unsigned i = 0; i < work->world->devices_len; i++) {
        for (unsigned k = 0; k < 2; k++) {
            struct sl_sim_session *session = &work->sessions[i][k];
            if (session->is_attached && session->db != NULL && library_of(session) != NULL) {
                change_attachment(session);
            }
            sl_sim_session_close(session, &work->ledger);
        }
    }
    sl_sim_ledger_fini(&work->ledger);
}
