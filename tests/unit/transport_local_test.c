/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/transport_local.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/failing_malloc.h"

/* What one transport was told. */
struct seen {
    char log[512];         /* "o7" opened with tag 7, "r:abc", "c" closed, "f7" dial failed */
    struct sl_link *link;  /* the last one opened */
    bool closes_at_opened; /* the upcall closes its link */
    bool closes_at_received;
    bool answers; /* the upcall sends back what came */
    bool polling; /* events come from inside poll only */
};

static void note(struct seen *seen, const char *text, size_t len)
{
    cr_assert(seen->polling, "an event came from outside poll");
    cr_assert_lt(strlen(seen->log) + len, sizeof(seen->log) - 1);
    strncat(seen->log, text, len);
    strcat(seen->log, " ");
}

static void on_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    struct seen *seen = ctx;
    char text[3] = {'o', (char)('0' + dial_tag), '\0'};

    note(seen, text, 2);
    cr_assert_null(link->user);
    seen->link = link;
    if (seen->closes_at_opened)
        link->transport->ops->close(link);
}

static void on_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    struct seen *seen = ctx;

    note(seen, (const char *)data, len);
    if (seen->answers)
        cr_assert_eq(link->transport->ops->send(link, data, len), SYNCLINE_OK);
    if (seen->closes_at_received)
        link->transport->ops->close(link);
}

static void on_closed(void *ctx, struct sl_link *link)
{
    (void)link;
    note(ctx, "c", 1);
}

static void on_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    char text[3] = {'f', (char)('0' + dial_tag), '\0'};

    cr_assert_str_eq(reason, "connection refused");
    note(ctx, text, 2);
}

static const struct sl_transport_events events = {on_opened, on_received, on_closed,
                                                  on_dial_failed};

static struct sl_local_hub *hub;
static struct sl_transport *transports[2];
static struct seen seens[2];
static char bound[SL_ADDRESS_SIZE_MAX + 1];

static void set_up(void)
{
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &hub), SYNCLINE_OK);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(sl_transport_local_new(hub, &transports[i]), SYNCLINE_OK);
        transports[i]->ops->set_events(transports[i], &events, &seens[i]);
    }
    cr_assert_eq(transports[1]->ops->listen(transports[1], "b", bound, NULL), SYNCLINE_OK);
}

static void tear_down(void)
{
    for (size_t i = 0; i < 2; i++)
        if (transports[i] != NULL)
            transports[i]->ops->free(transports[i]);
    sl_local_hub_free(hub);
}

TestSuite(transport_local, .init = set_up, .fini = tear_down);

static void poll_one(size_t i)
{
    seens[i].polling = true;
    transports[i]->ops->poll(transports[i], 1000);
    seens[i].polling = false;
}

static void connect_both(void)
{
    cr_assert_eq(transports[0]->ops->dial(transports[0], "b", 7, NULL), SYNCLINE_OK);
    poll_one(0);
    poll_one(1);
    cr_assert_str_eq(seens[0].log, "o7 ");
    cr_assert_str_eq(seens[1].log, "o0 ");
    seens[0].log[0] = seens[1].log[0] = '\0';
}

static enum syncline_status send_text(size_t i, const char *text)
{
    return transports[i]->ops->send(seens[i].link, text, strlen(text));
}

/* Bytes go both ways in order; what is queued is known until the other side has it. */
Test(transport_local, bytes_go_both_ways)
{
    connect_both();
    cr_assert_str_eq(bound, "b");
    cr_assert_eq(send_text(0, "ab"), SYNCLINE_OK);
    cr_assert_eq(send_text(0, ""), SYNCLINE_OK);
    cr_assert_eq(send_text(0, "cde"), SYNCLINE_OK);
    cr_assert_eq(send_text(1, "x"), SYNCLINE_OK);
    cr_assert_eq(transports[0]->ops->queued(seens[0].link), 5);
    poll_one(1);
    cr_assert_eq(transports[0]->ops->queued(seens[0].link), 0);
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "x ");
    cr_assert_str_eq(seens[1].log, "ab cde ");
    transports[0]->ops->wake(transports[0]);
}

/* Who is closed by the other side gets everything that was sent before; then the link is dead. */
Test(transport_local, close_comes_after_the_bytes)
{
    connect_both();
    cr_assert_eq(send_text(0, "last"), SYNCLINE_OK);
    transports[0]->ops->close(seens[0].link);
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "");
    cr_assert_eq(send_text(1, "x"), SYNCLINE_ENET);
    cr_assert_eq(transports[1]->ops->queued(seens[1].link), 0);
    poll_one(1);
    cr_assert_str_eq(seens[1].log, "last c ");
    poll_one(1);
    cr_assert_str_eq(seens[1].log, "last c ");
}

/* No event follows a close, though bytes and the other side's close were on their way. */
Test(transport_local, no_event_follows_a_close)
{
    connect_both();
    cr_assert_eq(send_text(0, "never"), SYNCLINE_OK);
    transports[1]->ops->close(seens[1].link);
    transports[0]->ops->close(seens[0].link);
    poll_one(1);
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "");
    cr_assert_str_eq(seens[1].log, "");
}

