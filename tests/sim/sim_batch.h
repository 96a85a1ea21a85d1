/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The rows of one operation: written to a table by SQL on a session's connection, with row structs
 * that say the same, and one op for the ledger each. */

#ifndef SL_SIM_BATCH_H
#define SL_SIM_BATCH_H

#include "tests/sim/sim_workload.h"

/* A row of a table as one of the operations finds it. */
struct sl_sim_found {
    int64_t id;
    uint32_t record;
    uint32_t rev;
};

/* Growing side by side. */
struct sl_sim_batch {
    const struct sl_sim_model *model;
    uint8_t *rows; /* row structs */
    struct sl_sim_op *ops;
    size_t len;
    size_t capacity;
};

void sl_sim_batch_init(struct sl_sim_batch *batch, const struct sl_sim_model *model,
                       uint32_t capacity);
void sl_sim_batch_fini(struct sl_sim_batch *batch);
uint8_t *sl_sim_batch_row(const struct sl_sim_batch *batch, size_t index);

/* Up to `max` rows, by id, from a place drawn at random. A row the ledger does not know is a
 * failure, and is left out. */
uint32_t sl_sim_batch_find(struct sl_sim_workload *work, struct sl_sim_session *session,
                           const struct sl_sim_model *model, struct sl_sim_found *out,
                           uint32_t max);

/* Each writes what it can into the open transaction, or in autocommit. False: a failure was noted.
 */
bool sl_sim_batch_insert(struct sl_sim_workload *work, struct sl_sim_session *session,
                         struct sl_sim_batch *batch);
bool sl_sim_batch_update(struct sl_sim_workload *work, struct sl_sim_session *session,
                         struct sl_sim_batch *batch, const struct sl_sim_found *rows, uint32_t len);
bool sl_sim_batch_delete(struct sl_sim_workload *work, struct sl_sim_session *session,
                         struct sl_sim_batch *batch, const struct sl_sim_found *rows, uint32_t len);

#endif
