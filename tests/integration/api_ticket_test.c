/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Tickets: what has become of the changes of one call, from its open transaction to the tables of
 * every other member. */

#include "tests/integration/api.h"

#include <pthread.h>

#include "base/limits.h"
#include "pipeline/handle.h"

TestSuite(api_ticket, .init = api_setup, .fini = api_cleanup);

/* Captures n new tags in the transaction that is open, or outside one. */
static struct syncline_ticket insert_tags(struct api_device *device, size_t n, uint32_t batch_size)
{
    static struct tag tags[2500];
    struct syncline_ticket ticket = SYNCLINE_TICKET_INIT;
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    options.batch_size = batch_size;
    options.ticket = &ticket;
    for (size_t i = 0; i < n; i++) {
        tags[i] = api_tag("with a ticket");
        api_put_tag(device->db, &tags[i]);
    }
    API_OK(device->lib, syncline_sync_models_batch(device->lib, &tag_model, tags, n,
                                                   SYNCLINE_INSERT, device->db, &options));
    return ticket;
}

/* The same in a transaction that ends as said. */
static struct syncline_ticket in_transaction(struct api_device *device, size_t n, const char *end)
{
    api_sql(device->db, "BEGIN IMMEDIATE");
    struct syncline_ticket ticket = insert_tags(device, n, 0);
    api_sql(device->db, end);
    return ticket;
}

static struct syncline_ticket commit_tags(struct api_device *device, size_t n)
{
    return in_transaction(device, n, "COMMIT");
}

/* Looks, without waiting. */
static enum syncline_status state(struct api_device *device, const struct syncline_ticket *ticket,
                                  enum syncline_level level)
{
    return syncline_wait(device->lib, ticket, level, NULL, 0);
}

static void wait_for(struct api_device *device, const struct syncline_ticket *ticket,
                     enum syncline_level level)
{
    API_OK(device->lib, syncline_wait(device->lib, ticket, level, NULL, API_DEADLINE_MS));
}

static void open_capturing(struct api_device *device)
{
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
}

/* A library with a second member that has never run. */
static void with_absent_member(struct api_device *a, struct api_device *b)
{
    api_create(a, "a");
    api_open(a, NULL);
    api_join(b, "b", a->address);
    API_WAIT(api_info(a).members == 1);
}

/* ---- Levels and members ---- */

/* Each level in its turn, with all members, any, and the one named. */
Test(api_ticket, levels)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct syncline_ticket ticket = commit_tags(&a, 3);
    wait_for(&a, &ticket, SYNCLINE_LEVEL_QUEUED);
    wait_for(&a, &ticket, SYNCLINE_LEVEL_DURABLE);
    cr_expect_eq(api_info(&a).own_seq, 3);
    wait_for(&a, &ticket, SYNCLINE_LEVEL_SENT);
    wait_for(&a, &ticket, SYNCLINE_LEVEL_ACKED);
    wait_for(&a, &ticket, SYNCLINE_LEVEL_APPLIED);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 3);
    struct syncline_who who = SYNCLINE_WHO_INIT;
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &who, 0));
    who.whose = SYNCLINE_WHO_ANY;
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &who, 0));
    who.whose = SYNCLINE_WHO_MEMBER;
    who.device_id = api_info(&b).device_id;
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &who, 0));
    who.device_id = api_info(&a).device_id;
    API_REFUSED(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_SENT, &who, -1),
                SYNCLINE_ENOTFOUND, "member");
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_DURABLE, &who, 0));
    api_close(&a);
    api_close(&b);
}

