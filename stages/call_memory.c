/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/call_memory.h"

#include <string.h>

void sl_call_memory_init(struct sl_call_memory *memory, const struct sl_core *core)
{
    memset(memory, 0, sizeof(*memory));
    sl_row_survey_init(&memory->survey, core->env->alloc, core->budget.staged_piece);
    sl_buf_init(&memory->births, core->env->alloc);
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

enum syncline_status sl_call_stock_init(struct sl_call_stock *stock)
{
    stock->first = NULL;
    stock->count = 0;
    return pthread_mutex_init(&stock->lock, NULL) == 0 ? SYNCLINE_OK : SYNCLINE_ENOMEM;
}

static void free_memory(struct sl_call_memory *memory, const struct sl_core *core)
{
    sl_call_memory_fini(memory, core->models.count);
    sl_free(core->env->alloc, memory);
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
    if (memory != NULL) {
        return memory;
    }
    memory = sl_alloc(core->env->alloc, sizeof(*memory));
    if (memory != NULL) {
        sl_call_memory_init(memory, core);
    }
    return memory;
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
