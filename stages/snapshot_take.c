/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/snapshot_take.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "stages/floor.h"
#include "stages/members.h"
#include "stages/snapshot_apply.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define RETRY_NS (SL_SNAPSHOT_RETRY_MS * NS_PER_MS)
#define LATER_NS (SL_LOG_AGAIN_MS * NS_PER_MS) /* what an upgrade may mend, or nobody */

/* The arrows of the drawing. */
static const bool arrows[SL_TAKE_STATE_END][SL_TAKE_STATE_END] = {
    [SL_TAKE_IDLE] = {[SL_TAKE_ASKED] = true},
    [SL_TAKE_ASKED] = {[SL_TAKE_IDLE] = true, [SL_TAKE_ADOPTS] = true, [SL_TAKE_READY] = true},
    [SL_TAKE_ADOPTS] = {[SL_TAKE_IDLE] = true, [SL_TAKE_READY] = true},
    [SL_TAKE_READY] = {[SL_TAKE_IDLE] = true, [SL_TAKE_PAGING] = true},
    [SL_TAKE_PAGING] = {[SL_TAKE_IDLE] = true, [SL_TAKE_READY] = true},
};

static void enter(struct sl_snapshot_take *take, enum sl_take_state state)
{
    bool is_drawn = arrows[take->state][state];
    assert(is_drawn);
    (void)is_drawn; /* a release build asserts nothing */
    take->state = state;
}

static uint64_t now_ns(const struct sl_core *core)
{
    return core->env->mono_ns(core->env->ctx);
}

static bool is_active(const struct sl_snapshot_take *take)
{
    return atomic_load_explicit(&take->core->snapshot.active, memory_order_acquire);
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory to take a snapshot");
}

enum syncline_status sl_snapshot_take_init(struct sl_snapshot_take *take, struct sl_core *core,
                                           const struct sl_verify *verify, struct sl_error *err)
{
    take->core = core;
    take->verify = verify;
    if (pthread_mutex_init(&take->lock, NULL) != 0) {
        return no_memory(err);
    }
    for (size_t i = 0; i < SL_SNAPSHOT_PAGES_MAX; i++) {
        sl_buf_init(&take->pages[i].data, core->env->alloc);
    }
    sl_buf_init(&take->out, core->env->alloc);
    sl_arena_init(&take->arena, core->env->alloc);
    take->ready = true;
    return SYNCLINE_OK;
}

void sl_snapshot_take_fini(struct sl_snapshot_take *take)
{
    if (!take->ready) {
        return;
    }
    for (size_t i = 0; i < SL_SNAPSHOT_PAGES_MAX; i++) {
        sl_buf_fini(&take->pages[i].data);
    }
    sl_buf_fini(&take->out);
    sl_arena_fini(&take->arena);
    sl_free(take->core->env->alloc, take->cut);
    (void)pthread_mutex_destroy(&take->lock);
    take->ready = false;
}

/* ---- Places ---- */

/* Are all models that this one's keys point at taken? */
static bool has_parents(const struct sl_model *model, const bool taken[SL_MODEL_COUNT_MAX])
{
    bool has = true;
    for (uint32_t i = 0; i < model->field_count; i++) {
        const struct sl_model *parent = model->fields[i].parent;
        has = has && (parent == NULL || parent == model || taken[parent->index]);
    }
    return has;
}

/* The model to go on with: one whose parents are taken; in a circle any. NULL: none is left. */
static const struct sl_model *next_model(const struct sl_core *core,
                                         const bool taken[SL_MODEL_COUNT_MAX])
{
    const struct sl_model *any = NULL;
    for (size_t i = 0; i < core->models.count; i++) {
        const struct sl_model *model = &core->models.models[i];
        if (!taken[i] && has_parents(model, taken)) {
            return model;
        }
        any = any == NULL && !taken[i] ? model : any;
    }
    return any;
}

/* Where to go on, as the tables are. The applier's, or at open. */
static struct sl_take_place place_in_tables(const struct sl_core *core)
{
    struct sl_take_place place = {.model = next_model(core, core->snapshot.taken)};
    if (place.model != NULL) {
        place.lo = core->snapshot.lo[place.model->index];
    }
    return place;
}

