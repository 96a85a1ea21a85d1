/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Devices on one hub and one clock, each with a network, and raw ends that say what a test wants.
 */

#ifndef SL_NETWORK_WORLD_H
#define SL_NETWORK_WORLD_H

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
    enum sl_arrival arrival; /* of who came last */
    unsigned members;
    size_t members_size;                 /* of the last */
    uint8_t members_last;                /* its last byte */
    uint8_t roster_hash[SL_HASH_SIZE];   /* likewise */
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

static inline enum syncline_status on_admit(void *ctx, const struct sl_hello *hello,
                                            enum sl_arrival arrival, struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_arr_eq(hello->library_id.bytes, device->hello.library_id.bytes, 16);
    device->arrival = arrival;
    if (arrival == SL_ARRIVAL_JOINS)
        device->joined++;
    else
        device->admitted++;
    if (device->admit_status != SYNCLINE_OK)
        return sl_fail(err, device->admit_status, "no room for \"%s\"", hello->device_name);
    return SYNCLINE_OK;
}

static inline void on_ready(void *ctx, struct sl_session *session)
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

static inline enum syncline_status on_vector(void *ctx, struct sl_session *session,
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

static inline enum syncline_status on_segment(void *ctx, struct sl_session *session,
                                              const uint8_t *data, size_t len, struct sl_error *err)
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

static inline void on_closed(void *ctx, struct sl_session *session)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->closed++;
    cr_assert_eq(sl_session_send_vector(session, NULL, 0), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_summary(session, device->summary), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_roster(session, device->summary, NULL, 0), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_statement(session, device->summary, 1), SYNCLINE_ENET);
    cr_assert_eq(sl_session_send_members(session, "", 1), SYNCLINE_ENET);
    if (device->closes_at_closed)
        sl_session_close(session, SYNCLINE_EBUSY, "not now");
    if (device->session == session)
        device->session = NULL;
}

static inline void on_notice(void *ctx, enum syncline_status status, const char *text)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    device->notices++;
    device->notice_status = status;
    (void)snprintf(device->notice, sizeof(device->notice), "%s", text);
    cr_assert_null(strchr(text, '\n'));
}

static inline enum syncline_status on_members(void *ctx, struct sl_session *session,
                                              const uint8_t *entries, size_t size,
                                              struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->members++;
    device->members_size = size;
    device->members_last = entries[size - 1];
    if (device->member_status != SYNCLINE_OK)
        return sl_fail(err, device->member_status, "members from nowhere");
    return SYNCLINE_OK;
}

static inline enum syncline_status on_summary(void *ctx, struct sl_session *session,
                                              const uint8_t hash[SL_HASH_SIZE],
                                              struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    memcpy(device->summary, hash, SL_HASH_SIZE);
    return sl_fail(err, device->summary_status, "a summary from nowhere");
}

static inline enum syncline_status on_roster(void *ctx, struct sl_session *session,
                                             const uint8_t members[SL_HASH_SIZE],
                                             const struct sl_roster_entry *entries, size_t len,
                                             struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    device->roster_len = len;
    memcpy(device->roster_hash, members, SL_HASH_SIZE);
    if (len > 0)
        device->roster = entries[0];
    return sl_fail(err, device->summary_status, "a roster from nowhere");
}

static inline enum syncline_status on_statement(void *ctx, struct sl_session *session,
                                                const struct sl_statement *statement,
                                                const uint8_t *data, size_t size,
                                                struct sl_error *err)
{
    struct device *device = ctx;

    cr_assert(device->polling);
    cr_assert_eq(session->user, device);
    cr_assert_eq(statement->signature, data + 24);
    device->statement_size = size;
    device->stated = statement->stated;
    return sl_fail(err, device->summary_status, "a statement from nowhere");
}

static inline enum syncline_status on_query(void *ctx, struct sl_session *session,
                                            const uint8_t *data, size_t len, struct sl_error *err)
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

static inline enum syncline_status on_answer(void *ctx, struct sl_session *session,
                                             const uint8_t *data, size_t len, struct sl_error *err)
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
                                                .members = on_members,
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

static inline void watched_poll(struct sl_transport *transport, uint32_t timeout_ms)
{
    if (transport == devices[0].transport)
        waited_ms = timeout_ms;
    local_ops->poll(transport, timeout_ms);
}

static inline struct sl_transport *transport_new(void)
{
    struct sl_transport *transport;

    cr_assert_eq(sl_transport_local_new(hub, &transport), SYNCLINE_OK);
    local_ops = transport->ops;
    watched_ops = *local_ops;
    watched_ops.poll = watched_poll;
    transport->ops = &watched_ops;
    return transport;
}

static inline struct sl_hello hello_of(uint8_t number, const char *name)
{
    struct sl_hello hello;

    memset(&hello, 0, sizeof(hello));
    memset(hello.library_id.bytes, 0xaa, 16);
    memset(hello.public_key, number, SL_KEY_SIZE);
    sl_device_id(hello.public_key, &hello.device_id);
    (void)snprintf(hello.device_name, sizeof(hello.device_name), "%s", name);
    return hello;
}

