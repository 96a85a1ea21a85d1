/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* acknowledge: tells members what this device has, and keeps what they say they have.
 *
 * An acknowledgement is state, not an event: the whole vector, again after every commit that moved
 * it, as often as the link takes it. Losing one loses nothing. What members say is written to
 * sync.db a little later than it came: it drives no deletion, and they say it again. */

#ifndef SL_ACKNOWLEDGE_H
#define SL_ACKNOWLEDGE_H

#include "stages/shared.h"

struct sl_acknowledge {
    struct sl_core *core;
    struct sl_vector_entry *entries; /* ours, entry_count of them: a vector on its way out */
    size_t entry_count;
    uint64_t write_due_ns; /* when dirty members go to sync.db; 0: none is dirty */
};

void sl_acknowledge_init(struct sl_acknowledge *acknowledge, struct sl_core *core);
void sl_acknowledge_fini(struct sl_acknowledge *acknowledge);
bool sl_acknowledge_run(void *stage);

/* A member's vector came. Errors close the session: EPROTO, ERESTORED, EDB. */
enum syncline_status sl_acknowledge_vector(struct sl_core *core, struct sl_member_state *member,
                                           const struct sl_vector_entry *entries, size_t len,
                                           struct sl_error *err);

#endif
