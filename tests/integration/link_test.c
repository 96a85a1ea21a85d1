/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What goes over a link, frame by frame: libraries whose stages are stepped by hand over the
 * in-process transport, on real files; and a member that says what a test wants. */

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/membership_entry.h"
#include "net/frame.h"
#include "net/transport_local.h"
#include "pipeline/library_view.h"
#include "stages/members.h"

#define DEVICES 4
#define ROUNDS_MAX 200000 /* far more than it takes: a bound, not a time */

struct note {
    int64_t id;
    struct syncline_uuid uuid;
    const char *text;
};

static const struct syncline_field note_fields[] = {SYNCLINE_ID(struct note, id),
                                                    SYNCLINE_UUID(struct note, uuid),
                                                    SYNCLINE_TEXT(struct note, text)};
static const struct syncline_model note_model =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct note, note_fields);
static const struct syncline_model *const models[] = {&note_model};

struct device {
    char name[72];
    char library_db[128];
    char sync_db[128];
    const char *peer;
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_library *library;
    sqlite3 *db;
};

/* A member without an engine. */
struct raw {
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_link *link; /* NULL: none */
    struct sl_frame_decoder decoder;
    unsigned counts[SL_FRAME_TYPE_END]; /* frames that came */
    enum syncline_status error_status;
    struct sl_error error; /* of the last ERROR */
    struct sl_vector_entry vector[8];
    size_t vector_len; /* of the last VECTOR */
    uint8_t segment[4096];
    size_t segment_size;        /* of the last SEGMENT */
    struct sl_vector_entry ask; /* the last ASK */
    uint64_t entries;           /* of the membership log that it has made */
};

static char folder[64];
static struct sl_error err;
static struct sl_local_hub *hub;
static struct syncline_uuid library_id;
static struct device devices[DEVICES];
static struct raw raw;

