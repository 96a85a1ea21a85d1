/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/snapshot_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/hex.h"

#define UUID_A "01000000000000000000000000000001"
#define DEVICE "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
#define PLACE DEVICE "0700000000000000 0900000000000000"

static const char begin_hex[] = "01 01000000" PLACE;
static const char page_hex[] = "02 05 656e747279" UUID_A;
static const char cut_hex[] = "0000 0300000000000000 0200 03 746167 05 656e747279 00000000";
static const char failure_hex[] = "0100";

static void expect_bytes(struct sl_buf *buf, const char *hex)
{
    uint8_t expected[512];
    size_t len = unhex(hex, expected);
    cr_assert_eq(buf->len, len);
    cr_assert_arr_eq(buf->data, expected, len);
    sl_buf_clear(buf);
}

/* Both questions and both forms of a cut are these bytes. */
Test(snapshot_ask, golden_bytes_are_written)
{
    struct sl_cut_place place = {.origin = {.epoch = 7}, .seq = 9};
    struct syncline_uuid lo = {{0x01}};
    struct sl_buf buf;
    lo.bytes[15] = 1;
    for (size_t i = 0; i < sizeof(place.origin.device.bytes); i++) {
        place.origin.device.bytes[i] = (uint8_t)(0xd0 + i);
    }
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_snapshot_ask_put_begin(&buf, &place, 1);
    expect_bytes(&buf, begin_hex);
    sl_snapshot_ask_put_page(&buf, "entry", &lo);
    expect_bytes(&buf, page_hex);
    sl_snapshot_cut_put_head(&buf, 3, 2);
    sl_snapshot_cut_put_model(&buf, "tag");
    sl_snapshot_cut_put_model(&buf, "entry");
    sl_snapshot_cut_put_ends(&buf, NULL, 0);
    expect_bytes(&buf, cut_hex);
    sl_snapshot_cut_put_failure(&buf, SYNCLINE_AGAIN);
    expect_bytes(&buf, failure_hex);
    sl_buf_fini(&buf);
}

/* What was written comes back. */
Test(snapshot_ask, what_was_written_is_read)
{
    uint8_t bytes[1024];
    struct sl_snapshot_ask ask;
    struct sl_snapshot_cut cut;
    struct sl_error err;
    size_t len = unhex(begin_hex, bytes);
    cr_assert_eq(sl_snapshot_ask_get(bytes, len, &ask, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(ask.form, SL_SNAPSHOT_BEGIN);
    cr_assert_eq(ask.places_len, 1);
    cr_assert_eq(sl_snapshot_ask_place(&ask, 0).seq, 9);
    cr_assert_eq(sl_snapshot_ask_place(&ask, 0).origin.epoch, 7);
    cr_assert_eq(sl_snapshot_ask_place(&ask, 0).origin.device.bytes[15], 0xdf);
    len = unhex(page_hex, bytes);
    cr_assert_eq(sl_snapshot_ask_get(bytes, len, &ask, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(ask.form, SL_SNAPSHOT_PAGE);
    cr_assert_eq(ask.model.len, 5);
    cr_assert_arr_eq(ask.model.name, "entry", 5);
    cr_assert_eq(ask.lo.bytes[15], 1);
    len = unhex(cut_hex, bytes);
    cr_assert_eq(sl_snapshot_cut_get(bytes, len, &cut, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(cut.status, SYNCLINE_OK);
    cr_assert_eq(cut.records, 3);
    cr_assert_eq(cut.models_len, 2);
    cr_assert_eq(sl_snapshot_cut_model(&cut).len, 3);
    cr_assert_arr_eq(sl_snapshot_cut_model(&cut).name, "entry", 5);
    cr_assert_eq(cut.ends_len, 0);
    len = unhex(failure_hex, bytes);
    cr_assert_eq(sl_snapshot_cut_get(bytes, len, &cut, &err), SYNCLINE_OK);
    cr_assert_eq(cut.status, SYNCLINE_AGAIN);
    bytes[1] = 0x77;
    cr_assert_eq(sl_snapshot_cut_get(bytes, len, &cut, &err), SYNCLINE_OK);
    cr_assert_eq(cut.status, SYNCLINE_EREFUSED, "one that this version does not know");
}

/* Ends of segments come as they were given. */
Test(snapshot_ask, ends)
{
    uint8_t ends[2 * SL_SEGMENT_END_SIZE];
    struct sl_snapshot_cut cut;
    struct sl_error err;
    struct sl_buf buf;
    memset(ends, 0x11, SL_SEGMENT_END_SIZE);
    memset(ends + SL_SEGMENT_END_SIZE, 0x22, SL_SEGMENT_END_SIZE);
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_snapshot_cut_put_head(&buf, 1, 0);
    sl_snapshot_cut_put_ends(&buf, ends, 2);
    cr_assert_eq(sl_snapshot_cut_get(buf.data, buf.len, &cut, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(cut.ends_len, 2);
    cr_assert_arr_eq(cut.ends, ends, sizeof(ends));
    cr_assert_eq(sl_snapshot_cut_get(buf.data, buf.len - 1, &cut, &err), SYNCLINE_EPROTO);
    sl_buf_fini(&buf);
}

static enum syncline_status get(bool is_ask, const void *data, size_t len, struct sl_error *err)
{
    struct sl_snapshot_ask ask;
    struct sl_snapshot_cut cut;
    return is_ask ? sl_snapshot_ask_get(data, len, &ask, err)
                  : sl_snapshot_cut_get(data, len, &cut, err);
}

/* Nothing shorter and nothing longer than the golden bytes is taken. */
Test(snapshot_ask, every_cut_and_every_extra_byte_is_refused)
{
    const char *const goldens[] = {begin_hex, page_hex, cut_hex, failure_hex};
    for (size_t i = 0; i < 4; i++) {
        uint8_t bytes[512] = {0};
        size_t len = unhex(goldens[i], bytes);
        for (size_t cut = 0; cut <= len + 1; cut++) {
            uint8_t *copy = malloc(cut + 1); /* for a sanitizer */
            struct sl_error err = {.text = ""};
            cr_assert_not_null(copy);
            memcpy(copy, bytes, cut);
            enum syncline_status status = get(i < 2, copy, cut, &err);
            free(copy);
            cr_assert_eq(status, cut == len ? SYNCLINE_OK : SYNCLINE_EPROTO, "%zu cut at %zu", i,
                         cut);
            cr_assert(status == SYNCLINE_OK || err.text[0] != '\0');
        }
    }
}

/* What cannot be is refused. */
Test(snapshot_ask, malformed_bytes_are_refused)
{
    static const struct {
        bool is_ask;
        const char *hex;
    } cases[] = {
        {true, "00"},
        {true, "03 01 61" UUID_A},
        {true, "01 01100000"},                 /* origins: 4097 */
        {true, "02 00" UUID_A},                /* no name */
        {true, "02 01 00" UUID_A},             /* NUL */
        {true, "02 01 ff" UUID_A},             /* not UTF-8 */
        {true, "02 80" UUID_A},                /* too long */
        {false, "0000 0300000000000000 0101"}, /* models: 257 */
        {false, "0000 0300000000000000 0100 00 00000000"},
        {false, "0000 0300000000000000 0000 01100000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[512];
        struct sl_error err = {.text = ""};
        size_t len = unhex(cases[i].hex, bytes);
        cr_assert_eq(get(cases[i].is_ask, bytes, len, &err), SYNCLINE_EPROTO, "case %zu", i);
        cr_assert_not_null(strstr(err.text, "cannot be"), "case %zu: %s", i, err.text);
    }
}
