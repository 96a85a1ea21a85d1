/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* fk_resolve: local ids become UUIDs, and changes become what they really are.
 *
 * Happy path, in one read transaction: each distinct parent id of the batch is found in the batch
 * itself, in the UUID map, or by one query for all that are left of one key field; each updated
 * record gets the birth it was born with; the changes get their (provisional) seqs and an entry in
 * the list of the unsettled. Inserts need no look-up at all.
 *
 * Failure modes:
 * - A parent was deleted after the capture, so that its id may be another record's by now: seen by
 * the model's last delete. The records are then read again as they are now.
 * - There is no UUID map, or it fails: queries alone do the same.
 * - A parent is not in its table at all: the record is left out, with a reason that log_append sets
 *   aside; the batch goes on.
 * - An update or a repeated insert of a record that is gone: superseded by its delete, left out. If
 *   no delete of it was captured, it went with one that it pointed at; the others may not know that
 *   it pointed there, so the sweep is asked to look at its birth.
 * - A birth that stands at the id is of a record that went so, and the id was used again: the log
 *   is asked (stages/birth_check), where an insert meets a birth, where the row's birth is not
 *   what the capture saw, and of rows that an insert left out may concern. An
 *   update of a record that was never born here is its insert; an insert of one that is born is an
 *   update; a delete of one that never was is nothing. */

#ifndef SL_FK_RESOLVE_H
#define SL_FK_RESOLVE_H

#include "stages/birth_check.h"
#include "stages/shared.h"
#include "storage/uuid_map.h"

struct sl_fk_resolve {
    struct sl_core *core;
    struct sl_batch *batch; /* taken and not finished; kept over a failure */
    struct sl_uuid_map map; /* of this stage alone */
    struct sl_birth_check check;
    int64_t doubted_to; /* outbox rows up to this one: an insert was left out that a later row
                           may be about, and what its capture saw be of another record */
    bool has_begun;
    uint64_t now_ms; /* monotonic, of this run: for the map */
};

/* map_path, map_size: as for sl_uuid_map_open. */
void sl_fk_resolve_init(struct sl_fk_resolve *resolve, struct sl_core *core, const char *map_path,
                        size_t map_size);
void sl_fk_resolve_fini(struct sl_fk_resolve *resolve);
bool sl_fk_resolve_run(void *stage);

#endif
