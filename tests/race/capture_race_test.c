/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Threads of an application against the engine, for ThreadSanitizer. Two devices in one process,
 * over TCP; on both several threads insert, update, roll back and look, each with a connection of
 * its own, some of them attached, and one on each changes what the other device made, while the
 * engines drain what they commit and apply what comes - and wait for what became of every second
 * transaction by its ticket, and are paused now and then -; with each way of sharing the stages out
 * to threads. What must hold: no data race, and equal content at the end. */

#include "include/syncline.h"

#include <ftw.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 2  /* on each device */
#define ROUNDS 60  /* transactions of a writer; every fourth is rolled back */
#define ROWS 10    /* in a transaction */
#define TOUCHES 40 /* changes of rows of either device, by one thread on each */
#define REATTACH 7 /* transactions after which a connection is attached anew */
#define WAIT_MS 120000

struct item {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t number;
};

static const struct syncline_field item_fields[] = {
    SYNCLINE_ID(struct item, id),
    SYNCLINE_UUID(struct item, uuid),
    SYNCLINE_INT64(struct item, number),
};
static const struct syncline_model item_model =
    SYNCLINE_MODEL("item", "items", SYNCLINE_SHARED, struct item, item_fields);
static const struct syncline_model *const models[] = {&item_model};

static char folder[64];
static char paths[2][128]; /* the directories of A and B */
static struct syncline *libs[2];
static atomic_bool is_over;       /* tells the onlooker to end */
static atomic_uint_fast64_t done; /* changes committed by the writers */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_at(__LINE__, #condition);                                                         \
    } while (0)

static _Noreturn void fail_at(int line, const char *condition)
{
    (void)fprintf(stderr, "line %d: not so: %s\n", line, condition);
    for (int i = 0; i < 2; i++) {
        char text[512] = "";
        if (libs[i] != NULL)
            syncline_error(libs[i], text, sizeof(text));
        (void)fprintf(stderr, "last error of device %d: %s\n", i, text);
    }
    _exit(1);
}

