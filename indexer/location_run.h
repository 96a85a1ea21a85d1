/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One run over a location: what adding, scanning again and removing have in common - the lock, the
 * figures, and how a failure is told. The caller's thread; blocks on the disk. */

#ifndef INDEXER_LOCATION_RUN_H
#define INDEXER_LOCATION_RUN_H

#include "indexer/location_manager.h"

struct indexer_removal;

struct indexer_location_run {
    struct syncline *lib;                           /* NULL: no syncing */
    struct sqlite3 *db;                             /* the caller's */
    const char *path;                               /* the location's; absolute, without links */
    const char *dir;                                /* the library's; NULL: it is in memory */
    const struct indexer_location_options *options; /* the caller's */
    struct indexer_location_stats *stats;           /* the caller's */
    struct indexer_error *err;                      /* receives why the work failed */
    uint64_t started_ns;                            /* CLOCK_MONOTONIC */
};

/* What is done by a run. */
struct indexer_location_work {
    const char *done; /* "indexed": what a failure says was not */
    /* The path by which the location is known, to be freed. */
    enum syncline_status (*find_path)(const char *path, char **found, struct indexer_error *err);
    /* All between the lock and its release. */
    enum syncline_status (*work)(struct indexer_location_run *run);
};

/* Checks the options, locks the library for indexing, works, and fills in the time. Errors: EINVAL
 * (the batch size), those of find_path and of the work, EBUSY (another process indexes), EIO,
 * ENOSPC, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status
indexer_location_run(const struct indexer_location_work *work, struct syncline *lib,
                     struct sqlite3 *db, const char *path,
                     const struct indexer_location_options *options,
                     struct indexer_location_stats *stats, struct indexer_error *err);

/* ---- For the work ---- */

/* Counts a transaction that was committed, and reports it. */
void indexer_location_run_committed(struct indexer_location_run *run);
/* Was it asked to stop? */
bool indexer_location_run_is_stopped(const struct indexer_location_run *run);
/* Removes what the list holds, piece by piece, until that is done or the run is to stop; keeps the
 * figures. Errors: those of indexer_removal_step. */
SYNCLINE_MUST_USE enum syncline_status indexer_location_run_remove(struct indexer_location_run *run,
                                                                   struct indexer_removal *removal);

#endif
