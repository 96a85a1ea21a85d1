/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/transport_tcp.h"

#include "base/bytes.h"
#include "net/network.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/unit/counting_allocator.h"
#include "tests/unit/failing_malloc.h"

/* What one transport was told. */
struct seen {
    struct sl_link *link;  /* the last one opened */
    uint64_t dial_tag;     /* of it */
    unsigned opened;       /* times */
    unsigned closed;       /* times */
    unsigned failed;       /* dials */
    char reason[128];      /* of the last */
    struct sl_buf bytes;   /* received */
    size_t close_after;    /* the upcall closes its link after so many bytes; 0: never */
    bool closes_at_opened; /* the upcall closes its link */
    bool polling;          /* events come from inside poll only */
};

static void on_opened(void *ctx, struct sl_link *link, uint64_t dial_tag)
{
    struct seen *seen = ctx;

    cr_assert(seen->polling);
    cr_assert_null(link->user);
    seen->opened++;
    seen->link = link;
    seen->dial_tag = dial_tag;
    if (seen->closes_at_opened)
        link->transport->ops->close(link);
}

static void on_received(void *ctx, struct sl_link *link, const uint8_t *data, size_t len)
{
    struct seen *seen = ctx;

    cr_assert(seen->polling);
    sl_buf_bytes(&seen->bytes, data, len);
    if (seen->close_after > 0 && seen->bytes.len >= seen->close_after)
        link->transport->ops->close(link);
}

static void on_closed(void *ctx, struct sl_link *link)
{
    struct seen *seen = ctx;

    (void)link;
    cr_assert(seen->polling);
    seen->closed++;
}

static void on_dial_failed(void *ctx, uint64_t dial_tag, const char *reason)
{
    struct seen *seen = ctx;

    cr_assert(seen->polling);
    seen->failed++;
    seen->dial_tag = dial_tag;
    (void)snprintf(seen->reason, sizeof(seen->reason), "%s", reason);
}

static const struct sl_transport_events events = {on_opened, on_received, on_closed,
                                                  on_dial_failed};

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static struct sl_transport *transports[2];
static struct seen seens[2];
static char bound[SL_ADDRESS_SIZE_MAX + 1];

static void set_up(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct sl_error err = {0};
        cr_assert_eq(sl_transport_tcp_new(&counted, &transports[i], &err), SYNCLINE_OK, "%s",
                     err.text);
        transports[i]->ops->set_events(transports[i], &events, &seens[i]);
        sl_buf_init(&seens[i].bytes, &sl_allocator_libc);
    }
    cr_assert_eq(transports[1]->ops->listen(transports[1], "127.0.0.1:0", bound, NULL),
                 SYNCLINE_OK);
}

static void tear_down(void)
{
    for (size_t i = 0; i < 2; i++) {
        if (transports[i] != NULL)
            transports[i]->ops->free(transports[i]);
        sl_buf_fini(&seens[i].bytes);
    }
    cr_expect_eq(counting.blocks, 0);
}

TestSuite(transport_tcp, .init = set_up, .fini = tear_down);

static void poll_one(size_t i, uint32_t timeout_ms)
{
    seens[i].polling = true;
    transports[i]->ops->poll(transports[i], timeout_ms);
    seens[i].polling = false;
}

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Polls both until the condition holds; 20 s are for ever. */
#define POLL_UNTIL(condition)                                                                      \
    do {                                                                                           \
        double limit_s = now_s() + 20;                                                             \
        while (!(condition)) {                                                                     \
            cr_assert_lt(now_s(), limit_s, "never: %s", #condition);                               \
            poll_one(0, 1);                                                                        \
            poll_one(1, 1);                                                                        \
        }                                                                                          \
    } while (0)

static void connect_both(void)
{
    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 7, NULL), SYNCLINE_OK);
    POLL_UNTIL(seens[0].opened == 1 && seens[1].opened == 1);
    cr_assert_eq(seens[0].dial_tag, 7);
    cr_assert_eq(seens[1].dial_tag, 0);
}

static enum syncline_status send_bytes(size_t i, const void *data, size_t len)
{
    return transports[i]->ops->send(seens[i].link, data, len);
}

