/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/msgpack_cursor.h"

#include <criterion/criterion.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

static msgpack_sbuffer buffer;
static msgpack_packer pack;

static void start(void)
{
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&pack, &buffer, msgpack_sbuffer_write);
}

static void stop(void)
{
    msgpack_sbuffer_destroy(&buffer);
}

TestSuite(msgpack_cursor, .init = start, .fini = stop);

static struct sl_msgpack over(const void *data, size_t len)
{
    struct sl_msgpack cursor;
    sl_msgpack_init(&cursor, data, len);
    return cursor;
}

/* What msgpack-c wrote, whole; and every beginning of it fails, in memory of just that size. */
static struct sl_msgpack packed(void)
{
    for (size_t len = 0; len < buffer.size && buffer.size < 1000; len++) {
        char *copy = malloc(len > 0 ? len : 1);
        cr_assert_not_null(copy);
        memcpy(copy, buffer.data, len);
        struct sl_msgpack cut = over(copy, len);
        (void)sl_msgpack_value(&cut);
        cr_assert(cut.failed, "%zu of %zu bytes", len, buffer.size);
        cr_assert(!sl_msgpack_done(&cut));
        free(copy);
    }
    return over(buffer.data, buffer.size);
}

/* Integers on both sides of every boundary, as msgpack-c writes them: shortest form. */
Test(msgpack_cursor, integers_at_every_boundary)
{
    static const int64_t edges[] = {0,         INT8_MAX,   UINT8_MAX, INT16_MAX, UINT16_MAX,
                                    INT32_MAX, UINT32_MAX, INT64_MAX, -1,        -32,
                                    INT8_MIN,  INT16_MIN,  INT32_MIN, INT64_MIN};
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        for (int64_t step = -2; step <= 2; step++) {
            int64_t value = edges[i];
            if ((step > 0 && value > INT64_MAX - step) || (step < 0 && value < INT64_MIN - step)) {
                continue;
            }
            value += step;
            msgpack_sbuffer_clear(&buffer);
            msgpack_pack_int64(&pack, value);
            struct sl_msgpack cursor = packed();
            cr_assert_eq(sl_msgpack_int(&cursor), value);
            cr_assert(sl_msgpack_done(&cursor));
            cursor = packed();
            uint64_t got = sl_msgpack_uint(&cursor);
            cr_assert_eq(cursor.failed, value < 0);
            cr_assert_eq(got, value < 0 ? 0 : (uint64_t)value);
            cursor = packed();
            struct sl_value read = sl_msgpack_value(&cursor);
            cr_assert_eq(read.type, SL_INT64);
            cr_assert_eq(read.as.int64, value);
        }
    }
}

/* Every fixed width is read, whether or not a shorter one would do. */
Test(msgpack_cursor, integers_of_every_width)
{
    static const uint8_t values[] = {0, 127, 128, 255};
    for (size_t i = 0; i < sizeof(values); i++) {
        const int64_t value = values[i];
        const int64_t negative = (int8_t)values[i];
        msgpack_sbuffer_clear(&buffer);
        msgpack_pack_fix_uint8(&pack, values[i]);
        msgpack_pack_fix_uint16(&pack, values[i]);
        msgpack_pack_fix_uint32(&pack, values[i]);
        msgpack_pack_fix_uint64(&pack, values[i]);
        msgpack_pack_fix_int8(&pack, (int8_t)negative);
        msgpack_pack_fix_int16(&pack, (int16_t)negative);
        msgpack_pack_fix_int32(&pack, (int32_t)negative);
        msgpack_pack_fix_int64(&pack, negative);
        struct sl_msgpack cursor = over(buffer.data, buffer.size);
        for (int k = 0; k < 4; k++) {
            cr_assert_eq(sl_msgpack_int(&cursor), value);
        }
        for (int k = 0; k < 4; k++) {
            cr_assert_eq(sl_msgpack_int(&cursor), negative);
        }
        cr_assert(sl_msgpack_done(&cursor));
    }
}

