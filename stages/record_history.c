/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/record_history.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "stages/hold.h"
#include "stages/record_lives.h"
#include "storage/log_floor.h"

#define HISTORY_BUSY_MS 1000 /* a reader waits for recovery of a WAL only */

/* What is read, and where. */
struct reading {
    struct sl_history *history;
    struct sl_core *core;
    const struct sl_model *model;
    const struct syncline_uuid *uuid;
    struct sl_peer_log log; /* reads only */
    struct sl_rows rows;    /* likewise */
    struct sl_decoded decoded;
    struct sl_arena arena; /* of what lives */
    struct sl_lives lives;
};

void sl_history_init(struct sl_history *history, const struct sl_allocator *alloc)
{
    *history = (struct sl_history){.alloc = alloc};
}

void sl_history_fini(struct sl_history *history)
{
    sl_free(history->alloc, history->entries);
    sl_history_init(history, history->alloc);
}

/* A new last entry, all zero; NULL: no memory. */
static struct sl_history_entry *add(struct sl_history *history, struct sl_error *err)
{
    struct sl_history_entry *grown =
        sl_grow(history->alloc, history->entries, history->len, &history->capacity, sizeof(*grown));
    if (grown == NULL) {
        (void)sl_fail(err, SYNCLINE_ENOMEM, "no memory for the changes of a record");
        return NULL;
    }
    history->entries = grown;
    struct sl_history_entry *entry = &history->entries[history->len++];
    *entry = (struct sl_history_entry){.seq = 0};
    return entry;
}

static bool is_birth_equal(const struct sl_birth *a, const struct sl_birth *b)
{
    return a->seq == b->seq && sl_origin_equal(&a->origin, &b->origin);
}

/* ---- The log ---- */

static enum syncline_status read_group(struct reading *reading, const struct sl_origin *origin,
                                       const struct sl_group *group, uint64_t first_seq,
                                       struct sl_error *err)
{
    if (group->model_len != strlen(reading->model->name) ||
        memcmp(group->model, reading->model->name, group->model_len) != 0) {
        return SYNCLINE_OK;
    }
    for (uint32_t i = 0; i < group->n; i++) {
        if (!sl_uuid_equal(&group->uuids[i], reading->uuid)) {
            continue;
        }
        struct sl_history_entry *entry = add(reading->history, err);
        if (entry == NULL) {
            return SYNCLINE_ENOMEM;
        }
        entry->change = group->change;
        entry->seq = first_seq + i;
        entry->stamp = (struct sl_stamp){.hlc = group->hlc_first + i, .origin = *origin};
        entry->births_len = 1;
        entry->births[0] = (struct sl_birth){.origin = *origin, .seq = entry->seq};
        if (group->change != SYNCLINE_INSERT) {
            entry->births_len = sl_group_births(group, i, entry->births);
        }
    }
    return SYNCLINE_OK;
}

static enum syncline_status read_origin(struct reading *reading, const struct sl_log_head *head,
                                        struct sl_error *err)
{
    struct sl_log_floor floor = {.seq = 0};
    enum syncline_status status = sl_log_floor_get(&reading->log, head->number, &floor, err);
    for (uint64_t seq = floor.seq + 1; seq <= head->held_seq && status == SYNCLINE_OK;) {
        status = sl_decode_from_log(&reading->decoded, &reading->log, head->number, seq, err);
        if (status == SYNCLINE_EPRUNED) { /* since it was looked where the log begins */
            status = sl_log_floor_get(&reading->log, head->number, &floor, err);
            seq = floor.seq + 1;
            continue;
        }
        for (uint32_t g = 0; g < reading->decoded.group_count && status == SYNCLINE_OK; g++) {
            const struct sl_group *group = &reading->decoded.groups[g];
            status = read_group(reading, &head->origin, group, seq, err);
            seq += group->n;
        }
    }
    return status;
}

static enum syncline_status read_log(struct reading *reading, struct sl_error *err)
{
    struct sl_log_head head = {.number = 0};
    for (;;) {
        bool found = false;
        enum syncline_status status =
            sl_peer_log_head(&reading->log, head.number, &found, &head, err);
        if (status == SYNCLINE_OK && found) {
            status = read_origin(reading, &head, err);
        }
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
    }
}

static int compare_entries(const void *left, const void *right)
{
    const struct sl_history_entry *a = left;
    const struct sl_history_entry *b = right;
    return sl_stamp_compare(&a->stamp, &b->stamp);
}

