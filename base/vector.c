/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/vector.h"

#include <string.h>

bool sl_uuid_equal(const struct syncline_uuid *a, const struct syncline_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int sl_uuid_compare(const struct syncline_uuid *a, const struct syncline_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool sl_origin_equal(const struct sl_origin *a, const struct sl_origin *b)
{
    return a->epoch == b->epoch && sl_uuid_equal(&a->device, &b->device);
}

void sl_uuid_format(const struct syncline_uuid *uuid, char text[37])
{
    static const char digits[] = "0123456789abcdef";
    char *out = text;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[uuid->bytes[i] >> 4];
        *out++ = digits[uuid->bytes[i] & 0x0f];
    }
    *out = '\0';
}

struct syncline_uuid sl_uuid_add(const struct syncline_uuid *uuid, uint64_t n)
{
    struct syncline_uuid sum = *uuid;
    unsigned carry = 0;
    for (size_t i = sizeof(sum.bytes); i-- > 0;) {
        unsigned digit = sum.bytes[i] + (unsigned)(n & 0xff) + carry;
        sum.bytes[i] = (uint8_t)digit;
        carry = digit >> 8;
        n >>= 8;
    }
    return sum;
}

/* Big-endian halves of a UUID. */
static uint64_t half(const struct syncline_uuid *uuid, size_t at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value = value << 8 | uuid->bytes[at + i];
    }
    return value;
}

bool sl_uuid_in_run(const struct syncline_uuid *uuid, const struct syncline_uuid *first, uint64_t n)
{
    uint64_t low = half(uuid, 8) - half(first, 8);
    uint64_t borrow = half(uuid, 8) < half(first, 8) ? 1 : 0;
    uint64_t high = half(uuid, 0) - half(first, 0) - borrow;
    return high == 0 && low < n;
}
