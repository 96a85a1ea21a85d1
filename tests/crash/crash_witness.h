/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The witness of what a device says to another one: a transport around another transport, which
 * reads what is sent and remembers it in memory that outlives the process, before a byte of it
 * leaves. So after any crash the device can be held to its word: what it acknowledged it must have,
 * and what it sent of its own log must stand there still.
 *
 * It is also where crash point S9 is: of what is sent one half leaves, and the device dies.
 *
 * Thread: that of the transport. The memory is read by others only when the device is dead. */

#ifndef CRASH_WITNESS_H
#define CRASH_WITNESS_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/vector.h"
#include "net/transport.h"

#define CRASH_ORIGINS_MAX 8u

/* The most that was said of one origin. Written into the slot that is not valid, which then becomes
 * the valid one, because the process may die in between. */
struct crash_word {
    struct sl_vector_entry said[2];
    _Atomic uint32_t valid; /* 0: nothing yet; else 1 + the slot */
};

/* Shared with the device's process. */
struct crash_memory {
    struct crash_word vectors[CRASH_ORIGINS_MAX];  /* acknowledged, by origin */
    struct crash_word segments[CRASH_ORIGINS_MAX]; /* sent: held_seq is the last one's last seq */
    _Atomic uint64_t vectors_sent;
    _Atomic uint64_t segments_sent;
};

struct crash_transport;

/* `inner` becomes the transport's; both end with its ops->free. */
struct sl_transport *crash_witness_new(struct sl_transport *inner, struct crash_memory *memory);
/* From now on nothing leaves and nothing comes: the device has no power. */
void crash_witness_die(struct sl_transport *transport);

/* NULL: nothing was said. */
const struct sl_vector_entry *crash_word_valid(const struct crash_word *word);

#endif
