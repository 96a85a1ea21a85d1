/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Records that two devices inserted before they knew of each other. What must hold in every history
 * of one record is tests/merge's; here are many records in a call, keys, restarts and limits. */

#include "stages/decode.h"
#include "tests/integration/two_libraries.h"

struct tag {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t color;
};
struct mark { /* points at a tag */
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 tag_id;
};

static const struct syncline_field tag_fields[] = {SYNCLINE_ID(struct tag, id),
                                                   SYNCLINE_UUID(struct tag, uuid),
                                                   SYNCLINE_INT64(struct tag, color)};
static const struct syncline_model tag =
    SYNCLINE_MODEL("tag", "tags", SYNCLINE_SHARED, struct tag, tag_fields);
static const struct syncline_field mark_fields[] = {SYNCLINE_ID(struct mark, id),
                                                    SYNCLINE_UUID(struct mark, uuid),
                                                    SYNCLINE_KEY(struct mark, tag_id, "tag")};
static const struct syncline_model mark =
    SYNCLINE_MODEL("mark", "marks", SYNCLINE_SHARED, struct mark, mark_fields);
static const struct syncline_model own =
    SYNCLINE_MODEL("own", "owns", SYNCLINE_DEVICE_OWNED, struct tag, tag_fields);

static const struct syncline_model *const models[] = {&tag, &mark, &own};
static const char *const contents[] = {
    "SELECT uuid,color FROM @.tags",
    "SELECT m.uuid,t.uuid FROM @.marks m LEFT JOIN @.tags t ON t.id=m.tag_id",
    "SELECT uuid,color FROM @.owns"};
static const struct two_libraries two = {.models = models, .contents = contents, .models_count = 3};

static const char schema[] =
    "CREATE TABLE tags(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, color INTEGER);"
    "CREATE TABLE owns(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, color INTEGER);"
    "CREATE TABLE marks(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
    " tag_id INTEGER REFERENCES tags(id) ON DELETE CASCADE);";

static void start(void)
{
    make_two(schema);
    open_library(&a);
    open_library(&b);
}

TestSuite(births, .init = start, .fini = remove_two);

/* Steps until the device has written back what it sent. */
static void settle_until(struct device *device, const char *query, int64_t wanted)
{
    uint64_t end_ns = sl_env_posix()->mono_ns(NULL) + 30000000000u;
    while (number(device->db, query) != wanted) {
        settle();
        cr_assert_lt(sl_env_posix()->mono_ns(NULL), end_ns, "%s is not %lld", query,
                     (long long)wanted);
    }
}

#define HIDDEN "SELECT count(*) FROM _syncline_hidden_birth"

static struct syncline_uuid uuid_of(uint8_t n)
{
    struct syncline_uuid uuid = {{9, [15] = n}};
    return uuid;
}

/* One call for the tags, or owns, first to first + n - 1. */
static void write_on(struct device *device, const struct syncline_model *model,
                     enum syncline_change change, uint8_t first, uint8_t n, int64_t color,
                     uint32_t batch_len, enum syncline_status wanted)
{
    struct tag rows[64];
    char text[200];
    char name[33];
    sql(device->db, "BEGIN IMMEDIATE");
    for (uint8_t i = 0; i < n; i++) {
        rows[i] = (struct tag){.uuid = uuid_of((uint8_t)(first + i)), .color = color + i};
        for (int k = 0; k < 16; k++) {
            (void)snprintf(name + 2 * (size_t)k, 3, "%02x", rows[i].uuid.bytes[k]);
        }
        (void)snprintf(text, sizeof(text), "SELECT coalesce(max(id),0) FROM %s WHERE uuid=x'%s'",
                       model->table, name);
        rows[i].id = number(device->db, text);
        if (change == SYNCLINE_INSERT) {
            (void)snprintf(text, sizeof(text), "INSERT INTO %s(uuid,color) VALUES(x'%s',%lld)",
                           model->table, name, (long long)rows[i].color);
        } else if (change == SYNCLINE_UPDATE) {
            (void)snprintf(text, sizeof(text), "UPDATE %s SET color=%lld WHERE uuid=x'%s'",
                           model->table, (long long)rows[i].color, name);
        } else {
            (void)snprintf(text, sizeof(text), "DELETE FROM %s WHERE uuid=x'%s'", model->table,
                           name);
        }
        sql(device->db, text);
        rows[i].id = change == SYNCLINE_INSERT ? sqlite3_last_insert_rowid(device->db) : rows[i].id;
    }
    cr_assert_eq(
        sl_library_capture(device->library, model, rows, n, change, device->db, batch_len, &err),
        wanted, "%s", err.text);
    sql(device->db, wanted == SYNCLINE_OK ? "COMMIT" : "ROLLBACK");
}

