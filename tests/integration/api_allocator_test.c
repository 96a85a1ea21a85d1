/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The host's allocator: everything comes from it and goes back to it, and whichever allocation
 * fails, the call says ENOMEM, nothing leaks, and the next try works. */

#include <sys/wait.h>

#include "tests/integration/api.h"
#include "tests/unit/counting_allocator.h"

TestSuite(api_allocator, .init = api_setup, .fini = api_cleanup, .timeout = 180);

static struct counting counting;
static const struct syncline_allocator counted = {.resize = counting_resize, .ctx = &counting};

static struct syncline_options counted_options(void)
{
    struct syncline_options options = api_options();
    options.allocator = &counted;
    return options;
}

/* Opens the engine; on OK device->lib is its handle. */
static enum syncline_status open_counted(struct api_device *device, const char *peer)
{
    struct syncline_options options = counted_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    options.listen = device->address[0] != '\0' ? device->address : "127.0.0.1:0";
    options.peers = &peer;
    options.peers_count = peer != NULL ? 1 : 0;
    return syncline_open(device->dir, &options, &device->lib);
}

static void open_surely(struct api_device *device, const char *peer)
{
    cr_assert_eq(open_counted(device, peer), SYNCLINE_OK, "%s", api_text);
    struct syncline_info info = api_info(device);
    (void)snprintf(device->address, sizeof(device->address), "%s", info.listen);
}

/* An allocator without a function is refused by each call that takes one. */
Test(api_allocator, no_function)
{
    static const struct syncline_allocator empty;
    struct syncline_options options = api_options();
    struct syncline *lib = NULL;
    options.allocator = &empty;
    cr_expect_eq(syncline_create(api_path("a"), "name", &options), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(api_text, "allocator"), "%s", api_text);
    cr_expect_eq(syncline_join(api_path("a"), "127.0.0.1:1", &options), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_open(api_path("a"), &options, &lib), SYNCLINE_EINVAL);
    cr_expect_not(api_exists(api_path("a")));
}

/* Making and opening a library: each allocation of the calling thread fails once. What failed for
 * it left nothing, in the folder and in memory. */
Test(api_allocator, create_and_open)
{
    struct syncline_options options = counted_options();
    struct api_device a;
    api_name(&a, "a");
    enum syncline_status status = SYNCLINE_ENOMEM;
    for (long n = 1; status != SYNCLINE_OK; n++) {
        counting_fail_at(&counting, n, COUNTING_MINE);
        status = syncline_create(a.dir, "the library", &options);
        cr_assert_eq(counting_has_failed(&counting), status != SYNCLINE_OK, "%ld", n);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "%ld: %s", n, api_text);
        cr_assert_eq(counting.blocks, 0, "%ld: %ld blocks", n, counting.blocks);
        cr_assert_eq(api_exists(a.dir), status == SYNCLINE_OK);
    }
    api_db(&a);
    bool failed = true;
    int refused = 0;
    for (long n = 1; failed; n++) {
        counting_fail_at(&counting, n, COUNTING_MINE);
        status = open_counted(&a, "127.0.0.1:1");
        failed = counting_has_failed(&counting);
        cr_assert(status == SYNCLINE_OK || (failed && status == SYNCLINE_ENOMEM), "%ld: %s", n,
                  api_text);
        refused += status != SYNCLINE_OK;
        if (status == SYNCLINE_OK && failed) {
            api_stop(&a); /* it goes without what it would only have liked to have */
        }
        cr_assert(!failed || counting.blocks == 0, "%ld: %ld blocks", n, counting.blocks);
    }
    cr_expect_gt(refused, 10);
    api_save_tags(&a, 100, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_close(&a);
    cr_expect_eq(counting.blocks, 0);
}

/* A capture of a new, a changed and a deleted record in one transaction. Each says OK or ENOMEM; a
 * second try of it works, in the same transaction. */
