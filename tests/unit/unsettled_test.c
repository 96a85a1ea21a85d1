/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/unsettled.h"

#include "tests/unit/counting_allocator.h"

#include <criterion/criterion.h>

static const struct sl_model model_a;
static const struct sl_model model_b;
static struct sl_unsettled list;
static uint64_t next_seq;

static void start(void)
{
    cr_assert_eq(sl_unsettled_init(&list, &sl_allocator_libc), SYNCLINE_OK);
    next_seq = 1;
}

static void stop(void)
{
    sl_unsettled_fini(&list);
}

TestSuite(unsettled, .init = start, .fini = stop);

static struct syncline_uuid uuid_of(uint8_t last)
{
    struct syncline_uuid uuid = {{[15] = last}};
    return uuid;
}

/* Appends one entry of records `names` (ended by 0), each changed in the same way. */
static struct sl_unsettled_entry *add(const struct sl_model *model, enum syncline_change change,
                                      const char *names)
{
    uint32_t n = (uint32_t)strlen(names);
    struct sl_unsettled_entry *entry = sl_unsettled_entry_new(&list, n);
    cr_assert_not_null(entry);
    entry->model = model;
    entry->first_seq = next_seq;
    next_seq += n;
    for (uint32_t i = 0; i < n; i++) {
        entry->uuids[i] = uuid_of((uint8_t)names[i]);
        entry->changes[i] = (uint8_t)change;
    }
    sl_unsettled_append(&list, entry);
    return entry;
}

static uint64_t birth(const struct sl_model *model, char name)
{
    struct syncline_uuid uuid = uuid_of((uint8_t)name);
    return sl_unsettled_birth(&list, model, &uuid);
}

static bool may_have(const struct sl_model *model, const char *names)
{
    struct syncline_uuid uuids[8];
    uint32_t n = (uint32_t)strlen(names);
    for (uint32_t i = 0; i < n; i++) {
        uuids[i] = uuid_of((uint8_t)names[i]);
    }
    return sl_unsettled_may_have(&list, model, uuids, n);
}

/* Whether a batch could have a record of the list is never denied falsely: not at the edges of an
 * entry, not for UUIDs in any order, not for a range that holds a whole entry. */
Test(unsettled, ranges)
{
    cr_assert_not(may_have(&model_a, "abc"));
    (void)add(&model_a, SYNCLINE_INSERT, "fhk");
    (void)add(&model_a, SYNCLINE_INSERT, "zpt"); /* p to z, in no order */
    static const char *const yes[] = {"f", "k", "g", "aef", "kln", "ma", "p", "z", "tzp", "oq"};
    static const char *const no[] = {"abe", "eda", "lmno", "nml"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        cr_assert(may_have(&model_a, yes[i]), "%s", yes[i]);
        cr_assert_not(may_have(&model_b, yes[i]), "%s", yes[i]);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        cr_assert_not(may_have(&model_a, no[i]), "%s", no[i]);
    }
}

/* A record's birth is its insert, in whichever entry and place of it, of its own model. */
Test(unsettled, births_of_inserts)
{
    cr_assert_eq(birth(&model_a, 'a'), 0);
    cr_assert(add(&model_a, SYNCLINE_INSERT, "bdfh")->sorted);
    cr_assert(!add(&model_a, SYNCLINE_INSERT, "zyx")->sorted);
    (void)add(&model_b, SYNCLINE_INSERT, "b");
    cr_assert_eq(birth(&model_a, 'b'), 1);
    cr_assert_eq(birth(&model_a, 'd'), 2);
    cr_assert_eq(birth(&model_a, 'h'), 4);
    cr_assert_eq(birth(&model_a, 'z'), 5);
    cr_assert_eq(birth(&model_a, 'x'), 7);
    cr_assert_eq(birth(&model_b, 'b'), 8);
    for (const char *absent = "aceigw"; *absent != '\0'; absent++) {
        cr_assert_eq(birth(&model_a, *absent), 0, "%c", *absent);
    }
    cr_assert_eq(birth(&model_b, 'd'), 0);
}

/* An update says nothing of the birth, a delete ends the record, a later insert is a new one. */
Test(unsettled, insert_update_delete_insert)
{
    (void)add(&model_a, SYNCLINE_INSERT, "abc");
    (void)add(&model_a, SYNCLINE_UPDATE, "b");
    cr_assert_eq(birth(&model_a, 'b'), 2);
    (void)add(&model_a, SYNCLINE_DELETE, "bc");
    cr_assert_eq(birth(&model_a, 'b'), 0);
    cr_assert_eq(birth(&model_a, 'a'), 1);
    (void)add(&model_a, SYNCLINE_INSERT, "xbw");
    cr_assert_eq(birth(&model_a, 'b'), 8);
    cr_assert_eq(birth(&model_a, 'c'), 0);
    (void)add(&model_a, SYNCLINE_UPDATE, "cab");
    cr_assert_eq(birth(&model_a, 'b'), 8);
    cr_assert_eq(birth(&model_a, 'a'), 1);
    (void)add(&model_a, SYNCLINE_UPDATE, "q"); /* its birth is not among the unsettled */
    cr_assert_eq(birth(&model_a, 'q'), 0);
}

