/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Two devices as two or three processes: what one commits arrives at the other, whoever ran when.
 */

#include <sqlite3.h>

#include "tests/integration/equal.h"

TestSuite(two_devices, .init = cmd_setup, .fini = cmd_cleanup);

static struct cmd_result result;

/* B is started only after A has finished: it catches up from A's log. */
Test(two_devices, late_start)
{
    char a[512];
    char b[512];
    char address[64];
    char tree[512];
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_make_pair(a, b);
    cmd_grow_tree(tree, 0, 3000);
    CMD_OK(&result, "-L", a, "--json", "location", "add", tree);
    json_int_t inserted = cmd_json_int(result.out, "inserted");
    cr_expect_gt(inserted, 3000);
    cr_expect_eq(cmd_json_int(result.out, "files"), 3000);
    cr_expect_geq(cmd_json_int(result.out, "own_seq"), inserted + 1);
    cr_expect_eq(cmd_json_int(result.out, "unreadable"), 0);
    cr_expect_eq(cmd_json_int(result.out, "outbox"), 0);

    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    char address_b[64];
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    cmd_wait_equal(a, b);
    cmd_stop(&serve_b);
    cmd_stop(&serve_a);
    cr_expect_geq(cmd_check_equal(a, b, tree), (uint64_t)inserted);
}

/* Indexing with the network on: the command ends when B has applied everything. */
Test(two_devices, add_with_peer)
{
    char a[512];
    char b[512];
    char address[64];
    char tree[512];
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_make_pair(a, b);
    cmd_grow_tree(tree, 0, 2000);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", NULL, address);
    CMD_OK(&result, "-L", a, "--json", "location", "add", tree, "--peer", address,
           "--insecure-loopback", "--wait", "100", "--batch", "77");
    cr_expect_gt(cmd_json_int(result.out, "wire_bytes_sent"), 0);
    cr_expect_geq(cmd_json_int(result.out, "batches"), 2000 / 77);
    cr_expect_geq(cmd_json_int(result.out, "last_commit_ns"),
                  cmd_json_int(result.out, "first_commit_ns"));
    cr_expect_eq(result.err_len, 0, "%s", result.err);
    cmd_check_equal(a, b, tree);

    /* Again: nothing is new. Then with a file that has changed and one that is new. */
    CMD_OK(&result, "-L", a, "--json", "location", "add", tree, "--peer", address,
           "--insecure-loopback", "--wait", "100");
    cr_expect_eq(cmd_json_int(result.out, "inserted"), 0);
    cr_expect_eq(cmd_json_int(result.out, "updated"), 0);
    cmd_grow_tree(tree, 2000, 2001);
    int dir_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cmd_write_file(dir_fd, "changes", 1);
    CMD_OK(&result, "-L", a, "location", "add", tree, "--peer", address, "--insecure-loopback",
           "--wait", "100");
    cmd_write_file(dir_fd, "changes", 2);
    CMD_OK(&result, "-L", a, "--json", "location", "add", tree, "--peer", address,
           "--insecure-loopback", "--wait", "100");
    close(dir_fd);
    cr_expect_eq(cmd_json_int(result.out, "inserted"), 0);
    cr_expect_geq(cmd_json_int(result.out, "updated"), 1);
    cmd_check_equal(a, b, tree);
    cmd_stop(&serve_b);
}

/* A process without the engine captures into the outbox, and the process that has it sends: rows of
 * `location add` and `tag create` reach B while `serve` runs on A. */
