/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* sl-sim: runs schedules by their seeds and counts what went wrong.
 *
 * With several schedules to run, each job is a forked child that takes every n-th seed and counts
 * in memory shared with the parent; a child that crashes is a failure of the seed it was at, and
 * another one goes on behind it. A single schedule runs in the process itself, for a debugger. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim_memory.h"
#include "tests/sim/sim_run.h"
#include "tests/sim/sim_shorten.h"

#define JOBS_MAX 64u
#define ACTIONS_MAX 1000u
#define SHORTENED_MAX 2u /* failures that each job makes shorter */
#define OPERATIONS_LEN 200u
#define PAIRS_LEAST 100u /* times that each operation must meet each fault, */
#define PAIRS_OF 10000u  /* in so many schedules */
#define COVERAGE_FROM                                                                              \
    500u /* schedules from which on every kind of operation must have occurred                     \
          */

static const char usage[] =
    "usage: sl-sim --seeds BASE+COUNT [--devices N[-M]] [--faults swarm|none|LIST] [--jobs N]\n"
    "              [--trace] [--keep DIR] [--uuid-maps DIR] [--verify-replay] [--coverage]\n"
    "              [--without CASE]... [--with CASE]... [--actions N]\n"
    "  --seeds 1+1000    schedules of seeds 1 to 1000; a number alone is one schedule\n"
    "  --devices 2-6     devices in each world, drawn per seed, 2 (default) to 8\n"
    "  --faults LIST     faults that are injected in every schedule, of net,partition,relay,kill,\n"
    "                    power,disk,memory,clock,revoke; swarm: each of them but revoke in two\n"
    "                    of three; swarm,revoke: revoke, too; none (default)\n"
    "  --coverage        fail if an operation met a fault of the list less than 100 times in "
    "10,000\n"
    "                    schedules\n"
    "  --actions N       at most so many actions of each device's applications\n"
    "  --jobs N          processes that share the work (default 1)\n"
    "  --trace           print every event; for one schedule\n"
    "  --keep DIR        write the devices' files there at the end; for one schedule\n"
    "  --uuid-maps DIR   give every engine a UUID map, real files in this directory, and run "
    "every\n"
    "                    schedule without them too: nothing may differ\n"
    "  --verify-replay   run every schedule twice and compare the traces (default: 1 in 100)\n"
#define X(name, default_) " " #name
    "  --without CASE    leave a case out; --with CASE adds one that is left out by default:\n"
    "                   " SL_SIM_SWITCHES_MAP(X) "\n";
#undef X

struct options {
    uint64_t base;
    uint64_t count;
    unsigned jobs;
    bool verifies_all;
    bool needs_coverage;
    char faults[128]; /* as given, for replaying */
    char devices[16];
    struct sl_sim_options run;
    char cases[256]; /* --with and --without, for replaying */
};

/* What one job has counted. Written by the child, read by the parent after its death. */
struct tally {
    uint64_t next; /* index of the seed it is at */
    uint64_t schedules;
    uint64_t diverged;
    uint64_t lost;
    uint64_t stuck;
    uint64_t invariants;
    uint64_t events;
    uint64_t shortened;                  /* failures that were made shorter */
    uint64_t large;                      /* schedules with three devices or more */
    uint64_t operations[OPERATIONS_LEN]; /* schedules by their number of operations / 10 */
    struct sl_sim_counts counts;
    struct sl_sim_pairs pairs;
};

/* ---- One schedule ------------------------------------------------------------------------- */

static void report(const struct options *options, uint64_t seed, const char *text,
                   const char *about)
{
    char line[4096];
    int len = snprintf(line, sizeof(line),
                       "seed %" PRIu64 ": %s\n%s  replay: sl-sim --seeds %" PRIu64
                       "+1 --devices %s --faults %s%s --trace\n",
                       seed, text, about, seed, options->devices, options->faults, options->cases);
    size_t size = len < (int)sizeof(line) ? (size_t)len : sizeof(line) - 1;
    (void)fwrite(line, 1, size, stdout); /* one write: several jobs share the output */
    fflush(stdout);
}

