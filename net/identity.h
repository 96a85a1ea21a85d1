/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A device's name and key: Ed25519; the device id is the first 16 bytes of SHA-256 of the public
 * key. Pure values: reading and writing the key file is key_file.h. Any thread; never blocks. */

#ifndef SL_IDENTITY_H
#define SL_IDENTITY_H

#include "base/env.h"
#include "base/status.h"

#define SL_KEY_SIZE 32
#define SL_SIGNATURE_SIZE 64

struct sl_identity {
    uint8_t private_key[SL_KEY_SIZE]; /* Ed25519 seed */
    uint8_t public_key[SL_KEY_SIZE];
    struct syncline_uuid device_id; /* from the public key */
};

/* From fresh randomness of the environment. Errors: EIO, ENOMEM. */
enum syncline_status sl_identity_new(const struct sl_env *env, struct sl_identity *identity,
                                     struct sl_error *err);
/* From a private key. Errors: ENOMEM. */
enum syncline_status sl_identity_init(struct sl_identity *identity,
                                      const uint8_t private_key[SL_KEY_SIZE], struct sl_error *err);

/* The device id that belongs to a public key. */
void sl_device_id(const uint8_t public_key[SL_KEY_SIZE], struct syncline_uuid *device_id);

/* A signer or verifier keeps its parsed key; made once, used for many messages by one thread.
 * The allocator is borrowed for its life. */
struct sl_signer;
enum syncline_status sl_signer_new(const struct sl_allocator *alloc,
                                   const struct sl_identity *identity, struct sl_signer **out);
void sl_signer_free(struct sl_signer *signer);
enum syncline_status sl_sign(struct sl_signer *signer, const void *message, size_t len,
                             uint8_t signature[SL_SIGNATURE_SIZE]);

struct sl_verifier;
enum syncline_status sl_verifier_new(const struct sl_allocator *alloc,
                                     const uint8_t public_key[SL_KEY_SIZE],
                                     struct sl_verifier **out);
void sl_verifier_free(struct sl_verifier *verifier);
/* true: the signature is by that key over exactly these bytes. */
bool sl_verify(struct sl_verifier *verifier, const void *message, size_t len,
               const uint8_t signature[SL_SIGNATURE_SIZE]);

#endif
