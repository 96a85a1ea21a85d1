/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* epoch: a log that has forgotten changes of this device, found at open. Its tables have settled
 * changes that the log does not end with: sync.db was lost, or is an older copy. To go on after the
 * log's end would give a number twice, to two changes; so a new epoch begins before anything is
 * appended: this device is another origin from here on.
 *
 *     what of the old epoch is missing here     comes from the others like any origin's segments,
 *                                               believed by this device's own signature
 *     what is applied of it, and of others      stays applied: nothing is applied twice
 *     outbox rows                               count as not drained, and go out in the new epoch.
 *                                               What of them the others know already is the same
 *                                               record with another birth, or the same change again
 *     records of the old epoch                  stay this device's: ownership goes by the device
 *
 * A sync.db that is not there is made anew from what library.db says: library, names, epochs. Who
 * the members are was in it alone; each comes again with its next link.
 *
 * Not seen here: an older sync.db whose lost changes had not been settled in library.db. */

#ifndef SL_EPOCH_H
#define SL_EPOCH_H

#include "stages/shared.h"

/* Makes a sync.db for the library that library_db is of. Errors: ENOTFOUND (library_db is of none,
 * or not there), EFORMAT, EEXIST, EIO, ... */
enum syncline_status sl_epoch_make_log(const struct sl_env *env, const char *library_db,
                                       const char *sync_db, const struct syncline_uuid *device,
                                       struct sl_error *err);
/* Begins a new epoch, if it must be: core->who is that of the log then. *forgotten: changes that
 * the log lacks; 0: none, and nothing was done. At open, before anything else is read of the log.
 */
enum syncline_status sl_epoch_check(struct sl_core *core, struct sl_peer_log *log,
                                    struct sl_library_db *ldb, const char *sync_db,
                                    uint64_t *forgotten, struct sl_error *err);

#endif
