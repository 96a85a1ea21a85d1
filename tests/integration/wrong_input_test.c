/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Wrong input from the world - files, ports, other processes - gets exit code 1 and one line that
 * says what is wrong. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sqlite3.h>
#include <sys/socket.h>

#include "tests/integration/command.h"

TestSuite(wrong_input, .init = cmd_setup, .fini = cmd_cleanup);

static void make_library(const char *library)
{
    static struct cmd_result result;
    CMD_OK(&result, "-L", library, "library", "create", "test");
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *text = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &text), SQLITE_OK, "%s", text);
    sqlite3_close(db);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* A library that is not there: every command says so and names the place. */
Test(wrong_input, no_such_library)
{
    const char *missing = cmd_path("missing");
    CMD_REFUSED(3, "missing", "-L", missing, "library", "info");
    CMD_REFUSED(3, "missing", "-L", missing, "location", "add", "/");
    CMD_REFUSED(3, "missing", "-L", missing, "location", "list");
    CMD_REFUSED(3, "missing", "-L", missing, "tag", "create", "red");
    CMD_REFUSED(3, "missing", "-L", missing, "tag", "list");
    CMD_REFUSED(3, "missing", "-L", missing, "digest");
    CMD_REFUSED(3, "missing", "-L", missing, "wait", "--timeout", "1");
    CMD_REFUSED(3, "missing", "-L", missing, "serve", "--listen", "127.0.0.1:0",
                "--insecure-loopback");
    cr_expect_neq(access(missing, F_OK), 0, "a command that was refused has made a folder");
}

/* An empty folder is not a library, and stays empty. */
Test(wrong_input, empty_folder)
{
    const char *empty = cmd_path("empty");
    cr_assert_eq(mkdir(empty, 0755), 0);
    CMD_REFUSED(3, "empty", "-L", empty, "library", "info");
    CMD_REFUSED(3, "empty", "-L", empty, "location", "add", "/");
    CMD_REFUSED(3, "empty", "-L", empty, "tag", "list");
    cr_expect_eq(rmdir(empty), 0, "a command that was refused has left something behind");
}

/* The library is named by the environment where -L is not given. */
Test(wrong_input, library_from_environment)
{
    setenv("SYNCLINE_LIBRARY", cmd_path("from-environment"), 1);
    CMD_REFUSED(3, "from-environment", "library", "info");
    unsetenv("SYNCLINE_LIBRARY");
}

/* A file where the library's folder should be. */
Test(wrong_input, file_as_library)
{
    const char *file = cmd_path("file");
    write_text(file, "not a library\n");
    CMD_REFUSED(3, "file", "-L", file, "library", "info");
    CMD_REFUSED(3, "file", "-L", file, "library", "create", "test");
    CMD_REFUSED(3, "file", "-L", file, "location", "list");
    CMD_REFUSED(3, "file", "-L", file, "serve", "--listen", "127.0.0.1:0", "--insecure-loopback");
}

/* A library is made once. */
Test(wrong_input, library_exists)
{
    const char *library = cmd_path("a");
    make_library(library);
    CMD_REFUSED(3, library, "-L", library, "library", "create", "again");
    CMD_REFUSED(3, library, "-L", library, "library", "join", "127.0.0.1:1", "--insecure-loopback");
}

/* Names that are empty or not UTF-8 are refused, and no library is made. */
Test(wrong_input, names)
{
    const char *library = cmd_path("a");
    CMD_REFUSED(3, "name", "-L", library, "library", "create", "");
    CMD_REFUSED(3, "UTF-8", "-L", library, "library", "create", "\xff");
    make_library(library);
    CMD_REFUSED(3, "name", "-L", library, "tag", "create", "");
    CMD_REFUSED(3, "UTF-8", "-L", library, "tag", "create", "\xff");
    CMD_REFUSED(3, "puce", "-L", library, "tag", "create", "red", "--color", "puce");
}

/* What is to be indexed must be a folder that is there, and not the library itself. */
Test(wrong_input, location)
{
    const char *library = cmd_path("a");
    const char *file = cmd_path("file");
    make_library(library);
    write_text(file, "content\n");
    CMD_REFUSED(3, "nowhere", "-L", library, "location", "add", cmd_path("nowhere"));
    CMD_REFUSED(3, "nowhere", "-L", library, "location", "add", cmd_path("nowhere"), "--plain");
    CMD_REFUSED(3, file, "-L", library, "location", "add", file);
    CMD_REFUSED(3, library, "-L", library, "location", "add", library);
    CMD_REFUSED(3, "nowhere", "demo", cmd_path("nowhere"));
    CMD_REFUSED(3, "file", "demo", file);
}

