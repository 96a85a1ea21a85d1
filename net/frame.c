/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A stream between two devices is frames, one after the other, nothing between. Numbers are
 * little-endian.
 *
 *     offset size
 *          0    4  payload length in bytes, without these 8
 *          4    1  type
 *          5    1  version of this type's payload: 1
 *          6    2  flags; bit 0: optional. The others are 0
 *          8       payload
 *
 * A frame of a type, version or flag that the receiver does not know is skipped if it is optional;
 * otherwise the connection ends with EPROTO. A payload is at most 4 MiB, and at most 64 KiB until
 * the handshake is done; a longer one ends the connection before a byte of it is kept. A payload
 * is valid if its fields end exactly where it ends. `text` below is UTF-8 without NUL.
 *
 *     type 1 HELLO      8  magic "SYNCLINE"
 *                       2  lowest protocol version spoken
 *                       2  highest protocol version spoken
 *                      16  library id
 *                      32  Ed25519 public key; the device id is the first 16 bytes of its SHA-256
 *                       1  length of the device's name, at most 127
 *                          name, text
 *     type 5 JOIN          as HELLO, without the library id
 *     type 6 WELCOME   16  library id
 *                       1  length of the library's name, at most 127
 *                          name, text
 *                      32  public key of the member that answers
 *                       1  length of its device's name, at most 127
 *                          name, text
 *     type 2 VECTOR     4  number of entries, at most 4096; then that many times:
 *                      16  origin: device id
 *                       8  origin: epoch, below 2^63
 *                       8  held seq
 *                      32  hash of the segment that ends there
 *                       8  applied seq, at most the held seq
 *     type 3 SEGMENT       a segment as it lies in the log, 1 byte to 3 MiB
 *     type 7 MEMBERS       entries of the membership log, at least one: each
 *                       4  its length, and
 *                          its bytes, as base/membership_entry.h has them
 *     type 8 SUMMARY   32  hash of all that the device would say in ROSTER and VECTOR
 *     type 9 ROSTER    32  hash of the membership log, as base/membership.h has it
 *                       4  number of devices, at most 65; then that many times:
 *                      16  device id
 *                       8  epoch and
 *                       8  version of its latest statement; both 0: none
 *     type 11 ASK      16  origin: device id
 *                       8  origin: epoch, below 2^63
 *                       8  seq after which its segments are to be sent again
 *     type 14 FLOOR   208  the end of a segment, see base/segment.h: the log of its origin begins
 *                          after it here
 *     type 10 STATEMENT    a vector signed by its device, see base/statement.h
 *     type 12 QUERY        a question about ranges of records, as base/range_ask.c has it
 *     type 13 ANSWER       its answer, likewise
 *     type 20 SNAPSHOT_ASK   what the taker of a snapshot asks for, see base/snapshot_ask.c
 *     type 21 SNAPSHOT_CUT   the cut, or that there is none, likewise
 *     type 22 SNAPSHOT_PAGE  a page, see base/page.c
 *     type 4 ERROR      2  status, not 0; who does not know it takes it for EREFUSED
 *                       2  length of the text, at most 511
 *                          text; one line for a person
 *
 * HELLO, JOIN and ERROR keep this layout, as version 1, in every version of the protocol: they are
 * how two versions find out about each other. */

#include "net/frame.h"

#include <string.h>

#include "base/membership_entry.h"
#include "base/range_ask.h"
#include "base/utf8.h"

#define MAGIC "SYNCLINE"
#define MAGIC_SIZE 8u
#define ROSTER_ENTRY_SIZE 32u
#define KEPT_CAPACITY_MAX (256u * 1024u) /* a decoder gives back more memory than this */

_Static_assert(sizeof(MAGIC) - 1 == MAGIC_SIZE, "the magic is 8 bytes");
_Static_assert(4u + SL_VECTOR_LEN_MAX * SL_VECTOR_ENTRY_SIZE <= SL_FRAME_SIZE_MAX, "a vector fits");
_Static_assert(SL_STATEMENT_HEADER_SIZE + SL_VECTOR_LEN_MAX * SL_VECTOR_ENTRY_SIZE <=
                   SL_FRAME_SIZE_MAX,
               "a statement fits");
