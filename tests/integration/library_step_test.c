/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Two libraries in one process, without threads: their stages are stepped in a loop over the
 * in-process transport, on real files. */

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "net/transport_local.h"
#include "pipeline/library_view.h"

#define ROWS 1000
#define ROUNDS_MAX 100000 /* far more than it takes: a bound, not a time */

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
    char library_db[128];
    char sync_db[128];
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_library *library;
    sqlite3 *db;
};

static char folder[64];
static struct sl_error err;

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

/* The real world, but for a monotonic clock that stands still until it is told to go on. */
static uint64_t clock_ns = 1000000000;

static uint64_t stopped_clock(void *ctx)
{
    (void)ctx;
    return clock_ns;
}

static struct sl_env stopped_env(void)
{
    struct sl_env env = *sl_env_posix();
    env.mono_ns = stopped_clock;
    return env;
}

static void open_device(struct device *device, const struct sl_env *env, struct sl_local_hub *hub,
                        const char *name, const struct syncline_uuid *library_id, const char *peer)
{
    (void)snprintf(device->library_db, sizeof(device->library_db), "%s/%s.db", folder, name);
    (void)snprintf(device->sync_db, sizeof(device->sync_db), "%s/%s-sync.db", folder, name);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &device->identity, &err), SYNCLINE_OK);
    cr_assert_eq(sl_transport_local_new(hub, &device->transport), SYNCLINE_OK);
    struct sl_library_config config = {.env = env,
                                       .library_db = device->library_db,
                                       .sync_db = device->sync_db,
                                       .identity = &device->identity,
                                       .models = models,
                                       .models_count = 1,
                                       .transport = device->transport,
                                       .listen = name,
                                       .peers = &peer,
                                       .peers_count = peer != NULL ? 1 : 0,
                                       .memory = (size_t)256 << 20, /* as many batches as ever */
                                       .engine = true};
    cr_assert_eq(sl_library_create(&config, library_id, "Notes", name, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    sql(device->db, "CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                    " text TEXT)");
    cr_assert_eq(sl_library_open(&config, &device->library, &err), SYNCLINE_OK, "%s", err.text);
}

static void close_device(struct device *device)
{
    sl_library_close(device->library);
    device->transport->ops->free(device->transport);
    cr_assert_eq(sqlite3_close(device->db), SQLITE_OK);
}

static void step(struct device *device)
{
    for (size_t i = 0; i < sl_library_stage_count(device->library); i++) {
        (void)sl_library_step(device->library, i);
    }
    sl_library_poll(device->library, 0);
}

static void insert_notes(struct device *device, size_t n)
{
    static struct note notes[ROWS];
    static struct syncline_uuid uuids[ROWS];
    cr_assert_eq(syncline_uuid_new(uuids, ROWS), SYNCLINE_OK);
    sqlite3_stmt *stmt = NULL;
    sql(device->db, "BEGIN IMMEDIATE");
    cr_assert_eq(sqlite3_prepare_v2(device->db, "INSERT INTO notes(uuid,text) VALUES(?1,?2)", -1,
                                    &stmt, NULL),
                 SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        notes[i] = (struct note){.uuid = uuids[i], .text = i % 3 == 0 ? NULL : "a note"};
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

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static struct syncline_uuid begin(struct sl_local_hub **hub)
{
    struct syncline_uuid library_id;
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-step-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(syncline_uuid_new(&library_id, 1), SYNCLINE_OK);
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, hub), SYNCLINE_OK);
    return library_id;
}

static void end(struct sl_local_hub *hub)
{
    sl_local_hub_free(hub);
    cr_assert_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* What the device's log holds: segments, and the changes in them. */
static void log_holds(const struct device *device, int64_t segments, int64_t changes)
{
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(device->sync_db, &log), SQLITE_OK);
    cr_expect_eq(number(log, "SELECT count(*) FROM segment"), segments, "%lld segments",
                 (long long)number(log, "SELECT count(*) FROM segment"));
    cr_expect_eq(number(log, "SELECT ifnull(max(last_seq),0) FROM segment"), changes,
                 "%lld changes", (long long)number(log, "SELECT max(last_seq) FROM segment"));
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
}

/* A single change that finds the pipeline idle is in the log after one slice of each stage, and
 * those that come in quick succession after it share a segment: they wait for the linger, or until
 * there are enough of them. */
Test(library_step, single_changes_share_segments)
{
    struct device a = {.db = NULL};
    struct sl_local_hub *hub = NULL;
    struct sl_env env = stopped_env();
    struct syncline_uuid library_id = begin(&hub);
    open_device(&a, &env, hub, "a", &library_id, NULL);
    insert_notes(&a, 1);
    step(&a);
    log_holds(&a, 1, 1);
    for (int i = 0; i < 40; i++) {
        insert_notes(&a, 1);
    }
    for (int round = 0; round < 100; round++) {
        step(&a);
    }
    log_holds(&a, 1, 1); /* the clock stands still: they linger */
    clock_ns += UINT64_C(1000000) * SL_LINGER_MS;
    step(&a);
    log_holds(&a, 2, 41);
    for (unsigned i = 0; i < SL_STAGED_LEN_MAX; i++) {
        insert_notes(&a, 1);
    }
    for (int round = 0; round < 100; round++) {
        step(&a); /* captures have no batch any more: half of them is enough */
    }
    log_holds(&a, 3, 41 + SL_STAGED_LEN_MAX / 2);
    clock_ns += UINT64_C(1000000) * SL_LINGER_MS;
    step(&a);
    log_holds(&a, 4, 41 + SL_STAGED_LEN_MAX);
    close_device(&a);
    end(hub);
}

/* A thousand rows of one model come from one library to the other by its stages alone, and both
 * tables are equal by SQL. */
Test(library_step, a_thousand_rows)
{
    struct device a = {.db = NULL};
    struct device b = {.db = NULL};
    struct sl_local_hub *hub = NULL;
    struct syncline_uuid library_id = begin(&hub);
    open_device(&a, sl_env_posix(), hub, "a", &library_id, NULL);
    open_device(&b, sl_env_posix(), hub, "b", &library_id, "a");
    insert_notes(&a, ROWS);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        step(&a);
        step(&b);
        if (number(b.db, "SELECT count(*) FROM notes") == ROWS) {
            break;
        }
    }
    char attach[192];
    (void)snprintf(attach, sizeof(attach), "ATTACH '%s' AS other", b.library_db);
    sql(a.db, attach);
    cr_expect_eq(number(a.db, "SELECT count(*) FROM notes"), ROWS);
    cr_expect_eq(number(a.db, "SELECT count(*) FROM other.notes"), ROWS);
    cr_expect_eq(number(a.db, "SELECT count(*) FROM (SELECT uuid,text FROM notes EXCEPT"
                              " SELECT uuid,text FROM other.notes)"),
                 0);
    cr_expect_eq(number(a.db, "SELECT count(*) FROM notes WHERE text IS NULL"), 334);
    sql(a.db, "DETACH other");
    close_device(&a);
    close_device(&b);
    end(hub);
}

