/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* apply: brings what the log holds of other devices into the tables.
 *
 * Happy path, one slice: the write lock is taken; the clock is merged with the end of the origin's
 * log, own changes are settled and pending ones read, all three while nothing can be stamped; then
 * the segment after the applied entry is decoded and each change is written - inserts as plain
 * INSERTs, their births as runs - until the slice's time is over, segment after segment; the
 * applied vector moves with them, and they commit. After a slice the lock is left alone for a
 * moment if anybody else writes.
 *
 * What lacks its parent or its birth goes into the waiting room, in the same transaction, and what
 * the slice brings lets others out of it before the commit (stages/waiting). While nothing waits
 * that costs nothing.
 *
 * A commit is not synced, and members may let go of what they hear is applied. So the WAL is synced
 * before they are told: when there is nothing more to apply, and now and then while there is.
 *
 * Failure modes:
 * - The write lock is taken: later. Nothing was done.
 * - A record cannot be written (a constraint of the table): the slice is rolled back and done again
 * carefully: one segment, each record in a savepoint, those that fail once more after the others.
 * What still fails then is set aside with its reason, in sync.db, before the commit that counts it
 * as applied.
 * - Keys are checked at the end of a slice, not within it; SQLite tells whether any is open.
 * - A slice that is rolled back moves no clock.
 * - A clock too far ahead, a model or column that this application does not have, bytes that
 * contradict themselves: that origin stops there, with a notice, and its log is held. Others go on.
 * When the waiting room is full it stops too, and tries again every second.
 * - The database fails: rolled back, tried again. */

#ifndef SL_APPLY_H
#define SL_APPLY_H

#include "stages/apply_record.h"
#include "stages/decode.h"
#include "stages/shared.h"

struct sl_snapshot_take;

struct sl_apply {
    struct sl_core *core;
    struct sl_snapshot_take *take; /* borrowed; NULL: no snapshot is ever taken */
    bool live_next; /* after a slice of a snapshot: changes that came by the logs, if there are any
                     */
    size_t next;    /* origin to look at first */
    struct sl_decoded decoded;
    struct sl_pending pending;
    uint64_t upto_seq;      /* the slice may apply up to here: the clock was merged with it */
    uint64_t merged_hlc;    /* that clock value; 0: the slice has merged none */
    uint64_t hlc_before;    /* what the clock was */
    uint64_t settled;       /* own entry, as this slice writes it */
    uint64_t not_before_ns; /* lock left alone, or a failure */
    bool unsynced;          /* something was applied that members are not told yet */
    uint64_t sync_due_ns;   /* at the latest then they are */

    struct sl_record_writer writer;
};

enum syncline_status sl_apply_init(struct sl_apply *apply, struct sl_core *core,
                                   struct sl_error *err);
void sl_apply_fini(struct sl_apply *apply);
bool sl_apply_run(void *stage);
/* Is what waits to be looked at, as this device's own changes may let it out? The applier's. */
bool sl_apply_is_untidy(const struct sl_apply *apply);
/* Applies this device's own changes that are in the log and above the own applied entry, like those
 * of any other: after library.db has lost them (stages/doubt.h). Before any stage runs. */
enum syncline_status sl_apply_own(struct sl_apply *apply, struct sl_error *err);

/* Something else that is written into the tables, in a transaction that is begun, settled and ended
 * as that of a slice. `hlc` is the highest clock value in it. *cannot: something could not be
 * written, nothing is done, and it may be tried `carefully` (record by record, in savepoints).
 * Errors: EBUSY, AGAIN (later), EREFUSED (the clock value is too far ahead), those of the work and
 * of the database; nothing is done then, either. */
typedef enum syncline_status (*sl_apply_work_fn)(void *ctx, struct sl_apply *apply, bool *cannot,
                                                 struct sl_error *err);
enum syncline_status sl_apply_work(struct sl_apply *apply, uint64_t hlc, bool carefully,
                                   sl_apply_work_fn work, void *ctx, bool *cannot,
                                   struct sl_error *err);
/* How long a slice may hold the write lock now. */
uint64_t sl_apply_hold_ns(const struct sl_apply *apply);

#endif
