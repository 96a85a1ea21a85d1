/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the tests of the public calls share: a small application with three models - every type of
 * field, keys by id and by UUID, self-references, both kinds of ownership -, devices in temporary
 * folders, waiting with a deadline, and the proof by SQL that two libraries hold the same. */

#ifndef SL_TESTS_API_H
#define SL_TESTS_API_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "include/syncline.h"

#define API_DEADLINE_MS 100000 /* for anything a test waits for; never a measurement */
#define API_PATH_SIZE 512

/* ---- The application ---- */

/* Shared, no keys, and a column of its own on every device. */
struct tag {
    int64_t id;
    struct syncline_uuid uuid;
    const char *name;
    struct syncline_text note;
    struct syncline_opt_int64 color;
};

/* Device-owned; a tree. */
struct folder {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent_id;
    struct syncline_bytes name;
};

/* Shared; every type of field there is. */
struct thing {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t count;
    struct syncline_opt_int64 count_opt;
    double size;
    struct syncline_opt_double size_opt;
    bool flag;
    int64_t at;
    struct syncline_opt_int64 at_opt;
    const char *label;
    struct syncline_text body;
    struct syncline_bytes data;
    int64_t tag_id;
    struct syncline_opt_int64 folder_id;
    struct syncline_opt_int64 itself_id;
    struct syncline_uuid second_tag;
};

static const struct syncline_field tag_fields[] = {
    SYNCLINE_ID(struct tag, id), SYNCLINE_UUID(struct tag, uuid), SYNCLINE_TEXT(struct tag, name),
    SYNCLINE_TEXT(struct tag, note), SYNCLINE_INT64(struct tag, color)};
static const struct syncline_model tag_model =
    SYNCLINE_MODEL("tag", "tags", SYNCLINE_SHARED, struct tag, tag_fields);

static const struct syncline_field folder_fields[] = {
    SYNCLINE_ID(struct folder, id), SYNCLINE_UUID(struct folder, uuid),
    SYNCLINE_KEY(struct folder, parent_id, "folder"), SYNCLINE_BLOB(struct folder, name)};
static const struct syncline_model folder_model =
    SYNCLINE_MODEL("folder", "folders", SYNCLINE_DEVICE_OWNED, struct folder, folder_fields);

static const struct syncline_field thing_fields[] = {
    SYNCLINE_ID(struct thing, id),
    SYNCLINE_UUID(struct thing, uuid),
    SYNCLINE_INT64(struct thing, count),
    SYNCLINE_INT64(struct thing, count_opt),
    SYNCLINE_DOUBLE(struct thing, size),
    SYNCLINE_DOUBLE(struct thing, size_opt),
    SYNCLINE_BOOL(struct thing, flag),
    SYNCLINE_TIME(struct thing, at),
    SYNCLINE_TIME(struct thing, at_opt),
    SYNCLINE_TEXT(struct thing, label),
    SYNCLINE_TEXT(struct thing, body),
    SYNCLINE_BLOB(struct thing, data),
    SYNCLINE_KEY(struct thing, tag_id, "tag"),
    SYNCLINE_KEY(struct thing, folder_id, "folder"),
    SYNCLINE_KEY(struct thing, itself_id, "thing"),
    SYNCLINE_UUID_KEY(struct thing, second_tag, "tag")};
static const struct syncline_model thing_model =
    SYNCLINE_MODEL("thing", "things", SYNCLINE_SHARED, struct thing, thing_fields);

static const struct syncline_model *const api_models[] = {&tag_model, &folder_model, &thing_model};

static const char api_schema[] =
    "CREATE TABLE tags(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, name TEXT, note TEXT,"
    " color INTEGER, here TEXT NOT NULL DEFAULT 'local');"
    "CREATE TABLE folders(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
    " parent_id INTEGER REFERENCES folders(id), name BLOB);"
    "CREATE TABLE things(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
    " count INTEGER NOT NULL, count_opt INTEGER, size REAL NOT NULL, size_opt REAL,"
    " flag INTEGER NOT NULL, at INTEGER NOT NULL, at_opt INTEGER, label TEXT, body TEXT, data BLOB,"
    " tag_id INTEGER NOT NULL REFERENCES tags(id), folder_id INTEGER REFERENCES folders(id),"
    " itself_id INTEGER REFERENCES things(id), second_tag BLOB NOT NULL REFERENCES tags(uuid));";

