/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* birth_check: is a birth that stands at a local id that of the record which has the id now?
 *
 * A row can go without a captured delete: by the delete of the record that it points at, of which
 * alone the others need to be told, or by mistake. Its birth then stays where it was, and SQLite
 * may give its id to another record. The log knows of which record a birth is.
 *
 * Happy path: nobody asks, as long as ids are not used again. Who asks pays for a segment, and what
 * was born together is asked for together: the last segment is kept.
 *
 * Failure modes: a birth that the log does not hold is not doubted. A segment that cannot be read
 * is the decoder's error. */

#ifndef SL_BIRTH_CHECK_H
#define SL_BIRTH_CHECK_H

#include "stages/decode.h"
#include "stages/shared.h"

struct sl_birth_check {
    struct sl_core *core;
    struct sl_decoded decoded; /* of the last segment */
    bool is_ready;             /* `decoded` was initialized */
    int64_t number;            /* in the log, of the origin whose segment is decoded; 0: none */
};

void sl_birth_check_init(struct sl_birth_check *check, struct sl_core *core);
void sl_birth_check_fini(struct sl_birth_check *check);

/* *is = false: another record was born by this change, or none. fk_resolve's; reads the log.
 * Errors: EPROTO, EFORMAT, EUNSUPPORTED, ECORRUPT, ENOMEM, EDB, EIO. */
enum syncline_status sl_birth_check_is(struct sl_birth_check *check, const struct sl_model *model,
                                       const struct syncline_uuid *uuid,
                                       const struct sl_birth *birth, bool *is,
                                       struct sl_error *err);

#endif
