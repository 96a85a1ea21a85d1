/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Several living births of one UUID: which of them is shown, and what becomes of the others
 * (storage/hidden_births). The rule stands in stages/reconcile.h.
 *
 * A birth is ranked by its stamp: that of its last change if it is shared, that of the birth itself
 * if it is device-owned - nobody but its owner need know of its updates to know its rank. What is
 * pending here is later than all that has come. The row shows the birth of the highest rank; when
 * that changes the row keeps its local id, so that what points at it points at it still.
 *
 * Happy path of nearly every library: no record has two births. Whether any of a model has is known
 * in memory (sl_core_may_hide), and where not nothing here is asked.
 *
 * Failure modes: a hidden birth one of whose parents is not here cannot be shown; the next one is.
 * It stays hidden, with the parent that it lacks, and is looked at again when that comes
 * (sl_waiting_release), as with each change of its UUID. */

#ifndef SL_LIVING_H
#define SL_LIVING_H

#include "stages/fk_localize.h"
#include "stages/reconcile.h"

/* A received insert whose UUID is here with another birth: shows the later of the two and hides the
 * other; nothing, if that birth is here already. localized->values are the record's. `birth` says
 * all but its id; hlc and hlc_origin are of the content, which may be later. EINVAL: the table
 * refuses it. Other errors: of the database.
 *
 * An owner that inserts its record once more from the same origin has ended the earlier birth: that
 * is dead, and the new one takes its place. Its rows may have gone with the delete of a record that
 * they pointed at, which alone is said, and which need not be known of them everywhere. */
enum syncline_status sl_living_insert(struct sl_core *core, struct sl_pending *pending,
                                      const struct sl_localized *localized, uint32_t i,
                                      const struct sl_birth_run *birth, uint64_t hlc,
                                      int64_t hlc_origin, struct sl_error *err);
/* The same of such an insert that cannot be written yet: an earlier birth of the owner's is gone,
 * and if it was shown *has_row: the row is of the new one. `birth` as above. */
enum syncline_status sl_living_renew(struct sl_core *core, const struct sl_model *model,
                                     const struct syncline_uuid *uuid,
                                     const struct sl_birth_run *birth, bool *has_row,
                                     struct sl_error *err);
/* Is a birth of a device-owned record here, shown or hidden, that this origin has made after the
 * one with that seq? */
enum syncline_status sl_living_has_later(struct sl_core *core, const struct sl_model *model,
                                         const struct syncline_uuid *uuid, int64_t origin,
                                         uint64_t seq, bool *has, struct sl_error *err);
/* A birth of a UUID whose row shows another one is hidden, whatever its rank and its parents: the
 * caller has the latest shown then. Nothing, if that birth is here already. `birth`, hlc and
 * hlc_origin as for an insert. */
enum syncline_status sl_living_hide(struct sl_core *core, const struct sl_localized *localized,
                                    uint32_t i, const struct sl_birth_run *birth, uint64_t hlc,
                                    int64_t hlc_origin, struct sl_error *err);
/* A received update of a hidden birth, which wins. */
enum syncline_status sl_living_update(struct sl_core *core, const struct sl_localized *localized,
                                      uint32_t i, const struct sl_hidden_birth *hidden,
                                      const struct sl_stamp *stamp, struct sl_error *err);
/* The births of the record have changed: shows the one of the highest rank. EINVAL as above. */
enum syncline_status sl_living_show_latest(struct sl_core *core, struct sl_pending *pending,
                                           const struct sl_model *model,
                                           const struct syncline_uuid *uuid, struct sl_error *err);
/* The shown birth, of the row with that id, is dead. *shown: the row is that of the next one now;
 * else there is none, and the row may go. EINVAL as above. */
enum syncline_status sl_living_show_next(struct sl_core *core, struct sl_pending *pending,
                                         const struct sl_model *model,
                                         const struct syncline_uuid *uuid, int64_t id, bool *shown,
                                         struct sl_error *err);
/* This device's update is settled: hidden births that it named have the row's content and its
 * stamp. Inside a transaction on `rows`. */
enum syncline_status sl_living_settle(struct sl_core *core, struct sl_rows *rows,
                                      const struct sl_unsettled_entry *entry, uint32_t i,
                                      struct sl_error *err);

/* Records whose births were changed by what this device has settled: they are looked at once more,
 * when it is known what is pending. The applier's. false: no memory. */
bool sl_living_due_add(struct sl_living_due *due, const struct sl_allocator *alloc,
                       const struct sl_model *model, const struct syncline_uuid *uuid);
/* Also those that a delete of this device has left without a row, though a birth lives that it
 * could not name: of such a delete nothing need be in the log. */
enum syncline_status sl_living_run_due(struct sl_core *core, struct sl_pending *pending,
                                       struct sl_error *err);
/* May there be such records? Reads. */
enum syncline_status sl_living_is_due(struct sl_core *core, bool *due, struct sl_error *err);
/* The transaction of the last run_due was rolled back. */
void sl_living_undo_due(struct sl_core *core);

#endif
