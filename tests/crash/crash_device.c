/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/crash/crash_device.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "stages/decode.h"
#include "storage/library_db.h"
#include "storage/peer_log.h"
#include "tests/crash/crash_vfs.h"

#define FILES_AT_ONCE_MAX 6u
#define FILES_MANY 200 /* own ones; from here on more are deleted than made */
#define TEXT_MAX 300u

struct folder {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t value;
    int64_t owner;
};

struct file {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t folder;
    int64_t value;
    int64_t owner;
    const char *text;
};

static const struct syncline_field folder_fields[] = {
    SYNCLINE_ID(struct folder, id), SYNCLINE_UUID(struct folder, uuid),
    SYNCLINE_INT64(struct folder, value), SYNCLINE_INT64(struct folder, owner)};
static const struct syncline_field file_fields[] = {SYNCLINE_ID(struct file, id),
                                                    SYNCLINE_UUID(struct file, uuid),
                                                    SYNCLINE_KEY(struct file, folder, "folder"),
                                                    SYNCLINE_INT64(struct file, value),
                                                    SYNCLINE_INT64(struct file, owner),
                                                    SYNCLINE_TEXT(struct file, text)};
static const struct syncline_model folder_model =
    SYNCLINE_MODEL("folder", "folders", SYNCLINE_SHARED, struct folder, folder_fields);
static const struct syncline_model file_model =
    SYNCLINE_MODEL("file", "files", SYNCLINE_SHARED, struct file, file_fields);
static const struct syncline_model *const models[] = {&folder_model, &file_model};

static const char schema[] =
    "CREATE TABLE folders(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, value INTEGER,"
    " owner INTEGER);"
    "CREATE TABLE files(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
    " folder INTEGER NOT NULL REFERENCES folders(id), value INTEGER, owner INTEGER, text TEXT);"
    "CREATE TABLE crash_txn(id INTEGER PRIMARY KEY)";

/* ---- Verdicts ----------------------------------------------------------------------------- */

static void say(struct crash_verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct crash_verdict *verdict, const char *format, ...)
{
    if (verdict->text[0] != '\0') {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(verdict->text, sizeof(verdict->text), format, args);
    va_end(args);
}

void crash_verdict_add(struct crash_verdict *verdict, const struct crash_verdict *more)
{
    verdict->lost += more->lost;
    verdict->dup += more->dup;
    verdict->ack_violations += more->ack_violations;
    if (more->text[0] != '\0') {
        say(verdict, "%s", more->text);
    }
}

void crash_verdict_lost(struct crash_verdict *verdict, uint32_t device, uint64_t txns)
{
    verdict->lost += txns;
    if (txns > 0) {
        say(verdict, "device %u has lost %" PRIu64 " transactions that were committed", device,
            txns);
    }
}

/* ---- Making and opening ------------------------------------------------------------------- */

/* As by default, and with pruning. */
static const struct sl_settings *settings_of_devices(void)
{
    static struct sl_settings settings;
    sl_settings_init(&settings);
    settings.values[SL_SETTING_LOG_PRUNE].number = 1;
    return &settings;
}

static struct sl_library_config config_of(const struct crash_device *device)
{
    bool dials = device->peer != NULL;
    return (struct sl_library_config){.env = device->env,
                                      .library_db = device->library_db,
                                      .sync_db = device->sync_db,
                                      .uuid_map =
                                          device->uuid_map[0] != '\0' ? device->uuid_map : NULL,
                                      .identity = &device->identity,
                                      .models = models,
                                      .models_count = 2,
                                      .transport = device->transport,
                                      .listen = device->listen,
                                      .peers = &device->peer,
                                      .peers_count = dials ? 1 : 0,
                                      .settings = settings_of_devices(),
                                      .engine = true};
}

static sqlite3 *open_db(const struct crash_device *device)
{
    sqlite3 *db = NULL;
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "PRAGMA synchronous=%s", device->app_synchronous);
    if (sqlite3_open_v2(device->library_db, &db, SQLITE_OPEN_READWRITE, device->env->vfs) !=
            SQLITE_OK ||
        sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=0", NULL, NULL, NULL) !=
            SQLITE_OK) {
        crash_give_up("device %u: library.db: %s", device->number, sqlite3_errmsg(db));
    }
    return db;
}

