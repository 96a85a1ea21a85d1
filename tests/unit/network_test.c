/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/unit/network_world.h"

TestSuite(network, .init = set_up, .fini = tear_down);

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

/* Membership entries arrive at the other side as they were given, and may be refused; each side
 * knows who dialled. */
Test(network, membership_entries_go_through)
{
    static const uint8_t entries[] = {4, 5, 6, 7};

    add_peer(0, "d1");
    run();
    cr_assert_eq(devices[0].arrival, SL_ARRIVAL_DIALLED);
    cr_assert_eq(devices[1].arrival, SL_ARRIVAL_CAME);
    cr_assert_eq(sl_session_send_members(devices[0].session, entries, 4), SYNCLINE_OK);
    run();
    cr_assert_eq(devices[1].members, 1);
    cr_assert(devices[1].members_size == 4 && devices[1].members_last == 7);
    cr_assert_eq(sl_session_send_members(devices[0].session, entries, 0), SYNCLINE_EINVAL);
    devices[1].member_status = SYNCLINE_EREFUSED;
    cr_assert_eq(sl_session_send_members(devices[0].session, entries, 4), SYNCLINE_OK);
    run();
    cr_assert_not_null(strstr(devices[0].notice, "members from nowhere"), "%s", devices[0].notice);
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
    cr_assert_eq(sl_session_send_roster(devices[0].session, hash, &entry, 1), SYNCLINE_OK);
    cr_assert_eq(sl_session_send_statement(devices[0].session, buf.data, buf.len), SYNCLINE_OK);
    run();
    cr_assert_arr_eq(devices[1].summary, hash, SL_HASH_SIZE);
    cr_assert_eq(devices[1].roster_len, 1);
    cr_assert_arr_eq(devices[1].roster_hash, hash, SL_HASH_SIZE);
    cr_assert_eq(devices[1].roster.device.bytes[0], 5);
    cr_assert(devices[1].roster.stated.epoch == 6 && devices[1].roster.stated.version == 7);
    cr_assert_eq(devices[1].statement_size, buf.len);
    cr_assert(devices[1].stated.epoch == 2 && devices[1].stated.version == 7);
    cr_assert_eq(sl_session_send_roster(devices[0].session, hash, &entry, SL_ROSTER_LEN_MAX + 1),
                 SYNCLINE_ETOOBIG);
    for (int round = 0; round < 3; round++) {
        devices[1].summary_status = SYNCLINE_EREFUSED;
        struct sl_session *session = devices[0].session;
        cr_assert_eq(round == 0   ? sl_session_send_summary(session, hash)
                     : round == 1 ? sl_session_send_roster(session, hash, &entry, 1)
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
    {"00000000 07 01 0000", "MEMBERS frame of 0 bytes"},
    {"01000000 08 01 0000 61", "SUMMARY frame is cut short"},
    {"04000000 09 01 0000 01000000", "a ROSTER frame of 4 bytes declares 0 devices"},
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
