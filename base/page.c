/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A page, numbers little-endian:
 *
 *      1  length of the model's name, 1 to 127
 *         name, UTF-8 without NUL
 *     16  least UUID that the page is about
 *     16  greatest, at least that
 *         parts, until the page ends
 *
 * A part of kind 1, records that are shown, in the order of their UUIDs, at least one:
 *
 *      1  1
 *      4  number of runs of births, at least 1; then that many times:
 *             4  records, at least 1
 *             8  clock value of the birth of the first; those of the others count up
 *      4  number of stamps; then that many times:
 *             4  place of the record in the part; it rises
 *             8  clock value of its last change
 *            24  origin of that: device id (16), epoch (8)
 *      4  bytes of the group, at least 1
 *         group of updates that name the births of the records (base/group.h)
 *
 * A part of another kind, one birth, which may be:
 *
 *      1  2: it lives and is not shown; 3: an update that waits; 4: a delete that waits;
 *         5: it may live, but the device could not write it
 *     16  UUID of its record, in the range of the page
 *      1  class: 0 shared, 1 owned by the device that inserted it
 *     32  birth: device id (16), epoch (8), seq (8)
 *      8  clock value of the birth; of kinds 3 to 5: 0
 *     32  stamp: clock value (8), device id (16), epoch (8); of kind 5: 0
 *      4  bytes of the body; of kinds 4 and 5: 0, else at least 1
 *         body, a group of one insert, whose clock value counts for nothing
 *
 * Epochs, seqs and clock values are below 2^63; a seq is at least 1. */

#include "base/page.h"

#include <string.h>

#include "base/utf8.h"

#define RUN_SIZE 12u
#define STAMP_SIZE 36u
#define BELOW(value) ((value) >> 63 == 0)

/* ---- Writing ---- */

static void put_origin(struct sl_buf *buf, const struct sl_origin *origin)
{
    sl_buf_bytes(buf, origin->device.bytes, sizeof(origin->device.bytes));
    sl_buf_u64(buf, origin->epoch);
}

void sl_page_put_head(struct sl_buf *buf, const char *model, const struct syncline_uuid *lo,
                      const struct syncline_uuid *hi)
{
    size_t len = strlen(model);
    sl_buf_u8(buf, (uint8_t)len);
    sl_buf_bytes(buf, model, len);
    sl_buf_bytes(buf, lo->bytes, sizeof(lo->bytes));
    sl_buf_bytes(buf, hi->bytes, sizeof(hi->bytes));
}

void sl_page_put_rows(struct sl_buf *buf, const struct sl_page_rows *rows)
{
    sl_buf_u8(buf, SL_PAGE_ROWS);
    sl_buf_u32(buf, rows->runs_len);
    for (uint32_t i = 0; i < rows->runs_len; i++) {
        sl_buf_u32(buf, rows->runs[i].n);
        sl_buf_u64(buf, rows->runs[i].hlc);
    }
    sl_buf_u32(buf, rows->stamps_len);
    for (uint32_t i = 0; i < rows->stamps_len; i++) {
        sl_buf_u32(buf, rows->stamps[i].i);
        sl_buf_u64(buf, rows->stamps[i].stamp.hlc);
        put_origin(buf, &rows->stamps[i].stamp.origin);
    }
    sl_buf_u32(buf, (uint32_t)rows->group_size);
    sl_buf_bytes(buf, rows->group, rows->group_size);
}

void sl_page_put_other(struct sl_buf *buf, enum sl_page_kind kind,
                       const struct sl_page_other *other)
{
    sl_buf_u8(buf, (uint8_t)kind);
    sl_buf_bytes(buf, other->uuid.bytes, sizeof(other->uuid.bytes));
    sl_buf_u8(buf, other->class == SYNCLINE_DEVICE_OWNED ? 1 : 0);
    put_origin(buf, &other->birth.origin);
    sl_buf_u64(buf, other->birth.seq);
    sl_buf_u64(buf, other->birth_hlc);
    sl_buf_u64(buf, other->stamp.hlc);
    put_origin(buf, &other->stamp.origin);
    sl_buf_u32(buf, (uint32_t)other->body_size);
    sl_buf_bytes(buf, other->body, other->body_size);
}

