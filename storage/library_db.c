/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/library_db.h"

#include <string.h>

#include "base/bytes.h"
#include "storage/value_list.h"

enum {
    BEGIN_WRITE,
    BEGIN_READ,
    COMMIT,
    ROLLBACK,
    SAVEPOINT,
    RELEASE,
    ROLLBACK_TO,
    DATA_VERSION,
    ORIGIN_FIND,
    ORIGIN_ADD,
    ORIGIN_GET,
    ORIGIN_NEXT,
    APPLIED_GET,
    APPLIED_OF,
    APPLIED_ALL,
    APPLIED_SET,
    HLC_RAISE,
    HLC_GET,
    OUTBOX_INSERT,
    OUTBOX_NEXT,
    OUTBOX_REMOVE,
    OUTBOX_MAX,
    OUTBOX_COUNT,
    OUTBOX_TOKEN,
    MODEL_NAME,
    DELETE_NOTE,
    DELETE_LAST,
    DELETE_NOTE_MAX,
    LIBRARY_DB_STATEMENTS
};

static const char *const sql_texts[] = {
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [BEGIN_READ] = "BEGIN",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SAVEPOINT] = "SAVEPOINT _syncline",
    [RELEASE] = "RELEASE _syncline",
    [ROLLBACK_TO] = "ROLLBACK TO _syncline",
    [DATA_VERSION] = "PRAGMA data_version",
    [ORIGIN_FIND] = "SELECT number FROM _syncline_origin WHERE device=?1 AND epoch=?2",
    [ORIGIN_ADD] = "INSERT INTO _syncline_origin(device,epoch,applied_seq) VALUES(?1,?2,0)",
    [ORIGIN_GET] = "SELECT device,epoch FROM _syncline_origin WHERE number=?1",
    [ORIGIN_NEXT] = "SELECT device,epoch,number FROM _syncline_origin WHERE number>?1"
                    " ORDER BY number LIMIT 1",
    [APPLIED_GET] = "SELECT applied_seq FROM _syncline_origin WHERE number=?1",
    [APPLIED_OF] = "SELECT applied_seq FROM _syncline_origin WHERE device=?1 AND epoch=?2",
    [APPLIED_ALL] = "SELECT device,epoch,applied_seq FROM _syncline_origin WHERE applied_seq>0"
                    " ORDER BY device,epoch",
    [APPLIED_SET] = "UPDATE _syncline_origin SET applied_seq=?2 WHERE number=?1",
    [HLC_RAISE] = "UPDATE _syncline_origin SET hlc=?2 WHERE number=?1 AND hlc<?2",
    [HLC_GET] = "SELECT max(hlc) FROM _syncline_origin",
    [OUTBOX_INSERT] = "INSERT INTO _syncline_outbox(token,model,change,wall_ms,n,batch_len,ids,"
                      "uuids,births) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    [OUTBOX_NEXT] = "SELECT id,token,model,change,wall_ms,n,batch_len,ids,uuids,births"
                    " FROM _syncline_outbox WHERE id>?1 ORDER BY id LIMIT 1",
    [OUTBOX_REMOVE] = "DELETE FROM _syncline_outbox WHERE id<?1",
    [OUTBOX_MAX] = "SELECT max(id) FROM _syncline_outbox",
    [OUTBOX_TOKEN] = "SELECT token FROM _syncline_outbox WHERE id=?1",
    [OUTBOX_COUNT] = "SELECT sum(n) FROM _syncline_outbox WHERE id>?1 AND id<=?2",
    [MODEL_NAME] = "SELECT name FROM _syncline_model WHERE number=?1",
    [DELETE_NOTE] = "UPDATE _syncline_model SET last_delete=?2 WHERE number=?1",
    [DELETE_LAST] = "SELECT last_delete FROM _syncline_model WHERE number=?1",
    [DELETE_NOTE_MAX] = "UPDATE _syncline_model SET last_delete="
                        "(SELECT coalesce(max(id),0) FROM _syncline_outbox) WHERE number=?1",
};
_Static_assert(LIBRARY_DB_STATEMENTS <= SL_STATEMENT_COUNT_MAX, "room for every statement");

