/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One segment with everything a body can hold in version 1: inserts, updates and deletes, all four
 * encodings, births of this origin and of another, a record with several births. For the tests and
 * for the fuzz target's seeds, so nothing here is Criterion's: a failure aborts. */

#ifndef TESTS_GOLDEN_SEGMENT_H
#define TESTS_GOLDEN_SEGMENT_H

#include "base/group.h"
#include "base/segment.h"
#include "net/identity.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define GOLDEN_LEN 9u
#define GOLDEN_HLC (1700000000000u << SL_HLC_COUNTER_BITS)

static inline void golden_check(bool holds)
{
    if (!holds)
        abort();
}

static inline struct syncline_uuid golden_uuid(uint8_t first, uint8_t last)
{
    struct syncline_uuid uuid = {{first}};
    uuid.bytes[15] = last;
    return uuid;
}

static inline struct sl_identity golden_identity(void)
{
    struct sl_identity identity;
    uint8_t key[SL_KEY_SIZE];
    for (uint8_t i = 0; i < SL_KEY_SIZE; i++)
        key[i] = i;
    golden_check(sl_identity_init(&identity, key, NULL) == SYNCLINE_OK);
    return identity;
}

static inline struct sl_origin golden_origin(void)
{
    struct sl_origin origin = {.device = golden_identity().device_id, .epoch = 1ull << 48 | 42};
    return origin;
}

static inline struct sl_value golden_value(void *ctx, uint32_t i)
{
    const struct sl_value *values = (const struct sl_value *)ctx;
    return values[i];
}

static inline struct sl_value golden_int(int64_t value)
{
    struct sl_value made = {.type = SL_INT64, .as = {.int64 = value}};
    return made;
}

static inline struct sl_value golden_span(enum sl_value_type type, const void *data, uint32_t size)
{
    struct sl_value made = {.type = type, .size = size, .as = {.data = data}};
    return made;
}

/* Appends the three groups. */
static inline void golden_body(struct sl_buf *buf)
{
    struct sl_arena scratch;
    sl_arena_init(&scratch, &sl_allocator_libc);
    struct sl_origin self = golden_origin();
    struct sl_origin other = {.device = golden_uuid(0xbb, 0xbb), .epoch = 5};

    struct syncline_uuid entries[4] = {
        golden_uuid(1, 0xfe), golden_uuid(1, 0xff), {{1}}, golden_uuid(2, 0)};
    entries[2].bytes[14] = 1; /* the carry: still the same run */
    struct syncline_uuid parents[2] = {golden_uuid(3, 1), golden_uuid(4, 1)};
    struct sl_value keys[4] = {golden_span(SL_BLOB, &parents[0], 16),
                               golden_span(SL_BLOB, &parents[0], 16),
                               {.type = SL_NULL},
                               golden_span(SL_BLOB, &parents[1], 16)};
    struct sl_value sizes[4] = {golden_int(1000000), golden_int(1000001), golden_int(1000001),
                                golden_int(-5)};
    struct sl_value kinds[4] = {golden_int(2), golden_int(2), golden_int(2), golden_int(2)};
    struct sl_value mixed[4] = {{.type = SL_DOUBLE, .as = {.real = 1.5}},
                                {.type = SL_BOOL, .as = {.int64 = 1}},
                                {.type = SL_NULL},
                                golden_span(SL_BLOB, "\x00\xff", 2)};
    struct sl_group_head inserts = {.model = "entry",
                                    .change = SYNCLINE_INSERT,
                                    .class = SYNCLINE_DEVICE_OWNED,
                                    .n = 4,
                                    .uuids = entries,
                                    .self = self,
                                    .column_count = 4};
    sl_group_write_hlc(buf, GOLDEN_HLC);
    sl_group_write_head(buf, &inserts);
    sl_group_write_column(buf, "parent_uuid", true, 4, golden_value, keys, &scratch);
    sl_group_write_column(buf, "size", false, 4, golden_value, sizes, &scratch);
    sl_group_write_column(buf, "kind", false, 4, golden_value, kinds, &scratch);
    sl_group_write_column(buf, "mixed", false, 4, golden_value, mixed, &scratch);

    struct syncline_uuid tags[3] = {golden_uuid(5, 1), golden_uuid(5, 2), golden_uuid(9, 9)};
    struct sl_birth births[3] = {{self, 7}, {self, 8}, {other, 300}};
    struct sl_value names[3] = {golden_span(SL_TEXT, "red", 3), golden_span(SL_TEXT, "", 0),
                                golden_span(SL_TEXT, "blue", 4)};
    struct sl_group_head updates = {.model = "tag",
                                    .change = SYNCLINE_UPDATE,
                                    .class = SYNCLINE_SHARED,
                                    .n = 3,
                                    .uuids = tags,
                                    .births = births,
                                    .self = self,
                                    .column_count = 1};
    sl_group_write_hlc(buf, GOLDEN_HLC + 4);
    sl_group_write_head(buf, &updates);
    sl_group_write_column(buf, "name", false, 3, golden_value, names, &scratch);

    struct sl_group_head deletes = updates;
    deletes.change = SYNCLINE_DELETE;
    deletes.n = 2;
    deletes.uuids = tags + 1;
    deletes.births = births + 1;
    struct sl_further_birth further = {.i = 1, .birth = {self, 9}};
    deletes.further = &further;
    deletes.further_len = 1;
    deletes.column_count = 0;
    sl_group_write_hlc(buf, GOLDEN_HLC + 100);
    sl_group_write_head(buf, &deletes);
    golden_check(!buf->failed);
    sl_arena_fini(&scratch);
}

