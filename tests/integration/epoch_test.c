/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A sync.db that was lost, or is older than library.db, or all files put back from a copy: this
 * device goes on in a new epoch, gives no number twice, gets back what it lacks, and both devices
 * end equal. */

#include "tests/integration/stepped.h"

#define OLD "/old.db"
#define OLD_TABLES "/old-library.db"

static struct stepped_device *a;
static struct stepped_device *b;
static struct stepped_note notes[4] = {
    {.text = "one"}, {.text = "two"}, {.text = "three"}, {.text = "four"}};
static struct stepped_twig leaf;

/* Removes a database. */
static void stepped_forget(const char *path)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(SL_SIM_VFS_NAME);
    char wal[64];
    (void)snprintf(wal, sizeof(wal), "%s-wal", path);
    cr_assert_eq(vfs->xDelete(vfs, path, 0), SQLITE_OK);
    (void)vfs->xDelete(vfs, wal, 0);
}

static bool is_all_done(void)
{
    struct syncline_info here = stepped_info(a);
    struct syncline_info there = stepped_info(b);
    return here.outbox == 0 && there.outbox == 0 && here.links == 1 && there.links == 1 &&
           here.received_applied == here.announced && there.received_applied == there.announced &&
           here.applied_seq == here.own_seq && there.applied_seq == there.own_seq;
}

static void settle(void)
{
    stepped_rounds(200);
    STEPPED_UNTIL(is_all_done());
    stepped_rounds(200);
}

static void save_leaf(enum syncline_change change)
{
    char text[160];
    if (change == SYNCLINE_INSERT) {
        stepped_draw(NULL, &leaf.uuid, sizeof(leaf.uuid));
        sqlite3_stmt *stmt = NULL;
        cr_assert_eq(
            sqlite3_prepare_v2(a->db, "INSERT INTO leaves(id,uuid) VALUES(7,?1)", -1, &stmt, NULL),
            SQLITE_OK);
        (void)sqlite3_bind_blob(stmt, 1, leaf.uuid.bytes, 16, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        (void)sqlite3_finalize(stmt);
        leaf.id = 7;
    } else {
        (void)snprintf(text, sizeof(text), "DELETE FROM leaves WHERE id=%d", 7);
        stepped_sql(a, text);
    }
    cr_assert_eq(sl_library_capture(a->library, &stepped_leaf_model, &leaf, 1, change, NULL, 0,
                                    &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
}

/* Two devices with notes of both and a leaf of the first, everything everywhere. */
static void start(void)
{
    stepped_begin();
    a = stepped_make("a");
    b = stepped_make("b");
    struct stepped_device *const both[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        stepped_close(both[i]);
        both[i]->models_len = 4;
    }
    stepped_open(a);
    stepped_open(b);
    stepped_save(a, &notes[0], SYNCLINE_INSERT);
    stepped_save(b, &notes[1], SYNCLINE_INSERT);
    save_leaf(SYNCLINE_INSERT);
    settle();
}

TestSuite(epoch, .init = start, .fini = stepped_end);

static void check_equal(void)
{
    uint8_t here[SL_HASH_SIZE];
    uint8_t there[SL_HASH_SIZE];
    stepped_digest(a, here);
    stepped_digest(b, there);
    cr_expect_eq(memcmp(here, there, sizeof(here)), 0);
    cr_expect_eq(stepped_number(a, "SELECT count(*) FROM _syncline_waiting"), 0);
    cr_expect_eq(stepped_info(a).set_aside + stepped_info(b).set_aside, 0);
    cr_expect_eq(stepped_events(b, SYNCLINE_CODE_LOG_SPLIT), 0);
    cr_expect_eq(stepped_log_number(a, "SELECT sum(held_seq) FROM origin"),
                 stepped_log_number(b, "SELECT sum(held_seq) FROM origin"));
}

/* The application goes on: with what it had, and with what is new. */
static void go_on(void)
{
    notes[0].text = "changed";
    stepped_save(a, &notes[0], SYNCLINE_UPDATE);
    save_leaf(SYNCLINE_DELETE);
    stepped_save(a, &notes[3], SYNCLINE_INSERT);
    notes[1].text = "changed there";
    stepped_save(b, &notes[1], SYNCLINE_UPDATE);
    settle();
    cr_expect(stepped_note_is(b, &notes[0], "changed"));
    cr_expect(stepped_note_is(b, &notes[3], "four"));
    cr_expect(stepped_note_is(a, &notes[1], "changed there"));
    cr_expect_eq(stepped_number(b, "SELECT count(*) FROM leaves"), 0);
    cr_expect_eq(stepped_number(a, "SELECT count(*) FROM _syncline_hidden_birth"), 0);
    check_equal();
}

static int64_t own_epochs(void)
{
    return stepped_number(a,
                          "SELECT count(DISTINCT epoch) FROM _syncline_origin o WHERE"
                          " (SELECT count(*) FROM _syncline_origin p WHERE p.device=o.device)>1");
}

/* An older sync.db: what it lacks of both devices comes from the other one. */
Test(epoch, older_log)
{
    stepped_copy(a->sync_db, OLD);
    stepped_save(a, &notes[2], SYNCLINE_INSERT);
    stepped_insert(b, 2);
    settle();
    stepped_close(a);
    stepped_copy(OLD, a->sync_db);
    stepped_open(a);
    cr_expect_eq(stepped_info(a).own_seq, 0);
    settle();
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH) == 1);
    check_equal();
    go_on();
    cr_expect_eq(own_epochs(), 2);
    stepped_reopen(a);
    settle();
    cr_expect_eq(own_epochs(), 2, "once");
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH), 1);
    check_equal();
}

