/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that read the event log. */

#include "pipeline/handle.h"
#include "storage/event_table.h"

#define PAGE_LEN 16u /* entries read at once; no lock is held while they are told */

const char *syncline_event_code_name(enum syncline_event_code code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case SYNCLINE_CODE_##name:                                                                     \
        return #name;
        SYNCLINE_EVENT_CODE_MAP(X)
#undef X
    }
    return "UNKNOWN";
}

static const struct syncline_uuid *given(const struct syncline_uuid *uuid)
{
    static const struct syncline_uuid none;
    return sl_uuid_equal(uuid, &none) ? NULL : uuid;
}

static void tell(const struct sl_event *event, syncline_event_entry_fn fn, void *ctx)
{
    struct syncline_event_entry entry = {.size = sizeof(entry),
                                         .number = event->number,
                                         .timestamp = (int64_t)event->at_ms,
                                         .code = event->code,
                                         .status = event->status,
                                         .text = event->text,
                                         .device_id = given(&event->device),
                                         .model_type =
                                             event->model[0] != '\0' ? event->model : NULL,
                                         .record_uuid = given(&event->uuid)};
    fn(ctx, &entry);
}

/* Page after page until one is not full. */
static enum syncline_status read_all(struct syncline *lib, struct sl_event *page, int64_t after,
                                     syncline_event_entry_fn fn, void *ctx, struct sl_error *err)
{
    size_t len = 0;
    do {
        struct sl_view view = sl_library_view_lock(lib->library);
        enum syncline_status status = sl_event_after(view.log, after, page, PAGE_LEN, &len, err);
        sl_library_view_unlock(lib->library);
        if (status != SYNCLINE_OK) {
            return status;
        }
        for (size_t i = 0; i < len; i++) {
            tell(&page[i], fn, ctx);
        }
        after = len > 0 ? page[len - 1].number : after;
    } while (len == PAGE_LEN);
    return SYNCLINE_OK;
}

enum syncline_status syncline_events_read(struct syncline *lib, int64_t after,
                                          syncline_event_entry_fn fn, void *ctx)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (fn == NULL) {
        return sl_handle_keep(lib, sl_fail(&err, SYNCLINE_EINVAL, "fn is NULL"), &err);
    }
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    struct sl_event *page = sl_alloc(lib->env.alloc, PAGE_LEN * sizeof(*page));
    status = page == NULL ? sl_fail(&err, SYNCLINE_ENOMEM, "no memory to read the event log")
                          : read_all(lib, page, after, fn, ctx, &err);
    sl_free(lib->env.alloc, page);
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}
