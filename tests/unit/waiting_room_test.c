/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/waiting_room.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

static const struct syncline_uuid library_id = {{0x11}};
static const struct syncline_uuid parent_a = {{0xaa}};
static const struct syncline_uuid parent_b = {{0xbb}};
static struct sl_library_db ldb;
static struct sl_waiting_room room;
static struct sl_arena arena;

static void start(void)
{
    set_up();
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
    sl_waiting_room_init(&room, &ldb);
    sl_arena_init(&arena, &sl_allocator_libc);
}

static void stop(void)
{
    sl_arena_fini(&arena);
    sl_waiting_room_fini(&room);
    sl_library_db_fini(&ldb);
    tear_down();
}

TestSuite(waiting_room, .init = start, .fini = stop);

/* An entry about the record of that birth, which lacks parent_a. */
static struct sl_waiting entry_of(uint64_t seq, const char *body)
{
    return (struct sl_waiting){.model = 3,
                               .uuid = {{(uint8_t)seq}},
                               .change = SYNCLINE_INSERT,
                               .class = SYNCLINE_DEVICE_OWNED,
                               .birth_origin = 2,
                               .birth_seq = seq,
                               .birth_hlc = seq + 1000,
                               .origin = 4,
                               .seq = seq + 50,
                               .hlc = seq + 2000,
                               .lacks_model = 3,
                               .lacks_uuid = parent_a,
                               .since_ms = 7000 - seq,
                               .body = (const uint8_t *)body,
                               .body_size = strlen(body)};
}

static int64_t put(uint64_t seq, const struct sl_waiting_key *keys, size_t count)
{
    struct sl_waiting waiting = entry_of(seq, "body");
    OK(sl_waiting_put(&room, &waiting, keys, count, &err));
    cr_assert_neq(waiting.id, 0);
    return waiting.id;
}

static int64_t next_child(const struct syncline_uuid *uuid, int64_t after)
{
    OK(sl_waiting_next_child(&room, 3, uuid, &after, &err));
    return after;
}

/* The counts kept are those of the tables. */
static void check_counts(uint64_t records, uint64_t unborn, uint64_t bytes)
{
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(room.count.records, records, "%d", i);
        cr_assert_eq(room.count.unborn, unborn, "%d", i);
        cr_assert_eq(room.count.bytes, bytes, "%d", i);
        memset(&room.count, 0xff, sizeof(room.count));
        OK(sl_waiting_room_load(&room, &err));
    }
}

/* What is put in comes out as it was: by its number, and by its birth. */
Test(waiting_room, put_and_get)
{
    struct sl_waiting put_in = entry_of(9, "content");
    struct sl_waiting got = {0};
    bool found = false;
    OK(sl_waiting_put(&room, &put_in, NULL, 0, &err));
    for (int way = 0; way < 2; way++) {
        OK(way == 0 ? sl_waiting_get(&room, put_in.id, &arena, &found, &got, &err)
                    : sl_waiting_of_birth(&room, 2, 9, &arena, &found, &got, &err));
        cr_assert(found);
        cr_assert_eq(memcmp(got.body, "content", 7), 0);
        got.body = put_in.body;
        cr_assert_eq(memcmp(&got, &put_in, sizeof(got)), 0);
    }
    OK(sl_waiting_get(&room, put_in.id + 1, &arena, &found, &got, &err));
    cr_assert_not(found);
    OK(sl_waiting_of_birth(&room, 2, 10, &arena, &found, &got, &err));
    cr_assert_not(found);
    OK(sl_waiting_of_birth(&room, 3, 9, &arena, &found, &got, &err));
    cr_assert_not(found);
}

/* Of one birth one entry waits; putting over it replaces content and keys. */
Test(waiting_room, replace)
{
    const struct sl_waiting_key a = {.model = 3, .uuid = parent_a};
    const struct sl_waiting_key b = {.model = 3, .uuid = parent_b};
    int64_t id = put(1, &a, 1);
    struct sl_waiting waiting = entry_of(1, "longer content");
    FAILS(sl_waiting_put(&room, &waiting, NULL, 0, &err), SYNCLINE_EDB, "birth_seq");
    check_counts(1, 0, 4);
    waiting.id = id;
    OK(sl_waiting_put(&room, &waiting, &b, 1, &err));
    cr_assert_eq(waiting.id, id);
    cr_assert_eq(next_child(&parent_a, 0), 0);
    cr_assert_eq(next_child(&parent_b, 0), id);
    check_counts(1, 0, 14);
}

/* Found by each record that it points at, once, in the order in which they came; and every record
 * that an entry points at is known. */
