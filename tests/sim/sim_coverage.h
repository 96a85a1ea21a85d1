/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Which kinds of operation met which faults: a simulator that no longer brings two of them together
 * tests nothing of that, and says so.
 *
 * An operation meets a fault that is on while it is done, and one that strikes its device within
 * the next SL_SIM_COVERAGE_STEPS steps of the schedule. */

#ifndef SL_SIM_COVERAGE_H
#define SL_SIM_COVERAGE_H

#include <stdio.h>

#include "tests/sim/sim_world.h"

#define SL_SIM_COVERAGE_STEPS 1000u

#define SL_SIM_FAULTS_MAP(X)                                                                       \
    X(net)                                                                                         \
    X(partition)                                                                                   \
    X(relay)                                                                                       \
    X(kill)                                                                                        \
    X(power)                                                                                       \
    X(disk)                                                                                        \
    X(memory)                                                                                      \
    X(clock)                                                                                       \
    X(prune)                                                                                       \
    X(revoke)

enum sl_sim_fault {
#define X(name) SL_SIM_FAULT_##name,
    SL_SIM_FAULTS_MAP(X)
#undef X
        SL_SIM_FAULTS_LEN
};

#define SL_SIM_OPERATIONS_MAP(X)                                                                   \
    X(insert)                                                                                      \
    X(reinsert)                                                                                    \
    X(update)                                                                                      \
    X(delete)                                                                                      \
    X(commit)                                                                                      \
    X(rollback)                                                                                    \
    X(rollback_to)                                                                                 \
    X(second_process)                                                                              \
    X(attached)                                                                                    \
    X(reopen)

enum sl_sim_operation {
#define X(name) SL_SIM_OPERATION_##name,
    SL_SIM_OPERATIONS_MAP(X)
#undef X
        SL_SIM_OPERATIONS_LEN
};

/* Pairs, and each operation by itself; plain numbers, to be added up. */
struct sl_sim_pairs {
    uint64_t met[SL_SIM_OPERATIONS_LEN][SL_SIM_FAULTS_LEN];
};

struct sl_sim_coverage {
    uint64_t step; /* of the schedule */
    unsigned devices;
    uint64_t last[SL_SIM_DEVICES_MAX][SL_SIM_OPERATIONS_LEN]; /* 1 + step of the last; 0: none */
    bool is_on[SL_SIM_DEVICES_MAX][SL_SIM_FAULTS_LEN];
    struct sl_sim_pairs pairs;
};

void sl_sim_coverage_init(struct sl_sim_coverage *coverage, unsigned devices);
void sl_sim_coverage_operation(struct sl_sim_coverage *coverage, int device,
                               enum sl_sim_operation operation);
/* A fault strikes a device once, or goes on and off at it. Device -1: all of them. */
void sl_sim_coverage_strike(struct sl_sim_coverage *coverage, int device, enum sl_sim_fault fault);
void sl_sim_coverage_switch(struct sl_sim_coverage *coverage, int device, enum sl_sim_fault fault,
                            bool is_on);

const char *sl_sim_fault_name(enum sl_sim_fault fault);
void sl_sim_pairs_add(struct sl_sim_pairs *sum, const struct sl_sim_pairs *more);
/* Prints the table. Returns how many pairs with a fault of `wanted` (one bit each) were met less
 * than `least` times. */
unsigned sl_sim_pairs_print(const struct sl_sim_pairs *pairs, unsigned wanted, uint64_t least,
                            FILE *out);

#endif
