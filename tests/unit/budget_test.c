/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/budget.h"

#include "base/limits.h"

#include <criterion/criterion.h>

/* Whatever the budget: the shares fit into it, nothing is empty, and a batch that is as large as it
 * may be keeps its memory. */
Test(budget, shares)
{
    for (size_t memory = SL_MEMORY_BUDGET_MIN; memory < ((size_t)1 << 40); memory += memory / 3) {
        struct sl_budget budget = sl_budget_share(memory);
        cr_expect(budget.staged >= 1 && budget.staged <= SL_STAGED_LEN_MAX && budget.reread >= 1);
        cr_expect(budget.bulk >= SL_BULK_LEN_MIN && budget.bulk <= SL_BULK_LEN_MAX);
        cr_expect_leq(budget.staged * budget.staged_kept + budget.reread * budget.reread_kept +
                          budget.bulk * budget.bulk_kept + budget.large,
                      memory / 2);
        cr_expect(budget.staged_piece > 0 && 3 * budget.staged_piece <= budget.staged_kept);
        cr_expect(budget.reread_kept > 0 && budget.bulk_kept > budget.reread_kept);
        cr_expect(budget.incoming > 0 && budget.incoming <= memory / 4);
    }
}

/* The default gives each batch room for a thousand entries. */
Test(budget, default_is_enough)
{
    struct sl_budget budget = sl_budget_share(SL_MEMORY_BUDGET_DEFAULT);
    cr_expect_geq(budget.staged, 20);
    cr_expect_geq(budget.staged_kept, (size_t)500 * 1024);
    cr_expect_geq(budget.reread_kept, (size_t)6 * 1024);
    cr_expect_geq(budget.bulk_kept, (size_t)SL_BULK_MEMORY);
}