/* A folder in a location is refused, and so is the one that it is in; the location is named. */
Test(wrong_input, nested_location)
{
    static struct cmd_result result;
    const char *library = cmd_path("a");
    const char *outer = cmd_path("outer");
    const char *inner = cmd_path("outer/inner");
    make_library(library);
    cr_assert(mkdir(outer, 0755) == 0 && mkdir(inner, 0755) == 0);
    CMD_OK(&result, "-L", library, "location", "add", inner);
    CMD_REFUSED(3, inner, "-L", library, "location", "add", outer);
    CMD_REFUSED(3, "`syncline location remove`", "-L", library, "location", "add", outer);
    CMD_OK(&result, "-L", library, "location", "remove", inner);
    CMD_OK(&result, "-L", library, "location", "add", outer);
    CMD_REFUSED(3, "in the location ", "-L", library, "location", "add", inner);
}

/* A descriptor that nobody opened. */
Test(wrong_input, report_fd)
{
    const char *library = cmd_path("a");
    const char *tree = cmd_path("tree");
    make_library(library);
    cmd_grow_tree(tree, 0, 10);
    CMD_REFUSED(3, "--report-fd", "-L", library, "location", "add", tree, "--report-fd", "999");
}

/* A port that somebody else listens on. */
Test(wrong_input, port_in_use)
{
    const char *library = cmd_path("a");
    char address[64];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(in.sin_port));
    make_library(library);
    CMD_REFUSED(3, address, "-L", library, "serve", "--listen", address, "--insecure-loopback");
    close(fd);
}

/* Addresses beyond loopback, and what is no address. */
Test(wrong_input, address)
{
    const char *library = cmd_path("a");
    static const char *const wrong[] = {"0.0.0.0:4400", "192.0.2.1:4400", "nonsense",
                                        "127.0.0.1:99999", "127.0.0.1"};
    make_library(library);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CMD_REFUSED(3, wrong[i], "-L", library, "serve", "--listen", wrong[i],
                    "--insecure-loopback");
        CMD_REFUSED(3, wrong[i], "-L", library, "serve", "--listen", "127.0.0.1:0", "--peer",
                    wrong[i], "--insecure-loopback");
        CMD_REFUSED(3, wrong[i], "-L", cmd_path("b"), "library", "join", wrong[i],
                    "--insecure-loopback");
    }
}

/* Nobody answers where a library is to be joined; no half library is left. */
Test(wrong_input, nobody_answers)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    char address[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, but it does not listen */
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(in.sin_port));
    CMD_REFUSED(3, address, "-L", cmd_path("b"), "library", "join", address, "--insecure-loopback");
    CMD_REFUSED(3, "b", "-L", cmd_path("b"), "library", "info");
    close(fd);
    make_library(cmd_path("b"));
}

/* One engine per library: a second one is told who has it. */
Test(wrong_input, second_engine)
{
    const char *library = cmd_path("a");
    char address[64];
    char pid[64];
    make_library(library);
    struct cmd_child serve = cmd_serve(library, "127.0.0.1:0", NULL, address);
    snprintf(pid, sizeof(pid), "`kill %d`)", (int)serve.pid);
    CMD_REFUSED(3, pid, "-L", library, "serve", "--listen", "127.0.0.1:0", "--insecure-loopback");
    CMD_REFUSED(3, pid, "-L", library, "location", "add", "/", "--peer", "127.0.0.1:1",
                "--insecure-loopback");
    CMD_REFUSED(3, "or leave out --listen and --peer", "-L", library, "location", "add", "/",
                "--listen", "127.0.0.1:0", "--insecure-loopback");
    cmd_stop(&serve);
}

/* library.db must be in WAL mode, or another process would not see what it must see. */
Test(wrong_input, not_wal)
{
    const char *library = cmd_path("a");
    make_library(library);
    run_sql(cmd_path("a/library.db"), "PRAGMA journal_mode = DELETE");
    CMD_REFUSED(3, "WAL", "-L", library, "library", "info");
    CMD_REFUSED(3, "WAL", "-L", library, "location", "list");
    CMD_REFUSED(3, "WAL", "-L", library, "serve", "--listen", "127.0.0.1:0", "--insecure-loopback");
    run_sql(cmd_path("a/library.db"), "PRAGMA journal_mode = WAL");
    static struct cmd_result result;
    CMD_OK(&result, "-L", library, "library", "info");
}

