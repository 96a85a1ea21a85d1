/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A handle does not outlive fork(): the child gets EFORK from every call, and whatever it does, the
 * parent goes on. */

#include <poll.h>
#include <sys/wait.h>

#include "tests/integration/api.h"

TestSuite(api_fork, .init = api_setup, .fini = api_cleanup);

static void ignore_event(void *ctx, const struct syncline_event_entry *entry)
{
    (void)ctx;
    (void)entry;
}

/* How many calls of a child did not fail with EFORK. */
static int wrong_calls(struct syncline *lib)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    struct syncline_set_aside record = SYNCLINE_SET_ASIDE_INIT;
    struct tag tag = {.id = 1};
    uint64_t count = 0;
    uint8_t hash[32];
    char text[64] = "";
    int wrong = 0;
    (void)alarm(20); /* a call that hangs ends the child */
    wrong += syncline_sync_model(lib, &tag_model, &tag, SYNCLINE_INSERT) != SYNCLINE_EFORK;
    wrong +=
        syncline_sync_model_with_db(lib, &tag_model, &tag, SYNCLINE_UPDATE, NULL) != SYNCLINE_EFORK;
    wrong += syncline_sync_models_batch(lib, &tag_model, &tag, 1, SYNCLINE_DELETE, NULL, NULL) !=
             SYNCLINE_EFORK;
    wrong += syncline_sync_models_batch(lib, &tag_model, &tag, 0, SYNCLINE_DELETE, NULL, NULL) !=
             SYNCLINE_EFORK;
    wrong +=
        syncline_commit_shared(lib, &tag_model, SYNCLINE_UPDATE, "{}", 2, NULL) != SYNCLINE_EFORK;
    wrong += syncline_commit_device_owned(lib, &tag_model, SYNCLINE_UPDATE, "{}", 2, NULL) !=
             SYNCLINE_EFORK;
    wrong += syncline_attach(lib, NULL) != SYNCLINE_EFORK;
    wrong += syncline_detach(lib, NULL) != SYNCLINE_EFORK;
    wrong += syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, 0, NULL) != SYNCLINE_EFORK;
    wrong += syncline_flush(lib, SYNCLINE_LEVEL_APPLIED, -1, NULL) != SYNCLINE_EFORK;
    struct syncline_stats stats = SYNCLINE_STATS_INIT;
    struct syncline_stage stage = SYNCLINE_STAGE_INIT;
    struct syncline_ticket ticket = SYNCLINE_TICKET_INIT;
    wrong += syncline_wait(lib, &ticket, SYNCLINE_LEVEL_QUEUED, NULL, -1) != SYNCLINE_EFORK;
    wrong += syncline_pause(lib) != SYNCLINE_EFORK;
    wrong += syncline_resume(lib) != SYNCLINE_EFORK;
    wrong += syncline_stats(lib, &stats) != SYNCLINE_EFORK;
    wrong += syncline_stage_get(lib, 0, &stage) != SYNCLINE_EFORK;
    wrong += syncline_close_drained(lib, SYNCLINE_LEVEL_DURABLE, 0, NULL) != SYNCLINE_EFORK;
    wrong += syncline_info(lib, &info) != SYNCLINE_EFORK;
    wrong += syncline_member_get(lib, 0, &member) != SYNCLINE_EFORK;
    wrong += syncline_set_aside_get(lib, 0, &record) != SYNCLINE_EFORK;
    wrong += syncline_digest(lib, &tag_model, &count, hash) != SYNCLINE_EFORK;
    wrong += syncline_events_read(lib, 0, ignore_event, NULL) != SYNCLINE_EFORK;
    syncline_error(lib, text, sizeof(text));
    wrong += strstr(text, "another process") == NULL;
    return wrong;
}

static void check_exit(pid_t pid, int wanted)
{
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), wanted, "%d calls were wrong", WEXITSTATUS(status));
}

/* Every call in the child fails with EFORK, closing there harms nothing, and the parent's engine
 * goes on sending. */
Test(api_fork, every_call)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag tag = api_tag("before");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        int wrong = wrong_calls(a.lib);
        syncline_close(a.lib);
        _exit(wrong);
    }
    check_exit(pid, 0);
    tag = api_tag("after");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    struct syncline_options options = api_options();
    struct syncline *second = NULL;
    options.role = SYNCLINE_ROLE_ENGINE;
    cr_expect_eq(syncline_open(a.dir, &options, &second), SYNCLINE_EBUSY, "%s", api_text);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect(api_has(b.db, "tags", &tag.uuid));
    api_close(&a);
    api_close(&b);
}

/* The same with a handle in the capture role. */
Test(api_fork, capture_role)
{
    struct api_device a;
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    api_create(&a, "a");
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        int wrong = wrong_calls(a.lib);
        syncline_close(a.lib);
        _exit(wrong);
    }
    check_exit(pid, 0);
    struct tag tag = api_tag("after");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    cr_expect_eq(api_info(&a).outbox, 1);
    api_close(&a);
}

/* A child that lives on does not keep the parent from closing the library and opening it again. */
Test(api_fork, child_lives_on)
{
    struct api_device a;
    int end[2];
    api_create(&a, "a");
    api_open_alone(&a);
    cr_assert_eq(pipe(end), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        char byte;
        (void)close(end[1]);
        _exit(read(end[0], &byte, 1) == 0 ? wrong_calls(a.lib) : 99); /* until the parent is done */
    }
    (void)close(end[0]);
    api_stop(&a);
    api_open_alone(&a);
    struct tag tag = api_tag("again");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    (void)close(end[1]);
    check_exit(pid, 0);
    api_close(&a);
}

/* A child that asks for the engine of its own is told that the parent has it. */
Test(api_fork, child_is_another_process)
{
    struct api_device a;
    char pid_text[32];
    (void)snprintf(pid_text, sizeof(pid_text), "process %ld", (long)getpid());
    api_create(&a, "a");
    api_open_alone(&a);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        struct syncline_options options = api_options();
        struct syncline *own = NULL;
        syncline_close(a.lib);
        options.role = SYNCLINE_ROLE_ENGINE;
        bool told = syncline_open(a.dir, &options, &own) == SYNCLINE_EBUSY &&
                    strstr(api_text, pid_text) != NULL;
        _exit(told ? 0 : 1);
    }
    check_exit(pid, 0);
    api_close(&a);
}
