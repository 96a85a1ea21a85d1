/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The temporary folder of a run, with a folder of its own for every library in it. */

#ifndef BENCH_FOLDER_H
#define BENCH_FOLDER_H

#include "indexer/error.h"

#define BENCH_PATH_SIZE 512u

struct bench_folder {
    char path[BENCH_PATH_SIZE]; /* absolute; "" before it is made */
    unsigned made;              /* folders in it so far */
};

/* Makes it in $TMPDIR, or /tmp. Errors: EIO, ENOSPC, ETOOBIG. */
SYNCLINE_MUST_USE enum syncline_status bench_folder_init(struct bench_folder *folder,
                                                         struct indexer_error *err);
/* A new, empty folder in it. Errors: EIO, ENOSPC, ETOOBIG. */
SYNCLINE_MUST_USE enum syncline_status bench_folder_next(struct bench_folder *folder,
                                                         char path[BENCH_PATH_SIZE],
                                                         struct indexer_error *err);
/* Removes what is in it. */
void bench_folder_empty(struct bench_folder *folder);
/* Removes it with all that is in it. */
void bench_folder_fini(struct bench_folder *folder);

#endif
