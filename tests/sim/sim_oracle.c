/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_oracle.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/library_view.h"
#include "tests/sim/sim_fold.h"

static void format_uuid(const void *uuid, int size, char text[37])
{
    if (size != 16) {
        snprintf(text, 37, "(no UUID)");
        return;
    }
    struct syncline_uuid value;
    memcpy(&value, uuid, sizeof(value));
    sl_uuid_format(&value, text);
}

/* ---- Devices against each other ----------------------------------------------------------- */

void sl_sim_check_digest(struct sl_sim_world *world)
{
    for (uint32_t m = 0; m < world->schema.models_len; m++) {
        const struct sl_sim_model *model = &world->schema.models[m];
        uint64_t first_count = 0;
        uint8_t first[SL_HASH_SIZE] = {0};
        bool is_first = true;
        for (unsigned i = 0; i < world->devices_len; i++) {
            uint64_t count = 0;
            uint8_t hash[SL_HASH_SIZE] = {0};
            struct sl_error err = {0};
            if ((world->out >> i & 1) != 0) {
                continue;
            }
            enum syncline_status status =
                sl_library_digest(world->devices[i].engine, &model->described, &count, hash, &err);
            if (status != SYNCLINE_OK) {
                sl_sim_fail(world, SL_SIM_INVARIANT, "device %u: digest of %s: %s", i, model->name,
                            err.text);
                return;
            }
            sl_sim_trace_event(&world->trace, world->now_ns, (int)i, "digest", m, count, hash,
                               sizeof(hash));
            if (is_first) {
                is_first = false;
                first_count = count;
                memcpy(first, hash, sizeof(first));
            } else if (count != first_count || memcmp(first, hash, sizeof(first)) != 0) {
                sl_sim_fail(world, SL_SIM_DIVERGED,
                            "table %s: digests of devices 0 and %u differ (%" PRIu64 " and %" PRIu64
                            " records)",
                            model->table, i, first_count, count);
            }
        }
    }
}

/* ---- Devices against the ledger ----------------------------------------------------------- */

static void read_value(struct sl_sim_workload *work, sqlite3_stmt *stmt, int at,
                       const struct sl_sim_column *column, struct sl_sim_value *out)
{
    *out = (struct sl_sim_value){.kind = SL_SIM_NULL};
    int type = sqlite3_column_type(stmt, at);
    if (type == SQLITE_NULL) {
        return;
    }
    out->len = (uint32_t)sqlite3_column_bytes(stmt, at);
    if (column->parent != SL_SIM_NO_MODEL) { /* the parent's UUID, whatever the table holds */
        struct sl_sim_record *parent = NULL;
        if (type == SQLITE_BLOB && out->len == sizeof(struct syncline_uuid)) {
            parent = sl_sim_record_find(&work->ledger, sqlite3_column_blob(stmt, at));
        }
        out->kind = SL_SIM_REF;
        out->integer = parent != NULL ? (int64_t)sl_sim_record_number(&work->ledger, parent) : -1;
        return;
    }
    switch (type) {
    case SQLITE_INTEGER:
        out->kind = SL_SIM_INT;
        out->integer = sqlite3_column_int64(stmt, at);
        break;
    case SQLITE_FLOAT:
        out->kind = SL_SIM_REAL;
        out->real = sqlite3_column_double(stmt, at);
        break;
    case SQLITE_TEXT:
        out->kind = SL_SIM_TEXT;
        out->data = sqlite3_column_text(stmt, at);
        break;
    default:
        out->kind = SL_SIM_BLOB;
        out->data = sqlite3_column_blob(stmt, at);
        break;
    }
}

