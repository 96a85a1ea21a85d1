/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What is UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), and what is
 * not. NUL bytes are characters like others. */

#ifndef SL_UTF8_H
#define SL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at [text, text + len), len > 0; 0 if there is none. */
size_t sl_utf8_char_size(const uint8_t *text, size_t len);
/* No bytes at all are valid. */
bool sl_utf8_is_valid(const void *text, size_t len);
/* Puts a question mark in the place of each byte that belongs to no character. */
void sl_utf8_mend(char *text, size_t len);

#endif