/* ---- Reading ---- */

static struct sl_origin read_origin(struct sl_reader *in)
{
    struct sl_origin origin;
    sl_read_copy(in, origin.device.bytes, sizeof(origin.device.bytes));
    origin.epoch = sl_read_u64(in);
    return origin;
}

struct sl_page_run sl_page_run_at(const struct sl_page_part *part, uint32_t index)
{
    const uint8_t *at = part->runs + (size_t)index * RUN_SIZE;
    return (struct sl_page_run){.n = sl_get_u32(at), .hlc = sl_get_u64(at + 4)};
}

struct sl_page_stamp sl_page_stamp_at(const struct sl_page_part *part, uint32_t index)
{
    struct sl_reader in;
    struct sl_page_stamp stamp;
    sl_reader_init(&in, part->stamps + (size_t)index * STAMP_SIZE, STAMP_SIZE);
    stamp.i = sl_read_u32(&in);
    stamp.stamp.hlc = sl_read_u64(&in);
    stamp.stamp.origin = read_origin(&in);
    return stamp;
}

/* A list of things of one size; no length is believed before the bytes are there. */
static const uint8_t *read_list(struct sl_reader *in, uint32_t len, size_t size)
{
    return len > in->len / size ? sl_read_bytes(in, in->len + 1) : sl_read_bytes(in, len * size);
}

static void read_rows(struct sl_reader *in, struct sl_page_part *part)
{
    part->runs_len = sl_read_u32(in);
    part->runs = read_list(in, part->runs_len, RUN_SIZE);
    part->stamps_len = sl_read_u32(in);
    part->stamps = read_list(in, part->stamps_len, STAMP_SIZE);
    part->group_size = sl_read_u32(in);
    part->group = sl_read_bytes(in, part->group_size);
    for (uint32_t i = 0; i < part->runs_len && !in->failed; i++) {
        part->n += sl_page_run_at(part, i).n;
    }
}

static void read_other(struct sl_reader *in, struct sl_page_part *part)
{
    struct sl_page_other *other = &part->other;
    sl_read_copy(in, other->uuid.bytes, sizeof(other->uuid.bytes));
    uint8_t class = sl_read_u8(in);
    other->class = class == 1 ? SYNCLINE_DEVICE_OWNED : SYNCLINE_SHARED;
    in->failed = in->failed || class > 1;
    other->birth.origin = read_origin(in);
    other->birth.seq = sl_read_u64(in);
    other->birth_hlc = sl_read_u64(in);
    other->stamp.hlc = sl_read_u64(in);
    other->stamp.origin = read_origin(in);
    other->body_size = sl_read_u32(in);
    other->body = sl_read_bytes(in, other->body_size);
}

void sl_page_next(struct sl_page *page, struct sl_page_part *part)
{
    struct sl_reader *in = &page->reader;
    memset(part, 0, sizeof(*part));
    if (in->offset >= in->len || in->failed) {
        return; /* SL_PAGE_END */
    }
    part->kind = (enum sl_page_kind)sl_read_u8(in);
    in->failed = part->kind == SL_PAGE_END; /* its end is where it ends, and is not said */
    if (part->kind == SL_PAGE_ROWS) {
        read_rows(in, part);
    } else {
        read_other(in, part);
    }
}

static bool rows_are_sound(const struct sl_page_part *part)
{
    uint64_t n = 0;
    bool sound = part->runs_len > 0 && part->group_size > 0;
    for (uint32_t i = 0; i < part->runs_len && sound; i++) {
        struct sl_page_run run = sl_page_run_at(part, i);
        n += run.n;
        sound = run.n > 0 && n <= SL_BATCH_LEN_MAX && BELOW(run.hlc) && BELOW(run.hlc + run.n);
    }
    uint64_t before = 0;
    for (uint32_t i = 0; i < part->stamps_len && sound; i++) {
        struct sl_page_stamp stamp = sl_page_stamp_at(part, i);
        sound = (i == 0 || stamp.i > before) && stamp.i < n && BELOW(stamp.stamp.hlc) &&
                BELOW(stamp.stamp.origin.epoch);
        before = stamp.i;
    }
    return sound;
}

