/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/merge/merge_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stages/settle.h"
#include "storage/value_list.h"

struct record {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t value;
};

static const struct syncline_field fields[] = {SYNCLINE_ID(struct record, id),
                                               SYNCLINE_UUID(struct record, uuid),
                                               SYNCLINE_INT64(struct record, value)};
static const struct syncline_model shared =
    SYNCLINE_MODEL("shared", "shared", SYNCLINE_SHARED, struct record, fields);
static const struct syncline_model owned =
    SYNCLINE_MODEL("owned", "owned", SYNCLINE_DEVICE_OWNED, struct record, fields);
static const struct syncline_model *const models[] = {&shared, &owned};

#define TABLES                                                                                     \
    "CREATE TABLE shared(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, value INTEGER);"       \
    "CREATE TABLE owned(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, value INTEGER);"

static struct sl_error err;

static void give_up(const char *what)
{
    (void)fprintf(stderr, "sl-merge: %s: %s\n", what, err.text);
    abort();
}

static void must(enum syncline_status status, const char *what)
{
    if (status != SYNCLINE_OK) {
        give_up(what);
    }
}

static void sql_on(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        (void)sl_fail(&err, SYNCLINE_EDB, "%s: %s", sql, sqlite3_errmsg(db));
        give_up("SQL of the harness");
    }
}

/* ---- The world ---- */

static uint64_t wall_ms(void *ctx)
{
    return ((const struct merge_device *)ctx)->wall_ms;
}

static uint64_t mono_ns(void *ctx)
{
    return ((struct merge_device *)ctx)->mono_ns += 1000;
}

static enum syncline_status fill_random(void *ctx, void *out, size_t size)
{
    struct merge_world *world = ((struct merge_device *)ctx)->world;
    for (size_t i = 0; i < size; i++) {
        world->random = world->random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(world->random >> 56);
    }
    return SYNCLINE_OK;
}

static struct sl_origin origin_of(uint32_t device)
{
    struct sl_origin origin = {.epoch = (uint64_t)1 << 48};
    memset(origin.device.bytes, (int)(0x10 * (device + 1)), sizeof(origin.device.bytes));
    return origin;
}

static void path_of(const struct merge_world *world, const char *name, char path[96])
{
    (void)snprintf(path, 96, "%s/%s", world->folder, name);
}

/* A copy in memory of a library.db that was made the usual way. */
static sqlite3 *copy_library(const char *path)
{
    sqlite3 *file = NULL;
    sqlite3 *memory = NULL;
    bool ok = sqlite3_open(path, &file) == SQLITE_OK &&
              sqlite3_open_v2(":memory:", &memory, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                              NULL) == SQLITE_OK;
    sqlite3_backup *backup = ok ? sqlite3_backup_init(memory, "main", file, "main") : NULL;
    ok = backup != NULL && sqlite3_backup_step(backup, -1) == SQLITE_DONE;
    ok = backup != NULL && sqlite3_backup_finish(backup) == SQLITE_OK && ok;
    if (!ok) {
        (void)sl_fail(&err, SYNCLINE_EDB, "no copy of %s", path);
        give_up("library.db");
    }
    (void)sqlite3_close(file);
    sql_on(memory, "PRAGMA foreign_keys=ON; PRAGMA secure_delete=OFF");
    return memory;
}

