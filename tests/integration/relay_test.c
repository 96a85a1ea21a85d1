/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Three devices of which two never meet: A and C know the address of B alone. What either commits
 * comes to the other over B, as its device sealed it. */

#include "tests/integration/api.h"

TestSuite(relay, .init = api_setup, .fini = api_cleanup);

/* A, B, which dials A, and C, which dials B. */
static void open_line(struct api_device *a, struct api_device *b, struct api_device *c)
{
    api_pair(a, b);
    api_join(c, "c", b->address);
    api_open(c, b->address);
}

static void close_line(struct api_device *a, struct api_device *b, struct api_device *c)
{
    api_close(a);
    api_close(b);
    api_close(c);
}

/* What is known of the member of that name. */
static struct syncline_member member_of(struct api_device *device, const char *name)
{
    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    for (size_t i = 0; i < api_info(device).members; i++) {
        API_OK(device->lib, syncline_member_get(device->lib, i, &member));
        if (strcmp(member.name, name) == 0) {
            return member;
        }
    }
    cr_assert_fail("%s is no member", name);
    return member;
}

static void wait_rows(struct api_device *device, const char *table, int64_t rows)
{
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    API_WAIT(api_int(device->db, sql) == rows);
}

static void check_all_equal(struct api_device *a, struct api_device *b, struct api_device *c)
{
    api_check_equal(a, b);
    api_check_equal(b, c);
    api_check_equal(a, c);
}

/* Segments of all origins, by origin and place, that only one of two logs has, or with other bytes.
 */
static int64_t log_differences(struct api_device *a, struct api_device *b)
{
    char path[API_PATH_SIZE + 16];
    char sql[API_PATH_SIZE + 64];
    (void)snprintf(path, sizeof(path), "%s/sync.db", a->dir);
    sqlite3 *db = api_db_open(path);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s/sync.db' AS b", b->dir);
    api_sql(db, sql);
    int64_t differences = api_int(
        db,
        "WITH ours AS (SELECT device,epoch,last_seq,bytes FROM main.segment s JOIN main.origin o"
        " ON o.number=s.origin), theirs AS (SELECT device,epoch,last_seq,bytes FROM b.segment s"
        " JOIN b.origin o ON o.number=s.origin)"
        " SELECT (SELECT count(*) FROM (SELECT * FROM ours EXCEPT SELECT * FROM theirs))+"
        "(SELECT count(*) FROM (SELECT * FROM theirs EXCEPT SELECT * FROM ours))");
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    return differences;
}

/* Inserts, updates and deletes of all three come to all three, and the logs hold the same bytes. */
Test(relay, devices_that_never_meet_converge)
{
    struct api_device a;
    struct api_device b;
    struct api_device c;
    open_line(&a, &b, &c);
    struct tag of_a = api_tag("made by A");
    struct tag of_c = api_tag("made by C");
    struct tag gone = api_tag("deleted by C");
    api_save_tag(&a, &of_a, SYNCLINE_INSERT);
    api_save_tag(&a, &gone, SYNCLINE_INSERT);
    api_save_tag(&c, &of_c, SYNCLINE_INSERT);
    api_save_tags(&a, 1000, 100);
    api_save_tags(&b, 500, 50);
    api_save_tags(&c, 1000, 100);
    (void)api_save_folder(&c, "a folder of C", NULL);
    wait_rows(&a, "tags", 2503);
    wait_rows(&b, "tags", 2503);
    wait_rows(&c, "tags", 2503);
    wait_rows(&a, "folders", 1);
    check_all_equal(&a, &b, &c);

    /* Each changes what another made; what the one deletes is gone everywhere. */
    of_a.id = api_id(c.db, "tags", &of_a.uuid);
    of_a.name = "changed by C";
    api_save_tag(&c, &of_a, SYNCLINE_UPDATE);
    gone.id = api_id(c.db, "tags", &gone.uuid);
    api_save_tag(&c, &gone, SYNCLINE_DELETE);
    of_c.id = api_id(a.db, "tags", &of_c.uuid);
    of_c.name = "changed by A";
    api_save_tag(&a, &of_c, SYNCLINE_UPDATE);
    wait_rows(&a, "tags", 2502);
    API_WAIT(api_tag_is(a.db, &of_a.uuid, "changed by C"));
    API_WAIT(api_tag_is(c.db, &of_c.uuid, "changed by A"));
    wait_rows(&b, "tags", 2502);
    API_WAIT(api_tag_is(b.db, &of_c.uuid, "changed by A"));
    check_all_equal(&a, &b, &c);
    cr_expect_eq(log_differences(&a, &c), 0);
    cr_expect_eq(log_differences(&a, &b), 0);

    cr_expect_eq(api_info(&a).members, 2);
    cr_expect_eq(api_info(&a).links, 1);
    cr_expect_eq(api_info(&c).members, 2);
    cr_expect_not(member_of(&a, "c").linked);
    cr_expect(member_of(&a, "b").linked);
    cr_expect_eq(member_of(&a, "c").held_seq, 1004);
    cr_expect_eq(member_of(&c, "a").held_seq, 1003);
    cr_expect_str_eq(api_info(&a).notice, "");
    cr_expect_str_eq(api_info(&b).notice, "");
    cr_expect_str_eq(api_info(&c).notice, "");
    close_line(&a, &b, &c);
}

