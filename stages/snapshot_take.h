/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* snapshot_take: brings this device's tables to where the logs of the others begin, page by page,
 * when a member has said that what is missing here was pruned there (FLOOR).
 *
 *              FLOOR: needed               its cut came, signed        adopted, logs begin there
 *     IDLE ------------------> ASKED ------------------> ADOPTS ------------------> READY <--+
 *      ^  ^                      |                                                   |       |
 *      |  |                      | it cannot give one, or does not                   | asked |
 *      |  |                      | cover the cut that is here: another               v       |
 *      |  +----------------------+ one, after a moment                            PAGING ----+
 *      |                                                                             |  it came
 *      +---- link gone; and when the last page is in: nothing is to be taken --------+
 *
 * Happy path: a member gives a cut - of each origin the end of a segment, by its origin's signature
 * - and it is noted in library.db, with what was applied before. From then on the log of each
 * origin that this device lacks a part of begins at the cut: what comes after it is held and
 * applied as it comes, and members are told that, as held; as applied they are told what was
 * before. Pages are asked for one by one, in ranges of UUIDs of one model after another, and each
 * is written, and the place moved, in slices of the applier (stages/snapshot_apply). What changes a
 * record that may still come waits for it. After the last page the applied vector becomes what it
 * is, in one transaction: the cut, or what came after it; what still waits for a birth below is
 * dead.
 *
 * So no byte is buffered that is not durable but for two pages, and a kill at any point goes on
 * where the tables are.
 *
 * Failure modes: the provider or the link goes: any member whose tables cover the cut can go on.
 * None does: it is tried again and again, and nothing else stands still. A page that contradicts
 * itself closes the link. A record that its table refuses is set aside. A model that this
 * application does not have: nothing is taken, which is told. A clock too far ahead: the page
 * waits.
 *
 * The network's thread, but for what is said to be the applier's; `lock` is between the two. */

#ifndef SL_SNAPSHOT_TAKE_H
#define SL_SNAPSHOT_TAKE_H

#include <pthread.h>

#include "base/page.h"
#include "base/snapshot_ask.h"
#include "stages/apply.h"
#include "stages/verify.h"
#include "storage/snapshot_table.h"

enum sl_take_state {
    SL_TAKE_IDLE = 0,
    SL_TAKE_ASKED,
    SL_TAKE_ADOPTS,
    SL_TAKE_READY,
    SL_TAKE_PAGING,
    SL_TAKE_STATE_END
};

/* An origin of a cut. */
struct sl_take_origin {
    struct sl_origin_state *origin;
    struct sl_segment segment; /* that ends there; without its body */
    uint8_t end[SL_SEGMENT_END_SIZE];
};

/* Where a page begins. */
struct sl_take_place {
    const struct sl_model *model; /* NULL: everything was taken */
    struct syncline_uuid lo;
};

/* A page that came. */
struct sl_take_page {
    struct sl_buf data;
    const struct sl_model *model;
    struct sl_take_place next; /* where the one after it begins */
    uint64_t hlc;              /* the highest clock value in it */
};

struct sl_snapshot_take {
    struct sl_core *core;
    const struct sl_verify *verify; /* what waits for the log */
    bool ready;                     /* init was OK */

    pthread_mutex_t lock;
    /* Under lock. */
    struct sl_take_origin *cut; /* ours: to be adopted, or the one that is */
    size_t cut_len;
    uint64_t cut_records;
    bool cut_models[SL_MODEL_COUNT_MAX]; /* by model->index: the provider has it */
    bool adopt;                          /* the cut is to be adopted: the applier clears it */
    struct sl_take_page pages[SL_SNAPSHOT_PAGES_MAX]; /* to be applied, in order */
    size_t pages_len;
    bool taken[SL_MODEL_COUNT_MAX]; /* as sl_snapshot_place has it */
    struct sl_take_place place;     /* where to go on, as the tables are */
    bool dropped;                   /* a page could not be applied: the others are no use */

    /* The network's. */
    enum sl_take_state state;
    struct sl_member_state *provider; /* NULL: none */
    bool page_came;                   /* since the last run */
    size_t next_member;               /* to be asked if nobody else is to be */
    uint64_t not_before_ns;           /* asked again */
    struct sl_take_place asked;       /* PAGING: the page */
    struct sl_buf out;

    /* The applier's. */
    struct sl_arena arena;
    bool carefully; /* the page is done record by record */
    uint64_t apply_not_before_ns;
};

/* Errors: ENOMEM. */
enum syncline_status sl_snapshot_take_init(struct sl_snapshot_take *take, struct sl_core *core,
                                           const struct sl_verify *verify, struct sl_error *err);
void sl_snapshot_take_fini(struct sl_snapshot_take *take); /* all zero is allowed */
/* At open, after the applied vector was read: one may be under way. Inside a transaction on the
 * writer. */
enum syncline_status sl_snapshot_take_load(struct sl_snapshot_take *take, struct sl_error *err);

/* ---- The network's ---- */

bool sl_snapshot_take_run(struct sl_snapshot_take *take);
/* SNAPSHOT_CUT and SNAPSHOT_PAGE came. Errors close the session: EPROTO, ENOMEM. */
enum syncline_status sl_snapshot_take_cut(struct sl_snapshot_take *take,
                                          struct sl_member_state *member, const void *data,
                                          size_t len, struct sl_error *err);
enum syncline_status sl_snapshot_take_page(struct sl_snapshot_take *take,
                                           struct sl_member_state *member, const void *data,
                                           size_t len, struct sl_error *err);
/* The link to the member is gone, or is another one. */
void sl_snapshot_take_forget(struct sl_snapshot_take *take, const struct sl_member_state *member);

/* ---- The applier's ---- */

/* Is there something for the applier to do? Any thread. */
bool sl_snapshot_take_is_due(struct sl_snapshot_take *take);
/* One slice. true: it did something. */
bool sl_snapshot_take_apply(struct sl_snapshot_take *take, struct sl_apply *apply);

#endif