static void sql(sqlite3 *db, const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static int64_t number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

/* ---- Devices ---- */

static struct sl_library_config config_of(struct device *device)
{
    return (struct sl_library_config){.env = sl_env_posix(),
                                      .library_db = device->library_db,
                                      .sync_db = device->sync_db,
                                      .identity = &device->identity,
                                      .models = models,
                                      .models_count = 1,
                                      .transport = device->transport,
                                      .listen = device->name,
                                      .peers = &device->peer,
                                      .peers_count = device->peer != NULL ? 1 : 0,
                                      .engine = true};
}

static void open_engine(struct device *device)
{
    cr_assert_eq(sl_transport_local_new(hub, &device->transport), SYNCLINE_OK);
    struct sl_library_config config = config_of(device);
    cr_assert_eq(sl_library_open(&config, &device->library, &err), SYNCLINE_OK, "%s", err.text);
}

static void close_engine(struct device *device)
{
    sl_library_close(device->library);
    device->library = NULL;
    device->transport->ops->free(device->transport);
    device->transport = NULL;
}

/* Device `i`, new; it dials `peer` unless that is NULL. */
static struct device *add_device(size_t i, const char *name, const char *peer)
{
    struct device *device = &devices[i];
    (void)snprintf(device->name, sizeof(device->name), "%s", name);
    (void)snprintf(device->library_db, sizeof(device->library_db), "%s/%zu.db", folder, i);
    (void)snprintf(device->sync_db, sizeof(device->sync_db), "%s/%zu-sync.db", folder, i);
    device->peer = peer;
    cr_assert_eq(sl_identity_new(sl_env_posix(), &device->identity, &err), SYNCLINE_OK);
    struct sl_library_config config = config_of(device);
    cr_assert_eq(sl_library_create(&config, &library_id, "Notes", name, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    sql(device->db, "CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                    " text TEXT)");
    open_engine(device);
    return device;
}

static bool step_all(void)
{
    bool worked = false;
    for (size_t d = 0; d < DEVICES; d++) {
        for (size_t i = 0;
             devices[d].library != NULL && i < sl_library_stage_count(devices[d].library); i++) {
            worked = sl_library_step(devices[d].library, i) || worked;
        }
        if (devices[d].library != NULL) {
            sl_library_poll(devices[d].library, 0);
        }
    }
    if (raw.transport != NULL) {
        raw.transport->ops->poll(raw.transport, 0);
    }
    return worked;
}

#define RUN_UNTIL(condition_)                                                                      \
    do {                                                                                           \
        int round_ = 0;                                                                            \
        while (!(condition_)) {                                                                    \
            cr_assert_lt(round_++, ROUNDS_MAX, "in vain: %s", #condition_);                        \
            (void)step_all();                                                                      \
        }                                                                                          \
    } while (0)

/* Until nothing has moved for a while, statements that wait for their time included. */
static void run_to_rest(void)
{
    const struct sl_env *env = sl_env_posix();
    uint64_t since_ns = env->mono_ns(env->ctx);
    while (env->mono_ns(env->ctx) - since_ns < UINT64_C(5000000) * SL_STATEMENT_MS) {
        if (step_all()) {
            since_ns = env->mono_ns(env->ctx);
        }
    }
}

static void insert_notes(struct device *device, size_t n)
{
    static struct note notes[1000];
    static struct syncline_uuid uuids[1000];
    cr_assert(n <= 1000 && syncline_uuid_new(uuids, n) == SYNCLINE_OK);
    sqlite3_stmt *stmt = NULL;
    sql(device->db, "BEGIN IMMEDIATE");
    cr_assert_eq(sqlite3_prepare_v2(device->db, "INSERT INTO notes(uuid,text) VALUES(?1,?2)", -1,
                                    &stmt, NULL),
                 SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        notes[i] = (struct note){.uuid = uuids[i], .text = device->name};
        sqlite3_bind_blob(stmt, 1, &uuids[i], sizeof(uuids[i]), SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, notes[i].text, -1, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        notes[i].id = sqlite3_last_insert_rowid(device->db);
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    cr_assert_eq(sl_library_capture(device->library, &note_model, notes, n, SYNCLINE_INSERT,
                                    device->db, 0, &err),
                 SYNCLINE_OK, "%s", err.text);
    sql(device->db, "COMMIT");
}

static struct sl_core *core_of(struct device *device)
{
    return sl_library_core(device->library);
}

static struct sl_member *known(struct device *device, const struct sl_identity *who)
{
    struct sl_member_state *member = sl_core_member(core_of(device), &who->device_id);
    return member == NULL ? NULL : &member->known;
}

/* ---- The member without an engine ---- */

static void raw_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    (void)ctx;
    (void)dial_tag;
    raw.link = link;
    sl_frame_decoder_fini(&raw.decoder);
    sl_frame_decoder_init(&raw.decoder, &sl_allocator_libc, SL_FRAME_SIZE_MAX);
    memset(raw.counts, 0, sizeof(raw.counts));
    raw.error.text[0] = '\0';
}

static void take_frame(const struct sl_frame *frame)
{
    const struct sl_vector_entry *entries = NULL;
    struct sl_buf memory;
    raw.counts[frame->type]++;
    if (frame->type == SL_FRAME_ERROR) {
        cr_assert_eq(sl_frame_get_error(frame, &raw.error_status, &raw.error, &err), SYNCLINE_OK);
    }
    if (frame->type == SL_FRAME_SEGMENT && frame->len <= sizeof(raw.segment)) {
        memcpy(raw.segment, frame->payload, frame->len);
        raw.segment_size = frame->len;
    }
    if (frame->type == SL_FRAME_ASK) {
        cr_assert_eq(sl_frame_get_ask(frame, &raw.ask, &err), SYNCLINE_OK);
    }
    if (frame->type == SL_FRAME_VECTOR) {
        sl_buf_init(&memory, &sl_allocator_libc);
        cr_assert_eq(sl_frame_get_vector(frame, &memory, &entries, &raw.vector_len, &err),
                     SYNCLINE_OK);
        for (size_t i = 0; i < raw.vector_len && i < 8; i++) {
            raw.vector[i] = entries[i];
        }
        sl_buf_fini(&memory);
    }
}

static void raw_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    struct sl_frame frame;
    (void)ctx;
    (void)link;
    while (sl_frame_decoder_next(&raw.decoder, &data, &len, &frame, &err) == SYNCLINE_OK) {
        take_frame(&frame);
    }
}

static void raw_closed(void *ctx, struct sl_link *link)
{
    (void)ctx;
    (void)link;
    raw.link = NULL;
}

static void raw_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    (void)ctx;
    (void)dial_tag;
    cr_assert_fail("%s", reason);
}

static const struct sl_transport_events raw_events = {.opened = raw_opened,
                                                      .received = raw_received,
                                                      .closed = raw_closed,
                                                      .dial_failed = raw_dial_failed};

static void send_buf(struct sl_buf *buf)
{
    cr_assert(!buf->failed && raw.link != NULL);
    cr_assert_eq(raw.transport->ops->send(raw.link, buf->data, buf->len), SYNCLINE_OK);
    sl_buf_fini(buf);
    sl_buf_init(buf, &sl_allocator_libc);
}

static struct sl_hello hello_of(const struct sl_identity *identity, const char *name)
{
    struct sl_hello hello = {.library_id = library_id, .device_id = identity->device_id};
    memcpy(hello.public_key, identity->public_key, sizeof(hello.public_key));
    (void)snprintf(hello.device_name, sizeof(hello.device_name), "%s", name);
    return hello;
}

/* Says HELLO to device 0 and nothing else. */
static void raw_connect(void)
{
    struct sl_buf buf;
    if (raw.link != NULL) {
        raw.link->transport->ops->close(raw.link);
        raw.link = NULL;
    }
    cr_assert_eq(raw.transport->ops->dial(raw.transport, devices[0].name, 1, &err), SYNCLINE_OK);
    RUN_UNTIL(raw.link != NULL);
    struct sl_hello hello = hello_of(&raw.identity, "raw");
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_hello(&buf, &hello), SYNCLINE_OK);
    send_buf(&buf);
    RUN_UNTIL(raw.counts[SL_FRAME_SUMMARY] == 1);
}

/* And all that comes before segments: it has those entries, and knows nobody. */
static void raw_meet(const struct sl_vector_entry *entries, size_t len)
{
    static const uint8_t another[SL_HASH_SIZE];
    struct sl_buf buf;
    raw_connect();
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_summary(&buf, another), SYNCLINE_OK);
    cr_assert_eq(sl_frame_put_roster(&buf, another, NULL, 0), SYNCLINE_OK);
    cr_assert_eq(sl_frame_put_vector(&buf, entries, len), SYNCLINE_OK);
    send_buf(&buf);
    RUN_UNTIL(raw.counts[SL_FRAME_VECTOR] > 0);
    (void)step_all();
    (void)step_all();
}

static void raw_send_segment(const void *data, size_t size)
{
    uint8_t header[SL_FRAME_HEADER_SIZE];
    struct sl_buf buf;
    cr_assert_eq(sl_frame_put_segment_header(header, size), SYNCLINE_OK);
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_buf_bytes(&buf, header, sizeof(header));
    sl_buf_bytes(&buf, data, size);
    send_buf(&buf);
}

/* A membership entry by that device, onto the others that are to go with it. */
static void raw_pack_entry(const struct sl_identity *by, struct sl_membership_word *word,
                           struct sl_buf *packed)
{
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    struct sl_signer *signer = NULL;
    struct sl_membership_entry parsed = {.hash = {0}};
    struct sl_buf entry;
    sl_buf_init(&entry, &sl_allocator_libc);
    word->author_key = by->public_key;
    word->wall_ms = ++raw.entries; /* of two the later one is said later */
    cr_assert_eq(sl_membership_put(&entry, word), SYNCLINE_OK);
    (void)sl_membership_parse(&parsed, hasher, &library_id, entry.data, entry.len, &err);
    cr_assert_eq(sl_signer_new(&sl_allocator_libc, by, &signer), SYNCLINE_OK);
    cr_assert_eq(sl_sign(signer, parsed.hash, SL_HASH_SIZE, entry.data + 32), SYNCLINE_OK);
    sl_membership_pack(packed, entry.data, entry.len);
    sl_buf_fini(&entry);
    sl_signer_free(signer);
    sl_hasher_free(hasher);
}

static void raw_send_packed(struct sl_buf *packed)
{
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_members(&buf, packed->data, packed->len), SYNCLINE_OK);
    send_buf(&buf);
    sl_buf_fini(packed);
}

