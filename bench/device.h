/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One device in this process: a library, its handle, and the application's own connection. */

#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "bench/folder.h"

struct sqlite3;

#define BENCH_ADDRESS_SIZE 64u
#define BENCH_DEADLINE_MS 120000 /* for everything that is waited for */

struct bench_device {
    char dir[BENCH_PATH_SIZE];
    char listen[BENCH_ADDRESS_SIZE]; /* "" while not open */
    struct sqlite3 *db;              /* the application's connection */
    struct syncline *lib;            /* NULL while not open */
};

/* A new library in `dir`, or a further member of the one served at `member`. Opens the connection
 * and not the library. On failure there is nothing to close. */
SYNCLINE_MUST_USE enum syncline_status bench_device_make(struct bench_device *device,
                                                         const char *dir, const char *member,
                                                         struct indexer_error *err);
/* Starts the engine: serving on a free port of the loopback, or dialling `peer`. */
SYNCLINE_MUST_USE enum syncline_status
bench_device_open(struct bench_device *device, const char *peer, struct indexer_error *err);
/* Both, for the device that serves. */
SYNCLINE_MUST_USE enum syncline_status bench_device_serve(struct bench_device *device,
                                                          struct bench_folder *folder,
                                                          struct indexer_error *err);
void bench_device_close(struct bench_device *device);

/* Until another device is linked. Errors: TIMEOUT, ECLOSED (interrupted). */
SYNCLINE_MUST_USE enum syncline_status bench_device_wait_link(struct bench_device *device,
                                                              struct indexer_error *err);
SYNCLINE_MUST_USE enum syncline_status bench_device_info(struct bench_device *device,
                                                         struct syncline_info *info,
                                                         struct indexer_error *err);

#endif
