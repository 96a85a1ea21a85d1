/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A small file that is written as a whole: as it was or as it is to be, whatever happens meanwhile.
 * The new one is made beside it as `<path>.new`, synced, and takes its place; then its directory is
 * synced. Writers of one file take turns: that is the caller's to see to. */

#ifndef SL_WHOLE_FILE_H
#define SL_WHOLE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/status.h"

#define SL_WHOLE_FILE_NEW ".new"

/* Errors: EIO, ENOSPC, ETOOBIG (the path); the text names the file. After a failure to sync the
 * directory the new file is in force; whether it outlives a power cut is what may be in doubt. */
enum syncline_status sl_whole_file_write(const char *path, const void *data, size_t size,
                                         mode_t mode, struct sl_error *err);

#endif
