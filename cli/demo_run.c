/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/*     A                               B
 *     library create
 *     serve  <----------------------- library join
 *     (ends)                          serve
 *     location add --peer B  -------> rows
 *                                     ^ polled here, on a read-only connection
 *
 * Times are by CLOCK_MONOTONIC, which all processes share: A tells when it committed first and
 * last, and this process when it saw rows in B's table. To see them it looks every 2 ms while it
 * waits for the first row and for the last ones, and in between sleeps, so that it takes nothing
 * from A. */

#include "cli/demo_run.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/stop.h"
#include "indexer/compare.h"
#include "indexer/schema.h"

#define LOOK_MS 2              /* between two looks at B's table */
#define REST_MS 50             /* the same while there is nothing to see */
#define STEP_NS 60000000000u   /* how long a step that is not the indexing may take */
#define WAIT_S "600"           /* how long B may take to apply everything after A has indexed */
#define LOOPBACK "127.0.0.1:0" /* any free port */
#define ADDRESS_SIZE 64u

/* B's table as this process sees it. */
struct watch {
    struct sqlite3 *db;         /* read-only */
    struct sqlite3_stmt *first; /* is there any row? */
    struct sqlite3_stmt *more;  /* how many rows beyond an id, and the highest of them */
    uint64_t rows;              /* counted so far */
    int64_t id_max;             /* highest id counted: B gives ids in rising order */
    uint64_t first_ns;          /* when the first was seen; 0: not yet */
    uint64_t all_ns;            /* when all were seen; 0: not yet */
};

/* The last commit on A, as A reports it. */
struct committed {
    bool known;
    uint64_t rows;
    uint64_t first_ns;
    uint64_t last_ns;
};

static int fail_process(const char *who, const struct cli_process *process)
{
    static const char prefix[] = "syncline: ";
    const char *text = process->error;
    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0) {
        text += sizeof(prefix) - 1;
    }
    if (text[0] == '\0') {
        return cli_fail("%s ended with code %d and said nothing; run the step by hand to see more",
                        who, process->exit_code);
    }
    return cli_fail("%s: %s", who, text);
}

static int fail_interrupted(void)
{
    return cli_stopped("interrupted; nothing is left behind");
}

/* Runs a command to its end; what it said is in process->out until cli_process_stop. */
static int run_step(const char *who, struct cli_process *process, const char *const args[])
{
    uint64_t start_ns = cli_now_ns();
    int code = cli_process_start(process, args);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    while (cli_process_is_running(process)) {
        cli_process_poll(&(struct cli_process *const){process}, 1, REST_MS);
        if (cli_stop_asked()) {
            code = fail_interrupted();
            goto err_stop;
        }
        if (cli_now_ns() - start_ns > STEP_NS) {
            code =
                cli_fail("%s has not ended within a minute; look at the load of this machine", who);
            goto err_stop;
        }
    }
    if (process->exit_code != CLI_EXIT_OK || process->out == NULL) {
        code = fail_process(who, process);
        goto err_stop;
    }
    return CLI_EXIT_OK;

err_stop:
    cli_process_stop(process);
    return code;
}

static int run_silently(const char *who, const char *const args[])
{
    struct cli_process process;
    int code = run_step(who, &process, args);
    if (code == CLI_EXIT_OK) {
        cli_process_stop(&process);
    }
    return code;
}

/* Starts `serve` on a library and waits for its address. */
static int start_serve(const char *who, const char *library, struct cli_process *process,
                       char address[ADDRESS_SIZE])
{
    uint64_t start_ns = cli_now_ns();
    int code =
        cli_process_start(process, (const char *const[]){"-L", library, "serve", "--listen",
                                                         LOOPBACK, "--insecure-loopback", NULL});
    if (code != CLI_EXIT_OK) {
        return code;
    }
    while (process->out == NULL || strchr(process->out, '\n') == NULL) {
        cli_process_poll(&(struct cli_process *const){process}, 1, REST_MS);
        if (cli_stop_asked()) {
            code = fail_interrupted();
            goto err_stop;
        }
        if (!cli_process_is_running(process)) {
            code = fail_process(who, process);
            goto err_stop;
        }
        if (cli_now_ns() - start_ns > STEP_NS) {
            code = cli_fail("%s does not listen after a minute; look at the load of this machine",
                            who);
            goto err_stop;
        }
    }
    snprintf(address, ADDRESS_SIZE, "%.*s", (int)strcspn(process->out, "\n"), process->out);
    return CLI_EXIT_OK;

err_stop:
    cli_process_stop(process);
    return code;
}

/* Makes both libraries and leaves B serving. */
static int start_devices(const struct demo_run *run, struct cli_process *b,
                         char address[ADDRESS_SIZE])
{
    struct cli_process a;
    char address_a[ADDRESS_SIZE];
    int code = run_silently("device A (create)",
                            (const char *const[]){"-L", run->library_a, "library", "create", "demo",
                                                  "--device-name", "A", NULL});
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = start_serve("device A (serve)", run->library_a, &a, address_a);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = run_silently("device B (join)",
                        (const char *const[]){"-L", run->library_b, "library", "join", address_a,
                                              "--insecure-loopback", "--device-name", "B", NULL});
    cli_process_stop(&a);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    return start_serve("device B (serve)", run->library_b, b, address);
}

