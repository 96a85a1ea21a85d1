/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The log gives up what every member holds, and nothing else: three devices whose stages are
 * stepped by hand, with log_prune on. */

#include "tests/integration/stepped.h"

#include "stages/members.h"

#define DAY_MS UINT64_C(86400000)

static struct stepped_device *a;
static struct stepped_device *b;
static struct stepped_device *c;
static struct sl_settings settings;

static void set(enum sl_setting_id id, const char *value)
{
    cr_assert_eq(sl_settings_parse(&settings, id, value, SYNCLINE_SETTING_FILE, 1, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
}

static struct stepped_device *make(const char *name)
{
    struct stepped_device *device = stepped_make(name);
    stepped_close(device);
    device->settings = &settings;
    stepped_open(device);
    return device;
}

/* Two devices that have met. */
static void start(void)
{
    stepped_begin();
    sl_settings_init(&settings);
    set(SL_SETTING_LOG_PRUNE, "on");
    set(SL_SETTING_SCAN_INTERVAL_MS, "0");
    a = make("a");
    b = make("b");
    STEPPED_UNTIL(stepped_info(a).links == 1 && stepped_info(b).links == 1);
}

/* And a third one, which both have met. */
static void start_three(void)
{
    start();
    c = make("c");
    STEPPED_UNTIL(stepped_info(a).links == 2 && stepped_info(b).links == 2);
}

TestSuite(prune, .fini = stepped_end);

static int64_t segments(const struct stepped_device *device)
{
    return stepped_log_number(device, "SELECT count(*) FROM segment");
}

/* Changes that were pruned, of all origins. */
static int64_t pruned(const struct stepped_device *device)
{
    return stepped_log_number(device, "SELECT sum(floor_seq) FROM origin");
}

static int64_t rows(const struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM notes");
}

/* What of each log is there begins where the floor says, goes on without a gap, and ends at its
 * head.
 */
static void check_log(const struct stepped_device *device)
{
    cr_expect_eq(stepped_log_number(device, "SELECT count(*) FROM segment s JOIN origin o ON"
                                            " o.number=s.origin WHERE last_seq<=floor_seq"),
                 0);
    cr_expect_eq(stepped_log_number(device, "SELECT count(*) FROM origin o WHERE held_seq<>"
                                            "coalesce((SELECT max(last_seq) FROM segment"
                                            " WHERE origin=o.number),floor_seq)"),
                 0);
    cr_expect_eq(
        stepped_log_number(device,
                           "SELECT count(*) FROM origin WHERE (floor_seq>0)<>(floor_hash NOT NULL)"
                           " OR (floor_seq>0)<>(length(floor_end)=208)"),
        0);
}

static void check_equal(struct stepped_device *left, struct stepped_device *right)
{
    uint8_t here[SL_HASH_SIZE];
    uint8_t there[SL_HASH_SIZE];
    stepped_digest(left, here);
    stepped_digest(right, there);
    cr_expect_eq(memcmp(here, there, sizeof(here)), 0);
    cr_expect_eq(stepped_info(left).set_aside + stepped_info(right).set_aside, 0);
}

/* When every member holds a segment, and these tables have it, it goes, on all devices; what comes
 * later follows on what is gone. */
Test(prune, what_all_hold_goes, .init = start_three)
{
    stepped_insert(a, 40);
    stepped_insert(b, 20);
    STEPPED_UNTIL(rows(a) == 60 && rows(b) == 60 && rows(c) == 60);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0 && segments(c) == 0);
    cr_expect_eq(pruned(a), 60);
    struct stepped_note note = {.text = "later"};
    stepped_save(c, &note, SYNCLINE_INSERT);
    stepped_insert(a, 5);
    STEPPED_UNTIL(rows(a) == 66 && rows(b) == 66 && rows(c) == 66);
    note.text = "changed";
    stepped_save(b, &note, SYNCLINE_UPDATE);
    STEPPED_UNTIL(stepped_note_is(c, &note, "changed"));
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0 && segments(c) == 0);
    check_log(a);
    check_log(b);
    check_log(c);
    check_equal(a, b);
    check_equal(a, c);
    cr_expect_eq(stepped_events(a, 0) + stepped_events(b, 0) + stepped_events(c, 0), 6);
    stepped_kill(a);
    stepped_cut_power(b);
    stepped_insert(b, 1);
    STEPPED_UNTIL(rows(a) == 67 && rows(b) == 67 && rows(c) == 67);
    check_log(a);
}

