/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What Syncline keeps on a device's disk besides the application's rows. */

#ifndef BENCH_REST_H
#define BENCH_REST_H

#include "indexer/error.h"

/* Waits until the library in `dir` has applied, or settled, `len` changes of one origin and its
 * outbox holds one row at most; then *bytes is the size of the tables and indexes of library.db
 * whose names have "_syncline_" in them (whole pages, by dbstat) and of all pages of sync.db. Reads
 * on connections of its own; the library may be open. Errors: TIMEOUT, EDB (this SQLite has no
 * dbstat, too), EIO. */
SYNCLINE_MUST_USE enum syncline_status bench_rest_read(const char *dir, size_t len, double *bytes,
                                                       struct indexer_error *err);

#endif