/* Bytes go both ways; `bound` names the port that was found. */
Test(transport_tcp, bytes_go_both_ways)
{
    connect_both();
    cr_assert_eq(strncmp(bound, "127.0.0.1:", 10), 0);
    cr_assert_str_neq(bound, "127.0.0.1:0");
    cr_assert_eq(send_bytes(0, "hel", 3), SYNCLINE_OK);
    cr_assert_eq(send_bytes(0, "lo", 2), SYNCLINE_OK);
    cr_assert_eq(transports[0]->ops->queued(seens[0].link), 5);
    cr_assert_eq(send_bytes(1, "world", 5), SYNCLINE_OK);
    POLL_UNTIL(seens[0].bytes.len == 5 && seens[1].bytes.len == 5);
    cr_assert_arr_eq(seens[1].bytes.data, (const uint8_t *)"hello", 5);
    cr_assert_arr_eq(seens[0].bytes.data, (const uint8_t *)"world", 5);
    cr_assert_eq(transports[0]->ops->queued(seens[0].link), 0);
}

/* IPv6 and "localhost" work too. */
Test(transport_tcp, other_loopback_addresses_work)
{
    struct sl_error err = {0};

    cr_assert_eq(transports[0]->ops->listen(transports[0], "localhost:0", bound, NULL),
                 SYNCLINE_OK);
    cr_assert_eq(strncmp(bound, "127.0.0.1:", 10), 0);
    if (transports[0]->ops->listen(transports[0], "[::1]:0", bound, &err) != SYNCLINE_OK)
        cr_skip_test("no IPv6 here: %s", err.text);
    cr_assert_eq(transports[1]->ops->dial(transports[1], bound, 1, NULL), SYNCLINE_OK);
    POLL_UNTIL(seens[0].opened == 1 && seens[1].opened == 1);
}

/* More than the sockets hold waits in the queue, is counted, and arrives whole. */
Test(transport_tcp, much_is_queued_and_arrives)
{
    static uint8_t data[16u << 20];
    uint32_t random = 1;

    connect_both();
    for (size_t i = 0; i < sizeof(data); i++) {
        random = random * 1664525u + 1013904223u;
        data[i] = (uint8_t)(random >> 24);
    }
    for (size_t at = 0; at < sizeof(data); at += sizeof(data) / 4) {
        cr_assert_eq(send_bytes(0, data + at, sizeof(data) / 4), SYNCLINE_OK);
        poll_one(0, 0);
    }
    cr_assert_gt(transports[0]->ops->queued(seens[0].link), 0);
    POLL_UNTIL(seens[1].bytes.len == sizeof(data));
    cr_assert_eq(memcmp(seens[1].bytes.data, data, sizeof(data)), 0);
    POLL_UNTIL(transports[0]->ops->queued(seens[0].link) == 0);
}

/* The other side's close is an event once; ours is none. */
Test(transport_tcp, close_is_told_to_the_other_side)
{
    connect_both();
    transports[0]->ops->close(seens[0].link);
    POLL_UNTIL(seens[1].closed == 1);
    for (int i = 0; i < 5; i++) {
        poll_one(0, 1);
        poll_one(1, 1);
    }
    cr_assert_eq(seens[0].closed, 0);
    cr_assert_eq(seens[1].closed, 1);
}

/* An upcall may close its link, in `opened` and in `received`. */
Test(transport_tcp, upcalls_may_close)
{
    seens[1].close_after = 1;
    connect_both();
    cr_assert_eq(send_bytes(0, "abc", 3), SYNCLINE_OK);
    POLL_UNTIL(seens[0].closed == 1);
    seens[1].closes_at_opened = true;
    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 8, NULL), SYNCLINE_OK);
    POLL_UNTIL(seens[0].closed == 2);
    seens[0].closes_at_opened = true;
    seens[1].closes_at_opened = false;
    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 9, NULL), SYNCLINE_OK);
    POLL_UNTIL(seens[1].closed == 1);
    cr_assert_eq(seens[0].closed, 2);
}

/* After close nothing can be sent. */
Test(transport_tcp, a_closed_link_takes_nothing)
{
    connect_both();
    transports[0]->ops->close(seens[0].link);
    /* The memory is libuv's until the next poll. */
    cr_assert_eq(send_bytes(0, "x", 1), SYNCLINE_ENET);
}

