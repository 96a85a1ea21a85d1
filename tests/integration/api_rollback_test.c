/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A capture belongs to its transaction: ROLLBACK and ROLLBACK TO leave nothing of it, whatever ids
 * are used again afterwards, and what is committed arrives, all of it. */

#include <pthread.h>

#include "tests/integration/api.h"

TestSuite(api_rollback, .init = api_setup, .fini = api_cleanup);

static void capture(struct api_device *device, const struct tag *tag, enum syncline_change change)
{
    API_OK(device->lib,
           syncline_sync_model_with_db(device->lib, &tag_model, tag, change, device->db));
}

/* Inserts a tag and captures that, inside the transaction that is open. */
static struct tag insert(struct api_device *device, const char *name, int64_t id)
{
    struct tag tag = api_tag(name);
    tag.id = id;
    api_put_tag(device->db, &tag);
    capture(device, &tag, SYNCLINE_INSERT);
    return tag;
}

static int64_t outbox_max(struct api_device *device)
{
    return api_int(device->db, "SELECT max(id) FROM _syncline_outbox");
}

/* Nothing of a transaction that was rolled back arrives, with the same row id and the same outbox
 * id used again at once by one that is committed, round after round. */
Test(api_rollback, ids_used_again)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    for (int round = 0; round < 50; round++) {
        api_sql(a.db, "BEGIN IMMEDIATE");
        struct tag gone = insert(&a, "gone", round + 1);
        int64_t gone_outbox = outbox_max(&a);
        api_sql(a.db, "ROLLBACK");
        api_sql(a.db, "BEGIN IMMEDIATE");
        struct tag kept = insert(&a, "kept", round + 1);
        cr_assert_eq(outbox_max(&a), gone_outbox, "the outbox id was not used again");
        api_sql(a.db, "COMMIT");
        cr_assert_eq(gone.id, kept.id);
        if (round % 10 == 0) {
            api_settle(&a, &b);
            cr_expect_not(api_has(b.db, "tags", &gone.uuid));
            cr_expect(api_has(b.db, "tags", &kept.uuid));
        }
    }
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='kept'"), 50);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 50);
    cr_expect_eq(api_info(&a).own_seq, 50);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* The last thing that happens is a rollback: its batch is not sent, now or with the next open. */
Test(api_rollback, rolled_back_last)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct tag kept = insert(&a, "kept", 0);
    api_sql(a.db, "COMMIT");
    api_sql(a.db, "BEGIN IMMEDIATE");
    (void)insert(&a, "gone", 0);
    api_sql(a.db, "ROLLBACK");
    api_settle(&a, &b);
    cr_expect_eq(api_info(&a).own_seq, 1);
    cr_expect_eq(api_info(&a).outbox, 0);
    api_stop(&a);
    api_open(&a, NULL);
    api_settle(&a, &b);
    cr_expect_eq(api_info(&a).own_seq, 1);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 1);
    cr_expect(api_has(b.db, "tags", &kept.uuid));
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* ROLLBACK TO takes back what was captured since its savepoint, and no more: before, between and
 * after arrive, with row ids and outbox ids used again inside one transaction. */
Test(api_rollback, savepoints)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_sql(a.db, "BEGIN IMMEDIATE");
    (void)insert(&a, "kept", 1);
    api_sql(a.db, "SAVEPOINT one");
    (void)insert(&a, "gone", 2);
    int64_t used = outbox_max(&a);
    api_sql(a.db, "ROLLBACK TO one");
    (void)insert(&a, "kept", 2);
    cr_assert_eq(outbox_max(&a), used);
    api_sql(a.db, "SAVEPOINT two");
    (void)insert(&a, "kept", 3);
    api_sql(a.db, "RELEASE two");
    api_sql(a.db, "SAVEPOINT three; SAVEPOINT four");
    (void)insert(&a, "gone", 4);
    api_sql(a.db, "RELEASE four");
    (void)insert(&a, "gone", 5);
    api_sql(a.db, "ROLLBACK TO three; RELEASE three");
    (void)insert(&a, "kept", 4);
    api_sql(a.db, "RELEASE one; COMMIT");
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='kept'"), 4);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 4);
    api_check_equal(&a, &b);

    /* A savepoint that is the transaction itself. */
    api_sql(a.db, "SAVEPOINT all_of_it");
    (void)insert(&a, "gone", 0);
    api_sql(a.db, "ROLLBACK TO all_of_it; RELEASE all_of_it");
    api_sql(a.db, "SAVEPOINT all_of_it");
    (void)insert(&a, "kept", 0);
    api_sql(a.db, "RELEASE all_of_it");
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='kept'"), 5);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 5);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* Updates and deletes that are rolled back leave the record, and its name for later changes, as
 * they were. */
