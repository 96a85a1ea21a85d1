/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/host_log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static unsigned lines;
static enum syncline_log_level level_seen;
static char text_seen[1024];

static void take(void *ctx, enum syncline_log_level level, const char *text)
{
    cr_assert_eq(ctx, &lines);
    lines++;
    level_seen = level;
    (void)snprintf(text_seen, sizeof(text_seen), "%s", text);
}

static struct sl_host_log to_us(enum syncline_log_level level)
{
    return (struct sl_host_log){.to = {.fn = take, .ctx = &lines}, .level = level};
}

/* A line comes with its level, formatted, on one line. */
Test(host_log, says_one_line)
{
    struct sl_host_log host_log = to_us(SYNCLINE_LOG_INFO);
    sl_host_log_say(&host_log, SYNCLINE_LOG_INFO, "%d\nof \"%s\"\x1b[2J", 12, "x");
    cr_assert_eq(lines, 1);
    cr_assert_eq(level_seen, SYNCLINE_LOG_INFO);
    cr_assert_str_eq(text_seen, "12?of \"x\"?[2J");
}

/* What is less urgent than the level asked for does not come. */
Test(host_log, keeps_to_its_level)
{
    struct sl_host_log host_log = to_us(SYNCLINE_LOG_WARNING);
    sl_host_log_say(&host_log, SYNCLINE_LOG_INFO, "no");
    sl_host_log_say(&host_log, SYNCLINE_LOG_DEBUG, "no");
    cr_assert_eq(lines, 0);
    cr_assert_not(sl_host_log_wants(&host_log, SYNCLINE_LOG_INFO));
    sl_host_log_say(&host_log, SYNCLINE_LOG_WARNING, "yes");
    sl_host_log_say(&host_log, SYNCLINE_LOG_ERROR, "yes");
    cr_assert_eq(lines, 2);
}

/* A host that gave no function gets nothing. */
Test(host_log, goes_nowhere_without_a_function)
{
    struct sl_host_log host_log = {.level = SYNCLINE_LOG_DEBUG};
    cr_assert_not(sl_host_log_wants(&host_log, SYNCLINE_LOG_ERROR));
    sl_host_log_say(&host_log, SYNCLINE_LOG_ERROR, "nobody hears this");
    cr_assert_eq(lines, 0);
}

/* A line longer than a text may be is cut. */
Test(host_log, cuts_a_long_line)
{
    struct sl_host_log host_log = to_us(SYNCLINE_LOG_DEBUG);
    char text[2 * SL_ERROR_SIZE];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    sl_host_log_say(&host_log, SYNCLINE_LOG_DEBUG, "%s", text);
    cr_assert_eq(strlen(text_seen), SL_ERROR_SIZE - 1);
}
