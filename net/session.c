/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One connection, from the link that opened to the link that is gone.
 *
 *                        link opened: HELLO goes out
 *                                  |
 *                                  v
 *     +---------------------- CONNECTED ----------------------+
 *     |                         |    |                        |
 *     | refused, a bad frame,   |    | HELLO, admitted        | link gone, ERROR came,
 *     | or JOIN: ERROR or       |    v                        | deadline, lost the tie
 *     | WELCOME goes out        |  READY -------------------->+
 *     |                         |    |   link gone, ERROR came,|
 *     v                         |    |   lost the tie         |
 *   DRAINING <------------------+----+ sl_session_close,      |
 *     |                               a bad frame: ERROR      |
 *     | link gone, ERROR came, deadline                       |
 *     +-----------------------> CLOSED <----------------------+
 *
 * DRAINING is there because closing a link loses what is still on its way: who has said the last
 * word waits for the other side to close, throwing away whatever comes, and closes by itself at the
 * deadline. Who gets ERROR or WELCOME closes.
 *
 * What goes wrong: a peer that says nothing meets the deadline; one that sends rubbish, another
 * library's device, and ourselves get an ERROR that says why; a link that does not take what we
 * send, or memory that runs out, ends the connection without a word. An upcall may close its own
 * session: nothing is freed before the next reap, and the loop over frames looks at the state. */

#include "net/session.h"

#include <assert.h>
#include <string.h>

typedef enum syncline_status (*frame_fn)(struct sl_connection *connection,
                                         const struct sl_frame *frame, struct sl_error *err);

/* The arrows of the drawing. */
static const bool arrows[SL_CONNECTION_STATE_END][SL_CONNECTION_STATE_END] = {
    [SL_CONNECTION_CONNECTED] = {[SL_CONNECTION_READY] = true,
                                 [SL_CONNECTION_DRAINING] = true,
                                 [SL_CONNECTION_CLOSED] = true},
    [SL_CONNECTION_READY] = {[SL_CONNECTION_DRAINING] = true, [SL_CONNECTION_CLOSED] = true},
    [SL_CONNECTION_DRAINING] = {[SL_CONNECTION_CLOSED] = true},
};

static struct sl_connection *connection_of(struct sl_session *session)
{
    return (struct sl_connection *)session;
}

/* ---- States ------------------------------------------------------------------------------- */

static void enter(struct sl_connection *connection, enum sl_connection_state state)
{
    bool left_ready = connection->state == SL_CONNECTION_READY;
    bool is_drawn = arrows[connection->state][state];

    assert(is_drawn);
    (void)is_drawn; /* a release build asserts nothing */
    connection->state = state;
    if (left_ready)
        sl_network_withdraw(connection->session.net, connection);
}

static void set_deadline(struct sl_connection *connection)
{
    const struct sl_env *env = connection->session.net->env;

    connection->deadline_ns = env->mono_ns(env->ctx) + (uint64_t)SL_HANDSHAKE_MS_MAX * SL_NS_PER_MS;
}

static void leave_link(struct sl_connection *connection)
{
    connection->session.link = NULL;
    enter(connection, SL_CONNECTION_CLOSED);
    sl_network_unlink(connection->session.net, connection);
}

void sl_connection_end(struct sl_connection *connection)
{
    struct sl_link *link = connection->session.link;

    if (link == NULL)
        return;
    link->transport->ops->close(link);
    leave_link(connection);
}

void sl_connection_lost(struct sl_connection *connection)
{
    if (connection->state == SL_CONNECTION_CONNECTED)
        sl_network_notice(connection->session.net, connection->peer, NULL, SYNCLINE_ENET,
                          "closed the connection without saying hello");
    leave_link(connection);
}

void sl_connection_free(struct sl_connection *connection)
{
    assert(connection->session.link == NULL);
    sl_frame_decoder_fini(&connection->decoder);
    sl_free(connection->session.net->env->alloc, connection);
}

/* ---- Sending ------------------------------------------------------------------------------ */