/* The page that is to be asked for next. Under lock. The applier's `taken` moves with `place`,
 * which is written after it. */
static struct sl_take_place place_to_ask(const struct sl_snapshot_take *take)
{
    return take->pages_len > 0 ? take->pages[take->pages_len - 1].next : take->place;
}

/* ---- The cut ---- */

static void set_cut(struct sl_core *core, struct sl_origin_state *origin,
                    const struct sl_snapshot_origin *row)
{
    (void)pthread_mutex_lock(&core->head_lock);
    uint64_t before = origin->applied_seq;
    origin->cut_seq = row->cut_seq;
    origin->cut_hlc = row->last_hlc;
    /* What is missing of the own log is in no snapshot. */
    origin->known_seq = origin->index == 0 && before < row->cut_seq ? row->cut_seq : before;
    if (sl_origin_lags(origin)) {
        origin->applied_seq = row->live_seq;
        origin->covered_seq = row->live_seq;
        origin->synced_seq = before;
    }
    (void)pthread_mutex_unlock(&core->head_lock);
}

static void clear_cut(struct sl_core *core)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    (void)pthread_mutex_lock(&core->head_lock);
    for (size_t i = 0; i < count; i++) {
        core->origins[i]->cut_seq = core->origins[i]->cut_hlc = core->origins[i]->known_seq = 0;
    }
    (void)pthread_mutex_unlock(&core->head_lock);
}

static struct sl_take_origin *grow_cut(struct sl_snapshot_take *take, size_t len)
{
    struct sl_take_origin *grown =
        sl_resize(take->core->env->alloc, take->cut, len > 0 ? len : 1, sizeof(*grown));
    take->cut = grown != NULL ? grown : take->cut;
    return grown;
}

static enum syncline_status load_origins(struct sl_snapshot_take *take, struct sl_error *err)
{
    struct sl_core *core = take->core;
    struct sl_library_db *ldb = &core->writer.ldb;
    struct sl_snapshot_origin row = {.number = 0};
    bool found = true;
    for (;;) {
        struct sl_origin name;
        bool named = false;
        enum syncline_status status = sl_snapshot_origin_next(ldb, row.number, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        status = sl_library_db_origin(ldb, row.number, &named, &name, err);
        struct sl_origin_state *origin = named ? sl_core_origin(core, &name) : NULL;
        if (status != SYNCLINE_OK || origin == NULL) {
            return status != SYNCLINE_OK
                       ? status
                       : sl_fail(err, SYNCLINE_ECORRUPT, "library.db: an origin has no name");
        }
        if (grow_cut(take, take->cut_len + 1) == NULL) {
            return no_memory(err);
        }
        struct sl_take_origin *of = &take->cut[take->cut_len++];
        *of = (struct sl_take_origin){.origin = origin};
        memcpy(of->end, row.end, sizeof(of->end));
        status = sl_segment_end_parse(&of->segment, of->end, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        set_cut(core, origin, &row);
    }
}

/* Of models that it does not bring nothing is to come. */
static enum syncline_status load_places(struct sl_core *core, struct sl_error *err)
{
    struct sl_snapshot_place *place = &core->snapshot;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < core->models.count && status == SYNCLINE_OK; i++) {
        bool found = false;
        bool done = true;
        status = sl_snapshot_model_get(&core->writer.ldb, core->models.models[i].id_in_db, &found,
                                       &done, &place->lo[i], err);
        place->taken[i] = !found || done;
    }
    return status;
}

enum syncline_status sl_snapshot_take_load(struct sl_snapshot_take *take, struct sl_error *err)
{
    struct sl_core *core = take->core;
    struct sl_snapshot_row row;
    bool found = false;
    enum syncline_status status = sl_snapshot_get(&core->writer.ldb, &found, &row, err);
    if (status != SYNCLINE_OK || !found) {
        return status;
    }
    status = load_origins(take, err);
    if (status == SYNCLINE_OK) {
        status = load_places(core, err);
    }
    memcpy(take->taken, core->snapshot.taken, sizeof(take->taken));
    for (size_t i = 0; i < core->models.count; i++) {
        take->cut_models[i] = !take->taken[i];
    }
    take->place = place_in_tables(core);
    atomic_store(&core->snapshot.active, status == SYNCLINE_OK);
    return status;
}

/* Logs that end before the cut begin there. Nothing that came before waits to be held. */
static enum syncline_status begin_logs(struct sl_snapshot_take *take, struct sl_error *err)
{
    struct sl_core *core = take->core;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; take->verify->first == NULL && i < take->cut_len && status == SYNCLINE_OK;
         i++) {
        const struct sl_take_origin *of = &take->cut[i];
        if (of->origin->index != 0 &&
            sl_core_held(core, of->origin) < sl_segment_last_seq(&of->segment)) {
            status = sl_floor_begin(core, of->origin, &of->segment, of->end, err);
        }
    }
    return status;
}

