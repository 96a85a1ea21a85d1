/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/row_survey.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

struct note {
    int64_t id;
    const char *title;
    struct syncline_uuid uuid;
    struct syncline_bytes data;
    struct syncline_uuid album;
    struct syncline_text text;
};
struct point { /* without strings */
    struct syncline_uuid uuid;
    int64_t id;
    double x;
};

static const struct syncline_field album_fields[] = {SYNCLINE_ID(struct point, id),
                                                     SYNCLINE_UUID(struct point, uuid),
                                                     SYNCLINE_DOUBLE(struct point, x)};
static const struct syncline_model album =
    SYNCLINE_MODEL("album", "albums", SYNCLINE_SHARED, struct point, album_fields);
static const struct syncline_field note_fields[] = {SYNCLINE_ID(struct note, id),
                                                    SYNCLINE_UUID(struct note, uuid),
                                                    SYNCLINE_TEXT(struct note, title),
                                                    SYNCLINE_BLOB(struct note, data),
                                                    SYNCLINE_UUID_KEY(struct note, album, "album"),
                                                    SYNCLINE_TEXT(struct note, text)};
static const struct syncline_model note =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct note, note_fields);

#define ROWS 3000

static struct sl_model_set set;
static struct sl_model *notes;
static struct sl_model *points;
static struct sl_row_survey survey;
static struct sl_batch batch;
static struct note rows[ROWS];
static char *large; /* more than a record may hold */

static void begin(void)
{
    const struct syncline_model *models[] = {&note, &album};
    OK(sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err));
    notes = &set.models[0];
    points = &set.models[1];
    for (size_t i = 0; i < ROWS; i++) {
        rows[i].uuid.bytes[0] = 1;
    }
    sl_row_survey_init(&survey, &sl_allocator_libc, SL_BATCH_SIZE_SOFT);
    sl_arena_init(&batch.arena, &sl_allocator_libc);
    large = malloc(SL_RECORD_SIZE_MAX + 2);
    cr_assert_not_null(large);
    memset(large, 'x', SL_RECORD_SIZE_MAX + 1);
    large[SL_RECORD_SIZE_MAX + 1] = '\0';
}

static void end(void)
{
    free(large);
    sl_arena_fini(&batch.arena);
    sl_row_survey_fini(&survey);
    sl_model_set_fini(&set);
}

TestSuite(row_survey, .init = begin, .fini = end);

static enum syncline_status look(uint32_t n, uint32_t batch_len)
{
    return sl_row_survey_run(&survey, notes, rows, n, SYNCLINE_INSERT, true, batch_len, &err);
}

/* The ids and UUIDs that the runs name are those of the first n rows, in their order. Returns how
 * many runs there are, of both together. */
static size_t check_runs(uint32_t n)
{
    uint32_t at = 0;
    size_t runs = 0;
    for (size_t i = 0; i < survey.ids.len; i += 12, runs++) {
        uint64_t first = sl_get_u64(survey.ids.data + i);
        for (uint32_t k = 0; k < sl_get_u32(survey.ids.data + i + 8); k++, at++) {
            cr_assert_lt(at, n);
            cr_assert_eq((uint64_t)rows[at].id, first + k);
        }
    }
    cr_assert_eq(at, n);
    at = 0;
    for (size_t i = 0; i < survey.uuids.len; i += 20, runs++) {
        struct syncline_uuid first;
        memcpy(first.bytes, survey.uuids.data + i, 16);
        for (uint32_t k = 0; k < sl_get_u32(survey.uuids.data + i + 16); k++, at++) {
            struct syncline_uuid uuid = sl_uuid_add(&first, k);
            cr_assert_lt(at, n);
            cr_assert(sl_uuid_equal(&rows[at].uuid, &uuid));
        }
    }
    cr_assert_eq(at, n);
    return runs;
}

