/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Entries come and go in the same order, so their memory is a queue of chunks: an entry is cut off
 * the end of the newest chunk; a chunk whose entries are all gone is empty and may become the
 * newest again. How many are needed follows from how long settling takes, which is up to the
 * application's transactions: a few are made at the beginning, and a few are kept. */

#include "stages/unsettled.h"

#include <stdalign.h>
#include <string.h>

#define CHUNK_SIZE ((size_t)512 * 1024) /* 20,000 changes and their entries */
#define CHUNKS_MADE 4u                  /* when the first entry is */
#define CHUNKS_SPARE_MAX 8u             /* kept without an entry in them */
#define ALIGNMENT ((size_t)16)

struct sl_unsettled_chunk {
    struct sl_unsettled_chunk *next; /* newer; or the next spare one */
    size_t size;                     /* bytes of data */
    size_t used;                     /* of them */
    uint32_t entries;                /* that are not freed */
    alignas(16) unsigned char data[];
};

enum syncline_status sl_unsettled_init(struct sl_unsettled *list, const struct sl_allocator *alloc)
{
    memset(list, 0, sizeof(*list));
    list->alloc = alloc;
    if (pthread_mutex_init(&list->lock, NULL) != 0) {
        return SYNCLINE_ENOMEM;
    }
    sl_deletes_init(&list->deletes, alloc);
    return SYNCLINE_OK;
}

static void free_chunks(struct sl_unsettled *list, struct sl_unsettled_chunk *chunk)
{
    while (chunk != NULL) {
        struct sl_unsettled_chunk *next = chunk->next;
        sl_free(list->alloc, chunk);
        chunk = next;
    }
}

void sl_unsettled_fini(struct sl_unsettled *list)
{
    free_chunks(list, list->oldest);
    free_chunks(list, list->spare);
    list->oldest = NULL;
    list->newest = NULL;
    list->spare = NULL;
    list->spare_count = 0;
    sl_deletes_fini(&list->deletes);
    list->first = NULL;
    list->last = NULL;
    (void)pthread_mutex_destroy(&list->lock);
}

/* ---- Memory ---- */

static struct sl_unsettled_chunk *chunk_new(const struct sl_unsettled *list, size_t size)
{
    struct sl_unsettled_chunk *chunk = sl_alloc(list->alloc, sizeof(*chunk) + size);
    if (chunk != NULL) {
        *chunk = (struct sl_unsettled_chunk){.size = size};
    }
    return chunk;
}

/* Keeps an empty chunk of the usual size, or frees it. */
static void put_spare(struct sl_unsettled *list, struct sl_unsettled_chunk *chunk)
{
    if (chunk->size != CHUNK_SIZE || list->spare_count == CHUNKS_SPARE_MAX) {
        sl_free(list->alloc, chunk);
        return;
    }
    chunk->used = 0;
    chunk->next = list->spare;
    list->spare = chunk;
    list->spare_count++;
}

/* Takes an empty chunk out of the queue. */
static void retire(struct sl_unsettled *list, struct sl_unsettled_chunk *chunk)
{
    struct sl_unsettled_chunk *before = NULL;
    for (struct sl_unsettled_chunk *it = list->oldest; it != chunk; it = it->next) {
        before = it;
    }
    if (before != NULL) {
        before->next = chunk->next;
    } else {
        list->oldest = chunk->next;
    }
    list->newest = chunk == list->newest ? before : list->newest;
    put_spare(list, chunk);
}

/* A chunk with that much room becomes the newest. */
static bool add_chunk(struct sl_unsettled *list, size_t size)
{
    bool is_first = list->spare == NULL && list->newest == NULL;
    if (list->newest != NULL && list->newest->entries == 0) {
        retire(list, list->newest);
    }
    struct sl_unsettled_chunk *chunk = list->spare;
    if (chunk != NULL && size <= CHUNK_SIZE) {
        list->spare = chunk->next;
        list->spare_count--;
        chunk->next = NULL;
    } else {
        chunk = chunk_new(list, size > CHUNK_SIZE ? size : CHUNK_SIZE);
    }
    if (chunk == NULL) {
        return false;
    }
    if (list->newest != NULL) {
        list->newest->next = chunk;
    } else {
        list->oldest = chunk;
    }
    list->newest = chunk;
    while (is_first && list->spare_count < CHUNKS_MADE - 1) {
        struct sl_unsettled_chunk *spare = chunk_new(list, CHUNK_SIZE);
        if (spare == NULL) {
            break; /* it can be made when it is needed */
        }
        put_spare(list, spare);
    }
    return true;
}

