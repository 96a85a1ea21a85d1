/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* compare: answers the questions of members about ranges of records, and carries this device's own
 * (stages/inquiry); who asks and compares is stages/comparison.
 *
 * Happy path: a question came; once no other is under way, a read transaction on a connection of
 * the stage's own begins, the state of the tables is read, and then some hundred records a slice
 * until all its ranges are summed up; the answer goes out. A member has one question at a time: the
 * next takes the place of the one before, as its asker has given that up.
 *
 * Failure modes: the link goes, and with it the question; reading fails, and the answer says so. A
 * read transaction that lasts for seconds - a question about a whole table of a million records -
 * keeps a checkpoint from going beyond it, nothing else.
 *
 * The network's thread. */

#ifndef SL_COMPARE_H
#define SL_COMPARE_H

#include "base/range_ask.h"
#include "stages/inquiry.h"

struct sl_compare {
    struct sl_core *core;
    char *library_db;                           /* its path; ours */
    struct sl_buf waiting[SL_MEMBER_COUNT_MAX]; /* questions, by member; empty: none */
    size_t next;                                /* the member to answer next */
    struct sl_inquiry inquiry;                  /* any thread, by its own rules */
    bool has_rows;                              /* the connection is open, and the hasher made */
    struct sl_rows rows;
    struct sl_hasher *hasher;
    /* The question under way. */
    struct sl_member_state *member; /* NULL: none is */
    struct sl_buf question;         /* what `ask` points into */
    struct sl_range_ask ask;
    uint32_t range;                /* to be summed up */
    struct sl_record_table *table; /* of it, being read; NULL: not begun */
    struct sl_range_parts parts;   /* of it */
    struct sl_buf out;             /* the answer so far */
};

/* Errors: ENOMEM. */
enum syncline_status sl_compare_init(struct sl_compare *compare, struct sl_core *core,
                                     const char *library_db, struct sl_error *err);
void sl_compare_fini(struct sl_compare *compare); /* all zero is allowed */
bool sl_compare_run(void *stage);

/* A member asks. Errors close the session: EPROTO, ENOMEM. */
enum syncline_status sl_compare_ask(struct sl_compare *compare, struct sl_member_state *member,
                                    const void *data, size_t len, struct sl_error *err);
/* A member answers. Errors likewise: EPROTO. */
enum syncline_status sl_compare_answer(struct sl_compare *compare,
                                       const struct sl_member_state *member, const void *data,
                                       size_t len, struct sl_error *err);
/* The link to the member is gone, or is another one. */
void sl_compare_forget(struct sl_compare *compare, const struct sl_member_state *member);

#endif
