/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The faults of a run: which there are, how often, and what each has under way. One file for each
 * class; here is what they share.
 *
 * A class is off or on for a whole run; how strong it is is drawn when it is on. While the devices
 * work each class gets a tick for each step of the schedule. Then all of them stop: the network is
 * whole, disks and memory do what they should, clocks are right to within seconds. What was broken
 * by then stays broken, and has to be mended by the product. */

#ifndef SL_SIM_FAULT_H
#define SL_SIM_FAULT_H

#include "tests/sim/sim_coverage.h"

/* What may be drawn. */
struct sl_sim_fault_options {
    bool allowed[SL_SIM_FAULTS_LEN];
    bool is_swarm;   /* each of them is left out in one run of three */
    bool far_clocks; /* clocks may be ahead by more than the drift bound allows */
};

struct sl_sim_faults {
    struct sl_sim_world *world;
    struct sl_sim_coverage *coverage;
    bool is_on[SL_SIM_FAULTS_LEN];
    bool far_clocks;

    /* All rates are per 10,000 steps of the schedule. */
    uint32_t net_breaks;                           /* links that break */
    uint32_t net_slows;                            /* times at which the network becomes slow, */
    uint64_t net_slow_ns;                          /* by up to so much */
    bool net_is_slow;                              /* it is, now */
    uint32_t partition_begin;                      /* partitions */
    uint32_t partition_end;                        /* and their ends */
    bool partition_is_on;                          /* there is one */
    uint32_t kills;                                /* devices that are killed */
    uint32_t cuts;                                 /* power cuts */
    uint32_t crashes_left;                         /* of both; a run with too many gets nowhere */
    uint32_t disk_per_million[SL_SIM_DEVICES_MAX]; /* operations on it that fail, at bad times */
    uint32_t memory_per_million[SL_SIM_DEVICES_MAX];
    uint32_t bad_times;     /* that begin; a device's disk and memory fail only then */
    uint32_t bad_times_end; /* that end */
    uint32_t clock_steps;   /* clocks that step, freeze, or change their speed */
    uint32_t revocations;   /* devices that are revoked: until one is */
};

/* Draws what is on. Before the world is made: relay says which links there are. */
void sl_sim_faults_draw(struct sl_sim_faults *faults, uint64_t seed,
                        const struct sl_sim_fault_options *options);
/* Draws how strong each is. */
void sl_sim_faults_start(struct sl_sim_faults *faults, struct sl_sim_world *world,
                         struct sl_sim_coverage *coverage);
void sl_sim_faults_tick(struct sl_sim_faults *faults);
void sl_sim_faults_stop(struct sl_sim_faults *faults);

/* True `rate` times in 10,000 calls. */
bool sl_sim_faults_chance(struct sl_sim_faults *faults, uint32_t rate);
/* A device, drawn. */
struct sl_sim_device *sl_sim_faults_device(struct sl_sim_faults *faults);

/* Before an engine with a UUID map opens. No class: it belongs to every run that has maps. */
void sl_sim_fault_map_damage(const struct sl_sim_device *device);

/* The classes. */
void sl_sim_fault_net_start(struct sl_sim_faults *faults);
void sl_sim_fault_net_tick(struct sl_sim_faults *faults);
void sl_sim_fault_net_stop(struct sl_sim_faults *faults);
void sl_sim_fault_partition_start(struct sl_sim_faults *faults);
void sl_sim_fault_partition_tick(struct sl_sim_faults *faults);
void sl_sim_fault_partition_stop(struct sl_sim_faults *faults);
void sl_sim_fault_crash_start(struct sl_sim_faults *faults);
void sl_sim_fault_crash_tick(struct sl_sim_faults *faults);
void sl_sim_fault_crash_stop(struct sl_sim_faults *faults);
void sl_sim_fault_shortage_start(struct sl_sim_faults *faults);
void sl_sim_fault_shortage_tick(struct sl_sim_faults *faults);
void sl_sim_fault_shortage_stop(struct sl_sim_faults *faults);
void sl_sim_fault_clock_start(struct sl_sim_faults *faults);
void sl_sim_fault_clock_tick(struct sl_sim_faults *faults);
void sl_sim_fault_clock_stop(struct sl_sim_faults *faults);
void sl_sim_fault_revoke_start(struct sl_sim_faults *faults);
void sl_sim_fault_revoke_tick(struct sl_sim_faults *faults);

#endif
