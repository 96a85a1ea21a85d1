/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/capture.h"

#include <string.h>

#include "stages/capture_check.h"
#include "stages/settle.h"

/* One call, on its way. */
struct call {
    struct sl_core *core;
    struct sl_rows *db; /* the connection it is made on */
    const struct sl_model *model;
    const void *rows;
    uint32_t n;
    enum syncline_change change;
    uint32_t batch_len;
    bool has_ticket; /* the caller wants one */
    bool named_only; /* the rows hold ids and UUIDs and nothing else: they are not staged */
    uint64_t token;
    uint64_t wall_ms;
    int64_t outbox_id;       /* of its outbox row, once that is written */
    struct sl_batch *staged; /* list, or NULL */
    struct sl_call_memory *memory;
    uint32_t owned; /* updates and deletes: records whose birth says so; the others are shared */
};

enum syncline_status sl_capture_init(struct sl_capture *capture, struct sl_core *core,
                                     const char *library_db, struct sl_error *err)
{
    capture->core = core;
    capture->token_count = 0;
    enum syncline_status status =
        sl_rows_open(&capture->own, core, library_db, SL_DB_WRITE, SL_BUSY_TIMEOUT_MS, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    capture->path = sqlite3_db_filename(capture->own.ldb.db.handle, "main");
    status = SYNCLINE_ENOMEM;
    if (pthread_mutex_init(&capture->own_lock, NULL) != 0) {
        goto err_close_own;
    }
    if (pthread_mutex_init(&capture->token_lock, NULL) != 0) {
        goto err_destroy_own_lock;
    }
    if (sl_attached_init(&capture->attached) != SYNCLINE_OK) {
        goto err_destroy_token_lock;
    }
    if (sl_call_stock_init(&capture->stock, core) != SYNCLINE_OK) {
        goto err_fini_attached;
    }
    return SYNCLINE_OK;

err_fini_attached:
    sl_attached_fini(&capture->attached, core);
err_destroy_token_lock:
    (void)pthread_mutex_destroy(&capture->token_lock);
err_destroy_own_lock:
    (void)pthread_mutex_destroy(&capture->own_lock);
err_close_own:
    sl_rows_fini(&capture->own, core->models.count);
    return sl_fail(err, status, "no memory for a lock");
}

void sl_capture_fini(struct sl_capture *capture)
{
    sl_attached_fini(&capture->attached, capture->core);
    sl_call_stock_fini(&capture->stock, capture->core);
    (void)pthread_mutex_destroy(&capture->token_lock);
    (void)pthread_mutex_destroy(&capture->own_lock);
    sl_rows_fini(&capture->own, capture->core->models.count);
}

enum syncline_status sl_capture_attach(struct sl_capture *capture, sqlite3 *db,
                                       struct sl_error *err)
{
    if (db == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL, "no connection was given");
    }
    return sl_attached_add(&capture->attached, capture->core, capture->path, db, err);
}

enum syncline_status sl_capture_detach(struct sl_capture *capture, sqlite3 *db,
                                       struct sl_error *err)
{
    return sl_attached_remove(&capture->attached, capture->core, db, err);
}

static const uint8_t *row_at(const struct call *call, uint32_t i)
{
    return (const uint8_t *)call->rows + (size_t)i * call->model->row_size;
}

/* ---- Checking ---- */

static enum syncline_status not_owner(const struct call *call, uint32_t i, struct sl_error *err)
{
    char name[37];
    struct syncline_uuid uuid = sl_row_uuid(call->model, row_at(call, i));
    sl_uuid_format(&uuid, name);
    return sl_fail(err, SYNCLINE_EREFUSED,
                   "record %s of model '%s' belongs to another device, which alone may change it",
                   name, call->model->name);
}

static enum syncline_status is_foreign(const struct call *call, enum syncline_ownership class,
                                       int64_t origin, bool *foreign, struct sl_error *err)
{
    bool own = true;
    enum syncline_status status =
        class == SYNCLINE_DEVICE_OWNED
            ? sl_core_is_own(call->core, &call->db->ldb, origin, &own, err)
            : SYNCLINE_OK;
    *foreign = !own;
    return status;
}

/* ---- The outbox row ---- */

/* One run of births under way; origin 0: of records whose birth is not known. */
struct birth_run {
    uint32_t n;
    uint64_t origin;
    uint64_t seq;
};

static void put_birth_run(struct call *call, const struct birth_run *run)
{
    if (run->n > 0) {
        sl_buf_u32(&call->memory->births, run->n);
        sl_buf_u64(&call->memory->births, run->origin);
        sl_buf_u64(&call->memory->births, run->seq);
    }
}

