/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that look at a library. */

#include <stdio.h>
#include <string.h>

#include "pipeline/handle.h"

static enum syncline_status check_out(struct syncline *lib, const size_t *size)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err;
    if (sl_handle_check_out(size, &err) != SYNCLINE_OK) {
        (void)sl_handle_keep(lib, SYNCLINE_EINVAL, &err);
        return SYNCLINE_EINVAL;
    }
    return SYNCLINE_OK;
}

/* What the process that runs the engine knows alone. */
static void add_engine_view(struct syncline *lib, struct syncline_info *info)
{
    struct sl_engine_view view;
    if (info->runs_engine) {
        info->engine_pid = lib->pid;
        info->paused = sl_core_is_paused(sl_library_core(lib->library));
        return;
    }
    (void)sl_handle_ask_engine(lib, &view);
    info->engine_pid = view.pid;
    (void)snprintf(info->listen, sizeof(info->listen), "%s", view.listen);
    (void)snprintf(info->notice, sizeof(info->notice), "%s", view.notice);
    info->links = view.links;
    info->paused = view.paused;
    info->clock_ahead_ms = view.clock_ahead_ms;
    info->degraded = view.degraded;
    info->wire_bytes_sent = view.bytes_sent;
    info->wire_bytes_received = view.bytes_received;
    info->segments_sent = view.segments_sent;
}

enum syncline_status sl_handle_info(struct syncline *lib, struct syncline_info *info,
                                    struct sl_error *err)
{
    enum syncline_status status = sl_library_info(lib->library, info, err);
    if (status == SYNCLINE_OK) {
        add_engine_view(lib, info);
    }
    return status;
}

enum syncline_status syncline_info(struct syncline *lib, struct syncline_info *info)
{
    enum syncline_status status = check_out(lib, info != NULL ? &info->size : NULL);
    struct sl_error err = {.text = ""};
    struct syncline_info read;
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_handle_info(lib, &read, &err);
    if (status == SYNCLINE_OK) {
        sl_handle_give(info, info->size, &read, sizeof(read));
    }
    return sl_handle_keep(lib, status, &err);
}

enum syncline_status syncline_member_get(struct syncline *lib, size_t index,
                                         struct syncline_member *member)
{
    enum syncline_status status = check_out(lib, member != NULL ? &member->size : NULL);
    struct sl_error err = {.text = ""};
    struct syncline_member read;
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_library_member(lib->library, index, &read, &err);
    if (status == SYNCLINE_OK) {
        struct sl_engine_view view = {0};
        if (!lib->has_worker) {
            (void)sl_handle_ask_engine(lib, &view);
        }
        for (size_t i = 0; i < view.linked_count; i++) {
            read.linked = read.linked || sl_uuid_equal(&view.linked[i], &read.device_id);
        }
        sl_handle_give(member, member->size, &read, sizeof(read));
    }
    return sl_handle_keep(lib, status, &err);
}

enum syncline_status syncline_kept_get(struct syncline *lib, size_t index,
                                       struct syncline_kept *kept)
{
    enum syncline_status status = check_out(lib, kept != NULL ? &kept->size : NULL);
    struct sl_error err = {.text = ""};
    struct syncline_kept read;
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_library_kept(lib->library, index, &read, &err);
    if (status == SYNCLINE_OK) {
        sl_handle_give(kept, kept->size, &read, sizeof(read));
    }
    return sl_handle_keep(lib, status, &err);
}

enum syncline_status syncline_set_aside_get(struct syncline *lib, size_t index,
                                            struct syncline_set_aside *record)
{
    enum syncline_status status = check_out(lib, record != NULL ? &record->size : NULL);
    struct sl_error err = {.text = ""};
    struct syncline_set_aside read;
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_library_set_aside(lib->library, index, &read, &err);
    if (status == SYNCLINE_OK) {
        sl_handle_give(record, record->size, &read, sizeof(read));
    }
    return sl_handle_keep(lib, status, &err);
}

enum syncline_status syncline_digest(struct syncline *lib, const struct syncline_model *model,
                                     uint64_t *count, uint8_t hash[32])
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (count == NULL || hash == NULL) {
        return sl_handle_keep(lib, sl_fail(&err, SYNCLINE_EINVAL, "count or hash is NULL"), &err);
    }
    return sl_handle_keep(lib, sl_library_digest(lib->library, model, count, hash, &err), &err);
}
