/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What is settled while a transaction of the application is open, stepped by hand. */

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "pipeline/library.h"

#define ROWS SL_SETTLE_ALONG_CHANGES /* so many that the next capture settles them */
#define GONE 3u
#define ROUNDS_MAX 2000000 /* far more than it takes: a bound, not a time */

struct note {
    int64_t id;
    struct syncline_uuid uuid;
};

static const struct syncline_field note_fields[] = {SYNCLINE_ID(struct note, id),
                                                    SYNCLINE_UUID(struct note, uuid)};
static const struct syncline_model note_model =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_DEVICE_OWNED, struct note, note_fields);
static const struct syncline_model *const models[] = {&note_model};

static char folder[64];
static char library_db[96];
static char sync_db[96];
static struct sl_identity identity;
static struct sl_library *library;
static sqlite3 *db;
static struct sl_error err;
static struct note notes[ROWS];

static void sql(const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static int64_t number(const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

static void begin(void)
{
    struct syncline_uuid library_id;
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-settle-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(library_db, sizeof(library_db), "%s/library.db", folder);
    (void)snprintf(sync_db, sizeof(sync_db), "%s/sync.db", folder);
    cr_assert_eq(syncline_uuid_new(&library_id, 1), SYNCLINE_OK);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &identity, &err), SYNCLINE_OK);
    struct sl_library_config config = {.env = sl_env_posix(),
                                       .library_db = library_db,
                                       .sync_db = sync_db,
                                       .identity = &identity,
                                       .models = models,
                                       .models_count = 1,
                                       .engine = true};
    cr_assert_eq(sl_library_create(&config, &library_id, "Notes", "a", &err), SYNCLINE_OK);
    cr_assert_eq(sqlite3_open(library_db, &db), SQLITE_OK);
    sql("CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE)");
    cr_assert_eq(sl_library_open(&config, &library, &err), SYNCLINE_OK);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void end(void)
{
    sl_library_close(library);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    cr_assert_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(settle, .init = begin, .fini = end);

static void capture(const struct note *rows, size_t n, enum syncline_change change)
{
    cr_assert_eq(sl_library_capture(library, &note_model, rows, n, change, db, 0, &err),
                 SYNCLINE_OK, "%s", err.text);
}

static void insert_notes(void)
{
    static struct syncline_uuid uuids[ROWS];
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(syncline_uuid_new(uuids, ROWS), SYNCLINE_OK);
    sql("BEGIN IMMEDIATE");
    cr_assert_eq(sqlite3_prepare_v2(db, "INSERT INTO notes(uuid) VALUES(?1)", -1, &stmt, NULL),
                 SQLITE_OK);
    for (size_t i = 0; i < ROWS; i++) {
        (void)sqlite3_bind_blob(stmt, 1, &uuids[i], sizeof(uuids[i]), SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        (void)sqlite3_reset(stmt);
        notes[i] = (struct note){.id = sqlite3_last_insert_rowid(db), .uuid = uuids[i]};
    }
    (void)sqlite3_finalize(stmt);
    capture(notes, ROWS, SYNCLINE_INSERT);
    sql("COMMIT");
}

static uint64_t own_seq(void)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(sl_library_info(library, &info, &err), SYNCLINE_OK);
    return info.own_seq;
}

/* Steps the stages from intake to `last` until the log holds so many changes, or for long enough.
 */
static void step_to(uint64_t seq, size_t last)
{
    for (int round = 0; round < ROUNDS_MAX && own_seq() < seq; round++) {
        for (size_t stage = SL_STAGE_INTAKE; stage <= last; stage++) {
            (void)sl_library_step(library, stage);
        }
    }
}

/* Rows are deleted first, and then captured by one call each. The first of these calls settles the
 * rows' inserts, when the rows are gone and two of the deletes are not captured yet; all three
 * deletes are sent all the same, also when those before are settled long ago. */
Test(settle, rows_deleted_before_their_calls)
{
    insert_notes();
    step_to(ROWS, SL_STAGE_LOG_APPEND);
    sql("BEGIN IMMEDIATE");
    for (unsigned i = 0; i < GONE; i++) {
        sql("DELETE FROM notes WHERE id=(SELECT min(id) FROM notes)");
    }
    capture(&notes[0], 1, SYNCLINE_DELETE);
    cr_assert_eq(number("SELECT applied_seq FROM _syncline_origin"), ROWS, "nothing was settled");
    capture(&notes[1], 1, SYNCLINE_DELETE);
    capture(&notes[2], 1, SYNCLINE_DELETE);
    sql("COMMIT");
    for (uint64_t seq = ROWS + 1; seq < ROWS + GONE; seq++) {
        while (!sl_library_step(library, SL_STAGE_FK_RESOLVE)) { /* one batch of them */
            (void)sl_library_step(library, SL_STAGE_INTAKE);
        }
        while (own_seq() < seq) {
            (void)sl_library_step(library, SL_STAGE_SERIALIZE);
            (void)sl_library_step(library, SL_STAGE_LOG_APPEND);
        }
    }
    while (number("SELECT applied_seq FROM _syncline_origin") < (int64_t)(ROWS + GONE - 1)) {
        (void)sl_library_step(library, SL_STAGE_SETTLE);
    }
    for (int round = 0; round < 20000 && own_seq() < ROWS + GONE; round++) {
        (void)sl_library_step(library, SL_STAGE_FK_RESOLVE);
        (void)sl_library_step(library, SL_STAGE_INTAKE);
        (void)sl_library_step(library, SL_STAGE_SERIALIZE);
        (void)sl_library_step(library, SL_STAGE_LOG_APPEND);
    }
    cr_expect_eq(own_seq(), ROWS + GONE, "%llu changes are in the log",
                 (unsigned long long)own_seq());
}

static bool settles; /* a birth is being written */

static int note_statement(unsigned kind, void *ctx, void *statement, void *text)
{
    (void)kind;
    (void)ctx;
    (void)text;
    settles = settles || strstr(sqlite3_sql(statement), "INTO _syncline_birth") != NULL;
    return 0;
}

static int interrupt_settling(void *ctx)
{
    (void)ctx;
    return settles ? 1 : 0;
}

/* The application stops a capture that settles along, by its progress handler, and SQLite rolls the
 * whole transaction back: the capture does not say that all is well. */
Test(settle, transaction_gone_while_settling)
{
    struct note one = {.id = 0};
    char insert[128] = "INSERT INTO notes(uuid) VALUES(x'";
    insert_notes();
    step_to(ROWS, SL_STAGE_LOG_APPEND);
    cr_assert_eq(syncline_uuid_new(&one.uuid, 1), SYNCLINE_OK);
    for (size_t i = 0; i < sizeof(one.uuid.bytes); i++) {
        size_t len = strlen(insert);
        (void)snprintf(insert + len, sizeof(insert) - len, "%02x", one.uuid.bytes[i]);
    }
    (void)strcat(insert, "')");
    sql("BEGIN IMMEDIATE");
    sql(insert);
    one.id = sqlite3_last_insert_rowid(db);
    (void)sqlite3_trace_v2(db, SQLITE_TRACE_STMT, note_statement, NULL);
    sqlite3_progress_handler(db, 1, interrupt_settling, NULL);
    enum syncline_status status =
        sl_library_capture(library, &note_model, &one, 1, SYNCLINE_INSERT, db, 0, &err);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    (void)sqlite3_trace_v2(db, 0, NULL, NULL);
    cr_assert(settles && sqlite3_get_autocommit(db) != 0, "nothing was rolled back");
    cr_expect_eq(status, SYNCLINE_EDB);
    cr_expect_not_null(strstr(err.text, "rolled the transaction back"), "%s", err.text);
    /* And it goes on as if nothing had been. */
    sql("BEGIN IMMEDIATE");
    sql(insert);
    one.id = sqlite3_last_insert_rowid(db);
    capture(&one, 1, SYNCLINE_INSERT);
    sql("COMMIT");
    step_to(ROWS + 1, SL_STAGE_LOG_APPEND);
    cr_expect_eq(own_seq(), ROWS + 1);
}

static int count_reads(unsigned kind, void *count, void *statement, void *text)
{
    (void)kind;
    (void)text;
    if (strstr(sqlite3_sql(statement), "FROM _syncline_outbox WHERE id>") != NULL) {
        ++*(int *)count;
    }
    return 0;
}

/* A capture that settles does not read what waits in the outbox, however long that is: what was
 * committed when the changes were resolved is known. */
Test(settle, backlog_is_not_read_again)
{
    enum { WAIT = 500, MORE = 3 };
    insert_notes();
    sql("BEGIN IMMEDIATE");
    for (size_t i = 0; i < WAIT; i++) {
        capture(&notes[i], 1, SYNCLINE_DELETE);
    }
    sql("DELETE FROM notes WHERE id<=(SELECT min(id) FROM notes)+499");
    sql("COMMIT");
    step_to(ROWS, SL_STAGE_LOG_APPEND);
    uint64_t held = own_seq();
    int reads = 0;
    sql("BEGIN IMMEDIATE");
    (void)sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_reads, &reads);
    capture(&notes[WAIT], MORE, SYNCLINE_UPDATE);
    (void)sqlite3_trace_v2(db, 0, NULL, NULL);
    cr_expect_eq(number("SELECT applied_seq FROM _syncline_origin"), held, "nothing was settled");
    sql("COMMIT");
    cr_assert_lt(held, ROWS + WAIT, "nothing waits");
    cr_expect_lt(reads, 200, "%d rows were read", reads);
    step_to(ROWS + WAIT + MORE, SL_STAGE_LOG_APPEND);
    cr_expect_eq(own_seq(), ROWS + WAIT + MORE);
}
