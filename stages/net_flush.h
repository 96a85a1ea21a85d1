/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* net_flush: sends each connected member what it lacks of the logs that are held here - this
 * device's own and those of others, which it passes on as they came.
 *
 * While the library is paused nothing is sent; vectors still are, which are the network's own.
 *
 * Happy path: the member's vector says what it holds; from there on segments are read from the log
 * and queued to its link until the link's queue is full; the rest follows when that has drained.
 * Every member has a place of its own in each origin's log (stream.h), so a slow one delays nobody,
 * and origins take turns, so none delays another. A link that breaks loses nothing: the next vector
 * says again what is missing. Only what is durable in the log here is sent.
 *
 * A member that lacks what was pruned here is told so (FLOOR), and gets nothing of what comes after
 * it: the tail would leave a gap.
 *
 * A vector that claims more of this log than there is, or another hash at the same place, comes
 * from a time that this device has lost: refused, since it cannot be told yet which of the two is
 * right. */

#ifndef SL_NET_FLUSH_H
#define SL_NET_FLUSH_H

#include "stages/shared.h"

struct sl_net_flush {
    struct sl_core *core;
    size_t next; /* member to begin with */
};

void sl_net_flush_init(struct sl_net_flush *flush, struct sl_core *core);
bool sl_net_flush_run(void *stage);

#endif
