/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Tags, entries and locations by the command, while another process runs the engine, and what they
 * say on a terminal. */

#include <pty.h>
#include <sqlite3.h>

#include "tests/integration/equal.h"

TestSuite(commands, .init = cmd_setup, .fini = cmd_cleanup);

static struct cmd_result result;

/* The text of a key of the object, or of the first one in its list `list`. */
static const char *json_text(const char *list, const char *key)
{
    static char text[1024];
    json_t *object = json_loads(result.out, 0, NULL);
    cr_assert_not_null(object, "not JSON: %s", result.out);
    json_t *from = list != NULL ? json_array_get(json_object_get(object, list), 0) : object;
    json_t *value = json_object_get(from, key);
    cr_assert(json_is_string(value), "no text %s in %s", key, result.out);
    snprintf(text, sizeof(text), "%s", json_string_value(value));
    json_decref(object);
    return text;
}

/* Tags are made, renamed and deleted, by name and by UUID, while another process runs the engine;
 * the other device has it all. */
Test(commands, tags_beside_an_engine)
{
    char a[512];
    char b[512];
    char address_a[64];
    char address_b[64];
    char red[40];
    cmd_make_pair(a, b);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", NULL, address_b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", address_b, address_a);
    CMD_REFUSED(3, "end it first (Ctrl-C", "-L", a, "serve", "--listen", "127.0.0.1:0",
                "--insecure-loopback");
    CMD_OK(&result, "-L", a, "tag", "list");
    cr_expect_str_eq(result.out, "");
    CMD_OK(&result, "-L", a, "--json", "tag", "list");
    cr_expect_str_eq(result.out, "{\"tags\":[]}\n");
    CMD_OK(&result, "-L", a, "--json", "tag", "create", "red", "--color", "#ff0000");
    snprintf(red, sizeof(red), "%s", json_text(NULL, "uuid"));
    CMD_OK(&result, "-L", a, "tag", "create", "blue");
    CMD_OK(&result, "-L", a, "tag", "create", "green");
    CMD_OK(&result, "-L", a, "tag", "rename", "red", "rot");
    CMD_OK(&result, "-L", a, "tag", "rename", red, "rouge");
    CMD_OK(&result, "-L", a, "tag", "delete", "blue");
    CMD_REFUSED(3, "there is no tag blue", "-L", a, "tag", "delete", "blue");
    CMD_REFUSED(3, "no tag with this UUID", "-L", a, "tag", "delete",
                "00000000-0000-0000-0000-000000000000");
    CMD_REFUSED(3, "printable", "-L", a, "tag", "rename", "green", "");
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    CMD_OK(&result, "-L", b, "--json", "tag", "list");
    cr_expect_str_eq(json_text("tags", "name"), "rouge");
    cr_expect_str_eq(json_text("tags", "uuid"), red);
    cr_expect_str_eq(json_text("tags", "color"), "#ff0000");
    /* Both devices make one of the same name: then the name alone does not say which. */
    CMD_OK(&result, "-L", b, "tag", "create", "green");
    CMD_REFUSED(3, "2 tags are called green", "-L", b, "tag", "delete", "green");
    CMD_OK(&result, "-L", b, "tag", "list");
    cr_expect_eq(strncmp(result.out, "UUID  ", 6), 0, "%s", result.out);
    CMD_OK(&result, "-L", b, "wait", "--timeout", "100");
    cmd_check_equal(a, b, NULL);
    cmd_stop(&serve_a);
    cmd_stop(&serve_b);
}

/* Entries are listed as a tree and shown by path and by UUID, on their device and on another, with
 * names that no terminal is harmed by. */
