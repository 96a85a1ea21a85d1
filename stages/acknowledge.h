/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* acknowledge: tells members what this device has, and keeps what they say they have.
 *
 * An acknowledgement is state, not an event: the whole vector, again after every commit that moved
 * it, as often as the link takes it. Losing one loses nothing. What members say is written to
 * sync.db a little later than it came: it drives no deletion, and they say it again. What members
 * state that this device does not meet comes over those that it does (roster.h), and counts as
 * their own word. */

#ifndef SL_ACKNOWLEDGE_H
#define SL_ACKNOWLEDGE_H

#include "stages/shared.h"

struct sl_acknowledge {
    struct sl_core *core;
    uint64_t write_due_ns; /* when dirty members go to sync.db; 0: none is dirty */
};

void sl_acknowledge_init(struct sl_acknowledge *acknowledge, struct sl_core *core);
bool sl_acknowledge_run(void *stage);

/* A member's vector came. Errors close the session: EPROTO, ERESTORED, EDB. */
enum syncline_status sl_acknowledge_vector(struct sl_core *core, struct sl_member_state *member,
                                           const struct sl_vector_entry *entries, size_t len,
                                           struct sl_error *err);
/* The member has just what was held here when the link's summary was made (see meet.h). */
void sl_acknowledge_same(struct sl_core *core, struct sl_member_state *member);
/* What a member has stated, its signature checked, came over another one. Errors: ERESTORED, EDB.
 */
enum syncline_status sl_acknowledge_statement(struct sl_core *core, struct sl_member_state *member,
                                              const struct sl_statement *statement,
                                              struct sl_error *err);

#endif