/* ---- Asking ---- */

/* Has a member pruned what is missing here, or is there a log here that begins above what is
 * applied? */
static bool is_needed(struct sl_core *core)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    bool needed = false;
    (void)pthread_mutex_lock(&core->head_lock);
    for (size_t i = 1; i < count; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        needed = needed || origin->needed_seq > origin->head.held_seq ||
                 origin->floor_seq > origin->applied_seq;
    }
    (void)pthread_mutex_unlock(&core->head_lock);
    return needed;
}

void sl_snapshot_take_forget(struct sl_snapshot_take *take, const struct sl_member_state *member)
{
    if (take->provider != member) {
        return;
    }
    take->provider = NULL;
    if (take->state != SL_TAKE_IDLE && take->state != SL_TAKE_ADOPTS) {
        enter(take, SL_TAKE_IDLE);
    }
    take->not_before_ns = 0;
}

/* The provider is none, or not now. */
static void give_up(struct sl_snapshot_take *take, uint64_t pause_ns)
{
    if (take->state != SL_TAKE_IDLE) {
        enter(take, SL_TAKE_IDLE);
    }
    take->provider = NULL;
    take->not_before_ns = now_ns(take->core) + pause_ns;
}

static struct sl_member_state *choose(struct sl_snapshot_take *take)
{
    struct sl_core *core = take->core;
    for (size_t i = 0; i < core->member_count; i++) {
        struct sl_member_state *member = &core->members[take->next_member++ % core->member_count];
        if (member->meeting == SL_MEETING_KNOWN) {
            return member;
        }
    }
    return NULL;
}

static bool send_ask(struct sl_snapshot_take *take)
{
    struct sl_session *session = take->provider->session;
    if (!take->out.failed &&
        sl_session_send_snapshot_ask(session, take->out.data, take->out.len) == SYNCLINE_OK) {
        return true;
    }
    sl_session_close(session, SYNCLINE_ENET, "a question for a snapshot could not be queued");
    return false;
}

/* Asks a member for a cut, or whether it can go on with the one that is here. */
static bool ask_cut(struct sl_snapshot_take *take)
{
    take->provider = choose(take);
    if (take->provider == NULL) {
        return false;
    }
    size_t len = is_active(take) ? take->cut_len : 0;
    struct sl_cut_place *places = sl_calloc(take->core->env->alloc, len + 1, sizeof(*places));
    for (size_t i = 0; i < len && places != NULL; i++) {
        places[i] = (struct sl_cut_place){.origin = take->cut[i].origin->name,
                                          .seq = sl_segment_last_seq(&take->cut[i].segment)};
    }
    sl_buf_clear(&take->out);
    if (places != NULL) {
        sl_snapshot_ask_put_begin(&take->out, places, (uint32_t)len);
    }
    sl_free(take->core->env->alloc, places);
    if (places == NULL) {
        give_up(take, RETRY_NS);
        return false;
    }
    enter(take, SL_TAKE_ASKED);
    return send_ask(take);
}

static bool ask_page(struct sl_snapshot_take *take)
{
    (void)pthread_mutex_lock(&take->lock);
    bool room = take->pages_len < SL_SNAPSHOT_PAGES_MAX;
    struct sl_take_place place = place_to_ask(take);
    (void)pthread_mutex_unlock(&take->lock);
    if (!room || place.model == NULL) {
        return false;
    }
    sl_buf_clear(&take->out);
    sl_snapshot_ask_put_page(&take->out, place.model->name, &place.lo);
    take->asked = place;
    enter(take, SL_TAKE_PAGING);
    return send_ask(take);
}