/* Of two members one is away: any has it, all do not, and each can be asked about. */
Test(api_ticket, whose)
{
    struct api_device a;
    struct api_device b;
    struct api_device c;
    api_pair(&a, &b);
    api_join(&c, "c", a.address);
    API_WAIT(api_info(&a).members == 2);
    struct syncline_ticket ticket = commit_tags(&a, 1);
    struct syncline_who who = SYNCLINE_WHO_INIT;
    who.whose = SYNCLINE_WHO_ANY;
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_APPLIED, &who, API_DEADLINE_MS));
    who.whose = SYNCLINE_WHO_MEMBER;
    for (size_t i = 0; i < 2; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        API_OK(a.lib, syncline_member_get(a.lib, i, &member));
        who.device_id = member.device_id;
        enum syncline_status expected =
            strcmp(member.name, "b") == 0 ? SYNCLINE_OK : SYNCLINE_TIMEOUT;
        for (int level = SYNCLINE_LEVEL_SENT; level <= SYNCLINE_LEVEL_APPLIED; level++) {
            cr_expect_eq(syncline_wait(a.lib, &ticket, (enum syncline_level)level, &who, 0),
                         expected, "level %d of %s", level, member.name);
        }
    }
    API_REFUSED(a.lib, state(&a, &ticket, SYNCLINE_LEVEL_SENT), SYNCLINE_TIMEOUT, "up to 0");
    api_close(&a);
    api_close(&b);
    api_close(&c);
}

/* Without other members the levels end at DURABLE, and the others say so. */
Test(api_ticket, alone)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct syncline_ticket ticket = commit_tags(&a, 5);
    for (int level = SYNCLINE_LEVEL_SENT; level <= SYNCLINE_LEVEL_APPLIED; level++) {
        API_REFUSED(a.lib, syncline_wait(a.lib, &ticket, (enum syncline_level)level, NULL, -1),
                    SYNCLINE_EREFUSED, "no other member");
    }
    API_OK(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_DURABLE, NULL, -1));
    api_close(&a);
}

/* A call outside a transaction is committed when it returns; one of many rows is in the log when
 * the last of them is. */
Test(api_ticket, alone_and_many)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct syncline_ticket one = insert_tags(&a, 1, 0);
    cr_expect_eq(state(&a, &one, SYNCLINE_LEVEL_QUEUED), SYNCLINE_OK);
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct syncline_ticket many = insert_tags(&a, 2500, 70);
    api_sql(a.db, "COMMIT");
    wait_for(&a, &many, SYNCLINE_LEVEL_DURABLE);
    cr_expect_eq(api_info(&a).own_seq, 2501);
    cr_expect_eq(state(&a, &one, SYNCLINE_LEVEL_DURABLE), SYNCLINE_OK);
    api_close(&a);
}

/* ---- Open, rolled back ---- */

/* While the transaction is open nothing is known; COMMIT and ROLLBACK are both answers. */
Test(api_ticket, open_then_ended)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct syncline_ticket kept = insert_tags(&a, 2, 0);
    API_REFUSED(a.lib, state(&a, &kept, SYNCLINE_LEVEL_QUEUED), SYNCLINE_TIMEOUT, "not ended");
    API_REFUSED(a.lib, state(&a, &kept, SYNCLINE_LEVEL_DURABLE), SYNCLINE_TIMEOUT, "not ended");
    api_sql(a.db, "COMMIT");
    cr_expect_eq(state(&a, &kept, SYNCLINE_LEVEL_QUEUED), SYNCLINE_OK);
    wait_for(&a, &kept, SYNCLINE_LEVEL_DURABLE);

    api_sql(a.db, "BEGIN IMMEDIATE");
    struct syncline_ticket undone = insert_tags(&a, 2, 0);
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_TIMEOUT);
    api_sql(a.db, "ROLLBACK");
    for (int level = SYNCLINE_LEVEL_QUEUED; level <= SYNCLINE_LEVEL_APPLIED; level++) {
        API_REFUSED(a.lib, syncline_wait(a.lib, &undone, (enum syncline_level)level, NULL, -1),
                    SYNCLINE_EROLLEDBACK, "rolled back");
    }
    cr_expect_eq(state(&a, &kept, SYNCLINE_LEVEL_DURABLE), SYNCLINE_OK);
    api_close(&a);
}

/* The row's number is given again after a rollback: the token tells the two calls apart, while the
 * later one is in the outbox, in the log, and long settled; whether that one has a ticket or not.
 */
