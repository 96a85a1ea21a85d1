/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Origins and vectors: what a device has of each origin's changes. */

#ifndef SL_VECTOR_H
#define SL_VECTOR_H

#include "base/status.h"

#define SL_HASH_SIZE 32

/* Where a change was made. An epoch ends when a device is restored or copied. */
struct sl_origin {
    struct syncline_uuid device;
    uint64_t epoch; /* counter << 48 | 48 random bits; below 2^63 */
};

/* One line of a vector. seq 0 is "nothing yet"; held_hash is then the origin's initial hash. */
struct sl_vector_entry {
    struct sl_origin origin;
    uint64_t held_seq;               /* highest without a gap in the log: always a segment's end */
    uint8_t held_hash[SL_HASH_SIZE]; /* of the segment that ends there */
    uint64_t applied_seq;            /* highest without a gap in the tables; <= held_seq */
};

bool sl_uuid_equal(const struct syncline_uuid *a, const struct syncline_uuid *b);
/* For tables of slots: all bits depend on all of the UUID, so that those that count up do not
 * meet. */
uint32_t sl_uuid_hash(const struct syncline_uuid *uuid);
int sl_uuid_compare(const struct syncline_uuid *a, const struct syncline_uuid *b);
bool sl_origin_equal(const struct sl_origin *a, const struct sl_origin *b);

#define SL_VECTOR_ENTRY_SIZE 72u

/* An entry as bytes, little-endian: device id (16), epoch (8), held seq (8), hash (32), applied seq
 * (8). Decoding fails with EPROTO for an epoch of 2^63 or more, or more applied than held. */
void sl_vector_entry_encode(const struct sl_vector_entry *entry, uint8_t out[SL_VECTOR_ENTRY_SIZE]);
enum syncline_status sl_vector_entry_decode(const uint8_t in[SL_VECTOR_ENTRY_SIZE],
                                            struct sl_vector_entry *entry, struct sl_error *err);

/* Writes 8-4-4-4-12 hex digits and a NUL. */
void sl_uuid_format(const struct syncline_uuid *uuid, char text[37]);

/* *uuid + n as one 128-bit number in network order. Wraps. */
struct syncline_uuid sl_uuid_add(const struct syncline_uuid *uuid, uint64_t n);
/* *uuid - 1, likewise. */
struct syncline_uuid sl_uuid_before(const struct syncline_uuid *uuid);
/* Is the UUID one of first, first + 1, ... first + n - 1? */
bool sl_uuid_in_run(const struct syncline_uuid *uuid, const struct syncline_uuid *first,
                    uint64_t n);

#endif
