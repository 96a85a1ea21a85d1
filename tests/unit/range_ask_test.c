/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/range_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/hex.h"

#define UUID_A "01000000000000000000000000000001"
#define UUID_B "01000000000000000000000000000002"
#define HASH_HEX "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"

static const char ask_hex[] = "8877665544332211 02 03 746167 05 656e747279"
                              "02 00" UUID_A UUID_B "01" UUID_B UUID_B;
static const char answer_hex[] =
    "8877665544332211 0000 07" HASH_HEX "02 00"
    "01 0200000000000000" UUID_A "0102030405060708" UUID_B "ffffffffffffffff";
static const char failure_hex[] = "8877665544332211 0b00";

static struct syncline_uuid uuid_of(uint8_t last)
{
    struct syncline_uuid uuid = {{0x01}};
    uuid.bytes[15] = last;
    return uuid;
}

static struct sl_range_ask some_ask(void)
{
    return (struct sl_range_ask){.id = UINT64_C(0x1122334455667788),
                                 .models = {{.name = "tag", .len = 3}, {.name = "entry", .len = 5}},
                                 .models_len = 2,
                                 .ranges = {{.model = 0, .lo = uuid_of(1), .hi = uuid_of(2)},
                                            {.model = 1, .lo = uuid_of(2), .hi = uuid_of(2)}},
                                 .ranges_len = 2};
}

static void put_answer(struct sl_buf *buf)
{
    struct sl_content_state state = {.pending = true, .aside = true, .waiting = true};
    struct sl_range_parts parts;
    struct syncline_uuid a = uuid_of(1);
    struct syncline_uuid b = uuid_of(2);
    for (size_t i = 0; i < sizeof(state.hash); i++) {
        state.hash[i] = (uint8_t)(0xc0 + i);
    }
    sl_range_parts_init(&parts);
    sl_range_parts_add(&parts, &a, UINT64_C(0x0807060504030201));
    sl_range_parts_add(&parts, &b, UINT64_MAX);
    sl_range_answer_put_head(buf, UINT64_C(0x1122334455667788), &state, 2);
    sl_range_answer_put(buf, SL_RANGE_UNKNOWN, NULL);
    sl_range_answer_put(buf, SL_RANGE_PARTS, &parts);
}

static void expect_bytes(const struct sl_buf *buf, const char *hex)
{
    uint8_t expected[512];
    size_t len = unhex(hex, expected);
    cr_assert_eq(buf->len, len);
    cr_assert_arr_eq(buf->data, expected, len);
}

/* A question and both forms of an answer are these bytes. */
Test(range_ask, golden_bytes_are_written)
{
    struct sl_range_ask ask = some_ask();
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_range_ask_put(&buf, &ask), SYNCLINE_OK);
    expect_bytes(&buf, ask_hex);
    sl_buf_clear(&buf);
    put_answer(&buf);
    expect_bytes(&buf, answer_hex);
    sl_buf_clear(&buf);
    sl_range_answer_put_failure(&buf, ask.id, SYNCLINE_EDB);
    expect_bytes(&buf, failure_hex);
    sl_buf_fini(&buf);
}