/* A library.db that was there before and is not in WAL mode is not taken. */
Test(wrong_input, create_over_not_wal)
{
    const char *library = cmd_path("a");
    cr_assert_eq(mkdir(library, 0755), 0);
    run_sql(cmd_path("a/library.db"), "CREATE TABLE mine(id INTEGER PRIMARY KEY)");
    CMD_REFUSED(3, "WAL", "-L", library, "library", "create", "test");
    cr_expect_neq(access(cmd_path("a/sync.db"), F_OK), 0, "half a library is left");
}

/* Files made by a newer version are not touched. */
Test(wrong_input, newer_format)
{
    static const struct {
        const char *file;
        const char *sql;
    } table[] = {
        {"sync.db", "UPDATE meta SET value = 999 WHERE key = 'format'"},
        {"library.db", "UPDATE _syncline_meta SET value = 999 WHERE key = 'format'"},
        {"library.db", "PRAGMA user_version = 999"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char library[300];
        char path[400];
        snprintf(library, sizeof(library), "%s/%zu", cmd_folder, i);
        snprintf(path, sizeof(path), "%s/%s", library, table[i].file);
        make_library(library);
        run_sql(path, table[i].sql);
        CMD_REFUSED(3, table[i].file, "-L", library, "library", "info");
        CMD_REFUSED(3, "999", "-L", library, "location", "add", "/usr");
        CMD_REFUSED(3, "999", "-L", library, "serve", "--listen", "127.0.0.1:0",
                    "--insecure-loopback");
    }
}

static const char no_database[] = "this is a text of more than a hundred bytes, so that it is not "
                                  "taken for an empty file by anybody "
                                  "who reads only its header\n";

/* Files that are something else. */
Test(wrong_input, not_a_database)
{
    static const char *const names[] = {"library.db", "device.key"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char library[300];
        char path[400];
        static struct cmd_result result;
        snprintf(library, sizeof(library), "%s/%zu", cmd_folder, i);
        snprintf(path, sizeof(path), "%s/%s", library, names[i]);
        make_library(library);
        write_text(path, no_database);
        cmd_run(&result, (const char *const[]){"-L", library, "serve", "--listen", "127.0.0.1:0",
                                               "--insecure-loopback", NULL});
        cmd_check_refused(&result, 3, names[i]);
    }
}

/* A library without its tables, or its key, says what is missing and what helps, and works again
 * once that is back. */
Test(wrong_input, a_file_is_missing)
{
    static const char *const names[] = {"library.db", "device.key"};
    const char *library = cmd_path("a");
    static struct cmd_result result;
    make_library(library);
    CMD_OK(&result, "-L", library, "tag", "create", "before");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[400];
        char away[408];
        (void)snprintf(path, sizeof(path), "%s/%s", library, names[i]);
        (void)snprintf(away, sizeof(away), "%s.away", path);
        cr_assert_eq(rename(path, away), 0);
        CMD_REFUSED(3, names[i], "-L", library, "tag", "create", "after");
        CMD_REFUSED(3, "put it back from a backup", "-L", library, "tag", "create", "after");
        if (i == 0) {
            CMD_REFUSED(3, "put it back from a backup", "-L", library, "tag", "list");
        }
        cr_assert_eq(rename(away, path), 0);
    }
    CMD_OK(&result, "-L", library, "tag", "list");
    cr_expect_not_null(strstr(result.out, "before"), "%s", result.out);
    cr_expect_null(strstr(result.out, "after"), "%s", result.out);
}

/* A log that is something else is put away by the first command that runs the engine, which says
 * so, and nothing of the library is lost. One that only looks refuses it, with the cure. */
Test(wrong_input, a_log_that_is_no_database)
{
    const char *library = cmd_path("a");
    static struct cmd_result result;
    make_library(library);
    CMD_OK(&result, "-L", library, "tag", "create", "before");
    (void)remove(cmd_path("a/sync.db-wal"));
    (void)remove(cmd_path("a/sync.db-shm"));
    write_text(cmd_path("a/sync.db"), no_database);
    CMD_REFUSED(3, "as sync.db.damaged and makes a new one", "-L", library, "library", "info");
    CMD_OK(&result, "-L", library, "tag", "create", "after");
    cr_expect_eq(access(cmd_path("a/sync.db.damaged"), F_OK), 0);
    CMD_OK(&result, "-L", library, "events");
    cr_expect_not_null(strstr(result.out, "sync.db.damaged"), "%s", result.out);
    CMD_OK(&result, "-L", library, "tag", "list");
    cr_expect_not_null(strstr(result.out, "before"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "after"), "%s", result.out);
}
