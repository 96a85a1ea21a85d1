/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/conf_file.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/unit/counting_allocator.h"

/* ---- A disk that fails ---- */

static _Thread_local bool armed;    /* the test changes the file: nothing else is meant */
static int write_code;              /* errno of writes; 0: they succeed */
static int sync_code;               /* of fsync */
static int rename_code;             /* of rename */
static size_t write_max = SIZE_MAX; /* bytes that one write takes */

static int fail_with(int code)
{
    errno = code;
    return -1;
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t size)
{
    if (armed && write_code != 0) {
        return fail_with(write_code);
    }
    return syscall(SYS_write, fd, data, armed && size > write_max ? write_max : size);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return armed && sync_code != 0 ? fail_with(sync_code) : (int)syscall(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int rename(const char *from, const char *to)
{
    return armed && rename_code != 0 ? fail_with(rename_code)
                                     : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- A folder with a file ---- */

static char dir[64];
static char path[128];
static char said[4096]; /* what was read: "line key=value;" */
static struct sl_error err;

static void start(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/syncline-conf-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/syncline.conf", dir);
}

static int remove_one(const char *name, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(name);
}

static void finish(void)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(conf_file, .init = start, .fini = finish);

static void put_bytes(const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, len, file), len);
    cr_assert_eq(fclose(file), 0);
}

static void put(const char *text)
{
    put_bytes(text, strlen(text));
}

static void holds(const char *text)
{
    static char data[SL_CONF_SIZE_MAX + 100];
    char path_new[160];
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    size_t len = fread(data, 1, sizeof(data) - 1, file);
    (void)fclose(file);
    data[len] = '\0';
    cr_expect_str_eq(data, text);
    (void)snprintf(path_new, sizeof(path_new), "%s.new", path);
    cr_expect_neq(access(path_new, F_OK), 0, "%s was left", path_new);
}

static enum syncline_status take(void *ctx, const char *key, const char *value, uint32_t line,
                                 struct sl_error *error)
{
    (void)ctx;
    size_t used = strlen(said);
    (void)snprintf(said + used, sizeof(said) - used, "%u %s=%s;", (unsigned)line, key, value);
    return strcmp(key, "bad") == 0 ? sl_fail(error, SYNCLINE_EINVAL, "no good") : SYNCLINE_OK;
}

static enum syncline_status read_conf(void)
{
    said[0] = '\0';
    err.text[0] = '\0';
    return sl_conf_read(&sl_allocator_libc, dir, take, NULL, &err);
}

static void reads(const char *text, const char *wanted)
{
    put(text);
    cr_expect_eq(read_conf(), SYNCLINE_OK, "%s", err.text);
    cr_expect_str_eq(said, wanted);
}

/* Reading and changing both refuse it, and say which line. */
static void refused(const char *text, unsigned line, const char *part)
{
    char place[200];
    put(text);
    (void)snprintf(place, sizeof(place), "%s:%u: ", path, line);
    cr_expect_eq(read_conf(), SYNCLINE_EINVAL, "%s", text);
    cr_expect_eq(strncmp(err.text, place, strlen(place)), 0, "%s", err.text);
    cr_expect_not_null(strstr(err.text, part), "%s", err.text);
    cr_expect_eq(sl_conf_set(&sl_allocator_libc, dir, "key", "1", &err), SYNCLINE_EINVAL);
    cr_expect_eq(strncmp(err.text, place, strlen(place)), 0, "%s", err.text);
    holds(text);
}

static enum syncline_status set(const char *key, const char *value)
{
    err.text[0] = '\0';
    armed = true;
    enum syncline_status status = sl_conf_set(&sl_allocator_libc, dir, key, value, &err);
    armed = false;
    return status;
}

static void sets(const char *before, const char *key, const char *value, const char *after)
{
    put(before);
    cr_expect_eq(set(key, value), SYNCLINE_OK, "%s", err.text);
    holds(after);
}

/* ---- Reading ---- */

/* Settings with their lines; comments, blank lines and blanks around are nothing. */
Test(conf_file, reads)
{
    cr_expect_eq(read_conf(), SYNCLINE_OK, "there is no file");
    cr_expect_str_eq(said, "");
    reads("", "");
    reads("a = 1\nb=2", "1 a=1;2 b=2;");
    reads("# first\n\n  \n; second\n\t# third\na = 1 ; why\r\nb =\nc = x;y\n",
          "6 a=1;7 b=;8 c=x;y;");
    reads("a = 127.0.0.1:4400, [::1]:1\n", "1 a=127.0.0.1:4400, [::1]:1;");
    reads("\xef\xbb\xbf"
          "a = 1\n",
          "1 a=1;");
}

/* What inih would make something else of, or drop without a word. */
Test(conf_file, refuses)
{
    char text[256];
    refused("a = 1\n  b = 2\n", 2, "begins with a blank");
    refused("a = 1\n  continued\n", 2, "begins with a blank");
    refused("\n a = 1\n", 2, "begins with a blank");
    refused("[section]\na = 1\n", 1, "no sections");
    refused("a = 1\nno setting\n", 2, "key = value");
    memset(text, 'x', sizeof(text));
    memcpy(text, "a = ", 4);
    text[200] = '\0'; /* one byte more than a line of inih's */
    refused(text, 1, "too long");
    text[199] = '\0';
    put(text);
    cr_expect_eq(read_conf(), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(strlen(said), strlen("1 a=;") + 199 - strlen("a = "));
    put_bytes("a = 1\nb\0 = 2\n", 13);
    cr_expect_eq(read_conf(), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, ":2: the line holds a zero byte"), "%s", err.text);
}

/* The first failure of whoever is told ends it, and gets file and line. */
Test(conf_file, told_to_stop)
{
    char wanted[200];
    put("a = 1\nbad = 2\nc = 3\n  d\n");
    cr_expect_eq(read_conf(), SYNCLINE_EINVAL);
    (void)snprintf(wanted, sizeof(wanted), "%s:2: no good", path);
    cr_expect_str_eq(err.text, wanted);
    cr_expect_str_eq(said, "1 a=1;2 bad=2;");
}

/* A file that is too large, no file at all, or cannot be opened. */
Test(conf_file, not_a_file)
{
    static char text[SL_CONF_SIZE_MAX + 2];
    memset(text, '\n', sizeof(text));
    put_bytes(text, SL_CONF_SIZE_MAX);
    cr_expect_eq(read_conf(), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(set("a", "1"), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "65536"), "%s", err.text);
    put_bytes(text, SL_CONF_SIZE_MAX + 1);
    cr_expect_eq(read_conf(), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "65536"), "%s", err.text);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(read_conf(), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "is not a file"), "%s", err.text);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink(path, path), 0);
    cr_expect_eq(read_conf(), SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, "cannot be opened"), "%s", err.text);
}

