/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/conf_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>

#include "base/bytes.h"
#include "pipeline/whole_file.h"

#define HEADING "# Settings of this library; `syncline config list` shows all there are.\n"
#define NO_SETTING "this is no setting; write key = value"
#define PATH_SIZE 4096

/* ---- Parsing ---- */

/* A text that inih takes line by line, and what came of it. */
struct parse {
    const char *path; /* for texts */
    const char *data; /* the file */
    size_t len;
    size_t line_at; /* the line that inih has now */
    size_t next_at; /* where the next one begins */
    uint32_t line;  /* its number, from 1 */
    sl_conf_fn take;
    void *ctx;
    enum syncline_status status;
    struct sl_error *err;
};

static void fail_line(struct parse *parse, const char *why)
{
    parse->status =
        sl_fail(parse->err, SYNCLINE_EINVAL, "%s:%u: %s", parse->path, parse->line, why);
}

/* What inih would make something else of. */
static const char *wrong_line(const char *line, size_t len, int size)
{
    if (memchr(line, '\0', len) != NULL) {
        return "the line holds a zero byte; write text";
    }
    if (len + 1 > (size_t)size) {
        return "the line is too long; make it shorter";
    }
    size_t at = 0;
    while (at < len && isspace((unsigned char)line[at])) {
        at++;
    }
    if (at > 0 && at < len && line[at] != ';' && line[at] != '#') {
        return "the line begins with a blank; begin it with the key";
    }
    if (at == 0 && len > 0 && line[0] == '[') {
        return "there are no sections; write key = value";
    }
    return NULL;
}

/* As fgets; ends early after a failure. */
static char *next_line(char *out, int size, void *ctx)
{
    struct parse *parse = ctx;
    if (parse->status != SYNCLINE_OK || parse->next_at == parse->len) {
        return NULL;
    }
    const char *line = parse->data + parse->next_at;
    const char *newline = memchr(line, '\n', parse->len - parse->next_at);
    size_t len = newline != NULL ? (size_t)(newline - line) + 1 : parse->len - parse->next_at;
    parse->line_at = parse->next_at;
    parse->next_at += len;
    parse->line++;
    const char *why = wrong_line(line, len, size);
    if (why != NULL) {
        fail_line(parse, why);
        return NULL;
    }
    memcpy(out, line, len);
    out[len] = '\0';
    return out;
}

/* For inih, 0 is a failure. */
static int take_pair(void *ctx, const char *section, const char *key, const char *value)
{
    struct parse *parse = ctx;
    (void)section; /* refused */
    if (parse->status != SYNCLINE_OK) {
        return 0;
    }
    if (value == NULL) { /* the host has told inih to allow that */
        fail_line(parse, NO_SETTING);
        return 0;
    }
    enum syncline_status status = parse->take(parse->ctx, key, value, parse->line, parse->err);
    if (status != SYNCLINE_OK) {
        parse->status =
            sl_fail_prefix(parse->err, status, "%s:%u", parse->path, (unsigned)parse->line);
    }
    return status == SYNCLINE_OK ? 1 : 0;
}

static enum syncline_status run(struct parse *parse)
{
    int line = ini_parse_stream(next_line, parse, take_pair, parse);
    if (parse->status == SYNCLINE_OK && line < 0) {
        return sl_fail(parse->err, SYNCLINE_ENOMEM, "no memory to read %s", parse->path);
    }
    if (parse->status == SYNCLINE_OK && line > 0) {
        parse->line = (uint32_t)line;
        fail_line(parse, NO_SETTING);
    }
    return parse->status;
}

/* ---- Reading ---- */

static enum syncline_status fail_errno(struct sl_error *err, const char *cannot, const char *path)
{
    int code = errno;
    bool full = code == ENOSPC || code == EDQUOT;
    return sl_fail(err, full ? SYNCLINE_ENOSPC : SYNCLINE_EIO, "%s cannot be %s: %s", path, cannot,
                   strerror(code));
}

static enum syncline_status read_all(int fd, const char *path, struct sl_buf *out,
                                     struct sl_error *err)
{
    for (;;) {
        if (!sl_buf_reserve(out, 4096)) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to read %s", path);
        }
        ssize_t got = read(fd, out->data + out->len, out->capacity - out->len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno(err, "read", path);
        }
        if (got == 0) {
            return SYNCLINE_OK;
        }
        out->len += (size_t)got;
        if (out->len > SL_CONF_SIZE_MAX) {
            return sl_fail(err, SYNCLINE_EINVAL, "%s has more than %u bytes; make it shorter", path,
                           SL_CONF_SIZE_MAX);
        }
    }
}

