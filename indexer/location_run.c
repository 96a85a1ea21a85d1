/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/location_run.h"

#include "indexer/library_lock.h"
#include "indexer/removal.h"
#include "indexer/schema.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_SIZE_MAX 65536u

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void indexer_location_run_committed(struct indexer_location_run *run)
{
    struct indexer_location_stats *stats = run->stats;
    stats->last_commit_ns = now_ns();
    if (stats->batches++ == 0)
        stats->first_commit_ns = stats->last_commit_ns;
    stats->total_ms = (stats->last_commit_ns - run->started_ns) / 1000000u;
    if (run->options->progress != NULL)
        run->options->progress(run->options->ctx, stats);
}

bool indexer_location_run_is_stopped(const struct indexer_location_run *run)
{
    const atomic_int *stop = run->options->stop;
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed) != 0;
}

enum syncline_status indexer_location_run_remove(struct indexer_location_run *run,
                                                 struct indexer_removal *removal)
{
    uint64_t count = 1;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && count > 0 && !run->stats->walk.stopped) {
        status = indexer_removal_step(removal, &count, run->err);
        run->stats->removed += count;
        run->stats->removing = removal->left;
        if (status == SYNCLINE_OK && count > 0)
            indexer_location_run_committed(run);
        run->stats->walk.stopped = indexer_location_run_is_stopped(run) && removal->left > 0;
    }
    return status;
}

enum syncline_status indexer_location_run(const struct indexer_location_work *work,
                                          struct syncline *lib, struct sqlite3 *db,
                                          const char *path,
                                          const struct indexer_location_options *options,
                                          struct indexer_location_stats *stats,
                                          struct indexer_error *err)
{
    struct indexer_error reason = {0};
    struct indexer_location_run run = {.lib = lib,
                                       .db = db,
                                       .options = options,
                                       .stats = stats,
                                       .err = &reason,
                                       .started_ns = now_ns()};
    char *found = NULL;
    *stats = (struct indexer_location_stats){0};
    if (options->batch_size > BATCH_SIZE_MAX)
        return indexer_fail(err, SYNCLINE_EINVAL, "a batch of %u rows is too large: use at most %u",
                            options->batch_size, BATCH_SIZE_MAX);
    enum syncline_status status = work->find_path(path, &found, err);
    if (status != SYNCLINE_OK)
        return status;
    char *dir = indexer_db_dir(db);
    int lock = -1;
    run.path = found;
    run.dir = dir;
    if (dir != NULL)
        status = indexer_library_lock(dir, &lock, &reason);
    if (status == SYNCLINE_OK)
        status = work->work(&run);
    if (lock >= 0)
        close(lock);
    stats->total_ms = (now_ns() - run.started_ns) / 1000000u;
    if (status != SYNCLINE_OK) {
        char name[512];
        indexer_fail(err, status, "%s was not %s: %s",
                     indexer_escape(name, sizeof(name), found, strlen(found)), work->done,
                     reason.text);
    }
    free(dir);
    free(found);
    return status;
}
