/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Local ids that are promised to records which are still to be inserted, so that records which
 * point at each other in a circle can be: each of them is written with the ids that the others will
 * have, and keys are checked when all are there. A promise that cannot be kept is withdrawn. The
 * applier's alone. */

#ifndef SL_PROMISES_H
#define SL_PROMISES_H

#include "base/model.h"

struct sl_promise;

struct sl_promises {
    struct sl_promise *slots; /* ours; open addressing, capacity is a power of two */
    size_t capacity;
    size_t len;                       /* made; those withdrawn are among them */
    size_t standing;                  /* made and not withdrawn */
    const struct sl_allocator *alloc; /* borrowed for life */
};

void sl_promises_init(struct sl_promises *promises, const struct sl_allocator *alloc);
/* Forgets all, and gives the memory back. */
void sl_promises_clear(struct sl_promises *promises);
/* For a record that has none, not even one withdrawn: then nothing is done. false: no memory. */
bool sl_promise_make(struct sl_promises *promises, const struct sl_model *model,
                     const struct syncline_uuid *uuid, int64_t id);
/* Is an id promised to this record? */
bool sl_promise_find(const struct sl_promises *promises, const struct sl_model *model,
                     const struct syncline_uuid *uuid, int64_t *id);
void sl_promise_withdraw(struct sl_promises *promises, const struct sl_model *model,
                         const struct syncline_uuid *uuid);

#endif
