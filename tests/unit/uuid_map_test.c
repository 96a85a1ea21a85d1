/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/uuid_map.h"

#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

enum { MODELS = 3, SIZE = 1024 * 1024 };

static struct sl_uuid_map map;
static char path[128];

static void start(void)
{
    set_up();
    (void)snprintf(path, sizeof(path), "%s", in_folder("uuid-map"));
}

static void stop(void)
{
    sl_uuid_map_close(&map);
    tear_down();
}

TestSuite(uuid_map, .init = start, .fini = stop);

static void open_map(void)
{
    sl_uuid_map_open(&map, path, SIZE);
    cr_assert_not_null(map.env);
    cr_assert_eq(map.counts.failures, 0);
}

static struct syncline_uuid uuid_of(uint32_t model, int64_t id)
{
    struct syncline_uuid uuid = {{(uint8_t)model}};
    memcpy(uuid.bytes + 8, &id, sizeof(id));
    return uuid;
}

static void put(uint32_t model, int64_t id, uint64_t now_ms)
{
    struct syncline_uuid uuid = uuid_of(model, id);
    sl_uuid_map_put(&map, model, now_ms, id, &uuid);
    map.write_ms = 0; /* at once */
    sl_uuid_map_write(&map, now_ms);
}

/* Is it there? Then it is right, too. */
static bool has(uint32_t model, int64_t id, uint64_t now_ms)
{
    bool found = false;
    struct syncline_uuid uuid = {{0}};
    sl_uuid_map_get(&map, model, now_ms, &id, 1, &found, &uuid);
    struct syncline_uuid wanted = uuid_of(model, id);
    cr_assert(!found || memcmp(&uuid, &wanted, sizeof(uuid)) == 0);
    return found;
}

/* The path of the map's file. */
static const char *data_path(void)
{
    return in_folder("uuid-map/data.mdb");
}

/* A map that works: empty, and keeps what it is given. */
static void check_works(void)
{
    cr_assert_not_null(map.env);
    for (int64_t id = 1; id <= 3; id++) {
        cr_assert(!has(0, id, 5));
    }
    put(0, 1, 5);
    put(0, 3, 5);
    cr_assert(has(0, 1, 5) && !has(0, 2, 5) && has(0, 3, 5));
}

/* What is put is there, of that model and that id only, whatever the id. */
Test(uuid_map, put_and_get)
{
    const int64_t ids[] = {1, 2, 256, -1, INT64_MIN, INT64_MAX, 0};
    open_map();
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        cr_assert(!has(1, ids[i], 7));
        put(1, ids[i], 7);
        cr_assert(has(1, ids[i], 7));
        cr_assert(!has(0, ids[i], 7) && !has(2, ids[i], 7));
    }
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        cr_assert(has(1, ids[i], 7));
    }
    cr_assert_eq(map.counts.puts, 7);
    cr_assert_eq(map.counts.hits, 14);
    cr_assert_eq(map.counts.misses, 21);
}

/* Many at once; those found already are left as they are and not counted. */
Test(uuid_map, many)
{
    enum { LEN = SL_UUID_MAP_PUTS_MAX };
    int64_t ids[LEN + 1];
    bool found[LEN + 1] = {false};
    struct syncline_uuid uuids[LEN + 1];
    struct syncline_uuid got[LEN + 1];
    memset(got, 0, sizeof(got));
    open_map();
    for (int i = 0; i < LEN + 1; i++) {
        ids[i] = (i * 31) % (LEN + 1) + 1;
        uuids[i] = uuid_of(2, ids[i]);
        sl_uuid_map_put(&map, 2, 0, ids[i], &uuids[i]); /* the last finds no room */
    }
    sl_uuid_map_write(&map, 0);
    found[5] = true;
    sl_uuid_map_get(&map, 2, 0, ids, LEN + 1, found, got);
    for (int i = 0; i < LEN; i++) {
        cr_assert(found[i]);
        cr_assert_eq(memcmp(&got[i], &uuids[i], sizeof(got[i])) == 0, i != 5);
    }
    cr_assert(!found[LEN]);
    cr_assert_eq(map.counts.puts, LEN);
    cr_assert_eq(map.counts.hits, LEN - 1);
    cr_assert_eq(map.counts.misses, 1);
}

/* It is written once in 100 ms; what is put meanwhile comes with the next write, as old as it was
 * when it was put, and of the generation it was put in. */