Test(waiting_room, by_parent)
{
    const struct sl_waiting_key keys[] = {{3, parent_a}, {3, parent_b}, {3, parent_a}};
    struct sl_waiting_key *known = NULL;
    size_t count = 0;
    int64_t first = put(5, keys, 1);
    int64_t second = put(4, keys, 3);
    cr_assert_eq(next_child(&parent_a, 0), first);
    cr_assert_eq(next_child(&parent_a, first), second);
    cr_assert_eq(next_child(&parent_a, second), 0);
    cr_assert_eq(next_child(&parent_b, 0), second);
    OK(sl_waiting_keys(&room, second, &arena, &known, &count, &err));
    cr_assert_eq(count, 2);
    int64_t other_model = 0;
    OK(sl_waiting_next_child(&room, 4, &parent_a, &other_model, &err));
    cr_assert_eq(other_model, 0);
}

/* Whether a record waits itself is known by its UUID; of two births of it the later is found, and
 * an update of one that is elsewhere does not count. */
Test(waiting_room, by_record)
{
    int64_t id = -1;
    struct sl_waiting waiting = entry_of(1, "x");
    OK(sl_waiting_record(&room, 3, &waiting.uuid, &id, &err));
    cr_assert_eq(id, 0);
    waiting.change = SYNCLINE_UPDATE;
    waiting.birth_hlc = 0;
    OK(sl_waiting_put(&room, &waiting, NULL, 0, &err));
    OK(sl_waiting_record(&room, 3, &waiting.uuid, &id, &err));
    cr_assert_eq(id, 0);
    for (uint64_t seq = 10; seq <= 11; seq++) {
        struct sl_waiting record = entry_of(seq, "x");
        record.uuid = waiting.uuid;
        OK(sl_waiting_put(&room, &record, NULL, 0, &err));
        OK(sl_waiting_record(&room, 3, &waiting.uuid, &id, &err));
        cr_assert_eq(id, record.id);
    }
}

/* Births up to a seq may be left out. */
Test(waiting_room, unborn_above)
{
    int64_t id = 0;
    struct sl_waiting waiting = entry_of(20, "");
    waiting.lacks_model = 0;
    OK(sl_waiting_put(&room, &waiting, NULL, 0, &err));
    OK(sl_waiting_unborn(&room, 2, 19, 20, &id, &err));
    cr_assert_eq(id, waiting.id);
    OK(sl_waiting_unborn(&room, 2, 20, 30, &id, &err));
    cr_assert_eq(id, 0);
}

/* What is about the records of a range of UUIDs comes by those, until the list is full. */
Test(waiting_room, range)
{
    struct sl_waiting list[3];
    size_t len = 0;
    for (uint64_t seq = 9; seq > 4; seq--) {
        (void)put(seq, NULL, 0);
    }
    const struct syncline_uuid lo = {{6}};
    const struct syncline_uuid hi = {{8}};
    OK(sl_waiting_range(&room, 3, &lo, &hi, &arena, list, 3, &len, &err));
    cr_assert(len == 3 && list[0].uuid.bytes[0] == 6 && list[2].uuid.bytes[0] == 8);
    cr_assert_eq(memcmp(list[0].body, "body", 4), 0);
    OK(sl_waiting_range(&room, 3, &lo, &hi, &arena, list, 2, &len, &err));
    cr_assert(len == 2 && list[1].birth_seq == 7);
    OK(sl_waiting_range(&room, 4, &lo, &hi, &arena, list, 3, &len, &err));
    cr_assert_eq(len, 0);
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_waiting SET lacks_uuid=x'01'", &err));
    FAILS(sl_waiting_range(&room, 3, &lo, &hi, &arena, list, 3, &len, &err), SYNCLINE_ECORRUPT,
          "no UUID");
}

/* What lacks its birth is found when the vector passes that, and is not counted so once it waits
 * for a parent. */
Test(waiting_room, unborn)
{
    int64_t id = 0;
    bool found = false;
    struct sl_waiting waiting = entry_of(20, "");
    waiting.change = SYNCLINE_DELETE;
    waiting.lacks_model = 0;
    (void)put(3, NULL, 0);
    OK(sl_waiting_put(&room, &waiting, NULL, 0, &err));
    check_counts(2, 1, 4);
    OK(sl_waiting_unborn(&room, 2, 0, 19, &id, &err));
    cr_assert_eq(id, 0);
    OK(sl_waiting_unborn(&room, 3, 0, 20, &id, &err));
    cr_assert_eq(id, 0);
    OK(sl_waiting_unborn(&room, 2, 0, 20, &id, &err));
    cr_assert_eq(id, waiting.id);
    OK(sl_waiting_set_lack(&room, &waiting, 3, &parent_b, &err));
    OK(sl_waiting_unborn(&room, 2, 0, 20, &id, &err));
    cr_assert_eq(id, 0);
    OK(sl_waiting_get(&room, waiting.id, &arena, &found, &waiting, &err));
    cr_assert(sl_uuid_equal(&waiting.lacks_uuid, &parent_b));
    check_counts(2, 0, 4);
}

