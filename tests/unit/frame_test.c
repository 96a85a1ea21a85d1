/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/range_ask.h"
#include "tests/unit/failing_malloc.h"
#include "tests/unit/hex.h"

/* ---- The frames of version 1, byte by byte ------------------------------------------------ */

#define KEY_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define LIBRARY_HEX "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
#define MAGIC_HEX "53594e434c494e45"
#define HASH_HEX "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"

#define ZEROS_HEX "00000000000000000000000000000000"
#define SIGNATURE_HEX ZEROS_HEX ZEROS_HEX ZEROS_HEX ZEROS_HEX

/* The end of a segment: of changes 9 to 11. */
#define END_HEX                                                                                    \
    "534c5347 0100 0100" LIBRARY_HEX LIBRARY_HEX                                                   \
    "8877665544332211 0900000000000000 03000000 40000000 0500000000000000 "                        \
    "0700000000000000" HASH_HEX SIGNATURE_HEX HASH_HEX

struct golden {
    enum sl_frame_type type;
    const char *hex;
};

static const struct golden goldens[] = {
    {SL_FRAME_HELLO,
     "43000000 01 01 0000" MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "06 6c6170746f70"},
    {SL_FRAME_VECTOR, "94000000 02 01 0000 02000000" LIBRARY_HEX
                      "8877665544332211 0900000000000000" HASH_HEX "0700000000000000"
                      "000102030405060708090a0b0c0d0e0f 0100000000000000 0000000000000000" HASH_HEX
                      "0000000000000000"},
    {SL_FRAME_SEGMENT, "03000000 03 01 0000 deadbe"},
    {SL_FRAME_ERROR, "0b000000 04 01 0000 0f00 0700 6e6f20c3a92121"},
    {SL_FRAME_JOIN, "33000000 05 01 0000" MAGIC_HEX "0100 0100" KEY_HEX "06 6c6170746f70"},
    {SL_FRAME_WELCOME,
     "3e000000 06 01 0000" LIBRARY_HEX "06 70686f746f73" KEY_HEX "06 6c6170746f70"},
    {SL_FRAME_SUMMARY, "20000000 08 01 0000" HASH_HEX},
    {SL_FRAME_ROSTER,
     "64000000 09 01 0000" HASH_HEX "02000000" LIBRARY_HEX "8877665544332211 0900000000000000"
     "000102030405060708090a0b0c0d0e0f 0000000000000000 0000000000000000"},
    {SL_FRAME_STATEMENT,
     "a4000000 0a 01 0000" LIBRARY_HEX "8877665544332211" SIGNATURE_HEX "01000000" LIBRARY_HEX
     "8877665544332211 0900000000000000" HASH_HEX "0700000000000000"},
    {SL_FRAME_ASK, "20000000 0b 01 0000" LIBRARY_HEX "8877665544332211 0900000000000000"},
    {SL_FRAME_MEMBERS, "03000000 07 01 0000 deadbe"},
    {SL_FRAME_QUERY, "03000000 0c 01 0000 deadbe"},
    {SL_FRAME_ANSWER, "03000000 0d 01 0000 deadbe"},
    {SL_FRAME_FLOOR, "d0000000 0e 01 0000" END_HEX},
    {SL_FRAME_SNAPSHOT_ASK, "03000000 14 01 0000 deadbe"},
    {SL_FRAME_SNAPSHOT_CUT, "03000000 15 01 0000 deadbe"},
    {SL_FRAME_SNAPSHOT_PAGE, "03000000 16 01 0000 deadbe"},
};
#define GOLDENS_LEN (sizeof(goldens) / sizeof(goldens[0]))

static struct sl_hello some_hello(void)
{
    struct sl_hello hello = {.device_name = "laptop"};

    for (size_t i = 0; i < SL_KEY_SIZE; i++)
        hello.public_key[i] = (uint8_t)i;
    for (size_t i = 0; i < 16; i++)
        hello.library_id.bytes[i] = (uint8_t)(0xa0 + i);
    sl_device_id(hello.public_key, &hello.device_id);
    return hello;
}

