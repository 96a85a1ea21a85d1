/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_fault.h"

#include <string.h>

#define STREAM_DRAW 100 /* a stream of the seed that nothing else has */

void sl_sim_faults_draw(struct sl_sim_faults *faults, uint64_t seed,
                        const struct sl_sim_fault_options *options)
{
    struct sl_sim_random random;
    memset(faults, 0, sizeof(*faults));
    sl_sim_random_init(&random, seed, STREAM_DRAW);
    faults->far_clocks = options->far_clocks;
    for (unsigned i = 0; i < SL_SIM_FAULTS_LEN; i++) {
        bool is_left_out = sl_sim_random_below(&random, 3) == 0;
        faults->is_on[i] = options->allowed[i] && !(options->is_swarm && is_left_out);
    }
}

void sl_sim_faults_start(struct sl_sim_faults *faults, struct sl_sim_world *world,
                         struct sl_sim_coverage *coverage)
{
    faults->world = world;
    faults->coverage = coverage;
    sl_sim_fault_net_start(faults);
    sl_sim_fault_partition_start(faults);
    sl_sim_fault_crash_start(faults);
    sl_sim_fault_shortage_start(faults);
    sl_sim_fault_clock_start(faults);
    sl_sim_fault_revoke_start(faults);
    if (faults->is_on[SL_SIM_FAULT_relay]) {
        sl_sim_coverage_switch(coverage, -1, SL_SIM_FAULT_relay, true);
    }
    if (faults->is_on[SL_SIM_FAULT_prune]) {
        sl_sim_coverage_switch(coverage, -1, SL_SIM_FAULT_prune, true);
    }
}

void sl_sim_faults_tick(struct sl_sim_faults *faults)
{
    sl_sim_fault_net_tick(faults);
    sl_sim_fault_partition_tick(faults);
    sl_sim_fault_crash_tick(faults);
    sl_sim_fault_shortage_tick(faults);
    sl_sim_fault_clock_tick(faults);
    sl_sim_fault_revoke_tick(faults);
}

void sl_sim_faults_stop(struct sl_sim_faults *faults)
{
    sl_sim_fault_net_stop(faults);
    sl_sim_fault_partition_stop(faults);
    sl_sim_fault_crash_stop(faults);
    sl_sim_fault_shortage_stop(faults);
    sl_sim_fault_clock_stop(faults);
}

bool sl_sim_faults_chance(struct sl_sim_faults *faults, uint32_t rate)
{
    return rate > 0 && sl_sim_random_below(&faults->world->faults, 10000) < rate;
}

struct sl_sim_device *sl_sim_faults_device(struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = faults->world;
    return &world->devices[sl_sim_random_below(&world->faults, world->devices_len)];
}
