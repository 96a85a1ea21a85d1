/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/crash/crash_kill.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/crash_child.h"
#include "tests/crash/crash_vfs.h"

#define KILLS_PER_WORLD 100u
#define OCCURRENCES 3u /* the first, the second, a random one */
#define OCCURRENCE_MAX 20u
#define DIE_MS 4000u       /* a point that is not met by then is not met */
#define CONVERGE_MS 30000u /* as long may it take until both are equal */
#define PORT 27183         /* each run has loopback addresses of its own */

struct process {
    pid_t pid; /* 0: it does not run */
    int commands;
    int records;
    bool ready;
    bool paused;
    int status; /* of the last one that ended */
};

struct world {
    const struct crash_run *run;
    struct crash_result *result;
    struct crash_device devices[CRASH_DEVICES];
    struct process processes[CRASH_DEVICES];
    struct crash_ledger ledger;
    struct crash_memory *memory; /* CRASH_DEVICES, shared with the processes */
    char folder[128];
    char addresses[CRASH_DEVICES][64];
    struct sl_env env;
    uint64_t starts;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- A world ------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void world_init(struct world *world, const struct crash_run *run,
                       struct crash_result *result)
{
    memset(world, 0, sizeof(*world));
    world->run = run;
    world->result = result;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(world->folder, sizeof(world->folder), "%.90s/sl-crash-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    world->memory = mmap(NULL, CRASH_DEVICES * sizeof(*world->memory), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mkdtemp(world->folder) == NULL || world->memory == MAP_FAILED) {
        crash_give_up("%s: %s", world->folder, strerror(errno));
    }
    world->env = *sl_env_posix();
    world->env.vfs = CRASH_VFS_NAME;
    unsigned pid = (unsigned)getpid();
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        struct crash_device *device = &world->devices[i];
        char folder[160];
        (void)snprintf(folder, sizeof(folder), "%s/d%u", world->folder, i);
        if (mkdir(folder, 0700) != 0) {
            crash_give_up("%s: %s", folder, strerror(errno));
        }
        (void)snprintf(world->addresses[i], sizeof(world->addresses[i]), "127.%u.%u.%u:%d",
                       1 + pid / 250 % 250, 1 + pid % 250, 1 + i, PORT);
        *device = (struct crash_device){.number = i,
                                        .env = &world->env,
                                        .listen = world->addresses[i],
                                        .peer = world->addresses[1 - i],
                                        .app_synchronous = "FULL",
                                        .memory = &world->memory[i]};
        (void)snprintf(device->library_db, sizeof(device->library_db), "%s/library.db", folder);
        (void)snprintf(device->sync_db, sizeof(device->sync_db), "%s/sync.db", folder);
        (void)snprintf(device->uuid_map, sizeof(device->uuid_map), "%s/uuid-map", folder);
    }
    crash_devices_create(world->devices);
}

static void world_fini(struct world *world)
{
    crash_ledger_fini(&world->ledger);
    (void)munmap(world->memory, CRASH_DEVICES * sizeof(*world->memory));
    (void)nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- Processes ---------------------------------------------------------------------------- */

static void start(struct world *world, uint32_t number, const struct crash_command *first)
{
    int commands[2];
    int records[2];
    struct process *process = &world->processes[number];
    if (pipe(commands) != 0 || pipe(records) != 0) {
        crash_give_up("pipe: %s", strerror(errno));
    }
    world->starts++;
    pid_t pid = fork();
    if (pid < 0) {
        crash_give_up("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        const struct process *other = &world->processes[1 - number];
        (void)close(commands[1]);
        (void)close(records[0]);
        if (other->pid != 0) {
            (void)close(other->commands);
            (void)close(other->records);
        }
        const struct crash_child child = {.device = &world->devices[number],
                                          .seed = world->run->seed * 1000003 + world->starts,
                                          .first = *first,
                                          .commands = commands[0],
                                          .records = records[1]};
        crash_child_run(&child);
    }
    (void)close(commands[0]);
    (void)close(records[1]);
    *process = (struct process){.pid = pid, .commands = commands[1], .records = records[0]};
}

static void command(struct world *world, uint32_t number, const struct crash_command *what)
{
    /* Who dies at this moment does not read it. */
    (void)!write(world->processes[number].commands, what, sizeof(*what));
}

static void take_record(struct world *world, uint32_t number, const struct crash_record *record)
{
    struct process *process = &world->processes[number];
    switch ((enum crash_record_kind)record->kind) {
    case CRASH_READY:
        /* Who commits with FULL has it after a kill; the rest was under way. */
        crash_verdict_lost(&world->result->verdict, number,
                           crash_ledger_settle(&world->ledger, number, record->txn.id));
        process->ready = true;
        return;
    case CRASH_INTEND:
        crash_ledger_intend(&world->ledger, &record->txn);
        return;
    case CRASH_COMMITTED:
        crash_ledger_commit(&world->ledger, number, record->txn.id);
        return;
    case CRASH_PAUSED:
        process->paused = true;
        return;
    case CRASH_VERDICT:
        crash_verdict_add(&world->result->verdict, &record->verdict);
        return;
    }
}

/* Reads what there is of one process. */
static void read_records(struct world *world, uint32_t number)
{
    struct process *process = &world->processes[number];
    struct crash_record records[16];
    ssize_t got = read(process->records, records, sizeof(records));
    if (got > 0) {
        for (size_t i = 0; i < (size_t)got / sizeof(records[0]); i++) {
            take_record(world, number, &records[i]);
        }
        return;
    }
    (void)close(process->records);
    (void)close(process->commands);
    if (waitpid(process->pid, &process->status, 0) != process->pid) {
        crash_give_up("waitpid: %s", strerror(errno));
    }
    process->pid = 0;
}

/* Takes what comes, for as long; ends earlier when something came. */
static void pump(struct world *world, int timeout_ms)
{
    struct pollfd fds[CRASH_DEVICES];
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        const struct process *process = &world->processes[i];
        fds[i] = (struct pollfd){.fd = process->pid != 0 ? process->records : -1, .events = POLLIN};
    }
    if (poll(fds, CRASH_DEVICES, timeout_ms) <= 0) {
        return;
    }
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        if (fds[i].revents != 0) {
            read_records(world, i);
        }
    }
}

