/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline demo`: what it prints, and that it leaves nothing behind, however it ends. */

#include <dirent.h>

#include "tests/integration/equal.h"

TestSuite(demo, .init = cmd_setup, .fini = cmd_cleanup);

static struct cmd_result result;

/* The tree to index, and $TMPDIR beside it, so that what is left behind is seen. */
static const char *set_up(uint32_t files)
{
    static char tree[512];
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_grow_tree(tree, 0, files);
    cr_assert_eq(mkdir(cmd_path("tmp"), 0755), 0);
    setenv("TMPDIR", cmd_path("tmp"), 1);
    return tree;
}

/* The temporary folder of the demo is gone. */
static void check_nothing_left(void)
{
    cr_expect_eq(rmdir(cmd_path("tmp")), 0, "something is left: %s", strerror(errno));
}

/* The process id of a child of the demo whose command line holds a word; 0: there is none. */
static pid_t find_child(pid_t demo, const char *word)
{
    char path[64];
    char children[1024];
    size_t len = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)demo, (int)demo);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    children[0] = '\0';
    while (cmd_read(fd, children, sizeof(children), &len)) {
    }
    close(fd);
    for (char *next = children; *next != '\0';) {
        char words[4096];
        long pid = strtol(next, &next, 10);
        next += strspn(next, " \n");
        snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd >= 0 ? read(fd, words, sizeof(words)) : -1;
        if (fd >= 0) {
            close(fd);
        }
        if (size > 0 && memmem(words, (size_t)size, word, strlen(word)) != NULL) {
            return (pid_t)pid;
        }
    }
    return 0;
}

/* Polls until the demo has such a child. */
static pid_t wait_for_child(struct cmd_child *demo, const char *word)
{
    while (!cmd_has_ended(demo)) {
        pid_t pid = find_child(demo->pid, word);
        if (pid > 0) {
            return pid;
        }
        cmd_nap_ms(1);
    }
    cmd_finish(demo, &result);
    cr_assert_fail("the demo has ended without a `%s`: %s", word, result.err);
    return 0;
}

/* With --json exactly the keys promised, equal, code 0, and nothing left. */
Test(demo, json)
{
    static const char *const keys[] = {"files",
                                       "index_plain_ms",
                                       "index_sync_ms",
                                       "overhead_pct",
                                       "overhead_spread_pct",
                                       "first_visible_ms",
                                       "visible_ms",
                                       "wire_bytes_per_record",
                                       "equal",
                                       "library_a",
                                       "library_b"};
    const char *tree = set_up(1500);
    CMD_OK(&result, "--json", "demo", tree, "--pairs", "2");
    cr_expect_eq(result.err_len, 0, "%s", result.err);
    json_t *object = json_loads(result.out, 0, NULL);
    cr_assert_not_null(object, "%s", result.out);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        cr_expect_not_null(json_object_get(object, keys[i]), "%s is not in %s", keys[i],
                           result.out);
    }
    cr_expect_eq(json_object_size(object), sizeof(keys) / sizeof(keys[0]), "%s", result.out);
    cr_expect(json_is_true(json_object_get(object, "equal")));
    cr_expect_eq(json_integer_value(json_object_get(object, "files")), 1500);
    cr_expect_gt(json_number_value(json_object_get(object, "wire_bytes_per_record")), 1.0);
    json_decref(object);
    check_nothing_left();
}

/* As text it ends with `equal`; --keep names two libraries that are there and equal. */
Test(demo, keep)
{
    char a[512] = "";
    char b[512] = "";
    const char *tree = set_up(500);
    CMD_OK(&result, "demo", "--pairs", "1", "--keep", tree);
    cr_expect_not_null(strstr(result.out, "\nequal\n"), "%s", result.out);
    const char *line_a = strstr(result.out, "library of A    ");
    const char *line_b = strstr(result.out, "library of B    ");
    cr_assert(line_a != NULL && line_b != NULL, "%s", result.out);
    cr_assert_eq(sscanf(line_a, "library of A %511s", a), 1);
    cr_assert_eq(sscanf(line_b, "library of B %511s", b), 1);
    cr_expect_geq(cmd_check_equal(a, b, tree), 500);
}

/* Ctrl-C at any moment: one line, code 1, no process and no folder left. */
Test(demo, interrupted)
{
    static const char *const moments[] = {"create", "serve", "join", "--plain", "--peer", "digest"};
    const char *tree = set_up(2000);
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        struct cmd_child demo =
            cmd_start((const char *const[]){"demo", "--pairs", "1", "--json", tree, NULL});
        pid_t pid = wait_for_child(&demo, moments[i]);
        kill(demo.pid, i % 2 == 0 ? SIGINT : SIGTERM);
        cmd_finish(&demo, &result);
        cmd_check_refused(&result, 4, "interrupted");
        cr_expect(kill(pid, 0) != 0 && errno == ESRCH, "%s still runs", moments[i]);
    }
    check_nothing_left();
}

/* A device that dies ends the demo in order, and is named. */
Test(demo, device_dies)
{
    const char *tree = set_up(3000);
    struct cmd_child demo =
        cmd_start((const char *const[]){"demo", "--pairs", "1", "--json", tree, NULL});
    kill(wait_for_child(&demo, "--peer"), SIGKILL);
    cmd_finish(&demo, &result);
    cmd_check_refused(&result, 3, "device A");
    demo = cmd_start((const char *const[]){"demo", "--pairs", "1", "--json", tree, NULL});
    (void)wait_for_child(&demo, "--peer");
    kill(wait_for_child(&demo, "serve"), SIGKILL);
    cmd_finish(&demo, &result);
    cmd_check_refused(&result, 3, "device B");
    check_nothing_left();
}

/* A folder that changes all the time is not equal to what was read of it: code 1, and the file that
 * differs is named. */
Test(demo, not_equal)
{
    const char *tree = set_up(200);
    char path[600];
    snprintf(path, sizeof(path), "%s/growing", tree);
    pid_t parent = getpid();
    pid_t writer = fork();
    cr_assert_geq(writer, 0);
    if (writer == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent && fd >= 0 && write(fd, "x", 1) == 1) {
            cmd_nap_ms(1);
        }
        _exit(0);
    }
    cmd_run(&result, (const char *const[]){"--json", "demo", "--pairs", "1", tree, NULL});
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    cr_expect_eq(result.code, 1, "%s", result.out);
    cr_expect_not_null(strstr(result.out, "\"equal\":false"), "%s", result.out);
    cr_expect_not_null(strstr(result.err, "growing"), "%s", result.err);
    cr_expect_not_null(strstr(result.err, "not equal"), "%s", result.err);
    check_nothing_left();
}

/* Temporary files must not be made in the folder that is indexed. */
Test(demo, tmpdir_inside)
{
    set_up(10);
    CMD_REFUSED(3, "TMPDIR", "demo", cmd_folder);
    check_nothing_left();
}

/* A TMPDIR where nothing can be made. */
Test(demo, tmpdir_missing)
{
    const char *tree = set_up(10);
    setenv("TMPDIR", cmd_path("nowhere"), 1);
    CMD_REFUSED(3, "TMPDIR", "demo", tree);
    check_nothing_left();
}
