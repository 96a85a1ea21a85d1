/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls that tell what a handle's engine has done. */

#include "pipeline/handle.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)

static struct syncline_stats read_stats(struct syncline *lib)
{
    struct sl_core *core = sl_library_core(lib->library);
    const struct sl_stage_counts *logged = &core->counts[SL_STAGE_LOG_APPEND];
    const struct sl_stage_counts *sent = &core->counts[SL_STAGE_NET_FLUSH];
    const struct sl_stage_counts *received = &core->counts[SL_STAGE_LOG_HOLD];
    struct syncline_stats stats = {.size = sizeof(stats),
                                   .open_ms = (lib->env.mono_ns(lib->env.ctx) - lib->opened_ns) /
                                              NS_PER_MS,
                                   .captures = sl_counted(&core->captures),
                                   .captured = sl_counted(&core->captured),
                                   .logged = sl_counted(&logged->changes),
                                   .logged_segments = sl_counted(&logged->batches),
                                   .logged_bytes = sl_counted(&logged->bytes),
                                   .sent = sl_counted(&sent->changes),
                                   .sent_segments = sl_counted(&sent->batches),
                                   .sent_bytes = sl_counted(&sent->bytes),
                                   .received = sl_counted(&received->changes),
                                   .received_segments = sl_counted(&received->batches),
                                   .received_bytes = sl_counted(&received->bytes),
                                   .applied = sl_counted(&core->counts[SL_STAGE_APPLY].changes),
                                   .settled = sl_counted(&core->counts[SL_STAGE_SETTLE].changes)};
    for (size_t i = 0; i < SL_STAGE_COUNT; i++) {
        stats.errors += sl_counted(&core->counts[i].errors);
    }
    return stats;
}

enum syncline_status syncline_stats(struct syncline *lib, struct syncline_stats *stats)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err;
    status = sl_handle_check_out(stats != NULL ? &stats->size : NULL, &err);
    if (status == SYNCLINE_OK) {
        struct syncline_stats read = read_stats(lib);
        sl_handle_give(stats, stats->size, &read, sizeof(read));
    }
    return sl_handle_keep(lib, status, &err);
}

enum syncline_status syncline_stage_get(struct syncline *lib, size_t index,
                                        struct syncline_stage *stage)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err;
    status = sl_handle_check_out(stage != NULL ? &stage->size : NULL, &err);
    struct sl_engine_view view;
    if (status == SYNCLINE_OK && lib->has_worker) {
        sl_engine_view_read(lib->library, &view);
    } else if (status == SYNCLINE_OK) {
        (void)sl_handle_ask_engine(lib, &view);
    }
    if (status == SYNCLINE_OK && index >= view.stages_count) {
        status =
            sl_fail(&err, SYNCLINE_ENOTFOUND, "there is no stage %zu%s", index,
                    view.stages_count > 0 ? "" : ": nobody runs the engine, or it does not answer");
    }
    if (status == SYNCLINE_OK) {
        sl_handle_give(stage, stage->size, &view.stages[index], sizeof(view.stages[index]));
    }
    return sl_handle_keep(lib, status, &err);
}