/* Writes a tag with a ticket. */
static struct syncline_ticket tag_with_ticket(struct api_device *device, const char *name)
{
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    struct syncline_ticket ticket = SYNCLINE_TICKET_INIT;
    struct tag tag = api_tag(name);
    options.ticket = &ticket;
    api_sql(device->db, "BEGIN IMMEDIATE");
    api_put_tag(device->db, &tag);
    API_OK(device->lib, syncline_sync_models_batch(device->lib, &tag_model, &tag, 1,
                                                   SYNCLINE_INSERT, device->db, &options));
    api_sql(device->db, "COMMIT");
    return ticket;
}

/* How far a change is with a member that its device never meets can be waited for, by its name, and
 * stays known; while it is away nobody can say so for it. */
Test(relay, levels_of_a_member_never_met)
{
    struct api_device a;
    struct api_device b;
    struct api_device c;
    open_line(&a, &b, &c);
    API_WAIT(api_info(&a).members == 2);
    struct syncline_who who = SYNCLINE_WHO_INIT;
    who.whose = SYNCLINE_WHO_MEMBER;
    who.device_id = member_of(&a, "c").device_id;
    for (int round = 0; round < 3; round++) {
        struct syncline_ticket ticket = tag_with_ticket(&a, "for C");
        API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &who, API_DEADLINE_MS));
        API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_SENT, &who, 0));
        API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_ACKED, &who, 0));
        cr_expect_eq(api_int(c.db, "SELECT count(*) FROM tags"), round + 1);
    }
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    API_OK(c.lib, syncline_flush(c.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));

    api_stop(&c);
    struct syncline_ticket ticket = tag_with_ticket(&a, "C is away");
    struct syncline_who any = SYNCLINE_WHO_INIT;
    any.whose = SYNCLINE_WHO_ANY;
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &any, API_DEADLINE_MS));
    API_REFUSED(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_ACKED, &who, 50),
                SYNCLINE_TIMEOUT, "3");
    cr_expect_eq(member_of(&a, "c").behind, 1);
    api_open(&c, b.address);
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &who, API_DEADLINE_MS));
    API_WAIT(member_of(&a, "c").applied_seq == 4); /* sync.db knows it too */
    cr_expect_eq(member_of(&a, "c").behind, 0);
    cr_expect_eq(member_of(&a, "c").acked_seq, 4);
    api_stop(&b);
    api_stop(&c);
    api_stop(&a);
    api_open(&a, NULL);
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &who, 0));
    api_open(&b, a.address);
    api_open(&c, b.address);
    close_line(&a, &b, &c);
}

/* They need not even be there at the same time: B carries what A made to C after A is gone, and
 * knows A's key from its own log of members. */
Test(relay, one_carries_for_the_other)
{
    struct api_device a;
    struct api_device b;
    struct api_device c;
    api_pair(&a, &b);
    api_save_tags(&a, 700, 70);
    api_settle(&a, &b);
    api_stop(&a);
    api_stop(&b);
    api_open(&b, NULL);
    api_join(&c, "c", b.address);
    api_open(&c, b.address);
    wait_rows(&c, "tags", 700);
    api_save_tags(&c, 300, 30);
    wait_rows(&b, "tags", 1000);
    api_stop(&c);
    api_stop(&b);
    api_open(&a, NULL);
    api_open(&b, a.address);
    wait_rows(&a, "tags", 1000);
    cr_expect_eq(member_of(&a, "c").held_seq, 300);
    api_open(&c, b.address);
    check_all_equal(&a, &b, &c);
    cr_expect_eq(log_differences(&a, &c), 0);
    close_line(&a, &b, &c);
}

