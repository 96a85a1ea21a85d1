/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The root and the last few folders keep their descriptors. Coming back up to one that was closed
 * goes by "..", and when that is another folder (it was moved meanwhile), down again from the root
 * by names. In both cases device and inode must be those seen on the way down. */

#include "indexer/folder_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)

int indexer_folder_open(int fd, const char *name, struct stat *st)
{
    int folder = openat(fd, name, FOLDER_FLAGS);
    if (folder < 0)
        return -1;
    if (fstat(folder, st) == 0)
        return folder;
    int error_number = errno;
    close(folder);
    errno = error_number;
    return -1;
}

bool indexer_folder_stack_push(struct indexer_folder_stack *stack, int fd, const struct stat *st,
                               const char *name, uint64_t tag)
{
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity == 0 ? 64 : stack->capacity * 2;
        void *memory = reallocarray(stack->frames, capacity, sizeof(*stack->frames));
        if (memory == NULL) {
            close(fd);
            return false;
        }
        stack->frames = memory;
        stack->capacity = capacity;
    }
    size_t top = stack->count++;
    stack->frames[top] = (struct indexer_frame){
        .fd = fd, .dev = st->st_dev, .ino = st->st_ino, .name = name, .tag = tag};
    size_t kept = stack->open_max - 1; /* and the root */
    if (top > kept && stack->frames[top - kept].fd >= 0) {
        close(stack->frames[top - kept].fd);
        stack->frames[top - kept].fd = -1;
    }
    return true;
}

struct indexer_frame *indexer_folder_stack_top(const struct indexer_folder_stack *stack)
{
    return &stack->frames[stack->count - 1];
}

/* Opens `name` in `fd` if it is the folder that the frame was on the way down; else -1, errno. */
static int open_again(int fd, const char *name, const struct indexer_frame *frame)
{
    struct stat st;
    int folder = indexer_folder_open(fd, name, &st);
    if (folder < 0)
        return -1;
    if (st.st_dev == frame->dev && st.st_ino == frame->ino)
        return folder;
    close(folder);
    errno = ESTALE;
    return -1;
}

/* Opens the folder below the top of the stack again; -1, errno. */
static int open_parent(const struct indexer_folder_stack *stack)
{
    size_t parent = stack->count - 2;
    const struct indexer_frame *top = indexer_folder_stack_top(stack);
    if (top->fd >= 0) {
        int fd = open_again(top->fd, "..", &stack->frames[parent]);
        if (fd >= 0)
            return fd;
    }
    int fd = stack->frames[0].fd;
    for (size_t i = 1; i <= parent; i++) {
        int next = open_again(fd, stack->frames[i].name, &stack->frames[i]);
        int error_number = errno;
        if (i > 1)
            close(fd);
        errno = error_number;
        if (next < 0)
            return -1;
        fd = next;
    }
    return fd;
}

static void free_top(struct indexer_folder_stack *stack)
{
    struct indexer_frame *top = &stack->frames[--stack->count];
    if (top->fd >= 0)
        close(top->fd);
    free(top->subs);
    free(top->sub_names);
}

int indexer_folder_stack_pop(struct indexer_folder_stack *stack)
{
    int error_number = 0;
    if (stack->count >= 2) {
        struct indexer_frame *parent = &stack->frames[stack->count - 2];
        if (parent->fd < 0)
            parent->fd = open_parent(stack);
        if (parent->fd < 0 && parent->subs_next < parent->subs_count) {
            error_number = errno;
            parent->subs_next = parent->subs_count;
        }
    }
    free_top(stack);
    return error_number;
}

void indexer_folder_stack_fini(struct indexer_folder_stack *stack)
{
    while (stack->count > 0)
        free_top(stack);
    free(stack->frames);
    stack->frames = NULL;
    stack->capacity = 0;
}

char *indexer_folder_stack_path(const struct indexer_folder_stack *stack, const char *root,
                                const char *name)
{
    size_t size = strlen(root) + 1;
    for (size_t i = 1; i < stack->count; i++)
        size += strlen(stack->frames[i].name) + 1;
    if (name != NULL)
        size += strlen(name) + 1;
    char *path = malloc(size);
    if (path == NULL)
        return NULL;
    char *end = stpcpy(path, root);
    for (size_t i = 1; i <= stack->count; i++) {
        const char *part = i < stack->count ? stack->frames[i].name : name;
        if (part == NULL)
            break;
        if (end > path && end[-1] != '/')
            *end++ = '/';
        end = stpcpy(end, part);
    }
    return path;
}
