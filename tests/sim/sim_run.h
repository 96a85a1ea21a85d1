/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One schedule: a world made from a seed, worked in, brought to rest and judged. */

#ifndef SL_SIM_RUN_H
#define SL_SIM_RUN_H

#include "tests/sim/sim_workload.h"

struct sl_sim_result {
    unsigned failures; /* bits of enum sl_sim_failure; 0: all is well */
    char text[600];    /* the first failure */
    struct sl_sim_trace_hash hash;
    uint64_t events;
    struct sl_sim_counts counts;
};

/* The same arguments give the same result, trace and all. */
void sl_sim_run(uint64_t seed, unsigned devices, const struct sl_sim_switches *allowed,
                FILE *trace_out, struct sl_sim_result *result);

#endif
