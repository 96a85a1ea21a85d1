/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How much memory syncing takes: a process of its own inserts the rows, plainly or synced to a
 * device B, and its peak (VmHWM) in the one case is compared with that in the other. B's peak is
 * compared with what B had before the first row came. */

#include "bench/memory.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/two_devices.h"
#include "indexer/schema.h"

#define CHUNK_LEN 50000u /* rows made at once, so that they are not what is measured */
#define SYNCED "synced"
#define PLAIN "plain"

/* A field of /proc/PID/status, in bytes; 0 if it cannot be read. */
static uint64_t status_field(pid_t pid, const char *name)
{
    char path[64];
    char line[256];
    uint64_t kib = 0;
    (void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL) {
        size_t len = strlen(name);
        if (strncmp(line, name, len) == 0 && line[len] == ':') {
            kib = strtoull(line + len + 1, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib * 1024;
}

uint64_t bench_memory_now(pid_t pid)
{
    return status_field(pid, "VmRSS");
}

uint64_t bench_memory_peak(pid_t pid)
{
    return status_field(pid, "VmHWM");
}

/* ---- The process that is measured ---- */

static enum syncline_status insert_chunks(struct sqlite3 *db, struct syncline *lib,
                                          struct bench_rows *rows, size_t len,
                                          struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t done = 0; done < len && status == SYNCLINE_OK; done += rows->len) {
        struct bench_span span;
        status = bench_rows_renew(rows, err);
        if (status == SYNCLINE_OK) {
            status = bench_insert(db, lib, rows, &span, err);
        }
    }
    return status;
}

static enum syncline_status run_plain(struct bench_run *run, size_t len, struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct sqlite3 *db = NULL;
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &db, err);
    }
    if (status == SYNCLINE_OK) {
        status = insert_chunks(db, NULL, &run->rows, len, err);
    }
    indexer_db_close(db);
    return status;
}

static enum syncline_status run_synced(struct bench_run *run, size_t len, uint64_t *b_more,
                                       struct indexer_error *err)
{
    struct bench_two two;
    enum syncline_status status = bench_two_open(&two, run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t b_before = bench_memory_now(two.b.child.pid);
    status = insert_chunks(two.a.db, two.a.lib, &run->rows, len, err);
    if (status == SYNCLINE_OK) {
        status = syncline_flush(two.a.lib, SYNCLINE_LEVEL_APPLIED, BENCH_DEADLINE_MS, NULL);
        if (status != SYNCLINE_OK) {
            status =
                indexer_fail_sync(err, two.a.lib, status, "B does not say that all is applied");
        }
    }
    *b_more = bench_memory_peak(two.b.child.pid) - b_before;
    bench_two_close(&two);
    return status;
}

int bench_memory_main(const char *dir, const char *how, const char *rows)
{
    struct bench_run run = {.calls = 0};
    struct indexer_error err = {.text = ""};
    size_t len = strtoull(rows, NULL, 10);
    uint64_t b_more = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(run.folder.path, sizeof(run.folder.path), "%s", dir);
    enum syncline_status status =
        bench_rows_init(&run.rows, len < CHUNK_LEN ? len : CHUNK_LEN, &err);
    if (status == SYNCLINE_OK) {
        status = strcmp(how, SYNCED) == 0 ? run_synced(&run, len, &b_more, &err)
                                          : run_plain(&run, len, &err);
        bench_rows_fini(&run.rows);
    }
    if (status == SYNCLINE_OK) {
        printf("peak %" PRIu64 " %" PRIu64 "\n", bench_memory_peak(getpid()), b_more);
    } else {
        printf("error %s\n", err.text);
    }
    return fflush(stdout) == 0 && status == SYNCLINE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Measuring it ---- */

static enum syncline_status measure(struct bench_run *run, const char *how,
                                    double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    char self[] = BENCH_SELF;
    char option[] = BENCH_MEMORY_OPTION;
    char dir[BENCH_PATH_SIZE];
    char how_arg[16];
    char rows[24];
    struct bench_child child;
    uint64_t peak = 0;
    uint64_t b_more = 0;
    (void)snprintf(how_arg, sizeof(how_arg), "%s", how);
    (void)snprintf(rows, sizeof(rows), "%zu", run->rows.len);
    char *argv[] = {self, option, dir, how_arg, rows, NULL};
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = bench_child_start(&child, "the measured process", argv, NULL, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_child_hear(&child, err);
    if (status == SYNCLINE_OK &&
        sscanf(child.line, "peak %" SCNu64 " %" SCNu64, &peak, &b_more) != 2) {
        status = indexer_fail(err, SYNCLINE_EPROTO, "the measured process said '%s'", child.line);
    }
    (void)bench_child_stop(&child, SIGTERM); /* in case that it is not at its end */
    values[0] = (double)peak;
    values[1] = (double)b_more;
    return status;
}

enum syncline_status bench_measure_memory(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err)
{
    return measure(run, SYNCED, values, err);
}

enum syncline_status bench_measure_plain_memory(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err)
{
    return measure(run, PLAIN, values, err);
}
