/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Histories of one record, and what must hold in each: after every step, a device with nothing
 * pending shows what the fold makes of the changes that it has; and in the end all devices have all
 * changes, and show the same. */

#ifndef SL_MERGE_HISTORY_H
#define SL_MERGE_HISTORY_H

#include "tests/merge/merge_device.h"

#define MERGE_FAILURES_MAX 50u /* after which a job has seen enough */

struct merge_options {
    bool trace;   /* print each step */
    bool product; /* all combinations of orders on the devices */
};

/* One random history; `number` of that seed. false: it diverged, and how was printed. */
bool merge_history_random(struct merge_world *world, const struct merge_options *options,
                          uint64_t seed, uint64_t number);
/* `records` random histories at once, of the numbers from `number` on. What happens to each record
 * is drawn for it: whether a device that writes makes a change of it, and which. What the devices
 * do besides is the same for all: a batch of that size and number is one thing, and can be had
 * again. */
bool merge_history_random_many(struct merge_world *world, const struct merge_options *options,
                               uint64_t seed, uint64_t number, uint32_t records);

/* All histories of exactly n changes, n <= 6, whose number (in a fixed order) is `job` modulo
 * `jobs`. A history is who makes which change, and what of the others' changes each author has at
 * that moment: histories that differ only in the order of steps which know nothing of each other
 * are one. Each is run with every order in which its changes can come to a device - to all devices
 * at once, the i-th order of each in the i-th run, or with `product` every combination of orders -,
 * with equal clocks and with clocks far apart, and with changes that reach the log at once and as
 * late as can be. Of changes that reach the log at once it is checked that the log is the same in
 * all orders: then what one device makes of an order cannot depend on the orders on the others, and
 * `product` has nothing to add. Counts runs and failures. */
void merge_history_all(struct merge_world *world, const struct merge_options *options, uint32_t n,
                       uint32_t job, uint32_t jobs, uint64_t *histories, uint64_t *diverged);

#endif
