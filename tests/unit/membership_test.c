/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Who belongs to the library, for small sets of entries in every order in which they can come.
 *
 * A device is a letter. An entry is one word of a script:
 *
 *     A>B        A lets B in                 B<A        B came in by A
 *     A.5        A leaves with change 5
 *     A-B5:02    A revokes B: knows its log up to 5 (0: nothing), and the script's words 0 and 2
 *     A~B7:13    A learned of that, and knows so much
 *
 * What follows is a word for each device: its letter, then m member, l left, r revoked or s
 * stranger, and of who is out where its log ends. */

#include "base/membership.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 8u
#define EPOCH 1u

static struct sl_error err;
static struct sl_hasher *hasher;
static const struct syncline_uuid library_id = {{0x11}};
static struct sl_buf words[WORDS_MAX]; /* as bytes */
static struct syncline_uuid word_ids[WORDS_MAX];
static size_t words_len;

static void setup(void)
{
    hasher = sl_hasher_new(&sl_allocator_libc);
    for (size_t i = 0; i < WORDS_MAX; i++) {
        sl_buf_init(&words[i], &sl_allocator_libc);
    }
}

static void teardown(void)
{
    for (size_t i = 0; i < WORDS_MAX; i++) {
        sl_buf_fini(&words[i]);
    }
    sl_hasher_free(hasher);
}

TestSuite(membership, .init = setup, .fini = teardown);

static void key_of(char letter, uint8_t key[SL_MEMBERSHIP_KEY_SIZE])
{
    memset(key, letter, SL_MEMBERSHIP_KEY_SIZE);
}

static struct syncline_uuid device_of(char letter)
{
    uint8_t key[SL_MEMBERSHIP_KEY_SIZE];
    uint8_t hash[SL_HASH_SIZE];
    struct syncline_uuid device;
    key_of(letter, key);
    sl_hasher_update(hasher, key, sizeof(key));
    cr_assert(sl_hasher_finish(hasher, hash));
    memcpy(device.bytes, hash, sizeof(device.bytes));
    return device;
}

/* The hash at a change of a letter's log. */
static void hash_of(char letter, uint64_t seq, uint8_t hash[SL_HASH_SIZE])
{
    memset(hash, letter, SL_HASH_SIZE);
    hash[0] = (uint8_t)seq;
}

static int compare_ids(const void *a, const void *b)
{
    return sl_uuid_compare(a, b);
}

static void put_word(const char *text)
{
    uint8_t author_key[SL_MEMBERSHIP_KEY_SIZE];
    uint8_t key[SL_MEMBERSHIP_KEY_SIZE];
    char name[2] = {text[1] == '.' ? '\0' : text[2], '\0'};
    struct syncline_uuid ids[WORDS_MAX];
    struct sl_cut cut = {.epoch = EPOCH};
    struct sl_membership_word word = {
        .wall_ms = 100 + words_len, .author_key = author_key, .key = key, .name = name};
    const char *rest = text + (text[1] == '.' ? 2 : 3);
    char *colon = NULL;
    key_of(text[0], author_key);
    key_of(name[0], key);
    word.kind = text[1] == '>'   ? SL_MEMBERSHIP_ADMIT
                : text[1] == '<' ? SL_MEMBERSHIP_JOINED
                : text[1] == '.' ? SL_MEMBERSHIP_LEAVE
                : text[1] == '-' ? SL_MEMBERSHIP_REVOKE
                                 : SL_MEMBERSHIP_WITNESS;
    cut.seq = strtoull(rest, &colon, 10);
    hash_of(word.kind == SL_MEMBERSHIP_LEAVE ? text[0] : name[0], cut.seq, cut.hash);
    word.cuts = &cut;
    word.cuts_len = cut.seq > 0 || word.kind == SL_MEMBERSHIP_LEAVE ? 1 : 0;
    word.ids = ids;
    if (word.kind == SL_MEMBERSHIP_REVOKE || word.kind == SL_MEMBERSHIP_WITNESS) {
        word.subject = device_of(name[0]);
        for (const char *at = *colon == ':' ? colon + 1 : ""; *at >= '0' && *at <= '9'; at++) {
            ids[word.ids_len++] = word_ids[*at - '0'];
        }
        qsort(ids, word.ids_len, sizeof(ids[0]), compare_ids);
    }
    struct sl_buf *buf = &words[words_len];
    struct sl_membership_entry entry;
    cr_assert_lt(words_len, WORDS_MAX);
    sl_buf_clear(buf);
    cr_assert_eq(sl_membership_put(buf, &word), SYNCLINE_OK);
    cr_assert_eq(sl_membership_parse(&entry, hasher, &library_id, buf->data, buf->len, &err),
                 SYNCLINE_OK, "%s: %s", text, err.text);
    word_ids[words_len++] = entry.id;
}

