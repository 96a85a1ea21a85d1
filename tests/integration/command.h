/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the tests of the command share: running `syncline`, keeping one running, temporary folders
 * and trees of files. The program is taken from $SL_BIN_DIR, else from ../bin beside the test.
 *
 * Everything a test starts is ended by its id in cmd_cleanup, and by the kernel if the test dies.
 */

#ifndef SL_TESTS_COMMAND_H
#define SL_TESTS_COMMAND_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CMD_ARG_COUNT_MAX 80
#define CMD_CHILD_COUNT_MAX 16
#define CMD_DEADLINE_NS 120000000000u /* for anything a test waits for; never a measurement */

/* How a command ended. */
struct cmd_result {
    int code;        /* 128 + n: signal n */
    char out[65536]; /* standard output, NUL-terminated */
    char err[16384]; /* standard error, NUL-terminated */
    size_t out_len;  /* bytes */
    size_t err_len;  /* bytes */
};

/* A command that runs. */
struct cmd_child {
    pid_t pid;
    int out_fd;
    int err_fd;
};

static char cmd_folder[256];                    /* temporary folder of this test */
static pid_t cmd_children[CMD_CHILD_COUNT_MAX]; /* running; 0: free */

static inline uint64_t cmd_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void cmd_nap_ms(long ms)
{
    struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&nap, &nap) != 0 && errno == EINTR) {
    }
}

static inline int cmd_remove_one(const char *path, const struct stat *status, int kind,
                                 struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Criterion's .init: a fresh temporary folder. */
static inline void cmd_setup(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(cmd_folder, sizeof(cmd_folder), "%s/syncline-test-XXXXXX",
             base != NULL && base[0] != '\0' ? base : "/tmp");
    cr_assert_not_null(mkdtemp(cmd_folder), "no temporary folder: %s", strerror(errno));
    unsetenv("SYNCLINE_LIBRARY");
    setenv("XDG_STATE_HOME", cmd_folder, 1);
}

/* Criterion's .fini: nothing is left running or lying about. */
static inline void cmd_cleanup(void)
{
    for (size_t i = 0; i < CMD_CHILD_COUNT_MAX; i++) {
        if (cmd_children[i] > 0) {
            kill(cmd_children[i], SIGKILL);
            waitpid(cmd_children[i], NULL, 0);
            cmd_children[i] = 0;
        }
    }
    /* A child's child may still be ending, and hold or make a file: then once more. */
    for (int i = 0; i < 500 && nftw(cmd_folder, cmd_remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0;
         i++) {
        cmd_nap_ms(10);
    }
}

/* True once it has ended, which cmd_finish will tell more of. */
static inline bool cmd_has_ended(const struct cmd_child *child)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

/* "<temporary folder>/name", in one of a few buffers that take turns. */
static inline const char *cmd_path(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", cmd_folder, name);
    return path;
}

static inline const char *cmd_program(void)
{
    static char path[4096];
    const char *dir = getenv("SL_BIN_DIR");
    if (dir != NULL) {
        snprintf(path, sizeof(path), "%s/syncline", dir);
        return path;
    }
    char self[2048];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    cr_assert_gt(len, 0);
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    *slash = '\0';
    snprintf(path, sizeof(path), "%s/../bin/syncline", self);
    return path;
}

/* Starts `syncline args...`; the list ends with NULL. */
static inline struct cmd_child cmd_start(const char *const args[])
{
    struct cmd_child child = {.pid = 0, .out_fd = -1, .err_fd = -1};
    char *argv[CMD_ARG_COUNT_MAX + 2] = {NULL};
    int out[2];
    int err[2];
    size_t slot = 0;
    argv[0] = strdup("syncline");
    for (size_t i = 0; i < CMD_ARG_COUNT_MAX && args[i] != NULL; i++) {
        argv[i + 1] = strdup(args[i]);
    }
    while (slot < CMD_CHILD_COUNT_MAX && cmd_children[slot] > 0) {
        slot++;
    }
    cr_assert_lt(slot, CMD_CHILD_COUNT_MAX);
    const char *program = cmd_program();
    pid_t parent = getpid();
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
    child.pid = fork();
    cr_assert_geq(child.pid, 0);
    if (child.pid == 0) {
        int null_fd = open("/dev/null", O_RDONLY);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(null_fd, 0) == 0 && dup2(out[1], 1) == 1 &&
            dup2(err[1], 2) == 2) {
            execv(program, argv);
        }
        _exit(127);
    }
    cmd_children[slot] = child.pid;
    close(out[1]);
    close(err[1]);
    child.out_fd = out[0];
    child.err_fd = err[0];
    for (size_t i = 0; argv[i] != NULL; i++) {
        free(argv[i]);
    }
    return child;
}

static inline void cmd_forget(pid_t pid)
{
    for (size_t i = 0; i < CMD_CHILD_COUNT_MAX; i++) {
        cmd_children[i] = cmd_children[i] == pid ? 0 : cmd_children[i];
    }
}

/* One read into a buffer that stays NUL-terminated; what does not fit is dropped. False at the end.
 */
static inline bool cmd_read(int fd, char *data, size_t size, size_t *len)
{
    char chunk[4096];
    ssize_t got = read(fd, chunk, sizeof(chunk));
    if (got <= 0) {
        return got < 0 && errno == EINTR;
    }
    size_t room = size - 1 - *len;
    size_t taken = (size_t)got < room ? (size_t)got : room;
    memcpy(data + *len, chunk, taken);
    *len += taken;
    data[*len] = '\0';
    return true;
}

/* Reads what a child says until it ends, and reaps it. */
static inline void cmd_finish(struct cmd_child *child, struct cmd_result *result)
{
    uint64_t start_ns = cmd_now_ns();
    struct pollfd fds[2] = {{.fd = child->out_fd, .events = POLLIN},
                            {.fd = child->err_fd, .events = POLLIN}};
    memset(result, 0, sizeof(*result));
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        cr_assert_lt(cmd_now_ns() - start_ns, CMD_DEADLINE_NS, "the command does not end");
        (void)poll(fds, 2, 100);
        if (fds[0].fd >= 0 && fds[0].revents != 0 &&
            !cmd_read(child->out_fd, result->out, sizeof(result->out), &result->out_len)) {
            fds[0].fd = -1;
        }
        if (fds[1].fd >= 0 && fds[1].revents != 0 &&
            !cmd_read(child->err_fd, result->err, sizeof(result->err), &result->err_len)) {
            fds[1].fd = -1;
        }
    }
    int status = 0;
    cr_assert_eq(waitpid(child->pid, &status, 0), child->pid);
    cmd_forget(child->pid);
    result->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    close(child->out_fd);
    close(child->err_fd);
    child->pid = 0;
}

