/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* "host:port" as values. Pure: no names are looked up. Any thread. */

#ifndef SL_ADDRESS_H
#define SL_ADDRESS_H

#include "base/status.h"

#include <netinet/in.h>

union sl_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* Takes "1.2.3.4:port", "[::1]:port" or "localhost:port" (which is 127.0.0.1). Errors: EINVAL. */
enum syncline_status sl_address_parse(const char *text, union sl_address *address,
                                      struct sl_error *err);

/* Writes what sl_address_parse would take. Errors: EINVAL (neither IPv4 nor IPv6). */
enum syncline_status sl_address_format(const union sl_address *address,
                                       char text[SL_ADDRESS_SIZE_MAX + 1]);

#endif
