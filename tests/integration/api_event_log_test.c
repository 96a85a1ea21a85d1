/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The event log, read through the public call. */

#include <time.h>

#include "tests/integration/api.h"

TestSuite(api_event_log, .init = api_setup, .fini = api_cleanup);

struct heard {
    struct syncline *lib; /* looked at from inside */
    size_t count;
    int64_t first;
    int64_t last;
    enum syncline_event_code code; /* of the last */
    enum syncline_status status;
    int64_t timestamp;
    char text[512];
    char model[128]; /* "": none */
    bool has_device;
    struct syncline_uuid device;
    bool has_record;
    struct syncline_uuid record;
};

static void hear(void *ctx, const struct syncline_event_entry *entry)
{
    struct heard *heard = ctx;
    cr_expect_eq(entry->size, sizeof(*entry));
    cr_expect_gt(entry->number, heard->last);
    heard->first = heard->count++ == 0 ? entry->number : heard->first;
    heard->last = entry->number;
    heard->code = entry->code;
    heard->status = entry->status;
    heard->timestamp = entry->timestamp;
    (void)snprintf(heard->text, sizeof(heard->text), "%s", entry->text);
    (void)snprintf(heard->model, sizeof(heard->model), "%s",
                   entry->model_type != NULL ? entry->model_type : "");
    heard->has_device = entry->device_id != NULL;
    heard->has_record = entry->record_uuid != NULL;
    heard->device = heard->has_device ? *entry->device_id : heard->device;
    heard->record = heard->has_record ? *entry->record_uuid : heard->record;
    if (heard->lib != NULL) {
        struct syncline_info info = SYNCLINE_INFO_INIT;
        cr_expect_eq(syncline_info(heard->lib, &info), SYNCLINE_OK);
    }
}

static struct heard hear_all(struct api_device *device, int64_t after)
{
    struct heard heard = {.last = after};
    API_OK(device->lib, syncline_events_read(device->lib, after, hear, &heard));
    return heard;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A new member is an event, with the device and the time; and so in the capture role, too. */
Test(api_event_log, a_member)
{
    struct api_device a;
    struct api_device b;
    int64_t before_ms = wall_ms();
    api_create(&a, "a");
    api_open(&a, NULL);
    cr_expect_eq(hear_all(&a, 0).count, 0);
    api_join(&b, "b", a.address);
    API_WAIT(hear_all(&a, 0).count == 1);
    struct heard heard = hear_all(&a, 0);
    api_open(&b, a.address);
    struct syncline_info of_b = api_info(&b);
    cr_expect_eq(heard.code, SYNCLINE_CODE_MEMBER_ADDED);
    cr_expect_eq(heard.status, SYNCLINE_OK);
    cr_expect_str_eq(heard.text, "device \"b\" is a member now");
    cr_expect(heard.has_device && !heard.has_record);
    cr_expect_eq(memcmp(&heard.device, &of_b.device_id, sizeof(heard.device)), 0);
    cr_expect_str_eq(heard.model, "");
    cr_expect_geq(heard.timestamp, before_ms);
    cr_expect_leq(heard.timestamp, wall_ms());
    cr_expect_eq(hear_all(&a, heard.last).count, 0);

    struct syncline_options options = api_options();
    struct syncline *other = NULL;
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &other), SYNCLINE_OK, "%s", api_text);
    struct heard there = {.lib = other};
    API_OK(other, syncline_events_read(other, 0, hear, &there));
    cr_expect_eq(there.count, 1);
    syncline_close(other);
    api_close(&a);
    api_close(&b);
}

/* However many there are, each is told once and in order, from inside the function other calls may
 * be made; `after` leaves out what was told. What they are about comes as it was kept. */
Test(api_event_log, many)
{
    struct api_device a;
    char path[600];
    api_create(&a, "a");
    (void)snprintf(path, sizeof(path), "%s/sync.db", a.dir);
    for (int n = 0; n <= 33; n++) {
        api_open(&a, NULL);
        struct heard heard = {.lib = a.lib};
        API_OK(a.lib, syncline_events_read(a.lib, 0, hear, &heard));
        cr_expect_eq(heard.count, (size_t)n);
        cr_expect_eq(heard.last, n);
        if (n > 5) {
            heard = hear_all(&a, 5);
            cr_expect_eq(heard.count, (size_t)n - 5);
            cr_expect_eq(heard.first, 6);
            cr_expect_eq(heard.status, SYNCLINE_ENOSPC);
            cr_expect_eq(heard.timestamp, 1234);
            cr_expect_str_eq(heard.text, "a text");
            cr_expect_str_eq(heard.model, "tag");
            cr_expect(heard.has_device && heard.has_record);
            cr_expect_eq(heard.device.bytes[15], 0x0f);
            cr_expect_eq(heard.record.bytes[0], 0xf0);
            cr_expect_eq((int)heard.code, 4000);
            cr_expect_str_eq(syncline_event_code_name(heard.code), "UNKNOWN");
        }
        api_stop(&a);
        api_sql_at(path, "INSERT INTO event(at_ms,code,status,device,model,uuid,text)"
                         " VALUES(1234,4000,7,x'0000000000000000000000000000000f','tag',"
                         "x'f0000000000000000000000000000000','a text')");
    }
    api_open(&a, NULL);
    api_close(&a);
}

/* What the call refuses, and what it is called. */
Test(api_event_log, refused)
{
    struct api_device a;
    struct heard heard = {0};
    api_create(&a, "a");
    api_open(&a, NULL);
    API_REFUSED(a.lib, syncline_events_read(a.lib, 0, NULL, NULL), SYNCLINE_EINVAL, "fn");
    cr_expect_eq(syncline_events_read(NULL, 0, hear, &heard), SYNCLINE_EINVAL);
    cr_expect_str_eq(syncline_event_code_name(SYNCLINE_CODE_CLOCK_AHEAD), "CLOCK_AHEAD");
    cr_expect_str_eq(syncline_event_code_name(SYNCLINE_CODE_EVENTS_LOST), "EVENTS_LOST");
    api_close(&a);
}
