/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The reference: what a record is, given a set of changes, whatever the order in which they came.
 * It is written from the rule alone (stages/reconcile.h) and uses nothing of the product's. */

#ifndef SL_MERGE_FOLD_H
#define SL_MERGE_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERGE_DEVICES 3u
#define MERGE_CHANGES_MAX 24u

enum merge_kind { MERGE_INSERT = 1, MERGE_UPDATE, MERGE_DELETE };

/* One change of the record, as it stands in the log of its origin. */
struct merge_change {
    uint32_t origin; /* device, which is its rank among equal clock values, too */
    uint32_t seq;    /* in that origin, from 1 */
    enum merge_kind kind;
    bool owned; /* an insert: by the device that made it */
    uint64_t hlc;
    int64_t value;   /* what the record holds after an insert or update */
    uint32_t births; /* bits: the inserts it names, by their places in the list */
};

/* The births alive in the changes that the vector covers: bits, by the places of their inserts. */
uint32_t merge_living(const struct merge_change *changes, size_t n,
                      const uint32_t vector[MERGE_DEVICES]);
/* The record that these changes make. false: there is none. */
bool merge_fold(const struct merge_change *changes, size_t n, const uint32_t vector[MERGE_DEVICES],
                int64_t *value);

#endif
