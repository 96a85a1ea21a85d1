/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What goes with a record that is deleted, where several devices have a hand in it. */

#include "tests/integration/three_devices.h"

/* From one look at the tables to the next. */
#define SWEEP_NS (UINT64_C(3700) * 1000 * 1000 * 1000)

TestSuite(trees, .init = start, .fini = stop);

/* Removes a tag and what this device has pinned to it, and says the one delete. */
static void drop_with_pins(struct device *device, int64_t n)
{
    char text[96];
    (void)snprintf(text, sizeof(text), "DELETE FROM pins WHERE parent_id=%lld",
                   (long long)id_of(device, TAG, n));
    drop_after(device, TAG, n, text);
}

/* The next look of all devices at their tables, and what it finds. */
static void sweep(void)
{
    skipped_ns += SWEEP_NS;
    step(100);
    settle();
}

/* ---- Deleted by two devices ---- */

/* Two devices delete a shared record at the same time. Each has records of its own below it, which
 * it does not name, and which the other does not know: they are gone everywhere, whoever is heard
 * first. */
static void deleted_twice(struct device *first)
{
    struct device *second = first == a ? b : a;
    set(a, TAG, 1, 0, 0, 1);
    settle();
    hold(a, b, true);
    hold(b, a, true);
    set(a, PIN, 1, 1, 0, 1);
    set(b, PIN, 2, 1, 0, 2);
    settle();
    cr_assert_eq(count(c, PIN), 2);
    hold(c, second, true);
    drop_with_pins(a, 1);
    drop_with_pins(b, 1);
    settle();
    cr_assert_eq(count(c, TAG) + count(c, PIN), 0);
    cr_assert_eq(waiting(c), 1);
    everybody();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_assert_eq(count(&devices[i], TAG) + count(&devices[i], PIN), 0, "%s", names[i]);
    }
    check_equal();
}

Test(trees, deleted_twice_maker_first)
{
    deleted_twice(a);
}

Test(trees, deleted_twice_maker_last)
{
    deleted_twice(b);
}

/* The same where one of the two deletes a second record below the first, and that one has records
 * of its own: all of it goes. */
Test(trees, deleted_twice_with_a_chain)
{
    set(a, TAG, 1, 0, 0, 1);
    settle();
    hold(a, b, true);
    hold(b, a, true);
    set(b, TAG, 2, 1, 0, 2);
    set(b, PIN, 2, 2, 0, 2);
    set(a, PIN, 1, 1, 0, 1);
    settle();
    hold(c, b, true);
    drop_with_pins(a, 1);
    drop_with_pins(b, 2);
    drop(b, TAG, 1);
    everybody();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_assert_eq(count(&devices[i], TAG) + count(&devices[i], PIN), 0, "%s", names[i]);
    }
    check_equal();
}

/* The record was inserted again by the time the second delete is heard, and what had waited for it
 * points at the new one: it went with the old one all the same. */
Test(trees, deleted_twice_and_inserted_again)
{
    set(a, TAG, 1, 0, 0, 1);
    settle();
    hold(a, b, true);
    hold(b, a, true);
    set(b, PIN, 2, 1, 0, 2);
    settle();
    hold(c, b, true);
    drop_with_pins(b, 1);
    drop(a, TAG, 1);
    settle();
    cr_assert_eq(waiting(c), 1);
    set(a, TAG, 1, 0, 0, 10);
    settle();
    cr_assert_eq(count(c, PIN), 1);
    everybody();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_assert_eq(count(&devices[i], PIN), 0, "%s", names[i]);
        cr_assert_eq(value_of(&devices[i], TAG, 1), 10, "%s", names[i]);
    }
    check_equal();
}

/* A device has put another birth of its own into the place of one that it deletes - somebody had
 * deleted the first without a capture, which the scan finds later: what it has below the new one
 * stays. */
static void replaced(bool waits)
{
    hold(b, c, waits);
    set(c, FOLDER, 9, 0, 0, 9);
    settle();
    set(a, FOLDER, 1, 9, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    settle();
    sweep();
    uint64_t before = info_of(a).own_seq;
    sql(a->db, "DELETE FROM folders WHERE value=2");
    sql(a->db, "DELETE FROM folders WHERE value=1");
    set(a, FOLDER, 8, 0, 0, 8); /* at the id that was free */
    set(a, FOLDER, 1, 9, 0, 11);
    set(a, FOLDER, 2, 1, 0, 12);
    settle();
    cr_assert_eq(has(b, FOLDER, 1), !waits);
    sweep();
    cr_assert_gt(info_of(a).own_seq, before + 3); /* deletes of what was replaced */
    everybody();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_assert_eq(number(&devices[i], "SELECT count(*) FROM folders WHERE value>10"), 2, "%s",
                     names[i]);
    }
    check_equal();
}

Test(trees, replaced_by_its_owner)
{
    replaced(false);
}

Test(trees, replaced_by_its_owner_and_waits)
{
    replaced(true);
}

/* A tree of device-owned records is in the log, and has not come back from there, when it goes with
 * its root and is inserted again: what was inserted again is there everywhere. */
