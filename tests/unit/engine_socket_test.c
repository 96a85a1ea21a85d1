/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/engine_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tests/unit/counting_allocator.h"
#include "tests/unit/storage_fixture.h"

static struct sl_engine_socket server;
static struct sl_buf answer;
static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static atomic_int asked;
static int dir;

static int open_folder(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
    return fd;
}

static void answer_with_question(void *ctx, const char *question, struct sl_buf *out)
{
    (void)atomic_fetch_add(&asked, 1);
    sl_buf_bytes(out, ctx, strlen(ctx));
    sl_buf_bytes(out, question, strlen(question));
    sl_buf_u8(out, '\n');
}

static void start(void)
{
    set_up();
    dir = open_folder(folder);
    sl_buf_init(&answer, &sl_allocator_libc);
    OK(sl_engine_socket_start(&server, dir, &counted, answer_with_question, "you asked ", &err));
}

static void stop(void)
{
    sl_engine_socket_stop(&server);
    sl_engine_socket_stop(&server);
    cr_expect_eq(counting.blocks, 0);
    sl_buf_fini(&answer);
    (void)close(dir);
    tear_down();
}

TestSuite(engine_socket, .init = start, .fini = stop, .timeout = 60);

/* Each question gets its answer, as a string without its end. */
Test(engine_socket, asks)
{
    for (int i = 0; i < 100; i++) {
        char question[32];
        char wanted[64];
        (void)snprintf(question, sizeof(question), "number %d", i);
        (void)snprintf(wanted, sizeof(wanted), "you asked number %d\n", i);
        OK(sl_engine_ask(dir, question, &answer, &err));
        cr_assert_str_eq((const char *)answer.data, wanted);
        cr_assert_eq(answer.len, strlen(wanted));
    }
    cr_expect_eq(atomic_load(&asked), 100);
}

/* The file is its owner's alone. It goes with the engine, and what a killed one left is no engine
 * and not in the way of the next. */
Test(engine_socket, file)
{
    struct stat st;
    cr_assert_eq(stat(in_folder("engine.sock"), &st), 0);
    cr_expect(S_ISSOCK(st.st_mode));
    cr_expect_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(rename(in_folder("engine.sock"), in_folder("kept")), 0);
    sl_engine_socket_stop(&server);
    cr_assert_eq(rename(in_folder("kept"), in_folder("engine.sock")), 0);
    FAILS(sl_engine_ask(dir, "anybody", &answer, &err), SYNCLINE_ENOTFOUND, "no engine");
    OK(sl_engine_socket_start(&server, dir, &counted, answer_with_question, "again ", &err));
    OK(sl_engine_ask(dir, "who", &answer, &err));
    cr_expect_str_eq((const char *)answer.data, "again who\n");
    sl_engine_socket_stop(&server);
    cr_expect_eq(stat(in_folder("engine.sock"), &st), -1);
    FAILS(sl_engine_ask(dir, "who", &answer, &err), SYNCLINE_ENOTFOUND, "engine.sock: No such");
}

/* A path longer than the address of a socket has room for. */
Test(engine_socket, long_path)
{
    char path[512];
    size_t len = (size_t)snprintf(path, sizeof(path), "%s", folder);
    for (int i = 0; i < 5; i++) {
        len +=
            (size_t)snprintf(path + len, sizeof(path) - len, "/a-folder-with-a-name-of-some-size");
        cr_assert_eq(mkdir(path, 0700), 0);
    }
    int long_dir = open_folder(path);
    struct sl_engine_socket other;
    OK(sl_engine_socket_start(&other, long_dir, &sl_allocator_libc, answer_with_question, "",
                              &err));
    OK(sl_engine_ask(long_dir, "long", &answer, &err));
    cr_expect_str_eq((const char *)answer.data, "long\n");
    sl_engine_socket_stop(&other);
    (void)close(long_dir);
}

