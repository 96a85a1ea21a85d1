/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The waiting room and the rules of deletes. */

#include "tests/integration/three_devices.h"

#define ROWS_MAX 2000
#define RANDOM_MODELS LINK /* those before it */

static struct row rows[ROWS_MAX];

TestSuite(waiting, .init = start, .fini = stop);

/* ---- Waiting ---- */

/* A record whose parent has not come waits, counted and durably, and is there once the parent is -
 * with what hangs on it in turn, and in the content of its latest change. */
Test(waiting, parent_comes_later)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 10);
    settle();
    set(b, TAG, 2, 1, 0, 20);
    set(b, TAG, 3, 2, 0, 30);
    set(b, NOTE, 1, 3, 0, 40);
    settle();
    set(b, TAG, 3, 2, 0, 31);
    settle();
    cr_assert_eq(count(c, TAG) + count(c, NOTE), 0);
    cr_assert_eq(waiting(c), 3);
    cr_assert_eq(info_of(c).waiting, 3);
    cr_assert_gt(info_of(c).waiting_bytes, 3 * 16);
    int64_t since_ms = info_of(c).waiting_since_ms;
    cr_assert_gt(since_ms, 0);
    leave(c);
    come(c);
    settle();
    cr_assert_eq(info_of(c).waiting, 3);
    cr_assert_eq(info_of(c).waiting_since_ms, since_ms);
    everybody();
    cr_assert_eq(info_of(c).waiting + info_of(c).waiting_bytes, 0);
    cr_assert_eq(info_of(c).waiting_since_ms, 0);
    cr_assert_eq(count(c, TAG), 3);
    cr_assert_eq(value_of(c, TAG, 3), 31);
    check_equal();
    set(c, TAG, 3, 1, 0, 32); /* it is known by its birth */
    settle();
    cr_assert_eq(value_of(b, TAG, 3), 32);
    check_equal();
}

/* A change of a record that has not come waits for it, and is judged when it does: the later of two
 * stands, whatever came first, and a delete is final. */
Test(waiting, birth_comes_later)
{
    hold(c, a, true);
    for (int64_t n = 1; n <= 4; n++) {
        set(a, TAG, n, 0, 0, n);
    }
    settle();
    set(b, TAG, 1, 0, 0, 100);
    set(b, TAG, 2, 0, 0, 200);
    drop(b, TAG, 2);
    drop(b, TAG, 3);
    settle();
    cr_assert_eq(waiting(c), 3);
    cr_assert_eq(count(c, TAG), 0);
    set(b, TAG, 1, 0, 0, 101);
    settle();
    cr_assert_eq(waiting(c), 3);
    everybody();
    cr_assert_eq(count(c, TAG), 2);
    cr_assert_eq(value_of(c, TAG, 1), 101);
    check_equal();
}

/* The same with a parent that is missing as well: it waits for the one and then for the other. */
Test(waiting, birth_and_parent_come_later)
{
    set(b, TAG, 9, 0, 0, 90);
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 1);
    set(a, TAG, 2, 1, 0, 2);
    settle();
    set(b, TAG, 2, 1, 0, 20);
    settle();
    cr_assert_eq(waiting(c), 1);
    everybody();
    cr_assert_eq(value_of(c, TAG, 2), 20);
    check_equal();
}

/* An update that points a record at one that is not here waits, and the record stays as it was; a
 * later one that can be applied supersedes it. */
Test(waiting, update_to_a_parent_that_is_not_here)
{
    set(b, TAG, 1, 0, 0, 1);
    set(b, TAG, 2, 0, 0, 2);
    set(b, NOTE, 1, 1, 0, 5);
    settle();
    hold(c, a, true);
    set(a, TAG, 3, 0, 0, 3);
    settle();
    set(b, NOTE, 1, 3, 0, 6);
    settle();
    cr_assert_eq(waiting(c), 1);
    cr_assert_eq(value_of(c, NOTE, 1), 5);
    set(b, NOTE, 1, 2, 0, 7);
    settle();
    cr_assert_eq(waiting(c), 0);
    cr_assert_eq(value_of(c, NOTE, 1), 7);
    set(b, NOTE, 1, 3, 0, 8);
    settle();
    cr_assert_eq(waiting(c), 1);
    everybody();
    cr_assert_eq(value_of(c, NOTE, 1), 8);
    check_equal();
}

/* It is superseded as well by a change of this device, which came after it. */
Test(waiting, update_superseded_here)
{
    set(b, TAG, 1, 0, 0, 1);
    set(b, NOTE, 1, 1, 0, 5);
    settle();
    hold(c, a, true);
    set(a, TAG, 3, 0, 0, 3);
    settle();
    set(b, NOTE, 1, 3, 0, 6);
    settle();
    cr_assert_eq(waiting(c), 1);
    set(c, NOTE, 1, 1, 0, 7);
    settle();
    cr_assert_eq(waiting(c), 0);
    everybody();
    cr_assert_eq(value_of(a, NOTE, 1), 7);
    check_equal();
}

