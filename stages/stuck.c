/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/stuck.h"

#include <stdlib.h>
#include <string.h>

#include "stages/hold.h"
#include "stages/waiting_text.h"

#define STUCK_BUSY_MS 1000 /* a reader waits for recovery of a WAL only */

enum list {
    LIST_CAPTURED,
    LIST_ORIGINS,
    LIST_WAITING,
    LIST_SET_ASIDE,
    LIST_COUNT,
};

/* The next of a list. */
struct head {
    bool is_there;
    struct syncline_stuck stuck;
    char model[SL_NAME_SIZE_MAX + 1];
    char lacks_model[SL_NAME_SIZE_MAX + 1];
};

struct reading {
    struct sl_core *core;
    const struct sl_model *model; /* NULL: all */
    const struct sl_stuck_engine *engine;
    uint64_t now_ms;
    struct sl_peer_log log; /* reads only */
    struct sl_rows rows;    /* likewise */
    struct sl_waiting_room room;
    struct sl_arena arena; /* of what waits */
    struct head heads[LIST_COUNT];
    struct sl_drained drained; /* of the outbox, the newest that is in the log */
    int64_t outbox_id;         /* told up to here */
    struct syncline_stuck *origins;
    size_t origins_len;
    size_t origins_capacity;
    size_t origin; /* those before it are told */
    int64_t waiting_id;
    int64_t aside;
};

static bool is_self(const struct reading *reading, const struct syncline_uuid *device)
{
    return sl_uuid_equal(device, &reading->core->self.device);
}

/* The head of a list with what all have: its pointers are set when it is told. */
static struct syncline_stuck *begin(struct head *head, enum syncline_stuck_kind kind)
{
    *head = (struct head){.is_there = true,
                          .stuck = {.size = sizeof(head->stuck), .kind = kind, .changes = 1}};
    return &head->stuck;
}

/* ---- Captured ---- */

static bool is_taken_soon(const struct reading *reading, const struct sl_outbox_row *row)
{
    return reading->engine->runs && row->wall_ms + SL_STUCK_AFTER_MS > reading->now_ms;
}

static enum syncline_status fill_captured(struct reading *reading, const struct sl_outbox_row *row,
                                          struct sl_error *err)
{
    struct head *head = &reading->heads[LIST_CAPTURED];
    const struct sl_drained *drained = &reading->drained;
    const struct sl_stuck_engine *engine = reading->engine;
    struct syncline_stuck *stuck = begin(head, SYNCLINE_STUCK_CAPTURED);
    uint32_t done = drained->id == row->id && drained->token == row->token ? drained->changes : 0;
    stuck->since_ms = (int64_t)row->wall_ms;
    stuck->changes = row->n > done ? row->n - done : 0;
    stuck->device_id = reading->core->self.device;
    stuck->own = true;
    if (row->uuids_size >= sizeof(stuck->uuid.bytes)) {
        memcpy(stuck->uuid.bytes, row->uuids, sizeof(stuck->uuid.bytes));
    }
    (void)sqlite3_snprintf(sizeof(stuck->why), stuck->why, "captured here, and not in the log: %s",
                           !engine->runs               ? "nobody runs the engine"
                           : engine->notice[0] != '\0' ? engine->notice
                                                       : "the engine has not taken it yet");
    return sl_library_db_model_name(&reading->rows.ldb, row->model, head->model, err);
}