Test(uuid_map, writes_are_rare)
{
    struct syncline_uuid uuids[] = {uuid_of(0, 1), uuid_of(0, 2), uuid_of(1, 3)};
    open_map();
    sl_uuid_map_put(&map, 0, 1000, 1, &uuids[0]);
    sl_uuid_map_write(&map, 1000);
    cr_assert(has(0, 1, 1000));
    sl_uuid_map_put(&map, 0, 1001, 2, &uuids[1]);
    sl_uuid_map_put(&map, 1, 1050, 3, &uuids[2]);
    sl_uuid_map_write(&map, 1001);
    sl_uuid_map_write(&map, 1000 + SL_UUID_MAP_WRITE_MS_MIN - 1);
    cr_assert(!has(0, 2, 1099) && !has(1, 3, 1099));
    sl_uuid_map_see(&map, 1, 77);
    sl_uuid_map_write(&map, 1000 + SL_UUID_MAP_WRITE_MS_MIN);
    cr_assert(has(0, 2, 1100) && !has(1, 3, 1100));
    cr_assert(has(0, 2, 1001 + SL_UUID_MAP_TTL_MS) && !has(0, 2, 1002 + SL_UUID_MAP_TTL_MS));
    cr_assert_eq(map.counts.puts, 3);
}

/* The bytes of the file, as docs/FORMATS.md has them. */
Test(uuid_map, format)
{
    static const uint8_t key_wanted[12] = {0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 3};
    open_map();
    put(2, 259, 0x1122);
    uint64_t generation = map.models[2].generation;
    sl_uuid_map_close(&map);
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi table = 0;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, path, MDB_NOLOCK | MDB_RDONLY, 0), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &table), 0);
    cr_assert_eq(mdb_cursor_open(txn, table, &cursor), 0);
    cr_assert_eq(mdb_cursor_get(cursor, &key, &data, MDB_FIRST), 0);
    cr_assert(key.mv_size == 12 && memcmp(key.mv_data, key_wanted, 12) == 0);
    struct syncline_uuid uuid = uuid_of(2, 259);
    uint64_t numbers[2];
    cr_assert_eq(data.mv_size, 32);
    cr_assert_eq(memcmp(data.mv_data, &uuid, 16), 0);
    memcpy(numbers, (const uint8_t *)data.mv_data + 16, 16);
    cr_assert(numbers[0] == generation && numbers[1] == 0x1122);
    cr_assert_eq(mdb_cursor_get(cursor, &key, &data, MDB_NEXT), MDB_NOTFOUND);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    struct stat st;
    cr_assert(stat(data_path(), &st) == 0 && (st.st_mode & 077) == 0);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
}

/* An entry is used for 60 s, not longer, and not by a clock that goes back; put again it lives
 * again. */
Test(uuid_map, time_to_live)
{
    open_map();
    put(0, 1, 1000);
    cr_assert(has(0, 1, 1000) && has(0, 1, 1000 + SL_UUID_MAP_TTL_MS));
    cr_assert(!has(0, 1, 1001 + SL_UUID_MAP_TTL_MS) && !has(0, 1, 999));
    put(0, 1, 1001 + SL_UUID_MAP_TTL_MS);
    cr_assert(has(0, 1, 1001 + 2 * SL_UUID_MAP_TTL_MS));
}

/* A delete of a model ends its entries and nobody else's. */
Test(uuid_map, deletes_forget)
{
    open_map();
    for (uint32_t model = 0; model < MODELS; model++) {
        sl_uuid_map_see(&map, model, 10);
        put(model, 1, 0);
    }
    sl_uuid_map_see(&map, 1, 10);
    cr_assert(has(0, 1, 0) && has(1, 1, 0) && has(2, 1, 0));
    sl_uuid_map_see(&map, 1, 11);
    cr_assert(has(0, 1, 0) && !has(1, 1, 0) && has(2, 1, 0));
    put(1, 1, 0);
    cr_assert(has(1, 1, 0));
    cr_assert_eq(map.counts.forgets, 1);
}

/* What an earlier open put is never used, whatever it says: here, wrong UUIDs under numbers of
 * generations that will come again. */
Test(uuid_map, emptied_at_open)
{
    open_map();
    for (int64_t id = 1; id <= 100; id++) {
        struct syncline_uuid wrong = uuid_of(9, 9);
        sl_uuid_map_put(&map, 0, 0, id, &wrong);
    }
    sl_uuid_map_write(&map, 0);
    cr_assert_eq(map.counts.puts, 100);
    uint64_t generation = map.models[0].generation;
    sl_uuid_map_close(&map);
    open_map();
    cr_assert_eq(map.models[0].generation, generation);
    put(0, 1, 0);
    put(0, 100, 0);
    for (int64_t id = 1; id <= 100; id++) {
        cr_assert_eq(has(0, id, 0), id == 1 || id == 100);
    }
}