/* Sent is what was handed to the link: acknowledged is only what the other device says it holds. */
Test(library_step, sent_is_not_acknowledged)
{
    struct device a = {.db = NULL};
    struct device b = {.db = NULL};
    struct sl_local_hub *hub = NULL;
    struct sl_target target = {0};
    struct sl_standing standing;
    bool reached = true;
    struct syncline_uuid library_id = begin(&hub);
    open_device(&a, sl_env_posix(), hub, "a", &library_id, NULL);
    open_device(&b, sl_env_posix(), hub, "b", &library_id, "a");
    insert_notes(&a, 1);
    for (int round = 0; round < ROUNDS_MAX && number(b.db, "SELECT count(*) FROM notes") < 1;
         round++) {
        step(&a);
        step(&b);
    }
    for (int round = 0; round < 100; round++) { /* what there is left to say */
        step(&a);
        step(&b);
    }
    insert_notes(&a, 3);
    cr_assert_eq(sl_library_target(a.library, &target, &err), SYNCLINE_OK);
    for (int round = 0; round < ROUNDS_MAX && (!reached || round == 0); round++) {
        step(&a); /* and B does not answer */
        cr_assert_eq(
            sl_library_reached(a.library, &target, SYNCLINE_LEVEL_SENT, NULL, &reached, &err),
            SYNCLINE_OK);
    }
    cr_expect(reached, "%s", err.text);
    cr_assert_eq(sl_library_reached(a.library, &target, SYNCLINE_LEVEL_ACKED, NULL, &reached, &err),
                 SYNCLINE_OK);
    cr_expect(!reached);
    cr_expect_not_null(strstr(err.text, "1 of 4"), "%s", err.text);
    cr_assert_eq(sl_library_standing(a.library, &standing, &err), SYNCLINE_OK);
    cr_expect(standing.members == 1 && standing.member[0].sent_seq == 4 &&
              standing.member[0].acked_seq == 1 && standing.member[0].applied_seq == 1);
    close_device(&a);
    close_device(&b);
    end(hub);
}

/* Sets the text of the one note there is, and captures that. */
static void write_note(struct device *device, const char *text, enum syncline_change change)
{
    struct note note = {.id = number(device->db, "SELECT id FROM notes"), .text = text};
    char statement[64];
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(device->db, "SELECT uuid FROM notes", -1, &stmt, NULL),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    memcpy(note.uuid.bytes, sqlite3_column_blob(stmt, 0), sizeof(note.uuid.bytes));
    sqlite3_finalize(stmt);
    (void)snprintf(statement, sizeof(statement), "UPDATE notes SET text='%s'", text);
    sql(device->db, "BEGIN IMMEDIATE");
    sql(device->db, statement);
    cr_assert_eq(
        sl_library_capture(device->library, &note_model, &note, 1, change, device->db, 0, &err),
        SYNCLINE_OK, "%s", err.text);
    sql(device->db, "COMMIT");
}