_Static_assert(SL_SEGMENT_SIZE_MAX <= SL_FRAME_SIZE_MAX, "a segment fits");
_Static_assert(SL_MEMBERSHIP_SIZE_MAX + 4u * SL_MEMBERSHIP_LEN_MAX <= SL_FRAME_SIZE_MAX,
               "a membership log fits");

static const char *const type_names[SL_FRAME_TYPE_END] = {
    [SL_FRAME_HELLO] = "HELLO",
    [SL_FRAME_VECTOR] = "VECTOR",
    [SL_FRAME_SEGMENT] = "SEGMENT",
    [SL_FRAME_ERROR] = "ERROR",
    [SL_FRAME_JOIN] = "JOIN",
    [SL_FRAME_WELCOME] = "WELCOME",
    [SL_FRAME_MEMBERS] = "MEMBERS",
    [SL_FRAME_SUMMARY] = "SUMMARY",
    [SL_FRAME_ROSTER] = "ROSTER",
    [SL_FRAME_STATEMENT] = "STATEMENT",
    [SL_FRAME_ASK] = "ASK",
    [SL_FRAME_QUERY] = "QUERY",
    [SL_FRAME_ANSWER] = "ANSWER",
    [SL_FRAME_FLOOR] = "FLOOR",
    [SL_FRAME_SNAPSHOT_ASK] = "SNAPSHOT_ASK",
    [SL_FRAME_SNAPSHOT_CUT] = "SNAPSHOT_CUT",
    [SL_FRAME_SNAPSHOT_PAGE] = "SNAPSHOT_PAGE",
};

const char *sl_frame_type_name(enum sl_frame_type type)
{
    if ((unsigned)type >= SL_FRAME_TYPE_END || type_names[type] == NULL)
        return "unknown";
    return type_names[type];
}

/* ---- The stream --------------------------------------------------------------------------- */

void sl_frame_decoder_init(struct sl_frame_decoder *decoder, const struct sl_allocator *alloc,
                           size_t size_max)
{
    memset(decoder, 0, sizeof(*decoder));
    sl_buf_init(&decoder->payload, alloc);
    decoder->size_max = size_max;
}

void sl_frame_decoder_fini(struct sl_frame_decoder *decoder)
{
    sl_buf_fini(&decoder->payload);
}

static size_t take(const uint8_t **data, size_t *len, size_t wanted)
{
    size_t taken = wanted < *len ? wanted : *len;

    if (taken > 0)
        *data += taken;
    *len -= taken;
    return taken;
}

/* Judges a complete header; *skip says that the frame is to be skipped. */
static enum syncline_status check_header(struct sl_frame_decoder *decoder, bool *skip,
                                         struct sl_error *err)
{
    struct sl_reader reader;
    sl_reader_init(&reader, decoder->header, SL_FRAME_HEADER_SIZE);
    uint32_t size = sl_read_u32(&reader);
    uint8_t type = sl_read_u8(&reader);
    uint8_t version = sl_read_u8(&reader);
    uint16_t flags = sl_read_u16(&reader);
    bool known = type < SL_FRAME_TYPE_END && type_names[type] != NULL;

    if (size > decoder->size_max && decoder->frames == 0)
        return sl_fail(err, SYNCLINE_EPROTO,
                       "the first frame declares %u bytes, %zu are allowed; is it a Syncline "
                       "device?",
                       size, decoder->size_max);
    if (size > decoder->size_max)
        return sl_fail(err, SYNCLINE_EPROTO, "a frame declares %u bytes, %zu are allowed", size,
                       decoder->size_max);
    *skip = !known || version != SL_FRAME_VERSION || (flags & ~SL_FRAME_OPTIONAL) != 0;
    if (!*skip || (flags & SL_FRAME_OPTIONAL) != 0) {
        decoder->payload_size = size;
        return SYNCLINE_OK;
    }
    if (!known)
        return sl_fail(err, SYNCLINE_EPROTO,
                       "a frame of type %u, which this version does not know; is the other "
                       "version newer?",
                       type);
    if (version != SL_FRAME_VERSION)
        return sl_fail(err, SYNCLINE_EPROTO,
                       "%s frame of version %u, where this version knows %u only; is the other "
                       "version newer?",
                       type_names[type], version, SL_FRAME_VERSION);
    return sl_fail(err, SYNCLINE_EPROTO, "%s frame with the unknown flags 0x%04x", type_names[type],
                   flags);
}

