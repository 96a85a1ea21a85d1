/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* SHA-256, over OpenSSL. */

#ifndef SL_HASH_H
#define SL_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/vector.h"

struct sl_hasher; /* a hash under way */

/* NULL: no memory. The allocator is borrowed for its life. */
struct sl_hasher *sl_hasher_new(const struct sl_allocator *alloc);
void sl_hasher_free(struct sl_hasher *hasher);
void sl_hasher_update(struct sl_hasher *hasher, const void *data, size_t size);
/* Writes the hash and starts anew. false: an update or this failed (no memory). */
bool sl_hasher_finish(struct sl_hasher *hasher, uint8_t hash[SL_HASH_SIZE]);

#endif
