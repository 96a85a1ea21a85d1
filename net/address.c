/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/address.h"

#include "net/transport.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

/* "0" to "65535", digits only, at most five of them. */
static bool parse_port(const char *text, in_port_t *port)
{
    uint32_t value = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *port = htons((uint16_t)value);
    return true;
}

static bool parse_host(const char *host, in_port_t port, union sl_address *address)
{
    size_t len = strlen(host);

    memset(address, 0, sizeof(*address));
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        char inner[INET6_ADDRSTRLEN];
        if (len - 2 >= sizeof(inner))
            return false;
        memcpy(inner, host + 1, len - 2);
        inner[len - 2] = '\0';
        address->ipv6.sin6_family = AF_INET6;
        address->ipv6.sin6_port = port;
        return inet_pton(AF_INET6, inner, &address->ipv6.sin6_addr) == 1;
    }
    address->ipv4.sin_family = AF_INET;
    address->ipv4.sin_port = port;
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                     &address->ipv4.sin_addr) == 1;
}

enum syncline_status sl_address_parse(const char *text, union sl_address *address,
                                      struct sl_error *err)
{
    char host[SL_ADDRESS_SIZE_MAX + 1];
    union sl_address parsed;
    in_port_t port;
    const char *colon = strrchr(text, ':');
    size_t host_len = colon == NULL ? 0 : (size_t)(colon - text);
    bool ok = colon != NULL && strlen(text) <= SL_ADDRESS_SIZE_MAX && parse_port(colon + 1, &port);

    if (ok) {
        memcpy(host, text, host_len);
        host[host_len] = '\0';
        ok = parse_host(host, port, &parsed);
    }
    if (!ok)
        return sl_fail(err, SYNCLINE_EINVAL,
                       "\"%.80s\" is not an address; write one like 127.0.0.1:7000, [::1]:7000 or "
                       "localhost:7000",
                       text);
    *address = parsed;
    return SYNCLINE_OK;
}

enum syncline_status sl_address_format(const union sl_address *address,
                                       char text[SL_ADDRESS_SIZE_MAX + 1])
{
    char host[INET6_ADDRSTRLEN];

    if (address->any.sa_family == AF_INET &&
        inet_ntop(AF_INET, &address->ipv4.sin_addr, host, sizeof(host)) != NULL) {
        (void)snprintf(text, SL_ADDRESS_SIZE_MAX + 1, "%s:%u", host, ntohs(address->ipv4.sin_port));
        return SYNCLINE_OK;
    }
    if (address->any.sa_family == AF_INET6 &&
        inet_ntop(AF_INET6, &address->ipv6.sin6_addr, host, sizeof(host)) != NULL) {
        (void)snprintf(text, SL_ADDRESS_SIZE_MAX + 1, "[%s]:%u", host,
                       ntohs(address->ipv6.sin6_port));
        return SYNCLINE_OK;
    }
    return SYNCLINE_EINVAL;
}

enum syncline_status sl_address_check_loopback(const char *text, struct sl_error *err)
{
    union sl_address address;
    enum syncline_status status = sl_address_parse(text, &address, err);

    if (status != SYNCLINE_OK)
        return status;
    bool loopback = address.any.sa_family == AF_INET
                        ? ntohl(address.ipv4.sin_addr.s_addr) >> 24 == 127
                        : IN6_IS_ADDR_LOOPBACK(&address.ipv6.sin6_addr) != 0;
    if (!loopback)
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "%s is not a loopback address; nobody is authenticated yet, so only "
                       "127.0.0.1, [::1] and localhost may be used",
                       text);
    return SYNCLINE_OK;
}
