/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Disks that are full or fail, and memory that is not to be had: at bad times, which come and go
 * for each device by itself, operations fail in series. What fails is drawn where it fails
 * (sim_world.c). */

#include "tests/sim/sim_fault.h"

void sl_sim_fault_shortage_start(struct sl_sim_faults *faults)
{
    struct sl_sim_random *random = &faults->world->faults;
    bool has_disk = faults->is_on[SL_SIM_FAULT_disk];
    bool has_memory = faults->is_on[SL_SIM_FAULT_memory];
    if (!has_disk && !has_memory) {
        return;
    }
    for (unsigned i = 0; i < faults->world->devices_len; i++) {
        faults->disk_per_million[i] =
            has_disk ? (uint32_t)sl_sim_random_scale(random, 100, 20000) : 0;
        faults->memory_per_million[i] =
            has_memory ? (uint32_t)sl_sim_random_scale(random, 100, 10000) : 0;
    }
    faults->bad_times = (uint32_t)sl_sim_random_scale(random, 16, 400);
    faults->bad_times_end = (uint32_t)sl_sim_random_scale(random, 64, 800);
}

static void set(struct sl_sim_faults *faults, struct sl_sim_device *device, bool is_bad)
{
    int i = device->index;
    device->disk_per_million = is_bad ? faults->disk_per_million[i] : 0;
    device->memory_per_million = is_bad ? faults->memory_per_million[i] : 0;
    device->disk_left = 0;
    device->memory_left = 0;
    if (faults->is_on[SL_SIM_FAULT_disk]) {
        sl_sim_coverage_switch(faults->coverage, i, SL_SIM_FAULT_disk, is_bad);
    }
    if (faults->is_on[SL_SIM_FAULT_memory]) {
        sl_sim_coverage_switch(faults->coverage, i, SL_SIM_FAULT_memory, is_bad);
    }
}

void sl_sim_fault_shortage_tick(struct sl_sim_faults *faults)
{
    if (faults->bad_times == 0) {
        return;
    }
    struct sl_sim_device *device = sl_sim_faults_device(faults);
    bool is_bad = device->disk_per_million + device->memory_per_million > 0;
    if (sl_sim_faults_chance(faults, is_bad ? faults->bad_times_end : faults->bad_times)) {
        set(faults, device, !is_bad);
    }
}

void sl_sim_fault_shortage_stop(struct sl_sim_faults *faults)
{
    for (unsigned i = 0; i < faults->world->devices_len; i++) {
        set(faults, &faults->world->devices[i], false);
    }
}