static void make_files(struct merge_world *world, const struct sl_env *env)
{
    char path[96];
    const char *parent = getenv("TMPDIR");
    (void)snprintf(world->folder, sizeof(world->folder), "%.40s/sl-merge-XXXXXX",
                   parent != NULL ? parent : "/tmp");
    if (mkdtemp(world->folder) == NULL) {
        (void)sl_fail(&err, SYNCLINE_EIO, "no folder %s", world->folder);
        give_up("files");
    }
    struct syncline_uuid library_id = {{7}};
    struct sl_library_identity identity = {.library_id = library_id, .epoch = 1};
    path_of(world, "sync.db", path);
    must(sl_peer_log_create(env, path, &identity, &err), "sync.db");
    must(sl_peer_log_open(&world->log, env, path, SL_DB_WRITE, &err), "sync.db");
    sql_on(world->log.db.handle, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF");
    path_of(world, "library.db", path);
    struct sl_library_db ldb;
    struct sl_model_set set;
    must(sl_library_db_open(&ldb, env, path, SL_DB_CREATE, 0, &err), "library.db");
    must(sl_library_db_create(&ldb, &library_id, &err), "library.db");
    sql_on(ldb.db.handle, TABLES);
    must(sl_model_set_init(&set, env->alloc, models, 2, &err), "models");
    must(sl_library_db_number_models(&ldb, &set, &err), "models");
    sql_on(ldb.db.handle, "DELETE FROM _syncline_scan; PRAGMA journal_mode=DELETE");
    sl_model_set_fini(&set);
    sl_library_db_fini(&ldb);
}

/* Its own statements over the one connection. */
static struct sl_peer_log share_log(const struct merge_world *world)
{
    struct sl_peer_log log = {.db = world->log.db,
                              .statements = {.sql = world->log.statements.sql}};
    return log;
}

static void borrow_rows(struct sl_rows *rows, const struct sl_core *core, sqlite3 *db)
{
    sl_rows_borrow(rows, core, db);
    if (!sl_rows_make_tables(rows, core)) {
        (void)sl_fail(&err, SYNCLINE_ENOMEM, "no memory for tables");
        give_up("device");
    }
}

static void make_core(struct merge_device *device)
{
    struct merge_world *world = device->world;
    struct sl_core *core = sl_calloc(device->env.alloc, 1, sizeof(*core));
    device->core = core;
    core->env = &device->env;
    core->self = origin_of(device->number);
    sl_settings_init(&core->settings);
    core->batch_len = 1000;
    core->scan_len = SL_SCAN_LEN;
    core->settle_along_len = SL_SETTLE_ALONG_LEN;
    core->waiting_max = SL_WAITING_LEN_MAX;
    core->engine = true;
    core->budget = sl_budget_share(SL_MEMORY_BUDGET_MIN);
    must(sl_model_set_init(&core->models, device->env.alloc, models, 2, &err), "models");
    (void)pthread_mutex_init(&core->progress.lock, NULL);
    (void)pthread_cond_init(&core->progress.moved, NULL);
    (void)pthread_mutex_init(&core->clock_lock, NULL);
    (void)pthread_mutex_init(&core->log_lock, NULL);
    (void)pthread_mutex_init(&core->head_lock, NULL);
    must(sl_staging_init(&core->staging, device->env.alloc, &core->budget), "staging");
    must(sl_unsettled_init(&core->unsettled, device->env.alloc), "unsettled");
    must(sl_batch_pool_init(&core->reread_pool, device->env.alloc, core->budget.reread,
                            core->budget.reread_kept),
         "pool");
    must(sl_batch_pool_init(&core->bulk_pool, device->env.alloc, core->budget.bulk,
                            core->budget.bulk_kept),
         "pool");
    sl_ring_init(&core->to_resolve);
    sl_ring_init(&core->to_serialize);
    sl_ring_init(&core->to_append);
    core->log = share_log(world);
    core->apply_log = share_log(world);
    core->resolve_log = share_log(world);
    core->writer_version = -1;
    core->drained.complete = true;
    core->next_seq = 1;
    sl_core_progress_members(core);
}

static void make_origins(struct merge_device *device)
{
    struct sl_core *core = device->core;
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        uint32_t number = (device->number + i) % MERGE_DEVICES; /* the own one first */
        struct sl_origin name = origin_of(number);
        struct sl_origin_state *origin = sl_core_add_origin(core, &name, device->world->hasher);
        if (origin == NULL) {
            give_up("origins");
        }
        origin->head.number = device->world->heads[number].number;
        must(sl_library_db_origin_number(&core->writer.ldb, &name, &origin->number, &err),
             "origins");
        device->origins[number] = origin;
    }
    core->self_number = device->origins[device->number]->number;
}