/* The file's bytes and mode; no bytes and the usual mode if it is not there. */
static enum syncline_status load(const char *path, struct sl_buf *out, mode_t *mode,
                                 struct sl_error *err)
{
    struct stat st;
    *mode = 0644;
    /* O_NONBLOCK: a pipe of that name must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return SYNCLINE_OK;
    }
    if (fd < 0) {
        return fail_errno(err, "opened", path);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (fstat(fd, &st) != 0) {
        status = fail_errno(err, "read", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = sl_fail(err, SYNCLINE_EINVAL, "%s is not a file; settings belong there", path);
    } else {
        *mode = st.st_mode & 0777;
        status = read_all(fd, path, out, err);
    }
    (void)close(fd);
    return status;
}

static enum syncline_status join_path(char out[PATH_SIZE], const char *dir, const char *name,
                                      struct sl_error *err)
{
    int len = snprintf(out, PATH_SIZE, "%s/%s", dir, name);
    if (len < 0 || len >= PATH_SIZE) {
        return sl_fail(err, SYNCLINE_EIO, "the path of %s is longer than %d bytes", name,
                       PATH_SIZE - 1);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_conf_read(const struct sl_allocator *alloc, const char *dir,
                                  sl_conf_fn take, void *ctx, struct sl_error *err)
{
    char path[PATH_SIZE];
    struct sl_buf text;
    mode_t mode;
    enum syncline_status status = join_path(path, dir, SL_CONF_NAME, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_buf_init(&text, alloc);
    status = load(path, &text, &mode, err);
    if (status == SYNCLINE_OK && text.len > 0) {
        struct parse parse = {.path = path,
                              .data = (const char *)text.data,
                              .len = text.len,
                              .take = take,
                              .ctx = ctx,
                              .err = err};
        status = run(&parse);
    }
    sl_buf_fini(&text);
    return status;
}

/* ---- The new text ---- */

/* A text that is copied with one key changed. */
struct edit {
    struct parse *parse; /* of the old text: says where lines are */
    const char *key;
    const char *value; /* NULL: removed */
    size_t copied;     /* bytes of the old text that are dealt with */
    bool placed;       /* the new line is there */
    struct sl_buf out;
};

static void put(struct sl_buf *out, const char *text, size_t len)
{
    sl_buf_bytes(out, text, len);
}

static void put_setting(struct edit *edit)
{
    put(&edit->out, edit->key, strlen(edit->key));
    put(&edit->out, edit->value[0] != '\0' ? " = " : " =", edit->value[0] != '\0' ? 3 : 2);
    put(&edit->out, edit->value, strlen(edit->value));
}

/* What follows the value in a line: the comment with the blanks before it, and the line's end. */
static size_t find_tail(const char *line, size_t len)
{
    size_t end = 0;
    while (end < len && line[end] != '\n' && line[end] != '\r' &&
           !(line[end] == ';' && end > 0 && isspace((unsigned char)line[end - 1]))) {
        end++;
    }
    while (end > 0 && isspace((unsigned char)line[end - 1])) {
        end--;
    }
    return end;
}

static enum syncline_status edit_line(void *ctx, const char *key, const char *value,
                                      uint32_t line_number, struct sl_error *err)
{
    struct edit *edit = ctx;
    const struct parse *parse = edit->parse;
    (void)value;
    (void)line_number;
    (void)err;
    if (strcmp(key, edit->key) != 0) {
        return SYNCLINE_OK;
    }
    put(&edit->out, parse->data + edit->copied, parse->line_at - edit->copied);
    if (edit->value != NULL && !edit->placed) {
        const char *line = parse->data + parse->line_at;
        size_t len = parse->next_at - parse->line_at;
        size_t tail = find_tail(line, len);
        put_setting(edit);
        put(&edit->out, line + tail, len - tail);
    }
    edit->placed = true;
    edit->copied = parse->next_at;
    return SYNCLINE_OK;
}

static enum syncline_status make_text(struct edit *edit)
{
    struct parse *parse = edit->parse;
    enum syncline_status status = parse->len > 0 ? run(parse) : SYNCLINE_OK;
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (parse->len == 0 && edit->value != NULL) {
        put(&edit->out, HEADING, strlen(HEADING));
    }
    if (parse->len > 0) {
        put(&edit->out, parse->data + edit->copied, parse->len - edit->copied);
    }
    if (edit->value != NULL && !edit->placed) {
        if (edit->out.len > 0 && edit->out.data[edit->out.len - 1] != '\n') {
            put(&edit->out, "\n", 1);
        }
        put_setting(edit);
        put(&edit->out, "\n", 1);
    }
    return edit->out.failed
               ? sl_fail(parse->err, SYNCLINE_ENOMEM, "no memory to change %s", parse->path)
               : SYNCLINE_OK;
}

/* Does the new text say what it should? */
struct proof {
    const char *key;
    const char *value;
    size_t found;
    bool equal;
};

static enum syncline_status prove(void *ctx, const char *key, const char *value, uint32_t line,
                                  struct sl_error *err)
{
    struct proof *proof = ctx;
    (void)line;
    (void)err;
    if (strcmp(key, proof->key) == 0) {
        proof->found++;
        proof->equal = proof->value != NULL && strcmp(value, proof->value) == 0;
    }
    return SYNCLINE_OK;
}

static enum syncline_status check_text(const struct edit *edit, struct sl_error *err)
{
    struct proof proof = {.key = edit->key, .value = edit->value};
    struct parse parse = {.path = edit->parse->path,
                          .data = (const char *)edit->out.data,
                          .len = edit->out.len,
                          .take = prove,
                          .ctx = &proof,
                          .err = err};
    enum syncline_status status = edit->out.len > 0 ? run(&parse) : SYNCLINE_OK;
    if (status == SYNCLINE_OK && (edit->value != NULL ? !proof.equal : proof.found > 0)) {
        status = sl_fail(err, SYNCLINE_EINVAL, "%s: %s cannot be written as one line", parse.path,
                         edit->key);
    }
    if (status == SYNCLINE_OK && edit->out.len > SL_CONF_SIZE_MAX) {
        status = sl_fail(err, SYNCLINE_EINVAL, "%s would have more than %u bytes; make it shorter",
                         parse.path, SL_CONF_SIZE_MAX);
    }
    return status;
}

/* ---- Writing ---- */

static enum syncline_status check_no_link(const char *path, struct sl_error *err)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "%s is a symbolic link; change the file that it points at", path);
    }
    return SYNCLINE_OK;
}

