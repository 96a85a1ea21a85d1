/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The content of a simulated file, in two states: what a reader sees, and what the last sync made
 * durable.
 *
 * It is an array of sectors. A sector is clean while both states are the same: one buffer. The
 * first write after a sync makes it dirty: the old buffer becomes the durable one, and a new one is
 * what is seen. A sync drops the durable buffers of the dirty sectors, a revert the others. A NULL
 * buffer reads as zeroes. */

#ifndef SL_SIM_CONTENT_H
#define SL_SIM_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/sim_random.h"

#define SL_SIM_SECTOR_SIZE 4096u

struct sl_sim_sector {
    uint8_t *now;    /* what is seen; NULL: zeroes */
    uint8_t *synced; /* what is durable; meaningful only while dirty */
    bool dirty;
};

/* All zero is an empty file. */
struct sl_sim_content {
    struct sl_sim_sector *sectors; /* sectors_len of them, room for sectors_capacity */
    size_t sectors_len;
    size_t sectors_capacity;
    size_t *dirty;        /* indices of the dirty sectors */
    size_t dirty_len;     /* at most sectors_capacity */
    uint64_t size;        /* bytes, as seen */
    uint64_t synced_size; /* bytes, durable */
};

void sl_sim_content_fini(struct sl_sim_content *content);

/* False: no memory; what was written before stays. Writing behind the end leaves zeroes between. */
bool sl_sim_content_write(struct sl_sim_content *content, const uint8_t *data, size_t size,
                          uint64_t offset);
/* Bytes behind the end read as zeroes. */
void sl_sim_content_read(const struct sl_sim_content *content, uint8_t *out, size_t size,
                         uint64_t offset);
/* Also makes it longer. False: no memory. */
bool sl_sim_content_truncate(struct sl_sim_content *content, uint64_t size);

/* What is seen becomes durable; what is durable becomes what is seen. */
void sl_sim_content_sync(struct sl_sim_content *content);
void sl_sim_content_revert(struct sl_sim_content *content);
/* What a power cut leaves, drawn for each sector by itself: all of what was written since the last
 * sync, nothing of it, the beginning of it, or something else in its place. Bytes that were not
 * written stay as they were. The length is the new one, the durable one, or one between. False: no
 * memory. */
bool sl_sim_content_tear(struct sl_sim_content *content, struct sl_sim_random *random);

#endif
