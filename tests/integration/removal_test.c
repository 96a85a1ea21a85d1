/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Entries are removed on one device, by a rescan or with their location: how many changes that is,
 * and what the other device has then. */

#include "indexer/compare.h"
#include "tests/unit/indexer_fixture.h"

#include <time.h>

#define WAIT_MS 100000 /* for anything a test waits for; never a measurement */
#define FOLDERS 5
#define FILES 60
#define BELOW (FOLDERS * (FILES + 1)) /* what is in "gone" */

TestSuite(removal, .init = set_up, .fini = tear_down);

/* A device: its library, and the application on it. */
struct device {
    char dir[128];
    struct syncline *lib;
    struct sqlite3 *db;
    struct syncline_uuid id;
    char listen[64];
};

static struct device a;
static struct device b;
static char text[512];
static bool is_swept; /* engines look for what bypassed the outbox all the time */

static struct syncline_options options_of(const char *name)
{
    struct syncline_options options = SYNCLINE_OPTIONS_INIT;
    options.models = indexer_models;
    options.models_count = INDEXER_MODELS_COUNT;
    options.device_name = name;
    options.insecure_loopback = true;
    options.error = text;
    options.error_size = sizeof(text);
    return options;
}

static void open_device(struct device *device, enum syncline_role role, const char *peer)
{
    static const char *const settings[] = {"scan_interval_ms=10ms"};
    struct syncline_options options = options_of(NULL);
    struct indexer_error err = {0};
    options.settings = settings;
    options.settings_count = is_swept ? 1 : 0;
    cr_assert_eq(indexer_db_open(device->dir, INDEXER_DB_CREATE, &device->db, &err), SYNCLINE_OK,
                 "%s", err.text);
    options.role = role;
    options.listen = role == SYNCLINE_ROLE_ENGINE ? "127.0.0.1:0" : NULL;
    options.peers = &peer;
    options.peers_count = peer != NULL ? 1 : 0;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", text);
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(syncline_info(device->lib, &info), SYNCLINE_OK);
    device->id = info.device_id;
    snprintf(device->listen, sizeof(device->listen), "%s", info.listen);
    cr_assert_eq(
        indexer_device_register(device->lib, device->db, &device->id, info.device_name, NULL, &err),
        SYNCLINE_OK, "%s", err.text);
}

static void close_device(struct device *device)
{
    indexer_db_close(device->db);
    syncline_close(device->lib);
}

/* A with what it has indexed, and B, which dials it. */
static void open_pair(void)
{
    struct syncline_options options = options_of("alpha");
    snprintf(a.dir, sizeof(a.dir), "%s/a", base);
    snprintf(b.dir, sizeof(b.dir), "%s/b", base);
    cr_assert_eq(syncline_create(a.dir, "test", &options), SYNCLINE_OK, "%s", text);
    open_device(&a, SYNCLINE_ROLE_ENGINE, NULL);
    options.device_name = "beta";
    cr_assert_eq(syncline_join(b.dir, a.listen, &options), SYNCLINE_OK, "%s", text);
    open_device(&b, SYNCLINE_ROLE_ENGINE, a.listen);
}

