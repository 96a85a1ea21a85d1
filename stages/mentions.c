/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/mentions.h"

#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"

#define TAIL_MIN ((size_t)64) /* so many, and one for each 64 sorted ones, may be without order */
#define NONE UINT32_MAX

struct sl_mention {
    struct syncline_uuid first;
    int64_t model; /* number */
    struct sl_mention_place place;
    uint32_t n;
    uint32_t beyond; /* the nearest one before it, of the sorted ones of this model, that ends
                        behind it; NONE: there is none */
};

void sl_mentions_init(struct sl_mentions *mentions, const struct sl_allocator *alloc)
{
    *mentions = (struct sl_mentions){.alloc = alloc};
}

void sl_mentions_fini(struct sl_mentions *mentions)
{
    sl_free(mentions->alloc, mentions->runs);
    sl_mentions_init(mentions, mentions->alloc);
}

void sl_mentions_clear(struct sl_mentions *mentions)
{
    struct sl_mentions empty = {.alloc = mentions->alloc};
    if (mentions->capacity <= SL_ARENA_KEPT_MAX / sizeof(struct sl_mention)) {
        empty.runs = mentions->runs;
        empty.capacity = mentions->capacity;
    } else {
        sl_free(mentions->alloc, mentions->runs);
    }
    *mentions = empty;
}