/* The applier has adopted the cut, or could not; or the snapshot is over; or a page was no good. */
static void look_at_applier(struct sl_snapshot_take *take)
{
    (void)pthread_mutex_lock(&take->lock);
    bool adopts = take->adopt;
    bool dropped = take->dropped;
    take->dropped = false;
    (void)pthread_mutex_unlock(&take->lock);
    bool active = is_active(take);
    if (take->state == SL_TAKE_ADOPTS && !adopts) {
        if (!active || take->provider == NULL) {
            give_up(take, active ? 0 : RETRY_NS);
        } else {
            enter(take, SL_TAKE_READY);
        }
    } else if (dropped) {
        give_up(take, LATER_NS);
    } else if (!active && (take->state == SL_TAKE_READY || take->state == SL_TAKE_PAGING)) {
        give_up(take, 0);
    }
}

bool sl_snapshot_take_run(struct sl_snapshot_take *take)
{
    struct sl_core *core = take->core;
    struct sl_error err;
    bool worked = take->page_came;
    take->page_came = false;
    look_at_applier(take);
    bool active = is_active(take);
    if (sl_core_is_paused(core)) {
        return worked;
    }
    if (active) {
        enum syncline_status status = begin_logs(take, &err);
        if (status != SYNCLINE_OK) {
            sl_core_failed(core, "snapshot", status, &err);
            return worked;
        }
    }
    if (take->state == SL_TAKE_IDLE) {
        bool due = now_ns(core) >= take->not_before_ns && (active || is_needed(core));
        return (due && ask_cut(take)) || worked;
    }
    return (take->state == SL_TAKE_READY && ask_page(take)) || worked;
}

/* ---- What comes ---- */

static enum syncline_status check_seal(struct sl_core *core, struct sl_member_state *author,
                                       const struct sl_take_origin *of, uint8_t hash[SL_HASH_SIZE],
                                       struct sl_error *err)
{
    enum syncline_status status = sl_segment_end_hash(core->net_hasher, of->end, hash);
    if (status == SYNCLINE_OK && author->verifier == NULL) {
        status = sl_verifier_new(core->env->alloc, author->known.public_key, &author->verifier);
    }
    if (status != SYNCLINE_OK) {
        return no_memory(err);
    }
    return sl_verify(author->verifier, hash, SL_HASH_SIZE, of->segment.signature)
               ? SYNCLINE_OK
               : sl_fail(err, SYNCLINE_EPROTO,
                         "the cut of a snapshot is not signed by the device of an origin in it");
}

/* One origin of a cut. */
static enum syncline_status read_end(struct sl_core *core, const uint8_t *end,
                                     struct sl_take_origin *of, struct sl_error *err)
{
    memcpy(of->end, end, sizeof(of->end));
    enum syncline_status status = sl_segment_end_parse(&of->segment, of->end, err);
    if (status == SYNCLINE_OK && !sl_uuid_equal(&of->segment.library_id, &core->who.library_id)) {
        status = sl_fail(err, SYNCLINE_EPROTO, "a cut of another library");
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    const struct sl_origin *name = &of->segment.origin;
    struct sl_member_state *author = sl_uuid_equal(&name->device, &core->self.device)
                                         ? &core->ourselves
                                         : sl_core_member(core, &name->device);
    if (author == NULL || author->known.standing == SL_STANDING_STRANGER) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "the snapshot has changes of a device that is no member here");
    }
    uint8_t hash[SL_HASH_SIZE];
    uint64_t last_seq = sl_segment_last_seq(&of->segment);
    status = check_seal(core, author, of, hash, err);
    if (status == SYNCLINE_OK && sl_members_refuses(core, name, last_seq, hash)) {
        status = sl_fail(err, SYNCLINE_EREFUSED,
                         "the snapshot has changes of \"%s\" that it made after it was revoked",
                         author->known.name);
    }
    if (status == SYNCLINE_OK && sl_origin_equal(name, &core->self) &&
        last_seq > sl_core_held(core, core->origins[0])) {
        status = sl_fail(err, SYNCLINE_ERESTORED,
                         "the cut has change %llu of this device, which its own log has not",
                         (unsigned long long)last_seq);
    }
    if (status == SYNCLINE_OK) {
        of->origin = sl_core_origin(core, name);
        of->origin =
            of->origin != NULL ? of->origin : sl_core_add_origin(core, name, core->net_hasher);
    }
    return status == SYNCLINE_OK && of->origin == NULL
               ? sl_fail(err, SYNCLINE_EREFUSED, "there is no room for another device's log")
               : status;
}

