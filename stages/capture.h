/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* capture: the only stage that runs on the application's thread.
 *
 * Happy path, inside the caller's transaction: copy the rows into batches of the staging pool,
 * insert one outbox row that names them, push the batches; and once in a while, when a lot waits to
 * be settled, take that along.
 * From then on the change exists if and only if the transaction commits. No batch free: the outbox
 * row alone, and intake reads the rows again. Called in autocommit the same happens in a
 * transaction of its own, on the library's own connection, and nothing is staged: the row was
 * committed before and may have changed since. That connection is synchronous=NORMAL: the engine
 * makes outbox rows durable before it drains them (docs/decisions/0007).
 *
 * Updates and deletes carry the births of their records, so that they are about these and no
 * others, whatever happens to the UUID until they are sent. A delete also drops the births, in the
 * same transaction: a birth never outlives its record. A record that this device does not own is
 * refused, before anything is written. A failure after the first write of a capture undoes that
 * write by a savepoint: the caller's transaction is as it was. last_insert_rowid is put back.
 *
 * On a connection of the caller nothing is kept between calls - unless it is attached
 * (stages/attached): then its statements are. The buffers of a call are kept either way
 * (stages/call_memory).
 *
 * Order of locks: SQLite's write lock first (the outbox row takes it), then our own. */

#ifndef SL_CAPTURE_H
#define SL_CAPTURE_H

#include "stages/attached.h"

#define SL_CAPTURE_TOKENS 64u /* drawn at once */

struct sl_capture {
    struct sl_core *core;
    pthread_mutex_t own_lock; /* guards `own` */
    struct sl_rows own;       /* for calls in autocommit */
    const char *path; /* of library.db, as SQLite names it; lives as long as `own` is open */
    struct sl_attached_list attached;
    struct sl_call_stock stock; /* for calls on connections that are not attached */
    pthread_mutex_t token_lock; /* guards the rest */
    uint64_t tokens[SL_CAPTURE_TOKENS];
    uint32_t token_count; /* not used yet, from the first on */
};

enum syncline_status sl_capture_init(struct sl_capture *capture, struct sl_core *core,
                                     const char *library_db, struct sl_error *err);
void sl_capture_fini(struct sl_capture *capture);

/* The calls behind syncline_attach and syncline_detach. Errors as there. */
enum syncline_status sl_capture_attach(struct sl_capture *capture, struct sqlite3 *db,
                                       struct sl_error *err);
enum syncline_status sl_capture_detach(struct sl_capture *capture, struct sqlite3 *db,
                                       struct sl_error *err);

/* Captures one record by id and UUID alone: nothing is staged, intake reads its row. */
enum syncline_status sl_capture_named(struct sl_capture *capture, const struct sl_model *model,
                                      int64_t id, const struct syncline_uuid *uuid,
                                      enum syncline_change change, struct sqlite3 *db,
                                      struct sl_error *err);

/* The call behind the three public ones. A ticket, if wanted, is filled when the call succeeds.
 * Any thread. Errors as there. */
enum syncline_status sl_capture_rows(struct sl_capture *capture, const struct syncline_model *model,
                                     const void *rows, size_t n, enum syncline_change change,
                                     struct sqlite3 *db, uint32_t batch_len,
                                     struct syncline_ticket *ticket, struct sl_error *err);

#endif
