/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/mentions.h"

#include <string.h>

#define MEMORY ((size_t)1024 * 1024) /* for a table of 8,000 records, and those before it grew */

struct sl_mention {
    int64_t model;
    struct syncline_uuid uuid;
    int64_t row_id; /* 0: an empty place */
};

void sl_mentions_init(struct sl_mentions *mentions, const struct sl_allocator *alloc)
{
    memset(mentions, 0, sizeof(*mentions));
    sl_arena_init(&mentions->arena, alloc);
}

void sl_mentions_fini(struct sl_mentions *mentions)
{
    sl_arena_fini(&mentions->arena);
}

void sl_mentions_clear(struct sl_mentions *mentions)
{
    sl_arena_reset(&mentions->arena);
    mentions->table = NULL;
    mentions->capacity = 0;
    mentions->len = 0;
    mentions->scanned_to = 0;
}

static struct sl_mention *place_of(const struct sl_mentions *mentions, int64_t model,
                                   const struct syncline_uuid *uuid)
{
    uint64_t a = sl_get_u64(uuid->bytes) + (uint64_t)model;
    uint64_t b = sl_get_u64(uuid->bytes + 8);
    size_t at = (size_t)(((a * 31 + b) * 0x9e3779b97f4a7c15u) >> 20) & (mentions->capacity - 1);
    while (mentions->table[at].row_id != 0 && (mentions->table[at].model != model ||
                                               !sl_uuid_equal(&mentions->table[at].uuid, uuid))) {
        at = (at + 1) & (mentions->capacity - 1);
    }
    return &mentions->table[at];
}

static bool grow(struct sl_mentions *mentions)
{
    struct sl_mention *before = mentions->table;
    size_t count = mentions->capacity;
    if (count == 0) {
        (void)sl_arena_reserve(&mentions->arena, MEMORY); /* or it comes as it is needed */
    }
    size_t capacity = count == 0 ? 256 : 2 * count;
    struct sl_mention *table = sl_arena_alloc(&mentions->arena, capacity * sizeof(*table));
    if (table == NULL) {
        return false;
    }
    mentions->table = table;
    mentions->capacity = capacity;
    for (size_t i = 0; i < count; i++) {
        if (before[i].row_id != 0) {
            *place_of(mentions, before[i].model, &before[i].uuid) = before[i];
        }
    }
    return true;
}

static bool add(struct sl_mentions *mentions, int64_t model, const struct syncline_uuid *uuid,
                int64_t row_id)
{
    if (2 * (mentions->len + 1) > mentions->capacity && !grow(mentions)) {
        return false;
    }
    struct sl_mention *place = place_of(mentions, model, uuid);
    mentions->len += place->row_id == 0 ? 1u : 0u;
    place->model = model;
    place->uuid = *uuid;
    place->row_id = row_id;
    return true;
}

static bool add_row(struct sl_mentions *mentions, const struct sl_outbox_row *row)
{
    struct sl_reader in;
    sl_reader_init(&in, row->uuids, row->uuids_size);
    while (in.offset < in.len && !in.failed) {
        struct syncline_uuid first;
        sl_read_copy(&in, first.bytes, sizeof(first.bytes));
        uint32_t n = sl_read_u32(&in);
        for (uint32_t k = 0; k < n && !in.failed; k++) {
            struct syncline_uuid uuid = sl_uuid_add(&first, k);
            if (!add(mentions, row->model, &uuid, row->id)) {
                return false;
            }
        }
    }
    return true;
}

/* Could this row mention a record that an earlier one after `row_id` mentions, too? */
static enum syncline_status is_second(struct sl_core *core, const struct sl_outbox_row *row,
                                      int64_t row_id, bool *second, struct sl_error *err)
{
    *second = row->change == SYNCLINE_UPDATE;
    if (row->change != SYNCLINE_INSERT) {
        return SYNCLINE_OK;
    }
    int64_t last_delete = 0;
    enum syncline_status status =
        sl_outbox_last_delete(&core->reader.ldb, row->model, &last_delete, err);
    *second = last_delete >= row_id;
    return status;
}

enum syncline_status sl_mentions_scan(struct sl_mentions *mentions, struct sl_core *core,
                                      int64_t row_id, struct sl_error *err)
{
    int64_t id = mentions->scanned_to > row_id ? mentions->scanned_to : row_id;
    enum syncline_status status = SYNCLINE_OK;
    for (;;) {
        struct sl_outbox_row row;
        bool found = false;
        bool second = false;
        status = sl_outbox_next(&core->reader.ldb, id, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        status = is_second(core, &row, row_id, &second, err);
        if (status != SYNCLINE_OK) {
            break;
        }
        if (second && !add_row(mentions, &row)) {
            status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to read the outbox");
            break;
        }
        id = row.id;
        mentions->scanned_to = id;
    }
    sl_outbox_done(&core->reader.ldb);
    return status;
}

int64_t sl_mentions_last(const struct sl_mentions *mentions, int64_t model,
                         const struct syncline_uuid *uuid)
{
    return mentions->capacity == 0 ? 0 : place_of(mentions, model, uuid)->row_id;
}
