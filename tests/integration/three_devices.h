/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Three devices that all dial each other and are stepped in one process, on real files, with tables
 * whose records point at each other. What a device hears first is arranged by holds: it has the log
 * of a device that it holds, and applies nothing of it. Included by one test program at a time. */

#ifndef SL_THREE_DEVICES_H
#define SL_THREE_DEVICES_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/transport_local.h"
#include "pipeline/library.h"
#include "pipeline/library_view.h"

#define ROUNDS_MAX 20000 /* far more than it takes: a bound, not a time */
#define QUIET_ROUNDS 30  /* nothing moves for so long: nothing will */
#define DEVICES 3

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent_id;
    struct syncline_opt_int64 folder_id;
    struct syncline_opt_uuid tag_uuid;
    int64_t value;
};

#define FIELDS(parent)                                                                             \
    SYNCLINE_ID(struct row, id), SYNCLINE_UUID(struct row, uuid),                                  \
        SYNCLINE_KEY(struct row, parent_id, parent), SYNCLINE_INT64(struct row, value)
static const struct syncline_field tag_fields[] = {FIELDS("tag")};
static const struct syncline_field folder_fields[] = {FIELDS("folder")};
static const struct syncline_field note_fields[] = {FIELDS("tag"),
                                                    SYNCLINE_KEY(struct row, folder_id, "folder")};
static const struct syncline_field link_fields[] = {
    SYNCLINE_ID(struct row, id), SYNCLINE_UUID(struct row, uuid),
    SYNCLINE_UUID_KEY(struct row, tag_uuid, "tag"), SYNCLINE_INT64(struct row, value)};
static const struct syncline_field pin_fields[] = {FIELDS("tag")};
static const struct syncline_model tag_model =
    SYNCLINE_MODEL("tag", "tags", SYNCLINE_SHARED, struct row, tag_fields);
static const struct syncline_model folder_model =
    SYNCLINE_MODEL("folder", "folders", SYNCLINE_DEVICE_OWNED, struct row, folder_fields);
static const struct syncline_model note_model =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct row, note_fields);
static const struct syncline_model link_model =
    SYNCLINE_MODEL("link", "links", SYNCLINE_SHARED, struct row, link_fields);
static const struct syncline_model pin_model =
    SYNCLINE_MODEL("pin", "pins", SYNCLINE_DEVICE_OWNED, struct row, pin_fields);
static const struct syncline_model *const models[] = {&tag_model, &folder_model, &note_model,
                                                      &link_model, &pin_model};
enum { TAG, FOLDER, NOTE, LINK, PIN, MODELS };
static const char *const tables[] = {"tags", "folders", "notes", "links", "pins"};

/* What SQLite would do by itself to the children of a record that goes differs from table to table:
 * it must decide nothing. */
#define ID "(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, value INTEGER,"
static const char schema[] =
    "CREATE TABLE tags" ID "parent_id INTEGER REFERENCES tags(id) ON DELETE SET NULL);"
    "CREATE TABLE folders" ID "parent_id INTEGER REFERENCES folders(id) ON DELETE RESTRICT);"
    "CREATE TABLE notes" ID "parent_id INTEGER NOT NULL REFERENCES tags(id) ON DELETE CASCADE,"
    " folder_id INTEGER REFERENCES folders(id) ON DELETE SET NULL);"
    "CREATE TABLE links" ID "tag_uuid BLOB REFERENCES tags(uuid));"
    "CREATE TABLE pins" ID "parent_id INTEGER REFERENCES tags(id) ON DELETE CASCADE);";

struct device {
    char name[2]; /* as others dial it */
    char library_db[128];
    char sync_db[128];
    char uuid_map[128];
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_library_config config;
    struct sl_library *library;
    sqlite3 *db;
};

static char folder[32];
static struct sl_error err;
static struct sl_env env; /* the real one, but that its clocks go faster */
static uint64_t skipped_ns;
static struct sl_local_hub *hub;
static struct device devices[DEVICES];
static struct device *const a = &devices[0];
static struct device *const b = &devices[1];
static struct device *const c = &devices[2];
static const char *const names[] = {"a", "b", "c"};
static bool holds[DEVICES][DEVICES]; /* the first applies nothing of the second */

/* ---- Devices ---- */

static inline uint64_t fast_mono_ns(void *ctx)
{
    (void)ctx;
    return sl_env_posix()->mono_ns(NULL) + skipped_ns;
}

static inline uint64_t fast_wall_ms(void *ctx)
{
    (void)ctx;
    return sl_env_posix()->wall_ms(NULL) + skipped_ns / 1000000;
}

