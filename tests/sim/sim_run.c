/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The life of a run:
 *
 *     work    safety: what happens next is drawn: an application acts, a stage of some device runs
 *             one slice, a device polls the network, time passes. Each has a weight of its own,
 *             drawn per seed, at times 0: stages lag behind or starve. Before each step faults may
 *             strike.
 *     drain   liveness: faults stop, transactions end, engines are open; all stages of all devices
 *             in turn, in random order, until the engines say that everything is applied
 *             everywhere and nothing moves.
 *     idle    ten minutes pass in 300 more rounds, which must change nothing.
 *     judge   the oracles. */

#include "tests/sim/sim_run.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/sim/sim_events.h"
#include "tests/sim/sim_memory.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_signature.h"

#define STAGES_MAX 32u
#define STREAM_DEVICES 101      /* a stream of the seed that nothing else has */
#define WORK_STEPS_MAX 200000u  /* schedule steps until the applications must be done */
#define DRAIN_ROUNDS_MAX 20000u /* rounds until everything must be at rest */
#define DRAIN_IDLE_MAX 600u     /* of them in a row in which nothing moved: it never will */
#define REST_ROUNDS 4u          /* idle rounds at the end of a drain */
#define MEMORY_MAX                                                                                 \
    18000000u           /* bytes of a device's handles, at any time: what is kept for records      \
                         * and segments is within the budget, and little is used here */
#define LOOKS_MAX 300u  /* drains while tables are looked at */
#define LOOKS_QUIET 10u /* of them at the end, without a change */
#define IDLE_ROUNDS 300u
#define IDLE_NS 2000000000u /* between two of them: ten minutes in all */
#define CHECK_STEPS 1000u   /* between two looks at what must hold at any time */

enum what { DO_ACT, DO_STEP, DO_POLL, DO_TIME, DO_ROUNDS };

struct choice {
    enum what what;
    unsigned device;
    size_t stage;
    uint64_t weight;
};

struct schedule {
    struct choice choices[SL_SIM_DEVICES_MAX * (STAGES_MAX + 2) + 2];
    size_t len;
    uint64_t weights; /* sum */
    size_t stages;
};

static void add_choice(struct schedule *schedule, struct choice choice)
{
    schedule->choices[schedule->len++] = choice;
    schedule->weights += choice.weight;
}

static void draw_schedule(struct schedule *schedule, struct sl_sim_world *world)
{
    struct sl_sim_random *random = &world->schedule;
    schedule->len = 0;
    schedule->weights = 0;
    schedule->stages = sl_library_stage_count(world->devices[0].engine);
    if (schedule->stages > STAGES_MAX) {
        sl_sim_fail(world, SL_SIM_INVARIANT, "more than %u stages: raise STAGES_MAX", STAGES_MAX);
        schedule->stages = STAGES_MAX;
    }
    for (unsigned d = 0; d < world->devices_len; d++) {
        add_choice(schedule, (struct choice){.what = DO_ACT,
                                             .device = d,
                                             .weight = sl_sim_random_scale(random, 4, 32)});
        for (size_t stage = 0; stage < schedule->stages; stage++) {
            uint64_t weight =
                sl_sim_random_percent(random, 8) ? 0 : sl_sim_random_scale(random, 1, 64);
            add_choice(
                schedule,
                (struct choice){.what = DO_STEP, .device = d, .stage = stage, .weight = weight});
        }
        uint64_t weight = sl_sim_random_percent(random, 8) ? 0 : sl_sim_random_scale(random, 1, 64);
        add_choice(schedule, (struct choice){.what = DO_POLL, .device = d, .weight = weight});
    }
    add_choice(schedule,
               (struct choice){.what = DO_TIME, .weight = sl_sim_random_scale(random, 8, 128)});
    add_choice(schedule, (struct choice){.what = DO_ROUNDS, .weight = 1});
}

