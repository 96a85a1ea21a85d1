/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Records named by outbox rows, as runs of UUIDs that count up: small where the rows are many. */

#ifndef SL_UUID_RUNS_H
#define SL_UUID_RUNS_H

#include "storage/library_db.h"

struct sl_uuid_runs {
    struct sl_uuid_run {
        int64_t model;              /* number */
        struct syncline_uuid first; /* and the n - 1 that count up from it */
        uint32_t n;
    } * runs; /* ours */
    size_t len;
    size_t capacity;
    const struct sl_allocator *alloc; /* borrowed for life */
};

void sl_uuid_runs_init(struct sl_uuid_runs *runs, const struct sl_allocator *alloc);
/* Room for some hundred runs, if there is memory; else it comes as it is needed. */
void sl_uuid_runs_prepare(struct sl_uuid_runs *runs);
void sl_uuid_runs_fini(struct sl_uuid_runs *runs);
void sl_uuid_runs_clear(struct sl_uuid_runs *runs); /* keeps memory up to SL_ARENA_KEPT_MAX */
/* Adds the records of an outbox row but for its first `skip`. false: no memory. */
bool sl_uuid_runs_add(struct sl_uuid_runs *runs, const struct sl_outbox_row *row, uint32_t skip);
bool sl_uuid_runs_have(const struct sl_uuid_runs *runs, int64_t model,
                       const struct syncline_uuid *uuid);
/* Adds the records of all outbox rows after `id` that delete records of the model. Inside the
 * caller's transaction. */
enum syncline_status sl_uuid_runs_add_deletes(struct sl_uuid_runs *runs, struct sl_library_db *ldb,
                                              int64_t model, int64_t id, struct sl_error *err);

#endif
