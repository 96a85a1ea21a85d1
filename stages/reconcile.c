/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/reconcile.h"

#include "base/bytes.h"

#include <string.h>

/* Of a shared record, and no delete. */
static enum syncline_status is_pending_kind(void *ctx, const struct sl_outbox_row *row,
                                            bool *wanted, struct sl_error *err)
{
    (void)err;
    const struct sl_core *core = ctx;
    *wanted = false;
    for (size_t i = 0; i < core->models.count && row->change != SYNCLINE_DELETE; i++) {
        const struct sl_model *model = &core->models.models[i];
        *wanted = *wanted || (model->id_in_db == row->model && model->ownership == SYNCLINE_SHARED);
    }
    return SYNCLINE_OK;
}

static enum syncline_status is_delete(void *ctx, const struct sl_outbox_row *row, bool *wanted,
                                      struct sl_error *err)
{
    (void)ctx;
    (void)err;
    *wanted = row->change == SYNCLINE_DELETE;
    return SYNCLINE_OK;
}

void sl_pending_init(struct sl_pending *pending, const struct sl_allocator *alloc)
{
    *pending = (struct sl_pending){0};
    sl_mentions_init(&pending->mentions, alloc);
    sl_mentions_init(&pending->deletes, alloc);
}

void sl_pending_fini(struct sl_pending *pending)
{
    sl_mentions_fini(&pending->mentions);
    sl_mentions_fini(&pending->deletes);
}

enum syncline_status sl_pending_read(struct sl_pending *pending, struct sl_core *core,
                                     struct sl_rows *rows, struct sl_error *err)
{
    pending->drained = core->drained;
    int64_t drained_to = sl_drained_to(&pending->drained);
    sl_mentions_forget(&pending->mentions, drained_to + 1);
    sl_mentions_forget(&pending->deletes, drained_to + 1);
    enum syncline_status status =
        sl_mentions_read(&pending->mentions, &rows->ldb, drained_to, is_pending_kind, core, err);
    return status == SYNCLINE_OK
               ? sl_mentions_read(&pending->deletes, &rows->ldb, drained_to, is_delete, NULL, err)
               : status;
}

bool sl_pending_deletes_after(struct sl_pending *pending, const struct sl_model *model,
                              const struct syncline_uuid *uuid, int64_t row)
{
    return sl_mentions_last(&pending->deletes, model->id_in_db, uuid).row > row;
}

bool sl_reconcile_covers(struct sl_core *core, const struct sl_birth *birth)
{
    if (sl_origin_equal(&birth->origin, &core->self)) {
        return birth->seq <= sl_core_held(core, core->origins[0]);
    }
    const struct sl_origin_state *origin = sl_core_origin(core, &birth->origin);
    if (origin == NULL || birth->seq <= origin->covered_seq) {
        return origin != NULL;
    }
    /* Within a careful slice: written already, though the applied entry stands before it. */
    uint64_t at = birth->seq - origin->todo_first;
    return origin->todo != NULL && birth->seq >= origin->todo_first && at < origin->todo_len &&
           origin->todo[at] == 0;
}

/* Is the birth one that a snapshot may still bring, whatever the applied entry says? */
static bool may_come(struct sl_core *core, const struct sl_received *received)
{
    const struct sl_snapshot_place *place = &core->snapshot;
    uint32_t model = received->model->index;
    if (!atomic_load_explicit(&place->active, memory_order_relaxed) || place->taken[model] ||
        sl_uuid_compare(&received->uuid, &place->lo[model]) < 0) {
        return false;
    }
    const struct sl_origin_state *origin = sl_core_origin(core, &received->birth.origin);
    return origin != NULL && received->birth.seq > origin->known_seq &&
           received->birth.seq <= origin->cut_seq;
}