static enum syncline_status next_captured(struct reading *reading, struct sl_error *err)
{
    struct sl_outbox_row row;
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    reading->heads[LIST_CAPTURED].is_there = false;
    while (status == SYNCLINE_OK && found && !reading->heads[LIST_CAPTURED].is_there) {
        status = sl_outbox_next(&reading->rows.ldb, reading->outbox_id, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        reading->outbox_id = row.id;
        if ((reading->model == NULL || reading->model->id_in_db == row.model) &&
            !is_taken_soon(reading, &row)) {
            status = fill_captured(reading, &row, err);
        }
    }
    sl_outbox_done(&reading->rows.ldb);
    return status;
}

/* ---- Origins ---- */

static enum syncline_status add_origin(struct reading *reading, const struct syncline_stuck *stuck,
                                       struct sl_error *err)
{
    if (reading->origins_len == reading->origins_capacity) {
        size_t capacity = reading->origins_capacity == 0 ? 8 : 2 * reading->origins_capacity;
        struct syncline_stuck *grown =
            sl_resize(reading->core->env->alloc, reading->origins, capacity, sizeof(*grown));
        if (grown == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for devices whose changes are held");
        }
        reading->origins = grown;
        reading->origins_capacity = capacity;
    }
    reading->origins[reading->origins_len++] = *stuck;
    return SYNCLINE_OK;
}

static enum syncline_status judge_origin(struct reading *reading, struct sl_decoded *decoded,
                                         const struct sl_log_head *head, struct sl_error *err)
{
    const struct sl_hold_look look = {
        .core = reading->core, .log = &reading->log, .ldb = &reading->rows.ldb, .decoded = decoded};
    const struct sl_stuck_engine *engine = reading->engine;
    struct sl_hold hold;
    enum syncline_status status = sl_hold_find(&look, head, &hold, err);
    bool is_still = hold.changes > 0 && (!engine->runs || engine->paused);
    if (status != SYNCLINE_OK || (!hold.is_held && !hold.is_split && !is_still)) {
        return status;
    }
    uint64_t since_ms = hold.since_ms != 0 ? hold.since_ms : hold.first_ms;
    struct syncline_stuck stuck = {
        .size = sizeof(stuck),
        .kind = hold.is_held || hold.is_split ? SYNCLINE_STUCK_HELD : SYNCLINE_STUCK_RECEIVED,
        .since_ms = (int64_t)(since_ms < reading->now_ms ? since_ms : reading->now_ms),
        .changes = hold.changes,
        .device_id = head->origin.device,
        .own = is_self(reading, &head->origin.device),
        .seq = hold.first_seq};
    const char *why = stuck.kind == SYNCLINE_STUCK_HELD ? hold.why
                      : engine->runs ? "in the log here, and not applied: the engine is paused"
                                     : "in the log here, and not applied: nobody runs the engine";
    (void)sqlite3_snprintf(sizeof(stuck.why), stuck.why, "%s", why);
    return add_origin(reading, &stuck, err);
}

static int compare_since(const void *left, const void *right)
{
    const struct syncline_stuck *a = left;
    const struct syncline_stuck *b = right;
    return (a->since_ms > b->since_ms) - (a->since_ms < b->since_ms);
}

static enum syncline_status read_origins(struct reading *reading, struct sl_error *err)
{
    struct sl_decoded decoded;
    struct sl_log_head head = {.number = 0};
    bool found = true;
    enum syncline_status status = sl_decoded_init(&decoded, reading->core->env->alloc, err);
    while (status == SYNCLINE_OK && found) {
        status = sl_peer_log_head(&reading->log, head.number, &found, &head, err);
        if (status == SYNCLINE_OK && found) {
            status = judge_origin(reading, &decoded, &head, err);
        }
    }
    sl_decoded_fini(&decoded);
    if (reading->origins_len > 0) {
        qsort(reading->origins, reading->origins_len, sizeof(*reading->origins), compare_since);
    }
    return status;
}

static enum syncline_status next_origin(struct reading *reading)
{
    struct head *head = &reading->heads[LIST_ORIGINS];
    head->is_there = reading->origin < reading->origins_len;
    if (head->is_there) {
        head->stuck = reading->origins[reading->origin++];
    }
    return SYNCLINE_OK;
}

/* ---- Waiting ---- */

static enum syncline_status fill_waiting(struct reading *reading, const struct sl_waiting *waiting,
                                         struct sl_error *err)
{
    struct head *head = &reading->heads[LIST_WAITING];
    struct sl_library_db *ldb = &reading->rows.ldb;
    struct syncline_stuck *stuck = begin(head, SYNCLINE_STUCK_WAITING);
    struct sl_origin origin = {.epoch = 0};
    struct sl_origin birth = {.epoch = 0};
    bool found = false;
    enum syncline_status status = sl_library_db_model_name(ldb, waiting->model, head->model, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_origin(ldb, waiting->origin, &found, &origin, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_origin(ldb, waiting->birth_origin, &found, &birth, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    stuck->since_ms = (int64_t)waiting->since_ms;
    stuck->uuid = waiting->uuid;
    stuck->device_id = origin.device;
    stuck->own = is_self(reading, &origin.device);
    stuck->seq = waiting->seq;
    stuck->birth_device = birth.device;
    stuck->birth_seq = waiting->birth_seq;
    if (waiting->lacks_model != 0) {
        stuck->lacks_uuid = waiting->lacks_uuid;
        status = sl_library_db_model_name(ldb, waiting->lacks_model, head->lacks_model, err);
    }
    return status == SYNCLINE_OK
               ? sl_waiting_text(&reading->room, &reading->log, &reading->core->self.device,
                                 waiting, stuck->why, err)
               : status;
}

static enum syncline_status next_waiting(struct reading *reading, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    reading->heads[LIST_WAITING].is_there = false;
    while (status == SYNCLINE_OK && !reading->heads[LIST_WAITING].is_there) {
        struct sl_waiting waiting;
        bool found = false;
        status = sl_waiting_next(&reading->room, &reading->waiting_id, err);
        if (status != SYNCLINE_OK || reading->waiting_id == 0) {
            break;
        }
        sl_arena_reset(&reading->arena);
        status = sl_waiting_get(&reading->room, reading->waiting_id, &reading->arena, &found,
                                &waiting, err);
        if (status == SYNCLINE_OK && found &&
            (reading->model == NULL || reading->model->id_in_db == waiting.model)) {
            status = fill_waiting(reading, &waiting, err);
        }
    }
    return status;
}

/* ---- Set aside ---- */

static enum syncline_status next_set_aside(struct reading *reading, struct sl_error *err)
{
    struct head *head = &reading->heads[LIST_SET_ASIDE];
    enum syncline_status status = SYNCLINE_OK;
    bool found = true;
    head->is_there = false;
    while (status == SYNCLINE_OK && !head->is_there) {
        struct sl_set_aside record;
        uint64_t at_ms = 0;
        status = sl_set_aside_after(&reading->log, &reading->aside, &found, &record, &at_ms, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        if (reading->model != NULL && strcmp(record.model, reading->model->name) != 0) {
            continue;
        }
        struct syncline_stuck *stuck = begin(head, SYNCLINE_STUCK_SET_ASIDE);
        stuck->since_ms = (int64_t)at_ms;
        stuck->uuid = record.uuid;
        stuck->device_id = record.origin.device;
        stuck->own = is_self(reading, &record.origin.device);
        stuck->seq = record.seq;
        (void)sqlite3_snprintf(sizeof(head->model), head->model, "%s", record.model);
        (void)sqlite3_snprintf(sizeof(stuck->why), stuck->why, "%s", record.reason);
    }
    return status;
}

/* ---- All of it ---- */

static enum syncline_status next_of(struct reading *reading, enum list list, struct sl_error *err)
{
    switch (list) {
    case LIST_CAPTURED:
        return next_captured(reading, err);
    case LIST_ORIGINS:
        return next_origin(reading);
    case LIST_WAITING:
        return next_waiting(reading, err);
    default:
        return next_set_aside(reading, err);
    }
}

/* The marks of the log first: what they cover is not told, though it is in the outbox still. */
static enum syncline_status start(struct reading *reading, struct sl_error *err)
{
    bool found = false;
    reading->drained.complete = true;
    enum syncline_status status = sl_drained_newest(&reading->log, &found, &reading->drained, err);
    reading->outbox_id = sl_drained_to(&reading->drained);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_begin_read(&reading->rows.ldb, err);
    }
    if (status == SYNCLINE_OK) {
        status = read_origins(reading, err);
    }
    for (enum list list = 0; list < LIST_COUNT && status == SYNCLINE_OK; list++) {
        status = next_of(reading, list, err);
    }
    return status;
}

static enum syncline_status tell_all(struct reading *reading, syncline_stuck_fn fn, void *ctx,
                                     struct sl_error *err)
{
    enum syncline_status status = start(reading, err);
    while (status == SYNCLINE_OK) {
        enum list oldest = LIST_COUNT;
        for (enum list list = 0; list < LIST_COUNT; list++) {
            if (reading->heads[list].is_there &&
                (oldest == LIST_COUNT ||
                 reading->heads[list].stuck.since_ms < reading->heads[oldest].stuck.since_ms)) {
                oldest = list;
            }
        }
        if (oldest == LIST_COUNT) {
            break;
        }
        struct head *head = &reading->heads[oldest];
        head->stuck.model = head->model[0] != '\0' ? head->model : NULL;
        head->stuck.lacks_model = head->lacks_model[0] != '\0' ? head->lacks_model : NULL;
        if (!fn(ctx, &head->stuck)) {
            break;
        }
        status = next_of(reading, oldest, err);
    }
    sl_library_db_rollback(&reading->rows.ldb);
    return status;
}

enum syncline_status sl_stuck_read(struct sl_core *core, const char *sync_db,
                                   const char *library_db, const struct sl_model *model,
                                   const struct sl_stuck_engine *engine, syncline_stuck_fn fn,
                                   void *ctx, struct sl_error *err)
{
    struct reading reading = {.core = core,
                              .model = model,
                              .engine = engine,
                              .now_ms = sl_wall_ms_clip(core->env->wall_ms(core->env->ctx))};
    enum syncline_status status =
        sl_peer_log_open(&reading.log, core->env, sync_db, SL_DB_READ, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_rows_open(&reading.rows, core, library_db, SL_DB_READ, STUCK_BUSY_MS, err);
    if (status == SYNCLINE_OK) {
        sl_arena_init(&reading.arena, core->env->alloc);
        sl_waiting_room_init(&reading.room, &reading.rows.ldb);
        status = tell_all(&reading, fn, ctx, err);
        sl_waiting_room_fini(&reading.room);
        sl_arena_fini(&reading.arena);
        sl_free(core->env->alloc, reading.origins);
        sl_rows_fini(&reading.rows, core->models.count);
    }
    sl_peer_log_fini(&reading.log);
    return status;
}
