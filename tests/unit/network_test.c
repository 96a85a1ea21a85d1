/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/network.h"

#include "net/frame.h"
#include "net/transport_local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/failing_malloc.h"

#define NS_PER_MS 1000000u
#define DEVICES_LEN 3
#define RAWS_LEN 80

/* ---- A world of devices on one hub and one clock ------------------------------------------ */

/* One device: a network on a transport of its own, and what its upcalls were told. */
struct device {
    struct sl_transport *transport;
    struct sl_network *net;
    struct sl_hello hello;
    char address[SL_ADDRESS_SIZE_MAX + 1];
    /* What the upcalls do. */
    enum syncline_status admit_status;
    enum syncline_status vector_status;
    enum syncline_status segment_status;
    enum syncline_status member_status;
    bool closes_at_ready;
    bool closes_at_vector;
    bool closes_at_segment;
    bool closes_at_closed;
    bool sends_at_ready;
    /* What they saw. */
    unsigned admitted;
    unsigned joined;
    unsigned ready;
    unsigned closed;
    unsigned notices;
    char notice[SL_ERROR_SIZE]; /* the last */
    enum syncline_status notice_status;
    struct sl_session *session; /* the last that became ready; NULL once it is closed */
    size_t vectors;
    size_t vector_len;
    struct sl_vector_entry vector[4];
    size_t segments;
    size_t segment_len;
    uint8_t segment_sum;
    unsigned members;
    struct sl_hello member;              /* the last */
    enum syncline_status summary_status; /* of SUMMARY, ROSTER and STATEMENT */
    uint8_t summary[SL_HASH_SIZE];
    size_t roster_len;
    struct sl_roster_entry roster; /* the first of the last */
    size_t statement_size;
    struct sl_stated stated;
    unsigned queries;
    unsigned answers;
    size_t answer_len; /* of the last */
    uint8_t answer_first;
    enum syncline_status query_status;
    bool polling;
};

/* One end without a network: it says what a test wants. */
struct raw {
    struct sl_link *link; /* NULL: none */
    unsigned opened;      /* times */
    unsigned closed;      /* times, by the other side */
    struct sl_frame_decoder decoder;
    size_t counts[SL_FRAME_TYPE_END]; /* frames that came */
    enum syncline_status error_status;
    struct sl_error error; /* the text of the last ERROR */
    bool closes_at_opened;
};

static struct sl_local_hub *hub;
static struct device devices[DEVICES_LEN];
static struct sl_transport *raw_transport;
static struct raw raws[RAWS_LEN]; /* by dial tag; 0: accepted */
static uint64_t now_ns;
static uint32_t waited_ms; /* timeout of the last poll of device 0's transport */

static uint64_t fake_mono_ns(void *ctx)
{
    (void)ctx;
    return now_ns;
}

static const struct sl_env env = {.mono_ns = fake_mono_ns, .alloc = &sl_allocator_libc};

static enum syncline_status on_admit(void *ctx, const struct sl_hello *hello, bool joining,
                                     struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_arr_eq(hello->library_id.bytes, device->hello.library_id.bytes, 16);
    if (joining)
        device->joined++;
    else
        device->admitted++;
    if (device->admit_status != SYNCLINE_OK)
        return sl_fail(err, device->admit_status, "no room for \"%s\"", hello->device_name);
    return SYNCLINE_OK;
}

static void on_ready(void *ctx, struct sl_session *session)
{
    struct device *device = ctx;
    static const uint8_t data[] = {1, 2, 3};
    struct sl_vector_entry entry = {.held_seq = 5, .applied_seq = 4};

    cr_assert(device->polling);
    cr_assert_null(session->user);
    cr_assert_eq(session->net, device->net);
    session->user = device;
    device->ready++;
    device->session = session;
    if (device->sends_at_ready) {
        /* Under a failing allocator these may fail; the session is then closed. */
        enum syncline_status status = sl_session_send_vector(session, &entry, 1);
        if (status == SYNCLINE_OK)
            status = sl_session_send_segment(session, data, sizeof(data));
        if (status != SYNCLINE_OK)
            sl_session_close(session, status, "cannot send");
    }
    if (device->closes_at_ready)
        sl_session_close(session, SYNCLINE_EBUSY, "not now");
}

static enum syncline_status on_vector(void *ctx, struct sl_session *session,
                                      const struct sl_vector_entry *entries, size_t len,
                                      struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->vectors++;
    device->vector_len = len;
    for (size_t i = 0; i < len && i < 4; i++)
        device->vector[i] = entries[i];
    if (device->closes_at_vector)
        sl_session_close(session, SYNCLINE_EBUSY, "not now");
    if (device->vector_status != SYNCLINE_OK)
        return sl_fail(err, device->vector_status, "a vector from nowhere");
    return SYNCLINE_OK;
}

static enum syncline_status on_segment(void *ctx, struct sl_session *session, const uint8_t *data,
                                       size_t len, struct sl_error *err)
{
    struct device *device = ctx;

    (void)err;
    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->segments++;
    device->segment_len = len;
    device->segment_sum = 0;
    for (size_t i = 0; i < len; i++)
        device->segment_sum = (uint8_t)(device->segment_sum + data[i]);
    if (device->closes_at_segment)
        sl_session_close(session, SYNCLINE_EBUSY, "not now");
    return device->segment_status; /* without a text: the general one is told */
}

static void on_closed(void *ctx, struct sl_session *session)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->closed++;
    cr_assert_eq(sl_session_send_vector(session, NULL, 0), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_summary(session, device->summary), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_roster(session, NULL, 0), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_statement(session, device->summary, 1), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_member(session, &device->hello), SYNCLINE_ENET);
    if (device->closes_at_closed)
        sl_session_close(session, SYNCLINE_EBUSY, "not now");
    if (device->session == session)
        device->session = NULL;
}

static void on_notice(void *ctx, enum syncline_status status, const char *text)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    device->notices++;
    device->notice_status = status;
    (void)snprintf(device->notice, sizeof(device->notice), "%s", text);
    cr_assert_null(strchr(text, '\n'));
}

