/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* As in net/identity.c: the form of SHA-256 that cannot fail. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "pipeline/mark_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "base/bytes.h"
#include "pipeline/whole_file.h"

#define MAGIC "SLMARK"
#define MAGIC_SIZE 6u
#define VERSION 1u
#define HEAD_SIZE 74u
#define FILE_SIZE_MAX (HEAD_SIZE + SL_MARK_PATH_SIZE + SHA256_DIGEST_LENGTH)

/* ---- Where it is ---- */

/* $XDG_STATE_HOME counts if it is absolute, as its specification says. */
static bool state_home(char *out, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int len = -1;
    if (state != NULL && state[0] == '/') {
        len = snprintf(out, size, "%s", state);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(out, size, "%s/.local/state", home);
    }
    return len >= 0 && (size_t)len < size;
}

/* The absolute path without links, as the kernel says it. */
static enum syncline_status real_path(const char *dir, char out[SL_MARK_PATH_SIZE],
                                      struct sl_error *err)
{
    char name[32];
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return sl_fail(err, SYNCLINE_EIO, "%s cannot be opened: %s", dir, strerror(errno));
    }
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, out, SL_MARK_PATH_SIZE);
    int code = errno;
    (void)close(fd);
    if (len < 0) {
        return sl_fail(err, SYNCLINE_EIO, "/proc does not tell where %s is: %s", dir,
                       strerror(code));
    }
    if ((size_t)len >= SL_MARK_PATH_SIZE) {
        return sl_fail(err, SYNCLINE_ETOOBIG, "the path of the library is longer than %u bytes",
                       SL_MARK_PATH_SIZE - 1);
    }
    out[len] = '\0';
    return SYNCLINE_OK;
}

enum syncline_status sl_mark_file_init(struct sl_mark_file *file, const char *dir,
                                       const struct syncline_uuid *device, struct sl_error *err)
{
    char home[SL_MARK_PATH_SIZE];
    char name[37];
    memset(file, 0, sizeof(*file));
    file->device = *device;
    enum syncline_status status = real_path(dir, file->dir, err);
    if (status != SYNCLINE_OK || !state_home(home, sizeof(home))) {
        return status;
    }
    sl_uuid_format(device, name);
    int len = snprintf(file->path, sizeof(file->path), "%s/syncline/%s.mark", home, name);
    if (len < 0 || (size_t)len >= sizeof(file->path)) {
        file->path[0] = '\0';
    }
    return SYNCLINE_OK;
}

/* The directories above it, for this user alone. What fails is met when the file is written. */
static void make_directories(const struct sl_mark_file *file)
{
    char path[SL_MARK_PATH_SIZE];
    memcpy(path, file->path, sizeof(path));
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

/* ---- Its bytes ---- */

static void hash_bytes(const uint8_t *data, size_t size, uint8_t hash[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX ctx;
    (void)SHA256_Init(&ctx);
    (void)SHA256_Update(&ctx, data, size);
    (void)SHA256_Final(hash, &ctx);
}

struct content {
    struct syncline_uuid device;
    struct sl_log_mark mark;
    char dir[SL_MARK_PATH_SIZE];
};

static bool decode(const uint8_t *data, size_t size, struct content *out)
{
    struct sl_reader reader;
    uint8_t magic[MAGIC_SIZE];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    uint8_t stored[SHA256_DIGEST_LENGTH];
    sl_reader_init(&reader, data, size);
    sl_read_copy(&reader, magic, sizeof(magic));
    uint16_t version = sl_read_u16(&reader);
    sl_read_copy(&reader, out->device.bytes, sizeof(out->device.bytes));
    out->mark.epoch = sl_read_u64(&reader);
    out->mark.seq = sl_read_u64(&reader);
    sl_read_copy(&reader, out->mark.hash, sizeof(out->mark.hash));
    uint16_t len = sl_read_u16(&reader);
    if (len >= sizeof(out->dir)) {
        return false;
    }
    sl_read_copy(&reader, out->dir, len);
    out->dir[len] = '\0';
    sl_read_copy(&reader, stored, sizeof(stored));
    if (!sl_reader_done(&reader) || memcmp(magic, MAGIC, MAGIC_SIZE) != 0 || version != VERSION) {
        return false;
    }
    hash_bytes(data, size - sizeof(stored), hash);
    return memcmp(hash, stored, sizeof(hash)) == 0;
}

static size_t encode(uint8_t out[FILE_SIZE_MAX], const struct sl_mark_file *file,
                     const struct sl_log_mark *mark)
{
    size_t len = strlen(file->dir);
    memcpy(out, MAGIC, MAGIC_SIZE);
    out[6] = VERSION;
    out[7] = 0;
    memcpy(out + 8, file->device.bytes, sizeof(file->device.bytes));
    sl_put_u64(out + 24, mark->epoch);
    sl_put_u64(out + 32, mark->seq);
    memcpy(out + 40, mark->hash, sizeof(mark->hash));
    out[72] = (uint8_t)(len & 0xffu);
    out[73] = (uint8_t)(len >> 8);
    memcpy(out + HEAD_SIZE, file->dir, len);
    hash_bytes(out, HEAD_SIZE + len, out + HEAD_SIZE + len);
    return HEAD_SIZE + len + SHA256_DIGEST_LENGTH;
}

/* ---- Reading and writing ---- */

static enum syncline_status load(const struct sl_mark_file *file, struct content *out,
                                 struct sl_error *err)
{
    uint8_t data[FILE_SIZE_MAX + 1]; /* one more, to see that it is too long */
    size_t size = 0;
    ssize_t got = 1;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "there is no %s", file->path);
    }
    while (fd >= 0 && size < sizeof(data) && got > 0) {
        got = read(fd, data + size, sizeof(data) - size);
        size += got > 0 ? (size_t)got : 0;
        got = got < 0 && errno == EINTR ? 1 : got;
    }
    int code = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (fd < 0 || got < 0) {
        return sl_fail(err, SYNCLINE_EIO, "%s cannot be read: %s", file->path, strerror(code));
    }
    bool whole = decode(data, size, out) && sl_uuid_equal(&out->device, &file->device);
    return whole ? SYNCLINE_OK
                 : sl_fail(err, SYNCLINE_EFORMAT,
                           "%s is damaged, or not this device's; it is made anew", file->path);
}