/* ---- The outbox ---- */

/* The changes of one row, from its `skip`-th, that name the record. */
static enum syncline_status read_row(struct reading *reading, const struct sl_outbox_row *row,
                                     uint64_t skip, struct sl_error *err)
{
    struct sl_reader uuids;
    uint64_t place = 0;
    sl_reader_init(&uuids, row->uuids, row->uuids_size);
    while (uuids.offset < uuids.len && !uuids.failed) {
        struct syncline_uuid first;
        sl_read_copy(&uuids, first.bytes, sizeof(first.bytes));
        uint32_t n = sl_read_u32(&uuids);
        for (uint32_t k = 0; k < n && !uuids.failed; k++, place++) {
            struct syncline_uuid at = sl_uuid_add(&first, k);
            if (place < skip || !sl_uuid_equal(&at, reading->uuid)) {
                continue;
            }
            struct sl_history_entry *entry = add(reading->history, err);
            if (entry == NULL) {
                return SYNCLINE_ENOMEM;
            }
            entry->change = row->change;
            entry->fate = SYNCLINE_FATE_CAPTURED;
            entry->stamp = (struct sl_stamp){.origin = reading->core->self};
            (void)sqlite3_snprintf(sizeof(entry->why), entry->why,
                                   "captured here, on its way into the log");
        }
    }
    return SYNCLINE_OK;
}

/* Rows that no drained mark covers. The marks were read after the log: what they cover may have
 * come into it since, and is told the next time. */
static enum syncline_status read_outbox(struct reading *reading, struct sl_error *err)
{
    struct sl_drained drained = {.complete = true};
    bool found = false;
    enum syncline_status status = sl_drained_newest(&reading->log, &found, &drained, err);
    struct sl_outbox_row row = {.id = sl_drained_to(&drained)};
    found = status == SYNCLINE_OK;
    while (status == SYNCLINE_OK && found) {
        status = sl_outbox_next(&reading->rows.ldb, row.id, &found, &row, err);
        if (status == SYNCLINE_OK && found && row.model == reading->model->id_in_db) {
            status = read_row(reading, &row, row.id == drained.id ? drained.changes : 0, err);
        }
    }
    sl_outbox_done(&reading->rows.ldb);
    return status;
}

/* ---- Judging ---- */

/* Is it about this birth? */
static bool is_of(const struct sl_history_entry *entry, const struct sl_birth *birth)
{
    bool is = false;
    for (uint32_t i = 0; i < entry->births_len; i++) {
        is = is || is_birth_equal(&entry->births[i], birth);
    }
    return is;
}

/* A row whose birth has not come back from the log is this device's newest. */
static void find_own_birth(struct reading *reading)
{
    struct sl_life *shown = &reading->lives.items[0];
    if (!reading->lives.is_here || shown->has_birth) {
        return;
    }
    for (size_t i = 0; i < reading->history->len; i++) {
        const struct sl_history_entry *entry = &reading->history->entries[i];
        if (entry->change == SYNCLINE_INSERT && entry->seq != 0 &&
            sl_origin_equal(&entry->stamp.origin, &reading->core->self)) {
            shown->birth = entry->births[0];
            shown->has_birth = true;
        }
    }
}

static void say(struct sl_history_entry *entry, enum syncline_fate fate, const char *text)
{
    entry->fate = fate;
    (void)sqlite3_snprintf(sizeof(entry->why), entry->why, "%s", text);
}

/* Those of one origin that no slice of apply has dealt with. */
static enum syncline_status judge_origin(struct reading *reading, const struct sl_log_head *head,
                                         struct sl_error *err)
{
    const struct sl_hold_look look = {.core = reading->core,
                                      .log = &reading->log,
                                      .ldb = &reading->rows.ldb,
                                      .decoded = &reading->decoded};
    struct sl_hold hold;
    enum syncline_status status = sl_hold_find(&look, head, &hold, err);
    for (size_t i = 0; i < reading->history->len && status == SYNCLINE_OK; i++) {
        struct sl_history_entry *entry = &reading->history->entries[i];
        if (hold.changes == 0 || entry->seq < hold.first_seq ||
            !sl_origin_equal(&entry->stamp.origin, &head->origin)) {
            continue;
        }
        entry->fate = hold.is_held ? SYNCLINE_FATE_HELD : SYNCLINE_FATE_RECEIVED;
        if (!hold.is_held) {
            (void)sqlite3_snprintf(sizeof(entry->why), entry->why,
                                   "in the log here; of its device's changes those up to %llu are "
                                   "dealt with",
                                   (unsigned long long)(hold.first_seq - 1));
        } else {
            (void)sqlite3_snprintf(sizeof(entry->why), entry->why,
                                   "its device's changes from %llu on are held: %s",
                                   (unsigned long long)hold.first_seq, hold.why);
        }
    }
    return status;
}