static void make_device(struct merge_world *world, uint32_t number)
{
    struct merge_device *device = &world->devices[number];
    char path[96];
    path_of(world, "library.db", path);
    device->world = world;
    device->number = number;
    device->env = *sl_env_posix();
    device->env.wall_ms = wall_ms;
    device->env.mono_ns = mono_ns;
    device->env.random = fill_random;
    device->env.ctx = device;
    device->db = copy_library(path);
    make_core(device);
    struct sl_core *core = device->core;
    struct sl_db db = sl_db_borrow(device->db, "library.db");
    must(sl_value_list_register(&db, &err), "lists");
    borrow_rows(&core->writer, core, device->db);
    borrow_rows(&core->reader, core, device->db);
    borrow_rows(&core->resolver, core, device->db);
    must(sl_library_db_number_models(&core->writer.ldb, &core->models, &err), "models");
    make_origins(device);
    must(sl_capture_init(&device->capture, core, path, &err), "capture");
    device->capture.path = sqlite3_db_filename(device->db, "main"); /* the copy is the library */
    must(sl_capture_attach(&device->capture, device->db, &err), "attach");
    sl_intake_init(&device->intake, core);
    sl_fk_resolve_init(&device->resolve, core, NULL, 0);
    sl_serialize_init(&device->serialize, core);
    must(sl_apply_init(&device->apply, core, &err), "apply");
}

static void fill_world(struct merge_world *world)
{
    world->hasher = sl_hasher_new(&sl_allocator_libc);
    make_files(world, sl_env_posix());
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        world->heads[i].origin = origin_of(i);
        must(sl_peer_log_add_origin(&world->log, &world->heads[i], &err), "log");
    }
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        make_device(world, i);
    }
}

struct merge_world *merge_world_new(void)
{
    struct merge_world *world = calloc(1, sizeof(*world));
    if (world == NULL) {
        give_up("no memory");
    }
    world->random = 1;
    fill_world(world);
    return world;
}

static void free_device(struct merge_device *device)
{
    struct sl_core *core = device->core;
    for (size_t i = 0; i < 2 * (size_t)MERGE_QUERIES; i++) {
        (void)sqlite3_finalize((&device->queries[0][0])[i]);
    }
    must(sl_capture_detach(&device->capture, device->db, &err), "detach");
    sl_apply_fini(&device->apply);
    sl_serialize_fini(&device->serialize);
    sl_fk_resolve_fini(&device->resolve);
    sl_intake_fini(&device->intake);
    sl_capture_fini(&device->capture);
    sl_rows_fini(&core->writer, core->models.count);
    sl_rows_fini(&core->reader, core->models.count);
    sl_rows_fini(&core->resolver, core->models.count);
    sl_statements_fini(&core->log.statements);
    sl_statements_fini(&core->apply_log.statements);
    sl_statements_fini(&core->resolve_log.statements);
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        sl_free(device->env.alloc, core->origins[i]);
    }
    sl_batch_pool_fini(&core->bulk_pool);
    sl_batch_pool_fini(&core->reread_pool);
    sl_unsettled_fini(&core->unsettled);
    sl_staging_fini(&core->staging);
    (void)pthread_mutex_destroy(&core->head_lock);
    (void)pthread_mutex_destroy(&core->log_lock);
    (void)pthread_mutex_destroy(&core->clock_lock);
    (void)pthread_cond_destroy(&core->progress.moved);
    (void)pthread_mutex_destroy(&core->progress.lock);
    sl_model_set_fini(&core->models);
    sl_free(device->env.alloc, core);
    (void)sqlite3_close(device->db);
}

