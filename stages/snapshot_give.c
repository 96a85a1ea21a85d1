/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/snapshot_give.h"

#include <string.h>

#include "stages/members.h"
#include "storage/log_floor.h"

#define GIVE_BUSY_MS 0 /* readers wait for nobody in WAL mode, and a stage never does */
#define LOOK_LEN 16u   /* rows that are looked at for each that a page may have */
#define OTHERS_LEN 64u /* hidden births, waiting records, records set aside: of each in a page */

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory to give a snapshot");
}

enum syncline_status sl_snapshot_give_init(struct sl_snapshot_give *give, struct sl_core *core,
                                           const char *library_db, uint32_t page_len,
                                           struct sl_error *err)
{
    const struct sl_allocator *alloc = core->env->alloc;
    size_t size = strlen(library_db) + 1;
    char *path = sl_calloc(alloc, size, 1);
    if (path == NULL) {
        return no_memory(err);
    }
    memcpy(path, library_db, size);
    give->library_db = path;
    give->core = core;
    give->page_len = page_len;
    for (size_t i = 0; i < SL_MEMBER_COUNT_MAX; i++) {
        sl_buf_init(&give->waiting[i], alloc);
        sl_buf_init(&give->cuts[i], alloc);
    }
    sl_buf_init(&give->group, alloc);
    sl_buf_init(&give->page, alloc);
    sl_arena_init(&give->arena, alloc);
    return SYNCLINE_OK;
}

void sl_snapshot_give_fini(struct sl_snapshot_give *give)
{
    if (give->core == NULL) {
        return;
    }
    for (size_t i = 0; i < SL_MEMBER_COUNT_MAX; i++) {
        sl_buf_fini(&give->waiting[i]);
        sl_buf_fini(&give->cuts[i]);
    }
    sl_buf_fini(&give->group);
    sl_buf_fini(&give->page);
    sl_arena_fini(&give->arena);
    if (give->has_rows) {
        sl_waiting_room_fini(&give->room);
        sl_rows_fini(&give->rows, give->core->models.count);
        give->has_rows = false;
    }
    sl_free(give->core->env->alloc, give->library_db);
    give->core = NULL;
}

static enum syncline_status open_rows(struct sl_snapshot_give *give, struct sl_error *err)
{
    if (give->has_rows) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        sl_rows_open(&give->rows, give->core, give->library_db, SL_DB_READ, GIVE_BUSY_MS, err);
    if (status == SYNCLINE_OK) {
        sl_waiting_room_init(&give->room, &give->rows.ldb);
        give->has_rows = true;
    }
    return status;
}

/* ---- The cut ---- */

/* The end of the last segment that does not go beyond `seq`. */
static enum syncline_status end_of(struct sl_core *core, int64_t number, uint64_t seq, bool *found,
                                   uint8_t end[SL_SEGMENT_END_SIZE], struct sl_error *err)
{
    struct sl_segment segment;
    struct sl_log_floor floor = {.seq = 0};
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status = sl_log_floor_get(&core->net_log, number, &floor, err);
    *found = false;
    while (status == SYNCLINE_OK && seq > floor.seq && !*found) {
        status = sl_peer_log_segment(&core->net_log, number, seq, found, &data, &size, err);
        if (status != SYNCLINE_OK || !*found) {
            break;
        }
        status = sl_segment_parse(&segment, data, size, err);
        *found = status == SYNCLINE_OK && sl_segment_last_seq(&segment) == seq;
        if (status == SYNCLINE_OK && *found) {
            status = sl_segment_end(core->net_hasher, data, size, end);
        }
        seq = segment.first_seq - 1; /* it stands inside this one */
    }
    sl_peer_log_done(&core->net_log);
    if (status == SYNCLINE_OK && !*found && floor.seq > 0 && seq >= floor.seq) {
        memcpy(end, floor.end, sizeof(floor.end));
        *found = true;
    }
    return status;
}

static void keep_place(struct sl_buf *places, const struct sl_origin *origin, uint64_t seq)
{
    const struct sl_cut_place place = {.origin = *origin, .seq = seq};
    sl_buf_bytes(places, &place, sizeof(place));
}

