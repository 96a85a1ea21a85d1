/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How the memory of a library is shared out. One half is for sending: batches, each of which keeps
 * some bytes between two uses, and on top of that what records larger than a batch should be take
 * while they are under way. Of the other half, for receiving, segments that wait for the log may
 * take `incoming`; the rest is for the segment being applied, whose size the format limits, and for
 * what is queued to links. SQLite's caches and threads' stacks are not part of it. */

#ifndef SL_BUDGET_H
#define SL_BUDGET_H

#include <stddef.h>

struct sl_budget {
    size_t staged;       /* batches for captures */
    size_t staged_kept;  /* bytes that each may keep between two uses */
    size_t staged_piece; /* bytes of rows after which one is cut */
    size_t large;        /* bytes of rows beyond that, in all of them together */
    size_t reread; /* batches for calls of a few rows that are read again: many and small, since
                      each call takes one */
    size_t reread_kept; /* bytes that each may keep */
    size_t bulk;        /* batches for calls of many rows that are read again: few and large */
    size_t bulk_kept;   /* likewise */
    size_t incoming;    /* bytes of segments waiting for the log */
};

/* `memory`: bytes, at least SL_MEMORY_BUDGET_MIN. */
struct sl_budget sl_budget_share(size_t memory);

#endif
