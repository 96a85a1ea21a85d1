/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The header of a segment: sealed changes of one origin, what the log stores and the network sends.
 *
 *     offset size
 *          0    4  "SLSG"
 *          4    2  version, 1
 *          6    2  flags: bit 0, the body is zstd; bit 1, continued: keys of its records may point
 *                  at records of later segments, up to and with the first that is not continued;
 *                  nothing depends on it, as what lacks a parent waits; bit 2, births: some of its
 *                  changes are inserts, for which it is kept when the log is pruned
 *          8   16  library id
 *         24   16  device id of the origin
 *         40    8  epoch of the origin
 *         48    8  seq of the first change
 *         56    4  changes, >= 1; their seqs are dense
 *         60    4  bytes of the body before compression
 *         64    8  HLC of the first change
 *         72    8  HLC of the last change
 *         80   32  hash of the origin's segment before this one; of the origin itself before the
 * first 112   64  Ed25519 signature of the origin over the hash of this segment 176       body, to
 * the end: groups of changes, see base/group.h
 *
 * Integers are little-endian. The hash of a segment is SHA-256 over "syncline segment" 0x00, its
 * first 112 bytes and the SHA-256 of its body as stored; the signature is over that hash. The hash
 * of an origin is SHA-256 over "syncline origin" 0x00, library id, device id and epoch. A segment
 * is valid when every field is within its limit, its predecessor's hash is the one in the log, and
 * the signature is by the key whose SHA-256 begins with the device id.
 *
 * The end of a segment is what remains of one that is pruned: its header, and the SHA-256 of its
 * body. It proves by the origin's signature that the log had this hash at this seq. */

#ifndef SL_SEGMENT_H
#define SL_SEGMENT_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"

#define SL_SEGMENT_VERSION 1
#define SL_SEGMENT_HEADER_SIZE 176
#define SL_SEGMENT_HASHED_SIZE 112
#define SL_SEGMENT_SIGNATURE_SIZE 64
#define SL_SEGMENT_END_SIZE (SL_SEGMENT_HEADER_SIZE + SL_HASH_SIZE)
#define SL_SEGMENT_ZSTD 1u
#define SL_SEGMENT_CONTINUED 2u
#define SL_SEGMENT_BIRTHS 4u

struct sl_segment {
    struct syncline_uuid library_id;
    struct sl_origin origin;
    uint64_t first_seq;
    uint32_t len;      /* changes */
    uint32_t flags;    /* SL_SEGMENT_ZSTD, SL_SEGMENT_CONTINUED, SL_SEGMENT_BIRTHS */
    uint32_t raw_size; /* bytes of the body before compression */
    uint64_t first_hlc;
    uint64_t last_hlc;
    uint8_t prev_hash[SL_HASH_SIZE];
    uint8_t signature[SL_SEGMENT_SIGNATURE_SIZE];
    const uint8_t *body; /* borrowed from the bytes parsed */
    size_t body_size;
};

static inline uint64_t sl_segment_last_seq(const struct sl_segment *segment)
{
    return segment->first_seq + (segment->len - 1);
}

/* Writes the header; `signature` may be filled in later. */
void sl_segment_encode_header(const struct sl_segment *segment,
                              uint8_t header[SL_SEGMENT_HEADER_SIZE]);
/* Reads and checks everything but hash chain and signature. Errors: EPROTO (what is wrong), EFORMAT
 * (a newer version). */
enum syncline_status sl_segment_parse(struct sl_segment *segment, const void *data, size_t size,
                                      struct sl_error *err);
/* The hash of a segment from its bytes. Errors: ENOMEM. */
enum syncline_status sl_segment_hash(struct sl_hasher *hasher,
                                     const uint8_t header[SL_SEGMENT_HEADER_SIZE], const void *body,
                                     size_t body_size, uint8_t hash[SL_HASH_SIZE]);
/* The end of a segment that sl_segment_parse has taken. Errors: ENOMEM. */
enum syncline_status sl_segment_end(struct sl_hasher *hasher, const void *data, size_t size,
                                    uint8_t end[SL_SEGMENT_END_SIZE]);
/* Reads one, as sl_segment_parse does a segment; there is no body. Errors: the same. */
enum syncline_status sl_segment_end_parse(struct sl_segment *segment,
                                          const uint8_t end[SL_SEGMENT_END_SIZE],
                                          struct sl_error *err);
/* The hash of the segment that it is the end of. Errors: ENOMEM. */
enum syncline_status sl_segment_end_hash(struct sl_hasher *hasher,
                                         const uint8_t end[SL_SEGMENT_END_SIZE],
                                         uint8_t hash[SL_HASH_SIZE]);
enum syncline_status sl_origin_hash(struct sl_hasher *hasher,
                                    const struct syncline_uuid *library_id,
                                    const struct sl_origin *origin, uint8_t hash[SL_HASH_SIZE]);

#endif