/* ---- Folders and files ---- */

static char api_folder[128]; /* temporary folder of this test */

static inline void api_setup(void)
{
    (void)snprintf(api_folder, sizeof(api_folder), "/tmp/syncline-api-XXXXXX");
    cr_assert_not_null(mkdtemp(api_folder));
    (void)setenv("XDG_STATE_HOME", api_folder, 1);
}

static inline int api_remove_one(const char *path, const struct stat *st, int kind,
                                 struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void api_cleanup(void)
{
    (void)nftw(api_folder, api_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in the test's folder. Each call overwrites what the eighth call before it gave. */
static inline const char *api_path(const char *name)
{
    static char paths[8][API_PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, API_PATH_SIZE, "%s/%s", api_folder, name);
    return path;
}

static inline bool api_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static inline void api_write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(data, 1, len, file), len);
    cr_assert_eq(fclose(file), 0);
}

static inline void api_copy_file(const char *from, const char *to)
{
    char chunk[65536];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    cr_assert(in != NULL && out != NULL, "%s to %s", from, to);
    for (size_t len = fread(chunk, 1, sizeof(chunk), in); len > 0;
         len = fread(chunk, 1, sizeof(chunk), in)) {
        cr_assert_eq(fwrite(chunk, 1, len, out), len);
    }
    (void)fclose(in);
    cr_assert_eq(fclose(out), 0);
}

/* ---- SQL ---- */

static inline sqlite3 *api_db_open(const char *path)
{
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                 SQLITE_OK, "%s", path);
    (void)sqlite3_busy_timeout(db, 20000);
    return db;
}

static inline void api_sql(sqlite3 *db, const char *sql)
{
    char *text = NULL;
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &text), SQLITE_OK, "%s: %s", sql, text);
}

/* One integer of a query; -1 without a row. */
static inline int64_t api_int(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
    int64_t value = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    (void)sqlite3_finalize(stmt);
    return value;
}

/* Runs SQL on a file that nobody has open. */
static inline void api_sql_at(const char *path, const char *sql)
{
    sqlite3 *db = api_db_open(path);
    api_sql(db, sql);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

/* ---- Devices ---- */

struct api_device {
    char dir[API_PATH_SIZE];
    char db_path[API_PATH_SIZE];
    char address[64]; /* served; "" if none */
    struct syncline *lib;
    sqlite3 *db; /* the application's connection */
};

static char api_text[512]; /* of the last call that failed */

/* The text of the last failed call on a handle. */
static inline const char *api_error(struct syncline *lib)
{
    syncline_error(lib, api_text, sizeof(api_text));
    return api_text;
}

#define API_OK(lib_, call_)                                                                        \
    do {                                                                                           \
        enum syncline_status api_status_ = (call_);                                                \
        cr_assert_eq(api_status_, SYNCLINE_OK, "%s: %s", syncline_status_name(api_status_),        \
                     api_error(lib_));                                                             \
    } while (0)

/* The call fails with that status and a line that has `part_` in it. */
#define API_REFUSED(lib_, call_, status_, part_)                                                   \
    do {                                                                                           \
        enum syncline_status api_status_ = (call_);                                                \
        cr_expect_eq(api_status_, (status_), "%s and not %s: %s",                                  \
                     syncline_status_name(api_status_), syncline_status_name(status_),             \
                     api_error(lib_));                                                             \
        cr_expect_not_null(strstr(api_error(lib_), (part_)), "\"%s\" is not in: %s", (part_),      \
                           api_text);                                                              \
        cr_expect_null(strchr(api_text, '\n'), "more than one line: %s", api_text);                \
    } while (0)

static inline struct syncline_options api_options(void)
{
    struct syncline_options options = SYNCLINE_OPTIONS_INIT;
    options.models = api_models;
    options.models_count = sizeof(api_models) / sizeof(api_models[0]);
    options.insecure_loopback = true;
    options.error = api_text;
    options.error_size = sizeof(api_text);
    api_text[0] = '\0';
    return options;
}

static inline void api_name(struct api_device *device, const char *name)
{
    memset(device, 0, sizeof(*device));
    (void)snprintf(device->dir, sizeof(device->dir), "%s", api_path(name));
    (void)snprintf(device->db_path, sizeof(device->db_path), "%s/library.db", api_path(name));
}

/* The application's own way in: its connection, with its tables. */
static inline void api_db(struct api_device *device)
{
    device->db = api_db_open(device->db_path);
    api_sql(device->db, "PRAGMA foreign_keys=ON");
    if (api_int(device->db, "SELECT count(*) FROM sqlite_schema WHERE name='tags'") == 0) {
        api_sql(device->db, api_schema);
    }
}

/* Makes a library of its own, with the tables in it and nothing open but the connection. */
static inline void api_create(struct api_device *device, const char *name)
{
    struct syncline_options options = api_options();
    api_name(device, name);
    options.device_name = name;
    cr_assert_eq(syncline_create(device->dir, "the library", &options), SYNCLINE_OK, "%s",
                 api_text);
    api_db(device);
}

/* Makes a further device of the library that is served at `address`. */
static inline void api_join(struct api_device *device, const char *name, const char *address)
{
    struct syncline_options options = api_options();
    api_name(device, name);
    options.device_name = name;
    cr_assert_eq(syncline_join(device->dir, address, &options), SYNCLINE_OK, "%s", api_text);
    api_db(device);
}

static inline struct syncline_info api_info(struct api_device *device)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    API_OK(device->lib, syncline_info(device->lib, &info));
    return info;
}

