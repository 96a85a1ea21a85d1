/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* log_append: the one appender. Stamps, seals and commits everything that waits, in one transaction
 * of sync.db: the durability point. Nothing leaves this device before.
 *
 * Happy path: batches in their order, as many to a segment as fit into batch_len; each gets its
 * clock values; the segment gets the hash of its predecessor and our signature; segments, drained
 * outbox rows and records set aside are committed together. Only then do the head of the log, the
 * clock and the drained row move in memory, and the batches go back to their pools.
 *
 * Before all that the WAL of library.db is synced, once for all that waits: no outbox row may be
 * drained that a power cut could take back (docs/decisions/0007).
 *
 * Drained outbox rows are remembered with their tokens and the last change that came of each, the
 * newest some thousands: for a restart, for a library.db that has lost commits, and for tickets.
 *
 * After a commit it lingers for a few milliseconds, so that a stream of batches costs one sync of
 * the disk for several; a change that comes when nothing did before it is appended at once.
 *
 * A sync that fails is final for its handle: stages/reopen.h.
 *
 * On any failure the transaction is rolled back, nothing has moved, and the batches keep their
 * place at the head for the next try: seqs are given once. */

#ifndef SL_LOG_APPEND_H
#define SL_LOG_APPEND_H

#include <zstd.h>

#include "stages/shared.h"

#define SL_APPEND_BATCHES_MAX 64      /* in one transaction */
#define SL_APPEND_CHANGES_FULL 16000u /* in hand: there is no waiting for more */

struct sl_log_append {
    struct sl_core *core;
    struct sl_library_db library_db;                 /* to sync its WAL through */
    struct sl_batch *batches[SL_APPEND_BATCHES_MAX]; /* taken and not committed, in order */
    size_t len;
    struct sl_buf raw;    /* body of the segment under way */
    struct sl_buf sealed; /* its bytes */
    uint64_t segments;    /* of the transaction under way */
    uint64_t bytes;       /* in them */
    uint64_t drained;     /* outbox rows that are remembered, a few more at most */
    ZSTD_CCtx *zstd;
    uint64_t retry_ns;  /* after a failure: not before */
    uint64_t linger_ns; /* after a commit: not before, unless there is a full transaction's worth */
};

/* library_db: path of the application's database. On failure nothing is left. */
enum syncline_status sl_log_append_init(struct sl_log_append *append, struct sl_core *core,
                                        const char *library_db, struct sl_error *err);
void sl_log_append_fini(struct sl_log_append *append);
bool sl_log_append_run(void *stage);

#endif