/* Nobody there: an event with the reason. */
Test(transport_tcp, a_refused_dial_is_told)
{
    transports[1]->ops->free(transports[1]);
    transports[1] = NULL;
    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 5, NULL), SYNCLINE_OK);
    double end_s = now_s() + 20;
    while (seens[0].failed == 0) {
        cr_assert_lt(now_s(), end_s);
        poll_one(0, 10);
    }
    cr_assert_eq(seens[0].dial_tag, 5);
    cr_assert_not_null(strstr(seens[0].reason, "refused"), "%s", seens[0].reason);
}

/* Dialling a free port of this host often enough makes the system choose that very port for our own
 * end, and TCP connects the socket to itself. That is nobody there, and the port stays free. */
Test(transport_tcp, a_dial_never_reaches_itself)
{
    struct sl_error err = {0};
    char free_address[SL_ADDRESS_SIZE_MAX + 1];
    unsigned port;

    /* Linux gives odd ports to listeners and even ones to dials; an even one shows it soonest. */
    cr_assert_eq(sscanf(bound, "127.0.0.1:%u", &port), 1);
    do {
        port = (port & ~1u) - 2;
        (void)snprintf(free_address, sizeof(free_address), "127.0.0.1:%u", port);
    } while (transports[1]->ops->listen(transports[1], free_address, bound, NULL) != SYNCLINE_OK);
    transports[1]->ops->free(transports[1]);
    transports[1] = NULL;
    for (unsigned dials = 1; dials <= 30000; dials++) {
        cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 1, &err), SYNCLINE_OK, "%s",
                     err.text);
        while (seens[0].failed + seens[0].opened < dials)
            poll_one(0, 1000);
    }
    cr_assert_eq(seens[0].opened, 0);
    cr_assert_eq(transports[0]->ops->listen(transports[0], bound, bound, &err), SYNCLINE_OK, "%s",
                 err.text);
}

/* What is no address, a port in use, and what is not on this host are told at once, by name. */
Test(transport_tcp, wrong_addresses_are_refused)
{
    struct sl_error err = {0};
    char other[SL_ADDRESS_SIZE_MAX + 1];

    cr_assert_eq(transports[0]->ops->listen(transports[0], "here", other, &err), SYNCLINE_EINVAL);
    cr_assert_eq(transports[0]->ops->dial(transports[0], "example.org:80", 1, &err),
                 SYNCLINE_EINVAL);
    cr_assert_eq(transports[0]->ops->dial(transports[0], "127.0.0.1:0", 1, &err), SYNCLINE_EINVAL);
    cr_assert_not_null(strstr(err.text, "port 0"), "%s", err.text);
    cr_assert_eq(transports[0]->ops->listen(transports[0], bound, other, &err), SYNCLINE_ENET);
    cr_assert_not_null(strstr(err.text, bound), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "choose another port"), "%s", err.text);
    cr_assert_eq(transports[0]->ops->listen(transports[0], "192.0.2.1:0", other, &err),
                 SYNCLINE_ENET);
    cr_assert_not_null(strstr(err.text, "192.0.2.1:0"), "%s", err.text);
    poll_one(0, 0);
    cr_assert_eq(seens[0].failed, 0);
}