/* One entry may hold several changes of a record: the last of them counts. */
Test(unsettled, several_changes_in_one_entry)
{
    struct sl_unsettled_entry *entry = sl_unsettled_entry_new(&list, 3);
    cr_assert_not_null(entry);
    entry->model = &model_a;
    entry->first_seq = 10;
    for (int i = 0; i < 3; i++) {
        entry->uuids[i] = uuid_of('a');
    }
    entry->changes[0] = SYNCLINE_INSERT;
    entry->changes[1] = SYNCLINE_DELETE;
    entry->changes[2] = SYNCLINE_INSERT;
    sl_unsettled_append(&list, entry);
    cr_assert(!entry->sorted);
    cr_assert_eq(birth(&model_a, 'a'), 12);
}

/* Sorted and unsorted entries of every length find every record they hold. */
Test(unsettled, every_place_of_every_length)
{
    for (uint32_t n = 1; n < 40; n++) {
        for (int sorted = 0; sorted < 2; sorted++) {
            char names[64] = {0};
            for (uint32_t i = 0; i < n; i++) {
                names[sorted == 1 ? i : n - 1 - i] = (char)(2 * i + 1);
            }
            stop();
            start();
            cr_assert_eq(add(&model_a, SYNCLINE_INSERT, names)->sorted, sorted == 1 || n == 1);
            for (uint32_t i = 0; i < n; i++) {
                cr_assert_eq(birth(&model_a, names[i]), i + 1, "%u of %u", i, n);
                cr_assert_eq(birth(&model_a, (char)(names[i] + 1)), 0);
            }
        }
    }
}

/* Entries leave in order, when they are durable and wholly settled, and not before. */
Test(unsettled, drop)
{
    struct sl_unsettled_entry *first = add(&model_a, SYNCLINE_INSERT, "abc");
    struct sl_unsettled_entry *second = add(&model_a, SYNCLINE_INSERT, "de");
    sl_unsettled_set_durable(&list, second, 500);
    sl_unsettled_drop(&list, 5); /* the first is not durable: nothing behind it may leave */
    cr_assert_eq(list.first, first);
    sl_unsettled_set_durable(&list, first, 100);
    cr_assert(first->durable && first->first_hlc == 100);
    sl_unsettled_drop(&list, 2);
    cr_assert_eq(list.first, first);
    sl_unsettled_drop(&list, 4);
    cr_assert_eq(list.first, second);
    cr_assert_null(second->prev);
    cr_assert_eq(birth(&model_a, 'a'), 0);
    cr_assert_eq(birth(&model_a, 'e'), 5);
    sl_unsettled_drop(&list, 5);
    cr_assert_null(list.first);
    cr_assert_null(list.last);
    sl_unsettled_drop(&list, UINT64_MAX);
    (void)add(&model_a, SYNCLINE_INSERT, "f");
    cr_assert_eq(birth(&model_a, 'f'), 6);
    cr_assert_eq(list.first, list.last);
}

/* Whoever asks is told once that enough has become durable, by entries or by changes; then it takes
 * as much again. What left the list meanwhile counts no more. */
Test(unsettled, take_along)
{
    struct sl_unsettled_entry *entries[4];
    for (int i = 0; i < 4; i++) {
        entries[i] = add(&model_a, SYNCLINE_INSERT, "abc");
    }
    cr_assert_not(sl_unsettled_take_along(&list, 2, 100));
    sl_unsettled_set_durable(&list, entries[0], 100);
    cr_assert_not(sl_unsettled_take_along(&list, 2, 4));
    sl_unsettled_set_durable(&list, entries[1], 103);
    cr_assert(sl_unsettled_take_along(&list, 2, 100));
    cr_assert_not(sl_unsettled_take_along(&list, 2, 100));
    sl_unsettled_set_durable(&list, entries[2], 106);
    cr_assert_not(sl_unsettled_take_along(&list, 2, 4));
    cr_assert(sl_unsettled_take_along(&list, 2, 3));
    sl_unsettled_set_durable(&list, entries[3], 109);
    sl_unsettled_drop(&list, 11);
    cr_assert(sl_unsettled_take_along(&list, 1, 100));
    struct sl_unsettled_entry *last = add(&model_a, SYNCLINE_INSERT, "abc");
    sl_unsettled_set_durable(&list, last, 112);
    sl_unsettled_drop(&list, 15); /* nothing is left */
    cr_assert_not(sl_unsettled_take_along(&list, 1, 1));
}

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};

