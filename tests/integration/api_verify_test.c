/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* syncline_verify: two engines compare their tables, and rows that were changed behind Syncline's
 * back are named, no others. */

#include <pthread.h>

#include "tests/integration/api.h"

/* Nobody finds by itself what these tests delete without a capture. */
static void setup(void)
{
    cr_assert_eq(setenv("SYNCLINE_SCAN_INTERVAL_MS", "0", 1), 0);
    api_setup();
}

TestSuite(api_verify, .init = setup, .fini = api_cleanup);

#define FOUND_MAX 8000u

static struct found {
    struct syncline_difference differences[FOUND_MAX];
    size_t len;
    size_t stop_at; /* differences after which no more are wanted; 0: never */
    struct api_device *closed_at_first;
    struct syncline_verified verified;
} found;

static bool take(void *ctx, const struct syncline_difference *difference)
{
    struct found *all = ctx;
    cr_assert_lt(all->len, FOUND_MAX);
    cr_expect_eq(difference->size, sizeof(*difference));
    all->differences[all->len] = *difference;
    for (size_t i = 0; i < sizeof(api_models) / sizeof(api_models[0]); i++) {
        if (strcmp(difference->model, api_models[i]->name) == 0) {
            all->differences[all->len].model = api_models[i]->name; /* that lives on */
        }
    }
    all->len++;
    if (all->closed_at_first != NULL) {
        api_stop(all->closed_at_first);
        all->closed_at_first = NULL;
    }
    return all->len != all->stop_at;
}

static struct syncline_uuid id_of(struct api_device *device)
{
    return api_info(device).device_id;
}

static enum syncline_status verify(struct syncline *lib, const struct syncline_uuid *member,
                                   int64_t timeout_ms)
{
    found = (struct found){.stop_at = found.stop_at,
                           .closed_at_first = found.closed_at_first,
                           .verified = SYNCLINE_VERIFIED_INIT};
    return syncline_verify(lib, member, timeout_ms, take, &found, &found.verified);
}

/* Compares one way; both are as they should be, and the text of a failure is told. */
static void verify_ok(struct api_device *device, struct api_device *member)
{
    struct syncline_uuid id = id_of(member);
    API_OK(device->lib, verify(device->lib, &id, API_DEADLINE_MS));
    cr_expect(found.verified.complete);
    cr_expect_eq(found.verified.differences, found.len);
}

static size_t count_kind(enum syncline_difference_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < found.len; i++) {
        count += found.differences[i].kind == kind ? 1 : 0;
    }
    return count;
}

static bool was_found(enum syncline_difference_kind kind, const char *model,
                      const struct syncline_uuid *uuid)
{
    for (size_t i = 0; i < found.len; i++) {
        const struct syncline_difference *difference = &found.differences[i];
        if (difference->kind == kind && strcmp(difference->model, model) == 0 &&
            memcmp(&difference->uuid, uuid, sizeof(*uuid)) == 0) {
            return true;
        }
    }
    return false;
}

/* The UUID of the n-th tag in the order of UUIDs. */
static struct syncline_uuid nth_tag(sqlite3 *db, int64_t n)
{
    struct syncline_uuid uuid;
    sqlite3_stmt *stmt = api_prepare(db, "SELECT uuid FROM tags ORDER BY uuid LIMIT 1 OFFSET ?1");
    (void)sqlite3_bind_int64(stmt, 1, n);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    memcpy(uuid.bytes, sqlite3_column_blob(stmt, 0), sizeof(uuid.bytes));
    (void)sqlite3_finalize(stmt);
    return uuid;
}

static void run_with(sqlite3 *db, const char *sql, const struct syncline_uuid *uuid)
{
    sqlite3_stmt *stmt = api_prepare(db, sql);
    api_bind_uuid(stmt, 1, uuid);
    api_run(db, stmt);
    cr_assert_eq(sqlite3_changes(db), 1);
}

/* Equal devices are equal after one question about all models, empty or not. */
Test(api_verify, equal_devices_are_equal)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct syncline_uuid id = id_of(&b);
    API_WAIT(verify(a.lib, &id, API_DEADLINE_MS) == SYNCLINE_OK); /* connected */
    verify_ok(&a, &b);
    cr_expect_eq(found.verified.records, 0);
    cr_expect_eq(found.verified.round_trips, 1);
    api_save_tags(&a, 1000, 100);
    api_save_tags(&b, 65, 100);
    struct folder folder = api_save_folder(&a, "a folder", NULL);
    (void)api_save_folder(&a, "in it", &folder);
    api_settle(&a, &b);
    for (int i = 0; i < 2; i++) {
        verify_ok(i == 0 ? &a : &b, i == 0 ? &b : &a);
        cr_expect_eq(found.len, 0);
        cr_expect_eq(found.verified.models, 3);
        cr_expect_eq(found.verified.records, 1067);
        cr_expect_eq(found.verified.round_trips, 1);
        cr_expect_lt(found.verified.bytes_sent + found.verified.bytes_received, 4096);
        cr_expect(!found.verified.set_aside_here && !found.verified.set_aside_there);
    }
    api_close(&a);
    api_close(&b);
}

