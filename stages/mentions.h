/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Which later outbox row mentions a record again? Asked when records are read again from their
 * tables: what is there belongs to the last mention, and must not be sent with an earlier one -
 * another device could build on it, and then lose to the mention that is still to come.
 *
 * Each outbox row is looked at once; only rows that can be a second mention are remembered:
 * updates, and inserts of a model of which something was deleted. Forgotten when the outbox is read
 * to its end. Intake's thread, inside its read transaction. */

#ifndef SL_MENTIONS_H
#define SL_MENTIONS_H

#include "stages/shared.h"

struct sl_mention;

struct sl_mentions {
    struct sl_arena arena;    /* entries and table */
    struct sl_mention *table; /* open addressing; in the arena */
    size_t capacity;          /* a power of two, or 0 */
    size_t len;
    int64_t scanned_to; /* outbox rows up to this one are in */
};

void sl_mentions_init(struct sl_mentions *mentions, const struct sl_allocator *alloc);
void sl_mentions_fini(struct sl_mentions *mentions);
void sl_mentions_clear(struct sl_mentions *mentions);

/* Takes in the rows after max(scanned_to, row_id). Errors: EDB, ENOMEM, ... */
enum syncline_status sl_mentions_scan(struct sl_mentions *mentions, struct sl_core *core,
                                      int64_t row_id, struct sl_error *err);
/* The last row that mentions the record, or 0. */
int64_t sl_mentions_last(const struct sl_mentions *mentions, int64_t model,
                         const struct syncline_uuid *uuid);

#endif
