/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/promises.h"

#include "base/alloc.h"
#include "base/vector.h"

struct sl_promise {
    const struct sl_model *model; /* NULL: the slot is empty */
    struct syncline_uuid uuid;
    int64_t id;
    bool stands;
};

void sl_promises_init(struct sl_promises *promises, const struct sl_allocator *alloc)
{
    *promises = (struct sl_promises){.alloc = alloc};
}

void sl_promises_clear(struct sl_promises *promises)
{
    sl_free(promises->alloc, promises->slots);
    sl_promises_init(promises, promises->alloc);
}

/* The slot of a record, or the empty one where it would be. */
static struct sl_promise *slot_of(struct sl_promise *slots, size_t capacity,
                                  const struct sl_model *model, const struct syncline_uuid *uuid)
{
    size_t at = (sl_uuid_hash(uuid) + model->index) & (capacity - 1);
    while (slots[at].model != NULL &&
           (slots[at].model != model || !sl_uuid_equal(&slots[at].uuid, uuid))) {
        at = (at + 1) & (capacity - 1);
    }
    return &slots[at];
}

static bool grow(struct sl_promises *promises)
{
    size_t capacity = promises->capacity == 0 ? 64 : 2 * promises->capacity;
    struct sl_promise *slots = sl_calloc(promises->alloc, capacity, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < promises->capacity; i++) {
        const struct sl_promise *promise = &promises->slots[i];
        if (promise->model != NULL) {
            *slot_of(slots, capacity, promise->model, &promise->uuid) = *promise;
        }
    }
    sl_free(promises->alloc, promises->slots);
    promises->slots = slots;
    promises->capacity = capacity;
    return true;
}

bool sl_promise_make(struct sl_promises *promises, const struct sl_model *model,
                     const struct syncline_uuid *uuid, int64_t id)
{
    if (2 * (promises->len + 1) > promises->capacity && !grow(promises)) {
        return false;
    }
    struct sl_promise *slot = slot_of(promises->slots, promises->capacity, model, uuid);
    if (slot->model == NULL) {
        *slot = (struct sl_promise){.model = model, .uuid = *uuid, .id = id, .stands = true};
        promises->len++;
        promises->standing++;
    }
    return true;
}

static struct sl_promise *find(const struct sl_promises *promises, const struct sl_model *model,
                               const struct syncline_uuid *uuid)
{
    if (promises->standing == 0) {
        return NULL;
    }
    struct sl_promise *slot = slot_of(promises->slots, promises->capacity, model, uuid);
    return slot->model != NULL && slot->stands ? slot : NULL;
}

bool sl_promise_find(const struct sl_promises *promises, const struct sl_model *model,
                     const struct syncline_uuid *uuid, int64_t *id)
{
    const struct sl_promise *promise = find(promises, model, uuid);
    if (promise != NULL) {
        *id = promise->id;
    }
    return promise != NULL;
}

void sl_promise_withdraw(struct sl_promises *promises, const struct sl_model *model,
                         const struct syncline_uuid *uuid)
{
    struct sl_promise *promise = find(promises, model, uuid);
    if (promise != NULL) {
        promise->stands = false;
        promises->standing--;
    }
}
