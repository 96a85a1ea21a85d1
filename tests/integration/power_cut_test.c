/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One device on a simulated disk that forgets what was not synced. After a power cut at any moment
 * library.db is not older than the log beside it: no outbox row that was drained is lost, although
 * neither the application nor captures in autocommit sync what they commit. */

#include "tests/sim/sim_content.c"
#include "tests/sim/sim_random.c"
#include "tests/sim/sim_vfs.c"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "pipeline/library.h"

#define LIBRARY_DB "/d0/library.db"
#define SYNC_DB "/d0/sync.db"
#define STEP_NS (1000u * 1000u) /* how far a clock moves each time it is read */

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

static struct sl_sim_random chance; /* what is done next */
static struct sl_sim_random dice;   /* what the library and SQLite draw */
static uint64_t now_ns;
static struct sl_sim_disk *disk;
static struct sl_env env;
static struct sl_identity identity;
static struct sl_library *library;
static sqlite3 *db; /* the application's */
static bool is_attached;
static struct sl_error err;

static uint64_t wall_ms(void *ctx)
{
    (void)ctx;
    return 1767225600000u + now_ns / 1000000u;
}

static uint64_t mono_ns(void *ctx)
{
    (void)ctx;
    now_ns += STEP_NS;
    return now_ns;
}

static void sleep_us(void *ctx, uint64_t us)
{
    (void)ctx;
    now_ns += us * 1000u;
}

static void draw(void *ctx, void *out, size_t size)
{
    (void)ctx;
    sl_sim_random_fill(&dice, out, size);
}

static enum syncline_status draw_for_env(void *ctx, void *out, size_t size)
{
    draw(ctx, out, size);
    return SYNCLINE_OK;
}