/* Everything is applied on both, and both hold the same. */
static void settle_equal(void)
{
    char path_a[160];
    char path_b[160];
    static struct indexer_comparison comparison;
    struct indexer_error err = {0};
    struct device *devices[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        struct syncline_info info = SYNCLINE_INFO_INIT;
        cr_assert_eq(syncline_flush(devices[i]->lib, SYNCLINE_LEVEL_APPLIED, WAIT_MS, NULL),
                     SYNCLINE_OK);
        cr_assert_eq(syncline_info(devices[i]->lib, &info), SYNCLINE_OK);
        cr_expect_eq(info.set_aside, 0);
        cr_expect_eq(info.waiting, 0);
    }
    snprintf(path_a, sizeof(path_a), "%s/%s", a.dir, INDEXER_DB_NAME);
    snprintf(path_b, sizeof(path_b), "%s/%s", b.dir, INDEXER_DB_NAME);
    cr_assert_eq(indexer_compare_databases(path_a, path_b, &comparison, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(comparison.differences, 0, "%s", comparison.text[0]);
}

static void count_delete(void *ctx, const struct syncline_event *event)
{
    uint64_t *count = ctx;
    if (event->change == SYNCLINE_DELETE)
        *count += event->record_count;
}

/* Deletes in A's log. */
static uint64_t deletes(void)
{
    uint64_t count = 0;
    cr_assert_eq(syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, WAIT_MS, NULL), SYNCLINE_OK);
    cr_assert_eq(syncline_log_read(a.lib, count_delete, &count, NULL), SYNCLINE_OK);
    return count;
}

typedef enum syncline_status (*run_fn)(struct syncline *lib, struct sqlite3 *db, const char *path,
                                       const struct indexer_location_options *options,
                                       struct indexer_location_stats *stats,
                                       struct indexer_error *err);

/* Runs it on A; `options` may be NULL. */
static struct indexer_location_stats run(run_fn fn, const struct indexer_location_options *options)
{
    struct indexer_location_options all = {0};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    if (options != NULL)
        all = *options;
    all.device = a.id;
    cr_assert_eq(fn(a.lib, a.db, tree, &all, &stats, &err), SYNCLINE_OK, "%s", err.text);
    return stats;
}

/* Asks until it is so. */
static void wait_until(struct sqlite3 *db, const char *sql, int64_t wanted)
{
    for (int left = WAIT_MS; query(db, sql) != wanted; left--) {
        cr_assert_gt(left, 0, "it never becomes %lld", (long long)wanted);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* A file that stays, and "gone", with 300 files in 5 folders. */
static void make_tree(void)
{
    make_file("stays", 1);
    make_folder("gone");
    for (int i = 0; i < FOLDERS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "gone/folder%d", i);
        make_folder(name);
        for (int k = 0; k < FILES; k++) {
            snprintf(name, sizeof(name), "gone/folder%d/file%d", i, k);
            make_file(name, (size_t)k);
        }
    }
}

static void remove_from_disk(void)
{
    char command[160];
    snprintf(command, sizeof(command), "rm -r '%s'", in_tree("gone"));
    cr_assert_eq(system(command), 0);
}

static void open_indexed_pair(void)
{
    make_tree();
    open_pair();
    run(indexer_location_add, NULL);
    settle_equal();
}

/* A folder that is gone from the disk is one change, whatever was in it. */
Test(removal, of_a_folder_is_one_change)
{
    open_indexed_pair();
    remove_from_disk();
    struct indexer_location_stats stats = run(indexer_location_rescan, NULL);
    cr_expect_eq(stats.removed, BELOW + 1);
    cr_expect_eq(stats.removing, 0);
    cr_expect_leq(stats.batches, 2); /* the root's new time, and the removal */
    cr_expect_eq(deletes(), 1);
    settle_equal();
    cr_expect_eq(query(b.db, "SELECT count(*) FROM entries"), 2);
    close_device(&b);
    close_device(&a);
}

/* So is a location with all that is in it. */
Test(removal, of_a_location_is_one_change)
{
    open_indexed_pair();
    struct indexer_location_stats stats = run(indexer_location_remove, NULL);
    cr_expect_eq(stats.removed, BELOW + 3);
    cr_expect_eq(stats.batches, 1);
    cr_expect_eq(deletes(), 1);
    settle_equal();
    cr_expect_eq(query(b.db, "SELECT count(*) FROM entries"), 0);
    cr_expect_eq(query(b.db, "SELECT count(*) FROM locations"), 0);
    close_device(&b);
    close_device(&a);
}

/* A tree that is larger than a piece is as many changes as there are rows whose folder is not in
 * their piece. */
Test(removal, of_a_larger_folder_goes_in_pieces)
{
    open_indexed_pair();
    remove_from_disk();
    const struct indexer_location_options by_folder = {.batch_size = FILES + 1};
    struct indexer_location_stats stats = run(indexer_location_rescan, &by_folder);
    cr_expect_eq(stats.removed, BELOW + 1);
    cr_expect_leq(stats.batches, 1 + FOLDERS + 1);
    cr_expect_eq(deletes(), FOLDERS + 1);
    settle_equal();
    uint64_t before = deletes(); /* once more, cut at other places */
    make_tree();
    run(indexer_location_rescan, NULL);
    remove_from_disk();
    const struct indexer_location_options anywhere = {.batch_size = 100};
    stats = run(indexer_location_rescan, &anywhere);
    cr_expect_eq(stats.removed, BELOW + 1);
    /* A folder and 39 files; 2 folders and 17 files; a folder and 56 files; all that is left. */
    cr_expect_eq(deletes() - before, 40 + 19 + 57 + 1);
    settle_equal();
    close_device(&b);
    close_device(&a);
}

/* Interrupted after any piece, both devices have the same, and the next run does what is left. */
Test(removal, goes_on_after_a_stop)
{
    open_indexed_pair();
    run_fn again[] = {indexer_location_rescan, indexer_location_remove};
    remove_from_disk();
    for (int i = 0; i < 2; i++) {
        struct indexer_location_stats stats;
        uint64_t runs = 0;
        int64_t left = query(a.db, "SELECT count(*) FROM entries") - (i == 0 ? 2 : 0);
        do {
            struct stopper stopper = {.after = 2};
            struct indexer_location_options options = {
                .batch_size = 45, .stop = &stopper.stop, .ctx = &stopper, .progress = stop_later};
            stats = run(again[i], &options);
            left -= (int64_t)stats.removed;
            cr_expect_eq((int64_t)stats.removing, left);
            cr_expect_eq(stats.walk.stopped, left > 0);
            settle_equal();
            runs++;
        } while (stats.walk.stopped);
        cr_expect_eq(left, 0);
        cr_expect_geq(runs, 3);
        cr_expect_eq(query(b.db, "SELECT count(*) FROM locations"), i == 0 ? 1 : 0);
        if (i == 0) {
            make_tree();
            run(indexer_location_add, NULL);
        }
    }
    close_device(&b);
    close_device(&a);
}

/* Puts a row into a folder that is still there, and a file onto the disk, when the first piece is
 * gone. */
static void write_meanwhile(void *ctx, const struct indexer_location_stats *stats)
{
    bool *is_written = ctx;
    struct indexer_error err = {0};
    struct sqlite3 *db = NULL;
    if (stats->removed == 0 || *is_written)
        return;
    *is_written = true;
    make_folder("gone");
    make_file("gone/new", 7);
    cr_assert_eq(indexer_db_open(a.dir, 0, &db, &err), SYNCLINE_OK, "%s", err.text);
    struct entry_row row = {.name = {"meanwhile", 9}, .parent_id.is_set = true};
    cr_assert_eq(syncline_uuid_new(&row.uuid, 1), SYNCLINE_OK);
    execute(db, "BEGIN IMMEDIATE");
    row.parent_id.value =
        query(db, "SELECT max(id) FROM entries WHERE CAST(name AS TEXT) GLOB 'folder*'");
    cr_assert_gt(row.parent_id.value, 0);
    char sql[256];
    snprintf(sql, sizeof(sql),
             "INSERT INTO entries(uuid,parent_id,name,kind,size,created_at,modified_at)"
             " VALUES(randomblob(16),%lld,CAST('meanwhile' AS BLOB),0,0,0,0)",
             (long long)row.parent_id.value);
    execute(db, sql);
    row.id = sqlite3_last_insert_rowid(db);
    struct sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, "UPDATE entries SET uuid=?1 WHERE id=?2", -1, &stmt, NULL),
                 SQLITE_OK);
    sqlite3_bind_blob(stmt, 1, row.uuid.bytes, 16, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, row.id);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
    cr_assert_eq(
        syncline_sync_model_with_db(a.lib, &indexer_entry_model, &row, SYNCLINE_INSERT, db),
        SYNCLINE_OK);
    execute(db, "COMMIT");
    indexer_db_close(db);
}

