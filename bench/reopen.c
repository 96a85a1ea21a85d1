/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How long opening takes after a kill: a process of its own inserts the rows, plainly or synced
 * into its log, is killed the moment that they are durable, and the library is opened again here.
 */

#include "bench/reopen.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/child.h"
#include "bench/clock.h"
#include "bench/device.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "indexer/schema.h"

#define CHUNK_LEN 50000u /* rows made at once */
#define SYNCED "synced"
#define PLAIN "plain"
#define DONE "done"

/* ---- The process that is killed ---- */

static enum syncline_status insert_all(struct bench_device *device, struct bench_rows *rows,
                                       size_t len, struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t done = 0; done < len && status == SYNCLINE_OK; done += rows->len) {
        struct bench_span span;
        status = bench_rows_renew(rows, err);
        if (status == SYNCLINE_OK) {
            status = bench_insert(device->db, device->lib, rows, &span, err);
        }
    }
    if (status == SYNCLINE_OK && device->lib != NULL) {
        status = syncline_flush(device->lib, SYNCLINE_LEVEL_DURABLE, BENCH_DEADLINE_MS, NULL);
        if (status != SYNCLINE_OK) {
            status = indexer_fail_sync(err, device->lib, status, "not all came into the log");
        }
    }
    return status;
}

int bench_reopen_main(const char *dir, const char *how, const char *rows_text)
{
    struct indexer_error err = {.text = ""};
    struct bench_rows rows;
    struct bench_device device;
    size_t len = strtoull(rows_text, NULL, 10);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    enum syncline_status status = bench_rows_init(&rows, len < CHUNK_LEN ? len : CHUNK_LEN, &err);
    if (status == SYNCLINE_OK) {
        status = bench_device_make(&device, dir, NULL, &err);
    }
    if (status == SYNCLINE_OK && strcmp(how, SYNCED) == 0) {
        status = bench_device_open(&device, NULL, &err);
    }
    if (status == SYNCLINE_OK) {
        status = insert_all(&device, &rows, len, &err);
    }
    if (status != SYNCLINE_OK) {
        printf("error %s\n", err.text);
        (void)fflush(stdout);
        return EXIT_FAILURE;
    }
    printf(DONE "\n");
    (void)fflush(stdout);
    for (;;) {
        (void)pause(); /* for the kill */
    }
}

/* ---- Measuring it ---- */

/* Rows, in a library in `dir`, whose process was killed. */
static enum syncline_status insert_and_kill(struct bench_run *run, const char *how,
                                            char dir[BENCH_PATH_SIZE], struct indexer_error *err)
{
    char self[] = BENCH_SELF;
    char option[] = BENCH_REOPEN_OPTION;
    char how_arg[16];
    char rows[24];
    struct bench_child child;
    (void)snprintf(how_arg, sizeof(how_arg), "%s", how);
    (void)snprintf(rows, sizeof(rows), "%zu", run->rows.len);
    char *argv[] = {self, option, dir, how_arg, rows, NULL};
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = bench_child_start(&child, "the process to be killed", argv, NULL, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_child_hear(&child, err);
    (void)bench_child_stop(&child, SIGKILL);
    if (status == SYNCLINE_OK && strcmp(child.line, DONE) != 0) {
        status =
            indexer_fail(err, SYNCLINE_EPROTO, "the process to be killed said '%s'", child.line);
    }
    return status;
}

enum syncline_status bench_measure_reopen(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err)
{
    struct bench_device device = {.dir = ""};
    enum syncline_status status = insert_and_kill(run, SYNCED, device.dir, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t start_ns = bench_now_ns();
    status = bench_device_open(&device, NULL, err);
    values[0] = (double)(bench_now_ns() - start_ns);
    struct syncline_info info = SYNCLINE_INFO_INIT;
    if (status == SYNCLINE_OK) {
        status = bench_device_info(&device, &info, err);
    }
    if (status == SYNCLINE_OK && info.own_seq < run->rows.len) {
        status = indexer_fail(err, SYNCLINE_ECORRUPT, "the log holds %llu changes after the kill",
                              (unsigned long long)info.own_seq);
    }
    bench_device_close(&device);
    return status;
}

enum syncline_status bench_measure_plain_reopen(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct sqlite3 *db = NULL;
    enum syncline_status status = insert_and_kill(run, PLAIN, dir, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t start_ns = bench_now_ns();
    status = indexer_db_open(dir, INDEXER_DB_CREATE, &db, err);
    values[0] = (double)(bench_now_ns() - start_ns);
    indexer_db_close(db);
    return status;
}