static enum syncline_status send_bytes(struct sl_connection *connection, const void *data,
                                       size_t len)
{
    struct sl_link *link = connection->session.link;
    enum syncline_status status = link->transport->ops->send(link, data, len);

    if (status == SYNCLINE_OK)
        connection->session.net->counts.bytes_sent += len;
    return status;
}

/* `head` and `rest` are one frame. */
static enum syncline_status send_frame(struct sl_connection *connection, const void *head,
                                       size_t head_len, const void *rest, size_t rest_len)
{
    if (sl_session_queued(&connection->session) > SL_LINK_BACKLOG_MAX)
        return SYNCLINE_ENET;
    enum syncline_status status = send_bytes(connection, head, head_len);
    if (status == SYNCLINE_OK && rest_len > 0)
        status = send_bytes(connection, rest, rest_len);
    if (status == SYNCLINE_OK)
        connection->session.net->counts.frames_sent++;
    return status;
}

/* Sends the last frame, made or not, and waits for the other side to close. Frees the buffer. */
static void say_last(struct sl_connection *connection, enum syncline_status made,
                     struct sl_buf *buf)
{
    if (made == SYNCLINE_OK)
        made = send_frame(connection, buf->data, buf->len, NULL, 0);
    sl_buf_fini(buf);
    if (made != SYNCLINE_OK) {
        sl_connection_end(connection);
        return;
    }
    set_deadline(connection);
    enter(connection, SL_CONNECTION_DRAINING);
}

static void say_error(struct sl_connection *connection, enum syncline_status status,
                      const char *text)
{
    struct sl_buf buf;

    connection->was_refused = true;
    sl_buf_init(&buf, connection->session.net->env->alloc);
    say_last(connection, sl_frame_put_error(&buf, status, text), &buf);
}

static void fail(struct sl_connection *connection, enum syncline_status status, const char *text)
{
    sl_network_notice(connection->session.net, connection->peer,
                      connection->session.peer.device_name, status, "%s", text);
    say_error(connection, status, text);
}

enum syncline_status sl_connection_open(struct sl_network *net, struct sl_link *link,
                                        struct sl_peer *peer, struct sl_connection **out)
{
    struct sl_connection *connection = sl_calloc(net->env->alloc, 1, sizeof(*connection));
    struct sl_buf buf;

    if (connection == NULL)
        return SYNCLINE_ENOMEM;
    sl_buf_init(&buf, net->env->alloc);
    enum syncline_status status = sl_frame_put_hello(&buf, &net->self);
    connection->session.net = net;
    connection->session.link = link;
    connection->session.dialled = peer != NULL;
    connection->peer = peer;
    sl_frame_decoder_init(&connection->decoder, net->env->alloc, SL_FRAME_HANDSHAKE_MAX);
    set_deadline(connection);
    if (status == SYNCLINE_OK)
        status = send_frame(connection, buf.data, buf.len, NULL, 0);
    sl_buf_fini(&buf);
    if (status != SYNCLINE_OK) {
        sl_free(net->env->alloc, connection);
        return SYNCLINE_ENOMEM;
    }
    *out = connection;
    return SYNCLINE_OK;
}

/* ---- Receiving ---------------------------------------------------------------------------- */

/* The last group of a UUID: in version 7 the first groups are the time. */
static void short_form(const struct syncline_uuid *uuid, char text[37])
{
    sl_uuid_format(uuid, text);
    memmove(text, text + 24, 13);
}

/* Nobody may come with our own key. */
static enum syncline_status check_key(const struct sl_network *net, const struct sl_hello *hello,
                                      struct sl_error *err)
{
    if (memcmp(hello->public_key, net->self.public_key, SL_KEY_SIZE) != 0)
        return SYNCLINE_OK;
    return sl_fail(err, SYNCLINE_EREFUSED,
                   "both ends have the identity of \"%s\"; leave a device's own address out of its "
                   "peers, and never copy a library's folder to another device",
                   net->self.device_name);
}

