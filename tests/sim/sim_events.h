/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The devices' event logs against the faults that they met. */

#ifndef SL_SIM_EVENTS_H
#define SL_SIM_EVENTS_H

#include "tests/sim/sim_workload.h"

/* No event without its fault, and what failed works again: invariant. Adds to the counts how often
 * each fault was told. The engines are open and at rest. */
void sl_sim_check_events(struct sl_sim_workload *work);

#endif
