/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/gone.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define TRACES_MAX ((size_t)65536)
#define SENT_BYTES_EACH 2u /* of the filter, for each change in the own log */
#define SENT_SIZE_MIN ((size_t)1024)
#define SENT_SIZE_MAX ((size_t)8 * 1024 * 1024)
#define SENT_HASHES 4u

/* A birth, by the number of its origin in library.db. */
struct place {
    int64_t origin;
    uint64_t seq;
};

struct sl_gone_span {
    struct place first;
    uint32_t n;
};

struct sl_gone_trace {
    struct place birth;
    size_t order; /* later updates come after earlier ones */
    struct sl_birth update;
};

void sl_gone_init(struct sl_gone *gone, struct sl_core *core)
{
    memset(gone, 0, sizeof(*gone));
    gone->core = core;
    sl_birth_check_init(&gone->births, core, &core->apply_log);
    sl_birth_check_init(&gone->updates, core, &core->apply_log);
}

void sl_gone_forget(struct sl_gone *gone)
{
    const struct sl_allocator *alloc = gone->core->env->alloc;
    sl_free(alloc, gone->spans);
    sl_free(alloc, gone->traces);
    sl_free(alloc, gone->sent);
    gone->sent = NULL;
    gone->spans = NULL;
    gone->traces = NULL;
    gone->span_len = gone->trace_len = gone->trace_capacity = 0;
    gone->overflow = gone->read_all = false;
}

void sl_gone_fini(struct sl_gone *gone)
{
    if (gone->core != NULL) {
        sl_gone_forget(gone);
        sl_birth_check_fini(&gone->births);
        sl_birth_check_fini(&gone->updates);
        gone->core = NULL;
    }
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the scan");
}

static bool is_own(const struct sl_gone *gone, const struct sl_origin *origin)
{
    return sl_uuid_equal(&origin->device, &gone->core->self.device);
}

static int compare_places(const struct place *a, const struct place *b)
{
    int by_origin = (a->origin > b->origin) - (a->origin < b->origin);
    return by_origin != 0 ? by_origin : (a->seq > b->seq) - (a->seq < b->seq);
}

static int compare_spans(const void *a, const void *b)
{
    const struct sl_gone_span *x = a;
    const struct sl_gone_span *y = b;
    return compare_places(&x->first, &y->first);
}

static int compare_traces(const void *a, const void *b)
{
    const struct sl_gone_trace *x = a;
    const struct sl_gone_trace *y = b;
    int by_birth = compare_places(&x->birth, &y->birth);
    return by_birth != 0 ? by_birth : (x->order > y->order) - (x->order < y->order);
}

/* ---- What this device has sent ---- */

/* Where the k-th bit of a UUID is. Its last half is random, or counts up. */
static size_t sent_bit(const struct sl_gone *gone, const struct syncline_uuid *uuid, unsigned k)
{
    uint64_t hash = sl_get_u64(uuid->bytes) ^ (sl_get_u64(uuid->bytes + 8) * 0x9e3779b97f4a7c15u);
    hash = (hash ^ (hash >> 32)) * (0xd1342543de82ef95u + 2u * k);
    return (size_t)((hash ^ (hash >> 29)) & (8 * gone->sent_size - 1));
}

