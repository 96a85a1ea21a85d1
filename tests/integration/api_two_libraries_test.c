/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Two devices in one process, over TCP: apart and together again, who wins, how far things have
 * come, and what is said about what could not be done. */

#include <time.h>

#include "tests/integration/api.h"

TestSuite(api_two_libraries, .init = api_setup, .fini = api_cleanup);

/* ---- Apart and together again ---- */

/* Changed on both sides while apart: the later change stands on both. */
Test(api_two_libraries, last_writer_wins)
{
    struct api_device a;
    struct api_device b;
    struct tag tags[10];
    api_pair(&a, &b);
    for (size_t i = 0; i < 10; i++) {
        tags[i] = api_tag("at first");
        api_save_tag(&a, &tags[i], SYNCLINE_INSERT);
    }
    api_settle(&a, &b);
    api_stop(&b);
    for (size_t i = 0; i < 10; i++) {
        tags[i].name = "by A";
        api_save_tag(&a, &tags[i], SYNCLINE_UPDATE);
    }
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_stop(&a);

    api_open_alone(&b);
    int64_t clock = api_now_ms();
    API_WAIT(api_now_ms() > clock + 2); /* so that B's changes have a later time */
    for (size_t i = 0; i < 5; i++) {
        struct tag on_b = tags[i];
        on_b.id = api_id(b.db, "tags", &on_b.uuid);
        on_b.name = "by B";
        api_save_tag(&b, &on_b, SYNCLINE_UPDATE);
    }
    api_stop(&b);
    api_open(&a, NULL);
    api_open(&b, a.address);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags WHERE name='by B'"), 5);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='by A'"), 5);
    api_close(&a);
    api_close(&b);
}

/* A delete and an update of the same record, made apart, in both orders: it ends deleted on both
 * sides, and so it stays. */
Test(api_two_libraries, delete_and_update)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag tags[2] = {api_tag("deleted first"), api_tag("updated first")};
    api_save_tag(&a, &tags[0], SYNCLINE_INSERT);
    api_save_tag(&a, &tags[1], SYNCLINE_INSERT);
    api_settle(&a, &b);
    struct tag on_b[2] = {tags[0], tags[1]};
    api_stop(&a);
    for (size_t i = 0; i < 2; i++) {
        on_b[i].id = api_id(b.db, "tags", &on_b[i].uuid);
        on_b[i].name = "updated";
    }
    api_save_tag(&b, &on_b[1], SYNCLINE_UPDATE);
    API_OK(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_open_alone(&a);
    api_save_tag(&a, &tags[0], SYNCLINE_DELETE);
    api_save_tag(&a, &tags[1], SYNCLINE_DELETE);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_stop(&a);
    api_save_tag(&b, &on_b[0], SYNCLINE_UPDATE);
    API_OK(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_open(&a, NULL);
    api_settle(&a, &b);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 0);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 0);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* B is opened only after A has finished: it catches up from A's log. And after each has been closed
 * and opened again, they go on where they were. */
Test(api_two_libraries, catching_up)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    api_save_tags(&a, 2500, 0);
    struct folder folder = api_save_folder(&a, "folder", NULL);
    (void)api_save_folder(&a, "child", &folder);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_stop(&a);
    api_open(&a, NULL);
    api_open(&b, a.address);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 2500);

    for (int round = 0; round < 3; round++) {
        struct api_device *away = round % 2 == 0 ? &b : &a;
        struct api_device *there = round % 2 == 0 ? &a : &b;
        api_stop(away);
        api_save_tags(there, 10, 0);
        api_open(away, round % 2 == 0 ? a.address : NULL);
        api_save_tags(away, 10, 0);
        API_WAIT(api_info(&a).links == 1 && api_info(&b).links == 1);
        api_settle(&a, &b);
        api_check_equal(&a, &b);
    }
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 2560);
    api_close(&a);
    api_close(&b);
}

/* ---- Waiting and looking ---- */

/* How far a flush comes, with nobody, with a member that is away, and with one that is there. */
Test(api_two_libraries, flush_levels)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    api_open(&a, NULL);
    struct tag tag = api_tag("tag");
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, 0, NULL)); /* nothing to do */
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, -1, NULL));
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, 0, NULL), SYNCLINE_EREFUSED,
                "no other member");
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, -1, NULL), SYNCLINE_EREFUSED,
                "no other member");

    api_join(&b, "b", a.address); /* a member from here on, though it has never run */
    API_WAIT(api_info(&a).members == 1);
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, 0, NULL), SYNCLINE_TIMEOUT,
                "0 of 1");
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, 20, NULL), SYNCLINE_TIMEOUT,
                "0 of 1");
    api_open(&b, a.address);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, -1, NULL));
    cr_expect(api_has(b.db, "tags", &tag.uuid));

    /* In the capture role with no engine: what is in the outbox stays there. */
    API_WAIT(api_info(&a).applied_seq == 1); /* sync.db, which this role reads, knows it too */
    api_stop(&a);
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, 0, NULL));
    tag = api_tag("waits");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, 5, NULL), SYNCLINE_TIMEOUT,
                "outbox");
    cr_expect_eq(api_info(&a).outbox, 1);
    api_stop(&a);
    api_open(&a, NULL);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* What info and member say of two devices that have sent each other something. */
