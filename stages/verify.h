/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* verify: is a segment that came from a member what it says, and the next of its origin?
 *
 * Happy path: the header is sound, library and origin are right, it begins where the log of the
 * origin ends, names the hash that stands there, and the origin's signature over its own hash
 * holds. Then it waits for log_hold, as it came.
 *
 * What its origin has signed and does not fit ends no session, and only that origin's stream:
 *
 *     it is held already           no fault - it may come again for many reasons: our vector
 * answers something is missing before  a gap: not taken; what is missing is asked for, once it
 * contradicts what is held  the origin's log has split, because its device was restored or copied:
 * the segment and the head here are kept as evidence, and nothing more is taken or passed on of
 * that origin, ever; others go on. The member gets our segment, so that it can see it, too
 *     its device is out, and       not taken, and told: until its log's end is found to be higher,
 * its log ends before  when it is asked for (members.h)
 *
 * A bad signature, or a log of this very device that this device has not, ends the session. A
 * segment of a third device is as good as one of the member's own: what counts is the signature of
 * its origin, whose key was told before (members.h). */

#ifndef SL_VERIFY_H
#define SL_VERIFY_H

#include "stages/shared.h"

/* A verified segment on its way into the log. */
struct sl_incoming {
    struct sl_incoming *next;
    struct sl_log_head head; /* of its origin, once it is held */
    size_t size;
    uint8_t data[];
};

struct sl_verify {
    struct sl_core *core;
    struct sl_incoming *first; /* oldest; taken by log_hold */
    struct sl_incoming **last;
    size_t size; /* bytes that wait */
};

void sl_verify_init(struct sl_verify *verify, struct sl_core *core);
void sl_verify_fini(struct sl_verify *verify);

/* Called when a segment has come. Errors close the session: EPROTO, ERESTORED, ENOMEM, EBUSY (too
 * much waits for the log already: it is asked for again), EDB. */
enum syncline_status sl_verify_segment(struct sl_verify *verify, struct sl_member_state *member,
                                       const uint8_t *data, size_t size, struct sl_error *err);
/* The membership log has grown: drops what waits of logs that end before it. */
void sl_verify_recheck(struct sl_verify *verify);

#endif
