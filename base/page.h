/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A page of a snapshot as bytes: all that lives on a device of one model's records whose UUIDs lie
 * in one range. The bytes are drawn in page.c. Nothing here blocks; any thread. */

#ifndef SL_PAGE_H
#define SL_PAGE_H

#include "base/bytes.h"
#include "base/group.h"
#include "base/range_ask.h"
#include "base/stamp.h"

/* What a part of a page tells. */
enum sl_page_kind {
    SL_PAGE_END = 0,     /* there is no further part */
    SL_PAGE_ROWS = 1,    /* records that are shown in their table */
    SL_PAGE_LIVING = 2,  /* a birth that lives and is not shown: hidden, or it waits whole */
    SL_PAGE_UPDATE = 3,  /* an update that waits */
    SL_PAGE_DELETE = 4,  /* a delete that waits */
    SL_PAGE_UNKNOWN = 5, /* a birth that may live: this device could not write it */
    SL_PAGE_KIND_END = 6
};

/* Births of consecutive records of a part: clock values count up. */
struct sl_page_run {
    uint32_t n;
    uint64_t hlc;
};

/* The last change of the i-th record of a part, where that is not its birth. */
struct sl_page_stamp {
    uint32_t i;
    struct sl_stamp stamp;
};

/* Records that are shown, in the order of their UUIDs. */
struct sl_page_rows {
    uint32_t n;
    const struct sl_page_run *runs; /* runs_len; their records are the n */
    uint32_t runs_len;
    const struct sl_page_stamp *stamps; /* stamps_len, with rising i */
    uint32_t stamps_len;
    const uint8_t *group; /* of updates that name the births (base/group.h) */
    size_t group_size;
};

/* One birth. */
struct sl_page_other {
    struct syncline_uuid uuid;
    enum syncline_ownership class;
    struct sl_birth birth;
    uint64_t birth_hlc;    /* of LIVING */
    struct sl_stamp stamp; /* of the content, or of the delete; not of UNKNOWN */
    const uint8_t *body;   /* of LIVING and UPDATE: a group of one insert */
    size_t body_size;
};

/* Appends the beginning; then its parts. A failed buf says no memory. */
void sl_page_put_head(struct sl_buf *buf, const char *model, const struct syncline_uuid *lo,
                      const struct syncline_uuid *hi);
void sl_page_put_rows(struct sl_buf *buf, const struct sl_page_rows *rows);
void sl_page_put_other(struct sl_buf *buf, enum sl_page_kind kind,
                       const struct sl_page_other *other);

/* A page being read; the bytes are borrowed for as long. */
struct sl_page {
    struct sl_reader reader;
    struct sl_model_name model;
    struct syncline_uuid lo; /* the least and the greatest UUID that it is about */
    struct syncline_uuid hi;
};

/* A part of it. */
struct sl_page_part {
    enum sl_page_kind kind;
    /* ROWS */
    uint32_t n;
    uint32_t runs_len;
    const uint8_t *runs; /* see sl_page_run_at */
    uint32_t stamps_len;
    const uint8_t *stamps; /* see sl_page_stamp_at */
    const uint8_t *group;
    size_t group_size;
    /* The others */
    struct sl_page_other other;
};

/* Reads the beginning, and checks that all the rest is as it must be, but for the groups. Errors:
 * EPROTO. */
enum syncline_status sl_page_get(const void *data, size_t len, struct sl_page *page,
                                 struct sl_error *err);
/* The highest clock value in it. */
uint64_t sl_page_hlc_max(const struct sl_page *page);
/* The next part, after sl_page_get was OK. */
void sl_page_next(struct sl_page *page, struct sl_page_part *part);
struct sl_page_run sl_page_run_at(const struct sl_page_part *part, uint32_t index);
struct sl_page_stamp sl_page_stamp_at(const struct sl_page_part *part, uint32_t index);

#endif
