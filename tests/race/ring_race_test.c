/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A ring between threads: what goes in comes out, once each, in order, and with everything that was
 * written to it before the push. The consumer sleeps on a park when a ring is empty, as the
 * engine's threads do: a wake that gets lost makes the program hang, which its time limit reports.
 * The number of items is the first argument: ten millions by default. */

#include "pipeline/park.h"
#include "pipeline/ring.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef SL_TSAN
#define ITEMS_DEFAULT 300000u
#else
#define ITEMS_DEFAULT 10000000u
#endif
#define POOL                                                                                       \
    64u /* items that go round; each is written by the producer and read by the consumer           \
         */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_at(__LINE__, #condition);                                                         \
    } while (0)

static _Noreturn void fail_at(int line, const char *condition)
{
    (void)fprintf(stderr, "line %d: not so: %s\n", line, condition);
    _exit(1);
}

struct item {
    uint64_t number; /* plain memory: a hand-over without its fences is a race, or a wrong value */
    uint64_t check;
};

static struct item pool[POOL];
static struct sl_ring forth; /* full items, to the consumer */
static struct sl_ring back;  /* empty ones, to the producer */
static struct sl_park consumer_park;
static struct sl_park producer_park;
static uint64_t items;

static void *wait_for(struct sl_ring *ring, struct sl_park *park)
{
    for (;;) {
        uint32_t ticket = sl_park_ticket(park);
        void *item = sl_ring_pop(ring);
        if (item != NULL)
            return item;
        sl_park_wait(park, ticket, UINT64_C(1000) * 1000 * 1000 * 1000);
    }
}

static void *produce(void *unused)
{
    (void)unused;
    for (uint64_t i = 0; i < items; i++) {
        struct item *item = wait_for(&back, &producer_park);
        item->number = i;
        item->check = ~i;
        CHECK(sl_ring_push(&forth, item));
        sl_park_wake(&consumer_park);
    }
    return NULL;
}

/* One producer and one consumer: every item, in order, whole. */
static void order_and_content(void)
{
    pthread_t producer;
    sl_ring_init(&forth);
    sl_ring_init(&back);
    sl_park_init(&consumer_park, false);
    sl_park_init(&producer_park, false);
    for (unsigned i = 0; i < POOL; i++)
        CHECK(sl_ring_push(&back, &pool[i]));
    CHECK(pthread_create(&producer, NULL, produce, NULL) == 0);
    for (uint64_t i = 0; i < items; i++) {
        struct item *item = wait_for(&forth, &consumer_park);
        CHECK(item->number == i && item->check == ~i);
        CHECK(sl_ring_push(&back, item));
        sl_park_wake(&producer_park);
    }
    CHECK(pthread_join(producer, NULL) == 0);
    CHECK(sl_ring_pop(&forth) == NULL);
}

int main(int argc, char **argv)
{
    items = argc > 1 ? strtoull(argv[1], NULL, 10) : ITEMS_DEFAULT;
    order_and_content();
    return 0;
}