static void write_tags(struct device *device, enum syncline_change change, uint8_t first, uint8_t n,
                       int64_t color)
{
    write_on(device, &tag, change, first, n, color, 3, SYNCLINE_OK);
}

/* Both devices have inserted tags 3 to 6, a has 1 and 2 besides, and b 7 and 8. */
static void insert_on_both(void)
{
    write_tags(&a, SYNCLINE_INSERT, 1, 6, 100);
    write_tags(&b, SYNCLINE_INSERT, 3, 6, 200);
    settle();
    check_equal();
    cr_assert_eq(number(a.db, "SELECT count(*) FROM tags"), 8);
    cr_assert_eq(number(a.db, HIDDEN), 4);
    cr_assert_eq(number(b.db, HIDDEN), 4);
}

/* Both births of a UUID live, one is shown, the same on both devices; a row keeps its id, so what
 * points at it points at it still. */
Test(births, both_are_kept_and_one_is_shown)
{
    write_tags(&a, SYNCLINE_INSERT, 3, 1, 100);
    write_tags(&b, SYNCLINE_INSERT, 3, 1, 200);
    struct mark row = {.id = 1, .uuid = uuid_of(50), .tag_id = {.is_set = true, .value = 1}};
    sql(a.db, "BEGIN; INSERT INTO marks VALUES(1,x'09000000000000000000000000000032',1)");
    cr_assert_eq(sl_library_capture(a.library, &mark, &row, 1, SYNCLINE_INSERT, a.db, 0, &err),
                 SYNCLINE_OK, "%s", err.text);
    sql(a.db, "COMMIT");
    settle();
    check_equal();
    cr_assert_eq(number(a.db, "SELECT id FROM tags"), 1);
    cr_assert_eq(number(b.db, "SELECT count(*) FROM marks JOIN tags ON tags.id=tag_id"), 1);
    cr_assert_eq(number(a.db, HIDDEN), 1);
    cr_assert_eq(number(b.db, HIDDEN), 1);
}

/* An update of many records, some of which have two births, is of all that each of them has: what
 * one call names stays with the record it is about, however the call is cut. */
Test(births, an_update_is_of_all_that_it_saw)
{
    insert_on_both();
    write_tags(&a, SYNCLINE_UPDATE, 1, 8, 300);
    settle();
    check_equal();
    cr_assert_eq(number(b.db, "SELECT sum(color) FROM tags"), 8 * 300 + 28);
    write_tags(&b, SYNCLINE_INSERT, 20, 1, 0);
    settle(); /* and so a has settled what it sent before */
    cr_assert_eq(number(b.db,
                        "SELECT count(*) FROM _syncline_hidden_birth h, _syncline_stamp s, tags t"
                        " WHERE h.uuid=t.uuid AND s.id=t.id AND s.hlc=h.hlc"),
                 4);
    cr_assert_eq(number(a.db,
                        "SELECT count(*) FROM _syncline_hidden_birth h, _syncline_stamp s, tags t"
                        " WHERE h.uuid=t.uuid AND s.id=t.id AND s.hlc=h.hlc"),
                 4);
}

/* The changes from that seq on in the device's own log that name more than one birth; those of
 * another record than the UUID's are a failure. */
