/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One page of a snapshot, written into the tables: what lives on the provider of one model's
 * records in one range of UUIDs, as far as the cut covers its births.
 *
 * Page and tables are gone through together, in the order of the UUIDs. Of each birth:
 *
 *     the page brings it, it is here       merged, as an update with the stamp that the page says
 *     it brings it, it is not here         inserted, by the rules that hold for a received insert;
 * but it was applied before            not at all: this device knows of its delete it is above the
 * cut              not yet: the log brings it, and what is done to it it is here, the page does not
 * dead, if the cut covers it: deleted while this device did bring it                           not
 * hear of it, by whom nobody can say the provider could not write it      set aside here, too; if
 * it is here it stays as it is
 *
 * What is stamped of a device-owned record is not known on other devices. Its content counts as
 * that of the end of its owner's log in the cut: later than what was here before the snapshot, and
 * earlier than what has come since.
 *
 * A slice of the applier's works through a page for as long as it may hold the write lock, in steps
 * of some hundred records, after each of which the place of the snapshot moves. */

#ifndef SL_SNAPSHOT_APPLY_H
#define SL_SNAPSHOT_APPLY_H

#include "base/page.h"
#include "stages/apply_record.h"

/* The work of one slice. */
struct sl_page_slice {
    struct sl_record_writer *writer;
    struct sl_arena *arena; /* of the slice */
    const uint8_t *data;    /* the page, as sl_page_get took it; borrowed */
    size_t size;
    bool carefully; /* each record in a savepoint; what cannot be written is set aside */
    bool cannot;    /* or one could not be: to be rolled back, and done carefully */
    uint64_t end_ns;
    bool done;        /* nothing of the page is left */
    uint64_t records; /* that it has brought */
};

/* Inside the applier's transaction, as settled and reconciled as for a segment's. The place
 * of the snapshot in memory has moved, also on failure and with `cannot`. Errors: EPROTO,
 * EUNSUPPORTED (the page), AGAIN, of the database. */
enum syncline_status sl_page_slice_run(struct sl_page_slice *slice, struct sl_error *err);

#endif