static void check_row(struct sl_sim_workload *work, const struct sl_sim_fold *fold, int device,
                      const struct sl_sim_model *model, sqlite3_stmt *stmt, bool *present)
{
    struct sl_sim_world *world = work->world;
    char uuid[37];
    format_uuid(sqlite3_column_blob(stmt, 0), sqlite3_column_bytes(stmt, 0), uuid);
    struct sl_sim_record *record = NULL;
    if (sqlite3_column_bytes(stmt, 0) == 16) {
        record = sl_sim_record_find(&work->ledger, sqlite3_column_blob(stmt, 0));
    }
    if (record == NULL || record->model != model->index) {
        sl_sim_fail(world, SL_SIM_LOST, "device %d: table %s: %s: nobody inserted it", device,
                    model->table, uuid);
        return;
    }
    uint32_t number = sl_sim_record_number(&work->ledger, record);
    present[number] = true;
    struct sl_sim_version *version =
        sl_sim_version_find(&work->ledger, sqlite3_column_int64(stmt, 1), number);
    if (version == NULL) {
        sl_sim_fail(world, SL_SIM_LOST, "device %d: table %s: %s: rev %lld was never its", device,
                    model->table, uuid, sqlite3_column_int64(stmt, 1));
        return;
    }
    if (fold->shown[number] != (uint32_t)version->values[0].integer) {
        char instead[32] = "none at all";
        if (fold->shown[number] != 0) {
            snprintf(instead, sizeof(instead), "rev %u", fold->shown[number]);
        }
        sl_sim_fail(world, SL_SIM_LOST,
                    "device %d: table %s: %s: rev %lld of device %d stands there, and %s should",
                    device, model->table, uuid, sqlite3_column_int64(stmt, 1), version->device,
                    instead);
        sl_sim_blame(world, number);
        return;
    }
    for (uint32_t i = 0; i < model->columns_len; i++) {
        struct sl_sim_value value;
        read_value(work, stmt, (int)i + 1, &model->columns[i], &value);
        if (!sl_sim_value_equal(&value, &version->values[i])) {
            sl_sim_fail(world, SL_SIM_LOST,
                        "device %d: table %s: %s: column %s is not what rev %lld has", device,
                        model->table, uuid, model->columns[i].name, sqlite3_column_int64(stmt, 1));
            return;
        }
    }
}

/* The column that does not sync: what an insert here put there, or the table's default. Not where
 * records may lose their parents: what waits for one comes back without it. */
static void check_local(struct sl_sim_workload *work, int device, const struct sl_sim_model *model,
                        sqlite3 *db)
{
    char *sql = sqlite3_mprintf("SELECT uuid,local_note FROM \"%w\"", model->table);
    sqlite3_stmt *stmt = sl_sim_prepare(db, sql);
    sqlite3_free(sql);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct sl_sim_record *record =
            sl_sim_record_find(&work->ledger, sqlite3_column_blob(stmt, 0));
        if (record == NULL || record->births_len != 1) {
            continue;
        }
        int64_t expected =
            record->births[0].device == device ? SL_SIM_LOCAL_NOTE + device : SL_SIM_LOCAL_DEFAULT;
        if (sqlite3_column_int64(stmt, 1) != expected) {
            char uuid[37];
            sl_uuid_format(&record->uuid, uuid);
            sl_sim_fail(work->world, SL_SIM_LOST,
                        "device %d: table %s: %s: the column that does not sync was changed",
                        device, model->table, uuid);
        }
    }
    sqlite3_finalize(stmt);
}

static void check_device(struct sl_sim_workload *work, const struct sl_sim_fold *fold, int device)
{
    struct sl_sim_world *world = work->world;
    sqlite3 *db = sl_sim_look(&world->devices[device], SL_SIM_LIBRARY_DB);
    if (db == NULL) {
        return;
    }
    bool *present = sl_sim_alloc(work->ledger.records_len * sizeof(*present));
    for (uint32_t i = 0; i < world->schema.models_len; i++) {
        const struct sl_sim_model *model = &world->schema.models[i];
        char *sql = sl_sim_synced_sql(&world->schema, model, "main", false);
        sqlite3_stmt *stmt = sl_sim_prepare(db, sql);
        free(sql);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            check_row(work, fold, device, model, stmt, present);
        }
        sqlite3_finalize(stmt);
        if (model->has_local && !work->switches.orphans) {
            check_local(work, device, model, db);
        }
    }
    for (uint32_t i = 0; i < work->ledger.records_len; i++) {
        const struct sl_sim_record *record = &work->ledger.records[i];
        if (!present[i] && fold->shown[i] != 0) {
            char uuid[37];
            sl_uuid_format(&record->uuid, uuid);
            sl_sim_fail(world, SL_SIM_LOST,
                        "device %d: table %s: %s is missing: rev %u of device %d", device,
                        world->schema.models[record->model].table, uuid, fold->shown[i],
                        work->ledger.versions[fold->shown[i] - 1].device);
            sl_sim_blame(world, i);
        }
    }
    free(present);
    sl_sim_look_end(&world->devices[device], SL_SIM_LIBRARY_DB, db);
}

void sl_sim_check_ledger(struct sl_sim_workload *work)
{
    struct sl_sim_fold fold;
    if (work->world->out != 0) {
        return; /* how much of a revoked device stays is for the others to say */
    }
    sl_sim_fold_init(&fold, &work->ledger);
    for (unsigned i = 0; i < work->world->devices_len && work->world->failures == 0; i++) {
        check_device(work, &fold, (int)i);
    }
    sl_sim_fold_fini(&fold);
}

