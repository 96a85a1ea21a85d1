/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What once went wrong, by the public calls: captures that are late, double or of rows that cannot
 * be sent, and segments that cannot be applied. None of it may lose a change, set one device apart
 * from the other, or hold up what comes after. */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "tests/integration/api.h"

/* This program's wall clock is this far ahead. Set by the test's thread while nothing is open. */
static atomic_llong clock_ahead_s;

/* How often this thread has asked for the time: a flush that waits does so again and again. */
static _Thread_local atomic_uint *times_asked;

/* Stands in for the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (times_asked != NULL) {
        (void)atomic_fetch_add(times_asked, 1);
    }
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        now->tv_sec += (time_t)atomic_load(&clock_ahead_s);
    }
    return result;
}

static void setup(void)
{
    atomic_store(&clock_ahead_s, 0);
    api_setup();
}

TestSuite(api_regressions, .init = setup, .fini = api_cleanup);

/* Opens an engine that knows no model but the tags, listens and dials nobody. */
static void open_tag_only(struct api_device *device)
{
    static const struct syncline_model *const tag_only[] = {&tag_model};
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    options.listen = "127.0.0.1:0";
    options.models = tag_only;
    options.models_count = 1;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
    struct syncline_info info = api_info(device);
    (void)snprintf(device->address, sizeof(device->address), "%s", info.listen);
}

/* Opens for capturing only: what is captured is read again by the engine that comes later. */
static void open_capture(struct api_device *device)
{
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
}

/* A further member that never runs: a flush of what `device` has made cannot succeed, and says by
 * what it knows why. */
static void join_absent(struct api_device *device, struct api_device *absent)
{
    api_join(absent, "absent", device->address);
    API_WAIT(api_info(device).members == 2);
}

/* The engine's last notice has this in it; for a device with changes and an absent member. */
static bool notice_has(struct api_device *device, const char *part)
{
    enum syncline_status status = syncline_flush(device->lib, SYNCLINE_LEVEL_APPLIED, 0, NULL);
    cr_assert_eq(status, SYNCLINE_TIMEOUT, "%s", syncline_status_name(status));
    return strstr(api_error(device->lib), part) != NULL;
}

/* The row was committed by the application and says so now, in autocommit. */
static void capture_late(struct api_device *device, const struct tag *tag,
                         enum syncline_change change)
{
    API_OK(device->lib,
           syncline_sync_model_with_db(device->lib, &tag_model, tag, change, device->db));
}

static void set_name(struct api_device *device, struct tag *tag, const char *name)
{
    tag->name = name;
    api_put_tag(device->db, tag);
}

/* ---- Captures in autocommit ---- */

/* A change that arrives between an application's commit and its capture in autocommit stands on
 * both devices: the table's row is what is sent. */
Test(api_regressions, late_capture_after_a_remote_change)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag tag = api_tag("at first");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    api_settle(&a, &b);

    set_name(&a, &tag, "by A");
    struct tag on_b = tag;
    on_b.id = api_id(b.db, "tags", &tag.uuid);
    on_b.name = "by B";
    api_save_tag(&b, &on_b, SYNCLINE_UPDATE);
    API_OK(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    cr_assert(api_tag_is(a.db, &tag.uuid, "by B"));
    capture_late(&a, &tag, SYNCLINE_UPDATE);
    api_settle(&a, &b);
    cr_expect(api_tag_is(a.db, &tag.uuid, "by B"));
    cr_expect(api_tag_is(b.db, &tag.uuid, "by B"));
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* Two updates captured in autocommit, in their order and in the other, with and without the
 * connection: what the table holds is what the other device gets. */
Test(api_regressions, late_captures_in_both_orders)
{
    struct api_device a;
    struct api_device b;
    struct tag tags[4];
    api_pair(&a, &b);
    for (size_t i = 0; i < 4; i++) {
        tags[i] = api_tag("at first");
        api_save_tag(&a, &tags[i], SYNCLINE_INSERT);
    }
    api_settle(&a, &b);
    for (size_t i = 0; i < 4; i++) {
        set_name(&a, &tags[i], "first");
        struct tag first = tags[i];
        set_name(&a, &tags[i], "second");
        const struct tag *order[2] = {i % 2 == 0 ? &first : &tags[i],
                                      i % 2 == 0 ? &tags[i] : &first};
        for (size_t k = 0; k < 2; k++) {
            if (i < 2) {
                capture_late(&a, order[k], SYNCLINE_UPDATE);
            } else {
                API_OK(a.lib, syncline_sync_model(a.lib, &tag_model, order[k], SYNCLINE_UPDATE));
            }
        }
    }
    api_settle(&a, &b);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags WHERE name='second'"), 4);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='second'"), 4);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* An insert that is captured twice - soon after, or when the first has long arrived, in autocommit
 * or in a transaction - is one record: its update and its delete reach the other side. */
