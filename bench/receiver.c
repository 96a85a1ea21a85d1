/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/stop.h"

#define SELF "/proc/self/exe"
#define LOOK_MS 100      /* between two looks whether the run is interrupted */
#define END_NS_MAX 10e9  /* how long B may take to end */
#define END_LOOK_US 1000 /* between two looks whether it has */

extern char **environ;

/* Spawns B with its ends of the pipes as standard input and output. */
static int spawn(pid_t *pid, const char *dir, const char *address, int in, int out)
{
    char name[] = "sl-bench";
    char option[] = BENCH_RECEIVER_OPTION;
    char dir_arg[BENCH_PATH_SIZE];
    char address_arg[BENCH_ADDRESS_SIZE];
    (void)snprintf(dir_arg, sizeof(dir_arg), "%s", dir);
    (void)snprintf(address_arg, sizeof(address_arg), "%s", address);
    char *argv[] = {name, option, dir_arg, address_arg, NULL};
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        return code;
    }
    code = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (code == 0) {
        code = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    }
    if (code == 0) {
        code = posix_spawn(pid, SELF, &actions, NULL, argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* The next line that B says, NUL-terminated at receiver->line; what follows it is dropped, because
 * B says nothing unasked. */
static enum syncline_status read_line(struct bench_receiver *receiver, struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    receiver->line_len = 0;
    for (;;) {
        struct pollfd entry = {.fd = receiver->from, .events = POLLIN};
        int ready = poll(&entry, 1, LOOK_MS);
        if (bench_stop_asked()) {
            return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
        }
        if (ready > 0) {
            char *at = receiver->line + receiver->line_len;
            size_t room = sizeof(receiver->line) - 1 - receiver->line_len;
            ssize_t len = read(receiver->from, at, room);
            if (len <= 0) {
                return indexer_fail(err, SYNCLINE_ENET, "device B ended without a word");
            }
            receiver->line_len += (size_t)len;
            receiver->line[receiver->line_len] = '\0';
            char *end = strchr(receiver->line, '\n');
            if (end != NULL || (size_t)len == room) {
                *(end != NULL ? end : receiver->line + receiver->line_len) = '\0';
                break;
            }
        }
        if ((double)(bench_now_ns() - start_ns) > 2 * BENCH_DEADLINE_MS * BENCH_NS_PER_MS) {
            return indexer_fail(err, SYNCLINE_TIMEOUT, "device B said nothing for %d s",
                                2 * BENCH_DEADLINE_MS / 1000);
        }
    }
    if (strncmp(receiver->line, "error ", 6) == 0) {
        return indexer_fail(err, SYNCLINE_ENET, "device B: %s", receiver->line + 6);
    }
    return SYNCLINE_OK;
}

static enum syncline_status expect(struct bench_receiver *receiver, const char *word,
                                   struct indexer_error *err)
{
    enum syncline_status status = read_line(receiver, err);
    if (status == SYNCLINE_OK && strcmp(receiver->line, word) != 0) {
        return indexer_fail(err, SYNCLINE_EPROTO, "device B said '%s' where '%s' was due",
                            receiver->line, word);
    }
    return status;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

enum syncline_status bench_receiver_start(struct bench_receiver *receiver, const char *dir,
                                          const char *address, struct indexer_error *err)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    *receiver = (struct bench_receiver){.to = -1, .from = -1};
    int code = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 ? 0 : errno;
    if (code == 0) {
        code = spawn(&receiver->pid, dir, address, in[0], out[1]);
    }
    close_fd(&in[0]);
    close_fd(&out[1]);
    receiver->to = in[1];
    receiver->from = out[0];
    if (code != 0) {
        receiver->pid = 0;
        bench_receiver_stop(receiver);
        return indexer_fail(err, SYNCLINE_ENOMEM,
                            "device B cannot be started (%s); end some processes and try again",
                            strerror(code));
    }
    enum syncline_status status = expect(receiver, "ready", err);
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
    size_t len = (size_t)snprintf(line, sizeof(line), "await %d ", (int)table);
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        (void)snprintf(line + len, sizeof(line) - len, "%02x", uuid->bytes[i]);
        len += 2;
    }
    line[len++] = '\n';
    if (write(receiver->to, line, len) != (ssize_t)len) {
        return indexer_fail(err, SYNCLINE_ENET, "device B does not listen any more");
    }
    return expect(receiver, "armed", err);
}

enum syncline_status bench_receiver_seen(struct bench_receiver *receiver, uint64_t *seen_ns,
                                         struct bench_content *content, struct indexer_error *err)
{
    enum syncline_status status = read_line(receiver, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (sscanf(receiver->line, "seen %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
               seen_ns, &content->count, &content->sizes, &content->names, &content->roots) != 5) {
        return indexer_fail(err, SYNCLINE_EPROTO, "device B said '%s' where 'seen' was due",
                            receiver->line);
    }
    return SYNCLINE_OK;
}

void bench_receiver_stop(struct bench_receiver *receiver)
{
    uint64_t start_ns = bench_now_ns();
    close_fd(&receiver->to);
    while (receiver->pid > 0 && waitpid(receiver->pid, NULL, WNOHANG) == 0) {
        if ((double)(bench_now_ns() - start_ns) > END_NS_MAX) {
            (void)kill(receiver->pid, SIGKILL);
            (void)waitpid(receiver->pid, NULL, 0);
            break;
        }
        bench_nap_us(END_LOOK_US);
    }
    receiver->pid = 0;
    close_fd(&receiver->from);
}