/* What is pruned stays beside the log, for the checks: in the transaction that prunes it. */
static const char keep_pruned[] =
    "CREATE TABLE pruned(origin,last_seq,hash,bytes); CREATE TRIGGER prunes BEFORE DELETE ON "
    "segment"
    " BEGIN INSERT INTO pruned VALUES(old.origin,old.last_seq,old.hash,old.bytes); END";

static void put_member(const struct crash_device *device, const struct crash_device *other)
{
    struct sl_peer_log log;
    struct sl_error err;
    struct sl_member member = {.device = other->identity.device_id};
    memcpy(member.public_key, other->identity.public_key, sizeof(member.public_key));
    (void)snprintf(member.name, sizeof(member.name), "device %u", other->number);
    if (sl_peer_log_open(&log, device->env, device->sync_db, SL_DB_WRITE, &err) != SYNCLINE_OK ||
        sl_member_put(&log, &member, &err) != SYNCLINE_OK ||
        sl_db_exec(&log.db, keep_pruned, &err) != SYNCLINE_OK) {
        crash_give_up("sync.db: %s", err.text);
    }
    sl_peer_log_fini(&log);
}

void crash_devices_create(struct crash_device devices[CRASH_DEVICES])
{
    struct sl_error err;
    struct syncline_uuid library_id;
    (void)devices[0].env->random(devices[0].env->ctx, &library_id, sizeof(library_id));
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        struct crash_device *device = &devices[i];
        if (sl_identity_new(device->env, &device->identity, &err) != SYNCLINE_OK) {
            crash_give_up("%s", err.text);
        }
        struct sl_library_config config = config_of(device);
        if (sl_library_create(&config, &library_id, "Crashes", "device", &err) != SYNCLINE_OK) {
            crash_give_up("%s", err.text);
        }
        sqlite3 *db = open_db(device);
        if (sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK) {
            crash_give_up("%s", sqlite3_errmsg(db));
        }
        (void)sqlite3_close(db);
    }
    put_member(&devices[0], &devices[1]);
    put_member(&devices[1], &devices[0]);
}

enum syncline_status crash_device_open(struct crash_device *device, struct sl_transport *inner,
                                       struct sl_error *err)
{
    device->transport = crash_witness_new(inner, device->memory);
    device->db = open_db(device);
    struct sl_library_config config = config_of(device);
    enum syncline_status status = sl_library_open(&config, &device->library, err);
    if (status != SYNCLINE_OK) {
        device->library = NULL;
        crash_device_close(device);
        return status;
    }
    device->txns = crash_device_newest(device);
    return SYNCLINE_OK;
}

void crash_device_close(struct crash_device *device)
{
    /* The power may go at any of these: what is gone is not there to be cut off. */
    if (device->library != NULL) {
        sl_library_close(device->library);
        device->library = NULL;
    }
    device->transport->ops->free(device->transport);
    device->transport = NULL;
    (void)sqlite3_close(device->db);
    device->db = NULL;
}

/* ---- The application ---------------------------------------------------------------------- */

/* One transaction under way. Whatever fails, fails it: the device may be dying. */
struct writing {
    struct crash_device *device;
    struct sl_sim_random *random;
    struct crash_txn txn;
    bool failed;
};

static sqlite3_stmt *prepare(struct writing *writing, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    writing->failed = writing->failed ||
                      sqlite3_prepare_v2(writing->device->db, sql, -1, &stmt, NULL) != SQLITE_OK;
    return stmt;
}

static void run(struct writing *writing, sqlite3_stmt *stmt)
{
    writing->failed = writing->failed || sqlite3_step(stmt) != SQLITE_DONE;
    (void)sqlite3_finalize(stmt);
}

static void exec(struct writing *writing, const char *sql)
{
    writing->failed =
        writing->failed || sqlite3_exec(writing->device->db, sql, NULL, NULL, NULL) != SQLITE_OK;
}

static void capture(struct writing *writing, const struct syncline_model *model, const void *rows,
                    size_t n, enum syncline_change change)
{
    struct sl_error err;
    struct crash_device *device = writing->device;
    writing->failed = writing->failed || sl_library_capture(device->library, model, rows, n, change,
                                                            device->db, 0, &err) != SYNCLINE_OK;
}

