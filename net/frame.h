/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Frames: what two devices say to each other, as bytes. Writers append one whole frame to a buffer;
 * the decoder cuts a stream of bytes, in whatever chunks it comes, into frames; readers take one
 * frame apart. The format stands at the top of frame.c.
 *
 * Any thread, one at a time per decoder and buffer; nothing here blocks. Readers and the decoder
 * leave what they fill in untouched when they fail, and their text fits "peer: text". */

#ifndef SL_FRAME_H
#define SL_FRAME_H

#include "base/bytes.h"
#include "base/segment.h"
#include "base/statement.h"
#include "base/status.h"
#include "net/hello.h"

#define SL_FRAME_HEADER_SIZE 8u
#define SL_FRAME_VERSION 1u        /* of every frame type there is */
#define SL_FRAME_OPTIONAL 1u       /* flag: who does not know this type may skip it */
#define SL_PROTOCOL_VERSION_MIN 1u /* what HELLO and JOIN offer */
#define SL_PROTOCOL_VERSION_MAX 1u
#define SL_ROSTER_LEN_MAX (SL_MEMBER_COUNT_MAX + 1u) /* members and the device itself */

enum sl_frame_type {
    SL_FRAME_HELLO = 1,
    SL_FRAME_VECTOR = 2,
    SL_FRAME_SEGMENT = 3,
    SL_FRAME_ERROR = 4,
    SL_FRAME_JOIN = 5,
    SL_FRAME_WELCOME = 6,
    SL_FRAME_MEMBERS = 7,
    SL_FRAME_SUMMARY = 8,
    SL_FRAME_ROSTER = 9,
    SL_FRAME_STATEMENT = 10,
    SL_FRAME_ASK = 11,
    SL_FRAME_QUERY = 12,
    SL_FRAME_ANSWER = 13,
    SL_FRAME_FLOOR = 14,
    SL_FRAME_SNAPSHOT_ASK = 20,
    SL_FRAME_SNAPSHOT_CUT = 21,
    SL_FRAME_SNAPSHOT_PAGE = 22,
    SL_FRAME_TYPE_END = 23
};

/* One frame, as the decoder hands it out: a type this version knows, in a version it knows. */
struct sl_frame {
    enum sl_frame_type type; /* what it is */
    const uint8_t *payload;  /* borrowed until the next call on the decoder or the chunk's end */
    size_t len;              /* bytes of it */
};

struct sl_frame_decoder {
    uint8_t header[SL_FRAME_HEADER_SIZE]; /* of the frame that is coming */
    size_t header_len;                    /* bytes of it that are here */
    struct sl_buf payload;                /* of a frame that comes in pieces */
    size_t payload_size;                  /* what its header declares */
    size_t skip_size;                     /* bytes of a skipped frame still to come */
    size_t size_max;                      /* longest payload allowed now; the owner may raise it */
    uint64_t frames;                      /* handed out or skipped */
    bool handed;                          /* payload was handed out by the last call */
    bool failed;                          /* the stream is lost */
};

/* UTF-8 (RFC 3629) without NUL? What a name in a frame must be. */
bool sl_frame_text_is_valid(const uint8_t *text, size_t len);

/* "HELLO" and so on. Never NULL. */
const char *sl_frame_type_name(enum sl_frame_type type);

/* The allocator is borrowed for the decoder's life. */
void sl_frame_decoder_init(struct sl_frame_decoder *decoder, const struct sl_allocator *alloc,
                           size_t size_max);
void sl_frame_decoder_fini(struct sl_frame_decoder *decoder);

/* Takes bytes from [*data, *data + *len), moving both, until a frame is complete.
 * OK: *frame is one. AGAIN: all bytes were taken and the frame is not complete yet; no text.
 * Errors: EPROTO (too long, an unknown type that is not optional, an unknown version or flag),
 * ENOMEM; after either the stream is lost and every later call fails with EPROTO. */
enum syncline_status sl_frame_decoder_next(struct sl_frame_decoder *decoder, const uint8_t **data,
                                           size_t *len, struct sl_frame *frame,
                                           struct sl_error *err);

/* Append a whole frame. Errors: EINVAL (a name is not UTF-8), ETOOBIG, ENOMEM (buf->failed is then
 * set). An error text that is too long or not UTF-8 is cut and mended instead. */
enum syncline_status sl_frame_put_hello(struct sl_buf *buf, const struct sl_hello *hello);
enum syncline_status sl_frame_put_join(struct sl_buf *buf, const struct sl_hello *hello);
enum syncline_status sl_frame_put_welcome(struct sl_buf *buf, const struct sl_welcome *welcome);
enum syncline_status sl_frame_put_vector(struct sl_buf *buf, const struct sl_vector_entry *entries,
                                         size_t len);
