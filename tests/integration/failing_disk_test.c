/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Disks that are full, fail, or cannot sync: nothing is acknowledged that is not on the disk, the
 * host lives, and work resumes by itself when it can. */

#include "tests/integration/stepped.h"

TestSuite(failing_disk, .init = stepped_begin, .fini = stepped_end, .timeout = 120);

static bool is_all_done(struct stepped_device *a, struct stepped_device *b)
{
    struct syncline_info of_a = stepped_info(a);
    struct syncline_info of_b = stepped_info(b);
    return of_a.outbox == 0 && of_b.outbox == 0 && of_a.own_seq == of_b.received_applied &&
           of_b.own_seq == of_a.received_applied && of_a.applied_seq == of_a.own_seq &&
           of_b.applied_seq == of_b.own_seq;
}

static int64_t notes(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM notes");
}

/* ---- Who is a member ---- */

/* A device that a member introduces cannot be kept: nothing of it is dropped for that, the link is
 * closed, and made again until it can. */
Test(failing_disk, an_introduction_is_tried_again)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 1);
    STEPPED_UNTIL(is_all_done(a, b));
    stepped_close(a);
    struct stepped_device *c = stepped_make("c");
    stepped_close(c);
    c->peers[0] = "b"; /* it never meets a */
    c->peers_len = 1;
    stepped_open(c);
    stepped_insert(c, 2);
    STEPPED_UNTIL(notes(b) == 3);
    stepped_open(a);
    stepped_fail(1u << SL_SIM_DISK_WRITE, "/d0/sync.db-wal", SL_SIM_DISK_FULL, -1);
    STEPPED_UNTIL(stepped_info(a).links == 1);
    STEPPED_UNTIL(stepped_info(a).links == 0);
    cr_expect_gt(stepped_fault.met, 0);
    cr_expect_eq(stepped_info(a).members, 1);
    stepped_heal();
    STEPPED_UNTIL(notes(a) == 3);
    cr_expect_eq(stepped_info(a).members, 2);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_MEMBER_ADDED) == 2);
}

/* ---- A sync that fails ---- */

/* In the order in which they happened, of the file that is looked at. */
static char happened[65536];
static const char *looked_at;

static void look(void *ctx, enum sl_sim_disk_op op, const char *path, uint64_t offset,
                 const void *data, size_t size)
{
    (void)ctx;
    (void)offset;
    (void)data;
    (void)size;
    size_t len = strlen(happened);
    if (path != NULL && looked_at != NULL && strcmp(path, looked_at) == 0 &&
        len + 1 < sizeof(happened)) {
        happened[len] = op == SL_SIM_DISK_SYNC    ? 's'
                        : op == SL_SIM_DISK_OPEN  ? 'o'
                        : op == SL_SIM_DISK_CLOSE ? 'c'
                                                  : 'w';
        happened[len + 1] = '\0';
    }
}

static void look_at(const char *path)
{
    stepped.disk->world.observe = look;
    looked_at = path;
    happened[0] = '\0';
}

/* The commit of the log cannot be synced: nothing of it is said to be durable, the library is
 * degraded, and the log is opened again and checked before the next sync; then all is done. */
Test(failing_disk, the_log_is_opened_again)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 3);
    STEPPED_UNTIL(is_all_done(a, b));
    look_at("/d0/sync.db-wal");
    stepped_fail(1u << SL_SIM_DISK_SYNC, "/d0/sync.db-wal", SL_SIM_DISK_ERROR, 1);
    stepped_insert(a, 2);
    STEPPED_UNTIL(stepped_fault.met == 1);
    cr_expect_eq(stepped_info(a).own_seq, 3);
    cr_expect_eq(stepped_info(b).received, 3);
    cr_assert_null(strchr(happened, 's'), "%s", happened);
    /* Reading fails, so it cannot be opened. */
    stepped_fail(1u << SL_SIM_DISK_OPEN, "/d0/sync.db", SL_SIM_DISK_ERROR, -1);
    STEPPED_UNTIL(stepped_info(a).degraded);
    stepped_rounds(300);
    cr_expect_gt(stepped_fault.met, 1);
    cr_expect(stepped_info(a).degraded);
    cr_expect_eq(stepped_info(a).own_seq, 3);
    stepped_heal();
    STEPPED_UNTIL(!stepped_info(a).degraded);
    STEPPED_UNTIL(is_all_done(a, b));
    const char *open = strchr(happened, 'o');
    const char *sync = strchr(happened, 's');
    cr_expect(open != NULL && sync != NULL && open < sync, "%s", happened);
    cr_expect_eq(notes(b), 5);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_REOPENED) == 1);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_DEGRADED), 1);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_IO_FAILED), 1);
    cr_expect_eq(stepped_events(b, SYNCLINE_CODE_DEGRADED), 0);
    stepped_cut_power(a);
    STEPPED_UNTIL(is_all_done(a, b));
    cr_expect_eq(stepped_info(a).own_seq, 5);
}

