/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The folders on the way down of a walk: a stack on the heap that keeps few of them open and finds
 * the others again. Used by walker.c alone; the walk's thread; blocks on the disk. */

#ifndef INDEXER_FOLDER_STACK_H
#define INDEXER_FOLDER_STACK_H

#include "include/syncline.h"

#include <sys/stat.h>

struct indexer_subfolder {
    size_t name_offset; /* in the frame's sub_names */
    uint64_t tag;       /* the callback's */
};

/* A folder on the way down. */
struct indexer_frame {
    int fd;                         /* -1: closed to stay below open_max, or lost */
    dev_t dev;                      /* which folder it was on the way down */
    ino_t ino;                      /* the same */
    const char *name;               /* in the parent's sub_names; "" for the root */
    char *sub_names;                /* NUL-terminated names, ours */
    struct indexer_subfolder *subs; /* folders to enter, ours */
    size_t subs_count;              /* there */
    size_t subs_next;               /* the first not entered yet */
    uint64_t tag;                   /* the callback's for this folder */
};

struct indexer_folder_stack {
    struct indexer_frame *frames; /* frames[0] is the root, ours */
    size_t count;                 /* used */
    size_t capacity;              /* there */
    size_t open_max;              /* descriptors kept; at least 3 */
};

/* Opens the folder `name` in `fd`, not following a link, and tells what it is. -1: errno. */
int indexer_folder_open(int fd, const char *name, struct stat *st);

/* Takes the descriptor, also on failure; closes one further up when there are too many. `name` must
 * live as long as the frame. False: no memory. */
SYNCLINE_MUST_USE bool indexer_folder_stack_push(struct indexer_folder_stack *stack, int fd,
                                                 const struct stat *st, const char *name,
                                                 uint64_t tag);

/* The folder on top; dies at the next push or pop. */
struct indexer_frame *indexer_folder_stack_top(const struct indexer_folder_stack *stack);

/* Drops the top and makes sure that the one below is open. Returns 0, or the error number why it
 * could not be found again though it has folders left: they are given up, and it is on top now. */
int indexer_folder_stack_pop(struct indexer_folder_stack *stack);

/* Drops everything and frees the memory. */
void indexer_folder_stack_fini(struct indexer_folder_stack *stack);

/* The path of the folder on top, and of `name` in it unless NULL, below the path `root`. The
 * caller frees it; NULL: no memory. */
char *indexer_folder_stack_path(const struct indexer_folder_stack *stack, const char *root,
                                const char *name);

#endif
