/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/peer_log.h"

#include <stdio.h>
#include <string.h>

enum {
    BEGIN,
    COMMIT,
    ROLLBACK,
    HEAD,
    ORIGIN_ADD,
    ORIGIN_MOVE,
    SEGMENT_ADD,
    SEGMENT_GET,
    SEGMENT_SIZES,
    SEGMENT_HASH,
    BIRTHS_GET,
    BIRTHS_NEXT,
    FORK_PUT,
    FORK_FIND,
    DRAINED_PUT,
    DRAINED_NEWEST,
    DRAINED_REMOVE_ABOVE,
    DRAINED_COUNT,
    DRAINED_FIND,
    DRAINED_KEPT_FROM,
    DRAINED_PRUNE,
    MEMBER_PUT,
    MEMBER_GET,
    STATEMENT_PUT,
    STATEMENT_GET,
    ASIDE_PUT,
    ASIDE_REMOVE,
    ASIDE_REMOVE_RECORD,
    ASIDE_FIND,
    ASIDE_GET,
    ASIDE_AFTER,
    ASIDE_LAST,
    ASIDE_COUNT,
    ASIDE_RANGE,
    PEER_LOG_STATEMENTS
};

static const char *const sql_texts[] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [HEAD] = "SELECT number,device,epoch,held_seq,held_hash,last_hlc FROM origin WHERE number>?1"
             " ORDER BY number LIMIT 1",
    [ORIGIN_ADD] = "INSERT INTO origin(device,epoch,held_seq,held_hash,last_hlc)"
                   " VALUES(?1,?2,?3,?4,?5)",
    [ORIGIN_MOVE] = "UPDATE origin SET held_seq=?2,held_hash=?3,last_hlc=?4 WHERE number=?1",
    [SEGMENT_ADD] = "INSERT INTO segment(origin,last_seq,hash,bytes) VALUES(?1,?2,?3,?4)",
    /* Floor and segment in one statement: between two the log might be pruned. */
    [SEGMENT_GET] = "SELECT s.bytes,o.floor_seq FROM origin o LEFT JOIN segment s ON s.number="
                    "(SELECT number FROM segment WHERE origin=?1 AND last_seq>=?2"
                    " ORDER BY last_seq LIMIT 1) WHERE o.number=?1",
    [SEGMENT_SIZES] = "SELECT total(length(bytes)) FROM segment WHERE origin=?1 AND last_seq>?2",
    [SEGMENT_HASH] = "SELECT CASE WHEN o.floor_seq=?2 THEN o.floor_hash ELSE s.hash END,o.floor_seq"
                     " FROM origin o LEFT JOIN segment s ON s.origin=?1 AND s.last_seq=?2"
                     " WHERE o.number=?1",
    [BIRTHS_GET] = "SELECT bytes FROM birth_segment WHERE origin=?1 AND last_seq>=?2"
                   " ORDER BY last_seq LIMIT 1",
    [BIRTHS_NEXT] = "SELECT coalesce((SELECT min(last_seq) FROM birth_segment WHERE origin=?1"
                    " AND last_seq>?2),floor_seq+1) FROM origin WHERE number=?1",
    [FORK_PUT] = "INSERT OR IGNORE INTO fork(origin,held_seq,held_hash,bytes,at_ms)"
                 " VALUES(?1,?2,?3,?4,?5)",
    [FORK_FIND] = "SELECT at_ms FROM fork WHERE origin=?1",
    [DRAINED_PUT] = "INSERT OR REPLACE INTO drained(id,token,changes,complete,seq)"
                    " VALUES(?1,?2,?3,?4,?5)",
    [DRAINED_NEWEST] = "SELECT id,token,changes,complete,seq FROM drained ORDER BY id DESC LIMIT 1",
    [DRAINED_REMOVE_ABOVE] = "DELETE FROM drained WHERE id>?1",
    [DRAINED_COUNT] = "SELECT count(*) FROM drained",
    [DRAINED_FIND] = "SELECT d.id,d.token,d.changes,d.complete,d.seq,"
                     "(SELECT max(id) FROM drained),"
                     "(SELECT value FROM meta WHERE key='tickets_from')"
                     " FROM (SELECT 1) LEFT JOIN drained d ON d.id=?1",
    [DRAINED_KEPT_FROM] = "INSERT OR REPLACE INTO meta(key,value) SELECT 'tickets_from',id"
                          " FROM drained ORDER BY id DESC LIMIT 1 OFFSET ?1",
    [DRAINED_PRUNE] = "DELETE FROM drained"
                      " WHERE id<(SELECT value FROM meta WHERE key='tickets_from')",
    [MEMBER_PUT] = "INSERT INTO member(device,public_key,name,acked_seq,applied_seq,announced_seq,"
                   "introduced_by,standing) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"
                   " ON CONFLICT(device) DO UPDATE SET name=?3,acked_seq=?4,applied_seq=?5,"
                   "announced_seq=?6,introduced_by=?7,standing=?8",
    [MEMBER_GET] = "SELECT device,public_key,name,acked_seq,applied_seq,announced_seq,"
                   "introduced_by,standing FROM member WHERE standing=1 OR ?2"
                   " ORDER BY number LIMIT 1 OFFSET ?1",
    [STATEMENT_PUT] = "UPDATE member SET statement=?2 WHERE device=?1",
    [STATEMENT_GET] = "SELECT statement FROM member WHERE device=?1",
    [ASIDE_PUT] = "INSERT INTO set_aside(device,epoch,seq,model,uuid,reason,at_ms)"
                  " VALUES(?1,?2,?3,?4,?5,?6,?7)"
                  " ON CONFLICT(device,epoch,seq,model,uuid) DO UPDATE SET reason=?6",
    [ASIDE_REMOVE] = "DELETE FROM set_aside WHERE device=?1 AND epoch=?2 AND seq=?3",
    [ASIDE_REMOVE_RECORD] = "DELETE FROM set_aside WHERE device=?1 AND epoch=?2 AND seq=0"
                            " AND model=?3 AND uuid=?4",
    [ASIDE_FIND] = "SELECT 1 FROM set_aside WHERE device=?1 AND epoch=?2 AND seq=0"
                   " AND model=?3 AND uuid=?4",
    [ASIDE_GET] = "SELECT device,epoch,seq,model,uuid,reason FROM set_aside ORDER BY number LIMIT 1"
                  " OFFSET ?1",
    [ASIDE_AFTER] = "SELECT device,epoch,seq,model,uuid,reason,number,at_ms FROM set_aside"
                    " WHERE number>?1 ORDER BY number LIMIT 1",
    [ASIDE_LAST] = "SELECT coalesce(max(number),0) FROM set_aside",
    [ASIDE_COUNT] = "SELECT count(*) FROM set_aside",
    [ASIDE_RANGE] = "SELECT device,epoch,seq,model,uuid,reason FROM set_aside WHERE seq>0"
                    " AND model=?1 AND uuid BETWEEN ?2 AND ?3 ORDER BY uuid LIMIT ?4",
};
_Static_assert(PEER_LOG_STATEMENTS <= SL_STATEMENT_COUNT_MAX, "room for every statement");