void sl_sim_tell_blamed(struct sl_sim_workload *work)
{
    struct sl_sim_world *world = work->world;
    struct sl_sim_fold fold;
    if (world->blamed != 0) {
        sl_sim_fold_init(&fold, &work->ledger);
        sl_sim_fold_tell(&fold, world->blamed - 1, world->about, sizeof(world->about));
        sl_sim_fold_fini(&fold);
    }
}

/* ---- At any time -------------------------------------------------------------------------- */

/* What one device has of each device's changes, and what it believes that each has of its own. */
struct believed {
    int64_t held[SL_SIM_DEVICES_MAX];
    int64_t there[SL_SIM_DEVICES_MAX]; /* in its tables */
    int64_t acked[SL_SIM_DEVICES_MAX];
    int64_t applied[SL_SIM_DEVICES_MAX];
    int64_t pruned[SL_SIM_DEVICES_MAX]; /* of each device's changes here */
};

/* Runs a SELECT of a device id and two numbers, which are added to the device's. */
static void add_up(struct sl_sim_device *device, enum sl_sim_file file, const char *sql,
                   int64_t *first, int64_t *second)
{
    const struct sl_sim_world *world = device->world;
    sqlite3 *db = sl_sim_look(device, file);
    if (db == NULL) {
        return;
    }
    sqlite3_stmt *stmt = sl_sim_prepare(db, sql);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        for (unsigned d = 0; d < world->devices_len; d++) {
            if (sqlite3_column_bytes(stmt, 0) == (int)sizeof(struct syncline_uuid) &&
                memcmp(sqlite3_column_blob(stmt, 0), &world->devices[d].identity.device_id,
                       sizeof(struct syncline_uuid)) == 0) {
                first[d] += sqlite3_column_int64(stmt, 1);
                second[d] += sqlite3_column_int64(stmt, 2);
            }
        }
    }
    sqlite3_finalize(stmt);
    sl_sim_look_end(device, file, db);
}

static void read_believed(struct sl_sim_device *device, struct believed *out)
{
    int64_t none[SL_SIM_DEVICES_MAX] = {0};
    add_up(device, SL_SIM_SYNC_DB, "SELECT device,held_seq,0 FROM origin", out->held, none);
    add_up(device, SL_SIM_LIBRARY_DB, "SELECT device,applied_seq,0 FROM _syncline_origin",
           out->there, none);
    add_up(device, SL_SIM_SYNC_DB, "SELECT device,acked_seq,applied_seq FROM member", out->acked,
           out->applied);
    add_up(device, SL_SIM_SYNC_DB, "SELECT device,floor_seq,0 FROM origin", out->pruned, none);
}

/* What A has pruned of each device's changes, B holds; and A's own tables have it. */
static void check_pruned(struct sl_sim_world *world, const struct believed *believed, unsigned a,
                         unsigned b)
{
    if (a != b && (((world->out >> a) & 1) != 0 || ((world->out >> b) & 1) != 0)) {
        return; /* nobody waits for who is out, and who is out does not hear what others have */
    }
    for (unsigned d = 0; d < world->devices_len; d++) {
        int64_t has = a == b ? believed[b].there[d] : believed[b].held[d];
        if (believed[a].pruned[d] > has) {
            sl_sim_fail(
                world, SL_SIM_INVARIANT,
                "device %u pruned %lld of the changes of device %u, and device %u has %s %lld", a,
                (long long)believed[a].pruned[d], d, b, a == b ? "applied" : "only",
                (long long)has);
        }
    }
}

void sl_sim_check_always(struct sl_sim_workload *work)
{
    struct sl_sim_world *world = work->world;
    struct believed believed[SL_SIM_DEVICES_MAX];
    memset(believed, 0, sizeof(believed));
    for (unsigned d = 0; d < world->devices_len; d++) {
        if (!world->devices[d].has_died) {
            read_believed(&world->devices[d], &believed[d]);
        }
    }
    for (unsigned a = 0; a < world->devices_len; a++) {
        for (unsigned b = 0; b < world->devices_len; b++) {
            if (world->devices[a].has_died || world->devices[b].has_died) {
                continue;
            }
            check_pruned(world, believed, a, b);
            if (a == b) {
                continue;
            }
            bool is_held = believed[b].acked[a] <= believed[a].held[b];
            bool is_there =
                believed[b].applied[a] <= believed[a].there[b] || !work->switches.applied_acks;
            if (!is_held || !is_there) {
                sl_sim_fail(world, SL_SIM_INVARIANT,
                            "device %u acknowledged %lld and applied %lld of the changes of device "
                            "%u, and has %lld and %lld",
                            a, (long long)believed[b].acked[a], (long long)believed[b].applied[a],
                            b, (long long)believed[a].held[b], (long long)believed[a].there[b]);
                return;
            }
        }
    }
}