/* A library whose setting is off keeps everything. */
Test(prune, off_by_default, .init = start)
{
    stepped_close(a);
    a->settings = NULL;
    stepped_open(a);
    stepped_insert(a, 10);
    STEPPED_UNTIL(rows(b) == 10 && segments(b) == 0);
    stepped_rounds(300);
    cr_expect_gt(segments(a), 0);
    cr_expect_eq(pruned(a), 0);
}

/* Whoever is a member counts, though it is away and has never said anything; and what it comes for
 * is there. */
Test(prune, who_is_away_holds_the_log_back, .init = start_three)
{
    stepped_close(c);
    stepped_insert(a, 30);
    STEPPED_UNTIL(rows(b) == 30);
    stepped_rounds(1000);
    cr_expect_gt(segments(a), 0);
    cr_expect_gt(segments(b), 0);
    cr_expect_eq(pruned(a) + pruned(b), 0);
    stepped_reopen(a); /* what C has said is kept */
    stepped_reopen(b);
    stepped_rounds(1000);
    cr_expect_eq(pruned(a) + pruned(b), 0);
    stepped_open(c);
    STEPPED_UNTIL(rows(c) == 30);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0 && segments(c) == 0);
}

/* A member that two others never meet directly is heard through a third: the log of all goes. */
Test(prune, statements_count, .init = start)
{
    c = stepped_make("c");
    stepped_close(c);
    c->settings = &settings;
    c->peers[0] = "b";
    c->peers_len = 1;
    stepped_open(c);
    STEPPED_UNTIL(stepped_info(a).members == 2 && stepped_info(c).members == 2);
    cr_assert_eq(stepped_info(a).links, 1);
    stepped_insert(a, 10);
    stepped_insert(c, 10);
    STEPPED_UNTIL(rows(a) == 20 && rows(b) == 20 && rows(c) == 20);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0 && segments(c) == 0);
}

/* Alone a device prunes nothing, so that the first to come gets the log. */
Test(prune, alone)
{
    stepped_begin();
    sl_settings_init(&settings);
    set(SL_SETTING_LOG_PRUNE, "on");
    a = make("a");
    stepped_insert(a, 10);
    stepped_rounds(1000);
    cr_expect_gt(segments(a), 0);
    b = make("b");
    STEPPED_UNTIL(rows(b) == 10);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0);
}

/* What these tables have not applied stays, though everybody holds it. */
Test(prune, what_is_not_applied_stays, .init = start)
{
    sl_library_pause(b->library, true);
    stepped_insert(a, 10);
    STEPPED_UNTIL(stepped_info(b).received == 10 && segments(a) == 0);
    stepped_rounds(1000);
    cr_expect_eq(pruned(b), 0);
    cr_expect_eq(rows(b), 0);
    stepped_cut_power(b);
    STEPPED_UNTIL(rows(b) == 10);
    STEPPED_UNTIL(segments(b) == 0);
    check_equal(a, b);
}

/* What subscribers were not told stays. */
Test(prune, subscribers_hold_the_log_back, .init = start)
{
    struct sl_core *core = sl_library_core(a->library);
    atomic_fetch_add(&core->followers, 1);
    stepped_insert(a, 10);
    STEPPED_UNTIL(rows(b) == 10 && segments(b) == 0);
    stepped_rounds(1000);
    cr_expect_eq(pruned(a), 0);
    atomic_store(&core->origins[0]->told_seq, 6);
    atomic_fetch_add(&core->told, 1);
    STEPPED_UNTIL(pruned(a) > 0);
    stepped_rounds(1000);
    cr_expect_leq(pruned(a), 6);
    atomic_fetch_sub(&core->followers, 1);
    atomic_fetch_add(&core->told, 1);
    STEPPED_UNTIL(segments(a) == 0);
}

