/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls about who belongs to the library. */

#include "pipeline/engine_ask.h"
#include "pipeline/handle.h"

enum syncline_status syncline_device_get(struct syncline *lib, size_t index,
                                         struct syncline_device *device)
{
    enum syncline_status status = sl_handle_check(lib);
    struct sl_error err = {.text = ""};
    struct syncline_device read;
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_handle_check_out(device != NULL ? &device->size : NULL, &err);
    if (status == SYNCLINE_OK) {
        status = sl_library_device(lib->library, index, &read, &err);
    }
    if (status == SYNCLINE_OK) {
        sl_handle_give(device, device->size, &read, sizeof(read));
    }
    return sl_handle_keep(lib, status, &err);
}

static enum syncline_status say(struct syncline *lib, enum sl_membership_kind kind,
                                const struct syncline_uuid *device, struct sl_error *err)
{
    struct sl_engine_way way = {.library = lib->library,
                                .is_here = lib->has_worker,
                                .dir = lib->dir,
                                .alloc = lib->env.alloc};
    return sl_engine_way_say(&way, kind, device, err);
}

static enum syncline_status held_elsewhere(struct syncline *lib, void *ctx, bool *reached,
                                           struct sl_error *err)
{
    static const struct syncline_who any = {.whose = SYNCLINE_WHO_ANY};
    return sl_library_reached(lib->library, ctx, SYNCLINE_LEVEL_ACKED, &any, reached, err);
}

enum syncline_status syncline_leave(struct syncline *lib, int64_t timeout_ms)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    struct sl_target target;
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = sl_library_target(lib->library, &target, &err);
    if (status == SYNCLINE_OK) {
        status = sl_handle_wait(lib, held_elsewhere, &target, timeout_ms, false, &err);
    }
    if (status == SYNCLINE_TIMEOUT) {
        (void)sl_fail_prefix(&err, status, "no other member holds all that is captured here");
    }
    if (status == SYNCLINE_OK) {
        status = say(lib, SL_MEMBERSHIP_LEAVE, NULL, &err);
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}

enum syncline_status syncline_revoke(struct syncline *lib, const struct syncline_uuid *device_id)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = device_id == NULL ? sl_fail(&err, SYNCLINE_EINVAL, "device_id is NULL")
                               : say(lib, SL_MEMBERSHIP_REVOKE, device_id, &err);
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}
