/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/budget.h"

#include "base/limits.h"

static size_t within(size_t value, size_t least, size_t most)
{
    return value < least ? least : value > most ? most : value;
}

struct sl_budget sl_budget_share(size_t memory)
{
    size_t sending = memory / 2;
    size_t large = sending / 8;
    /* A quarter of the batches is for what is read again. */
    size_t batches = within((sending - large) / SL_BATCH_MEMORY, SL_BATCHES_MIN,
                            SL_STAGED_LEN_MAX + SL_STAGED_LEN_MAX / 3);
    size_t kept = (sending - large) / batches;
    return (struct sl_budget){.staged = batches - batches / 4,
                              .reread = batches / 4,
                              .batch_kept = kept,
                              .piece = within(kept / 3, 1, SL_BATCH_SIZE_SOFT),
                              .large = large,
                              .incoming = within(memory / 4, 1, SL_INCOMING_SIZE_MAX)};
}
