/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_world.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/identity.h"
#include "storage/membership_table.h"
#include "tests/sim/sim_fault.h"

#define WORLD_BEGIN_MS 1767225600000u /* 2026-01-01 */

enum stream {
    STREAM_SCHEDULE = 1,
    STREAM_WORKLOAD,
    STREAM_CLOCKS,
    STREAM_NET,
    STREAM_SQLITE,
    STREAM_SETUP,
    STREAM_DEVICE, /* + its index */
    STREAM_FAULTS = STREAM_DEVICE + SL_SIM_DEVICES_MAX
};

void *sl_sim_alloc(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL) {
        fprintf(stderr, "sl-sim: out of memory\n");
        abort();
    }
    return memory;
}

void *sl_sim_realloc(void *memory, size_t size)
{
    void *grown = realloc(memory, size > 0 ? size : 1);
    if (grown == NULL) {
        fprintf(stderr, "sl-sim: out of memory\n");
        abort();
    }
    return grown;
}

void sl_sim_fail(struct sl_sim_world *world, enum sl_sim_failure failure, const char *format, ...)
{
    char text[sizeof(world->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sl_sim_trace_event(&world->trace, world->now_ns, -1, "failure", failure, 0, text, strlen(text));
    if (world->trace.out != NULL) {
        fprintf(world->trace.out, "failure: %s\n", text);
    }
    if (world->failures == 0) {
        memcpy(world->text, text, sizeof(text));
    }
    world->failures |= failure;
}

void sl_sim_blame(struct sl_sim_world *world, uint32_t record)
{
    if (world->blamed == 0) {
        world->blamed = record + 1;
    }
}

/* ---- Faults ------------------------------------------------------------------------------- */

uint64_t sl_sim_expose(struct sl_sim_device *device)
{
    device->is_exposed = true;
    return device->hits;
}

void sl_sim_cover(struct sl_sim_device *device)
{
    device->is_exposed = false;
}

bool sl_sim_may_fail(const struct sl_sim_device *device, uint64_t hits, enum syncline_status status)
{
    switch (status) {
    case SYNCLINE_EIO:
    case SYNCLINE_ENOSPC:
    case SYNCLINE_ENOMEM:
    case SYNCLINE_EDB:
    case SYNCLINE_EBUSY:
        return device->has_died || device->hits != hits;
    default:
        return device->has_died;
    }
}

void sl_sim_device_die(struct sl_sim_device *device, bool is_power)
{
    struct sl_sim_world *world = device->world;
    sl_sim_trace_event(&world->trace, world->now_ns, device->index, is_power ? "power cut" : "kill",
                       0, 0, NULL, 0);
    if (is_power) {
        sl_sim_disk_power_tear(world->disk, device->directory, &world->faults);
    } else {
        sl_sim_disk_kill(world->disk, device->directory);
    }
    if (device->transport != NULL) {
        sl_sim_transport_kill(device->transport);
    }
    device->has_died = true;
    device->crash_after = 0;
    device->hits++;
    device->deaths++;
}

/* ---- The world's services ----------------------------------------------------------------- */

void sl_sim_advance(struct sl_sim_world *world, uint64_t ns)
{
    world->now_ns += ns;
}

static uint64_t world_wall_ms(void *ctx)
{
    const struct sl_sim_world *world = ctx;
    return WORLD_BEGIN_MS + world->now_ns / 1000000u;
}

static uint64_t world_now_ns(void *ctx)
{
    const struct sl_sim_world *world = ctx;
    return world->now_ns;
}

static void world_sleep_us(void *ctx, uint64_t us)
{
    sl_sim_advance(ctx, us * 1000u);
}

static void world_sleep_ns(void *ctx, uint64_t ns)
{
    sl_sim_advance(ctx, ns);
}

/* SQLite asks for this once after every reset of its own generator. */
static void world_random(void *ctx, void *out, size_t size)
{
    const struct sl_sim_world *world = ctx;
    struct sl_sim_random random;
    sl_sim_random_init(&random, world->seed, STREAM_SQLITE);
    sl_sim_random_fill(&random, out, size);
}

static void world_observe_disk(void *ctx, enum sl_sim_disk_op op, const char *path, uint64_t offset,
                               const void *data, size_t size)
{
    static const char *const names[] = {"",          "disk open",   "disk write", "disk truncate",
                                        "disk sync", "disk delete", "disk close"};
    struct sl_sim_world *world = ctx;
    const char *name = path != NULL ? path : "";
    sl_sim_trace_event(&world->trace, world->now_ns, -1, name, op, offset, data, size);
    if (world->trace.out != NULL) {
        fprintf(world->trace.out, "%21s %s\n", names[op], name);
    }
}

/* Series of failing operations, and the moment at which a device dies. */
static enum sl_sim_disk_fate world_fate(void *ctx, enum sl_sim_disk_op op, const char *path)
{
    struct sl_sim_world *world = ctx;
    struct sl_sim_device *device = &world->devices[path[2] - '0']; /* "/d0/..." */
    if (!device->is_exposed) {
        return SL_SIM_DISK_FINE;
    }
    bool writes = op != SL_SIM_DISK_READ && op != SL_SIM_DISK_OPEN;
    if (writes && device->crash_after > 0 && --device->crash_after == 0) {
        sl_sim_device_die(device, device->crash_is_power);
        return SL_SIM_DISK_ERROR;
    }
    if (device->disk_per_million > 0 && device->disk_left == 0 &&
        sl_sim_random_below(&world->faults, 1000000) < device->disk_per_million) {
        device->disk_left = (uint32_t)sl_sim_random_scale(&world->faults, 1, 200);
        device->disk_fate =
            sl_sim_random_percent(&world->faults, 50) ? SL_SIM_DISK_FULL : SL_SIM_DISK_ERROR;
        device->disk_syncs_only = sl_sim_random_percent(&world->faults, 20);
    }
    bool is_meant = device->disk_left > 0 &&
                    (device->disk_syncs_only ? op == SL_SIM_DISK_SYNC
                                             : writes || device->disk_fate == SL_SIM_DISK_ERROR);
    if (!is_meant) {
        return SL_SIM_DISK_FINE;
    }
    device->disk_left--;
    device->hits++;
    bool is_full = device->disk_fate == SL_SIM_DISK_FULL && op == SL_SIM_DISK_WRITE;
    device->hits_full += is_full ? 1 : 0;
    device->hits_error += is_full ? 0 : 1;
    sl_sim_trace_event(&world->trace, world->now_ns, device->index, "disk fails", op,
                       device->disk_left, NULL, 0);
    return device->disk_fate;
}

static void world_observe_net(void *ctx, int device, const char *what, uint64_t link,
                              const void *data, size_t size)
{
    struct sl_sim_world *world = ctx;
    sl_sim_trace_event(&world->trace, world->now_ns, device, what, link, size, data, size);
}

static uint64_t device_wall_ms(void *ctx)
{
    struct sl_sim_device *device = ctx;
    struct sl_sim_world *world = device->world;
    int64_t since_ms = (int64_t)((world->now_ns - device->wall_drift_from_ns) / 1000000u);
    int64_t ms = (int64_t)world_wall_ms(world) + device->wall_offset_ms +
                 since_ms * device->wall_drift_ppm / 1000000;
    uint64_t wall = device->wall_frozen_ms > 0 ? device->wall_frozen_ms : ms > 0 ? (uint64_t)ms : 1;
    world->wall_max_ms = wall > world->wall_max_ms ? wall : world->wall_max_ms;
    return wall;
}

static uint64_t device_mono_ns(void *ctx)
{
    struct sl_sim_device *device = ctx;
    struct sl_sim_world *world = device->world;
    sl_sim_advance(world, sl_sim_random_below(&world->clocks, world->clock_cost_ns + 1));
    return world->now_ns + device->mono_offset_ns;
}

static enum syncline_status device_random(void *ctx, void *out, size_t size)
{
    struct sl_sim_device *device = ctx;
    sl_sim_random_fill(&device->random, out, size);
    return SYNCLINE_OK;
}

/* ---- Memory ------------------------------------------------------------------------------- */

#define BLOCK_HEAD 16u /* in front of each block: its size */

static bool memory_fails(struct sl_sim_device *device)
{
    struct sl_sim_world *world = device->world;
    if (!device->is_exposed || device->memory_per_million == 0) {
        return false;
    }
    if (device->memory_left == 0 &&
        sl_sim_random_below(&world->faults, 1000000) < device->memory_per_million) {
        device->memory_left = (uint32_t)sl_sim_random_scale(&world->faults, 1, 20);
    }
    if (device->memory_left == 0) {
        return false;
    }
    device->memory_left--;
    device->hits++;
    device->hits_memory++;
    sl_sim_trace_event(&world->trace, world->now_ns, device->index, "no memory",
                       device->memory_left, 0, NULL, 0);
    return true;
}

static void *device_resize(void *ctx, void *block, size_t size)
{
    struct sl_sim_device *device = ctx;
    uint8_t *head = block != NULL ? (uint8_t *)block - BLOCK_HEAD : NULL;
    uint64_t before = 0;
    if (head != NULL) {
        memcpy(&before, head, sizeof(before));
    }
    if (size == 0) {
        device->allocated -= before;
        free(head);
        return NULL;
    }
    if (memory_fails(device)) {
        return NULL;
    }
    uint8_t *grown = realloc(head, size + BLOCK_HEAD);
    if (grown == NULL) {
        return NULL;
    }
    uint64_t after = size;
    memcpy(grown, &after, sizeof(after));
    device->allocated += after - before;
    if (device->allocated > device->allocated_max) {
        device->allocated_max = device->allocated;
    }
    return grown + BLOCK_HEAD;
}

/* ---- Making it ---------------------------------------------------------------------------- */

static void device_init(struct sl_sim_world *world, int index, struct sl_sim_random *setup)
{
    struct sl_sim_device *device = &world->devices[index];
    device->world = world;
    device->index = index;
    sl_sim_random_init(&device->random, world->seed, STREAM_DEVICE + (uint64_t)index);
    device->env = (struct sl_env){.wall_ms = device_wall_ms,
                                  .mono_ns = device_mono_ns,
                                  .random = device_random,
                                  .vfs = SL_SIM_VFS_NAME,
                                  .ctx = device,
                                  .alloc = &device->alloc};
    device->alloc = (struct sl_allocator){.resize = device_resize, .ctx = device};
    if (sl_sim_random_percent(setup, 50)) {
        device->wall_offset_ms = (int64_t)sl_sim_random_below(setup, 10001) - 5000;
    }
    device->mono_offset_ns = sl_sim_random_below(setup, (uint64_t)1 << 50);
    device->batch_len =
        sl_sim_random_percent(setup, 30) ? 0 : (uint32_t)sl_sim_random_scale(setup, 1, 1000);
    device->settle_along_len =
        sl_sim_random_percent(setup, 30) ? 0 : (uint32_t)sl_sim_random_scale(setup, 1, 8);
    device->scan_len =
        sl_sim_random_percent(setup, 30) ? 0 : (uint32_t)sl_sim_random_scale(setup, 1, 100);
    snprintf(device->directory, sizeof(device->directory), "/d%d/", index);
    snprintf(device->library_db, sizeof(device->library_db), "/d%d/library.db", index);
    snprintf(device->sync_db, sizeof(device->sync_db), "/d%d/sync.db", index);
    snprintf(device->address, sizeof(device->address), "127.0.0.1:%d", 4400 + index);
    device->syncs_commits = sl_sim_random_percent(setup, 50);
    struct sl_error err = {0};
    if (sl_identity_new(&device->env, &device->identity, &err) != SYNCLINE_OK) {
        sl_sim_fail(world, SL_SIM_INVARIANT, "identity: %s", err.text);
    }
}

enum topology { FULL, LINE, RING, STAR, TOPOLOGIES };

/* Is there a link between two devices? In a line and a ring each has its next one, in a star all
 * have the first one. */
static bool are_linked(const struct sl_sim_world *world, enum topology topology, unsigned a,
                       unsigned b)
{
    switch (topology) {
    case LINE:
        return b == a + 1;
    case RING:
        return b == a + 1 || (a == 0 && b + 1 == world->devices_len);
    case STAR:
        return a == 0;
    default:
        return true;
    }
}

/* Of two linked devices one dials the other, or both do. */
static void draw_peers(struct sl_sim_world *world, bool has_relays, struct sl_sim_random *setup)
{
    enum topology topology =
        has_relays ? (enum topology)sl_sim_random_range(setup, LINE, TOPOLOGIES - 1) : FULL;
    for (unsigned a = 0; a < world->devices_len; a++) {
        for (unsigned b = a + 1; b < world->devices_len; b++) {
            struct sl_sim_device *first = &world->devices[a];
            struct sl_sim_device *second = &world->devices[b];
            uint64_t who = sl_sim_random_range(setup, 1, 3);
            if (!are_linked(world, topology, a, b)) {
                continue;
            }
            if ((who & 1) != 0) {
                first->peers[first->peers_len++] = second->address;
            }
            if ((who & 2) != 0) {
                second->peers[second->peers_len++] = first->address;
            }
            first->neighbours++;
            second->neighbours++;
            first->linked_to |= 1u << b;
            second->linked_to |= 1u << a;
        }
    }
}

void sl_sim_world_init(struct sl_sim_world *world, uint64_t seed, unsigned devices, bool has_relays,
                       FILE *trace_out)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    sl_sim_trace_init(&world->trace, trace_out);
    sl_sim_random_init(&world->schedule, seed, STREAM_SCHEDULE);
    sl_sim_random_init(&world->workload, seed, STREAM_WORKLOAD);
    sl_sim_random_init(&world->clocks, seed, STREAM_CLOCKS);
    sl_sim_random_init(&world->faults, seed, STREAM_FAULTS);
    struct sl_sim_random setup;
    sl_sim_random_init(&setup, seed, STREAM_SETUP);
    /* Mostly nothing, at times so much that every slice ends by its time limit. */
    world->clock_cost_ns = sl_sim_random_scale(&setup, 100, 20u * 1000 * 1000);
    struct sl_sim_disk_world disk = {.wall_ms = world_wall_ms,
                                     .sleep_us = world_sleep_us,
                                     .random = world_random,
                                     .observe = world_observe_disk,
                                     .fate = world_fate,
                                     .ctx = world};
    struct sl_sim_net_world net = {.now_ns = world_now_ns,
                                   .sleep_ns = world_sleep_ns,
                                   .observe = world_observe_net,
                                   .ctx = world};
    world->disk = sl_sim_disk_new(&disk);
    struct sl_sim_random net_seed;
    sl_sim_random_init(&net_seed, seed, STREAM_NET);
    world->net = sl_sim_net_new(&net, sl_sim_random_next(&net_seed));
    if (world->disk == NULL || world->net == NULL) {
        fprintf(stderr, "sl-sim: out of memory\n");
        abort();
    }
    sqlite3_randomness(0, NULL); /* forget what an earlier world seeded */
    sl_sim_schema_init(&world->schema, &setup);
    sl_sim_random_fill(&setup, &world->library_id, sizeof(world->library_id));
    world->devices_len = devices;
    sl_settings_init(&world->settings);
    world->scan_ms = SL_SIM_SCAN_MS * (1 + world->clock_cost_ns / 1000000u);
    world->settings.values[SL_SETTING_SCAN_INTERVAL_MS].number = (int64_t)world->scan_ms;
    for (unsigned i = 0; i < devices; i++) {
        device_init(world, (int)i, &setup);
    }
    draw_peers(world, has_relays, &setup);
}

/* Appends a signed word to `entries`: `by` let the other one in, or came in by it. */
static enum syncline_status put_word(struct sl_sim_world *world, struct sl_hasher *hasher,
                                     struct sl_buf *entries, const struct sl_sim_device *by,
                                     enum sl_membership_kind kind,
                                     const struct sl_sim_device *other)
{
    struct sl_buf entry;
    struct sl_membership_entry parsed;
    struct sl_signer *signer = NULL;
    struct sl_error err = {0};
    struct sl_membership_word word = {.kind = kind,
                                      .wall_ms = 1,
                                      .author_key = by->identity.public_key,
                                      .key = other->identity.public_key,
                                      .name = "a device"};
    sl_buf_init(&entry, &sl_allocator_libc);
    enum syncline_status status = sl_membership_put(&entry, &word);
    if (status == SYNCLINE_OK) {
        status =
            sl_membership_parse(&parsed, hasher, &world->library_id, entry.data, entry.len, &err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_signer_new(&sl_allocator_libc, &by->identity, &signer);
    }
    if (status == SYNCLINE_OK) {
        status = sl_sign(signer, parsed.hash, sizeof(parsed.hash),
                         entry.data + SL_MEMBERSHIP_SIGNATURE_AT);
    }
    if (status == SYNCLINE_OK) {
        sl_membership_pack(entries, entry.data, entry.len);
    }
    sl_signer_free(signer);
    sl_buf_fini(&entry);
    return status;
}

/* The words by which the first device has let all others in. */
static enum syncline_status put_words(struct sl_sim_world *world, struct sl_buf *entries)
{
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    const struct sl_sim_device *first = &world->devices[0];
    enum syncline_status status = hasher != NULL ? SYNCLINE_OK : SYNCLINE_ENOMEM;
    for (unsigned i = 1; i < world->devices_len && status == SYNCLINE_OK; i++) {
        const struct sl_sim_device *other = &world->devices[i];
        status = put_word(world, hasher, entries, first, SL_MEMBERSHIP_ADMIT, other);
        if (status == SYNCLINE_OK) {
            status = put_word(world, hasher, entries, other, SL_MEMBERSHIP_JOINED, first);
        }
    }
    sl_hasher_free(hasher);
    return status;
}

/* Everybody is a member, on this device. */
static bool put_members(struct sl_sim_device *device, const struct sl_buf *entries)
{
    struct sl_peer_log log;
    struct sl_reader reader;
    struct sl_error err = {0};
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status =
        sl_peer_log_open(&log, &device->env, device->sync_db, SL_DB_WRITE, &err);
    bool is_open = status == SYNCLINE_OK;
    for (unsigned i = 0; i < device->world->devices_len && status == SYNCLINE_OK; i++) {
        const struct sl_sim_device *other = &device->world->devices[i];
        struct sl_member member = {.device = other->identity.device_id,
                                   .name = "a device",
                                   .standing = SL_STANDING_MEMBER};
        memcpy(member.public_key, other->identity.public_key, sizeof(member.public_key));
        status = other != device ? sl_member_put(&log, &member, &err) : SYNCLINE_OK;
    }
    sl_reader_init(&reader, entries->data, entries->len);
    while (status == SYNCLINE_OK && sl_membership_unpack(&reader, &data, &size)) {
        status = sl_membership_table_add(&log, data, size, &err);
    }
    if (is_open) {
        sl_peer_log_fini(&log);
    }
    if (status != SYNCLINE_OK) {
        sl_sim_fail(device->world, SL_SIM_INVARIANT, "members: %s", err.text);
    }
    return status == SYNCLINE_OK;
}

bool sl_sim_world_prunes(struct sl_sim_world *world)
{
    struct sl_buf entries;
    sl_buf_init(&entries, &sl_allocator_libc);
    bool ok = put_words(world, &entries) == SYNCLINE_OK;
    for (unsigned i = 0; i < world->devices_len && ok; i++) {
        ok = put_members(&world->devices[i], &entries);
    }
    sl_buf_fini(&entries);
    world->settings.values[SL_SETTING_LOG_PRUNE].number = 1;
    world->settings.values[SL_SETTING_MEMBER_STALE_DAYS].number =
        sl_setting_at(SL_SETTING_MEMBER_STALE_DAYS)->max;
    return ok;
}

void sl_sim_world_close(struct sl_sim_world *world)
{
    for (unsigned i = 0; i < world->devices_len; i++) {
        sl_sim_capture_close(&world->devices[i]);
        sl_sim_engine_close(&world->devices[i]);
    }
}

void sl_sim_world_fini(struct sl_sim_world *world)
{
    sl_sim_schema_fini(&world->schema);
    sl_sim_net_free(world->net);
    if (sl_sim_disk_handle_count(world->disk) == 0) {
        sl_sim_disk_free(world->disk);
    }
}

/* ---- Devices ------------------------------------------------------------------------------ */

static struct sl_library_config device_config(struct sl_sim_device *device, bool engine)
{
    struct sl_library_config config = {
        .env = &device->env,
        .library_db = device->library_db,
        .sync_db = device->sync_db,
        .identity = &device->identity,
        .models = device->world->schema.list,
        .models_count = device->world->schema.models_len,
        .batch_len = device->batch_len,
        .settle_along_len = device->settle_along_len,
        .scan_len = device->scan_len,
        .settings = &device->world->settings,
        .engine = engine,
    };
    if (engine && device->world->uuid_maps != NULL) {
        snprintf(device->uuid_map, sizeof(device->uuid_map), "%s/%ld-%d", device->world->uuid_maps,
                 (long)getpid(), device->index);
        config.uuid_map = device->uuid_map;
        config.uuid_map_size = 65536; /* so small that it is full at times */
    }
    if (engine) {
        config.transport = device->transport;
        config.listen = device->address;
        config.peers = device->peers;
        config.peers_count = device->peers_len;
    }
    return config;
}

/* A call that was hit may fail, and says nothing false by that. */
static bool api_failed(struct sl_sim_device *device, const char *what, uint64_t hits,
                       enum syncline_status status, const struct sl_error *err)
{
    sl_sim_trace_event(&device->world->trace, device->world->now_ns, device->index, what, status, 0,
                       NULL, 0);
    if (status == SYNCLINE_OK) {
        return false;
    }
    if (sl_sim_may_fail(device, hits, status)) {
        return true;
    }
    sl_sim_fail(device->world, SL_SIM_INVARIANT, "device %d: %s: %s: %s", device->index, what,
                syncline_status_name(status), err->text);
    return true;
}

/* What is pruned is kept beside the log, in the transaction that prunes it: sim_log.h reads it. */
static bool keep_pruned(struct sl_sim_device *device)
{
    sqlite3 *db = NULL;
    bool ok =
        sqlite3_open_v2(device->sync_db, &db, SQLITE_OPEN_READWRITE, SL_SIM_VFS_NAME) ==
            SQLITE_OK &&
        sl_sim_exec(device, db,
                    "CREATE TABLE sim_pruned(origin,last_seq,bytes); CREATE TRIGGER sim_prunes"
                    " BEFORE DELETE ON segment BEGIN INSERT INTO sim_pruned"
                    " VALUES(old.origin,old.last_seq,old.bytes); END");
    sqlite3_close(db);
    return ok;
}

bool sl_sim_device_create(struct sl_sim_device *device)
{
    struct sl_sim_world *world = device->world;
    sqlite3 *db = sl_sim_db_open(device);
    bool ok = sl_sim_exec(device, db, "PRAGMA journal_mode=WAL");
    ok = ok && sl_sim_exec(device, db, "CREATE TABLE sim_tx(id INTEGER PRIMARY KEY)");
    for (uint32_t i = 0; i < world->schema.models_len && ok; i++) {
        ok = sl_sim_exec(device, db, world->schema.models[i].create_sql);
    }
    sqlite3_close(db);
    if (!ok) {
        return false;
    }
    struct sl_library_config config = device_config(device, false);
    struct sl_error err = {0};
    char name[16];
    snprintf(name, sizeof(name), "device %d", device->index);
    return !api_failed(device, "create", device->hits,
                       sl_library_create(&config, &world->library_id, "a library", name, &err),
                       &err) &&
           keep_pruned(device);
}

bool sl_sim_engine_open(struct sl_sim_device *device)
{
    device->transport = sl_sim_transport_new(device->world->net, device->index);
    if (device->transport == NULL) {
        fprintf(stderr, "sl-sim: out of memory\n");
        abort();
    }
    struct sl_library_config config = device_config(device, true);
    if (config.uuid_map != NULL) {
        sl_sim_fault_map_damage(device);
    }
    struct sl_error err = {0};
    uint64_t hits = sl_sim_expose(device);
    device->hits_at_open = hits;
    enum syncline_status status = sl_library_open(&config, &device->engine, &err);
    sl_sim_cover(device);
    if (api_failed(device, "open", hits, status, &err)) {
        device->transport->ops->free(device->transport);
        device->transport = NULL;
        return false;
    }
    device->opens++;
    return true;
}

void sl_sim_engine_close(struct sl_sim_device *device)
{
    if (device->engine == NULL) {
        return;
    }
    sl_sim_trace_event(&device->world->trace, device->world->now_ns, device->index, "close", 0, 0,
                       NULL, 0);
    for (size_t i = 0; i < SL_SIM_FILES; i++) {
        sqlite3_close(device->looks[i]);
        device->looks[i] = NULL;
    }
    sl_library_close(device->engine);
    device->engine = NULL;
    device->transport->ops->free(device->transport);
    device->transport = NULL;
}

bool sl_sim_capture_open(struct sl_sim_device *device)
{
    struct sl_library_config config = device_config(device, false);
    struct sl_error err = {0};
    uint64_t hits = sl_sim_expose(device);
    enum syncline_status status = sl_library_open(&config, &device->capture, &err);
    sl_sim_cover(device);
    return !api_failed(device, "open to capture", hits, status, &err);
}

void sl_sim_capture_close(struct sl_sim_device *device)
{
    if (device->capture != NULL) {
        sl_library_close(device->capture);
        device->capture = NULL;
    }
}

bool sl_sim_engine_is_well(struct sl_sim_device *device)
{
    struct sl_error err = {0};
    if (device->has_died) {
        return false;
    }
    enum syncline_status status = sl_library_health(device->engine, &err);
    if (status != SYNCLINE_OK && !sl_sim_may_fail(device, device->hits_at_open, status)) {
        sl_sim_fail(device->world, SL_SIM_INVARIANT, "device %d: engine stopped: %s: %s",
                    device->index, syncline_status_name(status), err.text);
    }
    return status == SYNCLINE_OK;
}

bool sl_sim_step(struct sl_sim_device *device, size_t stage)
{
    struct sl_sim_world *world = device->world;
    (void)sl_sim_expose(device);
    bool did = sl_library_step(device->engine, stage);
    sl_sim_cover(device);
    sl_sim_trace_event(&world->trace, world->now_ns, device->index,
                       sl_library_stage_name(device->engine, stage), did, 0, NULL, 0);
    if (did) {
        (void)sl_sim_engine_is_well(device);
    }
    return did;
}

bool sl_sim_poll(struct sl_sim_device *device)
{
    struct sl_sim_world *world = device->world;
    uint64_t before = sl_sim_net_chunks_delivered(world->net);
    (void)sl_sim_expose(device);
    sl_library_poll(device->engine, 0);
    sl_sim_cover(device);
    bool did = sl_sim_net_chunks_delivered(world->net) != before;
    sl_sim_trace_event(&world->trace, world->now_ns, device->index, "poll", did, 0, NULL, 0);
    if (did) {
        (void)sl_sim_engine_is_well(device);
    }
    return did;
}

bool sl_sim_info(struct sl_sim_device *device, struct syncline_info *info)
{
    (void)sl_sim_engine_is_well(device);
    struct sl_error err = {0};
    *info = (struct syncline_info)SYNCLINE_INFO_INIT;
    enum syncline_status status = sl_library_info(device->engine, info, &err);
    if (status != SYNCLINE_OK) {
        sl_sim_fail(device->world, SL_SIM_INVARIANT, "device %d: info: %s: %s", device->index,
                    syncline_status_name(status), err.text);
    }
    return status == SYNCLINE_OK;
}

/* ---- Connections -------------------------------------------------------------------------- */

sqlite3 *sl_sim_db_open(struct sl_sim_device *device)
{
    sqlite3 *db;
    int rc = sqlite3_open_v2(device->library_db, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                             SL_SIM_VFS_NAME);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        fprintf(stderr, "sl-sim: %s: %s\n", device->library_db, sqlite3_errmsg(db));
        abort();
    }
    return db;
}

sqlite3 *sl_sim_look(struct sl_sim_device *device, enum sl_sim_file file)
{
    const char *path = file == SL_SIM_LIBRARY_DB ? device->library_db : device->sync_db;
    sqlite3 *db = device->looks[file];
    if (db != NULL) {
        return db;
    }
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, SL_SIM_VFS_NAME) != SQLITE_OK) {
        sl_sim_fail(device->world, SL_SIM_INVARIANT, "%s: %s", path, sqlite3_errmsg(db));
        sqlite3_close(db);
        return NULL;
    }
    if (device->engine != NULL) {
        device->looks[file] = db;
    }
    return db;
}

void sl_sim_look_end(struct sl_sim_device *device, enum sl_sim_file file, sqlite3 *db)
{
    if (db != device->looks[file]) {
        sqlite3_close(db);
    }
}

bool sl_sim_exec(struct sl_sim_device *device, sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK) {
        return true;
    }
    sl_sim_fail(device->world, SL_SIM_INVARIANT, "device %d: %s: %s", device->index, sql,
                sqlite3_errmsg(db));
    return false;
}

sqlite3_stmt *sl_sim_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
        fprintf(stderr, "sl-sim: %s: %s\n", sql, sqlite3_errmsg(db));
        abort();
    }
    return stmt;
}
