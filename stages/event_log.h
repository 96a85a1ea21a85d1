/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* event_log: what went wrong and what was mended, from whichever stage, into sync.db.
 *
 * Whoever has something to tell puts it into a short queue in memory and goes on: no stage waits
 * for the disk because of an event. This stage writes what is there, some at a time, and forgets
 * the oldest in the table. While the disk is full, or fails, the queue waits; when it is full, too,
 * later events are counted, and one event says how many there were. Closing writes what is left,
 * and so does an engine that has stopped for good. A kill loses what was not written yet.
 *
 * A failure that lasts is one event when it begins and one when it is over, however often it is met
 * in between and by however many stages: they share what they fail for. */

#ifndef SL_EVENT_LOG_H
#define SL_EVENT_LOG_H

#include "stages/shared.h"

struct sl_event_log {
    struct sl_core *core;
    uint64_t due_ns; /* not before; 0: at once */
    struct sl_event writing[SL_EVENTS_PENDING_MAX];
};

void sl_event_log_init(struct sl_event_log *log, struct sl_core *core);
/* Writes what is pending, if it is time. The applier's. */
bool sl_event_log_run(void *stage);
/* Writes what is pending now, as far as that is possible. At close. */
void sl_event_log_flush(struct sl_event_log *log);

#endif