static void read_script(const char *script)
{
    char copy[128];
    char *rest = NULL;
    words_len = 0;
    (void)snprintf(copy, sizeof(copy), "%s", script);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        put_word(word);
    }
}

static void add(struct sl_membership *set, size_t word)
{
    bool added = false;
    cr_assert_eq(sl_membership_add(set, words[word].data, words[word].len, &added, &err),
                 SYNCLINE_OK, "%s", err.text);
}

/* What follows, of the devices that `expected` names, in its order. */
static void tell(const struct sl_membership *set, const char *expected, char *out, size_t size)
{
    static const char letters[] = {[SL_STANDING_STRANGER] = 's',
                                   [SL_STANDING_MEMBER] = 'm',
                                   [SL_STANDING_LEFT] = 'l',
                                   [SL_STANDING_REVOKED] = 'r'};
    size_t len = 0;
    for (const char *at = expected; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ' ? 1 : 0;
        struct sl_origin origin = {.device = device_of(*at), .epoch = EPOCH};
        struct sl_cut cut;
        len += (size_t)snprintf(out + len, size - len, "%s%c%c", len > 0 ? " " : "", *at,
                                letters[sl_membership_standing(set, &origin.device)]);
        if (sl_membership_cut(set, &origin, &cut)) {
            len += (size_t)snprintf(out + len, size - len, "%llu", (unsigned long long)cut.seq);
        }
    }
}

/* One order: what follows at the end, and that it is the same if asked for after every word. */
static void check_order(const size_t order[WORDS_MAX], char view, const char *expected,
                        const char *script)
{
    struct sl_membership set;
    struct syncline_uuid self = device_of(view);
    char told[64];
    cr_assert_eq(sl_membership_init(&set, &sl_allocator_libc, hasher, &library_id, &self),
                 SYNCLINE_OK);
    for (size_t i = 0; i < words_len; i++) {
        add(&set, order[i]);
        cr_assert_eq(sl_membership_derive(&set, &err), SYNCLINE_OK);
    }
    tell(&set, expected, told, sizeof(told));
    cr_assert_str_eq(told, expected, "%s, seen by %c", script, view);
    sl_membership_fini(&set);
}

/* All orders, by Heap's algorithm. */
static void check_orders(char view, const char *expected, const char *script)
{
    size_t order[WORDS_MAX];
    size_t at[WORDS_MAX] = {0};
    for (size_t i = 0; i < WORDS_MAX; i++) {
        order[i] = i;
    }
    check_order(order, view, expected, script);
    for (size_t i = 0; i < words_len;) {
        if (at[i] >= i) {
            at[i++] = 0;
            continue;
        }
        size_t with = i % 2 == 0 ? 0 : at[i];
        size_t kept = order[with];
        order[with] = order[i];
        order[i] = kept;
        check_order(order, view, expected, script);
        at[i]++;
        i = 0;
    }
}

struct rule {
    const char *script;
    const char *views; /* devices to which it follows */
    const char *expected;
};