static enum syncline_status on_member(void *ctx, struct sl_session *session,
                                      const struct sl_hello *member, struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->members++;
    device->member = *member;
    if (device->member_status != SYNCLINE_OK)
        return sl_fail(err, device->member_status, "a member from nowhere");
    return SYNCLINE_OK;
}

static enum syncline_status on_summary(void *ctx, struct sl_session *session,
                                       const uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    memcpy(device->summary, hash, SL_HASH_SIZE);
    return sl_fail(err, device->summary_status, "a summary from nowhere");
}

static enum syncline_status on_roster(void *ctx, struct sl_session *session,
                                      const struct sl_roster_entry *entries, size_t len,
                                      struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->roster_len = len;
    if (len > 0)
        device->roster = entries[0];
    return sl_fail(err, device->summary_status, "a roster from nowhere");
}

static enum syncline_status on_statement(void *ctx, struct sl_session *session,
                                         const struct sl_statement *statement, const uint8_t *data,
                                         size_t size, struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    cr_assert_eq(statement->signature, data + 24);
    device->statement_size = size;
    device->stated = statement->stated;
    return sl_fail(err, device->summary_status, "a statement from nowhere");
}

static enum syncline_status on_query(void *ctx, struct sl_session *session, const uint8_t *data,
                                     size_t len, struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->queries++;
    cr_assert_eq(sl_session_send_answer(session, data, len), SYNCLINE_OK);
    if (device->query_status != SYNCLINE_OK)
        return sl_fail(err, device->query_status, "a question from nowhere");
    return SYNCLINE_OK;
}

static enum syncline_status on_answer(void *ctx, struct sl_session *session, const uint8_t *data,
                                      size_t len, struct sl_error *err)
{
    struct device *device = ctx;

    (void)err;
    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->answers++;
    device->answer_len = len;
    device->answer_first = data[0];
    return SYNCLINE_OK;
}

static const struct sl_network_events events = {.admit = on_admit,
                                                .ready = on_ready,
                                                .vector = on_vector,
                                                .segment = on_segment,
                                                .member = on_member,
                                                .summary = on_summary,
                                                .roster = on_roster,
                                                .statement = on_statement,
                                                .query = on_query,
                                                .answer = on_answer,
                                                .closed = on_closed,
                                                .notice = on_notice};

/* The local transport, and a note of how long it was to wait. */
static struct sl_transport_ops watched_ops;
static const struct sl_transport_ops *local_ops;

static void watched_poll(struct sl_transport *transport, uint32_t timeout_ms)
{
    if (transport == devices[0].transport)
        waited_ms = timeout_ms;
    local_ops->poll(transport, timeout_ms);
}

static struct sl_transport *transport_new(void)
{
    struct sl_transport *transport;

    cr_assert_eq(sl_transport_local_new(hub, &transport), SYNCLINE_OK);
    local_ops = transport->ops;
    watched_ops = *local_ops;
    watched_ops.poll = watched_poll;
    transport->ops = &watched_ops;
    return transport;
}

static struct sl_hello hello_of(uint8_t number, const char *name)
{
    struct sl_hello hello;

    memset(&hello, 0, sizeof(hello));
    memset(hello.library_id.bytes, 0xaa, 16);
    memset(hello.public_key, number, SL_KEY_SIZE);
    sl_device_id(hello.public_key, &hello.device_id);
    (void)snprintf(hello.device_name, sizeof(hello.device_name), "%s", name);
    return hello;
}

static void device_open(struct device *device)
{
    cr_assert_eq(sl_network_new(&env, device->transport, &device->hello, "photos", &events, device,
                                &device->net),
                 SYNCLINE_OK);
}

/* ---- The raw end -------------------------------------------------------------------------- */

static void raw_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    struct raw *raw = &raws[dial_tag];

    (void)ctx;
    raw->opened++;
    if (raw->closes_at_opened) {
        link->transport->ops->close(link);
        return;
    }
    sl_frame_decoder_fini(&raw->decoder);
    sl_frame_decoder_init(&raw->decoder, &sl_allocator_libc, SL_FRAME_SIZE_MAX);
    raw->link = link;
    link->user = raw;
}

static void raw_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    struct raw *raw = link->user;
    struct sl_frame frame;

    (void)ctx;
    while (sl_frame_decoder_next(&raw->decoder, &data, &len, &frame, NULL) == SYNCLINE_OK) {
        raw->counts[frame.type]++;
        if (frame.type == SL_FRAME_ERROR)
            cr_assert_eq(sl_frame_get_error(&frame, &raw->error_status, &raw->error, NULL),
                         SYNCLINE_OK);
    }
}

static void raw_closed(void *ctx, struct sl_link *link)
{
    struct raw *raw = link->user;

    (void)ctx;
    raw->closed++;
    raw->link = NULL;
}

static void raw_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    (void)ctx;
    cr_assert_fail("dial %u failed: %s", (unsigned)dial_tag, reason);
}

static const struct sl_transport_events raw_events = {raw_opened, raw_received, raw_closed,
                                                      raw_dial_failed};

static void raw_listen(const char *address)
{
    char bound[SL_ADDRESS_SIZE_MAX + 1];

    cr_assert_eq(raw_transport->ops->listen(raw_transport, address, bound, NULL), SYNCLINE_OK);
}

static void raw_send(struct raw *raw, const void *data, size_t len)
{
    cr_assert_not_null(raw->link);
    cr_assert_eq(raw->link->transport->ops->send(raw->link, data, len), SYNCLINE_OK);
}

static void raw_close(struct raw *raw)
{
    raw->link->transport->ops->close(raw->link);
    raw->link = NULL;
}

/* Appends the frame's header and its payload. */
static void put_frame(struct sl_buf *buf, enum sl_frame_type type, const void *payload, size_t len)
{
    sl_buf_u32(buf, (uint32_t)len);
    sl_buf_u8(buf, (uint8_t)type);
    sl_buf_u8(buf, SL_FRAME_VERSION);
    sl_buf_u16(buf, 0);
    sl_buf_bytes(buf, payload, len);
}

