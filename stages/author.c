/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/author.h"

#include "base/bytes.h"

/* The blobs of an outbox row: see storage/library_db.h. */
struct names {
    struct sl_buf ids;
    struct sl_buf uuids;
    struct sl_buf births;
};

/* Its hidden births, as a capture names them (stages/capture.c). */
static enum syncline_status add_hidden(struct sl_core *core, struct names *names,
                                       enum syncline_change change,
                                       const struct sl_author_change *named, struct sl_error *err)
{
    struct sl_hidden_births *hidden = &core->writer.hidden;
    int64_t model = named->model->id_in_db;
    struct sl_hidden_birth *list = NULL;
    struct sl_arena arena;
    size_t len = 0;
    uint32_t count = 1;
    sl_arena_init(&arena, core->env->alloc);
    enum syncline_status status =
        sl_hidden_birth_list(hidden, model, &named->uuid, false, &arena, &list, &len, err);
    for (size_t k = 0; k < len && status == SYNCLINE_OK && count < SL_CHANGE_BIRTHS_MAX; k++) {
        bool own = true;
        if (list[k].class == SYNCLINE_DEVICE_OWNED) {
            status = sl_core_is_own(core, &core->writer.ldb, list[k].origin, &own, err);
        }
        if (status != SYNCLINE_OK || !own) {
            continue;
        }
        count++;
        sl_buf_u32(&names->births, 0);
        sl_buf_u64(&names->births, (uint64_t)list[k].origin);
        sl_buf_u64(&names->births, list[k].seq);
        if (change == SYNCLINE_DELETE) {
            status =
                sl_hidden_birth_drop(hidden, model, &named->uuid, list[k].origin, list[k].seq, err);
        }
    }
    sl_arena_fini(&arena);
    return status;
}

static enum syncline_status add(struct sl_core *core, struct names *names,
                                enum syncline_change change, const struct sl_author_change *named,
                                struct sl_error *err)
{
    sl_buf_u64(&names->ids, (uint64_t)named->id);
    sl_buf_u32(&names->ids, 1);
    sl_buf_bytes(&names->uuids, named->uuid.bytes, sizeof(named->uuid.bytes));
    sl_buf_u32(&names->uuids, 1);
    if (change == SYNCLINE_INSERT) {
        return SYNCLINE_OK;
    }
    sl_buf_u32(&names->births, 1);
    sl_buf_u64(&names->births, (uint64_t)named->birth_origin);
    sl_buf_u64(&names->births, named->birth_origin != 0 ? named->birth_seq : 0);
    return named->all_births && sl_core_may_hide(core, named->model)
               ? add_hidden(core, names, change, named, err)
               : SYNCLINE_OK;
}

static enum syncline_status write_row(struct sl_core *core, const struct sl_model *model,
                                      enum syncline_change change, const struct names *names,
                                      uint32_t n, struct sl_error *err)
{
    const struct sl_env *env = core->env;
    uint64_t token = 0;
    if (names->ids.failed || names->uuids.failed || names->births.failed) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to write changes into the outbox");
    }
    enum syncline_status status = env->random(env->ctx, &token, sizeof(token));
    if (status != SYNCLINE_OK) {
        return sl_fail(err, status, "the system gave no randomness");
    }
    struct sl_outbox_row row = {.token = token & ~SL_TOKEN_TICKET,
                                .model = model->id_in_db,
                                .change = change,
                                .wall_ms = env->wall_ms(env->ctx),
                                .n = n,
                                .batch_len = core->batch_len,
                                .ids = names->ids.data,
                                .ids_size = names->ids.len,
                                .uuids = names->uuids.data,
                                .uuids_size = names->uuids.len,
                                .births = names->births.data,
                                .births_size = names->births.len};
    return sl_outbox_insert(&core->writer.ldb, &row, err);
}

enum syncline_status sl_author_changes(struct sl_core *core, enum syncline_change change,
                                       const struct sl_author_change *changes, size_t n,
                                       struct sl_error *err)
{
    const struct sl_allocator *alloc = core->env->alloc;
    struct names names;
    enum syncline_status status = SYNCLINE_OK;
    sl_buf_init(&names.ids, alloc);
    sl_buf_init(&names.uuids, alloc);
    sl_buf_init(&names.births, alloc);
    for (size_t first = 0; first < n && status == SYNCLINE_OK;) {
        size_t i = first;
        sl_buf_clear(&names.ids);
        sl_buf_clear(&names.uuids);
        sl_buf_clear(&names.births);
        while (i < n && changes[i].model == changes[first].model && status == SYNCLINE_OK) {
            status = add(core, &names, change, &changes[i++], err);
        }
        if (status == SYNCLINE_OK) {
            status =
                write_row(core, changes[first].model, change, &names, (uint32_t)(i - first), err);
        }
        first = i;
    }
    sl_buf_fini(&names.ids);
    sl_buf_fini(&names.uuids);
    sl_buf_fini(&names.births);
    return status;
}