static const struct rule rules[] = {
    /* Who is let in is a member, and so is who it lets in. */
    {"A>B B<A", "AB", "Am Bm"},
    {"A>B B<A B>C C<B", "ABC", "Am Bm Cm"},
    /* Nobody becomes a member by its own word. */
    {"A>B B<A C<A", "AB", "Am Bm Cs"},
    {"A>B B<A C>D D<C", "AB", "Am Bm Cs Ds"},
    /* Who leaves is out, with its own word on where its log ends. */
    {"A>B B<A A>C C<A B.9", "AC", "Am Bl9 Cm"},
    {"A>B B<A B>C C<B B.0", "AC", "Am Bl0 Cm"},
    /* Who is revoked is out; its log ends at the highest that a member knew. */
    {"A>B B<A A>C C<A A-B5", "AC", "Am Br5 Cm"},
    {"A>B B<A A>C C<A A-B5 C~B7", "AC", "Am Br7 Cm"},
    {"A>B B<A A>C C<A A-B5 C~B3", "AC", "Am Br5 Cm"},
    {"A>B B<A A>C C<A A-B0", "AC", "Am Br0 Cm"},
    {"A>B B<A A>C C<A B.9 A-B5", "AC", "Am Br5 Cm"},
    /* A stranger's word is nothing. */
    {"A>B B<A C-B5", "AB", "Am Bm Cs"},
    {"A>B B<A A>D D<A A-B5 C~B9", "AD", "Am Br5 Cs"},
    /* Whom a revoked device has let in stays if a member knew of it, and only then. */
    {"A>B B<A B>D D<B A-B5", "A", "Am Br5 Ds"},
    {"A>B B<A B>D D<B A-B5:12", "A", "Am Br5 Dm"},
    {"A>B B<A B>D D<B A-B5:12 D~B0:12", "AD", "Am Br5 Dm"},
    {"A>B B<A A>C C<A B>D D<B A-B5 C~B6:4", "AC", "Am Br6 Cm Dm"},
    {"A>B B<A B>D D<B A-B5 D~B6:2", "A", "Am Br5 Ds"},
    /* What a revoked device says of the cuts of others counts if a member knew of it. */
    {"A>B B<A A>C C<A A-C5 B~C9 A-B0", "A", "Am Br0 Cr5"},
    {"A>B B<A A>C C<A A-C5 B~C9 A-B0:5", "A", "Am Br0 Cr9"},
    /* Two that revoke each other are both out, and nobody's word is lost that a member knew. */
    {"A>B B<A A-B5 B-A6", "AB", "Ar0 Br0"},
    {"A>B B<A A>C C<A A-B5 B-A6 C~A7:024 C~B8:15", "C", "Ar7 Br8 Cm"},
    {"A>B B<A A>C C<A A-B5 B-A6", "C", "Ar0 Br0 Cm"},
    /* Three in a circle are all out. */
    {"A>B B<A A>C C<A A-B1 B-C2 C-A3", "ABC", "Ar0 Br0 Cr0"},
    /* Who was revoked can revoke: its word may be older than it looks. */
    {"A>B B<A A>C C<A A-B5 B-C3", "A", "Am Br5 Cr0"},
    /* Once out is out. */
    {"A>B B<A A-B5 A>B", "A", "Am Br5"},
    {"A>B B<A A>C C<A B.4 C>B", "AC", "Am Bl4 Cm"},
};

/* What follows from a set is the same in whatever order it comes, and for every member. */
Test(membership, rules_in_every_order)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        read_script(rules[i].script);
        for (const char *view = rules[i].views; *view != '\0'; view++) {
            check_orders(*view, rules[i].expected, rules[i].script);
        }
    }
}

static void init_with(struct sl_membership *set, char view, const char *script)
{
    struct syncline_uuid self = device_of(view);
    cr_assert_eq(sl_membership_init(set, &sl_allocator_libc, hasher, &library_id, &self),
                 SYNCLINE_OK);
    read_script(script);
    for (size_t i = 0; i < words_len; i++) {
        add(set, i);
    }
    cr_assert_eq(sl_membership_derive(set, &err), SYNCLINE_OK);
}

/* People are told who let a device in and when, by the first who did; of the one that made the
 * library nobody did. */
Test(membership, who_let_it_in)
{
    struct sl_membership set;
    struct syncline_uuid a = device_of('A');
    struct syncline_uuid b = device_of('B');
    struct syncline_uuid c = device_of('C');
    static const struct syncline_uuid none;
    init_with(&set, 'C', "A>B B<A B>C C<B A>C C-B3:012");
    const struct sl_membership_device *device = sl_membership_device(&set, &c);
    cr_assert(sl_uuid_equal(&device->let_in_by, &b));
    cr_assert_eq(device->since_ms, 102);
    device = sl_membership_device(&set, &a);
    cr_assert(sl_uuid_equal(&device->let_in_by, &none));
    cr_assert_eq(device->since_ms, 0);
    cr_assert_str_eq(device->name, "A");
    device = sl_membership_device(&set, &b);
    cr_assert_eq(device->out_ms, 105);
    cr_assert(sl_uuid_equal(&device->out_by, &c));
    cr_assert_null(sl_membership_device(&set, &none));
    sl_membership_fini(&set);
}

