/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A log that was pruned, as an application sees it: what is kept and for whom, subscribers, the log
 * read from its beginning, and the history of a record. */

#include <pthread.h>

#include "tests/integration/api.h"

TestSuite(api_prune, .init = api_setup, .fini = api_cleanup);

static const char conf[] = "log_prune = on\n";

static void put_conf(const struct api_device *device)
{
    char path[API_PATH_SIZE + 32];
    (void)snprintf(path, sizeof(path), "%s/syncline.conf", device->dir);
    api_write_file(path, conf, sizeof(conf) - 1);
}

/* Two devices that prune. */
static void pair(struct api_device *a, struct api_device *b)
{
    api_create(a, "a");
    put_conf(a);
    api_open(a, NULL);
    api_join(b, "b", a->address);
    put_conf(b);
    api_open(b, a->address);
}

static struct syncline_kept kept_of(struct api_device *device, size_t index)
{
    struct syncline_kept kept = SYNCLINE_KEPT_INIT;
    API_OK(device->lib, syncline_kept_get(device->lib, index, &kept));
    return kept;
}

/* All that is kept of all logs. */
static uint64_t segments(struct api_device *device)
{
    struct syncline_kept kept = SYNCLINE_KEPT_INIT;
    uint64_t sum = 0;
    for (size_t i = 0; syncline_kept_get(device->lib, i, &kept) == SYNCLINE_OK; i++) {
        sum += kept.segments;
    }
    return sum;
}

/* What is kept is told of each log, and for whom; and who of it was not heard for how long. */
Test(api_prune, kept)
{
    struct api_device a;
    struct api_device b;
    pair(&a, &b);
    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    api_stop(&b);
    api_save_tags(&a, 1000, 100);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    struct syncline_kept kept = kept_of(&a, 0);
    API_OK(a.lib, syncline_member_get(a.lib, 0, &member));
    cr_expect(kept.floor_seq == 0 && kept.held_seq == 1000 && kept.segments >= 10);
    cr_expect_gt(kept.bytes, 1000);
    cr_expect_eq(memcmp(&kept.kept_for, &member.device_id, sizeof(kept.kept_for)), 0);
    cr_expect_eq(kept.kept_for_seq, 0);
    cr_expect(member.absent_days == 0 && member.days_left == 31 && member.away_since_ms == 0);

    api_open(&b, a.address);
    API_WAIT(segments(&a) == 0 && segments(&b) == 0);
    kept = kept_of(&a, 0);
    cr_expect(kept.floor_seq == 1000 && kept.held_seq == 1000 && kept.bytes == 0);
    cr_expect_eq(kept.kept_for_seq, 1000);
    API_REFUSED(a.lib, syncline_kept_get(a.lib, 9, &kept), SYNCLINE_ENOTFOUND, "no log 9");
    API_REFUSED(a.lib, syncline_kept_get(a.lib, 0, NULL), SYNCLINE_EINVAL, "_INIT");
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* ---- Subscribers ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool goes_on;
static uint64_t told;  /* changes */
static unsigned lost;  /* errors that say EPRUNED */
static uint64_t first; /* seq of the first change */

static void listen_to(void *ctx, const struct syncline_event *event)
{
    (void)ctx;
    (void)pthread_mutex_lock(&lock);
    while (!goes_on) {
        (void)pthread_cond_wait(&moved, &lock);
    }
    if (event->kind == SYNCLINE_EVENT_ERROR) {
        lost += event->status == SYNCLINE_EPRUNED ? 1 : 0;
    } else {
        first = told == 0 ? event->seq : first;
        told += event->record_count;
    }
    (void)pthread_mutex_unlock(&lock);
}

static uint64_t changes_told(void)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t changes = told;
    (void)pthread_mutex_unlock(&lock);
    return changes;
}

/* A subscriber that stands still is waited for, and told of all; once it is gone, nobody is. */
Test(api_prune, a_subscriber_is_waited_for)
{
    struct api_device a;
    struct api_device b;
    uint64_t id = 0;
    pair(&a, &b);
    API_OK(a.lib, syncline_subscribe(a.lib, listen_to, NULL, NULL, &id));
    api_save_tags(&a, 500, 50);
    api_settle(&a, &b);
    api_save_tags(&b, 500, 50);
    api_settle(&a, &b);
    API_WAIT(segments(&b) == 0);
    cr_expect_gt(segments(&a), 0);
    (void)pthread_mutex_lock(&lock);
    goes_on = true;
    (void)pthread_cond_broadcast(&moved);
    (void)pthread_mutex_unlock(&lock);
    API_WAIT(changes_told() == 1000);
    cr_expect_eq(lost, 0);
    API_WAIT(segments(&a) == 0);
    API_OK(a.lib, syncline_unsubscribe(a.lib, id));
    api_save_tags(&a, 100, 50);
    API_WAIT(segments(&a) == 0 && segments(&b) == 0);
    cr_expect_eq(changes_told(), 1000);
    api_close(&a);
    api_close(&b);
}

/* The log is read from where it begins, which is told first; and the history of a record says of
 * what was pruned nothing that is not so. */
Test(api_prune, reading_what_is_left)
{
    struct api_device a;
    struct api_device b;
    pair(&a, &b);
    struct tag old = api_tag("old");
    api_save_tag(&a, &old, SYNCLINE_INSERT);
    api_settle(&a, &b);
    API_WAIT(segments(&a) == 0 && segments(&b) == 0);
    api_stop(&b);
    struct tag fresh = api_tag("new");
    api_save_tag(&a, &fresh, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    goes_on = true;
    API_OK(a.lib, syncline_log_read(a.lib, listen_to, NULL, NULL));
    cr_expect(lost == 1 && told == 1 && first == 2, "%u %llu", lost, (unsigned long long)told);
    api_close(&a);
    sqlite3_close(b.db);
}
