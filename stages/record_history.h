/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every change of one record that this device knows of, and what has become of each: the answer to
 * `syncline why`.
 *
 * Happy path: the log is read from its beginning to its end, since it has no index by record, and
 * what is about the record is kept; then, in one read transaction of library.db, rows of the outbox
 * that are not in the log yet are added, and each change is judged by what stands in the tables -
 * row, birth, applied vector - and by the list of records set aside.
 *
 * A change of this device counts as applied: the row was written before it. What lives of the UUID
 * (stages/record_lives) decides: of several changes of one birth the latest by its stamp is what
 * that has, as reconcile has it; of a device-owned record that is its owner's last one. The row
 * shows it, or it waits, or it is hidden behind another birth. Why an origin's changes are not
 * applied is asked of stages/hold.
 *
 * What was pruned is not told: the log begins where it begins here.
 *
 * Failure modes: a segment that cannot be read ends it with the decoder's error, since what it held
 * might be the answer. What comes into the log meanwhile may be told or not. Nothing is written.
 * Works over connections of its own; the caller's thread, and it blocks while it reads. */

#ifndef SL_RECORD_HISTORY_H
#define SL_RECORD_HISTORY_H

#include "stages/decode.h"
#include "stages/shared.h"

/* One change. */
struct sl_history_entry {
    enum syncline_change change;
    enum syncline_fate fate;
    struct sl_stamp stamp; /* seq 0: no clock value yet, and the origin is this device's */
    struct sl_birth births[SL_CHANGE_BIRTHS_MAX]; /* of the records that it is about */
    uint32_t births_len;                          /* 0: not known yet */
    uint64_t seq;                                 /* 0: still in the outbox */
    struct sl_stamp winner;                       /* of what won against it; hlc 0: nothing did */
    uint64_t winner_seq;
    bool is_written; /* it was dealt with, and does not wait: for judging */
    char why[SYNCLINE_WHY_SIZE];
};

struct sl_history {
    const struct sl_allocator *alloc; /* borrowed */
    struct sl_history_entry *entries; /* ours; by stamp, those in the outbox last */
    size_t len;
    size_t capacity;
    bool is_here; /* the record is in its table */
};

void sl_history_init(struct sl_history *history, const struct sl_allocator *alloc);
void sl_history_fini(struct sl_history *history);

/* Reads it. Errors: EPROTO, EFORMAT, EUNSUPPORTED, ECORRUPT (the log is damaged), ENOMEM, EDB,
 * EBUSY, EIO. */
enum syncline_status sl_history_read(struct sl_history *history, struct sl_core *core,
                                     const char *sync_db, const char *library_db,
                                     const struct sl_model *model, const struct syncline_uuid *uuid,
                                     struct sl_error *err);

#endif