/* Of this device's own changes, too, no more than what is settled: births and stamps of what is
 * only in the log are not in the tables yet. */
static enum syncline_status put_ends(struct sl_snapshot_give *give, struct sl_buf *places,
                                     struct sl_error *err)
{
    struct sl_core *core = give->core;
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    uint32_t len = 0;
    enum syncline_status status = SYNCLINE_OK;
    uint8_t *ends = sl_arena_alloc(&give->arena, count * SL_SEGMENT_END_SIZE);
    if (ends == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        struct sl_log_head head = sl_core_head(core, origin);
        struct sl_segment segment;
        uint8_t *end = ends + (size_t)len * SL_SEGMENT_END_SIZE;
        uint64_t seq = 0;
        bool found = false;
        status = sl_library_db_applied_of(&give->rows.ldb, &origin->name, &seq, err);
        if (status == SYNCLINE_OK) {
            seq = seq < head.held_seq ? seq : head.held_seq;
            status = end_of(core, head.number, seq, &found, end, err);
        }
        if (status == SYNCLINE_OK && found) {
            status = sl_segment_end_parse(&segment, end, err);
            keep_place(places, &origin->name, sl_segment_last_seq(&segment));
        }
        len += found ? 1 : 0;
    }
    sl_snapshot_cut_put_ends(&give->page, ends, len);
    return status;
}

/* `places`: of the member's cut; empty: it is to get one. */
static enum syncline_status put_cut(struct sl_snapshot_give *give, struct sl_buf *places,
                                    struct sl_error *err)
{
    struct sl_core *core = give->core;
    int64_t records = 0;
    enum syncline_status status = sl_db_int64(
        &give->rows.ldb.db, "SELECT coalesce(sum(n),0) FROM _syncline_birth", 0, &records, err);
    sl_snapshot_cut_put_head(&give->page, (uint64_t)records, (uint32_t)core->models.count);
    for (size_t i = 0; i < core->models.count; i++) {
        sl_snapshot_cut_put_model(&give->page, core->models.models[i].name);
    }
    if (status == SYNCLINE_OK && places->len == 0) {
        return put_ends(give, places, err);
    }
    sl_snapshot_cut_put_ends(&give->page, NULL, 0);
    return status;
}

/* Is all of the member's cut applied here? */
static enum syncline_status covers(struct sl_snapshot_give *give, const struct sl_snapshot_ask *ask,
                                   bool *all, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    *all = true;
    for (uint32_t i = 0; i < ask->places_len && status == SYNCLINE_OK && *all; i++) {
        struct sl_cut_place place = sl_snapshot_ask_place(ask, i);
        uint64_t seq = 0;
        status = sl_library_db_applied_of(&give->rows.ldb, &place.origin, &seq, err);
        *all = status == SYNCLINE_OK && seq >= place.seq;
    }
    return status;
}