static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/engine.sock", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0, "%s",
                 strerror(errno));
    return fd;
}

/* One who says nothing, one who goes at once, one who never ends his line: none of them stops the
 * others, or is answered. */
Test(engine_socket, bad_company)
{
    char much[2 * SL_ENGINE_QUESTION_SIZE_MAX];
    memset(much, 'x', sizeof(much));
    int silent = connect_raw();
    (void)close(connect_raw());
    int endless = connect_raw();
    cr_assert_eq(send(endless, much, sizeof(much), MSG_NOSIGNAL), (ssize_t)sizeof(much));
    OK(sl_engine_ask(dir, "me", &answer, &err));
    char byte;
    cr_expect_leq(recv(endless, &byte, 1, 0), 0);
    cr_expect_leq(recv(silent, &byte, 1, 0), 0);
    (void)close(silent);
    (void)close(endless);
    cr_expect_eq(atomic_load(&asked), 1);
}

/* One who sends byte after byte is dropped long before his line could be full. */
Test(engine_socket, byte_by_byte)
{
    int fd = connect_raw();
    struct pollfd end = {.fd = fd, .events = POLLIN};
    unsigned sent = 0;
    while (sent < SL_ENGINE_QUESTION_SIZE_MAX - 1 && poll(&end, 1, 100) == 0 &&
           send(fd, "x", 1, MSG_NOSIGNAL) == 1) {
        sent++;
    }
    cr_expect_lt(sent, SL_ENGINE_QUESTION_SIZE_MAX - 1);
    (void)close(fd);
    OK(sl_engine_ask(dir, "me", &answer, &err));
}

/* Without memory there is no answer, and it is said that there is none. */
Test(engine_socket, no_memory)
{
    counting_fail_at(&counting, 1, COUNTING_ANY);
    FAILS(sl_engine_ask(dir, "me", &answer, &err), SYNCLINE_EPROTO, "cut short");
    cr_assert(counting_has_failed(&counting));
    OK(sl_engine_ask(dir, "me", &answer, &err));
}

static const char *canned;
static size_t canned_size;

static void answer_canned(void *ctx, const char *question, struct sl_buf *out)
{
    (void)ctx;
    (void)question;
    for (size_t i = 0; i < canned_size; i += strlen(canned)) {
        sl_buf_bytes(out, canned, strlen(canned));
    }
}

/* What is too long, or not text, is no answer. */
Test(engine_socket, not_an_answer)
{
    sl_engine_socket_stop(&server);
    OK(sl_engine_socket_start(&server, dir, &counted, answer_canned, NULL, &err));
    canned = "key value\n";
    canned_size = SL_ENGINE_ANSWER_SIZE_MAX + 1;
    FAILS(sl_engine_ask(dir, "me", &answer, &err), SYNCLINE_EPROTO, "no end");
    canned = "key without a line end ";
    canned_size = 1;
    FAILS(sl_engine_ask(dir, "me", &answer, &err), SYNCLINE_EPROTO, "cut short");
}

/* A folder that cannot hold it: said by name. */
Test(engine_socket, no_folder)
{
    struct sl_engine_socket other;
    FAILS(sl_engine_socket_start(&other, -1, &sl_allocator_libc, answer_with_question, "", &err),
          SYNCLINE_EIO, "engine.sock cannot be made: No such file");
    sl_engine_socket_stop(&other);
    FAILS(sl_engine_ask(-1, "me", &answer, &err), SYNCLINE_ENOTFOUND, "no engine");
    cr_assert_eq(mkdir(in_folder("full"), 0700), 0);
    cr_assert_eq(mkdir(in_folder("full/engine.sock"), 0700), 0);
    int full = open_folder(in_folder("full"));
    FAILS(sl_engine_socket_start(&other, full, &sl_allocator_libc, answer_with_question, "", &err),
          SYNCLINE_EIO, "Address already in use");
    (void)close(full);
}
