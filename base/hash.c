/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/hash.h"

#include <openssl/evp.h>

struct sl_hasher {
    EVP_MD_CTX *ctx;                  /* ours */
    bool failed;                      /* something since the last start */
    const struct sl_allocator *alloc; /* borrowed */
};

struct sl_hasher *sl_hasher_new(const struct sl_allocator *alloc)
{
    struct sl_hasher *hasher = sl_calloc(alloc, 1, sizeof(*hasher));
    if (hasher == NULL) {
        return NULL;
    }
    hasher->alloc = alloc;
    hasher->ctx = EVP_MD_CTX_new();
    if (hasher->ctx == NULL || EVP_DigestInit_ex(hasher->ctx, EVP_sha256(), NULL) != 1) {
        sl_hasher_free(hasher);
        return NULL;
    }
    return hasher;
}

void sl_hasher_free(struct sl_hasher *hasher)
{
    if (hasher == NULL) {
        return;
    }
    EVP_MD_CTX_free(hasher->ctx);
    sl_free(hasher->alloc, hasher);
}

void sl_hasher_update(struct sl_hasher *hasher, const void *data, size_t size)
{
    if (EVP_DigestUpdate(hasher->ctx, data, size) != 1) {
        hasher->failed = true;
    }
}

bool sl_hasher_finish(struct sl_hasher *hasher, uint8_t hash[SL_HASH_SIZE])
{
    unsigned int len = 0;
    bool ok = !hasher->failed && EVP_DigestFinal_ex(hasher->ctx, hash, &len) == 1;
    hasher->failed = EVP_DigestInit_ex(hasher->ctx, EVP_sha256(), NULL) != 1;
    return ok && len == SL_HASH_SIZE;
}