static bool change_tag(struct api_device *a, long n)
{
    struct tag tag = {.name = "a tag"};
    bool failed = false;
    cr_assert_eq(syncline_uuid_new(&tag.uuid, 1), SYNCLINE_OK);
    api_sql(a->db, "BEGIN IMMEDIATE");
    for (enum syncline_change change = SYNCLINE_INSERT; change <= SYNCLINE_DELETE; change++) {
        if (change == SYNCLINE_DELETE) {
            api_delete(a->db, "tags", &tag.uuid);
        } else {
            api_put_tag(a->db, &tag);
        }
        counting_fail_at(&counting, n, COUNTING_MINE);
        enum syncline_status status =
            syncline_sync_model_with_db(a->lib, &tag_model, &tag, change, a->db);
        bool hit = counting_has_failed(&counting);
        cr_assert(status == SYNCLINE_OK || (hit && status == SYNCLINE_ENOMEM), "%s",
                  api_error(a->lib));
        if (status != SYNCLINE_OK) {
            API_OK(a->lib, syncline_sync_model_with_db(a->lib, &tag_model, &tag, change, a->db));
        }
        failed = failed || hit;
    }
    api_sql(a->db, "COMMIT");
    return failed;
}

static void count_event(void *ctx, const struct syncline_event_entry *entry)
{
    (void)entry;
    ++*(uint64_t *)ctx;
}

/* Capturing: each allocation of the calling thread fails once, and no change is lost for it. So
 * with the calls that only look. */
