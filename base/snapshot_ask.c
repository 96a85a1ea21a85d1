/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* SNAPSHOT_ASK, numbers little-endian:
 *
 *      1  1: a cut, and then:
 *             4  number of origins of the cut that the taker has, at most 4096; 0: it has none
 *            32  each: device id (16), epoch (8), seq (8)
 *      1  2: a page, and then:
 *             1  length of the model's name, 1 to 127
 *                name, UTF-8 without NUL
 *            16  least UUID of the page
 *
 * SNAPSHOT_CUT:
 *
 *      2  status; not 0: the provider cannot give the cut, or does not cover the one that it was
 *         asked about, and nothing follows
 *      8  about how many records there are
 *      2  number of models that the provider has, at most 256; then that many times:
 *             1  length of the name, 1 to 127
 *                name, UTF-8 without NUL
 *      4  number of origins, at most 4096; 0 if the question named a cut
 *    208  each: the end of the origin's last segment in the cut (base/segment.h) */

#include "base/snapshot_ask.h"

#include <string.h>

#include "base/utf8.h"

#define PLACE_SIZE 32u

/* ---- Questions ---- */

void sl_snapshot_ask_put_begin(struct sl_buf *buf, const struct sl_cut_place *places, uint32_t len)
{
    sl_buf_u8(buf, SL_SNAPSHOT_BEGIN);
    sl_buf_u32(buf, len);
    for (uint32_t i = 0; i < len; i++) {
        sl_buf_bytes(buf, places[i].origin.device.bytes, sizeof(places[i].origin.device.bytes));
        sl_buf_u64(buf, places[i].origin.epoch);
        sl_buf_u64(buf, places[i].seq);
    }
}

static void put_name(struct sl_buf *buf, const char *name)
{
    size_t len = strlen(name);
    sl_buf_u8(buf, (uint8_t)len);
    sl_buf_bytes(buf, name, len);
}

void sl_snapshot_ask_put_page(struct sl_buf *buf, const char *model, const struct syncline_uuid *lo)
{
    sl_buf_u8(buf, SL_SNAPSHOT_PAGE);
    put_name(buf, model);
    sl_buf_bytes(buf, lo->bytes, sizeof(lo->bytes));
}

static bool read_name(struct sl_reader *reader, struct sl_model_name *name)
{
    name->len = sl_read_u8(reader);
    const uint8_t *text = sl_read_bytes(reader, name->len);
    name->name = (const char *)text;
    return text != NULL && name->len > 0 && name->len <= SL_NAME_SIZE_MAX &&
           memchr(text, '\0', name->len) == NULL && sl_utf8_is_valid(text, name->len);
}

/* A list of things of one size, which ends where it says. */
static const uint8_t *read_list(struct sl_reader *reader, uint32_t len, size_t size)
{
    reader->failed = reader->failed || len > SL_VECTOR_LEN_MAX;
    return sl_read_bytes(reader, len * size);
}

struct sl_cut_place sl_snapshot_ask_place(const struct sl_snapshot_ask *ask, uint32_t index)
{
    struct sl_cut_place place;
    const uint8_t *at = ask->places + (size_t)index * PLACE_SIZE;
    memcpy(place.origin.device.bytes, at, sizeof(place.origin.device.bytes));
    place.origin.epoch = sl_get_u64(at + 16);
    place.seq = sl_get_u64(at + 24);
    return place;
}

enum syncline_status sl_snapshot_ask_get(const void *data, size_t len, struct sl_snapshot_ask *out,
                                         struct sl_error *err)
{
    struct sl_snapshot_ask ask = {.places_len = 0};
    struct sl_reader reader;
    bool sound = true;
    sl_reader_init(&reader, data, len);
    ask.form = (enum sl_snapshot_form)sl_read_u8(&reader);
    if (ask.form == SL_SNAPSHOT_BEGIN) {
        ask.places_len = sl_read_u32(&reader);
        ask.places = read_list(&reader, ask.places_len, PLACE_SIZE);
    } else {
        sound = ask.form == SL_SNAPSHOT_PAGE && read_name(&reader, &ask.model);
        sl_read_copy(&reader, ask.lo.bytes, sizeof(ask.lo.bytes));
    }
    if (!sound || !sl_reader_done(&reader)) {
        return sl_fail(err, SYNCLINE_EPROTO, "a question for a snapshot that cannot be");
    }
    *out = ask;
    return SYNCLINE_OK;
}

/* ---- The cut ---- */

void sl_snapshot_cut_put_head(struct sl_buf *buf, uint64_t records, uint32_t models_len)
{
    sl_buf_u16(buf, SYNCLINE_OK);
    sl_buf_u64(buf, records);
    sl_buf_u16(buf, (uint16_t)models_len);
}

void sl_snapshot_cut_put_model(struct sl_buf *buf, const char *name)
{
    put_name(buf, name);
}

void sl_snapshot_cut_put_ends(struct sl_buf *buf, const uint8_t *ends, uint32_t len)
{
    sl_buf_u32(buf, len);
    sl_buf_bytes(buf, ends, (size_t)len * SL_SEGMENT_END_SIZE);
}

void sl_snapshot_cut_put_failure(struct sl_buf *buf, enum syncline_status status)
{
    sl_buf_u16(buf, (uint16_t)status);
}

/* What the provider fails with, as this version knows it. */
static enum syncline_status read_status(struct sl_reader *reader)
{
    uint16_t code = sl_read_u16(reader);
    enum syncline_status status = code == SYNCLINE_OK ? SYNCLINE_OK : SYNCLINE_EREFUSED;
#define X(name, value, text)                                                                       \
    if (code == (value))                                                                           \
        status = SYNCLINE_##name;
    SYNCLINE_STATUS_MAP(X)
#undef X
    return status;
}

struct sl_model_name sl_snapshot_cut_model(struct sl_snapshot_cut *cut)
{
    struct sl_model_name name;
    (void)read_name(&cut->models, &name);
    return name;
}

enum syncline_status sl_snapshot_cut_get(const void *data, size_t len, struct sl_snapshot_cut *out,
                                         struct sl_error *err)
{
    struct sl_snapshot_cut cut = {.records = 0};
    struct sl_reader reader;
    struct sl_model_name name;
    bool sound = true;
    sl_reader_init(&reader, data, len);
    cut.status = read_status(&reader);
    if (cut.status == SYNCLINE_OK) {
        cut.records = sl_read_u64(&reader);
        cut.models_len = sl_read_u16(&reader);
        sound = cut.models_len <= SL_MODEL_COUNT_MAX;
        cut.models = reader;
        for (uint32_t i = 0; i < cut.models_len && sound; i++) {
            sound = read_name(&reader, &name);
        }
        cut.ends_len = sl_read_u32(&reader);
        cut.ends = read_list(&reader, cut.ends_len, SL_SEGMENT_END_SIZE);
    }
    if (!sound || !sl_reader_done(&reader)) {
        return sl_fail(err, SYNCLINE_EPROTO, "a cut of a snapshot that cannot be");
    }
    *out = cut;
    return SYNCLINE_OK;
}