Test(api_ticket, number_used_again)
{
    struct api_device a;
    api_create(&a, "a");
    open_capturing(&a);
    struct syncline_ticket undone = in_transaction(&a, 2, "ROLLBACK");
    struct syncline_ticket kept = commit_tags(&a, 3);
    struct syncline_ticket undone_too = in_transaction(&a, 2, "ROLLBACK");
    api_save_tags(&a, 1, 0); /* takes its number, without a ticket */
    cr_assert(undone.row == kept.row && undone.token != kept.token);
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    cr_expect_eq(state(&a, &undone_too, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    cr_expect_eq(state(&a, &kept, SYNCLINE_LEVEL_QUEUED), SYNCLINE_OK);
    API_REFUSED(a.lib, state(&a, &kept, SYNCLINE_LEVEL_DURABLE), SYNCLINE_TIMEOUT, "outbox");
    api_stop(&a);
    api_open_alone(&a);
    api_save_tags(&a, 1, 0);
    wait_for(&a, &kept, SYNCLINE_LEVEL_DURABLE);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    API_WAIT(api_int(a.db, "SELECT count(*) FROM _syncline_outbox") == 1); /* the newest */
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    api_sql(a.db, "BEGIN IMMEDIATE"); /* that is known without the lock */
    cr_expect_eq(state(&a, &undone_too, SYNCLINE_LEVEL_DURABLE), SYNCLINE_EROLLEDBACK);
    api_sql(a.db, "ROLLBACK");
    cr_expect_eq(state(&a, &kept, SYNCLINE_LEVEL_QUEUED), SYNCLINE_OK);
    cr_expect_eq(state(&a, &kept, SYNCLINE_LEVEL_DURABLE), SYNCLINE_OK);
    api_close(&a);
}

/* ROLLBACK TO takes back a part of a transaction; that is known when the whole has ended. */
Test(api_ticket, savepoint)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct syncline_ticket first = insert_tags(&a, 1, 0);
    api_sql(a.db, "SAVEPOINT part");
    struct syncline_ticket undone = insert_tags(&a, 1, 0);
    api_sql(a.db, "ROLLBACK TO part");
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_TIMEOUT);
    struct syncline_ticket last = insert_tags(&a, 1, 0);
    cr_assert_eq(undone.row, last.row);
    api_sql(a.db, "SAVEPOINT part");
    struct syncline_ticket undone_last = insert_tags(&a, 1, 0);
    api_sql(a.db, "ROLLBACK TO part");
    api_sql(a.db, "COMMIT");
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    cr_expect_eq(state(&a, &undone_last, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    wait_for(&a, &first, SYNCLINE_LEVEL_DURABLE);
    wait_for(&a, &last, SYNCLINE_LEVEL_DURABLE);
    cr_expect_eq(api_info(&a).own_seq, 2);
    api_close(&a);
}

/* Another connection that writes holds the lock, too: then it takes longer to know. */
Test(api_ticket, somebody_else_writes)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct syncline_ticket undone = in_transaction(&a, 1, "ROLLBACK");
    sqlite3 *other = api_db_open(a.db_path);
    api_sql(other, "BEGIN IMMEDIATE; UPDATE tags SET here='there'");
    API_REFUSED(a.lib, state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_TIMEOUT, "another");
    api_sql(other, "COMMIT");
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    cr_expect_eq(sqlite3_close(other), SQLITE_OK);
    api_close(&a);
}

struct waiter {
    struct api_device *device;
    struct syncline_ticket ticket;
    enum syncline_status status;
};

static void *wait_until_queued(void *arg)
{
    struct waiter *waiter = arg;
    waiter->status =
        syncline_wait(waiter->device->lib, &waiter->ticket, SYNCLINE_LEVEL_QUEUED, NULL, -1);
    return NULL;
}

/* A thread that waits for an open transaction wakes when it ends, either way. */
Test(api_ticket, another_thread_waits)
{
    static const char *const ends[] = {"COMMIT", "ROLLBACK"};
    static const enum syncline_status answers[] = {SYNCLINE_OK, SYNCLINE_EROLLEDBACK};
    struct api_device a;
    pthread_t thread;
    api_create(&a, "a");
    api_open_alone(&a);
    for (int i = 0; i < 2; i++) {
        struct waiter waiter = {.device = &a};
        api_sql(a.db, "BEGIN IMMEDIATE");
        waiter.ticket = insert_tags(&a, 1, 0);
        cr_assert_eq(pthread_create(&thread, NULL, wait_until_queued, &waiter), 0);
        API_WAIT(atomic_load(&a.lib->running) > 0);
        api_sql(a.db, ends[i]);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(waiter.status, answers[i]);
    }
    api_close(&a);
}

/* Closing ends a wait, and waits for it. */
Test(api_ticket, closing_ends_it)
{
    struct api_device a;
    pthread_t thread;
    struct waiter waiter = {.device = &a};
    api_create(&a, "a");
    api_open_alone(&a);
    api_sql(a.db, "BEGIN IMMEDIATE");
    waiter.ticket = insert_tags(&a, 1, 0);
    cr_assert_eq(pthread_create(&thread, NULL, wait_until_queued, &waiter), 0);
    API_WAIT(atomic_load(&a.lib->running) > 0);
    cr_expect_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_QUEUED, 0, NULL), SYNCLINE_OK);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(waiter.status, SYNCLINE_ECLOSED);
    a.lib = NULL;
    api_sql(a.db, "ROLLBACK");
    api_close(&a);
}