static void write_on_both(enum syncline_change change)
{
    struct device a = {.db = NULL};
    struct device b = {.db = NULL};
    struct sl_local_hub *hub = NULL;
    struct syncline_uuid library_id = begin(&hub);
    open_device(&a, sl_env_posix(), hub, "a", &library_id, NULL);
    open_device(&b, sl_env_posix(), hub, "b", &library_id, "a");
    insert_notes(&a, 1);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        step(&a);
        step(&b);
        if (number(b.db, "SELECT count(*) FROM notes") == 1) {
            break;
        }
    }
    write_note(&a, "of a", SYNCLINE_UPDATE);
    write_note(&b, "of b", change);
    int64_t applied = 0;
    for (int round = 0; round < ROUNDS_MAX && applied < 2; round++) {
        step(&a);
        for (size_t stage = SL_STAGE_NET_FLUSH; stage <= SL_STAGE_ACKNOWLEDGE; stage++) {
            (void)sl_library_step(b.library, stage);
        }
        sl_library_poll(b.library, 0);
        applied = number(b.db, "SELECT max(applied_seq) FROM _syncline_origin");
    }
    cr_assert_eq(number(b.db, "SELECT count(*) FROM _syncline_outbox"), 1, "it does not wait");
    cr_expect_eq(number(b.db, "SELECT text='of b' FROM notes"), 1, "what waits comes later");
    for (int round = 0; round < ROUNDS_MAX; round++) {
        step(&a);
        step(&b);
        if (number(a.db, "SELECT text='of b' FROM notes") == 1) {
            break;
        }
    }
    cr_expect_eq(number(a.db, "SELECT text='of b' FROM notes"), 1);
    cr_expect_eq(number(b.db, "SELECT text='of b' FROM notes"), 1);
    close_device(&a);
    close_device(&b);
    end(hub);
}

/* A change that waits in the outbox is later than one that comes meanwhile, and wins, here and
 * there - also an insert, captured of a record that the other device inserted. */
Test(library_step, update_that_waits_wins)
{
    write_on_both(SYNCLINE_UPDATE);
}

Test(library_step, insert_again_that_waits_wins)
{
    write_on_both(SYNCLINE_INSERT);
}

/* How many drained rows of the device's log are as said. */
static int64_t drained_rows(const struct device *device, const char *condition)
{
    char text[200];
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(device->sync_db, &log), SQLITE_OK);
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM drained WHERE %s", condition);
    int64_t count = number(log, text);
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    return count;
}

/* The drained row of each call stays when later ones come, with or without a ticket, and says which
 * change was its last, also when the row came into the log in parts. */
Test(library_step, drained_rows_stay)
{
    struct device a = {.db = NULL};
    struct sl_local_hub *hub = NULL;
    struct sl_env env = stopped_env();
    struct syncline_ticket ticket = SYNCLINE_TICKET_INIT;
    struct note notes[30];
    struct syncline_uuid uuids[30];
    struct syncline_uuid library_id = begin(&hub);
    open_device(&a, &env, hub, "a", &library_id, NULL);
    cr_assert_eq(syncline_uuid_new(uuids, 30), SYNCLINE_OK);
    sql(a.db, "BEGIN IMMEDIATE");
    for (int i = 0; i < 30; i++) {
        sqlite3_stmt *stmt = NULL;
        cr_assert_eq(
            sqlite3_prepare_v2(a.db, "INSERT INTO notes(uuid) VALUES(?1)", -1, &stmt, NULL),
            SQLITE_OK);
        sqlite3_bind_blob(stmt, 1, &uuids[i], sizeof(uuids[i]), SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_finalize(stmt);
        notes[i] = (struct note){.id = sqlite3_last_insert_rowid(a.db), .uuid = uuids[i]};
    }
    cr_assert_eq(sl_library_capture_ticket(a.library, &note_model, notes, 30, SYNCLINE_INSERT, a.db,
                                           10, &ticket, &err),
                 SYNCLINE_OK, "%s", err.text);
    sql(a.db, "COMMIT");
    step(&a); /* one batch of the three; the others linger */
    cr_expect_eq(drained_rows(&a, "changes=10 AND complete=0 AND seq=10 AND token%2<>0"), 1);
    for (int round = 0; round < 10; round++) {
        step(&a);
    }
    clock_ns += UINT64_C(1000000) * SL_LINGER_MS;
    step(&a);
    cr_expect_eq(drained_rows(&a, "changes=30 AND complete=1 AND seq=30 AND token%2<>0"), 1);
    for (int i = 0; i < 3; i++) {
        insert_notes(&a, 1);
        clock_ns += UINT64_C(1000000) * SL_LINGER_MS;
        step(&a);
    }
    cr_expect_eq(drained_rows(&a, "seq=30"), 1);
    cr_expect_eq(drained_rows(&a, "seq=33 AND token%2=0"), 1);
    cr_expect_eq(drained_rows(&a, "token%2=0"), 3);
    cr_expect_eq(drained_rows(&a, "1"), 4);
    close_device(&a);
    end(hub);
}
