/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_coverage.h"

#include <inttypes.h>
#include <string.h>

static const char *const fault_names[] = {
#define X(name) #name,
    SL_SIM_FAULTS_MAP(X)
#undef X
};

static const char *const operation_names[] = {
#define X(name) #name,
    SL_SIM_OPERATIONS_MAP(X)
#undef X
};

void sl_sim_coverage_init(struct sl_sim_coverage *coverage, unsigned devices)
{
    memset(coverage, 0, sizeof(*coverage));
    coverage->devices = devices;
}

void sl_sim_coverage_operation(struct sl_sim_coverage *coverage, int device,
                               enum sl_sim_operation operation)
{
    coverage->last[device][operation] = coverage->step + 1;
    for (unsigned fault = 0; fault < SL_SIM_FAULTS_LEN; fault++) {
        coverage->pairs.met[operation][fault] += coverage->is_on[device][fault] ? 1 : 0;
    }
}

void sl_sim_coverage_strike(struct sl_sim_coverage *coverage, int device, enum sl_sim_fault fault)
{
    for (unsigned d = 0; d < coverage->devices; d++) {
        for (unsigned operation = 0; operation < SL_SIM_OPERATIONS_LEN; operation++) {
            uint64_t last = coverage->last[d][operation];
            bool is_recent = last > 0 && coverage->step + 1 - last <= SL_SIM_COVERAGE_STEPS;
            if ((device < 0 || device == (int)d) && is_recent) {
                coverage->pairs.met[operation][fault]++;
            }
        }
    }
}

void sl_sim_coverage_switch(struct sl_sim_coverage *coverage, int device, enum sl_sim_fault fault,
                            bool is_on)
{
    for (unsigned d = 0; d < coverage->devices; d++) {
        if (device < 0 || device == (int)d) {
            coverage->is_on[d][fault] = is_on;
        }
    }
}

const char *sl_sim_fault_name(enum sl_sim_fault fault)
{
    return fault_names[fault];
}

void sl_sim_pairs_add(struct sl_sim_pairs *sum, const struct sl_sim_pairs *more)
{
    for (unsigned operation = 0; operation < SL_SIM_OPERATIONS_LEN; operation++) {
        for (unsigned fault = 0; fault < SL_SIM_FAULTS_LEN; fault++) {
            sum->met[operation][fault] += more->met[operation][fault];
        }
    }
}

unsigned sl_sim_pairs_print(const struct sl_sim_pairs *pairs, unsigned wanted, uint64_t least,
                            FILE *out)
{
    unsigned rare = 0;
    fprintf(out, "%-15s", "met by");
    for (unsigned fault = 0; fault < SL_SIM_FAULTS_LEN; fault++) {
        fprintf(out, " %10s", fault_names[fault]);
    }
    fprintf(out, "\n");
    for (unsigned operation = 0; operation < SL_SIM_OPERATIONS_LEN; operation++) {
        fprintf(out, "%-15s", operation_names[operation]);
        for (unsigned fault = 0; fault < SL_SIM_FAULTS_LEN; fault++) {
            uint64_t met = pairs->met[operation][fault];
            rare += (wanted & (1u << fault)) != 0 && met < least ? 1 : 0;
            fprintf(out, " %10" PRIu64, met);
        }
        fprintf(out, "\n");
    }
    return rare;
}