Test(api_regressions, insert_captured_twice)
{
    struct api_device a;
    struct api_device b;
    struct tag tags[4];
    api_pair(&a, &b);
    for (size_t i = 0; i < 4; i++) {
        tags[i] = api_tag("one");
        if (i % 2 == 0) {
            api_put_tag(a.db, &tags[i]);
            capture_late(&a, &tags[i], SYNCLINE_INSERT);
        } else {
            api_save_tag(&a, &tags[i], SYNCLINE_INSERT);
        }
        if (i < 2) { /* A knows the record's birth by the time it is told again */
            API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
        }
        if (i % 2 == 0) {
            capture_late(&a, &tags[i], SYNCLINE_INSERT);
        } else {
            api_save_tag(&a, &tags[i], SYNCLINE_INSERT);
        }
    }
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='one'"), 4);

    for (size_t i = 0; i < 4; i++) {
        tags[i].name = "two";
        api_save_tag(&a, &tags[i], SYNCLINE_UPDATE);
    }
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='two'"), 4);

    for (size_t i = 0; i < 4; i++) {
        api_save_tag(&a, &tags[i], SYNCLINE_DELETE);
    }
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 0);
    api_close(&a);
    api_close(&b);
}

/* ---- Rows that cannot be sent ---- */

/* The record is set aside here, for a reason that has `part` in it. */
static void check_aside(struct api_device *device, size_t index, const char *model,
                        const struct syncline_uuid *uuid, const char *part)
{
    struct syncline_set_aside aside = SYNCLINE_SET_ASIDE_INIT;
    API_OK(device->lib, syncline_set_aside_get(device->lib, index, &aside));
    cr_expect_str_eq(aside.model, model);
    cr_expect_eq(memcmp(&aside.uuid, uuid, sizeof(*uuid)), 0, "%s", aside.reason);
    cr_expect_not_null(strstr(aside.reason, part), "\"%s\" is not in: %s", part, aside.reason);
}

/* Text bound into a BLOB column arrives as the model's type, and a blob in a TEXT column too. */
Test(api_regressions, text_and_blob_mixed_up)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct folder folder = api_new_folder("name", NULL);
    api_put_folder(a.db, &folder);
    struct tag tag = api_tag("name");
    api_put_tag(a.db, &tag);
    api_sql(a.db, "UPDATE folders SET name='as text'; UPDATE tags SET name=x'617320626c6f62'");
    api_capture(&a, &folder_model, &folder, 1, SYNCLINE_INSERT);
    capture_late(&a, &tag, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM folders WHERE name=CAST('as text' AS BLOB)"),
                 1);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='as blob'"), 1);
    cr_expect_eq(api_info(&a).set_aside, 0);
    cr_expect_eq(api_info(&b).set_aside, 0);

    folder.name = (struct syncline_bytes){.data = "later", .len = 5};
    api_put_folder(a.db, &folder);
    api_capture(&a, &folder_model, &folder, 1, SYNCLINE_UPDATE);
    set_name(&a, &tag, "later");
    capture_late(&a, &tag, SYNCLINE_UPDATE);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* A value that the column's type cannot hold sets its record aside, with the field's name, and the
 * records after it arrive. */
Test(api_regressions, value_of_another_type)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag red = api_tag("red");
    api_put_tag(a.db, &red);
    api_sql(a.db, "UPDATE tags SET color='red'");
    capture_late(&a, &red, SYNCLINE_INSERT);
    API_WAIT(api_info(&a).set_aside == 1);
    struct folder folder = api_new_folder("name", NULL);
    api_put_folder(a.db, &folder);
    api_sql(a.db, "UPDATE folders SET name=5");
    api_capture(&a, &folder_model, &folder, 1, SYNCLINE_INSERT);
    struct tag later = api_tag("later");
    api_save_tag(&a, &later, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_expect(api_has(b.db, "tags", &later.uuid));
    cr_expect_not(api_has(b.db, "tags", &red.uuid));
    cr_expect_not(api_has(b.db, "folders", &folder.uuid));
    cr_expect_eq(api_info(&a).set_aside, 2);
    cr_expect_eq(api_info(&a).outbox, 0);
    check_aside(&a, 0, "tag", &red.uuid, "'color'");
    check_aside(&a, 1, "folder", &folder.uuid, "'name'");
    api_close(&a);
    api_close(&b);
}

