/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the taker of a snapshot asks its provider for, and the cut that it gets first, as bytes: the
 * payloads of the frames SNAPSHOT_ASK and SNAPSHOT_CUT. The bytes are drawn in snapshot_ask.c.
 * Nothing here blocks; any thread. */

#ifndef SL_SNAPSHOT_ASK_H
#define SL_SNAPSHOT_ASK_H

#include "base/bytes.h"
#include "base/range_ask.h"
#include "base/segment.h"

/* ---- Questions ---- */

enum sl_snapshot_form {
    SL_SNAPSHOT_BEGIN = 1, /* a cut; or does your vector cover mine? */
    SL_SNAPSHOT_PAGE = 2   /* the page that begins there */
};

/* How far a cut goes in one origin's log. */
struct sl_cut_place {
    struct sl_origin origin;
    uint64_t seq;
};

struct sl_snapshot_ask {
    enum sl_snapshot_form form;
    uint32_t places_len; /* BEGIN: of the taker's cut; 0: it has none */
    const uint8_t *places;
    struct sl_model_name model; /* PAGE */
    struct syncline_uuid lo;    /* PAGE: the least UUID */
};

/* Append a question. A failed buf says no memory. */
void sl_snapshot_ask_put_begin(struct sl_buf *buf, const struct sl_cut_place *places, uint32_t len);
void sl_snapshot_ask_put_page(struct sl_buf *buf, const char *model,
                              const struct syncline_uuid *lo);
/* What is read borrows the bytes. Errors: EPROTO. */
enum syncline_status sl_snapshot_ask_get(const void *data, size_t len, struct sl_snapshot_ask *ask,
                                         struct sl_error *err);
struct sl_cut_place sl_snapshot_ask_place(const struct sl_snapshot_ask *ask, uint32_t index);

/* ---- The cut ---- */

struct sl_snapshot_cut {
    enum syncline_status status; /* not OK: the provider cannot give it; there is nothing else */
    uint64_t records;            /* about so many will come */
    uint32_t models_len;         /* that the provider has */
    uint32_t ends_len;           /* origins; 0 in the answer to a question that named a cut */
    const uint8_t *ends;         /* of their last whole segments, SL_SEGMENT_END_SIZE each */
    struct sl_reader models;     /* see sl_snapshot_cut_model */
};

/* Append a cut: the head, the models' names, as many as it says, and then the ends. */
void sl_snapshot_cut_put_head(struct sl_buf *buf, uint64_t records, uint32_t models_len);
void sl_snapshot_cut_put_model(struct sl_buf *buf, const char *name);
void sl_snapshot_cut_put_ends(struct sl_buf *buf, const uint8_t *ends, uint32_t len);
/* Or says that there is none. */
void sl_snapshot_cut_put_failure(struct sl_buf *buf, enum syncline_status status);
/* The ends are not looked into. Errors: EPROTO. */
enum syncline_status sl_snapshot_cut_get(const void *data, size_t len, struct sl_snapshot_cut *cut,
                                         struct sl_error *err);
/* The next model's name; to be called models_len times. */
struct sl_model_name sl_snapshot_cut_model(struct sl_snapshot_cut *cut);

#endif
