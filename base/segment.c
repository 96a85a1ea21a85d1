/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/segment.h"

#include <string.h>

_Static_assert(SL_SEGMENT_HASHED_SIZE + SL_SEGMENT_SIGNATURE_SIZE == SL_SEGMENT_HEADER_SIZE,
               "the signature ends the header");

static const uint8_t magic[4] = {'S', 'L', 'S', 'G'};

static void put_u16(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)(value & 0xff);
    out[1] = (uint8_t)(value >> 8);
}

void sl_segment_encode_header(const struct sl_segment *segment,
                              uint8_t header[SL_SEGMENT_HEADER_SIZE])
{
    memcpy(header, magic, sizeof(magic));
    put_u16(header + 4, SL_SEGMENT_VERSION);
    put_u16(header + 6, (uint16_t)segment->flags);
    memcpy(header + 8, segment->library_id.bytes, 16);
    memcpy(header + 24, segment->origin.device.bytes, 16);
    sl_put_u64(header + 40, segment->origin.epoch);
    sl_put_u64(header + 48, segment->first_seq);
    sl_put_u32(header + 56, segment->len);
    sl_put_u32(header + 60, segment->raw_size);
    sl_put_u64(header + 64, segment->first_hlc);
    sl_put_u64(header + 72, segment->last_hlc);
    memcpy(header + 80, segment->prev_hash, SL_HASH_SIZE);
    memcpy(header + 112, segment->signature, SL_SEGMENT_SIGNATURE_SIZE);
}

static enum syncline_status check_fields(const struct sl_segment *segment, struct sl_error *err)
{
    const char *wrong = NULL;
    if (segment->len == 0 || segment->len > SL_BATCH_LEN_MAX) {
        wrong = "number of changes";
    } else if (segment->first_seq == 0 ||
               segment->first_seq > (uint64_t)INT64_MAX - SL_BATCH_LEN_MAX) {
        wrong = "first seq";
    } else if (segment->origin.epoch > INT64_MAX) {
        wrong = "epoch";
    } else if ((segment->flags & ~(SL_SEGMENT_ZSTD | SL_SEGMENT_CONTINUED | SL_SEGMENT_BIRTHS)) !=
               0) {
        wrong = "flags";
    } else if (segment->raw_size == 0 || segment->raw_size > SL_SEGMENT_RAW_MAX) {
        wrong = "size before compression";
    } else if ((segment->flags & SL_SEGMENT_ZSTD) == 0 && segment->raw_size != segment->body_size) {
        wrong = "size of the body";
    } else if (segment->last_hlc > INT64_MAX || segment->first_hlc > segment->last_hlc ||
               segment->last_hlc - segment->first_hlc < segment->len - 1) {
        wrong = "clock values";
    }
    if (wrong != NULL) {
        return sl_fail(err, SYNCLINE_EPROTO, "segment: its %s cannot be right", wrong);
    }
    return SYNCLINE_OK;
}

/* All fields of the header but those that the body decides. */
static enum syncline_status read_header(struct sl_reader *in, struct sl_segment *parsed,
                                        struct sl_error *err)
{
    const uint8_t *found = sl_read_bytes(in, sizeof(magic));
    if (found == NULL || memcmp(found, magic, sizeof(magic)) != 0) {
        return sl_fail(err, SYNCLINE_EPROTO, "segment: does not begin like one");
    }
    uint16_t version = sl_read_u16(in);
    if (version != SL_SEGMENT_VERSION) {
        return sl_fail(err, SYNCLINE_EFORMAT,
                       "segment: version %u, this program reads version %d; upgrade it", version,
                       SL_SEGMENT_VERSION);
    }
    *parsed = (struct sl_segment){.flags = sl_read_u16(in)};
    sl_read_copy(in, parsed->library_id.bytes, 16);
    sl_read_copy(in, parsed->origin.device.bytes, 16);
    parsed->origin.epoch = sl_read_u64(in);
    parsed->first_seq = sl_read_u64(in);
    parsed->len = sl_read_u32(in);
    parsed->raw_size = sl_read_u32(in);
    parsed->first_hlc = sl_read_u64(in);
    parsed->last_hlc = sl_read_u64(in);
    sl_read_copy(in, parsed->prev_hash, SL_HASH_SIZE);
    sl_read_copy(in, parsed->signature, SL_SEGMENT_SIGNATURE_SIZE);
    return SYNCLINE_OK;
}