/* Says what is left of the first failures when all that they do not need is left out. */
static void shorten(const struct options *options, uint64_t seed,
                    const struct sl_sim_result *result, struct tally *tally)
{
    char *text = NULL;
    size_t size = 0;
    if (options->run.trace_out != NULL || tally->shortened == SHORTENED_MAX) {
        return;
    }
    tally->shortened++;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return;
    }
    sl_sim_shorten(seed, &options->run, result, out);
    (void)fclose(out);
    (void)fwrite(text, 1, size, stdout);
    fflush(stdout);
    free(text);
}

static void run_one(const struct options *options, uint64_t index, struct tally *tally)
{
    uint64_t seed = options->base + index;
    struct sl_sim_result result;
    sl_sim_run(seed, &options->run, &result);
    if (options->verifies_all || options->run.uuid_maps != NULL || index % 100 == 0) {
        struct sl_sim_options quiet = options->run;
        struct sl_sim_result again;
        quiet.trace_out = NULL;
        quiet.keep = NULL;
        quiet.uuid_maps = NULL;
        sl_sim_run(seed, &quiet, &again);
        if ((again.hash.high != result.hash.high || again.hash.low != result.hash.low) &&
            result.failures == 0) {
            result.failures = SL_SIM_INVARIANT;
            snprintf(result.text, sizeof(result.text),
                     "two runs differ: trace %016" PRIx64 " after %" PRIu64
                     " events, then %016" PRIx64 " after %" PRIu64,
                     result.hash.low, result.events, again.hash.low, again.events);
        }
    }
    tally->schedules++;
    tally->diverged += (result.failures & SL_SIM_DIVERGED) != 0 ? 1 : 0;
    tally->lost += (result.failures & SL_SIM_LOST) != 0 ? 1 : 0;
    tally->stuck += (result.failures & SL_SIM_STUCK) != 0 ? 1 : 0;
    tally->invariants += (result.failures & SL_SIM_INVARIANT) != 0 ? 1 : 0;
    tally->events += result.events;
    tally->large += result.devices > 2 ? 1 : 0;
    uint64_t tens = result.counts.operations / 10;
    tally->operations[tens < OPERATIONS_LEN ? tens : OPERATIONS_LEN - 1]++;
    sl_sim_pairs_add(&tally->pairs, &result.pairs);
#define X(name) tally->counts.name += result.counts.name;
    SL_SIM_COUNTS_MAP(X)
#undef X
    if (result.failures != 0) {
        report(options, seed, result.text, result.about);
        shorten(options, seed, &result, tally);
    }
    if (options->run.trace_out != NULL) {
        printf("trace %016" PRIx64 "%016" PRIx64 " %" PRIu64 " events\n", result.hash.high,
               result.hash.low, result.events);
    }
}

/* ---- Jobs --------------------------------------------------------------------------------- */

static void run_job(const struct options *options, struct tally *tally)
{
    while (tally->next < options->count) {
        run_one(options, tally->next, tally);
        tally->next += options->jobs;
    }
}

static pid_t start_job(const struct options *options, struct tally *tally)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        fprintf(stderr, "sl-sim: cannot start a job: %s\n", strerror(errno));
        exit(1);
    }
    if (pid == 0) {
        run_job(options, tally);
        fflush(stdout);
        exit(0); /* not _exit: a leak checker reports here */
    }
    return pid;
}