/* Ten rows of 100,000 that were changed behind Syncline's back are found, and nothing else, in few
 * questions and bytes; from both sides, and by a handle that does not run the engine. */
Test(api_verify, rows_changed_by_others_are_named)
{
    static const int64_t places[] = {0, 1, 777, 40000, 40001, 65535, 99999};
    struct api_device a;
    struct api_device b;
    struct syncline_uuid uuids[7];
    struct syncline_uuid added[3];
    api_pair(&a, &b);
    for (int i = 0; i < 40; i++) {
        api_save_tags(&a, 2500, 1000);
    }
    api_settle(&a, &b);
    cr_assert_eq(api_int(b.db, "SELECT count(*) FROM tags"), 100000);
    for (size_t i = 0; i < 7; i++) {
        uuids[i] = nth_tag(b.db, places[i]);
    }
    api_sql(b.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < 7; i++) {
        run_with(b.db,
                 i % 2 == 0 ? "UPDATE tags SET name='behind its back' WHERE uuid=?1"
                            : "DELETE FROM tags WHERE uuid=?1",
                 &uuids[i]);
    }
    added[0] = (struct syncline_uuid){{0}};
    added[1] = nth_tag(b.db, 50000);
    added[1].bytes[9] ^= 0x80;
    added[2] = (struct syncline_uuid){{0xff, 0xff}};
    for (size_t i = 0; i < 3; i++) {
        run_with(b.db, "INSERT INTO tags(uuid,name) VALUES(?1,'added')", &added[i]);
    }
    api_sql(b.db, "COMMIT");
    struct syncline_options options = api_options();
    struct syncline *beside = NULL;
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &beside), SYNCLINE_OK, "%s", api_text);
    for (int from = 0; from < 3; from++) {
        bool is_b = from == 1;
        struct syncline_uuid id = id_of(is_b ? &a : &b);
        struct syncline *lib = is_b ? b.lib : from == 0 ? a.lib : beside;
        API_OK(lib, verify(lib, &id, API_DEADLINE_MS));
        cr_expect(found.verified.complete);
        cr_expect_eq(found.verified.records, 100000);
        cr_expect_eq(found.len, 10);
        for (size_t i = 0; i < 7; i++) {
            enum syncline_difference_kind kind = i % 2 == 0 ? SYNCLINE_DIFFERENCE_CONTENT
                                                 : is_b     ? SYNCLINE_DIFFERENCE_ONLY_THERE
                                                            : SYNCLINE_DIFFERENCE_ONLY_HERE;
            cr_expect(was_found(kind, "tag", &uuids[i]), "%zu", i);
        }
        for (size_t i = 0; i < 3; i++) {
            cr_expect(
                was_found(is_b ? SYNCLINE_DIFFERENCE_ONLY_HERE : SYNCLINE_DIFFERENCE_ONLY_THERE,
                          "tag", &added[i]),
                "%zu", i);
        }
        cr_expect_leq(found.verified.round_trips, 6);
        cr_expect_leq(found.verified.bytes_sent + found.verified.bytes_received, 65536);
    }
    syncline_close(beside);
    api_close(&a);
    api_close(&b);
}

/* A row whose parent is another one differs, and so does one that has it no more. */
Test(api_verify, parents_are_compared)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct folder one = api_save_folder(&a, "one", NULL);
    struct folder other = api_save_folder(&a, "other", NULL);
    struct folder child = api_save_folder(&a, "child", &one);
    api_settle(&a, &b);
    api_sql(b.db, "UPDATE folders SET parent_id=(SELECT id FROM folders WHERE name=x'6f74686572')"
                  " WHERE parent_id IS NOT NULL");
    verify_ok(&a, &b);
    (void)other;
    cr_expect_eq(found.len, api_int(b.db, "SELECT count(*) FROM folders f JOIN folders p ON"
                                          " p.id=f.parent_id WHERE p.name=x'6f74686572'"));
    api_sql(b.db, "UPDATE folders SET parent_id=NULL");
    verify_ok(&a, &b);
    cr_expect_eq(found.len, 1);
    cr_expect(was_found(SYNCLINE_DIFFERENCE_CONTENT, "folder", &child.uuid));
    api_close(&a);
    api_close(&b);
}

/* What is on its way is no difference: a member that is behind cannot be compared in time, and the
 * text says so; once it has caught up it is equal, for the call that waits for it, too. */
