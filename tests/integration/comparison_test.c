/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Questions about ranges and their answers between two devices that are stepped, and what becomes
 * of them when a device says what it should not, fails, or goes away. */

#include "stages/comparison.h"
#include "tests/integration/two_libraries.h"
#include "tests/unit/counting_allocator.h"

struct note {
    int64_t id;
    struct syncline_uuid uuid;
    const char *text;
};
static const struct syncline_field fields[] = {SYNCLINE_ID(struct note, id),
                                               SYNCLINE_UUID(struct note, uuid),
                                               SYNCLINE_TEXT(struct note, text)};
static const struct syncline_model note_model =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct note, fields);
static const struct syncline_model *const models[] = {&note_model};
static const char *const contents[] = {"SELECT uuid,text FROM @.notes"};

static uint64_t later_ns; /* by so much the clock is ahead of the real one */

static uint64_t mono(void *ctx)
{
    return sl_env_posix()->mono_ns(ctx) + later_ns;
}
static struct sl_env env;
static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static const struct two_libraries two = {
    .models = models, .contents = contents, .models_count = 1, .env = &env};

#define ROWS 600u /* more than two slices of compare */

static struct sl_comparison comparison;
static struct sl_buf question;
static struct sl_buf answer;
static uint32_t told;
static bool wants_more;
static enum syncline_status reading; /* what go_on says */

static bool take(void *ctx, enum syncline_difference_kind kind, const struct sl_model *model,
                 const struct syncline_uuid *uuid)
{
    (void)ctx;
    (void)kind;
    (void)uuid;
    cr_expect_str_eq(model->name, "note");
    told++;
    return wants_more;
}

static enum syncline_status go_on(void *ctx, struct sl_error *error)
{
    (void)ctx;
    return reading == SYNCLINE_OK ? reading : sl_fail(error, reading, "that is enough");
}

static void step(struct device *device)
{
    for (size_t i = 0; i < sl_library_stage_count(device->library); i++) {
        (void)sl_library_step(device->library, i);
    }
    sl_library_poll(device->library, 0);
}

/* Are all rows applied, and settled where they were written? */
static bool is_settled(struct device *device)
{
    return number(device->db, "SELECT max(applied_seq) FROM _syncline_origin") == ROWS;
}

/* A writes rows; both have them; A is about to compare itself with B. */
static void start(void)
{
    static struct note notes[ROWS];
    static struct syncline_uuid uuids[ROWS];
    env = *sl_env_posix();
    env.mono_ns = mono;
    env.alloc = &counted;
    wants_more = true;
    make_two("CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, text TEXT)");
    open_library(&a);
    open_library(&b);
    cr_assert_eq(syncline_uuid_new(uuids, ROWS), SYNCLINE_OK);
    sql(a.db, "BEGIN IMMEDIATE");
    for (uint32_t i = 0; i < ROWS; i++) {
        sqlite3_stmt *stmt = NULL;
        notes[i] = (struct note){.id = i + 1, .uuid = uuids[i], .text = "a note"};
        (void)sqlite3_prepare_v2(a.db, "INSERT INTO notes VALUES(?1,?2,'a note')", -1, &stmt, NULL);
        (void)sqlite3_bind_int64(stmt, 1, notes[i].id);
        (void)sqlite3_bind_blob(stmt, 2, uuids[i].bytes, 16, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        (void)sqlite3_finalize(stmt);
    }
    cr_assert_eq(
        sl_library_capture(a.library, &note_model, notes, ROWS, SYNCLINE_INSERT, a.db, 0, &err),
        SYNCLINE_OK, "%s", err.text);
    sql(a.db, "COMMIT");
    settle();
    for (int round = 0; round < ROUNDS_MAX && !(is_settled(&a) && is_settled(&b)); round++) {
        step(&a);
        step(&b);
    }
    sl_buf_init(&question, &sl_allocator_libc);
    sl_buf_init(&answer, &sl_allocator_libc);
    cr_assert_eq(sl_comparison_open(&comparison, sl_library_core(a.library), a.library_db,
                                    a.sync_db, take, go_on, NULL, &err),
                 SYNCLINE_OK, "%s", err.text);
}

static void stop(void)
{
    sl_comparison_close(&comparison);
    sl_buf_fini(&question);
    sl_buf_fini(&answer);
    if (b.library == NULL) {
        open_library(&b);
    }
    remove_two();
    cr_expect_eq(atomic_load(&counting.blocks), 0);
}

TestSuite(comparison, .init = start, .fini = stop);

static struct sl_inquiry *inquiry_of(struct device *device)
{
    return sl_library_inquiry(device->library);
}

static const struct syncline_uuid *device_id(struct device *device)
{
    return &device->identity.device_id;
}

static bool next_question(void)
{
    bool is_any = false;
    cr_assert_eq(sl_comparison_ask(&comparison, &question, &is_any, &err), SYNCLINE_OK, "%s",
                 err.text);
    return is_any;
}

static enum syncline_status post(void)
{
    return sl_inquiry_post(inquiry_of(&a), sl_library_core(a.library), device_id(&b), question.data,
                           question.len, &err);
}

static enum syncline_status take_answer(void)
{
    return sl_inquiry_take(inquiry_of(&a), sl_library_core(a.library), comparison.id, &answer,
                           &err);
}

static bool are_linked(void)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    return sl_library_info(a.library, &info, &err) == SYNCLINE_OK && info.links == 1;
}

