/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* scan: takes in the rows that were in a table before its model was first given - before the
 * library was made, that is, or before the application came to sync that table. Each becomes an
 * insert of this device's.
 *
 * Happy path: when a model gets its number, the highest id of its table is noted in the same
 * transaction (_syncline_scan): above it everybody captures. Slice by slice the applier takes
 * SQLite's write lock, looks at the next 1000 rows by id, and writes one outbox row that names
 * those which nobody has named yet; the mark moves in the same transaction. From there they go the
 * way of all captures of which no struct is at hand: intake reads them again. A slice waits until
 * what the one before the last wrote is in the log, so that the outbox does not grow.
 *
 * The rule: a row is taken in if and only if it has no birth and no outbox row names it, both read
 * in the transaction that takes it in. That is enough, for whatever was captured is named by its
 * outbox row until settle, in one transaction, gives it its birth and removes that row; and what
 * was received has its birth from the transaction that inserted it. So each is taken in once,
 * whatever fails between two slices and however often the library is opened meanwhile.
 *
 * Parents go before their children: model after model in the order of their keys, and where a table
 * refers to itself, or tables to each other in a circle, a row takes the parents along that are not
 * taken in yet, and those theirs, before it in the same transaction; the rows of a circle all
 * together. There may be more than one slice holds, in a long chain: then the slice ends, and the
 * next one begins where this one has come to, until the first of the chain is found. After so many
 * slices without a find, the chain is a circle, or longer than anybody's; it is taken in from
 * there.
 *
 * Failure modes: while somebody else writes, it comes again later. A row without a UUID of 16 bytes
 * cannot be named, and is set aside with its id. What cannot be sent for another reason is set
 * aside by intake. A row that is deleted before it is taken in is never sent; a record that
 * was sent before and pointed at it is set aside at the receiver. Two devices that hold rows of one
 * UUID from before are both right, and each sets the other's aside. */

#ifndef SL_SCAN_H
#define SL_SCAN_H

#include "stages/mentions.h"
#include "stages/shared.h"
#include "storage/record_scan.h"

struct sl_scan_model; /* how far one model is */
struct sl_scan_aside;

struct sl_scan {
    struct sl_core *core;
    struct sl_scan_model *models; /* ours; by the model's index; NULL: none was ever to be done */
    uint32_t *order;              /* ours; their indexes, parents before children */
    size_t next;                  /* in order: the one under way */
    size_t left;                  /* models not done */
    struct sl_mentions named;     /* records that outbox rows name */
    int64_t settled_to;           /* of them, up to this row: they have their births */
    struct sl_arena arena;        /* of one slice */
    int64_t outbox_id;            /* the newest row that it wrote */
    int64_t outbox_id_before;     /* and the one of the slice before */
    uint32_t descents;            /* slices in a row that found no first parent */
    const struct sl_model *deep;  /* where the last of them ended; NULL: nowhere */
    int64_t deep_id;
    struct sl_scan_aside *asides; /* of the slice under way: rows without a UUID, newest first */
    uint64_t not_before_ns;       /* after a failure */
};

/* Reads what is to be done. Errors: EDB, ENOMEM. `scan` is to be given to fini in any case. */
enum syncline_status sl_scan_init(struct sl_scan *scan, struct sl_core *core, struct sl_error *err);
void sl_scan_fini(struct sl_scan *scan);
/* One slice. The applier's. */
bool sl_scan_run(void *stage);
/* Is nothing to be taken in? */
bool sl_scan_is_idle(const struct sl_scan *scan);
/* Ranges were opened anew (sl_scan_mark_open), and that is committed. */
enum syncline_status sl_scan_reopen(struct sl_scan *scan, struct sl_error *err);
/* The models in the order in which they are gone through, parents before children; and the rows of
 * one. */
const struct sl_model *sl_scan_model_at(const struct sl_scan *scan, size_t place);
struct sl_record_scan *sl_scan_rows(struct sl_scan *scan, const struct sl_model *model);
/* What a row without a UUID is called when it is set aside; its id. */
struct syncline_uuid sl_scan_stand_in(int64_t id);
bool sl_scan_is_stand_in(const struct syncline_uuid *uuid, int64_t *id);
/* Would a slice do something now, but for other writers? The applier's. */
bool sl_scan_is_due(const struct sl_scan *scan);

#endif
