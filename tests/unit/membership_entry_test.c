/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/membership_entry.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sl_error err;
static struct sl_hasher *hasher;
static struct sl_buf buf;
static const struct syncline_uuid library_id = {{0x11}};
static uint8_t author_key[SL_MEMBERSHIP_KEY_SIZE];
static uint8_t key[SL_MEMBERSHIP_KEY_SIZE];

static void setup(void)
{
    hasher = sl_hasher_new(&sl_allocator_libc);
    sl_buf_init(&buf, &sl_allocator_libc);
    memset(author_key, 0xa0, sizeof(author_key));
    memset(key, 0xb0, sizeof(key));
}

static void teardown(void)
{
    sl_buf_fini(&buf);
    sl_hasher_free(hasher);
}

TestSuite(membership_entry, .init = setup, .fini = teardown);

static struct sl_membership_word admit_word(void)
{
    return (struct sl_membership_word){.kind = SL_MEMBERSHIP_ADMIT,
                                       .wall_ms = 0x0102030405060708,
                                       .author_key = author_key,
                                       .key = key,
                                       .name = "laptop"};
}

static const struct sl_cut cuts[2] = {{.epoch = 1, .seq = 5, .hash = {0xc1}},
                                      {.epoch = 2, .seq = 9, .hash = {0xc2}}};
static const struct syncline_uuid ids[2] = {{{0x01}}, {{0x02}}};

static struct sl_membership_word revoke_word(void)
{
    return (struct sl_membership_word){.kind = SL_MEMBERSHIP_REVOKE,
                                       .wall_ms = 7,
                                       .author_key = author_key,
                                       .subject = {{0xdd}},
                                       .cuts = cuts,
                                       .cuts_len = 2,
                                       .ids = ids,
                                       .ids_len = 2};
}

static enum syncline_status parse(struct sl_membership_entry *entry)
{
    return sl_membership_parse(entry, hasher, &library_id, buf.data, buf.len, &err);
}