/* ---- The files ---------------------------------------------------------------------------- */

static void check_pragma(struct sl_sim_device *device, enum sl_sim_file file, const char *pragma)
{
    sqlite3 *db = sl_sim_look(device, file);
    if (db == NULL) {
        return;
    }
    sqlite3_stmt *stmt = sl_sim_prepare(db, pragma);
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        if (text == NULL || strcmp(text, "ok") != 0) {
            sl_sim_fail(device->world, SL_SIM_INVARIANT, "%s: %s: %s",
                        file == SL_SIM_LIBRARY_DB ? device->library_db : device->sync_db, pragma,
                        text != NULL ? text : "");
        }
    }
    sqlite3_finalize(stmt);
    sl_sim_look_end(device, file, db);
}

void sl_sim_check_structure(struct sl_sim_world *world)
{
    for (unsigned i = 0; i < world->devices_len; i++) {
        check_pragma(&world->devices[i], SL_SIM_LIBRARY_DB, "PRAGMA integrity_check");
        check_pragma(&world->devices[i], SL_SIM_LIBRARY_DB, "PRAGMA foreign_key_check");
        check_pragma(&world->devices[i], SL_SIM_SYNC_DB, "PRAGMA integrity_check");
    }
}

/* ---- Coming to rest ----------------------------------------------------------------------- */

/* Which record was set aside first, and why. */
static void tell_set_aside(struct sl_sim_device *device)
{
    struct sl_error err = {0};
    struct syncline_set_aside aside = SYNCLINE_SET_ASIDE_INIT;
    if (sl_library_set_aside(device->engine, 0, &aside, &err) == SYNCLINE_OK) {
        char uuid[37];
        sl_uuid_format(&aside.uuid, uuid);
        sl_sim_fail(device->world, SL_SIM_STUCK, "device %d: set aside: %s %s: %s", device->index,
                    aside.model, uuid, aside.reason);
    }
}

/* Records that wait for their parents or births, and what the first of them waits for. */
static uint64_t count_waiting(struct sl_sim_device *device, struct syncline_uuid *lacks)
{
    sqlite3 *db = sl_sim_look(device, SL_SIM_LIBRARY_DB);
    uint64_t count = 0;
    if (db == NULL) {
        return 0;
    }
    sqlite3_stmt *stmt =
        sl_sim_prepare(db, "SELECT count(*) OVER (),iif(lacks_model=0,uuid,lacks_uuid)"
                           " FROM _syncline_waiting ORDER BY id LIMIT 1");
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        count = (uint64_t)sqlite3_column_int64(stmt, 0);
        if (sqlite3_column_bytes(stmt, 1) == (int)sizeof(*lacks)) {
            memcpy(lacks, sqlite3_column_blob(stmt, 1), sizeof(*lacks));
        }
    }
    sqlite3_finalize(stmt);
    sl_sim_look_end(device, SL_SIM_LIBRARY_DB, db);
    return count;
}

static unsigned count_bits(unsigned bits)
{
    unsigned count = 0;
    for (; bits != 0; bits &= bits - 1) {
        count++;
    }
    return count;
}

/* What the device has of those that were revoked: as much as the others. */
static uint64_t held_of_out(struct sl_sim_device *device)
{
    struct sl_sim_world *world = device->world;
    int64_t held[SL_SIM_DEVICES_MAX] = {0};
    int64_t none[SL_SIM_DEVICES_MAX] = {0};
    uint64_t sum = 0;
    add_up(device, SL_SIM_SYNC_DB, "SELECT device,held_seq,0 FROM origin", held, none);
    for (unsigned d = 0; d < world->devices_len; d++) {
        sum += (world->out >> d & 1) != 0 ? (uint64_t)held[d] : 0;
    }
    return sum;
}

/* A device that was revoked has learned of it, and has no links. */
static bool check_out(struct sl_sim_device *device, const struct syncline_info *info, bool quiet)
{
    bool all = info->standing == SYNCLINE_STANDING_REVOKED && info->links == 0;
    if (!all && !quiet) {
        sl_sim_fail(device->world, SL_SIM_STUCK,
                    "device %d was revoked: its standing is %d, and it has %u links", device->index,
                    (int)info->standing, info->links);
    }
    return all;
}

