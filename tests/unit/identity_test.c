/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/identity.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/failing_malloc.h"

/* RFC 8032, section 7.1, test 3. */
static const uint8_t rfc_private[SL_KEY_SIZE] = {
    0xc5, 0xaa, 0x8d, 0xf4, 0x3f, 0x9f, 0x83, 0x7b, 0xed, 0xb7, 0x44, 0x2f, 0x31, 0xdc, 0xb7, 0xb1,
    0x66, 0xd3, 0x85, 0x35, 0x07, 0x6f, 0x09, 0x4b, 0x85, 0xce, 0x3a, 0x2e, 0x0b, 0x44, 0x58, 0xf7};
static const uint8_t rfc_public[SL_KEY_SIZE] = {
    0xfc, 0x51, 0xcd, 0x8e, 0x62, 0x18, 0xa1, 0xa3, 0x8d, 0xa4, 0x7e, 0xd0, 0x02, 0x30, 0xf0, 0x58,
    0x08, 0x16, 0xed, 0x13, 0xba, 0x33, 0x03, 0xac, 0x5d, 0xeb, 0x91, 0x15, 0x48, 0x90, 0x80, 0x25};
static const uint8_t rfc_message[] = {0xaf, 0x82};
static const uint8_t rfc_signature[SL_SIGNATURE_SIZE] = {
    0x62, 0x91, 0xd6, 0x57, 0xde, 0xec, 0x24, 0x02, 0x48, 0x27, 0xe6, 0x9c, 0x3a, 0xbe, 0x01, 0xa3,
    0x0c, 0xe5, 0x48, 0xa2, 0x84, 0x74, 0x3a, 0x44, 0x5e, 0x36, 0x80, 0xd7, 0xdb, 0x5a, 0xc3, 0xac,
    0x18, 0xff, 0x9b, 0x53, 0x8d, 0x16, 0xf2, 0x90, 0xae, 0x67, 0xf7, 0x60, 0x98, 0x4d, 0xc6, 0x59,
    0x4a, 0x7c, 0x15, 0xe9, 0x71, 0x6e, 0xd2, 0x8d, 0xc0, 0x27, 0xbe, 0xce, 0xea, 0x1e, 0xc4, 0x0a};
/* First half of `sha256sum` over rfc_public. */
static const uint8_t rfc_device_id[16] = {0xda, 0xc0, 0x73, 0xe0, 0x12, 0x3b, 0xde, 0xa5,
                                          0x9d, 0xd9, 0xb3, 0xbd, 0xa9, 0xcf, 0x60, 0x37};

static enum syncline_status give_key(void *ctx, void *out, size_t size)
{
    cr_assert_eq(size, SL_KEY_SIZE);
    memcpy(out, ctx, size);
    return SYNCLINE_OK;
}

static enum syncline_status give_nothing(void *ctx, void *out, size_t size)
{
    (void)ctx;
    (void)out;
    (void)size;
    return SYNCLINE_EIO;
}

/* The seed comes from the environment alone; key and signature are Ed25519's. */
Test(identity, is_ed25519_from_the_environments_seed)
{
    uint8_t seed[SL_KEY_SIZE];
    struct sl_env env = {.random = give_key, .ctx = seed};
    struct sl_identity identity;
    struct sl_signer *signer;
    uint8_t signature[SL_SIGNATURE_SIZE];

    memcpy(seed, rfc_private, sizeof(seed));
    cr_assert_eq(sl_identity_new(&env, &identity, NULL), SYNCLINE_OK);
    cr_assert_arr_eq(identity.private_key, rfc_private, SL_KEY_SIZE);
    cr_assert_arr_eq(identity.public_key, rfc_public, SL_KEY_SIZE);
    cr_assert_arr_eq(identity.device_id.bytes, rfc_device_id, 16);
    cr_assert_eq(sl_signer_new(&sl_allocator_libc, &identity, &signer), SYNCLINE_OK);
    cr_assert_eq(sl_sign(signer, rfc_message, sizeof(rfc_message), signature), SYNCLINE_OK);
    cr_assert_arr_eq(signature, rfc_signature, SL_SIGNATURE_SIZE);
    sl_signer_free(signer);
}