/* ---- What is never sent ---- */

/* Inserted and deleted before the engine saw it: nothing of it is sent, and so both are done, with
 * a member that has never run, too; what is sent is not. */
Test(api_ticket, superseded)
{
    struct api_device a;
    struct api_device b;
    struct syncline_ticket gone = SYNCLINE_TICKET_INIT;
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    with_absent_member(&a, &b);
    api_stop(&a);
    open_capturing(&a);
    struct syncline_ticket before = commit_tags(&a, 2);
    struct tag tag = api_tag("not for long");
    options.ticket = &gone;
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &tag);
    API_OK(a.lib,
           syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_INSERT, a.db, &options));
    api_sql(a.db, "COMMIT");
    api_save_tag(&a, &tag, SYNCLINE_DELETE);
    api_stop(&a);
    api_open(&a, NULL);
    wait_for(&a, &gone, SYNCLINE_LEVEL_APPLIED);
    cr_expect_eq(state(&a, &before, SYNCLINE_LEVEL_DURABLE), SYNCLINE_OK);
    API_REFUSED(a.lib, state(&a, &before, SYNCLINE_LEVEL_APPLIED), SYNCLINE_TIMEOUT,
                "last one is 2");
    cr_expect_eq(api_info(&a).own_seq, 2);
    api_close(&a);
    api_close(&b);
}

/* A record that cannot be sent is set aside; the ticket of its call is done. */
Test(api_ticket, set_aside)
{
    struct api_device a;
    struct api_device b;
    struct syncline_ticket ticket = SYNCLINE_TICKET_INIT;
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    with_absent_member(&a, &b);
    struct folder orphan = api_new_folder("orphan", &(struct folder){.id = 77});
    options.ticket = &ticket;
    api_sql(a.db, "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE");
    api_put_folder(a.db, &orphan);
    API_OK(a.lib, syncline_sync_models_batch(a.lib, &folder_model, &orphan, 1, SYNCLINE_INSERT,
                                             a.db, &options));
    api_sql(a.db, "COMMIT");
    wait_for(&a, &ticket, SYNCLINE_LEVEL_APPLIED);
    cr_expect_eq(api_info(&a).set_aside, 1);
    cr_expect_eq(api_info(&a).own_seq, 0);
    api_close(&a);
    api_close(&b);
}

/* ---- Handles and times ---- */

