/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/transport.h"

static void close_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    (void)ctx;
    (void)dial_tag;
    link->transport->ops->close(link);
}

static void ignore_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)link;
    (void)data;
    (void)len;
}

static void ignore_closed(void *ctx, struct sl_link *link)
{
    (void)ctx;
    (void)link;
}

static void ignore_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    (void)ctx;
    (void)dial_tag;
    (void)reason;
}

void sl_transport_detach(struct sl_transport *transport)
{
    static const struct sl_transport_events nobody = {
        .opened = close_opened,
        .received = ignore_received,
        .closed = ignore_closed,
        .dial_failed = ignore_dial_failed,
    };

    transport->ops->set_events(transport, &nobody, NULL);
}