/* Forgets the frame that was handed out. */
static void begin_frame(struct sl_frame_decoder *decoder)
{
    if (decoder->payload.capacity > KEPT_CAPACITY_MAX)
        sl_buf_fini(&decoder->payload);
    sl_buf_clear(&decoder->payload);
    decoder->header_len = 0;
    decoder->handed = false;
}

/* Takes what belongs to the header. Returns true once it is complete and judged. */
static enum syncline_status read_header(struct sl_frame_decoder *decoder, const uint8_t **data,
                                        size_t *len, struct sl_error *err)
{
    const uint8_t *from = *data;
    size_t taken = take(data, len, SL_FRAME_HEADER_SIZE - decoder->header_len);

    if (taken > 0)
        memcpy(decoder->header + decoder->header_len, from, taken);
    decoder->header_len += taken;
    if (decoder->header_len < SL_FRAME_HEADER_SIZE)
        return SYNCLINE_AGAIN;
    bool skip = false;
    enum syncline_status status = check_header(decoder, &skip, err);
    if (status != SYNCLINE_OK)
        return status;
    decoder->frames++;
    if (skip) {
        decoder->skip_size = decoder->payload_size;
        decoder->header_len = 0;
    }
    return SYNCLINE_OK;
}

/* Takes what belongs to the payload. A frame that lies whole in the chunk is not copied. */
static enum syncline_status read_payload(struct sl_frame_decoder *decoder, const uint8_t **data,
                                         size_t *len, struct sl_frame *frame, struct sl_error *err)
{
    struct sl_buf *buf = &decoder->payload;
    const uint8_t *payload = *data;

    if (buf->len > 0 || *len < decoder->payload_size) {
        const uint8_t *from = *data;
        /* Grows with what has come, never with what was declared. */
        sl_buf_bytes(buf, from, take(data, len, decoder->payload_size - buf->len));
        if (buf->failed)
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a frame of %zu bytes",
                           decoder->payload_size);
        if (buf->len < decoder->payload_size)
            return SYNCLINE_AGAIN;
        payload = buf->data;
    } else {
        (void)take(data, len, decoder->payload_size);
    }
    frame->type = (enum sl_frame_type)decoder->header[4];
    frame->payload = payload;
    frame->len = decoder->payload_size;
    decoder->handed = true;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_decoder_next(struct sl_frame_decoder *decoder, const uint8_t **data,
                                           size_t *len, struct sl_frame *frame,
                                           struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;

    if (decoder->failed)
        return sl_fail(err, SYNCLINE_EPROTO, "the stream was given up after an error");
    if (decoder->handed)
        begin_frame(decoder);
    while (decoder->header_len < SL_FRAME_HEADER_SIZE) {
        decoder->skip_size -= take(data, len, decoder->skip_size);
        status = decoder->skip_size > 0 ? SYNCLINE_AGAIN : read_header(decoder, data, len, err);
        if (status != SYNCLINE_OK)
            break;
    }
    if (status == SYNCLINE_OK)
        status = read_payload(decoder, data, len, frame, err);
    decoder->failed = status != SYNCLINE_OK && status != SYNCLINE_AGAIN;
    return status;
}

/* ---- Text --------------------------------------------------------------------------------- */

bool sl_frame_text_is_valid(const uint8_t *text, size_t len)
{
    return (len == 0 || memchr(text, 0, len) == NULL) && sl_utf8_is_valid(text, len);
}

/* Reads `len` bytes of text into out, which has room for one more. */
static enum syncline_status read_text(struct sl_reader *reader, const struct sl_frame *frame,
                                      const char *what, size_t len, size_t len_max, char *out,
                                      struct sl_error *err)
{
    if (len > len_max)
        return sl_fail(err, SYNCLINE_EPROTO, "the %s in %s has %zu bytes, %zu are allowed", what,
                       sl_frame_type_name(frame->type), len, len_max);
    const uint8_t *text = sl_read_bytes(reader, len);
    if (text == NULL) {
        out[0] = '\0';
        return SYNCLINE_OK; /* cut short: check_end says so */
    }
    if (!sl_frame_text_is_valid(text, len))
        return sl_fail(err, SYNCLINE_EPROTO, "the %s in %s is not UTF-8 text", what,
                       sl_frame_type_name(frame->type));
    if (len > 0)
        memcpy(out, text, len);
    out[len] = '\0';
    return SYNCLINE_OK;
}

