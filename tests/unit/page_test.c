/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/hex.h"

#define UUID_A "01000000000000000000000000000001"
#define UUID_B "01000000000000000000000000000002"
#define DEVICE "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
#define ORIGIN DEVICE "0700000000000000"
#define HEAD "05 656e747279" UUID_A UUID_B
#define RUNS "02000000 02000000 0001000000000000 01000000 0002000000000000"
#define STAMP "0003000000000000" ORIGIN
#define ROWS "01" RUNS "01000000 02000000" STAMP "03000000 abcdef"
#define BIRTH ORIGIN "0900000000000000"
#define LIVING "02" UUID_B "01" BIRTH "0a00000000000000" STAMP "02000000 c0c1"
#define DELETE "04" UUID_A "00" BIRTH "0000000000000000" STAMP "00000000"

static const char golden_hex[] = HEAD ROWS LIVING DELETE;

static struct syncline_uuid uuid_of(uint8_t last)
{
    struct syncline_uuid uuid = {{0x01}};
    uuid.bytes[15] = last;
    return uuid;
}

static struct sl_origin some_origin(void)
{
    struct sl_origin origin = {.epoch = 7};
    for (size_t i = 0; i < sizeof(origin.device.bytes); i++) {
        origin.device.bytes[i] = (uint8_t)(0xd0 + i);
    }
    return origin;
}

static void put_golden(struct sl_buf *buf)
{
    struct syncline_uuid a = uuid_of(1);
    struct syncline_uuid b = uuid_of(2);
    const struct sl_stamp stamp = {.hlc = 0x300, .origin = some_origin()};
    const struct sl_page_run runs[] = {{.n = 2, .hlc = 0x100}, {.n = 1, .hlc = 0x200}};
    const struct sl_page_stamp stamps[] = {{.i = 2, .stamp = stamp}};
    const struct sl_page_rows rows = {.n = 3,
                                      .runs = runs,
                                      .runs_len = 2,
                                      .stamps = stamps,
                                      .stamps_len = 1,
                                      .group = (const uint8_t *)"\xab\xcd\xef",
                                      .group_size = 3};
    const struct sl_page_other living = {.uuid = b,
                                         .class = SYNCLINE_DEVICE_OWNED,
                                         .birth = {.origin = some_origin(), .seq = 9},
                                         .birth_hlc = 10,
                                         .stamp = stamp,
                                         .body = (const uint8_t *)"\xc0\xc1",
                                         .body_size = 2};
    const struct sl_page_other gone = {
        .uuid = a, .birth = {.origin = some_origin(), .seq = 9}, .stamp = stamp};
    sl_page_put_head(buf, "entry", &a, &b);
    sl_page_put_rows(buf, &rows);
    sl_page_put_other(buf, SL_PAGE_LIVING, &living);
    sl_page_put_other(buf, SL_PAGE_DELETE, &gone);
}

/* A page is these bytes. */
Test(page, golden_bytes_are_written)
{
    uint8_t expected[512];
    size_t len = unhex(golden_hex, expected);
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    put_golden(&buf);
    cr_assert_not(buf.failed);
    cr_assert_eq(buf.len, len);
    cr_assert_arr_eq(buf.data, expected, len);
    sl_buf_fini(&buf);
}