static const struct choice *draw_choice(const struct schedule *schedule,
                                        struct sl_sim_random *random)
{
    uint64_t at = sl_sim_random_below(random, schedule->weights);
    const struct choice *choice = schedule->choices;
    while (at >= choice->weight) {
        at -= choice->weight;
        choice++;
    }
    return choice;
}

static void pass_time(struct sl_sim_world *world)
{
    bool is_long = sl_sim_random_percent(&world->clocks, 2);
    uint64_t most = (is_long ? 10000u : 50u) * (uint64_t)1000000u;
    sl_sim_advance(world, sl_sim_random_scale(&world->clocks, 1000, most));
}

/* Every stage of every device and every poll once, in random order. */
static bool do_round(struct sl_sim_workload *work, size_t stages)
{
    struct sl_sim_world *world = work->world;
    unsigned order[SL_SIM_DEVICES_MAX * (STAGES_MAX + 1)];
    unsigned len = (unsigned)(world->devices_len * (stages + 1));
    for (unsigned i = 0; i < len; i++) {
        order[i] = i;
    }
    bool did = false;
    for (unsigned i = len; i > 0 && world->failures == 0; i--) {
        unsigned k = (unsigned)sl_sim_random_below(&world->schedule, i);
        unsigned pick = order[k];
        order[k] = order[i - 1];
        struct sl_sim_device *device = &world->devices[pick / (stages + 1)];
        size_t stage = pick % (stages + 1);
        if (device->engine == NULL) {
            continue;
        }
        did |= stage == stages ? sl_sim_poll(device) : sl_sim_step(device, stage);
        if (device->has_died) {
            sl_sim_workload_tick(work, (unsigned)device->index);
        }
    }
    return did;
}

/* Some rounds with time passing: most of what is under way arrives. */
static void do_rounds(struct sl_sim_workload *work, size_t stages)
{
    struct sl_sim_world *world = work->world;
    uint64_t rounds = sl_sim_random_scale(&world->schedule, 4, 64);
    for (uint64_t i = 0; i < rounds && world->failures == 0; i++) {
        (void)do_round(work, stages);
        pass_time(world);
    }
}

static bool work_left(const struct sl_sim_workload *work)
{
    for (unsigned i = 0; i < work->world->devices_len; i++) {
        if (work->actions_left[i] > 0) {
            return true;
        }
    }
    return false;
}

/* One step of the schedule. */
static void do_choice(struct sl_sim_workload *work, const struct schedule *schedule,
                      const struct choice *choice)
{
    struct sl_sim_world *world = work->world;
    struct sl_sim_device *device = &world->devices[choice->device];
    switch (choice->what) {
    case DO_TIME:
        pass_time(world);
        return;
    case DO_ROUNDS:
        do_rounds(work, schedule->stages);
        return;
    case DO_ACT:
        if (work->actions_left[choice->device] > 0) {
            sl_sim_workload_act(work, choice->device);
        }
        break;
    case DO_POLL:
        if (device->engine != NULL) {
            (void)sl_sim_poll(device);
        }
        break;
    case DO_STEP:
        if (device->engine != NULL) {
            (void)sl_sim_step(device, choice->stage);
        }
        break;
    }
    sl_sim_workload_tick(work, choice->device);
}

static void do_work(struct sl_sim_workload *work, const struct schedule *schedule,
                    struct sl_sim_faults *faults)
{
    struct sl_sim_world *world = work->world;
    for (unsigned n = 0; n < WORK_STEPS_MAX && work_left(work) && world->failures == 0; n++) {
        work->coverage.step++;
        sl_sim_faults_tick(faults);
        do_choice(work, schedule, draw_choice(schedule, &world->schedule));
        if (n % CHECK_STEPS == CHECK_STEPS - 1) {
            sl_sim_check_always(work);
        }
    }
}