static enum syncline_status make_cut(struct sl_snapshot_give *give, struct sl_buf *places,
                                     const struct sl_snapshot_ask *ask, struct sl_error *err)
{
    bool all = false;
    enum syncline_status status = covers(give, ask, &all, err);
    sl_buf_clear(places);
    for (uint32_t i = 0; i < ask->places_len; i++) {
        struct sl_cut_place place = sl_snapshot_ask_place(ask, i);
        keep_place(places, &place.origin, place.seq);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    /* Who takes one has begun its logs anew; what it had applied before is in its tables still. */
    bool takes = atomic_load_explicit(&give->core->snapshot.active, memory_order_relaxed);
    if (!all || (takes && ask->places_len == 0)) {
        sl_snapshot_cut_put_failure(&give->page, SYNCLINE_AGAIN);
        return SYNCLINE_OK;
    }
    status = put_cut(give, places, err);
    return status == SYNCLINE_OK && places->failed ? no_memory(err) : status;
}

/* ---- A page ---- */

/* What is shown, as it is gathered. */
struct row {
    struct syncline_uuid uuid;
    struct sl_birth birth;
    uint64_t birth_hlc;
    enum syncline_ownership class;
    struct sl_stamp stamp;
    struct sl_value *values;
    bool unknown; /* others could not write it: it is named only */
};

struct pager {
    struct sl_snapshot_give *give;
    const struct sl_model *model;
    struct syncline_uuid lo;
    struct syncline_uuid hi;
    struct row *rows; /* give->page_len, and one more, in the arena */
    uint32_t len;
    struct sl_hidden_named *hidden;
    size_t hidden_len;
    struct sl_waiting *waiting;
    size_t waiting_len;
    struct sl_set_aside *asides;
    size_t asides_len;
    const struct sl_cut_place *places; /* places_len: the member's cut */
    size_t places_len;
    int64_t number; /* whose name is `origin`; 0: nobody's */
    struct sl_origin origin;
    uint64_t cut_seq; /* of that origin */
};

static enum syncline_status name_of(struct pager *pager, int64_t number, struct sl_origin *name,
                                    struct sl_error *err)
{
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    if (pager->number != number) {
        status = sl_library_db_origin(&pager->give->rows.ldb, number, &found, &pager->origin, err);
        pager->number = number;
        pager->cut_seq = 0;
        for (size_t i = 0; i < pager->places_len; i++) {
            if (sl_origin_equal(&pager->places[i].origin, &pager->origin)) {
                pager->cut_seq = pager->places[i].seq;
            }
        }
    }
    if (status == SYNCLINE_OK && !found) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "library.db: an origin has no name");
    }
    *name = pager->origin;
    return status;
}

/* Can others write it? */
static bool can_go(const struct sl_model *model, const struct row *row,
                   const struct sl_field *orphan, size_t *size)
{
    bool fits = orphan == NULL;
    *size = 0;
    for (uint32_t f = 0; f < model->field_count; f++) {
        fits = fits && sl_value_fits(model->fields[f].type, &row->values[f]);
        *size += row->values[f].type == SL_TEXT || row->values[f].type == SL_BLOB
                     ? row->values[f].size
                     : sizeof(row->values[f].as);
    }
    return fits && *size <= SL_RECORD_SIZE_MAX;
}

/* Birth and stamp of a row. *born = false: that is above the cut, or not in the log yet. */
static enum syncline_status read_birth(struct pager *pager, int64_t id, struct row *row, bool *born,
                                       struct sl_error *err)
{
    struct sl_births *births = &pager->give->rows.births;
    int64_t model = pager->model->id_in_db;
    struct sl_birth_run run;
    int64_t origin = 0;
    bool found = false;
    enum syncline_status status = sl_birth_get(births, model, id, born, &run, err);
    if (status != SYNCLINE_OK || !*born) {
        return status;
    }
    row->birth.seq = run.seq;
    row->birth_hlc = run.hlc;
    row->class = run.class;
    status = name_of(pager, run.origin, &row->birth.origin, err);
    *born = run.seq <= pager->cut_seq;
    if (status != SYNCLINE_OK || !*born) {
        return status;
    }
    row->stamp = (struct sl_stamp){.hlc = run.hlc, .origin = row->birth.origin};
    if (status == SYNCLINE_OK && run.class == SYNCLINE_SHARED) {
        status = sl_stamp_get(births, model, id, &found, &row->stamp.hlc, &origin, err);
    }
    return status == SYNCLINE_OK && found ? name_of(pager, origin, &row->stamp.origin, err)
                                          : status;
}

