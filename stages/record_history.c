/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/record_history.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

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
};

/* The record as it stands in its table. */
struct standing {
    bool is_here;
    bool has_birth; /* it is settled */
    struct sl_birth birth;
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
        entry->birth = group->change == SYNCLINE_INSERT
                           ? (struct sl_birth){.origin = *origin, .seq = entry->seq}
                           : group->births[i];
    }
    return SYNCLINE_OK;
}

static enum syncline_status read_origin(struct reading *reading, const struct sl_log_head *head,
                                        struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (uint64_t seq = 1; seq <= head->held_seq && status == SYNCLINE_OK;) {
        status = sl_decode_from_log(&reading->decoded, &reading->log, head->number, seq, err);
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

static enum syncline_status read_standing(struct reading *reading, struct standing *standing,
                                          struct sl_error *err)
{
    const struct sl_model *model = reading->model;
    struct sl_rows *rows = &reading->rows;
    struct sl_birth_run birth;
    int64_t id = 0;
    enum syncline_status status =
        sl_record_id(&rows->tables[model->index], reading->uuid, &standing->is_here, &id, err);
    if (status != SYNCLINE_OK || !standing->is_here) {
        return status;
    }
    status = sl_birth_get(&rows->births, model->id_in_db, id, &standing->has_birth, &birth, err);
    if (status != SYNCLINE_OK || !standing->has_birth) {
        return status;
    }
    standing->birth.seq = birth.seq;
    return sl_library_db_origin(&rows->ldb, birth.origin, &standing->has_birth,
                                &standing->birth.origin, err);
}

/* A record whose birth has not come back from the log is this device's newest. */
static void find_own_birth(const struct reading *reading, struct standing *standing)
{
    for (size_t i = 0; i < reading->history->len; i++) {
        const struct sl_history_entry *entry = &reading->history->entries[i];
        if (entry->change == SYNCLINE_INSERT && entry->seq != 0 &&
            sl_origin_equal(&entry->stamp.origin, &reading->core->self)) {
            standing->birth = entry->birth;
            standing->has_birth = true;
        }
    }
}

static void say(struct sl_history_entry *entry, enum syncline_fate fate, const char *text)
{
    entry->fate = fate;
    (void)sqlite3_snprintf(sizeof(entry->why), entry->why, "%s", text);
}

/* Those that no slice of apply has dealt with. */
static enum syncline_status judge_unapplied(struct reading *reading, struct sl_error *err)
{
    for (size_t i = 0; i < reading->history->len; i++) {
        struct sl_history_entry *entry = &reading->history->entries[i];
        uint64_t applied = entry->seq;
        enum syncline_status status = SYNCLINE_OK;
        if (!sl_origin_equal(&entry->stamp.origin, &reading->core->self)) {
            status =
                sl_library_db_applied_of(&reading->rows.ldb, &entry->stamp.origin, &applied, err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (entry->seq > applied) {
            entry->fate = SYNCLINE_FATE_RECEIVED;
            (void)sqlite3_snprintf(sizeof(entry->why), entry->why,
                                   "in the log here; of its device's changes those up to %llu are "
                                   "dealt with",
                                   (unsigned long long)applied);
        }
    }
    return SYNCLINE_OK;
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

/* Was a delete of that birth dealt with? */
static const struct sl_history_entry *delete_of(const struct sl_history *history,
                                                const struct sl_birth *birth)
{
    for (size_t i = 0; i < history->len; i++) {
        const struct sl_history_entry *entry = &history->entries[i];
        if (entry->change == SYNCLINE_DELETE && entry->fate != SYNCLINE_FATE_RECEIVED &&
            is_birth_equal(&entry->birth, birth)) {
            return entry;
        }
    }
    return NULL;
}

/* The name of a device, or the beginning of its id. */
static void name_device(struct reading *reading, const struct syncline_uuid *device, char out[160])
{
    struct sl_member member;
    struct sl_error ignored;
    bool found = true;
    if (sl_uuid_equal(device, &reading->core->self.device)) {
        (void)sqlite3_snprintf(160, out, "this device");
        return;
    }
    for (size_t i = 0;
         found && sl_member_get(&reading->log, i, &found, &member, &ignored) == SYNCLINE_OK; i++) {
        if (found && sl_uuid_equal(&member.device, device)) {
            (void)sqlite3_snprintf(160, out, "\"%s\"", member.name);
            return;
        }
    }
    (void)sqlite3_snprintf(160, out, "device %02x%02x%02x%02x", device->bytes[0], device->bytes[1],
                           device->bytes[2], device->bytes[3]);
}

static void say_by(struct reading *reading, struct sl_history_entry *entry, enum syncline_fate fate,
                   const char *what, const struct sl_history_entry *other)
{
    char device[160];
    name_device(reading, &other->stamp.origin.device, device);
    entry->fate = fate;
    (void)sqlite3_snprintf(sizeof(entry->why), entry->why, "%s %s, change %llu", what, device,
                           (unsigned long long)other->seq);
}

/* Of the changes of the row's birth the latest is shown. */
static void judge_applied(struct reading *reading, const struct standing *standing)
{
    struct sl_history *history = reading->history;
    const struct sl_history_entry *shown = NULL;
    for (size_t i = 0; i < history->len; i++) {
        const struct sl_history_entry *entry = &history->entries[i];
        if (entry->fate == 0 && entry->change != SYNCLINE_DELETE && standing->has_birth &&
            is_birth_equal(&entry->birth, &standing->birth)) {
            shown = entry; /* they are in the order of their stamps */
        }
    }
    for (size_t i = 0; i < history->len; i++) {
        struct sl_history_entry *entry = &history->entries[i];
        const struct sl_history_entry *killer = delete_of(history, &entry->birth);
        if (entry->fate != 0) {
            continue;
        }
        if (entry->change == SYNCLINE_DELETE) {
            say(entry, SYNCLINE_FATE_DELETED, "it deleted the record that it names");
        } else if (entry == shown) {
            say(entry, SYNCLINE_FATE_SHOWN, "the row is what it says");
        } else if (shown != NULL && is_birth_equal(&entry->birth, &shown->birth)) {
            say_by(reading, entry, SYNCLINE_FATE_SUPERSEDED, "a later change won: of", shown);
        } else if (killer != NULL) {
            say_by(reading, entry, SYNCLINE_FATE_DEAD, "its record was deleted by", killer);
        } else {
            say(entry, SYNCLINE_FATE_DEAD,
                "its record is not in the table any more, nor the change that deleted it in the "
                "log");
        }
    }
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
    struct standing standing = {.is_here = false};
    enum syncline_status status = sl_library_db_begin_read(&reading->rows.ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_births_forget(&reading->rows.births);
    status = read_standing(reading, &standing, err);
    if (status == SYNCLINE_OK) {
        status = judge_unapplied(reading, err);
    }
    if (status == SYNCLINE_OK) {
        status = judge_set_aside(reading, err);
    }
    if (status == SYNCLINE_OK) {
        if (standing.is_here && !standing.has_birth) {
            find_own_birth(reading, &standing);
        }
        judge_applied(reading, &standing);
        reading->history->is_here = standing.is_here;
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
