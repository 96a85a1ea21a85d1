/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/intake.h"

#include <string.h>

#include "base/crashpoint.h"

#define MENTIONS_PREPARED ((size_t)8192)

void sl_intake_init(struct sl_intake *intake, struct sl_core *core)
{
    memset(intake, 0, sizeof(*intake));
    intake->core = core;
    sl_mentions_init(&intake->mentions, core->env->alloc);
    sl_mentions_prepare(&intake->mentions, MENTIONS_PREPARED);
    intake->version = -1;
    intake->more = true;
    intake->last_id = sl_drained_to(&core->drained);
    intake->offset = core->drained.complete ? 0 : core->drained.changes;
}

void sl_intake_fini(struct sl_intake *intake)
{
    for (size_t i = 0; i < intake->staged_len; i++) {
        sl_core_give_batch(intake->core, intake->staged[i]);
    }
    intake->staged_len = 0;
    sl_mentions_fini(&intake->mentions);
}

/* ---- Staged batches ---- */

static void pop_staged(struct sl_intake *intake)
{
    while (intake->staged_len < SL_STAGED_LEN_MAX) {
        struct sl_batch *batch = sl_staging_pop(&intake->core->staging);
        if (batch == NULL) {
            return;
        }
        intake->staged[intake->staged_len++] = batch;
    }
}

/* Forgets the first `count` staged batches: their captures were rolled back. */
static void drop_staged(struct sl_intake *intake, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sl_core_give_batch(intake->core, intake->staged[i]);
    }
    intake->staged_len -= count;
    memmove(intake->staged, intake->staged + count, intake->staged_len * sizeof(*intake->staged));
}

/* The staged batch that begins at this change of the row, taken out of the list; or NULL. */
static struct sl_batch *take_staged(struct sl_intake *intake, uint64_t token, uint32_t offset)
{
    for (size_t i = 0; i < intake->staged_len; i++) {
        if (intake->staged[i]->token != token) {
            continue;
        }
        drop_staged(intake, i);
        struct sl_batch *batch = intake->staged[0];
        if (batch->offset != offset) {
            return NULL; /* part of the row is in the log since before a restart: read again */
        }
        intake->staged_len--;
        memmove(intake->staged, intake->staged + 1, intake->staged_len * sizeof(*intake->staged));
        return batch;
    }
    return NULL;
}

/* ---- Reading again ---- */

/* The local ids of [first, first + n) of an outbox row. */
static bool expand_ids(const struct sl_outbox_row *row, uint32_t first, uint32_t n, int64_t *ids)
{
    struct sl_reader in;
    sl_reader_init(&in, row->ids, row->ids_size);
    uint64_t at = 0;
    uint64_t end = (uint64_t)first + n;
    while (at < end && in.offset < in.len && !in.failed) {
        int64_t id = (int64_t)sl_read_u64(&in);
        uint32_t run = sl_read_u32(&in);
        if (at + run <= first) {
            at += run;
            continue;
        }
        for (uint32_t k = 0; k < run && at < end; k++, at++) {
            if (at >= first) {
                ids[at - first] = id + k;
            }
        }
    }
    return !in.failed && at == end;
}

/* Their UUIDs. */
static bool expand_uuids(const struct sl_outbox_row *row, uint32_t first, uint32_t n,
                         struct syncline_uuid *uuids)
{
    struct sl_reader in;
    sl_reader_init(&in, row->uuids, row->uuids_size);
    uint64_t at = 0;
    uint64_t end = (uint64_t)first + n;
    while (at < end && in.offset < in.len && !in.failed) {
        struct syncline_uuid uuid;
        sl_read_copy(&in, uuid.bytes, sizeof(uuid.bytes));
        uint32_t run = sl_read_u32(&in);
        if (at + run <= first) {
            at += run;
            continue;
        }
        for (uint32_t k = 0; k < run && at < end; k++, at++) {
            if (at >= first) {
                uuids[at - first] = sl_uuid_add(&uuid, k);
            }
        }
    }
    return !in.failed && at == end;
}