Test(commands, entries)
{
    char a[512];
    char b[512];
    char tree[512];
    char address[64];
    char uuid[40];
    char dashed[64];
    char path[600];
    cmd_make_pair(a, b);
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cr_assert_eq(mkdir(tree, 0755), 0);
    int dir_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cmd_write_file(dir_fd, "a\033[31m\n\xff", 3);
    cmd_write_file(dir_fd, "b", 4);
    cr_assert_eq(symlinkat("b", dir_fd, "link"), 0);
    close(dir_fd);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", NULL, address);
    CMD_OK(&result, "-L", a, "location", "add", tree, "--peer", address, "--insecure-loopback");
    CMD_OK(&result, "-L", b, "entry", "list");
    cr_expect_not_null(strstr(result.out, "/tree/a\\x1b[31m\\x0a\\xff\n"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "/tree/link -> b\n"), "%s", result.out);
    CMD_OK(&result, "-L", b, "--json", "entry", "list", "--limit", "2", "--location", tree);
    json_t *object = json_loads(result.out, 0, NULL);
    cr_assert_not_null(object, "%s", result.out);
    json_t *entries = json_object_get(object, "entries");
    cr_expect_eq(json_array_size(entries), 2);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(entries, 1), "name")),
                     "a\\x1b[31m\\x0a\\xff");
    json_decref(object);
    CMD_REFUSED(3, "no location", "-L", b, "entry", "list", "--location", "/nowhere");
    CMD_REFUSED(3, "no location", "-L", b, "--json", "entry", "list", "--location", "/nowhere");
    CMD_REFUSED(2, "--limit -1", "-L", b, "entry", "list", "--limit", "-1");

    snprintf(path, sizeof(path), "%s/b", tree);
    CMD_OK(&result, "-L", a, "--json", "entry", "show", path);
    snprintf(uuid, sizeof(uuid), "%s", json_text(NULL, "uuid"));
    cr_expect_str_eq(json_text(NULL, "path"), path);
    cr_expect_str_eq(json_text(NULL, "device_name"), "A");
    cr_expect_eq(cmd_json_int(result.out, "size"), 4);
    snprintf(dashed, sizeof(dashed), "%.8s-%.4s-%.4s-%.4s-%s", uuid, uuid + 8, uuid + 12, uuid + 16,
             uuid + 20);
    CMD_OK(&result, "-L", b, "entry", "show", dashed);
    cr_expect_not_null(strstr(result.out, path), "%s", result.out);
    CMD_OK(&result, "-L", b, "entry", "show", path);
    cr_expect_not_null(strstr(result.out, uuid), "%s", result.out);
    CMD_REFUSED(3, "no entry with this UUID", "-L", b, "entry", "show",
                "00000000000000000000000000000001");
    snprintf(path, sizeof(path), "%s/none", tree);
    CMD_REFUSED(3, "none", "-L", b, "entry", "show", path);
    cmd_stop(&serve_b);
}