Test(api_rollback, updates_and_deletes)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag tag = api_tag("as inserted");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    api_settle(&a, &b);
    for (int round = 0; round < 20; round++) {
        api_sql(a.db, "BEGIN IMMEDIATE");
        struct tag changed = tag;
        changed.name = "never";
        api_put_tag(a.db, &changed);
        capture(&a, &changed, SYNCLINE_UPDATE);
        if (round % 2 == 0) {
            api_sql(a.db, "SAVEPOINT inner_one");
        }
        api_delete(a.db, "tags", &tag.uuid);
        capture(&a, &tag, SYNCLINE_DELETE);
        if (round % 2 == 0) {
            api_sql(a.db, "ROLLBACK TO inner_one");
            capture(&a, &changed, SYNCLINE_UPDATE);
        }
        api_sql(a.db, "ROLLBACK");
        if (round % 5 == 0) {
            struct tag other = api_tag("other");
            api_save_tag(&a, &other, SYNCLINE_INSERT);
            api_settle(&a, &b);
            cr_assert(api_tag_is(b.db, &tag.uuid, "as inserted"));
        }
    }
    tag.name = "changed";
    api_save_tag(&a, &tag, SYNCLINE_UPDATE);
    api_settle(&a, &b);
    cr_expect(api_tag_is(b.db, &tag.uuid, "changed"));
    api_save_tag(&a, &tag, SYNCLINE_DELETE);
    api_settle(&a, &b);
    cr_expect_not(api_has(b.db, "tags", &tag.uuid));
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* A capture keeps last_insert_rowid of the connection, whatever it does there. */
Test(api_rollback, last_insert_rowid)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    for (int round = 0; round < 5; round++) { /* the later ones settle what the first have logged */
        api_sql(a.db, "BEGIN IMMEDIATE");
        struct tag tag = api_tag("tag");
        tag.id = 1000 + round;
        api_put_tag(a.db, &tag);
        cr_assert_eq(sqlite3_last_insert_rowid(a.db), tag.id);
        capture(&a, &tag, SYNCLINE_INSERT);
        cr_expect_eq(sqlite3_last_insert_rowid(a.db), tag.id);
        capture(&a, &tag, SYNCLINE_UPDATE);
        cr_expect_eq(sqlite3_last_insert_rowid(a.db), tag.id);
        api_sql(a.db, "COMMIT");
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
        api_sql(a.db, "BEGIN IMMEDIATE");
        api_delete(a.db, "tags", &tag.uuid);
        capture(&a, &tag, SYNCLINE_DELETE);
        cr_expect_eq(sqlite3_last_insert_rowid(a.db), tag.id);
        api_sql(a.db, "COMMIT");
        tag = api_tag("in autocommit");
        api_put_tag(a.db, &tag);
        capture(&a, &tag, SYNCLINE_INSERT);
        cr_expect_eq(sqlite3_last_insert_rowid(a.db), tag.id);
    }
    api_close(&a);
}

/* A capture that fails - a record too big, one of a foreign owner, a model nobody gave - leaves the
 * transaction as it was, and usable. */