/* With the lock on the directory. */
static enum syncline_status set_locked(const struct sl_allocator *alloc, const char *dir,
                                       const char *key, const char *value, struct sl_error *err)
{
    char path[PATH_SIZE];
    struct sl_buf text;
    mode_t mode = 0;
    enum syncline_status status = join_path(path, dir, SL_CONF_NAME, err);
    if (status == SYNCLINE_OK) {
        status = check_no_link(path, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_buf_init(&text, alloc);
    struct parse parse = {.path = path, .take = edit_line, .err = err};
    struct edit edit = {.parse = &parse, .key = key, .value = value};
    parse.ctx = &edit;
    sl_buf_init(&edit.out, alloc);
    status = load(path, &text, &mode, err);
    if (status == SYNCLINE_OK) {
        parse.data = (const char *)text.data;
        parse.len = text.len;
        status = make_text(&edit);
    }
    if (status == SYNCLINE_OK) {
        status = check_text(&edit, err);
    }
    bool same = edit.out.len == text.len &&
                (text.len == 0 || memcmp(edit.out.data, text.data, text.len) == 0);
    if (status == SYNCLINE_OK && !same) {
        status = sl_whole_file_write(path, edit.out.data, edit.out.len, mode, err);
    }
    sl_buf_fini(&edit.out);
    sl_buf_fini(&text);
    return status;
}

enum syncline_status sl_conf_set(const struct sl_allocator *alloc, const char *dir, const char *key,
                                 const char *value, struct sl_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(err, "opened", dir);
    }
    int code = 0;
    do {
        code = flock(fd, LOCK_EX);
    } while (code != 0 && errno == EINTR);
    enum syncline_status status =
        code == 0 ? set_locked(alloc, dir, key, value, err) : fail_errno(err, "locked", dir);
    (void)close(fd);
    return status;
}