static void empty_world(struct merge_world *world)
{
    static const char *const names[] = {"sync.db",    "sync.db-wal",    "sync.db-shm",
                                        "library.db", "library.db-wal", "library.db-shm"};
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        free_device(&world->devices[i]);
    }
    sl_peer_log_fini(&world->log);
    sl_hasher_free(world->hasher);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[96];
        path_of(world, names[i], path);
        (void)unlink(path);
    }
    (void)rmdir(world->folder);
    memset(world->heads, 0, sizeof(world->heads));
    memset(world->devices, 0, sizeof(world->devices));
}

void merge_world_free(struct merge_world *world)
{
    empty_world(world);
    free(world);
}

/* ---- A history ---- */

static const struct sl_model *model_of(const struct merge_device *device)
{
    return &device->core->models.models[device->world->owned ? 1 : 0];
}

/* A query of the harness, of the model of this history; the caller steps it and resets it. */
static sqlite3_stmt *query(struct merge_device *device, unsigned number)
{
    static const char *const texts[MERGE_QUERIES] = {
        [MERGE_FIND] = "SELECT id,value FROM @ WHERE uuid=?1",
        [MERGE_ALL] = "SELECT uuid,value FROM @",
        [MERGE_WRITE + MERGE_INSERT] = "INSERT INTO @(uuid,value) VALUES(?1,?2)",
        [MERGE_WRITE + MERGE_UPDATE] = "UPDATE @ SET value=?2 WHERE uuid=?1",
        [MERGE_WRITE + MERGE_DELETE] = "DELETE FROM @ WHERE uuid=?1 AND ?2 NOTNULL",
        [MERGE_RESTS] = "SELECT 1 FROM _syncline_waiting",
        [MERGE_BEGIN] = "BEGIN IMMEDIATE",
        [MERGE_COMMIT] = "COMMIT",
        [MERGE_ROLLBACK] = "ROLLBACK",
        [MERGE_CLEAR] = "DELETE FROM shared",
        [MERGE_CLEAR + 1] = "DELETE FROM owned",
        [MERGE_CLEAR + 2] = "DELETE FROM _syncline_birth",
        [MERGE_CLEAR + 3] = "DELETE FROM _syncline_stamp",
        [MERGE_CLEAR + 4] = "DELETE FROM _syncline_late_birth",
        [MERGE_CLEAR + 5] = "DELETE FROM _syncline_hidden_birth"};
    sqlite3_stmt **stmt = &device->queries[device->world->owned ? 1 : 0][number];
    if (*stmt == NULL) {
        char sql[80] = "";
        for (const char *at = texts[number]; *at != '\0'; at++) { /* @: the table */
            size_t len = strlen(sql);
            (void)snprintf(sql + len, sizeof(sql) - len, *at == '@' ? "%s" : "%.1s",
                           *at == '@' ? model_of(device)->table : at);
        }
        if (sqlite3_prepare_v3(device->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) !=
            SQLITE_OK) {
            give_up("query of the harness");
        }
    }
    return *stmt;
}

/* Runs one that returns nothing. */
static void run(struct merge_device *device, unsigned number)
{
    sqlite3_stmt *stmt = query(device, number);
    if (sqlite3_step(stmt) != SQLITE_DONE) {
        (void)sl_fail(&err, SYNCLINE_EDB, "%s", sqlite3_errmsg(device->db));
        give_up("statement of the harness");
    }
    (void)sqlite3_reset(stmt);
}

/* What earlier histories left; not the outbox, whose newest row stays. */
static void clear_device(struct merge_device *device)
{
    run(device, MERGE_BEGIN);
    for (unsigned i = 0; i < 6; i++) {
        run(device, MERGE_CLEAR + i);
    }
    run(device, MERGE_COMMIT);
}

