/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* This device's tables against those of one member, question by question: who calls carries the
 * questions there and the answers back (pipeline/api_verify, or a test by itself).
 *
 * Happy path: the first question is about all of each model. The answer has some 64 parts a model;
 * parts that are the same here are done, the others are the next questions, until parts are single
 * records, which are told. So 1,000,000 records take four questions, however many of them there
 * are to name.
 *
 * What is on its way between the two is no difference. A record is told only if both have applied
 * the same changes and nothing of either is pending, in the two read transactions that it was read
 * in; else its range is asked about again: `again` says that asking at once would be in vain.
 *
 * Failure modes: an answer that is none, or not to the question, is EPROTO, and so is one that
 * leads to more ranges than any tables have. Memory is at most that of SL_RANGES_LEN_MAX ranges,
 * as each question is about the smallest ranges that are left.
 *
 * One thread at a time. Blocks on the disk, and reads with connections of its own. */

#ifndef SL_COMPARISON_H
#define SL_COMPARISON_H

#include "base/range_ask.h"
#include "stages/shared.h"

/* A difference was found; the UUID is all zero for SYNCLINE_DIFFERENCE_MODEL. false: no more. */
typedef bool (*sl_difference_fn)(void *ctx, enum syncline_difference_kind kind,
                                 const struct sl_model *model, const struct syncline_uuid *uuid);
/* May reading go on? Asked every some hundred records. Not OK ends it with that. */
typedef enum syncline_status (*sl_go_on_fn)(void *ctx, struct sl_error *err);

struct sl_comparison {
    struct sl_core *core;
    sl_difference_fn difference;
    sl_go_on_fn go_on;
    void *ctx; /* first argument of both */
    struct sl_rows rows;
    struct sl_peer_log log;
    struct sl_hasher *hasher;
    struct sl_range *left; /* ranges to ask about, the smallest last; their models as in core */
    size_t left_len;
    size_t left_capacity;
    struct sl_range asked[SL_RANGE_ASK_LEN_MAX]; /* in the question that is out; likewise */
    uint32_t asked_len;
    uint64_t id;    /* of that question */
    bool stopped;   /* `difference` wants no more */
    bool again;     /* the last answer left ranges whose content is on its way */
    bool different; /* of the last two states of the tables: not the same changes applied */
    struct sl_content_state ours;   /* when the last answer was taken */
    struct sl_content_state theirs; /* likewise */
    uint64_t records;               /* of this device, in models compared */
    uint64_t differences;           /* told */
    uint32_t models_unknown;        /* to the member */
};

/* Everything is to be compared. On failure nothing is left. Errors: EDB, ENOMEM, ... */
enum syncline_status sl_comparison_open(struct sl_comparison *comparison, struct sl_core *core,
                                        const char *library_db, const char *sync_db,
                                        sl_difference_fn difference, sl_go_on_fn go_on, void *ctx,
                                        struct sl_error *err);
void sl_comparison_close(struct sl_comparison *comparison);

/* Puts the next question into `question`, with an id from the environment. *is_any = false: nothing
 * is left to ask. Errors: ENOMEM, EIO. */
enum syncline_status sl_comparison_ask(struct sl_comparison *comparison, struct sl_buf *question,
                                       bool *is_any, struct sl_error *err);
/* Takes the answer to it. Errors: EPROTO, EREFUSED (the member failed), EDB, ENOMEM, what go_on
 * says. */
enum syncline_status sl_comparison_take(struct sl_comparison *comparison, const void *answer,
                                        size_t len, struct sl_error *err);

#endif
