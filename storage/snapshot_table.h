/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How far this device is in taking a snapshot, in library.db:
 *
 *     _syncline_snapshot         one row while one is under way: records brought, about how many
 *                                there are, and when it began (ms of the wall clock)
 *     _syncline_snapshot_origin  origins of the cut: cut_seq, up to which the snapshot brings what
 *                                lives; live_seq, up to which changes above it were applied as they
 *                                came; the highest clock value in the cut; and the end of its
 *                                segment (base/segment.h)
 *     _syncline_snapshot_model   models that it brings: the least UUID that is still to come; NULL:
 *                                none is
 *
 * It moves in the transaction of the rows that a page brings. Statements are made for each call.
 * Belongs to the connection's thread; all calls but the first three work inside the caller's
 * transaction. */

#ifndef SL_SNAPSHOT_TABLE_H
#define SL_SNAPSHOT_TABLE_H

#include "base/segment.h"
#include "storage/library_db.h"

struct sl_snapshot_row {
    uint64_t records; /* that were brought */
    uint64_t total;   /* about so many there are */
    uint64_t began_ms;
};

struct sl_snapshot_origin {
    int64_t number; /* in _syncline_origin */
    uint64_t cut_seq;
    uint64_t live_seq; /* at least what was applied before, and the cut */
    uint64_t last_hlc;
    uint8_t end[SL_SEGMENT_END_SIZE];
};

/* *found = false: none is under way. */
enum syncline_status sl_snapshot_get(struct sl_library_db *ldb, bool *found,
                                     struct sl_snapshot_row *row, struct sl_error *err);
/* The next after the one with this number; 0 before the first. */
enum syncline_status sl_snapshot_origin_next(struct sl_library_db *ldb, int64_t after, bool *found,
                                             struct sl_snapshot_origin *origin,
                                             struct sl_error *err);
/* *found: it brings the model; *done: it has; else `lo` is still to come. */
enum syncline_status sl_snapshot_model_get(struct sl_library_db *ldb, int64_t model, bool *found,
                                           bool *done, struct syncline_uuid *lo,
                                           struct sl_error *err);

/* One begins; then its origins, and its models, from the least UUID there is. */
enum syncline_status sl_snapshot_begin(struct sl_library_db *ldb, const struct sl_snapshot_row *row,
                                       struct sl_error *err);
enum syncline_status sl_snapshot_origin_put(struct sl_library_db *ldb,
                                            const struct sl_snapshot_origin *origin,
                                            struct sl_error *err);
enum syncline_status sl_snapshot_model_put(struct sl_library_db *ldb, int64_t model,
                                           struct sl_error *err);
/* Changes of the origin were applied up to this one. */
enum syncline_status sl_snapshot_set_live(struct sl_library_db *ldb, int64_t origin, uint64_t seq,
                                          struct sl_error *err);
/* What is below `lo` of the model is here; NULL: all of it. So many records came with it. */
enum syncline_status sl_snapshot_advance(struct sl_library_db *ldb, int64_t model,
                                         const struct syncline_uuid *lo, uint64_t records,
                                         struct sl_error *err);
/* It is over. */
enum syncline_status sl_snapshot_end(struct sl_library_db *ldb, struct sl_error *err);

#endif
