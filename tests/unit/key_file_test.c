/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define FILE_SIZE 72

static char dir[64];  /* of this test; Criterion runs each in a process of its own */
static char path[96]; /* of its key */

static void set_up(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/syncline_key_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/device.key", dir);
}

static void remove_all(const char *suffix)
{
    char name[PATH_MAX];

    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    if (unlink(name) != 0)
        (void)rmdir(name);
}

static void tear_down(void)
{
    remove_all("");
    remove_all(".new");
    cr_assert_eq(rmdir(dir), 0, "something was left in %s", dir);
}

TestSuite(key_file, .init = set_up, .fini = tear_down);

static struct sl_identity some_identity(void)
{
    struct sl_identity identity;
    uint8_t key[SL_KEY_SIZE];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    cr_assert_eq(sl_identity_init(&identity, key, NULL), SYNCLINE_OK);
    return identity;
}

static size_t slurp(uint8_t *out, size_t size)
{
    FILE *file = fopen(path, "rb");

    cr_assert_not_null(file);
    size_t len = fread(out, 1, size, file);
    (void)fclose(file);
    return len;
}

static void spill(const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, data, size), (ssize_t)size);
    (void)close(fd);
}

/* Reading must fail like this, name the file, and leave file and result alone. */
static void expect_refusal(enum syncline_status expected, const char *says)
{
    struct sl_identity identity;
    struct sl_identity before;
    struct sl_error err = {0};

    memset(&identity, 0x5a, sizeof(identity));
    before = identity;
    cr_assert_eq(sl_key_file_read(path, &identity, &err), expected, "%s", err.text);
    cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    cr_assert_not_null(strstr(err.text, says), "%s", err.text);
    cr_assert_arr_eq((uint8_t *)&identity, (uint8_t *)&before, sizeof(identity));
}

/* ---- Calls that fail on request ----------------------------------------------------------- */

enum failing { NOTHING, FSYNC_FILE, FSYNC_DIR, RENAME, CLOSE, WRITE, FSTAT, READ };

static enum failing failing; /* the one call that fails; set for the length of one test's call */

static bool fails(enum failing call, int number)
{
    if (failing != call)
        return false;
    errno = number;
    return true;
}

/* These stand in front of libc's, for the whole program. */
#define SL_OVERRIDES __attribute__((visibility("default")))

SL_OVERRIDES int fsync(int fd)
{
    struct stat there;

    if (failing != NOTHING && fstatat(fd, "", &there, AT_EMPTY_PATH) == 0 &&
        fails(S_ISDIR(there.st_mode) ? FSYNC_DIR : FSYNC_FILE, EIO))
        return -1;
    return (int)syscall(SYS_fsync, fd);
}

SL_OVERRIDES int renameat2(int from_dir, const char *from, int to_dir, const char *to,
                           unsigned flags)
{
    if (fails(RENAME, EEXIST))
        return -1;
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

SL_OVERRIDES int close(int fd)
{
    int status = (int)syscall(SYS_close, fd);

    return fails(CLOSE, EDQUOT) ? -1 : status;
}

SL_OVERRIDES ssize_t write(int fd, const void *data, size_t size)
{
    return syscall(SYS_write, fd, data, failing == WRITE ? size / 2 : size);
}

SL_OVERRIDES int fstat(int fd, struct stat *there)
{
    return fails(FSTAT, EIO) ? -1 : fstatat(fd, "", there, AT_EMPTY_PATH);
}

SL_OVERRIDES ssize_t read(int fd, void *out, size_t size)
{
    static unsigned calls;

    if (failing == READ)
        return fails(READ, calls++ == 0 ? EINTR : EIO) ? -1 : 0;
    return syscall(SYS_read, fd, out, size);
}

/* A failure of any call while writing is told with its path, and leaves nothing behind. */
Test(key_file, every_failed_call_while_writing_is_reported)
{
    static const struct {
        enum failing call;
        enum syncline_status status;
    } cases[] = {{FSYNC_FILE, SYNCLINE_EIO},
                 {FSYNC_DIR, SYNCLINE_EIO},
                 {RENAME, SYNCLINE_EEXIST},
                 {CLOSE, SYNCLINE_ENOSPC},
                 {WRITE, SYNCLINE_ENOSPC}};
    struct sl_identity identity = some_identity();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        char left[PATH_MAX];
        failing = cases[i].call;
        enum syncline_status status = sl_key_file_write(path, &identity, &err);
        failing = NOTHING;
        cr_assert_eq(status, cases[i].status, "case %zu: %s", i, err.text);
        cr_assert_not_null(strstr(err.text, dir), "%s", err.text);
        cr_assert_neq(access(path, F_OK), 0);
        (void)snprintf(left, sizeof(left), "%s.new", path);
        cr_assert_neq(access(left, F_OK), 0);
    }
    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
}

