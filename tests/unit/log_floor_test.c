/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/log_floor.h"

#include "tests/unit/storage_fixture.h"

static struct sl_peer_log log_;
static struct sl_log_head a;
static struct sl_log_head b;

static void append(struct sl_log_head *head, uint32_t changes, size_t size)
{
    static uint8_t bytes[100000];
    head->held_seq += changes;
    head->held_hash[0]++;
    OK(sl_peer_log_append(&log_, head, bytes, size, &err));
}

/* The log of A: 10, 5, 1 changes in 100, 200, 300 bytes; that of B: 7 changes. */
static void start(void)
{
    const struct sl_library_identity identity = {.device_name = "laptop"};
    set_up();
    OK(sl_peer_log_create(sl_env_posix(), in_folder("sync.db"), &identity, &err));
    OK(sl_peer_log_open(&log_, sl_env_posix(), in_folder("sync.db"), SL_DB_WRITE, &err));
    a = (struct sl_log_head){.origin = {.device = {{0xa}}}, .held_hash = {0xa0}};
    b = (struct sl_log_head){.origin = {.device = {{0xb}}}, .held_hash = {0xb0}};
    OK(sl_peer_log_add_origin(&log_, &a, &err));
    OK(sl_peer_log_add_origin(&log_, &b, &err));
    append(&a, 10, 100);
    append(&b, 7, 100);
    append(&a, 5, 200);
    append(&a, 1, 300);
}

static void stop(void)
{
    sl_peer_log_fini(&log_);
    tear_down();
}

TestSuite(log_floor, .init = start, .fini = stop);

static struct sl_log_floor floor_at(uint64_t seq, uint8_t hash)
{
    struct sl_log_floor floor = {.seq = seq};
    memset(floor.hash, hash, sizeof(floor.hash));
    memset(floor.end, hash + 1, sizeof(floor.end));
    return floor;
}

static enum syncline_status segment_at(int64_t origin, uint64_t seq, bool *found)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status =
        sl_peer_log_segment(&log_, origin, seq, found, &data, &size, &err);
    sl_peer_log_done(&log_);
    return status;
}

/* A log begins whole. When its floor rises, its oldest segments are gone, and no other's; what lies
 * below is EPRUNED, never the segment after it; and at the floor the hash is still known. */
Test(log_floor, rises)
{
    struct sl_log_floor floor = floor_at(1, 1);
    struct sl_log_kept kept;
    uint8_t hash[SL_HASH_SIZE];
    bool found = false;
    OK(sl_log_floor_get(&log_, a.number, &floor, &err));
    cr_assert_eq(floor.seq, 0);

    struct sl_log_floor raised = floor_at(15, 0x77);
    OK(sl_log_floor_raise(&log_, a.number, &raised, &err));
    OK(sl_log_floor_get(&log_, a.number, &floor, &err));
    cr_assert_eq(memcmp(&floor, &raised, sizeof(floor)), 0);
    for (uint64_t seq = 1; seq <= 15; seq++) {
        FAILS(segment_at(a.number, seq, &found), SYNCLINE_EPRUNED, "pruned up to 15");
    }
    OK(segment_at(a.number, 16, &found));
    cr_assert(found);
    OK(segment_at(a.number, 17, &found));
    cr_assert_not(found);
    OK(segment_at(b.number, 1, &found));
    cr_assert(found);
    OK(sl_peer_log_hash_at(&log_, a.number, 15, &found, hash, &err));
    cr_assert(found && hash[0] == 0x77);
    FAILS(sl_peer_log_hash_at(&log_, a.number, 10, &found, hash, &err), SYNCLINE_EPRUNED, "15");
    OK(sl_log_kept(&log_, a.number, &kept, &err));
    cr_assert(kept.floor_seq == 15 && kept.segments == 1 && kept.bytes == 300);
    OK(sl_log_kept(&log_, b.number, &kept, &err));
    cr_assert(kept.floor_seq == 0 && kept.segments == 1 && kept.bytes == 100);

    /* All of it: the log goes on after its floor. */
    raised = floor_at(16, 0x78);
    OK(sl_log_floor_raise(&log_, a.number, &raised, &err));
    FAILS(segment_at(a.number, 16, &found), SYNCLINE_EPRUNED, "pruned up to 16");
    OK(segment_at(a.number, 17, &found));
    cr_assert_not(found);
    append(&a, 4, 50);
    OK(segment_at(a.number, 17, &found));
    cr_assert(found);
}

/* A floor that would not rise is refused, and takes no segment; of what is not committed nothing
 * remains. */