Test(api_two_libraries, info_and_member)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&a, 30, 0);
    api_save_tags(&b, 12, 0);
    api_settle(&a, &b);
    API_WAIT(api_info(&a).applied_seq == 30 && api_info(&b).applied_seq == 12);
    struct syncline_info of_a = api_info(&a);
    struct syncline_info of_b = api_info(&b);
    cr_expect_eq(memcmp(&of_a.library_id, &of_b.library_id, 16), 0);
    cr_expect_neq(memcmp(&of_a.device_id, &of_b.device_id, 16), 0);
    cr_expect_str_eq(of_a.library_name, "the library");
    cr_expect_str_eq(of_b.library_name, "the library");
    cr_expect_str_eq(of_a.device_name, "a");
    cr_expect_str_eq(of_b.device_name, "b");
    cr_expect_eq(of_a.own_seq, 30);
    cr_expect_eq(of_a.acked_seq, 30);
    cr_expect_eq(of_a.received, 12);
    cr_expect_eq(of_a.received_applied, 12);
    cr_expect_eq(of_a.announced, 12);
    cr_expect_eq(of_a.members, 1);
    cr_expect_eq(of_a.links, 1);
    cr_expect_eq(of_a.outbox, 0);
    cr_expect_eq(of_a.set_aside, 0);
    cr_expect_gt(of_a.wire_bytes_sent, 30 * 12);
    cr_expect_gt(of_a.wire_bytes_received, 12 * 12);
    cr_expect_eq(of_a.segments_sent, 1);
    cr_expect_eq(of_b.segments_sent, 1);

    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    API_OK(a.lib, syncline_member_get(a.lib, 0, &member));
    cr_expect_eq(memcmp(&member.device_id, &of_b.device_id, 16), 0);
    cr_expect_str_eq(member.name, "b");
    cr_expect(member.linked);
    cr_expect_eq(member.acked_seq, 30);
    cr_expect_eq(member.applied_seq, 30);
    cr_expect_eq(member.held_seq, 12);
    cr_expect_eq(member.own_seq, 12);
    struct syncline_member untouched = member;
    API_REFUSED(a.lib, syncline_member_get(a.lib, 1, &member), SYNCLINE_ENOTFOUND, "member 1");
    cr_expect_eq(memcmp(&member, &untouched, sizeof(member)), 0);

    api_stop(&b);
    API_WAIT(api_info(&a).links == 0);
    API_OK(a.lib, syncline_member_get(a.lib, 0, &member));
    cr_expect_not(member.linked);
    cr_expect_eq(member.held_seq, 12);
    cr_expect_eq(member.behind, 0);
    cr_expect_eq(member.behind_bytes, 0);
    cr_expect_eq(member.behind_since_ms, 0);
    int64_t before_ms = (int64_t)time(NULL) * 1000;
    struct tag late = api_tag("late");
    late.id = 900;
    api_save_tag(&a, &late, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    API_OK(a.lib, syncline_member_get(a.lib, 0, &member));
    cr_expect_eq(member.behind, 1);
    cr_expect_gt(member.behind_bytes, 100);
    cr_expect_geq(member.behind_since_ms, before_ms);
    cr_expect_leq(member.behind_since_ms, ((int64_t)time(NULL) + 1) * 1000);

    /* A caller of an older version, whose struct ends earlier: nothing is written behind it. */
    struct syncline_info shorter;
    memset(&shorter, 0x55, sizeof(shorter));
    shorter.size = offsetof(struct syncline_info, members);
    API_OK(a.lib, syncline_info(a.lib, &shorter));
    cr_expect_str_eq(shorter.device_name, "a");
    cr_expect_eq(shorter.members, 0x55555555);
    api_close(&a);
    api_close(&b);
}