static void raw_send_entry(const struct sl_identity *by, struct sl_membership_word *word)
{
    struct sl_buf packed;
    sl_buf_init(&packed, &sl_allocator_libc);
    raw_pack_entry(by, word, &packed);
    raw_send_packed(&packed);
}

/* It lets that device in. */
static void raw_send_member(const struct sl_identity *identity, const char *name)
{
    struct sl_membership_word word = {
        .kind = SL_MEMBERSHIP_ADMIT, .key = identity->public_key, .name = name};
    raw_send_entry(&raw.identity, &word);
}

/* A statement of `author`, signed by `signer`. */
static void raw_send_statement(const struct sl_identity *author, const struct sl_identity *by,
                               const struct sl_vector_entry *entries, size_t len)
{
    struct sl_origin origin = {.device = author->device_id, .epoch = 1};
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    struct sl_signer *signer = NULL;
    uint8_t hash[SL_HASH_SIZE];
    struct sl_buf statement;
    struct sl_buf buf;
    sl_buf_init(&statement, &sl_allocator_libc);
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_statement_put(&statement, &origin, entries, len), SYNCLINE_OK);
    cr_assert_eq(sl_statement_hash(hasher, &library_id, statement.data, statement.len, hash),
                 SYNCLINE_OK);
    cr_assert_eq(sl_signer_new(&sl_allocator_libc, by, &signer), SYNCLINE_OK);
    cr_assert_eq(sl_sign(signer, hash, sizeof(hash), statement.data + 24), SYNCLINE_OK);
    cr_assert_eq(sl_frame_put_statement(&buf, statement.data, statement.len), SYNCLINE_OK);
    send_buf(&buf);
    sl_signer_free(signer);
    sl_hasher_free(hasher);
    sl_buf_fini(&statement);
}

static void expect_refused(const char *says)
{
    RUN_UNTIL(raw.counts[SL_FRAME_ERROR] == 1);
    cr_expect_not_null(strstr(raw.error.text, says), "\"%s\" is not in: %s", says, raw.error.text);
}

/* What the last notice of the device says. */
static void expect_notice(struct device *device, const char *says)
{
    struct sl_error notice;
    RUN_UNTIL((sl_library_health(device->library, &notice), strstr(notice.text, says) != NULL));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void set_up(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-link-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(syncline_uuid_new(&library_id, 1), SYNCLINE_OK);
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &hub), SYNCLINE_OK);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &raw.identity, &err), SYNCLINE_OK);
    cr_assert_eq(sl_transport_local_new(hub, &raw.transport), SYNCLINE_OK);
    raw.transport->ops->set_events(raw.transport, &raw_events, NULL);
}

