/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/peer_log.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

static const struct sl_library_identity identity = {.library_id = {{1, 2}},
                                                    .device_id = {{3, 4}},
                                                    .epoch = 1ull << 48 | 7,
                                                    .library_name = "Fotos \xc3\xa4",
                                                    .device_name = "laptop"};
static struct sl_peer_log log_;

static enum syncline_status open_log(const char *name, enum sl_db_mode mode)
{
    return sl_peer_log_open(&log_, sl_env_posix(), in_folder(name), mode, &err);
}

static void start(void)
{
    set_up();
    OK(sl_peer_log_create(sl_env_posix(), in_folder("sync.db"), &identity, &err));
    OK(open_log("sync.db", SL_DB_WRITE));
}

static void stop(void)
{
    sl_peer_log_fini(&log_);
    tear_down();
}

TestSuite(peer_log, .init = start, .fini = stop);

/* ---- Making and opening ---- */

/* A new log says who it is of, is in WAL mode with synchronous=FULL, and holds nothing. */
Test(peer_log, create_and_open)
{
    struct sl_library_identity read;
    struct sl_log_head head;
    struct sl_drained drained;
    uint64_t count = 9;
    bool found = true;
    OK(sl_peer_log_identity(&log_, &read, &err));
    cr_assert_eq(memcmp(&read.library_id, &identity.library_id, 16), 0);
    cr_assert_eq(memcmp(&read.device_id, &identity.device_id, 16), 0);
    cr_assert_eq(read.epoch, identity.epoch);
    cr_assert_str_eq(read.library_name, identity.library_name);
    cr_assert_str_eq(read.device_name, identity.device_name);
    cr_assert_eq(query_int(log_.db.handle, "PRAGMA synchronous"), 2);
    cr_assert_eq(query_int(log_.db.handle, "PRAGMA secure_delete"), 0);
    cr_assert_eq(query_int(log_.db.handle, "SELECT journal_mode='wal' FROM pragma_journal_mode"),
                 1);
    OK(sl_peer_log_head(&log_, 0, &found, &head, &err));
    cr_assert(!found);
    OK(sl_drained_newest(&log_, &found, &drained, &err));
    cr_assert(!found);
    OK(sl_set_aside_count(&log_, &count, &err));
    cr_assert_eq(count, 0);
}

/* An existing file is never written over; a folder that is not there is named. */
Test(peer_log, create_refuses)
{
    FAILS(sl_peer_log_create(sl_env_posix(), in_folder("sync.db"), &identity, &err),
          SYNCLINE_EEXIST, "there is a sync.db already");
    write_file(in_folder("text"), "this is a text and no database", 30);
    FAILS(sl_peer_log_create(sl_env_posix(), in_folder("text"), &identity, &err), SYNCLINE_EFORMAT,
          "not an SQLite database");
    FAILS(sl_peer_log_create(sl_env_posix(), in_folder("none/sync.db"), &identity, &err),
          SYNCLINE_EIO, "sync.db: open");
}

/* What is no log, is missing, or was made by a newer version is told apart. */
Test(peer_log, open_refuses)
{
    sl_peer_log_fini(&log_);
    FAILS(open_log("none.db", SL_DB_WRITE), SYNCLINE_ENOTFOUND, "is it there?");
    write_file(in_folder("text"), "this is a text and no database", 30);
    FAILS(open_log("text", SL_DB_READ), SYNCLINE_EFORMAT, "not an SQLite database");
    sql_on(in_folder("other.db"), "CREATE TABLE meta(key,value)");
    FAILS(open_log("other.db", SL_DB_WRITE), SYNCLINE_EFORMAT, "not a Syncline log");
    sql_on(in_folder("sync.db"), "UPDATE meta SET value=2 WHERE key='format'");
    FAILS(open_log("sync.db", SL_DB_WRITE), SYNCLINE_EFORMAT,
          "format 2, this program knows format 1: upgrade it");
    sql_on(in_folder("sync.db"), "DELETE FROM meta WHERE key='format'");
    FAILS(open_log("sync.db", SL_DB_WRITE), SYNCLINE_EFORMAT, "format 0");
    sql_on(in_folder("sync.db"), "INSERT INTO meta VALUES('format',1)");
    OK(open_log("sync.db", SL_DB_READ));
}