enum syncline_status sl_frame_put_summary(struct sl_buf *buf, const uint8_t hash[SL_HASH_SIZE]);
enum syncline_status sl_frame_put_roster(struct sl_buf *buf, const uint8_t members[SL_HASH_SIZE],
                                         const struct sl_roster_entry *entries, size_t len);
/* Entries of the membership log, as sl_membership_pack puts them. Errors: EINVAL (none), ETOOBIG,
 * ENOMEM. */
enum syncline_status sl_frame_put_members(struct sl_buf *buf, const void *entries, size_t size);
/* What of that origin comes after held_seq; the entry's other fields are not sent. */
enum syncline_status sl_frame_put_ask(struct sl_buf *buf, const struct sl_vector_entry *entry);
/* The end of a segment, as base/segment.h has it. */
enum syncline_status sl_frame_put_floor(struct sl_buf *buf, const uint8_t end[SL_SEGMENT_END_SIZE]);
/* A statement as base/statement.h has it. */
enum syncline_status sl_frame_put_statement(struct sl_buf *buf, const uint8_t *data, size_t len);
enum syncline_status sl_frame_put_error(struct sl_buf *buf, enum syncline_status status,
                                        const char *text);
/* QUERY, ANSWER or SNAPSHOT_..., whose payload is the caller's. Errors: EINVAL (empty), ETOOBIG,
 * ENOMEM. */
enum syncline_status sl_frame_put_question(struct sl_buf *buf, enum sl_frame_type type,
                                           const void *payload, size_t len);
/* Only the header of a SEGMENT whose `len` bytes the caller sends after it. Errors: EINVAL (empty),
 * ETOOBIG. */
enum syncline_status sl_frame_put_segment_header(uint8_t out[SL_FRAME_HEADER_SIZE], size_t len);

/* Take a frame of that type apart. Errors: EPROTO; vector also ENOMEM. */
enum syncline_status sl_frame_get_hello(const struct sl_frame *frame, struct sl_hello *hello,
                                        struct sl_error *err);
enum syncline_status sl_frame_get_join(const struct sl_frame *frame, struct sl_hello *hello,
                                       struct sl_error *err);
enum syncline_status sl_frame_get_welcome(const struct sl_frame *frame, struct sl_welcome *welcome,
                                          struct sl_error *err);
/* The bytes are borrowed as the frame's are; what they say is not looked at. */
enum syncline_status sl_frame_get_members(const struct sl_frame *frame, const uint8_t **entries,
                                          size_t *size, struct sl_error *err);
/* *entries lie in `memory`, which must outlive them and may be used again; NULL for an empty
 * vector.
 */
enum syncline_status sl_frame_get_vector(const struct sl_frame *frame, struct sl_buf *memory,
                                         const struct sl_vector_entry **entries, size_t *len,
                                         struct sl_error *err);
enum syncline_status sl_frame_get_summary(const struct sl_frame *frame, uint8_t hash[SL_HASH_SIZE],
                                          struct sl_error *err);
enum syncline_status sl_frame_get_roster(const struct sl_frame *frame,
                                         uint8_t members[SL_HASH_SIZE],
                                         struct sl_roster_entry entries[SL_ROSTER_LEN_MAX],
                                         size_t *len, struct sl_error *err);
enum syncline_status sl_frame_get_ask(const struct sl_frame *frame, struct sl_vector_entry *entry,
                                      struct sl_error *err);
/* Sound but for its signature: `segment` is what `end`, borrowed as the frame's bytes are, says. */
enum syncline_status sl_frame_get_floor(const struct sl_frame *frame, struct sl_segment *segment,
                                        const uint8_t **end, struct sl_error *err);
/* Sound but for its signature. The bytes are borrowed as the frame's are. */
enum syncline_status sl_frame_get_statement(const struct sl_frame *frame,
                                            struct sl_statement *statement, struct sl_error *err);
/* *status is never OK; one that this version does not know becomes EREFUSED. */
enum syncline_status sl_frame_get_error(const struct sl_frame *frame, enum syncline_status *status,
                                        struct sl_error *text, struct sl_error *err);
/* The bytes are borrowed as the frame's are. Only the length is looked at. */
enum syncline_status sl_frame_get_question(const struct sl_frame *frame, const uint8_t **data,
                                           size_t *len, struct sl_error *err);
enum syncline_status sl_frame_get_segment(const struct sl_frame *frame, const uint8_t **data,
                                          size_t *len, struct sl_error *err);

#endif