/* A record that has grown past the limit after its insert was captured is set aside, and what was
 * captured after it arrives. */
Test(api_regressions, grown_after_its_capture)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    open_capture(&a);
    struct tag grown = api_tag("grown");
    api_put_tag(a.db, &grown);
    capture_late(&a, &grown, SYNCLINE_INSERT);
    size_t len = 5000000;
    char *note = malloc(len);
    cr_assert_not_null(note);
    memset(note, 'x', len);
    grown.note = (struct syncline_text){.data = note, .len = len};
    api_put_tag(a.db, &grown);
    API_REFUSED(a.lib, syncline_sync_model(a.lib, &tag_model, &grown, SYNCLINE_UPDATE),
                SYNCLINE_ETOOBIG, "tag");
    struct tag later = api_tag("later");
    api_save_tag(&a, &later, SYNCLINE_INSERT);
    api_stop(&a);

    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    api_open(&b, a.address);
    struct tag last = api_tag("last");
    api_save_tag(&a, &last, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_expect(api_has(b.db, "tags", &later.uuid));
    cr_expect(api_has(b.db, "tags", &last.uuid));
    cr_expect_not(api_has(b.db, "tags", &grown.uuid));
    cr_expect_eq(api_info(&a).set_aside, 1);
    cr_expect_eq(api_info(&a).outbox, 0);
    check_aside(&a, 0, "tag", &grown.uuid, "1048576");
    api_close(&a);
    api_close(&b);
    free(note);
}

/* One row whose UUID is not 16 bytes any more does not stop the outbox. */
Test(api_regressions, uuid_of_another_size)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    open_capture(&a);
    struct tag bad = api_tag("bad");
    struct tag good = api_tag("good");
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &bad);
    api_put_tag(a.db, &good);
    struct tag rows[2] = {bad, good};
    api_capture(&a, &tag_model, rows, 2, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    api_sql(a.db, "UPDATE tags SET uuid='11111111-1111' WHERE name='bad'");
    api_stop(&a);

    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    api_open(&b, a.address);
    struct tag later = api_tag("later");
    api_save_tag(&a, &later, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_expect_eq(api_info(&a).outbox, 0);
    cr_expect(api_has(b.db, "tags", &good.uuid));
    cr_expect(api_has(b.db, "tags", &later.uuid));
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 2);
    api_close(&a);
    api_close(&b);
}

/* Outside a transaction a delete is captured after it was made, and a record of another device may
 * come in between: it does not get the id that the deleted one had, so the capture finds the right
 * birth, and both records end as they should. */
Test(api_regressions, delete_captured_after_another_record_came)
{
    struct api_device a;
    struct api_device b;
    struct tag gone = api_tag("gone");
    struct tag comes = api_tag("comes");
    api_pair(&a, &b);
    api_save_tag(&a, &gone, SYNCLINE_INSERT);
    api_settle(&a, &b);
    API_WAIT(api_int(a.db, "SELECT count(*) FROM _syncline_birth") == 1);
    api_delete(a.db, "tags", &gone.uuid);
    api_save_tag(&b, &comes, SYNCLINE_INSERT);
    API_WAIT(api_has(a.db, "tags", &comes.uuid));
    cr_expect_neq(api_id(a.db, "tags", &comes.uuid), gone.id);
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &gone, SYNCLINE_DELETE, a.db));
    api_settle(&a, &b);
    cr_expect_not(api_has(b.db, "tags", &gone.uuid));
    comes.name = "changed";
    api_save_tag(&b, &comes, SYNCLINE_UPDATE);
    api_settle(&a, &b);
    cr_expect(api_tag_is(a.db, &comes.uuid, "changed"));
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* ---- Captures that are rolled back ---- */

/* An id is any number that SQLite takes: 0, and those at both ends. Their records are known again
 * after the handle was closed, so that updates and deletes of them arrive. */