Test(two_devices, second_process_captures)
{
    char a[512];
    char b[512];
    char address[64];
    char address_b[64];
    char tree[512];
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_make_pair(a, b);
    cmd_grow_tree(tree, 0, 1000);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    CMD_OK(&result, "-L", a, "tag", "create", "red \xe2\x82\xac", "--color", "#ff0000");
    CMD_OK(&result, "-L", a, "location", "add", tree);
    CMD_OK(&result, "-L", b, "tag", "create", "made on B");
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    CMD_OK(&result, "-L", b, "wait", "--timeout", "100");
    cmd_wait_equal(a, b);
    CMD_OK(&result, "-L", b, "tag", "list");
    cr_expect_not_null(strstr(result.out, "#ff0000  red \xe2\x82\xac\n"), "%s", result.out);
    CMD_OK(&result, "-L", a, "tag", "list");
    cr_expect_not_null(strstr(result.out, "made on B"), "%s", result.out);
    CMD_OK(&result, "-L", b, "--json", "location", "list");
    cr_expect_not_null(strstr(result.out, "\"device_name\":\"A\""), "%s", result.out);
    cmd_stop(&serve_a);
    cmd_stop(&serve_b);
    cmd_check_equal(a, b, tree);
}

/* What was captured with no engine anywhere goes out with the next one. */
Test(two_devices, captured_before_serving)
{
    char a[512];
    char b[512];
    char address[64];
    char address_b[64];
    cmd_make_pair(a, b);
    CMD_OK(&result, "-L", a, "tag", "create", "early");
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    cmd_wait_equal(a, b);
    CMD_OK(&result, "-L", b, "--json", "tag", "list");
    cr_expect_not_null(strstr(result.out, "\"name\":\"early\",\"color\":null"), "%s", result.out);
    cmd_stop(&serve_b);
    cmd_stop(&serve_a);
}

/* `wait` with nobody to apply anything ends at its timeout and says what is left. */
Test(two_devices, wait_timeout)
{
    char a[512];
    char b[512];
    cmd_make_pair(a, b);
    CMD_OK(&result, "-L", a, "tag", "create", "lonely");
    CMD_REFUSED(1, "left:", "-L", a, "wait", "--timeout", "0.2");
    CMD_REFUSED(1, "left:", "-L", a, "wait", "--timeout", "0");
    char address[64];
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    CMD_REFUSED(1, "left:", "-L", a, "wait", "--timeout", "0.2");
    cmd_stop(&serve_a);
}

/* A device alone has nobody to wait for. */
Test(two_devices, wait_alone)
{
    const char *a = cmd_path("a");
    char address[64];
    CMD_OK(&result, "-L", a, "library", "create", "test");
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    CMD_OK(&result, "-L", a, "tag", "create", "lonely");
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    cr_expect_not_null(strstr(result.out, "no other members"), "%s", result.out);
    CMD_OK(&result, "-L", a, "--json", "wait", "--timeout", "100");
    cr_expect_eq(cmd_json_int(result.out, "members"), 0);
    cmd_stop(&serve_a);
}

/* --plain leaves the rows on this device: nothing is captured. */
Test(two_devices, plain)
{
    const char *a = cmd_path("a");
    const char *tree = cmd_path("tree");
    CMD_OK(&result, "-L", a, "library", "create", "test");
    CMD_OK(&result, "-L", a, "--json", "library", "info");
    json_int_t own_seq = cmd_json_int(result.out, "own_seq");
    cmd_grow_tree(tree, 0, 200);
    CMD_OK(&result, "-L", a, "--json", "location", "add", "--plain", tree);
    cr_expect_gt(cmd_json_int(result.out, "inserted"), 200);
    CMD_OK(&result, "-L", a, "--json", "library", "info");
    cr_expect_eq(cmd_json_int(result.out, "own_seq"), own_seq);
    cr_expect_eq(cmd_json_int(result.out, "outbox"), 0);
}

/* Names are printed so that they cannot harm a terminal, and differ where the bytes differ. */
Test(two_devices, names_are_escaped)
{
    const char *a = cmd_path("a");
    const char *tree = cmd_path("odd\n\x1b[31m\xff\\");
    CMD_OK(&result, "-L", a, "library", "create", "test");
    cmd_grow_tree(tree, 0, 10);
    CMD_OK(&result, "-L", a, "location", "add", tree);
    CMD_OK(&result, "-L", a, "location", "list");
    cr_expect_not_null(strstr(result.out, "/odd\\x0a\\x1b[31m\\xff\\\\\n"), "%s", result.out);
    CMD_OK(&result, "-L", a, "--json", "location", "list");
    cr_expect_not_null(strstr(result.out, "odd\\\\x0a\\\\x1b[31m\\\\xff\\\\\\\\\""), "%s",
                       result.out);
}

