/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What lives of one UUID on this device: the birth that its row shows, those that are hidden behind
 * it (decision 12), and what is in the waiting room - records that lack another one, and changes of
 * births that are in the table or not here. Of each which change is its content.
 *
 * Inside the caller's read transaction, on its connections and thread. */

#ifndef SL_RECORD_LIVES_H
#define SL_RECORD_LIVES_H

#include "stages/shared.h"
#include "stages/waiting_text.h"

enum sl_life_kind {
    SL_LIFE_SHOWN,   /* the row is of it */
    SL_LIFE_HIDDEN,  /* the row is of another one */
    SL_LIFE_WAITING, /* the record is in the waiting room, whole */
    SL_LIFE_CHANGE   /* a change of it is: `waits` */
};

struct sl_life {
    enum sl_life_kind kind;
    bool has_birth; /* false: the row is not settled yet */
    struct sl_birth birth;
    bool has_content;
    struct sl_stamp content;     /* of the change that it holds; of a device-owned row: not known */
    enum syncline_change waits;  /* CHANGE: an update or a delete */
    char why[SYNCLINE_WHY_SIZE]; /* WAITING and CHANGE: what for */
};

struct sl_lives {
    struct sl_life *items; /* in the arena */
    size_t len;
    bool is_here; /* the record is in its table: then the first is SHOWN */
};

/* Errors: EDB, EBUSY, EIO, ENOMEM, ECORRUPT. */
enum syncline_status sl_lives_read(struct sl_lives *lives, struct sl_arena *arena,
                                   const struct sl_core *core, struct sl_peer_log *log,
                                   struct sl_rows *rows, const struct sl_model *model,
                                   const struct syncline_uuid *uuid, struct sl_error *err);

#endif