/* A process that ends by itself has something to say, or has met a defect. */
static void must_run(const struct world *world, uint32_t number)
{
    const struct process *process = &world->processes[number];
    if (process->pid == 0) {
        crash_give_up("device %u has ended by itself: %s %d (seed %" PRIu64 ")", number,
                      WIFSIGNALED(process->status) ? "signal" : "exit status",
                      WIFSIGNALED(process->status) ? WTERMSIG(process->status)
                                                   : WEXITSTATUS(process->status),
                      world->run->seed);
    }
}

static void wait_until(struct world *world, uint32_t number, const bool *flag)
{
    uint64_t end = now_ms() + CONVERGE_MS;
    while (!*flag) {
        if (now_ms() > end) {
            crash_give_up("device %u does not answer (seed %" PRIu64 ")", number, world->run->seed);
        }
        pump(world, 50);
        must_run(world, number);
    }
}

static void pause_writing(struct world *world, uint32_t number)
{
    const struct crash_command pause = {.kind = CRASH_PAUSE};
    world->processes[number].paused = false;
    command(world, number, &pause);
    wait_until(world, number, &world->processes[number].paused);
}

/* ---- Equal? ------------------------------------------------------------------------------- */

/* Both devices' tables against the ledger. */
static struct crash_verdict compare(struct world *world)
{
    struct crash_verdict verdict = {.lost = 0};
    struct crash_fold fold;
    crash_fold_make(&fold, &world->ledger);
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        sqlite3 *db = NULL;
        if (sqlite3_open_v2(world->devices[i].library_db, &db, SQLITE_OPEN_READONLY, NULL) !=
                SQLITE_OK ||
            sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
            sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
            crash_give_up("library.db: %s", sqlite3_errmsg(db));
        }
        crash_device_check_tables(db, i, &fold, &verdict);
        (void)sqlite3_close(db);
    }
    crash_fold_fini(&fold);
    return verdict;
}

/* Nobody writes: both must come to hold what was committed. */
static void converge(struct world *world)
{
    uint64_t end = now_ms() + CONVERGE_MS;
    struct crash_verdict verdict = compare(world);
    while (verdict.text[0] != '\0' && now_ms() < end) {
        pump(world, 5);
        must_run(world, 0);
        must_run(world, 1);
        verdict = compare(world);
    }
    crash_verdict_add(&world->result->verdict, &verdict);
}

/* The logs, when nobody has them open. */
static void check_logs(struct world *world)
{
    struct crash_fold fold;
    crash_fold_make(&fold, &world->ledger);
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        crash_device_check_log(&world->devices[i], &fold, &world->result->verdict);
    }
    crash_fold_fini(&fold);
}

/* ---- Kills -------------------------------------------------------------------------------- */

/* The iteration's point, side and occurrence. */
static struct crash_command choose(const struct crash_run *run, uint64_t iteration)
{
    uint32_t points[SL_CRASHPOINT_COUNT];
    uint32_t len = 0;
    for (uint32_t i = 0; i < SL_CRASHPOINT_COUNT; i++) {
        if (run->points[i]) {
            points[len++] = i;
        }
    }
    struct sl_sim_random random;
    sl_sim_random_init(&random, run->seed, iteration);
    uint64_t occurrence = iteration / ((uint64_t)len * SL_CRASH_SIDE_COUNT) % OCCURRENCES;
    return (struct crash_command){
        .kind = CRASH_ARM,
        .point = points[iteration % len],
        .side = (uint32_t)(iteration / len % SL_CRASH_SIDE_COUNT),
        .nth = occurrence + 1 < OCCURRENCES
                   ? (uint32_t)occurrence + 1
                   : (uint32_t)sl_sim_random_range(&random, 3, OCCURRENCE_MAX)};
}

