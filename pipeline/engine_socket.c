/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/engine_socket.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "engine.sock"
#define BACKLOG 8
#define SERVE_MS 1000 /* for one who asks */
#define ASK_MS 2000
#define END "end\n"

/* A name of the socket that is short however long the folder's is. */
static void make_address(struct sockaddr_un *address, int dir)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/" FILE_NAME,
                   dir);
}

static void set_timeouts(int fd, int ms)
{
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool send_all(int fd, const void *data, size_t size, int64_t until_ms)
{
    const char *at = data;
    while (size > 0) {
        if (now_ms() >= until_ms) {
            errno = EAGAIN;
            return false;
        }
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* ---- Answering ---- */

static bool is_allowed(int fd)
{
    struct ucred who;
    socklen_t size = sizeof(who);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

/* false: no line came. */
static bool read_question(int fd, char question[SL_ENGINE_QUESTION_SIZE_MAX], int64_t until_ms)
{
    size_t len = 0;
    while (len < SL_ENGINE_QUESTION_SIZE_MAX && now_ms() < until_ms) {
        ssize_t got = recv(fd, question + len, SL_ENGINE_QUESTION_SIZE_MAX - len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        char *end = memchr(question + len, '\n', (size_t)got);
        len += (size_t)got;
        if (end != NULL) {
            *end = '\0';
            return true;
        }
    }
    return false;
}

static void serve(struct sl_engine_socket *server, int fd)
{
    char question[SL_ENGINE_QUESTION_SIZE_MAX];
    int64_t until_ms = now_ms() + SERVE_MS;
    set_timeouts(fd, SERVE_MS);
    if (!is_allowed(fd) || !read_question(fd, question, until_ms)) {
        return;
    }
    struct sl_buf out;
    sl_buf_init(&out, server->alloc);
    server->answer(server->ctx, question, &out);
    sl_buf_bytes(&out, END, strlen(END));
    if (!out.failed) {
        (void)send_all(fd, out.data, out.len, until_ms);
    }
    sl_buf_fini(&out);
}

static void *run(void *arg)
{
    struct sl_engine_socket *server = arg;
    struct pollfd fds[2] = {{.fd = server->stop, .events = POLLIN},
                            {.fd = server->listening, .events = POLLIN}};
    while (fds[0].revents == 0) {
        fds[1].revents = 0;
        if (poll(fds, 2, -1) <= 0 || fds[1].revents == 0) {
            continue;
        }
        int fd = accept4(server->listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(server, fd);
            (void)close(fd);
        } else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) {
            (void)poll(fds, 1, SERVE_MS); /* no descriptors: later there may be some */
        }
    }
    return NULL;
}

static void close_one(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static enum syncline_status give_up(struct sl_engine_socket *server, struct sl_error *err)
{
    enum syncline_status status = sl_fail(err, errno == ENOMEM ? SYNCLINE_ENOMEM : SYNCLINE_EIO,
                                          FILE_NAME " cannot be made: %s", strerror(errno));
    close_one(&server->listening);
    close_one(&server->stop);
    return status;
}

/* All signals are the host's. */
static int start_thread(struct sl_engine_socket *server)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&server->thread, NULL, run, server);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) {
        (void)pthread_setname_np(server->thread, "sl-socket");
    }
    return code;
}

enum syncline_status sl_engine_socket_start(struct sl_engine_socket *server, int dir,
                                            const struct sl_allocator *alloc,
                                            sl_engine_answer answer, void *ctx,
                                            struct sl_error *err)
{
    *server = (struct sl_engine_socket){
        .listening = -1, .stop = -1, .dir = dir, .answer = answer, .ctx = ctx, .alloc = alloc};
    struct sockaddr_un address;
    make_address(&address, server->dir);
    (void)unlinkat(server->dir, FILE_NAME, 0); /* of one who was killed */
    server->stop = eventfd(0, EFD_CLOEXEC);
    server->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* On Linux a socket's file has the mode of the socket. */
    if (server->stop < 0 || server->listening < 0 || fchmod(server->listening, 0600) != 0 ||
        bind(server->listening, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(server->listening, BACKLOG) != 0) {
        return give_up(server, err);
    }
    int code = start_thread(server);
    if (code != 0) {
        (void)unlinkat(server->dir, FILE_NAME, 0);
        errno = code;
        return give_up(server, err);
    }
    return SYNCLINE_OK;
}

void sl_engine_socket_stop(struct sl_engine_socket *server)
{
    if (server->listening < 0) {
        return;
    }
    uint64_t one = 1;
    (void)!write(server->stop, &one, sizeof(one));
    (void)pthread_join(server->thread, NULL);
    (void)unlinkat(server->dir, FILE_NAME, 0);
    close_one(&server->listening);
    close_one(&server->stop);
}

/* ---- Asking ---- */

static bool ends_well(const struct sl_buf *answer)
{
    size_t size = strlen(END);
    return answer->len >= size && memcmp(answer->data + answer->len - size, END, size) == 0 &&
           (answer->len == size || answer->data[answer->len - size - 1] == '\n') &&
           memchr(answer->data, '\0', answer->len) == NULL;
}

static enum syncline_status read_answer(int fd, struct sl_buf *answer, int64_t until_ms,
                                        struct sl_error *err)
{
    for (;;) {
        char chunk[4096];
        errno = EAGAIN;
        ssize_t got = now_ms() < until_ms ? recv(fd, chunk, sizeof(chunk), 0) : -1;
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return sl_fail(err, SYNCLINE_EBUSY, "the engine of this library does not answer: %s",
                           strerror(errno));
        }
        if (got == 0) {
            break;
        }
        sl_buf_bytes(answer, chunk, (size_t)got);
        if (answer->failed) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the engine's answer");
        }
        if (answer->len > SL_ENGINE_ANSWER_SIZE_MAX) {
            return sl_fail(err, SYNCLINE_EPROTO, "the engine's answer has no end");
        }
    }
    if (!ends_well(answer)) {
        return sl_fail(err, SYNCLINE_EPROTO, "the engine's answer was cut short");
    }
    answer->data[answer->len - strlen(END)] = '\0';
    answer->len -= strlen(END);
    return SYNCLINE_OK;
}

static int dial(int dir)
{
    struct sockaddr_un address;
    make_address(&address, dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    set_timeouts(fd, ASK_MS); /* of connecting, too */
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    int code = errno;
    (void)close(fd);
    errno = code;
    return -1;
}

enum syncline_status sl_engine_ask(int dir, const char *question, struct sl_buf *answer,
                                   struct sl_error *err)
{
    sl_buf_clear(answer);
    int fd = dial(dir);
    if (fd < 0) {
        int code = errno;
        bool busy = code == EAGAIN || code == EINTR || code == EINPROGRESS;
        return sl_fail(err, busy ? SYNCLINE_EBUSY : SYNCLINE_ENOTFOUND,
                       "no engine of this library answers at " FILE_NAME ": %s", strerror(code));
    }
    enum syncline_status status = SYNCLINE_OK;
    int64_t until_ms = now_ms() + ASK_MS;
    if (!send_all(fd, question, strlen(question), until_ms) || !send_all(fd, "\n", 1, until_ms)) {
        status = sl_fail(err, SYNCLINE_EBUSY, "the engine of this library does not listen: %s",
                         strerror(errno));
    }
    status = status == SYNCLINE_OK ? read_answer(fd, answer, until_ms, err) : status;
    (void)close(fd);
    return status;
}
