/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/hidden_births.h"

#include "tests/unit/counting_allocator.h"
#include "tests/unit/storage_fixture.h"

static struct sl_library_db ldb;
static struct sl_hidden_births hidden;
static struct sl_arena arena;
static struct sl_hidden_birth *list;
static size_t len;

static void start(void)
{
    set_up();
    struct syncline_uuid library_id = {{3}};
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
    sl_hidden_births_init(&hidden, &ldb);
    sl_arena_init(&arena, &sl_allocator_libc);
}

static void stop(void)
{
    sl_arena_fini(&arena);
    sl_hidden_births_fini(&hidden);
    sl_library_db_fini(&ldb);
    tear_down();
}

TestSuite(hidden_births, .init = start, .fini = stop);

static struct syncline_uuid uuid_of(uint8_t n)
{
    struct syncline_uuid uuid = {{n}};
    return uuid;
}

static void put(int64_t model, uint8_t n, int64_t origin, uint64_t seq, const char *body)
{
    struct syncline_uuid uuid = uuid_of(n);
    struct sl_hidden_birth birth = {.origin = origin,
                                    .seq = seq,
                                    .birth_hlc = seq + 100,
                                    .class = SYNCLINE_DEVICE_OWNED,
                                    .hlc = seq + 200,
                                    .hlc_origin = origin + 1,
                                    .body = (const uint8_t *)body,
                                    .body_size = strlen(body)};
    OK(sl_hidden_birth_put(&hidden, model, &uuid, &birth, &err));
}

static void look(int64_t model, uint8_t n, bool with_body)
{
    struct syncline_uuid uuid = uuid_of(n);
    OK(sl_hidden_birth_list(&hidden, model, &uuid, with_body, &arena, &list, &len, &err));
}

static bool any(int64_t model)
{
    bool found = false;
    OK(sl_hidden_birth_any(&hidden, model, &found, &err));
    return found;
}

/* Those of a range of UUIDs come by those, whole, until the list is full. */
Test(hidden_births, range)
{
    struct sl_hidden_named named[3];
    struct syncline_uuid lo = uuid_of(6);
    struct syncline_uuid hi = uuid_of(7);
    put(1, 8, 1, 50, "behind");
    put(1, 7, 1, 51, "last");
    put(1, 6, 2, 3, "second");
    put(1, 6, 1, 50, "first");
    put(1, 5, 1, 50, "before");
    put(2, 6, 1, 50, "other model");
    OK(sl_hidden_birth_range(&hidden, 1, &lo, &hi, &arena, named, 3, &len, &err));
    cr_assert_eq(len, 3);
    cr_assert_eq(memcmp(named[0].birth.body, "first", 5), 0);
    cr_assert_eq(named[1].birth.origin, 2);
    cr_assert_eq(named[2].uuid.bytes[0], 7);
    OK(sl_hidden_birth_range(&hidden, 1, &lo, &hi, &arena, named, 2, &len, &err));
    cr_assert_eq(len, 2);
    OK(sl_db_exec(&ldb.db,
                  "UPDATE _syncline_hidden_birth SET uuid=x'06' WHERE uuid=x'"
                  "06000000000000000000000000000000' AND seq=50 AND model=1",
                  &err));
    lo.bytes[0] = 5;
    FAILS(sl_hidden_birth_range(&hidden, 1, &lo, &hi, &arena, named, 3, &len, &err),
          SYNCLINE_ECORRUPT, "no UUID");
}

/* What was put is there, whole, in order, and of that record alone. */
Test(hidden_births, put_and_list)
{
    look(1, 7, true);
    cr_assert_eq(len, 0);
    cr_assert_not(any(1));
    for (uint64_t seq = 9; seq > 0; seq--) {
        put(1, 7, 2, seq, "body");
    }
    put(1, 7, 1, 50, "other");
    put(1, 8, 1, 50, "other record");
    put(2, 7, 1, 50, "other model");
    look(1, 7, true);
    cr_assert_eq(len, 10);
    cr_assert_eq(list[0].origin, 1);
    cr_assert_eq(list[0].seq, 50);
    cr_assert_eq(list[0].body_size, 5);
    cr_assert_eq(memcmp(list[0].body, "other", 5), 0);
    for (uint64_t seq = 1; seq <= 9; seq++) {
        cr_assert_eq(list[seq].origin, 2);
        cr_assert_eq(list[seq].seq, seq);
        cr_assert_eq(list[seq].birth_hlc, seq + 100);
        cr_assert_eq(list[seq].class, SYNCLINE_DEVICE_OWNED);
        cr_assert_eq(list[seq].hlc, seq + 200);
        cr_assert_eq(list[seq].hlc_origin, 3);
    }
    look(1, 7, false);
    cr_assert_eq(len, 10);
    cr_assert_null(list[0].body);
    cr_assert(any(1));
    cr_assert_not(any(3));
}

/* The same birth put again is replaced; dropped, it alone is gone; what is not there can be
 * dropped.
 */
