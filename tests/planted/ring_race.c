/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Planted: a producer writes to an item after it has pushed it. ThreadSanitizer must report it, and
 * nothing else: the annotations of the ring hide no race of its users. */

#include "pipeline/ring.h"

#include <pthread.h>
#include <sched.h>

#define ITEMS 100

static struct sl_ring ring;
static long items[ITEMS];

static void *produce(void *unused)
{
    (void)unused;
    for (int i = 0; i < ITEMS; i++) {
        items[i] = i;
        if (!sl_ring_push(&ring, &items[i]))
            return NULL;
        items[i]++; /* it is the consumer's now */
    }
    return NULL;
}

int main(void)
{
    pthread_t producer;
    long sum = 0;
    sl_ring_init(&ring);
    if (pthread_create(&producer, NULL, produce, NULL) != 0)
        return 1;
    for (int i = 0; i < ITEMS; i++) {
        long *item = sl_ring_pop(&ring);
        while (item == NULL) {
            (void)sched_yield();
            item = sl_ring_pop(&ring);
        }
        sum += *item;
    }
    return pthread_join(producer, NULL) != 0 || sum < 0;
}