static void some_vector(struct sl_vector_entry entries[2])
{
    memset(entries, 0, 2 * sizeof(entries[0]));
    for (size_t i = 0; i < 16; i++) {
        entries[0].origin.device.bytes[i] = (uint8_t)(0xa0 + i);
        entries[1].origin.device.bytes[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < SL_HASH_SIZE; i++)
        entries[0].held_hash[i] = entries[1].held_hash[i] = (uint8_t)(0xc0 + i);
    entries[0].origin.epoch = 0x1122334455667788;
    entries[0].held_seq = 9;
    entries[0].applied_seq = 7;
    entries[1].origin.epoch = 1;
}

static void some_roster(struct sl_roster_entry entries[2])
{
    memset(entries, 0, 2 * sizeof(entries[0]));
    for (size_t i = 0; i < 16; i++) {
        entries[0].device.bytes[i] = (uint8_t)(0xa0 + i);
        entries[1].device.bytes[i] = (uint8_t)i;
    }
    entries[0].stated = (struct sl_stated){0x1122334455667788, 9};
}

/* Of the first of the entries, by its own origin. */
static enum syncline_status put_statement(struct sl_buf *buf, const struct sl_vector_entry *entries)
{
    struct sl_buf statement;

    sl_buf_init(&statement, &sl_allocator_libc);
    enum syncline_status status = sl_statement_put(&statement, &entries->origin, entries, 1);
    if (status == SYNCLINE_OK)
        status = sl_frame_put_statement(buf, statement.data, statement.len);
    sl_buf_fini(&statement);
    return status;
}

static enum syncline_status put(struct sl_buf *buf, enum sl_frame_type type)
{
    struct sl_roster_entry roster[2];
    static const uint8_t segment[] = {0xde, 0xad, 0xbe};
    struct sl_hello hello = some_hello();
    struct sl_welcome welcome = {
        .library_id = hello.library_id, .library_name = "photos", .member = hello};
    struct sl_vector_entry entries[2];
    uint8_t header[SL_FRAME_HEADER_SIZE];
    uint8_t end[SL_SEGMENT_END_SIZE];

    some_vector(entries);
    switch (type) {
    case SL_FRAME_HELLO:
        return sl_frame_put_hello(buf, &hello);
    case SL_FRAME_JOIN:
        return sl_frame_put_join(buf, &hello);
    case SL_FRAME_WELCOME:
        return sl_frame_put_welcome(buf, &welcome);
    case SL_FRAME_MEMBERS:
        return sl_frame_put_members(buf, segment, sizeof(segment));
    case SL_FRAME_ASK:
        return sl_frame_put_ask(buf, &entries[0]);
    case SL_FRAME_FLOOR:
        unhex(END_HEX, end);
        return sl_frame_put_floor(buf, end);
    case SL_FRAME_SUMMARY:
        return sl_frame_put_summary(buf, entries[0].held_hash);
    case SL_FRAME_ROSTER:
        some_roster(roster);
        return sl_frame_put_roster(buf, entries[0].held_hash, roster, 2);
    case SL_FRAME_STATEMENT:
        return put_statement(buf, entries);
    case SL_FRAME_VECTOR:
        return sl_frame_put_vector(buf, entries, 2);
    case SL_FRAME_ERROR:
        return sl_frame_put_error(buf, SYNCLINE_EREFUSED, "no \u00e9!!");
    case SL_FRAME_QUERY:
    case SL_FRAME_ANSWER:
    case SL_FRAME_SNAPSHOT_ASK:
    case SL_FRAME_SNAPSHOT_CUT:
    case SL_FRAME_SNAPSHOT_PAGE:
        return sl_frame_put_question(buf, type, segment, sizeof(segment));
    default:
        cr_assert_eq(sl_frame_put_segment_header(header, sizeof(segment)), SYNCLINE_OK);
        sl_buf_bytes(buf, header, sizeof(header));
        sl_buf_bytes(buf, segment, sizeof(segment));
        return SYNCLINE_OK;
    }
}

/* Takes the frame apart with the reader of its type. */
static enum syncline_status get(const struct sl_frame *frame, struct sl_error *err)
{
    struct sl_hello hello;
    struct sl_welcome welcome;
    static struct sl_roster_entry roster[SL_ROSTER_LEN_MAX];
    struct sl_statement statement;
    struct sl_vector_entry ask;
    struct sl_segment segment;
    uint8_t hash[SL_HASH_SIZE];
    const struct sl_vector_entry *entries = NULL;
    struct sl_buf memory;
    struct sl_error text;
    enum syncline_status told;
    const uint8_t *data;
    size_t len;
    enum syncline_status status;

    switch (frame->type) {
    case SL_FRAME_HELLO:
        return sl_frame_get_hello(frame, &hello, err);
    case SL_FRAME_JOIN:
        return sl_frame_get_join(frame, &hello, err);
    case SL_FRAME_WELCOME:
        return sl_frame_get_welcome(frame, &welcome, err);
    case SL_FRAME_MEMBERS:
        return sl_frame_get_members(frame, &data, &len, err);
    case SL_FRAME_ASK:
        return sl_frame_get_ask(frame, &ask, err);
    case SL_FRAME_FLOOR:
        return sl_frame_get_floor(frame, &segment, &data, err);
    case SL_FRAME_SUMMARY:
        return sl_frame_get_summary(frame, hash, err);
    case SL_FRAME_ROSTER:
        return sl_frame_get_roster(frame, hash, roster, &len, err);
    case SL_FRAME_STATEMENT:
        return sl_frame_get_statement(frame, &statement, err);
    case SL_FRAME_VECTOR:
        sl_buf_init(&memory, &sl_allocator_libc);
        status = sl_frame_get_vector(frame, &memory, &entries, &len, err);
        sl_buf_fini(&memory);
        return status;
    case SL_FRAME_ERROR:
        return sl_frame_get_error(frame, &told, &text, err);
    case SL_FRAME_QUERY:
    case SL_FRAME_ANSWER:
    case SL_FRAME_SNAPSHOT_ASK:
    case SL_FRAME_SNAPSHOT_CUT:
    case SL_FRAME_SNAPSHOT_PAGE:
        return sl_frame_get_question(frame, &data, &len, err);
    default:
        return sl_frame_get_segment(frame, &data, &len, err);
    }
}

static struct sl_frame frame_of(enum sl_frame_type type, const uint8_t *payload, size_t len)
{
    return (struct sl_frame){.type = type, .payload = payload, .len = len};
}

/* Every frame type is written as these bytes, today and for ever. */
Test(frame, golden_bytes_are_written)
{
    for (size_t i = 0; i < GOLDENS_LEN; i++) {
        uint8_t expected[512];
        size_t len = unhex(goldens[i].hex, expected);
        struct sl_buf buf;

        sl_buf_init(&buf, &sl_allocator_libc);
        cr_assert_eq(put(&buf, goldens[i].type), SYNCLINE_OK);
        cr_assert_eq(buf.len, len, "%s: %zu bytes", sl_frame_type_name(goldens[i].type), buf.len);
        cr_assert_arr_eq(buf.data, expected, len, "%s", sl_frame_type_name(goldens[i].type));
        sl_buf_fini(&buf);
    }
}

/* HELLO and JOIN come back as they were given, with the device id made from the key. */
Test(frame, greetings_are_read)
{
    struct sl_hello expected = some_hello();
    struct sl_hello hello;
    uint8_t bytes[512];

    size_t len = unhex(goldens[0].hex, bytes);
    struct sl_frame frame = frame_of(SL_FRAME_HELLO, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_hello(&frame, &hello, NULL), SYNCLINE_OK);
    cr_assert_arr_eq((uint8_t *)&hello, (uint8_t *)&expected, sizeof(hello));

    len = unhex(goldens[4].hex, bytes);
    frame = frame_of(SL_FRAME_JOIN, bytes + 8, len - 8);
    memset(&expected.library_id, 0, sizeof(expected.library_id));
    cr_assert_eq(sl_frame_get_join(&frame, &hello, NULL), SYNCLINE_OK);
    cr_assert_arr_eq((uint8_t *)&hello, (uint8_t *)&expected, sizeof(hello));
}

/* WELCOME, VECTOR, ERROR and SEGMENT come back as they were given. */
Test(frame, the_other_frames_are_read)
{
    struct sl_hello member = some_hello();
    struct sl_vector_entry expected[2];
    struct sl_welcome welcome;
    const struct sl_vector_entry *entries;
    struct sl_buf memory;
    enum syncline_status told;
    struct sl_error text;
    const uint8_t *data;
    uint8_t bytes[512];
    size_t entries_len;

    size_t len = unhex(goldens[5].hex, bytes);
    struct sl_frame frame = frame_of(SL_FRAME_WELCOME, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_welcome(&frame, &welcome, NULL), SYNCLINE_OK);
    cr_assert_str_eq(welcome.library_name, "photos");
    cr_assert_arr_eq(welcome.library_id.bytes, member.library_id.bytes, 16);
    cr_assert_arr_eq((uint8_t *)&welcome.member, (uint8_t *)&member, sizeof(member));

    uint8_t hash[SL_HASH_SIZE];
    len = unhex(goldens[6].hex, bytes);
    frame = frame_of(SL_FRAME_SUMMARY, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_summary(&frame, hash, NULL), SYNCLINE_OK);
    cr_assert_arr_eq(hash, bytes + 8, SL_HASH_SIZE);

    static struct sl_roster_entry roster[SL_ROSTER_LEN_MAX];
    struct sl_roster_entry roster_expected[2];
    size_t roster_len = 0;
    len = unhex(goldens[7].hex, bytes);
    frame = frame_of(SL_FRAME_ROSTER, bytes + 8, len - 8);
    some_roster(roster_expected);
    memset(hash, 0, sizeof(hash));
    cr_assert_eq(sl_frame_get_roster(&frame, hash, roster, &roster_len, NULL), SYNCLINE_OK);
    cr_assert_arr_eq(hash, bytes + 8, SL_HASH_SIZE);
    cr_assert_eq(roster_len, 2);
    cr_assert_arr_eq((uint8_t *)roster, (uint8_t *)roster_expected, sizeof(roster_expected));

    struct sl_statement statement;
    len = unhex(goldens[8].hex, bytes);
    frame = frame_of(SL_FRAME_STATEMENT, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_statement(&frame, &statement, NULL), SYNCLINE_OK);
    cr_assert(statement.stated.epoch == 0x1122334455667788 && statement.stated.version == 16);
    cr_assert_eq(statement.len, 1);

    struct sl_vector_entry ask;
    len = unhex(goldens[9].hex, bytes);
    frame = frame_of(SL_FRAME_ASK, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_ask(&frame, &ask, NULL), SYNCLINE_OK);
    cr_assert(ask.origin.epoch == 0x1122334455667788 && ask.held_seq == 9);

    struct sl_segment segment;
    const uint8_t *end = NULL;
    len = unhex(END_HEX, bytes);
    frame = frame_of(SL_FRAME_FLOOR, bytes, len);
    cr_assert_eq(sl_frame_get_floor(&frame, &segment, &end, NULL), SYNCLINE_OK);
    cr_assert(sl_segment_last_seq(&segment) == 11 && segment.origin.epoch == 0x1122334455667788);
    cr_assert_eq(end, bytes);

    const uint8_t *packed = NULL;
    size_t packed_size = 0;
    len = unhex(goldens[10].hex, bytes);
    frame = frame_of(SL_FRAME_MEMBERS, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_members(&frame, &packed, &packed_size, NULL), SYNCLINE_OK);
    cr_assert(packed == bytes + 8 && packed_size == 3);

    len = unhex(goldens[1].hex, bytes);
    frame = frame_of(SL_FRAME_VECTOR, bytes + 8, len - 8);
    some_vector(expected);
    sl_buf_init(&memory, &sl_allocator_libc);
    cr_assert_eq(sl_frame_get_vector(&frame, &memory, &entries, &entries_len, NULL), SYNCLINE_OK);
    cr_assert_eq(entries_len, 2);
    cr_assert_arr_eq((const uint8_t *)entries, (uint8_t *)expected, sizeof(expected));
    sl_buf_fini(&memory);

    len = unhex(goldens[3].hex, bytes);
    frame = frame_of(SL_FRAME_ERROR, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_error(&frame, &told, &text, NULL), SYNCLINE_OK);
    cr_assert_eq(told, SYNCLINE_EREFUSED);
    cr_assert_str_eq(text.text, "no \u00e9!!");

    len = unhex(goldens[2].hex, bytes);
    frame = frame_of(SL_FRAME_SEGMENT, bytes + 8, len - 8);
    cr_assert_eq(sl_frame_get_segment(&frame, &data, &len, NULL), SYNCLINE_OK);
    cr_assert_eq(len, 3);
    cr_assert_eq(data, bytes + 8);
}

/* Questions and answers come back as they were given. They are as long as their limits and no
 * longer, on the way out and in. */
Test(frame, questions_have_their_limits)
{
    static const uint8_t bytes[SL_FRAME_SIZE_MAX + 1] = {0xde, 0xad, 0xbe};
    const struct {
        enum sl_frame_type type;
        size_t size_max;
    } cases[] = {{SL_FRAME_QUERY, SL_RANGE_ASK_SIZE_MAX},
                 {SL_FRAME_ANSWER, SL_RANGE_ANSWER_SIZE_MAX},
                 {SL_FRAME_SNAPSHOT_PAGE, SL_FRAME_SIZE_MAX}};

    for (size_t i = 0; i < 3; i++) {
        struct sl_error err = {0};
        const uint8_t *data = NULL;
        size_t len = 0;
        struct sl_buf buf;
        sl_buf_init(&buf, &sl_allocator_libc);
        size_t size_max = cases[i].size_max;
        cr_expect_eq(sl_frame_put_question(&buf, cases[i].type, bytes, 0), SYNCLINE_EINVAL);
        cr_expect_eq(sl_frame_put_question(&buf, cases[i].type, bytes, size_max), SYNCLINE_OK);
        cr_expect_eq(sl_frame_put_question(&buf, cases[i].type, bytes, size_max + 1),
                     SYNCLINE_ETOOBIG);
        cr_expect_eq(buf.len, size_max + SL_FRAME_HEADER_SIZE);
        sl_buf_fini(&buf);
        struct sl_frame frame = frame_of(cases[i].type, bytes, size_max);
        cr_expect_eq(sl_frame_get_question(&frame, &data, &len, &err), SYNCLINE_OK);
        cr_expect_eq(len, size_max);
        cr_expect_eq(data, bytes);
        frame.len = size_max + 1;
        cr_expect_eq(sl_frame_get_question(&frame, &data, &len, &err), SYNCLINE_EPROTO);
        cr_expect_not_null(strstr(err.text, sl_frame_type_name(cases[i].type)), "%s", err.text);
    }
}

/* An empty vector is a vector. */
Test(frame, an_empty_vector_is_read)
{
    const struct sl_vector_entry *entries = (void *)1;
    size_t len = 1;
    struct sl_buf buf;
    struct sl_buf memory;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_vector(&buf, NULL, 0), SYNCLINE_OK);
    struct sl_frame frame = frame_of(SL_FRAME_VECTOR, buf.data + 8, buf.len - 8);
    sl_buf_init(&memory, &sl_allocator_libc);
    cr_assert_eq(sl_frame_get_vector(&frame, &memory, &entries, &len, NULL), SYNCLINE_OK);
    cr_assert_null(memory.data);
    cr_assert_null(entries);
    cr_assert_eq(len, 0);
    sl_buf_fini(&buf);
}

