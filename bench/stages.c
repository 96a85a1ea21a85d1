/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What each stage takes alone, without threads, waits and a network: two libraries stepped in turns
 * by this thread (stepped_pair.h). */

#include "bench/measure.h"
#include "bench/stepped_pair.h"

/* The figures after send_per_s, in their order. */
static const struct {
    const char *stage; /* NULL: polling the network */
    bool at_b;
} parts[] = {{"intake", false},     {"fk_resolve", false}, {"serialize", false},
             {"log_append", false}, {"net_flush", false},  {NULL, true},
             {"log_hold", true},    {"apply", true},       {"acknowledge", true},
             {"settle", false}};
#define PARTS_COUNT (sizeof(parts) / sizeof(parts[0]))
_Static_assert(PARTS_COUNT + 1 <= BENCH_FIGURES_MAX, "a group has room for them");

static enum syncline_status take_values(const struct bench_stepped_pair *pair,
                                        double values[BENCH_FIGURES_MAX], struct indexer_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    values[0] = (double)bench_stepped_pair_send_ns(pair);
    for (size_t i = 0; i < PARTS_COUNT && status == SYNCLINE_OK; i++) {
        const struct bench_stepped *at = parts[i].at_b ? &pair->b : &pair->a;
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
    struct bench_stepped_pair pair;
    struct bench_rows *rows = &run->rows;
    enum syncline_status status = bench_rows_renew(rows, err);
    if (status == SYNCLINE_OK) {
        status = bench_stepped_pair_open(&pair, &run->folder, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    for (size_t first = 0; first < rows->len && status == SYNCLINE_OK; first += BENCH_ROUND_LEN) {
        struct bench_span span;
        size_t left = rows->len - first;
        status = bench_stepped_pair_round(
            &pair, rows, first, left < BENCH_ROUND_LEN ? left : BENCH_ROUND_LEN, &span, err);
    }
    if (status == SYNCLINE_OK) {
        status = bench_stepped_pair_check(&pair, err);
    }
    if (status == SYNCLINE_OK) {
        status = take_values(&pair, values, err);
    }
    bench_stepped_pair_close(&pair);
    return status;
}
