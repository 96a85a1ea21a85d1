/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Rows that were there before the library: each is taken in once, whatever the application does
 * meanwhile, however often the library is closed or the process killed. */

#include <signal.h>
#include <sys/wait.h>

#include "tests/integration/api.h"

TestSuite(scan, .init = api_setup, .fini = api_cleanup);

/* A directory with the application's database alone, and its connection. */
static void make_older(struct api_device *device, const char *name)
{
    api_name(device, name);
    cr_assert_eq(mkdir(device->dir, 0700), 0);
    device->db = api_db_open(device->db_path);
    api_sql(device->db, "PRAGMA journal_mode=WAL");
    api_sql(device->db, "PRAGMA foreign_keys=ON");
    api_sql(device->db, api_schema);
}

/* UUIDs that no two tables and no two names of `seed` share. */
static void add_rows(sqlite3 *db, int seed, int tags, int folders)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<%d)"
                   " INSERT INTO tags(uuid,name,color) SELECT"
                   " CAST(printf('tag%%03d%%010d',%d,i) AS BLOB),'older',i FROM n",
                   tags, seed);
    api_sql(db, sql);
    /* Each folder is in the one that follows, but for the last: children before parents. */
    (void)snprintf(sql, sizeof(sql),
                   "BEGIN; PRAGMA defer_foreign_keys=ON;"
                   "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<%d)"
                   " INSERT INTO folders(id,uuid,parent_id,name) SELECT i,"
                   " CAST(printf('dir%%03d%%010d',%d,i) AS BLOB),iif(i<%d,i+1,NULL),x'61' FROM n;"
                   "COMMIT",
                   folders, seed, folders);
    api_sql(db, sql);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO things(uuid,count,size,flag,at,tag_id,folder_id,second_tag) SELECT"
                   " CAST(printf('thg%%03d%%010d',%d,t.id) AS BLOB),1,1.5,1,5,t.id,f.id,t.uuid"
                   " FROM tags t LEFT JOIN folders f ON f.id=t.id",
                   seed);
    api_sql(db, sql);
}

static int64_t all_rows(sqlite3 *db)
{
    return api_int(db, "SELECT (SELECT count(*) FROM tags)+(SELECT count(*) FROM folders)"
                       "+(SELECT count(*) FROM things)");
}

static void make_library(struct api_device *device)
{
    struct syncline_options options = api_options();
    cr_assert_eq(syncline_create(device->dir, "the library", &options), SYNCLINE_OK, "%s",
                 api_text);
}

static void flush(struct api_device *device, enum syncline_level level)
{
    API_OK(device->lib, syncline_flush(device->lib, level, API_DEADLINE_MS, NULL));
}

/* All are in the log, once each, and on the other device. */
static void check_taken_in(struct api_device *a, int64_t changes)
{
    struct api_device b;
    flush(a, SYNCLINE_LEVEL_DURABLE);
    struct syncline_info info = api_info(a);
    cr_assert_eq(info.own_seq, (uint64_t)changes, "%" PRIu64 " changes of %" PRId64, info.own_seq,
                 changes);
    cr_assert_eq(info.unscanned, 0);
    cr_assert_eq(api_int(a->db, "SELECT count(*) FROM _syncline_scan"), 0);
    api_join(&b, "second", a->address);
    api_open(&b, a->address);
    flush(a, SYNCLINE_LEVEL_APPLIED);
    api_check_equal(a, &b);
    api_close(&b);
}

/* More rows than a slice looks at, keys between tables and within one, children before parents:
 * after a flush all are in the log, and then on the other device. */
Test(scan, older_rows)
{
    struct api_device a;
    make_older(&a, "a");
    add_rows(a.db, 1, 2500, 1200);
    make_library(&a);
    api_open(&a, NULL);
    check_taken_in(&a, all_rows(a.db));
    api_stop(&a);
    api_open(&a, NULL); /* what is done stays done */
    flush(&a, SYNCLINE_LEVEL_DURABLE);
    cr_expect_eq(api_info(&a).own_seq, (uint64_t)all_rows(a.db));
    api_close(&a);
}

/* A chain that is longer than what one slice takes along is sent from its beginning. */
Test(scan, long_chain)
{
    struct api_device a;
    make_older(&a, "a");
    add_rows(a.db, 1, 1, 10000);
    make_library(&a);
    api_open(&a, NULL);
    check_taken_in(&a, all_rows(a.db));
    api_close(&a);
}