static bool reserve(struct sl_mentions *mentions, size_t len)
{
    if (len <= mentions->capacity) {
        return true;
    }
    size_t capacity = mentions->capacity < 32 ? 64 : 2 * mentions->capacity;
    capacity = capacity < len ? len : capacity;
    struct sl_mention *grown = sl_resize(mentions->alloc, mentions->runs, capacity, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    mentions->runs = grown;
    mentions->capacity = capacity;
    return true;
}

void sl_mentions_prepare(struct sl_mentions *mentions, size_t len)
{
    (void)reserve(mentions, len);
}

/* ---- Order ---- */

static int compare_places(const struct sl_mention_place *a, const struct sl_mention_place *b)
{
    if (a->row != b->row) {
        return a->row < b->row ? -1 : 1;
    }
    return a->at == b->at ? 0 : a->at < b->at ? -1 : 1;
}

static int compare_runs(const struct sl_mention *a, const struct sl_mention *b)
{
    if (a->model != b->model) {
        return a->model < b->model ? -1 : 1;
    }
    int order = sl_uuid_compare(&a->first, &b->first);
    return order != 0 ? order : a->n == b->n ? 0 : a->n < b->n ? -1 : 1;
}

static bool is_before(const struct sl_mention *a, const struct sl_mention *b)
{
    int order = compare_runs(a, b);
    return order < 0 || (order == 0 && compare_places(&a->place, &b->place) < 0);
}

/* In place, with no memory: by Shell's method, each gap 4/9 of the one before. */
static void sort(struct sl_mention *runs, size_t len)
{
    for (size_t gap = len / 2; gap > 0; gap = gap == 2 ? 1 : gap * 4 / 9) {
        for (size_t i = gap; i < len; i++) {
            struct sl_mention moved = runs[i];
            size_t to = i;
            for (; to >= gap && is_before(&moved, &runs[to - gap]); to -= gap) {
                runs[to] = runs[to - gap];
            }
            runs[to] = moved;
        }
    }
}

/* Merges the sorted tail into what is before it, from behind, with a copy of it beyond the end. */
static void merge(struct sl_mentions *mentions, size_t tail)
{
    struct sl_mention *runs = mentions->runs;
    struct sl_mention *copy = runs + mentions->len;
    memcpy(copy, runs + mentions->len - tail, tail * sizeof(*copy));
    size_t from = mentions->len - tail;
    for (size_t to = mentions->len; tail > 0; to--) {
        bool from_tail = from == 0 || !is_before(&copy[tail - 1], &runs[from - 1]);
        runs[to - 1] = from_tail ? copy[--tail] : runs[--from];
    }
}

static struct syncline_uuid end_of(const struct sl_mention *run)
{
    return sl_uuid_add(&run->first, run->n - 1);
}

/* For the last of the first `len` runs, which are in order and know it: the one beyond. */
static uint32_t find_beyond(const struct sl_mention *runs, size_t len)
{
    const struct sl_mention *run = &runs[len - 1];
    struct syncline_uuid end = end_of(run);
    uint32_t at = len > 1 && runs[len - 2].model == run->model ? (uint32_t)(len - 2) : NONE;
    while (at != NONE) {
        struct syncline_uuid end_at = end_of(&runs[at]);
        if (sl_uuid_compare(&end_at, &end) > 0) {
            break;
        }
        at = runs[at].beyond; /* those between end before it */
    }
    return at;
}

/* Drops what nobody asks about and all but the last of equal runs. */
static void tidy(struct sl_mentions *mentions)
{
    struct sl_mention *runs = mentions->runs;
    size_t kept = 0;
    for (size_t i = 0; i < mentions->len; i++) {
        bool repeated = i + 1 < mentions->len && compare_runs(&runs[i], &runs[i + 1]) == 0;
        if (repeated || runs[i].place.row < mentions->wanted_from) {
            continue;
        }
        runs[kept++] = runs[i];
        runs[kept - 1].beyond = find_beyond(runs, kept);
    }
    mentions->len = kept;
    mentions->sorted = kept;
}

static void take_in_tail(struct sl_mentions *mentions)
{
    size_t tail = mentions->len - mentions->sorted;
    if (reserve(mentions, mentions->len + tail)) {
        sort(mentions->runs + mentions->sorted, tail);
        merge(mentions, tail);
    } else {
        sort(mentions->runs, mentions->len);
    }
    tidy(mentions);
}

/* ---- Taking in ---- */

bool sl_mentions_add(struct sl_mentions *mentions, int64_t model, const struct syncline_uuid *first,
                     uint32_t n, struct sl_mention_place place)
{
    if (n == 0) {
        return true;
    }
    if (mentions->len >= UINT32_MAX || !reserve(mentions, mentions->len + 1)) {
        return false;
    }
    mentions->runs[mentions->len++] =
        (struct sl_mention){.first = *first, .model = model, .place = place, .n = n};
    mentions->newest = place.row > mentions->newest ? place.row : mentions->newest;
    return true;
}

static bool add_row(struct sl_mentions *mentions, const struct sl_outbox_row *row)
{
    size_t len = mentions->len;
    struct sl_mention_place place = {.row = row->id};
    struct sl_reader in;
    sl_reader_init(&in, row->uuids, row->uuids_size);
    while (in.offset < in.len && !in.failed) {
        struct syncline_uuid first;
        sl_read_copy(&in, first.bytes, sizeof(first.bytes));
        uint32_t n = sl_read_u32(&in);
        if (!in.failed && !sl_mentions_add(mentions, row->model, &first, n, place)) {
            mentions->len = len;
            return false;
        }
        place.at += n;
    }
    return true;
}

enum syncline_status sl_mentions_read(struct sl_mentions *mentions, struct sl_library_db *ldb,
                                      int64_t after, sl_mentions_wanted wanted, void *ctx,
                                      struct sl_error *err)
{
    mentions->read_to = mentions->read_to > after ? mentions->read_to : after;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        struct sl_outbox_row row;
        bool found = false;
        bool is_wanted = false;
        status = sl_outbox_next(ldb, mentions->read_to, &found, &row, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        status = wanted(ctx, &row, &is_wanted, err);
        if (status == SYNCLINE_OK && is_wanted && !add_row(mentions, &row)) {
            status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to read the outbox");
        }
        if (status == SYNCLINE_OK) {
            mentions->read_to = row.id;
        }
    }
    sl_outbox_done(ldb);
    return status;
}

void sl_mentions_forget(struct sl_mentions *mentions, int64_t row)
{
    mentions->wanted_from = row > mentions->wanted_from ? row : mentions->wanted_from;
    if (mentions->len > 0 && mentions->newest < mentions->wanted_from) {
        int64_t read_to = mentions->read_to;
        sl_mentions_clear(mentions);
        mentions->read_to = read_to;
    } else if (mentions->len - mentions->sorted > TAIL_MIN + mentions->sorted) {
        take_in_tail(mentions); /* it would be left to who asks, and perhaps nobody does */
    }
}

/* ---- Asking ---- */

/* How many of the sorted runs begin at the record or before it, models before its own included. */
static size_t count_to(const struct sl_mentions *mentions, int64_t model,
                       const struct syncline_uuid *uuid)
{
    struct sl_mention most = {.first = *uuid, .model = model, .n = UINT32_MAX};
    size_t low = 0;
    size_t high = mentions->sorted;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_runs(&mentions->runs[middle], &most) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* How far the UUID is behind the run's first: less than 2^32, as it is in the run. */
static uint32_t distance(const struct syncline_uuid *first, const struct syncline_uuid *uuid)
{
    uint32_t distance = 0;
    for (size_t i = 12; i < 16; i++) {
        distance = (distance << 8) + uuid->bytes[i] - first->bytes[i];
    }
    return distance;
}

static void look_at(const struct sl_mention *run, int64_t model, const struct syncline_uuid *uuid,
                    struct sl_mention_place *last)
{
    if (run->model != model || !sl_uuid_in_run(uuid, &run->first, run->n)) {
        return;
    }
    struct sl_mention_place place = {.row = run->place.row,
                                     .at = run->place.at + distance(&run->first, uuid)};
    if (compare_places(last, &place) < 0) {
        *last = place;
    }
}

struct sl_mention_place sl_mentions_last(struct sl_mentions *mentions, int64_t model,
                                         const struct syncline_uuid *uuid)
{
    struct sl_mention_place last = {0};
    if (mentions->len - mentions->sorted > TAIL_MIN + mentions->sorted / 64) {
        take_in_tail(mentions);
    }
    size_t count = count_to(mentions, model, uuid);
    while (count > 0 && mentions->runs[count - 1].model == model) {
        const struct sl_mention *run = &mentions->runs[count - 1];
        look_at(run, model, uuid, &last);
        if (sl_uuid_in_run(uuid, &run->first, run->n)) {
            count--;
        } else {
            count = run->beyond == NONE ? 0 : run->beyond + 1;
        }
    }
    for (size_t i = mentions->sorted; i < mentions->len; i++) {
        look_at(&mentions->runs[i], model, uuid, &last);
    }
    return last;
}
