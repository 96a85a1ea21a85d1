/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/vector.h"

#include <string.h>

#include "base/bytes.h"

#define EPOCH_AT 16u
#define HELD_AT 24u
#define HASH_AT 32u
#define APPLIED_AT 64u

_Static_assert(APPLIED_AT + 8u == SL_VECTOR_ENTRY_SIZE, "the fields of an entry");

bool sl_uuid_equal(const struct syncline_uuid *a, const struct syncline_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

uint32_t sl_uuid_hash(const struct syncline_uuid *uuid)
{
    uint64_t words[2];
    memcpy(words, uuid->bytes, sizeof(words));
    /* The last bytes, in which neighbours differ, are the highest of a word on little-endian
     * machines: a product alone would leave them there. */
    uint64_t mixed = words[0] * 0xff51afd7ed558ccdu ^ words[1];
    mixed = (mixed ^ mixed >> 32) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 32);
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

struct syncline_uuid sl_uuid_before(const struct syncline_uuid *uuid)
{
    struct syncline_uuid lower = *uuid;
    for (size_t i = sizeof(lower.bytes); i > 0 && lower.bytes[i - 1]-- == 0; i--) {
        continue; /* borrow */
    }
    return lower;
}

bool sl_uuid_in_run(const struct syncline_uuid *uuid, const struct syncline_uuid *first, uint64_t n)
{
    uint64_t low = half(uuid, 8) - half(first, 8);
    uint64_t borrow = half(uuid, 8) < half(first, 8) ? 1 : 0;
    uint64_t high = half(uuid, 0) - half(first, 0) - borrow;
    return high == 0 && low < n;
}

void sl_vector_entry_encode(const struct sl_vector_entry *entry, uint8_t out[SL_VECTOR_ENTRY_SIZE])
{
    memcpy(out, entry->origin.device.bytes, sizeof(entry->origin.device.bytes));
    sl_put_u64(out + EPOCH_AT, entry->origin.epoch);
    sl_put_u64(out + HELD_AT, entry->held_seq);
    memcpy(out + HASH_AT, entry->held_hash, SL_HASH_SIZE);
    sl_put_u64(out + APPLIED_AT, entry->applied_seq);
}

enum syncline_status sl_vector_entry_decode(const uint8_t in[SL_VECTOR_ENTRY_SIZE],
                                            struct sl_vector_entry *out, struct sl_error *err)
{
    struct sl_vector_entry entry;
    memcpy(entry.origin.device.bytes, in, sizeof(entry.origin.device.bytes));
    entry.origin.epoch = sl_get_u64(in + EPOCH_AT);
    entry.held_seq = sl_get_u64(in + HELD_AT);
    memcpy(entry.held_hash, in + HASH_AT, SL_HASH_SIZE);
    entry.applied_seq = sl_get_u64(in + APPLIED_AT);
    if (entry.origin.epoch >> 63 != 0) {
        return sl_fail(err, SYNCLINE_EPROTO, "a vector with an epoch of 2^63 or more");
    }
    if (entry.applied_seq > entry.held_seq) {
        return sl_fail(err, SYNCLINE_EPROTO, "a vector with more applied than held");
    }
    *out = entry;
    return SYNCLINE_OK;
}