/* The models that come. One that is not here: nothing can be taken. */
static enum syncline_status read_models(struct sl_snapshot_take *take, struct sl_snapshot_cut *cut,
                                        bool has[SL_MODEL_COUNT_MAX], struct sl_error *err)
{
    memset(has, 0, SL_MODEL_COUNT_MAX * sizeof(*has));
    for (uint32_t i = 0; i < cut->models_len; i++) {
        struct sl_model_name name = sl_snapshot_cut_model(cut);
        const struct sl_model *model = sl_model_find_name(&take->core->models, name.name, name.len);
        if (model == NULL) {
            return sl_fail(err, SYNCLINE_EUNSUPPORTED,
                           "a snapshot is needed, and has records of model '%.*s', which was not "
                           "given when this handle was opened",
                           (int)name.len, name.name);
        }
        has[model->index] = true;
    }
    return SYNCLINE_OK;
}

/* Has the provider all models that are still to come? */
static bool has_models(const struct sl_snapshot_take *take, const bool has[SL_MODEL_COUNT_MAX])
{
    bool all = true;
    for (size_t i = 0; i < take->core->models.count; i++) {
        all = all && (has[i] || !take->cut_models[i]);
    }
    return all;
}

static enum syncline_status keep_cut(struct sl_snapshot_take *take,
                                     const struct sl_snapshot_cut *cut,
                                     const bool has[SL_MODEL_COUNT_MAX], struct sl_error *err)
{
    enum syncline_status status =
        grow_cut(take, cut->ends_len) != NULL ? SYNCLINE_OK : no_memory(err);
    for (uint32_t i = 0; i < cut->ends_len && status == SYNCLINE_OK; i++) {
        status =
            read_end(take->core, cut->ends + (size_t)i * SL_SEGMENT_END_SIZE, &take->cut[i], err);
    }
    if (status == SYNCLINE_OK) {
        (void)pthread_mutex_lock(&take->lock);
        take->cut_len = cut->ends_len;
        take->cut_records = cut->records;
        memcpy(take->cut_models, has, sizeof(take->cut_models));
        take->adopt = true;
        (void)pthread_mutex_unlock(&take->lock);
        enter(take, SL_TAKE_ADOPTS);
        take->page_came = true; /* something came for the applier */
    }
    return status;
}

enum syncline_status sl_snapshot_take_cut(struct sl_snapshot_take *take,
                                          struct sl_member_state *member, const void *data,
                                          size_t len, struct sl_error *err)
{
    struct sl_snapshot_cut cut;
    struct sl_error text;
    bool has[SL_MODEL_COUNT_MAX];
    enum syncline_status status = sl_snapshot_cut_get(data, len, &cut, err);
    if (status != SYNCLINE_OK || member != take->provider || take->state != SL_TAKE_ASKED) {
        return status;
    }
    if (cut.status != SYNCLINE_OK) {
        give_up(take, RETRY_NS);
        return SYNCLINE_OK;
    }
    status = read_models(take, &cut, has, &text);
    if (status != SYNCLINE_OK) {
        sl_core_trouble(take->core, SYNCLINE_CODE_SNAPSHOT_NEEDED, status, &member->known.device,
                        text.text);
        give_up(take, LATER_NS);
        return SYNCLINE_OK;
    }
    if (!is_active(take)) {
        status = keep_cut(take, &cut, has, &text);
        if (status != SYNCLINE_OK) {
            give_up(take, LATER_NS);
            *err = text;
        }
        if (status == SYNCLINE_EREFUSED) { /* another member's may do */
            sl_core_notice(take->core, status, text.text);
            status = SYNCLINE_OK;
        }
        return status;
    }
    if (has_models(take, has)) {
        enter(take, SL_TAKE_READY);
    } else {
        give_up(take, RETRY_NS);
    }
    return SYNCLINE_OK;
}

