/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* libFuzzer target of the readers of questions about ranges and of answers. What was read must be
 * written as it came, and nothing may be read outside the input. */

#include "base/range_ask.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_same(struct sl_buf *buf, const uint8_t *data, size_t size)
{
    check(!buf->failed && buf->len == size && memcmp(buf->data, data, size) == 0);
    sl_buf_fini(buf);
}

static void read_ask(const uint8_t *data, size_t size)
{
    struct sl_range_ask ask;
    struct sl_error err = {.text = ""};
    struct sl_buf buf;
    if (sl_range_ask_get(data, size, &ask, &err) != SYNCLINE_OK) {
        check(err.text[0] != '\0');
        return;
    }
    sl_buf_init(&buf, &sl_allocator_libc);
    check(sl_range_ask_put(&buf, &ask) == SYNCLINE_OK);
    check_same(&buf, data, size);
}

static void read_answer(const uint8_t *data, size_t size)
{
    struct sl_range_answer answer;
    struct sl_range_parts parts;
    struct sl_error err = {.text = ""};
    struct sl_buf buf;
    if (sl_range_answer_get(data, size, &answer, &err) != SYNCLINE_OK) {
        check(err.text[0] != '\0');
        return;
    }
    sl_buf_init(&buf, &sl_allocator_libc);
    if (answer.status != SYNCLINE_OK) {
        sl_range_answer_put_failure(&buf, answer.id, answer.status);
        check(buf.len == size);
        sl_buf_fini(&buf);
        return;
    }
    sl_range_answer_put_head(&buf, answer.id, &answer.state, answer.ranges_len);
    for (uint32_t i = 0; i < answer.ranges_len; i++) {
        enum sl_range_form form = sl_range_answer_next(&answer, &parts);
        sl_range_answer_put(&buf, form, &parts);
    }
    check_same(&buf, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if ((data[0] & 1) != 0)
        read_ask(data + 1, size - 1);
    else
        read_answer(data + 1, size - 1);
    return 0;
}
