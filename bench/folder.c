/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDERS_OPEN_MAX 8
#define ROOM_BELOW 64u /* bytes that the paths of a library's files need after the folder's */

enum syncline_status bench_folder_init(struct bench_folder *folder, struct indexer_error *err)
{
    const char *base = getenv("TMPDIR");
    *folder = (struct bench_folder){.path = ""};
    if (base == NULL || base[0] == '\0') {
        base = "/tmp";
    }
    char pattern[BENCH_PATH_SIZE];
    int len = snprintf(pattern, sizeof(pattern), "%s/sl-bench-XXXXXX", base);
    if (len < 0 || (size_t)len >= sizeof(pattern) - ROOM_BELOW) {
        return indexer_fail(err, SYNCLINE_ETOOBIG,
                            "the path in TMPDIR is too long: set it to a shorter one");
    }
    if (mkdtemp(pattern) == NULL) {
        return indexer_fail_errno(
            err, errno, "no folder can be made in %s; set TMPDIR to one where it can", base);
    }
    memcpy(folder->path, pattern, sizeof(pattern));
    (void)setenv("XDG_STATE_HOME", pattern, 1); /* marks of the libraries in it */
    return SYNCLINE_OK;
}

enum syncline_status bench_folder_next(struct bench_folder *folder, char path[BENCH_PATH_SIZE],
                                       struct indexer_error *err)
{
    int len = snprintf(path, BENCH_PATH_SIZE, "%s/%u", folder->path, folder->made);
    if (len < 0 || (size_t)len >= BENCH_PATH_SIZE) {
        return indexer_fail(err, SYNCLINE_ETOOBIG,
                            "the path in TMPDIR is too long: set it to a shorter one");
    }
    if (mkdir(path, 0700) != 0) {
        return indexer_fail_errno(err, errno, "the folder %s cannot be made", path);
    }
    folder->made++;
    return SYNCLINE_OK;
}

static int remove_below(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    return where->level == 0 || remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

void bench_folder_empty(struct bench_folder *folder)
{
    if (folder->path[0] != '\0' &&
        nftw(folder->path, remove_below, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS) != 0) {
        (void)fprintf(stderr, "sl-bench: %s cannot be emptied (%s); remove it by hand\n",
                      folder->path, strerror(errno));
    }
}

void bench_folder_fini(struct bench_folder *folder)
{
    bench_folder_empty(folder);
    if (folder->path[0] != '\0') {
        (void)rmdir(folder->path);
    }
    folder->path[0] = '\0';
}
