/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Which records are deleted by a change that was captured later? Asked about a change that is on
 * its way into the log, or back from it: the same UUID, or the same id, may be another record by
 * the time it is looked at.
 *
 * Deletes in the outbox are read once, by fk_resolve when it meets a change that one of them
 * follows, or by settle; nobody else may ask, because what those two are done with is forgotten. An
 * application that settles inside its own transaction sees rows in it that may be rolled back;
 * those are forgotten when it is done. Deletes of changes that were read back from the log after a
 * restart have no outbox row any more, and are known by seq. */

#ifndef SL_DELETES_H
#define SL_DELETES_H

#include "stages/mentions.h"

struct sl_deletes {
    struct sl_mentions committed; /* by outbox row */
    struct sl_mentions seen;      /* those beyond that only the asking transaction is sure of */
    struct sl_mentions recovered; /* by seq, as if of an outbox row */
};

void sl_deletes_init(struct sl_deletes *deletes, const struct sl_allocator *alloc);
void sl_deletes_fini(struct sl_deletes *deletes);

/* Reads what was not read yet of the rows after `after`, before which nobody asks any more. `own`:
 * the transaction of ldb may have captured something itself. Errors: EDB, ENOMEM, ... */
enum syncline_status sl_deletes_read(struct sl_deletes *deletes, struct sl_library_db *ldb,
                                     int64_t after, bool own, struct sl_error *err);
/* Nobody asks any more about rows up to this one: gives memory back when no later one was read. */
void sl_deletes_forget(struct sl_deletes *deletes, int64_t after);
/* Of what was read: does a row after this one delete the record? */
bool sl_deletes_after(struct sl_deletes *deletes, int64_t model, const struct syncline_uuid *uuid,
                      int64_t outbox_id);
/* The transaction that asked ends. */
void sl_deletes_done(struct sl_deletes *deletes);

/* false: no memory. */
bool sl_deletes_add_recovered(struct sl_deletes *deletes, int64_t model,
                              const struct syncline_uuid *uuid, uint64_t seq);
bool sl_deletes_recovered_after(struct sl_deletes *deletes, int64_t model,
                                const struct syncline_uuid *uuid, uint64_t seq);
void sl_deletes_forget_recovered(struct sl_deletes *deletes);

#endif