Test(hidden_births, replace_and_drop)
{
    struct syncline_uuid uuid = uuid_of(7);
    put(1, 7, 1, 5, "first");
    put(1, 7, 1, 6, "second");
    put(1, 7, 1, 5, "again");
    look(1, 7, true);
    cr_assert_eq(len, 2);
    cr_assert_eq(memcmp(list[0].body, "again", 5), 0);
    OK(sl_hidden_birth_drop(&hidden, 1, &uuid, 1, 5, &err));
    OK(sl_hidden_birth_drop(&hidden, 1, &uuid, 1, 5, &err));
    look(1, 7, true);
    cr_assert_eq(len, 1);
    cr_assert_eq(list[0].seq, 6);
    OK(sl_hidden_birth_drop(&hidden, 1, &uuid, 1, 6, &err));
    cr_assert_not(any(1));
}

/* Without the table, or without memory, each call says so. */
Test(hidden_births, failures)
{
    struct syncline_uuid uuid = uuid_of(7);
    put(1, 7, 1, 5, "body");
    struct counting counting = {0};
    struct sl_allocator failing = {.resize = counting_resize, .ctx = &counting};
    sl_arena_fini(&arena);
    sl_arena_init(&arena, &failing);
    counting_fail_at(&counting, 1, COUNTING_ANY);
    FAILS(sl_hidden_birth_list(&hidden, 1, &uuid, true, &arena, &list, &len, &err), SYNCLINE_ENOMEM,
          "hidden births");
    cr_assert_eq(len, 0);
    cr_assert(counting_has_failed(&counting));
    bool found = false;
    sql_on(in_folder("library.db"), "DROP TABLE _syncline_hidden_birth");
    struct sl_hidden_birth birth = {.origin = 1, .seq = 1, .body = uuid.bytes, .body_size = 1};
    FAILS(sl_hidden_birth_any(&hidden, 1, &found, &err), SYNCLINE_EDB, "hidden_birth");
    FAILS(sl_hidden_birth_list(&hidden, 1, &uuid, true, &arena, &list, &len, &err), SYNCLINE_EDB,
          "hidden_birth");
    FAILS(sl_hidden_birth_put(&hidden, 1, &uuid, &birth, &err), SYNCLINE_EDB, "hidden_birth");
    FAILS(sl_hidden_birth_drop(&hidden, 1, &uuid, 1, 1, &err), SYNCLINE_EDB, "hidden_birth");
}

/* A birth that lacks a parent is found by that, until it is said to lack none, replaced or dropped.
 */
Test(hidden_births, found_by_what_they_lack)
{
    const struct syncline_uuid parent = uuid_of(50);
    const struct syncline_uuid record = uuid_of(7);
    struct sl_hidden_lack lack;
    bool found = true;
    put(1, 7, 1, 5, "a");
    put(1, 8, 2, 6, "b");
    OK(sl_hidden_birth_lacking(&hidden, 2, &parent, 0, &found, &lack, &err));
    cr_assert(!found);
    look(1, 7, false);
    OK(sl_hidden_birth_set_lack(&hidden, 1, &record, &list[0], 2, &parent, &err));
    OK(sl_hidden_birth_lacking(&hidden, 2, &parent, 0, &found, &lack, &err));
    cr_assert(found && sl_uuid_equal(&lack.uuid, &record) &&
              sl_uuid_equal(&lack.lacks_uuid, &parent));
    cr_assert(lack.model == 1 && lack.lacks_model == 2 && lack.birth.seq == 5);
    OK(sl_hidden_birth_lacking(&hidden, 3, &parent, 0, &found, &lack, &err));
    cr_assert(!found, "of another model");
    OK(sl_hidden_birth_lacking(&hidden, 0, NULL, 0, &found, &lack, &err));
    cr_assert(found && lack.birth.origin == 1);
    OK(sl_hidden_birth_lacking(&hidden, 0, NULL, 1, &found, &lack, &err));
    cr_assert(!found);
    put(1, 7, 1, 5, "c");
    OK(sl_hidden_birth_lacking(&hidden, 2, &parent, 0, &found, &lack, &err));
    cr_assert(!found, "replaced");
    OK(sl_hidden_birth_set_lack(&hidden, 1, &record, &list[0], 2, &parent, &err));
    OK(sl_hidden_birth_set_lack(&hidden, 1, &record, &list[0], 0, NULL, &err));
    OK(sl_hidden_birth_lacking(&hidden, 2, &parent, 0, &found, &lack, &err));
    cr_assert(!found, "said to lack none");
    OK(sl_hidden_birth_set_lack(&hidden, 1, &record, &list[0], 2, &parent, &err));
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_hidden_birth SET uuid=x'01' WHERE lacks_model=2",
                  &err));
    FAILS(sl_hidden_birth_lacking(&hidden, 2, &parent, 0, &found, &lack, &err), SYNCLINE_ECORRUPT,
          "has no UUID");
}
