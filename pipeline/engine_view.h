/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What only the process that runs the engine knows: who is linked, what went over the wire. It is
 * read there, or asked for through engine.sock, where it is these lines, each once unless noted:
 *
 *     engine 1 PID               of this format's version; always the first
 *     listen ADDRESS             where it is reached; left out if nowhere
 *     links N
 *     linked DEVICE              32 hexadecimal digits; one line for each
 *     paused                     nothing is sent or applied; left out otherwise
 *     degraded                   as in struct syncline_info; left out if not
 *     clock_ahead MS             as in struct syncline_info; left out if 0
 *     sent BYTES SEGMENTS        over the wire, frames included
 *     received BYTES
 *     stage NAME RUNS BATCHES CHANGES BYTES ERRORS BUSY_NS FILL CAPACITY
 *                                one line for each, in the order of a change's way
 *     notice TEXT                the last thing worth telling; left out if there is none
 *
 * A line that is not known is skipped. */

#ifndef SL_ENGINE_VIEW_H
#define SL_ENGINE_VIEW_H

#include "base/bytes.h"
#include "base/limits.h"
#include "pipeline/library.h"
#include "pipeline/stats.h"

#define SL_ENGINE_VIEW_QUESTION "view"

struct sl_engine_view {
    long pid;
    char listen[64];
    uint32_t links;
    struct syncline_uuid linked[SL_MEMBER_COUNT_MAX];
    size_t linked_count;
    bool paused;
    bool degraded;
    uint64_t clock_ahead_ms;
    uint64_t bytes_sent;
    uint64_t segments_sent;
    uint64_t bytes_received;
    struct syncline_stage stages[SL_STAGE_COUNT];
    size_t stages_count;
    char notice[512];
};

/* Of the engine in this process; all zero if there is none. Any thread. */
void sl_engine_view_read(struct sl_library *library, struct sl_engine_view *view);
void sl_engine_view_write(const struct sl_engine_view *view, struct sl_buf *out);
/* false: it is no such text. */
bool sl_engine_view_parse(const char *text, struct sl_engine_view *view);

#endif
