/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "include/syncline.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20260117u

/* The spaces that RFC 9562 names. */
static const char dns_space[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

static struct syncline_uuid uuid_of(const char *text)
{
    struct syncline_uuid uuid;
    cr_assert_eq(syncline_uuid_parse(text, &uuid), SYNCLINE_OK, "%s", text);
    return uuid;
}

/* The example of RFC 9562, appendix A.4. */
Test(uuid_v5, is_that_of_the_standard)
{
    struct syncline_uuid space = uuid_of(dns_space);
    struct syncline_uuid uuid;
    char text[SYNCLINE_UUID_TEXT_SIZE];
    cr_assert_eq(syncline_uuid_v5(&space, "www.example.com", 15, &uuid), SYNCLINE_OK);
    syncline_uuid_text(&uuid, text);
    cr_assert_str_eq(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

/* Every byte of the name and of the space counts, NUL bytes too; nothing is a name as well. */
Test(uuid_v5, depends_on_every_byte)
{
    struct syncline_uuid space = uuid_of(dns_space);
    struct syncline_uuid uuids[5];
    cr_assert_eq(syncline_uuid_v5(&space, "a\0b", 3, &uuids[0]), SYNCLINE_OK);
    cr_assert_eq(syncline_uuid_v5(&space, "a\0c", 3, &uuids[1]), SYNCLINE_OK);
    cr_assert_eq(syncline_uuid_v5(&space, "a", 1, &uuids[2]), SYNCLINE_OK);
    cr_assert_eq(syncline_uuid_v5(&space, NULL, 0, &uuids[3]), SYNCLINE_OK);
    space.bytes[15] ^= 1;
    cr_assert_eq(syncline_uuid_v5(&space, "a\0b", 3, &uuids[4]), SYNCLINE_OK);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(uuids[i].bytes[6] >> 4, 5, "version");
        cr_assert_eq(uuids[i].bytes[8] >> 6, 2, "variant");
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(memcmp(&uuids[i], &uuids[j], 16), 0, "%zu and %zu", i, j);
        }
    }
}

Test(uuid_v5, refuses_null)
{
    struct syncline_uuid uuid = {.bytes = {0}};
    cr_assert_eq(syncline_uuid_v5(NULL, "a", 1, &uuid), SYNCLINE_EINVAL);
    cr_assert_eq(syncline_uuid_v5(&uuid, NULL, 1, &uuid), SYNCLINE_EINVAL);
    cr_assert_eq(syncline_uuid_v5(&uuid, "a", 1, NULL), SYNCLINE_EINVAL);
}

/* What was written is read again, and upper case is the same. */
Test(uuid_text, there_and_back)
{
    char text[SYNCLINE_UUID_TEXT_SIZE];
    struct syncline_uuid uuid = uuid_of("0193a5B2-C3d4-75E6-8f00-ffEEddCCbbaa");
    static const uint8_t bytes[16] = {0x01, 0x93, 0xa5, 0xb2, 0xc3, 0xd4, 0x75, 0xe6,
                                      0x8f, 0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa};
    cr_assert_eq(memcmp(uuid.bytes, bytes, 16), 0);
    syncline_uuid_text(&uuid, text);
    cr_assert_str_eq(text, "0193a5b2-c3d4-75e6-8f00-ffeeddccbbaa");
}

/* What is not exactly such a text is refused, and nothing is written. */
Test(uuid_text, refuses_others)
{
    static const char *const texts[] = {
        "",
        "0193a5b2-c3d4-75e6-8f00-ffeeddccbba",
        "0193a5b2-c3d4-75e6-8f00-ffeeddccbbaaa",
        " 193a5b2-c3d4-75e6-8f00-ffeeddccbbaa",
        "0193a5b2-c3d4-75e6-8f00-ffeeddccbbag",
        "0193a5b2c-3d4-75e6-8f00-ffeeddccbbaa",
        "0193a5b2-c3d4-75e6-8f00_ffeeddccbbaa",
        "0193a5b2-c3d4-75e6-8f00-ffeeddccbb a",
        "+193a5b2-c3d4-75e6-8f00-ffeeddccbbaa",
        "{193a5b2-c3d4-75e6-8f00-ffeeddccbba}",
    };
    struct syncline_uuid uuid = {.bytes = {7}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect_eq(syncline_uuid_parse(texts[i], &uuid), SYNCLINE_EINVAL, "%s", texts[i]);
        cr_expect_eq(uuid.bytes[0], 7);
    }
    cr_expect_eq(syncline_uuid_parse(NULL, &uuid), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_uuid_parse(texts[0], NULL), SYNCLINE_EINVAL);
}

static struct syncline_hlc hlc_of(uint64_t time, uint8_t device, uint64_t epoch)
{
    return (struct syncline_hlc){.time = time, .device = {.bytes = {device}}, .epoch = epoch};
}

static uint64_t random_u64(unsigned *state)
{
    uint64_t value = 0;
    for (int i = 0; i < 5; i++) {
        value = value << 15 | (uint64_t)(rand_r(state) & 0x7fff);
    }
    return value >> (rand_r(state) % 64);
}

/* The form is pinned: it stands in people's logs. */
Test(hlc_text, is_this)
{
    char text[SYNCLINE_HLC_TEXT_SIZE];
    struct syncline_hlc hlc = hlc_of(0x0193a5b2c3d40001u, 0xab, 0x0001fedcba987654u);
    syncline_hlc_text(&hlc, text);
    cr_assert_str_eq(text,
                     "0193a5b2c3d40001-ab000000-0000-0000-0000-000000000000-0001fedcba987654");
    cr_assert_eq(strlen(text), SYNCLINE_HLC_TEXT_SIZE - 1);
    cr_assert_eq(syncline_hlc_ms(&hlc), 0x0193a5b2c3d4);
}

/* Time decides, then device, then epoch. */
Test(hlc_text, compares_in_this_order)
{
    struct syncline_hlc rising[] = {hlc_of(1, 9, 9), hlc_of(2, 1, 9), hlc_of(2, 2, 1),
                                    hlc_of(2, 2, 2), hlc_of(UINT64_MAX, 0, 0)};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            int order = syncline_hlc_compare(&rising[i], &rising[j]);
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j), "%zu and %zu", i, j);
        }
    }
}

