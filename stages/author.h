/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Changes that this device makes itself: deletes, while it applies what others have sent, and what
 * the sweep finds that nobody captured. An outbox row in the transaction of the slice, as a capture
 * writes one, which then goes the same way. The applier's. */

#ifndef SL_AUTHOR_H
#define SL_AUTHOR_H

#include "stages/shared.h"

struct sl_author_change {
    const struct sl_model *model;
    int64_t id; /* it has, or had; of a delete 0 will do */
    struct syncline_uuid uuid;
    int64_t birth_origin; /* number; 0: it has no birth yet */
    uint64_t birth_seq;
    bool all_births; /* hidden births that this device may change are named, too; a delete drops
                        them */
};

/* One outbox row for each run of records of one model. Inside the caller's transaction on
 * core->writer, which has removed the records, if it is a delete. */
enum syncline_status sl_author_changes(struct sl_core *core, enum syncline_change change,
                                       const struct sl_author_change *changes, size_t n,
                                       struct sl_error *err);

#endif
