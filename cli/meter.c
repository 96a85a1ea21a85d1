/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/meter.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/output.h"

#define SETTLED_NS 500000000u /* before that a rate says nothing */

void cli_meter_start(struct cli_meter *meter, const char *what, const char *unit, uint64_t total)
{
    *meter = (struct cli_meter){
        .what = what, .unit = unit, .total = total, .start_ns = cli_now_ns(), .first = UINT64_MAX};
}

/* "3 s", "2 min 5 s", "1 h 20 min" */
static int print_duration(char *out, size_t size, uint64_t seconds)
{
    if (seconds < 60) {
        return snprintf(out, size, "%" PRIu64 " s", seconds);
    }
    if (seconds < 3600) {
        return snprintf(out, size, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    }
    return snprintf(out, size, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
}

char *cli_meter_text(const struct cli_meter *meter, uint64_t done, uint64_t now_ns,
                     char out[CLI_METER_SIZE])
{
    uint64_t total = meter->total > 0 && meter->total < done ? done : meter->total;
    size_t used = 0;
    if (total == 0) {
        used += (size_t)snprintf(out, CLI_METER_SIZE, "%.40s: %" PRIu64 " %.20s", meter->what, done,
                                 meter->unit);
    } else {
        used += (size_t)snprintf(out, CLI_METER_SIZE,
                                 "%.40s: %" PRIu64 " of %" PRIu64 " %.20s (%" PRIu64 " %%)",
                                 meter->what, done, total, meter->unit,
                                 (uint64_t)((double)done * 100.0 / (double)total));
    }
    uint64_t first = meter->first == UINT64_MAX ? done : meter->first;
    uint64_t elapsed_ns = now_ns - meter->start_ns;
    if (elapsed_ns < SETTLED_NS || done <= first) {
        return out;
    }
    double rate = (double)(done - first) * 1e9 / (double)elapsed_ns;
    used += (size_t)snprintf(out + used, CLI_METER_SIZE - used,
                             rate < 10.0 ? ", %.1f/s" : ", %.0f/s", rate);
    if (total > 0) {
        used += (size_t)snprintf(out + used, CLI_METER_SIZE - used, ", ");
        used += (size_t)print_duration(out + used, CLI_METER_SIZE - used,
                                       (uint64_t)((double)(total - done) / rate + 0.5));
        snprintf(out + used, CLI_METER_SIZE - used, " left");
    }
    return out;
}

void cli_meter_show(struct cli_meter *meter, uint64_t done)
{
    char text[CLI_METER_SIZE];
    if (meter->first == UINT64_MAX) {
        meter->first = done;
    }
    cli_progress("%s", cli_meter_text(meter, done, cli_now_ns(), text));
}
