/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/log_append.h"

#include <string.h>

#include "base/crashpoint.h"
#include "stages/epoch.h"
#include "stages/hlc_stamp.h"
#include "stages/reopen.h"

#define RETRY_NS (100u * 1000u * 1000u)
#define SEGMENT_SIZE_USUAL ((size_t)256 * 1024) /* room for it is there from the beginning */

enum syncline_status sl_log_append_init(struct sl_log_append *append, struct sl_core *core,
                                        const char *library_db, struct sl_error *err)
{
    memset(append, 0, sizeof(*append));
    append->core = core;
    sl_buf_init(&append->raw, core->env->alloc);
    sl_buf_init(&append->sealed, core->env->alloc);
    append->zstd = ZSTD_createCCtx();
    enum syncline_status status = SYNCLINE_OK;
    if (append->zstd == NULL || !sl_buf_reserve(&append->raw, SEGMENT_SIZE_USUAL) ||
        !sl_buf_reserve(&append->sealed, SEGMENT_SIZE_USUAL)) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to compress");
    }
    if (status == SYNCLINE_OK) {
        status =
            sl_library_db_open(&append->library_db, core->env, library_db, SL_DB_WRITE, 0, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_drained_count(&core->log, &append->drained, err);
        if (status != SYNCLINE_OK) {
            sl_library_db_fini(&append->library_db);
        }
    }
    if (status != SYNCLINE_OK) {
        (void)ZSTD_freeCCtx(append->zstd);
        sl_buf_fini(&append->raw);
        sl_buf_fini(&append->sealed);
    }
    return status;
}

void sl_log_append_fini(struct sl_log_append *append)
{
    for (size_t i = 0; i < append->len; i++) {
        sl_core_give_batch(append->core, append->batches[i]);
    }
    append->len = 0;
    (void)ZSTD_freeCCtx(append->zstd);
    append->zstd = NULL;
    sl_library_db_fini(&append->library_db);
    sl_buf_fini(&append->raw);
    sl_buf_fini(&append->sealed);
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory to seal a segment");
}

/* ---- One segment ---- */

/* Header and body into `sealed`; the head moves with it. */
static enum syncline_status seal(struct sl_log_append *append, struct sl_segment *segment,
                                 struct sl_log_head *head, struct sl_error *err)
{
    struct sl_core *core = append->core;
    struct sl_buf *sealed = &append->sealed;
    sl_buf_clear(sealed);
    size_t bound = ZSTD_compressBound(append->raw.len);
    if (append->raw.failed || !sl_buf_reserve(sealed, SL_SEGMENT_HEADER_SIZE + bound)) {
        return no_memory(err);
    }
    uint8_t *body = sealed->data + SL_SEGMENT_HEADER_SIZE;
    size_t size =
        ZSTD_compressCCtx(append->zstd, body, bound, append->raw.data, append->raw.len,
                          (int)sl_settings_number(&core->settings, SL_SETTING_ZSTD_LEVEL));
    segment->raw_size = (uint32_t)append->raw.len;
    segment->flags |= SL_SEGMENT_ZSTD;
    if (ZSTD_isError(size) || size >= append->raw.len) {
        memcpy(body, append->raw.data, append->raw.len);
        size = append->raw.len;
        segment->flags &= ~SL_SEGMENT_ZSTD;
    }
    memcpy(segment->prev_hash, head->held_hash, SL_HASH_SIZE);
    sl_segment_encode_header(segment, sealed->data);
    uint8_t hash[SL_HASH_SIZE];
    if (sl_segment_hash(core->hasher, sealed->data, body, size, hash) != SYNCLINE_OK ||
        sl_sign(core->signer, hash, sizeof(hash), segment->signature) != SYNCLINE_OK) {
        return no_memory(err);
    }
    sl_segment_encode_header(segment, sealed->data);
    sealed->len = SL_SEGMENT_HEADER_SIZE + size;
    memcpy(head->held_hash, hash, SL_HASH_SIZE);
    head->held_seq = sl_segment_last_seq(segment);
    head->last_hlc = segment->last_hlc;
    return SYNCLINE_OK;
}

