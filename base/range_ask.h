/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A question about ranges of records and its answer, as bytes: the payloads of the frames
 * QUERY and ANSWER, and what a process asks of the one that runs the engine (pipeline/engine_ask).
 * The format stands at the top of range_ask.c.
 *
 * Any thread; nothing blocks. Readers leave what they fill in untouched when they fail. */

#ifndef SL_RANGE_ASK_H
#define SL_RANGE_ASK_H

#include "base/bytes.h"
#include "base/range_parts.h"
#include "base/status.h"
#include "base/vector.h"

#define SL_RANGE_ASK_SIZE_MAX                                                                      \
    (10u + SL_RANGE_ASK_LEN_MAX * (1u + SL_NAME_SIZE_MAX) + SL_RANGE_ASK_LEN_MAX * 33u)
#define SL_RANGE_ANSWER_SIZE_MAX                                                                   \
    (12u + SL_HASH_SIZE + SL_RANGE_ASK_LEN_MAX * (9u + SL_RANGE_PARTS_MAX * 24u))

/* The records of one model whose UUIDs are not less than lo and not greater than hi. */
struct sl_range {
    uint32_t model; /* its place in a list that the user knows */
    struct syncline_uuid lo;
    struct syncline_uuid hi;
};

struct sl_model_name {
    const char *name; /* UTF-8; borrowed, in what was read from the bytes, and no NUL ends it */
    size_t len;       /* bytes, at most SL_NAME_SIZE_MAX */
};

struct sl_range_ask {
    uint64_t id;                                       /* drawn by who asks */
    struct sl_model_name models[SL_RANGE_ASK_LEN_MAX]; /* that the ranges are of */
    uint32_t models_len;                               /* at least 1 */
    struct sl_range ranges[SL_RANGE_ASK_LEN_MAX];      /* `model` is a place in `models` */
    uint32_t ranges_len;                               /* at least 1 */
};

/* How the tables stood in the read transaction that the parts were read in. */
struct sl_content_state {
    bool pending;               /* something of the device's own is not in its log and settled */
    bool aside;                 /* records are set aside */
    bool waiting;               /* received records wait for what they need */
    uint8_t hash[SL_HASH_SIZE]; /* of the applied vector */
};

enum sl_range_form {
    SL_RANGE_UNKNOWN = 0, /* the device does not have such a model */
    SL_RANGE_PARTS = 1
};

/* Errors: ENOMEM. */
enum syncline_status sl_range_ask_put(struct sl_buf *buf, const struct sl_range_ask *ask);
/* Errors: EPROTO. */
enum syncline_status sl_range_ask_get(const void *data, size_t len, struct sl_range_ask *ask,
                                      struct sl_error *err);

/* An answer is written as a head and one entry for each range, in the order asked. A failed write
 * shows in buf->failed. */
void sl_range_answer_put_head(struct sl_buf *buf, uint64_t id, const struct sl_content_state *state,
                              uint32_t ranges_len);
void sl_range_answer_put(struct sl_buf *buf, enum sl_range_form form,
                         const struct sl_range_parts *parts);
/* Or says that it failed: the status is not OK, and nothing follows. */
void sl_range_answer_put_failure(struct sl_buf *buf, uint64_t id, enum syncline_status status);

/* An answer being read; the bytes are borrowed for as long. */
struct sl_range_answer {
    struct sl_reader reader;
    uint64_t id;
    enum syncline_status status; /* not OK: the member failed; there is nothing else */
    struct sl_content_state state;
    uint32_t ranges_len;
};

/* Reads the head, and checks that all the rest is as it must be. Errors: EPROTO. */
enum syncline_status sl_range_answer_get(const void *data, size_t len,
                                         struct sl_range_answer *answer, struct sl_error *err);
/* The next range; to be called ranges_len times, after sl_range_answer_get was OK. */
enum sl_range_form sl_range_answer_next(struct sl_range_answer *answer,
                                        struct sl_range_parts *parts);

#endif