/* A log is taken up to its cut, with the hash that it has there; others go on. */
Test(membership, allows_up_to_the_cut)
{
    struct sl_membership set;
    uint8_t hash[SL_HASH_SIZE];
    init_with(&set, 'A', "A>B B<A A>C C<A A-B5");
    struct sl_origin b = {.device = device_of('B'), .epoch = EPOCH};
    struct sl_origin c = {.device = device_of('C'), .epoch = EPOCH};
    hash_of('B', 5, hash);
    cr_assert(sl_membership_allows(&set, &b, 4, hash));
    cr_assert(sl_membership_allows(&set, &b, 5, hash));
    cr_assert_not(sl_membership_allows(&set, &b, 6, hash));
    cr_assert(sl_membership_allows(&set, &c, 6, hash));
    hash[9] ^= 1u;
    cr_assert_not(sl_membership_allows(&set, &b, 5, hash), "another hash there");
    b.epoch++;
    cr_assert_not(sl_membership_allows(&set, &b, 1, hash), "an epoch that nobody knew");
    sl_membership_fini(&set);
}

/* Of who has left, epochs before the last are whole, and there is none after it. */
Test(membership, left_in_its_last_epoch)
{
    struct sl_membership set;
    uint8_t hash[SL_HASH_SIZE];
    init_with(&set, 'A', "A>B B<A B.5");
    struct sl_origin b = {.device = device_of('B'), .epoch = EPOCH};
    hash_of('B', 5, hash);
    cr_assert(sl_membership_allows(&set, &b, 5, hash));
    cr_assert_not(sl_membership_allows(&set, &b, 6, hash));
    b.epoch = EPOCH + 1;
    cr_assert_not(sl_membership_allows(&set, &b, 1, hash));
    b.epoch = EPOCH - 1;
    cr_assert(sl_membership_allows(&set, &b, 600, hash));
    sl_membership_fini(&set);
}

/* The hash of the set is that of what is in it, whatever the order; an entry is in it once. */
Test(membership, hash_is_of_the_set)
{
    struct sl_membership set;
    struct sl_membership other;
    uint8_t before[SL_HASH_SIZE];
    struct syncline_uuid self = device_of('B');
    bool added = true;
    init_with(&set, 'A', "A>B B<A A>C");
    cr_assert_eq(sl_membership_init(&other, &sl_allocator_libc, hasher, &library_id, &self),
                 SYNCLINE_OK);
    add(&other, 2);
    add(&other, 0);
    cr_assert_eq(sl_membership_derive(&other, &err), SYNCLINE_OK);
    cr_assert_arr_neq(other.hash, set.hash, SL_HASH_SIZE);
    memcpy(before, other.hash, sizeof(before));
    add(&other, 1);
    cr_assert_eq(sl_membership_derive(&other, &err), SYNCLINE_OK);
    cr_assert_arr_eq(other.hash, set.hash, SL_HASH_SIZE);
    cr_assert_eq(sl_membership_add(&other, words[1].data, words[1].len, &added, &err), SYNCLINE_OK);
    cr_assert_not(added);
    cr_assert_eq(other.len, 3);
    cr_assert(sl_membership_has(&other, &word_ids[1]));
    sl_membership_drop_last(&other);
    cr_assert_not(sl_membership_has(&other, &word_ids[1]));
    cr_assert_eq(sl_membership_derive(&other, &err), SYNCLINE_OK);
    cr_assert_arr_eq(other.hash, before, SL_HASH_SIZE, "as before the last one");
    sl_membership_fini(&other);
    sl_membership_fini(&set);
}

/* One device can fill its own share and no more, and what is there stays. */
Test(membership, author_has_a_limit)
{
    struct sl_membership set;
    struct sl_buf buf;
    uint8_t key[SL_MEMBERSHIP_KEY_SIZE];
    struct sl_cut cut = {.epoch = EPOCH};
    struct sl_membership_word word = {
        .kind = SL_MEMBERSHIP_LEAVE, .author_key = key, .cuts = &cut, .cuts_len = 1};
    bool added = false;
    init_with(&set, 'A', "A>B B<A");
    sl_buf_init(&buf, &sl_allocator_libc);
    key_of('C', key);
    for (uint64_t i = 0; i <= SL_MEMBERSHIP_AUTHOR_MAX; i++) {
        word.wall_ms = i;
        sl_buf_clear(&buf);
        cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
        enum syncline_status status = sl_membership_add(&set, buf.data, buf.len, &added, &err);
        cr_assert_eq(status, i < SL_MEMBERSHIP_AUTHOR_MAX ? SYNCLINE_OK : SYNCLINE_EREFUSED, "%llu",
                     (unsigned long long)i);
    }
    cr_assert_eq(set.len, 2u + SL_MEMBERSHIP_AUTHOR_MAX);
    sl_buf_fini(&buf);
    sl_membership_fini(&set);
}
