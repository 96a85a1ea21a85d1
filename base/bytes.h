/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Bytes in and out: a bounds-checked reader and a growing buffer, little-endian. */

#ifndef SL_BYTES_H
#define SL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

/* Reads [data, data + len). After the first read past the end `failed` is set, and every later
 * read gives zero or NULL; check once at the end. */
struct sl_reader {
    const uint8_t *data; /* borrowed */
    size_t len;          /* bytes */
    size_t offset;       /* next byte */
    bool failed;         /* a read went past the end */
};

void sl_reader_init(struct sl_reader *reader, const void *data, size_t len);
uint8_t sl_read_u8(struct sl_reader *reader);
uint16_t sl_read_u16(struct sl_reader *reader);
uint32_t sl_read_u32(struct sl_reader *reader);
uint64_t sl_read_u64(struct sl_reader *reader);
const uint8_t *sl_read_bytes(struct sl_reader *reader, size_t len); /* borrowed from the input */
void sl_read_copy(struct sl_reader *reader, void *out, size_t len); /* zeroes on failure */
bool sl_reader_done(const struct sl_reader *reader);                /* all read, nothing failed */

/* A growing buffer. Failing to grow sets `failed`, and later writes do nothing; check once. */
struct sl_buf {
    uint8_t *data;                    /* ours */
    size_t len;                       /* bytes used */
    size_t capacity;                  /* bytes there */
    bool failed;                      /* no memory */
    const struct sl_allocator *alloc; /* borrowed for life */
};

void sl_buf_init(struct sl_buf *buf, const struct sl_allocator *alloc);
void sl_buf_fini(struct sl_buf *buf);                 /* gives memory back; is as after init */
void sl_buf_clear(struct sl_buf *buf);                /* len = 0, failed = false; keeps memory */
bool sl_buf_reserve(struct sl_buf *buf, size_t more); /* room for `more` bytes; false: no memory */
void sl_buf_u8(struct sl_buf *buf, uint8_t value);
void sl_buf_u16(struct sl_buf *buf, uint16_t value);
void sl_buf_u32(struct sl_buf *buf, uint32_t value);
void sl_buf_u64(struct sl_buf *buf, uint64_t value);
void sl_buf_bytes(struct sl_buf *buf, const void *data, size_t len);

/* Little-endian at an address. */
void sl_put_u32(uint8_t *out, uint32_t value);
void sl_put_u64(uint8_t *out, uint64_t value);
uint32_t sl_get_u32(const uint8_t *in);
uint64_t sl_get_u64(const uint8_t *in);

#endif