static void set_uuid(struct note *row, uint64_t high, uint64_t low)
{
    for (int i = 0; i < 8; i++) {
        row->uuid.bytes[i] = (uint8_t)(high >> (56 - 8 * i));
        row->uuid.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
}

/* Rows that count up are one run of each, also past a carry and past the ends of the numbers. */
Test(row_survey, runs_that_count_up)
{
    for (uint32_t i = 0; i < 300; i++) {
        rows[i].id = 7 + i;
        set_uuid(&rows[i], i < 200 ? 41 : 42, UINT64_MAX - 199 + i);
    }
    OK(look(300, 1000));
    cr_assert_eq(check_runs(300), 2);
    for (uint32_t i = 0; i < 4; i++) {
        rows[i].id = i < 2 ? INT64_MAX - 1 + i : INT64_MIN + i - 2;
        set_uuid(&rows[i], i < 2 ? UINT64_MAX : 0, UINT64_MAX - 1 + i);
    }
    OK(look(4, 1000));
    cr_assert_eq(check_runs(4), 2);
}

/* Whatever the order, the runs name every row: here steps of 0, 1, 2 and others are mixed. */
Test(row_survey, runs_of_any_order)
{
    uint64_t random = 88172645463325252u;
    for (uint64_t round = 1; round < 51; round++) {
        uint32_t n = 1 + (uint32_t)(next_random(&random) % 200);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t step = next_random(&random) % 8;
            int64_t before = i > 0 ? rows[i - 1].id : 0;
            rows[i].id = before + (step < 5 ? 1 : (int64_t)step - 5);
            set_uuid(&rows[i], next_random(&random) % 8 == 0 ? round + 1 : round,
                     (uint64_t)rows[i].id);
        }
        OK(look(n, 1000));
        (void)check_runs(n);
    }
}

/* Copies all pieces, each into a fresh batch, and checks every byte of them. */
static void check_copies(uint32_t n)
{
    uint32_t first = 0;
    for (size_t piece = 0; piece < survey.piece_count; piece++) {
        sl_arena_reset(&batch.arena);
        cr_assert(sl_row_survey_copy(&survey, piece, first, &batch));
        const struct note *copies = (const struct note *)(const void *)batch.rows;
        for (uint32_t i = 0; i < batch.n; i++) {
            const struct note *row = &rows[first + i];
            const struct note *copy = &copies[i];
            cr_assert_eq(batch.ids[i], row->id);
            cr_assert(sl_uuid_equal(&batch.uuids[i], &row->uuid));
            cr_assert(copy->id == row->id && sl_uuid_equal(&copy->uuid, &row->uuid));
            cr_assert(sl_uuid_equal(&copy->album, &row->album));
            cr_assert_eq(copy->title == NULL, row->title == NULL);
            cr_assert_eq(copy->data.data == NULL, row->data.data == NULL);
            cr_assert_eq(copy->text.data == NULL, row->text.data == NULL);
            cr_assert(row->title == NULL ||
                      (copy->title != row->title && strcmp(copy->title, row->title) == 0));
            cr_assert(row->data.data == NULL ||
                      (copy->data.data != row->data.data && copy->data.len == row->data.len &&
                       memcmp(copy->data.data, row->data.data, row->data.len) == 0));
            cr_assert(row->text.data == NULL ||
                      (copy->text.data != row->text.data && copy->text.len == row->text.len &&
                       memcmp(copy->text.data, row->text.data, row->text.len) == 0));
        }
        first += batch.n;
    }
    cr_assert_eq(first, n);
}

/* Copies hold what the rows held, strings of every form and length and NULLs among them, and
 * nothing of the copy points into the original. */