static void begin_device(struct merge_device *device, uint64_t wall)
{
    struct merge_world *world = device->world;
    clear_device(device);
    device->wall_ms = wall;
    device->core->progress.notices = 0;
    sl_births_forget(&device->core->writer.births);
    atomic_store(&device->core->hides[0], false); /* as an open finds it */
    atomic_store(&device->core->hides[1], false);
    memset(device->taken, 0, sizeof(device->taken));
    for (uint32_t k = 0; k < MERGE_DEVICES; k++) {
        device->seq_before[k] = world->heads[k].held_seq;
    }
}

void merge_world_begin(struct merge_world *world, const uint32_t ahead_ms[MERGE_DEVICES],
                       bool is_owned, uint32_t records)
{
    uint64_t hlc = 0;
    if (world->failure != NULL) { /* what it left may be anything */
        empty_world(world);
        fill_world(world);
    }
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        hlc = world->heads[i].last_hlc > hlc ? world->heads[i].last_hlc : hlc;
    }
    sql_on(world->log.db.handle, "DELETE FROM segment; DELETE FROM set_aside");
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        begin_device(&world->devices[i], sl_hlc_ms(hlc) + 1 + ahead_ms[i]);
    }
    world->owned = is_owned;
    world->changes_len = 0;
    world->failure = NULL;
    world->failed = 0;
    memset(world->ends_len, 0, sizeof(world->ends_len));
    world->records_len = records;
    for (uint32_t r = 0; r < records; r++) {
        struct merge_record *record = &world->records[r];
        record->changes_len = 0;
        record->writes = 0;
        record->next_value = 1;
        memset(&record->uuid, 0, sizeof(record->uuid));
        sl_put_u64(record->uuid.bytes, world->histories + 1);
        record->uuid.bytes[14] = (uint8_t)(r >> 8); /* they count up, as those of a call often do */
        record->uuid.bytes[15] = (uint8_t)r;
    }
    world->histories++;
}

/* Which one of this history has the UUID. */
static uint32_t record_of(const struct merge_world *world, const struct syncline_uuid *uuid)
{
    uint32_t r = (uint32_t)(uuid->bytes[14] << 8 | uuid->bytes[15]);
    if (r >= world->records_len || !sl_uuid_equal(uuid, &world->records[r].uuid)) {
        give_up("a record that nobody made");
    }
    return r;
}

/* The record, as the application's own query finds it. */
static bool find_record(struct merge_device *device, uint32_t r, struct record *record)
{
    sqlite3_stmt *stmt = query(device, MERGE_FIND);
    sl_bind_uuid(stmt, 1, &device->world->records[r].uuid);
    bool found = sqlite3_step(stmt) == SQLITE_ROW;
    if (found) {
        *record = (struct record){.id = sqlite3_column_int64(stmt, 0),
                                  .uuid = device->world->records[r].uuid,
                                  .value = sqlite3_column_int64(stmt, 1)};
    }
    (void)sqlite3_reset(stmt);
    return found;
}

bool merge_device_sees(struct merge_device *device, int64_t *value)
{
    struct record record;
    bool found = find_record(device, 0, &record);
    *value = found ? record.value : 0;
    return found;
}

void merge_device_see_all(struct merge_device *device, int64_t values[MERGE_RECORDS_MAX])
{
    const struct merge_world *world = device->world;
    sqlite3_stmt *stmt = query(device, MERGE_ALL);
    memset(values, 0, world->records_len * sizeof(*values));
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct syncline_uuid uuid = {{0}};
        (void)sl_column_uuid(stmt, 0, &uuid);
        values[record_of(world, &uuid)] = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_reset(stmt);
}

/* The application's statement, without the capture. */
static void write_row(struct merge_device *device, enum merge_kind kind, struct record *record)
{
    sqlite3_stmt *stmt = query(device, MERGE_WRITE + (unsigned)kind);
    sl_bind_uuid(stmt, 1, &record->uuid);
    (void)sqlite3_bind_int64(stmt, 2, record->value);
    run(device, MERGE_WRITE + (unsigned)kind);
    if (kind == MERGE_INSERT) {
        record->id = sqlite3_last_insert_rowid(device->db);
    }
}