/* Keeps only the records for which keep[i]. */
static void compact(struct sl_batch *batch, const bool *keep)
{
    uint32_t fields = batch->model->field_count;
    uint32_t kept = 0;
    uint32_t further_kept = 0;
    uint32_t at = 0; /* in batch->further */
    for (uint32_t i = 0; i < batch->n; i++) {
        for (; at < batch->further_len && batch->further[at].i == i; at++) {
            if (keep[i]) {
                batch->further[further_kept] = batch->further[at];
                batch->further[further_kept++].i = kept;
            }
        }
        if (!keep[i]) {
            continue;
        }
        if (kept != i) {
            batch->ids[kept] = batch->ids[i];
            batch->uuids[kept] = batch->uuids[i];
            if (batch->gone != NULL) {
                batch->gone[kept] = batch->gone[i];
            }
            if (batch->births != NULL) {
                batch->births[kept] = batch->births[i];
            }
            memcpy(batch->values + (size_t)kept * fields, batch->values + (size_t)i * fields,
                   fields * sizeof(*batch->values));
            if (batch->rows != NULL) {
                size_t size = batch->model->row_size;
                memcpy(batch->rows + kept * size, batch->rows + i * size, size);
            }
        }
        kept++;
    }
    batch->n = kept;
    batch->further_len = further_kept;
}

bool sl_intake_can_be_sent(const struct sl_model *model, const struct sl_value *values,
                           const struct sl_field *orphan, char reason[200])
{
    uint64_t size = 0;
    if (orphan != NULL) {
        (void)sqlite3_snprintf(200, reason, "its parent (field '%s') is not in table '%s'",
                               orphan->name, orphan->parent->table);
        return false;
    }
    for (uint32_t f = 0; f < model->field_count; f++) {
        size += values[f].size;
        if (!sl_value_fits(model->fields[f].type, &values[f])) {
            (void)sqlite3_snprintf(200, reason, "its field '%s' holds a value of another type",
                                   model->fields[f].name);
            return false;
        }
    }
    if (size > SL_RECORD_SIZE_MAX) {
        (void)sqlite3_snprintf(200, reason, "it has %llu bytes of values, %u are allowed", size,
                               SL_RECORD_SIZE_MAX);
        return false;
    }
    return true;
}

