/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Memory for bytes that all die together; pointers into it stay where they are. */

#ifndef INDEXER_ARENA_H
#define INDEXER_ARENA_H

#include "include/syncline.h"

struct indexer_arena_chunk;

struct indexer_arena {
    struct indexer_arena_chunk *chunks; /* newest first, ours; NULL: none yet */
};

/* Copies the bytes; a NULL value stays NULL. False: no memory, *out untouched. */
SYNCLINE_MUST_USE bool indexer_arena_copy(struct indexer_arena *arena, struct syncline_bytes bytes,
                                          struct syncline_bytes *out);

/* Forgets everything; keeps some memory for what comes. */
void indexer_arena_clear(struct indexer_arena *arena);
void indexer_arena_fini(struct indexer_arena *arena);

#endif
