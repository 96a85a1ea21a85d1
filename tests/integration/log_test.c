/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline log`: what changed, on which device; each change once, also while more come. */

#include <signal.h>

#include "tests/integration/equal.h"

TestSuite(log, .init = cmd_setup, .fini = cmd_cleanup);

static struct cmd_result result;
static char a[512];
static char b[512];
static char address[64];

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

/* Changes of both devices stand in the order of their clock, the last of them if there is a limit,
 * and rows of one call are one line. */
Test(log, of_both_devices)
{
    char tree[512];
    char address_b[64];
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_make_pair(a, b);
    cmd_grow_tree(tree, 0, 50);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    CMD_OK(&result, "-L", a, "tag", "create", "first");
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    CMD_OK(&result, "-L", b, "tag", "create", "second");
    CMD_OK(&result, "-L", b, "wait", "--timeout", "100");
    CMD_OK(&result, "-L", a, "location", "add", tree);
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    for (int i = 0; i < 2; i++) {
        CMD_OK(&result, "-L", i == 0 ? a : b, "log", "--limit", "1000");
        const char *first = strstr(result.out, "A  insert  tag");
        const char *second = strstr(result.out, "B  insert  tag");
        cr_assert_not_null(first, "%s", result.out);
        cr_assert_not_null(second, "%s", result.out);
        cr_expect_lt(first, second);
        cr_expect_eq(count(result.out, "  insert  tag  "), 2, "%s", result.out);
        cr_expect_eq(count(result.out, " records\n"), 1, "%s", result.out);
    }
    CMD_OK(&result, "-L", b, "--json", "log", "--limit", "1");
    cr_expect_eq(count(result.out, "\"seq\""), 1, "%s", result.out);
    cr_expect_eq(count(result.out, "\"device_name\":\"A\""), 1, "%s", result.out);
    CMD_OK(&result, "-L", b, "--json", "log", "--limit", "0");
    cr_expect_str_eq(result.out, "{\"changes\":[]}\n");
    cmd_stop(&serve_b);
    cmd_stop(&serve_a);
}

/* --follow shows what stands there and goes on with what comes, nothing twice. */
Test(log, follow)
{
    cmd_make_pair(a, b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    CMD_OK(&result, "-L", a, "tag", "create", "before");
    struct cmd_child follow =
        cmd_start((const char *const[]){"-L", a, "--json", "log", "--follow", NULL});
    static char text[65536];
    size_t len = 0;
    uint64_t deadline = cmd_now_ns() + CMD_DEADLINE_NS;
    for (int made = 0; count(text, "\"model\":\"tag\"") < 6;) {
        cr_assert_lt(cmd_now_ns(), deadline);
        ssize_t got = read(follow.out_fd, text + len, sizeof(text) - 1 - len);
        cr_assert_gt(got, 0);
        len += (size_t)got;
        text[len] = '\0';
        while (made < 5 && count(text, "\"model\":\"tag\"") > 0) {
            char name[16];
            snprintf(name, sizeof(name), "tag %d", made++);
            CMD_OK(&result, "-L", a, "tag", "create", name);
        }
    }
    cr_assert_eq(kill(follow.pid, SIGINT), 0);
    cmd_finish(&follow, &result);
    cr_expect_eq(result.code, 0, "%s", result.err);
    cr_expect_eq(count(text, "\"model\":\"tag\"") + count(result.out, "\"model\":\"tag\""), 6);
    cmd_stop(&serve_a);
}
