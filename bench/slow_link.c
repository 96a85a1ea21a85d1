/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/slow_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/clock.h"

#define TICK_US 100000   /* a tenth of the bytes of a second is passed on in each */
#define LINES_MAX 16u    /* connections at once */
#define PASS_MAX 8192u   /* bytes a tick */
#define BUFFER_SIZE 4096 /* asked of the kernel, so that it does not take what is not passed on */

/* One connection: [0] of who dialled, [1] of the target. -1: closed. */
struct line {
    int fds[2];
};

static void close_line(struct line *line)
{
    for (size_t i = 0; i < 2; i++) {
        if (line->fds[i] >= 0) {
            (void)close(line->fds[i]);
        }
        line->fds[i] = -1;
    }
}

static bool parse_address(const char *text, struct sockaddr_in *address)
{
    char host[BENCH_ADDRESS_SIZE];
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return false;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static void make_small(int fd)
{
    int size = BUFFER_SIZE;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* A connection that waits, if there is one, and its counterpart. */
static void accept_one(const struct bench_slow_link *link, struct line *line)
{
    struct sockaddr_in target;
    line->fds[0] = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC);
    if (line->fds[0] < 0) {
        return;
    }
    line->fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line->fds[1] < 0 || !parse_address(link->target, &target)) {
        close_line(line);
        return;
    }
    make_small(line->fds[0]);
    make_small(line->fds[1]); /* before connecting, or the window is large already */
    if (connect(line->fds[1], (struct sockaddr *)&target, sizeof(target)) != 0) {
        close_line(line);
    }
}

/* Passes on at most `size` bytes; false: an end is closed. What the other end does not take at once
 * ends the connection too: it was asked for little and a tick ago. */
static bool pass(int from, int to, size_t size)
{
    char buffer[PASS_MAX];
    ssize_t len = recv(from, buffer, size < sizeof(buffer) ? size : sizeof(buffer), MSG_DONTWAIT);
    if (len < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    return len > 0 && send(to, buffer, (size_t)len, MSG_NOSIGNAL) == len;
}

static void *run(void *ctx)
{
    struct bench_slow_link *link = ctx;
    struct line lines[LINES_MAX];
    size_t share = link->bytes_per_s * TICK_US / 1000000;
    for (size_t i = 0; i < LINES_MAX; i++) {
        lines[i] = (struct line){.fds = {-1, -1}};
    }
    while (!atomic_load_explicit(&link->stop, memory_order_acquire)) {
        for (size_t i = 0; i < LINES_MAX; i++) {
            if (lines[i].fds[0] < 0) {
                accept_one(link, &lines[i]);
            } else if (!pass(lines[i].fds[0], lines[i].fds[1], share) ||
                       !pass(lines[i].fds[1], lines[i].fds[0], share)) {
                close_line(&lines[i]);
            }
        }
        bench_nap_us(TICK_US);
    }
    for (size_t i = 0; i < LINES_MAX; i++) {
        close_line(&lines[i]);
    }
    return NULL;
}

enum syncline_status bench_slow_link_start(struct bench_slow_link *link, const char *target,
                                           size_t bytes_per_s, struct indexer_error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    memset(link, 0, sizeof(*link));
    link->bytes_per_s = bytes_per_s;
    (void)snprintf(link->target, sizeof(link->target), "%s", target);
    atomic_init(&link->stop, false);
    link->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->listener < 0) {
        return indexer_fail(err, SYNCLINE_ENET, "no socket for a slow line (%s)", strerror(errno));
    }
    if (bind(link->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(link->listener, (int)LINES_MAX) != 0 ||
        getsockname(link->listener, (struct sockaddr *)&address, &len) != 0) {
        (void)indexer_fail(err, SYNCLINE_ENET, "a slow line cannot listen (%s)", strerror(errno));
        (void)close(link->listener);
        return SYNCLINE_ENET;
    }
    (void)snprintf(link->address, sizeof(link->address), "127.0.0.1:%u", ntohs(address.sin_port));
    if (pthread_create(&link->thread, NULL, run, link) != 0) {
        (void)close(link->listener);
        return indexer_fail(err, SYNCLINE_ENOMEM, "no thread could be made for a slow line");
    }
    return SYNCLINE_OK;
}

void bench_slow_link_stop(struct bench_slow_link *link)
{
    atomic_store_explicit(&link->stop, true, memory_order_release);
    (void)pthread_join(link->thread, NULL);
    (void)close(link->listener);
}
