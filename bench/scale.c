/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A library that grows chunk by chunk, and beside it a plain database that gets the same chunks,
 * one before and one after: what a chunk costs is set against the chunk of the plain one just
 * before. Stages are stepped without threads, so that each cost is seen alone. At 10,000 records,
 * 100,000 and so on the medians of the last chunks are reported. */

#include "bench/scale.h"

#include <sqlite3.h>

#include "bench/clock.h"
#include "bench/stepped_pair.h"
#include "indexer/schema.h"

#define CHUNK_LEN_MIN 2000u /* in the first 10,000, which are five */
#define CHUNKS_KEPT 9u      /* the last so many make the median */

enum { PLAIN, SEND, APPLY, PARTS };

static const struct bench_figure figures[PARTS] = {
    [PLAIN] = {.name = "scale_plain_ns",
               .unit = "ns",
               .what = "a plain insert of a record into a database of so many rows"},
    [SEND] = {.name = "scale_send_ns",
              .unit = "ns",
              .what = "capture and the stages to the durable log, per record"},
    [APPLY] = {.name = "scale_apply_ns",
               .unit = "ns",
               .what = "at the receiver: verify, log_hold and apply, per record"},
};

struct scale {
    struct bench_stepped_pair pair;
    struct sqlite3 *plain;
    size_t receive_stages[2];          /* log_hold, apply */
    double last[PARTS][CHUNKS_KEPT];   /* ns per record, of the last chunks */
    double ratios[PARTS][CHUNKS_KEPT]; /* the same in plain inserts */
    size_t chunks;                     /* so far */
};

static uint64_t receive_ns(const struct scale *scale)
{
    const struct bench_stepped *b = &scale->pair.b;
    return b->poll_ns + b->stage_ns[scale->receive_stages[0]] +
           b->stage_ns[scale->receive_stages[1]];
}

static void keep(struct scale *scale, const double values[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        scale->last[i][scale->chunks % CHUNKS_KEPT] = values[i];
        scale->ratios[i][scale->chunks % CHUNKS_KEPT] = values[i] / values[PLAIN];
    }
    scale->chunks++;
}

/* The chunk is the first `n` rows of `rows`; its first row is a root. */
static enum syncline_status grow(struct scale *scale, struct bench_rows *rows, size_t n,
                                 struct indexer_error *err)
{
    const struct bench_writer writer = {.db = scale->plain,
                                        .transaction_len = BENCH_TRANSACTION_LEN};
    struct bench_span plain;
    struct bench_span captured;
    enum syncline_status status = bench_rows_renew(rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_insert_some(&writer, rows, 0, n, &plain, err);
    }
    uint64_t send_ns = bench_stepped_pair_send_ns(&scale->pair);
    uint64_t apply_ns = receive_ns(scale);
    if (status == SYNCLINE_OK) {
        status = bench_rows_renew(rows, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_stepped_pair_round(&scale->pair, rows, 0, n, &captured, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    double plain_ns = (double)(plain.last_ns - plain.first_ns);
    double capture_ns = (double)(captured.last_ns - captured.first_ns) - plain_ns;
    double rest_ns = (double)(bench_stepped_pair_send_ns(&scale->pair) - send_ns);
    const double values[PARTS] = {[PLAIN] = plain_ns / (double)n,
                                  [SEND] = (capture_ns + rest_ns) / (double)n,
                                  [APPLY] = (double)(receive_ns(scale) - apply_ns) / (double)n};
    keep(scale, values);
    return SYNCLINE_OK;
}

static void report_mark(struct scale *scale, size_t mark, struct bench_report *report)
{
    size_t n = scale->chunks < CHUNKS_KEPT ? scale->chunks : CHUNKS_KEPT;
    for (size_t i = 0; i < PARTS; i++) {
        struct bench_result result = {.value = bench_quantile(scale->last[i], n, 0.5)};
        result.spread = scale->last[i][n - 1] - scale->last[i][0]; /* sorted now */
        result.ratio = i == PLAIN ? 0 : bench_quantile(scale->ratios[i], n, 0.5);
        result.ratio_spread = scale->ratios[i][n - 1] - scale->ratios[i][0];
        bench_report_add(report, &figures[i], mark, (unsigned)n, &result);
    }
    scale->chunks = 0; /* the next mark has chunks of its own */
}

static enum syncline_status grow_all(struct scale *scale, struct bench_rows *rows, size_t max,
                                     struct bench_report *report, struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    size_t mark = BENCH_SCALE_MIN;
    while (status == SYNCLINE_OK && mark <= max) {
        size_t chunk = scale->pair.len < BENCH_SCALE_MIN ? CHUNK_LEN_MIN : mark / 10;
        chunk = chunk < rows->len ? chunk : rows->len;
        size_t left = mark - scale->pair.len;
        status = grow(scale, rows, left < chunk ? left : chunk, err);
        if (status == SYNCLINE_OK && scale->pair.len == mark) {
            report_mark(scale, mark, report);
            mark *= 10;
        }
    }
    return status == SYNCLINE_OK ? bench_stepped_pair_check(&scale->pair, err) : status;
}

static enum syncline_status open_all(struct scale *scale, struct bench_run *run,
                                     struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    enum syncline_status status = bench_folder_next(&run->folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &scale->plain, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = bench_stepped_pair_open(&scale->pair, &run->folder, err);
    if (status != SYNCLINE_OK) {
        indexer_db_close(scale->plain);
        return status;
    }
    status = bench_stepped_stage(&scale->pair.b, "log_hold", &scale->receive_stages[0], err);
    if (status == SYNCLINE_OK) {
        status = bench_stepped_stage(&scale->pair.b, "apply", &scale->receive_stages[1], err);
    }
    if (status != SYNCLINE_OK) {
        bench_stepped_pair_close(&scale->pair);
        indexer_db_close(scale->plain);
    }
    return status;
}

enum syncline_status bench_scale_run(struct bench_run *run, size_t max, struct bench_report *report,
                                     struct indexer_error *err)
{
    struct scale scale = {.chunks = 0};
    enum syncline_status status = bench_rows_init(&run->rows, BENCH_ROUND_LEN, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = open_all(&scale, run, err);
    if (status == SYNCLINE_OK) {
        status = grow_all(&scale, &run->rows, max, report, err);
        bench_stepped_pair_close(&scale.pair);
        indexer_db_close(scale.plain);
    }
    bench_folder_empty(&run->folder);
    bench_rows_fini(&run->rows);
    return status;
}

void bench_scale_usage(FILE *out)
{
    for (size_t i = 0; i < PARTS; i++) {
        (void)fprintf(out, "  %s (%s)\n      %s\n", figures[i].name, figures[i].unit,
                      figures[i].what);
    }
}