/* The application goes on meanwhile: it changes, deletes and adds, and captures that. */
Test(scan, while_the_application_writes)
{
    struct api_device a;
    struct api_device b;
    make_older(&a, "a");
    add_rows(a.db, 1, 5000, 10);
    make_library(&a);
    api_open(&a, NULL);
    for (int64_t i = 0; i < 300; i++) {
        struct tag tag = api_tag("newer");
        api_save_tag(&a, &tag, SYNCLINE_INSERT);
        char sql[96];
        (void)snprintf(sql, sizeof(sql), "SELECT id FROM tags WHERE id=%" PRId64, 4990 - 16 * i);
        tag.id = api_int(a.db, sql);
        sqlite3_stmt *stmt = api_prepare(a.db, "SELECT uuid FROM tags WHERE id=?1");
        (void)sqlite3_bind_int64(stmt, 1, tag.id);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
        memcpy(tag.uuid.bytes, sqlite3_column_blob(stmt, 0), 16);
        (void)sqlite3_finalize(stmt);
        tag.name = "changed";
        api_save_tag(&a, &tag, SYNCLINE_UPDATE);
        if (i % 3 != 0) {
            continue;
        }
        /* Its thing goes first, uncaptured if it is not taken in yet: the capture says so. */
        struct thing thing = {.id = tag.id};
        stmt = api_prepare(a.db, "SELECT uuid FROM things WHERE id=?1");
        (void)sqlite3_bind_int64(stmt, 1, thing.id);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
        memcpy(thing.uuid.bytes, sqlite3_column_blob(stmt, 0), 16);
        (void)sqlite3_finalize(stmt);
        api_sql(a.db, "BEGIN IMMEDIATE");
        api_delete(a.db, "things", &thing.uuid);
        api_capture(&a, &thing_model, &thing, 1, SYNCLINE_DELETE);
        api_delete(a.db, "tags", &tag.uuid);
        api_capture(&a, &tag_model, &tag, 1, SYNCLINE_DELETE);
        api_sql(a.db, "COMMIT");
    }
    flush(&a, SYNCLINE_LEVEL_DURABLE);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_scan"), 0);
    api_join(&b, "b", a.address);
    api_open(&b, a.address);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='changed'"), 200);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='newer'"), 300);
    api_close(&a);
    api_close(&b);
}

/* What is written without a capture once the library is there is found when the engine is idle. */
Test(scan, nobody_captured)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_stop(&a);
    api_sql(a.db, "INSERT INTO tags(uuid,name) VALUES(randomblob(16),'bare'),"
                  "(randomblob(16),'bare')");
    api_open(&a, NULL);
    API_WAIT(api_int(b.db, "SELECT count(*) FROM tags") == 2);
    cr_expect_eq(api_info(&a).own_seq, 2);
    api_stop(&a);
    api_sql(a.db, "DELETE FROM tags WHERE id=1");
    api_open(&a, NULL);
    API_WAIT(api_info(&a).own_seq == 3);
    api_close(&a);
    api_close(&b);
}

/* Closed and opened again and again in the middle: once each all the same. */
Test(scan, reopened)
{
    struct api_device a;
    make_older(&a, "a");
    add_rows(a.db, 1, 6000, 3000);
    make_library(&a);
    for (int i = 0; i < 10; i++) {
        api_open_alone(&a);
        int64_t before = api_int(a.db, "SELECT sum(after) FROM _syncline_scan");
        API_WAIT(api_int(a.db, "SELECT sum(after) FROM _syncline_scan") != before ||
                 api_int(a.db, "SELECT count(*) FROM _syncline_scan") == 0);
        api_stop(&a);
    }
    api_open(&a, NULL);
    check_taken_in(&a, all_rows(a.db));
    api_close(&a);
}

/* In a child: the engine, until it is killed. */
static void run_until_killed(const struct api_device *device)
{
    struct syncline_options options = api_options();
    struct syncline *lib = NULL;
    options.role = SYNCLINE_ROLE_ENGINE;
    if (syncline_open(device->dir, &options, &lib) == SYNCLINE_OK) {
        enum syncline_status ignored = syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, -1, NULL);
        (void)ignored;
    }
    for (;;) {
        (void)pause();
    }
}

/* Killed in the middle: once each all the same. */
Test(scan, killed)
{
    struct api_device a;
    make_older(&a, "a");
    add_rows(a.db, 1, 6000, 3000);
    make_library(&a);
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    api_stop(&a);
    for (int i = 0; i < 12; i++) {
        int64_t before = api_int(a.db, "SELECT total(after) FROM _syncline_scan");
        int64_t rows = api_int(a.db, "SELECT max(id) FROM _syncline_outbox");
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            run_until_killed(&a);
        }
        API_WAIT(api_int(a.db, "SELECT total(after) FROM _syncline_scan") != before ||
                 api_int(a.db, "SELECT max(id) FROM _syncline_outbox") > rows ||
                 api_int(a.db, "SELECT count(*) FROM _syncline_scan") == 0);
        cr_assert_eq(kill(pid, SIGKILL), 0);
        cr_assert_eq(waitpid(pid, NULL, 0), pid);
    }
    api_open(&a, NULL);
    check_taken_in(&a, all_rows(a.db));
    api_close(&a);
}