static void make_folder_of_garbage(void)
{
    char garbage[20000];
    memset(garbage, 0xa5, sizeof(garbage));
    cr_assert_eq(mkdir(path, 0755), 0);
    write_file(data_path(), garbage, sizeof(garbage));
    write_file(in_folder("uuid-map/lock.mdb"), garbage, 100);
}

/* Whatever stands where the map belongs is removed. */
Test(uuid_map, garbage)
{
    make_folder_of_garbage();
    open_map();
    check_works();
}

Test(uuid_map, truncated)
{
    open_map();
    for (int64_t id = 1; id <= 100; id++) {
        put(1, id, 0);
    }
    sl_uuid_map_close(&map);
    struct stat st;
    cr_assert_eq(stat(data_path(), &st), 0);
    for (off_t size = st.st_size - 1; size >= 0; size -= 2047) {
        cr_assert_eq(truncate(data_path(), size), 0);
        open_map();
        check_works();
        sl_uuid_map_close(&map);
    }
    cr_assert_eq(truncate(data_path(), 0), 0);
    open_map();
    check_works();
}

Test(uuid_map, folder_removed)
{
    open_map();
    put(0, 2, 0);
    sl_uuid_map_close(&map);
    cr_assert_eq(unlink(data_path()), 0);
    cr_assert_eq(rmdir(path), 0);
    open_map();
    check_works();
}

Test(uuid_map, folder_is_a_file)
{
    write_file(path, "file", 4);
    open_map();
    check_works();
}

Test(uuid_map, file_is_a_folder)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(mkdir(data_path(), 0700), 0);
    open_map();
    check_works();
}

/* Nobody may write or even look into it: the rights are set right. */
Test(uuid_map, no_rights)
{
    make_folder_of_garbage();
    cr_assert_eq(chmod(data_path(), 0), 0);
    cr_assert_eq(chmod(path, 0555), 0);
    open_map();
    check_works();
    sl_uuid_map_close(&map);
    cr_assert_eq(chmod(path, 0), 0);
    open_map();
    check_works();
}

/* Links are removed, and what they point at is left alone. */
Test(uuid_map, links)
{
    cr_assert_eq(mkdir(in_folder("other"), 0700), 0);
    write_file(in_folder("other/data.mdb"), "precious", 8);
    cr_assert_eq(symlink("other", path), 0);
    open_map();
    check_works();
    sl_uuid_map_close(&map);
    cr_assert_eq(unlink(data_path()), 0);
    cr_assert_eq(symlink(in_folder("other/data.mdb"), data_path()), 0);
    open_map();
    check_works();
    struct stat st;
    cr_assert(stat(in_folder("other/data.mdb"), &st) == 0 && st.st_size == 8);
}

/* Without a map every call does nothing. */
static void check_none(void)
{
    cr_assert_null(map.env);
    put(0, 1, 0);
    sl_uuid_map_see(&map, 0, 1);
    cr_assert(!has(0, 1, 0));
    cr_assert_eq(map.counts.puts + map.counts.hits + map.counts.misses, 0);
}

/* Where none can be made there is none. */
Test(uuid_map, cannot_be_made)
{
    sl_uuid_map_open(&map, NULL, SIZE); /* not wanted at all */
    check_none();
    cr_assert_eq(map.counts.failures, 0);
    sl_uuid_map_close(&map);
    sl_uuid_map_open(&map, in_folder("nowhere/uuid-map"), SIZE);
    check_none();
    cr_assert_eq(map.counts.failures, 1);
    sl_uuid_map_close(&map);
    write_file(in_folder("file"), "", 0);
    sl_uuid_map_open(&map, in_folder("file/uuid-map"), SIZE);
    check_none();
    sl_uuid_map_close(&map);
    cr_assert_eq(mkdir(path, 0700), 0); /* something that nobody can want to lose */
    cr_assert_eq(mkdir(data_path(), 0700), 0);
    write_file(in_folder("uuid-map/data.mdb/precious"), "", 0);
    sl_uuid_map_open(&map, path, SIZE);
    check_none();
    cr_assert_eq(map.counts.failures, 1);
}

/* A path longer than any. */
Test(uuid_map, path_too_long)
{
    static char longer[5000];
    memset(longer, 'x', sizeof(longer) - 1);
    sl_uuid_map_open(&map, longer, SIZE);
    check_none();
    cr_assert_eq(map.counts.failures, 1);
}

/* More address space than there is. */
Test(uuid_map, cannot_be_mapped)
{
    sl_uuid_map_open(&map, path, (size_t)1 << 60);
    check_none();
    cr_assert_eq(map.counts.failures, 1);
}