/* Records that point at each other, each in a segment of its own, and one that points at itself:
 * they come together, though what one of them points at comes last. */
Test(waiting, circle_behind_a_parent)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 1);
    settle();
    set(b, TAG, 2, 1, 0, 2);
    settle();
    set(b, TAG, 3, 2, 0, 3);
    settle();
    set(b, TAG, 4, 3, 0, 4);
    settle();
    set(b, TAG, 3, 4, 0, 33); /* 3 and 4 point at each other now */
    settle();
    set(b, TAG, 2, 2, 0, 22);
    settle();
    cr_assert_eq(value_of(c, TAG, 2), 22);
    cr_assert_eq(value_of(c, TAG, 3), 33);
    cr_assert_eq(waiting(c), 0);
    everybody();
    check_equal();
}

/* Children before parents, in many segments, as deep as it goes: no order is needed, and nothing
 * recurses. */
Test(waiting, deep_chain_in_reverse)
{
    sql(a->db, "BEGIN IMMEDIATE");
    for (int64_t n = 1; n <= ROWS_MAX; n++) {
        rows[ROWS_MAX - n] = put(a, FOLDER, n, n - 1, 0, n);
    }
    capture(a, FOLDER, rows, ROWS_MAX, SYNCLINE_INSERT, 10);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(count(c, FOLDER), ROWS_MAX);
    check_equal();
}

/* What its table refuses when it is released is set aside, and what hangs on it waits on. */
Test(waiting, refused_when_released)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 1);
    settle();
    set(b, TAG, 2, 1, 0, 666);
    set(b, TAG, 3, 2, 0, 3);
    set(b, TAG, 4, 1, 0, 4);
    settle();
    cr_assert_eq(waiting(c), 3);
    sql(c->db, "CREATE TRIGGER no_devil BEFORE INSERT ON tags WHEN NEW.value=666"
               " BEGIN SELECT RAISE(ABORT,'no'); END");
    everybody();
    cr_assert_eq(info_of(c).set_aside, 1);
    cr_assert_eq(waiting(c), 1);
    cr_assert(has(c, TAG, 4) && !has(c, TAG, 2) && !has(c, TAG, 3));
    set(b, TAG, 2, 1, 0, 2); /* of a record that is dead here */
    settle();
    cr_assert_eq(waiting(c), 1);
    drop(b, TAG, 3);
    drop(b, TAG, 2);
    settle();
    check_equal();
}

/* A change of a record whose birth is refused when it comes is of a dead record, and does not wait
 * on. */
Test(waiting, birth_is_refused)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 666);
    settle();
    set(b, TAG, 1, 0, 0, 1);
    settle();
    cr_assert_eq(waiting(c), 1);
    sql(c->db, "CREATE TRIGGER no_devil BEFORE INSERT ON tags"
               " BEGIN SELECT RAISE(ABORT,'no'); END");
    everybody();
    cr_assert_eq(waiting(c), 0);
    cr_assert_eq(info_of(c).set_aside, 1);
    cr_assert_eq(count(c, TAG), 0);
}

/* When no more may wait the origin stands still and it is told; it goes on by itself when there is
 * room. */
Test(waiting, room_is_full)
{
    hold(c, a, true);
    sl_library_core(c->library)->waiting_max = 2;
    set(a, TAG, 1, 0, 0, 1);
    settle();
    set(b, TAG, 2, 1, 0, 2);
    set(b, TAG, 3, 1, 0, 3);
    settle();
    cr_assert_eq(waiting(c), 2);
    cr_assert_str_empty(info_of(c).notice);
    set(b, TAG, 4, 1, 0, 4);
    step(100);
    cr_assert_eq(waiting(c), 2);
    cr_assert_lt(origin_at(c, b)->applied_seq, info_of(b).own_seq);
    cr_assert_not_null(strstr(info_of(c).notice, "2 records wait for others"), "%s",
                       info_of(c).notice);
    set(b, TAG, 2, 1, 0, 20);
    everybody();
    cr_assert_eq(value_of(c, TAG, 2), 20);
    check_equal();
}

/* ---- Deletes ---- */

/* A parent is deleted where nobody knows of the child that another device has just made: the child
 * is invisible until its maker hears of it and deletes it, whoever hears what first. */
