/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/merge/merge_history.h"

#include <inttypes.h>
#include <stdio.h>

struct random_history {
    struct merge_world *world;
    const struct merge_options *options;
    uint64_t state;
    bool failed;
};

static uint32_t draw(struct random_history *history, uint32_t below)
{
    history->state ^= history->state << 13;
    history->state ^= history->state >> 7;
    history->state ^= history->state << 17;
    return (uint32_t)((history->state >> 16) % below);
}

static void trace(const struct random_history *history, uint32_t device, const char *what,
                  uint32_t number)
{
    if (history->options->trace) {
        printf("  %c %s %" PRIu32 "\n", (char)('A' + (int)device), what, number);
    }
}

/* What the logs have of the record that failed. */
static void print_record(const struct merge_world *world)
{
    static const char *const kinds[] = {"", "insert", "update", "delete"};
    const struct merge_record *record = &world->records[world->failed];
    for (size_t i = 0; i < record->changes_len; i++) {
        const struct merge_change *change = &record->changes[i];
        printf("  change %zu: %c seq %" PRIu32 " %s, clock %" PRIu64 ".%u, value %" PRId64
               ", births %x\n",
               i, (char)('A' + (int)change->origin), change->seq, kinds[change->kind],
               change->hlc >> 16, (unsigned)(change->hlc & 0xffff), change->value, change->births);
    }
}

static void fail(struct random_history *history, const struct merge_device *device)
{
    uint32_t vector[MERGE_DEVICES];
    merge_device_vector(device, vector);
    printf("record %" PRIu32 " on %c, which has %" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
           history->world->failed, (char)('A' + (int)device->number), vector[0], vector[1],
           vector[2]);
    print_record(history->world);
    history->failed = true;
}

static void check(struct random_history *history, struct merge_device *device)
{
    if (history->world->failure == NULL && !device->pending && !merge_device_check(device)) {
        history->world->failure = "a device shows what the fold does not";
    }
    if (history->world->failure != NULL) {
        fail(history, device);
    }
}

/* Each record of many is changed by itself, or not: some often, some hardly ever. */
static void write_many(struct random_history *history, struct merge_device *device)
{
    static int64_t values[MERGE_RECORDS_MAX];
    static uint8_t kinds[MERGE_RECORDS_MAX];
    const struct merge_world *world = history->world;
    merge_device_see_all(device, values);
    for (uint32_t r = 0; r < world->records_len; r++) {
        bool writes = draw(history, 8) < 1 + r % 6 &&
                      world->records[r].writes + MERGE_DEVICES < MERGE_CHANGES_MAX;
        kinds[r] = !writes                 ? 0
                   : values[r] == 0        ? MERGE_INSERT
                   : draw(history, 3) == 0 ? MERGE_DELETE
                                           : MERGE_UPDATE;
    }
    merge_device_write_many(device, kinds);
    trace(history, device->number, "writes to records, of", world->records_len);
}

static void write_something(struct random_history *history, struct merge_device *device)
{
    if (history->world->records_len > 1) {
        write_many(history, device);
        return;
    }
    int64_t value = 0;
    bool sees = merge_device_sees(device, &value);
    enum merge_kind kind = sees ? MERGE_UPDATE : MERGE_INSERT;
    if (sees && draw(history, 3) == 0) {
        kind = MERGE_DELETE;
    }
    if (merge_device_write(device, kind)) {
        trace(history, device->number, "writes", (uint32_t)kind);
    }
}

/* Changes of that origin come, as many as can. */
static bool take_some(struct random_history *history, struct merge_device *device, uint32_t origin)
{
    if (origin == device->number || merge_device_behind(device, origin) == 0) {
        return false;
    }
    trace(history, device->number, "takes one of", origin);
    merge_device_take(device, origin);
    return true;
}

static void step(struct random_history *history)
{
    struct merge_device *device = &history->world->devices[draw(history, MERGE_DEVICES)];
    uint32_t what = draw(history, 16);
    if (what < 5) {
        write_something(history, device);
    } else if (what < 8) {
        merge_device_log(device);
        trace(history, device->number, "logs", (uint32_t)history->world->changes_len);
    } else if (what == 8) {
        merge_device_settle(device);
        trace(history, device->number, "settles", 0);
    } else if (what == 9) {
        merge_device_resolve(device);
        trace(history, device->number, "resolves", 0);
    } else {
        (void)take_some(history, device, draw(history, MERGE_DEVICES));
    }
    check(history, device);
}

/* Everything goes everywhere. */
static void finish(struct random_history *history)
{
    struct merge_world *world = history->world;
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        merge_device_log(&world->devices[i]);
        check(history, &world->devices[i]);
    }
    bool moved = true;
    while (moved && !history->failed) {
        moved = false;
        for (uint32_t i = 0; i < MERGE_DEVICES * MERGE_DEVICES && !history->failed; i++) {
            struct merge_device *device = &world->devices[draw(history, MERGE_DEVICES)];
            if (take_some(history, device, draw(history, MERGE_DEVICES))) {
                check(history, device);
            }
        }
        for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
            for (uint32_t k = 0; k < MERGE_DEVICES; k++) {
                moved = moved || (i != k && merge_device_behind(&world->devices[i], k) > 0);
            }
        }
    }
    for (uint32_t i = 0; i < MERGE_DEVICES && !history->failed; i++) {
        merge_device_settle(&world->devices[i]);
        check(history, &world->devices[i]);
        if (!merge_device_is_at_rest(&world->devices[i])) {
            world->failure = "a change waits for ever";
            history->failed = true;
        }
    }
}

static bool run(struct random_history *history, uint64_t seed, uint64_t number, uint32_t records)
{
    struct merge_world *world = history->world;
    history->state = (seed * 0x9e3779b97f4a7c15u) ^ ((number + 1) * 0xd1342543de82ef95u);
    history->state |= history->state == 0 ? 1 : 0;
    (void)draw(history, 2);
    uint32_t ahead_ms[MERGE_DEVICES] = {0};
    if (draw(history, 2) == 0) {
        for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
            ahead_ms[i] = draw(history, 3) * 10;
        }
    }
    merge_world_begin(world, ahead_ms, draw(history, 8) == 0, records);
    uint32_t steps = 4 + draw(history, 44);
    for (uint32_t i = 0; i < steps && !history->failed; i++) {
        if (records == 1 && world->changes_len + 2 * MERGE_DEVICES >= MERGE_CHANGES_MAX) {
            break;
        }
        step(history);
    }
    if (!history->failed) {
        finish(history);
    }
    return !history->failed;
}

bool merge_history_random(struct merge_world *world, const struct merge_options *options,
                          uint64_t seed, uint64_t number)
{
    struct random_history history = {.world = world, .options = options};
    return run(&history, seed, number, 1);
}

bool merge_history_random_many(struct merge_world *world, const struct merge_options *options,
                               uint64_t seed, uint64_t number, uint32_t records)
{
    struct random_history history = {.world = world, .options = options};
    return run(&history, seed, number, records);
}
