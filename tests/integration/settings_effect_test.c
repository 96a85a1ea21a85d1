/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What a setting says is what happens: two libraries in one process, stepped by hand on clocks that
 * move when a test says so. The settings that are about threads, addresses and calls are in
 * api_settings_test.c, those of the UUID map in keys_test.c. */

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/transport_local.h"
#include "pipeline/library.h"
#include "pipeline/library_view.h"

#define NS_PER_MS UINT64_C(1000000)
#define ROUNDS_MAX 10000 /* far more than it takes: a bound, not a time */
#define ROWS_MAX 2000

struct note {
    int64_t id;
    struct syncline_uuid uuid;
    const char *text;
};

static const struct syncline_field note_fields[] = {SYNCLINE_ID(struct note, id),
                                                    SYNCLINE_UUID(struct note, uuid),
                                                    SYNCLINE_TEXT(struct note, text)};
static const struct syncline_model note_model =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct note, note_fields);
static const struct syncline_model *const models[] = {&note_model};

struct device {
    const char *name;
    const char *peer; /* NULL: dials nobody */
    char library_db[128];
    char sync_db[128];
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_library *library; /* NULL: not open */
    sqlite3 *db;
    int64_t ahead_ms; /* its wall clock, of the others' */
    struct sl_env env;
    struct sl_settings settings;
};

static char folder[64];
static struct sl_error err;
static struct sl_local_hub *hub;
static struct syncline_uuid library_id;
static struct device a;
static struct device b;
static uint64_t mono_ns;
static uint64_t tick_ns; /* by which it moves whenever it is read */
static uint64_t wall_ms;

/* ---- A world ---- */

static uint64_t read_mono(void *ctx)
{
    (void)ctx;
    mono_ns += tick_ns;
    return mono_ns;
}

static uint64_t read_wall(void *ctx)
{
    const struct device *device = ctx;
    return wall_ms + (uint64_t)device->ahead_ms;
}

static enum syncline_status fill_random(void *ctx, void *out, size_t size)
{
    (void)ctx;
    return sl_env_posix()->random(NULL, out, size);
}

static void sql(sqlite3 *db, const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static int64_t number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

/* Of the device's log. */
static int64_t log_number(const struct device *device, const char *text)
{
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(device->sync_db, &log), SQLITE_OK);
    int64_t value = number(log, text);
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    return value;
}

static int64_t segments(const struct device *device)
{
    return log_number(device, "SELECT count(*) FROM segment");
}

static int64_t rows(const struct device *device)
{
    return number(device->db, "SELECT count(*) FROM notes");
}

static void begin(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-effect-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(syncline_uuid_new(&library_id, 1), SYNCLINE_OK);
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &hub), SYNCLINE_OK);
    mono_ns = 1000 * NS_PER_MS;
    wall_ms = sl_env_posix()->wall_ms(NULL);
    sl_settings_init(&a.settings);
    sl_settings_init(&b.settings);
}

static void set(struct device *device, enum sl_setting_id id, const char *value)
{
    cr_assert_eq(sl_settings_parse(&device->settings, id, value, SYNCLINE_SETTING_FILE, 1, &err),
                 SYNCLINE_OK, "%s", err.text);
}

static struct sl_library_config config_of(struct device *device)
{
    return (struct sl_library_config){.env = &device->env,
                                      .settings = &device->settings,
                                      .library_db = device->library_db,
                                      .sync_db = device->sync_db,
                                      .identity = &device->identity,
                                      .models = models,
                                      .models_count = 1,
                                      .transport = device->transport,
                                      .listen = device->name,
                                      .peers = &device->peer,
                                      .peers_count = device->peer != NULL ? 1 : 0,
                                      .engine = true};
}

static void open_library(struct device *device)
{
    cr_assert_eq(sl_transport_local_new(hub, &device->transport), SYNCLINE_OK);
    struct sl_library_config config = config_of(device);
    cr_assert_eq(sl_library_open(&config, &device->library, &err), SYNCLINE_OK, "%s", err.text);
}

