/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Ctrl-C and kind: SIGINT, SIGTERM and SIGHUP set a flag and make a descriptor readable, so that
 * the main thread can end what it does in order. Signals belong to a whole process, so this is the
 * one thing here that is global.
 *
 * Thread: the main one; the flag may be read by any. */

#ifndef SL_CLI_STOP_H
#define SL_CLI_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

/* Takes the signals from now on, and ignores SIGPIPE. Returns the exit code. */
int cli_stop_watch(void);

/* Not 0 once a signal came. Lives for ever. */
const atomic_int *cli_stop_flag(void);
bool cli_stop_asked(void);
/* Readable once a signal came; -1 before cli_stop_watch. For poll only. */
int cli_stop_fd(void);
/* Waits for timeout_ms or a signal. Returns true if one came. */
bool cli_stop_wait(int timeout_ms);

#endif