/* A sync.db that was lost: what the others have pruned is not needed by tables that have applied
 * it. The log begins where theirs do, and goes on. */
Test(prune, a_lost_log_begins_at_the_floor, .init = start)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(SL_SIM_VFS_NAME);
    stepped_insert(a, 10);
    stepped_insert(b, 10);
    STEPPED_UNTIL(rows(a) == 20 && rows(b) == 20);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0);
    stepped_close(b);
    cr_assert_eq(vfs->xDelete(vfs, b->sync_db, 0), SQLITE_OK);
    stepped_open(b);
    stepped_insert(a, 5);
    STEPPED_UNTIL(rows(b) == 25);
    stepped_insert(b, 5);
    STEPPED_UNTIL(rows(a) == 30);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0);
    cr_expect_geq(stepped_events(a, SYNCLINE_CODE_SNAPSHOT_NEEDED), 1);
    cr_expect_eq(stepped_events(b, SYNCLINE_CODE_SNAPSHOT_NEEDED), 0);
    check_log(b);
    check_equal(a, b);
}

/* Days in contact go by: A and B meet, C does not. */
static void pass_days(int days)
{
    for (int i = 0; i < days; i++) {
        stepped.wall_ms += DAY_MS;
        stepped_rounds(40);
    }
}

/* Who was away on more than member_stale_days days on which others were met is marked, and only
 * then its log goes; coming back it is told that it needs a snapshot, and gets nothing of what
 * comes after the gap before it has one; its own changes come; then it is waited for again. */
Test(prune, who_is_away_too_long_needs_a_snapshot, .init = start_three)
{
    stepped_insert(c, 3);
    STEPPED_UNTIL(rows(a) == 3 && rows(b) == 3 && segments(a) == 0 && segments(c) == 0);
    stepped_close(c);
    stepped_insert(a, 10);
    STEPPED_UNTIL(rows(b) == 13);
    pass_days(30);
    stepped_rounds(500);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_MEMBER_AWAY), 0);
    cr_expect_eq(pruned(a), 3);
    stepped.wall_ms += DAY_MS;
    STEPPED_UNTIL(pruned(a) > 3);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 1);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_MEMBER_AWAY) == 1);
    stepped_reopen(a);

    stepped_open(c);
    stepped_insert(c, 2);
    STEPPED_UNTIL(rows(a) == 15 && rows(b) == 15);
    stepped_insert(a, 4);
    STEPPED_UNTIL(rows(b) == 19 && rows(c) == 19);
    cr_expect_geq(stepped_events(a, SYNCLINE_CODE_SNAPSHOT_NEEDED), 1);
    cr_expect_eq(stepped_events(c, SYNCLINE_CODE_LOG_GAP), 0);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0 && segments(c) == 0);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_MEMBER_BACK) == 1);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 0);
    check_equal(a, c);
}

