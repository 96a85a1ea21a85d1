/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* meet: what two members tell each other first, when a link to each other stands.
 *
 *     APART --- link stands: SUMMARY goes out ---> GREETED
 *                                                   |   |
 *           theirs came, another one: ROSTER and    |   |  theirs came, and is the same: nothing
 *           VECTOR go out                           v   |  has to be told
 *                                               DIFFERS |
 *                              their ROSTER came |      |
 *                                                v      |
 *                                              LISTED   |
 *                              their VECTOR came |      |
 *                                                v      v
 *     APART <--- link gone, from any of them --- KNOWN <+   VECTOR, MEMBERS, STATEMENT, SEGMENT and
 *                                                           ASK flow, each when there is something
 *                                                           new, and QUERY and ANSWER
 *
 * MEMBERS may come in any of them but APART: who is told that it is out is told nothing else.
 *
 * A summary is the hash of all that a device would say in ROSTER and VECTOR. Both ends compare the
 * one that they sent with the one that came, and so come to the same result; and when they are
 * equal, each knows of the other what it knew of itself when it sent it. So two that have nothing
 * to tell each other exchange one frame each after HELLO, whatever the size of the library. */

#ifndef SL_MEET_H
#define SL_MEET_H

#include "net/frame.h"
#include "stages/shared.h"

void sl_meet_enter(struct sl_member_state *member, enum sl_meeting state);
/* May such a frame come now? Errors: EPROTO. */
enum syncline_status sl_meet_check(const struct sl_member_state *member, enum sl_frame_type type,
                                   struct sl_error *err);
/* The link stands: sends SUMMARY, or closes the session. */
void sl_meet_begin(struct sl_core *core, struct sl_member_state *member);
void sl_meet_end(struct sl_core *core, struct sl_member_state *member);
/* SUMMARY and ROSTER came. Errors close the session: EPROTO, ENOMEM, ENET. */
enum syncline_status sl_meet_summary(struct sl_core *core, struct sl_member_state *member,
                                     const uint8_t hash[SL_HASH_SIZE], struct sl_error *err);
enum syncline_status sl_meet_roster(struct sl_core *core, struct sl_member_state *member,
                                    const uint8_t members[SL_HASH_SIZE],
                                    const struct sl_roster_entry *entries, size_t len,
                                    struct sl_error *err);

#endif
