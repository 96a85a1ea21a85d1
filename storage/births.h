/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Births and stamps, in library.db.
 *
 * A birth is the change that inserted a record: its identity on all devices. One row of
 * _syncline_birth is a run: n records with local ids id, id + 1, ... born at seq, seq + 1, ... of
 * one origin, with clock values hlc, hlc + 1, ... Runs never overlap; putting one over others cuts
 * them, and one that continues its neighbour is joined to it. The invariant that everything rests
 * on: a birth in here belongs to the record that has this id now, because whoever deletes the
 * record drops its birth in the same transaction.
 *
 * A shared record that was changed after its birth has a stamp of its own; until then its birth's
 * clock value is its stamp. All calls work inside the caller's transaction. */

#ifndef SL_BIRTHS_H
#define SL_BIRTHS_H

#include "storage/library_db.h"

struct sl_birth_run {
    int64_t id;     /* local id of the first record */
    uint32_t n;     /* records */
    int64_t origin; /* its number in _syncline_origin */
    uint64_t seq;   /* of the first */
    uint64_t hlc;   /* of the first */
    enum syncline_ownership class;
};

/* A handle keeps its own statements over the connection of a library_db. */
struct sl_births {
    struct sl_library_db *ldb; /* borrowed */
    struct sl_statements statements;
    int64_t cached_model;       /* of `cached`; 0: none */
    struct sl_birth_run cached; /* the run found last; dropped by every write and by forget */
};

void sl_births_init(struct sl_births *births, struct sl_library_db *ldb);
void sl_births_fini(struct sl_births *births);
/* Call at the start of every transaction: what was read before may be gone. */
void sl_births_forget(struct sl_births *births);

/* The birth of one record, as a run of one. *found = false: it has none. */
enum syncline_status sl_birth_get(struct sl_births *births, int64_t model, int64_t id, bool *found,
                                  struct sl_birth_run *run, struct sl_error *err);
/* The first birth at an id above `after`, as the rest of its run. *found = false: there is none. */
enum syncline_status sl_birth_next(struct sl_births *births, int64_t model, int64_t after,
                                   bool *found, struct sl_birth_run *run, struct sl_error *err);
/* May any device change the record? The class that its birth states decides, not what the model
 * says today; a record without a birth is shared. */
enum syncline_status sl_birth_is_shared(struct sl_births *births, int64_t model, int64_t id,
                                        bool *is_shared, struct sl_error *err);
/* The highest local id with a birth; INT64_MIN: there is none. */
enum syncline_status sl_birth_highest(struct sl_births *births, int64_t model, int64_t *id,
                                      struct sl_error *err);
/* Does a birth stand at one of n ids from this one on? */
enum syncline_status sl_birth_any(struct sl_births *births, int64_t model, int64_t id, uint32_t n,
                                  bool *any, struct sl_error *err);
enum syncline_status sl_birth_put(struct sl_births *births, int64_t model,
                                  const struct sl_birth_run *run, struct sl_error *err);
/* Births of records whose rows are gone, and whose delete nobody has captured, or which went with
 * another one: they are put at ids far below all, where no rows are, and found there by whoever
 * looks for such births. run->id counts for nothing. */
enum syncline_status sl_birth_park(struct sl_births *births, int64_t model,
                                   const struct sl_birth_run *run, struct sl_error *err);
/* As sl_birth_put, for records inserted now: births that stand at their ids are parked. */
enum syncline_status sl_birth_put_new(struct sl_births *births, int64_t model,
                                      const struct sl_birth_run *run, struct sl_error *err);
/* Forgets birth and stamp of a record that was deleted. */
enum syncline_status sl_birth_drop(struct sl_births *births, int64_t model, int64_t id,
                                   struct sl_error *err);

/* Births of this device that came back from the log while the outbox row `until` held a delete of
 * the model: it may have been captured before its record's birth was known. The last birth of a
 * UUID stands.
 */
enum syncline_status sl_late_birth_put(struct sl_births *births, int64_t model,
                                       const struct syncline_uuid *uuid, uint64_t seq,
                                       int64_t until, struct sl_error *err);
/* *seq = 0: there is none. */
enum syncline_status sl_late_birth_get(struct sl_births *births, int64_t model,
                                       const struct syncline_uuid *uuid, uint64_t *seq,
                                       struct sl_error *err);
/* Is any kept? */
enum syncline_status sl_late_birth_some(struct sl_births *births, bool *some, struct sl_error *err);
/* Outbox rows up to `outbox_id` are in the log: forgets what was kept for them. */
enum syncline_status sl_late_birth_remove(struct sl_births *births, int64_t outbox_id,
                                          struct sl_error *err);

/* The stamp of a record's last change; *found = false: unchanged since its birth. */
enum syncline_status sl_stamp_get(struct sl_births *births, int64_t model, int64_t id, bool *found,
                                  uint64_t *hlc, int64_t *origin, struct sl_error *err);
enum syncline_status sl_stamp_put(struct sl_births *births, int64_t model, int64_t id, uint64_t hlc,
                                  int64_t origin, struct sl_error *err);

#endif
