/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/device.h"
#include "bench/receiver.h"
#include "bench/watch.h"

/* Has A closed its end? Then nobody waits for the answer. */
static bool input_ended(void *ctx)
{
    struct pollfd entry = {.fd = STDIN_FILENO, .events = 0};
    (void)ctx;
    return poll(&entry, 1, 0) != 0;
}

static int say_error(const struct indexer_error *err)
{
    printf("error %s\n", err->text);
    (void)fflush(stdout);
    return 1;
}

static bool parse_uuid(const char *text, struct syncline_uuid *uuid)
{
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        unsigned byte = 0;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        uuid->bytes[i] = (uint8_t)byte;
    }
    return true;
}

/* What B has besides its library. */
struct receiver {
    struct bench_device *device;
    struct bench_watch watch;
    struct bench_app_writer writer;
    bool writes; /* the writer is started */
};

static enum syncline_status await(struct receiver *receiver, const char *line,
                                  struct indexer_error *err)
{
    struct bench_watch *watch = &receiver->watch;
    struct syncline_uuid uuid;
    struct bench_content content = {0};
    uint64_t seen_ns = 0;
    unsigned table = BENCH_TABLES;
    if (sscanf(line, "await %1u ", &table) != 1 || table >= BENCH_TABLES ||
        strlen(line) < 8 + 2 * sizeof(uuid.bytes) || !parse_uuid(line + 8, &uuid)) {
        return indexer_fail(err, SYNCLINE_EPROTO, "a line that is not understood");
    }
    printf("armed\n");
    (void)fflush(stdout);
    enum syncline_status status =
        bench_watch_wait(watch, (enum bench_table)table, &uuid, input_ended, NULL, &seen_ns, err);
    if (status == SYNCLINE_OK) {
        status = bench_content_read(watch->db, &content, err);
    }
    if (status == SYNCLINE_OK) {
        printf("seen %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", seen_ns,
               content.count, content.sizes, content.names, content.roots);
    }
    return status;
}

static enum syncline_status start_writer(struct receiver *receiver, struct indexer_error *err)
{
    enum syncline_status status =
        bench_app_writer_start(&receiver->writer, receiver->device->dir, err);
    receiver->writes = status == SYNCLINE_OK;
    if (status == SYNCLINE_OK) {
        printf("writing\n");
    }
    return status;
}

static enum syncline_status stop_writer(struct receiver *receiver, struct indexer_error *err)
{
    struct bench_app_times times = {0};
    receiver->writes = false;
    enum syncline_status status = bench_app_writer_stop(&receiver->writer, &times, err);
    if (status == SYNCLINE_OK) {
        printf("wrote %.0f %.0f %.0f\n", times.p50, times.p99, times.max);
    }
    return status;
}

static enum syncline_status answer(struct receiver *receiver, const char *line,
                                   struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (strcmp(line, "write\n") == 0 && !receiver->writes) {
        status = start_writer(receiver, err);
    } else if (strcmp(line, "stop\n") == 0 && receiver->writes) {
        status = stop_writer(receiver, err);
    } else {
        status = await(receiver, line, err);
    }
    (void)fflush(stdout);
    return status;
}

static enum syncline_status serve(struct bench_device *device, struct indexer_error *err)
{
    struct receiver receiver = {.device = device};
    struct bench_app_times times;
    char line[128];
    enum syncline_status status = bench_device_wait_link(device, err);
    if (status == SYNCLINE_OK) {
        status = bench_watch_init(&receiver.watch, device->dir, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    printf("ready\n");
    (void)fflush(stdout);
    while (status == SYNCLINE_OK && fgets(line, sizeof(line), stdin) != NULL) {
        status = answer(&receiver, line, err);
    }
    if (receiver.writes) {
        enum syncline_status ended = bench_app_writer_stop(&receiver.writer, &times, err);
        status = status == SYNCLINE_OK ? ended : status;
    }
    bench_watch_fini(&receiver.watch);
    return status;
}

int bench_receiver_main(const char *dir, const char *address)
{
    struct indexer_error err = {.text = ""};
    struct bench_device device;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    enum syncline_status status = bench_device_make(&device, dir, address, &err);
    if (status != SYNCLINE_OK) {
        return say_error(&err);
    }
    status = bench_device_open(&device, address, &err);
    if (status == SYNCLINE_OK) {
        status = serve(&device, &err);
    }
    bench_device_close(&device);
    return status == SYNCLINE_OK || status == SYNCLINE_ECLOSED ? 0 : say_error(&err);
}