/* A payload that ends too early, at whichever byte, or a byte too late is refused by name. */
Test(frame, every_cut_and_every_extra_byte_is_refused)
{
    for (size_t i = 0; i < GOLDENS_LEN; i++) {
        const char *name = sl_frame_type_name(goldens[i].type);
        uint8_t bytes[512] = {0};
        size_t len = unhex(goldens[i].hex, bytes) - SL_FRAME_HEADER_SIZE;

        if (goldens[i].type == SL_FRAME_SEGMENT || goldens[i].type == SL_FRAME_QUERY ||
            goldens[i].type == SL_FRAME_ANSWER || goldens[i].type == SL_FRAME_MEMBERS ||
            goldens[i].type >= SL_FRAME_SNAPSHOT_ASK)
            continue; /* any length is good */
        for (size_t cut = 0; cut <= len + 1; cut++) {
            /* A copy of exactly that size, so that a sanitizer sees every byte read beyond. */
            uint8_t *copy = malloc(cut + 1);
            struct sl_error err = {0};
            if (cut > 0)
                memcpy(copy, bytes + SL_FRAME_HEADER_SIZE, cut);
            struct sl_frame frame = frame_of(goldens[i].type, copy, cut);
            enum syncline_status status = get(&frame, &err);
            free(copy);
            if (cut == len) {
                cr_assert_eq(status, SYNCLINE_OK, "%s: %s", name, err.text);
                continue;
            }
            cr_assert_eq(status, SYNCLINE_EPROTO, "%s cut at %zu", name, cut);
            cr_assert_not_null(strstr(err.text, name), "%s", err.text);
        }
    }
}