/* An identity without its ids is damage. */
Test(peer_log, damaged_identity)
{
    struct sl_library_identity read;
    OK(sl_db_exec(&log_.db, "UPDATE meta SET value='short' WHERE key='device_id'", &err));
    FAILS(sl_peer_log_identity(&log_, &read, &err), SYNCLINE_ECORRUPT, "what library it is of");
    OK(sl_db_exec(&log_.db, "DELETE FROM meta WHERE key='library_id'", &err));
    FAILS(sl_peer_log_identity(&log_, &read, &err), SYNCLINE_ECORRUPT, "what library it is of");
}

/* Without memory no half-made log is taken for one. */
Test(peer_log, create_without_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    char path[128];
    int refused = 0;
    enum syncline_status status = SYNCLINE_ENOMEM;
    sl_peer_log_fini(&log_);
    for (long n = 1; status != SYNCLINE_OK; n++) {
        (void)snprintf(path, sizeof(path), "%s/made-%ld", folder, n);
        (void)sl_malloc_fail_at(n);
        status = sl_peer_log_create(sl_env_posix(), path, &identity, &err);
        bool has_failed = sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || (has_failed && status == SYNCLINE_ENOMEM), "%ld: %s", n,
                  err.text);
        if (status != SYNCLINE_OK) {
            refused++;
            enum syncline_status opened =
                sl_peer_log_open(&log_, sl_env_posix(), path, SL_DB_WRITE, &err);
            cr_assert(opened == SYNCLINE_EFORMAT || opened == SYNCLINE_ENOTFOUND, "%s", err.text);
        }
    }
    cr_assert_geq(refused, 10);
    OK(sl_peer_log_open(&log_, sl_env_posix(), path, SL_DB_WRITE, &err));
}

/* ---- Origins and segments ---- */

static struct sl_log_head new_origin(uint8_t device)
{
    struct sl_log_head head = {.origin = {.device = {{device}}, .epoch = 5}, .last_hlc = 1};
    memset(head.held_hash, device, SL_HASH_SIZE);
    OK(sl_peer_log_add_origin(&log_, &head, &err));
    cr_assert_gt(head.number, 0);
    return head;
}

static void append(struct sl_log_head *head, uint32_t changes, const char *text)
{
    head->held_seq += changes;
    head->last_hlc += changes;
    memset(head->held_hash, text[0], SL_HASH_SIZE);
    OK(sl_peer_log_append(&log_, head, text, strlen(text), &err));
}

static void assert_segment(int64_t origin, uint64_t seq, const char *text)
{
    bool found = false;
    const uint8_t *data = NULL;
    size_t size = 0;
    OK(sl_peer_log_segment(&log_, origin, seq, &found, &data, &size, &err));
    cr_assert_eq(found, text != NULL, "seq %llu", (unsigned long long)seq);
    if (text != NULL) {
        cr_assert_eq(size, strlen(text));
        cr_assert_eq(memcmp(data, text, size), 0);
    }
}

/* A segment is found by every seq in it and by no other; the head is what the caller made it. */
Test(peer_log, append_and_look_up)
{
    struct sl_log_head a = new_origin(0xa);
    struct sl_log_head b = new_origin(0xb);
    append(&a, 10, "first");
    append(&b, 3, "other");
    append(&a, 1, "second");
    assert_segment(a.number, 1, "first");
    assert_segment(a.number, 10, "first");
    assert_segment(a.number, 11, "second");
    assert_segment(a.number, 12, NULL);
    assert_segment(b.number, 3, "other");
    assert_segment(b.number, 4, NULL);
    assert_segment(99, 1, NULL);
    sl_peer_log_done(&log_);

    struct sl_log_head read;
    bool found = false;
    OK(sl_peer_log_head(&log_, 0, &found, &read, &err));
    cr_assert(found);
    cr_assert_eq(read.number, a.number);
    cr_assert(sl_origin_equal(&read.origin, &a.origin));
    cr_assert_eq(read.held_seq, 11);
    cr_assert_eq(read.last_hlc, 12);
    cr_assert_eq(memcmp(read.held_hash, a.held_hash, SL_HASH_SIZE), 0);
    OK(sl_peer_log_head(&log_, a.number, &found, &read, &err));
    cr_assert(found && read.number == b.number);
    OK(sl_peer_log_head(&log_, b.number, &found, &read, &err));
    cr_assert(!found);
}