/* No file descriptor left: the dial says so, and works once there is one. */
Test(transport_tcp, no_descriptor_is_reported)
{
    struct sl_error err = {0};
    struct rlimit before;
    struct rlimit few;
    int fds[64];
    size_t fds_len = 0;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 64;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (fds_len < 64 && (fds[fds_len] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        fds_len++;
    enum syncline_status status = transports[0]->ops->dial(transports[0], bound, 1, &err);
    char other[SL_ADDRESS_SIZE_MAX + 1];
    enum syncline_status listened =
        transports[0]->ops->listen(transports[0], "127.0.0.1:0", other, NULL);
    struct sl_transport *third;
    enum syncline_status made = sl_transport_tcp_new(&sl_allocator_libc, &third, NULL);
    while (fds_len > 0)
        (void)close(fds[--fds_len]);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(status, SYNCLINE_ENET);
    cr_assert_not_null(strstr(err.text, "too many open files"), "%s", err.text);
    cr_assert_eq(listened, SYNCLINE_ENET);
    cr_assert_eq(made, SYNCLINE_ENET);
    connect_both();
}

/* Who dials a process that may open no more files is turned away, and nothing else comes of it: the
 * listener goes on, and once there is a descriptor again the next dial is accepted. */
Test(transport_tcp, no_descriptor_to_accept_with)
{
    struct rlimit before;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1))};
    int dialler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte;

    cr_assert_geq(dialler, 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(dialler);
    cr_assert_geq(next, 0);
    (void)close(next);
    struct rlimit low = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    cr_assert_eq(connect(dialler, (struct sockaddr *)&address, sizeof(address)), 0);
    while (recv(dialler, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
        poll_one(1, 1000);
    cr_expect_eq(seens[1].opened, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    (void)close(dialler);
    connect_both();
}

/* A peer that is gone does not end the process, though SIGPIPE has its default action: the first
 * part of much data makes its system say that nobody is there, the second finds the pipe broken. */
Test(transport_tcp, a_broken_pipe_is_an_event)
{
    static const uint8_t data[16u << 20];
    sigset_t mask;
    sigset_t pending;

    (void)signal(SIGPIPE, SIG_DFL);
    connect_both();
    transports[1]->ops->close(seens[1].link);
    poll_one(1, 0);
    cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_OK);
    double end_s = now_s() + 20;
    while (seens[0].closed == 0) {
        cr_assert_lt(now_s(), end_s);
        poll_one(0, 10);
    }
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    cr_assert_eq(sigismember(&mask, SIGPIPE), 0);
    cr_assert_eq(sigpending(&pending), 0);
    cr_assert_eq(sigismember(&pending, SIGPIPE), 0);
}

/* A SIGPIPE that the host has blocked and that waits already is still there afterwards. */
Test(transport_tcp, the_hosts_signal_is_left_alone)
{
    sigset_t set;
    sigset_t pending;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    cr_assert_eq(raise(SIGPIPE), 0);
    poll_one(0, 0);
    cr_assert_eq(sigpending(&pending), 0);
    cr_assert_eq(sigismember(&pending, SIGPIPE), 1);
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &set), 0);
    cr_assert_eq(sigismember(&set, SIGPIPE), 1);
}

/* No descriptor of ours is inherited by a program that the host starts. */
Test(transport_tcp, descriptors_are_closed_on_exec)
{
    int before[256];
    size_t before_len = 0;

    /* Standard input and output, and whatever the test program had: what we did not open. */
    tear_down();
    for (int fd = 0; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            before[before_len++] = fd;
    set_up();
    connect_both();
    for (int fd = 0; fd < 256; fd++) {
        bool is_ours = true;
        int flags = fcntl(fd, F_GETFD);
        for (size_t i = 0; i < before_len; i++)
            is_ours = is_ours && before[i] != fd;
        if (flags >= 0 && is_ours)
            cr_assert(flags & FD_CLOEXEC, "descriptor %d", fd);
    }
}

static void *wake_it(void *ctx)
{
    struct sl_transport *transport = ctx;

    transport->ops->wake(transport);
    return NULL;
}

/* A wake from another thread, before or during the wait, ends it. */
Test(transport_tcp, wake_ends_a_wait)
{
    pthread_t thread;

    poll_one(0, 0);
    cr_assert_eq(pthread_create(&thread, NULL, wake_it, transports[0]), 0);
    poll_one(0, 3600 * 1000); /* the test's own limit would end it */
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

static atomic_bool clock_leaps;

/* The system's, for libuv too: while it leaps, a second goes by between any two looks at it. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
    static atomic_long leaps;

    int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (atomic_load(&clock_leaps))
        (void)atomic_fetch_add(&leaps, 1);
    now->tv_sec += atomic_load(&leaps);
    return status;
}

/* A wait ends in time though its thread slept through that before it began to wait. */
Test(transport_tcp, a_late_wait_ends, .timeout = 20)
{
    connect_both();
    atomic_store(&clock_leaps, true);
    for (int i = 0; i < 10; i++)
        poll_one(0, 1);
    atomic_store(&clock_leaps, false);
    cr_assert_eq(send_bytes(0, "abc", 3), SYNCLINE_OK);
    POLL_UNTIL(seens[1].bytes.len == 3);
}

static unsigned count_threads(void)
{
    unsigned threads = 0;
    DIR *tasks = opendir("/proc/self/task");

    cr_assert_not_null(tasks);
    for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks))
        threads += entry->d_name[0] != '.';
    (void)closedir(tasks);
    return threads;
}

