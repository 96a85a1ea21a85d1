/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Which outbox row names a record last? For those who need to know of one change that another one
 * follows, and who ask it of record after record while the outbox may be long:
 *
 *     intake        what is read again is sent with the last row that names it, not before
 *     fk_resolve,
 *     settle        a change of a record that a later row deletes is superseded
 *     reconcile     a change of a record that has one pending loses
 *
 * Happy path: each takes in the rows of the kind it asks about, once, as they appear; ids of outbox
 * rows only rise and a committed row does not change, so what was taken in stays true. Records are
 * held as runs of UUIDs that count up. Most of the runs are sorted, and searched by halves; the
 * newest are not, and looked through, until they are many and are merged in. Of the same run named
 * twice the last is kept; what nobody asks about any more goes at the next merge, which comes in
 * time even if nobody asks at all.
 *
 * Failure modes: without memory nothing of the row is taken in, and it is read again at the next
 * try. Rows that are not committed must not be taken in, but for a while (sl_mentions_clear). */

#ifndef SL_MENTIONS_H
#define SL_MENTIONS_H

#include "storage/library_db.h"

struct sl_mention; /* one run */

struct sl_mentions {
    struct sl_mention *runs; /* ours */
    size_t len;
    size_t sorted; /* so many of them are in order, each once */
    size_t capacity;
    int64_t read_to;                  /* outbox rows up to this one were looked at */
    int64_t newest;                   /* the last row that is in */
    int64_t wanted_from;              /* nobody asks about rows before this one */
    const struct sl_allocator *alloc; /* borrowed for life */
};

/* A record of an outbox row: `at` records of the row come before it. row 0: none. */
struct sl_mention_place {
    int64_t row;
    uint32_t at;
};

/* Is this row of the kind that is taken in? */
typedef enum syncline_status (*sl_mentions_wanted)(void *ctx, const struct sl_outbox_row *row,
                                                   bool *wanted, struct sl_error *err);

void sl_mentions_init(struct sl_mentions *mentions, const struct sl_allocator *alloc);
/* Room for so many runs, if there is memory; else it comes as it is needed. */
void sl_mentions_prepare(struct sl_mentions *mentions, size_t len);
void sl_mentions_fini(struct sl_mentions *mentions);
/* Forgets all, also what was read; keeps memory up to SL_ARENA_KEPT_MAX. */
void sl_mentions_clear(struct sl_mentions *mentions);

/* Takes in n records that count up, named by the row from its record `at` on. false: no memory. */
bool sl_mentions_add(struct sl_mentions *mentions, int64_t model, const struct syncline_uuid *first,
                     uint32_t n, struct sl_mention_place place);
/* Takes in those rows after max(read_to, after) that are wanted. Inside the caller's transaction.
 * Errors: EDB, ENOMEM, ..., and those of `wanted`. */
enum syncline_status sl_mentions_read(struct sl_mentions *mentions, struct sl_library_db *ldb,
                                      int64_t after, sl_mentions_wanted wanted, void *ctx,
                                      struct sl_error *err);
/* Where a record is named last. Sorts, now and then. */
struct sl_mention_place sl_mentions_last(struct sl_mentions *mentions, int64_t model,
                                         const struct syncline_uuid *uuid);
/* Nobody will ask about rows before this one. */
void sl_mentions_forget(struct sl_mentions *mentions, int64_t row);

#endif