/* An upcall may close its own link. */
Test(transport_local, upcalls_may_close)
{
    connect_both();
    seens[1].closes_at_received = true;
    cr_assert_eq(send_text(0, "one"), SYNCLINE_OK);
    cr_assert_eq(send_text(0, "two"), SYNCLINE_OK);
    poll_one(1);
    cr_assert_str_eq(seens[1].log, "one ");
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "c ");
    seens[1].closes_at_opened = true;
    seens[0].log[0] = seens[1].log[0] = '\0';
    cr_assert_eq(transports[0]->ops->dial(transports[0], "b", 8, NULL), SYNCLINE_OK);
    poll_one(1);
    poll_one(0);
    cr_assert_str_eq(seens[1].log, "o0 ");
    cr_assert_str_eq(seens[0].log, "o8 c ");
}

/* Dials to nobody fail by an event; bad addresses and one in use at once, by name. */
Test(transport_local, wrong_addresses_are_refused)
{
    struct sl_error err = {0};
    char longest[SL_ADDRESS_SIZE_MAX + 2];

    cr_assert_eq(transports[0]->ops->dial(transports[0], "c", 9, NULL), SYNCLINE_OK);
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "f9 ");
    cr_assert_eq(transports[0]->ops->dial(transports[0], "", 9, &err), SYNCLINE_EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[SL_ADDRESS_SIZE_MAX + 1] = '\0';
    cr_assert_eq(transports[0]->ops->listen(transports[0], longest, bound, &err), SYNCLINE_EINVAL);
    longest[SL_ADDRESS_SIZE_MAX] = '\0';
    cr_assert_eq(transports[0]->ops->listen(transports[0], longest, bound, &err), SYNCLINE_OK);
    cr_assert_str_eq(bound, longest);
    cr_assert_eq(transports[0]->ops->listen(transports[0], "b", bound, &err), SYNCLINE_ENET);
    cr_assert_not_null(strstr(err.text, "listen on b: address already in use"), "%s", err.text);
}

/* Two ends on one transport that answer each other do not keep one poll for ever. */
Test(transport_local, a_poll_ends)
{
    seens[1].answers = true;
    cr_assert_eq(transports[1]->ops->dial(transports[1], "b", 1, NULL), SYNCLINE_OK);
    poll_one(1);
    cr_assert_str_eq(seens[1].log, "o1 o0 ");
    cr_assert_eq(send_text(1, "!"), SYNCLINE_OK);
    poll_one(1);
    poll_one(1);
    cr_assert_str_eq(seens[1].log, "o1 o0 ! ! ");
}

/* A transport that goes away closes its links and gives its addresses back. */
Test(transport_local, free_closes_everything)
{
    connect_both();
    cr_assert_eq(send_text(0, "x"), SYNCLINE_OK);
    cr_assert_eq(send_text(1, "y"), SYNCLINE_OK);
    transports[1]->ops->free(transports[1]);
    transports[1] = NULL;
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "y c ");
    cr_assert_eq(transports[0]->ops->dial(transports[0], "b", 2, NULL), SYNCLINE_OK);
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "y c f2 ");
}

/* Nobody who listens to events: links are closed, nothing is lost of memory. */
Test(transport_local, without_events_links_are_closed)
{
    transports[1]->ops->set_events(transports[1], NULL, NULL);
    cr_assert_eq(transports[0]->ops->dial(transports[0], "b", 3, NULL), SYNCLINE_OK);
    cr_assert_eq(transports[1]->ops->dial(transports[1], "none", 3, NULL), SYNCLINE_OK);
    poll_one(1);
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "o3 c ");
}

/* A detached transport does the same without the help of its implementation. */
Test(transport_local, detached_links_are_closed)
{
    connect_both();
    sl_transport_detach(transports[1]);
    cr_assert_eq(send_text(0, "x"), SYNCLINE_OK);
    transports[0]->ops->close(seens[0].link);
    cr_assert_eq(transports[0]->ops->dial(transports[0], "b", 4, NULL), SYNCLINE_OK);
    cr_assert_eq(transports[1]->ops->dial(transports[1], "none", 3, NULL), SYNCLINE_OK);
    poll_one(1);
    poll_one(0);
    cr_assert_str_eq(seens[0].log, "o4 c ");
}

/* Whichever allocation fails, the call says so and leaves nothing half done. */
Test(transport_local, no_memory_is_reported)
{
    struct sl_local_hub *other_hub;
    struct sl_transport *other;
    bool has_failed = true;

    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer's allocator does not fail");
    (void)sl_malloc_fail_at(1);
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &other_hub), SYNCLINE_ENOMEM);
    (void)sl_malloc_fail_at(1);
    cr_assert_eq(sl_transport_local_new(hub, &other), SYNCLINE_ENOMEM);
    (void)sl_malloc_fail_at(1);
    cr_assert_eq(transports[0]->ops->listen(transports[0], "c", bound, NULL), SYNCLINE_ENOMEM);
    (void)sl_malloc_fail_at(1);
    cr_assert_eq(transports[0]->ops->dial(transports[0], "c", 1, NULL), SYNCLINE_ENET);
    for (long n = 1; has_failed; n++) {
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = transports[0]->ops->dial(transports[0], "b", 7, NULL);
        has_failed = sl_malloc_fail_at(0);
        cr_assert_eq(status, has_failed ? SYNCLINE_ENET : SYNCLINE_OK);
    }
    poll_one(0);
    poll_one(1);
    cr_assert_str_eq(seens[0].log, "o7 ");
    (void)sl_malloc_fail_at(1);
    enum syncline_status status = send_text(0, "x");
    (void)sl_malloc_fail_at(0);
    cr_assert_eq(status, SYNCLINE_ENOMEM);
}
