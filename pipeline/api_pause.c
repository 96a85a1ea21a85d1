/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that let an engine rest. */

#include "pipeline/handle.h"

static enum syncline_status check_engine(struct syncline *lib, struct sl_error *err)
{
    return lib->has_worker ? SYNCLINE_OK
                           : sl_fail(err, SYNCLINE_EREFUSED,
                                     "this handle does not run the engine: pause it where it runs");
}

enum syncline_status syncline_pause(struct syncline *lib)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = check_engine(lib, &err);
    if (status == SYNCLINE_OK) {
        sl_library_pause(lib->library, true);
    }
    while (status == SYNCLINE_OK && !sl_library_is_still(lib->library)) {
        if (!sl_core_is_paused(sl_library_core(lib->library))) {
            break; /* resumed by another thread meanwhile */
        }
        if (atomic_load(&lib->closing)) {
            status = sl_fail(&err, SYNCLINE_ECLOSED, "the handle is being closed");
        } else {
            sl_handle_wait_a_little(lib);
        }
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}

enum syncline_status syncline_resume(struct syncline *lib)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err;
    status = check_engine(lib, &err);
    if (status == SYNCLINE_OK) {
        sl_library_pause(lib->library, false);
        sl_worker_wake(&lib->worker);
    }
    return sl_handle_keep(lib, status, &err);
}