static void tear_down(void)
{
    for (size_t i = 0; i < DEVICES; i++) {
        if (devices[i].library != NULL) {
            close_engine(&devices[i]);
        }
        cr_assert_eq(sqlite3_close(devices[i].db), SQLITE_OK);
    }
    raw.transport->ops->free(raw.transport);
    sl_frame_decoder_fini(&raw.decoder);
    sl_local_hub_free(hub);
    cr_assert_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(link, .init = set_up, .fini = tear_down, .timeout = 120);

/* ---- Meeting ---- */

static bool is_linked(struct device *device)
{
    return sl_network_session(core_of(device)->network, 0) != NULL;
}

/* Two that have nothing to tell each other say so with HELLO and one frame each: one way there and
 * one back, less than 400 bytes, whatever the size of the library - and of three devices just so.
 */
Test(link, nothing_new_is_said_shortly)
{
    char name[64];
    memset(name, 'n', sizeof(name));
    name[63] = '\0';
    struct device *a = add_device(0, name, NULL);
    struct device *b = add_device(1, "the device b", name);
    struct device *c = add_device(2, "the device c", "the device b");
    for (int i = 0; i < 20; i++) {
        insert_notes(a, 500);
        insert_notes(b, 3);
        insert_notes(c, 7);
    }
    RUN_UNTIL(number(a->db, "SELECT count(*) FROM notes") == 10200 &&
              number(b->db, "SELECT count(*) FROM notes") == 10200 &&
              number(c->db, "SELECT count(*) FROM notes") == 10200);
    run_to_rest();
    for (int round = 0; round < 2; round++) {
        struct sl_network_counts before = sl_network_counts(core_of(a)->network);
        close_engine(b);
        RUN_UNTIL(!is_linked(a));
        b->peer = round == 0 ? name : NULL;
        a->peer = NULL;
        open_engine(b); /* C dials B */
        if (round == 1) {
            close_engine(a);
            a->peer = "the device b";
            before = (struct sl_network_counts){0};
            open_engine(a);
        }
        RUN_UNTIL(is_linked(a) && is_linked(b));
        run_to_rest();
        struct sl_network_counts after = sl_network_counts(core_of(a)->network);
        cr_expect_eq(after.frames_sent - before.frames_sent, 2);
        cr_expect_eq(after.frames_received - before.frames_received, 2);
        uint64_t bytes =
            after.bytes_sent - before.bytes_sent + after.bytes_received - before.bytes_received;
        cr_expect_lt(bytes, 400, "%llu bytes", (unsigned long long)bytes);
    }
    /* And they go on from there. */
    insert_notes(a, 1);
    insert_notes(c, 1);
    RUN_UNTIL(number(a->db, "SELECT count(*) FROM notes") == 10202 &&
              number(c->db, "SELECT count(*) FROM notes") == 10202);
}

/* Devices at rest say nothing. */
Test(link, at_rest_nothing_is_sent)
{
    struct device *a = add_device(0, "a", NULL);
    struct device *b = add_device(1, "b", "a");
    struct device *c = add_device(2, "c", "b");
    insert_notes(a, 10);
    insert_notes(c, 10);
    RUN_UNTIL(number(c->db, "SELECT count(*) FROM notes") == 20 &&
              number(a->db, "SELECT count(*) FROM notes") == 20);
    run_to_rest();
    uint64_t sent = sl_network_counts(core_of(b)->network).frames_sent;
    run_to_rest();
    cr_expect_eq(sl_network_counts(core_of(b)->network).frames_sent, sent);
}

/* Who has not been told what the other has, tells it nothing else; what comes out of order ends the
 * session, by name. */
Test(link, order)
{
    static const uint8_t another[SL_HASH_SIZE];
    struct sl_buf buf;
    struct device *a = add_device(0, "a", NULL);
    insert_notes(a, 1);
    sl_buf_init(&buf, &sl_allocator_libc);
    for (int round = 0; round < 6; round++) {
        static const char *const says[] = {"VECTOR", "ROSTER",  "SEGMENT",
                                           "VECTOR", "SUMMARY", "ROSTER"};
        raw_connect();
        cr_assert_eq(raw.counts[SL_FRAME_VECTOR] + raw.counts[SL_FRAME_SEGMENT], 0);
        if (round >= 3) {
            cr_assert_eq(sl_frame_put_summary(&buf, another), SYNCLINE_OK);
        }
        if (round >= 5) {
            cr_assert_eq(sl_frame_put_roster(&buf, another, NULL, 0), SYNCLINE_OK);
        }
        if (round == 0 || round == 3) {
            cr_assert_eq(sl_frame_put_vector(&buf, NULL, 0), SYNCLINE_OK);
        } else if (round == 1 || round == 5) {
            cr_assert_eq(sl_frame_put_roster(&buf, another, NULL, 0), SYNCLINE_OK);
        } else if (round == 4) {
            cr_assert_eq(sl_frame_put_summary(&buf, another), SYNCLINE_OK);
        }
        if (round == 2) {
            raw_send_segment("x", 1);
        } else {
            send_buf(&buf);
        }
        expect_refused("frame came out of order");
        expect_refused(says[round]);
        cr_assert_eq(raw.counts[SL_FRAME_SEGMENT], 0);
    }
    raw_meet(NULL, 0);
    RUN_UNTIL(raw.counts[SL_FRAME_SEGMENT] == 1);
}

/* ---- Who is a member ---- */

/* A member may let others in, up to the limit, but not itself. */
Test(link, introductions)
{
    struct sl_identity third[SL_MEMBER_COUNT_MAX];
    struct device *a = add_device(0, "a", NULL);
    raw_meet(NULL, 0);
    raw_send_member(&raw.identity, "raw");
    expect_refused("lets in or revokes itself");
    raw_meet(NULL, 0);
    raw_send_member(&a->identity, "a"); /* which is nothing new */
    for (size_t i = 0; i < SL_MEMBER_COUNT_MAX; i++) {
        cr_assert_eq(sl_identity_new(sl_env_posix(), &third[i], &err), SYNCLINE_OK);
        raw_send_member(&third[i], "third");
        raw_send_member(&third[i], "again");
    }
    expect_notice(a, "\"third\" is let in, and there is no room for it here");
    cr_expect_eq(core_of(a)->member_count, SL_MEMBER_COUNT_MAX);
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0);
    cr_expect_null(known(a, &third[SL_MEMBER_COUNT_MAX - 1]));
    cr_expect_str_eq(known(a, &third[0])->name, "third");
    cr_expect(sl_uuid_equal(&known(a, &third[0])->introduced_by, &raw.identity.device_id));
    raw_send_statement(&third[SL_MEMBER_COUNT_MAX - 1], &third[0], NULL, 0); /* unknown: nothing */
    close_engine(a);
    open_engine(a);
    cr_expect(sl_uuid_equal(&known(a, &third[0])->introduced_by, &raw.identity.device_id));
    cr_expect_eq(core_of(a)->member_count, SL_MEMBER_COUNT_MAX);
}

