/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/crash/crash_power.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "net/transport_local.h"
#include "tests/crash/crash_vfs.h"
#include "tests/sim/sim_vfs.h"

#define ACTIONS 260u        /* of a scenario */
#define DRAWS_PER_SYNC 8u   /* states for each sync */
#define STATES_PER_POINT 8u /* one of so many states is at a point, until all were */
#define DRAWS_PER_POINT                                                                            \
    8u                      /* for each point and side: first, second and random passings; enough  \
                               of them that no stretch of 1,000 states has no points left */
#define ACTIONS_AFTER 60u   /* at most so many of them after the cut */
#define ALONE_ROUNDS 200u   /* steps of one device until its own log is applied */
#define SETTLE_ROUNDS 4000u /* steps of everything until both must be equal */
#define STEP_NS (100u * 1000u) /* how far a clock moves each time it is read */
#define ROUND_NS (5u * 1000u * 1000u)

/* Where the power goes. */
struct target {
    uint64_t sync; /* the nth; 0: at a point */
    enum sl_crashpoint point;
    enum sl_crash_side side;
    uint32_t nth; /* passing of it; 0 with sync 0: nowhere */
};

/* What a run without a cut has counted. */
struct count {
    uint64_t syncs;
    uint64_t passed[SL_CRASHPOINT_COUNT][SL_CRASH_SIDE_COUNT];
};

struct stage_set {
    struct crash_device devices[CRASH_DEVICES];
    struct crash_memory memory[CRASH_DEVICES];
    struct crash_ledger ledger;
    struct sl_sim_disk *disk;
    struct sl_local_hub *hub;
    struct sl_env env;
    struct sl_sim_random chance; /* what is done next */
    struct sl_sim_random dice;   /* what the devices and SQLite draw */
    struct sl_sim_random fate;   /* what the cut leaves */
    uint64_t now_ns;
    uint32_t active; /* the device that does something */
    int dead;        /* the device without power; -1: none */
    bool cut;        /* it has happened */
    bool full;       /* the applications commit with synchronous=FULL */
    struct crash_verdict verdict;
};

/* ---- The world ---------------------------------------------------------------------------- */

static uint64_t wall_ms(void *ctx)
{
    const struct stage_set *set = ctx;
    return 1767225600000u + set->now_ns / 1000000u;
}

static uint64_t mono_ns(void *ctx)
{
    struct stage_set *set = ctx;
    set->now_ns += STEP_NS;
    return set->now_ns;
}

static void sleep_us(void *ctx, uint64_t us)
{
    struct stage_set *set = ctx;
    set->now_ns += us * 1000u;
}

static void draw(void *ctx, void *out, size_t size)
{
    struct stage_set *set = ctx;
    sl_sim_random_fill(&set->dice, out, size);
}

static enum syncline_status draw_for_env(void *ctx, void *out, size_t size)
{
    draw(ctx, out, size);
    return SYNCLINE_OK;
}

static void intend(void *ctx, const struct crash_txn *txn)
{
    struct stage_set *set = ctx;
    crash_ledger_intend(&set->ledger, txn);
}

static void committed(void *ctx, const struct crash_txn *txn)
{
    struct stage_set *set = ctx;
    crash_ledger_commit(&set->ledger, txn->device, txn->id);
}

/* The power of a device goes, in the middle of whatever it does: from now on its files fail and
 * nothing leaves it; what it does until it notices is in vain. */
static void cut(void *ctx, uint32_t device)
{
    struct stage_set *set = ctx;
    char prefix[8];
    if (set->cut) {
        return;
    }
    set->cut = true;
    set->dead = (int)device;
    (void)snprintf(prefix, sizeof(prefix), "/d%u/", device);
    if (set->devices[device].transport != NULL) {
        crash_witness_die(set->devices[device].transport);
    }
    sl_sim_disk_power_tear(set->disk, prefix, &set->fate);
}

static void cut_active(void *ctx)
{
    const struct stage_set *set = ctx;
    cut(ctx, set->active);
}

/* ---- Devices ------------------------------------------------------------------------------ */

static void open_device(struct stage_set *set, uint32_t number)
{
    struct crash_device *device = &set->devices[number];
    struct sl_error err = {.text = ""};
    struct sl_transport *local = NULL;
    if (sl_transport_local_new(set->hub, &local) != SYNCLINE_OK) {
        crash_give_up("no memory");
    }
    set->active = number;
    enum syncline_status status = crash_device_open(device, local, &err);
    if (status != SYNCLINE_OK && set->dead != (int)number) {
        crash_give_up("device %u does not open: %s", number, err.text);
    }
}

