/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* member_held: what of this log the members hold, by their own word, in sync.db.
 *
 *     held       (device, origin) -> seq: the device has said that its log of that origin has this
 *                hash there, as the log here had. No row: nothing
 *     absence    device -> heard: the day in contact (below) on which it was heard of last;
 *                marked_ms: since when it is away for so long that nothing is kept for it, 0: it
 *                is not
 *     meta       contact_days: days on which this device has met another member; contact_day: the
 *                last of them, in days since 1970 by this device's clock
 *
 * Statements are made for each call. */

#ifndef SL_MEMBER_HELD_H
#define SL_MEMBER_HELD_H

#include "storage/peer_log.h"

/* Inside a transaction. */
enum syncline_status sl_held_put(struct sl_peer_log *log, const struct syncline_uuid *device,
                                 int64_t origin, uint64_t seq, struct sl_error *err);
/* 0: nothing. */
enum syncline_status sl_held_get(struct sl_peer_log *log, const struct syncline_uuid *device,
                                 int64_t origin, uint64_t *seq, struct sl_error *err);

struct sl_absence {
    uint64_t heard;     /* day in contact */
    uint64_t marked_ms; /* wall clock; 0: not marked */
};
enum syncline_status sl_absence_put(struct sl_peer_log *log, const struct syncline_uuid *device,
                                    const struct sl_absence *absence, struct sl_error *err);
enum syncline_status sl_absence_get(struct sl_peer_log *log, const struct syncline_uuid *device,
                                    bool *found, struct sl_absence *absence, struct sl_error *err);

struct sl_contact {
    uint64_t days; /* in contact, ever */
    uint64_t day;  /* the last of them */
};
enum syncline_status sl_contact_put(struct sl_peer_log *log, const struct sl_contact *contact,
                                    struct sl_error *err);
/* All zero: there was none. */
enum syncline_status sl_contact_get(struct sl_peer_log *log, struct sl_contact *contact,
                                    struct sl_error *err);

#endif