/* So is one while reading; an interrupted read goes on. */
Test(key_file, every_failed_call_while_reading_is_reported)
{
    struct sl_identity identity = some_identity();
    static const enum failing calls[] = {FSTAT, READ};

    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
    for (size_t i = 0; i < 2; i++) {
        struct sl_error err = {0};
        failing = calls[i];
        enum syncline_status status = sl_key_file_read(path, &identity, &err);
        failing = NOTHING;
        cr_assert_eq(status, SYNCLINE_EIO);
        cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    }
    cr_assert_eq(sl_key_file_read(path, &identity, NULL), SYNCLINE_OK);
}

/* ---- Writing and reading ------------------------------------------------------------------ */

/* What was written is read back; the file has these 72 bytes and mode 0600 under any umask. */
Test(key_file, is_written_and_read)
{
    static const uint8_t golden[FILE_SIZE] = {
        'S', 'L', 'K', 'E', 'Y', 0, 1, 0, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
        0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
        0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
        /* sha256sum of the above */
        0xd5, 0x79, 0x5e, 0x9f, 0x70, 0x29, 0x97, 0x41, 0x80, 0xa1, 0x00, 0xcb, 0x42, 0xbb, 0xd5,
        0x89, 0xed, 0xe3, 0x25, 0x9f, 0x1c, 0xf5, 0x91, 0xcd, 0x3a, 0x87, 0xa2, 0x83, 0x86, 0xdf,
        0x54, 0xf8};
    struct sl_identity identity = some_identity();
    struct sl_identity read;
    struct stat there;
    uint8_t bytes[FILE_SIZE + 1];

    (void)umask(0277);
    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
    cr_assert_eq(stat(path, &there), 0);
    cr_assert_eq(there.st_mode & 07777, 0600);
    cr_assert_eq(slurp(bytes, sizeof(bytes)), FILE_SIZE);
    cr_assert_arr_eq(bytes, golden, FILE_SIZE);
    cr_assert_eq(sl_key_file_read(path, &read, NULL), SYNCLINE_OK);
    cr_assert_arr_eq((uint8_t *)&read, (uint8_t *)&identity, sizeof(read));
}

/* A path without a folder is one in the current folder. */
Test(key_file, relative_paths_work)
{
    struct sl_identity identity = some_identity();

    cr_assert_eq(chdir(dir), 0);
    cr_assert_eq(sl_key_file_write("device.key", &identity, NULL), SYNCLINE_OK);
    cr_assert_eq(sl_key_file_read("device.key", &identity, NULL), SYNCLINE_OK);
}

/* A key that is there, or anything else of that name, is never replaced. */
Test(key_file, an_existing_file_is_kept)
{
    struct sl_identity identity = some_identity();
    struct sl_error err = {0};
    uint8_t byte;

    spill((const uint8_t *)"x", 1);
    cr_assert_eq(sl_key_file_write(path, &identity, &err), SYNCLINE_EEXIST);
    cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    cr_assert_eq(slurp(&byte, 1), 1);
    cr_assert_eq(byte, 'x');
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("nowhere", path), 0);
    cr_assert_eq(sl_key_file_write(path, &identity, &err), SYNCLINE_EEXIST);
}

/* What a crash left of an earlier try does not matter. */
Test(key_file, a_left_over_new_file_is_replaced)
{
    struct sl_identity identity = some_identity();
    char left[PATH_MAX];

    (void)snprintf(left, sizeof(left), "%s.new", path);
    cr_assert_eq(symlink("/nowhere/at/all", left), 0);
    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
    cr_assert_eq(sl_key_file_read(path, &identity, NULL), SYNCLINE_OK);
    cr_assert_neq(access(left, F_OK), 0);
}

/* No folder, a name that is taken by a folder, a path too long: EIO with the path. */
Test(key_file, what_cannot_be_created_is_reported)
{
    struct sl_identity identity = some_identity();
    struct sl_error err = {0};
    char other[PATH_MAX + 100];

    (void)snprintf(other, sizeof(other), "%s/none/device.key", dir);
    cr_assert_eq(sl_key_file_write(other, &identity, &err), SYNCLINE_EIO);
    cr_assert_not_null(strstr(err.text, other), "%s", err.text);
    (void)snprintf(other, sizeof(other), "%s.new", path);
    cr_assert_eq(mkdir(other, 0700), 0);
    cr_assert_eq(sl_key_file_write(path, &identity, &err), SYNCLINE_EEXIST);
    cr_assert_not_null(strstr(err.text, other), "%s", err.text);
    memset(other, 'x', sizeof(other));
    other[PATH_MAX] = '\0';
    cr_assert_eq(sl_key_file_write(other, &identity, &err), SYNCLINE_EIO);
    cr_assert_not_null(strstr(err.text, "too long"), "%s", err.text);
}