static void note(struct writing *writing, enum crash_model model, enum syncline_change change,
                 const struct syncline_uuid *uuid, const struct syncline_uuid *parent,
                 int64_t value)
{
    struct crash_op *op = &writing->txn.ops[writing->txn.len++];
    *op = (struct crash_op){.uuid = *uuid,
                            .value = (uint32_t)value,
                            .change = (uint8_t)change,
                            .model = (uint8_t)model};
    if (parent != NULL) {
        op->parent = *parent;
    }
}

/* A text that says its value, of a length that follows from it. */
static const char *text_of(int64_t value, char text[TEXT_MAX + 1])
{
    size_t len = (size_t)(value * 37 % TEXT_MAX);
    memset(text, 'a' + (char)(value % 26), len);
    text[len] = '\0';
    return text;
}

static void new_uuid(struct writing *writing, struct syncline_uuid *uuid)
{
    sl_sim_random_fill(writing->random, uuid->bytes, sizeof(uuid->bytes));
}

/* Its row, with no capture yet. */
static struct folder insert_folder_row(struct writing *writing)
{
    struct folder folder = {.value = (int64_t)sl_sim_random_below(writing->random, 1000),
                            .owner = writing->device->number};
    new_uuid(writing, &folder.uuid);
    sqlite3_stmt *stmt = prepare(writing, "INSERT INTO folders(uuid,value,owner) VALUES(?1,?2,?3)");
    (void)sqlite3_bind_blob(stmt, 1, folder.uuid.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, folder.value);
    (void)sqlite3_bind_int64(stmt, 3, folder.owner);
    run(writing, stmt);
    folder.id = sqlite3_last_insert_rowid(writing->device->db);
    return folder;
}

static void capture_folder(struct writing *writing, const struct folder *folder)
{
    capture(writing, &folder_model, folder, 1, SYNCLINE_INSERT);
    note(writing, CRASH_FOLDER, SYNCLINE_INSERT, &folder->uuid, NULL, folder->value);
}

static void insert_folder(struct writing *writing)
{
    struct folder folder = insert_folder_row(writing);
    capture_folder(writing, &folder);
}

static void take_uuid(sqlite3_stmt *stmt, int column, struct syncline_uuid *uuid)
{
    const void *blob = sqlite3_column_blob(stmt, column);
    if (blob != NULL && sqlite3_column_bytes(stmt, column) == 16) {
        memcpy(uuid->bytes, blob, 16);
    }
}

/* Any folder, of either device. False: there is none. */
static bool any_folder(struct writing *writing, int64_t *id, struct syncline_uuid *uuid)
{
    sqlite3_stmt *stmt = prepare(writing, "SELECT id,uuid FROM folders ORDER BY uuid LIMIT 1"
                                          " OFFSET ?1 % max(1,(SELECT count(*) FROM folders))");
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)sl_sim_random_below(writing->random, 1u << 20));
    bool found = !writing->failed && sqlite3_step(stmt) == SQLITE_ROW;
    if (found) {
        *id = sqlite3_column_int64(stmt, 0);
        take_uuid(stmt, 1, uuid);
    }
    (void)sqlite3_finalize(stmt);
    return found;
}

static void insert_files_into(struct writing *writing, int64_t folder_id,
                              const struct syncline_uuid *folder, uint32_t n)
{
    struct file files[FILES_AT_ONCE_MAX];
    char texts[FILES_AT_ONCE_MAX][TEXT_MAX + 1];
    for (uint32_t i = 0; i < n && !writing->failed; i++) {
        struct file *file = &files[i];
        *file = (struct file){.folder = folder_id,
                              .value = (int64_t)sl_sim_random_below(writing->random, 1000),
                              .owner = writing->device->number};
        file->text = text_of(file->value, texts[i]);
        new_uuid(writing, &file->uuid);
        sqlite3_stmt *stmt = prepare(writing, "INSERT INTO files(uuid,folder,value,owner,text)"
                                              " VALUES(?1,?2,?3,?4,?5)");
        (void)sqlite3_bind_blob(stmt, 1, file->uuid.bytes, 16, SQLITE_STATIC);
        (void)sqlite3_bind_int64(stmt, 2, file->folder);
        (void)sqlite3_bind_int64(stmt, 3, file->value);
        (void)sqlite3_bind_int64(stmt, 4, file->owner);
        (void)sqlite3_bind_text(stmt, 5, file->text, -1, SQLITE_STATIC);
        run(writing, stmt);
        file->id = sqlite3_last_insert_rowid(writing->device->db);
        note(writing, CRASH_FILE, SYNCLINE_INSERT, &file->uuid, folder, file->value);
    }
    capture(writing, &file_model, files, n, SYNCLINE_INSERT);
}