/* ---- Malformed payloads ------------------------------------------------------------------- */

struct malformed {
    enum sl_frame_type type;
    const char *hex;  /* the payload */
    const char *says; /* part of the text */
};

static const struct malformed malformeds[] = {
    {SL_FRAME_HELLO, "53594e434c494e46 0100 0100" LIBRARY_HEX KEY_HEX "00", "mark"},
    {SL_FRAME_JOIN, "47455420 2f204854 0100 0100" KEY_HEX "00", "mark"},
    {SL_FRAME_HELLO, MAGIC_HEX "0200 0100" LIBRARY_HEX KEY_HEX "00", "versions 2 to 1"},
    {SL_FRAME_HELLO, MAGIC_HEX "0200 0300" LIBRARY_HEX KEY_HEX "00", "2 to 3, the other 1 to 1"},
    {SL_FRAME_HELLO, MAGIC_HEX "0000 0000" LIBRARY_HEX KEY_HEX "00", "0 to 0, the other 1 to 1"},
    {SL_FRAME_JOIN, MAGIC_HEX "0200 0200" KEY_HEX "00", "bring the older up to date"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "80 61", "128 bytes"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "03 610062", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "01 00", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "01 ff", "device name in HELLO"},
    {SL_FRAME_JOIN, MAGIC_HEX "0100 0100" KEY_HEX "01 80", "device name in JOIN"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "02 c080", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "02 c162", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "01 c3", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "02 c341", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "03 e08080", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "03 eda080", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "03 e28241", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "04 f0808080", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "04 f4908080", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "04 f5808080", "not UTF-8"},
    {SL_FRAME_HELLO, MAGIC_HEX "0100 0100" LIBRARY_HEX KEY_HEX "04 f09f98c0", "not UTF-8"},
    {SL_FRAME_WELCOME, LIBRARY_HEX "01 ff" KEY_HEX "00", "library name in WELCOME"},
    {SL_FRAME_WELCOME, LIBRARY_HEX "80 61", "128 bytes"},
    {SL_FRAME_WELCOME, LIBRARY_HEX "00" KEY_HEX "01 00", "device name in WELCOME"},
    {SL_FRAME_ERROR, "0f00 0002 61", "512 bytes, 511 are allowed"},
    {SL_FRAME_ERROR, "0f00 0100 00", "text in ERROR"},
    {SL_FRAME_ERROR, "0f00 0200 c328", "text in ERROR"},
    {SL_FRAME_ERROR, "0000 0100 61", "says success"},
    {SL_FRAME_VECTOR, "01100000", "declares 4097 entries, 4096"},
    {SL_FRAME_VECTOR, "ffffffff", "declares 4294967295 entries"},
    {SL_FRAME_VECTOR, "01000000", "of 4 bytes declares 1"},
    {SL_FRAME_VECTOR, "00000000 00", "of 5 bytes declares 0"},
    {SL_FRAME_VECTOR,
     "01000000" LIBRARY_HEX "0000000000000080 0000000000000000" HASH_HEX "0000000000000000",
     "epoch"},
    {SL_FRAME_VECTOR,
     "01000000" LIBRARY_HEX "0000000000000000 0700000000000000" HASH_HEX "0800000000000000",
     "more applied than held"},
    {SL_FRAME_SEGMENT, "", "of 0 bytes"},
    {SL_FRAME_ROSTER, HASH_HEX "42000000", "declares 66 devices, 65"},
    {SL_FRAME_ROSTER, HASH_HEX "00000000 00", "of 37 bytes declares 0"},
    {SL_FRAME_ROSTER, "00000000", "of 4 bytes declares 0"},
    {SL_FRAME_STATEMENT, LIBRARY_HEX "8877665544332211" SIGNATURE_HEX "ffffffff", "4294967295"},
    {SL_FRAME_STATEMENT, LIBRARY_HEX "8877665544332291" SIGNATURE_HEX "00000000", "epoch"},
    {SL_FRAME_STATEMENT,
     LIBRARY_HEX "8877665544332211" SIGNATURE_HEX "01000000" LIBRARY_HEX
                 "0000000000000000 0700000000000000" HASH_HEX "0800000000000000",
     "more applied than held"},
    {SL_FRAME_ASK, LIBRARY_HEX "8877665544332291 0000000000000000", "epoch"},
    {SL_FRAME_FLOOR, "", "FLOOR"},
    {SL_FRAME_FLOOR, END_HEX "00", "FLOOR"},
    {SL_FRAME_QUERY, "", "of 0 bytes"},
    {SL_FRAME_ANSWER, "", "of 0 bytes"},
    {SL_FRAME_MEMBERS, "", "MEMBERS frame of 0 bytes"},
};