Test(api_rollback, failed_capture)
{
    struct api_device a;
    struct api_device b;
    static char big[1024 * 1024 + 1];
    api_pair(&a, &b);
    struct folder foreign = api_new_folder("of A", NULL);
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_folder(a.db, &foreign);
    API_OK(a.lib,
           syncline_sync_model_with_db(a.lib, &folder_model, &foreign, SYNCLINE_INSERT, a.db));
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);

    api_sql(b.db, "BEGIN IMMEDIATE");
    (void)insert(&b, "before", 0);
    int64_t outbox = outbox_max(&b);
    int64_t rows = api_int(b.db, "SELECT count(*) FROM _syncline_outbox");
    struct tag tags[3] = {api_tag("first"), api_tag(NULL), api_tag("third")};
    memset(big, 'x', sizeof(big));
    tags[1].note = (struct syncline_text){.data = big, .len = sizeof(big)};
    int64_t rowid = sqlite3_last_insert_rowid(b.db);
    API_REFUSED(b.lib,
                syncline_sync_models_batch(b.lib, &tag_model, tags, 3, SYNCLINE_INSERT, b.db, NULL),
                SYNCLINE_ETOOBIG, "1048577");
    foreign.id = api_id(b.db, "folders", &foreign.uuid);
    struct folder own = api_new_folder("of B", NULL);
    api_put_folder(b.db, &own);
    rowid = sqlite3_last_insert_rowid(b.db);
    struct folder both[2] = {own, foreign};
    API_REFUSED(
        b.lib,
        syncline_sync_models_batch(b.lib, &folder_model, both, 2, SYNCLINE_UPDATE, b.db, NULL),
        SYNCLINE_EREFUSED, "another device");
    API_REFUSED(
        b.lib,
        syncline_sync_models_batch(b.lib, &folder_model, both, 2, SYNCLINE_DELETE, b.db, NULL),
        SYNCLINE_EREFUSED, "another device");
    static const struct syncline_model stranger =
        SYNCLINE_MODEL("tag", "tags", SYNCLINE_SHARED, struct tag, tag_fields);
    API_REFUSED(b.lib, syncline_sync_model_with_db(b.lib, &stranger, tags, SYNCLINE_INSERT, b.db),
                SYNCLINE_EMODEL, "model");
    cr_expect_eq(sqlite3_get_autocommit(b.db), 0, "the transaction is gone");
    cr_expect_eq(sqlite3_last_insert_rowid(b.db), rowid);
    cr_expect_eq(outbox_max(&b), outbox);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM _syncline_outbox"), rows);
    API_OK(b.lib, syncline_sync_model_with_db(b.lib, &folder_model, &own, SYNCLINE_INSERT, b.db));
    (void)insert(&b, "after", 0);
    api_sql(b.db, "COMMIT");

    api_settle(&a, &b);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 2);
    cr_expect(api_has(a.db, "folders", &own.uuid));
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* A transaction that only reads cannot take the capture: the text says so, and nothing is lost. */
Test(api_rollback, no_write_lock)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    sqlite3 *other = api_db_open(a.db_path);
    struct tag tag = api_tag("tag");
    (void)sqlite3_busy_timeout(a.db, 0);
    api_sql(other, "BEGIN IMMEDIATE");
    api_sql(a.db, "BEGIN");
    API_REFUSED(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &tag, SYNCLINE_INSERT, a.db),
                SYNCLINE_EBUSY, "locked");
    cr_expect_eq(sqlite3_get_autocommit(a.db), 0);
    api_sql(other, "COMMIT");
    (void)insert(&a, "afterwards", 0);
    api_sql(a.db, "COMMIT");
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 1);
    cr_assert_eq(sqlite3_close(other), SQLITE_OK);
    api_close(&a);
}

/* ---- Several threads ---- */

#define THREADS 4
#define TRANSACTIONS 120

/* A thread that captures on a connection of its own. */
struct writer {
    struct api_device device; /* the shared handle, an own connection */
    uint64_t seed;
    pthread_t thread;
    char wrong[600]; /* what went wrong, for the main thread to say */
};

static uint64_t draw(struct writer *writer, uint64_t below)
{
    writer->seed = writer->seed * 6364136223846793005u + 1442695040888963407u;
    return (writer->seed >> 33) % below;
}

