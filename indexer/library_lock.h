/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One process at a time indexes into a library: two would insert the same names. The lock dies with
 * its process. */

#ifndef INDEXER_LIBRARY_LOCK_H
#define INDEXER_LIBRARY_LOCK_H

#include "indexer/error.h"

#define INDEXER_LOCK_NAME "indexer.lock"

/* Locks the library in the folder `dir`; closing *fd unlocks it. Does not wait.
 * Errors: EBUSY (another process indexes), EIO, ENOTFOUND, ENOSPC. */
SYNCLINE_MUST_USE enum syncline_status indexer_library_lock(const char *dir, int *fd,
                                                            struct indexer_error *err);

#endif