/* Two threads may read again at once: the mark only rises. */
void sl_intake_note_later(struct sl_core *core, int64_t newest)
{
    int_fast64_t before = atomic_load_explicit(&core->read_again_to, memory_order_relaxed);
    while (before < newest &&
           !atomic_compare_exchange_weak_explicit(&core->read_again_to, &before, newest,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}

enum syncline_status sl_intake_read_again(struct sl_core *core, struct sl_rows *rows,
                                          struct sl_batch *batch, size_t data_max,
                                          struct sl_error *err)
{
    const struct sl_model *model = batch->model;
    size_t cells = (size_t)batch->n * model->field_count;
    /* The batch's only when they are all read: without them it is not one that was read again. */
    struct sl_value *cell = sl_arena_alloc(&batch->arena, cells * sizeof(*cell));
    bool *keep = sl_arena_alloc(&batch->arena, batch->n * sizeof(*keep));
    bool *gone = sl_arena_alloc(&batch->arena, batch->n * sizeof(*gone));
    if (cell == NULL || keep == NULL || gone == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to read records again");
    }
    int64_t newest = 0;
    enum syncline_status status = sl_outbox_max(&rows->ldb, &newest, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_intake_note_later(core, newest);
    size_t before = batch->arena.used;
    for (uint32_t i = 0; i < batch->n; i++) {
        bool found = false;
        struct syncline_uuid uuid;
        const struct sl_field *orphan = NULL;
        status = sl_record_read(&rows->tables[model->index], batch->ids[i], &batch->arena, &found,
                                &uuid, cell + (size_t)i * model->field_count, &orphan, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        keep[i] = found && sl_uuid_equal(&uuid, &batch->uuids[i]);
        gone[i] = !keep[i] && batch->change == SYNCLINE_UPDATE;
        batch->some_gone = batch->some_gone || (!keep[i] && batch->change == SYNCLINE_INSERT);
        char reason[200];
        const struct sl_value *values = cell + (size_t)i * model->field_count;
        if (keep[i] && !sl_intake_can_be_sent(model, values, orphan, reason)) {
            keep[i] = false;
            if (!sl_batch_add_aside(batch, &uuid, reason)) {
                return sl_fail(err, SYNCLINE_ENOMEM, "no memory to read records again");
            }
        }
        keep[i] = keep[i] || gone[i]; /* fk_resolve decides what that means */
        if (batch->arena.used - before > data_max && i + 1 < batch->n) {
            batch->n = i + 1; /* the rest of the row is for the next batch */
            batch->taken_n = i + 1;
        }
    }
    batch->values = cell;
    batch->gone = gone;
    compact(batch, keep);
    return SYNCLINE_OK;
}

/* One run of the births of an outbox row. */
struct seen_run {
    uint32_t n; /* 0: one more birth of the record before */
    int64_t number;
    struct sl_birth birth; /* of the first */
};

static enum syncline_status read_run(struct sl_core *core, struct sl_reader *in,
                                     struct seen_run *run, struct sl_error *err)
{
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    run->n = sl_read_u32(in);
    run->number = (int64_t)sl_read_u64(in);
    run->birth = (struct sl_birth){.origin = core->self, .seq = sl_read_u64(in)};
    if (run->number != 0 && run->number != core->self_number && !in->failed) {
        status =
            sl_library_db_origin(&core->reader.ldb, run->number, &found, &run->birth.origin, err);
    }
    in->failed = in->failed || !found;
    return status;
}

/* One more birth of the i-th change of the batch. */
static bool add_further(struct sl_batch *batch, size_t more, uint32_t i,
                        const struct sl_birth *birth)
{
    if (batch->further == NULL) {
        batch->further = sl_arena_alloc(&batch->arena, more * sizeof(*batch->further));
    }
    if (batch->further == NULL) {
        return false;
    }
    batch->further[batch->further_len++] = (struct sl_further_birth){.i = i, .birth = *birth};
    return true;
}

/* The births that the capture of an update or delete saw; seq 0: not known then. */
static enum syncline_status read_births(struct sl_core *core, const struct sl_outbox_row *row,
                                        struct sl_batch *batch, struct sl_error *err)
{
    uint64_t first = batch->offset;
    uint64_t end = first + batch->n;
    batch->births = sl_arena_alloc(&batch->arena, batch->n * sizeof(*batch->births));
    batch->further = NULL;
    batch->further_len = 0;
    bool memory = batch->births != NULL;
    struct sl_reader in;
    sl_reader_init(&in, row->births, row->births_size);
    uint64_t at = 0;
    while (in.offset < in.len && !in.failed && memory) {
        struct seen_run run;
        enum syncline_status status = read_run(core, &in, &run, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (run.n == 0) {
            in.failed = in.failed || at == 0 || run.number == 0;
            if (!in.failed && at > first) {
                memory = add_further(batch, row->births_size / SL_OUTBOX_BIRTH_RUN_SIZE,
                                     (uint32_t)(at - 1 - first), &run.birth);
            }
            continue;
        }
        if (at == end) {
            break; /* of the next batch */
        }
        if (at + run.n <= first) {
            at += run.n;
            continue;
        }
        uint32_t k = 0;
        for (; k < run.n && at < end; k++, at++) {
            if (at >= first) {
                batch->births[at - first] = run.birth;
                batch->births[at - first].seq += run.number != 0 ? k : 0;
            }
        }
        if (k < run.n) {
            break; /* so does the run: what follows it is of a record there */
        }
    }
    if (!memory) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to read an outbox row");
    }
    if (in.failed || at != end) {
        return sl_fail(err, SYNCLINE_ECORRUPT, "library.db: outbox row %lld is damaged",
                       (long long)row->id);
    }
    return SYNCLINE_OK;
}

struct second {
    struct sl_intake *intake;
    int64_t row_id;
};

/* Could this row name a record that an earlier one after `row_id` names, too? */
static enum syncline_status is_second(void *ctx, const struct sl_outbox_row *row, bool *second,
                                      struct sl_error *err)
{
    const struct second *asked = ctx;
    struct sl_intake *intake = asked->intake;
    *second = row->change == SYNCLINE_UPDATE;
    if (row->change == SYNCLINE_DELETE && row->id > intake->newest_delete) {
        intake->newest_delete = row->id;
    }
    if (row->change != SYNCLINE_INSERT) {
        return SYNCLINE_OK;
    }
    int64_t last_delete = 0;
    enum syncline_status status =
        sl_outbox_last_delete(&intake->core->reader.ldb, row->model, &last_delete, err);
    *second = last_delete >= asked->row_id;
    return status;
}

/* Records that a later row mentions again are that row's, but for those that may have been moved
 * away from what is deleted in between. */
static enum syncline_status leave_to_last_mention(struct sl_intake *intake, int64_t row_id,
                                                  struct sl_batch *batch, struct sl_error *err)
{
    sl_mentions_forget(&intake->mentions, row_id + 1);
    struct second asked = {.intake = intake, .row_id = row_id};
    enum syncline_status status = sl_mentions_read(&intake->mentions, &intake->core->reader.ldb,
                                                   row_id, is_second, &asked, err);
    bool *keep = sl_arena_alloc(&batch->arena, batch->n * sizeof(*keep));
    if (status == SYNCLINE_OK && keep == NULL) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to read records again");
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    int64_t last_delete = 0;
    bool is_owned_insert =
        batch->change == SYNCLINE_INSERT && batch->model->ownership == SYNCLINE_DEVICE_OWNED;
    if (is_owned_insert) {
        status = sl_outbox_last_delete(&intake->core->reader.ldb, batch->model->id_in_db,
                                       &last_delete, err);
    }
    if (status != SYNCLINE_OK || last_delete > 0) {
        return status; /* it may be one that went with its tree: what is later names the old birth
                        */
    }
    bool may_be_moved = batch->change == SYNCLINE_UPDATE &&
                        batch->model->ownership == SYNCLINE_DEVICE_OWNED &&
                        intake->newest_delete > row_id;
    for (uint32_t i = 0; i < batch->n; i++) {
        keep[i] =
            (may_be_moved && !batch->gone[i]) ||
            sl_mentions_last(&intake->mentions, batch->model->id_in_db, &batch->uuids[i]).row <=
                row_id;
        batch->some_gone = batch->some_gone || (!keep[i] && batch->change == SYNCLINE_INSERT);
    }
    compact(batch, keep);
    return SYNCLINE_OK;
}

/* How many changes a batch of this pool has room for, with all that the stages add to them and, but
 * for deletes, as much again for text and blobs. */
static uint32_t room_in(const struct sl_batch_pool *pool, const struct sl_model *model,
                        enum syncline_change change)
{
    /* ids, uuids, births, keep, keep; alive, births, changes, live; group, its uuids */
    size_t each = sizeof(int64_t) + 2 * sizeof(struct syncline_uuid) + 2 * sizeof(struct sl_birth) +
                  4 * sizeof(bool) + sizeof(enum syncline_change) + sizeof(uint32_t) +
                  sizeof(struct sl_batch_group);
    size_t memory = pool->arena_kept_max;
    if (change != SYNCLINE_DELETE) {
        each += model->field_count * sizeof(struct sl_value) +
                model->key_count * (sizeof(struct sl_value) + sizeof(struct syncline_uuid));
        memory /= 2;
    }
    size_t room = memory / each;
    return room == 0 ? 1 : room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

/* The pool for what is left of the row. */
static struct sl_batch_pool *pool_for(struct sl_intake *intake, const struct sl_outbox_row *row,
                                      const struct sl_model *model)
{
    struct sl_core *core = intake->core;
    bool few = row->n - intake->offset <= room_in(&core->reread_pool, model, row->change);
    return few ? &core->reread_pool : &core->bulk_pool;
}

/* A batch of the pool from the row itself, beginning at intake->offset. */
static enum syncline_status read_row(struct sl_intake *intake, const struct sl_outbox_row *row,
                                     const struct sl_model *model, const struct sl_batch_pool *pool,
                                     struct sl_batch *batch, struct sl_error *err)
{
    struct sl_core *core = intake->core;
    uint32_t left = row->n - intake->offset;
    uint32_t room = room_in(pool, model, row->change);
    uint32_t piece = sl_group_len_max(model, row->batch_len > 0 ? row->batch_len : core->batch_len);
    batch->model = model;
    batch->change = row->change;
    batch->token = row->token;
    batch->offset = intake->offset;
    batch->row_n = row->n;
    batch->wall_ms = row->wall_ms;
    batch->batch_len = piece;
    batch->n = left < piece ? left : piece;
    batch->n = batch->n < room ? batch->n : room;
    batch->taken_n = batch->n;
    batch->ids = sl_arena_alloc(&batch->arena, batch->n * sizeof(*batch->ids));
    batch->uuids = sl_arena_alloc(&batch->arena, batch->n * sizeof(*batch->uuids));
    if (batch->ids == NULL || batch->uuids == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to read an outbox row");
    }
    if (!expand_ids(row, batch->offset, batch->n, batch->ids) ||
        !expand_uuids(row, batch->offset, batch->n, batch->uuids)) {
        return sl_fail(err, SYNCLINE_ECORRUPT, "library.db: outbox row %lld is damaged",
                       (long long)row->id);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (row->change != SYNCLINE_INSERT) {
        status = read_births(core, row, batch, err);
    }
    if (status != SYNCLINE_OK || row->change == SYNCLINE_DELETE) {
        return status; /* a delete is whole in its row */
    }
    int64_t row_id = row->id; /* the row itself dies when others are looked at */
    status = sl_intake_read_again(core, &core->reader, batch, pool->arena_kept_max / 2, err);
    return status == SYNCLINE_OK ? leave_to_last_mention(intake, row_id, batch, err) : status;
}

/* ---- One slice ---- */

static const struct sl_model *model_of(struct sl_core *core, int64_t number)
{
    for (size_t i = 0; i < core->models.count; i++) {
        if (core->models.models[i].id_in_db == number) {
            return &core->models.models[i];
        }
    }
    return NULL;
}

/* Takes one batch off the next outbox row, inside a read transaction. */
static enum syncline_status take_one(struct sl_intake *intake, struct sl_batch **taken,
                                     struct sl_error *err)
{
    struct sl_core *core = intake->core;
    struct sl_outbox_row row;
    bool found = false;
    enum syncline_status status =
        sl_outbox_next(&core->reader.ldb, intake->last_id, &found, &row, err);
    if (status != SYNCLINE_OK || !found) {
        intake->more = false;
        sl_mentions_clear(&intake->mentions);
        return status;
    }
    const struct sl_model *model = model_of(core, row.model);
    if (model == NULL) {
        intake->stopped = true;
        return sl_fail(
            err, SYNCLINE_EMODEL,
            "the outbox holds changes of a model that was not given when this handle was "
            "opened: open the library with all its models");
    }
    /* The row is visible, so the batches staged for it and before it are in the ring. */
    pop_staged(intake);
    struct sl_batch *batch = take_staged(intake, row.token, intake->offset);
    bool staged = batch != NULL;
    if (!staged && intake->staged_len == core->staging.pool.len) {
        drop_staged(intake, intake->staged_len); /* all rolled back, it seems; else read again */
    }
    struct sl_batch_pool *pool = pool_for(intake, &row, model);
    if (!staged) {
        batch = sl_batch_take(pool);
    }
    if (batch == NULL) {
        return SYNCLINE_OK; /* all are under way; the row waits */
    }
    int64_t row_id = row.id; /* its bytes die when other rows are read */
    uint32_t row_n = row.n;
    if (!staged) {
        status = read_row(intake, &row, model, pool, batch, err);
    } else if (row.change == SYNCLINE_UPDATE) {
        status = read_births(core, &row, batch, err);
    }
    if (status != SYNCLINE_OK) {
        sl_core_give_batch(core, batch);
        return status;
    }
    batch->outbox_id = row_id;
    intake->offset += batch->taken_n;
    if (intake->offset >= row_n) {
        intake->last_id = row_id;
        intake->offset = 0;
    }
    *taken = batch;
    return SYNCLINE_OK;
}

bool sl_intake_run(void *stage)
{
    struct sl_intake *intake = stage;
    struct sl_core *core = intake->core;
    if (intake->stopped || sl_ring_room(&core->to_resolve) == 0) {
        return false;
    }
    pop_staged(intake);
    struct sl_error err;
    int64_t version = 0;
    enum syncline_status status = sl_library_db_data_version(&core->reader.ldb, &version, &err);
    if (status == SYNCLINE_OK && version == intake->version && !intake->more) {
        sl_core_works(core, SL_STAGE_INTAKE); /* all was read, and there was nothing in it */
        return false;
    }
    struct sl_batch *batch = NULL;
    if (status == SYNCLINE_OK) {
        status = sl_library_db_begin_read(&core->reader.ldb, &err);
    }
    if (status == SYNCLINE_OK) {
        intake->more = true;
        intake->version = version;
        status = take_one(intake, &batch, &err);
        sl_outbox_done(&core->reader.ldb);
        sl_library_db_rollback(&core->reader.ldb);
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "intake", status, &err);
        return false;
    }
    if (batch != NULL) {
        sl_count_work(&core->counts[SL_STAGE_INTAKE], 1, batch->taken_n, 0);
    }
    if (batch == NULL) {
        return false;
    }
    SL_CRASHPOINT(S2, BEFORE);
    if (!sl_ring_push(&core->to_resolve, batch)) {
        status = sl_fail(&err, SYNCLINE_ECORRUPT, "a ring with room took nothing");
        sl_core_failed(core, "intake", status, &err);
    }
    SL_CRASHPOINT(S2, AFTER);
    return true;
}
