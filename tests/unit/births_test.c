/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/births.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

static const struct syncline_uuid library_id = {{0x11}};
static struct sl_library_db ldb;
static struct sl_births births;

static void start(void)
{
    set_up();
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
    sl_births_init(&births, &ldb);
}

static void stop(void)
{
    sl_births_fini(&births);
    sl_library_db_fini(&ldb);
    tear_down();
}

TestSuite(births, .init = start, .fini = stop);

static struct sl_birth_run run_of(int64_t id, uint32_t n, uint64_t seq)
{
    struct sl_birth_run run = {
        .id = id, .n = n, .origin = 1, .seq = seq, .hlc = seq + 1000, .class = SYNCLINE_SHARED};
    return run;
}

static void put(int64_t id, uint32_t n, uint64_t seq)
{
    struct sl_birth_run run = run_of(id, n, seq);
    OK(sl_birth_put(&births, 1, &run, &err));
}

/* The seq of the record's birth; 0: it has none. */
static uint64_t seq_of(int64_t id)
{
    bool found = false;
    struct sl_birth_run run;
    OK(sl_birth_get(&births, 1, id, &found, &run, &err));
    if (!found) {
        return 0;
    }
    cr_assert_eq(run.id, id);
    cr_assert_eq(run.n, 1);
    cr_assert_eq(run.hlc, run.seq + 1000);
    return run.seq;
}

static int64_t rows(void)
{
    return query_int(ldb.db.handle, "SELECT count(*) FROM _syncline_birth");
}

/* The class is that of the birth, one by one; who has none is shared. */
Test(births, is_shared)
{
    struct sl_birth_run run = run_of(10, 3, 1);
    bool is_shared = false;
    run.class = SYNCLINE_DEVICE_OWNED;
    OK(sl_birth_put(&births, 1, &run, &err));
    put(13, 1, 50);
    for (int64_t id = 9; id <= 14; id++) {
        OK(sl_birth_is_shared(&births, 1, id, &is_shared, &err));
        cr_assert_eq(is_shared, id < 10 || id > 12, "%d", (int)id);
    }
    OK(sl_birth_is_shared(&births, 2, 10, &is_shared, &err));
    cr_assert(is_shared);
}

/* A run that continues its neighbour in id, seq, clock, origin and class is joined to it; a
 * difference in any of them keeps it apart. */
Test(births, runs_join)
{
    put(1, 10, 101);
    put(11, 5, 111);
    cr_assert_eq(rows(), 1);
    put(16, 1, 117); /* seq */
    cr_assert_eq(rows(), 2);
    put(18, 1, 118); /* id */
    cr_assert_eq(rows(), 3);
    struct sl_birth_run run = run_of(19, 1, 119);
    run.hlc++;
    OK(sl_birth_put(&births, 1, &run, &err));
    run = run_of(20, 1, 120);
    run.hlc++;
    run.origin = 2;
    OK(sl_birth_put(&births, 1, &run, &err));
    run.id++;
    run.seq++;
    run.hlc++;
    run.class = SYNCLINE_DEVICE_OWNED;
    OK(sl_birth_put(&births, 1, &run, &err));
    cr_assert_eq(rows(), 6);
    run.id++;
    run.seq++;
    run.hlc++;
    OK(sl_birth_put(&births, 1, &run, &err));
    cr_assert_eq(rows(), 6);
    OK(sl_birth_put(&births, 2, &run, &err)); /* another model */
    cr_assert_eq(rows(), 7);
    bool found = false;
    OK(sl_birth_get(&births, 1, 22, &found, &run, &err));
    cr_assert(found && run.origin == 2 && run.class == SYNCLINE_DEVICE_OWNED && run.seq == 122);
}

