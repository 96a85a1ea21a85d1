/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/library_db.h"

#include "base/bytes.h"
#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

TestSuite(library_db, .init = set_up, .fini = tear_down);

static const struct syncline_uuid library_id = {{0x11, 0x22}};
static const struct syncline_uuid other_id = {{0x33}};
static struct sl_library_db ldb;

static void open_new(void)
{
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
}

static void create_new(void)
{
    open_new();
    OK(sl_library_db_create(&ldb, &library_id, &err));
}

/* ---- Making and checking ---- */

/* An empty file is put into WAL mode; tables in WAL mode are left alone; then the check holds. */
Test(library_db, create_and_check)
{
    create_new();
    OK(sl_library_db_check(&ldb, &library_id, &err));
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM sqlite_schema WHERE type='table'"
                                          " AND name LIKE '\\_syncline\\_%' ESCAPE '\\'"),
                 14);
    FAILS(sl_library_db_create(&ldb, &library_id, &err), SYNCLINE_EEXIST, "take another directory");
    sl_library_db_fini(&ldb);

    sql_on(in_folder("mine.db"), "PRAGMA journal_mode=WAL; CREATE TABLE mine(x);"
                                 "INSERT INTO mine VALUES(5)");
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("mine.db"), SL_DB_WRITE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
    cr_assert_eq(query_int(ldb.db.handle, "SELECT x FROM mine"), 5);
    sl_library_db_fini(&ldb);
}

/* A database of the application that is not in WAL mode is refused, and not changed. */
Test(library_db, not_in_wal_mode)
{
    sql_on(in_folder("library.db"), "CREATE TABLE mine(x)");
    open_new();
    FAILS(sl_library_db_create(&ldb, &library_id, &err), SYNCLINE_EFORMAT,
          "journal mode 'delete', and must be in WAL mode: run 'PRAGMA journal_mode=WAL'");
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM sqlite_schema"), 1);
    FAILS(sl_library_db_check(&ldb, &library_id, &err), SYNCLINE_EFORMAT, "WAL mode");
    sl_library_db_fini(&ldb);
}

/* No tables, a newer format, another library: each is told from the others. */
Test(library_db, check_refuses)
{
    sql_on(in_folder("library.db"), "PRAGMA journal_mode=WAL; CREATE TABLE mine(x)");
    open_new();
    FAILS(sl_library_db_check(&ldb, &library_id, &err), SYNCLINE_ENOTFOUND, "no Syncline tables");
    OK(sl_library_db_create(&ldb, &library_id, &err));
    FAILS(sl_library_db_check(&ldb, &other_id, &err), SYNCLINE_ECORRUPT, "different libraries");
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_meta SET value=2 WHERE key='format'", &err));
    FAILS(sl_library_db_check(&ldb, &library_id, &err), SYNCLINE_EFORMAT,
          "format 2, this program knows format 1: upgrade it");
    OK(sl_db_exec(&ldb.db, "DELETE FROM _syncline_meta WHERE key='format'", &err));
    FAILS(sl_library_db_check(&ldb, &library_id, &err), SYNCLINE_EFORMAT, "format 0");
    OK(sl_db_exec(&ldb.db, "INSERT INTO _syncline_meta VALUES('format',1)", &err));
    OK(sl_db_exec(&ldb.db, "UPDATE _syncline_meta SET value='x' WHERE key='library_id'", &err));
    FAILS(sl_library_db_check(&ldb, &library_id, &err), SYNCLINE_ECORRUPT, "different libraries");
    OK(sl_db_exec(&ldb.db, "DELETE FROM _syncline_meta WHERE key='library_id'", &err));
    FAILS(sl_library_db_check(&ldb, &library_id, &err), SYNCLINE_ECORRUPT, "different libraries");
    sl_library_db_fini(&ldb);
}