/* The digest tells content apart, and nothing else: not ids, and not columns of one's own. */
Test(api_two_libraries, digest)
{
    struct api_device a;
    struct api_device b;
    uint64_t count_a = 0;
    uint64_t count_b = 0;
    uint8_t hash_a[32];
    uint8_t hash_b[32];
    api_pair(&a, &b);
    struct tag own = api_tag("makes other ids on B");
    own.id = 5000;
    api_save_tag(&b, &own, SYNCLINE_INSERT);
    api_save_tags(&a, 20, 0);
    api_settle(&a, &b);
    api_sql(a.db, "UPDATE tags SET here='on A'");
    api_check_equal(&a, &b);
    cr_expect_neq(api_int(a.db, "SELECT sum(id) FROM tags"),
                  api_int(b.db, "SELECT sum(id) FROM tags"));
    API_OK(a.lib, syncline_digest(a.lib, &tag_model, &count_a, hash_a));
    cr_expect_eq(count_a, 21);
    api_sql(b.db, "UPDATE tags SET note='' WHERE id=5000"); /* which was NULL, and is not told */
    API_OK(b.lib, syncline_digest(b.lib, &tag_model, &count_b, hash_b));
    cr_expect_eq(count_b, 21);
    cr_expect_neq(memcmp(hash_a, hash_b, sizeof(hash_a)), 0);
    API_OK(a.lib, syncline_digest(a.lib, &thing_model, &count_a, hash_a));
    cr_expect_eq(count_a, 0);
    api_close(&a);
    api_close(&b);
}

/* A child whose parent was never captured waits for it; everything else, before and after and in
 * the same call, goes on. */
Test(api_two_libraries, waits_for_its_parent)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct folder silent = api_new_folder("never captured", NULL);
    api_put_folder(a.db, &silent);
    struct folder folders[3] = {api_new_folder("before", NULL), api_new_folder("child", &silent),
                                api_new_folder("after", NULL)};
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < 3; i++) {
        api_put_folder(a.db, &folders[i]);
    }
    api_capture(&a, &folder_model, folders, 3, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    (void)api_save_folder(&a, "later", &folders[0]);
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM folders"), 3);
    cr_expect_not(api_has(b.db, "folders", &folders[1].uuid));
    cr_expect_eq(api_info(&b).set_aside, 0);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM _syncline_waiting"), 1);
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_capture(&a, &folder_model, &silent, 1, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM _syncline_waiting"), 0);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* A record that the other device's table does not take is set aside there, by itself. */
Test(api_two_libraries, refused_by_the_table)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_sql(b.db, "CREATE TRIGGER no_red BEFORE INSERT ON tags WHEN NEW.name='red'"
                  " BEGIN SELECT RAISE(ABORT,'no red here'); END");
    const char *names[] = {"blue", "red", "green"};
    struct tag tags[3];
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < 3; i++) {
        tags[i] = api_tag(names[i]);
        api_put_tag(a.db, &tags[i]);
    }
    api_capture(&a, &tag_model, tags, 3, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 2);
    cr_expect_eq(api_info(&b).set_aside, 1);
    struct syncline_set_aside record = SYNCLINE_SET_ASIDE_INIT;
    API_OK(b.lib, syncline_set_aside_get(b.lib, 0, &record));
    cr_expect_eq(memcmp(&record.uuid, &tags[1].uuid, 16), 0);
    cr_expect_str_eq(record.model, "tag");
    cr_expect_not_null(strstr(record.reason, "no red here"), "%s", record.reason);
    cr_expect_null(strchr(record.reason, '\n'));
    API_REFUSED(b.lib, syncline_set_aside_get(b.lib, 1, &record), SYNCLINE_ENOTFOUND, "set aside");
    api_close(&a);
    api_close(&b);
}

/* Flushes in vain; does the text say this too? */
static bool flush_says(struct api_device *device, const char *part)
{
    cr_assert_eq(syncline_flush(device->lib, SYNCLINE_LEVEL_APPLIED, 10, NULL), SYNCLINE_TIMEOUT);
    return strstr(api_error(device->lib), part) != NULL;
}

/* Two libraries side by side in one process: a device that dials the other library is turned away,
 * and nothing gets across. */
Test(api_two_libraries, strangers)
{
    struct api_device a;
    struct api_device b;
    struct api_device stranger;
    api_pair(&a, &b);
    api_save_tags(&a, 5, 0);
    api_settle(&a, &b);
    api_stop(&b);
    api_create(&stranger, "stranger");
    api_open(&stranger, a.address);
    api_save_tags(&stranger, 7, 0);
    api_save_tags(&a, 1, 0);
    API_WAIT(flush_says(&a, "connect devices of one library"));
    API_REFUSED(stranger.lib, syncline_flush(stranger.lib, SYNCLINE_LEVEL_APPLIED, -1, NULL),
                SYNCLINE_EREFUSED, "no other member");
    cr_expect_eq(api_info(&a).members, 1);
    cr_expect_eq(api_info(&stranger).members, 0);
    cr_expect_eq(api_info(&stranger).received, 0);
    api_open(&b, a.address);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 6);
    cr_expect_eq(api_int(stranger.db, "SELECT count(*) FROM tags"), 7);
    api_close(&stranger);
    api_close(&a);
    api_close(&b);
}
