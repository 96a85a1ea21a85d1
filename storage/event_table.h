/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The table `event` of sync.db: what went wrong, and what was mended, the newest of it; for people
 * (syncline_events_read), nothing follows from it. Written by the connection that writes the log,
 * in its transactions; statements are made for each call, which are few. */

#ifndef SL_EVENT_TABLE_H
#define SL_EVENT_TABLE_H

#include "storage/peer_log.h"

struct sl_event {
    int64_t number; /* rises; given by the table */
    uint64_t at_ms; /* wall clock */
    enum syncline_event_code code;
    enum syncline_status status;      /* OK where nothing failed */
    struct syncline_uuid device;      /* that it is about; all zero: none */
    struct syncline_uuid uuid;        /* of a record; all zero: none */
    char model[SL_NAME_SIZE_MAX + 1]; /* of that record; "": none */
    char text[SL_ERROR_SIZE];         /* one line */
};

/* Adds it, with the next number; at_ms is given. Inside a transaction. */
enum syncline_status sl_event_put(struct sl_peer_log *log, const struct sl_event *event,
                                  struct sl_error *err);
/* Forgets all but the newest `keep`. Inside a transaction. */
enum syncline_status sl_event_prune(struct sl_peer_log *log, uint32_t keep, struct sl_error *err);
/* The first events after `number`, oldest first, `max` at most. */
enum syncline_status sl_event_after(struct sl_peer_log *log, int64_t number,
                                    struct sl_event *events, size_t max, size_t *len,
                                    struct sl_error *err);

#endif