static void make(struct device *device, const char *name, const char *peer)
{
    device->name = name;
    device->peer = peer;
    (void)snprintf(device->library_db, sizeof(device->library_db), "%s/%s.db", folder, name);
    (void)snprintf(device->sync_db, sizeof(device->sync_db), "%s/%s-sync.db", folder, name);
    device->env = (struct sl_env){.wall_ms = read_wall,
                                  .mono_ns = read_mono,
                                  .random = fill_random,
                                  .ctx = device,
                                  .alloc = &sl_allocator_libc};
    cr_assert_eq(sl_identity_new(sl_env_posix(), &device->identity, &err), SYNCLINE_OK);
    struct sl_library_config config = config_of(device);
    cr_assert_eq(sl_library_create(&config, &library_id, "Notes", name, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    sql(device->db, "CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                    " text TEXT); CREATE TABLE others(x)");
}

static void start(struct device *device, const char *name, const char *peer)
{
    make(device, name, peer);
    open_library(device);
}

static void stop(struct device *device)
{
    if (device->library != NULL) {
        sl_library_close(device->library);
        device->transport->ops->free(device->transport);
        cr_assert_eq(sqlite3_close(device->db), SQLITE_OK);
    }
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void end(void)
{
    stop(&b);
    stop(&a);
    sl_local_hub_free(hub);
    cr_assert_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(settings_effect, .init = begin, .fini = end);

/* One slice of each stage but that one (SL_STAGE_COUNT: of all). */
static void step_but(struct device *device, size_t stage)
{
    for (size_t i = 0; i < sl_library_stage_count(device->library); i++) {
        if (i != stage) {
            (void)sl_library_step(device->library, i);
        }
    }
    sl_library_poll(device->library, 0);
}

static void step(struct device *device)
{
    step_but(device, SL_STAGE_COUNT);
}

/* Text that compresses, the better the harder one tries. */
static const char *words(char text[256], unsigned *seed)
{
    static const char *const known[] = {"folder", "picture", "holiday", "invoice",
                                        "letter", "summer",  "backup",  "music"};
    size_t used = 0;
    for (int i = 0; i < 20; i++) {
        *seed = *seed * 1103515245u + 12345u;
        used += (size_t)snprintf(text + used, 256 - used, "%s%s", known[*seed >> 16 & 7],
                                 (*seed >> 20 & 1) != 0 ? " " : "-");
    }
    return text;
}

static void insert(struct device *device, size_t n)
{
    static struct note notes[ROWS_MAX];
    static struct syncline_uuid uuids[ROWS_MAX];
    static char texts[ROWS_MAX][256];
    unsigned seed = 1;
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(syncline_uuid_new(uuids, n), SYNCLINE_OK);
    sql(device->db, "BEGIN IMMEDIATE");
    cr_assert_eq(sqlite3_prepare_v2(device->db, "INSERT INTO notes(uuid,text) VALUES(?1,?2)", -1,
                                    &stmt, NULL),
                 SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        notes[i] = (struct note){.uuid = uuids[i], .text = words(texts[i], &seed)};
        (void)sqlite3_bind_blob(stmt, 1, &uuids[i], sizeof(uuids[i]), SQLITE_STATIC);
        (void)sqlite3_bind_text(stmt, 2, notes[i].text, -1, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        notes[i].id = sqlite3_last_insert_rowid(device->db);
        (void)sqlite3_reset(stmt);
    }
    (void)sqlite3_finalize(stmt);
    cr_assert_eq(sl_library_capture(device->library, &note_model, notes, n, SYNCLINE_INSERT,
                                    device->db, 0, &err),
                 SYNCLINE_OK, "%s", err.text);
    sql(device->db, "COMMIT");
}

/* The rows of A are in B's log, and not yet applied. */
static void receive(int64_t changes)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        step(&a);
        step_but(&b, SL_STAGE_APPLY);
        mono_ns += NS_PER_MS; /* for A's linger; less than any pause that a test looks at */
        if (log_number(&b, "SELECT ifnull(max(last_seq),0) FROM segment") >= changes) {
            return;
        }
    }
    cr_assert_fail("A's rows do not come to B");
}

/* One slice of apply, in which the clock runs; behind the sync of what the one before wrote, which
 * writes nothing itself. */
static void apply_once(uint64_t tick)
{
    int64_t before = rows(&b);
    tick_ns = tick;
    if (sl_library_step(b.library, SL_STAGE_APPLY) && rows(&b) == before) {
        (void)sl_library_step(b.library, SL_STAGE_APPLY);
    }
    tick_ns = 0;
}

/* ---- Sending ---- */

/* batch_size: so many changes are in a segment. */
Test(settings_effect, batch_size)
{
    set(&a, SL_SETTING_BATCH_SIZE, "10");
    start(&a, "a", NULL);
    insert(&a, 200);
    for (int round = 0; round < ROUNDS_MAX && segments(&a) < 20; round++) {
        step(&a);
        mono_ns += NS_PER_MS;
    }
    cr_expect_eq(segments(&a), 20);
    cr_expect_eq(log_number(&a, "SELECT max(n) FROM (SELECT last_seq-lag(last_seq,1,0)"
                                " OVER (ORDER BY last_seq) AS n FROM segment)"),
                 10);
}

/* linger_ms: so long after a commit of the log comes the next one. */
Test(settings_effect, linger)
{
    set(&a, SL_SETTING_LINGER_MS, "3s");
    set(&b, SL_SETTING_LINGER_MS, "0");
    start(&a, "a", NULL);
    start(&b, "b", NULL);
    for (int64_t i = 1; i <= 3; i++) {
        insert(&b, 1);
        step(&b);
        cr_expect_eq(segments(&b), i, "0 ms: at once");
    }
    insert(&a, 1);
    step(&a);
    cr_expect_eq(segments(&a), 1, "an idle one does not wait");
    insert(&a, 1);
    step(&a);
    mono_ns += 3000 * NS_PER_MS - 1;
    step(&a);
    cr_expect_eq(segments(&a), 1);
    mono_ns += 1;
    step(&a);
    cr_expect_eq(segments(&a), 2);
}

/* zstd_level: the same rows become fewer bytes. */
Test(settings_effect, zstd_level)
{
    set(&a, SL_SETTING_ZSTD_LEVEL, "1");
    set(&b, SL_SETTING_ZSTD_LEVEL, "19");
    start(&a, "a", NULL);
    start(&b, "b", NULL);
    insert(&a, 1000);
    insert(&b, 1000);
    for (int round = 0; round < 10; round++) {
        step(&a);
        step(&b);
        mono_ns += 100 * NS_PER_MS;
    }
    int64_t fast = log_number(&a, "SELECT sum(length(bytes)) FROM segment");
    int64_t small = log_number(&b, "SELECT sum(length(bytes)) FROM segment");
    cr_expect_gt(small, 0);
    cr_expect_lt(small, fast * 9 / 10, "%lld bytes at 19, %lld at 1", (long long)small,
                 (long long)fast);
}

/* memory_budget: it is what is shared out. */
Test(settings_effect, memory_budget)
{
    struct sl_budget least = sl_budget_share((size_t)4 << 20);
    struct sl_budget most = sl_budget_share((size_t)256 << 20);
    set(&a, SL_SETTING_MEMORY_BUDGET, "4MiB");
    set(&b, SL_SETTING_MEMORY_BUDGET, "256MiB");
    start(&a, "a", NULL);
    start(&b, "b", NULL);
    cr_expect_eq(memcmp(&sl_library_core(a.library)->budget, &least, sizeof(least)), 0);
    cr_expect_eq(memcmp(&sl_library_core(b.library)->budget, &most, sizeof(most)), 0);
    cr_expect_lt(sl_library_core(a.library)->staging.pool.len,
                 sl_library_core(b.library)->staging.pool.len);
}

/* ---- Applying ---- */

/* apply_hold_ms: a slice ends with the first segment after that time. */
Test(settings_effect, apply_hold)
{
    set(&a, SL_SETTING_BATCH_SIZE, "10");
    set(&b, SL_SETTING_APPLY_HOLD_MS, "1ms");
    set(&b, SL_SETTING_APPLY_HOLD_SHARED_MS, "10s");
    start(&a, "a", NULL);
    start(&b, "b", "a");
    insert(&a, 200);
    receive(200);
    apply_once(NS_PER_MS);
    cr_expect_eq(rows(&b), 10);
    sl_library_close(b.library);
    b.transport->ops->free(b.transport);
    set(&b, SL_SETTING_APPLY_HOLD_MS, "10s");
    set(&b, SL_SETTING_APPLY_HOLD_SHARED_MS, "1ms");
    open_library(&b);
    apply_once(NS_PER_MS);
    cr_expect_eq(rows(&b), 200);
}

/* Applies, and lets B's application commit something meanwhile, which apply sees. */
static void let_others_write(void)
{
    insert(&a, 10);
    receive(10);
    apply_once(0);
    cr_assert_eq(rows(&b), 10);
    sql(b.db, "INSERT INTO others VALUES(1)");
    insert(&a, 10);
    receive(20);
    apply_once(0);
    cr_assert_eq(rows(&b), 20);
}

/* apply_hold_shared_ms: likewise, while somebody else writes. */
Test(settings_effect, apply_hold_shared)
{
    set(&a, SL_SETTING_BATCH_SIZE, "10");
    set(&b, SL_SETTING_APPLY_HOLD_MS, "10s");
    set(&b, SL_SETTING_APPLY_HOLD_SHARED_MS, "1ms");
    set(&b, SL_SETTING_APPLY_PAUSE_MS, "0");
    start(&a, "a", NULL);
    start(&b, "b", "a");
    let_others_write();
    insert(&a, 200);
    receive(220);
    apply_once(NS_PER_MS);
    cr_expect_eq(rows(&b), 30);
}

/* apply_pause_ms: so long nothing is applied then. */
Test(settings_effect, apply_pause)
{
    set(&b, SL_SETTING_APPLY_PAUSE_MS, "900ms"); /* others count for a second */
    start(&a, "a", NULL);
    start(&b, "b", "a");
    let_others_write();
    uint64_t end_ns = mono_ns + 900 * NS_PER_MS;
    insert(&a, 10);
    receive(30);
    cr_assert_lt(mono_ns, end_ns - 1);
    mono_ns = end_ns - 1;
    apply_once(0);
    cr_expect_eq(rows(&b), 20);
    mono_ns = end_ns;
    apply_once(0);
    cr_expect_eq(rows(&b), 30);
}

/* max_drift_ms: what is from a clock further ahead waits until its time comes. */
Test(settings_effect, max_drift)
{
    a.ahead_ms = 5000;
    set(&b, SL_SETTING_MAX_DRIFT_MS, "2s");
    start(&a, "a", NULL);
    start(&b, "b", "a");
    insert(&a, 10);
    receive(10);
    apply_once(0);
    cr_expect_eq(rows(&b), 0);
    wall_ms += 2999;
    apply_once(0);
    cr_expect_eq(rows(&b), 0);
    wall_ms += 1;
    apply_once(0);
    cr_expect_eq(rows(&b), 10);
}

/* ---- The network ---- */

/* Is B linked within so many ms? */
static bool is_linked_after(uint64_t ms)
{
    struct syncline_info info = {.size = sizeof(info)};
    mono_ns += ms * NS_PER_MS;
    for (int round = 0; round < 10; round++) {
        step(&b);
        step(&a);
    }
    cr_assert_eq(sl_library_info(b.library, &info, &err), SYNCLINE_OK, "%s", err.text);
    return info.links == 1;
}

/* reconnect_max_ms: pauses between dials grow up to it. */
Test(settings_effect, reconnect_max)
{
    set(&b, SL_SETTING_RECONNECT_MAX_MS, "20s");
    make(&a, "a", NULL);
    start(&b, "b", "a");
    for (int dial = 0; dial < 20; dial++) {
        mono_ns += 20000 * NS_PER_MS;
        sl_library_poll(b.library, 0);
    }
    open_library(&a);
    cr_expect_not(is_linked_after(19999));
    cr_expect(is_linked_after(1));
}