/* The hash is known where a segment ends, and nowhere between. */
Test(peer_log, hash_at_the_end_of_a_segment)
{
    struct sl_log_head a = new_origin(0xa);
    append(&a, 10, "first");
    append(&a, 5, "second");
    uint8_t hash[SL_HASH_SIZE];
    bool found = false;
    for (uint64_t seq = 0; seq < 20; seq++) {
        OK(sl_peer_log_hash_at(&log_, a.number, seq, &found, hash, &err));
        cr_assert_eq(found, seq == 10 || seq == 15, "seq %llu", (unsigned long long)seq);
        cr_assert(!found || hash[31] == (seq == 10 ? 'f' : 's'));
    }
    OK(sl_db_exec(&log_.db, "UPDATE segment SET hash=x'00'", &err));
    OK(sl_peer_log_hash_at(&log_, a.number, 10, &found, hash, &err));
    cr_assert(!found);
}

/* What comes after a seq is counted by whole segments, of that origin alone. */
Test(peer_log, size_after)
{
    struct sl_log_head a = new_origin(0xa);
    struct sl_log_head b = new_origin(0xb);
    append(&a, 10, "first");
    append(&b, 3, "other");
    append(&a, 5, "second");
    static const struct {
        uint64_t seq;
        uint64_t bytes;
    } table[] = {{0, 11}, {9, 11}, {10, 6}, {14, 6}, {15, 0}, {99, 0}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint64_t bytes = 77;
        OK(sl_peer_log_size_after(&log_, a.number, table[i].seq, &bytes, &err));
        cr_expect_eq(bytes, table[i].bytes, "after %llu", (unsigned long long)table[i].seq);
    }
}

/* The same origin or end of a segment twice is refused, and an uncommitted append is undone. */
Test(peer_log, appends_are_unique_and_undone)
{
    struct sl_log_head a = new_origin(0xa);
    append(&a, 10, "first");
    FAILS(sl_peer_log_append(&log_, &a, "again", 5, &err), SYNCLINE_EDB, "UNIQUE");
    FAILS(sl_peer_log_add_origin(&log_, &a, &err), SYNCLINE_EDB, "UNIQUE");
    struct sl_log_head moved = a;
    OK(sl_peer_log_begin(&log_, &err));
    append(&moved, 10, "second");
    assert_segment(a.number, 15, "second");
    sl_peer_log_rollback(&log_);
    sl_peer_log_rollback(&log_);
    assert_segment(a.number, 15, NULL);
    struct sl_log_head read;
    bool found = false;
    OK(sl_peer_log_head(&log_, 0, &found, &read, &err));
    cr_assert_eq(read.held_seq, 10);
    sl_peer_log_done(&log_);
    OK(sl_peer_log_begin(&log_, &err));
    append(&a, 10, "third");
    OK(sl_peer_log_commit(&log_, &err));
    sl_peer_log_fini(&log_);
    OK(open_log("sync.db", SL_DB_WRITE));
    assert_segment(a.number, 20, "third");
    sl_peer_log_done(&log_);
    FAILS(sl_peer_log_commit(&log_, &err), SYNCLINE_EDB, "COMMIT");
}

/* An origin whose row is damaged is told, not guessed. */
Test(peer_log, damaged_origin)
{
    struct sl_log_head a = new_origin(0xa);
    bool found = false;
    OK(sl_db_exec(&log_.db, "UPDATE origin SET held_hash=x'0102'", &err));
    FAILS(sl_peer_log_head(&log_, 0, &found, &a, &err), SYNCLINE_ECORRUPT, "origin 1 is damaged");
    OK(sl_db_exec(&log_.db, "UPDATE origin SET held_hash=zeroblob(32), device=x'00'", &err));
    FAILS(sl_peer_log_head(&log_, 0, &found, &a, &err), SYNCLINE_ECORRUPT, "origin 1 is damaged");
}