/* Opens the engine. It listens where it listened before, else at a free port; `peer` may be NULL.
 */
static inline void api_open(struct api_device *device, const char *peer)
{
    struct syncline_options options = api_options();
    char listen[64];
    options.role = SYNCLINE_ROLE_ENGINE;
    (void)snprintf(listen, sizeof(listen), "%s",
                   device->address[0] != '\0' ? device->address : "127.0.0.1:0");
    options.listen = listen;
    options.peers = &peer;
    options.peers_count = peer != NULL ? 1 : 0;
    enum syncline_status status = syncline_open(device->dir, &options, &device->lib);
    /* Tests run side by side, and another one may have taken the port meanwhile: it ends soon. */
    for (int i = 0; status == SYNCLINE_ENET && i < 1000; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        status = syncline_open(device->dir, &options, &device->lib);
    }
    cr_assert_eq(status, SYNCLINE_OK, "%s", api_text);
    struct syncline_info info = api_info(device);
    (void)snprintf(device->address, sizeof(device->address), "%s", info.listen);
}

/* Opens the engine without any network. */
static inline void api_open_alone(struct api_device *device)
{
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
}

static inline void api_stop(struct api_device *device)
{
    syncline_close(device->lib);
    device->lib = NULL;
}

static inline void api_close(struct api_device *device)
{
    api_stop(device);
    cr_expect_eq(sqlite3_close(device->db), SQLITE_OK);
    device->db = NULL;
}

/* Two devices of one library, both running; B dials A. */
static inline void api_pair(struct api_device *a, struct api_device *b)
{
    api_create(a, "a");
    api_open(a, NULL);
    api_join(b, "b", a->address);
    api_open(b, a->address);
}

/* ---- Waiting ---- */

