/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* New version 7 UUIDs out of a given environment. */

#ifndef SL_UUID_NEW_H
#define SL_UUID_NEW_H

#include "base/env.h"

/* syncline_uuid_new() with the clock and the randomness of `env`. out[i] is sl_uuid_add(out, i).
 * Errors: EINVAL (n is 0 or out is NULL), EIO (env gave no randomness). Any thread; never blocks.
 */
SYNCLINE_MUST_USE enum syncline_status sl_uuid_new(const struct sl_env *env,
                                                   struct syncline_uuid *out, size_t n);

#endif
