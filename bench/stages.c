/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What each stage takes alone, without threads, waits and a network: two libraries, A with rows and
 * B without, stepped in turns by this thread.
 *
 * In rounds: rows are inserted and captured at A while nothing steps; then A's stages up to the log
 * run until all is durable, which is the figure for the send pipeline; then all stages of both run
 * until B has applied and A has settled. Counted are slices that did something, so not the pauses
 * in which the log lingers and settling waits for a capture to take it along. */

#include <sqlite3.h>

#include "bench/clock.h"
#include "bench/measure.h"
#include "bench/plain.h"
#include "bench/stepped.h"
#include "bench/stop.h"

#define ROUND_LEN (50u * BENCH_TRANSACTION_LEN) /* captured before a stage runs: fits the pool */
#define PAUSE_US 500                            /* when no stage had anything to do */
#define IDLE_NS_MAX 10e9                        /* of such pauses in a row */
#define APPEND_STAGE "log_append"

struct stages {
    struct sl_local_hub *hub;
    struct bench_stepped a;
    struct bench_stepped b;
};

/* The figures after send_per_s, in their order. */
static const struct {
    const char *stage; /* NULL: polling the network */
    bool at_b;
} parts[] = {{"intake", false},     {"fk_resolve", false}, {"serialize", false},
             {APPEND_STAGE, false}, {"net_flush", false},  {NULL, true},
             {"log_hold", true},    {"apply", true},       {"acknowledge", true},
             {"settle", false}};
#define PARTS_COUNT (sizeof(parts) / sizeof(parts[0]))
_Static_assert(PARTS_COUNT + 1 <= BENCH_FIGURES_MAX, "a group has room for them");

static enum syncline_status capture(void *ctx, struct sqlite3 *db, const struct entry_row *rows,
                                    size_t n, struct indexer_error *err)
{
    struct sl_error said = {.text = ""};
    enum syncline_status status =
        sl_library_capture(ctx, &indexer_entry_model, rows, n, SYNCLINE_INSERT, db, 0, &said);
    return status == SYNCLINE_OK
               ? status
               : indexer_fail(err, status, "%zu rows were not captured: %s", n, said.text);
}

/* After a turn in which nothing was done: fails if that goes on for too long. */
static enum syncline_status pause_turn(uint64_t idle_since_ns, struct bench_stepped *stepped,
                                       struct indexer_error *err)
{
    struct sl_error said = {.text = ""};
    enum syncline_status status = sl_library_health(stepped->library, &said);
    if (status != SYNCLINE_OK) {
        return indexer_fail(err, status, "the stages stopped: %s", said.text);
    }
    if (bench_stop_asked()) {
        return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
    }
    if ((double)(bench_now_ns() - idle_since_ns) > IDLE_NS_MAX) {
        return indexer_fail(err, SYNCLINE_TIMEOUT, "the stages have nothing to do before the end");
    }
    bench_nap_us(PAUSE_US);
    return SYNCLINE_OK;
}

static enum syncline_status own_seq(struct bench_stepped *stepped, bool applied_by_all,
                                    uint64_t *seq, struct indexer_error *err)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct sl_error said = {.text = ""};
    enum syncline_status status = sl_library_info(stepped->library, &info, &said);
    if (status != SYNCLINE_OK) {
        return indexer_fail(err, status, "the library cannot be looked at: %s", said.text);
    }
    *seq = applied_by_all ? info.applied_seq : info.own_seq;
    return SYNCLINE_OK;
}

/* A's stages up to the log, until it holds `len` changes. */
static enum syncline_status step_to_log(struct stages *stages, size_t stage_count, size_t len,
                                        struct indexer_error *err)
{
    uint64_t seq = 0;
    uint64_t idle_since_ns = bench_now_ns();
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        if (bench_stepped_run(&stages->a, stage_count)) {
            idle_since_ns = bench_now_ns();
            continue;
        }
        status = own_seq(&stages->a, false, &seq, err);
        if (status == SYNCLINE_OK && seq >= len) {
            return SYNCLINE_OK;
        }
        if (status == SYNCLINE_OK) {
            status = pause_turn(idle_since_ns, &stages->a, err);
        }
    }
    return status;
}

/* Applied at B, known at A, and settled at A. */
static enum syncline_status is_done(struct stages *stages, size_t len, bool *done,
                                    struct indexer_error *err)
{
    uint64_t applied = 0;
    uint64_t known = 0;
    uint64_t settled = 0;
    enum syncline_status status = bench_stepped_stands(&stages->b, &applied, err);
    if (status == SYNCLINE_OK) {
        status = bench_stepped_stands(&stages->a, &settled, err);
    }
    if (status == SYNCLINE_OK) {
        status = own_seq(&stages->a, true, &known, err);
    }
    *done = status == SYNCLINE_OK && applied >= len && known >= len && settled >= len;
    return status;
}