static void delete_against_insert(struct device *first)
{
    set(a, TAG, 1, 0, 0, 1);
    settle();
    hold(a, b, true);
    hold(b, a, true);
    hold(c, first == a ? b : a, true);
    set(a, NOTE, 1, 1, 0, 2);
    drop(b, TAG, 1);
    settle();
    cr_assert_eq(has(c, TAG, 1), first == a);
    cr_assert_eq(has(c, NOTE, 1), first == a);
    hold(c, a, false);
    hold(c, b, false);
    settle();
    cr_assert(!has(c, TAG, 1) && !has(c, NOTE, 1));
    cr_assert_eq(waiting(c), 1);
    everybody();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_assert_eq(count(&devices[i], TAG) + count(&devices[i], NOTE), 0, "%s", names[i]);
    }
    check_equal();
}

Test(waiting, delete_against_insert_heard_after)
{
    delete_against_insert(a);
}

Test(waiting, delete_against_insert_heard_before)
{
    delete_against_insert(b);
}

/* A child that is invisible comes back when its maker has pointed it at another record meanwhile.
 */
Test(waiting, delete_against_move)
{
    set(a, TAG, 1, 0, 0, 1);
    set(a, TAG, 2, 0, 0, 2);
    settle();
    hold(b, a, true);
    set(a, NOTE, 1, 1, 0, 5);
    settle();
    hold(c, a, true);
    hold(a, b, true);
    set(a, NOTE, 1, 2, 0, 6);
    drop(b, TAG, 1);
    settle();
    cr_assert(!has(c, NOTE, 1));
    cr_assert_eq(waiting(c), 1);
    everybody();
    cr_assert_eq(value_of(b, NOTE, 1), 6);
    cr_assert_eq(value_of(c, NOTE, 1), 6);
    check_equal();
    drop(c, NOTE, 1); /* with the birth that it always had */
    settle();
    cr_assert_eq(count(a, NOTE), 0);
    check_equal();
}

/* A child whose key was set last by another device than made it: that device deletes it. */
Test(waiting, delete_against_update)
{
    set(a, TAG, 1, 0, 0, 1);
    set(a, TAG, 2, 0, 0, 2);
    set(a, NOTE, 1, 2, 0, 3);
    settle();
    hold(a, b, true);
    hold(b, c, true);
    hold(c, b, true);
    drop(b, TAG, 1);
    set(c, NOTE, 1, 1, 0, 4);
    settle();
    cr_assert_eq(value_of(a, NOTE, 1), 4);
    hold(a, b, false);
    settle();
    cr_assert(!has(a, NOTE, 1));
    cr_assert_eq(waiting(a), 1);
    everybody();
    cr_assert_eq(count(a, NOTE) + count(b, NOTE) + count(c, NOTE), 0);
    check_equal();
}

/* The ids of a tree that went with its root are used again: what has them now are new records. */
Test(waiting, ids_of_a_tree_used_again)
{
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    set(a, FOLDER, 3, 2, 0, 3);
    settle();
    drop_after(a, FOLDER, 1,
               "UPDATE folders SET parent_id=NULL; DELETE FROM folders WHERE value IN (2,3)");
    settle();
    cr_assert_eq(count(b, FOLDER), 0);
    set(a, FOLDER, 4, 0, 0, 4);
    set(a, FOLDER, 5, 4, 0, 5);
    set(a, FOLDER, 6, 5, 0, 6);
    set(a, FOLDER, 5, 4, 0, 7);
    settle();
    cr_assert_eq(number(a, "SELECT max(id) FROM folders"), 3);
    cr_assert_eq(count(b, FOLDER), 3);
    cr_assert_eq(value_of(b, FOLDER, 5), 7);
    drop(a, FOLDER, 6);
    settle();
    cr_assert_eq(count(b, FOLDER), 2);
    check_equal();
}

/* A tree of device-owned records goes by one delete of its root, and takes nothing along that
 * another device has made: that device does. */
Test(waiting, tree_by_one_delete)
{
    set(b, TAG, 1, 0, 0, 1);
    set(a, FOLDER, 1, 0, 0, 1);
    for (int64_t n = 2; n <= 300; n++) {
        set(a, FOLDER, n, n / 3 > 0 ? n / 3 : 1, 0, n);
    }
    set(a, FOLDER, 400, 0, 0, 400);
    settle();
    set(b, NOTE, 1, 1, 299, 1);
    set(b, NOTE, 2, 1, 400, 2);
    settle();
    hold(a, b, true);
    hold(b, a, true);
    set(b, NOTE, 3, 1, 298, 3);
    settle();
    uint64_t before = info_of(a).own_seq;
    /* The note that a knows of is shared: whoever removes it says so. */
    drop(a, NOTE, 1);
    drop_after(a, FOLDER, 1,
               "UPDATE folders SET parent_id=NULL WHERE value<400;"
               "DELETE FROM folders WHERE value BETWEEN 2 AND 399");
    settle();
    cr_assert_eq(info_of(a).own_seq - before, 2);
    cr_assert_eq(count(c, FOLDER), 1);
    cr_assert_eq(waiting(c), 1);
    cr_assert_eq(number(c, "SELECT count(*) FROM notes WHERE folder_id IS NULL"), 0);
    everybody();
    cr_assert_eq(count(b, FOLDER), 1);
    cr_assert(has(a, NOTE, 2) && !has(a, NOTE, 3));
    check_equal();
}

