/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Another process that is told lines on its standard input and answers in lines on its output. */

#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "indexer/error.h"

#define BENCH_SELF "/proc/self/exe" /* this program again */
#define BENCH_LINE_SIZE 512u

struct bench_child {
    const char *name;           /* for error texts */
    pid_t pid;                  /* 0: none */
    int to;                     /* its input; -1 if closed */
    int from;                   /* its output */
    char line[BENCH_LINE_SIZE]; /* the last one heard, NUL-terminated */
    char buffer[BENCH_LINE_SIZE];
    size_t buffer_len; /* read and not heard yet */
};

/* Starts the program argv[0] (a path). log: where its standard error goes; NULL: to ours. On
 * failure there is nothing to stop. Errors: ENOMEM (no process), ENOTFOUND (no such program), EIO.
 */
SYNCLINE_MUST_USE enum syncline_status bench_child_start(struct bench_child *child,
                                                         const char *name, char *const argv[],
                                                         const char *log,
                                                         struct indexer_error *err);
/* Errors: ENET (it does not listen any more). */
SYNCLINE_MUST_USE enum syncline_status bench_child_say(struct bench_child *child, const char *text,
                                                       size_t len, struct indexer_error *err);
/* Waits for its next line. Errors: ENET (it ended), TIMEOUT, ECLOSED (interrupted). */
SYNCLINE_MUST_USE enum syncline_status bench_child_hear(struct bench_child *child,
                                                        struct indexer_error *err);
/* Closes its input, sends the signal unless it is 0, and waits until the process has ended; kills
 * it when it takes too long. Returns its exit code, or -1 if it did not end by itself. */
int bench_child_stop(struct bench_child *child, int signal_number);

#endif