/* Texts sort as the values compare, and are read as what was written, for values of all sizes. */
Test(hlc_text, sorts_and_comes_back)
{
    unsigned state = SEED;
    for (int i = 0; i < 20000; i++) {
        struct syncline_hlc hlc[2];
        struct syncline_hlc again;
        char text[2][SYNCLINE_HLC_TEXT_SIZE];
        for (int k = 0; k < 2; k++) {
            hlc[k] = hlc_of(random_u64(&state), (uint8_t)rand_r(&state), random_u64(&state));
            if (k == 1 && i % 2 == 0) {
                hlc[1].time = hlc[0].time;
            }
            if (k == 1 && i % 4 == 0) {
                hlc[1].device = hlc[0].device;
            }
            syncline_hlc_text(&hlc[k], text[k]);
            cr_assert_eq(syncline_hlc_parse(text[k], &again), SYNCLINE_OK, "%s", text[k]);
            cr_assert_eq(syncline_hlc_compare(&again, &hlc[k]), 0, "%s, seed %u", text[k], SEED);
        }
        int by_value = syncline_hlc_compare(&hlc[0], &hlc[1]);
        int by_text = strcmp(text[0], text[1]);
        cr_assert_eq((by_value > 0) - (by_value < 0), (by_text > 0) - (by_text < 0),
                     "%s and %s, seed %u", text[0], text[1], SEED);
    }
}

/* A changed character is another value or none, and a text of another length is none. */
Test(hlc_text, refuses_others)
{
    char text[SYNCLINE_HLC_TEXT_SIZE];
    char changed[SYNCLINE_HLC_TEXT_SIZE + 1];
    struct syncline_hlc hlc = hlc_of(12, 34, 56);
    struct syncline_hlc out = {.time = 7};
    syncline_hlc_text(&hlc, text);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        memcpy(changed, text, sizeof(text));
        changed[i] = 'g';
        cr_expect_eq(syncline_hlc_parse(changed, &out), SYNCLINE_EINVAL, "%s", changed);
        memcpy(changed, text, sizeof(text));
        changed[i] = '\0';
        cr_expect_eq(syncline_hlc_parse(changed, &out), SYNCLINE_EINVAL, "%s", changed);
    }
    memcpy(changed, text, sizeof(text));
    changed[sizeof(text) - 1] = '0';
    changed[sizeof(text)] = '\0';
    cr_expect_eq(syncline_hlc_parse(changed, &out), SYNCLINE_EINVAL, "%s", changed);
    cr_expect_eq(syncline_hlc_parse(NULL, &out), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_hlc_parse(text, NULL), SYNCLINE_EINVAL);
    cr_expect_eq(out.time, 7);
}