/* Where the page after this one begins. Under lock. */
static struct sl_take_place place_after(const struct sl_snapshot_take *take,
                                        const struct sl_page *page, const struct sl_model *model)
{
    struct sl_take_place next = {.model = model, .lo = sl_uuid_add(&page->hi, 1)};
    if (sl_uuid_compare(&next.lo, &page->hi) > 0) {
        return next;
    }
    bool taken[SL_MODEL_COUNT_MAX];
    memcpy(taken, take->taken, sizeof(taken));
    taken[model->index] = true;
    for (size_t i = 0; i < take->pages_len; i++) {
        taken[take->pages[i].model->index] =
            taken[take->pages[i].model->index] || take->pages[i].next.model != take->pages[i].model;
    }
    next.model = next_model(take->core, taken);
    memset(next.lo.bytes, 0, sizeof(next.lo.bytes));
    return next;
}

enum syncline_status sl_snapshot_take_page(struct sl_snapshot_take *take,
                                           struct sl_member_state *member, const void *data,
                                           size_t len, struct sl_error *err)
{
    struct sl_page page;
    enum syncline_status status = sl_page_get(data, len, &page, err);
    if (status != SYNCLINE_OK || member != take->provider || take->state != SL_TAKE_PAGING) {
        return status;
    }
    const struct sl_model *model = take->asked.model;
    if (sl_model_find_name(&take->core->models, page.model.name, page.model.len) != model ||
        !sl_uuid_equal(&page.lo, &take->asked.lo)) {
        return sl_fail(err, SYNCLINE_EPROTO, "a page that was not asked for");
    }
    (void)pthread_mutex_lock(&take->lock);
    struct sl_take_page *came = &take->pages[take->pages_len];
    sl_buf_clear(&came->data);
    sl_buf_bytes(&came->data, data, len);
    bool failed = came->data.failed;
    if (!failed) {
        came->model = model;
        came->hlc = sl_page_hlc_max(&page);
        came->next = place_after(take, &page, model);
        take->pages_len++;
    }
    (void)pthread_mutex_unlock(&take->lock);
    if (failed) {
        return no_memory(err);
    }
    enter(take, SL_TAKE_READY);
    take->page_came = true;
    return SYNCLINE_OK;
}

/* ---- The applier's: the cut ---- */

static enum syncline_status write_cut(struct sl_snapshot_take *take, struct sl_error *err)
{
    struct sl_core *core = take->core;
    struct sl_library_db *ldb = &core->writer.ldb;
    const struct sl_snapshot_row row = {.total = take->cut_records,
                                        .began_ms = core->env->wall_ms(core->env->ctx)};
    enum syncline_status status = sl_snapshot_begin(ldb, &row, err);
    for (size_t i = 0; i < take->cut_len && status == SYNCLINE_OK; i++) {
        const struct sl_take_origin *of = &take->cut[i];
        struct sl_snapshot_origin put = {.cut_seq = sl_segment_last_seq(&of->segment),
                                         .last_hlc = of->segment.last_hlc};
        put.live_seq =
            of->origin->applied_seq > put.cut_seq ? of->origin->applied_seq : put.cut_seq;
        memcpy(put.end, of->end, sizeof(put.end));
        status = sl_library_db_origin_number(ldb, &of->origin->name, &put.number, err);
        if (status == SYNCLINE_OK) {
            status = sl_snapshot_origin_put(ldb, &put, err);
        }
    }
    for (size_t i = 0; i < core->models.count && status == SYNCLINE_OK; i++) {
        if (take->cut_models[i]) {
            status = sl_snapshot_model_put(ldb, core->models.models[i].id_in_db, err);
        }
    }
    return status;
}

