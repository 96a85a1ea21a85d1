/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* All processes of a device are killed, or its power is cut: then what its disk had not synced is
 * written, lost, torn or garbage. Mostly it happens in the middle of a write to the disk, else
 * between two steps. */

#include "tests/sim/sim_fault.h"

#define CRASHES_MAX 8u

void sl_sim_fault_crash_start(struct sl_sim_faults *faults)
{
    struct sl_sim_random *random = &faults->world->faults;
    faults->kills =
        faults->is_on[SL_SIM_FAULT_kill] ? (uint32_t)sl_sim_random_scale(random, 20, 1200) : 0;
    faults->cuts =
        faults->is_on[SL_SIM_FAULT_power] ? (uint32_t)sl_sim_random_scale(random, 20, 1200) : 0;
    faults->crashes_left = (uint32_t)sl_sim_random_range(random, 1, CRASHES_MAX);
}

static void crash(struct sl_sim_faults *faults, enum sl_sim_fault fault)
{
    struct sl_sim_random *random = &faults->world->faults;
    struct sl_sim_device *device = sl_sim_faults_device(faults);
    if (faults->crashes_left == 0 || device->engine == NULL || device->has_died ||
        device->crash_after > 0) {
        return;
    }
    faults->crashes_left--;
    sl_sim_coverage_strike(faults->coverage, device->index, fault);
    bool is_power = fault == SL_SIM_FAULT_power;
    if (sl_sim_random_percent(random, 30)) {
        sl_sim_device_die(device, is_power);
        return;
    }
    device->crash_after = (uint32_t)sl_sim_random_scale(random, 1, 100);
    device->crash_is_power = is_power;
}

void sl_sim_fault_crash_tick(struct sl_sim_faults *faults)
{
    if (sl_sim_faults_chance(faults, faults->kills)) {
        crash(faults, SL_SIM_FAULT_kill);
    }
    if (sl_sim_faults_chance(faults, faults->cuts)) {
        crash(faults, SL_SIM_FAULT_power);
    }
}

void sl_sim_fault_crash_stop(struct sl_sim_faults *faults)
{
    for (unsigned i = 0; i < faults->world->devices_len; i++) {
        faults->world->devices[i].crash_after = 0;
    }
}