/* Rows from `lo` on, until the page is full; `hi` is how far they were looked at. */
static enum syncline_status read_rows(struct pager *pager, struct sl_error *err)
{
    struct sl_snapshot_give *give = pager->give;
    struct sl_record_table *table = &give->rows.tables[pager->model->index];
    size_t values_size = (pager->model->field_count + 1) * sizeof(struct sl_value);
    size_t all = 0;
    bool found = true;
    enum syncline_status status = sl_record_range_start(table, &pager->lo, &pager->hi, err);
    bool full = false;
    for (uint32_t i = 0; status == SYNCLINE_OK && !full; i++) {
        struct row *row = &pager->rows[pager->len];
        const struct sl_field *orphan = NULL;
        int64_t id = 0;
        bool born = false;
        size_t size = 0;
        memset(row, 0, sizeof(*row));
        row->values = sl_arena_alloc(&give->arena, values_size);
        if (row->values == NULL) {
            status = no_memory(err);
            break;
        }
        status = sl_record_range_read(table, &give->arena, &found, &id, &row->uuid, row->values,
                                      &orphan, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        status = read_birth(pager, id, row, &born, err);
        row->unknown = born && !can_go(pager->model, row, orphan, &size);
        all += row->unknown ? 0 : size;
        pager->len += born ? 1 : 0;
        pager->give->records += born ? 1 : 0;
        full = pager->len == give->page_len || all >= SL_SNAPSHOT_PAGE_SIZE ||
               i == LOOK_LEN * give->page_len;
        if (full) {
            pager->hi = row->uuid;
        }
    }
    sl_record_range_end(table);
    return status;
}

/* The page goes no further than to before this record; but its first record it takes whole. */
static void end_before(struct pager *pager, const struct syncline_uuid *uuid)
{
    struct syncline_uuid hi =
        sl_uuid_compare(uuid, &pager->lo) > 0 ? sl_uuid_before(uuid) : pager->lo;
    if (sl_uuid_compare(&hi, &pager->hi) < 0) {
        pager->hi = hi;
    }
}

/* Hidden births, what waits, and what is set aside, up to `hi`, which moves if they are many. */
static enum syncline_status read_others(struct pager *pager, struct sl_error *err)
{
    struct sl_snapshot_give *give = pager->give;
    int64_t model = pager->model->id_in_db;
    enum syncline_status status =
        sl_hidden_birth_range(&give->rows.hidden, model, &pager->lo, &pager->hi, &give->arena,
                              pager->hidden, OTHERS_LEN, &pager->hidden_len, err);
    if (status == SYNCLINE_OK && pager->hidden_len == OTHERS_LEN) {
        end_before(pager, &pager->hidden[OTHERS_LEN - 1].uuid);
    }
    if (status == SYNCLINE_OK) {
        status = sl_waiting_range(&give->room, model, &pager->lo, &pager->hi, &give->arena,
                                  pager->waiting, OTHERS_LEN, &pager->waiting_len, err);
    }
    if (status == SYNCLINE_OK && pager->waiting_len == OTHERS_LEN) {
        end_before(pager, &pager->waiting[OTHERS_LEN - 1].uuid);
    }
    if (status == SYNCLINE_OK) {
        status = sl_set_aside_range(&give->core->net_log, pager->model->name, &pager->lo,
                                    &pager->hi, pager->asides, OTHERS_LEN, &pager->asides_len, err);
    }
    if (status == SYNCLINE_OK && pager->asides_len == OTHERS_LEN) {
        end_before(pager, &pager->asides[OTHERS_LEN - 1].uuid);
    }
    return status;
}

/* ---- Writing it ---- */

struct column {
    const struct row *rows;
    uint32_t field;
};

static struct sl_value value_at(void *ctx, uint32_t i)
{
    const struct column *column = ctx;
    return column->rows[i].values[column->field];
}

static enum syncline_status put_unknown(struct sl_buf *buf, const struct syncline_uuid *uuid,
                                        const struct sl_birth *birth, enum syncline_ownership class)
{
    const struct sl_page_other other = {.uuid = *uuid, .birth = *birth, .class = class};
    sl_page_put_other(buf, SL_PAGE_UNKNOWN, &other);
    return SYNCLINE_OK;
}

/* Rows of one class, one after the other. */
static enum syncline_status put_rows(struct pager *pager, const struct row *rows, uint32_t n,
                                     struct sl_error *err)
{
    struct sl_snapshot_give *give = pager->give;
    struct sl_arena *arena = &give->arena;
    struct syncline_uuid *uuids = sl_arena_alloc(arena, n * sizeof(*uuids));
    struct sl_birth *births = sl_arena_alloc(arena, n * sizeof(*births));
    struct sl_page_run *runs = sl_arena_alloc(arena, n * sizeof(*runs));
    struct sl_page_stamp *stamps = sl_arena_alloc(arena, n * sizeof(*stamps));
    struct sl_page_rows part = {.n = n, .runs = runs, .stamps = stamps};
    if (uuids == NULL || births == NULL || runs == NULL || stamps == NULL) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < n; i++) {
        uuids[i] = rows[i].uuid;
        births[i] = rows[i].birth;
        struct sl_page_run *run = part.runs_len > 0 ? &runs[part.runs_len - 1] : NULL;
        if (run != NULL && run->hlc + run->n == rows[i].birth_hlc) {
            run->n++;
        } else {
            runs[part.runs_len++] = (struct sl_page_run){.n = 1, .hlc = rows[i].birth_hlc};
        }
        if (rows[i].stamp.hlc != rows[i].birth_hlc ||
            !sl_origin_equal(&rows[i].stamp.origin, &rows[i].birth.origin)) {
            stamps[part.stamps_len++] = (struct sl_page_stamp){.i = i, .stamp = rows[i].stamp};
        }
    }
    struct sl_group_head head = {.model = pager->model->name,
                                 .change = SYNCLINE_UPDATE,
                                 .class = rows[0].class,
                                 .n = n,
                                 .uuids = uuids,
                                 .births = births,
                                 .column_count = pager->model->field_count};
    struct column column = {.rows = rows};
    sl_buf_clear(&give->group);
    sl_group_write_hlc(&give->group, 1);
    sl_group_write_head(&give->group, &head);
    for (; column.field < pager->model->field_count; column.field++) {
        const struct sl_field *field = &pager->model->fields[column.field];
        char name[SL_NAME_SIZE_MAX + 6];
        sl_group_column_name(field, name);
        sl_group_write_column(&give->group, name, field->parent != NULL, n, value_at, &column,
                              arena);
    }
    part.group = give->group.data;
    part.group_size = give->group.len;
    if (give->group.failed) {
        return no_memory(err);
    }
    sl_page_put_rows(&give->page, &part);
    return SYNCLINE_OK;
}