Test(api_regressions, ids_of_any_value)
{
    static const int64_t ids[] = {INT64_MAX, INT64_MIN, INT64_MIN + 1, 0, 1};
    enum { N = sizeof(ids) / sizeof(ids[0]) };
    struct api_device a;
    struct api_device b;
    struct folder folders[N];
    api_pair(&a, &b);
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < N; i++) {
        folders[i] = api_new_folder("first", NULL);
        folders[i].id = 1000 + (int64_t)i; /* 0 would be filled in */
        api_put_folder(a.db, &folders[i]);
        sqlite3_stmt *stmt = api_prepare(a.db, "UPDATE folders SET id=?1 WHERE id=?2");
        (void)sqlite3_bind_int64(stmt, 1, ids[i]);
        (void)sqlite3_bind_int64(stmt, 2, folders[i].id);
        api_run(a.db, stmt);
        folders[i].id = ids[i];
    }
    api_capture(&a, &folder_model, folders, N, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_stop(&a);
    api_open(&a, NULL);
    for (size_t i = 0; i < N; i++) {
        folders[i].name = (struct syncline_bytes){.data = "second", .len = 6};
        api_put_folder(a.db, &folders[i]);
        folders[i].id = ids[i];
        api_capture(&a, &folder_model, &folders[i], 1, SYNCLINE_UPDATE);
    }
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM folders WHERE name=x'7365636f6e64'"), N);
    api_check_equal(&a, &b);
    api_stop(&a);
    api_open(&a, NULL);
    for (size_t i = 0; i < N; i++) {
        api_delete(a.db, "folders", &folders[i].uuid);
        api_capture(&a, &folder_model, &folders[i], 1, SYNCLINE_DELETE);
    }
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM folders"), 0);
    api_close(&a);
    api_close(&b);
}

/* As many captures as are kept in memory, all rolled back: later ones arrive, and after them what a
 * capture in a transaction says is again what its row struct held at that moment. */
Test(api_regressions, many_captures_rolled_back)
{
    enum { STAGED_MAX = 64, LATER = 100 };
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < STAGED_MAX; i++) {
        struct tag tag = api_tag("rolled back");
        api_put_tag(a.db, &tag);
        capture_late(&a, &tag, SYNCLINE_INSERT);
    }
    api_sql(a.db, "ROLLBACK");
    for (size_t i = 0; i < LATER; i++) {
        struct tag tag = api_tag("later");
        api_save_tag(&a, &tag, SYNCLINE_INSERT);
    }
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), LATER);

    struct tag tag = api_tag("as captured");
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &tag);
    capture_late(&a, &tag, SYNCLINE_INSERT);
    api_sql(a.db, "UPDATE tags SET name='not captured' WHERE name='as captured'");
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    cr_expect(api_tag_is(b.db, &tag.uuid, "as captured"));
    api_close(&a);
    api_close(&b);
}

/* ---- Segments that cannot be applied ---- */

/* Segments from a clock a day ahead are held with a notice, and move no clock of the receiver, not
 * even when it is opened again: the sender applies what it changes next. */
Test(api_regressions, clock_ahead)
{
    struct api_device a;
    struct api_device b;
    struct api_device absent;
    struct tag of_b[2] = {api_tag("before"), api_tag("after")};
    api_create(&a, "a");
    atomic_store(&clock_ahead_s, 86400);
    open_capture(&a);
    struct tag ahead = api_tag("ahead");
    api_save_tag(&a, &ahead, SYNCLINE_INSERT);
    api_stop(&a);
    atomic_store(&clock_ahead_s, 0);

    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    api_open(&b, a.address);
    join_absent(&b, &absent);
    api_save_tag(&b, &of_b[0], SYNCLINE_INSERT);
    API_WAIT(notice_has(&b, "clock"));
    API_WAIT(api_has(a.db, "tags", &of_b[0].uuid));
    cr_expect_eq(api_info(&b).received, 1);
    cr_expect_eq(api_info(&b).received_applied, 0);

    api_stop(&b);
    api_open(&b, a.address);
    api_save_tag(&b, &of_b[1], SYNCLINE_INSERT);
    API_WAIT(api_has(a.db, "tags", &of_b[1].uuid));
    API_WAIT(notice_has(&b, "clock"));
    cr_expect_eq(api_info(&b).received_applied, 0);
    cr_expect_not(api_has(b.db, "tags", &ahead.uuid));
    api_close(&a);
    api_close(&b);
    api_close(&absent);
}

