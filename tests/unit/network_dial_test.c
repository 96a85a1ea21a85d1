/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/unit/network_world.h"

TestSuite(network_dial, .init = set_up, .fini = tear_down);

/* ---- Dialling again ----------------------------------------------------------------------- */

/* Dials come after pauses of 50, 100, 200, ... 5000, 5000 ms, never earlier. */
Test(network_dial, pauses_grow)
{
    uint64_t pause_ms = SL_REDIAL_MS_MIN;

    raws[0].closes_at_opened = true;
    raw_listen("raw");
    add_peer(0, "raw");
    run();
    cr_assert_eq(raws[0].opened, 1);
    for (unsigned dials = 2; dials < 14; dials++) {
        pass_ms(pause_ms - 1);
        cr_assert_eq(raws[0].opened, dials - 1);
        cr_assert_eq(waited_ms, 1, "the wait ends with the pause");
        pass_ms(1);
        cr_assert_eq(raws[0].opened, dials);
        pause_ms = pause_ms * 2 < SL_REDIAL_MS_MAX ? pause_ms * 2 : SL_REDIAL_MS_MAX;
    }
    cr_assert_eq(pause_ms, SL_REDIAL_MS_MAX);
}

/* Nobody there yet: noticed once, and found when it comes. */
Test(network_dial, a_listener_that_comes_later_is_found)
{
    add_peer(0, "raw");
    for (int i = 0; i < 10; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    cr_assert_eq(devices[0].notices, 1);
    cr_assert_eq(devices[0].notice_status, SYNCLINE_ENET);
    cr_assert_str_eq(devices[0].notice, "raw: cannot be reached: connection refused; trying again");
    raw_listen("raw");
    pass_ms(SL_REDIAL_MS_MAX);
    cr_assert_eq(raws[0].opened, 1);
}

/* A session that is lost is dialled again after the shortest pause, however often. */
Test(network_dial, a_lost_session_is_dialled_again)
{
    struct sl_hello hello = hello_of(0x40, "raw");

    raw_listen("raw");
    add_peer(0, "raw");
    run();
    for (unsigned i = 1; i < 6; i++) {
        cr_assert_eq(raws[0].opened, i);
        raw_hello(&raws[0], &hello, false);
        run();
        expect_sessions(0, 1);
        raw_close(&raws[0]);
        run();
        expect_sessions(0, 0);
        pass_ms(SL_REDIAL_MS_MIN - 1);
        cr_assert_eq(raws[0].opened, i);
        pass_ms(1);
    }
    cr_assert_eq(devices[0].notices, 0);
}

/* An ERROR, also in a session, is told, closed, and makes the pause grow. */
Test(network_dial, refusals_make_the_pause_grow)
{
    struct sl_hello hello = hello_of(0x40, "raw");
    uint64_t pause_ms = SL_REDIAL_MS_MIN;

    raw_listen("raw");
    add_peer(0, "raw");
    run();
    for (unsigned i = 1; i < 6; i++) {
        raw_hello(&raws[0], &hello, false);
        run();
        expect_sessions(0, 1);
        raw_error(&raws[0], SYNCLINE_EBUSY, "come back later");
        run();
        expect_sessions(0, 0);
        cr_assert_str_eq(devices[0].notice, "raw: it refused: come back later");
        cr_assert_eq(devices[0].notices, i, "a session in between makes it news again");
        cr_assert_eq(raws[0].closed, i);
        pass_ms(pause_ms - 1);
        cr_assert_eq(raws[0].opened, i);
        pass_ms(1);
        cr_assert_eq(raws[0].opened, i + 1);
        pause_ms *= 2;
    }
}

/* A dial that the transport refuses at once is a dial that failed. */
static enum syncline_status refusing_dial(struct sl_transport *transport, const char *address,
                                          uint64_t dial_tag, struct sl_error *err)
{
    (void)transport;
    (void)dial_tag;
    return sl_fail(err, SYNCLINE_ENET, "cannot dial %s: no network", address);
}

Test(network_dial, a_dial_refused_at_once_is_tried_again)
{
    struct sl_transport_ops ops = watched_ops;

    ops.dial = refusing_dial;
    devices[0].transport->ops = &ops;
    add_peer(0, "d1");
    run();
    devices[0].transport->ops = &watched_ops;
    cr_assert_not_null(strstr(devices[0].notice, "no network"), "%s", devices[0].notice);
    pass_ms(SL_REDIAL_MS_MIN);
    expect_sessions(0, 1);
}

/* The network waits as long as it is told, if nothing is due; deadlines shorten the wait. */
Test(network_dial, waits_end_with_what_is_due)
{
    struct raw *raw;

    run();
    cr_assert_eq(waited_ms, 1000);
    raw = raw_dial(1);
    pass_ms(SL_HANDSHAKE_MS_MAX - 300);
    cr_assert_eq(waited_ms, 300);
    raw_close(raw);
    run();
    cr_assert_eq(waited_ms, 1000);
}

/* ---- Two links to one device -------------------------------------------------------------- */

static void expect_one_session(void)
{
    expect_sessions(0, 1);
    expect_sessions(1, 1);
    /* Both have the same one: what one sends on it, the other gets. */
    cr_assert_neq(devices[0].session->dialled, devices[1].session->dialled);
    devices[1].segments = 0;
    cr_assert_eq(sl_session_send_segment(devices[0].session, (const uint8_t *)"x", 1), SYNCLINE_OK);
    run();
    cr_assert_eq(devices[1].segments, 1);
}

/* Both dial: both keep what the lower id dialled, and dial no more while it is up. */
Test(network_dial, the_lower_ids_dial_stays)
{
    add_peer(0, "d1");
    add_peer(1, "d0");
    run();
    for (int i = 0; i < 20; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    expect_one_session();
    cr_assert(devices[0].session->dialled);
    cr_assert_leq(devices[0].ready, 2);
    /* When it is lost, one comes again. */
    sl_session_close(devices[0].session, SYNCLINE_EBUSY, "x");
    run();
    for (int i = 0; i < 20; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    expect_one_session();
}

/* The same when the wrong one is there first. */
Test(network_dial, the_lower_ids_dial_replaces_the_other)
{
    add_peer(1, "d0");
    run();
    cr_assert(!devices[0].session->dialled);
    add_peer(0, "d1");
    run();
    expect_one_session();
    cr_assert(devices[0].session->dialled);
    cr_assert_eq(devices[0].closed, 1);
    cr_assert_eq(devices[0].ready, 2);
}

/* And when the right one is there first: the other never becomes a session. */
Test(network_dial, the_higher_ids_dial_gives_way)
{
    add_peer(0, "d1");
    run();
    add_peer(1, "d0");
    run();
    for (int i = 0; i < 5; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    expect_one_session();
    cr_assert_eq(devices[0].ready, 1);
    cr_assert_eq(devices[1].notices, 0, "%s", devices[1].notice);
}

/* Dialled twice by the same side, as after a crash: the newer stays, and the old one's `closed`
 * comes before the new one's `ready`. */
Test(network_dial, the_newer_of_one_side_stays)
{
    struct sl_hello hello = hello_of(0x41, "raw");
    struct raw *old = raw_session(1);
    struct raw *new = raw_dial(2);

    devices[0].session = NULL;
    raw_hello(new, &hello, false);
    run();
    cr_assert_eq(old->closed, 1);
    cr_assert_eq(new->closed, 0);
    expect_sessions(0, 1);
    cr_assert_eq(devices[0].session->serial, 2);
    cr_assert_eq(sl_network_session(devices[0].net, 0), devices[0].session);
}

/* Closed by the engine and not told yet, when a new session to the device comes: told first. */
Test(network_dial, closed_comes_before_the_next_ready)
{
    struct sl_hello hello = hello_of(0x41, "raw");
    struct raw *new;

    (void)raw_session(1);
    new = raw_dial(2);
    raw_hello(new, &hello, false);
    /* HELLO lies in device 0's queue; close the old session from outside poll. */
    sl_session_close(devices[0].session, SYNCLINE_EBUSY, "x");
    cr_assert_eq(devices[0].closed, 0);
    run();
    expect_sessions(0, 1);
    cr_assert_eq(devices[0].closed, 1);
    cr_assert_not_null(devices[0].session);
}

/* Two addresses of one device: one session in the end, and quiet. */
Test(network_dial, two_addresses_of_one_device)
{
    char bound[SL_ADDRESS_SIZE_MAX + 1];
    unsigned ready;

    cr_assert_eq(sl_network_listen(devices[1].net, "other", bound, NULL), SYNCLINE_OK);
    add_peer(0, "d1");
    add_peer(0, "other");
    for (int i = 0; i < 5; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    expect_one_session();
    ready = devices[0].ready;
    for (int i = 0; i < 5; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    cr_assert_eq(devices[0].ready, ready);
    /* When it ends, only one of the two is dialled. */
    sl_session_close(devices[0].session, SYNCLINE_EBUSY, "x");
    for (int i = 0; i < 5; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    expect_one_session();
    cr_assert_eq(devices[0].ready, ready + 1);
}

/* Three devices that all dial each other have two sessions each. */
Test(network_dial, three_devices_are_a_full_mesh)
{
    static const char *const addresses[] = {"d0", "d1", "d2"};

    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            if (i != j)
                add_peer(i, addresses[j]);
    for (int i = 0; i < 5; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    for (size_t i = 0; i < 3; i++)
        expect_sessions(i, 2);
    for (size_t i = 0; i < 3; i++)
        cr_assert_lt(sl_network_session(devices[i].net, 0)->serial,
                     sl_network_session(devices[i].net, 1)->serial);
}
