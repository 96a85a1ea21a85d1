/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One run of the demonstration: two fresh libraries, device B serving, device A indexing a folder
 * with or without syncing, and the measurements; then the proof that both are equal.
 *
 * Thread: the main one. Calls return the exit code and have said on stderr what failed; no process
 * is left running when they return. */

#ifndef SL_CLI_DEMO_RUN_H
#define SL_CLI_DEMO_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct demo_run {
    const char *library_a; /* folders to be made; the caller removes them */
    const char *library_b;
    const char *path;  /* folder to index, absolute */
    bool synced;       /* else --plain */
    const char *label; /* which run this is, for the line of progress */

    uint64_t files;               /* results: regular files indexed */
    double index_ms;              /* from the start to the last commit on A */
    double first_visible_ms;      /* from the first commit on A to the first row in B's table */
    double visible_ms;            /* from the last commit on A to all rows in B's table */
    double wire_bytes_per_record; /* sent by A, frames included, per change of A */
};

/* Fills the results; of a plain run only files and index_ms. */
int demo_run_measure(struct demo_run *run);

/* After a synced run: compares both databases by plain SQL, B's with the folder itself, and the
 * digests of both. Says on stderr what differs. */
int demo_run_prove(const struct demo_run *run, bool *equal);

#endif