/* Adds a batch's groups to the body under way. */
static void add_groups(struct sl_buf *raw, const struct sl_batch *batch, uint64_t first_hlc)
{
    uint64_t hlc = first_hlc;
    for (uint32_t g = 0; g < batch->group_count; g++) {
        const struct sl_batch_group *group = &batch->groups[g];
        sl_group_write_hlc(raw, hlc);
        sl_buf_bytes(raw, batch->body.data + group->offset, group->size);
        hlc += group->len;
    }
}

static bool has_inserts(const struct sl_batch *batch)
{
    bool has = false;
    for (uint32_t g = 0; g < batch->group_count; g++) {
        has = has || batch->groups[g].inserts;
    }
    return has;
}

/* May records of this batch point at records that only later batches bring? */
static bool is_continued(const struct sl_core *core, const struct sl_batch *batch)
{
    bool row_goes_on = batch->offset + batch->taken_n < batch->row_n;
    return row_goes_on ||
           batch->outbox_id < atomic_load_explicit(&core->read_again_to, memory_order_acquire) ||
           batch->outbox_id < atomic_load_explicit(&core->scanned_to, memory_order_acquire);
}

/* One segment of as many batches as fit, from *at on; *at moves past them. */
static enum syncline_status append_segment(struct sl_log_append *append, size_t *at,
                                           uint64_t hlcs[SL_APPEND_BATCHES_MAX],
                                           struct sl_log_head *head, uint64_t *hlc_last,
                                           struct sl_error *err)
{
    struct sl_core *core = append->core;
    struct sl_segment segment = {
        .library_id = core->who.library_id, .origin = core->self, .first_seq = head->held_seq + 1};
    uint32_t len_max = UINT32_MAX; /* the least that a call among them wants */
    uint64_t cells = 0;
    sl_buf_clear(&append->raw);
    for (; *at < append->len; (*at)++) {
        const struct sl_batch *batch = append->batches[*at];
        uint32_t batch_len = batch->batch_len > 0 ? batch->batch_len : core->batch_len;
        len_max = batch_len < len_max ? batch_len : len_max;
        cells += (uint64_t)batch->live_n * batch->model->field_count;
        bool full = segment.len + batch->live_n > len_max || cells > SL_GROUP_CELLS_MAX ||
                    append->raw.len + batch->body.len > SL_SEGMENT_SIZE_MAX / 2;
        if (segment.len > 0 && full) {
            break;
        }
        if (batch->live_n == 0) {
            continue;
        }
        if (batch->first_seq != segment.first_seq + segment.len) {
            return sl_fail(err, SYNCLINE_ECORRUPT, "a batch with seq %llu where %llu is next",
                           (unsigned long long)batch->first_seq,
                           (unsigned long long)(segment.first_seq + segment.len));
        }
        SL_CRASHPOINT(S5, BEFORE);
        hlcs[*at] = sl_hlc_stamp(batch, hlc_last);
        SL_CRASHPOINT(S5, AFTER);
        segment.first_hlc = segment.len == 0 ? hlcs[*at] : segment.first_hlc;
        segment.len += batch->live_n;
        segment.flags &= SL_SEGMENT_BIRTHS;
        segment.flags |= is_continued(core, batch) ? SL_SEGMENT_CONTINUED : 0;
        segment.flags |= has_inserts(batch) ? SL_SEGMENT_BIRTHS : 0;
        add_groups(&append->raw, batch, hlcs[*at]);
    }
    segment.last_hlc = *hlc_last;
    if (segment.len == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = seal(append, &segment, head, err);
    if (status == SYNCLINE_OK) {
        append->segments++;
        append->bytes += append->sealed.len;
        SL_CRASHPOINT(S6, BEFORE);
        status = sl_peer_log_append(&core->log, head, append->sealed.data, append->sealed.len, err);
        SL_CRASHPOINT(S6, AFTER);
    }
    return status;
}

/* ---- The transaction ---- */

static enum syncline_status put_asides(struct sl_core *core, const struct sl_batch *batch,
                                       struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (const struct sl_batch_aside *aside = batch->asides; aside != NULL && status == SYNCLINE_OK;
         aside = aside->next) {
        struct sl_set_aside record = {.origin = core->self, .seq = 0, .uuid = aside->uuid};
        (void)sqlite3_snprintf((int)sizeof(record.model), record.model, "%s", batch->model->name);
        memcpy(record.reason, aside->reason, sizeof(record.reason));
        status = sl_set_aside_put(&core->log, &record, core->env->wall_ms(core->env->ctx), err);
    }
    return status;
}

/* What is sent now is not set aside any more. */
static enum syncline_status take_asides_back(struct sl_core *core, const struct sl_batch *batch,
                                             struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (!atomic_load(&core->some_aside)) {
        return SYNCLINE_OK;
    }
    for (uint32_t i = 0; i < batch->live_n && status == SYNCLINE_OK; i++) {
        status = sl_set_aside_remove_record(&core->log, &core->self, batch->model->name,
                                            &batch->uuids[batch->live[i]], err);
    }
    return status;
}

static void drained_by(const struct sl_batch *batch, struct sl_drained *drained)
{
    if (drained->id != batch->outbox_id) {
        drained->seq = 0;
    }
    if (batch->live_n > 0) {
        drained->seq = batch->first_seq + batch->live_n - 1;
    }
    drained->id = batch->outbox_id;
    drained->token = batch->token;
    drained->changes = batch->offset + batch->taken_n;
    drained->complete = drained->changes >= batch->row_n;
}

/* The drained rows of all that waits; *drained is the newest, before and after. */
static enum syncline_status put_drained(struct sl_log_append *append, struct sl_drained *drained,
                                        uint64_t *kept, struct sl_error *err)
{
    struct sl_peer_log *log = &append->core->log;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < append->len && status == SYNCLINE_OK; i++) {
        drained_by(append->batches[i], drained);
        *kept += drained->complete ? 1 : 0;
        if (drained->complete || i + 1 == append->len) {
            status = sl_drained_put(log, drained, err);
        }
    }
    if (status == SYNCLINE_OK && *kept > SL_DRAINED_KEPT + SL_DRAINED_KEPT / 8) {
        status = sl_drained_prune(log, SL_DRAINED_KEPT, err);
        *kept = SL_DRAINED_KEPT;
    }
    return status;
}

