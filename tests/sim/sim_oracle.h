/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What must hold once nothing moves any more. Each check notes its failures in the world. */

#ifndef SL_SIM_ORACLE_H
#define SL_SIM_ORACLE_H

#include "tests/sim/sim_workload.h"

/* Every device's tables against the first device's, in SQL, joined over UUIDs: diverged. */
void sl_sim_check_equal(struct sl_sim_world *world);
/* Every device's tables against the ledger: lost. */
void sl_sim_check_ledger(struct sl_sim_workload *work);
/* The engine's own digests against each other: diverged. */
void sl_sim_check_digest(struct sl_sim_world *world);
/* integrity_check of both files, foreign_key_check of the application's: invariant. */
void sl_sim_check_structure(struct sl_sim_world *world);
/* Nothing set aside, nothing in the outbox, nothing announced and not received, received and not
 * applied, or made and not acknowledged: stuck. Only looks when `quiet` is set, and then says no
 * without noting a failure. */
bool sl_sim_check_info(struct sl_sim_world *world, bool quiet);
/* No device made more changes than its applications: nothing is sent twice, and nothing that was
 * received as if it were its own: invariant. */
void sl_sim_check_changes(struct sl_sim_workload *work);
/* Rows of the log and segments sent, of all devices: what must not grow while nothing happens. */
uint64_t sl_sim_traffic(struct sl_sim_world *world);

#endif