static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE origin(number INTEGER PRIMARY KEY, device BLOB NOT NULL, epoch INTEGER NOT NULL,"
    " held_seq INTEGER NOT NULL, held_hash BLOB NOT NULL, last_hlc INTEGER NOT NULL,"
    " floor_seq INTEGER NOT NULL DEFAULT 0, floor_hash BLOB, floor_end BLOB,"
    " UNIQUE(device,epoch));"
    "CREATE TABLE segment(number INTEGER PRIMARY KEY, origin INTEGER NOT NULL,"
    " last_seq INTEGER NOT NULL, hash BLOB NOT NULL, bytes BLOB NOT NULL, UNIQUE(origin,last_seq));"
    "CREATE TABLE birth_segment(origin INTEGER NOT NULL, last_seq INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, UNIQUE(origin,last_seq));"
    "CREATE TABLE fork(origin INTEGER PRIMARY KEY, held_seq INTEGER NOT NULL,"
    " held_hash BLOB NOT NULL, bytes BLOB NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE TABLE drained(id INTEGER PRIMARY KEY, token INTEGER NOT NULL, changes INTEGER NOT NULL,"
    " complete INTEGER NOT NULL, seq INTEGER NOT NULL);"
    "CREATE TABLE member(number INTEGER PRIMARY KEY, device BLOB NOT NULL UNIQUE,"
    " public_key BLOB NOT NULL, name TEXT NOT NULL, acked_seq INTEGER NOT NULL,"
    " applied_seq INTEGER NOT NULL, announced_seq INTEGER NOT NULL, introduced_by BLOB NOT NULL,"
    " standing INTEGER NOT NULL, statement BLOB);"
    "CREATE TABLE membership(number INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE held(device BLOB NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY(device,origin)) WITHOUT ROWID;"
    "CREATE TABLE absence(device BLOB NOT NULL PRIMARY KEY, heard INTEGER NOT NULL,"
    " marked_ms INTEGER NOT NULL) WITHOUT ROWID;"
    /* A number is never given again: who follows the table tells by it what is new. */
    "CREATE TABLE set_aside(number INTEGER PRIMARY KEY AUTOINCREMENT, device BLOB NOT NULL,"
    " epoch INTEGER NOT NULL, seq INTEGER NOT NULL, model TEXT NOT NULL, uuid BLOB NOT NULL,"
    " reason TEXT NOT NULL, at_ms INTEGER NOT NULL, UNIQUE(device,epoch,seq,model,uuid));"
    "CREATE TABLE event(number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " code INTEGER NOT NULL, status INTEGER NOT NULL, device BLOB, model TEXT, uuid BLOB,"
    " text TEXT NOT NULL);";

/* ---- Making and opening ---- */

static enum syncline_status put_meta(struct sl_db *db, const struct sl_library_identity *identity,
                                     struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(
        db,
        "INSERT INTO meta VALUES('format',1),('library_id',?1),('device_id',?2),('epoch',?3),"
        "('library_name',?4),('device_name',?5)",
        false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &identity->library_id);
    sl_bind_uuid(stmt, 2, &identity->device_id);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)identity->epoch);
    (void)sqlite3_bind_text(stmt, 4, identity->library_name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 5, identity->device_name, -1, SQLITE_STATIC);
    status = sl_db_run(db, stmt, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_peer_log_create(const struct sl_env *env, const char *path,
                                        const struct sl_library_identity *identity,
                                        struct sl_error *err)
{
    struct sl_db db;
    enum syncline_status status =
        sl_db_open(&db, env, path, "sync.db", SL_DB_CREATE, SL_BUSY_TIMEOUT_MS, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    int64_t objects = 0;
    status = sl_db_int64(&db, "SELECT count(*) FROM sqlite_schema", 0, &objects, err);
    if (status == SYNCLINE_OK && objects > 0) {
        status =
            sl_fail(err, SYNCLINE_EEXIST, "there is a sync.db already; take another directory");
    }
    if (status == SYNCLINE_OK) {
        /* How a file gives space back is laid down when its first page is written. */
        status = sl_db_exec(&db,
                            "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
                            " PRAGMA synchronous=FULL; BEGIN IMMEDIATE",
                            err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(&db, schema, err);
    }
    if (status == SYNCLINE_OK) {
        status = put_meta(&db, identity, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(&db, "COMMIT", err);
    }
    sl_db_close(&db);
    return status;
}

static enum syncline_status check_format(struct sl_db *db, struct sl_error *err)
{
    int64_t tables = 0;
    enum syncline_status status = sl_db_int64(
        db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('meta','segment')", 0, &tables, err);
    if (status == SYNCLINE_OK && tables != 2) {
        return sl_fail(err, SYNCLINE_EFORMAT, "sync.db is not a Syncline log");
    }
    int64_t format = 0;
    if (status == SYNCLINE_OK) {
        status = sl_db_int64(db, "SELECT value FROM meta WHERE key='format'", 0, &format, err);
    }
    if (status == SYNCLINE_OK && format != SL_PEER_LOG_FORMAT) {
        return sl_fail(err, SYNCLINE_EFORMAT,
                       "sync.db has format %lld, this program knows format %d: upgrade it",
                       (long long)format, SL_PEER_LOG_FORMAT);
    }
    return status;
}

enum syncline_status sl_peer_log_open(struct sl_peer_log *log, const struct sl_env *env,
                                      const char *path, enum sl_db_mode mode, struct sl_error *err)
{
    struct sl_peer_log opened = {.statements = {.sql = sql_texts}};
    enum syncline_status status =
        sl_db_open(&opened.db, env, path, "sync.db", mode, SL_BUSY_TIMEOUT_MS, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = check_format(&opened.db, err);
    if (status == SYNCLINE_OK && mode != SL_DB_READ) {
        status = sl_db_exec(&opened.db, "PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF", err);
    }
    if (status != SYNCLINE_OK) {
        sl_db_close(&opened.db);
        return status;
    }
    *log = opened;
    log->db.sync_failed = &log->sync_failed;
    return SYNCLINE_OK;
}

void sl_peer_log_replace(struct sl_peer_log *log, struct sl_peer_log *fresh)
{
    sl_statements_fini(&fresh->statements);
    sl_peer_log_fini(log);
    log->db.handle = fresh->db.handle;
    log->sync_failed = false;
}

void sl_peer_log_fini(struct sl_peer_log *log)
{
    sl_statements_fini(&log->statements);
    sl_db_close(&log->db);
}

static enum syncline_status get(struct sl_peer_log *log, unsigned number, sqlite3_stmt **stmt,
                                struct sl_error *err)
{
    return sl_statement(&log->db, &log->statements, number, stmt, err);
}

static enum syncline_status run(struct sl_peer_log *log, unsigned number, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, number, &stmt, err);
    return status != SYNCLINE_OK ? status : sl_db_run(&log->db, stmt, err);
}

static void copy_text(char *out, size_t size, sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    (void)sqlite3_snprintf((int)size, out, "%s", text != NULL ? (const char *)text : "");
}

enum syncline_status sl_peer_log_identity(struct sl_peer_log *log,
                                          struct sl_library_identity *identity,
                                          struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        sl_db_prepare(&log->db,
                      "SELECT (SELECT value FROM meta WHERE key='library_id'),"
                      "(SELECT value FROM meta WHERE key='device_id'),"
                      "(SELECT value FROM meta WHERE key='epoch'),"
                      "(SELECT value FROM meta WHERE key='library_name'),"
                      "(SELECT value FROM meta WHERE key='device_name')",
                      false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    struct sl_library_identity read = {0};
    if (status == SYNCLINE_OK && (!row || !sl_column_uuid(stmt, 0, &read.library_id) ||
                                  !sl_column_uuid(stmt, 1, &read.device_id))) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "sync.db does not say what library it is of");
    }
    if (status == SYNCLINE_OK) {
        read.epoch = (uint64_t)sqlite3_column_int64(stmt, 2);
        copy_text(read.library_name, sizeof(read.library_name), stmt, 3);
        copy_text(read.device_name, sizeof(read.device_name), stmt, 4);
        *identity = read;
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_peer_log_begin_epoch(struct sl_peer_log *log, const struct sl_origin *old,
                                             uint64_t epoch, bool keep_drained,
                                             struct sl_error *err)
{
    const char *const texts[] = {
        "UPDATE meta SET value=?1 WHERE key='epoch'",
        "UPDATE set_aside SET epoch=?1 WHERE device=?2 AND epoch=?3 AND seq=0",
        keep_drained ? "UPDATE drained SET seq=0 WHERE ?1>0" : "DELETE FROM drained WHERE ?1>0",
    };
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == SYNCLINE_OK; i++) {
        sqlite3_stmt *stmt = NULL;
        status = sl_db_prepare(&log->db, texts[i], false, &stmt, err);
        if (status == SYNCLINE_OK) {
            (void)sqlite3_bind_int64(stmt, 1, (int64_t)epoch);
            if (sqlite3_bind_parameter_count(stmt) == 3) {
                sl_bind_uuid(stmt, 2, &old->device);
                (void)sqlite3_bind_int64(stmt, 3, (int64_t)old->epoch);
            }
            status = sl_db_run(&log->db, stmt, err);
        }
        (void)sqlite3_finalize(stmt);
    }
    return status;
}

enum syncline_status sl_peer_log_place(struct sl_peer_log *log, char place[SL_PLACE_SIZE],
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    place[0] = '\0';
    enum syncline_status status =
        sl_db_prepare(&log->db, "SELECT value FROM meta WHERE key='place'", false, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&log->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK && row) {
        const unsigned char *text = sqlite3_column_text(stmt, 0);
        (void)snprintf(place, SL_PLACE_SIZE, "%s", text != NULL ? (const char *)text : "");
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_peer_log_set_place(struct sl_peer_log *log, const char *place,
                                           struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = sl_db_prepare(
        &log->db, "INSERT OR REPLACE INTO meta VALUES('place',?1)", false, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_text(stmt, 1, place, -1, SQLITE_STATIC);
        status = sl_db_run(&log->db, stmt, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum syncline_status sl_peer_log_begin(struct sl_peer_log *log, struct sl_error *err)
{
    return run(log, BEGIN, err);
}

enum syncline_status sl_peer_log_commit(struct sl_peer_log *log, struct sl_error *err)
{
    return run(log, COMMIT, err);
}

void sl_peer_log_rollback(struct sl_peer_log *log)
{
    if (sqlite3_get_autocommit(log->db.handle) == 0) {
        (void)run(log, ROLLBACK, NULL);
    }
}

/* The number that a statement without arguments gives; untouched if it gives no row. */
static enum syncline_status one_number(struct sl_peer_log *log, unsigned which, int64_t *number,
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, which, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status == SYNCLINE_OK && row) {
        *number = sqlite3_column_int64(stmt, 0);
        sl_db_reset(stmt);
    }
    return status;
}

/* ---- Origins and segments ---- */

static bool column_hash(sqlite3_stmt *stmt, int column, uint8_t hash[SL_HASH_SIZE])
{
    const void *data = sqlite3_column_blob(stmt, column);
    if (data == NULL || sqlite3_column_bytes(stmt, column) != SL_HASH_SIZE) {
        return false;
    }
    memcpy(hash, data, SL_HASH_SIZE);
    return true;
}

enum syncline_status sl_peer_log_head(struct sl_peer_log *log, int64_t after_number, bool *found,
                                      struct sl_log_head *head, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, HEAD, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, after_number);
    status = sl_db_row(&log->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    head->number = sqlite3_column_int64(stmt, 0);
    head->origin.epoch = (uint64_t)sqlite3_column_int64(stmt, 2);
    head->held_seq = (uint64_t)sqlite3_column_int64(stmt, 3);
    head->last_hlc = (uint64_t)sqlite3_column_int64(stmt, 5);
    if (!sl_column_uuid(stmt, 1, &head->origin.device) || !column_hash(stmt, 4, head->held_hash)) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: origin %lld is damaged",
                         (long long)head->number);
    }
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_peer_log_add_origin(struct sl_peer_log *log, struct sl_log_head *head,
                                            struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, ORIGIN_ADD, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &head->origin.device);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)head->origin.epoch);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)head->held_seq);
    (void)sqlite3_bind_blob(stmt, 4, head->held_hash, SL_HASH_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 5, (int64_t)head->last_hlc);
    status = sl_db_run(&log->db, stmt, err);
    if (status == SYNCLINE_OK) {
        head->number = sqlite3_last_insert_rowid(log->db.handle);
    }
    return status;
}

enum syncline_status sl_peer_log_append(struct sl_peer_log *log, const struct sl_log_head *head,
                                        const void *data, size_t size, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, SEGMENT_ADD, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, head->number);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)head->held_seq);
    (void)sqlite3_bind_blob(stmt, 3, head->held_hash, SL_HASH_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_blob64(stmt, 4, data, size, SQLITE_STATIC);
    status = sl_db_run(&log->db, stmt, err);
    if (status == SYNCLINE_OK) {
        status = get(log, ORIGIN_MOVE, &stmt, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, head->number);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)head->held_seq);
    (void)sqlite3_bind_blob(stmt, 3, head->held_hash, SL_HASH_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)head->last_hlc);
    return sl_db_run(&log->db, stmt, err);
}

