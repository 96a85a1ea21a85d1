/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Where captured batches wait for their transaction to commit: the hand-over from the application's
 * threads to intake. The pool has a fixed size; a capture that finds it empty stages nothing, and
 * intake reads its rows again.
 *
 * Thread: take and give by any thread; pop by intake's. Push by whoever holds SQLite's write lock
 * of library.db: so there is one producer at a time, and the order is that of the outbox. Nothing
 * blocks. */

#ifndef SL_STAGING_H
#define SL_STAGING_H

#include "pipeline/batch.h"
#include "pipeline/budget.h"
#include "pipeline/ring.h"

struct sl_staging {
    struct sl_batch_pool pool;
    struct sl_ring ring;
    atomic_size_t large; /* bytes of batches larger than they should be, under way */
    size_t large_max;    /* constant */
};

enum syncline_status sl_staging_init(struct sl_staging *staging, const struct sl_allocator *alloc,
                                     const struct sl_budget *budget);
void sl_staging_fini(struct sl_staging *staging);

/* Takes `count` batches, all or none, as a list by ->next; large: bytes of rows that are too large
 * for a batch. NULL: there are not that many, or there is too much that is large under way. */
struct sl_batch *sl_staging_take(struct sl_staging *staging, size_t count, size_t large);
/* Pushes a list taken before, in its order; the batches are the ring's then. */
void sl_staging_push(struct sl_staging *staging, struct sl_batch *list);
/* The next batch pushed, or NULL. It stays the pool's: give it back in the end. */
struct sl_batch *sl_staging_pop(struct sl_staging *staging);
/* Gives back a list taken and not pushed, or one batch popped. false: not of this pool. */
bool sl_staging_give(struct sl_staging *staging, struct sl_batch *list);

#endif