Test(trees, again_before_it_was_settled)
{
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    log_unsettled(a);
    cr_assert_eq(number(a, "SELECT count(*) FROM _syncline_birth"), 0);
    drop_after(a, FOLDER, 1, "DELETE FROM folders WHERE value=2");
    log_unsettled(a);
    cr_assert_eq(number(a, "SELECT count(*) FROM _syncline_birth"), 0);
    set(a, FOLDER, 1, 0, 0, 11);
    set(a, FOLDER, 2, 1, 0, 12);
    settle();
    cr_assert_eq(count(b, FOLDER), 2);
    check_equal();
}

/* A tree goes with its root, is inserted again and changed, all while no engine runs: what is read
 * again goes out as the insert that it was, too, as the update names the birth that stood there. */
Test(trees, again_and_changed_while_no_engine_ran)
{
    set(a, FOLDER, 1, 0, 0, 1);
    set(a, FOLDER, 2, 1, 0, 2);
    settle();
    leave(a);
    a->config.engine = false;
    come(a);
    drop_after(a, FOLDER, 1, "DELETE FROM folders WHERE value=2");
    set(a, FOLDER, 1, 0, 0, 11);
    set(a, FOLDER, 2, 1, 0, 12);
    set(a, FOLDER, 2, 1, 0, 22);
    leave(a);
    a->config.engine = true;
    come(a);
    settle();
    cr_assert_eq(count(b, FOLDER), 2);
    cr_assert_eq(value_of(b, FOLDER, 2), 22);
    check_equal();
}

/* ---- Deleted before it came ---- */

/* A delete is heard before the record that it deletes: what its device had of its own below that is
 * gone at once, and not with the record; what it has put below a new record of the same UUID by
 * then stays. */
Test(trees, deleted_before_it_came)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 1);
    settle();
    set(b, PIN, 1, 1, 0, 1);
    settle();
    cr_assert_eq(waiting(c), 1);
    drop_with_pins(b, 1);
    settle();
    cr_assert_eq(waiting(c), 1);
    cr_assert_eq(number(c, "SELECT change FROM _syncline_waiting"), SYNCLINE_DELETE);
    set(b, TAG, 1, 0, 0, 10);
    set(b, PIN, 2, 1, 0, 2);
    settle();
    everybody();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_assert_eq(value_of(&devices[i], TAG, 1), 10, "%s", names[i]);
        cr_assert(!has(&devices[i], PIN, 1) && has(&devices[i], PIN, 2), "%s", names[i]);
    }
    check_equal();
}

/* The same where an update was heard before the delete. */
Test(trees, changed_and_deleted_before_it_came)
{
    hold(c, a, true);
    set(a, TAG, 1, 0, 0, 1);
    settle();
    set(b, PIN, 1, 1, 0, 1);
    set(b, TAG, 1, 0, 0, 2);
    settle();
    cr_assert_eq(waiting(c), 2);
    drop_with_pins(b, 1);
    settle();
    cr_assert_eq(waiting(c), 1);
    everybody();
    cr_assert_eq(count(c, TAG) + count(c, PIN), 0);
    check_equal();
}

/* ---- Never sent ---- */

/* A record that nobody has captured yet goes with a parent that another device deletes: nobody else
 * has ever heard of it, nor will. What its device had put below it is waiting for it elsewhere, and
 * is deleted by name. */
Test(trees, below_a_record_that_was_never_sent)
{
    set(c, TAG, 9, 0, 0, 9);
    settle();
    (void)put(a, TAG, 1, 9, 0, 1);
    set(a, PIN, 1, 1, 0, 1);
    settle();
    cr_assert_eq(waiting(b), 1);
    drop(c, TAG, 9);
    settle();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_expect_eq(waiting(&devices[i]), 0, "%s", names[i]);
        cr_expect_eq(count(&devices[i], TAG) + count(&devices[i], PIN), 0, "%s", names[i]);
    }
    check_equal();
}

/* ---- What waits at a row ---- */

/* B has pointed a tag at one that A deleted: that waits at A. A points it at another one, later,
 * and hears that this was deleted and inserted again: the tag is what A made of it last, also while
 * it was not to be seen. */
Test(trees, changed_while_an_update_waits)
{
    set(a, TAG, 1, 0, 0, 1);
    set(a, TAG, 2, 0, 0, 2);
    set(a, TAG, 3, 0, 0, 3);
    settle();
    hold(a, b, true);
    hold(b, a, true);
    set(b, TAG, 1, 2, 0, 10);
    drop(a, TAG, 2);
    settle();
    hold(a, c, true);
    hold(a, b, false);
    settle();
    cr_assert_eq(waiting(a), 1);
    hold(c, a, true);
    drop(c, TAG, 3);
    settle();
    set(c, TAG, 3, 0, 0, 30);
    settle();
    set(a, TAG, 1, 3, 0, 20);
    log_unsettled(a);
    hold(a, c, false);
    take_without(a, c, "intake"); /* before it has looked at what waits */
    everybody();
    for (size_t i = 0; i < DEVICES; i++) {
        cr_expect_eq(value_of(&devices[i], TAG, 1), 20, "%s", names[i]);
    }
    check_equal();
}