/* What was asked for lies below the floor. */
static enum syncline_status fail_pruned(uint64_t seq, uint64_t floor_seq, struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_EPRUNED,
                   "sync.db: the log was pruned up to %llu, and %llu is asked for",
                   (unsigned long long)floor_seq, (unsigned long long)seq);
}

enum syncline_status sl_peer_log_segment(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                         bool *found, const uint8_t **data, size_t *size,
                                         struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, SEGMENT_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_db_reset(stmt); /* the caller is done with the segment before */
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t floor_seq = row ? (uint64_t)sqlite3_column_int64(stmt, 1) : 0;
    if (row && floor_seq > 0 && seq <= floor_seq) {
        sl_db_reset(stmt);
        return fail_pruned(seq, floor_seq, err);
    }
    *found = row && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
    if (!*found) {
        sl_db_reset(stmt);
        return SYNCLINE_OK;
    }
    *data = sqlite3_column_blob(stmt, 0);
    *size = (size_t)sqlite3_column_bytes(stmt, 0);
    return *data != NULL ? SYNCLINE_OK
                         : sl_fail(err, SYNCLINE_ENOMEM, "sync.db: no memory for a segment");
}

void sl_peer_log_done(struct sl_peer_log *log)
{
    sl_db_reset(log->statements.stmt[SEGMENT_GET]);
    sl_db_reset(log->statements.stmt[BIRTHS_GET]);
}