static enum syncline_status check_library(const struct sl_network *net,
                                          const struct sl_hello *hello, struct sl_error *err)
{
    char ours[37];
    char theirs[37];

    if (sl_uuid_equal(&hello->library_id, &net->self.library_id))
        return SYNCLINE_OK;
    short_form(&net->self.library_id, ours);
    short_form(&hello->library_id, theirs);
    return sl_fail(err, SYNCLINE_EREFUSED,
                   "\"%s\" is of library %s and \"%s\" of library %s; connect devices of one "
                   "library",
                   net->self.device_name, ours, hello->device_name, theirs);
}

static enum syncline_status on_hello(struct sl_connection *connection, const struct sl_frame *frame,
                                     struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    struct sl_hello *hello = &connection->session.peer;
    enum syncline_status status = sl_frame_get_hello(frame, hello, err);

    if (status == SYNCLINE_OK)
        status = check_key(net, hello, err);
    if (status == SYNCLINE_OK)
        status = check_library(net, hello, err);
    if (status == SYNCLINE_OK)
        status = net->events->admit(
            net->ctx, hello, connection->session.dialled ? SL_ARRIVAL_DIALLED : SL_ARRIVAL_CAME,
            err);
    if (status != SYNCLINE_OK)
        return status;
    if (!sl_network_settle(net, connection)) {
        sl_connection_end(connection);
        return SYNCLINE_OK;
    }
    connection->decoder.size_max = SL_FRAME_SIZE_MAX;
    enter(connection, SL_CONNECTION_READY);
    sl_network_enlist(net, connection);
    return SYNCLINE_OK;
}

static enum syncline_status on_join(struct sl_connection *connection, const struct sl_frame *frame,
                                    struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    struct sl_hello *hello = &connection->session.peer;
    struct sl_welcome welcome;
    struct sl_buf buf;

    if (connection->session.dialled)
        return sl_fail(err, SYNCLINE_EPROTO, "JOIN from a device that was dialled");
    enum syncline_status status = sl_frame_get_join(frame, hello, err);
    if (status == SYNCLINE_OK)
        status = check_key(net, hello, err);
    if (status != SYNCLINE_OK)
        return status;
    hello->library_id = net->self.library_id;
    status = net->events->admit(net->ctx, hello, SL_ARRIVAL_JOINS, err);
    if (status != SYNCLINE_OK)
        return status;
    memset(&welcome, 0, sizeof(welcome));
    welcome.library_id = net->self.library_id;
    memcpy(welcome.library_name, net->library_name, sizeof(welcome.library_name));
    welcome.member = net->self;
    sl_buf_init(&buf, net->env->alloc);
    say_last(connection, sl_frame_put_welcome(&buf, &welcome), &buf);
    return SYNCLINE_OK;
}

