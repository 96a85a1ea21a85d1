/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A pool of batches between threads: a batch is one thread's at a time, everything that was written
 * to it is seen by the next, and none is lost. Several threads take one or two at a time, write to
 * them, and give them back, with more or less memory. The number of rounds of each thread is the
 * first argument: a million by default. */

#include "pipeline/batch.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#define ROUNDS_DEFAULT 100000u
#else
#define ROUNDS_DEFAULT 1000000u
#endif
#define THREADS 4
#define BATCHES 5u

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

static struct sl_batch_pool pool;
static uint64_t taken[BATCHES]; /* plain memory, by place: its batch's owner alone writes it */
static uint64_t rounds;
static _Atomic uint64_t all_taken;

static struct sl_batch *take(void)
{
    struct sl_batch *batch = sl_batch_take(&pool);
    if (batch == NULL)
        return NULL;
    CHECK(batch->token == 0 && batch->n == 0);
    batch->token = 1; /* given back it is 0: whoever else has it sees that */
    taken[batch - pool.batches]++;
    return batch;
}

static void give(struct sl_batch *batch, uint64_t mark)
{
    CHECK(batch->token == mark);
    CHECK(sl_batch_give(&pool, batch));
}

static void *take_and_give(void *arg)
{
    uint64_t mark = (uint64_t)(*(const int *)arg) + 2;
    uint64_t mine = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        struct sl_batch *first = take();
        struct sl_batch *second = i % 3 == 0 ? take() : NULL;
        if (first != NULL)
            first->token = mark;
        if (second != NULL)
            second->token = mark;
        if (first != NULL && i % 1024 == 0)
            CHECK(sl_arena_alloc(&first->arena, (size_t)1 << (i / 1024 % 20)) != NULL);
        if (i % 64 == 0)
            (void)sched_yield();
        if (first != NULL)
            give(first, mark);
        if (second != NULL)
            give(second, mark);
        mine += (first != NULL ? 1u : 0u) + (second != NULL ? 1u : 0u);
    }
    atomic_fetch_add(&all_taken, mine);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    CHECK(sl_batch_pool_init(&pool, &sl_allocator_libc, BATCHES, 64 * 1024) == SYNCLINE_OK);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, take_and_give, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    uint64_t sum = 0;
    for (unsigned i = 0; i < BATCHES; i++) {
        sum += taken[i];
        CHECK(!sl_batch_pool_is_empty(&pool));
        CHECK(sl_batch_take(&pool) != NULL);
    }
    CHECK(sl_batch_pool_is_empty(&pool) && sl_batch_take(&pool) == NULL);
    CHECK(sum == atomic_load(&all_taken));
    sl_batch_pool_fini(&pool);
    return 0;
}
