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
    struct sl_budget budget;
    size_t sending = memory / 2;
    budget.large = sending / 8;
    size_t for_reread = (sending - budget.large) / 8;
    size_t for_staged = sending - budget.large - for_reread;
    budget.staged = within(for_staged / SL_BATCH_MEMORY, SL_STAGED_LEN_MIN, SL_STAGED_LEN_MAX);
    budget.staged_kept = for_staged / budget.staged;
    budget.staged_piece = within(budget.staged_kept / 3, 1, SL_BATCH_SIZE_SOFT);
    size_t for_bulk = for_reread / 4 * 3;
    budget.bulk = within(for_bulk / SL_BULK_MEMORY, SL_BULK_LEN_MIN, SL_BULK_LEN_MAX);
    budget.bulk_kept = for_bulk / budget.bulk;
    budget.reread = SL_REREAD_LEN;
    budget.reread_kept = (for_reread - for_bulk) / budget.reread;
    budget.incoming = within(memory / 4, 1, SL_INCOMING_SIZE_MAX);
    return budget;
}