static bool is_open(const struct stage_set *set, uint32_t number)
{
    return set->devices[number].library != NULL;
}

static void close_device(struct stage_set *set, uint32_t number)
{
    set->active = number;
    if (is_open(set, number)) {
        crash_device_close(&set->devices[number]);
    }
}

/* Nobody is connected: what was acknowledged as applied, in a transaction that was not synced, is
 * in the log and must be applied again from there. */
static void check_applied(struct stage_set *set, struct crash_device *device)
{
    for (uint32_t i = 0; i < ALONE_ROUNDS && !crash_device_check_applied_word(device, NULL); i++) {
        for (size_t stage = 0; stage < sl_library_stage_count(device->library); stage++) {
            (void)sl_library_step(device->library, stage);
        }
        set->now_ns += ROUND_NS;
    }
    (void)crash_device_check_applied_word(device, &set->verdict);
}

/* The power is back: what the device said must be true, and what it holds of its application's
 * transactions is what there is. */
static void recover(struct stage_set *set)
{
    uint32_t number = (uint32_t)set->dead;
    struct crash_device *device = &set->devices[number];
    close_device(set, number);
    set->dead = -1;
    open_device(set, number);
    crash_device_check_log_word(device, &set->verdict);
    uint64_t gone = crash_ledger_settle(&set->ledger, number, device->txns);
    crash_verdict_lost(&set->verdict, number, set->full ? gone : 0);
    check_applied(set, device);
}

static void set_init(struct stage_set *set, uint64_t seed, const char *folder)
{
    memset(set, 0, sizeof(*set));
    sl_sim_random_init(&set->chance, seed, 1);
    sl_sim_random_init(&set->dice, seed, 2);
    set->dead = -1;
    set->full = seed % 2 == 0;
    const struct sl_sim_disk_world world = {
        .wall_ms = wall_ms, .sleep_us = sleep_us, .random = draw, .ctx = set};
    set->disk = sl_sim_disk_new(&world);
    if (set->disk == NULL || sl_local_hub_new(&sl_allocator_libc, &set->hub) != SYNCLINE_OK) {
        crash_give_up("no memory");
    }
    sqlite3_randomness(0, NULL);
    crash_vfs_register(SL_SIM_VFS_NAME);
    set->env = (struct sl_env){.wall_ms = wall_ms,
                               .mono_ns = mono_ns,
                               .random = draw_for_env,
                               .vfs = CRASH_VFS_NAME,
                               .ctx = set,
                               .alloc = &sl_allocator_libc};
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        struct crash_device *device = &set->devices[i];
        *device = (struct crash_device){.number = i,
                                        .env = &set->env,
                                        .listen = i == 0 ? "0" : "1",
                                        .peer = i == 0 ? NULL : "0",
                                        .app_synchronous = set->full ? "FULL" : "NORMAL",
                                        .memory = &set->memory[i]};
        (void)snprintf(device->library_db, sizeof(device->library_db), "/d%u/library.db", i);
        (void)snprintf(device->sync_db, sizeof(device->sync_db), "/d%u/sync.db", i);
        (void)snprintf(device->uuid_map, sizeof(device->uuid_map), "%s/d%u", folder, i);
    }
    crash_devices_create(set->devices);
    open_device(set, 0);
    open_device(set, 1);
}

static void set_fini(struct stage_set *set)
{
    close_device(set, 0);
    close_device(set, 1);
    crash_vfs_remove();
    sl_local_hub_free(set->hub);
    sl_sim_disk_free(set->disk);
    crash_ledger_fini(&set->ledger);
}

/* ---- Actions ------------------------------------------------------------------------------ */

static void step_all(struct stage_set *set, uint32_t number)
{
    struct sl_library *library = set->devices[number].library;
    set->active = number;
    for (size_t i = 0; i < sl_library_stage_count(library) && set->dead != (int)number; i++) {
        (void)sl_library_step(library, i);
    }
    if (set->dead != (int)number) {
        sl_library_poll(library, 0);
    }
}

static void write_one(struct stage_set *set, uint32_t number)
{
    const struct crash_teller teller = {.intend = intend, .committed = committed, .ctx = set};
    set->active = number;
    crash_vfs_application(1);
    bool written = crash_device_write(&set->devices[number], &set->chance, &teller);
    crash_vfs_application(0);
    if (!written && set->dead != (int)number) {
        crash_give_up("device %u cannot write: %s", number,
                      sqlite3_errmsg(set->devices[number].db));
    }
}