static enum syncline_status judge_unapplied(struct reading *reading, struct sl_error *err)
{
    struct sl_log_head head = {.number = 0};
    for (;;) {
        bool found = false;
        enum syncline_status status =
            sl_peer_log_head(&reading->log, head.number, &found, &head, err);
        if (status == SYNCLINE_OK && found) {
            status = judge_origin(reading, &head, err);
        }
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
    }
}

/* What was set aside at receiving has its seq; at sending it has none, and no entry in the log. */
static enum syncline_status judge_set_aside(struct reading *reading, struct sl_error *err)
{
    struct sl_history *history = reading->history;
    struct sl_set_aside record;
    int64_t number = 0;
    uint64_t at_ms = 0;
    for (;;) {
        bool found = false;
        enum syncline_status status =
            sl_set_aside_after(&reading->log, &number, &found, &record, &at_ms, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        if (!sl_uuid_equal(&record.uuid, reading->uuid) ||
            strcmp(record.model, reading->model->name) != 0) {
            continue;
        }
        struct sl_history_entry *entry = record.seq == 0 ? add(history, err) : NULL;
        if (record.seq == 0 && entry == NULL) {
            return SYNCLINE_ENOMEM;
        }
        if (entry != NULL) {
            entry->change = SYNCLINE_INSERT;
            entry->stamp = (struct sl_stamp){.origin = record.origin};
        }
        for (size_t i = 0; i < history->len && entry == NULL; i++) {
            struct sl_history_entry *it = &history->entries[i];
            entry = it->seq == record.seq && sl_origin_equal(&it->stamp.origin, &record.origin)
                        ? it
                        : NULL;
        }
        if (entry != NULL) {
            say(entry, SYNCLINE_FATE_SET_ASIDE, record.reason);
        }
    }
}

static bool is_unapplied(const struct sl_history_entry *entry)
{
    return entry->fate == SYNCLINE_FATE_RECEIVED || entry->fate == SYNCLINE_FATE_HELD;
}

/* A delete of one of its births that was dealt with. */
static const struct sl_history_entry *delete_of(const struct sl_history *history,
                                                const struct sl_history_entry *of)
{
    for (size_t i = 0; i < history->len; i++) {
        const struct sl_history_entry *entry = &history->entries[i];
        for (uint32_t b = 0; b < of->births_len; b++) {
            if (entry->change == SYNCLINE_DELETE && !is_unapplied(entry) &&
                is_of(entry, &of->births[b])) {
                return entry;
            }
        }
    }
    return NULL;
}

/* "<what>: of <device>, change <n>"; the other one has won. */
static enum syncline_status say_by(struct reading *reading, struct sl_history_entry *entry,
                                   enum syncline_fate fate, const char *what,
                                   const struct sl_history_entry *other, struct sl_error *err)
{
    char device[SL_DEVICE_TEXT_SIZE] = "this device";
    enum syncline_status status = SYNCLINE_OK;
    if (!sl_uuid_equal(&other->stamp.origin.device, &reading->core->self.device)) {
        status = sl_member_text(&reading->log, &other->stamp.origin.device, device, err);
    }
    entry->fate = fate;
    entry->winner = other->stamp;
    entry->winner_seq = other->seq;
    (void)sqlite3_snprintf(sizeof(entry->why), entry->why, "%s %s, change %llu", what, device,
                           (unsigned long long)other->seq);
    return status;
}

/* A change that waits, and is kept beside what its birth has: of those that it won over nothing is
 * left. */
static enum syncline_status judge_waiting_change(struct reading *reading,
                                                 const struct sl_life *change, struct sl_error *err)
{
    struct sl_history *history = reading->history;
    const struct sl_life *shown = reading->lives.is_here ? &reading->lives.items[0] : NULL;
    const struct sl_history_entry *content = NULL;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < history->len; i++) {
        struct sl_history_entry *entry = &history->entries[i];
        if (entry->fate == 0 && change->has_content && is_of(entry, &change->birth) &&
            sl_stamp_compare(&entry->stamp, &change->content) == 0) {
            say(entry, SYNCLINE_FATE_WAITING, change->why);
            content = entry;
        }
    }
    if (shown != NULL && !is_birth_equal(&shown->birth, &change->birth)) {
        shown = NULL;
    }
    for (size_t i = 0; i < history->len && content != NULL && status == SYNCLINE_OK; i++) {
        struct sl_history_entry *entry = &history->entries[i];
        bool is_written = shown != NULL && (!shown->has_content ||
                                            sl_stamp_compare(&entry->stamp, &shown->content) <= 0);
        if (entry->fate == 0 && entry->change == SYNCLINE_UPDATE && !is_written &&
            is_of(entry, &change->birth)) {
            status = change->waits == SYNCLINE_DELETE
                         ? say_by(reading, entry, SYNCLINE_FATE_DEAD, "its record was deleted by",
                                  content, err)
                         : say_by(reading, entry, SYNCLINE_FATE_SUPERSEDED,
                                  "a later change won, which waits: of", content, err);
        }
    }
    return status;
}

