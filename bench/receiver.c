/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/receiver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/device.h"

static enum syncline_status hear(struct bench_receiver *receiver, struct indexer_error *err)
{
    enum syncline_status status = bench_child_hear(&receiver->child, err);
    if (status == SYNCLINE_OK && strncmp(receiver->child.line, "error ", 6) == 0) {
        return indexer_fail(err, SYNCLINE_ENET, "device B: %s", receiver->child.line + 6);
    }
    return status;
}

static enum syncline_status expect(struct bench_receiver *receiver, const char *word,
                                   struct indexer_error *err)
{
    enum syncline_status status = hear(receiver, err);
    if (status == SYNCLINE_OK && strcmp(receiver->child.line, word) != 0) {
        return indexer_fail(err, SYNCLINE_EPROTO, "device B said '%s' where '%s' was due",
                            receiver->child.line, word);
    }
    return status;
}

enum syncline_status bench_receiver_start(struct bench_receiver *receiver, const char *dir,
                                          const char *address, struct indexer_error *err)
{
    char self[] = BENCH_SELF;
    char option[] = BENCH_RECEIVER_OPTION;
    char dir_arg[BENCH_PATH_SIZE];
    char address_arg[BENCH_ADDRESS_SIZE];
    (void)snprintf(dir_arg, sizeof(dir_arg), "%s", dir);
    (void)snprintf(address_arg, sizeof(address_arg), "%s", address);
    char *argv[] = {self, option, dir_arg, address_arg, NULL};
    enum syncline_status status = bench_child_start(&receiver->child, "device B", argv, NULL, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = expect(receiver, "ready", err);
    if (status != SYNCLINE_OK) {
        bench_receiver_stop(receiver);
    }
    return status;
}

enum syncline_status bench_receiver_await(struct bench_receiver *receiver, enum bench_table table,
                                          const struct syncline_uuid *uuid,
                                          struct indexer_error *err)
{
    char line[64];
    char hex[BENCH_UUID_HEX_SIZE];
    int len = snprintf(line, sizeof(line), "await %d %s\n", (int)table, bench_uuid_hex(uuid, hex));
    enum syncline_status status = bench_child_say(&receiver->child, line, (size_t)len, err);
    return status == SYNCLINE_OK ? expect(receiver, "armed", err) : status;
}

enum syncline_status bench_receiver_seen(struct bench_receiver *receiver, uint64_t *seen_ns,
                                         struct bench_content *content, struct indexer_error *err)
{
    enum syncline_status status = hear(receiver, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (sscanf(receiver->child.line,
               "seen %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, seen_ns,
               &content->count, &content->sizes, &content->names, &content->roots) != 5) {
        return indexer_fail(err, SYNCLINE_EPROTO, "device B said '%s' where 'seen' was due",
                            receiver->child.line);
    }
    return SYNCLINE_OK;
}

enum syncline_status bench_receiver_write(struct bench_receiver *receiver,
                                          struct indexer_error *err)
{
    enum syncline_status status = bench_child_say(&receiver->child, "write\n", 6, err);
    return status == SYNCLINE_OK ? expect(receiver, "writing", err) : status;
}

enum syncline_status bench_receiver_written(struct bench_receiver *receiver,
                                            struct bench_app_times *times,
                                            struct indexer_error *err)
{
    enum syncline_status status = bench_child_say(&receiver->child, "stop\n", 5, err);
    if (status == SYNCLINE_OK) {
        status = hear(receiver, err);
    }
    if (status == SYNCLINE_OK && sscanf(receiver->child.line, "wrote %lf %lf %lf", &times->p50,
                                        &times->p99, &times->max) != 3) {
        status = indexer_fail(err, SYNCLINE_EPROTO, "device B said '%s' where 'wrote' was due",
                              receiver->child.line);
    }
    return status;
}

void bench_receiver_stop(struct bench_receiver *receiver)
{
    (void)bench_child_stop(&receiver->child, 0);
}
