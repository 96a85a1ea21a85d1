/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The devices fall into two parts; what one sends to the other waits, in both directions or, in
 * half of the partitions, in one. Nobody is told: a link is half open until the network gives it up
 * at one end. At the end what waited arrives, or the link breaks first. */

#include "tests/sim/sim_fault.h"

#define GIVE_UPS 20u /* links given up, per 10,000 steps of a partition */

void sl_sim_fault_partition_start(struct sl_sim_faults *faults)
{
    struct sl_sim_random *random = &faults->world->faults;
    if (!faults->is_on[SL_SIM_FAULT_partition]) {
        return;
    }
    faults->partition_begin = (uint32_t)sl_sim_random_scale(random, 1, 60);
    faults->partition_end = (uint32_t)sl_sim_random_scale(random, 4, 200);
}

static void begin(struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = faults->world;
    struct sl_sim_random *random = &world->faults;
    unsigned all = (1u << world->devices_len) - 1;
    unsigned part = (unsigned)sl_sim_random_range(random, 1, all - 1); /* some, and not all */
    bool is_asymmetric = sl_sim_random_percent(random, 50);
    for (unsigned a = 0; a < world->devices_len; a++) {
        for (unsigned b = 0; b < world->devices_len; b++) {
            bool leaves = (part >> a & 1) != 0 && (part >> b & 1) == 0;
            bool enters = (part >> a & 1) == 0 && (part >> b & 1) != 0;
            sl_sim_net_block(world->net, (int)a, (int)b, leaves || (enters && !is_asymmetric));
        }
    }
    sl_sim_trace_event(&world->trace, world->now_ns, -1, "partition", part, is_asymmetric, NULL, 0);
    sl_sim_coverage_strike(faults->coverage, -1, SL_SIM_FAULT_partition);
    sl_sim_coverage_switch(faults->coverage, -1, SL_SIM_FAULT_partition, true);
    faults->partition_is_on = true;
}

static void end(struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = faults->world;
    for (unsigned a = 0; a < world->devices_len; a++) {
        for (unsigned b = 0; b < world->devices_len; b++) {
            sl_sim_net_block(world->net, (int)a, (int)b, false);
        }
    }
    sl_sim_trace_event(&world->trace, world->now_ns, -1, "partition ends", 0, 0, NULL, 0);
    sl_sim_coverage_switch(faults->coverage, -1, SL_SIM_FAULT_partition, false);
    faults->partition_is_on = false;
}

void sl_sim_fault_partition_tick(struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = faults->world;
    if (!faults->partition_is_on) {
        if (sl_sim_faults_chance(faults, faults->partition_begin)) {
            begin(faults);
        }
        return;
    }
    if (sl_sim_faults_chance(faults, GIVE_UPS)) {
        (void)sl_sim_net_break(world->net, -1, -1);
    }
    if (sl_sim_faults_chance(faults, faults->partition_end)) {
        end(faults);
    }
}

void sl_sim_fault_partition_stop(struct sl_sim_faults *faults)
{
    if (faults->partition_is_on) {
        end(faults);
    }
}
