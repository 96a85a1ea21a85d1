/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that capture a record given as JSON. */

#include <sqlite3.h>

#include "pipeline/handle.h"
#include "stages/commit_record.h"

static enum syncline_status commit(struct syncline *lib, const struct sl_commit *record,
                                   struct sqlite3 *db)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = sl_library_commit(lib->library, record, db, &err);
    if (status == SYNCLINE_OK && lib->has_worker) {
        sl_worker_nudge(&lib->worker);
        if (sqlite3_get_autocommit(db) != 0) {
            status = sl_handle_hold_back(lib, &err);
        }
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}

enum syncline_status syncline_commit_device_owned(struct syncline *lib,
                                                  const struct syncline_model *model,
                                                  enum syncline_change change, const char *json,
                                                  size_t len, struct sqlite3 *db)
{
    struct sl_commit record = {
        .model = model, .class = SYNCLINE_DEVICE_OWNED, .change = change, .json = json, .len = len};
    return commit(lib, &record, db);
}

enum syncline_status syncline_commit_shared(struct syncline *lib,
                                            const struct syncline_model *model,
                                            enum syncline_change change, const char *json,
                                            size_t len, struct sqlite3 *db)
{
    struct sl_commit record = {
        .model = model, .class = SYNCLINE_SHARED, .change = change, .json = json, .len = len};
    return commit(lib, &record, db);
}
