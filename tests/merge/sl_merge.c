/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* sl-merge: the rules of merging one record, by all short histories and by many random ones. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/merge/merge_history.h"

#define JOBS_MAX 64u
#define EXHAUSTIVE_MAX 6u

static const char usage[] =
    "usage: sl-merge [--exhaustive N] [--random COUNT] [--seed S] [--from I] [--batch N]\n"
    "                [--jobs N] [--product] [--trace]\n"
    "  --exhaustive N   all histories of 1 to N changes (at most 6) by three devices\n"
    "  --random COUNT   so many random histories\n"
    "  --seed S         of the random ones (default 1)\n"
    "  --from I         number of the first random one: with --random 1 one history alone\n"
    "  --batch N        so many random ones at once, with the same steps between their writes\n"
    "                   (default 1, at most 1000)\n"
    "  --jobs N         processes that share the work (default 1)\n"
    "  --product        of --exhaustive: all combinations of the orders in which changes come to\n"
    "                   the three devices, else the i-th order on each in the i-th run\n"
    "  --trace          print each step of random histories\n";

struct options {
    uint32_t exhaustive;
    uint64_t random;
    uint64_t seed;
    uint64_t from;
    uint32_t batch;
    uint32_t jobs;
    struct merge_options run;
};

/* What one job has counted; read by the parent after its end. */
struct tally {
    uint64_t histories;
    uint64_t diverged;
    uint64_t slices;
    bool ended;
};

static bool parse_number(const char *text, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    *number = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && errno == 0 && end != text && *end == '\0';
}

static bool parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.seed = 1, .batch = 1, .jobs = 1};
    for (int i = 1; i < argc; i++) {
        uint64_t number = 0;
        if (strcmp(argv[i], "--trace") == 0) {
            options->run.trace = true;
            continue;
        }
        if (strcmp(argv[i], "--product") == 0) {
            options->run.product = true;
            continue;
        }
        const char *name = argv[i];
        if (!parse_number(argv[++i], &number)) {
            return false;
        }
        if (strcmp(name, "--exhaustive") == 0 && number <= EXHAUSTIVE_MAX) {
            options->exhaustive = (uint32_t)number;
        } else if (strcmp(name, "--random") == 0) {
            options->random = number;
        } else if (strcmp(name, "--seed") == 0) {
            options->seed = number;
        } else if (strcmp(name, "--from") == 0) {
            options->from = number;
        } else if (strcmp(name, "--batch") == 0 && number > 0 && number <= MERGE_RECORDS_MAX) {
            options->batch = (uint32_t)number;
        } else if (strcmp(name, "--jobs") == 0 && number > 0 && number <= JOBS_MAX) {
            options->jobs = (uint32_t)number;
        } else {
            return false;
        }
    }
    return options->exhaustive > 0 || options->random > 0;
}

static bool run_batch(const struct options *options, struct merge_world *world, uint64_t number,
                      uint32_t records)
{
    return records == 1
               ? merge_history_random(world, &options->run, options->seed, number)
               : merge_history_random_many(world, &options->run, options->seed, number, records);
}

static void run_random(const struct options *options, uint32_t job, struct tally *tally,
                       struct merge_world *world)
{
    for (uint64_t i = (uint64_t)job * options->batch;
         i < options->random && tally->diverged < MERGE_FAILURES_MAX;
         i += (uint64_t)options->jobs * options->batch) {
        uint64_t left = options->random - i;
        uint32_t records = left < options->batch ? (uint32_t)left : options->batch;
        uint64_t number = options->from + i;
        bool ok = run_batch(options, world, number, records);
        tally->histories += records;
        tally->slices = world->slices;
        tally->diverged += ok ? 0 : 1;
        if (!ok && tally->diverged <= 3) {
            printf("%s (record %u)\n  replay: sl-merge --random %u --batch %u --seed %" PRIu64
                   " --from %" PRIu64 " --trace\n",
                   world->failure, world->failed, records, options->batch, options->seed, number);
        }
    }
}

static void run_job(const struct options *options, uint32_t job, struct tally *tally)
{
    struct merge_world *world = merge_world_new();
    for (uint32_t n = 1; n <= options->exhaustive; n++) {
        merge_history_all(world, &options->run, n, job, options->jobs, &tally->histories,
                          &tally->diverged);
    }
    run_random(options, job, tally, world);
    tally->slices = world->slices;
    merge_world_free(world);
    tally->ended = true;
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct options options;
    if (!parse(&options, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    size_t size = JOBS_MAX * sizeof(struct tally);
    struct tally *tallies =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED) {
        return 1;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint32_t job = 1; job < options.jobs; job++) {
        pid_t child = fork();
        if (child == 0) {
            run_job(&options, job, &tallies[job]);
            _exit(0);
        }
    }
    run_job(&options, 0, &tallies[0]);
    struct tally sum = {.ended = true};
    while (wait(NULL) > 0 || errno == EINTR) {
    }
    for (uint32_t job = 0; job < options.jobs; job++) {
        sum.histories += tallies[job].histories;
        sum.diverged += tallies[job].diverged;
        sum.slices += tallies[job].slices;
        sum.ended = sum.ended && tallies[job].ended;
    }
    if (!sum.ended) {
        sum.diverged++;
        printf("a job ended before its time\n");
    }
    printf("histories=%" PRIu64 " diverged=%" PRIu64 " slices=%" PRIu64 "\n", sum.histories,
           sum.diverged, sum.slices);
    return sum.diverged == 0 ? 0 : 1;
}