Test(row_survey, copies)
{
    static const char text[] = "a text\0with a NUL in it, as counted ones may have";
    for (uint32_t i = 0; i < 1234; i++) {
        rows[i].id = i;
        set_uuid(&rows[i], 1, i);
        rows[i].album.bytes[i % 16] = (uint8_t)i;
        rows[i].title = i % 5 == 0 ? NULL : i % 7 == 0 ? "" : "title";
        rows[i].data = (struct syncline_bytes){.data = i % 3 == 0 ? NULL : text, .len = i % 40};
        rows[i].text = (struct syncline_text){.data = i % 4 == 0 ? NULL : text, .len = i % 49};
    }
    static const uint32_t lens[] = {1, 7, 100, 1233, 1234, 5000};
    for (size_t i = 0; i < 6; i++) {
        uint32_t n = lens[i] == 1 ? 60 : 1234;
        OK(look(n, lens[i]));
        size_t pieces = (n + lens[i] - 1) / lens[i];
        cr_assert_eq(survey.piece_count, pieces <= SL_STAGED_LEN_MAX ? pieces : 0);
        if (survey.piece_count > 0) {
            check_copies(n);
        }
    }
}

/* A model without strings is copied as it is. */
Test(row_survey, without_strings)
{
    struct point given[3] = {{.uuid = {{1}}, .id = 4, .x = 0.5},
                             {.uuid = {{2}}, .id = 5, .x = -1},
                             {.uuid = {{3}}, .id = 9, .x = 7}};
    OK(sl_row_survey_run(&survey, points, given, 3, SYNCLINE_UPDATE, true, 1000, &err));
    cr_assert_eq(survey.piece_count, 1);
    cr_assert_eq(survey.pieces[0].strings_size, 0);
    cr_assert_eq(survey.ids.len, 24);
    cr_assert_eq(survey.uuids.len, 60); /* three that do not count up */
    cr_assert(sl_row_survey_copy(&survey, 0, 0, &batch));
    cr_assert_eq(batch.n, 3);
    cr_assert_eq(memcmp(batch.rows, given, sizeof(given)), 0);
    cr_assert(batch.ids[0] == 4 && batch.ids[1] == 5 && batch.ids[2] == 9);
}

/* A batch is cut before the row that would take it over its soft limit; a row that is over it by
 * itself is a batch. */
Test(row_survey, cut_by_size)
{
    size_t third = SL_BATCH_SIZE_SOFT / 3;
    for (uint32_t i = 0; i < 7; i++) {
        rows[i].id = i;
        rows[i].data = (struct syncline_bytes){.data = large, .len = third - sizeof(rows[0]) - 1};
    }
    OK(look(7, 1000));
    cr_assert_eq(survey.piece_count, 3);
    cr_assert(survey.pieces[0].n == 3 && survey.pieces[1].n == 3 && survey.pieces[2].n == 1);
    check_copies(7);
    rows[0].data.len += 2; /* now three are one byte too many */
    OK(look(3, 1000));
    cr_assert_eq(survey.piece_count, 2);
    cr_assert(survey.pieces[0].n == 2 && survey.pieces[1].n == 1);
    rows[1].data.len = SL_RECORD_SIZE_MAX - 16;
    OK(look(3, 1000));
    cr_assert_eq(survey.piece_count, 3);
    check_copies(3);
}

/* As many pieces as there are batches can be staged, one more cannot: no piece is given then. */
Test(row_survey, as_many_pieces_as_batches)
{
    OK(look(SL_STAGED_LEN_MAX, 1));
    cr_assert_eq(survey.piece_count, SL_STAGED_LEN_MAX);
    check_copies(SL_STAGED_LEN_MAX);
    OK(look(SL_STAGED_LEN_MAX + 1, 1));
    cr_assert_eq(survey.piece_count, 0);
    OK(look(ROWS, 1));
    cr_assert_eq(survey.piece_count, 0);
    (void)check_runs(ROWS);
}

/* A record may have 1 MiB of values, keys by UUID among them, and not a byte more; the text names
 * the one that has. Lengths that no memory holds are refused like any other. */
