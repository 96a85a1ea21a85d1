/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/merge/merge_fold.h"

static bool is_in(const struct merge_change *change, const uint32_t vector[MERGE_DEVICES])
{
    return change->seq <= vector[change->origin];
}

static bool is_later(const struct merge_change *a, const struct merge_change *b)
{
    return a->hlc != b->hlc ? a->hlc > b->hlc : a->origin > b->origin;
}

uint32_t merge_living(const struct merge_change *changes, size_t n,
                      const uint32_t vector[MERGE_DEVICES])
{
    uint32_t born = 0;
    uint32_t dead = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_in(&changes[i], vector)) {
            born |= changes[i].kind == MERGE_INSERT ? 1u << i : 0;
            dead |= changes[i].kind == MERGE_DELETE ? changes[i].births : 0;
        }
    }
    return born & ~dead;
}

/* The last change of one birth: its insert, or an update that names it. */
static const struct merge_change *last_of(const struct merge_change *changes, size_t n,
                                          const uint32_t vector[MERGE_DEVICES], size_t birth)
{
    const struct merge_change *last = &changes[birth];
    for (size_t i = 0; i < n; i++) {
        if (is_in(&changes[i], vector) && changes[i].kind == MERGE_UPDATE &&
            (changes[i].births >> birth & 1) != 0 && is_later(&changes[i], last)) {
            last = &changes[i];
        }
    }
    return last;
}

bool merge_fold(const struct merge_change *changes, size_t n, const uint32_t vector[MERGE_DEVICES],
                int64_t *value)
{
    uint32_t living = merge_living(changes, n, vector);
    const struct merge_change *rank = NULL; /* what the birth shown is ranked by */
    for (size_t b = 0; b < n; b++) {
        if ((living >> b & 1) == 0) {
            continue;
        }
        const struct merge_change *last = last_of(changes, n, vector, b);
        const struct merge_change *by = changes[b].owned ? &changes[b] : last;
        if (rank == NULL || is_later(by, rank)) {
            rank = by;
            *value = last->value;
        }
    }
    return rank != NULL;
}
