/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/hash.h"

#include "tests/unit/failing_malloc.h"

#include <criterion/criterion.h>
#include <string.h>

/* FIPS 180-2, "abc" and the empty message. */
static const uint8_t hash_abc[SL_HASH_SIZE] = {
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
static const uint8_t hash_empty[SL_HASH_SIZE] = {
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

/* It is SHA-256, however the message is cut, and one hasher makes one hash after the other. */
Test(hash, sha_256_in_pieces_and_anew)
{
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    uint8_t hash[SL_HASH_SIZE];
    cr_assert_not_null(hasher);
    cr_assert(sl_hasher_finish(hasher, hash));
    cr_assert_eq(memcmp(hash, hash_empty, sizeof(hash)), 0);
    sl_hasher_update(hasher, "abc", 3);
    cr_assert(sl_hasher_finish(hasher, hash));
    cr_assert_eq(memcmp(hash, hash_abc, sizeof(hash)), 0);
    sl_hasher_update(hasher, "a", 1);
    sl_hasher_update(hasher, "", 0);
    sl_hasher_update(hasher, "bc", 2);
    cr_assert(sl_hasher_finish(hasher, hash));
    cr_assert_eq(memcmp(hash, hash_abc, sizeof(hash)), 0);
    sl_hasher_free(hasher);
    sl_hasher_free(NULL);
}

/* Without memory there is no hasher, and nothing else. */
Test(hash, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    sl_hasher_free(sl_hasher_new(&sl_allocator_libc)); /* what OpenSSL makes once is made */
    bool has_failed = true;
    int refused = 0;
    for (long n = 1; has_failed; n++) {
        (void)sl_malloc_fail_at(n);
        struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
        has_failed = sl_malloc_fail_at(0);
        cr_assert(hasher != NULL || has_failed, "allocation %ld", n);
        refused += hasher == NULL;
        sl_hasher_free(hasher);
    }
    cr_assert_geq(refused, 1);
}
