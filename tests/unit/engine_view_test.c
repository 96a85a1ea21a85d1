/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/engine_view.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include <criterion/criterion.h>

static struct sl_engine_view parsed;

/* What is written is read again, a notice with line ends as one line. */
Test(engine_view, round_trip)
{
    struct sl_engine_view view = {.pid = 123,
                                  .listen = "127.0.0.1:4400",
                                  .links = 2,
                                  .linked = {{{0x01, 0xff}}, {{0x80}}},
                                  .linked_count = 2,
                                  .paused = true,
                                  .degraded = true,
                                  .clock_ahead_ms = 1234567,
                                  .bytes_sent = UINT64_MAX,
                                  .segments_sent = 7,
                                  .bytes_received = 9,
                                  .stages = {{.name = "intake", .runs = 1, .batches = 2},
                                             {.name = "apply",
                                              .changes = 3,
                                              .bytes = 4,
                                              .errors = 5,
                                              .busy_ns = UINT64_MAX,
                                              .fill = 7,
                                              .capacity = UINT32_MAX}},
                                  .stages_count = 2,
                                  .notice = "apply: the disk\nis full"};
    struct sl_buf out;
    sl_buf_init(&out, &sl_allocator_libc);
    sl_engine_view_write(&view, &out);
    sl_buf_u8(&out, '\0');
    cr_assert(sl_engine_view_parse((const char *)out.data, &parsed), "%s", (const char *)out.data);
    cr_expect_eq(parsed.pid, 123);
    cr_expect_str_eq(parsed.listen, view.listen);
    cr_expect_eq(parsed.links, 2);
    cr_expect_eq(parsed.linked_count, 2);
    cr_expect_eq(memcmp(parsed.linked, view.linked, 2 * sizeof(view.linked[0])), 0);
    cr_expect_eq(parsed.bytes_sent, UINT64_MAX);
    cr_expect(parsed.paused);
    cr_expect(parsed.degraded);
    cr_expect_eq(parsed.clock_ahead_ms, 1234567);
    cr_expect_eq(parsed.segments_sent, 7);
    cr_expect_eq(parsed.bytes_received, 9);
    cr_expect_str_eq(parsed.notice, "apply: the disk is full");
    cr_assert_eq(parsed.stages_count, 2);
    cr_expect_str_eq(parsed.stages[0].name, "intake");
    cr_expect_eq(parsed.stages[0].runs, 1);
    cr_expect_eq(parsed.stages[0].batches, 2);
    const struct syncline_stage *apply = &parsed.stages[1];
    cr_expect_str_eq(apply->name, "apply");
    cr_expect_eq(apply->size, sizeof(*apply));
    cr_expect_eq(apply->changes, 3);
    cr_expect_eq(apply->bytes, 4);
    cr_expect_eq(apply->errors, 5);
    cr_expect_eq(apply->busy_ns, UINT64_MAX);
    cr_expect_eq(apply->fill, 7);
    cr_expect_eq(apply->capacity, UINT32_MAX);
    sl_buf_fini(&out);
}

/* Lines of a later version are skipped. */
Test(engine_view, unknown_lines)
{
    cr_assert(sl_engine_view_parse("engine 1 5\nmood good\nlinks 3\n", &parsed));
    cr_expect_eq(parsed.pid, 5);
    cr_expect_eq(parsed.links, 3);
    cr_expect_eq(parsed.linked_count, 0);
}

/* What is no view is refused, and what is too much of one. */
Test(engine_view, refused)
{
    static const char *const texts[] = {
        "",
        "engine 2 5\n",
        "links 3\n",
        "engine 1 5\nlinks many\n",
        "engine 1 5\nsent 3\n",
        "engine 1 5\nstage intake 1 2 3\n",
        "engine 1 5\nreceived\n\nreceived x\n",
        "engine 1 5\nlinked 0123\n",
        "engine 1 5\nlinked 0123456789abcdef0123456789abcdeg\n",
        "engine 1 5\nlinks 3",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect(!sl_engine_view_parse(texts[i], &parsed), "%s", texts[i]);
    }
    static char many[64 * (SL_MEMBER_COUNT_MAX + 2)] = "engine 1 5\n";
    size_t len = strlen(many);
    for (size_t i = 0; i <= SL_MEMBER_COUNT_MAX; i++) {
        len += (size_t)snprintf(many + len, sizeof(many) - len, "linked %032d\n", 1);
    }
    cr_expect(!sl_engine_view_parse(many, &parsed));
    static char wide[4096] = "engine 1 5\n";
    memset(wide + 11, 'x', sizeof(wide) - 13);
    wide[sizeof(wide) - 2] = '\n';
    cr_expect(!sl_engine_view_parse(wide, &parsed));
}