/* No sync.db at all: a new one is made, with the names that it had. */
Test(epoch, no_log)
{
    stepped_save(a, &notes[2], SYNCLINE_INSERT);
    settle();
    stepped_close(a);
    stepped_forget(a->sync_db);
    stepped_open(a);
    cr_expect_str_eq(stepped_info(a).device_name, "a");
    cr_expect_str_eq(stepped_info(a).library_name, "Notes");
    settle();
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH) == 1);
    check_equal();
    go_on();
}

/* What was captured and is in no log goes out in the new epoch; what was deleted stays deleted. */
Test(epoch, pending)
{
    stepped_save(b, &notes[2], SYNCLINE_INSERT);
    settle();
    stepped_save(a, &notes[2], SYNCLINE_DELETE);
    settle();
    stepped_save(a, &notes[3], SYNCLINE_INSERT);
    stepped_close(a);
    stepped_forget(a->sync_db);
    stepped_open(a);
    settle();
    cr_expect(stepped_note_is(b, &notes[3], "four"));
    cr_expect_eq(stepped_number(a, "SELECT count(*) FROM notes"), 3);
    cr_expect_eq(stepped_number(b, "SELECT count(*) FROM notes"), 3);
    check_equal();
}

/* The key of another device, or a database of no library, makes no log. */
Test(epoch, not_made)
{
    stepped_close(a);
    stepped_forget(a->sync_db);
    stepped_sql(a, "ALTER TABLE _syncline_meta RENAME TO meta_away");
    cr_expect_eq(stepped_try_open(a), SYNCLINE_ENOTFOUND);
    stepped_sql(a, "ALTER TABLE meta_away RENAME TO _syncline_meta");
    stepped_open(a);
}

/* ---- The mark and the place ---- */

/* The first device is opened again, with marks kept for it. */
static void keep_marks(void)
{
    stepped_close(a);
    a->has_keeper = true;
    stepped_open(a);
}

static void back_up(void)
{
    stepped_close(a);
    stepped_copy(a->sync_db, OLD);
    stepped_copy(a->library_db, OLD_TABLES);
    stepped_open(a);
}

/* Both files as they were. */
static void restore(void)
{
    stepped_close(a);
    (void)sqlite3_close(a->db);
    stepped_copy(OLD, a->sync_db);
    stepped_copy(OLD_TABLES, a->library_db);
    cr_assert_eq(sqlite3_open(a->library_db, &a->db), SQLITE_OK);
    stepped_open(a);
}

/* All files of one time are put back. What this device wrote since comes again from the other one,
 * what it writes now gets there, what was deleted stays deleted. */
Test(epoch, restored)
{
    keep_marks();
    stepped_save(b, &notes[2], SYNCLINE_INSERT);
    settle();
    back_up();
    struct stepped_note lost = {.text = "since the copy"};
    stepped_save(a, &lost, SYNCLINE_INSERT);
    stepped_save(a, &notes[2], SYNCLINE_DELETE);
    settle();
    restore();
    cr_expect_eq(stepped_info(a).own_seq, 0, "a new epoch");
    stepped_save(a, &notes[3], SYNCLINE_INSERT);
    settle();
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH) == 1);
    cr_expect(stepped_note_is(a, &lost, "since the copy"));
    cr_expect(stepped_note_is(b, &notes[3], "four"));
    cr_expect_eq(stepped_number(a, "SELECT count(*) FROM notes"), 4);
    check_equal();
    notes[0].text = "changed";
    stepped_save(a, &notes[0], SYNCLINE_UPDATE);
    settle();
    cr_expect(stepped_note_is(b, &notes[0], "changed"));
    check_equal();
    stepped_reopen(a);
    settle();
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH), 1, "once");
}

/* The copy was made while a change was in the log and not settled: it is settled in the epoch that
 * it was made in. Sent again it would be another birth, and come back though it was deleted since.
 */
