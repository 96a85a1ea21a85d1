/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public call that says what has become of a record's changes: what stages/record_history
 * reads, and how far each own change has come with the members. */

#include <string.h>

#include "pipeline/handle.h"
#include "stages/record_history.h"

static enum syncline_status read_history(struct syncline *lib, struct sl_history *history,
                                         const char *model_name, const struct syncline_uuid *uuid,
                                         struct sl_error *err)
{
    struct sl_core *core = sl_library_core(lib->library);
    const struct sl_model *model =
        sl_model_find_name(&core->models, model_name, strlen(model_name));
    if (model == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL, "model '%s' was not given when this handle was opened",
                       model_name);
    }
    const char *sync_db = NULL;
    const char *library_db = NULL;
    sl_library_paths(lib->library, &sync_db, &library_db);
    enum syncline_status status =
        sl_history_read(history, core, sync_db, library_db, model, uuid, err);
    if (status == SYNCLINE_OK && history->len == 0) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "%s",
                       history->is_here
                           ? "the record is in its table, and nobody has captured it"
                           : "no change of such a record was captured here or has come here");
    }
    return status;
}

static void tell(const struct sl_history_entry *entry, const struct sl_core *core,
                 const struct sl_standing *standing, syncline_why_fn fn, void *ctx)
{
    struct syncline_why why = {.size = sizeof(why),
                               .change = entry->change,
                               .fate = entry->fate,
                               .own = sl_origin_equal(&entry->stamp.origin, &core->self),
                               .hlc = {.time = entry->stamp.hlc,
                                       .device = entry->stamp.origin.device,
                                       .epoch = entry->stamp.origin.epoch},
                               .seq = entry->seq,
                               .birth_device = entry->births[0].origin.device,
                               .birth_seq = entry->births[0].seq,
                               .winner = {.time = entry->winner.hlc,
                                          .device = entry->winner.origin.device,
                                          .epoch = entry->winner.origin.epoch},
                               .winner_seq = entry->winner_seq};
    memcpy(why.why, entry->why, sizeof(why.why));
    for (uint32_t i = 0; why.own && why.seq > 0 && i < standing->members; i++) {
        const struct sl_member_progress *member = &standing->member[i];
        why.members++;
        why.sent += member->sent_seq >= why.seq ? 1 : 0;
        why.acked += member->acked_seq >= why.seq ? 1 : 0;
        why.applied += member->applied_seq >= why.seq ? 1 : 0;
    }
    fn(ctx, &why);
}

static enum syncline_status explain(struct syncline *lib, const char *model,
                                    const struct syncline_uuid *uuid, syncline_why_fn fn, void *ctx,
                                    bool *is_here, struct sl_error *err)
{
    struct sl_history history;
    struct sl_standing standing = {.members = 0};
    sl_history_init(&history, lib->env.alloc);
    enum syncline_status status = read_history(lib, &history, model, uuid, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_standing(lib->library, &standing, err);
    }
    if (status == SYNCLINE_OK && is_here != NULL) {
        *is_here = history.is_here;
    }
    for (size_t i = 0; i < history.len && status == SYNCLINE_OK; i++) {
        tell(&history.entries[i], sl_library_core(lib->library), &standing, fn, ctx);
    }
    sl_history_fini(&history);
    return status;
}

enum syncline_status syncline_why(struct syncline *lib, const char *model,
                                  const struct syncline_uuid *uuid, syncline_why_fn fn, void *ctx,
                                  bool *is_here)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    if (model == NULL || uuid == NULL || fn == NULL) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "model, uuid or fn is NULL");
    } else {
        status = explain(lib, model, uuid, fn, ctx, is_here, &err);
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}