/* A write that fails leaves nothing behind. */
Test(key_file, a_failed_write_leaves_nothing)
{
    struct sl_identity identity = some_identity();
    struct sl_error err = {0};
    struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    struct rlimit before;

    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum syncline_status status = sl_key_file_write(path, &identity, &err);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_assert_eq(status, SYNCLINE_EIO, "%s", err.text);
    cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    cr_assert_neq(access(path, F_OK), 0);
}

/* A full disk is ENOSPC. Needs a file system of its own. */
Test(key_file, a_full_disk_is_reported)
{
    struct sl_identity identity = some_identity();
    struct sl_error err = {0};
    char filler[PATH_MAX];
    static const uint8_t block[65536];

    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        cr_skip_test("may not mount: %s", strerror(errno));
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir, "tmpfs", 0, "size=16k") != 0)
        cr_skip_test("may not mount: %s", strerror(errno));
    (void)snprintf(filler, sizeof(filler), "%s/filler", dir);
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    (void)close(fd);
    enum syncline_status status = sl_key_file_write(path, &identity, &err);
    cr_expect_eq(status, SYNCLINE_ENOSPC, "%s", err.text);
    cr_expect_neq(access(path, F_OK), 0);
    (void)umount(dir);
}

/* No file: ENOTFOUND, not an empty identity. */
Test(key_file, no_file_is_reported)
{
    expect_refusal(SYNCLINE_ENOTFOUND, "no device key");
}

/* A file that others may use is refused, for every single right, and the text has the cure. */
Test(key_file, a_file_open_to_others_is_refused)
{
    struct sl_identity identity = some_identity();

    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
    for (unsigned bit = 1; bit <= 040; bit <<= 1) {
        cr_assert_eq(chmod(path, 0600 | bit), 0);
        expect_refusal(SYNCLINE_EREFUSED, "chmod 600");
    }
    cr_assert_eq(chmod(path, 0400), 0);
    cr_assert_eq(sl_key_file_read(path, &identity, NULL), SYNCLINE_OK);
}

/* A changed bit anywhere is noticed. */
Test(key_file, damage_anywhere_is_noticed)
{
    struct sl_identity identity = some_identity();
    uint8_t bytes[FILE_SIZE];

    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
    cr_assert_eq(slurp(bytes, sizeof(bytes)), FILE_SIZE);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        spill(bytes, sizeof(bytes));
        expect_refusal(SYNCLINE_EFORMAT, "");
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    spill(bytes, sizeof(bytes));
    cr_assert_eq(sl_key_file_read(path, &identity, NULL), SYNCLINE_OK);
}

/* A file cut anywhere or with a byte too many is refused. */
Test(key_file, every_wrong_length_is_refused)
{
    struct sl_identity identity = some_identity();
    uint8_t bytes[FILE_SIZE + 1] = {0};

    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
    cr_assert_eq(slurp(bytes, sizeof(bytes)), FILE_SIZE);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        spill(bytes, size);
        if (size != FILE_SIZE)
            expect_refusal(SYNCLINE_EFORMAT, "backup");
    }
}

/* Other files, newer versions and things that are no files are told apart. */
Test(key_file, what_is_no_key_file_is_refused)
{
    struct sl_identity identity = some_identity();
    uint8_t bytes[FILE_SIZE];

    cr_assert_eq(sl_key_file_write(path, &identity, NULL), SYNCLINE_OK);
    cr_assert_eq(slurp(bytes, sizeof(bytes)), FILE_SIZE);
    bytes[6] = 2;
    spill(bytes, sizeof(bytes));
    expect_refusal(SYNCLINE_EFORMAT, "version 2");
    bytes[6] = 0;
    spill(bytes, sizeof(bytes));
    expect_refusal(SYNCLINE_EFORMAT, "damaged");
    spill((const uint8_t *)"-----BEGIN PRIVATE KEY-----", 27);
    expect_refusal(SYNCLINE_EFORMAT, "not a device key");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refusal(SYNCLINE_EFORMAT, "not a file");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink(path, path), 0);
    expect_refusal(SYNCLINE_EIO, "cannot open");
}