/* Each malformed payload is refused with EPROTO and a text that says what is wrong. */
Test(frame, malformed_payloads_are_refused)
{
    for (size_t i = 0; i < sizeof(malformeds) / sizeof(malformeds[0]); i++) {
        uint8_t bytes[512];
        struct sl_error err = {0};
        size_t len = unhex(malformeds[i].hex, bytes);
        struct sl_frame frame = frame_of(malformeds[i].type, bytes, len);

        cr_assert_eq(get(&frame, &err), SYNCLINE_EPROTO, "case %zu", i);
        cr_assert_not_null(strstr(err.text, malformeds[i].says), "case %zu: %s", i, err.text);
    }
}

/* Well-formed text of every character size, of every limit's length, is taken. */
Test(frame, text_up_to_the_limits_is_taken)
{
    struct sl_hello hello = some_hello();
    struct sl_hello read;
    struct sl_buf buf;

    memset(hello.device_name, 'x', SL_NAME_SIZE_MAX);
    memcpy(hello.device_name, "\u00e9\u20ac\U0001f600\ud7ff\U0010ffff", 16);
    hello.device_name[SL_NAME_SIZE_MAX] = '\0';
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_hello(&buf, &hello), SYNCLINE_OK);
    struct sl_frame frame = frame_of(SL_FRAME_HELLO, buf.data + 8, buf.len - 8);
    cr_assert_eq(sl_frame_get_hello(&frame, &read, NULL), SYNCLINE_OK);
    cr_assert_str_eq(read.device_name, hello.device_name);
    sl_buf_fini(&buf);
}