static void raw_send_frame(struct raw *raw, enum sl_frame_type type, const void *payload,
                           size_t len)
{
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    put_frame(&buf, type, payload, len);
    raw_send(raw, buf.data, buf.len);
    sl_buf_fini(&buf);
}

static void raw_hello(struct raw *raw, const struct sl_hello *hello, bool joining)
{
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(joining ? sl_frame_put_join(&buf, hello) : sl_frame_put_hello(&buf, hello),
                 SYNCLINE_OK);
    raw_send(raw, buf.data, buf.len);
    sl_buf_fini(&buf);
}

static void raw_error(struct raw *raw, enum syncline_status status, const char *text)
{
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_error(&buf, status, text), SYNCLINE_OK);
    raw_send(raw, buf.data, buf.len);
    sl_buf_fini(&buf);
}

/* ---- Running it --------------------------------------------------------------------------- */

static void poll_device(struct device *device)
{
    device->polling = true;
    sl_network_poll(device->net, 1000);
    device->polling = false;
}

/* Lets everything that is on its way arrive. */
static void run(void)
{
    for (int round = 0; round < 12; round++) {
        for (size_t i = 0; i < DEVICES_LEN; i++)
            if (devices[i].net != NULL)
                poll_device(&devices[i]);
        local_ops->poll(raw_transport, 0);
    }
}

static void pass_ms(uint64_t ms)
{
    now_ns += ms * NS_PER_MS;
    run();
}

static void set_up(void)
{
    now_ns = 1000 * (uint64_t)NS_PER_MS;
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &hub), SYNCLINE_OK);
    for (size_t i = 0; i < DEVICES_LEN; i++) {
        char name[16];
        struct device *device = &devices[i];
        (void)snprintf(name, sizeof(name), "device %zu", i);
        device->transport = transport_new();
        device->hello = hello_of((uint8_t)(i + 1), name);
        device_open(device);
        (void)snprintf(name, sizeof(name), "d%zu", i);
        cr_assert_eq(sl_network_listen(device->net, name, device->address, NULL), SYNCLINE_OK);
    }
    /* Device 0 has the lower id of the first two, so that tests can name it. */
    if (sl_uuid_compare(&devices[0].hello.device_id, &devices[1].hello.device_id) > 0) {
        struct device first = devices[0];
        sl_network_free(devices[0].net);
        sl_network_free(devices[1].net);
        devices[0].hello.device_id = devices[1].hello.device_id;
        memcpy(devices[0].hello.public_key, devices[1].hello.public_key, SL_KEY_SIZE);
        devices[1].hello.device_id = first.hello.device_id;
        memcpy(devices[1].hello.public_key, first.hello.public_key, SL_KEY_SIZE);
        device_open(&devices[0]);
        device_open(&devices[1]);
    }
    raw_transport = transport_new();
    raw_transport->ops->set_events(raw_transport, &raw_events, NULL);
}

static void tear_down(void)
{
    for (size_t i = 0; i < DEVICES_LEN; i++) {
        sl_network_free(devices[i].net);
        if (devices[i].transport != NULL)
            devices[i].transport->ops->free(devices[i].transport);
    }
    raw_transport->ops->free(raw_transport);
    for (size_t i = 0; i < RAWS_LEN; i++)
        sl_frame_decoder_fini(&raws[i].decoder);
    sl_local_hub_free(hub);
}

TestSuite(network, .init = set_up, .fini = tear_down);

static void add_peer(size_t from, const char *address)
{
    cr_assert_eq(sl_network_add_peer(devices[from].net, address, NULL), SYNCLINE_OK);
}

/* Raw connection `tag` to device 0, nothing said. */
static struct raw *raw_dial(uint64_t tag)
{
    cr_assert_eq(raw_transport->ops->dial(raw_transport, devices[0].address, tag, NULL),
                 SYNCLINE_OK);
    run();
    cr_assert_eq(raws[tag].opened, 1);
    return &raws[tag];
}

/* The same with a session. */
static struct raw *raw_session(uint64_t tag)
{
    struct sl_hello hello = hello_of((uint8_t)(0x40 + tag), "raw");
    struct raw *raw = raw_dial(tag);

    raw_hello(raw, &hello, false);
    run();
    cr_assert_eq(raw->counts[SL_FRAME_ERROR], 0, "%s", raw->error.text);
    return raw;
}

static void expect_sessions(size_t i, size_t expected)
{
    size_t len = 0;

    while (sl_network_session(devices[i].net, len) != NULL)
        len++;
    cr_assert_eq(len, expected, "device %zu has %zu sessions", i, len);
    cr_assert_eq(devices[i].ready - devices[i].closed, expected);
}

/* ---- Questions ---- */

/* A question goes to the other side, and what that answers comes back; what cannot be sent says so.
 */
Test(network, questions_are_answered)
{
    static const uint8_t data[] = {9, 8, 7};

    add_peer(0, "d1");
    run();
    cr_assert_eq(sl_session_send_query(devices[0].session, data, 3), SYNCLINE_OK);
    run();
    cr_assert_eq(devices[1].queries, 1);
    cr_assert_eq(devices[0].answers, 1);
    cr_assert_eq(devices[0].answer_len, 3);
    cr_assert_eq(devices[0].answer_first, 9);
    cr_assert_eq(sl_session_send_query(devices[0].session, data, 0), SYNCLINE_EINVAL);
    expect_sessions(0, 1);

    devices[1].query_status = SYNCLINE_EPROTO;
    cr_assert_eq(sl_session_send_query(devices[0].session, data, 3), SYNCLINE_OK);
    run();
    expect_sessions(0, 0);
    cr_assert_not_null(strstr(devices[0].notice, "a question from nowhere"), "%s",
                       devices[0].notice);
}

/* ---- The handshake ------------------------------------------------------------------------ */