/* A page comes back as it was written. */
Test(page, a_page_is_read)
{
    uint8_t bytes[512];
    size_t len = unhex(golden_hex, bytes);
    struct sl_page page;
    struct sl_page_part part;
    struct sl_error err;
    struct sl_origin origin = some_origin();
    cr_assert_eq(sl_page_get(bytes, len, &page, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(page.model.len, 5);
    cr_assert_arr_eq(page.model.name, "entry", 5);
    cr_assert_eq(page.lo.bytes[15], 1);
    cr_assert_eq(page.hi.bytes[15], 2);
    cr_assert_eq(sl_page_hlc_max(&page), 0x300);
    sl_page_next(&page, &part);
    cr_assert_eq(part.kind, SL_PAGE_ROWS);
    cr_assert_eq(part.n, 3);
    cr_assert_eq(sl_page_run_at(&part, 0).n, 2);
    cr_assert_eq(sl_page_run_at(&part, 1).hlc, 0x200);
    cr_assert_eq(part.stamps_len, 1);
    cr_assert_eq(sl_page_stamp_at(&part, 0).i, 2);
    struct sl_page_stamp stamp = sl_page_stamp_at(&part, 0);
    cr_assert(sl_origin_equal(&stamp.stamp.origin, &origin));
    cr_assert_eq(part.group_size, 3);
    cr_assert_eq(part.group[0], 0xab);
    sl_page_next(&page, &part);
    cr_assert_eq(part.kind, SL_PAGE_LIVING);
    cr_assert_eq(part.other.uuid.bytes[15], 2);
    cr_assert_eq(part.other.class, SYNCLINE_DEVICE_OWNED);
    cr_assert_eq(part.other.birth.seq, 9);
    cr_assert_eq(part.other.birth_hlc, 10);
    cr_assert_eq(part.other.stamp.hlc, 0x300);
    cr_assert_eq(part.other.body_size, 2);
    sl_page_next(&page, &part);
    cr_assert_eq(part.kind, SL_PAGE_DELETE);
    sl_page_next(&page, &part);
    cr_assert_eq(part.kind, SL_PAGE_END);
}

/* The highest clock value may be that of a birth, counted up, or of what is not shown. */
Test(page, highest_clock_value)
{
    static const struct {
        const char *hex;
        uint64_t hlc;
    } cases[] = {
        {HEAD, 0},
        {HEAD "01 01000000 05000000 0004000000000000 00000000 01000000 00", 0x404},
        {HEAD "02" UUID_B "01" BIRTH "0008000000000000" STAMP "01000000 c0", 0x800},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[512];
        size_t len = unhex(cases[i].hex, bytes);
        struct sl_page page;
        struct sl_error err;
        cr_assert_eq(sl_page_get(bytes, len, &page, &err), SYNCLINE_OK, "%zu: %s", i, err.text);
        cr_assert_eq(sl_page_hlc_max(&page), cases[i].hlc, "%zu", i);
    }
}

/* A page that ends inside a part, or a byte after one, is refused. */
Test(page, every_cut_and_every_extra_byte_is_refused)
{
    uint8_t bytes[512] = {0};
    uint8_t parts[8][512];
    size_t ends[4] = {unhex(HEAD, parts[0]), unhex(HEAD ROWS, parts[1]),
                      unhex(HEAD ROWS LIVING, parts[2]), unhex(golden_hex, parts[3])};
    size_t len = unhex(golden_hex, bytes);
    for (size_t cut = 0; cut <= len + 1; cut++) {
        uint8_t *copy = malloc(cut + 1); /* for a sanitizer */
        struct sl_page page;
        struct sl_error err = {.text = ""};
        bool whole = false;
        cr_assert_not_null(copy);
        memcpy(copy, bytes, cut);
        enum syncline_status status = sl_page_get(copy, cut, &page, &err);
        free(copy);
        for (size_t i = 0; i < 4; i++) {
            whole = whole || cut == ends[i];
        }
        cr_assert_eq(status, whole ? SYNCLINE_OK : SYNCLINE_EPROTO, "cut at %zu", cut);
        cr_assert(status == SYNCLINE_OK || err.text[0] != '\0');
    }
}

#define HIGH "0000000000000080"
#define ROWS_OF(runs, stamps, group) HEAD "01" runs stamps group
#define RUN_1 "01000000 01000000 0001000000000000"

/* What cannot be is refused. */
Test(page, malformed_bytes_are_refused)
{
    static const struct {
        const char *hex;
        const char *says;
    } cases[] = {
        {"00" UUID_A UUID_B, "model or range"},
        {"01 00" UUID_A UUID_B, "model or range"},
        {"01 ff" UUID_A UUID_B, "model or range"},
        {"80" UUID_A UUID_B, "model or range"},
        {"01 61" UUID_B UUID_A, "model or range"},
        {HEAD "00", "cut short"},
        {HEAD "00 00" UUID_A UUID_A UUID_A UUID_A UUID_A UUID_A UUID_A UUID_A, "cut short"},
        {ROWS_OF("00000000", "00000000", "01000000 00"), "cannot be"},
        {ROWS_OF("ffffffff", "00000000", "01000000 00"), "cut short"},
        {ROWS_OF("01000000 00000000 0001000000000000", "00000000", "01000000 00"), "cannot be"},
        {ROWS_OF("01000000 01000100 0001000000000000", "00000000", "01000000 00"), "cannot be"},
        {ROWS_OF("01000000 01000000" HIGH, "00000000", "01000000 00"), "cannot be"},
        {ROWS_OF(RUN_1, "00000000", "00000000"), "cannot be"},
        {ROWS_OF(RUN_1, "01000000 01000000" STAMP, "01000000 00"), "cannot be"},
        {ROWS_OF(RUN_1, "02000000 00000000" STAMP "00000000" STAMP, "01000000 00"), "cannot be"},
        {ROWS_OF(RUN_1, "01000000 00000000" HIGH ORIGIN, "01000000 00"), "cannot be"},
        {ROWS_OF(RUN_1, "01000000 00000000 0003000000000000" DEVICE HIGH, "01000000 00"),
         "cannot be"},
        {HEAD "00" UUID_A "00" BIRTH "0000000000000000" STAMP "00000000", "cut short"},
        {HEAD "06" UUID_A "00" BIRTH "0000000000000000" STAMP "00000000", "cannot be"},
        {HEAD "04" UUID_A "02" BIRTH "0000000000000000" STAMP "00000000", "cut short"},
        {HEAD "04" UUID_A "00" BIRTH "0000000000000000" STAMP "01000000 00", "cannot be"},
        {HEAD "02" UUID_A "00" BIRTH "0000000000000000" STAMP "00000000", "cannot be"},
        {HEAD "04 01000000000000000000000000000003 00" BIRTH "0000000000000000" STAMP "00000000",
         "cannot be"},
        {HEAD "04 00000000000000000000000000000001 00" BIRTH "0000000000000000" STAMP "00000000",
         "cannot be"},
        {HEAD "04" UUID_A "00" ORIGIN "0000000000000000 0000000000000000" STAMP "00000000",
         "cannot be"},
        {HEAD "04" UUID_A "00" ORIGIN HIGH "0000000000000000" STAMP "00000000", "cannot be"},
        {HEAD "04" UUID_A "00" BIRTH HIGH STAMP "00000000", "cannot be"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[512];
        struct sl_error err = {.text = ""};
        struct sl_page page;
        size_t len = unhex(cases[i].hex, bytes);
        cr_assert_eq(sl_page_get(bytes, len, &page, &err), SYNCLINE_EPROTO, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
    }
}
