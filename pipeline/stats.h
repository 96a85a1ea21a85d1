/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The stages by number, and what each has done so far, for people who watch an engine.
 *
 * Each counter has one writer, the thread that runs its stage, which adds to it once a slice or
 * once a batch and never for a single change: a relaxed load and a relaxed store, no locked
 * instruction. Readers are any threads; they see each counter whole and rising, and no order
 * between two of them. */

#ifndef SL_STATS_H
#define SL_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* The stages in the order of a change's way; each is one bounded slice that never waits for another
 * one. */
enum sl_stage {
    SL_STAGE_INTAKE,
    SL_STAGE_FK_RESOLVE,
    SL_STAGE_SERIALIZE,
    SL_STAGE_LOG_APPEND,
    SL_STAGE_NET_FLUSH,
    SL_STAGE_LOG_HOLD,
    SL_STAGE_APPLY,
    SL_STAGE_ACKNOWLEDGE,
    SL_STAGE_SETTLE,
    SL_STAGE_SCAN,
    SL_STAGE_EVENT_LOG,
    SL_STAGE_COMPARE,
    SL_STAGE_PRUNE,
    SL_STAGE_SNAPSHOT,
    SL_STAGE_COUNT
};

/* As it is called in texts and in the documentation. */
const char *sl_stage_name(enum sl_stage stage);

/* What a stage has done since the library was opened; see struct syncline_stage. */
struct sl_stage_counts {
    atomic_uint_fast64_t runs;
    atomic_uint_fast64_t batches;
    atomic_uint_fast64_t changes;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t errors;
    atomic_uint_fast64_t busy_ns;
};

/* Called by the one writer of the counter. */
static inline void sl_count(atomic_uint_fast64_t *counter, uint64_t n)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + n, memory_order_relaxed);
}

/* A stage has dealt with something. Called by its thread. */
static inline void sl_count_work(struct sl_stage_counts *counts, uint64_t batches, uint64_t changes,
                                 uint64_t bytes)
{
    sl_count(&counts->batches, batches);
    sl_count(&counts->changes, changes);
    sl_count(&counts->bytes, bytes);
}

/* Any thread. */
static inline uint64_t sl_counted(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