/* An integer that SQLite could not hold is refused. */
Test(msgpack_cursor, integers_over_63_bits)
{
    msgpack_pack_uint64(&pack, (uint64_t)INT64_MAX + 1);
    struct sl_msgpack cursor = packed();
    cr_assert_eq(sl_msgpack_uint(&cursor), 0);
    cr_assert(cursor.failed);
    cursor = packed();
    cr_assert_eq(sl_msgpack_value(&cursor).as.int64, 0);
    cr_assert(cursor.failed);
}

/* Strings and binaries on both sides of every length form. */
Test(msgpack_cursor, spans_at_every_boundary)
{
    static const uint32_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 70000};
    char *data = malloc(70000);
    cr_assert_not_null(data);
    memset(data, 'x', 70000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int binary = 0; binary < 2; binary++) {
            msgpack_sbuffer_clear(&buffer);
            if (binary == 1) {
                msgpack_pack_bin(&pack, sizes[i]);
                msgpack_pack_bin_body(&pack, data, sizes[i]);
            } else {
                msgpack_pack_str(&pack, sizes[i]);
                msgpack_pack_str_body(&pack, data, sizes[i]);
            }
            struct sl_msgpack cursor = packed();
            uint32_t size = 7;
            const void *got = binary == 1 ? sl_msgpack_bin(&cursor, &size)
                                          : (const void *)sl_msgpack_str(&cursor, &size);
            cr_assert_eq(size, sizes[i]);
            cr_assert_not_null(got);
            cr_assert_eq(memcmp(got, data, size), 0);
            cr_assert(sl_msgpack_done(&cursor));

            cursor = packed(); /* asked for the other kind */
            got = binary == 0 ? sl_msgpack_bin(&cursor, &size)
                              : (const void *)sl_msgpack_str(&cursor, &size);
            cr_assert_null(got);
            cr_assert_eq(size, 0);
            cr_assert(cursor.failed);

            cursor = packed();
            struct sl_value value = sl_msgpack_value(&cursor);
            cr_assert_eq(value.type, binary == 1 ? SL_BLOB : SL_TEXT);
            cr_assert_eq(value.size, sizes[i]);
        }
    }
    free(data);
}

/* Arrays on both sides of every length form; their elements must at least be able to be there. */
Test(msgpack_cursor, arrays_at_every_boundary)
{
    static const uint32_t lens[] = {0, 1, 15, 16, 65535, 65536};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        msgpack_sbuffer_clear(&buffer);
        msgpack_pack_array(&pack, lens[i]);
        for (uint32_t k = 0; k < lens[i]; k++) {
            msgpack_pack_nil(&pack);
        }
        struct sl_msgpack cursor = over(buffer.data, buffer.size);
        cr_assert_eq(sl_msgpack_array(&cursor), lens[i]);
        for (uint32_t k = 0; k < lens[i]; k++) {
            cr_assert(sl_msgpack_nil(&cursor));
        }
        cr_assert(sl_msgpack_done(&cursor));
        if (lens[i] > 0) {
            cursor = over(buffer.data, buffer.size - 1);
            cr_assert_eq(sl_msgpack_array(&cursor), 0);
            cr_assert(cursor.failed);
        }
    }
}

/* Doubles keep every bit. */
Test(msgpack_cursor, doubles_keep_their_bits)
{
    const double values[] = {0.0, -0.0, 1.5, -1e308, 5e-324, INFINITY, NAN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        msgpack_sbuffer_clear(&buffer);
        msgpack_pack_double(&pack, values[i]);
        struct sl_msgpack cursor = packed();
        struct sl_value value = sl_msgpack_value(&cursor);
        cr_assert_eq(value.type, SL_DOUBLE);
        cr_assert_eq(memcmp(&value.as.real, &values[i], sizeof(double)), 0);
    }
}