enum syncline_status sl_segment_parse(struct sl_segment *segment, const void *data, size_t size,
                                      struct sl_error *err)
{
    if (size <= SL_SEGMENT_HEADER_SIZE || size > SL_SEGMENT_SIZE_MAX) {
        return sl_fail(err, SYNCLINE_EPROTO, "segment: %zu bytes, where %d to %u are allowed", size,
                       SL_SEGMENT_HEADER_SIZE + 1, SL_SEGMENT_SIZE_MAX);
    }
    struct sl_reader in;
    struct sl_segment parsed;
    sl_reader_init(&in, data, size);
    enum syncline_status status = read_header(&in, &parsed, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    parsed.body_size = size - SL_SEGMENT_HEADER_SIZE;
    parsed.body = sl_read_bytes(&in, parsed.body_size);
    status = check_fields(&parsed, err);
    if (status == SYNCLINE_OK) {
        *segment = parsed;
    }
    return status;
}

/* Of a header and the hash of a body. */
static enum syncline_status hash_of(struct sl_hasher *hasher, const uint8_t *header,
                                    const uint8_t body_hash[SL_HASH_SIZE],
                                    uint8_t hash[SL_HASH_SIZE])
{
    static const char domain[] = "syncline segment"; /* with its NUL */
    sl_hasher_update(hasher, domain, sizeof(domain));
    sl_hasher_update(hasher, header, SL_SEGMENT_HASHED_SIZE);
    sl_hasher_update(hasher, body_hash, SL_HASH_SIZE);
    return sl_hasher_finish(hasher, hash) ? SYNCLINE_OK : SYNCLINE_ENOMEM;
}

enum syncline_status sl_segment_hash(struct sl_hasher *hasher,
                                     const uint8_t header[SL_SEGMENT_HEADER_SIZE], const void *body,
                                     size_t body_size, uint8_t hash[SL_HASH_SIZE])
{
    uint8_t body_hash[SL_HASH_SIZE];
    sl_hasher_update(hasher, body, body_size);
    return sl_hasher_finish(hasher, body_hash) ? hash_of(hasher, header, body_hash, hash)
                                               : SYNCLINE_ENOMEM;
}

enum syncline_status sl_segment_end(struct sl_hasher *hasher, const void *data, size_t size,
                                    uint8_t end[SL_SEGMENT_END_SIZE])
{
    const uint8_t *body = (const uint8_t *)data + SL_SEGMENT_HEADER_SIZE;
    memcpy(end, data, SL_SEGMENT_HEADER_SIZE);
    sl_hasher_update(hasher, body, size - SL_SEGMENT_HEADER_SIZE);
    return sl_hasher_finish(hasher, end + SL_SEGMENT_HEADER_SIZE) ? SYNCLINE_OK : SYNCLINE_ENOMEM;
}

enum syncline_status sl_segment_end_parse(struct sl_segment *segment,
                                          const uint8_t end[SL_SEGMENT_END_SIZE],
                                          struct sl_error *err)
{
    struct sl_reader in;
    struct sl_segment parsed;
    sl_reader_init(&in, end, SL_SEGMENT_HEADER_SIZE);
    enum syncline_status status = read_header(&in, &parsed, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    parsed.body_size = parsed.raw_size; /* how long it is nobody can say any more */
    status = check_fields(&parsed, err);
    if (status == SYNCLINE_OK) {
        parsed.body_size = 0;
        *segment = parsed;
    }
    return status;
}

enum syncline_status sl_segment_end_hash(struct sl_hasher *hasher,
                                         const uint8_t end[SL_SEGMENT_END_SIZE],
                                         uint8_t hash[SL_HASH_SIZE])
{
    return hash_of(hasher, end, end + SL_SEGMENT_HEADER_SIZE, hash);
}

enum syncline_status sl_origin_hash(struct sl_hasher *hasher,
                                    const struct syncline_uuid *library_id,
                                    const struct sl_origin *origin, uint8_t hash[SL_HASH_SIZE])
{
    static const char domain[] = "syncline origin"; /* with its NUL */
    uint8_t epoch[8];
    sl_put_u64(epoch, origin->epoch);
    sl_hasher_update(hasher, domain, sizeof(domain));
    sl_hasher_update(hasher, library_id->bytes, 16);
    sl_hasher_update(hasher, origin->device.bytes, 16);
    sl_hasher_update(hasher, epoch, sizeof(epoch));
    return sl_hasher_finish(hasher, hash) ? SYNCLINE_OK : SYNCLINE_ENOMEM;
}
