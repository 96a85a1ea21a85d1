/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Wall clocks that step by 1 ms to 10 years, stand still, or go at another speed. Monotonic clocks
 * do what they should. */

#include "tests/sim/sim_fault.h"

#include "base/limits.h"

#define YEAR_MS ((int64_t)365 * 24 * 3600 * 1000)
#define AHEAD_MS_MAX ((int64_t)SL_MAX_DRIFT_MS / 2) /* that others still believe */

void sl_sim_fault_clock_start(struct sl_sim_faults *faults)
{
    struct sl_sim_random *random = &faults->world->faults;
    faults->clock_steps =
        faults->is_on[SL_SIM_FAULT_clock] ? (uint32_t)sl_sim_random_scale(random, 4, 200) : 0;
}

static void step(struct sl_sim_faults *faults, struct sl_sim_device *device)
{
    struct sl_sim_random *random = &faults->world->faults;
    int64_t by_ms = (int64_t)sl_sim_random_scale(random, 1, (uint64_t)(10 * YEAR_MS));
    bool is_back = sl_sim_random_percent(random, 50);
    if (!is_back && !faults->far_clocks && device->wall_offset_ms + by_ms > AHEAD_MS_MAX) {
        by_ms = AHEAD_MS_MAX - device->wall_offset_ms; /* from however far back */
    }
    device->wall_offset_ms += is_back ? -by_ms : by_ms;
    if (device->wall_offset_ms < -10 * YEAR_MS) {
        device->wall_offset_ms = -10 * YEAR_MS;
    }
    if (device->wall_offset_ms > 10 * YEAR_MS) {
        device->wall_offset_ms = 10 * YEAR_MS;
    }
}

void sl_sim_fault_clock_tick(struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = faults->world;
    if (!sl_sim_faults_chance(faults, faults->clock_steps)) {
        return;
    }
    struct sl_sim_device *device = sl_sim_faults_device(faults);
    uint64_t what = sl_sim_random_below(&world->faults, 10);
    if (what < 6) {
        step(faults, device);
    } else if (what < 8) {
        uint64_t wall_ms = device->env.wall_ms(device->env.ctx);
        device->wall_frozen_ms = device->wall_frozen_ms > 0 ? 0 : wall_ms;
    } else {
        device->wall_drift_ppm = (int64_t)sl_sim_random_below(&world->faults, 20001) - 10000;
        device->wall_drift_from_ns = world->now_ns;
    }
    sl_sim_trace_event(&world->trace, world->now_ns, device->index, "clock", what,
                       (uint64_t)device->wall_offset_ms, NULL, 0);
    sl_sim_coverage_strike(faults->coverage, device->index, SL_SIM_FAULT_clock);
}

void sl_sim_fault_clock_stop(struct sl_sim_faults *faults)
{
    if (!faults->is_on[SL_SIM_FAULT_clock]) {
        return;
    }
    for (unsigned i = 0; i < faults->world->devices_len; i++) {
        struct sl_sim_device *device = &faults->world->devices[i];
        device->wall_frozen_ms = 0;
        device->wall_drift_ppm = 0;
        device->wall_offset_ms = (int64_t)sl_sim_random_below(&faults->world->faults, 10001) - 5000;
    }
}