/* nil, true and false; nil is taken only where it stands. */
Test(msgpack_cursor, nil_and_booleans)
{
    msgpack_pack_nil(&pack);
    msgpack_pack_true(&pack);
    msgpack_pack_false(&pack);
    msgpack_pack_nil(&pack);
    struct sl_msgpack cursor = over(buffer.data, buffer.size);
    cr_assert(sl_msgpack_nil(&cursor));
    cr_assert(!sl_msgpack_nil(&cursor));
    struct sl_value value = sl_msgpack_value(&cursor);
    cr_assert_eq(value.type, SL_BOOL);
    cr_assert_eq(value.as.int64, 1);
    value = sl_msgpack_value(&cursor);
    cr_assert_eq(value.type, SL_BOOL);
    cr_assert_eq(value.as.int64, 0);
    cr_assert_eq(sl_msgpack_value(&cursor).type, SL_NULL);
    cr_assert(sl_msgpack_done(&cursor));
    cr_assert(!sl_msgpack_nil(&cursor)); /* at the end, which is no failure */
    cr_assert(!cursor.failed);
}

/* Every first byte there is: what version 1 does not have - maps, extensions, single floats, the
 * unused tag, and an array where a value must stand - fails, everything else does not. */
Test(msgpack_cursor, every_tag)
{
    for (unsigned tag = 0; tag < 256; tag++) {
        uint8_t data[64] = {(uint8_t)tag}; /* the lengths that follow are zero */
        struct sl_msgpack cursor = over(data, sizeof(data));
        struct sl_value value = sl_msgpack_value(&cursor);
        bool wrong = (tag >= 0x80 && tag <= 0x9f) || tag == 0xc1 || (tag >= 0xc7 && tag <= 0xca) ||
                     (tag >= 0xd4 && tag <= 0xd8) || (tag >= 0xdc && tag <= 0xdf);
        cr_assert_eq(cursor.failed, wrong, "tag %02x", tag);
        cr_assert(!wrong || value.type == SL_NULL);
        cursor = over(data, sizeof(data));
        (void)sl_msgpack_array(&cursor);
        bool array = (tag >= 0x90 && tag <= 0x9f) || tag == 0xdc || tag == 0xdd;
        cr_assert_eq(cursor.failed, !array, "tag %02x", tag);
    }
}

/* A length of 4 GiB with nothing behind it fails, and no address is made from it. */
Test(msgpack_cursor, length_bombs)
{
    static const uint8_t tags[] = {0xc6, 0xdb, 0xdd};
    for (size_t i = 0; i < sizeof(tags); i++) {
        uint8_t data[8] = {tags[i], 0xff, 0xff, 0xff, 0xff, 1, 2, 3};
        struct sl_msgpack cursor = over(data, sizeof(data));
        if (tags[i] == 0xdd) {
            cr_assert_eq(sl_msgpack_array(&cursor), 0);
        } else {
            cr_assert_eq(sl_msgpack_value(&cursor).type, SL_NULL);
        }
        cr_assert(cursor.failed);
    }
}

/* After a bad read nothing is read any more, whatever is asked. */
Test(msgpack_cursor, failed_stays_failed)
{
    static const uint8_t data[] = {0xc1, 0x01, 0xc0, 0x90, 0xc4, 0x00, 0xa0};
    struct sl_msgpack cursor = over(data, sizeof(data));
    uint32_t size = 1;
    (void)sl_msgpack_value(&cursor);
    cr_assert(cursor.failed);
    cr_assert_eq(sl_msgpack_int(&cursor), 0);
    cr_assert_eq(sl_msgpack_uint(&cursor), 0);
    cr_assert(!sl_msgpack_nil(&cursor));
    cr_assert_eq(sl_msgpack_array(&cursor), 0);
    cr_assert_null(sl_msgpack_bin(&cursor, &size));
    cr_assert_null(sl_msgpack_str(&cursor, &size));
    cr_assert_eq(cursor.in.offset, 1);
    cr_assert(!sl_msgpack_done(&cursor));
}
