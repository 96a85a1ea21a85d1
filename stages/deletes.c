/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/deletes.h"

#define COMMITTED_PREPARED ((size_t)2048)
#define SEEN_PREPARED ((size_t)256)

void sl_deletes_init(struct sl_deletes *deletes, const struct sl_allocator *alloc)
{
    sl_mentions_init(&deletes->committed, alloc);
    sl_mentions_init(&deletes->seen, alloc);
    sl_mentions_init(&deletes->recovered, alloc);
    sl_mentions_prepare(&deletes->committed, COMMITTED_PREPARED);
    sl_mentions_prepare(&deletes->seen, SEEN_PREPARED);
}

void sl_deletes_fini(struct sl_deletes *deletes)
{
    sl_mentions_fini(&deletes->committed);
    sl_mentions_fini(&deletes->seen);
    sl_mentions_fini(&deletes->recovered);
}

static enum syncline_status is_delete(void *ctx, const struct sl_outbox_row *row, bool *wanted,
                                      struct sl_error *err)
{
    (void)ctx;
    (void)err;
    *wanted = row->change == SYNCLINE_DELETE;
    return SYNCLINE_OK;
}

void sl_deletes_forget(struct sl_deletes *deletes, int64_t after)
{
    sl_mentions_forget(&deletes->committed, after + 1);
}

enum syncline_status sl_deletes_read(struct sl_deletes *deletes, struct sl_library_db *ldb,
                                     int64_t after, bool own, struct sl_error *err)
{
    struct sl_mentions *into = own ? &deletes->seen : &deletes->committed;
    int64_t read_to = deletes->committed.read_to;
    sl_deletes_forget(deletes, after);
    return sl_mentions_read(into, ldb, own && read_to > after ? read_to : after, is_delete, NULL,
                            err);
}

bool sl_deletes_after(struct sl_deletes *deletes, int64_t model, const struct syncline_uuid *uuid,
                      int64_t outbox_id)
{
    return sl_mentions_last(&deletes->committed, model, uuid).row > outbox_id ||
           sl_mentions_last(&deletes->seen, model, uuid).row > outbox_id;
}

void sl_deletes_done(struct sl_deletes *deletes)
{
    sl_mentions_clear(&deletes->seen);
}

bool sl_deletes_add_recovered(struct sl_deletes *deletes, int64_t model,
                              const struct syncline_uuid *uuid, uint64_t seq)
{
    return sl_mentions_add(&deletes->recovered, model, uuid, 1,
                           (struct sl_mention_place){.row = (int64_t)seq});
}

bool sl_deletes_recovered_after(struct sl_deletes *deletes, int64_t model,
                                const struct syncline_uuid *uuid, uint64_t seq)
{
    return sl_mentions_last(&deletes->recovered, model, uuid).row > (int64_t)seq;
}

void sl_deletes_forget_recovered(struct sl_deletes *deletes)
{
    sl_mentions_clear(&deletes->recovered);
}