enum syncline_status sl_peer_log_births(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                        bool *found, const uint8_t **data, size_t *size,
                                        struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    struct sl_segment segment;
    enum syncline_status status = get(log, BIRTHS_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_db_reset(stmt);
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    status = sl_db_row(&log->db, stmt, &row, err);
    *found = false;
    if (status != SYNCLINE_OK || !row) {
        return status;
    }
    const uint8_t *bytes = sqlite3_column_blob(stmt, 0);
    size_t len = (size_t)sqlite3_column_bytes(stmt, 0);
    status = bytes != NULL ? sl_segment_parse(&segment, bytes, len, err)
                           : sl_fail(err, SYNCLINE_ENOMEM, "sync.db: no memory for a segment");
    if (status == SYNCLINE_OK && segment.first_seq <= seq) {
        *found = true;
        *data = bytes;
        *size = len;
        return SYNCLINE_OK;
    }
    sl_db_reset(stmt); /* the one that held it was not kept */
    return status == SYNCLINE_OK ? status : sl_fail_prefix(err, SYNCLINE_ECORRUPT, "sync.db");
}

enum syncline_status sl_peer_log_next(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                      uint64_t *next, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status = get(log, BIRTHS_NEXT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        *next = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : seq + 1;
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_peer_log_hash_at(struct sl_peer_log *log, int64_t origin, uint64_t last_seq,
                                         bool *found, uint8_t hash[SL_HASH_SIZE],
                                         struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, SEGMENT_HASH, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)last_seq);
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t floor_seq = row ? (uint64_t)sqlite3_column_int64(stmt, 1) : 0;
    if (last_seq < floor_seq) {
        sl_db_reset(stmt);
        return fail_pruned(last_seq, floor_seq, err);
    }
    *found = row && column_hash(stmt, 0, hash);
    sl_db_reset(stmt);
    return SYNCLINE_OK;
}

enum syncline_status sl_fork_put(struct sl_peer_log *log, const struct sl_log_head *head,
                                 const void *data, size_t size, uint64_t wall_ms,
                                 struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, FORK_PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, head->number);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)head->held_seq);
    (void)sqlite3_bind_blob(stmt, 3, head->held_hash, SL_HASH_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_blob64(stmt, 4, data, size, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 5, (int64_t)wall_ms);
    return sl_db_run(&log->db, stmt, err);
}