static void drain(struct sl_sim_workload *work, size_t stages)
{
    struct sl_sim_world *world = work->world;
    unsigned idle = 0;
    for (unsigned n = 0; n < DRAIN_ROUNDS_MAX && world->failures == 0; n++) {
        bool did = do_round(work, stages);
        idle = did ? 0 : idle + 1;
        if (idle >= REST_ROUNDS && sl_sim_check_info(work, true)) {
            return;
        }
        if (idle > DRAIN_IDLE_MAX) {
            break;
        }
        sl_sim_advance(world, did ? sl_sim_random_scale(&world->clocks, 1000, 1000000)
                                  : sl_sim_random_range(&world->clocks, 1000000, 100000000));
    }
    if (world->failures == 0 && sl_sim_check_info(work, false)) {
        sl_sim_fail(world, SL_SIM_STUCK, "all is applied, but the stages never come to rest");
    }
}

/* What nobody captured is found by the next look at the tables, which waits for a second without
 * a commit after each of its slices. One that is under way may have passed by before it was there:
 * it is the next but one then. */
static void look_at_tables(struct sl_sim_workload *work, size_t stages)
{
    struct sl_sim_world *world = work->world;
    for (unsigned look = 0; look < 2; look++) {
        unsigned quiet = 0;
        sl_sim_advance(world, world->scan_ms * 1000000u);
        for (unsigned n = 0; n < LOOKS_MAX && quiet < LOOKS_QUIET && world->failures == 0; n++) {
            uint64_t before = sl_sim_traffic(world);
            drain(work, stages);
            sl_sim_advance(world, IDLE_NS);
            quiet = sl_sim_traffic(world) == before ? quiet + 1 : 0;
        }
    }
}

static void idle_on(struct sl_sim_workload *work, size_t stages)
{
    struct sl_sim_world *world = work->world;
    uint64_t before = sl_sim_traffic(world);
    for (unsigned n = 0; n < IDLE_ROUNDS && world->failures == 0; n++) {
        (void)do_round(work, stages);
        sl_sim_advance(world, IDLE_NS);
    }
    uint64_t after = sl_sim_traffic(world);
    if (world->failures == 0 && after != before) {
        sl_sim_fail(world, SL_SIM_INVARIANT,
                    "not at rest: %llu log rows and segments while nothing happened",
                    (unsigned long long)(after - before));
    }
}

static void judge(struct sl_sim_workload *work)
{
    struct sl_sim_world *world = work->world;
    (void)sl_sim_check_info(work, false);
    sl_sim_check_always(work);
    sl_sim_check_ledger(work);
    sl_sim_check_digest(world);
    sl_sim_check_structure(world);
    sl_sim_check_events(work);
}

/* May calls fail or be cut short? */
static bool has_crashes(const struct sl_sim_faults *faults)
{
    return faults->is_on[SL_SIM_FAULT_kill] || faults->is_on[SL_SIM_FAULT_power] ||
           faults->is_on[SL_SIM_FAULT_disk] || faults->is_on[SL_SIM_FAULT_memory];
}

static void run_workload(struct sl_sim_world *world, const struct sl_sim_options *options,
                         struct sl_sim_faults *faults, struct sl_sim_result *result)
{
    struct sl_sim_workload work;
    struct schedule schedule = {.stages = 0};
    sl_sim_workload_init(&work, world, &options->allowed, has_crashes(faults));
    for (unsigned i = 0; i < world->devices_len && options->actions_max > 0; i++) {
        unsigned drawn = work.actions_left[i];
        work.actions_left[i] = drawn < options->actions_max ? drawn : options->actions_max;
    }
    bool ok = true;
    for (unsigned i = 0; i < world->devices_len && ok; i++) {
        ok = sl_sim_engine_open(&world->devices[i]) && sl_sim_capture_open(&world->devices[i]);
    }
    if (ok) {
        draw_schedule(&schedule, world);
        sl_sim_faults_start(faults, world, &work.coverage);
        do_work(&work, &schedule, faults);
        sl_sim_faults_stop(faults);
    }
    if (world->failures == 0) {
        sl_sim_workload_finish(&work);
        world->may_wait = true; /* for what went with a tree, and is told by a look at the tables */
        drain(&work, schedule.stages);
        world->may_wait = world->out != 0; /* for what a revoked device did not send in time */
        look_at_tables(&work, schedule.stages);
    }
    if (world->failures == 0) {
        idle_on(&work, schedule.stages);
    }
    if (world->failures == 0) {
        judge(&work);
    }
    sl_sim_tell_blamed(&work);
    result->counts = work.counts;
    result->pairs = work.coverage.pairs;
    sl_sim_workload_fini(&work);
}

