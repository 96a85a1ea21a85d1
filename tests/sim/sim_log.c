/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_log.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "stages/decode.h"

#define ORIGINS_MAX                                                                                \
    (sizeof(((struct sl_sim_log *)NULL)->origins) / sizeof(struct sl_sim_log_origin))

struct sl_birth_name {
    struct sl_birth birth;
};

/* Reading one device's log. */
struct reader {
    struct sl_sim_log *log;
    struct sl_sim_ledger *ledger;
    int device;
    uint32_t changes_room;
    uint32_t births_room;
    uint64_t hlc;      /* of the change before */
    unsigned failures; /* that were noted before */
};

static struct sl_sim_change *add_change(struct reader *reader)
{
    struct sl_sim_log *log = reader->log;
    if (log->changes_len == reader->changes_room) {
        reader->changes_room = reader->changes_room == 0 ? 256 : 2 * reader->changes_room;
        log->changes = sl_sim_realloc(log->changes, reader->changes_room * sizeof(*log->changes));
    }
    struct sl_sim_change *change = &log->changes[log->changes_len++];
    memset(change, 0, sizeof(*change));
    return change;
}

static void add_birth(struct reader *reader, struct sl_sim_change *change,
                      const struct sl_birth *birth)
{
    struct sl_sim_log *log = reader->log;
    if (log->births_len == reader->births_room) {
        reader->births_room = reader->births_room == 0 ? 256 : 2 * reader->births_room;
        log->names = sl_sim_realloc(log->names, reader->births_room * sizeof(*log->names));
    }
    log->names[log->births_len++].birth = *birth;
    change->births_len++;
}

static const struct sl_sim_model *find_model(const struct sl_sim_world *world,
                                             const struct sl_group *group)
{
    for (uint32_t i = 0; i < world->schema.models_len; i++) {
        const char *name = world->schema.models[i].name;
        if (strlen(name) == group->model_len && memcmp(name, group->model, group->model_len) == 0) {
            return &world->schema.models[i];
        }
    }
    return NULL;
}

static uint32_t read_rev(const struct sl_group *group, uint32_t i)
{
    for (uint32_t c = 0; c < group->column_count; c++) {
        const struct sl_column *column = &group->columns[c];
        if (column->name_len == 3 && memcmp(column->name, "rev", 3) == 0 && !column->is_key &&
            column->values[i].type == SL_INT64) {
            return (uint32_t)column->values[i].as.int64;
        }
    }
    return 0;
}

/* A change that nobody of the device's applications can have made is a failure. */
static void check_change(struct reader *reader, const struct sl_sim_model *model,
                         const struct sl_sim_change *change)
{
    struct sl_sim_ledger *ledger = reader->ledger;
    struct sl_sim_world *world = ledger->world;
    if (change->record == SL_SIM_NONE || ledger->records[change->record].model != model->index) {
        sl_sim_fail(world, SL_SIM_INVARIANT,
                    "device %d: seq %" PRIu64 " of its log is of a record of %s that nobody has",
                    reader->device, change->seq, model->name);
        return;
    }
    if (change->kind == SYNCLINE_DELETE) {
        return;
    }
    const struct sl_sim_version *version = sl_sim_version_find(ledger, change->rev, change->record);
    if (version == NULL || version->device != reader->device ||
        version->outcome == SL_SIM_UNDONE_BY_APP || version->outcome == SL_SIM_OPEN) {
        sl_sim_fail(world, SL_SIM_INVARIANT,
                    "device %d: seq %" PRIu64 " of its log is record %08x with rev %u, which %s",
                    reader->device, change->seq, change->record, change->rev,
                    version == NULL                     ? "was never its"
                    : version->device != reader->device ? "another device wrote"
                                                        : "was rolled back");
    }
}

static void read_group(struct reader *reader, const struct sl_origin *origin, uint64_t seq,
                       const struct sl_group *group)
{
    struct sl_sim_ledger *ledger = reader->ledger;
    struct sl_sim_world *world = ledger->world;
    const struct sl_sim_model *model = find_model(world, group);
    if (model == NULL) {
        sl_sim_fail(world, SL_SIM_INVARIANT, "device %d: its log has an unknown model",
                    reader->device);
        return;
    }
    for (uint32_t i = 0; i < group->n; i++) {
        struct sl_sim_change *change = add_change(reader);
        change->device = reader->device;
        change->epoch = origin->epoch;
        change->seq = seq + i;
        change->hlc = group->hlc_first + i;
        change->kind = group->change;
        change->is_owned = group->class == SYNCLINE_DEVICE_OWNED;
        const struct sl_sim_record *record = sl_sim_record_find(ledger, &group->uuids[i]);
        change->record = record != NULL ? sl_sim_record_number(ledger, record) : SL_SIM_NONE;
        change->rev = group->change == SYNCLINE_DELETE ? 0 : read_rev(group, i);
        change->births_at = reader->log->births_len;
        if (group->births != NULL) {
            struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
            uint32_t len = sl_group_births(group, i, births);
            for (uint32_t k = 0; k < len; k++) {
                add_birth(reader, change, &births[k]);
            }
        }
        if (change->hlc <= reader->hlc) {
            sl_sim_fail(world, SL_SIM_INVARIANT,
                        "device %d: the clock value of seq %" PRIu64 " of its log does not rise",
                        reader->device, change->seq);
        }
        reader->hlc = change->hlc;
        check_change(reader, model, change);
    }
}

