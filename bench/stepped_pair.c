/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/stepped_pair.h"

#include <sqlite3.h>

#include "bench/clock.h"
#include "bench/stop.h"

#define PAUSE_US 500     /* when no stage had anything to do */
#define IDLE_NS_MAX 10e9 /* of such pauses in a row */
#define LOG_STAGE "log_append"

enum syncline_status bench_stepped_pair_open(struct bench_stepped_pair *pair,
                                             struct bench_folder *folder, struct indexer_error *err)
{
    struct syncline_uuid library_id;
    *pair = (struct bench_stepped_pair){.hub = NULL};
    enum syncline_status status = syncline_uuid_new(&library_id, 1);
    if (status == SYNCLINE_OK) {
        status = sl_local_hub_new(&sl_allocator_libc, &pair->hub);
    }
    if (status != SYNCLINE_OK) {
        return indexer_fail(err, status, "two libraries cannot be connected: %s",
                            syncline_status_text(status));
    }
    status = bench_stepped_open(&pair->a, folder, pair->hub, &library_id, "A", NULL, err);
    if (status == SYNCLINE_OK) {
        status = bench_stepped_open(&pair->b, folder, pair->hub, &library_id, "B", "A", err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_stepped_stage(&pair->a, LOG_STAGE, &pair->to_log, err);
        pair->to_log++;
    }
    if (status != SYNCLINE_OK) {
        bench_stepped_pair_close(pair);
    }
    return status;
}

void bench_stepped_pair_close(struct bench_stepped_pair *pair)
{
    bench_stepped_close(&pair->a);
    bench_stepped_close(&pair->b);
    sl_local_hub_free(pair->hub);
    pair->hub = NULL;
}

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

/* A's stages up to the log, until it holds all changes. */
static enum syncline_status step_to_log(struct bench_stepped_pair *pair, struct indexer_error *err)
{
    uint64_t seq = 0;
    uint64_t idle_since_ns = bench_now_ns();
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        if (bench_stepped_run(&pair->a, pair->to_log)) {
            idle_since_ns = bench_now_ns();
            continue;
        }
        status = own_seq(&pair->a, false, &seq, err);
        if (status == SYNCLINE_OK && seq >= pair->len) {
            return SYNCLINE_OK;
        }
        if (status == SYNCLINE_OK) {
            status = pause_turn(idle_since_ns, &pair->a, err);
        }
    }
    return status;
}

/* Applied at B, known at A, and settled at A. */
static enum syncline_status is_done(struct bench_stepped_pair *pair, bool *done,
                                    struct indexer_error *err)
{
    uint64_t applied = 0;
    uint64_t known = 0;
    uint64_t settled = 0;
    enum syncline_status status = bench_stepped_stands(&pair->b, &applied, err);
    if (status == SYNCLINE_OK) {
        status = bench_stepped_stands(&pair->a, &settled, err);
    }
    if (status == SYNCLINE_OK) {
        status = own_seq(&pair->a, true, &known, err);
    }
    *done =
        status == SYNCLINE_OK && applied >= pair->len && known >= pair->len && settled >= pair->len;
    return status;
}

static enum syncline_status step_to_end(struct bench_stepped_pair *pair, struct indexer_error *err)
{
    bool done = false;
    uint64_t idle_since_ns = bench_now_ns();
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        bool worked = bench_stepped_run_all(&pair->a);
        worked = bench_stepped_run_all(&pair->b) || worked;
        if (worked) {
            idle_since_ns = bench_now_ns();
            continue;
        }
        status = is_done(pair, &done, err);
        if (status == SYNCLINE_OK && done) {
            return SYNCLINE_OK;
        }
        if (status == SYNCLINE_OK) {
            status = pause_turn(idle_since_ns, &pair->b, err);
        }
    }
    return status;
}

enum syncline_status bench_stepped_pair_round(struct bench_stepped_pair *pair,
                                              struct bench_rows *rows, size_t first, size_t n,
                                              struct bench_span *span, struct indexer_error *err)
{
    const struct bench_writer writer = {.db = pair->a.db,
                                        .transaction_len = BENCH_TRANSACTION_LEN,
                                        .then = capture,
                                        .ctx = pair->a.library};
    enum syncline_status status = bench_insert_some(&writer, rows, first, n, span, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    pair->len += n;
    status = step_to_log(pair, err);
    return status == SYNCLINE_OK ? step_to_end(pair, err) : status;
}

uint64_t bench_stepped_pair_send_ns(const struct bench_stepped_pair *pair)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < pair->to_log; i++) {
        ns += pair->a.stage_ns[i];
    }
    return ns;
}

enum syncline_status bench_stepped_pair_check(struct bench_stepped_pair *pair,
                                              struct indexer_error *err)
{
    struct bench_content here = {0};
    struct bench_content there = {0};
    enum syncline_status status = bench_content_read(pair->a.db, &here, err);
    if (status == SYNCLINE_OK) {
        status = bench_content_read(pair->b.db, &there, err);
    }
    return status == SYNCLINE_OK ? bench_content_check(&here, &there, err) : status;
}