/* An entry of that many bytes, of which the first are its own. */
static struct sl_unsettled_entry *cut_entry(struct sl_unsettled *list, uint32_t n, size_t size)
{
    struct sl_unsettled_entry *entry = NULL;
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if ((list->newest == NULL || list->newest->size - list->newest->used < size) &&
        !add_chunk(list, size)) {
        return NULL;
    }
    struct sl_unsettled_chunk *chunk = list->newest;
    void *memory = chunk->data + chunk->used;
    memset(memory, 0, size);
    chunk->used += size;
    chunk->entries++;
    entry = memory;
    entry->chunk = chunk;
    entry->n = n;
    return entry;
}

/* Cuts what each entry has off `memory`. */
static void cut_lists(struct sl_unsettled_entry *entry, void *memory)
{
    entry->ids = memory;
    entry->uuids = (struct syncline_uuid *)(entry->ids + entry->n);
    entry->changes = (uint8_t *)(entry->uuids + entry->n);
    entry->gone = entry->changes + entry->n;
}

static size_t lists_size(uint32_t n)
{
    const struct sl_unsettled_entry *entry = NULL;
    return n * (sizeof(*entry->ids) + sizeof(*entry->uuids) + sizeof(*entry->changes) +
                sizeof(*entry->gone));
}

struct sl_unsettled_entry *sl_unsettled_entry_new(struct sl_unsettled *list, uint32_t n)
{
    struct sl_unsettled_entry *entry = cut_entry(list, n, sizeof(*entry) + lists_size(n));
    if (entry != NULL) {
        cut_lists(entry, entry + 1);
    }
    return entry;
}

struct sl_unsettled_entry *sl_unsettled_entry_new_naming(struct sl_unsettled *list, uint32_t n,
                                                         uint32_t further_len)
{
    struct sl_unsettled_entry *entry = NULL;
    size_t size = n * sizeof(*entry->births) + further_len * sizeof(*entry->further);
    entry = cut_entry(list, n, sizeof(*entry) + size + lists_size(n));
    if (entry != NULL) {
        entry->births = (struct sl_birth *)(entry + 1);
        entry->further = (struct sl_further_birth *)(entry->births + n);
        entry->further_len = further_len;
        cut_lists(entry, entry->further + further_len);
    }
    return entry;
}

static bool birth_equal(const struct sl_birth *a, const struct sl_birth *b)
{
    return a->seq == b->seq && sl_origin_equal(&a->origin, &b->origin);
}

bool sl_unsettled_names(const struct sl_unsettled_entry *entry, uint32_t i,
                        const struct sl_birth *birth)
{
    bool names = entry->births != NULL && birth_equal(&entry->births[i], birth);
    for (uint32_t k = 0; k < entry->further_len && !names; k++) {
        names = entry->further[k].i == i && birth_equal(&entry->further[k].birth, birth);
    }
    return names;
}

_Static_assert(sizeof(struct sl_unsettled_entry) % alignof(struct sl_birth) == 0 &&
                   sizeof(struct sl_birth) % alignof(struct sl_further_birth) == 0 &&
                   sizeof(struct sl_further_birth) % alignof(int64_t) == 0,
               "each list is aligned where the one before it ends");

void sl_unsettled_entry_free(struct sl_unsettled *list, struct sl_unsettled_entry *entry)
{
    if (entry == NULL) {
        return;
    }
    struct sl_unsettled_chunk *chunk = entry->chunk;
    if (--chunk->entries > 0) {
        return;
    }
    if (chunk == list->newest) {
        chunk->used = 0;
        return;
    }
    retire(list, chunk);
}

/* ---- The list ---- */

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
    int64_t asked_from = 0; /* nobody asks about deletes before it, and itself */
    while (list->first != NULL && list->first->durable &&
           list->first->first_seq + list->first->n - 1 <= settled_seq) {
        struct sl_unsettled_entry *next = list->first->next;
        asked_from = next != NULL ? next->outbox_id : list->first->outbox_id;
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
    if (asked_from > 0) {
        sl_deletes_forget(&list->deletes, asked_from);
    }
    if (list->first == NULL || !list->first->recovered) {
        sl_deletes_forget_recovered(&list->deletes);
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

enum syncline_status sl_unsettled_read_deletes(struct sl_unsettled *list, struct sl_library_db *ldb,
                                               int64_t outbox_id, struct sl_error *err)
{
    (void)pthread_mutex_lock(&list->lock);
    int64_t asked_from = list->first != NULL ? list->first->outbox_id : outbox_id;
    enum syncline_status status = sl_deletes_read(&list->deletes, ldb, asked_from, false, err);
    (void)pthread_mutex_unlock(&list->lock);
    return status;
}

bool sl_unsettled_deleted_after(struct sl_unsettled *list, const struct sl_model *model,
                                const struct syncline_uuid *uuid, int64_t outbox_id)
{
    (void)pthread_mutex_lock(&list->lock);
    bool deleted = sl_deletes_after(&list->deletes, model->id_in_db, uuid, outbox_id);
    (void)pthread_mutex_unlock(&list->lock);
    return deleted;
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
