/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/reconcile.h"

#include <string.h>

static bool is_shared(const struct sl_core *core, int64_t model)
{
    for (size_t i = 0; i < core->models.count; i++) {
        if (core->models.models[i].id_in_db == model) {
            return core->models.models[i].ownership == SYNCLINE_SHARED;
        }
    }
    return false;
}

enum syncline_status sl_pending_read(struct sl_uuid_runs *pending, struct sl_core *core,
                                     struct sl_rows *rows, struct sl_error *err)
{
    sl_uuid_runs_clear(pending);
    int64_t id = core->drained.complete ? core->drained.id : core->drained.id - 1;
    struct sl_outbox_row row = {0};
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        status = sl_outbox_next(&rows->ldb, id, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        id = row.id;
        if (row.change == SYNCLINE_DELETE || !is_shared(core, row.model)) {
            continue;
        }
        /* Of a row that is partly in the log, the changes that are have their stamps. */
        uint32_t skip = row.id == core->drained.id ? core->drained.changes : 0;
        if (!sl_uuid_runs_add(pending, &row, skip)) {
            status = sl_fail(err, SYNCLINE_ENOMEM, "no memory for pending changes");
        }
    }
    sl_outbox_done(&rows->ldb);
    return status;
}

static bool is_covered(struct sl_core *core, const struct sl_birth *birth)
{
    if (sl_origin_equal(&birth->origin, &core->self)) {
        return birth->seq <= core->origins[0].head.held_seq;
    }
    const struct sl_origin_state *origin = sl_core_origin(core, &birth->origin);
    if (origin == NULL || birth->seq <= origin->applied_seq) {
        return origin != NULL;
    }
    /* Within a careful slice: written already, though the applied entry stands before it. */
    uint64_t at = birth->seq - origin->todo_first;
    return origin->todo != NULL && birth->seq >= origin->todo_first && at < origin->todo_len &&
           origin->todo[at] == 0;
}

static void say(char reason[256], const char *text)
{
    (void)sqlite3_snprintf(256, reason, "%s", text);
}

/* The stamp of the record as it stands: of its last change, or of its birth. */
static enum syncline_status local_stamp(struct sl_rows *rows, int64_t model, int64_t id,
                                        const struct sl_birth_run *birth, struct sl_stamp *stamp,
                                        struct sl_error *err)
{
    bool found = false;
    int64_t origin = birth->origin;
    uint64_t hlc = birth->hlc;
    enum syncline_status status =
        sl_stamp_get(&rows->births, model, id, &found, &hlc, &origin, err);
    if (status == SYNCLINE_OK) {
        stamp->hlc = hlc;
        status = sl_library_db_origin(&rows->ldb, origin, &found, &stamp->origin, err);
    }
    return status;
}

static enum syncline_status judge(struct sl_core *core, struct sl_rows *rows,
                                  const struct sl_uuid_runs *pending,
                                  const struct sl_received *received,
                                  const struct sl_birth_run *birth, const struct sl_origin *born_by,
                                  int64_t id, enum sl_verdict *verdict, char reason[256],
                                  struct sl_error *err)
{
    *verdict = SL_VERDICT_APPLY;
    if (birth->class == SYNCLINE_DEVICE_OWNED) {
        if (!sl_uuid_equal(&born_by->device, &received->stamp.origin.device)) {
            *verdict = SL_VERDICT_SET_ASIDE;
            say(reason, "not applied: a device that does not own the record changed it");
        }
        /* An owner's changes come in order, and need no stamps - but in a careful slice one that
         * had to wait is tried again after later ones. */
        const struct sl_origin_state *owner = sl_core_origin(core, &received->stamp.origin);
        if (owner == NULL || owner->todo == NULL || *verdict != SL_VERDICT_APPLY) {
            return SYNCLINE_OK;
        }
    }
    if (received->change == SYNCLINE_DELETE) {
        return SYNCLINE_OK;
    }
    if (sl_uuid_runs_have(pending, received->model->id_in_db, &received->uuid)) {
        *verdict = SL_VERDICT_LOSES;
        return SYNCLINE_OK;
    }
    struct sl_stamp here = {0};
    enum syncline_status status =
        local_stamp(rows, received->model->id_in_db, id, birth, &here, err);
    if (status == SYNCLINE_OK && sl_stamp_compare(&received->stamp, &here) <= 0) {
        *verdict = SL_VERDICT_LOSES;
    }
    return status;
}

enum syncline_status sl_reconcile(struct sl_core *core, struct sl_rows *rows,
                                  const struct sl_uuid_runs *pending,
                                  const struct sl_received *received, enum sl_verdict *verdict,
                                  int64_t *id, char reason[256], struct sl_error *err)
{
    const struct sl_model *model = received->model;
    bool found = false;
    enum syncline_status status =
        sl_record_id(&rows->tables[model->index], &received->uuid, &found, id, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!found) {
        bool dead = is_covered(core, &received->birth);
        *verdict = dead ? SL_VERDICT_LOSES : SL_VERDICT_SET_ASIDE;
        say(reason, "not applied: the record has not come yet, and this version does not wait");
        return SYNCLINE_OK;
    }
    struct sl_birth_run birth;
    struct sl_origin born_by = {0};
    status = sl_birth_get(&rows->births, model->id_in_db, *id, &found, &birth, err);
    if (status == SYNCLINE_OK && found) {
        status = sl_library_db_origin(&rows->ldb, birth.origin, &found, &born_by, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!found || birth.seq != received->birth.seq ||
        !sl_origin_equal(&born_by, &received->birth.origin)) {
        bool dead = is_covered(core, &received->birth);
        *verdict = dead ? SL_VERDICT_LOSES : SL_VERDICT_SET_ASIDE;
        say(reason, "not applied: the record here was inserted by another change");
        return SYNCLINE_OK;
    }
    return judge(core, rows, pending, received, &birth, &born_by, *id, verdict, reason, err);
}
