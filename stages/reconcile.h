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
 *     the record is not here        its birth is covered by the applied vector: dead, dropped
 *                                   not covered: it cannot be judged, set aside
 *     here, with another birth      another record under the same UUID: set aside
 *     device-owned                  only a change of the device that inserted it counts, in its
 * order shared, delete                wins: a delete is final for the birth it saw shared, update,
 * pending here  loses shared, update                the later stamp wins: HLC, then device, then
 * epoch
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
    SL_VERDICT_SET_ASIDE, /* it cannot be judged; the reason is given */
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

/* Errors: EDB, EIO, ENOMEM, ... - of the database, not of the change. */
enum syncline_status sl_reconcile(struct sl_core *core, struct sl_rows *rows,
                                  struct sl_pending *pending, const struct sl_received *received,
                                  enum sl_verdict *verdict, int64_t *id, char reason[256],
                                  struct sl_error *err);

#endif