static uint32_t name_several(struct device *device, uint64_t seq, uint8_t wanted)
{
    struct sl_core *core = sl_library_core(device->library);
    const struct sl_log_head *head = &core->origins[0]->head;
    struct sl_decoded decoded;
    uint32_t found = 0;
    cr_assert_eq(sl_decoded_init(&decoded, &sl_allocator_libc, &err), SYNCLINE_OK);
    while (seq <= head->held_seq) {
        cr_assert_eq(sl_decode_from_log(&decoded, &core->apply_log, head->number, seq, &err),
                     SYNCLINE_OK, "%s", err.text);
        for (uint32_t g = 0; g < decoded.group_count; g++) {
            const struct sl_group *group = &decoded.groups[g];
            for (uint32_t i = 0; i < group->n && group->births != NULL; i++) {
                struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
                if (sl_group_births(group, i, births) > 1) {
                    cr_assert_eq(group->uuids[i].bytes[15], wanted, "tag %d has one birth",
                                 group->uuids[i].bytes[15]);
                    found++;
                }
            }
        }
        seq = sl_segment_last_seq(&decoded.segment) + 1;
    }
    sl_decoded_fini(&decoded);
    return found;
}

/* A call may be cut anywhere, also inside a run of births of which the last record has another one:
 * each change names the births of its own record. */
Test(births, a_call_is_cut_before_a_record_with_two_births)
{
    write_tags(&a, SYNCLINE_INSERT, 5, 1, 100);
    write_tags(&b, SYNCLINE_INSERT, 1, 8, 200);
    settle();
    for (uint32_t len = 1; len <= 8; len++) {
        uint64_t seq = sl_library_core(b.library)->origins[0]->head.held_seq + 1;
        int64_t color = 1000 * (int64_t)len;
        write_on(&b, &tag, SYNCLINE_UPDATE, 1, 8, color, len, SYNCLINE_OK);
        settle();
        check_equal();
        cr_assert_eq(name_several(&b, seq, 5), 1, "cut after %u", len);
        cr_assert_eq(number(a.db, "SELECT sum(color) FROM tags"), 8 * color + 28);
    }
}

/* What is read again after a restart names the same births as what was staged. */
Test(births, an_update_read_again_is_of_all_that_it_saw)
{
    insert_on_both();
    write_tags(&a, SYNCLINE_UPDATE, 1, 8, 300);
    close_library(&a);
    open_library(&a);
    settle();
    check_equal();
    write_tags(&b, SYNCLINE_DELETE, 1, 8, 0);
    close_library(&b);
    open_library(&b);
    settle();
    check_equal();
    cr_assert_eq(number(a.db, "SELECT count(*) FROM tags"), 0);
    cr_assert_eq(number(a.db, HIDDEN), 0);
}

/* A record that is deleted while it has two births stays deleted, on both devices. */
Test(births, a_delete_is_of_all_that_it_saw)
{
    insert_on_both();
    write_tags(&a, SYNCLINE_DELETE, 1, 8, 0);
    cr_assert_eq(number(a.db, HIDDEN), 0);
    settle();
    check_equal();
    cr_assert_eq(number(b.db, "SELECT count(*) FROM tags"), 0);
    cr_assert_eq(number(b.db, HIDDEN), 0);
}

/* A delete that saw one birth leaves the other, which is shown in its place. */
Test(births, a_delete_shows_what_it_did_not_see)
{
    write_tags(&a, SYNCLINE_INSERT, 1, 1, 100);
    write_tags(&b, SYNCLINE_INSERT, 1, 1, 200);
    write_tags(&a, SYNCLINE_DELETE, 1, 1, 0);
    settle();
    check_equal();
    cr_assert_eq(number(a.db, "SELECT color FROM tags"), 200);
    cr_assert_eq(number(a.db, HIDDEN) + number(b.db, HIDDEN), 0);
}

/* Changes of a savepoint that is rolled back forget no birth. */
Test(births, a_delete_that_is_rolled_back)
{
    insert_on_both();
    struct tag row = {.uuid = uuid_of(3)};
    row.id = number(a.db, "SELECT id FROM tags WHERE uuid=x'09000000000000000000000000000003'");
    sql(a.db, "BEGIN; DELETE FROM tags WHERE uuid=x'09000000000000000000000000000003'");
    cr_assert_eq(sl_library_capture(a.library, &tag, &row, 1, SYNCLINE_DELETE, a.db, 0, &err),
                 SYNCLINE_OK);
    cr_assert_eq(number(a.db, HIDDEN), 3);
    sql(a.db, "ROLLBACK");
    cr_assert_eq(number(a.db, HIDDEN), 4);
}

