/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Devices in one process, stepped by hand, on a simulated disk that forgets what was not synced and
 * on clocks that move when a test says so. Each has a table of notes; nothing of it is random but
 * by a seed. Included by one test program at a time. */

#ifndef SL_STEPPED_H
#define SL_STEPPED_H

#include "tests/sim/sim_content.c"
#include "tests/sim/sim_random.c"
#include "tests/sim/sim_vfs.c"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "net/transport_local.h"
#include "pipeline/library.h"
#include "pipeline/library_view.h"

#define STEPPED_NS_PER_MS UINT64_C(1000000)
#define STEPPED_DEVICES_MAX 4
#define STEPPED_ROUNDS 2000 /* far more than anything takes: a bound, not a time */

struct stepped_note {
    int64_t id;
    struct syncline_uuid uuid;
    const char *text;
};

static const struct syncline_field stepped_fields[] = {SYNCLINE_ID(struct stepped_note, id),
                                                       SYNCLINE_UUID(struct stepped_note, uuid),
                                                       SYNCLINE_TEXT(struct stepped_note, text)};
static const struct syncline_model stepped_model =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct stepped_note, stepped_fields);
static const struct syncline_model stepped_memo_model =
    SYNCLINE_MODEL("memo", "memos", SYNCLINE_SHARED, struct stepped_note, stepped_fields);

struct stepped_twig {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent;
};

static const struct syncline_field stepped_twig_fields[] = {
    SYNCLINE_ID(struct stepped_twig, id), SYNCLINE_UUID(struct stepped_twig, uuid),
    SYNCLINE_KEY(struct stepped_twig, parent, "twig")};
static const struct syncline_model stepped_twig_model =
    SYNCLINE_MODEL("twig", "twigs", SYNCLINE_SHARED, struct stepped_twig, stepped_twig_fields);
static const struct syncline_field stepped_leaf_fields[] = {
    SYNCLINE_ID(struct stepped_twig, id), SYNCLINE_UUID(struct stepped_twig, uuid),
    SYNCLINE_KEY(struct stepped_twig, parent, "leaf")};
static const struct syncline_model stepped_leaf_model = SYNCLINE_MODEL(
    "leaf", "leaves", SYNCLINE_DEVICE_OWNED, struct stepped_twig, stepped_leaf_fields);
static const struct syncline_field stepped_bud_fields[] = {
    SYNCLINE_ID(struct stepped_twig, id), SYNCLINE_UUID(struct stepped_twig, uuid),
    SYNCLINE_KEY(struct stepped_twig, parent, "twig")};
static const struct syncline_model stepped_bud_model =
    SYNCLINE_MODEL("bud", "buds", SYNCLINE_DEVICE_OWNED, struct stepped_twig, stepped_bud_fields);
static const struct syncline_model *const stepped_models[] = {
    &stepped_model, &stepped_memo_model, &stepped_twig_model, &stepped_leaf_model,
    &stepped_bud_model};

struct stepped_device {
    const char *name;
    const char *peers[STEPPED_DEVICES_MAX];
    size_t peers_len;
    char folder[8];
    char library_db[32];
    char sync_db[32];
    int64_t wall_offset_ms; /* of its wall clock from the world's */
    uint32_t page_len;      /* records in a page of a snapshot; 0: the default */
    size_t models_len;      /* given at open: notes alone, or memos, twigs, leaves, buds too */
    const struct sl_settings *settings; /* NULL: the defaults */
    const char *place;                  /* given at open; NULL: not known */
    struct sl_mark_keeper keeper;       /* keeps `mark`, which is outside the disk, if has_keeper */
    struct sl_log_mark mark;
    enum syncline_status marking; /* what keeping and reading a mark comes to */
    bool has_keeper;
    bool has_mark;
    struct sl_env env;
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_library *library; /* NULL: not open */
    sqlite3 *db;                /* the application's connection */
};