/* The thread pool of libuv, which all of a process share, is left alone. */
Test(transport_tcp, no_thread_is_started)
{
    unsigned before = count_threads();

    connect_both();
    cr_assert_eq(transports[0]->ops->dial(transports[0], "localhost:1", 2, NULL), SYNCLINE_OK);
    POLL_UNTIL(seens[0].failed == 1);
    cr_assert_eq(count_threads(), before);
}

/* Freeing with links open, bytes queued and dials under way loses nothing and says nothing. */
Test(transport_tcp, free_at_any_moment)
{
    static const uint8_t data[8u << 20];

    connect_both();
    cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_OK);
    poll_one(0, 0);
    cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_OK);
    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 1, NULL), SYNCLINE_OK);
    cr_assert_eq(transports[1]->ops->dial(transports[1], bound, 1, NULL), SYNCLINE_OK);
    transports[0]->ops->free(transports[0]);
    transports[0] = NULL;
    cr_assert_eq(seens[0].closed + seens[0].failed, 0);
    double end_s = now_s() + 20;
    while (seens[1].closed == 0) {
        cr_assert_lt(now_s(), end_s);
        poll_one(1, 10);
    }
}

/* Nobody who listens to events: what connects is closed. */
Test(transport_tcp, without_events_links_are_closed)
{
    transports[1]->ops->set_events(transports[1], NULL, NULL);
    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 3, NULL), SYNCLINE_OK);
    POLL_UNTIL(seens[0].closed == 1);
    cr_assert_eq(seens[1].opened, 0);
}

/* No memory: the call says so; a connection that could not be accepted is accepted later; a link
 * whose bytes could not be kept is closed. */
Test(transport_tcp, no_memory_is_reported)
{
    struct sl_transport *third;
    struct sl_error err = {0};
    static const uint8_t data[1u << 20];

    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer's allocator does not fail");
    (void)sl_malloc_fail_at(1);
    cr_assert_eq(sl_transport_tcp_new(&sl_allocator_libc, &third, &err), SYNCLINE_ENOMEM);
    (void)sl_malloc_fail_at(1);
    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 1, &err), SYNCLINE_ENET);
    cr_assert_not_null(strstr(err.text, "memory"), "%s", err.text);
    char other[SL_ADDRESS_SIZE_MAX + 1];
    (void)sl_malloc_fail_at(1);
    cr_assert_eq(transports[0]->ops->listen(transports[0], "127.0.0.1:0", other, &err),
                 SYNCLINE_ENOMEM);
    cr_assert_not_null(strstr(err.text, "memory"), "%s", err.text);

    cr_assert_eq(transports[0]->ops->dial(transports[0], bound, 7, NULL), SYNCLINE_OK);
    double end_s = now_s() + 20;
    while (seens[0].opened == 0) {
        cr_assert_lt(now_s(), end_s);
        poll_one(0, 10);
    }
    (void)sl_malloc_fail_at(1);
    poll_one(1, 1000);
    cr_assert(sl_malloc_fail_at(0));
    cr_assert_eq(seens[1].opened, 0);
    POLL_UNTIL(seens[1].opened == 1);

    (void)sl_malloc_fail_at(1);
    cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_ENOMEM);
    (void)sl_malloc_fail_at(0);
    POLL_UNTIL(seens[0].closed == 1 && seens[1].closed == 1);
}

/* Sends megabytes for as long as less than `limit` bytes are queued, and at most `count` of them.
 */
static void fill_queue(size_t limit, size_t count)
{
    static const uint8_t data[1u << 20];

    for (; count > 0 && transports[0]->ops->queued(seens[0].link) < limit; count--) {
        cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_OK);
        poll_one(0, 0);
    }
}

/* Once a link had a full queue it allocates nothing for a full queue, however often. A queue beyond
 * the limit is given back when it is empty. */