/* Notes what is not as it is at rest. Returns whether all is. */
static bool check_facts(struct sl_sim_workload *work, struct sl_sim_device *device,
                        const struct syncline_info *info, uint64_t others_seq, bool quiet)
{
    struct sl_sim_world *world = device->world;
    unsigned links = count_bits(device->linked_to & ~world->out);
    bool is_direct =
        links == world->devices_len - 1 - count_bits(world->out) || world->relayed_acks;
    const struct {
        const char *what;
        uint64_t is;
        uint64_t wanted;
        bool matters;
    } facts[] = {
        {"links", info->links, links, true},
        {"changes in the outbox", info->outbox, 0, true},
        {"older rows", info->unscanned, 0, true},
        {"records set aside", info->set_aside, 0, true},
        {"changes received of those that others made", info->received, others_seq, true},
        {"applied of received", info->received_applied, info->received, true},
        {"own changes acknowledged", info->acked_seq, info->own_seq, is_direct},
        {"own changes applied elsewhere", info->applied_seq, info->own_seq, is_direct},
        {"received of announced", info->received, info->announced,
         is_direct && info->announced > info->received},
    };
    bool all = true;
    for (size_t k = 0; k < sizeof(facts) / sizeof(facts[0]); k++) {
        if (!facts[k].matters || facts[k].is == facts[k].wanted) {
            continue;
        }
        all = false;
        if (quiet) {
            return false;
        }
        if (facts[k].is == info->set_aside) {
            tell_set_aside(device);
        }
        struct sl_error notice = {0};
        (void)sl_library_health(device->engine, &notice);
        sl_sim_fail(world, SL_SIM_STUCK,
                    "device %d: %s: %" PRIu64 " instead of %" PRIu64 "; last notice: %s",
                    device->index, facts[k].what, facts[k].is, facts[k].wanted,
                    notice.text[0] != '\0' ? notice.text : "none");
    }
    struct syncline_uuid lacks = {{0}};
    uint64_t waiting = all && !world->may_wait ? count_waiting(device, &lacks) : 0;
    if (waiting > 0 && !quiet) {
        char uuid[37];
        sl_uuid_format(&lacks, uuid);
        sl_sim_fail(world, SL_SIM_STUCK, "device %d: %" PRIu64 " changes wait for ever, one for %s",
                    device->index, waiting, uuid);
        const struct sl_sim_record *record = sl_sim_record_find(&work->ledger, &lacks);
        if (record != NULL) {
            sl_sim_blame(world, sl_sim_record_number(&work->ledger, record));
        }
    }
    return all && waiting == 0;
}

bool sl_sim_check_info(struct sl_sim_workload *work, bool quiet)
{
    struct sl_sim_world *world = work->world;
    struct syncline_info infos[SL_SIM_DEVICES_MAX] = {{0}};
    uint64_t all_seq = 0;
    for (unsigned i = 0; i < world->devices_len; i++) {
        if (!sl_sim_info(&world->devices[i], &infos[i])) {
            return false;
        }
        all_seq += (world->out >> i & 1) == 0 ? infos[i].own_seq : 0;
    }
    bool all = true;
    unsigned first = (world->out & 1) == 0 ? 0 : 1; /* at most one was revoked */
    all_seq += world->out != 0 ? held_of_out(&world->devices[first]) : 0;
    for (unsigned i = 0; i < world->devices_len && (all || !quiet); i++) {
        if ((world->out >> i & 1) != 0) {
            all = check_out(&world->devices[i], &infos[i], quiet) && all;
            continue;
        }
        all = check_facts(work, &world->devices[i], &infos[i], all_seq - infos[i].own_seq, quiet) &&
              all;
    }
    return all;
}

uint64_t sl_sim_traffic(struct sl_sim_world *world)
{
    uint64_t traffic = 0;
    for (unsigned i = 0; i < world->devices_len; i++) {
        struct syncline_info info;
        if (sl_sim_info(&world->devices[i], &info)) {
            traffic += info.own_seq + info.received + info.segments_sent;
        }
        sqlite3 *db = sl_sim_look(&world->devices[i], SL_SIM_SYNC_DB);
        if (db != NULL) {
            sqlite3_stmt *stmt = sl_sim_prepare(db, "SELECT count(*) FROM segment");
            if (sqlite3_step(stmt) == SQLITE_ROW) {
                traffic += (uint64_t)sqlite3_column_int64(stmt, 0);
            }
            sqlite3_finalize(stmt);
            sl_sim_look_end(&world->devices[i], SL_SIM_SYNC_DB, db);
        }
    }
    return traffic;
}
