/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/output.h"

static atomic_int asked; /* set by the handler, read by anybody; lock-free, so a handler may */
static int pipe_fds[2] = {-1, -1}; /* read end for poll, write end for the handler */

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    atomic_store(&asked, 1);
    /* A full pipe is readable already, which is all that is wanted. */
    if (write(pipe_fds[1], "", 1) != 1) {
        errno = saved;
        return;
    }
    errno = saved;
}

int cli_stop_watch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    bool failed = sigaction(SIGPIPE, &action, NULL) != 0;
    failed = failed || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0;
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        failed = failed || sigaction(numbers[i], &action, NULL) != 0;
    }
    if (failed) {
        return cli_fail("signals cannot be taken (%s); close some files and try again",
                        strerror(errno));
    }
    return CLI_EXIT_OK;
}

const atomic_int *cli_stop_flag(void)
{
    return &asked;
}

bool cli_stop_asked(void)
{
    return atomic_load(&asked) != 0;
}

int cli_stop_fd(void)
{
    return pipe_fds[0];
}

bool cli_stop_wait(int timeout_ms)
{
    struct pollfd entry = {.fd = pipe_fds[0], .events = POLLIN};
    if (!cli_stop_asked()) {
        (void)poll(&entry, 1, timeout_ms);
    }
    return cli_stop_asked();
}
