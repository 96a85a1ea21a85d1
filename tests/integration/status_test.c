/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline status`: who runs the engine, what its stages did, and who is behind. */

#include <signal.h>
#include <sqlite3.h>

#include "tests/integration/equal.h"

TestSuite(status, .init = cmd_setup, .fini = cmd_cleanup);

static struct cmd_result result;
static char a[512];
static char b[512];
static char address[64];

/* Exit code 1, with the status all the same, and who it is. */
static void check_behind(const char *library, const char *lag, const char *who)
{
    cmd_run(&result, (const char *const[]){"-L", library, "status", "--max-lag", lag, NULL});
    cr_expect_eq(result.code, 1);
    cr_expect_not_null(strstr(result.err, who), "%s", result.err);
    cr_expect_not_null(strstr(result.out, "library"), "%s", result.out);
}

/* A number out of an object of an array in the printed one: array[index].key. */
static json_int_t number_in(const char *array, size_t index, const char *key)
{
    json_t *root = json_loads(result.out, 0, NULL);
    cr_assert_not_null(root, "%s", result.out);
    json_t *value = json_object_get(json_array_get(json_object_get(root, array), index), key);
    cr_assert(json_is_integer(value), "%s[%zu].%s is no number in %s", array, index, key,
              result.out);
    json_int_t number = json_integer_value(value);
    json_decref(root);
    return number;
}

static size_t array_len(const char *array)
{
    json_t *root = json_loads(result.out, 0, NULL);
    size_t len = json_array_size(json_object_get(root, array));
    json_decref(root);
    return len;
}

/* Without an engine the files are read, and it is said that nobody runs it. */
Test(status, no_engine)
{
    cmd_make_pair(a, b);
    CMD_OK(&result, "-L", a, "status");
    cr_expect_not_null(strstr(result.out, "is not running"), "%s", result.out);
    cr_expect_null(strstr(result.out, "stages"), "%s", result.out);
    CMD_OK(&result, "-L", a, "--json", "status");
    cr_expect_eq(cmd_json_int(result.out, "engine_pid"), 0);
    cr_expect_eq(array_len("stages"), 0);
    cr_expect_eq(cmd_json_int(result.out, "outbox"), 0);
}

/* With one: its process, stages that worked, and who is behind by how much - which is an answer by
 * exit code, too. */
Test(status, behind)
{
    cmd_make_pair(a, b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    char address_b[64];
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    CMD_OK(&result, "-L", b, "wait", "--timeout", "100");
    CMD_OK(&result, "-L", a, "--json", "status", "--max-lag", "0");
    cr_expect_eq(cmd_json_int(result.out, "engine_pid"), serve_a.pid);
    cr_expect_eq(cmd_json_int(result.out, "links"), 1);
    cr_expect_eq(array_len("members"), 1);
    cr_expect_eq(number_in("members", 0, "behind"), 0);
    cr_expect_eq(array_len("stages"), 14);
    cr_expect_gt(number_in("stages", 0, "capacity"), 0);

    cmd_stop(&serve_b);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof(name), "tag %d", i);
        CMD_OK(&result, "-L", a, "tag", "create", name);
    }
    uint64_t deadline = cmd_now_ns() + CMD_DEADLINE_NS;
    do {
        cr_assert_lt(cmd_now_ns(), deadline);
        CMD_OK(&result, "-L", a, "--json", "status", "--max-lag", "3");
    } while (cmd_json_int(result.out, "outbox") > 0);
    cr_expect_eq(number_in("members", 0, "behind"), 3);
    cr_expect_gt(number_in("members", 0, "behind_bytes"), 0);
    cr_expect_gt(number_in("stages", 3, "changes"), 0);
    CMD_OK(&result, "-L", a, "status", "--max-lag", "1d");
    cr_expect_not_null(strstr(result.out, "away, behind by 3 changes"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "log_append"), "%s", result.out);
    check_behind(a, "2", "B is behind by 3 changes");
    check_behind(a, "0ms", "B has been behind for");
    cmd_stop(&serve_a);
}

/* Changes that nobody takes into the log are this device's own lag. */
Test(status, this_device_is_behind)
{
    cmd_make_pair(a, b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    cr_assert_eq(kill(serve_a.pid, SIGSTOP), 0);
    struct cmd_child create = cmd_start((const char *const[]){"-L", a, "tag", "create", "x", NULL});
    uint64_t deadline = cmd_now_ns() + CMD_DEADLINE_NS;
    do {
        cr_assert_lt(cmd_now_ns(), deadline);
        CMD_OK(&result, "-L", a, "--json", "status");
    } while (cmd_json_int(result.out, "outbox") == 0);
    cr_expect_eq(cmd_json_int(result.out, "engine_pid"), 0, "it does not answer");
    check_behind(a, "0", "this device is behind by 1 changes");
    cr_assert_eq(kill(serve_a.pid, SIGCONT), 0);
    cmd_finish(&create, &result);
    cr_expect_eq(result.code, 0, "%s", result.err);
    cmd_stop(&serve_a);
}

/* --watch looks again and again, one line of JSON each time, until it is told to stop. */
Test(status, watch)
{
    cmd_make_pair(a, b);
    struct cmd_child watch =
        cmd_start((const char *const[]){"-L", a, "--json", "status", "--watch", NULL});
    char text[65536];
    size_t len = 0;
    uint64_t deadline = cmd_now_ns() + CMD_DEADLINE_NS;
    for (int lines = 0; lines < 2;) {
        cr_assert_lt(cmd_now_ns(), deadline);
        ssize_t got = read(watch.out_fd, text + len, sizeof(text) - 1 - len);
        cr_assert_gt(got, 0);
        len += (size_t)got;
        text[len] = '\0';
        char *first = strchr(text, '\n');
        lines = first == NULL ? 0 : strchr(first + 1, '\n') == NULL ? 1 : 2;
    }
    cr_assert_eq(kill(watch.pid, SIGINT), 0);
    cmd_finish(&watch, &result);
    cr_expect_eq(result.code, 0, "%s", result.err);
}

/* What is neither changes nor a time is refused. */
Test(status, bad_lag)
{
    static const char *const lags[] = {"",    "x",      "-1",  "5 weeks", "5weeks", "99999999999",
                                       "1.5", "1.2.3h", "1e9h"};
    cmd_make_pair(a, b);
    for (size_t i = 0; i < sizeof(lags) / sizeof(lags[0]); i++) {
        CMD_REFUSED(2, "--max-lag", "-L", a, "status", "--max-lag", lags[i]);
    }
}

/* A member that another one told of is told with that; and one whose log has split, too. */
Test(status, where_members_come_from)
{
    char c[512];
    char address_b[64];
    char address_c[64];
    snprintf(c, sizeof(c), "%s", cmd_path("c"));
    cmd_make_pair(a, b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    CMD_OK(&result, "-L", c, "library", "join", address_b, "--insecure-loopback", "--device-name",
           "C");
    struct cmd_child serve_c = cmd_serve(c, "127.0.0.1:0", address_b, address_c);
    uint64_t deadline = cmd_now_ns() + CMD_DEADLINE_NS;
    do {
        cr_assert_lt(cmd_now_ns(), deadline);
        CMD_OK(&result, "-L", a, "--json", "status");
    } while (array_len("members") < 2 || number_in("members", 1, "held_seq") == 0);
    cr_expect_not_null(strstr(result.out, "\"introduced_by\":null"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "\"introduced_by\":\""), "%s", result.out);
    cr_expect_eq(number_in("members", 1, "split_since_ms"), 0);
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    CMD_OK(&result, "-L", a, "status");
    cr_expect_not_null(strstr(result.out, "has everything; introduced by B\n"), "%s", result.out);
    cmd_stop(&serve_c);
    cmd_stop(&serve_b);
    cmd_stop(&serve_a);
    struct sqlite3 *log = NULL;
    char path[600];
    snprintf(path, sizeof(path), "%s/sync.db", a);
    cr_assert_eq(sqlite3_open(path, &log), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(log,
                              "INSERT INTO fork(origin,held_seq,held_hash,bytes,at_ms) SELECT"
                              " o.number,o.held_seq,o.held_hash,x'00',5000 FROM origin o JOIN"
                              " member m ON m.device=o.device WHERE m.name='B'",
                              NULL, NULL, NULL),
                 SQLITE_OK, "%s", sqlite3_errmsg(log));
    sqlite3_close(log);
    CMD_OK(&result, "-L", a, "--json", "status");
    cr_expect_eq(number_in("members", 0, "split_since_ms"), 5000);
    cr_expect_eq(number_in("members", 1, "split_since_ms"), 0);
    CMD_OK(&result, "-L", a, "library", "info");
    cr_expect_not_null(strstr(result.out, "its log has split, seen 1970-01-01T00:00:05"), "%s",
                       result.out);
    cr_expect_not_null(strstr(result.out, "; introduced by B\n"), "%s", result.out);
    CMD_OK(&result, "-L", a, "--json", "library", "info");
    cr_expect_eq(number_in("members", 0, "split_since_ms"), 5000);
}
