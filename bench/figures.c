/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/figures.h"

#include <string.h>

#include "bench/measure.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct bench_figure capture_figures[] = {
    {.name = "capture_overhead_pct",
     .unit = "%",
     .kind = BENCH_PERCENT,
     .plan = 20,
     .goal = 12,
     .peer = "36-57 % of insert (SQLite session extension)",
     .what = "time of inserting with one call a transaction, engine running and no receiver, more "
             "than without"},
    {.name = "capture_cpu_pct",
     .unit = "%",
     .kind = BENCH_PERCENT,
     .what = "the same in processor time of the inserting thread alone, without its waits"},
    {.name = "send_with_inserts_per_s",
     .unit = "rows/s",
     .kind = BENCH_PER_S,
     .more = true,
     .what = "rows over the time from the first BEGIN to the return of syncline_flush(DURABLE): "
             "the inserts themselves, the captures, the commits and the log"},
};
static const struct bench_figure stages_figures[] = {
    {.name = "send_per_s",
     .unit = "rows/s",
     .kind = BENCH_PER_S,
     .goal = 900000,
     .more = true,
     .peer = "640,000 rows/s (row per change)",
     .what = "send pipeline to the durable log: rows over the time in the stages from intake to "
             "log_append, after 50 captured transactions, without threads"},
    {.name = "stage_intake_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "outbox rows read, staged batches taken"},
    {.name = "stage_fk_resolve_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "foreign keys to UUIDs, births"},
    {.name = "stage_serialize_ns", .unit = "ns", .kind = BENCH_NS, .what = "values to columns"},
    {.name = "stage_log_append_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "clock values, sealing, signing, commit with FULL"},
    {.name = "stage_net_flush_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "segments read from the log and queued"},
    {.name = "stage_verify_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "of B, polling: frames, hash chain, signature"},
    {.name = "stage_log_hold_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "of B: into its log, commit with FULL"},
    {.name = "stage_apply_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "of B: decode, keys, reconcile, rows, births, vector, checkpoints"},
    {.name = "stage_acknowledge_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "of B: the new vector to everybody"},
    {.name = "stage_settle_ns",
     .unit = "ns",
     .kind = BENCH_NS,
     .what = "births and the own vector entry into library.db, outbox rows out of it"},
};
static const struct bench_figure apply_figures[] = {
    {.name = "apply_ratio",
     .unit = "x",
     .kind = BENCH_RATIO,
     .goal = 1.4,
     .peer = "330,000 rows/s (SQLite session extension)",
     .what =
         "from before syncline_open of B, which dials A over TCP, to the last row visible on B; "
         "A in the same process, idle, all in its log"},
};
static const struct bench_figure e2e_10k_figures[] = {
    {.name = "e2e_10k_ms",
     .unit = "ms",
     .kind = BENCH_MS,
     .plan = 5000,
     .goal = 60,
     .peer = "59 ms (SQLite session extension, neither durable nor networked)",
     .what = "10,000 rows from the first BEGIN on A to the last row visible on B, two processes"},
};
static const struct bench_figure e2e_100k_figures[] = {
    {.name = "e2e_100k_ratio",
     .unit = "x",
     .kind = BENCH_RATIO,
     .goal = 2.0,
     .peer = "5x a plain insert (SQLite session extension)",
     .what = "the same for 100,000 rows, in plain inserts"},
    {.name = "lag_100k_ms",
     .unit = "ms",
     .kind = BENCH_MS,
     .goal = 40,
     .peer = "40 ms (PostgreSQL logical replication)",
     .what = "of that, from the last COMMIT on A to the last row visible on B"},
    {.name = "wire_bytes",
     .unit = "B",
     .kind = BENCH_BYTES,
     .goal = 20,
     .peer = "46.6 B (Automerge), 101 B (SQLite session extension)",
     .what = "bytes that A sent meanwhile, frames included, per record"},
    {.name = "rest_bytes",
     .unit = "B",
     .kind = BENCH_BYTES,
     .goal = 32,
     .peer = "319-651 B (CRDT extensions)",
     .what =
         "left on A's disk when all is applied, acknowledged and settled, per record: the pages "
         "of all _syncline_ tables and their indexes in library.db (dbstat) and all pages of "
         "sync.db, which still holds the whole log"},
    {.name = "rest_b_bytes",
     .unit = "B",
     .kind = BENCH_BYTES,
     .goal = 32,
     .what = "the same on B's disk"},
};
static const struct bench_figure e2e_1m_figures[] = {
    {.name = "e2e_1m_ratio",
     .unit = "x",
     .kind = BENCH_RATIO,
     .goal = 2.0,
     .peer = "6.2x a plain insert (SQLite session extension)",
     .what = "as e2e_100k_ratio, 1,000,000 rows; not with --small"},
    {.name = "lag_1m_ms",
     .unit = "ms",
     .kind = BENCH_MS,
     .what = "of that, from the last COMMIT on A to the last row visible on B"},
};
static const struct bench_figure call_in_tx_figures[] = {
    {.name = "call_in_tx_p50_us",
     .unit = "us",
     .kind = BENCH_US,
     .plan = 50000,
     .goal = 10,
     .what = "syncline_sync_model_with_db alone, for the one row of a transaction; the ratio is to "
             "the INSERT statement"},
    {.name = "call_in_tx_p99_us",
     .unit = "us",
     .kind = BENCH_US,
     .what = "the same, the slowest one of a hundred"},
};
static const struct bench_figure call_figures[] = {
    {.name = "call_p50_us",
     .unit = "us",
     .kind = BENCH_US,
     .plan = 50000,
     .goal = 25,
     .what = "syncline_sync_model_with_db in autocommit, after the INSERT; the ratio is to that "
             "INSERT with its commit"},
    {.name = "call_p99_us",
     .unit = "us",
     .kind = BENCH_US,
     .what = "the same, the slowest one of a hundred"},
};
static const struct bench_figure visible_figures[] = {
    {.name = "visible_p50_ms",
     .unit = "ms",
     .kind = BENCH_MS,
     .plan = 70,
     .goal = 4,
     .what =
         "one row after a pause, from the return of COMMIT on A to visible on B, two processes; "
         "the ratio is to a plain transaction of one row"},
    {.name = "visible_p99_ms",
     .unit = "ms",
     .kind = BENCH_MS,
     .what = "the same, the slowest one of a hundred (of fewer: the slowest)"},
};

const struct bench_group bench_groups[] = {
    {.figures = capture_figures,
     .count = COUNT(capture_figures),
     .rows = 100000,
     .rows_small = 10000,
     .plain = bench_measure_plain_capture,
     .synced = bench_measure_capture},
    {.figures = stages_figures,
     .count = COUNT(stages_figures),
     .rows = 100000,
     .rows_small = 10000,
     .plain = bench_measure_plain,
     .synced = bench_measure_stages},
    {.figures = apply_figures,
     .count = COUNT(apply_figures),
     .rows = 100000,
     .rows_small = 10000,
     .plain = bench_measure_plain,
     .synced = bench_measure_apply},
    {.figures = e2e_10k_figures,
     .count = COUNT(e2e_10k_figures),
     .rows = 10000,
     .rows_small = 10000,
     .plain = bench_measure_plain,
     .synced = bench_measure_e2e},
    {.figures = e2e_100k_figures,
     .count = COUNT(e2e_100k_figures),
     .rows = 100000,
     .rows_small = 10000,
     .plain = bench_measure_plain,
     .synced = bench_measure_e2e_and_rest},
    {.figures = e2e_1m_figures,
     .count = COUNT(e2e_1m_figures),
     .rows = 1000000,
     .pairs_max = BENCH_PAIRS_MIN,
     .plain = bench_measure_plain,
     .synced = bench_measure_e2e},
    {.figures = call_in_tx_figures,
     .count = COUNT(call_in_tx_figures),
     .rows = 1000,
     .rows_small = 1000,
     .calls = 500,
     .calls_small = 60,
     .plain = bench_measure_plain_in_tx,
     .synced = bench_measure_call_in_tx},
    {.figures = call_figures,
     .count = COUNT(call_figures),
     .rows = 1000,
     .rows_small = 1000,
     .calls = 500,
     .calls_small = 60,
     .plain = bench_measure_plain_single,
     .synced = bench_measure_call},
    {.figures = visible_figures,
     .count = COUNT(visible_figures),
     .rows = 1000,
     .rows_small = 1000,
     .calls = 50,
     .calls_small = 5,
     .plain = bench_measure_plain_transaction,
     .synced = bench_measure_visible},
};
const size_t bench_groups_count = COUNT(bench_groups);

const struct bench_figure *bench_figure_find(const char *name, size_t name_len)
{
    for (size_t g = 0; g < bench_groups_count; g++) {
        for (size_t i = 0; i < bench_groups[g].count; i++) {
            const struct bench_figure *figure = &bench_groups[g].figures[i];
            if (strlen(figure->name) == name_len && memcmp(figure->name, name, name_len) == 0) {
                return figure;
            }
        }
    }
    return NULL;
}