/* Segments before one with a model that the receiver does not know are applied; when it is opened
 * with that model, the rest follows. */
Test(api_regressions, unknown_model)
{
    struct api_device a;
    struct api_device b;
    struct tag tags[3];
    api_create(&a, "a");
    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    for (size_t i = 0; i < 3; i++) {
        tags[i] = api_tag("before");
        api_save_tag(&a, &tags[i], SYNCLINE_INSERT);
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    }
    struct folder folder = api_save_folder(&a, "folder", NULL);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));

    /* All of it is in B's log before B's engine can apply the first of it. */
    api_stop(&a);
    open_tag_only(&b);
    api_sql(b.db, "BEGIN IMMEDIATE");
    api_open(&a, b.address);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&b).received_applied, 0);
    api_sql(b.db, "COMMIT");
    API_WAIT(api_info(&b).received_applied == 3);
    cr_expect_eq(api_info(&b).received, 4);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='before'"), 3);
    struct tag of_b = api_tag("of B");
    api_save_tag(&b, &of_b, SYNCLINE_INSERT);
    API_OK(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&b).received_applied, 3);

    api_stop(&b);
    api_open(&b, NULL);
    api_settle(&a, &b);
    cr_expect(api_has(b.db, "folders", &folder.uuid));
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

static atomic_uint attempts; /* of the receiver to write the row that its trigger refuses */

/* attempted(), for triggers: counts, even when everything is rolled back. */
static void count_attempt(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    (void)argv;
    (void)atomic_fetch_add(&attempts, 1);
    sqlite3_result_int(context, 1);
}

static int add_function(sqlite3 *db, const char **text, const struct sqlite3_api_routines *routines)
{
    (void)text;
    (void)routines;
    return sqlite3_create_function_v2(db, "attempted", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, NULL,
                                      count_attempt, NULL, NULL, NULL);
}

/* A trigger on the receiver that rolls the engine's transaction back holds the sender, with a
 * notice that names the table: the engine does not try for ever, and its own changes and those of a
 * third device go on. Without the trigger everything arrives. */
Test(api_regressions, trigger_that_rolls_back)
{
    struct api_device a;
    struct api_device b;
    struct api_device c;
    atomic_store(&attempts, 0);
    cr_assert_eq(sqlite3_auto_extension((void (*)(void))add_function), SQLITE_OK);
    api_pair(&a, &b);
    join_absent(&b, &c);
    api_sql(b.db, "CREATE TRIGGER refuse BEFORE INSERT ON tags WHEN new.name='refused' AND"
                  " attempted() BEGIN SELECT RAISE(ROLLBACK, 'no such tag here'); END");
    struct tag before = api_tag("before");
    api_save_tag(&b, &before, SYNCLINE_INSERT);
    struct tag refused = api_tag("refused");
    api_save_tag(&a, &refused, SYNCLINE_INSERT);
    struct tag later = api_tag("later");
    api_save_tag(&a, &later, SYNCLINE_INSERT);
    API_WAIT(notice_has(&b, "'tags'"));
    cr_expect_not_null(strstr(api_error(b.lib), "no such tag here"), "%s", api_text);

    unsigned tried = atomic_load(&attempts);
    cr_expect_geq(tried, 1);
    api_open(&c, b.address);
    for (int i = 0; i < 20; i++) { /* the engine has worked that often since */
        struct tag of_b = api_tag("of B");
        struct tag of_c = api_tag("of C");
        api_save_tag(&b, &of_b, SYNCLINE_INSERT);
        api_save_tag(&c, &of_c, SYNCLINE_INSERT);
        API_WAIT(api_has(a.db, "tags", &of_b.uuid) && api_has(b.db, "tags", &of_c.uuid));
    }
    cr_expect_eq(atomic_load(&attempts), tried);
    cr_expect_not(api_has(b.db, "tags", &refused.uuid));
    cr_expect_not(api_has(b.db, "tags", &later.uuid));

    api_stop(&b);
    api_sql(b.db, "DROP TRIGGER refuse");
    api_open(&b, a.address);
    API_WAIT(api_has(b.db, "tags", &refused.uuid) && api_has(b.db, "tags", &later.uuid));
    cr_expect_eq(api_info(&b).set_aside, 0);
    api_close(&a);
    api_close(&b);
    api_close(&c);
    (void)sqlite3_cancel_auto_extension((void (*)(void))add_function);
}

