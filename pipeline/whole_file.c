/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

static enum syncline_status fail_errno(struct sl_error *err, const char *cannot, const char *path)
{
    int code = errno;
    enum syncline_status status = code == ENOSPC || code == EDQUOT ? SYNCLINE_ENOSPC : SYNCLINE_EIO;
    return sl_fail(err, status, "%s cannot be %s: %s", path, cannot, strerror(code));
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        data += written;
        len -= (size_t)written;
    }
    return true;
}

/* Writes and syncs the new file; leaves nothing behind on failure. */
static enum syncline_status write_new(const char *path, const void *data, size_t size, mode_t mode,
                                      struct sl_error *err)
{
    (void)unlink(path); /* left by a crash: writers take turns */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_errno(err, "made", path);
    }
    bool ok = write_all(fd, data, size) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    enum syncline_status status = ok ? SYNCLINE_OK : fail_errno(err, "written", path);
    if (close(fd) != 0 && status == SYNCLINE_OK) {
        status = fail_errno(err, "written", path);
    }
    if (status != SYNCLINE_OK) {
        (void)unlink(path);
    }
    return status;
}

static enum syncline_status sync_directory_of(const char *path, struct sl_error *err)
{
    char dir[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    memcpy(dir, path, len);
    memcpy(dir + len, ".", 2);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(err, "opened", dir);
    }
    enum syncline_status status = fsync(fd) == 0 ? SYNCLINE_OK : fail_errno(err, "synced", dir);
    (void)close(fd);
    return status;
}

enum syncline_status sl_whole_file_write(const char *path, const void *data, size_t size,
                                         mode_t mode, struct sl_error *err)
{
    char path_new[PATH_SIZE];
    int len = snprintf(path_new, sizeof(path_new), "%s" SL_WHOLE_FILE_NEW, path);
    if (len < 0 || (size_t)len >= sizeof(path_new)) {
        return sl_fail(err, SYNCLINE_ETOOBIG, "%.60s...: the path is longer than %d bytes", path,
                       PATH_SIZE - (int)sizeof(SL_WHOLE_FILE_NEW));
    }
    enum syncline_status status = write_new(path_new, data, size, mode, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (rename(path_new, path) != 0) {
        status = fail_errno(err, "replaced", path);
        (void)unlink(path_new);
        return status;
    }
    return sync_directory_of(path, err);
}