/* A failed reader leaves its results as they were. */
Test(frame, results_are_untouched_on_failure)
{
    struct sl_hello hello;
    struct sl_hello before;
    struct sl_welcome welcome;
    struct sl_welcome welcome_before;
    struct sl_frame frame = frame_of(SL_FRAME_HELLO, (const uint8_t *)"SYNCLINE", 8);

    memset(&hello, 0x5a, sizeof(hello));
    before = hello;
    cr_assert_eq(sl_frame_get_hello(&frame, &hello, NULL), SYNCLINE_EPROTO);
    cr_assert_arr_eq((uint8_t *)&hello, (uint8_t *)&before, sizeof(hello));
    memset(&welcome, 0x5a, sizeof(welcome));
    welcome_before = welcome;
    frame.type = SL_FRAME_WELCOME;
    cr_assert_eq(sl_frame_get_welcome(&frame, &welcome, NULL), SYNCLINE_EPROTO);
    cr_assert_arr_eq((uint8_t *)&welcome, (uint8_t *)&welcome_before, sizeof(welcome));
}

/* A status from the future is a refusal; its text is kept. */
Test(frame, an_unknown_status_is_a_refusal)
{
    static const uint8_t payload[] = {0xff, 0xff, 1, 0, 'x'};
    struct sl_frame frame = frame_of(SL_FRAME_ERROR, payload, sizeof(payload));
    enum syncline_status told;
    struct sl_error text;

    cr_assert_eq(sl_frame_get_error(&frame, &told, &text, NULL), SYNCLINE_OK);
    cr_assert_eq(told, SYNCLINE_EREFUSED);
    cr_assert_str_eq(text.text, "x");
}

/* ---- Writers' refusals -------------------------------------------------------------------- */

/* What could not be read on the other side is not written. */
Test(frame, what_cannot_be_said_is_refused)
{
    struct sl_hello hello = some_hello();
    struct sl_welcome welcome = {.member = hello, .library_name = "\xff"};
    uint8_t header[SL_FRAME_HEADER_SIZE];
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_welcome(&buf, &welcome), SYNCLINE_EINVAL);
    memset(hello.device_name, 'x', sizeof(hello.device_name));
    cr_assert_eq(sl_frame_put_hello(&buf, &hello), SYNCLINE_EINVAL);
    cr_assert_eq(sl_frame_put_join(&buf, &hello), SYNCLINE_EINVAL);
    memcpy(hello.device_name, "\xc3(", 3);
    cr_assert_eq(sl_frame_put_hello(&buf, &hello), SYNCLINE_EINVAL);
    cr_assert_eq(sl_frame_put_vector(&buf, NULL, SL_VECTOR_LEN_MAX + 1), SYNCLINE_ETOOBIG);
    cr_assert_eq(sl_frame_put_roster(&buf, NULL, NULL, SL_ROSTER_LEN_MAX + 1), SYNCLINE_ETOOBIG);
    cr_assert_eq(sl_frame_put_members(&buf, "", 0), SYNCLINE_EINVAL);
    cr_assert_eq(sl_frame_put_members(&buf, "", SL_FRAME_SIZE_MAX + 1), SYNCLINE_ETOOBIG);
    cr_assert_eq(sl_frame_put_segment_header(header, 0), SYNCLINE_EINVAL);
    cr_assert_eq(sl_frame_put_segment_header(header, SL_SEGMENT_SIZE_MAX), SYNCLINE_OK);
    cr_assert_eq(sl_frame_put_segment_header(header, SL_SEGMENT_SIZE_MAX + 1), SYNCLINE_ETOOBIG);
    cr_assert_eq(buf.len, 0);
    sl_buf_fini(&buf);
}

/* The longest vector is one frame that can be read back. */
Test(frame, the_longest_vector_passes)
{
    struct sl_vector_entry *entries = calloc(SL_VECTOR_LEN_MAX, sizeof(*entries));
    const struct sl_vector_entry *read;
    struct sl_buf buf;
    struct sl_buf memory;
    size_t len;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_vector(&buf, entries, SL_VECTOR_LEN_MAX), SYNCLINE_OK);
    struct sl_frame frame = frame_of(SL_FRAME_VECTOR, buf.data + 8, buf.len - 8);
    sl_buf_init(&memory, &sl_allocator_libc);
    cr_assert_eq(sl_frame_get_vector(&frame, &memory, &read, &len, NULL), SYNCLINE_OK);
    cr_assert_eq(len, SL_VECTOR_LEN_MAX);
    cr_assert_eq(memcmp(read, entries, len * sizeof(*read)), 0);
    const uint8_t *data = memory.data;
    cr_assert_eq(sl_frame_get_vector(&frame, &memory, &read, &len, NULL), SYNCLINE_OK);
    cr_assert_eq(memory.data, data, "the memory is not used again");
    sl_buf_fini(&memory);
    sl_free(&sl_allocator_libc, entries);
    sl_buf_fini(&buf);
}