static inline void device_open(struct device *device)
{
    cr_assert_eq(sl_network_new(&env, device->transport, &device->hello, "photos", &events, device,
                                &device->net),
                 SYNCLINE_OK);
}

/* ---- The raw end -------------------------------------------------------------------------- */

static inline void raw_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
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

static inline void raw_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
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

static inline void raw_closed(void *ctx, struct sl_link *link)
{
    struct raw *raw = link->user;

    (void)ctx;
    raw->closed++;
    raw->link = NULL;
}

static inline void raw_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    (void)ctx;
    cr_assert_fail("dial %u failed: %s", (unsigned)dial_tag, reason);
}

static const struct sl_transport_events raw_events = {raw_opened, raw_received, raw_closed,
                                                      raw_dial_failed};

static inline void raw_listen(const char *address)
{
    char bound[SL_ADDRESS_SIZE_MAX + 1];

    cr_assert_eq(raw_transport->ops->listen(raw_transport, address, bound, NULL), SYNCLINE_OK);
}

static inline void raw_send(struct raw *raw, const void *data, size_t len)
{
    cr_assert_not_null(raw->link);
    cr_assert_eq(raw->link->transport->ops->send(raw->link, data, len), SYNCLINE_OK);
}

static inline void raw_close(struct raw *raw)
{
    raw->link->transport->ops->close(raw->link);
    raw->link = NULL;
}

/* Appends the frame's header and its payload. */
static inline void put_frame(struct sl_buf *buf, enum sl_frame_type type, const void *payload,
                             size_t len)
{
    sl_buf_u32(buf, (uint32_t)len);
    sl_buf_u8(buf, (uint8_t)type);
    sl_buf_u8(buf, SL_FRAME_VERSION);
    sl_buf_u16(buf, 0);
    sl_buf_bytes(buf, payload, len);
}

static inline void raw_send_frame(struct raw *raw, enum sl_frame_type type, const void *payload,
                                  size_t len)
{
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    put_frame(&buf, type, payload, len);
    raw_send(raw, buf.data, buf.len);
    sl_buf_fini(&buf);
}

static inline void raw_hello(struct raw *raw, const struct sl_hello *hello, bool joining)
{
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(joining ? sl_frame_put_join(&buf, hello) : sl_frame_put_hello(&buf, hello),
                 SYNCLINE_OK);
    raw_send(raw, buf.data, buf.len);
    sl_buf_fini(&buf);
}

static inline void raw_error(struct raw *raw, enum syncline_status status, const char *text)
{
    struct sl_buf buf;

    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_error(&buf, status, text), SYNCLINE_OK);
    raw_send(raw, buf.data, buf.len);
    sl_buf_fini(&buf);
}

/* ---- Running it --------------------------------------------------------------------------- */

static inline void poll_device(struct device *device)
{
    device->polling = true;
    sl_network_poll(device->net, 1000);
    device->polling = false;
}

/* Lets everything that is on its way arrive. */
static inline void run(void)
{
    for (int round = 0; round < 12; round++) {
        for (size_t i = 0; i < DEVICES_LEN; i++)
            if (devices[i].net != NULL)
                poll_device(&devices[i]);
        local_ops->poll(raw_transport, 0);
    }
}

static inline void pass_ms(uint64_t ms)
{
    now_ns += ms * NS_PER_MS;
    run();
}

static inline void set_up(void)
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

static inline void tear_down(void)
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

static inline void add_peer(size_t from, const char *address)
{
    cr_assert_eq(sl_network_add_peer(devices[from].net, address, NULL), SYNCLINE_OK);
}

/* Raw connection `tag` to device 0, nothing said. */
static inline struct raw *raw_dial(uint64_t tag)
{
    cr_assert_eq(raw_transport->ops->dial(raw_transport, devices[0].address, tag, NULL),
                 SYNCLINE_OK);
    run();
    cr_assert_eq(raws[tag].opened, 1);
    return &raws[tag];
}

/* The same with a session. */
static inline struct raw *raw_session(uint64_t tag)
{
    struct sl_hello hello = hello_of((uint8_t)(0x40 + tag), "raw");
    struct raw *raw = raw_dial(tag);

    raw_hello(raw, &hello, false);
    run();
    cr_assert_eq(raw->counts[SL_FRAME_ERROR], 0, "%s", raw->error.text);
    return raw;
}

static inline void expect_sessions(size_t i, size_t expected)
{
    size_t len = 0;

    while (sl_network_session(devices[i].net, len) != NULL)
        len++;
    cr_assert_eq(len, expected, "device %zu has %zu sessions", i, len);
    cr_assert_eq(devices[i].ready - devices[i].closed, expected);
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

static inline void send_hex(struct raw *raw, const char *hex)
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

#endif