static enum syncline_status put_all_rows(struct pager *pager, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    uint32_t end = 0;
    while (pager->len > 0 && sl_uuid_compare(&pager->rows[pager->len - 1].uuid, &pager->hi) > 0) {
        pager->len--; /* others have filled the page before them */
    }
    for (uint32_t i = 0; i < pager->len && status == SYNCLINE_OK; i = end) {
        const struct row *rows = &pager->rows[i];
        end = i + 1;
        if (rows->unknown) {
            status = put_unknown(&pager->give->page, &rows->uuid, &rows->birth, rows->class);
            continue;
        }
        while (end < pager->len && !pager->rows[end].unknown &&
               pager->rows[end].class == rows->class) {
            end++;
        }
        status = put_rows(pager, rows, end - i, err);
    }
    return status;
}

static bool is_beyond(const struct pager *pager, const struct syncline_uuid *uuid)
{
    return sl_uuid_compare(uuid, &pager->hi) > 0;
}

static enum syncline_status put_hidden(struct pager *pager, const struct sl_hidden_named *named,
                                       struct sl_error *err)
{
    struct sl_page_other other = {.uuid = named->uuid,
                                  .class = named->birth.class,
                                  .birth = {.seq = named->birth.seq},
                                  .birth_hlc = named->birth.birth_hlc,
                                  .stamp = {.hlc = named->birth.hlc},
                                  .body = named->birth.body,
                                  .body_size = named->birth.body_size};
    enum syncline_status status = name_of(pager, named->birth.origin, &other.birth.origin, err);
    if (status == SYNCLINE_OK) {
        status = name_of(pager, named->birth.hlc_origin, &other.stamp.origin, err);
    }
    if (status == SYNCLINE_OK) {
        sl_page_put_other(&pager->give->page, SL_PAGE_LIVING, &other);
        pager->give->records++;
    }
    return status;
}

