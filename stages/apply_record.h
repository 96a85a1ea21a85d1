/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One received change, written into the tables - or the reason why it cannot be.
 *
 * An insert is a plain INSERT; births of consecutive inserts are gathered and stored as one run.
 * Updates and deletes are judged first (stages/reconcile). What lacks a parent or its birth goes
 * into the waiting room (stages/waiting), and what points at a deleted record is dealt with
 * (stages/subtree). What a table refuses is an outcome, not a failure: the caller decides whether
 * to try again or to set the record aside. Works inside the caller's transaction on core->writer.
 */

#ifndef SL_APPLY_RECORD_H
#define SL_APPLY_RECORD_H

#include "base/limits.h"
#include "stages/fk_localize.h"
#include "stages/logged_parents.h"
#include "stages/outcome.h"
#include "stages/reconcile.h"
#include "stages/shared.h"
#include "stages/subtree.h"
#include "stages/waiting.h"

/* A change that is set aside. */
struct sl_record_aside {
    struct sl_origin origin;
    uint64_t seq;
    const struct sl_model *model;
    struct syncline_uuid uuid;
    char reason[256];
};

/* Where changes are written. */
struct sl_record_writer {
    struct sl_core *core;
    struct sl_pending *pending; /* borrowed; as read in this transaction */
    struct sl_birth_run run;    /* of the inserts just written, not stored yet; n = 0: none */
    const struct sl_model *run_model;
    bool clear_of_births[SL_MODEL_COUNT_MAX]; /* by model->index: the next id was looked at */
    struct sl_promises promises;              /* ids of records that are still to be inserted */
    bool redoing; /* at open: what is captured cannot get into the log before this is done */
    struct sl_logged_parents logged; /* while redoing */
    bool uuid_keys; /* parents named by UUID are looked for: see sl_localize_record */
    struct sl_waiting_work waiting;
    struct sl_subtree subtree;
    struct sl_birth *gone; /* ours: births whose deletes found no record; it may be set aside */
    size_t gone_len;
    size_t gone_capacity;
    struct sl_record_aside *asides; /* ours: to be put into sync.db before the commit */
    size_t aside_len;
    size_t aside_capacity;
};

/* A record out of a page of a snapshot (stages/snapshot_apply): its birth, and the clock value of
 * its content, which may have been changed since. */
struct sl_paged {
    struct sl_birth_run birth; /* all but the id */
    struct sl_origin born_by;  /* of the birth */
    uint64_t hlc;
};

/* One change of a decoded segment, or of the waiting room, or of a page. */
struct sl_apply_record {
    struct sl_origin_state *origin; /* of the waiting room, or a page: name and number alone */
    struct sl_localized *localized; /* its group */
    uint32_t i;                     /* in the group */
    uint64_t seq;
    const struct sl_birth_run *birth; /* inserts out of the waiting room: it, else NULL */
    bool has_row; /* an insert whose record has its row already: the earlier birth's */
    struct sl_waiting *released;  /* updates out of the waiting room: the entry, else NULL */
    const struct sl_paged *paged; /* out of a page, else NULL */
};

/* The clock value of a record's content. */
static inline uint64_t sl_apply_hlc(const struct sl_apply_record *record)
{
    return record->paged != NULL ? record->paged->hlc
                                 : record->localized->group->hlc_first + record->i;
}
/* The birth that an insert brings. */
static inline struct sl_birth sl_apply_birth(const struct sl_apply_record *record)
{
    struct sl_birth birth = {.origin = record->origin->name, .seq = record->seq};
    struct sl_birth paged = {.seq = 0};
    if (record->paged != NULL) {
        paged.origin = record->paged->born_by;
        paged.seq = record->paged->birth.seq;
    }
    return record->paged != NULL ? paged : birth;
}

enum syncline_status sl_record_writer_init(struct sl_record_writer *writer, struct sl_core *core,
                                           struct sl_pending *pending, struct sl_error *err);
void sl_record_writer_fini(struct sl_record_writer *writer);
/* On CANNOT `reason` says why, and something may have been written: roll it back.
 * Errors: of the database. */
enum syncline_status sl_record_write(struct sl_record_writer *writer,
                                     const struct sl_apply_record *record, enum sl_outcome *outcome,
                                     char reason[256], struct sl_error *err);
/* A savepoint, and its end: of what cannot be written nothing is left, and what leaves a key open
 * cannot be. */
enum syncline_status sl_record_save(struct sl_record_writer *writer, struct sl_waiting_mark *mark,
                                    struct sl_error *err);
enum syncline_status sl_record_keep(struct sl_record_writer *writer, struct sl_waiting_mark mark,
                                    enum sl_outcome *outcome, char reason[256],
                                    struct sl_error *err);
/* sl_record_write in a savepoint. */
enum syncline_status sl_record_try(struct sl_record_writer *writer,
                                   const struct sl_apply_record *record, enum sl_outcome *outcome,
                                   char reason[256], struct sl_error *err);
/* Begins anew: a transaction, or what is left of one after a rollback to a savepoint. */
void sl_record_writer_reset(struct sl_record_writer *writer);
/* Stores the births gathered. Before anything else reads births, and before the commit. */
enum syncline_status sl_record_writer_flush(struct sl_record_writer *writer, struct sl_error *err);

/* An update of a record whose birth is known. */
enum syncline_status sl_record_write_update(struct sl_record_writer *writer,
                                            const struct sl_apply_record *record,
                                            const struct sl_birth *birth, enum sl_outcome *outcome,
                                            char reason[256], struct sl_error *err);
/* A birth of the record is dead, whoever deleted it: the row, the hidden birth or the entry that
 * waits goes, and what points at it waits, unless it goes by itself. */
enum syncline_status
sl_record_write_dead(struct sl_record_writer *writer, const struct sl_model *model,
                     const struct syncline_uuid *uuid, const struct sl_birth_run *birth,
                     enum sl_outcome *outcome, char reason[256], struct sl_error *err);
enum syncline_status sl_record_set_aside(struct sl_record_writer *writer,
                                         const struct sl_origin *origin, uint64_t seq,
                                         const struct sl_model *model,
                                         const struct syncline_uuid *uuid, const char reason[256],
                                         struct sl_error *err);
/* Is a key open, as SQLite counts them? */
bool sl_record_keys_open(const struct sl_record_writer *writer);

#endif