static const char schema[] =
    "CREATE TABLE _syncline_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE _syncline_model(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " last_delete INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE _syncline_scan(model INTEGER PRIMARY KEY, after INTEGER NOT NULL,"
    " up_to INTEGER NOT NULL);"
    "CREATE TABLE _syncline_outbox(id INTEGER PRIMARY KEY, token INTEGER NOT NULL,"
    " model INTEGER NOT NULL, change INTEGER NOT NULL, wall_ms INTEGER NOT NULL,"
    " n INTEGER NOT NULL, batch_len INTEGER NOT NULL, ids BLOB NOT NULL, uuids BLOB, births BLOB);"
    "CREATE TABLE _syncline_origin(number INTEGER PRIMARY KEY, device BLOB NOT NULL,"
    " epoch INTEGER NOT NULL, applied_seq INTEGER NOT NULL, hlc INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(device,epoch));"
    "CREATE TABLE _syncline_birth(model INTEGER NOT NULL, id INTEGER NOT NULL, n INTEGER NOT NULL,"
    " origin INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL, class INTEGER NOT NULL,"
    " PRIMARY KEY(model,id)) WITHOUT ROWID;"
    "CREATE TABLE _syncline_stamp(model INTEGER NOT NULL, id INTEGER NOT NULL, hlc INTEGER NOT "
    "NULL,"
    " origin INTEGER NOT NULL, PRIMARY KEY(model,id)) WITHOUT ROWID;"
    "CREATE TABLE _syncline_late_birth(model INTEGER NOT NULL, uuid BLOB NOT NULL,"
    " seq INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY(model,uuid)) WITHOUT ROWID;"
    "CREATE TABLE _syncline_waiting(id INTEGER PRIMARY KEY, model INTEGER NOT NULL,"
    " uuid BLOB NOT NULL, change INTEGER NOT NULL, class INTEGER NOT NULL,"
    " birth_origin INTEGER NOT NULL, birth_seq INTEGER NOT NULL, birth_hlc INTEGER NOT NULL,"
    " origin INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL,"
    " lacks_model INTEGER NOT NULL, lacks_uuid BLOB, since_ms INTEGER NOT NULL,"
    " body BLOB NOT NULL, UNIQUE(birth_origin,birth_seq));"
    "CREATE INDEX _syncline_waiting_record ON _syncline_waiting(model,uuid);"
    "CREATE INDEX _syncline_waiting_unborn ON _syncline_waiting(birth_origin,birth_seq)"
    " WHERE lacks_model=0;"
    "CREATE TABLE _syncline_waiting_key(entry INTEGER NOT NULL, model INTEGER NOT NULL,"
    " uuid BLOB NOT NULL, PRIMARY KEY(entry,model,uuid)) WITHOUT ROWID;"
    "CREATE INDEX _syncline_waiting_parent ON _syncline_waiting_key(model,uuid);"
    "CREATE TABLE _syncline_hidden_birth(model INTEGER NOT NULL, uuid BLOB NOT NULL,"
    " origin INTEGER NOT NULL, seq INTEGER NOT NULL, birth_hlc INTEGER NOT NULL,"
    " class INTEGER NOT NULL, hlc INTEGER NOT NULL, hlc_origin INTEGER NOT NULL,"
    " body BLOB NOT NULL, lacks_model INTEGER, lacks_uuid BLOB,"
    " PRIMARY KEY(model,uuid,origin,seq)) WITHOUT ROWID;"
    "CREATE INDEX _syncline_hidden_lacks ON _syncline_hidden_birth(lacks_model,lacks_uuid)"
    " WHERE lacks_model NOT NULL;"
    "CREATE TABLE _syncline_snapshot(records INTEGER NOT NULL, total INTEGER NOT NULL,"
    " began_ms INTEGER NOT NULL);"
    "CREATE TABLE _syncline_snapshot_origin(origin INTEGER PRIMARY KEY, cut_seq INTEGER NOT NULL,"
    " live_seq INTEGER NOT NULL, last_hlc INTEGER NOT NULL, cut_end BLOB NOT NULL);"
    "CREATE TABLE _syncline_snapshot_model(model INTEGER PRIMARY KEY, lo BLOB);"
    "INSERT INTO _syncline_meta VALUES('format',1);";

enum syncline_status sl_library_db_open(struct sl_library_db *ldb, const struct sl_env *env,
                                        const char *path, enum sl_db_mode mode,
                                        uint32_t busy_timeout_ms, struct sl_error *err)
{
    struct sl_library_db opened = {.statements = {.sql = sql_texts}};
    enum syncline_status status =
        sl_db_open(&opened.db, env, path, "library.db", mode, busy_timeout_ms, err);
    if (status == SYNCLINE_OK) {
        status = sl_value_list_register(&opened.db, err);
    }
    if (status != SYNCLINE_OK) {
        sl_db_close(&opened.db);
        return status;
    }
    *ldb = opened;
    ldb->db.sync_failed = &ldb->sync_failed;
    return SYNCLINE_OK;
}

void sl_library_db_replace(struct sl_library_db *ldb, const struct sl_library_db *fresh)
{
    sl_library_db_fini(ldb);
    ldb->db.handle = fresh->db.handle;
    ldb->sync_failed = false;
}

void sl_library_db_borrow(struct sl_library_db *ldb, sqlite3 *handle)
{
    struct sl_library_db borrowed = {.db = sl_db_borrow(handle, "library.db"),
                                     .statements = {.sql = sql_texts},
                                     .borrowed = true};
    *ldb = borrowed;
}

void sl_library_db_fini(struct sl_library_db *ldb)
{
    sl_statements_fini(&ldb->statements);
    if (!ldb->borrowed) {
        sl_db_close(&ldb->db);
    }
    ldb->db.handle = NULL;
}

static enum syncline_status get(struct sl_library_db *ldb, unsigned number, sqlite3_stmt **stmt,
                                struct sl_error *err)
{
    return sl_statement(&ldb->db, &ldb->statements, number, stmt, err);
}

static enum syncline_status run(struct sl_library_db *ldb, unsigned number, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, number, &stmt, err);
    return status != SYNCLINE_OK ? status : sl_db_run(&ldb->db, stmt, err);
}