/* Is what the birth has later than the change? Then the log here had that, and it was pruned. */
static bool is_outlived(const struct sl_history_entry *entry, const struct sl_life *life)
{
    return life->has_content && sl_stamp_compare(&entry->stamp, &life->content) < 0;
}

/* The latest change of a birth that was dealt with is what that has, if it is in the log. */
static struct sl_history_entry *content_of(struct sl_history *history, const struct sl_life *life)
{
    struct sl_history_entry *content = NULL;
    for (size_t i = 0; i < history->len; i++) { /* in the order of their stamps */
        struct sl_history_entry *entry = &history->entries[i];
        if (entry->is_written && entry->change != SYNCLINE_DELETE && life->has_birth &&
            is_of(entry, &life->birth)) {
            content = entry;
        }
    }
    return content != NULL && is_outlived(content, life) ? NULL : content;
}

/* What a birth that lives has; `shown`: the change that the row shows, if that is known. */
static enum syncline_status judge_content(struct reading *reading, const struct sl_life *life,
                                          struct sl_history_entry *entry,
                                          const struct sl_history_entry *shown,
                                          struct sl_error *err)
{
    if (entry == NULL || entry->fate != 0) {
        return SYNCLINE_OK; /* it is of several births, and told of the first */
    }
    if (life->kind == SL_LIFE_SHOWN) {
        say(entry, SYNCLINE_FATE_SHOWN, "the row is what it says");
    } else if (life->kind == SL_LIFE_WAITING) {
        say(entry, SYNCLINE_FATE_WAITING, life->why);
    } else if (shown == NULL) {
        say(entry, SYNCLINE_FATE_HIDDEN, "it lives, and another record of this UUID is shown");
    } else {
        return say_by(reading, entry, SYNCLINE_FATE_HIDDEN,
                      "it lives, and another record of this UUID is shown: by", shown, err);
    }
    return SYNCLINE_OK;
}

/* A change that no birth has for its content. */
static enum syncline_status judge_lost(struct reading *reading, struct sl_history_entry *entry,
                                       struct sl_error *err)
{
    struct sl_history *history = reading->history;
    for (size_t i = 0; i < reading->lives.len; i++) {
        const struct sl_life *life = &reading->lives.items[i];
        const struct sl_history_entry *content =
            life->kind != SL_LIFE_CHANGE && is_of(entry, &life->birth) ? content_of(history, life)
                                                                       : NULL;
        if (content != NULL) {
            return say_by(reading, entry, SYNCLINE_FATE_SUPERSEDED, "a later change won: of",
                          content, err);
        }
        if (life->kind != SL_LIFE_CHANGE && is_of(entry, &life->birth) &&
            is_outlived(entry, life)) {
            say(entry, SYNCLINE_FATE_SUPERSEDED,
                "a later change won, which the log here does not have any more");
            return SYNCLINE_OK;
        }
    }
    const struct sl_history_entry *killer = delete_of(history, entry);
    if (killer != NULL) {
        return say_by(reading, entry, SYNCLINE_FATE_DEAD, "its record was deleted by", killer, err);
    }
    say(entry, SYNCLINE_FATE_DEAD,
        "its record is not in the table any more, nor the change that deleted it in the log");
    return SYNCLINE_OK;
}