/* Who dials and who is dialled come to know each other, and vectors and segments go both ways. */
Test(network, two_devices_connect)
{
    struct sl_vector_entry entry = {.held_seq = 7, .applied_seq = 6};
    static const uint8_t data[] = {9, 8, 7};

    devices[0].sends_at_ready = true;
    add_peer(0, "d1");
    run();
    expect_sessions(0, 1);
    expect_sessions(1, 1);
    cr_assert(devices[0].session->dialled);
    cr_assert(!devices[1].session->dialled);
    cr_assert_eq(devices[0].session->serial, 1);
    cr_assert_arr_eq((uint8_t *)&devices[0].session->peer, (uint8_t *)&devices[1].hello,
                     sizeof(struct sl_hello));
    cr_assert_arr_eq((uint8_t *)&devices[1].session->peer, (uint8_t *)&devices[0].hello,
                     sizeof(struct sl_hello));
    cr_assert_eq(devices[1].vector_len, 1);
    cr_assert_eq(devices[1].vector[0].held_seq, 5);
    cr_assert_eq(devices[1].segment_len, 3);
    cr_assert_eq(devices[1].segment_sum, 6);
    cr_assert_eq(sl_session_send_vector(devices[1].session, &entry, 1), SYNCLINE_OK);
    cr_assert_eq(sl_session_send_segment(devices[1].session, data, 3), SYNCLINE_OK);
    cr_assert_gt(sl_session_queued(devices[1].session), 11);
    run();
    cr_assert_eq(sl_session_queued(devices[1].session), 0);
    cr_assert_eq(devices[0].vector[0].held_seq, 7);
    cr_assert_eq(devices[0].segment_sum, 24);
    cr_assert_eq(devices[0].notices + devices[1].notices, 0);
    cr_assert_eq(devices[0].admitted, 1);

    struct sl_network_counts ours = sl_network_counts(devices[0].net);
    struct sl_network_counts theirs = sl_network_counts(devices[1].net);
    cr_assert_eq(ours.frames_sent, 3);
    cr_assert_eq(ours.frames_received, 3);
    cr_assert_eq(ours.bytes_sent, theirs.bytes_received);
    cr_assert_eq(ours.bytes_received, theirs.bytes_sent);
    cr_assert_gt(ours.bytes_sent, 100);
    sl_network_wake(devices[0].net);
}

/* What one says of a third device arrives at the other, with the id made from the key; and it may
 * be refused. */
Test(network, a_member_is_introduced)
{
    struct sl_hello third = hello_of(0x77, "third");

    add_peer(0, "d1");
    run();
    cr_assert_eq(sl_session_send_member(devices[0].session, &third), SYNCLINE_OK);
    run();
    cr_assert_eq(devices[1].members, 1);
    cr_assert_arr_eq(devices[1].member.public_key, third.public_key, SL_KEY_SIZE);
    cr_assert_arr_eq(devices[1].member.device_id.bytes, third.device_id.bytes, 16);
    cr_assert_str_eq(devices[1].member.device_name, "third");
    memset(third.device_name, 'x', sizeof(third.device_name));
    cr_assert_eq(sl_session_send_member(devices[0].session, &third), SYNCLINE_EINVAL);
    devices[1].member_status = SYNCLINE_EREFUSED;
    third = hello_of(0x78, "fourth");
    cr_assert_eq(sl_session_send_member(devices[0].session, &third), SYNCLINE_OK);
    run();
    cr_assert_not_null(strstr(devices[0].notice, "a member from nowhere"), "%s", devices[0].notice);
    expect_sessions(0, 0);
}

/* So do a summary, a roster and a statement; and each of them may be refused. */
Test(network, summaries_and_statements_go_through)
{
    struct sl_roster_entry entry = {.device = {{5}}, .stated = {6, 7}};
    struct sl_vector_entry held = {.origin = {.epoch = 1}, .held_seq = 4, .applied_seq = 3};
    struct sl_origin author = {.device = {{9}}, .epoch = 2};
    static const uint8_t hash[SL_HASH_SIZE] = {1, 2, 3};
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_statement_put(&buf, &author, &held, 1), SYNCLINE_OK);
    add_peer(0, "d1");
    run();
    cr_assert_eq(sl_session_send_summary(devices[0].session, hash), SYNCLINE_OK);
    cr_assert_eq(sl_session_send_roster(devices[0].session, &entry, 1), SYNCLINE_OK);
    cr_assert_eq(sl_session_send_statement(devices[0].session, buf.data, buf.len), SYNCLINE_OK);
    run();
    cr_assert_arr_eq(devices[1].summary, hash, SL_HASH_SIZE);
    cr_assert_eq(devices[1].roster_len, 1);
    cr_assert_eq(devices[1].roster.device.bytes[0], 5);
    cr_assert(devices[1].roster.stated.epoch == 6 && devices[1].roster.stated.version == 7);
    cr_assert_eq(devices[1].statement_size, buf.len);
    cr_assert(devices[1].stated.epoch == 2 && devices[1].stated.version == 7);
    cr_assert_eq(sl_session_send_roster(devices[0].session, &entry, SL_ROSTER_LEN_MAX + 1),
                 SYNCLINE_ETOOBIG);
    for (int round = 0; round < 3; round++) {
        devices[1].summary_status = SYNCLINE_EREFUSED;
        struct sl_session *session = devices[0].session;
        cr_assert_eq(round == 0   ? sl_session_send_summary(session, hash)
                     : round == 1 ? sl_session_send_roster(session, &entry, 1)
                                  : sl_session_send_statement(session, buf.data, buf.len),
                     SYNCLINE_OK);
        run();
        cr_assert_not_null(strstr(devices[0].notice, "from nowhere"), "%s", devices[0].notice);
        cr_assert_null(devices[0].session);
        devices[1].summary_status = SYNCLINE_OK;
        pass_ms(SL_REDIAL_MS_MAX);
        cr_assert_not_null(devices[0].session);
    }
    sl_buf_fini(&buf);
}

/* The same bytes, one at a time. */
Test(network, single_bytes_are_enough)
{
    struct sl_hello hello = hello_of(0x40, "raw");
    struct sl_vector_entry entry = {.held_seq = 3};
    struct raw *raw = raw_dial(1);
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_hello(&buf, &hello), SYNCLINE_OK);
    cr_assert_eq(sl_frame_put_vector(&buf, &entry, 1), SYNCLINE_OK);
    put_frame(&buf, SL_FRAME_SEGMENT, "abc", 3);
    for (size_t i = 0; i < buf.len; i++) {
        raw_send(raw, buf.data + i, 1);
        poll_device(&devices[0]);
    }
    sl_buf_fini(&buf);
    expect_sessions(0, 1);
    cr_assert_eq(devices[0].vector[0].held_seq, 3);
    cr_assert_eq(devices[0].segment_len, 3);
    cr_assert_eq(raw->counts[SL_FRAME_HELLO], 1);
}