static enum syncline_status capture(struct merge_device *device, enum merge_kind kind,
                                    const struct record *rows, size_t n)
{
    return sl_capture_rows(&device->capture, model_of(device)->described, rows, n,
                           (enum syncline_change)kind, device->db, 0, NULL, &err);
}

bool merge_device_write(struct merge_device *device, enum merge_kind kind)
{
    struct record record = {.uuid = device->world->records[0].uuid};
    bool found = find_record(device, 0, &record);
    if (found != (kind != MERGE_INSERT)) {
        return false;
    }
    record.value = kind == MERGE_DELETE ? record.value : device->world->records[0].next_value++;
    run(device, MERGE_BEGIN);
    write_row(device, kind, &record);
    enum syncline_status status = capture(device, kind, &record, 1);
    if (status == SYNCLINE_EREFUSED) {
        run(device, MERGE_ROLLBACK);
        return false;
    }
    must(status, "capture");
    run(device, MERGE_COMMIT);
    device->pending = true;
    return true;
}

/* May the device change the record with that id? */
static bool may_change(struct merge_device *device, int64_t id)
{
    struct sl_core *core = device->core;
    struct sl_birth_run birth;
    bool found = false;
    must(sl_birth_get(&core->writer.births, model_of(device)->id_in_db, id, &found, &birth, &err),
         "births");
    return !found || birth.class == SYNCLINE_SHARED || birth.origin == core->self_number;
}

void merge_device_write_many(struct merge_device *device, const uint8_t kinds[MERGE_RECORDS_MAX])
{
    static struct record rows[MERGE_RECORDS_MAX];
    struct merge_world *world = device->world;
    sl_births_forget(&device->core->writer.births);
    run(device, MERGE_BEGIN);
    for (int kind = MERGE_INSERT; kind <= MERGE_DELETE; kind++) {
        size_t n = 0;
        for (uint32_t r = 0; r < world->records_len; r++) {
            struct record *row = &rows[n];
            *row = (struct record){.uuid = world->records[r].uuid};
            if (kinds[r] != kind || find_record(device, r, row) != (kind != MERGE_INSERT) ||
                (kind != MERGE_INSERT && !may_change(device, row->id))) {
                continue;
            }
            row->value = kind == MERGE_DELETE ? row->value : world->records[r].next_value++;
            write_row(device, (enum merge_kind)kind, row);
            world->records[r].writes++;
            n++;
        }
        must(capture(device, (enum merge_kind)kind, rows, n), "capture");
        device->pending = device->pending || n > 0;
    }
    run(device, MERGE_COMMIT);
}

/* ---- Into the log ---- */

/* The place of a birth in the list, as a bit; 0: it is none of this history. */
static uint32_t birth_bit(const struct merge_world *world, const struct merge_record *record,
                          const struct sl_birth *birth)
{
    for (size_t i = 0; i < record->changes_len; i++) {
        const struct merge_change *change = &record->changes[i];
        struct sl_origin origin = origin_of(change->origin);
        uint64_t before = world->devices[0].seq_before[change->origin];
        if (change->kind == MERGE_INSERT && sl_origin_equal(&origin, &birth->origin) &&
            before + change->seq == birth->seq) {
            return 1u << i;
        }
    }
    return 0;
}