/* What is put below a folder while that is removed goes with it; what is made on the disk
 * meanwhile is found by the next run. */
Test(removal, takes_what_came_below_meanwhile)
{
    open_indexed_pair();
    remove_from_disk();
    bool is_written = false;
    const struct indexer_location_options options = {
        .batch_size = FILES + 1, .ctx = &is_written, .progress = write_meanwhile};
    struct indexer_location_stats stats = run(indexer_location_rescan, &options);
    cr_expect(is_written);
    cr_expect_eq(stats.removed, BELOW + 2);
    cr_expect_eq(stats.removing, 0);
    settle_equal();
    cr_expect_eq(query(b.db, "SELECT count(*) FROM entries"), 2);
    stats = run(indexer_location_rescan, NULL);
    cr_expect_eq(stats.inserted, 2);
    settle_equal();
    cr_expect_eq(query(b.db, "SELECT count(*) FROM entries"), 4);
    close_device(&b);
    close_device(&a);
}

/* What was moved out of a folder stays, when that is removed by the same run; and so does what is
 * below it. */
Test(removal, leaves_what_was_moved_out)
{
    open_indexed_pair();
    cr_assert_eq(rename(in_tree("gone/folder2"), in_tree("kept")), 0);
    cr_assert_eq(rename(in_tree("gone/folder3/file7"), in_tree("file")), 0);
    remove_from_disk();
    struct indexer_location_stats stats = run(indexer_location_rescan, NULL);
    cr_expect_eq(stats.moved, 2);
    cr_expect_eq(stats.removed, BELOW + 1 - (FILES + 1) - 1);
    cr_expect_eq(deletes(), 1);
    settle_equal();
    cr_expect_eq(query(b.db, "SELECT count(*) FROM entries"), 2 + FILES + 1 + 1);
    close_device(&b);
    close_device(&a);
}

