/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* An open library as the commands use it: the handle of Syncline and the application's own
 * connection to library.db.
 *
 * Thread: the main one. Every call returns the exit code and has said on stderr what failed. */

#ifndef SL_CLI_SESSION_H
#define SL_CLI_SESSION_H

#include "cli/options.h"
#include "include/syncline.h"

struct sqlite3;

struct cli_session {
    struct syncline *lib;      /* ours */
    struct sqlite3 *db;        /* ours; library.db, by the rules for hosts */
    struct syncline_info info; /* as of the opening, or the last cli_session_info */
};

/* Opens the library of -L with all models of the indexer; listens and dials as the options say.
 * Makes tables that a crash while the library was made has left out. */
int cli_session_open(const struct cli_options *options, enum syncline_role role,
                     struct cli_session *session);
void cli_session_close(struct cli_session *session);

/* The process that runs the engine of the library of -L; 0: nobody, or it cannot be asked, which is
 * not said. */
int64_t cli_session_engine(const struct cli_options *options);

/* Reads session->info anew. */
int cli_session_info(struct cli_session *session);

/* "insert", "update" or "delete". */
const char *cli_change_name(enum syncline_change change);

/* Makes the row of this device if it is not there. */
int cli_session_register(struct cli_session *session);

/* How much of `all` is missing in `done`; the two are read at different moments. */
uint64_t cli_missing(uint64_t all, uint64_t done);

/* Waits until what was committed here is in the log. With another process running the engine that
 * is its doing: gives up when the outbox has not shrunk for CLI_STALL_MS. */
#define CLI_STALL_MS 60000
int cli_session_flush(struct cli_session *session);

/* Waits until all members have applied what was captured here, and what they announced is applied
 * here. timeout_ms < 0 waits for ever. Says what is left when the time is over. */
int cli_session_wait(struct cli_session *session, int64_t timeout_ms);

/* Waits until one member has applied what was captured here before the call; what the others have
 * is not asked. */
int cli_session_wait_for(struct cli_session *session, const struct syncline_uuid *member,
                         int64_t timeout_ms);

/* What options say about the network and the device, as the library takes it: where they say
 * nothing there is no network, but for commands that go by the settings then. Borrows `options`;
 * `error` receives texts. */
struct syncline_options cli_session_options(const struct cli_options *options, char *error,
                                            size_t error_size);

#endif