/* A record is moved away from another one, which is deleted, and changed once more: it stays, also
 * if all of that was captured while no engine ran and its content is read again. */
Test(waiting, moved_away_before_the_delete)
{
    set(a, FOLDER, 1, 0, 0, 10);
    set(a, FOLDER, 2, 0, 0, 20);
    set(a, FOLDER, 3, 1, 0, 30);
    settle();
    leave(a);
    a->config.engine = false;
    cr_assert_eq(sl_library_open(&a->config, &a->library, &err), SYNCLINE_OK, "%s", err.text);
    set(a, FOLDER, 3, 2, 0, 31);
    drop(a, FOLDER, 1);
    set(a, FOLDER, 3, 2, 0, 32);
    sl_library_close(a->library);
    a->config.engine = true;
    come(a);
    settle();
    cr_assert(!has(b, FOLDER, 1) && has(b, FOLDER, 3));
    cr_assert_eq(value_of(b, FOLDER, 3), 32);
    check_equal();
}

/* The delete of a record that waits takes the device-owned records with it that wait for it. */
Test(waiting, delete_of_what_waits)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 1);
    settle();
    set(b, FOLDER, 1, 0, 0, 1);
    set(b, NOTE, 1, 1, 1, 1);
    set(b, TAG, 2, 1, 0, 2);
    set(b, TAG, 3, 2, 0, 3);
    settle();
    cr_assert_eq(waiting(c), 3);
    drop(b, NOTE, 1);
    drop(b, TAG, 3);
    drop(b, TAG, 2);
    settle();
    cr_assert_eq(waiting(c), 0);
    everybody();
    check_equal();
}

/* A record that was inserted again under the same UUID is another one: nothing of the old one
 * touches it, though it waits for the same. */
Test(waiting, inserted_again_while_it_waits)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 1);
    settle();
    set(b, TAG, 2, 1, 0, 2);
    settle();
    drop(b, TAG, 2);
    set(b, TAG, 2, 1, 0, 20);
    settle();
    set(b, TAG, 2, 1, 0, 21);
    settle();
    cr_assert_eq(waiting(c), 1);
    everybody();
    cr_assert_eq(value_of(c, TAG, 2), 21);
    check_equal();
}

/* A record goes with a parent that another device deletes, and one of this device with it that was
 * pointed there just now: nobody else can know that it was, so its delete is said. */
Test(waiting, moved_below_what_another_deletes)
{
    set(b, FOLDER, 1, 0, 0, 1);
    settle();
    hold(b, a, true);
    hold(c, b, true);
    set(a, FOLDER, 2, 1, 0, 2);
    settle();
    hold(a, b, true);
    drop(b, FOLDER, 1);
    settle();
    set(a, FOLDER, 3, 0, 0, 3);
    log_unsettled(a);
    set(a, FOLDER, 2, 1, 0, 12);
    set(a, FOLDER, 3, 2, 0, 13);
    hold(a, b, false);
    take_without(a, b, "intake");
    cr_assert_eq(count(a, FOLDER), 0);
    everybody();
    cr_assert_eq(count(c, FOLDER), 0);
    check_equal();
}