/* ---- What members state ---- */

/* What A's own log ends with, as somebody who has all of it says. */
static struct sl_vector_entry all_of(struct device *a)
{
    struct sl_log_head head = sl_core_head(core_of(a), core_of(a)->origins[0]);
    struct sl_vector_entry entry = {
        .origin = head.origin, .held_seq = head.held_seq, .applied_seq = head.held_seq};
    memcpy(entry.held_hash, head.held_hash, SL_HASH_SIZE);
    return entry;
}

/* What a member that is not met has stated counts as its word, as far as its signature is its own
 * and it is later than what is known; it is durable, and passed on. */
Test(link, statements)
{
    struct sl_identity third;
    struct device *a = add_device(0, "a", NULL);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &third, &err), SYNCLINE_OK);
    insert_notes(a, 5);
    raw_meet(NULL, 0);
    RUN_UNTIL(raw.counts[SL_FRAME_SEGMENT] == 1);
    struct sl_vector_entry entry = all_of(a);

    raw_send_member(&third, "third");
    raw_send_statement(&third, &raw.identity, &entry, 1);
    expect_refused("the signature of a statement of \"third\" is not its own");
    cr_expect_eq(known(a, &third)->acked_seq, 0);

    raw_meet(NULL, 0);
    struct sl_vector_entry three = {.origin = entry.origin, .held_seq = 3, .applied_seq = 3};
    raw_send_statement(&third, &third, &three, 1); /* no segment ends there */
    expect_notice(a, "\"third\", whom this device does not meet: its copy of this device's log");
    struct sl_vector_entry more = entry;
    more.held_seq += 1;
    raw_send_statement(&third, &third, &more, 1);
    expect_notice(a, "\"third\", whom this device does not meet: it holds 6 changes");
    cr_expect_eq(known(a, &third)->acked_seq, 0);
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);

    struct sl_vector_entry two[2] = {entry, {.origin = {.device = third.device_id, .epoch = 1}}};
    two[0].applied_seq = 4;
    two[1].held_seq = two[1].applied_seq = 9;
    raw_send_statement(&third, &third, two, 2);
    RUN_UNTIL(known(a, &third)->acked_seq == 5);
    cr_expect_eq(known(a, &third)->applied_seq, 4);
    cr_expect_eq(known(a, &third)->announced_seq, 9);
    two[0].applied_seq = 2;
    raw_send_statement(&third, &third, two, 2); /* an earlier one: nothing */
    raw_send_statement(&a->identity, &a->identity, two, 2);
    run_to_rest();
    cr_expect_eq(known(a, &third)->applied_seq, 4);
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);
    cr_expect_eq(raw.counts[SL_FRAME_STATEMENT], 1, "A's own, and none back");

    close_engine(a);
    open_engine(a);
    cr_expect_eq(known(a, &third)->acked_seq, 5);
    cr_expect_eq(known(a, &third)->applied_seq, 4);
    raw_meet(NULL, 0); /* which says that it knows nothing of the third */
    RUN_UNTIL(raw.counts[SL_FRAME_STATEMENT] == 2 && raw.counts[SL_FRAME_MEMBERS] == 1);

    close_engine(a);
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(a->sync_db, &log), SQLITE_OK);
    sql(log, "UPDATE member SET statement=substr(statement,1,40)");
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    cr_assert_eq(sl_transport_local_new(hub, &a->transport), SYNCLINE_OK);
    struct sl_library_config config = config_of(a);
    cr_expect_eq(sl_library_open(&config, &a->library, &err), SYNCLINE_ECORRUPT);
    cr_expect_not_null(strstr(err.text, "the statement of"), "%s", err.text);
    a->library = NULL;
    a->transport->ops->free(a->transport);
}