/* Everything in one chunk, with a frame longer than the handshake's limit after HELLO. */
Test(network, one_chunk_is_enough)
{
    static uint8_t segment[SL_SEGMENT_SIZE_MAX];
    struct sl_hello hello = hello_of(0x40, "raw");
    struct raw *raw = raw_dial(1);
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_hello(&buf, &hello), SYNCLINE_OK);
    put_frame(&buf, SL_FRAME_SEGMENT, segment, sizeof(segment));
    raw_send(raw, buf.data, buf.len);
    sl_buf_fini(&buf);
    run();
    cr_assert_eq(devices[0].segment_len, sizeof(segment));
}

/* ---- Refusals ----------------------------------------------------------------------------- */

/* Device 0 has said no: an ERROR like this went out, a notice was given, nothing is open. */
static void expect_refused(struct raw *raw, enum syncline_status status, const char *says)
{
    run();
    cr_assert_eq(raw->counts[SL_FRAME_ERROR], 1, "\"%s\" was not refused", says);
    cr_assert_eq(raw->error_status, status);
    cr_assert_not_null(strstr(raw->error.text, says), "%s", raw->error.text);
    cr_assert_eq(devices[0].notices, 1);
    cr_assert_eq(devices[0].notice_status, status);
    cr_assert_not_null(strstr(devices[0].notice, says), "%s", devices[0].notice);
    expect_sessions(0, 0);
    /* It waits for us to close, throwing away what else comes. */
    if (raw->link != NULL)
        raw_send_frame(raw, SL_FRAME_SEGMENT, "x", 1);
    cr_assert_eq(raw->closed, 0);
    pass_ms(SL_HANDSHAKE_MS_MAX);
    cr_assert_eq(raw->closed, 1);
    cr_assert_eq(devices[0].notices, 1);
    cr_assert_eq(devices[0].segments, 0);
}

/* Another library: both sides are told, with both ids. */
Test(network, another_library_is_refused)
{
    sl_network_free(devices[1].net);
    memset(devices[1].hello.library_id.bytes, 0xbb, 16);
    device_open(&devices[1]);
    add_peer(0, "d1");
    run();
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(devices[i].notice_status, SYNCLINE_EREFUSED);
        cr_assert_not_null(strstr(devices[i].notice, "aaaaaaaaaaaa"), "%s", devices[i].notice);
        cr_assert_not_null(strstr(devices[i].notice, "bbbbbbbbbbbb"), "%s", devices[i].notice);
        cr_assert_not_null(strstr(devices[i].notice, "device 0"), "%s", devices[i].notice);
        cr_assert_eq(devices[i].admitted, 0);
        expect_sessions(i, 0);
    }
    cr_assert_eq(strncmp(devices[0].notice, "d1: ", 4), 0);
    cr_assert_eq(strncmp(devices[1].notice, "\"device 0\": ", 12), 0);
}

/* The same text is not told again with every redial, but is after a session in between. */
Test(network, a_notice_is_given_once)
{
    devices[0].admit_status = SYNCLINE_EREFUSED;
    add_peer(0, "d1");
    for (int i = 0; i < 20; i++)
        pass_ms(SL_REDIAL_MS_MAX);
    cr_assert_gt(devices[0].admitted, 5);
    cr_assert_eq(devices[0].notices, 1);
    devices[0].admit_status = SYNCLINE_OK;
    pass_ms(SL_REDIAL_MS_MAX);
    expect_sessions(0, 1);
    sl_session_close(devices[0].session, SYNCLINE_EBUSY, "x");
    devices[0].admit_status = SYNCLINE_EREFUSED;
    pass_ms(SL_REDIAL_MS_MAX);
    pass_ms(SL_REDIAL_MS_MAX);
    cr_assert_eq(devices[0].notices, 2);
}

/* Our own key on the other side: ourselves, or a copy of us. */
Test(network, our_own_identity_is_refused)
{
    add_peer(0, "d0");
    run();
    cr_assert_eq(devices[0].notice_status, SYNCLINE_EREFUSED);
    cr_assert_not_null(strstr(devices[0].notice, "own address"), "%s", devices[0].notice);
    expect_sessions(0, 0);
    cr_assert_eq(devices[0].admitted, 0);
}

/* Whom `admit` does not want is told its text. */
Test(network, admit_decides)
{
    struct sl_hello hello = hello_of(0x40, "raw");
    struct raw *raw = raw_dial(1);

    devices[0].admit_status = SYNCLINE_ETOOBIG;
    raw_hello(raw, &hello, false);
    expect_refused(raw, SYNCLINE_ETOOBIG, "no room for \"raw\"");
    cr_assert_eq(strncmp(devices[0].notice, "\"raw\": ", 7), 0, "%s", devices[0].notice);
}

struct bad_stream {
    const char *hex;
    const char *says;
};

/* Streams that no state allows; each ends the connection with EPROTO and says why. */
static const struct bad_stream bad_streams[] = {
    {"04000000 02 01 0000 00000000", "a VECTOR frame came before the handshake"},
    {"01000000 03 01 0000 61", "a SEGMENT frame came before the handshake"},
    {"01000000 06 01 0000 61", "a WELCOME frame came before the handshake"},
    {"01000000 01 01 0000 61", "the HELLO frame is cut short"},
    {"01000000 05 01 0000 61", "the JOIN frame is cut short"},
    {"01000000 04 01 0000 61", "the ERROR frame is cut short"},
    {"00000000 20 01 0000", "type 32"},
    {"00000000 01 02 0000", "HELLO frame of version 2"},
    {"01000100 01 01 0000", "the first frame declares 65537 bytes, 65536 are allowed"},
    {"474554202f20485454502f312e310d0a", "is it a Syncline device?"},
};

