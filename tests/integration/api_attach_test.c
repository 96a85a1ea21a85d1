/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Attached connections: captures are the same with and without, misuse is refused, and whatever the
 * order in which connection and handle are closed, nothing is left and nothing is touched twice. */

#include <pthread.h>

#include "tests/integration/api.h"

TestSuite(api_attach, .init = api_setup, .fini = api_cleanup);

static void attach(struct api_device *device)
{
    API_OK(device->lib, syncline_attach(device->lib, device->db));
}

static void detach(struct api_device *device)
{
    API_OK(device->lib, syncline_detach(device->lib, device->db));
}

/* Inserts a tag inside the open transaction and captures that. */
static struct tag insert(struct api_device *device, const char *name)
{
    struct tag tag = api_tag(name);
    api_put_tag(device->db, &tag);
    api_capture(device, &tag_model, &tag, 1, SYNCLINE_INSERT);
    return tag;
}

/* ---- The same as without ---- */

/* Inserts, updates and deletes of both kinds of models, single and many, in one transaction and in
 * many, attached and not by turns: all arrive, and no hook or id of the connection is changed. */
Test(api_attach, captures)
{
    struct api_device a;
    struct api_device b;
    int mark = 0;
    api_pair(&a, &b);
    (void)sqlite3_commit_hook(a.db, NULL, &mark);
    for (int round = 0; round < 6; round++) {
        bool attached = round % 3 != 2;
        if (attached) {
            attach(&a);
        }
        api_sql(a.db, "BEGIN IMMEDIATE");
        struct tag first = insert(&a, "first");
        struct tag second = insert(&a, "second");
        api_sql(a.db, "COMMIT");
        struct folder folder = api_save_folder(&a, "folder", NULL);
        struct folder inner = api_save_folder(&a, "inner", &folder);
        if (round % 2 == 0) {
            api_settle(&a, &b); /* else births are not known yet when the next capture asks */
        }
        api_sql(a.db, "BEGIN IMMEDIATE");
        first.name = "changed";
        api_put_tag(a.db, &first);
        api_capture(&a, &tag_model, &first, 1, SYNCLINE_UPDATE);
        api_delete(a.db, "tags", &second.uuid);
        api_capture(&a, &tag_model, &second, 1, SYNCLINE_DELETE);
        api_delete(a.db, "folders", &inner.uuid);
        int64_t last_rowid = sqlite3_last_insert_rowid(a.db);
        api_capture(&a, &folder_model, &inner, 1, SYNCLINE_DELETE);
        cr_expect_eq(sqlite3_last_insert_rowid(a.db), last_rowid);
        api_sql(a.db, "COMMIT");
        api_save_tags(&a, 700, 100);
        struct tag alone = api_tag("in autocommit");
        api_put_tag(a.db, &alone);
        api_capture(&a, &tag_model, &alone, 1, SYNCLINE_INSERT);
        if (attached) {
            detach(&a);
        }
    }
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='changed'"), 6);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 6 * 702);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM folders"), 6);
    api_check_equal(&a, &b);
    cr_expect_eq(sqlite3_commit_hook(a.db, NULL, NULL), &mark);
    api_close(&a);
    api_close(&b);
}

/* Attached or detached inside a transaction, whose captures stay what they are: rolled back with
 * it, with a savepoint, or committed. */
Test(api_attach, inside_a_transaction)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_sql(a.db, "BEGIN IMMEDIATE");
    (void)insert(&a, "kept");
    attach(&a);
    (void)insert(&a, "kept");
    api_sql(a.db, "SAVEPOINT one");
    (void)insert(&a, "gone");
    detach(&a);
    (void)insert(&a, "gone");
    api_sql(a.db, "ROLLBACK TO one");
    attach(&a);
    (void)insert(&a, "kept");
    detach(&a);
    api_sql(a.db, "COMMIT");
    attach(&a);
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct tag gone = insert(&a, "gone");
    api_delete(a.db, "tags", &gone.uuid);
    api_capture(&a, &tag_model, &gone, 1, SYNCLINE_DELETE);
    detach(&a);
    api_sql(a.db, "ROLLBACK");
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='kept'"), 3);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 3);
    cr_expect_eq(api_info(&a).own_seq, 3);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* Rollbacks of transactions and savepoints between captures by the same kept statements: exactly
 * what was committed arrives, updates and deletes among it. */
