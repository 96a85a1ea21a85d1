/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_session.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

void sl_sim_session_open(struct sl_sim_session *session, struct sl_sim_device *device,
                         bool is_engine)
{
    memset(session, 0, sizeof(*session));
    session->device = device;
    session->is_engine = is_engine;
    session->db = sl_sim_db_open(device);
    if (!device->syncs_commits) {
        (void)sl_sim_exec(device, session->db, "PRAGMA synchronous=NORMAL");
    }
}

void sl_sim_session_close(struct sl_sim_session *session, struct sl_sim_ledger *ledger)
{
    if (session->db == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SL_SIM_MODELS_MAX; i++) {
        const struct sl_sim_statements *statements = &session->statements[i];
        sqlite3_finalize(statements->insert);
        sqlite3_finalize(statements->update);
        sqlite3_finalize(statements->delete);
        sqlite3_finalize(statements->count);
        sqlite3_finalize(statements->page);
        sqlite3_finalize(statements->find);
    }
    if (session->state == SL_SIM_WRITING) {
        sl_sim_tx_end(ledger, session->tx, SL_SIM_OPEN, session->ops, session->ops_len);
    }
    if (sqlite3_close(session->db) != SQLITE_OK) {
        sl_sim_session_failed(session, "close");
    }
    free(session->ops);
    session->db = NULL;
    session->ops = NULL;
}

sqlite3_stmt *sl_sim_session_statement(struct sl_sim_session *session, sqlite3_stmt **slot,
                                       const char *sql)
{
    if (*slot == NULL) {
        *slot = sl_sim_prepare(session->db, sql);
    }
    return *slot;
}

void sl_sim_session_failed(struct sl_sim_session *session, const char *what)
{
    sl_sim_fail(session->device->world, SL_SIM_INVARIANT, "device %d: application: %s: %s",
                session->device->index, what, sqlite3_errmsg(session->db));
}

/* ---- Transactions ------------------------------------------------------------------------- */

bool sl_sim_session_begin(struct sl_sim_session *session, struct sl_sim_ledger *ledger)
{
    struct sl_sim_device *device = session->device;
    int rc = sqlite3_exec(session->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_BUSY && device->hits > 0) {
        return false; /* somebody could not even roll back: an application comes again later */
    }
    if (rc != SQLITE_OK) {
        sl_sim_session_failed(session, "begin");
        return false;
    }
    session->tx = sl_sim_tx_begin(ledger, device->index);
    session->ops_len = 0;
    session->savepoints_len = 0;
    session->state = SL_SIM_WRITING;
    char sql[64];
    snprintf(sql, sizeof(sql), "INSERT INTO sim_tx VALUES(%u)", session->tx);
    return sl_sim_exec(device, session->db, sql);
}

static void end(struct sl_sim_session *session, struct sl_sim_ledger *ledger,
                enum sl_sim_outcome outcome)
{
    struct sl_sim_world *world = session->device->world;
    sl_sim_tx_end(ledger, session->tx, outcome, session->ops, session->ops_len);
    sl_sim_trace_event(&world->trace, world->now_ns, session->device->index,
                       outcome == SL_SIM_COMMITTED       ? "commit"
                       : outcome == SL_SIM_UNDONE_BY_APP ? "rollback"
                                                         : "commit failed",
                       session->ops_len, 0, NULL, 0);
    session->ops_len = 0;
    session->savepoints_len = 0;
    session->state = SL_SIM_IDLE;
}

bool sl_sim_session_commit(struct sl_sim_session *session, struct sl_sim_ledger *ledger)
{
    struct sl_sim_device *device = session->device;
    uint64_t hits = sl_sim_expose(device);
    int rc = sqlite3_exec(session->db, "COMMIT", NULL, NULL, NULL);
    sl_sim_cover(device);
    if (rc == SQLITE_OK) {
        ledger->txs[session->tx - 1].is_synced = device->syncs_commits;
        end(session, ledger, SL_SIM_COMMITTED);
        return true;
    }
    if (device->hits == hits) {
        sl_sim_session_failed(session, "commit");
    }
    (void)sqlite3_exec(session->db, "ROLLBACK", NULL, NULL, NULL);
    end(session, ledger, SL_SIM_OPEN);
    return false;
}