/* An error's text is cut between characters, mended where it is not UTF-8, and never says OK. */
Test(frame, error_texts_are_cut_and_mended)
{
    char text[2 * SL_ERROR_SIZE];
    enum syncline_status told;
    struct sl_error read;
    struct sl_buf buf;

    memset(text, 'x', sizeof(text));
    memcpy(text, "a\xff\xc3z", 4);
    memcpy(text + SL_ERROR_SIZE - 2, "\u20ac", 3);
    text[sizeof(text) - 1] = '\0';
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_error(&buf, SYNCLINE_OK, text), SYNCLINE_OK);
    struct sl_frame frame = frame_of(SL_FRAME_ERROR, buf.data + 8, buf.len - 8);
    cr_assert_eq(sl_frame_get_error(&frame, &told, &read, NULL), SYNCLINE_OK);
    cr_assert_eq(told, SYNCLINE_EREFUSED);
    cr_assert_eq(strlen(read.text), SL_ERROR_SIZE - 2);
    cr_assert_eq(strncmp(read.text, "a??zxx", 6), 0);
    sl_buf_fini(&buf);
}

/* No memory: every writer and the vector's reader say so. */
Test(frame, no_memory_is_reported)
{
    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer's allocator does not fail");
    for (size_t i = 0; i < GOLDENS_LEN; i++) {
        struct sl_buf buf;
        if (goldens[i].type == SL_FRAME_SEGMENT)
            continue;
        sl_buf_init(&buf, &sl_allocator_libc);
        (void)sl_malloc_fail_at(1);
        enum syncline_status status = put(&buf, goldens[i].type);
        (void)sl_malloc_fail_at(0);
        cr_assert_eq(status, SYNCLINE_ENOMEM);
        sl_buf_fini(&buf);
    }
    uint8_t bytes[512];
    struct sl_error err = {0};
    size_t len = unhex(goldens[1].hex, bytes);
    struct sl_frame frame = frame_of(SL_FRAME_VECTOR, bytes + 8, len - 8);
    (void)sl_malloc_fail_at(1);
    enum syncline_status status = get(&frame, &err);
    (void)sl_malloc_fail_at(0);
    cr_assert_eq(status, SYNCLINE_ENOMEM);
}

/* ---- The stream --------------------------------------------------------------------------- */

static size_t all_goldens(uint8_t *out)
{
    size_t len = 0;

    for (size_t i = 0; i < GOLDENS_LEN; i++)
        len += unhex(goldens[i].hex, out + len);
    return len;
}

/* Whatever the chunks, the same frames come out, and nothing else. */
Test(frame, any_chunking_gives_the_same_frames)
{
    uint8_t bytes[2048];
    size_t len = all_goldens(bytes);

    for (size_t chunk_size = 1; chunk_size <= len; chunk_size++) {
        struct sl_frame_decoder decoder;
        size_t frames = 0;
        size_t payloads_len = 0;

        sl_frame_decoder_init(&decoder, &sl_allocator_libc, SL_FRAME_HANDSHAKE_MAX);
        for (size_t at = 0; at < len; at += chunk_size) {
            size_t left = len - at < chunk_size ? len - at : chunk_size;
            uint8_t *chunk = malloc(left);
            const uint8_t *data = memcpy(chunk, bytes + at, left);
            struct sl_frame frame;
            struct sl_error err = {0};
            enum syncline_status status;
            while ((status = sl_frame_decoder_next(&decoder, &data, &left, &frame, &err)) ==
                   SYNCLINE_OK) {
                cr_assert_eq(frame.type, goldens[frames].type);
                cr_assert_eq(get(&frame, &err), SYNCLINE_OK, "%s", err.text);
                payloads_len += frame.len;
                frames++;
            }
            cr_assert_eq(status, SYNCLINE_AGAIN, "%s", err.text);
            cr_assert_eq(left, 0);
            free(chunk);
        }
        cr_assert_eq(frames, GOLDENS_LEN);
        cr_assert_eq(payloads_len, len - GOLDENS_LEN * SL_FRAME_HEADER_SIZE);
        sl_frame_decoder_fini(&decoder);
    }
}

/* Feeds hex in one piece or byte by byte; returns the outcome after the last frame, the frames
 * counted in *frames. */
static enum syncline_status feed(struct sl_frame_decoder *decoder, const char *hex,
                                 size_t chunk_size, size_t *frames, struct sl_error *err)
{
    uint8_t bytes[2048];
    size_t len = unhex(hex, bytes);
    enum syncline_status status = SYNCLINE_AGAIN;

    for (size_t at = 0; at < len && status == SYNCLINE_AGAIN; at += chunk_size) {
        const uint8_t *data = bytes + at;
        size_t left = len - at < chunk_size ? len - at : chunk_size;
        struct sl_frame frame;
        while ((status = sl_frame_decoder_next(decoder, &data, &left, &frame, err)) == SYNCLINE_OK)
            (*frames)++;
    }
    return status;
}

/* Optional frames of unknown type, version or flags are skipped, also empty and at any chunking. */
Test(frame, unknown_optional_frames_are_skipped)
{
    static const char hex[] = "03000000 63 01 0100 616263" /* type 99 */
                              "00000000 00 01 0100"        /* type 0, empty */
                              "02000000 01 02 0100 6162"   /* HELLO of version 2 */
                              "01000000 03 01 0300 61"     /* a flag */
                              "01000000 03 01 0100 61";    /* known: not skipped */

    for (size_t chunk_size = 1; chunk_size < sizeof(hex); chunk_size++) {
        struct sl_frame_decoder decoder;
        struct sl_error err = {0};
        size_t frames = 0;

        sl_frame_decoder_init(&decoder, &sl_allocator_libc, SL_FRAME_HANDSHAKE_MAX);
        cr_assert_eq(feed(&decoder, hex, chunk_size, &frames, &err), SYNCLINE_AGAIN, "%s",
                     err.text);
        cr_assert_eq(frames, 1);
        cr_assert_eq(decoder.frames, 5);
        sl_frame_decoder_fini(&decoder);
    }
}