/* Dropping cuts a run at its beginning, middle and end, and leaves the others their births. */
Test(births, runs_split)
{
    put(1, 10, 101);
    OK(sl_birth_drop(&births, 1, 5, &err));
    cr_assert_eq(rows(), 2);
    OK(sl_birth_drop(&births, 1, 1, &err));
    OK(sl_birth_drop(&births, 1, 10, &err));
    cr_assert_eq(rows(), 2);
    OK(sl_birth_drop(&births, 1, 5, &err)); /* not there: nothing happens */
    OK(sl_birth_drop(&births, 1, 99, &err));
    for (int64_t id = 0; id <= 11; id++) {
        bool gone = id < 2 || id == 5 || id > 9;
        cr_assert_eq(seq_of(id), gone ? 0 : (uint64_t)id + 100, "id %lld", (long long)id);
    }
}

/* A run put over others wins wherever they meet: inside, across several, over all. */
Test(births, runs_are_carved)
{
    put(1, 10, 101);
    put(4, 3, 501); /* inside */
    cr_assert_eq(rows(), 3);
    cr_assert_eq(seq_of(3), 103);
    cr_assert_eq(seq_of(4), 501);
    cr_assert_eq(seq_of(6), 503);
    cr_assert_eq(seq_of(7), 107);
    put(20, 5, 201);
    put(9, 13, 601); /* the end of one and the beginning of the other */
    cr_assert_eq(seq_of(8), 108);
    cr_assert_eq(seq_of(9), 601);
    cr_assert_eq(seq_of(21), 613);
    cr_assert_eq(seq_of(22), 203);
    put(0, 30, 701); /* over all */
    cr_assert_eq(rows(), 1);
    cr_assert_eq(seq_of(29), 730);
}

/* Ids go from the lowest to the highest that SQLite has. */
Test(births, ids_at_the_ends)
{
    put(INT64_MAX - 2, 3, 50);
    put(INT64_MIN, 2, 80);
    cr_assert_eq(seq_of(INT64_MAX), 52);
    cr_assert_eq(seq_of(INT64_MAX - 2), 50);
    cr_assert_eq(seq_of(INT64_MIN), 80);
    cr_assert_eq(seq_of(INT64_MIN + 1), 81);
    cr_assert_eq(seq_of(0), 0);
    OK(sl_birth_drop(&births, 1, INT64_MAX, &err));
    OK(sl_birth_drop(&births, 1, INT64_MIN, &err));
    cr_assert_eq(seq_of(INT64_MAX), 0);
    cr_assert_eq(seq_of(INT64_MIN), 0);
    cr_assert_eq(seq_of(INT64_MAX - 1), 51);
    cr_assert_eq(seq_of(INT64_MIN + 1), 81);
    put(INT64_MAX, 1, 90);
    cr_assert_eq(seq_of(INT64_MAX), 90);
}

#define IDS 60

static void assert_is_model(const uint64_t model[IDS], const char *did)
{
    for (int64_t id = 0; id < IDS; id++) {
        cr_assert_eq(seq_of(id), model[id], "%s: id %lld", did, (long long)id);
    }
    cr_assert_eq(query_int(ldb.db.handle,
                           "SELECT count(*) FROM _syncline_birth a JOIN _syncline_birth b"
                           " ON a.model=b.model AND a.id<b.id AND b.id<a.id+a.n"),
                 0, "%s: runs overlap", did);
}

/* Any order of puts and drops, with ids used again: the table says what a plain array says, and its
 * runs never overlap. */
Test(births, random_operations)
{
    uint64_t random = 20240229;
    uint64_t model[IDS] = {0};
    uint64_t next_seq = 1;
    OK(sl_library_db_begin_write(&ldb, &err));
    for (int step = 0; step < 3000; step++) {
        int64_t id = (int64_t)(next_random(&random) % IDS);
        uint32_t n = 1 + (uint32_t)(next_random(&random) % 12);
        char did[64];
        if (next_random(&random) % 3 != 0) {
            if (n > IDS - id) {
                n = (uint32_t)(IDS - id);
            }
            /* Often where the run before ends, so that they join. */
            uint64_t seq = next_seq;
            if (id > 0 && model[id - 1] != 0 && next_random(&random) % 2 == 0) {
                seq = model[id - 1] + 1;
            }
            (void)snprintf(did, sizeof(did), "step %d: put %lld + %u", step, (long long)id, n);
            put(id, n, seq);
            for (uint32_t i = 0; i < n; i++) {
                model[id + i] = seq + i;
            }
            next_seq += n;
        } else {
            (void)snprintf(did, sizeof(did), "step %d: drop %lld", step, (long long)id);
            OK(sl_birth_drop(&births, 1, id, &err));
            model[id] = 0;
        }
        assert_is_model(model, did);
    }
    OK(sl_library_db_commit(&ldb, &err));
}

