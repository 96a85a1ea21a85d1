/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/mark_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/syncline-mark-XXXXXX";
static struct sl_mark_file file;
static struct sl_mark_keeper keeper;
static struct sl_error err;
static const struct syncline_uuid device = {
    {0xd0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
static const struct sl_log_mark mark = {
    .epoch = UINT64_C(0x0001020304050607), .seq = 258, .hash = {0xaa, 0xbb}};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(mkdir(in_folder("library"), 0700), 0);
    cr_assert_eq(setenv("XDG_STATE_HOME", in_folder("state/of/me"), 1), 0);
    cr_assert_eq(sl_mark_file_init(&file, in_folder("library"), &device, &err), SYNCLINE_OK);
    cr_assert_not_null(sl_mark_file_keeper(&file, &keeper));
}

static void tear_down(void)
{
    cr_expect_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(mark_file, .init = set_up, .fini = tear_down);

static enum syncline_status read_mark(struct sl_log_mark *out)
{
    return keeper.read(keeper.ctx, out, &err);
}

static void write_mark(void)
{
    cr_assert_eq(keeper.write(keeper.ctx, &mark, &err), SYNCLINE_OK, "%s", err.text);
}

/* The bytes of the file, and that they come back. */
Test(mark_file, bytes)
{
    uint8_t bytes[512];
    struct sl_log_mark back;
    struct stat st;
    static const uint8_t head[74] = {
        'S', 'L', 'M', 'A', 'R', 'K', 1, 0, 0xd0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,   12,
        13,  14,  15,  7,   6,   5,   4, 3, 2,    1, 0, 2, 1, 0, 0, 0, 0, 0, 0,  0xaa, 0xbb};
    write_mark();
    cr_assert_eq(read_mark(&back), SYNCLINE_OK);
    cr_expect_eq(memcmp(&back, &mark, sizeof(back)), 0);
    cr_assert_eq(stat(file.path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    int fd = open(file.path, O_RDONLY);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    (void)close(fd);
    size_t len = strlen(file.dir);
    cr_assert_eq(size, (ssize_t)(sizeof(head) + len + 32));
    cr_expect_eq(memcmp(bytes, head, 72), 0);
    cr_expect_eq(bytes[72] + 256 * bytes[73], (int)len);
    cr_expect_eq(memcmp(bytes + 74, file.dir, len), 0);
    cr_expect_not_null(strstr(file.path, "/syncline/d0010203-0405-0607-0809-0a0b0c0d0e0f.mark"));
}

/* It is not there; each byte of it damaged; cut short; too long; another device's. */
Test(mark_file, not_whole)
{
    struct sl_log_mark back;
    uint8_t bytes[512];
    cr_expect_eq(read_mark(&back), SYNCLINE_ENOTFOUND);
    write_mark();
    int fd = open(file.path, O_RDWR);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < size; i++) {
        uint8_t wrong = bytes[i] ^ 0x10u;
        cr_assert_eq(pwrite(fd, &wrong, 1, i), 1);
        cr_expect_eq(read_mark(&back), SYNCLINE_EFORMAT, "byte %zd", i);
        cr_assert_eq(pwrite(fd, &bytes[i], 1, i), 1);
    }
    cr_expect_eq(read_mark(&back), SYNCLINE_OK);
    cr_assert_eq(ftruncate(fd, size - 1), 0);
    cr_expect_eq(read_mark(&back), SYNCLINE_EFORMAT);
    cr_assert_eq(pwrite(fd, bytes, (size_t)size, 0), size);
    cr_assert_eq(pwrite(fd, "x", 1, size), 1);
    cr_expect_eq(read_mark(&back), SYNCLINE_EFORMAT);
    cr_assert_eq(ftruncate(fd, size), 0);
    cr_expect_eq(read_mark(&back), SYNCLINE_OK);
    file.device.bytes[0] = 0xd1;
    cr_expect_eq(read_mark(&back), SYNCLINE_EFORMAT);
    (void)close(fd);
    sl_mark_file_remove(&file);
    cr_expect_eq(read_mark(&back), SYNCLINE_ENOTFOUND);
}

/* No place for it, by the environment: no marks. $HOME counts where XDG_STATE_HOME says nothing. */
Test(mark_file, environment)
{
    cr_assert_eq(setenv("HOME", folder, 1), 0);
    cr_assert_eq(setenv("XDG_STATE_HOME", "relative", 1), 0);
    cr_assert_eq(sl_mark_file_init(&file, in_folder("library"), &device, &err), SYNCLINE_OK);
    cr_assert_not_null(sl_mark_file_keeper(&file, &keeper));
    cr_expect_not_null(strstr(file.path, "/.local/state/syncline/d0"));
    cr_assert_eq(unsetenv("HOME"), 0);
    cr_assert_eq(sl_mark_file_init(&file, in_folder("library"), &device, &err), SYNCLINE_OK);
    cr_expect_null(sl_mark_file_keeper(&file, &keeper));
    char original[SL_MARK_PATH_SIZE];
    cr_expect_not(sl_mark_file_original(&file, original));
    sl_mark_file_remove(&file);
    char *longer = malloc(SL_MARK_PATH_SIZE + 1);
    cr_assert_not_null(longer);
    memset(longer, 'x', SL_MARK_PATH_SIZE);
    longer[0] = '/';
    longer[SL_MARK_PATH_SIZE - 20] = '\0';
    cr_assert_eq(setenv("XDG_STATE_HOME", longer, 1), 0);
    cr_assert_eq(sl_mark_file_init(&file, in_folder("library"), &device, &err), SYNCLINE_OK);
    cr_expect_null(sl_mark_file_keeper(&file, &keeper));
    longer[SL_MARK_PATH_SIZE - 20] = 'x';
    longer[SL_MARK_PATH_SIZE] = '\0';
    cr_assert_eq(setenv("XDG_STATE_HOME", longer, 1), 0);
    cr_assert_eq(sl_mark_file_init(&file, in_folder("library"), &device, &err), SYNCLINE_OK);
    cr_expect_null(sl_mark_file_keeper(&file, &keeper));
    free(longer);
    cr_expect_eq(sl_mark_file_init(&file, in_folder("none"), &device, &err), SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, "none"));
    char place[SL_PLACE_SIZE];
    cr_expect_eq(sl_place_of(in_folder("none"), place, &err), SYNCLINE_EIO);
}

/* It cannot be written, or read: both name the file. */
Test(mark_file, in_the_way)
{
    struct sl_log_mark back;
    cr_assert_eq(close(open(in_folder("state"), O_CREAT | O_WRONLY, 0600)), 0);
    cr_expect_eq(keeper.write(keeper.ctx, &mark, &err), SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, ".mark"), "%s", err.text);
    cr_expect_eq(read_mark(&back), SYNCLINE_ENOTFOUND);
    cr_assert_eq(unlink(in_folder("state")), 0);
    write_mark();
    cr_assert_eq(unlink(file.path), 0);
    cr_assert_eq(mkdir(file.path, 0700), 0);
    cr_expect_eq(read_mark(&back), SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, "Is a directory"), "%s", err.text);
    cr_expect_eq(keeper.write(keeper.ctx, &mark, &err), SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, "cannot be replaced"), "%s", err.text);
}