static sqlite3 *connect_to(int device)
{
    char path[160];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/library.db", paths[device]);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_busy_timeout(db, WAIT_MS) == SQLITE_OK);
    return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

/* Runs `sql` with the row's number, UUID and id bound, as far as it has them. */
static void write_row(sqlite3 *db, sqlite3_stmt *stmt, struct item *row)
{
    CHECK(sqlite3_bind_int64(stmt, 1, row->number) == SQLITE_OK);
    CHECK(sqlite3_bind_blob(stmt, 2, row->uuid.bytes, 16, SQLITE_STATIC) == SQLITE_OK);
    CHECK(sqlite3_step(stmt) == SQLITE_DONE);
    CHECK(sqlite3_reset(stmt) == SQLITE_OK);
    if (row->id == 0)
        row->id = sqlite3_last_insert_rowid(db);
}

/* Changes the row that was made last, whoever made it, again and again. */
static void *touch_rows(void *arg)
{
    int device = *(const int *)arg;
    sqlite3 *db = connect_to(device);
    sqlite3_stmt *find;
    sqlite3_stmt *update;
    CHECK(sqlite3_prepare_v2(db, "SELECT id, uuid FROM items ORDER BY id DESC LIMIT 1", -1, &find,
                             NULL) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, "UPDATE items SET number = ?1 WHERE uuid = ?2", -1, &update,
                             NULL) == SQLITE_OK);
    for (int round = 0; round < TOUCHES; round++) {
        run_sql(db, "BEGIN IMMEDIATE");
        if (sqlite3_step(find) == SQLITE_ROW) {
            struct item row = {.id = sqlite3_column_int64(find, 0), .number = device - 2 * round};
            memcpy(row.uuid.bytes, sqlite3_column_blob(find, 1), sizeof(row.uuid.bytes));
            CHECK(sqlite3_reset(find) == SQLITE_OK);
            write_row(db, update, &row);
            CHECK(syncline_sync_model_with_db(libs[device], &item_model, &row, SYNCLINE_UPDATE,
                                              db) == SYNCLINE_OK);
        }
        CHECK(sqlite3_reset(find) == SQLITE_OK);
        run_sql(db, "COMMIT");
    }
    CHECK(sqlite3_finalize(find) == SQLITE_OK);
    CHECK(sqlite3_finalize(update) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    return NULL;
}

/* One writer: inserts in transactions, then a change of each row in the same transaction. */
static void *write_rows(void *arg)
{
    int64_t writer = *(const int *)arg;
    int device = (int)(writer % 2);
    bool attached = writer % 4 < 2; /* one of the two on each device */
    sqlite3 *db = connect_to(device);
    sqlite3_stmt *insert;
    sqlite3_stmt *update;
    CHECK(sqlite3_prepare_v2(db, "INSERT INTO items(number, uuid) VALUES(?1, ?2)", -1, &insert,
                             NULL) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, "UPDATE items SET number = ?1 WHERE uuid = ?2", -1, &update,
                             NULL) == SQLITE_OK);
    for (int round = 0; round < ROUNDS; round++) {
        struct item rows[ROWS] = {0};
        struct syncline_uuid uuids[ROWS];
        CHECK(syncline_uuid_new(uuids, ROWS) == SYNCLINE_OK);
        if (attached && round % REATTACH == 0) {
            CHECK(round == 0 || syncline_detach(libs[device], db) == SYNCLINE_OK);
            CHECK(syncline_attach(libs[device], db) == SYNCLINE_OK);
        }
        run_sql(db, "BEGIN IMMEDIATE");
        for (int i = 0; i < ROWS; i++) {
            rows[i].uuid = uuids[i];
            rows[i].number = writer * 1000000 + round * 1000 + i;
            write_row(db, insert, &rows[i]);
        }
        struct syncline_ticket ticket = SYNCLINE_TICKET_INIT;
        struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
        options.ticket = round % 2 == 1 ? &ticket : NULL;
        CHECK(syncline_sync_models_batch(libs[device], &item_model, rows, ROWS, SYNCLINE_INSERT, db,
                                         &options) == SYNCLINE_OK);
        rows[0].number = -rows[0].number;
        write_row(db, update, &rows[0]);
        CHECK(syncline_sync_model_with_db(libs[device], &item_model, &rows[0], SYNCLINE_UPDATE,
                                          db) == SYNCLINE_OK);
        bool is_kept = round % 4 != 3;
        run_sql(db, is_kept ? "COMMIT" : "ROLLBACK");
        if (is_kept)
            atomic_fetch_add(&done, ROWS + 1);
        if (options.ticket != NULL) {
            enum syncline_level level =
                round % 8 == 1 ? SYNCLINE_LEVEL_SENT : SYNCLINE_LEVEL_DURABLE;
            enum syncline_status status =
                syncline_wait(libs[device], &ticket, level, NULL, WAIT_MS);
            CHECK(status == (is_kept ? SYNCLINE_OK : SYNCLINE_EROLLEDBACK));
        }
    }
    CHECK(sqlite3_finalize(insert) == SQLITE_OK);
    CHECK(sqlite3_finalize(update) == SQLITE_OK);
    CHECK(!attached || syncline_detach(libs[device], db) == SYNCLINE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    return NULL;
}

/* Looks at both devices all the time. */
static void *look(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over)) {
        for (int i = 0; i < 2; i++) {
            struct syncline_info info = SYNCLINE_INFO_INIT;
            struct syncline_member member = SYNCLINE_MEMBER_INIT;
            char text[64];
            CHECK(syncline_info(libs[i], &info) == SYNCLINE_OK);
            enum syncline_status status = syncline_member_get(libs[i], 0, &member);
            CHECK(status == SYNCLINE_OK || status == SYNCLINE_ENOTFOUND);
            struct syncline_stats stats = SYNCLINE_STATS_INIT;
            struct syncline_stage stage = SYNCLINE_STAGE_INIT;
            CHECK(syncline_stats(libs[i], &stats) == SYNCLINE_OK);
            for (size_t k = 0; syncline_stage_get(libs[i], k, &stage) == SYNCLINE_OK; k++)
                CHECK(stage.fill <= stage.capacity);
            syncline_error(libs[i], text, sizeof(text));
        }
    }
    return NULL;
}