static inline void cmd_run(struct cmd_result *result, const char *const args[])
{
    struct cmd_child child = cmd_start(args);
    cmd_finish(&child, result);
}

/* Runs a command that must end well. */
#define CMD_OK(result, ...)                                                                        \
    do {                                                                                           \
        cmd_run((result), (const char *const[]){__VA_ARGS__, NULL});                               \
        cr_assert_eq((result)->code, 0, "code %d: %s", (result)->code, (result)->err);             \
    } while (0)

/* An error is one line on stderr that names the thing, and nothing on stdout. */
static inline void cmd_check_refused(const struct cmd_result *result, int code,
                                     const char *mentions)
{
    cr_expect_eq(result->code, code, "code %d, not %d: %s", result->code, code, result->err);
    cr_expect_eq(result->out_len, 0, "standard output: %s", result->out);
    const char *newline = strchr(result->err, '\n');
    cr_expect(newline != NULL && newline[1] == '\0', "not one line: %s", result->err);
    cr_expect_eq(strncmp(result->err, "syncline: ", 10), 0, "%s", result->err);
    cr_expect_not_null(strstr(result->err, mentions), "%s is not mentioned: %s", mentions,
                       result->err);
}

#define CMD_REFUSED(code, mentions, ...)                                                           \
    do {                                                                                           \
        struct cmd_result refused_;                                                                \
        cmd_run(&refused_, (const char *const[]){__VA_ARGS__, NULL});                              \
        cmd_check_refused(&refused_, (code), (mentions));                                          \
    } while (0)

/* Starts `serve` on a library, with a peer or NULL; `address` receives its first line. */
static inline struct cmd_child cmd_serve(const char *library, const char *listen, const char *peer,
                                         char address[64])
{
    const char *with_peer[] = {
        "-L", library, "serve", "--listen", listen, "--insecure-loopback", "--peer", peer, NULL};
    const char *alone[] = {"-L", library, "serve", "--listen", listen, "--insecure-loopback", NULL};
    struct cmd_child child = cmd_start(peer != NULL ? with_peer : alone);
    size_t len = 0;
    address[0] = '\0';
    while (strchr(address, '\n') == NULL) {
        if (cmd_read(child.out_fd, address, 64, &len)) {
            continue;
        }
        struct cmd_result result;
        cmd_finish(&child, &result);
        cr_assert_fail("serve has ended: %s", result.err);
    }
    *strchr(address, '\n') = '\0';
    return child;
}

