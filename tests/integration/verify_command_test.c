/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline verify`: beside `serve` and by itself, what it says of equal and of different devices,
 * and of those that do not answer. */

#include <sqlite3.h>

#include "tests/integration/command.h"

/* Nobody finds by itself what these tests delete without a capture. */
static void setup(void)
{
    cr_assert_eq(setenv("SYNCLINE_SCAN_INTERVAL_MS", "0", 1), 0);
    cmd_setup();
}

TestSuite(verify_command, .init = setup, .fini = cmd_cleanup);

static char a[512];
static char b[512];
static char address[64];
static struct cmd_result result;

/* Somebody's SQL, behind Syncline's back. */
static void change(const char *library, const char *sql)
{
    char path[600];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%s/library.db", library);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* A member of the only object in the list `members` of the last answer. */
static json_t *of_member(json_t *root, const char *key)
{
    json_t *members = json_object_get(root, "members");
    cr_assert_eq(json_array_size(members), 1, "%s", result.out);
    return json_object_get(json_array_get(members, 0), key);
}

static void run(int code, const char *const args[])
{
    cmd_run(&result, args);
    cr_assert_eq(result.code, code, "code %d: %s%s", result.code, result.out, result.err);
}
#define RUN(code, ...) run((code), (const char *const[]){__VA_ARGS__, NULL})

/* Nobody to compare with is said. */
Test(verify_command, alone)
{
    snprintf(a, sizeof(a), "%s", cmd_path("alone"));
    CMD_OK(&result, "-L", a, "library", "create", "test", "--device-name", "A");
    RUN(0, "-L", a, "verify");
    cr_expect_str_eq(result.out, "no other members\n");
    RUN(0, "-L", a, "--json", "verify");
    cr_expect_str_eq(result.out, "{\"members\":[]}\n");
}

/* Beside `serve`, whose connection it uses: equal is 0, different is 1 with each record named up to
 * the limit; a member that is not connected is 3. */
Test(verify_command, beside_serve)
{
    cmd_make_pair(a, b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    char address_b[64];
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof(name), "tag %d", i);
        CMD_OK(&result, "-L", a, "tag", "create", name);
    }
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    RUN(0, "-L", a, "verify", "--timeout", "100");
    cr_expect_not_null(strstr(result.out, "B: equal, 5 records of 4 models"), "%s", result.out);
    RUN(0, "-L", b, "verify", "--member", "A", "--timeout", "100");
    cr_expect_not_null(strstr(result.out, "A: equal"), "%s", result.out);

    change(b, "DELETE FROM tags WHERE name='tag 0'");
    change(b, "UPDATE tags SET name='x' WHERE name='tag 1'");
    change(b, "INSERT INTO tags(uuid,name) VALUES(x'ffffffffffffffffffffffffffffffff','y')");
    RUN(1, "-L", a, "verify", "--timeout", "100");
    cr_expect_not_null(strstr(result.out, "only here"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "different"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "ffffffffffffffffffffffffffffffff  only there"), "%s",
                       result.out);
    cr_expect_not_null(strstr(result.out, "B: 3 differences, among 5 records of 4 models"), "%s",
                       result.out);
    RUN(1, "-L", a, "--json", "verify", "--limit", "2", "--timeout", "100");
    json_t *root = json_loads(result.out, 0, NULL);
    cr_assert_not_null(root, "%s", result.out);
    cr_expect_eq(json_integer_value(of_member(root, "differences")), 3);
    cr_expect_eq(json_array_size(of_member(root, "listed")), 2);
    cr_expect(json_is_true(of_member(root, "complete")));
    cr_expect_str_eq(json_string_value(of_member(root, "device_name")), "B");
    cr_expect_str_eq(json_string_value(of_member(root, "status")), "SYNCLINE_OK");
    json_decref(root);

    CMD_REFUSED(3, "no other member is called C", "-L", a, "verify", "--member", "C");
    cmd_stop(&serve_b);
    RUN(3, "-L", a, "verify", "--timeout", "100");
    cr_expect_not_null(strstr(result.err, "\"B\" is not connected"), "%s", result.err);
    cmd_stop(&serve_a);
}

/* Without `serve` the command runs the engine itself, and waits for the member to connect. */
Test(verify_command, by_itself)
{
    cmd_make_pair(a, b);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", NULL, address);
    CMD_OK(&result, "-L", a, "tag", "create", "a tag");
    RUN(0, "-L", a, "verify", "--peer", address, "--insecure-loopback", "--timeout", "100");
    cr_expect_not_null(strstr(result.out, "B: equal"), "%s", result.out);
    char peers[80];
    snprintf(peers, sizeof(peers), "%s", address);
    CMD_OK(&result, "-L", a, "config", "set", "peers", peers);
    RUN(0, "-L", a, "verify", "--insecure-loopback", "--timeout", "100");
    cr_expect_not_null(strstr(result.out, "B: equal"), "%s", result.out);
    cmd_stop(&serve_b);
    RUN(3, "-L", a, "verify", "--insecure-loopback", "--timeout", "100ms");
    cr_expect_not_null(strstr(result.err, "\"B\" is not connected"), "%s", result.err);
    /* Beside serve the settings of who compares do not count. */
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    RUN(3, "-L", a, "verify");
    cr_expect_not_null(strstr(result.err, "\"B\" is not connected"), "%s", result.err);
    cmd_stop(&serve_a);
}

/* A member that does not answer is told when the time is over, and Ctrl-C ends the waiting. */
Test(verify_command, a_member_that_does_not_answer)
{
    cmd_make_pair(a, b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    char address_b[64];
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    CMD_OK(&result, "-L", b, "wait", "--timeout", "100");
    RUN(0, "-L", a, "verify", "--timeout", "100");
    cr_assert_eq(kill(serve_b.pid, SIGSTOP), 0);
    RUN(3, "-L", a, "verify", "--timeout", "200ms");
    cr_expect_not_null(strstr(result.err, "\"B\" has not answered in time"), "%s", result.err);

    const char *const args[] = {"-L", a, "verify", NULL};
    struct cmd_child child = cmd_start(args);
    json_int_t runs = 0;
    do { /* until it has asked: the engine's process then waits for the answer to its question */
        CMD_OK(&result, "-L", a, "--json", "status");
        json_t *root = json_loads(result.out, 0, NULL);
        json_t *stages = json_object_get(root, "stages");
        json_t *compare = json_array_get(stages, json_array_size(stages) - 3);
        cr_assert_str_eq(json_string_value(json_object_get(compare, "name")), "compare");
        runs = json_integer_value(json_object_get(compare, "runs"));
        json_decref(root);
    } while (runs < 3);
    kill(child.pid, SIGINT);
    cmd_finish(&child, &result);
    cr_expect_eq(result.code, 4, "code %d: %s", result.code, result.err);
    cr_expect_not_null(strstr(result.err, "interrupted while comparing"), "%s", result.err);
    cr_assert_eq(kill(serve_b.pid, SIGCONT), 0);
    RUN(0, "-L", a, "verify", "--timeout", "100");
    cmd_stop(&serve_b);
    cmd_stop(&serve_a);
}