/* A page that cannot be read while a database is checked is no damage, whatever it is for: a table,
 * a long value, or nothing. Each read fails once. */
Test(failing_disk, what_cannot_be_checked_is_not_damaged)
{
    struct sl_db db;
    struct sl_error err;
    const struct sl_env env = {.vfs = SL_SIM_VFS_NAME, .alloc = &sl_allocator_libc};
    enum syncline_status status =
        sl_db_open(&db, &env, "/d0/checked.db", "checked.db", SL_DB_CREATE, 0, &err);
    cr_assert_eq(status, SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(sl_db_exec(&db,
                            "CREATE TABLE t(a, b); CREATE INDEX i ON t(a);"
                            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 20)"
                            " INSERT INTO t SELECT x,zeroblob(x*2000) FROM n;"
                            "DELETE FROM t WHERE a%3=0",
                            &err),
                 SYNCLINE_OK, "%s", err.text);
    int failed = 0;
    do {
        cr_assert_eq(sl_db_exec(&db, "PRAGMA shrink_memory", &err), SYNCLINE_OK);
        stepped_fail(1u << SL_SIM_DISK_READ, "/d0/checked.db", SL_SIM_DISK_ERROR, 1);
        stepped_fault.after = failed++;
        status = sl_db_check(&db, &err);
        cr_assert_eq(status, stepped_fault.met > 0 ? SYNCLINE_EIO : SYNCLINE_OK, "read %d: %s",
                     failed, err.text);
    } while (stepped_fault.met > 0);
    stepped_heal();
    cr_assert_gt(failed, 50);
    sl_db_close(&db);
}

/* A stage that could not look whether there is something to do does not count as failing for ever
 * when there is nothing: it is over once it has looked. Each read fails once. */
Test(failing_disk, nothing_to_do_is_a_success)
{
    struct stepped_device *a = stepped_make("a");
    stepped_insert(a, 3);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    int met = 0;
    for (int after = 0; after < 8; after++) {
        stepped_sql(a, "UPDATE notes SET text='not captured'");
        stepped_sql(a, "PRAGMA wal_checkpoint(TRUNCATE)");
        stepped_fail(1u << SL_SIM_DISK_READ, "/d0/library.db", SL_SIM_DISK_ERROR, 1);
        stepped_fault.after = after;
        stepped_rounds(20);
        met += stepped_fault.met;
        stepped_heal();
        stepped_rounds(20);
    }
    cr_assert_gt(met, 2);
    cr_assert_gt(stepped_events(a, SYNCLINE_CODE_IO_FAILED), 1);
    cr_assert_eq(stepped_events(a, SYNCLINE_CODE_WORKS_AGAIN),
                 stepped_events(a, SYNCLINE_CODE_IO_FAILED));
}

/* Nor does the one that could not read what a member lacks, when that member has gone. */
Test(failing_disk, nobody_to_send_to_is_a_success)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 3);
    STEPPED_UNTIL(is_all_done(a, b));
    for (int after = 0; after < 4; after++) {
        stepped_insert(a, 1);
        stepped_fail(1u << SL_SIM_DISK_READ, "/d0/sync.db-wal", SL_SIM_DISK_ERROR, -1);
        stepped_fault.after = after;
        stepped_rounds(30);
        stepped_close(b);
        stepped_rounds(10); /* that is noticed */
        stepped_heal();
        stepped_rounds(30);
        cr_assert_eq(stepped_events(a, SYNCLINE_CODE_WORKS_AGAIN),
                     stepped_events(a, SYNCLINE_CODE_IO_FAILED), "%d", after);
        stepped_open(b);
        STEPPED_UNTIL(is_all_done(a, b));
    }
    cr_assert_gt(stepped_events(a, SYNCLINE_CODE_IO_FAILED), 1);
}

/* The same on the side that receives: what was not synced is not acknowledged. */
Test(failing_disk, what_is_received_is_not_acknowledged)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_rounds(50);
    stepped_fail(1u << SL_SIM_DISK_SYNC, "/d1/sync.db-wal", SL_SIM_DISK_ERROR, -1);
    stepped_insert(a, 2);
    STEPPED_UNTIL(stepped_fault.met > 3);
    cr_expect_eq(stepped_info(a).acked_seq, 0);
    cr_expect_eq(stepped_info(b).received, 0);
    STEPPED_UNTIL(stepped_info(b).degraded);
    sl_sim_disk_power_cut(stepped.disk, b->folder);
    stepped_start_again(b);
    cr_expect_eq(stepped_info(a).acked_seq, 0);
    stepped_heal();
    STEPPED_UNTIL(is_all_done(a, b));
    cr_expect_eq(stepped_info(a).acked_seq, 2);
    STEPPED_UNTIL(!stepped_info(b).degraded);
    stepped_rounds(100);
    cr_expect_leq(stepped_events(b, SYNCLINE_CODE_DEGRADED), 1, "however often it failed");
}

