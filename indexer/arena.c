/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/arena.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (64u * 1024u)

struct indexer_arena_chunk {
    struct indexer_arena_chunk *next; /* older */
    size_t used;                      /* bytes of data */
    size_t capacity;                  /* bytes there */
    char data[];
};

bool indexer_arena_copy(struct indexer_arena *arena, struct syncline_bytes bytes,
                        struct syncline_bytes *out)
{
    if (bytes.data == NULL) {
        *out = bytes;
        return true;
    }
    struct indexer_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->capacity - chunk->used < bytes.len) {
        size_t capacity = bytes.len > CHUNK_SIZE ? bytes.len : CHUNK_SIZE;
        chunk = malloc(sizeof(*chunk) + capacity);
        if (chunk == NULL)
            return false;
        *chunk = (struct indexer_arena_chunk){.next = arena->chunks, .capacity = capacity};
        arena->chunks = chunk;
    }
    char *copy = chunk->data + chunk->used;
    memcpy(copy, bytes.data, bytes.len);
    chunk->used += bytes.len;
    *out = (struct syncline_bytes){.data = copy, .len = bytes.len};
    return true;
}

void indexer_arena_clear(struct indexer_arena *arena)
{
    struct indexer_arena_chunk *kept = arena->chunks;
    if (kept == NULL)
        return;
    struct indexer_arena older = {.chunks = kept->next};
    indexer_arena_fini(&older);
    kept->next = NULL;
    kept->used = 0;
}

void indexer_arena_fini(struct indexer_arena *arena)
{
    while (arena->chunks != NULL) {
        struct indexer_arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
}