static enum syncline_status read_name(struct sl_reader *reader, const struct sl_frame *frame,
                                      const char *what, char out[SL_NAME_SIZE_MAX + 1],
                                      struct sl_error *err)
{
    size_t len = sl_read_u8(reader);

    return read_text(reader, frame, what, len, SL_NAME_SIZE_MAX, out, err);
}

static enum syncline_status check_end(const struct sl_reader *reader, const struct sl_frame *frame,
                                      struct sl_error *err)
{
    if (reader->failed)
        return sl_fail(err, SYNCLINE_EPROTO, "the %s frame is cut short at %zu bytes",
                       sl_frame_type_name(frame->type), frame->len);
    if (!sl_reader_done(reader))
        return sl_fail(err, SYNCLINE_EPROTO, "the %s frame has %zu bytes too many",
                       sl_frame_type_name(frame->type), reader->len - reader->offset);
    return SYNCLINE_OK;
}

/* ---- Writers ------------------------------------------------------------------------------ */

static void put_header(uint8_t out[SL_FRAME_HEADER_SIZE], enum sl_frame_type type, size_t len)
{
    memset(out, 0, SL_FRAME_HEADER_SIZE);
    sl_put_u32(out, (uint32_t)len);
    out[4] = (uint8_t)type;
    out[5] = SL_FRAME_VERSION;
}

/* Reserves the header of a frame; end_frame fills it in. Returns where it is. */
static size_t begin_put(struct sl_buf *buf)
{
    static const uint8_t nothing[SL_FRAME_HEADER_SIZE];
    size_t start = buf->len;

    sl_buf_bytes(buf, nothing, sizeof(nothing));
    return start;
}

static enum syncline_status end_put(struct sl_buf *buf, size_t start, enum sl_frame_type type)
{
    if (buf->failed)
        return SYNCLINE_ENOMEM;
    put_header(buf->data + start, type, buf->len - start - SL_FRAME_HEADER_SIZE);
    return SYNCLINE_OK;
}

/* The name's length, or EINVAL. */
static enum syncline_status check_name(const char name[SL_NAME_SIZE_MAX + 1])
{
    size_t len = strnlen(name, SL_NAME_SIZE_MAX + 1);

    if (len > SL_NAME_SIZE_MAX || !sl_frame_text_is_valid((const uint8_t *)name, len))
        return SYNCLINE_EINVAL;
    return SYNCLINE_OK;
}

static void put_name(struct sl_buf *buf, const char *name)
{
    size_t len = strlen(name);

    sl_buf_u8(buf, (uint8_t)len);
    sl_buf_bytes(buf, name, len);
}

static enum syncline_status put_greeting(struct sl_buf *buf, const struct sl_hello *hello,
                                         enum sl_frame_type type)
{
    enum syncline_status status = check_name(hello->device_name);
    if (status != SYNCLINE_OK)
        return status;
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, MAGIC, MAGIC_SIZE);
    sl_buf_u16(buf, SL_PROTOCOL_VERSION_MIN);
    sl_buf_u16(buf, SL_PROTOCOL_VERSION_MAX);
    if (type == SL_FRAME_HELLO)
        sl_buf_bytes(buf, hello->library_id.bytes, sizeof(hello->library_id.bytes));
    sl_buf_bytes(buf, hello->public_key, SL_KEY_SIZE);
    put_name(buf, hello->device_name);
    return end_put(buf, start, type);
}

enum syncline_status sl_frame_put_hello(struct sl_buf *buf, const struct sl_hello *hello)
{
    return put_greeting(buf, hello, SL_FRAME_HELLO);
}

enum syncline_status sl_frame_put_join(struct sl_buf *buf, const struct sl_hello *hello)
{
    return put_greeting(buf, hello, SL_FRAME_JOIN);
}