Test(api_attach, rollbacks)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    attach(&a);
    struct tag tag = api_tag("as inserted");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    for (int round = 0; round < 30; round++) {
        api_sql(a.db, "BEGIN IMMEDIATE");
        struct tag changed = tag;
        changed.name = "never";
        api_put_tag(a.db, &changed);
        api_capture(&a, &tag_model, &changed, 1, SYNCLINE_UPDATE);
        api_sql(a.db, "SAVEPOINT inner_one");
        api_delete(a.db, "tags", &tag.uuid);
        api_capture(&a, &tag_model, &tag, 1, SYNCLINE_DELETE);
        (void)insert(&a, "gone");
        api_sql(a.db, round % 2 == 0 ? "ROLLBACK TO inner_one" : "ROLLBACK");
        if (round % 2 == 0) {
            changed.name = "kept";
            api_put_tag(a.db, &changed);
            api_capture(&a, &tag_model, &changed, 1, SYNCLINE_UPDATE);
            (void)insert(&a, "kept too");
            api_sql(a.db, "COMMIT");
        }
        if (round % 7 == 0) {
            api_settle(&a, &b);
            cr_assert(api_tag_is(b.db, &tag.uuid, "kept"));
        }
    }
    api_settle(&a, &b);
    cr_expect(api_tag_is(b.db, &tag.uuid, "kept"));
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='kept too'"), 15);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 16);
    api_check_equal(&a, &b);
    detach(&a);
    api_close(&a);
    api_close(&b);
}

/* A refused capture leaves the transaction as it was, and the next one with the same statements and
 * buffers is whole. */
Test(api_attach, refused_captures)
{
    struct api_device a;
    struct api_device b;
    static char big[1024 * 1024 + 1];
    api_pair(&a, &b);
    struct folder foreign = api_save_folder(&a, "of A", NULL);
    api_settle(&a, &b);
    foreign.id = api_id(b.db, "folders", &foreign.uuid);
    attach(&b);
    api_sql(b.db, "BEGIN IMMEDIATE");
    struct folder both[2] = {api_new_folder("of B", NULL), foreign};
    api_put_folder(b.db, &both[0]);
    static const enum syncline_change changes[] = {SYNCLINE_UPDATE, SYNCLINE_DELETE};
    for (int i = 0; i < 2; i++) {
        API_REFUSED(
            b.lib,
            syncline_sync_models_batch(b.lib, &folder_model, both, 2, changes[i], b.db, NULL),
            SYNCLINE_EREFUSED, "another device");
    }
    struct tag tag = api_tag("too big");
    memset(big, 'x', sizeof(big));
    tag.note = (struct syncline_text){.data = big, .len = sizeof(big)};
    API_REFUSED(b.lib, syncline_sync_model_with_db(b.lib, &tag_model, &tag, SYNCLINE_INSERT, b.db),
                SYNCLINE_ETOOBIG, "1048584 bytes");
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    api_capture(&b, &folder_model, &both[0], 1, SYNCLINE_INSERT);
    both[0].name = (struct syncline_bytes){.data = "new name", .len = 8};
    api_put_folder(b.db, &both[0]);
    api_capture(&b, &folder_model, &both[0], 1, SYNCLINE_UPDATE);
    api_sql(b.db, "COMMIT");
    detach(&b);
    api_settle(&a, &b);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM folders WHERE name=CAST('new name' AS BLOB)"),
                 1);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* The schema changes under the kept statements - by this connection, inside the transaction, by
 * another one, and by VACUUM: they are prepared again, and captures go on. */
Test(api_attach, schema_changes)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    attach(&a);
    sqlite3 *other = api_db_open(a.db_path);
    for (int round = 0; round < 4; round++) {
        char sql[160];
        struct tag tag = api_tag("tag");
        api_save_tag(&a, &tag, SYNCLINE_INSERT);
        (void)snprintf(sql, sizeof(sql),
                       "CREATE TABLE mine%d(x); ALTER TABLE tags ADD COLUMN more%d TEXT;"
                       "CREATE INDEX tags%d ON tags(name)",
                       round, round, round);
        api_sql(round % 2 == 0 ? a.db : other, sql);
        api_save_tag(&a, &tag, SYNCLINE_UPDATE);
        api_sql(a.db, "BEGIN IMMEDIATE");
        (void)insert(&a, "before");
        (void)snprintf(sql, sizeof(sql), "DROP TABLE mine%d; ALTER TABLE tags DROP COLUMN more%d",
                       round, round);
        api_sql(a.db, sql);
        struct tag gone = insert(&a, "after");
        api_delete(a.db, "tags", &gone.uuid);
        api_capture(&a, &tag_model, &gone, 1, SYNCLINE_DELETE);
        api_sql(a.db, "COMMIT");
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    }
    api_settle(&a, &b);
    api_sql(a.db, "VACUUM");
    (void)api_save_folder(&a, "after VACUUM", NULL);
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 8);
    api_check_equal(&a, &b);
    detach(&a);
    cr_assert_eq(sqlite3_close(other), SQLITE_OK);
    api_close(&a);
    api_close(&b);
}