/* Of device-owned records with the same UUID the one born last is shown. Its owner alone may change
 * it; when that deletes it the other one is shown, where it was deleted, too. */
Test(births, device_owned)
{
    write_on(&a, &own, SYNCLINE_INSERT, 1, 1, 100, 0, SYNCLINE_OK);
    write_on(&b, &own, SYNCLINE_INSERT, 1, 1, 200, 0, SYNCLINE_OK);
    settle();
    check_equal();
    bool b_is_shown = number(a.db, "SELECT color FROM owns") == 200;
    struct device *owner = b_is_shown ? &b : &a;
    struct device *other = b_is_shown ? &a : &b;
    write_on(other, &own, SYNCLINE_UPDATE, 1, 1, 300, 0, SYNCLINE_EREFUSED);
    write_on(other, &own, SYNCLINE_DELETE, 1, 1, 0, 0, SYNCLINE_EREFUSED);
    write_on(owner, &own, SYNCLINE_UPDATE, 1, 1, 400, 0, SYNCLINE_OK);
    settle();
    check_equal();
    cr_assert_eq(number(other->db, "SELECT color FROM owns"), 400);
    write_on(owner, &own, SYNCLINE_DELETE, 1, 1, 0, 0, SYNCLINE_OK);
    settle();
    settle_until(owner, "SELECT coalesce(max(color),0) FROM owns", b_is_shown ? 100 : 200);
    check_equal();
    write_on(other, &own, SYNCLINE_UPDATE, 1, 1, 500, 0, SYNCLINE_OK);
    settle();
    check_equal();
    cr_assert_eq(number(owner->db, "SELECT color FROM owns"), 500);
}

/* A change names at most SL_CHANGE_BIRTHS_MAX births: a record with that many is gone with one
 * delete, one with more needs another. */
Test(births, more_births_than_a_change_can_name)
{
    write_tags(&a, SYNCLINE_INSERT, 1, 2, 100);
    write_tags(&a, SYNCLINE_INSERT, 100, 40, 0);
    write_tags(&b, SYNCLINE_INSERT, 1, 2, 200);
    write_tags(&b, SYNCLINE_INSERT, 150, 40, 0);
    settle();
    for (uint8_t more = 0; more <= 1; more++) {
        char text[400];
        (void)snprintf(
            text, sizeof(text),
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d)"
            " INSERT INTO _syncline_hidden_birth SELECT model,uuid,origin,2+i,"
            "birth_hlc,class,hlc,hlc_origin,body,NULL,NULL FROM _syncline_hidden_birth, n"
            " WHERE uuid=x'0900000000000000000000000000000%d'",
            (int)SL_CHANGE_BIRTHS_MAX - 2 + more, 1 + more);
        sql(a.db, text);
        write_tags(&a, SYNCLINE_DELETE, (uint8_t)(1 + more), 1, 0);
        settle();
        cr_assert_eq(number(b.db, "SELECT count(*) FROM tags"), 81 - more);
        settle_until(&a, "SELECT count(*) FROM tags", 81);
        cr_assert_eq(number(a.db, HIDDEN), more == 0 ? 1 : 0);
    }
    write_tags(&a, SYNCLINE_DELETE, 2, 1, 0);
    settle();
    check_equal();
    cr_assert_eq(number(a.db, HIDDEN), 0);
}

/* Runs that stage of a until it has nothing more to do. */
static void run_stage(const char *name)
{
    for (size_t i = 0; i < sl_library_stage_count(a.library); i++) {
        while (strcmp(sl_library_stage_name(a.library, i), name) == 0 &&
               sl_library_step(a.library, i)) {
        }
    }
}

/* Steps both, a without that stage, until a has applied what b made. */
static void take_without(const char *name)
{
    int rounds = ROUNDS_MAX;
    while (!is_done(&b, &a) && rounds-- > 0) {
        for (size_t i = 0; i < sl_library_stage_count(a.library); i++) {
            if (strcmp(sl_library_stage_name(a.library, i), name) != 0) {
                (void)sl_library_step(a.library, i);
            }
            (void)sl_library_step(b.library, i);
        }
        sl_library_poll(a.library, 0);
        sl_library_poll(b.library, 0);
    }
    cr_assert_gt(rounds, 0);
}

