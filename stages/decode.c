/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/decode.h"

#include <string.h>

enum syncline_status sl_decoded_init(struct sl_decoded *decoded, const struct sl_allocator *alloc,
                                     struct sl_error *err)
{
    memset(decoded, 0, sizeof(*decoded));
    sl_arena_init(&decoded->arena, alloc);
    sl_buf_init(&decoded->raw, alloc);
    decoded->zstd = ZSTD_createDCtx();
    if (decoded->zstd == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to decompress");
    }
    return SYNCLINE_OK;
}

void sl_decoded_fini(struct sl_decoded *decoded)
{
    (void)ZSTD_freeDCtx(decoded->zstd);
    decoded->zstd = NULL;
    sl_arena_fini(&decoded->arena);
    sl_buf_fini(&decoded->raw);
}

static enum syncline_status decompress(struct sl_decoded *decoded, const struct sl_segment *segment,
                                       struct sl_error *err)
{
    sl_buf_clear(&decoded->raw);
    if (!sl_buf_reserve(&decoded->raw, segment->raw_size)) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment of %u bytes",
                       segment->raw_size);
    }
    if ((segment->flags & SL_SEGMENT_ZSTD) == 0) {
        sl_buf_bytes(&decoded->raw, segment->body, segment->body_size);
        return SYNCLINE_OK;
    }
    size_t size = ZSTD_decompressDCtx(decoded->zstd, decoded->raw.data, segment->raw_size,
                                      segment->body, segment->body_size);
    if (ZSTD_isError(size) || size != segment->raw_size) {
        return sl_fail(err, SYNCLINE_EPROTO, "segment: its body does not decompress to %u bytes",
                       segment->raw_size);
    }
    decoded->raw.len = size;
    return SYNCLINE_OK;
}

static enum syncline_status read_groups(struct sl_decoded *decoded, struct sl_error *err)
{
    struct sl_segment *segment = &decoded->segment;
    struct sl_msgpack in;
    sl_msgpack_init(&in, decoded->raw.data, decoded->raw.len);
    uint32_t left = segment->len;
    uint32_t capacity = 0;
    uint64_t hlc_least = segment->first_hlc;
    uint64_t cells = 0;
    while (left > 0) {
        if (decoded->group_count == capacity) {
            capacity = capacity == 0 ? 8 : 2 * capacity;
            struct sl_group *grown =
                sl_arena_alloc(&decoded->arena, capacity * sizeof(*decoded->groups));
            if (grown == NULL) {
                return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
            }
            if (decoded->group_count > 0) {
                memcpy(grown, decoded->groups, decoded->group_count * sizeof(*grown));
            }
            decoded->groups = grown;
        }
        struct sl_group *group = &decoded->groups[decoded->group_count];
        enum syncline_status status =
            sl_group_read(&in, &segment->origin, left, &decoded->arena, group, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (group->hlc_first < hlc_least || group->hlc_first > segment->last_hlc ||
            segment->last_hlc - group->hlc_first < group->n - 1) {
            return sl_fail(err, SYNCLINE_EPROTO, "segment: the clock values of a group go back");
        }
        cells += (uint64_t)group->n * group->column_count;
        if (cells > SL_GROUP_CELLS_MAX) {
            return sl_fail(err, SYNCLINE_EPROTO, "segment: more than %u values",
                           SL_GROUP_CELLS_MAX);
        }
        hlc_least = group->hlc_first + group->n;
        left -= group->n;
        decoded->group_count++;
    }
    if (!sl_msgpack_done(&in)) {
        return sl_fail(err, SYNCLINE_EPROTO, "segment: bytes after its last group");
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_decode(struct sl_decoded *decoded, const void *data, size_t size,
                               struct sl_error *err)
{
    sl_arena_reset(&decoded->arena);
    decoded->groups = NULL;
    decoded->group_count = 0;
    enum syncline_status status = sl_segment_parse(&decoded->segment, data, size, err);
    if (status == SYNCLINE_OK) {
        status = decompress(decoded, &decoded->segment, err);
    }
    decoded->segment.body = NULL;
    return status == SYNCLINE_OK ? read_groups(decoded, err) : status;
}

enum syncline_status sl_decode_from_log(struct sl_decoded *decoded, struct sl_peer_log *log,
                                        int64_t origin, uint64_t seq, struct sl_error *err)
{
    bool found = false;
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status = sl_peer_log_segment(log, origin, seq, &found, &data, &size, err);
    if (status == SYNCLINE_OK && !found) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: the segment with seq %llu is not there",
                         (unsigned long long)seq);
    }
    if (status == SYNCLINE_OK) {
        status = sl_decode(decoded, data, size, err);
    }
    sl_peer_log_done(log);
    return status;
}