static inline void sql(sqlite3 *db, const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static inline int64_t number(const struct device *device, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(device->db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

static inline void come(struct device *device)
{
    cr_assert_eq(sl_transport_local_new(hub, &device->transport), SYNCLINE_OK);
    device->config.transport = device->transport;
    cr_assert_eq(sl_library_open(&device->config, &device->library, &err), SYNCLINE_OK, "%s",
                 err.text);
}

static inline void leave(struct device *device)
{
    sl_library_close(device->library);
    device->library = NULL;
    device->transport->ops->free(device->transport);
}

static inline void make(size_t number_of, const struct syncline_uuid *library_id)
{
    struct device *device = &devices[number_of];
    memset(device, 0, sizeof(*device));
    device->name[0] = names[number_of][0];
    (void)snprintf(device->library_db, sizeof(device->library_db), "%.30s/%s.db", folder,
                   names[number_of]);
    (void)snprintf(device->sync_db, sizeof(device->sync_db), "%.30s/%s-sync.db", folder,
                   names[number_of]);
    (void)snprintf(device->uuid_map, sizeof(device->uuid_map), "%.30s/%s-map", folder,
                   names[number_of]);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &device->identity, &err), SYNCLINE_OK);
    device->config = (struct sl_library_config){.env = &env,
                                                .library_db = device->library_db,
                                                .sync_db = device->sync_db,
                                                .uuid_map = device->uuid_map,
                                                .identity = &device->identity,
                                                .models = models,
                                                .models_count = MODELS,
                                                .listen = device->name,
                                                .peers = names,
                                                .peers_count = number_of,
                                                .engine = true};
    cr_assert_eq(sl_library_create(&device->config, library_id, "Waiting", device->name, &err),
                 SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    sql(device->db, "PRAGMA foreign_keys=ON");
    sql(device->db, schema);
}

/* Three devices, all here. */
static inline void start(void)
{
    struct syncline_uuid library_id;
    env = *sl_env_posix();
    env.mono_ns = fast_mono_ns;
    env.wall_ms = fast_wall_ms;
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-waiting-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(syncline_uuid_new(&library_id, 1), SYNCLINE_OK);
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &hub), SYNCLINE_OK);
    for (size_t i = 0; i < DEVICES; i++) {
        make(i, &library_id);
        come(&devices[i]);
    }
}

static inline int remove_one(const char *path, const struct stat *status, int kind,
                             struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void stop(void)
{
    for (size_t i = 0; i < DEVICES; i++) {
        leave(&devices[i]);
        cr_assert_eq(sqlite3_close(devices[i].db), SQLITE_OK);
    }
    sl_local_hub_free(hub);
    cr_assert_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct syncline_info info_of(struct device *device)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(sl_library_info(device->library, &info, &err), SYNCLINE_OK, "%s", err.text);
    return info;
}

static inline void hold(const struct device *who, const struct device *whom, bool held)
{
    holds[who - devices][whom - devices] = held;
}

/* The state that `who` keeps of the other's log; NULL: none yet. */
static inline struct sl_origin_state *origin_at(struct device *who, struct device *whom)
{
    return sl_core_origin(sl_library_core(who->library), &sl_library_core(whom->library)->self);
}

static inline void keep_holds(void)
{
    for (size_t i = 0; i < DEVICES; i++) {
        for (size_t k = 0; k < DEVICES; k++) {
            struct sl_origin_state *origin = origin_at(&devices[i], &devices[k]);
            if (i != k && origin != NULL) {
                origin->held = holds[i][k];
            }
        }
    }
}

/* Has every device all that the others have captured, but for those it holds, in its tables? */
static inline bool is_done(void)
{
    for (size_t i = 0; i < DEVICES; i++) {
        for (size_t k = 0; k < DEVICES; k++) {
            struct device *from = &devices[i];
            struct device *to = &devices[k];
            if (from == to || holds[k][i]) {
                continue;
            }
            struct syncline_info info = info_of(from);
            const struct sl_origin_state *origin = origin_at(to, from);
            if (info.outbox > 0 || (origin != NULL ? origin->applied_seq : 0) != info.own_seq) {
                return false;
            }
        }
    }
    return true;
}

static inline void step(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < DEVICES; i++) {
            struct sl_library *library = devices[i].library;
            for (size_t s = 0; s < sl_library_stage_count(library); s++) {
                keep_holds();
                (void)sl_library_step(library, s);
            }
            sl_library_poll(library, 0);
        }
        skipped_ns += 100 * 1000 * 1000; /* what is put off is due within the quiet rounds */
    }
}