/* Everything can be gone through; what is removed leaves no key, and the oldest is the one that has
 * waited longest. */
Test(waiting_room, remove_and_age)
{
    const struct sl_waiting_key a = {.model = 3, .uuid = parent_a};
    uint64_t oldest = 1;
    int64_t id = 0;
    OK(sl_waiting_oldest(&room, &oldest, &err));
    cr_assert_eq(oldest, 0);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        (void)put(seq, &a, 1);
    }
    OK(sl_waiting_oldest(&room, &oldest, &err));
    cr_assert_eq(oldest, 7000 - 5);
    for (int n = 0; n < 5; n++) {
        struct sl_waiting waiting;
        bool found = false;
        OK(sl_waiting_next(&room, &id, &err));
        OK(sl_waiting_get(&room, id, &arena, &found, &waiting, &err));
        cr_assert(found);
        OK(sl_waiting_remove(&room, &waiting, &err));
    }
    OK(sl_waiting_next(&room, &id, &err));
    cr_assert_eq(id, 0);
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM _syncline_waiting_key"), 0);
    check_counts(0, 0, 0);
}

/* A full room says so; what is in it can still be replaced. */
Test(waiting_room, full)
{
    cr_assert_eq(room.records_max, SL_WAITING_LEN_MAX);
    room.records_max = 2;
    int64_t id = put(1, NULL, 0);
    (void)put(2, NULL, 0);
    struct sl_waiting waiting = entry_of(3, "x");
    FAILS(sl_waiting_put(&room, &waiting, NULL, 0, &err), SYNCLINE_EREFUSED, "2 records wait");
    waiting = entry_of(1, "x");
    waiting.id = id;
    OK(sl_waiting_put(&room, &waiting, NULL, 0, &err));
    check_counts(2, 0, 5);
}

/* An entry that names nobody is damage. */
Test(waiting_room, damaged)
{
    struct sl_waiting waiting;
    bool found = false;
    int64_t id = put(1, NULL, 0);
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_waiting SET lacks_uuid=x'00'", &err));
    FAILS(sl_waiting_get(&room, id, &arena, &found, &waiting, &err), SYNCLINE_ECORRUPT, "no UUID");
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_waiting SET lacks_uuid=NULL,lacks_model=0,uuid='x'",
                  &err));
    FAILS(sl_waiting_get(&room, id, &arena, &found, &waiting, &err), SYNCLINE_ECORRUPT, "no UUID");
}

/* Without memory, or without its tables, every call says so, and the next one works. */
Test(waiting_room, failures)
{
    const struct sl_waiting_key key = {.model = 3, .uuid = parent_a};
    struct sl_waiting waiting = entry_of(1, "x");
    struct sl_waiting_key *keys = NULL;
    size_t count = 0;
    bool found = false;
    int64_t id = 0;
    OK(sl_db_exec(&ldb.db, "ALTER TABLE _syncline_waiting RENAME TO away", &err));
    FAILS(sl_waiting_room_load(&room, &err), SYNCLINE_EDB, "_syncline_waiting");
    FAILS(sl_waiting_put(&room, &waiting, &key, 1, &err), SYNCLINE_EDB, "_syncline_waiting");
    FAILS(sl_waiting_get(&room, 1, &arena, &found, &waiting, &err), SYNCLINE_EDB, "_syncline");
    FAILS(sl_waiting_of_birth(&room, 1, 1, &arena, &found, &waiting, &err), SYNCLINE_EDB, "_sync");
    FAILS(sl_waiting_next(&room, &id, &err), SYNCLINE_EDB, "_syncline_waiting");
    FAILS(sl_waiting_unborn(&room, 1, 0, 1, &id, &err), SYNCLINE_EDB, "_syncline_waiting");
    FAILS(sl_waiting_record(&room, 3, &parent_a, &id, &err), SYNCLINE_EDB, "_syncline_waiting");
    OK(sl_db_exec(&ldb.db, "ALTER TABLE away RENAME TO _syncline_waiting", &err));
    OK(sl_waiting_put(&room, &waiting, &key, 1, &err));
    OK(sl_db_exec(&ldb.db, "ALTER TABLE _syncline_waiting_key RENAME TO away", &err));
    FAILS(sl_waiting_keys(&room, waiting.id, &arena, &keys, &count, &err), SYNCLINE_EDB, "_key");
    FAILS(sl_waiting_next_child(&room, 3, &parent_a, &id, &err), SYNCLINE_EDB, "_key");
    FAILS(sl_waiting_remove(&room, &waiting, &err), SYNCLINE_EDB, "_key");
}
