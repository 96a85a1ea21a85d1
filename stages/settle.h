/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* settle: writes what the log has made certain back to library.db - births, stamps, the own entry
 * of the applied vector - and removes drained outbox rows.
 *
 * Happy path: at the start of every apply, for nothing; by the engine's own connection when a
 * change has been in the log for a while; and where both find no time, in the transaction of a
 * capture, once enough waits to be worth it. It is idempotent: it begins where the own entry of the
 * applied vector, read in the same transaction, says the last one ended. If that transaction is
 * rolled back nothing has happened; entries leave memory only when their seqs are seen committed.
 *
 * A record may be deleted, and its id used again, between its capture and its settling. Whether any
 * record of the model was is known from the model's last delete (_syncline_model), and if nobody
 * captured that, from the births that stand at the ids; only then is each id checked against its
 * UUID. That delete may have been captured without a birth, so the
 * birth is kept for it apart (_syncline_late_birth) until it is in the log. */

#ifndef SL_SETTLE_H
#define SL_SETTLE_H

#include "stages/shared.h"

/* Settles everything durable inside the caller's write transaction on `rows`; on a connection other
 * than the writer's, up to the first change of a model that has hidden births. On the writer's,
 * core->living_due holds the records that are to be looked at again in the same transaction. Any
 * thread that holds SQLite's write lock. */
enum syncline_status sl_settle_into(struct sl_core *core, struct sl_rows *rows, uint64_t *settled,
                                    struct sl_error *err);
/* Such a transaction of the writer's was committed. The applier's. */
void sl_settle_committed(struct sl_core *core, uint64_t settled);

/* Settles everything durable in a transaction of the writer's. The applier's. */
enum syncline_status sl_settle_now(struct sl_core *core, struct sl_error *err);

struct sl_settle {
    struct sl_core *core;
    int64_t version; /* data_version when the own entry was last read */
    uint64_t due_ns; /* when waiting for a capture to do it is over; 0: nothing to do */
    bool shows;      /* a record may have lost its row, and have a birth to be shown */
};

void sl_settle_init(struct sl_settle *settle, struct sl_core *core);
/* One slice: notices what others settled, settles what waited long enough. The applier's. */
bool sl_settle_run(void *stage);

/* Fills the list of the unsettled from the log at open: own changes above the own applied entry. */
enum syncline_status sl_settle_recover(struct sl_core *core, struct sl_error *err);

#endif
