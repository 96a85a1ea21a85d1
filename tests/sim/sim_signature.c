/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "net/identity.h"

/* The linker's option --wrap=sl_sign makes sl_sign of all others __wrap_sl_sign, and gives the true
 * one the name __real_sl_sign. */
#define REAL(name) __asm__("__real_" #name)
#define INSTEAD_OF(name) __asm__("__wrap_" #name)

enum syncline_status real_signer_new(const struct sl_allocator *alloc,
                                     const struct sl_identity *identity, struct sl_signer **out)
    REAL(sl_signer_new);
void real_signer_free(struct sl_signer *signer) REAL(sl_signer_free);
enum syncline_status real_sign(struct sl_signer *signer, const void *message, size_t len,
                               uint8_t signature[SL_SIGNATURE_SIZE]) REAL(sl_sign);
enum syncline_status real_verifier_new(const struct sl_allocator *alloc,
                                       const uint8_t public_key[SL_KEY_SIZE],
                                       struct sl_verifier **out) REAL(sl_verifier_new);
void real_verifier_free(struct sl_verifier *verifier) REAL(sl_verifier_free);
bool real_verify(struct sl_verifier *verifier, const void *message, size_t len,
                 const uint8_t signature[SL_SIGNATURE_SIZE]) REAL(sl_verify);

enum syncline_status sim_signer_new(const struct sl_allocator *alloc,
                                    const struct sl_identity *identity, struct sl_signer **out)
    INSTEAD_OF(sl_signer_new);
void sim_signer_free(struct sl_signer *signer) INSTEAD_OF(sl_signer_free);
enum syncline_status sim_sign(struct sl_signer *signer, const void *message, size_t len,
                              uint8_t signature[SL_SIGNATURE_SIZE]) INSTEAD_OF(sl_sign);
enum syncline_status sim_verifier_new(const struct sl_allocator *alloc,
                                      const uint8_t public_key[SL_KEY_SIZE],
                                      struct sl_verifier **out) INSTEAD_OF(sl_verifier_new);
void sim_verifier_free(struct sl_verifier *verifier) INSTEAD_OF(sl_verifier_free);
bool sim_verify(struct sl_verifier *verifier, const void *message, size_t len,
                const uint8_t signature[SL_SIGNATURE_SIZE]) INSTEAD_OF(sl_verify);

#define REAL_IN 16u /* schedules, of which one has real signatures */

static bool is_real = true;

void sl_sim_signature_begin(uint64_t seed)
{
    is_real = seed % REAL_IN == 0;
}

/* What signers and verifiers are then. */
struct key {
    uint8_t public_key[SL_KEY_SIZE];
    const struct sl_allocator *alloc;
};

/* NULL: no memory, as faults will have it at times. */
static struct key *key_new(const struct sl_allocator *alloc, const uint8_t public_key[SL_KEY_SIZE])
{
    struct key *key = sl_calloc(alloc, 1, sizeof(*key));
    if (key != NULL) {
        memcpy(key->public_key, public_key, SL_KEY_SIZE);
        key->alloc = alloc;
    }
    return key;
}

static void key_free(struct key *key)
{
    if (key != NULL) {
        sl_free(key->alloc, key);
    }
}

static void key_sign(const struct key *key, const void *message, size_t len,
                     uint8_t signature[SL_SIGNATURE_SIZE])
{
    static struct sl_hasher *hasher; /* for the program's life */
    hasher = hasher != NULL ? hasher : sl_hasher_new(&sl_allocator_libc);
    if (hasher == NULL) {
        fprintf(stderr, "sl-sim: out of memory\n");
        abort();
    }
    sl_hasher_update(hasher, key->public_key, SL_KEY_SIZE);
    sl_hasher_update(hasher, message, len);
    if (!sl_hasher_finish(hasher, signature)) {
        fprintf(stderr, "sl-sim: out of memory\n");
        abort();
    }
    memcpy(signature + SL_HASH_SIZE, signature, SL_SIGNATURE_SIZE - SL_HASH_SIZE);
}

enum syncline_status sim_signer_new(const struct sl_allocator *alloc,
                                    const struct sl_identity *identity, struct sl_signer **out)
{
    if (is_real) {
        return real_signer_new(alloc, identity, out);
    }
    struct key *key = key_new(alloc, identity->public_key);
    if (key == NULL) {
        return SYNCLINE_ENOMEM;
    }
    *out = (struct sl_signer *)(void *)key;
    return SYNCLINE_OK;
}

void sim_signer_free(struct sl_signer *signer)
{
    if (is_real) {
        real_signer_free(signer);
    } else {
        key_free((struct key *)(void *)signer);
    }
}

enum syncline_status sim_sign(struct sl_signer *signer, const void *message, size_t len,
                              uint8_t signature[SL_SIGNATURE_SIZE])
{
    if (is_real) {
        return real_sign(signer, message, len, signature);
    }
    key_sign((struct key *)(void *)signer, message, len, signature);
    return SYNCLINE_OK;
}

enum syncline_status sim_verifier_new(const struct sl_allocator *alloc,
                                      const uint8_t public_key[SL_KEY_SIZE],
                                      struct sl_verifier **out)
{
    if (is_real) {
        return real_verifier_new(alloc, public_key, out);
    }
    struct key *key = key_new(alloc, public_key);
    if (key == NULL) {
        return SYNCLINE_ENOMEM;
    }
    *out = (struct sl_verifier *)(void *)key;
    return SYNCLINE_OK;
}

void sim_verifier_free(struct sl_verifier *verifier)
{
    if (is_real) {
        real_verifier_free(verifier);
    } else {
        key_free((struct key *)(void *)verifier);
    }
}

bool sim_verify(struct sl_verifier *verifier, const void *message, size_t len,
                const uint8_t signature[SL_SIGNATURE_SIZE])
{
    uint8_t made[SL_SIGNATURE_SIZE];
    if (is_real) {
        return real_verify(verifier, message, len, signature);
    }
    key_sign((struct key *)(void *)verifier, message, len, made);
    return memcmp(made, signature, sizeof(made)) == 0;
}