/* Everything that waits, in the caller's transaction. What moved is returned, not yet true. */
static enum syncline_status append_all(struct sl_log_append *append,
                                       uint64_t hlcs[SL_APPEND_BATCHES_MAX],
                                       struct sl_log_head *head, uint64_t *hlc_last,
                                       struct sl_drained *drained, uint64_t *kept,
                                       struct sl_error *err)
{
    struct sl_core *core = append->core;
    enum syncline_status status = SYNCLINE_OK;
    append->segments = 0;
    append->bytes = 0;
    for (size_t at = 0; at < append->len && status == SYNCLINE_OK;) {
        status = append_segment(append, &at, hlcs, head, hlc_last, err);
    }
    for (size_t i = 0; i < append->len && status == SYNCLINE_OK; i++) {
        status = take_asides_back(core, append->batches[i], err);
        if (status == SYNCLINE_OK) {
            status = put_asides(core, append->batches[i], err);
        }
    }
    return status == SYNCLINE_OK ? put_drained(append, drained, kept, err) : status;
}

/* What is in the log now can be settled, and is seen as such by apply: before the clock is free. */
static void publish(struct sl_log_append *append, const uint64_t hlcs[SL_APPEND_BATCHES_MAX],
                    const struct sl_log_head *head)
{
    struct sl_core *core = append->core;
    for (size_t i = 0; i < append->len; i++) {
        struct sl_batch *batch = append->batches[i];
        if (batch->unsettled != NULL) {
            sl_unsettled_set_durable(&core->unsettled, batch->unsettled, hlcs[i]);
        }
    }
    sl_core_set_head(core, core->origins[0], head);
}

static void log_asides(const struct sl_log_append *append)
{
    const struct sl_batch *first_batch = NULL;
    const struct sl_batch_aside *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < append->len; i++) {
        const struct sl_batch *batch = append->batches[i];
        for (const struct sl_batch_aside *aside = batch->asides; aside != NULL;
             aside = aside->next) {
            sl_core_log_aside(append->core, batch->model->name, &aside->uuid, aside->reason);
            first_batch = first == NULL ? batch : first_batch;
            first = first == NULL ? aside : first;
            count++;
        }
    }
    if (first != NULL) {
        atomic_store(&append->core->some_aside, true);
        sl_core_event_aside(append->core, first_batch->model->name, &first->uuid,
                            &append->core->self.device, first->reason, count);
    }
}