/* A ticket outlives the handle that made it; in the capture role it is read from the files. */
Test(api_ticket, other_handles)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct syncline_ticket ticket = commit_tags(&a, 4);
    struct syncline_ticket undone = in_transaction(&a, 4, "ROLLBACK");
    wait_for(&a, &ticket, SYNCLINE_LEVEL_APPLIED);
    API_WAIT(api_info(&a).applied_seq == 4); /* sync.db knows it too */
    api_stop(&a);
    open_capturing(&a);
    for (int level = SYNCLINE_LEVEL_QUEUED; level <= SYNCLINE_LEVEL_APPLIED; level++) {
        cr_expect_eq(state(&a, &ticket, (enum syncline_level)level), SYNCLINE_OK, "level %d: %s",
                     level, api_error(a.lib));
    }
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    struct syncline_ticket later = commit_tags(&a, 1);
    cr_expect_eq(state(&a, &later, SYNCLINE_LEVEL_QUEUED), SYNCLINE_OK);
    cr_expect_eq(state(&a, &later, SYNCLINE_LEVEL_DURABLE), SYNCLINE_TIMEOUT);
    api_stop(&a);
    api_open(&a, NULL);
    wait_for(&a, &later, SYNCLINE_LEVEL_APPLIED);
    cr_expect_eq(state(&a, &ticket, SYNCLINE_LEVEL_APPLIED), SYNCLINE_OK);
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    API_REFUSED(b.lib, state(&b, &ticket, SYNCLINE_LEVEL_QUEUED), SYNCLINE_ENOTFOUND, "another");
    api_close(&a);
    api_close(&b);
}

/* A row of which a part is in the log is queued, and no more than that; damage is not an answer. */
Test(api_ticket, in_part)
{
    struct api_device a;
    char sql[256];
    char path[API_PATH_SIZE + 16];
    api_create(&a, "a");
    open_capturing(&a);
    struct syncline_ticket ticket = commit_tags(&a, 10);
    (void)snprintf(path, sizeof(path), "%s/sync.db", a.dir);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO drained(id,token,changes,complete,seq) VALUES(%" PRId64 ",%" PRId64
                   ",6,0,6)",
                   ticket.row, (int64_t)ticket.token);
    api_sql_at(path, sql);
    cr_expect_eq(state(&a, &ticket, SYNCLINE_LEVEL_QUEUED), SYNCLINE_OK);
    API_REFUSED(a.lib, state(&a, &ticket, SYNCLINE_LEVEL_DURABLE), SYNCLINE_TIMEOUT, "outbox");
    api_sql_at(path, "UPDATE drained SET changes=10,complete=1,seq=10");
    cr_expect_eq(state(&a, &ticket, SYNCLINE_LEVEL_DURABLE), SYNCLINE_OK);
    api_sql_at(path, "UPDATE drained SET token=token+2");
    api_sql(a.db, "DELETE FROM _syncline_outbox");
    cr_expect_eq(state(&a, &ticket, SYNCLINE_LEVEL_DURABLE), SYNCLINE_EROLLEDBACK);
    api_sql_at(path, "DROP TABLE drained");
    API_REFUSED(a.lib, state(&a, &ticket, SYNCLINE_LEVEL_DURABLE), SYNCLINE_EDB, "drained");
    api_close(&a);
}

/* The last tickets are remembered, as many as the limit says; older ones are known to be too old.
 */