static inline struct sl_segment golden_header(void)
{
    struct sl_segment segment = {.library_id = golden_uuid(0x11, 0x22),
                                 .origin = golden_origin(),
                                 .first_seq = 101,
                                 .len = GOLDEN_LEN,
                                 .flags = SL_SEGMENT_CONTINUED,
                                 .first_hlc = GOLDEN_HLC,
                                 .last_hlc = GOLDEN_HLC + 101};
    memset(segment.prev_hash, 0xcc, sizeof(segment.prev_hash));
    return segment;
}

/* Appends header, signature and body: a whole segment. */
static inline void golden_seal(struct sl_buf *out, struct sl_segment *segment, const void *body,
                               size_t body_size)
{
    uint8_t header[SL_SEGMENT_HEADER_SIZE];
    uint8_t hash[SL_HASH_SIZE];
    struct sl_identity identity = golden_identity();
    struct sl_signer *signer = NULL;
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    golden_check(hasher != NULL &&
                 sl_signer_new(&sl_allocator_libc, &identity, &signer) == SYNCLINE_OK);
    sl_segment_encode_header(segment, header);
    golden_check(sl_segment_hash(hasher, header, body, body_size, hash) == SYNCLINE_OK);
    golden_check(sl_sign(signer, hash, sizeof(hash), segment->signature) == SYNCLINE_OK);
    sl_segment_encode_header(segment, header);
    sl_buf_bytes(out, header, sizeof(header));
    sl_buf_bytes(out, body, body_size);
    golden_check(!out->failed);
    sl_signer_free(signer);
    sl_hasher_free(hasher);
}

/* Appends the segment, its body as it is or compressed. */
static inline void golden_segment(struct sl_buf *out, bool compressed)
{
    struct sl_buf body;
    struct sl_segment segment = golden_header();
    sl_buf_init(&body, &sl_allocator_libc);
    golden_body(&body);
    segment.raw_size = (uint32_t)body.len;
    if (compressed) {
        uint8_t packed[4096];
        size_t size = ZSTD_compress(packed, sizeof(packed), body.data, body.len, 3);
        golden_check(!ZSTD_isError(size));
        segment.flags |= SL_SEGMENT_ZSTD;
        golden_seal(out, &segment, packed, size);
    } else {
        golden_seal(out, &segment, body.data, body.len);
    }
    sl_buf_fini(&body);
}

#endif