/* ---- Gaps and forks ---- */

/* A segment of a device: what stands in it nobody reads before it is applied. */
struct made {
    struct sl_segment segment;
    uint8_t bytes[SL_SEGMENT_HEADER_SIZE + 1];
    uint8_t hash[SL_HASH_SIZE];
};

static struct made make_segment(const struct sl_identity *author, const struct sl_identity *by,
                                const struct made *before, uint64_t first_seq, uint32_t len,
                                uint8_t body)
{
    struct made made = {.bytes = {0}};
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    struct sl_signer *signer = NULL;
    struct sl_segment segment = {.library_id = library_id,
                                 .origin = {.device = author->device_id, .epoch = 1},
                                 .first_seq = first_seq,
                                 .len = len,
                                 .raw_size = 1,
                                 .first_hlc = first_seq,
                                 .last_hlc = first_seq + len - 1};
    if (before != NULL) {
        memcpy(segment.prev_hash, before->hash, SL_HASH_SIZE);
    } else {
        cr_assert_eq(sl_origin_hash(hasher, &library_id, &segment.origin, segment.prev_hash),
                     SYNCLINE_OK);
    }
    sl_segment_encode_header(&segment, made.bytes);
    made.bytes[SL_SEGMENT_HEADER_SIZE] = body;
    cr_assert_eq(
        sl_segment_hash(hasher, made.bytes, made.bytes + SL_SEGMENT_HEADER_SIZE, 1, made.hash),
        SYNCLINE_OK);
    cr_assert_eq(sl_signer_new(&sl_allocator_libc, by, &signer), SYNCLINE_OK);
    cr_assert_eq(sl_sign(signer, made.hash, SL_HASH_SIZE, segment.signature), SYNCLINE_OK);
    sl_segment_encode_header(&segment, made.bytes);
    sl_signer_free(signer);
    sl_hasher_free(hasher);
    made.segment = segment;
    return made;
}

static void send_made(const struct made *made)
{
    raw_send_segment(made->bytes, sizeof(made->bytes));
}

/* How far A's log of the device goes. */
static uint64_t held_of(struct device *a, const struct sl_identity *author)
{
    struct sl_origin origin = {.device = author->device_id, .epoch = 1};
    const struct sl_origin_state *state = sl_core_origin(core_of(a), &origin);
    return state == NULL ? 0 : sl_core_held(core_of(a), state);
}

static int64_t in_log(struct device *a, const char *text)
{
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(a->sync_db, &log), SQLITE_OK);
    int64_t value = number(log, text);
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    return value;
}

/* What comes after a gap is not taken, and what is missing is asked for once; then it goes on. What
 * a device asks for is sent to it again. */
Test(link, gaps)
{
    struct device *a = add_device(0, "a", NULL);
    const struct sl_identity *self = &raw.identity;
    struct made first = make_segment(self, self, NULL, 1, 3, 'a');
    struct made second = make_segment(self, self, &first, 4, 2, 'b');
    struct made third = make_segment(self, self, &second, 6, 1, 'c');
    insert_notes(a, 5);
    raw_meet(NULL, 0);
    RUN_UNTIL(raw.counts[SL_FRAME_SEGMENT] == 1);
    send_made(&second); /* of a log that is not here at all */
    send_made(&third);
    RUN_UNTIL(raw.counts[SL_FRAME_ASK] == 1);
    cr_expect_eq(raw.ask.held_seq, 0);
    cr_expect(sl_uuid_equal(&raw.ask.origin.device, &self->device_id));
    send_made(&first);
    RUN_UNTIL(held_of(a, self) == 3);
    send_made(&third);
    RUN_UNTIL(raw.counts[SL_FRAME_ASK] == 2);
    cr_expect_eq(raw.ask.held_seq, 3);
    send_made(&second);
    send_made(&third);
    send_made(&second); /* again: nothing */
    RUN_UNTIL(held_of(a, self) == 6);
    cr_expect_eq(raw.counts[SL_FRAME_ASK], 2);
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);
    cr_expect_eq(in_log(a, "SELECT count(*) FROM segment"), 4);

    struct sl_vector_entry ask = {.origin = core_of(a)->self};
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_ask(&buf, &ask), SYNCLINE_OK);
    send_buf(&buf);
    RUN_UNTIL(raw.counts[SL_FRAME_SEGMENT] == 2);
}

static void send_floor(const struct made *made)
{
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    uint8_t end[SL_SEGMENT_END_SIZE];
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_segment_end(hasher, made->bytes, sizeof(made->bytes), end), SYNCLINE_OK);
    cr_assert_eq(sl_frame_put_floor(&buf, end), SYNCLINE_OK);
    send_buf(&buf);
    sl_hasher_free(hasher);
}

/* Where a member's log of an origin begins is believed by that origin's signature. What these
 * tables have not applied is told to be missing, and moves nothing; what is held already is nothing
 * new. */
