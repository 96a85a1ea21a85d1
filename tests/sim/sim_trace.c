/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_trace.h"

#include <inttypes.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

#define LANES 4u

static uint64_t lane_mix(uint64_t lane, uint64_t word)
{
    lane = (lane ^ word) * 0x9e3779b97f4a7c15u;
    return lane ^ (lane >> 29);
}

/* Bytes are folded into 64 bits first, in four lanes that do not wait for each other: every page
 * and every segment passes here. */
static uint64_t fold(const uint8_t *data, size_t size)
{
    uint64_t lanes[LANES] = {size, 0x243f6a8885a308d3u, 0x13198a2e03707344u, 0xa4093822299f31d0u};
    while (size >= sizeof(lanes)) {
        for (size_t i = 0; i < LANES; i++) {
            uint64_t word;
            memcpy(&word, data + i * sizeof(word), sizeof(word));
            lanes[i] = lane_mix(lanes[i], word);
        }
        data += sizeof(lanes);
        size -= sizeof(lanes);
    }
    while (size > 0) {
        uint64_t word = 0;
        size_t some = size < sizeof(word) ? size : sizeof(word);
        memcpy(&word, data, some);
        lanes[0] = lane_mix(lanes[0], word);
        data += some;
        size -= some;
    }
    return lane_mix(lane_mix(lane_mix(lanes[0], lanes[1]), lanes[2]), lanes[3]);
}

static void mix(struct sl_sim_trace *trace, uint64_t value)
{
    const wide prime = ((wide)1 << 88) + 0x13b;
    wide hash = ((wide)trace->hash.high << 64) | trace->hash.low;
    hash = (hash ^ value) * prime;
    hash ^= hash >> 64; /* a product only carries upwards */
    trace->hash.high = (uint64_t)(hash >> 64);
    trace->hash.low = (uint64_t)hash;
}

void sl_sim_trace_init(struct sl_sim_trace *trace, FILE *out)
{
    trace->hash.high = 0x6c62272e07bb0142u; /* FNV-1a's 128-bit offset basis */
    trace->hash.low = 0x62b821756295c58du;
    trace->events = 0;
    trace->out = out;
}

void sl_sim_trace_event(struct sl_sim_trace *trace, uint64_t now_ns, int device, const char *what,
                        uint64_t a, uint64_t b, const void *data, size_t size)
{
    uint64_t folded = data != NULL ? fold(data, size) : 0;
    trace->events++;
    mix(trace, now_ns);
    mix(trace, fold((const uint8_t *)what, strlen(what)) + (uint64_t)(int64_t)device);
    mix(trace, a);
    mix(trace, b);
    mix(trace, folded);
    if (trace->out == NULL) {
        return;
    }
    fprintf(trace->out, "%12.6f ", (double)now_ns / 1e9);
    if (device >= 0) {
        fprintf(trace->out, "d%d ", device);
    } else {
        fprintf(trace->out, "-- ");
    }
    fprintf(trace->out, "%-24s %" PRIu64 " %" PRIu64, what, a, b);
    if (data != NULL) {
        fprintf(trace->out, " [%zu bytes %016" PRIx64 "]", size, folded);
    }
    fprintf(trace->out, "  #%016" PRIx64 "\n", trace->hash.low);
}