/* The first line of `serve` is the address; with --json an object that holds it. */
Test(two_devices, serve_json)
{
    const char *a = cmd_path("a");
    char text[512];
    size_t len = 0;
    CMD_OK(&result, "-L", a, "library", "create", "test");
    struct cmd_child serve = cmd_start((const char *const[]){
        "-L", a, "--json", "serve", "--listen", "127.0.0.1:0", "--insecure-loopback", NULL});
    text[0] = '\0';
    while (strchr(text, '\n') == NULL) {
        cr_assert(cmd_read(serve.out_fd, text, sizeof(text), &len), "serve has ended");
    }
    cr_expect_not_null(strstr(text, "\"listen\":\"127.0.0.1:"), "%s", text);
    cr_expect_eq(cmd_json_int(text, "pid"), (json_int_t)serve.pid);
    cmd_stop(&serve);
}

/* `library info` names the other members, and what both sides have. */
Test(two_devices, info)
{
    char a[512];
    char b[512];
    char address[64];
    char address_b[64];
    cmd_make_pair(a, b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", NULL, address);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", address, address_b);
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    cmd_wait_equal(a, b);
    CMD_OK(&result, "-L", a, "library", "info");
    cr_expect_not_null(strstr(result.out, "library    test ("), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "member     B ("), "%s", result.out);
    CMD_OK(&result, "-L", a, "--json", "library", "info");
    cr_expect_not_null(strstr(result.out, "\"device_name\":\"B\""), "%s", result.out);
    cr_expect_eq(cmd_json_int(result.out, "applied_seq"), cmd_json_int(result.out, "own_seq"));
    cmd_stop(&serve_b);
    cmd_stop(&serve_a);
}

/* Polls until library.db in `library` has an entry. */
static void wait_for_entry(const char *library)
{
    struct sqlite3 *db = NULL;
    struct indexer_error err = {{0}};
    sqlite3_stmt *stmt = NULL;
    uint64_t start_ns = cmd_now_ns();
    cr_assert_eq(indexer_db_open(library, INDEXER_DB_READ_ONLY, &db, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(sqlite3_prepare_v2(db, "SELECT 1 FROM entries LIMIT 1", -1, &stmt, NULL),
                 SQLITE_OK);
    while (sqlite3_step(stmt) != SQLITE_ROW) {
        cr_assert_lt(cmd_now_ns() - start_ns, CMD_DEADLINE_NS, "no entry is inserted");
        sqlite3_reset(stmt);
        cmd_nap_ms(1);
    }
    sqlite3_finalize(stmt);
    indexer_db_close(db);
}

/* Ctrl-C while indexing commits what is there and says so; the same command goes on from there. */
Test(two_devices, interrupted_add)
{
    const char *a = cmd_path("a");
    const char *tree = cmd_path("tree");
    CMD_OK(&result, "-L", a, "library", "create", "test");
    cmd_grow_tree(tree, 0, 5000);
    /* One row a transaction, so that most are still to come when the first is seen. */
    struct cmd_child add =
        cmd_start((const char *const[]){"-L", a, "location", "add", "--batch", "1", tree, NULL});
    wait_for_entry(a);
    kill(add.pid, SIGINT);
    cmd_finish(&add, &result);
    cmd_check_refused(&result, 4, "interrupted");
    CMD_OK(&result, "-L", a, "--json", "location", "add", tree);
    cr_expect_eq(cmd_json_int(result.out, "files"), 5000);
    cr_expect_gt(cmd_json_int(result.out, "inserted"), 0);
    CMD_OK(&result, "-L", a, "--json", "location", "add", tree);
    cr_expect_eq(cmd_json_int(result.out, "inserted"), 0);
}
