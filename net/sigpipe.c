/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/sigpipe.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static bool is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void sl_sigpipe_hold(struct sl_sigpipe *hold)
{
    sigset_t set;

    hold->was_pending = is_pending();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, &hold->mask);
}

void sl_sigpipe_release(const struct sl_sigpipe *hold)
{
    const struct timespec at_once = {0};
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    while (!hold->was_pending && is_pending() && sigtimedwait(&set, NULL, &at_once) < 0 &&
           errno == EINTR)
        continue;
    (void)pthread_sigmask(SIG_SETMASK, &hold->mask, NULL);
}
