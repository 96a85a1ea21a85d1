/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* libFuzzer target of the frame decoder and every reader. The first byte of the input says how the
 * rest is cut into chunks and which limit holds. The frames must not depend on the cutting, a frame
 * that was read must be written as it came, and nothing may be read outside the input. */

#include "net/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/membership.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* What was written again must be the frame that came, but for its optional flag. */
static void check_same(const struct sl_buf *buf, const struct sl_frame *frame)
{
    check(buf->len == frame->len + SL_FRAME_HEADER_SIZE);
    check(memcmp(buf->data + SL_FRAME_HEADER_SIZE, frame->payload, frame->len) == 0);
}

static void read_greeting(const struct sl_frame *frame, struct sl_buf *buf)
{
    struct sl_hello hello;
    struct sl_error err = {0};
    bool is_hello = frame->type == SL_FRAME_HELLO;
    enum syncline_status status =
        is_hello ? sl_frame_get_hello(frame, &hello, &err) : sl_frame_get_join(frame, &hello, &err);

    if (status != SYNCLINE_OK) {
        check(status == SYNCLINE_EPROTO && err.text[0] != '\0');
        return;
    }
    status = is_hello ? sl_frame_put_hello(buf, &hello) : sl_frame_put_join(buf, &hello);
    check(status == SYNCLINE_OK);
    check(buf->len == frame->len + SL_FRAME_HEADER_SIZE); /* the version range may differ */
}

static void read_vector(const struct sl_frame *frame, struct sl_buf *buf)
{
    const struct sl_vector_entry *entries = NULL;
    struct sl_buf memory;
    size_t len = 0;

    sl_buf_init(&memory, &sl_allocator_libc);
    if (sl_frame_get_vector(frame, &memory, &entries, &len, NULL) == SYNCLINE_OK) {
        check(sl_frame_put_vector(buf, entries, len) == SYNCLINE_OK);
        check_same(buf, frame);
    }
    sl_buf_fini(&memory);
}

/* Every entry is sound or is refused with a text, and what is sound adds to a set. */
static void read_entries(struct sl_membership *set, const uint8_t *data, size_t size)
{
    struct sl_reader reader;
    const uint8_t *bytes;
    size_t len;

    sl_reader_init(&reader, data, size);
    while (sl_membership_unpack(&reader, &bytes, &len)) {
        struct sl_error err = {0};
        bool added = false;
        enum syncline_status status = sl_membership_add(set, bytes, len, &added, &err);
        check(status == SYNCLINE_OK || err.text[0] != '\0');
    }
    check(sl_membership_derive(set, NULL) == SYNCLINE_OK);
}

static void read_members(const struct sl_frame *frame, struct sl_buf *buf)
{
    static const struct syncline_uuid library_id = {{1}};
    static const struct syncline_uuid self = {{2}};
    struct sl_membership set;
    struct sl_error err = {0};
    const uint8_t *data;
    size_t size;

    if (sl_frame_get_members(frame, &data, &size, &err) != SYNCLINE_OK) {
        check(err.text[0] != '\0');
        return;
    }
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    check(sl_membership_init(&set, &sl_allocator_libc, hasher, &library_id, &self) == SYNCLINE_OK);
    read_entries(&set, data, size);
    sl_membership_fini(&set);
    sl_hasher_free(hasher);
    check(sl_frame_put_members(buf, data, size) == SYNCLINE_OK);
    check_same(buf, frame);
}

static void read_meeting(const struct sl_frame *frame, struct sl_buf *buf)
{
    static struct sl_roster_entry entries[SL_ROSTER_LEN_MAX];
    struct sl_statement statement;
    uint8_t hash[SL_HASH_SIZE];
    size_t len = 0;

    if (frame->type == SL_FRAME_SUMMARY && sl_frame_get_summary(frame, hash, NULL) == SYNCLINE_OK) {
        check(sl_frame_put_summary(buf, hash) == SYNCLINE_OK);
        check_same(buf, frame);
    }
    struct sl_vector_entry ask;
    if (frame->type == SL_FRAME_ASK && sl_frame_get_ask(frame, &ask, NULL) == SYNCLINE_OK) {
        check(sl_frame_put_ask(buf, &ask) == SYNCLINE_OK);
        check_same(buf, frame);
    }
    struct sl_segment segment;
    const uint8_t *end = NULL;
    if (frame->type == SL_FRAME_FLOOR &&
        sl_frame_get_floor(frame, &segment, &end, NULL) == SYNCLINE_OK) {
        check(sl_frame_put_floor(buf, end) == SYNCLINE_OK);
        check_same(buf, frame);
    }
    if (frame->type == SL_FRAME_ROSTER &&
        sl_frame_get_roster(frame, hash, entries, &len, NULL) == SYNCLINE_OK) {
        check(sl_frame_put_roster(buf, hash, entries, len) == SYNCLINE_OK);
        check_same(buf, frame);
    }
    if (frame->type == SL_FRAME_STATEMENT &&
        sl_frame_get_statement(frame, &statement, NULL) == SYNCLINE_OK) {
        for (uint32_t i = 0; i < statement.len; i++) {
            struct sl_vector_entry entry = sl_statement_entry(&statement, i);
            check(entry.applied_seq <= entry.held_seq);
        }
        check(sl_frame_put_statement(buf, frame->payload, frame->len) == SYNCLINE_OK);
        check_same(buf, frame);
    }
}