static inline int64_t api_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Evaluates the condition again and again until it holds. */
#define API_WAIT(condition_)                                                                       \
    do {                                                                                           \
        int64_t api_until_ = api_now_ms() + API_DEADLINE_MS;                                       \
        while (!(condition_)) {                                                                    \
            cr_assert_lt(api_now_ms(), api_until_, "in vain: %s", #condition_);                    \
            (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);                         \
        }                                                                                          \
    } while (0)

/* Everything committed on either device is in the tables of the other. */
static inline void api_settle(struct api_device *a, struct api_device *b)
{
    API_OK(a->lib, syncline_flush(a->lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    API_OK(b->lib, syncline_flush(b->lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
}

/* ---- Equal ---- */

/* Rows of one table with their keys as UUIDs; @ is the database's name. */
static const char *const api_rows[] = {
    "SELECT uuid,name,typeof(name),note,typeof(note),color,typeof(color) FROM @.tags",
    "SELECT uuid,name,typeof(name),typeof(parent_id),"
    "(SELECT uuid FROM @.folders p WHERE p.id=f.parent_id) FROM @.folders f",
    "SELECT uuid,count,typeof(count),count_opt,typeof(count_opt),size,typeof(size),size_opt,"
    "typeof(size_opt),flag,typeof(flag),at,typeof(at),at_opt,typeof(at_opt),label,typeof(label),"
    "body,typeof(body),length(CAST(body AS BLOB)),data,typeof(data),"
    "(SELECT uuid FROM @.tags p WHERE p.id=t.tag_id),typeof(folder_id),"
    "(SELECT uuid FROM @.folders p WHERE p.id=t.folder_id),typeof(itself_id),"
    "(SELECT uuid FROM @.things p WHERE p.id=t.itself_id),second_tag FROM @.things t",
};

static inline void api_put_name(char *out, size_t size, const char *sql, const char *name)
{
    size_t len = 0;
    for (; *sql != '\0' && len + 8 < size; sql++) {
        if (*sql == '@') {
            len += (size_t)snprintf(out + len, size - len, "%s", name);
        } else {
            out[len++] = *sql;
        }
    }
    out[len] = '\0';
}

/* Rows that only one of two files has, over all tables. */
static inline int64_t api_differences(const char *a_path, const char *b_path)
{
    static char of_a[2048];
    static char of_b[2048];
    static char sql[4 * 2048 + 256];
    int64_t differences = 0;
    sqlite3 *db = api_db_open(a_path);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS b", b_path);
    api_sql(db, sql);
    for (size_t i = 0; i < sizeof(api_rows) / sizeof(api_rows[0]); i++) {
        api_put_name(of_a, sizeof(of_a), api_rows[i], "main");
        api_put_name(of_b, sizeof(of_b), api_rows[i], "b");
        (void)snprintf(sql, sizeof(sql),
                       "SELECT (SELECT count(*) FROM (%s EXCEPT %s))+"
                       "(SELECT count(*) FROM (%s EXCEPT %s))",
                       of_a, of_b, of_b, of_a);
        differences += api_int(db, sql);
    }
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    return differences;
}

/* Both hold the same: by SQL, by the digests, and with nothing set aside. */
static inline void api_check_equal(struct api_device *a, struct api_device *b)
{
    cr_assert_eq(api_differences(a->db_path, b->db_path), 0, "%" PRId64 " rows differ",
                 api_differences(a->db_path, b->db_path));
    for (size_t i = 0; i < sizeof(api_models) / sizeof(api_models[0]); i++) {
        uint64_t count_a = 0;
        uint64_t count_b = 1;
        uint8_t hash_a[32] = {0};
        uint8_t hash_b[32] = {1};
        API_OK(a->lib, syncline_digest(a->lib, api_models[i], &count_a, hash_a));
        API_OK(b->lib, syncline_digest(b->lib, api_models[i], &count_b, hash_b));
        cr_assert_eq(count_a, count_b, "%s", api_models[i]->name);
        cr_assert_eq(memcmp(hash_a, hash_b, sizeof(hash_a)), 0, "%s", api_models[i]->name);
    }
    cr_assert_eq(api_info(a).set_aside, 0);
    cr_assert_eq(api_info(b).set_aside, 0);
}

/* ---- Rows ---- */

/* A new tag that is in no table yet. */
static inline struct tag api_tag(const char *name)
{
    struct tag tag = {.name = name};
    cr_assert_eq(syncline_uuid_new(&tag.uuid, 1), SYNCLINE_OK);
    return tag;
}

static inline struct folder api_new_folder(const char *name, const struct folder *parent)
{
    struct folder folder = {.name = {.data = name, .len = strlen(name)}};
    cr_assert_eq(syncline_uuid_new(&folder.uuid, 1), SYNCLINE_OK);
    if (parent != NULL) {
        folder.parent_id = (struct syncline_opt_int64){.value = parent->id, .is_set = true};
    }
    return folder;
}

static inline sqlite3_stmt *api_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
    return stmt;
}

static inline void api_run(sqlite3 *db, sqlite3_stmt *stmt)
{
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_finalize(stmt), SQLITE_OK);
}

static inline void api_bind_uuid(sqlite3_stmt *stmt, int at, const struct syncline_uuid *uuid)
{
    (void)sqlite3_bind_blob(stmt, at, uuid->bytes, 16, SQLITE_STATIC);
}

static inline void api_bind_id(sqlite3_stmt *stmt, int at, int64_t id)
{
    if (id != 0) {
        (void)sqlite3_bind_int64(stmt, at, id);
    }
}

static inline void api_bind_opt(sqlite3_stmt *stmt, int at, struct syncline_opt_int64 value)
{
    if (value.is_set) {
        (void)sqlite3_bind_int64(stmt, at, value.value);
    }
}

/* NULL data is NULL. */
static inline void api_bind_text(sqlite3_stmt *stmt, int at, struct syncline_text text)
{
    (void)sqlite3_bind_text64(stmt, at, text.data, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static inline void api_bind_blob(sqlite3_stmt *stmt, int at, struct syncline_bytes bytes)
{
    (void)sqlite3_bind_blob64(stmt, at, bytes.data, bytes.len, SQLITE_STATIC);
}

/* Writes the row, new or changed; an id of 0 is filled in. */
static inline void api_put_tag(sqlite3 *db, struct tag *tag)
{
    sqlite3_stmt *stmt =
        api_prepare(db, "INSERT INTO tags(id,uuid,name,note,color) VALUES(?1,?2,?3,?4,?5)"
                        " ON CONFLICT(uuid) DO UPDATE SET name=?3,note=?4,color=?5");
    api_bind_id(stmt, 1, tag->id);
    api_bind_uuid(stmt, 2, &tag->uuid);
    (void)sqlite3_bind_text(stmt, 3, tag->name, -1, SQLITE_STATIC);
    api_bind_text(stmt, 4, tag->note);
    api_bind_opt(stmt, 5, tag->color);
    api_run(db, stmt);
    tag->id = tag->id != 0 ? tag->id : sqlite3_last_insert_rowid(db);
}

static inline void api_put_folder(sqlite3 *db, struct folder *folder)
{
    sqlite3_stmt *stmt =
        api_prepare(db, "INSERT INTO folders(id,uuid,parent_id,name) VALUES(?1,?2,?3,?4)"
                        " ON CONFLICT(uuid) DO UPDATE SET parent_id=?3,name=?4");
    api_bind_id(stmt, 1, folder->id);
    api_bind_uuid(stmt, 2, &folder->uuid);
    api_bind_opt(stmt, 3, folder->parent_id);
    api_bind_blob(stmt, 4, folder->name);
    api_run(db, stmt);
    folder->id = folder->id != 0 ? folder->id : sqlite3_last_insert_rowid(db);
}

static inline void api_put_thing(sqlite3 *db, struct thing *thing)
{
    sqlite3_stmt *stmt = api_prepare(
        db, "INSERT INTO things(id,uuid,count,count_opt,size,size_opt,flag,at,at_opt,label,body,"
            "data,tag_id,folder_id,itself_id,second_tag) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,"
            "?12,?13,?14,?15,?16) ON CONFLICT(uuid) DO UPDATE SET count=?3,count_opt=?4,size=?5,"
            "size_opt=?6,flag=?7,at=?8,at_opt=?9,label=?10,body=?11,data=?12,tag_id=?13,"
            "folder_id=?14,itself_id=?15,second_tag=?16");
    api_bind_id(stmt, 1, thing->id);
    api_bind_uuid(stmt, 2, &thing->uuid);
    (void)sqlite3_bind_int64(stmt, 3, thing->count);
    api_bind_opt(stmt, 4, thing->count_opt);
    (void)sqlite3_bind_double(stmt, 5, thing->size);
    if (thing->size_opt.is_set) {
        (void)sqlite3_bind_double(stmt, 6, thing->size_opt.value);
    }
    (void)sqlite3_bind_int64(stmt, 7, thing->flag);
    (void)sqlite3_bind_int64(stmt, 8, thing->at);
    api_bind_opt(stmt, 9, thing->at_opt);
    (void)sqlite3_bind_text(stmt, 10, thing->label, -1, SQLITE_STATIC);
    api_bind_text(stmt, 11, thing->body);
    api_bind_blob(stmt, 12, thing->data);
    (void)sqlite3_bind_int64(stmt, 13, thing->tag_id);
    api_bind_opt(stmt, 14, thing->folder_id);
    api_bind_opt(stmt, 15, thing->itself_id);
    api_bind_uuid(stmt, 16, &thing->second_tag);
    api_run(db, stmt);
    thing->id = thing->id != 0 ? thing->id : sqlite3_last_insert_rowid(db);
}

/* Deletes by UUID. */
static inline void api_delete(sqlite3 *db, const char *table, const struct syncline_uuid *uuid)
{
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE uuid=?1", table);
    sqlite3_stmt *stmt = api_prepare(db, sql);
    api_bind_uuid(stmt, 1, uuid);
    api_run(db, stmt);
    cr_assert_eq(sqlite3_changes(db), 1);
}

/* Writes a tag and captures that, in a transaction of its own. */
static inline void api_save_tag(struct api_device *device, struct tag *tag,
                                enum syncline_change change)
{
    api_sql(device->db, "BEGIN IMMEDIATE");
    if (change == SYNCLINE_DELETE) {
        api_delete(device->db, "tags", &tag->uuid);
    } else {
        api_put_tag(device->db, tag);
    }
    API_OK(device->lib,
           syncline_sync_model_with_db(device->lib, &tag_model, tag, change, device->db));
    api_sql(device->db, "COMMIT");
}

/* Captures n rows; the call must succeed. */
static inline void api_capture(struct api_device *device, const struct syncline_model *model,
                               const void *rows, size_t n, enum syncline_change change)
{
    API_OK(device->lib,
           syncline_sync_models_batch(device->lib, model, rows, n, change, device->db, NULL));
}

static inline struct syncline_opt_int64 api_opt(int64_t value)
{
    return (struct syncline_opt_int64){.value = value, .is_set = true};
}

/* Inserts a folder and captures that, in a transaction of its own. */
static inline struct folder api_save_folder(struct api_device *device, const char *name,
                                            const struct folder *parent)
{
    struct folder folder = api_new_folder(name, parent);
    api_sql(device->db, "BEGIN IMMEDIATE");
    api_put_folder(device->db, &folder);
    api_capture(device, &folder_model, &folder, 1, SYNCLINE_INSERT);
    api_sql(device->db, "COMMIT");
    return folder;
}

/* Inserts n tags and captures them by one call. */
static inline void api_save_tags(struct api_device *device, size_t n, uint32_t batch_size)
{
    static struct tag tags[2500];
    static struct syncline_uuid uuids[2500];
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    options.batch_size = batch_size;
    cr_assert(n <= 2500 && syncline_uuid_new(uuids, n) == SYNCLINE_OK);
    api_sql(device->db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < n; i++) {
        tags[i] = (struct tag){.uuid = uuids[i], .name = "of many", .color = api_opt((int64_t)i)};
        api_put_tag(device->db, &tags[i]);
    }
    API_OK(device->lib, syncline_sync_models_batch(device->lib, &tag_model, tags, n,
                                                   SYNCLINE_INSERT, device->db, &options));
    api_sql(device->db, "COMMIT");
}

/* Does the table have this record? */
static inline bool api_has(sqlite3 *db, const char *table, const struct syncline_uuid *uuid)
{
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "SELECT 1 FROM %s WHERE uuid=?1", table);
    sqlite3_stmt *stmt = api_prepare(db, sql);
    api_bind_uuid(stmt, 1, uuid);
    bool has = sqlite3_step(stmt) == SQLITE_ROW;
    (void)sqlite3_finalize(stmt);
    return has;
}

/* The id that the record has in this database; 0 if it is not there. */
static inline int64_t api_id(sqlite3 *db, const char *table, const struct syncline_uuid *uuid)
{
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "SELECT id FROM %s WHERE uuid=?1", table);
    sqlite3_stmt *stmt = api_prepare(db, sql);
    api_bind_uuid(stmt, 1, uuid);
    int64_t id = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_finalize(stmt);
    return id;
}

/* Does the tag of this UUID have this name? */
static inline bool api_tag_is(sqlite3 *db, const struct syncline_uuid *uuid, const char *name)
{
    sqlite3_stmt *stmt = api_prepare(db, "SELECT 1 FROM tags WHERE uuid=?1 AND name=?2");
    api_bind_uuid(stmt, 1, uuid);
    (void)sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC);
    bool is = sqlite3_step(stmt) == SQLITE_ROW;
    (void)sqlite3_finalize(stmt);
    return is;
}

#endif