enum syncline_status sl_frame_put_welcome(struct sl_buf *buf, const struct sl_welcome *welcome)
{
    if (check_name(welcome->library_name) != SYNCLINE_OK ||
        check_name(welcome->member.device_name) != SYNCLINE_OK)
        return SYNCLINE_EINVAL;
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, welcome->library_id.bytes, sizeof(welcome->library_id.bytes));
    put_name(buf, welcome->library_name);
    sl_buf_bytes(buf, welcome->member.public_key, SL_KEY_SIZE);
    put_name(buf, welcome->member.device_name);
    return end_put(buf, start, SL_FRAME_WELCOME);
}

enum syncline_status sl_frame_put_vector(struct sl_buf *buf, const struct sl_vector_entry *entries,
                                         size_t len)
{
    if (len > SL_VECTOR_LEN_MAX)
        return SYNCLINE_ETOOBIG;
    if (!sl_buf_reserve(buf, SL_FRAME_HEADER_SIZE + 4u + len * SL_VECTOR_ENTRY_SIZE))
        return SYNCLINE_ENOMEM;
    size_t start = begin_put(buf);
    sl_buf_u32(buf, (uint32_t)len);
    for (size_t i = 0; i < len; i++) {
        uint8_t bytes[SL_VECTOR_ENTRY_SIZE];
        sl_vector_entry_encode(&entries[i], bytes);
        sl_buf_bytes(buf, bytes, sizeof(bytes));
    }
    return end_put(buf, start, SL_FRAME_VECTOR);
}

enum syncline_status sl_frame_put_summary(struct sl_buf *buf, const uint8_t hash[SL_HASH_SIZE])
{
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, hash, SL_HASH_SIZE);
    return end_put(buf, start, SL_FRAME_SUMMARY);
}

enum syncline_status sl_frame_put_roster(struct sl_buf *buf, const uint8_t members[SL_HASH_SIZE],
                                         const struct sl_roster_entry *entries, size_t len)
{
    if (len > SL_ROSTER_LEN_MAX)
        return SYNCLINE_ETOOBIG;
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, members, SL_HASH_SIZE);
    sl_buf_u32(buf, (uint32_t)len);
    for (size_t i = 0; i < len; i++) {
        sl_buf_bytes(buf, entries[i].device.bytes, sizeof(entries[i].device.bytes));
        sl_buf_u64(buf, entries[i].stated.epoch);
        sl_buf_u64(buf, entries[i].stated.version);
    }
    return end_put(buf, start, SL_FRAME_ROSTER);
}

enum syncline_status sl_frame_put_statement(struct sl_buf *buf, const uint8_t *data, size_t len)
{
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, data, len);
    return end_put(buf, start, SL_FRAME_STATEMENT);
}

enum syncline_status sl_frame_put_ask(struct sl_buf *buf, const struct sl_vector_entry *entry)
{
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, entry->origin.device.bytes, sizeof(entry->origin.device.bytes));
    sl_buf_u64(buf, entry->origin.epoch);
    sl_buf_u64(buf, entry->held_seq);
    return end_put(buf, start, SL_FRAME_ASK);
}

enum syncline_status sl_frame_put_floor(struct sl_buf *buf, const uint8_t end[SL_SEGMENT_END_SIZE])
{
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, end, SL_SEGMENT_END_SIZE);
    return end_put(buf, start, SL_FRAME_FLOOR);
}

enum syncline_status sl_frame_put_error(struct sl_buf *buf, enum syncline_status status,
                                        const char *text)
{
    uint8_t mended[SL_ERROR_SIZE - 1];
    size_t len = 0;

    /* Texts may quote a path, which may be any bytes. */
    for (size_t left = strlen(text); left > 0;) {
        size_t size = sl_utf8_char_size((const uint8_t *)text, left);
        size_t taken = size == 0 ? 1 : size;
        if (len + taken > sizeof(mended))
            break;
        memcpy(mended + len, size == 0 ? "?" : text, taken);
        len += taken;
        text += taken;
        left -= taken;
    }
    size_t start = begin_put(buf);
    sl_buf_u16(buf, (uint16_t)(status == SYNCLINE_OK ? SYNCLINE_EREFUSED : status));
    sl_buf_u16(buf, (uint16_t)len);
    sl_buf_bytes(buf, mended, len);
    return end_put(buf, start, SL_FRAME_ERROR);
}