static void act(struct stage_set *set, bool writes)
{
    uint32_t number = (uint32_t)sl_sim_random_below(&set->chance, CRASH_DEVICES);
    uint64_t what = sl_sim_random_below(&set->chance, 100);
    if (what < 20) {
        if (writes) {
            write_one(set, number);
        }
        return;
    }
    if (what < 22) { /* the application ends, and starts anew */
        close_device(set, number);
        if (set->dead != (int)number) {
            open_device(set, number);
        }
        return;
    }
    if (what < 30) {
        set->now_ns += ROUND_NS * sl_sim_random_below(&set->chance, 20);
        return;
    }
    if (what < 65) {
        step_all(set, number);
        return;
    }
    set->active = number;
    struct sl_library *library = set->devices[number].library;
    (void)sl_library_step(
        library, (size_t)sl_sim_random_below(&set->chance, sl_library_stage_count(library)));
}

static struct crash_verdict compare(struct stage_set *set)
{
    struct crash_verdict verdict = {.lost = 0};
    struct crash_fold fold;
    crash_fold_make(&fold, &set->ledger);
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        crash_device_check_tables(set->devices[i].db, i, &fold, &verdict);
    }
    crash_fold_fini(&fold);
    return verdict;
}

/* Nobody writes any more: both must come to hold what was committed, and their logs nothing twice.
 */
static void converge(struct stage_set *set)
{
    struct crash_verdict verdict = compare(set);
    for (uint32_t i = 0; i < SETTLE_ROUNDS && verdict.text[0] != '\0'; i++) {
        step_all(set, i % CRASH_DEVICES);
        set->now_ns += ROUND_NS;
        if (i % 32 == 31) {
            verdict = compare(set);
        }
    }
    struct crash_fold fold;
    crash_fold_make(&fold, &set->ledger);
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        crash_device_check_log(&set->devices[i], &fold, &verdict);
    }
    crash_fold_fini(&fold);
    crash_verdict_add(&set->verdict, &verdict);
}

/* ---- One state ---------------------------------------------------------------------------- */

static struct crash_verdict run_state(const char *folder, uint64_t seed,
                                      const struct target *target, uint64_t draw_seed,
                                      bool *was_cut, struct count *count)
{
    static struct stage_set set;
    set_init(&set, seed, folder);
    sl_sim_random_init(&set.fate, seed, 1000 + draw_seed);
    struct count before = {.syncs = crash_vfs_syncs()};
    for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
        for (int s = 0; s < SL_CRASH_SIDE_COUNT; s++) {
            before.passed[p][s] =
                sl_crashpoint_passed((enum sl_crashpoint)p, (enum sl_crash_side)s);
        }
    }
    if (target->sync > 0) {
        crash_vfs_cut_at_sync(target->sync, cut, &set);
    }
    sl_crashpoint_on_hit(cut_active, &set);
    sl_crashpoint_arm(target->point, target->side, target->sync > 0 ? 0 : target->nth);
    bool silent = draw_seed % 2 == 1; /* after the cut nothing is captured any more */
    for (uint32_t i = 0, after = 0; i < ACTIONS && after < ACTIONS_AFTER; i++) {
        after += set.cut ? 1 : 0;
        act(&set, !(silent && set.cut));
        if (set.dead >= 0) {
            recover(&set);
        }
    }
    sl_crashpoint_arm(target->point, target->side, 0);
    if (count != NULL) {
        count->syncs = crash_vfs_syncs() - before.syncs;
        for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
            for (int s = 0; s < SL_CRASH_SIDE_COUNT; s++) {
                count->passed[p][s] =
                    sl_crashpoint_passed((enum sl_crashpoint)p, (enum sl_crash_side)s) -
                    before.passed[p][s];
            }
        }
    }
    crash_vfs_cut_at_sync(0, NULL, NULL);
    converge(&set);
    *was_cut = set.cut;
    struct crash_verdict verdict = set.verdict;
    set_fini(&set);
    sl_crashpoint_on_hit(NULL, NULL);
    return verdict;
}

/* ---- All states --------------------------------------------------------------------------- */

/* The points of a scenario, each side, first passing before second before random ones, so that a
 * part of the states holds them all. Returns how many there are; the nth through *target. */
