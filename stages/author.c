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

static void add(struct names *names, const struct sl_author_delete *delete)
{
    sl_buf_u64(&names->ids, (uint64_t) delete->id);
    sl_buf_u32(&names->ids, 1);
    sl_buf_bytes(&names->uuids, delete->uuid.bytes, sizeof(delete->uuid.bytes));
    sl_buf_u32(&names->uuids, 1);
    sl_buf_u32(&names->births, 1);
    sl_buf_u64(&names->births, (uint64_t) delete->birth_origin);
    sl_buf_u64(&names->births, delete->birth_origin != 0 ? delete->birth_seq : 0);
}

static enum syncline_status write_row(struct sl_core *core, const struct sl_model *model,
                                      const struct names *names, uint32_t n, struct sl_error *err)
{
    const struct sl_env *env = core->env;
    uint64_t token = 0;
    if (names->ids.failed || names->uuids.failed || names->births.failed) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to delete what points at a deleted record");
    }
    enum syncline_status status = env->random(env->ctx, &token, sizeof(token));
    if (status != SYNCLINE_OK) {
        return sl_fail(err, status, "the system gave no randomness");
    }
    struct sl_outbox_row row = {.token = token & ~SL_TOKEN_TICKET,
                                .model = model->id_in_db,
                                .change = SYNCLINE_DELETE,
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

enum syncline_status sl_author_deletes(struct sl_core *core, const struct sl_author_delete *deletes,
                                       size_t n, struct sl_error *err)
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
        while (i < n && deletes[i].model == deletes[first].model) {
            add(&names, &deletes[i++]);
        }
        status = write_row(core, deletes[first].model, &names, (uint32_t)(i - first), err);
        first = i;
    }
    sl_buf_fini(&names.ids);
    sl_buf_fini(&names.uuids);
    sl_buf_fini(&names.births);
    return status;
}
