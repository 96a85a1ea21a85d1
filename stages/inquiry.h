/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One question to one member, and its answer, between the thread that wants to know and the
 * network's, which alone may send. One at a time in a library:
 *
 *                        post                        the link is ready for it
 *     FREE ------------------------------> POSTED -----------------------> SENT
 *      ^ ^                                   |                              |  |
 *      | |             not connected         |         the link is gone     |  | the answer came
 *      | +------ take ------ LOST <----------+------------------------------+  v
 *      +------------------------------- take ------------------------------ ANSWERED
 *
 * `drop` leads from everywhere to FREE, and who has neither taken nor dropped for a while makes
 * room for others. An answer to no question that is waited for is not kept. */

#ifndef SL_INQUIRY_H
#define SL_INQUIRY_H

#include "stages/shared.h"

enum sl_inquiry_state {
    SL_INQUIRY_FREE = 0,
    SL_INQUIRY_POSTED,
    SL_INQUIRY_SENT,
    SL_INQUIRY_ANSWERED,
    SL_INQUIRY_LOST,
    SL_INQUIRY_STATE_END
};

struct sl_inquiry {
    pthread_mutex_t lock; /* of all below; taken before that of `progress` */
    bool ready;           /* the lock is made */
    enum sl_inquiry_state state;
    uint64_t id;                 /* of the question, as it says itself */
    struct syncline_uuid member; /* who is asked */
    uint64_t touched_ns;         /* when who asks was last heard of */
    struct sl_buf bytes;         /* POSTED: the question; ANSWERED: the answer */
    enum syncline_status status; /* LOST: why */
    struct sl_error error;       /* LOST: in words */
};

/* Errors: ENOMEM. */
enum syncline_status sl_inquiry_init(struct sl_inquiry *inquiry, const struct sl_core *core,
                                     struct sl_error *err);
void sl_inquiry_fini(struct sl_inquiry *inquiry); /* all zero is allowed */

/* ---- Any thread; never blocks ---- */

/* Wake the network's thread after it. Errors: EBUSY (another question is under way), EPROTO (the
 * bytes are no question), ENOMEM. */
enum syncline_status sl_inquiry_post(struct sl_inquiry *inquiry, const struct sl_core *core,
                                     const struct syncline_uuid *member, const void *data,
                                     size_t len, struct sl_error *err);
/* AGAIN: nothing has come yet, no text. OK: `answer` has it. Errors, after which nothing is under
 * way: ENOTFOUND (no such member, or no such question), EREFUSED (the member is not connected),
 * ENET (the connection was lost), ENOMEM. */
enum syncline_status sl_inquiry_take(struct sl_inquiry *inquiry, const struct sl_core *core,
                                     uint64_t id, struct sl_buf *answer, struct sl_error *err);
void sl_inquiry_drop(struct sl_inquiry *inquiry, uint64_t id);

/* ---- The network's ---- */

/* Sends what was posted. true: it did something. */
bool sl_inquiry_send(struct sl_inquiry *inquiry, struct sl_core *core);
/* An answer came, which is one. */
void sl_inquiry_answered(struct sl_inquiry *inquiry, struct sl_core *core,
                         const struct sl_member_state *member, uint64_t id, const void *data,
                         size_t len);
/* The link to the member is gone, or is another one. */
void sl_inquiry_lost(struct sl_inquiry *inquiry, struct sl_core *core,
                     const struct sl_member_state *member);

#endif
