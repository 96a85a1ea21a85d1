/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Text for people, from bytes that may be anything. Any thread; nothing here blocks. */

#ifndef INDEXER_TEXT_H
#define INDEXER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Writes bytes that came from a file system as one line of valid UTF-8: what is valid and printable
 * stays, every other byte becomes \xHH and a backslash becomes \\. What does not fit ends in "...".
 * Always NUL-terminated; returns `out`. size >= 8. */
char *indexer_escape(char *out, size_t size, const void *bytes, size_t len);

/* True for text that can be a name: not empty, valid UTF-8, nothing that does not print. */
bool indexer_is_name(const char *text);

#endif