/* A job that did not end by itself: the seed it was at has failed, and the rest goes on. */
static bool job_ended(const struct options *options, struct tally *tally, int status)
{
    if (WIFEXITED(status) && tally->next >= options->count) {
        if (WEXITSTATUS(status) != 0) {
            printf("a job ended with status %d\n", WEXITSTATUS(status));
            tally->invariants++;
        }
        return true;
    }
    char text[64];
    snprintf(text, sizeof(text), "crashed (%s %d)", WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    report(options, options->base + tally->next, text, "");
    tally->schedules++;
    tally->invariants++;
    tally->next += options->jobs;
    return tally->next >= options->count;
}

static void run_jobs(const struct options *options, struct tally *tallies)
{
    pid_t pids[JOBS_MAX] = {0};
    unsigned running = options->jobs;
    for (unsigned i = 0; i < options->jobs; i++) {
        pids[i] = start_job(options, &tallies[i]);
    }
    while (running > 0) {
        int status;
        pid_t pid = wait(&status);
        if (pid < 0) {
            fprintf(stderr, "sl-sim: wait: %s\n", strerror(errno));
            exit(1);
        }
        for (unsigned i = 0; i < options->jobs; i++) {
            if (pids[i] != pid) {
                continue;
            }
            pids[i] = 0;
            if (job_ended(options, &tallies[i], status)) {
                running--;
            } else {
                pids[i] = start_job(options, &tallies[i]);
            }
        }
    }
}

static unsigned median_operations(const struct tally *sum)
{
    uint64_t seen = 0;
    for (unsigned k = 0; k < OPERATIONS_LEN; k++) {
        seen += sum->operations[k];
        if (2 * seen >= sum->schedules) {
            return 10 * k;
        }
    }
    return 0;
}

/* The table of operations and faults that met. */
static void check_pairs(const struct options *options, const struct tally *sum,
                        uint64_t *invariants)
{
    unsigned wanted = 0;
    for (unsigned i = 0; i < SL_SIM_FAULTS_LEN; i++) {
        wanted |= options->run.faults.allowed[i] ? 1u << i : 0;
    }
    if (wanted == 0) {
        return;
    }
    uint64_t least = (PAIRS_LEAST * sum->schedules + PAIRS_OF - 1) / PAIRS_OF;
    unsigned rare = sl_sim_pairs_print(&sum->pairs, wanted, least, stdout);
    if (options->needs_coverage && rare > 0) {
        printf("%u pairs of operation and fault met less than %" PRIu64 " times\n", rare, least);
        (*invariants)++;
    }
}

/* A generator that no longer makes something tests nothing of it. */
static void check_coverage(const struct options *options, const struct tally *sum,
                           uint64_t *invariants)
{
    printf("generated");
#define X(name) printf(" " #name "=%" PRIu64, sum->counts.name);
    SL_SIM_COUNTS_MAP(X)
#undef X
    printf(" events=%" PRIu64 "\n", sum->events);
    printf("schedules with 3 or more devices=%" PRIu64 " operations in a schedule: median=%u\n",
           sum->large, median_operations(sum));
    check_pairs(options, sum, invariants);
    if (sum->schedules < COVERAGE_FROM || options->cases[0] != '\0') {
        return;
    }
    const struct sl_sim_fault_options *faults = &options->run.faults;
    bool has_crashes = faults->allowed[SL_SIM_FAULT_kill] || faults->allowed[SL_SIM_FAULT_power];
    bool has_disk = faults->allowed[SL_SIM_FAULT_disk];
    bool has_memory = faults->allowed[SL_SIM_FAULT_memory];
    const struct sl_sim_counts needless = {.trees = !options->run.allowed.orphans,
                                           .crashes = !has_crashes,
                                           .events_no_space = !has_disk,
                                           .events_io_failed = !has_disk,
                                           .events_no_memory = !has_memory,
                                           .events_works_again = !has_disk && !has_memory};
#define X(name)                                                                                    \
    if (sum->counts.name == 0 && needless.name == 0) {                                             \
        printf("the generator made no " #name " in %" PRIu64 " schedules\n", sum->schedules);      \
        (*invariants)++;                                                                           \
    }
    SL_SIM_COUNTS_MAP(X)
#undef X
}

/* ---- The command line --------------------------------------------------------------------- */

static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "sl-sim: %s%s%s; see sl-sim --help\n", what, value != NULL ? ": " : "",
            value != NULL ? value : "");
    exit(2);
}

static uint64_t parse_number(const char *text, const char **end)
{
    errno = 0;
    char *after;
    unsigned long long value = strtoull(text, &after, 10);
    if (after == text || *text == '-' || *text == '+' || *text == ' ' || errno != 0) {
        *end = NULL;
        return 0;
    }
    *end = after;
    return value;
}