static bool sql_went(struct writer *writer, const char *sql)
{
    if (sqlite3_exec(writer->device.db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        (void)snprintf(writer->wrong, sizeof(writer->wrong), "%s: %s", sql,
                       sqlite3_errmsg(writer->device.db));
    }
    return writer->wrong[0] == '\0';
}

static void captured(struct writer *writer, enum syncline_status status)
{
    if (status != SYNCLINE_OK) {
        int len =
            snprintf(writer->wrong, sizeof(writer->wrong), "%s: ", syncline_status_name(status));
        syncline_error(writer->device.lib, writer->wrong + len,
                       sizeof(writer->wrong) - (size_t)len);
    }
}

/* Runs a statement with the folder's id, UUID, parent and name as parameters; without any row to
 * give back. */
static void run_folder(struct writer *writer, const char *sql, struct folder *folder)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(writer->device.db, sql, -1, &stmt, NULL) == SQLITE_OK) {
        api_bind_id(stmt, 1, folder->id);
        api_bind_uuid(stmt, 2, &folder->uuid);
        api_bind_opt(stmt, 3, folder->parent_id);
        api_bind_blob(stmt, 4, folder->name);
        (void)sqlite3_step(stmt);
    }
    if (sqlite3_finalize(stmt) != SQLITE_OK) {
        (void)snprintf(writer->wrong, sizeof(writer->wrong), "%s: %s", sql,
                       sqlite3_errmsg(writer->device.db));
    }
}

/* Some folder; a leaf if asked for. */
static bool pick(struct writer *writer, bool leaf, struct folder *folder)
{
    static const char any[] = "SELECT id,uuid,parent_id FROM folders ORDER BY id LIMIT 1 OFFSET"
                              " ?1%(1+(SELECT count(*) FROM folders))";
    static const char leaves[] =
        "SELECT id,uuid,parent_id FROM folders f WHERE NOT EXISTS(SELECT 1 FROM folders c WHERE"
        " c.parent_id=f.id) ORDER BY id LIMIT 1 OFFSET ?1%(1+(SELECT count(*) FROM folders)/2)";
    sqlite3_stmt *stmt = NULL;
    bool found = false;
    if (sqlite3_prepare_v2(writer->device.db, leaf ? leaves : any, -1, &stmt, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, (int64_t)draw(writer, 1000));
        found = sqlite3_step(stmt) == SQLITE_ROW;
    }
    if (found) {
        memset(folder, 0, sizeof(*folder));
        folder->id = sqlite3_column_int64(stmt, 0);
        memcpy(folder->uuid.bytes, sqlite3_column_blob(stmt, 1), 16);
        folder->parent_id.is_set = sqlite3_column_type(stmt, 2) != SQLITE_NULL;
        folder->parent_id.value = sqlite3_column_int64(stmt, 2);
    }
    (void)sqlite3_finalize(stmt);
    return found;
}

static void insert_folders(struct writer *writer)
{
    struct folder folders[12];
    struct folder parent;
    size_t n = 1 + draw(writer, 12);
    for (size_t i = 0; i < n && writer->wrong[0] == '\0'; i++) {
        memset(&folders[i], 0, sizeof(folders[i]));
        folders[i].name = (struct syncline_bytes){.data = "new", .len = 3};
        if (syncline_uuid_new(&folders[i].uuid, 1) != SYNCLINE_OK) {
            (void)snprintf(writer->wrong, sizeof(writer->wrong), "no UUID");
            return;
        }
        if (pick(writer, false, &parent)) {
            folders[i].parent_id = (struct syncline_opt_int64){.value = parent.id, .is_set = true};
        }
        run_folder(writer, "INSERT INTO folders(id,uuid,parent_id,name) VALUES(?1,?2,?3,?4)",
                   &folders[i]);
        folders[i].id = sqlite3_last_insert_rowid(writer->device.db);
    }
    if (writer->wrong[0] == '\0') {
        captured(writer, syncline_sync_models_batch(writer->device.lib, &folder_model, folders, n,
                                                    SYNCLINE_INSERT, writer->device.db, NULL));
    }
}