Test(transport_tcp, sending_keeps_its_memory)
{
    connect_both();
    fill_queue(2 * SL_LINK_QUEUE_SIZE_MAX, SIZE_MAX);
    long calls = counting.calls;
    for (int round = 0; round < 10; round++) {
        POLL_UNTIL(transports[0]->ops->queued(seens[0].link) == 0);
        fill_queue(SL_LINK_QUEUE_SIZE_MAX, SIZE_MAX);
        sl_buf_clear(&seens[1].bytes);
    }
    cr_assert_eq(counting.calls, calls, "%ld calls", counting.calls - calls);

    static const uint8_t data[8u << 20];
    POLL_UNTIL(transports[0]->ops->queued(seens[0].link) == 0);
    long blocks = counting.blocks;
    cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_OK);
    POLL_UNTIL(transports[0]->ops->queued(seens[0].link) == 0);
    cr_assert_eq(counting.blocks, blocks - 1);
}

/* What the system does not take at once needs no memory more. */
Test(transport_tcp, the_rest_of_a_write_needs_no_memory)
{
    static const uint8_t data[16u << 20];

    connect_both();
    cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_OK);
    long calls = counting.calls;
    poll_one(0, 0);
    cr_assert_gt(transports[0]->ops->queued(seens[0].link), 0);
    POLL_UNTIL(transports[0]->ops->queued(seens[0].link) == 0);
    cr_assert_eq(counting.calls, calls);
    /* For what comes then there is none: the link is lost. */
    counting_fail_at(&counting, 1, COUNTING_ANY);
    cr_assert_eq(send_bytes(0, data, sizeof(data)), SYNCLINE_ENOMEM);
    cr_assert(counting_has_failed(&counting));
    POLL_UNTIL(seens[0].closed == 1 && seens[1].closed == 1);
}

/* ---- The handshake over TCP --------------------------------------------------------------- */

struct end {
    struct sl_network *net;
    struct sl_hello hello;
    unsigned ready;
    size_t segment_len;
    char notice[SL_ERROR_SIZE];
};

static enum syncline_status admit(void *ctx, const struct sl_hello *hello, enum sl_arrival arrival,
                                  struct sl_error *err)
{
    (void)ctx;
    (void)hello;
    (void)arrival;
    (void)err;
    return SYNCLINE_OK;
}

static void ready(void *ctx, struct sl_session *session)
{
    static const uint8_t data[SL_SEGMENT_SIZE_MAX];
    struct end *end = ctx;

    end->ready++;
    cr_assert_eq(sl_session_send_vector(session, NULL, 0), SYNCLINE_OK);
    cr_assert_eq(sl_session_send_segment(session, data, sizeof(data)), SYNCLINE_OK);
}

static enum syncline_status vector(void *ctx, struct sl_session *session,
                                   const struct sl_vector_entry *entries, size_t len,
                                   struct sl_error *err)
{
    (void)ctx;
    (void)session;
    (void)entries;
    (void)err;
    cr_assert_eq(len, 0);
    return SYNCLINE_OK;
}

static enum syncline_status segment(void *ctx, struct sl_session *session, const uint8_t *data,
                                    size_t len, struct sl_error *err)
{
    struct end *end = ctx;

    (void)session;
    (void)data;
    (void)err;
    end->segment_len = len;
    return SYNCLINE_OK;
}

static void closed(void *ctx, struct sl_session *session)
{
    (void)ctx;
    (void)session;
}

static void notice(void *ctx, enum syncline_status status, const char *text)
{
    struct end *end = ctx;

    (void)status;
    (void)snprintf(end->notice, sizeof(end->notice), "%s", text);
}

static const struct sl_network_events network_events = {.admit = admit,
                                                        .ready = ready,
                                                        .vector = vector,
                                                        .segment = segment,
                                                        .closed = closed,
                                                        .notice = notice};

static void end_init(struct end *end, size_t i, uint8_t library)
{
    memset(end, 0, sizeof(*end));
    memset(end->hello.library_id.bytes, library, 16);
    memset(end->hello.public_key, (int)i + 1, SL_KEY_SIZE);
    sl_device_id(end->hello.public_key, &end->hello.device_id);
    (void)snprintf(end->hello.device_name, sizeof(end->hello.device_name), "device %zu", i);
    cr_assert_eq(sl_network_new(sl_env_posix(), transports[i], &end->hello, "photos",
                                &network_events, end, &end->net),
                 SYNCLINE_OK);
}

