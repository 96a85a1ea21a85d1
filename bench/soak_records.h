/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What one thread of the soak knows of its own rows: those that are committed or in its open
 * transaction. What a transaction or savepoint changed here is undone when it is rolled back. */

#ifndef BENCH_SOAK_RECORDS_H
#define BENCH_SOAK_RECORDS_H

#include "indexer/error.h"

struct bench_soak_record {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t parent_id; /* entries: 0: none */
    uint32_t version;  /* of its values: how often it was changed */
};

struct bench_soak_set {
    struct bench_soak_record *items;
    size_t len;
    size_t capacity;
};

enum bench_soak_kind {
    BENCH_SOAK_FILES = 0,
    BENCH_SOAK_FOLDERS,
    BENCH_SOAK_TAGS,
    BENCH_SOAK_KINDS
};

struct bench_soak_undo;

struct bench_soak_records {
    struct bench_soak_set sets[BENCH_SOAK_KINDS];
    struct bench_soak_undo *undo; /* newest last */
    size_t undo_len;
    size_t undo_capacity;
};

void bench_soak_records_fini(struct bench_soak_records *records);

/* Adds a record at the end of its set. Errors of these three: ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status
bench_soak_records_add(struct bench_soak_records *records, enum bench_soak_kind kind,
                       const struct bench_soak_record *record);
/* The next version of items[index]. */
SYNCLINE_MUST_USE enum syncline_status bench_soak_records_change(struct bench_soak_records *records,
                                                                 enum bench_soak_kind kind,
                                                                 size_t index);
/* Takes out items[index]; the last one takes its place. */
SYNCLINE_MUST_USE enum syncline_status bench_soak_records_remove(struct bench_soak_records *records,
                                                                 enum bench_soak_kind kind,
                                                                 size_t index);

/* Where a savepoint is now; undone is what came after. A commit forgets all marks. */
size_t bench_soak_records_mark(const struct bench_soak_records *records);
void bench_soak_records_undo(struct bench_soak_records *records, size_t mark);
void bench_soak_records_commit(struct bench_soak_records *records);

#endif
