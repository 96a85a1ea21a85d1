/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Pieces are cut from chunks, which are never given back: the next schedule takes them again. A
 * free piece is in the list of its size. What is larger than the largest comes from the system. */

#include "tests/sim/sim_memory.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 16u      /* between the sizes of small pieces */
#define SMALL_LEN 64u /* sizes of small pieces: up to 1 KiB */
#define LARGE_LEN 7u  /* and then doubled: up to 128 KiB */
#define CHUNK_SIZE (1024u * 1024)

struct piece {
    size_t size;        /* behind this head */
    struct piece *next; /* while it is free */
};

static struct piece *lists[SMALL_LEN + LARGE_LEN];
static uint8_t *chunk;
static size_t chunk_left;
static int64_t used;

/* The list of pieces for so many bytes, and their size; one behind the last: the system's. */
static size_t find_list(size_t size, size_t *piece_size)
{
    if (size <= SMALL_LEN * STEP) {
        size_t at = size == 0 ? 0 : (size - 1) / STEP;
        *piece_size = (at + 1) * STEP;
        return at;
    }
    size_t at = SMALL_LEN;
    *piece_size = 2 * SMALL_LEN * STEP;
    while (*piece_size < size && at < SMALL_LEN + LARGE_LEN) {
        *piece_size *= 2;
        at++;
    }
    if (at == SMALL_LEN + LARGE_LEN) {
        *piece_size = (size + STEP - 1) / STEP * STEP;
    }
    return at;
}

static struct piece *cut(size_t size)
{
    if (chunk_left < size) {
        chunk = malloc(CHUNK_SIZE); /* reached from the pieces, as long as there are any */
        chunk_left = chunk != NULL ? CHUNK_SIZE : 0;
    }
    if (chunk_left < size) {
        return NULL;
    }
    struct piece *piece = (struct piece *)(void *)chunk;
    chunk += size;
    chunk_left -= size;
    return piece;
}

static void *piece_new(int wanted)
{
    size_t size = 0;
    size_t at = find_list((size_t)wanted, &size);
    struct piece *piece = NULL;
    if (at == SMALL_LEN + LARGE_LEN) {
        piece = malloc(sizeof(*piece) + size);
    } else if (lists[at] != NULL) {
        piece = lists[at];
        lists[at] = piece->next;
    } else {
        piece = cut(sizeof(*piece) + size);
    }
    if (piece == NULL) {
        return NULL;
    }
    piece->size = size;
    used += (int64_t)size;
    return piece + 1;
}

static void piece_free(void *memory)
{
    struct piece *piece = (struct piece *)memory - 1;
    size_t size = 0;
    used -= (int64_t)piece->size;
    size_t at = find_list(piece->size, &size);
    if (at == SMALL_LEN + LARGE_LEN) {
        free(piece);
        return;
    }
    piece->next = lists[at];
    lists[at] = piece;
}

static int piece_size(void *memory)
{
    return memory != NULL ? (int)((struct piece *)memory - 1)->size : 0;
}

static void *piece_resize(void *memory, int wanted)
{
    if (wanted <= piece_size(memory)) {
        return memory;
    }
    void *grown = piece_new(wanted);
    if (grown != NULL) {
        memcpy(grown, memory, (size_t)piece_size(memory));
        piece_free(memory);
    }
    return grown;
}

static int round_up(int wanted)
{
    size_t size = 0;
    (void)find_list((size_t)wanted, &size);
    return (int)size;
}

static int start(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void stop(void *ctx)
{
    (void)ctx;
}

static void config(int result)
{
    if (result != SQLITE_OK) {
        fprintf(stderr, "sl-sim: SQLite cannot be configured: %s\n", sqlite3_errstr(result));
        exit(1);
    }
}

#if defined(__SANITIZE_ADDRESS__)
static const bool is_system = true;
#else
static const bool is_system = false;
#endif

void sl_sim_memory_init(void)
{
    static sqlite3_mem_methods methods = {.xMalloc = piece_new,
                                          .xFree = piece_free,
                                          .xRealloc = piece_resize,
                                          .xSize = piece_size,
                                          .xRoundup = round_up,
                                          .xInit = start,
                                          .xShutdown = stop};
    config(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD));
    if (!is_system) {
        config(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods));
        config(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0));
    }
}

int64_t sl_sim_memory_used(void)
{
    return is_system ? sqlite3_memory_used() : used;
}
