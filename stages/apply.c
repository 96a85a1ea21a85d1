/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/apply.h"

#include <stdlib.h>
#include <string.h>

#include "stages/settle.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define RETRY_NS (100 * NS_PER_MS)
#define BUSY_RETRY_NS NS_PER_MS
#define OTHERS_ACTIVE_NS (1000 * NS_PER_MS)
#define WAL_PAGES_MAX 16384 /* 64 MiB of 4 KiB pages */
#define WAL_IDLE_NS (5000 * NS_PER_MS)

/* What one record met. */
enum outcome { WRITTEN, CANNOT };

enum syncline_status sl_apply_init(struct sl_apply *apply, struct sl_core *core,
                                   struct sl_error *err)
{
    memset(apply, 0, sizeof(*apply));
    apply->core = core;
    return sl_decoded_init(&apply->decoded, err);
}

void sl_apply_fini(struct sl_apply *apply)
{
    sl_decoded_fini(&apply->decoded);
    sl_pending_fini(&apply->pending);
    free(apply->asides);
}

static uint64_t now_ns(const struct sl_core *core)
{
    return core->env->mono_ns(core->env->ctx);
}

/* ---- Births of what was inserted ---- */

static enum syncline_status store_run(struct sl_apply *apply, struct sl_error *err)
{
    if (apply->run.n == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_birth_put(&apply->core->writer.births,
                                               apply->run_model->id_in_db, &apply->run, err);
    apply->run.n = 0;
    return status;
}

static enum syncline_status add_birth(struct sl_apply *apply, const struct sl_model *model,
                                      const struct sl_birth_run *birth, struct sl_error *err)
{
    struct sl_birth_run *run = &apply->run;
    if (run->n > 0 && apply->run_model == model && run->id + run->n == birth->id &&
        run->seq + run->n == birth->seq && run->hlc + run->n == birth->hlc &&
        run->origin == birth->origin && run->class == birth->class) {
        run->n++;
        return SYNCLINE_OK;
    }
    enum syncline_status status = store_run(apply, err);
    apply->run = *birth;
    apply->run_model = model;
    return status;
}

/* ---- One record ---- */

struct record {
    struct sl_origin_state *origin;
    struct sl_localized *localized;
    uint32_t i;   /* in the group */
    uint64_t seq; /* of the change */
};

static void say(char reason[256], const char *text)
{
    (void)sqlite3_snprintf(256, reason, "%s", text);
}

static void say_missing(char reason[256], const struct sl_field *field)
{
    (void)sqlite3_snprintf(256, reason,
                           "not applied: its parent (field '%s') is not in table '%s', and this "
                           "version does not wait for it",
                           field->name, field->parent->table);
}

/* EINVAL is the table's refusal of this record, not a failure of the database. */
static enum syncline_status as_outcome(enum syncline_status status, const struct sl_error *why,
                                       enum outcome *outcome, char reason[256],
                                       struct sl_error *err)
{
    *outcome = WRITTEN;
    if (status == SYNCLINE_EINVAL) {
        *outcome = CANNOT;
        (void)sqlite3_snprintf(256, reason, "not applied: %s", why->text);
        return SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK) {
        *err = *why;
    }
    return status;
}

static enum syncline_status insert_record(struct sl_apply *apply, const struct record *record,
                                          enum outcome *outcome, char reason[256],
                                          struct sl_error *err)
{
    const struct sl_group *group = record->localized->group;
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &apply->core->writer;
    struct sl_error why;
    bool inserted = false;
    int64_t id = 0;
    enum syncline_status status =
        sl_record_insert(&rows->tables[model->index], &group->uuids[record->i],
                         record->localized->values, &inserted, &id, &why);
    status = as_outcome(status, &why, outcome, reason, err);
    if (status != SYNCLINE_OK || *outcome == CANNOT) {
        return status;
    }
    if (!inserted) {
        *outcome = CANNOT;
        say(reason, "not applied: a record with this UUID was inserted by another change, and this "
                    "version does not keep births apart");
        return SYNCLINE_OK;
    }
    struct sl_birth_run birth = {.id = id,
                                 .n = 1,
                                 .origin = record->origin->number,
                                 .seq = record->seq,
                                 .hlc = group->hlc_first + record->i,
                                 .class = group->class};
    return add_birth(apply, model, &birth, err);
}

static enum syncline_status update_record(struct sl_apply *apply, const struct record *record,
                                          int64_t id, uint64_t hlc, enum outcome *outcome,
                                          char reason[256], struct sl_error *err)
{
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &apply->core->writer;
    struct sl_error why;
    enum syncline_status status = sl_record_update(&rows->tables[model->index], id,
                                                   record->localized->values, &why);
    status = as_outcome(status, &why, outcome, reason, err);
    bool shared = record->localized->group->class == SYNCLINE_SHARED;
    if (status == SYNCLINE_OK && *outcome == WRITTEN && shared) {
        status = sl_stamp_put(&rows->births, model->id_in_db, id, hlc, record->origin->number, err);
    }
    return status;
}

static enum syncline_status delete_record(struct sl_apply *apply, const struct record *record,
                                          int64_t id, enum outcome *outcome, char reason[256],
                                          struct sl_error *err)
{
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &apply->core->writer;
    struct sl_error why;
    enum syncline_status status = sl_record_delete(&rows->tables[model->index], id, &why);
    status = as_outcome(status, &why, outcome, reason, err);
    if (status == SYNCLINE_OK && *outcome == WRITTEN) {
        status = sl_birth_drop(&rows->births, model->id_in_db, id, err);
    }
    if (status == SYNCLINE_OK && *outcome == WRITTEN) {
        status = sl_outbox_note_delete(&rows->ldb, model->id_in_db, err);
    }
    return status;
}

/* An update or a delete: judged first. */
static enum syncline_status change_record(struct sl_apply *apply, const struct record *record,
                                          enum outcome *outcome, char reason[256],
                                          struct sl_error *err)
{
    struct sl_core *core = apply->core;
    const struct sl_group *group = record->localized->group;
    struct sl_received received = {
        .model = record->localized->model,
        .change = group->change,
        .uuid = group->uuids[record->i],
        .birth = group->births[record->i],
        .stamp = {.hlc = group->hlc_first + record->i, .origin = record->origin->head.origin}};
    enum sl_verdict verdict = SL_VERDICT_LOSES;
    int64_t id = 0;
    *outcome = WRITTEN;
    enum syncline_status status = store_run(apply, err); /* what follows reads births */
    if (status == SYNCLINE_OK) {
        status = sl_reconcile(core, &core->writer, &apply->pending, &received, &verdict, &id, reason,
                              err);
    }
    if (status != SYNCLINE_OK || verdict == SL_VERDICT_LOSES) {
        return status;
    }
    if (verdict == SL_VERDICT_SET_ASIDE) {
        *outcome = CANNOT;
        return SYNCLINE_OK;
    }
    if (group->change == SYNCLINE_DELETE) {
        return delete_record(apply, record, id, outcome, reason, err);
    }
    return update_record(apply, record, id, received.stamp.hlc, outcome, reason, err);
}

static enum syncline_status write_record(struct sl_apply *apply, const struct record *record,
                                         enum outcome *outcome, char reason[256],
                                         struct sl_error *err)
{
    const struct sl_group *group = record->localized->group;
    if (group->change != SYNCLINE_DELETE) {
        const struct sl_field *missing = NULL;
        enum syncline_status status = sl_localize_record(record->localized, &apply->core->writer,
                                                         record->i, &missing, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (missing != NULL) {
            *outcome = CANNOT;
            say_missing(reason, missing);
            return SYNCLINE_OK;
        }
    }
    return group->change == SYNCLINE_INSERT ? insert_record(apply, record, outcome, reason, err)
                                            : change_record(apply, record, outcome, reason, err);
}

static bool keys_open(const struct sl_apply *apply)
{
    int current = 0;
    int highest = 0;
    (void)sqlite3_db_status(apply->core->writer.ldb.db.handle, SQLITE_DBSTATUS_DEFERRED_FKS,
                            &current, &highest, 0);
    return current != 0;
}

/* ---- Record by record ---- */

static enum syncline_status set_aside(struct sl_apply *apply, const struct record *record,
                                      const char reason[256], struct sl_error *err)
{
    if (apply->aside_len == apply->aside_capacity) {
        size_t capacity = apply->aside_capacity == 0 ? 64 : 2 * apply->aside_capacity;
        struct sl_apply_aside *grown = realloc(apply->asides, capacity * sizeof(*grown));
        if (grown == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to set records aside");
        }
        apply->asides = grown;
        apply->aside_capacity = capacity;
    }
    struct sl_apply_aside *aside = &apply->asides[apply->aside_len++];
    aside->seq = record->seq;
    aside->model = record->localized->model;
    aside->uuid = record->localized->group->uuids[record->i];
    memcpy(aside->reason, reason, sizeof(aside->reason));
    return SYNCLINE_OK;
}

/* One record in a savepoint: a failure leaves nothing of it. */
static enum syncline_status try_record(struct sl_apply *apply, const struct record *record,
                                       enum outcome *outcome, char reason[256],
                                       struct sl_error *err)
{
    const struct sl_db *db = &apply->core->writer.ldb.db;
    enum syncline_status status = store_run(apply, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(db, "SAVEPOINT _syncline_record", err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = write_record(apply, record, outcome, reason, err);
    if (status == SYNCLINE_OK) {
        status = store_run(apply, err);
    }
    if (status == SYNCLINE_OK && *outcome == WRITTEN && keys_open(apply)) {
        *outcome = CANNOT;
        say(reason, "not applied: other records here point at it");
    }
    if (status == SYNCLINE_OK && *outcome == CANNOT) {
        apply->run.n = 0;
        sl_births_forget(&apply->core->writer.births);
        status = sl_db_exec(db, "ROLLBACK TO _syncline_record", err);
    }
    return status == SYNCLINE_OK ? sl_db_exec(db, "RELEASE _syncline_record", err) : status;
}

/* The changes of a segment that are above the applied entry, as records. */
static enum syncline_status gather(struct sl_apply *apply, struct sl_origin_state *origin,
                                   struct record **records, uint32_t *len, struct sl_error *err)
{
    struct sl_decoded *decoded = &apply->decoded;
    struct sl_core *core = apply->core;
    uint64_t seq = decoded->segment.first_seq;
    *records = sl_arena_alloc(&decoded->arena, decoded->segment.len * sizeof(**records));
    struct sl_localized *localized =
        sl_arena_alloc(&decoded->arena, decoded->group_count * sizeof(*localized));
    if (*records == NULL || localized == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to apply a segment");
    }
    *len = 0;
    for (uint32_t g = 0; g < decoded->group_count; g++) {
        const struct sl_group *group = &decoded->groups[g];
        const struct sl_model *model =
            sl_model_find_name(&core->models, group->model, group->model_len);
        if (model == NULL) {
            return sl_fail(err, SYNCLINE_EUNSUPPORTED,
                           "changes of model '%.*s' have come, which was not given when this handle "
                           "was opened",
                           (int)group->model_len, group->model);
        }
        enum syncline_status status =
            sl_localize_group(&localized[g], model, group, &decoded->arena, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        for (uint32_t i = 0; i < group->n; i++, seq++) {
            if (seq > origin->applied_seq) {
                (*records)[(*len)++] = (struct record){
                    .origin = origin, .localized = &localized[g], .i = i, .seq = seq};
            }
        }
    }
    return SYNCLINE_OK;
}

/* Every record that can be written, whatever the order; the rest is set aside. */
static enum syncline_status apply_carefully(struct sl_apply *apply, struct record *records,
                                            uint32_t len, struct sl_error *err)
{
    char reason[256] = "";
    uint32_t left = len;
    for (bool progress = true; progress && left > 0;) {
        progress = false;
        uint32_t kept = 0;
        for (uint32_t r = 0; r < left; r++) {
            enum outcome outcome = WRITTEN;
            enum syncline_status status = try_record(apply, &records[r], &outcome, reason, err);
            if (status != SYNCLINE_OK) {
                return status;
            }
            if (outcome == WRITTEN) {
                progress = true;
            } else {
                records[kept++] = records[r];
            }
        }
        left = kept;
    }
    for (uint32_t r = 0; r < left; r++) {
        enum outcome outcome = WRITTEN;
        enum syncline_status status = try_record(apply, &records[r], &outcome, reason, err);
        if (status == SYNCLINE_OK && outcome == CANNOT) {
            status = set_aside(apply, &records[r], reason, err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    return SYNCLINE_OK;
}

/* All records in order; *cannot: one could not be written, and the slice is to be done carefully. */
static enum syncline_status apply_plainly(struct sl_apply *apply, const struct record *records,
                                          uint32_t len, bool *cannot, struct sl_error *err)
{
    char reason[256];
    for (uint32_t r = 0; r < len; r++) {
        enum outcome outcome = WRITTEN;
        enum syncline_status status = write_record(apply, &records[r], &outcome, reason, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (outcome == CANNOT) {
            *cannot = true;
            return SYNCLINE_OK;
        }
    }
    return SYNCLINE_OK;
}

/* ---- One slice ---- */

/* The segment that comes next, decoded and fit to be applied. */
static enum syncline_status load(struct sl_apply *apply, struct sl_origin_state *origin,
                                 uint64_t applied, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    enum syncline_status status = sl_decode_from_log(&apply->decoded, &core->log,
                                                     origin->head.number, applied + 1, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t wall_ms = core->env->wall_ms(core->env->ctx);
    uint64_t ahead_ms = sl_hlc_ms(apply->decoded.segment.last_hlc);
    if (ahead_ms > wall_ms + SL_MAX_DRIFT_MS) {
        origin->held_until_ms = ahead_ms - SL_MAX_DRIFT_MS;
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "changes from a clock that is %llu s ahead of this device's are held until "
                       "their time comes: set the clocks right",
                       (unsigned long long)((ahead_ms - wall_ms) / 1000));
    }
    return SYNCLINE_OK;
}

static bool is_about_the_segment(enum syncline_status status)
{
    return status == SYNCLINE_EPROTO || status == SYNCLINE_EUNSUPPORTED ||
           status == SYNCLINE_EFORMAT || status == SYNCLINE_EREFUSED;
}

/* Stops an origin at its next segment. */
static void hold_origin(struct sl_core *core, struct sl_origin_state *origin,
                        enum syncline_status status, const struct sl_error *err)
{
    origin->held = origin->held_until_ms == 0;
    sl_core_notice(core, status, err->text);
}

static enum syncline_status put_asides(struct sl_apply *apply, const struct sl_origin_state *origin,
                                       struct sl_error *err)
{
    struct sl_core *core = apply->core;
    if (apply->aside_len == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_peer_log_begin(&core->log, err);
    for (size_t i = 0; i < apply->aside_len && status == SYNCLINE_OK; i++) {
        const struct sl_apply_aside *aside = &apply->asides[i];
        struct sl_set_aside record = {
            .origin = origin->head.origin, .seq = aside->seq, .uuid = aside->uuid};
        (void)sqlite3_snprintf((int)sizeof(record.model), record.model, "%s", aside->model->name);
        memcpy(record.reason, aside->reason, sizeof(record.reason));
        status = sl_set_aside_put(&core->log, &record, core->env->wall_ms(core->env->ctx), err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_commit(&core->log, err);
    }
    sl_peer_log_rollback(&core->log);
    return status;
}

/* Inside the write transaction: segment after segment until the time is over. *applied moves. */
static enum syncline_status apply_segments(struct sl_apply *apply, struct sl_origin_state *origin,
                                           uint64_t *applied, bool *cannot, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    uint64_t end_ns = now_ns(core) + SL_APPLY_HOLD_MS * NS_PER_MS;
    uint64_t before = origin->applied_seq;
    enum syncline_status status = SYNCLINE_OK;
    for (;;) {
        struct record *records = NULL;
        uint32_t len = 0;
        origin->applied_seq = *applied; /* births this slice has brought are covered */
        status = gather(apply, origin, &records, &len, err);
        if (status == SYNCLINE_OK) {
            status = apply->careful ? apply_carefully(apply, records, len, err)
                                    : apply_plainly(apply, records, len, cannot, err);
        }
        if (status == SYNCLINE_OK) {
            status = store_run(apply, err);
        }
        if (status != SYNCLINE_OK || *cannot) {
            break;
        }
        uint64_t last_hlc = apply->decoded.segment.last_hlc;
        core->hlc_last = last_hlc > core->hlc_last ? last_hlc : core->hlc_last;
        *applied = sl_segment_last_seq(&apply->decoded.segment);
        if (apply->careful || *applied >= origin->head.held_seq || now_ns(core) >= end_ns) {
            break;
        }
        struct sl_error why;
        enum syncline_status next = load(apply, origin, *applied, &why);
        if (next != SYNCLINE_OK) {
            break; /* what is applied stands; the next slice meets it again */
        }
    }
    origin->applied_seq = before;
    return status;
}

/* Everything between BEGIN and COMMIT. */
static enum syncline_status apply_in_transaction(struct sl_apply *apply,
                                                 struct sl_origin_state *origin, uint64_t *applied,
                                                 bool *cannot, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_rows *rows = &core->writer;
    sl_births_forget(&rows->births);
    apply->run.n = 0;
    apply->aside_len = 0;
    enum syncline_status status =
        sl_db_exec(&rows->ldb.db, "PRAGMA defer_foreign_keys=ON", err);
    if (status == SYNCLINE_OK && origin->number == 0) {
        status = sl_library_db_origin_number(&rows->ldb, &origin->head.origin, &origin->number, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_settle_into(core, rows, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_pending_read(&apply->pending, core, rows, err);
    }
    if (status == SYNCLINE_OK) {
        status = apply_segments(apply, origin, applied, cannot, err);
    }
    if (status == SYNCLINE_OK && !*cannot && keys_open(apply)) {
        *cannot = true;
    }
    if (status == SYNCLINE_OK && !*cannot) {
        status = sl_library_db_set_applied(&rows->ldb, origin->number, *applied, err);
    }
    if (status == SYNCLINE_OK && !*cannot) {
        status = put_asides(apply, origin, err);
    }
    return status;
}

/* Did anybody else commit since the last slice? Then the lock is left alone for a moment. */
static void make_room(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    struct sl_error ignored;
    int64_t version = core->writer_version;
    uint64_t now = now_ns(core);
    if (sl_library_db_data_version(&core->writer.ldb, &version, &ignored) != SYNCLINE_OK) {
        return;
    }
    if (version != core->writer_version) {
        core->others_wrote_ns = core->writer_version >= 0 ? now : 0;
        core->writer_version = version;
    }
    if (core->others_wrote_ns != 0 && now - core->others_wrote_ns < OTHERS_ACTIVE_NS) {
        apply->not_before_ns = now + SL_APPLY_PAUSE_MS * NS_PER_MS;
    }
}

static enum syncline_status slice(struct sl_apply *apply, struct sl_origin_state *origin,
                                  struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_library_db *ldb = &core->writer.ldb;
    uint64_t applied = origin->applied_seq;
    uint64_t hlc_before = core->hlc_last;
    int64_t number_before = origin->number;
    bool cannot = false;
    enum syncline_status status = load(apply, origin, applied, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_library_db_begin_write(ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = apply_in_transaction(apply, origin, &applied, &cannot, err);
    if (status == SYNCLINE_OK && !cannot) {
        status = sl_library_db_commit(ldb, err);
    }
    if (status != SYNCLINE_OK || cannot) {
        sl_library_db_rollback(ldb);
        core->hlc_last = hlc_before;
        origin->number = number_before;
        if (cannot && apply->careful) {
            return sl_fail(err, SYNCLINE_ECORRUPT, "library.db has foreign keys that point nowhere");
        }
        apply->careful = cannot;
        return status;
    }
    apply->careful = false;
    origin->applied_seq = applied;
    return SYNCLINE_OK;
}

static struct sl_origin_state *next_origin(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    uint64_t wall_ms = core->env->wall_ms(core->env->ctx);
    for (size_t i = 0; i < core->origin_count; i++) {
        size_t at = (apply->next + i) % core->origin_count;
        struct sl_origin_state *origin = &core->origins[at];
        if (at == 0 || origin->held || origin->applied_seq >= origin->head.held_seq) {
            continue;
        }
        if (origin->held_until_ms > wall_ms) {
            continue;
        }
        origin->held_until_ms = 0;
        apply->next = apply->careful ? at : at + 1;
        return origin;
    }
    return NULL;
}

/* Moves the WAL into library.db when it is long, or nobody writes. */
static bool checkpoint(struct sl_core *core)
{
    uint64_t now = now_ns(core);
    bool idle = core->others_wrote_ns == 0 || now - core->others_wrote_ns > WAL_IDLE_NS;
    if (core->wal_pages == 0 || (core->wal_pages < WAL_PAGES_MAX && !idle)) {
        return false;
    }
    if (core->wal_pages < WAL_PAGES_MAX / 16) {
        return false; /* short: the last connection that closes does it */
    }
    int pages = 0;
    int done = 0;
    (void)sqlite3_wal_checkpoint_v2(core->writer.ldb.db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                    &pages, &done);
    core->wal_pages = 0; /* the hook says how long it is after the next commit */
    return true;
}

bool sl_apply_run(void *stage)
{
    struct sl_apply *apply = stage;
    struct sl_core *core = apply->core;
    if (now_ns(core) < apply->not_before_ns) {
        return false;
    }
    struct sl_origin_state *origin = next_origin(apply);
    if (origin == NULL) {
        return checkpoint(core);
    }
    struct sl_error err;
    uint64_t before = origin->applied_seq;
    enum syncline_status status = slice(apply, origin, &err);
    if (status == SYNCLINE_EBUSY) {
        apply->not_before_ns = now_ns(core) + BUSY_RETRY_NS;
        return false;
    }
    if (is_about_the_segment(status)) {
        hold_origin(core, origin, status, &err);
        return true;
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "apply", status, &err);
        apply->not_before_ns = now_ns(core) + RETRY_NS;
        return false;
    }
    if (origin->applied_seq > before) {
        make_room(apply);
        (void)checkpoint(core);
        sl_core_vector_moved(core);
        sl_core_progress(core);
    }
    return true;
}
