/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline config`, and what the other commands make of settings. */

#include "tests/integration/command.h"

static char library[512];
static struct cmd_result result;

static void make_one(void)
{
    cmd_setup();
    (void)snprintf(library, sizeof(library), "%s", cmd_path("a"));
    CMD_OK(&result, "-L", library, "library", "create", "test");
}

TestSuite(config_command, .init = make_one, .fini = cmd_cleanup);

static void prints(const char *text)
{
    cr_expect_str_eq(result.out, text, "%s", result.out);
    cr_expect_eq(result.err_len, 0, "%s", result.err);
}

static void put_conf(const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/syncline.conf", library);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void conf_is(const char *text)
{
    char path[600];
    char found[600] = "";
    (void)snprintf(path, sizeof(path), "%s/syncline.conf", library);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    (void)fread(found, 1, sizeof(found) - 1, file);
    (void)fclose(file);
    cr_expect_str_eq(found, text);
}

/* get prints the value alone; set, unset and preset change one line of the file. */
Test(config_command, changes)
{
    CMD_OK(&result, "-L", library, "config", "get", "linger_ms");
    prints("10ms\n");
    CMD_OK(&result, "-L", library, "config", "get", "peers");
    prints("\n");
    put_conf("# mine\nlinger_ms = 7ms ; quick\n");
    CMD_OK(&result, "-L", library, "config", "set", "linger_ms", "1500");
    prints("linger_ms              1500ms               syncline.conf:2\n");
    CMD_OK(&result, "-L", library, "config", "set", "threads", "fused");
    conf_is("# mine\nlinger_ms = 1500ms ; quick\nthreads = fused\n");
    CMD_OK(&result, "-L", library, "config", "unset", "linger_ms");
    prints("linger_ms              10ms                 default\n");
    CMD_OK(&result, "-L", library, "config", "preset", "mobile");
    cr_expect_str_eq(result.out, "preset                 mobile               syncline.conf:3\n");
    cr_expect_str_eq(result.err, "syncline: threads stays fused, as syncline.conf:2 says\n");
    CMD_OK(&result, "-L", library, "config", "get", "linger_ms");
    prints("500ms\n");
    conf_is("# mine\nthreads = fused\npreset = mobile\n");
    CMD_OK(&result, "-L", library, "config", "set", "listen", "nothing");
    prints("listen                 nothing              syncline.conf:4\n");
    CMD_OK(&result, "-L", library, "config", "get", "listen");
    prints("\n");
    CMD_OK(&result, "-L", library, "config", "unset", "listen");
    cr_assert_eq(setenv("SYNCLINE_THREADS", "grouped", 1), 0);
    CMD_OK(&result, "-L", library, "config", "set", "threads", "auto");
    cr_expect_str_eq(result.out, "threads                grouped              SYNCLINE_THREADS\n");
    cr_expect_str_eq(result.err, "syncline: SYNCLINE_THREADS in the environment is over it\n");
}

/* list has a line for every setting, and says where each value is from. */
Test(config_command, list)
{
    put_conf("linger_ms = 7ms\npreset = conservative\n");
    cr_assert_eq(setenv("SYNCLINE_BATCH_SIZE", "9", 1), 0);
    CMD_OK(&result, "-L", library, "config", "list");
    static const char *const lines[] = {
        "\nlinger_ms              7ms                  syncline.conf:1\n",
        "\nbatch_size             9                    SYNCLINE_BATCH_SIZE\n",
        "\nthreads                fused                preset conservative\n",
        "\nlisten                 nothing              default\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        cr_expect_not_null(strstr(result.out, lines[i]), "%s is not in:\n%s", lines[i], result.out);
    }
    CMD_OK(&result, "-L", library, "config", "list", "--json");
    json_t *object = json_loads(result.out, 0, NULL);
    cr_assert_not_null(object, "%s", result.out);
    json_t *settings = json_object_get(object, "settings");
    size_t count = json_array_size(settings);
    CMD_OK(&result, "-L", library, "config", "list");
    for (const char *at = result.out; (at = strchr(at, '\n')) != NULL; at++) {
        count--;
    }
    cr_expect_eq(count, 0, "as many as lines");
    size_t i;
    json_t *one;
    json_array_foreach(settings, i, one)
    {
        static const char *const keys[] = {"key",   "value",   "unit",     "source",     "where",
                                           "range", "default", "variable", "description"};
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            cr_expect(json_is_string(json_object_get(one, keys[k])), "%s of %zu", keys[k], i);
        }
        cr_expect_eq(json_object_size(json_object_get(one, "presets")), 3);
    }
    json_decref(object);
}

/* With --json a change prints the setting as get does. */
Test(config_command, json)
{
    static struct cmd_result got;
    CMD_OK(&result, "-L", library, "--json", "config", "set", "linger_ms", "20ms");
    CMD_OK(&got, "-L", library, "--json", "config", "get", "linger_ms");
    cr_expect_str_eq(result.out, got.out);
    cr_expect_eq(cmd_json_int(got.out, "number"), 20);
    cr_expect_not_null(strstr(got.out, "\"source\":\"file\",\"where\":\"syncline.conf:2\""), "%s",
                       got.out);
    CMD_OK(&result, "-L", library, "--json", "config", "preset", "none");
    cr_expect_not_null(strstr(result.out, "\"key\":\"preset\",\"value\":\"none\",\"number\":null"),
                       "%s", result.out);
}

/* What cannot be: one line, and the file as it was. */
Test(config_command, refused)
{
    put_conf("linger_ms = 7ms\n");
    CMD_REFUSED(3, "linger_ms cannot be \"soon\": it takes 0ms to 10s", "-L", library, "config",
                "set", "linger_ms", "soon");
    CMD_REFUSED(3, "no setting \"linger\"", "-L", library, "config", "set", "linger", "1");
    CMD_REFUSED(3, "no setting \"linger\"", "-L", library, "config", "get", "linger");
    CMD_REFUSED(3, "no setting \"linger\"", "-L", library, "config", "unset", "linger");
    CMD_REFUSED(3, "it takes none, aggressive, conservative or mobile\n", "-L", library, "config",
                "preset", "fast");
    CMD_REFUSED(3, "\"msec\" is no unit of a duration, there are ms, s, min, h and d;", "-L",
                library, "config", "set", "linger_ms", "20msec");
    CMD_REFUSED(3, "\"G\" is no unit of a size, there are B, KiB, MiB and GiB;", "-L", library,
                "config", "set", "memory_budget", "1G");
    CMD_REFUSED(3, ": did you mean linger_ms?", "-L", library, "config", "get", "lnger_ms");
    CMD_REFUSED(3, ": did you mean linger_ms?", "-L", library, "config", "unset", "LINGER");
    CMD_REFUSED(3, ": did you mean memory_budget?", "-L", library, "config", "set", "memory-budget",
                "8MiB");
    CMD_REFUSED(3, ": did you mean mobile?", "-L", library, "config", "preset", "mobil");
    CMD_REFUSED(3, ": did you mean fused?", "-L", library, "config", "set", "threads", "Fused");
    CMD_REFUSED(3, "no library", "-L", cmd_folder, "config", "list");
    CMD_REFUSED(3, "no library", "-L", cmd_folder, "config", "set", "linger_ms", "1");
    CMD_REFUSED(2, "KEY VALUE", "-L", library, "config", "set", "linger_ms");
    CMD_REFUSED(2, "--markdown does not go", "-L", library, "config", "get", "peers", "--markdown");
    conf_is("linger_ms = 7ms\n");
    /* A wrong value keeps every command from opening the library, and config set mends it. */
    put_conf("linger_ms = soon\nbatch_size = 5\n");
    CMD_REFUSED(3, "syncline.conf:1: linger_ms cannot be", "-L", library, "library", "info");
    CMD_REFUSED(3, "syncline.conf:1: linger_ms cannot be", "-L", library, "config", "list");
    CMD_OK(&result, "-L", library, "config", "set", "batch_size", "6");
    cr_expect_not_null(strstr(result.err, "does not open yet"), "%s", result.err);
    CMD_OK(&result, "-L", library, "config", "unset", "linger_ms");
    CMD_OK(&result, "-L", library, "library", "info");
    conf_is("batch_size = 6\n");
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        count++;
    }
    return count;
}

/* The help of config list has every setting; that of the others is short and says where they are.
 * --markdown needs no library. */
Test(config_command, help)
{
    static const char *const names[] = {"get", "set", "unset", "preset", NULL};
    static struct cmd_result list;
    CMD_OK(&list, "-L", library, "config", "list");
    CMD_OK(&result, "config", "list", "--help");
    char *rest = list.out;
    for (char *line = strtok_r(list.out, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char wanted[64];
        (void)snprintf(wanted, sizeof(wanted), "\n  %.*s ", (int)strcspn(line, " "), line);
        cr_expect_not_null(strstr(result.out, wanted), "%s", wanted);
    }
    for (size_t i = 0; i < 5; i++) {
        cmd_run(&result, (const char *const[]){"config", "--help", names[i], NULL});
        cr_assert_eq(result.code, 0);
        cr_expect_lt(count_lines(result.out), 25, "%s", result.out);
        cr_expect_not_null(strstr(result.out, "config list"), "%s", result.out);
    }
    CMD_OK(&result, "-L", "/nowhere", "config", "list", "--markdown");
    cr_expect_not_null(strstr(result.out, "| `linger_ms` | 0ms to 10s | 10ms |"), "%s", result.out);
}

/* A process that runs the engine keeps its settings, and who changes one is told which it is. */
Test(config_command, beside_an_engine)
{
    char address[64];
    char mentions[128];
    struct cmd_child serve = cmd_serve(library, "127.0.0.1:0", NULL, address);
    (void)snprintf(mentions, sizeof(mentions),
                   "syncline: process %d runs the engine with what it was started with",
                   (int)serve.pid);
    static const char *const changes[][4] = {{"set", "linger_ms", "20ms", NULL},
                                             {"preset", "mobile", NULL},
                                             {"unset", "linger_ms", NULL}};
    for (size_t i = 0; i < 3; i++) {
        CMD_OK(&result, "-L", library, "config", changes[i][0], changes[i][1], changes[i][2]);
        cr_expect_eq(strncmp(result.err, mentions, strlen(mentions)), 0, "%s", result.err);
    }
    cmd_stop(&serve);
    CMD_OK(&result, "-L", library, "config", "set", "linger_ms", "20ms");
    cr_expect_eq(result.err_len, 0, "%s", result.err);
}

/* serve goes by listen and peers where it was told no others; other commands use no network. */
Test(config_command, serve_by_settings)
{
    char other[512];
    char address[64];
    CMD_REFUSED(2, "--listen", "-L", library, "serve", "--insecure-loopback");
    CMD_OK(&result, "-L", library, "config", "set", "listen", "127.0.0.1:0");
    CMD_REFUSED(2, "--insecure-loopback", "-L", library, "serve");
    put_conf("listen = nowhere\n");
    CMD_REFUSED(3, "syncline.conf:1: listen: \"nowhere\" is not an address", "-L", library, "serve",
                "--insecure-loopback");
    put_conf("listen = 127.0.0.1:0\n");
    struct cmd_child serve = cmd_serve(library, "127.0.0.1:0", NULL, address);
    (void)snprintf(other, sizeof(other), "%s", cmd_path("b"));
    CMD_OK(&result, "-L", other, "library", "join", address, "--insecure-loopback");
    cmd_stop(&serve);
    put_conf("");
    CMD_OK(&result, "-L", library, "config", "set", "listen", address);
    CMD_OK(&result, "-L", other, "config", "set", "listen", "127.0.0.1:0");
    CMD_OK(&result, "-L", other, "config", "set", "peers", address);
    /* With addresses set, whoever needs no network does not ask for permission to use it. */
    CMD_OK(&result, "-L", library, "tag", "create", "from a");
    CMD_OK(&result, "-L", library, "library", "info");
    struct cmd_child a =
        cmd_start((const char *const[]){"-L", library, "serve", "--insecure-loopback", NULL});
    struct cmd_child b =
        cmd_start((const char *const[]){"-L", other, "serve", "--insecure-loopback", NULL});
    cmd_wait_equal(library, other);
    cmd_stop(&b);
    /* Who has peers need not listen: nothing is set, or the option is over the setting. */
    CMD_OK(&result, "-L", other, "config", "set", "listen", "nothing");
    CMD_REFUSED(2, "the setting peers (syncline.conf:", "-L", other, "serve");
    for (size_t i = 0; i < 2; i++) {
        CMD_OK(&result, "-L", library, "tag", "create", "from a, too");
        b = cmd_start((const char *const[]){"-L", other, "serve", "--insecure-loopback",
                                            i == 0 ? NULL : "--listen", "", NULL});
        cmd_wait_equal(library, other);
        kill(b.pid, SIGTERM);
        cmd_finish(&b, &result);
        cr_expect_eq(result.code, 0, "%s", result.err);
        cr_expect_str_eq(result.out, "nothing\n");
        CMD_OK(&result, "-L", other, "config", "set", "listen", "127.0.0.1:0");
    }
    cmd_stop(&a);
    /* An option alone will do, and nothing to do is refused. */
    b = cmd_start((const char *const[]){"-L", other, "--json", "serve", "--listen=", "--peer",
                                        address, "--insecure-loopback", NULL});
    char line[256] = "";
    size_t len = 0;
    while (strchr(line, '\n') == NULL && cmd_read(b.out_fd, line, sizeof(line), &len)) {
    }
    cr_expect_not_null(strstr(line, "{\"listen\":\"\","), "%s", line);
    cmd_stop(&b);
    put_conf("listen = 127.0.0.1:0\n");
    CMD_REFUSED(2, "or one to dial", "-L", library, "serve", "--listen", "", "--insecure-loopback");
}