/* Runs a command on a terminal of its own, with NO_COLOR or without; *out is all that it said. */
static int run_on_terminal(bool no_color, char *out, size_t size, const char *const args[])
{
    char *argv[CMD_ARG_COUNT_MAX + 2] = {strdup("syncline")};
    const char *program = cmd_program();
    size_t len = 0;
    int fd = -1;
    for (size_t i = 0; args[i] != NULL; i++)
        argv[i + 1] = strdup(args[i]);
    pid_t pid = forkpty(&fd, NULL, NULL, NULL);
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        setenv("TERM", "xterm", 1);
        if (no_color)
            setenv("NO_COLOR", "1", 1);
        else
            unsetenv("NO_COLOR");
        execv(program, argv);
        _exit(127);
    }
    out[0] = '\0';
    while (cmd_read(fd, out, size, &len))
        continue;
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    close(fd);
    for (size_t i = 0; argv[i] != NULL; i++)
        free(argv[i]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define ON_TERMINAL(no_color, ...)                                                                 \
    run_on_terminal((no_color), said, sizeof(said), (const char *const[]){__VA_ARGS__, NULL})

/* On a terminal there are colours, unless the environment says no, and a line of progress, which is
 * gone at the end; elsewhere neither. */
Test(commands, on_a_terminal)
{
    static char said[65536];
    char a[512];
    char tree[512];
    snprintf(a, sizeof(a), "%s", cmd_path("a"));
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_grow_tree(tree, 0, 300);
    CMD_OK(&result, "-L", a, "library", "create", "test");
    cr_assert_eq(ON_TERMINAL(false, "-L", a, "location", "add", tree), 0, "%s", said);
    cr_expect_not_null(strstr(said, "\rcounting\033[K"), "%s", said);
    cr_expect_not_null(strstr(said, "\rindexing: 1 of "), "%s", said);
    const char *last = strrchr(said, '\033');
    cr_assert_not_null(last);
    cr_expect_eq(strncmp(last, "\033[K300 files, ", 14), 0, "%s", last);
    cr_assert_eq(ON_TERMINAL(false, "-L", a, "location", "list"), 0);
    cr_expect_eq(strncmp(said, "\033[1mUUID\033[0m", 12), 0, "%s", said);
    cr_assert_eq(ON_TERMINAL(true, "-L", a, "location", "list"), 0);
    cr_expect_null(strchr(said, '\033'), "%s", said);
    cr_assert_eq(ON_TERMINAL(false, "-L", a, "location", "remove", tree), 0, "%s", said);
    cr_expect_not_null(strstr(said, "removing: "), "%s", said);
    cr_assert_eq(ON_TERMINAL(false, "-L", a, "tag", "delete", "none"), 3);
    cr_expect_eq(strncmp(said, "\033[1;31msyncline:\033[0m ", 20), 0, "%s", said);
    CMD_OK(&result, "-L", a, "location", "add", tree);
    cr_expect_eq(result.err_len, 0, "%s", result.err);
    cr_expect_null(strchr(result.out, '\033'), "%s", result.out);
}

/* The id of the device that a library in `path` is. */
static void id_of(const char *path, char id[33])
{
    static struct cmd_result info;
    CMD_OK(&info, "-L", path, "--json", "library", "info");
    json_t *object = json_loads(info.out, 0, NULL);
    cr_assert_not_null(object, "%s", info.out);
    snprintf(id, 33, "%s", json_string_value(json_object_get(object, "device_id")));
    json_decref(object);
}

static void mentions(const char *text, const char *name, const char *id)
{
    char label[64];
    snprintf(label, sizeof(label), "%s (%.8s)", name, id);
    cr_expect_not_null(strstr(text, label), "%s is not in:\n%s", label, text);
}

/* Devices of one name: who joins with the name of a member that it meets is told, both are shown
 * with their ids wherever devices are, and who names one of two is asked which. */
Test(commands, devices_of_one_name)
{
    static const char *const names[] = {"home", "away", "away", "home"};
    char ids[4][33];
    char paths[4][512];
    char address[64];
    char unused[64];
    static struct cmd_result joined;
    snprintf(paths[0], sizeof(paths[0]), "%s/0", cmd_folder);
    CMD_OK(&result, "-L", paths[0], "library", "create", "test", "--device-name", "home");
    id_of(paths[0], ids[0]);
    struct cmd_child a = cmd_serve(paths[0], "127.0.0.1:0", NULL, address);
    for (size_t i = 1; i < 4; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%zu", cmd_folder, i);
        CMD_OK(&joined, "-L", paths[i], "library", "join", address, "--insecure-loopback",
               "--device-name", names[i]);
        id_of(paths[i], ids[i]);
        cr_expect(i == 3 || joined.err_len == 0, "%s", joined.err);
    }
    mentions(joined.err, "a member is called home already, so this one is shown as home", ids[3]);
    struct cmd_child b = cmd_serve(paths[1], "127.0.0.1:0", address, unused);
    cr_assert_eq(mkdir(cmd_path("tree"), 0755), 0);
    CMD_OK(&result, "-L", paths[1], "location", "add", cmd_path("tree"));
    CMD_OK(&result, "-L", paths[1], "wait", "--timeout", "1min", "--member", ids[0]);
    struct cmd_child c = cmd_serve(paths[2], "127.0.0.1:0", address, unused);
    CMD_OK(&result, "-L", paths[2], "wait", "--timeout", "1min", "--member", ids[0]);
    cmd_stop(&c);

    CMD_OK(&result, "-L", paths[0], "status");
    mentions(result.out, ", on device home", ids[0]);
    mentions(result.out, "\nmember     away", ids[1]);
    mentions(result.out, "\nmember     away", ids[2]);
    mentions(result.out, "\nmember     home", ids[3]);
    CMD_OK(&result, "-L", paths[1], "status"); /* it knows the others through the one it dials */
    mentions(result.out, ", on device away", ids[1]);
    mentions(result.out, "\nmember     away", ids[2]);
    CMD_OK(&result, "-L", paths[0], "location", "list");
    mentions(result.out, "  away", ids[1]);
    CMD_OK(&result, "-L", paths[0], "entry", "show", cmd_path("tree"));
    mentions(result.out, "\ndevice     away", ids[1]);
    CMD_OK(&result, "-L", paths[0], "why", "entry", cmd_path("tree"));
    mentions(result.out, "  away", ids[1]);
    CMD_OK(&result, "-L", paths[0], "log", "--limit", "1000");
    mentions(result.out, "  away", ids[1]);

    CMD_REFUSED(3, "2 members are called away; name one by its id: ", "-L", paths[0], "wait",
                "--member", "away");
    CMD_REFUSED(3, ids[1], "-L", paths[0], "wait", "--member", "away");
    CMD_REFUSED(3, ids[2], "-L", paths[0], "wait", "--member", "away");
    CMD_REFUSED(3, "no other member is called there", "-L", paths[1], "wait", "--member", "there");
    CMD_REFUSED(3, "no other member", "-L", paths[0], "wait", "--member", "0123");
    CMD_OK(&result, "-L", paths[0], "tag", "create", "red");
    CMD_OK(&result, "-L", paths[0], "wait", "--timeout", "1min", "--member", ids[1]);
    CMD_REFUSED(1, "time is over; left: ", "-L", paths[0], "wait", "--timeout", "0", "--member",
                ids[2]);
    cmd_run(&result, (const char *const[]){"-L", paths[0], "status", "--max-lag", "0", NULL});
    cr_expect_eq(result.code, 1);
    mentions(result.err, "away", ids[2]);
    ids[1][8] = '\0'; /* as it is shown is enough */
    CMD_OK(&result, "-L", paths[0], "wait", "--timeout", "1min", "--member", ids[1]);
    cr_expect_str_eq(result.out, "it has applied everything of this device\n");
    cmd_stop(&b);
    cmd_stop(&a);
}

/* `stuck` lists what has waited longest, as much of it as is asked for, and counts all. */
Test(commands, stuck)
{
    const char *library = cmd_path("stuck");
    CMD_OK(&result, "-L", library, "library", "create", "test", "--device-name", "alone");
    CMD_OK(&result, "-L", library, "stuck");
    cr_expect_str_eq(result.out, "nothing is stuck\n");
    CMD_OK(&result, "-L", library, "--json", "stuck");
    cr_expect_str_eq(result.out, "{\"count\":0,\"stuck\":[]}\n");
    struct sqlite3 *log = NULL;
    char path[600];
    snprintf(path, sizeof(path), "%s/sync.db", library);
    cr_assert_eq(sqlite3_open(path, &log), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(log,
                     "INSERT INTO set_aside(device,epoch,seq,model,uuid,reason,at_ms)"
                     " SELECT randomblob(16),1,value,'tag',randomblob(16),'reason '||value,"
                     " 1000*value FROM json_each('[3,4,5]')",
                     NULL, NULL, NULL),
        SQLITE_OK, "%s", sqlite3_errmsg(log));
    sqlite3_close(log);
    cmd_run(&result, (const char *const[]){"-L", library, "stuck", "--limit", "1", NULL});
    cr_expect_eq(result.code, 1);
    cr_expect_not_null(strstr(result.out, "1970-01-01T00:00:03"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "reason 3\nand 2 more\n3 set aside\n"), "%s", result.out);
    cr_expect_null(strstr(result.out, "reason 4"), "%s", result.out);
    cmd_run(&result, (const char *const[]){"-L", library, "stuck", NULL});
    cr_expect_null(strstr(result.out, "more"), "%s", result.out);
    cr_expect_not_null(strstr(result.out, "reason 5"), "%s", result.out);
    cmd_run(&result,
            (const char *const[]){"-L", library, "--json", "stuck", "tag", "--limit", "2", NULL});
    cr_expect_eq(result.code, 1);
    cr_expect_eq(cmd_json_int(result.out, "count"), 3);
    cr_expect_null(strstr(result.out, "reason 5"), "%s", result.out);
    CMD_OK(&result, "-L", library, "stuck", "entry");
    CMD_REFUSED(3, "'nothing'", "-L", library, "stuck", "nothing");
    CMD_REFUSED(2, "stuck", "-L", library, "stuck", "tag", "more");
}