static enum syncline_status put_waiting(struct pager *pager, const struct sl_waiting *waiting,
                                        struct sl_error *err)
{
    struct sl_page_other other = {.uuid = waiting->uuid,
                                  .class = waiting->class,
                                  .birth = {.seq = waiting->birth_seq},
                                  .birth_hlc = waiting->birth_hlc,
                                  .stamp = {.hlc = waiting->hlc},
                                  .body = waiting->body,
                                  .body_size = waiting->body_size};
    enum sl_page_kind kind = waiting->change == SYNCLINE_INSERT   ? SL_PAGE_LIVING
                             : waiting->change == SYNCLINE_UPDATE ? SL_PAGE_UPDATE
                                                                  : SL_PAGE_DELETE;
    enum syncline_status status = name_of(pager, waiting->birth_origin, &other.birth.origin, err);
    if (status == SYNCLINE_OK) {
        status = name_of(pager, waiting->origin, &other.stamp.origin, err);
    }
    if (status == SYNCLINE_OK) {
        sl_page_put_other(&pager->give->page, kind, &other);
    }
    return status;
}

static enum syncline_status put_page(struct pager *pager, struct sl_error *err)
{
    struct sl_buf *page = &pager->give->page;
    sl_page_put_head(page, pager->model->name, &pager->lo, &pager->hi);
    enum syncline_status status = put_all_rows(pager, err);
    for (size_t i = 0; i < pager->hidden_len && status == SYNCLINE_OK; i++) {
        status = is_beyond(pager, &pager->hidden[i].uuid)
                     ? SYNCLINE_OK
                     : put_hidden(pager, &pager->hidden[i], err);
    }
    for (size_t i = 0; i < pager->waiting_len && status == SYNCLINE_OK; i++) {
        status = is_beyond(pager, &pager->waiting[i].uuid)
                     ? SYNCLINE_OK
                     : put_waiting(pager, &pager->waiting[i], err);
    }
    for (size_t i = 0; i < pager->asides_len && status == SYNCLINE_OK; i++) {
        const struct sl_set_aside *aside = &pager->asides[i];
        const struct sl_birth birth = {.origin = aside->origin, .seq = aside->seq};
        status = is_beyond(pager, &aside->uuid)
                     ? SYNCLINE_OK
                     : put_unknown(page, &aside->uuid, &birth, SYNCLINE_SHARED);
    }
    return status == SYNCLINE_OK && page->failed ? no_memory(err) : status;
}

static enum syncline_status make_page(struct sl_snapshot_give *give, const struct sl_buf *places,
                                      const struct sl_snapshot_ask *ask, struct sl_error *err)
{
    struct sl_arena *arena = &give->arena;
    struct pager pager = {.give = give,
                          .lo = ask->lo,
                          .places = (const void *)places->data,
                          .places_len = places->len / sizeof(*pager.places)};
    memset(pager.hi.bytes, 0xff, sizeof(pager.hi.bytes));
    pager.model = sl_model_find_name(&give->core->models, ask->model.name, ask->model.len);
    if (pager.model == NULL) {
        return sl_fail(err, SYNCLINE_EPROTO,
                       "a snapshot of a model that is not here was asked for");
    }
    pager.rows = sl_arena_alloc(arena, (give->page_len + 1) * sizeof(*pager.rows));
    pager.hidden = sl_arena_alloc(arena, OTHERS_LEN * sizeof(*pager.hidden));
    pager.waiting = sl_arena_alloc(arena, OTHERS_LEN * sizeof(*pager.waiting));
    pager.asides = sl_arena_alloc(arena, OTHERS_LEN * sizeof(*pager.asides));
    if (pager.rows == NULL || pager.hidden == NULL || pager.waiting == NULL ||
        pager.asides == NULL) {
        return no_memory(err);
    }
    sl_births_forget(&give->rows.births);
    enum syncline_status status = read_rows(&pager, err);
    if (status == SYNCLINE_OK) {
        status = read_others(&pager, err);
    }
    return status == SYNCLINE_OK ? put_page(&pager, err) : status;
}

/* ---- The stage ---- */

typedef enum syncline_status (*send_fn)(struct sl_session *session, const void *data, size_t len);

static void send(struct sl_snapshot_give *give, send_fn fn)
{
    struct sl_session *session = give->member->session;
    if (give->page.failed || fn(session, give->page.data, give->page.len) != SYNCLINE_OK) {
        sl_session_close(session, SYNCLINE_ENET, "what a snapshot needs could not be queued");
    }
    sl_count_work(&give->core->counts[SL_STAGE_SNAPSHOT], 1, give->records, give->page.len);
    give->member = NULL;
    sl_buf_clear(&give->page);
}