/* Steps all until each has what the others captured, and nothing moves. */
static inline void settle(void)
{
    int quiet = 0;
    for (int round = 0; round < ROUNDS_MAX && quiet < QUIET_ROUNDS; round++) {
        step(1);
        quiet = is_done() ? quiet + 1 : 0;
    }
    cr_assert_eq(quiet, QUIET_ROUNDS, "they do not come to rest");
}

static inline int64_t waiting(struct device *device)
{
    return number(device, "SELECT count(*) FROM _syncline_waiting");
}

static inline int64_t count(struct device *device, int model)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM %s", tables[model]);
    return number(device, text);
}

/* All hold the same rows with the same parents, and nothing waits or is set aside. */
static inline void check_equal(void)
{
    static const char *const contents[] = {
        "SELECT t.uuid,t.value,p.uuid FROM @tags t LEFT JOIN @tags p ON p.id=t.parent_id",
        "SELECT t.uuid,t.value,p.uuid FROM @folders t LEFT JOIN @folders p ON p.id=t.parent_id",
        "SELECT t.uuid,t.value,p.uuid,f.uuid FROM @notes t JOIN @tags p ON p.id=t.parent_id"
        " LEFT JOIN @folders f ON f.id=t.folder_id",
        "SELECT uuid,value,tag_uuid FROM @links",
        "SELECT t.uuid,t.value,p.uuid FROM @pins t LEFT JOIN @tags p ON p.id=t.parent_id"};
    for (size_t d = 0; d < DEVICES; d++) {
        cr_assert_eq(waiting(&devices[d]), 0, "%s", names[d]);
        cr_assert_eq(number(&devices[d], "SELECT count(*) FROM _syncline_waiting_key"), 0);
        cr_assert_eq(number(&devices[d], "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        cr_assert_eq(info_of(&devices[d]).set_aside, 0, "%s", names[d]);
        for (int m = 0; m < MODELS && d > 0; m++) {
            char here[400] = "";
            char there[400] = "";
            char text[2048];
            for (const char *at = contents[m]; *at != '\0'; at++) {
                size_t len = strlen(here);
                (void)snprintf(here + len, sizeof(here) - len, *at == '@' ? "main." : "%c", *at);
                len = strlen(there);
                (void)snprintf(there + len, sizeof(there) - len, *at == '@' ? "o." : "%c", *at);
            }
            (void)snprintf(text, sizeof(text), "ATTACH '%s' AS o", devices[d].library_db);
            sql(a->db, text);
            (void)snprintf(text, sizeof(text),
                           "SELECT (SELECT count(*) FROM (%s EXCEPT %s))+"
                           "(SELECT count(*) FROM (%s EXCEPT %s))",
                           here, there, there, here);
            cr_assert_eq(number(a, text), 0, "%s: %s", names[d], tables[m]);
            sql(a->db, "DETACH o");
        }
    }
}

/* ---- Rows ---- */

static inline struct syncline_uuid uuid_of(int model, int64_t n)
{
    struct syncline_uuid uuid = {{(uint8_t)(model + 1), (uint8_t)(n >> 8), (uint8_t)n}};
    return uuid;
}

/* The local id of a record by its number; 0: it is not here. */
static inline int64_t id_of(const struct device *device, int model, int64_t n)
{
    char text[128];
    struct syncline_uuid uuid = uuid_of(model, n);
    sqlite3_stmt *stmt = NULL;
    (void)snprintf(text, sizeof(text), "SELECT id FROM %s WHERE uuid=?1", tables[model]);
    cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, uuid.bytes, 16, SQLITE_STATIC);
    int64_t id = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_finalize(stmt);
    return id;
}

static inline bool has(const struct device *device, int model, int64_t n)
{
    return id_of(device, model, n) != 0;
}

static inline int64_t value_of(const struct device *device, int model, int64_t n)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "SELECT value FROM %s WHERE id=%lld", tables[model],
                   (long long)id_of(device, model, n));
    return number(device, text);
}

static inline void capture(struct device *device, int model, const struct row *row, size_t n,
                           enum syncline_change change, uint32_t batch_len)
{
    cr_assert_eq(sl_library_capture(device->library, models[model], row, n, change, device->db,
                                    batch_len, &err),
                 SYNCLINE_OK, "%s", err.text);
}

static inline void write_row(const struct device *device, const char *text, const struct row *row)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(device->db));
    (void)sqlite3_bind_blob(stmt, 1, row->uuid.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, row->value);
    if (row->parent_id.is_set) {
        (void)sqlite3_bind_int64(stmt, 3, row->parent_id.value);
    }
    if (row->tag_uuid.is_set) {
        (void)sqlite3_bind_blob(stmt, 3, row->tag_uuid.value.bytes, 16, SQLITE_STATIC);
    }
    if (row->folder_id.is_set) {
        (void)sqlite3_bind_int64(stmt, 4, row->folder_id.value);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(device->db));
    (void)sqlite3_finalize(stmt);
}