/* Pauses both devices now and then: while one is, it sends and applies nothing. */
static void *pause_and_resume(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over)) {
        for (int i = 0; i < 2; i++) {
            struct syncline_stats before = SYNCLINE_STATS_INIT;
            struct syncline_stats after = SYNCLINE_STATS_INIT;
            CHECK(syncline_pause(libs[i]) == SYNCLINE_OK);
            CHECK(syncline_stats(libs[i], &before) == SYNCLINE_OK);
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            CHECK(syncline_stats(libs[i], &after) == SYNCLINE_OK);
            CHECK(before.sent == after.sent && before.applied == after.applied);
            CHECK(syncline_resume(libs[i]) == SYNCLINE_OK);
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return NULL;
}

static void open_both(enum syncline_threads threads)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_options options = SYNCLINE_OPTIONS_INIT;
    options.models = models;
    options.models_count = 1;
    options.role = SYNCLINE_ROLE_ENGINE;
    options.insecure_loopback = true;
    options.threads = threads;
    options.listen = "127.0.0.1:0";
    CHECK(syncline_open(paths[0], &options, &libs[0]) == SYNCLINE_OK);
    CHECK(syncline_info(libs[0], &info) == SYNCLINE_OK);

    if (access(paths[1], F_OK) != 0) {
        struct syncline_options join = SYNCLINE_OPTIONS_INIT;
        join.insecure_loopback = true;
        CHECK(syncline_join(paths[1], info.listen, &join) == SYNCLINE_OK);
        sqlite3 *db = connect_to(1);
        run_sql(db, "CREATE TABLE items(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, "
                    "number INTEGER NOT NULL)");
        CHECK(sqlite3_close(db) == SQLITE_OK);
    }
    const char *peers[] = {info.listen};
    options.listen = NULL;
    options.peers = peers;
    options.peers_count = 1;
    CHECK(syncline_open(paths[1], &options, &libs[1]) == SYNCLINE_OK);
}

static void close_both(void)
{
    for (int i = 0; i < 2; i++) {
        syncline_close(libs[i]);
        libs[i] = NULL;
    }
}

static void write_and_compare(void)
{
    pthread_t writers[2 * WRITERS + 2];
    pthread_t onlooker;
    pthread_t pauser;
    int numbers[2 * WRITERS + 2];
    atomic_store(&is_over, false);
    CHECK(pthread_create(&onlooker, NULL, look, NULL) == 0);
    CHECK(pthread_create(&pauser, NULL, pause_and_resume, NULL) == 0);
    for (int i = 0; i < 2 * WRITERS + 2; i++) {
        numbers[i] = i; /* its parity is the device */
        CHECK(pthread_create(&writers[i], NULL, i < 2 ? touch_rows : write_rows, &numbers[i]) == 0);
    }
    for (int i = 0; i < 2 * WRITERS + 2; i++)
        CHECK(pthread_join(writers[i], NULL) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(syncline_flush(libs[i], SYNCLINE_LEVEL_DURABLE, WAIT_MS, NULL) == SYNCLINE_OK);
        CHECK(syncline_flush(libs[i], SYNCLINE_LEVEL_APPLIED, WAIT_MS, NULL) == SYNCLINE_OK);
    }
    atomic_store(&is_over, true);
    CHECK(pthread_join(onlooker, NULL) == 0);
    CHECK(pthread_join(pauser, NULL) == 0);

    uint64_t counts[2];
    uint8_t hashes[2][32];
    for (int i = 0; i < 2; i++)
        CHECK(syncline_digest(libs[i], &item_model, &counts[i], hashes[i]) == SYNCLINE_OK);
    CHECK(counts[0] == counts[1]);
    CHECK(counts[0] == atomic_load(&done) / (ROWS + 1) * ROWS);
    CHECK(memcmp(hashes[0], hashes[1], sizeof(hashes[0])) == 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

int main(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%s/syncline-race-XXXXXX", base ? base : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    CHECK(setenv("XDG_STATE_HOME", folder, 1) == 0);
    (void)snprintf(paths[0], sizeof(paths[0]), "%s/a", folder);
    (void)snprintf(paths[1], sizeof(paths[1]), "%s/b", folder);

    CHECK(syncline_create(paths[0], "race", NULL) == SYNCLINE_OK);
    sqlite3 *db = connect_to(0);
    run_sql(db, "CREATE TABLE items(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, "
                "number INTEGER NOT NULL)");
    CHECK(sqlite3_close(db) == SQLITE_OK);
    static const enum syncline_threads ways[] = {SYNCLINE_THREADS_AUTO, SYNCLINE_THREADS_FUSED,
                                                 SYNCLINE_THREADS_GROUPED,
                                                 SYNCLINE_THREADS_PER_STAGE};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        open_both(ways[i]);
        write_and_compare();
        close_both();
    }
    CHECK(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    return 0;
}