void sl_sim_session_rollback(struct sl_sim_session *session, struct sl_sim_ledger *ledger)
{
    int rc = SQLITE_OK;
    if (sqlite3_get_autocommit(session->db) == 0) { /* an error may have rolled back already */
        rc = sqlite3_exec(session->db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK && !session->device->has_died) {
        sl_sim_session_failed(session, "rollback");
    }
    end(session, ledger, SL_SIM_UNDONE_BY_APP);
}

void sl_sim_session_read(struct sl_sim_session *session)
{
    if (sl_sim_exec(session->device, session->db, "BEGIN; SELECT count(*) FROM sqlite_schema")) {
        session->state = SL_SIM_READING;
    }
}

void sl_sim_session_read_end(struct sl_sim_session *session)
{
    if (sl_sim_exec(session->device, session->db, "COMMIT")) {
        session->state = SL_SIM_IDLE;
    }
}

void sl_sim_session_add(struct sl_sim_session *session, const struct sl_sim_op *ops, size_t len)
{
    size_t total = session->ops_len + len;
    session->ops = sl_sim_realloc(session->ops, (total > 0 ? total : 1) * sizeof(*ops));
    if (len > 0) {
        memcpy(session->ops + session->ops_len, ops, len * sizeof(*ops));
    }
    session->ops_len = total;
}

/* ---- Savepoints --------------------------------------------------------------------------- */

static bool savepoint_exec(struct sl_sim_session *session, const char *what, unsigned at)
{
    char sql[32];
    snprintf(sql, sizeof(sql), "%s s%u", what, at);
    return sl_sim_exec(session->device, session->db, sql);
}

static unsigned draw_savepoint(struct sl_sim_session *session)
{
    return (unsigned)sl_sim_random_below(&session->device->world->workload,
                                         session->savepoints_len);
}

bool sl_sim_session_savepoint(struct sl_sim_session *session)
{
    if (session->savepoints_len == SL_SIM_SAVEPOINTS_MAX ||
        !savepoint_exec(session, "SAVEPOINT", session->savepoints_len)) {
        return false;
    }
    session->savepoints[session->savepoints_len++] = session->ops_len;
    return true;
}

bool sl_sim_session_rollback_to(struct sl_sim_session *session, struct sl_sim_ledger *ledger)
{
    if (session->savepoints_len == 0) {
        return false;
    }
    unsigned at = draw_savepoint(session);
    if (!savepoint_exec(session, "ROLLBACK TO", at)) {
        return false;
    }
    size_t from = session->savepoints[at];
    sl_sim_ledger_undo(ledger, session->device->index, session->ops + from,
                       session->ops_len - from);
    session->ops_len = from;
    session->savepoints_len = at + 1;
    return true;
}

bool sl_sim_session_release(struct sl_sim_session *session)
{
    if (session->savepoints_len == 0) {
        return false;
    }
    unsigned at = draw_savepoint(session);
    if (!savepoint_exec(session, "RELEASE", at)) {
        return false;
    }
    session->savepoints_len = at;
    return true;
}

/* ---- What is there ------------------------------------------------------------------------ */

void sl_sim_session_settle(struct sl_sim_session *session, struct sl_sim_ledger *ledger,
                           enum sl_sim_look look)
{
    struct sl_sim_device *device = session->device;
    bool was_cut = look == SL_SIM_LOOK_AFTER_CRASH;
    sqlite3_stmt *stmt = NULL;
    for (uint32_t i = 0; i < ledger->txs_len && device->world->failures == 0; i++) {
        const struct sl_sim_tx *tx = &ledger->txs[i];
        bool is_open = tx->outcome == SL_SIM_OPEN && tx->ops != NULL;
        if (tx->device != device->index ||
            !(is_open || (was_cut && tx->outcome == SL_SIM_COMMITTED))) {
            continue;
        }
        if (stmt == NULL) {
            stmt = sl_sim_prepare(session->db, "SELECT 1 FROM sim_tx WHERE id=?1");
        }
        sqlite3_bind_int64(stmt, 1, i + 1);
        int rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
            sl_sim_session_failed(session, "asking for transactions");
        } else if (rc == SQLITE_DONE && tx->is_synced) {
            sl_sim_fail(device->world, SL_SIM_LOST,
                        "device %d: transaction %u was committed and synced, and is not there "
                        "after the power cut",
                        device->index, i + 1);
        } else if (rc == SQLITE_ROW || look != SL_SIM_LOOK_RUNNING) {
            sl_sim_tx_settle(ledger, i + 1, rc == SQLITE_ROW);
        }
    }
    sqlite3_finalize(stmt);
}