/* A list over the counting allocator. */
static void start_counted(void)
{
    stop();
    cr_assert_eq(sl_unsettled_init(&list, &counted), SYNCLINE_OK);
    next_seq = 1;
}

static void stop_counted(void)
{
    stop();
    cr_expect_eq(counting.blocks, 0);
    start();
}

/* Appends a durable entry of n changes, all of whose memory must be zero and its own. */
static void add_durable(uint32_t n)
{
    struct sl_unsettled_entry *entry = sl_unsettled_entry_new(&list, n);
    cr_assert_not_null(entry);
    cr_assert_eq(entry->n, n);
    for (uint32_t i = 0; i < n; i++) {
        cr_assert(entry->ids[i] == 0 && entry->changes[i] == 0, "not zero");
        entry->ids[i] = (int64_t)next_seq;
        memcpy(entry->uuids[i].bytes, &next_seq, sizeof(next_seq));
        entry->changes[i] = (uint8_t)(1 + next_seq % 3);
        next_seq++;
    }
    entry->first_seq = next_seq - n;
    entry->model = &model_a;
    sl_unsettled_append(&list, entry);
    sl_unsettled_set_durable(&list, entry, 1);
}

/* Every change in the list is as it was written. */
static void check_all(void)
{
    for (const struct sl_unsettled_entry *it = list.first; it != NULL; it = it->next) {
        for (uint32_t i = 0; i < it->n; i++) {
            uint64_t seq = it->first_seq + i;
            cr_assert_eq(it->ids[i], (int64_t)seq);
            cr_assert_eq(memcmp(it->uuids[i].bytes, &seq, sizeof(seq)), 0);
            cr_assert_eq(it->changes[i], 1 + seq % 3);
        }
    }
}

/* Rounds of entries of all lengths, of which up to 60,000 changes are there at once: after the
 * first entry nothing is allocated, and no entry writes over another. */
Test(unsettled, memory_is_used_again)
{
    static const uint32_t lengths[] = {1, 1000, 7, 999, 3000, 2, 16000};
    start_counted();
    add_durable(1);
    long calls = counting.calls;
    for (size_t round = 0; round < 300; round++) {
        add_durable(lengths[round % 7]);
        uint64_t backlog = round % 50 == 0 ? 0 : 40000;
        sl_unsettled_drop(&list, next_seq > backlog ? next_seq - 1 - backlog : 0);
        check_all();
    }
    cr_expect_eq(counting.calls, calls, "%ld calls", counting.calls - calls);
    stop_counted();
}

/* Entries larger than a chunk come and go alone; what a long wait took is given back but for what
 * is kept. */
Test(unsettled, large_entries_and_long_waits)
{
    start_counted();
    for (uint32_t round = 0; round < 4; round++) {
        add_durable(1);
        add_durable(65536);
        add_durable(round % 2 == 0 ? 65536 : 1);
        check_all();
        sl_unsettled_drop(&list, round < 2 ? next_seq - 1 : next_seq - 2);
    }
    sl_unsettled_drop(&list, next_seq - 1);
    cr_expect_null(list.first);
    for (uint32_t i = 0; i < 40; i++) {
        add_durable(10000);
    }
    check_all();
    long most = counting.blocks;
    sl_unsettled_drop(&list, next_seq - 1);
    cr_expect_lt(counting.blocks, most);
    cr_expect_leq(counting.blocks, 2 + 9);
    stop_counted();
}

/* An entry that was not appended after all is given back at once, wherever it stands. */
Test(unsettled, entries_not_appended)
{
    start_counted();
    for (uint32_t round = 0; round < 200; round++) {
        if (round % 3 == 0) {
            add_durable(5000);
        }
        struct sl_unsettled_entry *entry =
            sl_unsettled_entry_new(&list, round % 10 == 0 ? 65536 : 15000);
        cr_assert_not_null(entry);
        memset(entry->uuids, 0xff, entry->n * sizeof(*entry->uuids));
        sl_unsettled_entry_free(&list, entry);
        check_all();
        sl_unsettled_drop(&list, next_seq > 20000 ? next_seq - 20000 : 0);
    }
    cr_expect_leq(counting.blocks, 2 + 9);
    stop_counted();
}

/* Without memory there is no entry; without memory for more than it there is one all the same. */
Test(unsettled, no_memory)
{
    for (long n = 1; n <= 4; n++) {
        start_counted();
        counting_fail_at(&counting, n, COUNTING_ANY);
        struct sl_unsettled_entry *entry = sl_unsettled_entry_new(&list, 3);
        cr_assert(counting_has_failed(&counting));
        cr_assert_eq(entry == NULL, n == 1, "allocation %ld", n);
        sl_unsettled_entry_free(&list, entry);
        add_durable(10);
        check_all();
        stop_counted();
    }
}