/* The hidden births of the i-th record that this device may change are named, too, as many as
 * one change can name. A delete forgets them; what is left is shown when it is settled. */
static enum syncline_status gather_hidden(struct call *call, uint32_t i, struct birth_run *run,
                                          struct sl_error *err)
{
    struct sl_hidden_births *hidden = &call->db->hidden;
    struct syncline_uuid uuid = sl_row_uuid(call->model, row_at(call, i));
    int64_t model = call->model->id_in_db;
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    uint32_t named = 1;
    struct sl_arena arena;
    sl_arena_init(&arena, call->core->env->alloc);
    enum syncline_status status =
        sl_hidden_birth_list(hidden, model, &uuid, false, &arena, &list, &len, err);
    if (len > 0) {
        put_birth_run(call, run);
        run->n = 0;
    }
    for (size_t k = 0; k < len && status == SYNCLINE_OK && named < SL_CHANGE_BIRTHS_MAX; k++) {
        bool foreign = false;
        status = is_foreign(call, list[k].class, list[k].origin, &foreign, err);
        if (status != SYNCLINE_OK || foreign) {
            continue;
        }
        named++;
        sl_buf_u32(&call->memory->births, 0);
        sl_buf_u64(&call->memory->births, (uint64_t)list[k].origin);
        sl_buf_u64(&call->memory->births, list[k].seq);
        if (call->change == SYNCLINE_DELETE) {
            status = sl_hidden_birth_drop(hidden, model, &uuid, list[k].origin, list[k].seq, err);
        }
    }
    sl_arena_fini(&arena);
    return status;
}

