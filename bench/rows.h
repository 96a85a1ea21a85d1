/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Rows as an indexer makes them: entries of a made-up folder tree, the same for every run but for
 * their UUIDs. */

#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "indexer/error.h"
#include "indexer/models.h"

#define BENCH_TRANSACTION_LEN 1000u /* rows per transaction */

struct bench_rows {
    struct entry_row *entries; /* parents before children; the first has no parent */
    uint32_t *parents;         /* index of each one's folder in entries */
    char *strings;             /* names and link targets */
    size_t len;
};

/* Makes `len` rows. Errors: ENOMEM, EIO (no randomness for UUIDs). On success to be given to
 * bench_rows_fini. */
SYNCLINE_MUST_USE enum syncline_status bench_rows_init(struct bench_rows *rows, size_t len,
                                                       struct indexer_error *err);
void bench_rows_fini(struct bench_rows *rows);

/* New UUIDs (version 7, one counting run per transaction) and times, as if indexed now. */
SYNCLINE_MUST_USE enum syncline_status bench_rows_renew(struct bench_rows *rows,
                                                        struct indexer_error *err);

#define BENCH_UUID_HEX_SIZE 33u

/* 32 hexadecimal digits and a NUL; returns `text`. */
char *bench_uuid_hex(const struct syncline_uuid *uuid, char text[BENCH_UUID_HEX_SIZE]);

#endif