static void insert_files(struct writing *writing)
{
    struct syncline_uuid folder = {{0}};
    int64_t folder_id = 0;
    uint32_t n = (uint32_t)sl_sim_random_range(writing->random, 1, FILES_AT_ONCE_MAX);
    if (any_folder(writing, &folder_id, &folder)) {
        insert_files_into(writing, folder_id, &folder, n);
    }
}

/* A folder and its files, captured in the other order: elsewhere the files have to wait. */
static void insert_files_first(struct writing *writing)
{
    struct folder folder = insert_folder_row(writing);
    uint32_t n = (uint32_t)sl_sim_random_range(writing->random, 1, FILES_AT_ONCE_MAX - 1);
    insert_files_into(writing, folder.id, &folder.uuid, n);
    capture_folder(writing, &folder);
}

/* Any file of its own, with its folder. False: it has none. */
static bool any_file(struct writing *writing, struct file *file, struct syncline_uuid *folder)
{
    sqlite3_stmt *stmt =
        prepare(writing, "SELECT f.id,f.uuid,f.folder,f.value,d.uuid FROM files f JOIN folders d"
                         " ON d.id=f.folder WHERE f.owner=?1 ORDER BY f.uuid LIMIT 1 OFFSET ?2"
                         " % max(1,(SELECT count(*) FROM files WHERE owner=?1))");
    (void)sqlite3_bind_int64(stmt, 1, writing->device->number);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)sl_sim_random_below(writing->random, 1u << 20));
    bool found = !writing->failed && sqlite3_step(stmt) == SQLITE_ROW;
    if (found) {
        *file = (struct file){.id = sqlite3_column_int64(stmt, 0),
                              .folder = sqlite3_column_int64(stmt, 2),
                              .value = sqlite3_column_int64(stmt, 3),
                              .owner = writing->device->number};
        take_uuid(stmt, 1, &file->uuid);
        take_uuid(stmt, 4, folder);
    }
    (void)sqlite3_finalize(stmt);
    return found;
}

static void update_file(struct writing *writing)
{
    struct file file;
    struct syncline_uuid folder = {{0}};
    char text[TEXT_MAX + 1];
    if (!any_file(writing, &file, &folder)) {
        return;
    }
    file.value++;
    file.text = text_of(file.value, text);
    sqlite3_stmt *stmt = prepare(writing, "UPDATE files SET value=?2,text=?3 WHERE id=?1");
    (void)sqlite3_bind_int64(stmt, 1, file.id);
    (void)sqlite3_bind_int64(stmt, 2, file.value);
    (void)sqlite3_bind_text(stmt, 3, text, -1, SQLITE_STATIC);
    run(writing, stmt);
    capture(writing, &file_model, &file, 1, SYNCLINE_UPDATE);
    note(writing, CRASH_FILE, SYNCLINE_UPDATE, &file.uuid, &folder, file.value);
}

static void delete_file(struct writing *writing)
{
    struct file file;
    struct syncline_uuid folder = {{0}};
    if (!any_file(writing, &file, &folder)) {
        return;
    }
    sqlite3_stmt *stmt = prepare(writing, "DELETE FROM files WHERE id=?1");
    (void)sqlite3_bind_int64(stmt, 1, file.id);
    run(writing, stmt);
    capture(writing, &file_model, &file, 1, SYNCLINE_DELETE);
    note(writing, CRASH_FILE, SYNCLINE_DELETE, &file.uuid, &folder, file.value);
}

static int64_t number_of(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t number = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        number = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    return number;
}

static void do_something(struct writing *writing, bool many)
{
    uint64_t what = sl_sim_random_below(writing->random, 100);
    if (what < 8) {
        insert_folder(writing);
    } else if (what < 14) {
        insert_files_first(writing);
    } else if (what < (many ? 20 : 50)) {
        insert_files(writing);
    } else if (what < (many ? 50 : 80)) {
        update_file(writing);
    } else {
        delete_file(writing);
    }
}

