/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Who belongs to the library, by the public calls: the list, leaving and revoking, from the handle
 * that runs the engine and from one beside it. */

#include "tests/integration/api.h"

TestSuite(api_members, .init = api_setup, .fini = api_cleanup);

static const struct syncline_uuid nobody;

/* The device with that name; its standing 0 if there is none. */
static struct syncline_device device_named(struct syncline *lib, const char *name)
{
    struct syncline_device device = SYNCLINE_DEVICE_INIT;
    for (size_t i = 0; syncline_device_get(lib, i, &device) == SYNCLINE_OK; i++) {
        if (strcmp(device.name, name) == 0) {
            return device;
        }
    }
    return (struct syncline_device)SYNCLINE_DEVICE_INIT;
}

static bool is_same(const struct syncline_uuid *a, const struct syncline_uuid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* The list says who let whom in, this device first. */
Test(api_members, list)
{
    struct api_device a;
    struct api_device b;
    struct syncline_device first = SYNCLINE_DEVICE_INIT;
    api_pair(&a, &b);
    API_WAIT(device_named(b.lib, "b").since_ms != 0);
    struct syncline_info info = api_info(&a);
    API_OK(a.lib, syncline_device_get(a.lib, 0, &first));
    cr_expect(first.is_self);
    cr_expect_str_eq(first.name, "a");
    cr_expect_eq(first.standing, SYNCLINE_STANDING_MEMBER);
    cr_expect(is_same(&first.let_in_by, &nobody), "it made the library");
    cr_expect_eq(first.since_ms, 0);
    struct syncline_device second = device_named(a.lib, "b");
    cr_expect(is_same(&second.let_in_by, &info.device_id));
    cr_expect_gt(second.since_ms, 0);
    cr_expect_not(second.is_self);
    cr_expect_eq(second.out_ms, 0);
    struct syncline_device there = device_named(b.lib, "b");
    cr_expect(there.is_self);
    cr_expect(is_same(&there.let_in_by, &info.device_id));
    cr_expect_eq(there.since_ms, second.since_ms);
    API_REFUSED(a.lib, syncline_device_get(a.lib, 2, &first), SYNCLINE_ENOTFOUND, "no device 2");
    API_REFUSED(a.lib, syncline_device_get(a.lib, 0, NULL), SYNCLINE_EINVAL, "_INIT");
    cr_expect_eq(info.standing, SYNCLINE_STANDING_MEMBER);
    api_close(&a);
    api_close(&b);
}

/* A revoked device gets nothing any more and gives nothing any more; both lists say so. */
Test(api_members, revoke)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&b, 3, 0);
    api_settle(&a, &b);
    struct syncline_uuid id = api_info(&b).device_id;
    struct syncline_uuid self = api_info(&a).device_id;
    API_REFUSED(a.lib, syncline_revoke(a.lib, NULL), SYNCLINE_EINVAL, "NULL");
    API_REFUSED(a.lib, syncline_revoke(a.lib, &nobody), SYNCLINE_ENOTFOUND, "no device");
    API_REFUSED(a.lib, syncline_revoke(a.lib, &self), SYNCLINE_EREFUSED, "cannot revoke itself");
    API_OK(a.lib, syncline_revoke(a.lib, &id));
    API_REFUSED(a.lib, syncline_revoke(a.lib, &id), SYNCLINE_EREFUSED, "revoked already");
    struct syncline_device out = device_named(a.lib, "b");
    cr_expect_eq(out.standing, SYNCLINE_STANDING_REVOKED);
    cr_expect(is_same(&out.out_by, &self));
    cr_expect_gt(out.out_ms, 0);
    cr_expect_eq(out.kept_seq, 3);
    cr_expect_eq(api_info(&a).members, 0);
    API_WAIT(api_info(&b).standing == SYNCLINE_STANDING_REVOKED);
    API_WAIT(api_info(&b).links == 0);
    cr_expect_not_null(strstr(api_info(&b).notice, "revoked"), "%s", api_info(&b).notice);
    api_save_tags(&b, 2, 0);
    API_OK(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    API_REFUSED(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_ACKED, 0, NULL), SYNCLINE_EREFUSED,
                "no other member");
    API_REFUSED(b.lib, syncline_revoke(b.lib, &self), SYNCLINE_EREFUSED, "has no say");
    API_REFUSED(b.lib, syncline_leave(b.lib, 0), SYNCLINE_EREFUSED, "no other member");
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 5);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 3);
    api_close(&a);
    api_close(&b);
}

/* Who leaves has waited until somebody has everything; when nobody does, it has not left. */
Test(api_members, leave)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&b, 3, 0);
    api_settle(&a, &b);
    api_stop(&a);
    api_save_tags(&b, 2, 0);
    API_REFUSED(b.lib, syncline_leave(b.lib, 100), SYNCLINE_TIMEOUT, "no other member holds all");
    cr_expect_eq(api_info(&b).standing, SYNCLINE_STANDING_MEMBER);
    api_open(&a, NULL);
    API_OK(b.lib, syncline_leave(b.lib, API_DEADLINE_MS));
    cr_expect_eq(api_info(&b).standing, SYNCLINE_STANDING_LEFT);
    API_WAIT(device_named(a.lib, "b").standing == SYNCLINE_STANDING_LEFT);
    struct syncline_device out = device_named(a.lib, "b");
    cr_expect_eq(out.kept_seq, 5);
    cr_expect(is_same(&out.out_by, &nobody));
    API_WAIT(api_info(&b).links == 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    API_WAIT(api_int(a.db, "SELECT count(*) FROM tags") == 5); /* it has waited for "held" */
    API_REFUSED(b.lib, syncline_leave(b.lib, 0), SYNCLINE_EREFUSED, "no other member");
    api_close(&a);
    api_close(&b);
}

/* A handle beside the engine reads the same list, and has the engine say its word; without an
 * engine nothing is said. */
Test(api_members, beside_the_engine)
{
    struct api_device a;
    struct api_device b;
    struct syncline *beside = NULL;
    struct syncline_options options = api_options();
    api_pair(&a, &b);
    struct syncline_uuid id = api_info(&b).device_id;
    API_WAIT(device_named(a.lib, "b").since_ms != 0);
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &beside), SYNCLINE_OK, "%s", api_text);
    cr_expect_eq(device_named(beside, "b").standing, SYNCLINE_STANDING_MEMBER);
    API_REFUSED(beside, syncline_revoke(beside, &nobody), SYNCLINE_ENOTFOUND, "no device");
    API_OK(beside, syncline_revoke(beside, &id));
    cr_expect_eq(device_named(beside, "b").standing, SYNCLINE_STANDING_REVOKED);
    cr_expect_eq(device_named(a.lib, "b").standing, SYNCLINE_STANDING_REVOKED);
    API_WAIT(api_info(&b).standing == SYNCLINE_STANDING_REVOKED);
    struct syncline_info info = SYNCLINE_INFO_INIT;
    API_OK(beside, syncline_info(beside, &info));
    cr_expect_eq(info.standing, SYNCLINE_STANDING_MEMBER);
    api_stop(&a);
    API_REFUSED(beside, syncline_revoke(beside, &id), SYNCLINE_EREFUSED, "no process runs");
    syncline_close(beside);
    api_close(&a);
    api_close(&b);
}