static enum syncline_status on_vector(struct sl_connection *connection,
                                      const struct sl_frame *frame, struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    const struct sl_vector_entry *entries;
    size_t len;
    enum syncline_status status = sl_frame_get_vector(frame, &net->entries, &entries, &len, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->vector(net->ctx, &connection->session, entries, len, err);
}

static enum syncline_status on_segment(struct sl_connection *connection,
                                       const struct sl_frame *frame, struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    const uint8_t *data;
    size_t len;
    enum syncline_status status = sl_frame_get_segment(frame, &data, &len, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->segment(net->ctx, &connection->session, data, len, err);
}

static enum syncline_status on_members(struct sl_connection *connection,
                                       const struct sl_frame *frame, struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    const uint8_t *entries;
    size_t size;
    enum syncline_status status = sl_frame_get_members(frame, &entries, &size, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->members(net->ctx, &connection->session, entries, size, err);
}

static enum syncline_status on_summary(struct sl_connection *connection,
                                       const struct sl_frame *frame, struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    uint8_t hash[SL_HASH_SIZE];
    enum syncline_status status = sl_frame_get_summary(frame, hash, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->summary(net->ctx, &connection->session, hash, err);
}

static enum syncline_status on_roster(struct sl_connection *connection,
                                      const struct sl_frame *frame, struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    uint8_t members[SL_HASH_SIZE];
    struct sl_roster_entry entries[SL_ROSTER_LEN_MAX];
    size_t len = 0;
    enum syncline_status status = sl_frame_get_roster(frame, members, entries, &len, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->roster(net->ctx, &connection->session, members, entries, len, err);
}

static enum syncline_status on_statement(struct sl_connection *connection,
                                         const struct sl_frame *frame, struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    struct sl_statement statement;
    enum syncline_status status = sl_frame_get_statement(frame, &statement, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->statement(net->ctx, &connection->session, &statement, frame->payload,
                                  frame->len, err);
}

static enum syncline_status on_ask(struct sl_connection *connection, const struct sl_frame *frame,
                                   struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    struct sl_vector_entry entry;
    enum syncline_status status = sl_frame_get_ask(frame, &entry, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->ask(net->ctx, &connection->session, &entry, err);
}

static enum syncline_status on_floor(struct sl_connection *connection, const struct sl_frame *frame,
                                     struct sl_error *err)
{
    struct sl_network *net = connection->session.net;
    struct sl_segment segment;
    const uint8_t *end;
    enum syncline_status status = sl_frame_get_floor(frame, &segment, &end, err);

    if (status != SYNCLINE_OK)
        return status;
    return net->events->floor(net->ctx, &connection->session, &segment, end, err);
}

typedef enum syncline_status (*question_fn)(void *ctx, struct sl_session *session,
                                            const uint8_t *data, size_t len, struct sl_error *err);

/* A frame whose payload is for the stages to read. */
static enum syncline_status on_question(struct sl_connection *connection,
                                        const struct sl_frame *frame, question_fn take,
                                        struct sl_error *err)
{
    const uint8_t *data;
    size_t len;
    enum syncline_status status = sl_frame_get_question(frame, &data, &len, err);

    if (status != SYNCLINE_OK)
        return status;
    return take(connection->session.net->ctx, &connection->session, data, len, err);
}

static enum syncline_status on_query(struct sl_connection *connection, const struct sl_frame *frame,
                                     struct sl_error *err)
{
    return on_question(connection, frame, connection->session.net->events->query, err);
}

static enum syncline_status on_answer(struct sl_connection *connection,
                                      const struct sl_frame *frame, struct sl_error *err)
{
    return on_question(connection, frame, connection->session.net->events->answer, err);
}

static enum syncline_status on_snapshot_ask(struct sl_connection *connection,
                                            const struct sl_frame *frame, struct sl_error *err)
{
    return on_question(connection, frame, connection->session.net->events->snapshot_ask, err);
}

static enum syncline_status on_snapshot_cut(struct sl_connection *connection,
                                            const struct sl_frame *frame, struct sl_error *err)
{
    return on_question(connection, frame, connection->session.net->events->snapshot_cut, err);
}

static enum syncline_status on_snapshot_page(struct sl_connection *connection,
                                             const struct sl_frame *frame, struct sl_error *err)
{
    return on_question(connection, frame, connection->session.net->events->snapshot_page, err);
}

static enum syncline_status on_error(struct sl_connection *connection, const struct sl_frame *frame,
                                     struct sl_error *err)
{
    struct sl_error text;
    enum syncline_status told;
    enum syncline_status status = sl_frame_get_error(frame, &told, &text, err);

    if (status != SYNCLINE_OK)
        return status;
    sl_network_notice(connection->session.net, connection->peer,
                      connection->session.peer.device_name, told, "it refused: %s", text.text);
    connection->was_refused = true;
    sl_connection_end(connection);
    return SYNCLINE_OK;
}

/* We have said the last word; so has the other side. */
static enum syncline_status on_late_error(struct sl_connection *connection,
                                          const struct sl_frame *frame, struct sl_error *err)
{
    (void)frame;
    (void)err;
    sl_connection_end(connection);
    return SYNCLINE_OK;
}

static enum syncline_status on_late_frame(struct sl_connection *connection,
                                          const struct sl_frame *frame, struct sl_error *err)
{
    (void)connection;
    (void)frame;
    (void)err;
    return SYNCLINE_OK;
}

/* What may come in which state; nothing there: EPROTO. */
static const frame_fn handlers[SL_CONNECTION_STATE_END][SL_FRAME_TYPE_END] = {
    [SL_CONNECTION_CONNECTED] =
        {[SL_FRAME_HELLO] = on_hello, [SL_FRAME_JOIN] = on_join, [SL_FRAME_ERROR] = on_error},
    [SL_CONNECTION_READY] = {[SL_FRAME_VECTOR] = on_vector,
                             [SL_FRAME_SEGMENT] = on_segment,
                             [SL_FRAME_MEMBERS] = on_members,
                             [SL_FRAME_SUMMARY] = on_summary,
                             [SL_FRAME_ROSTER] = on_roster,
                             [SL_FRAME_STATEMENT] = on_statement,
                             [SL_FRAME_ASK] = on_ask,
                             [SL_FRAME_QUERY] = on_query,
                             [SL_FRAME_ANSWER] = on_answer,
                             [SL_FRAME_FLOOR] = on_floor,
                             [SL_FRAME_SNAPSHOT_ASK] = on_snapshot_ask,
                             [SL_FRAME_SNAPSHOT_CUT] = on_snapshot_cut,
                             [SL_FRAME_SNAPSHOT_PAGE] = on_snapshot_page,
                             [SL_FRAME_ERROR] = on_error},
    [SL_CONNECTION_DRAINING] = {[SL_FRAME_HELLO] = on_late_frame,
                                [SL_FRAME_VECTOR] = on_late_frame,
                                [SL_FRAME_SEGMENT] = on_late_frame,
                                [SL_FRAME_ERROR] = on_late_error,
                                [SL_FRAME_JOIN] = on_late_frame,
                                [SL_FRAME_WELCOME] = on_late_frame,
                                [SL_FRAME_MEMBERS] = on_late_frame,
                                [SL_FRAME_SUMMARY] = on_late_frame,
                                [SL_FRAME_ROSTER] = on_late_frame,
                                [SL_FRAME_STATEMENT] = on_late_frame,
                                [SL_FRAME_ASK] = on_late_frame,
                                [SL_FRAME_QUERY] = on_late_frame,
                                [SL_FRAME_ANSWER] = on_late_frame,
                                [SL_FRAME_FLOOR] = on_late_frame,
                                [SL_FRAME_SNAPSHOT_ASK] = on_late_frame,
                                [SL_FRAME_SNAPSHOT_CUT] = on_late_frame,
                                [SL_FRAME_SNAPSHOT_PAGE] = on_late_frame},
};

static enum syncline_status handle(struct sl_connection *connection, const struct sl_frame *frame,
                                   struct sl_error *err)
{
    frame_fn handler = handlers[connection->state][frame->type];

    connection->session.net->counts.frames_received++;
    if (handler != NULL)
        return handler(connection, frame, err);
    return sl_fail(err, SYNCLINE_EPROTO, "a %s frame came %s the handshake",
                   sl_frame_type_name(frame->type),
                   connection->state == SL_CONNECTION_READY ? "after" : "before");
}

void sl_connection_received(struct sl_connection *connection, const uint8_t *data, size_t len)
{
    connection->session.net->counts.bytes_received += len;
    while (connection->session.link != NULL) {
        struct sl_frame frame;
        struct sl_error err = {0};
        enum syncline_status status =
            sl_frame_decoder_next(&connection->decoder, &data, &len, &frame, &err);
        if (status == SYNCLINE_AGAIN)
            return;
        bool is_lost = status != SYNCLINE_OK; /* the stream; nothing follows */
        if (!is_lost)
            status = handle(connection, &frame, &err);
        bool is_draining = connection->state == SL_CONNECTION_DRAINING;
        if (status != SYNCLINE_OK && connection->session.link != NULL && !is_draining)
            fail(connection, status, err.text[0] != '\0' ? err.text : syncline_status_text(status));
        if (is_lost)
            return;
    }
}

/* ---- The engine's calls ------------------------------------------------------------------- */

/* The network's buffer for the next frame, or NULL: nothing can be sent any more. */
static struct sl_buf *begin_frame(struct sl_session *session)
{
    if (connection_of(session)->state != SL_CONNECTION_READY)
        return NULL;
    sl_buf_clear(&session->net->out);
    return &session->net->out;
}

/* Sends what was put into it, if that went well. */
static enum syncline_status end_frame(struct sl_session *session, enum syncline_status put)
{
    const struct sl_buf *buf = &session->net->out;

    if (put != SYNCLINE_OK)
        return put;
    return send_frame(connection_of(session), buf->data, buf->len, NULL, 0);
}

enum syncline_status sl_session_send_vector(struct sl_session *session,
                                            const struct sl_vector_entry *entries, size_t len)
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_vector(buf, entries, len));
}

enum syncline_status sl_session_send_members(struct sl_session *session, const void *entries,
                                             size_t size)
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_members(buf, entries, size));
}

enum syncline_status sl_session_send_summary(struct sl_session *session,
                                             const uint8_t hash[SL_HASH_SIZE])
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_summary(buf, hash));
}

enum syncline_status sl_session_send_roster(struct sl_session *session,
                                            const uint8_t members[SL_HASH_SIZE],
                                            const struct sl_roster_entry *entries, size_t len)
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_roster(buf, members, entries, len));
}

