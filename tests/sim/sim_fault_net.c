/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The network breaks links in the middle of frames and is slow at times. What comes of it: what was
 * sent arrives in part; a new link is there while the old one's last bytes are still under way, so
 * segments overtake each other; and what arrived without its acknowledgement is sent again. */

#include "tests/sim/sim_fault.h"

void sl_sim_fault_net_start(struct sl_sim_faults *faults)
{
    struct sl_sim_random *random = &faults->world->faults;
    if (!faults->is_on[SL_SIM_FAULT_net]) {
        return;
    }
    faults->net_breaks = (uint32_t)sl_sim_random_scale(random, 1, 300);
    faults->net_slows = (uint32_t)sl_sim_random_below(random, 30);
    faults->net_slow_ns = sl_sim_random_scale(random, 1000000, (uint64_t)5000 * 1000000);
}

void sl_sim_fault_net_tick(struct sl_sim_faults *faults)
{
    if (sl_sim_faults_chance(faults, faults->net_breaks) &&
        sl_sim_net_break(faults->world->net, -1, -1)) {
        sl_sim_coverage_strike(faults->coverage, -1, SL_SIM_FAULT_net);
    }
    if (sl_sim_faults_chance(faults, faults->net_slows)) {
        faults->net_is_slow = !faults->net_is_slow;
        sl_sim_net_slow(faults->world->net, faults->net_is_slow ? faults->net_slow_ns : 0);
    }
}

void sl_sim_fault_net_stop(struct sl_sim_faults *faults)
{
    sl_sim_net_slow(faults->world->net, 0);
}