Test(api_ticket, too_old)
{
    enum { COUNT = SL_DRAINED_KEPT + SL_DRAINED_KEPT / 4 };
    static struct syncline_ticket tickets[COUNT];
    struct api_device a;
    struct tag tag = api_tag("changed again and again");
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    api_create(&a, "a");
    api_open_alone(&a);
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_attach(a.lib, a.db));
    for (int i = 0; i < COUNT; i++) {
        if (i % 1024 == 0) {
            api_sql(a.db, i == 0 ? "BEGIN IMMEDIATE" : "COMMIT; BEGIN IMMEDIATE");
        }
        tickets[i] = (struct syncline_ticket)SYNCLINE_TICKET_INIT;
        options.ticket = &tickets[i];
        API_OK(a.lib, syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_UPDATE, a.db,
                                                 &options));
    }
    api_sql(a.db, "COMMIT");
    API_OK(a.lib, syncline_detach(a.lib, a.db));
    wait_for(&a, &tickets[COUNT - 1], SYNCLINE_LEVEL_DURABLE);
    cr_expect_eq(state(&a, &tickets[COUNT - SL_DRAINED_KEPT], SYNCLINE_LEVEL_DURABLE), SYNCLINE_OK);
    API_REFUSED(a.lib, state(&a, &tickets[0], SYNCLINE_LEVEL_QUEUED), SYNCLINE_ENOTFOUND, "older");
    struct syncline_ticket undone = in_transaction(&a, 1, "ROLLBACK");
    cr_expect_eq(state(&a, &undone, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EROLLEDBACK);
    api_stop(&a);
    api_open_alone(&a); /* how many there are is counted anew */
    struct syncline_ticket next = commit_tags(&a, 1);
    wait_for(&a, &next, SYNCLINE_LEVEL_DURABLE);
    cr_expect_eq(state(&a, &tickets[0], SYNCLINE_LEVEL_QUEUED), SYNCLINE_ENOTFOUND);
    api_close(&a);
}

/* ---- Arguments ---- */

/* What is no ticket, no level or no member is refused by name, and a call that fails gives none. */
Test(api_ticket, refused)
{
    struct api_device a;
    struct syncline_ticket none = SYNCLINE_TICKET_INIT;
    struct syncline_who who = SYNCLINE_WHO_INIT;
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    struct tag tag = api_tag("tag");
    cr_expect_eq(syncline_wait(NULL, &none, SYNCLINE_LEVEL_QUEUED, NULL, 0), SYNCLINE_EINVAL);
    api_create(&a, "a");
    api_open_alone(&a);
    API_REFUSED(a.lib, state(&a, NULL, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EINVAL, "filled");
    API_REFUSED(a.lib, state(&a, &none, SYNCLINE_LEVEL_QUEUED), SYNCLINE_EINVAL, "filled");
    struct syncline_ticket ticket = commit_tags(&a, 1);
    API_REFUSED(a.lib, state(&a, &ticket, (enum syncline_level)0), SYNCLINE_EINVAL, "level 0");
    API_REFUSED(a.lib, state(&a, &ticket, (enum syncline_level)6), SYNCLINE_EINVAL, "level 6");
    who.whose = (enum syncline_whose)3;
    API_REFUSED(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_QUEUED, &who, 0),
                SYNCLINE_EINVAL, "member");
    who = (struct syncline_who){.size = 1};
    API_REFUSED(a.lib, syncline_wait(a.lib, &ticket, SYNCLINE_LEVEL_QUEUED, &who, 0),
                SYNCLINE_EINVAL, "INIT");
    ticket.epoch++;
    API_REFUSED(a.lib, state(&a, &ticket, SYNCLINE_LEVEL_QUEUED), SYNCLINE_ENOTFOUND, "earlier");

    options.ticket = &none;
    cr_expect_eq(syncline_sync_models_batch(a.lib, NULL, &tag, 1, SYNCLINE_INSERT, a.db, &options),
                 SYNCLINE_EMODEL);
    cr_expect(none.row == 0 && none.token == 0 && none.epoch == 0);
    none.size = 8;
    API_REFUSED(
        a.lib,
        syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_INSERT, a.db, &options),
        SYNCLINE_EINVAL, "SYNCLINE_TICKET_INIT");
    options.size = offsetof(struct syncline_batch_options, ticket); /* an older caller's */
    API_OK(a.lib,
           syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_DELETE, a.db, &options));
    cr_expect_eq(none.epoch, 0);
    api_close(&a);
}

/* A call without rows has nothing to wait for. */
Test(api_ticket, no_rows)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct syncline_ticket ticket = commit_tags(&a, 0);
    for (int level = SYNCLINE_LEVEL_QUEUED; level <= SYNCLINE_LEVEL_APPLIED; level++) {
        cr_expect_eq(state(&a, &ticket, (enum syncline_level)level), SYNCLINE_OK);
    }
    api_close(&a);
}
