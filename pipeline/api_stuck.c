/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public call that says what waits on this device, and why: what stages/stuck reads, and what
 * the engine says of itself. */

#include <string.h>

#include "pipeline/handle.h"
#include "stages/stuck.h"

static enum syncline_status read_stuck(struct syncline *lib, const char *model_name,
                                       syncline_stuck_fn fn, void *ctx, struct sl_error *err)
{
    struct sl_core *core = sl_library_core(lib->library);
    const struct sl_model *model =
        model_name != NULL ? sl_model_find_name(&core->models, model_name, strlen(model_name))
                           : NULL;
    if (model_name != NULL && model == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL, "model '%s' was not given when this handle was opened",
                       model_name);
    }
    struct syncline_info info = SYNCLINE_INFO_INIT;
    enum syncline_status status = sl_handle_info(lib, &info, err);
    const struct sl_stuck_engine engine = {
        .runs = info.engine_pid != 0, .paused = info.paused, .notice = info.notice};
    const char *sync_db = NULL;
    const char *library_db = NULL;
    sl_library_paths(lib->library, &sync_db, &library_db);
    return status == SYNCLINE_OK
               ? sl_stuck_read(core, sync_db, library_db, model, &engine, fn, ctx, err)
               : status;
}

enum syncline_status syncline_stuck(struct syncline *lib, const char *model, syncline_stuck_fn fn,
                                    void *ctx)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = fn != NULL ? read_stuck(lib, model, fn, ctx, &err)
                        : sl_fail(&err, SYNCLINE_EINVAL, "fn is NULL");
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}