static int watch_open(struct watch *watch, const char *library)
{
    struct indexer_error err = {{0}};
    memset(watch, 0, sizeof(*watch));
    if (indexer_db_open(library, INDEXER_DB_READ_ONLY, &watch->db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    if (sqlite3_prepare_v2(watch->db, "SELECT 1 FROM entries LIMIT 1", -1, &watch->first, NULL) !=
            SQLITE_OK ||
        sqlite3_prepare_v2(watch->db, "SELECT count(*), max(id) FROM entries WHERE id > ?", -1,
                           &watch->more, NULL) != SQLITE_OK) {
        cli_fail("%s/%s cannot be read (%s); look at the disk", library, INDEXER_DB_NAME,
                 sqlite3_errmsg(watch->db));
        sqlite3_finalize(watch->first);
        indexer_db_close(watch->db);
        return CLI_EXIT_FAIL;
    }
    return CLI_EXIT_OK;
}

static void watch_close(struct watch *watch)
{
    sqlite3_finalize(watch->first);
    sqlite3_finalize(watch->more);
    indexer_db_close(watch->db);
}

/* A look that fails because the table is busy sees nothing; there is a next one. */
static void watch_look(struct watch *watch, const struct committed *committed)
{
    if (watch->first_ns == 0) {
        if (sqlite3_step(watch->first) == SQLITE_ROW) {
            watch->first_ns = cli_now_ns();
        }
        sqlite3_reset(watch->first);
    }
    if (!committed->known || watch->all_ns != 0) {
        return;
    }
    sqlite3_bind_int64(watch->more, 1, watch->id_max);
    if (sqlite3_step(watch->more) == SQLITE_ROW && sqlite3_column_int64(watch->more, 0) > 0) {
        watch->rows += (uint64_t)sqlite3_column_int64(watch->more, 0);
        watch->id_max = sqlite3_column_int64(watch->more, 1);
    }
    sqlite3_reset(watch->more);
    if (watch->rows >= committed->rows) {
        watch->all_ns = cli_now_ns();
    }
}

static void take_committed(struct committed *committed, const struct cli_process *a)
{
    if (committed->known || strchr(a->report, '\n') == NULL) {
        return;
    }
    committed->known = sscanf(a->report, "committed %" SCNu64 " %" SCNu64 " %" SCNu64,
                              &committed->rows, &committed->first_ns, &committed->last_ns) == 3;
}

/* Until A has ended, and all rows are on B if they are to come. */
static int follow(const struct demo_run *run, struct cli_process *a, struct cli_process *b,
                  struct watch *watch, struct committed *committed)
{
    struct cli_process *const processes[] = {a, b};
    uint64_t start_ns = cli_now_ns();
    while (cli_process_is_running(a) || (run->synced && watch->all_ns == 0)) {
        bool is_waiting = run->synced && (watch->first_ns == 0 || committed->known);
        cli_process_poll(processes, 2, is_waiting && watch->all_ns == 0 ? LOOK_MS : REST_MS);
        take_committed(committed, a);
        if (run->synced) {
            watch_look(watch, committed);
        }
        cli_progress("%s: %.1f s%s", run->label, (double)(cli_now_ns() - start_ns) / 1e9,
                     committed->known ? ", all committed on A" : "");
        if (cli_stop_asked()) {
            return fail_interrupted();
        }
        if (!cli_process_is_running(b)) {
            return fail_process("device B", b);
        }
        if (cli_process_is_running(a)) {
            continue;
        }
        if (a->exit_code != CLI_EXIT_OK) {
            return fail_process("device A", a);
        }
        /* A ends well only when B says that it has applied everything: look a last time. */
        take_committed(committed, a);
        if (run->synced) {
            watch_look(watch, committed);
            if (watch->all_ns == 0) {
                return cli_fail("device B says it has applied everything, but its table has "
                                "%" PRIu64 " of %" PRIu64
                                " rows; this is a defect, please report it",
                                watch->rows, committed->rows);
            }
        }
    }
    return CLI_EXIT_OK;
}

static int take_results(struct demo_run *run, const struct cli_process *a,
                        const struct watch *watch, const struct committed *committed)
{
    json_t *answer = a->out != NULL ? json_loads(a->out, 0, NULL) : NULL;
    json_int_t files = 0;
    json_int_t wire_bytes = 0;
    json_int_t own_seq = 0;
    int failed = json_unpack(answer, "{s:I, s:F, s:I, s:I}", "files", &files, "index_ms",
                             &run->index_ms, "wire_bytes_sent", &wire_bytes, "own_seq", &own_seq);
    json_decref(answer);
    if (failed != 0 || !committed->known) {
        return cli_fail("device A has answered what cannot be read; this is a defect, please "
                        "report it");
    }
    run->files = (uint64_t)files;
    if (!run->synced) {
        return CLI_EXIT_OK;
    }
    /* Seen before A could say that it had committed: the clock was read there after the commit. */
    uint64_t first_ns =
        watch->first_ns > committed->first_ns ? watch->first_ns - committed->first_ns : 0;
    uint64_t all_ns = watch->all_ns > committed->last_ns ? watch->all_ns - committed->last_ns : 0;
    run->first_visible_ms = (double)first_ns / 1e6;
    run->visible_ms = (double)all_ns / 1e6;
    run->wire_bytes_per_record = own_seq > 0 ? (double)wire_bytes / (double)own_seq : 0.0;
    return CLI_EXIT_OK;
}

int demo_run_measure(struct demo_run *run)
{
    struct cli_process a;
    struct cli_process b;
    struct watch watch;
    struct committed committed = {.known = false};
    char address[ADDRESS_SIZE];

    cli_progress("%s: making two libraries", run->label);
    int code = start_devices(run, &b, address);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = watch_open(&watch, run->library_b);
    if (code != CLI_EXIT_OK) {
        goto stop_b;
    }
    const char *plain[] = {"-L", run->library_a, "--json", "location", "add", "--report-fd",
                           "3",  "--plain",      "--",     run->path,  NULL};
    const char *synced[] = {
        "-L",    run->library_a,        "--json", "location", "add", "--report-fd", "3", "--peer",
        address, "--insecure-loopback", "--wait", WAIT_S,     "--",  run->path,     NULL};
    code = cli_process_start(&a, run->synced ? synced : plain);
    if (code != CLI_EXIT_OK) {
        goto close_watch;
    }
    code = follow(run, &a, &b, &watch, &committed);
    if (code == CLI_EXIT_OK) {
        code = take_results(run, &a, &watch, &committed);
    }
    cli_process_stop(&a);
close_watch:
    watch_close(&watch);
stop_b:
    cli_process_stop(&b);
    return code;
}

/* Says what a comparison found. */
static void tell_differences(const char *what, const struct indexer_comparison *comparison)
{
    for (size_t i = 0; i < comparison->named; i++) {
        cli_warn("%s: %s", what, comparison->text[i]);
    }
    if (comparison->differences > comparison->named) {
        cli_warn("%s: %" PRIu64 " differences in all", what, comparison->differences);
    }
}

static int prove_by_sql(const struct demo_run *run, bool *equal)
{
    char *path_a = NULL;
    char *path_b = NULL;
    struct indexer_error err = {{0}};
    struct indexer_comparison comparison;
    if (asprintf(&path_a, "%s/%s", run->library_a, INDEXER_DB_NAME) < 0) {
        return cli_fail("no memory for a path; free some and try again");
    }
    if (asprintf(&path_b, "%s/%s", run->library_b, INDEXER_DB_NAME) < 0) {
        free(path_a);
        return cli_fail("no memory for a path; free some and try again");
    }
    enum syncline_status status = indexer_compare_databases(path_a, path_b, &comparison, &err);
    free(path_a);
    free(path_b);
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    tell_differences("A and B differ", &comparison);
    *equal = *equal && comparison.differences == 0;
    return CLI_EXIT_OK;
}

static int prove_by_folder(const struct demo_run *run, bool *equal)
{
    struct indexer_error err = {{0}};
    struct indexer_comparison comparison;
    struct indexer_compare_options options = {.stop = cli_stop_flag()};
    struct sqlite3 *db = NULL;
    if (indexer_db_open(run->library_b, INDEXER_DB_READ_ONLY, &db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    enum syncline_status status =
        indexer_compare_with_folder(db, run->path, &options, &comparison, &err);
    indexer_db_close(db);
    if (cli_stop_asked()) {
        return fail_interrupted();
    }
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    tell_differences("B and the folder differ", &comparison);
    *equal = *equal && comparison.differences == 0;
    return CLI_EXIT_OK;
}

static int prove_by_digest(const struct demo_run *run, bool *equal)
{
    struct cli_process a;
    struct cli_process b;
    int code = run_step("device A (digest)", &a,
                        (const char *const[]){"-L", run->library_a, "--json", "digest", NULL});
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = run_step("device B (digest)", &b,
                    (const char *const[]){"-L", run->library_b, "--json", "digest", NULL});
    if (code != CLI_EXIT_OK) {
        cli_process_stop(&a);
        return code;
    }
    if (strcmp(a.out, b.out) != 0) {
        cli_warn("the digests differ: A %.*s, B %.*s", (int)strcspn(a.out, "\n"), a.out,
                 (int)strcspn(b.out, "\n"), b.out);
        *equal = false;
    }
    cli_process_stop(&a);
    cli_process_stop(&b);
    return CLI_EXIT_OK;
}

int demo_run_prove(const struct demo_run *run, bool *equal)
{
    bool result = true;
    cli_progress("%s: comparing", run->label);
    int code = prove_by_sql(run, &result);
    if (code == CLI_EXIT_OK) {
        code = prove_by_folder(run, &result);
    }
    if (code == CLI_EXIT_OK) {
        code = prove_by_digest(run, &result);
    }
    if (code == CLI_EXIT_OK) {
        *equal = result;
    }
    return code;
}