/* One record of a segment that a table refuses is set aside, and told; the others are there. */
Test(waiting, one_of_a_segment_is_refused)
{
    struct row written[3];
    sql(c->db, "CREATE TRIGGER refuses BEFORE INSERT ON tags WHEN new.value=666"
               " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    sql(a->db, "BEGIN IMMEDIATE");
    written[0] = put(a, TAG, 1, 0, 0, 1);
    written[1] = put(a, TAG, 2, 0, 0, 666);
    written[2] = put(a, TAG, 3, 0, 0, 3);
    capture(a, TAG, written, 3, SYNCLINE_INSERT, 0);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(count(b, TAG), 3);
    cr_assert(has(c, TAG, 1) && !has(c, TAG, 2) && has(c, TAG, 3));
    cr_assert_eq(info_of(c).set_aside, 1);
}

/* ---- Trees inserted again ---- */

#define HIDDEN "SELECT count(*) FROM _syncline_hidden_birth"

static void write_and_capture(struct device *device, int64_t n, int64_t parent, int64_t value,
                              enum syncline_change change)
{
    struct row row = put(device, FOLDER, n, parent, 0, value);
    capture(device, FOLDER, &row, 1, change, 0);
}

/* A tree of device-owned records goes by the delete of its root, and is inserted again with the
 * same UUIDs in the same transaction, at the ids that they had or at others. What is captured of it
 * from then on is about the new records, whatever birth stands where they are. */
static void tree_again(bool other_ids, bool logged)
{
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    set(a, FOLDER, 3, 2, 0, 3);
    settle();
    int64_t before = id_of(a, FOLDER, 2);
    struct row root = {.id = id_of(a, FOLDER, 1), .uuid = uuid_of(FOLDER, 1)};
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 3, 1, 30, SYNCLINE_UPDATE); /* and goes with the others */
    sql(a->db, "UPDATE folders SET parent_id=NULL; DELETE FROM folders");
    capture(a, FOLDER, &root, 1, SYNCLINE_DELETE, 0);
    if (other_ids) {
        write_and_capture(a, 20, 0, 20, SYNCLINE_INSERT);
    }
    write_and_capture(a, 1, 0, 11, SYNCLINE_INSERT);
    write_and_capture(a, 2, 1, 12, SYNCLINE_INSERT);
    write_and_capture(a, 2, 1, 13, SYNCLINE_UPDATE);
    sql(a->db, "COMMIT");
    cr_assert_eq(id_of(a, FOLDER, 2) != before, other_ids);
    if (logged) {
        log_unsettled(a);
    }
    set(a, FOLDER, 2, 1, 0, 14);
    settle();
    cr_assert_eq(count(b, FOLDER), other_ids ? 3 : 2);
    cr_assert_eq(value_of(b, FOLDER, 1), 11);
    cr_assert_eq(value_of(b, FOLDER, 2), 14);
    check_equal();
    set(a, FOLDER, 2, 1, 0, 15);
    settle();
    cr_assert_eq(value_of(b, FOLDER, 2), 15);
    drop_after(a, FOLDER, 1,
               "UPDATE folders SET parent_id=NULL; DELETE FROM folders WHERE value=15");
    settle();
    cr_assert_eq(count(b, FOLDER), other_ids ? 1 : 0);
    check_equal();
}

Test(waiting, tree_again_at_its_ids)
{
    tree_again(false, false);
}

Test(waiting, tree_again_at_its_ids_logged)
{
    tree_again(false, true);
}

Test(waiting, tree_again_at_other_ids)
{
    tree_again(true, false);
}

Test(waiting, tree_again_at_other_ids_logged)
{
    tree_again(true, true);
}

/* The delete of a record that was inserted again is of the new one, whichever birth stood there
 * when it was captured. */
static void tree_again_and_gone(bool logged)
{
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    settle();
    drop_after(a, FOLDER, 1,
               "UPDATE folders SET parent_id=NULL; DELETE FROM folders WHERE value=2");
    set(a, FOLDER, 4, 0, 0, 4);
    set(a, FOLDER, 2, 4, 0, 12);
    if (logged) {
        log_unsettled(a);
    }
    drop(a, FOLDER, 2);
    settle();
    cr_assert_eq(count(b, FOLDER), 1);
    check_equal();
}

Test(waiting, tree_again_and_gone_unsent)
{
    tree_again_and_gone(false);
}

Test(waiting, tree_again_and_gone_logged)
{
    tree_again_and_gone(true);
}

/* An insert that is captured once more takes the place of the first one where that lives: with its
 * id, and all that points at it. */
Test(waiting, owned_insert_captured_again)
{
    set(b, TAG, 1, 0, 0, 1);
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    set(a, FOLDER, 5, 0, 0, 5);
    settle();
    set(b, NOTE, 1, 1, 1, 1);
    drop(a, FOLDER, 5);
    settle();
    int64_t id = id_of(b, FOLDER, 1);
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 1, 0, 11, SYNCLINE_INSERT);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(value_of(b, FOLDER, 1), 11);
    cr_assert_eq(id_of(b, FOLDER, 1), id);
    cr_assert_eq(count(b, FOLDER), 2);
    cr_assert_eq(count(b, NOTE), 1);
    cr_assert_eq(number(b, HIDDEN), 0);
    check_equal();
    set(a, FOLDER, 1, 0, 0, 12);
    settle();
    cr_assert_eq(value_of(b, FOLDER, 1), 12);
    check_equal();
}

/* The same where the new one must wait for a parent: the row stays as it is meanwhile, but it is of
 * the new one, and goes with that. */