/* The cut is in library.db: from now on it counts. */
static void adopted(struct sl_snapshot_take *take)
{
    struct sl_core *core = take->core;
    struct sl_snapshot_place *place = &core->snapshot;
    for (size_t i = 0; i < take->cut_len; i++) {
        const struct sl_take_origin *of = &take->cut[i];
        uint64_t cut_seq = sl_segment_last_seq(&of->segment);
        uint64_t applied = of->origin->applied_seq;
        const struct sl_snapshot_origin row = {.cut_seq = cut_seq,
                                               .live_seq = applied > cut_seq ? applied : cut_seq,
                                               .last_hlc = of->segment.last_hlc};
        set_cut(core, of->origin, &row);
    }
    for (size_t i = 0; i < core->models.count; i++) {
        place->taken[i] = !take->cut_models[i];
        memset(&place->lo[i], 0, sizeof(place->lo[i]));
    }
    (void)pthread_mutex_lock(&take->lock);
    memcpy(take->taken, place->taken, sizeof(take->taken));
    take->place = place_in_tables(core);
    take->pages_len = 0;
    (void)pthread_mutex_unlock(&take->lock);
    atomic_store_explicit(&place->active, true, memory_order_release);
}

/* Durable before any log is moved: a log that begins above what is applied needs to be explained.
 */
static enum syncline_status adopt(struct sl_snapshot_take *take, struct sl_error *err)
{
    struct sl_library_db *ldb = &take->core->writer.ldb;
    enum syncline_status status = sl_library_db_begin_write(ldb, err);
    if (status == SYNCLINE_OK) {
        status = write_cut(take, err);
        if (status == SYNCLINE_OK) {
            status = sl_library_db_commit(ldb, err);
        }
        sl_library_db_rollback(ldb);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_sync_wal(ldb, err);
        adopted(take);
    }
    return status;
}

/* ---- The applier's: pages ---- */

struct page_work {
    struct sl_snapshot_take *take;
    struct sl_page_slice slice;
    const struct sl_model *model;
};

static enum syncline_status run_page(void *ctx, struct sl_apply *apply, bool *cannot,
                                     struct sl_error *err)
{
    struct page_work *work = ctx;
    struct sl_core *core = work->take->core;
    const struct sl_snapshot_place *place = &core->snapshot;
    uint32_t model = work->model->index;
    work->slice.writer = &apply->writer;
    enum syncline_status status = sl_page_slice_run(&work->slice, err);
    *cannot = work->slice.cannot;
    return status != SYNCLINE_OK || *cannot
               ? status
               : sl_snapshot_advance(&core->writer.ldb, work->model->id_in_db,
                                     place->taken[model] ? NULL : &place->lo[model],
                                     work->slice.records, err);
}

/* The page is in the tables, or all of it up to the new place. */
static void page_moved(struct sl_snapshot_take *take, bool done)
{
    (void)pthread_mutex_lock(&take->lock);
    memcpy(take->taken, take->core->snapshot.taken, sizeof(take->taken));
    take->place = place_in_tables(take->core);
    if (done) {
        struct sl_buf first = take->pages[0].data;
        for (size_t i = 1; i < take->pages_len; i++) {
            take->pages[i - 1] = take->pages[i];
        }
        take->pages[--take->pages_len].data = first; /* its memory is used again */
    }
    (void)pthread_mutex_unlock(&take->lock);
}

static void drop_pages(struct sl_snapshot_take *take)
{
    (void)pthread_mutex_lock(&take->lock);
    take->pages_len = 0;
    take->dropped = true;
    (void)pthread_mutex_unlock(&take->lock);
}

static enum syncline_status apply_page(struct sl_snapshot_take *take, struct sl_apply *apply,
                                       struct sl_error *err)
{
    struct sl_core *core = take->core;
    const struct sl_take_page *page = &take->pages[0]; /* it stays until it is taken out here */
    struct page_work work = {.take = take,
                             .slice = {.arena = &take->arena,
                                       .data = page->data.data,
                                       .size = page->data.len,
                                       .carefully = take->carefully,
                                       .end_ns = now_ns(core) + sl_apply_hold_ns(apply)},
                             .model = page->model};
    uint32_t model = page->model->index;
    struct syncline_uuid lo = core->snapshot.lo[model];
    bool taken = core->snapshot.taken[model];
    bool cannot = false;
    sl_arena_reset(&take->arena);
    enum syncline_status status =
        sl_apply_work(apply, page->hlc, take->carefully, run_page, &work, &cannot, err);
    if (status != SYNCLINE_OK || cannot) {
        core->snapshot.lo[model] = lo;
        core->snapshot.taken[model] = taken;
        if (status == SYNCLINE_OK && take->carefully) {
            return sl_fail(err, SYNCLINE_ECORRUPT,
                           "library.db has foreign keys that point nowhere");
        }
        take->carefully = cannot;
        return status;
    }
    take->carefully = false;
    sl_count_work(&core->counts[SL_STAGE_APPLY], 1, work.slice.records, 0);
    page_moved(take, work.slice.done);
    return SYNCLINE_OK;
}