static size_t question_size_max(enum sl_frame_type type)
{
    switch (type) {
    case SL_FRAME_QUERY:
        return SL_RANGE_ASK_SIZE_MAX;
    case SL_FRAME_ANSWER:
        return SL_RANGE_ANSWER_SIZE_MAX;
    default:
        return SL_FRAME_SIZE_MAX;
    }
}

enum syncline_status sl_frame_put_question(struct sl_buf *buf, enum sl_frame_type type,
                                           const void *payload, size_t len)
{
    if (len == 0)
        return SYNCLINE_EINVAL;
    if (len > question_size_max(type))
        return SYNCLINE_ETOOBIG;
    size_t start = begin_put(buf);
    sl_buf_bytes(buf, payload, len);
    return end_put(buf, start, type);
}

enum syncline_status sl_frame_put_members(struct sl_buf *buf, const void *entries, size_t size)
{
    return sl_frame_put_question(buf, SL_FRAME_MEMBERS, entries, size);
}

enum syncline_status sl_frame_put_segment_header(uint8_t out[SL_FRAME_HEADER_SIZE], size_t len)
{
    if (len == 0)
        return SYNCLINE_EINVAL;
    if (len > SL_SEGMENT_SIZE_MAX)
        return SYNCLINE_ETOOBIG;
    put_header(out, SL_FRAME_SEGMENT, len);
    return SYNCLINE_OK;
}

/* ---- Readers ------------------------------------------------------------------------------ */

static enum syncline_status get_greeting(const struct sl_frame *frame, struct sl_hello *out,
                                         struct sl_error *err)
{
    struct sl_hello hello;
    struct sl_reader reader;
    uint8_t magic[MAGIC_SIZE];

    memset(&hello, 0, sizeof(hello));
    sl_reader_init(&reader, frame->payload, frame->len);
    sl_read_copy(&reader, magic, sizeof(magic));
    uint16_t version_min = sl_read_u16(&reader);
    uint16_t version_max = sl_read_u16(&reader);
    if (reader.failed)
        return check_end(&reader, frame, err);
    if (memcmp(magic, MAGIC, MAGIC_SIZE) != 0)
        return sl_fail(err, SYNCLINE_EPROTO,
                       "a %s frame without Syncline's mark; is it a Syncline device?",
                       sl_frame_type_name(frame->type));
    if (version_min > version_max)
        return sl_fail(err, SYNCLINE_EPROTO, "a %s frame with protocol versions %u to %u",
                       sl_frame_type_name(frame->type), version_min, version_max);
    if (version_min > SL_PROTOCOL_VERSION_MAX || version_max < SL_PROTOCOL_VERSION_MIN)
        return sl_fail(err, SYNCLINE_EPROTO,
                       "no common protocol version: one device speaks %u to %u, the other %u to "
                       "%u; bring the older up to date",
                       version_min, version_max, SL_PROTOCOL_VERSION_MIN, SL_PROTOCOL_VERSION_MAX);
    if (frame->type == SL_FRAME_HELLO)
        sl_read_copy(&reader, hello.library_id.bytes, sizeof(hello.library_id.bytes));
    sl_read_copy(&reader, hello.public_key, SL_KEY_SIZE);
    enum syncline_status status = read_name(&reader, frame, "device name", hello.device_name, err);
    if (status == SYNCLINE_OK)
        status = check_end(&reader, frame, err);
    if (status != SYNCLINE_OK)
        return status;
    sl_device_id(hello.public_key, &hello.device_id);
    *out = hello;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_get_hello(const struct sl_frame *frame, struct sl_hello *hello,
                                        struct sl_error *err)
{
    return get_greeting(frame, hello, err);
}

enum syncline_status sl_frame_get_join(const struct sl_frame *frame, struct sl_hello *hello,
                                       struct sl_error *err)
{
    return get_greeting(frame, hello, err);
}

enum syncline_status sl_frame_get_welcome(const struct sl_frame *frame, struct sl_welcome *out,
                                          struct sl_error *err)
{
    struct sl_welcome welcome;
    struct sl_reader reader;

