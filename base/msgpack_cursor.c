/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/msgpack_cursor.h"

#include <string.h>

void sl_msgpack_init(struct sl_msgpack *cursor, const void *data, size_t len)
{
    sl_reader_init(&cursor->in, data, len);
    cursor->failed = false;
}

static uint64_t read_be(struct sl_msgpack *cursor, size_t size)
{
    const uint8_t *at = sl_read_bytes(&cursor->in, size);
    if (at == NULL) {
        cursor->failed = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static uint8_t read_tag(struct sl_msgpack *cursor)
{
    if (cursor->failed) {
        return 0xc1; /* the one tag that MessagePack never uses */
    }
    const uint8_t *at = sl_read_bytes(&cursor->in, 1);
    if (at == NULL) {
        cursor->failed = true;
        return 0xc1;
    }
    return *at;
}

uint32_t sl_msgpack_array(struct sl_msgpack *cursor)
{
    uint8_t tag = read_tag(cursor);
    uint64_t len = 0;
    if ((tag & 0xf0) == 0x90) {
        len = tag & 0x0fu;
    } else if (tag == 0xdc || tag == 0xdd) {
        len = read_be(cursor, tag == 0xdc ? 2 : 4);
    } else {
        cursor->failed = true;
    }
    if (len > cursor->in.len - cursor->in.offset) {
        cursor->failed = true;
    }
    return cursor->failed ? 0 : (uint32_t)len;
}

static struct sl_value read_span(struct sl_msgpack *cursor, enum sl_value_type type, uint64_t size)
{
    struct sl_value value = {.type = SL_NULL};
    const uint8_t *at = cursor->failed ? NULL : sl_read_bytes(&cursor->in, (size_t)size);
    if (at == NULL) {
        cursor->failed = true;
        return value;
    }
    value.type = type;
    value.size = (uint32_t)size;
    value.as.data = at;
    return value;
}

static struct sl_value of_int(int64_t int64)
{
    struct sl_value value = {.type = SL_INT64, .as = {.int64 = int64}};
    return value;
}

static struct sl_value read_uint(struct sl_msgpack *cursor, size_t size)
{
    uint64_t value = read_be(cursor, size);
    if (value > INT64_MAX) {
        cursor->failed = true;
    }
    return of_int(cursor->failed ? 0 : (int64_t)value);
}

static struct sl_value read_double(struct sl_msgpack *cursor)
{
    uint64_t bits = read_be(cursor, 8);
    struct sl_value value = {.type = SL_DOUBLE};
    memcpy(&value.as.real, &bits, sizeof(bits));
    return value;
}

struct sl_value sl_msgpack_value(struct sl_msgpack *cursor)
{
    uint8_t tag = read_tag(cursor);
    struct sl_value value = {.type = SL_NULL};
    if (tag < 0x80) {
        return of_int(tag);
    }
    if (tag >= 0xe0) {
        return of_int((int8_t)tag);
    }
    if ((tag & 0xe0) == 0xa0) {
        return read_span(cursor, SL_TEXT, tag & 0x1fu);
    }
    switch (tag) {
    case 0xc0:
        return value;
    case 0xc2:
    case 0xc3:
        value.type = SL_BOOL;
        value.as.int64 = tag - 0xc2;
        return value;
    case 0xc4:
        return read_span(cursor, SL_BLOB, read_be(cursor, 1));
    case 0xc5:
        return read_span(cursor, SL_BLOB, read_be(cursor, 2));
    case 0xc6:
        return read_span(cursor, SL_BLOB, read_be(cursor, 4));
    case 0xcb:
        return read_double(cursor);
    case 0xcc:
        return read_uint(cursor, 1);
    case 0xcd:
        return read_uint(cursor, 2);
    case 0xce:
        return read_uint(cursor, 4);
    case 0xcf:
        return read_uint(cursor, 8);
    case 0xd0:
        return of_int((int8_t)read_be(cursor, 1));
    case 0xd1:
        return of_int((int16_t)read_be(cursor, 2));
    case 0xd2:
        return of_int((int32_t)read_be(cursor, 4));
    case 0xd3:
        return of_int((int64_t)read_be(cursor, 8));
    case 0xd9:
        return read_span(cursor, SL_TEXT, read_be(cursor, 1));
    case 0xda:
        return read_span(cursor, SL_TEXT, read_be(cursor, 2));
    case 0xdb:
        return read_span(cursor, SL_TEXT, read_be(cursor, 4));
    default:
        cursor->failed = true;
        return value;
    }
}

int64_t sl_msgpack_int(struct sl_msgpack *cursor)
{
    struct sl_value value = sl_msgpack_value(cursor);
    if (value.type != SL_INT64) {
        cursor->failed = true;
        return 0;
    }
    return value.as.int64;
}

uint64_t sl_msgpack_uint(struct sl_msgpack *cursor)
{
    int64_t value = sl_msgpack_int(cursor);
    if (value < 0) {
        cursor->failed = true;
        return 0;
    }
    return (uint64_t)value;
}

static const void *span_of(struct sl_msgpack *cursor, enum sl_value_type type, uint32_t *size)
{
    struct sl_value value = sl_msgpack_value(cursor);
    if (cursor->failed || value.type != type) {
        cursor->failed = true;
        *size = 0;
        return NULL;
    }
    *size = value.size;
    return value.as.data;
}

const void *sl_msgpack_bin(struct sl_msgpack *cursor, uint32_t *size)
{
    return span_of(cursor, SL_BLOB, size);
}

const char *sl_msgpack_str(struct sl_msgpack *cursor, uint32_t *size)
{
    return span_of(cursor, SL_TEXT, size);
}

bool sl_msgpack_nil(struct sl_msgpack *cursor)
{
    if (cursor->failed || cursor->in.offset >= cursor->in.len ||
        cursor->in.data[cursor->in.offset] != 0xc0) {
        return false;
    }
    cursor->in.offset++;
    return true;
}

bool sl_msgpack_done(const struct sl_msgpack *cursor)
{
    return !cursor->failed && sl_reader_done(&cursor->in);
}
