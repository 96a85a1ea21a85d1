/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/deletes.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "stages/unsettled.h"
#include "tests/unit/storage_fixture.h"

TestSuite(deletes, .init = set_up, .fini = tear_down);

static const struct syncline_uuid library_id = {{0x11, 0x22}};
static const struct syncline_uuid gone = {{0x33}};
static struct sl_library_db ldb;
static struct sl_deletes deletes;

static void open_new(void)
{
    OK(sl_library_db_open(&ldb, sl_env_posix(), in_folder("library.db"), SL_DB_CREATE, 0, &err));
    OK(sl_library_db_create(&ldb, &library_id, &err));
    sl_deletes_init(&deletes, &sl_allocator_libc);
}

static void close_all(void)
{
    sl_deletes_fini(&deletes);
    sl_library_db_fini(&ldb);
}

/* An outbox row that names `gone`; its id. */
static int64_t capture(enum syncline_change change, int64_t model)
{
    struct sl_buf uuids;
    sl_buf_init(&uuids, &sl_allocator_libc);
    sl_buf_bytes(&uuids, gone.bytes, sizeof(gone.bytes));
    sl_buf_u32(&uuids, 1);
    struct sl_outbox_row row = {.change = change,
                                .model = model,
                                .n = 1,
                                .ids = (const uint8_t *)"",
                                .uuids = uuids.data,
                                .uuids_size = uuids.len};
    OK(sl_outbox_insert(&ldb, &row, &err));
    sl_buf_fini(&uuids);
    return row.id;
}

/* Deletes alone, of the model alone, and only later ones. */
Test(deletes, later_ones)
{
    open_new();
    int64_t inserted = capture(SYNCLINE_INSERT, 1);
    (void)capture(SYNCLINE_UPDATE, 1);
    OK(sl_deletes_read(&deletes, &ldb, inserted, false, &err));
    cr_expect(!sl_deletes_after(&deletes, 1, &gone, inserted));
    int64_t deleted = capture(SYNCLINE_DELETE, 1);
    cr_expect(!sl_deletes_after(&deletes, 1, &gone, inserted), "not read yet");
    OK(sl_deletes_read(&deletes, &ldb, inserted, false, &err));
    cr_expect(sl_deletes_after(&deletes, 1, &gone, inserted));
    cr_expect(!sl_deletes_after(&deletes, 1, &gone, deleted));
    cr_expect(!sl_deletes_after(&deletes, 2, &gone, inserted));
    close_all();
}

/* What a transaction captured itself counts for it, and for nobody when it was rolled back - not
 * even though another row gets the same id. */
Test(deletes, rolled_back)
{
    open_new();
    int64_t inserted = capture(SYNCLINE_INSERT, 1);
    OK(sl_db_exec(&ldb.db, "BEGIN", &err));
    int64_t deleted = capture(SYNCLINE_DELETE, 1);
    OK(sl_deletes_read(&deletes, &ldb, inserted, true, &err));
    cr_expect(sl_deletes_after(&deletes, 1, &gone, inserted));
    sl_deletes_done(&deletes);
    OK(sl_db_exec(&ldb.db, "ROLLBACK", &err));
    cr_assert_eq(capture(SYNCLINE_UPDATE, 1), deleted);
    OK(sl_deletes_read(&deletes, &ldb, inserted, false, &err));
    cr_expect(!sl_deletes_after(&deletes, 1, &gone, inserted));
    (void)capture(SYNCLINE_DELETE, 1);
    OK(sl_deletes_read(&deletes, &ldb, inserted, true, &err));
    cr_expect(sl_deletes_after(&deletes, 1, &gone, inserted));
    sl_deletes_done(&deletes);
    OK(sl_deletes_read(&deletes, &ldb, inserted, false, &err));
    cr_expect(sl_deletes_after(&deletes, 1, &gone, inserted));
    close_all();
}

/* Those read back from the log, by seq. */
Test(deletes, recovered)
{
    open_new();
    cr_assert(sl_deletes_add_recovered(&deletes, 1, &gone, 20));
    cr_expect(sl_deletes_recovered_after(&deletes, 1, &gone, 19));
    cr_expect(!sl_deletes_recovered_after(&deletes, 1, &gone, 20));
    cr_expect(!sl_deletes_recovered_after(&deletes, 2, &gone, 19));
    sl_deletes_forget_recovered(&deletes);
    cr_expect(!sl_deletes_recovered_after(&deletes, 1, &gone, 19));
    close_all();
}

/* fk_resolve asks about new changes while older ones are not settled: what settle asks about later
 * was read, too. */
Test(deletes, older_are_still_asked_about)
{
    open_new();
    struct sl_unsettled list;
    struct sl_model model = {.id_in_db = 1};
    OK(sl_unsettled_init(&list, &sl_allocator_libc));
    struct sl_unsettled_entry *entry = sl_unsettled_entry_new(&list, 1);
    cr_assert_not_null(entry);
    entry->model = &model;
    entry->first_seq = 1;
    entry->uuids[0] = gone;
    entry->outbox_id = capture(SYNCLINE_INSERT, 1);
    sl_unsettled_append(&list, entry);
    (void)capture(SYNCLINE_DELETE, 1);
    int64_t newer = capture(SYNCLINE_INSERT, 1);
    OK(sl_unsettled_read_deletes(&list, &ldb, newer, &err));
    cr_expect(!sl_unsettled_deleted_after(&list, &model, &gone, newer));
    OK(sl_deletes_read(&list.deletes, &ldb, entry->outbox_id, false, &err));
    cr_expect(sl_deletes_after(&list.deletes, 1, &gone, entry->outbox_id));
    sl_unsettled_fini(&list);
    close_all();
}

/* When all is settled the memory of a long backlog goes, though nobody asks again. */
Test(deletes, none_kept_when_all_is_settled)
{
    open_new();
    struct sl_unsettled list;
    struct sl_model model = {.id_in_db = 1};
    OK(sl_unsettled_init(&list, &sl_allocator_libc));
    size_t prepared = list.deletes.committed.capacity;
    OK(sl_db_exec(&ldb.db, "BEGIN", &err));
    int64_t inserted = capture(SYNCLINE_INSERT, 1);
    int64_t deleted = 0;
    for (size_t i = 0; i < SL_ARENA_KEPT_MAX / 32; i++) {
        deleted = capture(SYNCLINE_DELETE, 1);
    }
    OK(sl_db_exec(&ldb.db, "COMMIT", &err));
    OK(sl_unsettled_read_deletes(&list, &ldb, inserted, &err));
    cr_expect_gt(list.deletes.committed.capacity, prepared);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct sl_unsettled_entry *entry = sl_unsettled_entry_new(&list, 1);
        cr_assert_not_null(entry);
        entry->model = &model;
        entry->first_seq = seq;
        entry->outbox_id = seq == 1 ? inserted : deleted - 3 + (int64_t)seq;
        sl_unsettled_append(&list, entry);
        sl_unsettled_set_durable(&list, entry, seq);
    }
    sl_unsettled_drop(&list, 1);
    cr_expect_gt(list.deletes.committed.len, 0, "the second one may still be asked about");
    sl_unsettled_drop(&list, 3);
    cr_expect_eq(list.deletes.committed.len, 0);
    cr_expect_leq(list.deletes.committed.capacity, prepared);
    sl_unsettled_fini(&list);
    close_all();
}
