/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* In one process, on one thread: links are pairs of queues. poll never waits. */

#ifndef SL_TRANSPORT_LOCAL_H
#define SL_TRANSPORT_LOCAL_H

#include "base/alloc.h"
#include "net/transport.h"

struct sl_local_hub; /* the "network" that local transports share */

/* The allocator, borrowed for the hub's life, is its transports' too. */
enum syncline_status sl_local_hub_new(const struct sl_allocator *alloc, struct sl_local_hub **out);
/* Only after all its transports were freed. */
void sl_local_hub_free(struct sl_local_hub *hub);

/* A transport on the hub; addresses are any non-empty text. Free with its ops->free. */
enum syncline_status sl_transport_local_new(struct sl_local_hub *hub, struct sl_transport **out);

#endif
