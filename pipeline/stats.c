/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/stats.h"

const char *sl_stage_name(enum sl_stage stage)
{
    static const char *const names[SL_STAGE_COUNT] = {
        [SL_STAGE_INTAKE] = "intake",       [SL_STAGE_FK_RESOLVE] = "fk_resolve",
        [SL_STAGE_SERIALIZE] = "serialize", [SL_STAGE_LOG_APPEND] = "log_append",
        [SL_STAGE_NET_FLUSH] = "net_flush", [SL_STAGE_LOG_HOLD] = "log_hold",
        [SL_STAGE_APPLY] = "apply",         [SL_STAGE_ACKNOWLEDGE] = "acknowledge",
        [SL_STAGE_SETTLE] = "settle",       [SL_STAGE_SCAN] = "scan",
        [SL_STAGE_EVENT_LOG] = "event_log", [SL_STAGE_COMPARE] = "compare",
        [SL_STAGE_PRUNE] = "prune",         [SL_STAGE_SNAPSHOT] = "snapshot",
    };
    return names[stage];
}