/* What another connection did since is seen after forget; our own writes are seen at once. */
Test(births, the_cache_is_dropped)
{
    put(1, 10, 101);
    cr_assert_eq(seq_of(5), 105);
    sql_on(in_folder("library.db"), "UPDATE _syncline_birth SET seq=301, hlc=1301");
    sl_births_forget(&births);
    cr_assert_eq(seq_of(5), 305);
    put(5, 1, 900);
    cr_assert_eq(seq_of(5), 900);
    cr_assert_eq(seq_of(6), 306);
    OK(sl_birth_drop(&births, 1, 6, &err));
    cr_assert_eq(seq_of(6), 0);
    struct sl_birth_run run;
    bool found = true;
    OK(sl_birth_get(&births, 2, 7, &found, &run, &err)); /* the cached run is of another model */
    cr_assert(!found);
}

/* A stamp is the last one put, and goes with its record. */
Test(births, stamps)
{
    uint64_t hlc = 0;
    int64_t origin = 0;
    bool found = true;
    OK(sl_stamp_get(&births, 1, 5, &found, &hlc, &origin, &err));
    cr_assert(!found);
    OK(sl_stamp_put(&births, 1, 5, (uint64_t)INT64_MAX, 3, &err));
    OK(sl_stamp_put(&births, 2, 5, 7, 4, &err));
    OK(sl_stamp_get(&births, 1, 5, &found, &hlc, &origin, &err));
    cr_assert(found && hlc == (uint64_t)INT64_MAX && origin == 3);
    OK(sl_stamp_put(&births, 1, 5, 6, 1, &err)); /* whoever puts has decided: no comparison */
    OK(sl_stamp_get(&births, 1, 5, &found, &hlc, &origin, &err));
    cr_assert(found && hlc == 6 && origin == 1);
    OK(sl_birth_drop(&births, 1, 5, &err));
    OK(sl_stamp_get(&births, 1, 5, &found, &hlc, &origin, &err));
    cr_assert(!found);
    OK(sl_stamp_get(&births, 2, 5, &found, &hlc, &origin, &err));
    cr_assert(found);
}

/* A late birth is kept until its delete's outbox row is in the log; the last one of a UUID stands.
 */
Test(births, late_births)
{
    struct syncline_uuid uuid = {{5}};
    struct syncline_uuid other = {{6}};
    uint64_t seq = 9;
    OK(sl_late_birth_get(&births, 1, &uuid, &seq, &err));
    cr_assert_eq(seq, 0);
    OK(sl_late_birth_put(&births, 1, &uuid, 100, 7, &err));
    OK(sl_late_birth_put(&births, 1, &other, 101, 8, &err));
    OK(sl_late_birth_get(&births, 1, &uuid, &seq, &err));
    cr_assert_eq(seq, 100);
    OK(sl_late_birth_get(&births, 2, &uuid, &seq, &err));
    cr_assert_eq(seq, 0);
    OK(sl_late_birth_put(&births, 1, &uuid, 200, 9, &err));
    OK(sl_late_birth_get(&births, 1, &uuid, &seq, &err));
    cr_assert_eq(seq, 200);
    OK(sl_late_birth_remove(&births, 8, &err));
    OK(sl_late_birth_get(&births, 1, &other, &seq, &err));
    cr_assert_eq(seq, 0);
    OK(sl_late_birth_get(&births, 1, &uuid, &seq, &err));
    cr_assert_eq(seq, 200);
    OK(sl_late_birth_remove(&births, 9, &err));
    OK(sl_late_birth_get(&births, 1, &uuid, &seq, &err));
    cr_assert_eq(seq, 0);
}

