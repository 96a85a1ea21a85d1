/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What the buffer writes, byte for byte: little-endian, nothing between. */
Test(bytes, writes_little_endian)
{
    static const uint8_t golden[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e,
                                     0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 'x',  'y'};
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_buf_u8(&buf, 0x01);
    sl_buf_u16(&buf, 0x0203);
    sl_buf_u32(&buf, 0x04050607);
    sl_buf_u64(&buf, 0x08090a0b0c0d0e0f);
    sl_buf_bytes(&buf, "xy", 2);
    cr_assert(!buf.failed);
    cr_assert_eq(buf.len, sizeof(golden));
    cr_assert_arr_eq(buf.data, golden, sizeof(golden));
    sl_buf_fini(&buf);
}

/* The reader gives back what the buffer wrote, and is done exactly at the end. */
Test(bytes, reads_what_was_written)
{
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_buf_u8(&buf, UINT8_MAX);
    sl_buf_u16(&buf, UINT16_MAX);
    sl_buf_u32(&buf, UINT32_MAX);
    sl_buf_u64(&buf, UINT64_MAX - 1);
    sl_buf_bytes(&buf, "abcdef", 6);

    struct sl_reader reader;
    sl_reader_init(&reader, buf.data, buf.len);
    cr_assert_eq(sl_read_u8(&reader), UINT8_MAX);
    cr_assert_eq(sl_read_u16(&reader), UINT16_MAX);
    cr_assert_eq(sl_read_u32(&reader), UINT32_MAX);
    cr_assert_eq(sl_read_u64(&reader), UINT64_MAX - 1);
    cr_assert_arr_eq(sl_read_bytes(&reader, 3), "abc", 3);
    cr_assert(!sl_reader_done(&reader));
    char rest[3];
    sl_read_copy(&reader, rest, sizeof(rest));
    cr_assert_arr_eq(rest, "def", 3);
    cr_assert(sl_reader_done(&reader));
    sl_buf_fini(&buf);
}

/* A read one byte past the end fails, and so does every read after it, even one that would fit. */
Test(bytes, a_failed_reader_stays_failed)
{
    static const uint8_t data[3] = {1, 2, 3};
    struct sl_reader reader;
    sl_reader_init(&reader, data, sizeof(data));
    cr_assert_eq(sl_read_u32(&reader), 0);
    cr_assert(reader.failed);
    cr_assert_eq(sl_read_u8(&reader), 0);
    cr_assert_eq(sl_read_u16(&reader), 0);
    cr_assert_eq(sl_read_u64(&reader), 0);
    cr_assert_null(sl_read_bytes(&reader, 0));
    cr_assert(!sl_reader_done(&reader));
}

/* A length from a peer that is larger than anything does not wrap around. */
Test(bytes, a_huge_length_is_past_the_end)
{
    static const uint8_t data[4] = {1, 2, 3, 4};
    struct sl_reader reader;
    sl_reader_init(&reader, data, sizeof(data));
    cr_assert_eq(sl_read_u8(&reader), 1);
    cr_assert_null(sl_read_bytes(&reader, SIZE_MAX));
    cr_assert(reader.failed);
    cr_assert_eq(reader.offset, 1);
}

/* A copy that fails leaves zeroes and not what was on the stack. */
Test(bytes, a_failed_copy_gives_zeroes)
{
    static const uint8_t data[2] = {1, 2};
    uint8_t out[3] = {9, 9, 9};
    struct sl_reader reader;
    sl_reader_init(&reader, data, sizeof(data));
    sl_read_copy(&reader, out, sizeof(out));
    cr_assert(reader.failed);
    cr_assert_eq(out[0] + out[1] + out[2], 0);
}

/* No bytes at no address is a valid input, and a valid thing to read and to write. */
Test(bytes, nothing_is_valid)
{
    struct sl_reader reader;
    sl_reader_init(&reader, NULL, 0);
    sl_read_copy(&reader, NULL, 0);
    cr_assert(sl_reader_done(&reader));
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_buf_bytes(&buf, NULL, 0);
    cr_assert(!buf.failed);
    cr_assert_eq(buf.len, 0);
    sl_buf_fini(&buf);
}

/* Growing keeps what is there. */
Test(bytes, grows_over_many_sizes)
{
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    for (uint32_t i = 0; i < 100000; i++)
        sl_buf_u32(&buf, i);
    cr_assert(!buf.failed);
    cr_assert_eq(buf.len, 400000);
    cr_assert_geq(buf.capacity, buf.len);
    for (uint32_t i = 0; i < 100000; i++)
        cr_assert_eq(sl_get_u32(buf.data + 4 * (size_t)i), i);
    sl_buf_fini(&buf);
}

/* Memory that is not there fails the buffer, keeps its content and ignores what comes after. */
Test(bytes, no_memory_fails_the_buffer)
{
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_buf_u32(&buf, 0x01020304);
    cr_assert(!sl_buf_reserve(&buf, SIZE_MAX / 2)); /* the allocator refuses */
    cr_assert(buf.failed);
    sl_buf_u32(&buf, 5);
    cr_assert(!sl_buf_reserve(&buf, 1));
    cr_assert_eq(buf.len, 4);
    cr_assert_eq(sl_get_u32(buf.data), 0x01020304);
    sl_buf_fini(&buf);
}

/* A length that does not fit in a size fails before any allocation; clearing makes it usable. */
Test(bytes, an_overflowing_length_fails_the_buffer)
{
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_buf_u8(&buf, 1);
    cr_assert(!sl_buf_reserve(&buf, SIZE_MAX));
    cr_assert(buf.failed);
    const uint8_t *memory = buf.data;
    sl_buf_clear(&buf);
    cr_assert(!buf.failed);
    cr_assert_eq(buf.len, 0);
    sl_buf_u8(&buf, 2);
    cr_assert_eq(buf.data, memory);
    cr_assert_eq(buf.data[0], 2);
    sl_buf_fini(&buf);
    cr_assert_null(buf.data);
}

/* Numbers at an address are little-endian too. */
Test(bytes, puts_and_gets_at_an_address)
{
    uint8_t out[8];
    sl_put_u32(out, 0x01020304);
    cr_assert_arr_eq(out, ((const uint8_t[]){4, 3, 2, 1}), 4);
    cr_assert_eq(sl_get_u32(out), 0x01020304);
    sl_put_u64(out, 0x0102030405060708);
    cr_assert_arr_eq(out, ((const uint8_t[]){8, 7, 6, 5, 4, 3, 2, 1}), 8);
    cr_assert_eq(sl_get_u64(out), 0x0102030405060708);
}
