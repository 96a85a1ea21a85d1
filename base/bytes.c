/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/bytes.h"

#include <string.h>

#define CAPACITY_MIN 256u /* bytes of a buffer's first memory */

void sl_reader_init(struct sl_reader *reader, const void *data, size_t len)
{
    *reader = (struct sl_reader){.data = data, .len = len};
}

const uint8_t *sl_read_bytes(struct sl_reader *reader, size_t len)
{
    if (reader->failed || len > reader->len - reader->offset) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *bytes = reader->data + reader->offset;
    reader->offset += len;
    return bytes;
}

/* A little-endian number of `size` bytes. */
static uint64_t read_number(struct sl_reader *reader, size_t size)
{
    const uint8_t *bytes = sl_read_bytes(reader, size);
    if (bytes == NULL)
        return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t sl_read_u8(struct sl_reader *reader)
{
    return (uint8_t)read_number(reader, 1);
}

uint16_t sl_read_u16(struct sl_reader *reader)
{
    return (uint16_t)read_number(reader, 2);
}

uint32_t sl_read_u32(struct sl_reader *reader)
{
    return (uint32_t)read_number(reader, 4);
}

uint64_t sl_read_u64(struct sl_reader *reader)
{
    return read_number(reader, 8);
}

void sl_read_copy(struct sl_reader *reader, void *out, size_t len)
{
    const uint8_t *bytes = sl_read_bytes(reader, len);
    if (len == 0)
        return;
    if (bytes == NULL) {
        memset(out, 0, len);
        return;
    }
    memcpy(out, bytes, len);
}

bool sl_reader_done(const struct sl_reader *reader)
{
    return !reader->failed && reader->offset == reader->len;
}

void sl_buf_init(struct sl_buf *buf, const struct sl_allocator *alloc)
{
    *buf = (struct sl_buf){.alloc = alloc};
}

void sl_buf_fini(struct sl_buf *buf)
{
    sl_free(buf->alloc, buf->data);
    sl_buf_init(buf, buf->alloc);
}

void sl_buf_clear(struct sl_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

bool sl_buf_reserve(struct sl_buf *buf, size_t more)
{
    if (buf->failed)
        return false;
    if (more <= buf->capacity - buf->len)
        return true;
    if (more > SIZE_MAX - buf->len) {
        buf->failed = true;
        return false;
    }
    size_t needed = buf->len + more;
    size_t capacity = buf->capacity < CAPACITY_MIN ? CAPACITY_MIN : buf->capacity;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    uint8_t *data = sl_resize(buf->alloc, buf->data, capacity, 1);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void sl_buf_bytes(struct sl_buf *buf, const void *data, size_t len)
{
    if (!sl_buf_reserve(buf, len) || len == 0)
        return;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void sl_buf_u8(struct sl_buf *buf, uint8_t value)
{
    sl_buf_bytes(buf, &value, 1);
}

void sl_buf_u16(struct sl_buf *buf, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    sl_buf_bytes(buf, bytes, sizeof(bytes));
}

void sl_buf_u32(struct sl_buf *buf, uint32_t value)
{
    uint8_t bytes[4];
    sl_put_u32(bytes, value);
    sl_buf_bytes(buf, bytes, sizeof(bytes));
}

void sl_buf_u64(struct sl_buf *buf, uint64_t value)
{
    uint8_t bytes[8];
    sl_put_u64(bytes, value);
    sl_buf_bytes(buf, bytes, sizeof(bytes));
}

void sl_put_u32(uint8_t *out, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

void sl_put_u64(uint8_t *out, uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

uint32_t sl_get_u32(const uint8_t *in)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++)
        value |= (uint32_t)in[i] << (8 * i);
    return value;
}

uint64_t sl_get_u64(const uint8_t *in)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}
