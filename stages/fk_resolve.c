/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/fk_resolve.h"

#include <string.h>

#include "stages/intake.h"
#include "stages/uuid_runs.h"

void sl_fk_resolve_init(struct sl_fk_resolve *resolve, struct sl_core *core)
{
    resolve->core = core;
    resolve->batch = NULL;
}

void sl_fk_resolve_fini(struct sl_fk_resolve *resolve)
{
    if (resolve->batch != NULL) {
        sl_core_give_batch(resolve->core, resolve->batch);
        resolve->batch = NULL;
    }
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory to resolve keys");
}

/* ---- Keys ---- */

/* id -> place in key_uuids + 1, open addressing; 0 is empty, UINT32_MAX: no such parent. */
struct id_map {
    int64_t *ids;
    uint32_t *places;
    uint32_t mask;
};

static bool id_map_init(struct id_map *map, struct sl_arena *arena, uint32_t n)
{
    uint32_t size = 16;
    while (size < 2 * n) {
        size *= 2;
    }
    map->mask = size - 1;
    map->ids = sl_arena_alloc(arena, size * sizeof(*map->ids));
    map->places = sl_arena_alloc(arena, size * sizeof(*map->places));
    return map->ids != NULL && map->places != NULL;
}

static uint32_t *id_map_slot(struct id_map *map, int64_t id)
{
    uint32_t slot = (uint32_t)(((uint64_t)id * 0x9e3779b97f4a7c15u) >> 32) & map->mask;
    while (map->places[slot] != 0 && map->ids[slot] != id) {
        slot = (slot + 1) & map->mask;
    }
    map->ids[slot] = id;
    return &map->places[slot];
}

static bool leave_out(struct sl_batch *batch, uint32_t i, const struct sl_field *field, int64_t id)
{
    char reason[200];
    (void)sqlite3_snprintf((int)sizeof(reason), reason,
                           "its parent (field '%s' = %lld) is not in table '%s'", field->name,
                           (long long)id, field->parent->table);
    return sl_batch_add_aside(batch, &batch->uuids[i], reason);
}

/* Resolves one KEY field of staged rows; records without their parent lose their place in `alive`.
 */
static enum syncline_status resolve_field(struct sl_core *core, struct sl_batch *batch,
                                          uint32_t field_index, struct sl_value *keys,
                                          struct syncline_uuid *uuids, bool *alive,
                                          struct sl_error *err)
{
    const struct sl_field *field = &batch->model->fields[field_index];
    struct id_map map;
    if (!id_map_init(&map, &batch->arena, batch->n)) {
        return no_memory(err);
    }
    uint32_t found_count = 0;
    for (uint32_t i = 0; i < batch->n; i++) {
        struct sl_value id = sl_batch_value(batch, i, field_index);
        if (id.type != SL_INT64) {
            continue; /* NULL, as keys[i] is already */
        }
        uint32_t *place = id_map_slot(&map, id.as.int64);
        if (*place == 0) {
            bool found = false;
            enum syncline_status status =
                sl_record_uuid(&core->resolver.tables[field->parent->index], id.as.int64, &found,
                               &uuids[found_count], err);
            if (status != SYNCLINE_OK) {
                return status;
            }
            *place = found ? ++found_count : UINT32_MAX;
        }
        if (*place == UINT32_MAX) {
            if (alive[i] && !leave_out(batch, i, field, id.as.int64)) {
                return no_memory(err);
            }
            alive[i] = false;
            continue;
        }
        keys[i].type = SL_BLOB;
        keys[i].size = sizeof(struct syncline_uuid);
        keys[i].as.data = &uuids[*place - 1];
    }
    return SYNCLINE_OK;
}