#define POLL_NETWORKS_UNTIL(ends, condition)                                                       \
    do {                                                                                           \
        double limit_s = now_s() + 20;                                                             \
        while (!(condition)) {                                                                     \
            cr_assert_lt(now_s(), limit_s, "never: %s", #condition);                               \
            sl_network_poll((ends)[0].net, 1);                                                     \
            sl_network_poll((ends)[1].net, 1);                                                     \
        }                                                                                          \
    } while (0)

/* Two devices that dial each other end with one session, over which everything passes. */
Test(transport_tcp, networks_connect)
{
    struct end ends[2];
    char address[SL_ADDRESS_SIZE_MAX + 1];

    end_init(&ends[0], 0, 0xaa);
    end_init(&ends[1], 1, 0xaa);
    cr_assert_eq(sl_network_listen(ends[0].net, "127.0.0.1:0", address, NULL), SYNCLINE_OK);
    cr_assert_eq(sl_network_add_peer(ends[0].net, bound, NULL), SYNCLINE_OK);
    cr_assert_eq(sl_network_add_peer(ends[1].net, address, NULL), SYNCLINE_OK);
    POLL_NETWORKS_UNTIL(ends, ends[0].segment_len == SL_SEGMENT_SIZE_MAX &&
                                  ends[1].segment_len == SL_SEGMENT_SIZE_MAX &&
                                  sl_network_session(ends[0].net, 0) != NULL &&
                                  sl_network_session(ends[1].net, 0) != NULL);
    cr_assert_null(sl_network_session(ends[0].net, 1));
    cr_assert_null(sl_network_session(ends[1].net, 1));
    sl_network_wake(ends[0].net);
    sl_network_free(ends[0].net);
    sl_network_free(ends[1].net);
}

/* The text of a refusal arrives although the link is closed after it. */
Test(transport_tcp, a_refusal_arrives)
{
    struct end ends[2];

    end_init(&ends[0], 0, 0xaa);
    end_init(&ends[1], 1, 0xbb);
    cr_assert_eq(sl_network_add_peer(ends[0].net, bound, NULL), SYNCLINE_OK);
    POLL_NETWORKS_UNTIL(ends, ends[0].notice[0] != '\0' && ends[1].notice[0] != '\0');
    cr_assert_not_null(strstr(ends[0].notice, "aaaaaaaaaaaa"), "%s", ends[0].notice);
    cr_assert_not_null(strstr(ends[1].notice, "bbbbbbbbbbbb"), "%s", ends[1].notice);
    cr_assert_eq(ends[0].ready + ends[1].ready, 0);
    sl_network_free(ends[0].net);
    sl_network_free(ends[1].net);
}

struct member {
    struct end end;
    pthread_t thread;
    _Atomic bool stop; /* set by the test; the thread ends with the next poll */
};

static void *serve(void *ctx)
{
    struct member *member = ctx;

    while (!member->stop)
        sl_network_poll(member->end.net, 10);
    return NULL;
}

/* A device joins over TCP and is told the library and the member. */
Test(transport_tcp, a_device_joins)
{
    struct member member = {.stop = false};
    struct sl_hello self = {.device_name = "new"};
    struct sl_welcome welcome;
    struct sl_error err = {0};

    end_init(&member.end, 1, 0xcc);
    memset(self.public_key, 9, SL_KEY_SIZE);
    cr_assert_eq(pthread_create(&member.thread, NULL, serve, &member), 0);
    enum syncline_status status =
        sl_network_join(sl_env_posix(), transports[0], &self, bound, &welcome, &err);
    member.stop = true;
    cr_assert_eq(pthread_join(member.thread, NULL), 0);
    cr_assert_eq(status, SYNCLINE_OK, "%s", err.text);
    cr_assert_str_eq(welcome.library_name, "photos");
    cr_assert_str_eq(welcome.member.device_name, "device 1");
    cr_assert_arr_eq(welcome.member.device_id.bytes, member.end.hello.device_id.bytes, 16);
    sl_network_free(member.end.net);
}