/* Four in a square: everything comes to everybody by two ways, and does no harm twice. */
Test(relay, two_ways_do_no_harm)
{
    struct api_device a;
    struct api_device b;
    struct api_device c;
    struct api_device d;
    open_line(&a, &b, &c);
    api_join(&d, "d", a.address);
    api_stop(&c);
    api_open(&d, a.address);
    api_stop(&d);
    const char *peers_of_d[2] = {a.address, NULL};
    char address_c[64];
    api_open(&c, b.address);
    (void)snprintf(address_c, sizeof(address_c), "%s", c.address);
    peers_of_d[1] = address_c;
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    options.peers = peers_of_d;
    options.peers_count = 2;
    cr_assert_eq(syncline_open(d.dir, &options, &d.lib), SYNCLINE_OK, "%s", api_text);
    for (int round = 0; round < 20; round++) {
        api_save_tags(&a, 10, 0);
        api_save_tags(&b, 10, 0);
        api_save_tags(&c, 10, 0);
        api_save_tags(&d, 10, 0);
    }
    wait_rows(&a, "tags", 800);
    wait_rows(&b, "tags", 800);
    wait_rows(&c, "tags", 800);
    wait_rows(&d, "tags", 800);
    check_all_equal(&a, &b, &c);
    api_check_equal(&a, &d);
    cr_expect_eq(log_differences(&a, &c), 0);
    cr_expect_eq(log_differences(&b, &d), 0);
    cr_expect_str_eq(api_info(&a).notice, "");
    cr_expect_str_eq(api_info(&c).notice, "");
    api_close(&d);
    close_line(&a, &b, &c);
}

/* ---- A log that has split ---- */

/* As the machine would be copied, with its home and all: nothing tells the copy that it is one. */
static void copy_device(struct api_device *from, struct api_device *to, const char *name)
{
    static const char *const files[] = {"library.db", "sync.db", "device.key", "syncline.conf"};
    char path[API_PATH_SIZE + 32];
    char copy[API_PATH_SIZE + 32];
    api_name(to, name);
    cr_assert_eq(mkdir(to->dir, 0700), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", from->dir, files[i]);
        (void)snprintf(copy, sizeof(copy), "%s/%s", to->dir, files[i]);
        if (api_exists(path)) {
            api_copy_file(path, copy);
            cr_assert_eq(chmod(copy, 0600), 0);
        }
    }
    (void)snprintf(copy, sizeof(copy), "%s/sync.db", to->dir);
    api_sql_at(copy, "DELETE FROM meta WHERE key='place'");
    api_db(to);
}

/* Forks that the device has seen. */
static int64_t forks(struct api_device *device)
{
    char path[API_PATH_SIZE + 16];
    (void)snprintf(path, sizeof(path), "%s/sync.db", device->dir);
    sqlite3 *db = api_db_open(path);
    int64_t count = api_int(db, "SELECT count(*) FROM fork");
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    return count;
}

static void save_and_send(struct api_device *from, const char *name, struct api_device *to)
{
    struct tag tag = api_tag(name);
    api_save_tag(from, &tag, SYNCLINE_INSERT);
    API_WAIT(api_has(to->db, "tags", &tag.uuid));
}

/* C is copied, and both go on, each seen by another device: when those two meet they see that C's
 * log has split, keep the proof, and take no more of C; all else goes on, now and later. */
Test(relay, a_split_log_ends_alone)
{
    struct api_device a;
    struct api_device b;
    struct api_device c;
    struct api_device copy;
    open_line(&a, &b, &c);
    save_and_send(&c, "before", &a);
    API_WAIT(api_info(&c).members == 2);
    api_stop(&c);
    api_stop(&b);
    cr_assert_eq(sqlite3_close(c.db), SQLITE_OK); /* which empties the WAL */
    copy_device(&c, &copy, "copy");
    api_db(&c);
    api_open(&c, a.address);
    save_and_send(&c, "of the one", &a);
    api_stop(&c);
    api_stop(&a);
    api_open(&b, NULL);
    (void)setenv("XDG_STATE_HOME", copy.dir, 1); /* its own home */
    api_open(&copy, b.address);
    (void)setenv("XDG_STATE_HOME", api_folder, 1);
    save_and_send(&copy, "of the other", &b);
    api_stop(&copy);
    api_stop(&b);

    api_open(&a, NULL);
    api_open(&b, a.address);
    API_WAIT(forks(&a) == 1 && forks(&b) == 1);
    cr_expect_not_null(strstr(api_info(&a).notice, "the log of \"c\" has split"), "%s",
                       api_info(&a).notice);
    save_and_send(&a, "A goes on", &b);
    save_and_send(&b, "B goes on", &a);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 4);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 4);

    /* It stays so, and what C makes now comes to nobody. */
    api_stop(&b);
    api_stop(&a);
    api_open(&a, NULL);
    api_open(&b, a.address);
    api_open(&c, a.address);
    struct tag late = api_tag("too late");
    api_save_tag(&c, &late, SYNCLINE_INSERT);
    save_and_send(&a, "A goes on to C", &c);
    save_and_send(&b, "B goes on to C", &c);
    save_and_send(&b, "B goes on to A", &a);
    cr_expect_not(api_has(a.db, "tags", &late.uuid));
    cr_expect_eq(forks(&a), 1);
    cr_expect_eq(sqlite3_close(copy.db), SQLITE_OK);
    close_line(&a, &b, &c);
}
