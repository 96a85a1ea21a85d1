/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Callers compiled with another version of the header, whose structs are shorter or longer. */

#include "tests/integration/api.h"

TestSuite(api_sizes, .init = api_setup, .fini = api_cleanup);

/* A struct of a version to come: this one's, with a field more. */
#define NEXT(name_, type_)                                                                         \
    struct name_ {                                                                                 \
        type_ now;                                                                                 \
        uint64_t more;                                                                             \
    }
NEXT(next_options, struct syncline_options);
NEXT(next_batch, struct syncline_batch_options);
NEXT(next_subscribe, struct syncline_subscribe_options);
NEXT(next_ticket, struct syncline_ticket);
NEXT(next_who, struct syncline_who);
NEXT(next_info, struct syncline_info);
NEXT(next_model, struct syncline_model);
NEXT(next_field, struct syncline_field);

/* In what is asked for, a field that this version does not know must be zero; then the call is as
 * one of this version. */
Test(api_sizes, of_newer_callers)
{
    struct api_device a;
    struct next_options options = {.now = api_options()};
    struct next_batch batch = {.now = SYNCLINE_BATCH_OPTIONS_INIT};
    struct next_ticket ticket = {.now = SYNCLINE_TICKET_INIT, .more = 7};
    struct next_who who = {.now = SYNCLINE_WHO_INIT};
    struct syncline *lib = NULL;
    options.now.size = sizeof(options);
    batch.now.size = sizeof(batch);
    ticket.now.size = sizeof(ticket);
    who.now.size = sizeof(who);
    api_create(&a, "a");
    options.more = 1;
    cr_expect_eq(syncline_open(a.dir, &options.now, &lib), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(api_text, "options: made by SYNCLINE_OPTIONS_INIT of a newer"), "%s",
                       api_text);
    options.more = 0;
    cr_assert_eq(syncline_open(a.dir, &options.now, &a.lib), SYNCLINE_OK, "%s", api_text);

    struct tag tag = api_tag("tag");
    api_put_tag(a.db, &tag);
    batch.now.ticket = &ticket.now;
    batch.more = UINT64_C(1) << 63;
    API_REFUSED(
        a.lib,
        syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_INSERT, a.db, &batch.now),
        SYNCLINE_EINVAL, "made by SYNCLINE_BATCH_OPTIONS_INIT of a newer");
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    batch.more = 0;
    API_OK(a.lib, syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_INSERT, a.db,
                                             &batch.now));
    cr_expect(ticket.now.size == sizeof(ticket) && ticket.more == 7, "what is not known stays");
    API_REFUSED(a.lib, syncline_wait(a.lib, &ticket.now, SYNCLINE_LEVEL_DURABLE, NULL, -1),
                SYNCLINE_EINVAL, "made by SYNCLINE_TICKET_INIT of a newer");
    ticket.more = 0;
    who.more = 1;
    API_REFUSED(a.lib, syncline_wait(a.lib, &ticket.now, SYNCLINE_LEVEL_DURABLE, &who.now, -1),
                SYNCLINE_EINVAL, "made by SYNCLINE_WHO_INIT of a newer");
    who.more = 0;
    API_OK(a.lib, syncline_wait(a.lib, &ticket.now, SYNCLINE_LEVEL_DURABLE, &who.now, -1));

    struct next_info info = {.now = SYNCLINE_INFO_INIT, .more = 9};
    info.now.size = sizeof(info);
    API_OK(a.lib, syncline_info(a.lib, &info.now));
    cr_expect(info.now.own_seq == 1 && info.now.size == sizeof(info) && info.more == 9);
    api_close(&a);
}

static void count_one(void *ctx, const struct syncline_event *event)
{
    (void)event;
    *(int *)ctx += 1;
}