/* All that was dealt with, by what lives. */
static enum syncline_status judge_applied(struct reading *reading, struct sl_error *err)
{
    struct sl_history *history = reading->history;
    const struct sl_lives *lives = &reading->lives;
    const struct sl_history_entry *shown = NULL;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < lives->len && status == SYNCLINE_OK; i++) {
        if (lives->items[i].kind == SL_LIFE_CHANGE) {
            status = judge_waiting_change(reading, &lives->items[i], err);
        }
    }
    for (size_t i = 0; i < history->len; i++) {
        history->entries[i].is_written = history->entries[i].fate == 0;
    }
    for (size_t i = 0; i < lives->len && status == SYNCLINE_OK; i++) {
        const struct sl_life *life = &lives->items[i];
        struct sl_history_entry *content =
            life->kind != SL_LIFE_CHANGE ? content_of(history, life) : NULL;
        shown = life->kind == SL_LIFE_SHOWN ? content : shown;
        status = judge_content(reading, life, content, shown, err);
    }
    for (size_t i = 0; i < history->len && status == SYNCLINE_OK; i++) {
        struct sl_history_entry *entry = &history->entries[i];
        if (entry->fate == 0 && entry->change == SYNCLINE_DELETE) {
            say(entry, SYNCLINE_FATE_DELETED, "it deleted the record that it names");
        } else if (entry->fate == 0) {
            status = judge_lost(reading, entry, err);
        }
    }
    return status;
}

/* What is still on its way into the log is later than all that is in it. */
static void judge_behind_captured(struct sl_history *history)
{
    bool is_changed = false;
    for (size_t i = history->len; i > 0; i--) {
        struct sl_history_entry *entry = &history->entries[i - 1];
        is_changed = is_changed || entry->fate == SYNCLINE_FATE_CAPTURED;
        if (is_changed && entry->fate == SYNCLINE_FATE_SHOWN) {
            say(entry, SYNCLINE_FATE_SUPERSEDED, "a later change was captured here");
        }
    }
}

static enum syncline_status judge(struct reading *reading, struct sl_error *err)
{
    enum syncline_status status = sl_library_db_begin_read(&reading->rows.ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_lives_read(&reading->lives, &reading->arena, reading->core, &reading->log,
                           &reading->rows, reading->model, reading->uuid, err);
    if (status == SYNCLINE_OK) {
        status = judge_unapplied(reading, err);
    }
    if (status == SYNCLINE_OK) {
        status = judge_set_aside(reading, err);
    }
    if (status == SYNCLINE_OK) {
        find_own_birth(reading);
        status = judge_applied(reading, err);
    }
    if (status == SYNCLINE_OK) {
        reading->history->is_here = reading->lives.is_here;
        status = read_outbox(reading, err);
        judge_behind_captured(reading->history);
    }
    sl_library_db_rollback(&reading->rows.ldb);
    return status;
}

/* ---- All of it ---- */

static enum syncline_status read_all(struct reading *reading, struct sl_error *err)
{
    struct sl_history *history = reading->history;
    sl_arena_init(&reading->arena, history->alloc);
    enum syncline_status status = sl_decoded_init(&reading->decoded, history->alloc, err);
    if (status == SYNCLINE_OK) {
        status = read_log(reading, err);
    }
    if (status == SYNCLINE_OK && history->len > 0) {
        qsort(history->entries, history->len, sizeof(*history->entries), compare_entries);
    }
    if (status == SYNCLINE_OK) {
        status = judge(reading, err);
    }
    sl_decoded_fini(&reading->decoded);
    sl_arena_fini(&reading->arena);
    return status;
}

enum syncline_status sl_history_read(struct sl_history *history, struct sl_core *core,
                                     const char *sync_db, const char *library_db,
                                     const struct sl_model *model, const struct syncline_uuid *uuid,
                                     struct sl_error *err)
{
    struct reading reading = {.history = history, .core = core, .model = model, .uuid = uuid};
    enum syncline_status status =
        sl_peer_log_open(&reading.log, core->env, sync_db, SL_DB_READ, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_rows_open(&reading.rows, core, library_db, SL_DB_READ, HISTORY_BUSY_MS, err);
    if (status == SYNCLINE_OK) {
        status = read_all(&reading, err);
        sl_rows_fini(&reading.rows, core->models.count);
    }
    sl_peer_log_fini(&reading.log);
    return status;
}
