/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* reconcile: does a received change win against what is here?
 *
 * It is asked inside the apply transaction, after settling, so that every local change is either
 * written back with its stamp or still in the outbox. What is still in the outbox - pending - will
 * get a later clock value than anything received so far, because the clock was merged before: a
 * pending update wins; a pending delete has removed the row.
 *
 * The rule, for one record and one change with its birth and stamp:
 *
 *     the birth waits               judged in the waiting room (stages/waiting)
 *     it is neither shown nor       covered by the applied vector: dead, dropped
 *     hidden                        not covered, or a snapshot under way may bring it: the change
 *                                   waits for it
 *     device-owned                  only a change of the device that inserted it counts, in its
 *                                   order
 *     shared, delete                wins: a delete is final for the births that it names
 *     shared, update, pending here  loses
 *     shared, update                the later stamp wins: HLC, then device, then epoch
 *
 * Several births of one UUID (stages/living): two devices inserted the record before they knew of
 * each other, or one again while another still had it. Each birth is a record by itself. The row
 * shows one of those that live: of shared births the one changed last, by that stamp; a
 * device-owned one counts by its birth, whatever its owner did to it since. The others are hidden,
 * whole, and changes of theirs go to them. A delete of the shown one shows the next; the row keeps
 * its local id. A local update or delete names all the births that it saw and may change: so it is
 * of all of them, and a record that was deleted while it had two births stays deleted. A shown
 * birth with a change pending, or one that is not in the log yet, stays until that is settled.
 *
 * Records are merged whole in this version. */

#ifndef SL_RECONCILE_H
#define SL_RECONCILE_H

#include "base/stamp.h"
#include "stages/mentions.h"
#include "stages/shared.h"

enum sl_verdict {
    SL_VERDICT_APPLY,     /* write it, to the record with *id */
    SL_VERDICT_HIDDEN,    /* write it, to the hidden birth */
    SL_VERDICT_LOSES,     /* superseded, or dead: nothing to do */
    SL_VERDICT_WAITS,     /* its birth has not come */
    SL_VERDICT_SET_ASIDE, /* it is refused; the reason is given */
};

/* The local changes that are in the outbox and not in the log. What others know of later deletes
 * (stages/deletes.h) is no use here: they forget what is no longer asked about a change that has a
 * seq, and a change that is superseded never gets one. */
struct sl_pending {
    struct sl_mentions mentions; /* of shared records, but for deletes */
    struct sl_mentions deletes;  /* of all records */
    struct sl_drained drained;   /* the log's place in the outbox, when they were read */
};

void sl_pending_init(struct sl_pending *pending, const struct sl_allocator *alloc);
void sl_pending_fini(struct sl_pending *pending);
/* At the beginning of the caller's transaction, before it writes to the outbox; the caller holds
 * clock_lock. */
enum syncline_status sl_pending_read(struct sl_pending *pending, struct sl_core *core,
                                     struct sl_rows *rows, struct sl_error *err);

/* Is the record deleted by a pending change that was captured after this outbox row? */
bool sl_pending_deletes_after(struct sl_pending *pending, const struct sl_model *model,
                              const struct syncline_uuid *uuid, int64_t row);

/* One received change of a record that was inserted before. */
struct sl_received {
    const struct sl_model *model;
    enum syncline_change change; /* update or delete */
    struct syncline_uuid uuid;
    struct sl_birth birth;
    struct sl_stamp stamp;
};

/* Has the applied vector reached this birth? */
bool sl_reconcile_covers(struct sl_core *core, const struct sl_birth *birth);
/* Why a change of a device-owned record by another device is refused. */
void sl_reconcile_not_owner(char reason[256]);
/* What the content of a record that is here has for a stamp; or it has a change pending, and will
 * get a later one. `birth` is the record's. */
enum syncline_status sl_reconcile_stamp(struct sl_core *core, struct sl_rows *rows,
                                        struct sl_pending *pending, const struct sl_model *model,
                                        const struct syncline_uuid *uuid, int64_t id,
                                        const struct sl_birth_run *birth, bool *pends,
                                        struct sl_stamp *stamp, struct sl_error *err);
/* Is a local change of just this birth in the outbox and not in the log? `shown`: it is the one
 * that its row shows. pending NULL: no. */
enum syncline_status sl_reconcile_pends(struct sl_core *core, struct sl_rows *rows,
                                        struct sl_pending *pending, const struct sl_model *model,
                                        const struct syncline_uuid *uuid,
                                        const struct sl_birth_run *birth, bool shown, bool *pends,
                                        struct sl_error *err);

/* *id is set with APPLY, *hidden, without its content, with HIDDEN. Errors: EDB, EIO, ENOMEM, ... -
 * of the database, not of the change. */
enum syncline_status sl_reconcile(struct sl_core *core, struct sl_rows *rows,
                                  struct sl_pending *pending, const struct sl_received *received,
                                  enum sl_verdict *verdict, int64_t *id,
                                  struct sl_hidden_birth *hidden, char reason[256],
                                  struct sl_error *err);

#endif
