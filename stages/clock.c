/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/clock.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t wall_ms(const struct sl_core *core)
{
    return sl_wall_ms_clip(core->env->wall_ms(core->env->ctx));
}

enum syncline_status sl_clock_load(struct sl_core *core, struct sl_error *err)
{
    uint64_t highest = 0;
    enum syncline_status status = sl_library_db_hlc(&core->writer.ldb, &highest, err);
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        bool own = sl_uuid_equal(&origin->name.device, &core->self.device);
        highest = own && origin->head.last_hlc > highest ? origin->head.last_hlc : highest;
    }
    if (status == SYNCLINE_OK) {
        core->hlc_last = highest;
    }
    return status;
}

uint64_t sl_clock_merge(struct sl_core *core, uint64_t hlc)
{
    uint64_t before = core->hlc_last;
    core->hlc_last = hlc > before ? hlc : before;
    return before;
}

void sl_clock_unmerge(struct sl_core *core, uint64_t before, uint64_t hlc)
{
    (void)pthread_mutex_lock(&core->clock_lock);
    if (core->hlc_last == hlc && hlc > before) {
        core->hlc_last = before;
    }
    (void)pthread_mutex_unlock(&core->clock_lock);
}

uint64_t sl_clock_beyond_ms(const struct sl_core *core, uint64_t hlc)
{
    uint64_t limit_ms = wall_ms(core) + sl_core_max_drift_ms(core);
    return sl_hlc_ms(hlc) > limit_ms ? sl_hlc_ms(hlc) - limit_ms : 0;
}

void sl_clock_watch(struct sl_core *core)
{
    uint64_t ahead_ms = sl_core_clock_ahead_ms(core);
    bool is_ahead = ahead_ms > 0;
    if (is_ahead == core->clock_is_ahead) {
        return;
    }
    core->clock_is_ahead = is_ahead;
    if (!is_ahead) {
        sl_core_news(core, SYNCLINE_CODE_CLOCK_RIGHT, NULL,
                     "this device's changes are not stamped ahead of its clock any more");
        return;
    }
    char text[SL_ERROR_SIZE];
    (void)snprintf(text, sizeof(text),
                   "this device's changes are stamped %" PRIu64
                   " s ahead of its clock, which was wrong and was set back, or is behind those of "
                   "the other devices: other devices may hold its changes as long",
                   ahead_ms / 1000);
    sl_core_trouble(core, SYNCLINE_CODE_CLOCK_AHEAD, SYNCLINE_EREFUSED, NULL, text);
}