/* Answers one question; a page waits for its time. */
static enum syncline_status answer(struct sl_snapshot_give *give, size_t member,
                                   const struct sl_snapshot_ask *ask, struct sl_error *err)
{
    struct sl_buf *places = &give->cuts[member];
    sl_buf_clear(&give->page);
    sl_arena_reset(&give->arena);
    give->records = 0;
    enum syncline_status status = open_rows(give, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_begin_read(&give->rows.ldb, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_outbox_max(&give->rows.ldb, &give->outbox_id, err);
    }
    if (status == SYNCLINE_OK) {
        status = ask->form == SL_SNAPSHOT_BEGIN ? make_cut(give, places, ask, err)
                                                : make_page(give, places, ask, err);
    }
    if (give->has_rows) {
        sl_library_db_rollback(&give->rows.ldb);
    }
    return status;
}

static bool is_drained(struct sl_snapshot_give *give)
{
    struct sl_progress *progress = &give->core->progress;
    (void)pthread_mutex_lock(&progress->lock);
    bool drained = sl_drained_to(&progress->drained) >= give->outbox_id;
    (void)pthread_mutex_unlock(&progress->lock);
    return drained;
}

/* Takes up the next question that waits. */
static bool take_up(struct sl_snapshot_give *give)
{
    struct sl_core *core = give->core;
    for (size_t i = 0; i < core->member_count; i++) {
        size_t at = (give->next + i) % core->member_count;
        struct sl_member_state *member = &core->members[at];
        struct sl_snapshot_ask ask;
        struct sl_error err;
        /* Who does not know the device of an origin cannot check its end of the cut. */
        if (give->waiting[at].len == 0 || !sl_members_all_told(core, member) ||
            sl_session_queued(member->session) >= SL_LINK_QUEUE_SIZE_MAX) {
            continue;
        }
        give->next = (at + 1) % core->member_count;
        enum syncline_status status =
            sl_snapshot_ask_get(give->waiting[at].data, give->waiting[at].len, &ask, &err);
        if (status == SYNCLINE_OK) {
            status = answer(give, at, &ask, &err);
        }
        sl_buf_fini(&give->waiting[at]);
        give->member = member;
        if (status != SYNCLINE_OK) {
            sl_count(&core->counts[SL_STAGE_SNAPSHOT].errors, 1);
            sl_session_close(member->session, status, err.text);
            give->member = NULL;
        } else if (ask.form == SL_SNAPSHOT_BEGIN) {
            send(give, sl_session_send_snapshot_cut);
        }
        return true;
    }
    return false;
}

bool sl_snapshot_give_run(struct sl_snapshot_give *give)
{
    if (sl_core_is_paused(give->core)) {
        return false;
    }
    if (give->member == NULL) {
        return take_up(give);
    }
    if (!is_drained(give)) {
        return false;
    }
    send(give, sl_session_send_snapshot_page);
    return true;
}

/* ---- The network's events ---- */

enum syncline_status sl_snapshot_give_ask(struct sl_snapshot_give *give,
                                          struct sl_member_state *member, const void *data,
                                          size_t len, struct sl_error *err)
{
    struct sl_snapshot_ask ask;
    struct sl_buf *waiting = &give->waiting[member - give->core->members];
    enum syncline_status status = sl_snapshot_ask_get(data, len, &ask, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (give->member == member) {
        give->member = NULL; /* the later question takes the place of the earlier one */
    }
    sl_buf_clear(waiting);
    sl_buf_bytes(waiting, data, len);
    if (waiting->failed) {
        sl_buf_fini(waiting);
        return no_memory(err);
    }
    return SYNCLINE_OK;
}

void sl_snapshot_give_forget(struct sl_snapshot_give *give, const struct sl_member_state *member)
{
    if (give->member == member) {
        give->member = NULL;
    }
    sl_buf_fini(&give->waiting[member - give->core->members]);
    sl_buf_fini(&give->cuts[member - give->core->members]);
}
