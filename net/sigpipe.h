/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Keeps SIGPIPE from the host while a foreign library writes to sockets. libuv writes with plain
 * write(2), and a peer that has gone away would end the process. The signal's action is not ours to
 * change, so the calling thread alone holds the signal back, and takes it away if it was ours. */

#ifndef SL_SIGPIPE_H
#define SL_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sl_sigpipe {
    sigset_t mask;    /* the thread's before */
    bool was_pending; /* somebody else's signal waited already */
};

/* Any thread; both on the same one. Neither blocks. */
void sl_sigpipe_hold(struct sl_sigpipe *hold);
void sl_sigpipe_release(const struct sl_sigpipe *hold);

#endif
