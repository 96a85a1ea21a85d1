/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The delete of a record, and what becomes of those that point at it.
 *
 * A record is deleted by one device while others may have pointed records at it. For each such
 * child that is here, by keys that the models declare (a UUID_KEY counts if its table checks it):
 *
 *     device-owned, born by the device that deletes    it goes, too: a tree of such records is
 *                                                      removed by one delete of its root
 *     a change of it is on its way into the log        this device deletes it: the row goes, and an
 *                                                      outbox row is written (stages/author)
 *     else                                             it becomes invisible: the row moves whole
 *                                                      into the waiting room, until the device that
 *                                                      set its key deletes it (this one too does so
 *                                                      from there: stages/waiting), or any device
 *                                                      points it at another record
 *
 * The first two are deletes, and the rules hold for their children in turn; but of what was never
 * sent nobody hears that it is deleted, so this device's own records below that are deleted by
 * name. What points at an invisible record becomes invisible with it. What waits already and points
 * at the record stays where it is, or goes by the first rule. Columns that do not sync are lost
 * with a row that becomes invisible.
 *
 * Happy path: nothing points at the record, which costs one look per kind of child; its row goes.
 * Else the tree is gathered, without recursion, and what is to wait is put into the room; then rows
 * go, children before parents, so that the ON DELETE actions of the tables find nothing to do.
 *
 * Failure modes: a row that the table does not let go (a table that no model describes points at
 * it) is an outcome, to be rolled back. A change of a record that would become invisible is on its
 * way into the log: AGAIN, once it is there. While the own log is applied again at open (see
 * stages/doubt) nothing can get there: then the second rule holds for that record, too. It holds as
 * well for own records that were children when the delete was made, and are none any more by a
 * change on its way into the log. */

#ifndef SL_SUBTREE_H
#define SL_SUBTREE_H

#include "base/arena.h"
#include "stages/outcome.h"
#include "stages/shared.h"

struct sl_record_writer;

/* A kind of child: field `field` of `model` points at its parents. */
struct sl_child_key {
    const struct sl_model *model;
    const struct sl_field *field;
    sqlite3_stmt *stmt; /* children of one parent; prepared when first used */
};

struct sl_subtree {
    struct sl_child_key *keys; /* ours; all of them */
    size_t key_count;
    struct sl_arena arena; /* of the tree under way */
};

enum syncline_status sl_subtree_init(struct sl_subtree *subtree, const struct sl_core *core,
                                     struct sl_error *err);
void sl_subtree_fini(struct sl_subtree *subtree);

/* Deletes the record with this local id, as the device wants. */
enum syncline_status sl_subtree_remove(struct sl_record_writer *writer,
                                       const struct sl_model *model,
                                       const struct syncline_uuid *uuid, int64_t id,
                                       const struct syncline_uuid *device, enum sl_outcome *outcome,
                                       char reason[256], struct sl_error *err);
/* The same where there is no row to remove: the record is in no table - it waits, has not come, or
 * another device has deleted it, too - and only what waits can point at it; or its row shows
 * another birth now, and stays, with all that points at it but the deleting device's own records:
 * that device had removed them with what it saw. */
enum syncline_status sl_subtree_bury(struct sl_record_writer *writer, const struct sl_model *model,
                                     const struct syncline_uuid *uuid,
                                     const struct syncline_uuid *device, struct sl_error *err);

#endif
