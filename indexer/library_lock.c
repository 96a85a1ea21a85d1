/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/library_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum syncline_status indexer_library_lock(const char *dir, int *fd, struct indexer_error *err)
{
    int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *fd = folder < 0 ? -1 : openat(folder, INDEXER_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int error_number = errno;
    if (folder >= 0)
        close(folder);
    if (*fd < 0)
        return indexer_fail_errno(err, error_number, "%s/" INDEXER_LOCK_NAME " cannot be opened",
                                  dir);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return SYNCLINE_OK;
    error_number = errno;
    close(*fd);
    *fd = -1;
    if (error_number == EWOULDBLOCK)
        return indexer_fail(err, SYNCLINE_EBUSY,
                            "another process indexes into the library %s: wait until it has ended",
                            dir);
    return indexer_fail_errno(err, error_number, "%s/" INDEXER_LOCK_NAME " cannot be locked", dir);
}
