/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A question, numbers little-endian:
 *
 *      8  id, drawn by who asks; it only has to tell questions apart
 *      1  number of models, 1 to 64; then that many times:
 *             1  length of the name, 1 to 127
 *                name, UTF-8 without NUL
 *      1  number of ranges, 1 to 64; then that many times:
 *             1  place of the model in the list
 *            16  least UUID
 *            16  greatest UUID, at least that
 *
 * Its answer:
 *
 *      8  id of the question
 *      2  status; not 0: the member could not answer, and nothing follows
 *      1  bit 0: something of the member's own is pending; bit 1: it has records set aside;
 *         bit 2: it has records that wait
 *     32  hash of its applied vector
 *      1  number of ranges, as asked; then for each, in that order:
 *             1  0: it does not have the model, and nothing follows; 1: parts
 *             8  number of records, below 2^56
 *                parts, as many as follow from that (base/range_parts.h), at most 64:
 *                   16  UUID of the first record, greater than that of the part before
 *                    8  sum of its records' hashes
 *
 * Hash of an applied vector: SHA-256 over device id, epoch (8) and seq (8) of each origin with a
 * seq, by device id and epoch. Hash of a record: the first 8 bytes, as a number, of the SHA-256 of
 * what sl_record_digest feeds of it. */

#include "base/range_ask.h"

#include <string.h>

#include "base/utf8.h"

#define COUNT_BITS 56
#define IS_PENDING 1u
#define IS_ASIDE 2u
#define IS_WAITING 4u
#define FLAGS (IS_PENDING | IS_ASIDE | IS_WAITING)

_Static_assert(SL_RANGE_PARTS_MAX == 64 && SL_RANGE_ASK_LEN_MAX == 64, "as the format says");
_Static_assert(SL_RANGE_ANSWER_SIZE_MAX <= SL_FRAME_SIZE_MAX, "an answer fits into a frame");

/* ---- Questions ---- */

enum syncline_status sl_range_ask_put(struct sl_buf *buf, const struct sl_range_ask *ask)
{
    sl_buf_u64(buf, ask->id);
    sl_buf_u8(buf, (uint8_t)ask->models_len);
    for (uint32_t i = 0; i < ask->models_len; i++) {
        sl_buf_u8(buf, (uint8_t)ask->models[i].len);
        sl_buf_bytes(buf, ask->models[i].name, ask->models[i].len);
    }
    sl_buf_u8(buf, (uint8_t)ask->ranges_len);
    for (uint32_t i = 0; i < ask->ranges_len; i++) {
        sl_buf_u8(buf, (uint8_t)ask->ranges[i].model);
        sl_buf_bytes(buf, ask->ranges[i].lo.bytes, sizeof(ask->ranges[i].lo.bytes));
        sl_buf_bytes(buf, ask->ranges[i].hi.bytes, sizeof(ask->ranges[i].hi.bytes));
    }
    return buf->failed ? SYNCLINE_ENOMEM : SYNCLINE_OK;
}

static enum syncline_status get_models(struct sl_reader *reader, struct sl_range_ask *ask,
                                       struct sl_error *err)
{
    ask->models_len = sl_read_u8(reader);
    if (ask->models_len == 0 || ask->models_len > SL_RANGE_ASK_LEN_MAX) {
        return sl_fail(err, SYNCLINE_EPROTO, "a question about %u models", ask->models_len);
    }
    for (uint32_t i = 0; i < ask->models_len; i++) {
        size_t len = sl_read_u8(reader);
        const uint8_t *name = sl_read_bytes(reader, len);
        if (name == NULL || len == 0 || len > SL_NAME_SIZE_MAX || memchr(name, '\0', len) != NULL ||
            !sl_utf8_is_valid(name, len)) {
            return sl_fail(err, SYNCLINE_EPROTO, "a question about a model without a valid name");
        }
        ask->models[i] = (struct sl_model_name){.name = (const char *)name, .len = len};
    }
    return SYNCLINE_OK;
}

