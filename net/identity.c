/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The plain SHA256() of OpenSSL 3 allocates and can fail; the three-step form does neither, so a
 * device id can always be told. It is marked deprecated, which is what this silences. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "net/identity.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

_Static_assert(SHA256_DIGEST_LENGTH >= sizeof(struct syncline_uuid), "an id is part of a hash");

void sl_device_id(const uint8_t public_key[SL_KEY_SIZE], struct syncline_uuid *device_id)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256_CTX ctx;

    (void)SHA256_Init(&ctx);
    (void)SHA256_Update(&ctx, public_key, SL_KEY_SIZE);
    (void)SHA256_Final(hash, &ctx);
    memcpy(device_id->bytes, hash, sizeof(device_id->bytes));
}

enum syncline_status sl_identity_init(struct sl_identity *identity,
                                      const uint8_t private_key[SL_KEY_SIZE], struct sl_error *err)
{
    struct sl_identity made;
    size_t size = SL_KEY_SIZE;
    /* The first use of OpenSSL in the process, unless the host had one: a host that ends without
     * closing its library must not have it cleaned up below the engine's threads. */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, SL_KEY_SIZE);

    if (key == NULL)
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a device's key");
    bool ok = EVP_PKEY_get_raw_public_key(key, made.public_key, &size) == 1 && size == SL_KEY_SIZE;
    EVP_PKEY_free(key);
    if (!ok)
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a device's key");
    memcpy(made.private_key, private_key, SL_KEY_SIZE);
    sl_device_id(made.public_key, &made.device_id);
    *identity = made;
    OPENSSL_cleanse(&made, sizeof(made));
    return SYNCLINE_OK;
}

enum syncline_status sl_identity_new(const struct sl_env *env, struct sl_identity *identity,
                                     struct sl_error *err)
{
    uint8_t private_key[SL_KEY_SIZE];
    enum syncline_status status = env->random(env->ctx, private_key, sizeof(private_key));

    if (status != SYNCLINE_OK)
        return sl_fail(err, status, "the system gave no randomness for a new device's key");
    status = sl_identity_init(identity, private_key, err);
    OPENSSL_cleanse(private_key, sizeof(private_key));
    return status;
}

struct sl_signer {
    EVP_PKEY *key;                    /* ours */
    EVP_MD_CTX *ctx;                  /* ours; set up anew for every message, as Ed25519 wants it */
    const struct sl_allocator *alloc; /* borrowed */
};

enum syncline_status sl_signer_new(const struct sl_allocator *alloc,
                                   const struct sl_identity *identity, struct sl_signer **out)
{
    struct sl_signer *signer = sl_calloc(alloc, 1, sizeof(*signer));

    if (signer == NULL)
        return SYNCLINE_ENOMEM;
    signer->alloc = alloc;
    signer->key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, identity->private_key, SL_KEY_SIZE);
    signer->ctx = EVP_MD_CTX_new();
    if (signer->key == NULL || signer->ctx == NULL) {
        sl_signer_free(signer);
        return SYNCLINE_ENOMEM;
    }
    *out = signer;
    return SYNCLINE_OK;
}

void sl_signer_free(struct sl_signer *signer)
{
    if (signer == NULL)
        return;
    EVP_MD_CTX_free(signer->ctx);
    EVP_PKEY_free(signer->key);
    sl_free(signer->alloc, signer);
}

enum syncline_status sl_sign(struct sl_signer *signer, const void *message, size_t len,
                             uint8_t signature[SL_SIGNATURE_SIZE])
{
    uint8_t made[SL_SIGNATURE_SIZE];
    size_t size = sizeof(made);

    if (EVP_DigestSignInit(signer->ctx, NULL, NULL, NULL, signer->key) != 1 ||
        EVP_DigestSign(signer->ctx, made, &size, message, len) != 1 || size != sizeof(made))
        return SYNCLINE_ENOMEM;
    memcpy(signature, made, sizeof(made));
    return SYNCLINE_OK;
}

struct sl_verifier {
    EVP_PKEY *key;                    /* ours */
    EVP_MD_CTX *ctx;                  /* ours; as in a signer */
    const struct sl_allocator *alloc; /* borrowed */
};

enum syncline_status sl_verifier_new(const struct sl_allocator *alloc,
                                     const uint8_t public_key[SL_KEY_SIZE],
                                     struct sl_verifier **out)
{
    struct sl_verifier *verifier = sl_calloc(alloc, 1, sizeof(*verifier));

    if (verifier == NULL)
        return SYNCLINE_ENOMEM;
    verifier->alloc = alloc;
    verifier->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SL_KEY_SIZE);
    verifier->ctx = EVP_MD_CTX_new();
    if (verifier->key == NULL || verifier->ctx == NULL) {
        sl_verifier_free(verifier);
        return SYNCLINE_ENOMEM;
    }
    *out = verifier;
    return SYNCLINE_OK;
}

void sl_verifier_free(struct sl_verifier *verifier)
{
    if (verifier == NULL)
        return;
    EVP_MD_CTX_free(verifier->ctx);
    EVP_PKEY_free(verifier->key);
    sl_free(verifier->alloc, verifier);
}

bool sl_verify(struct sl_verifier *verifier, const void *message, size_t len,
               const uint8_t signature[SL_SIGNATURE_SIZE])
{
    return EVP_DigestVerifyInit(verifier->ctx, NULL, NULL, NULL, verifier->key) == 1 &&
           EVP_DigestVerify(verifier->ctx, signature, SL_SIGNATURE_SIZE, message, len) == 1;
}