/* ---- The applier's: the end ---- */

static enum syncline_status run_end(void *ctx, struct sl_apply *apply, bool *cannot,
                                    struct sl_error *err)
{
    struct sl_snapshot_take *take = ctx;
    struct sl_core *core = take->core;
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    enum syncline_status status = SYNCLINE_OK;
    (void)cannot;
    for (size_t i = 1; i < count && status == SYNCLINE_OK; i++) {
        struct sl_origin_state *origin = core->origins[i];
        if (!sl_origin_lags(origin)) {
            continue;
        }
        status =
            sl_library_db_origin_number(&core->writer.ldb, &origin->name, &origin->number, err);
        if (status == SYNCLINE_OK) {
            status =
                sl_waiting_covered(&apply->writer, origin->number, 0, origin->applied_seq, err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_library_db_set_applied(&core->writer.ldb, origin->number,
                                               origin->applied_seq, err);
        }
    }
    return status == SYNCLINE_OK ? sl_snapshot_end(&core->writer.ldb, err) : status;
}

static enum syncline_status end(struct sl_snapshot_take *take, struct sl_apply *apply,
                                struct sl_error *err)
{
    struct sl_core *core = take->core;
    bool cannot = false;
    enum syncline_status status = sl_apply_work(apply, 0, true, run_end, take, &cannot, err);
    if (status == SYNCLINE_OK && !cannot) {
        clear_cut(core);
        atomic_store_explicit(&core->snapshot.active, false, memory_order_release);
    }
    return status;
}

/* ---- The applier's slice ---- */

bool sl_snapshot_take_is_due(struct sl_snapshot_take *take)
{
    if (!take->ready) {
        return false;
    }
    (void)pthread_mutex_lock(&take->lock);
    bool due = take->adopt || take->pages_len > 0 || (is_active(take) && take->place.model == NULL);
    (void)pthread_mutex_unlock(&take->lock);
    return due;
}

/* What is about the page, and not about this device. */
static bool is_about_the_page(enum syncline_status status)
{
    return status == SYNCLINE_EPROTO || status == SYNCLINE_EUNSUPPORTED ||
           status == SYNCLINE_EFORMAT;
}

bool sl_snapshot_take_apply(struct sl_snapshot_take *take, struct sl_apply *apply)
{
    struct sl_core *core = take->core;
    struct sl_error err;
    if (!sl_snapshot_take_is_due(take) || now_ns(core) < take->apply_not_before_ns) {
        return false;
    }
    (void)pthread_mutex_lock(&take->lock);
    bool adopts = take->adopt;
    bool pages = take->pages_len > 0;
    (void)pthread_mutex_unlock(&take->lock);
    enum syncline_status status = adopts  ? adopt(take, &err)
                                  : pages ? apply_page(take, apply, &err)
                                          : end(take, apply, &err);
    if (status == SYNCLINE_EBUSY || status == SYNCLINE_AGAIN) {
        take->apply_not_before_ns = now_ns(core) + NS_PER_MS;
        return false;
    }
    if (adopts) {
        (void)pthread_mutex_lock(&take->lock);
        take->adopt = false;
        (void)pthread_mutex_unlock(&take->lock);
    }
    if (status == SYNCLINE_OK) {
        return true;
    }
    take->apply_not_before_ns = now_ns(core) + RETRY_NS;
    if (status == SYNCLINE_EREFUSED && pages) { /* a clock: it waits */
        (void)sl_core_notice(core, status, err.text);
    } else if (pages && is_about_the_page(status)) {
        sl_core_trouble(core, SYNCLINE_CODE_HELD, status, NULL, err.text);
        drop_pages(take);
    } else {
        sl_core_failed(core, "snapshot", status, &err);
    }
    return false;
}