/* A full map is emptied and goes on, again and again. */
Test(uuid_map, full)
{
    sl_uuid_map_open(&map, path, 65536);
    for (int64_t id = 1; id <= 5000; id++) {
        put(0, id, 0);
        cr_assert(has(0, id, 0), "%d", (int)id);
    }
    cr_assert_geq(map.counts.emptied, 2);
    cr_assert_eq(map.counts.puts, 5000);
    cr_assert_eq(map.counts.failures, 0);
    struct stat st;
    cr_assert(stat(data_path(), &st) == 0 && st.st_size <= 65536);
}

/* What is more than the whole map holds is not put. */
Test(uuid_map, smaller_than_one_write)
{
    sl_uuid_map_open(&map, path, 5 * 4096);
    cr_assert_not_null(map.env);
    for (int64_t id = 1; id <= SL_UUID_MAP_PUTS_MAX; id++) {
        struct syncline_uuid uuid = uuid_of(0, id);
        sl_uuid_map_put(&map, 0, 0, id, &uuid);
    }
    sl_uuid_map_write(&map, 0);
    cr_assert(!has(0, 1, 0));
    cr_assert(map.env != NULL && map.counts.puts == 0 && map.counts.emptied == 1);
    put(0, 1, 0);
    cr_assert(has(0, 1, 0));
}

/* It was full, and then there cannot be a new one. */
Test(uuid_map, full_and_gone)
{
    sl_uuid_map_open(&map, path, 65536);
    put(0, 1, 0);
    cr_assert_eq(unlink(data_path()), 0);
    cr_assert_eq(mkdir(data_path(), 0700), 0);
    write_file(in_folder("uuid-map/data.mdb/precious"), "", 0);
    for (int64_t id = 2; id <= 5000 && map.env != NULL; id++) {
        put(0, id, 0);
    }
    cr_assert(map.env == NULL && map.counts.failures == 1);
    put(0, 1, 0);
    cr_assert(!has(0, 1, 0));
}

/* A disk that takes no more: the map is given up. */
Test(uuid_map, cannot_be_written)
{
    open_map();
    put(0, 1, 0);
    struct stat st;
    cr_assert_eq(stat(data_path(), &st), 0);
    struct rlimit limit = {.rlim_cur = (rlim_t)st.st_size, .rlim_max = RLIM_INFINITY};
    cr_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int64_t id = 2; id <= 1000 && map.env != NULL; id++) {
        put(0, id, 0);
        cr_assert(map.env == NULL || has(0, id, 0));
    }
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert(map.env == NULL && map.counts.failures == 1);
    put(0, 1, 0);
    cr_assert(!has(0, 1, 0));
}

/* Pages overwritten while it is open are noticed when they are read: the map is given up. */
Test(uuid_map, overwritten)
{
    open_map();
    put(0, 1, 0);
    struct stat st;
    cr_assert_eq(stat(data_path(), &st), 0);
    FILE *file = fopen(data_path(), "r+b");
    cr_assert(file != NULL && fseek(file, 2 * (long)sysconf(_SC_PAGESIZE), SEEK_SET) == 0);
    for (long at = ftell(file); at < st.st_size; at++) {
        cr_assert_neq(fputc(0, file), EOF);
    }
    cr_assert_eq(fclose(file), 0);
    cr_assert(!has(0, 1, 0));
    cr_assert(map.env == NULL && map.counts.failures == 1);
}

/* Whichever allocation fails, there is a map or there is none, and nothing leaks. */
Test(uuid_map, no_memory)
{
    bool failed = SL_MALLOC_CAN_FAIL != 0;
    for (long n = 1; failed; n++) {
        (void)sl_malloc_fail_at(n);
        sl_uuid_map_open(&map, path, SIZE);
        put(0, 1, 0);
        (void)has(0, 1, 0);
        failed = sl_malloc_fail_at(0);
        cr_assert_eq(map.env == NULL, map.counts.failures == 1);
        sl_uuid_map_close(&map);
    }
    sl_uuid_map_close(&map); /* and once more */
}

/* Two of them at once, as two libraries have. */
Test(uuid_map, two)
{
    struct sl_uuid_map other;
    open_map();
    sl_uuid_map_open(&other, in_folder("other-map"), SIZE);
    cr_assert_not_null(other.env);
    put(0, 1, 0);
    const int64_t id = 1;
    bool found = false;
    struct syncline_uuid uuid;
    sl_uuid_map_get(&other, 0, 0, &id, 1, &found, &uuid);
    cr_assert(!found);
    sl_uuid_map_close(&other);
    cr_assert(has(0, 1, 0));
}
