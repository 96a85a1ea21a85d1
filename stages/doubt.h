/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A library.db that is older than the log beside it, found at open: the newest outbox row that the
 * log has drained is not in it. The application lost commits to a power cut - it, or a checkpoint
 * of its, does not sync - or put back an older copy.
 *
 * What the log has of this device was durable, and others may have it. So the own changes above the
 * own entry of the applied vector are applied once more, like a stranger's, before open returns:
 *
 *     an insert whose row is there       was not settled: it gets its birth, and stays as it is
 *     an insert whose row was deleted    by an outbox row that is not in the log: nothing but the
 *                                        birth, for that delete
 *     a delete of a tree, and a record   this device deletes that record, too: see stages/subtree
 *     that would become invisible has
 *     a change not in the log, or that
 *     was in the tree (stages/
 *     logged_parents) and has one
 *     anything else                      as of any other device; an outbox row that is not in the
 *                                        log wins, it is later
 *
 * Then the WAL is synced, and only after that sync.db forgets the drained rows that library.db does
 * not have: until then the next open finds the same. Ids of outbox rows are given again after that,
 * which is why a row counts as drained only with its token.
 *
 * In any other case nothing of the own log is applied: what is not settled is settled, and no row
 * is written. What the application committed without a capture, and lost, nobody can know. A copy
 * of the whole library put back - library.db and sync.db of one time - is not seen here. */

#ifndef SL_DOUBT_H
#define SL_DOUBT_H

#include "stages/apply.h"

/* Fills core->drained with the newest drained outbox row that library.db has. *doubt: it is not the
 * newest of all. Inside a transaction on core->writer. */
enum syncline_status sl_doubt_look(struct sl_core *core, bool *doubt, struct sl_error *err);
/* Does what stands above; at open, before any stage runs. Errors: EBUSY, EMODEL (a model of the own
 * changes was not given), EIO, ... */
enum syncline_status sl_doubt_resolve(struct sl_apply *apply, struct sl_error *err);

#endif