static enum syncline_status read_mark(void *ctx, struct sl_log_mark *mark, struct sl_error *err)
{
    struct content content;
    enum syncline_status status = load(ctx, &content, err);
    if (status == SYNCLINE_OK) {
        *mark = content.mark;
    }
    return status;
}

static enum syncline_status write_mark(void *ctx, const struct sl_log_mark *mark,
                                       struct sl_error *err)
{
    struct sl_mark_file *file = ctx;
    uint8_t bytes[FILE_SIZE_MAX];
    size_t size = encode(bytes, file, mark);
    make_directories(file);
    return sl_whole_file_write(file->path, bytes, size, 0600, err);
}

struct sl_mark_keeper *sl_mark_file_keeper(struct sl_mark_file *file, struct sl_mark_keeper *out)
{
    *out = (struct sl_mark_keeper){.read = read_mark, .write = write_mark, .ctx = file};
    return file->path[0] != '\0' ? out : NULL;
}

void sl_mark_file_remove(struct sl_mark_file *file)
{
    if (file->path[0] != '\0') {
        (void)unlink(file->path);
    }
}

/* ---- Copies ---- */

bool sl_mark_file_original(const struct sl_mark_file *file, char dir[SL_MARK_PATH_SIZE])
{
    struct content content;
    struct sl_error ignored;
    struct stat here;
    struct stat there;
    if (file->path[0] == '\0' || load(file, &content, &ignored) != SYNCLINE_OK ||
        stat(content.dir, &there) != 0 || stat(file->dir, &here) != 0 ||
        (here.st_dev == there.st_dev && here.st_ino == there.st_ino)) {
        return false;
    }
    memcpy(dir, content.dir, SL_MARK_PATH_SIZE);
    return true;
}

enum syncline_status sl_place_of(const char *dir, char place[SL_PLACE_SIZE], struct sl_error *err)
{
    struct statx st;
    if (statx(AT_FDCWD, dir, 0, STATX_INO | STATX_BTIME, &st) != 0) {
        return sl_fail(err, SYNCLINE_EIO, "%s cannot be found: %s", dir, strerror(errno));
    }
    bool born = (st.stx_mask & STATX_BTIME) != 0;
    (void)snprintf(place, SL_PLACE_SIZE, "%" PRIu64 " %" PRId64 ".%09" PRIu32, (uint64_t)st.stx_ino,
                   born ? (int64_t)st.stx_btime.tv_sec : 0, born ? st.stx_btime.tv_nsec : 0);
    return SYNCLINE_OK;
}