/* The model that parent_id points at. */
static inline int parent_of(int model)
{
    return model == NOTE || model == PIN ? TAG : model;
}

/* Writes a row, not captured. `parent` and `folder_n` are numbers; 0: none. */
static inline struct row put(struct device *device, int model, int64_t n, int64_t parent,
                             int64_t folder_n, int64_t value)
{
    struct row row = {.uuid = uuid_of(model, n), .value = value};
    char text[256];
    if (parent != 0 && model == LINK) {
        row.tag_uuid = (struct syncline_opt_uuid){uuid_of(TAG, parent), true};
    } else if (parent != 0) {
        row.parent_id = (struct syncline_opt_int64){id_of(device, parent_of(model), parent), true};
    }
    if (folder_n != 0) {
        row.folder_id = (struct syncline_opt_int64){id_of(device, FOLDER, folder_n), true};
    }
    const char *key = model == LINK ? "tag_uuid" : "parent_id";
    const char *more = model == NOTE ? ",folder_id" : "";
    if (has(device, model, n)) {
        (void)snprintf(text, sizeof(text), "UPDATE %s SET value=?2,%s=?3%s WHERE uuid=?1",
                       tables[model], key, model == NOTE ? ",folder_id=?4" : "");
    } else {
        (void)snprintf(text, sizeof(text), "INSERT INTO %s(uuid,value,%s%s)VALUES(?1,?2,?3%s)",
                       tables[model], key, more, model == NOTE ? ",?4" : "");
    }
    write_row(device, text, &row);
    row.id = id_of(device, model, n);
    return row;
}

/* Inserts or updates a record, and captures that. */
static inline void set(struct device *device, int model, int64_t n, int64_t parent,
                       int64_t folder_n, int64_t value)
{
    enum syncline_change change = has(device, model, n) ? SYNCLINE_UPDATE : SYNCLINE_INSERT;
    sql(device->db, "BEGIN IMMEDIATE");
    struct row row = put(device, model, n, parent, folder_n, value);
    capture(device, model, &row, 1, change, 0);
    sql(device->db, "COMMIT");
}

/* Removes a record; `first` is run in the same transaction before. */
static inline void drop_after(struct device *device, int model, int64_t n, const char *first)
{
    char text[128];
    struct row row = {.id = id_of(device, model, n), .uuid = uuid_of(model, n)};
    cr_assert_neq(row.id, 0);
    sql(device->db, "BEGIN IMMEDIATE");
    sql(device->db, first);
    (void)snprintf(text, sizeof(text), "DELETE FROM %s WHERE id=%lld", tables[model],
                   (long long)row.id);
    sql(device->db, text);
    capture(device, model, &row, 1, SYNCLINE_DELETE, 0);
    sql(device->db, "COMMIT");
}

static inline void drop(struct device *device, int model, int64_t n)
{
    drop_after(device, model, n, "");
}

static inline void everybody(void)
{
    memset(holds, 0, sizeof(holds));
    settle();
}

/* ---- Steps in an order ---- */

/* Steps all, the device without that stage, until it has applied what the other made. */
static inline void take_without(struct device *device, struct device *from, const char *stage)
{
    int rounds = ROUNDS_MAX;
    while (origin_at(device, from)->applied_seq != info_of(from).own_seq && rounds-- > 0) {
        for (size_t i = 0; i < DEVICES; i++) {
            struct sl_library *library = devices[i].library;
            for (size_t s = 0; s < sl_library_stage_count(library); s++) {
                bool left_out =
                    &devices[i] == device && strcmp(sl_library_stage_name(library, s), stage) == 0;
                keep_holds();
                (void)(left_out || sl_library_step(library, s));
            }
            sl_library_poll(library, 0);
        }
    }
    cr_assert_gt(rounds, 0);
}

/* What is captured goes into the log, and does not come back from there. */
static inline void log_unsettled(struct device *device)
{
    bool did = true;
    while (did) {
        did = false;
        for (size_t s = 0; strcmp(sl_library_stage_name(device->library, s), "apply") != 0; s++) {
            did = sl_library_step(device->library, s) || did;
        }
    }
}

/* Steps one stage of a device. */
static inline void step_stage(struct device *device, const char *name)
{
    for (size_t s = 0; s < sl_library_stage_count(device->library); s++) {
        if (strcmp(sl_library_stage_name(device->library, s), name) == 0) {
            (void)sl_library_step(device->library, s);
        }
    }
}

#endif
