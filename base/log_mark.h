/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How far a device's own log has come, remembered outside the library: what a copy of the library's
 * files, put back later, does not bring back with it. A log that ends before its mark was restored.
 * Whoever opens a library says where marks are kept; none is made where nobody does. */

#ifndef SL_LOG_MARK_H
#define SL_LOG_MARK_H

#include "base/limits.h"
#include "base/status.h"
#include "base/vector.h"

struct sl_log_mark {
    uint64_t epoch;             /* of the device */
    uint64_t seq;               /* its last change in the log; 0: none */
    uint8_t hash[SL_HASH_SIZE]; /* of the segment that ends there */
};

/* Both block on the disk; called by one thread at a time. */
struct sl_mark_keeper {
    /* Errors: ENOTFOUND (there is none), EFORMAT (damaged), EIO. */
    enum syncline_status (*read)(void *ctx, struct sl_log_mark *mark, struct sl_error *err);
    /* Durable when it returns. Errors: EIO, ENOSPC; the one of before is there then. */
    enum syncline_status (*write)(void *ctx, const struct sl_log_mark *mark, struct sl_error *err);
    void *ctx;
};

#endif