/* A create that fails half way leaves no table behind. */
Test(library_db, create_is_all_or_nothing)
{
    sql_on(in_folder("library.db"), "PRAGMA journal_mode=WAL; CREATE TABLE _syncline_stamp(mine)");
    open_new();
    FAILS(sl_library_db_create(&ldb, &library_id, &err), SYNCLINE_EDB, "already exists");
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM sqlite_schema"), 1);
    cr_assert_neq(sqlite3_get_autocommit(ldb.db.handle), 0);
    struct sl_library_db other;
    OK(sl_library_db_open(&other, sl_env_posix(), in_folder("library.db"), SL_DB_WRITE, 0, &err));
    OK(sl_library_db_begin_write(&other, &err));
    FAILS(sl_library_db_create(&ldb, &library_id, &err), SYNCLINE_EBUSY, "locked");
    sl_library_db_fini(&other);
    sl_library_db_fini(&ldb);
}

/* Without memory nothing is made by half, wherever it runs out. */
Test(library_db, create_without_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    sql_on(in_folder("library.db"), "PRAGMA journal_mode=WAL; CREATE TABLE mine(x)");
    int refused = 0;
    enum syncline_status status = SYNCLINE_ENOMEM;
    for (long n = 1; status != SYNCLINE_OK; n++) {
        open_new();
        (void)sl_malloc_fail_at(n);
        status = sl_library_db_create(&ldb, &library_id, &err);
        (void)sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "%s", err.text);
        cr_assert_neq(sqlite3_get_autocommit(ldb.db.handle), 0);
        cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM sqlite_schema"
                                              " WHERE type='table'"),
                     status == SYNCLINE_OK ? 15 : 1);
        refused += status == SYNCLINE_ENOMEM;
        sl_library_db_fini(&ldb);
    }
    cr_assert_geq(refused, 5);
}

struct row {
    int64_t id;
    struct syncline_uuid uuid;
};

/* Models get numbers once and for ever, by their names. */
Test(library_db, models_are_numbered)
{
    static const struct syncline_field fields[] = {SYNCLINE_ID(struct row, id),
                                                   SYNCLINE_UUID(struct row, uuid)};
    static const struct syncline_model a =
        SYNCLINE_MODEL("a", "ta", SYNCLINE_SHARED, struct row, fields);
    static const struct syncline_model b =
        SYNCLINE_MODEL("b", "tb", SYNCLINE_SHARED, struct row, fields);
    const struct syncline_model *first[] = {&a};
    const struct syncline_model *both[] = {&b, &a};
    struct sl_model_set set;
    create_new();
    OK(sl_db_exec(&ldb.db,
                  "CREATE TABLE ta(id INTEGER PRIMARY KEY, uuid BLOB);"
                  "CREATE TABLE tb(id INTEGER PRIMARY KEY, uuid BLOB);"
                  "INSERT INTO tb VALUES(-3,NULL),(7,NULL)",
                  &err));
    OK(sl_model_set_init(&set, &sl_allocator_libc, first, 1, &err));
    OK(sl_library_db_number_models(&ldb, &set, &err));
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM _syncline_scan"), 0); /* empty */
    int64_t number_a = set.models[0].id_in_db;
    cr_assert_gt(number_a, 0);
    sl_model_set_fini(&set);

    OK(sl_model_set_init(&set, &sl_allocator_libc, both, 2, &err));
    struct sl_library_db other;
    OK(sl_library_db_open(&other, sl_env_posix(), in_folder("library.db"), SL_DB_WRITE, 0, &err));
    OK(sl_library_db_begin_write(&other, &err));
    FAILS(sl_library_db_number_models(&ldb, &set, &err), SYNCLINE_EBUSY, "locked");
    sl_library_db_rollback(&other);
    OK(sl_library_db_number_models(&ldb, &set, &err));
    cr_assert_eq(set.models[1].id_in_db, number_a);
    cr_assert_gt(set.models[0].id_in_db, 0);
    cr_assert_neq(set.models[0].id_in_db, number_a);
    cr_assert_eq(set.models[0].id_in_db,
                 query_int(ldb.db.handle, "SELECT model FROM _syncline_scan WHERE up_to=7"));
    OK(sl_db_exec(&ldb.db, "INSERT INTO tb VALUES(8,NULL)", &err));
    OK(sl_library_db_number_models(&ldb, &set, &err)); /* known: what comes now is captured */
    cr_assert_eq(query_int(ldb.db.handle, "SELECT max(up_to) FROM _syncline_scan"), 7);
    OK(sl_library_db_begin_write(&other, &err));
    OK(sl_library_db_number_models(&ldb, &set, &err)); /* nothing is new: no lock is needed */
    sl_library_db_fini(&other);

    OK(sl_db_exec(&ldb.db,
                  "DELETE FROM _syncline_model; DELETE FROM _syncline_scan; CREATE TRIGGER no "
                  "BEFORE INSERT ON"
                  " _syncline_model WHEN new.name='a' BEGIN SELECT raise(ABORT,'no'); END",
                  &err));
    FAILS(sl_library_db_number_models(&ldb, &set, &err), SYNCLINE_EDB, "no");
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM _syncline_model"), 0);
    OK(sl_db_exec(&ldb.db, "DROP TABLE _syncline_model", &err));
    FAILS(sl_library_db_number_models(&ldb, &set, &err), SYNCLINE_EDB, "_syncline_model");
    sl_model_set_fini(&set);
    sl_library_db_fini(&ldb);
}

