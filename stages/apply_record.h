/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One received change, written into the tables - or the reason why it cannot be.
 *
 * An insert is a plain INSERT; births of consecutive inserts are gathered and stored as one run.
 * Updates and deletes are judged first (stages/reconcile). What a table refuses is an outcome, not
 * a failure: the caller decides whether to try again or to set the record aside. Works inside the
 * caller's transaction on core->writer. */

#ifndef SL_APPLY_RECORD_H
#define SL_APPLY_RECORD_H

#include "base/limits.h"
#include "stages/fk_localize.h"
#include "stages/reconcile.h"
#include "stages/shared.h"

enum sl_outcome {
    SL_OUTCOME_WRITTEN, /* or superseded: it is dealt with */
    SL_OUTCOME_NOT_YET, /* a key is open: changes that belong to it may close it */
    SL_OUTCOME_CANNOT,  /* its table, or the rules, refuse it */
};

/* Where changes are written. */
struct sl_record_writer {
    struct sl_core *core;
    struct sl_pending *pending; /* borrowed; as read in this transaction */
    struct sl_birth_run run;    /* of the inserts just written, not stored yet; n = 0: none */
    const struct sl_model *run_model;
    bool clear_of_births[SL_MODEL_COUNT_MAX]; /* by model->index: the next id was looked at */
    struct sl_promises promises;              /* ids of records that are still to be inserted */
    bool uuid_keys;        /* parents named by UUID are looked for: see sl_localize_record */
    struct sl_birth *gone; /* ours: births whose deletes found no record; it may be set aside */
    size_t gone_len;
    size_t gone_capacity;
};

/* One change of a decoded segment. */
struct sl_apply_record {
    struct sl_origin_state *origin;
    struct sl_localized *localized; /* its group */
    uint32_t i;                     /* in the group */
    uint64_t seq;
};

/* On CANNOT and NOT_YET `reason` says why, and something may have been written: roll it back.
 * Errors: of the database. */
enum syncline_status sl_record_write(struct sl_record_writer *writer,
                                     const struct sl_apply_record *record, enum sl_outcome *outcome,
                                     char reason[256], struct sl_error *err);
/* Begins anew: a transaction, or what is left of one after a rollback to a savepoint. */
void sl_record_writer_reset(struct sl_record_writer *writer);
/* Stores the births gathered. Before anything else reads births, and before the commit. */
enum syncline_status sl_record_writer_flush(struct sl_record_writer *writer, struct sl_error *err);

#endif