/* ---- Misuse ---- */

/* What cannot be attached is refused by name, and nothing is kept on it; what is attached is so
 * once, and what is not cannot be detached. */
Test(api_attach, refused)
{
    struct api_device a;
    struct api_device b;
    sqlite3 *memory = NULL;
    sqlite3 *reader = NULL;
    api_create(&a, "a");
    api_create(&b, "b");
    cr_expect_eq(syncline_attach(NULL, a.db), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_detach(NULL, a.db), SYNCLINE_EINVAL);
    api_open_alone(&a);
    API_REFUSED(a.lib, syncline_attach(a.lib, NULL), SYNCLINE_EINVAL, "no connection");
    API_REFUSED(a.lib, syncline_detach(a.lib, NULL), SYNCLINE_ENOTFOUND, "not attached");
    API_REFUSED(a.lib, syncline_attach(a.lib, b.db), SYNCLINE_EINVAL, "b/library.db'");
    cr_assert_eq(sqlite3_open(":memory:", &memory), SQLITE_OK);
    API_REFUSED(a.lib, syncline_attach(a.lib, memory), SYNCLINE_EINVAL, "the connection is to ''");
    char sql[API_PATH_SIZE + 32];
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS library", a.db_path);
    api_sql(memory, sql);
    API_REFUSED(a.lib, syncline_attach(a.lib, memory), SYNCLINE_EINVAL,
                "and not to this library's");
    cr_assert_eq(sqlite3_open_v2(a.db_path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    API_REFUSED(a.lib, syncline_attach(a.lib, reader), SYNCLINE_EINVAL, "read-only");
    cr_expect_null(sqlite3_next_stmt(memory, NULL));
    cr_expect_null(sqlite3_next_stmt(reader, NULL));
    cr_expect_null(sqlite3_next_stmt(b.db, NULL));

    API_REFUSED(a.lib, syncline_detach(a.lib, a.db), SYNCLINE_ENOTFOUND, "not attached");
    cr_expect_null(sqlite3_next_stmt(a.db, NULL));
    attach(&a);
    API_REFUSED(a.lib, syncline_attach(a.lib, a.db), SYNCLINE_EEXIST, "attached already");
    struct tag tag = api_tag("tag");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    detach(&a);
    API_REFUSED(a.lib, syncline_detach(a.lib, a.db), SYNCLINE_ENOTFOUND, "not attached");
    cr_expect_null(sqlite3_next_stmt(a.db, NULL));
    cr_assert_eq(sqlite3_close(memory), SQLITE_OK);
    cr_assert_eq(sqlite3_close(reader), SQLITE_OK);
    api_close(&a);
    api_close(&b);
}

/* A file has one name, by whatever way a connection came to it: a link to the folder, a path with
 * dots, a URI. */
Test(api_attach, one_file_by_many_names)
{
    struct api_device a;
    char path[3][API_PATH_SIZE + 64];
    api_create(&a, "a");
    api_open_alone(&a);
    cr_assert_eq(symlink(a.dir, api_path("link")), 0);
    (void)snprintf(path[0], sizeof(path[0]), "%s/library.db", api_path("link"));
    (void)snprintf(path[1], sizeof(path[1]), "%s/../a/./library.db", a.dir);
    (void)snprintf(path[2], sizeof(path[2]), "file:%s?mode=rw", a.db_path);
    for (int i = 0; i < 3; i++) {
        sqlite3 *db = NULL;
        cr_assert_eq(sqlite3_open_v2(path[i], &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, NULL),
                     SQLITE_OK);
        API_OK(a.lib, syncline_attach(a.lib, db));
        API_OK(a.lib, syncline_detach(a.lib, db));
        cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    }
    api_close(&a);
    api_name(&a, "link"); /* the library by the link, the connection by the folder */
    a.db = api_db_open(api_path("a/library.db"));
    api_open_alone(&a);
    attach(&a);
    detach(&a);
    api_close(&a);
}

/* Each handle has its own: a connection may be attached to two, and captures go to the one that is
 * called. */
Test(api_attach, two_handles)
{
    struct api_device a;
    struct syncline_options options = api_options();
    struct syncline *second = NULL;
    api_create(&a, "a");
    api_open_alone(&a);
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &second), SYNCLINE_OK, "%s", api_text);
    attach(&a);
    API_REFUSED(second, syncline_detach(second, a.db), SYNCLINE_ENOTFOUND, "to this handle");
    API_OK(second, syncline_attach(second, a.db));
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct tag tag = insert(&a, "by the first");
    tag.name = "by the second";
    api_put_tag(a.db, &tag);
    API_OK(second, syncline_sync_model_with_db(second, &tag_model, &tag, SYNCLINE_UPDATE, a.db));
    api_sql(a.db, "COMMIT");
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 2);
    API_OK(second, syncline_detach(second, a.db));
    syncline_close(second);
    detach(&a);
    api_close(&a);
}

