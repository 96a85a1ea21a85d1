/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The simulated network is not part of the library: its source is compiled into this test. */

#include "tests/sim/sim_net.c"
#include "tests/sim/sim_random.c"

#include <criterion/criterion.h>
#include <stdio.h>

#define RECEIVED_MAX (256u * 1024)

struct peer {
    struct sl_transport *transport;
    struct sl_link *link; /* the one that is open */
    uint64_t dial_tag;
    unsigned opened;
    unsigned closed;
    unsigned failed;
    bool closes_on_data; /* from inside the event */
    size_t received_len;
    uint8_t received[RECEIVED_MAX];
};

static uint64_t clock_ns;

static uint64_t test_now_ns(void *ctx)
{
    (void)ctx;
    return clock_ns;
}

static void test_sleep_ns(void *ctx, uint64_t ns)
{
    (void)ctx;
    clock_ns += ns;
}

static void on_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    struct peer *peer = ctx;
    peer->opened++;
    peer->link = link;
    peer->dial_tag = dial_tag;
}

static void on_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    struct peer *peer = ctx;
    cr_assert_eq(link, peer->link);
    cr_assert_leq(peer->received_len + len, RECEIVED_MAX);
    memcpy(peer->received + peer->received_len, data, len);
    peer->received_len += len;
    if (peer->closes_on_data) {
        peer->link = NULL;
        peer->transport->ops->close(link);
    }
}

static void on_closed(void *ctx, struct sl_link *link)
{
    struct peer *peer = ctx;
    cr_assert_eq(link, peer->link);
    peer->closed++;
    peer->link = NULL;
}

static void on_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    struct peer *peer = ctx;
    cr_assert_str_eq(reason, "nobody listens there");
    peer->dial_tag = dial_tag;
    peer->failed++;
}

static const struct sl_transport_events events = {.opened = on_opened,
                                                  .received = on_received,
                                                  .closed = on_closed,
                                                  .dial_failed = on_dial_failed};

static struct sl_sim_net *net;
static struct peer a, b;

static void start(uint64_t seed)
{
    clock_ns = 0;
    struct sl_sim_net_world world = {.now_ns = test_now_ns, .sleep_ns = test_sleep_ns};
    net = sl_sim_net_new(&world, seed);
    cr_assert(net != NULL);
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    a.transport = sl_sim_transport_new(net, 0);
    b.transport = sl_sim_transport_new(net, 1);
    a.transport->ops->set_events(a.transport, &events, &a);
    b.transport->ops->set_events(b.transport, &events, &b);
}

static void stop(void)
{
    a.transport->ops->free(a.transport);
    b.transport->ops->free(b.transport);
    cr_assert_eq(sl_sim_net_pending(net), 0);
    sl_sim_net_free(net);
}

static void deliver_all(void)
{
    while (sl_sim_net_pending(net) > 0) {
        a.transport->ops->poll(a.transport, 0);
        b.transport->ops->poll(b.transport, 0);
        clock_ns += 100000;
    }
}

static void connect_both(void)
{
    char bound[SL_ADDRESS_SIZE_MAX + 1];
    struct sl_error err;
    cr_assert_eq(b.transport->ops->listen(b.transport, "b", bound, &err), SYNCLINE_OK);
    cr_assert_str_eq(bound, "b");
    cr_assert_eq(a.transport->ops->dial(a.transport, "b", 5, &err), SYNCLINE_OK);
    deliver_all();
    cr_assert(a.opened == 1 && a.dial_tag == 5);
    cr_assert(b.opened == 1 && b.dial_tag == 0);
}

/* Whatever the chunks, the bytes arrive complete and in order, in both directions, not before their
 * time, and the same seed delivers at the same times. */