/* The files of the devices, for a person to look at. */
static void keep_files(const struct sl_sim_world *world, const char *directory)
{
    bool ok = mkdir(directory, 0755) == 0 || errno == EEXIST;
    for (unsigned i = 0; i < world->devices_len && ok; i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s%s", directory, world->devices[i].directory);
        ok = mkdir(path, 0755) == 0 || errno == EEXIST;
    }
    if (!ok || !sl_sim_disk_export(world->disk, directory)) {
        fprintf(stderr, "sl-sim: %s: cannot keep the files: %s\n", directory, strerror(errno));
    }
}

/* Small worlds and larger ones as often as each other. */
static unsigned draw_devices(uint64_t seed, const struct sl_sim_options *options)
{
    struct sl_sim_random random;
    sl_sim_random_init(&random, seed, STREAM_DEVICES);
    unsigned min = options->devices_min;
    unsigned max = options->devices_max;
    if (max == min || sl_sim_random_percent(&random, 48)) {
        return min;
    }
    return (unsigned)sl_sim_random_range(&random, min + 1, max);
}

void sl_sim_run(uint64_t seed, const struct sl_sim_options *options, struct sl_sim_result *result)
{
    struct sl_sim_world world;
    memset(result, 0, sizeof(*result));
    sl_sim_signature_begin(seed);
    int64_t memory = sl_sim_memory_used();
    struct sl_sim_faults faults;
    sl_sim_faults_draw(&faults, seed, &options->faults);
    result->devices = draw_devices(seed, options);
    sl_sim_world_init(&world, seed, result->devices, faults.is_on[SL_SIM_FAULT_relay],
                      options->trace_out);
    world.uuid_maps = options->uuid_maps;
    bool ok = true;
    for (unsigned i = 0; i < world.devices_len && ok; i++) {
        ok = sl_sim_device_create(&world.devices[i]);
    }
    if (ok && faults.is_on[SL_SIM_FAULT_prune]) {
        ok = sl_sim_world_prunes(&world);
    }
    if (ok) {
        run_workload(&world, options, &faults, result);
    }
    sl_sim_world_close(&world);
    if (options->keep != NULL) {
        keep_files(&world, options->keep);
    }
    if (sl_sim_disk_handle_count(world.disk) > 0) {
        sl_sim_fail(&world, SL_SIM_INVARIANT, "%zu files are open after everything was closed",
                    sl_sim_disk_handle_count(world.disk));
    }
    result->failures = world.failures;
    memcpy(result->text, world.text, sizeof(result->text));
    result->hash = world.trace.hash;
    result->events = world.trace.events;
    result->blamed = world.blamed;
    memcpy(result->about, world.about, sizeof(result->about));
    sl_sim_world_fini(&world);
    if (result->failures == 0 && sl_sim_memory_used() != memory) {
        result->failures = SL_SIM_INVARIANT;
        snprintf(result->text, sizeof(result->text), "SQLite has %lld bytes more after the run",
                 (long long)(sl_sim_memory_used() - memory));
    }
    for (unsigned i = 0; i < result->devices && result->failures == 0; i++) {
        if (world.devices[i].allocated_max > MEMORY_MAX) {
            result->failures = SL_SIM_INVARIANT;
            snprintf(result->text, sizeof(result->text), "device %u: its engine took %llu bytes", i,
                     (unsigned long long)world.devices[i].allocated_max);
        }
        if (world.devices[i].allocated != 0) {
            result->failures = SL_SIM_INVARIANT;
            snprintf(result->text, sizeof(result->text),
                     "device %u: the engine kept %llu bytes after it was closed", i,
                     (unsigned long long)world.devices[i].allocated);
        }
    }
}
