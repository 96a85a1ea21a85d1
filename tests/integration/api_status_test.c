/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Statuses that only the outside world can cause: a disk that is full, a stranger at the address of
 * a member, a table that refuses what comes. The others are met by the tests of the calls that give
 * them. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "tests/integration/api.h"

TestSuite(api_status, .init = api_setup, .fini = api_cleanup);

/* A disk of so many bytes at the path; false: this process may not mount one. */
static bool mount_small(const char *path, const char *size)
{
    char options[64];
    (void)snprintf(options, sizeof(options), "size=%s", size);
    cr_assert_eq(mkdir(path, 0700), 0);
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", path, "tmpfs", 0, options) == 0;
}

/* A library that does not fit on its disk is not made, and nothing of it is left; with room it is.
 */
Test(api_status, disk_is_full)
{
    struct syncline_options options = api_options();
    char dir[API_PATH_SIZE];
    (void)snprintf(dir, sizeof(dir), "%s", api_path("small"));
    if (!mount_small(dir, "64k")) {
        cr_skip_test("no disk can be mounted here");
    }
    char library[API_PATH_SIZE + 16];
    (void)snprintf(library, sizeof(library), "%s/library", dir);
    cr_assert_eq(syncline_create(library, "too large", &options), SYNCLINE_ENOSPC, "%s", api_text);
    cr_expect_not(api_exists(library));
    cr_assert_eq(mount("none", dir, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    cr_assert_eq(syncline_create(library, "fits", &options), SYNCLINE_OK, "%s", api_text);
    cr_assert_eq(umount(dir), 0);
}

/* Answers whoever comes with what is no frame. */
static void *answer_nonsense(void *arg)
{
    const int *listener = arg;
    int fd = accept(*listener, NULL, NULL);
    char text[512];
    if (fd >= 0 && recv(fd, text, sizeof(text), 0) > 0) {
        memset(text, 'x', sizeof(text));
        (void)send(fd, text, sizeof(text), MSG_NOSIGNAL);
        (void)recv(fd, text, sizeof(text), 0);
    }
    (void)close(fd);
    return NULL;
}

/* Who joins at an address where something else answers is told so, and has no library then. */
Test(api_status, no_member_there)
{
    struct syncline_options options = api_options();
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(where);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (const struct sockaddr *)&where, sizeof(where)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&where, &size), 0);
    pthread_t stranger;
    cr_assert_eq(pthread_create(&stranger, NULL, answer_nonsense, &listener), 0);
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(where.sin_port));
    cr_assert_eq(syncline_join(api_path("b"), address, &options), SYNCLINE_EPROTO, "%s", api_text);
    cr_expect_not(api_exists(api_path("b")));
    cr_assert_eq(pthread_join(stranger, NULL), 0);
    (void)close(listener);
}

static void count_unsupported(void *ctx, const struct syncline_event *event)
{
    if (event->status == SYNCLINE_EUNSUPPORTED && strstr(event->text, "tags") != NULL) {
        (void)atomic_fetch_add((atomic_int *)ctx, 1);
    }
}

/* A trigger that ends the whole transaction cannot be worked with: its table is named, and what
 * came is applied when the library is opened without the trigger. */
Test(api_status, table_refuses)
{
    struct api_device a;
    struct api_device b;
    struct syncline_subscribe_options options = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    static atomic_int seen;
    uint64_t id = 0;
    api_pair(&a, &b);
    api_sql(b.db, "CREATE TRIGGER no BEFORE INSERT ON tags BEGIN"
                  " SELECT RAISE(ROLLBACK, 'not here'); END");
    options.kinds = SYNCLINE_EVENT_ERROR;
    API_OK(b.lib, syncline_subscribe(b.lib, count_unsupported, &seen, &options, &id));
    struct tag tag = api_tag("refused");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_WAIT(atomic_load(&seen) > 0);
    cr_expect_not(api_has(b.db, "tags", &tag.uuid));
    api_stop(&b);
    api_sql(b.db, "DROP TRIGGER no");
    api_open(&b, a.address);
    API_WAIT(api_has(b.db, "tags", &tag.uuid));
    api_close(&b);
    api_close(&a);
}
