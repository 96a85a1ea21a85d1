/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/unsettled.h"

enum syncline_status sl_unsettled_init(struct sl_unsettled *list, const struct sl_allocator *alloc)
{
    list->alloc = alloc;
    list->first = NULL;
    list->last = NULL;
    list->new_len = 0;
    list->new_changes = 0;
    return pthread_mutex_init(&list->lock, NULL) == 0 ? SYNCLINE_OK : SYNCLINE_ENOMEM;
}

void sl_unsettled_fini(struct sl_unsettled *list)
{
    while (list->first != NULL) {
        struct sl_unsettled_entry *next = list->first->next;
        sl_unsettled_entry_free(list, list->first);
        list->first = next;
    }
    list->last = NULL;
    (void)pthread_mutex_destroy(&list->lock);
}

struct sl_unsettled_entry *sl_unsettled_entry_new(struct sl_unsettled *list, uint32_t n)
{
    struct sl_unsettled_entry *entry = sl_calloc(list->alloc, 1, sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    entry->n = n;
    entry->ids = sl_calloc(list->alloc, n, sizeof(*entry->ids));
    entry->uuids = sl_calloc(list->alloc, n, sizeof(*entry->uuids));
    entry->changes = sl_calloc(list->alloc, n, sizeof(*entry->changes));
    if (entry->ids == NULL || entry->uuids == NULL || entry->changes == NULL) {
        sl_unsettled_entry_free(list, entry);
        return NULL;
    }
    return entry;
}

void sl_unsettled_entry_free(struct sl_unsettled *list, struct sl_unsettled_entry *entry)
{
    if (entry == NULL) {
        return;
    }
    sl_free(list->alloc, entry->ids);
    sl_free(list->alloc, entry->uuids);
    sl_free(list->alloc, entry->changes);
    sl_free(list->alloc, entry);
}

/* The range of UUIDs; true: they rise. n > 0. */
static bool find_range(const struct syncline_uuid *uuids, uint32_t n, struct syncline_uuid *least,
                       struct syncline_uuid *most)
{
    bool sorted = true;
    *least = uuids[0];
    *most = uuids[0];
    for (uint32_t i = 1; i < n; i++) {
        sorted = sorted && sl_uuid_compare(&uuids[i - 1], &uuids[i]) < 0;
        if (sl_uuid_compare(&uuids[i], most) > 0) {
            *most = uuids[i];
        } else if (sl_uuid_compare(&uuids[i], least) < 0) {
            *least = uuids[i];
        }
    }
    return sorted;
}

void sl_unsettled_append(struct sl_unsettled *list, struct sl_unsettled_entry *entry)
{
    entry->sorted = find_range(entry->uuids, entry->n, &entry->least, &entry->most);
    (void)pthread_mutex_lock(&list->lock);
    entry->next = NULL;
    entry->prev = list->last;
    if (list->last != NULL) {
        list->last->next = entry;
    } else {
        list->first = entry;
    }
    list->last = entry;
    (void)pthread_mutex_unlock(&list->lock);
}

void sl_unsettled_set_durable(struct sl_unsettled *list, struct sl_unsettled_entry *entry,
                              uint64_t first_hlc)
{
    (void)pthread_mutex_lock(&list->lock);
    entry->first_hlc = first_hlc;
    entry->durable = true;
    list->new_len++;
    list->new_changes += entry->n;
    (void)pthread_mutex_unlock(&list->lock);
}

void sl_unsettled_drop(struct sl_unsettled *list, uint64_t settled_seq)
{
    (void)pthread_mutex_lock(&list->lock);
    while (list->first != NULL && list->first->durable &&
           list->first->first_seq + list->first->n - 1 <= settled_seq) {
        struct sl_unsettled_entry *next = list->first->next;
        sl_unsettled_entry_free(list, list->first);
        list->first = next;
        if (next != NULL) {
            next->prev = NULL;
        } else {
            list->last = NULL;
            list->new_len = 0;
            list->new_changes = 0;
        }
    }
    (void)pthread_mutex_unlock(&list->lock);
}

bool sl_unsettled_take_along(struct sl_unsettled *list, uint32_t len, uint64_t changes)
{
    (void)pthread_mutex_lock(&list->lock);
    bool due = list->new_len >= len || list->new_changes >= changes;
    if (due) {
        list->new_len = 0;
        list->new_changes = 0;
    }
    (void)pthread_mutex_unlock(&list->lock);
    return due;
}

/* The last place of the UUID in the entry, or n. */
static uint32_t find_in(const struct sl_unsettled_entry *entry, const struct syncline_uuid *uuid)
{
    if (!entry->sorted) {
        for (uint32_t i = entry->n; i > 0; i--) {
            if (sl_uuid_equal(&entry->uuids[i - 1], uuid)) {
                return i - 1;
            }
        }
        return entry->n;
    }
    uint32_t low = 0;
    uint32_t high = entry->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = sl_uuid_compare(&entry->uuids[middle], uuid);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return entry->n;
}

static bool in_range(const struct sl_unsettled_entry *entry, const struct syncline_uuid *uuid)
{
    return sl_uuid_compare(uuid, &entry->least) >= 0 && sl_uuid_compare(uuid, &entry->most) <= 0;
}

bool sl_unsettled_may_have(struct sl_unsettled *list, const struct sl_model *model,
                           const struct syncline_uuid *uuids, uint32_t n)
{
    struct syncline_uuid least;
    struct syncline_uuid most;
    (void)find_range(uuids, n, &least, &most);
    bool any = false;
    (void)pthread_mutex_lock(&list->lock);
    for (const struct sl_unsettled_entry *it = list->first; it != NULL && !any; it = it->next) {
        any = it->model == model && sl_uuid_compare(&most, &it->least) >= 0 &&
              sl_uuid_compare(&least, &it->most) <= 0;
    }
    (void)pthread_mutex_unlock(&list->lock);
    return any;
}

uint64_t sl_unsettled_birth(struct sl_unsettled *list, const struct sl_model *model,
                            const struct syncline_uuid *uuid)
{
    uint64_t seq = 0;
    (void)pthread_mutex_lock(&list->lock);
    for (const struct sl_unsettled_entry *entry = list->last; entry != NULL; entry = entry->prev) {
        if (entry->model != model || !in_range(entry, uuid)) {
            continue;
        }
        uint32_t at = find_in(entry, uuid);
        if (at == entry->n || entry->changes[at] == SYNCLINE_UPDATE) {
            continue; /* an update says nothing of the birth: look further back */
        }
        seq = entry->changes[at] == SYNCLINE_INSERT ? entry->first_seq + at : 0;
        break;
    }
    (void)pthread_mutex_unlock(&list->lock);
    return seq;
}
