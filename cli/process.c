/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/stop.h"

#define SELF "/proc/self/exe"
#define STOP_NS 10000000000u /* how long a child may take to end in order */
#define NAP_MS 10            /* between two looks whether it has */
#define EXEC_FAILED 127

void cli_process_init(struct cli_process *process)
{
    memset(process, 0, sizeof(*process));
    for (size_t i = 0; i < CLI_STREAM_COUNT; i++) {
        process->fds[i] = -1;
    }
}

/* In the child, between fork and exec: only calls that are safe in a signal handler. */
static void run_child(char *const argv[], const int write_ends[CLI_STREAM_COUNT], pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    int null_fd = open("/dev/null", O_RDONLY);
    bool failed = null_fd < 0 || setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ||
                  getppid() != parent || sigprocmask(SIG_SETMASK, &none, NULL) != 0;
    /* Ends moved out of the way first: a pipe may have been given a number that is a target. */
    int high[CLI_STREAM_COUNT];
    for (size_t i = 0; i < CLI_STREAM_COUNT; i++) {
        high[i] = fcntl(write_ends[i], F_DUPFD_CLOEXEC, 10);
        failed = failed || high[i] < 0;
    }
    failed = failed || dup2(null_fd, STDIN_FILENO) < 0 ||
             dup2(high[CLI_STREAM_OUT], STDOUT_FILENO) < 0 ||
             dup2(high[CLI_STREAM_ERROR], STDERR_FILENO) < 0 ||
             dup2(high[CLI_STREAM_REPORT], CLI_PROCESS_REPORT_FD) < 0;
    if (!failed) {
        execv(SELF, argv);
    }
    _exit(EXEC_FAILED);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

int cli_process_start(struct cli_process *process, const char *const args[])
{
    char *argv[CLI_PROCESS_ARG_COUNT_MAX + 2] = {NULL};
    int write_ends[CLI_STREAM_COUNT] = {-1, -1, -1};
    size_t args_count = 0;
    cli_process_init(process);

    /* execv wants strings it may write to, which it never does; copies keep the promise anyway. */
    argv[0] = strdup("syncline");
    bool failed = argv[0] == NULL;
    while (args[args_count] != NULL && args_count < CLI_PROCESS_ARG_COUNT_MAX) {
        argv[args_count + 1] = strdup(args[args_count]);
        failed = failed || argv[args_count + 1] == NULL;
        args_count++;
    }
    for (size_t i = 0; i < CLI_STREAM_COUNT && !failed; i++) {
        int ends[2];
        failed = pipe2(ends, O_CLOEXEC) != 0;
        if (!failed) {
            process->fds[i] = ends[0];
            write_ends[i] = ends[1];
            failed = fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0;
        }
    }
    if (!failed) {
        pid_t parent = getpid();
        pid_t pid = fork();
        if (pid == 0) {
            run_child(argv, write_ends, parent);
        }
        failed = pid < 0;
        process->pid = pid > 0 ? pid : 0;
    }
    int error_number = errno;
    for (size_t i = 0; i < CLI_STREAM_COUNT; i++) {
        close_fd(&write_ends[i]);
    }
    for (size_t i = 0; i <= args_count; i++) {
        free(argv[i]);
    }
    if (failed) {
        cli_process_stop(process);
        return cli_fail("a process cannot be started (%s); end some others and try again",
                        strerror(error_number));
    }
    return CLI_EXIT_OK;
}

/* Keeps what standard output said, up to its limit. */
static void take_out(struct cli_process *process, const char *data, size_t len)
{
    size_t room = CLI_PROCESS_OUT_SIZE_MAX - process->out_len;
    size_t taken = len < room ? len : room;
    char *grown = realloc(process->out, process->out_len + taken + 1);
    if (grown == NULL) {
        return;
    }
    memcpy(grown + process->out_len, data, taken);
    process->out = grown;
    process->out_len += taken;
    process->out[process->out_len] = '\0';
}

/* Keeps the last line that is not empty. */
static void take_error(struct cli_process *process, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != '\n') {
            if (process->line_len + 1 < sizeof(process->line)) {
                process->line[process->line_len++] = data[i];
            }
            continue;
        }
        if (process->line_len > 0) {
            process->line[process->line_len] = '\0';
            memcpy(process->error, process->line, process->line_len + 1);
        }
        process->line_len = 0;
    }
}

static void take_report(struct cli_process *process, const char *data, size_t len)
{
    size_t room = sizeof(process->report) - 1 - process->report_len;
    size_t taken = len < room ? len : room;
    memcpy(process->report + process->report_len, data, taken);
    process->report_len += taken;
    process->report[process->report_len] = '\0';
}

static void read_stream(struct cli_process *process, enum cli_process_stream stream)
{
    char data[4096];
    while (process->fds[stream] >= 0) {
        ssize_t len = read(process->fds[stream], data, sizeof(data));
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len < 0 && errno == EAGAIN) {
            return;
        }
        if (len <= 0) {
            close_fd(&process->fds[stream]);
            return;
        }
        if (stream == CLI_STREAM_OUT) {
            take_out(process, data, (size_t)len);
        } else if (stream == CLI_STREAM_ERROR) {
            take_error(process, data, (size_t)len);
        } else {
            take_report(process, data, (size_t)len);
        }
    }
}

static void look(struct cli_process *process)
{
    int status = 0;
    bool ended = process->pid > 0 && waitpid(process->pid, &status, WNOHANG) == process->pid;
    /* Read after asking: what an ended process has said is all there. */
    for (size_t i = 0; i < CLI_STREAM_COUNT; i++) {
        read_stream(process, (enum cli_process_stream)i);
    }
    if (ended) {
        process->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        process->pid = 0;
    }
}

void cli_process_poll(struct cli_process *const *processes, size_t count, int timeout_ms)
{
    struct pollfd entries[8 * CLI_STREAM_COUNT + 1];
    nfds_t used = 0;
    entries[used++] = (struct pollfd){.fd = cli_stop_fd(), .events = POLLIN};
    for (size_t i = 0; i < count && i < 8; i++) {
        for (size_t j = 0; j < CLI_STREAM_COUNT && processes[i] != NULL; j++) {
            if (processes[i]->fds[j] >= 0) {
                entries[used++] = (struct pollfd){.fd = processes[i]->fds[j], .events = POLLIN};
            }
        }
    }
    /* A signal that came before makes this return at once, so it must not be asked for again. */
    size_t first = cli_stop_asked() ? 1 : 0;
    (void)poll(entries + first, used - first, timeout_ms);
    for (size_t i = 0; i < count; i++) {
        if (processes[i] != NULL) {
            look(processes[i]);
        }
    }
}

bool cli_process_is_running(const struct cli_process *process)
{
    return process->pid > 0;
}

void cli_process_stop(struct cli_process *process)
{
    uint64_t start_ns = cli_now_ns();
    if (process->pid > 0) {
        (void)kill(process->pid, SIGTERM);
    }
    while (process->pid > 0) {
        cli_process_poll(&(struct cli_process *const){process}, 1, NAP_MS);
        if (process->pid > 0 && cli_now_ns() - start_ns > STOP_NS) {
            (void)kill(process->pid, SIGKILL);
        }
    }
    for (size_t i = 0; i < CLI_STREAM_COUNT; i++) {
        close_fd(&process->fds[i]);
    }
    free(process->out);
    cli_process_init(process);
}