enum syncline_status sl_fork_find(struct sl_peer_log *log, int64_t origin, bool *found,
                                  uint64_t *at_ms, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, FORK_FIND, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, origin);
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        *found = row;
        *at_ms = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_peer_log_size_after(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                            uint64_t *bytes, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, SEGMENT_SIZES, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, origin);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status == SYNCLINE_OK) {
        *bytes = row ? (uint64_t)sqlite3_column_double(stmt, 0) : 0;
        sl_db_reset(stmt);
    }
    return status;
}

/* ---- Drained outbox rows ---- */

enum syncline_status sl_drained_put(struct sl_peer_log *log, const struct sl_drained *drained,
                                    struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, DRAINED_PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, drained->id);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)drained->token);
    (void)sqlite3_bind_int64(stmt, 3, drained->changes);
    (void)sqlite3_bind_int64(stmt, 4, drained->complete ? 1 : 0);
    (void)sqlite3_bind_int64(stmt, 5, (int64_t)drained->seq);
    return sl_db_run(&log->db, stmt, err);
}

/* The first five columns of a query. */
static struct sl_drained drained_row(sqlite3_stmt *stmt)
{
    return (struct sl_drained){.id = sqlite3_column_int64(stmt, 0),
                               .token = (uint64_t)sqlite3_column_int64(stmt, 1),
                               .changes = (uint32_t)sqlite3_column_int64(stmt, 2),
                               .complete = sqlite3_column_int(stmt, 3) != 0,
                               .seq = (uint64_t)sqlite3_column_int64(stmt, 4)};
}