bool crash_device_write(struct crash_device *device, struct sl_sim_random *random,
                        const struct crash_teller *teller)
{
    struct writing writing = {.device = device, .random = random};
    writing.txn.device = device->number;
    writing.txn.id = device->txns + 1;
    bool many = number_of(device->db, "SELECT count(*) FROM files") > FILES_MANY * 2;
    exec(&writing, "BEGIN IMMEDIATE");
    uint64_t actions = sl_sim_random_range(random, 1, 3);
    for (uint64_t i = 0;
         i < actions && !writing.failed && writing.txn.len + FILES_AT_ONCE_MAX <= CRASH_OPS_MAX;
         i++) {
        do_something(&writing, many);
    }
    exec(&writing, "INSERT INTO crash_txn(id) SELECT 1+ifnull(max(id),0) FROM crash_txn");
    if (writing.failed) {
        (void)sqlite3_exec(device->db, "ROLLBACK", NULL, NULL, NULL);
        return false;
    }
    teller->intend(teller->ctx, &writing.txn);
    SL_CRASHPOINT(S1, BEFORE);
    exec(&writing, "COMMIT");
    SL_CRASHPOINT(S1, AFTER);
    if (writing.failed) {
        (void)sqlite3_exec(device->db, "ROLLBACK", NULL, NULL, NULL);
        return false;
    }
    device->txns++;
    teller->committed(teller->ctx, &writing.txn);
    return true;
}

uint64_t crash_device_newest(struct crash_device *device)
{
    int64_t newest = number_of(device->db, "SELECT ifnull(max(id),0) FROM crash_txn");
    if (newest < 0) {
        return device->txns; /* its disk is dead */
    }
    if (newest != number_of(device->db, "SELECT count(*) FROM crash_txn")) {
        crash_give_up("device %u: transactions are missing in the middle", device->number);
    }
    return (uint64_t)newest;
}

/* ---- Checks ------------------------------------------------------------------------------- */

struct files {
    struct sl_peer_log log;
    struct sl_library_db library;
};

static void files_open(const struct crash_device *device, struct files *files)
{
    struct sl_error err;
    if (sl_peer_log_open(&files->log, device->env, device->sync_db, SL_DB_READ, &err) !=
            SYNCLINE_OK ||
        sl_library_db_open(&files->library, device->env, device->library_db, SL_DB_READ, 0, &err) !=
            SYNCLINE_OK) {
        crash_give_up("device %u: %s", device->number, err.text);
    }
}

static void files_close(struct files *files)
{
    sl_library_db_fini(&files->library);
    sl_peer_log_fini(&files->log);
}

/* The device's log of an origin; held_seq 0 if there is none. */
static struct sl_log_head head_of(struct files *files, const struct sl_origin *origin)
{
    struct sl_error err;
    struct sl_log_head head = {.number = 0};
    bool found = true;
    while (sl_peer_log_head(&files->log, head.number, &found, &head, &err) == SYNCLINE_OK &&
           found) {
        if (sl_origin_equal(&head.origin, origin)) {
            return head;
        }
    }
    return (struct sl_log_head){.number = 0};
}

/* The pruned segment that holds `seq`, to be finalized. */
static sqlite3_stmt *find_pruned(struct files *files, int64_t origin, uint64_t seq)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(files->log.db.handle,
                           "SELECT last_seq,hash,bytes FROM pruned WHERE origin=?1 AND last_seq>=?2"
                           " ORDER BY last_seq LIMIT 1",
                           -1, &stmt, NULL) != SQLITE_OK) {
        crash_give_up("sync.db: %s", sqlite3_errmsg(files->log.db.handle));
    }
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        crash_give_up("sync.db: %" PRIu64 " was pruned and is not kept", seq);
    }
    return stmt;
}