static void send_hex(struct raw *raw, const char *hex)
{
    for (; *hex != '\0'; hex++) {
        unsigned value;
        if (*hex == ' ')
            continue;
        cr_assert_eq(sscanf(hex, "%2x", &value), 1);
        uint8_t byte = (uint8_t)value;
        raw_send(raw, &byte, 1);
        hex++;
    }
}

Test(network, bad_streams_are_refused_before_the_handshake)
{
    for (size_t i = 0; i < sizeof(bad_streams) / sizeof(bad_streams[0]); i++) {
        struct raw *raw = raw_dial(i + 1);
        devices[0].notices = 0;
        send_hex(raw, bad_streams[i].hex);
        expect_refused(raw, SYNCLINE_EPROTO, bad_streams[i].says);
    }
}

/* With a session: the same, and `closed` is called. */
static const struct bad_stream bad_sessions[] = {
    {"01000000 06 01 0000 61", "a WELCOME frame came after the handshake"},
    {"01000000 05 01 0000 61", "a JOIN frame came after the handshake"},
    {"00000000 01 01 0000", "a HELLO frame came after the handshake"},
    {"05000000 02 01 0000 0000000000", "a VECTOR frame of 5 bytes"},
    {"00000000 03 01 0000", "a SEGMENT frame of 0 bytes"},
    {"02000000 04 01 0000 0000", "ERROR frame is cut short"},
    {"01000000 07 01 0000 61", "MEMBER frame is cut short"},
    {"01000000 08 01 0000 61", "SUMMARY frame is cut short"},
    {"04000000 09 01 0000 01000000", "a ROSTER frame of 4 bytes declares 1 devices"},
    {"01000000 0b 01 0000 61", "ASK frame is cut short"},
    {"01000000 0a 01 0000 61", "STATEMENT: a statement of 1 bytes"},
    {"01004000 03 01 0000", "a frame declares 4194305 bytes, 4194304 are allowed"},
};

Test(network, bad_streams_are_refused_in_a_session)
{
    for (size_t i = 0; i < sizeof(bad_sessions) / sizeof(bad_sessions[0]); i++) {
        struct raw *raw = raw_session(i + 1);
        devices[0].notices = 0;
        expect_sessions(0, 1);
        send_hex(raw, bad_sessions[i].hex);
        expect_refused(raw, SYNCLINE_EPROTO, bad_sessions[i].says);
    }
}

/* What the engine refuses ends the session, with its text or the general one. */
Test(network, upcalls_may_refuse)
{
    struct raw *raw = raw_session(1);
    static const uint8_t empty_vector[4];

    devices[0].vector_status = SYNCLINE_EPROTO;
    raw_send_frame(raw, SL_FRAME_VECTOR, empty_vector, 4);
    expect_refused(raw, SYNCLINE_EPROTO, "a vector from nowhere");
    raw = raw_session(2);
    devices[0].notices = 0;
    devices[0].segment_status = SYNCLINE_ECORRUPT;
    raw_send_frame(raw, SL_FRAME_SEGMENT, "x", 1);
    run();
    cr_assert_eq(raw->error_status, SYNCLINE_ECORRUPT);
    cr_assert_str_eq(raw->error.text, syncline_status_text(SYNCLINE_ECORRUPT));
    cr_assert_eq(devices[0].closed, 2);
}

/* JOIN goes to who was dialled, never back. */
Test(network, join_from_a_dialled_device_is_refused)
{
    struct sl_hello hello = hello_of(0x40, "raw");

    raw_listen("raw");
    add_peer(0, "raw");
    run();
    raw_hello(&raws[0], &hello, true);
    expect_refused(&raws[0], SYNCLINE_EPROTO, "JOIN from a device that was dialled");
    cr_assert_eq(devices[0].joined, 0);
}

/* Both sides have said ERROR: both close at once, each with its own notice only. */
Test(network, crossing_errors_end_it)
{
    struct raw *raw = raw_dial(1);

    send_hex(raw, "00000000 20 01 0000");
    raw_error(raw, SYNCLINE_EPROTO, "crossing");
    run();
    cr_assert_eq(raw->closed, 0, "what follows a broken frame is not read");
    raw = raw_dial(2);
    send_hex(raw, "00000000 06 01 0000");
    raw_send_frame(raw, SL_FRAME_VECTOR, NULL, 0);
    raw_error(raw, SYNCLINE_EPROTO, "crossing");
    run();
    cr_assert_eq(raw->closed, 1);
    cr_assert_null(strstr(devices[0].notice, "crossing"), "%s", devices[0].notice);
}

/* Who says nothing is closed at the deadline, not before. */
Test(network, silence_is_ended)
{
    struct raw *raw = raw_dial(1);

    pass_ms(SL_HANDSHAKE_MS_MAX - 1);
    cr_assert_eq(raw->closed, 0);
    cr_assert_eq(devices[0].notices, 0);
    pass_ms(1);
    cr_assert_eq(raw->closed, 1);
    cr_assert_not_null(strstr(devices[0].notice, "no hello"), "%s", devices[0].notice);
    cr_assert_eq(devices[0].notice_status, SYNCLINE_ENET);
}

/* A session is not silence. */
Test(network, sessions_have_no_deadline)
{
    (void)raw_session(1);
    pass_ms(100 * SL_HANDSHAKE_MS_MAX);
    expect_sessions(0, 1);
}

/* Who closes without a hello is noticed. */
Test(network, closing_before_hello_is_noticed)
{
    raw_close(raw_dial(1));
    run();
    cr_assert_not_null(strstr(devices[0].notice, "without saying hello"), "%s", devices[0].notice);
    expect_sessions(0, 0);
}

/* A hostile text stays one line. */
Test(network, texts_of_a_peer_are_one_line)
{
    char text[SL_ERROR_SIZE];
    struct raw *raw = raw_session(1);

    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    memcpy(text, "\x1b[2J\r", 5);
    raw_error(raw, SYNCLINE_EBUSY, text);
    run();
    cr_assert_eq(devices[0].notice_status, SYNCLINE_EBUSY);
    cr_assert_not_null(strstr(devices[0].notice, "it refused: ?[2J???"), "%s", devices[0].notice);
    cr_assert_eq(raw->closed, 1);
}

