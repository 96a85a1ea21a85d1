/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A schedule that fails, made smaller: what it does not need to fail is left out, one thing after
 * the other - faults, cases, devices, actions -, each time by running it again. What is left is a
 * schedule of its own, which a line replays. */

#ifndef SL_SIM_SHORTEN_H
#define SL_SIM_SHORTEN_H

#include "tests/sim/sim_run.h"

/* Writes that line to `out`, what fails then, and the end of its trace: what is about the record in
 * question, if there is one. `result` is that of the schedule as it was. */
void sl_sim_shorten(uint64_t seed, const struct sl_sim_options *options,
                    const struct sl_sim_result *result, FILE *out);

#endif
