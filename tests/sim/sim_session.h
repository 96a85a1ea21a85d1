/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One application's connection to library.db: its statements, its transaction, and what becomes of
 * that. The application's own SQL never meets an injected fault but at COMMIT, and there it does
 * what an application must: it rolls back, and asks later whether the commit is there. */

#ifndef SL_SIM_SESSION_H
#define SL_SIM_SESSION_H

#include "tests/sim/sim_ledger.h"

#define SL_SIM_SAVEPOINTS_MAX 4u

enum sl_sim_session_state { SL_SIM_IDLE, SL_SIM_READING, SL_SIM_WRITING };

struct sl_sim_statements {
    struct sqlite3_stmt *insert;
    struct sqlite3_stmt *update;
    struct sqlite3_stmt *delete;
    struct sqlite3_stmt *count;
    struct sqlite3_stmt *page;
    struct sqlite3_stmt *find;
};

struct sl_sim_session {
    struct sl_sim_device *device;
    bool is_engine;     /* captures through the engine's handle, else through the capturing one */
    struct sqlite3 *db; /* NULL: its process does not run */
    bool is_attached;   /* to the handle that it captures through */
    struct sl_sim_statements statements[SL_SIM_MODELS_MAX];
    enum sl_sim_session_state state;
    uint32_t tx;           /* the open transaction's number */
    struct sl_sim_op *ops; /* of the open transaction */
    size_t ops_len;
    size_t savepoints[SL_SIM_SAVEPOINTS_MAX]; /* ops_len at each */
    unsigned savepoints_len;
};

void sl_sim_session_open(struct sl_sim_session *session, struct sl_sim_device *device,
                         bool is_engine);
/* Nothing may be attached any more. An open transaction ends with its process: whether it is there
 * is not known. */
void sl_sim_session_close(struct sl_sim_session *session, struct sl_sim_ledger *ledger);

/* Prepared when first needed: most runs use few of them. */
struct sqlite3_stmt *sl_sim_session_statement(struct sl_sim_session *session,
                                              struct sqlite3_stmt **slot, const char *sql);
/* Notes a failure with the connection's error. */
void sl_sim_session_failed(struct sl_sim_session *session, const char *what);

/* Begins a transaction that writes. False: it could not. */
bool sl_sim_session_begin(struct sl_sim_session *session, struct sl_sim_ledger *ledger);
/* True: what it held is committed. Else it is undone, or nobody knows yet. */
bool sl_sim_session_commit(struct sl_sim_session *session, struct sl_sim_ledger *ledger);
void sl_sim_session_rollback(struct sl_sim_session *session, struct sl_sim_ledger *ledger);
/* A transaction that only reads. */
void sl_sim_session_read(struct sl_sim_session *session);
void sl_sim_session_read_end(struct sl_sim_session *session);

/* Adds changes to the open transaction. */
void sl_sim_session_add(struct sl_sim_session *session, const struct sl_sim_op *ops, size_t len);
/* Sets a savepoint; rolls back to one, drawn; releases one. True: done. */
bool sl_sim_session_savepoint(struct sl_sim_session *session);
bool sl_sim_session_rollback_to(struct sl_sim_session *session, struct sl_sim_ledger *ledger);
bool sl_sim_session_release(struct sl_sim_session *session);

/* When the device's transactions are looked for: what that says of one that is not there. */
enum sl_sim_look {
    SL_SIM_LOOK_RUNNING, /* of one whose COMMIT failed nothing yet: its frames may stand in the WAL
                            behind the last commit, and be one after a crash */
    SL_SIM_LOOK_AFTER_CRASH, /* it is gone for good; committed ones are asked for, too */
    SL_SIM_LOOK_LAST         /* no crash will come: it is gone for good */
};

/* Looks which of the device's transactions are there: of those that are not known. Nobody may be
 * writing. */
void sl_sim_session_settle(struct sl_sim_session *session, struct sl_sim_ledger *ledger,
                           enum sl_sim_look look);

#endif