/* ---- Drained rows, members, records set aside ---- */

/* Of drained rows the newest are kept, and it is known from which one on that is all there were. */
Test(peer_log, drained_are_pruned)
{
    struct sl_drained_look look = {.found = true};
    uint64_t count = 9;
    OK(sl_drained_find(&log_, 1, &look, &err));
    cr_assert(!look.found && look.newest == 0 && look.kept_from == 0);
    OK(sl_drained_count(&log_, &count, &err));
    cr_assert_eq(count, 0);
    for (int64_t id = 1; id <= 10; id++) {
        struct sl_drained drained = {.id = 2 * id,
                                     .token = (uint64_t)id << 60,
                                     .changes = (uint32_t)id,
                                     .complete = id != 10,
                                     .seq = (uint64_t)id + 100};
        OK(sl_drained_put(&log_, &drained, &err));
    }
    OK(sl_drained_find(&log_, 20, &look, &err));
    cr_assert(look.found && look.newest == 20 && look.kept_from == 0);
    cr_assert(look.row.id == 20 && look.row.token == (uint64_t)10 << 60 && look.row.changes == 10 &&
              !look.row.complete && look.row.seq == 110);
    OK(sl_drained_prune(&log_, 10, &err)); /* there are no more */
    OK(sl_drained_find(&log_, 3, &look, &err));
    cr_assert(!look.found && look.newest == 20 && look.kept_from == 2);
    OK(sl_drained_prune(&log_, 4, &err));
    OK(sl_drained_count(&log_, &count, &err));
    cr_assert_eq(count, 4);
    OK(sl_drained_find(&log_, 12, &look, &err));
    cr_assert(!look.found && look.kept_from == 14);
    OK(sl_drained_find(&log_, 14, &look, &err));
    cr_assert(look.found && look.row.complete && look.row.seq == 107);
    OK(sl_drained_prune(&log_, 5, &err)); /* fewer than that: the place stays */
    OK(sl_drained_find(&log_, 12, &look, &err));
    cr_assert(!look.found && look.kept_from == 14);
}

/* The newest drained row counts, one row per id, however often it is written. */
Test(peer_log, drained)
{
    struct sl_drained drained = {.id = 5, .token = UINT64_MAX, .changes = 10, .seq = 10};
    struct sl_drained read;
    bool found = false;
    OK(sl_drained_put(&log_, &drained, &err));
    drained.changes = 20;
    drained.complete = true;
    drained.seq = (uint64_t)INT64_MAX;
    OK(sl_drained_put(&log_, &drained, &err));
    struct sl_drained older = {.id = 4, .token = 1};
    OK(sl_drained_put(&log_, &older, &err));
    OK(sl_drained_newest(&log_, &found, &read, &err));
    cr_assert(found && read.id == 5 && read.token == UINT64_MAX && read.changes == 20);
    cr_assert(read.complete && read.seq == (uint64_t)INT64_MAX);
    cr_assert_eq(query_int(log_.db.handle, "SELECT count(*) FROM drained"), 2);
    OK(sl_drained_remove_above(&log_, 4, &err));
    cr_assert_eq(query_int(log_.db.handle, "SELECT count(*) FROM drained"), 1);
    OK(sl_drained_remove_above(&log_, 3, &err));
    OK(sl_drained_newest(&log_, &found, &read, &err));
    cr_assert(!found);
}