/* ---- Transactions and the applied vector ---- */

/* One writer; readers keep what they saw; the data version tells that others committed. */
Test(library_db, transactions)
{
    create_new();
    struct sl_library_db other;
    OK(sl_library_db_open(&other, sl_env_posix(), in_folder("library.db"), SL_DB_WRITE, 0, &err));
    int64_t before = 0;
    int64_t after = 0;
    int64_t id = 9;
    OK(sl_library_db_data_version(&other, &before, &err));
    OK(sl_library_db_begin_read(&other, &err));
    OK(sl_outbox_max(&other, &id, &err));
    cr_assert_eq(id, 0);
    OK(sl_library_db_begin_write(&ldb, &err));
    struct sl_outbox_row row = {.change = SYNCLINE_INSERT, .ids = (const uint8_t *)"", .n = 1};
    OK(sl_outbox_insert(&ldb, &row, &err));
    OK(sl_library_db_commit(&ldb, &err));
    OK(sl_outbox_max(&other, &id, &err));
    cr_assert_eq(id, 0);
    OK(sl_library_db_commit(&other, &err));
    OK(sl_library_db_data_version(&other, &after, &err));
    cr_assert_neq(before, after);
    OK(sl_library_db_begin_write(&ldb, &err));
    FAILS(sl_library_db_begin_write(&other, &err), SYNCLINE_EBUSY, "BEGIN IMMEDIATE");
    sl_library_db_rollback(&ldb);
    sl_library_db_rollback(&ldb); /* nothing to undo: nothing happens */
    OK(sl_library_db_begin_write(&other, &err));
    sl_library_db_rollback(&other);
    FAILS(sl_library_db_commit(&other, &err), SYNCLINE_EDB, "COMMIT");
    sl_library_db_fini(&other);
    sl_library_db_fini(&ldb);
}