/* Without the flag each of them ends the stream, by name, for good. */
Test(frame, unknown_frames_end_the_stream)
{
    static const struct {
        const char *hex;
        const char *says;
    } cases[] = {
        {"00000000 63 01 0000", "type 99"},
        {"00000000 20 01 0000", "type 32"},
        {"00000000 00 01 0000", "type 0"},
        {"00000000 02 02 0000", "VECTOR frame of version 2"},
        {"00000000 02 00 0000", "VECTOR frame of version 0"},
        {"00000000 03 01 0200", "SEGMENT frame with the unknown flags 0x0002"},
        {"00000000 03 01 0080", "SEGMENT frame with the unknown flags 0x8000"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_frame_decoder decoder;
        struct sl_error err = {0};
        size_t frames = 0;

        sl_frame_decoder_init(&decoder, &sl_allocator_libc, SL_FRAME_HANDSHAKE_MAX);
        cr_assert_eq(feed(&decoder, cases[i].hex, 1, &frames, &err), SYNCLINE_EPROTO);
        cr_assert_not_null(strstr(err.text, cases[i].says), "%s", err.text);
        cr_assert_eq(feed(&decoder, goldens[0].hex, 100, &frames, &err), SYNCLINE_EPROTO);
        cr_assert_eq(frames, 0);
        sl_frame_decoder_fini(&decoder);
    }
}

/* A payload may be as long as allowed; one byte more is refused before anything is allocated. */
Test(frame, length_is_checked_before_allocating)
{
    static uint8_t stream[SL_FRAME_HEADER_SIZE + SL_FRAME_SIZE_MAX];
    static const size_t limits[] = {SL_FRAME_HANDSHAKE_MAX, SL_FRAME_SIZE_MAX};

    for (size_t i = 0; i < 2; i++) {
        for (size_t over = 0; over <= 2; over++) {
            struct sl_frame_decoder decoder;
            struct sl_frame frame;
            struct sl_error err = {0};
            const uint8_t *data = stream;
            size_t left = SL_FRAME_HEADER_SIZE + 1;

            sl_put_u32(stream, over == 2 ? UINT32_MAX : (uint32_t)(limits[i] + over));
            stream[4] = SL_FRAME_SEGMENT;
            stream[5] = SL_FRAME_VERSION;
            sl_frame_decoder_init(&decoder, &sl_allocator_libc, limits[i]);
            enum syncline_status status =
                sl_frame_decoder_next(&decoder, &data, &left, &frame, &err);
            if (over > 0) {
                cr_assert_eq(status, SYNCLINE_EPROTO);
                cr_assert_not_null(strstr(err.text, "first frame declares"), "%s", err.text);
                cr_assert_eq(decoder.payload.capacity, 0);
                continue;
            }
            cr_assert_eq(status, SYNCLINE_AGAIN);
            cr_assert_lt(decoder.payload.capacity, 4096, "memory grows with what came");
            left = limits[i] - 1;
            status = sl_frame_decoder_next(&decoder, &data, &left, &frame, &err);
            cr_assert_eq(status, SYNCLINE_OK, "%s", err.text);
            cr_assert_eq(frame.len, limits[i]);
            /* Later on the text does not doubt that a Syncline device is there. */
            sl_put_u32(stream, (uint32_t)limits[i] + 1);
            data = stream;
            left = SL_FRAME_HEADER_SIZE;
            status = sl_frame_decoder_next(&decoder, &data, &left, &frame, &err);
            cr_assert_eq(status, SYNCLINE_EPROTO);
            cr_assert_null(strstr(err.text, "Syncline device"), "%s", err.text);
            cr_assert_leq(decoder.payload.capacity, 256 * 1024, "much memory is given back");
            sl_frame_decoder_fini(&decoder);
        }
    }
}

/* No memory for a frame in pieces ends the stream; one that lies whole in the chunk needs none. */
Test(frame, no_memory_for_a_payload)
{
    struct sl_frame_decoder decoder;
    struct sl_error err = {0};
    size_t frames = 0;

    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer's allocator does not fail");
    sl_frame_decoder_init(&decoder, &sl_allocator_libc, SL_FRAME_HANDSHAKE_MAX);
    (void)sl_malloc_fail_at(1);
    enum syncline_status whole = feed(&decoder, goldens[0].hex, 2048, &frames, &err);
    enum syncline_status pieces = feed(&decoder, goldens[0].hex, 16, &frames, &err);
    (void)sl_malloc_fail_at(0);
    cr_assert_eq(whole, SYNCLINE_AGAIN);
    cr_assert_eq(frames, 1);
    cr_assert_eq(pieces, SYNCLINE_ENOMEM);
    cr_assert_eq(feed(&decoder, goldens[0].hex, 16, &frames, &err), SYNCLINE_EPROTO);
    sl_frame_decoder_fini(&decoder);
}

/* Every type has a name, and nothing else has. */
Test(frame, types_have_names)
{
    cr_assert_str_eq(sl_frame_type_name(SL_FRAME_WELCOME), "WELCOME");
    cr_assert_str_eq(sl_frame_type_name(SL_FRAME_TYPE_END), "unknown");
    cr_assert_str_eq(sl_frame_type_name((enum sl_frame_type)0), "unknown");
}