/* Does the log still hold what was said of it, or did until it was pruned? */
static bool log_holds(struct files *files, const struct sl_vector_entry *said)
{
    struct sl_error err;
    uint8_t hash[SL_HASH_SIZE] = {0};
    bool found = false;
    struct sl_log_head head = head_of(files, &said->origin);
    if (said->held_seq == 0) {
        return true;
    }
    enum syncline_status status =
        sl_peer_log_hash_at(&files->log, head.number, said->held_seq, &found, hash, &err);
    if (status == SYNCLINE_EPRUNED) {
        sqlite3_stmt *stmt = find_pruned(files, head.number, said->held_seq);
        found = (uint64_t)sqlite3_column_int64(stmt, 0) == said->held_seq &&
                sqlite3_column_bytes(stmt, 1) == SL_HASH_SIZE;
        memcpy(hash, sqlite3_column_blob(stmt, 1), found ? SL_HASH_SIZE : 0);
        (void)sqlite3_finalize(stmt);
        status = SYNCLINE_OK;
    }
    return status == SYNCLINE_OK && found && memcmp(hash, said->held_hash, sizeof(hash)) == 0;
}

void crash_device_check_log_word(struct crash_device *device, struct crash_verdict *verdict)
{
    struct files files;
    files_open(device, &files);
    for (size_t i = 0; i < CRASH_ORIGINS_MAX; i++) {
        const struct sl_vector_entry *said = crash_word_valid(&device->memory->vectors[i]);
        if (said != NULL && !log_holds(&files, said)) {
            verdict->ack_violations++;
            say(verdict,
                "device %u acknowledged %" PRIu64 " of an origin, of which its log has %" PRIu64,
                device->number, said->held_seq, head_of(&files, &said->origin).held_seq);
        }
        said = crash_word_valid(&device->memory->segments[i]);
        if (said != NULL && !log_holds(&files, said)) {
            verdict->ack_violations++;
            say(verdict,
                "device %u sent a segment that ends at %" PRIu64 ", which is not in its log",
                device->number, said->held_seq);
        }
    }
    files_close(&files);
}

bool crash_device_check_applied_word(struct crash_device *device, struct crash_verdict *verdict)
{
    struct files files;
    struct sl_error err;
    bool all = true;
    files_open(device, &files);
    for (size_t i = 0; i < CRASH_ORIGINS_MAX; i++) {
        uint64_t applied = 0;
        const struct sl_vector_entry *said = crash_word_valid(&device->memory->vectors[i]);
        /* Its own changes came from the tables; their entry there only follows. */
        if (said == NULL || sl_uuid_equal(&said->origin.device, &device->identity.device_id)) {
            continue;
        }
        if (sl_library_db_applied_of(&files.library, &said->origin, &applied, &err) !=
            SYNCLINE_OK) {
            crash_give_up("device %u: %s", device->number, err.text);
        }
        if (applied < said->applied_seq && verdict != NULL) {
            verdict->ack_violations++;
            say(verdict, "device %u said that %" PRIu64 " is applied; it is %" PRIu64,
                device->number, said->applied_seq, applied);
        }
        all = all && applied >= said->applied_seq;
    }
    files_close(&files);
    return all;
}

static void check_row(sqlite3_stmt *stmt, enum crash_model model, uint32_t number,
                      struct crash_fold *fold, struct crash_verdict *verdict)
{
    struct syncline_uuid uuid = {{0}};
    struct syncline_uuid parent = {{0}};
    char text[TEXT_MAX + 1];
    char name[SYNCLINE_UUID_TEXT_SIZE];
    take_uuid(stmt, 0, &uuid);
    take_uuid(stmt, 3, &parent);
    sl_uuid_format(&uuid, name);
    struct crash_row *row = crash_fold_find(fold, &uuid);
    if (row == NULL || !row->alive || row->seen > 0) {
        verdict->dup++;
        say(verdict, "device %u has %s %s", number, name,
            row == NULL ? "that nobody committed"
                        : (row->alive ? "twice" : "though it was deleted"));
        return;
    }
    row->seen++;
    int64_t value = sqlite3_column_int64(stmt, 1);
    const char *found = (const char *)sqlite3_column_text(stmt, 4);
    bool same =
        row->model == (uint8_t)model && value == (int64_t)row->value &&
        sqlite3_column_int64(stmt, 2) == (int64_t)row->device &&
        memcmp(&parent, &row->parent, sizeof(parent)) == 0 &&
        (model == CRASH_FOLDER || (found != NULL && strcmp(found, text_of(value, text)) == 0));
    if (!same) {
        verdict->lost++;
        say(verdict, "device %u has %s with the value %" PRId64 " instead of %u", number, name,
            value, row->value);
    }
}

