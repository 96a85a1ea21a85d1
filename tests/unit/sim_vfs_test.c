/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The simulated disk is not part of the library: its source is compiled into this test. */

#include "tests/sim/sim_content.c"
#include "tests/sim/sim_random.c"
#include "tests/sim/sim_vfs.c"

#include <criterion/criterion.h>
#include <stdio.h>

struct test_world {
    uint64_t now_us;
    uint64_t seed;
    struct sl_sim_disk *disk;
};

static struct test_world world;

static uint64_t test_wall_ms(void *ctx)
{
    (void)ctx;
    return 1767225600000u + world.now_us / 1000;
}

static void test_sleep_us(void *ctx, uint64_t us)
{
    (void)ctx;
    world.now_us += us;
}

static void test_random(void *ctx, void *out, size_t size)
{
    (void)ctx;
    struct sl_sim_random random;
    sl_sim_random_init(&random, world.seed, 0);
    sl_sim_random_fill(&random, out, size);
}

static void setup(void)
{
    world = (struct test_world){.seed = 1};
    struct sl_sim_disk_world around = {
        .wall_ms = test_wall_ms, .sleep_us = test_sleep_us, .random = test_random};
    world.disk = sl_sim_disk_new(&around);
    cr_assert(world.disk != NULL);
}

static void teardown(void)
{
    cr_assert_eq(sl_sim_disk_handle_count(world.disk), 0);
    sl_sim_disk_free(world.disk);
}

TestSuite(sim_vfs, .init = setup, .fini = teardown);

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                 SQLITE_OK, "%s", sqlite3_errmsg(db));
    return db;
}

static void run(sqlite3 *db, const char *sql)
{
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
}

static int try_run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* The first column of the first row; "" for none. Static, till the next call. */
static const char *text_of(sqlite3 *db, const char *sql)
{
    static char text[256];
    sqlite3_stmt *stmt;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    text[0] = '\0';
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        const unsigned char *value = sqlite3_column_text(stmt, 0);
        snprintf(text, sizeof(text), "%s", value != NULL ? (const char *)value : "");
    }
    sqlite3_finalize(stmt);
    return text;
}

static sqlite3 *open_wal(const char *path, const char *synchronous)
{
    sqlite3 *db = open_db(path);
    char sql[64];
    cr_assert_str_eq(text_of(db, "PRAGMA journal_mode=WAL"), "wal");
    snprintf(sql, sizeof(sql), "PRAGMA synchronous=%s", synchronous);
    run(db, sql);
    return db;
}

