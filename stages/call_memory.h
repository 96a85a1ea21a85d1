/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What one capture works in: statements over its connection, the survey of its rows, bytes for its
 * outbox row. An attached connection has one of these for itself (stages/attached). The other calls
 * share a stock, from which a call takes one and to which it gives it back, so that captures
 * allocate only when more of them are under way at once than there were before. */

#ifndef SL_CALL_MEMORY_H
#define SL_CALL_MEMORY_H

#include <pthread.h>

#include "stages/row_survey.h"
#include "stages/shared.h"

struct sl_call_memory {
    struct sl_rows rows; /* over the connection, while it has one; without tables at first */
    struct sl_row_survey survey; /* of the rows of the call */
    struct sl_buf births;        /* for its outbox row */
    struct sl_call_memory *next; /* in the stock */
};

void sl_call_memory_init(struct sl_call_memory *memory, const struct sl_core *core);
/* The connection must have been given back or be the calling thread's. */
void sl_call_memory_fini(struct sl_call_memory *memory, size_t model_count);
/* Gives back what one large call made it take. */
void sl_call_memory_trim(struct sl_call_memory *memory);

/* Any thread; nothing blocks but for a moment. */
struct sl_call_stock {
    pthread_mutex_t lock;         /* guards the rest */
    struct sl_call_memory *first; /* the last one given back */
    uint32_t count;               /* at most SL_CALLS_KEPT_MAX */
};

/* With memory for SL_CALLS_MADE calls, as far as there is some. */
enum syncline_status sl_call_stock_init(struct sl_call_stock *stock, const struct sl_core *core);
/* All must have been given back. */
void sl_call_stock_fini(struct sl_call_stock *stock, const struct sl_core *core);
/* NULL: no memory. */
struct sl_call_memory *sl_call_stock_take(struct sl_call_stock *stock, const struct sl_core *core);
/* Its connection must have been given back. */
void sl_call_stock_give(struct sl_call_stock *stock, const struct sl_core *core,
                        struct sl_call_memory *memory);

#endif