static void insert_again_and_wait(bool gone)
{
    set(b, FOLDER, 30, 0, 0, 30);
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    set(a, FOLDER, 5, 0, 0, 5);
    settle();
    drop(a, FOLDER, 5);
    hold(c, b, true);
    set(b, FOLDER, 31, 0, 0, 31);
    settle();
    int64_t id = id_of(c, FOLDER, 1);
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 1, 31, 11, SYNCLINE_INSERT);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(waiting(c), 1);
    cr_assert_eq(value_of(c, FOLDER, 1), 1);
    cr_assert_eq(count(c, FOLDER), 3);
    if (gone) {
        drop_after(a, FOLDER, 1,
                   "UPDATE folders SET parent_id=NULL; DELETE FROM folders WHERE value=2");
        settle();
        cr_assert_eq(waiting(c), 0);
        cr_assert_eq(count(c, FOLDER), 1);
    } else {
        set(a, FOLDER, 1, 31, 0, 12);
        everybody();
        cr_assert_eq(id_of(c, FOLDER, 1), id);
        cr_assert_eq(value_of(c, FOLDER, 1), 12);
    }
    everybody();
    check_equal();
}

Test(waiting, owned_insert_captured_again_waits)
{
    insert_again_and_wait(false);
}

Test(waiting, owned_insert_captured_again_waits_and_goes)
{
    insert_again_and_wait(true);
}

/* Of a record that waits the content of the new insert is what waits. */
Test(waiting, tree_again_while_it_waits)
{
    hold(c, b, true);
    set(b, FOLDER, 30, 0, 0, 30);
    settle();
    set(a, FOLDER, 9, 0, 0, 9);
    set(a, FOLDER, 1, 30, 0, 1);
    settle();
    cr_assert_eq(waiting(c), 1);
    drop(a, FOLDER, 9);
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 1, 30, 11, SYNCLINE_INSERT);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(waiting(c), 1);
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 1, 0, 12, SYNCLINE_INSERT);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(waiting(c), 0);
    cr_assert_eq(value_of(c, FOLDER, 1), 12);
    everybody();
    check_equal();
}

/* Where another device's record of the same UUID is shown, the owner's earlier one goes unseen. */
Test(waiting, tree_again_while_it_is_hidden)
{
    set(a, FOLDER, 9, 0, 0, 9);
    settle();
    hold(a, b, true);
    hold(b, a, true);
    set(a, FOLDER, 1, 9, 0, 1);
    settle();
    set(b, FOLDER, 1, 9, 0, 100);
    settle();
    cr_assert_eq(value_of(c, FOLDER, 1), 100);
    cr_assert_eq(number(c, HIDDEN), 1);
    sql(a->db, "BEGIN IMMEDIATE");
    sql(a->db, "DELETE FROM folders WHERE value=1");
    struct row root = {.id = id_of(a, FOLDER, 9), .uuid = uuid_of(FOLDER, 9)};
    sql(a->db, "DELETE FROM folders WHERE value=9");
    capture(a, FOLDER, &root, 1, SYNCLINE_DELETE, 0);
    write_and_capture(a, 1, 0, 11, SYNCLINE_INSERT);
    sql(a->db, "COMMIT");
    everybody();
    for (size_t d = 0; d < DEVICES; d++) {
        cr_assert_leq(number(&devices[d], HIDDEN), 1, "%s", names[d]);
    }
    check_equal();
}

/* A record leaves a tree before that goes, and what it was in has an update on its way: nothing
 * that is said of that may come before the record has left. */
Test(waiting, moved_out_before_its_tree_goes)
{
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    set(a, FOLDER, 3, 2, 0, 3);
    settle();
    struct row root = {.id = id_of(a, FOLDER, 1), .uuid = uuid_of(FOLDER, 1)};
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 2, 1, 12, SYNCLINE_UPDATE);
    write_and_capture(a, 3, 0, 13, SYNCLINE_UPDATE);
    sql(a->db, "DELETE FROM folders WHERE value=12; DELETE FROM folders WHERE value=1");
    capture(a, FOLDER, &root, 1, SYNCLINE_DELETE, 0);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(count(b, FOLDER), 1);
    cr_assert_eq(value_of(b, FOLDER, 3), 13);
    check_equal();
}

/* A record is moved into a tree that then goes, and the others never hear of the move: its delete
 * is said. */
Test(waiting, moved_into_a_tree_that_goes)
{
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 3, 0, 0, 3);
    set(a, FOLDER, 4, 3, 0, 4);
    settle();
    struct row root = {.id = id_of(a, FOLDER, 1), .uuid = uuid_of(FOLDER, 1)};
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 3, 1, 13, SYNCLINE_UPDATE);
    sql(a->db, "UPDATE folders SET parent_id=NULL; DELETE FROM folders");
    capture(a, FOLDER, &root, 1, SYNCLINE_DELETE, 0);
    sql(a->db, "COMMIT");
    settle();
    cr_assert_eq(count(b, FOLDER), 0);
    check_equal();
}

/* A child that was read again is sent before its parent, and both go before that is: the parent
 * never comes into a log, and nobody waits for it for ever. */
