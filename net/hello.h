/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What devices say about themselves when they meet. Plain values. */

#ifndef SL_HELLO_H
#define SL_HELLO_H

#include "base/limits.h"
#include "net/identity.h"

/* What a device says about itself. */
struct sl_hello {
    struct syncline_uuid library_id;        /* all zero in a JOIN that is on its way */
    uint8_t public_key[SL_KEY_SIZE];        /* Ed25519 */
    struct syncline_uuid device_id;         /* never sent: made from the key where it arrives */
    char device_name[SL_NAME_SIZE_MAX + 1]; /* UTF-8 */
};

/* What a member says to a device that it lets join. */
struct sl_welcome {
    struct syncline_uuid library_id;         /* the library joined */
    char library_name[SL_NAME_SIZE_MAX + 1]; /* UTF-8 */
    struct sl_hello member;                  /* who answered */
};

#endif