enum syncline_status sl_drained_newest(struct sl_peer_log *log, bool *found,
                                       struct sl_drained *drained, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, DRAINED_NEWEST, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_db_row(&log->db, stmt, found, err);
    if (status == SYNCLINE_OK && *found) {
        *drained = drained_row(stmt);
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_drained_find(struct sl_peer_log *log, int64_t id,
                                     struct sl_drained_look *look, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, DRAINED_FIND, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status == SYNCLINE_OK && row) {
        look->found = sqlite3_column_type(stmt, 0) != SQLITE_NULL;
        look->row = drained_row(stmt);
        look->newest = sqlite3_column_int64(stmt, 5); /* NULL reads as 0 */
        look->kept_from = sqlite3_column_int64(stmt, 6);
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_drained_count(struct sl_peer_log *log, uint64_t *count,
                                      struct sl_error *err)
{
    int64_t number = 0;
    enum syncline_status status = one_number(log, DRAINED_COUNT, &number, err);
    if (status == SYNCLINE_OK) {
        *count = (uint64_t)number;
    }
    return status;
}

enum syncline_status sl_drained_prune(struct sl_peer_log *log, uint32_t keep, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, DRAINED_KEPT_FROM, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)keep - 1);
    status = sl_db_run(&log->db, stmt, err);
    return status == SYNCLINE_OK ? run(log, DRAINED_PRUNE, err) : status;
}

enum syncline_status sl_drained_remove_above(struct sl_peer_log *log, int64_t id,
                                             struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, DRAINED_REMOVE_ABOVE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    return sl_db_run(&log->db, stmt, err);
}

/* ---- Members ---- */

enum syncline_status sl_member_put(struct sl_peer_log *log, const struct sl_member *member,
                                   struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, MEMBER_PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &member->device);
    (void)sqlite3_bind_blob(stmt, 2, member->public_key, SL_LOG_KEY_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 3, member->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)member->acked_seq);
    (void)sqlite3_bind_int64(stmt, 5, (int64_t)member->applied_seq);
    (void)sqlite3_bind_int64(stmt, 6, (int64_t)member->announced_seq);
    sl_bind_uuid(stmt, 7, &member->introduced_by);
    (void)sqlite3_bind_int(stmt, 8, (int)member->standing);
    return sl_db_run(&log->db, stmt, err);
}