/* ---- Threads ---- */

struct thread {
    struct api_device *device;
    int flags; /* of sqlite3_open_v2, for a thread that opens a connection */
    sqlite3 *db;
    enum syncline_status statuses[4];
};

static void *call_from_another_thread(void *arg)
{
    struct thread *thread = arg;
    struct api_device *device = thread->device;
    struct tag tag = api_tag("from another thread");
    for (int i = 0; i < 2; i++) {
        thread->statuses[i] =
            syncline_sync_model_with_db(device->lib, &tag_model, &tag, SYNCLINE_INSERT, device->db);
        api_sql(device->db, i == 0 ? "BEGIN" : "COMMIT");
    }
    thread->statuses[2] = syncline_detach(device->lib, device->db);
    thread->statuses[3] = syncline_attach(device->lib, device->db);
    return NULL;
}

static void run_thread(void *(*work)(void *), struct thread *thread)
{
    pthread_t id;
    cr_assert_eq(pthread_create(&id, NULL, work, thread), 0);
    cr_assert_eq(pthread_join(id, NULL), 0);
}

/* A call with an attached connection from another thread is refused, in a transaction and outside
 * of one; that thread may take the connection over by detaching and attaching it, and then the
 * first one is refused. */
Test(api_attach, another_thread)
{
    struct api_device a;
    struct thread thread = {.device = &a};
    api_create(&a, "a");
    api_open_alone(&a);
    attach(&a);
    run_thread(call_from_another_thread, &thread);
    cr_expect_eq(thread.statuses[0], SYNCLINE_EINVAL);
    cr_expect_eq(thread.statuses[1], SYNCLINE_EINVAL);
    cr_expect_eq(thread.statuses[2], SYNCLINE_OK);
    cr_expect_eq(thread.statuses[3], SYNCLINE_OK);
    struct tag tag = api_tag("tag");
    API_REFUSED(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &tag, SYNCLINE_INSERT, a.db),
                SYNCLINE_EINVAL, "attached by another thread");
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    detach(&a);
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 1);
    api_close(&a);
}

#define TRANSACTIONS 150

/* A thread with a connection of its own, attached, that writes and now and then rolls back. */
static void *write_attached(void *arg)
{
    struct thread *thread = arg;
    struct api_device mine = *thread->device;
    mine.db = api_db_open(mine.db_path);
    attach(&mine);
    for (int i = 0; i < TRANSACTIONS; i++) {
        api_sql(mine.db, "BEGIN IMMEDIATE");
        struct tag tag = insert(&mine, "of a thread");
        tag.color = api_opt(i);
        api_put_tag(mine.db, &tag);
        api_capture(&mine, &tag_model, &tag, 1, SYNCLINE_UPDATE);
        api_sql(mine.db, i % 3 == 2 ? "ROLLBACK" : "COMMIT");
    }
    detach(&mine);
    cr_assert_eq(sqlite3_close(mine.db), SQLITE_OK);
    return NULL;
}

/* Two threads, each with its own connection attached to the one handle, write at once: what they
 * committed arrives, and nothing else. */