/* The WAL of library.db cannot be synced: no outbox row of it is drained until it was written anew
 * - moved into the database and emptied -, which waits for who reads it. */
Test(failing_disk, the_wal_is_written_anew)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_rounds(50);
    stepped_insert(a, 1);
    look_at("/d0/library.db-wal");
    stepped_fail(1u << SL_SIM_DISK_SYNC, "/d0/library.db-wal", SL_SIM_DISK_ERROR, 1);
    STEPPED_UNTIL(stepped_fault.met == 1);
    happened[0] = '\0';
    stepped_sql(a, "BEGIN; SELECT count(*) FROM notes");
    sqlite3_stmt *reader = NULL;
    cr_assert_eq(sqlite3_prepare_v2(a->db, "SELECT 1 FROM notes", -1, &reader, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(reader), SQLITE_ROW);
    STEPPED_UNTIL(stepped_info(a).degraded);
    stepped_rounds(300);
    cr_expect(stepped_info(a).degraded, "somebody reads");
    cr_expect_eq(stepped_info(a).own_seq, 0);
    (void)sqlite3_finalize(reader);
    stepped_sql(a, "COMMIT");
    STEPPED_UNTIL(is_all_done(a, b));
    cr_expect(!stepped_info(a).degraded);
    cr_expect_gt(strlen(happened), 0);
    cr_expect_eq(stepped_info(a).own_seq, 1);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_REOPENED) == 1);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_DEGRADED), 1);
    stepped_cut_power(a);
    cr_expect_eq(notes(a), 1);
}

/* A checkpoint of library.db cannot be synced: the connection that applies is opened again. */
Test(failing_disk, the_applying_connection_is_opened_again)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_rounds(50);
    struct sl_core *core = sl_library_core(b->library);
    sqlite3 *before = core->writer.ldb.db.handle;
    stepped_fail(1u << SL_SIM_DISK_SYNC, "/d1/library.db", SL_SIM_DISK_ERROR, 1);
    stepped_insert(a, 3);
    STEPPED_UNTIL(notes(b) == 3);
    core->wal_pages = 1 << 20; /* long enough to be moved */
    STEPPED_UNTIL(stepped_fault.met == 1);
    STEPPED_UNTIL(stepped_events(b, SYNCLINE_CODE_REOPENED) == 1);
    cr_expect_neq(core->writer.ldb.db.handle, before);
    stepped_rounds(100); /* and that is over, with nothing more to apply */
    cr_expect_eq(stepped_events(b, SYNCLINE_CODE_IO_FAILED), 1);
    cr_expect_eq(stepped_events(b, SYNCLINE_CODE_WORKS_AGAIN), 1);
    stepped_insert(a, 3);
    stepped_insert(b, 3);
    STEPPED_UNTIL(is_all_done(a, b));
    cr_expect_eq(notes(b), 9);
    cr_expect_eq(stepped_events(b, SYNCLINE_CODE_DEGRADED), 1);
}

/* The disk cannot be read either while a file is checked: that is no damage, and it is tried again.
 */
Test(failing_disk, what_cannot_be_read_is_not_damaged)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    struct sl_error err;
    stepped_rounds(50);
    for (int after = 0; after < 16; after++) { /* some in opening it, some in the check */
        stepped_insert(a, 1);
        stepped_fail(1u << SL_SIM_DISK_SYNC, "/d0/library.db-wal", SL_SIM_DISK_ERROR, 1);
        STEPPED_UNTIL(stepped_fault.met == 1);
        stepped_fail(1u << SL_SIM_DISK_READ, "/d0/library.db", SL_SIM_DISK_ERROR, 1);
        stepped_fault.after = after;
        stepped_rounds(100);
        cr_expect_eq(sl_library_health(a->library, &err), SYNCLINE_OK, "%s", err.text);
        stepped_heal();
        STEPPED_UNTIL(is_all_done(a, b));
    }
}

/* A log that is damaged when it is opened again, or has lost what was synced, stops the engine, and
 * not the host. */