/* Members stay in the order of their admission when what is known of them changes. */
Test(peer_log, members)
{
    struct sl_member first = {
        .device = {{9}}, .public_key = {1, 2}, .name = "one", .standing = SL_STANDING_MEMBER};
    struct sl_member second = {.device = {{1}},
                               .public_key = {3},
                               .name = "two",
                               .introduced_by = {{9}},
                               .standing = SL_STANDING_MEMBER};
    struct sl_member read;
    bool found = false;
    OK(sl_member_put(&log_, &first, &err));
    OK(sl_member_put(&log_, &second, &err));
    (void)snprintf(first.name, sizeof(first.name), "renamed");
    first.acked_seq = 30;
    first.applied_seq = 20;
    first.announced_seq = 40;
    OK(sl_member_put(&log_, &first, &err));
    OK(sl_member_get(&log_, 0, &found, &read, &err));
    cr_assert(found);
    cr_assert(sl_uuid_equal(&read.device, &first.device));
    cr_assert_eq(memcmp(read.public_key, first.public_key, SL_LOG_KEY_SIZE), 0);
    cr_assert_str_eq(read.name, "renamed");
    cr_assert(read.acked_seq == 30 && read.applied_seq == 20 && read.announced_seq == 40);
    OK(sl_member_get(&log_, 1, &found, &read, &err));
    cr_assert(found);
    cr_assert_str_eq(read.name, "two");
    cr_assert(sl_uuid_equal(&read.introduced_by, &first.device));
    OK(sl_member_get(&log_, 2, &found, &read, &err));
    cr_assert(!found);
    struct sl_buf statement;
    sl_buf_init(&statement, &sl_allocator_libc);
    OK(sl_member_statement(&log_, &first.device, &statement, &err));
    cr_assert_eq(statement.len, 0);
    OK(sl_member_put_statement(&log_, &first.device, "stated", 6, &err));
    OK(sl_member_put(&log_, &first, &err)); /* which leaves it alone */
    OK(sl_member_statement(&log_, &first.device, &statement, &err));
    cr_assert_eq(statement.len, 6);
    cr_assert_eq(memcmp(statement.data, "stated", 6), 0);
    sl_buf_fini(&statement);
    first.standing = SL_STANDING_REVOKED; /* it is in the list of those that were, and no other */
    OK(sl_member_put(&log_, &first, &err));
    OK(sl_member_get(&log_, 0, &found, &read, &err));
    cr_assert(found);
    cr_assert_str_eq(read.name, "two");
    OK(sl_member_get_any(&log_, 0, &found, &read, &err));
    cr_assert(found);
    cr_assert_eq(read.standing, SL_STANDING_REVOKED);
    OK(sl_member_get_any(&log_, 1, &found, &read, &err));
    cr_assert(found);
    first.standing = SL_STANDING_MEMBER;
    OK(sl_member_put(&log_, &first, &err));
    OK(sl_db_exec(&log_.db, "UPDATE member SET public_key=x'00' WHERE name='two'", &err));
    FAILS(sl_member_get(&log_, 1, &found, &read, &err), SYNCLINE_ECORRUPT, "member 1 is damaged");
}

