/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/soak_records.h"

#include <stdlib.h>

#define CAPACITY_MIN 1024u

enum what { ADDED, CHANGED, REMOVED };

/* One step back. */
struct bench_soak_undo {
    enum what what;
    enum bench_soak_kind kind;
    size_t index;                 /* CHANGED, REMOVED */
    struct bench_soak_record old; /* the same */
};

void bench_soak_records_fini(struct bench_soak_records *records)
{
    for (size_t i = 0; i < BENCH_SOAK_KINDS; i++) {
        free(records->sets[i].items);
    }
    free(records->undo);
    *records = (struct bench_soak_records){.undo = NULL};
}

/* Room for one more of `size` bytes; NULL: out of memory, and what is there stays. */
static void *with_room(void *items, size_t len, size_t *capacity, size_t size)
{
    if (items != NULL && len < *capacity) {
        return items;
    }
    size_t more = *capacity > 0 ? 2 * *capacity : CAPACITY_MIN;
    void *grown = realloc(items, more * size);
    *capacity = grown != NULL ? more : *capacity;
    return grown;
}

static enum syncline_status note(struct bench_soak_records *records,
                                 const struct bench_soak_undo *undo)
{
    void *grown = with_room(records->undo, records->undo_len, &records->undo_capacity,
                            sizeof(*records->undo));
    if (grown == NULL) {
        return SYNCLINE_ENOMEM;
    }
    records->undo = grown;
    records->undo[records->undo_len++] = *undo;
    return SYNCLINE_OK;
}

enum syncline_status bench_soak_records_add(struct bench_soak_records *records,
                                            enum bench_soak_kind kind,
                                            const struct bench_soak_record *record)
{
    struct bench_soak_set *set = &records->sets[kind];
    void *grown = with_room(set->items, set->len, &set->capacity, sizeof(*set->items));
    if (grown == NULL) {
        return SYNCLINE_ENOMEM;
    }
    set->items = grown;
    const struct bench_soak_undo undo = {.what = ADDED, .kind = kind};
    enum syncline_status status = note(records, &undo);
    if (status == SYNCLINE_OK) {
        set->items[set->len++] = *record;
    }
    return status;
}

enum syncline_status bench_soak_records_change(struct bench_soak_records *records,
                                               enum bench_soak_kind kind, size_t index)
{
    struct bench_soak_set *set = &records->sets[kind];
    const struct bench_soak_undo undo = {
        .what = CHANGED, .kind = kind, .index = index, .old = set->items[index]};
    enum syncline_status status = note(records, &undo);
    if (status == SYNCLINE_OK) {
        set->items[index].version++;
    }
    return status;
}

enum syncline_status bench_soak_records_remove(struct bench_soak_records *records,
                                               enum bench_soak_kind kind, size_t index)
{
    struct bench_soak_set *set = &records->sets[kind];
    const struct bench_soak_undo undo = {
        .what = REMOVED, .kind = kind, .index = index, .old = set->items[index]};
    enum syncline_status status = note(records, &undo);
    if (status == SYNCLINE_OK) {
        set->items[index] = set->items[--set->len];
    }
    return status;
}

size_t bench_soak_records_mark(const struct bench_soak_records *records)
{
    return records->undo_len;
}

void bench_soak_records_undo(struct bench_soak_records *records, size_t mark)
{
    while (records->undo_len > mark) {
        const struct bench_soak_undo *undo = &records->undo[--records->undo_len];
        struct bench_soak_set *set = &records->sets[undo->kind];
        if (undo->what == ADDED) {
            set->len--;
        } else if (undo->what == CHANGED) {
            set->items[undo->index] = undo->old;
        } else { /* its place holds what was last before */
            set->items[set->len++] = set->items[undo->index];
            set->items[undo->index] = undo->old;
        }
    }
}

void bench_soak_records_commit(struct bench_soak_records *records)
{
    records->undo_len = 0;
}
