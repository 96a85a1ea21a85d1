/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* An engine that runs where the file system is full, or no file can be opened any more: what the
 * application committed is kept, the rest is refused with a status that says so, and work resumes
 * by itself once there is room. */

#include "tests/integration/api.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

TestSuite(api_shortage, .init = api_setup, .fini = api_cleanup, .timeout = 180);

/* ---- Room ---- */

/* A file system of 6 MiB at the test's folder, which only this process sees. */
static bool mount_small(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", api_folder, "tmpfs", 0, "size=6m") == 0;
}

/* Takes all the room that is left. */
static void fill(const char *path)
{
    static const uint8_t block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    while (write(fd, block, sizeof(block)) > 0) {
    }
    cr_assert_eq(errno, ENOSPC);
    (void)close(fd);
}

/* A transaction of n tags. Returns what stopped it, which was rolled back. */
static enum syncline_status try_save(struct api_device *device, size_t n)
{
    static struct syncline_uuid uuids[100];
    enum syncline_status status = SYNCLINE_OK;
    int code = sqlite3_exec(device->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    cr_assert_eq(syncline_uuid_new(uuids, n), SYNCLINE_OK);
    for (size_t i = 0; i < n && code == SQLITE_OK && status == SYNCLINE_OK; i++) {
        struct tag tag = {.uuid = uuids[i], .name = "a tag"};
        sqlite3_stmt *stmt = api_prepare(device->db, "INSERT INTO tags(uuid,name) VALUES(?1,?2)");
        api_bind_uuid(stmt, 1, &tag.uuid);
        (void)sqlite3_bind_text(stmt, 2, tag.name, -1, SQLITE_STATIC);
        (void)sqlite3_step(stmt);
        code = sqlite3_finalize(stmt);
        tag.id = sqlite3_last_insert_rowid(device->db);
        if (code == SQLITE_OK) {
            status = syncline_sync_model_with_db(device->lib, &tag_model, &tag, SYNCLINE_INSERT,
                                                 device->db);
        }
    }
    if (code == SQLITE_OK && status == SYNCLINE_OK) {
        code = sqlite3_exec(device->db, "COMMIT", NULL, NULL, NULL);
    }
    (void)sqlite3_exec(device->db, "ROLLBACK", NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        return status;
    }
    return code == SQLITE_FULL   ? SYNCLINE_ENOSPC
           : code == SQLITE_BUSY ? SYNCLINE_EBUSY
                                 : SYNCLINE_EDB;
}

/* The file system fills up under an engine that runs: the writer is told, what was committed before
 * goes on once there is room, and nothing else does. */
Test(api_shortage, file_system_is_full)
{
    struct api_device a;
    int64_t saved = 0;
    int64_t updates = 0;
    enum syncline_status status = SYNCLINE_OK;
    if (!mount_small()) {
        cr_skip_test("no file system can be mounted here");
    }
    api_create(&a, "a");
    api_open_alone(&a);
    API_WAIT(try_save(&a, 100) == SYNCLINE_OK);
    saved += 100;
    fill(api_path("ballast"));
    for (int i = 0; i < 1000 && (status == SYNCLINE_OK || status == SYNCLINE_EBUSY); i++) {
        status = try_save(&a, 100);
        saved += status == SYNCLINE_OK ? 100 : 0;
    }
    cr_expect_eq(status, SYNCLINE_ENOSPC, "%d: %s", (int)status, api_error(a.lib));
    /* Without a transaction of the caller's the capture itself has no room. */
    struct tag tag = {.id = 1, .name = "a tag"};
    sqlite3_stmt *stmt = api_prepare(a.db, "SELECT uuid FROM tags WHERE id=1");
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    memcpy(tag.uuid.bytes, sqlite3_column_blob(stmt, 0), sizeof(tag.uuid.bytes));
    (void)sqlite3_finalize(stmt);
    status = SYNCLINE_OK;
    for (int i = 0; i < 1000 && (status == SYNCLINE_OK || status == SYNCLINE_EBUSY); i++) {
        status = syncline_sync_model(a.lib, &tag_model, &tag, SYNCLINE_UPDATE);
        updates += status == SYNCLINE_OK ? 1 : 0;
    }
    cr_expect_eq(status, SYNCLINE_ENOSPC, "%d: %s", (int)status, api_error(a.lib));
    cr_assert_eq(remove(api_path("ballast")), 0);
    API_WAIT(try_save(&a, 1) == SYNCLINE_OK);
    saved++;
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    API_WAIT(api_info(&a).outbox == 0);
    API_WAIT(!api_info(&a).degraded);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), saved);
    cr_expect_geq((int64_t)api_info(&a).own_seq, saved);
    cr_expect_leq((int64_t)api_info(&a).own_seq, saved + updates);
    cr_expect_eq(api_info(&a).set_aside, 0);
    api_close(&a);
    cr_expect_eq(umount2(api_folder, MNT_DETACH), 0);
}

/* ---- Files ---- */

/* No more files can be opened by a process whose engine runs: captures go on and are durable,
 * another device in it cannot be opened and says why, and later it can, and gets everything. */
Test(api_shortage, no_more_files)
{
    struct api_device a;
    struct api_device b;
    struct rlimit before;
    api_pair(&a, &b);
    api_settle(&a, &b);
    api_stop(&b);
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_assert_geq(next, 0);
    (void)close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    enum syncline_status status = syncline_open(b.dir, &options, &b.lib);
    api_save_tags(&a, 100, 0);
    enum syncline_status flushed =
        syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_eq(status, SYNCLINE_EIO, "%d: %s", (int)status, api_text);
    cr_expect_str_neq(api_text, "");
    cr_expect_eq(flushed, SYNCLINE_OK);
    api_open(&b, a.address);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&b);
    api_close(&a);
}