Test(sim_net, bytes_keep_their_order)
{
    static uint8_t sent[100000];
    uint64_t ended_ns[2] = {0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (int again = 0; again < 2; again++) {
            struct sl_sim_random random;
            sl_sim_random_init(&random, seed, 1);
            sl_sim_random_fill(&random, sent, sizeof(sent));
            start(seed);
            connect_both();
            size_t done = 0;
            while (done < sizeof(sent)) {
                size_t some = sl_sim_random_range(&random, 1, 5000);
                some = some < sizeof(sent) - done ? some : sizeof(sent) - done;
                cr_assert_eq(a.transport->ops->send(a.link, sent + done, some), SYNCLINE_OK);
                cr_assert_eq(b.transport->ops->send(b.link, sent + done, some), SYNCLINE_OK);
                done += some;
                b.transport->ops->poll(b.transport, 0);
            }
            cr_assert_lt(b.received_len, sizeof(sent), "delays take time");
            deliver_all();
            cr_assert(a.received_len == sizeof(sent) && b.received_len == sizeof(sent));
            cr_assert_eq(memcmp(a.received, sent, sizeof(sent)), 0);
            cr_assert_eq(memcmp(b.received, sent, sizeof(sent)), 0);
            cr_assert_eq(a.transport->ops->queued(a.link), 0);
            ended_ns[again] = clock_ns;
            stop();
        }
        cr_assert_eq(ended_ns[0], ended_ns[1]);
    }
}

/* Bytes beyond the window count as queued until they are delivered. */
Test(sim_net, queued_counts_what_is_beyond_the_window)
{
    static uint8_t data[64u * 1024];
    start(3);
    connect_both();
    net->window = 1000;
    cr_assert_eq(a.transport->ops->send(a.link, data, sizeof(data)), SYNCLINE_OK);
    cr_assert_eq(a.transport->ops->queued(a.link), sizeof(data) - 1000);
    deliver_all();
    cr_assert_eq(a.transport->ops->queued(a.link), 0);
    stop();
}

/* The peer of a closed link hears of it, after some of what was under way or all of it. */
Test(sim_net, close_is_heard_and_may_lose_a_tail)
{
    bool lost_some = false, lost_none = false;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint8_t sent[3000];
        struct sl_sim_random random;
        sl_sim_random_init(&random, seed, 1);
        sl_sim_random_fill(&random, sent, sizeof(sent));
        start(seed);
        connect_both();
        a.transport->ops->send(a.link, sent, sizeof(sent));
        a.transport->ops->close(a.link);
        cr_assert_eq(b.transport->ops->send(b.link, sent, 10), SYNCLINE_OK, "lost on the way");
        deliver_all();
        cr_assert(b.closed == 1 && a.closed == 0 && a.received_len == 0);
        cr_assert_eq(memcmp(b.received, sent, b.received_len), 0, "what comes is the beginning");
        lost_some = lost_some || b.received_len < sizeof(sent);
        lost_none = lost_none || b.received_len == sizeof(sent);
        stop();
    }
    cr_assert(lost_some && lost_none);
}

/* A link may be closed from inside its own event. */
Test(sim_net, close_from_inside_an_event)
{
    start(4);
    connect_both();
    b.closes_on_data = true;
    a.transport->ops->send(a.link, "hello", 5);
    deliver_all();
    cr_assert(a.closed == 1 && b.closed == 0);
    stop();
}

/* Wrong addresses and a dial to nobody; an address is free again when its transport is gone. */
Test(sim_net, dials_and_addresses_that_fail)
{
    char bound[SL_ADDRESS_SIZE_MAX + 1];
    char longest[SL_ADDRESS_SIZE_MAX + 2];
    struct sl_error err;
    memset(longest, 'x', sizeof(longest));
    longest[SL_ADDRESS_SIZE_MAX + 1] = '\0';
    start(5);
    cr_assert_eq(a.transport->ops->dial(a.transport, "nobody", 7, &err), SYNCLINE_OK);
    cr_assert_eq(a.transport->ops->dial(a.transport, "", 7, &err), SYNCLINE_EINVAL);
    cr_assert_eq(a.transport->ops->dial(a.transport, "b", 0, &err), SYNCLINE_EINVAL);
    cr_assert_eq(a.transport->ops->listen(a.transport, longest, bound, &err), SYNCLINE_EINVAL);
    longest[SL_ADDRESS_SIZE_MAX] = '\0';
    cr_assert_eq(a.transport->ops->listen(a.transport, longest, bound, &err), SYNCLINE_OK);
    cr_assert_eq(b.transport->ops->listen(b.transport, longest, bound, &err), SYNCLINE_ENET);
    deliver_all();
    cr_assert(a.failed == 1 && a.dial_tag == 7);
    a.transport->ops->free(a.transport);
    a.transport = sl_sim_transport_new(net, 0);
    cr_assert_eq(b.transport->ops->listen(b.transport, longest, bound, &err), SYNCLINE_OK);
    stop();
}