/* WAL is WAL, also for the next connection, and writes to a -wal file. */
Test(sim_vfs, journal_mode_is_really_wal)
{
    sqlite3 *db = open_wal("/d0/a.db", "FULL");
    run(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    cr_assert_gt(sl_sim_disk_size(world.disk, "/d0/a.db-wal", false), 32);
    sqlite3 *other = open_db("/d0/a.db");
    cr_assert_str_eq(text_of(other, "PRAGMA journal_mode"), "wal");
    cr_assert_str_eq(text_of(other, "SELECT x FROM t"), "1");
    sqlite3_close(other);
    sqlite3_close(db);
    cr_assert_eq(sl_sim_disk_size(world.disk, "/d0/a.db-wal", false), -1, "removed at last close");
    db = open_db("d0/a.db"); /* the same file: a path without / begins at the root */
    cr_assert_str_eq(text_of(db, "PRAGMA journal_mode"), "wal");
    sqlite3_close(db);
}

/* In WAL a reader keeps its snapshot, sees commits afterwards, and there is one writer. */
Test(sim_vfs, wal_connections_are_isolated)
{
    sqlite3 *a = open_wal("/d0/a.db", "NORMAL");
    sqlite3 *b = open_db("/d0/a.db");
    run(a, "CREATE TABLE t(x)");
    run(b, "BEGIN; SELECT * FROM t");
    run(a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1)");
    sqlite3 *c = open_db("/d0/a.db");
    cr_assert_eq(try_run(c, "BEGIN IMMEDIATE"), SQLITE_BUSY);
    run(a, "COMMIT");
    cr_assert_str_eq(text_of(b, "SELECT count(*) FROM t"), "0");
    cr_assert_str_eq(text_of(a, "PRAGMA wal_checkpoint(TRUNCATE)"), "1",
                     "the reader holds it back");
    run(b, "COMMIT");
    cr_assert_str_eq(text_of(b, "SELECT count(*) FROM t"), "1");
    cr_assert_str_eq(text_of(a, "PRAGMA wal_checkpoint(TRUNCATE)"), "0");
    cr_assert_eq(sl_sim_disk_size(world.disk, "/d0/a.db-wal", false), 0);
    run(c, "BEGIN IMMEDIATE; ROLLBACK");
    sqlite3_close(a);
    sqlite3_close(b);
    sqlite3_close(c);
}

/* Waiting for a lock takes virtual time only, and all of it. */
Test(sim_vfs, busy_timeout_moves_the_virtual_clock)
{
    sqlite3 *a = open_wal("/d0/a.db", "NORMAL");
    sqlite3 *b = open_db("/d0/a.db");
    sqlite3_busy_timeout(b, 5000);
    run(a, "BEGIN IMMEDIATE");
    cr_assert_eq(try_run(b, "BEGIN IMMEDIATE"), SQLITE_BUSY);
    cr_assert_geq(world.now_us, 4900000u);
    sqlite3_close(a);
    sqlite3_close(b);
}

/* With a rollback journal the file locks decide: readers keep a commit back, and a writer that
 * waits keeps new readers out. */
Test(sim_vfs, file_locks_between_connections)
{
    sqlite3 *a = open_db("/d0/a.db");
    sqlite3 *b = open_db("/d0/a.db");
    sqlite3 *c = open_db("/d0/a.db");
    run(a, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    run(b, "BEGIN; SELECT * FROM t");
    run(a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(2)");
    cr_assert_eq(try_run(c, "BEGIN IMMEDIATE"), SQLITE_BUSY, "RESERVED is held");
    cr_assert_eq(try_run(a, "COMMIT"), SQLITE_BUSY, "a reader is there");
    cr_assert_eq(try_run(c, "SELECT * FROM t"), SQLITE_BUSY, "PENDING keeps new readers out");
    run(b, "COMMIT");
    run(a, "COMMIT");
    cr_assert_str_eq(text_of(c, "SELECT count(*) FROM t"), "2");
    run(a, "BEGIN EXCLUSIVE");
    cr_assert_eq(try_run(c, "SELECT * FROM t"), SQLITE_BUSY);
    run(a, "ROLLBACK");
    sqlite3_close(a);
    sqlite3_close(b);
    sqlite3_close(c);
    cr_assert_eq(sl_sim_disk_size(world.disk, "/d0/a.db-journal", false), -1);
}

/* Sorters and temporary tables use nameless files, which are gone when they are closed. */
Test(sim_vfs, nameless_files_are_deleted_on_close)
{
    sqlite3 *db = open_db("/d0/a.db");
    run(db, "PRAGMA temp_store=FILE; PRAGMA temp.cache_size=2; CREATE TEMP TABLE t(x);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000)"
            "INSERT INTO t SELECT randomblob(100) FROM n;"
            "CREATE INDEX temp.i ON t(x)");
    cr_assert_gt(sl_sim_disk_handle_count(world.disk), 1);
    sqlite3_close(db);
    cr_assert_eq(sl_sim_disk_file_count(world.disk), 1);
}

/* FULL in WAL is durable at the commit; NORMAL may lose commits, but nothing breaks. */
Test(sim_vfs, power_cut_keeps_what_was_synced)
{
    sqlite3 *full = open_wal("/d0/full.db", "FULL");
    sqlite3 *normal = open_wal("/d0/normal.db", "NORMAL");
    run(full, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    run(normal, "CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA wal_checkpoint;"
                "INSERT INTO t VALUES(2)");
    sl_sim_disk_power_cut(world.disk, "/d0/");
    cr_assert_eq(try_run(full, "INSERT INTO t VALUES(9)") & 0xff, SQLITE_IOERR);
    sqlite3_close(full);
    sqlite3_close(normal);
    full = open_db("/d0/full.db");
    normal = open_db("/d0/normal.db");
    cr_assert_str_eq(text_of(full, "SELECT count(*) FROM t"), "1");
    cr_assert_str_eq(text_of(normal, "SELECT count(*) FROM t"), "1", "the second was not synced");
    cr_assert_str_eq(text_of(normal, "PRAGMA integrity_check"), "ok");
    sqlite3_close(full);
    sqlite3_close(normal);
}

/* A dead process leaves its commits, synced or not, and no lock; its transaction is gone. */
Test(sim_vfs, kill_keeps_commits_and_frees_locks)
{
    sqlite3 *dead = open_wal("/d0/a.db", "OFF");
    sqlite3 *far = open_wal("/d1/a.db", "OFF");
    run(dead, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    run(dead, "BEGIN IMMEDIATE; INSERT INTO t VALUES(2)");
    sl_sim_disk_kill(world.disk, "/d0/");
    sqlite3 *next = open_db("/d0/a.db");
    run(next, "INSERT INTO t VALUES(3)");
    cr_assert_str_eq(text_of(next, "SELECT group_concat(x) FROM t"), "1,3");
    sqlite3_close(dead);
    cr_assert_str_eq(text_of(next, "SELECT group_concat(x) FROM t"), "1,3");
    run(far, "CREATE TABLE t(x)"); /* another device did not notice */
    sqlite3_close(next);
    sqlite3_close(far);
}

/* A name is durable once its directory was synced, and so is its absence. */
Test(sim_vfs, names_are_durable_by_directory_sync)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(SL_SIM_VFS_NAME);
    struct file file;
    int there;
    const int flags = SQLITE_OPEN_CREATE | SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_DB;
    cr_assert_eq(vfs->xOpen(vfs, "/d0/none", &file.base, SQLITE_OPEN_READWRITE, NULL),
                 SQLITE_CANTOPEN);
    cr_assert_eq(vfs->xOpen(vfs, "/d0/f", &file.base, flags, NULL), SQLITE_OK);
    vfs->xAccess(vfs, "/d0/f", SQLITE_ACCESS_EXISTS, &there);
    cr_assert_not(there, "an empty file does not exist");
    file.base.pMethods->xWrite(&file.base, "abc", 3, 0);
    vfs->xAccess(vfs, "/d0/f", SQLITE_ACCESS_EXISTS, &there);
    cr_assert(there);
    cr_assert_eq(sl_sim_disk_size(world.disk, "/d0/f", true), -1);
    file.base.pMethods->xSync(&file.base, SQLITE_SYNC_NORMAL);
    cr_assert_eq(sl_sim_disk_size(world.disk, "/d0/f", true), 3);
    struct file twin;
    cr_assert_eq(vfs->xOpen(vfs, "/d0/f", &twin.base, flags | SQLITE_OPEN_EXCLUSIVE, NULL),
                 SQLITE_CANTOPEN);
    file.base.pMethods->xClose(&file.base);
    cr_assert_eq(vfs->xDelete(vfs, "/d0/f", 0), SQLITE_OK);
    cr_assert_eq(vfs->xDelete(vfs, "/d0/f", 0), SQLITE_IOERR_DELETE_NOENT);
    cr_assert_eq(sl_sim_disk_file_count(world.disk), 0);
    sl_sim_disk_power_cut(world.disk, "/d0/");
    cr_assert_eq(sl_sim_disk_size(world.disk, "/d0/f", false), 3, "the delete was not durable");
    cr_assert_eq(vfs->xDelete(vfs, "/d0/f", 1), SQLITE_OK);
    sl_sim_disk_power_cut(world.disk, "/d0/");
    cr_assert_eq(sl_sim_disk_file_count(world.disk), 0);
}

#define IMAGE_SIZE (5u * SL_SIM_SECTOR_SIZE)

/* Whatever is written, cut and synced: a read gives what is seen, a power cut what was synced. */
Test(sim_vfs, both_images_match_a_plain_model)
{
    static uint8_t seen[IMAGE_SIZE], synced[IMAGE_SIZE], data[IMAGE_SIZE];
    size_t seen_size = 0, synced_size = 0;
    sqlite3_vfs *vfs = sqlite3_vfs_find(SL_SIM_VFS_NAME);
    const int flags = SQLITE_OPEN_CREATE | SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_DB;
    struct file file;
    cr_assert_eq(vfs->xOpen(vfs, "/d0/f", &file.base, flags, NULL), SQLITE_OK);
    file.base.pMethods->xSync(&file.base, SQLITE_SYNC_NORMAL);
    struct sl_sim_random random;
    sl_sim_random_init(&random, 7, 0);
    for (int round = 0; round < 3000; round++) {
        const sqlite3_io_methods *io = file.base.pMethods;
        uint64_t what = sl_sim_random_below(&random, 100);
        size_t at = sl_sim_random_below(&random, IMAGE_SIZE);
        if (what < 60) {
            size_t size = sl_sim_random_range(&random, 1, IMAGE_SIZE - at);
            sl_sim_random_fill(&random, data, size);
            cr_assert_eq(io->xWrite(&file.base, data, (int)size, (sqlite3_int64)at), SQLITE_OK);
            memcpy(seen + at, data, size);
            seen_size = at + size > seen_size ? at + size : seen_size;
        } else if (what < 75) {
            cr_assert_eq(io->xTruncate(&file.base, (sqlite3_int64)at), SQLITE_OK);
            memset(seen + at, 0, IMAGE_SIZE - at);
            seen_size = at;
        } else if (what < 90) {
            cr_assert_eq(io->xSync(&file.base, SQLITE_SYNC_NORMAL), SQLITE_OK);
            memcpy(synced, seen, IMAGE_SIZE);
            synced_size = seen_size;
        } else {
            sl_sim_disk_power_cut(world.disk, "/d0/");
            cr_assert_eq(io->xWrite(&file.base, "x", 1, 0), SQLITE_IOERR_WRITE);
            io->xClose(&file.base);
            memcpy(seen, synced, IMAGE_SIZE);
            seen_size = synced_size;
            cr_assert_eq(vfs->xOpen(vfs, "/d0/f", &file.base, flags, NULL), SQLITE_OK);
            io = file.base.pMethods;
        }
        sqlite3_int64 size;
        io->xFileSize(&file.base, &size);
        cr_assert_eq((size_t)size, seen_size);
        int rc = io->xRead(&file.base, data, IMAGE_SIZE, 0);
        cr_assert_eq(rc, seen_size < IMAGE_SIZE ? SQLITE_IOERR_SHORT_READ : SQLITE_OK);
        cr_assert_eq(memcmp(data, seen, IMAGE_SIZE), 0, "round %d", round);
        cr_assert_eq(sl_sim_disk_size(world.disk, "/d0/f", true), (int64_t)synced_size);
    }
    file.base.pMethods->xClose(&file.base);
}

/* Shared memory is one for all handles; its locks are shared by many or held by one, and go with
 * the handle; its content goes with the last. */
Test(sim_vfs, shared_memory_and_its_locks)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(SL_SIM_VFS_NAME);
    const int flags = SQLITE_OPEN_CREATE | SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_DB;
    struct file a, b;
    vfs->xOpen(vfs, "/d0/f", &a.base, flags, NULL);
    vfs->xOpen(vfs, "/d0/f", &b.base, flags, NULL);
    const sqlite3_io_methods *io = a.base.pMethods;
    void volatile *region_a = NULL;
    void volatile *region_b = NULL;
    cr_assert_eq(io->xShmMap(&b.base, 0, 32768, 0, &region_b), SQLITE_OK);
    cr_assert(region_b == NULL, "nobody made it");
    cr_assert_eq(io->xShmMap(&a.base, 1, 32768, 1, &region_a), SQLITE_OK);
    cr_assert_eq(io->xShmMap(&b.base, 1, 32768, 0, &region_b), SQLITE_OK);
    cr_assert(region_a != NULL && region_a == region_b);
    *(volatile char *)region_a = 'x';
    const int lock_shared = SQLITE_SHM_LOCK | SQLITE_SHM_SHARED;
    const int lock_exclusive = SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE;
    cr_assert_eq(io->xShmLock(&a.base, 3, 1, lock_shared), SQLITE_OK);
    cr_assert_eq(io->xShmLock(&b.base, 3, 1, lock_shared), SQLITE_OK);
    cr_assert_eq(io->xShmLock(&b.base, 0, 8, lock_exclusive), SQLITE_BUSY, "a shares slot 3");
    cr_assert_eq(io->xShmLock(&b.base, 0, 3, lock_exclusive), SQLITE_OK);
    cr_assert_eq(io->xShmLock(&a.base, 2, 1, lock_shared), SQLITE_BUSY);
    cr_assert_eq(io->xShmLock(&a.base, 2, 1, lock_exclusive), SQLITE_BUSY);
    cr_assert_eq(io->xShmLock(&b.base, 0, 3, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE), SQLITE_OK);
    cr_assert_eq(io->xShmLock(&a.base, 2, 1, lock_exclusive), SQLITE_OK);
    cr_assert_eq(io->xShmUnmap(&a.base, 0), SQLITE_OK);
    cr_assert_eq(io->xShmLock(&b.base, 0, 8, lock_exclusive), SQLITE_OK, "a's locks are gone");
    cr_assert_eq(*(volatile char *)region_b, 'x');
    cr_assert_eq(io->xShmUnmap(&b.base, 1), SQLITE_OK);
    cr_assert_eq(io->xShmLock(&b.base, 0, 1, lock_shared), SQLITE_IOERR_SHMLOCK, "not mapped");
    cr_assert_eq(io->xShmMap(&b.base, 0, 32768, 1, &region_b), SQLITE_OK);
    cr_assert_eq(*(volatile char *)region_b, 0);
    io->xClose(&a.base);
    io->xClose(&b.base);
}

/* SQLite's randomness comes from the seed, its clock from the world. */
Test(sim_vfs, randomness_and_time_come_from_the_world)
{
    char first[256];
    sqlite3_randomness(0, NULL);
    sqlite3 *db = open_db("/d0/a.db");
    snprintf(first, sizeof(first), "%s", text_of(db, "SELECT hex(randomblob(16))"));
    sqlite3_randomness(0, NULL);
    cr_assert_str_eq(text_of(db, "SELECT hex(randomblob(16))"), first);
    world.seed = 2;
    sqlite3_randomness(0, NULL);
    cr_assert_str_neq(text_of(db, "SELECT hex(randomblob(16))"), first);
    cr_assert_str_eq(text_of(db, "SELECT datetime('now')"), "2026-01-01 00:00:00");
    world.now_us += 3661000000u;
    cr_assert_str_eq(text_of(db, "SELECT datetime('now')"), "2026-01-01 01:01:01");
    sqlite3_close(db);
}

static enum sl_sim_disk_op doomed_op;
static enum sl_sim_disk_fate doomed_fate;

static enum sl_sim_disk_fate doom(void *ctx, enum sl_sim_disk_op op, const char *path)
{
    (void)ctx;
    (void)path;
    return op == doomed_op ? doomed_fate : SL_SIM_DISK_FINE;
}

/* An operation that is to fail does, as SQLite knows it, and the file stays as it was. */
Test(sim_vfs, operations_fail_as_told)
{
    world.disk->world.fate = doom;
    sqlite3 *db = open_db("/d0/a.db");
    cr_assert_eq(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    static const struct {
        enum sl_sim_disk_op op;
        enum sl_sim_disk_fate fate;
        int code;
    } cases[] = {{SL_SIM_DISK_WRITE, SL_SIM_DISK_FULL, SQLITE_FULL},
                 {SL_SIM_DISK_WRITE, SL_SIM_DISK_ERROR, SQLITE_IOERR_WRITE},
                 {SL_SIM_DISK_SYNC, SL_SIM_DISK_FULL, SQLITE_IOERR_FSYNC},
                 {SL_SIM_DISK_SYNC, SL_SIM_DISK_ERROR, SQLITE_IOERR_FSYNC}};
    sqlite3_extended_result_codes(db, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        doomed_op = cases[i].op;
        doomed_fate = cases[i].fate;
        cr_expect_eq(sqlite3_exec(db, "INSERT INTO t VALUES(1)", NULL, NULL, NULL), cases[i].code,
                     "case %zu: %s", i, sqlite3_errmsg(db));
        doomed_op = 0;
        cr_expect_str_eq(text_of(db, "SELECT count(*) FROM t"), "0");
    }
    cr_expect_eq(sqlite3_exec(db, "INSERT INTO t VALUES(1)", NULL, NULL, NULL), SQLITE_OK);
    doomed_op = SL_SIM_DISK_OPEN;
    doomed_fate = SL_SIM_DISK_ERROR;
    sqlite3 *other = NULL;
    cr_expect_eq(sqlite3_open("/d0/a.db", &other), SQLITE_CANTOPEN);
    (void)sqlite3_close(other);
    sqlite3_close(db);
}

/* What a power cut leaves of a file, byte by byte: a byte that was not written since the last sync
 * is as it was, and one that was is as written, as before, or - seldom - something else. All
 * outcomes occur; and the file then stays as it is. */
Test(sim_vfs, tearing_touches_only_what_was_written)
{
    enum { SECTORS = 8, SIZE = SECTORS * (int)SL_SIM_SECTOR_SIZE };
    static uint8_t before[SIZE];
    static uint8_t after[SIZE];
    unsigned as_written = 0;
    unsigned as_before = 0;
    unsigned torn = 0;
    unsigned garbage = 0;
    struct sl_sim_random random;
    sl_sim_random_init(&random, 7, 0);
    for (unsigned round = 0; round < 100; round++) {
        struct sl_sim_content content = {0};
        memset(before, 'a', SIZE);
        cr_assert(sl_sim_content_write(&content, before, SIZE, 0));
        sl_sim_content_sync(&content);
        for (size_t s = 0; s < SECTORS; s++) { /* the second half of each, twice */
            memset(after, 'b', SL_SIM_SECTOR_SIZE / 2);
            cr_assert(sl_sim_content_write(&content, after, SL_SIM_SECTOR_SIZE / 2,
                                           s * SL_SIM_SECTOR_SIZE + SL_SIM_SECTOR_SIZE / 2));
        }
        cr_assert(sl_sim_content_tear(&content, &random));
        sl_sim_content_read(&content, after, SIZE, 0);
        cr_assert_eq(content.size, (uint64_t)SIZE);
        for (size_t s = 0; s < SECTORS; s++) {
            const uint8_t *sector = after + s * SL_SIM_SECTOR_SIZE;
            size_t written = 0;
            size_t old = 0;
            for (size_t i = 0; i < SL_SIM_SECTOR_SIZE; i++) {
                cr_assert(i >= SL_SIM_SECTOR_SIZE / 2 || sector[i] == 'a');
                written += sector[i] == 'b' ? 1 : 0;
                old += i >= SL_SIM_SECTOR_SIZE / 2 && sector[i] == 'a' ? 1 : 0;
            }
            as_written += written == SL_SIM_SECTOR_SIZE / 2 ? 1 : 0;
            as_before += old == SL_SIM_SECTOR_SIZE / 2 ? 1 : 0;
            bool is_mixed = written + old == SL_SIM_SECTOR_SIZE / 2 && written > 0 && old > 0;
            torn += is_mixed ? 1 : 0;
            garbage += written + old < SL_SIM_SECTOR_SIZE / 2 ? 1 : 0;
        }
        sl_sim_content_revert(&content); /* it is durable: nothing is left to lose */
        sl_sim_content_read(&content, before, SIZE, 0);
        cr_assert_arr_eq(before, after, SIZE);
        sl_sim_content_fini(&content);
    }
    cr_expect(as_written > 50 && as_before > 50 && torn > 20 && garbage > 50,
              "written %u, before %u, torn %u, garbage %u", as_written, as_before, torn, garbage);
}

/* A database whose commits were synced has them after a power cut that tears what was not, however
 * it tears; what was not synced is there from the first commit on, without a gap. */
Test(sim_vfs, databases_survive_tearing)
{
    struct sl_sim_random random;
    sl_sim_random_init(&random, 11, 0);
    unsigned shorter = 0;
    for (unsigned round = 0; round < 60; round++) {
        char path[32];
        snprintf(path, sizeof(path), "/d0/%u.db", round);
        sqlite3 *db = open_db(path);
        cr_assert_eq(sqlite3_exec(db,
                                  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                  "CREATE TABLE t(x INTEGER PRIMARY KEY, y);"
                                  "INSERT INTO t VALUES(1,randomblob(3000));"
                                  "INSERT INTO t VALUES(2,randomblob(3000));"
                                  "PRAGMA synchronous=NORMAL",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
        for (int i = 0; i < 5; i++) {
            cr_assert_eq(
                sqlite3_exec(db, "INSERT INTO t(y) VALUES(randomblob(3000))", NULL, NULL, NULL),
                SQLITE_OK);
        }
        sl_sim_disk_power_tear(world.disk, "/d0/", &random);
        sqlite3_close(db);
        db = open_db(path);
        cr_assert_str_eq(text_of(db, "PRAGMA integrity_check"), "ok", "round %u", round);
        int rows = atoi(text_of(db, "SELECT count(*) FROM t"));
        cr_assert(rows >= 2 && rows <= 7, "round %u: %d rows", round, rows);
        cr_assert_eq(atoi(text_of(db, "SELECT max(x) FROM t")), rows, "round %u", round);
        shorter += rows < 7 ? 1 : 0;
        sqlite3_close(db);
    }
    cr_expect_gt(shorter, 10);
}

/* The process that uses a file may die in the middle of an operation on it. */
static enum sl_sim_disk_fate die_at_write(void *ctx, enum sl_sim_disk_op op, const char *path)
{
    (void)ctx;
    (void)path;
    if (op != SL_SIM_DISK_WRITE) {
        return SL_SIM_DISK_FINE;
    }
    sl_sim_disk_kill(world.disk, "/d0/");
    return SL_SIM_DISK_ERROR;
}

Test(sim_vfs, a_process_dies_in_a_write)
{
    sqlite3 *db = open_db("/d0/a.db");
    cr_assert_eq(sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)", NULL, NULL, NULL),
                 SQLITE_OK);
    world.disk->world.fate = die_at_write;
    cr_expect_neq(sqlite3_exec(db, "INSERT INTO t VALUES(1)", NULL, NULL, NULL), SQLITE_OK);
    world.disk->world.fate = NULL;
    cr_expect_neq(sqlite3_exec(db, "INSERT INTO t VALUES(1)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    db = open_db("/d0/a.db");
    cr_expect_str_eq(text_of(db, "SELECT count(*) FROM t"), "0");
    sqlite3_close(db);
}
