/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What must hold once nothing moves any more. Each check notes its failures in the world. */

#ifndef SL_SIM_ORACLE_H
#define SL_SIM_ORACLE_H

#include "tests/sim/sim_workload.h"

/* What must hold at any time, faults or not: no device believes that another one has what that has
 * not, nor has pruned what another one does not hold or itself has not applied: invariant. */
void sl_sim_check_always(struct sl_sim_workload *work);
/* Every device's tables against what the ledger and the logs fold to (sim_fold.h): lost. */
void sl_sim_check_ledger(struct sl_sim_workload *work);
/* The engine's own digests against each other: diverged. */
void sl_sim_check_digest(struct sl_sim_world *world);
/* integrity_check of both files, foreign_key_check of the application's: invariant. */
void sl_sim_check_structure(struct sl_sim_world *world);
/* Nothing set aside, nothing in the outbox, nothing announced and not received, received and not
 * applied, or made and not acknowledged: stuck. Only looks when `quiet` is set, and then says no
 * without noting a failure. */
bool sl_sim_check_info(struct sl_sim_workload *work, bool quiet);
/* After a failure: what the applications and the logs say of the record that it is about. */
void sl_sim_tell_blamed(struct sl_sim_workload *work);
/* Rows of the log and segments sent, of all devices: what must not grow while nothing happens. */
uint64_t sl_sim_traffic(struct sl_sim_world *world);

#endif