static uint64_t point_states(const struct crash_run *run, const struct count *count, uint64_t seed,
                             uint64_t nth, struct target *target)
{
    uint64_t len = 0;
    for (uint32_t i = 0; i < DRAWS_PER_POINT * SL_CRASHPOINT_COUNT * SL_CRASH_SIDE_COUNT; i++) {
        uint32_t passing = i / (SL_CRASHPOINT_COUNT * SL_CRASH_SIDE_COUNT);
        uint32_t point = i / SL_CRASH_SIDE_COUNT % SL_CRASHPOINT_COUNT;
        uint32_t side = i % SL_CRASH_SIDE_COUNT;
        uint64_t passed = count->passed[point][side];
        if (!run->points[point] || passed <= (passing < 3 ? passing : 0)) {
            continue;
        }
        if (len++ == nth) {
            struct sl_sim_random random;
            sl_sim_random_init(&random, seed, 500 + i);
            *target = (struct target){
                .point = (enum sl_crashpoint)point,
                .side = (enum sl_crash_side)side,
                .nth = passing < 2
                           ? passing + 1
                           : (uint32_t)sl_sim_random_range(&random, passing == 2 ? 3 : 1, passed)};
        }
    }
    return len;
}

/* Which state of a scenario this is: syncs in order, a point now and then. False: it has no such
 * state any more. */
static bool target_of(const struct crash_run *run, const struct count *count, uint64_t seed,
                      uint64_t state, struct target *target)
{
    uint64_t syncs = count->syncs * DRAWS_PER_SYNC;
    uint64_t points = point_states(run, count, seed, state / STATES_PER_POINT, target);
    uint64_t before = state / STATES_PER_POINT; /* points, before this state */
    before = before < points ? before : points;
    if (state % STATES_PER_POINT == STATES_PER_POINT - 1 && before < points) {
        return true;
    }
    if (state - before < syncs) {
        *target = (struct target){.sync = 1 + (state - before) / DRAWS_PER_SYNC};
        return true;
    }
    return state < syncs + points &&
           point_states(run, count, seed, state - syncs, target) == points;
}

static void say_state(const struct crash_run *run, uint64_t number, uint64_t seed,
                      const struct target *target, const struct crash_verdict *verdict)
{
    if (!run->verbose && verdict->text[0] == '\0') {
        return;
    }
    if (target->sync > 0) {
        (void)fprintf(stderr, "state %" PRIu64 ": scenario %" PRIu64 ", sync %" PRIu64 "%s%s\n",
                      number, seed, target->sync, verdict->text[0] != '\0' ? ": " : "",
                      verdict->text);
        return;
    }
    (void)fprintf(stderr, "state %" PRIu64 ": scenario %" PRIu64 ", %s %s, passing %u%s%s\n",
                  number, seed, sl_crashpoint_name(target->point),
                  target->side == SL_CRASH_BEFORE ? "before" : "after", target->nth,
                  verdict->text[0] != '\0' ? ": " : "", verdict->text);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void crash_power(const struct crash_run *run, struct crash_result *result, uint64_t *syncs)
{
    char folder[128];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%.90s/sl-crash-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(folder) == NULL) {
        crash_give_up("%s: %s", folder, strerror(errno));
    }
    *syncs = 0;
    uint64_t number = 0; /* of the state, over all scenarios */
    uint64_t end = run->first + run->count;
    for (uint64_t scenario = 0; number < end; scenario++) {
        uint64_t seed = run->seed + scenario;
        const struct target nowhere = {.sync = 0};
        struct target target;
        struct count count;
        uint64_t sync_before = 0;
        bool was_cut = false;
        struct crash_verdict verdict = run_state(folder, seed, &nowhere, 0, &was_cut, &count);
        crash_verdict_add(&result->verdict, &verdict);
        say_state(run, number, seed, &nowhere, &verdict);
        for (uint64_t state = 0; number < end && target_of(run, &count, seed, state, &target);
             state++, number++) {
            if (number < run->first) {
                continue;
            }
            verdict = run_state(folder, seed, &target, state, &was_cut, NULL);
            crash_verdict_add(&result->verdict, &verdict);
            say_state(run, number, seed, &target, &verdict);
            result->deaths += was_cut ? 1 : 0;
            if (target.sync > 0) {
                *syncs += was_cut && target.sync != sync_before ? 1 : 0;
                sync_before = target.sync;
            } else {
                result->hit[target.point][target.side] += was_cut ? 1 : 0;
            }
        }
    }
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