static void *verify_for_ever(void *arg)
{
    struct api_device *device = arg;
    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    cr_assert_eq(syncline_member_get(device->lib, 0, &member), SYNCLINE_OK);
    enum syncline_status status = verify(device->lib, &member.device_id, -1);
    return status == SYNCLINE_OK ? NULL : arg;
}

Test(api_verify, a_member_that_is_behind_is_waited_for)
{
    struct api_device a;
    struct api_device b;
    pthread_t thread;
    void *failed = NULL;
    api_pair(&a, &b);
    api_save_tags(&a, 2000, 1000);
    api_settle(&a, &b);
    struct syncline_uuid lost = nth_tag(b.db, 1000);
    run_with(b.db, "DELETE FROM tags WHERE uuid=?1", &lost);
    struct syncline_uuid id = id_of(&b);
    API_OK(b.lib, syncline_pause(b.lib));
    api_save_tags(&a, 2500, 1000);
    struct tag renamed = {.uuid = nth_tag(a.db, 5), .name = "renamed"};
    renamed.id = api_id(a.db, "tags", &renamed.uuid);
    api_save_tag(&a, &renamed, SYNCLINE_UPDATE);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    API_REFUSED(a.lib, verify(a.lib, &id, 1000), SYNCLINE_AGAIN, "not comparable with \"b\" yet");
    cr_expect_not_null(strstr(api_text, "have not applied the same changes"), "%s", api_text);
    cr_expect_eq(found.len, 0);
    cr_expect(!found.verified.complete);

    cr_assert_eq(pthread_create(&thread, NULL, verify_for_ever, &a), 0);
    API_OK(b.lib, syncline_resume(b.lib));
    cr_assert_eq(pthread_join(thread, &failed), 0);
    cr_assert_null(failed, "%s", api_error(a.lib));
    cr_expect_eq(found.len, 1);
    cr_expect(was_found(SYNCLINE_DIFFERENCE_ONLY_HERE, "tag", &lost));
    api_close(&a);
    api_close(&b);
}

/* What was captured and is in nobody's log yet is no difference either. */
Test(api_verify, what_is_pending_is_not_told)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&a, 10, 10);
    api_settle(&a, &b);
    struct syncline_uuid id = id_of(&b);
    struct tag tag = api_tag("uncommitted");
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &tag);
    API_OK(a.lib, verify(a.lib, &id, API_DEADLINE_MS));
    cr_expect_eq(found.len, 0);
    api_sql(a.db, "ROLLBACK");
    for (int i = 0; i < 200; i++) {
        struct tag one = api_tag("one of many");
        api_save_tag(i % 2 == 0 ? &a : &b, &one, SYNCLINE_INSERT);
        if (i % 10 == 0) {
            verify_ok(&a, &b);
            cr_assert_eq(found.len, 0);
        }
    }
    api_close(&a);
    api_close(&b);
}

/* A member that does not know a model says so, and all else is compared. */
Test(api_verify, a_member_of_other_models)
{
    static const struct syncline_model *const fewer[] = {&tag_model};
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    const char *peer = a.address;
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    options.peers = &peer;
    options.peers_count = 1;
    options.models = fewer;
    options.models_count = 1;
    cr_assert_eq(syncline_open(b.dir, &options, &b.lib), SYNCLINE_OK, "%s", api_text);
    api_save_tags(&a, 100, 100);
    api_settle(&a, &b);
    static const struct syncline_uuid nothing;
    verify_ok(&a, &b);
    cr_expect_eq(found.len, 2);
    cr_expect(was_found(SYNCLINE_DIFFERENCE_MODEL, "folder", &nothing));
    cr_expect(was_found(SYNCLINE_DIFFERENCE_MODEL, "thing", &nothing));
    cr_expect_eq(found.verified.models, 1);
    verify_ok(&b, &a);
    cr_expect_eq(found.len, 0);
    cr_expect_eq(found.verified.models, 1);
    api_close(&a);
    api_close(&b);
}

/* All rows of a table are named, one by one, in bounded questions; who wants no more gets none. */
Test(api_verify, many_differences)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&a, 2500, 1000);
    api_save_tags(&a, 2500, 1000);
    api_settle(&a, &b);
    api_sql(b.db, "DELETE FROM tags");
    verify_ok(&a, &b);
    cr_expect_eq(found.len, 5000);
    cr_expect_eq(count_kind(SYNCLINE_DIFFERENCE_ONLY_HERE), 5000);
    verify_ok(&b, &a);
    cr_expect_eq(found.len, 5000);
    cr_expect_eq(count_kind(SYNCLINE_DIFFERENCE_ONLY_THERE), 5000);
    struct syncline_uuid id = id_of(&a);
    found.stop_at = 7;
    API_OK(b.lib, verify(b.lib, &id, API_DEADLINE_MS));
    cr_expect_eq(found.len, 7);
    cr_expect_eq(found.verified.differences, 7);
    cr_expect(!found.verified.complete);
    api_close(&a);
    api_close(&b);
}

