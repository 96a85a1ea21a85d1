/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Everything that waits on this device, and why: the answer to `syncline stuck`.
 *
 *     CAPTURED    rows of the outbox that no drained mark covers
 *     RECEIVED    origins with changes in the log, while nobody applies
 *     HELD        origins whose next change cannot be applied, or whose log has split: stages/hold
 *     WAITING     the waiting room
 *     SET_ASIDE   the list of records set aside
 *
 * Happy path: in one read transaction of library.db the four lists are read at once, each from its
 * oldest on, and the oldest of the four heads is told. Only origins are held in memory.
 *
 * Failure modes: what comes into the log or the list meanwhile may be told or not. Nothing is
 * written. Works over connections of its own; the caller's thread, and it blocks while it reads. */

#ifndef SL_STUCK_H
#define SL_STUCK_H

#include "stages/shared.h"

/* What the process that runs the engine says. */
struct sl_stuck_engine {
    bool runs;
    bool paused;
    const char *notice; /* "": none */
};

/* Tells all, oldest first, until fn returns false; model NULL: of all models. Errors: ECORRUPT,
 * ENOMEM, EDB, EBUSY, EIO. */
enum syncline_status sl_stuck_read(struct sl_core *core, const char *sync_db,
                                   const char *library_db, const struct sl_model *model,
                                   const struct sl_stuck_engine *engine, syncline_stuck_fn fn,
                                   void *ctx, struct sl_error *err);

#endif