static struct {
    struct sl_sim_disk *disk;
    struct sl_local_hub *hub;
    struct sl_sim_random dice;
    struct syncline_uuid library_id;
    uint64_t mono_ns;
    uint64_t wall_ms;
    struct sl_error err;
    struct stepped_device devices[STEPPED_DEVICES_MAX];
    size_t devices_len;
} stepped;

/* ---- The world ---- */

static uint64_t stepped_wall(void *ctx)
{
    const struct stepped_device *device = ctx;
    return stepped.wall_ms + (uint64_t)device->wall_offset_ms;
}

static uint64_t stepped_mono(void *ctx)
{
    (void)ctx;
    stepped.mono_ns += STEPPED_NS_PER_MS / 20;
    return stepped.mono_ns;
}

static uint64_t stepped_disk_wall(void *ctx)
{
    (void)ctx;
    return stepped.wall_ms;
}

static void stepped_sleep(void *ctx, uint64_t us)
{
    (void)ctx;
    stepped.mono_ns += us * 1000u;
}

static void stepped_draw(void *ctx, void *out, size_t size)
{
    (void)ctx;
    sl_sim_random_fill(&stepped.dice, out, size);
}

static enum syncline_status stepped_random(void *ctx, void *out, size_t size)
{
    stepped_draw(ctx, out, size);
    return SYNCLINE_OK;
}

/* What is to fail: operations of these kinds (bits of 1 << op) on paths that end so. */
static struct {
    unsigned ops;
    const char *end;
    enum sl_sim_disk_fate fate;
    int after; /* so many of them succeed before */
    int times; /* so many fail; < 0: all */
    int met;   /* that have failed */
} stepped_fault;

static enum sl_sim_disk_fate stepped_fate(void *ctx, enum sl_sim_disk_op op, const char *path)
{
    (void)ctx;
    size_t len = strlen(path);
    size_t end_len = stepped_fault.end != NULL ? strlen(stepped_fault.end) : 0;
    if ((stepped_fault.ops & (1u << op)) == 0 || len < end_len ||
        strcmp(path + len - end_len, stepped_fault.end) != 0 || stepped_fault.times == 0) {
        return SL_SIM_DISK_FINE;
    }
    if (stepped_fault.after > 0) {
        stepped_fault.after--;
        return SL_SIM_DISK_FINE;
    }
    stepped_fault.times -= stepped_fault.times > 0 ? 1 : 0;
    stepped_fault.met++;
    return stepped_fault.fate;
}

static inline void stepped_fail(unsigned ops, const char *end, enum sl_sim_disk_fate fate,
                                int times)
{
    stepped_fault.ops = ops;
    stepped_fault.end = end;
    stepped_fault.fate = fate;
    stepped_fault.after = 0;
    stepped_fault.times = times;
    stepped_fault.met = 0;
}

static inline void stepped_heal(void)
{
    stepped_fault.ops = 0;
}

static void stepped_begin(void)
{
    static const struct sl_sim_disk_world world = {.wall_ms = stepped_disk_wall,
                                                   .sleep_us = stepped_sleep,
                                                   .random = stepped_draw,
                                                   .fate = stepped_fate};
    sl_sim_random_init(&stepped.dice, 1, 1);
    stepped.mono_ns = 1000 * STEPPED_NS_PER_MS;
    stepped.wall_ms = 1767225600000u;
    stepped.disk = sl_sim_disk_new(&world);
    cr_assert_not_null(stepped.disk);
    sqlite3_randomness(0, NULL);
    stepped_draw(NULL, &stepped.library_id, sizeof(stepped.library_id));
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &stepped.hub), SYNCLINE_OK);
}

/* ---- A device ---- */