/* Without an engine nothing is taken in, and a flush says what it waits for. Who captures
 * meanwhile captures what is new, whatever its id. */
Test(scan, captured_first)
{
    struct api_device a;
    struct syncline_options options = api_options();
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    make_older(&a, "a");
    add_rows(a.db, 1, 10, 5);
    api_sql(a.db, "DELETE FROM things WHERE id=4");
    make_library(&a);
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect_eq(syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, 0, &left), SYNCLINE_TIMEOUT);
    cr_expect_not_null(strstr(api_error(a.lib), "older than the library"), "%s", api_text);
    cr_expect_eq(left.unscanned, 24);
    cr_expect_eq(api_info(&a).unscanned, 24);
    struct tag tag = api_tag("above");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    struct thing thing = {.id = 4, .tag_id = tag.id, .second_tag = tag.uuid};
    cr_assert_eq(syncline_uuid_new(&thing.uuid, 1), SYNCLINE_OK);
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_thing(a.db, &thing);
    api_capture(&a, &thing_model, &thing, 1, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    cr_expect_eq(api_info(&a).unscanned, 25); /* it is looked at, and found to be captured */
    api_stop(&a);
    api_open(&a, NULL);
    check_taken_in(&a, all_rows(a.db));
    api_close(&a);
}

/* A model that is given later brings the rows its table holds by then. */
Test(scan, model_given_later)
{
    struct api_device a;
    struct syncline_options options = api_options();
    make_older(&a, "a");
    make_library(&a);
    options.models_count = 1;
    options.role = SYNCLINE_ROLE_ENGINE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    struct tag tag = api_tag("captured");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    flush(&a, SYNCLINE_LEVEL_DURABLE);
    api_sql(a.db, "INSERT INTO folders(uuid) VALUES(randomblob(16)),(randomblob(16))");
    api_stop(&a);
    api_open(&a, NULL);
    check_taken_in(&a, 3);
    api_close(&a);
}

/* A row that nobody can name, and one whose parent is not there, are set aside with their reasons,
 * once, and the others go on. */
Test(scan, set_aside)
{
    struct api_device a;
    make_older(&a, "a");
    add_rows(a.db, 1, 5, 2);
    api_sql(a.db, "INSERT INTO tags(id,uuid,name) VALUES(77,'0123456789abcdef','text'),"
                  "(78,x'00','short')");
    api_sql(a.db, "PRAGMA foreign_keys=OFF; UPDATE things SET tag_id=4711 WHERE id=3");
    make_library(&a);
    api_open_alone(&a);
    flush(&a, SYNCLINE_LEVEL_DURABLE);
    struct syncline_info info = api_info(&a);
    cr_expect_eq(info.own_seq, (uint64_t)all_rows(a.db) - 3);
    cr_expect_eq(info.set_aside, 3);
    bool seen[3] = {false};
    for (size_t i = 0; i < 3; i++) {
        struct syncline_set_aside record = SYNCLINE_SET_ASIDE_INIT;
        API_OK(a.lib, syncline_set_aside_get(a.lib, i, &record));
        seen[0] = seen[0] || (strcmp(record.model, "tag") == 0 &&
                              strstr(record.reason, "id 77 in table 'tags' has no UUID") != NULL);
        seen[1] = seen[1] || (strcmp(record.model, "tag") == 0 &&
                              strstr(record.reason, "id 78 in table 'tags' has no UUID") != NULL);
        seen[2] = seen[2] || (strcmp(record.model, "thing") == 0 &&
                              strstr(record.reason, "its parent (field 'tag_id')") != NULL);
    }
    cr_expect(seen[0] && seen[1] && seen[2]);
    api_close(&a);
}

/* The ids at both ends of what SQLite has, the greatest taken along before a lower one. */
Test(scan, ends_of_the_ids)
{
    struct api_device a;
    make_older(&a, "a");
    add_rows(a.db, 1, 5, 2);
    api_sql(a.db, "INSERT INTO folders(id,uuid) VALUES(9223372036854775807,'0123456789abcde0'),"
                  "(-9223372036854775807,'0123456789abcde1'),(0,'0123456789abcde2');"
                  "UPDATE folders SET uuid=CAST(uuid AS BLOB);"
                  "UPDATE folders SET parent_id=9223372036854775807 WHERE id=1;"
                  "UPDATE folders SET parent_id=0 WHERE id=-9223372036854775807");
    make_library(&a);
    api_open(&a, NULL);
    check_taken_in(&a, all_rows(a.db));
    api_close(&a);
}

static void append_last_byte(void *ctx, const struct syncline_event *event)
{
    char *order = ctx;
    for (uint32_t i = 0; i < event->record_count; i++) {
        order[strlen(order)] = (char)event->record_uuids[i].bytes[15];
    }
}