static void parse_seeds(const char *text, struct options *options)
{
    const char *end;
    options->base = parse_number(text, &end);
    options->count = 1;
    if (end != NULL && *end == '+') {
        options->count = parse_number(end + 1, &end);
    }
    if (end == NULL || *end != '\0' || options->count == 0) {
        refuse("--seeds takes BASE+COUNT, as 1+1000, not", text);
    }
}

static unsigned parse_small(const char *name, const char *text, unsigned low, unsigned high)
{
    const char *end;
    uint64_t value = parse_number(text, &end);
    if (end == NULL || *end != '\0' || value < low || value > high) {
        char what[64];
        snprintf(what, sizeof(what), "%s takes a number from %u to %u, not", name, low, high);
        refuse(what, text);
    }
    return (unsigned)value;
}

static void parse_devices(const char *text, struct options *options)
{
    const char *end;
    uint64_t min = parse_number(text, &end);
    uint64_t max = min;
    if (end != NULL && *end == '-') {
        max = parse_number(end + 1, &end);
    }
    if (end == NULL || *end != '\0' || min < 2 || max < min || max > SL_SIM_DEVICES_MAX) {
        refuse("--devices takes a number from 2 to 8, or two as 2-6, not", text);
    }
    options->run.devices_min = (unsigned)min;
    options->run.devices_max = (unsigned)max;
    snprintf(options->devices, sizeof(options->devices), "%s", text);
}

static void parse_faults(const char *text, struct options *options)
{
    struct sl_sim_fault_options *faults = &options->run.faults;
    bool far_clocks = faults->far_clocks;
    size_t first_len = strcspn(text, ",");
    *faults = (struct sl_sim_fault_options){.is_swarm = first_len == strlen("swarm") &&
                                                        strncmp(text, "swarm", first_len) == 0,
                                            .far_clocks = far_clocks};
    snprintf(options->faults, sizeof(options->faults), "%s", text);
    for (unsigned i = 0; i < SL_SIM_FAULTS_LEN; i++) {
        faults->allowed[i] = faults->is_swarm && i != SL_SIM_FAULT_revoke;
    }
    text += faults->is_swarm ? first_len + (text[first_len] == ',' ? 1 : 0) : 0;
    bool is_list = strcmp(text, "none") != 0;
    while (is_list && *text != '\0') {
        size_t len = strcspn(text, ",");
        bool is_known = false;
        for (unsigned i = 0; i < SL_SIM_FAULTS_LEN; i++) {
            const char *name = sl_sim_fault_name((enum sl_sim_fault)i);
            if (strlen(name) == len && memcmp(name, text, len) == 0) {
                faults->allowed[i] = true;
                is_known = true;
            }
        }
        if (!is_known) {
            refuse("--faults takes swarm, none, or a list of net,partition,relay,kill,power,disk,"
                   "memory,clock,revoke, not",
                   text);
        }
        text += len + (text[len] == ',' ? 1 : 0);
    }
}

