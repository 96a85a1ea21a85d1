/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* unsent: records of this device that were set aside because they could not be sent - a parent was
 * not there, a value did not fit - are looked at again, whenever something was settled or committed
 * since. One that can be sent now goes into the outbox, as its insert or, if it was born, its
 * update: the same way as a capture. One whose row is gone is forgotten. What still cannot be sent
 * stays as it is, and nothing is written or said.
 *
 * The sweep says when, while nobody writes; the records stand in sync.db, their rows in library.db.
 *
 * Failure modes: a look that fails begins anew. All of it is the applier's. */

#ifndef SL_UNSENT_H
#define SL_UNSENT_H

#include "base/arena.h"
#include "stages/shared.h"

struct sl_unsent {
    struct sl_core *core;
    uint64_t seen;         /* sum of what had moved when the last look began */
    int64_t at;            /* the last that was looked at, of a look under way; 0: none is */
    bool some;             /* this slice has written something */
    struct sl_arena arena; /* of one slice */
};

/* Errors: of sync.db. `unsent` is to be given to fini in any case. */
enum syncline_status sl_unsent_init(struct sl_unsent *unsent, struct sl_core *core,
                                    struct sl_error *err);
void sl_unsent_fini(struct sl_unsent *unsent);

/* Could there be any? Costs nothing. */
bool sl_unsent_some(const struct sl_unsent *unsent);
/* Is a look under way, or has anything moved since the last one? Then it counts as begun.
 * `version`: data_version of library.db. */
bool sl_unsent_is_due(struct sl_unsent *unsent, int64_t version);
/* The next slice, inside a transaction on core->writer in which nothing is pending, and which ends
 * with it. Errors: of the databases, ENOMEM. */
enum syncline_status sl_unsent_look(struct sl_unsent *unsent, struct sl_error *err);
/* What was due could not be done now. */
void sl_unsent_put_off(struct sl_unsent *unsent);
/* A look under way is given up: the next one begins with the first record. */
void sl_unsent_begin_anew(struct sl_unsent *unsent);

#endif
