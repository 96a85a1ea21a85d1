/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline demo`: what syncing costs, how soon rows are on the other device, and a proof that both
 * are equal. Single times on a busy machine mean little: runs with syncing off and on alternate,
 * and so does the order within a pair; the overhead is the median over the pairs' ratios. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"
#include "cli/demo_run.h"
#include "cli/output.h"
#include "cli/stop.h"
#include "cli/temp_folder.h"
#include "indexer/walker.h"

#define PATH_DEFAULT "/usr"

struct demo {
    const struct cli_options *options; /* borrowed */
    char *path;                        /* ours; folder to index, absolute, without links */
    char *folder;                      /* ours; temporary */
    char *library_a;                   /* ours; within folder */
    char *library_b;                   /* ours; within folder */
    size_t pairs;                      /* runs of each kind; the arrays below are that long */
    double *plain_ms;                  /* ours; all results are in the order of the pairs */
    double *sync_ms;
    double *overhead_pct;
    double *first_visible_ms;
    double *visible_ms;
    double *wire_bytes_per_record;
    uint64_t files; /* regular files */
    bool equal;     /* in all runs */
};

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts values[0..len). */
static double median(double *values, size_t len)
{
    qsort(values, len, sizeof(values[0]), compare_double);
    return len % 2 == 1 ? values[len / 2] : (values[len / 2 - 1] + values[len / 2]) / 2.0;
}

static double round_to(double value, double step)
{
    double scaled = value / step;
    return (double)(int64_t)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5) * step;
}

static enum indexer_walk_next on_entry(void *ctx, const struct indexer_walk_entry *entry,
                                       uint64_t *tag)
{
    uint64_t *entries = ctx;
    (void)entry;
    (void)tag;
    ++*entries;
    if (*entries % 1024 == 0) {
        cli_progress("walking: %" PRIu64 " entries", *entries);
    }
    return INDEXER_WALK_ON;
}

/* Reads the folder once, so that no run pays for a cold disk; also finds out early that it is none.
 */
static int walk_once(const char *path)
{
    uint64_t entries = 0;
    struct indexer_error err = {{0}};
    struct indexer_walk_stats stats;
    struct indexer_walk_options walk_options = {
        .ctx = &entries, .entry = on_entry, .stop = cli_stop_flag()};
    enum syncline_status status = indexer_walk(path, &walk_options, &stats, &err);
    cli_progress_end();
    if (cli_stop_asked()) {
        return cli_stopped("interrupted; nothing is left behind");
    }
    return status == SYNCLINE_OK ? CLI_EXIT_OK : cli_fail("%s", err.text);
}

/* The libraries must not be in the folder that is indexed: they change while it is compared. */
static int check_outside(const struct demo *demo)
{
    struct stat path_stat;
    struct stat folder_stat;
    size_t len = strcmp(demo->path, "/") == 0 ? 0 : strlen(demo->path);
    if (strncmp(demo->folder, demo->path, len) != 0 || demo->folder[len] != '/') {
        return CLI_EXIT_OK;
    }
    if (stat(demo->path, &path_stat) == 0 && stat(demo->folder, &folder_stat) == 0 &&
        path_stat.st_dev != folder_stat.st_dev) {
        return CLI_EXIT_OK;
    }
    return cli_fail("temporary files would be made inside %s, the folder to index; set TMPDIR to "
                    "one outside it",
                    demo->path);
}

static void demo_fini(struct demo *demo)
{
    free(demo->path);
    free(demo->folder);
    free(demo->library_a);
    free(demo->library_b);
    free(demo->plain_ms);
    free(demo->sync_ms);
    free(demo->overhead_pct);
    free(demo->first_visible_ms);
    free(demo->visible_ms);
    free(demo->wire_bytes_per_record);
}

static int demo_init(struct demo *demo, const struct cli_options *options)
{
    const char *path = options->args_count > 0 ? options->args[0] : PATH_DEFAULT;
    memset(demo, 0, sizeof(*demo));
    demo->options = options;
    demo->pairs = options->pairs;
    demo->equal = true;
    demo->path = realpath(path, NULL);
    if (demo->path == NULL) {
        return cli_fail("%s cannot be found (%s); name a folder that is there", path,
                        strerror(errno));
    }
    demo->plain_ms = calloc(demo->pairs, sizeof(double));
    demo->sync_ms = calloc(demo->pairs, sizeof(double));
    demo->overhead_pct = calloc(demo->pairs, sizeof(double));
    demo->first_visible_ms = calloc(demo->pairs, sizeof(double));
    demo->visible_ms = calloc(demo->pairs, sizeof(double));
    demo->wire_bytes_per_record = calloc(demo->pairs, sizeof(double));
    if (demo->plain_ms == NULL || demo->sync_ms == NULL || demo->overhead_pct == NULL ||
        demo->first_visible_ms == NULL || demo->visible_ms == NULL ||
        demo->wire_bytes_per_record == NULL) {
        demo_fini(demo);
        (void)cli_fail("no memory for the results; free some and try again");
        return CLI_EXIT_FAIL;
    }
    return CLI_EXIT_OK;
}

/* One run in a folder of its own, which is removed unless it is to be kept. */
static int run_one(struct demo *demo, size_t pair, bool synced)
{
    char label[64];
    char *folder = NULL;
    char *library_a = NULL;
    char *library_b = NULL;
    bool keep = synced && demo->options->keep && pair + 1 == demo->pairs;
    snprintf(label, sizeof(label), "pair %zu of %zu, syncing %s", pair + 1, demo->pairs,
             synced ? "on" : "off");
    int code = CLI_EXIT_FAIL;
    if (asprintf(&folder, "%s/%s", demo->folder, synced ? "synced" : "plain") < 0 ||
        asprintf(&library_a, "%s/a", folder) < 0 || asprintf(&library_b, "%s/b", folder) < 0) {
        code = cli_fail("no memory for a path; free some and try again");
        goto free_paths;
    }
    if (mkdir(folder, 0700) != 0) {
        code = cli_fail("%s cannot be made (%s); set TMPDIR to a folder where it can", folder,
                        strerror(errno));
        goto free_paths;
    }
    struct demo_run run = {.library_a = library_a,
                           .library_b = library_b,
                           .path = demo->path,
                           .synced = synced,
                           .label = label};
    bool equal = true;
    code = demo_run_measure(&run);
    if (code == CLI_EXIT_OK && synced) {
        code = demo_run_prove(&run, &equal);
    }
    if (!keep && cli_temp_folder_remove(folder) != CLI_EXIT_OK) {
        code = CLI_EXIT_FAIL;
    }
    if (code != CLI_EXIT_OK) {
        goto free_paths;
    }
    demo->files = run.files;
    if (!synced) {
        demo->plain_ms[pair] = run.index_ms;
        goto free_paths;
    }
    demo->equal = demo->equal && equal;
    demo->sync_ms[pair] = run.index_ms;
    demo->first_visible_ms[pair] = run.first_visible_ms;
    demo->visible_ms[pair] = run.visible_ms;
    demo->wire_bytes_per_record[pair] = run.wire_bytes_per_record;
    if (pair + 1 == demo->pairs) {
        demo->library_a = library_a;
        demo->library_b = library_b;
        free(folder);
        return CLI_EXIT_OK;
    }

free_paths:
    free(folder);
    free(library_a);
    free(library_b);
    return code;
}

static int run_pairs(struct demo *demo)
{
    for (size_t pair = 0; pair < demo->pairs; pair++) {
        bool first_synced = pair % 2 == 1;
        int code = run_one(demo, pair, first_synced);
        if (code == CLI_EXIT_OK) {
            code = run_one(demo, pair, !first_synced);
        }
        if (code != CLI_EXIT_OK) {
            return code;
        }
        double ratio =
            demo->plain_ms[pair] > 0.0 ? demo->sync_ms[pair] / demo->plain_ms[pair] : 1.0;
        demo->overhead_pct[pair] = (ratio - 1.0) * 100.0;
        if (!demo->options->json) {
            cli_progress_end();
            printf("pair %zu of %zu: off %.0f ms, on %.0f ms, %+.1f %%\n", pair + 1, demo->pairs,
                   demo->plain_ms[pair], demo->sync_ms[pair], demo->overhead_pct[pair]);
            (void)fflush(stdout);
        }
    }
    return CLI_EXIT_OK;
}

static int print_results(struct demo *demo)
{
    size_t pairs = demo->pairs;
    double plain_ms = median(demo->plain_ms, pairs);
    double sync_ms = median(demo->sync_ms, pairs);
    double overhead_pct = median(demo->overhead_pct, pairs);
    double spread_pct = demo->overhead_pct[pairs - 1] - demo->overhead_pct[0];
    double first_visible_ms = median(demo->first_visible_ms, pairs);
    double visible_ms = median(demo->visible_ms, pairs);
    double wire_bytes = median(demo->wire_bytes_per_record, pairs);
    if (demo->options->json) {
        return cli_print_json(json_pack(
            "{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:o, s:o}", "files",
            (json_int_t)demo->files, "index_plain_ms", round_to(plain_ms, 0.1), "index_sync_ms",
            round_to(sync_ms, 0.1), "overhead_pct", round_to(overhead_pct, 0.01),
            "overhead_spread_pct", round_to(spread_pct, 0.01), "first_visible_ms",
            round_to(first_visible_ms, 0.1), "visible_ms", round_to(visible_ms, 0.1),
            "wire_bytes_per_record", round_to(wire_bytes, 0.01), "equal", (int)demo->equal,
            "library_a", cli_json_name(demo->library_a, strlen(demo->library_a)), "library_b",
            cli_json_name(demo->library_b, strlen(demo->library_b))));
    }
    fputs("folder          ", stdout);
    cli_print_name(stdout, demo->path, strlen(demo->path));
    printf("\nfiles           %" PRIu64 "\n", demo->files);
    printf("syncing off     %.0f ms to index, median of %zu\n", plain_ms, pairs);
    printf("syncing on      %.0f ms\n", sync_ms);
    printf("overhead        %+.1f %%, median of the pairs; from lowest to highest %.1f points\n",
           overhead_pct, spread_pct);
    printf("first row on B  %.0f ms after the first commit on A\n", first_visible_ms);
    printf("all rows on B   %.0f ms after the last commit on A\n", visible_ms);
    printf("wire            %.1f bytes a record\n", wire_bytes);
    if (demo->options->keep) {
        fputs("library of A    ", stdout);
        cli_print_name(stdout, demo->library_a, strlen(demo->library_a));
        fputs("\nlibrary of B    ", stdout);
        cli_print_name(stdout, demo->library_b, strlen(demo->library_b));
        fputc('\n', stdout);
    }
    if (demo->equal) {
        puts("equal");
    }
    return cli_output_end();
}

int cmd_demo(const struct cli_options *options)
{
    struct demo demo;
    int code = demo_init(&demo, options);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = walk_once(demo.path);
    if (code == CLI_EXIT_OK) {
        code = cli_temp_folder_make(&demo.folder);
    }
    if (code == CLI_EXIT_OK && setenv("XDG_STATE_HOME", demo.folder, 1) != 0) {
        code = cli_fail("no memory for the environment; free some and try again");
    }
    if (code == CLI_EXIT_OK) {
        code = check_outside(&demo);
    }
    if (code == CLI_EXIT_OK) {
        code = run_pairs(&demo);
    }
    bool done = code == CLI_EXIT_OK;
    if (done) {
        code = print_results(&demo);
    }
    if (demo.folder != NULL && !(done && options->keep) &&
        cli_temp_folder_remove(demo.folder) != CLI_EXIT_OK) {
        code = CLI_EXIT_FAIL;
    }
    if (code == CLI_EXIT_OK && !demo.equal) {
        code = cli_no("not equal: see the lines above; was the folder at rest?");
    }
    demo_fini(&demo);
    return code;
}