/* The bytes of each kind are those of the format, and come back as they were put. */
Test(membership_entry, golden_admit)
{
    struct sl_membership_word word = admit_word();
    struct sl_membership_entry entry;
    cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
    cr_assert_eq(buf.len, 32u + 64u + 1u + 8u + 32u + 1u + 6u);
    static const uint8_t head[] = {1, 8, 7, 6, 5, 4, 3, 2, 1};
    cr_assert_arr_eq(buf.data, author_key, 32);
    cr_assert_arr_eq(buf.data + 96, head, sizeof(head));
    cr_assert_arr_eq(buf.data + 105, key, 32);
    cr_assert_arr_eq(buf.data + 137, "\6laptop", 7);
    cr_assert_eq(parse(&entry), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(entry.kind, SL_MEMBERSHIP_ADMIT);
    cr_assert_eq(entry.wall_ms, word.wall_ms);
    cr_assert_str_eq(entry.name, "laptop");
    cr_assert_arr_eq(entry.key, key, 32);
    cr_assert_arr_eq(entry.author_key, author_key, 32);
    cr_assert_eq(entry.signature, buf.data + 32);
    /* The first 16 bytes of the keys' SHA-256. */
    static const uint8_t author_id[4] = {0x54, 0x5e, 0x9f, 0x3e};
    static const uint8_t subject_id[4] = {0xa8, 0xce, 0x11, 0xa1};
    cr_expect_arr_eq(entry.author.bytes, author_id, 4);
    cr_expect_arr_eq(entry.subject.bytes, subject_id, 4);
    cr_assert_arr_eq(entry.id.bytes, entry.hash, 16);
}

Test(membership_entry, golden_revoke)
{
    struct sl_membership_word word = revoke_word();
    struct sl_membership_entry entry;
    cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
    cr_assert_eq(buf.len, 105u + 16u + 4u + 2u * 48u + 4u + 2u * 16u);
    cr_assert_eq(parse(&entry), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(entry.kind, SL_MEMBERSHIP_REVOKE);
    cr_assert(sl_uuid_equal(&entry.subject, &word.subject));
    cr_assert_eq(entry.cuts_len, 2);
    cr_assert_eq(entry.ids_len, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct sl_cut cut = sl_membership_entry_cut(&entry, i);
        struct syncline_uuid id = sl_membership_entry_id(&entry, i);
        cr_assert_eq(cut.epoch, cuts[i].epoch);
        cr_assert_eq(cut.seq, cuts[i].seq);
        cr_assert_arr_eq(cut.hash, cuts[i].hash, SL_HASH_SIZE);
        cr_assert(sl_uuid_equal(&id, &ids[i]));
        cr_assert(sl_membership_entry_lists(&entry, &ids[i]));
    }
    cr_assert_not(sl_membership_entry_lists(&entry, &(struct syncline_uuid){{0x03}}));
    cr_assert_not(sl_membership_entry_lists(&entry, &(struct syncline_uuid){{0x00}}));
}

/* LEAVE is of its author, and says where its log ends: with nothing, too. */
Test(membership_entry, leave_is_of_its_author)
{
    struct sl_cut cut = {.epoch = 3, .seq = 0};
    struct sl_membership_word word = {
        .kind = SL_MEMBERSHIP_LEAVE, .author_key = author_key, .cuts = &cut, .cuts_len = 1};
    struct sl_membership_entry entry;
    cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
    cr_assert_eq(buf.len, 105u + 48u);
    cr_assert_eq(parse(&entry), SYNCLINE_OK, "%s", err.text);
    cr_assert(sl_uuid_equal(&entry.subject, &entry.author));
    cr_assert_eq(entry.cuts_len, 1);
}

/* What is signed covers every byte but the signature, and the library. */
Test(membership_entry, hash_covers_all_but_the_signature)
{
    struct sl_membership_word word = revoke_word();
    struct sl_membership_entry entry;
    struct sl_membership_entry other;
    cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
    cr_assert_eq(parse(&entry), SYNCLINE_OK);
    for (size_t i = 0; i < buf.len; i++) {
        bool is_signature = i >= 32 && i < 96;
        buf.data[i] ^= 1u;
        if (parse(&other) == SYNCLINE_OK) {
            bool same = memcmp(other.hash, entry.hash, SL_HASH_SIZE) == 0;
            cr_assert_eq(same, is_signature, "byte %zu", i);
        }
        buf.data[i] ^= 1u;
    }
    cr_assert_eq(sl_membership_parse(&other, hasher, &(struct syncline_uuid){{0x12}}, buf.data,
                                     buf.len, &err),
                 SYNCLINE_OK);
    cr_assert_arr_neq(other.hash, entry.hash, SL_HASH_SIZE);
}

/* A field that ends before its entry, or after, is refused at every length. */
Test(membership_entry, cut_short_is_refused)
{
    for (int k = 0; k < 2; k++) {
        struct sl_membership_word word = k == 0 ? admit_word() : revoke_word();
        struct sl_membership_entry entry;
        sl_buf_clear(&buf);
        cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
        for (size_t len = 0; len < buf.len; len++) {
            cr_assert_eq(sl_membership_parse(&entry, hasher, &library_id, buf.data, len, &err),
                         SYNCLINE_EPROTO, "%zu bytes", len);
        }
        sl_buf_u8(&buf, 0);
        cr_assert_eq(parse(&entry), SYNCLINE_EPROTO);
    }
}

/* What cannot be said: an unknown kind, a count without its items, an epoch of 2^63, a cut at
 * nothing, cuts or ids that do not rise, a name that is no text, a device of itself. */
Test(membership_entry, what_cannot_be_said)
{
    struct sl_membership_entry entry;
    struct sl_cut twice[2] = {cuts[0], cuts[0]};
    struct syncline_uuid same[2] = {ids[0], ids[0]};
    struct sl_cut late = {.epoch = UINT64_C(1) << 63, .seq = 1};
    struct sl_cut empty = {.epoch = 1, .seq = 0};
    struct sl_membership_word words[6];
    for (size_t i = 0; i < 6; i++) {
        words[i] = revoke_word();
    }
    words[0].kind = (enum sl_membership_kind)6;
    words[1].cuts = twice;
    words[2].ids = same;
    words[3].cuts = &late;
    words[3].cuts_len = 1;
    words[4].cuts = &empty;
    words[4].cuts_len = 1;
    words[5] = admit_word();
    words[5].key = author_key;
    for (size_t i = 0; i < 6; i++) {
        sl_buf_clear(&buf);
        cr_assert_eq(sl_membership_put(&buf, &words[i]), SYNCLINE_OK);
        cr_assert_eq(parse(&entry), SYNCLINE_EPROTO, "%zu", i);
    }
    struct sl_membership_word word = revoke_word();
    sl_buf_clear(&buf);
    cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
    sl_put_u32(buf.data + 121, UINT32_MAX);
    cr_assert_eq(parse(&entry), SYNCLINE_EPROTO);
    word = admit_word();
    word.name = "\xff";
    sl_buf_clear(&buf);
    cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_EINVAL);
    word = admit_word();
    cr_assert_eq(sl_membership_put(&buf, &word), SYNCLINE_OK);
    buf.data[138] = 0xff;
    cr_assert_eq(parse(&entry), SYNCLINE_EPROTO);
}