/* Runs a prepared query for one integer. */
static enum syncline_status one_int64(struct sl_library_db *ldb, sqlite3_stmt *stmt, bool *found,
                                      int64_t *value, struct sl_error *err)
{
    bool row = false;
    enum syncline_status status = sl_db_row(&ldb->db, stmt, &row, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (row) {
        *value = sqlite3_column_int64(stmt, 0);
        sl_db_reset(stmt);
    }
    *found = row;
    return SYNCLINE_OK;
}

/* ---- Making and checking ---- */

static enum syncline_status check_wal(struct sl_library_db *ldb, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(&ldb->db, "PRAGMA journal_mode", false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool row = false;
    status = sl_db_row(&ldb->db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        const char *mode = row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        if (mode == NULL || strcmp(mode, "wal") != 0) {
            status = sl_fail(err, SYNCLINE_EFORMAT,
                             "library.db is in journal mode '%s', and must be in WAL mode: run "
                             "'PRAGMA journal_mode=WAL' on it once",
                             mode != NULL ? mode : "?");
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum syncline_status is_made(struct sl_library_db *ldb, bool *made, struct sl_error *err)
{
    int64_t count = 0;
    enum syncline_status status = sl_db_int64(
        &ldb->db, "SELECT count(*) FROM sqlite_schema WHERE name='_syncline_meta'", 0, &count, err);
    *made = count > 0;
    return status;
}

static enum syncline_status put_library_id(struct sl_library_db *ldb,
                                           const struct syncline_uuid *library_id,
                                           struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(
        &ldb->db, "INSERT INTO _syncline_meta VALUES('library_id',?1)", false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, library_id);
    status = sl_db_run(&ldb->db, stmt, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_library_db_create(struct sl_library_db *ldb,
                                          const struct syncline_uuid *library_id,
                                          struct sl_error *err)
{
    int64_t objects = 0;
    enum syncline_status status =
        sl_db_int64(&ldb->db, "SELECT count(*) FROM sqlite_schema", 0, &objects, err);
    if (status == SYNCLINE_OK && objects == 0) {
        status = sl_db_exec(&ldb->db, "PRAGMA journal_mode=WAL", err);
    }
    if (status == SYNCLINE_OK) {
        status = check_wal(ldb, err);
    }
    bool made = false;
    if (status == SYNCLINE_OK) {
        status = is_made(ldb, &made, err);
    }
    if (status == SYNCLINE_OK && made) {
        return sl_fail(err, SYNCLINE_EEXIST,
                       "library.db belongs to a Syncline library already; take another directory");
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_begin_write(ldb, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_db_exec(&ldb->db, schema, err);
    if (status == SYNCLINE_OK) {
        status = put_library_id(ldb, library_id, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_commit(ldb, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_rollback(ldb);
    }
    return status;
}

enum syncline_status sl_library_db_put_names(struct sl_library_db *ldb, const char *library_name,
                                             const char *device_name, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        sl_db_prepare(&ldb->db,
                      "INSERT OR REPLACE INTO _syncline_meta VALUES('library_name',?1),"
                      "('device_name',?2)",
                      false, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_text(stmt, 1, library_name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(stmt, 2, device_name, -1, SQLITE_STATIC);
        status = sl_db_run(&ldb->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_library_db_identity(struct sl_library_db *ldb,
                                            struct syncline_uuid *library_id,
                                            char library_name[SL_NAME_SIZE_MAX + 1],
                                            char device_name[SL_NAME_SIZE_MAX + 1],
                                            struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool made = false;
    bool row = false;
    enum syncline_status status = is_made(ldb, &made, err);
    if (status == SYNCLINE_OK && !made) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "library.db holds no Syncline tables");
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_prepare(&ldb->db,
                               "SELECT (SELECT value FROM _syncline_meta WHERE key='library_id'),"
                               "coalesce((SELECT value FROM _syncline_meta WHERE"
                               " key='library_name'),''),"
                               "coalesce((SELECT value FROM _syncline_meta WHERE"
                               " key='device_name'),'')",
                               false, &stmt, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&ldb->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK && (!row || !sl_column_uuid(stmt, 0, library_id))) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "library.db does not say what library it is of");
    }
    if (status == SYNCLINE_OK) {
        (void)sqlite3_snprintf(SL_NAME_SIZE_MAX + 1, library_name, "%s",
                               sqlite3_column_text(stmt, 1));
        (void)sqlite3_snprintf(SL_NAME_SIZE_MAX + 1, device_name, "%s",
                               sqlite3_column_text(stmt, 2));
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_library_db_check(struct sl_library_db *ldb,
                                         const struct syncline_uuid *library_id,
                                         struct sl_error *err)
{
    enum syncline_status status = check_wal(ldb, err);
    bool made = false;
    if (status == SYNCLINE_OK) {
        status = is_made(ldb, &made, err);
    }
    if (status == SYNCLINE_OK && !made) {
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "library.db holds no Syncline tables: create or join a library here first");
    }
    int64_t format = 0;
    if (status == SYNCLINE_OK) {
        status = sl_db_int64(&ldb->db, "SELECT value FROM _syncline_meta WHERE key='format'", 0,
                             &format, err);
    }
    if (status == SYNCLINE_OK && format != SL_LIBRARY_DB_FORMAT) {
        return sl_fail(err, SYNCLINE_EFORMAT,
                       "library.db has Syncline tables of format %lld, this program knows format "
                       "%d: upgrade it",
                       (long long)format, SL_LIBRARY_DB_FORMAT);
    }
    sqlite3_stmt *stmt = NULL;
    if (status == SYNCLINE_OK) {
        status = sl_db_prepare(&ldb->db, "SELECT value FROM _syncline_meta WHERE key='library_id'",
                               false, &stmt, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool row = false;
    struct syncline_uuid found;
    status = sl_db_row(&ldb->db, stmt, &row, err);
    if (status == SYNCLINE_OK &&
        (!row || !sl_column_uuid(stmt, 0, &found) || !sl_uuid_equal(&found, library_id))) {
        status =
            sl_fail(err, SYNCLINE_ECORRUPT,
                    "library.db and sync.db are of different libraries: put back the pair that "
                    "belongs together");
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* One statement for each table of ours: an older or newer version may have other ones. */
static enum syncline_status drop_tables(struct sl_library_db *ldb, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        sqlite3_stmt *stmt = NULL;
        char sql[SL_NAME_SIZE_MAX + 64] = "";
        bool row = false;
        status = sl_db_prepare(&ldb->db,
                               "SELECT 'DROP TABLE ' || name FROM sqlite_schema WHERE type='table'"
                               " AND name GLOB '_syncline_[a-z]*' LIMIT 1",
                               false, &stmt, err);
        if (status == SYNCLINE_OK) {
            status = sl_db_row(&ldb->db, stmt, &row, err);
        }
        if (status == SYNCLINE_OK && row) {
            (void)sqlite3_snprintf((int)sizeof(sql), sql, "%s", sqlite3_column_text(stmt, 0));
        }
        (void)sqlite3_finalize(stmt);
        if (status != SYNCLINE_OK || !row) {
            return status;
        }
        status = sl_db_exec(&ldb->db, sql, err);
    }
    return status;
}

enum syncline_status sl_library_db_remove(struct sl_library_db *ldb, struct sl_error *err)
{
    enum syncline_status status = sl_library_db_begin_write(ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = drop_tables(ldb, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_commit(ldb, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_rollback(ldb);
    }
    return status;
}

/* Looks the model's number up; 0 when it has none. */
static enum syncline_status find_number(struct sl_library_db *ldb, sqlite3_stmt *find,
                                        struct sl_model *model, struct sl_error *err)
{
    (void)sqlite3_bind_text(find, 1, model->name, -1, SQLITE_STATIC);
    bool found = false;
    model->id_in_db = 0;
    return one_int64(ldb, find, &found, &model->id_in_db, err);
}

/* From here on who inserts a row captures it. */
static enum syncline_status mark_older_rows(struct sl_library_db *ldb, const struct sl_model *model,
                                            struct sl_error *err)
{
    char *sql = sqlite3_mprintf("INSERT INTO _syncline_scan SELECT %lld,%lld,newest FROM"
                                " (SELECT max(\"%w\") AS newest FROM \"%w\")"
                                " WHERE newest IS NOT NULL",
                                (long long)model->id_in_db, (long long)INT64_MIN, model->id.name,
                                model->table);
    enum syncline_status status = sql == NULL
                                      ? sl_fail(err, SYNCLINE_ENOMEM, "no memory for a statement")
                                      : sl_db_exec(&ldb->db, sql, err);
    sqlite3_free(sql);
    return status;
}

static enum syncline_status add_numbers(struct sl_library_db *ldb, struct sl_model_set *set,
                                        sqlite3_stmt *find, sqlite3_stmt *add, struct sl_error *err)
{
    enum syncline_status status = sl_library_db_begin_write(ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    for (size_t i = 0; i < set->count && status == SYNCLINE_OK; i++) {
        struct sl_model *model = &set->models[i];
        status = find_number(ldb, find, model, err);
        if (status == SYNCLINE_OK && model->id_in_db == 0) {
            (void)sqlite3_bind_text(add, 1, model->name, -1, SQLITE_STATIC);
            status = sl_db_run(&ldb->db, add, err);
            model->id_in_db = sqlite3_last_insert_rowid(ldb->db.handle);
            if (status == SYNCLINE_OK) {
                status = mark_older_rows(ldb, model, err);
            }
        }
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_commit(ldb, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_rollback(ldb);
    }
    return status;
}

enum syncline_status sl_library_db_number_models(struct sl_library_db *ldb,
                                                 struct sl_model_set *set, struct sl_error *err)
{
    sqlite3_stmt *find = NULL;
    sqlite3_stmt *add = NULL;
    enum syncline_status status = sl_db_prepare(
        &ldb->db, "SELECT number FROM _syncline_model WHERE name=?1", false, &find, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_prepare(&ldb->db, "INSERT INTO _syncline_model(name) VALUES(?1)", false,
                               &add, err);
    }
    bool all = true;
    for (size_t i = 0; i < set->count && status == SYNCLINE_OK; i++) {
        status = find_number(ldb, find, &set->models[i], err);
        all = all && set->models[i].id_in_db != 0;
    }
    if (status == SYNCLINE_OK && !all) {
        status = add_numbers(ldb, set, find, add, err);
    }
    (void)sqlite3_finalize(find);
    (void)sqlite3_finalize(add);
    return status;
}

/* ---- Transactions ---- */

enum syncline_status sl_library_db_begin_write(struct sl_library_db *ldb, struct sl_error *err)
{
    return run(ldb, BEGIN_WRITE, err);
}

enum syncline_status sl_library_db_begin_read(struct sl_library_db *ldb, struct sl_error *err)
{
    return run(ldb, BEGIN_READ, err);
}

enum syncline_status sl_library_db_commit(struct sl_library_db *ldb, struct sl_error *err)
{
    return run(ldb, COMMIT, err);
}

void sl_library_db_rollback(struct sl_library_db *ldb)
{
    if (sqlite3_get_autocommit(ldb->db.handle) == 0) {
        (void)run(ldb, ROLLBACK, NULL);
    }
}

enum syncline_status sl_library_db_savepoint(struct sl_library_db *ldb, struct sl_error *err)
{
    return run(ldb, SAVEPOINT, err);
}

enum syncline_status sl_library_db_release(struct sl_library_db *ldb, struct sl_error *err)
{
    enum syncline_status status = run(ldb, RELEASE, err);
    if (status != SYNCLINE_OK) {
        sl_library_db_undo(ldb);
    }
    return status;
}

void sl_library_db_undo(struct sl_library_db *ldb)
{
    struct sl_error ignored;
    if (run(ldb, ROLLBACK_TO, &ignored) == SYNCLINE_OK) {
        (void)run(ldb, RELEASE, &ignored);
    }
}

enum syncline_status sl_library_db_sync_wal(struct sl_library_db *ldb, struct sl_error *err)
{
    sqlite3_file *wal = NULL; /* in WAL mode it is the "journal" */
    int code = sqlite3_file_control(ldb->db.handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (code == SQLITE_OK && (wal == NULL || wal->pMethods == NULL)) {
        return sl_fail(err, SYNCLINE_EFORMAT, "%s has no WAL: it must be in WAL mode",
                       ldb->db.name);
    }
    if (code == SQLITE_OK) {
        code = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    }
    /* Whatever the VFS says: what the WAL holds on the disk is not known any more. */
    ldb->sync_failed = ldb->sync_failed || code != SQLITE_OK;
    return code == SQLITE_OK ? SYNCLINE_OK : sl_db_fail(&ldb->db, code, "sync of the WAL", err);
}

enum syncline_status sl_library_db_data_version(struct sl_library_db *ldb, int64_t *version,
                                                struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, DATA_VERSION, &stmt, err);
    bool found = false;
    return status != SYNCLINE_OK ? status : one_int64(ldb, stmt, &found, version, err);
}

/* ---- Applied vector ---- */

enum syncline_status sl_library_db_origin_number(struct sl_library_db *ldb,
                                                 const struct sl_origin *origin, int64_t *number,
                                                 struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, ORIGIN_FIND, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &origin->device);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)origin->epoch);
    bool found = false;
    status = one_int64(ldb, stmt, &found, number, err);
    if (status != SYNCLINE_OK || found) {
        return status;
    }
    status = get(ldb, ORIGIN_ADD, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &origin->device);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)origin->epoch);
    status = sl_db_run(&ldb->db, stmt, err);
    if (status == SYNCLINE_OK) {
        *number = sqlite3_last_insert_rowid(ldb->db.handle);
    }
    return status;
}

enum syncline_status sl_library_db_origin(struct sl_library_db *ldb, int64_t number, bool *found,
                                          struct sl_origin *origin, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, ORIGIN_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, number);
    bool row = false;
    status = sl_db_row(&ldb->db, stmt, &row, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    *found = row && sl_column_uuid(stmt, 0, &origin->device);
    if (row) {
        origin->epoch = (uint64_t)sqlite3_column_int64(stmt, 1);
        sl_db_reset(stmt);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_library_db_origin_next(struct sl_library_db *ldb, int64_t *number,
                                               bool *found, struct sl_origin *origin,
                                               struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, ORIGIN_NEXT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, *number);
    status = sl_db_row(&ldb->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    bool is_whole = sl_column_uuid(stmt, 0, &origin->device);
    origin->epoch = (uint64_t)sqlite3_column_int64(stmt, 1);
    *number = sqlite3_column_int64(stmt, 2);
    sl_db_reset(stmt);
    return is_whole ? SYNCLINE_OK
                    : sl_fail(err, SYNCLINE_ECORRUPT, "library.db: an origin is damaged");
}

enum syncline_status sl_library_db_applied(struct sl_library_db *ldb, int64_t number, uint64_t *seq,
                                           struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, APPLIED_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, number);
    bool found = false;
    int64_t value = 0;
    status = one_int64(ldb, stmt, &found, &value, err);
    if (status == SYNCLINE_OK) {
        *seq = (uint64_t)value;
    }
    return status;
}

enum syncline_status sl_library_db_applied_of(struct sl_library_db *ldb,
                                              const struct sl_origin *origin, uint64_t *seq,
                                              struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, APPLIED_OF, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &origin->device);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)origin->epoch);
    bool found = false;
    int64_t value = 0;
    status = one_int64(ldb, stmt, &found, &value, err);
    if (status == SYNCLINE_OK) {
        *seq = found ? (uint64_t)value : 0;
    }
    return status;
}

enum syncline_status sl_library_db_applied_hash(struct sl_library_db *ldb, struct sl_hasher *hasher,
                                                uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    enum syncline_status status = get(ldb, APPLIED_ALL, &stmt, err);
    while (status == SYNCLINE_OK && row) {
        struct syncline_uuid device;
        uint8_t numbers[16];
        status = sl_db_row(&ldb->db, stmt, &row, err);
        if (status == SYNCLINE_OK && row && sl_column_uuid(stmt, 0, &device)) {
            sl_put_u64(numbers, (uint64_t)sqlite3_column_int64(stmt, 1));
            sl_put_u64(numbers + 8, (uint64_t)sqlite3_column_int64(stmt, 2));
            sl_hasher_update(hasher, device.bytes, sizeof(device.bytes));
            sl_hasher_update(hasher, numbers, sizeof(numbers));
        }
    }
    if (!sl_hasher_finish(hasher, hash) && status == SYNCLINE_OK) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to hash");
    }
    return status;
}

enum syncline_status sl_library_db_set_applied(struct sl_library_db *ldb, int64_t number,
                                               uint64_t seq, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, APPLIED_SET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, number);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    return sl_db_run(&ldb->db, stmt, err);
}

enum syncline_status sl_library_db_raise_hlc(struct sl_library_db *ldb, int64_t number,
                                             uint64_t hlc, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, HLC_RAISE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, number);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)hlc);
    return sl_db_run(&ldb->db, stmt, err);
}

enum syncline_status sl_library_db_hlc(struct sl_library_db *ldb, uint64_t *hlc,
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, HLC_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool found = false;
    int64_t value = 0;
    status = one_int64(ldb, stmt, &found, &value, err);
    if (status == SYNCLINE_OK) {
        *hlc = (uint64_t)value;
    }
    return status;
}

/* ---- Outbox ---- */

static void bind_blob(sqlite3_stmt *stmt, int parameter, const uint8_t *data, size_t size)
{
    if (data != NULL) {
        (void)sqlite3_bind_blob64(stmt, parameter, data, size, SQLITE_STATIC);
    }
}

enum syncline_status sl_outbox_prepare(struct sl_library_db *ldb, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    return get(ldb, OUTBOX_INSERT, &stmt, err);
}

enum syncline_status sl_outbox_insert(struct sl_library_db *ldb, struct sl_outbox_row *row,
                                      struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, OUTBOX_INSERT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)row->token);
    (void)sqlite3_bind_int64(stmt, 2, row->model);
    (void)sqlite3_bind_int64(stmt, 3, row->change);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)row->wall_ms);
    (void)sqlite3_bind_int64(stmt, 5, row->n);
    (void)sqlite3_bind_int64(stmt, 6, row->batch_len);
    bind_blob(stmt, 7, row->ids, row->ids_size);
    bind_blob(stmt, 8, row->uuids, row->uuids_size);
    bind_blob(stmt, 9, row->births, row->births_size);
    status = sl_db_run(&ldb->db, stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    row->id = sqlite3_last_insert_rowid(ldb->db.handle);
    if (row->change != SYNCLINE_DELETE) {
        return SYNCLINE_OK;
    }
    status = get(ldb, DELETE_NOTE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, row->model);
    (void)sqlite3_bind_int64(stmt, 2, row->id);
    return sl_db_run(&ldb->db, stmt, err);
}

static const uint8_t *column_blob(sqlite3_stmt *stmt, int column, size_t *size)
{
    const uint8_t *data = sqlite3_column_blob(stmt, column);
    *size = (size_t)sqlite3_column_bytes(stmt, column);
    return data;
}

enum syncline_status sl_outbox_next(struct sl_library_db *ldb, int64_t id, bool *found,
                                    struct sl_outbox_row *row, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, OUTBOX_NEXT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_db_reset(stmt); /* the caller is done with the row before */
    (void)sqlite3_bind_int64(stmt, 1, id);
    status = sl_db_row(&ldb->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    struct sl_outbox_row read = {.id = sqlite3_column_int64(stmt, 0),
                                 .token = (uint64_t)sqlite3_column_int64(stmt, 1),
                                 .model = sqlite3_column_int64(stmt, 2),
                                 .change = (enum syncline_change)sqlite3_column_int(stmt, 3),
                                 .wall_ms = (uint64_t)sqlite3_column_int64(stmt, 4),
                                 .n = (uint32_t)sqlite3_column_int64(stmt, 5),
                                 .batch_len = (uint32_t)sqlite3_column_int64(stmt, 6)};
    read.ids = column_blob(stmt, 7, &read.ids_size);
    read.uuids = column_blob(stmt, 8, &read.uuids_size);
    read.births = column_blob(stmt, 9, &read.births_size);
    *row = read;
    return SYNCLINE_OK;
}

void sl_outbox_done(struct sl_library_db *ldb)
{
    sl_db_reset(ldb->statements.stmt[OUTBOX_NEXT]);
}

enum syncline_status sl_outbox_remove_below(struct sl_library_db *ldb, int64_t id,
                                            struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, OUTBOX_REMOVE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    return sl_db_run(&ldb->db, stmt, err);
}

enum syncline_status sl_outbox_max(struct sl_library_db *ldb, int64_t *id, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, OUTBOX_MAX, &stmt, err);
    bool found = false;
    return status != SYNCLINE_OK ? status : one_int64(ldb, stmt, &found, id, err);
}

enum syncline_status sl_outbox_token(struct sl_library_db *ldb, int64_t id, bool *found,
                                     uint64_t *token, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, OUTBOX_TOKEN, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    int64_t value = 0;
    status = one_int64(ldb, stmt, found, &value, err);
    if (status == SYNCLINE_OK && *found) {
        *token = (uint64_t)value;
    }
    return status;
}

enum syncline_status sl_outbox_count_above(struct sl_library_db *ldb, int64_t id, uint64_t *changes,
                                           struct sl_error *err)
{
    return sl_outbox_count_between(ldb, id, INT64_MAX, changes, err);
}

enum syncline_status sl_outbox_count_between(struct sl_library_db *ldb, int64_t id, int64_t last,
                                             uint64_t *changes, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, OUTBOX_COUNT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, last);
    bool found = false;
    int64_t sum = 0;
    status = one_int64(ldb, stmt, &found, &sum, err);
    if (status == SYNCLINE_OK) {
        *changes = (uint64_t)sum;
    }
    return status;
}

enum syncline_status sl_library_db_model_name(struct sl_library_db *ldb, int64_t number,
                                              char name[SL_NAME_SIZE_MAX + 1], struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum syncline_status status = get(ldb, MODEL_NAME, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, number);
    status = sl_db_row(&ldb->db, stmt, &found, err);
    if (status == SYNCLINE_OK && !found) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "library.db: there is no model %lld",
                         (long long)number);
    }
    if (status == SYNCLINE_OK) {
        (void)sqlite3_snprintf(SL_NAME_SIZE_MAX + 1, name, "%s", sqlite3_column_text(stmt, 0));
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_outbox_last_delete(struct sl_library_db *ldb, int64_t model, int64_t *id,
                                           struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, DELETE_LAST, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    bool found = false;
    *id = 0;
    return one_int64(ldb, stmt, &found, id, err);
}

enum syncline_status sl_outbox_note_delete(struct sl_library_db *ldb, int64_t model,
                                           struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(ldb, DELETE_NOTE_MAX, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, model);
    return sl_db_run(&ldb->db, stmt, err);
}