/* The i-th change of a group, as the fold wants it. */
static void note_change(struct merge_world *world, uint32_t origin, uint64_t seq,
                        const struct sl_group *group, uint32_t i)
{
    uint32_t r = record_of(world, &group->uuids[i]);
    struct merge_record *record = &world->records[r];
    if (record->changes_len == MERGE_CHANGES_MAX) {
        give_up("a history that is too long");
    }
    struct merge_change change = {.origin = origin,
                                  .seq = (uint32_t)(seq - world->devices[0].seq_before[origin]),
                                  .kind = (enum merge_kind)group->change,
                                  .owned = group->class == SYNCLINE_DEVICE_OWNED,
                                  .hlc = group->hlc_first + i};
    if (group->column_count > 0) {
        change.value = group->columns[0].values[i].as.int64;
    }
    struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
    uint32_t n = group->births != NULL ? sl_group_births(group, i, births) : 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t bit = birth_bit(world, record, &births[k]);
        change.births |= bit;
        if (bit == 0) {
            world->failure = "a change names a birth that is none";
            world->failed = r;
        }
    }
    record->changes[record->changes_len++] = change;
    world->changes_len++;
}

/* What the log has now, as the fold wants it. */
static void note_segment(struct merge_world *world, uint32_t origin, uint64_t first_seq,
                         const uint8_t *body, size_t size)
{
    const struct sl_origin self = origin_of(origin);
    struct sl_arena arena;
    struct sl_msgpack in;
    uint64_t seq = first_seq;
    sl_arena_init(&arena, &sl_allocator_libc);
    sl_msgpack_init(&in, body, size);
    while (!sl_msgpack_done(&in)) {
        struct sl_group group;
        must(sl_group_read(&in, &self, MERGE_RECORDS_MAX, &arena, &group, &err), "group");
        for (uint32_t i = 0; i < group.n; i++) {
            note_change(world, origin, seq++, &group, i);
        }
    }
    sl_arena_fini(&arena);
}

/* As log_append does it, for one batch, unsigned. */
static void append(struct merge_device *device, struct sl_batch *batch)
{
    struct merge_world *world = device->world;
    struct sl_core *core = device->core;
    struct sl_log_head *head = &world->heads[device->number];
    if (batch->live_n != 0) {
        struct sl_buf bytes;
        uint8_t header[SL_SEGMENT_HEADER_SIZE] = {0};
        uint64_t first = sl_hlc_take(&core->hlc_last, batch->wall_ms, batch->live_n);
        uint64_t hlc = first;
        sl_buf_init(&bytes, device->env.alloc);
        sl_buf_bytes(&bytes, header, sizeof(header));
        for (uint32_t g = 0; g < batch->group_count; g++) {
            const struct sl_batch_group *group = &batch->groups[g];
            sl_group_write_hlc(&bytes, hlc);
            sl_buf_bytes(&bytes, batch->body.data + group->offset, group->size);
            hlc += group->len;
        }
        struct sl_segment segment = {.library_id = {{7}},
                                     .origin = core->self,
                                     .first_seq = batch->first_seq,
                                     .len = batch->live_n,
                                     .raw_size = (uint32_t)(bytes.len - sizeof(header)),
                                     .first_hlc = first,
                                     .last_hlc = hlc - 1};
        sl_segment_encode_header(&segment, bytes.data);
        head->held_seq = batch->first_seq + batch->live_n - 1;
        head->last_hlc = hlc - 1;
        must(sl_peer_log_append(&world->log, head, bytes.data, bytes.len, &err), "log");
        note_segment(world, device->number, batch->first_seq, bytes.data + sizeof(header),
                     bytes.len - sizeof(header));
        uint32_t *ends_len = &world->ends_len[device->number];
        if (*ends_len == MERGE_SEGMENTS_MAX) {
            give_up("too many segments");
        }
        world->ends[device->number][(*ends_len)++] =
            (struct merge_end){.seq = head->held_seq, .hlc = head->last_hlc};
        sl_unsettled_set_durable(&core->unsettled, batch->unsettled, first);
        sl_core_set_head(core, core->origins[0], head);
        sl_buf_fini(&bytes);
    }
    core->drained = (struct sl_drained){.id = batch->outbox_id,
                                        .token = batch->token,
                                        .changes = batch->offset + batch->taken_n,
                                        .complete = batch->offset + batch->taken_n >= batch->row_n,
                                        .seq = head->held_seq};
    if (batch->asides != NULL) {
        world->failure = "a record could not be sent";
    }
    sl_core_give_batch(core, batch);
}

