/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/park.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/ring.h"

#define NS_PER_S ((uint64_t)1000 * 1000 * 1000)
#define SPIN_LOOKS 4000u /* some microseconds */
#define QUICK_LOOKS 1u
#define FIRST_SLEEP_NS 999999999u /* ck_ec sleeps in steps; under a second, as it wants it */

static int get_time(const struct ck_ec_ops *ops, struct timespec *out)
{
    (void)ops;
    return clock_gettime(CLOCK_MONOTONIC, out);
}

/* The deadline is absolute, by the clock above. */
static void wait_on(const struct ck_ec_wait_state *state, const uint32_t *address,
                    uint32_t expected, const struct timespec *deadline)
{
    (void)state;
    (void)syscall(SYS_futex, address, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline, NULL,
                  FUTEX_BITSET_MATCH_ANY);
}

static void wake_all(const struct ck_ec_ops *ops, const uint32_t *address)
{
    (void)ops;
    (void)syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* ck_ec sleeps in steps of its own, which may be longer than the time that is left. */
static int until_deadline(const struct ck_ec_wait_state *state, struct timespec *step)
{
    const struct timespec *deadline = state->data;
    bool sooner = deadline->tv_sec < step->tv_sec ||
                  (deadline->tv_sec == step->tv_sec && deadline->tv_nsec < step->tv_nsec);
    *step = sooner ? *deadline : *step;
    return 0;
}

void sl_park_init(struct sl_park *park, bool spin)
{
    ck_ec32_init(&park->count, 0);
    park->ops = (struct ck_ec_ops){.gettime = get_time,
                                   .wait32 = wait_on,
                                   .wake32 = wake_all,
                                   .busy_loop_iter = spin ? SPIN_LOOKS : QUICK_LOOKS,
                                   .initial_wait_ns = FIRST_SLEEP_NS};
    park->mode = (struct ck_ec_mode){.ops = &park->ops, .single_producer = false};
}

uint32_t sl_park_ticket(const struct sl_park *park)
{
    SL_RING_IGNORE_BEGIN();
    uint32_t ticket = ck_ec32_value(&park->count);
    SL_RING_IGNORE_END();
    return ticket;
}

void sl_park_wait(struct sl_park *park, uint32_t ticket, uint64_t timeout_ns)
{
    struct timespec deadline;
    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    uint64_t end_ns = (uint64_t)deadline.tv_nsec + timeout_ns;
    deadline.tv_sec += (time_t)(end_ns / NS_PER_S);
    deadline.tv_nsec = (long)(end_ns % NS_PER_S);
    SL_RING_IGNORE_BEGIN();
    (void)ck_ec32_wait_pred(&park->count, &park->mode, ticket, until_deadline, &deadline,
                            &deadline);
    SL_RING_IGNORE_END();
}

void sl_park_wake(struct sl_park *park)
{
    SL_RING_IGNORE_BEGIN();
    ck_ec32_inc(&park->count, &park->mode);
    SL_RING_IGNORE_END();
}