Test(link, floors)
{
    struct device *a = add_device(0, "a", NULL);
    const struct sl_identity *self = &raw.identity;
    struct sl_identity stranger;
    cr_assert_eq(sl_identity_new(sl_env_posix(), &stranger, &err), SYNCLINE_OK);
    struct made first = make_segment(self, self, NULL, 1, 3, 'a');
    struct made second = make_segment(self, self, &first, 4, 2, 'b');
    struct made third = make_segment(self, self, &second, 6, 1, 'c');
    struct made strange = make_segment(&stranger, &stranger, NULL, 1, 3, 'a');
    raw_meet(NULL, 0);
    send_floor(&strange); /* of a device that is no member: nothing */
    send_floor(&second);
    expect_notice(a, "has pruned those up to 5: a snapshot is needed");
    cr_expect_eq(held_of(a, self), 0);
    send_made(&first);
    send_made(&second);
    send_made(&third);
    RUN_UNTIL(held_of(a, self) == 6);
    send_floor(&second);
    run_to_rest();
    cr_expect_eq(held_of(a, self), 6);
    cr_expect_eq(in_log(a, "SELECT sum(floor_seq) FROM origin"), 0);
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);

    struct made forged = make_segment(self, &stranger, &third, 7, 1, 'd');
    send_floor(&forged);
    expect_refused("the signature of a floor at 7 is not its origin's");
    raw_meet(NULL, 0);
    library_id.bytes[0] ^= 1;
    struct made other = make_segment(self, self, &third, 7, 1, 'd');
    library_id.bytes[0] ^= 1;
    send_floor(&other);
    expect_refused("a floor of another library");
}

/* Whatever does not fit what is held is the end of that origin alone, if its device signed it; if
 * not, of the session. */
Test(link, forks)
{
    struct device *a = add_device(0, "a", NULL);
    const struct sl_identity *self = &raw.identity;
    for (int round = 0; round < 4; round++) {
        struct sl_identity third;
        cr_assert_eq(sl_identity_new(sl_env_posix(), &third, &err), SYNCLINE_OK);
        struct made first = make_segment(&third, &third, NULL, 1, 3, 'a');
        struct made second = make_segment(&third, &third, &first, 4, 2, 'b');
        struct made third_one = make_segment(&third, &third, &second, 6, 1, 'c');
        /* The same place again, a part of it, over its end, on another predecessor. */
        struct made other = round == 0   ? make_segment(&third, &third, &first, 4, 2, 'x')
                            : round == 1 ? make_segment(&third, &third, &first, 4, 1, 'x')
                            : round == 2 ? make_segment(&third, &third, &first, 4, 9, 'x')
                                         : make_segment(&third, &third, &first, 6, 1, 'x');
        struct made forged = make_segment(&third, self, &first, 4, 2, 'x');
        raw_meet(NULL, 0);
        send_made(&first); /* nobody has said who that is: not taken */
        raw_send_member(&third, "third");
        send_made(&first);
        send_made(&second);
        RUN_UNTIL(held_of(a, &third) == 5);
        send_made(&forged);
        expect_refused("the signature of segment 4 is not its origin's");
        cr_expect_eq(in_log(a, "SELECT count(*) FROM fork"), round);
        raw_meet(NULL, 0);
        unsigned sent = raw.counts[SL_FRAME_SEGMENT];
        send_made(&other);
        RUN_UNTIL(in_log(a, "SELECT count(*) FROM fork") == round + 1);
        RUN_UNTIL(raw.counts[SL_FRAME_SEGMENT] > sent);
        send_made(&third_one);
        insert_notes(a, 1); /* other origins go on */
        RUN_UNTIL(raw.counts[SL_FRAME_SEGMENT] > sent + 1);
        cr_expect_eq(held_of(a, &third), 5);
        cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);
        close_engine(a);
        open_engine(a);
        raw_meet(NULL, 0);
        raw_send_member(&third, "third");
        send_made(&third_one);
        run_to_rest();
        cr_expect_eq(held_of(a, &third), 5);
    }
}

/* ---- Who is out ---- */

/* Of a revoked device no more is taken than up to the cut, whoever brings it and whoever signed it;
 * when a member says that it had more, that is asked for and taken, and nothing beyond. */
Test(link, a_relay_brings_what_is_revoked)
{
    struct sl_identity third;
    struct device *a = add_device(0, "a", NULL);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &third, &err), SYNCLINE_OK);
    struct made first = make_segment(&third, &third, NULL, 1, 70, 'a');
    struct made second = make_segment(&third, &third, &first, 71, 5, 'b');
    struct made last = make_segment(&third, &third, &second, 76, 5, 'c');
    struct made other = make_segment(&third, &third, NULL, 1, 70, 'x');
    raw_meet(NULL, 0);
    raw_send_member(&third, "third");
    send_made(&first);
    RUN_UNTIL(held_of(a, &third) == 70);
    cr_assert_eq(sl_members_revoke(core_of(a), &third.device_id, &err), SYNCLINE_OK, "%s",
                 err.text);
    send_made(&second);
    expect_notice(a, "after change 70, where its log ends since it was revoked");
    send_made(&other); /* nor another log up to there */
    run_to_rest();
    cr_expect_eq(held_of(a, &third), 70);
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);
    cr_expect_eq(raw.counts[SL_FRAME_ASK], 0);

    struct sl_cut cut = {.epoch = 1, .seq = 75};
    memcpy(cut.hash, second.hash, SL_HASH_SIZE);
    struct sl_membership_word word = {
        .kind = SL_MEMBERSHIP_WITNESS, .subject = third.device_id, .cuts = &cut, .cuts_len = 1};
    raw_send_entry(&third, &word); /* its own word on itself is none */
    expect_refused("lets in or revokes itself");
    raw_meet(NULL, 0);
    raw_send_entry(&raw.identity, &word);
    RUN_UNTIL(raw.counts[SL_FRAME_ASK] == 1);
    cr_expect_eq(raw.ask.held_seq, 70);
    send_made(&second);
    send_made(&last);
    RUN_UNTIL(held_of(a, &third) == 75);
    run_to_rest();
    cr_expect_eq(held_of(a, &third), 75);
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);
}

