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
    struct sl_peer_log *log;   /* borrowed: of whose thread this is */
    struct sl_decoded decoded; /* of the last segment */
    bool is_ready;             /* `decoded` was initialized */
    int64_t number;            /* in the log, of the origin whose segment is decoded; 0: none */
    uint64_t loads;            /* segments that were decoded so far */
};

/* `log`: a reading handle of the thread that asks. */
void sl_birth_check_init(struct sl_birth_check *check, struct sl_core *core,
                         struct sl_peer_log *log);
void sl_birth_check_fini(struct sl_birth_check *check);

/* The change itself: the i-th of a group, which dies at the next call. *group = NULL: the log does
 * not hold it. Errors as below. */
enum syncline_status sl_birth_check_change(struct sl_birth_check *check,
                                           const struct sl_birth *change,
                                           const struct sl_group **group, uint32_t *i,
                                           struct sl_error *err);
/* *is = false: another record was born by this change, or none. Reads the log.
 * Errors: EPROTO, EFORMAT, EUNSUPPORTED, ECORRUPT, ENOMEM, EDB, EIO. */
enum syncline_status sl_birth_check_is(struct sl_birth_check *check, const struct sl_model *model,
                                       const struct syncline_uuid *uuid,
                                       const struct sl_birth *birth, bool *is,
                                       struct sl_error *err);

#endif
