/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* snapshot_give: gives members a snapshot of the tables, page by page, as they ask for it.
 *
 * Happy path: a member asks for a cut, and gets, of each origin that is applied here, the end of
 * the last whole segment of that. It asks for one page after the other: of one model, from one UUID
 * on, all that lives - rows with their births and stamps, hidden births, and what waits. A page is
 * one short read transaction, later than the cut; records that were born above the cut are left to
 * the log. Nothing but the cut is kept between two pages, and a member that has one of another
 * device goes on here, if what is applied here covers it.
 *
 * A page shows what the application has committed, and that must not come to others before it is
 * durable in the log here: a page is held back until every outbox row that its transaction saw is
 * drained.
 *
 * Failure modes: the link goes, and what was asked for with it. This device takes a snapshot
 * itself, and can give no cut, or does not cover the one that it is asked about: it says so. A
 * record that it could not apply, or that others could not, is named: it may live. Reading fails:
 * the link is closed, and the member goes on with another one.
 *
 * The network's thread. */

#ifndef SL_SNAPSHOT_GIVE_H
#define SL_SNAPSHOT_GIVE_H

#include "base/page.h"
#include "base/snapshot_ask.h"
#include "stages/shared.h"
#include "storage/waiting_room.h"

struct sl_snapshot_give {
    struct sl_core *core;
    char *library_db;                           /* its path; ours */
    uint32_t page_len;                          /* records in a page */
    struct sl_buf waiting[SL_MEMBER_COUNT_MAX]; /* questions, by member; empty: none */
    struct sl_buf cuts[SL_MEMBER_COUNT_MAX];    /* by member: struct sl_cut_place of its cut */
    size_t next;                                /* the member to answer next */
    bool has_rows;                              /* the connection is open */
    struct sl_rows rows;
    struct sl_waiting_room room;
    struct sl_arena arena; /* of the page under way */
    struct sl_buf group;   /* likewise */
    /* A page that is held back. */
    struct sl_member_state *member; /* it is for; NULL: none is */
    struct sl_buf page;
    int64_t outbox_id; /* until this row is drained */
    uint64_t records;  /* in it */
};

/* page_len: records in a page. Errors: ENOMEM. */
enum syncline_status sl_snapshot_give_init(struct sl_snapshot_give *give, struct sl_core *core,
                                           const char *library_db, uint32_t page_len,
                                           struct sl_error *err);
void sl_snapshot_give_fini(struct sl_snapshot_give *give); /* all zero is allowed */
bool sl_snapshot_give_run(struct sl_snapshot_give *give);

/* A member asks. Errors close the session: EPROTO, ENOMEM. */
enum syncline_status sl_snapshot_give_ask(struct sl_snapshot_give *give,
                                          struct sl_member_state *member, const void *data,
                                          size_t len, struct sl_error *err);
/* The link to the member is gone, or is another one. */
void sl_snapshot_give_forget(struct sl_snapshot_give *give, const struct sl_member_state *member);

#endif