/* A copy is told from its original while that is there. */
Test(mark_file, copy)
{
    struct sl_mark_file copy;
    struct sl_mark_file link;
    char original[SL_MARK_PATH_SIZE] = "";
    cr_assert_eq(mkdir(in_folder("copy"), 0700), 0);
    cr_assert_eq(symlink("library", in_folder("link")), 0);
    cr_assert_eq(sl_mark_file_init(&copy, in_folder("copy"), &device, &err), SYNCLINE_OK);
    cr_assert_eq(sl_mark_file_init(&link, in_folder("link"), &device, &err), SYNCLINE_OK);
    cr_expect_not(sl_mark_file_original(&copy, original), "no mark");
    write_mark();
    cr_expect_not(sl_mark_file_original(&file, original));
    cr_expect_str_eq(link.dir, file.dir);
    cr_expect_not(sl_mark_file_original(&link, original));
    cr_expect(sl_mark_file_original(&copy, original));
    cr_expect_str_eq(original, file.dir);
    cr_assert_eq(rename(in_folder("library"), in_folder("away")), 0);
    cr_expect_not(sl_mark_file_original(&copy, original));
}

/* Two directories have two places, one has one. */
Test(mark_file, place)
{
    char one[SL_PLACE_SIZE];
    char again[SL_PLACE_SIZE];
    char other[SL_PLACE_SIZE];
    cr_assert_eq(sl_place_of(in_folder("library"), one, &err), SYNCLINE_OK);
    cr_assert_eq(rename(in_folder("library"), in_folder("moved")), 0);
    cr_assert_eq(sl_place_of(in_folder("moved"), again, &err), SYNCLINE_OK);
    cr_assert_eq(mkdir(in_folder("library"), 0700), 0);
    cr_assert_eq(sl_place_of(in_folder("library"), other, &err), SYNCLINE_OK);
    cr_expect_str_eq(one, again);
    cr_expect_str_neq(one, other);
}