Test(epoch, restored_before_it_was_settled)
{
    keep_marks();
    settle();
    uint64_t own = stepped_info(a).own_seq;
    stepped_save(a, &notes[2], SYNCLINE_INSERT);
    stepped_save(a, &notes[3], SYNCLINE_INSERT);
    for (int i = 0; stepped_info(a).own_seq < own + 2 && i < STEPPED_ROUNDS; i++) {
        for (size_t stage = 0; stage <= SL_STAGE_LOG_APPEND; stage++) {
            (void)sl_library_step(a->library, stage);
        }
        stepped.mono_ns += STEPPED_NS_PER_MS;
    }
    cr_assert_lt(stepped_number(a, "SELECT max(applied_seq) FROM _syncline_origin"),
                 (int64_t)own + 2);
    stepped_copy(a->sync_db, OLD);
    stepped_copy(a->library_db, OLD_TABLES);
    settle();
    stepped_save(a, &notes[2], SYNCLINE_DELETE);
    notes[3].text = "changed since";
    stepped_save(b, &notes[3], SYNCLINE_UPDATE);
    settle();
    restore();
    settle();
    cr_expect_eq(stepped_info(a).own_seq, 0, "nothing is sent again");
    cr_expect_eq(stepped_number(a, "SELECT count(*) FROM notes"), 3);
    cr_expect_eq(stepped_number(b, "SELECT count(*) FROM notes"), 3);
    cr_expect(stepped_note_is(a, &notes[3], "changed since"));
    check_equal();
}

/* Put back twice, the second time from a copy of before the first: a third epoch. */
Test(epoch, restored_twice)
{
    keep_marks();
    back_up();
    stepped_save(a, &notes[2], SYNCLINE_INSERT);
    settle();
    restore();
    stepped_save(a, &notes[3], SYNCLINE_INSERT);
    settle();
    uint64_t second = a->mark.epoch;
    restore();
    settle();
    cr_expect_gt(a->mark.epoch >> 48, second >> 48);
    cr_expect(stepped_note_is(a, &notes[2], "three"));
    cr_expect(stepped_note_is(a, &notes[3], "four"));
    check_equal();
}

/* A copy from which nothing was appended since is as good as what it replaces, and so is a log that
 * is ahead of its mark, as after a kill. */
Test(epoch, not_restored)
{
    keep_marks();
    back_up();
    restore();
    settle();
    struct sl_log_mark before = a->mark;
    stepped_save(a, &notes[2], SYNCLINE_INSERT);
    settle();
    stepped_close(a);
    cr_expect_gt(a->mark.seq, before.seq, "written at close");
    a->mark = before;
    stepped_open(a);
    cr_expect_eq(a->mark.epoch, before.epoch);
    cr_expect_gt(a->mark.seq, before.seq, "and at open");
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH), 0);
}

/* As long as the log, and another one: as of a copy that went on by itself. */
Test(epoch, mark_of_another_log)
{
    keep_marks();
    stepped_close(a);
    a->mark.hash[0] ^= 1u;
    stepped_open(a);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH) == 1);
    settle();
    go_on();
}

/* While the log grows the mark follows it, not at every change. */
Test(epoch, mark_in_time)
{
    keep_marks();
    uint64_t marked = a->mark.seq;
    stepped_save(a, &notes[2], SYNCLINE_INSERT);
    settle();
    cr_expect_eq(a->mark.seq, marked);
    stepped_round(SL_MARK_MS);
    stepped_save(a, &notes[3], SYNCLINE_INSERT);
    settle();
    cr_expect_eq(a->mark.seq, marked + 2);
}

/* A mark that cannot be kept, or read, stops nothing. */
Test(epoch, no_mark)
{
    a->marking = SYNCLINE_EIO;
    keep_marks();
    stepped_round(SL_MARK_MS);
    stepped_save(a, &notes[2], SYNCLINE_INSERT);
    settle();
    cr_expect_not(a->has_mark);
    a->marking = SYNCLINE_OK;
    stepped_reopen(a);
    cr_expect(a->has_mark);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH), 0);
}

/* Moved to where nothing is known of it: it may go on where it was. With its mark, or before it has
 * changes of its own, it is just moved. */
Test(epoch, copied)
{
    a->place = "here";
    stepped_reopen(a);
    a->place = "there";
    a->has_keeper = true;
    stepped_reopen(a);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH) == 1);
    a->place = "elsewhere";
    stepped_reopen(a);
    settle();
    go_on();
    a->place = "here";
    stepped_reopen(a);
    a->has_keeper = false;
    stepped_reopen(a);
    settle();
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_NEW_EPOCH), 1);
    struct stepped_device *c = stepped_make("c");
    c->place = "one";
    stepped_reopen(c);
    c->place = "two";
    stepped_reopen(c);
    STEPPED_UNTIL(stepped_info(c).links == 2);
    cr_expect_eq(stepped_events(c, SYNCLINE_CODE_NEW_EPOCH), 0);
}