/* A change is set aside once; what is said of it later replaces the reason and keeps its place. */
Test(peer_log, set_aside)
{
    struct sl_set_aside record = {.origin = {.device = {{7}}, .epoch = 8},
                                  .seq = 9,
                                  .model = "entry",
                                  .uuid = {{1}},
                                  .reason = "no parent"};
    struct sl_set_aside read;
    uint64_t count = 0;
    bool found = false;
    OK(sl_set_aside_put(&log_, &record, 1000, &err));
    struct sl_set_aside other = record;
    other.seq = 10;
    OK(sl_set_aside_put(&log_, &other, 1001, &err));
    (void)snprintf(record.reason, sizeof(record.reason), "still no parent");
    OK(sl_set_aside_put(&log_, &record, 2000, &err));
    OK(sl_set_aside_count(&log_, &count, &err));
    cr_assert_eq(count, 2);
    OK(sl_set_aside_get(&log_, 0, &found, &read, &err));
    cr_assert(found);
    cr_assert(sl_origin_equal(&read.origin, &record.origin));
    cr_assert_eq(read.seq, 9);
    cr_assert_str_eq(read.model, "entry");
    cr_assert(sl_uuid_equal(&read.uuid, &record.uuid));
    cr_assert_str_eq(read.reason, "still no parent");
    cr_assert_eq(query_int(log_.db.handle, "SELECT at_ms FROM set_aside WHERE seq=9"), 1000);
    OK(sl_set_aside_get(&log_, 1, &found, &read, &err));
    cr_assert(found && read.seq == 10);
    OK(sl_set_aside_get(&log_, 2, &found, &read, &err));
    cr_assert(!found);

    OK(sl_set_aside_remove(&log_, &record.origin, 9, &err));
    OK(sl_set_aside_remove(&log_, &record.origin, 9, &err));
    OK(sl_set_aside_count(&log_, &count, &err));
    cr_assert_eq(count, 1);
    OK(sl_set_aside_get(&log_, 0, &found, &read, &err));
    cr_assert(found && read.seq == 10);

    /* The number of one that was removed is not given again, though it was the greatest. */
    int64_t last = 0;
    int64_t next = 0;
    OK(sl_set_aside_last(&log_, &last, &err));
    OK(sl_set_aside_remove(&log_, &other.origin, other.seq, &err));
    OK(sl_set_aside_put(&log_, &other, 3000, &err));
    OK(sl_set_aside_last(&log_, &next, &err));
    cr_expect_gt(next, last);

    OK(sl_db_exec(&log_.db, "UPDATE set_aside SET uuid='x'", &err));
    FAILS(sl_set_aside_get(&log_, 0, &found, &read, &err), SYNCLINE_ECORRUPT, "damaged");
}

/* Those of a model and a range come by UUID; what could not be sent is none of them. */
Test(peer_log, set_aside_range)
{
    struct sl_set_aside list[3];
    struct syncline_uuid lo = {{2}};
    struct syncline_uuid hi = {{4}};
    size_t len = 0;
    for (uint8_t i = 6; i > 0; i--) {
        struct sl_set_aside record = {.origin = {.device = {{7}}, .epoch = 8},
                                      .seq = i == 3 ? 0 : i,
                                      .model = "entry",
                                      .uuid = {{i}},
                                      .reason = "no"};
        OK(sl_set_aside_put(&log_, &record, 1000, &err));
    }
    OK(sl_set_aside_range(&log_, "entry", &lo, &hi, list, 3, &len, &err));
    cr_assert(len == 2 && list[0].seq == 2 && list[1].uuid.bytes[0] == 4);
    OK(sl_set_aside_range(&log_, "entry", &lo, &hi, list, 1, &len, &err));
    cr_assert_eq(len, 1);
    OK(sl_set_aside_range(&log_, "tag", &lo, &hi, list, 3, &len, &err));
    cr_assert_eq(len, 0);
}