Test(waiting, parent_never_comes)
{
    static const char *const way[] = {"fk_resolve", "serialize", "log_append"};
    leave(a);
    a->config.engine = false; /* so all is read again */
    come(a);
    sql(a->db, "BEGIN IMMEDIATE");
    write_and_capture(a, 1, 0, 1, SYNCLINE_INSERT);
    write_and_capture(a, 2, 1, 2, SYNCLINE_INSERT);
    write_and_capture(a, 1, 0, 3, SYNCLINE_UPDATE);
    sql(a->db, "COMMIT");
    leave(a);
    a->config.engine = true;
    come(a);
    for (int i = 0; i < 100 && info_of(a).own_seq == 0; i++) {
        step_stage(a, "intake");
        for (int k = 0; k < 9; k++) {
            step_stage(a, way[k % 3]);
        }
        skipped_ns += 100 * 1000 * 1000; /* for what lingers */
    }
    cr_assert_eq(info_of(a).own_seq, 1);
    struct row root = {.id = id_of(a, FOLDER, 1), .uuid = uuid_of(FOLDER, 1)};
    sql(a->db, "BEGIN IMMEDIATE; DELETE FROM folders WHERE value=2; DELETE FROM folders");
    capture(a, FOLDER, &root, 1, SYNCLINE_DELETE, 0);
    sql(a->db, "COMMIT");
    settle();
    check_equal();
    cr_assert_eq(count(b, FOLDER), 0);
}

/* Two devices have made a folder of the same UUID. One deletes its own, and silently what it had in
 * it: that is gone everywhere, though the other's folder stays, whichever of the two is shown. */
static void twin_with_a_tree(bool shown)
{
    hold(a, b, true);
    hold(b, a, true);
    if (!shown) {
        set(a, FOLDER, 1, 0, 0, 1);
        settle();
    }
    set(b, FOLDER, 1, 0, 0, 100);
    settle();
    if (shown) {
        set(a, FOLDER, 1, 0, 0, 1);
    }
    set(a, FOLDER, 2, 1, 0, 2);
    set(a, FOLDER, 3, 2, 0, 3);
    set(b, FOLDER, 4, 1, 0, 4);
    settle();
    cr_assert_eq(value_of(c, FOLDER, 1), shown ? 1 : 100);
    drop_after(a, FOLDER, 1,
               "UPDATE folders SET parent_id=NULL; DELETE FROM folders WHERE value IN (2,3)");
    settle();
    cr_assert_eq(count(c, FOLDER), 2);
    everybody();
    cr_assert_eq(count(a, FOLDER), 2);
    cr_assert_eq(value_of(a, FOLDER, 1), 100);
    check_equal();
}

Test(waiting, twin_with_a_tree_shown)
{
    twin_with_a_tree(true);
}

Test(waiting, twin_with_a_tree_hidden)
{
    twin_with_a_tree(false);
}

/* ---- Hidden births and their parents ---- */

/* Two devices insert the same record; c has both, and shows its own, which is later. Nobody else
 * has heard of c. */
static void insert_twins(int model, int64_t parent, int64_t later_parent)
{
    set(b, TAG, 9, 0, 0, 9);
    settle();
    hold(a, c, true);
    hold(b, c, true);
    hold(c, a, true);
    set(a, model, 1, parent, 0, 1);
    settle();
    set(c, model, 1, later_parent, 0, 100);
    settle();
    hold(c, a, false);
    settle();
    cr_assert_eq(value_of(c, model, 1), 100);
    cr_assert_eq(number(c, HIDDEN), 1);
}

/* A hidden birth becomes the latest by an update that points at a record which is not here: it is
 * shown when that comes, also over a restart. */
static void hidden_waits_for_a_parent(int model, bool restart)
{
    insert_twins(model, 0, 0);
    hold(c, b, true);
    set(b, TAG, 8, 0, 0, 8);
    settle();
    set(a, model, 1, 8, 0, 2);
    settle();
    cr_assert_eq(value_of(c, model, 1), 100);
    cr_assert_eq(number(c, "SELECT count(*) FROM _syncline_hidden_birth WHERE lacks_model>0"), 1);
    if (restart) {
        leave(c);
        come(c);
    }
    hold(c, b, false);
    settle();
    cr_assert_eq(value_of(c, model, 1), 2);
    cr_assert_eq(number(c, "SELECT count(*) FROM _syncline_hidden_birth WHERE lacks_model>0"), 0);
    everybody();
    check_equal();
}

Test(waiting, hidden_waits_for_a_parent)
{
    hidden_waits_for_a_parent(TAG, false);
}

Test(waiting, hidden_waits_for_a_parent_over_a_restart)
{
    hidden_waits_for_a_parent(TAG, true);
}

/* The same where the column holds the UUID itself: it needs no local id, and the table refuses it
 * all the same. */
Test(waiting, hidden_waits_for_a_parent_by_uuid)
{
    hidden_waits_for_a_parent(LINK, false);
}

