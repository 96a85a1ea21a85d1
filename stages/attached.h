/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Connections of the application that are attached to a handle: what is kept on them from one
 * capture to the next - prepared statements above all, which are most of the price of a single
 * call.
 *
 * A record is bound to the connection and to the thread that attached it. Captures with that
 * connection come from this thread alone, so they use the record without any lock; others are
 * refused. The lock here guards only the list, for the moment of looking something up.
 *
 * The outbox statement is prepared when the connection is attached and finalized when it is
 * detached. So SQLite keeps the connection alive for as long as it is in the list: sqlite3_close
 * refuses with SQLITE_BUSY, sqlite3_close_v2 puts the end off. No address in the list ever becomes
 * that of another connection. */

#ifndef SL_ATTACHED_H
#define SL_ATTACHED_H

#include <pthread.h>

#include "stages/call_memory.h"

struct sl_attached {
    sqlite3 *handle;              /* the application's */
    pthread_t thread;             /* that attached it */
    struct sl_call_memory memory; /* statements over it, and buffers */
};

struct sl_attached_list {
    pthread_mutex_t lock; /* guards the rest */
    struct sl_attached *items[SL_ATTACHED_COUNT_MAX];
    size_t count;
};

enum syncline_status sl_attached_init(struct sl_attached_list *list);
/* Detaches what is left and frees the list. A connection without a mutex (SQLITE_OPEN_NOMUTEX) that
 * another thread attached may be at work this moment: its statements are left to it, and it cannot
 * be closed any more. */
void sl_attached_fini(struct sl_attached_list *list, const struct sl_core *core);

/* Attaches a connection for the calling thread. `path`: library.db, as sqlite3_db_filename names
 * it. Errors: EINVAL (another file, or it cannot write), EEXIST, EREFUSED (too many), ENOMEM, EDB,
 * EBUSY, EIO. */
enum syncline_status sl_attached_add(struct sl_attached_list *list, const struct sl_core *core,
                                     const char *path, sqlite3 *handle, struct sl_error *err);
/* The connection must be the calling thread's for this time, as for any call of SQLite's.
 * Errors: ENOTFOUND. */
enum syncline_status sl_attached_remove(struct sl_attached_list *list, const struct sl_core *core,
                                        sqlite3 *handle, struct sl_error *err);
/* The record of a connection, borrowed until it is detached; NULL: it is not attached.
 * Errors: EINVAL (another thread attached it, or it is not to the library.db at `path`). */
enum syncline_status sl_attached_find(struct sl_attached_list *list, const char *path,
                                      sqlite3 *handle, struct sl_attached **found,
                                      struct sl_error *err);

#endif