/* Models of a version to come, whose fields are longer, too. */
Test(api_sizes, of_newer_models)
{
    static struct next_field fields[sizeof(tag_fields) / sizeof(tag_fields[0])];
    static struct next_model model;
    static const struct syncline_model *models[] = {&model.now};
    struct api_device a;
    struct syncline_options options = api_options();
    struct syncline *lib = NULL;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        fields[i].now = tag_fields[i];
    }
    model.now = tag_model;
    model.now.struct_size = sizeof(model);
    model.now.field_size = sizeof(fields[0]);
    model.now.fields = &fields[0].now;
    options.models = models;
    options.models_count = 1;
    api_create(&a, "a");
    model.more = 1;
    cr_expect_eq(syncline_open(a.dir, &options, &lib), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(api_text, "model 0: made by SYNCLINE_MODEL of a newer"), "%s",
                       api_text);
    model.more = 0;
    fields[3].more = 1;
    cr_expect_eq(syncline_open(a.dir, &options, &lib), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(api_text, "model 'tag': field 3: made by the SYNCLINE_ macros"), "%s",
                       api_text);
    fields[3].more = 0;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    struct tag tag = api_tag("tag");
    int count = 0;
    api_put_tag(a.db, &tag);
    API_OK(a.lib, syncline_sync_model(a.lib, &model.now, &tag, SYNCLINE_INSERT));
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    struct next_subscribe subscribe = {.now = SYNCLINE_SUBSCRIBE_OPTIONS_INIT, .more = 1};
    subscribe.now.size = sizeof(subscribe);
    API_REFUSED(a.lib, syncline_log_read(a.lib, count_one, &count, &subscribe.now), SYNCLINE_EINVAL,
                "made by SYNCLINE_SUBSCRIBE_OPTIONS_INIT of a newer");
    subscribe.more = 0;
    API_OK(a.lib, syncline_log_read(a.lib, count_one, &count, &subscribe.now));
    cr_expect_eq(count, 1);
    api_close(&a);
}

/* What a program was compiled with that knew less: structs that end earlier, with something else
 * behind them, which is neither read nor written. */
Test(api_sizes, of_older_callers)
{
    struct api_device a;
    struct syncline_options options = api_options();
    struct syncline_batch_options batch = SYNCLINE_BATCH_OPTIONS_INIT;
    struct syncline_subscribe_options subscribe = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_setting setting = SYNCLINE_SETTING_INIT;
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    int count = 0;
    api_create(&a, "a");
    options.size = offsetof(struct syncline_options, role);
    options.role = (enum syncline_role)77;
    options.settings = (const char *const *)1;
    options.settings_count = 1000;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    struct tag tag = api_tag("tag");
    api_put_tag(a.db, &tag);
    batch.size = offsetof(struct syncline_batch_options, ticket);
    batch.ticket = (struct syncline_ticket *)1;
    API_OK(a.lib,
           syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_INSERT, a.db, &batch));
    left.size = offsetof(struct syncline_left, unsent);
    left.unsent = 77;
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, &left));
    cr_expect(left.unsent == 77 && left.outbox == 0);
    subscribe.size = offsetof(struct syncline_subscribe_options, json);
    API_OK(a.lib, syncline_log_read(a.lib, count_one, &count, &subscribe));
    cr_expect_eq(count, 1);
    info.size = offsetof(struct syncline_info, engine_pid);
    info.engine_pid = 77;
    (void)snprintf(info.notice, sizeof(info.notice), "mine");
    API_OK(a.lib, syncline_info(a.lib, &info));
    cr_expect(info.engine_pid == 77 && strcmp(info.notice, "mine") == 0 && info.own_seq == 1);
    setting.size = offsetof(struct syncline_setting, value);
    (void)snprintf(setting.value, sizeof(setting.value), "mine");
    API_OK(a.lib, syncline_setting_find(a.lib, "batch_size", &setting));
    cr_expect_str_eq(setting.value, "mine");
    cr_expect_str_eq(setting.key, "batch_size");
    /* And sizes that nobody ever had. */
    batch.size = SIZE_MAX;
    API_REFUSED(
        a.lib,
        syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_UPDATE, a.db, &batch),
        SYNCLINE_EINVAL, "start from SYNCLINE_BATCH_OPTIONS_INIT");
    api_close(&a);
}