/* An origin has one number; its entry starts at 0 and is what was last set. */
Test(library_db, applied_vector)
{
    struct sl_origin origin = {.device = {{7}}, .epoch = (uint64_t)INT64_MAX};
    struct sl_origin read = {.epoch = 1};
    int64_t number = 0;
    int64_t again = 0;
    uint64_t seq = 9;
    bool found = true;
    create_new();
    OK(sl_library_db_origin_number(&ldb, &origin, &number, &err));
    OK(sl_library_db_origin_number(&ldb, &origin, &again, &err));
    cr_assert_eq(number, again);
    OK(sl_library_db_applied(&ldb, number, &seq, &err));
    cr_assert_eq(seq, 0);
    OK(sl_library_db_set_applied(&ldb, number, (uint64_t)INT64_MAX, &err));
    OK(sl_library_db_applied(&ldb, number, &seq, &err));
    cr_assert_eq(seq, (uint64_t)INT64_MAX);
    OK(sl_library_db_origin(&ldb, number, &found, &read, &err));
    cr_assert(found && sl_origin_equal(&read, &origin));
    origin.epoch--;
    OK(sl_library_db_origin_number(&ldb, &origin, &again, &err));
    cr_assert_neq(number, again);
    OK(sl_library_db_origin(&ldb, 99, &found, &read, &err));
    cr_assert(!found);
    OK(sl_library_db_applied(&ldb, 99, &seq, &err));
    cr_assert_eq(seq, 0);
    sl_library_db_fini(&ldb);
}

/* ---- Outbox ---- */

static int64_t insert(enum syncline_change change, int64_t model, uint32_t n)
{
    struct sl_outbox_row row = {.token = UINT64_MAX,
                                .model = model,
                                .change = change,
                                .n = n,
                                .ids = (const uint8_t *)"ids",
                                .ids_size = 3};
    OK(sl_outbox_insert(&ldb, &row, &err));
    return row.id;
}

/* A row comes back as it went in, token and all; what is absent stays absent. */
Test(library_db, outbox_round_trip)
{
    create_new();
    struct sl_buf ids;
    struct sl_buf uuids;
    struct sl_buf births;
    sl_buf_init(&ids, &sl_allocator_libc);
    sl_buf_init(&uuids, &sl_allocator_libc);
    sl_buf_init(&births, &sl_allocator_libc);
    sl_buf_u64(&ids, 5);
    sl_buf_u32(&ids, 2);
    sl_buf_bytes(&uuids, other_id.bytes, 16);
    sl_buf_u32(&uuids, 2);
    sl_buf_u32(&births, 2);
    sl_buf_u64(&births, 1);
    sl_buf_u64(&births, 100);
    struct sl_outbox_row row = {.token = 0xfedcba9876543210u,
                                .model = 3,
                                .change = SYNCLINE_DELETE,
                                .wall_ms = 1700000000000u,
                                .n = 2,
                                .batch_len = 1000,
                                .ids = ids.data,
                                .ids_size = ids.len,
                                .uuids = uuids.data,
                                .uuids_size = uuids.len,
                                .births = births.data,
                                .births_size = births.len};
    OK(sl_outbox_insert(&ldb, &row, &err));
    int64_t plain = insert(SYNCLINE_INSERT, 3, 1);
    struct sl_outbox_row read;
    bool found = false;
    OK(sl_outbox_next(&ldb, 0, &found, &read, &err));
    cr_assert(found);
    cr_assert_eq(read.id, row.id);
    cr_assert_eq(read.token, row.token);
    cr_assert_eq(read.model, 3);
    cr_assert_eq(read.change, SYNCLINE_DELETE);
    cr_assert_eq(read.wall_ms, row.wall_ms);
    cr_assert_eq(read.n, 2);
    cr_assert_eq(read.batch_len, 1000);
    cr_assert(read.ids_size == 12 && memcmp(read.ids, ids.data, 12) == 0);
    cr_assert(read.uuids_size == 20 && memcmp(read.uuids, uuids.data, 20) == 0);
    cr_assert(read.births_size == 20 && memcmp(read.births, births.data, 20) == 0);
    OK(sl_outbox_next(&ldb, read.id, &found, &read, &err));
    cr_assert(found);
    cr_assert_eq(read.id, plain);
    cr_assert_null(read.uuids);
    cr_assert_eq(read.uuids_size, 0);
    cr_assert_null(read.births);
    OK(sl_outbox_next(&ldb, read.id, &found, &read, &err));
    cr_assert(!found);
    sl_outbox_done(&ldb);
    sl_buf_fini(&ids);
    sl_buf_fini(&uuids);
    sl_buf_fini(&births);
    sl_library_db_fini(&ldb);
}