/* Which records each update or delete is about. A delete forgets the births with the record. */
static enum syncline_status gather_births(struct call *call, struct sl_error *err)
{
    struct sl_births *births = &call->db->births;
    struct birth_run run = {0};
    for (uint32_t i = 0; i < call->n; i++) {
        int64_t id = sl_row_id(call->model, row_at(call, i));
        bool found = false;
        struct sl_birth_run birth = {0};
        enum syncline_status status =
            sl_birth_get(births, call->model->id_in_db, id, &found, &birth, err);
        bool foreign = false;
        if (status == SYNCLINE_OK && found) {
            status = is_foreign(call, birth.class, birth.origin, &foreign, err);
        }
        if (foreign) {
            return not_owner(call, i, err);
        }
        if (status == SYNCLINE_OK && found && call->change == SYNCLINE_DELETE) {
            status = sl_birth_drop(births, call->model->id_in_db, id, err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
        /* A birth that is not settled yet is of this device and this time: as the model says. */
        enum syncline_ownership class = found ? birth.class : call->model->ownership;
        call->owned += class == SYNCLINE_DEVICE_OWNED ? 1u : 0u;
        uint64_t origin = found ? (uint64_t)birth.origin : 0;
        bool goes_on =
            run.n > 0 && run.origin == origin && (origin == 0 || run.seq + run.n == birth.seq);
        if (!goes_on) {
            put_birth_run(call, &run);
            run = (struct birth_run){.origin = origin, .seq = found ? birth.seq : 0};
        }
        run.n++;
        if (sl_core_may_hide(call->core, call->model)) {
            status = gather_hidden(call, i, &run, err);
            if (status != SYNCLINE_OK) {
                return status;
            }
        }
    }
    put_birth_run(call, &run);
    if (call->memory->births.failed) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to capture %u records", call->n);
    }
    return SYNCLINE_OK;
}

/* ---- Staging ---- */

static bool fill_batch(const struct call *call, struct sl_batch *batch, size_t piece,
                       uint32_t first)
{
    if (!sl_row_survey_copy(&call->memory->survey, piece, first, batch)) {
        return false;
    }
    batch->model = call->model;
    batch->change = call->change;
    batch->token = call->token;
    batch->offset = first;
    batch->row_n = call->n;
    batch->taken_n = batch->n;
    batch->batch_len = call->batch_len;
    batch->wall_ms = call->wall_ms;
    return true;
}

/* Copies the rows into batches, if there are enough of them. Deletes are all in their outbox row.
 */
static void stage(struct call *call)
{
    size_t pieces = call->memory->survey.piece_count;
    if (!call->core->engine || pieces == 0 || call->named_only) {
        return;
    }
    call->staged = sl_staging_take(&call->core->staging, pieces, call->memory->survey.large);
    uint32_t first = 0;
    size_t piece = 0;
    for (struct sl_batch *batch = call->staged; batch != NULL; batch = batch->next) {
        if (!fill_batch(call, batch, piece++, first)) {
            (void)sl_staging_give(&call->core->staging, call->staged);
            call->staged = NULL; /* no memory: the outbox row alone will do */
            return;
        }
        first += batch->n;
    }
}

/* ---- The capture ---- */

/* What pointed at the deleted may have gone with it, and what pointed at that, uncaptured: from
 * here on ids of all these models may be other records'. */
static enum syncline_status note_below(struct call *call, struct sl_error *err)
{
    const struct sl_model_set *set = &call->core->models;
    bool below[SL_MODEL_COUNT_MAX] = {false};
    below[call->model->index] = true;
    enum syncline_status status = SYNCLINE_OK;
    for (bool moved = true; moved && status == SYNCLINE_OK;) {
        moved = false;
        for (size_t m = 0; m < set->count && status == SYNCLINE_OK; m++) {
            const struct sl_model *model = &set->models[m];
            bool points = false;
            for (uint32_t f = 0; f < model->field_count; f++) {
                const struct sl_model *parent = model->fields[f].parent;
                points = points || (parent != NULL && below[parent->index]);
            }
            if (points && !below[m]) {
                below[m] = true;
                moved = true;
                status = sl_outbox_note_delete(&call->db->ldb, model->id_in_db, err);
            }
        }
    }
    return status;
}

static enum syncline_status write_outbox(struct call *call, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (call->change != SYNCLINE_INSERT) {
        status = gather_births(call, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_outbox_row row = {.token = call->token,
                                .model = call->model->id_in_db,
                                .change = call->change,
                                .wall_ms = call->wall_ms,
                                .n = call->n,
                                .batch_len = call->batch_len,
                                .ids = call->memory->survey.ids.data,
                                .ids_size = call->memory->survey.ids.len,
                                .uuids = call->memory->survey.uuids.data,
                                .uuids_size = call->memory->survey.uuids.len};
    if (call->change != SYNCLINE_INSERT) {
        row.births = call->memory->births.data;
        row.births_size = call->memory->births.len;
    }
    status = sl_outbox_insert(&call->db->ldb, &row, err);
    call->outbox_id = row.id;
    return status == SYNCLINE_OK && call->change == SYNCLINE_DELETE ? note_below(call, err)
                                                                    : status;
}

/* Runs `work` so that its failure leaves the caller's transaction as it was. */
typedef enum syncline_status (*work_fn)(struct call *call, struct sl_error *err);

static enum syncline_status in_savepoint(struct call *call, work_fn work, struct sl_error *err)
{
    struct sl_library_db *ldb = &call->db->ldb;
    enum syncline_status status = sl_library_db_savepoint(ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = work(call, err);
    if (status == SYNCLINE_OK) {
        return sl_library_db_release(ldb, err);
    }
    sl_library_db_undo(ldb);
    return status;
}

static enum syncline_status settle(struct call *call, struct sl_error *err)
{
    uint64_t settled = 0; /* known for certain when the caller commits: settle sees it then */
    return sl_settle_into(call->core, call->db, &settled, err);
}

/* Takes along what the log has made certain, once there is enough of it to be worth it: the engine
 * does it, too, when it finds the time. Not doing so costs nothing but that. */
static void settle_along(struct call *call)
{
    struct sl_core *core = call->core;
    if (!core->engine ||
        !sl_unsettled_take_along(&core->unsettled, core->settle_along_len,
                                 SL_SETTLE_ALONG_CHANGES) ||
        !sl_rows_make_tables(call->db, core)) {
        return;
    }
    struct sl_error ignored;
    (void)in_savepoint(call, settle, &ignored);
}

static enum syncline_status capture_in_transaction(struct call *call, struct sl_rows *db,
                                                   struct sl_error *err)
{
    sqlite3 *handle = db->ldb.db.handle;
    call->db = db;
    sl_births_forget(&db->births);
    int64_t last_rowid = sqlite3_last_insert_rowid(handle);

    /* But for deletes it is one statement, which SQLite undoes by itself. */
    enum syncline_status status = call->change == SYNCLINE_DELETE
                                      ? in_savepoint(call, write_outbox, err)
                                      : write_outbox(call, err);
    if (status == SYNCLINE_OK) {
        settle_along(call);
    }
    sqlite3_set_last_insert_rowid(handle, last_rowid);
    if (status == SYNCLINE_OK && sqlite3_get_autocommit(handle) != 0) {
        status = sl_fail(err, SYNCLINE_EDB,
                         "library.db: SQLite rolled the transaction back while it was captured "
                         "(interrupted, or the disk is full): begin it again");
    }
    if (status == SYNCLINE_OK && call->staged != NULL) {
        /* Before the commit, and under the write lock: in the order of the outbox. */
        sl_staging_push(&call->core->staging, call->staged);
        call->staged = NULL;
    }
    return status;
}

static enum syncline_status capture_on_own(struct sl_capture *capture, struct call *call,
                                           struct sl_error *err)
{
    (void)pthread_mutex_lock(&capture->own_lock);
    struct sl_library_db *own = &capture->own.ldb;
    enum syncline_status status = sl_library_db_begin_write(own, err);
    if (status == SYNCLINE_EBUSY) {
        status = sl_fail(err, SYNCLINE_EBUSY,
                         "another connection is inside a transaction: give that connection to "
                         "syncline_sync_model_with_db, or end it first");
    }
    if (status == SYNCLINE_OK) {
        status = capture_in_transaction(call, &capture->own, err);
        if (status == SYNCLINE_OK) {
            status = sl_library_db_commit(own, err);
        }
        sl_library_db_rollback(own);
    }
    if (status == SYNCLINE_OK) {
        atomic_store_explicit(&call->core->own_captured, call->outbox_id, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&capture->own_lock);
    return status;
}

/* ---- The call ---- */

static enum syncline_status check_call(const struct call *call, const void *rows, size_t n,
                                       struct sl_error *err)
{
    if (call->model == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL, "the model was not given when the library was opened");
    }
    if (rows == NULL || n > UINT32_MAX / 2) {
        return sl_fail(err, SYNCLINE_EINVAL, "rows is NULL or n (%zu) is too large", n);
    }
    if (call->change < SYNCLINE_INSERT || call->change > SYNCLINE_DELETE) {
        return sl_fail(err, SYNCLINE_EINVAL, "change %d is none of insert, update and delete",
                       (int)call->change);
    }
    if (call->batch_len > SL_BATCH_LEN_MAX) {
        return sl_fail(err, SYNCLINE_EINVAL, "batch_size %u is over its limit of %u",
                       call->batch_len, SL_BATCH_LEN_MAX);
    }
    return SYNCLINE_OK;
}

/* A token from the stock, which is drawn anew when it is used up: asking the system each time costs
 * more than the rest of this. No other process has the same stock: calls after a fork are refused.
 */
static enum syncline_status take_token(struct sl_capture *capture, uint64_t *token,
                                       struct sl_error *err)
{
    const struct sl_env *env = capture->core->env;
    enum syncline_status status = SYNCLINE_OK;
    (void)pthread_mutex_lock(&capture->token_lock);
    if (capture->token_count == 0) {
        status = env->random(env->ctx, capture->tokens, sizeof(capture->tokens));
        capture->token_count = status == SYNCLINE_OK ? SL_CAPTURE_TOKENS : 0;
    }
    if (status == SYNCLINE_OK) {
        *token = capture->tokens[--capture->token_count];
    }
    (void)pthread_mutex_unlock(&capture->token_lock);
    return status == SYNCLINE_OK ? status : sl_fail(err, status, "the system gave no randomness");
}

/* Is it asked whether the structs are the rows? Of a delete nothing but id and UUID counts, and its
 * row may be gone. */
static bool is_checked(const struct call *call)
{
    return call->change != SYNCLINE_DELETE && !call->named_only &&
           sl_settings_number(&call->core->settings, SL_SETTING_CHECK_CAPTURES) != 0;
}

/* On the connection given, if it is inside a transaction; `rows` is what stands over it. */
static enum syncline_status capture_there(struct call *call, struct sl_rows *db,
                                          struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (is_checked(call)) {
        status = sl_capture_check(&db->ldb.db, call->model, call->rows, call->n, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    stage(call);
    status = capture_in_transaction(call, db, err);
    if (call->staged != NULL) {
        (void)sl_staging_give(&call->core->staging, call->staged);
    }
    return status;
}

static enum syncline_status make_call(struct sl_capture *capture, struct call *call, sqlite3 *db,
                                      bool attached, struct sl_error *err)
{
    struct sl_rows *rows = &call->memory->rows;
    sl_buf_clear(&call->memory->births);
    enum syncline_status status =
        sl_row_survey_run(&call->memory->survey, call->model, call->rows, call->n, call->change,
                          !call->named_only, call->batch_len, err);
    if (status == SYNCLINE_OK) {
        status = take_token(capture, &call->token, err);
        call->token &= ~SL_TOKEN_TICKET;
        call->token |= call->has_ticket ? SL_TOKEN_TICKET : 0;
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (db == NULL || sqlite3_get_autocommit(db) != 0) {
        return capture_on_own(capture, call, err);
    }
    if (attached) {
        return capture_there(call, rows, err);
    }
    sl_rows_borrow(rows, call->core, db);
    status = capture_there(call, rows, err);
    sl_rows_give_back(rows, call->core->models.count);
    return status;
}

/* A call for records of both classes is not judged by its first record: everybody judges each one
 * by what its birth says. */
static void log_strategy(const struct call *call)
{
    if (call->change != SYNCLINE_INSERT && call->owned > 0 && call->owned < call->n) {
        sl_host_log_say(&call->core->host_log, SYNCLINE_LOG_DEBUG,
                        "a call for %u records of model '%s': %u are device-owned and %u shared, "
                        "each is judged by its birth",
                        call->n, call->model->name, call->owned, call->n - call->owned);
    }
}

/* In memory of the stock. */
static enum syncline_status make_call_alone(struct sl_capture *capture, struct call *call,
                                            sqlite3 *db, struct sl_error *err)
{
    call->memory = sl_call_stock_take(&capture->stock, call->core);
    if (call->memory == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to capture %u records", call->n);
    }
    enum syncline_status status = make_call(capture, call, db, false, err);
    sl_call_stock_give(&capture->stock, call->core, call->memory);
    return status;
}

/* In that of its connection. */
static enum syncline_status make_call_attached(struct sl_capture *capture, struct call *call,
                                               struct sl_attached *attached, struct sl_error *err)
{
    call->memory = &attached->memory;
    enum syncline_status status = make_call(capture, call, attached->handle, true, err);
    sl_call_memory_trim(call->memory);
    return status;
}

static void give_ticket(const struct call *call, struct syncline_ticket *ticket)
{
    if (ticket != NULL) {
        ticket->row = call->outbox_id;
        ticket->token = call->token;
        ticket->epoch = call->core->self.epoch;
    }
}

static enum syncline_status make_call_on(struct sl_capture *capture, struct call *call,
                                         struct sqlite3 *db, struct sl_error *err)
{
    struct sl_attached *attached = NULL;
    enum syncline_status status = SYNCLINE_OK;
    if (db != NULL) {
        status = sl_attached_find(&capture->attached, capture->path, db, &attached, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = attached != NULL ? make_call_attached(capture, call, attached, err)
                              : make_call_alone(capture, call, db, err);
    if (status != SYNCLINE_OK && (db == NULL || sqlite3_get_autocommit(db) != 0)) {
        atomic_store(&call->core->scan_asked, true); /* what it was about is committed */
    }
    if (status == SYNCLINE_OK) {
        (void)atomic_fetch_add_explicit(&call->core->captures, 1, memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&call->core->captured, call->n, memory_order_relaxed);
        log_strategy(call);
    }
    return status;
}

enum syncline_status sl_capture_rows(struct sl_capture *capture, const struct syncline_model *model,
                                     const void *rows, size_t n, enum syncline_change change,
                                     struct sqlite3 *db, uint32_t batch_len,
                                     struct syncline_ticket *ticket, struct sl_error *err)
{
    struct sl_core *core = capture->core;
    struct call call = {.core = core,
                        .model = sl_model_find(&core->models, model),
                        .rows = rows,
                        .n = (uint32_t)n,
                        .change = change,
                        .batch_len = batch_len > 0 ? batch_len : core->batch_len,
                        .has_ticket = ticket != NULL,
                        .wall_ms = core->env->wall_ms(core->env->ctx)};
    if (n == 0) {
        give_ticket(&call, ticket); /* of nothing */
        return SYNCLINE_OK;
    }
    enum syncline_status status = check_call(&call, rows, n, err);
    if (status == SYNCLINE_OK) {
        status = make_call_on(capture, &call, db, err);
    }
    if (status == SYNCLINE_OK) {
        give_ticket(&call, ticket);
    }
    return status;
}

enum syncline_status sl_capture_named(struct sl_capture *capture, const struct sl_model *model,
                                      int64_t id, const struct syncline_uuid *uuid,
                                      enum syncline_change change, struct sqlite3 *db,
                                      struct sl_error *err)
{
    struct sl_core *core = capture->core;
    uint8_t *row = sl_calloc(core->env->alloc, 1, model->row_size);
    if (row == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to capture a record");
    }
    memcpy(row + model->id.offset, &id, sizeof(id));
    memcpy(row + model->uuid.offset, uuid, sizeof(*uuid));
    struct call call = {.core = core,
                        .model = model,
                        .rows = row,
                        .n = 1,
                        .change = change,
                        .batch_len = core->batch_len,
                        .named_only = true,
                        .wall_ms = core->env->wall_ms(core->env->ctx)};
    enum syncline_status status = make_call_on(capture, &call, db, err);
    sl_free(core->env->alloc, row);
    return status;
}
