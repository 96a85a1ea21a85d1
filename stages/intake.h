/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* intake: finds committed outbox rows and turns them into batches, in the order of the outbox.
 *
 * Happy path: data_version says that somebody committed; the next outbox row is read; the staged
 * batch with its token is the one the application's thread copied, and goes on as it is. Batches
 * staged before it whose own rows are not there were rolled back: a later capture is committed, and
 * captures commit in the order in which they took the write lock.
 *
 * Without a staged batch - another process captured, a crash lost the memory, the pool was empty -
 * the records are read again, in the transaction that reads the outbox row. What is not there any
 * more, or has another UUID, is superseded by its delete, which follows; an update goes on all the
 * same, marked as gone, for its delete may not follow (stages/fk_resolve). A record read again may
 * be newer than its outbox row, and may point at one whose insert comes later; so the segments of
 * everything captured up to that moment say that others follow which belong to them
 * (SL_SEGMENT_CONTINUED). And it is sent with the last row that mentions it, not before
 * (mentions.h): sent before, another device could build on it and lose to the last mention. But a
 * delete in between is one of all that this device has below the deleted, as others know it: an
 * update may have moved a record away from there. So before a delete, device-owned records, which
 * nobody else builds on, are sent with every row that mentions them. The batches for that are of
 * two pools: calls of a few rows, of which there are many, get small ones, and calls of many rows
 * large ones. A batch takes as many changes as it can keep memory for, so that reading again
 * allocates nothing, either.
 *
 * A row of a model that was not given at open stops intake, with a notice: order is kept. */

#ifndef SL_INTAKE_H
#define SL_INTAKE_H

#include "stages/mentions.h"
#include "stages/shared.h"

struct sl_intake {
    struct sl_core *core;
    int64_t last_id;             /* outbox rows up to this one were taken whole */
    uint32_t offset;             /* changes of the next row already taken */
    int64_t version;             /* data_version when the outbox was last read to its end */
    bool more;                   /* it may hold more rows than were taken */
    bool stopped;                /* by a row that this handle cannot read */
    struct sl_mentions mentions; /* later rows that name records of those read again */
    int64_t newest_delete;       /* the last row with deletes that was met with them */
    struct sl_batch *staged[SL_STAGED_LEN_MAX]; /* popped and not matched yet, oldest first */
    size_t staged_len;
};

/* Continues after the newest drained row (core->drained). */
void sl_intake_init(struct sl_intake *intake, struct sl_core *core);
void sl_intake_fini(struct sl_intake *intake);
bool sl_intake_run(void *stage);

/* Reads the batch's records again, as they are now, inside the caller's read transaction on `rows`,
 * into batch->values. Records that are gone, or whose id is another record's now, leave the batch.
 * A staged batch keeps its rows, and only the keys of what was read are used. After data_max bytes
 * of text and blobs the batch is cut short (taken_n); SIZE_MAX: it is not. */
enum syncline_status sl_intake_read_again(struct sl_core *core, struct sl_rows *rows,
                                          struct sl_batch *batch, size_t data_max,
                                          struct sl_error *err);

/* Can a record be sent as its table holds it? The application may have written what its row struct
 * could not say. If not, the reason is set. */
bool sl_intake_can_be_sent(const struct sl_model *model, const struct sl_value *values,
                           const struct sl_field *orphan, char reason[200]);

/* Rows of the outbox before `newest` may point at records that only later ones bring, up to it:
 * what goes into the log for them is continued. Any thread. */
void sl_intake_note_later(struct sl_core *core, int64_t newest);

#endif
