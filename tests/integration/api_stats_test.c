/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What a handle says of its engine's work: totals, and stage by stage. */

#include "tests/integration/api.h"

TestSuite(api_stats, .init = api_setup, .fini = api_cleanup);

static struct syncline_stats stats_of(struct api_device *device)
{
    struct syncline_stats stats = SYNCLINE_STATS_INIT;
    API_OK(device->lib, syncline_stats(device->lib, &stats));
    return stats;
}

static struct syncline_stage stage_of(struct api_device *device, const char *name)
{
    struct syncline_stage stage = SYNCLINE_STAGE_INIT;
    for (size_t i = 0; syncline_stage_get(device->lib, i, &stage) == SYNCLINE_OK; i++) {
        if (strcmp(stage.name, name) == 0) {
            return stage;
        }
    }
    cr_assert_fail("there is no stage %s", name);
    return stage;
}

/* Every change is counted once by each stage on its way, here and on the other device. */
Test(api_stats, each_change_once)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_settle(&a, &b);
    api_save_tags(&a, 2000, 500);
    api_save_tags(&a, 30, 0);
    api_settle(&a, &b);
    struct syncline_stats of_a = stats_of(&a);
    struct syncline_stats of_b = stats_of(&b);
    cr_expect(of_a.captures == 2 && of_a.captured == 2030);
    cr_expect(of_a.logged == 2030 && of_a.logged_segments == 5, "%" PRIu64 " in %" PRIu64,
              of_a.logged, of_a.logged_segments);
    cr_expect(of_a.sent == 2030 && of_a.sent_segments == 5);
    cr_expect(of_a.sent_bytes == of_a.logged_bytes && of_a.sent_bytes > 0);
    cr_expect(of_a.received == 0 && of_a.applied == 0 && of_a.errors == 0);
    cr_expect(of_b.received == 2030 && of_b.received_segments == 5);
    cr_expect(of_b.received_bytes == of_a.sent_bytes);
    cr_expect(of_b.applied == 2030 && of_b.captures == 0 && of_b.logged == 0 && of_b.sent == 0);

    static const char *const sending[] = {"intake", "fk_resolve", "serialize", "log_append"};
    for (size_t i = 0; i < sizeof(sending) / sizeof(sending[0]); i++) {
        struct syncline_stage stage = stage_of(&a, sending[i]);
        cr_expect_eq(stage.changes, 2030, "%s: %" PRIu64, stage.name, stage.changes);
        cr_expect_eq(stage.batches, 5, "%s: %" PRIu64, stage.name, stage.batches);
        cr_expect(stage.runs > 0 && stage.busy_ns > 0 && stage.errors == 0, "%s", stage.name);
        cr_expect(stage.capacity > 0 && stage.fill <= stage.capacity, "%s", stage.name);
    }
    cr_expect_gt(stage_of(&a, "serialize").bytes, of_a.logged_bytes);
    cr_expect_eq(stage_of(&a, "net_flush").changes, 2030);
    cr_expect_eq(stage_of(&b, "log_hold").changes, 2030);
    cr_expect_eq(stage_of(&b, "apply").changes, 2030);
    cr_expect_gt(stage_of(&b, "acknowledge").batches, 0);
    cr_expect_eq(stage_of(&b, "apply").capacity, 0);
    API_WAIT(stats_of(&a).settled == 2030 && stage_of(&a, "settle").changes == 2030);
    api_close(&a);
    api_close(&b);
}

/* A transaction that is rolled back was captured, and goes nowhere. */
Test(api_stats, rolled_back)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag tag = api_tag("not to be");
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &tag);
    api_capture(&a, &tag_model, &tag, 1, SYNCLINE_INSERT);
    api_sql(a.db, "ROLLBACK");
    api_save_tags(&a, 3, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    struct syncline_stats stats = stats_of(&a);
    cr_expect(stats.captures == 2 && stats.captured == 4 && stats.logged == 3);
    api_close(&a);
}

/* Without an engine there is only what was captured; the next handle begins at 0. */
Test(api_stats, without_an_engine)
{
    struct api_device a;
    struct syncline_stage stage = SYNCLINE_STAGE_INIT;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    api_save_tags(&a, 12, 0);
    struct syncline_stats stats = stats_of(&a);
    cr_expect(stats.captures == 1 && stats.captured == 12 && stats.logged == 0);
    API_REFUSED(a.lib, syncline_stage_get(a.lib, 0, &stage), SYNCLINE_ENOTFOUND, "engine");
    api_stop(&a);
    api_open_alone(&a);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    stats = stats_of(&a);
    cr_expect(stats.captures == 0 && stats.logged == 12);
    api_close(&a);
}

/* A stage that fails is counted, as are its tries. */
Test(api_stats, errors)
{
    struct api_device a;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    (void)api_save_folder(&a, "of a model that the engine is not told", NULL);
    api_stop(&a);
    options.role = SYNCLINE_ROLE_ENGINE;
    options.models_count = 1;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    API_WAIT(stats_of(&a).errors > 0);
    cr_expect_eq(stage_of(&a, "intake").errors, 1);
    cr_expect_eq(stage_of(&a, "intake").batches, 0);
    api_close(&a);
}

/* What cannot be answered is refused by name, and an older caller's struct is filled as far as it
 * goes. */
Test(api_stats, refused)
{
    struct api_device a;
    struct syncline_stats stats = SYNCLINE_STATS_INIT;
    struct syncline_stage stage = SYNCLINE_STAGE_INIT;
    cr_expect_eq(syncline_stats(NULL, &stats), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_stage_get(NULL, 0, &stage), SYNCLINE_EINVAL);
    api_create(&a, "a");
    api_open_alone(&a);
    API_REFUSED(a.lib, syncline_stats(a.lib, NULL), SYNCLINE_EINVAL, "_INIT");
    API_REFUSED(a.lib, syncline_stage_get(a.lib, 0, NULL), SYNCLINE_EINVAL, "_INIT");
    API_REFUSED(a.lib, syncline_stage_get(a.lib, 14, &stage), SYNCLINE_ENOTFOUND, "stage 14");
    stats.size = 0;
    API_REFUSED(a.lib, syncline_stats(a.lib, &stats), SYNCLINE_EINVAL, "_INIT");
    stats.size = offsetof(struct syncline_stats, captured);
    stats.captured = 77;
    API_OK(a.lib, syncline_stats(a.lib, &stats));
    cr_expect(stats.captures == 0 && stats.captured == 77);
    API_OK(a.lib, syncline_stage_get(a.lib, 13, &stage));
    cr_expect_str_eq(stage.name, "snapshot");
    api_close(&a);
}