/* SIGTERM; a command that serves must end well. */
static inline void cmd_stop(struct cmd_child *child)
{
    struct cmd_result result;
    kill(child->pid, SIGTERM);
    cmd_finish(child, &result);
    cr_assert_eq(result.code, 0, "code %d: %s", result.code, result.err);
}

/* Library A in <folder>/a, and B in <folder>/b joined to it; nobody serves. */
static inline void cmd_make_pair(char a[512], char b[512])
{
    struct cmd_result result;
    char address[64];
    snprintf(a, 512, "%s", cmd_path("a"));
    snprintf(b, 512, "%s", cmd_path("b"));
    CMD_OK(&result, "-L", a, "library", "create", "test", "--device-name", "A");
    struct cmd_child serve = cmd_serve(a, "127.0.0.1:0", NULL, address);
    CMD_OK(&result, "-L", b, "library", "join", address, "--insecure-loopback", "--device-name",
           "B");
    cmd_stop(&serve);
}

/* Writes `size` bytes to a file below the folder `dir_fd`, making it. */
static inline void cmd_write_file(int dir_fd, const char *name, size_t size)
{
    static const char content[256] = "content";
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
    cr_assert_leq(size, sizeof(content));
    cr_assert_eq(write(fd, content, size), (ssize_t)size);
    close(fd);
}

/* Gives files and folders of a tree names that hold what names can hold; `number` makes each its
 * own. */
static inline void cmd_odd_name(uint32_t number, char name[256])
{
    static const char *const odd[] = {"plain",
                                      "with space",
                                      "\xff\xfe not UTF-8",
                                      "new\nline",
                                      "tab\tand\x01",
                                      "\xc3\xa4\xe2\x82\xac",
                                      "quote'\"",
                                      "back\\slash",
                                      "-dash",
                                      "\xe2\x80\xae turned",
                                      "%s%n",
                                      " "};
    size_t kinds = sizeof(odd) / sizeof(odd[0]);
    snprintf(name, 256, "%s%" PRIu32, odd[number % kinds], number);
    if (number % 97 == 0) { /* as long as a name can be */
        size_t len = strlen(name);
        memset(name + len, 'x', 255 - len);
        name[255] = '\0';
    }
}

/* Adds files numbered [from, to) to the tree at `path`, a folder for every 50 of them, some below
 * one another, and now and then a link. */
static inline void cmd_grow_tree(const char *path, uint32_t from, uint32_t to)
{
    char name[256];
    (void)mkdir(path, 0755);
    for (uint32_t i = from; i < to; i++) {
        uint32_t folder = i / 50;
        int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(dir_fd, 0);
        for (uint32_t depth = 0; depth <= folder % 4; depth++) { /* up to four folders deep */
            char part[256];
            cmd_odd_name(1000000 + folder / 4 * 4 + depth, part);
            (void)mkdirat(dir_fd, part, 0755);
            int next_fd = openat(dir_fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            cr_assert_geq(next_fd, 0);
            close(dir_fd);
            dir_fd = next_fd;
        }
        cmd_odd_name(i, name);
        cmd_write_file(dir_fd, name, i % 251);
        if (i % 37 == 0) {
            char link_name[32];
            snprintf(link_name, sizeof(link_name), "link%" PRIu32, i);
            cr_assert_eq(symlinkat(name, dir_fd, link_name), 0);
        }
        close(dir_fd);
    }
}

/* The value of a whole number in a JSON answer. */
static inline json_int_t cmd_json_int(const char *text, const char *key)
{
    json_t *object = json_loads(text, 0, NULL);
    cr_assert_not_null(object, "not JSON: %s", text);
    json_t *value = json_object_get(object, key);
    cr_assert(json_is_integer(value), "%s is not a whole number in %s", key, text);
    json_int_t result = json_integer_value(value);
    json_decref(object);
    return result;
}

/* Polls until both digests are the same text. */
static inline void cmd_wait_equal(const char *a, const char *b)
{
    static struct cmd_result of_a;
    static struct cmd_result of_b;
    uint64_t start_ns = cmd_now_ns();
    do {
        CMD_OK(&of_a, "-L", a, "digest");
        CMD_OK(&of_b, "-L", b, "digest");
        if (strcmp(of_a.out, of_b.out) == 0) {
            return;
        }
        cmd_nap_ms(50);
    } while (cmd_now_ns() - start_ns < CMD_DEADLINE_NS);
    cr_assert_fail("the digests stay different:\n%s\n%s", of_a.out, of_b.out);
}

#endif