/* Steps both until the question is dealt with. */
static enum syncline_status wait_answer(void)
{
    enum syncline_status status = SYNCLINE_AGAIN;
    for (int round = 0; round < ROUNDS_MAX && status == SYNCLINE_AGAIN; round++) {
        step(&a);
        if (b.library != NULL) {
            step(&b);
        }
        status = take_answer();
    }
    return status;
}

static enum syncline_status take_it(void)
{
    return sl_comparison_take(&comparison, answer.data, answer.len, &err);
}

/* A whole comparison; returns the questions that it took. */
static int compare_all(void)
{
    int questions = 0;
    while (next_question()) {
        cr_assert_eq(post(), SYNCLINE_OK, "%s", err.text);
        cr_assert_eq(wait_answer(), SYNCLINE_OK, "%s", err.text);
        cr_assert_eq(take_it(), SYNCLINE_OK, "%s", err.text);
        questions++;
    }
    return questions;
}

/* Stepped, too, equal devices are equal after one question, and a row is found in three. */
Test(comparison, rows_are_found)
{
    cr_expect_eq(compare_all(), 1);
    cr_expect_eq(told, 0);
    cr_expect_eq(comparison.records, ROWS);
    sl_comparison_close(&comparison);
    sql(b.db, "UPDATE notes SET text='x' WHERE id=300");
    cr_assert_eq(sl_comparison_open(&comparison, sl_library_core(a.library), a.library_db,
                                    a.sync_db, take, go_on, NULL, &err),
                 SYNCLINE_OK);
    cr_expect_eq(compare_all(), 2);
    cr_expect_eq(told, 1);
}

/* ---- Memory ---- */