    memset(&welcome, 0, sizeof(welcome));
    sl_reader_init(&reader, frame->payload, frame->len);
    sl_read_copy(&reader, welcome.library_id.bytes, sizeof(welcome.library_id.bytes));
    enum syncline_status status =
        read_name(&reader, frame, "library name", welcome.library_name, err);
    if (status != SYNCLINE_OK)
        return status;
    sl_read_copy(&reader, welcome.member.public_key, SL_KEY_SIZE);
    status = read_name(&reader, frame, "device name", welcome.member.device_name, err);
    if (status == SYNCLINE_OK)
        status = check_end(&reader, frame, err);
    if (status != SYNCLINE_OK)
        return status;
    welcome.member.library_id = welcome.library_id;
    sl_device_id(welcome.member.public_key, &welcome.member.device_id);
    *out = welcome;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_get_vector(const struct sl_frame *frame, struct sl_buf *memory,
                                         const struct sl_vector_entry **out, size_t *len,
                                         struct sl_error *err)
{
    struct sl_reader reader;

    sl_reader_init(&reader, frame->payload, frame->len);
    uint32_t count = sl_read_u32(&reader);
    if (count > SL_VECTOR_LEN_MAX)
        return sl_fail(err, SYNCLINE_EPROTO, "a VECTOR frame declares %u entries, %u are allowed",
                       count, SL_VECTOR_LEN_MAX);
    /* Declared and actual size must agree before there is an allocation. */
    if (reader.failed || frame->len != 4u + (size_t)count * SL_VECTOR_ENTRY_SIZE)
        return sl_fail(err, SYNCLINE_EPROTO, "a VECTOR frame of %zu bytes declares %u entries",
                       frame->len, count);
    if (count == 0) {
        *out = NULL;
        *len = 0;
        return SYNCLINE_OK;
    }
    sl_buf_clear(memory);
    if (!sl_buf_reserve(memory, count * sizeof(struct sl_vector_entry)))
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a vector of %u entries", count);
    struct sl_vector_entry *entries = (void *)memory->data;
    for (uint32_t i = 0; i < count; i++) {
        enum syncline_status status =
            sl_vector_entry_decode(sl_read_bytes(&reader, SL_VECTOR_ENTRY_SIZE), &entries[i], err);
        if (status != SYNCLINE_OK)
            return status;
    }
    *out = entries;
    *len = count;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_get_summary(const struct sl_frame *frame, uint8_t hash[SL_HASH_SIZE],
                                          struct sl_error *err)
{
    struct sl_reader reader;