/* Every call passes on that its table is not there, and touches no result. */
Test(peer_log, failures_are_passed_on)
{
    struct sl_log_head head = {.held_seq = 77};
    struct sl_drained drained = {.id = 77};
    struct sl_member member = {.acked_seq = 77};
    struct sl_set_aside aside = {.seq = 77};
    struct sl_library_identity read;
    uint8_t hash[SL_HASH_SIZE];
    const uint8_t *data = NULL;
    size_t size = 77;
    uint64_t count = 77;
    bool found = false;
    OK(sl_db_exec(&log_.db,
                  "DROP TABLE origin; DROP TABLE segment; DROP TABLE drained; DROP TABLE member;"
                  "DROP TABLE set_aside; DROP TABLE meta",
                  &err));
    FAILS(sl_peer_log_head(&log_, 0, &found, &head, &err), SYNCLINE_EDB, "origin");
    FAILS(sl_peer_log_add_origin(&log_, &head, &err), SYNCLINE_EDB, "origin");
    FAILS(sl_peer_log_append(&log_, &head, "x", 1, &err), SYNCLINE_EDB, "segment");
    FAILS(sl_peer_log_segment(&log_, 1, 1, &found, &data, &size, &err), SYNCLINE_EDB, "segment");
    FAILS(sl_peer_log_hash_at(&log_, 1, 1, &found, hash, &err), SYNCLINE_EDB, "segment");
    FAILS(sl_peer_log_size_after(&log_, 1, 1, &count, &err), SYNCLINE_EDB, "segment");
    FAILS(sl_drained_put(&log_, &drained, &err), SYNCLINE_EDB, "drained");
    FAILS(sl_drained_newest(&log_, &found, &drained, &err), SYNCLINE_EDB, "drained");
    FAILS(sl_drained_remove_above(&log_, 1, &err), SYNCLINE_EDB, "drained");
    struct sl_drained_look look = {.newest = 77};
    FAILS(sl_drained_find(&log_, 1, &look, &err), SYNCLINE_EDB, "drained");
    FAILS(sl_drained_count(&log_, &count, &err), SYNCLINE_EDB, "drained");
    FAILS(sl_drained_prune(&log_, 1, &err), SYNCLINE_EDB, "drained");
    cr_assert_eq(look.newest, 77);
    FAILS(sl_member_put(&log_, &member, &err), SYNCLINE_EDB, "member");
    FAILS(sl_member_get(&log_, 0, &found, &member, &err), SYNCLINE_EDB, "member");
    FAILS(sl_set_aside_put(&log_, &aside, 1, &err), SYNCLINE_EDB, "set_aside");
    FAILS(sl_set_aside_remove(&log_, &aside.origin, 1, &err), SYNCLINE_EDB, "set_aside");
    FAILS(sl_set_aside_get(&log_, 0, &found, &aside, &err), SYNCLINE_EDB, "set_aside");
    FAILS(sl_set_aside_count(&log_, &count, &err), SYNCLINE_EDB, "set_aside");
    FAILS(sl_peer_log_identity(&log_, &read, &err), SYNCLINE_EDB, "meta");
    cr_assert(!found && size == 77 && count == 77 && drained.id == 77 && head.held_seq == 77);
}

/* One writes, others only read: a reader is refused every write, a second writer has to wait. */
Test(peer_log, readers_do_not_write)
{
    struct sl_log_head head = new_origin(0xa);
    struct sl_peer_log reader;
    OK(sl_peer_log_open(&reader, sl_env_posix(), in_folder("sync.db"), SL_DB_READ, &err));
    FAILS(sl_peer_log_append(&reader, &head, "x", 1, &err), SYNCLINE_EIO, "readonly");
    FAILS(sl_peer_log_add_origin(&reader, &head, &err), SYNCLINE_EIO, "readonly");
    (void)sqlite3_busy_timeout(reader.db.handle, 0);
    bool found = false;
    struct sl_log_head read;
    OK(sl_peer_log_begin(&log_, &err));
    OK(sl_peer_log_head(&reader, 0, &found, &read, &err)); /* readers do not wait */
    cr_assert(found);
    sl_peer_log_rollback(&log_);
    sl_peer_log_fini(&reader);
}

/* A record that could not be sent is found by its name, and removed by it; one that could not be
 * applied is not. */
Test(peer_log, set_aside_unsent)
{
    const struct sl_origin self = {.device = {{7}}, .epoch = 8};
    struct sl_set_aside record = {
        .origin = self, .seq = 0, .model = "entry", .uuid = {{1}}, .reason = "no parent"};
    struct sl_set_aside received = {
        .origin = self, .seq = 3, .model = "entry", .uuid = {{2}}, .reason = "no parent"};
    uint64_t count = 0;
    bool found = false;
    OK(sl_set_aside_put(&log_, &record, 1000, &err));
    OK(sl_set_aside_put(&log_, &received, 1000, &err));
    OK(sl_set_aside_find(&log_, &self, "entry", &record.uuid, &found, &err));
    cr_expect(found);
    OK(sl_set_aside_find(&log_, &self, "tag", &record.uuid, &found, &err));
    cr_expect(!found);
    OK(sl_set_aside_find(&log_, &self, "entry", &received.uuid, &found, &err));
    cr_expect(!found);
    OK(sl_set_aside_remove_record(&log_, &self, "entry", &received.uuid, &err));
    OK(sl_set_aside_remove_record(&log_, &self, "entry", &record.uuid, &err));
    OK(sl_set_aside_count(&log_, &count, &err));
    cr_expect_eq(count, 1);
}
