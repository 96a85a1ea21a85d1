/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/call_memory.h"

#include <string.h>

#define BUFFER_SIZE ((size_t)4096) /* at first: 200 UUIDs without order */

void sl_call_memory_init(struct sl_call_memory *memory, const struct sl_core *core)
{
    memset(memory, 0, sizeof(*memory));
    sl_row_survey_init(&memory->survey, core->env->alloc, core->budget.staged_piece);
    sl_buf_init(&memory->births, core->env->alloc);
    /* Needed by one call in a hundred, and then here; if there is no memory now, they come later.
     */
    memory->rows.alloc = core->env->alloc;
    memory->rows.tables =
        sl_calloc(core->env->alloc, core->models.count, sizeof(*memory->rows.tables));
}

void sl_call_memory_fini(struct sl_call_memory *memory, size_t model_count)
{
    sl_rows_fini(&memory->rows, model_count);
    sl_row_survey_fini(&memory->survey);
    sl_buf_fini(&memory->births);
}

void sl_call_memory_trim(struct sl_call_memory *memory)
{
    sl_row_survey_trim(&memory->survey);
    if (memory->births.capacity > SL_SURVEY_KEPT_SIZE_MAX) {
        sl_buf_fini(&memory->births);
    }
}

static void free_memory(struct sl_call_memory *memory, const struct sl_core *core)
{
    sl_call_memory_fini(memory, core->models.count);
    sl_free(core->env->alloc, memory);
}

static struct sl_call_memory *new_memory(const struct sl_core *core)
{
    struct sl_call_memory *memory = sl_alloc(core->env->alloc, sizeof(*memory));
    if (memory != NULL) {
        sl_call_memory_init(memory, core);
    }
    return memory;
}

enum syncline_status sl_call_stock_init(struct sl_call_stock *stock, const struct sl_core *core)
{
    stock->first = NULL;
    stock->count = 0;
    if (pthread_mutex_init(&stock->lock, NULL) != 0) {
        return SYNCLINE_ENOMEM;
    }
    for (uint32_t i = 0; i < SL_CALLS_MADE; i++) {
        struct sl_call_memory *memory = new_memory(core);
        if (memory == NULL) {
            break; /* it can be made when it is needed */
        }
        (void)sl_buf_reserve(&memory->survey.ids, BUFFER_SIZE);
        (void)sl_buf_reserve(&memory->survey.uuids, BUFFER_SIZE);
        (void)sl_buf_reserve(&memory->births, BUFFER_SIZE);
        sl_buf_clear(&memory->survey.ids); /* what was missing is not held against it */
        sl_buf_clear(&memory->survey.uuids);
        sl_buf_clear(&memory->births);
        sl_call_stock_give(stock, core, memory);
    }
    return SYNCLINE_OK;
}

void sl_call_stock_fini(struct sl_call_stock *stock, const struct sl_core *core)
{
    while (stock->first != NULL) {
        struct sl_call_memory *memory = stock->first;
        stock->first = memory->next;
        free_memory(memory, core);
    }
    stock->count = 0;
    (void)pthread_mutex_destroy(&stock->lock);
}

struct sl_call_memory *sl_call_stock_take(struct sl_call_stock *stock, const struct sl_core *core)
{
    (void)pthread_mutex_lock(&stock->lock);
    struct sl_call_memory *memory = stock->first;
    if (memory != NULL) {
        stock->first = memory->next;
        stock->count--;
    }
    (void)pthread_mutex_unlock(&stock->lock);
    return memory != NULL ? memory : new_memory(core);
}

void sl_call_stock_give(struct sl_call_stock *stock, const struct sl_core *core,
                        struct sl_call_memory *memory)
{
    sl_call_memory_trim(memory);
    (void)pthread_mutex_lock(&stock->lock);
    bool kept = stock->count < SL_CALLS_KEPT_MAX;
    if (kept) {
        memory->next = stock->first;
        stock->first = memory;
        stock->count++;
    }
    (void)pthread_mutex_unlock(&stock->lock);
    if (!kept) {
        free_memory(memory, core);
    }
}