/* Every call passes on that its table is not there, and touches no result. */
Test(births, failures_are_passed_on)
{
    struct sl_birth_run run = run_of(1, 1, 1);
    struct syncline_uuid uuid = {{5}};
    uint64_t seq = 77;
    int64_t origin = 77;
    bool found = false;
    OK(sl_db_exec(&ldb.db, "DROP TABLE _syncline_stamp", &err));
    FAILS(sl_birth_drop(&births, 1, 1, &err), SYNCLINE_EDB, "_syncline_stamp");
    FAILS(sl_stamp_get(&births, 1, 1, &found, &seq, &origin, &err), SYNCLINE_EDB, "stamp");
    FAILS(sl_stamp_put(&births, 1, 1, 1, 1, &err), SYNCLINE_EDB, "stamp");
    OK(sl_db_exec(&ldb.db, "DROP TABLE _syncline_birth; DROP TABLE _syncline_late_birth", &err));
    FAILS(sl_birth_get(&births, 1, 1, &found, &run, &err), SYNCLINE_EDB, "_syncline_birth");
    FAILS(sl_birth_is_shared(&births, 1, 1, &found, &err), SYNCLINE_EDB, "_syncline_birth");
    FAILS(sl_birth_put(&births, 1, &run, &err), SYNCLINE_EDB, "_syncline_birth");
    FAILS(sl_birth_drop(&births, 1, 1, &err), SYNCLINE_EDB, "_syncline_birth");
    FAILS(sl_late_birth_get(&births, 1, &uuid, &seq, &err), SYNCLINE_EDB, "late_birth");
    FAILS(sl_late_birth_put(&births, 1, &uuid, 1, 1, &err), SYNCLINE_EDB, "late_birth");
    FAILS(sl_late_birth_remove(&births, 1, &err), SYNCLINE_EDB, "late_birth");
    cr_assert_eq(seq, 77);
    cr_assert_eq(origin, 77);
}

/* A write that fails between its statements - the run removed, its parts not yet put back - is
 * undone with the caller's transaction, and nothing read before is believed after it. */
Test(births, failures_half_way)
{
    put(1, 10, 101);
    put(20, 10, 201);
    OK(sl_db_exec(&ldb.db,
                  "CREATE TRIGGER no BEFORE INSERT ON _syncline_birth"
                  " BEGIN SELECT raise(ABORT,'not now'); END",
                  &err));
    struct sl_birth_run joins = run_of(30, 1, 211);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(seq_of(5), 105);
        OK(sl_library_db_begin_write(&ldb, &err));
        if (i < 2) {
            FAILS(sl_birth_drop(&births, 1, i == 0 ? 5 : 10, &err), SYNCLINE_EDB, "not now");
        } else {
            FAILS(sl_birth_put(&births, 1, &joins, &err), SYNCLINE_EDB, "not now");
        }
        sl_library_db_rollback(&ldb);
        cr_assert_eq(seq_of(5), 105);
        cr_assert_eq(seq_of(29), 210);
        cr_assert_eq(rows(), 2);
    }
    OK(sl_db_exec(&ldb.db,
                  "DROP TRIGGER no; CREATE TRIGGER no BEFORE DELETE ON _syncline_birth"
                  " BEGIN SELECT raise(ABORT,'not that'); END",
                  &err));
    FAILS(sl_birth_drop(&births, 1, 5, &err), SYNCLINE_EDB, "not that");
    FAILS(sl_birth_put(&births, 1, &joins, &err), SYNCLINE_EDB, "not that");
    cr_assert_eq(rows(), 2);
}

/* Without memory a put fails as that, wherever it runs out, and works when there is some again. */
Test(births, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    put(1, 10, 101);
    struct sl_birth_run over = run_of(4, 2, 500);
    int refused = 0;
    enum syncline_status status = SYNCLINE_ENOMEM;
    for (long n = 1; status != SYNCLINE_OK; n++) {
        sl_births_fini(&births);
        sl_births_init(&births, &ldb);
        OK(sl_library_db_begin_write(&ldb, &err));
        (void)sl_malloc_fail_at(n);
        status = sl_birth_put(&births, 1, &over, &err);
        (void)sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "%s", err.text);
        refused += status == SYNCLINE_ENOMEM;
        if (status != SYNCLINE_OK) {
            sl_library_db_rollback(&ldb);
            cr_assert_eq(seq_of(4), 104);
        }
    }
    OK(sl_library_db_commit(&ldb, &err));
    cr_assert_geq(refused, 3);
    cr_assert_eq(seq_of(4), 500);
    cr_assert_eq(seq_of(6), 106);
}