/* Stamps and commits everything that waits. */
static enum syncline_status commit_all(struct sl_log_append *append, struct sl_error *err)
{
    struct sl_core *core = append->core;
    /* Their outbox rows were seen committed, so they are in the WAL; now they stay there. */
    enum syncline_status status = sl_core_sync_wal(core, &append->library_db, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t hlcs[SL_APPEND_BATCHES_MAX] = {0};
    struct sl_log_head head = sl_core_head(core, core->origins[0]);
    uint64_t seq_before = head.held_seq;
    (void)pthread_mutex_lock(&core->clock_lock);
    uint64_t hlc_last = core->hlc_last;
    struct sl_drained drained = core->drained;
    uint64_t kept = append->drained;
    (void)pthread_mutex_lock(&core->log_lock);
    status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK) {
        status = append_all(append, hlcs, &head, &hlc_last, &drained, &kept, err);
        if (status == SYNCLINE_OK) {
            status = sl_core_log_commit(core, err);
        }
        sl_peer_log_rollback(&core->log);
    }
    (void)pthread_mutex_unlock(&core->log_lock);
    if (status == SYNCLINE_OK) {
        core->hlc_last = hlc_last;
        core->drained = drained;
        append->drained = kept;
        SL_CRASHPOINT(S8, BEFORE);
        publish(append, hlcs, &head);
        SL_CRASHPOINT(S8, AFTER);
    }
    (void)pthread_mutex_unlock(&core->clock_lock);
    if (status == SYNCLINE_OK) {
        if (head.held_seq > seq_before) {
            sl_core_vector_moved(core);
        }
        sl_count_work(&core->counts[SL_STAGE_LOG_APPEND], append->segments,
                      head.held_seq - seq_before, append->bytes);
        sl_core_progress_log(core, &drained, head.held_seq);
        log_asides(append);
    }
    return status;
}

/* Does somebody wait for a batch of this pool, while half of them may be here? */
static bool holds_up(const struct sl_log_append *append, struct sl_batch_pool *pool)
{
    return append->len >= pool->len / 2 && sl_batch_pool_is_empty(pool);
}

/* Is there enough for one transaction? Whoever waits for a batch to come back does not wait for
 * more to come. */
static bool is_full(const struct sl_log_append *append)
{
    struct sl_core *core = append->core;
    uint64_t changes = 0;
    for (size_t i = 0; i < append->len; i++) {
        changes += append->batches[i]->live_n;
    }
    return append->len == SL_APPEND_BATCHES_MAX || changes >= SL_APPEND_CHANGES_FULL ||
           holds_up(append, &core->reread_pool) || holds_up(append, &core->bulk_pool) ||
           holds_up(append, &core->staging.pool);
}

bool sl_log_append_run(void *stage)
{
    struct sl_log_append *append = stage;
    struct sl_core *core = append->core;
    while (append->len < SL_APPEND_BATCHES_MAX) {
        struct sl_batch *batch = sl_ring_pop(&core->to_append);
        if (batch == NULL) {
            break;
        }
        append->batches[append->len++] = batch;
    }
    uint64_t now = core->env->mono_ns(core->env->ctx);
    if (append->len == 0 || now < append->retry_ns ||
        atomic_load_explicit(&core->stray_count, memory_order_acquire) > 0 ||
        (now < append->linger_ns && !is_full(append))) {
        return false;
    }
    struct sl_error err;
    enum syncline_status status = commit_all(append, &err);
    now = core->env->mono_ns(core->env->ctx);
    if (status != SYNCLINE_OK) {
        append->retry_ns = now + RETRY_NS;
        sl_core_failed(core, "log_append", status, &err);
        return false;
    }
    append->linger_ns = now + sl_settings_ns(&core->settings, SL_SETTING_LINGER_MS);
    sl_epoch_mark_due(core, now);
    for (size_t i = 0; i < append->len; i++) {
        sl_core_give_batch(core, append->batches[i]);
    }
    append->len = 0;
    return true;
}