/* While the newest row stays, no id is given twice, whatever is removed below it. */
Test(library_db, outbox_ids_are_never_used_again)
{
    create_new();
    int64_t last = 0;
    uint64_t random = 42;
    for (int i = 0; i < 500; i++) {
        int64_t id = insert(SYNCLINE_INSERT, 1, 1);
        cr_assert_gt(id, last);
        last = id;
        if (next_random(&random) % 3 == 0) {
            int64_t newest = 0;
            OK(sl_outbox_max(&ldb, &newest, &err));
            cr_assert_eq(newest, last);
            OK(sl_outbox_remove_below(&ldb, newest, &err));
            cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM _syncline_outbox"), 1);
        }
    }
    sl_library_db_fini(&ldb);
}

/* Changes are counted over the rows above an id. */
Test(library_db, outbox_counts)
{
    create_new();
    uint64_t changes = 9;
    OK(sl_outbox_count_above(&ldb, 0, &changes, &err));
    cr_assert_eq(changes, 0);
    int64_t first = insert(SYNCLINE_INSERT, 1, 10);
    int64_t second = insert(SYNCLINE_UPDATE, 1, 5);
    OK(sl_outbox_count_above(&ldb, 0, &changes, &err));
    cr_assert_eq(changes, 15);
    OK(sl_outbox_count_above(&ldb, first, &changes, &err));
    cr_assert_eq(changes, 5);
    OK(sl_outbox_count_between(&ldb, 0, first, &changes, &err));
    cr_assert_eq(changes, 10);
    OK(sl_outbox_count_between(&ldb, first, second, &changes, &err));
    cr_assert_eq(changes, 5);
    OK(sl_outbox_count_between(&ldb, 0, 0, &changes, &err));
    cr_assert_eq(changes, 0);
    OK(sl_outbox_count_above(&ldb, second, &changes, &err));
    cr_assert_eq(changes, 0);
    sl_library_db_fini(&ldb);
}

/* A model's last delete is the newest outbox row that deletes of it, or the newest at all when
 * somebody else deleted. */
Test(library_db, outbox_last_delete)
{
    create_new();
    OK(sl_db_exec(&ldb.db, "INSERT INTO _syncline_model(number,name) VALUES(1,'a'),(2,'b')", &err));
    int64_t id = 9;
    OK(sl_outbox_last_delete(&ldb, 1, &id, &err));
    cr_assert_eq(id, 0);
    (void)insert(SYNCLINE_INSERT, 1, 1);
    OK(sl_outbox_last_delete(&ldb, 1, &id, &err));
    cr_assert_eq(id, 0);
    int64_t deleted = insert(SYNCLINE_DELETE, 1, 1);
    int64_t newest = insert(SYNCLINE_UPDATE, 1, 1);
    OK(sl_outbox_last_delete(&ldb, 1, &id, &err));
    cr_assert_eq(id, deleted);
    OK(sl_outbox_last_delete(&ldb, 2, &id, &err));
    cr_assert_eq(id, 0);
    OK(sl_outbox_note_delete(&ldb, 2, &err));
    OK(sl_outbox_last_delete(&ldb, 2, &id, &err));
    cr_assert_eq(id, newest);
    OK(sl_outbox_remove_below(&ldb, INT64_MAX, &err));
    OK(sl_outbox_note_delete(&ldb, 2, &err));
    OK(sl_outbox_last_delete(&ldb, 2, &id, &err));
    cr_assert_eq(id, 0);
    OK(sl_outbox_last_delete(&ldb, 77, &id, &err));
    cr_assert_eq(id, 0);
    sl_library_db_fini(&ldb);
}