enum syncline_status sl_member_put_statement(struct sl_peer_log *log,
                                             const struct syncline_uuid *device, const void *data,
                                             size_t size, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, STATEMENT_PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, device);
    (void)sqlite3_bind_blob64(stmt, 2, data, size, SQLITE_STATIC);
    return sl_db_run(&log->db, stmt, err);
}

enum syncline_status sl_member_statement(struct sl_peer_log *log,
                                         const struct syncline_uuid *device, struct sl_buf *data,
                                         struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, STATEMENT_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, device);
    bool row = false;
    status = sl_db_row(&log->db, stmt, &row, err);
    if (status != SYNCLINE_OK || !row) {
        return status;
    }
    sl_buf_bytes(data, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
    sl_db_reset(stmt);
    return data->failed ? sl_fail(err, SYNCLINE_ENOMEM, "no memory for a statement") : SYNCLINE_OK;
}

static enum syncline_status get_member(struct sl_peer_log *log, size_t index, bool any, bool *found,
                                       struct sl_member *member, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, MEMBER_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)index);
    (void)sqlite3_bind_int(stmt, 2, any ? 1 : 0);
    status = sl_db_row(&log->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    if (!sl_column_uuid(stmt, 0, &member->device) || !column_hash(stmt, 1, member->public_key) ||
        !sl_column_uuid(stmt, 6, &member->introduced_by)) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: member %zu is damaged", index);
    }
    copy_text(member->name, sizeof(member->name), stmt, 2);
    member->acked_seq = (uint64_t)sqlite3_column_int64(stmt, 3);
    member->applied_seq = (uint64_t)sqlite3_column_int64(stmt, 4);
    member->announced_seq = (uint64_t)sqlite3_column_int64(stmt, 5);
    member->standing = (enum sl_member_standing)sqlite3_column_int(stmt, 7);
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_member_get(struct sl_peer_log *log, size_t index, bool *found,
                                   struct sl_member *member, struct sl_error *err)
{
    return get_member(log, index, false, found, member, err);
}

enum syncline_status sl_member_get_any(struct sl_peer_log *log, size_t index, bool *found,
                                       struct sl_member *member, struct sl_error *err)
{
    return get_member(log, index, true, found, member, err);
}

_Static_assert(SL_LOG_KEY_SIZE == SL_HASH_SIZE, "column_hash reads keys too");

enum syncline_status sl_member_text(struct sl_peer_log *log, const struct syncline_uuid *device,
                                    char text[SL_DEVICE_TEXT_SIZE], struct sl_error *err)
{
    struct sl_member member;
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    (void)sqlite3_snprintf(SL_DEVICE_TEXT_SIZE, text, "device %02x%02x%02x%02x", device->bytes[0],
                           device->bytes[1], device->bytes[2], device->bytes[3]);
    for (size_t i = 0; status == SYNCLINE_OK && found; i++) {
        status = sl_member_get_any(log, i, &found, &member, err);
        if (status == SYNCLINE_OK && found && sl_uuid_equal(&member.device, device)) {
            (void)sqlite3_snprintf(SL_DEVICE_TEXT_SIZE, text, "\"%s\"", member.name);
            break;
        }
    }
    return status;
}

/* ---- Records set aside ---- */

enum syncline_status sl_set_aside_put(struct sl_peer_log *log, const struct sl_set_aside *record,
                                      uint64_t wall_ms, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, ASIDE_PUT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &record->origin.device);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)record->origin.epoch);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)record->seq);
    (void)sqlite3_bind_text(stmt, 4, record->model, -1, SQLITE_STATIC);
    sl_bind_uuid(stmt, 5, &record->uuid);
    (void)sqlite3_bind_text(stmt, 6, record->reason, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 7, (int64_t)wall_ms);
    return sl_db_run(&log->db, stmt, err);
}

