/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/engine_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static enum syncline_status taken(int fd, const char *cure, struct sl_error *err)
{
    char text[24] = "";
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    long pid = len > 0 ? strtol(text, NULL, 10) : 0;
    if (pid > 0) {
        return sl_fail(err, SYNCLINE_EBUSY,
                       "process %ld runs the engine of this library already: end it first (Ctrl-C "
                       "where it runs, or `kill %ld`)%s",
                       pid, pid, cure);
    }
    return sl_fail(err, SYNCLINE_EBUSY,
                   "another process runs the engine of this library already: end it first%s", cure);
}

enum syncline_status sl_engine_lock_open(struct sl_engine_lock *lock, const char *path,
                                         const char *cure, struct sl_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return sl_fail(err, SYNCLINE_EIO, "%s cannot be opened: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = errno;
        enum syncline_status status =
            code == EWOULDBLOCK
                ? taken(fd, cure, err)
                : sl_fail(err, SYNCLINE_EIO, "%s cannot be locked: %s", path, strerror(code));
        (void)close(fd);
        return status;
    }
    char text[24];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        /* The pid is for people; the lock holds without it. */
        int ignored = ftruncate(fd, 0);
        (void)ignored;
    }
    lock->fd = fd;
    return SYNCLINE_OK;
}

void sl_engine_lock_close(struct sl_engine_lock *lock)
{
    if (lock->fd >= 0) {
        /* A child forked meanwhile has the same open file, and would go on holding the lock. */
        (void)flock(lock->fd, LOCK_UN);
        (void)close(lock->fd);
        lock->fd = -1;
    }
}