/* A stamp belongs to the record that has the id: the next one's birth takes it away, with those of
 * its whole run and no others. */
Test(births, a_birth_takes_stamps_away)
{
    bool found = false;
    uint64_t hlc = 0;
    int64_t origin = 0;
    for (int64_t id = 4; id <= 8; id++) {
        OK(sl_stamp_put(&births, 1, id, 70, 1, &err));
    }
    OK(sl_stamp_put(&births, 2, 6, 70, 1, &err));
    struct sl_birth_run run = run_of(5, 3, 10);
    OK(sl_birth_put(&births, 1, &run, &err));
    for (int64_t id = 4; id <= 8; id++) {
        OK(sl_stamp_get(&births, 1, id, &found, &hlc, &origin, &err));
        cr_expect_eq(found, id == 4 || id == 8, "%d", (int)id);
    }
    OK(sl_stamp_get(&births, 2, 6, &found, &hlc, &origin, &err));
    cr_expect(found);
}

static struct sl_birth_run next_after(int64_t after)
{
    struct sl_birth_run run = {0};
    bool found = false;
    OK(sl_birth_next(&births, 1, after, &found, &run, &err));
    run.n = found ? run.n : 0;
    return run;
}

/* Births are met in the order of ids, a run from its middle on, and only those of the model. */
Test(births, next)
{
    put(INT64_MIN + 1, 1, 7);
    put(10, 5, 100);
    put(20, 1, 200);
    put(INT64_MAX, 1, 300);
    struct sl_birth_run run = next_after(INT64_MIN);
    cr_expect_eq(run.id, INT64_MIN + 1);
    run = next_after(INT64_MIN + 1);
    cr_expect(run.id == 10 && run.n == 5 && run.seq == 100);
    run = next_after(11);
    cr_expect(run.id == 12 && run.n == 3 && run.seq == 102 && run.hlc == 1102);
    run = next_after(14);
    cr_expect(run.id == 20 && run.n == 1);
    run = next_after(20);
    cr_expect_eq(run.id, INT64_MAX);
    cr_expect_eq(next_after(INT64_MAX).n, 0);
}

static uint64_t parked(void)
{
    return (uint64_t)query_int(
        ldb.db.handle, "SELECT total(n) FROM _syncline_birth WHERE id<-4611686018427387904");
}

/* Births at the ids of what is inserted now are kept, each once; the same ones are not. */
Test(births, put_new)
{
    put(10, 5, 100);
    put(20, 2, 200);
    struct sl_birth_run run = run_of(12, 9, 900);
    OK(sl_birth_put_new(&births, 1, &run, &err));
    cr_expect_eq(seq_of(11), 101);
    cr_expect_eq(seq_of(12), 900);
    cr_expect_eq(seq_of(20), 908);
    cr_expect_eq(seq_of(21), 201);
    cr_expect_eq(parked(), 4, "102, 103, 104 and 200");
    OK(sl_birth_put_new(&births, 1, &run, &err));
    cr_expect_eq(parked(), 4);
    struct sl_birth_run first = next_after(INT64_MIN);
    cr_expect(first.seq == 200 && first.n == 1);
    cr_expect_eq(next_after(first.id).seq, 102);
}

/* Is one of these ids taken? */
Test(births, any)
{
    static const struct {
        int64_t id;
        uint32_t n;
        bool any;
    } cases[] = {{1, 9, false},  {1, 10, true}, {14, 1, true},
                 {15, 5, false}, {15, 6, true}, {21, 9, false}};
    put(10, 5, 100);
    put(20, 1, 200);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool any = false;
        OK(sl_birth_any(&births, 1, cases[i].id, cases[i].n, &any, &err));
        cr_expect_eq(any, cases[i].any, "case %zu", i);
    }
}
