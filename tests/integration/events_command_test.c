/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline events`: what went wrong and what was mended, once each, also while more comes. */

#include <signal.h>
#include <sqlite3.h>

#include "tests/integration/equal.h"

TestSuite(events_command, .init = cmd_setup, .fini = cmd_cleanup);

static struct cmd_result result;
static char a[512];
static char b[512];

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

static void add_event(int code, const char *text)
{
    char path[600];
    char sql[400];
    sqlite3 *log = NULL;
    snprintf(path, sizeof(path), "%s/sync.db", a);
    snprintf(sql, sizeof(sql),
             "INSERT INTO event(at_ms,code,status,device,model,uuid,text)"
             " VALUES(1768642200123,%d,6,NULL,'tag',x'f00000000000000000000000000000ff','%s')",
             code, text);
    cr_assert_eq(sqlite3_open(path, &log), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(log, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(log));
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
}

/* For people a line each, with what a terminal must not get made visible; as JSON with every key;
 * the newest of them if there is a limit. */
Test(events_command, shows)
{
    cmd_make_pair(a, b);
    add_event(6, "set aside \x1b[31m");
    CMD_OK(&result, "-L", a, "events");
    cr_expect_not_null(strstr(result.out, "  MEMBER_ADDED  device \"B\" is a member now\n"), "%s",
                       result.out);
    cr_expect_not_null(strstr(result.out, "2026-01-17T09:30:00.123Z  SET_ASIDE  set aside "
                                          "\\x1b[31m  f00000000000000000000000000000ff\n"),
                       "%s", result.out);
    CMD_OK(&result, "-L", a, "--json", "events", "--limit", "1");
    cr_expect_str_eq(result.out,
                     "{\"events\":[{\"number\":2,\"time_ms\":1768642200123,\"code\":\"SET_ASIDE\","
                     "\"status\":\"SYNCLINE_EIO\",\"device_id\":null,\"model\":\"tag\","
                     "\"uuid\":\"f00000000000000000000000000000ff\","
                     "\"text\":\"set aside \\\\x1b[31m\"}]}\n");
    CMD_OK(&result, "-L", a, "events", "--limit", "0");
    cr_expect_str_eq(result.out, "");
    CMD_OK(&result, "-L", b, "--json", "events");
    cr_expect_str_eq(result.out, "{\"events\":[]}\n");
    for (int i = 0; i < 30; i++) {
        add_event(6, "more");
    }
    CMD_OK(&result, "-L", a, "events");
    cr_expect_eq(count(result.out, "\n"), 20, "%s", result.out);
}

/* --follow shows what is there and what comes, until Ctrl-C. */
Test(events_command, follow)
{
    cmd_make_pair(a, b);
    struct cmd_child follow =
        cmd_start((const char *const[]){"-L", a, "--json", "events", "--follow", NULL});
    static char text[65536];
    size_t len = 0;
    uint64_t deadline = cmd_now_ns() + CMD_DEADLINE_NS;
    for (int made = 0; count(text, "\n") < 5;) {
        cr_assert_lt(cmd_now_ns(), deadline);
        ssize_t got = read(follow.out_fd, text + len, sizeof(text) - 1 - len);
        cr_assert_gt(got, 0);
        len += (size_t)got;
        text[len] = '\0';
        while (made < 4) {
            made++;
            add_event(6, "more");
        }
    }
    cr_assert_eq(kill(follow.pid, SIGINT), 0);
    cmd_finish(&follow, &result);
    cr_expect_eq(result.code, 0, "%s", result.err);
    cr_expect_eq(count(text, "\"SET_ASIDE\""), 4, "%s", text);
    cr_expect_eq(count(text, "\"MEMBER_ADDED\""), 1, "%s", text);
}
