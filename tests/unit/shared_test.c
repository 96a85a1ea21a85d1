/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/shared.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* What the core tells: its notice, and lines in the host's log. */

static uint64_t clock_ns = 1000;
static unsigned lines;
static enum syncline_log_level level_seen;
static char text_seen[1024];
static bool was_free; /* no lock was held when the line came */

static uint64_t mono_ns(void *ctx)
{
    (void)ctx;
    return clock_ns;
}

static const struct sl_env env = {.wall_ms = mono_ns, .mono_ns = mono_ns};
static struct sl_core core = {.env = &env};

static void take(void *ctx, enum syncline_log_level level, const char *text)
{
    struct sl_core *of = ctx;
    lines++;
    level_seen = level;
    (void)snprintf(text_seen, sizeof(text_seen), "%s", text);
    was_free = pthread_mutex_trylock(&of->progress.lock) == 0;
    if (was_free) {
        (void)pthread_mutex_unlock(&of->progress.lock);
    }
}

static void start(void)
{
    cr_assert_eq(pthread_mutex_init(&core.progress.lock, NULL), 0);
    cr_assert_eq(pthread_mutex_init(&core.events.lock, NULL), 0);
    cr_assert_eq(pthread_cond_init(&core.progress.moved, NULL), 0);
    core.host_log =
        (struct sl_host_log){.to = {.fn = take, .ctx = &core}, .level = SYNCLINE_LOG_WARNING};
}

TestSuite(shared, .init = start);

static void fail_stage(const char *stage, enum syncline_status status, const char *text)
{
    struct sl_error err;
    (void)sl_fail(&err, status, "%s", text);
    sl_core_failed(&core, stage, status, &err);
}

/* A failure that may mend is a warning and the notice, and the library goes on. */
Test(shared, failure_is_a_warning)
{
    fail_stage("settle", SYNCLINE_ENOSPC, "the disk is full");
    cr_assert_eq(lines, 1);
    cr_assert_eq(level_seen, SYNCLINE_LOG_WARNING);
    cr_assert_str_eq(text_seen, "settle: the disk is full");
    cr_assert_str_eq(core.progress.notice.text, text_seen);
    cr_assert(was_free);
    cr_assert_not(sl_core_is_dead(&core));
}

/* Damage is an error, and nothing moves any more. */
Test(shared, damage_is_an_error)
{
    fail_stage("intake", SYNCLINE_ECORRUPT, "a ring with room took nothing");
    cr_assert_eq(level_seen, SYNCLINE_LOG_ERROR);
    cr_assert_str_eq(text_seen, "intake: a ring with room took nothing; the engine stops");
    cr_assert_eq(core.progress.health, SYNCLINE_ECORRUPT);
    cr_assert(was_free);
    cr_assert(sl_core_is_dead(&core));
}

/* A failure that goes on is said again only after a minute, however many others come between. */
Test(shared, a_failure_is_said_once_a_minute)
{
    for (int round = 0; round < 100; round++) {
        fail_stage("settle", SYNCLINE_ENOSPC, "the disk is full");
        fail_stage("log_append", SYNCLINE_ENOSPC, "the disk is full");
        clock_ns += 1000 * 1000;
    }
    cr_assert_eq(lines, 2);
    clock_ns += (uint64_t)SL_LOG_AGAIN_MS * 1000 * 1000;
    fail_stage("settle", SYNCLINE_ENOSPC, "the disk is full");
    fail_stage("settle", SYNCLINE_ENOSPC, "the disk is full");
    cr_assert_eq(lines, 3);
}

/* More kinds of failures than are remembered push the oldest out. */
Test(shared, the_oldest_failure_is_forgotten)
{
    char text[16];
    for (unsigned i = 0; i < SL_TOLD_LEN + 1; i++) {
        (void)snprintf(text, sizeof(text), "no %u", i);
        clock_ns++;
        sl_core_notice(&core, SYNCLINE_ENET, text);
    }
    cr_assert_eq(lines, SL_TOLD_LEN + 1);
    sl_core_notice(&core, SYNCLINE_ENET, "no 1");
    cr_assert_eq(lines, SL_TOLD_LEN + 1, "a line that is remembered");
    sl_core_notice(&core, SYNCLINE_ENET, "no 0");
    cr_assert_eq(lines, SL_TOLD_LEN + 2, "one that is not");
}

/* A record set aside is a warning that names it. */
Test(shared, a_record_set_aside_is_a_warning)
{
    struct syncline_uuid uuid = {.bytes = {0xab, [15] = 0x01}};
    sl_core_log_aside(&core, "tag", &uuid, "its parent is missing");
    cr_assert_eq(level_seen, SYNCLINE_LOG_WARNING);
    cr_assert_str_eq(text_seen, "record ab000000-0000-0000-0000-000000000001 of model 'tag' was "
                                "set aside: its parent is missing");
}

/* Whoever wants errors only gets no warning, and the notice is there all the same. */
Test(shared, keeps_to_the_level)
{
    core.host_log.level = SYNCLINE_LOG_ERROR;
    sl_core_notice(&core, SYNCLINE_ENET, "unplugged");
    cr_assert_eq(lines, 0);
    cr_assert_str_eq(core.progress.notice.text, "unplugged");
}
