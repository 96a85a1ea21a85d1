/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* As in identity.c: the form of SHA-256 that cannot fail. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "net/key_file.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define MAGIC "SLKEY" /* its NUL is part of it */
#define MAGIC_SIZE 6u
#define VERSION 1u
#define HASHED_SIZE (MAGIC_SIZE + 2u + SL_KEY_SIZE)
#define FILE_SIZE (HASHED_SIZE + SHA256_DIGEST_LENGTH)
#define NEW_SUFFIX ".new"

_Static_assert(sizeof(MAGIC) == MAGIC_SIZE && FILE_SIZE == 72, "the file has 72 bytes");

static void hash_file(const uint8_t file[FILE_SIZE], uint8_t hash[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX ctx;

    (void)SHA256_Init(&ctx);
    (void)SHA256_Update(&ctx, file, HASHED_SIZE);
    (void)SHA256_Final(hash, &ctx);
    OPENSSL_cleanse(&ctx, sizeof(ctx));
}

static enum syncline_status fail_errno(struct sl_error *err, const char *did, const char *path)
{
    int number = errno;
    enum syncline_status status = SYNCLINE_EIO;

    if (number == ENOSPC || number == EDQUOT)
        status = SYNCLINE_ENOSPC;
    if (number == EEXIST)
        status = SYNCLINE_EEXIST;
    return sl_fail(err, status, "cannot %s %s: %s", did, path, strerror(number));
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* Writes and syncs a file that is not there yet; leaves nothing behind on failure. */
static enum syncline_status write_new(const char *path, const uint8_t file[FILE_SIZE],
                                      struct sl_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, "create", path);
    ssize_t written = write(fd, file, FILE_SIZE);
    if (written >= 0 && (size_t)written < FILE_SIZE)
        errno = ENOSPC; /* a short write to a file says that there is no room */
    /* The umask may have taken even our own rights away. */
    bool ok = written == (ssize_t)FILE_SIZE && fchmod(fd, 0600) == 0 && fsync(fd) == 0;
    enum syncline_status status = ok ? SYNCLINE_OK : fail_errno(err, "write", path);
    if (close(fd) != 0 && status == SYNCLINE_OK)
        status = fail_errno(err, "write", path);
    if (status != SYNCLINE_OK)
        (void)unlink(path);
    return status;
}

static enum syncline_status sync_directory_of(const char *path, struct sl_error *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;

    memcpy(dir, slash == NULL ? "." : path, len);
    memcpy(dir + len, ".", 2);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "open", dir);
    enum syncline_status status = fsync(fd) == 0 ? SYNCLINE_OK : fail_errno(err, "sync", dir);
    (void)close(fd);
    return status;
}

enum syncline_status sl_key_file_write(const char *path, const struct sl_identity *identity,
                                       struct sl_error *err)
{
    char path_new[PATH_MAX];
    uint8_t file[FILE_SIZE] = MAGIC;
    struct stat there;

    int len = snprintf(path_new, sizeof(path_new), "%s" NEW_SUFFIX, path);
    if (len < 0 || (size_t)len >= sizeof(path_new))
        return sl_fail(err, SYNCLINE_EIO, "cannot create %.60s...: the path is too long", path);
    if (lstat(path, &there) == 0)
        return sl_fail(err, SYNCLINE_EEXIST, "%s is there already; a device keeps its key for life",
                       path);
    file[MAGIC_SIZE] = VERSION;
    memcpy(file + MAGIC_SIZE + 2, identity->private_key, SL_KEY_SIZE);
    hash_file(file, file + HASHED_SIZE);
    (void)unlink(path_new); /* left by a crash, and no key of anybody */
    enum syncline_status status = write_new(path_new, file, err);
    OPENSSL_cleanse(file, sizeof(file));
    if (status != SYNCLINE_OK)
        return status;
    if (renameat2(AT_FDCWD, path_new, AT_FDCWD, path, RENAME_NOREPLACE) != 0) {
        status = fail_errno(err, "create", path);
        (void)unlink(path_new);
        return status;
    }
    status = sync_directory_of(path, err);
    if (status != SYNCLINE_OK)
        (void)unlink(path); /* nobody has used it yet */
    return status;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static enum syncline_status check_mode(int fd, const char *path, struct sl_error *err)
{
    struct stat there;

    if (fstat(fd, &there) != 0)
        return fail_errno(err, "look at", path);
    if (!S_ISREG(there.st_mode))
        return sl_fail(err, SYNCLINE_EFORMAT, "%s is not a file; a device key belongs there", path);
    if ((there.st_mode & 077) != 0)
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "%s may be used by others (mode %04o); run: chmod 600 %s", path,
                       (unsigned)(there.st_mode & 07777), path);
    return SYNCLINE_OK;
}

/* Reads up to `size` bytes. Returns how many, or -1 with errno. */
static ssize_t read_all(int fd, uint8_t *out, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = read(fd, out + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static enum syncline_status parse(const uint8_t *file, size_t size, const char *path,
                                  struct sl_identity *identity, struct sl_error *err)
{
    struct sl_reader reader;
    uint8_t magic[MAGIC_SIZE];
    uint8_t hash[SHA256_DIGEST_LENGTH];

    sl_reader_init(&reader, file, size);
    sl_read_copy(&reader, magic, sizeof(magic));
    uint16_t version = sl_read_u16(&reader);
    const uint8_t *private_key = sl_read_bytes(&reader, SL_KEY_SIZE);
    const uint8_t *stored = sl_read_bytes(&reader, SHA256_DIGEST_LENGTH);
    if (memcmp(magic, MAGIC, MAGIC_SIZE) != 0)
        return sl_fail(err, SYNCLINE_EFORMAT,
                       "%s is not a device key; put the right file back from a backup", path);
    if (version > VERSION)
        return sl_fail(err, SYNCLINE_EFORMAT,
                       "%s is of version %u, this Syncline knows %u; use the newer Syncline", path,
                       version, VERSION);
    if (sl_reader_done(&reader) && version == VERSION) {
        hash_file(file, hash);
        if (memcmp(hash, stored, sizeof(hash)) == 0)
            return sl_identity_init(identity, private_key, err);
    }
    return sl_fail(err, SYNCLINE_EFORMAT, "%s is damaged; put it back from a backup", path);
}

enum syncline_status sl_key_file_read(const char *path, struct sl_identity *identity,
                                      struct sl_error *err)
{
    uint8_t file[FILE_SIZE + 1]; /* one more, to see that it is too long */

    /* O_NONBLOCK: a pipe of that name must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "there is no device key at %s: put it back from a backup; without it join "
                       "anew in another directory (docs/RECOVERY.md)",
                       path);
    if (fd < 0)
        return fail_errno(err, "open", path);
    enum syncline_status status = check_mode(fd, path, err);
    if (status == SYNCLINE_OK) {
        ssize_t size = read_all(fd, file, sizeof(file));
        status = size < 0 ? fail_errno(err, "read", path)
                          : parse(file, (size_t)size, path, identity, err);
        OPENSSL_cleanse(file, sizeof(file));
    }
    (void)close(fd);
    return status;
}
