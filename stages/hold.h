/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Why is nothing more applied of an origin? Found from the files alone, as apply would find it, by
 * any process and without the engine.
 *
 * Happy path: all that the log has of it is applied. Else its next segment is looked at: is its
 * clock too far ahead, are its models and fields known here, can it be read, and is there room for
 * records that wait? What is left is what the engine told when it held that device's changes, and
 * has not applied any since. An origin whose log has split comes no further, applied or not.
 *
 * Failure modes: a segment that cannot be read is a reason, not an error. Nothing is written. The
 * caller's connections, and its thread. */

#ifndef SL_HOLD_H
#define SL_HOLD_H

#include "stages/decode.h"
#include "stages/shared.h"

struct sl_hold {
    uint64_t changes;            /* in the log, and not applied */
    uint64_t first_seq;          /* of them; 0: there are none */
    uint64_t first_ms;           /* when that was made, by its device's clock; 0: not known */
    bool is_held;                /* they cannot be applied */
    bool is_split;               /* its log has split */
    uint64_t since_ms;           /* when that was found; 0: not known */
    char why[SYNCLINE_WHY_SIZE]; /* one line, if one of the two is true */
};

struct sl_hold_look {
    struct sl_core *core;       /* models, settings and the clock */
    struct sl_peer_log *log;    /* reads */
    struct sl_library_db *ldb;  /* in a read transaction */
    struct sl_decoded *decoded; /* is written over */
};

/* Errors: EDB, EIO, EBUSY, ENOMEM, ECORRUPT. */
enum syncline_status sl_hold_find(const struct sl_hold_look *look, const struct sl_log_head *head,
                                  struct sl_hold *hold, struct sl_error *err);

#endif
