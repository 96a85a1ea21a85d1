/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Base64 (RFC 4648, section 4: with padding). */

#ifndef SL_BASE64_H
#define SL_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that len bytes take. */
size_t sl_base64_len(size_t len);
/* Writes sl_base64_len(len) characters, and no NUL. */
void sl_base64_encode(const void *data, size_t len, char *out);
/* Writes at most len / 4 * 3 bytes; *out_len is how many. false: it is no Base64 in this form, one
 * text for one content. */
bool sl_base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);

#endif