static void change_folder(struct writer *writer, enum syncline_change change)
{
    struct folder folder;
    char name[24];
    if (!pick(writer, change == SYNCLINE_DELETE, &folder)) {
        return;
    }
    int len = snprintf(name, sizeof(name), "name %d", (int)draw(writer, 100000));
    folder.name = (struct syncline_bytes){.data = name, .len = (size_t)len};
    run_folder(writer,
               change == SYNCLINE_DELETE ? "DELETE FROM folders WHERE id=?1 AND uuid=?2"
                                         : "UPDATE folders SET name=?4 WHERE id=?1 AND uuid=?2",
               &folder);
    if (writer->wrong[0] == '\0') {
        captured(writer, syncline_sync_model_with_db(writer->device.lib, &folder_model, &folder,
                                                     change, writer->device.db));
    }
}

static void change_something(struct writer *writer)
{
    switch (draw(writer, 5)) {
    case 0:
    case 1:
        insert_folders(writer);
        return;
    case 2:
    case 3:
        change_folder(writer, SYNCLINE_UPDATE);
        return;
    default:
        change_folder(writer, SYNCLINE_DELETE);
    }
}

static void *write_at_random(void *arg)
{
    struct writer *writer = arg;
    for (int i = 0; i < TRANSACTIONS && sql_went(writer, "BEGIN IMMEDIATE"); i++) {
        for (uint64_t left = 1 + draw(writer, 3); left > 0 && writer->wrong[0] == '\0'; left--) {
            change_something(writer);
            if (draw(writer, 3) == 0 && sql_went(writer, "SAVEPOINT inner_one")) {
                change_something(writer);
                const char *end = draw(writer, 2) == 0 ? "RELEASE inner_one"
                                                       : "ROLLBACK TO inner_one; RELEASE inner_one";
                if (writer->wrong[0] == '\0' && !sql_went(writer, end)) {
                    return NULL;
                }
            }
        }
        if (writer->wrong[0] != '\0' ||
            !sql_went(writer, draw(writer, 2) == 0 ? "ROLLBACK" : "COMMIT")) {
            break;
        }
    }
    return NULL;
}

/* Four threads commit and roll back at random, on connections of their own, inserting, updating and
 * deleting the nodes of one tree: the other device ends with exactly what was committed. */
Test(api_rollback, threads)
{
    static struct writer writers[THREADS];
    const char *given = getenv("SYNCLINE_TEST_SEED");
    struct syncline_uuid random;
    struct api_device a;
    struct api_device b;
    cr_assert_eq(syncline_uuid_new(&random, 1), SYNCLINE_OK);
    uint64_t seed = 0;
    memcpy(&seed, random.bytes + 8, 4);
    seed = given != NULL ? strtoull(given, NULL, 10) : seed;
    (void)fprintf(stderr, "api_rollback threads: SYNCLINE_TEST_SEED=%" PRIu64 "\n", seed);
    api_pair(&a, &b);
    for (uint64_t i = 0; i < THREADS; i++) {
        writers[i].device = a;
        writers[i].device.db = api_db_open(a.db_path);
        api_sql(writers[i].device.db, "PRAGMA foreign_keys=ON");
        writers[i].seed = seed * THREADS + i;
    }
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&writers[i].thread, NULL, write_at_random, &writers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(writers[i].thread, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_str_eq(writers[i].wrong, "", "seed %" PRIu64 ", thread %zu: %s", seed, i,
                         writers[i].wrong);
        cr_assert_eq(sqlite3_close(writers[i].device.db), SQLITE_OK);
    }
    api_settle(&a, &b);
    cr_expect_gt(api_int(a.db, "SELECT count(*) FROM folders"), 0);
    cr_assert_eq(api_differences(a.db_path, b.db_path), 0, "seed %" PRIu64, seed);
    cr_assert_eq(api_info(&a).set_aside + api_info(&b).set_aside, 0, "seed %" PRIu64, seed);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}
