/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Subscribers against the engine, for ThreadSanitizer. While threads of an application insert,
 * others subscribe and end that again, all the time, with and without JSON, and one subscriber
 * stays from the beginning to the end. What must hold: no data race, whoever stays is told every
 * change once and in order, and nobody is called after it was ended. */

#include "include/syncline.h"

#include <ftw.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITERS 2
#define ROUNDS 60 /* transactions of a writer */
#define ROWS 5    /* in a transaction */
#define COMERS 2  /* threads that subscribe and end it */
#define WAIT_MS 120000

struct item {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t number;
};

static const struct syncline_field item_fields[] = {SYNCLINE_ID(struct item, id),
                                                    SYNCLINE_UUID(struct item, uuid),
                                                    SYNCLINE_INT64(struct item, number)};
static const struct syncline_model item_model =
    SYNCLINE_MODEL("item", "items", SYNCLINE_SHARED, struct item, item_fields);
static const struct syncline_model *const models[] = {&item_model};

static char folder[64];
static char dir[80];
static char db_path[96];
static struct syncline *lib;
static atomic_bool is_over;
static atomic_uint_fast64_t told; /* to the one who stays: the last seq */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_at(__LINE__, #condition);                                                         \
    } while (0)

static _Noreturn void fail_at(int line, const char *condition)
{
    char text[512] = "";
    if (lib != NULL)
        syncline_error(lib, text, sizeof(text));
    (void)fprintf(stderr, "line %d: not so: %s; last error: %s\n", line, condition, text);
    _exit(1);
}

static void stay(void *ctx, const struct syncline_event *event)
{
    (void)ctx;
    CHECK(event->kind == SYNCLINE_EVENT_SHARED_CHANGE);
    CHECK(event->json == NULL);
    CHECK(event->seq == atomic_load(&told) + 1);
    atomic_store(&told, event->seq);
}

struct visit {
    bool json;
    atomic_bool is_over; /* the subscription was ended */
    uint64_t last_seq;   /* by the function alone */
};

static void come(void *ctx, const struct syncline_event *event)
{
    struct visit *visit = ctx;
    CHECK(!atomic_load(&visit->is_over));
    CHECK((event->json != NULL) == visit->json);
    CHECK(visit->last_seq == 0 || event->seq == visit->last_seq + 1);
    visit->last_seq = event->seq;
}

static void *come_and_go(void *ctx)
{
    struct syncline_subscribe_options options = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    struct visit *visits = ctx;
    unsigned count = 0;
    while (!atomic_load(&is_over)) {
        struct visit *visit = &visits[count++ % 2];
        uint64_t id = 0;
        visit->json = count % 3 == 0;
        visit->last_seq = 0;
        atomic_store(&visit->is_over, false);
        options.json = visit->json;
        CHECK(syncline_subscribe(lib, come, visit, &options, &id) == SYNCLINE_OK);
        CHECK(syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, WAIT_MS, NULL) == SYNCLINE_OK);
        CHECK(syncline_unsubscribe(lib, id) == SYNCLINE_OK);
        atomic_store(&visit->is_over, true);
    }
    return NULL;
}

static void *write_items(void *ctx)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    (void)ctx;
    CHECK(sqlite3_open(db_path, &db) == SQLITE_OK);
    CHECK(sqlite3_busy_timeout(db, WAIT_MS) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, "INSERT INTO items(uuid,number) VALUES(?1,?2)", -1, &stmt, NULL) ==
          SQLITE_OK);
    for (int round = 0; round < ROUNDS; round++) {
        struct item items[ROWS];
        CHECK(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
        for (int i = 0; i < ROWS; i++) {
            items[i] = (struct item){.number = i};
            CHECK(syncline_uuid_new(&items[i].uuid, 1) == SYNCLINE_OK);
            (void)sqlite3_bind_blob(stmt, 1, items[i].uuid.bytes, 16, SQLITE_STATIC);
            (void)sqlite3_bind_int64(stmt, 2, items[i].number);
            CHECK(sqlite3_step(stmt) == SQLITE_DONE);
            CHECK(sqlite3_reset(stmt) == SQLITE_OK);
            items[i].id = sqlite3_last_insert_rowid(db);
        }
        CHECK(syncline_sync_models_batch(lib, &item_model, items, ROWS, SYNCLINE_INSERT, db,
                                         NULL) == SYNCLINE_OK);
        CHECK(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    }
    (void)sqlite3_finalize(stmt);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    return NULL;
}

static void make(void)
{
    sqlite3 *db = NULL;
    struct syncline_options options = SYNCLINE_OPTIONS_INIT;
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-race-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    CHECK(setenv("XDG_STATE_HOME", folder, 1) == 0);
    (void)snprintf(dir, sizeof(dir), "%s/a", folder);
    (void)snprintf(db_path, sizeof(db_path), "%s/library.db", dir);
    CHECK(syncline_create(dir, "race", NULL) == SYNCLINE_OK);
    CHECK(sqlite3_open(db_path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db,
                       "CREATE TABLE items(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                       " number INTEGER)",
                       NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    options.models = models;
    options.models_count = 1;
    options.role = SYNCLINE_ROLE_ENGINE;
    options.threads = SYNCLINE_THREADS_GROUPED;
    CHECK(syncline_open(dir, &options, &lib) == SYNCLINE_OK);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

int main(void)
{
    static struct visit visits[COMERS][2];
    pthread_t writers[WRITERS];
    pthread_t comers[COMERS];
    uint64_t id = 0;
    make();
    CHECK(syncline_subscribe(lib, stay, NULL, NULL, &id) == SYNCLINE_OK);
    for (int i = 0; i < COMERS; i++)
        CHECK(pthread_create(&comers[i], NULL, come_and_go, visits[i]) == 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&writers[i], NULL, write_items, NULL) == 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_join(writers[i], NULL) == 0);
    CHECK(syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, WAIT_MS, NULL) == SYNCLINE_OK);
    for (int looks = 0; atomic_load(&told) < WRITERS * ROUNDS * ROWS; looks++) {
        CHECK(looks < WAIT_MS);
        (void)usleep(1000);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < COMERS; i++)
        CHECK(pthread_join(comers[i], NULL) == 0);
    syncline_close(lib); /* with one subscription left */
    lib = NULL;
    CHECK(atomic_load(&told) == WRITERS * ROUNDS * ROWS);
    CHECK(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    return 0;
}