/* Whom a device lets in when it is known to be revoked is nobody, also if a member brings that
 * entry, or brings it together with the revocation; and nobody says to have known of it in time. */
Test(link, revoked_lets_nobody_in)
{
    struct sl_identity third;
    struct sl_identity more[4];
    struct sl_buf packed;
    struct device *a = add_device(0, "a", NULL);
    struct sl_membership_word word = {.kind = SL_MEMBERSHIP_ADMIT, .name = "more"};
    cr_assert_eq(sl_identity_new(sl_env_posix(), &third, &err), SYNCLINE_OK);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(sl_identity_new(sl_env_posix(), &more[i], &err), SYNCLINE_OK);
    }
    raw_meet(NULL, 0);
    raw_send_member(&third, "third");
    word.key = more[0].public_key;
    raw_send_entry(&third, &word); /* in time */
    RUN_UNTIL(known(a, &more[0]) != NULL);
    sl_buf_init(&packed, &sl_allocator_libc);
    word.key = more[1].public_key;
    raw_pack_entry(&third, &word, &packed);
    struct sl_membership_word revoke = {.kind = SL_MEMBERSHIP_REVOKE, .subject = third.device_id};
    raw_pack_entry(&raw.identity, &revoke, &packed);
    raw_send_packed(&packed);
    RUN_UNTIL(known(a, &third)->standing == SL_STANDING_REVOKED);
    word.key = more[2].public_key;
    raw_send_entry(&third, &word);
    raw_send_member(&more[3], "more");
    RUN_UNTIL(known(a, &more[3]) != NULL);
    run_to_rest();
    for (int round = 0; round < 2; round++) {
        cr_expect_eq(known(a, &more[0])->standing, SL_STANDING_MEMBER);
        cr_expect_null(known(a, &more[1]));
        cr_expect_null(known(a, &more[2]));
        close_engine(a);
        open_engine(a);
    }
}

/* What waits for the log when its device is found to be out goes no further than the cut. */
Test(link, revoked_while_it_waits)
{
    struct sl_identity third;
    struct device *a = add_device(0, "a", NULL);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &third, &err), SYNCLINE_OK);
    struct made first = make_segment(&third, &third, NULL, 1, 3, 'a');
    struct made second = make_segment(&third, &third, &first, 4, 3, 'b');
    struct made own = make_segment(&raw.identity, &raw.identity, NULL, 1, 2, 'c');
    raw_meet(NULL, 0);
    raw_send_member(&third, "third");
    send_made(&first);
    RUN_UNTIL(held_of(a, &third) == 3);
    send_made(&second);
    send_made(&own);
    sl_library_poll(a->library, 0); /* they have come, and no stage has run since */
    cr_assert_eq(sl_members_revoke(core_of(a), &third.device_id, &err), SYNCLINE_OK);
    RUN_UNTIL(held_of(a, &raw.identity) == 2);
    cr_expect_eq(held_of(a, &third), 3);
}

/* An entry is its author's alone, and of somebody known; what is not kept is not passed on. */
Test(link, entries_are_checked)
{
    struct sl_identity third;
    struct sl_identity stranger;
    struct device *a = add_device(0, "a", NULL);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &third, &err), SYNCLINE_OK);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &stranger, &err), SYNCLINE_OK);
    struct sl_membership_word word = {
        .kind = SL_MEMBERSHIP_ADMIT, .key = third.public_key, .name = "third"};
    raw_meet(NULL, 0);
    size_t before = core_of(a)->membership.len;
    raw_send_entry(&stranger, &word);
    expect_notice(a, "its author is no device of the library");
    cr_expect_eq(core_of(a)->membership.len, before);
    cr_expect_null(known(a, &third));
    cr_expect_eq(raw.counts[SL_FRAME_ERROR], 0, "%s", raw.error.text);
    struct sl_identity mixed = stranger; /* the key of one, signed with another's */
    memcpy(mixed.public_key, raw.identity.public_key, sizeof(mixed.public_key));
    raw_send_entry(&mixed, &word);
    expect_refused("the signature of a membership entry is not its author's");
    cr_expect_eq(core_of(a)->membership.len, before);
    raw_meet(NULL, 0);
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_frame_put_members(&buf, "\xff\0\0\0 short", 10), SYNCLINE_OK);
    send_buf(&buf);
    expect_refused("a MEMBERS frame is cut short");
}
