/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/serialize.h"

#include "base/crashpoint.h"

void sl_serialize_init(struct sl_serialize *serialize, struct sl_core *core)
{
    serialize->core = core;
    serialize->batch = NULL;
    sl_arena_init(&serialize->scratch, core->env->alloc);
}

void sl_serialize_fini(struct sl_serialize *serialize)
{
    if (serialize->batch != NULL) {
        sl_core_give_batch(serialize->core, serialize->batch);
        serialize->batch = NULL;
    }
    sl_arena_fini(&serialize->scratch);
}

/* One column of the group that begins at live change `first`. */
struct column {
    const struct sl_batch *batch;
    uint32_t first;
    uint32_t field;
    uint32_t key;
};

static struct sl_value plain_value(void *ctx, uint32_t i)
{
    const struct column *column = ctx;
    return sl_batch_value(column->batch, column->batch->live[column->first + i], column->field);
}

static struct sl_value key_value(void *ctx, uint32_t i)
{
    const struct column *column = ctx;
    const struct sl_batch *batch = column->batch;
    return batch->keys[(size_t)column->key * batch->n + batch->live[column->first + i]];
}

static void write_columns(struct sl_serialize *serialize, struct sl_batch *batch, uint32_t first,
                          uint32_t n)
{
    struct column column = {.batch = batch, .first = first};
    for (; column.field < batch->model->field_count; column.field++) {
        const struct sl_field *field = &batch->model->fields[column.field];
        bool is_key = field->parent != NULL;
        char name[SL_NAME_SIZE_MAX + 6];
        sl_group_column_name(field, name);
        sl_arena_reset(&serialize->scratch);
        sl_group_write_column(&batch->body, name, is_key, n, is_key ? key_value : plain_value,
                              &column, &serialize->scratch);
        column.key += is_key ? 1u : 0u;
    }
}

/* Further births of the changes [first, first + n), counted from there. false: no memory. */
static bool cut_further(struct sl_batch *batch, uint32_t first, uint32_t n,
                        struct sl_group_head *head)
{
    if (batch->further_len == 0) {
        return true;
    }
    struct sl_further_birth *further =
        sl_arena_alloc(&batch->arena, batch->further_len * sizeof(*further));
    for (uint32_t i = 0; i < batch->further_len && further != NULL; i++) {
        if (batch->further[i].i >= first && batch->further[i].i - first < n) {
            further[head->further_len] = batch->further[i];
            further[head->further_len++].i -= first;
        }
    }
    head->further = further;
    return further != NULL;
}

static bool write_group(struct sl_serialize *serialize, struct sl_batch *batch, uint32_t first,
                        uint32_t n)
{
    struct syncline_uuid *uuids = sl_arena_alloc(&batch->arena, n * sizeof(*uuids));
    if (uuids == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uuids[i] = batch->uuids[batch->live[first + i]];
    }
    enum syncline_change change = batch->changes[first];
    bool has_columns = change != SYNCLINE_DELETE;
    struct sl_group_head head = {.model = batch->model->name,
                                 .change = change,
                                 .class = batch->model->ownership,
                                 .n = n,
                                 .uuids = uuids,
                                 .births = batch->births + first,
                                 .self = serialize->core->self,
                                 .column_count = has_columns ? batch->model->field_count : 0};
    if (change != SYNCLINE_INSERT && !cut_further(batch, first, n, &head)) {
        return false;
    }
    struct sl_batch_group *group = &batch->groups[batch->group_count++];
    group->len = n;
    group->offset = batch->body.len;
    group->inserts = change == SYNCLINE_INSERT;
    sl_group_write_head(&batch->body, &head);
    if (has_columns) {
        write_columns(serialize, batch, first, n);
    }
    group->size = batch->body.len - group->offset;
    return !batch->body.failed;
}

static enum syncline_status serialize_batch(struct sl_serialize *serialize, struct sl_batch *batch,
                                            struct sl_error *err)
{
    sl_buf_clear(&batch->body);
    batch->group_count = 0;
    uint32_t groups = 0;
    for (uint32_t i = 0; i < batch->live_n; i++) {
        groups += i == 0 || batch->changes[i] != batch->changes[i - 1] ? 1u : 0u;
    }
    batch->groups = sl_arena_alloc(&batch->arena, groups * sizeof(*batch->groups));
    bool ok = batch->groups != NULL;
    for (uint32_t first = 0; ok && first < batch->live_n;) {
        uint32_t n = 1;
        while (first + n < batch->live_n && batch->changes[first + n] == batch->changes[first]) {
            n++;
        }
        ok = write_group(serialize, batch, first, n);
        first += n;
    }
    return ok ? SYNCLINE_OK : sl_fail(err, SYNCLINE_ENOMEM, "no memory to serialize a batch");
}

bool sl_serialize_run(void *stage)
{
    struct sl_serialize *serialize = stage;
    struct sl_core *core = serialize->core;
    if (sl_ring_room(&core->to_append) == 0) {
        return false;
    }
    if (serialize->batch == NULL) {
        serialize->batch = sl_ring_pop(&core->to_serialize);
    }
    if (serialize->batch == NULL) {
        return false;
    }
    struct sl_error err;
    SL_CRASHPOINT(S3, BEFORE);
    enum syncline_status status = serialize_batch(serialize, serialize->batch, &err);
    SL_CRASHPOINT(S3, AFTER);
    if (status == SYNCLINE_OK) {
        sl_count_work(&core->counts[SL_STAGE_SERIALIZE], 1, serialize->batch->live_n,
                      serialize->batch->body.len);
    }
    if (status == SYNCLINE_OK && !sl_ring_push(&core->to_append, serialize->batch)) {
        status = sl_fail(&err, SYNCLINE_ECORRUPT, "a ring with room took nothing");
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "serialize", status, &err);
        return false;
    }
    serialize->batch = NULL;
    return true;
}
