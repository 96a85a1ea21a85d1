/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/logged_parents.h"

#include <string.h>

#include "base/bytes.h"
#include "stages/decode.h"
#include "storage/log_floor.h"

void sl_logged_parents_init(struct sl_logged_parents *parents, struct sl_core *core)
{
    memset(parents, 0, sizeof(*parents));
    parents->core = core;
    sl_mentions_init(&parents->changed, core->env->alloc);
    sl_promises_init(&parents->places, core->env->alloc);
    sl_arena_init(&parents->arena, core->env->alloc);
}

void sl_logged_parents_fini(struct sl_logged_parents *parents)
{
    sl_mentions_fini(&parents->changed);
    sl_promises_clear(&parents->places);
    sl_free(parents->core->env->alloc, parents->records);
    sl_arena_fini(&parents->arena);
    memset(parents, 0, sizeof(*parents));
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for what records pointed at");
}

/* An update of device-owned records. */
static enum syncline_status is_wanted(void *ctx, const struct sl_outbox_row *row, bool *wanted,
                                      struct sl_error *err)
{
    (void)err;
    const struct sl_model_set *models = ctx;
    *wanted = false;
    for (size_t m = 0; m < models->count && row->change == SYNCLINE_UPDATE; m++) {
        const struct sl_model *model = &models->models[m];
        *wanted = *wanted || (model->id_in_db == row->model && model->key_count > 0 &&
                              model->ownership == SYNCLINE_DEVICE_OWNED);
    }
    return SYNCLINE_OK;
}

static struct sl_logged_record *find(struct sl_logged_parents *parents,
                                     const struct sl_model *model, const struct syncline_uuid *uuid)
{
    int64_t place = 0;
    return sl_promise_find(&parents->places, model, uuid, &place) ? &parents->records[place] : NULL;
}

static struct sl_logged_record *add(struct sl_logged_parents *parents, const struct sl_model *model,
                                    const struct syncline_uuid *uuid)
{
    struct sl_logged_record *grown = sl_grow(parents->core->env->alloc, parents->records,
                                             parents->len, &parents->capacity, sizeof(*grown));
    if (grown == NULL) {
        return NULL;
    }
    parents->records = grown;
    struct sl_logged_record *record = &parents->records[parents->len];
    *record = (struct sl_logged_record){.model = model, .uuid = *uuid};
    record->parents =
        sl_arena_alloc(&parents->arena, model->field_count * sizeof(*record->parents));
    record->points = sl_arena_alloc(&parents->arena, model->field_count * sizeof(*record->points));
    if (record->parents == NULL || record->points == NULL ||
        !sl_promise_make(&parents->places, model, uuid, (int64_t)parents->len)) {
        return NULL;
    }
    parents->len++;
    return record;
}

enum syncline_status sl_logged_parents_note(struct sl_logged_parents *parents,
                                            const struct sl_localized *localized, uint32_t i,
                                            struct sl_error *err)
{
    const struct sl_model *model = localized->model;
    const struct syncline_uuid *uuid = &localized->group->uuids[i];
    if (parents->changed.len == 0 || localized->group->change == SYNCLINE_DELETE ||
        sl_mentions_last(&parents->changed, model->id_in_db, uuid).row == 0) {
        return SYNCLINE_OK;
    }
    struct sl_logged_record *record = find(parents, model, uuid);
    record = record == NULL ? add(parents, model, uuid) : record;
    if (record == NULL) {
        return no_memory(err);
    }
    for (uint32_t f = 0; f < model->field_count; f++) {
        const struct sl_column *column = localized->columns[f];
        record->points[f] =
            column->is_key && sl_field_binds(&model->fields[f]) && column->index[i] != 0;
        if (record->points[f]) {
            record->parents[f] = column->dict[column->index[i] - 1];
        }
    }
    return SYNCLINE_OK;
}

static enum syncline_status note_group(struct sl_logged_parents *parents,
                                       const struct sl_group *group, struct sl_arena *arena,
                                       struct sl_error *err)
{
    struct sl_localized localized;
    const struct sl_model *model =
        sl_model_find_name(&parents->core->models, group->model, group->model_len);
    if (model == NULL || group->change == SYNCLINE_DELETE) {
        return SYNCLINE_OK; /* apply says so, if it has to do with it */
    }
    enum syncline_status status = sl_localize_group(&localized, model, group, arena, err);
    for (uint32_t i = 0; i < group->n && status == SYNCLINE_OK; i++) {
        status = sl_logged_parents_note(parents, &localized, i, err);
    }
    return status;
}

enum syncline_status sl_logged_parents_read(struct sl_logged_parents *parents, uint64_t seq,
                                            struct sl_error *err)
{
    struct sl_core *core = parents->core;
    const struct sl_log_head *head = &core->origins[0]->head;
    struct sl_log_floor floor = {.seq = 0};
    struct sl_decoded decoded;
    enum syncline_status status =
        sl_mentions_read(&parents->changed, &core->writer.ldb, sl_drained_to(&core->drained),
                         is_wanted, &core->models, err);
    if (status != SYNCLINE_OK || parents->changed.newest == parents->newest) {
        return status;
    }
    status = sl_decoded_init(&decoded, core->env->alloc, err);
    if (status == SYNCLINE_OK) {
        status = sl_log_floor_get(&core->log, head->number, &floor, err);
    }
    for (uint64_t at = floor.seq; at < seq && status == SYNCLINE_OK;
         at = sl_segment_last_seq(&decoded.segment)) {
        status = sl_decode_from_log(&decoded, &core->log, head->number, at + 1, err);
        for (uint32_t g = 0; g < decoded.group_count && status == SYNCLINE_OK; g++) {
            status = note_group(parents, &decoded.groups[g], &decoded.arena, err);
        }
    }
    sl_decoded_fini(&decoded);
    parents->newest = status == SYNCLINE_OK ? parents->changed.newest : parents->newest;
    return status;
}

bool sl_logged_parents_point(const struct sl_logged_record *record, const struct sl_model *model,
                             const struct syncline_uuid *uuid)
{
    bool points = false;
    for (uint32_t f = 0; f < record->model->field_count; f++) {
        points = points || (record->points[f] && record->model->fields[f].parent == model &&
                            sl_uuid_equal(&record->parents[f], uuid));
    }
    return points;
}