void crash_device_check_tables(sqlite3 *db, uint32_t number, struct crash_fold *fold,
                               struct crash_verdict *verdict)
{
    static const char *const sql[] = {
        [CRASH_FOLDER] = "SELECT uuid,value,owner,NULL,NULL FROM folders",
        [CRASH_FILE] = "SELECT f.uuid,f.value,f.owner,d.uuid,f.text FROM files f"
                       " LEFT JOIN folders d ON d.id=f.folder"};
    for (size_t i = 0; i < fold->capacity; i++) {
        fold->rows[i].seen = 0;
    }
    size_t seen = 0;
    for (size_t model = 0; model < sizeof(sql) / sizeof(sql[0]); model++) {
        sqlite3_stmt *stmt = NULL;
        int code = sqlite3_prepare_v2(db, sql[model], -1, &stmt, NULL);
        for (code = code == SQLITE_OK ? sqlite3_step(stmt) : code; code == SQLITE_ROW;
             code = sqlite3_step(stmt)) {
            check_row(stmt, (enum crash_model)model, number, fold, verdict);
        }
        if (code != SQLITE_DONE) {
            crash_give_up("device %u: %s", number, sqlite3_errmsg(db));
        }
        (void)sqlite3_finalize(stmt);
    }
    for (size_t i = 0; i < fold->capacity; i++) {
        const struct crash_row *row = &fold->rows[i];
        seen += row->seen;
        if (row->used && row->alive && row->seen == 0) {
            char name[SYNCLINE_UUID_TEXT_SIZE];
            sl_uuid_format(&row->uuid, name);
            say(verdict, "device %u does not have %s of device %u", number, name, row->device);
        }
    }
    verdict->lost += fold->alive > seen ? fold->alive - seen : 0;
}

/* ---- The log ------------------------------------------------------------------------------ */

static void count_segment(const struct sl_decoded *decoded, uint32_t number,
                          struct crash_fold *fold, struct crash_verdict *verdict)
{
    for (uint32_t g = 0; g < decoded->group_count; g++) {
        const struct sl_group *group = &decoded->groups[g];
        for (uint32_t i = 0; i < group->n; i++) {
            struct crash_row *row = crash_fold_find(fold, &group->uuids[i]);
            if (row == NULL) {
                verdict->dup++;
                say(verdict, "the log of device %u has a change that nobody committed", number);
                continue;
            }
            row->logged++;
            row->inserts += group->change == SYNCLINE_INSERT ? 1u : 0u;
        }
    }
}

void crash_device_check_log(struct crash_device *device, struct crash_fold *fold,
                            struct crash_verdict *verdict)
{
    struct files files;
    struct sl_error err;
    struct sl_decoded decoded;
    struct sl_log_head head = {.number = 0};
    bool found = true;
    files_open(device, &files);
    enum syncline_status status = sl_decoded_init(&decoded, &sl_allocator_libc, &err);
    while (status == SYNCLINE_OK && found) {
        status = sl_peer_log_head(&files.log, head.number, &found, &head, &err);
        if (found && sl_uuid_equal(&head.origin.device, &device->identity.device_id)) {
            break;
        }
    }
    for (uint64_t seq = 0; found && status == SYNCLINE_OK && seq < head.held_seq;) {
        status = sl_decode_from_log(&decoded, &files.log, head.number, seq + 1, &err);
        if (status == SYNCLINE_EPRUNED) {
            sqlite3_stmt *stmt = find_pruned(&files, head.number, seq + 1);
            status = sl_decode(&decoded, sqlite3_column_blob(stmt, 2),
                               (size_t)sqlite3_column_bytes(stmt, 2), &err);
            (void)sqlite3_finalize(stmt);
        }
        if (status == SYNCLINE_OK) {
            count_segment(&decoded, device->number, fold, verdict);
            seq = sl_segment_last_seq(&decoded.segment);
        }
    }
    if (status != SYNCLINE_OK) {
        crash_give_up("device %u: its log cannot be read: %s", device->number, err.text);
    }
    sl_decoded_fini(&decoded);
    files_close(&files);
    for (size_t i = 0; i < fold->capacity; i++) {
        const struct crash_row *row = &fold->rows[i];
        if (row->used && (row->inserts > 1 || row->logged > row->changes)) {
            verdict->dup++;
            say(verdict, "the log of device %u has %u changes of a record that has %u",
                device->number, row->logged, row->changes);
        }
    }
}