static void sql(const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static int64_t number(const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

/* ---- The device ---- */

static struct sl_library_config config(void)
{
    return (struct sl_library_config){.env = &env,
                                      .library_db = LIBRARY_DB,
                                      .sync_db = SYNC_DB,
                                      .identity = &identity,
                                      .models = models,
                                      .models_count = 1,
                                      .engine = true};
}

static void open_all(void)
{
    struct sl_library_config made = config();
    cr_assert_eq(sqlite3_open(LIBRARY_DB, &db), SQLITE_OK);
    sql("PRAGMA synchronous=NORMAL");
    enum syncline_status status = sl_library_open(&made, &library, &err);
    cr_assert_eq(status, SYNCLINE_OK, "%s: %s", syncline_status_name(status), err.text);
}

static void close_all(void)
{
    sl_library_close(library); /* and detaches */
    is_attached = false;
    (void)sqlite3_close(db);
}

static void start(uint64_t seed)
{
    static const struct syncline_uuid library_id = {{1}};
    struct sl_sim_disk_world world = {.wall_ms = wall_ms, .sleep_us = sleep_us, .random = draw};
    sl_sim_random_init(&chance, seed, 1);
    sl_sim_random_init(&dice, seed, 2);
    now_ns = 0;
    disk = sl_sim_disk_new(&world);
    cr_assert_not_null(disk);
    sqlite3_randomness(0, NULL);
    env = (struct sl_env){.wall_ms = wall_ms,
                          .mono_ns = mono_ns,
                          .random = draw_for_env,
                          .vfs = SL_SIM_VFS_NAME,
                          .alloc = &sl_allocator_libc};
    cr_assert_eq(sl_identity_new(&env, &identity, &err), SYNCLINE_OK);
    struct sl_library_config made = config();
    cr_assert_eq(sl_library_create(&made, &library_id, "Notes", "one", &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(sqlite3_open(LIBRARY_DB, &db), SQLITE_OK);
    sql("CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, text TEXT)");
    (void)sqlite3_close(db);
    open_all();
}

static void end(void)
{
    close_all();
    cr_assert_eq(sl_sim_disk_handle_count(disk), 0);
    sl_sim_disk_free(disk);
}

static void cut_power(void)
{
    sl_sim_disk_power_cut(disk, "/d0/");
    close_all();
    open_all();
}

static uint64_t own_seq(void)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(sl_library_info(library, &info, &err), SYNCLINE_OK, "%s", err.text);
    return info.own_seq;
}

static void step_all(void)
{
    for (size_t i = 0; i < sl_library_stage_count(library); i++) {
        (void)sl_library_step(library, i);
    }
}

/* ---- The application ---- */

static void insert(struct note *note)
{
    sqlite3_stmt *stmt = NULL;
    sl_sim_random_fill(&chance, note->uuid.bytes, sizeof(note->uuid.bytes));
    note->text = "a note";
    cr_assert_eq(
        sqlite3_prepare_v2(db, "INSERT INTO notes(uuid,text) VALUES(?1,?2)", -1, &stmt, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, note->uuid.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, note->text, -1, SQLITE_STATIC);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
    note->id = sqlite3_last_insert_rowid(db);
}

static void capture(const struct note *note)
{
    enum syncline_status status =
        sl_library_capture(library, &note_model, note, 1, SYNCLINE_INSERT, db, 0, &err);
    cr_assert_eq(status, SYNCLINE_OK, "%s", err.text);
}

static void insert_in_autocommit(void)
{
    struct note note;
    insert(&note);
    capture(&note);
}

static void insert_in_transaction(void)
{
    struct note note;
    sql("BEGIN IMMEDIATE");
    insert(&note);
    capture(&note);
    sql("COMMIT");
}

/* What is in the log is in the tables, and what the outbox names can be sent. */
static void check(uint64_t seed)
{
    uint64_t seq = own_seq();
    cr_assert_leq(seq, (uint64_t)number("SELECT count(*) FROM notes"), "seed %" PRIu64, seed);
    insert_in_transaction();
    for (int i = 0; i < 1000 && own_seq() == seq; i++) {
        step_all();
    }
    cr_assert_gt(own_seq(), seq, "seed %" PRIu64 ": the engine does not go on", seed);
}

/* ---- The tests ---- */

/* A change that is captured in autocommit, and in the log, is in library.db after a power cut, with
 * its outbox row: nothing of it was synced by whoever committed it. */
Test(power_cut, after_a_capture_in_autocommit)
{
    start(1);
    insert_in_autocommit();
    while (own_seq() == 0) {
        step_all();
    }
    cut_power();
    cr_expect_eq(own_seq(), 1);
    cr_expect_eq(number("SELECT count(*) FROM notes"), 1);
    cr_expect_eq(number("SELECT count(*) FROM _syncline_outbox"), 1);
    check(1);
    end();
}

/* The same for a transaction of an application that does not sync its commits. */
Test(power_cut, after_a_transaction_that_is_not_synced)
{
    start(2);
    insert_in_transaction();
    while (own_seq() == 0) {
        step_all();
    }
    cut_power();
    cr_expect_eq(own_seq(), 1);
    cr_expect_eq(number("SELECT count(*) FROM notes"), 1);
    cr_expect_eq(number("SELECT count(*) FROM _syncline_outbox"), 1);
    check(2);
    end();
}

/* What is not in the log yet may be lost with the row that it is about; the library opens. */
Test(power_cut, before_it_is_in_the_log)
{
    start(3);
    insert_in_transaction();
    insert_in_autocommit();
    cut_power();
    cr_expect_eq(own_seq(), 0);
    cr_expect_eq(number("SELECT count(*) FROM notes"), 0);
    cr_expect_eq(number("SELECT count(*) FROM _syncline_outbox"), 0);
    check(3);
    end();
}

/* One thing that an application or the engine does. */
static void do_something(void)
{
    static const char *const checkpoints[] = {"PRAGMA wal_checkpoint(PASSIVE)",
                                              "PRAGMA wal_checkpoint(RESTART)",
                                              "PRAGMA wal_checkpoint(TRUNCATE)"};
    uint64_t what = sl_sim_random_below(&chance, 100);
    if (what < 10) {
        insert_in_autocommit();
    } else if (what < 20) {
        insert_in_transaction();
    } else if (what < 23) {
        (void)sqlite3_exec(db, checkpoints[what - 20], NULL, NULL, NULL);
    } else if (what < 25) {
        is_attached = !is_attached;
        cr_assert_eq(is_attached ? sl_library_attach(library, db, &err)
                                 : sl_library_detach(library, db, &err),
                     SYNCLINE_OK, "%s", err.text);
    } else {
        (void)sl_library_step(
            library, (size_t)sl_sim_random_below(&chance, sl_library_stage_count(library)));
    }
}

/* At any moment, with checkpoints and restarts of the WAL in between, and again and again. */
Test(power_cut, at_any_moment)
{
    uint64_t drained = 0;
    for (uint64_t seed = 10; seed < 160; seed++) {
        start(seed);
        for (int cut = 0; cut < 3; cut++) {
            uint64_t actions = sl_sim_random_scale(&chance, 4, 256);
            for (uint64_t i = 0; i < actions; i++) {
                do_something();
            }
            drained += own_seq();
            cut_power();
            check(seed);
        }
        end();
    }
    cr_expect_gt(drained, 1000, "hardly anything came into the log: %" PRIu64, drained);
}