/* Who comes back before anything was pruned that it lacks is not marked any more. */
Test(prune, who_lacks_nothing_pruned_is_back, .init = start_three)
{
    set(SL_SETTING_MEMBER_STALE_DAYS, "5");
    stepped_reopen(a);
    STEPPED_UNTIL(stepped_info(a).links == 2);
    stepped_insert(a, 3);
    STEPPED_UNTIL(rows(c) == 3 && segments(a) == 0 && segments(b) == 0);
    stepped_close(c);
    pass_days(5);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 0);
    pass_days(1);
    STEPPED_UNTIL(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0") == 1);
    stepped_open(c);
    STEPPED_UNTIL(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0") == 0);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_MEMBER_BACK) == 1);
    stepped_insert(a, 3);
    STEPPED_UNTIL(rows(c) == 6 && segments(a) == 0 && segments(b) == 0 && segments(c) == 0);
}

/* Days on which nobody was met do not count, however many there are; nor do days that a clock that
 * was far ahead has skipped. */
Test(prune, only_days_in_contact_count, .init = start_three)
{
    STEPPED_UNTIL(stepped_log_number(a, "SELECT count(*) FROM meta WHERE key='contact_days'") == 1);
    stepped_close(b);
    stepped_close(c);
    STEPPED_UNTIL(stepped_info(a).links == 0);
    stepped_insert(a, 3);
    pass_days(100);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 0);
    cr_expect_eq(stepped_log_number(a, "SELECT value FROM meta WHERE key='contact_days'"), 1);
    stepped_open(b);
    STEPPED_UNTIL(rows(b) == 3);
    stepped.wall_ms += 1000 * DAY_MS;
    pass_days(2);
    stepped.wall_ms -= 1000 * DAY_MS;
    pass_days(10);
    stepped_rounds(500);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 0);
    int64_t days = stepped_log_number(a, "SELECT value FROM meta WHERE key='contact_days'");
    cr_expect(days >= 12 && days <= 16, "%lld", (long long)days);
    cr_expect_eq(pruned(a), 0);
}

/* A note that does not compress. */
static void insert_large(struct stepped_device *device, int n)
{
    static char text[8001];
    for (int i = 0; i < n; i++) {
        struct stepped_note note = {.text = text};
        for (size_t k = 0; k < sizeof(text) - 1; k++) {
            uint8_t byte = 0;
            stepped_draw(NULL, &byte, 1);
            text[k] = (char)(33 + byte % 90);
        }
        stepped_save(device, &note, SYNCLINE_INSERT);
    }
}

/* Beyond its limit the log goes for the one that lacks most, at once; and sync.db gets small. */
Test(prune, size_limit, .init = start_three)
{
    set(SL_SETTING_LOG_SIZE_LIMIT, "1MiB");
    stepped_reopen(a);
    stepped_close(c);
    insert_large(a, 100);
    STEPPED_UNTIL(rows(b) == 100);
    stepped_rounds(1000);
    cr_expect_eq(pruned(a), 0);
    insert_large(a, 100);
    STEPPED_UNTIL(rows(b) == 200 && segments(a) == 0);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_MEMBER_AWAY) == 1);
    STEPPED_UNTIL(stepped_log_number(a, "SELECT freelist_count FROM pragma_freelist_count") <=
                  SL_PRUNE_SLACK_PAGES);
    STEPPED_UNTIL(stepped_log_number(a, "SELECT sum(length(bytes)) FROM birth_segment") <=
                  1024 * 1024 / 4); /* what is kept for births has a limit, too */
    STEPPED_UNTIL(stepped_log_number(a, "SELECT page_count FROM pragma_page_count") <
                  SL_PRUNE_SLACK_PAGES + 140);
    check_log(a);
}

/* Beyond the limit a device that is alone prunes what it has applied; where nothing can be done,
 * that is told, once. */
Test(prune, size_limit_alone)
{
    stepped_begin();
    sl_settings_init(&settings);
    set(SL_SETTING_LOG_PRUNE, "on");
    set(SL_SETTING_LOG_SIZE_LIMIT, "1MiB");
    a = make("a");
    insert_large(a, 200);
    STEPPED_UNTIL(pruned(a) > 0);
    stepped_rounds(500);
    cr_expect_gt(segments(a), 0); /* no more than it takes */
    check_log(a);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_LOG_LIMIT), 0);
}

/* A disk that fails: nothing is pruned, nobody marked, and the log stays as it was; then it goes
 * on. */