/* ---- Anything ---- */

#define RANDOM_MAX 400
#define ACTIONS 400

static const int kinds[] = {TAG, FOLDER, NOTE, PIN};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static uint64_t random_state;
static int64_t made[MODELS];
static size_t owners[MODELS][RANDOM_MAX]; /* who made a record */

static int64_t below(int64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

static bool is_owned(int model)
{
    return model == FOLDER || model == PIN;
}

/* A record of the model that the device shows, by number; 0: it is not that lucky. */
static int64_t any(const struct device *device, int model)
{
    for (int i = 0; i < 10 && made[model] > 0; i++) {
        int64_t n = 1 + below(made[model]);
        if (has(device, model, n)) {
            return n;
        }
    }
    return 0;
}

static int64_t number_of_uuid(const uint8_t *uuid)
{
    return (int64_t)uuid[1] << 8 | uuid[2];
}

/* Removes a record and all that hangs on it, from its leaves on, in the open transaction: shared
 * records are named, device-owned ones below them are not. false: another device's is among them,
 * or the tree is deeper than anything that this has made on purpose. */
static bool fell(struct device *device, int model, int64_t n, int depth, bool is_root)
{
    static const struct {
        int parent;
        int child;
        const char *key;
    } keys[] = {{TAG, TAG, "parent_id"},
                {TAG, NOTE, "parent_id"},
                {TAG, PIN, "parent_id"},
                {FOLDER, FOLDER, "parent_id"},
                {FOLDER, NOTE, "folder_id"}};
    size_t who = (size_t)(device - devices);
    if (depth > 30 || (is_owned(model) && owners[model][n] != who)) {
        return false;
    }
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        bool found = keys[k].parent == model;
        while (found) {
            char text[160];
            sqlite3_stmt *stmt = NULL;
            (void)snprintf(text, sizeof(text), "SELECT uuid FROM %s WHERE %s=%lld AND id<>%lld",
                           tables[keys[k].child], keys[k].key, (long long)id_of(device, model, n),
                           keys[k].child == model ? (long long)id_of(device, model, n) : -1LL);
            cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK);
            found = sqlite3_step(stmt) == SQLITE_ROW;
            int64_t child = found ? number_of_uuid(sqlite3_column_blob(stmt, 0)) : 0;
            (void)sqlite3_finalize(stmt);
            if (found && !fell(device, keys[k].child, child, depth + 1, false)) {
                return false;
            }
        }
    }
    struct row row = {.id = id_of(device, model, n), .uuid = uuid_of(model, n)};
    char text[96];
    (void)snprintf(text, sizeof(text), "DELETE FROM %s WHERE id=%lld", tables[model],
                   (long long)row.id);
    sql(device->db, text);
    if (is_root || !is_owned(model)) {
        capture(device, model, &row, 1, SYNCLINE_DELETE, 0);
    }
    return true;
}

static void act_at_random(struct device *device)
{
    int model = kinds[below(KINDS)];
    int64_t n = any(device, model);
    int64_t parent = any(device, parent_of(model));
    int64_t in = model == NOTE && below(2) == 0 ? any(device, FOLDER) : 0;
    size_t who = (size_t)(device - devices);
    bool mine = n != 0 && (!is_owned(model) || owners[model][n] == who);
    bool needs_parent = model == NOTE || (model == PIN && below(5) > 0);
    if (needs_parent && parent == 0) {
        return;
    }
    parent = needs_parent || below(3) > 0 ? parent : 0;
    switch (below(5)) {
    case 0:
        if (mine) {
            sql(device->db, "BEGIN IMMEDIATE");
            sql(device->db, fell(device, model, n, 0, true) ? "COMMIT" : "ROLLBACK");
        }
        return;
    case 1:
    case 2:
        if (mine && (model != FOLDER || below(2) == 0)) {
            set(device, model, n, model == FOLDER ? 0 : parent, in, below(1000));
        }
        return;
    default:
        if (made[model] + 1 < RANDOM_MAX) {
            owners[model][++made[model]] = who;
            set(device, model, made[model], parent, in, 1);
        }
        return;
    }
}

/* Whatever the three do, trees and all, and whoever hears of it when: in the end they are equal,
 * and nothing waits for ever. */
static void anything(uint64_t seed)
{
    memset(made, 0, sizeof(made));
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < ACTIONS; i++) {
        hold(&devices[below(DEVICES)], &devices[below(DEVICES)], below(3) == 0);
        act_at_random(&devices[below(DEVICES)]);
        if (below(3) == 0) {
            step((int)below(4));
        }
    }
    everybody();
    sweep(); /* what nobody could know is found when all is quiet */
    check_equal();
}

Test(trees, anything_1)
{
    anything(1);
}

Test(trees, anything_2)
{
    anything(2);
}

Test(trees, anything_3)
{
    anything(3);
}