/* The whole of one comparison, as far as memory goes. */
static enum syncline_status try_to_compare(void)
{
    bool is_any = true;
    enum syncline_status status = sl_comparison_open(
        &comparison, sl_library_core(a.library), a.library_db, a.sync_db, take, go_on, NULL, &err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    while (status == SYNCLINE_OK && is_any) {
        status = sl_comparison_ask(&comparison, &question, &is_any, &err);
        if (status == SYNCLINE_OK && is_any) {
            status = post();
        }
        if (status == SYNCLINE_OK && is_any) {
            status = wait_answer();
        }
        if (status == SYNCLINE_OK && is_any) {
            status = take_it();
        }
    }
    if (status != SYNCLINE_OK) {
        sl_inquiry_drop(inquiry_of(&a), comparison.id);
    }
    sl_comparison_close(&comparison);
    return status;
}

/* Whichever allocation fails, of who asks or of who answers: the comparison ends with that or does
 * without, nothing is told that is not so, and the next one finds everything. */
Test(comparison, memory_runs_out, .timeout = 300)
{
    long n = 1;
    long failed = 0;
    bool again = true;
    sl_comparison_close(&comparison);
    sql(b.db, "UPDATE notes SET text='x' WHERE id=300");
    while (again) {
        told = 0;
        for (int round = 0; round < ROUNDS_MAX && !are_linked(); round++) {
            step(&a);
            step(&b);
        }
        counting_fail_at(&counting, n++, COUNTING_ANY);
        enum syncline_status status = try_to_compare();
        again = counting_has_failed(&counting);
        if (status != SYNCLINE_OK) {
            failed++;
            cr_expect(status == SYNCLINE_ENOMEM || status == SYNCLINE_EREFUSED ||
                          status == SYNCLINE_ENET || status == SYNCLINE_EDB,
                      "allocation %ld: %d %s", n - 1, (int)status, err.text);
        }
        cr_expect_leq(told, 1, "allocation %ld", n - 1);
        cr_expect(status != SYNCLINE_OK || told == 1, "allocation %ld", n - 1);
        cr_expect(again || status == SYNCLINE_OK, "%s", err.text);
    }
    cr_expect_gt(failed, 10);
    cr_assert_eq(sl_comparison_open(&comparison, sl_library_core(a.library), a.library_db,
                                    a.sync_db, take, go_on, NULL, &err),
                 SYNCLINE_OK); /* for the end */
}

/* ---- Answers that cannot be ---- */

static struct sl_content_state state_of_a(void)
{
    struct sl_content_state state = {.pending = false};
    return state;
}

/* An answer to the question that is out, with these parts for each of its ranges. */
static void answer_with(const struct sl_range_parts *parts)
{
    struct sl_content_state state = state_of_a();
    sl_buf_clear(&answer);
    sl_range_answer_put_head(&answer, comparison.id, &state, comparison.asked_len);
    for (uint32_t i = 0; i < comparison.asked_len; i++) {
        sl_range_answer_put(&answer, SL_RANGE_PARTS, parts);
    }
}

static void expect_refused(enum syncline_status status, const char *says)
{
    cr_expect_eq(take_it(), status, "%s", err.text);
    cr_expect_not_null(strstr(err.text, says), "%s", err.text);
    cr_expect_eq(told, 0);
}

/* What is no answer, or not to the question, or beside its range, is refused and tells nothing. */
Test(comparison, answers_that_cannot_be)
{
    struct sl_range_parts parts;
    cr_assert(next_question());
    sl_buf_bytes(&answer, "rubbish", 7);
    expect_refused(SYNCLINE_EPROTO, "does not end there");
    sl_range_parts_init(&parts);
    answer_with(&parts);
    answer.data[0] ^= 1;
    expect_refused(SYNCLINE_EPROTO, "another question");
    sl_buf_clear(&answer);
    sl_range_answer_put_failure(&answer, comparison.id, SYNCLINE_EIO);
    expect_refused(SYNCLINE_EREFUSED, "could not read its tables");
    struct sl_content_state state = state_of_a();
    sl_buf_clear(&answer);
    sl_range_answer_put_head(&answer, comparison.id, &state, 0);
    expect_refused(SYNCLINE_EPROTO, "0 ranges where 1 were asked");

    /* In parts that start late, so that what comes before them is asked about by itself. */
    for (uint8_t i = 0; i < 65; i++) {
        struct syncline_uuid uuid = {{0xf0, i}};
        sl_range_parts_add(&parts, &uuid, i);
    }
    answer_with(&parts);
    cr_assert_eq(take_it(), SYNCLINE_OK, "%s", err.text);
    cr_expect(!comparison.again, "smaller ranges can be asked about at once");
    cr_assert(next_question());
    cr_assert_gt(comparison.asked_len, 1);
    answer_with(&parts);
    expect_refused(SYNCLINE_EPROTO, "outside of its range");
}

/* Writes i into the first six bits of `hi` that differ from `lo`, from six-bit place to place. */
static void divide(const struct sl_range *range, struct sl_range_parts *parts)
{
    size_t at = 0; /* bits */
    while (at < 120) {
        bool same = true;
        for (size_t bit = at; bit < at + 6; bit++) {
            uint8_t mask = (uint8_t)(0x80u >> bit % 8);
            same = same && (range->lo.bytes[bit / 8] & mask) == (range->hi.bytes[bit / 8] & mask);
        }
        if (!same) {
            break;
        }
        at += 6;
    }
    parts->count = (uint64_t)64 << 40;
    parts->shift = 40;
    parts->len = 64;
    for (uint32_t i = 0; i < 64; i++) {
        parts->parts[i] = (struct sl_range_part){.first = range->lo, .sum = i};
        for (size_t k = 0; k < 6; k++) {
            uint8_t mask = (uint8_t)(0x80u >> (at + k) % 8);
            uint8_t *byte = &parts->parts[i].first.bytes[(at + k) / 8];
            *byte = (uint8_t)((i >> (5 - k) & 1) != 0 ? *byte | mask : *byte & ~mask);
        }
    }
}

/* A member that always knows of more and never of a record is not followed without end. */
Test(comparison, ranges_without_end_are_refused)
{
    enum syncline_status status = SYNCLINE_OK;
    int questions = 0;
    while (status == SYNCLINE_OK && next_question()) {
        struct sl_content_state state = state_of_a();
        struct sl_range_parts parts;
        sl_buf_clear(&answer);
        sl_range_answer_put_head(&answer, comparison.id, &state, comparison.asked_len);
        for (uint32_t i = 0; i < comparison.asked_len; i++) {
            divide(&comparison.asked[i], &parts);
            sl_range_answer_put(&answer, SL_RANGE_PARTS, &parts);
        }
        status = take_it();
        cr_assert_lt(questions++, 100);
    }
    cr_expect_eq(status, SYNCLINE_EPROTO);
    cr_expect_not_null(strstr(err.text, "more than 65536 ranges"), "%s", err.text);
    cr_expect_leq(comparison.left_capacity, SL_RANGES_LEN_MAX);
}

/* Who calls can end it while records are read, and who hears of differences can want no more. */
Test(comparison, reading_ends_when_it_is_to)
{
    cr_assert(next_question());
    cr_assert_eq(post(), SYNCLINE_OK);
    cr_assert_eq(wait_answer(), SYNCLINE_OK, "%s", err.text);
    reading = SYNCLINE_ECLOSED;
    expect_refused(SYNCLINE_ECLOSED, "that is enough");
    reading = SYNCLINE_OK;
    sl_comparison_close(&comparison);
    cr_assert_eq(sl_comparison_open(&comparison, sl_library_core(a.library), a.library_db,
                                    a.sync_db, take, go_on, NULL, &err),
                 SYNCLINE_OK);
    sql(b.db, "DELETE FROM notes");
    wants_more = false;
    (void)compare_all();
    cr_expect_eq(told, 1);
    cr_expect(comparison.stopped);
    cr_expect(!next_question());
}

/* ---- Devices that fail or go away ---- */

/* A member whose table cannot be read says so, and stays connected. */
Test(comparison, a_member_that_cannot_read)
{
    cr_assert(next_question());
    sql(b.db, "ALTER TABLE notes RENAME TO elsewhere");
    cr_assert_eq(post(), SYNCLINE_OK);
    cr_assert_eq(wait_answer(), SYNCLINE_OK, "%s", err.text);
    expect_refused(SYNCLINE_EREFUSED, "could not read its tables");
    sql(b.db, "ALTER TABLE elsewhere RENAME TO notes");
    cr_expect_eq(info_of(&a).links, 1);
}

/* A question that is none ends the connection, and so does such an answer. */
Test(comparison, rubbish_ends_the_connection)
{
    for (int i = 0; i < 2; i++) {
        struct sl_session *session = sl_library_core(b.library)->members[0].session;
        cr_assert_not_null(session);
        cr_assert_eq(i == 0 ? sl_session_send_query(session, "rubbish", 7)
                            : sl_session_send_answer(session, "rubbish", 7),
                     SYNCLINE_OK);
        for (int round = 0; round < ROUNDS_MAX && info_of(&a).links == 1; round++) {
            step(&a);
            step(&b);
        }
        cr_expect_eq(info_of(&a).links, 0);
        cr_expect_not_null(strstr(info_of(&a).notice, i == 0 ? "question" : "answer"), "%s",
                           info_of(&a).notice);
        later_ns += UINT64_C(60000000000); /* it dials again */
        for (int round = 0; round < ROUNDS_MAX && info_of(&a).links == 0; round++) {
            step(&a);
            step(&b);
        }
    }
    cr_expect_eq(compare_all(), 1);
}

/* A later question takes the place of an earlier one that is being answered. */
Test(comparison, a_later_question_counts)
{
    cr_assert(next_question());
    cr_assert_eq(post(), SYNCLINE_OK);
    step(&a);
    step(&b);
    step(&b);
    cr_assert_eq(take_answer(), SYNCLINE_AGAIN);
    uint64_t first = comparison.id;
    sl_inquiry_drop(inquiry_of(&a), first);
    sl_comparison_close(&comparison);
    cr_assert_eq(sl_comparison_open(&comparison, sl_library_core(a.library), a.library_db,
                                    a.sync_db, take, go_on, NULL, &err),
                 SYNCLINE_OK);
    cr_expect_eq(compare_all(), 1);
    cr_expect_neq(comparison.id, first);
    const struct sl_stage_counts *counts = sl_library_core(b.library)->counts;
    cr_expect_eq(sl_counted(&counts[SL_STAGE_COMPARE].batches), 1);
}

/* A member that goes away while it answers is told of. */
Test(comparison, a_member_that_goes_away)
{
    cr_assert(next_question());
    cr_assert_eq(post(), SYNCLINE_OK);
    step(&a);
    step(&b);
    step(&b);
    close_library(&b);
    cr_expect_eq(wait_answer(), SYNCLINE_ENET);
    cr_expect_not_null(strstr(err.text, "device \"b\" was lost"), "%s", err.text);
    cr_assert_eq(post(), SYNCLINE_OK);
    cr_expect_eq(wait_answer(), SYNCLINE_EREFUSED);
    cr_expect_not_null(strstr(err.text, "device \"b\" is not connected"), "%s", err.text);
}

/* A device that goes away while it is answered leaves nothing behind at the other. */
Test(comparison, an_asker_that_goes_away)
{
    cr_assert(next_question());
    cr_assert_eq(sl_inquiry_post(inquiry_of(&b), sl_library_core(b.library), device_id(&a),
                                 question.data, question.len, &err),
                 SYNCLINE_OK);
    step(&b);
    step(&a);
    step(&a);
    close_library(&b);
    for (int round = 0; round < ROUNDS_MAX && info_of(&a).links == 1; round++) {
        step(&a);
    }
    step(&a);
    /* No read transaction holds the WAL. */
    cr_expect_eq(sqlite3_wal_checkpoint_v2(a.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
                 SQLITE_OK);
}

/* One question at a time; who went away silently makes room after a while; questions to nobody and
 * answers to nobody are told as such. */
Test(comparison, one_question_at_a_time)
{
    static const struct syncline_uuid nobody = {{0x42}};
    struct sl_core *core = sl_library_core(a.library);
    cr_expect_eq(take_answer(), SYNCLINE_ENOTFOUND);
    cr_expect_eq(sl_inquiry_post(inquiry_of(&a), core, device_id(&b), "rubbish", 7, &err),
                 SYNCLINE_EPROTO);
    cr_assert(next_question());
    cr_assert_eq(post(), SYNCLINE_OK);
    cr_expect_eq(take_answer(), SYNCLINE_AGAIN);
    cr_expect_eq(post(), SYNCLINE_EBUSY);
    sl_inquiry_drop(inquiry_of(&a), comparison.id + 1);
    cr_expect_eq(post(), SYNCLINE_EBUSY);
    later_ns += UINT64_C(11000000000);
    cr_expect_eq(post(), SYNCLINE_OK);
    sl_inquiry_drop(inquiry_of(&a), comparison.id);
    cr_expect_eq(take_answer(), SYNCLINE_ENOTFOUND);
    cr_assert_eq(sl_inquiry_post(inquiry_of(&a), core, &nobody, question.data, question.len, &err),
                 SYNCLINE_OK);
    cr_expect_eq(wait_answer(), SYNCLINE_ENOTFOUND);
    cr_expect_not_null(strstr(err.text, "no other member"), "%s", err.text);
}
