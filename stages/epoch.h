/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* epoch: a log that has forgotten changes of this device, or may be the copy of one that goes on
 * elsewhere, found at open. To go on after such a log's end would give a number twice, to two
 * changes; so a new epoch begins before anything is appended: this device is another origin from
 * here on. It is told by:
 *
 *     the tables    have settled changes that the log does not end with: sync.db was lost, or is
 *                   older than library.db
 *     the mark      kept outside the library (base/log_mark.h) is of changes that the log does not
 *                   have: files of one time were put back together
 *     the place     there is no mark, and the log was last used in another directory: the files
 *                   were copied to where nothing is known of them, and may go on where they were
 *
 * The mark is written at open, at close, and at most every SL_MARK_MS after an append; what was
 * appended since, in an engine that was killed, is not told by it.
 *
 *     what of the old epoch is missing here     comes from the others like any origin's segments,
 *                                               believed by this device's own signature
 *     what is applied of it, and of others      stays applied: nothing is applied twice
 *     outbox rows                               that this log has are settled, and stay drained.
 *                                               Others, and all where the log ends below the
 *                                               tables, go out in the new epoch. What of them the
 *                                               others know already is the same record with another
 *                                               birth, or the same change again
 *     records of the old epoch                  stay this device's: ownership goes by the device
 *
 * A sync.db that is not there is made anew from what library.db says: library, names, epochs. Who
 * the members are was in it alone; each comes again with its next link.
 *
 * Not seen here: files put back where there is no mark, or an older one: then the other devices see
 * it, by the hash chain. */

#ifndef SL_EPOCH_H
#define SL_EPOCH_H

#include "stages/shared.h"

/* Makes a sync.db for the library that library_db is of. Errors: ENOTFOUND (library_db is of none,
 * or not there), EFORMAT, EEXIST, EIO, ... */
enum syncline_status sl_epoch_make_log(const struct sl_env *env, const char *library_db,
                                       const char *sync_db, const struct syncline_uuid *device,
                                       struct sl_error *err);
enum sl_epoch_cause {
    SL_EPOCH_KEPT,      /* all is well, and nothing was begun */
    SL_EPOCH_FORGOTTEN, /* the tables have settled `lacking` changes that the log lacks */
    SL_EPOCH_RESTORED,  /* the mark is `lacking` changes ahead; 0: of another log, or a later epoch
                         */
    SL_EPOCH_COPIED
};
struct sl_epoch_check {
    enum sl_epoch_cause cause;
    uint64_t lacking;
};

/* Settles what is in the log of this device's old epoch and is not in its tables yet. */
struct sl_epoch_settler {
    enum syncline_status (*settle)(const void *ctx, struct sl_error *err);
    const void *ctx;
};

/* Begins a new epoch, if it must be: core->who is that of the log then. What the log and the tables
 * have of the old one is settled first, by `settler`: sent again in the new epoch, as the outbox
 * has it, an insert would be another birth of its record, which nobody has deleted. `place`: a text
 * for where the library is, as far as a copy of it would not have the same; NULL: not known.
 * core->keeper may be NULL. A mark that cannot be read counts as none. At open, before anything
 * else is read of the log. Blocks on the disk. Errors: EDB, EIO, ENOSPC, ECORRUPT. */
enum syncline_status sl_epoch_check(struct sl_core *core, struct sl_peer_log *log,
                                    struct sl_library_db *ldb, const char *sync_db,
                                    const char *place, const struct sl_epoch_settler *settler,
                                    struct sl_epoch_check *found, struct sl_error *err);
/* Writes the mark: the end of this device's log as it is now. One that cannot be written is told to
 * the host's log, and tried again. At open and close. */
void sl_epoch_mark(struct sl_core *core);
/* The same, if it is time. log_append's, after each commit. */
void sl_epoch_mark_due(struct sl_core *core, uint64_t now_ns);

#endif