void sl_reconcile_not_owner(char reason[256])
{
    (void)sqlite3_snprintf(256, reason, "%s",
                           "not applied: a device that does not own the record changed it");
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

/* A birth whose pending changes are asked about. */
struct asked {
    const struct sl_model *model;
    const struct syncline_uuid *uuid;
    const struct sl_birth_run *birth;
    bool shown;
};

/* The runs of births of an outbox row. */
struct birth_places {
    struct sl_reader in;
    struct sl_birth_run run;   /* read last */
    uint64_t end;              /* place in the row after it */
    struct sl_birth_run ahead; /* the one after it */
    bool has_ahead;            /* there is one */
};

static bool read_run(struct birth_places *places)
{
    if (places->in.offset >= places->in.len || places->in.failed) {
        places->has_ahead = false;
        return false;
    }
    places->ahead.n = sl_read_u32(&places->in);
    places->ahead.origin = (int64_t)sl_read_u64(&places->in);
    places->ahead.seq = sl_read_u64(&places->in);
    places->has_ahead = true;
    return true;
}

/* Does the row name the birth for the record at this place? Places only rise. */
static bool names_birth(struct birth_places *places, uint64_t place, const struct asked *asked,
                        bool insert, bool own)
{
    const struct sl_birth_run *birth = asked->birth;
    bool named = false;
    while (place >= places->end && places->has_ahead) {
        places->run = places->ahead;
        places->end += places->run.n;
        (void)read_run(places);
    }
    if (place >= places->end || places->run.origin == 0) { /* it was not known */
        named = asked->shown && (insert || own);
    } else {
        named = places->run.origin == birth->origin &&
                places->run.seq + (place - (places->end - places->run.n)) == birth->seq;
    }
    while (place + 1 == places->end && places->has_ahead && places->ahead.n == 0) {
        named = named || (places->ahead.origin == birth->origin && places->ahead.seq == birth->seq);
        (void)read_run(places);
    }
    return named;
}

/* Does an outbox row change this record, or one that had its UUID before? It names the births that
 * it saw; a birth that was not known yet is one of this device's. An insert that was captured again
 * changes whatever record has the UUID, as fk_resolve sees it. */
static bool row_is_about(const struct sl_core *core, const struct sl_pending *pending,
                         const struct sl_outbox_row *row, const struct asked *asked)
{
    struct sl_reader uuids;
    struct birth_places places = {0};
    sl_reader_init(&uuids, row->uuids, row->uuids_size);
    sl_reader_init(&places.in, row->births, row->births_size);
    (void)read_run(&places);
    /* Of a row that is partly in the log, the changes that are have their stamps. */
    uint64_t skip = row->id == pending->drained.id ? pending->drained.changes : 0;
    uint64_t place = 0; /* in the row, of the next UUID */
    bool insert = row->change == SYNCLINE_INSERT;
    bool own = asked->birth->origin == core->self_number;
    while (uuids.offset < uuids.len && !uuids.failed) {
        struct syncline_uuid first;
        sl_read_copy(&uuids, first.bytes, sizeof(first.bytes));
        uint32_t n = sl_read_u32(&uuids);
        for (uint32_t k = 0; k < n && !uuids.failed; k++, place++) {
            struct syncline_uuid at = sl_uuid_add(&first, k);
            bool named = names_birth(&places, place, asked, insert, own);
            if (named && place >= skip && sl_uuid_equal(&at, asked->uuid)) {
                return true;
            }
        }
    }
    return false;
}

/* Is a change of just this record - this birth - in the outbox, after that row, and not in the log?
 */
static enum syncline_status pending_on(struct sl_core *core, struct sl_rows *rows,
                                       struct sl_pending *pending, const struct asked *asked,
                                       int64_t after, bool *pends, struct sl_error *err)
{
    struct sl_outbox_row row = {.id = after};
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && !*pends) {
        status = sl_outbox_next(&rows->ldb, row.id, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        *pends = row.change != SYNCLINE_DELETE && row.model == asked->model->id_in_db &&
                 row_is_about(core, pending, &row, asked);
        /* A record inserted and deleted again was another; the one that is here came since. */
        if (*pends && row.change == SYNCLINE_INSERT && asked->birth->origin != core->self_number) {
            *pends = !sl_pending_deletes_after(pending, asked->model, asked->uuid, row.id);
        }
    }
    sl_outbox_done(&rows->ldb);
    return status;
}

/* The same, anywhere in the outbox. Nearly always the last row that names the UUID will tell. */
static enum syncline_status is_pending(struct sl_core *core, struct sl_rows *rows,
                                       struct sl_pending *pending, const struct asked *asked,
                                       bool *pends, struct sl_error *err)
{
    const struct sl_drained *drained = &pending->drained;
    int64_t drained_to = sl_drained_to(drained);
    int64_t after = drained_to;
    *pends = false;
    /* What is pending of a model that is device-owned today was not gathered; the record may be
     * from a time when it was shared. */
    if (asked->model->ownership == SYNCLINE_SHARED) {
        struct sl_mention_place last =
            sl_mentions_last(&pending->mentions, asked->model->id_in_db, asked->uuid);
        /* Of a row that is partly in the log, the changes that are have their stamps. */
        if (last.row <= drained_to || (last.row == drained->id && last.at < drained->changes)) {
            return SYNCLINE_OK;
        }
        after = last.row - 1;
    }
    enum syncline_status status = pending_on(core, rows, pending, asked, after, pends, err);
    if (status == SYNCLINE_OK && !*pends && after > drained_to) {
        status = pending_on(core, rows, pending, asked, drained_to, pends, err);
    }
    return status;
}

enum syncline_status sl_reconcile_pends(struct sl_core *core, struct sl_rows *rows,
                                        struct sl_pending *pending, const struct sl_model *model,
                                        const struct syncline_uuid *uuid,
                                        const struct sl_birth_run *birth, bool shown, bool *pends,
                                        struct sl_error *err)
{
    const struct asked asked = {.model = model, .uuid = uuid, .birth = birth, .shown = shown};
    *pends = false;
    return pending != NULL ? is_pending(core, rows, pending, &asked, pends, err) : SYNCLINE_OK;
}

enum syncline_status sl_reconcile_stamp(struct sl_core *core, struct sl_rows *rows,
                                        struct sl_pending *pending, const struct sl_model *model,
                                        const struct syncline_uuid *uuid, int64_t id,
                                        const struct sl_birth_run *birth, bool *pends,
                                        struct sl_stamp *stamp, struct sl_error *err)
{
    enum syncline_status status =
        sl_reconcile_pends(core, rows, pending, model, uuid, birth, true, pends, err);
    return status != SYNCLINE_OK || *pends
               ? status
               : local_stamp(rows, model->id_in_db, id, birth, stamp, err);
}

static enum syncline_status judge(struct sl_core *core, struct sl_rows *rows,
                                  struct sl_pending *pending, const struct sl_received *received,
                                  const struct sl_birth_run *birth, const struct sl_origin *born_by,
                                  int64_t id, enum sl_verdict *verdict, char reason[256],
                                  struct sl_error *err)
{
    *verdict = SL_VERDICT_APPLY;
    if (birth->class == SYNCLINE_DEVICE_OWNED) {
        if (!sl_uuid_equal(&born_by->device, &received->stamp.origin.device)) {
            *verdict = SL_VERDICT_SET_ASIDE;
            sl_reconcile_not_owner(reason);
        }
        /* An owner's changes come in order, and need no stamps - but in a careful slice one that
         * had to wait is tried again after later ones, this device's own, applied again
         * (stages/doubt), come after what was captured since, and a page of a snapshot may be
         * older. */
        const struct sl_origin_state *owner = sl_core_origin(core, &received->stamp.origin);
        bool in_order = owner == NULL || (owner->todo == NULL && owner != core->origins[0]);
        if (*verdict != SL_VERDICT_APPLY ||
            (in_order && !atomic_load_explicit(&core->snapshot.active, memory_order_relaxed))) {
            return SYNCLINE_OK;
        }
    }
    if (received->change == SYNCLINE_DELETE) {
        return SYNCLINE_OK;
    }
    bool pends = false;
    struct sl_stamp here = {0};
    enum syncline_status status = sl_reconcile_stamp(
        core, rows, pending, received->model, &received->uuid, id, birth, &pends, &here, err);
    if (status == SYNCLINE_OK && (pends || sl_stamp_compare(&received->stamp, &here) <= 0)) {
        *verdict = SL_VERDICT_LOSES;
    }
    return status;
}

/* A birth that is not shown: is it hidden? Then it is judged as that one. */
static enum syncline_status
judge_hidden(struct sl_core *core, struct sl_rows *rows, struct sl_pending *pending,
             const struct sl_received *received, const struct sl_hidden_birth *hidden,
             enum sl_verdict *verdict, char reason[256], struct sl_error *err)
{
    const struct sl_birth_run birth = {.origin = hidden->origin, .seq = hidden->seq};
    struct sl_stamp here = {.hlc = hidden->hlc};
    bool found = false;
    bool pends = false;
    *verdict = SL_VERDICT_HIDDEN;
    if (hidden->class == SYNCLINE_DEVICE_OWNED &&
        !sl_uuid_equal(&received->birth.origin.device, &received->stamp.origin.device)) {
        *verdict = SL_VERDICT_SET_ASIDE;
        sl_reconcile_not_owner(reason);
        return SYNCLINE_OK;
    }
    if (received->change == SYNCLINE_DELETE) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_reconcile_pends(core, rows, pending, received->model,
                                                     &received->uuid, &birth, false, &pends, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_origin(&rows->ldb, hidden->hlc_origin, &found, &here.origin, err);
    }
    if (pends || sl_stamp_compare(&received->stamp, &here) <= 0) {
        *verdict = SL_VERDICT_LOSES;
    }
    return status;
}

/* A birth that is not shown. */
static enum syncline_status judge_other(struct sl_core *core, struct sl_rows *rows,
                                        struct sl_pending *pending,
                                        const struct sl_received *received,
                                        enum sl_verdict *verdict, struct sl_hidden_birth *hidden,
                                        char reason[256], struct sl_error *err)
{
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    size_t at = 0;
    enum syncline_status status = SYNCLINE_OK;
    if (sl_core_may_hide(core, received->model)) {
        const struct sl_origin_state *origin = sl_core_origin(core, &received->birth.origin);
        struct sl_arena arena;
        sl_arena_init(&arena, core->env->alloc);
        status = sl_hidden_birth_list(&rows->hidden, received->model->id_in_db, &received->uuid,
                                      false, &arena, &list, &len, err);
        while (at < len && (origin == NULL || list[at].origin != origin->number ||
                            list[at].seq != received->birth.seq)) {
            at++;
        }
        *hidden = at < len ? list[at] : (struct sl_hidden_birth){0};
        sl_arena_fini(&arena);
    }
    if (status == SYNCLINE_OK && at < len) {
        return judge_hidden(core, rows, pending, received, hidden, verdict, reason, err);
    }
    bool dead = sl_reconcile_covers(core, &received->birth) && !may_come(core, received);
    *verdict = dead ? SL_VERDICT_LOSES : SL_VERDICT_WAITS;
    return status;
}

enum syncline_status sl_reconcile(struct sl_core *core, struct sl_rows *rows,
                                  struct sl_pending *pending, const struct sl_received *received,
                                  enum sl_verdict *verdict, int64_t *id,
                                  struct sl_hidden_birth *hidden, char reason[256],
                                  struct sl_error *err)
{
    const struct sl_model *model = received->model;
    struct sl_birth_run birth;
    struct sl_origin born_by = {0};
    bool found = false;
    enum syncline_status status =
        sl_record_id(&rows->tables[model->index], &received->uuid, &found, id, err);
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&rows->births, model->id_in_db, *id, &found, &birth, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = sl_library_db_origin(&rows->ldb, birth.origin, &found, &born_by, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!found || birth.seq != received->birth.seq ||
        !sl_origin_equal(&born_by, &received->birth.origin)) {
        return judge_other(core, rows, pending, received, verdict, hidden, reason, err);
    }
    return judge(core, rows, pending, received, &birth, &born_by, *id, verdict, reason, err);
}
