/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Whose text syncline_error gives, and until when. */

#include <pthread.h>

#include "tests/integration/api.h"

TestSuite(api_error, .init = api_setup, .fini = api_cleanup);

static void fail_level(struct syncline *lib)
{
    API_REFUSED(lib, syncline_flush(lib, (enum syncline_level)6, 0, NULL), SYNCLINE_EINVAL,
                "level 6");
}

/* The text is that of the last call alone: after each call that succeeds, of every kind, there is
 * none, so that a failure of the application's own is not explained by an older one of ours. */
Test(api_error, of_the_last_call)
{
    struct api_device a;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_stats stats = SYNCLINE_STATS_INIT;
    struct syncline_stage stage = SYNCLINE_STAGE_INIT;
    struct syncline_setting setting = SYNCLINE_SETTING_INIT;
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag tag = api_tag("tag");
    for (int i = 0; i < 8; i++) {
        enum syncline_status status = SYNCLINE_EINVAL;
        fail_level(a.lib);
        switch (i) {
        case 0:
            status = syncline_info(a.lib, &info);
            break;
        case 1:
            status = syncline_stats(a.lib, &stats);
            break;
        case 2:
            status = syncline_stage_get(a.lib, 0, &stage);
            break;
        case 3:
            status = syncline_setting_get(a.lib, 0, &setting);
            break;
        case 4:
            status = syncline_setting_find(a.lib, "batch_size", &setting);
            break;
        case 5:
            status = syncline_attach(a.lib, a.db);
            break;
        case 6:
            status = syncline_detach(a.lib, a.db);
            break;
        default:
            api_put_tag(a.db, &tag);
            status = syncline_sync_model(a.lib, &tag_model, &tag, SYNCLINE_INSERT);
            break;
        }
        cr_expect_eq(status, SYNCLINE_OK, "call %d", i);
        cr_expect_str_eq(api_error(a.lib), "", "after call %d", i);
    }
    fail_level(a.lib);
    cr_expect_not_null(strstr(api_error(a.lib), "level 6"), "asking does not forget it");
    api_close(&a);
}

struct failing {
    struct syncline *lib;
    char first[128];  /* its text after a call of its own that failed */
    char second[128]; /* and after one that did not */
};

static void *fail_elsewhere(void *argument)
{
    struct failing *failing = argument;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    syncline_error(failing->lib, failing->second, sizeof(failing->second));
    cr_expect_str_eq(failing->second, "", "nothing of this thread has failed yet");
    cr_expect_eq(syncline_digest(failing->lib, &tag_model, NULL, NULL), SYNCLINE_EINVAL);
    syncline_error(failing->lib, failing->first, sizeof(failing->first));
    cr_expect_eq(syncline_info(failing->lib, &info), SYNCLINE_OK);
    syncline_error(failing->lib, failing->second, sizeof(failing->second));
    return NULL;
}

static void *fail_only(void *argument)
{
    cr_expect_eq(syncline_digest(argument, &tag_model, NULL, NULL), SYNCLINE_EINVAL);
    return NULL;
}

/* Each thread has its own: what others do, well or not, changes nothing - until 16 others failed
 * later. */
Test(api_error, of_the_calling_thread)
{
    struct api_device a;
    pthread_t thread;
    api_create(&a, "a");
    api_open_alone(&a);
    struct failing failing = {.lib = a.lib};
    fail_level(a.lib);
    cr_assert_eq(pthread_create(&thread, NULL, fail_elsewhere, &failing), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_not_null(strstr(failing.first, "count or hash"), "%s", failing.first);
    cr_expect_str_eq(failing.second, "");
    cr_expect_not_null(strstr(api_error(a.lib), "level 6"), "%s", api_text);
    for (int i = 1; i <= 16; i++) {
        cr_assert_eq(pthread_create(&thread, NULL, fail_only, a.lib), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(api_error(a.lib)[0] != '\0', i < 16, "after %d others: %s", i, api_text);
    }
    fail_level(a.lib);
    api_close(&a);
}