Test(row_survey, too_big)
{
    rows[1].id = 1;
    rows[1].uuid.bytes[15] = 0xab;
    rows[1].data = (struct syncline_bytes){.data = large, .len = SL_RECORD_SIZE_MAX - 16};
    OK(look(2, 1000));
    rows[1].data.len++;
    FAILS(look(2, 1000), SYNCLINE_ETOOBIG,
          "record 01000000-0000-0000-0000-0000000000ab of model 'note' has 1048577 bytes");
    rows[1].data.len -= 5;
    rows[1].title = "name";
    OK(look(2, 1000));
    rows[1].title = "names";
    FAILS(look(2, 1000), SYNCLINE_ETOOBIG, "1048577 bytes of values, 1048576 are allowed");
    rows[1].title = large;
    FAILS(look(2, 1000), SYNCLINE_ETOOBIG, "keep large data in files");
    rows[1].title = NULL;
    rows[1].data.len = SIZE_MAX;
    rows[1].text = (struct syncline_text){.data = large, .len = SIZE_MAX};
    FAILS(look(2, 1000), SYNCLINE_ETOOBIG, "of model 'note'");
}

/* Of a delete nothing but id and UUID is looked at: its pointers may point anywhere. */
Test(row_survey, deletes)
{
    memset(rows, 0xee, 3 * sizeof(rows[0]));
    OK(sl_row_survey_run(&survey, notes, rows, 3, SYNCLINE_DELETE, true, 1000, &err));
    cr_assert_eq(survey.piece_count, 0);
    (void)check_runs(3);
}

/* What a large call took is given back, what a small one needs is kept. */
Test(row_survey, trim)
{
    OK(look(1, 1000));
    sl_row_survey_trim(&survey);
    cr_assert_not_null(survey.ids.data);
    cr_assert_not_null(survey.uuids.data);
    OK(look(ROWS, 1000)); /* the same UUID again and again: one run each */
    cr_assert_gt(survey.uuids.capacity, 64u * 1024u - 20u * 64u);
    for (uint32_t i = 0; i < ROWS; i++) {
        rows[i].id = 2 * i;
    }
    static struct note many[4 * ROWS];
    for (uint32_t i = 0; i < 4 * ROWS; i++) {
        many[i].uuid.bytes[0] = 1;
    }
    OK(sl_row_survey_run(&survey, notes, many, 4 * ROWS, SYNCLINE_INSERT, true, 65536, &err));
    sl_row_survey_trim(&survey);
    cr_assert_null(survey.ids.data);
    cr_assert_null(survey.uuids.data);
    OK(look(ROWS, 1000));
    (void)check_runs(ROWS);
}

/* Without memory the pass says so, and a copy is not made. */
Test(row_survey, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    for (long n = 1; n <= 2; n++) {
        sl_row_survey_fini(&survey);
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = look(2, 1000);
        (void)sl_malloc_fail_at(0);
        cr_assert_eq(status, SYNCLINE_ENOMEM);
        cr_assert_not_null(strstr(err.text, "no memory to capture 2 records"));
    }
    OK(look(2, 1000));
    (void)sl_malloc_fail_at(1);
    bool copied = sl_row_survey_copy(&survey, 0, 0, &batch);
    (void)sl_malloc_fail_at(0);
    cr_assert_not(copied);
    cr_assert(sl_row_survey_copy(&survey, 0, 0, &batch));
}

/* A record without a UUID is refused by its number, wherever it stands. */
Test(row_survey, no_uuid)
{
    for (uint32_t at = 0; at < 3; at++) {
        for (uint32_t i = 0; i < 3; i++) {
            rows[i].id = 1 + i;
            set_uuid(&rows[i], 7, i);
        }
        memset(&rows[at].uuid, 0, sizeof(rows[at].uuid));
        char said[32];
        (void)snprintf(said, sizeof(said), "record %u of model 'note'", at);
        FAILS(look(3, 1000), SYNCLINE_EINVAL, said);
    }
}
