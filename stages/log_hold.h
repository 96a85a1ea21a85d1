/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* log_hold: verified segments go into the log as they came, before anything is applied: so what is
 * acknowledged survives library.db losing a commit, and the bytes can be passed on unchanged.
 *
 * What waits of a device that was found to be out meanwhile is dropped first.
 *
 * Everything that waits is one transaction. On a failure it is rolled back and tried again later;
 * the held vector moves only when the commit is done. */

#ifndef SL_LOG_HOLD_H
#define SL_LOG_HOLD_H

#include "stages/verify.h"

struct sl_log_hold {
    struct sl_core *core;
    struct sl_verify *verify; /* where they wait */
    uint64_t retry_ns;        /* after a failure: not before */
    uint64_t checked_at;      /* membership_moves when what waits was last looked at */
};

void sl_log_hold_init(struct sl_log_hold *hold, struct sl_core *core, struct sl_verify *verify);
bool sl_log_hold_run(void *stage);

#endif