/* Waits for the death. False: it did not meet the point. */
static bool wait_for_death(struct world *world, uint32_t victim)
{
    const struct process *process = &world->processes[victim];
    uint64_t end = now_ms() + DIE_MS;
    while (process->pid != 0 && now_ms() < end) {
        pump(world, 50);
        must_run(world, 1 - victim);
    }
    if (process->pid != 0) {
        return false;
    }
    if (!WIFSIGNALED(process->status) || WTERMSIG(process->status) != SIGKILL) {
        must_run(world, victim);
    }
    return true;
}

static void kill_once(struct world *world, uint64_t iteration)
{
    static const struct crash_command go = {.kind = CRASH_WRITE};
    struct crash_command arm = choose(world->run, iteration);
    uint32_t victim = (uint32_t)(iteration % 3 == 0 ? 1 : 0);
    command(world, victim, &arm);
    bool dead = wait_for_death(world, victim);
    if (!dead) {
        arm.nth = 1;
        command(world, victim, &arm);
        dead = wait_for_death(world, victim);
    }
    if (world->run->verbose) {
        (void)fprintf(stderr, "%" PRIu64 ": device %u, %s %s, passing %u: %s\n", iteration, victim,
                      sl_crashpoint_name((enum sl_crashpoint)arm.point),
                      arm.side == SL_CRASH_BEFORE ? "before" : "after", arm.nth,
                      dead ? "died" : "not met");
    }
    if (!dead) {
        arm.nth = 0;
        command(world, victim, &arm);
        return;
    }
    world->result->hit[arm.point][arm.side]++;
    world->result->deaths++;
    if (iteration % 4 == 1) { /* and again, while it opens or soon afterwards */
        arm.nth = 1;
        start(world, victim, &arm);
        command(world, victim, &go);
        if (wait_for_death(world, victim)) {
            world->result->hit[arm.point][arm.side]++;
            world->result->deaths++;
        } else {
            arm.nth = 0;
            command(world, victim, &arm);
            return;
        }
    }
    bool silent = iteration % 2 == 0;
    if (silent) {
        pause_writing(world, 1 - victim);
    }
    start(world, victim, &go);
    wait_until(world, victim, &world->processes[victim].ready);
    if (silent) {
        converge(world);
        command(world, 1 - victim, &go);
    }
    command(world, victim, &go);
}

/* Says at which iteration the first of it was found. */
static void kill_once_and_say(struct world *world, uint64_t iteration)
{
    struct crash_verdict *verdict = &world->result->verdict;
    bool before = verdict->text[0] != '\0';
    kill_once(world, iteration);
    if (!before && verdict->text[0] != '\0') {
        (void)fprintf(stderr, "iteration %" PRIu64 ": %s\n", iteration, verdict->text);
    }
}

/* What is found ends the run: what comes after it would only wait for what does not come. */
static void abandon(struct world *world)
{
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        if (world->processes[i].pid != 0) {
            (void)kill(world->processes[i].pid, SIGKILL);
            (void)waitpid(world->processes[i].pid, NULL, 0);
        }
    }
}

/* ---- A run -------------------------------------------------------------------------------- */

static void end_world(struct world *world)
{
    static const struct crash_command quit = {.kind = CRASH_QUIT};
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        pause_writing(world, i);
    }
    converge(world);
    for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
        command(world, i, &quit);
        while (world->processes[i].pid != 0) {
            pump(world, 50);
        }
        if (!WIFEXITED(world->processes[i].status) ||
            WEXITSTATUS(world->processes[i].status) != 0) {
            must_run(world, i);
        }
    }
    check_logs(world);
}

void crash_kill(const struct crash_run *run, struct crash_result *result)
{
    static const struct crash_command go = {.kind = CRASH_WRITE};
    (void)signal(SIGPIPE, SIG_IGN);
    crash_vfs_register(NULL);
    for (uint64_t done = 0; done < run->count;) {
        struct world world;
        world_init(&world, run, result);
        for (uint32_t i = 0; i < CRASH_DEVICES; i++) {
            start(&world, i, &go);
            wait_until(&world, i, &world.processes[i].ready);
            command(&world, i, &go);
        }
        for (uint32_t i = 0;
             i < KILLS_PER_WORLD && done < run->count && result->verdict.text[0] == '\0';
             i++, done++) {
            kill_once_and_say(&world, run->first + done);
        }
        if (result->verdict.text[0] != '\0') {
            abandon(&world);
            world_fini(&world);
            break;
        }
        end_world(&world);
        world_fini(&world);
    }
    crash_vfs_remove();
}