static bool other_is_sound(const struct sl_page *page, const struct sl_page_part *part)
{
    const struct sl_page_other *other = &part->other;
    bool has_body = part->kind == SL_PAGE_LIVING || part->kind == SL_PAGE_UPDATE;
    return part->kind > SL_PAGE_ROWS && part->kind < SL_PAGE_KIND_END &&
           has_body == (other->body_size > 0) && sl_uuid_compare(&other->uuid, &page->lo) >= 0 &&
           sl_uuid_compare(&other->uuid, &page->hi) <= 0 && other->birth.seq > 0 &&
           BELOW(other->birth.seq) && BELOW(other->birth.origin.epoch) && BELOW(other->birth_hlc) &&
           BELOW(other->stamp.hlc) && BELOW(other->stamp.origin.epoch);
}

static enum syncline_status check_parts(struct sl_page *page, struct sl_error *err)
{
    struct sl_page_part part;
    for (;;) {
        sl_page_next(page, &part);
        if (page->reader.failed) {
            return sl_fail(err, SYNCLINE_EPROTO, "a page of %zu bytes that is cut short",
                           page->reader.len);
        }
        if (part.kind == SL_PAGE_END && page->reader.offset == page->reader.len) {
            return SYNCLINE_OK;
        }
        if (part.kind == SL_PAGE_ROWS ? !rows_are_sound(&part) : !other_is_sound(page, &part)) {
            return sl_fail(err, SYNCLINE_EPROTO, "a page with a part that cannot be");
        }
    }
}

enum syncline_status sl_page_get(const void *data, size_t len, struct sl_page *out,
                                 struct sl_error *err)
{
    struct sl_page page;
    sl_reader_init(&page.reader, data, len);
    page.model.len = sl_read_u8(&page.reader);
    const uint8_t *name = sl_read_bytes(&page.reader, page.model.len);
    page.model.name = (const char *)name;
    sl_read_copy(&page.reader, page.lo.bytes, sizeof(page.lo.bytes));
    sl_read_copy(&page.reader, page.hi.bytes, sizeof(page.hi.bytes));
    if (page.reader.failed || page.model.len == 0 || page.model.len > SL_NAME_SIZE_MAX ||
        memchr(name, '\0', page.model.len) != NULL || !sl_utf8_is_valid(name, page.model.len) ||
        sl_uuid_compare(&page.lo, &page.hi) > 0) {
        return sl_fail(err, SYNCLINE_EPROTO, "a page of a model or range that cannot be");
    }
    struct sl_page rest = page;
    enum syncline_status status = check_parts(&rest, err);
    if (status == SYNCLINE_OK) {
        *out = page;
    }
    return status;
}

uint64_t sl_page_hlc_max(const struct sl_page *page)
{
    struct sl_page rest = *page;
    struct sl_page_part part;
    uint64_t max = 0;
    for (sl_page_next(&rest, &part); part.kind != SL_PAGE_END; sl_page_next(&rest, &part)) {
        for (uint32_t i = 0; i < part.runs_len; i++) {
            struct sl_page_run run = sl_page_run_at(&part, i);
            max = run.hlc + run.n - 1 > max ? run.hlc + run.n - 1 : max;
        }
        for (uint32_t i = 0; i < part.stamps_len; i++) {
            struct sl_page_stamp stamp = sl_page_stamp_at(&part, i);
            max = stamp.stamp.hlc > max ? stamp.stamp.hlc : max;
        }
        max = part.other.birth_hlc > max ? part.other.birth_hlc : max;
        max = part.other.stamp.hlc > max ? part.other.stamp.hlc : max;
    }
    return max;
}
