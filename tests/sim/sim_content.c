/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_content.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for sectors 0..count-1 and for all of them to be dirty. */
static bool sectors_reserve(struct sl_sim_content *content, size_t count)
{
    if (count > content->sectors_capacity) {
        size_t capacity =
            content->sectors_capacity * 2 > count ? content->sectors_capacity * 2 : count;
        struct sl_sim_sector *sectors = realloc(content->sectors, capacity * sizeof(*sectors));
        if (sectors == NULL) {
            return false;
        }
        content->sectors = sectors;
        size_t *dirty = realloc(content->dirty, capacity * sizeof(*dirty));
        if (dirty == NULL) {
            return false;
        }
        content->dirty = dirty;
        content->sectors_capacity = capacity;
    }
    while (content->sectors_len < count) {
        content->sectors[content->sectors_len++] = (struct sl_sim_sector){0};
    }
    return true;
}

/* Makes sector `index` writable: a buffer of its own, the durable state kept. With `whole` the
 * caller overwrites all of it, so nothing is copied. */
static bool sector_make_dirty(struct sl_sim_content *content, size_t index, bool whole)
{
    struct sl_sim_sector *sector = &content->sectors[index];
    if (sector->dirty && sector->now != NULL) {
        return true;
    }
    uint8_t *fresh = malloc(SL_SIM_SECTOR_SIZE);
    if (fresh == NULL) {
        return false;
    }
    if (!whole && sector->now != NULL) {
        memcpy(fresh, sector->now, SL_SIM_SECTOR_SIZE);
    } else if (!whole) {
        memset(fresh, 0, SL_SIM_SECTOR_SIZE);
    }
    if (!sector->dirty) {
        sector->synced = sector->now;
        sector->dirty = true;
        content->dirty[content->dirty_len++] = index;
    }
    sector->now = fresh;
    return true;
}

bool sl_sim_content_write(struct sl_sim_content *content, const uint8_t *data, size_t size,
                          uint64_t offset)
{
    size_t last = (size_t)((offset + size + SL_SIM_SECTOR_SIZE - 1) / SL_SIM_SECTOR_SIZE);
    if (!sectors_reserve(content, last)) {
        return false;
    }
    for (size_t done = 0; done < size;) {
        size_t index = (size_t)((offset + done) / SL_SIM_SECTOR_SIZE);
        size_t within = (size_t)((offset + done) % SL_SIM_SECTOR_SIZE);
        size_t some = SL_SIM_SECTOR_SIZE - within;
        if (some > size - done) {
            some = size - done;
        }
        if (!sector_make_dirty(content, index, some == SL_SIM_SECTOR_SIZE)) {
            return false;
        }
        memcpy(content->sectors[index].now + within, data + done, some);
        done += some;
    }
    if (offset + size > content->size) {
        content->size = offset + size;
    }
    return true;
}

void sl_sim_content_read(const struct sl_sim_content *content, uint8_t *out, size_t size,
                         uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        size_t index = (size_t)((offset + done) / SL_SIM_SECTOR_SIZE);
        size_t within = (size_t)((offset + done) % SL_SIM_SECTOR_SIZE);
        size_t some = SL_SIM_SECTOR_SIZE - within;
        if (some > size - done) {
            some = size - done;
        }
        const uint8_t *from = index < content->sectors_len ? content->sectors[index].now : NULL;
        if (from != NULL) {
            memcpy(out + done, from + within, some);
        } else {
            memset(out + done, 0, some);
        }
        done += some;
    }
}

bool sl_sim_content_truncate(struct sl_sim_content *content, uint64_t size)
{
    size_t within = (size_t)(size % SL_SIM_SECTOR_SIZE);
    size_t keep = (size_t)(size / SL_SIM_SECTOR_SIZE);
    if (within > 0 && keep < content->sectors_len && size < content->size) {
        if (!sector_make_dirty(content, keep, false)) {
            return false;
        }
        memset(content->sectors[keep].now + within, 0, SL_SIM_SECTOR_SIZE - within);
    }
    if (within > 0) {
        keep++;
    }
    for (size_t i = keep; i < content->sectors_len; i++) {
        struct sl_sim_sector *sector = &content->sectors[i];
        if (sector->dirty) {
            free(sector->now);
        } else if (sector->now != NULL) {
            sector->synced = sector->now;
            sector->dirty = true;
            content->dirty[content->dirty_len++] = i;
        }
        sector->now = NULL;
    }
    content->size = size;
    return true;
}

void sl_sim_content_sync(struct sl_sim_content *content)
{
    for (size_t i = 0; i < content->dirty_len; i++) {
        struct sl_sim_sector *sector = &content->sectors[content->dirty[i]];
        free(sector->synced);
        sector->synced = NULL;
        sector->dirty = false;
    }
    content->dirty_len = 0;
    content->synced_size = content->size;
}

void sl_sim_content_revert(struct sl_sim_content *content)
{
    for (size_t i = 0; i < content->dirty_len; i++) {
        struct sl_sim_sector *sector = &content->sectors[content->dirty[i]];
        free(sector->now);
        sector->now = sector->synced;
        sector->synced = NULL;
        sector->dirty = false;
    }
    content->dirty_len = 0;
    content->size = content->synced_size;
}

/* The outcome of one dirty sector, written over what is seen of it. */
static bool sector_tear(struct sl_sim_sector *sector, struct sl_sim_random *random)
{
    static const uint8_t zeroes[SL_SIM_SECTOR_SIZE];
    const uint8_t *synced = sector->synced != NULL ? sector->synced : zeroes;
    if (sector->now == NULL) {
        sector->now = calloc(1, SL_SIM_SECTOR_SIZE);
        if (sector->now == NULL) {
            return false;
        }
    }
    uint64_t outcome = sl_sim_random_below(random, 4);
    size_t from = 0; /* of the bytes that are not as written */
    if (outcome == 0) {
        return true;
    }
    if (outcome == 2) {
        from = (size_t)sl_sim_random_below(random, SL_SIM_SECTOR_SIZE);
    }
    for (size_t i = from; i < SL_SIM_SECTOR_SIZE; i++) {
        if (sector->now[i] != synced[i]) {
            sector->now[i] = outcome == 3 ? (uint8_t)sl_sim_random_next(random) : synced[i];
        }
    }
    return true;
}

bool sl_sim_content_tear(struct sl_sim_content *content, struct sl_sim_random *random)
{
    uint64_t size = content->size;
    if (size != content->synced_size && sl_sim_random_percent(random, 50)) {
        size = content->synced_size;
        if (content->size > size && sl_sim_random_percent(random, 50)) {
            size = sl_sim_random_range(random, size, content->size);
        }
    }
    for (size_t i = 0; i < content->dirty_len; i++) {
        struct sl_sim_sector *sector = &content->sectors[content->dirty[i]];
        bool is_cut_off = content->dirty[i] >= content->size / SL_SIM_SECTOR_SIZE + 1;
        if (is_cut_off && size > content->size) { /* the truncation did not come to be */
            free(sector->now);
            sector->now = sector->synced;
            sector->synced = NULL;
        } else if (!sector_tear(sector, random)) {
            return false;
        }
    }
    if (size < content->size && !sl_sim_content_truncate(content, size)) {
        return false;
    }
    content->size = size;
    sl_sim_content_sync(content);
    return true;
}

void sl_sim_content_fini(struct sl_sim_content *content)
{
    sl_sim_content_sync(content);
    for (size_t i = 0; i < content->sectors_len; i++) {
        free(content->sectors[i].now);
    }
    free(content->sectors);
    free(content->dirty);
}