static void allow(struct options *options, const char *option, const char *name, bool allowed)
{
    bool is_known = false;
#define X(case_, default_)                                                                         \
    if (strcmp(name, #case_) == 0) {                                                               \
        options->run.allowed.case_ = allowed;                                                      \
        is_known = true;                                                                           \
    }
    SL_SIM_SWITCHES_MAP(X)
#undef X
    if (!is_known) {
        refuse("there is no such case", name);
    }
    size_t len = strlen(options->cases);
    snprintf(options->cases + len, sizeof(options->cases) - len, " %s %s", option, name);
}

static void parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        if (strcmp(name, "--trace") == 0) {
            options->run.trace_out = stdout;
            continue;
        }
        if (strcmp(name, "--verify-replay") == 0) {
            options->verifies_all = true;
            continue;
        }
        if (strcmp(name, "--coverage") == 0) {
            options->needs_coverage = true;
            continue;
        }
        bool is_known = strcmp(name, "--seeds") == 0 || strcmp(name, "--devices") == 0 ||
                        strcmp(name, "--faults") == 0 || strcmp(name, "--jobs") == 0 ||
                        strcmp(name, "--without") == 0 || strcmp(name, "--with") == 0 ||
                        strcmp(name, "--actions") == 0 || strcmp(name, "--keep") == 0 ||
                        strcmp(name, "--uuid-maps") == 0;
        if (!is_known) {
            refuse("unknown option", name);
        }
        if (++i == argc) {
            refuse("a value is missing after", name);
        }
        if (strcmp(name, "--seeds") == 0) {
            parse_seeds(argv[i], options);
        } else if (strcmp(name, "--devices") == 0) {
            parse_devices(argv[i], options);
        } else if (strcmp(name, "--jobs") == 0) {
            options->jobs = parse_small(name, argv[i], 1, JOBS_MAX);
        } else if (strcmp(name, "--actions") == 0) {
            options->run.actions_max = parse_small(name, argv[i], 1, ACTIONS_MAX);
            size_t len = strlen(options->cases);
            snprintf(options->cases + len, sizeof(options->cases) - len, " --actions %s", argv[i]);
        } else if (strcmp(name, "--keep") == 0) {
            options->run.keep = argv[i];
        } else if (strcmp(name, "--uuid-maps") == 0) {
            options->run.uuid_maps = argv[i];
        } else if (strcmp(name, "--without") == 0) {
            allow(options, name, argv[i], false);
        } else if (strcmp(name, "--with") == 0) {
            allow(options, name, argv[i], true);
        } else {
            parse_faults(argv[i], options);
        }
    }
    if (options->count == 0) {
        refuse("--seeds BASE+COUNT is missing", NULL);
    }
    if ((options->run.trace_out != NULL || options->run.keep != NULL) && options->count > 1) {
        refuse("--trace and --keep are for one schedule: give --seeds BASE+1", NULL);
    }
}

int main(int argc, char **argv)
{
    struct options options = {
        .jobs = 1, .run = {.devices_min = 2, .devices_max = 2}, .faults = "none", .devices = "2"};
#define X(name, default_) options.run.allowed.name = default_;
    SL_SIM_SWITCHES_MAP(X)
#undef X
    sl_sim_memory_init();
    parse(argc, argv, &options);
    options.run.faults.far_clocks = options.run.allowed.far_clocks;
    if (options.jobs > options.count) {
        options.jobs = (unsigned)options.count;
    }
    size_t size = options.jobs * sizeof(struct tally);
    struct tally *tallies =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED) {
        fprintf(stderr, "sl-sim: out of memory\n");
        return 1;
    }
    for (unsigned i = 0; i < options.jobs; i++) {
        tallies[i].next = i;
    }
    if (options.count == 1) {
        run_job(&options, tallies);
    } else {
        run_jobs(&options, tallies);
    }
    struct tally sum = {0};
    for (unsigned i = 0; i < options.jobs; i++) {
        sum.schedules += tallies[i].schedules;
        sum.diverged += tallies[i].diverged;
        sum.lost += tallies[i].lost;
        sum.stuck += tallies[i].stuck;
        sum.invariants += tallies[i].invariants;
        sum.events += tallies[i].events;
        sum.large += tallies[i].large;
        for (unsigned k = 0; k < OPERATIONS_LEN; k++) {
            sum.operations[k] += tallies[i].operations[k];
        }
        sl_sim_pairs_add(&sum.pairs, &tallies[i].pairs);
#define X(name) sum.counts.name += tallies[i].counts.name;
        SL_SIM_COUNTS_MAP(X)
#undef X
    }
    munmap(tallies, size);
    check_coverage(&options, &sum, &sum.invariants);
    printf("schedules=%" PRIu64 " diverged=%" PRIu64 " lost=%" PRIu64 " stuck=%" PRIu64
           " invariants=%" PRIu64 "\n",
           sum.schedules, sum.diverged, sum.lost, sum.stuck, sum.invariants);
    return sum.diverged + sum.lost + sum.stuck + sum.invariants > 0 ? 1 : 0;
}