/* ---- Writing ---- */

/* One setting changes and all else stays: comments, order, line ends, also without a last one. */
Test(conf_file, sets)
{
    static const char text[] = "# mine\nb = 2\n\na = 1   ; because\r\n; end";
    cr_expect_eq(set("a", "1"), SYNCLINE_OK, "%s", err.text);
    holds("# Settings of this library; `syncline config list` shows all there are.\na = 1\n");
    sets(text, "a", "5", "# mine\nb = 2\n\na = 5   ; because\r\n; end");
    sets(text, "b", "", "# mine\nb =\n\na = 1   ; because\r\n; end");
    sets(text, "c", "x,y", "# mine\nb = 2\n\na = 1   ; because\r\n; end\nc = x,y\n");
    sets(text, "a", NULL, "# mine\nb = 2\n\n; end");
    sets(text, "c", NULL, text);
    sets("a=1", "a", "2", "a = 2");
    sets("", "a", "2",
         "# Settings of this library; `syncline config list` shows all there are.\n"
         "a = 2\n");
    sets("a = 1\nb = 2\na = 3\na = 4\n", "a", "9", "a = 9\nb = 2\n");
    sets("a = 1\nb = 2\na = 3\n", "a", NULL, "b = 2\n");
    sets("bad = value\na = 1\n", "a", "2", "bad = value\na = 2\n");
}

/* What would not be read back as it was meant is not written. */
Test(conf_file, cannot_be_written)
{
    char text[256];
    put("a = 1\n");
    cr_expect_eq(set("a", "1 ; 2"), SYNCLINE_EINVAL);
    cr_expect_eq(set("a", "1\n2 = 3"), SYNCLINE_EINVAL);
    cr_expect_eq(set("a", " 1"), SYNCLINE_EINVAL);
    memset(text, 'x', sizeof(text));
    text[194] = '\0'; /* with its key and the newline, the longest line is full */
    cr_expect_eq(set("a", text), SYNCLINE_OK, "%s", err.text);
    text[194] = 'x';
    text[195] = '\0';
    cr_expect_eq(set("a", text), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "too long"), "%s", err.text);
    cr_expect_eq(read_conf(), SYNCLINE_OK);
    cr_expect_eq(strlen(said), strlen("1 a=;") + 194);
}

