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

/* ---- What failed ---- */

/* This thread's place, or NULL. */
static struct sl_said *find_said(struct syncline *lib, pid_t thread)
{
    for (size_t i = 0; i < SL_SAID_COUNT_MAX; i++) {
        if (lib->said[i].thread == thread) {
            return &lib->said[i];
        }
    }
    return NULL;
}

static struct sl_said *oldest_said(struct syncline *lib)
{
    struct sl_said *oldest = &lib->said[0];
    for (size_t i = 1; i < SL_SAID_COUNT_MAX; i++) {
        oldest = lib->said[i].number < oldest->number ? &lib->said[i] : oldest;
    }
    return oldest;
}

static void keep_said(struct syncline *lib, const struct sl_error *err)
{
    pid_t thread = gettid();
    (void)pthread_mutex_lock(&lib->error_lock);
    struct sl_said *said = find_said(lib, thread);
    if (said == NULL) {
        said = oldest_said(lib); /* free places have the number 0 */
        (void)atomic_fetch_add_explicit(&lib->said_count, said->thread == 0 ? 1 : 0,
                                        memory_order_relaxed);
    }
    *said = (struct sl_said){.thread = thread, .number = ++lib->said_number, .error = *err};
    (void)pthread_mutex_unlock(&lib->error_lock);
}

static void forget_said(struct syncline *lib)
{
    (void)pthread_mutex_lock(&lib->error_lock);
    struct sl_said *said = find_said(lib, gettid());
    if (said != NULL) {
        *said = (struct sl_said){.thread = 0};
        (void)atomic_fetch_sub_explicit(&lib->said_count, 1, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&lib->error_lock);
}

enum syncline_status sl_handle_keep(struct syncline *lib, enum syncline_status status,
                                    const struct sl_error *err)
{
    if (status != SYNCLINE_OK) {
        keep_said(lib, err);
    } else if (atomic_load_explicit(&lib->said_count, memory_order_relaxed) > 0) {
        forget_said(lib);
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
    const struct sl_said *said = find_said(lib, gettid());
    (void)snprintf(text, size, "%s", said != NULL ? said->error.text : "");
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