Test(log_floor, never_falls)
{
    bool found = false;
    struct sl_log_floor floor = floor_at(10, 0x70);
    OK(sl_log_floor_raise(&log_, a.number, &floor, &err));
    FAILS(sl_log_floor_raise(&log_, a.number, &floor, &err), SYNCLINE_EINVAL, "does not rise");
    FAILS(sl_log_floor_raise(&log_, 99, &floor, &err), SYNCLINE_EINVAL, "does not rise");
    floor = floor_at(15, 0x71);
    OK(sl_peer_log_begin(&log_, &err));
    OK(sl_log_floor_raise(&log_, a.number, &floor, &err));
    FAILS(segment_at(a.number, 11, &found), SYNCLINE_EPRUNED, "15");
    sl_peer_log_rollback(&log_);
    OK(segment_at(a.number, 11, &found));
    cr_assert(found);
    OK(sl_log_floor_get(&log_, a.number, &floor, &err));
    cr_assert_eq(floor.seq, 10);
}

/* A log can begin at a floor that was never in it: what was there goes, and what comes follows. */
Test(log_floor, begins_anew)
{
    bool found = false;
    struct sl_log_head read;
    struct sl_log_floor floor = floor_at(500, 0x75);
    a.held_seq = 500;
    memset(a.held_hash, 0x75, sizeof(a.held_hash));
    a.last_hlc = 9;
    OK(sl_log_floor_begin(&log_, &a, &floor, &err));
    OK(sl_peer_log_head(&log_, 0, &found, &read, &err));
    cr_assert(found && read.held_seq == 500 && read.held_hash[0] == 0x75 && read.last_hlc == 9);
    FAILS(segment_at(a.number, 16, &found), SYNCLINE_EPRUNED, "500");
    FAILS(sl_log_floor_begin(&log_, &a, &floor, &err), SYNCLINE_EINVAL, "does not rise");
}

/* The oldest segments are counted by number and by size, one at least, and never beyond a seq. */
Test(log_floor, oldest)
{
    static const struct {
        uint64_t upto;
        uint32_t len;
        uint64_t size;
        struct sl_log_oldest oldest;
    } table[] = {{16, 9, 1000, {16, 600, false}}, {15, 9, 1000, {15, 300, false}},
                 {14, 9, 1000, {10, 100, false}}, {9, 9, 1000, {0, 0, false}},
                 {16, 2, 1000, {15, 300, true}},  {16, 9, 300, {15, 300, true}},
                 {16, 9, 299, {10, 100, true}},   {16, 9, 1, {10, 100, true}},
                 {16, 3, 1000, {16, 600, true}}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct sl_log_oldest oldest;
        OK(sl_log_oldest(&log_, a.number, table[i].upto, table[i].len, table[i].size, &oldest,
                         &err));
        cr_expect_eq(oldest.last_seq, table[i].oldest.last_seq, "case %zu", i);
        cr_expect_eq(oldest.bytes, table[i].oldest.bytes, "case %zu", i);
        cr_expect_eq(oldest.is_full, table[i].oldest.is_full, "case %zu", i);
    }
}

/* Pages that nothing stands in go back to the file system, as many as are asked for. */
Test(log_floor, shrinks)
{
    struct sl_log_space full;
    struct sl_log_space pruned;
    struct sl_log_space shrunk;
    for (int i = 0; i < 40; i++) {
        append(&a, 1, 100000);
    }
    OK(sl_log_space(&log_, &full, &err));
    cr_assert_gt(full.pages * full.page_size, 4000000);
    struct sl_log_floor floor = floor_at(a.held_seq, 0x70);
    OK(sl_log_floor_raise(&log_, a.number, &floor, &err));
    OK(sl_log_space(&log_, &pruned, &err));
    cr_assert_eq(pruned.pages, full.pages);
    cr_assert_gt(pruned.free_pages * pruned.page_size, 4000000);
    OK(sl_log_shrink(&log_, 100, &err));
    OK(sl_log_space(&log_, &shrunk, &err));
    cr_expect_leq(shrunk.pages, pruned.pages - 100);
    cr_expect_eq(shrunk.free_pages, pruned.free_pages - 100);
    OK(sl_log_shrink(&log_, 100000, &err));
    OK(sl_log_space(&log_, &shrunk, &err));
    cr_expect_eq(shrunk.free_pages, 0);
    cr_expect_lt(shrunk.pages * shrunk.page_size, 200000);
    OK(sl_db_check(&log_.db, &err));
}

