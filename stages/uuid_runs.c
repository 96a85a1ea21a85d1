/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/uuid_runs.h"

#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"

#define LEN_PREPARED 512u

void sl_uuid_runs_init(struct sl_uuid_runs *runs, const struct sl_allocator *alloc)
{
    *runs = (struct sl_uuid_runs){.alloc = alloc};
}

void sl_uuid_runs_fini(struct sl_uuid_runs *runs)
{
    sl_free(runs->alloc, runs->runs);
    sl_uuid_runs_init(runs, runs->alloc);
}

void sl_uuid_runs_clear(struct sl_uuid_runs *runs)
{
    runs->len = 0;
    if (runs->capacity > SL_ARENA_KEPT_MAX / sizeof(*runs->runs)) {
        sl_uuid_runs_fini(runs);
    }
}

static bool grow(struct sl_uuid_runs *runs, size_t capacity)
{
    struct sl_uuid_run *grown = sl_resize(runs->alloc, runs->runs, capacity, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    runs->runs = grown;
    runs->capacity = capacity;
    return true;
}

void sl_uuid_runs_prepare(struct sl_uuid_runs *runs)
{
    (void)(runs->capacity >= LEN_PREPARED || grow(runs, LEN_PREPARED));
}

static bool add_run(struct sl_uuid_runs *runs, int64_t model, const struct syncline_uuid *first,
                    uint32_t n)
{
    if (runs->len == runs->capacity && !grow(runs, runs->capacity == 0 ? 64 : 2 * runs->capacity)) {
        return false;
    }
    runs->runs[runs->len++] = (struct sl_uuid_run){.model = model, .first = *first, .n = n};
    return true;
}

bool sl_uuid_runs_add(struct sl_uuid_runs *runs, const struct sl_outbox_row *row, uint32_t skip)
{
    struct sl_reader in;
    sl_reader_init(&in, row->uuids, row->uuids_size);
    while (in.offset < in.len && !in.failed) {
        struct syncline_uuid uuid;
        sl_read_copy(&in, uuid.bytes, sizeof(uuid.bytes));
        uint32_t n = sl_read_u32(&in);
        uint32_t skipped = skip < n ? skip : n;
        skip -= skipped;
        struct syncline_uuid first = sl_uuid_add(&uuid, skipped);
        if (!in.failed && n > skipped && !add_run(runs, row->model, &first, n - skipped)) {
            return false;
        }
    }
    return true;
}

bool sl_uuid_runs_have(const struct sl_uuid_runs *runs, int64_t model,
                       const struct syncline_uuid *uuid)
{
    for (size_t i = 0; i < runs->len; i++) {
        const struct sl_uuid_run *run = &runs->runs[i];
        if (run->model == model && sl_uuid_in_run(uuid, &run->first, run->n)) {
            return true;
        }
    }
    return false;
}

enum syncline_status sl_uuid_runs_add_deletes(struct sl_uuid_runs *runs, struct sl_library_db *ldb,
                                              int64_t model, int64_t id, struct sl_error *err)
{
    struct sl_outbox_row row = {.id = id};
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        status = sl_outbox_next(ldb, row.id, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        bool wanted = row.change == SYNCLINE_DELETE && row.model == model;
        if (wanted && !sl_uuid_runs_add(runs, &row, 0)) {
            status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to read the outbox");
        }
    }
    sl_outbox_done(ldb);
    return status;
}
