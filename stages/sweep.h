/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* sweep: the scan when idle. It compares tables with births and finds what bypassed the outbox: a
 * row that was committed by a process that died before its capture, a call that was forgotten or
 * failed, plain SQL of another program.
 *
 * A pass goes through all models, slice by slice, while nothing is pending and nobody else has
 * written for a second: soon after open, every `scan_interval_ms` from then on, and after a capture
 * outside a transaction has failed. It has four parts, and writes only in the last:
 *
 *     LOOKS    in a read transaction: the next rows by id beside the births by id. A row without a
 *              birth is one that nobody captured, for nothing is pending. A birth without a row is
 *              of a record that somebody deleted; so is one that the log says is of another record
 *              than the row's, whose id was used again then
 *     TRACES   reads the own log for the last content of device-owned records that are gone
 *     WEIGHS   only if a model has lost more than half of its records, and had more than 1000: is
 *              there a delete among them that others would be told? Then all are held
 *     ACTS     in write transactions, which look at each once more: deletes go into the outbox with
 *              their births (stages/gone says which), births of what went with its parent are
 *              dropped; then the ranges with rows that nobody captured are opened for the scan,
 *              which takes them in as it does older ones
 *
 * Held deletes are a program that has not loaded everything, more often than one that has deleted
 * everything. They are told by an event and stay until the rows are back, the application captures
 * the deletes itself, or it opens the library with `scan_deletes = all`.
 *
 * What is found may be on its way to be captured at this very moment. That is no harm: the same
 * record is then named by two outbox rows, of which the last stands, and its second insert is an
 * update.
 *
 * Between two passes it gives its turn to what was set aside unsent (stages/unsent).
 *
 * What it cannot see: an update that nobody captured, as no hash of what was sent is kept; and what
 * stages/gone says. Changes of other devices' device-owned records are never sent: a delete is told
 * by an event. The applier's. */

#ifndef SL_SWEEP_H
#define SL_SWEEP_H

#include "stages/gone.h"
#include "stages/scan.h"
#include "stages/unsent.h"

enum sl_sweep_part {
    SL_SWEEP_RESTS = 0,
    SL_SWEEP_LOOKS,
    SL_SWEEP_TRACES,
    SL_SWEEP_WEIGHS,
    SL_SWEEP_ACTS,
};

struct sl_author_change;
struct sl_sweep_model; /* what was found of one model */

struct sl_sweep {
    struct sl_core *core;
    struct sl_scan *scan; /* borrowed: takes in what was found */
    struct sl_gone gone;
    struct sl_birth_check check; /* for rows beside births */
    struct sl_unsent unsent;
    enum sl_sweep_part part;
    struct sl_sweep_model *models; /* ours; by index */
    size_t at;                     /* LOOKS: the model under way */
    int64_t after;                 /* and how far */
    struct sl_gone_run *runs;      /* ours; births without a row */
    size_t run_len;
    size_t run_capacity;
    size_t run;         /* WEIGHS, ACTS: the one under way, from the last to the first */
    uint32_t done;      /* records of it that are dealt with */
    bool more;          /* there were more than could be noted: another pass follows */
    bool holds;         /* deletes are held in this pass */
    bool some;          /* this pass has written something */
    uint64_t held;      /* records whose delete is held, of this pass */
    uint64_t held_told; /* as was last told */
    uint64_t foreign;   /* the same of others' records */
    uint64_t foreign_told;
    uint64_t deleted;                 /* records whose delete this pass has captured */
    struct sl_author_change *deletes; /* of one slice, in its arena */
    size_t delete_len;
    struct sl_arena arena; /* of one slice */
    uint64_t due_ns;       /* the next pass */
    uint64_t quiet_ns;     /* nobody else has written since */
    int64_t version;       /* data_version then */
    uint64_t not_before_ns;
};

/* Errors: ENOMEM. `sweep` is to be given to fini in any case. */
enum syncline_status sl_sweep_init(struct sl_sweep *sweep, struct sl_scan *scan,
                                   struct sl_error *err);
void sl_sweep_fini(struct sl_sweep *sweep);
/* One slice: of the scan, if that has something to do. The applier's. */
bool sl_sweep_run(void *stage);

#endif