/* Without randomness there is no identity, and the text says for what it was wanted. */
Test(identity, no_randomness_is_an_error)
{
    struct sl_env env = {.random = give_nothing};
    struct sl_identity identity;
    struct sl_identity before;
    struct sl_error err = {0};

    memset(&identity, 0x5a, sizeof(identity));
    before = identity;
    cr_assert_eq(sl_identity_new(&env, &identity, &err), SYNCLINE_EIO);
    cr_assert_not_null(strstr(err.text, "randomness"), "%s", err.text);
    cr_assert_arr_eq((uint8_t *)&identity, (uint8_t *)&before, sizeof(identity));
}

/* Many messages by one signer and verifier; a change of any bit of message or signature shows. */
Test(identity, every_changed_bit_is_noticed)
{
    struct sl_identity identity;
    struct sl_signer *signer;
    struct sl_verifier *verifier;
    uint8_t message[100];
    uint8_t signature[SL_SIGNATURE_SIZE];

    cr_assert_eq(sl_identity_init(&identity, rfc_private, NULL), SYNCLINE_OK);
    cr_assert_eq(sl_signer_new(&sl_allocator_libc, &identity, &signer), SYNCLINE_OK);
    cr_assert_eq(sl_verifier_new(&sl_allocator_libc, identity.public_key, &verifier), SYNCLINE_OK);
    for (size_t i = 0; i < sizeof(message); i++) {
        memset(message, (int)i, sizeof(message));
        cr_assert_eq(sl_sign(signer, message, i, signature), SYNCLINE_OK);
        cr_assert(sl_verify(verifier, message, i, signature));
        cr_assert(!sl_verify(verifier, message, i + 1, signature));
        if (i > 0) {
            message[i / 2] ^= (uint8_t)(1u << (i % 8));
            cr_assert(!sl_verify(verifier, message, i, signature));
            message[i / 2] ^= (uint8_t)(1u << (i % 8));
        }
        signature[i % sizeof(signature)] ^= (uint8_t)(1u << (i % 8));
        cr_assert(!sl_verify(verifier, message, i, signature));
    }
    sl_signer_free(signer);
    sl_verifier_free(verifier);
}

/* Another device's key, or no point on the curve, verifies nothing. */
Test(identity, other_keys_verify_nothing)
{
    uint8_t public_key[SL_KEY_SIZE];
    struct sl_verifier *verifier;

    for (int i = 0; i < 256; i++) {
        memset(public_key, i, sizeof(public_key));
        if (sl_verifier_new(&sl_allocator_libc, public_key, &verifier) != SYNCLINE_OK)
            continue;
        cr_assert(!sl_verify(verifier, rfc_message, sizeof(rfc_message), rfc_signature));
        sl_verifier_free(verifier);
    }
    sl_signer_free(NULL);
    sl_verifier_free(NULL);
}

/* Whichever allocation fails, it is ENOMEM or still right, and a second try works. */
Test(identity, no_memory_is_reported)
{
    struct sl_identity identity;
    struct sl_signer *signer;
    struct sl_verifier *verifier;
    uint8_t signature[SL_SIGNATURE_SIZE];
    bool has_failed = true;

    if (!SL_MALLOC_CAN_FAIL)
        cr_skip_test("the sanitizer's allocator does not fail");
    /* Once without failures, so that OpenSSL has set itself up. */
    for (long n = 0; has_failed; n++) {
        bool verified = false;
        (void)sl_malloc_fail_at(n);
        enum syncline_status made = sl_identity_init(&identity, rfc_private, NULL);
        enum syncline_status status = made;
        if (status == SYNCLINE_OK)
            status = sl_signer_new(&sl_allocator_libc, &identity, &signer);
        if (status == SYNCLINE_OK) {
            status = sl_sign(signer, rfc_message, sizeof(rfc_message), signature);
            sl_signer_free(signer);
        }
        if (status == SYNCLINE_OK)
            status = sl_verifier_new(&sl_allocator_libc, rfc_public, &verifier);
        if (status == SYNCLINE_OK) {
            verified = sl_verify(verifier, rfc_message, sizeof(rfc_message), rfc_signature);
            sl_verifier_free(verifier);
        }
        has_failed = sl_malloc_fail_at(0) || n == 0;
        cr_assert(status == SYNCLINE_ENOMEM || status == SYNCLINE_OK);
        if (!has_failed)
            cr_assert(verified);
    }
}