Test(api_allocator, capture)
{
    struct api_device a;
    api_create(&a, "a");
    open_surely(&a, NULL);
    long n = 1;
    while (change_tag(&a, n)) {
        n++;
    }
    cr_expect_gt(n, 1);
    api_save_tags(&a, 100, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    struct syncline_info info = api_info(&a);
    cr_expect_geq(info.own_seq, 100);
    cr_expect_eq(info.outbox, 0);
    cr_expect_eq(info.set_aside, 0);

    uint64_t count = 0;
    uint8_t hash[32];
    counting_fail_at(&counting, 1, COUNTING_MINE);
    API_REFUSED(a.lib, syncline_digest(a.lib, &tag_model, &count, hash), SYNCLINE_ENOMEM, "memory");
    cr_assert(counting_has_failed(&counting));
    API_OK(a.lib, syncline_digest(a.lib, &tag_model, &count, hash));
    cr_expect_eq(count, 100);
    counting_fail_at(&counting, 1, COUNTING_MINE);
    API_REFUSED(a.lib, syncline_events_read(a.lib, 0, count_event, &count), SYNCLINE_ENOMEM,
                "memory");
    cr_assert(counting_has_failed(&counting));
    cr_expect_eq(count, 100);
    API_OK(a.lib, syncline_events_read(a.lib, 0, count_event, &count));
    api_close(&a);
    cr_expect_eq(counting.blocks, 0);
}

/* Sending, on the engine's own thread: each allocation fails once - of a library just opened, so
 * that everything is still to be allocated -, and the change becomes durable all the same. */
Test(api_allocator, engine)
{
    struct api_device a;
    api_create(&a, "a");
    bool failed = true;
    long n = 1;
    for (; failed; n++) {
        open_surely(&a, NULL);
        counting_fail_at(&counting, n, COUNTING_OTHERS);
        api_save_tags(&a, 10, 0);
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
        failed = counting_has_failed(&counting);
        api_stop(&a);
        cr_assert_eq(counting.blocks, 0, "%ld: %ld blocks", n, counting.blocks);
    }
    cr_expect_gt(n, 3);
    api_open_alone(&a);
    struct syncline_info info = api_info(&a);
    cr_expect_eq(info.own_seq, (uint64_t)(10 * (n - 1)));
    cr_expect_eq(info.set_aside, 0);
    api_close(&a);
}

/* Two devices, both with the allocator: joining, sending, receiving and answering; each allocation
 * of an engine fails once. A link may be given up for it; it comes back, and so does the change. */
Test(api_allocator, two_devices)
{
    struct syncline_options options = counted_options();
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    open_surely(&a, NULL);
    api_name(&b, "b");
    cr_assert_eq(syncline_join(b.dir, a.address, &options), SYNCLINE_OK, "%s", api_text);
    api_db(&b);
    bool failed = true;
    for (long n = 1; failed; n++) {
        counting_fail_at(&counting, n, COUNTING_OTHERS);
        open_surely(&b, a.address);
        api_save_tags(&a, 10, 0);
        API_WAIT(api_info(&b).links == 1);
        api_settle(&a, &b);
        failed = counting_has_failed(&counting);
        api_stop(&b);
    }
    api_close(&a);
    cr_expect_eq(counting.blocks, 0);
    cr_expect_eq(api_differences(a.db_path, b.db_path), 0);
    cr_expect_eq(sqlite3_close(b.db), SQLITE_OK);
}

/* A forked child gives back the handle to the allocator and nothing else: that is the parent's. */
Test(api_allocator, fork)
{
    struct api_device a;
    api_create(&a, "a");
    open_surely(&a, NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        long blocks = counting.blocks;
        syncline_close(a.lib);
        _exit(counting.blocks == blocks - 1 ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    api_close(&a);
    cr_expect_eq(counting.blocks, 0);
}

/* ---- Allocating nothing ---- */

#define STEADY_WARM 10000u /* changes after which there is no allocation */
#define STEADY_MORE 20000u
#define STEADY_ROWS 1000u /* in a transaction */

/* Inserts `n` tags, in transactions of STEADY_ROWS. */
static void insert_steadily(struct api_device *a, size_t n)
{
    for (size_t done = 0; done < n; done += STEADY_ROWS) {
        api_save_tags(a, STEADY_ROWS, 0);
    }
    API_OK(a->lib, syncline_flush(a->lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
}

static void check_steady(struct api_device *a)
{
    insert_steadily(a, STEADY_WARM);
    long calls = counting.calls;
    insert_steadily(a, STEADY_MORE);
    cr_expect_eq(counting.calls, calls, "%ld calls of the allocator", counting.calls - calls);
}

/* Once 10,000 changes are captured, resolved, serialized and in the log, more of them call the
 * allocator no more, on no thread: neither the engine's nor the application's. */
Test(api_allocator, steady)
{
    struct api_device a;
    api_create(&a, "a");
    open_surely(&a, NULL);
    check_steady(&a);
    api_close(&a);
}

/* What one thread of the application does: transactions of random size in which tags are inserted,
 * changed and deleted, some of them rolled back, and between them single calls in autocommit. */
struct steady_writer {
    struct api_device *device;
    pthread_t thread;
    unsigned random; /* its state */
    size_t changes;  /* to be made in this round */
    const char *failed;
    struct tag tags[300];
    struct syncline_uuid uuids[300];
};

#define STEADY_THREADS 4u

static unsigned steady_random(struct steady_writer *writer, unsigned below)
{
    writer->random = writer->random * 1664525u + 1013904223u;
    return (writer->random >> 8) % below;
}

/* Makes one change of the first n tags, on the connection and in the outbox. */
static bool steady_change(struct steady_writer *writer, sqlite3 *db, sqlite3_stmt *stmt, size_t n,
                          enum syncline_change change)
{
    struct syncline *lib = writer->device->lib;
    for (size_t i = 0; i < n; i++) {
        struct tag *tag = &writer->tags[i];
        (void)sqlite3_bind_blob(stmt, 1, tag->uuid.bytes, sizeof(tag->uuid.bytes), SQLITE_STATIC);
        if (sqlite3_step(stmt) != SQLITE_DONE || sqlite3_reset(stmt) != SQLITE_OK) {
            writer->failed = "a statement";
            return false;
        }
        tag->id = change == SYNCLINE_INSERT ? sqlite3_last_insert_rowid(db) : tag->id;
    }
    writer->changes -= n < writer->changes ? n : writer->changes;
    if (syncline_sync_models_batch(lib, &tag_model, writer->tags, n, change, db, NULL) !=
        SYNCLINE_OK) {
        writer->failed = "a capture";
    }
    return writer->failed == NULL;
}

static bool steady_transaction(struct steady_writer *writer, sqlite3 *db, sqlite3_stmt *stmts[3])
{
    size_t n = 1 + steady_random(writer, 300);
    bool alone = steady_random(writer, 4) == 0; /* in autocommit */
    n = alone ? 1 : n;
    if (syncline_uuid_new(writer->uuids, n) != SYNCLINE_OK ||
        (!alone && sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)) {
        writer->failed = "begin";
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        writer->tags[i] = (struct tag){.uuid = writer->uuids[i], .name = "of many"};
    }
    bool ok = steady_change(writer, db, stmts[0], n, SYNCLINE_INSERT);
    if (ok && steady_random(writer, 3) == 0) {
        ok = steady_change(writer, db, stmts[1], 1 + n / 2, SYNCLINE_UPDATE);
    }
    if (ok && steady_random(writer, 3) == 0) {
        ok = steady_change(writer, db, stmts[2], 1 + n / 3, SYNCLINE_DELETE);
    }
    const char *end = steady_random(writer, 8) == 0 ? "ROLLBACK" : "COMMIT";
    if (!alone && sqlite3_exec(db, end, NULL, NULL, NULL) != SQLITE_OK) {
        writer->failed = "end";
    }
    return ok && writer->failed == NULL;
}

/* Both rounds; the barrier is met before and after each. */
static pthread_barrier_t steady_barrier;

static void *steady_run(void *ctx)
{
    static const char *const sql[] = {
        "INSERT INTO tags(uuid,name) VALUES(?1,'of many')",
        "UPDATE tags SET name='of many' WHERE uuid=?1",
        "DELETE FROM tags WHERE uuid=?1",
    };
    struct steady_writer *writer = ctx;
    struct api_device *device = writer->device;
    sqlite3 *db = NULL;
    sqlite3_stmt *stmts[3] = {NULL};
    bool attached = writer->random % 2 == 0;
    if (sqlite3_open(device->db_path, &db) != SQLITE_OK ||
        sqlite3_busy_timeout(db, API_DEADLINE_MS) != SQLITE_OK ||
        (attached && syncline_attach(device->lib, db) != SYNCLINE_OK)) {
        writer->failed = "a connection";
    }
    for (size_t i = 0; i < 3 && writer->failed == NULL; i++) {
        writer->failed =
            sqlite3_prepare_v2(db, sql[i], -1, &stmts[i], NULL) == SQLITE_OK ? NULL : "sql";
    }
    for (int round = 0; round < 2; round++) {
        (void)pthread_barrier_wait(&steady_barrier);
        for (unsigned i = 1; writer->failed == NULL && writer->changes > 0; i++) {
            (void)steady_transaction(writer, db, stmts);
            /* What waits in the outbox is not kept in memory, but for which records are mentioned
             * again; so it must not become ever more. */
            if (i % 8 == 0 && syncline_flush(device->lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS,
                                             NULL) != SYNCLINE_OK) {
                writer->failed = "flush";
            }
        }
        (void)pthread_barrier_wait(&steady_barrier);
    }
    for (size_t i = 0; i < 3; i++) {
        (void)sqlite3_finalize(stmts[i]);
    }
    if (attached && syncline_detach(device->lib, db) != SYNCLINE_OK) {
        writer->failed = "detach";
    }
    (void)sqlite3_close(db);
    return NULL;
}

/* The same with four threads, all three changes, rollbacks, single calls in autocommit and a device
 * that everything is sent to. */
Test(api_allocator, steady_threads)
{
    static struct steady_writer writers[STEADY_THREADS];
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    open_surely(&a, NULL);
    api_join(&b, "b", a.address);
    api_open(&b, a.address);
    cr_assert_eq(pthread_barrier_init(&steady_barrier, NULL, STEADY_THREADS + 1), 0);
    for (unsigned i = 0; i < STEADY_THREADS; i++) {
        writers[i].device = &a;
        writers[i].random = i;
        cr_assert_eq(pthread_create(&writers[i].thread, NULL, steady_run, &writers[i]), 0);
    }
    long calls = 0;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < STEADY_THREADS; i++) {
            writers[i].changes = (round == 0 ? STEADY_WARM : STEADY_MORE) / STEADY_THREADS;
        }
        calls = counting.calls;
        (void)pthread_barrier_wait(&steady_barrier);
        (void)pthread_barrier_wait(&steady_barrier);
    }
    long more = counting.calls - calls;
    for (unsigned i = 0; i < STEADY_THREADS; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        cr_expect_null(writers[i].failed, "%u: %s", i, writers[i].failed);
    }
    cr_expect_eq(more, 0, "%ld calls of the allocator", more);
    api_settle(&a, &b);
    api_close(&a);
    api_close(&b);
    cr_expect_eq(api_differences(a.db_path, b.db_path), 0);
    (void)pthread_barrier_destroy(&steady_barrier);
}