static void read_rest(const struct sl_frame *frame, struct sl_buf *buf)
{
    struct sl_welcome welcome;
    struct sl_error text;
    enum syncline_status told;
    const uint8_t *data;
    size_t len;

    if (frame->type == SL_FRAME_WELCOME &&
        sl_frame_get_welcome(frame, &welcome, NULL) == SYNCLINE_OK) {
        check(sl_frame_put_welcome(buf, &welcome) == SYNCLINE_OK);
        check_same(buf, frame);
    }
    if (frame->type == SL_FRAME_ERROR &&
        sl_frame_get_error(frame, &told, &text, NULL) == SYNCLINE_OK) {
        check(told != SYNCLINE_OK);
        check(sl_frame_put_error(buf, told, text.text) == SYNCLINE_OK);
        check(buf->len == frame->len + SL_FRAME_HEADER_SIZE);
    }
    if ((frame->type == SL_FRAME_QUERY || frame->type == SL_FRAME_ANSWER ||
         frame->type >= SL_FRAME_SNAPSHOT_ASK) &&
        sl_frame_get_question(frame, &data, &len, NULL) == SYNCLINE_OK) {
        check(sl_frame_put_question(buf, frame->type, data, len) == SYNCLINE_OK);
        check_same(buf, frame);
    }
    if (frame->type == SL_FRAME_SEGMENT &&
        sl_frame_get_segment(frame, &data, &len, NULL) == SYNCLINE_OK)
        check(data == frame->payload && len == frame->len);
}

static void read_frame(const struct sl_frame *frame)
{
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    if (frame->type == SL_FRAME_HELLO || frame->type == SL_FRAME_JOIN)
        read_greeting(frame, &buf);
    else if (frame->type == SL_FRAME_VECTOR)
        read_vector(frame, &buf);
    else if (frame->type == SL_FRAME_MEMBERS)
        read_members(frame, &buf);
    else if (frame->type == SL_FRAME_SUMMARY || frame->type == SL_FRAME_ROSTER ||
             frame->type == SL_FRAME_STATEMENT || frame->type == SL_FRAME_ASK ||
             frame->type == SL_FRAME_FLOOR)
        read_meeting(frame, &buf);
    else
        read_rest(frame, &buf);
    sl_buf_fini(&buf);
}

/* Returns how many frames came; *status is how it ended. */
static uint64_t run(const uint8_t *data, size_t size, size_t chunk_size, size_t size_max,
                    enum syncline_status *status)
{
    struct sl_frame_decoder decoder;
    uint64_t frames = 0;

    *status = SYNCLINE_AGAIN;
    sl_frame_decoder_init(&decoder, &sl_allocator_libc, size_max);
    for (size_t at = 0; at < size && *status == SYNCLINE_AGAIN; at += chunk_size) {
        size_t left = size - at < chunk_size ? size - at : chunk_size;
        uint8_t *chunk = malloc(left); /* of exactly that size, for the sanitizer */
        const uint8_t *next = chunk;
        struct sl_frame frame;
        struct sl_error err = {0};

        check(chunk != NULL);
        memcpy(chunk, data + at, left);
        while ((*status = sl_frame_decoder_next(&decoder, &next, &left, &frame, &err)) ==
               SYNCLINE_OK) {
            read_frame(&frame);
            frames++;
        }
        check(*status == SYNCLINE_AGAIN ? left == 0 : err.text[0] != '\0');
        free(chunk);
    }
    sl_frame_decoder_fini(&decoder);
    return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum syncline_status whole_status;
    enum syncline_status pieces_status;

    if (size < 2)
        return 0;
    size_t size_max = (data[0] & 1) != 0 ? SL_FRAME_SIZE_MAX : SL_FRAME_HANDSHAKE_MAX;
    uint64_t whole = run(data + 1, size - 1, size - 1, size_max, &whole_status);
    uint64_t pieces = run(data + 1, size - 1, 1 + (data[0] >> 1), size_max, &pieces_status);
    check(whole == pieces && whole_status == pieces_status);
    return 0;
}
