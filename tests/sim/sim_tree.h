/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A record deleted with all that points at it, from child to child, in one transaction. The rows
 * that are the device's own go without a capture: the delete of the root says it. Shared ones are
 * captured each. */

#ifndef SL_SIM_TREE_H
#define SL_SIM_TREE_H

#include "tests/sim/sim_batch.h"

#define SL_SIM_TREE_MAX 64u /* records */

struct sl_sim_tree {
    struct sl_sim_batch batches[SL_SIM_MODELS_MAX + 1]; /* to be captured, in order; root last */
    size_t batches_len;
    struct sl_sim_op silent[SL_SIM_TREE_MAX]; /* deleted and not captured */
    size_t silent_len;
};

/* Inside the open transaction. False: nothing was deleted, as something in the tree is another
 * device's, there is too much of it, or no order in which it can go. Else fini the tree. */
bool sl_sim_tree_delete(struct sl_sim_tree *tree, struct sl_sim_workload *work,
                        struct sl_sim_session *session, const struct sl_sim_model *model,
                        const struct sl_sim_found *root);
void sl_sim_tree_fini(struct sl_sim_tree *tree);

#endif