enum syncline_status sl_session_send_statement(struct sl_session *session, const uint8_t *data,
                                               size_t len)
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_statement(buf, data, len));
}

enum syncline_status sl_session_send_ask(struct sl_session *session,
                                         const struct sl_vector_entry *entry)
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_ask(buf, entry));
}

enum syncline_status sl_session_send_floor(struct sl_session *session,
                                           const uint8_t end[SL_SEGMENT_END_SIZE])
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_floor(buf, end));
}

static enum syncline_status send_question(struct sl_session *session, enum sl_frame_type type,
                                          const void *data, size_t len)
{
    struct sl_buf *buf = begin_frame(session);

    if (buf == NULL)
        return SYNCLINE_ENET;
    return end_frame(session, sl_frame_put_question(buf, type, data, len));
}

enum syncline_status sl_session_send_query(struct sl_session *session, const void *data, size_t len)
{
    return send_question(session, SL_FRAME_QUERY, data, len);
}

enum syncline_status sl_session_send_answer(struct sl_session *session, const void *data,
                                            size_t len)
{
    return send_question(session, SL_FRAME_ANSWER, data, len);
}

enum syncline_status sl_session_send_snapshot_ask(struct sl_session *session, const void *data,
                                                  size_t len)
{
    return send_question(session, SL_FRAME_SNAPSHOT_ASK, data, len);
}

