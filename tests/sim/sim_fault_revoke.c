/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Once in a run one device revokes another, at any moment: while they are connected or not, while
 * others have more or less of it, with everybody's disks and networks failing. Who is revoked goes
 * on writing, and goes on sending until it or those whom it meets have learned of it. At the end
 * those that are left are equal, and it knows that it is out. What it had written in time is theirs
 * to say, so nothing is compared with what was committed. */

#include "tests/sim/sim_fault.h"

#include "pipeline/library_view.h"
#include "stages/members.h"

void sl_sim_fault_revoke_start(struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = faults->world;
    if (faults->is_on[SL_SIM_FAULT_revoke] && world->devices_len >= 3) {
        faults->revocations = (uint32_t)sl_sim_random_scale(&world->faults, 5, 200);
    }
}

/* Can those that are left still reach each other without the device? */
static bool can_go(const struct sl_sim_world *world, unsigned out)
{
    unsigned left = ((1u << world->devices_len) - 1) & ~(1u << out);
    unsigned reached = left & (0u - left); /* the first of them */
    for (unsigned round = 0; round < world->devices_len; round++) {
        for (unsigned d = 0; d < world->devices_len; d++) {
            if ((reached >> d & 1) != 0) {
                reached |= world->devices[d].linked_to & left;
            }
        }
    }
    return reached == left;
}

static void revoke(struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = faults->world;
    struct sl_sim_device *who = sl_sim_faults_device(faults);
    const struct sl_sim_device *whom = sl_sim_faults_device(faults);
    struct sl_error err = {0};
    if (who == whom || who->engine == NULL || who->has_died ||
        !can_go(world, (unsigned)whom->index)) {
        return;
    }
    /* No fault meets the call itself: one that fails has said nothing, so there is one in a run. */
    enum syncline_status status =
        sl_members_revoke(sl_library_core(who->engine), &whom->identity.device_id, &err);
    sl_sim_trace_event(&world->trace, world->now_ns, who->index, "revoke", (uint64_t)whom->index,
                       (uint64_t)status, NULL, 0);
    if (status == SYNCLINE_ENOTFOUND || (status != SYNCLINE_OK && who->hits > 0)) {
        return; /* they have not met yet, or its log is to be opened again first */
    }
    if (status != SYNCLINE_OK) {
        sl_sim_fail(world, SL_SIM_INVARIANT, "device %d cannot revoke device %d: %s", who->index,
                    whom->index, err.text);
    }
    faults->revocations = 0;
    world->out = 1u << whom->index;
    sl_sim_coverage_strike(faults->coverage, -1, SL_SIM_FAULT_revoke);
}

void sl_sim_fault_revoke_tick(struct sl_sim_faults *faults)
{
    if (sl_sim_faults_chance(faults, faults->revocations)) {
        revoke(faults);
    }
}