Test(api_attach, two_threads)
{
    struct api_device a;
    struct api_device b;
    struct thread threads[2] = {{.device = &a}, {.device = &a}};
    pthread_t ids[2];
    api_pair(&a, &b);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&ids[i], NULL, write_attached, &threads[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(ids[i], NULL), 0);
    }
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE color IS NOT NULL"),
                 2 * TRANSACTIONS / 3 * 2);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 2 * TRANSACTIONS / 3 * 2);
    /* Two changes of each record; one of those for which there was no batch, and that were read. */
    uint64_t own_seq = api_info(&a).own_seq;
    cr_expect(own_seq >= 2 * TRANSACTIONS / 3 * 2 && own_seq <= 2 * TRANSACTIONS / 3 * 4);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* ---- Closing ---- */

/* An attached connection cannot be closed, and works on; once it is detached it can. */
Test(api_attach, connection_closed_first)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    attach(&a);
    cr_expect_eq(sqlite3_close(a.db), SQLITE_BUSY);
    struct tag tag = api_tag("tag");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    cr_expect_eq(sqlite3_close(a.db), SQLITE_BUSY);
    detach(&a);
    cr_expect_eq(sqlite3_close(a.db), SQLITE_OK);

    /* By close_v2 it lives on unseen, until it is detached or the handle is closed. */
    sqlite3 *dbs[2] = {api_db_open(a.db_path), api_db_open(a.db_path)};
    for (int i = 0; i < 2; i++) {
        API_OK(a.lib, syncline_attach(a.lib, dbs[i]));
        cr_assert_eq(sqlite3_close_v2(dbs[i]), SQLITE_OK);
    }
    API_OK(a.lib, syncline_detach(a.lib, dbs[0]));
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_stop(&a);
}

/* Closing the handle detaches what is left, inside a transaction too. */
Test(api_attach, handle_closed_first)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    attach(&a);
    struct tag tag = api_tag("tag");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    api_sql(a.db, "BEGIN IMMEDIATE");
    (void)insert(&a, "committed after the handle was closed");
    api_stop(&a);
    cr_expect_null(sqlite3_next_stmt(a.db, NULL));
    api_sql(a.db, "COMMIT");
    cr_expect_eq(sqlite3_close(a.db), SQLITE_OK);
    api_db(&a);
    api_open_alone(&a);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 2);
    api_close(&a);
}

static void *attach_and_end(void *arg)
{
    struct thread *thread = arg;
    cr_assert_eq(sqlite3_open_v2(thread->device->db_path, &thread->db,
                                 SQLITE_OPEN_READWRITE | thread->flags, NULL),
                 SQLITE_OK);
    thread->statuses[0] = syncline_attach(thread->device->lib, thread->db);
    return NULL;
}

/* Closing the handle detaches connections of other threads only if SQLite guards them by a mutex:
 * others keep our statements, and SQLite says so when they are closed. */
Test(api_attach, handle_closed_by_another_thread)
{
    struct api_device a;
    struct thread guarded = {.device = &a, .flags = SQLITE_OPEN_FULLMUTEX};
    struct thread bare = {.device = &a, .flags = SQLITE_OPEN_NOMUTEX};
    struct thread detached = bare;
    api_create(&a, "a");
    api_open_alone(&a);
    run_thread(attach_and_end, &guarded);
    run_thread(attach_and_end, &bare);
    run_thread(attach_and_end, &detached);
    cr_assert(guarded.statuses[0] == SYNCLINE_OK && bare.statuses[0] == SYNCLINE_OK);
    API_OK(a.lib, syncline_detach(a.lib, detached.db)); /* its thread is gone: it is ours now */
    api_stop(&a);
    cr_expect_eq(sqlite3_close(guarded.db), SQLITE_OK);
    cr_expect_eq(sqlite3_close(detached.db), SQLITE_OK);
    cr_expect_eq(sqlite3_close(bare.db), SQLITE_BUSY);
    cr_expect_eq(api_int(bare.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    for (sqlite3_stmt *stmt = sqlite3_next_stmt(bare.db, NULL); stmt != NULL;
         stmt = sqlite3_next_stmt(bare.db, NULL)) {
        (void)sqlite3_finalize(stmt); /* the handle is gone, so nobody else will */
    }
    cr_expect_eq(sqlite3_close(bare.db), SQLITE_OK);
    cr_expect_eq(sqlite3_close(a.db), SQLITE_OK);
}
