/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/json_form.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct sl_arena arena;
static struct sl_buf out;

static void start(void)
{
    sl_arena_init(&arena, &sl_allocator_libc);
    sl_buf_init(&out, &sl_allocator_libc);
}

static void stop(void)
{
    sl_arena_fini(&arena);
    sl_buf_fini(&out);
}

TestSuite(json_form, .init = start, .fini = stop);

/* The document as text; it is given up. */
static const char *text_of(json_t *json)
{
    sl_buf_clear(&out);
    cr_assert_not_null(json);
    cr_assert(sl_json_write(json, &out));
    json_decref(json);
    cr_assert_eq(strlen((const char *)out.data), out.len, "its NUL does not count");
    return (const char *)out.data;
}

static const char *value_text(struct sl_value value)
{
    return text_of(sl_json_of_value(&value, &arena));
}

static struct sl_value bytes(enum sl_value_type type, const void *data, uint32_t size)
{
    return (struct sl_value){.type = type, .size = size, .as.data = data};
}

/* Every type of value has its form. */
Test(json_form, values)
{
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_NULL}), "null");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_INT64, .as.int64 = INT64_MIN}),
                     "-9223372036854775808");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_INT64, .as.int64 = INT64_MAX}),
                     "9223372036854775807");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_BOOL, .as.int64 = 1}), "true");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_BOOL, .as.int64 = 0}), "false");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_DOUBLE, .as.real = 0.5}), "0.5");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_DOUBLE, .as.real = 3}), "3.0");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_DOUBLE, .as.real = INFINITY}),
                     "\"Infinity\"");
    cr_expect_str_eq(value_text((struct sl_value){.type = SL_DOUBLE, .as.real = -INFINITY}),
                     "\"-Infinity\"");
}

/* Doubles are read again as what they were. */
Test(json_form, doubles_come_back)
{
    static const double doubles[] = {0.1, 1.0 / 3, 1e300, 5e-324, -2.2250738585072014e-308};
    for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        const char *text = value_text((struct sl_value){.type = SL_DOUBLE, .as.real = doubles[i]});
        json_t *again = json_loads(text, JSON_DECODE_ANY, NULL);
        double read = json_real_value(again);
        cr_expect(read == doubles[i], "%s", text);
        json_decref(again);
    }
}

/* Text and blobs are strings if they are UTF-8, NUL bytes and all, and Base64 if not. */
Test(json_form, bytes_of_both_kinds)
{
    cr_expect_str_eq(value_text(bytes(SL_TEXT, "a\0\xc3\xa4\"", 5)), "\"a\\u0000\xc3\xa4\\\"\"");
    cr_expect_str_eq(value_text(bytes(SL_BLOB, "name", 4)), "\"name\"");
    cr_expect_str_eq(value_text(bytes(SL_BLOB, "\xff\x00", 2)), "{\"base64\":\"/wA=\"}");
    cr_expect_str_eq(value_text(bytes(SL_TEXT, "caf\xe9", 4)), "{\"base64\":\"Y2Fm6Q==\"}");
    cr_expect_str_eq(value_text(bytes(SL_TEXT, "", 0)), "\"\"");
    cr_expect_str_eq(value_text(bytes(SL_BLOB, NULL, 0)), "\"\"");
}

/* Times are UTC with milliseconds, before 1970 and after 9999, too. */
Test(json_form, times)
{
    cr_expect_str_eq(text_of(sl_json_of_time(0)), "\"1970-01-01T00:00:00.000Z\"");
    cr_expect_str_eq(text_of(sl_json_of_time(1768642200123)), "\"2026-01-17T09:30:00.123Z\"");
    cr_expect_str_eq(text_of(sl_json_of_time(-1)), "\"1969-12-31T23:59:59.999Z\"");
    cr_expect_str_eq(text_of(sl_json_of_time(-1000)), "\"1969-12-31T23:59:59.000Z\"");
    cr_expect_str_eq(text_of(sl_json_of_time(253402300800000)), "\"10000-01-01T00:00:00.000Z\"");
    cr_expect_str_eq(text_of(sl_json_of_time(INT64_MAX)), "\"292278994-08-17T07:12:55.807Z\"");
}

/* Names and texts that are no UTF-8, or are longer than any text of ours, are mended. */
Test(json_form, texts)
{
    char longer[2 * SL_ERROR_SIZE];
    memset(longer, 'a', sizeof(longer));
    longer[SL_ERROR_SIZE - 2] = '\xc3'; /* a character that the end cuts in two */
    longer[SL_ERROR_SIZE - 1] = '\xa4';
    longer[sizeof(longer) - 1] = '\0';
    cr_expect_str_eq(text_of(sl_json_of_text("a path: \xe9/\xc3\xa4")), "\"a path: ?/\xc3\xa4\"");
    const char *text = text_of(sl_json_of_text(longer));
    cr_expect_eq(strlen(text), SL_ERROR_SIZE - 1 + 2);
    cr_expect_eq(text[strlen(text) - 2], '?');
}

/* A record has its UUID, its fields, and its keys as UUIDs; a deleted one is null. */
Test(json_form, records)
{
    struct syncline_uuid uuids[2] = {{.bytes = {0x0a}}, {.bytes = {0x0b}}};
    struct syncline_uuid parents[1] = {{.bytes = {0xcc}}};
    struct sl_value names[2] = {bytes(SL_TEXT, "one", 3), {.type = SL_NULL}};
    uint32_t index[2] = {1, 0};
    struct sl_column columns[2] = {
        {.name = "nameXX", .name_len = 4, .values = names},
        {.name = "parent_uuid", .name_len = 11, .is_key = true, .dict = parents, .index = index}};
    struct sl_group group = {
        .change = SYNCLINE_INSERT, .n = 2, .uuids = uuids, .columns = columns, .column_count = 2};
    cr_expect_str_eq(text_of(sl_json_of_record(&group, 0, "uuid", &arena)),
                     "{\"uuid\":\"0a000000-0000-0000-0000-000000000000\",\"name\":\"one\","
                     "\"parent_uuid\":\"cc000000-0000-0000-0000-000000000000\"}");
    cr_expect_str_eq(text_of(sl_json_of_record(&group, 1, "key", &arena)),
                     "{\"key\":\"0b000000-0000-0000-0000-000000000000\",\"name\":null,"
                     "\"parent_uuid\":null}");
    group.change = SYNCLINE_DELETE;
    cr_expect_str_eq(text_of(sl_json_of_record(&group, 0, "uuid", &arena)), "null");
}

static void *no_memory(void *ctx, void *block, size_t size)
{
    (void)ctx;
    (void)block;
    (void)size;
    return NULL;
}

/* Without memory for the text there is none, and nothing is lost. */
Test(json_form, no_memory)
{
    static const struct sl_allocator none = {.resize = no_memory};
    struct sl_arena poor;
    struct sl_buf empty;
    sl_arena_init(&poor, &none);
    sl_buf_init(&empty, &none);
    struct sl_value value = bytes(SL_BLOB, "\xff", 1);
    cr_expect_null(sl_json_of_value(&value, &poor));
    json_t *json = json_integer(1);
    cr_expect_not(sl_json_write(json, &empty));
    json_decref(json);
    cr_expect_not(sl_json_put(NULL, "a", json_integer(1)));
    sl_arena_fini(&poor);
    sl_buf_fini(&empty);
}