enum syncline_status sl_set_aside_remove(struct sl_peer_log *log, const struct sl_origin *origin,
                                         uint64_t seq, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, ASIDE_REMOVE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, &origin->device);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)origin->epoch);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)seq);
    return sl_db_run(&log->db, stmt, err);
}

/* A statement about a record that could not be sent. */
static enum syncline_status unsent(struct sl_peer_log *log, unsigned number,
                                   const struct sl_origin *origin, const char *model,
                                   const struct syncline_uuid *uuid, sqlite3_stmt **stmt,
                                   struct sl_error *err)
{
    enum syncline_status status = get(log, number, stmt, err);
    if (status == SYNCLINE_OK) {
        sl_bind_uuid(*stmt, 1, &origin->device);
        (void)sqlite3_bind_int64(*stmt, 2, (int64_t)origin->epoch);
        (void)sqlite3_bind_text(*stmt, 3, model, -1, SQLITE_STATIC);
        sl_bind_uuid(*stmt, 4, uuid);
    }
    return status;
}

enum syncline_status sl_set_aside_remove_record(struct sl_peer_log *log,
                                                const struct sl_origin *origin, const char *model,
                                                const struct syncline_uuid *uuid,
                                                struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = unsent(log, ASIDE_REMOVE_RECORD, origin, model, uuid, &stmt, err);
    return status == SYNCLINE_OK ? sl_db_run(&log->db, stmt, err) : status;
}

enum syncline_status sl_set_aside_find(struct sl_peer_log *log, const struct sl_origin *origin,
                                       const char *model, const struct syncline_uuid *uuid,
                                       bool *found, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = unsent(log, ASIDE_FIND, origin, model, uuid, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(&log->db, stmt, found, err);
    }
    if (status == SYNCLINE_OK && *found) {
        sl_db_reset(stmt);
    }
    return status;
}

static enum syncline_status column_aside(sqlite3_stmt *stmt, struct sl_set_aside *record,
                                         struct sl_error *err)
{
    record->origin.epoch = (uint64_t)sqlite3_column_int64(stmt, 1);
    record->seq = (uint64_t)sqlite3_column_int64(stmt, 2);
    copy_text(record->model, sizeof(record->model), stmt, 3);
    copy_text(record->reason, sizeof(record->reason), stmt, 5);
    if (!sl_column_uuid(stmt, 0, &record->origin.device) ||
        !sl_column_uuid(stmt, 4, &record->uuid)) {
        return sl_fail(err, SYNCLINE_ECORRUPT, "sync.db: a record set aside is damaged");
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_set_aside_get(struct sl_peer_log *log, size_t index, bool *found,
                                      struct sl_set_aside *record, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, ASIDE_GET, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)index);
    status = sl_db_row(&log->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    status = column_aside(stmt, record, err);
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_set_aside_after(struct sl_peer_log *log, int64_t *number, bool *found,
                                        struct sl_set_aside *record, uint64_t *at_ms,
                                        struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(log, ASIDE_AFTER, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, *number);
    status = sl_db_row(&log->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    status = column_aside(stmt, record, err);
    if (status == SYNCLINE_OK) {
        *number = sqlite3_column_int64(stmt, 6);
        *at_ms = (uint64_t)sqlite3_column_int64(stmt, 7);
    }
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_set_aside_range(struct sl_peer_log *log, const char *model,
                                        const struct syncline_uuid *lo,
                                        const struct syncline_uuid *hi, struct sl_set_aside *list,
                                        size_t len_max, size_t *len, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    enum syncline_status status = get(log, ASIDE_RANGE, &stmt, err);
    *len = 0;
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_text(stmt, 1, model, -1, SQLITE_STATIC);
    sl_bind_uuid(stmt, 2, lo);
    sl_bind_uuid(stmt, 3, hi);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)len_max);
    while (status == SYNCLINE_OK && *len < len_max) {
        status = sl_db_row(&log->db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            return status;
        }
        status = column_aside(stmt, &list[*len], err);
        *len += status == SYNCLINE_OK ? 1 : 0;
    }
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_set_aside_last(struct sl_peer_log *log, int64_t *number,
                                       struct sl_error *err)
{
    return one_number(log, ASIDE_LAST, number, err);
}

enum syncline_status sl_set_aside_count(struct sl_peer_log *log, uint64_t *count,
                                        struct sl_error *err)
{
    int64_t number = 0;
    enum syncline_status status = one_number(log, ASIDE_COUNT, &number, err);
    if (status == SYNCLINE_OK) {
        *count = (uint64_t)number;
    }
    return status;
}
