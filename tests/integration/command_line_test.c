/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The command line itself: what is wrong gets exit code 2 and one line, help and version get 0. */

#include "tests/integration/command.h"

TestSuite(command_line, .init = cmd_setup, .fini = cmd_cleanup);

/* A command line that is wrong ends with code 2 and one line that names the word at fault. */
Test(command_line, wrong)
{
    static const struct {
        const char *mentions;
        const char *args[8];
    } table[] = {
        {"no command", {NULL}},
        {"frobnicate", {"frobnicate", NULL}},
        {"library frobnicate", {"library", "frobnicate", NULL}},
        {"library needs", {"library", NULL}},
        {"--frobnicate", {"library", "info", "--frobnicate", NULL}},
        {"-x", {"-x", NULL}},
        {"-x", {"library", "info", "-x", NULL}},
        {"--library", {"library", "info", "-L", NULL}},
        {"--library", {"-L", "", "library", "info", NULL}},
        {"--json takes no value", {"--json=yes", "library", "info", NULL}},
        {"NAME", {"library", "create", NULL}},
        {"two", {"library", "create", "one", "two", NULL}},
        {"five", {"one", "two", "three", "four", "five", NULL}},
        {"PATH", {"location", "add", NULL}},
        {"--peer", {"library", "info", "--peer", "127.0.0.1:1", NULL}},
        {"--listen", {"serve", NULL}},
        {"--insecure-loopback", {"serve", "--listen", "127.0.0.1:0", NULL}},
        {"--insecure-loopback", {"library", "join", "127.0.0.1:1", NULL}},
        {"--insecure-loopback", {"location", "add", "/", "--peer", "127.0.0.1:1", NULL}},
        {"--plain",
         {"location", "add", "/", "--plain", "--peer", "127.0.0.1:1", "--insecure-loopback", NULL}},
        {"--batch 0", {"location", "add", "/", "--batch", "0", NULL}},
        {"--batch -1", {"location", "add", "/", "--batch", "-1", NULL}},
        {"--batch 65537", {"location", "add", "/", "--batch=65537", NULL}},
        {"--batch 10x", {"location", "add", "/", "--batch", "10x", NULL}},
        {"--timeout soon", {"wait", "--timeout", "soon", NULL}},
        {"--timeout nan", {"wait", "--timeout", "nan", NULL}},
        {"--timeout -1", {"wait", "--timeout", "-1", NULL}},
        {"--wait .", {"location", "add", "/", "--wait", ".", NULL}},
        {"--pairs 0", {"demo", "--pairs", "0", NULL}},
        {"--report-fd 2", {"location", "add", "/", "--report-fd", "2", NULL}},
        {"not\\x0aa\\xff\\x1bcommand", {"not\na\xff\033command", NULL}},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        static struct cmd_result result;
        cmd_run(&result, table[i].args);
        cmd_check_refused(&result, 2, table[i].mentions);
    }
}

/* More peers than there can be links are refused. */
Test(command_line, too_many_peers)
{
    static const char *args[CMD_ARG_COUNT_MAX + 1] = {"serve"};
    static struct cmd_result result;
    for (size_t i = 1; i <= 65; i++) {
        args[i] = "--peer=127.0.0.1:1";
    }
    cmd_run(&result, args);
    cmd_check_refused(&result, 2, "more than 64");
    args[65] = NULL; /* 64 are allowed: what is missing is --listen */
    cmd_run(&result, args);
    cmd_check_refused(&result, 2, "--listen");
}

/* Help and version go to standard output, for everything, for a group and for a command. */
Test(command_line, help)
{
    static const struct {
        const char *mentions;
        const char *args[4];
    } table[] = {
        {"location add PATH", {"--help", NULL}},
        {"Exit codes", {"-h", NULL}},
        {"library join ADDR", {"library", "--help", NULL}},
        {"--plain is for measuring", {"location", "add", "--help", NULL}},
        {"Usage: syncline [-L DIR] [--json] serve [--listen ADDR]", {"--help", "serve", NULL}},
        {"library join ADDR --insecure-loopback [--device-name NAME]",
         {"library", "join", "--help", NULL}},
        {"config set KEY VALUE", {"config", "--help", NULL}},
        {"--pairs N", {"demo", "--help", NULL}},
        {"syncline 0.", {"--version", NULL}},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        static struct cmd_result result;
        cmd_run(&result, table[i].args);
        cr_expect_eq(result.code, 0, "%s", result.err);
        cr_expect_eq(result.err_len, 0, "%s", result.err);
        cr_expect_not_null(strstr(result.out, table[i].mentions), "%s is not in:\n%s",
                           table[i].mentions, result.out);
    }
}

/* What cannot be written is an error, not silence. */
Test(command_line, full_output)
{
    static struct cmd_result result;
    struct cmd_child child = {.pid = 0};
    int full_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int err[2];
    cr_assert_geq(full_fd, 0);
    cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
    const char *program = cmd_program();
    child.pid = fork();
    if (child.pid == 0) {
        dup2(full_fd, 1);
        dup2(err[1], 2);
        execl(program, "syncline", "--version", (char *)NULL);
        _exit(127);
    }
    close(err[1]);
    close(full_fd);
    child.out_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    child.err_fd = err[0];
    cmd_finish(&child, &result);
    cmd_check_refused(&result, 3, "standard output");
}