static enum syncline_status step_to_end(struct stages *stages, size_t len,
                                        struct indexer_error *err)
{
    bool done = false;
    uint64_t idle_since_ns = bench_now_ns();
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        bool worked = bench_stepped_run_all(&stages->a);
        worked = bench_stepped_run_all(&stages->b) || worked;
        if (worked) {
            idle_since_ns = bench_now_ns();
            continue;
        }
        status = is_done(stages, len, &done, err);
        if (status == SYNCLINE_OK && done) {
            return SYNCLINE_OK;
        }
        if (status == SYNCLINE_OK) {
            status = pause_turn(idle_since_ns, &stages->b, err);
        }
    }
    return status;
}

static enum syncline_status open_both(struct stages *stages, struct bench_folder *folder,
                                      struct indexer_error *err)
{
    struct syncline_uuid library_id;
    *stages = (struct stages){.hub = NULL};
    enum syncline_status status = syncline_uuid_new(&library_id, 1);
    if (status == SYNCLINE_OK) {
        status = sl_local_hub_new(&stages->hub);
    }
    if (status != SYNCLINE_OK) {
        return indexer_fail(err, status, "two libraries cannot be connected: %s",
                            syncline_status_text(status));
    }
    status = bench_stepped_open(&stages->a, folder, stages->hub, &library_id, "A", NULL, err);
    if (status != SYNCLINE_OK) {
        goto err_free_hub;
    }
    status = bench_stepped_open(&stages->b, folder, stages->hub, &library_id, "B", "A", err);
    if (status != SYNCLINE_OK) {
        goto err_close_a;
    }
    return SYNCLINE_OK;

err_close_a:
    bench_stepped_close(&stages->a);
err_free_hub:
    sl_local_hub_free(stages->hub);
    return status;
}

static void close_both(struct stages *stages)
{
    bench_stepped_close(&stages->a);
    bench_stepped_close(&stages->b);
    sl_local_hub_free(stages->hub);
}

static enum syncline_status run_rounds(struct stages *stages, struct bench_rows *rows,
                                       struct indexer_error *err)
{
    const struct bench_writer writer = {.db = stages->a.db,
                                        .transaction_len = BENCH_TRANSACTION_LEN,
                                        .then = capture,
                                        .ctx = stages->a.library};
    size_t append = 0;
    enum syncline_status status = bench_stepped_stage(&stages->a, APPEND_STAGE, &append, err);
    for (size_t first = 0; first < rows->len && status == SYNCLINE_OK; first += ROUND_LEN) {
        struct bench_span span;
        size_t len = rows->len - first < ROUND_LEN ? rows->len - first : ROUND_LEN;
        status = bench_insert_some(&writer, rows, first, len, &span, err);
        if (status == SYNCLINE_OK) {
            status = step_to_log(stages, append + 1, first + len, err);
        }
        if (status == SYNCLINE_OK) {
            status = step_to_end(stages, first + len, err);
        }
    }
    return status;
}

static enum syncline_status take_values(const struct stages *stages,
                                        double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    size_t append = 0;
    enum syncline_status status = bench_stepped_stage(&stages->a, APPEND_STAGE, &append, err);
    values[0] = 0;
    for (size_t i = 0; i <= append && status == SYNCLINE_OK; i++) {
        values[0] += (double)stages->a.stage_ns[i];
    }
    for (size_t i = 0; i < PARTS_COUNT && status == SYNCLINE_OK; i++) {
        const struct bench_stepped *at = parts[i].at_b ? &stages->b : &stages->a;
        size_t stage = 0;
        if (parts[i].stage == NULL) {
            values[i + 1] = (double)at->poll_ns;
            continue;
        }
        status = bench_stepped_stage(at, parts[i].stage, &stage, err);
        values[i + 1] = (double)at->stage_ns[stage];
    }
    return status;
}

enum syncline_status bench_measure_stages(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err)
{
    struct stages stages;
    struct bench_content here = {0};
    struct bench_content there = {0};
    enum syncline_status status = bench_rows_renew(&run->rows, err);
    if (status == SYNCLINE_OK) {
        status = open_both(&stages, &run->folder, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = run_rounds(&stages, &run->rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_content_read(stages.a.db, &here, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_read(stages.b.db, &there, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_content_check(&here, &there, err);
    }
    if (status == SYNCLINE_OK) {
        status = take_values(&stages, values, err);
    }
    close_both(&stages);
    return status;
}
