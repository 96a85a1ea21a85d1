/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Handles whose sync has failed are finished. What the disk holds of what was written through one
 * is unknown, and the system may say of the next sync that all is well without having written a
 * byte of it (it forgets that pages are dirty when it has reported that they could not be written).
 * So nothing is synced through such a handle again, and nothing that needed that sync goes on.
 * Instead the library is DEGRADED, in status and by an event, until this has succeeded:
 *
 *     a new handle is opened, and the database checked through it (quick_check);
 *     sync.db      its heads are compared with those in memory: the file may not be behind. What a
 *                  commit was to write is written again by the next one, all of it, and synced
 *     library.db   its WAL is moved into the database file and emptied: what was written to the WAL
 *                  and not synced, by whomever, is written and synced once more
 *     the new handle takes the place of the old one, and has synced something.
 *
 * While that fails - the disk still does, the application reads or writes - it is tried again. A
 * database that is damaged stops the engine.
 *
 * The connection of captures in autocommit is left as it is: nothing is said to be durable because
 * of it, which is the log's to say. */

#ifndef SL_REOPEN_H
#define SL_REOPEN_H

#include "stages/shared.h"

/* Begins a transaction on core->log, which is opened again before if it must be. The caller holds
 * log_lock. Errors: as sl_peer_log_begin; ECORRUPT. */
enum syncline_status sl_core_log_begin(struct sl_core *core, struct sl_error *err);
/* Commits it. The first that succeeds on a handle opened again ends the degradation. */
enum syncline_status sl_core_log_commit(struct sl_core *core, struct sl_error *err);
/* Is core->writer fit for use? It is opened again if it must be; if that fails, it is reported, and
 * to be tried later. The applier's. */
bool sl_core_writer_is_sound(struct sl_core *core);
/* Syncs the WAL of library.db through log_append's connection, which is opened again before if it
 * must be. Errors: as sl_library_db_sync_wal; EBUSY (the WAL is in use), ECORRUPT. Log_append's. */
enum syncline_status sl_core_sync_wal(struct sl_core *core, struct sl_library_db *ldb,
                                      struct sl_error *err);

#endif