/* A question comes back as it was given. */
Test(range_ask, a_question_is_read)
{
    uint8_t bytes[512];
    size_t len = unhex(ask_hex, bytes);
    struct sl_range_ask expected = some_ask();
    struct sl_range_ask ask;
    struct sl_error err;
    cr_assert_eq(sl_range_ask_get(bytes, len, &ask, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(ask.id, expected.id);
    cr_assert_eq(ask.models_len, 2);
    cr_assert_eq(ask.models[1].len, 5);
    cr_assert_arr_eq(ask.models[1].name, "entry", 5);
    cr_assert_eq(ask.ranges_len, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(ask.ranges[i].model, expected.ranges[i].model);
        cr_assert_arr_eq(ask.ranges[i].lo.bytes, expected.ranges[i].lo.bytes, 16);
        cr_assert_arr_eq(ask.ranges[i].hi.bytes, expected.ranges[i].hi.bytes, 16);
    }
}

/* An answer comes back as it was given, and a failure as what this version makes of it. */
Test(range_ask, answers_are_read)
{
    uint8_t bytes[512];
    size_t len = unhex(answer_hex, bytes);
    struct sl_range_answer answer;
    struct sl_range_parts parts;
    struct sl_error err;
    cr_assert_eq(sl_range_answer_get(bytes, len, &answer, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(answer.id, UINT64_C(0x1122334455667788));
    cr_assert_eq(answer.status, SYNCLINE_OK);
    cr_assert(answer.state.pending && answer.state.aside && answer.state.waiting);
    cr_assert_eq(answer.state.hash[31], 0xdf);
    cr_assert_eq(answer.ranges_len, 2);
    cr_assert_eq(sl_range_answer_next(&answer, &parts), SL_RANGE_UNKNOWN);
    cr_assert_eq(sl_range_answer_next(&answer, &parts), SL_RANGE_PARTS);
    cr_assert_eq(parts.count, 2);
    cr_assert_eq(parts.len, 2);
    cr_assert_eq(parts.parts[0].first.bytes[15], 1);
    cr_assert_eq(parts.parts[1].sum, UINT64_MAX);

    len = unhex(failure_hex, bytes);
    cr_assert_eq(sl_range_answer_get(bytes, len, &answer, &err), SYNCLINE_OK);
    cr_assert_eq(answer.status, SYNCLINE_EDB);
    bytes[8] = 0xff;
    cr_assert_eq(sl_range_answer_get(bytes, len, &answer, &err), SYNCLINE_OK);
    cr_assert_eq(answer.status, SYNCLINE_EREFUSED);
}

static enum syncline_status get(bool is_ask, const void *data, size_t len, struct sl_error *err)
{
    struct sl_range_ask ask;
    struct sl_range_answer answer;
    return is_ask ? sl_range_ask_get(data, len, &ask, err)
                  : sl_range_answer_get(data, len, &answer, err);
}

/* Nothing shorter and nothing longer than the golden bytes is taken. */
Test(range_ask, every_cut_and_every_extra_byte_is_refused)
{
    const char *const goldens[] = {ask_hex, answer_hex, failure_hex};
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[512] = {0};
        size_t len = unhex(goldens[i], bytes);
        for (size_t cut = 0; cut <= len + 1; cut++) {
            uint8_t *copy = malloc(cut + 1); /* for a sanitizer */
            struct sl_error err = {.text = ""};
            cr_assert_not_null(copy);
            memcpy(copy, bytes, cut);
            enum syncline_status status = get(i == 0, copy, cut, &err);
            free(copy);
            cr_assert_eq(status, cut == len ? SYNCLINE_OK : SYNCLINE_EPROTO, "%zu cut at %zu", i,
                         cut);
            cr_assert(status == SYNCLINE_OK || err.text[0] != '\0');
        }
    }
}

#define ID "8877665544332211"
#define NAME_128                                                                                   \
    "80" HASH_HEX HASH_HEX HASH_HEX HASH_HEX /* 128 bytes, and one too many whatever they are */
#define HEAD ID "0000 00" HASH_HEX

/* What cannot be is refused, and the text says what it is. */
Test(range_ask, malformed_bytes_are_refused)
{
    static const struct {
        bool is_ask;
        const char *hex;
        const char *says;
    } cases[] = {
        {true, ID "00 01", "0 models"},
        {true, ID "41 01", "65 models"},
        {true, ID "01 00 01 00" UUID_A UUID_B, "without a valid name"},
        {true, ID "01 01 00 01 00" UUID_A UUID_B, "without a valid name"},
        {true, ID "01 01 ff 01 00" UUID_A UUID_B, "without a valid name"},
        {true, ID "01" NAME_128 "01 00" UUID_A UUID_B, "without a valid name"},
        {true, ID "01 01 61 00", "0 ranges"},
        {true, ID "01 01 61 41", "65 ranges"},
        {true, ID "01 01 61 01 01" UUID_A UUID_B, "cannot be"},
        {true, ID "01 01 61 01 00" UUID_B UUID_A, "cannot be"},
        {false, ID "0000 08" HASH_HEX "00", "flags 8"},
        {false, HEAD "41", "65 ranges"},
        {false, HEAD "01 02 0000000000000000", "form 2"},
        {false, HEAD "01 01 0000000000000001", "form 1"},
        {false, HEAD "01 01 0200000000000000" UUID_B ID UUID_A ID, "out of order"},
        {false, HEAD "01 01 0200000000000000" UUID_A ID UUID_A ID, "out of order"},
        {false, HEAD "01 01 ffffffffffffff00" UUID_A ID, "does not end"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[512];
        struct sl_error err = {.text = ""};
        size_t len = unhex(cases[i].hex, bytes);
        cr_assert_eq(get(cases[i].is_ask, bytes, len, &err), SYNCLINE_EPROTO, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
    }
}

/* The longest question and the longest answer have the sizes that their frames allow. */
Test(range_ask, the_longest_have_the_sizes_allowed)
{
    static struct sl_range_ask ask;
    struct sl_content_state state = {.pending = false};
    struct sl_range_parts parts;
    struct sl_range_answer answer;
    struct sl_error err;
    struct sl_buf buf;
    char name[SL_NAME_SIZE_MAX];
    memset(name, 'n', sizeof(name));
    ask.models_len = ask.ranges_len = SL_RANGE_ASK_LEN_MAX;
    for (uint32_t i = 0; i < SL_RANGE_ASK_LEN_MAX; i++) {
        ask.models[i] = (struct sl_model_name){.name = name, .len = sizeof(name)};
        ask.ranges[i].model = i;
    }
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_range_ask_put(&buf, &ask), SYNCLINE_OK);
    cr_assert_eq(buf.len, SL_RANGE_ASK_SIZE_MAX);
    cr_assert_eq(sl_range_ask_get(buf.data, buf.len, &ask, &err), SYNCLINE_OK, "%s", err.text);

    sl_range_parts_init(&parts);
    for (uint8_t i = 0; i < SL_RANGE_PARTS_MAX; i++) {
        struct syncline_uuid uuid = uuid_of(i);
        sl_range_parts_add(&parts, &uuid, i);
    }
    sl_buf_clear(&buf);
    sl_range_answer_put_head(&buf, 1, &state, SL_RANGE_ASK_LEN_MAX);
    for (uint32_t i = 0; i < SL_RANGE_ASK_LEN_MAX; i++) {
        sl_range_answer_put(&buf, SL_RANGE_PARTS, &parts);
    }
    cr_assert_not(buf.failed);
    cr_assert_eq(buf.len, SL_RANGE_ANSWER_SIZE_MAX);
    cr_assert_eq(sl_range_answer_get(buf.data, buf.len, &answer, &err), SYNCLINE_OK, "%s",
                 err.text);
    sl_buf_fini(&buf);
}