/* A segment with that flag byte, of `changes` changes after head. */
static void append_segment(struct sl_log_head *head, uint32_t changes, uint32_t flags)
{
    uint8_t bytes[SL_SEGMENT_HEADER_SIZE + 1] = {0};
    struct sl_segment segment = {.origin = head->origin,
                                 .first_seq = head->held_seq + 1,
                                 .len = changes,
                                 .flags = flags,
                                 .raw_size = 1,
                                 .last_hlc = 100};
    sl_segment_encode_header(&segment, bytes);
    head->held_seq += changes;
    OK(sl_peer_log_append(&log_, head, bytes, sizeof(bytes), &err));
}

/* Of what is pruned the segments that brought records stay aside, found by each seq in them and by
 * no other; the oldest go when they are too many. */
Test(log_floor, births_are_kept)
{
    bool found = false;
    bool forgot = true;
    const uint8_t *data = NULL;
    size_t size = 0;
    uint64_t next = 0;
    append_segment(&a, 4, SL_SEGMENT_BIRTHS);                        /* 17 to 20 */
    append_segment(&a, 5, SL_SEGMENT_CONTINUED);                     /* 21 to 25 */
    append_segment(&a, 5, SL_SEGMENT_BIRTHS | SL_SEGMENT_CONTINUED); /* 26 to 30 */
    append_segment(&a, 5, SL_SEGMENT_BIRTHS);                        /* 31 to 35 */
    struct sl_log_floor floor = floor_at(30, 0x70);
    OK(sl_log_floor_raise(&log_, a.number, &floor, &err));
    for (uint64_t seq = 1; seq <= 35; seq++) {
        OK(sl_peer_log_births(&log_, a.number, seq, &found, &data, &size, &err));
        cr_expect_eq(found, (seq >= 17 && seq <= 20) || (seq >= 26 && seq <= 30), "seq %llu",
                     (unsigned long long)seq);
        sl_peer_log_done(&log_);
    }
    static const uint64_t table[][2] = {{0, 20}, {16, 20}, {20, 30}, {25, 30}, {30, 31}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        OK(sl_peer_log_next(&log_, a.number, table[i][0], &next, &err));
        cr_expect_eq(next, table[i][1], "after %llu", (unsigned long long)table[i][0]);
    }
    OK(sl_peer_log_next(&log_, 99, 5, &next, &err));
    cr_expect_eq(next, 6);
    OK(sl_log_births_limit(&log_, 2 * (SL_SEGMENT_HEADER_SIZE + 1), &forgot, &err));
    cr_expect_not(forgot);
    OK(sl_log_births_limit(&log_, 2 * SL_SEGMENT_HEADER_SIZE, &forgot, &err));
    cr_expect(forgot);
    OK(sl_peer_log_births(&log_, a.number, 17, &found, &data, &size, &err));
    cr_expect_not(found);
    OK(sl_db_exec(&log_.db, "INSERT INTO birth_segment VALUES(1,50,x'00')", &err));
    FAILS(sl_peer_log_births(&log_, a.number, 50, &found, &data, &size, &err), SYNCLINE_ECORRUPT,
          "sync.db");
    OK(sl_db_exec(&log_.db, "DROP TABLE birth_segment", &err));
    FAILS(sl_peer_log_births(&log_, 1, 1, &found, &data, &size, &err), SYNCLINE_EDB, "birth");
    FAILS(sl_log_births_limit(&log_, 1, &forgot, &err), SYNCLINE_EDB, "birth");
}

/* A floor that is damaged is ECORRUPT, and a table that is not there is passed on. */
Test(log_floor, failures)
{
    struct sl_log_floor floor = floor_at(10, 0x70);
    struct sl_log_oldest oldest;
    struct sl_log_kept kept;
    OK(sl_log_floor_raise(&log_, a.number, &floor, &err));
    OK(sl_db_exec(&log_.db, "UPDATE origin SET floor_end=x'00'", &err));
    FAILS(sl_log_floor_get(&log_, a.number, &floor, &err), SYNCLINE_ECORRUPT, "floor of origin 1");
    OK(sl_db_exec(&log_.db, "DROP TABLE segment", &err));
    floor = floor_at(15, 0x70);
    FAILS(sl_log_floor_raise(&log_, a.number, &floor, &err), SYNCLINE_EDB, "segment");
    FAILS(sl_log_oldest(&log_, a.number, 16, 9, 9, &oldest, &err), SYNCLINE_EDB, "segment");
    FAILS(sl_log_kept(&log_, a.number, &kept, &err), SYNCLINE_EDB, "segment");
    OK(sl_db_exec(&log_.db, "DROP TABLE origin", &err));
    FAILS(sl_log_floor_get(&log_, a.number, &floor, &err), SYNCLINE_EDB, "origin");
    FAILS(sl_log_floor_raise(&log_, a.number, &floor, &err), SYNCLINE_EDB, "origin");
}