/* ---- Waiting ---- */

/* Another thread of the application that writes until it is told to stop. */
struct writer {
    struct syncline *lib;
    sqlite3 *db;
    atomic_bool stop;
    atomic_uint written;
    atomic_bool failed;
};

static bool write_one(struct writer *writer)
{
    struct tag tag = {.name = "of the writer"};
    sqlite3_stmt *stmt = NULL;
    if (syncline_uuid_new(&tag.uuid, 1) != SYNCLINE_OK ||
        sqlite3_exec(writer->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(writer->db, "INSERT INTO tags(uuid,name) VALUES(?1,?2)", -1, &stmt,
                           NULL) != SQLITE_OK) {
        return false;
    }
    api_bind_uuid(stmt, 1, &tag.uuid);
    (void)sqlite3_bind_text(stmt, 2, tag.name, -1, SQLITE_STATIC);
    int code = sqlite3_step(stmt);
    (void)sqlite3_finalize(stmt);
    tag.id = sqlite3_last_insert_rowid(writer->db);
    return code == SQLITE_DONE &&
           syncline_sync_model_with_db(writer->lib, &tag_model, &tag, SYNCLINE_INSERT,
                                       writer->db) == SYNCLINE_OK &&
           sqlite3_exec(writer->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
}

static void *write_on(void *arg)
{
    struct writer *writer = arg;
    while (!atomic_load(&writer->stop) && !atomic_load(&writer->failed)) {
        if (!write_one(writer)) {
            atomic_store(&writer->failed, true);
            break;
        }
        (void)atomic_fetch_add(&writer->written, 1);
    }
    return NULL;
}

/* A flush ends though another thread never stops writing: it waits for what was committed before
 * the call, which is then there. */
Test(api_regressions, flush_under_load)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct writer writer = {.lib = a.lib, .db = api_db_open(a.db_path)};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, write_on, &writer), 0);
    for (int i = 0; i < 10; i++) {
        unsigned seen = atomic_load(&writer.written);
        API_WAIT(atomic_load(&writer.written) > seen + 10 || atomic_load(&writer.failed));
        cr_assert_not(atomic_load(&writer.failed));
        int64_t own = api_int(a.db, "SELECT count(*) FROM tags");
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
        cr_expect_geq(api_info(&b).received, (uint64_t)own);
    }
    atomic_store(&writer.stop, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_not(atomic_load(&writer.failed), "%s", sqlite3_errmsg(writer.db));
    cr_expect_eq(sqlite3_close(writer.db), SQLITE_OK);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* A flush on a thread of its own. */
struct flusher {
    struct syncline *lib;
    atomic_uint asked; /* for the time, while it waits */
    atomic_bool ended;
    enum syncline_status status;
};

static void *flush_on(void *arg)
{
    struct flusher *flusher = arg;
    times_asked = &flusher->asked;
    flusher->status = syncline_flush(flusher->lib, SYNCLINE_LEVEL_APPLIED, -1, NULL);
    times_asked = NULL;
    atomic_store(&flusher->ended, true);
    return NULL;
}

/* What is committed while a flush waits is not waited for: here it is never applied. */
Test(api_regressions, flush_and_what_comes_after)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    api_stop(&a);
    open_tag_only(&b);
    api_open(&a, b.address);
    api_sql(b.db, "BEGIN IMMEDIATE"); /* nothing is applied for now */
    struct tag tag = api_tag("before");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));

    struct flusher flusher = {.lib = a.lib};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, flush_on, &flusher), 0);
    API_WAIT(atomic_load(&flusher.asked) > 5); /* it waits */
    (void)api_save_folder(&a, "unknown to B", NULL);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    cr_expect_not(atomic_load(&flusher.ended));
    api_sql(b.db, "COMMIT");
    API_WAIT(atomic_load(&flusher.ended));
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(flusher.status, SYNCLINE_OK, "%s", syncline_status_name(flusher.status));
    cr_expect(api_has(b.db, "tags", &tag.uuid));
    cr_expect_eq(api_info(&b).received_applied, 1);
    api_close(&a);
    api_close(&b);
}
