/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that capture changes. */

#include <sqlite3.h>

#include "pipeline/handle.h"

static enum syncline_status capture(struct syncline *lib, const struct syncline_model *model,
                                    const void *rows, size_t n, enum syncline_change change,
                                    struct sqlite3 *db, uint32_t batch_len,
                                    struct syncline_ticket *ticket)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    if (ticket != NULL && !sl_ticket_has_room(ticket)) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "start the ticket from SYNCLINE_TICKET_INIT");
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_capture_ticket(lib->library, model, rows, n, change, db, batch_len,
                                           ticket, &err);
    }
    if (status == SYNCLINE_OK && lib->has_worker) {
        sl_worker_nudge(&lib->worker);
        if (db == NULL || sqlite3_get_autocommit(db) != 0) {
            status = sl_handle_hold_back(lib, &err);
        }
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}

enum syncline_status syncline_sync_model(struct syncline *lib, const struct syncline_model *model,
                                         const void *row, enum syncline_change change)
{
    return capture(lib, model, row, 1, change, NULL, 0, NULL);
}

enum syncline_status syncline_sync_model_with_db(struct syncline *lib,
                                                 const struct syncline_model *model,
                                                 const void *row, enum syncline_change change,
                                                 struct sqlite3 *db)
{
    return capture(lib, model, row, 1, change, db, 0, NULL);
}

enum syncline_status syncline_sync_models_batch(struct syncline *lib,
                                                const struct syncline_model *model,
                                                const void *rows, size_t n,
                                                enum syncline_change change, struct sqlite3 *db,
                                                const struct syncline_batch_options *options)
{
    struct syncline_batch_options taken = SYNCLINE_BATCH_OPTIONS_INIT;
    struct sl_error err = {.text = ""};
    enum syncline_status status = SYNCLINE_OK;
    if (options != NULL) {
        status = sl_struct_take(&taken, sizeof(taken), options, options->size,
                                SL_SIZE_UP_TO(struct syncline_batch_options, batch_size),
                                "SYNCLINE_BATCH_OPTIONS_INIT", &err);
    }
    if (status != SYNCLINE_OK) {
        enum syncline_status handle = sl_handle_check(lib);
        return handle == SYNCLINE_OK ? sl_handle_keep(lib, status, &err) : handle;
    }
    return capture(lib, model, rows, n, change, db, taken.batch_size, taken.ticket);
}

enum syncline_status syncline_attach(struct syncline *lib, struct sqlite3 *db)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    return sl_handle_keep(lib, sl_library_attach(lib->library, db, &err), &err);
}

enum syncline_status syncline_detach(struct syncline *lib, struct sqlite3 *db)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    return sl_handle_keep(lib, sl_library_detach(lib->library, db, &err), &err);
}