/* What a hidden birth points at is deleted, and then the birth that was shown: its author deletes
 * it, as it does what waits. */
Test(waiting, hidden_whose_parent_is_deleted)
{
    insert_twins(TAG, 9, 0);
    everybody();
    hold(c, a, true);
    drop(b, TAG, 9);
    settle();
    sql(c->db, "DELETE FROM _syncline_hidden_birth"); /* so that its delete does not name both */
    drop(c, TAG, 1);
    settle();
    cr_assert(!has(b, TAG, 1));
    everybody();
    for (size_t d = 0; d < DEVICES; d++) {
        cr_assert_eq(count(&devices[d], TAG), 0, "%s", names[d]);
        cr_assert_eq(number(&devices[d], HIDDEN), 0, "%s", names[d]);
    }
    check_equal();
}

/* The birth that a row shows becomes invisible with its parent: the next one is shown at once, and
 * that one is hidden beside it. */
Test(waiting, hidden_is_shown_when_the_shown_one_goes)
{
    insert_twins(TAG, 0, 9);
    hold(a, c, false);
    settle();
    cr_assert_eq(value_of(a, TAG, 1), 100);
    hold(c, b, true);
    drop(b, TAG, 9);
    settle();
    cr_assert(has(a, TAG, 1));
    cr_assert_eq(value_of(a, TAG, 1), 1);
    cr_assert_eq(waiting(a), 0);
    cr_assert_eq(number(a, HIDDEN), 1);
    everybody();
    cr_assert_eq(value_of(c, TAG, 1), 1);
    check_equal();
}

/* ---- Anything ---- */

static uint64_t random_state;

static int64_t below(int64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

#define RANDOM_MAX 400
static size_t owners[RANDOM_MODELS][RANDOM_MAX]; /* who made a record */

/* A record of the model that the device shows, by number; 0: it is not that lucky. */
static int64_t any(const struct device *device, int model, int64_t made)
{
    for (int i = 0; i < 10 && made > 0; i++) {
        int64_t n = 1 + below(made);
        if (has(device, model, n)) {
            return n;
        }
    }
    return 0;
}

/* Does anything here point at the record? Then whoever removes it would have to remove that. */
static bool is_pointed_at(const struct device *device, int model, int64_t n)
{
    char text[256];
    long long id = id_of(device, model, n);
    (void)snprintf(text, sizeof(text),
                   model == TAG ? "SELECT (SELECT count(*) FROM tags WHERE parent_id=%lld AND id<>"
                                  "%lld)+(SELECT count(*) FROM notes WHERE parent_id=%lld)"
                                : "SELECT (SELECT count(*) FROM folders WHERE parent_id=%lld AND id"
                                  "<>%lld)+(SELECT count(*) FROM notes WHERE folder_id=%lld)",
                   id, id, id);
    return model != NOTE && number(device, text) > 0;
}

static void act_at_random(size_t who, int64_t made[RANDOM_MODELS])
{
    struct device *device = &devices[who];
    int model = (int)below(RANDOM_MODELS);
    int64_t n = any(device, model, made[model]);
    int64_t parent = any(device, model == NOTE ? TAG : model, made[model == NOTE ? TAG : model]);
    int64_t in = model == NOTE && below(2) == 0 ? any(device, FOLDER, made[FOLDER]) : 0;
    bool mine = n != 0 && (model != FOLDER || owners[FOLDER][n] == who);
    if (model == NOTE && parent == 0) {
        return;
    }
    switch (below(4)) {
    case 0:
        if (mine && !is_pointed_at(device, model, n)) {
            drop(device, model, n);
        }
        return;
    case 1:
        if (mine) {
            set(device, model, n, model == FOLDER ? 0 : parent, in, below(1000));
        }
        return;
    default:
        if (made[model] + 1 < RANDOM_MAX) {
            owners[model][++made[model]] = who;
            set(device, model, made[model], below(3) == 0 && model != NOTE ? 0 : parent, in, 1);
        }
        return;
    }
}

/* Whatever the three do, and whoever hears of it when: in the end they are equal, and nothing waits
 * for ever. */
static void anything(uint64_t seed)
{
    int64_t made[RANDOM_MODELS] = {0};
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 400; i++) {
        hold(&devices[below(DEVICES)], &devices[below(DEVICES)], below(3) == 0);
        act_at_random((size_t)below(DEVICES), made);
        if (below(3) == 0) {
            step((int)below(4));
        }
    }
    everybody();
    everybody(); /* deletes that were made on the way may be followed by others */
    check_equal();
}

Test(waiting, anything_1)
{
    anything(1);
}

Test(waiting, anything_2)
{
    anything(2);
}

Test(waiting, anything_3)
{
    anything(3);
}
