/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Where an idle thread sleeps until there is something to do: an event count (ck_ec).
 *
 *     for (;;) {
 *         uint32_t ticket = sl_park_ticket(&park);
 *         if (look for work) { do it; continue; }
 *         sl_park_wait(&park, ticket, timeout_ns);
 *     }
 *
 * A wake that comes after the ticket was taken makes the wait return at once, so nothing that is
 * published before its wake is slept over. One thread waits, any thread wakes. A wake is one atomic
 * addition while nobody sleeps, and a system call else. */

#ifndef SL_PARK_H
#define SL_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include <ck_ec.h>

struct sl_park {
    struct ck_ec32 count;
    struct ck_ec_ops ops;
    struct ck_ec_mode mode;
};

/* spin: look again some thousand times before sleeping; for when there are more processors than
 * threads. */
void sl_park_init(struct sl_park *park, bool spin);
uint32_t sl_park_ticket(const struct sl_park *park);
/* Sleeps until a wake after the ticket was taken, or for timeout_ns; may return early. */
void sl_park_wait(struct sl_park *park, uint32_t ticket, uint64_t timeout_ns);
void sl_park_wake(struct sl_park *park);

#endif
