/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/stop.h"

#define LOOK_MS 100      /* between two looks whether the run is interrupted */
#define END_NS_MAX 10e9  /* how long it may take to end */
#define END_LOOK_US 1000 /* between two looks whether it has */

extern char **environ;

/* Spawns it with its ends of the pipes as standard input and output. */
static int spawn(pid_t *pid, char *const argv[], int in, int out, const char *log)
{
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        return code;
    }
    code = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (code == 0) {
        code = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    }
    if (code == 0 && log != NULL) {
        code = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log,
                                                O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    if (code == 0) {
        code = posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

enum syncline_status bench_child_start(struct bench_child *child, const char *name,
                                       char *const argv[], const char *log,
                                       struct indexer_error *err)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    *child = (struct bench_child){.name = name, .to = -1, .from = -1};
    int code = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 ? 0 : errno;
    if (code == 0) {
        code = spawn(&child->pid, argv, in[0], out[1], log);
    }
    close_fd(&in[0]);
    close_fd(&out[1]);
    child->to = in[1];
    child->from = out[0];
    if (code != 0) {
        child->pid = 0;
        (void)bench_child_stop(child, 0);
        return indexer_fail_errno(err, code, "%s cannot be started", name);
    }
    return SYNCLINE_OK;
}

enum syncline_status bench_child_say(struct bench_child *child, const char *text, size_t len,
                                     struct indexer_error *err)
{
    while (len > 0) {
        ssize_t written = write(child->to, text, len);
        if (written < 0 && errno == EINTR && !bench_stop_asked()) {
            continue;
        }
        if (written <= 0) {
            return indexer_fail(err, SYNCLINE_ENET, "%s does not listen any more", child->name);
        }
        text += written;
        len -= (size_t)written;
    }
    return SYNCLINE_OK;
}

/* Moves the first line of the buffer to ->line; an overlong one is cut. */
static bool take_line(struct bench_child *child)
{
    char *end = memchr(child->buffer, '\n', child->buffer_len);
    if (end == NULL && child->buffer_len < sizeof(child->buffer)) {
        return false;
    }
    size_t len = end != NULL ? (size_t)(end - child->buffer) : child->buffer_len - 1;
    memcpy(child->line, child->buffer, len);
    child->line[len] = '\0';
    child->buffer_len -= len + 1;
    memmove(child->buffer, child->buffer + len + 1, child->buffer_len);
    return true;
}

enum syncline_status bench_child_hear(struct bench_child *child, struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    while (!take_line(child)) {
        struct pollfd entry = {.fd = child->from, .events = POLLIN};
        int ready = poll(&entry, 1, LOOK_MS);
        if (bench_stop_asked()) {
            return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
        }
        if (ready > 0) {
            ssize_t len = read(child->from, child->buffer + child->buffer_len,
                               sizeof(child->buffer) - child->buffer_len);
            if (len <= 0) {
                return indexer_fail(err, SYNCLINE_ENET, "%s ended without a word", child->name);
            }
            child->buffer_len += (size_t)len;
        }
        if ((double)(bench_now_ns() - start_ns) > 2 * BENCH_DEADLINE_MS * BENCH_NS_PER_MS) {
            return indexer_fail(err, SYNCLINE_TIMEOUT, "%s said nothing for %d s", child->name,
                                2 * BENCH_DEADLINE_MS / 1000);
        }
    }
    return SYNCLINE_OK;
}

int bench_child_stop(struct bench_child *child, int signal_number)
{
    uint64_t start_ns = bench_now_ns();
    int state = 0;
    int code = -1;
    close_fd(&child->to);
    if (child->pid > 0 && signal_number != 0) {
        (void)kill(child->pid, signal_number);
    }
    while (child->pid > 0) {
        if (waitpid(child->pid, &state, WNOHANG) != 0) {
            code = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
            break;
        }
        if ((double)(bench_now_ns() - start_ns) > END_NS_MAX) {
            (void)kill(child->pid, SIGKILL);
            (void)waitpid(child->pid, NULL, 0);
            break;
        }
        bench_nap_us(END_LOOK_US);
    }
    child->pid = 0;
    close_fd(&child->from);
    return code;
}