/* The mode of the file stays; one that was left by a crash is in nobody's way. */
Test(conf_file, mode_and_leftovers)
{
    struct stat st;
    char path_new[160];
    put("a = 1\n");
    cr_assert_eq(chmod(path, 0600), 0);
    (void)snprintf(path_new, sizeof(path_new), "%s.new", path);
    cr_assert_eq(symlink("/nowhere/at/all", path_new), 0);
    cr_expect_eq(set("a", "2"), SYNCLINE_OK, "%s", err.text);
    holds("a = 2\n");
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0600);
}

/* A link is somebody's arrangement: it is read, and not replaced by a file. */
Test(conf_file, symbolic_link)
{
    char elsewhere[160];
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
    put("a = 1\n");
    cr_assert_eq(rename(path, elsewhere), 0);
    cr_assert_eq(symlink("elsewhere", path), 0);
    cr_expect_eq(read_conf(), SYNCLINE_OK);
    cr_expect_str_eq(said, "1 a=1;");
    cr_expect_eq(set("a", "2"), SYNCLINE_EREFUSED);
    cr_expect_not_null(strstr(err.text, "symbolic link"), "%s", err.text);
    holds("a = 1\n");
}

/* A disk that fails or is full at any step leaves the file as it was, and nothing beside it. */
Test(conf_file, failing_disk)
{
    put("a = 1\n");
    write_code = ENOSPC;
    cr_expect_eq(set("a", "2"), SYNCLINE_ENOSPC);
    cr_expect_not_null(strstr(err.text, "syncline.conf.new cannot be written: No space"), "%s",
                       err.text);
    holds("a = 1\n");
    write_code = EIO;
    cr_expect_eq(set("a", "2"), SYNCLINE_EIO);
    holds("a = 1\n");
    write_code = 0;
    sync_code = EDQUOT;
    cr_expect_eq(set("a", "2"), SYNCLINE_ENOSPC);
    holds("a = 1\n");
    sync_code = 0;
    rename_code = EIO;
    cr_expect_eq(set("a", "2"), SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, "cannot be replaced"), "%s", err.text);
    holds("a = 1\n");
    rename_code = 0;
    write_max = 1; /* slow, but it gets there */
    cr_expect_eq(set("a", "2"), SYNCLINE_OK, "%s", err.text);
    holds("a = 2\n");
}

/* Who may not write in the folder changes nothing. */
Test(conf_file, read_only_folder)
{
    put("a = 1\n");
    cr_assert_eq(chmod(dir, 0555), 0);
    if (geteuid() == 0) {
        cr_assert_eq(seteuid(65534), 0); /* root may write anywhere */
    }
    cr_expect_eq(set("a", "2"), SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, "syncline.conf.new cannot be made: Permission denied"),
                       "%s", err.text);
    if (getuid() == 0) {
        cr_assert_eq(seteuid(0), 0);
    }
    cr_assert_eq(chmod(dir, 0755), 0);
    holds("a = 1\n");
    (void)snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/x");
    cr_expect_eq(set("a", "2"), SYNCLINE_EIO);
    dir[strlen(dir) - 2] = '\0';
}

/* Writers take turns: eight processes set a key each, twenty times, and none is lost. */
Test(conf_file, writers_take_turns)
{
    enum { WRITERS = 8, TIMES = 20 };
    pid_t pids[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        cr_assert_geq(pids[i], 0);
        if (pids[i] == 0) {
            char key[8];
            char value[8];
            int failed = 0;
            (void)snprintf(key, sizeof(key), "key%d", i);
            for (int n = 1; n <= TIMES; n++) {
                (void)snprintf(value, sizeof(value), "%d", n);
                failed += set(key, value) != SYNCLINE_OK;
            }
            _exit(failed);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_expect_eq(status, 0);
    }
    cr_expect_eq(read_conf(), SYNCLINE_OK, "%s", err.text);
    for (int i = 0; i < WRITERS; i++) {
        char wanted[32];
        (void)snprintf(wanted, sizeof(wanted), "key%d=%d;", i, TIMES);
        cr_expect_not_null(strstr(said, wanted), "%s is not in %s", wanted, said);
    }
}

/* Without memory at any point nothing has changed, and nothing is leaked. */
Test(conf_file, no_memory)
{
    put("a = 1\n");
    static struct counting counting;
    const struct sl_allocator alloc = {.resize = counting_resize, .ctx = &counting};
    bool done = false;
    for (long n = 1; !done; n++) {
        counting_fail_at(&counting, n, COUNTING_MINE);
        enum syncline_status status = sl_conf_set(&alloc, dir, "a", "2", &err);
        done = status == SYNCLINE_OK;
        if (!done) {
            cr_assert_eq(status, SYNCLINE_ENOMEM, "%s", err.text);
            holds("a = 1\n");
        }
        cr_assert_eq(atomic_load(&counting.blocks), 0);
        cr_assert_lt(n, 100);
    }
    holds("a = 2\n");
}
