/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/member_held.h"

#include "tests/unit/storage_fixture.h"

static struct sl_peer_log log_;
static const struct syncline_uuid x = {{0xa}};
static const struct syncline_uuid y = {{0xb}};

static void start(void)
{
    const struct sl_library_identity identity = {.device_name = "laptop"};
    set_up();
    OK(sl_peer_log_create(sl_env_posix(), in_folder("sync.db"), &identity, &err));
    OK(sl_peer_log_open(&log_, sl_env_posix(), in_folder("sync.db"), SL_DB_WRITE, &err));
}

static void stop(void)
{
    sl_peer_log_fini(&log_);
    tear_down();
}

TestSuite(member_held, .init = start, .fini = stop);

static uint64_t held(const struct syncline_uuid *device, int64_t origin)
{
    uint64_t seq = 77;
    OK(sl_held_get(&log_, device, origin, &seq, &err));
    return seq;
}

/* What a member holds is kept by origin; the latest word stands, also a lower one. */
Test(member_held, held)
{
    cr_expect_eq(held(&x, 1), 0);
    OK(sl_held_put(&log_, &x, 1, 10, &err));
    OK(sl_held_put(&log_, &x, 2, 20, &err));
    OK(sl_held_put(&log_, &y, 1, 30, &err));
    cr_expect(held(&x, 1) == 10 && held(&x, 2) == 20 && held(&y, 1) == 30 && held(&y, 2) == 0);
    OK(sl_held_put(&log_, &x, 1, 3, &err));
    cr_expect_eq(held(&x, 1), 3);
}

/* Absence and days in contact are as they were put. */
Test(member_held, absence)
{
    struct sl_absence absence = {.heard = 77};
    struct sl_contact contact = {.days = 77, .day = 77};
    bool found = true;
    OK(sl_absence_get(&log_, &x, &found, &absence, &err));
    cr_expect(!found && absence.heard == 77);
    OK(sl_contact_get(&log_, &contact, &err));
    cr_expect(contact.days == 0 && contact.day == 0);
    absence = (struct sl_absence){.heard = 5, .marked_ms = 1767225600000};
    OK(sl_absence_put(&log_, &x, &absence, &err));
    contact = (struct sl_contact){.days = 6, .day = 20454};
    OK(sl_contact_put(&log_, &contact, &err));
    struct sl_absence read = {.heard = 0};
    struct sl_contact again = {.days = 0};
    OK(sl_absence_get(&log_, &x, &found, &read, &err));
    cr_expect(found && read.heard == 5 && read.marked_ms == 1767225600000);
    OK(sl_contact_get(&log_, &again, &err));
    cr_expect(again.days == 6 && again.day == 20454);
    OK(sl_absence_get(&log_, &y, &found, &read, &err));
    cr_expect_not(found);
}

/* Every call passes on that its table is not there. */
Test(member_held, failures)
{
    struct sl_absence absence = {.heard = 1};
    struct sl_contact contact = {.days = 1};
    uint64_t seq = 0;
    bool found = false;
    OK(sl_db_exec(&log_.db, "DROP TABLE held; DROP TABLE absence; DROP TABLE meta", &err));
    FAILS(sl_held_put(&log_, &x, 1, 1, &err), SYNCLINE_EDB, "held");
    FAILS(sl_held_get(&log_, &x, 1, &seq, &err), SYNCLINE_EDB, "held");
    FAILS(sl_absence_put(&log_, &x, &absence, &err), SYNCLINE_EDB, "absence");
    FAILS(sl_absence_get(&log_, &x, &found, &absence, &err), SYNCLINE_EDB, "absence");
    FAILS(sl_contact_put(&log_, &contact, &err), SYNCLINE_EDB, "meta");
    FAILS(sl_contact_get(&log_, &contact, &err), SYNCLINE_EDB, "meta");
}
