/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Who runs the engine of a library: the process that holds the lock on engine.lock. The lock is on
 * a file of its own, never on a database, and goes with the process however it ends. The file holds
 * the owner's process id as text, for people. */

#ifndef SL_ENGINE_LOCK_H
#define SL_ENGINE_LOCK_H

#include "base/status.h"

struct sl_engine_lock {
    int fd; /* -1: not held */
};

/* Never waits. Errors: EBUSY (the text names the owner's pid, and ends with `cure`: what the caller
 * can do besides ending it, or ""), EIO. */
enum syncline_status sl_engine_lock_open(struct sl_engine_lock *lock, const char *path,
                                         const char *cure, struct sl_error *err);
void sl_engine_lock_close(struct sl_engine_lock *lock);

#endif
