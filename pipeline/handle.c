/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/handle.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum syncline_status sl_handle_check(const struct syncline *lib)
{
    if (lib == NULL) {
        return SYNCLINE_EINVAL;
    }
    return lib->pid == getpid() ? SYNCLINE_OK : SYNCLINE_EFORK;
}

enum syncline_status sl_handle_keep(struct syncline *lib, enum syncline_status status,
                                    const struct sl_error *err)
{
    if (status != SYNCLINE_OK) {
        (void)pthread_mutex_lock(&lib->error_lock);
        lib->error = *err;
        (void)pthread_mutex_unlock(&lib->error_lock);
    }
    return status;
}

enum syncline_status sl_handle_check_level(enum syncline_level level, struct sl_error *err)
{
    if (level < SYNCLINE_LEVEL_QUEUED || level > SYNCLINE_LEVEL_APPLIED) {
        return sl_fail(err, SYNCLINE_EINVAL, "level %d does not exist", (int)level);
    }
    return SYNCLINE_OK;
}

void syncline_error(struct syncline *lib, char *text, size_t size)
{
    if (text == NULL || size == 0) {
        return;
    }
    if (sl_handle_check(lib) != SYNCLINE_OK) {
        (void)snprintf(text, size, "%s",
                       lib == NULL ? "the handle is NULL" : "the handle is another process's");
        return;
    }
    (void)pthread_mutex_lock(&lib->error_lock);
    (void)snprintf(text, size, "%s", lib->error.text);
    (void)pthread_mutex_unlock(&lib->error_lock);
}

void sl_handle_give(void *out, size_t out_size, const void *from, size_t from_size)
{
    size_t size = out_size < from_size ? out_size : from_size;
    memcpy((char *)out + sizeof(size_t), (const char *)from + sizeof(size_t),
           size - sizeof(size_t));
}

#define ANSWER_GOOD_NS ((uint64_t)50 * 1000 * 1000)
#define SILENCE_GOOD_NS ((uint64_t)1000 * 1000 * 1000)

static void ask_engine(struct syncline *lib)
{
    struct sl_error ignored;
    struct sl_buf answer;
    sl_buf_init(&answer, lib->env.alloc);
    enum syncline_status status =
        sl_engine_ask(lib->dir, SL_ENGINE_VIEW_QUESTION, &answer, &ignored);
    if (status != SYNCLINE_OK || !sl_engine_view_parse((const char *)answer.data, &lib->asked)) {
        lib->asked = (struct sl_engine_view){0};
    }
    sl_buf_fini(&answer);
    lib->asked_until_ns = lib->env.mono_ns(lib->env.ctx) +
                          (status == SYNCLINE_EBUSY ? SILENCE_GOOD_NS : ANSWER_GOOD_NS);
}

bool sl_handle_ask_engine(struct syncline *lib, struct sl_engine_view *view)
{
    (void)pthread_mutex_lock(&lib->asked_lock);
    if (lib->env.mono_ns(lib->env.ctx) >= lib->asked_until_ns) {
        ask_engine(lib);
    }
    *view = lib->asked;
    (void)pthread_mutex_unlock(&lib->asked_lock);
    return view->pid != 0;
}
