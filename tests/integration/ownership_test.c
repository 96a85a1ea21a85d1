/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A model whose ownership was changed by a new version of the application holds records of both
 * kinds: the class that a record was born with decides about it, one by one, also in one call. Two
 * libraries, or three, are stepped in one process, on real files, by clocks that the test sets. */

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/transport_local.h"
#include "pipeline/library.h"
#include "pipeline/library_view.h"

#define ROUNDS_MAX 100000 /* far more than it takes: a bound, not a time */

struct doc {
    int64_t id;
    struct syncline_uuid uuid;
    const char *text;
};

static const struct syncline_field doc_fields[] = {
    SYNCLINE_ID(struct doc, id), SYNCLINE_UUID(struct doc, uuid), SYNCLINE_TEXT(struct doc, text)};
static const struct syncline_model doc_models[] = {
    [SYNCLINE_SHARED] = SYNCLINE_MODEL("doc", "docs", SYNCLINE_SHARED, struct doc, doc_fields),
    [SYNCLINE_DEVICE_OWNED] =
        SYNCLINE_MODEL("doc", "docs", SYNCLINE_DEVICE_OWNED, struct doc, doc_fields)};

struct device {
    char library_db[128];
    char sync_db[128];
    const char *peers[2];
    struct sl_env env;
    int64_t wall_offset_ms; /* of its clock */
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_library_config config;
    const struct syncline_model *model;
    struct sl_library *library;
    sqlite3 *db;
};

static char folder[64];
static struct sl_error err;
static struct sl_local_hub *hub;
static struct device a;
static struct device b;
static struct device c; /* in one test only */
static struct syncline_uuid library_id;

static void sql(sqlite3 *db, const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static uint64_t wall_ms(void *ctx)
{
    return sl_env_posix()->wall_ms(NULL) + (uint64_t)((struct device *)ctx)->wall_offset_ms;
}

static void open_library(struct device *device, enum syncline_ownership ownership)
{
    device->model = &doc_models[ownership];
    device->config.models = &device->model;
    device->config.models_count = 1;
    cr_assert_eq(sl_transport_local_new(hub, &device->transport), SYNCLINE_OK);
    device->config.transport = device->transport;
    cr_assert_eq(sl_library_open(&device->config, &device->library, &err), SYNCLINE_OK, "%s",
                 err.text);
}

static void close_library(struct device *device)
{
    sl_library_close(device->library);
    device->transport->ops->free(device->transport);
}

/* It dials the devices whose names are in `peers`. */
static void make(struct device *device, const char *name, const char *peers)
{
    memset(device, 0, sizeof(*device));
    (void)snprintf(device->library_db, sizeof(device->library_db), "%s/%s.db", folder, name);
    (void)snprintf(device->sync_db, sizeof(device->sync_db), "%s/%s-sync.db", folder, name);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &device->identity, &err), SYNCLINE_OK);
    size_t count = strlen(peers);
    for (size_t i = 0; i < count; i++) {
        device->peers[i] = peers[i] == 'a' ? "a" : "b";
    }
    device->env = *sl_env_posix();
    device->env.wall_ms = wall_ms;
    device->env.ctx = device;
    device->config = (struct sl_library_config){.env = &device->env,
                                                .library_db = device->library_db,
                                                .sync_db = device->sync_db,
                                                .identity = &device->identity,
                                                .listen = name,
                                                .peers = device->peers,
                                                .peers_count = count,
                                                .engine = true};
    cr_assert_eq(sl_library_create(&device->config, &library_id, "Docs", name, &err), SYNCLINE_OK,
                 "%s", err.text);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    sql(device->db,
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, text TEXT)");
}

static void start(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-ownership-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(syncline_uuid_new(&library_id, 1), SYNCLINE_OK);
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &hub), SYNCLINE_OK);
    make(&a, "a", "");
    make(&b, "b", "a");
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void stop(void)
{
    struct device *devices[] = {&a, &b, &c};
    for (int i = 0; i < (c.library != NULL ? 3 : 2); i++) {
        close_library(devices[i]);
        cr_assert_eq(sqlite3_close(devices[i]->db), SQLITE_OK);
    }
    sl_local_hub_free(hub);
    cr_assert_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(ownership, .init = start, .fini = stop);

static struct syncline_info info_of(struct device *device)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(sl_library_info(device->library, &info, &err), SYNCLINE_OK, "%s", err.text);
    return info;
}