Test(failing_disk, a_log_that_lost_something)
{
    struct stepped_device *a = stepped_make("a");
    struct sl_error err;
    stepped_insert(a, 3);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(a->sync_db, &log), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(log, "UPDATE origin SET held_seq=2", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(log);
    stepped_fail(1u << SL_SIM_DISK_SYNC, "/d0/sync.db-wal", SL_SIM_DISK_ERROR, 1);
    stepped_insert(a, 1);
    STEPPED_UNTIL(sl_library_health(a->library, &err) != SYNCLINE_OK);
    cr_expect_eq(sl_library_health(a->library, &err), SYNCLINE_ECORRUPT);
    cr_expect_not_null(strstr(err.text, "lost"), "%s", err.text);
    struct stepped_note note = {.text = "the application goes on"};
    stepped_save(a, &note, SYNCLINE_INSERT);
    cr_expect_eq(notes(a), 5);
}

/* ---- Any operation on any file ---- */

static const struct {
    enum sl_sim_disk_op op;
    enum sl_sim_disk_fate fate;
} kinds[] = {{SL_SIM_DISK_WRITE, SL_SIM_DISK_FULL},
             {SL_SIM_DISK_WRITE, SL_SIM_DISK_ERROR},
             {SL_SIM_DISK_SYNC, SL_SIM_DISK_ERROR},
             {SL_SIM_DISK_READ, SL_SIM_DISK_ERROR},
             {SL_SIM_DISK_TRUNCATE, SL_SIM_DISK_ERROR}};
static const char *const files[] = {"/d0/sync.db", "/d0/sync.db-wal", "/d0/library.db",
                                    "/d0/library.db-wal"};

/* What the application does: its own commit may fail, and then it tries again, until the disk is
 * mended. */
static void save_surely(struct stepped_device *device)
{
    for (int tries = 0; tries < 1000; tries++) {
        struct stepped_note note = {.text = "a note"};
        sqlite3_stmt *stmt = NULL;
        stepped_draw(NULL, &note.uuid, sizeof(note.uuid));
        bool done = sqlite3_exec(device->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
                    sqlite3_prepare_v2(device->db, "INSERT INTO notes(uuid,text) VALUES(?1,'x')",
                                       -1, &stmt, NULL) == SQLITE_OK;
        if (done) {
            (void)sqlite3_bind_blob(stmt, 1, note.uuid.bytes, 16, SQLITE_STATIC);
            done = sqlite3_step(stmt) == SQLITE_DONE;
            note.id = sqlite3_last_insert_rowid(device->db);
        }
        (void)sqlite3_finalize(stmt);
        note.text = "x";
        done = done && stepped_capture(device, &note, SYNCLINE_INSERT) == SYNCLINE_OK &&
               sqlite3_exec(device->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
        if (done) {
            return;
        }
        (void)sqlite3_exec(device->db, "ROLLBACK", NULL, NULL, NULL);
        stepped_rounds(1);
        if (tries == 50) {
            stepped_heal();
        }
    }
    cr_assert_fail("the application never comes to commit");
}

/* Some changes here and there, while so many operations fail after so many that did not. */
static void run_with_fault(size_t kind, size_t file, int after, int times)
{
    stepped_begin();
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    struct sl_error err;
    STEPPED_UNTIL(stepped_info(b).links == 1);
    sl_library_core(a->library)->wal_pages = 1 << 20; /* a checkpoint is due */
    stepped_fail(1u << kinds[kind].op, files[file], kinds[kind].fate, times);
    stepped_fault.after = after;
    for (int i = 0; i < 4; i++) {
        save_surely(a);
        stepped_insert(b, 1);
        stepped_rounds(20);
    }
    stepped_rounds(200);
    stepped_heal();
    for (int i = 0; i < STEPPED_ROUNDS && !is_all_done(a, b); i++) {
        stepped_round(10);
    }
    cr_assert(is_all_done(a, b), "kind %zu, %s, after %d, %d times (%d met): %s | %s", kind,
              files[file], after, times, stepped_fault.met, stepped_info(a).notice,
              stepped_info(b).notice);
    cr_assert_eq(notes(a), 8);
    cr_assert_eq(notes(b), 8);
    cr_assert_eq(sl_library_health(a->library, &err), SYNCLINE_OK);
    cr_assert(!stepped_info(a).degraded);
    /* What was acknowledged is there after a power cut. */
    uint64_t acked = stepped_info(a).acked_seq;
    stepped_cut_power(a);
    stepped_cut_power(b);
    cr_assert_geq(stepped_info(a).own_seq, acked);
    STEPPED_UNTIL(is_all_done(a, b));
    cr_assert_eq(notes(a), 8);
    cr_assert_eq(notes(b), 8);
    stepped_end();
    stepped.devices_len = 0;
}

Test(failing_disk_sweep, any_operation_fails, .timeout = 300)
{
    static const int times[] = {1, 3, -1};
    uint64_t met = 0;
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        for (size_t file = 0; file < sizeof(files) / sizeof(files[0]); file++) {
            for (int after = 0; after < 40; after += 1 + after / 3) {
                for (size_t t = 0; t < 3; t++) {
                    run_with_fault(kind, file, after, times[t]);
                    met += (uint64_t)stepped_fault.met;
                }
            }
        }
    }
    cr_expect_gt(met, 500);
}
