/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One schedule: a world made from a seed, worked in, brought to rest and judged. */

#ifndef SL_SIM_RUN_H
#define SL_SIM_RUN_H

#include "tests/sim/sim_fault.h"
#include "tests/sim/sim_workload.h"

struct sl_sim_result {
    unsigned failures; /* bits of enum sl_sim_failure; 0: all is well */
    char text[600];    /* the first failure */
    struct sl_sim_trace_hash hash;
    uint64_t events;
    struct sl_sim_counts counts;
    struct sl_sim_pairs pairs;
    unsigned devices;
    uint32_t blamed; /* number + 1 of the record that the failure is about; 0: no certain one */
    char
        about[2000]; /* what happened to the record in question, a line each; "" if there is none */
};

struct sl_sim_options {
    unsigned devices_min; /* drawn per seed */
    unsigned devices_max;
    uint32_t actions_max;           /* of each device's applications; 0: as drawn */
    struct sl_sim_switches allowed; /* cases that may occur */
    struct sl_sim_fault_options faults;
    FILE *trace_out;       /* a line for each event; NULL: none */
    const char *uuid_maps; /* directory for the engines' UUID maps, which are real; NULL: none */
    const char *keep;      /* directory that gets the devices' files at the end; NULL: none */
};

/* The same arguments give the same result, trace and all. */
void sl_sim_run(uint64_t seed, const struct sl_sim_options *options, struct sl_sim_result *result);

#endif