/* ---- Dialling again ----------------------------------------------------------------------- */

/* Dials come after pauses of 50, 100, 200, ... 5000, 5000 ms, never earlier. */
Test(network, pauses_grow)
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
Test(network, a_listener_that_comes_later_is_found)
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
Test(network, a_lost_session_is_dialled_again)
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
Test(network, refusals_make_the_pause_grow)
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

Test(network, a_dial_refused_at_once_is_tried_again)
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
Test(network, waits_end_with_what_is_due)
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
Test(network, the_lower_ids_dial_stays)
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
Test(network, the_lower_ids_dial_replaces_the_other)
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
Test(network, the_higher_ids_dial_gives_way)
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
Test(network, the_newer_of_one_side_stays)
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
Test(network, closed_comes_before_the_next_ready)
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
Test(network, two_addresses_of_one_device)
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
Test(network, three_devices_are_a_full_mesh)
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

/* ---- Closing and sending ------------------------------------------------------------------ */

/* sl_session_close: the peer is told, `closed` comes from the next poll, and once. */
Test(network, close_tells_both)
{
    add_peer(0, "d1");
    run();
    struct sl_session *session = devices[0].session;
    sl_session_close(session, SYNCLINE_EBUSY, "gone fishing");
    cr_assert_eq(devices[0].closed, 0);
    cr_assert_null(sl_network_session(devices[0].net, 0));
    cr_assert_eq(sl_session_send_segment(session, (const uint8_t *)"x", 1), SYNCLINE_ENET);
    sl_session_close(session, SYNCLINE_EBUSY, "again");
    poll_device(&devices[0]);
    cr_assert_eq(devices[0].closed, 1);
    run();
    cr_assert_eq(devices[0].closed, 1);
    cr_assert_eq(devices[1].closed, 1);
    cr_assert_eq(devices[1].notice_status, SYNCLINE_EBUSY);
    cr_assert_str_eq(devices[1].notice, "\"device 0\": it refused: gone fishing");
    cr_assert_eq(devices[0].notices, 0);
}

/* Each upcall may close its own session; nothing is called for it afterwards but `closed`. */
Test(network, upcalls_may_close_their_session)
{
    static const uint8_t empty_vector[4];

    devices[0].closes_at_closed = true;
    devices[0].closes_at_ready = true;
    struct raw *raw = raw_dial(1);
    struct sl_hello hello = hello_of(0x41, "raw");
    raw_hello(raw, &hello, false);
    raw_send_frame(raw, SL_FRAME_VECTOR, empty_vector, 4);
    run();
    cr_assert_eq(devices[0].closed, 1);
    cr_assert_eq(devices[0].vectors, 0);
    cr_assert_str_eq(raw->error.text, "not now");

    devices[0].closes_at_ready = false;
    devices[0].closes_at_vector = true;
    devices[0].vector_status = SYNCLINE_EPROTO; /* too late: it is closed already */
    raw = raw_session(2);
    raw_send_frame(raw, SL_FRAME_VECTOR, empty_vector, 4);
    raw_send_frame(raw, SL_FRAME_VECTOR, empty_vector, 4);
    run();
    cr_assert_eq(devices[0].closed, 2);
    cr_assert_eq(devices[0].vectors, 1);
    cr_assert_str_eq(raw->error.text, "not now");

    devices[0].closes_at_segment = true;
    raw = raw_session(3);
    raw_send_frame(raw, SL_FRAME_SEGMENT, "x", 1);
    raw_send_frame(raw, SL_FRAME_SEGMENT, "y", 1);
    raw_close(raw);
    run();
    cr_assert_eq(devices[0].closed, 3);
    cr_assert_eq(devices[0].segments, 1);
}

/* What is too long or empty is not sent, and the session stays. */
Test(network, what_cannot_be_sent_is_refused)
{
    static uint8_t data[SL_SEGMENT_SIZE_MAX + 1];
    static struct sl_vector_entry entries[SL_VECTOR_LEN_MAX + 1];

    add_peer(0, "d1");
    run();
    struct sl_session *session = devices[0].session;
    cr_assert_eq(sl_session_send_segment(session, data, sizeof(data)), SYNCLINE_ETOOBIG);
    cr_assert_eq(sl_session_send_segment(session, data, 0), SYNCLINE_EINVAL);
    cr_assert_eq(sl_session_send_vector(session, entries, SL_VECTOR_LEN_MAX + 1), SYNCLINE_ETOOBIG);
    cr_assert_eq(sl_session_send_segment(session, data, sizeof(data) - 1), SYNCLINE_OK);
    cr_assert_eq(sl_session_send_vector(session, entries, SL_VECTOR_LEN_MAX), SYNCLINE_OK);
    run();
    cr_assert_eq(devices[1].segment_len, sizeof(data) - 1);
    cr_assert_eq(devices[1].vector_len, SL_VECTOR_LEN_MAX);
}

/* A peer that takes nothing is given up before the queue eats the memory. */
Test(network, a_backlog_has_a_limit)
{
    static uint8_t data[SL_SEGMENT_SIZE_MAX];

    add_peer(0, "d1");
    run();
    struct sl_session *session = devices[0].session;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sl_session_send_segment(session, data, sizeof(data)), SYNCLINE_OK);
    cr_assert_gt(sl_session_queued(session), SL_LINK_BACKLOG_MAX);
    cr_assert_eq(sl_session_send_segment(session, data, sizeof(data)), SYNCLINE_ENET);
    sl_session_close(session, SYNCLINE_ENET, "it takes nothing");
    run();
    cr_assert_eq(devices[0].closed, 1);
}

/* Freeing a network says nothing to its engine; the peers see their links closed. */
Test(network, free_closes_without_upcalls)
{
    add_peer(0, "d1");
    add_peer(0, "nobody");
    run();
    sl_network_free(devices[0].net);
    devices[0].net = NULL;
    run();
    cr_assert_eq(devices[0].closed, 0);
    cr_assert_eq(devices[1].closed, 1);
    sl_network_free(NULL);
}