static void check_notices(struct merge_device *device)
{
    if (device->core->progress.notices > 0) {
        static char text[SL_ERROR_SIZE];
        memcpy(text, device->core->progress.notice.text, sizeof(text));
        device->world->failure = text;
    }
}

void merge_device_settle(struct merge_device *device)
{
    must(sl_settle_now(device->core, &err), "settle");
}

void merge_device_resolve(struct merge_device *device)
{
    bool did = true;
    device->intake.more = true; /* it sees what other connections commit, and there is none */
    while (did) {
        did = sl_intake_run(&device->intake);
        did = sl_fk_resolve_run(&device->resolve) || did;
        did = sl_serialize_run(&device->serialize) || did;
    }
    check_notices(device);
}

void merge_device_log(struct merge_device *device)
{
    struct sl_batch *batch = NULL;
    do { /* there are only so many batches, and what is not taken in yet waits for one */
        merge_device_resolve(device);
        batch = sl_ring_pop(&device->core->to_append);
        if (batch != NULL) {
            append(device, batch);
        }
    } while (batch != NULL);
    device->pending = false;
    if (device->world->owned) {
        merge_device_settle(device); /* only then is the right birth of another device shown */
    }
    check_notices(device);
}

/* ---- Arrivals ---- */

void merge_device_vector(const struct merge_device *device, uint32_t vector[MERGE_DEVICES])
{
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        const struct sl_origin_state *origin = device->origins[i];
        uint64_t seq = i == device->number ? origin->head.held_seq : origin->applied_seq;
        vector[i] = (uint32_t)(seq - device->seq_before[i]);
    }
}

uint32_t merge_device_behind(const struct merge_device *device, uint32_t origin)
{
    return device->world->ends_len[origin] - device->taken[origin];
}

void merge_device_apply(struct merge_device *device)
{
    device->apply.unsynced = false;
    (void)sl_apply_run(&device->apply);
}

void merge_device_take(struct merge_device *device, uint32_t from)
{
    struct sl_origin_state *origin = device->origins[from];
    struct sl_log_head head = sl_core_head(device->core, origin);
    if (merge_device_behind(device, from) == 0) {
        give_up("a change that is not in the log");
    }
    const struct merge_end *end = &device->world->ends[from][device->taken[from]++];
    head.held_seq = end->seq;
    head.last_hlc = end->hlc;
    sl_core_set_head(device->core, origin, &head);
    for (uint32_t tries = 0; tries < 8 && origin->applied_seq < head.held_seq; tries++) {
        merge_device_apply(device);
        device->world->slices++;
    }
    if (origin->applied_seq < head.held_seq) {
        device->world->failure = "a change is not applied";
    }
    if (device->apply.writer.aside_len > 0) {
        static char text[256];
        memcpy(text, device->apply.writer.asides[0].reason, sizeof(text));
        device->world->failure = text;
    }
    check_notices(device);
}

bool merge_device_is_at_rest(struct merge_device *device)
{
    sqlite3_stmt *stmt = query(device, MERGE_RESTS);
    bool rests = sqlite3_step(stmt) == SQLITE_DONE;
    (void)sqlite3_reset(stmt);
    return rests;
}

bool merge_device_check(struct merge_device *device)
{
    static int64_t seen[MERGE_RECORDS_MAX];
    struct merge_world *world = device->world;
    uint32_t vector[MERGE_DEVICES];
    merge_device_vector(device, vector);
    merge_device_see_all(device, seen);
    for (uint32_t r = 0; r < world->records_len; r++) {
        const struct merge_record *record = &world->records[r];
        int64_t wanted = 0;
        if (!merge_fold(record->changes, record->changes_len, vector, &wanted)) {
            wanted = 0;
        }
        if (seen[r] != wanted) {
            world->failed = r;
            return false;
        }
    }
    return true;
}
