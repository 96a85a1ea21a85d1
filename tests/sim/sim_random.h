/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Seeded randomness of the simulator: xoshiro256**, filled by splitmix64. One stream per concern
 * (schedule, network, workload, each device), so that drawing more in one leaves the others as they
 * were. */

#ifndef SL_SIM_RANDOM_H
#define SL_SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sl_sim_random {
    uint64_t state[4]; /* never all zero */
};

/* The stream `stream` of `seed`. */
void sl_sim_random_init(struct sl_sim_random *random, uint64_t seed, uint64_t stream);
uint64_t sl_sim_random_next(struct sl_sim_random *random);
/* 0 .. limit - 1; limit > 0. */
uint64_t sl_sim_random_below(struct sl_sim_random *random, uint64_t limit);
/* low .. high, both included; low <= high. */
uint64_t sl_sim_random_range(struct sl_sim_random *random, uint64_t low, uint64_t high);
/* low .. high with every order of magnitude as likely as the others; 0 < low <= high. */
uint64_t sl_sim_random_scale(struct sl_sim_random *random, uint64_t low, uint64_t high);
/* True `percent` times out of 100. */
bool sl_sim_random_percent(struct sl_sim_random *random, unsigned percent);
void sl_sim_random_fill(struct sl_sim_random *random, void *out, size_t size);

#endif