/* A member that goes away meanwhile ends it, and what was told before stays true. */
Test(api_verify, a_member_that_goes_away)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&a, 2500, 1000);
    api_save_tags(&a, 2500, 1000);
    api_settle(&a, &b);
    api_sql(b.db, "UPDATE tags SET name='behind its back'");
    struct syncline_uuid id = id_of(&b);
    found.closed_at_first = &b;
    enum syncline_status status = verify(a.lib, &id, API_DEADLINE_MS);
    cr_expect(status == SYNCLINE_ENET || status == SYNCLINE_EREFUSED, "%s: %s",
              syncline_status_name(status), api_error(a.lib));
    cr_expect_not_null(strstr(api_error(a.lib), "\"b\""), "%s", api_text);
    cr_expect_geq(found.len, 1);
    cr_expect(!found.verified.complete);
    cr_expect_geq(found.verified.round_trips, 1);
    API_WAIT(api_info(&a).links == 0);
    API_REFUSED(a.lib, verify(a.lib, &id, API_DEADLINE_MS), SYNCLINE_EREFUSED,
                "device \"b\" is not connected");
    api_close(&a);
    cr_expect_eq(sqlite3_close(b.db), SQLITE_OK);
}

/* What cannot be asked is refused, and the text says why. */
Test(api_verify, refusals)
{
    struct api_device a;
    struct api_device b;
    static const struct syncline_uuid nobody = {{0x42}};
    struct syncline_verified bad = {.size = 0};
    api_pair(&a, &b);
    struct syncline_uuid id = id_of(&b);
    API_WAIT(syncline_verify(a.lib, &id, -1, take, &found, NULL) == SYNCLINE_OK); /* connected */
    API_REFUSED(a.lib, verify(a.lib, &nobody, -1), SYNCLINE_ENOTFOUND, "no other member");
    API_REFUSED(a.lib, verify(a.lib, NULL, -1), SYNCLINE_EINVAL, "NULL");
    API_REFUSED(a.lib, syncline_verify(a.lib, &id, -1, NULL, NULL, NULL), SYNCLINE_EINVAL, "NULL");
    API_REFUSED(a.lib, syncline_verify(a.lib, &id, -1, take, &found, &bad), SYNCLINE_EINVAL,
                "_INIT");
    cr_expect_eq(syncline_verify(NULL, &id, -1, take, &found, NULL), SYNCLINE_EINVAL);
    API_REFUSED(a.lib, verify(a.lib, &id, 0), SYNCLINE_TIMEOUT, "time");
    API_OK(a.lib, syncline_verify(a.lib, &id, -1, take, &found, NULL));
    api_stop(&a);
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    API_REFUSED(a.lib, verify(a.lib, &id, -1), SYNCLINE_EREFUSED,
                "no process runs the engine of this library");
    api_close(&a);
    api_close(&b);
}

struct turn {
    struct api_device *device;
    struct syncline_uuid member;
    enum syncline_status status;
    struct syncline_verified verified;
};

static bool ignore(void *ctx, const struct syncline_difference *difference)
{
    (void)ctx;
    (void)difference;
    return true;
}

static void *take_a_turn(void *arg)
{
    struct turn *turn = arg;
    turn->verified = (struct syncline_verified)SYNCLINE_VERIFIED_INIT;
    turn->status = syncline_verify(turn->device->lib, &turn->member, API_DEADLINE_MS, ignore, NULL,
                                   &turn->verified);
    return NULL;
}

/* Two threads of one handle, and the other device at the same time, take turns. */
Test(api_verify, comparisons_take_turns)
{
    struct api_device a;
    struct api_device b;
    struct turn turns[3];
    pthread_t threads[3];
    api_pair(&a, &b);
    api_save_tags(&a, 2500, 1000);
    api_settle(&a, &b);
    api_sql(b.db, "UPDATE tags SET name='behind its back'");
    for (size_t i = 0; i < 3; i++) {
        turns[i] = (struct turn){.device = i < 2 ? &a : &b, .member = id_of(i < 2 ? &b : &a)};
        cr_assert_eq(pthread_create(&threads[i], NULL, take_a_turn, &turns[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_expect_eq(turns[i].status, SYNCLINE_OK, "%s", syncline_status_name(turns[i].status));
        cr_expect_eq(turns[i].verified.differences, 2500);
    }
    api_close(&a);
    api_close(&b);
}
