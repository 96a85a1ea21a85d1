/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What device-owned records of this device pointed at by its log, while that is applied again
 * (stages/doubt) - those records whose rows say something else: another process has captured an
 * update of them since.
 *
 * A delete of a tree names its root alone, and took along what pointed into the tree then. Of what
 * is here as it was then the rows tell. But a record that was moved out of the tree since - the
 * application saw the tree again, which its library.db had back - is dead for all others, and the
 * log alone knows why.
 *
 * Happy path: no such update is captured, and nothing is read. Else the log is read up to where the
 * tables are, and what is applied again is noted as it comes: so what is known is always as of
 * the change that is under way. The applier's, at open.
 *
 * Failure mode: what was pruned is not known. A record whose last change before the delete was
 * pruned and that was moved out of the tree since stays here, though it is dead for the others. */

#ifndef SL_LOGGED_PARENTS_H
#define SL_LOGGED_PARENTS_H

#include "base/arena.h"
#include "stages/fk_localize.h"
#include "stages/mentions.h"

/* A record, and what it pointed at last. */
struct sl_logged_record {
    const struct sl_model *model;
    struct syncline_uuid uuid;
    struct syncline_uuid *parents; /* by field, of those that are keys; in the arena */
    bool *points;                  /* by field */
};

struct sl_logged_parents {
    struct sl_core *core;
    struct sl_mentions changed;       /* records that the outbox has updates of */
    int64_t newest;                   /* the last row of those that the log was read for */
    struct sl_logged_record *records; /* ours; those of them that the log has */
    size_t len;
    size_t capacity;
    struct sl_promises places; /* of records */
    struct sl_arena arena;
};

void sl_logged_parents_init(struct sl_logged_parents *parents, struct sl_core *core);
void sl_logged_parents_fini(struct sl_logged_parents *parents);
/* Begins a slice of own changes that come after this seq: reads the outbox, and the own log up to
 * there if the outbox has more than before. Inside the slice's transaction. Errors: EDB, ENOMEM,
 * ... */
enum syncline_status sl_logged_parents_read(struct sl_logged_parents *parents, uint64_t seq,
                                            struct sl_error *err);
/* The next own change that is applied: an insert or update is noted. Errors: ENOMEM. */
enum syncline_status sl_logged_parents_note(struct sl_logged_parents *parents,
                                            const struct sl_localized *localized, uint32_t i,
                                            struct sl_error *err);
/* Did that record point at this one? */
bool sl_logged_parents_point(const struct sl_logged_record *record, const struct sl_model *model,
                             const struct syncline_uuid *uuid);

#endif