static bool is_done(struct device *from, struct device *to)
{
    struct syncline_info sent = info_of(from);
    return sent.outbox == 0 && info_of(to).received_applied == sent.own_seq;
}

/* A device that does not take in its own captures leaves them pending. */
static void step(struct device *device, bool takes_in)
{
    for (size_t i = takes_in ? 0 : SL_STAGE_NET_FLUSH; i < SL_STAGE_COUNT; i++) {
        (void)sl_library_step(device->library, i);
    }
    sl_library_poll(device->library, 0);
}

static void settle(void)
{
    for (int round = 0; !is_done(&a, &b) || !is_done(&b, &a); round++) {
        cr_assert_lt(round, ROUNDS_MAX);
        step(&a, true);
        step(&b, true);
    }
}

/* The documents 0 to n - 1 of the test; what `device` calls the i-th. */
static struct doc docs[8];

static struct doc doc_of(struct device *device, int i, const char *text)
{
    struct doc doc = {.uuid = docs[i].uuid, .text = text};
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(device->db, "SELECT id FROM docs WHERE uuid=?1", -1, &stmt, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, doc.uuid.bytes, 16, SQLITE_STATIC);
    doc.id = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_finalize(stmt);
    return doc;
}

/* Writes documents first to first + n - 1 in one transaction and one call. */
static enum syncline_status save(struct device *device, int first, int n, const char *text,
                                 enum syncline_change change)
{
    struct doc rows[8];
    sql(device->db, "BEGIN IMMEDIATE");
    for (int i = 0; i < n; i++) {
        rows[i] = doc_of(device, first + i, text);
        sqlite3_stmt *stmt = NULL;
        cr_assert_eq(sqlite3_prepare_v2(device->db,
                                        "INSERT INTO docs(uuid,text) VALUES(?1,?2)"
                                        " ON CONFLICT(uuid) DO UPDATE SET text=?2",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
        (void)sqlite3_bind_blob(stmt, 1, rows[i].uuid.bytes, 16, SQLITE_STATIC);
        (void)sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(device->db));
        (void)sqlite3_finalize(stmt);
        rows[i] = doc_of(device, first + i, text);
    }
    enum syncline_status status = sl_library_capture(device->library, device->model, rows,
                                                     (size_t)n, change, device->db, 0, &err);
    sql(device->db, status == SYNCLINE_OK ? "COMMIT" : "ROLLBACK");
    return status;
}

static void check_text(struct device *device, int i, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(device->db, "SELECT text FROM docs WHERE uuid=?1", -1, &stmt, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, docs[i].uuid.bytes, 16, SQLITE_STATIC);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    cr_expect_str_eq((const char *)sqlite3_column_text(stmt, 0), text, "%s, document %d",
                     device == &a   ? "a"
                     : device == &b ? "b"
                                    : "c",
                     i);
    (void)sqlite3_finalize(stmt);
}

static void check_both(int i, const char *text)
{
    check_text(&a, i, text);
    check_text(&b, i, text);
}

/* Documents 0 and 1 of A are born with one class, 2 and 3 with the other, after the application has
 * changed its mind. */
static void make_both_kinds(enum syncline_ownership before)
{
    enum syncline_ownership after =
        before == SYNCLINE_SHARED ? SYNCLINE_DEVICE_OWNED : SYNCLINE_SHARED;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(syncline_uuid_new(&docs[i].uuid, 1), SYNCLINE_OK);
    }
    open_library(&a, before);
    open_library(&b, before);
    cr_assert_eq(save(&a, 0, 2, "new", SYNCLINE_INSERT), SYNCLINE_OK);
    settle();
    close_library(&a);
    close_library(&b);
    open_library(&a, after);
    open_library(&b, after);
    cr_assert_eq(save(&a, 2, 2, "new", SYNCLINE_INSERT), SYNCLINE_OK);
    settle();
}

/* Which documents B may change: those born shared. A call that names one of the others is refused
 * as a whole; the owner changes both kinds in one call. */
