/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* capture: the only stage that runs on the application's thread.
 *
 * Happy path, inside the caller's transaction: copy the rows into batches of the staging pool,
 * insert one outbox row that names them, take along what waits to be settled, push the batches.
 * From then on the change exists if and only if the transaction commits. No batch free: the outbox
 * row alone, and intake reads the rows again. Called in autocommit the same happens in a
 * transaction of its own, on the library's own connection, and nothing is staged: the row was
 * committed before and may have changed since. That connection is synchronous=FULL: an outbox row
 * that the log has drained must not be lost to a power cut (docs/decisions/0005).
 *
 * Updates and deletes carry the births of their records, so that they are about these and no
 * others, whatever happens to the UUID until they are sent. A delete also drops the births, in the
 * same transaction: a birth never outlives its record. A record that this device does not own is
 * refused, before anything is written. A failure after the first write of a capture undoes that
 * write by a savepoint: the caller's transaction is as it was. last_insert_rowid is put back.
 *
 * Order of locks: SQLite's write lock first (the outbox row takes it), then our own. */

#ifndef SL_CAPTURE_H
#define SL_CAPTURE_H

#include "stages/shared.h"

struct sl_capture {
    struct sl_core *core;
    pthread_mutex_t lock;     /* guards `own` */
    struct sl_library_db own; /* for calls in autocommit */
};

enum syncline_status sl_capture_init(struct sl_capture *capture, struct sl_core *core,
                                     const char *library_db, struct sl_error *err);
void sl_capture_fini(struct sl_capture *capture);

/* The call behind the three public ones. Any thread. Errors as there. */
enum syncline_status sl_capture_rows(struct sl_capture *capture, const struct syncline_model *model,
                                     const void *rows, size_t n, enum syncline_change change,
                                     struct sqlite3 *db, uint32_t batch_len, struct sl_error *err);

#endif