static void note_sent(const struct sl_gone *gone, const struct syncline_uuid *uuid)
{
    for (unsigned k = 0; k < SENT_HASHES && gone->sent != NULL; k++) {
        size_t bit = sent_bit(gone, uuid, k);
        gone->sent[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

static bool was_sent(const struct sl_gone *gone, const struct syncline_uuid *uuid)
{
    bool was = true;
    for (unsigned k = 0; k < SENT_HASHES && gone->sent != NULL && was; k++) {
        size_t bit = sent_bit(gone, uuid, k);
        was = (gone->sent[bit / 8] >> bit % 8 & 1) != 0;
    }
    return was;
}

/* Without memory all counts as sent. */
static void make_filter(struct sl_gone *gone)
{
    uint64_t changes = 0;
    size_t count = atomic_load_explicit(&gone->core->origin_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        const struct sl_origin_state *origin = gone->core->origins[i];
        changes += is_own(gone, &origin->name) ? sl_core_held(gone->core, origin) : 0;
    }
    gone->sent_size = SENT_SIZE_MIN;
    while (gone->sent_size < SENT_BYTES_EACH * changes && gone->sent_size < SENT_SIZE_MAX) {
        gone->sent_size *= 2;
    }
    gone->sent = sl_calloc(gone->core->env->alloc, gone->sent_size, 1);
}

/* ---- Traces ---- */

enum syncline_status sl_gone_begin(struct sl_gone *gone, const struct sl_gone_run *runs, size_t len,
                                   struct sl_error *err)
{
    sl_gone_forget(gone);
    gone->spans = sl_calloc(gone->core->env->alloc, len + 1, sizeof(*gone->spans));
    if (gone->spans == NULL) {
        return no_memory(err);
    }
    for (size_t r = 0; r < len; r++) {
        const struct sl_birth_run *births = &runs[r].births;
        /* Others' are there in vain: their updates are in other logs. */
        if (births->class == SYNCLINE_DEVICE_OWNED && runs[r].model->key_count > 0) {
            gone->spans[gone->span_len++] = (struct sl_gone_span){
                .first = {.origin = births->origin, .seq = births->seq}, .n = births->n};
        }
    }
    qsort(gone->spans, gone->span_len, sizeof(*gone->spans), compare_spans);
    gone->left = atomic_load_explicit(&gone->core->origin_count, memory_order_acquire);
    gone->seq = 0;
    gone->read_all = gone->span_len == 0;
    if (!gone->read_all) {
        make_filter(gone);
    }
    return SYNCLINE_OK;
}

static bool is_asked(const struct sl_gone *gone, const struct place *birth)
{
    size_t low = 0; /* spans before it begin at the birth or before */
    size_t high = gone->span_len;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_places(&gone->spans[middle].first, birth) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct sl_gone_span *span = low > 0 ? &gone->spans[low - 1] : NULL;
    return span != NULL && span->first.origin == birth->origin &&
           birth->seq - span->first.seq < span->n;
}

static enum syncline_status add_trace(struct sl_gone *gone, const struct place *birth,
                                      const struct sl_birth *update, struct sl_error *err)
{
    if (gone->trace_len == TRACES_MAX) {
        gone->overflow = true;
        return SYNCLINE_OK;
    }
    if (gone->trace_len == gone->trace_capacity) {
        size_t capacity = gone->trace_capacity == 0 ? 64 : 2 * gone->trace_capacity;
        struct sl_gone_trace *traces =
            sl_resize(gone->core->env->alloc, gone->traces, capacity, sizeof(*traces));
        if (traces == NULL) {
            return no_memory(err);
        }
        gone->traces = traces;
        gone->trace_capacity = capacity;
    }
    gone->traces[gone->trace_len] =
        (struct sl_gone_trace){.birth = *birth, .order = gone->trace_len, .update = *update};
    gone->trace_len++;
    return SYNCLINE_OK;
}

/* The number in library.db of an origin of this device; 0: it is none. */
static int64_t own_number(const struct sl_gone *gone, const struct sl_origin *origin)
{
    const struct sl_origin_state *state =
        is_own(gone, origin) ? sl_core_origin(gone->core, origin) : NULL;
    return state != NULL ? state->number : 0;
}

static enum syncline_status trace_group(struct sl_gone *gone, const struct sl_group *group,
                                        const struct sl_birth *first, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t i = 0; i < group->n && status == SYNCLINE_OK; i++) {
        struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
        struct sl_birth update = {.origin = first->origin, .seq = first->seq + i};
        uint32_t len = sl_group_births(group, i, births);
        for (uint32_t k = 0; k < len && status == SYNCLINE_OK; k++) {
            struct place birth = {.origin = own_number(gone, &births[k].origin),
                                  .seq = births[k].seq};
            if (is_asked(gone, &birth)) {
                status = add_trace(gone, &birth, &update, err);
            }
        }
    }
    return status;
}

static enum syncline_status
trace_segment(struct sl_gone *gone, const struct sl_origin_state *origin, struct sl_error *err)
{
    const struct sl_group *group = NULL;
    uint32_t i = 0;
    struct sl_birth at = {.origin = origin->name, .seq = gone->seq + 1};
    enum syncline_status status = sl_birth_check_change(&gone->updates, &at, &group, &i, err);
    uint64_t next = at.seq;
    if (status == SYNCLINE_OK && group == NULL) {
        status = sl_peer_log_next(gone->updates.log, sl_core_head(gone->core, origin).number,
                                  gone->seq, &next, err);
    }
    if (status == SYNCLINE_OK && group == NULL && next > at.seq) {
        gone->seq = next - 1; /* pruned, and nothing was born there */
        return SYNCLINE_OK;
    }
    if (status == SYNCLINE_OK && group == NULL) {
        gone->overflow = true; /* what is not there any more may hold one */
        sl_free(gone->core->env->alloc, gone->sent);
        gone->sent = NULL;
        gone->seq = sl_core_held(gone->core, origin);
        return SYNCLINE_OK;
    }
    const struct sl_decoded *decoded = &gone->updates.decoded;
    at.seq = decoded->segment.first_seq;
    for (uint32_t g = 0; g < decoded->group_count && status == SYNCLINE_OK; g++) {
        const struct sl_group *each = &decoded->groups[g];
        if (each->change == SYNCLINE_UPDATE) {
            status = trace_group(gone, each, &at, err);
        }
        for (uint32_t k = 0; k < each->n && each->change == SYNCLINE_INSERT; k++) {
            note_sent(gone, &each->uuids[k]);
        }
        at.seq += decoded->groups[g].n;
    }
    if (status == SYNCLINE_OK) {
        gone->seq = at.seq - 1;
    }
    return status;
}

enum syncline_status sl_gone_trace(struct sl_gone *gone, struct sl_error *err)
{
    struct sl_core *core = gone->core;
    while (gone->left > 0) {
        const struct sl_origin_state *origin = core->origins[gone->left - 1];
        if (is_own(gone, &origin->name) && gone->seq < sl_core_held(core, origin)) {
            return trace_segment(gone, origin, err);
        }
        gone->left--;
        gone->seq = 0;
    }
    if (gone->trace_len > 0) {
        qsort(gone->traces, gone->trace_len, sizeof(*gone->traces), compare_traces);
    }
    gone->read_all = true;
    return SYNCLINE_OK;
}

/* The last update of the record; NULL: none is known. */
static const struct sl_gone_trace *find_trace(const struct sl_gone *gone, const struct place *birth)
{
    size_t low = 0; /* traces before it are of this birth, or of an earlier one */
    size_t high = gone->trace_len;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_places(&gone->traces[middle].birth, birth) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct sl_gone_trace *trace = low > 0 ? &gone->traces[low - 1] : NULL;
    return trace != NULL && compare_places(&trace->birth, birth) == 0 ? trace : NULL;
}

/* ---- Judging ---- */

static const struct sl_column *find_column(const struct sl_group *group,
                                           const struct sl_field *field)
{
    char name[SL_NAME_SIZE_MAX + 6];
    sl_group_column_name(field, name);
    for (uint32_t c = 0; c < group->column_count; c++) {
        const struct sl_column *column = &group->columns[c];
        if (column->is_key && column->name_len == strlen(name) &&
            memcmp(column->name, name, column->name_len) == 0) {
            return column;
        }
    }
    return NULL;
}

/* Is one of the parents that the change names not in its table? `sent`: one that this device has
 * sent. */
static enum syncline_status lacks_parent(struct sl_gone *gone, const struct sl_model *model,
                                         const struct sl_group *group, uint32_t i, bool sent,
                                         bool *lacks, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t f = 0; f < model->field_count && status == SYNCLINE_OK && !*lacks; f++) {
        const struct sl_field *field = &model->fields[f];
        const struct sl_column *column =
            field->parent != NULL && sl_field_binds(field) ? find_column(group, field) : NULL;
        if (column == NULL || column->index[i] == 0) {
            continue;
        }
        const struct syncline_uuid *uuid = &column->dict[column->index[i] - 1];
        bool found = field->parent == model && sl_uuid_equal(uuid, &group->uuids[i]);
        int64_t id = 0;
        if (!found) {
            status = sl_record_id(&gone->core->writer.tables[field->parent->index], uuid, &found,
                                  &id, err);
        }
        *lacks = status == SYNCLINE_OK && !found && (!sent || was_sent(gone, uuid));
    }
    return status;
}

/* Did it go with one of its parents? */
static enum syncline_status went_along(struct sl_gone *gone, const struct sl_gone_run *run,
                                       const struct place *place, const struct sl_birth *birth,
                                       bool *went, struct sl_error *err)
{
    const struct sl_gone_trace *trace = find_trace(gone, place);
    const struct sl_group *group = NULL;
    uint32_t i = 0;
    enum syncline_status status = SYNCLINE_OK;
    *went = false;
    if (trace != NULL) {
        status = sl_birth_check_change(&gone->updates, &trace->update, &group, &i, err);
    } else if (!gone->overflow || !is_own(gone, &birth->origin)) {
        status = sl_birth_check_change(&gone->births, birth, &group, &i, err);
    }
    return status == SYNCLINE_OK && group != NULL
               ? lacks_parent(gone, run->model, group, i, is_own(gone, &birth->origin), went, err)
               : status;
}

/* Is the birth still there, and what does the log say of it? */
static enum syncline_status look_up(struct sl_gone *gone, const struct sl_gone_run *run, uint32_t k,
                                    enum sl_gone_verdict *verdict, struct sl_gone_record *record,
                                    struct sl_error *err)
{
    struct sl_rows *rows = &gone->core->writer;
    struct sl_birth_run birth;
    const struct sl_group *group = NULL;
    uint32_t i = 0;
    bool found = false;
    int64_t id = run->births.id + k;
    enum syncline_status status =
        sl_birth_get(&rows->births, run->model->id_in_db, id, &found, &birth, err);
    *verdict = SL_GONE_NOT;
    if (status != SYNCLINE_OK || !found || birth.origin != run->births.origin ||
        birth.seq != run->births.seq + k) {
        return status;
    }
    *verdict = SL_GONE_UNKNOWN;
    record->birth.seq = birth.seq;
    status = sl_library_db_origin(&rows->ldb, birth.origin, &found, &record->birth.origin, err);
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_check_change(&gone->births, &record->birth, &group, &i, err);
    }
    if (status != SYNCLINE_OK || group == NULL || group->change != SYNCLINE_INSERT ||
        group->model_len != strlen(run->model->name) ||
        memcmp(group->model, run->model->name, group->model_len) != 0) {
        return status;
    }
    record->uuid = group->uuids[i];
    struct sl_birth_run other;
    bool born = false;
    status =
        sl_record_id(&rows->tables[run->model->index], &record->uuid, &found, &record->id, err);
    if (status == SYNCLINE_OK && found && record->id != id) {
        status = sl_birth_get(&rows->births, run->model->id_in_db, record->id, &born, &other, err);
    }
    if (status == SYNCLINE_OK) {
        record->again = born;
        *verdict = !found || born ? SL_GONE_DELETE : record->id == id ? SL_GONE_NOT : SL_GONE_MOVED;
    }
    return status;
}

enum syncline_status sl_gone_judge(struct sl_gone *gone, const struct sl_gone_run *run, uint32_t k,
                                   enum sl_gone_verdict *verdict, struct sl_gone_record *record,
                                   struct sl_error *err)
{
    bool went = false;
    enum syncline_status status = look_up(gone, run, k, verdict, record, err);
    if (status != SYNCLINE_OK || *verdict != SL_GONE_DELETE ||
        run->births.class == SYNCLINE_SHARED) {
        return status;
    }
    struct place place = {.origin = run->births.origin, .seq = record->birth.seq};
    status = went_along(gone, run, &place, &record->birth, &went, err);
    if (is_own(gone, &record->birth.origin)) {
        *verdict = went ? SL_GONE_WITH_PARENT : SL_GONE_DELETE;
    } else {
        *verdict = went ? SL_GONE_NOT : SL_GONE_FOREIGN;
    }
    return status;
}
