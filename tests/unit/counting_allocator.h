/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* An allocator that counts what is out, notices blocks that are not its own, and lets one
 * allocation fail. Unlike failing_malloc.h it works under a sanitizer, and is one of several. */

#ifndef SL_COUNTING_ALLOCATOR_H
#define SL_COUNTING_ALLOCATOR_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Whose allocations count down to the failure. */
enum counting_whose { COUNTING_MINE, COUNTING_OTHERS, COUNTING_ANY };

struct counting {
    atomic_long blocks;        /* out now */
    atomic_long calls;         /* allocations, new or resized */
    atomic_long left;          /* allocations until the one that fails; 0 and below: none does */
    enum counting_whose whose; /* constant while armed, as the next */
    pthread_t me;              /* who armed it */
};

/* Before each block. */
struct counting_head {
    alignas(max_align_t) const struct counting *owner;
    uint64_t mark;
};

#define COUNTING_MARK 0x636f756e74696e67u

static inline bool counting_fails(struct counting *counting)
{
    bool mine = pthread_equal(counting->me, pthread_self()) != 0;
    bool counts = counting->whose == COUNTING_ANY || mine == (counting->whose == COUNTING_MINE);
    return atomic_load(&counting->left) > 0 && counts && atomic_fetch_sub(&counting->left, 1) == 1;
}

/* For struct syncline_allocator and struct sl_allocator; ctx is a struct counting. */
static inline void *counting_resize(void *ctx, void *block, size_t size)
{
    struct counting *counting = ctx;
    struct counting_head *head = block;
    if (head != NULL && ((--head)->owner != counting || head->mark != COUNTING_MARK)) {
        abort(); /* somebody else's */
    }
    if (size == 0) {
        atomic_fetch_sub(&counting->blocks, block != NULL ? 1 : 0);
        if (head != NULL) {
            head->mark = 0;
        }
        free(head);
        return NULL;
    }
    atomic_fetch_add(&counting->calls, 1);
    if (counting_fails(counting)) {
        return NULL;
    }
    struct counting_head *made = realloc(head, sizeof(*made) + size);
    if (made == NULL) {
        return NULL;
    }
    *made = (struct counting_head){.owner = counting, .mark = COUNTING_MARK};
    atomic_fetch_add(&counting->blocks, block == NULL ? 1 : 0);
    return made + 1;
}

/* The n-th allocation from now on fails. */
static inline void counting_fail_at(struct counting *counting, long n, enum counting_whose whose)
{
    counting->me = pthread_self();
    counting->whose = whose;
    atomic_store(&counting->left, n);
}

/* Nothing fails any more. Returns true if the one asked for has. */
static inline bool counting_has_failed(struct counting *counting)
{
    return atomic_exchange(&counting->left, 0) <= 0;
}

#endif
