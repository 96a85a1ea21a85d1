/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Power mode: two devices in this process, stepped one slice at a time on the simulated disk. A
 * scenario is a run of a bounded number of actions from one seed; run once without a cut, it says
 * how many syncs there are and how often each crash point is passed. Then it is run again for each
 * sync, several times, and for each point: there the power of that device goes, of what was not
 * synced some sectors are written, dropped, torn or garbage, the device is opened again, and the
 * scenario goes on to its end. */

#ifndef CRASH_POWER_H
#define CRASH_POWER_H

#include "tests/crash/crash_kill.h"

/* A state is one cut: `first` and `count` are of states. syncs: how many different syncs were cut
 * at. */
void crash_power(const struct crash_run *run, struct crash_result *result, uint64_t *syncs);

#endif