/* A poll that may wait moves the clock to the next delivery or by its timeout, and not at all after
 * a wake. */
Test(sim_net, poll_waits_in_virtual_time)
{
    start(6);
    connect_both();
    uint64_t before = clock_ns;
    a.transport->ops->poll(a.transport, 50);
    cr_assert_eq(clock_ns, before + 50000000u);
    b.transport->ops->send(b.link, "x", 1);
    before = clock_ns;
    a.transport->ops->poll(a.transport, 5000);
    cr_assert(a.received_len == 1 && clock_ns > before && clock_ns < before + 5000000000u);
    before = clock_ns;
    a.transport->ops->wake(a.transport);
    a.transport->ops->poll(a.transport, 50);
    cr_assert_eq(clock_ns, before);
    stop();
}

static void pass_time(uint64_t ns)
{
    for (uint64_t end_ns = clock_ns + ns; clock_ns < end_ns; clock_ns += 100000) {
        a.transport->ops->poll(a.transport, 0);
        b.transport->ops->poll(b.transport, 0);
    }
}

/* What is sent across a blocked direction waits, and arrives when it is open again; the other
 * direction goes on. Nobody can dial across. */
Test(sim_net, a_blocked_direction_waits)
{
    struct sl_error err;
    start(6);
    connect_both();
    sl_sim_net_block(net, 0, 1, true);
    cr_assert_eq(a.transport->ops->send(a.link, "from a", 6), SYNCLINE_OK);
    cr_assert_eq(b.transport->ops->send(b.link, "from b", 6), SYNCLINE_OK);
    cr_assert_eq(a.transport->ops->dial(a.transport, "b", 9, &err), SYNCLINE_OK);
    pass_time(1000000000);
    cr_expect_eq(a.received_len, 6);
    cr_expect_eq(b.received_len, 0);
    cr_expect_eq(a.failed, 1);
    sl_sim_net_block(net, 0, 1, false);
    deliver_all();
    cr_expect_eq(b.received_len, 6);
    stop();
}

/* A link that breaks is heard of at both ends, each after the beginning of what was on its way to
 * it; across a block one end hears of it at once and the other one afterwards. */
Test(sim_net, links_break)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint8_t sent[3000];
        struct sl_sim_random random;
        sl_sim_random_init(&random, seed, 1);
        sl_sim_random_fill(&random, sent, sizeof(sent));
        start(seed);
        cr_expect(!sl_sim_net_break(net, -1, -1), "there is no link");
        connect_both();
        cr_expect(!sl_sim_net_break(net, 0, 2), "there is none between these");
        bool is_blocked_now = seed % 2 == 0;
        sl_sim_net_block(net, 0, 1, is_blocked_now);
        sl_sim_net_block(net, 1, 0, is_blocked_now);
        a.transport->ops->send(a.link, sent, sizeof(sent));
        b.transport->ops->send(b.link, sent, sizeof(sent));
        cr_assert(sl_sim_net_break(net, 1, 0));
        pass_time(1000000000);
        cr_expect_eq(a.closed + b.closed, is_blocked_now ? 1 : 2, "seed %d", (int)seed);
        sl_sim_net_block(net, 0, 1, false);
        sl_sim_net_block(net, 1, 0, false);
        deliver_all();
        cr_expect(a.closed == 1 && b.closed == 1);
        cr_expect_eq(memcmp(a.received, sent, a.received_len), 0);
        cr_expect_eq(memcmp(b.received, sent, b.received_len), 0);
        stop();
    }
}

/* A slow network is late by up to so much; who is dead sends nothing. */
Test(sim_net, slow_and_dead)
{
    start(8);
    connect_both();
    sl_sim_net_slow(net, (uint64_t)1 << 50);
    cr_assert_eq(a.transport->ops->send(a.link, "late", 4), SYNCLINE_OK);
    pass_time(100000000);
    cr_expect_eq(b.received_len, 0);
    sl_sim_net_slow(net, 0);
    clock_ns += (uint64_t)1 << 51;
    deliver_all();
    cr_expect_eq(b.received_len, 4);
    sl_sim_transport_kill(a.transport);
    cr_assert_eq(a.transport->ops->send(a.link, "never", 5), SYNCLINE_OK);
    deliver_all();
    cr_expect_eq(b.received_len, 4);
    stop();
}