    sl_reader_init(&reader, frame->payload, frame->len);
    const uint8_t *bytes = sl_read_bytes(&reader, SL_HASH_SIZE);
    enum syncline_status status = check_end(&reader, frame, err);
    if (status == SYNCLINE_OK)
        memcpy(hash, bytes, SL_HASH_SIZE);
    return status;
}

enum syncline_status sl_frame_get_roster(const struct sl_frame *frame,
                                         uint8_t members[SL_HASH_SIZE],
                                         struct sl_roster_entry entries[SL_ROSTER_LEN_MAX],
                                         size_t *len, struct sl_error *err)
{
    struct sl_reader reader;

    sl_reader_init(&reader, frame->payload, frame->len);
    const uint8_t *hash = sl_read_bytes(&reader, SL_HASH_SIZE);
    uint32_t count = sl_read_u32(&reader);
    if (count > SL_ROSTER_LEN_MAX)
        return sl_fail(err, SYNCLINE_EPROTO, "a ROSTER frame declares %u devices, %u are allowed",
                       count, SL_ROSTER_LEN_MAX);
    if (hash == NULL || reader.failed ||
        frame->len != SL_HASH_SIZE + 4u + (size_t)count * ROSTER_ENTRY_SIZE)
        return sl_fail(err, SYNCLINE_EPROTO, "a ROSTER frame of %zu bytes declares %u devices",
                       frame->len, count);
    for (uint32_t i = 0; i < count; i++) {
        sl_read_copy(&reader, entries[i].device.bytes, sizeof(entries[i].device.bytes));
        entries[i].stated.epoch = sl_read_u64(&reader);
        entries[i].stated.version = sl_read_u64(&reader);
    }
    memcpy(members, hash, SL_HASH_SIZE);
    *len = count;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_get_statement(const struct sl_frame *frame,
                                            struct sl_statement *statement, struct sl_error *err)
{
    enum syncline_status status = sl_statement_parse(statement, frame->payload, frame->len, err);

    if (status != SYNCLINE_OK)
        (void)sl_fail_prefix(err, status, "STATEMENT");
    return status;
}

enum syncline_status sl_frame_get_ask(const struct sl_frame *frame, struct sl_vector_entry *out,
                                      struct sl_error *err)
{
    struct sl_vector_entry entry;
    struct sl_reader reader;

    memset(&entry, 0, sizeof(entry));
    sl_reader_init(&reader, frame->payload, frame->len);
    sl_read_copy(&reader, entry.origin.device.bytes, sizeof(entry.origin.device.bytes));
    entry.origin.epoch = sl_read_u64(&reader);
    entry.held_seq = sl_read_u64(&reader);
    enum syncline_status status = check_end(&reader, frame, err);
    if (status == SYNCLINE_OK && entry.origin.epoch >> 63 != 0)
        status = sl_fail(err, SYNCLINE_EPROTO, "an ASK frame with an epoch of 2^63 or more");
    if (status == SYNCLINE_OK)
        *out = entry;
    return status;
}

enum syncline_status sl_frame_get_floor(const struct sl_frame *frame, struct sl_segment *segment,
                                        const uint8_t **end, struct sl_error *err)
{
    struct sl_reader reader;

    sl_reader_init(&reader, frame->payload, frame->len);
    const uint8_t *bytes = sl_read_bytes(&reader, SL_SEGMENT_END_SIZE);
    enum syncline_status status = check_end(&reader, frame, err);
    if (status == SYNCLINE_OK)
        status = sl_segment_end_parse(segment, bytes, err);
    if (status != SYNCLINE_OK)
        return sl_fail_prefix(err, SYNCLINE_EPROTO, "FLOOR");
    *end = bytes;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_get_error(const struct sl_frame *frame, enum syncline_status *status,
                                        struct sl_error *text, struct sl_error *err)
{
    struct sl_reader reader;
    struct sl_error read = {0};

    sl_reader_init(&reader, frame->payload, frame->len);
    uint16_t code = sl_read_u16(&reader);
    uint16_t text_len = sl_read_u16(&reader);
    enum syncline_status failed =
        read_text(&reader, frame, "text", text_len, SL_ERROR_SIZE - 1, read.text, err);
    if (failed == SYNCLINE_OK)
        failed = check_end(&reader, frame, err);
    if (failed != SYNCLINE_OK)
        return failed;
    if (code == SYNCLINE_OK)
        return sl_fail(err, SYNCLINE_EPROTO, "an ERROR frame that says success");
    *status = SYNCLINE_EREFUSED;
#define X(name, value, general_text)                                                               \
    if (code == (value))                                                                           \
        *status = SYNCLINE_##name;
    SYNCLINE_STATUS_MAP(X)
#undef X
    *text = read;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_get_question(const struct sl_frame *frame, const uint8_t **data,
                                           size_t *len, struct sl_error *err)
{
    size_t size_max = question_size_max(frame->type);

    if (frame->len == 0 || frame->len > size_max)
        return sl_fail(err, SYNCLINE_EPROTO, "%s frame of %zu bytes, 1 to %zu are allowed",
                       sl_frame_type_name(frame->type), frame->len, size_max);
    *data = frame->payload;
    *len = frame->len;
    return SYNCLINE_OK;
}

enum syncline_status sl_frame_get_members(const struct sl_frame *frame, const uint8_t **entries,
                                          size_t *size, struct sl_error *err)
{
    return sl_frame_get_question(frame, entries, size, err);
}

enum syncline_status sl_frame_get_segment(const struct sl_frame *frame, const uint8_t **data,
                                          size_t *len, struct sl_error *err)
{
    if (frame->len == 0 || frame->len > SL_SEGMENT_SIZE_MAX)
        return sl_fail(err, SYNCLINE_EPROTO, "a SEGMENT frame of %zu bytes, 1 to %u are allowed",
                       frame->len, SL_SEGMENT_SIZE_MAX);
    *data = frame->payload;
    *len = frame->len;
    return SYNCLINE_OK;
}