/* A savepoint of ours in somebody's transaction: undone alone, or kept with what was before it. One
 * that cannot be released is undone. */
Test(library_db, savepoints)
{
    static const char one_row[] = "INSERT INTO mine VALUES(1)";
    create_new();
    OK(sl_db_exec(&ldb.db, "CREATE TABLE mine(x); BEGIN; INSERT INTO mine VALUES(1)", &err));
    OK(sl_library_db_savepoint(&ldb, &err));
    OK(sl_db_exec(&ldb.db, one_row, &err));
    sl_library_db_undo(&ldb);
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM mine"), 1);
    OK(sl_library_db_savepoint(&ldb, &err));
    OK(sl_db_exec(&ldb.db, one_row, &err));
    OK(sl_library_db_release(&ldb, &err));
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM mine"), 2);
    FAILS(sl_library_db_release(&ldb, &err), SYNCLINE_EDB, "no such savepoint");
    sl_library_db_undo(&ldb);
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM mine"), 2);

    OK(sl_library_db_savepoint(&ldb, &err));
    sqlite3_stmt *open_one = NULL;
    cr_assert_eq(sqlite3_prepare_v2(ldb.db.handle, "INSERT INTO mine VALUES(1) RETURNING x", -1,
                                    &open_one, NULL),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_step(open_one), SQLITE_ROW);
    FAILS(sl_library_db_release(&ldb, &err), SYNCLINE_EBUSY, "statements in progress");
    (void)sqlite3_finalize(open_one);
    OK(sl_db_exec(&ldb.db, "COMMIT", &err));
    cr_assert_eq(query_int(ldb.db.handle, "SELECT count(*) FROM mine"), 2);
    sl_library_db_fini(&ldb);
}

static int syncs;        /* of the WAL, by the methods below */
static int sync_answers; /* what they give back */

static int counting_sync(sqlite3_file *file, int flags)
{
    (void)file;
    cr_assert_eq(flags, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    syncs++;
    return sync_answers;
}

/* The WAL that another connection wrote, unsynced, is synced through the VFS; what the VFS has
 * against it is passed on. A database without a WAL has none. */
Test(library_db, sync_wal)
{
    sqlite3_file *wal = NULL;
    create_new();
    sql_on(in_folder("library.db"), "PRAGMA synchronous=OFF; CREATE TABLE mine(x)");
    OK(sl_library_db_sync_wal(&ldb, &err));
    cr_assert_eq(sqlite3_file_control(ldb.db.handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal),
                 SQLITE_OK);
    const sqlite3_io_methods *methods = wal->pMethods;
    sqlite3_io_methods counting = *methods;
    counting.xSync = counting_sync;
    wal->pMethods = &counting;
    OK(sl_library_db_sync_wal(&ldb, &err));
    sync_answers = SQLITE_IOERR_FSYNC;
    FAILS(sl_library_db_sync_wal(&ldb, &err), SYNCLINE_EIO, "library.db: sync of the WAL");
    sync_answers = SQLITE_FULL;
    FAILS(sl_library_db_sync_wal(&ldb, &err), SYNCLINE_ENOSPC, "full");
    cr_assert_eq(syncs, 3);
    wal->pMethods = methods;
    sl_library_db_fini(&ldb);

    sql_on(in_folder("other.db"), "CREATE TABLE mine(x)");
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("other.db"), SL_DB_WRITE, 0, &err));
    FAILS(sl_library_db_sync_wal(&ldb, &err), SYNCLINE_EFORMAT, "must be in WAL mode");
    sl_library_db_fini(&ldb);
}

