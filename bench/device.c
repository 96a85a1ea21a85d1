/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/device.h"

#include <stdio.h>
#include <string.h>

#include "bench/clock.h"
#include "bench/stop.h"
#include "indexer/models.h"
#include "indexer/schema.h"

#define LOOK_US 1000

static struct syncline_options options_of(char *text, size_t size)
{
    struct syncline_options options = SYNCLINE_OPTIONS_INIT;
    options.models = indexer_models;
    options.models_count = INDEXER_MODELS_COUNT;
    options.role = SYNCLINE_ROLE_ENGINE;
    options.insecure_loopback = true;
    options.error = text;
    options.error_size = size;
    return options;
}

enum syncline_status bench_device_make(struct bench_device *device, const char *dir,
                                       const char *member, struct indexer_error *err)
{
    char text[INDEXER_ERROR_SIZE / 2] = "";
    *device = (struct bench_device){.dir = ""};
    (void)snprintf(device->dir, sizeof(device->dir), "%s", dir);
    enum syncline_status status = indexer_db_open(dir, INDEXER_DB_CREATE, &device->db, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct syncline_options options = options_of(text, sizeof(text));
    options.device_name = member == NULL ? "A" : "B";
    status = member == NULL ? syncline_create(dir, "bench", &options)
                            : syncline_join(dir, member, &options);
    if (status == SYNCLINE_OK) {
        return SYNCLINE_OK;
    }
    bench_device_close(device);
    return indexer_fail(err, status, "no library can be made in %s: %s", dir, text);
}

enum syncline_status bench_device_open(struct bench_device *device, const char *peer,
                                       struct indexer_error *err)
{
    char text[INDEXER_ERROR_SIZE / 2] = "";
    struct syncline_options options = options_of(text, sizeof(text));
    options.listen = peer == NULL ? "127.0.0.1:0" : NULL;
    options.peers = &peer;
    options.peers_count = peer == NULL ? 0 : 1;
    enum syncline_status status = syncline_open(device->dir, &options, &device->lib);
    if (status != SYNCLINE_OK) {
        return indexer_fail(err, status, "the library cannot be opened: %s", text);
    }
    struct syncline_info info = SYNCLINE_INFO_INIT;
    status = bench_device_info(device, &info, err);
    if (status == SYNCLINE_OK) {
        memcpy(device->listen, info.listen, sizeof(device->listen));
    }
    return status;
}

enum syncline_status bench_device_serve(struct bench_device *device, struct bench_folder *folder,
                                        struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    enum syncline_status status = bench_folder_next(folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = bench_device_make(device, dir, NULL, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_device_open(device, NULL, err);
    if (status != SYNCLINE_OK) {
        bench_device_close(device);
    }
    return status;
}

void bench_device_close(struct bench_device *device)
{
    syncline_close(device->lib);
    indexer_db_close(device->db);
    *device = (struct bench_device){.dir = ""};
}

enum syncline_status bench_device_info(struct bench_device *device, struct syncline_info *info,
                                       struct indexer_error *err)
{
    enum syncline_status status = syncline_info(device->lib, info);
    return status == SYNCLINE_OK
               ? SYNCLINE_OK
               : indexer_fail_sync(err, device->lib, status, "the library cannot be looked at");
}

enum syncline_status bench_device_wait_link(struct bench_device *device, struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    for (;;) {
        struct syncline_info info = SYNCLINE_INFO_INIT;
        enum syncline_status status = bench_device_info(device, &info, err);
        if (status != SYNCLINE_OK || info.links > 0) {
            return status;
        }
        if (bench_stop_asked()) {
            return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
        }
        if ((double)(bench_now_ns() - start_ns) > BENCH_DEADLINE_MS * BENCH_NS_PER_MS) {
            return indexer_fail(err, SYNCLINE_TIMEOUT, "the devices did not connect in %d s",
                                BENCH_DEADLINE_MS / 1000);
        }
        bench_nap_us(LOOK_US);
    }
}