/* Also with a session that is ending: its engine is told no more. */
Test(network, free_after_close)
{
    add_peer(0, "d1");
    run();
    sl_session_close(devices[0].session, SYNCLINE_EBUSY, "x");
    sl_network_free(devices[0].net);
    devices[0].net = NULL;
    run();
    cr_assert_eq(devices[0].closed, 0);
    cr_assert_eq(devices[1].closed, 1);
}

/* ---- Limits and arguments ----------------------------------------------------------------- */

/* One silent link too many costs the oldest of them; sessions stay. */
Test(network, silent_links_give_way)
{
    struct raw *session = raw_session(1);

    for (uint64_t tag = 2; tag <= SL_LINK_COUNT_MAX; tag++)
        (void)raw_dial(tag);
    cr_assert_eq(raws[2].closed, 0);
    (void)raw_dial(SL_LINK_COUNT_MAX + 1);
    cr_assert_eq(session->closed, 0);
    cr_assert_eq(raws[2].closed, 1);
    cr_assert_eq(raws[3].closed, 0);
    struct sl_hello hello = hello_of(0x99, "late");
    raw_hello(&raws[SL_LINK_COUNT_MAX + 1], &hello, false);
    run();
    expect_sessions(0, 2);
}

/* With as many sessions as are allowed, one link more is given up. */
Test(network, sessions_are_limited)
{
    for (uint64_t tag = 1; tag <= SL_LINK_COUNT_MAX; tag++)
        (void)raw_session(tag);
    expect_sessions(0, SL_LINK_COUNT_MAX);
    raw_listen("raw");
    add_peer(0, "raw");
    (void)raw_dial(SL_LINK_COUNT_MAX + 1);
    cr_assert_eq(raws[SL_LINK_COUNT_MAX + 1].closed, 1);
    cr_assert_eq(raws[0].closed, 1);
    cr_assert_eq(devices[0].notices, 2);
    cr_assert_not_null(strstr(devices[0].notice, "too many connections"), "%s", devices[0].notice);
    expect_sessions(0, SL_LINK_COUNT_MAX);
    /* Once there is room, the peer that was dialled is tried again. */
    raw_close(&raws[1]);
    pass_ms(SL_REDIAL_MS_MAX);
    cr_assert_eq(raws[0].opened, 2);
    cr_assert_not_null(raws[0].link);
}

/* Addresses and names are checked when they are given. */
Test(network, arguments_are_checked)
{
    struct sl_error err = {0};
    struct sl_network *net;
    char address[SL_ADDRESS_SIZE_MAX + 2];
    char name[SL_NAME_SIZE_MAX + 2];
    struct sl_hello hello = devices[0].hello;

    memset(address, 'x', sizeof(address));
    address[SL_ADDRESS_SIZE_MAX + 1] = '\0';
    cr_assert_eq(sl_network_add_peer(devices[0].net, "", &err), SYNCLINE_EINVAL);
    cr_assert_eq(sl_network_add_peer(devices[0].net, address, &err), SYNCLINE_EINVAL);
    cr_assert_not_null(strstr(err.text, "1 to 63 bytes"), "%s", err.text);
    for (size_t i = 0; i < SL_LINK_COUNT_MAX; i++)
        cr_assert_eq(sl_network_add_peer(devices[0].net, address + 1, &err), SYNCLINE_OK);
    cr_assert_eq(sl_network_add_peer(devices[0].net, address + 1, &err), SYNCLINE_EINVAL);
    cr_assert_not_null(strstr(err.text, "64 peers"), "%s", err.text);
    cr_assert_eq(sl_network_listen(devices[0].net, "d1", address, &err), SYNCLINE_ENET);

    memset(name, 'x', sizeof(name));
    name[SL_NAME_SIZE_MAX + 1] = '\0';
    cr_assert_eq(sl_network_new(&env, raw_transport, &hello, name, &events, NULL, &net),
                 SYNCLINE_EINVAL);
    memcpy(hello.device_name, "\xff", 2);
    cr_assert_eq(sl_network_new(&env, raw_transport, &hello, "photos", &events, NULL, &net),
                 SYNCLINE_EINVAL);
}

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
Test(network, a_device_joins)
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
Test(network, a_joining_device_serves_nobody)
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
Test(network, a_join_is_refused)
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
Test(network, a_join_comes_to_nothing)
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
Test(network, a_join_without_an_answer_ends)
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

Test(network, wrong_answers_to_a_join_are_refused)
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

/* ---- No memory ---------------------------------------------------------------------------- */

/* Whichever single allocation fails, nothing breaks, and in the end the two are connected and have
 * told each other everything. */
Test(network, any_allocation_may_fail, .timeout = 60)
{
    bool has_failed = true;

    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer's allocator does not fail");
    devices[0].sends_at_ready = devices[1].sends_at_ready = true;
    for (long n = 1; has_failed; n++) {
        for (size_t i = 0; i < 2; i++) {
            sl_network_free(devices[i].net);
            devices[i].ready = devices[i].closed = 0;
            devices[i].segments = devices[i].vectors = 0;
            devices[i].net = NULL;
        }
        (void)sl_malloc_fail_at(n);
        for (size_t i = 0; i < 2; i++) {
            struct device *device = &devices[i];
            while (device->net == NULL) {
                enum syncline_status status =
                    sl_network_new(&env, device->transport, &device->hello, "photos", &events,
                                   device, &device->net);
                if (status != SYNCLINE_OK && status != SYNCLINE_ENOMEM)
                    abort();
            }
        }
        while (sl_network_add_peer(devices[0].net, "d1", NULL) == SYNCLINE_ENOMEM)
            continue;
        run();
        has_failed = sl_malloc_fail_at(0);
        for (int i = 0; i < 5; i++)
            pass_ms(SL_REDIAL_MS_MAX);
        expect_sessions(0, 1);
        expect_sessions(1, 1);
        cr_assert_geq(devices[0].vectors, 1);
        cr_assert_geq(devices[1].segments, 1);
    }
}

/* A join without memory says so. */
Test(network, a_join_without_memory)
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
