/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* TCP on libuv. One loop per transport, run inside poll. Addresses are numeric, or "localhost". */

#ifndef SL_TRANSPORT_TCP_H
#define SL_TRANSPORT_TCP_H

#include "base/alloc.h"
#include "net/transport.h"

/* Errors: ENOMEM, ENET. On success *out is to be freed with its ops->free; the
 * allocator is borrowed until then. What libuv itself needs is the C library's. */
enum syncline_status sl_transport_tcp_new(const struct sl_allocator *alloc,
                                          struct sl_transport **out, struct sl_error *err);

#endif