static void check_captures(int shared, int owned)
{
    cr_assert_eq(save(&b, shared, 2, "by b", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(save(&b, owned, 1, "by b", SYNCLINE_UPDATE), SYNCLINE_EREFUSED);
    cr_assert_eq(save(&b, 0, 4, "by b", SYNCLINE_UPDATE), SYNCLINE_EREFUSED);
    settle();
    check_both(shared, "by b");
    check_both(owned, "new");
    cr_assert_eq(save(&a, 0, 4, "by a", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    settle();
    for (int i = 0; i < 4; i++) {
        check_both(i, "by a");
    }
    cr_assert_eq(info_of(&a).set_aside + info_of(&b).set_aside, 0);
}

/* Both devices change at the same time, A all and B the shared ones; each logs its own before the
 * other's comes, or with `pending` not even that. The later clock wins everywhere, whoever has it.
 */
static void check_conflicts(int shared, int owned, int64_t b_ahead_ms, bool pending)
{
    b.wall_offset_ms = b_ahead_ms;
    cr_assert_eq(save(&a, 0, 4, "all by a", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(save(&b, shared, 2, "these by b", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    if (pending) {
        for (int round = 0;
             info_of(&a).received_applied < info_of(&b).own_seq || info_of(&b).outbox > 0;
             round++) {
            cr_assert_lt(round, ROUNDS_MAX);
            step(&a, false);
            step(&b, true);
        }
    } else {
        while (info_of(&a).outbox > 0 || info_of(&b).outbox > 0) {
            for (int stage = SL_STAGE_INTAKE; stage <= SL_STAGE_LOG_APPEND; stage++) {
                (void)sl_library_step(a.library, (size_t)stage);
                (void)sl_library_step(b.library, (size_t)stage);
            }
        }
    }
    settle();
    /* What A has not stamped yet when B's change comes is stamped later than that. */
    const char *winner = b_ahead_ms > 0 && !pending ? "these by b" : "all by a";
    check_both(shared, winner);
    check_both(shared + 1, winner);
    check_both(owned, "all by a");
    check_both(owned + 1, "all by a");
    cr_assert_eq(info_of(&a).set_aside + info_of(&b).set_aside, 0);
}

/* Three devices: B has A's change, the later one, when C's comes. Stamps decide that on every
 * device, and those of a record that was born shared are kept. */
Test(ownership, was_shared_conflict_of_three)
{
    make(&c, "c", "ab");
    open_library(&c, SYNCLINE_SHARED);
    make_both_kinds(SYNCLINE_SHARED);
    for (int round = 0; !is_done(&a, &c) || info_of(&c).links < 2; round++) {
        cr_assert_lt(round, ROUNDS_MAX);
        step(&a, true);
        step(&b, true);
        step(&c, true);
    }
    close_library(&c);
    open_library(&c, SYNCLINE_DEVICE_OWNED);
    a.wall_offset_ms = 60000;
    cr_assert_eq(save(&a, 0, 4, "by a", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(save(&c, 0, 2, "by c", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    while (info_of(&c).outbox > 0) {
        for (int stage = SL_STAGE_INTAKE; stage <= SL_STAGE_LOG_APPEND; stage++) {
            (void)sl_library_step(c.library, (size_t)stage);
        }
    }
    settle(); /* A and B alone */
    check_both(0, "by a");
    for (int round = 0; info_of(&b).received_applied < info_of(&a).own_seq + info_of(&c).own_seq ||
                        info_of(&a).received_applied < info_of(&c).own_seq ||
                        info_of(&c).received_applied < info_of(&a).own_seq;
         round++) {
        cr_assert_lt(round, ROUNDS_MAX);
        step(&a, true);
        step(&b, true);
        step(&c, true);
    }
    for (int i = 0; i < 4; i++) {
        check_both(i, "by a");
        check_text(&c, i, "by a");
    }
}

Test(ownership, was_shared_captures)
{
    make_both_kinds(SYNCLINE_SHARED);
    check_captures(0, 2);
}

Test(ownership, was_owned_captures)
{
    make_both_kinds(SYNCLINE_DEVICE_OWNED);
    check_captures(2, 0);
}

Test(ownership, was_shared_conflict_b_is_later)
{
    make_both_kinds(SYNCLINE_SHARED);
    check_conflicts(0, 2, 60000, false);
}

Test(ownership, was_shared_conflict_a_is_later)
{
    make_both_kinds(SYNCLINE_SHARED);
    a.wall_offset_ms = 60000;
    check_conflicts(0, 2, 0, false);
}

Test(ownership, was_shared_conflict_pending)
{
    make_both_kinds(SYNCLINE_SHARED);
    check_conflicts(0, 2, 60000, true);
}

Test(ownership, was_owned_conflict_b_is_later)
{
    make_both_kinds(SYNCLINE_DEVICE_OWNED);
    check_conflicts(2, 0, 60000, false);
}

Test(ownership, was_owned_conflict_pending)
{
    make_both_kinds(SYNCLINE_DEVICE_OWNED);
    check_conflicts(2, 0, 60000, true);
}

/* The class comes with the record: that which the receiver's own model says is for its own records.
 */
static void check_receiver_of_other_class(enum syncline_ownership born)
{
    open_library(&a, born);
    open_library(&b, born == SYNCLINE_SHARED ? SYNCLINE_DEVICE_OWNED : SYNCLINE_SHARED);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(syncline_uuid_new(&docs[i].uuid, 1), SYNCLINE_OK);
    }
    cr_assert_eq(save(&a, 0, 2, "new", SYNCLINE_INSERT), SYNCLINE_OK);
    settle();
    cr_assert_eq(save(&b, 0, 1, "by b", SYNCLINE_UPDATE),
                 born == SYNCLINE_SHARED ? SYNCLINE_OK : SYNCLINE_EREFUSED, "%s", err.text);
    settle();
    check_both(0, born == SYNCLINE_SHARED ? "by b" : "new");
    check_both(1, "new");
}

Test(ownership, shared_comes_to_an_owned_model)
{
    check_receiver_of_other_class(SYNCLINE_SHARED);
}

Test(ownership, owned_comes_to_a_shared_model)
{
    check_receiver_of_other_class(SYNCLINE_DEVICE_OWNED);
}

/* A member whose own tables were made to say that A's records are everybody's, and which so sends
 * changes of them. They are set aside, and nothing of A's moves. */
Test(ownership, changes_by_others_are_set_aside)
{
    char shared[64];
    make_both_kinds(SYNCLINE_DEVICE_OWNED);
    (void)snprintf(shared, sizeof(shared), "UPDATE _syncline_birth SET class=%d", SYNCLINE_SHARED);
    sql(b.db, shared);
    cr_assert_eq(save(&b, 0, 1, "by b", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(save(&b, 1, 1, "by b", SYNCLINE_DELETE), SYNCLINE_OK, "%s", err.text);
    settle();
    check_text(&a, 0, "new");
    check_text(&a, 1, "new");
    cr_expect_eq(info_of(&a).set_aside, 2);
    cr_assert_eq(save(&b, 2, 1, "by b", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    settle();
    check_both(2, "by b");
    cr_expect_eq(info_of(&a).set_aside, 2);
}

static unsigned strategies; /* lines at debug level */
static char strategy[512];  /* the last of them */

static void take_line(void *ctx, enum syncline_log_level level, const char *text)
{
    (void)ctx;
    if (level == SYNCLINE_LOG_DEBUG) {
        strategies++;
        (void)snprintf(strategy, sizeof(strategy), "%s", text);
    }
}

/* A call for records of both classes says in the log that each is judged by itself; one for records
 * of one class says nothing. */
Test(ownership, both_kinds_in_one_call_are_logged)
{
    a.config.host_log = (struct sl_host_log){.to = {.fn = take_line}, .level = SYNCLINE_LOG_DEBUG};
    make_both_kinds(SYNCLINE_SHARED);
    while (atomic_load(&sl_library_core(a.library)->settled_seq) < info_of(&a).own_seq) {
        step(&a, true); /* the births come back from the log */
    }
    cr_assert_eq(save(&a, 0, 2, "shared ones", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(save(&a, 2, 2, "owned ones", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(strategies, 0, "%s", strategy);
    cr_assert_eq(save(&a, 0, 3, "some of each", SYNCLINE_UPDATE), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(strategies, 1);
    cr_assert_str_eq(strategy, "a call for 3 records of model 'doc': 1 are device-owned and 2 "
                               "shared, each is judged by its birth");
    settle();
    for (int i = 0; i < 3; i++) {
        check_both(i, "some of each");
    }
}
