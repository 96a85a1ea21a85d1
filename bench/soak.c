/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/soak.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/memory.h"
#include "bench/soak_writer.h"
#include "bench/stop.h"
#include "bench/two_devices.h"
#include "indexer/compare.h"
#include "indexer/schema.h"

#define THREADS 8u
#define SYNCED "synced"
#define PLAIN "plain"
#define MIB (1024.0 * 1024.0)
#define FLUSH_MS_MAX 600000 /* for the last change to be applied on B */

/* What one process says at its end. */
struct outcome {
    uint64_t committed;
    uint64_t rolled_back;
    uint64_t transactions;
    uint64_t peak;     /* bytes */
    uint64_t compared; /* rows of A; 0: plainly */
    uint64_t write_ns; /* of the threads */
    uint64_t all_ns;   /* until all was applied on B */
};

/* ---- The process with the threads ---- */

static enum syncline_status run_threads(struct bench_soak *soak, uint64_t seed,
                                        struct indexer_error *err)
{
    struct bench_soak_writer writers[THREADS];
    pthread_t threads[THREADS];
    size_t started = 0;
    memset(writers, 0, sizeof(writers));
    enum syncline_status status = SYNCLINE_OK;
    for (; started < THREADS && status == SYNCLINE_OK; started++) {
        writers[started].soak = soak;
        writers[started].state = seed * THREADS + started;
        if (pthread_create(&threads[started], NULL, bench_soak_writer_run, &writers[started]) !=
            0) {
            status = indexer_fail(err, SYNCLINE_ENOMEM, "no thread could be made");
            atomic_store(&soak->failed, true);
            break;
        }
    }
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
        if (status == SYNCLINE_OK && writers[i].status != SYNCLINE_OK) {
            status = indexer_fail(err, writers[i].status, "thread %zu: %s", i, writers[i].err.text);
        }
    }
    return status;
}

static enum syncline_status compare(struct bench_two *two, struct outcome *outcome,
                                    struct indexer_error *err)
{
    char a[BENCH_PATH_SIZE + 16];
    char b[BENCH_PATH_SIZE + 16];
    struct indexer_comparison *comparison = calloc(1, sizeof(*comparison));
    struct syncline_info info = SYNCLINE_INFO_INIT;
    if (comparison == NULL) {
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory to compare");
    }
    (void)snprintf(a, sizeof(a), "%s/" INDEXER_DB_NAME, two->a.dir);
    (void)snprintf(b, sizeof(b), "%s/" INDEXER_DB_NAME, two->b_dir);
    enum syncline_status status = indexer_compare_databases(a, b, comparison, err);
    if (status == SYNCLINE_OK && comparison->differences > 0) {
        status = indexer_fail(err, SYNCLINE_ECORRUPT, "%" PRIu64 " rows differ, as %s",
                              comparison->differences, comparison->text[0]);
    }
    if (status == SYNCLINE_OK) {
        status = bench_device_info(&two->a, &info, err);
    }
    if (status == SYNCLINE_OK && info.set_aside > 0) {
        status = indexer_fail(err, SYNCLINE_ECORRUPT, "%" PRIu64 " records were set aside on A",
                              info.set_aside);
    }
    outcome->compared = comparison->compared;
    free(comparison);
    return status;
}