static enum syncline_status get_ranges(struct sl_reader *reader, struct sl_range_ask *ask,
                                       struct sl_error *err)
{
    ask->ranges_len = sl_read_u8(reader);
    if (ask->ranges_len == 0 || ask->ranges_len > SL_RANGE_ASK_LEN_MAX) {
        return sl_fail(err, SYNCLINE_EPROTO, "a question about %u ranges", ask->ranges_len);
    }
    for (uint32_t i = 0; i < ask->ranges_len; i++) {
        struct sl_range *range = &ask->ranges[i];
        range->model = sl_read_u8(reader);
        sl_read_copy(reader, range->lo.bytes, sizeof(range->lo.bytes));
        sl_read_copy(reader, range->hi.bytes, sizeof(range->hi.bytes));
        if (range->model >= ask->models_len || sl_uuid_compare(&range->lo, &range->hi) > 0) {
            return sl_fail(err, SYNCLINE_EPROTO, "a question about a range that cannot be");
        }
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_range_ask_get(const void *data, size_t len, struct sl_range_ask *out,
                                      struct sl_error *err)
{
    struct sl_range_ask ask;
    struct sl_reader reader;
    sl_reader_init(&reader, data, len);
    ask.id = sl_read_u64(&reader);
    enum syncline_status status = get_models(&reader, &ask, err);
    if (status == SYNCLINE_OK) {
        status = get_ranges(&reader, &ask, err);
    }
    if (status == SYNCLINE_OK && !sl_reader_done(&reader)) {
        status =
            sl_fail(err, SYNCLINE_EPROTO, "a question of %zu bytes that does not end there", len);
    }
    if (status == SYNCLINE_OK) {
        *out = ask;
    }
    return status;
}

/* ---- Answers ---- */

void sl_range_answer_put_head(struct sl_buf *buf, uint64_t id, const struct sl_content_state *state,
                              uint32_t ranges_len)
{
    sl_buf_u64(buf, id);
    sl_buf_u16(buf, SYNCLINE_OK);
    sl_buf_u8(buf, (uint8_t)((state->pending ? IS_PENDING : 0) | (state->aside ? IS_ASIDE : 0) |
                             (state->waiting ? IS_WAITING : 0)));
    sl_buf_bytes(buf, state->hash, sizeof(state->hash));
    sl_buf_u8(buf, (uint8_t)ranges_len);
}

void sl_range_answer_put(struct sl_buf *buf, enum sl_range_form form,
                         const struct sl_range_parts *parts)
{
    sl_buf_u8(buf, (uint8_t)form);
    if (form == SL_RANGE_UNKNOWN) {
        return;
    }
    sl_buf_u64(buf, parts->count);
    for (uint32_t i = 0; i < parts->len; i++) {
        sl_buf_bytes(buf, parts->parts[i].first.bytes, sizeof(parts->parts[i].first.bytes));
        sl_buf_u64(buf, parts->parts[i].sum);
    }
}

void sl_range_answer_put_failure(struct sl_buf *buf, uint64_t id, enum syncline_status status)
{
    sl_buf_u64(buf, id);
    sl_buf_u16(buf, (uint16_t)status);
}

/* What the other side fails with, as this version knows it. */
static enum syncline_status read_status(struct sl_reader *reader)
{
    uint16_t code = sl_read_u16(reader);
    enum syncline_status status = code == SYNCLINE_OK ? SYNCLINE_OK : SYNCLINE_EREFUSED;
#define X(name, value, text)                                                                       \
    if (code == (value))                                                                           \
        status = SYNCLINE_##name;
    SYNCLINE_STATUS_MAP(X)
#undef X
    return status;
}

static enum syncline_status get_head(struct sl_range_answer *answer, struct sl_error *err)
{
    struct sl_reader *reader = &answer->reader;
    answer->id = sl_read_u64(reader);
    answer->status = read_status(reader);
    if (answer->status != SYNCLINE_OK || reader->failed) {
        return SYNCLINE_OK;
    }
    uint8_t flags = sl_read_u8(reader);
    answer->state.pending = (flags & IS_PENDING) != 0;
    answer->state.aside = (flags & IS_ASIDE) != 0;
    answer->state.waiting = (flags & IS_WAITING) != 0;
    sl_read_copy(reader, answer->state.hash, sizeof(answer->state.hash));
    answer->ranges_len = sl_read_u8(reader);
    if ((flags & ~FLAGS) != 0 || answer->ranges_len > SL_RANGE_ASK_LEN_MAX) {
        return sl_fail(err, SYNCLINE_EPROTO, "an answer with flags %u about %u ranges", flags,
                       answer->ranges_len);
    }
    return SYNCLINE_OK;
}

static enum syncline_status check_range(struct sl_reader *reader, struct sl_error *err)
{
    uint8_t form = sl_read_u8(reader);
    if (form == SL_RANGE_UNKNOWN) {
        return SYNCLINE_OK;
    }
    uint64_t count = sl_read_u64(reader);
    if (form != SL_RANGE_PARTS || count >> COUNT_BITS != 0) {
        return sl_fail(err, SYNCLINE_EPROTO, "an answer with a range of form %u", form);
    }
    const uint8_t *before = NULL;
    for (uint32_t left = sl_range_parts_len(count); left > 0 && !reader->failed; left--) {
        const uint8_t *first = sl_read_bytes(reader, sizeof(struct syncline_uuid));
        (void)sl_read_u64(reader);
        if (first != NULL && before != NULL &&
            memcmp(before, first, sizeof(struct syncline_uuid)) >= 0) {
            return sl_fail(err, SYNCLINE_EPROTO, "an answer with parts out of order");
        }
        before = first;
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_range_answer_get(const void *data, size_t len, struct sl_range_answer *out,
                                         struct sl_error *err)
{
    struct sl_range_answer answer = {.status = SYNCLINE_OK};
    sl_reader_init(&answer.reader, data, len);
    enum syncline_status status = get_head(&answer, err);
    struct sl_reader rest = answer.reader;
    for (uint32_t i = 0; i < answer.ranges_len && status == SYNCLINE_OK; i++) {
        status = check_range(&rest, err);
    }
    if (status == SYNCLINE_OK && !sl_reader_done(&rest)) {
        status =
            sl_fail(err, SYNCLINE_EPROTO, "an answer of %zu bytes that does not end there", len);
    }
    if (status == SYNCLINE_OK) {
        *out = answer;
    }
    return status;
}

enum sl_range_form sl_range_answer_next(struct sl_range_answer *answer,
                                        struct sl_range_parts *parts)
{
    struct sl_reader *reader = &answer->reader;
    sl_range_parts_init(parts);
    if (sl_read_u8(reader) == SL_RANGE_UNKNOWN) {
        return SL_RANGE_UNKNOWN;
    }
    parts->count = sl_read_u64(reader);
    parts->shift = sl_range_parts_shift(parts->count);
    parts->len = sl_range_parts_len(parts->count);
    for (uint32_t i = 0; i < parts->len; i++) {
        sl_read_copy(reader, parts->parts[i].first.bytes, sizeof(parts->parts[i].first.bytes));
        parts->parts[i].sum = sl_read_u64(reader);
    }
    return SL_RANGE_PARTS;
}
