/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The membership log as any process reads it: from sync.db, each time anew. */

#include "pipeline/library_view.h"

#include <stdio.h>
#include <string.h>

#include "storage/membership_table.h"

_Static_assert((int)SYNCLINE_STANDING_MEMBER == (int)SL_STANDING_MEMBER &&
                   (int)SYNCLINE_STANDING_LEFT == (int)SL_STANDING_LEFT &&
                   (int)SYNCLINE_STANDING_REVOKED == (int)SL_STANDING_REVOKED,
               "the public numbers are ours");

/* A set of its own, with what it needs. */
struct reading {
    struct sl_hasher *hasher;
    struct sl_membership set;
};

static void reading_fini(struct reading *reading)
{
    if (reading->set.alloc != NULL) {
        sl_membership_fini(&reading->set);
    }
    sl_hasher_free(reading->hasher);
}

/* Ours until reading_fini, on failure too. */
static enum syncline_status read_set(struct sl_library *library, struct reading *reading,
                                     struct sl_error *err)
{
    struct sl_core *core = sl_library_core(library);
    *reading = (struct reading){.hasher = sl_hasher_new(core->env->alloc)};
    if (reading->hasher == NULL ||
        sl_membership_init(&reading->set, core->env->alloc, reading->hasher, &core->who.library_id,
                           &core->who.device_id) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the members");
    }
    struct sl_view view = sl_library_view_lock(library);
    enum syncline_status status = sl_membership_table_load(view.log, &reading->set, err);
    sl_library_view_unlock(library);
    return status;
}

/* Of all its epochs that anybody has named. */
static uint64_t kept_of(const struct sl_membership *set, const struct syncline_uuid *device)
{
    uint64_t sum = 0;
    uint64_t after = 0; /* the next epoch is the least of those at or above it */
    for (;;) {
        struct sl_origin next = {.device = *device, .epoch = UINT64_MAX};
        struct sl_cut cut = {.seq = 0};
        for (size_t k = 0; k < set->len; k++) {
            const struct sl_membership_entry *entry = sl_membership_at(set, k);
            for (uint32_t c = 0; sl_uuid_equal(&entry->subject, device) && c < entry->cuts_len;
                 c++) {
                uint64_t epoch = sl_membership_entry_cut(entry, c).epoch;
                next.epoch = epoch >= after && epoch < next.epoch ? epoch : next.epoch;
            }
        }
        if (next.epoch == UINT64_MAX) {
            return sum;
        }
        if (sl_membership_cut(set, &next, &cut)) {
            sum += cut.seq;
        }
        after = next.epoch + 1;
    }
}

static void describe(const struct sl_core *core, const struct sl_membership *set,
                     const struct sl_membership_device *known, struct syncline_device *device)
{
    *device = (struct syncline_device){.size = sizeof(*device),
                                       .device_id = known->id,
                                       .standing = (enum syncline_standing)known->standing,
                                       .is_self = sl_uuid_equal(&known->id, &core->who.device_id),
                                       .let_in_by = known->let_in_by,
                                       .since_ms = (int64_t)known->since_ms,
                                       .out_ms = (int64_t)known->out_ms};
    (void)snprintf(device->name, sizeof(device->name), "%s",
                   device->is_self ? core->who.device_name : known->name);
    if (known->standing == SL_STANDING_REVOKED) {
        device->out_by = known->out_by;
    }
    if (known->standing != SL_STANDING_MEMBER) {
        device->kept_seq = kept_of(set, &known->id);
    }
}

enum syncline_status sl_library_device(struct sl_library *library, size_t index,
                                       struct syncline_device *device, struct sl_error *err)
{
    struct reading reading;
    size_t left = index;
    bool found = false;
    enum syncline_status status = read_set(library, &reading, err);
    for (size_t i = 0; status == SYNCLINE_OK && i < reading.set.devices_len && !found; i++) {
        const struct sl_membership_device *known = &reading.set.devices[i];
        if (known->standing == SL_STANDING_STRANGER) {
            continue;
        }
        found = left == 0;
        left--;
        if (found) {
            describe(sl_library_core(library), &reading.set, known, device);
        }
    }
    reading_fini(&reading);
    if (status == SYNCLINE_OK && !found) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "there is no device %zu", index);
    }
    return status;
}

enum syncline_status sl_library_own_standing(struct sl_library *library,
                                             enum syncline_standing *standing, struct sl_error *err)
{
    struct sl_core *core = sl_library_core(library);
    if (core->engine) {
        *standing = (enum syncline_standing)atomic_load(&core->own_standing);
        return SYNCLINE_OK;
    }
    struct reading reading;
    enum syncline_status status = read_set(library, &reading, err);
    if (status == SYNCLINE_OK) {
        *standing =
            (enum syncline_standing)sl_membership_standing(&reading.set, &core->who.device_id);
    }
    reading_fini(&reading);
    return status;
}