enum syncline_status sl_session_send_snapshot_cut(struct sl_session *session, const void *data,
                                                  size_t len)
{
    return send_question(session, SL_FRAME_SNAPSHOT_CUT, data, len);
}

enum syncline_status sl_session_send_snapshot_page(struct sl_session *session, const void *data,
                                                   size_t len)
{
    return send_question(session, SL_FRAME_SNAPSHOT_PAGE, data, len);
}

enum syncline_status sl_session_send_segment(struct sl_session *session, const uint8_t *data,
                                             size_t len)
{
    struct sl_connection *connection = connection_of(session);
    uint8_t header[SL_FRAME_HEADER_SIZE];

    if (connection->state != SL_CONNECTION_READY)
        return SYNCLINE_ENET;
    enum syncline_status status = sl_frame_put_segment_header(header, len);
    if (status != SYNCLINE_OK)
        return status;
    return send_frame(connection, header, sizeof(header), data, len);
}

size_t sl_session_queued(const struct sl_session *session)
{
    struct sl_link *link = session->link;

    return link == NULL ? 0 : link->transport->ops->queued(link);
}

void sl_session_close(struct sl_session *session, enum syncline_status status, const char *text)
{
    struct sl_connection *connection = connection_of(session);

    if (connection->state == SL_CONNECTION_READY)
        say_error(connection, status, text);
}