/* A parent with the id 0 is taken along like any other: it stands in the log before its child. */
Test(scan, parent_with_id_zero)
{
    struct api_device a;
    char order[8] = "";
    make_older(&a, "a");
    api_sql(a.db, "PRAGMA foreign_keys=OFF;"
                  "INSERT INTO folders(id,uuid,parent_id) VALUES(-2,'0123456789abcdeC',0),"
                  "(-1,'0123456789abcdeR',NULL),(0,'0123456789abcdeP',NULL);"
                  "UPDATE folders SET uuid=CAST(uuid AS BLOB)");
    make_library(&a);
    api_open_alone(&a);
    flush(&a, SYNCLINE_LEVEL_DURABLE);
    API_OK(a.lib, syncline_log_read(a.lib, append_last_byte, order, NULL));
    cr_expect_str_eq(order, "PCR");
    api_close(&a);
}

/* A device that joins with rows of its own brings them along; what it receives is not its own. */
Test(scan, joined_with_rows)
{
    struct api_device a;
    struct api_device b;
    make_older(&a, "a");
    add_rows(a.db, 1, 1500, 300);
    make_library(&a);
    api_open(&a, NULL);
    make_older(&b, "b");
    add_rows(b.db, 2, 1300, 200);
    struct syncline_options options = api_options();
    cr_assert_eq(syncline_join(b.dir, a.address, &options), SYNCLINE_OK, "%s", api_text);
    int64_t of_a = all_rows(a.db);
    int64_t of_b = all_rows(b.db);
    api_open(&b, a.address);
    api_settle(&a, &b);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(all_rows(a.db), of_a + of_b);
    cr_expect_eq(api_info(&a).own_seq, (uint64_t)of_a);
    cr_expect_eq(api_info(&b).own_seq, (uint64_t)of_b);
    api_close(&a);
    api_close(&b);
}

/* Rows that have their birth are passed over, whoever made them: here a mark says that nobody has
 * looked at the table yet. */
Test(scan, born_rows)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&a, 1500, 0);
    api_save_tags(&b, 1300, 0);
    struct folder folder = api_save_folder(&a, "of a", NULL);
    (void)api_save_folder(&a, "in it", &folder);
    (void)api_save_folder(&b, "of b", NULL);
    api_settle(&a, &b);
    API_WAIT(api_int(b.db, "SELECT sum(n) FROM _syncline_birth") == 2803);
    api_stop(&b);
    api_sql(b.db, "INSERT INTO _syncline_scan SELECT number,-9,99999 FROM _syncline_model");
    api_open(&b, a.address);
    cr_expect_leq(api_info(&b).unscanned, 2803);
    flush(&b, SYNCLINE_LEVEL_DURABLE);
    api_settle(&a, &b);
    cr_expect_eq(api_info(&b).unscanned, 0);
    cr_expect_eq(api_info(&b).own_seq, 1301);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

static struct syncline_stage scan_stage(struct api_device *device)
{
    struct syncline_stage stage = SYNCLINE_STAGE_INIT;
    size_t i = 0;
    do {
        API_OK(device->lib, syncline_stage_get(device->lib, i++, &stage));
    } while (strcmp(stage.name, "scan") != 0);
    return stage;
}

/* A slice that fails after it has looked at its rows leaves the mark where it was: it is said, and
 * tried again. */
Test(scan, failed_slices)
{
    struct api_device a;
    make_older(&a, "a");
    add_rows(a.db, 1, 1500, 1200);
    make_library(&a);
    api_sql(a.db, "CREATE TRIGGER no BEFORE INSERT ON _syncline_outbox BEGIN"
                  " SELECT raise(ABORT,'not this time'); END");
    api_open(&a, NULL);
    API_WAIT(scan_stage(&a).errors >= 2);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_scan WHERE after>=0"), 0);
    cr_expect_eq(api_info(&a).unscanned, (uint64_t)all_rows(a.db));
    api_sql(a.db, "DROP TRIGGER no");
    check_taken_in(&a, all_rows(a.db));
    cr_expect_eq(scan_stage(&a).changes, (uint64_t)all_rows(a.db));
    api_close(&a);
}

/* A library that was removed and is made again takes its rows in again. */
Test(scan, removed_and_made_again)
{
    struct api_device a;
    struct syncline_options options = api_options();
    make_older(&a, "a");
    add_rows(a.db, 1, 30, 3);
    make_library(&a);
    api_open_alone(&a);
    flush(&a, SYNCLINE_LEVEL_DURABLE);
    api_stop(&a);
    cr_assert_eq(syncline_remove(a.dir, &options), SYNCLINE_OK, "%s", api_text);
    make_library(&a);
    api_open(&a, NULL);
    check_taken_in(&a, all_rows(a.db));
    api_close(&a);
}