static void read_segment(struct reader *reader, struct sl_decoded *decoded, const void *data,
                         size_t size)
{
    struct sl_sim_world *world = reader->ledger->world;
    struct sl_sim_log *log = reader->log;
    struct sl_error err = {0};
    if (sl_decode(decoded, data, size, &err) != SYNCLINE_OK) {
        sl_sim_fail(world, SL_SIM_INVARIANT, "device %d: its log: %s", reader->device, err.text);
        return;
    }
    const struct sl_segment *segment = &decoded->segment;
    struct sl_sim_log_origin *origin =
        log->origins_len > 0 ? &log->origins[log->origins_len - 1] : NULL;
    if (origin == NULL || memcmp(&origin->origin, &segment->origin, sizeof(segment->origin)) != 0) {
        if (log->origins_len == ORIGINS_MAX) {
            sl_sim_fail(world, SL_SIM_INVARIANT, "more than %zu origins", ORIGINS_MAX);
            return;
        }
        origin = &log->origins[log->origins_len++];
        *origin = (struct sl_sim_log_origin){
            .origin = segment->origin, .device = reader->device, .first = log->changes_len};
    }
    if (segment->first_seq != origin->len + 1) {
        sl_sim_fail(world, SL_SIM_INVARIANT,
                    "device %d: its log goes on with seq %" PRIu64 " after %u", reader->device,
                    segment->first_seq, origin->len);
        return;
    }
    uint64_t seq = segment->first_seq;
    for (uint32_t i = 0; i < decoded->group_count && world->failures == reader->failures; i++) {
        read_group(reader, &segment->origin, seq, &decoded->groups[i]);
        seq += decoded->groups[i].n;
    }
    origin->len += segment->len;
}

static void read_device(struct reader *reader, struct sl_decoded *decoded)
{
    struct sl_sim_world *world = reader->ledger->world;
    struct sl_sim_device *device = &world->devices[reader->device];
    sqlite3 *db = sl_sim_look(device, SL_SIM_SYNC_DB);
    if (db == NULL) {
        return;
    }
    sqlite3_stmt *stmt = sl_sim_prepare(
        db, "SELECT s.bytes FROM (SELECT origin,last_seq,bytes FROM segment UNION ALL"
            " SELECT origin,last_seq,bytes FROM sim_pruned) AS s"
            " JOIN origin AS o ON o.number=s.origin"
            " WHERE o.device=?1 ORDER BY o.number,s.last_seq");
    sqlite3_bind_blob(stmt, 1, &device->identity.device_id, sizeof(struct syncline_uuid),
                      SQLITE_STATIC);
    reader->hlc = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW && world->failures == reader->failures) {
        read_segment(reader, decoded, sqlite3_column_blob(stmt, 0),
                     (size_t)sqlite3_column_bytes(stmt, 0));
    }
    sqlite3_finalize(stmt);
    sl_sim_look_end(device, SL_SIM_SYNC_DB, db);
}

static uint32_t find_birth(const struct sl_sim_log *log, const struct sl_birth *birth)
{
    for (uint32_t i = 0; i < log->origins_len; i++) {
        const struct sl_sim_log_origin *origin = &log->origins[i];
        if (memcmp(&origin->origin, &birth->origin, sizeof(birth->origin)) == 0) {
            return birth->seq >= 1 && birth->seq <= origin->len
                       ? origin->first + (uint32_t)(birth->seq - 1)
                       : SL_SIM_NONE;
        }
    }
    return SL_SIM_NONE;
}

void sl_sim_log_read(struct sl_sim_log *log, struct sl_sim_ledger *ledger)
{
    struct sl_sim_world *world = ledger->world;
    struct sl_decoded decoded;
    struct sl_error err = {0};
    memset(log, 0, sizeof(*log));
    if (sl_decoded_init(&decoded, &sl_allocator_libc, &err) != SYNCLINE_OK) {
        abort(); /* no memory: there is no run to save */
    }
    struct reader reader = {.log = log, .ledger = ledger, .failures = world->failures};
    for (unsigned i = 0; i < world->devices_len && world->failures == reader.failures; i++) {
        reader.device = (int)i;
        read_device(&reader, &decoded);
    }
    sl_decoded_fini(&decoded);
    log->births = sl_sim_alloc((log->births_len + 1) * sizeof(*log->births));
    for (uint32_t i = 0; i < log->births_len; i++) {
        log->births[i] = find_birth(log, &log->names[i].birth);
    }
}

void sl_sim_log_fini(struct sl_sim_log *log)
{
    free(log->changes);
    free(log->names);
    free(log->births);
}

bool sl_sim_change_is_later(const struct sl_sim_log *log, const struct sl_sim_world *world,
                            uint32_t a, uint32_t b)
{
    const struct sl_sim_change *one = &log->changes[a];
    const struct sl_sim_change *two = &log->changes[b];
    if (one->hlc != two->hlc) {
        return one->hlc > two->hlc;
    }
    int order =
        memcmp(&world->devices[one->device].identity.device_id,
               &world->devices[two->device].identity.device_id, sizeof(struct syncline_uuid));
    return order != 0 ? order > 0 : one->epoch > two->epoch;
}