Test(prune, a_disk_that_fails, .init = start_three)
{
    stepped_insert(a, 3);
    STEPPED_UNTIL(rows(c) == 3 && segments(a) == 0 && segments(b) == 0);
    stepped_close(c);
    stepped_insert(a, 10);
    STEPPED_UNTIL(rows(b) == 13);
    stepped_rounds(500);
    stepped_fail(1u << SL_SIM_DISK_SYNC, "sync.db-wal", SL_SIM_DISK_FULL, -1);
    pass_days(40);
    cr_expect_eq(pruned(a), 3);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 0);
    stepped_heal();
    STEPPED_UNTIL(pruned(a) > 3);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 1);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0);

    sl_library_pause(b->library, true); /* it holds, and its tables wait */
    stepped_insert(a, 10);
    STEPPED_UNTIL(stepped_info(b).received == 23 && segments(a) == 0);
    stepped_rounds(50);
    sl_library_pause(b->library, false);
    stepped_fail(1u << SL_SIM_DISK_SYNC, "sync.db-wal", SL_SIM_DISK_FULL, -1);
    STEPPED_UNTIL(rows(b) == 23);
    stepped_rounds(500);
    cr_expect_gt(segments(b), 0);
    stepped_heal();
    STEPPED_UNTIL(segments(b) == 0);
    check_log(a);
    check_log(b);
}

/* Power cuts at any moment while the log is pruned: floor and segments always fit, nothing is lost.
 */
Test(prune, power_cuts, .init = start)
{
    for (int i = 0; i < 60; i++) {
        stepped_insert(a, 3);
        stepped_insert(b, 2);
        stepped_rounds(10 + 7 * (i % 9));
        if (i % 3 == 0) {
            stepped_kill(a);
        } else {
            stepped_cut_power(i % 3 == 1 ? a : b);
        }
        check_log(a);
        check_log(b);
    }
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0 && rows(a) == rows(b));
    cr_expect_gt(rows(a), 200);
    check_equal(a, b);
}

/* Who was revoked, or has left, is not waited for: its log ends, and those of the others go. */
Test(prune, who_is_out_is_not_waited_for, .init = start_three)
{
    stepped_close(c);
    stepped_insert(a, 10);
    STEPPED_UNTIL(rows(b) == 10);
    stepped_rounds(500);
    cr_expect_eq(pruned(a), 0);
    cr_assert_eq(
        sl_members_revoke(sl_library_core(a->library), &c->identity.device_id, &stepped.err),
        SYNCLINE_OK, "%s", stepped.err.text);
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM absence WHERE marked_ms>0"), 0);
}

/* A record that is deleted without a capture, long after what brought it was pruned, is found: its
 * UUID was kept. */
Test(prune, a_delete_without_a_capture_is_found, .init = start)
{
    struct stepped_note note = {.text = "to be deleted"};
    set(SL_SETTING_SCAN_INTERVAL_MS, "1s");
    stepped_reopen(a);
    stepped_insert(a, 5);
    stepped_save(a, &note, SYNCLINE_INSERT);
    STEPPED_UNTIL(rows(b) == 6 && segments(a) == 0 && segments(b) == 0);
    cr_expect_gt(stepped_log_number(a, "SELECT count(*) FROM birth_segment"), 0);
    stepped_write(a, &note, SYNCLINE_DELETE, "notes");
    STEPPED_UNTIL(rows(b) == 5);
    check_equal(a, b);
}

/* Segments that only change records are not kept aside, and none is given to anybody. */
Test(prune, updates_are_not_kept, .init = start)
{
    struct stepped_note note = {.text = "one"};
    stepped_save(a, &note, SYNCLINE_INSERT);
    STEPPED_UNTIL(rows(b) == 1 && segments(a) == 0 && segments(b) == 0);
    for (int i = 0; i < 20; i++) {
        note.text = i % 2 == 0 ? "two" : "three";
        stepped_save(i % 3 == 0 ? b : a, &note, SYNCLINE_UPDATE);
        stepped_rounds(20);
    }
    STEPPED_UNTIL(segments(a) == 0 && segments(b) == 0);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM birth_segment"), 1);
    cr_expect_gt(pruned(a), 10);
    check_equal(a, b);
}
