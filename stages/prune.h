/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* prune: what every member holds leaves the log here.
 *
 * Happy path: for each origin the least of what the members hold by their own word
 * (stages/holders.h), and of what these tables have applied - or, of this device's own changes,
 * settled
 * - and a power cut cannot undo. The oldest segments up to there go, a few at a time, and the floor
 * of the log rises in the same transaction (storage/log_floor.h). When no more can go, and nothing
 * was appended for a while, sync.db gives back pages that nothing stands in.
 *
 *     nobody else is a member     nothing goes: the first one to come gets the log. But see the
 * limit a member has said nothing   holds nothing: nothing goes a member is away too long   it is
 * marked, durably, before anything goes that it lacks: see stages/absence.h a subscriber is behind
 * nothing goes that it was not told (stages/follow.h). But see below the log has split nothing of
 * it goes: it is the evidence sync.db passes its limit    (log_size_limit) the member that lacks
 * most is marked, subscribers are not waited for, and a library without other members prunes what
 *                                 it has applied, until sync.db is below it again
 *
 * No append waits long: a slice is at most SL_PRUNE_LEN segments or SL_PRUNE_SIZE bytes, and while
 * the log is in use there is a pause of SL_PRUNE_PAUSE_MS after each, a longer one before a slice
 * that is not full.
 *
 * A crash at any moment leaves a floor and the segments after it. The setting log_prune switches
 * it. The network's thread. */

#ifndef SL_PRUNE_H
#define SL_PRUNE_H

#include "stages/holders.h"
#include "stages/shared.h"
#include "storage/log_floor.h"

struct sl_prune {
    struct sl_core *core;
    bool is_on;
    size_t next;            /* origin to look at first */
    uint64_t seen;          /* what had moved when nothing was left to do */
    bool seen_all;          /* `seen` is set */
    bool own_waits;         /* own changes could go, but that they are not synced here */
    bool told_limit;        /* that the limit was passed, and nothing can be done */
    bool shrinks;           /* segments went: there may be pages to give back */
    uint64_t moves;         /* log_moves when it was last looked at */
    uint64_t moved_ns;      /* when they moved: the log is in use */
    uint64_t not_before_ns; /* a pause, or a failure */
    uint64_t part_ns;       /* a slice that is not full: not before, while the log is in use */
    uint64_t sync_asked_ns; /* when the applier was last asked to sync what is settled */
    uint64_t size_limit;    /* bytes of sync.db */
};

void sl_prune_init(struct sl_prune *prune, struct sl_core *core);
bool sl_prune_run(void *stage);

#endif