static void stepped_sql(struct stepped_device *device, const char *text)
{
    cr_assert_eq(sqlite3_exec(device->db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(device->db));
}

static int64_t stepped_number_of(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s: %s", text, sqlite3_errmsg(db));
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

static inline int64_t stepped_number(const struct stepped_device *device, const char *text)
{
    return stepped_number_of(device->db, text);
}

/* Of its sync.db. */
static inline int64_t stepped_log_number(const struct stepped_device *device, const char *text)
{
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(device->sync_db, &log), SQLITE_OK);
    int64_t value = stepped_number_of(log, text);
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    return value;
}

static enum syncline_status stepped_read_mark(void *ctx, struct sl_log_mark *mark,
                                              struct sl_error *err)
{
    struct stepped_device *device = ctx;
    if (device->marking != SYNCLINE_OK) {
        return sl_fail(err, device->marking, "the mark cannot be read");
    }
    *mark = device->mark;
    return device->has_mark ? SYNCLINE_OK : sl_fail(err, SYNCLINE_ENOTFOUND, "there is no mark");
}

static enum syncline_status stepped_write_mark(void *ctx, const struct sl_log_mark *mark,
                                               struct sl_error *err)
{
    struct stepped_device *device = ctx;
    if (device->marking != SYNCLINE_OK) {
        return sl_fail(err, device->marking, "the mark cannot be written");
    }
    device->mark = *mark;
    device->has_mark = true;
    return SYNCLINE_OK;
}

static struct sl_library_config stepped_config(struct stepped_device *device)
{
    device->keeper = (struct sl_mark_keeper){
        .read = stepped_read_mark, .write = stepped_write_mark, .ctx = device};
    return (struct sl_library_config){.env = &device->env,
                                      .library_db = device->library_db,
                                      .sync_db = device->sync_db,
                                      .identity = &device->identity,
                                      .models = stepped_models,
                                      .models_count = device->models_len,
                                      .transport = device->transport,
                                      .listen = device->name,
                                      .peers = device->peers,
                                      .peers_count = device->peers_len,
                                      .settings = device->settings,
                                      .keeper = device->has_keeper ? &device->keeper : NULL,
                                      .place = device->place,
                                      .page_len = device->page_len,
                                      .engine = true};
}

static enum syncline_status stepped_try_open(struct stepped_device *device)
{
    cr_assert_eq(sl_transport_local_new(stepped.hub, &device->transport), SYNCLINE_OK);
    struct sl_library_config config = stepped_config(device);
    enum syncline_status status = sl_library_open(&config, &device->library, &stepped.err);
    if (status != SYNCLINE_OK) {
        device->transport->ops->free(device->transport);
        device->library = NULL;
    }
    return status;
}

static void stepped_open(struct stepped_device *device)
{
    cr_assert_eq(stepped_try_open(device), SYNCLINE_OK, "%s", stepped.err.text);
}

static void stepped_close(struct stepped_device *device)
{
    if (device->library != NULL) {
        sl_library_close(device->library);
        device->transport->ops->free(device->transport);
        device->library = NULL;
    }
}

/* Makes the device with its files, and opens it; it dials those that were made before it. */
static struct stepped_device *stepped_make(const char *name)
{
    struct stepped_device *device = &stepped.devices[stepped.devices_len];
    int number = (int)stepped.devices_len++;
    *device = (struct stepped_device){.name = name, .models_len = 1};
    (void)snprintf(device->folder, sizeof(device->folder), "/d%d/", number);
    (void)snprintf(device->library_db, sizeof(device->library_db), "/d%d/library.db", number);
    (void)snprintf(device->sync_db, sizeof(device->sync_db), "/d%d/sync.db", number);
    for (int i = 0; i < number; i++) {
        device->peers[device->peers_len++] = stepped.devices[i].name;
    }
    device->env = (struct sl_env){.wall_ms = stepped_wall,
                                  .mono_ns = stepped_mono,
                                  .random = stepped_random,
                                  .vfs = SL_SIM_VFS_NAME,
                                  .ctx = device,
                                  .alloc = &sl_allocator_libc};
    cr_assert_eq(sl_identity_new(&device->env, &device->identity, &stepped.err), SYNCLINE_OK);
    struct sl_library_config config = stepped_config(device);
    cr_assert_eq(sl_library_create(&config, &stepped.library_id, "Notes", name, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    stepped_sql(device, "CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                        " text TEXT); CREATE TABLE memos(id INTEGER PRIMARY KEY,"
                        " uuid BLOB NOT NULL UNIQUE, text TEXT); CREATE TABLE twigs(id INTEGER"
                        " PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, parent INTEGER REFERENCES"
                        " twigs(id)); CREATE TABLE leaves(id INTEGER PRIMARY KEY, uuid BLOB NOT"
                        " NULL UNIQUE, parent INTEGER REFERENCES leaves(id) ON DELETE CASCADE);"
                        " CREATE TABLE buds(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                        " parent INTEGER REFERENCES twigs(id) ON DELETE CASCADE)");
    stepped_open(device);
    return device;
}

static inline void stepped_reopen(struct stepped_device *device)
{
    stepped_close(device);
    stepped_open(device);
}

static void stepped_start_again(struct stepped_device *device)
{
    stepped_close(device);
    (void)sqlite3_close(device->db);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    stepped_open(device);
}

/* All its processes are killed, and it is started again. */
static inline void stepped_kill(struct stepped_device *device)
{
    sl_sim_disk_kill(stepped.disk, device->folder);
    stepped_start_again(device);
}

/* The same by a power cut. */
static inline void stepped_cut_power(struct stepped_device *device)
{
    sl_sim_disk_power_cut(stepped.disk, device->folder);
    stepped_start_again(device);
}

static void stepped_end(void)
{
    for (size_t i = 0; i < stepped.devices_len; i++) {
        stepped_close(&stepped.devices[i]);
        cr_assert_eq(sqlite3_close(stepped.devices[i].db), SQLITE_OK);
    }
    sl_local_hub_free(stepped.hub);
    cr_assert_eq(sl_sim_disk_handle_count(stepped.disk), 0);
    sl_sim_disk_free(stepped.disk);
}

/* ---- Running ---- */

/* One slice of each stage of each open device; and `ms` pass. */
static void stepped_round(uint64_t ms)
{
    for (size_t d = 0; d < stepped.devices_len; d++) {
        struct stepped_device *device = &stepped.devices[d];
        for (size_t i = 0; device->library != NULL && i < sl_library_stage_count(device->library);
             i++) {
            (void)sl_library_step(device->library, i);
        }
        if (device->library != NULL) {
            sl_library_poll(device->library, 0);
        }
    }
    stepped.wall_ms += ms;
    stepped.mono_ns += ms * STEPPED_NS_PER_MS;
}

static inline void stepped_rounds(int count)
{
    for (int i = 0; i < count; i++) {
        stepped_round(2);
    }
}

/* Steps until the condition holds, and fails if it never does. */
#define STEPPED_UNTIL(condition)                                                                   \
    do {                                                                                           \
        int stepped_left = STEPPED_ROUNDS;                                                         \
        while (!(condition) && stepped_left > 0) {                                                 \
            stepped_round(2);                                                                      \
            stepped_left--;                                                                        \
        }                                                                                          \
        cr_assert(stepped_left > 0, "it never comes to be: %s", #condition);                       \
    } while (0)

static inline struct syncline_info stepped_info(struct stepped_device *device)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(sl_library_info(device->library, &info, &stepped.err), SYNCLINE_OK, "%s",
                 stepped.err.text);
    return info;
}

/* Copies a database, page by page. */
static inline void stepped_copy(const char *from_path, const char *to_path)
{
    sqlite3 *from = NULL;
    sqlite3 *to = NULL;
    cr_assert_eq(sqlite3_open(from_path, &from), SQLITE_OK);
    cr_assert_eq(sqlite3_open(to_path, &to), SQLITE_OK);
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
    cr_assert_not_null(copy);
    cr_assert_eq(sqlite3_backup_step(copy, -1), SQLITE_DONE);
    cr_assert_eq(sqlite3_backup_finish(copy), SQLITE_OK);
    (void)sqlite3_close(to);
    (void)sqlite3_close(from);
}

/* The hash of all notes that sync. */
static inline void stepped_digest(struct stepped_device *device, uint8_t hash[SL_HASH_SIZE])
{
    uint64_t count = 0;
    cr_assert_eq(sl_library_digest(device->library, &stepped_model, &count, hash, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
}

/* ---- The application ---- */

/* Inserts (with the UUID all zero, which it then gets), updates or deletes a row without a capture.
 */
static inline void stepped_write(struct stepped_device *device, struct stepped_note *note,
                                 enum syncline_change change, const char *table)
{
    static const char *const before[] = {[SYNCLINE_INSERT] = "INSERT INTO ",
                                         [SYNCLINE_UPDATE] = "UPDATE ",
                                         [SYNCLINE_DELETE] = "DELETE FROM "};
    static const char *const after[] = {[SYNCLINE_INSERT] = "(uuid,text) VALUES(?1,?2)",
                                        [SYNCLINE_UPDATE] = " SET text=?2 WHERE uuid=?1",
                                        [SYNCLINE_DELETE] = " WHERE uuid=?1"};
    static const struct syncline_uuid none;
    char text[128];
    sqlite3_stmt *stmt = NULL;
    if (memcmp(&note->uuid, &none, sizeof(none)) == 0) {
        stepped_draw(NULL, &note->uuid, sizeof(note->uuid));
    }
    (void)snprintf(text, sizeof(text), "%s%s%s", before[change], table, after[change]);
    cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, note->uuid.bytes, 16, SQLITE_STATIC);
    if (change != SYNCLINE_DELETE) {
        (void)sqlite3_bind_text(stmt, 2, note->text, -1, SQLITE_STATIC);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(device->db));
    (void)sqlite3_finalize(stmt);
    if (change == SYNCLINE_INSERT) {
        note->id = sqlite3_last_insert_rowid(device->db);
    }
}

/* The id of a note here, by its UUID. */
static inline int64_t stepped_id(struct stepped_device *device, const struct stepped_note *note)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(device->db, "SELECT id FROM notes WHERE uuid=?1", -1, &stmt, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, note->uuid.bytes, 16, SQLITE_STATIC);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t id = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return id;
}

static inline enum syncline_status stepped_capture(struct stepped_device *device,
                                                   const struct stepped_note *note,
                                                   enum syncline_change change)
{
    return sl_library_capture(device->library, &stepped_model, note, 1, change, device->db, 0,
                              &stepped.err);
}

/* The row and its capture in one transaction. */
static inline void stepped_save(struct stepped_device *device, struct stepped_note *note,
                                enum syncline_change change)
{
    stepped_sql(device, "BEGIN IMMEDIATE");
    if (change != SYNCLINE_INSERT) {
        note->id = stepped_id(device, note);
    }
    stepped_write(device, note, change, "notes");
    cr_assert_eq(stepped_capture(device, note, change), SYNCLINE_OK, "%s", stepped.err.text);
    stepped_sql(device, "COMMIT");
}

static inline void stepped_insert(struct stepped_device *device, int n)
{
    for (int i = 0; i < n; i++) {
        struct stepped_note note = {.text = "a note"};
        stepped_save(device, &note, SYNCLINE_INSERT);
    }
}

/* How many events there are of that code; all of them with 0. */
static inline int64_t stepped_events(struct stepped_device *device, enum syncline_event_code code)
{
    char text[96];
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM event WHERE code=%d OR %d=0",
                   (int)code, (int)code);
    return stepped_log_number(device, text);
}

/* Is the note here with that text? */
static inline bool stepped_note_is(struct stepped_device *device, const struct stepped_note *note,
                                   const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(device->db, "SELECT 1 FROM notes WHERE uuid=?1 AND text=?2", -1,
                                    &stmt, NULL),
                 SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, note->uuid.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
    bool is = sqlite3_step(stmt) == SQLITE_ROW;
    (void)sqlite3_finalize(stmt);
    return is;
}

#endif
