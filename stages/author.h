/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Deletes that this device makes itself, while it applies what others have sent: an outbox row in
 * the transaction of the slice, as a capture writes one, which then goes the same way. The
 * applier's. */

#ifndef SL_AUTHOR_H
#define SL_AUTHOR_H

#include "stages/shared.h"

struct sl_author_delete {
    const struct sl_model *model;
    int64_t id; /* it had; 0 will do */
    struct syncline_uuid uuid;
    int64_t birth_origin; /* number; 0: it has no birth yet */
    uint64_t birth_seq;
};

/* One outbox row for each run of records of one model. Inside the caller's transaction on
 * core->writer, which has removed the records. */
enum syncline_status sl_author_deletes(struct sl_core *core, const struct sl_author_delete *deletes,
                                       size_t n, struct sl_error *err);

#endif
