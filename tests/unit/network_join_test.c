/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/unit/network_world.h"

TestSuite(network_join, .init = set_up, .fini = tear_down);

/* ---- Joining ------------------------------------------------------------------------------ */

/* A transport whose every poll lets the devices answer and the clock go on. */
static void joining_poll(struct sl_transport *transport, uint32_t timeout_ms)
{
    now_ns += 100 * (uint64_t)NS_PER_MS;
    local_ops->poll(transport, timeout_ms);
    run();
}

static struct sl_transport_ops joining_ops;

static enum syncline_status join(const char *address, const struct sl_hello *hello,
                                 struct sl_welcome *welcome, struct sl_error *err)
{
    struct sl_transport *transport = transport_new();

    joining_ops = watched_ops;
    joining_ops.poll = joining_poll;
    transport->ops = &joining_ops;
    enum syncline_status status = sl_network_join(&env, transport, hello, address, welcome, err);
    transport->ops->free(transport);
    run();
    return status;
}

/* A member welcomes a device: the library, its name, and who answered. */
Test(network_join, a_device_joins)
{
    struct sl_hello self = hello_of(0x50, "new");
    struct sl_welcome welcome;
    struct sl_error err = {0};

    memset(&self.library_id, 0, sizeof(self.library_id));
    cr_assert_eq(join("d0", &self, &welcome, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_arr_eq(welcome.library_id.bytes, devices[0].hello.library_id.bytes, 16);
    cr_assert_str_eq(welcome.library_name, "photos");
    cr_assert_arr_eq((uint8_t *)&welcome.member, (uint8_t *)&devices[0].hello,
                     sizeof(welcome.member));
    cr_assert_eq(devices[0].joined, 1);
    cr_assert_eq(devices[0].admitted, 0);
    cr_assert_eq(devices[0].ready, 0);
    cr_assert_eq(devices[0].notices, 0, "%s", devices[0].notice);
}

/* Who connects to us while we join is turned away. */
Test(network_join, a_joining_device_serves_nobody)
{
    struct sl_hello self = hello_of(0x50, "new");
    struct sl_transport *transport = transport_new();
    char bound[SL_ADDRESS_SIZE_MAX + 1];
    struct sl_welcome welcome;
    struct sl_error err = {0};

    joining_ops = watched_ops;
    joining_ops.poll = joining_poll;
    transport->ops = &joining_ops;
    cr_assert_eq(transport->ops->listen(transport, "new", bound, NULL), SYNCLINE_OK);
    cr_assert_eq(raw_transport->ops->dial(raw_transport, "new", 1, NULL), SYNCLINE_OK);
    enum syncline_status status = sl_network_join(&env, transport, &self, "d0", &welcome, &err);
    transport->ops->free(transport);
    run();
    cr_assert_eq(status, SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(raws[1].closed, 1);
}

/* A member that does not want us: its text, and nothing is filled in. */
Test(network_join, a_join_is_refused)
{
    struct sl_hello self = hello_of(0x50, "new");
    struct sl_welcome welcome;
    struct sl_welcome before;
    struct sl_error err = {0};

    memset(&welcome, 0x5a, sizeof(welcome));
    before = welcome;
    devices[0].admit_status = SYNCLINE_ETOOBIG;
    cr_assert_eq(join("d0", &self, &welcome, &err), SYNCLINE_EREFUSED);
    cr_assert_str_eq(err.text, "no room for \"new\"");
    cr_assert_arr_eq((uint8_t *)&welcome, (uint8_t *)&before, sizeof(welcome));
    self = devices[0].hello;
    cr_assert_eq(join("d0", &self, &welcome, &err), SYNCLINE_EREFUSED);
    cr_assert_not_null(strstr(err.text, "own address"), "%s", err.text);
    cr_assert_eq(devices[0].joined, 1);
}

/* Nobody there, no address, no sayable name: told with the address. */
Test(network_join, a_join_comes_to_nothing)
{
    struct sl_hello self = hello_of(0x50, "new");
    struct sl_welcome welcome;
    struct sl_error err = {0};

    cr_assert_eq(join("nobody", &self, &welcome, &err), SYNCLINE_ENET);
    cr_assert_str_eq(err.text,
                     "cannot reach nobody: connection refused; is a member serving there?");
    cr_assert_eq(join("", &self, &welcome, &err), SYNCLINE_EINVAL);
    memcpy(self.device_name, "\xff", 2);
    cr_assert_eq(join("d0", &self, &welcome, &err), SYNCLINE_EINVAL);
    cr_assert_not_null(strstr(err.text, "UTF-8"), "%s", err.text);
}

/* Who does not answer is waited for until the deadline, by the environment's clock. */
Test(network_join, a_join_without_an_answer_ends)
{
    struct sl_hello self = hello_of(0x50, "new");
    struct sl_welcome welcome;
    struct sl_error err = {0};
    uint64_t start_ns = now_ns;

    raw_listen("raw");
    cr_assert_eq(join("raw", &self, &welcome, &err), SYNCLINE_ENET);
    cr_assert_not_null(strstr(err.text, "raw gave no answer within 10000 ms"), "%s", err.text);
    cr_assert_eq(now_ns - start_ns, SL_JOIN_MS_MAX * (uint64_t)NS_PER_MS);
    cr_assert_eq(raws[0].counts[SL_FRAME_JOIN], 1);
    cr_assert_eq(raws[0].closed, 1);
    raws[0].closes_at_opened = true;
    cr_assert_eq(join("raw", &self, &welcome, &err), SYNCLINE_ENET);
    cr_assert_not_null(strstr(err.text, "without an answer"), "%s", err.text);
}

/* Answers that are none. The raw end speaks as soon as it is opened. */
static const char *answer_hex;

static void answering_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    raw_opened(ctx, link, dial_tag);
    send_hex(&raws[0], answer_hex);
}

static const struct sl_transport_events answering_events = {answering_opened, raw_received,
                                                            raw_closed, raw_dial_failed};

Test(network_join, wrong_answers_to_a_join_are_refused)
{
    static const struct bad_stream answers[] = {
        {"00000000 06 01 0000", "raw: the WELCOME frame is cut short"},
        {"04000000 02 01 0000 00000000", "raw: a VECTOR frame came as the answer to JOIN"},
        {"00000000 01 01 0000", "raw: the HELLO frame is cut short"},
        {"00000000 04 01 0000", "raw: the ERROR frame is cut short"},
        {"01000100 06 01 0000", "raw: the first frame declares 65537 bytes"},
        {"00000000 63 01 0000", "raw: a frame of type 99"},
    };
    struct sl_hello self = hello_of(0x50, "new");
    struct sl_welcome welcome;

    raw_listen("raw");
    raw_transport->ops->set_events(raw_transport, &answering_events, NULL);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct sl_error err = {0};
        answer_hex = answers[i].hex;
        cr_assert_eq(join("raw", &self, &welcome, &err), SYNCLINE_EPROTO, "case %zu", i);
        cr_assert_eq(strncmp(err.text, answers[i].says, strlen(answers[i].says)), 0, "%s",
                     err.text);
    }
}

/* A join without memory says so. */
Test(network_join, a_join_without_memory)
{
    struct sl_hello self = hello_of(0x50, "new");
    bool has_failed = true;

    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer's allocator does not fail");
    for (long n = 1; has_failed; n++) {
        struct sl_transport *transport = transport_new();
        struct sl_welcome welcome;
        struct sl_error err = {0};
        joining_ops = watched_ops;
        joining_ops.poll = joining_poll;
        transport->ops = &joining_ops;
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = sl_network_join(&env, transport, &self, "d0", &welcome, &err);
        has_failed = sl_malloc_fail_at(0);
        transport->ops->free(transport);
        run();
        if (status != SYNCLINE_OK) {
            cr_assert(has_failed);
            cr_assert(status == SYNCLINE_ENOMEM || status == SYNCLINE_ENET ||
                          status == SYNCLINE_EREFUSED,
                      "%d: %s", (int)status, err.text);
            cr_assert_neq(err.text[0], '\0');
        }
    }
}
