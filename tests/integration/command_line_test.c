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
        {"statsu is not a command: did you mean status? `syncline --help`", {"statsu", NULL}},
        {"LOCATION is not a command: did you mean location?", {"LOCATION", "add", NULL}},
        {"location ad is not a command: did you mean location add? `syncline location --help`",
         {"location", "ad", "/", NULL}},
        {"join is not a command: did you mean library join?", {"join", "127.0.0.1:1", NULL}},
        {"create is not a command; `syncline", {"create", NULL}}, /* there are two */
        {"xyz is not a command; `syncline --help` lists them", {"help", "xyz", NULL}},
        {"tag xyz is not a command; `syncline tag --help` lists them",
         {"help", "tag", "xyz", NULL}},
        {"--timeot is not an option of `wait`: did you mean --timeout? `syncline wait --help`",
         {"-L", "wait", "--timeot=3", "wait", NULL}},
        {"--batc is not an option of `location add`: did you mean --batch?",
         {"location", "--batch", "3", "add", "/", "--batc", "3", NULL}},
        {"--listn is not an option of `wait`; ", {"wait", "--listn", NULL}},
        {"-t is not an option of `wait`; `syncline wait --help` lists them", {"wait", "-t", NULL}},
        {"--jsn is not an option: did you mean --json? `syncline --help`", {"--jsn", NULL}},
        {"write --location PATH", {"entry", "list", "/usr", NULL}},
        {"red is one word too many for `tag list`; it takes none", {"tag", "list", "red", NULL}},
        {"--timeout 5weeks: \"weeks\" is no unit; there are ms, s, min, h and d",
         {"wait", "--timeout", "5weeks", NULL}},
        {"--timeout 1.2.3", {"wait", "--timeout", "1.2.3", NULL}},
        {"--wait 99999d is longer than", {"location", "add", "/", "--wait", "99999d", NULL}},
        {"--max-lag 3M: \"M\" is no unit", {"status", "--max-lag", "3M", NULL}},
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

/* Times take the settings' units, alone they are seconds; none of these waits for anybody. */
Test(command_line, times)
{
    static const char *const times[] = {"3", "0.5", "20ms", "2 S", "1.5min", "1h", "11000d"};
    static struct cmd_result result;
    const char *library = cmd_path("a");
    CMD_OK(&result, "-L", library, "library", "create", "test");
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        CMD_OK(&result, "-L", library, "wait", "--timeout", times[i]);
        CMD_OK(&result, "-L", library, "status", "--max-lag", i > 1 ? times[i] : "3");
    }
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
        {"location add PATH", {"help", NULL}},
        {"library join ADDR", {"help", "library", NULL}},
        {"--plain is for measuring", {"help", "location", "add", NULL}},
        {"Usage: syncline [-L DIR] [--json] help [COMMAND]", {"help", "--help", NULL}},
        {"Usage: syncline [-L DIR] [--json] help [COMMAND]", {"help", "help", NULL}},
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