/* What is removed before it came into the log is nowhere in the end, and nothing is stuck. */
Test(removal, of_what_is_not_in_the_log_yet)
{
    make_tree();
    open_pair();
    settle_equal();
    close_device(&a);
    open_device(&a, SYNCLINE_ROLE_CAPTURE, NULL);
    run(indexer_location_add, NULL);
    remove_from_disk();
    run(indexer_location_rescan, NULL);
    run(indexer_location_remove, NULL);
    close_device(&a);
    open_device(&a, SYNCLINE_ROLE_ENGINE, b.listen);
    settle_equal();
    cr_expect_eq(query(b.db, "SELECT count(*) FROM entries"), 0);
    close_device(&b);
    close_device(&a);
}

/* Ids that were those of removed rows are used again: what has them now goes its own way. */
Test(removal, gives_ids_to_others)
{
    open_indexed_pair();
    for (int round = 0; round < 3; round++) {
        remove_from_disk();
        run(indexer_location_rescan, NULL);
        make_tree();
        run(indexer_location_rescan, NULL);
        make_file("gone/folder1/file1", 1234);
        cr_assert_eq(rename(in_tree("gone/folder4"), in_tree("gone/folder4.moved")), 0);
        run(indexer_location_rescan, NULL);
        cr_assert_eq(rename(in_tree("gone/folder4.moved"), in_tree("gone/folder4")), 0);
        settle_equal();
    }
    close_device(&b);
    close_device(&a);
}

/* The engine finds that rows are gone, and that they went with what was captured: nothing more is
 * sent, and their births go. */
Test(removal, is_no_business_of_the_sweep)
{
    static const char births[] = "SELECT coalesce(sum(n), 0) FROM _syncline_birth b JOIN"
                                 " _syncline_model m ON m.number = b.model WHERE m.name IN"
                                 " ('entry', 'location')";
    is_swept = true;
    open_indexed_pair();
    wait_until(a.db, births, BELOW + 3 + 1);
    cr_assert_eq(rename(in_tree("gone/folder1"), in_tree("kept")), 0);
    remove_from_disk();
    const struct indexer_location_options in_pieces = {.batch_size = 100};
    run(indexer_location_rescan, &in_pieces);
    uint64_t told = deletes();
    wait_until(a.db, births, FILES + 3 + 1);
    run(indexer_location_remove, NULL);
    wait_until(a.db, births, 0);
    cr_expect_eq(deletes(), told + 1);
    settle_equal();
    cr_expect_eq(query(b.db, "SELECT count(*) FROM entries"), 0);
    cr_expect_eq(query(b.db, "SELECT count(*) FROM locations"), 0);
    close_device(&b);
    close_device(&a);
}