static enum syncline_status run_synced(struct bench_run *run, struct bench_soak *soak,
                                       uint64_t seed, struct outcome *outcome,
                                       struct indexer_error *err)
{
    struct bench_two two;
    enum syncline_status status = bench_two_open(&two, run, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    soak->lib = two.a.lib;
    soak->dir = two.a.dir;
    uint64_t start_ns = bench_now_ns();
    status = run_threads(soak, seed, err);
    outcome->write_ns = bench_now_ns() - start_ns;
    if (status == SYNCLINE_OK) {
        status = syncline_flush(two.a.lib, SYNCLINE_LEVEL_APPLIED, FLUSH_MS_MAX, NULL);
        if (status != SYNCLINE_OK) {
            status =
                indexer_fail_sync(err, two.a.lib, status, "B does not say that all is applied");
        }
    }
    outcome->all_ns = bench_now_ns() - start_ns;
    outcome->peak = bench_memory_peak(getpid());
    if (status == SYNCLINE_OK) {
        status = compare(&two, outcome, err);
    }
    bench_two_close(&two);
    return status;
}

static enum syncline_status run_plain(struct bench_run *run, struct bench_soak *soak, uint64_t seed,
                                      struct outcome *outcome, struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    struct sqlite3 *db = NULL;
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &db, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    soak->dir = dir;
    uint64_t start_ns = bench_now_ns();
    status = run_threads(soak, seed, err);
    outcome->write_ns = bench_now_ns() - start_ns;
    outcome->all_ns = outcome->write_ns;
    outcome->peak = bench_memory_peak(getpid());
    indexer_db_close(db);
    return status;
}

int bench_soak_main(const char *dir, const char *how, const char *count, const char *seed)
{
    struct bench_run run = {.calls = 0};
    struct bench_soak soak = {.target = strtoull(count, NULL, 10)};
    struct outcome outcome = {0};
    struct indexer_error err = {.text = ""};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_stop_watch();
    atomic_init(&soak.committed, 0);
    atomic_init(&soak.rolled_back, 0);
    atomic_init(&soak.transactions, 0);
    atomic_init(&soak.failed, false);
    (void)snprintf(run.folder.path, sizeof(run.folder.path), "%s", dir);
    uint64_t from = strtoull(seed, NULL, 10);
    enum syncline_status status = strcmp(how, SYNCED) == 0
                                      ? run_synced(&run, &soak, from, &outcome, &err)
                                      : run_plain(&run, &soak, from, &outcome, &err);
    if (status == SYNCLINE_OK) {
        printf("soaked %llu %llu %llu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
               atomic_load(&soak.committed), atomic_load(&soak.rolled_back),
               atomic_load(&soak.transactions), outcome.peak, outcome.compared, outcome.write_ns,
               outcome.all_ns);
    } else {
        printf("error %d %.400s\n", (int)status, err.text);
    }
    return fflush(stdout) == 0 && status == SYNCLINE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Running both ---- */

static enum syncline_status run_process(struct bench_run *run, const char *how, uint64_t count,
                                        uint64_t seed, struct outcome *outcome,
                                        struct indexer_error *err)
{
    char self[] = BENCH_SELF;
    char option[] = BENCH_SOAK_RUN_OPTION;
    char dir[BENCH_PATH_SIZE];
    char texts[3][24];
    struct bench_child child;
    int code = 0;
    (void)snprintf(texts[0], sizeof(texts[0]), "%s", how);
    (void)snprintf(texts[1], sizeof(texts[1]), "%" PRIu64, count);
    (void)snprintf(texts[2], sizeof(texts[2]), "%" PRIu64, seed);
    char *argv[] = {self, option, dir, texts[0], texts[1], texts[2], NULL};
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = bench_child_start(&child, "the soaked process", argv, NULL, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    do { /* it says nothing for long */
        status = bench_child_hear(&child, err);
    } while (status == SYNCLINE_TIMEOUT);
    if (status == SYNCLINE_OK && sscanf(child.line, "error %d", &code) == 1) {
        status = indexer_fail(err, (enum syncline_status)code, "%s: %s", how,
                              strchr(child.line + 6, ' ') + 1);
    } else if (status == SYNCLINE_OK &&
               sscanf(child.line,
                      "soaked %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                      " %" SCNu64,
                      &outcome->committed, &outcome->rolled_back, &outcome->transactions,
                      &outcome->peak, &outcome->compared, &outcome->write_ns,
                      &outcome->all_ns) != 7) {
        status = indexer_fail(err, SYNCLINE_EPROTO, "the soaked process said '%s'", child.line);
    }
    (void)bench_child_stop(&child, SIGTERM); /* in case that it is not at its end */
    return status;
}

static void print_outcome(const char *how, const struct outcome *outcome)
{
    printf("%-7s %" PRIu64 " changes in %" PRIu64 " transactions committed, %" PRIu64
           " rolled back; written in %.1f s, all done in %.1f s; peak %.1f MiB\n",
           how, outcome->committed, outcome->transactions, outcome->rolled_back,
           (double)outcome->write_ns / BENCH_NS_PER_S, (double)outcome->all_ns / BENCH_NS_PER_S,
           (double)outcome->peak / MIB);
    (void)fflush(stdout);
}

static const struct bench_figure memory_figure = {
    .name = "soak_memory_mib",
    .unit = "MiB",
    .goal = 48,
    .what = "peak of the synced process over the plain one's"};
static const struct bench_figure ratio_figure = {
    .name = "soak_ratio", .unit = "x", .what = "a change to applied on B over a plain one"};

enum syncline_status bench_soak_report(struct bench_run *run, uint64_t count, uint64_t seed,
                                       struct bench_report *report, struct indexer_error *err)
{
    struct outcome plain = {0};
    struct outcome synced = {0};
    printf("soak: %u threads, %" PRIu64 " changes, seed %" PRIu64 "\n", THREADS, count, seed);
    (void)fflush(stdout);
    enum syncline_status status = run_process(run, PLAIN, count, seed, &plain, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    print_outcome(PLAIN, &plain);
    bench_folder_empty(&run->folder);
    status = run_process(run, SYNCED, count, seed, &synced, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    print_outcome(SYNCED, &synced);
    printf("A and B are equal: %" PRIu64 " rows compared in both directions, none set aside\n\n",
           synced.compared);
    struct bench_result memory = {.value = ((double)synced.peak - (double)plain.peak) / MIB,
                                  .ratio = (double)synced.peak / (double)plain.peak};
    struct bench_result ratio = {.value = (double)synced.all_ns / (double)synced.committed /
                                          ((double)plain.all_ns / (double)plain.committed)};
    ratio.ratio = ratio.value;
    bench_report_head();
    bench_report_add(report, &memory_figure, synced.committed, 1, &memory);
    bench_report_add(report, &ratio_figure, synced.committed, 1, &ratio);
    return SYNCLINE_OK;
}
