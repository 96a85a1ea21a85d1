/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/unsent.h"

#include <string.h>

#include "stages/author.h"
#include "stages/intake.h"
#include "stages/reopen.h"
#include "stages/scan.h"

#define RECORDS_MAX 256u /* that a slice looks at */

enum syncline_status sl_unsent_init(struct sl_unsent *unsent, struct sl_core *core,
                                    struct sl_error *err)
{
    uint64_t len = 0;
    *unsent = (struct sl_unsent){.core = core};
    sl_arena_init(&unsent->arena, core->env->alloc);
    /* Not without a look: whoever appends takes back, record for record, what it finds set aside.
     */
    enum syncline_status status = sl_set_aside_count(&core->apply_log, &len, err);
    atomic_store(&core->some_aside, len > 0);
    return status;
}

void sl_unsent_fini(struct sl_unsent *unsent)
{
    sl_arena_fini(&unsent->arena);
}

/* ---- When ---- */

bool sl_unsent_some(const struct sl_unsent *unsent)
{
    return unsent->at > 0 || atomic_load(&unsent->core->some_aside);
}

bool sl_unsent_is_due(struct sl_unsent *unsent, int64_t version)
{
    struct sl_core *core = unsent->core;
    if (unsent->at > 0) {
        return true;
    }
    uint64_t moved =
        atomic_load(&core->settled_seq) + atomic_load(&core->log_moves) + (uint64_t)version;
    if (!atomic_load(&core->some_aside) || moved == unsent->seen) {
        return false;
    }
    unsent->seen = moved;
    atomic_store(&core->some_aside, false); /* whoever sees one sets it again */
    return true;
}

void sl_unsent_put_off(struct sl_unsent *unsent)
{
    atomic_store(&unsent->core->some_aside, true);
    unsent->seen = UINT64_MAX;
}

void sl_unsent_begin_anew(struct sl_unsent *unsent)
{
    unsent->at = 0;
}

/* ---- What has become of them ---- */

/* Forgets records whose rows are gone. */
static enum syncline_status forget_gone(struct sl_unsent *unsent,
                                        const struct sl_set_aside *records, size_t len,
                                        struct sl_error *err)
{
    struct sl_core *core = unsent->core;
    if (len == 0) {
        return SYNCLINE_OK;
    }
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
        status = sl_set_aside_remove_record(&core->log, &records[i].origin, records[i].model,
                                            &records[i].uuid, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

/* A record set aside: is its row gone, or can it be sent now? Then it is said so, as a capture
 * would. */
static enum syncline_status look_at(struct sl_unsent *unsent, const struct sl_model *model,
                                    const struct sl_set_aside *aside, bool *gone,
                                    struct sl_error *err)
{
    struct sl_core *core = unsent->core;
    struct sl_record_table *table = &core->writer.tables[model->index];
    struct sl_author_change change = {.model = model, .uuid = aside->uuid, .all_births = true};
    const struct sl_field *orphan = NULL;
    struct syncline_uuid uuid;
    struct sl_birth_run birth;
    bool found = false;
    bool born = false;
    bool has_row = true;
    char reason[200];
    struct sl_value *values =
        sl_arena_alloc(&unsent->arena, (model->field_count + 1) * sizeof(*values));
    if (values == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for what was not sent");
    }
    if (sl_scan_is_stand_in(&aside->uuid, &change.id)) {
        enum syncline_status status = sl_record_has_id(table, change.id, &has_row, err);
        if (status == SYNCLINE_OK && has_row) {
            status = sl_record_uuids(table, &change.id, 1, &found, &uuid, err);
        }
        *gone = status == SYNCLINE_OK && (!has_row || found); /* with a UUID it is another one */
        return status;
    }
    enum syncline_status status = sl_record_id(table, &aside->uuid, &found, &change.id, err);
    *gone = status == SYNCLINE_OK && !found;
    if (status == SYNCLINE_OK && found) {
        status =
            sl_record_read(table, change.id, &unsent->arena, &found, &uuid, values, &orphan, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&core->writer.births, model->id_in_db, change.id, &born, &birth, err);
    }
    if (status != SYNCLINE_OK || !found || !sl_intake_can_be_sent(model, values, orphan, reason)) {
        return status;
    }
    change.birth_origin = born ? birth.origin : 0;
    change.birth_seq = born ? birth.seq : 0;
    unsent->some = true;
    return sl_author_changes(core, born ? SYNCLINE_UPDATE : SYNCLINE_INSERT, &change, 1, err);
}

enum syncline_status sl_unsent_look(struct sl_unsent *unsent, struct sl_error *err)
{
    struct sl_core *core = unsent->core;
    sl_arena_reset(&unsent->arena);
    struct sl_set_aside *gone = sl_arena_alloc_raw(&unsent->arena, RECORDS_MAX * sizeof(*gone));
    size_t gone_len = 0;
    int64_t number = unsent->at;
    bool found = gone != NULL;
    enum syncline_status status =
        found ? SYNCLINE_OK : sl_fail(err, SYNCLINE_ENOMEM, "no memory for what was not sent");
    unsent->some = false;
    for (uint32_t i = 0; i < RECORDS_MAX && status == SYNCLINE_OK && found; i++) {
        struct sl_set_aside aside;
        uint64_t at_ms = 0;
        bool is_gone = false;
        status = sl_set_aside_after(&core->apply_log, &number, &found, &aside, &at_ms, err);
        if (status != SYNCLINE_OK || !found || aside.seq != 0 ||
            !sl_origin_equal(&aside.origin, &core->self)) {
            continue;
        }
        const struct sl_model *model =
            sl_model_find_name(&core->models, aside.model, strlen(aside.model));
        atomic_store(&core->some_aside, true);
        if (model != NULL) {
            status = look_at(unsent, model, &aside, &is_gone, err);
        }
        if (is_gone) {
            gone[gone_len++] = aside;
        }
    }
    if (status == SYNCLINE_OK && unsent->some) {
        status = sl_library_db_commit(&core->writer.ldb, err);
    }
    sl_library_db_rollback(&core->writer.ldb);
    if (status == SYNCLINE_OK) {
        status = forget_gone(unsent, gone, gone_len, err);
    }
    if (status == SYNCLINE_OK) {
        unsent->at = found ? number : 0;
    }
    if (unsent->at == 0) {
        sl_arena_fini(&unsent->arena);
    }
    return status;
}
