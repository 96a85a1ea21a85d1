/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Version 7 (RFC 9562, 5.7), bytes in network order:
 *
 *     0   48 bits  ms since 1970 UTC
 *     6    4 bits  version, 7
 *          12 bits random
 *     8    2 bits  variant, binary 10
 *          1 bit   0 at the start: the carry of the counter ends here
 *          61 bits the counter: random at the start of a call, plus one per UUID
 *
 * The spare bit keeps version and variant right without a special case: a call would have to make
 * 2^61 UUIDs to carry beyond it, and the array of them does not fit in an address space. So the
 * UUIDs of one call are one plain 128-bit run, which is stored as its start and its length. */

#include "base/uuid_new.h"

#include "base/vector.h"

#define MS_BYTES 6u /* bytes of the time */

enum syncline_status sl_uuid_new(const struct sl_env *env, struct syncline_uuid *out, size_t n)
{
    if (out == NULL || n == 0)
        return SYNCLINE_EINVAL;
    struct syncline_uuid first;
    enum syncline_status status =
        env->random(env->ctx, first.bytes + MS_BYTES, sizeof(first.bytes) - MS_BYTES);
    if (status != SYNCLINE_OK)
        return status;
    uint64_t ms = env->wall_ms(env->ctx);
    for (size_t i = 0; i < MS_BYTES; i++)
        first.bytes[i] = (uint8_t)(ms >> (8 * (MS_BYTES - 1 - i)));
    first.bytes[6] = (uint8_t)(0x70u | (first.bytes[6] & 0x0fu));
    first.bytes[8] = (uint8_t)(0x80u | (first.bytes[8] & 0x1fu));
    for (size_t i = 0; i < n; i++)
        out[i] = sl_uuid_add(&first, i);
    return SYNCLINE_OK;
}

enum syncline_status syncline_uuid_new(struct syncline_uuid *out, size_t n)
{
    return sl_uuid_new(sl_env_posix(), out, n);
}
