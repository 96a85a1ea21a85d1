/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Pausing: nothing is sent or applied, everything else goes on, and nothing is lost by it. */

#include "tests/integration/api.h"

TestSuite(api_pause, .init = api_setup, .fini = api_cleanup);

static struct syncline_stats stats_of(struct api_device *device)
{
    struct syncline_stats stats = SYNCLINE_STATS_INIT;
    API_OK(device->lib, syncline_stats(device->lib, &stats));
    return stats;
}

/* Who is paused holds what others send, and says so; its tables stay as they are, and its own
 * changes come into its log. */
Test(api_pause, applies_nothing)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_settle(&a, &b);
    API_OK(b.lib, syncline_pause(b.lib));
    cr_expect(api_info(&b).paused && !api_info(&a).paused);
    api_save_tags(&a, 30, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    api_save_tags(&b, 5, 0);
    API_OK(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&b).received, 30);
    cr_expect_eq(stats_of(&b).applied, 0);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 5);
    cr_expect_eq(syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, 0, NULL), SYNCLINE_TIMEOUT);
    API_OK(b.lib, syncline_resume(b.lib));
    cr_expect(!api_info(&b).paused);
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 35);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* Who is paused sends nothing, a wait for that says why, and what is received is applied. */
Test(api_pause, sends_nothing)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_settle(&a, &b);
    API_OK(a.lib, syncline_pause(a.lib));
    API_OK(a.lib, syncline_pause(a.lib)); /* it is already */
    api_save_tags(&a, 12, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_SENT, 20, NULL), SYNCLINE_TIMEOUT,
                "paused");
    cr_expect_eq(stats_of(&a).sent, 0);
    cr_expect_eq(api_info(&b).received, 0);
    API_OK(a.lib, syncline_resume(a.lib));
    API_OK(a.lib, syncline_resume(a.lib));
    api_settle(&a, &b);
    cr_expect_eq(stats_of(&a).sent, 12);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* A library is opened unpaused; and closing it drained ends a pause that would be in the way. */
Test(api_pause, ends_with_the_handle)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_settle(&a, &b);
    API_OK(a.lib, syncline_pause(a.lib));
    api_save_tags(&a, 3, 0);
    cr_expect_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL),
                 SYNCLINE_OK);
    api_open(&a, NULL);
    cr_expect(!api_info(&a).paused);
    API_OK(a.lib, syncline_pause(a.lib));
    api_save_tags(&a, 3, 0);
    cr_expect_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL),
                 SYNCLINE_OK);
    api_open(&a, NULL);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* Only who runs the engine can pause it; others see that it is. */
Test(api_pause, where_the_engine_runs)
{
    struct api_device a;
    struct api_device other;
    struct syncline_options options = api_options();
    cr_expect_eq(syncline_pause(NULL), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_resume(NULL), SYNCLINE_EINVAL);
    api_create(&a, "a");
    api_open_alone(&a);
    api_name(&other, "a");
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(other.dir, &options, &other.lib), SYNCLINE_OK, "%s", api_text);
    API_REFUSED(other.lib, syncline_pause(other.lib), SYNCLINE_EREFUSED, "engine");
    API_REFUSED(other.lib, syncline_resume(other.lib), SYNCLINE_EREFUSED, "engine");
    cr_expect(!api_info(&other).paused);
    API_OK(a.lib, syncline_pause(a.lib));
    API_WAIT(api_info(&other).paused); /* what the engine answered may be a moment old */
    api_stop(&other);
    api_close(&a);
}