/* A record that was inserted and deleted here, none of it in the log, is not the one of the other
 * device, which came since: that one's updates win, also when what is on its way to the log is
 * behind the delete already. */
Test(births, what_is_inserted_and_deleted_is_no_pending_change)
{
    write_tags(&a, SYNCLINE_INSERT, 1, 1, 100);
    write_tags(&a, SYNCLINE_DELETE, 1, 1, 0);
    write_tags(&a, SYNCLINE_INSERT, 2, 1, 100);
    write_tags(&b, SYNCLINE_INSERT, 1, 1, 200);
    take_without("intake");
    cr_assert_eq(number(a.db, "SELECT color FROM tags ORDER BY uuid LIMIT 1"), 200);
    run_stage("intake");
    run_stage("fk_resolve");
    write_tags(&b, SYNCLINE_UPDATE, 1, 1, 300);
    take_without("log_append");
    cr_assert_eq(number(a.db, "SELECT color FROM tags ORDER BY uuid LIMIT 1"), 300);
    settle();
    check_equal();
}

/* A delete of a record that never was in the log says nothing; what another device has made of the
 * same UUID is shown all the same. */
static void delete_unsent(bool restart)
{
    write_on(&a, &own, SYNCLINE_INSERT, 1, 1, 100, 0, SYNCLINE_OK);
    write_on(&b, &own, SYNCLINE_INSERT, 1, 1, 200, 0, SYNCLINE_OK);
    take_without("intake");
    cr_assert_eq(number(a.db, "SELECT color FROM owns"), 100);
    cr_assert_eq(number(a.db, HIDDEN), 1);
    write_on(&a, &own, SYNCLINE_DELETE, 1, 1, 0, 0, SYNCLINE_OK);
    if (restart) {
        close_library(&a);
        open_library(&a);
    }
    settle();
    settle_until(&a, "SELECT coalesce(max(color),0) FROM owns", 200);
    check_equal();
    cr_assert_eq(number(a.db, HIDDEN), 0);
}

Test(births, a_delete_that_says_nothing)
{
    delete_unsent(false);
}

Test(births, a_delete_that_says_nothing_and_a_restart)
{
    delete_unsent(true);
}

/* Steps both, but a's stages that write births back, until b has applied what a made. */
static void give_unsettled(void)
{
    int rounds = ROUNDS_MAX;
    while (!is_done(&a, &b) && rounds-- > 0) {
        for (size_t i = 0; i < sl_library_stage_count(a.library); i++) {
            const char *name = sl_library_stage_name(a.library, i);
            if (strcmp(name, "settle") != 0 && strcmp(name, "apply") != 0) {
                (void)sl_library_step(a.library, i);
            }
            (void)sl_library_step(b.library, i);
        }
        sl_library_poll(a.library, 0);
        sl_library_poll(b.library, 0);
    }
    cr_assert_gt(rounds, 0);
}

/* An update that was captured before its record's birth had come back from the log is of that
 * record; not of another one that has the UUID since, at another id. */
Test(births, an_update_whose_record_was_deleted_and_inserted_again)
{
    write_tags(&a, SYNCLINE_INSERT, 1, 1, 100);
    give_unsettled();
    write_tags(&a, SYNCLINE_UPDATE, 1, 1, 110);
    write_tags(&b, SYNCLINE_DELETE, 1, 1, 0);
    take_without("intake");
    cr_assert_eq(number(a.db, "SELECT count(*) FROM tags"), 0);
    write_tags(&a, SYNCLINE_INSERT, 9, 1, 900);
    write_tags(&a, SYNCLINE_INSERT, 1, 1, 120);
    settle();
    check_equal();
    write_tags(&a, SYNCLINE_UPDATE, 1, 1, 130);
    settle();
    check_equal();
    cr_assert_eq(number(b.db, "SELECT max(color) FROM tags WHERE color<900"), 130);
    cr_assert_eq(number(a.db, HIDDEN) + number(b.db, HIDDEN), 0);
    write_tags(&a, SYNCLINE_DELETE, 1, 1, 0);
    settle();
    check_equal();
    cr_assert_eq(number(b.db, "SELECT count(*) FROM tags"), 1);
}