/* Over the application's connection everything works as over ours, which stays open after. */
Test(library_db, borrowed_connection)
{
    create_new();
    sl_library_db_fini(&ldb);
    sqlite3 *handle = NULL;
    cr_assert_eq(sqlite3_open(in_folder("library.db"), &handle), SQLITE_OK);
    sl_library_db_borrow(&ldb, handle);
    cr_assert_gt(insert(SYNCLINE_INSERT, 1, 1), 0);
    sl_outbox_done(&ldb);
    sl_library_db_fini(&ldb);
    cr_assert_eq(query_int(handle, "SELECT count(*) FROM _syncline_outbox"), 1);
    cr_assert_eq(sqlite3_close(handle), SQLITE_OK); /* no statement of ours is left */
}

/* Every call says so when its table is not there or not writable, and reads leave no result. */
Test(library_db, failures_are_passed_on)
{
    struct sl_origin origin = {.device = {{7}}};
    struct sl_outbox_row row = {.change = SYNCLINE_DELETE, .ids = (const uint8_t *)""};
    int64_t number = 77;
    uint64_t seq = 77;
    bool found = false;
    create_new();
    sl_library_db_fini(&ldb);
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_READ, 0, &err));
    FAILS(sl_outbox_insert(&ldb, &row, &err), SYNCLINE_EIO, "readonly");
    FAILS(sl_outbox_remove_below(&ldb, 5, &err), SYNCLINE_EIO, "readonly");
    FAILS(sl_outbox_note_delete(&ldb, 5, &err), SYNCLINE_EIO, "readonly");
    FAILS(sl_library_db_origin_number(&ldb, &origin, &number, &err), SYNCLINE_EIO, "readonly");
    FAILS(sl_library_db_set_applied(&ldb, 1, 5, &err), SYNCLINE_EIO, "readonly");
    sl_library_db_fini(&ldb);

    sql_on(in_folder("library.db"), "DROP TABLE _syncline_model; DROP TABLE _syncline_origin");
    open_new();
    FAILS(sl_outbox_insert(&ldb, &row, &err), SYNCLINE_EDB, "_syncline_model");
    FAILS(sl_outbox_last_delete(&ldb, 1, &number, &err), SYNCLINE_EDB, "_syncline_model");
    FAILS(sl_outbox_note_delete(&ldb, 1, &err), SYNCLINE_EDB, "_syncline_model");
    sl_library_db_fini(&ldb);

    sql_on(in_folder("library.db"), "DROP TABLE _syncline_outbox");
    open_new();
    number = 77;
    FAILS(sl_library_db_origin_number(&ldb, &origin, &number, &err), SYNCLINE_EDB, "origin");
    FAILS(sl_library_db_origin(&ldb, 1, &found, &origin, &err), SYNCLINE_EDB, "origin");
    FAILS(sl_library_db_applied(&ldb, 1, &seq, &err), SYNCLINE_EDB, "origin");
    FAILS(sl_library_db_set_applied(&ldb, 1, 1, &err), SYNCLINE_EDB, "origin");
    FAILS(sl_outbox_insert(&ldb, &row, &err), SYNCLINE_EDB, "_syncline_outbox");
    FAILS(sl_outbox_next(&ldb, 0, &found, &row, &err), SYNCLINE_EDB, "_syncline_outbox");
    FAILS(sl_outbox_max(&ldb, &number, &err), SYNCLINE_EDB, "_syncline_outbox");
    bool has = true;
    FAILS(sl_outbox_token(&ldb, 1, &has, &seq, &err), SYNCLINE_EDB, "_syncline_outbox");
    FAILS(sl_outbox_count_above(&ldb, 0, &seq, &err), SYNCLINE_EDB, "_syncline_outbox");
    FAILS(sl_outbox_remove_below(&ldb, 0, &err), SYNCLINE_EDB, "_syncline_outbox");
    cr_assert_eq(number, 77);
    cr_assert_eq(seq, 77);
    sl_library_db_fini(&ldb);
    struct sl_library_db none;
    FAILS(sl_library_db_open(&none, sl_env_posix(), in_folder("none.db"), SL_DB_WRITE, 0, &err),
          SYNCLINE_ENOTFOUND, "none.db");
}
