/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* libFuzzer target of the readers of what a snapshot sends: a page, a question for one, a cut. A
 * page that was read must be written as it came, and nothing may be read outside the input. */

#include "base/page.h"

#include <stdlib.h>
#include <string.h>

#include "base/snapshot_ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void write_rows(struct sl_buf *buf, const struct sl_page_part *part)
{
    struct sl_page_run *runs = calloc(part->runs_len + 1, sizeof(*runs));
    struct sl_page_stamp *stamps = calloc(part->stamps_len + 1, sizeof(*stamps));
    check(runs != NULL && stamps != NULL);
    for (uint32_t i = 0; i < part->runs_len; i++)
        runs[i] = sl_page_run_at(part, i);
    for (uint32_t i = 0; i < part->stamps_len; i++)
        stamps[i] = sl_page_stamp_at(part, i);
    const struct sl_page_rows rows = {.n = part->n,
                                      .runs = runs,
                                      .runs_len = part->runs_len,
                                      .stamps = stamps,
                                      .stamps_len = part->stamps_len,
                                      .group = part->group,
                                      .group_size = part->group_size};
    sl_page_put_rows(buf, &rows);
    free(runs);
    free(stamps);
}

static void read_page(const uint8_t *data, size_t size)
{
    struct sl_page page;
    struct sl_page_part part;
    struct sl_error err = {.text = ""};
    struct sl_buf buf;
    char name[SL_NAME_SIZE_MAX + 1] = "";
    if (sl_page_get(data, size, &page, &err) != SYNCLINE_OK) {
        check(err.text[0] != '\0');
        return;
    }
    check(sl_page_hlc_max(&page) >> 63 == 0);
    memcpy(name, page.model.name, page.model.len);
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_page_put_head(&buf, name, &page.lo, &page.hi);
    for (sl_page_next(&page, &part); part.kind != SL_PAGE_END; sl_page_next(&page, &part)) {
        if (part.kind == SL_PAGE_ROWS)
            write_rows(&buf, &part);
        else
            sl_page_put_other(&buf, part.kind, &part.other);
    }
    check(!buf.failed && buf.len == size && memcmp(buf.data, data, size) == 0);
    sl_buf_fini(&buf);
}

static void read_ask(const uint8_t *data, size_t size)
{
    struct sl_snapshot_ask ask;
    struct sl_error err = {.text = ""};
    if (sl_snapshot_ask_get(data, size, &ask, &err) != SYNCLINE_OK) {
        check(err.text[0] != '\0');
        return;
    }
    for (uint32_t i = 0; i < ask.places_len; i++)
        (void)sl_snapshot_ask_place(&ask, i);
}

static void read_cut(const uint8_t *data, size_t size)
{
    struct sl_snapshot_cut cut;
    struct sl_segment segment;
    struct sl_error err = {.text = ""};
    if (sl_snapshot_cut_get(data, size, &cut, &err) != SYNCLINE_OK) {
        check(err.text[0] != '\0');
        return;
    }
    for (uint32_t i = 0; i < cut.models_len; i++)
        check(sl_snapshot_cut_model(&cut).len > 0);
    for (uint32_t i = 0; i < cut.ends_len; i++)
        (void)sl_segment_end_parse(&segment, cut.ends + (size_t)i * SL_SEGMENT_END_SIZE, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 3 == 0)
        read_page(data + 1, size - 1);
    else if (data[0] % 3 == 1)
        read_ask(data + 1, size - 1);
    else
        read_cut(data + 1, size - 1);
    return 0;
}