/* Could an id that the batch holds be another record's by now? */
static enum syncline_status is_suspect(struct sl_core *core, const struct sl_batch *batch,
                                       bool *suspect, struct sl_error *err)
{
    *suspect = false;
    for (uint32_t f = 0; f < batch->model->field_count; f++) {
        const struct sl_field *field = &batch->model->fields[f];
        if (field->type != SYNCLINE_TYPE_KEY) {
            continue;
        }
        int64_t last_delete = 0;
        enum syncline_status status =
            sl_outbox_last_delete(&core->resolver.ldb, field->parent->id_in_db, &last_delete, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        *suspect = *suspect || last_delete >= batch->outbox_id;
    }
    return SYNCLINE_OK;
}

static enum syncline_status resolve_keys(struct sl_core *core, struct sl_batch *batch, bool *alive,
                                         struct sl_error *err)
{
    size_t cells = (size_t)batch->n * batch->model->key_count;
    batch->keys = sl_arena_alloc(&batch->arena, cells * sizeof(*batch->keys));
    batch->key_uuids = sl_arena_alloc(&batch->arena, cells * sizeof(*batch->key_uuids));
    if (batch->keys == NULL || batch->key_uuids == NULL) {
        return no_memory(err);
    }
    uint32_t key = 0;
    for (uint32_t f = 0; f < batch->model->field_count; f++) {
        const struct sl_field *field = &batch->model->fields[f];
        struct sl_value *keys = batch->keys + (size_t)key * batch->n;
        struct syncline_uuid *uuids = batch->key_uuids + (size_t)key * batch->n;
        if (field->type == SYNCLINE_TYPE_KEY && batch->values == NULL) {
            enum syncline_status status = resolve_field(core, batch, f, keys, uuids, alive, err);
            if (status != SYNCLINE_OK) {
                return status;
            }
        } else if (field->type == SYNCLINE_TYPE_KEY) {
            for (uint32_t i = 0; i < batch->n; i++) {
                keys[i] = batch->values[(size_t)i * batch->model->field_count + f];
            }
        } else if (field->type == SYNCLINE_TYPE_UUID_KEY) {
            for (uint32_t i = 0; i < batch->n; i++) {
                keys[i] = sl_batch_value(batch, i, f);
            }
        } else {
            continue;
        }
        key++;
    }
    return SYNCLINE_OK;
}

/* ---- Births ---- */

/* A record may be one that was deleted after this change, and inserted again: then
 * the change is superseded by that delete. */
static enum syncline_status is_deleted_later(struct sl_core *core, const struct sl_batch *batch,
                                             uint32_t i, bool *alive, struct sl_error *err)
{
    int64_t last_delete = 0;
    enum syncline_status status =
        sl_outbox_last_delete(&core->resolver.ldb, batch->model->id_in_db, &last_delete, err);
    struct sl_uuid_runs deleted;
    sl_uuid_runs_init(&deleted, core->env->alloc);
    if (status == SYNCLINE_OK && last_delete > batch->outbox_id) {
        status = sl_uuid_runs_add_deletes(&deleted, &core->resolver.ldb, batch->model->id_in_db,
                                          batch->outbox_id, err);
        *alive = !sl_uuid_runs_have(&deleted, batch->model->id_in_db, &batch->uuids[i]);
    }
    sl_uuid_runs_fini(&deleted);
    return status;
}

/* What an update turns out to be; alive = false: nothing. birth is what its capture saw, and
 * becomes what the record has: another birth is another record, and the update superseded. */
static enum syncline_status look_up(struct sl_core *core, const struct sl_batch *batch, uint32_t i,
                                    enum syncline_change *change, struct sl_birth *birth,
                                    bool *alive, struct sl_error *err)
{
    const struct sl_model *model = batch->model;
    const struct sl_birth captured = *birth;
    int64_t id = 0;
    bool found = false;
    enum syncline_status status =
        sl_record_id(&core->resolver.tables[model->index], &batch->uuids[i], &found, &id, err);
    if (status != SYNCLINE_OK || !found) {
        *alive = false;
        return status;
    }
    struct sl_birth_run run;
    status = sl_birth_get(&core->resolver.births, model->id_in_db, id, &found, &run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    *change = SYNCLINE_UPDATE;
    birth->origin = core->self;
    birth->seq = run.seq;
    if (found && run.origin != core->self_number) {
        status = sl_library_db_origin(&core->resolver.ldb, run.origin, &found, &birth->origin, err);
    }
    if (status == SYNCLINE_OK && captured.seq != 0) {
        *alive = found && birth->seq == captured.seq &&
                 sl_origin_equal(&birth->origin, &captured.origin);
        return SYNCLINE_OK;
    }
    /* An update captured before the birth had come back from the log: it is one of this device's.
     * An insert captured again is an update, whoever made the record. */
    if (status == SYNCLINE_OK && !found) {
        birth->seq = sl_unsettled_birth(&core->unsettled, model, &batch->uuids[i]);
        *change = birth->seq != 0 ? SYNCLINE_UPDATE : SYNCLINE_INSERT;
    }
    *alive = batch->change == SYNCLINE_INSERT || sl_origin_equal(&birth->origin, &core->self);
    return status == SYNCLINE_OK && *alive ? is_deleted_later(core, batch, i, alive, err) : status;
}

/* What is known of a model's records before a batch of them is looked at. */
struct known {
    int64_t born_to;     /* no id above it was ever born */
    bool some_unsettled; /* records of the batch may be in the list of the unsettled */
};

static enum syncline_status classify(struct sl_core *core, const struct sl_batch *batch, uint32_t i,
                                     const struct known *known, enum syncline_change *change,
                                     struct sl_birth *birth, bool *alive, struct sl_error *err)
{
    *change = batch->change;
    if (batch->change == SYNCLINE_DELETE) {
        if (birth->seq == 0) {
            birth->origin = core->self;
            birth->seq = sl_unsettled_birth(&core->unsettled, batch->model, &batch->uuids[i]);
        }
        if (birth->seq == 0) {
            enum syncline_status status = sl_late_birth_get(
                &core->resolver.births, batch->model->id_in_db, &batch->uuids[i], &birth->seq, err);
            if (status != SYNCLINE_OK) {
                return status;
            }
        }
        *alive = birth->seq != 0;
        return SYNCLINE_OK;
    }
    if (batch->change == SYNCLINE_INSERT && batch->ids[i] > known->born_to &&
        (!known->some_unsettled ||
         sl_unsettled_birth(&core->unsettled, batch->model, &batch->uuids[i]) == 0)) {
        return SYNCLINE_OK; /* as nearly always: an id above all that were ever born */
    }
    return look_up(core, batch, i, change, birth, alive, err);
}

static enum syncline_status resolve_births(struct sl_core *core, struct sl_batch *batch,
                                           const bool *alive, struct sl_birth **resolved,
                                           struct sl_error *err)
{
    struct sl_birth *births = sl_arena_alloc(&batch->arena, batch->n * sizeof(*births));
    batch->changes = sl_arena_alloc(&batch->arena, batch->n * sizeof(*batch->changes));
    batch->live = sl_arena_alloc(&batch->arena, batch->n * sizeof(*batch->live));
    if (births == NULL || batch->changes == NULL || batch->live == NULL) {
        return no_memory(err);
    }
    struct known known = {0};
    sl_births_forget(&core->resolver.births);
    enum syncline_status found =
        sl_birth_highest(&core->resolver.births, batch->model->id_in_db, &known.born_to, err);
    if (found != SYNCLINE_OK) {
        return found;
    }
    known.some_unsettled = batch->n > 0 && sl_unsettled_may_have(&core->unsettled, batch->model,
                                                                 batch->uuids, batch->n);
    batch->live_n = 0;
    for (uint32_t i = 0; i < batch->n; i++) {
        bool live = alive[i];
        enum syncline_change change = batch->change;
        struct sl_birth birth = {0};
        if (batch->births != NULL) {
            birth = batch->births[i];
        }
        enum syncline_status status = SYNCLINE_OK;
        if (live) {
            status = classify(core, batch, i, &known, &change, &birth, &live, err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (live) {
            batch->live[batch->live_n] = i;
            batch->changes[batch->live_n] = change;
            births[batch->live_n] = birth;
            batch->live_n++;
        }
    }
    *resolved = births;
    return SYNCLINE_OK;
}

/* ---- One batch ---- */

static enum syncline_status make_entry(struct sl_core *core, struct sl_batch *batch,
                                       struct sl_error *err)
{
    batch->first_seq = core->next_seq;
    batch->unsettled = NULL;
    if (batch->live_n == 0) {
        return SYNCLINE_OK;
    }
    struct sl_unsettled_entry *entry = sl_unsettled_entry_new(&core->unsettled, batch->live_n);
    if (entry == NULL) {
        return no_memory(err);
    }
    entry->model = batch->model;
    entry->first_seq = batch->first_seq;
    entry->outbox_id = batch->outbox_id;
    entry->row_complete = batch->offset + batch->taken_n >= batch->row_n;
    for (uint32_t i = 0; i < batch->live_n; i++) {
        entry->ids[i] = batch->ids[batch->live[i]];
        entry->uuids[i] = batch->uuids[batch->live[i]];
        entry->changes[i] = (uint8_t)batch->changes[i];
    }
    sl_unsettled_append(&core->unsettled, entry);
    batch->unsettled = entry;
    core->next_seq += batch->live_n;
    return SYNCLINE_OK;
}

static enum syncline_status resolve_in_transaction(struct sl_core *core, struct sl_batch *batch,
                                                   struct sl_error *err)
{
    bool suspect = false;
    enum syncline_status status = SYNCLINE_OK;
    if (batch->values == NULL && batch->change != SYNCLINE_DELETE) {
        status = is_suspect(core, batch, &suspect, err);
    }
    if (status == SYNCLINE_OK && suspect) {
        status = sl_intake_read_again(core, &core->resolver, batch, err);
    }
    bool *alive = sl_arena_alloc(&batch->arena, batch->n * sizeof(*alive));
    if (status == SYNCLINE_OK && alive == NULL) {
        status = no_memory(err);
    }
    if (status == SYNCLINE_OK) {
        memset(alive, 1, batch->n * sizeof(*alive));
        status =
            batch->change == SYNCLINE_DELETE ? SYNCLINE_OK : resolve_keys(core, batch, alive, err);
    }
    struct sl_birth *births = NULL;
    if (status == SYNCLINE_OK) {
        status = resolve_births(core, batch, alive, &births, err);
    }
    if (status == SYNCLINE_OK) {
        status = make_entry(core, batch, err);
    }
    if (status == SYNCLINE_OK) {
        batch->births = births; /* by live change; what was captured is needed no more */
    }
    return status;
}

bool sl_fk_resolve_run(void *stage)
{
    struct sl_fk_resolve *resolve = stage;
    struct sl_core *core = resolve->core;
    if (sl_ring_room(&core->to_serialize) == 0) {
        return false;
    }
    if (resolve->batch == NULL) {
        resolve->batch = sl_ring_pop(&core->to_resolve);
    }
    /* Between two transactions: whoever looks for a birth from here on sees it in library.db. */
    sl_unsettled_drop(&core->unsettled,
                      atomic_load_explicit(&core->settled_seq, memory_order_acquire));
    if (resolve->batch == NULL) {
        return false;
    }
    struct sl_error err;
    enum syncline_status status = sl_library_db_begin_read(&core->resolver.ldb, &err);
    if (status == SYNCLINE_OK) {
        status = resolve_in_transaction(core, resolve->batch, &err);
        sl_library_db_rollback(&core->resolver.ldb);
    }
    if (status == SYNCLINE_OK && !sl_ring_push(&core->to_serialize, resolve->batch)) {
        status = sl_fail(&err, SYNCLINE_ECORRUPT, "a ring with room took nothing");
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "fk_resolve", status, &err);
        return false;
    }
    resolve->batch = NULL;
    return true;
}
