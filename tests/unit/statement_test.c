/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/statement.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

static struct sl_error err;

static const struct sl_origin author = {.device = {{0xd0, 0xd1}}, .epoch = 0x0102030405060708};

static struct sl_vector_entry entry_of(uint64_t held_seq, uint64_t applied_seq)
{
    struct sl_vector_entry entry = {.origin = {.device = {{0xe0}}, .epoch = 1},
                                    .held_seq = held_seq,
                                    .applied_seq = applied_seq};
    memset(entry.held_hash, 0xab, sizeof(entry.held_hash));
    return entry;
}

/* What is stated comes back, and its version is the sum of what is held and applied. */
Test(statement, comes_back)
{
    struct sl_vector_entry entries[2] = {entry_of(5, 3), entry_of(7, 0)};
    struct sl_statement statement;
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_statement_put(&buf, &author, entries, 2), SYNCLINE_OK);
    cr_assert_eq(buf.len, SL_STATEMENT_HEADER_SIZE + 2 * SL_VECTOR_ENTRY_SIZE);
    cr_assert_eq(sl_statement_parse(&statement, buf.data, buf.len, &err), SYNCLINE_OK);
    cr_assert(sl_uuid_equal(&statement.device, &author.device));
    cr_assert_eq(statement.stated.epoch, author.epoch);
    cr_assert_eq(statement.stated.version, 15);
    cr_assert_eq(sl_statement_version(entries, 2), 15);
    cr_assert_eq(statement.signature, buf.data + 24);
    for (uint32_t i = 0; i < 2; i++) {
        struct sl_vector_entry entry = sl_statement_entry(&statement, i);
        cr_assert_eq(memcmp(&entry, &entries[i], sizeof(entry)), 0);
    }
    sl_buf_fini(&buf);
}

/* A later epoch is later than any version of an earlier one; sums do not run over. */
Test(statement, later)
{
    struct sl_vector_entry most = entry_of(UINT64_MAX, UINT64_MAX);
    cr_expect_eq(sl_statement_version(&most, 1), UINT64_MAX);
    cr_expect(sl_stated_is_later((struct sl_stated){2, 1}, (struct sl_stated){1, 9}));
    cr_expect(sl_stated_is_later((struct sl_stated){2, 2}, (struct sl_stated){2, 1}));
    cr_expect_not(sl_stated_is_later((struct sl_stated){2, 1}, (struct sl_stated){2, 1}));
    cr_expect_not(sl_stated_is_later((struct sl_stated){1, 9}, (struct sl_stated){2, 1}));
}

/* Every byte but the signature's goes into the hash, and so does the library. */
Test(statement, hash)
{
    struct sl_vector_entry entry = entry_of(5, 3);
    struct syncline_uuid library = {{7}};
    uint8_t hash[SL_HASH_SIZE];
    uint8_t other[SL_HASH_SIZE];
    struct sl_buf buf;
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    cr_assert_not_null(hasher);
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_statement_put(&buf, &author, &entry, 1), SYNCLINE_OK);
    cr_assert_eq(sl_statement_hash(hasher, &library, buf.data, buf.len, hash), SYNCLINE_OK);
    for (size_t i = 0; i < buf.len; i++) {
        buf.data[i] ^= 1;
        cr_assert_eq(sl_statement_hash(hasher, &library, buf.data, buf.len, other), SYNCLINE_OK);
        bool is_signature = i >= 24 && i < 24 + SL_STATEMENT_SIGNATURE_SIZE;
        cr_assert_eq(memcmp(hash, other, SL_HASH_SIZE) == 0, is_signature, "byte %zu", i);
        buf.data[i] ^= 1;
    }
    library.bytes[0]++;
    cr_assert_eq(sl_statement_hash(hasher, &library, buf.data, buf.len, other), SYNCLINE_OK);
    cr_assert_neq(memcmp(hash, other, SL_HASH_SIZE), 0);
    /* The bytes of today, for ever. */
    static const uint8_t golden[4] = {0x24, 0xa1, 0x54, 0x6b};
    cr_expect_arr_eq(hash, golden, sizeof(golden), "%02x%02x%02x%02x", hash[0], hash[1], hash[2],
                     hash[3]);
    sl_buf_fini(&buf);
    sl_hasher_free(hasher);
}

/* Every cut is refused, and so are more entries than there may be, on both ways. */
Test(statement, refused)
{
    struct sl_vector_entry *entries = calloc(SL_VECTOR_LEN_MAX + 1, sizeof(*entries));
    struct sl_statement statement;
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    cr_assert_eq(sl_statement_put(&buf, &author, entries, SL_VECTOR_LEN_MAX + 1), SYNCLINE_ETOOBIG);
    cr_assert_eq(sl_statement_put(&buf, &author, entries, SL_VECTOR_LEN_MAX), SYNCLINE_OK);
    cr_assert_eq(sl_statement_parse(&statement, buf.data, buf.len, &err), SYNCLINE_OK);
    for (size_t cut = 1; cut < 300; cut++) {
        cr_assert_eq(sl_statement_parse(&statement, buf.data, buf.len - cut, &err),
                     SYNCLINE_EPROTO);
        cr_assert_eq(sl_statement_parse(&statement, buf.data, cut, &err), SYNCLINE_EPROTO);
    }
    sl_put_u32(buf.data + 88, SL_VECTOR_LEN_MAX + 1);
    cr_assert_eq(sl_statement_parse(&statement, buf.data, buf.len, &err), SYNCLINE_EPROTO);
    sl_buf_fini(&buf);
    free(entries);
}
