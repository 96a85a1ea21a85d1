/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Two libraries, on real files, that are stepped in one process: what the tests share which write
 * rows on one device and look at the other. A test defines `two` with its models and its tables. */

#ifndef SL_TESTS_TWO_LIBRARIES_H
#define SL_TESTS_TWO_LIBRARIES_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/transport_local.h"
#include "pipeline/library.h"
#include "pipeline/library_view.h"

#define UNUSED __attribute__((unused))
#define ROUNDS_MAX 100000 /* far more than it takes: a bound, not a time */

/* What the two sync. */
struct two_libraries {
    const struct syncline_model *const *models;
    const char *const *contents; /* by model: every row with its keys as UUIDs; @ is the database's
                                    name */
    size_t models_count;         /* of both */
    const struct sl_env *env;    /* NULL: the real one */
};
static const struct two_libraries two; /* the test's */

struct device {
    char library_db[128];
    char sync_db[128];
    char uuid_map[128];
    struct sl_identity identity;
    struct sl_transport *transport;
    struct sl_library_config config;
    const char *peer;
    struct sl_library *library; /* NULL: closed */
    sqlite3 *db;                /* the application's own connection */
};

static char folder[64];
static struct sl_error err;
static struct sl_local_hub *hub;
static struct device a; /* is dialled by b */
static struct device b;

static UNUSED void sql(sqlite3 *db, const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static UNUSED int64_t number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

static UNUSED void open_library(struct device *device)
{
    cr_assert_eq(sl_transport_local_new(hub, &device->transport), SYNCLINE_OK);
    device->config.transport = device->transport;
    cr_assert_eq(sl_library_open(&device->config, &device->library, &err), SYNCLINE_OK, "%s",
                 err.text);
}

static UNUSED void close_library(struct device *device)
{
    sl_library_close(device->library);
    device->library = NULL;
    device->transport->ops->free(device->transport);
}

static UNUSED void make(struct device *device, const char *name, const char *peer,
                        const char *schema, const struct syncline_uuid *library_id)
{
    memset(device, 0, sizeof(*device));
    (void)snprintf(device->library_db, sizeof(device->library_db), "%s/%s.db", folder, name);
    (void)snprintf(device->sync_db, sizeof(device->sync_db), "%s/%s-sync.db", folder, name);
    (void)snprintf(device->uuid_map, sizeof(device->uuid_map), "%s/%s-map", folder, name);
    cr_assert_eq(sl_identity_new(sl_env_posix(), &device->identity, &err), SYNCLINE_OK);
    device->peer = peer;
    device->config = (struct sl_library_config){.env = two.env != NULL ? two.env : sl_env_posix(),
                                                .library_db = device->library_db,
                                                .sync_db = device->sync_db,
                                                .uuid_map = device->uuid_map,
                                                .identity = &device->identity,
                                                .models = two.models,
                                                .models_count = two.models_count,
                                                .listen = name,
                                                .peers = &device->peer,
                                                .peers_count = peer != NULL ? 1 : 0,
                                                .engine = true};
    cr_assert_eq(sl_library_create(&device->config, library_id, "Two", name, &err), SYNCLINE_OK,
                 "%s", err.text);
    cr_assert_eq(sqlite3_open(device->library_db, &device->db), SQLITE_OK);
    sql(device->db, "PRAGMA foreign_keys=ON");
    sql(device->db, schema);
}

/* Two devices, made and not open. */
static UNUSED void make_two(const char *schema)
{
    struct syncline_uuid library_id;
    (void)snprintf(folder, sizeof(folder), "/tmp/syncline-two-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(syncline_uuid_new(&library_id, 1), SYNCLINE_OK);
    cr_assert_eq(sl_local_hub_new(&sl_allocator_libc, &hub), SYNCLINE_OK);
    make(&a, "a", NULL, schema, &library_id);
    make(&b, "b", "a", schema, &library_id);
}

static UNUSED int remove_one(const char *path, const struct stat *status, int kind,
                             struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Both are open. */
static UNUSED void remove_two(void)
{
    close_library(&a);
    close_library(&b);
    cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);
    cr_assert_eq(sqlite3_close(b.db), SQLITE_OK);
    sl_local_hub_free(hub);
    cr_assert_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static UNUSED struct syncline_info info_of(struct device *device)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    cr_assert_eq(sl_library_info(device->library, &info, &err), SYNCLINE_OK, "%s", err.text);
    return info;
}

static UNUSED bool is_done(struct device *from, struct device *to)
{
    struct syncline_info sent = info_of(from);
    struct syncline_info got = info_of(to);
    return sent.outbox == 0 && got.received_applied == sent.own_seq;
}

/* Steps both until each has what the other captured. */
static UNUSED void settle(void)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (size_t i = 0; i < sl_library_stage_count(a.library); i++) {
            (void)sl_library_step(a.library, i);
            (void)sl_library_step(b.library, i);
        }
        sl_library_poll(a.library, 0);
        sl_library_poll(b.library, 0);
        if (is_done(&a, &b) && is_done(&b, &a)) {
            return;
        }
    }
    cr_assert_fail("they do not come to rest: %s, %s",
                   sl_library_core(a.library)->progress.notice.text,
                   sl_library_core(b.library)->progress.notice.text);
}

static UNUSED void put_name(char out[400], const char *text, const char *name)
{
    size_t len = 0;
    for (; *text != '\0'; text++) {
        const char piece[2] = {*text, '\0'};
        len += (size_t)snprintf(out + len, 400 - len, "%s", *text == '@' ? name : piece);
        cr_assert_lt(len, 400);
    }
}

/* Both hold the same rows with the same parents, no key points nowhere, nothing is set aside. */
static UNUSED void check_equal(void)
{
    char text[2048];
    (void)snprintf(text, sizeof(text), "ATTACH '%s' AS b", b.library_db);
    sql(a.db, text);
    for (size_t m = 0; m < two.models_count; m++) {
        char of_a[400];
        char of_b[400];
        put_name(of_a, two.contents[m], "main");
        put_name(of_b, two.contents[m], "b");
        (void)snprintf(text, sizeof(text),
                       "SELECT (SELECT count(*) FROM (%s EXCEPT %s))+"
                       "(SELECT count(*) FROM (%s EXCEPT %s))",
                       of_a, of_b, of_b, of_a);
        cr_assert_eq(number(a.db, text), 0, "%s", two.models[m]->name);
    }
    sql(a.db, "DETACH b");
    cr_assert_eq(number(b.db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    cr_assert_eq(info_of(&a).set_aside + info_of(&b).set_aside, 0);
}

#endif
