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
 *     its birth waits               judged in the waiting room (stages/waiting)
 *     the record is not here, or    its birth is covered by the applied vector: dead, dropped
 *     has another birth             not covered: it waits for it
 *     device-owned                  only a change of the device that inserted it counts, in its
 *                                   order
 *     shared, delete                wins: a delete is final for the birth it saw
 *     shared, update, pending here  loses
 *     shared, update                the later stamp wins: HLC, then device, then epoch
 *
 * Records are merged whole in this version, and a record has one birth. */

#ifndef SL_RECONCILE_H
#define SL_RECONCILE_H

#include "base/stamp.h"
#include "stages/mentions.h"
#include "stages/shared.h"

enum sl_verdict {
    SL_VERDICT_APPLY,     /* write it, to the record with *id */
    SL_VERDICT_LOSES,     /* superseded, or dead: nothing to do */
    SL_VERDICT_WAITS,     /* its birth has not come */
    SL_VERDICT_SET_ASIDE, /* it is refused; the reason is given */
};

/* The local changes that are in the outbox and not in the log, of shared records but for deletes.
 */
struct sl_pending {
    struct sl_mentions mentions; /* of them */
    struct sl_drained drained;   /* the log's place in the outbox, when they were read */
};

/* Inside the caller's transaction; the caller holds clock_lock. */
enum syncline_status sl_pending_read(struct sl_pending *pending, struct sl_core *core,
                                     struct sl_rows *rows, struct sl_error *err);

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
/* Errors: EDB, EIO, ENOMEM, ... - of the database, not of the change. */
enum syncline_status sl_reconcile(struct sl_core *core, struct sl_rows *rows,
                                  struct sl_pending *pending, const struct sl_received *received,
                                  enum sl_verdict *verdict, int64_t *id, char reason[256],
                                  struct sl_error *err);

#endif
